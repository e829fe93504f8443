//! The ports of the bucket wiring: traits through which it reaches AWS.

use std::fmt::Debug;
use std::future::Future;

use s3ferry_core::failure::Failure;
use s3ferry_core::names::{AccountId, BucketName};
use s3ferry_core::preflight::{BucketState, ExpectedBucket, PreflightError};
use s3ferry_core::wiring::{
    NotificationConfiguration, OwnerId, ReplicationConfiguration, ReplicationTerms, Versioning,
};
use serde::Serialize;

use crate::ports::Clock;

/// The configuration of one bucket. After a change, S3 may return the previous configuration for some time.
pub trait BucketConfiguration: Send + Sync {
    /// A complete replication rule. Foreign rules are written back unchanged.
    type Rule: Clone + PartialEq + Debug + Serialize + Send + Sync;

    /// Reads the versioning state.
    fn versioning(&self) -> impl Future<Output = Result<Versioning, Failure>> + Send;

    /// Enables versioning.
    fn enable_versioning(&self) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Reads the notification configuration, which is empty for a bucket without one.
    fn notification(&self) -> impl Future<Output = Result<NotificationConfiguration, Failure>> + Send;

    /// Replaces the complete notification configuration. With `check`, S3 validates every target first.
    fn put_notification(
        &self,
        configuration: &NotificationConfiguration,
        check: bool,
    ) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Reads the replication configuration.
    fn replication(&self)
    -> impl Future<Output = Result<Option<ReplicationConfiguration<Self::Rule>>, Failure>> + Send;

    /// Replaces the complete replication configuration, or deletes it.
    fn put_replication(
        &self,
        configuration: Option<&ReplicationConfiguration<Self::Rule>>,
    ) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Builds a replication rule from an Id, a priority and terms.
    fn compose(&self, id: &str, priority: i32, terms: &ReplicationTerms) -> Self::Rule;
}

/// The store for one owner's backups of one bucket's configuration.
pub trait WiringBackup: Send + Sync {
    /// Writes a text under a name, unless the name has one.
    fn save_once(&self, name: &str, text: &str) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Writes a text under a name, and replaces a previous one.
    fn save(&self, name: &str, text: &str) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Reads the text of a name.
    fn load(&self, name: &str) -> impl Future<Output = Result<Option<String>, Failure>> + Send;
}

/// An event rule that may depend on a bucket's events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// The name of the rule.
    pub name: String,
    /// Whether a stack of s3ferry created the rule.
    pub is_of_s3ferry: bool,
}

/// The rules of the default event bus.
pub trait EventRules: Send + Sync {
    /// Lists the rules that may depend on the bucket's events, except those in `except`.
    fn others_listening(
        &self,
        bucket: &BucketName,
        except: &[String],
    ) -> impl Future<Output = Result<Vec<Listener>, Failure>> + Send;
}

/// All ports of the bucket wiring. Buckets are known only once a request names them.
pub trait WiringPorts: Send + Sync {
    /// A bucket's configuration.
    type Bucket: BucketConfiguration;
    /// The store for backups.
    type Backup: WiringBackup;
    /// The rules of the default event bus.
    type Rules: EventRules;
    /// The clock.
    type Clock: Clock;

    /// Returns the configuration of a bucket that must belong to `account`.
    fn bucket(&self, bucket: &BucketName, account: &AccountId) -> Self::Bucket;

    /// Returns the store for the backups of `bucket` by `owner`, in the bucket `state` that must belong to `account`.
    fn backup(&self, state: &BucketName, account: &AccountId, bucket: &BucketName, owner: &OwnerId) -> Self::Backup;

    /// Checks that a bucket has the expected region and owner, and reads its versioning and Object Lock.
    fn examine(&self, bucket: &ExpectedBucket) -> impl Future<Output = Result<BucketState, PreflightError>> + Send;

    /// Returns the rules of the default event bus.
    fn rules(&self) -> &Self::Rules;

    /// Returns the clock.
    fn clock(&self) -> &Self::Clock;
}
