use std::collections::BTreeMap;

use super::*;
use crate::acl::{Acl, Grant, Grantee};
use crate::attributes::AttributeDigests;
use crate::bucket_settings::{BucketCapabilities, ReplicationCoverage};
use crate::decide::CopyRefusal;
use crate::diff::SideName;
use crate::facts::HIDDEN_IN_HEAD;
use crate::facts::samples::object;
use crate::facts::{Encryption, KmsEncryption};
use crate::lock::ObjectLock;
use crate::marker::MarkerError;
use crate::marker::{MARKER_NAME, MarkerRequest};
use crate::names::{BucketName, ETag, ObjectKey, VersionId};
use crate::order::{CopyMethod, SourcePin};
use crate::policy::Ownership;
use crate::time::Timestamp;
use crate::versions::{ListedVersion, VersionKind};

const NOW: Timestamp = Timestamp::from_seconds(9_000);

const LISTED: Timestamp = Timestamp::from_seconds(8_999);

/// Input of a decision, which tests change.
struct Case {
    source: ObjectState,
    destination: ObjectState,
    history: VersionExamination,
    source_is_copy: Option<bool>,
    policy: Policy,
}

fn bucket(name: &str) -> BucketName {
    BucketName::new(name).unwrap()
}

fn key() -> ObjectKey {
    ObjectKey::from_raw("key").unwrap()
}

fn facts(version: &str, etag: &str, seconds: i64) -> ObjectFacts {
    ObjectFacts {
        version_id: VersionId::pinnable(version),
        last_modified: Timestamp::from_seconds(seconds),
        tags: Some(BTreeMap::new()),
        annotations: Some(BTreeMap::new()),
        ..object(etag)
    }
}

fn present(facts: &ObjectFacts) -> ObjectState {
    ObjectState::Present(Box::new(facts.clone()))
}

/// Returns s3ferry's copy of `source` from one bucket in another.
fn copy_between(
    (from, to): (&str, &str),
    version: &str,
    seconds: i64,
    source: &ObjectFacts,
    over: Option<&str>,
) -> ObjectFacts {
    let (from, to, key) = (bucket(from), bucket(to), key());
    let request = MarkerRequest {
        source_bucket: &from,
        location: ObjectLocation { bucket: &to, key: &key },
        over: over.and_then(VersionName::new),
        requested: Timestamp::from_seconds(seconds),
        decided: Timestamp::from_seconds(seconds),
        attributes: AttributeDigests::of(source),
    };
    let (_, marker) = Marker::for_copy(source, CopyMethod::SingleRequest, false, request).unwrap();
    let mut copy = source.clone();
    copy.version_id = VersionId::pinnable(version);
    copy.last_modified = Timestamp::from_seconds(seconds);
    copy.user_metadata.insert(MARKER_NAME.to_owned(), marker.to_text());
    copy
}

fn s3ferry_copy(version: &str, seconds: i64, source: &ObjectFacts, over: Option<&str>) -> ObjectFacts {
    copy_between(("source", "destination"), version, seconds, source, over)
}

fn owner(facts: &ObjectFacts) -> VersionOwner {
    let (bucket, key) = (bucket("destination"), key());
    let location = ObjectLocation {
        bucket: &bucket,
        key: &key,
    };
    Marker::bound(facts, location).map_or(VersionOwner::External, |marker| VersionOwner::Copy(Box::new(marker)))
}

fn listed_version(facts: &ObjectFacts) -> ListedVersion {
    ListedVersion {
        version: VersionName::of(facts.version_id.as_ref()),
        last_modified: facts.last_modified,
        kind: VersionKind::Object {
            etag: facts.etag.clone(),
            size_bytes: facts.size_bytes,
        },
    }
}

fn deleted(version: &str, seconds: i64) -> ListedVersion {
    ListedVersion {
        version: VersionName::new(version).unwrap(),
        last_modified: Timestamp::from_seconds(seconds),
        kind: VersionKind::DeleteMarker,
    }
}

/// Returns the input for both sides, with the destination's newest version owned according to its marker.
fn case(source: ObjectState, destination: ObjectState) -> Case {
    let newest = destination.facts().map(listed_version);
    let owner = destination.facts().map_or(VersionOwner::External, owner);
    Case {
        source,
        destination,
        history: VersionExamination {
            newest,
            owner,
            hidden: None,
            listed: LISTED,
        },
        source_is_copy: None,
        policy: Policy {
            ownership: Ownership::Shared,
            propagate_deletes: true,
            ..Policy::default()
        },
    }
}

