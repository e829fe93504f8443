use std::collections::BTreeMap;

use super::*;
use crate::decide::{Abilities, CopyMethod, ReplicationCoverage, SourcePin};
use crate::diff::SideName;
use crate::facts::HIDDEN_IN_HEAD;
use crate::facts::samples::object;
use crate::facts::{Encryption, KmsEncryption, ReplicationStatus};
use crate::history::{DeleteIntent, VersionKind};
use crate::lock::ObjectLock;
use crate::marker::CannotMark;
use crate::names::{BucketName, ETag, ObjectKey, VersionId};
use crate::policy::Ownership;
use crate::time::Timestamp;

const NOW: Timestamp = Timestamp::from_seconds(9_000);

/// What a decision is made of, for tests to change.
struct Case {
    source: ObjectState,
    destination: ObjectState,
    past: Option<Past>,
    looks_back: bool,
    replication: ReplicationCoverage,
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
        ..object(etag)
    }
}

fn present(facts: &ObjectFacts) -> ObjectState {
    ObjectState::Present(Box::new(facts.clone()))
}

/// Makes our copy of `source` in a bucket, over a version.
fn copy_in(name: &str, version: &str, seconds: i64, source: &ObjectFacts, over: Option<&str>) -> ObjectFacts {
    let (bucket, key) = (bucket(name), key());
    let place = Place {
        bucket: &bucket,
        key: &key,
    };
    let over = over.and_then(VersionName::new);
    let (_, marker) = Marker::for_copy(
        source,
        CopyMethod::Whole,
        false,
        place,
        over,
        Timestamp::from_seconds(seconds),
    )
    .unwrap();
    let mut copy = source.clone();
    copy.version_id = VersionId::pinnable(version);
    copy.last_modified = Timestamp::from_seconds(seconds);
    copy.user_metadata.insert(MARKER_NAME.to_owned(), marker.to_text());
    copy
}

fn ours(version: &str, seconds: i64, source: &ObjectFacts, over: Option<&str>) -> ObjectFacts {
    copy_in("destination", version, seconds, source, over)
}

fn stamp(facts: &ObjectFacts) -> VersionStamp {
    VersionStamp {
        version: VersionName::of(facts.version_id.as_ref()),
        last_modified: facts.last_modified,
        kind: VersionKind::Object {
            etag: facts.etag.clone(),
            size_bytes: facts.size_bytes,
        },
    }
}

fn deleted(version: &str, seconds: i64) -> VersionStamp {
    VersionStamp {
        version: VersionName::new(version).unwrap(),
        last_modified: Timestamp::from_seconds(seconds),
        kind: VersionKind::DeleteMarker,
    }
}

fn past(versions: impl IntoIterator<Item = VersionStamp>) -> Past {
    Past {
        versions: versions.into_iter().collect(),
        ..Past::default()
    }
}

fn announced(covered: &ObjectFacts, seconds: i64) -> DeleteIntent {
    DeleteIntent {
        covered: VersionName::of(covered.version_id.as_ref()),
        etag: covered.etag.clone(),
        announced: Timestamp::from_seconds(seconds),
    }
}

fn case(source: ObjectState, destination: ObjectState) -> Case {
    Case {
        source,
        destination,
        past: None,
        looks_back: false,
        replication: ReplicationCoverage::NotAsked,
        policy: Policy {
            ownership: Ownership::Shared,
            propagate_deletes: true,
            ..Policy::default()
        },
    }
}

impl Case {
    fn with(mut self, past: Past) -> Self {
        self.past = Some(past);
        self
    }

    fn decided(&self) -> Decision {
        let (source, destination, key) = (bucket("source"), bucket("destination"), key());
        let situation = Situation {
            source: &self.source,
            destination: &self.destination,
            replication: self.replication,
            abilities: Some(Abilities {
                object_lock: None,
                acl: false,
            }),
            annotations_pending: false,
            is_just_copied: false,
            now: NOW,
        };
        let shared = SharedSituation {
            situation,
            source_place: Place {
                bucket: &source,
                key: &key,
            },
            destination_place: Place {
                bucket: &destination,
                key: &key,
            },
            past: self.past.as_ref(),
            looks_back: self.looks_back,
        };
        decide_shared(&shared, &self.policy)
    }
}

#[track_caller]
fn check(case: &Case, expected: &Decision) {
    assert_eq!(case.decided(), *expected);
}

