//! Results of an execution of the state machine: a line for each item, and the summary.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{ResultCode, RunEnd, TaskResult};

/// Maximum number of failed items in a summary. The results contain all of them.
pub const MAX_FAILURES_SHOWN: usize = 100;

/// Stored result of one item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResultLine {
    /// Row of the manifest.
    pub row: Value,
    /// Result code.
    pub code: ResultCode,
    /// Short name of the outcome.
    pub outcome: String,
    /// Result text for the operator.
    pub detail: String,
    /// Number of bytes copied.
    #[serde(default)]
    pub bytes_copied: u64,
}

impl ResultLine {
    /// Returns the line for an item.
    #[must_use]
    pub fn new(row: &Value, result: &TaskResult) -> Self {
        Self {
            row: row.clone(),
            code: result.code,
            outcome: result.outcome.clone(),
            detail: result.result_string(),
            bytes_copied: result.bytes_copied,
        }
    }

    /// Returns whether the item is done.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.code == ResultCode::Succeeded
    }
}

/// Summary of the results of an execution.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FinalSyncSummary {
    /// Name of the execution.
    pub execution: String,
    /// Key of the manifest.
    pub manifest_key: String,
    /// Reason why the execution was stopped, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped: Option<String>,
    /// Number of items with a result.
    pub items: u64,
    /// Number of items that are done.
    pub succeeded: u64,
    /// Number of items that failed.
    pub failed: u64,
    /// Number of bytes copied.
    pub bytes_copied: u64,
    /// Number of items by outcome.
    pub outcomes: BTreeMap<String, u64>,
    /// First failed items.
    pub failures: Vec<ResultLine>,
    /// Number of result lines that are not readable.
    pub unreadable_lines: u64,
}

/// Unfinished summary, as it is stored between invocations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartialSummary {
    /// Last result object in the summary. Result objects are added in the order of their names.
    pub after: Option<String>,
    /// Summary so far.
    pub summary: FinalSyncSummary,
}

impl PartialSummary {
    /// Returns the empty summary of an execution.
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
    /// Adds the lines of one result object.
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
