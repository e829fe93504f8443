//! Settings of the two buckets that decisions depend on.

use crate::facts::ExplicitEncryption;
use crate::lock::DefaultRetention;

/// Whether an enabled replication rule of the source bucket covers the key and names this destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplicationCoverage {
    /// Not read yet.
    NotRead,
    /// An enabled rule covers the key.
    Covered,
    /// No enabled rule covers the key.
    NotCovered,
}

/// Encryption of objects that are written to the destination bucket without an explicit encryption.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DefaultEncryption {
    /// Not read yet.
    NotRead,
    /// The bucket's encryption configuration cannot be read.
    Unknown,
    /// The bucket's encryption configuration.
    Known(ExplicitEncryption),
}

/// Attributes that both buckets can store, according to their settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BucketCapabilities {
    /// Object Lock of the destination bucket; `None` if it is not enabled.
    pub object_lock: Option<BucketObjectLock>,
    /// Whether both buckets have access control lists (neither is `BucketOwnerEnforced`).
    pub acl: bool,
}

/// Object Lock configuration of a bucket.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BucketObjectLock {
    /// Default retention of versions that are written without an explicit one.
    pub default: Option<DefaultRetention>,
}
