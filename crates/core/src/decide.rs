//! Decides what one pass does with a key, from what was read of both buckets.

mod encryption;
mod refusal;
mod shared;

use std::time::Duration;

use crate::bucket_settings::{BucketCapabilities, DefaultEncryption, ReplicationCoverage};
use crate::compare::{BodyComparison, compare_bodies};
use crate::diff::SideName;
use crate::encryption::is_weaker;
use crate::facts::{
    Attribute, AttributeSet, Availability, Encryption, HIDDEN_IN_HEAD, ObjectFacts, ObjectState, ReplicationStatus,
};
use crate::lock::{EventHold, ObjectLock};
use crate::marker::copy_is_comparable;
use crate::names::ETag;
use crate::order::{
    AnnotationChange, AttributeUpdate, CopiedMetadata, CopyMethod, CopyOrder, ExplicitAttributes, ExplicitChecksum,
    LockChange, SourcePin, WriteCondition, tags_fit,
};
use crate::outcome::{DeferralReason, SkipReason, WithheldWrite};
use crate::plan::{COPY_OBJECT_LIMIT_BYTES, LARGEST_OBJECT_BYTES};
use crate::policy::{AclRule, Policy, PreserveEtag, StorageClassRule};
use crate::time::Timestamp;
use crate::versions::VersionName;

use self::encryption::{EncryptionChange, encryption_change};
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

/// Returns the attributes that may differ although content and metadata are equal, and that were not read on both
/// sides.
///
/// An application may write equal bytes again with other tags or annotations. A HEAD shows only the number of tags,
/// and nothing of annotations. If the source was written before the destination, its attributes were copied with it.
///
/// Both times have whole seconds, so two writes within one second have no known order. Tags are then read if the
/// source has any; an object without tags costs no further requests. Tags are also read if their number differs. A
/// copy that was in progress when the source was written may be newer. The reconcile that made this copy reads the
/// source again; if it cannot, the retry reads these attributes.
fn may_differ(source: &ObjectFacts, destination: &ObjectFacts) -> AttributeSet {
    let written_since = source.last_modified > destination.last_modified;
    let in_same_second = source.last_modified == destination.last_modified;
    let tags_may = source.tag_count != destination.tag_count || source.tag_count.is_some() && in_same_second;
    let may_differ = |attribute: &Attribute| written_since || *attribute == Attribute::Tags && tags_may;
    hidden_unread(source, destination).filter(may_differ).collect()
}

