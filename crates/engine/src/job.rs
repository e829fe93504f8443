//! A local job: this process runs the tasks of a manifest like S3 Batch Operations does.
//!
//! A function is invoked with tasks, temporary failures run again, and the job writes a completion report.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/batch-ops-invoke-lambda.html>

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use futures::future::{ready, select};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use md5::{Digest as _, Md5};
use s3ferry_core::batch_operations::{ResultCode, TaskResponse, invocation, read_answer};
use s3ferry_core::batch_report::{
    CompletionReportFile, CompletionReportManifest, INDEX_NAME, JobProgress, JobState, TaskCells, TaskOutcome, TaskRow,
};
use s3ferry_core::failure::{Failure, FailureKind};
use s3ferry_core::manifest::ManifestRow;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ports::Clock;
use crate::results::{ResultStore, texts};

/// The maximum number of runs of a task with temporary failures. S3 does not document its own number.
pub const MAX_TASK_RUNS: u32 = 6;

/// The wait between the first two runs of a task. Every later wait is twice as long as the previous one.
pub const FIRST_WAIT: Duration = Duration::from_secs(1);

/// The number of finished tasks from which a job fails if more than half of them failed.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/batch-ops-job-status.html>
const FAILS_AFTER: usize = 1_000;

/// A function that runs tasks.
pub trait Invoke: Send + Sync {
    /// Invokes the function. An error fails all tasks of the invocation.
    fn invoke(&self, payload: &Value) -> impl Future<Output = Result<Value, String>>;
}

/// A signal to stop, such as Ctrl-C.
pub trait Stop {
    /// Returns whether a stop was requested.
    fn is_set(&self) -> bool;

    /// Waits until a stop is requested.
    fn wait(&self) -> impl Future<Output = ()>;
}

/// The stored record of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobRecord {
    /// The job's id.
    pub id: String,
    /// The job's state. If the process was killed, it stays `Active`, and the job resumes when it is started again.
    pub state: JobState,
    /// The time of the job's creation.
    pub created: String,
    /// The location of the job's manifest.
    pub manifest: String,
    /// The number of tasks.
    pub tasks: u64,
    /// The user arguments, which override settings of the function.
    pub user_arguments: BTreeMap<String, String>,
}

/// The name of a job's record in its folder.
pub const RECORD_NAME: &str = "job.json";

/// The location of a job's folder, for the index of its completion report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportLocation {
    /// The bucket; empty for a local folder.
    pub bucket: String,
    /// The key prefix of the job's folder.
    pub prefix: String,
}

/// A job that this process runs.
#[derive(Debug)]
pub struct LocalJob<I, R, C, P> {
    /// The job's record.
    pub record: JobRecord,
    /// The function that runs the tasks.
    pub function: I,
    /// The store for the job's record, results and completion report.
    pub store: R,
    /// The clock.
    pub clock: C,
    /// The signal to stop.
    pub stop: P,
    /// The number of tasks per invocation.
    pub tasks_per_invocation: usize,
    /// The number of concurrent invocations.
    pub invocations: usize,
    /// The location of the completion report.
    pub report_location: ReportLocation,
}

/// Returns the name of a job's folder.
#[must_use]
pub fn folder(id: &str) -> String {
    format!("job-{id}")
}

type Responses = BTreeMap<u64, TaskResponse>;

impl<I: Invoke, R: ResultStore, C: Clock, P: Stop> LocalJob<I, R, C, P> {
    /// Runs or resumes the job until its completion or a requested stop. `rows` is the manifest.
    ///
    /// Progress is reported to `watch`.
    pub async fn run(&self, rows: &[ManifestRow], watch: &impl Fn(&JobProgress)) -> Result<JobProgress, Failure> {
        let mut responses = read_responses(&self.store, &self.record.id).await?;
        let was_complete = self.record_unless_complete(JobState::Active, &responses, rows).await?;
        if was_complete {
            return Ok(self.progress(JobState::Complete, &responses));
        }
        watch(&self.progress(JobState::Active, &responses));
        let numbers = 0..u64::try_from(rows.len()).unwrap_or(u64::MAX);
        let mut left: Vec<u64> = numbers.filter(|number| !responses.contains_key(number)).collect();
        for run in 1..=MAX_TASK_RUNS {
            if left.is_empty() || !self.wait_before(run).await {
                break;
            }
            let again = self.run_once(rows, run, &left, &mut responses, watch).await?;
            if self.stop.is_set() || too_many_failed(&responses) {
                break;
            }
            if run == MAX_TASK_RUNS {
                self.give_up(again, &mut responses).await?;
                break;
            }
            left = again.into_iter().map(|response| response.task).collect();
        }
        let state = if responses.len() == rows.len() {
            JobState::Complete
        } else if too_many_failed(&responses) {
            JobState::Failed
        } else {
            JobState::Paused
        };
        if state.is_over() {
            self.report(rows, &responses).await?;
        }
        self.record_as(state).await?;
        let progress = self.progress(state, &responses);
        watch(&progress);
        Ok(progress)
    }

