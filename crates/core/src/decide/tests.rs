use std::collections::BTreeMap;

use super::*;
use crate::bucket_settings::BucketObjectLock;
use crate::facts::samples::object;
use crate::facts::{Attribute, Availability, Encryption, HIDDEN_IN_HEAD, ReplicationStatus};
use crate::facts::{ChecksumCoverage, ExplicitEncryption, KmsEncryption};
use crate::lock::ObjectLock;
use crate::lock::{DefaultRetention, Retention, RetentionMode};
use crate::marker::MarkerError;
use crate::names::{ObjectKey, VersionId};
use crate::order::{ExplicitAttributes, SourcePin};
use crate::plan::{COPY_OBJECT_LIMIT_BYTES, LARGEST_OBJECT_BYTES};
use crate::policy::{AclRule, PreserveEtag, StorageClassRule};

const NOW: Timestamp = Timestamp::from_seconds(2_000);

fn policy() -> Policy {
    Policy {
        propagate_deletes: true,
        ..Policy::default()
    }
}

fn present(change: impl FnOnce(&mut ObjectFacts)) -> ObjectState {
    let mut facts = object("aa");
    change(&mut facts);
    ObjectState::Present(Box::new(facts))
}

/// Returns a copy that was made a second after the source was written.
fn copied(change: impl FnOnce(&mut ObjectFacts)) -> ObjectState {
    present(|facts| {
        facts.last_modified = Timestamp::from_seconds(1_001);
        facts.version_id = VersionId::pinnable("copy");
        change(facts);
    })
}

fn decided(source: &ObjectState, destination: &ObjectState) -> Decision {
    decided_with(source, destination, &policy(), ReplicationCoverage::NotRead)
}

fn decided_with(
    source: &ObjectState,
    destination: &ObjectState,
    policy: &Policy,
    replication: ReplicationCoverage,
) -> Decision {
    let situation = Situation {
        source,
        destination,
        replication,
        capabilities: None,
        default_encryption: &DefaultEncryption::Unknown,
        encrypts_by_copy: false,
        annotations_pending: false,
        is_just_copied: false,
        now: NOW,
    };
    decide(&situation, policy)
}

fn order(condition: WriteCondition) -> CopyOrder {
    CopyOrder {
        in_place: None,
        pin: SourcePin {
            version_id: VersionId::pinnable("v1"),
            etag: ETag::new("aa").unwrap(),
        },
        condition,
        method: CopyMethod::SingleRequest,
        explicit: ExplicitAttributes::plain(),
        source_checksum: None,
        size_bytes: 5,
        follow_up: AttributeSet::new(),
    }
}

const ABSENT: [ObjectState; 3] = [
    ObjectState::DeleteMarker,
    ObjectState::NotFound,
    ObjectState::ConfirmedAbsent,
];

#[test]
fn new_object_is_copied_only_if_destination_is_absent() {
    for destination in ABSENT {
        let expected = Decision::Copy(Box::new(order(WriteCondition::Absent)));
        assert_eq!(decided(&present(|_| ()), &destination), expected);
    }
}

#[test]
fn different_object_is_replaced_only_if_unchanged() {
    let destination = copied(|facts| facts.etag = ETag::new("bb").unwrap());
    let expected = Decision::Copy(Box::new(order(WriteCondition::Matches(ETag::new("bb").unwrap()))));
    assert_eq!(decided(&present(|_| ()), &destination), expected);
}

#[test]
fn newer_destination_object_is_replaced_with_exclusive_ownership() {
    let destination = copied(|facts| {
        facts.etag = ETag::new("bb").unwrap();
        facts.last_modified = Timestamp::from_seconds(5_000);
    });
    assert!(matches!(decided(&present(|_| ()), &destination), Decision::Copy(_)));
}

#[test]
fn identical_object_is_skipped() {
    let decision = decided(&present(|_| ()), &copied(|_| ()));
    assert_eq!(decision, Decision::Skip(SkipReason::AlreadyIdentical));
}

#[test]
fn inconclusive_object_is_copied() {
    let destination = copied(|facts| {
        facts.encryption = Encryption::Kms(KmsEncryption::default());
        facts.etag = ETag::new("bb").unwrap();
    });
    assert!(matches!(decided(&present(|_| ()), &destination), Decision::Copy(_)));
}

#[test]
fn source_written_after_the_copy_has_its_attributes_read() {
    let written = |seconds, tag_count| {
        let write = |facts: &mut ObjectFacts| facts.tag_count = tag_count;
        let source = present(|facts| {
            write(facts);
            facts.last_modified = Timestamp::from_seconds(seconds);
        });
        decided(&source, &copied(write))
    };
    // The copy was written in second 1,001.
    let identical = Decision::Skip(SkipReason::AlreadyIdentical);
    assert_eq!(written(1_000, Some(1)), identical);
    assert_eq!(
        written(1_001, Some(1)),
        Decision::ReadAttributes(AttributeSet::from([Attribute::Tags]))
    );
    assert_eq!(written(1_002, Some(1)), Decision::ReadAttributes(HIDDEN_IN_HEAD.into()));
    assert_eq!(written(1_001, None), identical, "neither side has tags");
    // A HEAD may omit the number of tags.
    assert_eq!(written(1_002, None), Decision::ReadAttributes(HIDDEN_IN_HEAD.into()));
}

/// Sets tags and no annotations as if they had been read.
fn hidden_read(facts: &mut ObjectFacts, tags: BTreeMap<String, String>) {
    facts.tags = Some(tags);
    facts.annotations = Some(BTreeMap::new());
}

#[test]
fn equal_bytes_with_other_metadata_are_replaced_after_their_tags_are_read() {
    let other = |facts: &mut ObjectFacts| facts.headers.content_type = Some("a/b".to_owned());
    assert_eq!(
        decided(&present(|_| ()), &copied(other)),
        Decision::ReadAttributes(HIDDEN_IN_HEAD.into())
    );
    let read = |facts: &mut ObjectFacts| hidden_read(facts, BTreeMap::new());
    let destination = copied(|facts| {
        other(facts);
        read(facts);
    });
    assert!(matches!(decided(&present(read), &destination), Decision::Copy(_)));
}