/// Returns the attributes that no HEAD shows and that were not read on both sides.
fn hidden_unread(source: &ObjectFacts, destination: &ObjectFacts) -> impl Iterator<Item = Attribute> {
    let is_unread = |facts: &ObjectFacts, attribute| match attribute {
        Attribute::Tags => facts.tags.is_none(),
        _ => facts.annotations.is_none(),
    };
    let unread = HIDDEN_IN_HEAD.map(|attribute| {
        (
            attribute,
            is_unread(source, attribute) || is_unread(destination, attribute),
        )
    });
    unread
        .into_iter()
        .filter_map(|(attribute, is_unread)| is_unread.then_some(attribute))
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

/// Decides which attributes of an equal object have to be updated.
fn update_attributes(
    source: &ObjectFacts,
    destination: &ObjectFacts,
    situation: &Situation<'_>,
    policy: &Policy,
    encryption: EncryptionChange,
) -> Decision {
    let may_lack_annotations = situation.annotations_pending && destination.etag.is_multipart();
    if may_lack_annotations && hidden_unread(source, destination).any(|attribute| attribute == Attribute::Annotations) {
        return Decision::ReadAttributes(AttributeSet::from([Attribute::Annotations]));
    }
    let wanted = match wanted_of(source, situation, policy) {
        Ok(wanted) => wanted,
        Err(decision) => return decision,
    };
    if policy.acl == AclRule::Copy && wanted.acl.is_some() && destination.acl.is_none() {
        return Decision::ReadAttributes(AttributeSet::from([Attribute::Acl]));
    }
    let encryption = match encryption {
        EncryptionChange::ByCopy(_) => {
            return copy_over(&locked_like(source, destination), destination, situation, policy);
        }
        EncryptionChange::InPlace(kms) => Some(kms),
        EncryptionChange::None => None,
    };
    let differing = |wanted: Option<&_>, present: Option<&_>| {
        wanted.filter(|wanted| present.is_some_and(|p| p != *wanted)).cloned()
    };
    let order = AttributeUpdate {
        version_id: destination.version_id.clone(),
        etag: destination.etag.clone(),
        pin: SourcePin::of(source),
        tags: differing(wanted.tags.as_ref(), destination.tags.as_ref()),
        lock: LockChange::between(destination.lock, wanted.lock),
        annotations: match (&destination.annotations, &wanted.annotations) {
            (Some(present), Some(wanted)) if present != wanted => Some(AnnotationChange::between(present, wanted)),
            _ => None,
        },
        acl: match (&destination.acl, &wanted.acl) {
            (Some(present), Some(wanted)) if present != wanted => Some(wanted.clone()),
            _ => None,
        },
        encryption,
    };
    // Attributes that no request can change, such as an event hold, cause no further pass; they are reported.
    if order.attributes().is_empty() {
        return Decision::Skip(SkipReason::AlreadyIdentical);
    }
    // Without a version id the update may hit an object that was written concurrently. Annotations are written
    // conditionally on the `ETag` that was read; every other attribute needs a conditional copy. Tags that do not fit
    // into a copy's headers are written anyway: the reconcile that copied the other object reads the source again
    // afterwards, and this one does too.
    let without_copy = |attribute: &Attribute| match attribute {
        Attribute::Annotations => true,
        Attribute::Tags => !tags_fit(source),
        _ => false,
    };
    if order.version_id.is_none() && !order.attributes().iter().all(without_copy) {
        return copy_over(source, destination, situation, policy);
    }
    Decision::UpdateAttributes(Box::new(order))
}

/// Returns the source's facts as the destination can store them, or the decision to read more first.
fn wanted_of(source: &ObjectFacts, situation: &Situation<'_>, policy: &Policy) -> Result<ObjectFacts, Decision> {
    let lock = source.lock.in_force(situation.now);
    let needs_capabilities = !lock.is_none() || policy.acl == AclRule::Copy;
    let capabilities = match situation.capabilities {
        None if needs_capabilities => return Err(Decision::ReadBucketCapabilities),
        None => BucketCapabilities {
            object_lock: None,
            acl: false,
        },
        Some(capabilities) => capabilities,
    };
    let acl = match policy.acl {
        AclRule::Copy if capabilities.acl => {
            let acl = source.acl.clone();
            Some(acl.ok_or_else(|| Decision::ReadSourceAttributes(AttributeSet::from([Attribute::Acl])))?)
        }
        AclRule::Copy | AclRule::Ignore => None,
    };
    Ok(ObjectFacts {
        lock: if capabilities.object_lock.is_some() {
            lock
        } else {
            ObjectLock::default()
        },
        acl,
        ..source.clone()
    })
}

/// Returns the source's facts with the joined lock of both sides, so that a repeated copy is not locked less.
fn locked_like(source: &ObjectFacts, destination: &ObjectFacts) -> ObjectFacts {
    ObjectFacts {
        lock: destination.lock.join(source.lock),
        ..source.clone()
    }
}

/// Decides on a copy over an existing object.
fn copy_over(source: &ObjectFacts, destination: &ObjectFacts, situation: &Situation<'_>, policy: &Policy) -> Decision {
    let unread = must_read(source, destination);
    if !unread.is_empty() {
        return Decision::ReadAttributes(unread);
    }
    copy(
        source,
        WriteCondition::Matches(destination.etag.clone()),
        situation,
        policy,
    )
}

/// Returns the attributes to read before an object is replaced by one with the same `ETag`.
///
/// The condition of the write cannot distinguish two copies of the same bytes. A slow copy may replace a faster one
/// that has newer tags or annotations. Only reads before and after the copy show that.
fn must_read(source: &ObjectFacts, destination: &ObjectFacts) -> AttributeSet {
    if source.etag == destination.etag {
        hidden_unread(source, destination).collect()
    } else {
        AttributeSet::new()
    }
}

fn copy(source: &ObjectFacts, condition: WriteCondition, situation: &Situation<'_>, policy: &Policy) -> Decision {
    if let Some(decision) = leave_to_replication(source, situation) {
        return decision;
    }
    if let Some(refusal) = refuse(source, source.size_bytes > COPY_OBJECT_LIMIT_BYTES) {
        return Decision::Refuse(refusal);
    }
    copy_by(method(source, policy), source, condition, situation, policy)
}

fn copy_by(
    method: CopyMethod,
    source: &ObjectFacts,
    condition: WriteCondition,
    situation: &Situation<'_>,
    policy: &Policy,
) -> Decision {
    if method == CopyMethod::Multipart {
        let wanted = [
            (Attribute::Tags, source.tags.is_none()),
            (Attribute::Annotations, source.annotations.is_none()),
        ];
        let unread: AttributeSet = wanted
            .into_iter()
            .filter_map(|(attribute, is_unread)| is_unread.then_some(attribute))
            .collect();
        if !unread.is_empty() {
            return Decision::ReadSourceAttributes(unread);
        }
    }
    let wanted = match wanted_of(source, situation, policy) {
        Ok(wanted) => wanted,
        Err(decision) => return decision,
    };
    // The report of the copy says whether the KMS key is preserved, which depends on the bucket's default.
    let is_left_to_bucket =
        matches!(source.encryption, Encryption::Kms(_)) && policy.encryption_of(&source.encryption).is_none();
    if is_left_to_bucket && *situation.default_encryption == DefaultEncryption::NotRead {
        return Decision::ReadDefaultEncryption;
    }
    let checksums = &source.checksums;
    let default = situation
        .capabilities
        .and_then(|capabilities| capabilities.object_lock?.default);
    let lock = wanted.lock.beside_default(default, situation.now);
    let follow_up = [
        (Attribute::Lock, lock != wanted.lock),
        (Attribute::Tags, method == CopyMethod::Multipart && !tags_fit(source)),
        // `UploadPartCopy` does not copy annotations.
        (
            Attribute::Annotations,
            method == CopyMethod::Multipart
                && wanted
                    .annotations
                    .as_ref()
                    .is_some_and(|annotations| !annotations.is_empty()),
        ),
    ];
    let follow_up = follow_up.into_iter().filter(|(_, follows)| *follows);
    Decision::Copy(Box::new(CopyOrder {
        pin: SourcePin::of(source),
        in_place: None,
        condition,
        method,
        follow_up: follow_up.map(|(attribute, _)| attribute).collect(),
        explicit: explicit(ObjectFacts { lock, ..wanted }, method, policy),
        source_checksum: checksums.values.keys().next().map(|algorithm| ExplicitChecksum {
            algorithm,
            coverage: checksums.coverage,
        }),
        size_bytes: source.size_bytes,
    }))
}

/// Chooses between a single-request copy and a multipart copy.
///
/// The policy decides, for speed or for the source's `ETag`. The other method is chosen if only that one makes a copy
/// that can be verified as equal. A copy that cannot be verified would be repeated for every event of its key.
fn method(source: &ObjectFacts, policy: &Policy) -> CopyMethod {
    let prefers_parts = match policy.preserve_etag {
        PreserveEtag::Large => source.size_bytes > policy.multipart_threshold_bytes,
        PreserveEtag::Always => source.etag.is_multipart(),
    };
    let encrypts_with_kms = policy.encrypts_with_kms(&source.encryption);
    let is_comparable = |method| copy_is_comparable(source, method, encrypts_with_kms);
    let only_other = |preferred, other| !is_comparable(preferred) && is_comparable(other);
    if source.size_bytes > COPY_OBJECT_LIMIT_BYTES {
        return CopyMethod::Multipart;
    }
    // An empty object has no parts, and a multipart copy has to set every header itself.
    if source.size_bytes == 0 || !source.unreadable_headers.is_empty() {
        return CopyMethod::SingleRequest;
    }
    let (preferred, other) = if prefers_parts {
        (CopyMethod::Multipart, CopyMethod::SingleRequest)
    } else {
        (CopyMethod::SingleRequest, CopyMethod::Multipart)
    };
    if only_other(preferred, other) { other } else { preferred }
}

/// Returns the attributes that the write sets itself: those that S3 would reset, and all others for a multipart copy.
fn explicit(wanted: ObjectFacts, method: CopyMethod, policy: &Policy) -> ExplicitAttributes {
    let tags_fit = tags_fit(&wanted);
    let multipart = method == CopyMethod::Multipart;
    ExplicitAttributes {
        storage_class: match &policy.storage_class {
            StorageClassRule::AsSource => wanted.storage_class,
            StorageClassRule::Fixed(class) => class.clone(),
        },
        website_redirect: wanted.website_redirect,
        encryption: policy.encryption_of(&wanted.encryption),
        lock: wanted.lock,
        metadata: multipart.then_some(CopiedMetadata {
            headers: wanted.headers,
            user: wanted.user_metadata,
        }),
        tags: wanted.tags.filter(|_| multipart && tags_fit),
        checksum: None,
        acl: wanted.acl,
    }
}

/// Defers a key while S3's own replication is about to replicate the object.
fn leave_to_replication(source: &ObjectFacts, situation: &Situation<'_>) -> Option<Decision> {
    let pending = source.replication_status == Some(ReplicationStatus::Pending);
    let age = situation.now.since(source.last_modified);
    if !pending || age >= REPLICATION_GRACE {
        return None;
    }
    match situation.replication {
        ReplicationCoverage::NotRead => Some(Decision::ReadReplicationCoverage),
        ReplicationCoverage::Covered => Some(Decision::Defer(DeferralReason::ReplicationPending {
            remaining: REPLICATION_GRACE.saturating_sub(age),
        })),
        ReplicationCoverage::NotCovered => None,
    }
}

/// Returns why an object cannot be copied; `sets_headers` is true if the copy has to set all headers itself.
fn refuse(source: &ObjectFacts, sets_headers: bool) -> Option<CopyRefusal> {
    if source.encryption == Encryption::CustomerKey {
        return Some(CopyRefusal::CustomerKeyEncrypted);
    }
    if source.availability == Availability::Archived {
        return Some(CopyRefusal::ArchivedNotRestored {
            storage_class: source.storage_class.clone(),
        });
    }
    // Every copy sets the website redirect.
    let must_set = |name: &String| sets_headers || name == "x-amz-website-redirect-location";
    if source.unreadable_headers.keys().any(must_set) {
        let names: Vec<&str> = source.unreadable_headers.keys().map(String::as_str).collect();
        return Some(CopyRefusal::NonUtf8Header {
            headers: names.join(", "),
        });
    }
    (source.size_bytes > LARGEST_OBJECT_BYTES).then_some(CopyRefusal::TooLarge {
        size_bytes: source.size_bytes,
    })
}

/// Returns the attributes of the source object that the destination does not preserve, whatever wrote it.
///
/// `hinted` are the attributes that an event named as changed. `destination_lock` and `destination_encryption` are
/// those of the destination object after the pass, if known.
#[must_use]
pub fn not_preserved(
    source: &ObjectFacts,
    destination_lock: Option<ObjectLock>,
    destination_encryption: Option<&Encryption>,
    hinted: &AttributeSet,
    capabilities: Option<BucketCapabilities>,
    policy: &Policy,
    now: Timestamp,
) -> AttributeSet {
    let stores_locks = capabilities.is_none_or(|capabilities| capabilities.object_lock.is_some());
    let lock = source.lock.in_force(now);
    let ignores_acl = policy.acl == AclRule::Ignore;
    let findings = [
        (Attribute::MissingMetadata, source.missing_metadata > 0),
        (
            Attribute::Lock,
            !stores_locks && !lock.is_none()
                || destination_lock.is_some_and(|other| other.event_hold.is_some() && lock.retention.is_some()),
        ),
        (
            Attribute::StricterLock,
            destination_lock.is_some_and(|other| is_stricter(other, lock)),
        ),
        (
            Attribute::EventHold,
            lock.event_hold == Some(EventHold::Unknown)
                || lock.event_hold.is_some()
                    && destination_lock.is_some_and(|other| other.event_hold != lock.event_hold),
        ),
        (
            Attribute::Encryption,
            destination_encryption.is_some_and(|encryption| {
                let is_requested = policy
                    .encryption_of(&source.encryption)
                    .is_some_and(|requested| requested.is_of(encryption));
                !is_requested && is_weaker(&source.encryption, encryption)
            }),
        ),
        (Attribute::Acl, ignores_acl && hinted.contains(&Attribute::Acl)),
    ];
    findings
        .into_iter()
        .filter_map(|(attribute, is_not_preserved)| is_not_preserved.then_some(attribute))
        .collect()
}

/// Returns whether a lock is stricter than the `wanted` one.
fn is_stricter(lock: ObjectLock, wanted: ObjectLock) -> bool {
    let is_held_alone = lock.event_hold.is_some() && wanted.event_hold.is_none() && wanted.retention.is_none();
    let is_locked_longer = !wanted.is_none() && lock != wanted.attainable(lock) && lock.covers(wanted);
    is_held_alone || (lock.event_hold.is_none() && is_locked_longer)
}

#[cfg(test)]
mod tests;
