//! Executions of the state machine: names, starts, ends, and items that were lost.

use serde::Serialize;
use serde_json::Value;

use super::{JobArguments, MapBatch, shortened};
use crate::names::{NameError, ObjectKey};

/// Name of an execution of the state machine, which is part of the names of its objects in the state bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct RunName(String);

impl RunName {
    /// Validates the name of an execution, which has up to 80 characters in Step Functions. Slashes are not allowed, so
    /// that no execution writes into the folder of another.
    pub fn new(name: &str) -> Result<Self, NameError> {
        let allowed = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
        let dots = name.chars().all(|letter| letter == '.');
        if dots || name.len() > 80 || !name.chars().all(allowed) {
            return Err(NameError::Malformed {
                what: "run",
                value: shortened(name, 100),
                expected: "the name of an execution: up to 80 letters, digits, hyphens, underscores, dots",
            });
        }
        Ok(Self(name.to_owned()))
    }

    /// Returns the name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the prefix of all objects that the execution writes to the state bucket.
    #[must_use]
    pub fn folder(&self) -> String {
        format!("final-sync/{}", self.0)
    }
}

/// Execution of the state machine, as its items carry it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FinalSyncRun {
    /// Name of the execution.
    pub name: RunName,
    /// User arguments of the execution.
    pub arguments: JobArguments,
}

/// Request at the start of an execution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunStart {
    /// Execution that starts.
    pub run: FinalSyncRun,
    /// User arguments as received, for the items.
    pub arguments: Value,
    /// Key of the manifest in the state bucket.
    pub manifest_key: ObjectKey,
}

/// Items whose invocation failed as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostItems {
    /// Items of the failed invocation.
    pub batch: MapBatch,
    /// Error that the state machine reports.
    pub error: String,
}

/// Request at the end of an execution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunEnd {
    /// Execution that ends.
    pub run: RunName,
    /// Key of the manifest.
    pub manifest_key: String,
    /// Reason why the execution was stopped, if it was.
    pub stopped: Option<String>,
    /// Whether this invocation resumes the summary of an earlier one.
    pub resume: bool,
}
