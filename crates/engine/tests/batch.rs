//! Batches: grouping, isolation, requeuing and acknowledgement.

mod world;

use std::time::Duration;

use s3ferry_core::bucket_settings::ReplicationCoverage;
use s3ferry_core::event::{KeyHint, MAX_IDLE_HOPS};
use s3ferry_core::facts::{AttributeSet, HIDDEN_IN_HEAD, ReplicationStatus};
use s3ferry_core::failure::FailureKind;
use s3ferry_core::names::BucketName;
use s3ferry_core::outcome::{DeferralReason, Outcome};
use s3ferry_engine::batch::RecordResult;
use s3ferry_engine::ports::Clock as _;
use s3ferry_testkit::clock::TestClock;
use s3ferry_testkit::faults::{FaultScript, PortCall, PortFault, failure};
use s3ferry_testkit::queue::MemoryQueue;
use world::{KEY, TestWorld, hint, sequenced, tags};

async fn reconcile_hints_of(
    world: &TestWorld,
    queue: Option<&MemoryQueue>,
    hints: &[s3ferry_core::event::KeyHint],
) -> Vec<RecordResult> {
    let batch = world.batch(queue);
    let deadline = batch.reconciler.clock.far_future();
    batch.reconcile_hints(hints, deadline).await
}

fn acknowledged(results: &[RecordResult]) -> Vec<bool> {
    results.iter().map(|result| result.acknowledged).collect()
}

#[tokio::test(start_paused = true)]
async fn lag_of_a_copy_counts_from_the_first_event_of_its_key() {
    let world = TestWorld::new();
    world.source.put(KEY, "one");
    let at = |seconds| KeyHint {
        event_time: Some(TestClock::START.minus(Duration::from_secs(seconds))),
        ..hint(KEY)
    };
    let results = reconcile_hints_of(&world, None, &[at(3), at(9), hint(KEY)]).await;
    assert!(matches!(results[0].report.outcome, Outcome::Copied { .. }));
    assert_eq!(results[0].lag, Some(Duration::from_secs(9)));
    let equal = reconcile_hints_of(&world, None, &[at(3)]).await;
    assert_eq!(equal[0].lag, None, "nothing was copied");
}

#[tokio::test(start_paused = true)]
async fn hints_of_one_key_share_one_reconcile_with_all_their_attributes() {
    let world = TestWorld::new();
    world.source.put(KEY, "one");
    world.destination.pass_seconds(1);
    world.reconcile().await;
    world.source.tag(KEY, &[("a", "b")]);
    let mut tagging = hint(KEY);
    tagging.attributes = tags();
    let results = reconcile_hints_of(&world, None, &[hint(KEY), tagging, hint(KEY)]).await;
    assert_eq!(acknowledged(&results), [true; 3]);
    assert_eq!(
        world.script.count(PortCall::UpdateAttributes),
        1,
        "one update for both hints"
    );
    world.assert_equal();
}

#[tokio::test(start_paused = true)]
async fn older_hints_are_distinguished_from_newer_ones() {
    let world = TestWorld::new();
    world.source.put(KEY, "one");
    let hints = [
        sequenced(KEY, "0055AED6DCD90281E6"),
        sequenced(KEY, "0055AED6DCD90281E5"),
        sequenced("other", "0055AED6DCD90281E4"),
        hint(KEY),
    ];
    let superseded: Vec<bool> = reconcile_hints_of(&world, None, &hints)
        .await
        .iter()
        .map(|result| result.superseded)
        .collect();
    assert_eq!(superseded, [false, true, false, false]);
}

#[tokio::test(start_paused = true)]
async fn event_of_another_bucket_is_refused_and_touches_nothing() {
    let world = TestWorld::new();
    world.source.put(KEY, "one");
    let mut foreign = hint(KEY);
    foreign.bucket = BucketName::new("other-bucket").unwrap();
    let results = reconcile_hints_of(&world, None, &[foreign]).await;
    let Outcome::Failed(refused) = &results[0].report.outcome else {
        panic!("{results:?}");
    };
    assert_eq!(
        (refused.kind, refused.code.as_str()),
        (FailureKind::Configuration, "ForeignBucket")
    );
    assert!(!results[0].acknowledged);
    assert_eq!(world.script.count(PortCall::SourceRead), 0);
}

