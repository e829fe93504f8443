//! The decision: what has to be done about a key, given what both buckets say of it.

mod encryption;
mod refusal;
mod shared;

use std::time::Duration;

use crate::compare::{BodyComparison, compare_bodies};
use crate::diff::SideName;
use crate::encryption::is_weaker;
use crate::facts::{
    Attribute, AttributeSet, Availability, Encryption, ExplicitEncryption, HIDDEN_IN_HEAD, ObjectFacts, ObjectState,
    ReplicationStatus,
};
use crate::lock::{DefaultRetention, EventHold, ObjectLock};
use crate::marker::copy_is_comparable;
use crate::names::ETag;
use crate::order::{
    AnnotationChange, AttributeUpdate, CopiedMetadata, CopyMethod, CopyOrder, ExplicitAttributes, ExplicitChecksum,
    LockChange, SourcePin, WriteCondition, tags_fit,
};
use crate::outcome::{DeferralReason, SkipReason};
use crate::plan::{COPY_OBJECT_LIMIT_BYTES, LARGEST_OBJECT_BYTES};
use crate::policy::{AclRule, Policy, PreserveEtag, StorageClassRule};
use crate::time::Timestamp;
use crate::versions::VersionName;

use self::encryption::{EncryptionChange, encryption_change};
pub use self::refusal::CopyRefusal;
pub(crate) use shared::is_unfinished;
pub use shared::{SharedSituation, decide_shared};

/// How long a key that S3's own replication reports as pending is left to it.
///
/// S3 replicates most objects within 15 minutes:
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication.html>
pub const REPLICATION_GRACE: Duration = Duration::from_mins(15);

/// Everything a decision depends on.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'a> {
    /// What the source says of the key.
    pub source: &'a ObjectState,
    /// What the destination says of the key.
    pub destination: &'a ObjectState,
    /// Whether S3's own replication carries the key to our destination, where that was read.
    pub replication: ReplicationCoverage,
    /// What the buckets can keep, where that was read.
    pub capabilities: Option<BucketCapabilities>,
    /// How the destination bucket encrypts by default, where that was read.
    pub default_encryption: &'a DefaultEncryption,
    /// Whether an object's encryption can be changed by a copy only.
    pub encrypts_by_copy: bool,
    /// Whether a multipart copy at the destination may not have its annotations yet.
    pub annotations_pending: bool,
    /// Whether the destination's object is the copy that this reconcile just made of the source's object.
    pub is_just_copied: bool,
    /// The present time.
    pub now: Timestamp,
}

/// Whether an enabled rule of the source's own replication covers the key and names our destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplicationCoverage {
    /// Not read yet.
    NotRead,
    /// A rule does.
    Covered,
    /// No rule does.
    NotCovered,
}

/// How the destination bucket encrypts what is written without saying how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DefaultEncryption {
    /// Not read yet.
    NotRead,
    /// It cannot be read.
    Unknown,
    /// This way.
    Known(ExplicitEncryption),
}

/// What the two buckets, by their settings, can keep besides bytes and metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BucketCapabilities {
    /// How the destination bucket locks new versions, where it has Object Lock.
    pub object_lock: Option<BucketObjectLock>,
    /// Both buckets have access control lists (neither is `BucketOwnerEnforced`).
    pub acl: bool,
}

/// How a bucket with Object Lock locks new versions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BucketObjectLock {
    /// The retention of versions that state none of their own.
    pub default: Option<DefaultRetention>,
}

