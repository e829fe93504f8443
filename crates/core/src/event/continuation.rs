//! A message of ours to ourselves: a key that must be looked at again.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{EventError, Hint};
use crate::facts::Aspects;
use crate::names::{BucketName, ObjectKey};

/// The name of the event that a continuation stands for.
const EVENT_NAME: &str = "s3ferry:Continuation";

/// Asks for one more reconcile of a key, with what is known of why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Continuation {
    /// The source bucket.
    pub bucket: String,
    /// The key, as it is.
    pub key: String,
    /// Aspects that must be read.
    #[serde(default)]
    pub aspects: Aspects,
    /// Why the key comes again.
    pub reason: String,
}

#[derive(Serialize, Deserialize)]
struct Body {
    s3ferry: Continuation,
}

impl Continuation {
    /// Asks for `key` once more.
    #[must_use]
    pub fn new(bucket: &BucketName, key: &ObjectKey, aspects: Aspects, reason: &str) -> Self {
        Self {
            bucket: bucket.to_string(),
            key: key.to_string(),
            aspects,
            reason: reason.to_owned(),
        }
    }

    /// Spells the body of the queue's message.
    pub fn to_body(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(&Body { s3ferry: self.clone() })
    }
}

/// Reads the body of a continuation.
pub(super) fn parse_continuation(body: &Value) -> Result<Hint, EventError> {
    let body = Body::deserialize(body).map_err(|_| EventError::Field {
        field: "s3ferry",
        expected: "a continuation with bucket, key, aspects and reason",
    })?;
    Ok(Hint {
        bucket: BucketName::new(body.s3ferry.bucket)?,
        key: ObjectKey::from_raw(body.s3ferry.key)?,
        event_name: EVENT_NAME.to_owned(),
        aspects: body.s3ferry.aspects,
        sequencer: None,
    })
}
