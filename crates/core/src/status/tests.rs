//! Tests of the verdict.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::batch_report::JobState;
use crate::canary::CanaryReading;
use crate::failure::{Failure, FailureKind};
use crate::time::Timestamp;

const NOW: Timestamp = Timestamp::from_seconds(1_795_393_230);

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[expect(clippy::unnecessary_wraps, reason = "a reading with a value")]
fn point(value: f64, age_s: u64) -> Option<DataPoint> {
    Some(DataPoint {
        value,
        at: NOW.minus(seconds(age_s)),
    })
}

fn failure() -> Failure {
    Failure {
        kind: FailureKind::Permanent,
        code: "AccessDenied".into(),
        action: "sqs:GetQueueAttributes".to_owned(),
        resource: "the queue".to_owned(),
        detail: "denied".to_owned(),
    }
}

/// An idle migration without S3's own replication and without a canary.
fn idle() -> StatusReadings {
    StatusReadings {
        as_of: NOW,
        max_lag: seconds(900),
        replicator_copies: true,
        queue: Ok(QueueCounts::default()),
        dead_letters: Ok(0),
        metrics: Ok(SourceMetrics::default()),
        crr: None,
        canary: None,
        uploads: Ok(0),
        delete_intents: Ok(0),
        runs: Ok(Vec::new()),
    }
}

fn with_metrics(change: impl FnOnce(&mut SourceMetrics)) -> StatusReadings {
    let mut metrics = SourceMetrics::default();
    change(&mut metrics);
    StatusReadings {
        metrics: Ok(metrics),
        ..idle()
    }
}

fn waiting(readings: StatusReadings) -> StatusReadings {
    let queue = QueueCounts {
        visible: 3,
        ..QueueCounts::default()
    };
    StatusReadings {
        queue: Ok(queue),
        ..readings
    }
}

fn canary(reading: CanaryReading) -> StatusReadings {
    StatusReadings {
        canary: Some(Ok(reading)),
        ..idle()
    }
}

fn replicated_by_s3(crr: CrrMetrics) -> StatusReadings {
    StatusReadings {
        crr: Some(Ok(crr)),
        replicator_copies: false,
        ..idle()
    }
}

fn run(state: JobState) -> RunReading {
    RunReading {
        name: "run-1".to_owned(),
        state,
        started: NOW,
    }
}

#[track_caller]
fn check(readings: &StatusReadings, verdict: StatusVerdict, lag: Option<(u64, LagSource)>) {
    let assessment = assess(readings);
    assert_eq!(assessment.verdict, verdict, "{assessment:?}");
    let found = assessment.lag.map(|lag| (lag.lag.as_secs(), lag.source));
    assert_eq!(found, lag, "{assessment:?}");
}

#[test]
fn idle_migration_is_in_sync() {
    check(&idle(), StatusVerdict::InSync, Some((0, LagSource::EmptyQueue)));
}

#[test]
fn waiting_messages_lag_by_their_age() {
    let age = |value, age_s| waiting(with_metrics(|metrics| metrics.oldest_message = point(value, age_s)));
    let oldest = |lag| Some((lag, LagSource::OldestMessage));
    check(&age(30.0, 60), StatusVerdict::InSync, oldest(30));
    check(&age(901.0, 60), StatusVerdict::Lagging, oldest(901));
    // A data point of an hour ago says nothing about the messages that wait now.
    check(&age(30.0, 3_600), StatusVerdict::Lagging, None);
    check(&age(f64::NAN, 60), StatusVerdict::Lagging, None);
    let copied = waiting(with_metrics(|metrics| metrics.lag_p99 = point(2.5, 60)));
    check(&copied, StatusVerdict::InSync, Some((2, LagSource::CopiedObjects)));
    // The lag of past copies does not matter once every event is processed.
    let past = with_metrics(|metrics| metrics.lag_p99 = point(5_000.0, 60));
    check(&past, StatusVerdict::InSync, Some((0, LagSource::EmptyQueue)));
}

