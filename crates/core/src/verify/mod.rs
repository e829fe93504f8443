//! The proof that two buckets are equal: what was compared how, and what may be said of it.
//!
//! Nothing is called equal that was not told equal, and nothing is called verified while anything is not.

pub mod completion;
mod judge;
mod report;
mod sample;
mod tally;

use serde::Serialize;

pub use self::judge::{
    ComparisonScope, ContentFinding, KnownEvidence, ObjectFinding, compare_objects, written_by_others,
};
pub use self::report::{
    BucketTotals, ChecksumJobReport, ComparedAttributes, ComparisonMethod, DifferenceCount, DifferenceExamples,
    ProofCount, QueuedMessages, ReportHeader, ReportSides, ReportTool, SCHEMA, SampleDescription, VerificationReport,
};
pub use self::sample::KeySampler;
pub use self::tally::{KeyVerification, ObjectTotals, VerificationEnd, VerificationTotals, VerificationVerdict};

/// What is demanded of an object before it is called equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum VerificationDepth {
    /// Size and `ETag` of the listings; what looks different there is looked at.
    Listing,
    /// A HEAD of both sides and what no HEAD shows; the content by anything that both sides store.
    Head,
    /// As `Head`, and of the content a hash of all of it.
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

/// By what the contents of two objects were told equal; the strongest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProofMethod {
    /// Both are empty.
    Empty,
    /// All bytes of both sides were read and hashed.
    Read,
    /// Checksums of the whole content that S3 keeps with both objects.
    FullChecksum,
    /// Checksums of the whole content, at least one of them computed by a job of S3 Batch Operations.
    ComputedChecksum,
    /// `ETag`s that are the MD5 of the content.
    Etag,
    /// Checksums made of the checksums of the same parts.
    CompositeChecksum,
    /// `ETag`s made of the MD5s of the same parts.
    MultipartEtag,
    /// S3's own replica of the source's very version.
    Replica,
    /// The marker that a copy of s3ferry carries names the source's very version.
    Marker,
    /// Size and `ETag` of the listings alone.
    Listing,
}

impl ProofMethod {
    /// All means, the strongest first.
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

    /// Says in a sentence what it is.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Empty => "both objects are empty",
            Self::Read => "every byte of both sides was read, and the SHA-256 of both is the same",
            Self::FullChecksum => "the checksums of the whole content that S3 keeps with both objects are the same",
            Self::ComputedChecksum => {
                "the checksums of the whole content are the same, at least one of them computed by S3 Batch Operations"
            }
            Self::Etag => "the ETags, which are the MD5 of the content, are the same",
            Self::CompositeChecksum => "the checksums of the checksums of all parts are the same",
            Self::MultipartEtag => "the ETags, which are made of the MD5s of all parts, are the same",
            Self::Replica => "S3's own replica of the source's very version",
            Self::Marker => "a copy of s3ferry whose marker names the source's very version",
            Self::Listing => "size and ETag are the same in both listings; no object was looked at",
        }
    }

    /// Tells whether it is good enough at a depth.
    #[must_use]
    pub fn suffices_at(self, depth: VerificationDepth) -> bool {
        match self {
            Self::Empty | Self::Read | Self::FullChecksum | Self::ComputedChecksum | Self::Etag => true,
            // Only together with equal parts, at the greatest depth.
            Self::CompositeChecksum | Self::MultipartEtag | Self::Replica | Self::Marker => {
                depth < VerificationDepth::Checksum
            }
            Self::Listing => depth == VerificationDepth::Listing,
        }
    }
}

#[cfg(test)]
mod tests;
