//! Splitting of a listing into ranges that are listed concurrently: guesses of keys that follow a listed page.
//!
//! A guess affects only how fast a listing is. Any text between two keys is a valid boundary.

use std::collections::BTreeSet;

use crate::names::ObjectKey;

/// Number of characters after the common prefix of two keys that are evaluated.
const WINDOW: usize = 12;

/// Number of characters at the end of the common prefix that also count as digits, so that a number can carry.
const CARRY: usize = 4;

/// Maximum number of distinct characters per position. With more, a page predicts little about the following keys.
const LARGEST_ALPHABET: usize = 256;

/// Listed range of keys, from which the following keys are guessed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRange {
    /// First key of the range.
    pub first: String,
    /// Last key of the range.
    pub last: String,
    /// Position in the keys of the number that grows from the first key to the last, in characters.
    number_from: usize,
    digits: Digits,
}

impl KeyRange {
    /// Returns the range of keys in listing order, `None` if there are no keys.
    #[must_use]
    pub fn of<'a>(keys: impl DoubleEndedIterator<Item = &'a str> + Clone) -> Option<Self> {
        let (first, last) = (keys.clone().next()?, keys.clone().next_back()?);
        let common = common_chars(first, last);
        let number_from = start_of_number(last, common);
        Some(Self {
            first: first.to_owned(),
            last: last.to_owned(),
            number_from,
            digits: Digits::seen(number_from, common, keys),
        })
    }

    /// Returns up to `count` guessed boundaries between the range and `end`, each `lengths` range lengths apart.
    ///
    /// Keys are read as numbers, whose digits are the characters after the common prefix of all keys in the range. If
    /// the numbers are exhausted, the last boundary is the end of all keys with this prefix.
    #[must_use]
    pub fn cuts_ahead(&self, end: Option<&str>, lengths: u32, count: usize) -> Vec<String> {
        let prefix: String = self.last.chars().take(self.number_from).collect();
        let low = self.digits.value(&self.first, self.number_from);
        let high = self.digits.value(&self.last, self.number_from);
        let step = high
            .saturating_sub(low)
            .max(1)
            .saturating_mul(u128::from(lengths.max(1)));
        let mut cuts: Vec<String> = Vec::new();
        for index in 1..=u128::try_from(count).unwrap_or(u128::MAX) {
            let ahead = high.saturating_add(step.saturating_mul(index));
            let Some(text) = self.digits.text(ahead) else { break };
            cuts.push(format!("{prefix}{text}"));
        }
        if cuts.len() < count
            && let Some(after) = after_all_with(&prefix)
        {
            cuts.push(after);
        }
        in_order(cuts, &self.last, end)
    }
}

/// Returns the smallest text that sorts after every text with `prefix`, `None` if there is none.
#[must_use]
pub fn after_all_with(prefix: &str) -> Option<String> {
    let mut chars: Vec<char> = prefix.chars().collect();
    while let Some(last) = chars.pop() {
        if let Some(next) = next_char(last) {
            chars.push(next);
            return Some(chars.into_iter().collect());
        }
    }
    None
}

fn next_char(letter: char) -> Option<char> {
    // The code points between are surrogates, which are not characters.
    let code = u32::from(letter) + 1;
    char::from_u32(if code == 0xd800 { 0xe000 } else { code })
}

/// Returns the valid boundaries: ascending, after `last`, before `end`, and not longer than a key. S3 rejects a longer
/// start-after key.
fn in_order(cuts: Vec<String>, last: &str, end: Option<&str>) -> Vec<String> {
    let mut valid: Vec<String> = Vec::with_capacity(cuts.len());
    for cut in cuts {
        let is_behind = cut.as_str() > valid.last().map_or(last, String::as_str);
        let is_before_end = end.is_none_or(|end| cut.as_str() < end);
        if is_behind && is_before_end && cut.len() <= ObjectKey::LIMIT_BYTES {
            valid.push(cut);
        }
    }
    valid
}

fn common_chars(one: &str, other: &str) -> usize {
    one.chars().zip(other.chars()).take_while(|(a, b)| a == b).count()
}

/// Returns the start of the number whose first different character is at `position`: up to [`CARRY`] characters of its
/// class before it.
fn start_of_number(key: &str, position: usize) -> usize {
    let Some(own) = key.chars().nth(position).map(class_of) else {
        return position;
    };
    let before: Vec<char> = key.chars().take(position).collect();
    let alike = before
        .iter()
        .rev()
        .take(CARRY)
        .take_while(|letter| class_of(**letter) == own);
    position - alike.count()
}

/// Returns the class of a character. Characters of one class are digits of the same number.
fn class_of(letter: char) -> (bool, bool) {
    // Hexadecimal digits are one class.
    (
        letter.is_ascii_digit() || ('a'..='f').contains(&letter),
        letter.is_alphanumeric(),
    )
}

/// Possible digits at each position of a number, in ascending order. A position with one digit, such as a slash, is
/// constant.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Digits {
    positions: Vec<Vec<char>>,
}