#[test]
fn canary_shows_the_lag_also_if_the_queue_is_empty() {
    let arrived = CanaryReading::Arrived { lag: Some(seconds(3)) };
    check(&canary(arrived), StatusVerdict::InSync, Some((3, LagSource::Canary)));
    let waits = |at_least_s| {
        canary(CanaryReading::Waiting {
            at_least: seconds(at_least_s),
        })
    };
    check(&waits(40), StatusVerdict::InSync, Some((40, LagSource::Canary)));
    check(&waits(901), StatusVerdict::Lagging, Some((901, LagSource::Canary)));
    let empty = Some((0, LagSource::EmptyQueue));
    check(&canary(CanaryReading::Absent), StatusVerdict::Blind, empty);
    check(
        &canary(CanaryReading::Stale { written: NOW }),
        StatusVerdict::Blind,
        empty,
    );
}

#[test]
fn s3_replication_needs_a_fresh_latency_and_no_failures() {
    let crr = |latency, operations_failed| {
        replicated_by_s3(CrrMetrics {
            latency,
            operations_failed,
            ..CrrMetrics::default()
        })
    };
    check(
        &crr(point(20.0, 60), 0),
        StatusVerdict::InSync,
        Some((20, LagSource::Crr)),
    );
    check(
        &crr(point(901.0, 60), 0),
        StatusVerdict::Lagging,
        Some((901, LagSource::Crr)),
    );
    check(
        &crr(point(20.0, 60), 1),
        StatusVerdict::Failing,
        Some((20, LagSource::Crr)),
    );
    check(&crr(point(20.0, 3_600), 0), StatusVerdict::Blind, None);
    check(&crr(None, 0), StatusVerdict::Blind, None);
}

#[test]
fn writes_that_need_an_operator_are_failing() {
    let empty = Some((0, LagSource::EmptyQueue));
    let letters = StatusReadings {
        dead_letters: Ok(1),
        ..idle()
    };
    check(&letters, StatusVerdict::Failing, empty);
    check(
        &with_metrics(|metrics| metrics.failed = 1),
        StatusVerdict::Failing,
        empty,
    );
    check(
        &with_metrics(|metrics| metrics.errors = 1),
        StatusVerdict::Failing,
        empty,
    );
    let throttled = with_metrics(|metrics| metrics.throttles = 1);
    check(&throttled, StatusVerdict::InSync, empty);
    check(&waiting(throttled), StatusVerdict::Lagging, None);
}

#[test]
fn only_the_latest_final_sync_counts() {
    let runs = |states: &[JobState]| StatusReadings {
        runs: Ok(states.iter().copied().map(run).collect()),
        ..idle()
    };
    let verdict = |states: &[JobState]| assess(&runs(states)).verdict;
    assert_eq!(verdict(&[JobState::Failed]), StatusVerdict::Failing);
    assert_eq!(verdict(&[JobState::Complete, JobState::Failed]), StatusVerdict::InSync);
    assert_eq!(verdict(&[JobState::Active]), StatusVerdict::InSync);
    assert_eq!(verdict(&[JobState::Cancelled]), StatusVerdict::InSync);
    assert_eq!(verdict(&[JobState::Unknown]), StatusVerdict::Blind);
}

fn reading<T: std::fmt::Debug + Clone + 'static>(
    value: impl Strategy<Value = T> + 'static,
) -> BoxedStrategy<StatusReading<T>> {
    prop_oneof![9 => value.prop_map(Ok), 1 => Just(Err(failure()))].boxed()
}

fn data_point() -> impl Strategy<Value = Option<DataPoint>> {
    prop::option::of((prop_oneof![Just(0.0), 0.0..2_000.0, Just(f64::INFINITY)], 0_u64..2_000)).prop_map(|found| {
        let (value, age_s) = found?;
        point(value, age_s)
    })
}