/// Checks that `source` is copied, and over what.
#[track_caller]
fn check_copied(case: &Case, source: &ObjectFacts, condition: &WriteCondition, over: Option<&str>) {
    let Decision::Copy(order) = case.decided() else {
        panic!("not copied: {:?}", case.decided());
    };
    assert_eq!(order.pin, SourcePin::of(source));
    assert_eq!(order.condition, *condition);
    let marker = Marker::ordered(&order).unwrap();
    assert!(marker.names(source));
    assert_eq!(marker.over, over.and_then(VersionName::new));
    let metadata = order.stated.metadata.unwrap();
    assert_eq!(metadata.headers, source.headers);
    let mut copy = source.clone();
    copy.user_metadata = metadata.user;
    let (bucket, key) = (bucket("destination"), key());
    assert_eq!(
        Marker::bound(
            &copy,
            Place {
                bucket: &bucket,
                key: &key
            }
        ),
        Some(marker)
    );
}

fn matches(etag: &str) -> WriteCondition {
    WriteCondition::Matches(ETag::new(etag).unwrap())
}

const SKIP_NEWER: Decision = Decision::Skip(SkipReason::DestinationNewer);
const IDENTICAL: Decision = Decision::Skip(SkipReason::AlreadyIdentical);

#[test]
fn new_object_is_copied_onto_nothing_with_a_marker() {
    let mut source = facts("s1", "aa", 1_000);
    source.user_metadata.insert("owner".to_owned(), "me".to_owned());
    source.headers.content_type = Some("a/b".to_owned());
    for nothing in [ObjectState::NotFound, ObjectState::ConfirmedAbsent] {
        check_copied(&case(present(&source), nothing), &source, &WriteCondition::Absent, None);
    }
}

#[test]
fn newer_object_wins_and_ties_go_to_the_destination() {
    let source = facts("s1", "aa", 1_000);
    let case_of = |seconds| case(present(&source), present(&facts("theirs", "bb", seconds)));
    check_copied(&case_of(999), &source, &matches("bb"), Some("theirs"));
    check(&case_of(1_000), &SKIP_NEWER);
    check(&case_of(1_001), &SKIP_NEWER);
}

#[test]
fn equal_object_of_somebody_else_is_left_alone() {
    let read = |version: &str, seconds| ObjectFacts {
        annotations: Some(BTreeMap::new()),
        ..facts(version, "aa", seconds)
    };
    for seconds in [500, 5_000] {
        let theirs = present(&read("theirs", seconds));
        check(&case(present(&read("s1", 1_000)), theirs), &IDENTICAL);
    }
}

#[test]
fn equality_with_somebody_elses_that_cannot_be_told_is_decided_by_time() {
    let source = facts("s1", "aa", 1_000);
    let mut theirs = facts("theirs", "cc", 2_000);
    theirs.encryption = Encryption::Kms(KmsEncryption::default());
    check(&case(present(&source), present(&theirs)), &SKIP_NEWER);
}

#[test]
fn equal_object_of_somebody_else_is_not_amended() {
    let mut source = facts("s1", "aa", 1_000);
    source.tags = Some(BTreeMap::from([("a".to_owned(), "b".to_owned())]));
    check(
        &case(present(&source), present(&facts("theirs", "aa", 2_000))),
        &SKIP_NEWER,
    );
    let mut theirs = facts("theirs", "aa", 500);
    for facts in [&mut source, &mut theirs] {
        facts.annotations = Some(BTreeMap::new());
    }
    let older = case(present(&source), present(&theirs));
    check_copied(&older, &source, &matches("aa"), Some("theirs"));
}

#[test]
fn copy_of_ours_is_amended() {
    let mut source = facts("s1", "aa", 1_000);
    let copy = ours("c1", 1_001, &source, None);
    source.tags = Some(BTreeMap::from([("a".to_owned(), "b".to_owned())]));
    let decision = case(present(&source), present(&copy)).decided();
    assert!(matches!(decision, Decision::Amend(order) if order.version_id == copy.version_id));
}

#[test]
fn copy_of_ours_is_identical_though_it_has_a_marker() {
    let source = facts("s1", "aa", 1_000);
    let copy = ours("c1", 1_001, &source, None);
    check(&case(present(&source), present(&copy)), &IDENTICAL);
}

