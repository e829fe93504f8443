//! Errors of the harness.

use std::path::PathBuf;
use std::time::Duration;

use aws_sdk_s3::error::DisplayErrorContext;

/// Result of a fallible function of the harness.
pub type Result<T> = std::result::Result<T, HarnessError>;

/// Error of the harness, or of a program that it runs.
#[derive(Debug, thiserror::Error)]
pub enum HarnessError {
    /// A tool that `make setup` installs is missing.
    #[error("{tool} is missing at {}; run `make setup`", path.display())]
    ToolMissing {
        /// Name of the tool.
        tool: &'static str,
        /// Path where the tool was expected.
        path: PathBuf,
    },
    /// A function's binary has not been built.
    #[error("{} is missing; run `make build`", path.display())]
    BinaryMissing {
        /// Path where the binary was expected.
        path: PathBuf,
    },
    /// An operation of the operating system failed.
    #[error("{action} failed")]
    Io {
        /// Action that failed.
        action: String,
        /// Error of the operating system.
        source: std::io::Error,
    },
    /// A program ended unexpectedly.
    #[error("{program} ended with {status}; its output:\n{output}")]
    Ended {
        /// Name of the program.
        program: String,
        /// Exit status.
        status: std::process::ExitStatus,
        /// Output of the program.
        output: String,
    },
    /// A command failed.
    #[error("`{command}` failed with {status}:\n{output}")]
    CommandFailed {
        /// Command with its arguments.
        command: String,
        /// Exit status.
        status: std::process::ExitStatus,
        /// Standard output and standard error.
        output: String,
    },
    /// A stack was not created or updated.
    #[error("stack {stack} failed: {}", reasons.join("; "))]
    StackFailed {
        /// Name of the stack.
        stack: String,
        /// Reasons of the failed resources, in the order of the failures.
        reasons: Vec<String>,
        /// Output of the deployment.
        output: String,
    },
    /// A stack lacks an output.
    #[error("stack {stack} has no output {output}")]
    OutputMissing {
        /// Name of the stack.
        stack: String,
        /// Name of the output.
        output: String,
    },
    /// A condition was not met in time.
    #[error("timed out after {} s waiting for {what}; last state: {last_seen}", waited.as_secs())]
    TimedOut {
        /// Description of the condition.
        what: String,
        /// Time waited.
        waited: Duration,
        /// State at the last poll.
        last_seen: String,
    },
    /// An AWS request failed.
    #[error("{operation} failed: {detail}")]
    Aws {
        /// Operation and its resource.
        operation: String,
        /// Error with its causes.
        detail: String,
    },
    /// A text is not the expected JSON.
    #[error("{what} is not the expected JSON")]
    Json {
        /// Name of the text.
        what: String,
        /// Error of the parser.
        source: serde_json::Error,
    },
    /// An exchange over the Runtime API failed.
    #[error("runtime API: {detail}")]
    RuntimeApi {
        /// Description of the failure.
        detail: String,
    },
}

impl HarnessError {
    /// Wraps an error of the operating system.
    pub fn io(action: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let action = action.into();
        move |source| Self::Io { action, source }
    }

    /// Wraps an error of an AWS request with all its causes.
    pub fn aws<E>(operation: impl Into<String>) -> impl FnOnce(E) -> Self
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        let operation = operation.into();
        move |error| Self::Aws {
            operation,
            detail: DisplayErrorContext(error).to_string(),
        }
    }

    /// Wraps an error of the JSON parser.
    pub fn json(what: impl Into<String>) -> impl FnOnce(serde_json::Error) -> Self {
        let what = what.into();
        move |source| Self::Json { what, source }
    }
}

/// Returns the error and all its causes in one line.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}
