//! States of a job of either service.

use std::fmt;

use serde::{Deserialize, Serialize};

/// State of a job, in the terms of S3 Batch Operations.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/batch-ops-job-status.html>
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub enum JobState {
    /// The job was created.
    New,
    /// S3 reads the manifest.
    Preparing,
    /// The job awaits a confirmation.
    Suspended,
    /// The job is ready to run.
    Ready,
    /// The job runs.
    Active,
    /// A job of higher priority preempts the job.
    Pausing,
    /// The job is preempted or was paused.
    Paused,
    /// All tasks are done, and the report is written.
    Completing,
    /// All tasks were run.
    Complete,
    /// Cancellation of the job is in progress.
    Cancelling,
    /// The job was cancelled.
    Cancelled,
    /// The job is about to fail: too many of its tasks failed, or it cannot run.
    Failing,
    /// The job failed: too many of its tasks failed, or it could not run.
    Failed,
    /// State that s3ferry does not know.
    Unknown,
}

/// What happens to a job without intervention.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Running,
    Waiting,
    Finished,
}

impl JobState {
    /// All states except [`Unknown`](Self::Unknown).
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

    /// Parses a job status of S3 Batch Operations.
    #[must_use]
    pub fn parse(status: &str) -> Self {
        let known = Self::KNOWN.into_iter();
        let mut same = known.filter(|state| state.as_str().eq_ignore_ascii_case(status));
        same.next().unwrap_or(Self::Unknown)
    }

    /// Parses an execution status of Step Functions.
    ///
    /// <https://docs.aws.amazon.com/step-functions/latest/apireference/API_DescribeExecution.html>
    #[must_use]
    pub fn of_execution(status: &str) -> Self {
        match status {
            "RUNNING" | "PENDING_REDRIVE" => Self::Active,
            "SUCCEEDED" => Self::Complete,
            "FAILED" | "TIMED_OUT" => Self::Failed,
            "ABORTED" => Self::Cancelled,
            _ => Self::Unknown,
        }
    }

    /// Returns the name of the state.
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

    fn phase(self) -> Phase {
        match self {
            Self::New
            | Self::Preparing
            | Self::Ready
            | Self::Active
            | Self::Pausing
            | Self::Completing
            | Self::Cancelling
            | Self::Failing
            // A new status of S3 is probably an intermediate one.
            | Self::Unknown => Phase::Running,
            Self::Suspended | Self::Paused => Phase::Waiting,
            Self::Complete | Self::Cancelled | Self::Failed => Phase::Finished,
        }
    }

    /// Returns whether the state is final.
    #[must_use]
    pub fn is_over(self) -> bool {
        self.phase() == Phase::Finished
    }

    /// Returns whether the job makes no progress before an operator or another job acts.
    #[must_use]
    pub fn waits(self) -> bool {
        self.phase() == Phase::Waiting
    }
}

impl fmt::Display for JobState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// Progress of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobProgress {
    /// State of the job.
    pub state: JobState,
    /// Number of tasks, if known.
    pub total: Option<u64>,
    /// Number of tasks that succeeded.
    pub succeeded: u64,
    /// Number of tasks that failed.
    pub failed: u64,
    /// Reason that the service gives for the state.
    pub reason: Option<String>,
}

impl JobProgress {
    /// Returns the number of finished tasks.
    #[must_use]
    pub fn ended(&self) -> u64 {
        self.succeeded.saturating_add(self.failed)
    }

    /// Returns whether every task succeeded.
    #[must_use]
    pub fn is_all_done(&self) -> bool {
        self.state == JobState::Complete && self.failed == 0 && self.total.is_none_or(|total| total <= self.succeeded)
    }
}
