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
use s3ferry_core::event::{EventError, Hint, MessageId, Payload, QueueMessage, parse_payload};
use s3ferry_core::redelivery::{WaitsFor, aspects_after_interruption};
use s3ferry_core::time::Timestamp;
use s3ferry_engine::batch::Batch;
use s3ferry_engine::counts::Counts;
use s3ferry_engine::ports::{Clock, Continuations, DestinationBucket, Redelivery, SourceBucket, StateStore};
use s3ferry_engine::record::log_denials;
use serde::Serialize;
use serde_json::Value;

use crate::config::Config;
use crate::metrics::to_line;
use crate::on_aws;
use crate::record::{Part, Problem, parts};

/// How long the queue is told when failed messages come back, out of what an invocation keeps back for its answer.
const TELLING: Duration = Duration::from_secs(2);

/// Replicates what events name.
#[derive(Debug)]
pub struct Replicator<S, D, C, J, Q> {
    batch: Batch<S, D, C, J, Q>,
}

/// What an invocation answers.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Answer {
    /// To a queue: the messages that must come back.
    Queue(SqsBatchResponse),
    /// To anything else, once every record is done.
    Direct(Summary),
}

/// What a direct invocation achieved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// How many records the invocation brought; a test event is none.
    pub records: usize,
    /// How many objects were copied.
    pub copied: u64,
    /// How many objects had something around their bytes changed.
    pub amended: u64,
    /// How many objects were deleted.
    pub deleted: u64,
    /// How many keys needed nothing.
    pub skipped: u64,
    /// How many keys a continuation brings back.
    pub handed_over: u64,
}

/// Why an invocation failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvocationError {
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

impl From<InvocationError> for Diagnostic {
    /// Names the error for whoever invoked the function.
    fn from(error: InvocationError) -> Self {
        let error_type = match &error {
            InvocationError::Payload { error } => error.code(),
            InvocationError::NotDone { .. } => "NotDone",
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
    pub fn new(batch: Batch<S, D, C, J, Q>) -> Self {
        Self { batch }
    }

    /// Handles one invocation, which ends at `deadline`.
    pub async fn handle(&self, payload: &Value, deadline: Timestamp) -> Result<Answer, InvocationError> {
        let parsed = parse_payload(payload).map_err(|error| {
            tracing::error!(error.code = error.code(), %error, "payload refused");
            self.report(&Counts {
                unreadable: 1,
                ..Counts::default()
            });
            InvocationError::Payload { error }
        })?;
        let parts = parts(&parsed);
        let mut hints: Vec<Hint> = parts.iter().filter_map(Part::hint).cloned().collect();
        if matches!(parsed, Payload::Direct(_)) {
            // Lambda repeats a failed asynchronous invocation and does not say so: each may follow an interrupted one.
            // https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
            for hint in &mut hints {
                hint.aspects.extend(aspects_after_interruption());
            }
        }
        let settled = self.batch.settle(&hints, deadline).await;
        log_denials(&settled);

        let mut counts = Counts::default();
        let mut results = settled.iter();
        let concluded: Vec<Concluded<'_>> = parts
            .iter()
            .map(|part| (part.message, part.conclude(&mut results, &mut counts)))
            .collect();
        self.report(&counts);
        match &parsed {
            Payload::Queue(messages) => {
                let failed = failed_messages(messages, &concluded);
                self.bring_back(&failed).await;
                Ok(Answer::Queue(queue_answer(&failed)))
            }
            Payload::Direct(_) => {
                let records = parts.iter().filter(|part| part.is_record()).count();
                direct_answer(records, concluded, &counts).map(Answer::Direct)
            }
        }
    }

    /// Tells the queue when each failed message comes back. Where that fails, the queue's own time holds: nothing is lost.
    async fn bring_back(&self, failed: &[(&QueueMessage, WaitsFor)]) {
        let Some(queue) = &self.batch.continuations else { return };
        let returns = failed.iter().filter_map(|(message, waits_for)| {
            let (receipt, delay) = (message.receipt.as_ref()?, waits_for.delay(message.deliveries));
            Some(async move {
                if let Err(failure) = queue.return_after(receipt, delay).await {
                    tracing::warn!(message.id = message.id.as_str(), %failure, "the queue brings the message back later");
                }
            })
        });
        let told = stream::iter(returns)
            .buffer_unordered(self.batch.concurrency)
            .collect::<()>();
        // The answer must be heard in any case.
        let time_left = self.batch.reconciler.clock.sleep(TELLING);
        futures::future::select(pin!(told), pin!(time_left)).await;
    }

    /// Writes the metrics of an invocation where CloudWatch reads them.
    #[expect(
        clippy::print_stdout,
        reason = "the embedded metric format is a line of its own on standard output"
    )]
    fn report(&self, counts: &Counts) {
        let now = self.batch.reconciler.clock.now();
        println!("{}", to_line(counts, self.batch.source_bucket.as_str(), now));
    }
}

/// A part's message and whether the part is durable.
type Concluded<'a> = (Option<&'a QueueMessage>, Result<(), Problem>);

/// Finds the messages that must come back, each once and with what it waits for.
fn failed_messages<'a>(messages: &'a [QueueMessage], concluded: &[Concluded<'_>]) -> Vec<(&'a QueueMessage, WaitsFor)> {
    let parts = concluded
        .iter()
        .filter_map(|(message, outcome)| Some((&(*message)?.id, outcome)));
    let mut waits_for: BTreeMap<&MessageId, WaitsFor> = BTreeMap::new();
    for (id, outcome) in parts.clone() {
        if let Err(problem) = outcome {
            let longest = waits_for.entry(id).or_insert(problem.waits_for);
            *longest = problem.waits_for.max(*longest);
        }
    }
    to_redeliver(parts.map(|(id, outcome)| (id, outcome.is_ok())))
        .into_iter()
        .filter_map(|id| {
            let message = messages.iter().find(|message| message.id == *id)?;
            Some((message, *waits_for.get(id)?))
        })
        .collect()
}

fn queue_answer(failed: &[(&QueueMessage, WaitsFor)]) -> SqsBatchResponse {
    let failures = failed.iter().map(|(message, _)| {
        let mut failure = BatchItemFailure::default();
        message.id.as_str().clone_into(&mut failure.item_identifier);
        failure
    });
    let mut answer = SqsBatchResponse::default();
    answer.batch_item_failures = failures.collect();
    answer
}

fn direct_answer(records: usize, concluded: Vec<Concluded<'_>>, counts: &Counts) -> Result<Summary, InvocationError> {
    let problems: Vec<String> = concluded
        .into_iter()
        .filter_map(|(_, outcome)| Some(outcome.err()?.text))
        .collect();
    if !problems.is_empty() {
        return Err(InvocationError::NotDone { records, problems });
    }
    Ok(Summary {
        records,
        copied: counts.copied,
        amended: counts.amended,
        deleted: counts.deleted,
        skipped: counts.skipped,
        handed_over: counts.handed_over,
    })
}
