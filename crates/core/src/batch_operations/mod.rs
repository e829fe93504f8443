//! Requests and responses of a final sync: S3 Batch Operations invocations and Distributed Map batches.
//!
//! A task or an item names a key, as an event does, and the key is reconciled in the same way. Only the protocol
//! differs: every task has exactly one result, with a code and a text for the operator.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/batch-ops-invoke-lambda.html>
//! <https://docs.aws.amazon.com/step-functions/latest/dg/state-map-distributed.html>

mod arguments;
mod attempts;
mod request;
mod response;
mod run;
mod summary;

pub use arguments::{ARGUMENTS, AttributeDepth, JobArgument, JobArgumentName, JobArguments};
pub use attempts::{BatchAttempt, FinishedItems, ItemAttempts};
pub use request::{FinalSyncRequest, JobInvocation, JobTask, MapBatch, MapItem, TaskTarget, parse_request};
pub use response::{JobInvocationResponse, LONGEST_RESULT, ResultCode, TaskResult, conclude, merge, outcome_of_text};
pub use run::{FinalSyncRun, LostItems, RunEnd, RunName, RunStart};
pub use summary::{FinalSyncSummary, MAX_FAILURES_SHOWN, PartialSummary, ResultLine};

use crate::names::NameError;

/// Error in the format of a request, a task or an item.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestFormatError {
    /// The payload is none of the supported requests.
    #[error(
        "the payload is not a batch: expected an invocation of S3 Batch Operations (`tasks`), a batch of a Distributed \
         Map (`Items`) or one of its items (`Bucket` and `Key`), found {found}"
    )]
    NotABatch {
        /// Outline of the top-level value.
        found: String,
    },
    /// A required field is missing or has another type.
    #[error("`{field}` is {found}, expected {expected}")]
    Field {
        /// JSON path of the field.
        field: String,
        /// Description of the value found.
        found: String,
        /// Description of the value expected.
        expected: &'static str,
    },
    /// The schema version of the invocation is not supported.
    #[error("`invocationSchemaVersion` is `{version}`, expected 1.0 or 2.0")]
    SchemaVersion {
        /// Version found.
        version: String,
    },
    /// A bucket name or key is not valid.
    #[error("`{field}`: {error}")]
    Name {
        /// JSON path of the field.
        field: String,
        /// Problem with the name.
        error: NameError,
    },
    /// A user argument is not supported.
    #[error("user argument `{name}` is not supported: allowed are {allowed}")]
    UnknownArgument {
        /// Name of the argument, as found.
        name: String,
        /// Supported names.
        allowed: String,
    },
    /// A user argument is given twice, in two spellings.
    #[error("user argument `{name}` is given more than once")]
    RepeatedArgument {
        /// Name of the argument.
        name: &'static str,
    },
    /// A user argument has a value that is not allowed.
    #[error("user argument `{name}` is `{value}`: {problem}")]
    ArgumentValue {
        /// Name of the argument.
        name: &'static str,
        /// Value found, shortened.
        value: String,
        /// Problem with the value, and the allowed values.
        problem: String,
    },
}

impl RequestFormatError {
    /// Returns the name of the error in logs and responses.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotABatch { .. } => "NotABatch",
            Self::Field { .. } => "FieldMissing",
            Self::SchemaVersion { .. } => "SchemaVersionNotSupported",
            Self::Name { .. } => "NameNotValid",
            Self::UnknownArgument { .. } => "ArgumentNotKnown",
            Self::RepeatedArgument { .. } => "ArgumentRepeated",
            Self::ArgumentValue { .. } => "ArgumentNotValid",
        }
    }
}

/// Shortens a text to `limit` characters by removing its middle: both ends of a key identify it best.
fn shortened(text: &str, limit: usize) -> String {
    let length = text.chars().count();
    if length <= limit {
        return text.to_owned();
    }
    let remaining = limit.saturating_sub(1);
    let tail = remaining / 2;
    let head = text.chars().take(remaining - tail);
    head.chain(['…']).chain(text.chars().skip(length - tail)).collect()
}

#[cfg(test)]
mod tests;
