//! The failures file of a sync.

use std::fs::File;
use std::path::{Path, PathBuf};

use s3ferry_core::names::ObjectKey;
use serde::Serialize;

use crate::exit::CliError;
use crate::output::Output;

/// One line of the file of failures.
#[derive(Debug, Serialize)]
pub(super) struct FailureLine<'a> {
    pub(super) r#type: &'static str,
    pub(super) key: &'a ObjectKey,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) kind: Option<&'static str>,
    pub(super) code: &'a str,
    pub(super) detail: String,
}

/// The file of failures, made at the start: it never speaks of an earlier run.
#[derive(Debug)]
pub(super) struct FailuresFile {
    pub(super) path: PathBuf,
    file: Output<File>,
    pub(super) lines: u64,
}

impl FailuresFile {
    pub(super) fn begin(path: &Path) -> Result<Self, CliError> {
        let file = File::create(path);
        let file = file.map_err(CliError::file(format!(
            "create the file of failures {}",
            path.display()
        )))?;
        Ok(Self {
            path: path.to_owned(),
            file: Output::to(file),
            lines: 0,
        })
    }

    pub(super) fn write(&mut self, line: &FailureLine<'_>) -> Result<(), CliError> {
        self.lines += 1;
        self.file.json(line)?;
        // A failure must be in the file even if the process is killed.
        self.file.flush()
    }
}
