//! The records of a payload: taken apart, concluded one by one, each with its one line in the log.

use s3ferry_core::event::{EventError, Hint, Message, Payload, QueueMessage};
use s3ferry_core::facts::Aspects;
use s3ferry_core::failure::FailureKind;
use s3ferry_core::names::VersionId;
use s3ferry_core::outcome::{Outcome, SkipReason};
use s3ferry_core::redelivery::WaitsFor;
use s3ferry_engine::batch::Settled;

use crate::metrics::Counts;

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

/// Where a record came from, for its line.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Origin<'a> {
    /// A message of a queue, or an invocation without one.
    Message(Option<&'a str>),
    /// A task of a job, or an item of a map.
    Task(&'a str),
}

impl<'a> Origin<'a> {
    fn message_id(self) -> Option<&'a str> {
        match self {
            Self::Message(id) => id,
            Self::Task(_) => None,
        }
    }

    fn task_id(self) -> Option<&'a str> {
        match self {
            Self::Message(_) => None,
            Self::Task(id) => Some(id),
        }
    }
}

/// Counts records that failed, and keys once however many records named them.
pub(crate) fn count(settled: &Settled, counts: &mut Counts) {
    counts.stale += u64::from(settled.stale);
    if !settled.acknowledged {
        counts.failed += 1;
    }
    counts.refused += u64::from(settled.is_foreign());
    if !settled.first_of_key {
        return;
    }
    counts.aspects_lost += u64::try_from(settled.report.lost.len()).unwrap_or(u64::MAX);
    match &settled.report.outcome {
        Outcome::Copied { size_bytes, .. } => {
            counts.copied += 1;
            counts.bytes_copied += size_bytes;
        }
        Outcome::Amended { .. } => counts.amended += 1,
        Outcome::Deleted => counts.deleted += 1,
        Outcome::Skipped(reason) => {
            counts.skipped += 1;
            counts.conflicts += u64::from(*reason == SkipReason::DestinationNewer);
        }
        Outcome::Again(_) => counts.handed_over += u64::from(settled.acknowledged),
        Outcome::Failed(_) => {}
    }
}

/// Logs the terminal event of a record: an error where an operator must act, a warning where something is degraded.
pub(crate) fn log(origin: Origin<'_>, hint: &Hint, settled: &Settled) {
    let report = &settled.report;
    let lost = listed(&report.lost);
    macro_rules! terminal {
        ($level:ident, $text:literal, $($field:tt)*) => {
            tracing::$level!(
                message.id = origin.message_id(),
                task.id = origin.task_id(),
                s3.bucket = %hint.bucket,
                s3.key = %hint.key,
                event.name = %hint.event_name,
                outcome = report.outcome.as_str(),
                turns = report.turns,
                duration_ms = u64::try_from(report.duration.as_millis()).unwrap_or(u64::MAX),
                stale = settled.stale,
                lost = %lost,
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
        Outcome::Skipped(reason @ SkipReason::DestinationNewer) => {
            terminal!(warn, "record done, with a conflict", reason = reason.as_str(),);
        }
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
        Outcome::Amended { aspects } => {
            let amended = listed(aspects);
            if lost.is_empty() {
                terminal!(info, "record done", amended = %amended,);
            } else {
                terminal!(warn, "record done, with aspects lost", amended = %amended,);
            }
        }
        Outcome::Deleted => terminal!(info, "record done",),
    }
}

/// Names aspects in the log, with commas between them.
fn listed(aspects: &Aspects) -> String {
    let names: Vec<&str> = aspects.iter().map(|aspect| aspect.as_str()).collect();
    names.join(",")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use s3ferry_core::facts::Aspect;
    use s3ferry_core::outcome::Report;

    use super::*;

    fn counted(outcome: Outcome) -> Counts {
        let settled = Settled {
            report: Report {
                outcome,
                lost: Aspects::from([Aspect::Etag]),
                turns: 1,
                progress: false,
                outcome_unknown: false,
                upload_left: false,
                duration: Duration::ZERO,
            },
            acknowledged: true,
            stale: false,
            first_of_key: true,
        };
        let mut counts = Counts::default();
        count(&settled, &mut counts);
        counts
    }

    #[test]
    fn conflicts_are_counted_among_what_was_skipped() {
        let expected = Counts {
            skipped: 1,
            conflicts: 1,
            aspects_lost: 1,
            ..Counts::default()
        };
        assert_eq!(counted(Outcome::Skipped(SkipReason::DestinationNewer)), expected);
        let equal = counted(Outcome::Skipped(SkipReason::AlreadyIdentical));
        assert_eq!((equal.skipped, equal.conflicts), (1, 0));
    }

    #[test]
    fn amended_objects_are_no_copies() {
        let aspects = Aspects::from([Aspect::Tags, Aspect::Lock]);
        assert_eq!(listed(&aspects), "tags,lock");
        let expected = Counts {
            amended: 1,
            aspects_lost: 1,
            ..Counts::default()
        };
        assert_eq!(counted(Outcome::Amended { aspects }), expected);
    }
}
