//! Records of a payload: parsed, and each ended with one log line.

use s3ferry_core::event::{EventError, EventMessage, KeyHint, Payload, QueueMessage};
use s3ferry_core::outcome::Outcome;
use s3ferry_core::redelivery::RedeliveryReason;
use s3ferry_engine::batch::RecordResult;

use s3ferry_engine::invocation_counts::InvocationCounts;
use s3ferry_engine::record::{RecordOrigin, count, log};

/// Part of a payload: a record, or a message without records.
#[derive(Debug)]
pub(crate) struct PayloadRecord<'a> {
    /// Queue message that carries the record; `None` in a direct invocation.
    pub(crate) message: Option<&'a QueueMessage>,
    content: Content<'a>,
}

#[derive(Debug)]
enum Content<'a> {
    Hint(&'a KeyHint),
    Unreadable(&'a EventError),
    /// Test event, or message without records; the text is the reason in the log.
    Nothing(&'static str),
}

/// Splits a payload into its records.
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

/// Reason why a record is not done.
#[derive(Debug)]
pub(crate) struct RecordProblem {
    /// Condition that decides when the message is redelivered.
    pub(crate) redelivery_reason: RedeliveryReason,
    /// Description for the error response and the log.
    pub(crate) text: String,
}

impl PayloadRecord<'_> {
    /// Returns whether the part is a record, and not a test event or a message without records.
    pub(crate) fn is_record(&self) -> bool {
        !matches!(self.content, Content::Nothing(_))
    }

    /// Returns the hint of a readable record.
    pub(crate) fn hint(&self) -> Option<&KeyHint> {
        match self.content {
            Content::Hint(hint) => Some(hint),
            Content::Unreadable(_) | Content::Nothing(_) => None,
        }
    }

    /// Logs and counts the record's result. Returns `Ok` if the record may be acknowledged.
    ///
    /// `results` yields the results of the records that have a hint, in the order of the payload.
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
                    redelivery_reason: RedeliveryReason::Unrecoverable,
                    text: format!("{code}: {error}"),
                })
            }
            Content::Hint(hint) => match results.next() {
                Some(result) => {
                    count(result, counts);
                    log(RecordOrigin::Message(message_id), hint, result);
                    durable(result)
                }
                // `reconcile_hints` returns a result for every hint. Without one the record is not acknowledged.
                None => Err(RecordProblem {
                    redelivery_reason: RedeliveryReason::Repair,
                    text: format!("{}: the engine returned no result", hint.key),
                }),
            },
        }
    }
}

/// Returns `Ok` if the record's outcome is durable, so that its message may be acknowledged.
fn durable(result: &RecordResult) -> Result<(), RecordProblem> {
    if result.acknowledged {
        return Ok(());
    }
    let problem = match &result.report.outcome {
        Outcome::Failed(failure) => RecordProblem {
            redelivery_reason: if result.is_foreign() {
                RedeliveryReason::Unrecoverable
            } else {
                RedeliveryReason::after(failure.kind)
            },
            text: failure.to_string(),
        },
        Outcome::Deferred(reason) => RecordProblem {
            redelivery_reason: RedeliveryReason::Transient,
            text: format!("not done yet: {}", reason.as_str()),
        },
        other => RecordProblem {
            redelivery_reason: RedeliveryReason::Transient,
            text: format!("{}, but the key must be read again", other.as_str()),
        },
    };
    Err(if result.report.outcome_unknown {
        RecordProblem {
            redelivery_reason: RedeliveryReason::OutcomeUnknown,
            ..problem
        }
    } else {
        problem
    })
}
