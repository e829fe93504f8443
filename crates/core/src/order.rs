//! What a decision asks to be written, in full: nothing is left for a store to fill in.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::acl::Acl;
use crate::facts::{
    Attribute, AttributeSet, ChecksumCoverage, ExplicitEncryption, KmsEncryption, ObjectFacts, SystemHeaders,
};
use crate::lock::ObjectLock;
use crate::names::{ETag, VersionId};
use crate::plan::CopyPlan;

/// A copy of exactly the source version seen, onto exactly the destination state seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyOrder {
    /// What is copied.
    pub pin: SourcePin,
    /// The destination's own version to copy the bytes of instead, which is equal: it stays within the region.
    pub in_place: Option<SourcePin>,
    /// Onto what.
    pub condition: WriteCondition,
    /// In one request or in parts.
    pub method: CopyMethod,
    /// What is stated with the write.
    pub explicit: ExplicitAttributes,
    /// The checksum that the source stores.
    pub source_checksum: Option<ExplicitChecksum>,
    /// The size of what is copied.
    pub size_bytes: u64,
    /// What the write does not carry, and is compared and written once it is done.
    pub follow_up: AttributeSet,
}

impl CopyOrder {
    /// Names what one `CopyObject` does not keep, though it carries the bytes: it makes a single part of them.
    #[must_use]
    pub fn not_preserved_by_single_request(&self) -> AttributeSet {
        let findings = [
            (Attribute::Etag, self.pin.etag.is_multipart()),
            (
                Attribute::Checksum,
                self.source_checksum
                    .is_some_and(|checksum| checksum.coverage == ChecksumCoverage::Composite),
            ),
        ];
        findings
            .into_iter()
            .filter_map(|(attribute, is_lost)| is_lost.then_some(attribute))
            .collect()
    }
}

/// How many bytes of headers and tags a request states. S3 takes 8 KB of headers in all; the rest is for the signature, a
/// session's token, the marker and the name of the source.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html>
const EXPLICIT_HEADERS_LIMIT_BYTES: usize = 4096;

/// Tells whether an object's tags fit beside its metadata into the headers of one request. What does not is written after
/// the copy.
#[must_use]
pub(crate) fn tags_fit(facts: &ObjectFacts) -> bool {
    fit_beside(facts, facts.tags.as_ref())
}

/// Tells whether tags fit beside the metadata of `facts`.
#[must_use]
pub(crate) fn fit_beside(facts: &ObjectFacts, tags: Option<&BTreeMap<String, String>>) -> bool {
    let headers = &facts.headers;
    let system = [
        &headers.cache_control,
        &headers.content_disposition,
        &headers.content_encoding,
        &headers.content_language,
        &headers.content_type,
        &headers.expires,
        &facts.website_redirect,
    ];
    let system: usize = system.into_iter().flatten().map(String::len).sum();
    let user: usize = facts
        .user_metadata
        .iter()
        .map(|(name, value)| "x-amz-meta-".len() + name.len() + value.len())
        .sum();
    let tags: usize = tags
        .into_iter()
        .flatten()
        .map(|(name, value)| "=&".len() + in_query_bytes(name) + in_query_bytes(value))
        .sum();
    tags == 0 || system + user + tags <= EXPLICIT_HEADERS_LIMIT_BYTES
}

/// Counts the bytes of a text as a URL's query spells it.
fn in_query_bytes(text: &str) -> usize {
    let spelled = |byte: u8| match byte {
        b'-' | b'.' | b'_' | b'~' => 1,
        _ if byte.is_ascii_alphanumeric() => 1,
        _ => "%00".len(),
    };
    text.bytes().map(spelled).sum()
}

/// How bytes are copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyMethod {
    /// By one `CopyObject`, which carries headers, metadata, tags and annotations over.
    SingleRequest,
    /// By `UploadPartCopy`, which carries bytes over and nothing else.
    Multipart,
}

/// Names one content of a source key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SourcePin {
    /// The version, where the bucket has versions.
    pub version_id: Option<VersionId>,
    /// The tag, which also pins objects of unversioned buckets.
    pub etag: ETag,
}

impl SourcePin {
    /// Pins what was read.
    #[must_use]
    pub fn of(facts: &ObjectFacts) -> Self {
        Self {
            version_id: facts.version_id.clone(),
            etag: facts.etag.clone(),
        }
    }
}

/// What the destination must be for a write to happen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum WriteCondition {
    /// No current object; a delete marker counts as none.
    Absent,
    /// The object with this tag.
    Matches(ETag),
}

/// What a write states, because S3 would reset or drop it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExplicitAttributes {
    /// The storage class.
    pub storage_class: String,
    /// Where a website endpoint redirects.
    pub website_redirect: Option<String>,
    /// The encryption; the bucket's default if `None`.
    pub encryption: Option<ExplicitEncryption>,
    /// The lock, where the destination bucket has Object Lock.
    pub lock: ObjectLock,
    /// Headers and user metadata, where they do not come with the bytes.
    pub metadata: Option<CopiedMetadata>,
    /// The tags, where they do not come with the bytes.
    pub tags: Option<BTreeMap<String, String>>,
    /// The checksum to store, where it is not chosen by S3 itself.
    pub checksum: Option<ExplicitChecksum>,
    /// Explicit grants, where both buckets have access control lists.
    pub acl: Option<Acl>,
}

impl ExplicitAttributes {
    /// States what S3 takes for granted, and nothing else.
    #[must_use]
    pub fn plain() -> Self {
        Self {
            storage_class: "STANDARD".to_owned(),
            website_redirect: None,
            encryption: None,
            lock: ObjectLock::default(),
            metadata: None,
            tags: None,
            checksum: None,
            acl: None,
        }
    }
}