impl Case {
    /// Makes a delete marker the newest version.
    fn deleted(mut self, seconds: i64, owner: VersionOwner) -> Self {
        self.history.newest = Some(deleted("m", seconds));
        self.history.owner = owner;
        self
    }

    fn decided(&self) -> Decision {
        let route = MigrationRoute {
            source: bucket("source"),
            destination: bucket("destination"),
        };
        let situation = Situation {
            source: &self.source,
            destination: &self.destination,
            replication: ReplicationCoverage::NotRead,
            capabilities: Some(BucketCapabilities {
                object_lock: None,
                acl: false,
            }),
            default_encryption: &crate::bucket_settings::DefaultEncryption::Unknown,
            encrypts_by_copy: false,
            annotations_pending: false,
            is_just_copied: false,
            now: NOW,
        };
        let shared = SharedSituation {
            situation,
            route: &route,
            key: &key(),
            history: &self.history,
            source_is_copy: self.source_is_copy,
        };
        decide_shared(&shared, &self.policy)
    }
}

#[track_caller]
fn check(case: &Case, expected: &Decision) {
    assert_eq!(case.decided(), *expected);
}

/// Checks that `source` is copied under `condition` over the version `over`.
#[track_caller]
fn check_copied(case: &Case, source: &ObjectFacts, condition: &WriteCondition, over: Option<&str>) {
    let Decision::Copy(order) = case.decided() else {
        panic!("not copied: {:?}", case.decided());
    };
    assert_eq!(order.pin, SourcePin::of(source));
    assert_eq!(order.condition, *condition);
    let marker = Marker::explicit(order.explicit.metadata.as_ref()).unwrap();
    assert!(marker.names(source));
    assert_eq!(marker.source_bucket, bucket("source"));
    assert_eq!(marker.requested, LISTED);
    assert_eq!(marker.over, over.and_then(VersionName::new));
    let metadata = order.explicit.metadata.unwrap();
    assert_eq!(metadata.headers, source.headers);
    let mut copy = source.clone();
    copy.user_metadata = metadata.user;
    copy.last_modified = LISTED;
    let (bucket, key) = (bucket("destination"), key());
    assert_eq!(
        Marker::bound(
            &copy,
            ObjectLocation {
                bucket: &bucket,
                key: &key
            }
        ),
        Some(marker)
    );
}

fn if_match(etag: &str) -> WriteCondition {
    WriteCondition::Matches(ETag::new(etag).unwrap())
}

const SKIP_NEWER: Decision = Decision::Skip(SkipReason::DestinationNewer);
const IDENTICAL: Decision = Decision::Skip(SkipReason::AlreadyIdentical);

#[test]
fn new_object_is_copied_with_a_marker() {
    let mut source = facts("s1", "aa", 1_000);
    source.user_metadata.insert("owner".to_owned(), "me".to_owned());
    source.headers.content_type = Some("a/b".to_owned());
    for nothing in [ObjectState::NotFound, ObjectState::ConfirmedAbsent] {
        check_copied(&case(present(&source), nothing), &source, &WriteCondition::Absent, None);
    }
}

#[test]
fn newer_object_wins_and_a_tie_goes_to_the_destination() {
    let source = facts("s1", "aa", 1_000);
    let case_of = |seconds| case(present(&source), present(&facts("external", "bb", seconds)));
    check_copied(&case_of(999), &source, &if_match("bb"), Some("external"));
    check(&case_of(1_000), &SKIP_NEWER);
    check(&case_of(1_001), &SKIP_NEWER);
}

#[test]
fn equal_external_object_is_skipped() {
    let read = |version: &str, seconds| ObjectFacts {
        annotations: Some(BTreeMap::new()),
        ..facts(version, "aa", seconds)
    };
    for seconds in [500, 5_000] {
        let external = present(&read("external", seconds));
        check(&case(present(&read("s1", 1_000)), external), &IDENTICAL);
    }
}

#[test]
fn inconclusive_external_object_is_decided_by_time() {
    let source = facts("s1", "aa", 1_000);
    let mut external = facts("external", "cc", 2_000);
    external.encryption = Encryption::Kms(KmsEncryption::default());
    check(&case(present(&source), present(&external)), &SKIP_NEWER);
}

