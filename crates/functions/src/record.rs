//! The records of a payload: taken apart, concluded one by one, each with its one line in the log.

use s3ferry_core::event::{EventError, EventMessage, KeyHint, Payload, QueueMessage};
use s3ferry_core::outcome::Outcome;
use s3ferry_core::redelivery::RedeliveryReason;
use s3ferry_engine::batch::RecordResult;

use s3ferry_engine::invocation_counts::InvocationCounts;
use s3ferry_engine::record::{RecordOrigin, count, log};

/// A record on its way: what it says, and the message it came in.
#[derive(Debug)]
pub(crate) struct PayloadRecord<'a> {
    pub(crate) message: Option<&'a QueueMessage>,
    content: Content<'a>,
}

#[derive(Debug)]
enum Content<'a> {
    Hint(&'a KeyHint),
    Unreadable(&'a EventError),
    /// A test event, or a message with no records: nothing to do.
    Nothing(&'static str),
}

/// Takes a payload apart into records.
pub(crate) fn parts(payload: &Payload) -> Vec<PayloadRecord<'_>> {
    match payload {
        Payload::Queue(messages) => messages
            .iter()
            .flat_map(|queued| message_parts(Some(queued), &queued.message))
            .collect(),
        Payload::Direct(messages) => messages
            .iter()
            .flat_map(|message| message_parts(None, message))
            .collect(),
    }
}

fn message_parts<'a>(
    queued: Option<&'a QueueMessage>,
    message: &'a Result<EventMessage, EventError>,
) -> Vec<PayloadRecord<'a>> {
    let part = |content| PayloadRecord {
        message: queued,
        content,
    };
    match message {
        Err(error) => vec![part(Content::Unreadable(error))],
        Ok(EventMessage::TestEvent) => vec![part(Content::Nothing("test-event"))],
        Ok(EventMessage::Records(records)) if records.is_empty() => vec![part(Content::Nothing("no-records"))],
        Ok(EventMessage::Records(records)) => records
            .iter()
            .map(|record| match record {
                Ok(hint) => part(Content::Hint(hint)),
                Err(error) => part(Content::Unreadable(error)),
            })
            .collect(),
    }
}

/// Why a record is not done.
#[derive(Debug)]
pub(crate) struct RecordProblem {
    /// What it waits for.
    pub(crate) redelivery_reason: RedeliveryReason,
    /// What is the matter with it.
    pub(crate) text: String,
}

impl PayloadRecord<'_> {
    /// Tells whether the part is a record at all: a test event, or a message without records, is none.
    pub(crate) fn is_record(&self) -> bool {
        !matches!(self.content, Content::Nothing(_))
    }

    pub(crate) fn hint(&self) -> Option<&KeyHint> {
        match self.content {
            Content::Hint(hint) => Some(hint),
            Content::Unreadable(_) | Content::Nothing(_) => None,
        }
    }

    /// Logs the one line that a record ends with, counts it, and says whether it is durable.
    ///
    /// `results` holds the results of the parts that are hints, in their order.
    pub(crate) fn conclude<'s>(
        &self,
        results: &mut impl Iterator<Item = &'s RecordResult>,
        counts: &mut InvocationCounts,
    ) -> Result<(), RecordProblem> {
        let message_id = self.message.map(|queued| queued.id.as_str());
        match self.content {
            Content::Nothing(reason) => {
                tracing::info!(message.id = message_id, outcome = "skipped", reason, "record done");
                Ok(())
            }
            Content::Unreadable(error) => {
                counts.unreadable += 1;
                let code = error.code();
                tracing::error!(message.id = message_id, outcome = "unreadable", error.code = code, %error, "record failed");
                Err(RecordProblem {
                    redelivery_reason: RedeliveryReason::Nobody,
                    text: format!("{code}: {error}"),
                })
            }
            Content::Hint(hint) => match results.next() {
                Some(settled) => {
                    count(settled, counts);
                    log(RecordOrigin::Message(message_id), hint, settled);
                    durable(settled)
                }
                // `settle` answers every hint; were one unanswered, it must not be acknowledged.
                None => Err(RecordProblem {
                    redelivery_reason: RedeliveryReason::Repair,
                    text: format!("{}: no result", hint.key),
                }),
            },
        }
    }
}

fn durable(settled: &RecordResult) -> Result<(), RecordProblem> {
    if settled.acknowledged {
        return Ok(());
    }
    let problem = match &settled.report.outcome {
        Outcome::Failed(failure) => RecordProblem {
            redelivery_reason: if settled.is_foreign() {
                RedeliveryReason::Nobody
            } else {
                RedeliveryReason::after(failure.kind)
            },
            text: failure.to_string(),
        },
        Outcome::Deferred(reason) => RecordProblem {
            redelivery_reason: RedeliveryReason::BetterTimes,
            text: format!("not done yet: {}", reason.as_str()),
        },
        other => RecordProblem {
            redelivery_reason: RedeliveryReason::BetterTimes,
            text: format!("{}, and to be looked at again", other.as_str()),
        },
    };
    Err(if settled.report.outcome_unknown {
        RecordProblem {
            redelivery_reason: RedeliveryReason::Landing,
            ..problem
        }
    } else {
        problem
    })
}