#[test]
fn different_tag_count_has_tags_read_at_any_age() {
    let long_after = copied(|facts| facts.last_modified = Timestamp::from_seconds(9_000));
    let source = present(|facts| facts.tag_count = Some(1));
    assert_eq!(
        decided(&source, &long_after),
        Decision::ReadAttributes(AttributeSet::from([Attribute::Tags]))
    );
}

#[test]
fn tags_read_on_both_sides_are_conclusive() {
    let tagged = |facts: &mut ObjectFacts| hidden_read(facts, BTreeMap::from([("a".into(), "b".into())]));
    let untagged = |facts: &mut ObjectFacts| hidden_read(facts, BTreeMap::new());
    let later = |facts: &mut ObjectFacts| facts.last_modified = Timestamp::from_seconds(1_500);
    let source = present(|facts| {
        tagged(facts);
        later(facts);
    });
    assert_eq!(
        decided(&source, &copied(tagged)),
        Decision::Skip(SkipReason::AlreadyIdentical)
    );
    assert!(matches!(
        decided(&source, &copied(untagged)),
        Decision::UpdateAttributes(_)
    ));
}

#[test]
fn absence_of_source_is_confirmed_before_a_delete() {
    assert_eq!(
        decided(&ObjectState::NotFound, &copied(|_| ())),
        Decision::ConfirmAbsence(SideName::Source)
    );
    for source in CONFIRMED {
        let seen = ETag::new("aa").unwrap();
        assert_eq!(decided(&source, &copied(|_| ())), Decision::Delete { seen });
    }
}

/// Absences that need no further confirmation.
const CONFIRMED: [ObjectState; 2] = [ObjectState::DeleteMarker, ObjectState::ConfirmedAbsent];

#[test]
fn delete_is_skipped_if_deletes_are_not_propagated() {
    let policy = Policy {
        propagate_deletes: false,
        ..policy()
    };
    let decided = |source| decided_with(&source, &copied(|_| ()), &policy, ReplicationCoverage::NotRead);
    for source in CONFIRMED {
        assert_eq!(decided(source), Decision::Skip(SkipReason::DeletesNotPropagated));
    }
    assert_eq!(
        decided(ObjectState::NotFound),
        Decision::ConfirmAbsence(SideName::Source)
    );
}

#[test]
fn key_absent_on_both_sides_is_skipped_after_confirmation() {
    let keeps = Policy {
        propagate_deletes: false,
        ..policy()
    };
    for source in ABSENT {
        for destination in ABSENT {
            for policy in [&policy(), &keeps] {
                let decision = decided_with(&source, &destination, policy, ReplicationCoverage::NotRead);
                let expected = if source == ObjectState::NotFound {
                    Decision::ConfirmAbsence(SideName::Source)
                } else if destination == ObjectState::NotFound && policy.propagate_deletes {
                    Decision::ConfirmAbsence(SideName::Destination)
                } else {
                    Decision::Skip(SkipReason::BothAbsent)
                };
                assert_eq!(decision, expected, "{source:?}, {destination:?}");
            }
        }
    }
}

#[track_caller]
fn check_refusal(change: impl Fn(&mut ObjectFacts), expected: &CopyRefusal) {
    let decision = decided(&present(&change), &ObjectState::NotFound);
    assert_eq!(decision, Decision::Refuse(expected.clone()));
    let already = copied(&change);
    assert_eq!(
        decided(&present(&change), &already),
        Decision::Skip(SkipReason::AlreadyIdentical),
        "equal objects need no copy"
    );
}

#[test]
fn uncopyable_object_is_refused_unless_equal() {
    check_refusal(
        |facts| facts.size_bytes = LARGEST_OBJECT_BYTES + 1,
        &CopyRefusal::TooLarge {
            size_bytes: 53_687_091_200_001,
        },
    );
    check_refusal(
        |facts| {
            facts.storage_class = "GLACIER".into();
            facts.availability = Availability::Archived;
        },
        &CopyRefusal::ArchivedNotRestored {
            storage_class: "GLACIER".into(),
        },
    );
    let source = present(|facts| facts.encryption = Encryption::CustomerKey);
    assert_eq!(
        decided(&source, &ObjectState::NotFound),
        Decision::Refuse(CopyRefusal::CustomerKeyEncrypted)
    );
}

#[test]
fn largest_single_request_object_is_copied() {
    let source = present(|facts| facts.size_bytes = 5_368_709_120);
    assert!(matches!(decided(&source, &ObjectState::NotFound), Decision::Copy(_)));
}

#[test]
fn copy_sets_attributes_that_s3_would_reset() {
    let source = present(|facts| {
        facts.storage_class = "STANDARD_IA".into();
        facts.website_redirect = Some("/elsewhere".into());
    });
    let Decision::Copy(order) = decided(&source, &ObjectState::NotFound) else {
        panic!("not a copy");
    };
    assert_eq!(order.explicit.storage_class, "STANDARD_IA");
    assert_eq!(order.explicit.website_redirect.as_deref(), Some("/elsewhere"));

    let fixed = Policy {
        storage_class: StorageClassRule::Fixed("GLACIER_IR".into()),
        ..policy()
    };
    let decision = decided_with(&source, &ObjectState::NotFound, &fixed, ReplicationCoverage::NotRead);
    let Decision::Copy(order) = decision else {
        panic!("not a copy");
    };
    assert_eq!(order.explicit.storage_class, "GLACIER_IR");
}

