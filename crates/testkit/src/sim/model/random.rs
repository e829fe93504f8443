//! Pseudorandom numbers from a seed.

/// Returns one step of `SplitMix64`: a well-mixed number for each input.
pub(crate) fn mix(value: u64) -> u64 {
    let mut mixed = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// A sequence of pseudorandom numbers.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(mix(seed))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// Returns true with a probability.
    pub(crate) fn happens(&mut self, probability: f64) -> bool {
        // The upper 53 bits: an f64 represents them exactly.
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit exactly")]
        let fraction = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        fraction < probability
    }

    /// Returns a random identifier of letters and digits.
    pub(crate) fn identifier(&mut self, length: usize) -> String {
        (0..length)
            .map(|_| {
                let index = usize::try_from(self.next() % 62).unwrap_or_default();
                char::from(ALPHABET.get(index).copied().unwrap_or(b'0'))
            })
            .collect()
    }

    /// Returns 16 random bytes in hexadecimal, as an ETag that is not a content hash.
    pub(crate) fn opaque_etag(&mut self) -> String {
        format!("{:016x}{:016x}", self.next(), self.next())
    }
}
