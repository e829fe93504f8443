//! Uploads local files to a bucket and downloads objects to local files.

use std::path::Path;

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::primitives::ByteStreamError;
use s3ferry_core::failure::{Failure, FailureCode, FailureKind};
use s3ferry_core::names::{BucketName, ETag, ObjectKey, Region, VersionId};
use tokio::io::AsyncWriteExt as _;

use crate::classify::{AttemptedOperation, ErrorAnswer};
use crate::client::Clients;
use crate::timeouts;

/// Maximum downloads of an object whose content is interrupted.
const FETCH_ATTEMPTS: u32 = 4;

/// An object as it is in the bucket now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredFile {
    /// ETag of the object.
    pub etag: ETag,
    /// Version of the object, if the bucket has versioning.
    pub version: Option<VersionId>,
    /// Size of the object.
    pub size_bytes: u64,
}

/// A bucket that files are uploaded to and downloaded from.
#[derive(Debug, Clone)]
pub struct FileStore {
    writing: Client,
    reading: Client,
    bucket: BucketName,
    region: Region,
}

impl FileStore {
    /// Returns the bucket in its region.
    #[must_use]
    pub fn new(clients: &Clients, bucket: BucketName, region: Region) -> Self {
        Self {
            // Uploading a file twice does no harm, and a large file needs time.
            writing: clients.s3_for_files(&region),
            reading: clients.s3_for_reading(&region),
            bucket,
            region,
        }
    }

    /// Returns the bucket's name.
    #[must_use]
    pub fn bucket(&self) -> &BucketName {
        &self.bucket
    }

    /// Uploads a file in one request and returns its ETag.
    pub async fn put(&self, key: &ObjectKey, file: &Path, content_type: &str) -> Result<ETag, Failure> {
        let attempted = AttemptedOperation {
            action: "s3:PutObject",
            resource: key.arn(&self.bucket, &self.region),
            when_denied: "the credentials need s3:PutObject on the object".to_owned(),
        };
        let unusable = |code: &str, detail: String| Failure {
            kind: FailureKind::Retry,
            code: code.into(),
            action: attempted.action.to_owned(),
            resource: attempted.resource.clone(),
            detail,
        };
        let body = ByteStream::from_path(file).await;
        let body = body.map_err(|error| unusable("UnreadableFile", format!("{}: {error}", file.display())))?;
        let answer = self
            .writing
            .put_object()
            .bucket(self.bucket.as_str())
            .key(key.as_str())
            .content_type(content_type)
            .body(body)
            .send()
            .await
            .map_err(|error| ErrorAnswer::of(&error).into_failure(&attempted))?;
        let etag = answer.e_tag().and_then(|etag| ETag::new(etag).ok());
        etag.ok_or_else(|| unusable("UnreadableAnswer", "the response has no usable ETag".to_owned()))
    }

    /// Reads an object's ETag, version and size. A missing object is a failure with the code `NoSuchKey`.
    pub async fn head(&self, key: &ObjectKey) -> Result<StoredFile, Failure> {
        let attempted = self.attempted(key);
        let answer = self
            .reading
            .head_object()
            .bucket(self.bucket.as_str())
            .key(key.as_str());
        let answer = match answer.send().await {
            Ok(answer) => answer,
            Err(error) => {
                let mut answer = ErrorAnswer::of(&error);
                if matches!(answer.status, Some(400 | 403)) {
                    // A HEAD response has no body with the reason; a GET has.
                    self.beginning(key, 1).await?;
                }
                if answer.status == Some(404) {
                    answer.code = Some(FailureCode::NoSuchKey);
                    answer.message = String::from("the object or the bucket does not exist");
                }
                return Err(absent_is_setup(answer.into_failure(&attempted)));
            }
        };
        let etag = answer.e_tag().and_then(|etag| ETag::new(etag).ok());
        Ok(StoredFile {
            etag: etag.ok_or_else(|| broken(&attempted, "the response has no usable ETag".to_owned()))?,
            version: answer.version_id().and_then(VersionId::pinnable),
            size_bytes: answer
                .content_length()
                .and_then(|length| u64::try_from(length).ok())
                .unwrap_or_default(),
        })
    }

