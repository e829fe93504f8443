//! What is known of one object: everything a HEAD answers, and its tags where they were asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::acl::Acl;
use crate::lock::ObjectLock;
use crate::names::{ETag, VersionId};
use crate::time::Timestamp;

/// An aspect of an object that its HEAD does not show, or that a copy may not carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Attribute {
    /// The object's tags.
    Tags,
    /// The object's access control list.
    Acl,
    /// Object Lock retention or legal hold.
    Lock,
    /// The encryption.
    Encryption,
    /// The object's annotations.
    Annotations,
    /// Metadata that S3 could not express in headers (`x-amz-missing-meta`).
    MissingMetadata,
    /// An event hold of Object Lock.
    EventHold,
    /// The `ETag` of an object that was uploaded in parts.
    Etag,
    /// The algorithm or the coverage of the stored checksum.
    Checksum,
    /// A multipart copy that an earlier reconcile of the key may have left unfinished.
    UnfinishedUpload,
    /// The destination's lock is stricter than the source's: its bucket's default, or what it had before.
    StricterLock,
    /// Annotations that a multipart copy may not have written yet: read where the destination's object was uploaded in
    /// parts, which do not carry them.
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

/// A set of aspects.
pub type AttributeSet = BTreeSet<Attribute>;

/// The attributes that no HEAD shows and that may be all in which a copy differs from the source: it was made of a version
/// with equal bytes, or its annotations were still to be written.
pub const HIDDEN_IN_HEAD: [Attribute; 2] = [Attribute::Tags, Attribute::Annotations];

/// The headers S3 keeps with an object besides user metadata.
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

/// How an object is encrypted at rest.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Encryption {
    /// With keys S3 manages, or not at all: the `ETag` of a single part is the MD5 of the content.
    #[default]
    Managed,
    /// With a KMS key: the `ETag` says nothing of the content.
    Kms(KmsEncryption),
    /// With a key the customer sends with every request: nobody else can read the object.
    CustomerKey,
}

/// How KMS encrypts an object.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct KmsEncryption {
    /// The ARN of the key, where S3 says it.
    pub key_arn: Option<String>,
    /// Whether the bucket's own key stands between the object and KMS.
    pub bucket_key: bool,
    /// Whether two layers of encryption are applied (`aws:kms:dsse`).
    pub dual_layer: bool,
}

/// The encryption that a write asks for, in place of the bucket's default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum ExplicitEncryption {
    /// With keys that S3 manages (`AES256`).
    Managed,
    /// With a KMS key.
    Kms(KmsEncryption),
}

/// What a stored checksum covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub enum ChecksumCoverage {
    /// The whole content, however it was uploaded.
    #[default]
    FullObject,
    /// The checksums of parts: equal only where the parts are.
    Composite,
}

/// The checksums S3 stores with an object, by algorithm.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoredChecksums {
    /// What the values cover.
    pub coverage: ChecksumCoverage,
    /// Algorithm (as in `CRC64NVME`) to base64 value.
    pub values: BTreeMap<&'static str, String>,
}

/// Where S3's own replication stands with an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplicationStatus {
    /// Not replicated yet; may stay so for long.
    Pending,
    /// All destinations have it.
    Completed,
    /// At least one destination failed; S3 does not try again.
    Failed,
    /// The object is itself a replica.
    Replica,
}

/// Whether an object's bytes can be read at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Availability {
    /// They can.
    #[default]
    Readable,
    /// They are archived and nobody restored them.
    Archived,
}

