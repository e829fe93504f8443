//! The replicator: from an invocation's payload to its answer.

use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse};
use lambda_runtime::Diagnostic;
use s3ferry_aws::client::Clients;
use s3ferry_aws::clock::SystemClock;
use s3ferry_aws::destination::S3Destination;
use s3ferry_aws::queue::SqsContinuations;
use s3ferry_aws::source::S3Source;
use s3ferry_core::acknowledge::to_redeliver;
use s3ferry_core::event::{EventError, Hint, Message, MessageId, Payload, QueueMessage, parse_payload};
use s3ferry_core::failure::FailureKind;
use s3ferry_core::names::VersionId;
use s3ferry_core::outcome::Outcome;
use s3ferry_core::time::Timestamp;
use s3ferry_engine::batch::{Batch, Settled};
use s3ferry_engine::ports::{Clock, Continuations, DestinationBucket, SourceBucket};
use s3ferry_engine::reconcile::Reconciler;
use serde::Serialize;
use serde_json::Value;

use crate::config::Config;
use crate::metrics::Counts;

/// Replicates what events name.
#[derive(Debug)]
pub struct Replicator<S, D, C, Q> {
    batch: Batch<S, D, C, Q>,
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

/// A record on its way: what it says, and the message it came in.
struct Part<'a> {
    message: Option<&'a MessageId>,
    content: Content<'a>,
}

enum Content<'a> {
    Hint(&'a Hint),
    Unreadable(&'a EventError),
    /// A test event, or a message with no records: nothing to do.
    Nothing(&'static str),
}

impl Replicator<S3Source, S3Destination, SystemClock, SqsContinuations> {
    /// Makes a replicator that works on AWS.
    pub async fn on_aws(config: Config) -> Self {
        let clients = Clients::load(&config.source_region).await;
        let source = S3Source::new(
            clients.s3_for_reading(&config.source_region),
            config.source_bucket.clone(),
            config.source_region,
            config.source_bucket_owner.clone(),
            config.destination_bucket.clone(),
        );
        let destination = S3Destination::new(
            clients.s3_for_reading(&config.destination_region),
            clients.s3_for_writing(&config.destination_region),
            config.destination_bucket,
            config.destination_region,
            config.source_bucket.clone(),
            config.source_bucket_owner,
        );
        let continuations = config.queue_url.map(|url| SqsContinuations::new(clients.sqs(), url));
        Self::new(Batch {
            source_bucket: config.source_bucket,
            reconciler: Reconciler {
                source,
                destination,
                clock: SystemClock,
                policy: config.policy,
            },
            continuations,
            concurrency: config.max_concurrent_copies,
        })
    }
}

impl<S, D, C, Q> Replicator<S, D, C, Q>
where
    S: SourceBucket,
    D: DestinationBucket,
    C: Clock,
    Q: Continuations,
{
    /// Makes a replicator of a batch engine.
    pub fn new(batch: Batch<S, D, C, Q>) -> Self {
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
        let hints: Vec<Hint> = parts.iter().filter_map(Part::hint).cloned().collect();
        let settled = self.batch.settle(&hints, deadline).await;

        let mut counts = Counts::default();
        let mut results = settled.iter();
        let outcomes: Vec<(Option<&MessageId>, Result<(), String>)> = parts
            .iter()
            .map(|part| (part.message, part.conclude(&mut results, &mut counts)))
            .collect();
        self.report(&counts);
        match parsed {
            Payload::Queue(_) => Ok(Answer::Queue(queue_answer(&outcomes))),
            Payload::Direct(_) => {
                let records = parts
                    .iter()
                    .filter(|part| !matches!(part.content, Content::Nothing(_)))
                    .count();
                direct_answer(records, outcomes, &counts).map(Answer::Direct)
            }
        }
    }

    /// Writes the metrics of an invocation where CloudWatch reads them.
    #[expect(
        clippy::print_stdout,
        reason = "the embedded metric format is a line of its own on standard output"
    )]
    fn report(&self, counts: &Counts) {
        let now = self.batch.reconciler.clock.now();
        println!("{}", counts.to_line(self.batch.source_bucket.as_str(), now));
    }
}

/// Takes a payload apart into records.
fn parts(payload: &Payload) -> Vec<Part<'_>> {
    match payload {
        Payload::Queue(messages) => messages
            .iter()
            .flat_map(|QueueMessage { id, message }| message_parts(Some(id), message))
            .collect(),
        Payload::Direct(messages) => messages
            .iter()
            .flat_map(|message| message_parts(None, message))
            .collect(),
    }
}

fn message_parts<'a>(id: Option<&'a MessageId>, message: &'a Result<Message, EventError>) -> Vec<Part<'a>> {
    let part = |content| Part { message: id, content };
    match message {
        Err(error) => vec![part(Content::Unreadable(error))],
        Ok(Message::TestEvent) => vec![part(Content::Nothing("test-event"))],
        Ok(Message::Records(records)) if records.is_empty() => vec![part(Content::Nothing("no-records"))],
        Ok(Message::Records(records)) => records
            .iter()
            .map(|record| match record {
                Ok(hint) => part(Content::Hint(hint)),
                Err(error) => part(Content::Unreadable(error)),
            })
            .collect(),
    }
}

