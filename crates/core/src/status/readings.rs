//! What was read for a status.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::FRESH_WITHIN;
use crate::batch_report::JobState;
use crate::canary::CanaryReading;
use crate::failure::Failure;
use crate::time::Timestamp;

/// A value that was read, or the reason why it could not be read.
pub type StatusReading<T> = Result<T, Failure>;

/// Value of a metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DataPoint {
    /// The value.
    pub value: f64,
    /// Begin of the period that the value is of.
    pub at: Timestamp,
}

impl DataPoint {
    /// Returns whether the data point is a number that describes the present.
    #[must_use]
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        self.value.is_finite() && now.since(self.at) <= FRESH_WITHIN
    }
}

/// Messages of a queue. SQS counts them approximately.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QueueCounts {
    /// Messages that wait.
    pub visible: u64,
    /// Messages that were received and not yet deleted.
    pub in_flight: u64,
    /// Messages that become visible later.
    pub delayed: u64,
}

impl QueueCounts {
    /// Returns the number of all messages.
    #[must_use]
    pub fn total(self) -> u64 {
        self.visible.saturating_add(self.in_flight).saturating_add(self.delayed)
    }
}

/// Metrics of the source stack.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SourceMetrics {
    /// Median lag of copied objects.
    pub lag_p50: Option<DataPoint>,
    /// 99th percentile of the lag of copied objects.
    pub lag_p99: Option<DataPoint>,
    /// Age of the oldest message of the queue that was received less than three times.
    pub oldest_message: Option<DataPoint>,
    /// Failed records in the last [`FAILURE_WINDOW`](super::FAILURE_WINDOW).
    pub failed: u64,
    /// The same, by reason.
    pub failed_by_reason: BTreeMap<String, u64>,
    /// Conflicts in the same time.
    pub conflicts: u64,
    /// Invocations of the replicator that failed in the last [`FRESH_WITHIN`].
    pub errors: u64,
    /// Invocations of the replicator that Lambda throttled in the same time.
    pub throttles: u64,
    /// Versions of s3ferry that ran in the last three hours.
    pub versions: BTreeSet<String>,
}

/// Metrics of S3's own replication.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct CrrMetrics {
    /// Seconds that the destination is behind the source.
    pub latency: Option<DataPoint>,
    /// Bytes that S3 has yet to replicate.
    pub bytes_pending: Option<DataPoint>,
    /// Operations that S3 has yet to replicate.
    pub operations_pending: Option<DataPoint>,
    /// Operations that failed in the last [`FAILURE_WINDOW`](super::FAILURE_WINDOW).
    pub operations_failed: u64,
}

/// An execution of the final sync.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunReading {
    /// Name of the execution.
    pub name: String,
    /// State of the execution.
    pub state: JobState,
    /// Start of the execution.
    pub started: Timestamp,
}

/// Everything that was read for a status.
#[derive(Debug, Clone, PartialEq)]
pub struct StatusReadings {
    /// Time of the readings.
    pub as_of: Timestamp,
    /// Longest lag of a migration that is in sync.
    pub max_lag: Duration,
    /// Whether the replicator copies new writes. Otherwise it repairs only what S3's own replication failed to copy.
    pub replicator_copies: bool,
    /// The queue of the replicator.
    pub queue: StatusReading<QueueCounts>,
    /// Messages of the dead-letter queue.
    pub dead_letters: StatusReading<u64>,
    /// Metrics of the source stack.
    pub metrics: StatusReading<SourceMetrics>,
    /// Metrics of S3's own replication, if the stack uses it.
    pub crr: Option<StatusReading<CrrMetrics>>,
    /// The canary, if the stack has one.
    pub canary: Option<StatusReading<CanaryReading>>,
    /// Multipart copies in progress.
    pub uploads: StatusReading<u64>,
    /// Deletes that were announced. Intents stay after their deletes.
    pub delete_intents: StatusReading<u64>,
    /// The latest executions of the final sync, the newest first.
    pub runs: StatusReading<Vec<RunReading>>,
}

impl StatusReadings {
    /// Returns the name and the failure of everything that could not be read.
    #[must_use]
    pub fn unreadable(&self) -> Vec<(&'static str, &Failure)> {
        let failures = [
            ("queue", self.queue.as_ref().err()),
            ("dead-letters", self.dead_letters.as_ref().err()),
            ("metrics", self.metrics.as_ref().err()),
            ("crr", self.crr.as_ref().and_then(|crr| crr.as_ref().err())),
            ("canary", self.canary.as_ref().and_then(|canary| canary.as_ref().err())),
            ("uploads", self.uploads.as_ref().err()),
            ("delete-intents", self.delete_intents.as_ref().err()),
            ("final-sync-runs", self.runs.as_ref().err()),
        ];
        failures
            .into_iter()
            .filter_map(|(name, failure)| Some((name, failure?)))
            .collect()
    }
}