#[test]
fn marker_settles_what_hashes_cannot() {
    let mut source = facts("s1", "aa-2", 1_000);
    source.checksums.values.insert("CRC32", "value".to_owned());
    source.encryption = Encryption::Kms(KmsEncryption::default());
    let mut copy = ours("c1", 1_001, &source, None);
    copy.etag = ETag::new("other").unwrap();
    check(&case(present(&source), present(&copy)), &IDENTICAL);
    // Composite values of other parts say nothing, and only the marker's version is left.
    let mut again = source.clone();
    again.checksums.values.clear();
    check(&case(present(&again), present(&copy)), &IDENTICAL);
    again.version_id = VersionId::pinnable("s2");
    check(&case(present(&again), present(&copy)), &Decision::AskHistory);
}

#[test]
fn copy_of_ours_is_replaced_whatever_the_time_once_it_hides_nothing() {
    let old = facts("s1", "aa", 1_000);
    let copy = ours("c1", 5_000, &old, Some("x"));
    let source = facts("s2", "bb", 1_500);
    let replaced = case(present(&source), present(&copy));
    check(&replaced, &Decision::AskHistory);
    let below = facts("x", "xx", 900);
    let replaced = replaced.with(past([stamp(&copy), stamp(&below)]));
    check_copied(&replaced, &source, &matches("aa"), Some("c1"));
}

#[test]
fn same_bytes_have_their_tags_read_before_they_are_replaced() {
    let mut old = facts("s1", "aa", 1_000);
    let mut source = facts("s2", "aa", 1_500);
    source.headers.content_type = Some("a/b".to_owned());
    old.tags = None;
    let copy = ours("c1", 1_001, &old, None);
    let replaced = case(present(&source), present(&copy)).with(past([stamp(&copy)]));
    check(&replaced, &Decision::Read(HIDDEN_IN_HEAD.into()));
}

#[test]
fn copy_of_ours_that_hides_a_newer_object_is_removed() {
    let source = facts("s1", "aa", 1_000);
    let copy = ours("c1", 1_002, &source, Some("x"));
    let theirs = facts("theirs", "aa", 1_000);
    for state in [
        present(&source),
        ObjectState::DeleteMarker,
        present(&facts("s2", "bb", 1_005)),
    ] {
        let mut hidden = case(state, present(&copy)).with(past([stamp(&copy), stamp(&theirs)]));
        check(&hidden, &Decision::AskBelow);
        hidden.past.as_mut().unwrap().below = Some(vec![theirs.clone()]);
        check(&hidden, &Decision::RemoveVersion(VersionName::new("c1").unwrap()));
    }
}

#[test]
fn copy_of_ours_over_an_unseen_but_older_object_stays() {
    let source = facts("s1", "aa", 1_000);
    let copy = ours("c1", 1_002, &source, Some("x"));
    let theirs = facts("theirs", "aa", 999);
    let mut over_older = case(present(&source), present(&copy)).with(past([stamp(&copy), stamp(&theirs)]));
    over_older.looks_back = true;
    check(&over_older, &IDENTICAL);
}

/// Checks what becomes of our copy `c2` over other versions.
#[track_caller]
fn check_hiding(current: &ObjectFacts, below: &[VersionStamp], read: &[&ObjectFacts], stays: bool) {
    let source = facts("s1", "aa", 1_000);
    let versions = [stamp(current)].into_iter().chain(below.iter().cloned());
    let mut case = case(present(&source), present(current)).with(past(versions));
    check(&case, &Decision::AskBelow);
    case.past.as_mut().unwrap().below = Some(read.iter().map(|facts| (*facts).clone()).collect());
    let removed = Decision::RemoveVersion(VersionName::new("c2").unwrap());
    check(&case, if stays { &IDENTICAL } else { &removed });
}

#[test]
fn copy_of_ours_that_an_application_wrote_again_stays() {
    let source = facts("s1", "aa", 1_000);
    let copy = ours("c1", 1_001, &source, Some("x"));
    let mut again = copy.clone();
    again.version_id = VersionId::pinnable("c2");
    again.last_modified = Timestamp::from_seconds(2_000);
    let theirs = facts("theirs", "aa", 1_500);
    check_hiding(&again, &[stamp(&copy)], &[&copy], true);
    // Brought back after a delete, and after another write.
    check_hiding(&again, &[deleted("m", 1_500), stamp(&copy)], &[&copy], true);
    check_hiding(&again, &[stamp(&theirs), stamp(&copy)], &[&theirs, &copy], true);
}

