//! The decision where applications write to the destination, too: the newer object wins, and only what carries our bound
//! marker is ours.

use super::{
    CopyOrder, Decision, Metadata, Refusal, Situation, SkipReason, amend, copy_by, leave_to_replication, mapped_key,
    may_differ, method, must_read, refuse, unconfirmed_absence,
};
use crate::compare::{Verdict, compare_marked_bodies};
use crate::facts::{ObjectFacts, ObjectState};
use crate::history::{Deleter, Past, VersionName, VersionStamp};
use crate::marker::{MARKER_NAME, Marker, Place, is_newer, without_marker};
use crate::order::WriteCondition;
use crate::outcome::AgainReason;
use crate::policy::Policy;

/// Everything a decision depends on in shared mode.
#[derive(Debug, Clone, Copy)]
pub struct SharedSituation<'a> {
    /// What it depends on in any mode.
    pub situation: Situation<'a>,
    /// Where the source's object is.
    pub source_place: Place<'a>,
    /// Where the destination's object is.
    pub destination_place: Place<'a>,
    /// The versions below the destination's current one, where somebody asked.
    pub past: Option<&'a Past>,
    /// Whether an earlier write of ours may not have been checked.
    pub looks_back: bool,
}

/// Decides what has to be done about a key in scope, with a destination that others write to.
#[must_use]
pub fn decide_shared(shared: &SharedSituation<'_>, policy: &Policy) -> Decision {
    let situation = &shared.situation;
    let ours = situation
        .destination
        .facts()
        .and_then(|facts| Marker::bound(facts, shared.destination_place));
    if let Some(decision) = look_back(shared, ours.as_ref()) {
        return decision;
    }
    if let Some(side) = unconfirmed_absence(situation, policy) {
        return Decision::ConfirmAbsence(side);
    }
    match (situation.source, situation.destination) {
        (ObjectState::Present(source), _) if Marker::bound(source, shared.source_place).is_some() => {
            Decision::Skip(SkipReason::SourceIsReplica)
        }
        (ObjectState::Present(source), ObjectState::Present(destination)) => {
            replace(source, destination, ours.as_ref(), shared, policy)
        }
        (ObjectState::Present(source), ObjectState::DeleteMarker) => bring_back(source, shared, policy),
        (ObjectState::Present(source), ObjectState::NotFound | ObjectState::ConfirmedAbsent) => {
            copy(source, WriteCondition::Absent, None, shared, policy)
        }
        (_, ObjectState::Present(destination)) => delete(destination, ours.is_some(), shared, policy),
        (_, ObjectState::DeleteMarker | ObjectState::NotFound | ObjectState::ConfirmedAbsent) => {
            Decision::Skip(SkipReason::BothAbsent)
        }
    }
}

/// Finds a write of ours that hides somebody else's, whose condition only saw equal bytes.
fn look_back(shared: &SharedSituation<'_>, ours: Option<&Marker>) -> Option<Decision> {
    let destination = shared.situation.destination;
    let is_delete_marker = *destination == ObjectState::DeleteMarker;
    let Some(past) = shared.past else {
        let can_hide = ours.is_some() || is_delete_marker;
        return (shared.looks_back && can_hide).then_some(Decision::AskHistory);
    };
    let is_misplaced = match (ours, &past.below) {
        (Some(marker), None) if marker.hides(past.second()) => return Some(Decision::AskBelow),
        (Some(marker), Some(below)) => hides_theirs(marker, &past.versions, &markers(below, shared)),
        (Some(_), None) => false,
        (None, _) => is_delete_marker && past.delete_marker() == Deleter::UsByMistake,
    };
    let current = past.versions.first().filter(|_| is_misplaced)?;
    Some(Decision::RemoveVersion(current.version.clone()))
}

/// The versions that are copies of ours, with their markers.
type Markers = Vec<(VersionName, Marker)>;

fn markers(objects: &[ObjectFacts], shared: &SharedSituation<'_>) -> Markers {
    let marked = objects.iter().filter_map(|facts| {
        let marker = Marker::bound(facts, shared.destination_place)?;
        Some((VersionName::of(facts.version_id.as_ref()), marker))
    });
    marked.collect()
}

/// Tells whether the copy at the top of `versions` hides somebody else's, itself or by another copy of ours below it.
///
/// An application may have written a copy of ours again as it was, marker and all: that hides nothing which the
/// application did not want hidden.
fn hides_theirs(marker: &Marker, versions: &[VersionStamp], below: &Markers) -> bool {
    let [_, rest @ ..] = versions else { return false };
    let marker_of = |stamp: &VersionStamp| {
        let found = below.iter().find(|(version, _)| *version == stamp.version);
        found.map(|(_, marker)| marker)
    };
    if !marker.hides(rest.first()) || rest.iter().any(|stamp| marker_of(stamp) == Some(marker)) {
        return false;
    }
    let second = rest.first().and_then(marker_of);
    second.is_none_or(|second| hides_theirs(second, rest, below))
}

