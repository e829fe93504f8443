//! What a job over a manifest leaves behind: its state, its completion report, and what has to be run again.
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

/// The format of reports, the only one there is.
pub const REPORT_FORMAT: &str = "Report_CSV_20180820";

/// The columns of a report as its index names them.
pub const REPORT_SCHEMA: &str = "Bucket, Key, VersionId, TaskStatus, ErrorCode, HTTPStatusCode, ResultMessage";

/// The name of a report's index, below the job's folder.
pub const INDEX_NAME: &str = "manifest.json";

/// The index of a completion report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct CompletionReportManifest {
    /// The format of the files.
    pub format: String,
    /// When the report was made.
    pub report_creation_date: String,
    /// The files.
    pub results: Vec<CompletionReportFile>,
    /// The columns of the files.
    pub report_schema: String,
}

/// One file of a completion report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompletionReportFile {
    /// How the tasks of the file ended: `succeeded` or `failed`.
    #[serde(rename = "TaskExecutionStatus")]
    pub status: String,
    /// The bucket that the file is in; empty where the report is in a folder.
    #[serde(rename = "Bucket")]
    pub bucket: String,
    /// The MD5 of the file, in hexadecimal digits.
    #[serde(rename = "MD5Checksum")]
    pub md5: String,
    /// The file's key.
    #[serde(rename = "Key")]
    pub key: String,
}

/// What is the matter with a report.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CompletionReportError {
    /// The index is not one.
    #[error("{file} is not the index of a completion report: {problem}")]
    Index {
        /// The index.
        file: String,
        /// What is the matter.
        problem: String,
    },
    /// The index is of a format that nobody here knows.
    #[error("{file} is of the format `{found}`, and only {REPORT_FORMAT} is known")]
    Format {
        /// The index.
        file: String,
        /// The format found.
        found: String,
    },
    /// The files have columns that nobody here knows.
    #[error("{file} names the columns `{found}`, and only `{REPORT_SCHEMA}` is known")]
    Columns {
        /// The index.
        file: String,
        /// The columns found.
        found: String,
    },
    /// A file is not what the index says.
    #[error("{file} has the MD5 {found}, and the report's index says {expected}: it was changed, or not read whole")]
    Checksum {
        /// The file.
        file: String,
        /// The MD5 of what was read.
        found: String,
        /// The MD5 that the index names.
        expected: String,
    },
    /// A row cannot be read.
    #[error("{file}, row {row}: {problem}")]
    Row {
        /// The file.
        file: String,
        /// The row, counted from 1.
        row: u64,
        /// What is the matter.
        problem: String,
    },
    /// Failed rows of which some name a version and others do not.
    #[error("{file}, row {row}: some failed tasks name a version and others do not, which no manifest can")]
    MixedVersions {
        /// The file.
        file: String,
        /// The row, counted from 1.
        row: u64,
    },
}

impl CompletionReportManifest {
    /// Reads an index that is called `file` in errors.
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
    /// Compares the MD5 of what was read with that of the index.
    pub fn must_be(&self, md5: &str) -> Result<(), CompletionReportError> {
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

/// The sum of a report.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct JobReportTotals {
    /// How many tasks are done.
    pub succeeded: u64,
    /// How many failed.
    pub failed: u64,
    /// How many ended in which way.
    pub outcomes: BTreeMap<String, u64>,
}

impl JobReportTotals {
    /// Returns how many tasks there are.
    #[must_use]
    pub fn tasks(&self) -> u64 {
        self.succeeded.saturating_add(self.failed)
    }

    /// Counts a row of a report.
    pub fn add(&mut self, row: &TaskRow) {
        self.count(row.end == TaskOutcome::Succeeded, row.outcome());
    }

    /// Counts a line of a run of the state machine.
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
    /// Returns how the task ended, in a word or two: by what final-sync says, else by the error's code.
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

/// Makes a manifest of what failed, as it was in the first one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RetryManifest {
    has_versions: Option<bool>,
    /// How many rows there are.
    pub rows: u64,
}

impl RetryManifest {
    /// Spells the row of a failed task, without the end of the line.
    pub fn spell(&mut self, row: &TaskRow) -> Result<String, CompletionReportError> {
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
