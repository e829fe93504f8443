//! Decides on copies with a marker.

use crate::attributes::{AttributeChange, AttributeDigests};
use crate::facts::{Attribute, AttributeSet, ObjectFacts};
use crate::marker::{MARKER_NAME, Marker, MarkerRequest, without_marker};
use crate::order::{WriteCondition, fit_beside};
use crate::policy::Policy;
use std::collections::BTreeMap;

use super::SharedSituation;
use crate::decide::{CopiedMetadata, CopyOrder, CopyRefusal, Decision, copy_by, hidden_unread, method, refuse};

/// Decides on a copy with a marker over what was read: nothing, an external write, or the copy that is `replaced`.
pub(super) fn copy(
    source: &ObjectFacts,
    condition: WriteCondition,
    replaced: Option<(&ObjectFacts, &Marker)>,
    shared: &SharedSituation<'_>,
    policy: &Policy,
) -> Decision {
    let situation = &shared.situation;
    // A copy with a marker has to set all other metadata, too.
    if let Some(refusal) = refuse(source, true) {
        return Decision::Refuse(refusal);
    }
    // The request sets the attributes that the marker records, whatever changes at the source meanwhile.
    let unread: AttributeSet = hidden_unread(source, source).collect();
    if !unread.is_empty() {
        return Decision::ReadSourceAttributes(unread);
    }
    let (tags, attributes) = carried(source, replaced);
    // Tags that an application set exist only on this copy. A write after the copy could lose them.
    if tags != source.tags && !fit_beside(source, tags.as_ref()) {
        return Decision::Refuse(CopyRefusal::TagsDoNotFit);
    }
    let request = MarkerRequest {
        source_bucket: &shared.route.source,
        location: shared.destination_location(),
        over: shared.newest_version(),
        requested: shared.history.listed,
        decided: situation.now,
        attributes,
    };
    let encrypts_with_kms = policy.encrypts_with_kms(&source.encryption);
    let bound = Marker::for_copy(source, method(source, policy), encrypts_with_kms, request);
    let (method, marker) = match bound {
        Ok(bound) => bound,
        Err(cause) => return Decision::Refuse(CopyRefusal::MarkerNotPossible(cause)),
    };
    match copy_by(method, source, condition, situation, policy) {
        Decision::Copy(order) => Decision::Copy(with_marker(order, source, tags, &marker)),
        decision => decision,
    }
}

/// Returns the tags of a copy, and the source attributes that its marker records.
///
/// Tags that an application changed on the replaced copy are preserved. If the source's tags changed, too, the marker
/// keeps its old record, so that the conflict is still reported.
pub(super) fn carried(
    source: &ObjectFacts,
    replaced: Option<(&ObjectFacts, &Marker)>,
) -> (Option<BTreeMap<String, String>>, AttributeDigests) {
    let attributes = AttributeDigests::of(source);
    let Some((destination, marker)) = replaced else {
        return (source.tags.clone(), attributes);
    };
    let of_application = Some(destination.tags.clone().unwrap_or_default());
    match marker.attributes.change(Attribute::Tags, source, destination) {
        Some(AttributeChange::None) => (of_application, attributes),
        Some(AttributeChange::Conflict) => (of_application, attributes.with(Attribute::Tags, &marker.attributes)),
        Some(AttributeChange::Source) | None => (source.tags.clone(), attributes),
    }
}

/// Adds headers, tags and user metadata, with the marker among them, to the request that writes the bytes.
pub(super) fn with_marker(
    mut order: Box<CopyOrder>,
    source: &ObjectFacts,
    tags: Option<BTreeMap<String, String>>,
    marker: &Marker,
) -> Box<CopyOrder> {
    let preserved = without_marker(&source.user_metadata).map(|(name, value)| (name.clone(), value.clone()));
    order.explicit.metadata = Some(CopiedMetadata {
        headers: source.headers.clone(),
        user: preserved.chain([(MARKER_NAME.to_owned(), marker.to_text())]).collect(),
    });
    // A copy sets all of its tags, or none if they do not fit.
    order.explicit.tags = if fit_beside(source, tags.as_ref()) {
        tags
    } else {
        order.follow_up.insert(Attribute::Tags);
        Some(BTreeMap::new())
    };
    order
}
