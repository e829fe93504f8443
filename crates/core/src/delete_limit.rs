//! Limit of the deletes of one sync: a wrong, empty or partial source listing must not empty the destination.

use std::fmt;
use std::str::FromStr;

/// Default limit, as a percentage of the destination's keys.
const DEFAULT_PERCENT: u64 = 50;

/// Default limit, as a number of keys. It applies if it is higher than the percentage.
const DEFAULT_KEYS: u64 = 1_000;

/// Limit of deletes, from `--max-delete`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MaxDelete {
    /// Half of the destination's keys or 1,000 keys, whichever is more.
    Default,
    /// Number of keys.
    Keys(u64),
    /// Percentage of the destination's keys.
    Percent(u64),
}

impl MaxDelete {
    fn allows(self, deletes: &Deletes) -> bool {
        let within =
            |percent: u64| u128::from(deletes.keys) * 100 <= u128::from(deletes.destination_keys) * u128::from(percent);
        match self {
            Self::Default => deletes.keys <= DEFAULT_KEYS || within(DEFAULT_PERCENT),
            Self::Keys(keys) => deletes.keys <= keys,
            Self::Percent(percent) => within(percent),
        }
    }
}

impl FromStr for MaxDelete {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str = "must be a number of keys such as 5000, or a percentage from 0% to 100%";
        let number = |digits: &str| {
            let is_number = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
            is_number.then(|| digits.parse().ok()).flatten().ok_or(EXPECTED)
        };
        match text.strip_suffix('%') {
            Some(percent) => match number(percent)? {
                percent @ 0..=100 => Ok(Self::Percent(percent)),
                _ => Err(EXPECTED),
            },
            None => Ok(Self::Keys(number(text)?)),
        }
    }
}

impl fmt::Display for MaxDelete {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => write!(
                formatter,
                "{DEFAULT_PERCENT}% or {DEFAULT_KEYS} keys, whichever is more"
            ),
            Self::Keys(keys) => write!(formatter, "{keys} keys"),
            Self::Percent(percent) => write!(formatter, "{percent}%"),
        }
    }
}

/// Number of deletes after two complete listings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deletes {
    /// Number of keys to delete.
    pub keys: u64,
    /// Number of keys in the source listing.
    pub source_keys: u64,
    /// Number of keys in the destination listing.
    pub destination_keys: u64,
}

impl Deletes {
    /// Checks the deletes against the limit. An empty source is refused unless it is allowed.
    pub fn check(&self, limit: MaxDelete, allow_empty_source: bool) -> Result<(), DeleteRefusal> {
        if self.keys == 0 {
            Ok(())
        } else if self.source_keys == 0 && !allow_empty_source {
            Err(DeleteRefusal::EmptySource)
        } else if limit.allows(self) {
            Ok(())
        } else {
            Err(DeleteRefusal::AboveLimit(limit))
        }
    }

    /// Returns the percentage of the destination's keys to delete, rounded up to tenths. A few keys are never shown as
    /// 0.0 %.
    #[must_use]
    pub fn percentage(&self) -> String {
        let tenths = (u128::from(self.keys) * 1_000).div_ceil(u128::from(self.destination_keys.max(1)));
        format!("{}.{} %", tenths / 10, tenths % 10)
    }
}

/// Reason why no key is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DeleteRefusal {
    /// The source listing is empty.
    #[error("the source contains no objects")]
    EmptySource,
    /// The number of deletes exceeds the limit.
    #[error("the number of keys is higher than --max-delete allows ({0})")]
    AboveLimit(MaxDelete),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(keys: u64, destination_keys: u64, limit: MaxDelete, is_allowed: bool) {
        let deletes = Deletes {
            keys,
            source_keys: 1,
            destination_keys,
        };
        let expected = if is_allowed {
            Ok(())
        } else {
            Err(DeleteRefusal::AboveLimit(limit))
        };
        assert_eq!(deletes.check(limit, false), expected, "{keys} of {destination_keys}");
    }

    #[test]
    fn deletes_above_the_limit_are_refused() {
        for (keys, destination_keys, is_allowed) in [
            (0, 0, true),
            (1_000, 1_000, true),
            (1_001, 1_001, false),
            (1_001, 2_001, false),
            (1_001, 2_002, true),
            (u64::MAX, u64::MAX, false),
        ] {
            check(keys, destination_keys, MaxDelete::Default, is_allowed);
        }
        check(5, 100, MaxDelete::Keys(5), true);
        check(6, 100, MaxDelete::Keys(5), false);
        check(1, 100, MaxDelete::Keys(0), false);
        check(1, 3, MaxDelete::Percent(33), false);
        check(1, 3, MaxDelete::Percent(34), true);
        check(3, 3, MaxDelete::Percent(100), true);
    }

    #[test]
    fn empty_source_deletes_nothing_unless_allowed() {
        let deletes = Deletes {
            keys: 3,
            source_keys: 0,
            destination_keys: 3,
        };
        let all = MaxDelete::Percent(100);
        assert_eq!(deletes.check(all, false), Err(DeleteRefusal::EmptySource));
        assert_eq!(deletes.check(all, true), Ok(()));
        assert_eq!(Deletes { keys: 0, ..deletes }.check(all, false), Ok(()));
    }

    #[test]
    fn limits_are_numbers_or_percentages() {
        assert_eq!("0".parse(), Ok(MaxDelete::Keys(0)));
        assert_eq!("5000".parse(), Ok(MaxDelete::Keys(5_000)));
        assert_eq!("25%".parse(), Ok(MaxDelete::Percent(25)));
        for text in ["", "%", "101%", "-1", "+1", "1.5%", "all", "5 %"] {
            assert!(text.parse::<MaxDelete>().is_err(), "{text}");
        }
    }

    #[test]
    fn percentage_is_never_rounded_to_zero() {
        for (keys, destination_keys, expected) in [(1, 3, "33.4 %"), (1, 1_000_000, "0.1 %"), (3, 3, "100.0 %")] {
            let deletes = Deletes {
                keys,
                source_keys: 1,
                destination_keys,
            };
            assert_eq!(deletes.percentage(), expected);
        }
    }
}
