//! Input of the replicator: S3 events in every envelope in which AWS delivers them.
//!
//! An event is a hint that a key may differ now, not a command. Unknown fields and unknown event names are accepted. A
//! body that is not an S3 notification is an explicit error, so that its message reaches the dead-letter queue
//! unchanged.

mod bridge;
mod classic;
mod continuation;
mod envelope;
mod sequencer;

use serde_json::Value;

pub use continuation::{Continuation, ContinuationHops, MAX_IDLE_HOPS};
pub use envelope::{MessageId, Payload, QueueMessage, ReceiptHandle, parse_body, parse_payload};
pub use sequencer::Sequencer;

use crate::facts::{Attribute, AttributeSet};
use crate::names::{BucketName, NameError, ObjectKey};
use crate::time::Timestamp;

/// Hint that a key may differ now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyHint {
    /// Bucket of the event.
    pub bucket: BucketName,
    /// Object key, decoded.
    pub key: ObjectKey,
    /// Event name without the prefix `s3:`.
    pub event_name: String,
    /// Attributes that may have changed according to the event, and that a HEAD response does not contain.
    pub attributes: AttributeSet,
    /// Position among the events of the same key and channel.
    pub sequencer: Option<Sequencer>,
    /// Number of continuations that preceded the hint. Zero for an event.
    pub hops: ContinuationHops,
    /// Time of the event, or of the event that a continuation continues.
    pub event_time: Option<Timestamp>,
}

/// Content of one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventMessage {
    /// One hint per record. An unreadable record fails alone.
    Records(Vec<Result<KeyHint, EventError>>),
    /// S3's test event for a new notification configuration, which requires no work.
    TestEvent,
}

/// Error in a payload, a message or a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// The body is not JSON.
    #[error("the body is not JSON: {detail}")]
    NotJson {
        /// Error of the JSON parser, with its position.
        detail: String,
    },
    /// The body is JSON, but not an S3 notification.
    #[error(
        "the body is not an S3 notification: expected `Records`, an SNS notification, an EventBridge event of aws.s3, \
         an s3:TestEvent or a continuation, found {found}"
    )]
    NotANotification {
        /// Outline of the top-level value.
        found: String,
    },
    /// An envelope contains another in a way that AWS does not deliver.
    #[error("the {inner} message inside {outer} is nested too deep")]
    NestedTooDeep {
        /// Inner envelope.
        inner: &'static str,
        /// Outer envelope.
        outer: &'static str,
    },
    /// A required field is missing or has another type.
    #[error("`{field}` is missing or is not {expected}")]
    Field {
        /// JSON path of the field.
        field: &'static str,
        /// Description of the value expected.
        expected: &'static str,
    },
    /// The event version is not supported.
    #[error("eventVersion `{version}` is not supported: expected 2.0 or a later minor version")]
    EventVersion {
        /// Version found.
        version: String,
    },
    /// The event is not from S3.
    #[error("the event's source `{source_name}` is not S3")]
    Source {
        /// Event source found.
        source_name: String,
    },
    /// A bucket name or key is not valid.
    #[error(transparent)]
    Name(#[from] NameError),
}

impl EventError {
    /// Returns the name of the error in logs.
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

/// Returns a string field by its JSON pointer.
fn text<'a>(value: &'a Value, pointer: &str, field: &'static str) -> Result<&'a str, EventError> {
    value.pointer(pointer).and_then(Value::as_str).ok_or(EventError::Field {
        field,
        expected: "a string",
    })
}

/// Returns a time by its JSON pointer. An unreadable time is no reason to lose the event.
fn time(value: &Value, pointer: &str) -> Option<Timestamp> {
    Timestamp::from_rfc3339(value.pointer(pointer)?.as_str()?)
}

/// Shortens a text from an event for one line of the log.
fn shortened(text: &str) -> String {
    const LONGEST: usize = 100;
    let mut letters = text.chars();
    let mut short: String = letters.by_ref().take(LONGEST).collect();
    if letters.next().is_some() {
        short.push('…');
    }
    short
}

/// Returns the attributes that an event of this name may change.
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
