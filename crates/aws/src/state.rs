//! Small objects in the state bucket.

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use futures::{Stream, TryStreamExt as _, stream};
use s3ferry_core::failure::{Failure, FailureCode, FailureKind};
use s3ferry_core::names::{AccountId, BucketName, ETag, Region};
use s3ferry_engine::listing::ObjectListing as _;
use s3ferry_engine::ports::WriteError;

use crate::classify::{AttemptedOperation, ErrorAnswer};
use crate::client::Clients;
use crate::listing::S3Listing;

/// The state bucket.
#[derive(Debug, Clone)]
pub struct StateBucket {
    reading: Client,
    writing: Client,
    bucket: BucketName,
    region: Region,
}

/// An object of the state bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateObject {
    /// ETag, for a condition.
    pub etag: ETag,
    /// Content of the object.
    pub body: Vec<u8>,
}

impl StateBucket {
    /// Returns the bucket; `owner` is the account that must own it.
    #[must_use]
    pub fn new(clients: &Clients, bucket: BucketName, region: Region, owner: Option<&AccountId>) -> Self {
        let clients = clients.expecting(owner);
        Self {
            reading: clients.s3_for_reading(&region),
            writing: clients.s3_for_writing(&region),
            bucket,
            region,
        }
    }

    /// Reads an object. Returns `None` if the object does not exist.
    pub async fn read(&self, name: &str) -> Result<Option<StateObject>, Failure> {
        let attempted = self.attempted("s3:GetObject", name);
        let answer = self
            .reading
            .get_object()
            .bucket(self.bucket.as_str())
            .key(name)
            .send()
            .await;
        let object = match answer {
            Ok(object) => object,
            Err(error) => {
                let answer = ErrorAnswer::of(&error);
                if answer.code == Some(FailureCode::NoSuchKey) {
                    return Ok(None);
                }
                return Err(answer.into_failure(&attempted));
            }
        };
        let etag = etag_of(object.e_tag(), &attempted)?;
        let body = object.body.collect().await;
        let body = body.map_err(|error| unusable(&attempted, "BrokenBody", error.to_string()))?;
        Ok(Some(StateObject {
            etag,
            body: body.to_vec(),
        }))
    }

    /// Lists the names that begin with `prefix`, page by page.
    pub fn names(&self, prefix: &'static str) -> impl Stream<Item = Result<Vec<String>, Failure>> + Send + use<> {
        let listing = S3Listing::new(self.reading.clone(), self.bucket.clone(), self.region.clone(), None);
        stream::try_unfold((listing, Some(None)), move |(listing, next)| async move {
            let Some(after) = next else { return Ok(None) };
            let after: Option<String> = after;
            let page = listing.page(prefix, after.as_deref()).await?;
            let names: Vec<String> = page.objects.iter().map(|listed| listed.key.to_string()).collect();
            let next = page.more.then(|| names.last().cloned());
            Ok(Some((names, (listing, next))))
        })
    }

    /// Counts the objects whose names begin with `prefix`, up to `limit`.
    pub async fn count(&self, prefix: &'static str, limit: u64) -> Result<u64, Failure> {
        let mut pages = std::pin::pin!(self.names(prefix));
        let mut count = 0_u64;
        while let Some(page) = pages.try_next().await? {
            count = count.saturating_add(u64::try_from(page.len()).unwrap_or(u64::MAX));
            if count >= limit {
                return Ok(limit);
            }
        }
        Ok(count)
    }

    /// Creates a JSON object and returns its ETag. Returns `None` if the object exists already.
    pub async fn create(&self, name: &str, json: Vec<u8>) -> Result<Option<ETag>, WriteError> {
        let attempted = self.attempted("s3:PutObject", name);
        let answer = self
            .writing
            .put_object()
            .bucket(self.bucket.as_str())
            .key(name)
            .if_none_match("*")
            .content_type("application/json")
            .body(ByteStream::from(json))
            .send()
            .await;
        match answer {
            // The object exists now, whatever its ETag is: only a read returns it.
            Ok(created) => {
                let etag = etag_of(created.e_tag(), &attempted).map_err(WriteError::OutcomeUnknown)?;
                Ok(Some(etag))
            }
            Err(error) => {
                let answer = ErrorAnswer::of(&error);
                if answer.status == Some(412) {
                    return Ok(None);
                }
                Err(answer.into_write_error(&attempted))
            }
        }
    }

    /// Replaces a JSON object if its ETag is still `seen`, and returns its new ETag.
    pub async fn replace(&self, name: &str, json: Vec<u8>, seen: &ETag) -> Result<ETag, WriteError> {
        let attempted = self.attempted("s3:PutObject", name);
        let answer = self
            .writing
            .put_object()
            .bucket(self.bucket.as_str())
            .key(name)
            .if_match(seen.quoted())
            .content_type("application/json")
            .body(ByteStream::from(json))
            .send()
            .await;
        match answer {
            Ok(replaced) => etag_of(replaced.e_tag(), &attempted).map_err(WriteError::OutcomeUnknown),
            Err(error) => Err(ErrorAnswer::of(&error).into_write_error(&attempted)),
        }
    }

    /// Writes a JSON object, replacing any existing one. The write is safe to repeat, so the SDK may retry it.
    pub async fn write(&self, name: &str, json: Vec<u8>) -> Result<(), Failure> {
        self.reading
            .put_object()
            .bucket(self.bucket.as_str())
            .key(name)
            .content_type("application/json")
            .body(ByteStream::from(json))
            .send()
            .await
            .map(drop)
            .map_err(|error| ErrorAnswer::of(&error).into_failure(&self.attempted("s3:PutObject", name)))
    }

    /// Removes an object if its ETag is still `seen`. Returns `false` if the object changed or no longer exists.
    ///
    /// The SDK may retry the request: after a lost response, a retry finds nothing to remove.
    pub async fn remove(&self, name: &str, seen: &ETag) -> Result<bool, Failure> {
        let attempted = self.attempted("s3:DeleteObject", name);
        let answer = self
            .reading
            .delete_object()
            .bucket(self.bucket.as_str())
            .key(name)
            .if_match(seen.quoted())
            .send()
            .await;
        let Err(error) = answer else { return Ok(true) };
        let answer = ErrorAnswer::of(&error);
        let is_gone = answer.status == Some(412) || answer.code == Some(FailureCode::NoSuchKey);
        if is_gone {
            return Ok(false);
        }
        Err(answer.into_failure(&attempted))
    }

    pub(crate) fn attempted(&self, action: &'static str, name: &str) -> AttemptedOperation {
        AttemptedOperation {
            action,
            resource: format!("{}/{name}", self.bucket.arn(&self.region)),
            when_denied: format!(
                "the credentials need {action} on this object of the state bucket, and s3:ListBucket on the bucket to \
                 distinguish a missing object from a forbidden one"
            ),
        }
    }
}

fn etag_of(etag: Option<&str>, attempted: &AttemptedOperation) -> Result<ETag, Failure> {
    let etag = etag.and_then(|etag| ETag::new(etag).ok());
    etag.ok_or_else(|| {
        unusable(
            attempted,
            "UnreadableAnswer",
            "the response has no usable ETag".to_owned(),
        )
    })
}

fn unusable(attempted: &AttemptedOperation, code: &str, detail: String) -> Failure {
    Failure {
        kind: FailureKind::Retry,
        code: code.into(),
        action: attempted.action.to_owned(),
        resource: attempted.resource.clone(),
        detail,
    }
}
