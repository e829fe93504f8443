//! The decision: what has to be done about a key, given what both buckets say of it.

mod shared;

use std::time::Duration;

use crate::compare::{Verdict, compare_around, compare_bodies};
use crate::facts::{
    Aspect, Aspects, Availability, Encryption, KmsEncryption, ObjectFacts, ObjectState, ReplicationStatus,
};
use crate::failure::FailureKind;
use crate::history::VersionName;
use crate::lock::ObjectLock;
use crate::marker::{CannotMark, copy_is_comparable};
use crate::names::ETag;
use crate::order::{
    AmendOrder, AnnotationChange, CopyMethod, CopyOrder, LockChange, Metadata, SourcePin, Stated, StatedChecksum,
    WriteCondition,
};
use crate::outcome::{AgainReason, SkipReason};
use crate::plan::{COPY_OBJECT_LIMIT_BYTES, LARGEST_OBJECT_BYTES};
use crate::policy::{AclRule, Policy, PreserveEtag, StorageClassRule};
use crate::time::Timestamp;

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
    /// Whether S3's own replication carries the key to our destination, where somebody asked.
    pub replication: ReplicationCoverage,
    /// What the buckets can keep, where somebody asked.
    pub abilities: Option<Abilities>,
    /// The present time.
    pub now: Timestamp,
}

/// Whether an enabled rule of the source's own replication covers the key and names our destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplicationCoverage {
    /// Nobody asked yet.
    NotAsked,
    /// A rule does.
    OurDestination,
    /// No rule does.
    Elsewhere,
}

/// What the two buckets, by their settings, can keep besides bytes and metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Abilities {
    /// The destination bucket has Object Lock.
    pub object_lock: bool,
    /// Both buckets have access control lists (neither is `BucketOwnerEnforced`).
    pub acl: bool,
}

/// What has to be done about a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Nothing, and why.
    Skip(SkipReason),
    /// Read an aspect that a HEAD does not show, on both sides, and decide again.
    Read(Aspect),
    /// Read aspects of the source's object that a HEAD does not show, and decide again.
    ReadSource(Aspects),
    /// Ask whether S3's own replication covers the key, and decide again.
    AskReplication,
    /// Ask what the buckets can keep, and decide again.
    AskAbilities,
    /// Gather positive evidence that the source has no such object, and decide again.
    ConfirmAbsence,
    /// List the newest versions that the destination has of the key, with the deletes of ours that were announced for
    /// them, and decide again.
    AskHistory,
    /// Read the objects that are listed below the destination's current version, and decide again.
    AskBelow,
    /// Copy the version that was seen, conditionally.
    Copy(Box<CopyOrder>),
    /// Change what lies around the bytes, which are equal.
    Amend(Box<AmendOrder>),
    /// Delete the destination's current object if it is still the one that was seen.
    Delete {
        /// The tag of the object that was seen.
        seen: ETag,
    },
    /// Remove the destination's current version, which is ours and hides one that it should not.
    RemoveVersion(VersionName),
    /// Come back later.
    Again(AgainReason),
    /// It cannot be done, and trying again does not help.
    Refuse(Refusal),
}

impl Decision {
    /// Returns the name used in logs.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Skip(reason) => reason.as_str(),
            Self::Read(_) | Self::ReadSource(_) => "read",
            Self::AskReplication => "ask-replication",
            Self::AskAbilities => "ask-abilities",
            Self::ConfirmAbsence => "confirm-absence",
            Self::AskHistory => "ask-history",
            Self::AskBelow => "ask-below",
            Self::Copy(order) => match order.method {
                CopyMethod::Whole => "copy",
                CopyMethod::Parts => "copy-in-parts",
            },
            Self::Amend(_) => "amend",
            Self::Delete { .. } => "delete",
            Self::RemoveVersion(_) => "remove-version",
            Self::Again(reason) => reason.as_str(),
            Self::Refuse(refusal) => refusal.code(),
        }
    }
}