/// What has to be done about a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Nothing, and why.
    Skip(SkipReason),
    /// Read aspects that a HEAD does not show, on both sides, and decide again.
    ReadAttributes(AttributeSet),
    /// Read aspects of the source's object that a HEAD does not show, and decide again.
    ReadSourceAttributes(AttributeSet),
    /// Ask whether S3's own replication covers the key, and decide again.
    ReadReplicationCoverage,
    /// Ask what the buckets can keep, and decide again.
    ReadBucketCapabilities,
    /// Ask how the destination bucket encrypts by default, and decide again.
    ReadDefaultEncryption,
    /// Ask whether the source's object is a copy of s3ferry: its versions show whether an application wrote it again.
    ReadSourceVersions,
    /// Gather positive evidence that one side has no such object, and decide again.
    ConfirmAbsence(SideName),
    /// Copy the version that was seen, conditionally.
    Copy(Box<CopyOrder>),
    /// Change what lies around the bytes, which are equal.
    UpdateAttributes(Box<AttributeUpdate>),
    /// Delete the destination's current object if it is still the one that was seen.
    Delete {
        /// The tag of the object that was seen.
        seen: ETag,
    },
    /// Remove the destination's current version, which is s3ferry's and hides an external write.
    RemoveVersion {
        /// The current version.
        version: VersionName,
        /// What it hides.
        hidden: VersionName,
    },
    /// Come back later.
    Defer(DeferralReason),
    /// It cannot be done, and trying again does not help.
    Refuse(CopyRefusal),
}

impl Decision {
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

/// Decides what has to be done about a key in scope, with the destination owned exclusively.
#[must_use]
pub fn decide(situation: &Situation<'_>, policy: &Policy) -> Decision {
    match (situation.source, situation.destination.facts()) {
        (ObjectState::Present(source), Some(destination)) => replace(source, destination, situation, policy),
        (ObjectState::Present(source), None) => copy(source, WriteCondition::Absent, situation, policy),
        (_, destination) => source_absent(destination, situation, policy),
    }
}

/// Decides about a key without an object at the source.
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

/// Names a side whose 404 is not evidence enough for what would follow from it.
///
/// S3 may answer 404 for an object that is there for up to 15 minutes after versioning was first enabled. Without an
/// object at the source nothing would be copied; without one at the destination nothing would be deleted. (A copy onto
/// an absent object needs no evidence: its condition fails if there is one.)
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
        BodyComparison::Inconclusive(_) if situation.is_just_copied => {
            update_attributes(source, destination, situation, policy, EncryptionChange::None)
        }
        BodyComparison::Different(_) | BodyComparison::Inconclusive(_) => {
            copy_over(source, destination, situation, policy)
        }
    }
}

/// Names attributes of equal bodies that may differ and were not read on both sides: an application may write equal bytes
/// again with other tags, of which a HEAD shows only the number, or other annotations, of which it shows nothing.
///
/// A copy of what was there before is then not newer than the source. Within one second nobody can tell which came
/// first, which is only looked into where there are tags, so that an object without any costs no further requests. A
/// copy that was under way when the source was written may be newer: whoever asked for it reads the source again, and
/// is tried again with these attributes read if it cannot.
fn may_differ(source: &ObjectFacts, destination: &ObjectFacts) -> AttributeSet {
    let written_since = source.last_modified > destination.last_modified;
    let in_same_second = source.last_modified == destination.last_modified;
    let tags_may = source.tag_count != destination.tag_count || source.tag_count.is_some() && in_same_second;
    let may_differ = |attribute: &Attribute| written_since || *attribute == Attribute::Tags && tags_may;
    hidden_unread(source, destination).filter(may_differ).collect()
}

/// Names what no HEAD shows and was not read on both sides.
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

/// Says how long to wait before a copy, so that it is newer than a source with tags: within one second nobody could
/// tell later on which came first, and every look at the key would have to read the tags of both sides.
#[must_use]
pub fn wait_before_copy(source: &ObjectFacts, now: Timestamp) -> Duration {
    let second_after = Timestamp::from_seconds(source.last_modified.millis().div_euclid(1000) + 1);
    let is_tagged = source.tag_count.is_some();
    // A source of the future means that clocks differ, of which no wait can make an end.
    if is_tagged {
        second_after.since(now).min(Duration::from_secs(1))
    } else {
        Duration::ZERO
    }
}

/// Changes what lies around equal bodies, as far as it differs.
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
    // What cannot be changed, as an event hold, is no reason for another look; it is reported.
    if order.attributes().is_empty() {
        return Decision::Skip(SkipReason::AlreadyIdentical);
    }
    // Without versions there is nothing to address: what is amended may be another object by then. Annotations are
    // written on the condition that the object has the tag that was seen; for everything else only a copy has one. Tags
    // that a copy cannot state are written all the same: the reconcile that made the other object reads the source after
    // it, and so does this one.
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

