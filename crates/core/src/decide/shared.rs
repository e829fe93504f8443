//! Decides what one pass does with a key if applications write to the destination, too.
//!
//! The newer object wins. Only an object with s3ferry's marker is replaced whenever the source differs.

mod copy;

use self::copy::copy;
use super::{
    Decision, EncryptionChange, Situation, SkipReason, encryption_change, hidden_unread, locked_like, may_differ,
    must_read, unconfirmed_absence, update_attributes, wanted_of,
};
use crate::attributes::{AttributeChange, tags_are_known};
use crate::compare::{BodyComparison, compare_bodies};
use crate::facts::{Attribute, AttributeSet, Availability, ExplicitEncryption, ObjectFacts, ObjectState};
use crate::marker::{Marker, ObjectLocation};
use crate::names::ObjectKey;
use crate::order::{CopyMethod, SourcePin, WriteCondition, tags_fit};
use crate::policy::Policy;
use crate::route::MigrationRoute;
use crate::version_history::{VersionExamination, VersionOwner};
use crate::versions::VersionName;

/// Everything that a decision depends on in shared ownership.
#[derive(Debug, Clone, Copy)]
pub struct SharedSituation<'a> {
    /// Situation as in exclusive ownership.
    pub situation: Situation<'a>,
    /// Source and destination bucket.
    pub route: &'a MigrationRoute,
    /// Key that is reconciled.
    pub key: &'a ObjectKey,
    /// Writers of the destination's versions.
    pub history: &'a VersionExamination,
    /// Whether the key's versions at the source show that the source object is s3ferry's copy; `None` if they were
    /// not read.
    pub source_is_copy: Option<bool>,
}

impl<'a> SharedSituation<'a> {
    fn source_location(&self) -> ObjectLocation<'a> {
        ObjectLocation {
            bucket: &self.route.source,
            key: self.key,
        }
    }

    fn destination_location(&self) -> ObjectLocation<'a> {
        ObjectLocation {
            bucket: &self.route.destination,
            key: self.key,
        }
    }

    /// Returns whether the source object has the marker of a copy that s3ferry made of the destination object, as in
    /// the reverse direction. An application may have written it again with that marker; the source's versions show
    /// that.
    fn may_be_replica(&self, source: &ObjectFacts) -> bool {
        let marker = Marker::bound(source, self.source_location());
        marker.is_some_and(|marker| marker.source_bucket == self.route.destination)
    }

    fn newest_version(&self) -> Option<VersionName> {
        self.history.newest.as_ref().map(|newest| newest.version.clone())
    }
}

/// Decides what to do with a key in scope, if applications write to the destination, too.
#[must_use]
pub fn decide_shared(shared: &SharedSituation<'_>, policy: &Policy) -> Decision {
    use ObjectState::{ConfirmedAbsent, DeleteMarker, NotFound, Present};
    if let (Some(version), Some(hidden)) = (shared.newest_version(), &shared.history.hidden) {
        let hidden = hidden.clone();
        return Decision::RemoveVersion { version, hidden };
    }
    if let Some(side) = unconfirmed_absence(&shared.situation, policy) {
        return Decision::ConfirmAbsence(side);
    }
    match (shared.situation.source, shared.situation.destination) {
        // A key that no longer exists at the destination is restored from its replica.
        (Present(source), Present(_) | DeleteMarker)
            if shared.source_is_copy != Some(false) && shared.may_be_replica(source) =>
        {
            match shared.source_is_copy {
                Some(_) => Decision::Skip(SkipReason::SourceIsReplica),
                None => Decision::ReadSourceVersions,
            }
        }
        (Present(source), Present(destination)) => match &shared.history.owner {
            VersionOwner::Copy(marker) => replace_copy(source, destination, marker, shared, policy),
            VersionOwner::Delete { .. } | VersionOwner::External => {
                replace_external(source, destination, shared, policy)
            }
        },
        (Present(source), DeleteMarker) => replace_delete_marker(source, shared, policy),
        (Present(source), NotFound | ConfirmedAbsent) => copy(source, WriteCondition::Absent, None, shared, policy),
        (_, Present(destination)) => delete(destination, shared, policy),
        (_, DeleteMarker | NotFound | ConfirmedAbsent) => Decision::Skip(SkipReason::BothAbsent),
    }
}

