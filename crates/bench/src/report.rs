//! The report: scenarios, their cases, and a row of figures per tool.

pub(crate) mod html;
pub(crate) mod markdown;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::statistics::{Better, Figures, times_better};

/// A measured quantity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct BenchMetric {
    /// Name, also the key of the figures.
    pub(crate) name: &'static str,
    /// Unit.
    pub(crate) unit: &'static str,
    /// Which values are better.
    pub(crate) better: Better,
}

const fn lower(name: &'static str, unit: &'static str) -> BenchMetric {
    BenchMetric {
        name,
        unit,
        better: Better::Lower,
    }
}

/// Time from start to end.
pub(crate) const TIME: BenchMetric = lower("time", "s");
/// CPU time.
pub(crate) const CPU: BenchMetric = lower("CPU", "s");
/// Peak of resident memory.
pub(crate) const MEMORY: BenchMetric = lower("peak memory", "MiB");
/// Requests per object.
pub(crate) const REQUESTS: BenchMetric = lower("requests per object", "");
/// CPU time per object.
pub(crate) const CPU_PER_OBJECT: BenchMetric = lower("CPU per object", "µs");
/// Objects per second.
pub(crate) const THROUGHPUT: BenchMetric = BenchMetric {
    name: "throughput",
    unit: "obj/s",
    better: Better::Higher,
};
/// Time of a function's start until its first request for an event.
pub(crate) const START: BenchMetric = lower("start", "ms");
/// Size of a function's package.
pub(crate) const PACKAGE: BenchMetric = lower("package", "MB");
/// CPU time per event.
pub(crate) const CPU_PER_EVENT: BenchMetric = lower("CPU per event", "µs");
/// Time per event.
pub(crate) const TIME_PER_EVENT: BenchMetric = lower("time per event", "ms");
/// Requests per event.
pub(crate) const REQUESTS_PER_EVENT: BenchMetric = lower("requests per event", "");
/// Median time from a notification to the copy.
pub(crate) const LAG_P50: BenchMetric = lower("lag p50", "s");
/// 99th percentile of the time from a notification to the copy.
pub(crate) const LAG_P99: BenchMetric = lower("lag p99", "s");
/// Objects without a copy.
pub(crate) const LOST: BenchMetric = lower("lost", "objects");
/// Time divided by the time that part throughput allows.
pub(crate) const OVER_IDEAL: BenchMetric = lower("time over the ideal", "x");
/// Copied parts divided by the parts of the object.
pub(crate) const PART_COPIES: BenchMetric = lower("copies per part", "");
/// Price per million objects.
pub(crate) const PRICE: BenchMetric = lower("price per million objects", "USD");
/// Use of functions per million objects.
pub(crate) const GB_SECONDS: BenchMetric = lower("GB-seconds per million objects", "");

/// Values of one run.
pub(crate) type Sample = Vec<(BenchMetric, f64)>;

/// The whole report.
#[derive(Debug, Serialize)]
pub(crate) struct BenchReport {
    /// Version of s3ferry.
    pub(crate) version: &'static str,
    /// Command line that measures again.
    pub(crate) command: String,
    /// Number of CPUs.
    pub(crate) cpus: usize,
    /// Rounds of each tool.
    pub(crate) rounds: usize,
    /// Factor of all sizes.
    pub(crate) scale: f64,
    /// Time of all scenarios.
    pub(crate) elapsed_seconds: f64,
    /// Scenarios in the order of their run.
    pub(crate) scenarios: Vec<ScenarioReport>,
}

/// Result of one scenario.
#[derive(Debug, Serialize)]
pub(crate) struct ScenarioReport {
    /// Name on the command line.
    pub(crate) name: &'static str,
    /// Work and simulated delays of this run.
    pub(crate) setting: String,
    /// Metrics in the order of their columns. Ratios of the first one are shown first.
    pub(crate) metrics: Vec<BenchMetric>,
    /// Cases.
    pub(crate) cases: Vec<CaseReport>,
    /// Goals.
    pub(crate) goals: Vec<GoalResult>,
    /// What a reader must know, such as sizes below those of the goal.
    pub(crate) notes: Vec<String>,
}

