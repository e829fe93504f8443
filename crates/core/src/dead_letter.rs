//! Dead letters: messages of the dead-letter queue, decoded for an operator.
//!
//! A dead letter carries little more than its event. Why it failed is known only of messages that no function can read,
//! and of those that `EventBridge` or Lambda sent with an error. For all others the log names the cause.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::event::{EventError, EventMessage, KeyHint, ReceiptHandle, parse_body};
use crate::failure::FailureCode;
use crate::names::{BucketName, ObjectKey};
use crate::time::Timestamp;

/// Reason of a readable message that the replicator received `MaxReceiveCount` times.
pub const RECEIVES_EXHAUSTED: &str = "ReceivesExhausted";

/// Message of a dead-letter queue as it was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawDeadLetter {
    /// Message ID.
    pub id: String,
    /// Receipt handle of this receive.
    pub receipt: ReceiptHandle,
    /// Body of the message.
    pub body: String,
    /// Time at which the message was sent. A move to the dead-letter queue does not change it.
    pub sent: Option<Timestamp>,
    /// Time of the first receive.
    pub first_received: Option<Timestamp>,
    /// Receives, those from the dead-letter queue included.
    pub receives: u32,
    /// Text attributes of the message.
    pub attributes: BTreeMap<String, String>,
}

/// Object that a dead letter names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetterKey {
    /// Bucket of the event.
    pub bucket: BucketName,
    /// Object key, decoded.
    pub key: ObjectKey,
    /// Name of the event.
    pub event_name: String,
}

/// Decoded dead letter. Its times are as precise as the message's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Message ID.
    pub id: String,
    /// Objects that the message names; none if it is not readable.
    pub keys: Vec<DeadLetterKey>,
    /// Code of the failure.
    pub reason: String,
    /// Text of the failure.
    pub detail: Option<String>,
    /// Time of the earliest event.
    pub event_time: Option<Timestamp>,
    /// Time at which the message arrived in the first queue.
    pub arrived: Option<Timestamp>,
    /// Time of the first receive, at which the message began to fail.
    pub first_failure: Option<Timestamp>,
    /// Time of the last failure. SQS does not say when it moved a message.
    pub last_failure: Option<Timestamp>,
    /// Receives of the message.
    pub receives: u32,
}

/// An error that came with a message.
struct ReportedError {
    code: String,
    text: Option<String>,
    at: Option<Timestamp>,
}

impl DeadLetter {
    /// Decodes a message that was received at `read_at` or later.
    ///
    /// With `source_bucket`, messages of another bucket get the reason `ForeignBucket`.
    #[must_use]
    pub fn decode(raw: &RawDeadLetter, source_bucket: Option<&BucketName>, read_at: Timestamp) -> Self {
        let envelope = FailedInvocation::parse(&raw.body);
        let message = match &envelope {
            Some(invocation) => parse_body(&invocation.event),
            None => parse_body(&raw.body),
        };
        let reported = envelope
            .and_then(|invocation| invocation.error)
            .or_else(|| raw.reported());
        let (hints, unreadable) = hints_of(message);
        let foreign = source_bucket.filter(|source| hints.iter().any(|hint| hint.bucket != **source));
        let last_failure = reported.as_ref().and_then(|error| error.at);
        let (reason, detail) = match (reported, unreadable, foreign) {
            (Some(error), _, _) => (error.code, error.text),
            (None, Some(error), _) => (error.code().to_owned(), Some(error.to_string())),
            (None, None, Some(source)) => (
                FailureCode::ForeignBucket.as_str().to_owned(),
                Some(format!("the source bucket is {source}")),
            ),
            (None, None, None) => (RECEIVES_EXHAUSTED.to_owned(), None),
        };
        Self {
            id: raw.id.clone(),
            event_time: hints.iter().filter_map(|hint| hint.event_time).min(),
            keys: hints
                .into_iter()
                .map(|hint| DeadLetterKey {
                    bucket: hint.bucket,
                    key: hint.key,
                    event_name: hint.event_name,
                })
                .collect(),
            reason,
            detail,
            arrived: raw.sent,
            // The receive that read the message is no failure.
            first_failure: raw.first_received.filter(|received| *received < read_at),
            last_failure,
            receives: raw.receives,
        }
    }
}

