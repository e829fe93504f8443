//! A double of S3 Batch Operations, which no emulator has: it invokes a function with the tasks of a manifest, repeats
//! tasks that fail temporarily, and returns the rows of the completion report.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/batch-ops-invoke-lambda.html>

use std::collections::BTreeMap;
use std::time::Duration;

use s3ferry_core::batch_operations::ResultCode;
use s3ferry_core::batch_report::{JobState, TaskCells, TaskOutcome, TaskRow};
use s3ferry_core::manifest::ManifestRow;
use s3ferry_engine::ports::Clock;
use serde_json::{Value, json};

/// Largest number of attempts of one task. S3 does not document its own.
pub const MAX_ATTEMPTS: u32 = 6;

/// Wait before the second attempt; each later wait is twice as long.
pub const FIRST_WAIT: Duration = Duration::from_secs(1);

/// Number of ended tasks from which a job fails if more than half of them failed.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/batch-ops-job-status.html>
const FAILURE_THRESHOLD: usize = 1_000;

/// A job over a manifest.
#[derive(Debug)]
pub struct BatchJobDouble<C> {
    /// Time for the waits between attempts.
    pub clock: C,
    /// Largest number of tasks in one invocation.
    pub tasks_per_invocation: usize,
    /// User arguments of the job.
    pub user_arguments: BTreeMap<String, String>,
}

/// The result of one task.
#[derive(Debug, Clone)]
struct TaskResponse {
    code: ResultCode,
    text: String,
}

impl<C: Clock> BatchJobDouble<C> {
    /// Runs the job to its end and returns its state and the rows of its completion report.
    pub async fn run(
        &self,
        rows: &[ManifestRow],
        function: impl AsyncFn(Value) -> Result<Value, String>,
    ) -> (JobState, Vec<TaskRow>) {
        let mut ended: BTreeMap<usize, TaskResponse> = BTreeMap::new();
        let mut left: Vec<usize> = (0..rows.len()).collect();
        for attempt in 1..=MAX_ATTEMPTS {
            if attempt > 1 && !left.is_empty() {
                self.clock.sleep(FIRST_WAIT * 2_u32.pow(attempt - 2)).await;
            }
            let mut repeated = Vec::new();
            for tasks in left.chunks(self.tasks_per_invocation.max(1)) {
                if too_many_failed(&ended) {
                    return (JobState::Failed, report(rows, &ended));
                }
                let id = format!("invocation-{}-{attempt}", tasks.first().copied().unwrap_or_default());
                let response = function(self.invocation(&id, rows, tasks, attempt)).await;
                for (task, response) in tasks.iter().zip(responses(&response, &id, tasks)) {
                    if response.code == ResultCode::TemporaryFailure && attempt < MAX_ATTEMPTS {
                        repeated.push(*task);
                    } else {
                        ended.insert(*task, response);
                    }
                }
            }
            left = repeated;
        }
        (JobState::Complete, report(rows, &ended))
    }

    /// Makes the payload of an invocation, schema 2.0.
    fn invocation(&self, id: &str, rows: &[ManifestRow], tasks: &[usize], attempt: u32) -> Value {
        let tasks = tasks.iter().filter_map(|task| {
            let cells = cells(rows.get(*task)?);
            Some(json!({
                "taskId": task.to_string(), "s3Key": cells.key, "s3VersionId": cells.version, "s3Bucket": cells.bucket,
            }))
        });
        json!({
            "invocationSchemaVersion": "2.0",
            "invocationId": id,
            "job": { "id": "job-1", "userArguments": self.user_arguments },
            "attempt": attempt,
            "tasks": tasks.collect::<Vec<Value>>(),
        })
    }
}

/// Reads the response to an invocation: one result per task, in their order.
///
/// A response to another invocation, or none, fails every task. A task without a result gets `treatMissingKeysAs`, and of
/// two results of one task the first counts.
fn responses(response: &Result<Value, String>, id: &str, tasks: &[usize]) -> Vec<TaskResponse> {
    let all_failed = |text: &str| {
        let failed = TaskResponse {
            code: ResultCode::PermanentFailure,
            text: text.to_owned(),
        };
        vec![failed; tasks.len()]
    };
    let response = match response {
        Ok(response) => response,
        Err(error) => return all_failed(&format!("not done: the function failed: {error}")),
    };
    if response["invocationId"] != id {
        return all_failed("not done: the function failed: it answered another invocation");
    }
    let code = |value: &Value| value.as_str().and_then(ResultCode::parse);
    let missing = code(&response["treatMissingKeysAs"]).unwrap_or(ResultCode::PermanentFailure);
    let results = response["results"].as_array().cloned().unwrap_or_default();
    let result_of = |task: &usize| {
        let of_task = |result: &&Value| {
            result["taskId"].as_str() == Some(&*task.to_string()) && code(&result["resultCode"]).is_some()
        };
        let result = results.iter().find(of_task);
        TaskResponse {
            code: result.and_then(|result| code(&result["resultCode"])).unwrap_or(missing),
            text: result
                .map_or("the response omits this task", |result| {
                    result["resultString"].as_str().unwrap_or_default()
                })
                .to_owned(),
        }
    };
    tasks.iter().map(result_of).collect()
}

