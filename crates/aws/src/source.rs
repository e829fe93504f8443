//! The source bucket on S3.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::types::ReplicationConfiguration;
use s3ferry_core::bucket_settings::ReplicationCoverage;
use s3ferry_core::facts::{AttributeSet, ObjectFacts, ObjectState};
use s3ferry_core::failure::{Failure, FailureCode};
use s3ferry_core::names::{AccountId, BucketName, ObjectKey, Region};
use s3ferry_core::plan::PartLayout;
use s3ferry_core::versions::{VersionListing, VersionName};
use s3ferry_engine::ports::{Absence, SourceBucket};
use tokio::sync::{Mutex, OnceCell};
use tokio::time::Instant;

use crate::bucket_reader::BucketReader;
use crate::classify::{AttemptedOperation, ErrorAnswer};
use crate::replication::coverage;

/// The bucket that is migrated.
#[derive(Debug, Clone)]
pub struct S3Source {
    pub(crate) reading: BucketReader,
    destination: BucketName,
    /// Set once the bucket is known to exist. If the bucket is removed later, reads find no keys, as they should.
    bucket_exists: Arc<OnceCell<()>>,
    /// Last read configuration of the bucket's own replication.
    replication: Arc<Mutex<Option<ReadReplication>>>,
}

/// Maximum age of the cached replication configuration. Shared ownership needs it for every key, and it seldom changes.
const REPLICATION_MAX_AGE: Duration = Duration::from_mins(1);

/// The configuration of a bucket's own replication, if it has one, and when it was read.
#[derive(Debug)]
struct ReadReplication {
    configuration: Option<ReplicationConfiguration>,
    at: Instant,
}

impl S3Source {
    /// Returns the bucket, read with a client of its region. `owner` is the account that must own the bucket.
    #[must_use]
    pub fn new(
        client: Client,
        bucket: BucketName,
        region: Region,
        owner: Option<AccountId>,
        destination: BucketName,
    ) -> Self {
        Self {
            reading: BucketReader::new(client, bucket, region, owner),
            destination,
            bucket_exists: Arc::default(),
            replication: Arc::default(),
        }
    }

    async fn read_replication(&self) -> Result<Option<ReplicationConfiguration>, Failure> {
        let reading = &self.reading;
        let answer = reading
            .client
            .get_bucket_replication()
            .bucket(reading.bucket.as_str())
            .set_expected_bucket_owner(reading.owner())
            .send()
            .await;
        match answer {
            Ok(answer) => Ok(answer.replication_configuration),
            Err(error) => {
                let answer = ErrorAnswer::of(&error);
                if answer.code == Some(FailureCode::ReplicationConfigurationNotFoundError) {
                    return Ok(None);
                }
                Err(answer.into_failure(&self.attempted("s3:GetReplicationConfiguration")))
            }
        }
    }

    fn attempted(&self, action: &'static str) -> AttemptedOperation {
        AttemptedOperation {
            action,
            resource: self.reading.bucket.arn(&self.reading.region),
            when_denied: format!("the credentials need {action} on the source bucket"),
        }
    }
}

impl SourceBucket for S3Source {
    async fn read(&self, key: &ObjectKey, attributes: &AttributeSet) -> Result<ObjectState, Failure> {
        let state = self.reading.state(key, attributes).await?;
        let found = state != ObjectState::NotFound;
        let bucket_exists = async || {
            if found {
                Ok(())
            } else {
                self.reading.confirm_bucket().await
            }
        };
        self.bucket_exists.get_or_try_init(bucket_exists).await?;
        Ok(state)
    }

    async fn read_more(
        &self,
        key: &ObjectKey,
        facts: &ObjectFacts,
        attributes: &AttributeSet,
    ) -> Result<Option<ObjectFacts>, Failure> {
        self.reading.more(key, facts, attributes).await
    }

    async fn layout(&self, key: &ObjectKey, facts: &ObjectFacts) -> Result<PartLayout, Failure> {
        self.reading.layout(key, facts).await
    }

    async fn has_acl(&self) -> Result<bool, Failure> {
        self.reading.has_acl().await
    }

    async fn confirm_absence(&self, key: &ObjectKey) -> Result<Absence, Failure> {
        self.reading.absence(key).await
    }

    async fn list_versions(&self, key: &ObjectKey) -> Result<VersionListing, Failure> {
        self.reading.newest_versions(key).await
    }

    async fn read_version(&self, key: &ObjectKey, version: &VersionName) -> Result<ObjectState, Failure> {
        self.reading.version_state(key, version).await
    }

    async fn replication(&self, key: &ObjectKey) -> Result<ReplicationCoverage, Failure> {
        // One of the concurrent callers reads the configuration for all.
        let mut cached = self.replication.lock().await;
        let read = match cached.take().filter(|read| read.at.elapsed() < REPLICATION_MAX_AGE) {
            Some(read) => read,
            None => ReadReplication {
                configuration: self.read_replication().await?,
                at: Instant::now(),
            },
        };
        let configuration = cached.insert(read).configuration.as_ref();
        Ok(configuration.map_or(ReplicationCoverage::NotCovered, |configuration| {
            coverage(configuration, key, &self.destination)
        }))
    }
}