/// Decides about an object at the source and an external write at the destination.
fn replace_external(
    source: &ObjectFacts,
    destination: &ObjectFacts,
    shared: &SharedSituation<'_>,
    policy: &Policy,
) -> Decision {
    if compare_bodies(source, destination) == BodyComparison::Identical {
        let unread: AttributeSet = if policy.adopts_equal_objects {
            hidden_unread(source, destination).collect()
        } else {
            may_differ(source, destination)
        };
        if !unread.is_empty() {
            return Decision::ReadAttributes(unread);
        }
        match update_attributes(source, destination, &shared.situation, policy, EncryptionChange::None) {
            // An external write is replaced or skipped; its attributes are not updated.
            Decision::UpdateAttributes(_) | Decision::Copy(_) => {}
            Decision::Skip(SkipReason::AlreadyIdentical) if policy.adopts_equal_objects => {
                return adopt(source, destination, shared, policy);
            }
            decision => return decision,
        }
    }
    if !source.last_modified.is_newer_than(destination.last_modified) {
        return Decision::Skip(SkipReason::DestinationNewer);
    }
    copy(source, matches(destination), None, shared, policy)
}

/// Decides on a copy that gives an equal external object its marker. The object is copied onto itself if one request
/// can do that.
fn adopt(source: &ObjectFacts, destination: &ObjectFacts, shared: &SharedSituation<'_>, policy: &Policy) -> Decision {
    let is_readable = destination.availability == Availability::Readable;
    match copy(
        &locked_like(source, destination),
        matches(destination),
        None,
        shared,
        policy,
    ) {
        Decision::Copy(mut order) => {
            let marker = Marker::explicit(order.explicit.metadata.as_ref());
            let is_bound = marker.is_some_and(|marker| marker.binds(destination));
            let in_place = order.method == CopyMethod::SingleRequest && is_readable && is_bound;
            order.in_place = in_place.then(|| SourcePin::of(destination));
            Decision::Copy(order)
        }
        decision => decision,
    }
}

/// Decides about an object at the source and s3ferry's copy at the destination.
fn replace_copy(
    source: &ObjectFacts,
    destination: &ObjectFacts,
    marker: &Marker,
    shared: &SharedSituation<'_>,
    policy: &Policy,
) -> Decision {
    let is_identical = compare_bodies(source, destination) == BodyComparison::Identical;
    // Equal bytes that were written again may have other attributes.
    let unread: AttributeSet = if marker.is_of(source) {
        may_differ(source, destination)
    } else {
        hidden_unread(source, destination).collect()
    };
    if is_identical && !unread.is_empty() {
        return Decision::ReadAttributes(unread);
    }
    if is_identical {
        let unwritten = [Attribute::Annotations, Attribute::Tags]
            .map(|attribute| (attribute, unwritten(attribute, source, destination, marker)));
        let those = |state| -> AttributeSet {
            let found = unwritten.iter().filter(|(_, found)| *found == Some(state));
            found.map(|(attribute, _)| *attribute).collect()
        };
        let unread = those(Unwritten::Unread);
        if !unread.is_empty() {
            return Decision::ReadAttributes(unread);
        }
        let unwritten = those(Unwritten::All);
        let change = |attribute| marker.attributes.change(attribute, source, destination);
        let changes = [Attribute::Tags, Attribute::Acl, Attribute::Annotations].map(change);
        if unwritten.is_empty() && changes.contains(&Some(AttributeChange::Conflict)) {
            return Decision::Skip(SkipReason::DestinationNewer);
        }
        if !unwritten.is_empty() || !changes.contains(&Some(AttributeChange::Source)) {
            let encryption = match encryption_change(source, destination, &shared.situation, policy) {
                Ok(encryption) => encryption,
                Err(decision) => return decision,
            };
            let encryption = match encryption {
                // Missing attributes are written first.
                EncryptionChange::ByCopy(_) if !unwritten.is_empty() => EncryptionChange::None,
                EncryptionChange::ByCopy(expected) => {
                    match copy_encrypted(source, destination, marker, &expected, shared, policy) {
                        Some(decision) => return decision,
                        None => EncryptionChange::None,
                    }
                }
                encryption => encryption,
            };
            let source = updatable_attributes(source, destination, &unwritten);
            return update_attributes(&source, destination, &shared.situation, policy, encryption);
        }
        // A copy replaces annotations, so it is made only if no application changed them.
        match change(Attribute::Annotations) {
            None => return Decision::ReadAttributes(AttributeSet::from([Attribute::Annotations])),
            Some(AttributeChange::None) if source.annotations != destination.annotations => {
                return Decision::Skip(SkipReason::DestinationNewer);
            }
            Some(_) => {}
        }
    }
    let mut unread = must_read(source, destination);
    if !tags_are_known(source) || !tags_are_known(destination) {
        unread.insert(Attribute::Tags);
    }
    if !unread.is_empty() {
        return Decision::ReadAttributes(unread);
    }
    let replaced = Some((destination, marker));
    copy(source, matches(destination), replaced, shared, policy)
}

