//! Files of this machine put into a bucket.

use std::path::Path;

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use s3ferry_core::failure::{Failure, FailureKind};
use s3ferry_core::names::{BucketName, ETag, ObjectKey, Region};

use crate::classify::{Attempted, ErrorAnswer};
use crate::client::Clients;

/// A bucket that files are put into.
#[derive(Debug, Clone)]
pub struct FileStore {
    client: Client,
    bucket: BucketName,
    region: Region,
}

impl FileStore {
    /// Takes the bucket in its region.
    #[must_use]
    pub fn new(clients: &Clients, bucket: BucketName, region: Region) -> Self {
        Self {
            // Put twice, a file does no harm, and a large one takes its time.
            client: clients.s3_for_copying_parts(&region),
            bucket,
            region,
        }
    }

    /// Returns the bucket's name.
    #[must_use]
    pub fn bucket(&self) -> &BucketName {
        &self.bucket
    }

    /// Puts a file into the bucket in one request, and returns the tag that S3 gave it.
    pub async fn put(&self, key: &ObjectKey, file: &Path, content_type: &str) -> Result<ETag, Failure> {
        let attempted = Attempted {
            action: "s3:PutObject",
            resource: key.arn(&self.bucket, &self.region),
            when_denied: "the credentials need s3:PutObject on the object".to_owned(),
        };
        let unusable = |code: &str, detail: String| Failure {
            kind: FailureKind::Retry,
            code: code.to_owned(),
            action: attempted.action.to_owned(),
            resource: attempted.resource.clone(),
            detail,
        };
        let body = ByteStream::from_path(file).await;
        let body = body.map_err(|error| unusable("UnreadableFile", format!("{}: {error}", file.display())))?;
        let answer = self
            .client
            .put_object()
            .bucket(self.bucket.as_str())
            .key(key.as_str())
            .content_type(content_type)
            .body(body)
            .send()
            .await
            .map_err(|error| ErrorAnswer::of(&error).into_failure(&attempted))?;
        let etag = answer.e_tag().and_then(|etag| ETag::new(etag).ok());
        etag.ok_or_else(|| unusable("UnreadableAnswer", "the answer has no usable ETag".to_owned()))
    }
}
