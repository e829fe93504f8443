//! What the wiring needs of the world.

use std::fmt::Debug;
use std::future::Future;
use std::time::Duration;

use s3ferry_core::failure::Failure;
use s3ferry_core::names::{AccountId, BucketName};
use s3ferry_core::preflight::{BucketState, ExpectedBucket, PreflightError};
use s3ferry_core::wiring::{
    NotificationConfiguration, OwnerId, ReplicationConfiguration, ReplicationTerms, Versioning,
};
use serde::Serialize;

/// The configuration of one bucket. S3 may answer with what was there before a change for a while.
pub trait BucketConfiguration: Send + Sync {
    /// A whole replication rule; foreign ones are given back as they were read.
    type Rule: Clone + PartialEq + Debug + Serialize + Send + Sync;

    /// Reads whether the bucket keeps versions.
    fn versioning(&self) -> impl Future<Output = Result<Versioning, Failure>> + Send;

    /// Switches versioning on.
    fn enable_versioning(&self) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Reads the notification configuration; a bucket without any has an empty one.
    fn notification(&self) -> impl Future<Output = Result<NotificationConfiguration, Failure>> + Send;

    /// Replaces the whole notification configuration; `check` lets S3 test every target first.
    fn put_notification(
        &self,
        configuration: &NotificationConfiguration,
        check: bool,
    ) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Reads the replication configuration.
    fn replication(&self)
    -> impl Future<Output = Result<Option<ReplicationConfiguration<Self::Rule>>, Failure>> + Send;

    /// Replaces the whole replication configuration, or removes it.
    fn put_replication(
        &self,
        configuration: Option<&ReplicationConfiguration<Self::Rule>>,
    ) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Makes a replication rule with an Id and a priority that says what `terms` say.
    fn compose(&self, id: &str, priority: i32, terms: &ReplicationTerms) -> Self::Rule;
}

/// Where one owner keeps what one bucket's configuration was.
pub trait WiringBackup: Send + Sync {
    /// Keeps a text under a name, unless there is one of that name.
    fn save_once(&self, name: &str, text: &str) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Keeps a text under a name in the place of what was there.
    fn save(&self, name: &str, text: &str) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Reads a text.
    fn load(&self, name: &str) -> impl Future<Output = Result<Option<String>, Failure>> + Send;
}

/// A rule that may depend on a bucket's events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Its name.
    pub name: String,
    /// Whether a stack of s3ferry made it.
    pub is_of_s3ferry: bool,
}

/// The rules of the default event bus.
pub trait EventRules: Send + Sync {
    /// Names the rules that may depend on the bucket's events, other than those in `except`.
    fn others_listening(
        &self,
        bucket: &BucketName,
        except: &[String],
    ) -> impl Future<Output = Result<Vec<Listener>, Failure>> + Send;
}

/// The passing of time.
pub trait Pause: Send + Sync {
    /// Waits.
    fn pause(&self, duration: Duration) -> impl Future<Output = ()> + Send;
}

/// Everything together; buckets are only known once a request names them.
pub trait WiringPorts: Send + Sync {
    /// A bucket's configuration.
    type Bucket: BucketConfiguration;
    /// A place for backups.
    type Backup: WiringBackup;
    /// The rules of the default event bus.
    type Rules: EventRules;
    /// The passing of time.
    type Pause: Pause;

    /// Reaches the configuration of a bucket that must belong to `account`.
    fn bucket(&self, bucket: &BucketName, account: &AccountId) -> Self::Bucket;

    /// Reaches the backups that `owner` keeps of `bucket` in the bucket `state`, which must belong to `account`.
    fn backup(&self, state: &BucketName, account: &AccountId, bucket: &BucketName, owner: &OwnerId) -> Self::Backup;

    /// Makes sure of a bucket, in whatever region it is expected, and reads what it keeps.
    fn examine(&self, bucket: &ExpectedBucket) -> impl Future<Output = Result<BucketState, PreflightError>> + Send;

    /// Reaches the rules of the default event bus.
    fn rules(&self) -> &Self::Rules;

    /// Reaches the passing of time.
    fn time(&self) -> &Self::Pause;
}