/// Decides on a copy of an equal object that changes its encryption.
///
/// Returns `None` if such a copy could not carry a marker, or would replace annotations or grants that an application
/// set. The encryption then stays as it is and is reported.
fn copy_encrypted(
    source: &ObjectFacts,
    destination: &ObjectFacts,
    marker: &Marker,
    expected: &ExplicitEncryption,
    shared: &SharedSituation<'_>,
    policy: &Policy,
) -> Option<Decision> {
    let wanted = match wanted_of(source, &shared.situation, policy) {
        Ok(wanted) => wanted,
        Err(decision) => return Some(decision),
    };
    let mut unread: AttributeSet = hidden_unread(source, destination).collect();
    if wanted.acl.is_some() && destination.acl.is_none() {
        unread.insert(Attribute::Acl);
    }
    if !unread.is_empty() {
        return Some(Decision::ReadAttributes(unread));
    }
    let is_of_application =
        source.annotations != destination.annotations || wanted.acl.is_some() && wanted.acl != destination.acl;
    if is_of_application {
        return None;
    }
    let locked = locked_like(source, destination);
    let replaced = Some((destination, marker));
    match copy(&locked, matches(destination), replaced, shared, policy) {
        Decision::Refuse(_) => None,
        Decision::Copy(order) => {
            let marker = Marker::explicit(order.explicit.metadata.as_ref());
            let needs_hash = marker.is_none_or(|marker| marker.needs_etag());
            // Under a KMS key the `ETag` of a new object is not a hash of its content.
            let is_marked = !needs_hash || *expected == ExplicitEncryption::Managed;
            is_marked.then_some(Decision::Copy(order))
        }
        decision => Some(decision),
    }
}

/// State of an attribute that is written after the copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unwritten {
    /// Not read; the attribute may be missing.
    Unread,
    /// Read; nothing of the attribute was written.
    All,
}

/// Returns whether an attribute that is written after the copy may be missing.
///
/// A multipart copy has no annotations, and no copy has tags that do not fit into its headers.
fn unwritten(
    attribute: Attribute,
    source: &ObjectFacts,
    destination: &ObjectFacts,
    marker: &Marker,
) -> Option<Unwritten> {
    let (wanted, present, may_lack) = match attribute {
        Attribute::Annotations => (
            source.annotations.as_ref(),
            destination.annotations.as_ref(),
            destination.etag.is_multipart(),
        ),
        _ => (source.tags.as_ref(), destination.tags.as_ref(), !tags_fit(source)),
    };
    if !may_lack || !marker.attributes.has(attribute) {
        return None;
    }
    match (wanted, present) {
        (Some(wanted), Some(present)) => (present.is_empty() && !wanted.is_empty()).then_some(Unwritten::All),
        _ => Some(Unwritten::Unread),
    }
}

/// Returns whether a copy lacks attributes that are written after it, as far as these were read.
pub(crate) fn is_unfinished(source: &ObjectFacts, destination: &ObjectFacts, marker: &Marker) -> bool {
    let state = |attribute| unwritten(attribute, source, destination, marker);
    [Attribute::Annotations, Attribute::Tags]
        .map(state)
        .contains(&Some(Unwritten::All))
}

/// Returns the source's facts with only those attributes that may be updated on the copy. The marker records which
/// attributes the copy was made with.
fn updatable_attributes(source: &ObjectFacts, destination: &ObjectFacts, unwritten: &AttributeSet) -> ObjectFacts {
    ObjectFacts {
        tags: source.tags.clone().filter(|_| unwritten.contains(&Attribute::Tags)),
        acl: source.acl.clone().map(|acl| destination.acl.clone().unwrap_or(acl)),
        annotations: source
            .annotations
            .clone()
            .filter(|_| unwritten.contains(&Attribute::Annotations)),
        ..source.clone()
    }
}

fn matches(destination: &ObjectFacts) -> WriteCondition {
    WriteCondition::Matches(destination.etag.clone())
}

/// Decides about an object at the source and a delete marker at the destination.
fn replace_delete_marker(source: &ObjectFacts, shared: &SharedSituation<'_>, policy: &Policy) -> Decision {
    let deleted = shared.history.newest.as_ref();
    let is_older = deleted.is_some_and(|deleted| !source.last_modified.is_newer_than(deleted.last_modified));
    if shared.history.owner == VersionOwner::External && is_older {
        return Decision::Skip(SkipReason::DestinationNewer);
    }
    copy(source, WriteCondition::Absent, None, shared, policy)
}

/// Decides about a key without an object at the source and with one at the destination.
fn delete(destination: &ObjectFacts, shared: &SharedSituation<'_>, policy: &Policy) -> Decision {
    if !policy.propagate_deletes {
        return Decision::Skip(SkipReason::DeletesNotPropagated);
    }
    match shared.history.owner {
        VersionOwner::Copy(_) => Decision::Delete {
            seen: destination.etag.clone(),
        },
        VersionOwner::Delete { .. } | VersionOwner::External => Decision::Skip(SkipReason::ExternalWrite),
    }
}

#[cfg(test)]
mod tests;
