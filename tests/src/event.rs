//! S3 events in every envelope in which AWS delivers them.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use crate::{ACCOUNT_ID, SOURCE_REGION};

/// Characters that S3 does not encode in a notification's key. A space becomes `+`.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html>
const NOT_ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'*')
    .remove(b' ');

/// Returns a record of an S3 notification. `event_name` has no `s3:` prefix, as in S3's records.
#[must_use]
pub fn record(event_name: &str, bucket: &str, key: &str) -> Value {
    json!({
        "eventVersion": "2.6",
        "eventSource": "aws:s3",
        "awsRegion": SOURCE_REGION,
        "eventTime": "2026-11-01T12:00:00.000Z",
        "eventName": event_name,
        "userIdentity": { "principalId": ACCOUNT_ID },
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "s3ferry",
            "bucket": { "name": bucket, "arn": format!("arn:aws:s3:::{bucket}") },
            "object": { "key": form_encoded(key), "size": 1, "eTag": "e", "sequencer": "0055AED6DCD90281E5" },
        },
    })
}

/// Returns a notification with these records.
#[must_use]
pub fn notification(records: &[Value]) -> Value {
    json!({ "Records": records })
}

/// Returns a notification of a write.
#[must_use]
pub fn created(bucket: &str, key: &str) -> Value {
    notification(&[record("ObjectCreated:Put", bucket, key)])
}

/// Returns a notification of a delete.
#[must_use]
pub fn removed(bucket: &str, key: &str) -> Value {
    notification(&[record("ObjectRemoved:DeleteMarkerCreated", bucket, key)])
}

/// Returns the test event that S3 sends when a notification is configured.
#[must_use]
pub fn test_event(bucket: &str) -> Value {
    json!({
        "Service": "Amazon S3",
        "Event": "s3:TestEvent",
        "Time": "2026-11-01T12:00:00.000Z",
        "Bucket": bucket,
        "RequestId": "5582815E1AEA5ADF",
        "HostId": "host",
    })
}

/// Returns an `EventBridge` event. Its key is not encoded.
#[must_use]
pub fn bridge_event(detail_type: &str, bucket: &str, key: &str) -> Value {
    json!({
        "version": "0",
        "id": "17793124-05d4-b198-2fde-7ededc63b103",
        "detail-type": detail_type,
        "source": "aws.s3",
        "account": ACCOUNT_ID,
        "time": "2026-11-01T12:00:00Z",
        "region": SOURCE_REGION,
        "resources": [format!("arn:aws:s3:::{bucket}")],
        "detail": {
            "version": "0",
            "bucket": { "name": bucket },
            "object": { "key": key, "size": 1, "etag": "e", "sequencer": "617f08299329d189" },
            "request-id": "N4N7GDK58NMKJ12R",
            "requester": ACCOUNT_ID,
            "reason": "PutObject",
        },
    })
}

/// Returns a notification as an SNS topic sends it to a queue.
#[must_use]
pub fn topic_message(message: &Value) -> Value {
    json!({
        "Type": "Notification",
        "MessageId": "da41e39f-ea4d-435a-b922-c6aae3915ebe",
        "TopicArn": format!("arn:aws:sns:{SOURCE_REGION}:{ACCOUNT_ID}:topic"),
        "Subject": "Amazon S3 Notification",
        "Message": message.to_string(),
        "Timestamp": "2026-11-01T12:00:00.000Z",
    })
}

/// Returns a notification as an SNS topic sends it to a function.
#[must_use]
pub fn topic_invocation(message: &Value) -> Value {
    json!({
        "Records": [{
            "EventSource": "aws:sns",
            "EventVersion": "1.0",
            "EventSubscriptionArn": format!("arn:aws:sns:{SOURCE_REGION}:{ACCOUNT_ID}:topic:subscription"),
            "Sns": topic_message(message),
        }],
    })
}

/// Returns an invocation with a batch of queue messages, each with its id and body.
#[must_use]
pub fn queue_batch<'m>(messages: impl IntoIterator<Item = (&'m str, String)>) -> Value {
    let message = |(id, body): (&str, String)| {
        json!({
            "messageId": id,
            "receiptHandle": format!("receipt-{id}"),
            "body": body,
            "attributes": {
                "ApproximateReceiveCount": "1",
                "SentTimestamp": "1762000000000",
                "SenderId": ACCOUNT_ID,
                "ApproximateFirstReceiveTimestamp": "1762000000001",
            },
            "messageAttributes": {},
            "md5OfBody": "00000000000000000000000000000000",
            "eventSource": "aws:sqs",
            "eventSourceARN": format!("arn:aws:sqs:{SOURCE_REGION}:{ACCOUNT_ID}:replication"),
            "awsRegion": SOURCE_REGION,
        })
    };
    json!({ "Records": messages.into_iter().map(message).collect::<Vec<_>>() })
}

fn form_encoded(key: &str) -> String {
    utf8_percent_encode(key, NOT_ENCODED).to_string().replace(' ', "+")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_is_encoded_as_s3_does() {
        // Observed in an event of a real key.
        assert_eq!(
            form_encoded("pre/a b+c%20%ü/日.txt"),
            "pre/a+b%2Bc%2520%25%C3%BC/%E6%97%A5.txt"
        );
    }
}