/// Everything read of one object version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectFacts {
    /// The version, where the bucket's versioning gives it an id that cannot be reused.
    pub version_id: Option<VersionId>,
    /// The tag of the content.
    pub etag: ETag,
    /// When it was written, in whole seconds.
    pub last_modified: Timestamp,
    /// Its size.
    pub size_bytes: u64,
    /// Headers S3 knows.
    pub headers: SystemHeaders,
    /// Headers the application added, by lower-case name without `x-amz-meta-`.
    pub user_metadata: BTreeMap<String, String>,
    /// Headers of either kind whose bytes are not UTF-8, by lower-case name: a copy of the object can carry them over, and
    /// no request can state them.
    pub unreadable_headers: BTreeMap<String, Vec<u8>>,
    /// How many metadata entries S3 could not show.
    pub missing_metadata: u32,
    /// Where a website endpoint redirects; no copy carries it by itself.
    pub website_redirect: Option<String>,
    /// The storage class, `STANDARD` where S3 omits it.
    pub storage_class: String,
    /// Whether a copy can read it now.
    pub availability: Availability,
    /// How it is encrypted.
    pub encryption: Encryption,
    /// Stored checksums.
    pub checksums: StoredChecksums,
    /// Where S3's own replication stands.
    pub replication_status: Option<ReplicationStatus>,
    /// What Object Lock says; a HEAD shows it only to who may read retention and legal holds.
    pub lock: ObjectLock,
    /// How many tags there are, where the HEAD says so: S3 omits it for none, and without the right to read tags.
    pub tag_count: Option<u32>,
    /// The tags; `None` when nobody asked for them.
    pub tags: Option<BTreeMap<String, String>>,
    /// The annotations, name to `ETag`; `None` when nobody asked for them.
    pub annotations: Option<BTreeMap<String, String>>,
    /// The access control list; `None` when nobody asked for it.
    pub acl: Option<Acl>,
}

impl ObjectFacts {
    /// Tells whether `later` is still the very version that `self` describes.
    ///
    /// Compares everything but what S3 changes by itself: the state of its replication, and of a restore.
    /// Tags, annotations and the access control list count where both readings hold them.
    #[must_use]
    pub fn is_still(&self, later: &Self) -> bool {
        let settled = |facts: &Self| Self {
            replication_status: None,
            availability: Availability::Readable,
            tags: None,
            annotations: None,
            acl: None,
            ..facts.clone()
        };
        settled(self) == settled(later)
            && agree(self.tags.as_ref(), later.tags.as_ref())
            && agree(self.annotations.as_ref(), later.annotations.as_ref())
            && agree(self.acl.as_ref(), later.acl.as_ref())
    }

    /// Adds what an `earlier` reading of the same object has and this one was not asked for.
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

/// Tells whether two readings agree; a side that was not read agrees with everything.
pub(crate) fn agree<T: PartialEq>(one: Option<&T>, other: Option<&T>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => one == other,
        _ => true,
    }
}

/// What a bucket says of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ObjectState {
    /// An object is there.
    Present(Box<ObjectFacts>),
    /// The current version is a delete marker.
    DeleteMarker,
    /// The answer was 404 without a delete marker: no evidence of anything yet.
    NotFound,
    /// The key's versions were listed and there is no current one.
    ConfirmedAbsent,
}

impl ObjectState {
    /// Returns the facts where an object is there.
    #[must_use]
    pub fn facts(&self) -> Option<&ObjectFacts> {
        match self {
            Self::Present(facts) => Some(facts),
            Self::DeleteMarker | Self::NotFound | Self::ConfirmedAbsent => None,
        }
    }

    /// Tells whether nothing changed between this reading and a `later` one.
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
    /// Says enough to follow a decision, and nothing that an application stored: no metadata, no tags.
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
            etag: ETag::new(etag).unwrap(),
            last_modified: Timestamp::from_seconds(1_000),
            size_bytes: 5,
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
    fn any_written_fact_makes_another_version() {
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
    fn what_s3_changes_by_itself_does_not() {
        check_still(true, |facts| {
            facts.replication_status = Some(ReplicationStatus::Completed);
        });
        check_still(true, |facts| facts.availability = Availability::Archived);
    }

    #[test]
    fn tags_count_where_both_sides_were_read() {
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
    fn what_an_application_stored_is_not_displayed() {
        let mut facts = object("aa");
        facts.user_metadata.insert("owner".into(), "secret".into());
        facts.tags = Some(BTreeMap::from([("a".into(), "secret".into())]));
        facts.headers.content_disposition = Some("secret".into());
        facts.website_redirect = Some("secret".into());
        let displayed = ObjectState::Present(Box::new(facts)).to_string();
        assert_eq!(displayed, "object (version v1, ETag aa, 5 bytes, written 1000000)");
    }
}
