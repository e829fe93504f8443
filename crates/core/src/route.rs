//! The two buckets of a migration.

use crate::names::BucketName;

/// Source and destination bucket of a migration, which identify its objects in the state bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationRoute {
    /// Bucket that is migrated.
    pub source: BucketName,
    /// Bucket that is migrated to.
    pub destination: BucketName,
}
