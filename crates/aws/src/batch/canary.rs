//! The canary in a bucket.

use s3ferry_core::canary::{CANARY_METADATA, CanaryObject};
use s3ferry_core::failure::{Failure, FailureCode};
use s3ferry_core::names::{AccountId, BucketName, ObjectKey, Region};
use s3ferry_core::time::Timestamp;

use super::unreadable;
use crate::classify::{AttemptedOperation, ErrorAnswer};
use crate::client::Clients;

/// Reads the canary. Returns `None` if the bucket does not have it.
pub async fn canary(
    clients: &Clients,
    bucket: &BucketName,
    region: &Region,
    owner: Option<&AccountId>,
    key: &ObjectKey,
) -> Result<Option<CanaryObject>, Failure> {
    let attempted = AttemptedOperation {
        action: "s3:GetObject",
        resource: key.arn(bucket, region),
        when_denied: "the credentials need s3:GetObject on the canary, and s3:ListBucket on its bucket".to_owned(),
    };
    let client = clients.expecting(owner).s3_for_reading(region);
    let answer = client
        .head_object()
        .bucket(bucket.as_str())
        .key(key.as_str())
        .send()
        .await;
    let head = match answer {
        Ok(head) => head,
        Err(error) => {
            let answer = ErrorAnswer::of(&error);
            // A HEAD response has no body, and with it no code.
            if answer.status == Some(404) && answer.code != Some(FailureCode::NoSuchBucket) {
                return Ok(None);
            }
            return Err(answer.into_failure(&attempted));
        }
    };
    let written = head.last_modified().and_then(|time| time.to_millis().ok());
    let written = written.ok_or_else(|| unreadable(&attempted, "usable Last-Modified"))?;
    let metadata = head.metadata().and_then(|metadata| metadata.get(CANARY_METADATA));
    Ok(Some(CanaryObject {
        beat: metadata.cloned().unwrap_or_default(),
        written: Timestamp::from_millis(written),
        is_replica: head
            .replication_status()
            .is_some_and(|status| status.as_str() == "REPLICA"),
    }))
}
