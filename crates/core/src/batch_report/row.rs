//! The rows of a report.

use std::io::Read;

use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::CompletionReportError;
use crate::manifest::encoded;

/// How a task ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskOutcome {
    /// It is done.
    Succeeded,
    /// It failed.
    Failed,
}

/// What a task is about, as the manifest spelled it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskCells {
    /// The bucket.
    pub bucket: String,
    /// The key, URL-encoded where it is as the manifest had it.
    pub key: String,
    /// The version, where one is named.
    pub version: Option<String>,
}

/// One task of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskRow {
    /// The file that the row is in.
    pub file: String,
    /// The row, counted from 1.
    pub row: u64,
    /// What the task is about.
    pub cells: TaskCells,
    /// How it ended.
    pub end: TaskOutcome,
    /// The status of the answer that S3 got.
    pub http_status: Option<u16>,
    /// The code of what went wrong; empty where nothing did.
    pub error_code: String,
    /// What was said of it.
    pub message: String,
}

impl TaskCells {
    /// Takes the row of a manifest as a Distributed Map hands it on; `None` where it names no bucket or key.
    #[must_use]
    pub fn of_item(row: &Value) -> Option<Self> {
        let text = |name: &str| row.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        Some(Self {
            bucket: text("Bucket").or_else(|| text("bucket"))?.to_owned(),
            key: text("Key").or_else(|| text("key"))?.to_owned(),
            version: text("VersionId").or_else(|| text("version_id")).map(str::to_owned),
        })
    }

    /// Returns the key as it is in the bucket, as far as that can be told.
    #[must_use]
    pub fn shown_key(&self) -> String {
        if !is_encoded(&self.key) {
            return self.key.clone();
        }
        let decoded = percent_decode_str(&self.key).decode_utf8();
        decoded.map_or_else(|_| self.key.clone(), std::borrow::Cow::into_owned)
    }

    /// Spells the row of a manifest. What is encoded stays as it is, for only then it is the same row.
    #[must_use]
    pub fn to_csv(&self) -> String {
        let spelled = |text: &str| {
            if is_encoded(text) {
                text.to_owned()
            } else {
                encoded(text)
            }
        };
        let (bucket, key) = (spelled(&self.bucket), spelled(&self.key));
        match &self.version {
            Some(version) => format!("{bucket},{key},{}", spelled(version)),
            None => format!("{bucket},{key}"),
        }
    }
}

/// Tells whether a text can be in a manifest as it is: nothing that would need an escape, and every `%` begins one.
fn is_encoded(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b',' | b'"');
    text.bytes().all(is_plain)
        && text.split('%').skip(1).all(|rest| {
            let mut digits = rest.bytes().take(2).filter(u8::is_ascii_hexdigit);
            digits.next().is_some() && digits.next().is_some()
        })
}

/// Reads the rows of a report's file, which is called `file` in errors.
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
            "{} column(s), and a report has at least four: Bucket, Key, VersionId, TaskStatus",
            cells.len()
        ));
    };
    let end = match status.trim() {
        status if status.eq_ignore_ascii_case("succeeded") => TaskOutcome::Succeeded,
        status if status.eq_ignore_ascii_case("failed") => TaskOutcome::Failed,
        other => return Err(format!("the status `{other}` is neither `succeeded` nor `failed`")),
    };
    if bucket.is_empty() || key.is_empty() {
        return Err("no bucket or no key".to_owned());
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

/// Tells the error's code from the status: the index names the code first, and S3's own examples have the status there.
fn code_and_status(first: Option<&str>, second: Option<&str>) -> (String, Option<u16>) {
    let status = |cell: Option<&str>| cell.and_then(|cell| cell.trim().parse::<u16>().ok());
    let code = |cell: Option<&str>| cell.unwrap_or_default().trim().to_owned();
    match (status(first), status(second)) {
        (Some(status), None) => (code(second), Some(status)),
        (_, status) => (code(first), status),
    }
}
