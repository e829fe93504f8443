//! The optimistic copy: a copy that is ordered from listings alone, and confirmed by one read of the source.

use std::time::Duration;

use super::{Decision, Situation, decide};
use crate::bucket_settings::{DefaultEncryption, ReplicationCoverage};
use crate::facts::{Attribute, AttributeSet, Encryption, ObjectFacts, ObjectState};
use crate::listing::{ListedObject, StorageClassName};
use crate::names::VersionId;
use crate::order::{CopyMethod, CopyOrder, SourcePin};
use crate::policy::{AclRule, Ownership, Policy};
use crate::time::Timestamp;

/// Storage classes whose objects cannot be read without a restore.
const ARCHIVES: [&str; 2] = ["GLACIER", "DEEP_ARCHIVE"];

/// Time between the write of an unversioned source object and its copy, from which the read after the copy identifies
/// the object by its time. Times of objects have whole seconds; the rest is for clocks of two regions that differ.
const DISTINCT_WRITES: Duration = Duration::from_secs(2);

/// Copy of an object that only the source lists, ordered before either object was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OptimisticCopy {
    /// Copy of the object with the listed `ETag`, whatever its version, onto an absent object.
    pub order: CopyOrder,
    /// Time of the listed object.
    listed: Timestamp,
}

/// What the response to a copy says of the object that was copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyEvidence<'a> {
    /// Version that was copied, if the source bucket has versioning.
    pub source_version_id: Option<&'a VersionId>,
    /// Time of the copy.
    pub last_modified: Option<Timestamp>,
    /// Time from the request to its response.
    pub duration: Duration,
}

/// Whether a copy that was ordered from listings is final.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyConfirmation {
    /// It is the copy that reads of both objects would have ordered.
    Final,
    /// It is that copy, but the source has tags, which may have been written after the copy: a HEAD of each object shows
    /// whether their numbers are equal.
    Tagged,
    /// It may be of another object, or lack attributes.
    Unconfirmed,
}

impl OptimisticCopy {
    /// Orders the copy of an object that only the source lists, or returns `None` if both objects must be read first.
    ///
    /// The listing must show everything that the copy depends on. `attributes` are those to compare besides what a HEAD
    /// shows.
    #[must_use]
    pub fn of(listed: &ListedObject, attributes: &AttributeSet, policy: &Policy, now: Timestamp) -> Option<Self> {
        let reads_more = attributes
            .iter()
            .any(|attribute| *attribute != Attribute::PendingAnnotations);
        let class = &listed.storage_class;
        let is_readable = *class != StorageClassName::UNKNOWN && !ARCHIVES.contains(&class.as_str());
        let has_kms_keys = !policy.kms_keys.is_empty() || policy.encrypts_with_kms(&Encryption::Managed);
        let etag = listed.etag.as_ref().filter(|etag| !etag.is_multipart())?;
        // The read after the copy would not distinguish the object from one written in the same second.
        let is_recent = now.since(listed.last_modified) <= DISTINCT_WRITES;
        if reads_more
            || is_recent
            || !is_readable
            || has_kms_keys
            || policy.ownership == Ownership::Shared
            || policy.acl == AclRule::Copy
            || policy.dry_run
        {
            return None;
        }
        let source = ObjectState::Present(Box::new(ObjectFacts {
            storage_class: class.as_str().to_owned(),
            ..ObjectFacts::plain(etag.clone(), listed.size_bytes, listed.last_modified)
        }));
        let situation = Situation {
            source: &source,
            destination: &ObjectState::NotFound,
            replication: ReplicationCoverage::NotRead,
            capabilities: None,
            default_encryption: &DefaultEncryption::NotRead,
            encrypts_by_copy: false,
            annotations_pending: false,
            is_just_copied: false,
            now,
        };
        match decide(&situation, policy) {
            Decision::Copy(order) if order.method == CopyMethod::SingleRequest => Some(Self {
                order: *order,
                listed: Timestamp::from_seconds(listed.last_modified.millis().div_euclid(1_000)),
            }),
            _ => None,
        }
    }

    /// Compares the copy with the one that reads of both objects would have ordered.
    ///
    /// `source` was read after the copy, and `order` is the copy of it onto an absent object.
    #[must_use]
    pub fn confirm(&self, source: &ObjectFacts, order: &CopyOrder, copied: &CopyEvidence<'_>) -> CopyConfirmation {
        // The request depends on neither the version nor the checksum.
        let sent = CopyOrder {
            pin: SourcePin {
                version_id: order.pin.version_id.clone(),
                ..self.order.pin.clone()
            },
            source_checksum: order.source_checksum,
            ..self.order.clone()
        };
        if sent != *order || !self.is_same_object(source, copied) {
            CopyConfirmation::Unconfirmed
        } else if source.tag_count.is_some() {
            CopyConfirmation::Tagged
        } else {
            CopyConfirmation::Final
        }
    }

    /// Returns whether the object that was copied is the one that was read afterwards.
    ///
    /// Without versions, the source object is still the listed one if it has the same time and the copy began so much
    /// later that a write after it has another.
    fn is_same_object(&self, source: &ObjectFacts, copied: &CopyEvidence<'_>) -> bool {
        match (copied.source_version_id, &source.version_id) {
            (Some(copied), Some(read)) => copied == read,
            (None, None) => {
                let distinct = self.listed.plus(DISTINCT_WRITES).plus(copied.duration);
                source.last_modified == self.listed && copied.last_modified.is_some_and(|copied| copied >= distinct)
            }
            _ => false,
        }
    }
}