#[test]
fn equal_external_object_keeps_its_attributes() {
    let mut source = facts("s1", "aa", 1_000);
    source.tags = Some(BTreeMap::from([("a".to_owned(), "b".to_owned())]));
    check(
        &case(present(&source), present(&facts("external", "aa", 2_000))),
        &SKIP_NEWER,
    );
    let mut external = facts("external", "aa", 500);
    for facts in [&mut source, &mut external] {
        facts.annotations = Some(BTreeMap::new());
    }
    let older = case(present(&source), present(&external));
    check_copied(&older, &source, &if_match("aa"), Some("external"));
}

fn tagged(facts: &ObjectFacts, value: &str) -> ObjectFacts {
    ObjectFacts {
        tags: Some(BTreeMap::from([("stage".to_owned(), value.to_owned())])),
        tag_count: Some(1),
        ..facts.clone()
    }
}

/// Decides on a copy that was made with `copied` tags, and returns the decision and the tags of its order.
fn decided_on_tags(copied: &str, source: &str, destination: &str, etag: &str) -> (Decision, Option<String>) {
    let original = tagged(&facts("s1", "aa", 1_000), copied);
    let copy = tagged(&s3ferry_copy("c1", 1_001, &original, None), destination);
    let mut source = tagged(&original, source);
    source.etag = ETag::new(etag).unwrap();
    let decision = case(present(&source), present(&copy)).decided();
    let tags = match &decision {
        Decision::Copy(order) => order.explicit.tags.as_ref().and_then(|tags| tags.get("stage").cloned()),
        _ => None,
    };
    (decision, tags)
}

#[test]
fn tags_of_a_copy_change_only_if_the_source_tags_changed() {
    // Tags as copied, at the source, at the destination.
    let rows = [
        (("a", "a", "a"), IDENTICAL, None),
        (("a", "a", "external"), IDENTICAL, None),
        (("a", "b", "external"), SKIP_NEWER, None),
    ];
    for ((copied, source, destination), expected, tags) in rows {
        assert_eq!(decided_on_tags(copied, source, destination, "aa"), (expected, tags));
    }
    for destination in ["a", "b"] {
        let (_, tags) = decided_on_tags("a", "b", destination, "aa");
        assert_eq!(tags.as_deref(), Some("b"), "{destination}");
    }
}

#[test]
fn tags_of_an_application_are_preserved_when_the_copy_is_replaced() {
    for (source, destination, expected) in [
        ("a", "a", "a"),
        ("a", "external", "external"),
        ("b", "a", "b"),
        ("b", "external", "external"),
    ] {
        let (_, tags) = decided_on_tags("a", source, destination, "bb");
        assert_eq!(tags.as_deref(), Some(expected), "{source} {destination}");
    }
}

#[test]
fn conflict_of_tags_is_still_reported_after_the_copy_is_replaced() {
    let original = tagged(&facts("s1", "aa", 1_000), "a");
    let copy = tagged(&s3ferry_copy("c1", 1_001, &original, None), "external");
    let mut source = tagged(&original, "b");
    source.etag = ETag::new("bb").unwrap();
    let Decision::Copy(order) = case(present(&source), present(&copy)).decided() else {
        panic!("not a copy");
    };
    let mut replaced = tagged(&source, "external");
    replaced.version_id = VersionId::pinnable("c2");
    replaced.last_modified = LISTED;
    replaced.user_metadata = order.explicit.metadata.unwrap().user;
    check(&case(present(&source), present(&replaced)), &SKIP_NEWER);
}

#[test]
fn tags_removed_by_an_application_are_not_restored_by_a_replacement() {
    let original = tagged(&facts("s1", "aa", 1_000), "a");
    let mut copy = s3ferry_copy("c1", 1_001, &original, None);
    copy.tags = None;
    copy.tag_count = None;
    let mut source = original.clone();
    source.etag = ETag::new("bb").unwrap();
    let Decision::Copy(order) = case(present(&source), present(&copy)).decided() else {
        panic!("not a copy");
    };
    assert_eq!(order.explicit.tags, Some(BTreeMap::new()));
}

