//! Verification that two buckets are equal: proof methods, totals and the verdict.
//!
//! An object counts as equal only if it was verified as equal, and the buckets only if every object was.

pub mod completion;
mod judge;
mod report;
mod sample;
mod tally;

use serde::Serialize;

pub use self::judge::{
    ComparisonScope, ContentFinding, KnownEvidence, ObjectFinding, compare_objects, external_write_kind,
};
pub use self::report::{
    BucketTotals, ChecksumJobReport, ComparedAttributes, ComparisonMethod, DifferenceCount, DifferenceExamples,
    ProofCount, QueuedMessages, ReportHeader, ReportSides, ReportTool, SCHEMA, SampleDescription, VerificationReport,
};
pub use self::sample::KeySampler;
pub use self::tally::{KeyVerification, ObjectTotals, VerificationEnd, VerificationTotals, VerificationVerdict};

/// Depth of a verification: what is required before an object counts as equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum VerificationDepth {
    /// Size and `ETag` of the listings, with HEAD requests where they differ.
    Listing,
    /// HEAD responses, attributes that they do not contain, and any proof of equal content that both sides store.
    Head,
    /// As `Head`, with a hash of the full content.
    Checksum,
}

impl VerificationDepth {
    /// Returns the name used in reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Listing => "listing",
            Self::Head => "head",
            Self::Checksum => "checksum",
        }
    }
}

/// Method by which the contents of two objects were verified as equal, strongest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProofMethod {
    /// Both objects are empty.
    Empty,
    /// The full content of both objects was read and hashed.
    Read,
    /// Full-object checksums that S3 stores with both objects.
    FullChecksum,
    /// Full-object checksums, of which S3 Batch Operations computed at least one.
    ComputedChecksum,
    /// `ETag`s that are the MD5 of the content.
    Etag,
    /// Composite checksums of the same parts.
    CompositeChecksum,
    /// Multipart `ETag`s of the same parts.
    MultipartEtag,
    /// S3's own replica of the source version.
    Replica,
    /// Marker of a copy of s3ferry, which names the source version.
    Marker,
    /// Size and `ETag` in the listings.
    Listing,
}

impl ProofMethod {
    /// All methods, strongest first.
    pub const ALL: [Self; 10] = [
        Self::Empty,
        Self::Read,
        Self::FullChecksum,
        Self::ComputedChecksum,
        Self::Etag,
        Self::CompositeChecksum,
        Self::MultipartEtag,
        Self::Replica,
        Self::Marker,
        Self::Listing,
    ];

    /// Returns the name used in reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Read => "read",
            Self::FullChecksum => "full-checksum",
            Self::ComputedChecksum => "computed-checksum",
            Self::Etag => "etag",
            Self::CompositeChecksum => "composite-checksum",
            Self::MultipartEtag => "multipart-etag",
            Self::Replica => "replica",
            Self::Marker => "marker",
            Self::Listing => "listing",
        }
    }

    /// Describes the method in one sentence.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Empty => "both objects are empty",
            Self::Read => "both contents were read completely and have the same SHA-256",
            Self::FullChecksum => "the full-object checksums that S3 stores with both objects are equal",
            Self::ComputedChecksum => {
                "the full-object checksums are equal, of which S3 Batch Operations computed at least one"
            }
            Self::Etag => "the ETags, which are the MD5 of the content, are equal",
            Self::CompositeChecksum => "the composite checksums, of the checksums of all parts, are equal",
            Self::MultipartEtag => "the ETags, which consist of the MD5s of all parts, are equal",
            Self::Replica => "the destination object is S3's own replica of the source version",
            Self::Marker => "the destination object is a copy of s3ferry whose marker names the source version",
            Self::Listing => "size and ETag are equal in both listings; no HEAD request was made",
        }
    }

    /// Returns whether the method is sufficient at a depth.
    #[must_use]
    pub fn suffices_at(self, depth: VerificationDepth) -> bool {
        match self {
            Self::Empty | Self::Read | Self::FullChecksum | Self::ComputedChecksum | Self::Etag => true,
            // At depth `checksum` these need equal part sizes in addition.
            Self::CompositeChecksum | Self::MultipartEtag | Self::Replica | Self::Marker => {
                depth < VerificationDepth::Checksum
            }
            Self::Listing => depth == VerificationDepth::Listing,
        }
    }
}

#[cfg(test)]
mod tests;
