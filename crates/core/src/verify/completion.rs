//! Completion reports of S3 Batch Operations jobs that computed checksums.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/batch-ops-examples-reports.html>

use std::collections::HashMap;

use percent_encoding::percent_decode_str;
use serde::Deserialize;

use crate::facts::{ChecksumCoverage, ObjectFacts};
use crate::names::{BucketName, ETag, ObjectKey, VersionId};

/// The format that all completion reports have.
pub const FORMAT: &str = "Report_CSV_20180820";

/// How many columns a row has: bucket, key, version, status, error code, HTTP status, message.
pub const COLUMNS: usize = 7;

/// A checksum that a job computed of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Computed {
    /// The object's tag when it was computed.
    pub etag: ETag,
    /// The object's version, where the job's manifest named it.
    pub version_id: Option<VersionId>,
    /// The algorithm, as in `CRC64NVME`.
    pub algorithm: String,
    /// What it covers.
    pub coverage: ChecksumCoverage,
    /// The value: in base64, for MD5 in lower-case hexadecimal as `ETag`s are.
    pub value: String,
}

impl Computed {
    /// Tells whether it is still of the object that `facts` describe.
    #[must_use]
    pub fn is_of(&self, facts: &ObjectFacts) -> bool {
        let is_same_version = self.version_id.is_none() || self.version_id == facts.version_id;
        is_same_version && self.etag == facts.etag
    }
}

/// The head of a completion report: the object `manifest.json`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Head {
    /// The format of the files.
    pub format: String,
    /// The files.
    pub results: Vec<File>,
    /// The columns of the files.
    pub report_schema: String,
}

/// One file of a completion report.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct File {
    /// Whether its tasks succeeded or failed.
    pub task_execution_status: String,
    /// The bucket it is in.
    pub bucket: String,
    /// Its MD5 in hexadecimal.
    #[serde(rename = "MD5Checksum")]
    pub md5_checksum: String,
    /// Its key.
    pub key: String,
}

/// What is the matter with a completion report, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}, row {row}: {problem}")]
pub struct ReportError {
    /// The file.
    pub file: String,
    /// The row, counted from 1.
    pub row: u64,
    /// What is the matter.
    pub problem: Problem,
}

/// What can be the matter with a completion report.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// It is not a row of values in UTF-8.
    #[error("cannot be read as CSV: {0}")]
    Csv(String),
    /// It does not have the columns it must have.
    #[error(
        "{0} column(s), expected {COLUMNS}: Bucket, Key, VersionId, TaskStatus, ErrorCode, HTTPStatusCode, ResultMessage"
    )]
    Columns(usize),
    /// The row is of another bucket.
    #[error("bucket `{found}`, expected `{expected}`; the report is of another bucket's job")]
    ForeignBucket {
        /// The bucket of the row.
        found: String,
        /// The bucket that is verified.
        expected: BucketName,
    },
    /// A key that cannot be one.
    #[error("key `{0}` is not URL-encoded UTF-8, or cannot be a key")]
    Key(String),
    /// A status that nobody knows.
    #[error("task status `{0}`, expected `succeeded` or `failed`")]
    Status(String),
    /// The task succeeded and its message holds no checksum.
    #[error("no checksum in the result message ({0}); the report must be of a Compute checksum job")]
    NoChecksum(String),
}

/// What is the matter with the head of a completion report.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    /// It is not the JSON that it should be.
    #[error("is not the manifest.json of a completion report: {0}")]
    Json(String),
    /// The format is another one.
    #[error("has the format `{0}`, expected `{FORMAT}`")]
    Format(String),
    /// The files have other columns.
    #[error("has the columns `{0}`, which nobody knows")]
    Schema(String),
}

impl Head {
    /// Reads a `manifest.json`.
    pub fn parse(text: &[u8]) -> Result<Self, HeadError> {
        let head: Self = serde_json::from_slice(text).map_err(|error| HeadError::Json(error.to_string()))?;
        if head.format != FORMAT {
            return Err(HeadError::Format(head.format));
        }
        let columns: Vec<&str> = head.report_schema.split(',').map(str::trim).collect();
        let known = [
            "Bucket",
            "Key",
            "VersionId",
            "TaskStatus",
            "ErrorCode",
            "HTTPStatusCode",
            "ResultMessage",
        ];
        if columns != known {
            return Err(HeadError::Schema(head.report_schema));
        }
        Ok(head)
    }
}

