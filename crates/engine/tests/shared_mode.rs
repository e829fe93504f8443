//! The reconcile of one key in shared mode: applications also write to the destination.

#![expect(clippy::unwrap_used, reason = "the test created the data")]

mod world;

use std::sync::{Arc, Mutex};

use s3ferry_core::bucket_settings::ReplicationCoverage;
use s3ferry_core::facts::{
    Attribute, AttributeSet, ChecksumCoverage, Encryption, ExplicitEncryption, KmsEncryption, ObjectFacts,
    ReplicationStatus,
};
use s3ferry_core::failure::FailureKind;
use s3ferry_core::marker::MARKER_NAME;
use s3ferry_core::names::BucketName;
use s3ferry_core::outcome::{Outcome, ReconcileReport, SkipReason};
use s3ferry_core::policy::{Ownership, Policy};
use s3ferry_testkit::faults::{FaultScript, PortCall, PortFault, failure};
use s3ferry_testkit::memory::{MemoryBucket, checksum};
use world::{KEY, TestWorld, key};

fn shared() -> TestWorld {
    shared_of(MemoryBucket::versioned(), MemoryBucket::versioned())
}

fn shared_of(source: MemoryBucket, destination: MemoryBucket) -> TestWorld {
    let mut world = TestWorld::of(source, destination);
    world.policy.ownership = Ownership::Shared;
    world
}

/// Returns the setup with reset call counts and without faults.
fn again(world: &TestWorld) -> TestWorld {
    world.clone().with_script(FaultScript::default())
}

fn pass(world: &TestWorld, seconds: i64) {
    world.source.pass_seconds(seconds);
    world.destination.pass_seconds(seconds);
}

/// Writes an external object with the content of the source object and other metadata.
fn write_same_bytes(bucket: &MemoryBucket) {
    bucket.put_with(KEY, "one", |facts| {
        facts.user_metadata.insert("owner".to_owned(), "external".to_owned());
    });
}

fn owner(bucket: &MemoryBucket) -> Option<String> {
    bucket.facts(KEY)?.user_metadata.get("owner").cloned()
}

#[track_caller]
fn assert_copied(report: &ReconcileReport) {
    assert!(matches!(report.outcome, Outcome::Copied { .. }), "{report:?}");
}

/// Writes an object at the source, and copies it a second later.
async fn copy_across(world: &TestWorld, content: &str) {
    world.source.put(KEY, content);
    pass(world, 1);
    assert_copied(&world.reconcile().await);
}

#[track_caller]
fn assert_skipped(report: &ReconcileReport, reason: SkipReason) {
    assert_eq!(report.outcome, Outcome::Skipped(reason));
}

