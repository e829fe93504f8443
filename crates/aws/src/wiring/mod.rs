//! Implementation of the wiring's ports with S3 and `EventBridge`.

mod backup;
mod bucket;
mod event_rules;
pub(crate) mod notification;
mod replication_rule;

use s3ferry_core::names::{AccountId, BucketName, Region};
use s3ferry_core::preflight::{BucketState, ExpectedBucket, PreflightError};
use s3ferry_core::wiring::OwnerId;
use s3ferry_engine::wiring::WiringPorts;

pub use backup::StateBucketBackup;
pub use bucket::S3BucketConfiguration;
pub use event_rules::DefaultBusRules;
pub use replication_rule::SdkRule;

use crate::client::Clients;
use crate::clock::SystemClock;
use crate::preflight;

/// Gives access to the buckets, backups and event rules of one region.
#[derive(Debug, Clone)]
pub struct AwsWiring {
    clients: Clients,
    reading: aws_sdk_s3::Client,
    writing: aws_sdk_s3::Client,
    rules: DefaultBusRules,
    region: Region,
}

impl AwsWiring {
    /// Returns access with clients of the source bucket's region, which is also the region of its event rules.
    #[must_use]
    pub fn new(clients: &Clients, region: Region) -> Self {
        Self {
            clients: clients.clone(),
            reading: clients.s3_for_reading(&region),
            writing: clients.s3_for_writing(&region),
            rules: DefaultBusRules::new(clients.eventbridge(), region.clone()),
            region,
        }
    }
}

impl WiringPorts for AwsWiring {
    type Bucket = S3BucketConfiguration;
    type Backup = StateBucketBackup;
    type Rules = DefaultBusRules;
    type Clock = SystemClock;

    fn bucket(&self, bucket: &BucketName, account: &AccountId) -> S3BucketConfiguration {
        S3BucketConfiguration {
            reading: self.reading.clone(),
            writing: self.writing.clone(),
            bucket: bucket.clone(),
            account: account.clone(),
            region: self.region.clone(),
        }
    }

    fn backup(
        &self,
        state: &BucketName,
        account: &AccountId,
        bucket: &BucketName,
        owner: &OwnerId,
    ) -> StateBucketBackup {
        StateBucketBackup {
            client: self.reading.clone(),
            state: state.clone(),
            account: account.clone(),
            region: self.region.clone(),
            prefix: format!("bucket-wiring/{bucket}/{owner}/"),
        }
    }

    async fn examine(&self, bucket: &ExpectedBucket) -> Result<BucketState, PreflightError> {
        preflight::examine(&self.clients, bucket).await
    }

    fn rules(&self) -> &DefaultBusRules {
        &self.rules
    }

    fn clock(&self) -> &SystemClock {
        &SystemClock
    }
}
