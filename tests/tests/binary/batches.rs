//! Batches of a queue's messages: which of them fail, and what they cost.

use s3ferry_tests::deployment::SOURCE_BUCKET;
use s3ferry_tests::{event, replicator};
use serde_json::json;

use crate::{Ground, failed_ids, start};

#[tokio::test]
async fn mixed_batch_returns_exactly_the_messages_that_failed() {
    let ground = Ground::prepare().await;
    let mut function = ground.replicator(&[]).await;
    for key in ["good.txt", "second.txt", "in a topic.txt"] {
        ground.write(key).await;
    }
    let created = |key: &str| event::created(SOURCE_BUCKET, key);
    let mut not_utf8 = created("x");
    not_utf8["Records"][0]["s3"]["object"]["key"] = json!("%FF%FE.txt");
    let mut future_major = created("good.txt");
    future_major["Records"][0]["eventVersion"] = json!("3.0");
    let nested = event::topic_message(&event::topic_message(&created("good.txt")));
    let half_bad = event::notification(&[
        event::record("ObjectCreated:Put", SOURCE_BUCKET, "second.txt"),
        event::record("ObjectCreated:Put", "somebody-elses-bucket", "second.txt"),
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
            event::created("somebody-elses-bucket", "good.txt").to_string(),
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
    ground.assert_equal().await;
}

#[tokio::test]
async fn messages_of_one_key_are_one_copy_and_an_equal_object_is_none() {
    let ground = Ground::prepare().await;
    let mut function = ground.replicator(&[]).await;
    ground.write("hot.txt").await;
    let ids: Vec<String> = (0..50).map(|number| format!("message-{number}")).collect();
    let body = event::created(SOURCE_BUCKET, "hot.txt").to_string();
    let event = event::queue_batch(ids.iter().map(|id| (id.as_str(), body.clone()))).to_string();
    for _ in 0..2 {
        let answer = function.invoke(event.clone()).await.expect("answers");
        assert!(failed_ids(&answer).is_empty(), "{answer:?}");
        assert_eq!(ground.writes_of("hot.txt"), 1);
    }
    ground.assert_equal().await;
}

#[tokio::test]
async fn new_object_costs_four_requests_and_one_of_them_is_a_write() {
    let ground = Ground::prepare().await;
    let mut function = ground.replicator(&[]).await;
    ground.write("new.txt").await;
    let before = ground.emulator.requests().len();
    let event = event::queue_batch([("only", event::created(SOURCE_BUCKET, "new.txt").to_string())]);
    let answer = function.invoke(event.to_string()).await.expect("answers");
    assert!(failed_ids(&answer).is_empty(), "{answer:?}");
    let requests = ground.emulator.requests().split_off(before);
    assert!(requests.len() <= 4, "{requests:?}");
    assert_eq!(ground.writes_of("new.txt"), 1, "{requests:?}");
}

#[tokio::test]
async fn batch_larger_than_the_limit_of_concurrent_copies_is_copied_whole() {
    let ground = Ground::prepare().await;
    let mut function = ground.replicator(&[("MAX_CONCURRENT_COPIES", "3")]).await;
    let keys: Vec<String> = (0..100).map(|number| format!("many/{number:03}")).collect();
    for key in &keys {
        ground.write(key).await;
    }
    let messages = keys
        .iter()
        .map(|key| (key.as_str(), event::created(SOURCE_BUCKET, key).to_string()));
    let answer = function
        .invoke(event::queue_batch(messages).to_string())
        .await
        .expect("answers");
    assert!(failed_ids(&answer).is_empty(), "{answer:?}");
    ground.assert_equal().await;
}

#[tokio::test]
async fn missing_destination_bucket_acknowledges_nothing() {
    let ground = Ground::prepare().await;
    ground.write("a.txt").await;
    let environment = replicator::environment(&ground.emulator, SOURCE_BUCKET, "no-such-bucket", &[]);
    let mut function = start(&environment).await.expect("starts");
    let event = event::queue_batch([("only", event::created(SOURCE_BUCKET, "a.txt").to_string())]);
    let answer = function.invoke(event.to_string()).await.expect("answers");
    assert_eq!(failed_ids(&answer), ["only"]);
    assert!(function.log().expect("log").contains("no-such-bucket"));
}