#[test]
fn annotations_of_an_application_are_never_replaced() {
    let original = facts("s1", "aa", 1_000);
    let annotated = |facts: &ObjectFacts, text: &str| ObjectFacts {
        annotations: Some(BTreeMap::from([("note".to_owned(), text.to_owned())])),
        ..facts.clone()
    };
    let copy = s3ferry_copy("c1", 1_001, &original, None);
    let external = annotated(&copy, "external");
    check(&case(present(&original), present(&external)), &IDENTICAL);
    check(
        &case(present(&annotated(&original, "new")), present(&external)),
        &SKIP_NEWER,
    );
    check(&case(present(&tagged(&original, "b")), present(&external)), &SKIP_NEWER);
    let mut unread = tagged(&copy, "b");
    unread.tags = copy.tags.clone();
    unread.annotations = None;
    check(
        &case(present(&tagged(&original, "b")), present(&unread)),
        &Decision::ReadAttributes(AttributeSet::from([Attribute::Annotations])),
    );
    let changed = annotated(&original, "new");
    check_copied(
        &case(present(&changed), present(&copy)),
        &changed,
        &if_match("aa"),
        Some("c1"),
    );
}

#[test]
fn annotations_are_written_after_a_multipart_copy() {
    let mut source = facts("s1", "aa-2", 1_000);
    source.annotations = Some(BTreeMap::from([("note".to_owned(), "text".to_owned())]));
    let mut copy = s3ferry_copy("c1", 1_001, &source, None);
    copy.annotations = None;
    let mut unread = source.clone();
    unread.annotations = None;
    check(
        &case(present(&unread), present(&copy)),
        &Decision::ReadAttributes(AttributeSet::from([Attribute::Annotations])),
    );
    copy.annotations = Some(BTreeMap::new());
    let decision = case(present(&source), present(&copy)).decided();
    assert!(
        matches!(&decision, Decision::UpdateAttributes(order) if order.annotations.is_some() && order.tags.is_none())
    );
    copy.annotations = source.annotations.clone();
    check(&case(present(&source), present(&copy)), &IDENTICAL);
}

#[test]
fn grants_of_a_copy_change_only_if_the_source_grants_changed() {
    let acl = |uri: &str| {
        Some(Acl {
            grants: [Grant {
                grantee: Grantee::Group(uri.to_owned()),
                permission: "READ".to_owned(),
            }]
            .into(),
        })
    };
    let mut original = facts("s1", "aa", 1_000);
    original.acl = acl("a");
    let mut copy = s3ferry_copy("c1", 1_001, &original, None);
    copy.acl = acl("external");
    check(&case(present(&original), present(&copy)), &IDENTICAL);
    let mut changed = original.clone();
    changed.acl = acl("b");
    check(&case(present(&changed), present(&copy)), &SKIP_NEWER);
    copy.acl = acl("a");
    assert!(matches!(
        case(present(&changed), present(&copy)).decided(),
        Decision::Copy(_)
    ));
}

#[test]
fn s3ferry_copy_is_identical_despite_its_marker() {
    let source = facts("s1", "aa", 1_000);
    let copy = s3ferry_copy("c1", 1_001, &source, None);
    check(&case(present(&source), present(&copy)), &IDENTICAL);
}

#[test]
fn s3ferry_copy_is_replaced_whatever_its_time() {
    let old = facts("s1", "aa", 1_000);
    let copy = s3ferry_copy("c1", 5_000, &old, Some("x"));
    let source = facts("s2", "bb", 1_500);
    check_copied(
        &case(present(&source), present(&copy)),
        &source,
        &if_match("aa"),
        Some("c1"),
    );
}

#[test]
fn equal_bytes_have_hidden_attributes_read_before_a_replacement() {
    let mut old = facts("s1", "aa", 1_000);
    let mut source = facts("s2", "aa", 1_500);
    source.headers.content_type = Some("a/b".to_owned());
    for facts in [&mut old, &mut source] {
        facts.tags = None;
        facts.annotations = None;
    }
    let copy = s3ferry_copy("c1", 1_001, &old, None);
    check(
        &case(present(&source), present(&copy)),
        &Decision::ReadAttributes(HIDDEN_IN_HEAD.into()),
    );
}

#[test]
fn unread_source_attributes_are_read_before_a_copy() {
    let mut source = facts("s1", "aa", 1_000);
    source.tags = None;
    // A HEAD without a tag count may be that of a role without permission to read tags.
    source.tag_count = None;
    source.annotations = None;
    let case_of = |source: &ObjectFacts| case(present(source), ObjectState::NotFound);
    check(
        &case_of(&source),
        &Decision::ReadSourceAttributes(AttributeSet::from([Attribute::Tags, Attribute::Annotations])),
    );
}