#[track_caller]
fn check_pending(status: ReplicationStatus, written: i64, coverage: ReplicationCoverage, expected: Option<Decision>) {
    let source = present(|facts| {
        facts.replication_status = Some(status);
        facts.last_modified = Timestamp::from_seconds(written);
    });
    let decision = decided_with(&source, &ObjectState::NotFound, &policy(), coverage);
    match expected {
        Some(expected) => assert_eq!(decision, expected),
        None => assert!(matches!(decision, Decision::Copy(_)), "{decision:?}"),
    }
}

#[test]
fn pending_replication_to_this_destination_is_deferred() {
    use ReplicationCoverage::{Covered, NotCovered, NotRead};
    use ReplicationStatus::{Completed, Failed, Pending, Replica};
    let again = Decision::Defer(DeferralReason::ReplicationPending {
        remaining: Duration::from_secs(800),
    });
    check_pending(Pending, 1_900, NotRead, Some(Decision::ReadReplicationCoverage));
    check_pending(Pending, 1_900, Covered, Some(again));
    check_pending(Pending, 1_900, NotCovered, None);
    check_pending(Pending, 1_100, Covered, None);
    check_pending(Pending, 1_100, NotRead, None);
    for status in [Completed, Failed, Replica] {
        check_pending(status, 1_900, Covered, None);
    }
}

#[test]
fn tags_read_on_one_side_are_inconclusive() {
    let read = |facts: &mut ObjectFacts| facts.tags = Some(BTreeMap::new());
    let later = Timestamp::from_seconds(1_500);
    let source = present(|facts| facts.last_modified = later);
    assert_eq!(
        decided(&source, &copied(read)),
        Decision::ReadAttributes(HIDDEN_IN_HEAD.into())
    );
    let source = present(|facts| {
        read(facts);
        facts.last_modified = later;
    });
    assert_eq!(
        decided(&source, &copied(|_| ())),
        Decision::ReadAttributes(HIDDEN_IN_HEAD.into())
    );
}

#[test]
fn uncopyable_object_with_pending_replication_is_deferred() {
    let source = present(|facts| {
        facts.size_bytes = LARGEST_OBJECT_BYTES + 1;
        facts.replication_status = Some(ReplicationStatus::Pending);
        facts.last_modified = Timestamp::from_seconds(1_900);
    });
    let decision = decided_with(&source, &ObjectState::NotFound, &policy(), ReplicationCoverage::Covered);
    assert!(matches!(decision, Decision::Defer(_)), "{decision:?}");
}

#[test]
fn equal_object_is_skipped_with_any_replication_status() {
    for status in [
        ReplicationStatus::Pending,
        ReplicationStatus::Failed,
        ReplicationStatus::Completed,
    ] {
        let source = present(|facts| facts.replication_status = Some(status));
        let decision = decided(&source, &copied(|_| ()));
        assert_eq!(decision, Decision::Skip(SkipReason::AlreadyIdentical));
    }
}

#[test]
fn copy_of_tagged_object_waits_for_the_next_second() {
    let check = |tag_count, written_ms, now_ms, expected_ms| {
        let source = present(|facts| {
            facts.tag_count = tag_count;
            facts.last_modified = Timestamp::from_millis(written_ms);
        });
        let wait = wait_before_copy(source.facts().unwrap(), Timestamp::from_millis(now_ms));
        assert_eq!(
            wait,
            Duration::from_millis(expected_ms),
            "{tag_count:?} {written_ms} {now_ms}"
        );
    };
    check(Some(1), 5_000, 5_000, 1_000);
    check(Some(1), 5_000, 5_999, 1);
    check(Some(1), 5_000, 6_000, 0);
    check(Some(1), 5_000, 60_000, 0);
    check(Some(1), 5_000, 4_900, 1_000);
    check(Some(1), 60_000, 5_000, 1_000);
    check(None, 5_000, 5_000, 0);
}

#[test]
fn key_is_in_scope_if_it_begins_with_the_prefix() {
    let policy = Policy {
        key_prefix: "data/".into(),
        ..policy()
    };
    assert!(policy.covers(&ObjectKey::from_raw("data/a").unwrap()));
    assert!(!policy.covers(&ObjectKey::from_raw("database").unwrap()));
}

const GIB: u64 = 1024 * 1024 * 1024;

#[track_caller]
fn check_method(policy: &Policy, size_bytes: u64, etag: &str, expected: CopyMethod) {
    let source = present(|facts| {
        facts.size_bytes = size_bytes;
        facts.etag = ETag::new(etag).unwrap();
        facts.tags = Some(BTreeMap::new());
        facts.annotations = Some(BTreeMap::new());
    });
    match decided_with(&source, &ObjectState::NotFound, policy, ReplicationCoverage::NotRead) {
        Decision::Copy(order) => assert_eq!(order.method, expected, "{size_bytes} {etag}"),
        other => panic!("not a copy: {other:?}"),
    }
}

#[test]
fn object_above_the_threshold_is_copied_multipart() {
    use CopyMethod::{Multipart, SingleRequest};
    let policy = policy();
    check_method(&policy, 5 * GIB, "aa", SingleRequest);
    check_method(&policy, 5 * GIB + 1, "aa", Multipart);
    check_method(&policy, LARGEST_OBJECT_BYTES, "aa-10000", Multipart);
    let early = Policy {
        multipart_threshold_bytes: GIB,
        ..policy.clone()
    };
    check_method(&early, GIB, "aa-2", Multipart);
    check_method(&early, GIB + 1, "aa-2", Multipart);
    // Without a checksum, only the `ETag` of a single part can verify the copy.
    check_method(&early, GIB + 1, "aa", SingleRequest);
}

