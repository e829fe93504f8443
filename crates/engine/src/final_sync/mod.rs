//! The final sync: tasks of S3 Batch Operations and items of a Distributed Map, each reconciled and answered.

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

/// Runs final syncs. `batches` makes the engine for a job's terms, `results` is where runs are put on record.
#[derive(Debug)]
pub struct FinalSync<F, R> {
    batches: F,
    settings: Policy,
    results: Option<R>,
    report: ReportCounts,
}

/// Where the counts of each invocation go, with the source bucket and the time.
pub type ReportCounts = fn(&BucketName, &InvocationCounts, Timestamp);

/// For whom nobody counts.
fn unreported(_bucket: &BucketName, _counts: &InvocationCounts, _now: Timestamp) {}

/// One invocation of the function.
#[derive(Debug, Clone, Copy)]
pub struct FinalSyncInvocation<'a> {
    /// Its id, the same when the same invocation is repeated.
    pub id: &'a str,
    /// When it ends.
    pub deadline: Timestamp,
}

/// What an invocation answers.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum FinalSyncResponse {
    /// To S3 Batch Operations.
    Job(JobInvocationResponse),
    /// To a Distributed Map.
    Map(MapBatchResponse),
    /// To the state machine, at the beginning of a run.
    Begun(RunStartResponse),
    /// To the state machine, once lost items are on record.
    Recorded(LostItemsResponse),
    /// To the state machine, at the end of a run.
    Concluded(RunEndResponse),
}

/// Why an invocation failed as a whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FinalSyncError {
    /// The request cannot be read, or not be answered task by task.
    #[error("{}: {error}", .error.code())]
    Request {
        /// What is the matter with it.
        error: RequestFormatError,
    },
    /// A run needs a place for its results.
    #[error("STATE_BUCKET is not set, and a run of the state machine keeps its results there")]
    NoStateBucket,
    /// The results of a run are not on record; its items are run again.
    #[error("the results cannot be kept: {failure}")]
    Results {
        /// What happened.
        failure: Failure,
    },
    /// The time of the invocation ran out over the results.
    #[error("the results were not kept in time")]
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
    /// Returns the name by which a state machine can catch the error.
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
    /// Makes a final sync.
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
        // In boxes: the engine's future is large, and would be as large in every caller.
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

    /// The engine as it is configured.
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
