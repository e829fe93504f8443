//! Continuations, and the redelivery of failed messages.

use std::time::Duration;

use s3ferry_aws::queue::SqsContinuations;
use s3ferry_core::event::{Continuation, Payload, ReceiptHandle, parse_payload};
use s3ferry_core::facts::AttributeSet;
use s3ferry_core::failure::FailureKind;
use s3ferry_engine::ports::{Continuations as _, Redelivery as _};

use crate::recorded::{Recorded, answer, assert_failure, bucket, key};

#[tokio::test]
async fn continuation_is_sent_with_its_delay() {
    let recorded = Recorded::new([answer(200, &[], "{\"MessageId\":\"m\",\"MD5OfMessageBody\":\"x\"}")]);
    let url = "https://sqs.us-east-1.amazonaws.com/123456789012/queue";
    let queue = SqsContinuations::new(recorded.clients.sqs(), url.to_owned());
    let continuation = Continuation::new(&bucket("source-bucket"), &key(), AttributeSet::new(), "hot-key");
    // The SDK compares the body's digest in the response; a mismatch is an error, and the message is not acknowledged.
    let sent = queue.send(&continuation, Duration::from_secs(30)).await;
    let body = recorded
        .http
        .actual_requests()
        .next()
        .map(|request| request.body().bytes().unwrap().to_vec())
        .unwrap();
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(
        (body["DelaySeconds"].as_i64(), body["QueueUrl"].as_str()),
        (Some(30), Some(url))
    );
    assert_eq!(body["MessageBody"].as_str().unwrap(), continuation.to_body().unwrap());
    drop(sent);
}

#[tokio::test]
async fn refused_continuation_is_a_failure() {
    let denied = answer(
        400,
        &[],
        "{\"__type\":\"com.amazonaws.sqs#AccessDeniedException\",\"message\":\"no\"}",
    );
    let recorded = Recorded::new([denied]);
    let queue = SqsContinuations::new(recorded.clients.sqs(), "https://sqs.test/q".to_owned());
    let continuation = Continuation::new(&bucket("source-bucket"), &key(), AttributeSet::new(), "hot-key");
    let failure = queue.send(&continuation, Duration::ZERO).await.unwrap_err();
    assert_failure(
        &failure,
        FailureKind::Permanent,
        &["sqs:SendMessage", "https://sqs.test/q"],
    );
}

/// Returns a receipt handle, parsed from the payload of an invocation.
fn receipt() -> ReceiptHandle {
    let payload = serde_json::json!({"Records": [
        {"messageId": "m", "receiptHandle": "receipt", "eventSource": "aws:sqs", "body": "{}"}
    ]});
    match parse_payload(&payload) {
        Ok(Payload::Queue(mut messages)) => messages.remove(0).receipt.unwrap(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn failed_message_gets_its_redelivery_delay() {
    let recorded = Recorded::new([answer(200, &[], "")]);
    let queue = SqsContinuations::new(recorded.clients.sqs(), "https://sqs.test/q".to_owned());
    queue
        .set_visibility_timeout(&receipt(), Duration::from_millis(1_500))
        .await
        .unwrap();
    let body = recorded
        .http
        .actual_requests()
        .next()
        .map(|request| request.body().bytes().unwrap().to_vec())
        .unwrap();
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(
        body,
        serde_json::json!({"QueueUrl": "https://sqs.test/q", "ReceiptHandle": "receipt", "VisibilityTimeout": 2})
    );
}