impl RawDeadLetter {
    /// Returns the body to send to the queue of the replicator: the event.
    #[must_use]
    pub fn redrive_body(&self) -> String {
        FailedInvocation::parse(&self.body).map_or_else(|| self.body.clone(), |invocation| invocation.event)
    }

    /// Returns the error in the message's attributes, which `EventBridge` and Lambda set.
    ///
    /// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html>,
    /// <https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html>
    fn reported(&self) -> Option<ReportedError> {
        let attribute = |name: &str| self.attributes.get(name).cloned();
        let (code, text) = match attribute("ERROR_CODE") {
            Some(code) => (code, attribute("ERROR_MESSAGE")),
            None => (format!("Lambda{}", attribute("ErrorCode")?), attribute("ErrorMessage")),
        };
        Some(ReportedError {
            code,
            text,
            at: self.sent,
        })
    }
}

/// An asynchronous invocation that Lambda sent to its failure destination.
///
/// <https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html>
struct FailedInvocation {
    /// Payload of the invocation.
    event: String,
    error: Option<ReportedError>,
}

impl FailedInvocation {
    fn parse(body: &str) -> Option<Self> {
        let body: Value = serde_json::from_str(body).ok()?;
        let context = body.get("requestContext")?;
        let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let code = text("/responsePayload/errorType").or_else(|| context.get("condition")?.as_str().map(str::to_owned));
        Some(Self {
            event: body.get("requestPayload")?.to_string(),
            error: code.map(|code| ReportedError {
                code,
                text: text("/responsePayload/errorMessage"),
                at: text("/timestamp").as_deref().and_then(Timestamp::from_rfc3339),
            }),
        })
    }
}

/// Returns the readable records of a message, and the first error.
fn hints_of(message: Result<EventMessage, EventError>) -> (Vec<KeyHint>, Option<EventError>) {
    match message {
        Err(error) => (Vec::new(), Some(error)),
        Ok(EventMessage::TestEvent) => (Vec::new(), None),
        Ok(EventMessage::Records(records)) => {
            let (mut hints, mut unreadable) = (Vec::new(), None);
            for record in records {
                match record {
                    Ok(hint) => hints.push(hint),
                    Err(error) => unreadable = unreadable.or(Some(error)),
                }
            }
            (hints, unreadable)
        }
    }
}

/// Selection of dead letters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeadLetterFilter {
    /// Prefix of a key that the message names.
    pub key_prefix: Option<String>,
    /// Reason of the message.
    pub reason: Option<String>,
}

