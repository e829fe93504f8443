//! Where a listing can be cut so that its pieces are read side by side: guesses of keys that lie ahead.
//!
//! A guess decides how fast a listing is, never what it holds: any text between two keys is a sound cut.

use std::collections::BTreeSet;

use crate::names::ObjectKey;

/// How many characters behind the common beginning of two keys are taken into account.
const WINDOW: usize = 12;

/// How many characters before the end of the common beginning are taken for digits as well, so that a number may carry.
const CARRY: usize = 4;

/// How many different characters are told apart; beyond that neighbours of a page say little about what comes.
const LARGEST_ALPHABET: usize = 256;

/// A stretch of a listing that was seen, from which is guessed what lies behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRange {
    /// Its first key.
    pub first: String,
    /// Its last key.
    pub last: String,
    /// Where in the keys the number begins that grows from the first key to the last, in characters.
    number_from: usize,
    digits: Digits,
}

impl KeyRange {
    /// Takes keys in their order; `None` when there are none.
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

    /// Guesses up to `count` texts that lie behind the stretch and before `end`, each `lengths` stretches behind the other.
    ///
    /// Keys are read like numbers whose digits are the characters that were seen behind what all keys of the stretch
    /// begin with. Where the numbers run out, the last guess is the end of all keys with this beginning.
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
        for turn in 1..=u128::try_from(count).unwrap_or(u128::MAX) {
            let ahead = high.saturating_add(step.saturating_mul(turn));
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

/// Returns the smallest text behind every text that begins with `prefix`; `None` where there is none.
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
    // The surrogates between are no characters.
    let code = u32::from(letter) + 1;
    char::from_u32(if code == 0xd800 { 0xe000 } else { code })
}

/// Keeps what is a sound cut: strictly ascending, behind `last` and before `end`, and no longer than a key: S3 lists from
/// behind a key, and refuses what can be none.
fn in_order(cuts: Vec<String>, last: &str, end: Option<&str>) -> Vec<String> {
    let mut kept: Vec<String> = Vec::with_capacity(cuts.len());
    for cut in cuts {
        let is_behind = cut.as_str() > kept.last().map_or(last, String::as_str);
        let is_before_end = end.is_none_or(|end| cut.as_str() < end);
        if is_behind && is_before_end && cut.len() <= ObjectKey::LIMIT_BYTES {
            kept.push(cut);
        }
    }
    kept
}

fn common_chars(one: &str, other: &str) -> usize {
    one.chars().zip(other.chars()).take_while(|(a, b)| a == b).count()
}

/// Returns where the number begins that has its first different character at `position`: a few of the same sort before.
fn start_of_number(key: &str, position: usize) -> usize {
    let Some(own) = key.chars().nth(position).map(sort_of) else {
        return position;
    };
    let before: Vec<char> = key.chars().take(position).collect();
    let alike = before
        .iter()
        .rev()
        .take(CARRY)
        .take_while(|letter| sort_of(**letter) == own);
    position - alike.count()
}

/// Tells letters that count together from those that do not.
fn sort_of(letter: char) -> (bool, bool) {
    // Hexadecimal digits count together.
    (
        letter.is_ascii_digit() || ('a'..='f').contains(&letter),
        letter.is_alphanumeric(),
    )
}

/// The digits that may stand at each place of a number, lowest first. A place of one digit only, such as a slash, is
/// passed over.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Digits {
    places: Vec<Vec<char>>,
}

impl Digits {
    /// Reads the digits of each place out of `keys`, whose numbers begin at `number_from` and differ from `common` on.
    fn seen<'a>(number_from: usize, common: usize, keys: impl Iterator<Item = &'a str>) -> Self {
        let mut places: Vec<BTreeSet<char>> = vec![BTreeSet::new(); WINDOW];
        let mut newest: Vec<Option<char>> = vec![None; WINDOW];
        for key in keys {
            let letters = key.chars().skip(number_from);
            for ((place, newest), letter) in places.iter_mut().zip(&mut newest).zip(letters) {
                // Neighbours mostly agree, and looking into a set a million times takes its time.
                if newest.replace(letter) != Some(letter) && place.len() < LARGEST_ALPHABET {
                    place.insert(letter);
                }
            }
        }
        let carries = common.saturating_sub(number_from);
        let is_number = |index: usize, place: &BTreeSet<char>| index <= carries || place.len() > 1;
        // A digit seen at one place may come at another one.
        let mut all: BTreeSet<char> = BTreeSet::new();
        for (index, place) in places.iter().enumerate() {
            if is_number(index, place) {
                all.extend(place);
            }
        }
        if all.iter().all(char::is_ascii_digit) {
            all.extend('0'..='9');
        }
        let sorts = |place: &BTreeSet<char>| place.iter().copied().map(sort_of).collect::<BTreeSet<_>>();
        let places = places.iter().enumerate().map(|(index, place)| {
            if !is_number(index, place) {
                return place.iter().copied().collect();
            }
            let sorts = sorts(place);
            all.iter()
                .copied()
                .filter(|letter| sorts.contains(&sort_of(*letter)))
                .collect()
        });
        Self {
            places: places.take_while(|place: &Vec<char>| !place.is_empty()).collect(),
        }
    }

    /// Reads the number that begins at `number_from`; a letter that is no digit of its place counts as the one before it.
    fn value(&self, key: &str, number_from: usize) -> u128 {
        let mut letters = key.chars().skip(number_from);
        self.places.iter().fold(0_u128, |value, place| {
            let rank = letters.next().map_or(0, |letter| {
                place.partition_point(|digit| *digit <= letter).saturating_sub(1)
            });
            value
                .saturating_mul(radix(place))
                .saturating_add(u128::try_from(rank).unwrap_or_default())
        })
    }

    /// Writes a number; `None` where it has more digits than there are places.
    fn text(&self, mut value: u128) -> Option<String> {
        let mut letters = Vec::with_capacity(self.places.len());
        for place in self.places.iter().rev() {
            let rank = usize::try_from(value % radix(place)).ok()?;
            letters.push(*place.get(rank)?);
            value /= radix(place);
        }
        (value == 0).then(|| letters.into_iter().rev().collect())
    }
}

fn radix(place: &[char]) -> u128 {
    u128::try_from(place.len()).unwrap_or(u128::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(keys: &[&str], end: Option<&str>, expected: &[&str]) {
        let stretch = KeyRange::of(keys.iter().copied()).unwrap();
        assert_eq!(stretch.cuts_ahead(end, 1, 3), expected);
    }

    #[test]
    fn numbered_keys_are_cut_where_the_next_pages_begin() {
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
            let stretch = KeyRange::of(keys.iter().map(String::as_str)).unwrap();
            for spread in [1, 2, 64] {
                let cuts = stretch.cuts_ahead(None, spread, 40);
                assert!(cuts.iter().all(|cut| cut.len() <= ObjectKey::LIMIT_BYTES), "{letters}");
            }
        }
    }

    #[test]
    fn nothing_lies_behind_the_last_text_of_all() {
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
            let stretch = KeyRange::of(keys.iter().map(String::as_str)).unwrap();
            let cuts = stretch.cuts_ahead(end.as_deref(), pages, count);
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
