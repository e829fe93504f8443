//! Parsing of requests, which are distinguished by their fields.

use serde_json::Value;

use super::arguments::plain_name;
use super::run::{FinalSyncRun, LostItems, RunEnd, RunName, RunStart};
use super::{FinishedItems, ItemAttempts, JobArguments, RequestFormatError, shortened};
use crate::names::{BucketName, NameError, ObjectKey};

/// Request of one invocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FinalSyncRequest {
    /// Tasks of an S3 Batch Operations job.
    Job(JobInvocation),
    /// Items of a Distributed Map, as a batch or a single item.
    Map(MapBatch),
    /// Start of an execution of the state machine: its input is checked before anything is copied.
    Begin(RunStart),
    /// Items whose invocation failed as a whole: their results are recorded.
    Lost(LostItems),
    /// End of an execution: its results are summarized.
    Conclude(RunEnd),
}

/// Invocation by S3 Batch Operations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobInvocation {
    /// Version of the request schema, which the response repeats.
    pub schema_version: String,
    /// Invocation ID, which the response repeats.
    pub invocation_id: String,
    /// Job ID.
    pub job_id: Option<String>,
    /// User arguments of the job. An error is the result of each task.
    pub arguments: Result<JobArguments, RequestFormatError>,
    /// Number of runs of the tasks, including this one. Only a local job sends it: S3 does not count repeated tasks.
    pub attempt: u32,
    /// Tasks of the invocation.
    pub tasks: Vec<JobTask>,
}

/// Task of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobTask {
    /// Task ID, which the response repeats.
    pub id: String,
    /// Bucket and key of the task.
    pub target: Result<TaskTarget, RequestFormatError>,
}

/// Items of a Distributed Map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MapBatch {
    /// Items of the batch.
    pub items: Vec<MapItem>,
    /// User arguments of the execution. An error is the result of each item.
    pub arguments: Result<JobArguments, RequestFormatError>,
    /// Execution that the items belong to. Without one, results are only in the response.
    pub run: Option<RunName>,
    /// Number of retries by the state machine after the function failed as a whole.
    pub retries: u32,
    /// Items that earlier runs of the batch finished.
    pub ended: FinishedItems,
    /// `BatchInput` of the batch, unchanged.
    pub input: Value,
}

/// Item of a Distributed Map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MapItem {
    /// The item as received, for the payload of the next run.
    pub value: Value,
    /// Row of the manifest that the item contains, as received.
    pub row: Value,
    /// Run counters of the item.
    pub runs: ItemAttempts,
    /// Bucket and key of the item.
    pub target: Result<TaskTarget, RequestFormatError>,
}

/// Bucket and key of a task or an item.
///
/// The version ID of a row is ignored: the key's current object is copied. If the key was written after the manifest
/// was made, the row names a version that is no longer current.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskTarget {
    /// Source bucket.
    pub bucket: BucketName,
    /// Key of the row. Two keys if the encoding is ambiguous.
    pub keys: Vec<ObjectKey>,
}

/// Parses a request.
///
/// Fails only if no task can have a result. An unreadable task or item has its error as its own result.
pub fn parse_request(payload: &Value) -> Result<FinalSyncRequest, RequestFormatError> {
    if let Some(command) = payload.get("finalSync") {
        return parse_command(command, payload);
    }
    if payload.get("tasks").is_some() || payload.get("invocationSchemaVersion").is_some() {
        return parse_job(payload).map(FinalSyncRequest::Job);
    }
    if let Some(batch) = payload.get("batch") {
        let retries = number(payload.get("retries"), "retries")?;
        return parse_map(batch).map(|batch| FinalSyncRequest::Map(MapBatch { retries, ..batch }));
    }
    if payload.get("Items").is_some() || is_item(payload) {
        return parse_map(payload).map(FinalSyncRequest::Map);
    }
    Err(RequestFormatError::NotABatch {
        found: outline(payload),
    })
}

fn parse_command(command: &Value, payload: &Value) -> Result<FinalSyncRequest, RequestFormatError> {
    match command.as_str() {
        Some("begin") => {
            let input = payload.get("input").unwrap_or(&Value::Null);
            let arguments = input.get("userArguments").cloned().unwrap_or_default();
            Ok(FinalSyncRequest::Begin(RunStart {
                run: FinalSyncRun {
                    name: run_name(payload, "execution")?,
                    arguments: JobArguments::parse(Some(&arguments), "userArguments")?,
                },
                arguments,
                manifest_key: ObjectKey::from_raw(text(input, "manifestKey", "manifestKey")?)
                    .map_err(name_error("manifestKey"))?,
            }))
        }
        Some("lost") => {
            let input = payload.get("input").unwrap_or(&Value::Null);
            let error = input.get("error").map(Value::to_string).unwrap_or_default();
            Ok(FinalSyncRequest::Lost(LostItems {
                batch: parse_map(input)?,
                error: shortened(&error, 600),
            }))
        }
        Some("conclude") => {
            let begun = payload.get("begun").unwrap_or(&Value::Null);
            let stopped = begun
                .get("stopped")
                .map(|stopped| shortened(&stopped.to_string(), 1_000));
            Ok(FinalSyncRequest::Conclude(RunEnd {
                run: run_name(begun.get("run").unwrap_or(&Value::Null), "execution")?,
                manifest_key: text(begun, "manifestKey", "manifestKey")?.to_owned(),
                stopped,
                resume: begun.pointer("/summary/finished") == Some(&Value::Bool(false)),
            }))
        }
        _ => Err(unexpected("finalSync", Some(command), "begin, lost or conclude")),
    }
}

