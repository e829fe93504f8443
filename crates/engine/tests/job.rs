//! Local jobs: repeated tasks, completion reports, resumed jobs and failed jobs.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "the test created the data, and a missing field of a JSON value is null"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use s3ferry_core::batch_report::{CompletionReportManifest, JobProgress, JobState, TaskOutcome, TaskRow, rows};
use s3ferry_core::failure::{Failure, FailureKind};
use s3ferry_core::manifest::ManifestRow;
use s3ferry_core::names::{BucketName, ObjectKey};
use s3ferry_engine::job::{
    FIRST_WAIT, Invoke, JobRecord, LocalJob, MAX_TASK_RUNS, ReportLocation, Stop, read_progress, read_record,
};
use s3ferry_engine::results::ResultStore;
use s3ferry_testkit::clock::TestClock;
use serde_json::{Value, json};

/// A folder in memory, which can run full.
#[derive(Debug, Default)]
struct MemoryFolder {
    texts: Mutex<BTreeMap<String, String>>,
    writes_left: Option<AtomicU64>,
}

impl MemoryFolder {
    fn texts(&self) -> BTreeMap<String, String> {
        self.texts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ResultStore for &MemoryFolder {
    async fn write(&self, name: &str, text: String) -> Result<(), Failure> {
        if let Some(left) = &self.writes_left {
            let before = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
            before.map_err(|_| Failure {
                kind: FailureKind::Configuration,
                code: "Full".to_owned(),
                action: "write".to_owned(),
                resource: name.to_owned(),
                detail: "no room".to_owned(),
            })?;
        }
        let mut texts = self.texts.lock().unwrap_or_else(PoisonError::into_inner);
        texts.insert(name.to_owned(), text);
        Ok(())
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Vec<String>, Failure> {
        let names = self.texts().into_keys();
        let is_wanted = |name: &String| name.starts_with(prefix) && Some(name.as_str()) > after;
        Ok(names.filter(is_wanted).take(3).collect())
    }

    async fn read(&self, name: &str) -> Result<String, Failure> {
        Ok(self.texts()[name].clone())
    }
}

/// A function with a response per key that the test defines. It counts its calls.
struct Function<F> {
    answer: F,
    seen: Mutex<Vec<String>>,
    attempts: Mutex<Vec<u64>>,
}

impl<F: Fn(&str, usize) -> &'static str> Function<F> {
    fn new(answer: F) -> Self {
        Self {
            answer,
            seen: Mutex::default(),
            attempts: Mutex::default(),
        }
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl<F: Fn(&str, usize) -> &'static str + Send + Sync> Invoke for &Function<F> {
    async fn invoke(&self, payload: &Value) -> Result<Value, String> {
        let mut results = Vec::new();
        self.attempts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(payload["attempt"].as_u64().unwrap());
        for task in payload["tasks"].as_array().unwrap() {
            let key = task["s3Key"].as_str().unwrap().to_owned();
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.push(key.clone());
            let times = seen.iter().filter(|other| **other == key).count();
            match (self.answer)(&key, times) {
                "panic" => return Err("out of memory".to_owned()),
                "" => {}
                code => results.push(json!({"taskId": task["taskId"], "resultCode": code, "resultString": "said"})),
            }
        }
        Ok(json!({
            "invocationId": payload["invocationId"], "treatMissingKeysAs": "PermanentFailure", "results": results,
        }))
    }
}

/// A stop signal that is set after a number of tasks.
struct StopAfter<'a, F>(&'a Function<F>, usize);

impl<F: Fn(&str, usize) -> &'static str> Stop for StopAfter<'_, F> {
    fn is_set(&self) -> bool {
        self.0.seen().len() >= self.1
    }

    async fn wait(&self) {
        std::future::pending::<()>().await;
    }
}

fn manifest(keys: usize) -> Vec<ManifestRow> {
    let bucket = BucketName::new("source").unwrap();
    let key = |number| ObjectKey::from_raw(format!("key {number:04}")).unwrap();
    (0..keys)
        .map(|number| ManifestRow::new(bucket.clone(), key(number), None))
        .collect()
}

async fn run<F: Fn(&str, usize) -> &'static str + Send + Sync>(
    folder: &MemoryFolder,
    function: &Function<F>,
    stop_after: usize,
    rows: &[ManifestRow],
) -> Result<JobProgress, Failure> {
    let job = LocalJob {
        record: JobRecord {
            id: "1".to_owned(),
            state: JobState::New,
            created: "2026-11-23T00:00:00Z".to_owned(),
            manifest: "m.csv".to_owned(),
            tasks: u64::try_from(rows.len()).unwrap(),
            user_arguments: BTreeMap::from([("attributes".to_owned(), "always".to_owned())]),
        },
        function,
        store: folder,
        clock: TestClock::start(),
        stop: StopAfter(function, stop_after),
        tasks_per_invocation: 3,
        invocations: 2,
        report_location: ReportLocation {
            bucket: "state".to_owned(),
            prefix: "reports/".to_owned(),
        },
    };
    job.run(rows, &|_| ()).await
}

/// Reads the completion report like an operator.
fn report(folder: &MemoryFolder) -> Vec<TaskRow> {
    let texts = folder.texts();
    let index = CompletionReportManifest::parse("index", texts["job-1/manifest.json"].as_bytes()).unwrap();
    let mut found = Vec::new();
    for file in index.results {
        assert_eq!(file.bucket, "state");
        let text = &texts[file.key.strip_prefix("reports/").unwrap()];
        found.extend(rows(&file.key, text.as_bytes()).map(Result::unwrap));
    }
    found
}

fn keys(report: &[TaskRow], end: TaskOutcome) -> BTreeSet<String> {
    let of_end = report.iter().filter(|row| row.end == end);
    of_end.map(|row| row.cells.shown_key()).collect()
}

#[tokio::test(start_paused = true)]
async fn temporarily_failed_tasks_run_again_with_growing_waits() {
    let (folder, rows) = (MemoryFolder::default(), manifest(7));
    let function = Function::new(|key, times| match key {
        "key%200001" if times < 3 => "TemporaryFailure",
        "key%200004" => "TemporaryFailure",
        "key%200005" => "PermanentFailure",
        _ => "Succeeded",
    });
    let begun = tokio::time::Instant::now();
    let ended = run(&folder, &function, usize::MAX, &rows).await.unwrap();
    assert_eq!((ended.state, ended.succeeded, ended.failed), (JobState::Complete, 5, 2));
    assert_eq!(begun.elapsed(), FIRST_WAIT * (1 + 2 + 4 + 8 + 16));
    let times = |key: &str| function.seen().iter().filter(|seen| *seen == key).count();
    assert_eq!(
        (times("key%200000"), times("key%200001"), times("key%200005")),
        (1, 3, 1)
    );
    assert_eq!(times("key%200004"), usize::try_from(MAX_TASK_RUNS).unwrap());
    let attempts = function.attempts.lock().unwrap().clone();
    assert_eq!(
        attempts,
        [1, 1, 1, 2, 3, 4, 5, 6],
        "the invocations of repeated tasks have the attempt"
    );
    let report = report(&folder);
    assert_eq!(report.len(), 7);
    let given_up = report.iter().find(|row| row.cells.shown_key() == "key 0004").unwrap();
    assert_eq!(given_up.error_code, "TemporaryFailure");
    assert_eq!(given_up.message, "given up after 6 runs: said");
    assert_eq!(
        keys(&report, TaskOutcome::Failed),
        BTreeSet::from(["key 0004".to_owned(), "key 0005".to_owned()])
    );
}

#[tokio::test(start_paused = true)]
async fn stopped_job_resumes_with_remaining_tasks() {
    let (folder, rows) = (MemoryFolder::default(), manifest(20));
    let first = Function::new(|_, _| "Succeeded");
    let ended = run(&folder, &first, 5, &rows).await.unwrap();
    let done = ended.succeeded;
    assert_eq!((ended.state, ended.ended()), (JobState::Paused, done));
    assert!((6..12).contains(&done), "{done} are done");
    assert!(
        !folder.texts().contains_key("job-1/manifest.json"),
        "the report is written at the end"
    );
    let record = read_record(&&folder, "1").await.unwrap().unwrap();
    assert_eq!((record.state, record.tasks), (JobState::Paused, 20));
    assert_eq!(read_progress(&&folder, &record).await.unwrap().succeeded, done);
    assert_eq!(read_record(&&folder, "2").await.unwrap(), None);
    let second = Function::new(|_, _| "Succeeded");
    let ended = run(&folder, &second, usize::MAX, &rows).await.unwrap();
    assert!(ended.is_all_done());
    let both: BTreeSet<String> = first.seen().into_iter().chain(second.seen()).collect();
    assert_eq!(both.len(), 20);
    assert_eq!(first.seen().len() + second.seen().len(), 20, "no task runs twice");
    assert_eq!(report(&folder).len(), 20);
    let third = Function::new(|_, _| "Succeeded");
    let again = run(&folder, &third, usize::MAX, &rows).await.unwrap();
    assert_eq!(
        (again.state, third.seen().len()),
        (JobState::Complete, 0),
        "a complete job is unchanged"
    );
}

#[tokio::test(start_paused = true)]
async fn job_killed_after_any_write_resumes_without_loss() {
    let rows = manifest(10);
    let answer = |key: &str, _: usize| {
        if key == "key%200003" {
            "PermanentFailure"
        } else {
            "Succeeded"
        }
    };
    for writes in 0..8 {
        let mut folder = MemoryFolder {
            writes_left: Some(AtomicU64::new(writes)),
            ..MemoryFolder::default()
        };
        run(&folder, &Function::new(answer), usize::MAX, &rows)
            .await
            .unwrap_err();
        folder.writes_left = None;
        let ended = run(&folder, &Function::new(answer), usize::MAX, &rows).await.unwrap();
        assert_eq!(
            (ended.state, ended.succeeded, ended.failed),
            (JobState::Complete, 9, 1),
            "{writes} writes"
        );
        assert_eq!(report(&folder).len(), 10, "{writes} writes");
    }
}

#[tokio::test(start_paused = true)]
async fn failed_invocation_fails_its_tasks_permanently() {
    let (folder, rows) = (MemoryFolder::default(), manifest(6));
    let function = Function::new(|key, _| match key {
        "key%200001" => "panic",
        "key%200004" => "",
        _ => "Succeeded",
    });
    let ended = run(&folder, &function, usize::MAX, &rows).await.unwrap();
    assert_eq!((ended.succeeded, ended.failed), (2, 4));
    let report = report(&folder);
    let outcomes: BTreeSet<String> = report.iter().map(TaskRow::outcome).collect();
    let expected = ["failed:FunctionFailed", "failed:PermanentFailure", "succeeded"];
    assert_eq!(outcomes, expected.map(str::to_owned).into());
}

#[tokio::test(start_paused = true)]
async fn job_with_more_than_half_failed_tasks_ends_early() {
    let (folder, rows) = (MemoryFolder::default(), manifest(3_000));
    let function = Function::new(|_, _| "PermanentFailure");
    let ended = run(&folder, &function, usize::MAX, &rows).await.unwrap();
    assert_eq!(ended.state, JobState::Failed);
    assert!((1_000..1_010).contains(&ended.failed), "{} failed", ended.failed);
    assert_eq!(u64::try_from(report(&folder).len()).unwrap(), ended.failed);
    let few = MemoryFolder::default();
    let ended = run(&few, &function, usize::MAX, &manifest(900)).await.unwrap();
    assert_eq!((ended.state, ended.failed), (JobState::Complete, 900));
}

#[test]
fn waits_are_bounded() {
    let longest: Duration = (2..=MAX_TASK_RUNS).map(|run| FIRST_WAIT * 2_u32.pow(run - 2)).sum();
    assert_eq!(longest, Duration::from_secs(31));
}
