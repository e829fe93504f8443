//! Decides what one pass does with a key, from what was read of both buckets.

mod attributes;
mod copy;
mod encryption;
mod optimistic;
mod refusal;
mod shared;

use std::time::Duration;

use crate::bucket_settings::{BucketCapabilities, DefaultEncryption, ReplicationCoverage};
use crate::compare::{BodyComparison, compare_bodies};
use crate::diff::SideName;
use crate::facts::{AttributeSet, ObjectFacts, ObjectState};
use crate::names::ETag;
use crate::order::{AttributeUpdate, CopiedMetadata, CopyMethod, CopyOrder, WriteCondition};
use crate::outcome::{DeferralReason, SkipReason, WithheldWrite};
use crate::policy::Policy;
use crate::time::Timestamp;
use crate::versions::VersionName;

pub use self::attributes::not_preserved;
use self::attributes::{hidden_unread, locked_like, may_differ, update_attributes, wanted_of};
use self::copy::{copy, copy_by, copy_over, method, must_read, refuse};
use self::encryption::{EncryptionChange, encryption_change};
pub use self::optimistic::{CopyConfirmation, CopyEvidence, OptimisticCopy};
pub use self::refusal::CopyRefusal;
pub(crate) use shared::is_unfinished;
pub use shared::{SharedSituation, decide_shared};

/// Time for which a key with a pending S3 replication is left to S3's own replication.
///
/// S3 replicates most objects within 15 minutes:
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication.html>
pub const REPLICATION_GRACE: Duration = Duration::from_mins(15);

/// Everything that a decision depends on.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'a> {
    /// State of the key at the source.
    pub source: &'a ObjectState,
    /// State of the key at the destination.
    pub destination: &'a ObjectState,
    /// Whether an S3 replication rule covers the key, if that was read.
    pub replication: ReplicationCoverage,
    /// Attributes that the buckets can store, if that was read.
    pub capabilities: Option<BucketCapabilities>,
    /// Default encryption of the destination bucket, if that was read.
    pub default_encryption: &'a DefaultEncryption,
    /// Whether only a copy can change an object's encryption.
    pub encrypts_by_copy: bool,
    /// Whether a multipart copy at the destination may still lack its annotations.
    pub annotations_pending: bool,
    /// Whether the destination object is the copy that this reconcile just made of the source object.
    pub is_just_copied: bool,
    /// Current time.
    pub now: Timestamp,
}

/// What one pass does with a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Writes nothing, for a reason.
    Skip(SkipReason),
    /// Reads attributes that a HEAD does not show, on both sides, and decides again.
    ReadAttributes(AttributeSet),
    /// Reads attributes of the source object that a HEAD does not show, and decides again.
    ReadSourceAttributes(AttributeSet),
    /// Reads whether an S3 replication rule covers the key, and decides again.
    ReadReplicationCoverage,
    /// Reads which attributes the buckets can store, and decides again.
    ReadBucketCapabilities,
    /// Reads the destination bucket's default encryption, and decides again.
    ReadDefaultEncryption,
    /// Reads the key's versions at the source, and decides again.
    ///
    /// They show whether the source object is s3ferry's copy, or an application wrote it again.
    ReadSourceVersions,
    /// Confirms that one side has no object with this key, and decides again.
    ConfirmAbsence(SideName),
    /// Copies the version that was read, conditionally.
    Copy(Box<CopyOrder>),
    /// Updates attributes of an object whose content is equal.
    UpdateAttributes(Box<AttributeUpdate>),
    /// Deletes the destination's current object if it is still the one that was read.
    Delete {
        /// `ETag` of the object that was read.
        seen: ETag,
    },
    /// Removes the destination's current version: it is s3ferry's, and it hides an external write.
    RemoveVersion {
        /// Current version.
        version: VersionName,
        /// External write that the current version hides.
        hidden: VersionName,
    },
    /// Requeues the key for later.
    Defer(DeferralReason),
    /// Refuses the key: a retry does not help.
    Refuse(CopyRefusal),
}

impl Decision {
    /// Returns the write that the decision begins with; `None` if it writes nothing, or if the part plan comes first.
    #[must_use]
    pub fn first_write(&self) -> Option<WithheldWrite> {
        match self {
            Self::Copy(order) if order.method == CopyMethod::SingleRequest => Some(WithheldWrite::Copy),
            Self::UpdateAttributes(_) => Some(WithheldWrite::UpdateAttributes),
            Self::Delete { .. } => Some(WithheldWrite::Delete),
            Self::RemoveVersion { .. } => Some(WithheldWrite::RemoveVersion),
            _ => None,
        }
    }