fn parse_job(payload: &Value) -> Result<JobInvocation, RequestFormatError> {
    let schema_version = text(payload, "invocationSchemaVersion", "invocationSchemaVersion")?;
    let invocation_id = text(payload, "invocationId", "invocationId")?;
    let tasks = payload.get("tasks");
    let Some(Value::Array(tasks)) = tasks else {
        return Err(unexpected("tasks", tasks, "an array of tasks"));
    };
    let arguments = match schema_version {
        "1.0" | "2.0" => JobArguments::parse(payload.pointer("/job/userArguments"), "job.userArguments"),
        other => Err(RequestFormatError::SchemaVersion {
            version: shortened(other, 100),
        }),
    };
    Ok(JobInvocation {
        schema_version: schema_version.to_owned(),
        invocation_id: invocation_id.to_owned(),
        job_id: payload.pointer("/job/id").and_then(Value::as_str).map(str::to_owned),
        arguments,
        attempt: number(payload.get("attempt"), "attempt")?,
        tasks: tasks
            .iter()
            .enumerate()
            .map(|(index, task)| parse_task(task, index))
            .collect::<Result<_, _>>()?,
    })
}

/// Parses a task. Fails without a task ID: the response must name it.
fn parse_task(task: &Value, index: usize) -> Result<JobTask, RequestFormatError> {
    let field = |name: &str| format!("tasks[{index}].{name}");
    let id = text(task, "taskId", &field("taskId"))?;
    let target = || {
        let bucket = task_bucket(task, &field)?;
        let key = text(task, "s3Key", &field("s3Key"))?;
        Ok(TaskTarget {
            bucket,
            keys: keys_of(key).map_err(name_error(&field("s3Key")))?,
        })
    };
    Ok(JobTask {
        id: id.to_owned(),
        target: target(),
    })
}

/// Returns the bucket of a task. Schema 2.0 contains its name, schema 1.0 its ARN.
fn task_bucket(task: &Value, field: &impl Fn(&str) -> String) -> Result<BucketName, RequestFormatError> {
    if let Some(Value::String(name)) = task.get("s3Bucket") {
        return BucketName::new(name.as_str()).map_err(name_error(&field("s3Bucket")));
    }
    let found = task.get("s3BucketArn");
    let Some(Value::String(arn)) = found else {
        let name = if found.is_some() { "s3BucketArn" } else { "s3Bucket" };
        let found = found.or_else(|| task.get("s3Bucket"));
        return Err(unexpected(&field(name), found, "the name of a bucket"));
    };
    let mut parts = arn.splitn(6, ':');
    let is_bucket = parts.next() == Some("arn") && parts.next().is_some() && parts.next() == Some("s3");
    // Region and account are empty in the ARN of a bucket, but AWS's example contains them.
    let name = parts.nth(2).filter(|_| is_bucket);
    let name =
        name.ok_or_else(|| unexpected(&field("s3BucketArn"), found, "the ARN of a bucket, arn:aws:s3:::name"))?;
    BucketName::new(name).map_err(name_error(&field("s3BucketArn")))
}

/// Decodes a key of a manifest. A `+` is either an encoded space or a literal `+`: both keys are returned.
fn keys_of(encoded: &str) -> Result<Vec<ObjectKey>, NameError> {
    let mut keys = vec![ObjectKey::from_notification(encoded)?];
    if encoded.contains('+') {
        keys.push(ObjectKey::from_notification(&encoded.replace('+', "%2B"))?);
    }
    Ok(keys)
}

/// Returns whether a payload is a single item, as a map without batches sends it.
fn is_item(payload: &Value) -> bool {
    payload.get("row").is_some() || column(payload, "key").is_some()
}

