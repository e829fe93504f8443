//! Rows of a completion report.

use std::io::Read;

use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::CompletionReportError;
use crate::manifest::encoded;

/// Status of a finished task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskOutcome {
    /// The task is done.
    Succeeded,
    /// The task failed.
    Failed,
}

/// Bucket, key and version ID of a task, as the manifest spells them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskCells {
    /// Bucket name.
    pub bucket: String,
    /// Object key, URL-encoded if the manifest contains it so.
    pub key: String,
    /// Version ID, if the row has one.
    pub version: Option<String>,
}

/// Task of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskRow {
    /// File that contains the row.
    pub file: String,
    /// Row number, counted from 1.
    pub row: u64,
    /// Bucket, key and version ID of the task.
    pub cells: TaskCells,
    /// Status of the task.
    pub end: TaskOutcome,
    /// HTTP status of the response that S3 received.
    pub http_status: Option<u16>,
    /// Error code. Empty if the task succeeded.
    pub error_code: String,
    /// Result text of the task.
    pub message: String,
}

impl TaskCells {
    /// Reads the manifest row of a Distributed Map item. Returns `None` if it has no bucket or key.
    #[must_use]
    pub fn of_item(row: &Value) -> Option<Self> {
        let text = |name: &str| row.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        Some(Self {
            bucket: text("Bucket").or_else(|| text("bucket"))?.to_owned(),
            key: text("Key").or_else(|| text("key"))?.to_owned(),
            version: text("VersionId").or_else(|| text("version_id")).map(str::to_owned),
        })
    }

    /// Returns the decoded key for display, or the key as it is if it is not URL-encoded.
    #[must_use]
    pub fn shown_key(&self) -> String {
        if !is_encoded(&self.key) {
            return self.key.clone();
        }
        let decoded = percent_decode_str(&self.key).decode_utf8();
        decoded.map_or_else(|_| self.key.clone(), std::borrow::Cow::into_owned)
    }

    /// Returns the row of a manifest. Encoded values stay unchanged, so that the row is the same as before.
    #[must_use]
    pub fn to_csv(&self) -> String {
        let csv_value = |text: &str| {
            if is_encoded(text) {
                text.to_owned()
            } else {
                encoded(text)
            }
        };
        let (bucket, key) = (csv_value(&self.bucket), csv_value(&self.key));
        match &self.version {
            Some(version) => format!("{bucket},{key},{}", csv_value(version)),
            None => format!("{bucket},{key}"),
        }
    }
}

/// Returns whether a text is URL-encoded: no character needs an escape, and every `%` begins an escape.
fn is_encoded(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b',' | b'"');
    text.bytes().all(is_plain)
        && text.split('%').skip(1).all(|rest| {
            let mut digits = rest.bytes().take(2).filter(u8::is_ascii_hexdigit);
            digits.next().is_some() && digits.next().is_some()
        })
}

/// Reads the rows of a report file. Errors name it `file`.
pub fn rows<R: Read>(file: &str, reader: R) -> impl Iterator<Item = Result<TaskRow, CompletionReportError>> {
    let file = file.to_owned();
    let records = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_reader(reader)
        .into_byte_records();
    records.zip(1_u64..).filter_map(move |(record, row)| {
        let failed = |problem: String| CompletionReportError::Row {
            file: file.clone(),
            row,
            problem,
        };
        let record = match record {
            Ok(record) => record,
            Err(error) => return Some(Err(failed(error.to_string()))),
        };
        let cells: Result<Vec<&str>, _> = record.iter().map(std::str::from_utf8).collect();
        let Ok(cells) = cells else {
            return Some(Err(failed("not UTF-8".to_owned())));
        };
        if let (1, Some(("Bucket", "Key"))) = (row, cells.first().copied().zip(cells.get(1).copied())) {
            return None;
        }
        Some(row_of(&cells, &file, row).map_err(failed))
    })
}

fn row_of(cells: &[&str], file: &str, row: u64) -> Result<TaskRow, String> {
    let [bucket, key, version, status, rest @ ..] = cells else {
        return Err(format!(
            "the number of columns is {}, expected at least 4: Bucket, Key, VersionId, TaskStatus",
            cells.len()
        ));
    };
    let end = match status.trim() {
        status if status.eq_ignore_ascii_case("succeeded") => TaskOutcome::Succeeded,
        status if status.eq_ignore_ascii_case("failed") => TaskOutcome::Failed,
        other => return Err(format!("the status is `{other}`, expected `succeeded` or `failed`")),
    };
    if bucket.is_empty() || key.is_empty() {
        return Err("the bucket or the key is empty".to_owned());
    }
    let (error_code, http_status) = code_and_status(rest.first().copied(), rest.get(1).copied());
    Ok(TaskRow {
        file: file.to_owned(),
        row,
        cells: TaskCells {
            bucket: (*bucket).to_owned(),
            key: (*key).to_owned(),
            version: Some((*version).to_owned()).filter(|version| !version.is_empty()),
        },
        end,
        http_status,
        error_code,
        message: rest.get(2).copied().unwrap_or_default().to_owned(),
    })
}

/// Distinguishes the error code from the status. The index names the code first, S3's examples the status.
fn code_and_status(first: Option<&str>, second: Option<&str>) -> (String, Option<u16>) {
    let status = |cell: Option<&str>| cell.and_then(|cell| cell.trim().parse::<u16>().ok());
    let code = |cell: Option<&str>| cell.unwrap_or_default().trim().to_owned();
    match (status(first), status(second)) {
        (Some(status), None) => (code(second), Some(status)),
        (_, status) => (code(first), status),
    }
}
