//! Completion reports of S3 Batch Operations jobs that computed checksums.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/batch-ops-examples-reports.html>

use std::collections::HashMap;

use percent_encoding::percent_decode_str;
use serde::Deserialize;

use crate::batch_report::{TaskOutcome, TaskRow};
use crate::facts::{ChecksumCoverage, ObjectFacts};
use crate::names::{BucketName, ETag, ObjectKey, VersionId};

/// A checksum that a job computed of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComputedChecksum {
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

impl ComputedChecksum {
    /// Tells whether it is still of the object that `facts` describe.
    #[must_use]
    pub fn is_of(&self, facts: &ObjectFacts) -> bool {
        let is_same_version = self.version_id.is_none() || self.version_id == facts.version_id;
        is_same_version && self.etag == facts.etag
    }
}

/// Why the row of a report says nothing of a checksum.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChecksumRowProblem {
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
    /// The task succeeded and its message holds no checksum.
    #[error("no checksum in the result message ({0}); the report must be of a Compute checksum job")]
    NoChecksum(String),
}

/// What a row says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChecksumRow {
    /// The checksum of an object. A `+` in the key of a report means itself or a space, so there may be two keys.
    Computed(Vec<ObjectKey>, ComputedChecksum),
    /// The job failed on the object.
    Failed,
}

/// Reads what a row says of an object of `bucket`.
pub fn computed(row: &TaskRow, bucket: &BucketName) -> Result<ChecksumRow, ChecksumRowProblem> {
    if row.cells.bucket != bucket.as_str() {
        return Err(ChecksumRowProblem::ForeignBucket {
            found: row.cells.bucket.clone(),
            expected: bucket.clone(),
        });
    }
    let keys = keys(&row.cells.key)?;
    match row.end {
        TaskOutcome::Succeeded => Ok(ChecksumRow::Computed(keys, checksum_of(row)?)),
        TaskOutcome::Failed => Ok(ChecksumRow::Failed),
    }
}

/// Reads a key in both ways that it may have been encoded. A checksum counts only for an object of the same tag, so the
/// wrong one does no harm.
fn keys(text: &str) -> Result<Vec<ObjectKey>, ChecksumRowProblem> {
    let unusable = || ChecksumRowProblem::Key(text.to_owned());
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

fn checksum_of(row: &TaskRow) -> Result<ComputedChecksum, ChecksumRowProblem> {
    let message: Message =
        serde_json::from_str(&row.message).map_err(|error| ChecksumRowProblem::NoChecksum(error.to_string()))?;
    let no_checksum = |what: &str| ChecksumRowProblem::NoChecksum(what.to_owned());
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
    Ok(ComputedChecksum {
        etag: ETag::new(&message.etag).map_err(|_| no_checksum("an empty etag"))?,
        version_id: row.cells.version.as_deref().and_then(VersionId::pinnable),
        algorithm,
        coverage: match message.checksum_type.as_str() {
            "FULL_OBJECT" => ChecksumCoverage::FullObject,
            "COMPOSITE" => ChecksumCoverage::Composite,
            other => return Err(ChecksumRowProblem::NoChecksum(format!("checksumType is `{other}`"))),
        },
        value,
    })
}

/// The checksums of one bucket's objects.
#[derive(Debug, Clone, Default)]
pub struct ComputedChecksums {
    by_key: HashMap<ObjectKey, Vec<ComputedChecksum>>,
    /// How many rows hold a checksum.
    pub computed: u64,
    /// How many rows are of tasks that failed.
    pub failed: u64,
}

impl ComputedChecksums {
    /// Takes a row.
    pub fn take(&mut self, row: ChecksumRow) {
        match row {
            ChecksumRow::Computed(keys, computed) => {
                self.computed += 1;
                for key in keys {
                    self.by_key.entry(key).or_default().push(computed.clone());
                }
            }
            ChecksumRow::Failed => self.failed += 1,
        }
    }

    /// Returns the checksums of a key.
    #[must_use]
    pub fn of(&self, key: &ObjectKey) -> Vec<&ComputedChecksum> {
        self.by_key.get(key).into_iter().flatten().collect()
    }
}
