//! The final sync from payload to answer, on buckets in memory.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "test data is what the test made it, and a field that a JSON value does not have is null"
)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use proptest::prelude::*;
use s3ferry_core::batch_report::{JobState, TaskOutcome};
use s3ferry_core::facts::{AttributeSet, ObjectFacts};
use s3ferry_core::failure::{Failure, FailureKind};
use s3ferry_core::manifest::ManifestRow;
use s3ferry_core::names::{BucketName, ObjectKey};
use s3ferry_core::policy::Policy;
use s3ferry_engine::batch::BatchReconciler;
use s3ferry_engine::ports::{Clock as _, SourceBucket};
use s3ferry_engine::reconcile::{Reconciler, UploadSupport};
use s3ferry_engine::results::ResultStore;
use s3ferry_functions::final_sync::{FinalSync, FinalSyncError, FinalSyncInvocation, JobTerms, diagnostic};
use s3ferry_testkit::batch_job::BatchJobDouble;
use s3ferry_testkit::clock::TestClock;
use s3ferry_testkit::faults::{FaultScript, FaultyPort, PortCall, PortFault, failure};
use s3ferry_testkit::journal::{MemoryJournal, route};
use s3ferry_testkit::memory::{MemoryBucket, MemoryDestination};
use s3ferry_testkit::queue::MemoryQueue;
use serde_json::{Value, json};

/// A state bucket in memory.
#[derive(Debug, Default)]
struct MemoryResults(Mutex<BTreeMap<String, String>>);

