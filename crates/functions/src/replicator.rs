//! The `replicator` function: from the payload of an invocation to its response.

use std::collections::BTreeMap;
use std::pin::pin;
use std::time::Duration;

use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse};
use futures::{StreamExt as _, stream};
use lambda_runtime::Diagnostic;
use s3ferry_aws::client::Clients;
use s3ferry_aws::clock::SystemClock;
use s3ferry_aws::destination::S3Destination;
use s3ferry_aws::journal::S3Journal;
use s3ferry_aws::queue::SqsContinuations;
use s3ferry_aws::source::S3Source;
use s3ferry_core::acknowledge::to_redeliver;
use s3ferry_core::event::{EventError, KeyHint, MessageId, Payload, QueueMessage, parse_payload};
use s3ferry_core::redelivery::{RedeliveryReason, attributes_after_interruption};
use s3ferry_core::time::Timestamp;
use s3ferry_engine::batch::BatchReconciler;
use s3ferry_engine::invocation_counts::InvocationCounts;
use s3ferry_engine::ports::{Clock, Continuations, DestinationBucket, Redelivery, SourceBucket, StateStore};
use s3ferry_engine::record::log_denials;
use serde::Serialize;
use serde_json::Value;

use crate::config::Config;
use crate::metrics::to_lines;
use crate::on_aws;
use crate::record::{PayloadRecord, RecordProblem, parts};
use crate::version::FULL_VERSION;

/// Time limit of setting the visibility timeouts of failed messages, within the time reserved for the response.
const REDELIVERY_BUDGET: Duration = Duration::from_secs(2);

/// Handler that reconciles the keys of events.
#[derive(Debug)]
pub struct Replicator<S, D, C, J, Q> {
    batch: BatchReconciler<S, D, C, J, Q>,
}

/// Response of an invocation.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum ReplicatorResponse {
    /// Response to a queue: the messages to redeliver.
    Queue(SqsBatchResponse),
    /// Response to any other invocation, once every record is done.
    Direct(DirectSummary),
}

/// Counts of a direct invocation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DirectSummary {
    /// Records in the payload, test events excluded.
    pub records: usize,
    /// Objects copied.
    pub copied: u64,
    /// Objects whose attributes changed without a copy.
    pub attributes_updated: u64,
    /// Objects deleted.
    pub deleted: u64,
    /// Keys left unchanged.
    pub skipped: u64,
    /// Keys requeued with a continuation.
    pub requeued: u64,
}

/// Error of an invocation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReplicatorError {
    /// The payload is not an event that s3ferry supports.
    #[error("{}: {error}", .error.code())]
    Payload {
        /// Error of the parser.
        error: EventError,
    },
    /// Records of a direct invocation are not done. The whole invocation fails, so that Lambda retries it and then
    /// sends it to its failure destination.
    #[error("{} of {records} record(s) are not done: {}", .problems.len(), .problems.join("; "))]
    NotDone {
        /// Records in the payload.
        records: usize,
        /// Problems of the records that are not done.
        problems: Vec<String>,
    },
}

impl From<ReplicatorError> for Diagnostic {
    /// Converts the error to the error response of Lambda.
    fn from(error: ReplicatorError) -> Self {
        let error_type = match &error {
            ReplicatorError::Payload { error } => error.code(),
            ReplicatorError::NotDone { .. } => "NotDone",
        };
        Self {
            error_type: error_type.to_owned(),
            error_message: error.to_string(),
        }
    }
}

impl Replicator<S3Source, S3Destination, SystemClock, S3Journal, SqsContinuations> {
    /// Creates a replicator on the AWS SDK.
    pub async fn on_aws(config: Config) -> Self {
        let clients = Clients::load(&config.source_region).await;
        Self::new(on_aws::batch(&clients, &config))
    }
}

