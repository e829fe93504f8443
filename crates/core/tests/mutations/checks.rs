//! Properties of the parsers for any input; used by the mutation tests and by the fuzz targets.

use std::collections::BTreeSet;

use s3ferry_core::acknowledge::to_redeliver;
use s3ferry_core::batch_operations::{
    FinalSyncRequest, JobInvocation, JobInvocationResponse, LONGEST_RESULT, MapBatch, RequestFormatError, TaskResult,
    TaskTarget, parse_request,
};
use s3ferry_core::event::{EventError, EventMessage, KeyHint, MessageId, Payload, QueueMessage, parse_payload};
use serde_json::{Value, json};

/// Maximum length of an error message, whatever the input was: the message is part of one log line.
const LONGEST_ERROR: usize = 4_096;

/// Checks the payload of an invocation as events.
pub(crate) fn events(payload: &Value) -> Result<(), String> {
    match parse_payload(payload) {
        Err(error) => check_event_error(&error),
        Ok(Payload::Queue(messages)) => queue(payload, &messages),
        Ok(Payload::Direct(messages)) => direct(payload, &messages),
    }
}

/// Checks that a text as the body of one message among valid ones fails alone.
pub(crate) fn queue_body(body: &str) -> Result<(), String> {
    let message = |id: &str, body: &str| json!({"messageId": id, "eventSource": "aws:sqs", "body": body});
    let good = json!({"Event": "s3:TestEvent"}).to_string();
    let payload = json!({"Records": [message("first", &good), message("odd", body), message("last", &good)]});
    let parsed = parse_payload(&payload).map_err(|error| format!("the whole batch fails: {error}"))?;
    let Payload::Queue(messages) = &parsed else {
        return Err("a queue batch is parsed as something else".to_owned());
    };
    queue(&payload, messages)?;
    for message in messages.iter().filter(|message| message.id.as_str() != "odd") {
        ensure(message.message == Ok(EventMessage::TestEvent), || {
            format!("a valid message became {:?}", message.message)
        })?;
    }
    Ok(())
}

/// Checks the payload of an invocation as tasks of a job or items of a map.
pub(crate) fn batch(payload: &Value) -> Result<(), String> {
    match parse_request(payload) {
        Err(error) => check_request_error(&error),
        Ok(FinalSyncRequest::Job(job)) => tasks(payload, &job),
        Ok(FinalSyncRequest::Map(batch)) => items(payload, &batch),
        Ok(FinalSyncRequest::Lost(lost)) => items(&payload["input"], &lost.batch),
        Ok(FinalSyncRequest::Begin(begin)) => ensure(!begin.run.name.as_str().contains('/'), || {
            "a run with a slash".to_owned()
        }),
        Ok(FinalSyncRequest::Conclude(end)) => {
            ensure(!end.run.as_str().contains('/'), || "a run with a slash".to_owned())
        }
    }
}

/// Checks that every task has exactly one result, under its own id.
fn tasks(payload: &Value, job: &JobInvocation) -> Result<(), String> {
    let given_tasks = payload.get("tasks").and_then(Value::as_array).ok_or("no tasks")?;
    let ids: Vec<Option<&str>> = given_tasks
        .iter()
        .map(|task| task.get("taskId").and_then(Value::as_str))
        .collect();
    let read: Vec<Option<&str>> = job.tasks.iter().map(|task| Some(task.id.as_str())).collect();
    ensure(ids == read && !ids.contains(&Some("")), || {
        format!("tasks {ids:?} became {read:?}")
    })?;
    let mut results = Vec::new();
    for (task, given) in job.tasks.iter().zip(given_tasks) {
        let key = given.get("s3Key").and_then(Value::as_str);
        target(key, &task.target)?;
        if let Err(error) = job.arguments.as_ref().map(|_| ()).and(task.target.as_ref().map(|_| ())) {
            results.push((task.id.as_str(), TaskResult::unreadable(error)));
        }
    }
    if let Err(error) = &job.arguments {
        check_request_error(error)?;
    }
    let answer = JobInvocationResponse::new(
        &job.schema_version,
        &job.invocation_id,
        results.iter().map(|(id, result)| (*id, result)),
    );
    let answer = serde_json::to_value(answer).map_err(|error| error.to_string())?;
    let answers = answer["results"].as_array().ok_or("no results")?;
    ensure(answers.len() == results.len(), || "a result is left out".to_owned())?;
    let fits = |answer: &Value| {
        let text = answer["resultString"].as_str().unwrap_or_default();
        text.chars().count() <= LONGEST_RESULT && !text.is_empty() && !text.chars().any(char::is_control)
    };
    ensure(answers.iter().all(fits), || format!("S3 does not accept {answer}"))
}