fn few() -> impl Strategy<Value = u64> {
    prop_oneof![4 => Just(0), 1 => 1_u64..3]
}

prop_compose! {
    fn metrics()(
        oldest_message in data_point(),
        lag_p99 in data_point(),
        failed in few(),
        errors in few(),
        throttles in few(),
    ) -> SourceMetrics {
        SourceMetrics { lag_p99, oldest_message, failed, errors, throttles, ..SourceMetrics::default() }
    }
}

fn any_canary() -> impl Strategy<Value = CanaryReading> {
    prop_oneof![
        prop::option::of(0_u64..2_000).prop_map(|lag| CanaryReading::Arrived { lag: lag.map(seconds) }),
        (0_u64..2_000).prop_map(|at_least| CanaryReading::Waiting {
            at_least: seconds(at_least)
        }),
        Just(CanaryReading::Stale { written: NOW }),
        Just(CanaryReading::Absent),
    ]
}

prop_compose! {
    fn any_readings()(
        replicator_copies in any::<bool>(),
        queue in reading((0_u64..3, 0_u64..3, 0_u64..3)
            .prop_map(|(visible, in_flight, delayed)| QueueCounts { visible, in_flight, delayed })),
        dead_letters in reading(few()),
        metrics in reading(metrics()),
        crr in prop::option::of(reading((data_point(), few())
            .prop_map(|(latency, operations_failed)| CrrMetrics { latency, operations_failed, ..CrrMetrics::default() }))),
        canary in prop::option::of(reading(any_canary())),
        (uploads, delete_intents) in (reading(few()), reading(few())),
        runs in reading(prop::collection::vec(prop::sample::select(JobState::KNOWN.to_vec()).prop_map(run), 0..2)),
    ) -> StatusReadings {
        StatusReadings {
            as_of: NOW, max_lag: seconds(900), replicator_copies, queue, dead_letters, metrics, crr, canary, uploads,
            delete_intents, runs,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// The only way to in-sync: everything was read and is fresh, nothing failed, and a lag was shown that is short enough.
    #[test]
    fn in_sync_needs_complete_and_fresh_evidence(readings in any_readings()) {
        let assessment = assess(&readings);
        if !readings.unreadable().is_empty() {
            prop_assert_eq!(assessment.verdict, StatusVerdict::Blind);
        }
        prop_assert_eq!(assessment.verdict == StatusVerdict::InSync, assessment.reasons.is_empty());
        if assessment.verdict == StatusVerdict::InSync {
            prop_assert_eq!(readings.dead_letters, Ok(0));
            let metrics = readings.metrics.unwrap();
            prop_assert_eq!((metrics.failed, metrics.errors), (0, 0));
            prop_assert!(assessment.lag.is_some_and(|lag| lag.lag <= readings.max_lag));
            if let Some(crr) = readings.crr {
                let crr = crr.unwrap();
                prop_assert_eq!(crr.operations_failed, 0);
                prop_assert!(crr.latency.is_some_and(|latency| latency.is_fresh(NOW) && latency.value <= 900.0));
            }
            let canary = readings.canary.map(Result::unwrap);
            let is_missing = matches!(canary, Some(CanaryReading::Absent | CanaryReading::Stale { .. }));
            prop_assert!(!is_missing, "{canary:?}");
        }
    }

    /// Losing a reading never makes a verdict better.
    #[test]
    fn verdict_is_never_better_with_less_evidence(readings in any_readings(), lost in 0..4) {
        let before = assess(&readings).verdict;
        let mut less = readings;
        match lost {
            0 => less.queue = Err(failure()),
            1 => less.dead_letters = Err(failure()),
            2 => less.metrics = Err(failure()),
            _ => less.runs = Err(failure()),
        }
        let after = assess(&less).verdict;
        prop_assert!(after >= before, "{:?} became {:?}", before, after);
    }
}
