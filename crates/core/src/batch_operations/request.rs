//! The requests, told apart by their fields.

use serde::Serialize;
use serde_json::Value;

use super::arguments::plain_name;
use super::{FinishedItems, ItemAttempts, JobArguments, RequestFormatError, shortened};
use crate::names::{BucketName, NameError, ObjectKey};

/// What one invocation asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FinalSyncRequest {
    /// Tasks of a job of S3 Batch Operations.
    Job(JobInvocation),
    /// Items of a Distributed Map, together or one by itself.
    Map(MapBatch),
    /// The beginning of a run of the state machine: its input is looked at before anything is copied.
    Begin(RunStart),
    /// Items whose invocation failed as a whole: they are put on record.
    Lost(LostItems),
    /// The end of a run: its results are added up.
    Conclude(RunEnd),
}

/// An invocation by S3 Batch Operations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobInvocation {
    /// The version of the request's form, which the answer repeats.
    pub schema_version: String,
    /// The invocation's id, which the answer repeats.
    pub invocation_id: String,
    /// The job's id.
    pub job_id: Option<String>,
    /// What the job asks for by itself; an error here is the answer to each of its tasks.
    pub arguments: Result<JobArguments, RequestFormatError>,
    /// How often the tasks were run, this time included. Only a local job says so; S3 repeats a task as if it were new.
    pub attempt: u32,
    /// The tasks.
    pub tasks: Vec<JobTask>,
}

/// One task of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobTask {
    /// The id that the answer names.
    pub id: String,
    /// What it is about.
    pub target: Result<TaskTarget, RequestFormatError>,
}

/// Items of a Distributed Map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MapBatch {
    /// The items.
    pub items: Vec<MapItem>,
    /// What the run asks for by itself; an error here is the answer to each of the items.
    pub arguments: Result<JobArguments, RequestFormatError>,
    /// The run that the items are of; without one, results are in the answer and nowhere else.
    pub run: Option<RunName>,
    /// How often the state machine has retried this invocation, each time because the function failed as a whole.
    pub retries: u32,
    /// What earlier runs of the batch ended.
    pub ended: FinishedItems,
    /// What the batch was given for all of its items, as it came.
    pub input: Value,
}

/// One item of a Distributed Map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MapItem {
    /// The item as it came, for another run.
    pub value: Value,
    /// The row of the manifest that it was made of, as it came.
    pub row: Value,
    /// How often it was run before.
    pub runs: ItemAttempts,
    /// What it is about.
    pub target: Result<TaskTarget, RequestFormatError>,
}

/// What a task or an item is about.
///
/// A version that the row names is not read: the row stands for its key, whose current object is copied. A manifest
/// that is older than the last write of a key names a version that is no longer current.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskTarget {
    /// The bucket.
    pub bucket: BucketName,
    /// The key; two where its encoding can be read in two ways.
    pub keys: Vec<ObjectKey>,
}

/// Names a run of the state machine; part of the names of the run's objects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct RunName(String);

impl RunName {
    /// Takes the name of an execution, which Step Functions allows 80 characters; no slash, so that no run writes into
    /// another one's folder.
    pub fn new(name: &str) -> Result<Self, NameError> {
        let allowed = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
        let dots = name.chars().all(|letter| letter == '.');
        if dots || name.len() > 80 || !name.chars().all(allowed) {
            return Err(NameError::Malformed {
                what: "run",
                value: shortened(name, 100),
                expected: "the name of an execution: up to 80 letters, digits, hyphens, underscores, dots",
            });
        }
        Ok(Self(name.to_owned()))
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the prefix of everything that the run writes into the state bucket.
    #[must_use]
    pub fn folder(&self) -> String {
        format!("final-sync/{}", self.0)
    }
}

/// A run as its items carry it along.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FinalSyncRun {
    /// Its name.
    pub name: RunName,
    /// What it asks for by itself.
    pub arguments: JobArguments,
}

