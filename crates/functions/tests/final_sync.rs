//! The final sync from payload to response, on buckets in memory.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "the test creates its data, and an absent field of a JSON value is null"
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

/// A result store that fails every request.
#[derive(Debug)]
struct FailingResults;

impl ResultStore for FailingResults {
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

struct Fixture {
    source: MemoryBucket,
    destination: MemoryBucket,
    script: FaultScript,
    queue: Option<MemoryQueue>,
    results: MemoryResults,
    clock: TestClock,
    time: Duration,
}

impl Fixture {
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

    /// Writes keys at the source, each with its name as the content.
    fn with_keys(self, keys: &[&str]) -> Self {
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
            "the response is late"
        );
        Ok(serde_json::to_value(reply).unwrap())
    }

    async fn handle(&self, payload: &Value) -> Value {
        self.try_handle(payload).await.unwrap()
    }
}

/// Reads the facts of the current object of a key.
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

/// Returns id, code and text of each result, in order.
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
async fn tasks_of_schema_version_one_are_copied_and_get_a_valid_response() {
    let fixture = Fixture::new().with_keys(&["photos/2026/harbour.jpg"]);
    let answer = fixture.handle(&sample("batch-operations-1.0")).await;
    let payload = sample("batch-operations-1.0");
    assert_eq!(answer["invocationSchemaVersion"], "1.0");
    assert_eq!(answer["invocationId"], payload["invocationId"]);
    assert_eq!(answer["treatMissingKeysAs"], "PermanentFailure");
    check(
        &answer,
        &[("dGFza2lkZ29lc2hlcmUK", "Succeeded", "copied 23 bytes as version")],
    );
    assert_eq!(
        fixture.destination.content("photos/2026/harbour.jpg").as_deref(),
        Some("photos/2026/harbour.jpg")
    );
}

#[tokio::test(start_paused = true)]
async fn tasks_of_schema_version_two_are_copied_with_decoded_keys() {
    let keys = [
        "photos/2026/harbour.jpg",
        "reports/annual report 2026.pdf",
        "math/1+1=2.txt",
    ];
    let fixture = Fixture::new().with_keys(&keys);
    let answer = fixture.handle(&sample("batch-operations-2.0")).await;
    assert_eq!(answer["invocationSchemaVersion"], "2.0");
    let copied = |id| (id, "Succeeded", "copied");
    check(&answer, &["task-1", "task-2", "task-3"].map(copied));
    assert_eq!(fixture.destination.snapshot().len(), 3);
    let again = fixture.handle(&sample("batch-operations-2.0")).await;
    let skipped = |id| (id, "Succeeded", "skipped already-identical");
    check(&again, &["task-1", "task-2", "task-3"].map(skipped));
}

#[tokio::test(start_paused = true)]
async fn malformed_tasks_each_get_one_result() {
    let keys = [
        "math/1 1.txt",
        "math/1+1.txt",
        "日本/Häfen 🚢.txt",
        "photos/2026/harbour.jpg",
    ];
    let fixture = Fixture::new().with_keys(&keys);
    let answer = fixture.handle(&sample("batch-operations-odd-tasks")).await;
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
            "the task is of bucket other-teams-bucket",
        ),
        ("no-key", "PermanentFailure", "`tasks[7].s3Key` is missing"),
        ("old-version", "Succeeded", "copied"),
        ("gone", "Succeeded", "skipped both-absent"),
    ];
    check(&answer, &expected);
    let mut arrived: Vec<String> = fixture.destination.snapshot().into_keys().collect();
    arrived.sort();
    let mut expected = keys.map(str::to_owned);
    expected.sort();
    assert_eq!(arrived, expected);
}

#[tokio::test(start_paused = true)]
async fn both_keys_of_an_ambiguous_plus_are_reconciled() {
    let fixture = Fixture::new().with_keys(&["a b"]);
    let answer = fixture.handle(&job(&[task("t", "a+b")], &json!({}))).await;
    check(&answer, &[("t", "Succeeded", "\"a b\": copied 3 bytes")]);
    assert!(
        results(&answer)[0].2.contains("\"a+b\": skipped both-absent"),
        "{answer}"
    );
}

