//! The queue: messages that come at least once, in any order, and again when they were not acknowledged.

use std::time::Duration;

use s3ferry_core::event::{ContinuationHops, KeyHint};
use s3ferry_core::facts::{Attribute, AttributeSet};
use s3ferry_core::names::{BucketName, ObjectKey};
use s3ferry_core::time::Timestamp;

/// For how long the queue hides a message that was received: longer than an invocation and its requests live.
pub(crate) const VISIBILITY: Duration = Duration::from_hours(1);

#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) id: u32,
    pub(crate) hint: KeyHint,
    pub(crate) visible: Timestamp,
    pub(crate) receives: u32,
    /// The queue delivered it once more while somebody had it.
    pub(crate) duplicated: bool,
    /// An item of a sync rather than a message of the queue: it has no continuation.
    pub(crate) of_sweep: bool,
}

impl Message {
    pub(crate) fn new(id: u32, hint: KeyHint, visible: Timestamp) -> Self {
        Self {
            id,
            hint,
            visible,
            receives: 0,
            duplicated: false,
            of_sweep: false,
        }
    }
}

pub(crate) fn source_bucket() -> BucketName {
    BucketName::new("source").unwrap()
}

pub(crate) fn hint(key: &ObjectKey, event_name: &str, attributes: AttributeSet) -> KeyHint {
    KeyHint {
        bucket: source_bucket(),
        key: key.clone(),
        event_name: event_name.to_owned(),
        attributes,
        sequencer: None,
        hops: ContinuationHops::default(),
    }
}

pub(crate) fn tags() -> AttributeSet {
    AttributeSet::from([Attribute::Tags])
}

pub(crate) fn annotations() -> AttributeSet {
    AttributeSet::from([Attribute::Annotations])
}
