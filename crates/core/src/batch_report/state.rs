//! The state of a job, whichever engine runs it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The state of a job, in the words of S3 Batch Operations.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/batch-ops-job-status.html>
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub enum JobState {
    /// It was made.
    New,
    /// Its manifest is read.
    Preparing,
    /// It waits for a confirmation.
    Suspended,
    /// It waits for its turn.
    Ready,
    /// It runs.
    Active,
    /// A job of a higher priority takes its place.
    Pausing,
    /// It waits, and goes on by itself or where it is started again.
    Paused,
    /// Its tasks are done, its report is written.
    Completing,
    /// All of its tasks were run.
    Complete,
    /// Somebody cancelled it.
    Cancelling,
    /// Somebody cancelled it.
    Cancelled,
    /// Too many of its tasks failed, or it could not run.
    Failing,
    /// Too many of its tasks failed, or it could not run.
    Failed,
    /// A state that nobody here knows.
    Unknown,
}

/// Where a job is going by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Course {
    GoesOn,
    Waits,
    Over,
}

impl JobState {
    /// All states but the unknown one.
    pub const KNOWN: [Self; 13] = [
        Self::New,
        Self::Preparing,
        Self::Suspended,
        Self::Ready,
        Self::Active,
        Self::Pausing,
        Self::Paused,
        Self::Completing,
        Self::Complete,
        Self::Cancelling,
        Self::Cancelled,
        Self::Failing,
        Self::Failed,
    ];

    /// Reads S3's word.
    #[must_use]
    pub fn parse(word: &str) -> Self {
        let known = Self::KNOWN.into_iter();
        let mut same = known.filter(|state| state.as_str().eq_ignore_ascii_case(word));
        same.next().unwrap_or(Self::Unknown)
    }

    /// Reads the word of Step Functions.
    ///
    /// <https://docs.aws.amazon.com/step-functions/latest/apireference/API_DescribeExecution.html>
    #[must_use]
    pub fn of_execution(word: &str) -> Self {
        match word {
            "RUNNING" | "PENDING_REDRIVE" => Self::Active,
            "SUCCEEDED" => Self::Complete,
            "FAILED" | "TIMED_OUT" => Self::Failed,
            "ABORTED" => Self::Cancelled,
            _ => Self::Unknown,
        }
    }

    /// Returns the word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "New",
            Self::Preparing => "Preparing",
            Self::Suspended => "Suspended",
            Self::Ready => "Ready",
            Self::Active => "Active",
            Self::Pausing => "Pausing",
            Self::Paused => "Paused",
            Self::Completing => "Completing",
            Self::Complete => "Complete",
            Self::Cancelling => "Cancelling",
            Self::Cancelled => "Cancelled",
            Self::Failing => "Failing",
            Self::Failed => "Failed",
            Self::Unknown => "Unknown",
        }
    }

    fn course(self) -> Course {
        match self {
            Self::New
            | Self::Preparing
            | Self::Ready
            | Self::Active
            | Self::Pausing
            | Self::Completing
            | Self::Cancelling
            | Self::Failing
            // A new word of S3's is most likely a step on the way.
            | Self::Unknown => Course::GoesOn,
            Self::Suspended | Self::Paused => Course::Waits,
            Self::Complete | Self::Cancelled | Self::Failed => Course::Over,
        }
    }

    /// Tells whether nothing more will happen.
    #[must_use]
    pub fn is_over(self) -> bool {
        self.course() == Course::Over
    }

    /// Tells whether somebody, or another job, must act before anything more happens.
    #[must_use]
    pub fn waits(self) -> bool {
        self.course() == Course::Waits
    }
}

impl fmt::Display for JobState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// How far a job is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobProgress {
    /// Its state.
    pub state: JobState,
    /// How many tasks it has, once that is known.
    pub total: Option<u64>,
    /// How many of them are done.
    pub succeeded: u64,
    /// How many of them failed.
    pub failed: u64,
    /// What the service says of it.
    pub reason: Option<String>,
}

impl JobProgress {
    /// Returns how many tasks ended.
    #[must_use]
    pub fn ended(&self) -> u64 {
        self.succeeded.saturating_add(self.failed)
    }

    /// Tells whether every task is done.
    #[must_use]
    pub fn is_all_done(&self) -> bool {
        self.state == JobState::Complete && self.failed == 0 && self.total.is_none_or(|total| total <= self.succeeded)
    }
}