#[test]
fn s3ferry_version_that_hides_an_external_write_is_removed() {
    let copy = s3ferry_copy("c1", 1_002, &facts("s1", "aa", 1_000), Some("x"));
    for source in [
        present(&facts("s1", "aa", 1_000)),
        ObjectState::DeleteMarker,
        ObjectState::NotFound,
        present(&facts("s2", "bb", 1_005)),
    ] {
        let mut case = case(source, present(&copy));
        case.history.hidden = VersionName::new("external");
        let (version, hidden) = (VersionName::new("c1").unwrap(), VersionName::new("external").unwrap());
        check(&case, &Decision::RemoveVersion { version, hidden });
    }
}

const REVERSE: (&str, &str) = ("destination", "source");

#[test]
fn replica_of_the_destination_is_not_copied_back() {
    let replica = copy_between(REVERSE, "s1", 5_000, &facts("d1", "aa", 1_000), None);
    let destinations = [
        ObjectState::DeleteMarker,
        present(&facts("d1", "bb", 1_000)),
        present(&s3ferry_copy("c1", 2_000, &facts("s0", "cc", 900), None)),
    ];
    for destination in destinations {
        let mut case = case(present(&replica), destination);
        check(&case, &Decision::ReadSourceVersions);
        case.source_is_copy = Some(true);
        check(&case, &Decision::Skip(SkipReason::SourceIsReplica));
    }
}

#[test]
fn replica_that_an_application_wrote_again_is_an_external_write() {
    let restored = copy_between(REVERSE, "s2", 5_000, &facts("d1", "aa", 1_000), None);
    let decided = |destination: &ObjectFacts| {
        let mut case = case(present(&restored), present(destination));
        case.source_is_copy = Some(false);
        case.decided()
    };
    assert!(matches!(decided(&facts("d2", "bb", 4_999)), Decision::Copy(_)));
    let newer = decided(&facts("d2", "bb", 5_000));
    assert_eq!(newer, Decision::Skip(SkipReason::DestinationNewer));
    // The object that the other direction would write is equal.
    let equal = ObjectFacts {
        user_metadata: BTreeMap::new(),
        ..restored.clone()
    };
    assert_eq!(decided(&equal), Decision::Skip(SkipReason::AlreadyIdentical));
}

#[test]
fn key_absent_at_the_destination_is_restored_from_its_replica() {
    let replica = copy_between(REVERSE, "s1", 5_000, &facts("d1", "aa", 1_000), None);
    for nothing in [ObjectState::NotFound, ObjectState::ConfirmedAbsent] {
        assert!(matches!(case(present(&replica), nothing).decided(), Decision::Copy(_)));
    }
}

#[test]
fn replica_of_another_bucket_is_copied_like_any_object() {
    let replica = copy_between(("elsewhere", "source"), "s1", 5_000, &facts("d1", "aa", 1_000), None);
    let older = case(present(&replica), present(&facts("external", "bb", 1_000)));
    assert!(matches!(older.decided(), Decision::Copy(_)));
    // An application wrote an object with the metadata of a replica, long after it.
    let mut restored = copy_between(REVERSE, "s1", 5_000, &facts("d1", "aa", 1_000), None);
    restored.last_modified = Timestamp::from_seconds(8_000);
    let older = case(present(&restored), present(&facts("external", "bb", 1_000)));
    assert!(matches!(older.decided(), Decision::Copy(_)));
}

#[test]
fn marker_copied_to_another_key_is_invalid() {
    let mut carried = copy_between(REVERSE, "s1", 5_000, &facts("d1", "aa", 1_000), None);
    carried.size_bytes += 1;
    let case = case(present(&carried), ObjectState::NotFound);
    let Decision::Copy(order) = case.decided() else {
        panic!("not a copy");
    };
    let marker = Marker::explicit(order.explicit.metadata.as_ref()).unwrap();
    assert_eq!(
        marker.source_version, carried.version_id,
        "the stale marker was replaced"
    );
}

#[test]
fn delete_marker_of_an_application_competes_by_time() {
    let source = facts("s1", "aa", 1_000);
    let case_of = |seconds| case(present(&source), ObjectState::DeleteMarker).deleted(seconds, VersionOwner::External);
    check_copied(&case_of(999), &source, &WriteCondition::Absent, Some("m"));
    check(&case_of(1_000), &SKIP_NEWER);
    check(&case_of(1_001), &SKIP_NEWER);
}

