//! Events in every envelope, one at a time.

use s3ferry_tests::compare::{differences_of, summary};
use s3ferry_tests::deployment::SOURCE_BUCKET;
use s3ferry_tests::workload::{odd_keys, rich_objects};
use s3ferry_tests::{event, sample, tools};
use serde_json::{Value, json};

use crate::{Fixture, failed_ids, is_error};

/// Sample events that must fail as direct invocations.
const MUST_FAIL: [&str; 2] = ["foreign-bucket", "key-not-utf8"];

/// Returns an event for a key in one envelope.
type Envelope = fn(&str) -> Value;

#[tokio::test]
async fn event_in_every_envelope_copies_its_object() {
    let fixture = Fixture::prepare().await;
    let mut function = fixture.replicator(&[]).await;
    let queued = |body: &Value| event::queue_batch([("only", body.to_string())]);
    let envelopes: [(&str, Envelope); 8] = [
        ("classic", |key| event::created(SOURCE_BUCKET, key)),
        ("several records", |key| {
            let record = |name| event::record(name, SOURCE_BUCKET, key);
            event::notification(&[
                record("ObjectCreated:Copy"),
                record("ObjectCreated:CompleteMultipartUpload"),
            ])
        }),
        ("topic", |key| {
            event::topic_invocation(&event::created(SOURCE_BUCKET, key))
        }),
        ("EventBridge", |key| {
            event::bridge_event("Object Created", SOURCE_BUCKET, key)
        }),
        ("CRR failure", |key| {
            event::notification(&[event::record(
                "Replication:OperationFailedReplication",
                SOURCE_BUCKET,
                key,
            )])
        }),
        ("unknown event name", |key| {
            event::notification(&[event::record("ObjectCreated:Beam", SOURCE_BUCKET, key)])
        }),
        ("topic message", |key| {
            event::topic_message(&event::created(SOURCE_BUCKET, key))
        }),
        ("event name with s3: prefix", |key| {
            event::notification(&[event::record("s3:ObjectCreated:Put", SOURCE_BUCKET, key)])
        }),
    ];
    for (name, envelope) in envelopes {
        for is_queued in [false, true] {
            let key = format!("{name}/{is_queued}/a b+c%20%ü/日.txt");
            fixture.write(&key).await;
            let event = envelope(&key);
            // An invocation by a topic is never in a queue.
            if is_queued && name == "topic" {
                continue;
            }
            let event = if is_queued { queued(&event) } else { event };
            let answer = function.invoke(event.to_string()).await.expect(name);
            assert!(!is_error(&answer), "{name}: {answer:?}");
            if is_queued {
                assert!(failed_ids(&answer).is_empty(), "{name}: {answer:?}");
            }
            assert!(
                fixture.is_at_destination(&key).await,
                "{name}, queued: {is_queued}: {}",
                function.log().expect("log")
            );
        }
    }
}

#[tokio::test]
async fn test_event_and_notification_without_records_copy_nothing() {
    let fixture = Fixture::prepare().await;
    let mut function = fixture.replicator(&[]).await;
    for event in [event::test_event(SOURCE_BUCKET), event::notification(&[])] {
        let answer = function.invoke(event.to_string()).await.expect("answers");
        assert!(!is_error(&answer), "{answer:?}");
        let answer = function
            .invoke(event::queue_batch([("only", event.to_string())]).to_string())
            .await;
        assert_eq!(failed_ids(&answer.expect("answers")), Vec::<String>::new());
    }
    assert!(fixture.destination.list("").await.expect("listing").is_empty());
}

#[tokio::test]
async fn whole_workload_is_copied_with_every_attribute() {
    let fixture = Fixture::prepare().await;
    let mut function = fixture.replicator(&[]).await;
    // Keys that begin with a slash are tested too, because there is no prefix.
    for case in odd_keys("").into_iter().chain(odd_keys("/")).chain(rich_objects("")) {
        case.upload.write(&fixture.source).await.expect(case.title);
        let event = event::queue_batch([("only", event::created(SOURCE_BUCKET, &case.upload.key).to_string())]);
        let answer = function.invoke(event.to_string()).await.expect(case.title);
        assert!(
            failed_ids(&answer).is_empty(),
            "{}: {}",
            case.title,
            function.log().expect("log")
        );
    }
    fixture.assert_equal().await;
}

#[tokio::test]
async fn failed_direct_invocation_is_an_error() {
    let fixture = Fixture::prepare().await;
    let mut function = fixture.replicator(&[]).await;
    let nested = event::topic_message(&event::topic_message(&event::created(SOURCE_BUCKET, "x")));
    let events = [
        ("another bucket", event::created("other-teams-bucket", "x")),
        (
            "another bucket, in a topic",
            event::topic_invocation(&event::created("other-teams-bucket", "x")),
        ),
        (
            "another bucket, EventBridge",
            event::bridge_event("Object Created", "other-teams-bucket", "x"),
        ),
        ("no notification", json!({ "hello": "world" })),
        ("nothing", json!(null)),
        ("nested too deep", nested),
    ];
    for (name, event) in events {
        let answer = function.invoke(event.to_string()).await.expect(name);
        assert!(is_error(&answer), "{name}: {answer:?}");
    }
    // Later invocations succeed.
    fixture.write("after.txt").await;
    let answer = function
        .invoke(event::created(SOURCE_BUCKET, "after.txt").to_string())
        .await
        .expect("answers");
    assert!(!is_error(&answer), "{answer:?}");
    fixture.assert_equal().await;
}

#[tokio::test]
async fn every_sample_event_makes_its_keys_equal() {
    let fixture = Fixture::prepare().await;
    let mut function = fixture.replicator(&[("PROPAGATE_DELETES", "true")]).await;
    let samples = tools::sample_events().expect("events/");
    assert!(!samples.is_empty());
    for path in samples {
        let event = std::fs::read_to_string(&path).expect("readable");
        let seeded = sample::seed(&fixture.source, &fixture.destination, &event)
            .await
            .expect("seeded");
        let answer = function.invoke(event).await.expect("answers");
        let must_fail = MUST_FAIL
            .iter()
            .any(|name| path.file_stem().is_some_and(|stem| stem == *name));
        assert_eq!(is_error(&answer), must_fail, "{}: {answer:?}", path.display());
        let found = differences_of(&fixture.source, &fixture.destination, seeded.into_keys())
            .await
            .expect("comparison");
        assert!(found.is_empty(), "{}: {}", path.display(), summary(&found));
        fixture.source.empty().await.expect("empties");
        fixture.destination.empty().await.expect("empties");
    }
}
