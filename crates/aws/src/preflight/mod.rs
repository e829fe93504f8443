//! Checks of a bucket before any work: that it exists, may be listed, and is in the expected region.
//!
//! The other modules read the facts of `s3ferry preflight`.

#[cfg(feature = "batch")]
pub mod account;
#[cfg(feature = "batch")]
pub mod bucket;
#[cfg(feature = "batch")]
mod configuration;
#[cfg(feature = "batch")]
mod data;
#[cfg(feature = "batch")]
mod reading;

use aws_sdk_s3::Client;
use aws_sdk_s3::types::{BucketVersioningStatus, ObjectLockEnabled};
use s3ferry_core::failure::{Failure, FailureCode, FailureKind};
use s3ferry_core::names::{AccountId, BucketName, Region};
use s3ferry_core::preflight::{BucketState, ExpectedBucket, PreflightError, UnfitBucket};
use s3ferry_core::wiring::Versioning;

use crate::classify::{AttemptedOperation, ErrorAnswer};
use crate::client::Clients;

/// Confirms that a bucket exists, with the expected owner and in the expected region.
pub async fn confirm(clients: &Clients, expected: &ExpectedBucket) -> Result<(), PreflightError> {
    let ExpectedBucket { name, region, owner } = expected;
    let client = clients.s3_for_reading(region);
    match region_of(&client, name, region, owner.as_ref()).await? {
        Some(found) if found != region.as_str() => Err(PreflightError::Unfit(UnfitBucket::Elsewhere {
            bucket: name.clone(),
            expected: region.clone(),
            found,
        })),
        _ => Ok(()),
    }
}

/// Confirms a bucket like [`confirm`], and reads whether it has versioning and Object Lock.
pub async fn examine(clients: &Clients, expected: &ExpectedBucket) -> Result<BucketState, PreflightError> {
    confirm(clients, expected).await?;
    let client = clients
        .expecting(expected.owner.as_ref())
        .s3_for_reading(&expected.region);
    let name = expected.name.as_str();
    let attempted = |action| AttemptedOperation {
        action,
        resource: expected.name.arn(&expected.region),
        when_denied: format!("the role needs {action} on the bucket"),
    };
    let versioning = client.get_bucket_versioning().bucket(name).send().await;
    let versioning =
        versioning.map_err(|error| ErrorAnswer::of(&error).into_failure(&attempted("s3:GetBucketVersioning")))?;
    let lock = client.get_object_lock_configuration().bucket(name).send().await;
    let has_object_lock = match lock {
        Ok(answer) => answer
            .object_lock_configuration()
            .is_some_and(|lock| lock.object_lock_enabled() == Some(&ObjectLockEnabled::Enabled)),
        Err(error) => match ErrorAnswer::of(&error) {
            answer if answer.code == Some(FailureCode::ObjectLockConfigurationNotFoundError) => false,
            answer => {
                let failure = answer.into_failure(&attempted("s3:GetBucketObjectLockConfiguration"));
                return Err(failure.into());
            }
        },
    };
    Ok(BucketState {
        versioning: versioning_of(versioning.status()),
        has_object_lock,
    })
}

/// Converts the versioning status of a bucket.
pub(crate) fn versioning_of(status: Option<&BucketVersioningStatus>) -> Versioning {
    match status {
        Some(BucketVersioningStatus::Enabled) => Versioning::Enabled,
        Some(_) => Versioning::Suspended,
        None => Versioning::Off,
    }
}

/// Returns the region of a bucket, or `None` if S3 does not name it.
///
/// The request goes to `region`. If that is the wrong region, S3 refuses the request and names the bucket's own region.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadBucket.html>
pub async fn region_of(
    client: &Client,
    bucket: &BucketName,
    region: &Region,
    owner: Option<&AccountId>,
) -> Result<Option<String>, Failure> {
    let answer = client
        .head_bucket()
        .bucket(bucket.as_str())
        .set_expected_bucket_owner(owner.map(ToString::to_string))
        .send()
        .await;
    let error = match answer {
        Ok(answer) => return Ok(answer.bucket_region().map(str::to_owned)),
        Err(error) => error,
    };
    let named = error
        .raw_response()
        .and_then(|response| response.headers().get("x-amz-bucket-region"))
        .filter(|named| *named != region.as_str())
        .map(str::to_owned);
    let mut answer = ErrorAnswer::of(&error);
    if let (Some(named), Some(301 | 307 | 400)) = (named, answer.status) {
        return Ok(Some(named));
    }
    match answer.status {
        Some(404) => {
            answer.code = Some(FailureCode::NoSuchBucket);
            answer.message = format!("bucket {bucket} does not exist");
        }
        Some(301) => answer.message = format!("bucket {bucket} is not in region {region}"),
        // A HEAD response has no body with the reason.
        Some(400 | 403) if answer.code.is_none() => {
            answer = reason(client, bucket, owner).await.unwrap_or(answer);
        }
        _ => {}
    }
    let is_unreachable = answer.code.is_none() && answer.status.is_none();
    let mut failure = answer.into_failure(&AttemptedOperation {
        action: "s3:ListBucket",
        resource: bucket.arn(region),
        when_denied:
            "the credentials need s3:ListBucket on the bucket, and the bucket must have the expected owner; a \
                      Requester Pays bucket is read with credentials of its own account"
                .to_owned(),
    });
    if is_unreachable {
        failure.code = FailureCode::EndpointUnreachable;
        failure.kind = FailureKind::Configuration;
    }
    Err(failure)
}

/// Returns the reason of a refused HEAD, from a listing. A listing needs the same permission and its response has a
/// body.
pub(crate) async fn reason(client: &Client, bucket: &BucketName, owner: Option<&AccountId>) -> Option<ErrorAnswer> {
    let answer = client
        .list_objects_v2()
        .bucket(bucket.as_str())
        .max_keys(1)
        .set_expected_bucket_owner(owner.map(ToString::to_string))
        .send()
        .await;
    let answer = ErrorAnswer::of(&answer.err()?);
    answer.code.is_some().then_some(answer)
}
