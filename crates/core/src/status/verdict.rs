//! The verdict of a status.

use super::lag::{LagEstimate, lag};
use super::readings::{CrrMetrics, StatusReadings};
use crate::batch_report::JobState;
use crate::canary::CanaryReading;
use crate::numerals::grouped;

/// Verdict of a status. A later variant has precedence over an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum StatusVerdict {
    /// New writes reach the destination in time.
    InSync,
    /// New writes reach the destination late, or wait.
    Lagging,
    /// Writes do not reach the destination without an operator.
    Failing,
    /// Something could not be read, or is too old.
    Blind,
}

impl StatusVerdict {
    /// Returns the name in reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InSync => "in-sync",
            Self::Lagging => "lagging",
            Self::Failing => "failing",
            Self::Blind => "blind",
        }
    }
}

/// Reason of a verdict other than in-sync.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusReason {
    /// The verdict that the reason leads to, if no other one has precedence.
    pub verdict: StatusVerdict,
    /// What was found.
    pub text: String,
}

/// A verdict with its reasons.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusAssessment {
    /// The verdict.
    pub verdict: StatusVerdict,
    /// Its reasons, and those of verdicts that it has precedence over.
    pub reasons: Vec<StatusReason>,
    /// The lag of new writes; `None` if nothing shows it.
    pub lag: Option<LagEstimate>,
}

/// Assesses readings.
#[must_use]
pub fn assess(readings: &StatusReadings) -> StatusAssessment {
    let lag = lag(readings);
    let mut reasons = Reasons::default();
    for (name, failure) in readings.unreadable() {
        reasons.add(StatusVerdict::Blind, format!("cannot read {name}: {failure}"));
    }
    reasons.of_canary(readings);
    reasons.of_failures(readings);
    reasons.of_runs(readings);
    if let Some(Ok(crr)) = &readings.crr {
        reasons.of_crr(crr, readings);
    }
    reasons.of_lag(lag, readings);
    let verdicts = reasons.0.iter().map(|reason| reason.verdict);
    StatusAssessment {
        verdict: verdicts.max().unwrap_or(StatusVerdict::InSync),
        reasons: reasons.0,
        lag,
    }
}

#[derive(Default)]
struct Reasons(Vec<StatusReason>);

impl Reasons {
    fn add(&mut self, verdict: StatusVerdict, text: String) {
        self.0.push(StatusReason { verdict, text });
    }

    fn of_canary(&mut self, readings: &StatusReadings) {
        match &readings.canary {
            Some(Ok(CanaryReading::Absent)) => self.add(
                StatusVerdict::Blind,
                "the canary is not in the source bucket: its schedule has not written it yet, or is not permitted to"
                    .to_owned(),
            ),
            Some(Ok(CanaryReading::Stale { written })) => self.add(
                StatusVerdict::Blind,
                format!(
                    "the canary was last written at {}: its schedule does not write",
                    written.to_rfc3339()
                ),
            ),
            Some(Ok(CanaryReading::Arrived { .. } | CanaryReading::Waiting { .. }) | Err(_)) | None => {}
        }
    }

    fn of_failures(&mut self, readings: &StatusReadings) {
        if let Ok(letters @ 1..) = readings.dead_letters {
            self.add(
                StatusVerdict::Failing,
                format!("{} dead letters: their writes are not retried", grouped(letters)),
            );
        }
        let Ok(metrics) = &readings.metrics else { return };
        if metrics.failed > 0 {
            let records = grouped(metrics.failed);
            self.add(
                StatusVerdict::Failing,
                format!("{records} records failed in the last 65 minutes"),
            );
        }
        if metrics.errors > 0 {
            let errors = grouped(metrics.errors);
            self.add(
                StatusVerdict::Failing,
                format!("{errors} invocations of the replicator failed in the last 15 minutes"),
            );
        }
        if metrics.throttles > 0 && readings.queue.as_ref().is_ok_and(|queue| queue.total() > 0) {
            let throttles = grouped(metrics.throttles);
            self.add(
                StatusVerdict::Lagging,
                format!("Lambda throttled the replicator {throttles} times in the last 15 minutes, and messages wait"),
            );
        }
    }

    /// The newest run decides: an earlier one that failed was repeated.
    fn of_runs(&mut self, readings: &StatusReadings) {
        let Some(newest) = readings.runs.as_ref().ok().and_then(|runs| runs.first()) else {
            return;
        };
        match newest.state {
            JobState::Failed | JobState::Failing => self.add(
                StatusVerdict::Failing,
                format!("the latest final sync, {}, stopped before its end", newest.name),
            ),
            JobState::Unknown => self.add(
                StatusVerdict::Blind,
                format!(
                    "the latest final sync, {}, is in a state that s3ferry does not know",
                    newest.name
                ),
            ),
            _ => {}
        }
    }

    fn of_crr(&mut self, crr: &CrrMetrics, readings: &StatusReadings) {
        if crr.operations_failed > 0 {
            let failed = grouped(crr.operations_failed);
            self.add(
                StatusVerdict::Failing,
                format!("S3 replication reports {failed} failed operations in the last 65 minutes"),
            );
        }
        if !crr.latency.is_some_and(|latency| latency.is_fresh(readings.as_of)) {
            self.add(
                StatusVerdict::Blind,
                "S3 replication has published no ReplicationLatency in the last 15 minutes".to_owned(),
            );
        }
    }

    fn of_lag(&mut self, lag: Option<LagEstimate>, readings: &StatusReadings) {
        let limit = readings.max_lag.as_secs();
        match lag {
            Some(estimate) if estimate.lag > readings.max_lag => {
                let (lag, source) = (estimate.lag.as_secs(), estimate.source.as_str());
                let at_least = if estimate.is_at_least { "at least " } else { "" };
                self.add(
                    StatusVerdict::Lagging,
                    format!("the lag is {at_least}{lag} s, above {limit} s (from {source})"),
                );
            }
            Some(_) => {}
            None if readings.queue.as_ref().is_ok_and(|queue| queue.total() > 0) => self.add(
                StatusVerdict::Lagging,
                "messages wait in the queue, and no metric shows for how long".to_owned(),
            ),
            None => self.add(StatusVerdict::Blind, "nothing shows the lag".to_owned()),
        }
    }
}
