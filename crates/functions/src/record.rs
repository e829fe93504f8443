//! The records of a payload: taken apart, concluded one by one, each with its one line in the log.

use s3ferry_core::event::{EventError, Hint, Message, Payload, QueueMessage};
use s3ferry_core::outcome::Outcome;
use s3ferry_core::redelivery::WaitsFor;
use s3ferry_engine::batch::Settled;

use s3ferry_engine::counts::Counts;
use s3ferry_engine::record::{Origin, count, log};

/// A record on its way: what it says, and the message it came in.
#[derive(Debug)]
pub(crate) struct Part<'a> {
    pub(crate) message: Option<&'a QueueMessage>,
    content: Content<'a>,
}

#[derive(Debug)]
enum Content<'a> {
    Hint(&'a Hint),
    Unreadable(&'a EventError),
    /// A test event, or a message with no records: nothing to do.
    Nothing(&'static str),
}

/// Takes a payload apart into records.
pub(crate) fn parts(payload: &Payload) -> Vec<Part<'_>> {
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

fn message_parts<'a>(queued: Option<&'a QueueMessage>, message: &'a Result<Message, EventError>) -> Vec<Part<'a>> {
    let part = |content| Part {
        message: queued,
        content,
    };
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

/// Why a record is not done.
#[derive(Debug)]
pub(crate) struct Problem {
    /// What it waits for.
    pub(crate) waits_for: WaitsFor,
    /// What is the matter with it.
    pub(crate) text: String,
}

impl Part<'_> {
    /// Tells whether the part is a record at all: a test event, or a message without records, is none.
    pub(crate) fn is_record(&self) -> bool {
        !matches!(self.content, Content::Nothing(_))
    }

    pub(crate) fn hint(&self) -> Option<&Hint> {
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
        results: &mut impl Iterator<Item = &'s Settled>,
        counts: &mut Counts,
    ) -> Result<(), Problem> {
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
                Err(Problem {
                    waits_for: WaitsFor::Nobody,
                    text: format!("{code}: {error}"),
                })
            }
            Content::Hint(hint) => match results.next() {
                Some(settled) => {
                    count(settled, counts);
                    log(Origin::Message(message_id), hint, settled);
                    durable(settled)
                }
                // `settle` answers every hint; were one unanswered, it must not be acknowledged.
                None => Err(Problem {
                    waits_for: WaitsFor::Repair,
                    text: format!("{}: no result", hint.key),
                }),
            },
        }
    }
}

fn durable(settled: &Settled) -> Result<(), Problem> {
    if settled.acknowledged {
        return Ok(());
    }
    let problem = match &settled.report.outcome {
        Outcome::Failed(failure) => Problem {
            waits_for: if settled.is_foreign() {
                WaitsFor::Nobody
            } else {
                WaitsFor::after(failure.kind)
            },
            text: failure.to_string(),
        },
        Outcome::Again(reason) => Problem {
            waits_for: WaitsFor::BetterTimes,
            text: format!("not done yet: {}", reason.as_str()),
        },
        other => Problem {
            waits_for: WaitsFor::BetterTimes,
            text: format!("{}, and to be looked at again", other.as_str()),
        },
    };
    Err(if settled.report.outcome_unknown {
        Problem {
            waits_for: WaitsFor::Landing,
            ..problem
        }
    } else {
        problem
    })
}
