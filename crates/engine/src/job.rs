//! A job over a manifest, run by this process as S3 Batch Operations runs it: a function is invoked with tasks, tasks that
//! fail for a while are run again, and a completion report is left behind.
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

/// How often a task is run that fails for a while; S3 does not document its own number.
pub const MOST_RUNS: u32 = 6;

/// How long the first wait is between two runs of a task; each is twice as long as the one before.
pub const FIRST_WAIT: Duration = Duration::from_secs(1);

/// So many tasks must have ended before a job can fail by their results.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/batch-ops-job-status.html>
const FAILS_AFTER: usize = 1_000;

/// The function that is invoked.
pub trait Invoke: Send + Sync {
    /// Invokes the function; an error is one of the function as a whole.
    fn invoke(&self, payload: &Value) -> impl Future<Output = Result<Value, String>>;
}

/// Somebody who may ask to stop.
pub trait Stop {
    /// Tells whether somebody asked.
    fn is_set(&self) -> bool;

    /// Waits until somebody asks.
    fn wait(&self) -> impl Future<Output = ()>;
}

/// A job as it is written down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobRecord {
    /// The job's id.
    pub id: String,
    /// Its state; a job whose process ended without a word stays `Active`, and goes on when it is started again.
    pub state: JobState,
    /// When it was made.
    pub created: String,
    /// The manifest that it works through.
    pub manifest: String,
    /// How many tasks it has.
    pub tasks: u64,
    /// What it asks for by itself.
    pub user_arguments: BTreeMap<String, String>,
}

/// The name of what is written down of a job, below its folder.
pub const RECORD_NAME: &str = "job.json";

/// Where a job's folder is, for the index of its report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportPlace {
    /// The bucket; empty where it is a folder of this machine.
    pub bucket: String,
    /// What is before the job's folder in keys.
    pub prefix: String,
}

/// A job.
#[derive(Debug)]
pub struct LocalJob<I, R, C, P> {
    /// What it is.
    pub record: JobRecord,
    /// The function.
    pub function: I,
    /// Where its results and its report go.
    pub store: R,
    /// What its waits are measured with.
    pub clock: C,
    /// Who may ask to stop.
    pub stop: P,
    /// How many tasks an invocation has.
    pub tasks_an_invocation: usize,
    /// How many invocations there are at once.
    pub invocations: usize,
    /// Where the report is.
    pub place: ReportPlace,
}

/// The folder of a job, below where its report is wanted.
#[must_use]
pub fn folder(id: &str) -> String {
    format!("job-{id}")
}

type Ends = BTreeMap<u64, TaskResponse>;

impl<I: Invoke, R: ResultStore, C: Clock, P: Stop> LocalJob<I, R, C, P> {
    /// Runs the job, or goes on with it, until its end or until somebody asks to stop; `rows` is its manifest.
    ///
    /// `watch` is told how far it is.
    pub async fn run(&self, rows: &[ManifestRow], watch: &impl Fn(&JobProgress)) -> Result<JobProgress, Failure> {
        let mut ends = read_ends(&self.store, &self.record.id).await?;
        let was_complete = self.write_down_as(JobState::Active, &ends, rows).await?;
        if was_complete {
            return Ok(self.progress(JobState::Complete, &ends));
        }
        watch(&self.progress(JobState::Active, &ends));
        let numbers = 0..u64::try_from(rows.len()).unwrap_or(u64::MAX);
        let mut left: Vec<u64> = numbers.filter(|number| !ends.contains_key(number)).collect();
        for run in 1..=MOST_RUNS {
            if left.is_empty() || !self.wait_before(run).await {
                break;
            }
            let again = self.run_once(rows, run, &left, &mut ends, watch).await?;
            if self.stop.is_set() || too_many_failed(&ends) {
                break;
            }
            if run == MOST_RUNS {
                self.give_up(again, &mut ends).await?;
                break;
            }
            left = again.into_iter().map(|end| end.task).collect();
        }
        let state = if ends.len() == rows.len() {
            JobState::Complete
        } else if too_many_failed(&ends) {
            JobState::Failed
        } else {
            JobState::Paused
        };
        if state.is_over() {
            self.report(rows, &ends).await?;
        }
        self.record_as(state).await?;
        let progress = self.progress(state, &ends);
        watch(&progress);
        Ok(progress)
    }