    /// Stores the job's record, unless the job is complete. Returns whether it is complete.
    async fn record_unless_complete(
        &self,
        state: JobState,
        responses: &Responses,
        rows: &[ManifestRow],
    ) -> Result<bool, Failure> {
        let is_reported = responses.len() == rows.len()
            && read_record(&self.store, &self.record.id)
                .await?
                .is_some_and(|record| record.state == JobState::Complete);
        if !is_reported {
            self.record_as(state).await?;
        }
        Ok(is_reported)
    }

    async fn record_as(&self, state: JobState) -> Result<(), Failure> {
        let record = JobRecord {
            state,
            ..self.record.clone()
        };
        self.write(RECORD_NAME, spelled(&record)?).await
    }

    async fn write(&self, name: &str, text: String) -> Result<(), Failure> {
        self.store
            .write(&format!("{}/{name}", folder(&self.record.id)), text)
            .await
    }

    /// Waits before the next run of the remaining tasks. Returns `false` if a stop was requested.
    async fn wait_before(&self, run: u32) -> bool {
        if run > 1 {
            let wait = FIRST_WAIT.saturating_mul(2_u32.saturating_pow(run - 2));
            select(pin!(self.clock.sleep(wait)), pin!(self.stop.wait())).await;
        }
        !self.stop.is_set()
    }

    /// Runs tasks once, and returns the responses of those that run again.
    async fn run_once(
        &self,
        rows: &[ManifestRow],
        run: u32,
        left: &[u64],
        responses: &mut Responses,
        watch: &impl Fn(&JobProgress),
    ) -> Result<Vec<TaskResponse>, Failure> {
        let mut again = Vec::new();
        let is_failing = std::cell::Cell::new(false);
        let invocations = stream::iter(left.chunks(self.tasks_per_invocation.max(1)))
            .take_while(|_| ready(!self.stop.is_set() && !is_failing.get()))
            .map(|chunk| self.invoke(rows, run, chunk))
            .buffer_unordered(self.invocations.max(1));
        let mut invocations = pin!(invocations);
        while let Some(answered) = invocations.next().await {
            let (temporary, over): (Vec<_>, Vec<_>) = answered
                .into_iter()
                .partition(|response| response.code == ResultCode::TemporaryFailure);
            again.extend(temporary);
            self.store_responses(&over).await?;
            responses.extend(over.into_iter().map(|response| (response.task, response)));
            is_failing.set(too_many_failed(responses));
            watch(&self.progress(JobState::Active, responses));
        }
        again.sort_by_key(|response| response.task);
        Ok(again)
    }

    async fn invoke(&self, rows: &[ManifestRow], run: u32, chunk: &[u64]) -> Vec<TaskResponse> {
        let row = |number: &u64| Some((*number, rows.get(usize::try_from(*number).ok()?)?));
        let tasks: Vec<(u64, &ManifestRow)> = chunk.iter().filter_map(row).collect();
        let first = chunk.first().copied().unwrap_or_default();
        let invocation_id = format!("{}-{first}-{run}", self.record.id);
        let payload = invocation(
            &self.record.id,
            &invocation_id,
            &self.record.user_arguments,
            &tasks,
            run,
        );
        let answer = self.function.invoke(&payload).await;
        read_answer(&answer, &invocation_id, chunk)
    }

    /// Stores final responses under the number of their first task, which no other invocation finishes.
    async fn store_responses(&self, responses: &[TaskResponse]) -> Result<(), Failure> {
        let Some(first) = responses.first() else { return Ok(()) };
        let mut text = String::new();
        for response in responses {
            text.push_str(&spelled(response)?);
            text.push('\n');
        }
        self.write(&format!("progress/{:012}.jsonl", first.task), text).await
    }

    /// Stores a final failure for tasks whose last run was a temporary failure.
    async fn give_up(&self, again: Vec<TaskResponse>, responses: &mut Responses) -> Result<(), Failure> {
        let given_up: Vec<TaskResponse> = again
            .into_iter()
            .map(|response| TaskResponse {
                text: format!("given up after {MAX_TASK_RUNS} runs: {}", response.text),
                ..response
            })
            .collect();
        self.store_responses(&given_up).await?;
        responses.extend(given_up.into_iter().map(|response| (response.task, response)));
        Ok(())
    }

