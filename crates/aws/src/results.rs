//! Results of final syncs in the state bucket.

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use s3ferry_core::failure::{Failure, FailureKind};
use s3ferry_core::names::{AccountId, BucketName, Region};
use s3ferry_engine::results::ResultStore;

use crate::classify::{AttemptedOperation, ErrorAnswer};

/// The state bucket, with the results of final syncs.
#[derive(Debug, Clone)]
pub struct S3Results {
    client: Client,
    bucket: BucketName,
    region: Region,
    owner: Option<AccountId>,
}

impl S3Results {
    /// Returns the bucket, accessed with a client of its region. `owner` is the account that must own the bucket.
    ///
    /// The client may retry requests: a result written twice is the same result.
    #[must_use]
    pub fn new(client: Client, bucket: BucketName, region: Region, owner: Option<AccountId>) -> Self {
        Self {
            client,
            bucket,
            region,
            owner,
        }
    }

    fn attempted(&self, action: &'static str, name: &str) -> AttemptedOperation {
        AttemptedOperation {
            action,
            resource: format!("{}/{name}", self.bucket.arn(&self.region)),
            when_denied: format!("the credentials need {action} on the state bucket"),
        }
    }

    fn owner(&self) -> Option<String> {
        self.owner.as_ref().map(ToString::to_string)
    }
}

impl ResultStore for S3Results {
    async fn write(&self, name: &str, text: String) -> Result<(), Failure> {
        self.client
            .put_object()
            .bucket(self.bucket.as_str())
            .key(name)
            .content_type("application/json")
            .set_expected_bucket_owner(self.owner())
            .body(ByteStream::from(text.into_bytes()))
            .send()
            .await
            .map(|_| ())
            .map_err(|error| ErrorAnswer::of(&error).into_failure(&self.attempted("s3:PutObject", name)))
    }

    /// Lists one page. S3 lists in the order of the keys' bytes, so the next page begins after the last name of this
    /// one:
    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html>
    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Vec<String>, Failure> {
        let page = self
            .client
            .list_objects_v2()
            .bucket(self.bucket.as_str())
            .prefix(prefix)
            .set_start_after(after.map(str::to_owned))
            .set_expected_bucket_owner(self.owner())
            .send()
            .await
            .map_err(|error| ErrorAnswer::of(&error).into_failure(&self.attempted("s3:ListBucket", prefix)))?;
        let objects = page.contents.unwrap_or_default().into_iter();
        Ok(objects.filter_map(|object| object.key).collect())
    }

    async fn read(&self, name: &str) -> Result<String, Failure> {
        let attempted = self.attempted("s3:GetObject", name);
        let answer = self
            .client
            .get_object()
            .bucket(self.bucket.as_str())
            .key(name)
            .set_expected_bucket_owner(self.owner())
            .send()
            .await
            .map_err(|error| ErrorAnswer::of(&error).into_failure(&attempted))?;
        let unreadable = |detail: String| Failure {
            kind: FailureKind::Retry,
            code: "UnreadableAnswer".into(),
            action: attempted.action.to_owned(),
            resource: attempted.resource.clone(),
            detail,
        };
        let body = answer
            .body
            .collect()
            .await
            .map_err(|error| unreadable(error.to_string()))?;
        String::from_utf8(body.to_vec()).map_err(|error| unreadable(error.to_string()))
    }
}