#[test]
fn object_comparable_only_by_parts_is_copied_multipart() {
    use crate::facts::ChecksumCoverage::{Composite, FullObject};
    use CopyMethod::{Multipart, SingleRequest};
    let key = "arn:aws:kms:us-east-1:111122223333:key/1111-2222";
    let with_kms = || {
        Encryption::Kms(KmsEncryption {
            key_arn: Some(key.to_owned()),
            ..KmsEncryption::default()
        })
    };
    let cases = [
        ("aa-3", None, Encryption::Managed, Multipart),
        ("aa-3", Some(Composite), Encryption::Managed, Multipart),
        ("aa-3", Some(FullObject), Encryption::Managed, SingleRequest),
        ("aa", None, Encryption::Managed, SingleRequest),
        // Under KMS no `ETag` is a hash, so parts would prove nothing either.
        ("aa-3", None, with_kms(), SingleRequest),
        ("aa-3", Some(Composite), with_kms(), Multipart),
    ];
    for (etag, checksum, encryption, expected) in cases {
        let source = present(|facts| {
            facts.etag = ETag::new(etag).unwrap();
            facts.encryption = encryption.clone();
            facts.tags = Some(BTreeMap::new());
            facts.annotations = Some(BTreeMap::new());
            if let Some(coverage) = checksum {
                facts.checksums.coverage = coverage;
                facts.checksums.values.insert("CRC32", "x==".into());
            }
        });
        let decision = decided_with(&source, &ObjectState::NotFound, &policy(), ReplicationCoverage::NotRead);
        let Decision::Copy(order) = decision else {
            panic!("not a copy: {decision:?}")
        };
        assert_eq!(order.method, expected, "{etag} {checksum:?} {encryption:?}");
    }
}

#[test]
fn etag_is_preserved_at_any_size_with_preserve_etag_always() {
    use CopyMethod::{Multipart, SingleRequest};
    let policy = Policy {
        preserve_etag: PreserveEtag::Always,
        multipart_threshold_bytes: GIB,
        ..policy()
    };
    check_method(&policy, 7, "aa-1", Multipart);
    check_method(&policy, 7, "aa", SingleRequest);
    check_method(&policy, 2 * GIB, "aa", SingleRequest);
    check_method(&policy, 5 * GIB + 1, "aa", Multipart);
    // An empty object has no parts.
    check_method(&policy, 0, "aa-1", SingleRequest);
}

#[test]
fn multipart_copy_reads_and_sets_every_attribute() {
    let large = |facts: &mut ObjectFacts| {
        facts.size_bytes = 6 * GIB;
        facts.headers.content_type = Some("a/b".into());
        facts.user_metadata.insert("owner".into(), "b".into());
        facts.checksums.values.insert("CRC64NVME", "x==".into());
    };
    let unread = AttributeSet::from([Attribute::Tags, Attribute::Annotations]);
    assert_eq!(
        decided(&present(large), &ObjectState::NotFound),
        Decision::ReadSourceAttributes(unread)
    );
    let tags = BTreeMap::from([("a".to_owned(), "b".to_owned())]);
    let source = present(|facts| {
        large(facts);
        facts.tags = Some(tags.clone());
        facts.annotations = Some(BTreeMap::new());
    });
    let Decision::Copy(order) = decided(&source, &ObjectState::NotFound) else {
        panic!("not a copy");
    };
    assert_eq!(order.explicit.tags, Some(tags));
    let metadata = order.explicit.metadata.unwrap();
    assert_eq!(metadata.headers.content_type.as_deref(), Some("a/b"));
    assert_eq!(metadata.user, BTreeMap::from([("owner".to_owned(), "b".to_owned())]));
    assert_eq!(order.source_checksum.unwrap().algorithm, "CRC64NVME");
}

fn tagged(value: &str) -> BTreeMap<String, String> {
    BTreeMap::from([("stage".to_owned(), value.to_owned())])
}

#[test]
fn changed_tags_are_updated_on_the_version_read_without_a_copy() {
    let source = present(|facts| facts.tags = Some(tagged("live")));
    let destination = copied(|facts| facts.tags = Some(tagged("test")));
    let Decision::UpdateAttributes(order) = decided(&source, &destination) else {
        panic!("not an attribute update");
    };
    assert_eq!(order.version_id.as_ref().unwrap().as_str(), "copy");
    assert_eq!(order.tags, Some(tagged("live")));
    assert_eq!(
        (order.lock, order.acl.clone(), order.annotations.clone()),
        (None, None, None)
    );
    assert_eq!(order.attributes(), AttributeSet::from([Attribute::Tags]));
}

#[test]
fn attribute_update_without_versions_is_a_conditional_copy() {
    let source = present(|facts| hidden_read(facts, tagged("live")));
    let destination = copied(|facts| {
        hidden_read(facts, tagged("test"));
        facts.version_id = None;
    });
    let expected = WriteCondition::Matches(ETag::new("aa").unwrap());
    match decided(&source, &destination) {
        Decision::Copy(order) => assert_eq!(order.condition, expected),
        other => panic!("not a copy: {other:?}"),
    }
}

#[test]
fn archived_object_has_its_tags_updated() {
    let archived = |facts: &mut ObjectFacts| {
        facts.storage_class = "GLACIER".into();
        facts.availability = Availability::Archived;
    };
    let source = present(|facts| {
        archived(facts);
        facts.tags = Some(tagged("live"));
    });
    let destination = copied(|facts| {
        archived(facts);
        facts.tags = Some(tagged("test"));
    });
    assert!(matches!(decided(&source, &destination), Decision::UpdateAttributes(_)));
}

#[test]
fn annotations_are_written_and_removed_by_name() {
    let annotations = |entries: &[(&str, &str)]| -> BTreeMap<String, String> {
        entries
            .iter()
            .map(|(name, etag)| ((*name).into(), (*etag).into()))
            .collect()
    };
    let source = present(|facts| facts.annotations = Some(annotations(&[("same", "1"), ("new", "2"), ("other", "3")])));
    let destination =
        copied(|facts| facts.annotations = Some(annotations(&[("same", "1"), ("other", "4"), ("old", "5")])));
    let Decision::UpdateAttributes(order) = decided(&source, &destination) else {
        panic!("not an attribute update");
    };
    let change = order.annotations.unwrap();
    assert_eq!(change.write, ["new", "other"].map(str::to_owned).into());
    assert_eq!(change.remove, ["old".to_owned()].into());
}