#[test]
fn another_copy_of_the_same_version_is_no_excuse_for_hiding() {
    let source = facts("s1", "aa", 1_000);
    let copy = ours("c1", 1_001, &source, Some("x"));
    let second = ours("c2", 1_002, &source, Some("x"));
    let theirs = facts("theirs", "aa", 1_001);
    check_hiding(&second, &[stamp(&copy)], &[&copy], true);
    check_hiding(&second, &[deleted("m", 1_001), stamp(&copy)], &[&copy], false);
    check_hiding(&second, &[stamp(&copy), stamp(&theirs)], &[&copy, &theirs], false);
    let seen = facts("x", "aa", 1_001);
    check_hiding(&second, &[stamp(&copy), stamp(&seen)], &[&copy, &seen], true);
    check_hiding(&second, &[stamp(&theirs), stamp(&copy)], &[&theirs, &copy], false);
}

#[test]
fn delete_of_an_application_that_a_copy_hides_comes_back() {
    let copy = ours("c2", 1_002, &facts("s1", "aa", 1_000), None);
    check_hiding(&copy, &[deleted("m", 1_001)], &[], false);
}

#[test]
fn history_is_asked_for_where_a_write_may_not_have_been_checked() {
    let source = facts("s1", "aa", 1_000);
    let copy = ours("c1", 1_001, &source, None);
    let replica = copy_in("source", "s1", 1_000, &source, None);
    let rows = [
        (present(&source), present(&copy), true),
        (present(&replica), present(&copy), true),
        (ObjectState::DeleteMarker, ObjectState::DeleteMarker, true),
        (present(&source), present(&facts("theirs", "bb", 5_000)), false),
        (ObjectState::DeleteMarker, ObjectState::NotFound, false),
    ];
    for (source, destination, expected) in rows {
        let mut case = case(source, destination);
        case.looks_back = true;
        assert_eq!(case.decided() == Decision::AskHistory, expected);
    }
}

#[test]
fn replica_at_the_source_is_never_copied_back() {
    let replica = copy_in("source", "s1", 5_000, &facts("d1", "aa", 1_000), None);
    let destinations = [
        ObjectState::NotFound,
        ObjectState::DeleteMarker,
        present(&facts("d1", "bb", 1_000)),
        present(&ours("c1", 2_000, &facts("s0", "cc", 900), None)),
    ];
    for destination in destinations {
        check(
            &case(present(&replica), destination),
            &Decision::Skip(SkipReason::SourceIsReplica),
        );
    }
}

#[test]
fn marker_that_an_application_carried_to_another_key_is_not_one() {
    let mut carried = copy_in("source", "s1", 5_000, &facts("d1", "aa", 1_000), None);
    carried.size_bytes += 1;
    let case = case(present(&carried), ObjectState::NotFound);
    let Decision::Copy(order) = case.decided() else {
        panic!("it is copied like any other object");
    };
    let marker = Marker::ordered(&order).unwrap();
    assert_eq!(
        marker.source_version, carried.version_id,
        "the stale marker was replaced"
    );
}

#[test]
fn delete_marker_of_an_application_competes_by_time() {
    let source = facts("s1", "aa", 1_000);
    let covered = facts("c1", "bb", 500);
    let case_of = |seconds| {
        case(present(&source), ObjectState::DeleteMarker).with(past([deleted("m", seconds), stamp(&covered)]))
    };
    check(
        &case(present(&source), ObjectState::DeleteMarker),
        &Decision::AskHistory,
    );
    check_copied(&case_of(999), &source, &WriteCondition::Absent, Some("m"));
    check(&case_of(1_000), &SKIP_NEWER);
    check(&case_of(1_001), &SKIP_NEWER);
}

#[test]
fn delete_marker_of_ours_does_not_compete() {
    let source = facts("s1", "aa", 1_000);
    let covered = facts("c1", "bb", 500);
    let mut case = case(present(&source), ObjectState::DeleteMarker).with(past([deleted("m", 5_000), stamp(&covered)]));
    case.past.as_mut().unwrap().announced = vec![announced(&covered, 4_999)];
    check_copied(&case, &source, &WriteCondition::Absent, Some("m"));
}