impl<S, D, C, J, Q> Replicator<S, D, C, J, Q>
where
    S: SourceBucket,
    D: DestinationBucket,
    C: Clock,
    J: StateStore,
    Q: Continuations + Redelivery,
{
    /// Creates a replicator from a batch engine.
    pub fn new(batch: BatchReconciler<S, D, C, J, Q>) -> Self {
        Self { batch }
    }

    /// Handles one invocation, which ends at `deadline`.
    pub async fn handle(&self, payload: &Value, deadline: Timestamp) -> Result<ReplicatorResponse, ReplicatorError> {
        let parsed = parse_payload(payload).map_err(|error| {
            tracing::error!(error.code = error.code(), %error, "payload not readable");
            self.report(&InvocationCounts {
                unreadable: 1,
                ..InvocationCounts::default()
            });
            ReplicatorError::Payload { error }
        })?;
        let parts = parts(&parsed);
        let mut hints: Vec<KeyHint> = parts.iter().filter_map(PayloadRecord::hint).cloned().collect();
        if matches!(parsed, Payload::Direct(_)) {
            // Lambda retries a failed asynchronous invocation without marking the retry, so each invocation may follow
            // an interrupted one.
            // https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
            for hint in &mut hints {
                hint.attributes.extend(attributes_after_interruption());
            }
        }
        let record_results = self.batch.reconcile_hints(&hints, deadline).await;
        log_denials(&record_results);

        let mut counts = InvocationCounts::default();
        let mut results = record_results.iter();
        let concluded: Vec<Concluded<'_>> = parts
            .iter()
            .map(|part| (part.message, part.conclude(&mut results, &mut counts)))
            .collect();
        self.report(&counts);
        match &parsed {
            Payload::Queue(messages) => {
                let failed = failed_messages(messages, &concluded);
                self.set_redelivery_delays(&failed).await;
                Ok(ReplicatorResponse::Queue(queue_response(&failed)))
            }
            Payload::Direct(_) => {
                let records = parts.iter().filter(|part| part.is_record()).count();
                direct_response(records, concluded, &counts).map(ReplicatorResponse::Direct)
            }
        }
    }

    /// Sets the visibility timeout of each failed message.
    ///
    /// If a request fails, the message is redelivered after the timeout of the queue.
    async fn set_redelivery_delays(&self, failed: &[(&QueueMessage, RedeliveryReason)]) {
        let Some(queue) = &self.batch.continuations else { return };
        let returns = failed.iter().filter_map(|(message, redelivery_reason)| {
            let (receipt, delay) = (
                message.receipt.as_ref()?,
                redelivery_reason.delay(message.receive_count),
            );
            Some(async move {
                if let Err(failure) = queue.set_visibility_timeout(receipt, delay).await {
                    tracing::warn!(
                        message.id = message.id.as_str(),
                        %failure,
                        "cannot set the visibility timeout; the timeout of the queue applies"
                    );
                }
            })
        });
        let requests = stream::iter(returns)
            .buffer_unordered(self.batch.concurrency)
            .collect::<()>();
        // The response must be returned in any case.
        let time_limit = self.batch.reconciler.clock.sleep(REDELIVERY_BUDGET);
        futures::future::select(pin!(requests), pin!(time_limit)).await;
    }

    /// Prints the metrics of an invocation, which CloudWatch reads from the log.
    #[expect(
        clippy::print_stdout,
        reason = "the embedded metric format is a line of its own on standard output"
    )]
    fn report(&self, counts: &InvocationCounts) {
        let now = self.batch.reconciler.clock.now();
        for line in to_lines(counts, self.batch.source_bucket.as_str(), FULL_VERSION, now) {
            println!("{line}");
        }
    }
}

/// The message of a record, and whether the record is done.
type Concluded<'a> = (Option<&'a QueueMessage>, Result<(), RecordProblem>);

/// Returns the messages to redeliver, each once and with the reason that needs the longest delay.
fn failed_messages<'a>(
    messages: &'a [QueueMessage],
    concluded: &[Concluded<'_>],
) -> Vec<(&'a QueueMessage, RedeliveryReason)> {
    let parts = concluded
        .iter()
        .filter_map(|(message, outcome)| Some((&(*message)?.id, outcome)));
    let mut redelivery_reason: BTreeMap<&MessageId, RedeliveryReason> = BTreeMap::new();
    for (id, outcome) in parts.clone() {
        if let Err(problem) = outcome {
            let longest = redelivery_reason.entry(id).or_insert(problem.redelivery_reason);
            *longest = problem.redelivery_reason.max(*longest);
        }
    }
    to_redeliver(parts.map(|(id, outcome)| (id, outcome.is_ok())))
        .into_iter()
        .filter_map(|id| {
            let message = messages.iter().find(|message| message.id == *id)?;
            Some((message, *redelivery_reason.get(id)?))
        })
        .collect()
}

fn queue_response(failed: &[(&QueueMessage, RedeliveryReason)]) -> SqsBatchResponse {
    let failures = failed.iter().map(|(message, _)| {
        let mut failure = BatchItemFailure::default();
        message.id.as_str().clone_into(&mut failure.item_identifier);
        failure
    });
    let mut answer = SqsBatchResponse::default();
    answer.batch_item_failures = failures.collect();
    answer
}

fn direct_response(
    records: usize,
    concluded: Vec<Concluded<'_>>,
    counts: &InvocationCounts,
) -> Result<DirectSummary, ReplicatorError> {
    let problems: Vec<String> = concluded
        .into_iter()
        .filter_map(|(_, outcome)| Some(outcome.err()?.text))
        .collect();
    if !problems.is_empty() {
        return Err(ReplicatorError::NotDone { records, problems });
    }
    Ok(DirectSummary {
        records,
        copied: counts.copied,
        attributes_updated: counts.attributes_updated,
        deleted: counts.deleted,
        skipped: counts.skipped,
        requeued: counts.requeued,
    })
}