#[test]
fn equal_attributes_are_omitted_from_an_update() {
    let annotated = |facts: &mut ObjectFacts, tags: &str| {
        facts.tags = Some(tagged(tags));
        facts.annotations = Some(BTreeMap::from([("note".to_owned(), "1".to_owned())]));
    };
    let source = present(|facts| annotated(facts, "live"));
    let destination = copied(|facts| annotated(facts, "test"));
    let Decision::UpdateAttributes(order) = decided(&source, &destination) else {
        panic!("not an attribute update");
    };
    assert_eq!(order.attributes(), AttributeSet::from([Attribute::Tags]));
    assert_eq!(order.annotations, None);
}

#[test]
fn decisions_and_refusals_have_stable_log_names() {
    let etag = ETag::new("aa").unwrap();
    let tags = AttributeSet::from([Attribute::Tags]);
    let decisions = [
        (Decision::Skip(SkipReason::BothAbsent), "both-absent"),
        (Decision::ReadAttributes(AttributeSet::from([Attribute::Tags])), "read"),
        (Decision::ReadSourceAttributes(tags), "read"),
        (Decision::ReadReplicationCoverage, "read-replication-coverage"),
        (Decision::ReadBucketCapabilities, "read-bucket-capabilities"),
        (Decision::ConfirmAbsence(SideName::Source), "confirm-absence"),
        (Decision::Delete { seen: etag }, "delete"),
        (Decision::Defer(DeferralReason::HotKey), "hot-key"),
        (
            Decision::Refuse(CopyRefusal::CustomerKeyEncrypted),
            "CustomerKeyEncrypted",
        ),
    ];
    for (decision, name) in decisions {
        assert_eq!(decision.as_str(), name);
    }
    let multipart = present(|facts| {
        facts.size_bytes = 6 << 30;
        facts.tags = Some(BTreeMap::new());
        facts.annotations = Some(BTreeMap::new());
    });
    assert_eq!(decided(&multipart, &ObjectState::NotFound).as_str(), "multipart-copy");
    assert_eq!(decided(&present(|_| ()), &ObjectState::NotFound).as_str(), "copy");
    let storage_class = "GLACIER".to_owned();
    let refusals = [
        (
            CopyRefusal::ArchivedNotRestored { storage_class },
            "ArchivedNotRestored",
        ),
        (CopyRefusal::TooLarge { size_bytes: 1 }, "ObjectTooLarge"),
        (
            CopyRefusal::MarkerNotPossible(MarkerError::NothingToBind),
            "CannotBeMarked",
        ),
        (CopyRefusal::ReplicatedByS3, "ReplicatedByS3"),
    ];
    for (refusal, code) in refusals {
        assert_eq!(refusal.code(), code);
    }
}

fn annotated(text: &str) -> BTreeMap<String, String> {
    BTreeMap::from([("note".to_owned(), text.to_owned())])
}

#[test]
fn annotations_that_a_multipart_copy_may_lack_are_read() {
    let decided = |etag: &str, annotations_pending, annotations: Option<BTreeMap<String, String>>| {
        let change = |facts: &mut ObjectFacts| {
            facts.etag = ETag::new(etag).unwrap();
            facts.annotations.clone_from(&annotations);
        };
        let situation = Situation {
            source: &present(change),
            destination: &copied(change),
            replication: ReplicationCoverage::NotRead,
            capabilities: None,
            default_encryption: &DefaultEncryption::Unknown,
            encrypts_by_copy: false,
            annotations_pending,
            is_just_copied: false,
            now: NOW,
        };
        decide(&situation, &policy())
    };
    let identical = Decision::Skip(SkipReason::AlreadyIdentical);
    assert_eq!(
        decided("aa-2", true, None),
        Decision::ReadAttributes(AttributeSet::from([Attribute::Annotations]))
    );
    assert_eq!(decided("aa-2", false, None), identical);
    assert_eq!(decided("aa", true, None), identical);
    assert_eq!(decided("aa-2", true, Some(annotated("x"))), identical);
}

#[test]
fn annotations_alone_are_updated_on_unversioned_buckets() {
    let unversioned = |annotations: &str, stage: &str| {
        copied(|facts| {
            facts.version_id = None;
            facts.annotations = Some(annotated(annotations));
            facts.tags = Some(BTreeMap::from([("stage".to_owned(), stage.to_owned())]));
        })
    };
    let source = unversioned("new", "live");
    let Decision::UpdateAttributes(order) = decided(&source, &unversioned("old", "live")) else {
        panic!("annotations should be updated");
    };
    assert_eq!((order.version_id, order.etag.as_str()), (None, "aa"));
    assert!(matches!(
        decided(&source, &unversioned("old", "test")),
        Decision::Copy(_)
    ));
}

#[test]
fn inconclusive_copy_is_not_repeated_for_its_follow_up() {
    let kms = |facts: &mut ObjectFacts| {
        facts.encryption = Encryption::Kms(KmsEncryption::default());
        facts.etag = ETag::new("kms").unwrap();
    };
    for (is_just_copied, expected) in [(false, "copy"), (true, "already-identical")] {
        let situation = Situation {
            source: &present(|_| ()),
            destination: &copied(kms),
            replication: ReplicationCoverage::NotRead,
            capabilities: None,
            default_encryption: &DefaultEncryption::Unknown,
            encrypts_by_copy: false,
            annotations_pending: false,
            is_just_copied,
            now: NOW,
        };
        let tagged = |state: &ObjectState| {
            let mut facts = state.facts().unwrap().clone();
            hidden_read(&mut facts, BTreeMap::new());
            ObjectState::Present(Box::new(facts))
        };
        let (source, destination) = (tagged(situation.source), tagged(situation.destination));
        let situation = Situation {
            source: &source,
            destination: &destination,
            ..situation
        };
        assert_eq!(decide(&situation, &policy()).as_str(), expected);
    }
}

