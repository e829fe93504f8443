//! The replicator from payload to response, on buckets in memory.
#![expect(clippy::unwrap_used, reason = "the test creates its data")]

use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;
use s3ferry_core::failure::FailureKind;
use s3ferry_core::names::BucketName;
use s3ferry_core::policy::Policy;
use s3ferry_engine::batch::BatchReconciler;
use s3ferry_engine::reconcile::{Reconciler, UploadSupport};
use s3ferry_functions::replicator::{Replicator, ReplicatorError, ReplicatorResponse};
use s3ferry_testkit::clock::TestClock;
use s3ferry_testkit::faults::{FaultScript, FaultyPort, PortCall, PortFault, failure};
use s3ferry_testkit::journal::{MemoryJournal, route};
use s3ferry_testkit::memory::{MemoryBucket, MemoryDestination};
use s3ferry_testkit::queue::MemoryQueue;
use serde_json::{Value, json};

struct Fixture {
    source: MemoryBucket,
    destination: MemoryBucket,
    journal: MemoryJournal,
    script: FaultScript,
}

impl Fixture {
    fn new(script: FaultScript) -> Self {
        Self {
            source: MemoryBucket::versioned(),
            destination: MemoryBucket::versioned(),
            journal: MemoryJournal::default(),
            script,
        }
    }

    async fn handle(&self, payload: &Value) -> Result<ReplicatorResponse, ReplicatorError> {
        self.handle_from(None, payload).await
    }

    async fn handle_from(
        &self,
        queue: Option<&MemoryQueue>,
        payload: &Value,
    ) -> Result<ReplicatorResponse, ReplicatorError> {
        let clock = TestClock::start();
        let deadline = clock.far_future();
        let batch = BatchReconciler {
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
                    journal: self.journal.clone(),
                    route: route(),
                }),
                concurrent_parts: 4,
                clock,
                policy: Policy {
                    propagate_deletes: true,
                    ..Policy::default()
                },
            },
            continuations: queue,
            concurrency: 4,
        };
        Replicator::new(batch).handle(payload, deadline).await
    }
}