fn parse_map(payload: &Value) -> Result<MapBatch, RequestFormatError> {
    let items = match payload.get("Items") {
        Some(Value::Array(items)) => items
            .iter()
            .enumerate()
            .map(|(index, item)| parse_item(item, index))
            .collect(),
        Some(other) => return Err(unexpected("Items", Some(other), "an array of items")),
        None => vec![parse_item(payload, 0)],
    };
    let first = items.first().map_or(&Value::Null, |item: &MapItem| &item.value);
    let input = payload.get("BatchInput").filter(|input| !input.is_null());
    if let Some(input) = input.filter(|input| !input.is_object()) {
        return Err(unexpected("BatchInput", Some(input), "an object"));
    }
    // A map without batches can carry the run only in each item.
    let run = input.and_then(|input| input.get("run")).or_else(|| first.get("run"));
    let given = |name: &str| {
        let of_batch = input.and_then(|input| input.get(name));
        of_batch.or_else(|| run.and_then(|run| run.get(name)))
    };
    Ok(MapBatch {
        arguments: JobArguments::parse(given("userArguments"), "userArguments"),
        run: run.map(|run| run_name(run, "execution")).transpose()?,
        retries: 0,
        ended: FinishedItems::read(input),
        input: input.cloned().unwrap_or_default(),
        items,
    })
}

fn parse_item(item: &Value, index: usize) -> MapItem {
    let row = item.get("row").unwrap_or(item);
    let field = |name: &str| format!("Items[{index}].{name}");
    let target = || {
        let bucket = row_text(row, "bucket", &field("Bucket"))?;
        let key = row_text(row, "key", &field("Key"))?;
        Ok(TaskTarget {
            bucket: BucketName::new(bucket).map_err(name_error(&field("Bucket")))?,
            keys: keys_of(key).map_err(name_error(&field("Key")))?,
        })
    };
    MapItem {
        value: item.clone(),
        row: row.clone(),
        runs: ItemAttempts::read(item),
        target: target(),
    }
}

/// Returns a column by its plain name: a header row may spell it `Bucket`, `bucket` or `version_id`.
fn column<'a>(row: &'a Value, name: &str) -> Option<&'a Value> {
    // In a file with a byte order mark the name of the first column begins with it.
    let is_it = |column: &str| plain_name(column.trim_start_matches('\u{FEFF}').trim()) == name;
    let fields = row.as_object()?;
    fields.iter().find(|(column, _)| is_it(column)).map(|(_, value)| value)
}

/// Returns the text of a column, without a byte order mark before it or a carriage return after it, which editors add.
/// Neither occurs in a bucket name or in a URL-encoded key.
fn row_text<'a>(row: &'a Value, name: &str, field: &str) -> Result<&'a str, RequestFormatError> {
    let found = column(row, name);
    let text = found
        .and_then(Value::as_str)
        .map(trimmed)
        .filter(|text| !text.is_empty());
    text.ok_or_else(|| unexpected(field, found, "a non-empty string"))
}

fn trimmed(text: &str) -> &str {
    text.trim_start_matches('\u{FEFF}').trim_end_matches('\r')
}

fn run_name(value: &Value, name: &str) -> Result<RunName, RequestFormatError> {
    let field = format!("run.{name}");
    RunName::new(text(value, name, &field)?).map_err(name_error(&field))
}

fn text<'a>(value: &'a Value, name: &str, field: &str) -> Result<&'a str, RequestFormatError> {
    let found = value.get(name);
    let text = found.and_then(Value::as_str).filter(|text| !text.is_empty());
    text.ok_or_else(|| unexpected(field, found, "a non-empty string"))
}

/// Returns an integer field, 0 if it is missing.
fn number(found: Option<&Value>, field: &str) -> Result<u32, RequestFormatError> {
    match found {
        None | Some(Value::Null) => Ok(0),
        Some(found) => found
            .as_u64()
            .and_then(|number| u32::try_from(number).ok())
            .ok_or_else(|| unexpected(field, Some(found), "a non-negative integer")),
    }
}

fn name_error(field: &str) -> impl FnOnce(NameError) -> RequestFormatError {
    let field = field.to_owned();
    move |error| RequestFormatError::Name { field, error }
}

/// Returns the error for a field of an unexpected type or value.
pub(super) fn unexpected(field: &str, found: Option<&Value>, expected: &'static str) -> RequestFormatError {
    RequestFormatError::Field {
        field: field.to_owned(),
        found: found.map_or_else(|| "missing".to_owned(), outline),
        expected,
    }
}

/// Describes a JSON value for an error. Long contents are shortened or omitted.
fn outline(value: &Value) -> String {
    match value {
        Value::Object(fields) if fields.is_empty() => "an empty object".to_owned(),
        Value::Object(fields) => {
            let names: Vec<String> = fields.keys().take(8).map(|name| shortened(name, 40)).collect();
            format!("an object with {}", names.join(", "))
        }
        Value::Array(_) => "an array".to_owned(),
        Value::String(text) if text.is_empty() => "empty".to_owned(),
        Value::String(text) => format!("`{}`", shortened(text, 100)),
        Value::Number(number) => number.to_string(),
        Value::Bool(value) => value.to_string(),
        Value::Null => "null".to_owned(),
    }
}
