//! The reconcile of one key: every step, every failure, and concurrent changes at every moment.

mod world;

use std::collections::BTreeMap;
use std::time::Duration;

use s3ferry_core::acl::{Acl, Grant, Grantee};
use s3ferry_core::bucket_settings::{BucketObjectLock, ReplicationCoverage};
use s3ferry_core::facts::{Attribute, AttributeSet, Availability, Encryption, KmsEncryption, ReplicationStatus};
use s3ferry_core::failure::FailureKind;
use s3ferry_core::lock::{DefaultRetention, EventHold, ObjectLock, Retention, RetentionMode};
use s3ferry_core::outcome::{DeferralReason, Outcome, ReconcileReport, SkipReason, WithheldWrite};
use s3ferry_core::policy::{AclRule, PreserveEtag};
use s3ferry_engine::ports::Clock as _;
use s3ferry_engine::reconcile::MAX_PASSES;
use s3ferry_testkit::clock::TestClock;
use s3ferry_testkit::faults::{FaultScript, PortCall, PortFault, failure};
use s3ferry_testkit::memory::MemoryBucket;
use world::{KEY, TestWorld, key, tags};

#[track_caller]
fn assert_copied(report: &ReconcileReport) {
    assert!(matches!(report.outcome, Outcome::Copied { .. }), "{report:?}");
}

#[track_caller]
fn assert_skipped(report: &ReconcileReport, reason: SkipReason) {
    assert_eq!(report.outcome, Outcome::Skipped(reason));
}

#[track_caller]
fn assert_attributes_updated(report: &ReconcileReport) {
    let attributes = tags();
    assert_eq!(report.outcome, Outcome::AttributesUpdated { attributes });
}

#[tokio::test(start_paused = true)]
async fn new_object_takes_three_reads_and_one_write() {
    let world = TestWorld::new();
    world.source.put(KEY, "one");
    let report = world.reconcile().await;
    assert_copied(&report);
    world.assert_equal();
    let counted = [
        PortCall::SourceRead,
        PortCall::DestinationRead,
        PortCall::Copy,
        PortCall::Delete,
    ]
    .map(|call| world.script.count(call));
    assert_eq!(counted, [2, 1, 1, 0]);
    assert_eq!(
        (report.passes, report.progress, report.outcome_unknown),
        (1, true, false)
    );
}

#[tokio::test(start_paused = true)]
async fn dry_run_ends_with_the_first_write_and_sends_none() {
    let dry = |world: &TestWorld| {
        let mut dry = world.clone().with_script(FaultScript::default());
        dry.policy.dry_run = true;
        dry
    };
    let check = async |world: &TestWorld, attributes: &AttributeSet, write| {
        let dry = dry(world);
        let before = world.destination.snapshot();
        assert_eq!(dry.reconcile_with(attributes).await.outcome, Outcome::Withheld(write));
        assert_eq!(world.destination.snapshot(), before);
        let writes = [PortCall::Copy, PortCall::UpdateAttributes, PortCall::Delete].map(|call| dry.script.count(call));
        assert_eq!(writes, [0; 3]);
    };
    let world = TestWorld::new();
    world.source.put(KEY, "one");
    check(&world, &AttributeSet::new(), WithheldWrite::Copy).await;
    assert_copied(&world.reconcile().await);
    world.source.tag(KEY, &[("stage", "live")]);
    check(&world, &tags(), WithheldWrite::UpdateAttributes).await;
    world.source.delete(KEY);
    check(&world, &AttributeSet::new(), WithheldWrite::Delete).await;
}

#[tokio::test(start_paused = true)]
async fn duplicate_event_takes_two_reads_and_no_write() {
    let world = TestWorld::new();
    world.source.put(KEY, "one");
    world.destination.pass_seconds(1);
    assert_copied(&world.reconcile().await);
    let again = TestWorld {
        script: FaultScript::default(),
        ..world.clone()
    };
    let report = again.reconcile().await;
    assert_eq!(report.outcome, Outcome::Skipped(SkipReason::AlreadyIdentical));
    let counted =
        [PortCall::SourceRead, PortCall::DestinationRead, PortCall::Copy].map(|call| again.script.count(call));
    assert_eq!(counted, [1, 1, 0]);
}