/// Headers and user metadata.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct CopiedMetadata {
    /// Headers S3 knows.
    pub headers: SystemHeaders,
    /// Headers the application added, and our marker.
    pub user: BTreeMap<String, String>,
}

/// The checksum a new object stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ExplicitChecksum {
    /// Its algorithm, as in `CRC64NVME`.
    pub algorithm: &'static str,
    /// What it covers.
    pub coverage: ChecksumCoverage,
}

/// The algorithms whose full-object value S3 computes from parts.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html>
const FULL_OBJECT_FROM_PARTS: [&str; 3] = ["CRC32", "CRC32C", "CRC64NVME"];

/// Tells whether S3 computes the full-object value of an algorithm from parts.
pub(crate) fn full_object_from_parts(algorithm: &str) -> bool {
    FULL_OBJECT_FROM_PARTS.contains(&algorithm)
}

impl ExplicitChecksum {
    /// Returns the checksum that a copy in parts stores: the source's, where the parts allow it.
    fn multipart(source: Self, replays: bool) -> Self {
        let keeps = match source.coverage {
            ChecksumCoverage::Composite => replays,
            ChecksumCoverage::FullObject => full_object_from_parts(source.algorithm),
        };
        if keeps {
            return source;
        }
        Self {
            algorithm: "CRC64NVME",
            coverage: ChecksumCoverage::FullObject,
        }
    }
}

/// Everything that `CreateMultipartUpload` is told, and what of the source it cannot keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadParameters {
    /// What is stated.
    pub explicit: ExplicitAttributes,
    /// What of the source is not kept.
    pub not_preserved: AttributeSet,
}

impl UploadParameters {
    /// Fits an order to the parts it will be copied in.
    #[must_use]
    pub fn new(order: &CopyOrder, plan: &CopyPlan) -> Self {
        let checksum = order.source_checksum;
        let kept = checksum.map(|checksum| ExplicitChecksum::multipart(checksum, plan.replays()));
        let mut lost = AttributeSet::new();
        if kept != checksum {
            lost.insert(Attribute::Checksum);
        }
        if !plan.replays() {
            lost.insert(Attribute::Etag);
        }
        Self {
            explicit: ExplicitAttributes {
                checksum: kept,
                ..order.explicit.clone()
            },
            not_preserved: lost,
        }
    }

    /// States nothing but the encryption that the bucket may demand: for an upload that will have no parts.
    #[must_use]
    pub fn plain(encryption: Option<ExplicitEncryption>) -> Self {
        Self {
            explicit: ExplicitAttributes {
                encryption,
                ..ExplicitAttributes::plain()
            },
            not_preserved: AttributeSet::new(),
        }
    }
}

/// A change of what lies around an object's bytes, on exactly the destination object seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttributeUpdate {
    /// The version that is changed. Without versions it is the key's object: annotations are written if it still has the tag
    /// that was seen, and tags are only where no copy can state them.
    pub version_id: Option<VersionId>,
    /// The tag of the object that was seen.
    pub etag: ETag,
    /// What the source was when this was decided; annotations are read from it.
    pub pin: SourcePin,
    /// All tags it gets.
    pub tags: Option<BTreeMap<String, String>>,
    /// The retention and legal hold it gets, never less than it has.
    pub lock: Option<LockChange>,
    /// The annotations that are written and removed.
    pub annotations: Option<AnnotationChange>,
    /// All explicit grants it gets.
    pub acl: Option<Acl>,
    /// The KMS key it gets.
    pub encryption: Option<KmsEncryption>,
}

impl AttributeUpdate {
    /// Names what it changes.
    #[must_use]
    pub fn attributes(&self) -> AttributeSet {
        let changes = [
            (Attribute::Tags, self.tags.is_some()),
            (Attribute::Lock, self.lock.is_some()),
            (Attribute::Annotations, self.annotations.is_some()),
            (Attribute::Acl, self.acl.is_some()),
            (Attribute::Encryption, self.encryption.is_some()),
        ];
        changes
            .into_iter()
            .filter(|(_, changes)| *changes)
            .map(|(attribute, _)| attribute)
            .collect()
    }
}

/// A stricter lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LockChange {
    /// The lock to reach.
    pub to: ObjectLock,
    /// Whether the retention is not that already.
    pub changes_retention: bool,
    /// Whether the legal hold is not that already.
    pub changes_legal_hold: bool,
}

impl LockChange {
    /// Returns what makes `present` at least as strict as `wanted`, or nothing if it is.
    #[must_use]
    pub fn between(present: ObjectLock, wanted: ObjectLock) -> Option<Self> {
        let to = present.join(wanted.attainable(present));
        (to != present).then_some(Self {
            to,
            changes_retention: to.retention != present.retention,
            changes_legal_hold: to.legal_hold != present.legal_hold,
        })
    }
}

/// Annotations, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AnnotationChange {
    /// Those copied from the source.
    pub write: BTreeSet<String>,
    /// Those that the source does not have.
    pub remove: BTreeSet<String>,
}

impl AnnotationChange {
    /// Returns what makes `present` what is `wanted`; both map names to `ETag`s.
    #[must_use]
    pub fn between(present: &BTreeMap<String, String>, wanted: &BTreeMap<String, String>) -> Self {
        let differs = |(name, etag): &(&String, &String)| present.get(*name) != Some(*etag);
        Self {
            write: wanted.iter().filter(differs).map(|(name, _)| name.clone()).collect(),
            remove: present
                .keys()
                .filter(|name| !wanted.contains_key(*name))
                .cloned()
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests;
