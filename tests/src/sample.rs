//! Objects that a sample event names, written so that the event can be replayed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use s3ferry_core::batch_operations::{FinalSyncRequest, TaskTarget, parse_request};
use s3ferry_core::event::{EventMessage, KeyHint, Payload, parse_payload};
use serde_json::Value;

use crate::Result;
use crate::bucket::TestBucket;
use crate::upload::TestUpload;

/// Side on which an object was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SampleSide {
    /// Source, because the event reports a write or a change.
    Source,
    /// Destination only, because the event reports a delete that is to be propagated.
    Destination,
}

impl fmt::Display for SampleSide {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Source => "source",
            Self::Destination => "destination",
        })
    }
}

/// Writes every object of the source bucket that the event names. Returns their keys and sides.
pub async fn seed(source: &TestBucket, destination: &TestBucket, event: &str) -> Result<BTreeMap<String, SampleSide>> {
    let hints: Vec<KeyHint> = hints(event)
        .into_iter()
        .filter(|hint| hint.bucket.as_str() == source.name)
        .collect();
    let key = |hint: &KeyHint| hint.key.as_str().to_owned();
    let deleted: BTreeSet<String> = hints
        .iter()
        .filter(|hint| is_removal(&hint.event_name))
        .map(key)
        .collect();
    let mut seeded = BTreeMap::new();
    for key in hints.iter().map(key).collect::<BTreeSet<String>>() {
        let (bucket, side) = if deleted.contains(&key) {
            (destination, SampleSide::Destination)
        } else {
            (source, SampleSide::Source)
        };
        TestUpload::new(key.clone(), format!("sample body of {key}"))
            .write(bucket)
            .await?;
        seeded.insert(key, side);
    }
    Ok(seeded)
}

/// Writes every object of the source bucket that the batch names. Returns their keys.
pub async fn seed_batch(source: &TestBucket, batch: &str) -> Result<BTreeSet<String>> {
    let payload: Value = serde_json::from_str(batch).unwrap_or_default();
    let targets: Vec<TaskTarget> = match parse_request(&payload) {
        Ok(FinalSyncRequest::Job(job)) => job.tasks.into_iter().filter_map(|task| task.target.ok()).collect(),
        Ok(FinalSyncRequest::Map(batch)) => batch.items.into_iter().filter_map(|item| item.target.ok()).collect(),
        _ => Vec::new(),
    };
    let own_targets = targets
        .into_iter()
        .filter(|target| target.bucket.as_str() == source.name);
    let keys: BTreeSet<String> = own_targets
        .flat_map(|target| target.keys)
        .map(|key| key.as_str().to_owned())
        .collect();
    for key in &keys {
        TestUpload::new(key.clone(), format!("sample body of {key}"))
            .write(source)
            .await?;
    }
    Ok(keys)
}

/// Returns the hints of all readable records of the event. The function itself reports the others.
fn hints(event: &str) -> Vec<KeyHint> {
    // A text that is not JSON names no object.
    let payload: Value = serde_json::from_str(event).unwrap_or_default();
    let messages: Vec<EventMessage> = match parse_payload(&payload) {
        Ok(Payload::Queue(messages)) => messages
            .into_iter()
            .filter_map(|message| message.message.ok())
            .collect(),
        Ok(Payload::Direct(messages)) => messages.into_iter().filter_map(std::result::Result::ok).collect(),
        Err(_) => Vec::new(),
    };
    let records = messages.into_iter().filter_map(|message| match message {
        EventMessage::Records(records) => Some(records),
        EventMessage::TestEvent => None,
    });
    records.flatten().filter_map(std::result::Result::ok).collect()
}

/// Returns whether an event of S3 or `EventBridge` reports that the object was removed, and not tags or an annotation.
fn is_removal(event_name: &str) -> bool {
    event_name.starts_with("ObjectRemoved:")
        || event_name.starts_with("LifecycleExpiration:")
        || event_name == "Object Deleted"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event;

    #[test]
    fn keys_are_found_in_every_envelope() {
        let keys = |event: &Value| -> Vec<String> {
            hints(&event.to_string())
                .iter()
                .map(|hint| hint.key.as_str().to_owned())
                .collect()
        };
        let classic = event::created("bucket", "a b+c.txt");
        let topic = event::topic_message(&classic);
        for event in [
            classic.clone(),
            event::topic_invocation(&classic),
            event::bridge_event("Object Created", "bucket", "a b+c.txt"),
            event::queue_batch([("id", classic.to_string()), ("bad", "{".to_owned())]),
            event::queue_batch([("id", topic.to_string())]),
        ] {
            assert_eq!(keys(&event), ["a b+c.txt"], "{event}");
        }
    }

    #[test]
    fn tag_removal_is_not_an_object_removal() {
        assert!(is_removal("ObjectRemoved:Delete") && is_removal("LifecycleExpiration:Delete"));
        assert!(is_removal("Object Deleted"));
        assert!(!is_removal("ObjectTagging:Delete") && !is_removal("Object Tags Deleted"));
    }
}
