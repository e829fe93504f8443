//! A status as JSON and as text.

use s3ferry_core::canary::CanaryReading;
use s3ferry_core::status::{
    CrrMetrics, DataPoint, LagEstimate, QueueCounts, RunReading, StatusAssessment, StatusReading, StatusReadings,
    StatusVerdict,
};
use serde_json::{Value, json};

use crate::exit::CommandOutcome;
use crate::text::grouped;

/// The largest number of objects of the state bucket that are counted.
pub(super) const COUNT_LIMIT: u64 = 10_000;

/// A status.
#[derive(Debug)]
pub(super) struct StatusReport {
    pub(super) stack: String,
    /// The version of the CLI.
    pub(super) cli_version: &'static str,
    pub(super) readings: StatusReadings,
    pub(super) assessment: StatusAssessment,
}

const UNREADABLE: &str = "cannot be read";

impl StatusReport {
    /// Returns the outcome of the command.
    pub(super) fn outcome(&self) -> CommandOutcome {
        match self.assessment.verdict {
            StatusVerdict::InSync => CommandOutcome::Done,
            StatusVerdict::Lagging | StatusVerdict::Failing | StatusVerdict::Blind => CommandOutcome::NotAll,
        }
    }

    /// Returns the status as one JSON value. What could not be read is null.
    pub(super) fn to_json(&self) -> Value {
        let (readings, assessment) = (&self.readings, &self.assessment);
        let metrics = readings.metrics.as_ref().ok();
        let reasons = assessment.reasons.iter();
        let unreadable = readings.unreadable().into_iter();
        json!({
            "type": "status",
            "stack": self.stack,
            "verdict": assessment.verdict.as_str(),
            "reasons": reasons.map(|reason| json!({"verdict": reason.verdict.as_str(), "text": reason.text}))
                .collect::<Vec<_>>(),
            "lag_s": assessment.lag.map(|lag| lag.lag.as_secs_f64()),
            "lag_source": assessment.lag.map(|lag| lag.source.as_str()),
            "lag_is_at_least": assessment.lag.map(|lag| lag.is_at_least),
            "max_lag_s": readings.max_lag.as_secs(),
            "copied_lag_p50_s": metrics.and_then(|metrics| value(metrics.lag_p50)),
            "copied_lag_p99_s": metrics.and_then(|metrics| value(metrics.lag_p99)),
            "queue": readings.queue.as_ref().ok().map(queue_json),
            "oldest_message_s": metrics.and_then(|metrics| value(metrics.oldest_message)),
            "dead_letters": readings.dead_letters.as_ref().ok()
                .map(|messages| json!({"messages": messages, "approximate": true})),
            "failed": metrics.map(|metrics| metrics.failed),
            "failed_by_reason": metrics.map(|metrics| &metrics.failed_by_reason),
            "conflicts": metrics.map(|metrics| metrics.conflicts),
            "function": metrics.map(|metrics| json!({"errors": metrics.errors, "throttles": metrics.throttles})),
            "uploads_in_flight": readings.uploads.as_ref().ok(),
            "delete_intents": readings.delete_intents.as_ref().ok(),
            "final_sync_runs": readings.runs.as_ref().ok().map(|runs| runs.iter().map(run_json).collect::<Vec<_>>()),
            "crr": readings.crr.as_ref().and_then(|crr| crr.as_ref().ok()).map(crr_json),
            "canary": readings.canary.as_ref().and_then(|canary| canary.as_ref().ok()).map(canary_json),
            "versions": {
                "cli": self.cli_version,
                "functions": metrics.map(|metrics| &metrics.versions),
                "same": self.has_same_version(),
            },
            "unreadable": unreadable
                .map(|(name, failure)| json!({"reading": name, "code": failure.code.as_str(), "error": failure.to_string()}))
                .collect::<Vec<_>>(),
            "as_of": readings.as_of.to_rfc3339(),
        })
    }

