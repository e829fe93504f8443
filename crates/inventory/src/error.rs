//! Errors of a report, with file, row and column.

use std::fmt;
use std::sync::Arc;

use arrow::error::ArrowError;
use datafusion_common::DataFusionError;
use s3ferry_core::failure::{Failure, FailureCode, FailureKind};

use crate::md5sum::Md5Sum;

/// Error in reading an inventory.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InventoryError {
    /// A file of the report was not readable from the bucket.
    #[error("cannot fetch inventory file `{file}`")]
    Fetch {
        /// Key of the file.
        file: String,
        /// Failure of the request.
        source: Box<Failure>,
    },
    /// The manifest is not a valid manifest of S3 Inventory.
    #[error("cannot read manifest `{manifest}`: {detail}")]
    Manifest {
        /// Key of the manifest.
        manifest: String,
        /// Description of the problem.
        detail: String,
    },
    /// The size of a file differs from the manifest.
    #[error(
        "cannot use inventory file `{file}`: it has {found_bytes} bytes, the manifest says {expected_bytes}: \
         the file or the manifest is of another report"
    )]
    Size {
        /// Key of the file.
        file: String,
        /// Size in the manifest.
        expected_bytes: u64,
        /// Size of the fetched file.
        found_bytes: u64,
    },
    /// The content of a file differs from the manifest.
    #[error(
        "cannot use inventory file `{file}`: its MD5 is {found}, the manifest says {expected}: \
         the file was changed or damaged"
    )]
    Checksum {
        /// Key of the file.
        file: String,
        /// MD5 in the manifest.
        expected: Md5Sum,
        /// MD5 of the fetched content.
        found: Md5Sum,
    },
    /// A required column is missing.
    #[error("cannot read inventory file `{file}`: no column {column}; add it to the inventory configuration")]
    MissingColumn {
        /// Key of the file, or of the manifest if it names the columns.
        file: String,
        /// Name of the column in CSV reports.
        column: &'static str,
    },
    /// Two columns have the same name.
    #[error("cannot read inventory file `{file}`: column {column} exists twice")]
    RepeatedColumn {
        /// Key of the file, or of the manifest if it names the columns.
        file: String,
        /// Name of the column in CSV reports.
        column: &'static str,
    },
    /// A column has another type than expected.
    #[error("cannot read inventory file `{file}`: column {column} has type {found}, expected {expected}")]
    ColumnType {
        /// Key of the file.
        file: String,
        /// Name of the column in CSV reports.
        column: &'static str,
        /// Type found.
        found: String,
        /// Type expected.
        expected: String,
    },
    /// A value is not valid for its column.
    #[error("cannot read inventory file `{file}`, row {row}, column {column}: {detail}")]
    Value {
        /// Key of the file.
        file: String,
        /// Row number, counted from 1.
        row: u64,
        /// Name of the column in CSV reports.
        column: &'static str,
        /// Description of the problem.
        detail: String,
    },
    /// The number of values in a CSV row differs from the number of columns.
    #[error("cannot read inventory file `{file}`, row {row}: {found} values, expected {expected} as in the manifest")]
    RowLength {
        /// Key of the file.
        file: String,
        /// Row number, counted from 1.
        row: u64,
        /// Number of columns in the manifest.
        expected: usize,
        /// Number of values in the row.
        found: usize,
    },
    /// A file is not decodable.
    #[error("cannot decode inventory file `{file}` after row {row}: {detail}")]
    Malformed {
        /// Key of the file.
        file: String,
        /// Number of the last decoded row, 0 if there is none.
        row: u64,
        /// Error of the decoder.
        detail: String,
    },
    /// A local file was not writable or not readable.
    #[error("cannot use spill directory `{directory}`")]
    Spill {
        /// Spill directory.
        directory: String,
        /// Error of the operating system.
        source: std::io::Error,
    },
    /// The memory or disk limit is too low for the report.
    #[error("cannot sort the inventory within its limits of memory and disk: {detail}")]
    Limits {
        /// Error of `DataFusion`.
        detail: String,
    },
    /// `DataFusion` failed unexpectedly.
    #[error("cannot sort the inventory")]
    Engine(#[source] Box<DataFusionError>),
}

impl InventoryError {
    /// Returns the kind of failure, which determines how the caller handles it.
    #[must_use]
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::Fetch { source, .. } => source.kind,
            Self::Spill { .. } | Self::Limits { .. } | Self::MissingColumn { .. } => FailureKind::Configuration,
            Self::Engine(_) => FailureKind::Bug,
            _ => FailureKind::Permanent,
        }
    }

    /// Returns s3ferry's code of the error, or the code of the failed request.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::Fetch { source, .. } => source.code.as_str(),
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

    /// Converts the error into a failure that names `report` as its resource.
    #[must_use]
    pub fn into_failure(self, report: &str) -> Failure {
        let (kind, code) = (self.kind(), FailureCode::from(self.code()));
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

    /// Unwraps an error that passed through `DataFusion`, and converts `DataFusion`'s own errors.
    pub(crate) fn from_engine(error: DataFusionError) -> Self {
        match error {
            DataFusionError::External(inner) => match inner.downcast::<Self>() {
                Ok(own) => *own,
                Err(foreign) => Self::Engine(Box::new(DataFusionError::External(foreign))),
            },
            DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => Self::from_engine(*inner),
            DataFusionError::ResourcesExhausted(detail) => Self::Limits { detail },
            // DataFusion uses files only for spilling.
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
