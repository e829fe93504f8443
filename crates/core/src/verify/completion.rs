//! Completion reports of S3 Batch Operations jobs that compute checksums.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/batch-ops-examples-reports.html>

use std::collections::HashMap;

use percent_encoding::percent_decode_str;
use serde::Deserialize;

use crate::batch_report::{TaskOutcome, TaskRow};
use crate::facts::{ChecksumCoverage, ObjectFacts};
use crate::names::{BucketName, ETag, ObjectKey, VersionId};

/// Checksum that a job computed of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComputedChecksum {
    /// `ETag` of the object when the checksum was computed.
    pub etag: ETag,
    /// Version ID of the object, if the job's manifest contains it.
    pub version_id: Option<VersionId>,
    /// Algorithm, as in `CRC64NVME`.
    pub algorithm: String,
    /// Coverage of the checksum: full object or composite.
    pub coverage: ChecksumCoverage,
    /// Value in base64. MD5 is in lower-case hexadecimal, like `ETag`s.
    pub value: String,
}

impl ComputedChecksum {
    /// Returns whether the checksum applies to the object that `facts` describe.
    #[must_use]
    pub fn is_of(&self, facts: &ObjectFacts) -> bool {
        let is_same_version = self.version_id.is_none() || self.version_id == facts.version_id;
        is_same_version && self.etag == facts.etag
    }
}

/// Error in a report row that should contain a checksum.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChecksumRowProblem {
    /// The bucket of the row is not the verified bucket.
    #[error("bucket `{found}`, expected `{expected}`; the report is of a job for another bucket")]
    ForeignBucket {
        /// Bucket of the row.
        found: String,
        /// Verified bucket.
        expected: BucketName,
    },
    /// The key is not valid.
    #[error("key `{0}` is not URL-encoded UTF-8 or is not a valid object key")]
    Key(String),
    /// The task succeeded, but its message contains no checksum.
    #[error("no checksum in the result message ({0}); pass the report of a Compute checksum job")]
    NoChecksum(String),
}

/// Content of a report row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChecksumRow {
    /// Checksum of an object. Two keys are possible, because a `+` in the key is a space or a literal `+`.
    Computed(Vec<ObjectKey>, ComputedChecksum),
    /// The task failed on the object.
    Failed,
}

/// Reads the checksum from a report row of `bucket`.
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

/// Decodes a key in both possible ways. A checksum applies only to an object with the same `ETag`, so the wrong key has
/// no effect.
fn keys(text: &str) -> Result<Vec<ObjectKey>, ChecksumRowProblem> {
    let unusable = || ChecksumRowProblem::Key(text.to_owned());
    let mut keys = vec![ObjectKey::from_notification(text).map_err(|_| unusable())?];
    if text.contains('+') {
        let plain = percent_decode_str(text).decode_utf8().map_err(|_| unusable())?;
        keys.push(ObjectKey::from_raw(plain).map_err(|_| unusable())?);
    }
    Ok(keys)
}

/// Result message of a task that computed a checksum.
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
        let hex = message.hex.ok_or_else(|| no_checksum("MD5 without checksum_hex"))?;
        hex.to_ascii_lowercase()
    } else {
        message.base64
    };
    if value.is_empty() || algorithm.is_empty() {
        return Err(no_checksum("empty value"));
    }
    Ok(ComputedChecksum {
        etag: ETag::new(&message.etag).map_err(|_| no_checksum("empty etag"))?,
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

/// Computed checksums of the objects of one bucket.
#[derive(Debug, Clone, Default)]
pub struct ComputedChecksums {
    by_key: HashMap<ObjectKey, Vec<ComputedChecksum>>,
    /// Number of rows with a checksum.
    pub computed: u64,
    /// Number of rows of failed tasks.
    pub failed: u64,
}

impl ComputedChecksums {
    /// Adds a row.
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