/// Rows that are compared with each other.
#[derive(Debug, Serialize)]
pub(crate) struct CaseReport {
    /// Name, such as `64 in flight`.
    pub(crate) name: String,
    /// One row per tool and settings.
    pub(crate) rows: Vec<ReportRow>,
}

/// Result of one tool with its settings.
#[derive(Debug, Serialize)]
pub(crate) struct ReportRow {
    /// Name of the tool.
    pub(crate) tool: String,
    /// Settings that differ from the defaults.
    pub(crate) settings: String,
    /// Whether the tool is part of s3ferry.
    pub(crate) is_s3ferry: bool,
    /// Figures, or why there are none.
    #[serde(flatten)]
    pub(crate) outcome: RowOutcome,
}

/// How the runs of a row ended.
#[derive(Debug, Serialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub(crate) enum RowOutcome {
    /// Each run succeeded, and its result was complete and equal.
    Measured {
        /// Figures by the name of the metric.
        figures: BTreeMap<&'static str, Figures>,
        /// How many times better s3ferry is, by the name of the metric.
        ratios: BTreeMap<&'static str, f64>,
    },
    /// The tool is not installed, or does not offer the work.
    Unavailable {
        /// Reason.
        reason: String,
    },
    /// The tool failed.
    Failed {
        /// Reason.
        reason: String,
    },
    /// The tool succeeded with an incomplete or unequal result.
    Wrong {
        /// First difference.
        reason: String,
    },
}

impl ReportRow {
    /// Returns the median of a metric.
    pub(crate) fn median(&self, metric: BenchMetric) -> Option<f64> {
        match &self.outcome {
            RowOutcome::Measured { figures, .. } => Some(figures.get(metric.name)?.median),
            _ => None,
        }
    }

    /// Returns how many times better s3ferry is.
    pub(crate) fn ratio(&self, metric: BenchMetric) -> Option<f64> {
        match &self.outcome {
            RowOutcome::Measured { ratios, .. } => ratios.get(metric.name).copied(),
            _ => None,
        }
    }

    /// Returns the reason why there are no figures.
    pub(crate) fn reason(&self) -> Option<(&'static str, &str)> {
        match &self.outcome {
            RowOutcome::Measured { .. } => None,
            RowOutcome::Unavailable { reason } => Some(("unavailable", reason)),
            RowOutcome::Failed { reason } => Some(("failed", reason)),
            RowOutcome::Wrong { reason } => Some(("wrong result", reason)),
        }
    }
}

impl CaseReport {
    /// Creates a case, and compares every other row with the first row of s3ferry.
    pub(crate) fn new(name: impl Into<String>, metrics: &[BenchMetric], mut rows: Vec<ReportRow>) -> Self {
        let reference: BTreeMap<&'static str, f64> = rows
            .iter()
            .find(|row| row.is_s3ferry)
            .into_iter()
            .flat_map(|s3ferry| {
                metrics
                    .iter()
                    .filter_map(|metric| Some((metric.name, s3ferry.median(*metric)?)))
            })
            .collect();
        for row in &mut rows {
            let RowOutcome::Measured { figures, ratios } = &mut row.outcome else {
                continue;
            };
            *ratios = metrics
                .iter()
                .filter_map(|metric| {
                    let s3ferry = reference.get(metric.name)?;
                    let other = figures.get(metric.name)?.median;
                    Some((metric.name, times_better(*s3ferry, other, metric.better)?))
                })
                .collect();
        }
        Self {
            name: name.into(),
            rows,
        }
    }