/// The beginning of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunStart {
    /// The run.
    pub run: FinalSyncRun,
    /// The arguments as they came, to be carried along.
    pub arguments: Value,
    /// The manifest's key in the state bucket.
    pub manifest_key: ObjectKey,
}

/// Items whose invocation failed as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostItems {
    /// The items.
    pub batch: MapBatch,
    /// What the state machine says of the failure.
    pub error: String,
}

/// The end of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunEnd {
    /// The run.
    pub run: RunName,
    /// The manifest's key.
    pub manifest_key: String,
    /// Why the run was stopped, where it was.
    pub stopped: Option<String>,
    /// Whether an earlier invocation began the summary, and this one resumes it.
    pub resume: bool,
}

/// Reads a request.
///
/// Fails as a whole only where no task could be answered: what cannot be read of a task or an item is its own result.
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

/// Reads a task. Without its id nobody can answer it, nor the invocation as a whole.
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

/// Version 2.0 names the bucket, version 1.0 gives its ARN.
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
    // Region and account are empty in the ARN of a bucket, though AWS's own example has them.
    let name = parts.nth(2).filter(|_| is_bucket);
    let name =
        name.ok_or_else(|| unexpected(&field("s3BucketArn"), found, "the ARN of a bucket, arn:aws:s3:::name"))?;
    BucketName::new(name).map_err(name_error(&field("s3BucketArn")))
}

/// Decodes a key of a manifest. A `+` may stand for a space, as in a form, or for itself: both keys are looked at.
fn keys_of(encoded: &str) -> Result<Vec<ObjectKey>, NameError> {
    let mut keys = vec![ObjectKey::from_notification(encoded)?];
    if encoded.contains('+') {
        keys.push(ObjectKey::from_notification(&encoded.replace('+', "%2B"))?);
    }
    Ok(keys)
}

/// Whether a payload is an item of a map by itself, as a map without batches hands them out.
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
    // A map without batches can only hand the run along in each item.
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

/// A column of a row by its plain name: a header row may spell it `Bucket`, `bucket` or `version_id`.
fn column<'a>(row: &'a Value, name: &str) -> Option<&'a Value> {
    // The first column of a file with a byte order mark is named after it.
    let is_it = |column: &str| plain_name(column.trim_start_matches('\u{FEFF}').trim()) == name;
    let fields = row.as_object()?;
    fields.iter().find(|(column, _)| is_it(column)).map(|(_, value)| value)
}

/// Reads a column, without what editors leave around it: a byte order mark before the first, a carriage return behind the
/// last. Neither is in a name of a bucket, nor in a key that is URL-encoded.
fn row_text<'a>(row: &'a Value, name: &str, field: &str) -> Result<&'a str, RequestFormatError> {
    let found = column(row, name);
    let text = found
        .and_then(Value::as_str)
        .map(trimmed)
        .filter(|text| !text.is_empty());
    text.ok_or_else(|| unexpected(field, found, "a text that is not empty"))
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
    text.ok_or_else(|| unexpected(field, found, "a text that is not empty"))
}

/// Reads a whole number; 0 where there is none.
fn number(found: Option<&Value>, field: &str) -> Result<u32, RequestFormatError> {
    match found {
        None | Some(Value::Null) => Ok(0),
        Some(found) => found
            .as_u64()
            .and_then(|number| u32::try_from(number).ok())
            .ok_or_else(|| unexpected(field, Some(found), "a whole number")),
    }
}

fn name_error(field: &str) -> impl FnOnce(NameError) -> RequestFormatError {
    let field = field.to_owned();
    move |error| RequestFormatError::Name { field, error }
}

/// Makes the error of a field that is not what it must be.
pub(super) fn unexpected(field: &str, found: Option<&Value>, expected: &'static str) -> RequestFormatError {
    RequestFormatError::Field {
        field: field.to_owned(),
        found: found.map_or_else(|| "missing".to_owned(), outline),
        expected,
    }
}

/// Names what a value holds, its contents only where they are short.
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