impl DeadLetterFilter {
    /// Returns whether a dead letter is selected. Without a filter, all are.
    #[must_use]
    pub fn selects(&self, letter: &DeadLetter) -> bool {
        let has_prefix = |prefix: &String| letter.keys.iter().any(|named| named.key.as_str().starts_with(prefix));
        self.key_prefix.as_ref().is_none_or(has_prefix)
            && self
                .reason
                .as_ref()
                .is_none_or(|reason| letter.reason.eq_ignore_ascii_case(reason))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const READ_AT: Timestamp = Timestamp::from_seconds(1_000);

    fn raw(body: impl Into<String>) -> RawDeadLetter {
        RawDeadLetter {
            id: "m1".to_owned(),
            receipt: ReceiptHandle::new("r1").unwrap(),
            body: body.into(),
            sent: Some(Timestamp::from_seconds(10)),
            first_received: Some(Timestamp::from_seconds(20)),
            receives: 9,
            attributes: BTreeMap::new(),
        }
    }

    fn record(key: &str) -> Value {
        json!({"eventVersion": "2.1", "eventSource": "aws:s3", "eventName": "ObjectCreated:Put",
            "eventTime": "1970-01-01T00:00:09.500Z", "s3": {"bucket": {"name": "source"}, "object": {"key": key}}})
    }

    fn decode(raw: &RawDeadLetter) -> DeadLetter {
        let source = BucketName::new("source").unwrap();
        DeadLetter::decode(raw, Some(&source), READ_AT)
    }

    fn keys(letter: &DeadLetter) -> Vec<&str> {
        letter.keys.iter().map(|named| named.key.as_str()).collect()
    }

    #[test]
    fn message_of_the_queue_names_its_decoded_keys_and_times() {
        let body = json!({"Records": [record("a+b%2Bc"), record("d")]}).to_string();
        let letter = decode(&raw(&body));
        assert_eq!(keys(&letter), ["a b+c", "d"]);
        assert_eq!((letter.reason.as_str(), letter.detail), (RECEIVES_EXHAUSTED, None));
        assert_eq!(letter.event_time, Some(Timestamp::from_millis(9_500)));
        assert_eq!(letter.arrived, Some(Timestamp::from_seconds(10)));
        assert_eq!(letter.first_failure, Some(Timestamp::from_seconds(20)));
        assert_eq!((letter.last_failure, letter.receives), (None, 9));
        assert_eq!(raw(&body).redrive_body(), body);
    }

    #[test]
    fn own_receive_is_no_failure() {
        let received_now = RawDeadLetter {
            first_received: Some(READ_AT),
            ..raw("{}")
        };
        assert_eq!(decode(&received_now).first_failure, None);
    }

    #[test]
    fn unreadable_and_foreign_messages_name_their_reason() {
        let letter = decode(&raw("not json"));
        assert_eq!((letter.reason.as_str(), keys(&letter)), ("NotJson", vec![]));
        assert!(letter.detail.unwrap().contains("not JSON"));
        let mut half = record("a");
        half["s3"]["object"] = json!({});
        let letter = decode(&raw(json!({"Records": [half, record("b")]}).to_string()));
        assert_eq!((letter.reason.as_str(), keys(&letter)), ("FieldMissing", vec!["b"]));
        let mut other = record("a");
        other["s3"]["bucket"]["name"] = json!("other");
        let letter = decode(&raw(json!({"Records": [other]}).to_string()));
        assert_eq!(letter.reason, "ForeignBucket");
    }

    #[test]
    fn error_of_event_bridge_and_lambda_is_the_reason() {
        let body = json!({"Records": [record("a")]}).to_string();
        let with = |pairs: [(&str, &str); 2]| RawDeadLetter {
            attributes: pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            ..raw(&body)
        };
        let letter = decode(&with([("ERROR_CODE", "NO_PERMISSIONS"), ("ERROR_MESSAGE", "denied")]));
        assert_eq!(
            (letter.reason.as_str(), letter.detail.as_deref()),
            ("NO_PERMISSIONS", Some("denied"))
        );
        assert_eq!(letter.last_failure, Some(Timestamp::from_seconds(10)));
        let letter = decode(&with([("ErrorCode", "200"), ("ErrorMessage", "crashed")]));
        assert_eq!(
            (letter.reason.as_str(), letter.detail.as_deref()),
            ("Lambda200", Some("crashed"))
        );
    }

    #[test]
    fn failed_direct_invocation_is_unwrapped() {
        let event = json!({"Records": [record("a")]});
        let body = json!({
            "version": "1.0", "timestamp": "1970-01-01T00:00:30Z",
            "requestContext": {"condition": "RetriesExhausted", "approximateInvokeCount": 3},
            "requestPayload": event,
            "responsePayload": {"errorType": "NotDone", "errorMessage": "1 of 1 record(s) are not done"},
        });
        let letter = decode(&raw(body.to_string()));
        assert_eq!((letter.reason.as_str(), keys(&letter)), ("NotDone", vec!["a"]));
        assert_eq!(letter.last_failure, Some(Timestamp::from_seconds(30)));
        let sent: Value = serde_json::from_str(&raw(body.to_string()).redrive_body()).unwrap();
        assert_eq!(sent, event);
    }

    #[test]
    fn filter_selects_by_key_and_reason() {
        let letter = decode(&raw(json!({"Records": [record("a/1"), record("b/1")]}).to_string()));
        let selects = |key_prefix: Option<&str>, reason: Option<&str>| {
            let filter = DeadLetterFilter {
                key_prefix: key_prefix.map(str::to_owned),
                reason: reason.map(str::to_owned),
            };
            filter.selects(&letter)
        };
        assert!(selects(None, None));
        assert!(selects(Some("b/"), Some("receivesexhausted")));
        assert!(!selects(Some("c/"), None));
        assert!(!selects(Some("a/"), Some("NotJson")));
    }
}