/// Returns the source's facts as the destination can hold them, or what must be known first.
fn wanted_of(source: &ObjectFacts, situation: &Situation<'_>, policy: &Policy) -> Result<ObjectFacts, Decision> {
    let lock = source.lock.in_force(situation.now);
    let asks = !lock.is_none() || policy.acl == AclRule::Copy;
    let capabilities = match situation.capabilities {
        None if asks => return Err(Decision::ReadBucketCapabilities),
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

/// Returns the source's facts with what the equal object at the destination is locked by, too: written again, it stays so.
fn locked_like(source: &ObjectFacts, destination: &ObjectFacts) -> ObjectFacts {
    ObjectFacts {
        lock: destination.lock.join(source.lock),
        ..source.clone()
    }
}

/// Copies onto an object that is there.
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

/// The condition cannot tell two copies of the same bytes apart: a slow one may replace a faster one that carries newer
/// tags or annotations, which only shows where they were read before the copy and after it.
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
    // Whether a KMS key is kept is reported with the copy.
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
        // Parts do not carry them.
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

/// Chooses how bytes are copied: as the policy prefers for speed or for the `ETag` that parts make, unless only the other
/// method makes a copy that can be verified as equal. One that cannot would be made again by every event of its key.
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
    // No bytes make no parts, and parts need every header stated.
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

/// Says what S3 would reset, and with parts all that it would not carry over.
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

/// S3's own replication gets a grace period where it is about to do the same.
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

/// Says why an object cannot be copied; `states_headers` tells whether they do not come with the bytes.
fn refuse(source: &ObjectFacts, states_headers: bool) -> Option<CopyRefusal> {
    if source.encryption == Encryption::CustomerKey {
        return Some(CopyRefusal::CustomerKeyEncrypted);
    }
    if source.availability == Availability::Archived {
        return Some(CopyRefusal::ArchivedNotRestored {
            storage_class: source.storage_class.clone(),
        });
    }
    // A website redirect is stated with every copy.
    let must_state = |name: &String| states_headers || name == "x-amz-website-redirect-location";
    if source.unreadable_headers.keys().any(must_state) {
        let names: Vec<&str> = source.unreadable_headers.keys().map(String::as_str).collect();
        return Some(CopyRefusal::NonUtf8Header {
            headers: names.join(", "),
        });
    }
    (source.size_bytes > LARGEST_OBJECT_BYTES).then_some(CopyRefusal::TooLarge {
        size_bytes: source.size_bytes,
    })
}

/// Names what the destination does not keep of the source's object, however it gets there: `hinted` is what an event
/// said has changed, `destination_lock` the lock that its object has in the end, where that is known, and
/// `destination_encryption` its encryption.
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
    let keeps_locks = capabilities.is_none_or(|capabilities| capabilities.object_lock.is_some());
    let lock = source.lock.in_force(now);
    let ignores_acl = policy.acl == AclRule::Ignore;
    let findings = [
        (Attribute::MissingMetadata, source.missing_metadata > 0),
        (
            Attribute::Lock,
            !keeps_locks && !lock.is_none()
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
                let is_asked_for = policy
                    .encryption_of(&source.encryption)
                    .is_some_and(|asked_for| asked_for.is_of(encryption));
                !is_asked_for && is_weaker(&source.encryption, encryption)
            }),
        ),
        (Attribute::Acl, ignores_acl && hinted.contains(&Attribute::Acl)),
    ];
    findings
        .into_iter()
        .filter_map(|(attribute, is_lost)| is_lost.then_some(attribute))
        .collect()
}

/// Tells whether a lock is stricter than the `wanted` one.
fn is_stricter(lock: ObjectLock, wanted: ObjectLock) -> bool {
    let is_held_alone = lock.event_hold.is_some() && wanted.event_hold.is_none() && wanted.retention.is_none();
    let is_locked_longer = !wanted.is_none() && lock != wanted.attainable(lock) && lock.covers(wanted);
    is_held_alone || (lock.event_hold.is_none() && is_locked_longer)
}

#[cfg(test)]
mod tests;
