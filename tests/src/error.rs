//! What can go wrong in the harness itself.

use std::path::PathBuf;
use std::time::Duration;

use aws_sdk_s3::error::DisplayErrorContext;

/// Result of everything fallible in the harness.
pub type Result<T> = std::result::Result<T, HarnessError>;

/// A failure of the harness, or of a program that it runs.
#[derive(Debug, thiserror::Error)]
pub enum HarnessError {
    /// A tool that `make setup` installs is not there.
    #[error("{tool} is missing at {}; run `make setup`", path.display())]
    ToolMissing {
        /// What it is called.
        tool: &'static str,
        /// Where it was looked for.
        path: PathBuf,
    },
    /// A function's binary has not been built.
    #[error("{} is missing; run `make build`", path.display())]
    BinaryMissing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The operating system refused something.
    #[error("{action} failed")]
    Io {
        /// What was attempted.
        action: String,
        /// The refusal.
        source: std::io::Error,
    },
    /// A program ended although it was expected to go on.
    #[error("{program} ended with {status}; its output:\n{output}")]
    Ended {
        /// Which program.
        program: String,
        /// How it ended.
        status: std::process::ExitStatus,
        /// What it had written.
        output: String,
    },
    /// A program that should succeed did not.
    #[error("`{command}` failed with {status}:\n{output}")]
    CommandFailed {
        /// The command line.
        command: String,
        /// How it ended.
        status: std::process::ExitStatus,
        /// Both of its output streams.
        output: String,
    },
    /// A stack could not be created or changed.
    #[error("stack {stack} failed: {}", reasons.join("; "))]
    StackFailed {
        /// The stack's name.
        stack: String,
        /// Reasons of the failed resources, the first failure first.
        reasons: Vec<String>,
        /// What the deployment printed.
        output: String,
    },
    /// A stack lacks an output.
    #[error("stack {stack} has no output {output}")]
    OutputMissing {
        /// The stack's name.
        stack: String,
        /// The output's name.
        output: String,
    },
    /// A condition did not come true in time.
    #[error("waited {} s for {what}; last seen: {last_seen}", waited.as_secs())]
    TimedOut {
        /// The condition, in words.
        what: String,
        /// How long.
        waited: Duration,
        /// The state at the last look.
        last_seen: String,
    },
    /// An AWS request failed.
    #[error("{operation} failed: {detail}")]
    Aws {
        /// The operation's name and what it was about.
        operation: String,
        /// The chain of causes.
        detail: String,
    },
    /// Something was not the JSON that it should be.
    #[error("{what} is not the expected JSON")]
    Json {
        /// What was read.
        what: String,
        /// Where reading stopped.
        source: serde_json::Error,
    },
    /// A Runtime API exchange broke.
    #[error("runtime API: {detail}")]
    RuntimeApi {
        /// What happened.
        detail: String,
    },
}

impl HarnessError {
    /// Wraps a refusal of the operating system.
    pub fn io(action: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let action = action.into();
        move |source| Self::Io { action, source }
    }

    /// Wraps a failed AWS request with its whole chain of causes.
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

    /// Wraps text that is not the JSON it should be.
    pub fn json(what: impl Into<String>) -> impl FnOnce(serde_json::Error) -> Self {
        let what = what.into();
        move |source| Self::Json { what, source }
    }
}

/// The error and all of its causes in one line, for programs and failed assertions.
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