    /// Returns the smallest ratio of a metric: that to the best peer.
    fn worst_ratio(&self, metric: BenchMetric, peer: Option<&str>) -> Option<f64> {
        let peers = self.rows.iter().filter(|row| !row.is_s3ferry);
        peers
            .filter(|row| peer.is_none_or(|name| row.tool == name))
            .filter_map(|row| row.ratio(metric))
            .min_by(f64::total_cmp)
    }
}

impl BenchReport {
    /// Returns the rows in which s3ferry failed or had a wrong result.
    pub(crate) fn failures_of_s3ferry(&self) -> Vec<String> {
        let mut failures = Vec::new();
        for scenario in &self.scenarios {
            for case in &scenario.cases {
                for row in case.rows.iter().filter(|row| row.is_s3ferry) {
                    if let Some((outcome, reason)) = row.reason() {
                        let (name, case) = (scenario.name, &case.name);
                        failures.push(format!(
                            "{name}, {case}: {} {}: {outcome}: {reason}",
                            row.tool, row.settings
                        ));
                    }
                }
            }
        }
        failures
    }
}

/// A goal of a scenario.
#[derive(Debug, Clone)]
pub(crate) struct Goal {
    /// Metric that the goal limits.
    pub(crate) metric: BenchMetric,
    /// The limit.
    pub(crate) limit: GoalLimit,
    /// Name of the case; `None` means each case.
    pub(crate) case: Option<&'static str>,
}

/// Limit of a goal.
#[derive(Debug, Clone, Copy)]
pub(crate) enum GoalLimit {
    /// s3ferry is at least this many times better than the best peer.
    BestPeer(f64),
    /// s3ferry is at least this many times better than one peer.
    Peer(&'static str, f64),
    /// s3ferry's median is at most this value.
    AtMost(f64),
}

/// A goal with the measured value.
#[derive(Debug, Serialize)]
pub(crate) struct GoalResult {
    /// The goal as text.
    pub(crate) goal: String,
    /// Case of the measured value.
    pub(crate) case: String,
    /// Measured value; `None` if nothing could be compared.
    pub(crate) measured: Option<f64>,
    /// Whether the goal was reached; `None` if nothing could be compared.
    pub(crate) reached: Option<bool>,
}

impl Goal {
    /// Evaluates the goal for each of its cases.
    pub(crate) fn results(&self, cases: &[CaseReport]) -> Vec<GoalResult> {
        let mine = cases
            .iter()
            .filter(|case| self.case.is_none_or(|name| case.name == name));
        mine.map(|case| self.result(case)).collect()
    }

    fn result(&self, case: &CaseReport) -> GoalResult {
        let name = self.metric.name;
        let (goal, measured, reached) = match self.limit {
            GoalLimit::BestPeer(least) => {
                let measured = case.worst_ratio(self.metric, None);
                let reached = measured.map(|ratio| ratio >= least);
                (format!("{name}: {} x the best peer", number(least)), measured, reached)
            }
            GoalLimit::Peer(peer, least) => {
                let measured = case.worst_ratio(self.metric, Some(peer));
                let reached = measured.map(|ratio| ratio >= least);
                (format!("{name}: {} x {peer}", number(least)), measured, reached)
            }
            GoalLimit::AtMost(most) => {
                let measured = case
                    .rows
                    .iter()
                    .find(|row| row.is_s3ferry)
                    .and_then(|row| row.median(self.metric));
                let reached = measured.map(|value| value <= most);
                (
                    format!("{name} <= {} {}", number(most), self.metric.unit)
                        .trim_end()
                        .to_owned(),
                    measured,
                    reached,
                )
            }
        };
        GoalResult {
            goal,
            case: case.name.clone(),
            measured,
            reached,
        }
    }
}

/// Returns a value with three significant digits.
pub(crate) fn number(value: f64) -> String {
    let decimals = match value.abs() {
        large if large >= 100.0 => 0,
        large if large >= 10.0 => 1,
        0.0 => 0,
        _ => 2,
    };
    if value.abs() < 0.1 && value != 0.0 {
        return format!("{value:.4}");
    }
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests;
