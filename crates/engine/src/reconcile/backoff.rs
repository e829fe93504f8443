//! The wait after a failed pass.

use std::time::Duration;

use s3ferry_core::names::ObjectKey;

/// Returns the wait after a failed pass.
///
/// The wait grows with each pass up to a limit. It differs between keys, so that keys that failed at the same time are
/// not repeated at the same time.
#[must_use]
pub fn backoff(key: &ObjectKey, pass: u32) -> Duration {
    const FIRST_MS: u64 = 200;
    const LONGEST_MS: u64 = 5_000;
    let ceiling_ms = FIRST_MS.saturating_mul(1 << pass.min(10)).min(LONGEST_MS);
    let half_ms = ceiling_ms / 2;
    Duration::from_millis(half_ms + spread(key, pass) % half_ms.max(1))
}

/// Returns the FNV-1a hash of key and pass: unlike a random number, it is the same in every run.
fn spread(key: &ObjectKey, pass: u32) -> u64 {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let bytes = key.as_str().bytes().chain(pass.to_le_bytes());
    bytes.fold(OFFSET, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn waits_grow_to_a_limit_and_differ_between_keys() {
        for (pass, ceiling_ms) in [(1, 400), (2, 800), (4, 3_200), (5, 5_000), (40, 5_000)] {
            let waits: BTreeSet<u128> = (0..100)
                .filter_map(|number| ObjectKey::from_raw(format!("key-{number}")).ok())
                .map(|key| backoff(&key, pass).as_millis())
                .collect();
            let bounds = u128::from(ceiling_ms / 2_u64)..u128::from(ceiling_ms);
            assert!(waits.iter().all(|wait| bounds.contains(wait)), "pass {pass}: {waits:?}");
            assert!(waits.len() > 50, "pass {pass}: {waits:?}");
        }
    }
}