impl Digits {
    /// Collects the digits at each position of `keys`. The numbers begin at `number_from` and differ from `common` on.
    fn seen<'a>(number_from: usize, common: usize, keys: impl Iterator<Item = &'a str>) -> Self {
        let mut positions: Vec<BTreeSet<char>> = vec![BTreeSet::new(); WINDOW];
        let mut newest: Vec<Option<char>> = vec![None; WINDOW];
        for key in keys {
            let letters = key.chars().skip(number_from);
            for ((position, newest), letter) in positions.iter_mut().zip(&mut newest).zip(letters) {
                // Consecutive keys mostly have the same character, and a million set lookups take time.
                if newest.replace(letter) != Some(letter) && position.len() < LARGEST_ALPHABET {
                    position.insert(letter);
                }
            }
        }
        let carries = common.saturating_sub(number_from);
        let is_number = |index: usize, position: &BTreeSet<char>| index <= carries || position.len() > 1;
        // A digit at one position may occur at any other.
        let mut all: BTreeSet<char> = BTreeSet::new();
        for (index, position) in positions.iter().enumerate() {
            if is_number(index, position) {
                all.extend(position);
            }
        }
        if all.iter().all(char::is_ascii_digit) {
            all.extend('0'..='9');
        }
        let classes = |position: &BTreeSet<char>| position.iter().copied().map(class_of).collect::<BTreeSet<_>>();
        let positions = positions.iter().enumerate().map(|(index, position)| {
            if !is_number(index, position) {
                return position.iter().copied().collect();
            }
            let classes = classes(position);
            all.iter()
                .copied()
                .filter(|letter| classes.contains(&class_of(*letter)))
                .collect()
        });
        Self {
            positions: positions
                .take_while(|position: &Vec<char>| !position.is_empty())
                .collect(),
        }
    }

    /// Returns the number at `number_from`. An unknown character counts as the next lower digit.
    fn value(&self, key: &str, number_from: usize) -> u128 {
        let mut letters = key.chars().skip(number_from);
        self.positions.iter().fold(0_u128, |value, position| {
            let rank = letters.next().map_or(0, |letter| {
                position.partition_point(|digit| *digit <= letter).saturating_sub(1)
            });
            value
                .saturating_mul(radix(position))
                .saturating_add(u128::try_from(rank).unwrap_or_default())
        })
    }

    /// Returns the text of a number, `None` if it has more digits than there are positions.
    fn text(&self, mut value: u128) -> Option<String> {
        let mut letters = Vec::with_capacity(self.positions.len());
        for position in self.positions.iter().rev() {
            let rank = usize::try_from(value % radix(position)).ok()?;
            letters.push(*position.get(rank)?);
            value /= radix(position);
        }
        (value == 0).then(|| letters.into_iter().rev().collect())
    }
}

fn radix(position: &[char]) -> u128 {
    u128::try_from(position.len()).unwrap_or(u128::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(keys: &[&str], end: Option<&str>, expected: &[&str]) {
        let range = KeyRange::of(keys.iter().copied()).unwrap();
        assert_eq!(range.cuts_ahead(end, 1, 3), expected);
    }

    #[test]
    fn numbered_keys_are_cut_at_the_start_of_the_next_pages() {
        let keys: Vec<String> = (0..1_000).map(|number| format!("log-{number:06}")).collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        check(&keys, None, &["log-001998", "log-002997", "log-003996"]);
    }

    #[test]
    fn end_of_a_folder_is_a_cut() {
        check(&["a/7", "a/8", "a/9"], None, &["a0"]);
        check(&["a/7", "a/8", "a/9"], Some("a0"), &[]);
    }

    #[test]
    fn no_cut_is_longer_than_a_key() {
        for letters in ["日本語", "αβγ", "xyz", "012"] {
            let folder = "f".repeat(ObjectKey::LIMIT_BYTES - 1 - 4 * letters.chars().next().unwrap().len_utf8());
            let keys: Vec<String> = letters
                .chars()
                .flat_map(|first| letters.chars().map(move |second| format!("{first}{second}{second}")))
                .map(|name| format!("{folder}/{name}"))
                .collect();
            assert!(keys.iter().all(|key| key.len() <= ObjectKey::LIMIT_BYTES));
            let range = KeyRange::of(keys.iter().map(String::as_str)).unwrap();
            for spread in [1, 2, 64] {
                let cuts = range.cuts_ahead(None, spread, 40);
                assert!(cuts.iter().all(|cut| cut.len() <= ObjectKey::LIMIT_BYTES), "{letters}");
            }
        }
    }

    #[test]
    fn last_possible_text_has_no_successor() {
        assert_eq!(after_all_with(""), None);
        assert_eq!(after_all_with("\u{10ffff}"), None);
        assert_eq!(after_all_with("a\u{10ffff}"), Some("b".to_owned()));
        assert_eq!(after_all_with("\u{d7ff}"), Some("\u{e000}".to_owned()));
    }

    proptest! {
        #[test]
        fn cuts_ascend_between_the_last_key_and_the_end(
            mut keys in prop::collection::btree_set("\\PC{0,12}", 2..20),
            pages in 1u32..5,
            count in 0usize..40,
        ) {
            let end = keys.pop_last();
            let last = keys.last().cloned().unwrap_or_default();
            let range = KeyRange::of(keys.iter().map(String::as_str)).unwrap();
            let cuts = range.cuts_ahead(end.as_deref(), pages, count);
            prop_assert!(cuts.len() <= count.max(1));
            let mut before = last.clone();
            for cut in cuts {
                prop_assert!(cut > before);
                prop_assert!(end.as_ref().is_none_or(|end| cut < *end));
                before = cut;
            }
        }
    }
}
