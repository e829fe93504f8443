//! Errors of the harness. A tool that fails is no error: it is a row of the report.

use s3ferry_testkit::sim::model::error::SimError;
use s3ferry_tests::HarnessError;

/// Error that ends the benchmark.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BenchError {
    /// A file, a process or a function of the harness failed.
    #[error(transparent)]
    Harness(#[from] HarnessError),
    /// The simulator rejected the preparation of a scenario.
    #[error("the simulator rejects {action}")]
    Simulator {
        /// What was prepared.
        action: &'static str,
        /// The rejection.
        source: SimError,
    },
    /// Rows of an inventory could not be written.
    #[error("writing an inventory file failed: {detail}")]
    Inventory {
        /// Error of the writer.
        detail: String,
    },
}

/// Result of the harness.
pub(crate) type BenchResult<T> = std::result::Result<T, BenchError>;

/// Why a tool has no valid result.
#[derive(Debug)]
pub(crate) enum RunFailure {
    /// The harness failed, not the tool.
    Harness(BenchError),
    /// The tool failed, or cannot do the work.
    Failed(String),
    /// The tool succeeded, but its result is incomplete or not equal.
    Wrong(String),
}

impl<E: Into<BenchError>> From<E> for RunFailure {
    fn from(error: E) -> Self {
        Self::Harness(error.into())
    }
}
