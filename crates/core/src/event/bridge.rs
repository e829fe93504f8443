//! S3 events from `EventBridge`. Their keys are not URL-encoded.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html>

use serde_json::Value;

use super::{ContinuationHops, EventError, KeyHint, Sequencer, attributes_of, shortened, text, time};
use crate::names::{BucketName, ObjectKey};

/// Parses an event.
pub(super) fn parse_event(event: &Value) -> Result<KeyHint, EventError> {
    let source_name = text(event, "/source", "source")?;
    if source_name != "aws.s3" {
        return Err(EventError::Source {
            source_name: shortened(source_name),
        });
    }
    let event_name = text(event, "/detail-type", "detail-type")?;
    let bucket = text(event, "/detail/bucket/name", "detail.bucket.name")?;
    let key = text(event, "/detail/object/key", "detail.object.key")?;
    let sequencer = event.pointer("/detail/object/sequencer").and_then(Value::as_str);
    Ok(KeyHint {
        bucket: BucketName::new(bucket)?,
        key: ObjectKey::from_raw(key)?,
        event_name: shortened(event_name),
        attributes: attributes_of(event_name),
        sequencer: sequencer.and_then(Sequencer::bridge),
        hops: ContinuationHops::default(),
        event_time: time(event, "/time"),
    })
}
