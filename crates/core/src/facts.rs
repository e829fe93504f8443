//! Facts of one object: the response of a HEAD request, and tags, annotations and grants if they were read.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::acl::Acl;
use crate::lock::ObjectLock;
use crate::names::{ETag, VersionId};
use crate::time::Timestamp;

/// Attribute of an object that its HEAD does not show, or that a copy may not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Attribute {
    /// Tags of the object.
    Tags,
    /// Access control list of the object.
    Acl,
    /// Object Lock retention or legal hold.
    Lock,
    /// Encryption of the object.
    Encryption,
    /// Annotations of the object.
    Annotations,
    /// Metadata that S3 cannot return in headers (`x-amz-missing-meta`).
    MissingMetadata,
    /// Event hold of Object Lock.
    EventHold,
    /// `ETag` of a multipart object.
    Etag,
    /// Algorithm or coverage of the stored checksum.
    Checksum,
    /// Multipart copy that an earlier reconcile of the key may have left unfinished.
    UnfinishedUpload,
    /// Destination lock that is stricter than the source's, by its bucket's default or from before.
    StricterLock,
    /// Annotations that a multipart copy may not have written yet; read if the destination object is a multipart
    /// object.
    PendingAnnotations,
}

impl Attribute {
    /// Returns the name used in logs and continuations.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tags => "tags",
            Self::Acl => "acl",
            Self::Lock => "lock",
            Self::Encryption => "encryption",
            Self::Annotations => "annotations",
            Self::MissingMetadata => "missing-metadata",
            Self::EventHold => "event-hold",
            Self::Etag => "etag",
            Self::Checksum => "checksum",
            Self::UnfinishedUpload => "unfinished-upload",
            Self::StricterLock => "stricter-lock",
            Self::PendingAnnotations => "pending-annotations",
        }
    }
}

/// Set of attributes.
pub type AttributeSet = BTreeSet<Attribute>;

/// Attributes that no HEAD shows and that may be a copy's only difference from the source. The copy may be of an
/// earlier version with equal bytes, or its annotations may not be written yet.
pub const HIDDEN_IN_HEAD: [Attribute; 2] = [Attribute::Tags, Attribute::Annotations];

/// Headers that S3 stores with an object besides user metadata.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SystemHeaders {
    /// `Cache-Control`
    pub cache_control: Option<String>,
    /// `Content-Disposition`
    pub content_disposition: Option<String>,
    /// `Content-Encoding`
    pub content_encoding: Option<String>,
    /// `Content-Language`
    pub content_language: Option<String>,
    /// `Content-Type`
    pub content_type: Option<String>,
    /// `Expires`, as it was written.
    pub expires: Option<String>,
}

/// Server-side encryption of an object.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Encryption {
    /// Keys that S3 manages (SSE-S3), or none: the `ETag` of a single-part object is the MD5 of the content.
    #[default]
    Managed,
    /// KMS key (SSE-KMS): the `ETag` is not a hash of the content.
    Kms(KmsEncryption),
    /// Customer-provided key (SSE-C), sent with every request: only its owner can read the object.
    CustomerKey,
}

/// SSE-KMS settings of an object.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct KmsEncryption {
    /// ARN of the key, if S3 returns it.
    pub key_arn: Option<String>,
    /// Whether an S3 Bucket Key is used.
    pub bucket_key: bool,
    /// Whether dual-layer encryption is used (`aws:kms:dsse`).
    pub dual_layer: bool,
}

/// Encryption that a write requests instead of the bucket's default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum ExplicitEncryption {
    /// Keys that S3 manages (`AES256`).
    Managed,
    /// KMS key.
    Kms(KmsEncryption),
}

/// Coverage of a stored checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub enum ChecksumCoverage {
    /// Whole content, however it was uploaded (full-object checksum).
    #[default]
    FullObject,
    /// Checksums of the parts (composite checksum): equal only if the parts are.
    Composite,
}

/// Checksums that S3 stores with an object, by algorithm.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoredChecksums {
    /// Coverage of the values.
    pub coverage: ChecksumCoverage,
    /// Map of algorithm, such as `CRC64NVME`, to base64 value.
    pub values: BTreeMap<&'static str, String>,
}

/// Status of S3's own replication of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplicationStatus {
    /// Not replicated yet; may stay so for long.
    Pending,
    /// All destinations have the object.
    Completed,
    /// At least one destination failed; S3 does not retry.
    Failed,
    /// The object is itself a replica.
    Replica,
}

/// Whether an object's content is readable now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Availability {
    /// The content is readable.
    #[default]
    Readable,
    /// The content is archived and not restored.
    Archived,
}

