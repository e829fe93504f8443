//! Output of a job: its state, its completion report, and the retry manifest of failed tasks.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/batch-ops-examples-reports.html>

mod row;
mod state;
mod token;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::batch_operations::{ResultLine, outcome_of_text};

pub use row::{TaskCells, TaskOutcome, TaskRow, rows};
pub use state::{JobProgress, JobState};
pub use token::{JobToken, TokenFields};

/// Supported format of completion reports.
pub const REPORT_FORMAT: &str = "Report_CSV_20180820";

/// Columns of a report, as its index names them.
pub const REPORT_SCHEMA: &str = "Bucket, Key, VersionId, TaskStatus, ErrorCode, HTTPStatusCode, ResultMessage";

/// Name of a report's index in the job's folder.
pub const INDEX_NAME: &str = "manifest.json";

/// Index of a completion report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct CompletionReportManifest {
    /// Format of the files.
    pub format: String,
    /// Creation time of the report.
    pub report_creation_date: String,
    /// Files of the report.
    pub results: Vec<CompletionReportFile>,
    /// Columns of the files.
    pub report_schema: String,
}

/// File of a completion report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompletionReportFile {
    /// Status of the tasks in the file: `succeeded` or `failed`.
    #[serde(rename = "TaskExecutionStatus")]
    pub status: String,
    /// Bucket of the file. Empty if the report is in a local folder.
    #[serde(rename = "Bucket")]
    pub bucket: String,
    /// MD5 of the file, in hexadecimal digits.
    #[serde(rename = "MD5Checksum")]
    pub md5: String,
    /// Key of the file.
    #[serde(rename = "Key")]
    pub key: String,
}

/// Problem with a completion report.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CompletionReportError {
    /// The index is not readable.
    #[error("{file} is not the index of a completion report: {problem}")]
    Index {
        /// Index file.
        file: String,
        /// Description of the problem.
        problem: String,
    },
    /// The format of the report is not supported.
    #[error("{file} has the format `{found}`, expected {REPORT_FORMAT}")]
    Format {
        /// Index file.
        file: String,
        /// Format found.
        found: String,
    },
    /// The columns of the report are not supported.
    #[error("{file} names the columns `{found}`, expected `{REPORT_SCHEMA}`")]
    Columns {
        /// Index file.
        file: String,
        /// Columns found.
        found: String,
    },
    /// The content of a file does not match the index.
    #[error("{file} has the MD5 {found}, expected {expected}: the file was changed or read incompletely")]
    Checksum {
        /// File of the report.
        file: String,
        /// MD5 of the content that was read.
        found: String,
        /// MD5 in the index.
        expected: String,
    },
    /// A row is not readable.
    #[error("{file}, row {row}: {problem}")]
    Row {
        /// File of the row.
        file: String,
        /// Row number, counted from 1.
        row: u64,
        /// Description of the problem.
        problem: String,
    },
    /// Some failed rows have a version ID and others do not.
    #[error("{file}, row {row}: version IDs in some failed tasks only, which a manifest does not allow")]
    MixedVersions {
        /// File of the row.
        file: String,
        /// Row number, counted from 1.
        row: u64,
    },
}

impl CompletionReportManifest {
    /// Parses an index. Errors name it `file`.
    pub fn parse(file: &str, text: &[u8]) -> Result<Self, CompletionReportError> {
        let index: Self = serde_json::from_slice(text).map_err(|error| CompletionReportError::Index {
            file: file.to_owned(),
            problem: error.to_string(),
        })?;
        if index.format != REPORT_FORMAT {
            return Err(CompletionReportError::Format {
                file: file.to_owned(),
                found: index.format,
            });
        }
        let columns = |schema: &str| -> Vec<String> { schema.split(',').map(|name| name.trim().to_owned()).collect() };
        if columns(&index.report_schema) != columns(REPORT_SCHEMA) {
            return Err(CompletionReportError::Columns {
                file: file.to_owned(),
                found: index.report_schema,
            });
        }
        Ok(index)
    }
}

impl CompletionReportFile {
    /// Compares the MD5 of the content that was read with the MD5 in the index.
    pub fn check_md5(&self, md5: &str) -> Result<(), CompletionReportError> {
        if self.md5.eq_ignore_ascii_case(md5) {
            return Ok(());
        }
        Err(CompletionReportError::Checksum {
            file: self.key.clone(),
            found: md5.to_owned(),
            expected: self.md5.clone(),
        })
    }
}

/// Totals of a report.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct JobReportTotals {
    /// Number of tasks that succeeded.
    pub succeeded: u64,
    /// Number of tasks that failed.
    pub failed: u64,
    /// Number of tasks by outcome.
    pub outcomes: BTreeMap<String, u64>,
}

impl JobReportTotals {
    /// Returns the number of tasks.
    #[must_use]
    pub fn tasks(&self) -> u64 {
        self.succeeded.saturating_add(self.failed)
    }

    /// Adds a row of a completion report.
    pub fn add(&mut self, row: &TaskRow) {
        self.count(row.end == TaskOutcome::Succeeded, row.outcome());
    }

    /// Adds a result line of an execution of the state machine.
    pub fn add_line(&mut self, line: &ResultLine) {
        self.count(line.is_done(), line.outcome.clone());
    }

    fn count(&mut self, is_done: bool, outcome: String) {
        let of_end = if is_done { &mut self.succeeded } else { &mut self.failed };
        *of_end = of_end.saturating_add(1);
        *self.outcomes.entry(outcome).or_default() += 1;
    }
}

impl TaskRow {
    /// Returns the short name of the outcome: from the text of `final-sync`, otherwise from the error code.
    #[must_use]
    pub fn outcome(&self) -> String {
        match (outcome_of_text(&self.message), self.end) {
            (Some(outcome), _) => outcome,
            (None, TaskOutcome::Succeeded) => "succeeded".to_owned(),
            (None, TaskOutcome::Failed) if self.error_code.is_empty() => match self.http_status {
                Some(status) => format!("failed:Status{status}"),
                None => "failed:Unnamed".to_owned(),
            },
            (None, TaskOutcome::Failed) => format!("failed:{}", self.error_code),
        }
    }
}

/// Manifest of failed tasks, with the same columns as the original manifest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RetryManifest {
    has_versions: Option<bool>,
    /// Number of rows.
    pub rows: u64,
}

impl RetryManifest {
    /// Returns the row of a failed task, without a line break.
    pub fn csv_row(&mut self, row: &TaskRow) -> Result<String, CompletionReportError> {
        let cells = &row.cells;
        let has_version = cells.version.is_some();
        if *self.has_versions.get_or_insert(has_version) != has_version {
            return Err(CompletionReportError::MixedVersions {
                file: row.file.clone(),
                row: row.row,
            });
        }
        self.rows += 1;
        Ok(cells.to_csv())
    }
}

#[cfg(test)]
mod tests;
