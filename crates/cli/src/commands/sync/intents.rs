//! Keys that s3ferry deleted at a destination that applications write to, too.
//!
//! A newer write of an application may lie hidden below the delete marker if s3ferry crashed before it read what its delete
//! came to. If the source has no such object either, neither listing names the key. The intent in the state bucket does.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};

use s3ferry_core::names::ObjectKey;

use super::deletes::SpilledKeys;
use crate::exit::CliError;

/// The number of keys that are deduplicated. A key beyond them may be reconciled more than once, which changes nothing.
const DISTINGUISHED: usize = 1_000_000;

/// The keys of the intents: in a temporary file until the listings are complete, with a hash of each in memory.
#[derive(Debug)]
pub(super) struct DeletedKeys {
    held: SpilledKeys,
    /// Hashes of the first keys in `held` that were not reconciled yet.
    left: HashSet<u64>,
    /// The number of keys of `held` whose hashes were in `left` at first.
    distinguished: usize,
    hasher: RandomState,
}

impl DeletedKeys {
    pub(super) fn new() -> Result<Self, CliError> {
        Ok(Self {
            held: SpilledKeys::new()?,
            left: HashSet::new(),
            distinguished: 0,
            hasher: RandomState::new(),
        })
    }

    /// Adds the key of an intent; a key has one for each version that was deleted.
    pub(super) fn push(&mut self, key: &ObjectKey) -> Result<(), CliError> {
        self.push_within(DISTINGUISHED, key)
    }

    fn push_within(&mut self, limit: usize, key: &ObjectKey) -> Result<(), CliError> {
        let hash = self.hasher.hash_one(key);
        if self.left.contains(&hash) {
            return Ok(());
        }
        if self.distinguished < limit {
            self.left.insert(hash);
            self.distinguished += 1;
        }
        self.held.push(key)
    }

    /// Removes a key that is reconciled because a listing contains it.
    pub(super) fn leave_out(&mut self, key: &ObjectKey) {
        if !self.left.is_empty() {
            self.left.remove(&self.hasher.hash_one(key));
        }
    }

    /// Returns the keys that were not removed.
    pub(super) fn keys(self) -> Result<impl Iterator<Item = Result<ObjectKey, CliError>>, CliError> {
        let Self {
            held,
            left,
            distinguished,
            hasher,
        } = self;
        let is_left = move |(index, key): (usize, Result<ObjectKey, CliError>)| match key {
            Ok(key) if index < distinguished && !left.contains(&hasher.hash_one(&key)) => None,
            key => Some(key),
        };
        Ok(held.keys()?.enumerate().filter_map(is_left))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> ObjectKey {
        ObjectKey::from_raw(name).unwrap()
    }

    #[track_caller]
    fn check(limit: usize, pushed: &[&str], left_out: &[&str], expected: &[&str]) {
        let mut keys = DeletedKeys::new().unwrap();
        for name in pushed {
            keys.push_within(limit, &key(name)).unwrap();
        }
        for name in left_out {
            keys.leave_out(&key(name));
        }
        let left: Vec<ObjectKey> = keys.keys().unwrap().map(Result::unwrap).collect();
        assert_eq!(left, expected.iter().map(|name| key(name)).collect::<Vec<_>>());
    }

    #[test]
    fn each_key_comes_once_unless_a_listing_named_it() {
        check(10, &["a", "b", "a", "c"], &["b", "d"], &["a", "c"]);
        check(10, &["a"], &["a"], &[]);
    }

    #[test]
    fn keys_beyond_the_limit_come_as_often_as_they_were_announced() {
        check(1, &["a", "b", "a", "b"], &["a", "b"], &["b", "b"]);
    }
}