    /// Returns the name used in logs.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Skip(reason) => reason.as_str(),
            Self::ReadAttributes(_) | Self::ReadSourceAttributes(_) => "read",
            Self::ReadReplicationCoverage => "read-replication-coverage",
            Self::ReadBucketCapabilities => "read-bucket-capabilities",
            Self::ReadDefaultEncryption => "read-default-encryption",
            Self::ReadSourceVersions => "read-source-versions",
            Self::ConfirmAbsence(_) => "confirm-absence",
            Self::Copy(order) => match order.method {
                CopyMethod::SingleRequest => "copy",
                CopyMethod::Multipart => "multipart-copy",
            },
            Self::UpdateAttributes(_) => "update-attributes",
            Self::Delete { .. } => "delete",
            Self::RemoveVersion { .. } => "remove-version",
            Self::Defer(reason) => reason.as_str(),
            Self::Refuse(refusal) => refusal.code(),
        }
    }
}

/// Decides what to do with a key in scope, if only s3ferry writes to the destination.
#[must_use]
pub fn decide(situation: &Situation<'_>, policy: &Policy) -> Decision {
    match (situation.source, situation.destination.facts()) {
        (ObjectState::Present(source), Some(destination)) => replace(source, destination, situation, policy),
        (ObjectState::Present(source), None) => copy(source, WriteCondition::Absent, situation, policy),
        (_, destination) => source_absent(destination, situation, policy),
    }
}

/// Decides about a key that has no object at the source.
fn source_absent(destination: Option<&ObjectFacts>, situation: &Situation<'_>, policy: &Policy) -> Decision {
    if let Some(side) = unconfirmed_absence(situation, policy) {
        return Decision::ConfirmAbsence(side);
    }
    match destination {
        None => Decision::Skip(SkipReason::BothAbsent),
        Some(_) if !policy.propagate_deletes => Decision::Skip(SkipReason::DeletesNotPropagated),
        Some(destination) => Decision::Delete {
            seen: destination.etag.clone(),
        },
    }
}

/// Returns the side whose absence must be confirmed before the next step.
///
/// For up to 15 minutes after versioning is first enabled, S3 may answer 404 for an existing object. A wrong 404 of
/// the source would leave the object uncopied. A wrong 404 of the destination would leave it undeleted. A copy onto
/// an absent object needs no confirmation: its condition fails if there is one.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/manage-versioning-examples.html>
fn unconfirmed_absence(situation: &Situation<'_>, policy: &Policy) -> Option<SideName> {
    match (situation.source, situation.destination) {
        (ObjectState::Present(_), _) => None,
        (ObjectState::NotFound, _) => Some(SideName::Source),
        (_, ObjectState::NotFound) if policy.propagate_deletes => Some(SideName::Destination),
        _ => None,
    }
}

fn replace(source: &ObjectFacts, destination: &ObjectFacts, situation: &Situation<'_>, policy: &Policy) -> Decision {
    let verdict = compare_bodies(source, destination);
    let unread = may_differ(source, destination);
    match verdict {
        BodyComparison::Identical if !unread.is_empty() => Decision::ReadAttributes(unread),
        BodyComparison::Identical => match encryption_change(source, destination, situation, policy) {
            Ok(change) => update_attributes(source, destination, situation, policy, change),
            Err(decision) => decision,
        },
        BodyComparison::Inconclusive if situation.is_just_copied => {
            update_attributes(source, destination, situation, policy, EncryptionChange::None)
        }
        BodyComparison::Different(_) | BodyComparison::Inconclusive => {
            copy_over(source, destination, situation, policy)
        }
    }
}

/// Returns how long to wait before a copy, so that it gets a later time than a source with tags.
///
/// Two writes within the same second have no known order. Every later reconcile of the key would have to read the
/// tags of both sides.
#[must_use]
pub fn wait_before_copy(source: &ObjectFacts, now: Timestamp) -> Duration {
    let second_after = Timestamp::from_seconds(source.last_modified.millis().div_euclid(1000) + 1);
    let is_tagged = source.tag_count.is_some();
    // A source time in the future means that clocks differ; no wait would help.
    if is_tagged {
        second_after.since(now).min(Duration::from_secs(1))
    } else {
        Duration::ZERO
    }
}

#[cfg(test)]
mod tests;