/// Why an object cannot be copied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Its bytes are archived.
    #[error("the object is archived in {storage_class} and not restored: restore it, which brings it here again")]
    ArchivedNotRestored {
        /// Where it is archived.
        storage_class: String,
    },
    /// Only the holder of its key can read it.
    #[error("the object is encrypted with a customer-provided key, which s3ferry does not have")]
    CustomerKeyEncrypted,
    /// It is larger than anything S3 stores.
    #[error("the object has {size_bytes} bytes, an upload in parts holds at most {LARGEST_OBJECT_BYTES}")]
    TooLarge {
        /// Its size.
        size_bytes: u64,
    },
    /// Nobody could tell its copy from an object of an application.
    #[error("the copy cannot carry a marker of its origin, which shared ownership needs: {0}")]
    CannotBeMarked(CannotMark),
    /// S3's own replication brings it, without a marker.
    #[error(
        "the bucket's own replication writes to the destination too, which shared ownership excludes: end one of both"
    )]
    ReplicatedByS3,
}

impl Refusal {
    /// Returns the name used as the failure's code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::ArchivedNotRestored { .. } => "ArchivedNotRestored",
            Self::CustomerKeyEncrypted => "CustomerKeyEncrypted",
            Self::TooLarge { .. } => "ObjectTooLarge",
            Self::CannotBeMarked(_) => "CannotBeMarked",
            Self::ReplicatedByS3 => "ReplicatedByS3",
        }
    }

    /// Returns what must happen next.
    #[must_use]
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::ReplicatedByS3 => FailureKind::Configuration,
            Self::ArchivedNotRestored { .. }
            | Self::CustomerKeyEncrypted
            | Self::TooLarge { .. }
            | Self::CannotBeMarked(_) => FailureKind::Permanent,
        }
    }
}

/// Decides what has to be done about a key in scope, with the destination owned exclusively.
#[must_use]
pub fn decide(situation: &Situation<'_>, policy: &Policy) -> Decision {
    match (situation.source, situation.destination.facts()) {
        (ObjectState::Present(source), Some(destination)) => replace(source, destination, situation, policy),
        (ObjectState::Present(source), None) => copy(source, WriteCondition::Absent, situation, policy),
        (_, None) => Decision::Skip(SkipReason::BothAbsent),
        (_, Some(_)) if !policy.propagate_deletes => Decision::Skip(SkipReason::DeletesNotPropagated),
        (ObjectState::NotFound, Some(_)) => Decision::ConfirmAbsence,
        (ObjectState::DeleteMarker | ObjectState::ConfirmedAbsent, Some(destination)) => Decision::Delete {
            seen: destination.etag.clone(),
        },
    }
}

fn replace(source: &ObjectFacts, destination: &ObjectFacts, situation: &Situation<'_>, policy: &Policy) -> Decision {
    match compare_bodies(source, destination) {
        Verdict::Identical if tags_may_differ(source, destination) => Decision::Read(Aspect::Tags),
        Verdict::Identical => amend(source, destination, situation, policy),
        Verdict::Different(_) | Verdict::CannotTell(_) => copy_over(source, destination, situation, policy),
    }
}