/// Everything that was read of one object version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectFacts {
    /// Version id, if the bucket's versioning gives the object an id that is never reused.
    pub version_id: Option<VersionId>,
    /// `ETag` of the object.
    pub etag: ETag,
    /// Time of the write, in whole seconds.
    pub last_modified: Timestamp,
    /// Size of the object.
    pub size_bytes: u64,
    /// Headers that S3 defines.
    pub headers: SystemHeaders,
    /// User metadata, by lower-case name without `x-amz-meta-`.
    pub user_metadata: BTreeMap<String, String>,
    /// Headers of either kind whose value is not UTF-8, by lower-case name. A single-request copy preserves them, but
    /// no request can set them.
    pub unreadable_headers: BTreeMap<String, Vec<u8>>,
    /// Number of metadata entries that S3 could not return.
    pub missing_metadata: u32,
    /// Redirect target of the website endpoint, which every copy has to set.
    pub website_redirect: Option<String>,
    /// Storage class; `STANDARD` if S3 omits it.
    pub storage_class: String,
    /// Whether the content is readable now.
    pub availability: Availability,
    /// Encryption of the object.
    pub encryption: Encryption,
    /// Stored checksums.
    pub checksums: StoredChecksums,
    /// Status of S3's own replication.
    pub replication_status: Option<ReplicationStatus>,
    /// Object Lock settings; a HEAD shows them only with permission to read retention and legal holds.
    pub lock: ObjectLock,
    /// Number of tags, if the HEAD shows it. S3 omits it for an object without tags, and without permission to read
    /// tags.
    pub tag_count: Option<u32>,
    /// Tags; `None` if not read.
    pub tags: Option<BTreeMap<String, String>>,
    /// Annotations, name to `ETag`; `None` if not read.
    pub annotations: Option<BTreeMap<String, String>>,
    /// Access control list; `None` if not read.
    pub acl: Option<Acl>,
}

impl ObjectFacts {
    /// Returns an object of class `STANDARD` with S3's default encryption and nothing else.
    #[must_use]
    pub fn plain(etag: ETag, size_bytes: u64, last_modified: Timestamp) -> Self {
        Self {
            version_id: None,
            etag,
            last_modified,
            size_bytes,
            headers: SystemHeaders::default(),
            user_metadata: BTreeMap::new(),
            unreadable_headers: BTreeMap::new(),
            missing_metadata: 0,
            website_redirect: None,
            storage_class: "STANDARD".to_owned(),
            availability: Availability::Readable,
            encryption: Encryption::Managed,
            checksums: StoredChecksums::default(),
            replication_status: None,
            lock: ObjectLock::default(),
            tag_count: None,
            tags: None,
            annotations: None,
            acl: None,
        }
    }

    /// Returns whether `later` is still the same version as `self`.
    ///
    /// Compares everything except replication status and restore state, which S3 changes by itself. Tags, annotations
    /// and the access control list are compared if both sides were read.
    #[must_use]
    pub fn is_still(&self, later: &Self) -> bool {
        let comparable = |facts: &Self| Self {
            replication_status: None,
            availability: Availability::Readable,
            tags: None,
            annotations: None,
            acl: None,
            ..facts.clone()
        };
        comparable(self) == comparable(later)
            && agree(self.tags.as_ref(), later.tags.as_ref())
            && agree(self.annotations.as_ref(), later.annotations.as_ref())
            && agree(self.acl.as_ref(), later.acl.as_ref())
    }

    /// Adds the attributes that an `earlier` read of the same object contains and this one does not.
    #[must_use]
    pub fn with_earlier(self, earlier: &Self) -> Self {
        Self {
            tags: self.tags.or_else(|| earlier.tags.clone()),
            annotations: self.annotations.or_else(|| earlier.annotations.clone()),
            acl: self.acl.or_else(|| earlier.acl.clone()),
            ..self
        }
    }
}

/// Returns whether two values are equal; a side that was not read equals everything.
pub(crate) fn agree<T: PartialEq>(one: Option<&T>, other: Option<&T>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => one == other,
        _ => true,
    }
}

/// State of a key in a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ObjectState {
    /// The current version is an object.
    Present(Box<ObjectFacts>),
    /// The current version is a delete marker.
    DeleteMarker,
    /// S3 answered 404 without a delete marker; the absence is not confirmed.
    NotFound,
    /// The key's versions were listed, and there is no current one.
    ConfirmedAbsent,
}

impl ObjectState {
    /// Returns the facts of the current object, if there is one.
    #[must_use]
    pub fn facts(&self) -> Option<&ObjectFacts> {
        match self {
            Self::Present(facts) => Some(facts),
            Self::DeleteMarker | Self::NotFound | Self::ConfirmedAbsent => None,
        }
    }

