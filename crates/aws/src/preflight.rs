//! A first look at a bucket, before any work: whether it is there, may be listed, and in which region.

use aws_sdk_s3::Client;
use s3ferry_core::failure::{Failure, FailureKind};
use s3ferry_core::names::{AccountId, BucketName, Region};

use crate::classify::{Attempted, ErrorAnswer};

/// The code of the failure of a first look that nobody answered.
pub const UNREACHABLE: &str = "EndpointUnreachable";

/// Asks for a bucket in `region` and returns the region it says it is in; `None` where it does not say.
///
/// S3 names the bucket's own region also where it refuses a request for being asked of another.
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
            answer.code = Some("NoSuchBucket".to_owned());
            answer.message = format!("bucket {bucket} does not exist");
        }
        Some(301) => answer.message = format!("bucket {bucket} is not in region {region}"),
        // An answer to a HEAD has no body that would say more.
        Some(400 | 403) if answer.code.is_none() => {
            answer = reason(client, bucket, owner).await.unwrap_or(answer);
        }
        _ => {}
    }
    let is_unreachable = answer.code.is_none() && answer.status.is_none();
    let mut failure = answer.into_failure(&Attempted {
        action: "s3:ListBucket",
        resource: bucket.arn(region),
        when_denied:
            "the credentials need s3:ListBucket on the bucket, and the bucket must have the expected owner; a \
                      Requester Pays bucket is read with credentials of its own account"
                .to_owned(),
    });
    if is_unreachable {
        UNREACHABLE.clone_into(&mut failure.code);
        failure.kind = FailureKind::Configuration;
    }
    Err(failure)
}

/// Asks for what needs the same permission and is answered with a body, and returns what its error says.
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
