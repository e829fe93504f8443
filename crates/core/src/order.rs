//! Orders: complete descriptions of a write, so that the adapter for S3 adds nothing of its own.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::acl::Acl;
use crate::facts::{
    Attribute, AttributeSet, ChecksumCoverage, ExplicitEncryption, KmsEncryption, ObjectFacts, SystemHeaders,
};
use crate::lock::ObjectLock;
use crate::names::{ETag, VersionId};
use crate::plan::CopyPlan;

/// Copy of exactly the source version that was read, over exactly the destination state that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyOrder {
    /// Source version to copy.
    pub pin: SourcePin,
    /// Equal destination version to copy instead of the source's, which stays within the region.
    pub in_place: Option<SourcePin>,
    /// Required state of the destination.
    pub condition: WriteCondition,
    /// Single-request or multipart copy.
    pub method: CopyMethod,
    /// Attributes that the write sets itself.
    pub explicit: ExplicitAttributes,
    /// Checksum that the source stores.
    pub source_checksum: Option<ExplicitChecksum>,
    /// Size of the source version.
    pub size_bytes: u64,
    /// Attributes that the write does not set, and that are compared and written after it.
    pub follow_up: AttributeSet,
}

impl CopyOrder {
    /// Returns the attributes that one `CopyObject` does not preserve, because it makes an object of a single part.
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
            .filter_map(|(attribute, is_not_preserved)| is_not_preserved.then_some(attribute))
            .collect()
    }
}

/// Maximum size of the headers and tags that a request sets. S3 accepts 8 KB of headers in total; the rest is for the
/// signature, a session token, the marker and the name of the source.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html>
const EXPLICIT_HEADERS_LIMIT_BYTES: usize = 4096;

/// Returns whether an object's tags and metadata fit into the headers of one request. Tags that do not fit are
/// written after the copy.
#[must_use]
pub(crate) fn tags_fit(facts: &ObjectFacts) -> bool {
    fit_beside(facts, facts.tags.as_ref())
}

/// Returns whether tags and the metadata of `facts` fit into the headers of one request.
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

/// Returns the number of bytes of a text in a URL's query.
fn in_query_bytes(text: &str) -> usize {
    let encoded_bytes = |byte: u8| match byte {
        b'-' | b'.' | b'_' | b'~' => 1,
        _ if byte.is_ascii_alphanumeric() => 1,
        _ => "%00".len(),
    };
    text.bytes().map(encoded_bytes).sum()
}

/// Request with which bytes are copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyMethod {
    /// One `CopyObject`, which also copies headers, metadata, tags and annotations.
    SingleRequest,
    /// `UploadPartCopy` per part, which copies only bytes.
    Multipart,
}

/// Identifies one content of a source key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SourcePin {
    /// Version id, if the bucket is versioned.
    pub version_id: Option<VersionId>,
    /// `ETag`, which also pins objects of unversioned buckets.
    pub etag: ETag,
}

impl SourcePin {
    /// Pins the object that was read.
    #[must_use]
    pub fn of(facts: &ObjectFacts) -> Self {
        Self {
            version_id: facts.version_id.clone(),
            etag: facts.etag.clone(),
        }
    }
}

/// State of the destination that a write requires.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum WriteCondition {
    /// No current object; a delete marker counts as none.
    Absent,
    /// The object with this `ETag`.
    Matches(ETag),
}

/// Attributes that a write sets itself, because S3 would reset or drop them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExplicitAttributes {
    /// Storage class.
    pub storage_class: String,
    /// Redirect target of the website endpoint.
    pub website_redirect: Option<String>,
    /// Encryption; `None` for the bucket's default.
    pub encryption: Option<ExplicitEncryption>,
    /// Lock, if the destination bucket has Object Lock.
    pub lock: ObjectLock,
    /// Headers and user metadata, if the copy does not include them.
    pub metadata: Option<CopiedMetadata>,
    /// Tags, if the copy does not include them.
    pub tags: Option<BTreeMap<String, String>>,
    /// Checksum to store; `None` if S3 chooses it.
    pub checksum: Option<ExplicitChecksum>,
    /// Explicit grants, if both buckets have access control lists.
    pub acl: Option<Acl>,
}