#[track_caller]
fn assert_failed(report: &ReconcileReport, kind: FailureKind, code: &str) {
    match &report.outcome {
        Outcome::Failed(failure) => assert_eq!((failure.kind, failure.code.as_str()), (kind, code), "{failure}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn copy_has_a_marker_and_is_equal() {
    let world = shared();
    copy_across(&world, "one").await;
    let copy = world.destination.facts(KEY).unwrap();
    assert!(copy.user_metadata.contains_key(MARKER_NAME));
    let counted = [
        PortCall::SourceRead,
        PortCall::DestinationRead,
        PortCall::Copy,
        PortCall::ListVersions,
    ]
    .map(|c| world.script.count(c));
    assert_eq!(counted, [2, 2, 1, 2]);

    let again = again(&world);
    assert_skipped(&again.reconcile().await, SkipReason::AlreadyIdentical);
    let counted = [
        PortCall::SourceRead,
        PortCall::DestinationRead,
        PortCall::Copy,
        PortCall::ListVersions,
    ]
    .map(|c| again.script.count(c));
    assert_eq!(counted, [1, 1, 0, 1]);
}

#[tokio::test(start_paused = true)]
async fn newer_external_write_stays_and_is_reported() {
    let world = shared();
    world.source.put(KEY, "one");
    world.destination.put(KEY, "external");
    assert_skipped(&world.reconcile().await, SkipReason::DestinationNewer);
    assert_eq!(world.destination.content(KEY).as_deref(), Some("external"));
    pass(&world, 1);
    world.source.put(KEY, "two");
    assert_copied(&world.reconcile().await);
    assert_eq!(world.destination.content(KEY).as_deref(), Some("two"));
}

#[tokio::test(start_paused = true)]
async fn equal_external_write_during_a_copy_is_restored() {
    let world = shared();
    copy_across(&world, "old").await;
    // The ETag is the same before and after: no condition detects the write.
    world.source.put_with(KEY, "old", |facts| {
        facts.user_metadata.insert("owner".to_owned(), "source".to_owned());
    });
    pass(&world, 1);
    let destination = world.destination.clone();
    let write = move || {
        destination.put_with(KEY, "old", |facts| {
            facts.user_metadata.insert("owner".to_owned(), "external".to_owned());
        });
    };
    let racing = world.with_script(FaultScript::default().on(PortCall::Copy, 1, PortFault::before(write)));
    assert_skipped(&racing.reconcile().await, SkipReason::DestinationNewer);
    assert_eq!(racing.script.count(PortCall::DeleteVersion), 1);
    assert_eq!(owner(&racing.destination).as_deref(), Some("external"));
}

#[tokio::test(start_paused = true)]
async fn equal_external_write_during_a_delete_is_restored() {
    let world = shared();
    copy_across(&world, "one").await;
    world.source.delete(KEY);
    let destination = world.destination.clone();
    let script = FaultScript::default().on(
        PortCall::Delete,
        1,
        PortFault::before(move || write_same_bytes(&destination)),
    );
    let racing = world.with_script(script);
    assert_skipped(&racing.reconcile().await, SkipReason::ExternalWrite);
    assert_eq!(racing.script.count(PortCall::DeleteVersion), 1);
    assert_eq!(owner(&racing.destination).as_deref(), Some("external"));
}

#[tokio::test(start_paused = true)]
async fn interrupted_check_is_repeated_by_the_next_reconcile() {
    let world = shared();
    copy_across(&world, "one").await;
    world.source.put_with(KEY, "one", |facts| {
        facts.user_metadata.insert("owner".to_owned(), "source".to_owned());
    });
    pass(&world, 1);
    let destination = world.destination.clone();
    let script = FaultScript::default()
        .on(
            PortCall::Copy,
            1,
            PortFault::before(move || write_same_bytes(&destination)),
        )
        .on(PortCall::ListVersions, 3, PortFault::Hangs);
    let cut_off = world.clone().with_script(script);
    let report = cut_off.reconcile().await;
    assert!(matches!(report.outcome, Outcome::Deferred(_)), "{report:?}");
    assert_eq!(owner(&world.destination).as_deref(), Some("source"));
    let redelivered = again(&world);
    let report = redelivered.reconcile().await;
    assert_skipped(&report, SkipReason::DestinationNewer);
    assert_eq!(owner(&redelivered.destination).as_deref(), Some("external"));
}

#[tokio::test(start_paused = true)]
async fn failed_check_is_repeated_by_the_next_pass() {
    const PART: u64 = 5 << 20;
    let put = |bucket: &MemoryBucket, large: bool, who: &'static str| {
        let change = move |facts: &mut ObjectFacts| {
            facts.checksums.values.clear();
            facts.user_metadata.insert("owner".to_owned(), who.to_owned());
        };
        if large {
            bucket.put_large_with(KEY, "one", 3 * PART, &[2 * PART, PART], change);
        } else {
            bucket.put_with(KEY, "one", change);
        }
    };
    for (large, copy, check, nth) in [
        (false, PortCall::Copy, PortCall::ListVersions, 3),
        (true, PortCall::CreateUpload, PortCall::RemoveEntry, 1),
    ] {
        let world = shared();
        put(&world.source, large, "first");
        pass(&world, 1);
        assert_copied(&world.reconcile().await);
        put(&world.source, large, "source");
        pass(&world, 1);
        let destination = world.destination.clone();
        // The ETag is the same before and after: no condition detects the write.
        let script = FaultScript::default()
            .on(copy, 1, PortFault::before(move || put(&destination, large, "external")))
            .on(check, nth, PortFault::Fails(failure(FailureKind::Retry)));
        let racing = world.with_script(script);
        assert_skipped(&racing.reconcile().await, SkipReason::DestinationNewer);
        assert_eq!(owner(&racing.destination).as_deref(), Some("external"));
    }
}

#[tokio::test(start_paused = true)]
async fn delete_of_equal_bytes_is_recognized_by_the_next_reconcile() {
    let world = shared();
    for content in ["old", "one"] {
        copy_across(&world, content).await;
    }
    world.source.delete(KEY);
    let destination = world.destination.clone();
    let script = FaultScript::default()
        .on(
            PortCall::Delete,
            1,
            PortFault::before(move || write_same_bytes(&destination)),
        )
        .on(PortCall::ListVersions, 2, PortFault::Hangs);
    let report = world.clone().with_script(script).reconcile().await;
    assert!(matches!(report.outcome, Outcome::Deferred(_)), "{report:?}");
    assert_eq!(world.destination.content(KEY), None, "deleted, and not read since");
    let redelivered = again(&world);
    let report = redelivered.reconcile().await;
    assert_skipped(&report, SkipReason::ExternalWrite);
    assert_eq!(owner(&redelivered.destination).as_deref(), Some("external"));
    let counted = [PortCall::FindIntent, PortCall::DeleteVersion].map(|call| redelivered.script.count(call));
    assert_eq!(
        counted,
        [2, 1],
        "intents of the deleted version, and of the one with the same content"
    );
}

#[tokio::test(start_paused = true)]
async fn known_s3ferry_delete_needs_no_older_versions() {
    let world = shared();
    for who in ["first", "second"] {
        world.source.put_with(KEY, "one", |facts| {
            facts.user_metadata.insert("owner".to_owned(), who.to_owned());
        });
        pass(&world, 1);
        assert_copied(&world.reconcile().await);
    }
    world.source.delete(KEY);
    assert_eq!(world.reconcile().await.outcome, Outcome::Deleted);
    world.source.put(KEY, "two");
    pass(&world, 1);
    let brought_back = again(&world);
    assert_copied(&brought_back.reconcile().await);
    assert_eq!(brought_back.script.count(PortCall::FindIntent), 2, "once in each pass");
}

#[tokio::test(start_paused = true)]
async fn delete_intent_is_written_before_the_delete() {
    let world = shared();
    copy_across(&world, "one").await;
    world.source.delete(KEY);
    let journal = world.journal.clone().unwrap();
    let announced = Arc::new(Mutex::new(0));
    let (seen, of) = (Arc::clone(&announced), journal.clone());
    let count = move || *seen.lock().unwrap() = of.intents(&key(KEY)).len();
    let world = world.with_script(FaultScript::default().on(PortCall::Delete, 1, PortFault::before(count)));
    assert_eq!(world.reconcile().await.outcome, Outcome::Deleted);
    assert_eq!(*announced.lock().unwrap(), 1);
    // A source write in the same second is copied: the delete marker is s3ferry's.
    world.source.put(KEY, "two");
    assert_copied(&again(&world).reconcile().await);
    assert_eq!(world.destination.content(KEY).as_deref(), Some("two"));
}

#[tokio::test(start_paused = true)]
async fn delete_without_a_written_intent_is_not_sent() {
    let world = shared();
    copy_across(&world, "one").await;
    world.source.delete(KEY);
    let denied = PortFault::Fails(failure(FailureKind::Permanent));
    let world = world.with_script(FaultScript::default().always(PortCall::Announce, denied));
    assert!(matches!(world.reconcile().await.outcome, Outcome::Failed(_)));
    assert_eq!(world.script.count(PortCall::Delete), 0);
}

#[tokio::test(start_paused = true)]
async fn external_delete_stays_unless_the_source_is_newer() {
    let world = shared();
    copy_across(&world, "one").await;
    world.destination.delete(KEY);
    assert_skipped(&again(&world).reconcile().await, SkipReason::DestinationNewer);
    pass(&world, 1);
    world.source.put(KEY, "two");
    assert_copied(&again(&world).reconcile().await);
}

#[tokio::test(start_paused = true)]
async fn external_write_is_not_deleted() {
    let world = shared();
    world.source.put(KEY, "one");
    world.source.delete(KEY);
    world.destination.put(KEY, "external");
    assert_skipped(&world.reconcile().await, SkipReason::ExternalWrite);
    assert_eq!(world.script.count(PortCall::Delete), 0);
}

#[tokio::test(start_paused = true)]
async fn object_renamed_with_its_marker_is_an_external_write() {
    let world = shared();
    world.source.put("another", "one");
    let reconciler = world.reconciler();
    let deadline = reconciler.clock.far_future();
    assert_copied(
        &reconciler
            .reconcile(&key("another"), &AttributeSet::new(), deadline)
            .await,
    );
    let metadata = world.destination.facts("another").unwrap().user_metadata;
    world
        .destination
        .put_with(KEY, "one", |facts| facts.user_metadata = metadata);
    world.source.put(KEY, "gone");
    world.source.delete(KEY);
    assert_skipped(&world.reconcile().await, SkipReason::ExternalWrite);
}

#[tokio::test(start_paused = true)]
async fn copy_with_an_unpredictable_etag_is_removed_and_refused() {
    let world = shared();
    world.source.put(KEY, "one");
    world.destination.encrypt_with_kms();
    assert_failed(&world.reconcile().await, FailureKind::Permanent, "CannotBeMarked");
    assert_eq!(world.destination.history(KEY), []);
    // With a stored checksum, a marker can be bound to the copy.
    world.source.put_large(KEY, "one", 5, &[]);
    assert_copied(&again(&world).reconcile().await);
}

fn kms(key: Option<&str>) -> KmsEncryption {
    KmsEncryption {
        key_arn: key.map(ToOwned::to_owned),
        ..KmsEncryption::default()
    }
}

#[tokio::test(start_paused = true)]
async fn encryption_changed_in_place_leaves_a_copy_that_s3ferry_deletes() {
    let mut world = shared();
    world.policy.propagate_deletes = true;
    copy_across(&world, "one").await;
    world.policy.destination_encryption = Some(ExplicitEncryption::Kms(kms(Some("key"))));
    let attributes = AttributeSet::from([Attribute::Encryption]);
    assert_eq!(
        world.reconcile().await.outcome,
        Outcome::AttributesUpdated { attributes }
    );
    assert_eq!(world.destination.history(KEY).len(), 1);
    assert_skipped(&world.reconcile().await, SkipReason::AlreadyIdentical);
    world.source.delete(KEY);
    assert_eq!(world.reconcile().await.outcome, Outcome::Deleted);
}

#[tokio::test(start_paused = true)]
async fn encryption_of_an_external_write_is_never_changed() {
    for seconds in [0, 1] {
        let mut world = shared();
        world.source.put(KEY, "one");
        pass(&world, seconds);
        write_same_bytes(&world.destination);
        world.policy.destination_encryption = Some(ExplicitEncryption::Kms(kms(Some("key"))));
        world.reconcile().await;
        assert_eq!(world.destination.facts(KEY).unwrap().encryption, Encryption::Managed);
        assert_eq!(
            world.script.count(PortCall::Copy) + world.script.count(PortCall::UpdateAttributes),
            0
        );
    }
}

#[tokio::test(start_paused = true)]
async fn copy_that_a_marker_could_not_identify_under_kms_keeps_its_encryption() {
    let world = shared();
    copy_across(&world, "one").await;
    // A default encryption without a key ARN: only a copy gets that key, and its ETag is no hash.
    world.destination.encrypt_with_kms();
    let again = again(&world);
    assert_skipped(&again.reconcile().await, SkipReason::AlreadyIdentical);
    assert_eq!(again.script.count(PortCall::Copy), 0);
}

#[tokio::test(start_paused = true)]
async fn encryption_change_by_copy_preserves_attributes_of_applications() {
    let mut world = shared();
    world.source.put_large(KEY, "one", 5, &[]);
    pass(&world, 1);
    assert_copied(&world.reconcile().await);
    world.policy.destination_encryption = Some(ExplicitEncryption::Kms(kms(Some("key"))));
    world.destination.reject_encryption_updates();
    // No copy includes another object's annotations.
    world.destination.annotate(KEY, &[("external", "text")]);
    let refused = again(&world);
    assert_skipped(&refused.reconcile().await, SkipReason::AlreadyIdentical);
    assert_eq!(refused.script.count(PortCall::Copy), 0);
    world.destination.annotate(KEY, &[]);
    world.destination.tag(KEY, &[("stage", "external")]);
    assert_copied(&world.reconcile().await);
    let copy = world.destination.facts(KEY).unwrap();
    assert_eq!(copy.encryption, Encryption::Kms(kms(Some("key"))));
    assert_eq!(copy.tags.unwrap().get("stage").map(String::as_str), Some("external"));
    assert_skipped(&world.reconcile().await, SkipReason::AlreadyIdentical);
}

#[tokio::test(start_paused = true)]
async fn destination_without_versions_is_refused_before_anything_is_written() {
    let world = shared_of(MemoryBucket::versioned(), MemoryBucket::unversioned());
    world.source.put(KEY, "one");
    assert_failed(
        &world.reconcile().await,
        FailureKind::Configuration,
        "DestinationNotVersioned",
    );
    assert_eq!(world.script.count(PortCall::Copy), 0);
}

#[tokio::test(start_paused = true)]
async fn missing_state_bucket_is_refused() {
    let mut world = shared();
    world.journal = None;
    world.source.put(KEY, "one");
    assert_failed(
        &world.reconcile().await,
        FailureKind::Configuration,
        "StateBucketRequired",
    );
}

#[tokio::test(start_paused = true)]
async fn replication_by_s3_to_the_same_bucket_is_refused_whatever_its_status() {
    use ReplicationStatus::{Completed, Failed, Pending, Replica};
    for status in [None, Some(Pending), Some(Completed), Some(Failed), Some(Replica)] {
        let world = shared();
        world
            .source
            .put_with(KEY, "one", |facts| facts.replication_status = status);
        world.source.set_replication(ReplicationCoverage::Covered);
        assert_failed(&world.reconcile().await, FailureKind::Configuration, "ReplicatedByS3");
        assert_eq!(world.script.count(PortCall::Copy), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn large_object_is_copied_with_its_part_sizes_and_a_marker() {
    const PART: u64 = 5 << 20;
    let world = shared();
    world
        .source
        .put_large_with(KEY, "much", 3 * PART, &[2 * PART, PART], |facts| {
            facts.checksums.values.clear();
        });
    pass(&world, 1);
    assert_copied(&world.reconcile().await);
    let source = world.source.facts(KEY).unwrap();
    assert_eq!(world.destination.facts(KEY).unwrap().etag, source.etag);
    assert_skipped(&again(&world).reconcile().await, SkipReason::AlreadyIdentical);
}

#[tokio::test(start_paused = true)]
async fn large_object_with_unrepeatable_part_sizes_is_refused() {
    const PART: u64 = 5 << 20;
    let world = shared();
    world
        .source
        .put_large_with(KEY, "much", 3 * PART, &[PART / 2, 2 * PART + PART / 2], |facts| {
            facts.checksums.values.clear();
        });
    pass(&world, 1);
    let report = world.reconcile().await;
    assert_failed(&report, FailureKind::Permanent, "CannotBeMarked");
    assert_eq!(world.script.count(PortCall::CreateUpload), 0);
    assert_eq!(world.destination.content(KEY), None);
}

#[tokio::test(start_paused = true)]
async fn external_write_after_a_delete_is_detected() {
    let world = shared();
    copy_across(&world, "one").await;
    world.source.delete(KEY);
    let destination = world.destination.clone();
    let script = FaultScript::default().on(
        PortCall::Delete,
        1,
        PortFault::after(move || write_same_bytes(&destination)),
    );
    let racing = world.with_script(script);
    assert_skipped(&racing.reconcile().await, SkipReason::ExternalWrite);
    assert_eq!(racing.script.count(PortCall::DeleteVersion), 0);
    assert_eq!(owner(&racing.destination).as_deref(), Some("external"));
}

/// Replaces the destination object and preserves its metadata, like an application that edits it.
fn edit(world: &TestWorld, content: &str) {
    let metadata = world.destination.facts(KEY).unwrap().user_metadata;
    world
        .destination
        .put_with(KEY, content, |facts| facts.user_metadata = metadata);
}

#[tokio::test(start_paused = true)]
async fn copy_that_an_application_edited_with_its_metadata_is_an_external_write() {
    for seconds in [0, 1, 5_000] {
        let world = shared();
        copy_across(&world, "one").await;
        pass(&world, seconds);
        edit(&world, "edited");
        assert_skipped(&again(&world).reconcile().await, SkipReason::DestinationNewer);
        world.source.delete(KEY);
        assert_skipped(&again(&world).reconcile().await, SkipReason::ExternalWrite);
        assert_eq!(world.destination.content(KEY).as_deref(), Some("edited"));
    }
}

#[tokio::test(start_paused = true)]
async fn old_copy_restored_by_an_application_stays() {
    for seconds in [0, 1, 5_000] {
        let world = shared();
        copy_across(&world, "one").await;
        let old = world.destination.history(KEY).swap_remove(0).version;
        copy_across(&world, "two").await;
        pass(&world, seconds);
        world.destination.rewrite(KEY, &old);
        assert_skipped(&again(&world).reconcile().await, SkipReason::DestinationNewer);
        assert_eq!(world.destination.content(KEY).as_deref(), Some("one"));
        // Its time is compared, like that of any external write.
        pass(&world, 1);
        copy_across(&world, "three").await;
        assert_eq!(world.destination.content(KEY).as_deref(), Some("three"));
    }
}

#[tokio::test(start_paused = true)]
async fn copy_rewritten_by_an_application_is_not_deleted() {
    let world = shared();
    copy_across(&world, "one").await;
    let copy = world.destination.history(KEY).swap_remove(0).version;
    world.destination.rewrite(KEY, &copy);
    world.source.delete(KEY);
    assert_skipped(&world.reconcile().await, SkipReason::ExternalWrite);
}

#[tokio::test(start_paused = true)]
async fn external_upload_begun_before_a_copy_is_restored() {
    for large in [false, true] {
        let world = shared();
        world.source.put(KEY, "one");
        pass(&world, 1);
        let begun = world.destination.begin_put();
        pass(&world, 1);
        assert_copied(&world.reconcile().await);
        if large {
            world.source.put_large(KEY, "much", 15 << 20, &[10 << 20, 5 << 20]);
            world.destination.finish_put(KEY, &begun, "external", |_| ());
            assert_copied(&world.reconcile().await);
            continue;
        }
        world.destination.finish_put(KEY, &begun, "external", |_| ());
        assert_eq!(
            world.destination.content(KEY).as_deref(),
            Some("one"),
            "the external write is hidden"
        );
        let report = again(&world).reconcile().await;
        assert_skipped(&report, SkipReason::DestinationNewer);
        assert_eq!(world.destination.content(KEY).as_deref(), Some("external"));
    }
}

#[tokio::test(start_paused = true)]
async fn external_upload_begun_before_a_delete_is_restored() {
    let world = shared();
    copy_across(&world, "one").await;
    pass(&world, 1);
    let begun = world.destination.begin_put();
    world.source.delete(KEY);
    assert_eq!(world.reconcile().await.outcome, Outcome::Deleted);
    world.destination.finish_put(KEY, &begun, "external", |_| ());
    assert_eq!(world.destination.content(KEY), None, "the external write is hidden");
    assert_skipped(&again(&world).reconcile().await, SkipReason::ExternalWrite);
    assert_eq!(world.destination.content(KEY).as_deref(), Some("external"));
}

/// Returns a setup with a copy from before ownership became shared, in which equal objects are adopted.
async fn adopting(parts: &[u64]) -> TestWorld {
    let mut world = shared();
    world.policy.ownership = Ownership::Exclusive;
    let size_bytes = parts.iter().sum::<u64>().max(3);
    world.source.put_large_with(KEY, "one", size_bytes, parts, |_| ());
    world.source.tag(KEY, &[("stage", "a")]);
    pass(&world, 1);
    assert_copied(&world.reconcile().await);
    pass(&world, 1);
    world.policy = Policy {
        ownership: Ownership::Shared,
        adopts_equal_objects: true,
        ..world.policy
    };
    world
}

#[tokio::test(start_paused = true)]
async fn equal_object_without_marker_is_adopted_once_and_is_then_a_copy() {
    for parts in [&[][..], &[6 << 20, 6 << 20]] {
        let mut world = adopting(parts).await;
        let tags = world.destination.facts(KEY).unwrap().tags;
        assert_copied(&world.reconcile().await);
        assert!(
            world
                .destination
                .facts(KEY)
                .unwrap()
                .user_metadata
                .contains_key(MARKER_NAME)
        );
        assert_eq!(world.destination.facts(KEY).unwrap().tags, tags);
        assert_skipped(&again(&world).reconcile().await, SkipReason::AlreadyIdentical);
        world.policy.adopts_equal_objects = false;
        world.source.delete(KEY);
        assert_eq!(again(&world).reconcile().await.outcome, Outcome::Deleted);
    }
}

/// A copy in place stores the checksums of the destination object, to which its marker must be bound.
#[tokio::test(start_paused = true)]
async fn object_with_another_checksum_is_adopted_by_a_copy_of_the_source() {
    let world = adopting(&[]).await;
    world.destination.change(KEY, |facts| {
        facts.checksums = checksum("SHA256", ChecksumCoverage::FullObject, "one", &[]);
    });
    assert_copied(&world.reconcile().await);
    let adopted = world.destination.facts(KEY).unwrap();
    assert!(adopted.user_metadata.contains_key(MARKER_NAME));
    assert_eq!(adopted.checksums, world.source.facts(KEY).unwrap().checksums);
    assert_skipped(&again(&world).reconcile().await, SkipReason::AlreadyIdentical);
}

#[tokio::test(start_paused = true)]
async fn different_object_is_not_adopted() {
    let differences: [fn(&TestWorld); 4] = [
        |world| write_same_bytes(&world.destination),
        |world| world.destination.tag(KEY, &[("stage", "external")]),
        |world| world.destination.annotate(KEY, &[("note", "external")]),
        |world| world.destination.put(KEY, "external"),
    ];
    for differ in differences {
        let world = adopting(&[]).await;
        differ(&world);
        assert_skipped(&world.reconcile().await, SkipReason::DestinationNewer);
        let metadata = world.destination.facts(KEY).unwrap().user_metadata;
        assert!(!metadata.contains_key(MARKER_NAME));
    }
}

#[tokio::test(start_paused = true)]
async fn external_write_during_adoption_stays() {
    let world = adopting(&[]).await;
    let destination = world.destination.clone();
    let write = PortFault::before(move || destination.put(KEY, "external"));
    let world = TestWorld {
        script: FaultScript::default().on(PortCall::Copy, 1, write),
        ..world
    };
    assert_skipped(&world.reconcile().await, SkipReason::DestinationNewer);
    assert_eq!(world.destination.content(KEY).as_deref(), Some("external"));
}

fn stage(bucket: &MemoryBucket) -> Option<String> {
    bucket.facts(KEY)?.tags?.get("stage").cloned()
}

async fn reconcile_tags(world: &TestWorld) -> ReconcileReport {
    again(world)
        .reconcile_with(&AttributeSet::from([Attribute::Tags]))
        .await
}

/// Copies an object with a tag `stage`.
async fn tagged_copy(value: &str) -> TestWorld {
    let world = shared();
    world.source.put(KEY, "one");
    world.source.tag(KEY, &[("stage", value)]);
    pass(&world, 1);
    assert_copied(&world.reconcile().await);
    assert_eq!(stage(&world.destination).as_deref(), Some(value));
    pass(&world, 1);
    world
}

#[tokio::test(start_paused = true)]
async fn tags_set_by_an_application_on_a_copy_stay() {
    for changed in [&[("stage", "external")][..], &[("stage", "a"), ("more", "b")], &[]] {
        let world = tagged_copy("a").await;
        world.destination.tag(KEY, changed);
        let tags = world.destination.facts(KEY).unwrap().tags;
        for attributes in [AttributeSet::new(), AttributeSet::from([Attribute::Tags])] {
            let report = again(&world).reconcile_with(&attributes).await;
            assert_skipped(&report, SkipReason::AlreadyIdentical);
        }
        assert_eq!(world.destination.facts(KEY).unwrap().tags, tags);
    }
}

#[tokio::test(start_paused = true)]
async fn repeated_tag_changes_at_the_source_are_copied() {
    let world = tagged_copy("a").await;
    for value in ["b", "c", "b"] {
        world.source.tag(KEY, &[("stage", value)]);
        assert_copied(&reconcile_tags(&world).await);
        assert_eq!(stage(&world.destination).as_deref(), Some(value));
        assert_skipped(&reconcile_tags(&world).await, SkipReason::AlreadyIdentical);
        pass(&world, 1);
    }
    world.destination.tag(KEY, &[("stage", "external")]);
    assert_skipped(&reconcile_tags(&world).await, SkipReason::AlreadyIdentical);
    assert_eq!(stage(&world.destination).as_deref(), Some("external"));
}

#[tokio::test(start_paused = true)]
async fn tag_changes_on_both_sides_are_a_conflict_and_the_destination_stays() {
    let world = tagged_copy("a").await;
    world.destination.tag(KEY, &[("stage", "external")]);
    world.source.tag(KEY, &[("stage", "b")]);
    assert_skipped(&reconcile_tags(&world).await, SkipReason::DestinationNewer);
    assert_eq!(stage(&world.destination).as_deref(), Some("external"));
    // The object is still replaced, and the conflict is still reported.
    world.source.put(KEY, "two");
    world.source.tag(KEY, &[("stage", "b")]);
    pass(&world, 1);
    assert_skipped(&again(&world).reconcile().await, SkipReason::DestinationNewer);
    assert_eq!(world.destination.content(KEY).as_deref(), Some("two"));
    assert_eq!(stage(&world.destination).as_deref(), Some("external"));
}

#[tokio::test(start_paused = true)]
async fn annotations_of_a_multipart_copy_are_written_after_a_crash() {
    let world = shared();
    world
        .source
        .put_large_with(KEY, "much", 15 << 20, &[10 << 20, 5 << 20], |facts| {
            facts.checksums.values.clear();
        });
    world.source.annotate(KEY, &[("note", "text")]);
    pass(&world, 1);
    let cut_off = world
        .clone()
        .with_script(FaultScript::default().on(PortCall::DestinationRead, 2, PortFault::Hangs));
    assert!(matches!(cut_off.reconcile().await.outcome, Outcome::Deferred(_)));
    let notes = || world.destination.facts(KEY).unwrap().annotations.unwrap().len();
    assert_eq!(notes(), 0);
    assert!(matches!(
        again(&world).reconcile().await.outcome,
        Outcome::AttributesUpdated { .. }
    ));
    assert_eq!(notes(), 1);
    assert_skipped(&again(&world).reconcile().await, SkipReason::AlreadyIdentical);
}

#[tokio::test(start_paused = true)]
async fn tags_too_large_for_headers_are_written_after_a_crash() {
    let long = "x".repeat(5_000);
    let world = shared();
    world.source.put(KEY, "one");
    world.source.tag(KEY, &[("stage", &long)]);
    pass(&world, 1);
    let script = FaultScript::default().on(PortCall::UpdateAttributes, 1, PortFault::Hangs);
    let cut_off = world.clone().with_script(script);
    assert!(matches!(cut_off.reconcile().await.outcome, Outcome::Deferred(_)));
    assert_eq!(stage(&world.destination), None);
    let attributes = AttributeSet::from([Attribute::Tags]);
    assert_eq!(
        again(&world).reconcile().await.outcome,
        Outcome::AttributesUpdated { attributes }
    );
    assert_eq!(stage(&world.destination).as_ref(), Some(&long));
    assert_skipped(&again(&world).reconcile().await, SkipReason::AlreadyIdentical);
    // Tags of an application also stay here.
    world.destination.tag(KEY, &[("stage", "external")]);
    assert_skipped(&reconcile_tags(&world).await, SkipReason::AlreadyIdentical);
}

#[tokio::test(start_paused = true)]
async fn external_tags_too_large_for_headers_are_reported_and_stay() {
    let world = tagged_copy("a").await;
    let long = "x".repeat(5_000);
    world.destination.tag(KEY, &[("stage", &long)]);
    world.source.put(KEY, "two");
    world.source.tag(KEY, &[("stage", "a")]);
    pass(&world, 1);
    let Outcome::Failed(failure) = again(&world).reconcile().await.outcome else {
        panic!("the application's tags are not preserved");
    };
    assert_eq!(
        (failure.kind, failure.code.as_str()),
        (FailureKind::Permanent, "TagsDoNotFit")
    );
    assert_eq!(stage(&world.destination).as_ref(), Some(&long));
}

#[tokio::test(start_paused = true)]
async fn object_with_invalid_headers_gets_no_marker() {
    let world = shared();
    world.source.put_with(KEY, "one", |facts| {
        facts.unreadable_headers.insert("content-type".to_owned(), vec![0xfc]);
    });
    let Outcome::Failed(failure) = world.reconcile().await.outcome else {
        panic!("copied without its header");
    };
    assert_eq!(
        (failure.kind, failure.code.as_str()),
        (FailureKind::Permanent, "UnreadableHeader")
    );
    assert!(failure.detail.contains("content-type"), "{failure}");
    assert_eq!(world.destination.content(KEY), None);
}

/// The application's version has the marker of the removed copy, and must not be identified as that copy.
#[tokio::test(start_paused = true)]
async fn copy_rewritten_by_an_application_during_its_removal_stays() {
    let world = shared();
    world.source.put(KEY, "one");
    pass(&world, 1);
    let begun = world.destination.begin_put();
    pass(&world, 1);
    assert_copied(&world.reconcile().await);
    world.destination.finish_put(KEY, &begun, "external", |_| ());
    let destination = world.destination.clone();
    let rewrite = PortFault::before(move || {
        let newest = destination.history(KEY).into_iter().next().unwrap().version;
        destination.rewrite(KEY, &newest);
    });
    let world = TestWorld {
        script: FaultScript::default().on(PortCall::DeleteVersion, 1, rewrite),
        ..world
    };
    let report = world.reconcile().await;
    assert!(!matches!(report.outcome, Outcome::Failed(_)), "{report:?}");
    assert_eq!(
        world.destination.content(KEY).as_deref(),
        Some("one"),
        "the application's version"
    );
    assert_eq!(world.script.count(PortCall::DeleteVersion), 1);
}

#[tokio::test(start_paused = true)]
async fn unremovable_version_is_reported_as_hiding_until_it_is_removed() {
    let world = shared();
    world.source.put(KEY, "one");
    pass(&world, 1);
    let begun = world.destination.begin_put();
    pass(&world, 1);
    assert_copied(&world.reconcile().await);
    world.destination.finish_put(KEY, &begun, "external", |_| ());
    let mut locked = failure(FailureKind::Permanent);
    locked.action = "s3:DeleteObjectVersion".to_owned();
    locked.detail = "Access Denied because object protected by object lock".to_owned();
    for _ in 0..2 {
        let script = FaultScript::default().always(PortCall::DeleteVersion, PortFault::Fails(locked.clone()));
        let report = world.clone().with_script(script).reconcile().await;
        assert_failed(&report, FailureKind::Permanent, "ExternalWriteHidden");
        let Outcome::Failed(failure) = report.outcome else {
            panic!("it failed")
        };
        assert!(failure.detail.contains(&locked.detail), "{failure}");
    }
    let hidden = world.destination.history(KEY).swap_remove(1).version;
    pass(&world, 1);
    world.destination.rewrite(KEY, &hidden);
    assert_skipped(&again(&world).reconcile().await, SkipReason::DestinationNewer);
}

/// Reconciles between two buckets like another pair of s3ferry.
async fn between(names: (&str, &str), source: &MemoryBucket, destination: &MemoryBucket) -> Outcome {
    let world = shared_of(source.clone(), destination.clone());
    let mut reconciler = world.reconciler();
    let route = &mut reconciler.uploads.as_mut().unwrap().route;
    route.source = BucketName::new(names.0).unwrap();
    route.destination = BucketName::new(names.1).unwrap();
    let deadline = reconciler.clock.far_future();
    reconciler
        .reconcile(&key(KEY), &AttributeSet::new(), deadline)
        .await
        .outcome
}

#[tokio::test(start_paused = true)]
async fn copy_is_copied_to_a_third_bucket_and_back_only_to_restore_a_missing_key() {
    let [first, second, third] = [(); 3].map(|()| MemoryBucket::versioned());
    first.put(KEY, "one");
    let tick = || [&first, &second, &third].map(|bucket| bucket.pass_seconds(1));
    tick();
    let copied = |outcome: Outcome| assert!(matches!(outcome, Outcome::Copied { .. }), "{outcome:?}");
    copied(between(("first", "second"), &first, &second).await);
    tick();
    copied(between(("second", "third"), &second, &third).await);
    assert_eq!(third.content(KEY).as_deref(), Some("one"));
    let back = between(("second", "first"), &second, &first).await;
    assert_eq!(back, Outcome::Skipped(SkipReason::SourceIsReplica));
    first.purge(KEY);
    copied(between(("second", "first"), &second, &first).await);
    assert_eq!(first.content(KEY).as_deref(), Some("one"));
}

/// Reconciles in both directions, each with its own route.
async fn there_and_back(first: &MemoryBucket, second: &MemoryBucket) -> [Outcome; 2] {
    let there = between(("first", "second"), first, second).await;
    [there, between(("second", "first"), second, first).await]
}

#[tokio::test(start_paused = true)]
async fn old_copy_restored_at_the_source_is_copied_once() {
    let [first, second] = [(); 2].map(|()| MemoryBucket::versioned());
    let tick = || [&first, &second].map(|bucket| bucket.pass_seconds(1));
    let copied = |outcome: &Outcome| assert!(matches!(outcome, Outcome::Copied { .. }), "{outcome:?}");
    for content in ["one", "two"] {
        first.put(KEY, content);
        tick();
        copied(&between(("first", "second"), &first, &second).await);
        tick();
    }
    let copy = second.history(KEY).swap_remove(1).version;
    second.rewrite(KEY, &copy);
    let [_, restored] = there_and_back(&first, &second).await;
    copied(&restored);
    assert_eq!(first.content(KEY).as_deref(), Some("one"));
    // The other direction identifies it as a copy, and neither writes again.
    for _ in 0..3 {
        tick();
        let expected = [SkipReason::SourceIsReplica, SkipReason::AlreadyIdentical].map(Outcome::Skipped);
        assert_eq!(there_and_back(&first, &second).await, expected);
    }
    assert_eq!(first.history(KEY).len(), 3);
    // A genuine copy is not copied back, even if the other side has changed by then.
    first.put(KEY, "three");
    tick();
    copied(&between(("first", "second"), &first, &second).await);
    first.put(KEY, "four");
    let back = between(("second", "first"), &second, &first).await;
    assert_eq!(back, Outcome::Skipped(SkipReason::SourceIsReplica));
}

#[tokio::test(start_paused = true)]
async fn source_versions_are_listed_only_if_the_source_has_a_marker() {
    let world = shared();
    copy_across(&world, "one").await;
    let counted = |world: &TestWorld| {
        [PortCall::ListSourceVersions, PortCall::ReadSourceVersion].map(|call| world.script.count(call))
    };
    assert_eq!(counted(&world), [0, 0]);
    let back = TestWorld::of(world.destination.clone(), world.source.clone());
    let mut reconciler = back.reconciler();
    reconciler.policy.ownership = Ownership::Shared;
    let route = &mut reconciler.uploads.as_mut().unwrap().route;
    std::mem::swap(&mut route.source, &mut route.destination);
    let deadline = reconciler.clock.far_future();
    let report = reconciler.reconcile(&key(KEY), &AttributeSet::new(), deadline).await;
    assert_skipped(&report, SkipReason::SourceIsReplica);
    assert_eq!(counted(&back), [1, 0]);
}
