//! Envelopes of events, distinguished by their structure.

use serde::Serialize;
use serde_json::Value;

use super::{EventError, EventMessage, bridge, classic, continuation, shortened, text};
use crate::redelivery::attributes_after_interruption;

/// ID of an SQS message.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct MessageId(String);

impl MessageId {
    /// Validates an ID. In a partial batch response an empty ID would make SQS redeliver the whole batch.
    #[must_use]
    pub fn new(id: impl Into<String>) -> Option<Self> {
        let id = id.into();
        (!id.is_empty()).then_some(Self(id))
    }

    /// Returns the ID as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Receipt handle of one delivery, for changing its visibility timeout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiptHandle(String);

impl ReceiptHandle {
    /// Validates a receipt handle.
    #[must_use]
    pub fn new(receipt: impl Into<String>) -> Option<Self> {
        let receipt = receipt.into();
        (!receipt.is_empty()).then_some(Self(receipt))
    }

    /// Returns the receipt handle as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// SQS message. An unreadable message fails alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueMessage {
    /// Message ID, for the partial batch response.
    pub id: MessageId,
    /// Receipt handle. Without it the message is redelivered after the queue's own visibility timeout.
    pub receipt: Option<ReceiptHandle>,
    /// Receive count of the message, including this delivery.
    pub receive_count: u32,
    /// Content of the message.
    pub message: Result<EventMessage, EventError>,
}

/// Payload of one invocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// SQS messages, each acknowledged individually.
    Queue(Vec<QueueMessage>),
    /// Events from S3, `EventBridge` or SNS without a queue, which succeed or fail as a whole.
    Direct(Vec<Result<EventMessage, EventError>>),
}

/// Parses the payload of an invocation.
///
/// Fails as a whole only if the payload has no known structure, or an SQS message has no ID for the partial batch
/// response.
pub fn parse_payload(payload: &Value) -> Result<Payload, EventError> {
    match shape(payload) {
        Shape::Queue(records) => records
            .iter()
            .map(queue_message)
            .collect::<Result<_, _>>()
            .map(Payload::Queue),
        Shape::Topic(records) => Ok(Payload::Direct(records.iter().map(topic_record).collect())),
        _ => parse_message(payload, Envelope::None).map(|message| Payload::Direct(vec![Ok(message)])),
    }
}

/// Parses the body of an SQS message.
pub fn parse_body(body: &str) -> Result<EventMessage, EventError> {
    parse_message(&json(body)?, Envelope::Queue)
}

/// Envelope that contains a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Envelope {
    None,
    Queue,
    Topic,
}

impl Envelope {
    fn name(self) -> &'static str {
        match self {
            Self::None => "an invocation",
            Self::Queue => "SQS",
            Self::Topic => "SNS",
        }
    }
}

