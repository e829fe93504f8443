//! What arrives at the replicator: notifications in every envelope AWS delivers them in.
//!
//! An event is a hint that a key may differ now, never an order. It is parsed tolerantly (unknown fields and unknown
//! event names pass) but never guessed at: a body that is no notification is a named error, so that it reaches the
//! dead-letter queue as it came.

mod bridge;
mod classic;
mod continuation;
mod envelope;
mod sequencer;

use serde_json::Value;

pub use continuation::{Continuation, ContinuationHops, MAX_IDLE_HOPS};
pub use envelope::{MessageId, Payload, QueueMessage, ReceiptHandle, parse_payload};
pub use sequencer::Sequencer;

use crate::facts::{Attribute, AttributeSet};
use crate::names::{BucketName, NameError, ObjectKey};

/// Says that a key may differ now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyHint {
    /// The bucket the event speaks of.
    pub bucket: BucketName,
    /// The key, decoded.
    pub key: ObjectKey,
    /// The event's name as it came, without the prefix `s3:`.
    pub event_name: String,
    /// Aspects the event says may have changed and a HEAD does not show.
    pub attributes: AttributeSet,
    /// The position among events of the same key and channel.
    pub sequencer: Option<Sequencer>,
    /// How many continuations led to it; none to an event.
    pub hops: ContinuationHops,
}

/// What one message says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventMessage {
    /// Hints, one per record; a record that cannot be read fails alone.
    Records(Vec<Result<KeyHint, EventError>>),
    /// S3's test of a new notification configuration, which asks for nothing.
    TestEvent,
}

/// Why a payload, a message or a record cannot be taken for what it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// It is not JSON.
    #[error("the body is not JSON: {detail}")]
    NotJson {
        /// Where it stops being JSON.
        detail: String,
    },
    /// It is JSON of some other kind.
    #[error(
        "the body is no S3 notification: expected `Records`, an SNS notification, an EventBridge event of aws.s3, an \
         s3:TestEvent or a continuation, found {found}"
    )]
    NotANotification {
        /// What its outermost level holds.
        found: String,
    },
    /// An envelope in an envelope that AWS does not deliver.
    #[error("the {inner} message inside {outer} is nested too deep")]
    NestedTooDeep {
        /// The envelope found inside.
        inner: &'static str,
        /// The envelope it was found in.
        outer: &'static str,
    },
    /// A field that must be there is not, or is of another type.
    #[error("`{field}` is missing or is not {expected}")]
    Field {
        /// The path of the field.
        field: &'static str,
        /// What it must be.
        expected: &'static str,
    },
    /// The structure of the record is of a version that may mean something else.
    #[error("eventVersion `{version}` is not supported: 2.0 and later minor versions are")]
    EventVersion {
        /// The version found.
        version: String,
    },
    /// The event is not of S3.
    #[error("the event's source `{source_name}` is not S3")]
    Source {
        /// The source found.
        source_name: String,
    },
    /// A bucket or key is not one.
    #[error(transparent)]
    Name(#[from] NameError),
}

impl EventError {
    /// Returns the name used in logs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotJson { .. } => "NotJson",
            Self::NotANotification { .. } => "NotANotification",
            Self::NestedTooDeep { .. } => "NestedTooDeep",
            Self::Field { .. } => "FieldMissing",
            Self::EventVersion { .. } => "EventVersionNotSupported",
            Self::Source { .. } => "SourceNotS3",
            Self::Name(_) => "NameNotValid",
        }
    }
}

/// Reads a text field by its JSON pointer.
fn text<'a>(value: &'a Value, pointer: &str, field: &'static str) -> Result<&'a str, EventError> {
    value.pointer(pointer).and_then(Value::as_str).ok_or(EventError::Field {
        field,
        expected: "a string",
    })
}

/// Shortens what an event says of itself to what fits into a line of the log: a body may hold anything.
fn shortened(text: &str) -> String {
    const LONGEST: usize = 100;
    let mut letters = text.chars();
    let mut short: String = letters.by_ref().take(LONGEST).collect();
    if letters.next().is_some() {
        short.push('…');
    }
    short
}

/// Names the aspects that an event of this name speaks of.
///
/// Classic names (`ObjectTagging:Put`) and `EventBridge` detail types (`Object Tags Added`) differ only in wording.
fn attributes_of(event_name: &str) -> AttributeSet {
    const BY_WORD: [(&str, Attribute); 6] = [
        ("Tag", Attribute::Tags),
        ("Acl", Attribute::Acl),
        ("ACL", Attribute::Acl),
        ("Retention", Attribute::Lock),
        ("LegalHold", Attribute::Lock),
        ("Annotation", Attribute::Annotations),
    ];
    BY_WORD
        .iter()
        .filter(|(word, _)| event_name.contains(word))
        .map(|(_, attribute)| *attribute)
        .collect()
}

#[cfg(test)]
mod tests;