#[tokio::test(start_paused = true)]
async fn manifest_is_done_as_s3_batch_operations_invokes_the_function() {
    let mut fixture = Fixture::new().with_keys(&["a b+c%.txt", "b", "c"]);
    // The response to the first copy is lost: its task fails temporarily and is repeated.
    fixture.script = FaultScript::default().on(PortCall::Copy, 1, PortFault::ResponseLost);
    let bucket = BucketName::new("example-source").unwrap();
    let row = |key: &str| ManifestRow::new(bucket.clone(), ObjectKey::from_raw(key).unwrap(), None);
    let rows = ["a b+c%.txt", "b", "c", "gone"].map(row);
    let job = BatchJobDouble {
        clock: fixture.clock.clone(),
        tasks_per_invocation: 2,
        user_arguments: BTreeMap::new(),
    };
    let function = async |payload: Value| fixture.try_handle(&payload).await.map_err(|error| error.to_string());
    let (state, report) = job.run(&rows, function).await;
    assert_eq!(state, JobState::Complete);
    assert!(report.iter().all(|row| row.end == TaskOutcome::Succeeded), "{report:?}");
    assert_eq!(report.len(), 4);
    for key in ["a b+c%.txt", "b", "c"] {
        assert_eq!(fixture.destination.content(key).as_deref(), Some(key));
    }
}

#[tokio::test(start_paused = true)]
async fn key_in_several_tasks_is_reconciled_once() {
    let fixture = Fixture::new().with_keys(&["a"]);
    let answer = fixture
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
    assert_eq!(fixture.script.count(PortCall::Copy), 1);
}

#[tokio::test(start_paused = true)]
async fn unknown_argument_is_refused_by_name_and_nothing_is_copied() {
    let fixture = Fixture::new().with_keys(&["photos/2026/harbour.jpg"]);
    let answer = fixture.handle(&sample("batch-operations-unknown-argument")).await;
    check(
        &answer,
        &[("task-1", "PermanentFailure", "user argument `speed` is not supported")],
    );
    let answer = fixture
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
    let answer = fixture.handle(&payload).await;
    check(&answer, &[("t", "PermanentFailure", "`3.0`, expected 1.0 or 2.0")]);
    assert!(fixture.destination.snapshot().is_empty());
}

#[tokio::test(start_paused = true)]
async fn arguments_apply_only_to_their_job() {
    let fixture = Fixture::new().with_keys(&["a"]);
    fixture.destination.put("gone", "left over");
    let tasks = [task("a", "a"), task("gone", "gone")];
    let answer = fixture.handle(&job(&tasks, &json!({}))).await;
    check(
        &answer,
        &[
            ("a", "Succeeded", "copied"),
            ("gone", "Succeeded", "deletes are not propagated"),
        ],
    );
    let arguments = json!({"propagateDeletes": "true", "storage_class": "GLACIER_IR", "ownership": "exclusive"});
    let answer = fixture.handle(&job(&tasks, &arguments)).await;
    check(
        &answer,
        &[
            ("a", "Succeeded", "already-identical"),
            ("gone", "Succeeded", "deleted at the destination"),
        ],
    );
    fixture.source.put("b", "b");
    fixture.handle(&job(&[task("b", "b")], &arguments)).await;
    assert_eq!(facts(&fixture.destination, "b").await.storage_class, "GLACIER_IR");
    fixture.source.put("c", "c");
    fixture.handle(&job(&[task("c", "c")], &json!({}))).await;
    assert_eq!(facts(&fixture.destination, "c").await.storage_class, "STANDARD");
}

#[tokio::test(start_paused = true)]
async fn attribute_comparison_finds_differences_that_head_does_not_show() {
    let fixture = Fixture::new().with_keys(&["a"]);
    fixture.handle(&job(&[task("t", "a")], &json!({}))).await;
    fixture.destination.tag("a", &[("team", "b")]);
    fixture.source.tag("a", &[("team", "a")]);
    let answer = fixture
        .handle(&job(&[task("t", "a")], &json!({"compare-attributes": "always"})))
        .await;
    check(&answer, &[("t", "Succeeded", "changed at the destination: tags")]);
}

