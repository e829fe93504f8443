//! Everything that can be wrong with a report, named with file, row and column.

use std::fmt;
use std::sync::Arc;

use arrow::error::ArrowError;
use datafusion_common::DataFusionError;
use s3ferry_core::failure::{Failure, FailureKind};

use crate::md5sum::Md5Sum;

/// Says why an inventory cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InventoryError {
    /// The bucket did not give the file.
    #[error("fetch inventory file `{file}`")]
    Fetch {
        /// The file's key.
        file: String,
        /// What the bucket answered.
        source: Box<Failure>,
    },
    /// The manifest is not what an inventory's manifest looks like.
    #[error("read manifest `{manifest}`: {detail}")]
    Manifest {
        /// The manifest's key.
        manifest: String,
        /// What is wrong with it.
        detail: String,
    },
    /// The file has another size than the manifest says.
    #[error(
        "accept inventory file `{file}`: it has {found_bytes} bytes, the manifest says {expected_bytes}: \
         the file or the manifest is of another report"
    )]
    Size {
        /// The file's key.
        file: String,
        /// The size in the manifest.
        expected_bytes: u64,
        /// The size fetched.
        found_bytes: u64,
    },
    /// The file has other content than the manifest says.
    #[error(
        "accept inventory file `{file}`: its MD5 is {found}, the manifest says {expected}: \
         the file was changed or damaged"
    )]
    Checksum {
        /// The file's key.
        file: String,
        /// The MD5 in the manifest.
        expected: Md5Sum,
        /// The MD5 of what was fetched.
        found: Md5Sum,
    },
    /// A column that a comparison needs is not there.
    #[error("read inventory file `{file}`: it has no column {column}; configure the inventory to include it")]
    MissingColumn {
        /// The key of the file or, where columns are named there, of the manifest.
        file: String,
        /// The column, as S3 names it in CSV reports.
        column: &'static str,
    },
    /// Two columns have one name.
    #[error("read inventory file `{file}`: it has column {column} twice")]
    RepeatedColumn {
        /// The key of the file or, where columns are named there, of the manifest.
        file: String,
        /// The column, as S3 names it in CSV reports.
        column: &'static str,
    },
    /// A column holds another kind of values than it should.
    #[error("read inventory file `{file}`: column {column} holds {found}, not {expected}")]
    ColumnType {
        /// The file's key.
        file: String,
        /// The column, as S3 names it in CSV reports.
        column: &'static str,
        /// What the file says it holds.
        found: String,
        /// What it should hold.
        expected: String,
    },
    /// A value cannot be what its column says.
    #[error("read inventory file `{file}`, row {row}, column {column}: {detail}")]
    Value {
        /// The file's key.
        file: String,
        /// The row, counted from one.
        row: u64,
        /// The column, as S3 names it in CSV reports.
        column: &'static str,
        /// What is wrong with the value.
        detail: String,
    },
    /// A row of a CSV file has more or fewer values than there are columns.
    #[error("read inventory file `{file}`, row {row}: it has {found} values, the manifest names {expected} columns")]
    RowLength {
        /// The file's key.
        file: String,
        /// The row, counted from one.
        row: u64,
        /// How many columns the manifest names.
        expected: usize,
        /// How many values the row has.
        found: usize,
    },
    /// The file cannot be decoded.
    #[error("decode inventory file `{file}` after row {row}: {detail}")]
    Malformed {
        /// The file's key.
        file: String,
        /// The last row that was decoded, 0 for none.
        row: u64,
        /// What the decoder said.
        detail: String,
    },
    /// A file of this machine could not be written or read.
    #[error("use spill directory `{directory}`")]
    Spill {
        /// The directory.
        directory: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The memory or the disk space that was allowed is not enough.
    #[error("sort the inventory within its limits of memory and disk: {detail}")]
    Limits {
        /// What the engine said.
        detail: String,
    },
    /// The engine failed in a way that it should not.
    #[error("sort the inventory")]
    Engine(#[source] Box<DataFusionError>),
}

impl InventoryError {
    /// Says what the caller must do about it.
    #[must_use]
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::Fetch { source, .. } => source.kind,
            Self::Spill { .. } | Self::Limits { .. } | Self::MissingColumn { .. } => FailureKind::Configuration,
            Self::Engine(_) => FailureKind::Bug,
            _ => FailureKind::Permanent,
        }
    }

    /// Returns our own name of the cause, or what the bucket called it.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::Fetch { source, .. } => &source.code,
            Self::Manifest { .. } => "InventoryManifestInvalid",
            Self::Size { .. } => "InventoryFileSizeWrong",
            Self::Checksum { .. } => "InventoryFileChecksumWrong",
            Self::MissingColumn { .. } => "InventoryColumnMissing",
            Self::RepeatedColumn { .. } => "InventoryColumnRepeated",
            Self::ColumnType { .. } => "InventoryColumnTypeWrong",
            Self::Value { .. } => "InventoryValueInvalid",
            Self::RowLength { .. } => "InventoryRowLengthWrong",
            Self::Malformed { .. } => "InventoryFileMalformed",
            Self::Spill { .. } => "SpillFailed",
            Self::Limits { .. } => "SortLimitsReached",
            Self::Engine(_) => "SortFailed",
        }
    }

    /// Makes the failure of whoever reads the report that `report` names.
    #[must_use]
    pub fn into_failure(self, report: &str) -> Failure {
        let (kind, code) = (self.kind(), self.code().to_owned());
        let mut detail = self.to_string();
        let mut cause = std::error::Error::source(&self);
        while let Some(error) = cause {
            detail.push_str(": ");
            detail.push_str(&error.to_string());
            cause = error.source();
        }
        Failure {
            kind,
            code,
            action: "read the inventory".to_owned(),
            resource: report.to_owned(),
            detail,
        }
    }

    pub(crate) fn malformed(file: &str, row: u64, detail: &impl fmt::Display) -> Self {
        Self::Malformed {
            file: file.to_owned(),
            row,
            detail: detail.to_string(),
        }
    }

    /// Takes back what was handed through the engine, and names what the engine itself says.
    pub(crate) fn from_engine(error: DataFusionError) -> Self {
        match error {
            DataFusionError::External(inner) => match inner.downcast::<Self>() {
                Ok(ours) => *ours,
                Err(foreign) => Self::Engine(Box::new(DataFusionError::External(foreign))),
            },
            DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => Self::from_engine(*inner),
            DataFusionError::ResourcesExhausted(detail) => Self::Limits { detail },
            // The engine does nothing with files but spill.
            DataFusionError::IoError(error) => Self::Limits {
                detail: error.to_string(),
            },
            DataFusionError::ArrowError(inner, context) => match *inner {
                ArrowError::IoError(detail, _) => Self::Limits { detail },
                other => Self::Engine(Box::new(DataFusionError::ArrowError(Box::new(other), context))),
            },
            DataFusionError::Shared(shared) => match Arc::try_unwrap(shared) {
                Ok(inner) => Self::from_engine(inner),
                Err(shared) => Self::Engine(Box::new(DataFusionError::Shared(shared))),
            },
            other => Self::Engine(Box::new(other)),
        }
    }
}

impl From<InventoryError> for DataFusionError {
    fn from(error: InventoryError) -> Self {
        Self::External(Box::new(error))
    }
}