#[test]
fn s3ferry_delete_marker_does_not_compete() {
    let source = facts("s1", "aa", 1_000);
    let covered = VersionName::new("c1").unwrap();
    let deleted = case(present(&source), ObjectState::DeleteMarker).deleted(5_000, VersionOwner::Delete { covered });
    check_copied(&deleted, &source, &WriteCondition::Absent, Some("m"));
}

#[test]
fn only_s3ferry_copies_are_deleted() {
    let copy = s3ferry_copy("c1", 1_001, &facts("s1", "aa", 1_000), None);
    check(
        &case(ObjectState::NotFound, present(&copy)),
        &Decision::ConfirmAbsence(SideName::Source),
    );
    for gone in [ObjectState::DeleteMarker, ObjectState::ConfirmedAbsent] {
        let case_of = |destination: &ObjectFacts| case(gone.clone(), present(destination));
        let seen = copy.etag.clone();
        check(&case_of(&copy), &Decision::Delete { seen });
        check(
            &case_of(&facts("external", "aa", 500)),
            &Decision::Skip(SkipReason::ExternalWrite),
        );
        let mut not_propagated = case_of(&copy);
        not_propagated.policy.propagate_deletes = false;
        check(&not_propagated, &Decision::Skip(SkipReason::DeletesNotPropagated));
    }
}

#[test]
fn key_absent_on_both_sides_is_skipped_after_confirmation() {
    let skip = Decision::Skip(SkipReason::BothAbsent);
    for source in [ObjectState::DeleteMarker, ObjectState::ConfirmedAbsent] {
        for destination in [ObjectState::DeleteMarker, ObjectState::ConfirmedAbsent] {
            check(&case(source.clone(), destination), &skip);
        }
    }
    let unconfirmed = case(ObjectState::NotFound, ObjectState::DeleteMarker);
    check(&unconfirmed, &Decision::ConfirmAbsence(SideName::Source));
    let unconfirmed = case(ObjectState::DeleteMarker, ObjectState::NotFound);
    check(&unconfirmed, &Decision::ConfirmAbsence(SideName::Destination));
}

#[test]
fn unmarkable_object_is_refused() {
    let mut source = facts("s1", "aa", 1_000);
    source.encryption = Encryption::Kms(KmsEncryption::default());
    let refused = |cause| Decision::Refuse(CopyRefusal::MarkerNotPossible(cause));
    check(
        &case(present(&source), ObjectState::NotFound),
        &refused(MarkerError::NothingToBind),
    );
    let mut source = facts("s1", "aa", 1_000);
    source.user_metadata.insert("a".to_owned(), "x".repeat(2_000));
    let decision = case(present(&source), ObjectState::NotFound).decided();
    assert!(matches!(
        decision,
        Decision::Refuse(CopyRefusal::MarkerNotPossible(MarkerError::NoRoom { .. }))
    ));
}

#[test]
fn multipart_object_is_copied_with_its_parts_to_bind_its_etag() {
    let mut source = facts("s1", "aa-3", 1_000);
    source.annotations = Some(BTreeMap::new());
    let Decision::Copy(order) = case(present(&source), ObjectState::NotFound).decided() else {
        panic!("not a copy");
    };
    assert_eq!(order.method, CopyMethod::Multipart);
    assert_eq!(order.explicit.tags, source.tags);
    let marker = Marker::explicit(order.explicit.metadata.as_ref()).unwrap();
    assert!(marker.needs_the_same_parts());
    assert_eq!(order.explicit.lock, ObjectLock::default());
}

#[test]
fn copy_without_its_oversized_tags_is_unfinished() {
    let source = tagged(&facts("v1", "aa", 10), &"x".repeat(5_000));
    let mut copy = s3ferry_copy("w1", 20, &source, None);
    let VersionOwner::Copy(marker) = owner(&copy) else {
        panic!("not s3ferry's copy");
    };
    copy.tags.clone_from(&source.tags);
    assert!(!is_unfinished(&source, &copy, &marker));
    copy.tags = Some(BTreeMap::new());
    assert!(is_unfinished(&source, &copy, &marker));
    let short = tagged(&source, "x");
    assert!(!is_unfinished(&short, &copy, &marker));
}