/// An application may write equal bytes again with other tags, of which a HEAD shows only the number.
///
/// A copy of what was there before is then not newer than the source. Within one second nobody can tell which came
/// first, which is only looked into where there are tags, so that an object without any costs no further requests. A
/// copy that was under way when the source was written may be newer: whoever asked for it reads the source again, and
/// is tried again with the tags read if it cannot.
fn tags_may_differ(source: &ObjectFacts, destination: &ObjectFacts) -> bool {
    if source.tags.is_some() && destination.tags.is_some() {
        return false;
    }
    let is_tagged = source.tag_count.is_some();
    source.tag_count != destination.tag_count
        || source.last_modified > destination.last_modified
        || is_tagged && source.last_modified == destination.last_modified
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
fn amend(source: &ObjectFacts, destination: &ObjectFacts, situation: &Situation<'_>, policy: &Policy) -> Decision {
    let wanted = match wanted_of(source, situation, policy) {
        Ok(wanted) => wanted,
        Err(decision) => return decision,
    };
    if policy.acl == AclRule::Copy && wanted.acl.is_some() && destination.acl.is_none() {
        return Decision::Read(Aspect::Acl);
    }
    if compare_around(&wanted, destination).is_empty() {
        return Decision::Skip(SkipReason::AlreadyIdentical);
    }
    // Without versions there is nothing to address: what is amended may be another object by then. A copy has a
    // condition.
    let Some(version_id) = destination.version_id.clone() else {
        return copy_over(source, destination, situation, policy);
    };
    let differing = |wanted: Option<&_>, present: Option<&_>| {
        wanted.filter(|wanted| present.is_some_and(|p| p != *wanted)).cloned()
    };
    Decision::Amend(Box::new(AmendOrder {
        version_id,
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
    }))
}

/// Returns the source's facts as the destination can hold them, or what must be known first.
fn wanted_of(source: &ObjectFacts, situation: &Situation<'_>, policy: &Policy) -> Result<ObjectFacts, Decision> {
    let lock = source.lock.in_force(situation.now);
    let asks = !lock.is_none() || policy.acl == AclRule::Copy;
    let abilities = match situation.abilities {
        None if asks => return Err(Decision::AskAbilities),
        None => Abilities {
            object_lock: false,
            acl: false,
        },
        Some(abilities) => abilities,
    };
    let acl = match policy.acl {
        AclRule::Copy if abilities.acl => {
            let acl = source.acl.clone();
            Some(acl.ok_or_else(|| Decision::ReadSource(Aspects::from([Aspect::Acl])))?)
        }
        AclRule::Copy | AclRule::Ignore => None,
    };
    Ok(ObjectFacts {
        lock: if abilities.object_lock {
            lock
        } else {
            ObjectLock::default()
        },
        acl,
        ..source.clone()
    })
}

/// Copies onto an object that is there.
fn copy_over(source: &ObjectFacts, destination: &ObjectFacts, situation: &Situation<'_>, policy: &Policy) -> Decision {
    if must_read_tags(source, destination) {
        return Decision::Read(Aspect::Tags);
    }
    copy(
        source,
        WriteCondition::Matches(destination.etag.clone()),
        situation,
        policy,
    )
}

/// The condition cannot tell two copies of the same bytes apart: a slow one may replace a faster one that carries newer
/// tags, which only shows where the tags were read before the copy and after it.
fn must_read_tags(source: &ObjectFacts, destination: &ObjectFacts) -> bool {
    source.etag == destination.etag && (source.tags.is_none() || destination.tags.is_none())
}

fn copy(source: &ObjectFacts, condition: WriteCondition, situation: &Situation<'_>, policy: &Policy) -> Decision {
    if let Some(decision) = leave_to_replication(source, situation) {
        return decision;
    }
    if let Some(refusal) = refuse(source) {
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
    if method == CopyMethod::Parts {
        let wanted = [
            (Aspect::Tags, source.tags.is_none()),
            (Aspect::Annotations, source.annotations.is_none()),
        ];
        let unread: Aspects = wanted
            .into_iter()
            .filter_map(|(aspect, is_unread)| is_unread.then_some(aspect))
            .collect();
        if !unread.is_empty() {
            return Decision::ReadSource(unread);
        }
    }
    let wanted = match wanted_of(source, situation, policy) {
        Ok(wanted) => wanted,
        Err(decision) => return decision,
    };
    let checksums = &source.checksums;
    Decision::Copy(Box::new(CopyOrder {
        pin: SourcePin::of(source),
        condition,
        method,
        stated: stated(wanted, method, policy),
        source_checksum: checksums.values.keys().next().map(|algorithm| StatedChecksum {
            algorithm,
            coverage: checksums.coverage,
        }),
        size_bytes: source.size_bytes,
    }))
}

/// One request copies what it can, unless parts are wanted: for their speed, or for the `ETag` they make.
fn method(source: &ObjectFacts, policy: &Policy) -> CopyMethod {
    let too_large = source.size_bytes > COPY_OBJECT_LIMIT_BYTES;
    let wanted = match policy.preserve_etag {
        PreserveEtag::Large => source.size_bytes > policy.multipart_threshold_bytes || only_parts_tell(source, policy),
        PreserveEtag::Always => source.etag.is_multipart(),
    };
    // No bytes make no parts.
    if too_large || (wanted && source.size_bytes > 0) {
        CopyMethod::Parts
    } else {
        CopyMethod::Whole
    }
}

/// Tells whether a copy by one request could never be told equal, while one in the same parts can: it would be copied
/// again whenever somebody asks.
fn only_parts_tell(source: &ObjectFacts, policy: &Policy) -> bool {
    let encrypts_with_kms = mapped_key(&source.encryption, policy).is_some();
    let tells = |method| copy_is_comparable(source, method, encrypts_with_kms);
    source.etag.is_multipart() && !tells(CopyMethod::Whole) && tells(CopyMethod::Parts)
}

/// Says what S3 would reset, and with parts all that it would not carry over.
fn stated(wanted: ObjectFacts, method: CopyMethod, policy: &Policy) -> Stated {
    let in_parts = method == CopyMethod::Parts;
    Stated {
        storage_class: match &policy.storage_class {
            StorageClassRule::AsSource => wanted.storage_class,
            StorageClassRule::Fixed(class) => class.clone(),
        },
        website_redirect: wanted.website_redirect,
        encryption: mapped_key(&wanted.encryption, policy),
        lock: wanted.lock,
        metadata: in_parts.then_some(Metadata {
            headers: wanted.headers,
            user: wanted.user_metadata,
        }),
        tags: wanted.tags.filter(|_| in_parts),
        checksum: None,
        acl: wanted.acl,
    }
}

fn mapped_key(encryption: &Encryption, policy: &Policy) -> Option<KmsEncryption> {
    let Encryption::Kms(kms) = encryption else { return None };
    let mapped = policy.kms_keys.get(kms.key_arn.as_ref()?)?;
    Some(KmsEncryption {
        key_arn: Some(mapped.clone()),
        ..kms.clone()
    })
}

/// S3's own replication gets a grace period where it is about to do the same.
fn leave_to_replication(source: &ObjectFacts, situation: &Situation<'_>) -> Option<Decision> {
    let pending = source.replication_status == Some(ReplicationStatus::Pending);
    let age = situation.now.since(source.last_modified);
    if !pending || age >= REPLICATION_GRACE {
        return None;
    }
    match situation.replication {
        ReplicationCoverage::NotAsked => Some(Decision::AskReplication),
        ReplicationCoverage::OurDestination => Some(Decision::Again(AgainReason::ReplicationPending {
            remaining: REPLICATION_GRACE.saturating_sub(age),
        })),
        ReplicationCoverage::Elsewhere => None,
    }
}

fn refuse(source: &ObjectFacts) -> Option<Refusal> {
    if source.encryption == Encryption::CustomerKey {
        return Some(Refusal::CustomerKeyEncrypted);
    }
    if source.availability == Availability::Archived {
        return Some(Refusal::ArchivedNotRestored {
            storage_class: source.storage_class.clone(),
        });
    }
    (source.size_bytes > LARGEST_OBJECT_BYTES).then_some(Refusal::TooLarge {
        size_bytes: source.size_bytes,
    })
}

/// Names what the destination does not keep of the source's object, however it gets there: `hinted` is what an event
/// said has changed.
#[must_use]
pub fn not_kept(
    source: &ObjectFacts,
    hinted: &Aspects,
    abilities: Option<Abilities>,
    policy: &Policy,
    now: Timestamp,
) -> Aspects {
    let keeps_locks = abilities.is_none_or(|abilities| abilities.object_lock);
    let ignores_acl = policy.acl == AclRule::Ignore;
    let findings = [
        (Aspect::MissingMetadata, source.missing_metadata > 0),
        (Aspect::Lock, !keeps_locks && !source.lock.in_force(now).is_none()),
        (Aspect::Acl, ignores_acl && hinted.contains(&Aspect::Acl)),
    ];
    findings
        .into_iter()
        .filter_map(|(aspect, is_lost)| is_lost.then_some(aspect))
        .collect()
}

#[cfg(test)]
mod tests;
