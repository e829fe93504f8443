//! Batches of queue messages: failed messages, and number of requests.

use s3ferry_tests::deployment::SOURCE_BUCKET;
use s3ferry_tests::{event, replicator};
use serde_json::json;

use crate::{Fixture, failed_ids, start};

#[tokio::test]
async fn mixed_batch_returns_exactly_the_messages_that_failed() {
    let fixture = Fixture::prepare().await;
    let mut function = fixture.replicator(&[]).await;
    for key in ["good.txt", "second.txt", "in a topic.txt"] {
        fixture.write(key).await;
    }
    let created = |key: &str| event::created(SOURCE_BUCKET, key);
    let mut not_utf8 = created("x");
    not_utf8["Records"][0]["s3"]["object"]["key"] = json!("%FF%FE.txt");
    let mut future_major = created("good.txt");
    future_major["Records"][0]["eventVersion"] = json!("3.0");
    let nested = event::topic_message(&event::topic_message(&created("good.txt")));
    let half_bad = event::notification(&[
        event::record("ObjectCreated:Put", SOURCE_BUCKET, "second.txt"),
        event::record("ObjectCreated:Put", "other-teams-bucket", "second.txt"),
    ]);
    let batch = [
        ("good", created("good.txt").to_string()),
        ("good-again", created("good.txt").to_string()),
        ("topic", event::topic_message(&created("in a topic.txt")).to_string()),
        ("test", event::test_event(SOURCE_BUCKET).to_string()),
        ("gone", created("never written.txt").to_string()),
        ("bad-text", "this is not JSON".to_owned()),
        ("bad-empty", String::new()),
        ("bad-json", json!({ "hello": "world" }).to_string()),
        (
            "bad-bucket",
            event::created("other-teams-bucket", "good.txt").to_string(),
        ),
        ("bad-utf8", not_utf8.to_string()),
        ("bad-version", future_major.to_string()),
        ("bad-nesting", nested.to_string()),
        ("bad-half", half_bad.to_string()),
        ("bad-large", "x".repeat(1_000_000)),
    ];
    let bad: Vec<&str> = batch
        .iter()
        .map(|(id, _)| *id)
        .filter(|id| id.starts_with("bad-"))
        .collect();
    let mut expected: Vec<String> = bad.into_iter().map(str::to_owned).collect();
    expected.sort();
    let event = event::queue_batch(batch);
    let answer = function.invoke(event.to_string()).await.expect("answers");
    assert_eq!(failed_ids(&answer), expected, "{}", function.log().expect("log"));
    fixture.assert_equal().await;
}

#[tokio::test]
async fn several_messages_of_one_key_cause_one_copy_and_an_equal_object_none() {
    let fixture = Fixture::prepare().await;
    let mut function = fixture.replicator(&[]).await;
    fixture.write("hot.txt").await;
    let ids: Vec<String> = (0..50).map(|number| format!("message-{number}")).collect();
    let body = event::created(SOURCE_BUCKET, "hot.txt").to_string();
    let event = event::queue_batch(ids.iter().map(|id| (id.as_str(), body.clone()))).to_string();
    for _ in 0..2 {
        let answer = function.invoke(event.clone()).await.expect("answers");
        assert!(failed_ids(&answer).is_empty(), "{answer:?}");
        assert_eq!(fixture.writes_of("hot.txt"), 1);
    }
    fixture.assert_equal().await;
}

#[tokio::test]
async fn new_object_needs_four_requests_one_of_them_a_write() {
    let fixture = Fixture::prepare().await;
    let mut function = fixture.replicator(&[]).await;
    fixture.write("new.txt").await;
    let before = fixture.emulator.requests().len();
    let event = event::queue_batch([("only", event::created(SOURCE_BUCKET, "new.txt").to_string())]);
    let answer = function.invoke(event.to_string()).await.expect("answers");
    assert!(failed_ids(&answer).is_empty(), "{answer:?}");
    let requests = fixture.emulator.requests().split_off(before);
    assert!(requests.len() <= 4, "{requests:?}");
    assert_eq!(fixture.writes_of("new.txt"), 1, "{requests:?}");
}

#[tokio::test]
async fn batch_larger_than_the_limit_of_concurrent_copies_is_copied_completely() {
    let fixture = Fixture::prepare().await;
    let mut function = fixture.replicator(&[("MAX_CONCURRENT_COPIES", "3")]).await;
    let keys: Vec<String> = (0..100).map(|number| format!("many/{number:03}")).collect();
    for key in &keys {
        fixture.write(key).await;
    }
    let messages = keys
        .iter()
        .map(|key| (key.as_str(), event::created(SOURCE_BUCKET, key).to_string()));
    let answer = function
        .invoke(event::queue_batch(messages).to_string())
        .await
        .expect("answers");
    assert!(failed_ids(&answer).is_empty(), "{answer:?}");
    fixture.assert_equal().await;
}

#[tokio::test]
async fn missing_destination_bucket_acknowledges_nothing() {
    let fixture = Fixture::prepare().await;
    fixture.write("a.txt").await;
    let environment = replicator::environment(&fixture.emulator, SOURCE_BUCKET, "no-such-bucket", &[]);
    let mut function = start(&environment).await.expect("starts");
    let event = event::queue_batch([("only", event::created(SOURCE_BUCKET, "a.txt").to_string())]);
    let answer = function.invoke(event.to_string()).await.expect("answers");
    assert_eq!(failed_ids(&answer), ["only"]);
    assert!(function.log().expect("log").contains("no-such-bucket"));
}
