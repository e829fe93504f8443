//! Random sample of keys. The same keys and the same seed produce the same sample.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use crate::diff::KeyPair;

/// Selects a number of keys from a stream: those with the lowest hash with the seed. It holds only the sample.
#[derive(Debug)]
pub struct KeySampler {
    size: usize,
    seed: u64,
    drawn: BTreeMap<[u8; 32], KeyPair>,
    /// Number of keys in the stream so far.
    pub offered: u64,
}

impl KeySampler {
    /// Creates a sampler for `size` keys.
    #[must_use]
    pub fn new(size: usize, seed: u64) -> Self {
        Self {
            size,
            seed,
            drawn: BTreeMap::new(),
            offered: 0,
        }
    }

    /// Adds a key to the stream. The key with the highest hash is discarded if the sample exceeds its size.
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

    /// Returns the sample, in key order.
    #[must_use]
    pub fn drawn(self) -> Vec<KeyPair> {
        let mut pairs: Vec<KeyPair> = self.drawn.into_values().collect();
        pairs.sort_by(|one, other| one.key().cmp(other.key()));
        pairs
    }
}