impl ExplicitAttributes {
    /// Returns the attributes that S3 sets by default.
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

/// Headers and user metadata of an object.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct CopiedMetadata {
    /// Headers that S3 defines.
    pub headers: SystemHeaders,
    /// Headers that the application added, and s3ferry's marker.
    pub user: BTreeMap<String, String>,
}

/// Checksum that a new object stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ExplicitChecksum {
    /// Algorithm, such as `CRC64NVME`.
    pub algorithm: &'static str,
    /// Content that the checksum covers.
    pub coverage: ChecksumCoverage,
}

/// Algorithms whose full-object checksum S3 computes from parts.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html>
const FULL_OBJECT_FROM_PARTS: [&str; 3] = ["CRC32", "CRC32C", "CRC64NVME"];

/// Returns whether S3 computes the full-object checksum of an algorithm from parts.
pub(crate) fn full_object_from_parts(algorithm: &str) -> bool {
    FULL_OBJECT_FROM_PARTS.contains(&algorithm)
}

impl ExplicitChecksum {
    /// Returns the checksum of a multipart copy: the source's if the parts allow it.
    fn multipart(source: Self, replays: bool) -> Self {
        let is_preserved = match source.coverage {
            ChecksumCoverage::Composite => replays,
            ChecksumCoverage::FullObject => full_object_from_parts(source.algorithm),
        };
        if is_preserved {
            return source;
        }
        Self {
            algorithm: "CRC64NVME",
            coverage: ChecksumCoverage::FullObject,
        }
    }
}

/// Parameters of `CreateMultipartUpload`, and the source attributes that the upload cannot preserve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadParameters {
    /// Attributes that the upload sets itself.
    pub explicit: ExplicitAttributes,
    /// Source attributes that are not preserved.
    pub not_preserved: AttributeSet,
}

impl UploadParameters {
    /// Fits an order to the parts of a plan.
    #[must_use]
    pub fn new(order: &CopyOrder, plan: &CopyPlan) -> Self {
        let checksum = order.source_checksum;
        let stored = checksum.map(|checksum| ExplicitChecksum::multipart(checksum, plan.replays()));
        let mut not_preserved = AttributeSet::new();
        if stored != checksum {
            not_preserved.insert(Attribute::Checksum);
        }
        if !plan.replays() {
            not_preserved.insert(Attribute::Etag);
        }
        Self {
            explicit: ExplicitAttributes {
                checksum: stored,
                ..order.explicit.clone()
            },
            not_preserved,
        }
    }

    /// Sets only the encryption, which the bucket may require, for an upload without parts.
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

/// Update of attributes on exactly the destination object that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttributeUpdate {
    /// Version to update. Without versions the update is of the key's object: annotations are written if the object
    /// still has the `ETag` that was read, and tags only if no copy can set them.
    pub version_id: Option<VersionId>,
    /// `ETag` of the object that was read.
    pub etag: ETag,
    /// Source version that was read for the decision; annotations are read from it.
    pub pin: SourcePin,
    /// Complete new set of tags.
    pub tags: Option<BTreeMap<String, String>>,
    /// New retention and legal hold, never less strict than before.
    pub lock: Option<LockChange>,
    /// Annotations to write and to remove.
    pub annotations: Option<AnnotationChange>,
    /// Complete new set of explicit grants.
    pub acl: Option<Acl>,
    /// New KMS key.
    pub encryption: Option<KmsEncryption>,
}

impl AttributeUpdate {
    /// Returns the attributes that the update changes.
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

/// Change to a stricter lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LockChange {
    /// Lock after the change.
    pub to: ObjectLock,
    /// Whether the retention changes.
    pub changes_retention: bool,
    /// Whether the legal hold changes.
    pub changes_legal_hold: bool,
}

impl LockChange {
    /// Returns the change that makes `present` at least as strict as `wanted`, or `None` if it is already.
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

/// Changes of annotations, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AnnotationChange {
    /// Annotations to copy from the source.
    pub write: BTreeSet<String>,
    /// Annotations to remove, which the source does not have.
    pub remove: BTreeSet<String>,
}

impl AnnotationChange {
    /// Returns the change from `present` to `wanted`; both map names to `ETag`s.
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