    /// Writes the completion report. Its index is written last.
    async fn report(&self, rows: &[ManifestRow], responses: &Responses) -> Result<(), Failure> {
        let mut files = Vec::new();
        for (status, is_of) in [("succeeded", TaskOutcome::Succeeded), ("failed", TaskOutcome::Failed)] {
            let mut text = String::new();
            for (row, response) in rows
                .iter()
                .zip(0_u64..)
                .filter_map(|(row, task)| Some((row, responses.get(&task)?)))
            {
                if outcome_of(response) == is_of {
                    text.push_str(&report_row(row, response)?);
                    text.push('\n');
                }
            }
            if text.is_empty() {
                continue;
            }
            let md5 = md5_of(text.as_bytes());
            let name = format!("results/{md5}-{status}.csv");
            self.write(&name, text).await?;
            files.push(CompletionReportFile {
                status: status.to_owned(),
                bucket: self.report_location.bucket.clone(),
                md5,
                key: format!("{}{}/{name}", self.report_location.prefix, folder(&self.record.id)),
            });
        }
        let index = CompletionReportManifest::new(self.clock.now().to_rfc3339(), files);
        self.write(INDEX_NAME, spelled(&index)?).await
    }

    fn progress(&self, state: JobState, responses: &Responses) -> JobProgress {
        progress_of(state, self.record.tasks, responses)
    }
}

/// Reads the record of a job; `None` if there is no such job.
pub async fn read_record<R: ResultStore>(store: &R, id: &str) -> Result<Option<JobRecord>, Failure> {
    let name = format!("{}/{RECORD_NAME}", folder(id));
    if !store.list(&name, None).await?.contains(&name) {
        return Ok(None);
    }
    read_as(&name, &store.read(&name).await?).map(Some)
}

/// Reads the progress of a job.
pub async fn read_progress<R: ResultStore>(store: &R, record: &JobRecord) -> Result<JobProgress, Failure> {
    let responses = read_responses(store, &record.id).await?;
    Ok(progress_of(record.state, record.tasks, &responses))
}

async fn read_responses<R: ResultStore>(store: &R, id: &str) -> Result<Responses, Failure> {
    let mut responses = Responses::new();
    let prefix = format!("{}/progress/", folder(id));
    let mut texts = pin!(texts(store, &prefix, None));
    while let Some((name, text)) = texts.try_next().await? {
        for line in text.lines() {
            let response: TaskResponse = read_as(&name, line)?;
            responses.insert(response.task, response);
        }
    }
    Ok(responses)
}

fn progress_of(state: JobState, tasks: u64, responses: &Responses) -> JobProgress {
    let count = |outcome: TaskOutcome| {
        let with_outcome = responses.values().filter(|answered| outcome_of(answered) == outcome);
        u64::try_from(with_outcome.count()).unwrap_or(u64::MAX)
    };
    JobProgress {
        state,
        total: Some(tasks),
        succeeded: count(TaskOutcome::Succeeded),
        failed: count(TaskOutcome::Failed),
        reason: None,
    }
}

fn too_many_failed(responses: &Responses) -> bool {
    let failed = responses
        .values()
        .filter(|response| outcome_of(response) == TaskOutcome::Failed)
        .count();
    responses.len() >= FAILS_AFTER && failed * 2 > responses.len()
}

fn outcome_of(response: &TaskResponse) -> TaskOutcome {
    match response.code {
        ResultCode::Succeeded => TaskOutcome::Succeeded,
        ResultCode::TemporaryFailure | ResultCode::PermanentFailure => TaskOutcome::Failed,
    }
}

fn report_row(row: &ManifestRow, response: &TaskResponse) -> Result<String, Failure> {
    let spelled = row.to_csv();
    let mut cells = spelled.split(',').map(str::to_owned);
    let error_code = match response.code {
        ResultCode::Succeeded => "",
        failed => failed.as_str(),
    };
    let reported = TaskRow {
        file: "the report".to_owned(),
        row: response.task.saturating_add(1),
        cells: TaskCells {
            bucket: cells.next().unwrap_or_default(),
            key: cells.next().unwrap_or_default(),
            version: cells.next(),
        },
        end: outcome_of(response),
        http_status: Some(200),
        error_code: error_code.to_owned(),
        message: response.text.clone(),
    };
    reported.to_csv().map_err(|error| bug(error.to_string()))
}

fn spelled(value: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string(value).map_err(|error| bug(error.to_string()))
}

fn read_as<T: serde::de::DeserializeOwned>(name: &str, text: &str) -> Result<T, Failure> {
    serde_json::from_str(text).map_err(|error| Failure {
        kind: FailureKind::Configuration,
        code: "JobNotReadable".to_owned(),
        action: "read the job's record".to_owned(),
        resource: name.to_owned(),
        detail: format!("{error}: choose another folder for the job, or delete this one and start the job again"),
    })
}

fn bug(detail: String) -> Failure {
    Failure {
        kind: FailureKind::Bug,
        code: "Unwritable".to_owned(),
        action: "write the job's record".to_owned(),
        resource: "the job".to_owned(),
        detail,
    }
}

fn md5_of(bytes: &[u8]) -> String {
    Md5::digest(bytes).iter().fold(String::new(), |mut digits, byte| {
        // Writing to a `String` never fails.
        let _written = write!(digits, "{byte:02x}");
        digits
    })
}