/// An object on both sides.
fn replace(
    source: &ObjectFacts,
    destination: &ObjectFacts,
    ours: Option<&Marker>,
    shared: &SharedSituation<'_>,
    policy: &Policy,
) -> Decision {
    let is_identical = compare_marked_bodies(source, destination, ours) == Verdict::Identical;
    let unread = may_differ(source, destination);
    if is_identical && !unread.is_empty() {
        return Decision::Read(unread);
    }
    if is_identical {
        match amend(source, destination, &shared.situation, policy) {
            // What is somebody else's is replaced or left, not changed.
            Decision::Amend(_) if ours.is_none() => {}
            Decision::Copy(_) => {}
            decision => return decision,
        }
    }
    if ours.is_none() && !is_newer(source.last_modified, destination.last_modified) {
        return Decision::Skip(SkipReason::DestinationNewer);
    }
    let unread = must_read(source, destination);
    if !unread.is_empty() {
        return Decision::Read(unread);
    }
    // Before ours is buried it is certain that it hides nothing.
    if ours.is_some() && shared.past.is_none() {
        return Decision::AskHistory;
    }
    let over = VersionName::of(destination.version_id.as_ref());
    copy(
        source,
        WriteCondition::Matches(destination.etag.clone()),
        Some(over),
        shared,
        policy,
    )
}

/// An object at the source, and a delete marker at the destination.
fn bring_back(source: &ObjectFacts, shared: &SharedSituation<'_>, policy: &Policy) -> Decision {
    let Some(past) = shared.past else {
        return Decision::AskHistory;
    };
    let Some(marker) = past.versions.first() else {
        return Decision::AskHistory;
    };
    let is_theirs = past.delete_marker() == Deleter::SomebodyElse;
    if is_theirs && !is_newer(source.last_modified, marker.last_modified) {
        return Decision::Skip(SkipReason::DestinationNewer);
    }
    copy(
        source,
        WriteCondition::Absent,
        Some(marker.version.clone()),
        shared,
        policy,
    )
}

/// No object at the source, and one at the destination.
fn delete(destination: &ObjectFacts, is_ours: bool, shared: &SharedSituation<'_>, policy: &Policy) -> Decision {
    if !policy.propagate_deletes {
        return Decision::Skip(SkipReason::DeletesNotPropagated);
    }
    if !is_ours {
        return Decision::Skip(SkipReason::NotOurs);
    }
    if shared.past.is_none() {
        return Decision::AskHistory;
    }
    Decision::Delete {
        seen: destination.etag.clone(),
    }
}

/// Copies with a marker.
fn copy(
    source: &ObjectFacts,
    condition: WriteCondition,
    over: Option<VersionName>,
    shared: &SharedSituation<'_>,
    policy: &Policy,
) -> Decision {
    let situation = &shared.situation;
    match leave_to_replication(source, situation) {
        Some(Decision::Again(AgainReason::ReplicationPending { .. })) => {
            return Decision::Refuse(Refusal::ReplicatedByS3);
        }
        Some(decision) => return decision,
        None => {}
    }
    if let Some(refusal) = refuse(source) {
        return Decision::Refuse(refusal);
    }
    let encrypts_with_kms = mapped_key(&source.encryption, policy).is_some();
    let preferred = method(source, policy);
    let bound = Marker::for_copy(
        source,
        preferred,
        encrypts_with_kms,
        shared.destination_place,
        over,
        situation.now,
    );
    let (method, marker) = match bound {
        Ok(bound) => bound,
        Err(cause) => return Decision::Refuse(Refusal::CannotBeMarked(cause)),
    };
    match copy_by(method, source, condition, situation, policy) {
        Decision::Copy(order) => Decision::Copy(with_marker(order, source, &marker)),
        decision => decision,
    }
}

/// States headers and user metadata with the marker among them, in the same request as the bytes.
fn with_marker(mut order: Box<CopyOrder>, source: &ObjectFacts, marker: &Marker) -> Box<CopyOrder> {
    let kept = without_marker(&source.user_metadata).map(|(name, value)| (name.clone(), value.clone()));
    order.stated.metadata = Some(Metadata {
        headers: source.headers.clone(),
        user: kept.chain([(MARKER_NAME.to_owned(), marker.to_text())]).collect(),
    });
    order
}

#[cfg(test)]
mod tests;
