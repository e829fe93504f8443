//! What `s3ferry preflight` reads of buckets, account and stack, without SDK types.

use super::policy_document::PolicyDocument;
use super::reading::Reading;
use super::sample::{HeadSample, ObjectSample, VersionSample};
use crate::acl::Grant;
use crate::bucket_settings::BucketObjectLock;
use crate::facts::ExplicitEncryption;
use crate::names::{AccountId, BucketName, Region};
use crate::policy::Ownership;
use crate::time::Timestamp;
use crate::wiring::{EventSource, NotificationConfiguration, ReplicationEngine, Versioning};

/// All facts that the checks depend on.
#[derive(Debug, Clone, PartialEq)]
pub struct PreflightFacts {
    /// Choices of the migration.
    pub choices: MigrationChoices,
    /// Source bucket.
    pub source: BucketFacts,
    /// Destination bucket.
    pub destination: BucketFacts,
    /// Current objects of the source.
    pub objects: Reading<ObjectSample>,
    /// Versions of the source.
    pub versions: Reading<VersionSample>,
    /// HEAD responses of some source objects.
    pub heads: Reading<HeadSample>,
    /// Account of the credentials.
    pub account: AccountFacts,
    /// KMS keys of both buckets and of the source objects that were read.
    pub keys: Vec<KeyFacts>,
    /// Deployed source stack; `None` without `--stack`.
    pub stack: Option<StackFacts>,
}

/// Choices of the migration that decide which configurations are problems.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationChoices {
    /// What replicates new writes.
    pub engine: ReplicationEngine,
    /// Path of events to the queue.
    pub event_source: EventSource,
    /// Who writes to the destination.
    pub ownership: Ownership,
    /// Whether deletes are propagated.
    pub propagate_deletes: bool,
    /// Prefix of the keys.
    pub prefix: String,
    /// Time of the run.
    pub now: Timestamp,
}

/// Facts of one bucket.
#[derive(Debug, Clone, PartialEq)]
pub struct BucketFacts {
    /// Name of the bucket.
    pub name: BucketName,
    /// Region in which the bucket is expected.
    pub region: Region,
    /// Account that must own the bucket, if one is required.
    pub expected_owner: Option<AccountId>,
    /// Whether the bucket exists, and where.
    pub existence: Reading<BucketExistence>,
    /// Whether the account of the credentials owns the bucket.
    pub is_callers: Reading<bool>,
    /// Versioning state.
    pub versioning: Reading<Versioning>,
    /// Notification configuration.
    pub notification: Reading<NotificationConfiguration>,
    /// Replication configuration, if there is one.
    pub replication: Reading<Option<ReplicationFacts>>,
    /// Default encryption.
    pub encryption: Reading<BucketEncryptionFacts>,
    /// Bucket policy, if there is one.
    pub policy: Reading<Option<PolicyDocument>>,
    /// Object Ownership setting.
    pub ownership: Reading<ObjectOwnership>,
    /// Grants of the bucket besides the owner's.
    pub grants: Reading<Vec<Grant>>,
    /// Object Lock, if enabled.
    pub object_lock: Reading<Option<BucketObjectLock>>,
    /// Lifecycle rules.
    pub lifecycle: Reading<Vec<LifecycleRuleFacts>>,
    /// Whether the requester pays.
    pub requester_pays: Reading<bool>,
    /// Whether Transfer Acceleration is enabled.
    pub accelerated: Reading<bool>,
    /// Bucket that receives the access logs, if logging is on.
    pub logging_target: Reading<Option<String>>,
    /// Inventory configurations.
    pub inventories: Reading<Vec<String>>,
    /// IDs of Intelligent-Tiering configurations with archive access tiers.
    pub archive_tierings: Reading<Vec<String>>,
    /// Multipart uploads in progress.
    pub uploads: Reading<UploadFacts>,
}

/// Whether a bucket exists, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BucketExistence {
    /// The bucket exists; the region, if S3 names it.
    Exists {
        /// Region of the bucket.
        region: Option<String>,
    },
    /// No bucket has this name.
    Missing,
    /// The request was refused while it expected an owner: another account owns the bucket, or a permission is missing.
    OtherOwner,
}