fn items(payload: &Value, batch: &MapBatch) -> Result<(), String> {
    let given: Vec<&Value> = match payload.get("Items").and_then(Value::as_array) {
        Some(items) => items.iter().collect(),
        None => vec![payload],
    };
    ensure(given.len() == batch.items.len(), || {
        format!("{} items became {}", given.len(), batch.items.len())
    })?;
    for (given, item) in given.iter().zip(&batch.items) {
        ensure(**given == item.value, || format!("{given} became {}", item.value))?;
        // The parser decides which column is the key, but only a `+` may give two readings.
        if let Ok(read) = &item.target {
            ensure(read.keys.len() == 1 || item.row.to_string().contains('+'), || {
                format!("{} has two keys", item.row)
            })?;
        }
        target(None, &item.target)?;
    }
    if let Err(error) = &batch.arguments {
        check_request_error(error)?;
    }
    Ok(())
}

fn target(key: Option<&str>, target: &Result<TaskTarget, RequestFormatError>) -> Result<(), String> {
    let target = match target {
        Err(error) => return check_request_error(error),
        Ok(target) => target,
    };
    let keys = &target.keys;
    ensure(
        keys.iter().all(|key| (1..=1024).contains(&key.as_str().len())) && target.bucket.as_str().len() >= 3,
        || format!("a task without a bucket or a key: {target:?}"),
    )?;
    let Some(key) = key else { return Ok(()) };
    let readings = if key.contains('+') { 2 } else { 1 };
    ensure(keys.len() == readings && keys.first() != keys.get(1), || {
        format!("{key} became {keys:?}")
    })
}

/// Checks that an error names field, value and allowed values in a message that fits into one log line.
fn check_request_error(error: &RequestFormatError) -> Result<(), String> {
    let text = error.to_string();
    ensure(text.len() <= LONGEST_ERROR && !error.code().is_empty(), || {
        format!("an error of {} bytes", text.len())
    })?;
    let named = match error {
        RequestFormatError::Field { field, expected, .. } => text.contains(field.as_str()) && text.contains(expected),
        RequestFormatError::Name { field, .. } => text.contains(field.as_str()),
        RequestFormatError::SchemaVersion { .. } => text.contains("invocationSchemaVersion") && text.contains("2.0"),
        RequestFormatError::UnknownArgument { name, allowed } => text.contains(name.as_str()) && text.contains(allowed),
        RequestFormatError::RepeatedArgument { name } => text.contains(name),
        RequestFormatError::ArgumentValue { name, value, .. } => text.contains(name) && text.contains(value.as_str()),
        RequestFormatError::NotABatch { found } => text.contains(found.as_str()),
    };
    ensure(named, || format!("the error does not name its subject: {text}"))
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
    // Assume that every readable key was copied: only these may be acknowledged.
    let redelivered: BTreeSet<&MessageId> = to_redeliver(parts).into_iter().collect();
    ensure(redelivered == unread, || {
        format!("{unread:?} cannot be read and {redelivered:?} are redelivered")
    })
}

fn direct(payload: &Value, messages: &[Result<EventMessage, EventError>]) -> Result<(), String> {
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

/// Checks that every record of a message has exactly one result.
fn message(body: Option<&Value>, read: &Result<EventMessage, EventError>) -> Result<(), String> {
    match read {
        Err(error) => check_event_error(error),
        Ok(EventMessage::TestEvent) => Ok(()),
        Ok(EventMessage::Records(results)) => {
            let expected = body.map_or(0, records_in);
            ensure(results.len() == expected, || {
                format!("{expected} records have {} results", results.len())
            })?;
            results.iter().try_for_each(record)
        }
    }
}

fn record(result: &Result<KeyHint, EventError>) -> Result<(), String> {
    match result {
        Err(error) => check_event_error(error),
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

/// Returns the number of records in a message's innermost envelope.
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

/// Returns for each record of a message whether it was readable; a test event counts as readable.
fn read(message: &Result<EventMessage, EventError>) -> Vec<bool> {
    match message {
        Err(_) => vec![false],
        Ok(EventMessage::TestEvent) => vec![true],
        Ok(EventMessage::Records(records)) if records.is_empty() => vec![true],
        Ok(EventMessage::Records(records)) => records.iter().map(Result::is_ok).collect(),
    }
}

/// Checks that an error names its subject in a message that fits into one log line.
fn check_event_error(error: &EventError) -> Result<(), String> {
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
        || format!("the error does not name its subject: {text}"),
    )
}

fn parsed(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok()
}

fn ensure(holds: bool, problem: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(problem()) }
}