#[test]
fn preferred_method_is_used_unless_only_the_other_copy_is_comparable() {
    use ChecksumCoverage::{Composite, FullObject};
    let lowered = Policy {
        multipart_threshold_bytes: 5,
        ..policy()
    };
    let always = Policy {
        preserve_etag: PreserveEtag::Always,
        ..policy()
    };
    let method_of = |etag: &str, size_bytes, checksum: Option<(&'static str, ChecksumCoverage)>, policy: &Policy| {
        let mut facts = object(etag);
        facts.size_bytes = size_bytes;
        if let Some((algorithm, coverage)) = checksum {
            facts.checksums.coverage = coverage;
            facts.checksums.values.insert(algorithm, "x".to_owned());
        }
        method(&facts, policy)
    };
    let single_request = CopyMethod::SingleRequest;
    let multipart = CopyMethod::Multipart;
    // A multipart copy is preferred above a lowered threshold, but loses a checksum that S3 does not compute from
    // parts.
    assert_eq!(method_of("aa", 6, Some(("CRC64NVME", FullObject)), &lowered), multipart);
    for algorithm in ["SHA256", "SHA1"] {
        assert_eq!(
            method_of("aa", 6, Some((algorithm, FullObject)), &lowered),
            single_request
        );
    }
    assert_eq!(method_of("aa", 6, None, &lowered), single_request);
    assert_eq!(method_of("aa-2", 6, None, &lowered), multipart);
    assert_eq!(method_of("aa-2", 5, None, &lowered), multipart);
    assert_eq!(method_of("aa-2", 5, Some(("SHA256", Composite)), &policy()), multipart);
    assert_eq!(
        method_of("aa-2", 5, Some(("CRC32", FullObject)), &policy()),
        single_request
    );
    assert_eq!(method_of("aa-2", 5, Some(("CRC32", FullObject)), &always), multipart);
    assert_eq!(method_of("aa", 5, None, &always), single_request);
    assert_eq!(method_of("aa-1", 0, None, &always), single_request);
    let too_large = COPY_OBJECT_LIMIT_BYTES + 1;
    assert_eq!(
        method_of("aa", too_large, Some(("SHA256", FullObject)), &policy()),
        multipart
    );
}

#[test]
fn retention_weaker_than_the_bucket_default_is_omitted_and_compared_after_the_copy() {
    use RetentionMode::{Compliance, Governance};
    let decided = |own: ObjectLock, mode| {
        let default = Some(DefaultRetention { mode, days: 1 });
        let capabilities = BucketCapabilities {
            object_lock: Some(BucketObjectLock { default }),
            acl: false,
        };
        let source = present(|facts| facts.lock = own);
        match decided_with_capabilities(&source, &ObjectState::DeleteMarker, &policy(), capabilities) {
            Decision::Copy(order) => (order.explicit.lock, order.follow_up),
            other => panic!("not a copy: {other:?}"),
        }
    };
    let day = 24 * 60 * 60;
    let (short, long) = (retained(Governance, 2_000 + day - 1), retained(Compliance, 2_000 + day));
    let left = (ObjectLock::default(), AttributeSet::from([Attribute::Lock]));
    assert_eq!(decided(short, Governance), left);
    assert_eq!(decided(retained(Governance, 9 * day), Compliance), left);
    assert_eq!(decided(retained(Compliance, 3_000), Governance), left);
    assert_eq!(decided(long, Compliance), (long, AttributeSet::new()));
}

#[test]
fn stricter_destination_lock_is_reported() {
    use RetentionMode::{Compliance, Governance};
    let source = present(|facts| facts.lock = retained(Governance, 3_000));
    let named = |lock| {
        let missing = not_preserved(
            source.facts().unwrap(),
            lock,
            None,
            &AttributeSet::new(),
            Some(LOCKS),
            &policy(),
            NOW,
        );
        missing.contains(&Attribute::StricterLock)
    };
    assert!(named(Some(retained(Compliance, 3_000))));
    assert!(named(Some(retained(Governance, 3_001))));
    assert!(!named(Some(retained(Governance, 3_000))));
    assert!(!named(Some(retained(Governance, 2_999))));
    assert!(!named(None));
}

fn retained(mode: RetentionMode, until: i64) -> ObjectLock {
    ObjectLock {
        retention: Some(Retention {
            mode,
            until: Timestamp::from_seconds(until),
        }),
        legal_hold: false,
        event_hold: None,
    }
}

#[track_caller]
fn decided_with_capabilities(
    source: &ObjectState,
    destination: &ObjectState,
    policy: &Policy,
    capabilities: BucketCapabilities,
) -> Decision {
    let situation = Situation {
        source,
        destination,
        replication: ReplicationCoverage::NotRead,
        capabilities: Some(capabilities),
        default_encryption: &DefaultEncryption::Unknown,
        encrypts_by_copy: false,
        annotations_pending: false,
        is_just_copied: false,
        now: NOW,
    };
    decide(&situation, policy)
}

const LOCKS: BucketCapabilities = BucketCapabilities {
    object_lock: Some(BucketObjectLock { default: None }),
    acl: false,
};
const NOTHING: BucketCapabilities = BucketCapabilities {
    object_lock: None,
    acl: false,
};
const ACLS: BucketCapabilities = BucketCapabilities {
    object_lock: None,
    acl: true,
};

