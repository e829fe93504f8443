//! What one invocation did, in numbers.

/// Counts of one invocation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InvocationCounts {
    /// Keys whose object was copied.
    pub copied: u64,
    /// Bytes of those objects.
    pub bytes_copied: u64,
    /// Keys whose object had something around equal bytes changed.
    pub attributes_updated: u64,
    /// Keys whose object was deleted at the destination.
    pub deleted: u64,
    /// Keys that needed nothing.
    pub skipped: u64,
    /// Keys left alone because the destination's object is as new or newer, and not ours.
    pub conflicts: u64,
    /// Keys that a continuation brings back.
    pub requeued: u64,
    /// Records that failed, among them the refused ones.
    pub failed: u64,
    /// Records of another bucket than the configured one.
    pub refused: u64,
    /// Messages or records that nobody can read.
    pub unreadable: u64,
    /// Records that a newer event of the same key accompanied.
    pub stale: u64,
    /// Aspects that copies did not carry.
    pub attributes_not_preserved: u64,
}