#[tokio::test(start_paused = true)]
async fn panic_fails_only_its_key() {
    let world = TestWorld::new().with_script(FaultScript::default().on(PortCall::Copy, 1, PortFault::Panics));
    for name in ["a", "b", "c"] {
        world.source.put(name, "one");
    }
    let results = reconcile_hints_of(&world, None, &[hint("a"), hint("b"), hint("c"), hint("a")]).await;
    assert_eq!(acknowledged(&results), [false, true, true, false]);
    assert!(matches!(&results[0].report.outcome, Outcome::Failed(failure) if failure.code.as_str() == "Panic"));
}

#[tokio::test(start_paused = true)]
async fn failed_key_does_not_affect_other_keys() {
    let denied = PortFault::Fails(failure(FailureKind::Permanent));
    let world = TestWorld::new().with_script(FaultScript::default().on(PortCall::Copy, 1, denied));
    world.source.put("a", "one");
    world.source.put("b", "one");
    let results = reconcile_hints_of(&world, None, &[hint("a"), hint("b")]).await;
    assert_eq!(acknowledged(&results), [false, true]);
}

#[tokio::test(start_paused = true)]
async fn rejected_credentials_are_not_retried_for_other_keys() {
    let mut expired = failure(FailureKind::Configuration);
    expired.code = "ExpiredToken".into();
    let world =
        TestWorld::new().with_script(FaultScript::default().always(PortCall::SourceRead, PortFault::Fails(expired)));
    let names: Vec<String> = (0..200).map(|number| format!("{number}")).collect();
    for name in &names {
        world.source.put(name, "one");
    }
    let hints: Vec<_> = names.iter().map(|name| hint(name)).collect();
    let results = reconcile_hints_of(&world, None, &hints).await;
    assert_eq!(acknowledged(&results), [false; 200]);
    let is_expired = |result: &RecordResult| {
        let outcome = &result.report.outcome;
        matches!(outcome, Outcome::Failed(failure) if failure.code.as_str() == "ExpiredToken")
    };
    assert!(results.iter().all(is_expired));
    // Only the keys that were in progress at the same time are read.
    let concurrency = world.batch(None).concurrency;
    assert!(world.script.count(PortCall::SourceRead) <= u32::try_from(concurrency).unwrap());
}

/// Returns a setup in which the key changes after every copy.
fn hot_world() -> TestWorld {
    let world = TestWorld::new();
    world.source.put(KEY, "start");
    let source = world.source.clone();
    let count = std::sync::atomic::AtomicU32::new(0);
    let write = move || {
        let number = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        source.put(KEY, &number.to_string());
    };
    world.with_script(FaultScript::default().always(PortCall::Copy, PortFault::after(write)))
}