#[test]
fn lock_in_force_is_set_if_the_destination_has_object_lock() {
    let lock = retained(RetentionMode::Compliance, 9_000);
    let source = present(|facts| facts.lock = lock);
    let nowhere = ObjectState::NotFound;
    assert_eq!(decided(&source, &nowhere), Decision::ReadBucketCapabilities);
    for (capabilities, expected) in [(LOCKS, lock), (NOTHING, ObjectLock::default())] {
        match decided_with_capabilities(&source, &nowhere, &policy(), capabilities) {
            Decision::Copy(order) => assert_eq!(order.explicit.lock, expected),
            other => panic!("not a copy: {other:?}"),
        }
    }
    let ended = present(|facts| facts.lock = retained(RetentionMode::Compliance, 2_000));
    match decided(&ended, &nowhere) {
        Decision::Copy(order) => assert!(order.explicit.lock.is_none(), "S3 rejects a retention that has ended"),
        other => panic!("not a copy: {other:?}"),
    }
}

#[test]
fn weaker_lock_is_strengthened_and_stricter_lock_is_unchanged() {
    let source = present(|facts| facts.lock = retained(RetentionMode::Compliance, 8_000));
    let weaker = copied(|facts| facts.lock = retained(RetentionMode::Governance, 9_000));
    match decided_with_capabilities(&source, &weaker, &policy(), LOCKS) {
        Decision::UpdateAttributes(order) => {
            let change = order.lock.unwrap();
            assert_eq!(change.to, retained(RetentionMode::Compliance, 9_000), "never shortened");
            assert!(change.changes_retention && !change.changes_legal_hold);
        }
        other => panic!("not an attribute update: {other:?}"),
    }
    let stricter = copied(|facts| {
        facts.lock = retained(RetentionMode::Compliance, 9_000);
        facts.lock.legal_hold = true;
    });
    let equal = Decision::Skip(SkipReason::AlreadyIdentical);
    assert_eq!(decided_with_capabilities(&source, &stricter, &policy(), LOCKS), equal);
    assert_eq!(
        decided_with_capabilities(&source, &copied(|_| ()), &policy(), NOTHING),
        equal
    );
    assert_eq!(
        not_preserved(
            source.facts().unwrap(),
            None,
            None,
            &AttributeSet::new(),
            Some(NOTHING),
            &policy(),
            NOW
        ),
        AttributeSet::from([Attribute::Lock])
    );
}

#[test]
fn grants_are_set_only_if_configured_and_possible() {
    let acl = |who: &str| crate::acl::Acl {
        grants: [crate::acl::Grant {
            grantee: crate::acl::Grantee::Account(who.into()),
            permission: "READ".into(),
        }]
        .into(),
    };
    let copies_acl = Policy {
        acl: AclRule::Copy,
        ..policy()
    };
    let nowhere = ObjectState::NotFound;
    let unread = present(|_| ());
    let read = Decision::ReadSourceAttributes(AttributeSet::from([Attribute::Acl]));
    assert_eq!(decided_with_capabilities(&unread, &nowhere, &copies_acl, ACLS), read);
    let source = present(|facts| facts.acl = Some(acl("one")));
    for (policy, capabilities, expected) in [
        (&copies_acl, ACLS, Some(acl("one"))),
        (&copies_acl, NOTHING, None),
        (&policy(), ACLS, None),
    ] {
        match decided_with_capabilities(&source, &nowhere, policy, capabilities) {
            Decision::Copy(order) => assert_eq!(order.explicit.acl, expected),
            other => panic!("not a copy: {other:?}"),
        }
    }
    let unread = copied(|_| ());
    assert_eq!(
        decided_with_capabilities(&source, &unread, &copies_acl, ACLS),
        Decision::ReadAttributes(AttributeSet::from([Attribute::Acl]))
    );
    let other = copied(|facts| facts.acl = Some(acl("two")));
    match decided_with_capabilities(&source, &other, &copies_acl, ACLS) {
        Decision::UpdateAttributes(order) => assert_eq!(order.acl, Some(acl("one"))),
        other => panic!("not an attribute update: {other:?}"),
    }
    let granted = |facts: &mut ObjectFacts, tags: &str| {
        facts.acl = Some(acl("one"));
        facts.tags = Some(tagged(tags));
    };
    let (source_tagged, copy_tagged) = (
        present(|facts| granted(facts, "live")),
        copied(|facts| granted(facts, "test")),
    );
    match decided_with_capabilities(&source_tagged, &copy_tagged, &copies_acl, ACLS) {
        Decision::UpdateAttributes(order) => assert_eq!(order.attributes(), AttributeSet::from([Attribute::Tags])),
        other => panic!("not an attribute update: {other:?}"),
    }
    let hinted = AttributeSet::from([Attribute::Acl]);
    let missing = |policy| not_preserved(source.facts().unwrap(), None, None, &hinted, None, policy, NOW);
    assert_eq!(
        (missing(&policy()), missing(&copies_acl)),
        (hinted.clone(), AttributeSet::new())
    );
    let of_nothing = not_preserved(
        source.facts().unwrap(),
        None,
        None,
        &AttributeSet::new(),
        Some(NOTHING),
        &policy(),
        NOW,
    );
    assert_eq!(of_nothing, AttributeSet::new(), "no lock, and no event named grants");
}

#[test]
fn mapped_kms_key_is_explicit_with_its_bucket_key() {
    let under = |arn: &str| {
        present(|facts| {
            facts.encryption = Encryption::Kms(KmsEncryption {
                key_arn: Some(arn.to_owned()),
                bucket_key: true,
                dual_layer: false,
            });
        })
    };
    let policy = Policy {
        kms_keys: BTreeMap::from([("arn:us".to_owned(), "arn:eu".to_owned())]),
        ..policy()
    };
    let explicit = |source: &ObjectState| match decided_with(
        source,
        &ObjectState::NotFound,
        &policy,
        ReplicationCoverage::NotRead,
    ) {
        Decision::Copy(order) => order.explicit.encryption,
        other => panic!("not a copy: {other:?}"),
    };
    let expected = ExplicitEncryption::Kms(KmsEncryption {
        key_arn: Some("arn:eu".to_owned()),
        bucket_key: true,
        dual_layer: false,
    });
    assert_eq!(explicit(&under("arn:us")), Some(expected));
    assert_eq!(explicit(&under("arn:other")), None);
    assert_eq!(explicit(&present(|_| ())), None);
}