/// Replication configuration of a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicationFacts {
    /// Role that S3 assumes.
    pub role: String,
    /// Rules.
    pub rules: Vec<ReplicationRuleFacts>,
}

/// Replication rule of a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicationRuleFacts {
    /// ID of the rule.
    pub id: String,
    /// Whether the rule is enabled.
    pub enabled: bool,
    /// Whether the rule has a `Filter` element (configuration V2).
    pub has_filter: bool,
    /// ARN of the destination bucket.
    pub destination_arn: String,
}

/// Encryption configuration of a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketEncryptionFacts {
    /// Default encryption.
    pub default: ExplicitEncryption,
    /// Whether objects under customer-provided keys (SSE-C) are blocked.
    pub blocks_customer_keys: bool,
}

/// Object Ownership setting of a bucket.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/about-object-ownership.html>
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectOwnership {
    /// Access control lists are disabled.
    BucketOwnerEnforced,
    /// Access control lists are enabled; the bucket owner owns objects with a suitable ACL.
    BucketOwnerPreferred,
    /// Access control lists are enabled; the writer owns the objects. Also the state of a bucket without the setting.
    ObjectWriter,
}

impl ObjectOwnership {
    /// Returns S3's name of the setting.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BucketOwnerEnforced => "BucketOwnerEnforced",
            Self::BucketOwnerPreferred => "BucketOwnerPreferred",
            Self::ObjectWriter => "ObjectWriter",
        }
    }
}

/// Lifecycle rule of a bucket.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LifecycleRuleFacts {
    /// ID of the rule.
    pub id: String,
    /// Whether the rule is enabled.
    pub enabled: bool,
    /// Prefix of the keys.
    pub prefix: String,
    /// Age in days at which current objects expire.
    pub expires_after_days: Option<u32>,
    /// Whether current objects expire at a date.
    pub expires_at_date: bool,
    /// Age in days and storage class of the transitions of current objects; a transition at a date has no age.
    pub transitions: Vec<(Option<u32>, String)>,
    /// Days after which noncurrent versions expire.
    pub noncurrent_expires_after_days: Option<u32>,
    /// Days after which incomplete uploads are aborted.
    pub aborts_uploads_after_days: Option<u32>,
}

/// Multipart uploads in progress, as far as they were listed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UploadFacts {
    /// Number of uploads on the first page.
    pub listed: u64,
    /// Whether more uploads follow.
    pub more: bool,
    /// Start of the oldest upload.
    pub oldest: Option<Timestamp>,
}

/// Facts of the account of the credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountFacts {
    /// Account of the credentials.
    pub caller: Reading<AccountId>,
    /// Concurrency limits of Lambda in the source region.
    pub lambda: Reading<LambdaLimits>,
    /// Jobs of S3 Batch Operations in the source region that are not finished.
    pub batch_jobs: Reading<u64>,
}

/// Concurrency limits of Lambda.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LambdaLimits {
    /// Concurrent executions of the account.
    pub concurrent: u64,
    /// Concurrent executions that no function reserves.
    pub unreserved: u64,
}

/// KMS key.
#[derive(Debug, Clone, PartialEq)]
pub struct KeyFacts {
    /// ARN, ID or alias of the key, as the bucket or object names it.
    pub key: String,
    /// Region of the bucket whose objects the key encrypts.
    pub region: Region,
    /// Whether the key encrypts the source, rather than the destination.
    pub of_source: bool,
    /// State and manager of the key.
    pub state: Reading<KeyState>,
    /// Key policy.
    pub policy: Reading<PolicyDocument>,
}

/// State of a KMS key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyState {
    /// State, such as `Enabled`.
    pub state: String,
    /// Whether AWS manages the key, as `aws/s3`.
    pub aws_managed: bool,
}

/// Facts of a deployed source stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StackFacts {
    /// Name of the stack.
    pub name: String,
    /// ARN of the queue that receives the bucket's events.
    pub queue_arn: Reading<String>,
    /// Largest message of that queue.
    pub queue_message_bytes: Reading<u64>,
}
