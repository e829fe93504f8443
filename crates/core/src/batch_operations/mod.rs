//! What drives a final sync: invocations of S3 Batch Operations and batches of a Step Functions Distributed Map.
//!
//! A task, or an item, says which key to look at, as an event does; it is reconciled like any other hint. What differs
//! is how it is asked and how it is answered: every task exactly once, with a code and a text for an operator.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/batch-ops-invoke-lambda.html>
//! <https://docs.aws.amazon.com/step-functions/latest/dg/state-map-distributed.html>

mod arguments;
mod attempts;
mod request;
mod response;
mod summary;

pub use arguments::{ARGUMENTS, AttributeDepth, JobArgument, JobArgumentName, JobArguments};
pub use attempts::{BatchAttempt, FinishedItems, ItemAttempts};
pub use request::{
    FinalSyncRequest, FinalSyncRun, JobInvocation, JobTask, LostItems, MapBatch, MapItem, RunEnd, RunName, RunStart,
    TaskTarget, parse_request,
};
pub use response::{JobInvocationResponse, LONGEST_RESULT, ResultCode, TaskResult, conclude, merge, outcome_of_text};
pub use summary::{FinalSyncSummary, MAX_FAILURES_SHOWN, PartialSummary, ResultLine};

use crate::names::NameError;

/// Why a request, a task or an item cannot be taken for what it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestFormatError {
    /// It is JSON of some other kind.
    #[error(
        "the payload is no batch: expected an invocation of S3 Batch Operations (`tasks`), a batch of a Distributed Map \
         (`Items`) or one of its items (`Bucket` and `Key`), found {found}"
    )]
    NotABatch {
        /// What its outermost level holds.
        found: String,
    },
    /// A field that must be there is not, or is of another type.
    #[error("`{field}` is {found}, and must be {expected}")]
    Field {
        /// The path of the field.
        field: String,
        /// What it is.
        found: String,
        /// What it must be.
        expected: &'static str,
    },
    /// The request is of a version that may mean something else.
    #[error("`invocationSchemaVersion` is `{version}`, which is not supported: allowed are 1.0 and 2.0")]
    SchemaVersion {
        /// The version found.
        version: String,
    },
    /// A bucket or key is not one.
    #[error("`{field}`: {error}")]
    Name {
        /// The path of the field.
        field: String,
        /// What is the matter with it.
        error: NameError,
    },
    /// A user argument that nobody knows.
    #[error("user argument `{name}` is not known: allowed are {allowed}")]
    UnknownArgument {
        /// Its name as it came.
        name: String,
        /// The names there are.
        allowed: String,
    },
    /// A user argument was given twice, in two spellings.
    #[error("user argument `{name}` is given more than once")]
    RepeatedArgument {
        /// Its name.
        name: &'static str,
    },
    /// A user argument has a value that it cannot have.
    #[error("user argument `{name}` is `{value}`: {problem}")]
    ArgumentValue {
        /// Its name.
        name: &'static str,
        /// Its value, shortened.
        value: String,
        /// What is the matter with it, with what is allowed.
        problem: String,
    },
}

impl RequestFormatError {
    /// Returns the name used in logs and answers.
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

/// Shortens a text to `limit` characters by leaving out its middle: both ends of a key tell the most.
fn shortened(text: &str, limit: usize) -> String {
    let length = text.chars().count();
    if length <= limit {
        return text.to_owned();
    }
    let kept = limit.saturating_sub(1);
    let tail = kept / 2;
    let head = text.chars().take(kept - tail);
    head.chain(['…']).chain(text.chars().skip(length - tail)).collect()
}

#[cfg(test)]
mod tests;