    /// Returns the status as lines of text.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = vec![self.line()];
        lines.extend(self.reasons().into_iter().map(|reason| format!("  {reason}")));
        lines.extend(
            self.rows()
                .into_iter()
                .map(|(name, value)| format!("{name:<17} {value}")),
        );
        lines
    }

    /// Returns the status as one line of text.
    pub(super) fn line(&self) -> String {
        let verdict = self.assessment.verdict.as_str();
        let lag = self.lag_text();
        let (waiting, letters) = (self.waiting(), self.letters());
        let as_of = self.readings.as_of.to_rfc3339();
        format!("{verdict}: lag {lag}, queue {waiting}, dead letters {letters}, as of {as_of}")
    }

    /// Returns the reasons of the verdict.
    pub(super) fn reasons(&self) -> Vec<String> {
        let reasons = self.assessment.reasons.iter();
        reasons
            .map(|reason| format!("{}: {}", reason.verdict.as_str(), reason.text))
            .collect()
    }

    /// Returns name and value of every reading.
    pub(super) fn rows(&self) -> Vec<(&'static str, String)> {
        let readings = &self.readings;
        let metrics = readings.metrics.as_ref();
        let of_metrics = |text: &dyn Fn(&s3ferry_core::status::SourceMetrics) -> String| {
            metrics.map_or_else(|_| UNREADABLE.to_owned(), text)
        };
        let mut rows = vec![
            ("lag", self.lag_text()),
            (
                "copied objects",
                of_metrics(&|metrics| {
                    let (p50, p99) = (seconds(metrics.lag_p50), seconds(metrics.lag_p99));
                    format!("lag p50 {p50}, p99 {p99}")
                }),
            ),
            ("queue", format!("about {}", self.waiting())),
            ("oldest message", of_metrics(&|metrics| seconds(metrics.oldest_message))),
            ("dead letters", format!("about {}", self.letters())),
            (
                "failed records",
                of_metrics(&|metrics| {
                    let reasons = metrics.failed_by_reason.iter();
                    let reasons: Vec<String> = reasons.map(|(reason, failed)| format!("{reason} {failed}")).collect();
                    let listed = if reasons.is_empty() {
                        String::new()
                    } else {
                        format!(": {}", reasons.join(", "))
                    };
                    format!("{} in 65 minutes{listed}", grouped(metrics.failed))
                }),
            ),
            (
                "function",
                of_metrics(&|metrics| {
                    let (errors, throttles) = (grouped(metrics.errors), grouped(metrics.throttles));
                    format!("{errors} errors, {throttles} throttles in 15 minutes")
                }),
            ),
            (
                "conflicts",
                of_metrics(&|metrics| format!("{} in 65 minutes", grouped(metrics.conflicts))),
            ),
            ("multipart copies", counted(&readings.uploads)),
            ("delete intents", counted(&readings.delete_intents)),
            ("final syncs", runs_text(&readings.runs)),
        ];
        rows.extend(readings.crr.as_ref().map(|crr| ("S3 replication", crr_text(crr))));
        rows.extend(readings.canary.as_ref().map(|canary| ("canary", canary_text(canary))));
        rows.push(("functions", self.versions_text()));
        rows
    }

    /// Returns whether all functions that ran have the version of the CLI; `None` if that is unknown.
    fn has_same_version(&self) -> Option<bool> {
        let versions = &self.readings.metrics.as_ref().ok()?.versions;
        let is_same = |version: &String| version == self.cli_version;
        (!versions.is_empty()).then(|| versions.iter().all(is_same))
    }

    fn versions_text(&self) -> String {
        let listed =
            |versions: &std::collections::BTreeSet<String>| versions.iter().cloned().collect::<Vec<_>>().join(", ");
        let versions = self.readings.metrics.as_ref().map(|metrics| listed(&metrics.versions));
        match (versions, self.has_same_version()) {
            (Err(_), _) => UNREADABLE.to_owned(),
            (Ok(versions), Some(true)) => format!("version {versions}, as the CLI"),
            (Ok(versions), Some(false)) => format!("version {versions}; the CLI is {}", self.cli_version),
            (Ok(_), None) => "version unknown: none ran in the last three hours".to_owned(),
        }
    }

    pub(super) fn lag_text(&self) -> String {
        self.assessment.lag.map_or_else(|| "unknown".to_owned(), lag_text)
    }

    fn waiting(&self) -> String {
        let queue = self.readings.queue.as_ref();
        queue.map_or_else(|_| UNREADABLE.to_owned(), |queue| grouped(queue.total()))
    }

    fn letters(&self) -> String {
        let letters = self.readings.dead_letters.as_ref();
        letters.map_or_else(|_| UNREADABLE.to_owned(), |letters| grouped(*letters))
    }
}