#[tokio::test(start_paused = true)]
async fn unfinished_key_is_requeued_before_it_is_acknowledged() {
    let queue = MemoryQueue::default();
    let mut tagging = hint(KEY);
    tagging.attributes = tags();
    let results = reconcile_hints_of(&hot_world(), Some(&queue), &[tagging]).await;
    assert_eq!(results[0].report.outcome, Outcome::Deferred(DeferralReason::HotKey));
    assert!(results[0].acknowledged);
    let sent = queue.sent();
    let [(continuation, delay)] = sent.as_slice() else {
        panic!("{sent:?}");
    };
    assert_eq!(
        (continuation.bucket.as_str(), continuation.key.as_str()),
        ("source", KEY)
    );
    assert_eq!(
        (continuation.reason.as_str(), &continuation.attributes),
        ("hot-key", &HIDDEN_IN_HEAD.into())
    );
    assert!(*delay > Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn unfinished_key_fails_without_a_queue() {
    assert_eq!(
        acknowledged(&reconcile_hints_of(&hot_world(), None, &[hint(KEY)]).await),
        [false],
        "no queue"
    );
    let queue = MemoryQueue::failing(failure(FailureKind::Retry));
    let results = reconcile_hints_of(&hot_world(), Some(&queue), &[hint(KEY)]).await;
    assert_eq!(acknowledged(&results), [false], "the queue failed");
    assert_eq!(results[0].report.outcome, Outcome::Failed(failure(FailureKind::Retry)));
}

#[tokio::test(start_paused = true)]
async fn deadline_without_progress_uses_a_receive() {
    let queue = MemoryQueue::default();
    let world = TestWorld::new().with_script(FaultScript::default().on(PortCall::SourceRead, 1, PortFault::Hangs));
    world.source.put(KEY, "one");
    let batch = world.batch(Some(&queue));
    let deadline = batch.reconciler.clock.now().plus(Duration::from_secs(10));
    let results = batch.reconcile_hints(&[hint(KEY)], deadline).await;
    assert_eq!(results[0].report.outcome, Outcome::Deferred(DeferralReason::Deadline));
    assert_eq!((acknowledged(&results), queue.sent().len()), (vec![false], 0));
}

#[tokio::test(start_paused = true)]
async fn lost_response_is_checked_again_later() {
    let queue = MemoryQueue::default();
    let lost = || FaultScript::default().on(PortCall::Copy, 1, PortFault::ResponseLost);
    let world = TestWorld::new().with_script(lost());
    world.source.put(KEY, "one");
    let results = reconcile_hints_of(&world, Some(&queue), &[hint(KEY)]).await;
    assert!(results[0].acknowledged);
    let sent = queue.sent();
    assert_eq!(sent[0].0.reason, "outcome-unknown");
    assert_eq!(sent[0].1, DeferralReason::OutcomeUnknown.delay());

    let world = TestWorld::new().with_script(lost());
    world.source.put(KEY, "one");
    assert_eq!(
        acknowledged(&reconcile_hints_of(&world, None, &[hint(KEY)]).await),
        [false],
        "no later check without a queue"
    );
}

#[tokio::test(start_paused = true)]
async fn continuations_without_progress_end_with_a_failure() {
    let queue = MemoryQueue::default();
    let pending = || {
        // S3 replication reports the object as pending forever.
        let world = TestWorld::new();
        world.source.pass_seconds(TestClock::START.millis() / 1000 - 60);
        world.source.put_with(KEY, "one", |facts| {
            facts.replication_status = Some(ReplicationStatus::Pending);
        });
        world.source.set_replication(ReplicationCoverage::Covered);
        world
    };
    let mut hint = hint(KEY);
    for hop in 1..=MAX_IDLE_HOPS {
        let world = pending();
        let batch = world.batch(Some(&queue));
        let deadline = batch.reconciler.clock.far_future();
        let results = batch.reconcile_hints(std::slice::from_ref(&hint), deadline).await;
        let (sent, _) = queue.sent().pop().unwrap_or_else(|| panic!("{results:?}"));
        assert_eq!((sent.hops.idle, sent.hops.total), (hop, hop), "{results:?}");
        hint.hops = sent.hops;
    }
    let results = reconcile_hints_of(&pending(), Some(&queue), std::slice::from_ref(&hint)).await;
    let Outcome::Failed(failure) = &results[0].report.outcome else {
        panic!("{results:?}");
    };
    assert_eq!(
        (failure.kind, failure.code.as_str()),
        (FailureKind::Retry, "ContinuationsStalled")
    );
    assert_eq!((acknowledged(&results), queue.sent().len()), (vec![false], 8));
    // A new event of the key starts a new chain, and so does progress.
    let fresh = world::hint(KEY);
    assert_eq!(
        acknowledged(&reconcile_hints_of(&pending(), Some(&queue), &[hint.clone(), fresh]).await),
        [true, true]
    );
    assert_eq!(queue.sent().last().unwrap().0.hops.idle, 1);
    reconcile_hints_of(&hot_world(), Some(&queue), &[hint]).await;
    let (sent, _) = queue.sent().pop().unwrap();
    assert_eq!((sent.hops.idle, sent.hops.total), (0, 9));
}

#[tokio::test(start_paused = true)]
async fn concurrency_limit_bounds_keys_in_progress() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    let world = TestWorld::new();
    let (running, most) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let names: Vec<String> = (0..20).map(|number| format!("key-{number}")).collect();
    for name in &names {
        world.source.put(name, "one");
    }
    let entering = {
        let (running, most) = (running.clone(), most.clone());
        move || {
            let now = running.fetch_add(1, Ordering::SeqCst) + 1;
            most.fetch_max(now, Ordering::SeqCst);
        }
    };
    let leaving = move || {
        running.fetch_sub(1, Ordering::SeqCst);
    };
    let script = FaultScript::default()
        .always(PortCall::DestinationRead, PortFault::before(entering))
        .always(PortCall::Copy, PortFault::after(leaving));
    let world = world.with_script(script);
    let hints: Vec<_> = names.iter().map(|name| hint(name)).collect();
    let results = reconcile_hints_of(&world, None, &hints).await;
    assert_eq!(acknowledged(&results), [true; 20]);
    assert!((1..=4).contains(&most.load(Ordering::SeqCst)), "{most:?}");
    world.assert_equal();
}

#[tokio::test(start_paused = true)]
async fn results_have_the_order_of_the_hints() {
    let world = TestWorld::new();
    world.source.put("z", "12345");
    world.source.put("a", "1");
    let hints = [hint("z"), hint("missing"), hint("a")];
    let sizes: Vec<Option<u64>> = reconcile_hints_of(&world, None, &hints)
        .await
        .iter()
        .map(|result| match result.report.outcome {
            Outcome::Copied { size_bytes, .. } => Some(size_bytes),
            _ => None,
        })
        .collect();
    assert_eq!(sizes, [Some(5), None, Some(1)]);
    assert_eq!(
        AttributeSet::new(),
        reconcile_hints_of(&world, None, &hints).await[0].report.not_preserved
    );
}

#[tokio::test(start_paused = true)]
async fn key_with_progress_at_the_deadline_is_requeued() {
    let queue = MemoryQueue::default();
    let world = TestWorld::new();
    world.source.put(KEY, "one");
    let source = world.source.clone();
    let script = FaultScript::default()
        .on(PortCall::Copy, 1, PortFault::after(move || source.put(KEY, "two")))
        .on(PortCall::SourceRead, 3, PortFault::Hangs);
    let world = world.with_script(script);
    let batch = world.batch(Some(&queue));
    let deadline = batch.reconciler.clock.now().plus(Duration::from_secs(10));
    let results = batch.reconcile_hints(&[hint(KEY)], deadline).await;
    assert_eq!(results[0].report.outcome, Outcome::Deferred(DeferralReason::Deadline));
    assert_eq!((acknowledged(&results), queue.sent().len()), (vec![true], 1));
    assert_eq!(queue.sent()[0].1, Duration::ZERO, "no write was in progress");
}

#[tokio::test(start_paused = true)]
async fn delete_counts_as_progress() {
    let queue = MemoryQueue::default();
    let world = TestWorld::new();
    world.destination.put(KEY, "old");
    world.source.delete(KEY);
    let world = world.with_script(FaultScript::default().on(PortCall::SourceRead, 2, PortFault::Hangs));
    let batch = world.batch(Some(&queue));
    let deadline = batch.reconciler.clock.now().plus(Duration::from_secs(10));
    let results = batch.reconcile_hints(&[hint(KEY)], deadline).await;
    assert_eq!((acknowledged(&results), queue.sent().len()), (vec![true], 1));
}
