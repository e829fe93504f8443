//! How long to wait after a turn that failed.

use std::time::Duration;

use s3ferry_core::names::ObjectKey;

/// Returns how long to wait after a turn that failed: growing, bounded, and spread by key so that keys that failed
/// together do not come back together.
#[must_use]
pub fn backoff(key: &ObjectKey, turn: u32) -> Duration {
    const FIRST_MS: u64 = 200;
    const LONGEST_MS: u64 = 5_000;
    let ceiling_ms = FIRST_MS.saturating_mul(1 << turn.min(10)).min(LONGEST_MS);
    let half_ms = ceiling_ms / 2;
    Duration::from_millis(half_ms + spread(key, turn) % half_ms.max(1))
}

/// Hashes with FNV-1a: the same in every run, which chance would not be.
fn spread(key: &ObjectKey, turn: u32) -> u64 {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let bytes = key.as_str().bytes().chain(turn.to_le_bytes());
    bytes.fold(OFFSET, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME))
}
