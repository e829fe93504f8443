//! Content of objects, read as a stream and pinned to the version that was read before.

use aws_sdk_s3::Client;
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use s3ferry_core::facts::{AttributeSet, ExplicitEncryption, ObjectFacts, ObjectState};
use s3ferry_core::failure::{ErrorReaction, Failure, FailureKind};
use s3ferry_core::names::{AccountId, BucketName, ObjectKey, Region};
use s3ferry_core::plan::PartLayout;
use s3ferry_engine::ports::Absence;
use s3ferry_engine::verify::{ContentHash, VerifiedBucket};
use sha2::{Digest as _, Sha256};

use crate::bucket_reader::BucketReader;
use crate::classify::ErrorAnswer;
use crate::timeouts;

/// Maximum attempts in a row that read no bytes.
const MAX_ATTEMPTS_WITHOUT_PROGRESS: u32 = 4;

/// A bucket whose objects are read.
#[derive(Debug, Clone)]
pub struct S3Content {
    reading: BucketReader,
}

/// Outcome of an attempt to read.
enum Attempt {
    /// The object was read to its end.
    Done,
    /// The stream was interrupted. It may resume at the same offset.
    Broken(String),
    /// The object no longer exists, or was replaced.
    Gone,
}

impl S3Content {
    /// Returns the bucket, read with a client of its region. `owner` is the account that must own the bucket.
    #[must_use]
    pub fn new(client: Client, bucket: BucketName, region: Region, owner: Option<AccountId>) -> Self {
        Self {
            reading: BucketReader::new(client, bucket, region, owner),
        }
    }

    /// Returns whether the bucket's objects have ACLs.
    pub async fn has_acl(&self) -> Result<bool, Failure> {
        self.reading.has_acl().await
    }

    /// Reads the bucket's default encryption. Returns `None` if the credentials may not read it.
    pub async fn default_encryption(&self) -> Result<Option<ExplicitEncryption>, Failure> {
        self.reading.default_encryption().await
    }

    /// Reads exactly the object that `facts` describe, from `offset` on.
    async fn attempt(
        &self,
        key: &ObjectKey,
        facts: &ObjectFacts,
        offset: &mut u64,
        hash: &mut Sha256,
    ) -> Result<Attempt, Failure> {
        let reading = &self.reading;
        let answer = reading
            .client
            .get_object()
            .bucket(reading.bucket.as_str())
            .key(key.as_str())
            .set_version_id(facts.version_id.as_ref().map(ToString::to_string))
            .if_match(facts.etag.quoted())
            .set_range((*offset > 0).then(|| format!("bytes={offset}-")))
            .set_expected_bucket_owner(reading.owner())
            .customize()
            .config_override(timeouts::downloading())
            .send()
            .await;
        let mut answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                let answer = ErrorAnswer::of(&error);
                if answer.reaction() == ErrorReaction::ReadAgain {
                    return Ok(Attempt::Gone);
                }
                let version = facts.version_id.as_ref();
                let action = version.map_or("s3:GetObject", |_| "s3:GetObjectVersion");
                return Err(answer.into_failure(&reading.attempted(key, action)));
            }
        };
        if !begins_at(&answer, *offset) {
            return Ok(Attempt::Broken(format!("the response does not begin at byte {offset}")));
        }
        loop {
            match answer.body.try_next().await {
                Ok(Some(bytes)) => {
                    hash.update(&bytes);
                    *offset += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
                }
                Ok(None) => break,
                Err(error) => {
                    if *offset >= facts.size_bytes {
                        // All bytes were received, and the SDK found that they do not match the stored checksum.
                        (*offset, *hash) = (0, Sha256::new());
                    }
                    return Ok(Attempt::Broken(error.to_string()));
                }
            }
        }
        if *offset > facts.size_bytes {
            return Err(self.broken(key, *offset, "received more bytes than the object has"));
        }
        Ok(if *offset == facts.size_bytes {
            Attempt::Done
        } else {
            Attempt::Broken("received fewer bytes than the object has".to_owned())
        })
    }

    fn broken(&self, key: &ObjectKey, offset: u64, detail: &str) -> Failure {
        Failure {
            kind: FailureKind::Retry,
            code: "ContentBrokeOff".into(),
            action: "s3:GetObject".to_owned(),
            resource: key.arn(&self.reading.bucket, &self.reading.region),
            detail: format!("at byte {offset}: {detail}"),
        }
    }
}

/// Returns whether a response begins at the requested offset. From a store that ignores ranges, bytes would be hashed
/// twice.
fn begins_at(answer: &GetObjectOutput, offset: u64) -> bool {
    match answer.content_range() {
        Some(range) => range.starts_with(&format!("bytes {offset}-")),
        None => offset == 0,
    }
}

impl VerifiedBucket for S3Content {
    async fn confirm_absence(&self, key: &ObjectKey) -> Result<Absence, Failure> {
        self.reading.absence(key).await
    }

    async fn read(&self, key: &ObjectKey, attributes: &AttributeSet) -> Result<ObjectState, Failure> {
        let state = self.reading.state(key, attributes).await?;
        if state == ObjectState::NotFound {
            self.reading.confirm_bucket().await?;
        }
        Ok(state)
    }

    async fn layout(&self, key: &ObjectKey, facts: &ObjectFacts) -> Result<PartLayout, Failure> {
        self.reading.layout(key, facts).await
    }

    /// Computes the hash of the content. An interrupted stream resumes at its offset, pinned by a condition on the
    /// ETag.
    async fn digest(&self, key: &ObjectKey, facts: &ObjectFacts) -> Result<Option<ContentHash>, Failure> {
        let mut hash = Sha256::new();
        let (mut offset, mut idle_attempts) = (0, 0);
        loop {
            let before = offset;
            match self.attempt(key, facts, &mut offset, &mut hash).await? {
                Attempt::Done => return Ok(Some(ContentHash(hash.finalize().into()))),
                Attempt::Gone => return Ok(None),
                Attempt::Broken(detail) => {
                    idle_attempts = if offset > before { 0 } else { idle_attempts + 1 };
                    if idle_attempts >= MAX_ATTEMPTS_WITHOUT_PROGRESS {
                        return Err(self.broken(key, offset, &detail));
                    }
                }
            }
        }
    }
}
