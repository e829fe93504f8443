//! Files of this machine put into a bucket, and objects fetched into files.

use std::path::Path;

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use s3ferry_core::failure::{Failure, FailureKind};
use s3ferry_core::names::{BucketName, ETag, ObjectKey, Region, VersionId};
use tokio::io::AsyncWriteExt as _;

use crate::classify::{Attempted, ErrorAnswer};
use crate::client::Clients;

/// An object as it is in the bucket now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredFile {
    /// Its tag.
    pub etag: ETag,
    /// Its version, where the bucket has versions.
    pub version: Option<VersionId>,
    /// Its size.
    pub size_bytes: u64,
}

/// A bucket that files are put into and fetched from.
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

    /// Reads what an object is; one that is not there is a failure with the code `NoSuchKey`.
    pub async fn head(&self, key: &ObjectKey) -> Result<StoredFile, Failure> {
        let attempted = self.reading(key);
        let answer = self.client.head_object().bucket(self.bucket.as_str()).key(key.as_str());
        let answer = answer.send().await.map_err(|error| {
            let mut answer = ErrorAnswer::of(&error);
            if answer.status == Some(404) {
                answer.code = Some("NoSuchKey".to_owned());
                answer.message = String::from("there is no such object, or no such bucket");
            }
            absent_is_setup(answer.into_failure(&attempted))
        })?;
        let etag = answer.e_tag().and_then(|etag| ETag::new(etag).ok());
        Ok(StoredFile {
            etag: etag.ok_or_else(|| broken(&attempted, "the answer has no usable ETag".to_owned()))?,
            version: answer.version_id().and_then(VersionId::pinnable),
            size_bytes: answer
                .content_length()
                .and_then(|length| u64::try_from(length).ok())
                .unwrap_or_default(),
        })
    }

    /// Reads the first bytes of an object.
    pub async fn beginning(&self, key: &ObjectKey, bytes: u64) -> Result<Vec<u8>, Failure> {
        let attempted = self.reading(key);
        let range = format!("bytes=0-{}", bytes.saturating_sub(1));
        let request = self.client.get_object().bucket(self.bucket.as_str()).key(key.as_str());
        let answer = match request.range(range).send().await {
            Ok(answer) => answer,
            Err(error) => {
                let answer = ErrorAnswer::of(&error);
                // No byte of an empty object can be asked for.
                if answer.status == Some(416) {
                    return Ok(Vec::new());
                }
                return Err(absent_is_setup(answer.into_failure(&attempted)));
            }
        };
        let body = answer.body.collect().await;
        let body = body.map_err(|error| broken(&attempted, error.to_string()))?;
        Ok(body.to_vec())
    }

    /// Fetches an object into a file, which is written from its beginning.
    pub async fn fetch(&self, key: &ObjectKey, file: &Path) -> Result<ETag, Failure> {
        let attempted = self.reading(key);
        let request = self.client.get_object().bucket(self.bucket.as_str()).key(key.as_str());
        let answer = request.send().await;
        let answer = answer.map_err(|error| absent_is_setup(ErrorAnswer::of(&error).into_failure(&attempted)))?;
        let etag = answer.e_tag().and_then(|etag| ETag::new(etag).ok());
        let unwritable = |error: std::io::Error| Failure {
            kind: FailureKind::Configuration,
            code: "UnwritableFile".to_owned(),
            action: attempted.action.to_owned(),
            resource: attempted.resource.clone(),
            detail: format!("{}: {error}", file.display()),
        };
        let mut written = tokio::fs::File::create(file).await.map_err(unwritable)?;
        let mut body = answer.body;
        while let Some(bytes) = body.next().await {
            let bytes = bytes.map_err(|error| broken(&attempted, error.to_string()))?;
            written.write_all(&bytes).await.map_err(unwritable)?;
        }
        written.flush().await.map_err(unwritable)?;
        etag.ok_or_else(|| broken(&attempted, "the answer has no usable ETag".to_owned()))
    }

    fn reading(&self, key: &ObjectKey) -> Attempted {
        Attempted {
            action: "s3:GetObject",
            resource: key.arn(&self.bucket, &self.region),
            when_denied: "the credentials need s3:GetObject on the object, and s3:ListBucket on the bucket so that a \
                          missing object is told from a forbidden one"
                .to_owned(),
        }
    }
}

/// What somebody named and is not there will not come by itself.
fn absent_is_setup(failure: Failure) -> Failure {
    if failure.code == "NoSuchKey" {
        return Failure {
            kind: FailureKind::Configuration,
            ..failure
        };
    }
    failure
}

fn broken(attempted: &Attempted, detail: String) -> Failure {
    Failure {
        kind: FailureKind::Retry,
        code: "UnreadableAnswer".to_owned(),
        action: attempted.action.to_owned(),
        resource: attempted.resource.clone(),
        detail,
    }
}
