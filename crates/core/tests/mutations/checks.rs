//! What the parsers promise of any input; used by the mutation tests and by the fuzz targets.

use std::collections::BTreeSet;

use s3ferry_core::acknowledge::to_redeliver;
use s3ferry_core::event::{EventError, Hint, Message, MessageId, Payload, QueueMessage, parse_payload};
use serde_json::{Value, json};

/// No text of an error is longer than this, whatever was in the input: it goes into a line of the log.
const LONGEST_ERROR: usize = 4_096;

/// An invocation's payload, taken for events.
pub(crate) fn events(payload: &Value) -> Result<(), String> {
    match parse_payload(payload) {
        Err(error) => speaks(&error),
        Ok(Payload::Queue(messages)) => queue(payload, &messages),
        Ok(Payload::Direct(messages)) => direct(payload, &messages),
    }
}

/// A text as the body of one message among good ones: it fails alone.
pub(crate) fn queue_body(body: &str) -> Result<(), String> {
    let message = |id: &str, body: &str| json!({"messageId": id, "eventSource": "aws:sqs", "body": body});
    let good = json!({"Event": "s3:TestEvent"}).to_string();
    let payload = json!({"Records": [message("first", &good), message("odd", body), message("last", &good)]});
    let parsed = parse_payload(&payload).map_err(|error| format!("the whole batch fails: {error}"))?;
    let Payload::Queue(messages) = &parsed else {
        return Err("a batch of a queue is taken for something else".to_owned());
    };
    queue(&payload, messages)?;
    for message in messages.iter().filter(|message| message.id.as_str() != "odd") {
        ensure(message.message == Ok(Message::TestEvent), || {
            format!("a good message became {:?}", message.message)
        })?;
    }
    Ok(())
}

fn queue(payload: &Value, messages: &[QueueMessage]) -> Result<(), String> {
    let records = payload.get("Records").and_then(Value::as_array).ok_or("no records")?;
    ensure(records.len() == messages.len(), || {
        format!("{} messages became {}", records.len(), messages.len())
    })?;
    let mut unread: BTreeSet<&MessageId> = BTreeSet::new();
    let mut parts: Vec<(&MessageId, bool)> = Vec::new();
    for (record, queued) in records.iter().zip(messages) {
        let id = record.get("messageId").and_then(Value::as_str);
        ensure(id == Some(queued.id.as_str()) && id != Some(""), || {
            format!("message {id:?} became {:?}", queued.id)
        })?;
        let body = record.get("body").and_then(Value::as_str).and_then(parsed);
        message(body.as_ref(), &queued.message)?;
        for is_read in read(&queued.message) {
            parts.push((&queued.id, is_read));
            if !is_read {
                unread.insert(&queued.id);
            }
        }
    }
    // As if every key that could be read had been copied: only what was read may be acknowledged.
    let back: BTreeSet<&MessageId> = to_redeliver(parts).into_iter().collect();
    ensure(back == unread, || {
        format!("{unread:?} cannot be read and {back:?} come back")
    })
}

fn direct(payload: &Value, messages: &[Result<Message, EventError>]) -> Result<(), String> {
    let records = payload.get("Records").and_then(Value::as_array);
    let is_topic = |record: &Value| record.get("EventSource").and_then(Value::as_str) == Some("aws:sns");
    let topic = records.filter(|records| records.iter().any(is_topic));
    let bodies: Vec<Option<Value>> = match topic {
        Some(records) => records
            .iter()
            .map(|record| record.pointer("/Sns/Message").and_then(Value::as_str).and_then(parsed))
            .collect(),
        None => vec![Some(payload.clone())],
    };
    ensure(bodies.len() == messages.len(), || {
        format!("{} messages became {}", bodies.len(), messages.len())
    })?;
    bodies
        .iter()
        .zip(messages)
        .try_for_each(|(body, read)| message(body.as_ref(), read))
}

/// Every record of a message has exactly one result.
fn message(body: Option<&Value>, read: &Result<Message, EventError>) -> Result<(), String> {
    match read {
        Err(error) => speaks(error),
        Ok(Message::TestEvent) => Ok(()),
        Ok(Message::Records(results)) => {
            let expected = body.map_or(0, records_in);
            ensure(results.len() == expected, || {
                format!("{expected} records have {} results", results.len())
            })?;
            results.iter().try_for_each(record)
        }
    }
}

fn record(result: &Result<Hint, EventError>) -> Result<(), String> {
    match result {
        Err(error) => speaks(error),
        Ok(hint) => {
            ensure(
                (1..=1024).contains(&hint.key.as_str().len()) && hint.bucket.as_str().len() >= 3,
                || format!("a hint without a bucket or a key: {hint:?}"),
            )?;
            ensure(hint.event_name.len() <= LONGEST_ERROR, || {
                format!("an event's name of {} bytes", hint.event_name.len())
            })
        }
    }
}

/// Counts the records of a message's innermost envelope.
fn records_in(body: &Value) -> usize {
    if let Some(records) = body.get("Records").and_then(Value::as_array) {
        return records.len();
    }
    let is_text = |field: &str| body.get(field).and_then(Value::as_str);
    match (is_text("Type"), is_text("Message").and_then(parsed)) {
        (Some(_), Some(inner)) => records_in(&inner),
        _ => 1,
    }
}

/// Whether each part of a message could be read; one that asks for nothing is read.
fn read(message: &Result<Message, EventError>) -> Vec<bool> {
    match message {
        Err(_) => vec![false],
        Ok(Message::TestEvent) => vec![true],
        Ok(Message::Records(records)) if records.is_empty() => vec![true],
        Ok(Message::Records(records)) => records.iter().map(Result::is_ok).collect(),
    }
}

/// An error says what it is about, in a text that fits into a line of the log.
fn speaks(error: &EventError) -> Result<(), String> {
    let text = error.to_string();
    ensure(text.len() <= LONGEST_ERROR, || {
        format!("an error of {} bytes", text.len())
    })?;
    let named: &[&str] = match error {
        EventError::Field { field, .. } => &[field],
        EventError::EventVersion { .. } => &["eventVersion"],
        EventError::Source { .. } => &["source"],
        EventError::Name(_) => &["bucket name", "object key"],
        EventError::NotJson { .. } => &["not JSON"],
        EventError::NotANotification { .. } => &["found"],
        EventError::NestedTooDeep { .. } => &["inside"],
    };
    ensure(
        named.iter().any(|name| text.contains(name)) && !error.code().is_empty(),
        || format!("it does not say what it is about: {text}"),
    )
}

fn parsed(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok()
}

fn ensure(holds: bool, problem: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(problem()) }
}
