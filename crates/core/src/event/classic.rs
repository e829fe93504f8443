//! Records of S3 event notifications.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html>

use serde_json::Value;

use super::{ContinuationHops, EventError, KeyHint, Sequencer, attributes_of, shortened, text, time};
use crate::names::{BucketName, ObjectKey};

/// Parses a record.
pub(super) fn parse_record(record: &Value) -> Result<KeyHint, EventError> {
    check_source(record)?;
    check_version(record)?;
    let event_name = text(record, "/eventName", "eventName")?;
    let event_name = event_name.strip_prefix("s3:").unwrap_or(event_name);
    let bucket = text(record, "/s3/bucket/name", "s3.bucket.name")?;
    let key = text(record, "/s3/object/key", "s3.object.key")?;
    let sequencer = record.pointer("/s3/object/sequencer").and_then(Value::as_str);
    Ok(KeyHint {
        bucket: BucketName::new(bucket)?,
        key: ObjectKey::from_notification(key)?,
        event_name: shortened(event_name),
        attributes: attributes_of(event_name),
        sequencer: sequencer.and_then(Sequencer::classic),
        hops: ContinuationHops::default(),
        event_time: time(record, "/eventTime"),
    })
}

fn check_source(record: &Value) -> Result<(), EventError> {
    match record.get("eventSource").and_then(Value::as_str) {
        Some("aws:s3") | None => Ok(()),
        Some(other) => Err(EventError::Source {
            source_name: shortened(other),
        }),
    }
}

/// Checks the version of a record. Minor versions only add fields, a major version may change existing ones.
fn check_version(record: &Value) -> Result<(), EventError> {
    let version = text(record, "/eventVersion", "eventVersion")?;
    if version == "2" || version.starts_with("2.") {
        return Ok(());
    }
    Err(EventError::EventVersion {
        version: shortened(version),
    })
}