impl Part<'_> {
    fn hint(&self) -> Option<&Hint> {
        match self.content {
            Content::Hint(hint) => Some(hint),
            Content::Unreadable(_) | Content::Nothing(_) => None,
        }
    }

    /// Logs the one line that a record ends with, counts it, and says whether it is durable.
    ///
    /// `results` holds the results of the parts that are hints, in their order.
    fn conclude<'s>(&self, results: &mut impl Iterator<Item = &'s Settled>, counts: &mut Counts) -> Result<(), String> {
        let message_id = self.message.map(MessageId::as_str);
        match self.content {
            Content::Nothing(reason) => {
                tracing::info!(message.id = message_id, outcome = "skipped", reason, "record done");
                Ok(())
            }
            Content::Unreadable(error) => {
                counts.unreadable += 1;
                let code = error.code();
                tracing::error!(message.id = message_id, outcome = "unreadable", error.code = code, %error, "record failed");
                Err(format!("{code}: {error}"))
            }
            Content::Hint(hint) => match results.next() {
                Some(settled) => {
                    count(settled, counts);
                    log(message_id, hint, settled);
                    durable(settled)
                }
                // `settle` answers every hint; were one unanswered, it must not be acknowledged.
                None => Err(format!("{}: no result", hint.key)),
            },
        }
    }
}

fn durable(settled: &Settled) -> Result<(), String> {
    if settled.acknowledged {
        return Ok(());
    }
    Err(match &settled.report.outcome {
        Outcome::Failed(failure) => failure.to_string(),
        Outcome::Again(reason) => format!("not done yet: {}", reason.as_str()),
        other => format!("{}, and to be looked at again", other.as_str()),
    })
}

/// Counts records that failed, and keys once however many records named them.
fn count(settled: &Settled, counts: &mut Counts) {
    counts.stale += u64::from(settled.stale);
    if !settled.acknowledged {
        counts.failed += 1;
    }
    if let Outcome::Failed(failure) = &settled.report.outcome {
        counts.refused += u64::from(failure.code == "ForeignBucket");
    }
    if !settled.first_of_key {
        return;
    }
    counts.aspects_lost += u64::try_from(settled.report.lost.len()).unwrap_or(u64::MAX);
    match &settled.report.outcome {
        Outcome::Copied { size_bytes, .. } => {
            counts.copied += 1;
            counts.bytes_copied += size_bytes;
        }
        Outcome::Deleted => counts.deleted += 1,
        Outcome::Skipped(_) => counts.skipped += 1,
        Outcome::Again(_) => counts.handed_over += u64::from(settled.acknowledged),
        Outcome::Failed(_) => {}
    }
}

/// Logs the terminal event of a record: an error where an operator must act, a warning where something is degraded.
fn log(message_id: Option<&str>, hint: &Hint, settled: &Settled) {
    let report = &settled.report;
    let lost: Vec<&str> = report.lost.iter().map(|aspect| aspect.as_str()).collect();
    macro_rules! terminal {
        ($level:ident, $text:literal, $($field:tt)*) => {
            tracing::$level!(
                message.id = message_id,
                s3.bucket = %hint.bucket,
                s3.key = %hint.key,
                event.name = %hint.event_name,
                outcome = report.outcome.as_str(),
                turns = report.turns,
                duration_ms = u64::try_from(report.duration.as_millis()).unwrap_or(u64::MAX),
                stale = settled.stale,
                lost = %lost.join(","),
                $($field)*
                $text
            )
        };
    }
    match &report.outcome {
        Outcome::Failed(failure) => {
            let (kind, code) = (failure.kind.as_str(), &failure.code);
            match failure.kind {
                FailureKind::Retry | FailureKind::Again => {
                    terminal!(warn, "record failed", error.kind = kind, error.code = code, %failure,);
                }
                FailureKind::Permanent | FailureKind::Configuration | FailureKind::Bug => {
                    terminal!(error, "record failed", error.kind = kind, error.code = code, %failure,);
                }
            }
        }
        Outcome::Again(reason) => terminal!(
            warn,
            "record not done",
            reason = reason.as_str(),
            handed_over = settled.acknowledged,
        ),
        Outcome::Skipped(reason) if lost.is_empty() => terminal!(info, "record done", reason = reason.as_str(),),
        Outcome::Skipped(reason) => terminal!(warn, "record done, with aspects not carried", reason = reason.as_str(),),
        Outcome::Copied { version_id, size_bytes } => {
            let version_id = version_id.as_ref().map(VersionId::as_str);
            if lost.is_empty() {
                terminal!(
                    info,
                    "record done",
                    s3.version_id = version_id,
                    s3.size_bytes = size_bytes,
                );
            } else {
                terminal!(
                    warn,
                    "record done, with aspects lost",
                    s3.version_id = version_id,
                    s3.size_bytes = size_bytes,
                );
            }
        }
        Outcome::Deleted => terminal!(info, "record done",),
    }
}

fn queue_answer(outcomes: &[(Option<&MessageId>, Result<(), String>)]) -> SqsBatchResponse {
    let by_message = outcomes
        .iter()
        .filter_map(|(id, outcome)| Some(((*id)?, outcome.is_ok())));
    let failures = to_redeliver(by_message).into_iter().map(|id| {
        let mut failure = BatchItemFailure::default();
        id.as_str().clone_into(&mut failure.item_identifier);
        failure
    });
    let mut answer = SqsBatchResponse::default();
    answer.batch_item_failures = failures.collect();
    answer
}

fn direct_answer(
    records: usize,
    outcomes: Vec<(Option<&MessageId>, Result<(), String>)>,
    counts: &Counts,
) -> Result<Summary, InvocationError> {
    let problems: Vec<String> = outcomes.into_iter().filter_map(|(_, outcome)| outcome.err()).collect();
    if !problems.is_empty() {
        return Err(InvocationError::NotDone { records, problems });
    }
    Ok(Summary {
        records,
        copied: counts.copied,
        deleted: counts.deleted,
        skipped: counts.skipped,
        handed_over: counts.handed_over,
    })
}