fn lag_text(lag: LagEstimate) -> String {
    let at_least = if lag.is_at_least { "at least " } else { "" };
    format!("{at_least}{:.0} s ({})", lag.lag.as_secs_f64(), lag.source.as_str())
}

fn value(point: Option<DataPoint>) -> Option<f64> {
    point.map(|point| point.value)
}

fn seconds(point: Option<DataPoint>) -> String {
    point.map_or_else(|| "unknown".to_owned(), |point| format!("{:.1} s", point.value))
}

fn counted(reading: &StatusReading<u64>) -> String {
    match reading {
        Ok(count) if *count >= COUNT_LIMIT => format!("{} or more", grouped(*count)),
        Ok(count) => grouped(*count),
        Err(_) => UNREADABLE.to_owned(),
    }
}

fn runs_text(runs: &StatusReading<Vec<RunReading>>) -> String {
    let Ok(runs) = runs else { return UNREADABLE.to_owned() };
    let listed: Vec<String> = runs.iter().map(|run| format!("{} {}", run.name, run.state)).collect();
    if listed.is_empty() {
        "none".to_owned()
    } else {
        listed.join(", ")
    }
}

fn crr_text(crr: &StatusReading<CrrMetrics>) -> String {
    let Ok(crr) = crr else { return UNREADABLE.to_owned() };
    let number =
        |point: Option<DataPoint>| point.map_or_else(|| "unknown".to_owned(), |point| format!("{:.0}", point.value));
    format!(
        "latency {}, {} bytes and {} operations pending, {} failed in 65 minutes",
        seconds(crr.latency),
        number(crr.bytes_pending),
        number(crr.operations_pending),
        grouped(crr.operations_failed)
    )
}

fn canary_text(canary: &StatusReading<CanaryReading>) -> String {
    match canary {
        Err(_) => UNREADABLE.to_owned(),
        Ok(CanaryReading::Absent) => "not written yet".to_owned(),
        Ok(CanaryReading::Stale { written }) => format!("not written since {}", written.to_rfc3339()),
        Ok(CanaryReading::Waiting { at_least }) => format!("on its way for {} s", at_least.as_secs()),
        Ok(CanaryReading::Arrived { lag: Some(lag) }) => format!("arrived after {} s", lag.as_secs()),
        Ok(CanaryReading::Arrived { lag: None }) => "arrived, replicated by S3".to_owned(),
    }
}

fn queue_json(queue: &QueueCounts) -> Value {
    json!({
        "messages": queue.total(),
        "visible": queue.visible,
        "in_flight": queue.in_flight,
        "delayed": queue.delayed,
        "approximate": true,
    })
}

fn run_json(run: &RunReading) -> Value {
    json!({"name": run.name, "state": run.state, "started": run.started.to_rfc3339()})
}

fn crr_json(crr: &CrrMetrics) -> Value {
    json!({
        "latency_s": value(crr.latency),
        "bytes_pending": value(crr.bytes_pending),
        "operations_pending": value(crr.operations_pending),
        "operations_failed": crr.operations_failed,
    })
}

fn canary_json(canary: &CanaryReading) -> Value {
    match canary {
        CanaryReading::Absent => json!({"state": "absent"}),
        CanaryReading::Stale { written } => json!({"state": "stale", "written": written.to_rfc3339()}),
        CanaryReading::Waiting { at_least } => json!({"state": "waiting", "at_least_s": at_least.as_secs_f64()}),
        CanaryReading::Arrived { lag } => json!({"state": "arrived", "lag_s": lag.map(|lag| lag.as_secs_f64())}),
    }
}