fn sample(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../events")
        .join(format!("{name}.json"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Expected result of a sample event, if the source has every object that the event names.
enum Expected {
    /// The response to a queue redelivers these messages, and these keys are copied.
    Queue(&'static [&'static str], &'static [&'static str]),
    /// A direct invocation succeeds, and these keys are copied.
    Done(&'static [&'static str]),
    /// A direct invocation fails with an error that contains this text.
    Fails(&'static str),
}

use Expected::{Done, Fails, Queue};

const SAMPLES: &[(&str, Expected)] = &[
    ("acl", Done(&["photos/2026/harbour.jpg"])),
    ("continuation-in-sqs", Queue(&[], &["hot/counter+1.json"])),
    ("copy", Done(&["archive/harbour-copy.jpg"])),
    ("crr-failure", Done(&["bulk/part-0001.parquet"])),
    ("delete-marker", Done(&[])),
    ("duplicate", Done(&["orders/42.json"])),
    ("eventbridge-created", Done(&["bridge/as it is+100%.txt"])),
    ("eventbridge-deleted", Done(&[])),
    ("eventbridge-in-sqs", Queue(&[], &["bridge/tagged object.txt"])),
    ("foreign-bucket", Fails("other-teams-bucket")),
    ("key-non-ascii", Done(&["日本/Häfen 🚢.txt"])),
    ("key-not-utf8", Fails("broken/%FF%FE.bin")),
    ("key-with-percent-signs", Done(&["growth/100% of%20plan.csv"])),
    ("key-with-plus-signs", Done(&["math/1+1=2.txt"])),
    ("key-with-spaces", Done(&["reports/annual report 2026.pdf"])),
    ("lifecycle-expiration", Done(&[])),
    ("multipart-completed", Done(&["videos/crossing.mp4"])),
    ("no-records", Done(&[])),
    ("overwrite-out-of-order", Done(&["orders/43.json"])),
    ("permanent-delete", Done(&[])),
    ("post", Done(&["uploads/form.pdf"])),
    ("put", Done(&["photos/2026/harbour.jpg"])),
    ("several-records", Done(&["batch/a.txt", "batch/b.txt"])),
    ("sns", Done(&["topic/direct.txt"])),
    ("sns-in-sqs", Queue(&[], &["topic/fan out.txt"])),
    (
        "sqs-batch-with-one-bad-body",
        Queue(
            &["2e1424d4-f796-459a-8184-9c92662be6da"],
            &["queue/first.txt", "queue/third one.txt"],
        ),
    ),
    (
        "sqs-nested-too-deep",
        Queue(&["f2d4c5e6-4444-4555-8666-c777888999aa"], &[]),
    ),
    ("tagging", Done(&["photos/2026/harbour.jpg"])),
    ("test-event", Done(&[])),
    ("unknown-event-name", Done(&["future/object.bin"])),
    ("unversioned", Done(&["plain/unversioned.txt"])),
];

/// Keys whose delete the sample events report. The destination still has them.
const DELETED: [&str; 5] = [
    "orders/41.json",
    "orders/40.json",
    "logs/2025/11/20.log",
    "batch/c.txt",
    "bridge/expired.txt",
];

fn failures(answer: &ReplicatorResponse) -> Vec<String> {
    match answer {
        ReplicatorResponse::Queue(answer) => answer
            .batch_item_failures
            .iter()
            .map(|item| item.item_identifier.clone())
            .collect(),
        ReplicatorResponse::Direct(_) => panic!("not a response to a queue: {answer:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn every_sample_event_has_the_expected_result() {
    let files = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events")).unwrap();
    // Batches are samples of the final sync, which has its own tests.
    let is_batch = |name: &str| name.starts_with("batch-operations-") || name.starts_with("distributed-map-");
    let names = files.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(
        names.filter(|name| !is_batch(name)).count(),
        SAMPLES.len(),
        "every file of events/ has an expected result"
    );
    for (name, expected) in SAMPLES {
        let fixture = Fixture::new(FaultScript::default());
        let copied = match expected {
            Queue(_, keys) | Done(keys) => *keys,
            Fails(_) => &[],
        };
        for key in copied {
            fixture.source.put(key, key);
        }
        for key in DELETED {
            fixture.destination.put(key, "left over");
        }
        let payload = sample(name);
        let answer = fixture.handle(&payload).await;
        match (expected, &answer) {
            (Queue(ids, _), Ok(answer)) => assert_eq!(failures(answer), *ids, "{name}"),
            (Done(_), Ok(ReplicatorResponse::Direct(_))) => {}
            (Fails(text), Err(error)) => assert!(error.to_string().contains(text), "{name}: {error}"),
            _ => panic!("{name}: {answer:?}"),
        }
        for key in copied {
            assert_eq!(fixture.destination.content(key).as_deref(), Some(*key), "{name}");
        }
        let text = payload.to_string();
        for key in DELETED {
            assert_eq!(
                fixture.destination.content(key).is_none(),
                text.contains(key),
                "{name}: {key}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn queue_response_has_the_format_that_lambda_reads() {
    let answer = Fixture::new(FaultScript::default())
        .handle(&sample("sqs-batch-with-one-bad-body"))
        .await
        .unwrap();
    let expected = json!({"batchItemFailures": [{"itemIdentifier": "2e1424d4-f796-459a-8184-9c92662be6da"}]});
    assert_eq!(serde_json::to_value(answer).unwrap(), expected);
    let answer = Fixture::new(FaultScript::default())
        .handle(&sample("sns-in-sqs"))
        .await
        .unwrap();
    assert_eq!(serde_json::to_value(answer).unwrap(), json!({"batchItemFailures": []}));
}

fn record(key: &str) -> Value {
    json!({
        "eventVersion": "2.1", "eventSource": "aws:s3", "eventName": "ObjectCreated:Put",
        "s3": {"bucket": {"name": "example-source"}, "object": {"key": key}}
    })
}

fn message(id: &str, body: &Value) -> Value {
    json!({"messageId": id, "eventSource": "aws:sqs", "body": body.to_string()})
}

#[tokio::test(start_paused = true)]
async fn failed_message_does_not_affect_other_messages_of_the_batch() {
    // Keys are reconciled in the order of the records, so `c-slow` is copied first.
    let script =
        FaultScript::default()
            .on(PortCall::Copy, 1, PortFault::Hangs)
            .on(PortCall::Copy, 4, PortFault::Panics);
    let fixture = Fixture::new(script);
    for key in ["a-good", "b-panics", "c-slow", "d-good"] {
        fixture.source.put(key, "content");
    }
    let payload = json!({"Records": [
        message("slow", &json!({"Records": [record("c-slow")]})),
        message("good", &json!({"Records": [record("a-good"), record("d-good")]})),
        message("mixed", &json!({"Records": [record("a-good"), record("b-panics")]})),
        message("foreign", &sample("foreign-bucket")),
        message("half", &json!({"Records": [record("a-good"), {"eventVersion": "2.1"}]})),
        {"messageId": "bad", "eventSource": "aws:sqs", "body": "<xml/>"},
        message("empty", &json!({"Records": []})),
        message("test", &sample("test-event")),
    ]});
    let answer = fixture.handle(&payload).await.unwrap();
    assert_eq!(failures(&answer), ["slow", "mixed", "foreign", "half", "bad"]);
    assert_eq!(
        fixture.destination.snapshot().into_keys().collect::<Vec<_>>(),
        ["a-good", "d-good"]
    );
}

/// Returns a message with this receive count, and with its id as the receipt handle.
fn delivered(id: &str, times: u32, body: &Value) -> Value {
    json!({
        "messageId": id, "receiptHandle": id, "eventSource": "aws:sqs", "body": body.to_string(),
        "attributes": {"ApproximateReceiveCount": times.to_string()},
    })
}

#[tokio::test(start_paused = true)]
async fn failed_messages_are_redelivered_after_a_delay_by_reason() {
    let script = FaultScript::default()
        .on(PortCall::Copy, 1, PortFault::Fails(failure(FailureKind::Permanent)))
        .on(PortCall::Copy, 3, PortFault::Hangs);
    let fixture = Fixture::new(script);
    for key in ["a-denied", "b-good", "c-slow"] {
        fixture.source.put(key, "content");
    }
    let payload = json!({"Records": [
        delivered("denied", 2, &json!({"Records": [record("a-denied")]})),
        delivered("good", 1, &json!({"Records": [record("b-good")]})),
        delivered("slow", 3, &json!({"Records": [record("c-slow"), record("a-denied")]})),
        delivered("foreign", 1, &sample("foreign-bucket")),
        delivered("bad", 4, &json!("no notification")),
        message("without-receipt", &json!({})),
    ]});
    let queue = MemoryQueue::default();
    let answer = fixture.handle_from(Some(&queue), &payload).await.unwrap();
    assert_eq!(
        failures(&answer),
        ["denied", "slow", "foreign", "bad", "without-receipt"]
    );
    let expected = [("bad", 0), ("denied", 30), ("foreign", 0), ("slow", 600)];
    let returned: Vec<(String, u64)> = queue
        .returned()
        .into_iter()
        .map(|(receipt, delay)| (receipt, delay.as_secs()))
        .collect();
    assert_eq!(
        returned,
        expected.map(|(receipt, seconds)| (receipt.to_owned(), seconds))
    );
}

#[tokio::test(start_paused = true)]
async fn failed_visibility_change_does_not_change_the_response() {
    let queue = MemoryQueue::failing(failure(FailureKind::Permanent));
    let payload = json!({"Records": [delivered("bad", 1, &json!("no notification"))]});
    let answer = Fixture::new(FaultScript::default())
        .handle_from(Some(&queue), &payload)
        .await
        .unwrap();
    assert_eq!(failures(&answer), ["bad"]);
}

#[tokio::test(start_paused = true)]
async fn direct_invocation_fails_when_any_record_is_not_done() {
    let denied = PortFault::Fails(failure(FailureKind::Permanent));
    let fixture = Fixture::new(FaultScript::default().on(PortCall::Copy, 1, denied));
    fixture.source.put("a", "content");
    fixture.source.put("b", "content");
    let error = fixture
        .handle(&json!({"Records": [record("a"), record("b")]}))
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("1 of 2 record(s) are not done: s3:Test failed on arn:aws:s3:::test"),
        "{error}"
    );
    assert_eq!(
        fixture.destination.content("b").as_deref(),
        Some("content"),
        "the other record is done"
    );
}

#[tokio::test(start_paused = true)]
async fn repeated_invocation_reads_attributes_and_uploads_of_an_interrupted_one() {
    let by_topic = json!({"Records": [{"EventSource": "aws:sns", "Sns": {
        "Message": json!({"Records": [record("a")]}).to_string(),
    }}]});
    for (title, payload, repeated) in [
        ("S3", json!({"Records": [record("a")]}), true),
        ("SNS", by_topic, true),
        (
            "first delivery",
            json!({"Records": [delivered("m", 1, &json!({"Records": [record("a")]}))]}),
            false,
        ),
        (
            "second delivery",
            json!({"Records": [delivered("m", 2, &json!({"Records": [record("a")]}))]}),
            true,
        ),
    ] {
        let fixture = Fixture::new(FaultScript::default());
        // An invocation crashed after its copy. Meanwhile the tags changed, but not their number.
        fixture.source.put("a", "content");
        fixture.source.tag("a", &[("t", "2")]);
        fixture.destination.pass_seconds(10);
        fixture.destination.put("a", "content");
        fixture.destination.tag("a", &[("t", "1")]);
        fixture.handle(&payload).await.unwrap();
        assert_eq!(
            fixture.script.count(PortCall::UpdateAttributes) > 0,
            repeated,
            "{title}: tags"
        );
        assert_eq!(
            fixture.script.count(PortCall::ListUploads) > 0,
            repeated,
            "{title}: uploads"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn keys_are_counted_once_and_test_events_not_at_all() {
    let fixture = Fixture::new(FaultScript::default());
    fixture.source.put("orders/42.json", "content");
    let answer = fixture.handle(&sample("duplicate")).await.unwrap();
    let expected = json!({
        "records": 2, "copied": 1, "attributes_updated": 0, "deleted": 0, "skipped": 0, "requeued": 0
    });
    assert_eq!(serde_json::to_value(answer).unwrap(), expected);
    for name in ["test-event", "no-records"] {
        let answer = fixture.handle(&sample(name)).await.unwrap();
        assert_eq!(serde_json::to_value(answer).unwrap()["records"], json!(0), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn changed_tags_are_counted_as_attribute_updates() {
    let fixture = Fixture::new(FaultScript::default());
    let key = "photos/2026/harbour.jpg";
    fixture.source.put(key, "content");
    fixture.handle(&sample("put")).await.unwrap();
    fixture.source.tag(key, &[("reviewed", "yes")]);
    let answer = fixture.handle(&sample("tagging")).await.unwrap();
    let expected = json!({
        "records": 1, "copied": 0, "attributes_updated": 1, "deleted": 0, "skipped": 0, "requeued": 0
    });
    assert_eq!(serde_json::to_value(answer).unwrap(), expected);
    assert_eq!(fixture.destination.snapshot(), fixture.source.snapshot());
}

#[tokio::test(start_paused = true)]
async fn failed_invocation_names_its_error() {
    let error_type = async |payload: &Value| {
        let error = Fixture::new(FaultScript::default()).handle(payload).await.unwrap_err();
        lambda_runtime::Diagnostic::from(error).error_type
    };
    assert_eq!(error_type(&sample("foreign-bucket")).await, "NotDone");
    assert_eq!(error_type(&json!({})).await, "NotANotification");
}

#[tokio::test(start_paused = true)]
async fn unknown_payload_is_a_named_error() {
    for payload in [json!({}), json!([]), json!("text"), json!(null), json!({"tasks": []})] {
        let error = Fixture::new(FaultScript::default()).handle(&payload).await.unwrap_err();
        assert!(error.to_string().starts_with("NotANotification"), "{error}");
    }
}

proptest! {
    #[test]
    fn messages_are_acknowledged_exactly_when_all_their_records_are_done(
        messages in prop::collection::vec(prop::collection::vec(0usize..4, 0..4), 1..8)
    ) {
        // Keys 0 and 1 can be copied. The records of key 2 are unreadable, those of key 3 name another bucket.
        let fixture = Fixture::new(FaultScript::default());
        let content = |key: usize| match key {
            2 => json!({"eventVersion": "9.0"}),
            3 => sample("foreign-bucket")["Records"][0].clone(),
            _ => record(&format!("key-{key}")),
        };
        for key in 0..2 {
            fixture.source.put(&format!("key-{key}"), "content");
        }
        let mut expected = BTreeMap::new();
        let records: Vec<Value> = messages.iter().enumerate().map(|(index, keys)| {
            let id = format!("m{index}");
            expected.insert(id.clone(), keys.iter().all(|key| *key < 2));
            message(&id, &json!({"Records": keys.iter().map(|key| content(*key)).collect::<Vec<_>>()}))
        }).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let answer = runtime.block_on(fixture.handle(&json!({"Records": records}))).unwrap();
        let redelivered = failures(&answer);
        for (id, done) in expected {
            prop_assert_eq!(!redelivered.contains(&id), done);
        }
    }
}
