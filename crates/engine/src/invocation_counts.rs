//! The counts of one invocation.

use std::collections::BTreeMap;

/// The counts of one invocation, from which its metrics are made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InvocationCounts {
    /// Keys whose object was copied.
    pub copied: u64,
    /// Total size of the copied objects.
    pub bytes_copied: u64,
    /// Keys with equal content whose attributes were updated.
    pub attributes_updated: u64,
    /// Keys whose object was deleted at the destination.
    pub deleted: u64,
    /// Keys that required no write.
    pub skipped: u64,
    /// Keys with a conflict: the destination has an external write that is as new as the source object, or newer.
    pub conflicts: u64,
    /// Keys that were requeued with a continuation.
    pub requeued: u64,
    /// Records that failed, including refused records.
    pub failed: u64,
    /// Records of other buckets than the source bucket.
    pub refused: u64,
    /// Malformed messages or records.
    pub unreadable: u64,
    /// Records superseded by a newer event for the same key in the batch.
    pub superseded: u64,
    /// Source attributes that copies do not have.
    pub attributes_not_preserved: u64,
    /// Failed records by the code of their failure.
    pub failed_by_code: BTreeMap<String, u64>,
    /// For each copied object with the time of its event: milliseconds until it was copied.
    pub lags_ms: Vec<u64>,
}