#[tokio::test(start_paused = true)]
async fn older_event_after_newer_object_is_skipped() {
    let world = TestWorld::new();
    world.source.put(KEY, "one");
    world.source.put(KEY, "two");
    world.destination.pass_seconds(1);
    assert_copied(&world.reconcile().await);
    let late = world.reconcile().await;
    assert_eq!(late.outcome, Outcome::Skipped(SkipReason::AlreadyIdentical));
    assert_eq!(world.destination.content(KEY).as_deref(), Some("two"));
}

#[tokio::test(start_paused = true)]
async fn tags_changed_alone_arrive() {
    let world = TestWorld::new();
    world.source.put_with(KEY, "one", |facts| {
        facts.tags = Some(BTreeMap::from([("stage".into(), "test".into())]));
    });
    world.destination.pass_seconds(3_600);
    world.reconcile().await;
    world.source.tag(KEY, &[("stage", "live")]);
    assert_eq!(
        world.reconcile().await.outcome,
        Outcome::Skipped(SkipReason::AlreadyIdentical),
        "tags are not read without a hint"
    );
    assert_attributes_updated(&world.reconcile_with(&tags()).await);
    world.assert_equal();
}

#[tokio::test(start_paused = true)]
async fn changed_tag_count_is_detected_without_a_hint() {
    let world = TestWorld::new();
    world.source.put(KEY, "one");
    world.destination.pass_seconds(3_600);
    world.reconcile().await;
    world.source.tag(KEY, &[("stage", "live")]);
    assert_attributes_updated(&world.reconcile().await);
    world.assert_equal();
}

#[tokio::test(start_paused = true)]
async fn copy_of_an_object_with_tags_waits_for_the_next_second() {
    let stage = BTreeMap::from([("stage".to_owned(), "live".to_owned())]);
    for (tags, seconds) in [(stage, 1), (BTreeMap::new(), 0)] {
        let world = TestWorld::new();
        world.source.pass_seconds(TestClock::START.millis() / 1_000);
        world.source.put_with(KEY, "one", |facts| facts.tags = Some(tags));
        let report = world.reconcile().await;
        assert_eq!(report.duration, Duration::from_secs(seconds), "{report:?}");
        world.assert_equal();
    }
}

#[tokio::test(start_paused = true)]
async fn equal_bytes_written_again_with_other_tags_arrive_without_a_hint() {
    let world = TestWorld::new();
    world.source.put(KEY, "one");
    world.reconcile().await;
    world.source.pass_seconds(1);
    world.source.put_with(KEY, "one", |facts| {
        facts.tags = Some(BTreeMap::from([("a".into(), "b".into())]));
    });
    assert_attributes_updated(&world.reconcile().await);
    world.assert_equal();
}

#[tokio::test(start_paused = true)]
async fn metadata_changed_alone_arrives() {
    let world = TestWorld::new();
    world.source.put(KEY, "one");
    world.reconcile().await;
    world.source.put_with(KEY, "one", |facts| {
        facts.user_metadata.insert("owner".into(), "b".into());
    });
    assert_copied(&world.reconcile().await);
    world.assert_equal();
}