/// Splits a row into the URL-encoded fields of a manifest.
fn cells(row: &ManifestRow) -> TaskCells {
    let spelled = row.to_csv();
    let mut fields = spelled.split(',').map(str::to_owned);
    TaskCells {
        bucket: fields.next().unwrap_or_default(),
        key: fields.next().unwrap_or_default(),
        version: fields.next(),
    }
}

fn outcome(response: &TaskResponse) -> TaskOutcome {
    match response.code {
        ResultCode::Succeeded => TaskOutcome::Succeeded,
        ResultCode::TemporaryFailure | ResultCode::PermanentFailure => TaskOutcome::Failed,
    }
}

fn too_many_failed(ended: &BTreeMap<usize, TaskResponse>) -> bool {
    let failed = ended
        .values()
        .filter(|response| outcome(response) == TaskOutcome::Failed);
    ended.len() >= FAILURE_THRESHOLD && failed.count() * 2 > ended.len()
}

fn report(rows: &[ManifestRow], ended: &BTreeMap<usize, TaskResponse>) -> Vec<TaskRow> {
    let row = |(task, response): (&usize, &TaskResponse)| {
        let outcome = outcome(response);
        Some(TaskRow {
            file: "the report".to_owned(),
            row: u64::try_from(*task).ok()? + 1,
            cells: cells(rows.get(*task)?),
            end: outcome,
            http_status: Some(200),
            error_code: match outcome {
                TaskOutcome::Succeeded => String::new(),
                TaskOutcome::Failed => response.code.as_str().to_owned(),
            },
            message: response.text.clone(),
        })
    };
    ended.iter().filter_map(row).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use s3ferry_core::names::{BucketName, ObjectKey};

    use super::*;
    use crate::clock::TestClock;

    fn manifest(keys: usize) -> Vec<ManifestRow> {
        let bucket = BucketName::new("source").expect("a bucket name");
        let key = |number| ObjectKey::from_raw(format!("key {number:04}")).expect("a key");
        (0..keys)
            .map(|number| ManifestRow::new(bucket.clone(), key(number), None))
            .collect()
    }

    /// Runs a job over `keys` keys with a function that answers each task with `code`, a function of key and attempt.
    async fn run(keys: usize, code: impl Fn(&str, u64) -> &'static str) -> (JobState, Vec<TaskRow>, Vec<u64>) {
        let attempts = Mutex::new(Vec::new());
        let job = BatchJobDouble {
            clock: TestClock::start(),
            tasks_per_invocation: 3,
            user_arguments: BTreeMap::new(),
        };
        let function = async |payload: Value| {
            let attempt = payload["attempt"].as_u64().expect("a number");
            attempts.lock().expect("no panic").push(attempt);
            let mut results = Vec::new();
            for task in payload["tasks"].as_array().expect("tasks") {
                match code(task["s3Key"].as_str().expect("a key"), attempt) {
                    "panic" => return Err("out of memory".to_owned()),
                    "" => {}
                    code => results.push(json!({ "taskId": task["taskId"], "resultCode": code, "resultString": "r" })),
                }
            }
            Ok(json!({
                "invocationId": payload["invocationId"], "treatMissingKeysAs": "PermanentFailure", "results": results,
            }))
        };
        let (state, report) = job.run(&manifest(keys), function).await;
        let attempts = attempts.lock().expect("no panic").clone();
        (state, report, attempts)
    }

    fn failed(report: &[TaskRow]) -> Vec<String> {
        let failed = report.iter().filter(|row| row.end == TaskOutcome::Failed);
        failed.map(|row| row.cells.shown_key()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn tasks_that_fail_temporarily_are_repeated_with_growing_waits() {
        let begun = tokio::time::Instant::now();
        let (state, report, attempts) = run(7, |key, attempt| match key {
            "key%200001" if attempt < 3 => "TemporaryFailure",
            "key%200004" => "TemporaryFailure",
            "key%200005" => "PermanentFailure",
            _ => "Succeeded",
        })
        .await;
        assert_eq!((state, report.len()), (JobState::Complete, 7));
        assert_eq!(begun.elapsed(), FIRST_WAIT * (1 + 2 + 4 + 8 + 16));
        assert_eq!(attempts, [1, 1, 1, 2, 3, 4, 5, 6]);
        assert_eq!(failed(&report), ["key 0004", "key 0005"]);
    }

    #[tokio::test(start_paused = true)]
    async fn failed_invocation_and_omitted_tasks_fail_permanently() {
        let (_, report, _) = run(6, |key, _| match key {
            "key%200001" => "panic",
            "key%200004" => "",
            _ => "Succeeded",
        })
        .await;
        assert_eq!(failed(&report), ["key 0000", "key 0001", "key 0002", "key 0004"]);
    }

    #[tokio::test(start_paused = true)]
    async fn job_fails_early_if_more_than_half_of_its_tasks_fail() {
        let (state, report, _) = run(3_000, |_, _| "PermanentFailure").await;
        assert_eq!(state, JobState::Failed);
        assert!((1_000..1_010).contains(&report.len()), "{} tasks", report.len());
        let (state, report, _) = run(900, |_, _| "PermanentFailure").await;
        assert_eq!((state, report.len()), (JobState::Complete, 900));
    }
}
