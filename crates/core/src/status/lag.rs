//! How far the destination is behind the source.

use std::time::Duration;

use super::readings::{DataPoint, QueueCounts, StatusReadings};
use crate::canary::CanaryReading;
use crate::time::Timestamp;

/// Where a lag was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LagSource {
    /// The latest write of the canary and its copy.
    Canary,
    /// The queue is empty: every event that arrived was processed.
    EmptyQueue,
    /// Age of the oldest message of the queue.
    OldestMessage,
    /// `ReplicationLagSeconds` of objects that were copied.
    CopiedObjects,
    /// `ReplicationLatency` of S3's own replication.
    Crr,
}

impl LagSource {
    /// Returns the name in reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Canary => "canary",
            Self::EmptyQueue => "empty-queue",
            Self::OldestMessage => "oldest-message",
            Self::CopiedObjects => "copied-objects",
            Self::Crr => "crr",
        }
    }
}

/// The lag of new writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LagEstimate {
    /// The lag, or its lower bound.
    pub lag: Duration,
    /// Where it was read.
    pub source: LagSource,
    /// Whether the lag may be longer.
    pub is_at_least: bool,
}

impl LagEstimate {
    fn exactly(lag: Duration, source: LagSource) -> Self {
        Self {
            lag,
            source,
            is_at_least: false,
        }
    }

    fn of_metric(point: Option<DataPoint>, source: LagSource, now: Timestamp) -> Option<Self> {
        let point = point.filter(|point| point.is_fresh(now))?;
        let lag = Duration::try_from_secs_f64(point.value).ok()?;
        Some(Self::exactly(lag, source))
    }
}

/// Returns the longest lag that anything shows: one key on its way is enough. `None` if nothing shows a lag.
///
/// The metric of copied objects describes the past, so it counts only if nothing describes the present.
pub(super) fn lag(readings: &StatusReadings) -> Option<LagEstimate> {
    let present = [of_canary(readings), of_queue(readings), of_crr(readings)];
    present
        .into_iter()
        .flatten()
        .reduce(|longest, other| if other.lag > longest.lag { other } else { longest })
        .or_else(|| of_copied_objects(readings))
}

fn of_canary(readings: &StatusReadings) -> Option<LagEstimate> {
    match readings.canary.as_ref()?.as_ref().ok()? {
        CanaryReading::Arrived { lag } => lag.map(|lag| LagEstimate::exactly(lag, LagSource::Canary)),
        CanaryReading::Waiting { at_least } => Some(LagEstimate {
            lag: *at_least,
            source: LagSource::Canary,
            is_at_least: true,
        }),
        CanaryReading::Stale { .. } | CanaryReading::Absent => None,
    }
}

fn of_queue(readings: &StatusReadings) -> Option<LagEstimate> {
    let queue: &QueueCounts = readings.queue.as_ref().ok()?;
    if queue.total() > 0 {
        let oldest = readings.metrics.as_ref().ok()?.oldest_message;
        return LagEstimate::of_metric(oldest, LagSource::OldestMessage, readings.as_of);
    }
    // An empty queue says nothing of writes that S3 replicates itself.
    readings
        .replicator_copies
        .then(|| LagEstimate::exactly(Duration::ZERO, LagSource::EmptyQueue))
}

fn of_crr(readings: &StatusReadings) -> Option<LagEstimate> {
    let latency = readings.crr.as_ref()?.as_ref().ok()?.latency;
    LagEstimate::of_metric(latency, LagSource::Crr, readings.as_of)
}

fn of_copied_objects(readings: &StatusReadings) -> Option<LagEstimate> {
    let metrics = readings.metrics.as_ref().ok().filter(|_| readings.replicator_copies)?;
    LagEstimate::of_metric(metrics.lag_p99, LagSource::CopiedObjects, readings.as_of)
}