/// What a row says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Row {
    /// The checksum of an object. A `+` in the key of a report means itself or a space, so there may be two keys.
    Computed(Vec<ObjectKey>, Computed),
    /// The job failed on the object.
    Failed,
}

/// Reads a row of a report of jobs on `bucket`.
///
/// The columns of code and status change places between AWS's own examples; neither is needed. The message of a task that
/// failed may hold quotes that nobody escaped, and so seem to be several columns.
pub fn row(fields: &[&str], bucket: &BucketName) -> Result<Row, Problem> {
    let ([found, key, version, status, ..], true) = (fields, fields.len() >= COLUMNS) else {
        return Err(Problem::Columns(fields.len()));
    };
    if *found != bucket.as_str() {
        return Err(Problem::ForeignBucket {
            found: (*found).to_owned(),
            expected: bucket.clone(),
        });
    }
    let keys = keys(key)?;
    match (*status, fields) {
        ("succeeded", [_, _, _, _, _, _, message]) => Ok(Row::Computed(keys, computed(version, message)?)),
        ("succeeded", _) => Err(Problem::Columns(fields.len())),
        ("failed", _) => Ok(Row::Failed),
        (other, _) => Err(Problem::Status(other.to_owned())),
    }
}

/// Reads a key in both ways that it may have been encoded. A checksum counts only for an object of the same tag, so the
/// wrong one does no harm.
fn keys(text: &str) -> Result<Vec<ObjectKey>, Problem> {
    let unusable = || Problem::Key(text.to_owned());
    let mut keys = vec![ObjectKey::from_notification(text).map_err(|_| unusable())?];
    if text.contains('+') {
        let plain = percent_decode_str(text).decode_utf8().map_err(|_| unusable())?;
        keys.push(ObjectKey::from_raw(plain).map_err(|_| unusable())?);
    }
    Ok(keys)
}

/// The message of a task that computed a checksum.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Message {
    etag: String,
    #[serde(rename = "checksum_base64")]
    base64: String,
    #[serde(rename = "checksum_hex")]
    hex: Option<String>,
    checksum_algorithm: String,
    checksum_type: String,
}

fn computed(version: &str, message: &str) -> Result<Computed, Problem> {
    let message: Message = serde_json::from_str(message).map_err(|error| Problem::NoChecksum(error.to_string()))?;
    let no_checksum = |what: &str| Problem::NoChecksum(what.to_owned());
    let algorithm = message.checksum_algorithm.to_ascii_uppercase();
    let value = if algorithm == "MD5" {
        let hex = message.hex.ok_or_else(|| no_checksum("an MD5 without checksum_hex"))?;
        hex.to_ascii_lowercase()
    } else {
        message.base64
    };
    if value.is_empty() || algorithm.is_empty() {
        return Err(no_checksum("an empty value"));
    }
    Ok(Computed {
        etag: ETag::new(&message.etag).map_err(|_| no_checksum("an empty etag"))?,
        version_id: VersionId::pinnable(version),
        algorithm,
        coverage: match message.checksum_type.as_str() {
            "FULL_OBJECT" => ChecksumCoverage::FullObject,
            "COMPOSITE" => ChecksumCoverage::Composite,
            other => return Err(Problem::NoChecksum(format!("checksumType is `{other}`"))),
        },
        value,
    })
}

/// The checksums of one bucket's objects.
#[derive(Debug, Clone, Default)]
pub struct Checksums {
    by_key: HashMap<ObjectKey, Vec<Computed>>,
    /// How many rows hold a checksum.
    pub computed: u64,
    /// How many rows are of tasks that failed.
    pub failed: u64,
}

impl Checksums {
    /// Takes a row.
    pub fn take(&mut self, row: Row) {
        match row {
            Row::Computed(keys, computed) => {
                self.computed += 1;
                for key in keys {
                    self.by_key.entry(key).or_default().push(computed.clone());
                }
            }
            Row::Failed => self.failed += 1,
        }
    }

    /// Returns the checksums of a key.
    #[must_use]
    pub fn of(&self, key: &ObjectKey) -> Vec<&Computed> {
        self.by_key.get(key).into_iter().flatten().collect()
    }
}
