//! Decides on the attributes of an object whose content is equal: which to read, to update, or to report.

use crate::bucket_settings::BucketCapabilities;
use crate::encryption::is_weaker;
use crate::facts::{Attribute, AttributeSet, Encryption, HIDDEN_IN_HEAD, ObjectFacts};
use crate::lock::{EventHold, ObjectLock};
use crate::order::{AnnotationChange, AttributeUpdate, LockChange, SourcePin, tags_fit};
use crate::outcome::SkipReason;
use crate::policy::{AclRule, Policy};
use crate::time::Timestamp;

use super::copy::copy_over;
use super::encryption::EncryptionChange;
use super::{Decision, Situation};

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
pub(super) fn may_differ(source: &ObjectFacts, destination: &ObjectFacts) -> AttributeSet {
    let written_since = source.last_modified > destination.last_modified;
    let in_same_second = source.last_modified == destination.last_modified;
    let tags_may = source.tag_count != destination.tag_count || source.tag_count.is_some() && in_same_second;
    let may_differ = |attribute: &Attribute| written_since || *attribute == Attribute::Tags && tags_may;
    hidden_unread(source, destination).filter(may_differ).collect()
}

/// Returns the attributes that no HEAD shows and that were not read on both sides.
pub(super) fn hidden_unread(source: &ObjectFacts, destination: &ObjectFacts) -> impl Iterator<Item = Attribute> {
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

/// Decides which attributes of an equal object have to be updated.
pub(super) fn update_attributes(
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
pub(super) fn wanted_of(
    source: &ObjectFacts,
    situation: &Situation<'_>,
    policy: &Policy,
) -> Result<ObjectFacts, Decision> {
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
pub(super) fn locked_like(source: &ObjectFacts, destination: &ObjectFacts) -> ObjectFacts {
    ObjectFacts {
        lock: destination.lock.join(source.lock),
        ..source.clone()
    }
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
pub(super) fn is_stricter(lock: ObjectLock, wanted: ObjectLock) -> bool {
    let is_held_alone = lock.event_hold.is_some() && wanted.event_hold.is_none() && wanted.retention.is_none();
    let is_locked_longer = !wanted.is_none() && lock != wanted.attainable(lock) && lock.covers(wanted);
    is_held_alone || (lock.event_hold.is_none() && is_locked_longer)
}