#[tokio::test(start_paused = true)]
async fn delete_marker_and_permanent_delete_are_propagated() {
    for delete in [MemoryBucket::delete, MemoryBucket::purge] {
        let world = TestWorld::new();
        world.source.put(KEY, "one");
        world.reconcile().await;
        delete(&world.source, KEY);
        assert_eq!(world.reconcile().await.outcome, Outcome::Deleted);
        assert_eq!(world.destination.content(KEY), None);
        assert_eq!(
            world.reconcile().await.outcome,
            Outcome::Skipped(SkipReason::BothAbsent)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn delete_of_an_unversioned_source_is_confirmed_first() {
    let world = TestWorld::of(MemoryBucket::unversioned(), MemoryBucket::versioned());
    world.destination.put(KEY, "left over");
    assert_eq!(world.reconcile().await.outcome, Outcome::Deleted);
    // Once before the delete and once after it: a 404 alone confirms no absence.
    assert_eq!(world.script.count(PortCall::ConfirmAbsence), 2);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_deleted_when_absence_cannot_be_confirmed() {
    for kind in [FailureKind::Configuration, FailureKind::Permanent, FailureKind::Retry] {
        let script = FaultScript::default().always(PortCall::ConfirmAbsence, PortFault::Fails(failure(kind)));
        let world = TestWorld::new().with_script(script);
        world.destination.put(KEY, "kept");
        let report = world.reconcile().await;
        assert!(
            matches!(&report.outcome, Outcome::Failed(failure) if failure.kind == kind),
            "{report:?}"
        );
        assert_eq!(world.destination.content(KEY).as_deref(), Some("kept"));
    }
}

#[tokio::test(start_paused = true)]
async fn reappeared_object_is_copied() {
    let world = TestWorld::new();
    world.destination.put(KEY, "old");
    let source = world.source.clone();
    let script = FaultScript::default().on(
        PortCall::ConfirmAbsence,
        1,
        PortFault::before(move || source.put(KEY, "back")),
    );
    let world = world.with_script(script);
    assert_copied(&world.reconcile().await);
    assert_eq!(world.destination.content(KEY).as_deref(), Some("back"));
}

#[tokio::test(start_paused = true)]
async fn deletes_are_not_propagated_unless_configured() {
    let mut world = TestWorld::new();
    world.policy.propagate_deletes = false;
    world.destination.put(KEY, "kept");
    let report = world.reconcile().await;
    assert_eq!(report.outcome, Outcome::Skipped(SkipReason::DeletesNotPropagated));
    assert_eq!(world.destination.content(KEY).as_deref(), Some("kept"));
}

#[tokio::test(start_paused = true)]
async fn key_out_of_scope_is_not_read() {
    let mut world = TestWorld::new();
    world.policy.key_prefix = "data/".to_owned();
    world.source.put(KEY, "one");
    assert_eq!(
        world.reconcile().await.outcome,
        Outcome::Skipped(SkipReason::OutOfScope)
    );
    assert_eq!(world.script.count(PortCall::SourceRead), 0);
}

/// A source write at any moment of a reconcile arrives at the destination.
#[tokio::test(start_paused = true)]
async fn write_at_any_moment_arrives() {
    let moments = [
        (PortCall::SourceRead, 1),
        (PortCall::DestinationRead, 1),
        (PortCall::Copy, 1),
        (PortCall::SourceRead, 2),
    ];
    for (call, nth) in moments {
        for wrap in [PortFault::before, PortFault::after] as [fn(Box<dyn Fn() + Send + Sync>) -> PortFault; 2] {
            let world = TestWorld::new();
            world.source.put(KEY, "one");
            let source = world.source.clone();
            let fault = wrap(Box::new(move || source.put(KEY, "two")));
            let is_last = call == PortCall::SourceRead && nth == 2 && matches!(fault, PortFault::After(_));
            let world = world.with_script(FaultScript::default().on(call, nth, fault));
            world.reconcile().await;
            if is_last {
                // The write came after the last read: its own event triggers another reconcile.
                world.reconcile().await;
            }
            world.assert_equal();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn delete_at_any_moment_arrives() {
    for (call, nth) in [
        (PortCall::DestinationRead, 1),
        (PortCall::Copy, 1),
        (PortCall::SourceRead, 2),
    ] {
        let world = TestWorld::new();
        world.source.put(KEY, "one");
        let source = world.source.clone();
        let script = FaultScript::default().on(call, nth, PortFault::before(move || source.delete(KEY)));
        let world = world.with_script(script);
        world.reconcile().await;
        world.assert_equal();
    }
}

#[tokio::test(start_paused = true)]
async fn destination_write_is_read_before_it_is_replaced() {
    let world = TestWorld::new();
    world.source.put(KEY, "one");
    let destination = world.destination.clone();
    let script = FaultScript::default().on(
        PortCall::Copy,
        1,
        PortFault::before(move || destination.put(KEY, "someone")),
    );
    let world = world.with_script(script);
    let report = world.reconcile().await;
    assert_copied(&report);
    assert_eq!(report.passes, 2, "the first copy was conditional on an absent object");
    world.assert_equal();
}

#[tokio::test(start_paused = true)]
async fn constantly_changing_key_is_deferred() {
    let world = TestWorld::new();
    world.source.put(KEY, "start");
    let source = world.source.clone();
    let count = std::sync::atomic::AtomicU32::new(0);
    let write = move || {
        let number = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        source.put(KEY, &number.to_string());
    };
    let world = world.with_script(FaultScript::default().always(PortCall::Copy, PortFault::after(write)));
    let report = world.reconcile().await;
    assert_eq!(report.outcome, Outcome::Deferred(DeferralReason::HotKey));
    assert_eq!((report.passes, report.progress), (MAX_PASSES, true));
}

#[tokio::test(start_paused = true)]
async fn lost_write_response_is_followed_by_a_read_and_deferred() {
    let script = FaultScript::default().on(PortCall::Copy, 1, PortFault::ResponseLost);
    let world = TestWorld::new().with_script(script);
    world.source.put(KEY, "one");
    let report = world.reconcile().await;
    assert!(
        matches!(report.outcome, Outcome::Skipped(SkipReason::AlreadyIdentical)),
        "{report:?}"
    );
    assert!(report.outcome_unknown);
    assert_eq!(world.script.count(PortCall::Copy), 1, "the copy is not repeated");
    world.assert_equal();
}

#[tokio::test(start_paused = true)]
async fn lost_delete_response_is_followed_by_a_read() {
    let script = FaultScript::default().on(PortCall::Delete, 1, PortFault::ResponseLost);
    let world = TestWorld::new().with_script(script);
    world.destination.put(KEY, "old");
    world.source.delete(KEY);
    let report = world.reconcile().await;
    assert_eq!(report.outcome, Outcome::Skipped(SkipReason::BothAbsent));
    assert!(report.outcome_unknown);
}

const EVERY_CALL: [PortCall; 6] = [
    PortCall::SourceRead,
    PortCall::ConfirmAbsence,
    PortCall::Replication,
    PortCall::DestinationRead,
    PortCall::Copy,
    PortCall::Delete,
];

/// Returns a setup in which a reconcile makes the call.
fn setup_for(call: PortCall, script: FaultScript) -> TestWorld {
    let world = TestWorld::new().with_script(script);
    match call {
        PortCall::SourceRead | PortCall::DestinationRead | PortCall::Copy => world.source.put(KEY, "one"),
        PortCall::ConfirmAbsence | PortCall::Delete => world.destination.put(KEY, "old"),
        PortCall::Replication => world.source.put_with(KEY, "one", pending),
        other => panic!("{other:?} is a call of multipart copies"),
    }
    world
}

/// Marks an object as pending for S3 replication.
///
/// The times of the fake buckets are long before the test clock, so a test must advance them for the grace period.
fn pending(facts: &mut s3ferry_core::facts::ObjectFacts) {
    facts.replication_status = Some(ReplicationStatus::Pending);
}

#[tokio::test(start_paused = true)]
async fn transient_failure_of_any_call_is_retried() {
    for call in EVERY_CALL {
        let script = FaultScript::default().on(call, 1, PortFault::Fails(failure(FailureKind::Retry)));
        let world = setup_for(call, script);
        if call == PortCall::Replication {
            world.source.pass_seconds(TestClock::START.millis() / 1000);
            world.source.put_with(KEY, "one", pending);
        }
        let report = world.reconcile().await;
        assert!(
            matches!(report.outcome, Outcome::Copied { .. } | Outcome::Deleted),
            "{call:?}: {report:?}"
        );
        assert_eq!(report.passes, 2, "{call:?}");
        world.assert_equal();
    }
}

#[tokio::test(start_paused = true)]
async fn persistent_failure_of_any_call_is_reported() {
    for call in EVERY_CALL {
        for (kind, passes) in [
            (FailureKind::Retry, MAX_PASSES),
            (FailureKind::Permanent, 1),
            (FailureKind::Configuration, 1),
            (FailureKind::Bug, 1),
        ] {
            let script = FaultScript::default().always(call, PortFault::Fails(failure(kind)));
            let world = setup_for(call, script);
            if call == PortCall::Replication {
                world.source.pass_seconds(TestClock::START.millis() / 1000);
                world.source.put_with(KEY, "one", pending);
            }
            let before = world.destination.snapshot();
            let report = world.reconcile().await;
            assert_eq!(report.outcome, Outcome::Failed(failure(kind)), "{call:?}");
            assert_eq!(report.passes, passes, "{call:?} {kind}");
            assert_eq!(world.destination.snapshot(), before, "{call:?}: nothing was written");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn failed_read_after_a_write_is_not_a_success() {
    let permanent = PortFault::Fails(failure(FailureKind::Permanent));
    let world = TestWorld::new().with_script(FaultScript::default().on(PortCall::SourceRead, 2, permanent));
    world.source.put(KEY, "one");
    assert!(matches!(world.reconcile().await.outcome, Outcome::Failed(_)));
}

#[tokio::test(start_paused = true)]
async fn deadline_interrupts_hanging_calls() {
    for call in [PortCall::SourceRead, PortCall::DestinationRead, PortCall::Copy] {
        let world = TestWorld::new().with_script(FaultScript::default().on(call, 1, PortFault::Hangs));
        world.source.put(KEY, "one");
        let reconciler = world.reconciler();
        let deadline = reconciler.clock.now().plus(Duration::from_secs(30));
        let report = reconciler.reconcile(&key(KEY), &AttributeSet::new(), deadline).await;
        assert_eq!(report.outcome, Outcome::Deferred(DeferralReason::Deadline), "{call:?}");
        assert!(!report.progress);
        assert_eq!(report.duration, Duration::from_secs(30));
    }
}

#[tokio::test(start_paused = true)]
async fn pending_replication_defers_only_if_it_covers_the_destination() {
    for (coverage, expected_copies) in [(ReplicationCoverage::Covered, 0), (ReplicationCoverage::NotCovered, 1)] {
        let world = TestWorld::new();
        world.source.pass_seconds(TestClock::START.millis() / 1000 - 60);
        world.source.put_with(KEY, "one", pending);
        world.source.set_replication(coverage);
        let report = world.reconcile().await;
        assert_eq!(world.script.count(PortCall::Copy), expected_copies);
        if expected_copies == 0 {
            let remaining = Duration::from_mins(14);
            assert_eq!(
                report.outcome,
                Outcome::Deferred(DeferralReason::ReplicationPending { remaining })
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn archived_object_is_refused() {
    let world = TestWorld::new();
    world.source.put_with(KEY, "one", |facts| {
        facts.storage_class = "DEEP_ARCHIVE".into();
        facts.availability = Availability::Archived;
    });
    let Outcome::Failed(refused) = world.reconcile().await.outcome else {
        panic!("not refused");
    };
    assert_eq!(
        (refused.kind, refused.code.as_str()),
        (FailureKind::Permanent, "ArchivedNotRestored")
    );
}

#[tokio::test(start_paused = true)]
async fn attributes_not_preserved_are_reported() {
    let hinted = AttributeSet::from([Attribute::Acl, Attribute::Lock, Attribute::Tags]);
    let world = TestWorld::new();
    world.source.put_with(KEY, "one", |facts| {
        facts.missing_metadata = 1;
        facts.lock.legal_hold = true;
    });
    let always = [Attribute::Lock, Attribute::MissingMetadata];
    let with_hint = [Attribute::Acl, Attribute::Lock, Attribute::MissingMetadata];
    let copied = world.reconcile_with(&hinted).await;
    assert_eq!(copied.not_preserved, AttributeSet::from(with_hint));
    let skipped = world.reconcile_with(&hinted).await;
    assert_eq!(skipped.not_preserved, AttributeSet::from(with_hint));
    assert_eq!(world.reconcile().await.not_preserved, AttributeSet::from(always));
}

#[tokio::test(start_paused = true)]
async fn acls_are_read_only_if_they_are_copied() {
    let hinted = AttributeSet::from([Attribute::Acl]);
    let mut world = TestWorld::new();
    world
        .source
        .put_with(KEY, "one", |facts| facts.acl = Some(granting("one")));
    for bucket in [&world.source, &world.destination] {
        bucket.enable_acl();
    }
    let ignored = world.reconcile_with(&hinted).await;
    assert_eq!(ignored.not_preserved, hinted);
    assert_eq!(world.destination.facts(KEY).unwrap().acl, Some(Acl::default()));
    world.policy.acl = AclRule::Copy;
    let copied = world.reconcile_with(&hinted).await;
    assert_eq!(copied.outcome, Outcome::AttributesUpdated { attributes: hinted });
    assert_eq!(copied.not_preserved, AttributeSet::new());
    assert_eq!(world.destination.facts(KEY).unwrap().acl, Some(granting("one")));
}

#[tokio::test(start_paused = true)]
async fn acls_are_copied_only_if_both_buckets_have_them() {
    for (source, destination) in [(true, false), (false, true), (true, true)] {
        let mut world = TestWorld::new();
        world.policy.acl = AclRule::Copy;
        world
            .source
            .put_with(KEY, "one", |facts| facts.acl = Some(granting("one")));
        for (bucket, has_acl) in [(&world.source, source), (&world.destination, destination)] {
            if has_acl {
                bucket.enable_acl();
            }
        }
        assert_copied(&world.reconcile().await);
        let expected = if source && destination {
            granting("one")
        } else {
            Acl::default()
        };
        assert_eq!(world.destination.facts(KEY).unwrap().acl, Some(expected));
    }
}

#[tokio::test(start_paused = true)]
async fn acls_that_are_not_copied_are_not_read() {
    let world = TestWorld::new().with_script(FaultScript::default());
    world.destination.enable_object_lock(BucketObjectLock::default());
    world.source.put_with(KEY, "one", |facts| facts.lock.legal_hold = true);
    assert_copied(&world.reconcile().await);
    assert_eq!(world.script.count(PortCall::ObjectLock), 1);
    assert_eq!(world.script.count(PortCall::HasAcl), 0);
}

fn granting(account: &str) -> Acl {
    let grant = Grant {
        grantee: Grantee::Account(account.to_owned()),
        permission: "READ".to_owned(),
    };
    Acl { grants: [grant].into() }
}

#[tokio::test(start_paused = true)]
async fn locks_are_copied_strengthened_and_never_weakened() {
    let until = |days: u64, mode| ObjectLock {
        retention: Some(Retention {
            mode,
            until: TestClock::START.plus(Duration::from_hours(24 * days)),
        }),
        legal_hold: false,
        event_hold: None,
    };
    let world = TestWorld::new();
    world.destination.enable_object_lock(BucketObjectLock::default());
    let weak = until(1, RetentionMode::Governance);
    world.source.put_with(KEY, "one", |facts| facts.lock = weak);
    assert_copied(&world.reconcile().await);
    let lock = || world.destination.facts(KEY).unwrap().lock;
    assert_eq!(lock(), weak);
    let strict = until(2, RetentionMode::Compliance);
    world.source.put_with(KEY, "one", |facts| facts.lock = strict);
    let attributes = AttributeSet::from([Attribute::Lock]);
    assert!(matches!(
        world.reconcile_with(&attributes).await.outcome,
        Outcome::AttributesUpdated { .. }
    ));
    assert_eq!(lock(), strict);
    world.source.put_with(KEY, "one", |facts| facts.lock = weak);
    let report = world.reconcile_with(&attributes).await;
    assert_eq!(report.outcome, Outcome::Skipped(SkipReason::AlreadyIdentical));
    assert_eq!(lock(), strict);
}

#[tokio::test(start_paused = true)]
async fn reappeared_object_is_never_deleted() {
    let world = TestWorld::new();
    world.destination.put(KEY, "old");
    let source = world.source.clone();
    let script = FaultScript::default().on(
        PortCall::ConfirmAbsence,
        1,
        PortFault::before(move || source.put(KEY, "back")),
    );
    let world = world.with_script(script);
    world.reconcile().await;
    assert_eq!(world.script.count(PortCall::Delete), 0);
}

#[tokio::test(start_paused = true)]
async fn object_written_during_the_delete_is_copied() {
    for again in [
        PortFault::before as fn(Box<dyn Fn() + Send + Sync>) -> PortFault,
        PortFault::after,
    ] {
        let world = TestWorld::new();
        world.destination.put(KEY, "old");
        world.source.delete(KEY);
        let source = world.source.clone();
        let fault = again(Box::new(move || source.put(KEY, "back")));
        let world = world.with_script(FaultScript::default().on(PortCall::Delete, 1, fault));
        world.reconcile().await;
        world.assert_equal();
    }
}

#[tokio::test(start_paused = true)]
async fn hinted_tags_that_change_during_the_copy_are_copied() {
    let world = TestWorld::new();
    world.source.put(KEY, "one");
    let source = world.source.clone();
    let script = FaultScript::default().on(
        PortCall::Copy,
        1,
        PortFault::after(move || source.tag(KEY, &[("a", "b")])),
    );
    let world = world.with_script(script);
    world.reconcile_with(&tags()).await;
    world.assert_equal();
}

#[tokio::test(start_paused = true)]
async fn transient_failure_is_not_reported_after_it_passed() {
    let world = TestWorld::new();
    world.source.put(KEY, "start");
    let source = world.source.clone();
    let count = std::sync::atomic::AtomicU32::new(0);
    let write = move || {
        source.put(
            KEY,
            &count.fetch_add(1, std::sync::atomic::Ordering::Relaxed).to_string(),
        );
    };
    let script = FaultScript::default()
        .on(PortCall::SourceRead, 1, PortFault::Fails(failure(FailureKind::Retry)))
        .always(PortCall::Copy, PortFault::after(write));
    let world = world.with_script(script);
    assert_eq!(
        world.reconcile().await.outcome,
        Outcome::Deferred(DeferralReason::HotKey)
    );
}

#[tokio::test(start_paused = true)]
async fn failing_passes_are_delayed() {
    let world = TestWorld::new().with_script(
        FaultScript::default().always(PortCall::SourceRead, PortFault::Fails(failure(FailureKind::Retry))),
    );
    let report = world.reconcile().await;
    let waits: Duration = (1..MAX_PASSES)
        .map(|pass| s3ferry_engine::reconcile::backoff(&key(KEY), pass))
        .sum();
    assert!(waits > Duration::from_secs(1), "{waits:?}");
    assert_eq!(report.duration, waits, "no wait after the last pass");
}

#[tokio::test(start_paused = true)]
async fn annotations_are_copied_with_the_object() {
    let world = TestWorld::new();
    let annotate = |text: &'static str| {
        world.source.put_with(KEY, "one", |facts| {
            facts.annotations = Some([("note".to_owned(), text.to_owned())].into());
        });
    };
    annotate("first");
    let hinted = AttributeSet::from([Attribute::Annotations]);
    let report = world.reconcile_with(&hinted).await;
    assert_copied(&report);
    assert_eq!(report.not_preserved, AttributeSet::new());
    world.assert_equal();
    annotate("second");
    assert_eq!(
        world.reconcile_with(&hinted).await.outcome,
        Outcome::AttributesUpdated { attributes: hinted }
    );
    world.assert_equal();
}

/// S3 may answer 404 for an existing object for minutes after versioning was first enabled.
#[tokio::test(start_paused = true)]
async fn object_that_answers_404_is_unfinished_until_s3_returns_it() {
    for (at_destination, propagate_deletes) in [(None, true), (None, false), (Some("old"), true), (Some("old"), false)]
    {
        let mut world = TestWorld::new();
        world.policy.propagate_deletes = propagate_deletes;
        world.source.put(KEY, "one");
        if let Some(content) = at_destination {
            world.destination.put(KEY, content);
        }
        world.source.hide(KEY);
        let report = world.reconcile().await;
        let Outcome::Failed(failure) = &report.outcome else {
            panic!("{report:?}");
        };
        assert_eq!(
            (failure.kind, failure.code.as_str()),
            (FailureKind::Retry, "AbsenceUnconfirmed")
        );
        assert_eq!(world.destination.content(KEY).as_deref(), at_destination);
        world.source.show_all();
        assert_copied(&world.reconcile().await);
        world.assert_equal();
    }
}

#[tokio::test(start_paused = true)]
async fn delete_is_not_done_while_the_destination_answers_404_for_its_object() {
    let world = TestWorld::new();
    world.source.put(KEY, "one");
    world.source.delete(KEY);
    world.destination.put(KEY, "one");
    world.destination.hide(KEY);
    let report = world.reconcile().await;
    assert!(matches!(&report.outcome, Outcome::Failed(failure) if failure.code.as_str() == "AbsenceUnconfirmed"));
    world.destination.show_all();
    assert_eq!(world.reconcile().await.outcome, Outcome::Deleted);
}

#[tokio::test(start_paused = true)]
async fn stricter_of_lock_and_default_retention_applies_and_is_reported() {
    use RetentionMode::{Compliance, Governance};
    const DAYS: u32 = 10;
    let until = |days: u32| TestClock::START.plus(Duration::from_hours(24 * u64::from(days)));
    let retention = |mode, days| Retention {
        mode,
        until: until(days),
    };
    let (short, long) = (1, 20);
    for (own, default, expected) in [
        // A stricter default applies.
        (retention(Governance, short), Governance, retention(Governance, DAYS)),
        (retention(Governance, short), Compliance, retention(Compliance, DAYS)),
        // Neither is stricter: both apply.
        (retention(Compliance, short), Governance, retention(Compliance, DAYS)),
        (retention(Governance, long), Compliance, retention(Compliance, long)),
        (retention(Compliance, long), Governance, retention(Compliance, long)),
    ] {
        let world = TestWorld::new();
        world.destination.pass_seconds(TestClock::START.millis() / 1_000);
        let default = Some(DefaultRetention {
            mode: default,
            days: DAYS,
        });
        world.destination.enable_object_lock(BucketObjectLock { default });
        world
            .source
            .put_with(KEY, "one", |facts| facts.lock.retention = Some(own));
        let report = world.reconcile().await;
        assert_copied(&report);
        let found = world.destination.facts(KEY).unwrap().lock.retention;
        assert_eq!(found, Some(expected), "{own:?} and {default:?}");
        assert_eq!(
            report.not_preserved.contains(&Attribute::StricterLock),
            expected != own,
            "{report:?}"
        );
        assert_eq!(world.script.count(PortCall::Copy), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn header_that_is_not_utf8_is_copied_by_s3() {
    let name = "content-disposition";
    let mut world = TestWorld::new();
    // A multipart copy is preferred, and would require the header to be explicit.
    world.policy.preserve_etag = PreserveEtag::Always;
    for value in [b"M\xfcller.pdf".to_vec(), b"M\xe4rz.pdf".to_vec()] {
        world
            .source
            .put_large_with(KEY, "one", 12 << 20, &[6 << 20, 6 << 20], |facts| {
                facts.unreadable_headers.insert(name.to_owned(), value.clone());
            });
        assert_copied(&world.reconcile().await);
        let copied = world.destination.facts(KEY).unwrap().unreadable_headers;
        assert_eq!(copied.get(name), Some(&value));
        assert_skipped(&world.reconcile().await, SkipReason::AlreadyIdentical);
    }
    world.source.put_large_with(KEY, "one", 6 << 30, &[], |facts| {
        facts.unreadable_headers.insert(name.to_owned(), vec![0xfc]);
    });
    let Outcome::Failed(failure) = world.reconcile().await.outcome else {
        panic!("not refused");
    };
    assert_eq!(
        (failure.kind, failure.code.as_str()),
        (FailureKind::Permanent, "UnreadableHeader")
    );
    assert!(failure.detail.contains(name), "{failure}");
}

#[tokio::test(start_paused = true)]
async fn redirect_that_is_not_utf8_is_refused_at_any_size() {
    let name = "x-amz-website-redirect-location";
    let world = TestWorld::new();
    world.source.put_with(KEY, "one", |facts| {
        facts.unreadable_headers.insert(name.to_owned(), vec![0xfc]);
    });
    let Outcome::Failed(failure) = world.reconcile().await.outcome else {
        panic!("copied without its redirect");
    };
    assert_eq!(failure.code.as_str(), "UnreadableHeader");
    assert!(failure.detail.contains(name), "{failure}");
    assert_eq!(world.destination.content(KEY), None);
}

#[tokio::test(start_paused = true)]
async fn unpreserved_encryption_is_also_reported_by_a_tag_update() {
    let world = TestWorld::new();
    world.source.put_large_with(KEY, "one", 5, &[], |facts| {
        facts.encryption = Encryption::Kms(KmsEncryption {
            key_arn: Some("a key that no map names".to_owned()),
            ..KmsEncryption::default()
        });
    });
    let not_preserved = AttributeSet::from([Attribute::Encryption]);
    assert_eq!(world.reconcile().await.not_preserved, not_preserved);
    world.source.tag(KEY, &[("stage", "live")]);
    let changed = world.reconcile_with(&tags()).await;
    assert_attributes_updated(&changed);
    assert_eq!(changed.not_preserved, not_preserved);
}

/// During an event hold, S3 returns a date that advances. A copy of it as a retention could not be undone.
#[tokio::test(start_paused = true)]
async fn event_hold_is_copied_and_never_as_a_retention_date() {
    let world = TestWorld::new();
    world.destination.enable_object_lock(BucketObjectLock::default());
    let held = ObjectLock {
        event_hold: Some(EventHold::Years(7)),
        ..ObjectLock::default()
    };
    world.source.put_with(KEY, "one", |facts| facts.lock = held);
    let copied = world.reconcile().await;
    assert_copied(&copied);
    assert_eq!(copied.not_preserved, AttributeSet::new());
    assert_eq!(world.destination.facts(KEY).unwrap().lock, held);
    let attributes = AttributeSet::from([Attribute::Lock]);
    let skipped = world.reconcile_with(&attributes).await;
    assert_skipped(&skipped, SkipReason::AlreadyIdentical);
    assert_eq!(skipped.not_preserved, AttributeSet::new());

    // An existing version gets no hold, which is reported.
    let other = TestWorld::new();
    other.destination.enable_object_lock(BucketObjectLock::default());
    other.source.put(KEY, "one");
    assert_copied(&other.reconcile().await);
    other.source.put_with(KEY, "one", |facts| facts.lock = held);
    let skipped = other.reconcile_with(&attributes).await;
    assert_skipped(&skipped, SkipReason::AlreadyIdentical);
    assert_eq!(skipped.not_preserved, AttributeSet::from([Attribute::EventHold]));
    assert_eq!(other.destination.facts(KEY).unwrap().lock, ObjectLock::default());
}
