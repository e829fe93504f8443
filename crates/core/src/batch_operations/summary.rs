//! What a run of the state machine leaves behind: a line for each item, and their sum.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{RunEnd, TaskResult};

/// How many failed items a summary shows; all of them are among the results.
pub const MAX_FAILURES_SHOWN: usize = 100;

/// One item's result, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResultLine {
    /// The row of the manifest.
    pub row: Value,
    /// What became of it, as a job of S3 Batch Operations would say.
    pub code: String,
    /// How it ended.
    pub outcome: String,
    /// What an operator reads.
    pub detail: String,
    /// How many bytes were copied.
    #[serde(default)]
    pub bytes_copied: u64,
}

impl ResultLine {
    /// Makes the line of an item.
    #[must_use]
    pub fn new(row: &Value, result: &TaskResult) -> Self {
        Self {
            row: row.clone(),
            code: result.code.as_str().to_owned(),
            outcome: result.outcome.clone(),
            detail: result.result_string(),
            bytes_copied: result.bytes_copied,
        }
    }

    /// Tells whether the item is done.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.code == "Succeeded"
    }
}

/// The sum of a run's results.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FinalSyncSummary {
    /// The run.
    pub execution: String,
    /// The manifest's key.
    pub manifest_key: String,
    /// Why the run was stopped, where it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped: Option<String>,
    /// How many items have a result.
    pub items: u64,
    /// How many of them are done.
    pub succeeded: u64,
    /// How many of them failed.
    pub failed: u64,
    /// How many bytes were copied.
    pub bytes_copied: u64,
    /// How many items ended in which way.
    pub outcomes: BTreeMap<String, u64>,
    /// The first failed items.
    pub failures: Vec<ResultLine>,
    /// How many lines of the results could not be read.
    pub unreadable_lines: u64,
}

/// A sum that is not finished, as it is kept between invocations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartialSummary {
    /// The last object of results that is in the sum; they are added in the order of their names.
    pub after: Option<String>,
    /// The sum.
    pub summary: FinalSyncSummary,
}

impl PartialSummary {
    /// Begins the sum of a run.
    #[must_use]
    pub fn new(end: &RunEnd) -> Self {
        Self {
            after: None,
            summary: FinalSyncSummary {
                execution: end.run.as_str().to_owned(),
                manifest_key: end.manifest_key.clone(),
                stopped: end.stopped.clone(),
                ..FinalSyncSummary::default()
            },
        }
    }
}

impl FinalSyncSummary {
    /// Adds the lines of one object of results.
    pub fn add(&mut self, lines: &str) {
        for line in lines.lines().filter(|line| !line.trim().is_empty()) {
            match serde_json::from_str::<ResultLine>(line) {
                Ok(line) => self.add_line(line),
                Err(_) => self.unreadable_lines += 1,
            }
        }
    }

    fn add_line(&mut self, line: ResultLine) {
        self.items += 1;
        self.bytes_copied = self.bytes_copied.saturating_add(line.bytes_copied);
        *self.outcomes.entry(line.outcome.clone()).or_default() += 1;
        if line.is_done() {
            self.succeeded += 1;
            return;
        }
        self.failed += 1;
        if self.failures.len() < MAX_FAILURES_SHOWN {
            self.failures.push(line);
        }
    }
}