    /// Reads the first bytes of an object.
    pub async fn beginning(&self, key: &ObjectKey, bytes: u64) -> Result<Vec<u8>, Failure> {
        let attempted = self.attempted(key);
        let range = format!("bytes=0-{}", bytes.saturating_sub(1));
        let request = self.reading.get_object().bucket(self.bucket.as_str()).key(key.as_str());
        let answer = match request.range(range).send().await {
            Ok(answer) => answer,
            Err(error) => {
                let answer = ErrorAnswer::of(&error);
                // An empty object has no satisfiable range.
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

    /// Downloads an object to the file at `path`. An interrupted download starts again.
    pub async fn fetch(&self, key: &ObjectKey, path: &Path) -> Result<(), Failure> {
        let attempted = AttemptedOperation {
            action: "s3:GetObject",
            resource: key.arn(&self.bucket, &self.region),
            when_denied: "the credentials need s3:GetObject on the object, and s3:ListBucket to see that it is missing"
                .to_owned(),
        };
        let failure = |kind: FailureKind, code: &str, detail: String| Failure {
            kind,
            code: code.into(),
            action: attempted.action.to_owned(),
            resource: attempted.resource.clone(),
            detail,
        };
        let mut attempt = 1;
        loop {
            let answer = self
                .reading
                .get_object()
                .bucket(self.bucket.as_str())
                .key(key.as_str())
                .customize()
                .config_override(timeouts::downloading())
                .send()
                .await;
            let answer = answer.map_err(|error| {
                let answer = ErrorAnswer::of(&error);
                let is_missing = answer.code == Some(FailureCode::NoSuchKey);
                let mut failure = answer.into_failure(&attempted);
                if is_missing {
                    // A missing object does not appear by waiting.
                    failure.kind = FailureKind::Permanent;
                }
                failure
            })?;
            match write(answer.body, path).await {
                Ok(()) => return Ok(()),
                Err(WriteBodyError::File(error)) => {
                    let detail = format!("write {}: {error}", path.display());
                    return Err(failure(FailureKind::Configuration, "UnwritableFile", detail));
                }
                Err(WriteBodyError::Body(error)) if attempt == FETCH_ATTEMPTS => {
                    let detail = format!("download interrupted {attempt} times: {error}");
                    return Err(failure(FailureKind::Retry, "BrokenContent", detail));
                }
                Err(WriteBodyError::Body(_)) => attempt += 1,
            }
        }
    }

    fn attempted(&self, key: &ObjectKey) -> AttemptedOperation {
        AttemptedOperation {
            action: "s3:GetObject",
            resource: key.arn(&self.bucket, &self.region),
            when_denied: "the credentials need s3:GetObject on the object, and s3:ListBucket on the bucket to \
                          distinguish a missing object from a forbidden one"
                .to_owned(),
        }
    }
}

/// Turns a missing object into a configuration failure: waiting does not create an object that the user named.
fn absent_is_setup(failure: Failure) -> Failure {
    if failure.code == FailureCode::NoSuchKey {
        return Failure {
            kind: FailureKind::Configuration,
            ..failure
        };
    }
    failure
}

fn broken(attempted: &AttemptedOperation, detail: String) -> Failure {
    Failure {
        kind: FailureKind::Retry,
        code: "UnreadableAnswer".into(),
        action: attempted.action.to_owned(),
        resource: attempted.resource.clone(),
        detail,
    }
}

enum WriteBodyError {
    Body(ByteStreamError),
    File(std::io::Error),
}

async fn write(mut body: ByteStream, path: &Path) -> Result<(), WriteBodyError> {
    let mut file = tokio::fs::File::create(path).await.map_err(WriteBodyError::File)?;
    while let Some(bytes) = body.try_next().await.map_err(WriteBodyError::Body)? {
        file.write_all(&bytes).await.map_err(WriteBodyError::File)?;
    }
    file.flush().await.map_err(WriteBodyError::File)
}
