//! Continuations: messages that s3ferry sends to its own queue to reconcile a key again.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::{EventError, KeyHint};
use crate::facts::AttributeSet;
use crate::names::{BucketName, ObjectKey};
use crate::time::Timestamp;

/// Event name of a continuation.
const EVENT_NAME: &str = "s3ferry:Continuation";

/// Maximum number of consecutive continuations without progress. Without this limit Lambda would stop the chain after
/// 16 invocations and name no reason, unless recursive loops are allowed.
///
/// <https://docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html>
pub const MAX_IDLE_HOPS: u32 = 8;

/// Length of a chain of continuations, of which each causes the invocation that sends the next one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ContinuationHops {
    /// Number of latest consecutive continuations without progress.
    #[serde(default, rename = "idle_hops")]
    pub idle: u32,
    /// Number of continuations.
    #[serde(default, rename = "hops")]
    pub total: u32,
}

impl ContinuationHops {
    /// Counts one more continuation. Returns `None` if the chain ends because it makes no progress.
    #[must_use]
    pub fn next(self, progress: bool) -> Option<Self> {
        let idle = if progress { 0 } else { self.idle.saturating_add(1) };
        let total = self.total.saturating_add(1);
        (idle <= MAX_IDLE_HOPS).then_some(Self { idle, total })
    }
}

/// Request for one more reconcile of a key, with its reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Continuation {
    /// Source bucket.
    pub bucket: String,
    /// Object key, decoded.
    pub key: String,
    /// Attributes that must be read.
    #[serde(default, deserialize_with = "known_attributes")]
    pub attributes: AttributeSet,
    /// Reason of the reconcile.
    pub reason: String,
    /// Number of continuations in the chain, including this one.
    #[serde(flatten)]
    pub hops: ContinuationHops,
    /// Time of the event that the chain began with, in milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_time: Option<Timestamp>,
}

#[derive(Serialize, Deserialize)]
struct Body {
    s3ferry: Continuation,
}

impl Continuation {
    /// Returns a continuation for `key`.
    #[must_use]
    pub fn new(bucket: &BucketName, key: &ObjectKey, attributes: AttributeSet, reason: &str) -> Self {
        Self {
            bucket: bucket.to_string(),
            key: key.to_string(),
            attributes,
            reason: reason.to_owned(),
            hops: ContinuationHops::default(),
            event_time: None,
        }
    }

    /// Sets the time of the event that the chain began with.
    #[must_use]
    pub fn since(self, event_time: Option<Timestamp>) -> Self {
        Self { event_time, ..self }
    }

    /// Sets the number of continuations in the chain.
    #[must_use]
    pub fn after(self, hops: ContinuationHops) -> Self {
        Self { hops, ..self }
    }

    /// Serializes the body of the SQS message.
    pub fn to_body(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(&Body { s3ferry: self.clone() })
    }
}

/// Reads the attributes that this version of s3ferry knows. The queue may contain continuations of another version.
fn known_attributes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<AttributeSet, D::Error> {
    let named = Vec::<Value>::deserialize(deserializer)?;
    let known = named.into_iter().filter_map(|name| serde_json::from_value(name).ok());
    Ok(known.collect())
}

/// Parses the body of a continuation.
pub(super) fn parse_continuation(body: &Value) -> Result<KeyHint, EventError> {
    let body = Body::deserialize(body).map_err(|_| EventError::Field {
        field: "s3ferry",
        expected: "a continuation with bucket, key, attributes and reason",
    })?;
    Ok(KeyHint {
        bucket: BucketName::new(body.s3ferry.bucket)?,
        key: ObjectKey::from_raw(body.s3ferry.key)?,
        event_name: EVENT_NAME.to_owned(),
        attributes: body.s3ferry.attributes,
        sequencer: None,
        hops: body.s3ferry.hops,
        event_time: body.s3ferry.event_time,
    })
}