#[test]
fn delete_of_ours_that_hit_somebody_elses_equal_object_is_undone() {
    let theirs = facts("theirs", "aa", 2_000);
    let covered = facts("c1", "aa", 500);
    for source in [ObjectState::DeleteMarker, present(&facts("s2", "cc", 1_999))] {
        let mut case =
            case(source, ObjectState::DeleteMarker).with(past([deleted("m", 2_001), stamp(&theirs), stamp(&covered)]));
        case.past.as_mut().unwrap().announced = vec![announced(&covered, 2_000)];
        check(&case, &Decision::RemoveVersion(VersionName::new("m").unwrap()));
    }
}

#[test]
fn only_what_is_ours_is_deleted_once_it_hides_nothing() {
    let source = facts("s1", "aa", 1_000);
    let copy = ours("c1", 1_001, &source, None);
    check(
        &case(ObjectState::NotFound, present(&copy)),
        &Decision::ConfirmAbsence(SideName::Source),
    );
    for gone in [ObjectState::DeleteMarker, ObjectState::ConfirmedAbsent] {
        let case_of = |destination: &ObjectFacts| case(gone.clone(), present(destination));
        check(&case_of(&copy), &Decision::AskHistory);
        let seen = copy.etag.clone();
        check(&case_of(&copy).with(past([stamp(&copy)])), &Decision::Delete { seen });
        check(
            &case_of(&facts("theirs", "aa", 500)),
            &Decision::Skip(SkipReason::NotOurs),
        );
        let mut kept = case_of(&copy);
        kept.policy.propagate_deletes = false;
        check(&kept, &Decision::Skip(SkipReason::DeletesNotPropagated));
    }
}

#[test]
fn nothing_on_both_sides_is_nothing_to_do_once_there_is_evidence() {
    let skip = Decision::Skip(SkipReason::BothAbsent);
    for source in [ObjectState::DeleteMarker, ObjectState::ConfirmedAbsent] {
        for destination in [ObjectState::DeleteMarker, ObjectState::ConfirmedAbsent] {
            check(&case(source.clone(), destination), &skip);
        }
    }
    let doubtful = case(ObjectState::NotFound, ObjectState::DeleteMarker);
    check(&doubtful, &Decision::ConfirmAbsence(SideName::Source));
    let doubtful = case(ObjectState::DeleteMarker, ObjectState::NotFound);
    check(&doubtful, &Decision::ConfirmAbsence(SideName::Destination));
}

#[test]
fn what_cannot_be_marked_is_refused_and_not_copied() {
    let mut source = facts("s1", "aa", 1_000);
    source.encryption = Encryption::Kms(KmsEncryption::default());
    let refused = |cause| Decision::Refuse(Refusal::CannotBeMarked(cause));
    check(
        &case(present(&source), ObjectState::NotFound),
        &refused(CannotMark::NothingToBind),
    );
    let mut source = facts("s1", "aa", 1_000);
    source.user_metadata.insert("a".to_owned(), "x".repeat(2_000));
    let decision = case(present(&source), ObjectState::NotFound).decided();
    assert!(matches!(
        decision,
        Decision::Refuse(Refusal::CannotBeMarked(CannotMark::NoRoom { .. }))
    ));
}

#[test]
fn replication_to_the_same_destination_is_refused() {
    let mut source = facts("s1", "aa", 8_999);
    source.replication_status = Some(ReplicationStatus::Pending);
    let mut case = case(present(&source), ObjectState::NotFound);
    check(&case, &Decision::AskReplication);
    case.replication = ReplicationCoverage::OurDestination;
    check(&case, &Decision::Refuse(Refusal::ReplicatedByS3));
    case.replication = ReplicationCoverage::Elsewhere;
    check_copied(&case, &source, &WriteCondition::Absent, None);
}

#[test]
fn object_uploaded_in_parts_is_copied_in_them_so_that_its_tag_binds_it() {
    let mut source = facts("s1", "aa-3", 1_000);
    source.annotations = Some(BTreeMap::new());
    let Decision::Copy(order) = case(present(&source), ObjectState::NotFound).decided() else {
        panic!("it is copied");
    };
    assert_eq!(order.method, CopyMethod::Parts);
    assert_eq!(order.stated.tags, source.tags);
    assert!(Marker::ordered(&order).unwrap().needs_the_same_parts());
    assert_eq!(order.stated.lock, ObjectLock::default());
}