/// Structures of a JSON value in an event.
enum Shape<'a> {
    Queue(&'a [Value]),
    Topic(&'a [Value]),
    Records(&'a [Value]),
    TopicNotification,
    BridgeEvent,
    TestEvent,
    Continuation,
    Unknown,
}

fn shape(value: &Value) -> Shape<'_> {
    if let Some(records) = value.get("Records").and_then(Value::as_array) {
        // SQS spells the field `eventSource`, SNS `EventSource`.
        let is_from = |field: &str, name: &str| {
            let source = |record: &Value| record.get(field).and_then(Value::as_str) == Some(name);
            records.iter().any(source)
        };
        if is_from("eventSource", "aws:sqs") {
            return Shape::Queue(records);
        }
        if is_from("EventSource", "aws:sns") {
            return Shape::Topic(records);
        }
        return Shape::Records(records);
    }
    let is_text = |field: &str| value.get(field).is_some_and(Value::is_string);
    if is_text("Type") && is_text("Message") {
        Shape::TopicNotification
    } else if is_text("detail-type") {
        Shape::BridgeEvent
    } else if value.get("Event").and_then(Value::as_str) == Some("s3:TestEvent") {
        Shape::TestEvent
    } else if value.get("s3ferry").is_some() {
        Shape::Continuation
    } else {
        Shape::Unknown
    }
}

fn parse_message(body: &Value, outer: Envelope) -> Result<EventMessage, EventError> {
    match shape(body) {
        Shape::Records(records) => Ok(EventMessage::Records(
            records.iter().map(classic::parse_record).collect(),
        )),
        Shape::BridgeEvent => Ok(EventMessage::Records(vec![bridge::parse_event(body)])),
        Shape::Continuation => Ok(EventMessage::Records(vec![continuation::parse_continuation(body)])),
        Shape::TestEvent => Ok(EventMessage::TestEvent),
        Shape::TopicNotification if outer != Envelope::Topic => topic_notification(body),
        Shape::TopicNotification | Shape::Topic(_) => Err(nested("SNS", outer)),
        Shape::Queue(_) => Err(nested("SQS", outer)),
        Shape::Unknown => Err(EventError::NotANotification { found: outline(body) }),
    }
}

fn nested(inner: &'static str, outer: Envelope) -> EventError {
    EventError::NestedTooDeep {
        inner,
        outer: outer.name(),
    }
}

/// Parses an SQS message.
///
/// <https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html>
fn queue_message(record: &Value) -> Result<QueueMessage, EventError> {
    let id = text(record, "/messageId", "Records[].messageId")?;
    let id = MessageId::new(id).ok_or(EventError::Field {
        field: "Records[].messageId",
        expected: "a non-empty string",
    })?;
    let mut message = text(record, "/body", "Records[].body").and_then(parse_body);
    let receipt = record.get("receiptHandle").and_then(Value::as_str);
    let receive_count = record
        .pointer("/attributes/ApproximateReceiveCount")
        .and_then(Value::as_str);
    let receive_count = receive_count.and_then(|count| count.parse().ok()).unwrap_or(1);
    if let Ok(EventMessage::Records(records)) = &mut message
        && receive_count > 1
    {
        for hint in records.iter_mut().flatten() {
            hint.attributes.extend(attributes_after_interruption());
        }
    }
    Ok(QueueMessage {
        id,
        receipt: receipt.and_then(ReceiptHandle::new),
        receive_count,
        message,
    })
}

/// Parses a record of an SNS topic that invokes the function directly.
///
/// <https://docs.aws.amazon.com/lambda/latest/dg/with-sns.html>
fn topic_record(record: &Value) -> Result<EventMessage, EventError> {
    let body = text(record, "/Sns/Message", "Records[].Sns.Message")?;
    parse_message(&json(body)?, Envelope::Topic)
}

/// Parses an SNS notification in the body of an SQS message.
///
/// <https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html>
fn topic_notification(body: &Value) -> Result<EventMessage, EventError> {
    let kind = text(body, "/Type", "Type")?;
    if kind != "Notification" {
        return Err(EventError::NotANotification {
            found: format!("an SNS message of type {}", shortened(kind)),
        });
    }
    let message = text(body, "/Message", "Message")?;
    parse_message(&json(message)?, Envelope::Topic)
}

fn json(text: &str) -> Result<Value, EventError> {
    serde_json::from_str(text).map_err(|error| EventError::NotJson {
        detail: error.to_string(),
    })
}

/// Describes a JSON value without its contents, which may be arbitrary data.
fn outline(value: &Value) -> String {
    const FIELDS_SHOWN: usize = 8;
    const NAME_LENGTH: usize = 40;
    match value {
        Value::Object(fields) if fields.is_empty() => "an empty object".to_owned(),
        Value::Object(fields) => {
            let shown = |name: &String| name.chars().take(NAME_LENGTH).collect::<String>();
            let names: Vec<String> = fields.keys().take(FIELDS_SHOWN).map(shown).collect();
            format!("an object with {}", names.join(", "))
        }
        Value::Array(_) => "an array".to_owned(),
        Value::String(_) => "a string".to_owned(),
        Value::Number(_) => "a number".to_owned(),
        Value::Bool(_) => "a boolean".to_owned(),
        Value::Null => "null".to_owned(),
    }
}
