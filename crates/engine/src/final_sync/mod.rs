//! The final sync: reconciles the tasks of S3 Batch Operations and the items of a Distributed Map.

mod map;
mod parameters;
mod summary;
mod tasks;

use crate::batch::BatchReconciler;
use crate::ports::{Clock, Continuations, DestinationBucket, SourceBucket, StateStore};
use crate::results::ResultStore;
use s3ferry_core::batch_operations::{
    AttributeDepth, FinalSyncRequest, JobInvocation, JobInvocationResponse, RequestFormatError, parse_request,
};
use s3ferry_core::failure::Failure;
use s3ferry_core::names::BucketName;
use s3ferry_core::policy::Policy;
use s3ferry_core::time::Timestamp;
use serde::Serialize;
use serde_json::Value;

use crate::invocation_counts::InvocationCounts;
pub use map::{LostItemsResponse, MapBatchResponse, RunStartResponse};
pub use parameters::JobTerms;
pub use summary::RunEndResponse;

/// The handler of the final-sync function.
///
/// `batches` creates the engine for the settings of a job. `results` stores the results of executions.
#[derive(Debug)]
pub struct FinalSync<F, R> {
    batches: F,
    settings: Policy,
    results: Option<R>,
    report: ReportCounts,
}

/// A function that reports the counts of an invocation, with the source bucket and the time.
pub type ReportCounts = fn(&BucketName, &InvocationCounts, Timestamp);

/// Ignores the counts of an invocation.
fn unreported(_bucket: &BucketName, _counts: &InvocationCounts, _now: Timestamp) {}

/// One invocation of the function.
#[derive(Debug, Clone, Copy)]
pub struct FinalSyncInvocation<'a> {
    /// The invocation's id, which a repeated invocation shares.
    pub id: &'a str,
    /// The time at which the invocation ends.
    pub deadline: Timestamp,
}

/// The response of an invocation.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum FinalSyncResponse {
    /// The response to S3 Batch Operations.
    Job(JobInvocationResponse),
    /// The response to a batch of a Distributed Map.
    Map(MapBatchResponse),
    /// The response to the state machine at the start of an execution.
    Begun(RunStartResponse),
    /// The response to the state machine once the results of lost items are stored.
    Recorded(LostItemsResponse),
    /// The response to the state machine at the end of an execution.
    Concluded(RunEndResponse),
}

/// Why an invocation failed as a whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FinalSyncError {
    /// The request is malformed, or its schema permits no response per task.
    #[error("{}: {error}", .error.code())]
    Request {
        /// The error in the request.
        error: RequestFormatError,
    },
    /// An execution requires a state bucket for its results.
    #[error("no state bucket for the results of the execution: set STATE_BUCKET")]
    NoStateBucket,
    /// The results of an execution were not stored. Its items run again.
    #[error("results not stored: {failure}")]
    Results {
        /// The failure of the request to the state bucket.
        failure: Failure,
    },
    /// The invocation ended before the results were stored.
    #[error("results not stored before the deadline of the invocation")]
    OutOfTime,
}

impl From<RequestFormatError> for FinalSyncError {
    fn from(error: RequestFormatError) -> Self {
        Self::Request { error }
    }
}

impl From<Failure> for FinalSyncError {
    fn from(failure: Failure) -> Self {
        Self::Results { failure }
    }
}

impl FinalSyncError {
    /// Returns the error name that a state machine can catch.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Request { error } => error.code(),
            Self::NoStateBucket => "StateBucketNotSet",
            Self::Results { .. } | Self::OutOfTime => "ResultsNotKept",
        }
    }
}

impl<F, R, S, D, C, J, Q> FinalSync<F, R>
where
    F: Fn(&JobTerms) -> BatchReconciler<S, D, C, J, Q>,
    R: ResultStore,
    S: SourceBucket,
    D: DestinationBucket,
    C: Clock,
    J: StateStore,
    Q: Continuations,
{
    /// Creates a final sync that reports no counts.
    pub fn new(batches: F, settings: Policy, results: Option<R>) -> Self {
        Self {
            batches,
            settings,
            results,
            report: unreported,
        }
    }

    /// Reports the counts of each invocation to `report`.
    #[must_use]
    pub fn reporting(self, report: ReportCounts) -> Self {
        Self { report, ..self }
    }

    /// Handles one invocation.
    pub async fn handle(
        &self,
        payload: &Value,
        invocation: &FinalSyncInvocation<'_>,
    ) -> Result<FinalSyncResponse, FinalSyncError> {
        let deadline = invocation.deadline;
        // Boxed: the engine's future is large, and every caller's future would be as large.
        let reply = match parse_request(payload) {
            Ok(FinalSyncRequest::Job(job)) => {
                Ok(FinalSyncResponse::Job(Box::pin(self.answer_job(&job, deadline)).await))
            }
            Ok(FinalSyncRequest::Map(batch)) => Box::pin(self.answer_map(&batch, invocation))
                .await
                .map(FinalSyncResponse::Map),
            Ok(FinalSyncRequest::Begin(begin)) => self.begin(&begin).map(FinalSyncResponse::Begun),
            Ok(FinalSyncRequest::Lost(lost)) => Box::pin(self.record_lost_items(&lost, invocation))
                .await
                .map(FinalSyncResponse::Recorded),
            Ok(FinalSyncRequest::Conclude(end)) => Box::pin(self.conclude(end, deadline))
                .await
                .map(FinalSyncResponse::Concluded),
            Err(error) => {
                let counts = InvocationCounts {
                    unreadable: 1,
                    ..InvocationCounts::default()
                };
                self.report(&self.engine_of_settings(), &counts);
                Err(error.into())
            }
        };
        if let Err(error) = &reply {
            tracing::error!(error.code = error.code(), %error, "invocation failed");
        }
        reply
    }

    async fn answer_job(&self, job: &JobInvocation, deadline: Timestamp) -> JobInvocationResponse {
        let terms = job.arguments.clone();
        let terms = terms.and_then(|arguments| JobTerms::of_job(&self.settings, &arguments, true));
        let tasks: Vec<tasks::RequestedKey<'_>> = job
            .tasks
            .iter()
            .map(|task| tasks::RequestedKey {
                id: task.id.clone(),
                target: &task.target,
                repeated: job.attempt > 1,
            })
            .collect();
        let results = self
            .results_of(&tasks, &terms, tasks::RequestOrigin::Task, deadline)
            .await;
        let ids = job.tasks.iter().map(|task| task.id.as_str());
        JobInvocationResponse::new(&job.schema_version, &job.invocation_id, ids.zip(&results))
    }

    /// Returns an engine with the settings of the function.
    fn engine_of_settings(&self) -> BatchReconciler<S, D, C, J, Q> {
        (self.batches)(&JobTerms {
            policy: self.settings.clone(),
            depth: AttributeDepth::default(),
            requeue: true,
        })
    }

    fn report(&self, batch: &BatchReconciler<S, D, C, J, Q>, counts: &InvocationCounts) {
        (self.report)(&batch.source_bucket, counts, batch.reconciler.clock.now());
    }
}
