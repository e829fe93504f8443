//! Reproducible pseudo-random numbers.

/// `SplitMix64`: small, fast, and the same on every platform.
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// Returns the sequence for one file in a run.
    pub(crate) fn of(seed: u64, index: usize) -> Self {
        let mut mixed = Self(seed ^ (index as u64).wrapping_mul(0xA24B_AED4_963E_E407));
        mixed.next();
        mixed
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number below `limit`; 0 if `limit` is 0.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % (limit.max(1) as u64)).unwrap_or(0)
    }

    /// Returns one of several values.
    pub(crate) fn pick<'a, T>(&mut self, choices: &'a [T]) -> Option<&'a T> {
        choices.get(self.below(choices.len()))
    }
}
