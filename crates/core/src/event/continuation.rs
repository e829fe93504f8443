//! A message of ours to ourselves: a key that must be looked at again.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::{EventError, KeyHint};
use crate::facts::AttributeSet;
use crate::names::{BucketName, ObjectKey};

/// The name of the event that a continuation stands for.
const EVENT_NAME: &str = "s3ferry:Continuation";

/// How many continuations in a row may follow each other without progress: Lambda itself would stop the chain after 16,
/// without a name, where it is not told to let it be.
///
/// <https://docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html>
pub const MAX_IDLE_HOPS: u32 = 8;

/// How long a chain of continuations is: each is sent by the invocation that the one before brought about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ContinuationHops {
    /// How many continuations in a row, up to the last one, came without progress.
    #[serde(default, rename = "idle_hops")]
    pub idle: u32,
    /// How many continuations there were.
    #[serde(default, rename = "hops")]
    pub total: u32,
}

impl ContinuationHops {
    /// Counts one more continuation; `None` where the chain has to end for want of progress.
    #[must_use]
    pub fn next(self, progress: bool) -> Option<Self> {
        let idle = if progress { 0 } else { self.idle.saturating_add(1) };
        let total = self.total.saturating_add(1);
        (idle <= MAX_IDLE_HOPS).then_some(Self { idle, total })
    }
}

/// Asks for one more reconcile of a key, with what is known of why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Continuation {
    /// The source bucket.
    pub bucket: String,
    /// The key, as it is.
    pub key: String,
    /// Aspects that must be read.
    #[serde(default, deserialize_with = "known_attributes")]
    pub attributes: AttributeSet,
    /// Why the key comes again.
    pub reason: String,
    /// How many continuations led here, this one included.
    #[serde(flatten)]
    pub hops: ContinuationHops,
}

#[derive(Serialize, Deserialize)]
struct Body {
    s3ferry: Continuation,
}

impl Continuation {
    /// Asks for `key` once more.
    #[must_use]
    pub fn new(bucket: &BucketName, key: &ObjectKey, attributes: AttributeSet, reason: &str) -> Self {
        Self {
            bucket: bucket.to_string(),
            key: key.to_string(),
            attributes,
            reason: reason.to_owned(),
            hops: ContinuationHops::default(),
        }
    }

    /// Says how many continuations led here.
    #[must_use]
    pub fn after(self, hops: ContinuationHops) -> Self {
        Self { hops, ..self }
    }

    /// Spells the body of the queue's message.
    pub fn to_body(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(&Body { s3ferry: self.clone() })
    }
}

/// Reads the aspects that this version of s3ferry knows: a queue may hold continuations of another one.
fn known_attributes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<AttributeSet, D::Error> {
    let named = Vec::<Value>::deserialize(deserializer)?;
    let known = named.into_iter().filter_map(|name| serde_json::from_value(name).ok());
    Ok(known.collect())
}

/// Reads the body of a continuation.
pub(super) fn parse_continuation(body: &Value) -> Result<KeyHint, EventError> {
    let body = Body::deserialize(body).map_err(|_| EventError::Field {
        field: "s3ferry",
        expected: "a continuation with bucket, key, aspects and reason",
    })?;
    Ok(KeyHint {
        bucket: BucketName::new(body.s3ferry.bucket)?,
        key: ObjectKey::from_raw(body.s3ferry.key)?,
        event_name: EVENT_NAME.to_owned(),
        attributes: body.s3ferry.attributes,
        sequencer: None,
        hops: body.s3ferry.hops,
    })
}
