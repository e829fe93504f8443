//! What happens next: drawn from a seed, or every possibility in order.

/// Pseudo-random choices, the same for the same seed.
#[derive(Debug, Clone)]
pub struct SeededChoices(u64);

impl SeededChoices {
    /// Starts with a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d)
    }

    /// Picks a number below `count`, which is not zero.
    pub fn below(&mut self, count: usize) -> usize {
        let bound = u64::try_from(count).expect("counts are small");
        usize::try_from(self.next() % bound).expect("smaller than a count")
    }

    /// Returns `true` once in `count` times.
    pub fn once_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    /// Picks an element of a list that is not empty.
    pub fn of<T: Clone>(&mut self, list: &[T]) -> T {
        let index = self.below(list.len());
        list.get(index).cloned().expect("the list is not empty")
    }

    /// `SplitMix64`, whose every seed gives a full period.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// Every sequence of choices, depth first: run, then [`advance`](Self::advance), until no other is left.
#[derive(Debug, Clone, Default)]
pub struct SchedulePaths {
    /// The number picked, and how many there were.
    path: Vec<(usize, usize)>,
    position: usize,
}

impl SchedulePaths {
    /// Picks a number below `count`, which is not zero; 0 where no earlier run made a choice.
    pub fn below(&mut self, count: usize) -> usize {
        assert!(count > 0, "there is nothing to pick");
        if let Some((picked, of)) = self.path.get(self.position) {
            assert_eq!(*of, count, "the same choices lead to the same options");
            self.position += 1;
            return *picked;
        }
        self.path.push((0, count));
        self.position += 1;
        0
    }

    /// Repeats the same sequence.
    pub fn restart(&mut self) {
        self.position = 0;
    }

    /// Proceeds to the next sequence; returns whether there is one.
    pub fn advance(&mut self) -> bool {
        self.position = 0;
        while let Some((picked, of)) = self.path.pop() {
            if picked + 1 < of {
                self.path.push((picked + 1, of));
                return true;
            }
        }
        false
    }
}