    /// Returns whether the key did not change between this read and a `later` one.
    #[must_use]
    pub fn is_still(&self, later: &Self) -> bool {
        match (self, later) {
            (Self::Present(earlier), Self::Present(later)) => earlier.is_still(later),
            (Self::DeleteMarker, Self::DeleteMarker)
            | (Self::NotFound | Self::ConfirmedAbsent, Self::NotFound | Self::ConfirmedAbsent) => true,
            _ => false,
        }
    }
}

impl fmt::Display for ObjectState {
    /// Writes the facts that explain a decision, without metadata or tags, which may be confidential.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Present(facts) => {
                let version = facts.version_id.as_ref().map_or("none", VersionId::as_str);
                let (etag, size_bytes, written) = (&facts.etag, facts.size_bytes, facts.last_modified.millis());
                write!(
                    formatter,
                    "object (version {version}, ETag {etag}, {size_bytes} bytes, written {written})"
                )
            }
            Self::DeleteMarker => formatter.write_str("delete marker"),
            Self::NotFound => formatter.write_str("not found"),
            Self::ConfirmedAbsent => formatter.write_str("confirmed absent"),
        }
    }
}

#[cfg(test)]
pub(crate) mod samples {
    //! Objects for tests.

    use super::*;

    /// Returns an object with the given `ETag` and otherwise plain facts.
    pub(crate) fn object(etag: &str) -> ObjectFacts {
        ObjectFacts {
            version_id: VersionId::pinnable("v1"),
            ..ObjectFacts::plain(ETag::new(etag).unwrap(), 5, Timestamp::from_seconds(1_000))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::samples::object;
    use super::*;

    #[track_caller]
    fn check_still(expected: bool, change: impl FnOnce(&mut ObjectFacts)) {
        let before = object("aa");
        let mut after = before.clone();
        change(&mut after);
        assert_eq!(before.is_still(&after), expected);
        assert_eq!(after.is_still(&before), expected);
    }

    #[test]
    fn written_fact_that_differs_makes_another_version() {
        check_still(true, |_| ());
        check_still(false, |facts| facts.version_id = VersionId::pinnable("v2"));
        check_still(false, |facts| facts.etag = ETag::new("bb").unwrap());
        check_still(false, |facts| facts.last_modified = Timestamp::from_seconds(1_001));
        check_still(false, |facts| facts.size_bytes = 6);
        check_still(false, |facts| facts.headers.content_type = Some("a/b".into()));
        check_still(false, |facts| {
            facts.user_metadata.insert("a".into(), "b".into());
        });
        check_still(false, |facts| {
            facts.unreadable_headers.insert("content-language".into(), vec![0xfc]);
        });
        check_still(false, |facts| facts.website_redirect = Some("/x".into()));
        check_still(false, |facts| facts.storage_class = "GLACIER".into());
        check_still(false, |facts| facts.lock.legal_hold = true);
    }

    #[test]
    fn fact_that_s3_changes_by_itself_makes_no_other_version() {
        check_still(true, |facts| {
            facts.replication_status = Some(ReplicationStatus::Completed);
        });
        check_still(true, |facts| facts.availability = Availability::Archived);
    }

    #[test]
    fn tags_are_compared_if_both_sides_were_read() {
        check_still(true, |facts| facts.tags = Some(BTreeMap::new()));
        let mut one = object("aa");
        let mut other = object("aa");
        one.tags = Some(BTreeMap::new());
        other.tags = Some(BTreeMap::from([("a".into(), "b".into())]));
        assert!(!one.is_still(&other));
    }

    #[test]
    fn presence_and_absence_are_distinguished() {
        let present = ObjectState::Present(Box::new(object("aa")));
        assert!(present.is_still(&present));
        assert!(!present.is_still(&ObjectState::NotFound));
        assert!(!ObjectState::DeleteMarker.is_still(&ObjectState::NotFound));
        assert!(ObjectState::ConfirmedAbsent.is_still(&ObjectState::NotFound));
    }

    #[test]
    fn metadata_and_tags_are_not_displayed() {
        let mut facts = object("aa");
        facts.user_metadata.insert("owner".into(), "secret".into());
        facts.tags = Some(BTreeMap::from([("a".into(), "secret".into())]));
        facts.headers.content_disposition = Some("secret".into());
        facts.website_redirect = Some("secret".into());
        let displayed = ObjectState::Present(Box::new(facts)).to_string();
        assert_eq!(displayed, "object (version v1, ETag aa, 5 bytes, written 1000000)");
    }
}
