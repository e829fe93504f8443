//! A sample of keys, the same for the same keys and the same seed.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use crate::diff::KeyPair;

/// Draws so many keys out of any number: those whose hash with the seed is the smallest. Holds no more than the sample.
#[derive(Debug)]
pub struct KeySampler {
    size: usize,
    seed: u64,
    drawn: BTreeMap<[u8; 32], KeyPair>,
    /// How many keys were offered.
    pub offered: u64,
}

impl KeySampler {
    /// Begins a sample of `size` keys.
    #[must_use]
    pub fn new(size: usize, seed: u64) -> Self {
        Self {
            size,
            seed,
            drawn: BTreeMap::new(),
            offered: 0,
        }
    }

    /// Offers a key; another one may make room for it, or it is not drawn.
    pub fn offer(&mut self, pair: KeyPair) {
        self.offered += 1;
        let mut hash = Sha256::new();
        hash.update(self.seed.to_be_bytes());
        hash.update(pair.key().as_str());
        self.drawn.insert(hash.finalize().into(), pair);
        if self.drawn.len() > self.size {
            self.drawn.pop_last();
        }
    }

    /// Ends the sample: the keys that were drawn, in their order.
    #[must_use]
    pub fn drawn(self) -> Vec<KeyPair> {
        let mut pairs: Vec<KeyPair> = self.drawn.into_values().collect();
        pairs.sort_by(|one, other| one.key().cmp(other.key()));
        pairs
    }
}