impl MemoryResults {
    fn texts(&self) -> BTreeMap<String, String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ResultStore for &MemoryResults {
    async fn write(&self, name: &str, text: String) -> Result<(), Failure> {
        let mut texts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        texts.insert(name.to_owned(), text);
        Ok(())
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Vec<String>, Failure> {
        let names = self.texts().into_keys();
        let is_wanted = |name: &String| name.starts_with(prefix) && Some(name.as_str()) > after;
        Ok(names.filter(is_wanted).take(100).collect())
    }

    async fn read(&self, name: &str) -> Result<String, Failure> {
        Ok(self.texts()[name].clone())
    }
}

/// Results that nobody can keep.
#[derive(Debug)]
struct NoResults;

impl ResultStore for NoResults {
    async fn write(&self, _name: &str, _text: String) -> Result<(), Failure> {
        Err(failure(FailureKind::Retry))
    }

    async fn list(&self, _prefix: &str, _after: Option<&str>) -> Result<Vec<String>, Failure> {
        Err(failure(FailureKind::Retry))
    }

    async fn read(&self, _name: &str) -> Result<String, Failure> {
        Err(failure(FailureKind::Retry))
    }
}

struct World {
    source: MemoryBucket,
    destination: MemoryBucket,
    script: FaultScript,
    queue: Option<MemoryQueue>,
    results: MemoryResults,
    clock: TestClock,
    time: Duration,
}

impl World {
    fn new() -> Self {
        Self::with(FaultScript::default())
    }

    fn with(script: FaultScript) -> Self {
        Self {
            source: MemoryBucket::versioned(),
            destination: MemoryBucket::versioned(),
            script,
            queue: None,
            results: MemoryResults::default(),
            clock: TestClock::start(),
            time: Duration::from_hours(1),
        }
    }

    /// Writes keys at the source, each with its own name as the content.
    fn having(self, keys: &[&str]) -> Self {
        for key in keys {
            self.source.put(key, key);
        }
        self
    }

    async fn try_handle(&self, payload: &Value) -> Result<Value, FinalSyncError> {
        self.handle_with(Some(&self.results), payload).await
    }

    async fn handle_with<R: ResultStore>(&self, results: Option<R>, payload: &Value) -> Result<Value, FinalSyncError> {
        let clock = &self.clock;
        let deadline = clock.now().plus(self.time);
        let batches = |terms: &JobTerms| BatchReconciler {
            source_bucket: BucketName::new("example-source").unwrap(),
            reconciler: Reconciler {
                source: FaultyPort {
                    port: self.source.clone(),
                    script: self.script.clone(),
                },
                destination: FaultyPort {
                    port: MemoryDestination {
                        source: self.source.clone(),
                        bucket: self.destination.clone(),
                    },
                    script: self.script.clone(),
                },
                uploads: Some(UploadSupport {
                    journal: MemoryJournal::default(),
                    route: route(),
                }),
                concurrent_parts: 4,
                clock: clock.clone(),
                policy: terms.policy.clone(),
            },
            continuations: self.queue.as_ref().filter(|_| terms.requeue),
            concurrency: 4,
        };
        let settings = Policy {
            propagate_deletes: false,
            ..Policy::default()
        };
        let id = format!("invocation at {}", clock.now().millis());
        let invocation = FinalSyncInvocation { id: &id, deadline };
        let reply = FinalSync::new(batches, settings, results)
            .handle(payload, &invocation)
            .await?;
        assert!(
            clock.now() <= deadline.plus(Duration::from_millis(100)),
            "the answer is late"
        );
        Ok(serde_json::to_value(reply).unwrap())
    }

    async fn handle(&self, payload: &Value) -> Value {
        self.try_handle(payload).await.unwrap()
    }
}

/// The facts of the current object of a key.
async fn facts(bucket: &MemoryBucket, key: &str) -> ObjectFacts {
    let key = ObjectKey::from_raw(key).unwrap();
    let state = SourceBucket::read(bucket, &key, &AttributeSet::new()).await.unwrap();
    state.facts().unwrap().clone()
}

fn sample(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../events")
        .join(format!("{name}.json"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn task(id: &str, key: &str) -> Value {
    json!({"taskId": id, "s3Key": key, "s3VersionId": null, "s3Bucket": "example-source"})
}

fn job(tasks: &[Value], arguments: &Value) -> Value {
    json!({
        "invocationSchemaVersion": "2.0", "invocationId": "the-invocation",
        "job": {"id": "the-job", "userArguments": arguments}, "tasks": tasks,
    })
}

/// Code and text of each task, in their order.
fn results(answer: &Value) -> Vec<(String, String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let results = answer["results"].as_array().unwrap();
    results
        .iter()
        .map(|result| {
            (
                text(&result["taskId"]),
                text(&result["resultCode"]),
                text(&result["resultString"]),
            )
        })
        .collect()
}

#[track_caller]
fn check(answer: &Value, expected: &[(&str, &str, &str)]) {
    let found = results(answer);
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for ((id, code, text), (expected_id, expected_code, fragment)) in found.iter().zip(expected) {
        assert_eq!((id.as_str(), code.as_str()), (*expected_id, *expected_code), "{text}");
        assert!(text.contains(fragment), "{id}: {text}");
    }
}

#[tokio::test(start_paused = true)]
async fn sample_of_version_one_is_copied_and_answered_as_s3_reads_it() {
    let world = World::new().having(&["photos/2026/harbour.jpg"]);
    let answer = world.handle(&sample("batch-operations-1.0")).await;
    let payload = sample("batch-operations-1.0");
    assert_eq!(answer["invocationSchemaVersion"], "1.0");
    assert_eq!(answer["invocationId"], payload["invocationId"]);
    assert_eq!(answer["treatMissingKeysAs"], "PermanentFailure");
    check(
        &answer,
        &[("dGFza2lkZ29lc2hlcmUK", "Succeeded", "copied 23 bytes as version")],
    );
    assert_eq!(
        world.destination.content("photos/2026/harbour.jpg").as_deref(),
        Some("photos/2026/harbour.jpg")
    );
}

#[tokio::test(start_paused = true)]
async fn sample_of_version_two_is_copied_with_its_keys_decoded() {
    let keys = [
        "photos/2026/harbour.jpg",
        "reports/annual report 2026.pdf",
        "math/1+1=2.txt",
    ];
    let world = World::new().having(&keys);
    let answer = world.handle(&sample("batch-operations-2.0")).await;
    assert_eq!(answer["invocationSchemaVersion"], "2.0");
    let copied = |id| (id, "Succeeded", "copied");
    check(&answer, &["task-1", "task-2", "task-3"].map(copied));
    assert_eq!(world.destination.snapshot().len(), 3);
    let again = world.handle(&sample("batch-operations-2.0")).await;
    let skipped = |id| (id, "Succeeded", "skipped already-identical");
    check(&again, &["task-1", "task-2", "task-3"].map(skipped));
}

#[tokio::test(start_paused = true)]
async fn odd_tasks_are_each_answered_once() {
    let keys = [
        "math/1 1.txt",
        "math/1+1.txt",
        "日本/Häfen 🚢.txt",
        "photos/2026/harbour.jpg",
    ];
    let world = World::new().having(&keys);
    let answer = world.handle(&sample("batch-operations-odd-tasks")).await;
    let expected = [
        ("plus", "Succeeded", "\"math/1+1.txt\": copied 12 bytes"),
        ("non-ascii", "Succeeded", "copied"),
        ("twice", "Succeeded", "copied"),
        ("twice-too", "Succeeded", "copied"),
        (
            "not-utf8",
            "PermanentFailure",
            "`tasks[4].s3Key`: object key `broken/%FF%FE.bin` is not UTF-8",
        ),
        (
            "not-encoded",
            "PermanentFailure",
            "`tasks[5].s3Key`: object key `growth/100%` is not form-encoded",
        ),
        (
            "foreign",
            "PermanentFailure",
            "the task is of bucket somebody-elses-bucket",
        ),
        ("no-key", "PermanentFailure", "`tasks[7].s3Key` is missing"),
        ("old-version", "Succeeded", "copied"),
        ("gone", "Succeeded", "skipped both-absent"),
    ];
    check(&answer, &expected);
    let mut arrived: Vec<String> = world.destination.snapshot().into_keys().collect();
    arrived.sort();
    let mut expected = keys.map(str::to_owned);
    expected.sort();
    assert_eq!(arrived, expected);
}

#[tokio::test(start_paused = true)]
async fn both_readings_of_a_plus_are_reconciled() {
    let world = World::new().having(&["a b"]);
    let answer = world.handle(&job(&[task("t", "a+b")], &json!({}))).await;
    check(&answer, &[("t", "Succeeded", "\"a b\": copied 3 bytes")]);
    assert!(
        results(&answer)[0].2.contains("\"a+b\": skipped both-absent"),
        "{answer}"
    );
}

#[tokio::test(start_paused = true)]
async fn manifest_is_done_as_s3_batch_operations_invokes_the_function() {
    let mut world = World::new().having(&["a b+c%.txt", "b", "c"]);
    // The response to the first copy is lost: its task fails temporarily and is repeated.
    world.script = FaultScript::default().on(PortCall::Copy, 1, PortFault::ResponseLost);
    let bucket = BucketName::new("example-source").unwrap();
    let row = |key: &str| ManifestRow::new(bucket.clone(), ObjectKey::from_raw(key).unwrap(), None);
    let rows = ["a b+c%.txt", "b", "c", "gone"].map(row);
    let job = BatchJobDouble {
        clock: world.clock.clone(),
        tasks_per_invocation: 2,
        user_arguments: BTreeMap::new(),
    };
    let function = async |payload: Value| world.try_handle(&payload).await.map_err(|error| error.to_string());
    let (state, report) = job.run(&rows, function).await;
    assert_eq!(state, JobState::Complete);
    assert!(report.iter().all(|row| row.end == TaskOutcome::Succeeded), "{report:?}");
    assert_eq!(report.len(), 4);
    for key in ["a b+c%.txt", "b", "c"] {
        assert_eq!(world.destination.content(key).as_deref(), Some(key));
    }
}

#[tokio::test(start_paused = true)]
async fn one_key_asked_for_twice_is_reconciled_once() {
    let world = World::new().having(&["a"]);
    let answer = world
        .handle(&job(&[task("t1", "a"), task("t2", "a"), task("t2", "%61")], &json!({})))
        .await;
    check(
        &answer,
        &[
            ("t1", "Succeeded", "copied"),
            ("t2", "Succeeded", "copied"),
            ("t2", "Succeeded", "copied"),
        ],
    );
    assert_eq!(world.script.count(PortCall::Copy), 1);
}

#[tokio::test(start_paused = true)]
async fn unknown_argument_is_refused_by_name_and_nothing_is_touched() {
    let world = World::new().having(&["photos/2026/harbour.jpg"]);
    let answer = world.handle(&sample("batch-operations-unknown-argument")).await;
    check(
        &answer,
        &[("task-1", "PermanentFailure", "user argument `speed` is not known")],
    );
    let answer = world
        .handle(&job(&[task("t", "a")], &json!({"deletes": "perhaps"})))
        .await;
    check(
        &answer,
        &[(
            "t",
            "PermanentFailure",
            "`propagate-deletes` is `perhaps`: allowed: true, false",
        )],
    );
    let mut payload = job(&[task("t", "a")], &json!({}));
    payload["invocationSchemaVersion"] = json!("3.0");
    let answer = world.handle(&payload).await;
    check(
        &answer,
        &[(
            "t",
            "PermanentFailure",
            "`3.0`, which is not supported: allowed are 1.0 and 2.0",
        )],
    );
    assert!(world.destination.snapshot().is_empty());
}

#[tokio::test(start_paused = true)]
async fn arguments_hold_for_their_job_alone() {
    let world = World::new().having(&["a"]);
    world.destination.put("gone", "left over");
    let tasks = [task("a", "a"), task("gone", "gone")];
    let answer = world.handle(&job(&tasks, &json!({}))).await;
    check(
        &answer,
        &[
            ("a", "Succeeded", "copied"),
            ("gone", "Succeeded", "deletes are not propagated"),
        ],
    );
    let arguments = json!({"propagateDeletes": "true", "storage_class": "GLACIER_IR", "ownership": "exclusive"});
    let answer = world.handle(&job(&tasks, &arguments)).await;
    check(
        &answer,
        &[
            ("a", "Succeeded", "already-identical"),
            ("gone", "Succeeded", "deleted at the destination"),
        ],
    );
    world.source.put("b", "b");
    world.handle(&job(&[task("b", "b")], &arguments)).await;
    assert_eq!(facts(&world.destination, "b").await.storage_class, "GLACIER_IR");
    world.source.put("c", "c");
    world.handle(&job(&[task("c", "c")], &json!({}))).await;
    assert_eq!(facts(&world.destination, "c").await.storage_class, "STANDARD");
}

#[tokio::test(start_paused = true)]
async fn deep_comparison_finds_what_no_head_shows() {
    let world = World::new().having(&["a"]);
    world.handle(&job(&[task("t", "a")], &json!({}))).await;
    world.destination.tag("a", &[("team", "b")]);
    world.source.tag("a", &[("team", "a")]);
    let answer = world
        .handle(&job(&[task("t", "a")], &json!({"compare-attributes": "always"})))
        .await;
    check(&answer, &[("t", "Succeeded", "changed at the destination: tags")]);
}

#[tokio::test(start_paused = true)]
async fn row_of_an_older_version_stands_for_its_key() {
    let versioned = |id: &str, version: &str| {
        let mut task = task(id, "a");
        task["s3VersionId"] = json!(version);
        task
    };
    for source in [MemoryBucket::versioned(), MemoryBucket::unversioned()] {
        for version in ["older", "null", "", "as-old-as-the-hills"] {
            let world = World {
                source: source.clone(),
                ..World::new()
            };
            world.source.put("a", "first");
            let older = facts(&world.source, "a").await.version_id;
            world.source.put("a", "second");
            let version = match &older {
                Some(id) if version == "older" => id.as_str(),
                _ => version,
            };
            let answer = world.handle(&job(&[versioned("t", version)], &json!({}))).await;
            check(&answer, &[("t", "Succeeded", "copied 6 bytes")]);
            let row = json!({"Bucket": "example-source", "Key": "a", "VersionId": version});
            let answer = world.handle(&row).await;
            assert_eq!(answer["outcomes"], json!({"skipped:already-identical": 1}), "{version}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn row_of_a_version_whose_key_is_gone_follows_the_delete() {
    let world = World::new().having(&["a"]);
    let version = facts(&world.source, "a").await.version_id.unwrap();
    let mut row = task("t", "a");
    row["s3VersionId"] = json!(version.as_str());
    world.handle(&job(std::slice::from_ref(&row), &json!({}))).await;
    world.source.delete("a");
    let answer = world.handle(&job(&[row], &json!({"deletes": "true"}))).await;
    check(&answer, &[("t", "Succeeded", "deleted at the destination")]);
}

#[tokio::test(start_paused = true)]
async fn failures_panics_and_slow_keys_are_each_their_own() {
    let script = FaultScript::default()
        .on(PortCall::Copy, 1, PortFault::Fails(failure(FailureKind::Permanent)))
        .on(PortCall::Copy, 2, PortFault::Panics)
        .on(PortCall::Copy, 3, PortFault::Hangs);
    let world = World::with(script).having(&["denied", "panics", "slow", "still good"]);
    let tasks = ["denied", "panics", "slow", "still good"].map(|key| task(key, key));
    let answer = world.handle(&job(&tasks, &json!({}))).await;
    let expected = [
        ("denied", "PermanentFailure", "failed (permanent)"),
        ("panics", "PermanentFailure", "a defect of s3ferry"),
        ("slow", "TemporaryFailure", "not done yet (deadline)"),
        ("still good", "Succeeded", "copied"),
    ];
    check(&answer, &expected);
}

#[tokio::test(start_paused = true)]
async fn everything_is_answered_before_the_deadline() {
    let world = World {
        time: Duration::from_secs(20),
        ..World::with(FaultScript::default().always(PortCall::SourceRead, PortFault::Hangs))
    };
    let tasks: Vec<Value> = (0..40)
        .map(|number| task(&number.to_string(), &format!("key-{number}")))
        .collect();
    let answer = world.handle(&job(&tasks, &json!({}))).await;
    assert_eq!(results(&answer).len(), 40);
    assert!(
        results(&answer).iter().all(|(_, code, _)| code == "TemporaryFailure"),
        "{answer}"
    );
}

#[tokio::test(start_paused = true)]
async fn key_with_progress_is_requeued_where_there_is_a_queue() {
    // The answer of the only copy is lost: the key must be looked at once more, by whoever.
    let lost = || FaultScript::default().on(PortCall::Copy, 1, PortFault::ResponseLost);
    let world = World::with(lost()).having(&["a"]);
    let answer = world.handle(&job(&[task("t", "a")], &json!({}))).await;
    check(
        &answer,
        &[("t", "TemporaryFailure", "may still land, so it is run again")],
    );
    let world = World {
        queue: Some(MemoryQueue::default()),
        ..World::with(lost()).having(&["a"])
    };
    let answer = world.handle(&job(&[task("t", "a")], &json!({}))).await;
    check(&answer, &[("t", "Succeeded", "already-identical")]);
    assert_eq!(world.queue.as_ref().unwrap().sent().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn unanswerable_payload_fails_the_invocation() {
    for (payload, code) in [
        (json!({}), "NotABatch"),
        (json!(null), "NotABatch"),
        (json!({"Records": []}), "NotABatch"),
        (json!({"tasks": []}), "FieldMissing"),
        (job(&[json!({"s3Key": "a"})], &json!({})), "FieldMissing"),
    ] {
        let error = World::new().try_handle(&payload).await.unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert_eq!(diagnostic(&error).error_type, code);
    }
}

fn item(key: &str) -> Value {
    json!({"Bucket": "example-source", "Key": key, "VersionId": ""})
}

#[tokio::test(start_paused = true)]
async fn items_together_and_alone_are_done_and_listed() {
    let world = World::new().having(&[
        "photos/2026/harbour.jpg",
        "reports/annual report 2026.pdf",
        "math/1+1=2.txt",
    ]);
    let answer = world.handle(&sample("distributed-map-item")).await;
    assert_eq!((&answer["succeeded"], &answer["finished"]), (&json!(1), &json!(true)));
    assert_eq!(answer["results"][0]["outcome"], "copied");
    let answer = world.handle(&sample("distributed-map-batch")).await;
    assert_eq!(answer["outcomes"], json!({"copied": 2}));
    assert_eq!((&answer["items"], &answer["again"]), (&json!(2), &json!(null)));
    assert_eq!(world.destination.snapshot().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn items_of_a_run_are_put_on_record_and_added_up() {
    let world = World::new().having(&["photos/2026/harbour.jpg"]);
    let answer = world.handle(&sample("distributed-map-selected")).await;
    let expected = json!({
        "items": 4, "succeeded": 2, "failed": 2, "unfinished": 0, "finished": true, "mostlyFailed": false,
        "waitSeconds": 10, "again": null,
        "outcomes": {"copied": 1, "failed:FieldMissing": 1, "failed:ForeignBucket": 1, "skipped:both-absent": 1},
    });
    assert_eq!(answer, expected);
    let kept = world.results.texts();
    let (name, text) = kept.first_key_value().unwrap();
    let of_run = name.strip_prefix("final-sync/sync-2026-11/results/");
    assert!(
        of_run.is_some_and(|name| Path::new(name).extension() == Some("jsonl".as_ref())),
        "{name}"
    );
    assert_eq!(text.lines().count(), 4);
    // An invocation that is repeated replaces its results.
    world.handle(&sample("distributed-map-selected")).await;
    assert_eq!(world.results.texts().len(), 1);

    let conclude = json!({"finalSync": "conclude", "begun": {
        "run": {"execution": "sync-2026-11", "userArguments": {}}, "manifestKey": "final-sync/m.csv",
        "stopped": {"Error": "States.ExceedToleratedFailureThreshold"},
    }});
    let answer = world.handle(&conclude).await;
    assert_eq!(answer["summaryKey"], "final-sync/sync-2026-11/summary.json");
    let summary: Value = serde_json::from_str(&world.results.texts()["final-sync/sync-2026-11/summary.json"]).unwrap();
    assert_eq!(
        (&summary["items"], &summary["succeeded"], &summary["failed"]),
        (&json!(4), &json!(2), &json!(2))
    );
    assert_eq!(summary["outcomes"]["skipped:already-identical"], 1);
    assert_eq!(summary["failures"].as_array().unwrap().len(), 2);
    assert!(
        summary["stopped"]
            .as_str()
            .unwrap()
            .contains("ExceedToleratedFailureThreshold")
    );
}

#[tokio::test(start_paused = true)]
async fn items_that_are_not_done_come_again_until_they_are_or_enough_is_enough() {
    let script =
        FaultScript::default().always(PortCall::DestinationRead, PortFault::Fails(failure(FailureKind::Retry)));
    let world = World::with(script).having(&["a"]);
    let run = json!({"execution": "e-1", "userArguments": {}});
    let foreign = json!({"row": {"Bucket": "other-bucket", "Key": "x"}, "run": run});
    let mut payload = json!({"Items": [{"row": item("a"), "run": run}, foreign]});
    let mut waits = Vec::new();
    for attempts in 1..11 {
        let answer = world.handle(&payload).await;
        assert_eq!(
            (&answer["unfinished"], &answer["finished"]),
            (&json!(1), &json!(false)),
            "{attempts}"
        );
        waits.push(answer["waitSeconds"].as_u64().unwrap());
        tokio::time::sleep(Duration::from_secs(waits[waits.len() - 1])).await;
        payload = answer["again"].clone();
        assert_eq!(payload["Items"].as_array().unwrap().len(), 1);
        assert_eq!(payload["Items"][0]["attempts"], attempts);
    }
    // The first run ended the other item, which is progress.
    assert_eq!(waits, [10, 10, 20, 40, 80, 160, 300, 300, 300, 300]);
    let answer = world.handle(&payload).await;
    assert_eq!(
        (&answer["finished"], &answer["failed"], &answer["mostlyFailed"]),
        (&json!(true), &json!(1), &json!(true))
    );
    let kept: String = world.results.texts().into_values().collect();
    assert_eq!(kept.lines().count(), 2, "each item once: {kept}");
    assert!(kept.contains("given up after 11 runs: failed (retry)"), "{kept}");
}

#[tokio::test(start_paused = true)]
async fn unfinished_map_item_is_never_requeued() {
    let world = World {
        queue: Some(MemoryQueue::default()),
        ..World::with(FaultScript::default().on(PortCall::Copy, 1, PortFault::ResponseLost)).having(&["a"])
    };
    let answer = world.handle(&item("a")).await;
    assert_eq!(
        (&answer["unfinished"], &answer["again"]["Items"][0]["row"]),
        (&json!(1), &item("a"))
    );
    assert_eq!(answer["waitSeconds"], 600, "the write may still land");
    assert!(world.queue.as_ref().unwrap().sent().is_empty());
    let answer = world.handle(&answer["again"]).await;
    assert_eq!(answer["outcomes"], json!({"skipped:already-identical": 1}));
}

/// A row of a run, with its place in the manifest.
fn row_of_run(index: usize, key: &str) -> Value {
    json!({"row": item(key), "index": index, "run": {"execution": "e-1", "userArguments": {}}})
}

/// Does what the state machine does with a batch, until it is finished; returns the waits.
async fn run_until_finished(world: &World, items: Vec<Value>) -> Vec<u64> {
    let mut payload = json!({"Items": items});
    let mut waits = Vec::new();
    loop {
        let answer = world.handle(&json!({"batch": payload, "retries": 0})).await;
        if answer["finished"] == true {
            return waits;
        }
        let wait = answer["waitSeconds"].as_u64().unwrap();
        waits.push(wait);
        assert!(waits.len() < 1_000, "it never ends");
        tokio::time::sleep(Duration::from_secs(wait)).await;
        payload = answer["again"].clone();
    }
}

async fn summary(world: &World) -> Value {
    let begun = json!({"run": {"execution": "e-1", "userArguments": {}}, "manifestKey": "final-sync/m.csv"});
    world.handle(&json!({"finalSync": "conclude", "begun": begun})).await;
    serde_json::from_str(&world.results.texts()["final-sync/e-1/summary.json"]).unwrap()
}

#[tokio::test(start_paused = true)]
async fn batch_that_does_not_fit_into_many_invocations_is_done_at_last() {
    // 4 at once, 10 seconds each, a minute for all of them: 700 items take some 30 invocations.
    let world = World {
        time: Duration::from_secs(65),
        ..World::with(FaultScript::default().always(PortCall::Copy, PortFault::Slow(Duration::from_secs(10))))
    };
    let keys: Vec<String> = (0..700).map(|number| format!("key-{number:03}")).collect();
    for key in &keys {
        world.source.put(key, key);
    }
    let items = keys
        .iter()
        .enumerate()
        .map(|(index, key)| row_of_run(index, key))
        .collect();
    let waits = run_until_finished(&world, items).await;
    let sum = summary(&world).await;
    assert_eq!(
        (&sum["items"], &sum["outcomes"]),
        (&json!(700), &json!({"copied": 700})),
        "{waits:?}"
    );
    assert_eq!(world.destination.snapshot(), world.source.snapshot());
    let long: Vec<&u64> = waits.iter().filter(|wait| **wait > 10).collect();
    // Copies that were cut off may still land; they are waited for once all others are done.
    assert!(long.len() <= 2 && long.iter().all(|wait| **wait <= 600), "{waits:?}");
}

#[tokio::test(start_paused = true)]
async fn equal_batches_each_keep_their_results_and_repeated_ones_do_not() {
    let world = World::new().having(&["a"]);
    for index in [0, 1, 1] {
        world.handle(&json!({"Items": [row_of_run(index, "a")]})).await;
    }
    assert_eq!(summary(&world).await["items"], 2);
    // Without an index, two equal batches are two invocations.
    let run = json!({"execution": "e-1", "userArguments": {}});
    for _ in 0..2 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        world
            .handle(&json!({"Items": [item("a")], "BatchInput": {"run": run}}))
            .await;
    }
    assert_eq!(summary(&world).await["items"], 4);
}

#[tokio::test(start_paused = true)]
async fn key_that_occurs_twice_in_a_batch_counts_its_bytes_once() {
    let world = World::new().having(&["a", "a b"]);
    let rows = ["a", "a", "a+b", "a%20b"].iter().enumerate();
    let items: Vec<Value> = rows.map(|(index, key)| row_of_run(index, key)).collect();
    run_until_finished(&world, items).await;
    let sum = summary(&world).await;
    assert_eq!(
        (&sum["items"], &sum["bytesCopied"]),
        (&json!(4), &json!(1 + 3)),
        "{sum}"
    );
    assert_eq!(sum["outcomes"], json!({"copied": 4}));
}

#[tokio::test(start_paused = true)]
async fn lost_batch_replaces_its_stored_results() {
    let world = World::new().having(&["a"]);
    let batch = json!({"Items": [row_of_run(0, "a")]});
    world.handle(&json!({"batch": batch, "retries": 0})).await;
    let mut input = batch.clone();
    input["error"] = json!({"Error": "Sandbox.Timedout"});
    world.handle(&json!({"finalSync": "lost", "input": input})).await;
    let sum = summary(&world).await;
    assert_eq!(sum["outcomes"], json!({"failed:FunctionFailed": 1}), "each item once");
}

/// A destination that got the source's bytes from an invocation that crashed before it read the source once more: in the
/// meantime the tags had changed, and as many as before.
fn interrupted() -> World {
    let world = World::new();
    world.source.put("a", "a");
    world.source.tag("a", &[("t", "2")]);
    world.destination.pass_seconds(10);
    world.destination.put("a", "a");
    world.destination.tag("a", &[("t", "1")]);
    world
}

#[tokio::test(start_paused = true)]
async fn what_is_run_again_has_read_what_an_interrupted_run_may_have_left() {
    let batch = json!({"Items": [row_of_run(0, "a")]});
    let mut begun = batch.clone();
    begun["Items"][0]["attempts"] = json!(1);
    let mut local = job(&[task("t", "a")], &json!({}));
    local["attempt"] = json!(2);
    for (title, payload, repeated) in [
        ("first", json!({"batch": batch, "retries": 0}), false),
        (
            "retried by the state machine",
            json!({"batch": batch, "retries": 1}),
            true,
        ),
        ("begun in an earlier run", json!({"batch": begun, "retries": 0}), true),
        ("run again by a local job", local, true),
    ] {
        let world = interrupted();
        world.handle(&payload).await;
        assert_eq!(world.script.count(PortCall::UpdateAttributes) > 0, repeated, "{title}");
        let listed = world.script.count(PortCall::ListUploads);
        assert_eq!(listed > 0, repeated, "{title}: uploads");
    }
}

#[tokio::test(start_paused = true)]
async fn summary_of_more_results_than_an_invocation_reads_is_resumed() {
    let world = World::new();
    let line = |index: usize| {
        format!(
            "{}\n",
            json!({
                "row": {"Key": index}, "code": "Succeeded", "outcome": "copied", "detail": "", "bytes_copied": 2,
            })
        )
    };
    for index in 0..500 {
        let name = format!("final-sync/e-1/results/{index:04}.jsonl");
        (&world.results).write(&name, line(index)).await.unwrap();
    }
    let world = World {
        time: Duration::from_secs(6),
        ..world
    };
    let reading = SlowResults {
        texts: &world.results,
        failing: Mutex::default(),
    };
    let mut begun = json!({
        "run": {"execution": "e-1", "userArguments": {}}, "manifestKey": "final-sync/m.csv", "stopped": {"Error": "E"},
    });
    let mut invocations = 0;
    loop {
        invocations += 1;
        assert!(invocations < 100, "it never ends");
        let payload = json!({"finalSync": "conclude", "begun": begun});
        let answer = match world.handle_with(Some(&reading), &payload).await {
            Ok(answer) => answer,
            // The state machine repeats an invocation that fails.
            Err(error) => {
                assert_eq!(error.code(), "ResultsNotKept");
                continue;
            }
        };
        begun["summary"] = json!({"finished": answer["finished"], "output": answer});
        if answer["finished"] == true {
            break;
        }
        assert!(!world.results.texts().contains_key("final-sync/e-1/summary.json"));
    }
    assert!(invocations > 3, "{invocations}");
    let sum: Value = serde_json::from_str(&world.results.texts()["final-sync/e-1/summary.json"]).unwrap();
    assert_eq!(
        (&sum["items"], &sum["bytesCopied"]),
        (&json!(500), &json!(1_000)),
        "{sum}"
    );
    assert!(sum["stopped"].is_string() && sum["manifestKey"] == "final-sync/m.csv");
}

/// Results that take a while to be read, and fail now and then.
#[derive(Debug)]
struct SlowResults<'a> {
    texts: &'a MemoryResults,
    failing: Mutex<u32>,
}

impl ResultStore for &SlowResults<'_> {
    async fn write(&self, name: &str, text: String) -> Result<(), Failure> {
        (&self.texts).write(name, text).await
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Vec<String>, Failure> {
        (&self.texts).list(prefix, after).await
    }

    async fn read(&self, name: &str) -> Result<String, Failure> {
        tokio::time::sleep(Duration::from_millis(700)).await;
        {
            let mut count = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
            *count += 1;
            if count.is_multiple_of(97) {
                return Err(failure(FailureKind::Retry));
            }
        }
        (&self.texts).read(name).await
    }
}

#[tokio::test(start_paused = true)]
async fn results_that_cannot_be_kept_fail_the_invocation() {
    let world = World::new().having(&["photos/2026/harbour.jpg"]);
    let payload = sample("distributed-map-selected");
    let error = world.handle_with(Some(NoResults), &payload).await.unwrap_err();
    assert_eq!(error.code(), "ResultsNotKept", "{error}");
    let error = world.handle_with(None::<NoResults>, &payload).await.unwrap_err();
    assert_eq!(error.code(), "StateBucketNotSet", "{error}");
    let concluding = json!({"finalSync": "conclude", "begun": {"run": {"execution": "e"}, "manifestKey": "m"}});
    assert!(world.handle_with(Some(NoResults), &concluding).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn run_with_unknown_arguments_is_refused_at_its_start() {
    let world = World::new();
    let request = |input: Value| json!({"finalSync": "begin", "execution": "e-1", "input": input});
    let begun = world
        .handle(&request(
            json!({"manifestKey": "final-sync/m.csv", "userArguments": {"attributes": "always"}}),
        ))
        .await;
    let expected = json!({
        "run": {"execution": "e-1", "userArguments": {"attributes": "always"}}, "manifestKey": "final-sync/m.csv",
        "mapResults": "final-sync/e-1/map",
    });
    assert_eq!(begun, expected);
    let begun = world.handle(&request(json!({"manifestKey": "m"}))).await;
    assert_eq!(begun["run"]["userArguments"], json!({}));
    for (input, code) in [
        (json!({}), "FieldMissing"),
        (
            json!({"manifestKey": "m", "userArguments": {"speed": "1"}}),
            "ArgumentNotKnown",
        ),
        (
            json!({"manifestKey": "m", "userArguments": {"attributes": "1"}}),
            "ArgumentNotValid",
        ),
    ] {
        assert_eq!(world.try_handle(&request(input)).await.unwrap_err().code(), code);
    }
}

#[tokio::test(start_paused = true)]
async fn items_of_an_invocation_that_failed_are_put_on_record() {
    let world = World::new();
    let mut input = sample("distributed-map-selected");
    input["error"] = json!({"Error": "Sandbox.Timedout", "Cause": "it took too long"});
    let answer = world.handle(&json!({"finalSync": "lost", "input": input})).await;
    assert_eq!(answer, json!({"items": 4}));
    let kept = world.results.texts();
    let (_, text) = kept.first_key_value().unwrap();
    assert!(
        text.lines()
            .all(|line| line.contains("failed:FunctionFailed") && line.contains("Sandbox.Timedout"))
    );
}

proptest! {
    #[test]
    fn every_task_is_answered_exactly_once_in_order(
        keys in prop::collection::vec(prop::sample::select(vec!["a", "b", "a+b", "%", "", "gone", "a%20b"]), 0..12)
    ) {
        let world = World::new().having(&["a", "b", "a b"]);
        let tasks: Vec<Value> = keys.iter().enumerate().map(|(index, key)| task(&format!("t{index}"), key)).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let answer = runtime.block_on(world.handle(&job(&tasks, &json!({}))));
        let found = results(&answer);
        prop_assert_eq!(found.len(), keys.len());
        for (index, ((id, code, text), key)) in found.iter().zip(&keys).enumerate() {
            prop_assert_eq!(id, &format!("t{index}"));
            let readable = !["%", ""].contains(key);
            prop_assert_eq!(code == "Succeeded", readable, "{}", text);
            prop_assert!(text.chars().count() <= 1024);
        }
    }
}