#[test]
fn metadata_that_s3_does_not_return_is_reported_as_not_preserved() {
    let source = present(|facts| facts.missing_metadata = 1);
    let missing = not_preserved(
        source.facts().unwrap(),
        None,
        None,
        &AttributeSet::new(),
        None,
        &policy(),
        NOW,
    );
    assert_eq!(missing, AttributeSet::from([Attribute::MissingMetadata]));
}

/// Returns the encryption of a test row: `managed` or the name of a KMS key; the prefix `2:` means dual-layer.
fn encrypted(name: &str) -> ExplicitEncryption {
    if name == "managed" {
        return ExplicitEncryption::Managed;
    }
    let (key, dual_layer) = name.strip_prefix("2:").map_or((name, false), |key| (key, true));
    ExplicitEncryption::Kms(KmsEncryption {
        key_arn: Some(key.to_owned()),
        bucket_key: false,
        dual_layer,
    })
}

fn stored_as(name: &str) -> Encryption {
    match encrypted(name) {
        ExplicitEncryption::Managed => Encryption::Managed,
        ExplicitEncryption::Kms(kms) => Encryption::Kms(kms),
    }
}

#[test]
fn encryption_of_equal_objects_is_changed_in_place_or_by_a_copy() {
    type Change = fn(&mut ObjectFacts);
    let with_checksum = |facts: &mut ObjectFacts| {
        facts.checksums.values = BTreeMap::from([("CRC64NVME", "x".to_owned())]);
    };
    let decided = |requested: Option<&str>, default: &DefaultEncryption, present_as: &str, change: Change, by_copy| {
        let both = |facts: &mut ObjectFacts| {
            with_checksum(facts);
            hidden_read(facts, BTreeMap::new());
        };
        let source = present(both);
        let destination = copied(|facts| {
            both(facts);
            facts.encryption = stored_as(present_as);
            change(facts);
        });
        let situation = Situation {
            source: &source,
            destination: &destination,
            replication: ReplicationCoverage::NotRead,
            capabilities: Some(BucketCapabilities {
                object_lock: Some(BucketObjectLock::default()),
                acl: false,
            }),
            default_encryption: default,
            encrypts_by_copy: by_copy,
            annotations_pending: false,
            is_just_copied: false,
            now: NOW,
        };
        let policy = Policy {
            destination_encryption: requested.map(encrypted),
            ..policy()
        };
        decide(&situation, &policy).as_str()
    };
    let is = |name: &str| DefaultEncryption::Known(encrypted(name));
    let (not_read, unknown) = (DefaultEncryption::NotRead, DefaultEncryption::Unknown);
    let same: Change = |_| ();
    let locked: Change = |facts| facts.lock.legal_hold = true;
    let unversioned: Change = |facts| facts.version_id = None;
    let (skip, update_attributes, copy) = ("already-identical", "update-attributes", "copy");
    for (requested, default, present_as, change, by_copy, expected) in [
        (None, &not_read, "managed", same, false, "read-default-encryption"),
        (None, &unknown, "managed", same, false, skip),
        (None, &unknown, "key", same, false, skip),
        (None, &is("managed"), "managed", same, false, skip),
        (None, &is("managed"), "key", same, false, skip),
        (None, &is("key"), "other", same, false, update_attributes),
        (None, &is("key"), "2:other", same, false, skip),
        (None, &is("key"), "managed", same, false, update_attributes),
        (Some("managed"), &not_read, "managed", same, false, skip),
        (Some("managed"), &not_read, "key", same, false, copy),
        (Some("key"), &not_read, "key", same, false, skip),
        (Some("key"), &not_read, "managed", same, false, update_attributes),
        (Some("key"), &not_read, "other", same, false, update_attributes),
        // Changes that S3 does not make in place.
        (Some("key"), &not_read, "managed", same, true, copy),
        (Some("key"), &not_read, "managed", locked, false, copy),
        (Some("key"), &not_read, "managed", unversioned, false, copy),
        (Some("key"), &not_read, "2:key", same, false, copy),
        (Some("2:key"), &not_read, "managed", same, false, copy),
    ] {
        let found = decided(requested, default, present_as, change, by_copy);
        assert_eq!(found, expected, "{requested:?} {default:?} {present_as} {by_copy}");
    }
}

#[test]
fn uncopyable_object_keeps_its_encryption() {
    let archived = |facts: &mut ObjectFacts| {
        facts.availability = Availability::Archived;
        hidden_read(facts, BTreeMap::new());
    };
    let policy = Policy {
        destination_encryption: Some(encrypted("2:key")),
        ..policy()
    };
    let decision = decided_with(
        &present(archived),
        &copied(archived),
        &policy,
        ReplicationCoverage::NotRead,
    );
    assert_eq!(decision, Decision::Skip(SkipReason::AlreadyIdentical));
}

#[test]
fn kms_key_not_preserved_is_reported_unless_requested() {
    let source = present(|facts| facts.encryption = stored_as("source"));
    let missing = |encryption: Option<&str>, requested: Option<&str>| {
        let policy = Policy {
            destination_encryption: requested.map(encrypted),
            ..policy()
        };
        let encryption = encryption.map(stored_as);
        let (facts, hinted) = (source.facts().unwrap(), AttributeSet::new());
        not_preserved(facts, None, encryption.as_ref(), &hinted, None, &policy, NOW)
    };
    let named = AttributeSet::from([Attribute::Encryption]);
    assert_eq!(missing(Some("managed"), None), named);
    assert_eq!(
        missing(Some("managed"), Some("key")),
        named,
        "the requested key is missing"
    );
    for (encryption, requested) in [(None, None), (Some("key"), None), (Some("managed"), Some("managed"))] {
        assert_eq!(missing(encryption, requested), AttributeSet::new());
    }
}