#[tokio::test(start_paused = true)]
async fn row_of_an_older_version_reconciles_the_current_object() {
    let versioned = |id: &str, version: &str| {
        let mut task = task(id, "a");
        task["s3VersionId"] = json!(version);
        task
    };
    for source in [MemoryBucket::versioned(), MemoryBucket::unversioned()] {
        for version in ["older", "null", "", "as-old-as-the-hills"] {
            let fixture = Fixture {
                source: source.clone(),
                ..Fixture::new()
            };
            fixture.source.put("a", "first");
            let older = facts(&fixture.source, "a").await.version_id;
            fixture.source.put("a", "second");
            let version = match &older {
                Some(id) if version == "older" => id.as_str(),
                _ => version,
            };
            let answer = fixture.handle(&job(&[versioned("t", version)], &json!({}))).await;
            check(&answer, &[("t", "Succeeded", "copied 6 bytes")]);
            let row = json!({"Bucket": "example-source", "Key": "a", "VersionId": version});
            let answer = fixture.handle(&row).await;
            assert_eq!(answer["outcomes"], json!({"skipped:already-identical": 1}), "{version}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn row_of_a_deleted_key_propagates_the_delete() {
    let fixture = Fixture::new().with_keys(&["a"]);
    let version = facts(&fixture.source, "a").await.version_id.unwrap();
    let mut row = task("t", "a");
    row["s3VersionId"] = json!(version.as_str());
    fixture.handle(&job(std::slice::from_ref(&row), &json!({}))).await;
    fixture.source.delete("a");
    let answer = fixture.handle(&job(&[row], &json!({"deletes": "true"}))).await;
    check(&answer, &[("t", "Succeeded", "deleted at the destination")]);
}

#[tokio::test(start_paused = true)]
async fn failed_task_does_not_affect_other_tasks_of_the_invocation() {
    let script = FaultScript::default()
        .on(PortCall::Copy, 1, PortFault::Fails(failure(FailureKind::Permanent)))
        .on(PortCall::Copy, 2, PortFault::Panics)
        .on(PortCall::Copy, 3, PortFault::Hangs);
    let fixture = Fixture::with(script).with_keys(&["denied", "panics", "slow", "still good"]);
    let tasks = ["denied", "panics", "slow", "still good"].map(|key| task(key, key));
    let answer = fixture.handle(&job(&tasks, &json!({}))).await;
    let expected = [
        ("denied", "PermanentFailure", "failed (permanent)"),
        ("panics", "PermanentFailure", "a bug of s3ferry"),
        ("slow", "TemporaryFailure", "not done yet (deadline)"),
        ("still good", "Succeeded", "copied"),
    ];
    check(&answer, &expected);
}

#[tokio::test(start_paused = true)]
async fn every_task_has_a_result_before_the_deadline() {
    let fixture = Fixture {
        time: Duration::from_secs(20),
        ..Fixture::with(FaultScript::default().always(PortCall::SourceRead, PortFault::Hangs))
    };
    let tasks: Vec<Value> = (0..40)
        .map(|number| task(&number.to_string(), &format!("key-{number}")))
        .collect();
    let answer = fixture.handle(&job(&tasks, &json!({}))).await;
    assert_eq!(results(&answer).len(), 40);
    assert!(
        results(&answer).iter().all(|(_, code, _)| code == "TemporaryFailure"),
        "{answer}"
    );
}

#[tokio::test(start_paused = true)]
async fn unfinished_key_is_requeued_if_a_queue_is_configured() {
    // The response of the only copy is lost, so the key must be read again.
    let lost = || FaultScript::default().on(PortCall::Copy, 1, PortFault::ResponseLost);
    let fixture = Fixture::with(lost()).with_keys(&["a"]);
    let answer = fixture.handle(&job(&[task("t", "a")], &json!({}))).await;
    check(
        &answer,
        &[("t", "TemporaryFailure", "may still land, so the task is run again")],
    );
    let fixture = Fixture {
        queue: Some(MemoryQueue::default()),
        ..Fixture::with(lost()).with_keys(&["a"])
    };
    let answer = fixture.handle(&job(&[task("t", "a")], &json!({}))).await;
    check(&answer, &[("t", "Succeeded", "already-identical")]);
    assert_eq!(fixture.queue.as_ref().unwrap().sent().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn unsupported_payload_fails_the_invocation() {
    for (payload, code) in [
        (json!({}), "NotABatch"),
        (json!(null), "NotABatch"),
        (json!({"Records": []}), "NotABatch"),
        (json!({"tasks": []}), "FieldMissing"),
        (job(&[json!({"s3Key": "a"})], &json!({})), "FieldMissing"),
    ] {
        let error = Fixture::new().try_handle(&payload).await.unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert_eq!(diagnostic(&error).error_type, code);
    }
}

fn item(key: &str) -> Value {
    json!({"Bucket": "example-source", "Key": key, "VersionId": ""})
}

#[tokio::test(start_paused = true)]
async fn single_items_and_batches_are_reconciled() {
    let fixture = Fixture::new().with_keys(&[
        "photos/2026/harbour.jpg",
        "reports/annual report 2026.pdf",
        "math/1+1=2.txt",
    ]);
    let answer = fixture.handle(&sample("distributed-map-item")).await;
    assert_eq!((&answer["succeeded"], &answer["finished"]), (&json!(1), &json!(true)));
    assert_eq!(answer["results"][0]["outcome"], "copied");
    let answer = fixture.handle(&sample("distributed-map-batch")).await;
    assert_eq!(answer["outcomes"], json!({"copied": 2}));
    assert_eq!((&answer["items"], &answer["again"]), (&json!(2), &json!(null)));
    assert_eq!(fixture.destination.snapshot().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn results_of_a_run_are_stored_and_summarized() {
    let fixture = Fixture::new().with_keys(&["photos/2026/harbour.jpg"]);
    let answer = fixture.handle(&sample("distributed-map-selected")).await;
    let expected = json!({
        "items": 4, "succeeded": 2, "failed": 2, "unfinished": 0, "finished": true, "mostlyFailed": false,
        "waitSeconds": 10, "again": null,
        "outcomes": {"copied": 1, "failed:FieldMissing": 1, "failed:ForeignBucket": 1, "skipped:both-absent": 1},
    });
    assert_eq!(answer, expected);
    let stored = fixture.results.texts();
    let (name, text) = stored.first_key_value().unwrap();
    let of_run = name.strip_prefix("final-sync/sync-2026-11/results/");
    assert!(
        of_run.is_some_and(|name| Path::new(name).extension() == Some("jsonl".as_ref())),
        "{name}"
    );
    assert_eq!(text.lines().count(), 4);
    // A repeated invocation replaces its results.
    fixture.handle(&sample("distributed-map-selected")).await;
    assert_eq!(fixture.results.texts().len(), 1);

    let conclude = json!({"finalSync": "conclude", "begun": {
        "run": {"execution": "sync-2026-11", "userArguments": {}}, "manifestKey": "final-sync/m.csv",
        "stopped": {"Error": "States.ExceedToleratedFailureThreshold"},
    }});
    let answer = fixture.handle(&conclude).await;
    assert_eq!(answer["summaryKey"], "final-sync/sync-2026-11/summary.json");
    let summary: Value =
        serde_json::from_str(&fixture.results.texts()["final-sync/sync-2026-11/summary.json"]).unwrap();
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
async fn unfinished_items_run_again_until_done_or_given_up() {
    let script =
        FaultScript::default().always(PortCall::DestinationRead, PortFault::Fails(failure(FailureKind::Retry)));
    let fixture = Fixture::with(script).with_keys(&["a"]);
    let run = json!({"execution": "e-1", "userArguments": {}});
    let foreign = json!({"row": {"Bucket": "other-bucket", "Key": "x"}, "run": run});
    let mut payload = json!({"Items": [{"row": item("a"), "run": run}, foreign]});
    let mut waits = Vec::new();
    for attempts in 1..11 {
        let answer = fixture.handle(&payload).await;
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
    // The first run finished the other item, which is progress.
    assert_eq!(waits, [10, 10, 20, 40, 80, 160, 300, 300, 300, 300]);
    let answer = fixture.handle(&payload).await;
    assert_eq!(
        (&answer["finished"], &answer["failed"], &answer["mostlyFailed"]),
        (&json!(true), &json!(1), &json!(true))
    );
    let stored: String = fixture.results.texts().into_values().collect();
    assert_eq!(stored.lines().count(), 2, "each item once: {stored}");
    assert!(stored.contains("given up after 11 runs: failed (retry)"), "{stored}");
}

#[tokio::test(start_paused = true)]
async fn unfinished_map_item_is_never_requeued() {
    let fixture = Fixture {
        queue: Some(MemoryQueue::default()),
        ..Fixture::with(FaultScript::default().on(PortCall::Copy, 1, PortFault::ResponseLost)).with_keys(&["a"])
    };
    let answer = fixture.handle(&item("a")).await;
    assert_eq!(
        (&answer["unfinished"], &answer["again"]["Items"][0]["row"]),
        (&json!(1), &item("a"))
    );
    assert_eq!(answer["waitSeconds"], 600, "the write may still land");
    assert!(fixture.queue.as_ref().unwrap().sent().is_empty());
    let answer = fixture.handle(&answer["again"]).await;
    assert_eq!(answer["outcomes"], json!({"skipped:already-identical": 1}));
}

/// Returns an item of a run, with its index in the manifest.
fn row_of_run(index: usize, key: &str) -> Value {
    json!({"row": item(key), "index": index, "run": {"execution": "e-1", "userArguments": {}}})
}

/// Runs a batch until it is finished, as the state machine does. Returns the wait times.
async fn run_until_finished(fixture: &Fixture, items: Vec<Value>) -> Vec<u64> {
    let mut payload = json!({"Items": items});
    let mut waits = Vec::new();
    loop {
        let answer = fixture.handle(&json!({"batch": payload, "retries": 0})).await;
        if answer["finished"] == true {
            return waits;
        }
        let wait = answer["waitSeconds"].as_u64().unwrap();
        waits.push(wait);
        assert!(waits.len() < 1_000, "the run does not end");
        tokio::time::sleep(Duration::from_secs(wait)).await;
        payload = answer["again"].clone();
    }
}

async fn summary(fixture: &Fixture) -> Value {
    let begun = json!({"run": {"execution": "e-1", "userArguments": {}}, "manifestKey": "final-sync/m.csv"});
    fixture.handle(&json!({"finalSync": "conclude", "begun": begun})).await;
    serde_json::from_str(&fixture.results.texts()["final-sync/e-1/summary.json"]).unwrap()
}

#[tokio::test(start_paused = true)]
async fn batch_larger_than_one_invocation_is_finished_by_several() {
    // 4 concurrent copies of 10 seconds in a minute: 700 items take about 30 invocations.
    let fixture = Fixture {
        time: Duration::from_secs(65),
        ..Fixture::with(FaultScript::default().always(PortCall::Copy, PortFault::Slow(Duration::from_secs(10))))
    };
    let keys: Vec<String> = (0..700).map(|number| format!("key-{number:03}")).collect();
    for key in &keys {
        fixture.source.put(key, key);
    }
    let items = keys
        .iter()
        .enumerate()
        .map(|(index, key)| row_of_run(index, key))
        .collect();
    let waits = run_until_finished(&fixture, items).await;
    let run_summary = summary(&fixture).await;
    assert_eq!(
        (&run_summary["items"], &run_summary["outcomes"]),
        (&json!(700), &json!({"copied": 700})),
        "{waits:?}"
    );
    assert_eq!(fixture.destination.snapshot(), fixture.source.snapshot());
    let long: Vec<&u64> = waits.iter().filter(|wait| **wait > 10).collect();
    // Interrupted copies may still land. The run waits for them once all other items are done.
    assert!(long.len() <= 2 && long.iter().all(|wait| **wait <= 600), "{waits:?}");
}

#[tokio::test(start_paused = true)]
async fn equal_batches_store_separate_results_and_repeated_batches_replace_them() {
    let fixture = Fixture::new().with_keys(&["a"]);
    for index in [0, 1, 1] {
        fixture.handle(&json!({"Items": [row_of_run(index, "a")]})).await;
    }
    assert_eq!(summary(&fixture).await["items"], 2);
    // Without an index, two equal batches are two invocations.
    let run = json!({"execution": "e-1", "userArguments": {}});
    for _ in 0..2 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        fixture
            .handle(&json!({"Items": [item("a")], "BatchInput": {"run": run}}))
            .await;
    }
    assert_eq!(summary(&fixture).await["items"], 4);
}

#[tokio::test(start_paused = true)]
async fn key_in_several_items_of_a_batch_counts_its_bytes_once() {
    let fixture = Fixture::new().with_keys(&["a", "a b"]);
    let rows = ["a", "a", "a+b", "a%20b"].iter().enumerate();
    let items: Vec<Value> = rows.map(|(index, key)| row_of_run(index, key)).collect();
    run_until_finished(&fixture, items).await;
    let run_summary = summary(&fixture).await;
    assert_eq!(
        (&run_summary["items"], &run_summary["bytesCopied"]),
        (&json!(4), &json!(1 + 3)),
        "{run_summary}"
    );
    assert_eq!(run_summary["outcomes"], json!({"copied": 4}));
}

#[tokio::test(start_paused = true)]
async fn lost_batch_replaces_its_stored_results() {
    let fixture = Fixture::new().with_keys(&["a"]);
    let batch = json!({"Items": [row_of_run(0, "a")]});
    fixture.handle(&json!({"batch": batch, "retries": 0})).await;
    let mut input = batch.clone();
    input["error"] = json!({"Error": "Sandbox.Timedout"});
    fixture.handle(&json!({"finalSync": "lost", "input": input})).await;
    let run_summary = summary(&fixture).await;
    assert_eq!(
        run_summary["outcomes"],
        json!({"failed:FunctionFailed": 1}),
        "each item once"
    );
}

/// Prepares a destination that an interrupted invocation copied to: it crashed before its second read of the source.
/// Meanwhile the tags changed, but not their number.
fn interrupted() -> Fixture {
    let fixture = Fixture::new();
    fixture.source.put("a", "a");
    fixture.source.tag("a", &[("t", "2")]);
    fixture.destination.pass_seconds(10);
    fixture.destination.put("a", "a");
    fixture.destination.tag("a", &[("t", "1")]);
    fixture
}

#[tokio::test(start_paused = true)]
async fn repeated_run_reads_attributes_and_uploads_of_an_interrupted_one() {
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
        let fixture = interrupted();
        fixture.handle(&payload).await;
        assert_eq!(
            fixture.script.count(PortCall::UpdateAttributes) > 0,
            repeated,
            "{title}"
        );
        let listed = fixture.script.count(PortCall::ListUploads);
        assert_eq!(listed > 0, repeated, "{title}: uploads");
    }
}

#[tokio::test(start_paused = true)]
async fn summary_is_resumed_by_the_next_invocation() {
    let fixture = Fixture::new();
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
        (&fixture.results).write(&name, line(index)).await.unwrap();
    }
    let fixture = Fixture {
        time: Duration::from_secs(6),
        ..fixture
    };
    let reading = SlowResults {
        texts: &fixture.results,
        reads: Mutex::default(),
    };
    let mut begun = json!({
        "run": {"execution": "e-1", "userArguments": {}}, "manifestKey": "final-sync/m.csv", "stopped": {"Error": "E"},
    });
    let mut invocations = 0;
    loop {
        invocations += 1;
        assert!(invocations < 100, "the run does not end");
        let payload = json!({"finalSync": "conclude", "begun": begun});
        let answer = match fixture.handle_with(Some(&reading), &payload).await {
            Ok(answer) => answer,
            // The state machine retries a failed invocation.
            Err(error) => {
                assert_eq!(error.code(), "ResultsNotKept");
                continue;
            }
        };
        begun["summary"] = json!({"finished": answer["finished"], "output": answer});
        if answer["finished"] == true {
            break;
        }
        assert!(!fixture.results.texts().contains_key("final-sync/e-1/summary.json"));
    }
    assert!(invocations > 3, "{invocations}");
    let run_summary: Value = serde_json::from_str(&fixture.results.texts()["final-sync/e-1/summary.json"]).unwrap();
    assert_eq!(
        (&run_summary["items"], &run_summary["bytesCopied"]),
        (&json!(500), &json!(1_000)),
        "{run_summary}"
    );
    assert!(run_summary["stopped"].is_string() && run_summary["manifestKey"] == "final-sync/m.csv");
}

/// A result store with slow reads, some of which fail.
#[derive(Debug)]
struct SlowResults<'a> {
    texts: &'a MemoryResults,
    reads: Mutex<u32>,
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
            let mut count = self.reads.lock().unwrap_or_else(PoisonError::into_inner);
            *count += 1;
            if count.is_multiple_of(97) {
                return Err(failure(FailureKind::Retry));
            }
        }
        (&self.texts).read(name).await
    }
}

#[tokio::test(start_paused = true)]
async fn unstored_results_fail_the_invocation() {
    let fixture = Fixture::new().with_keys(&["photos/2026/harbour.jpg"]);
    let payload = sample("distributed-map-selected");
    let error = fixture.handle_with(Some(FailingResults), &payload).await.unwrap_err();
    assert_eq!(error.code(), "ResultsNotKept", "{error}");
    let error = fixture.handle_with(None::<FailingResults>, &payload).await.unwrap_err();
    assert_eq!(error.code(), "StateBucketNotSet", "{error}");
    let concluding = json!({"finalSync": "conclude", "begun": {"run": {"execution": "e"}, "manifestKey": "m"}});
    assert!(fixture.handle_with(Some(FailingResults), &concluding).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn run_with_unknown_arguments_is_refused_at_its_start() {
    let fixture = Fixture::new();
    let request = |input: Value| json!({"finalSync": "begin", "execution": "e-1", "input": input});
    let begun = fixture
        .handle(&request(
            json!({"manifestKey": "final-sync/m.csv", "userArguments": {"attributes": "always"}}),
        ))
        .await;
    let expected = json!({
        "run": {"execution": "e-1", "userArguments": {"attributes": "always"}}, "manifestKey": "final-sync/m.csv",
        "mapResults": "final-sync/e-1/map",
    });
    assert_eq!(begun, expected);
    let begun = fixture.handle(&request(json!({"manifestKey": "m"}))).await;
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
        assert_eq!(fixture.try_handle(&request(input)).await.unwrap_err().code(), code);
    }
}

#[tokio::test(start_paused = true)]
async fn items_of_a_failed_invocation_are_recorded_as_failed() {
    let fixture = Fixture::new();
    let mut input = sample("distributed-map-selected");
    input["error"] = json!({"Error": "Sandbox.Timedout", "Cause": "it took too long"});
    let answer = fixture.handle(&json!({"finalSync": "lost", "input": input})).await;
    assert_eq!(answer, json!({"items": 4}));
    let stored = fixture.results.texts();
    let (_, text) = stored.first_key_value().unwrap();
    assert!(
        text.lines()
            .all(|line| line.contains("failed:FunctionFailed") && line.contains("Sandbox.Timedout"))
    );
}

proptest! {
    #[test]
    fn every_task_has_exactly_one_result_in_order(
        keys in prop::collection::vec(prop::sample::select(vec!["a", "b", "a+b", "%", "", "gone", "a%20b"]), 0..12)
    ) {
        let fixture = Fixture::new().with_keys(&["a", "b", "a b"]);
        let tasks: Vec<Value> = keys.iter().enumerate().map(|(index, key)| task(&format!("t{index}"), key)).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let answer = runtime.block_on(fixture.handle(&job(&tasks, &json!({}))));
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