    /// Writes the job down, unless it is complete, which it tells.
    async fn write_down_as(&self, state: JobState, ends: &Ends, rows: &[ManifestRow]) -> Result<bool, Failure> {
        let is_reported = ends.len() == rows.len()
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

    /// Waits before another run of the tasks that are left; `false` where somebody asks to stop.
    async fn wait_before(&self, run: u32) -> bool {
        if run > 1 {
            let wait = FIRST_WAIT.saturating_mul(2_u32.saturating_pow(run - 2));
            select(pin!(self.clock.sleep(wait)), pin!(self.stop.wait())).await;
        }
        !self.stop.is_set()
    }

    /// Runs tasks once, and returns those that are to be run again.
    async fn run_once(
        &self,
        rows: &[ManifestRow],
        run: u32,
        left: &[u64],
        ends: &mut Ends,
        watch: &impl Fn(&JobProgress),
    ) -> Result<Vec<TaskResponse>, Failure> {
        let mut again = Vec::new();
        let is_failing = std::cell::Cell::new(false);
        let invocations = stream::iter(left.chunks(self.tasks_an_invocation.max(1)))
            .take_while(|_| ready(!self.stop.is_set() && !is_failing.get()))
            .map(|chunk| self.invoke(rows, run, chunk))
            .buffer_unordered(self.invocations.max(1));
        let mut invocations = pin!(invocations);
        while let Some(answered) = invocations.next().await {
            let (temporary, over): (Vec<_>, Vec<_>) = answered
                .into_iter()
                .partition(|end| end.code == ResultCode::TemporaryFailure);
            again.extend(temporary);
            self.keep(&over).await?;
            ends.extend(over.into_iter().map(|end| (end.task, end)));
            is_failing.set(too_many_failed(ends));
            watch(&self.progress(JobState::Active, ends));
        }
        again.sort_by_key(|end| end.task);
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

    /// Writes down ends that hold. They are named by the first of them, which no other invocation ends.
    async fn keep(&self, ends: &[TaskResponse]) -> Result<(), Failure> {
        let Some(first) = ends.first() else { return Ok(()) };
        let mut text = String::new();
        for end in ends {
            text.push_str(&spelled(end)?);
            text.push('\n');
        }
        self.write(&format!("progress/{:012}.jsonl", first.task), text).await
    }

    /// Ends tasks that failed for a while as often as they are run.
    async fn give_up(&self, again: Vec<TaskResponse>, ends: &mut Ends) -> Result<(), Failure> {
        let given_up: Vec<TaskResponse> = again
            .into_iter()
            .map(|end| TaskResponse {
                text: format!("given up after {MOST_RUNS} runs: {}", end.text),
                ..end
            })
            .collect();
        self.keep(&given_up).await?;
        ends.extend(given_up.into_iter().map(|end| (end.task, end)));
        Ok(())
    }

    /// Writes the completion report, its index last.
    async fn report(&self, rows: &[ManifestRow], ends: &Ends) -> Result<(), Failure> {
        let mut files = Vec::new();
        for (status, is_of) in [("succeeded", TaskOutcome::Succeeded), ("failed", TaskOutcome::Failed)] {
            let mut text = String::new();
            for (row, end) in rows
                .iter()
                .zip(0_u64..)
                .filter_map(|(row, task)| Some((row, ends.get(&task)?)))
            {
                if task_end(end) == is_of {
                    text.push_str(&report_row(row, end)?);
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
                bucket: self.place.bucket.clone(),
                md5,
                key: format!("{}{}/{name}", self.place.prefix, folder(&self.record.id)),
            });
        }
        let index = CompletionReportManifest::new(self.clock.now().to_rfc3339(), files);
        self.write(INDEX_NAME, spelled(&index)?).await
    }

    fn progress(&self, state: JobState, ends: &Ends) -> JobProgress {
        progress_of(state, self.record.tasks, ends)
    }
}

/// Reads what is written down of a job; `None` where there is no such job.
pub async fn read_record<R: ResultStore>(store: &R, id: &str) -> Result<Option<JobRecord>, Failure> {
    let name = format!("{}/{RECORD_NAME}", folder(id));
    if !store.list(&name, None).await?.contains(&name) {
        return Ok(None);
    }
    read_as(&name, &store.read(&name).await?).map(Some)
}

/// Reads how far a job is.
pub async fn read_progress<R: ResultStore>(store: &R, record: &JobRecord) -> Result<JobProgress, Failure> {
    let ends = read_ends(store, &record.id).await?;
    Ok(progress_of(record.state, record.tasks, &ends))
}

async fn read_ends<R: ResultStore>(store: &R, id: &str) -> Result<Ends, Failure> {
    let mut ends = Ends::new();
    let prefix = format!("{}/progress/", folder(id));
    let mut texts = pin!(texts(store, &prefix, None));
    while let Some((name, text)) = texts.try_next().await? {
        for line in text.lines() {
            let end: TaskResponse = read_as(&name, line)?;
            ends.insert(end.task, end);
        }
    }
    Ok(ends)
}

fn progress_of(state: JobState, tasks: u64, ends: &Ends) -> JobProgress {
    let count = |end: TaskOutcome| {
        let of_end = ends.values().filter(|answered| task_end(answered) == end);
        u64::try_from(of_end.count()).unwrap_or(u64::MAX)
    };
    JobProgress {
        state,
        total: Some(tasks),
        succeeded: count(TaskOutcome::Succeeded),
        failed: count(TaskOutcome::Failed),
        reason: None,
    }
}

fn too_many_failed(ends: &Ends) -> bool {
    let failed = ends.values().filter(|end| task_end(end) == TaskOutcome::Failed).count();
    ends.len() >= FAILS_AFTER && failed * 2 > ends.len()
}

fn task_end(end: &TaskResponse) -> TaskOutcome {
    match end.code {
        ResultCode::Succeeded => TaskOutcome::Succeeded,
        ResultCode::TemporaryFailure | ResultCode::PermanentFailure => TaskOutcome::Failed,
    }
}

fn report_row(row: &ManifestRow, end: &TaskResponse) -> Result<String, Failure> {
    let spelled = row.to_csv();
    let mut cells = spelled.split(',').map(str::to_owned);
    let error_code = match end.code {
        ResultCode::Succeeded => "",
        failed => failed.as_str(),
    };
    let reported = TaskRow {
        file: "the report".to_owned(),
        row: end.task.saturating_add(1),
        cells: TaskCells {
            bucket: cells.next().unwrap_or_default(),
            key: cells.next().unwrap_or_default(),
            version: cells.next(),
        },
        end: task_end(end),
        http_status: Some(200),
        error_code: error_code.to_owned(),
        message: end.text.clone(),
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
        detail: format!("{error}: give the job another folder, or remove this one and start anew"),
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
        // Writing to a string cannot fail.
        let _written = write!(digits, "{byte:02x}");
        digits
    })
}
