//! The replicator: from an invocation's payload to its answer.

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
use crate::metrics::to_line;
use crate::on_aws;
use crate::record::{PayloadRecord, RecordProblem, parts};

/// How long the queue is told when failed messages come back, out of what an invocation keeps back for its answer.
const TELLING: Duration = Duration::from_secs(2);

/// Replicates what events name.
#[derive(Debug)]
pub struct Replicator<S, D, C, J, Q> {
    batch: BatchReconciler<S, D, C, J, Q>,
}

/// What an invocation answers.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum ReplicatorResponse {
    /// To a queue: the messages that must come back.
    Queue(SqsBatchResponse),
    /// To anything else, once every record is done.
    Direct(DirectSummary),
}

/// What a direct invocation achieved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DirectSummary {
    /// How many records the invocation brought; a test event is none.
    pub records: usize,
    /// How many objects were copied.
    pub copied: u64,
    /// How many objects had something around their bytes changed.
    pub attributes_updated: u64,
    /// How many objects were deleted.
    pub deleted: u64,
    /// How many keys needed nothing.
    pub skipped: u64,
    /// How many keys a continuation brings back.
    pub requeued: u64,
}

/// Why an invocation failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReplicatorError {
    /// The payload is nothing that s3ferry knows.
    #[error("{}: {error}", .error.code())]
    Payload {
        /// What is the matter with it.
        error: EventError,
    },
    /// Records of a direct invocation are not done. It fails as a whole, so that Lambda runs it again and at last
    /// hands it to its failure destination.
    #[error("{} of {records} record(s) are not done: {}", .problems.len(), .problems.join("; "))]
    NotDone {
        /// How many records there were.
        records: usize,
        /// What is the matter with those that are not done.
        problems: Vec<String>,
    },
}

impl From<ReplicatorError> for Diagnostic {
    /// Names the error for whoever invoked the function.
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
    /// Makes a replicator that works on AWS.
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
    /// Makes a replicator of a batch engine.
    pub fn new(batch: BatchReconciler<S, D, C, J, Q>) -> Self {
        Self { batch }
    }

    /// Handles one invocation, which ends at `deadline`.
    pub async fn handle(&self, payload: &Value, deadline: Timestamp) -> Result<ReplicatorResponse, ReplicatorError> {
        let parsed = parse_payload(payload).map_err(|error| {
            tracing::error!(error.code = error.code(), %error, "payload refused");
            self.report(&InvocationCounts {
                unreadable: 1,
                ..InvocationCounts::default()
            });
            ReplicatorError::Payload { error }
        })?;
        let parts = parts(&parsed);
        let mut hints: Vec<KeyHint> = parts.iter().filter_map(PayloadRecord::hint).cloned().collect();
        if matches!(parsed, Payload::Direct(_)) {
            // Lambda repeats a failed asynchronous invocation and does not say so: each may follow an interrupted one.
            // https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
            for hint in &mut hints {
                hint.attributes.extend(attributes_after_interruption());
            }
        }
        let settled = self.batch.reconcile_hints(&hints, deadline).await;
        log_denials(&settled);

        let mut counts = InvocationCounts::default();
        let mut results = settled.iter();
        let concluded: Vec<Concluded<'_>> = parts
            .iter()
            .map(|part| (part.message, part.conclude(&mut results, &mut counts)))
            .collect();
        self.report(&counts);
        match &parsed {
            Payload::Queue(messages) => {
                let failed = failed_messages(messages, &concluded);
                self.requeue_key(&failed).await;
                Ok(ReplicatorResponse::Queue(queue_answer(&failed)))
            }
            Payload::Direct(_) => {
                let records = parts.iter().filter(|part| part.is_record()).count();
                direct_answer(records, concluded, &counts).map(ReplicatorResponse::Direct)
            }
        }
    }

    /// Tells the queue when each failed message comes back. Where that fails, the queue's own time holds: nothing is lost.
    async fn requeue_key(&self, failed: &[(&QueueMessage, RedeliveryReason)]) {
        let Some(queue) = &self.batch.continuations else { return };
        let returns = failed.iter().filter_map(|(message, redelivery_reason)| {
            let (receipt, delay) = (message.receipt.as_ref()?, redelivery_reason.delay(message.deliveries));
            Some(async move {
                if let Err(failure) = queue.return_after(receipt, delay).await {
                    tracing::warn!(message.id = message.id.as_str(), %failure, "the queue brings the message back later");
                }
            })
        });
        let verified_keys = stream::iter(returns)
            .buffer_unordered(self.batch.concurrency)
            .collect::<()>();
        // The answer must be heard in any case.
        let time_left = self.batch.reconciler.clock.sleep(TELLING);
        futures::future::select(pin!(verified_keys), pin!(time_left)).await;
    }

    /// Writes the metrics of an invocation where CloudWatch reads them.
    #[expect(
        clippy::print_stdout,
        reason = "the embedded metric format is a line of its own on standard output"
    )]
    fn report(&self, counts: &InvocationCounts) {
        let now = self.batch.reconciler.clock.now();
        println!("{}", to_line(counts, self.batch.source_bucket.as_str(), now));
    }
}

/// A part's message and whether the part is durable.
type Concluded<'a> = (Option<&'a QueueMessage>, Result<(), RecordProblem>);

/// Finds the messages that must come back, each once and with what it waits for.
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

fn queue_answer(failed: &[(&QueueMessage, RedeliveryReason)]) -> SqsBatchResponse {
    let failures = failed.iter().map(|(message, _)| {
        let mut failure = BatchItemFailure::default();
        message.id.as_str().clone_into(&mut failure.item_identifier);
        failure
    });
    let mut answer = SqsBatchResponse::default();
    answer.batch_item_failures = failures.collect();
    answer
}

fn direct_answer(
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
