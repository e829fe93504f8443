//! Timestamps as S3 returns them.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Point in time in milliseconds since the Unix epoch; S3's own times have whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// Creates a timestamp from milliseconds since the Unix epoch.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Creates a timestamp from seconds since the Unix epoch.
    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// Returns milliseconds since the Unix epoch.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Returns whether the timestamp is later than `other` in S3's whole seconds.
    #[must_use]
    pub const fn is_newer_than(self, other: Self) -> bool {
        self.0.div_euclid(1000) > other.0.div_euclid(1000)
    }

    /// Returns the time since `earlier`; zero if it is not earlier.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        let millis = self.0.saturating_sub(earlier.0);
        Duration::from_millis(u64::try_from(millis).unwrap_or(0))
    }

    /// Returns the timestamp `duration` later.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(millis))
    }

    /// Returns the timestamp `duration` earlier.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self(self.0.saturating_sub(millis))
    }

    /// Returns the timestamp in RFC 3339 format, in UTC and whole seconds: `2026-11-23T02:20:00Z`.
    ///
    /// The date is calculated in eras of 400 years that begin in March, so that a leap day is the last of its year.
    #[must_use]
    pub fn to_rfc3339(self) -> String {
        const SECONDS_PER_DAY: i64 = 86_400;
        const DAYS_PER_ERA: i64 = 146_097;
        // Days from 0000-03-01 to 1970-01-01.
        const DAYS_BEFORE_EPOCH: i64 = 719_468;
        let seconds = self.0.div_euclid(1000);
        let (days, second) = (
            seconds.div_euclid(SECONDS_PER_DAY) + DAYS_BEFORE_EPOCH,
            seconds.rem_euclid(SECONDS_PER_DAY),
        );
        let (era, day_of_era) = (days.div_euclid(DAYS_PER_ERA), days.rem_euclid(DAYS_PER_ERA));
        let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = if month_from_march < 10 {
            month_from_march + 3
        } else {
            month_from_march - 9
        };
        let year = era * 400 + year_of_era + i64::from(month <= 2);
        let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn difference_is_never_negative() {
        let early = Timestamp::from_seconds(10);
        let late = Timestamp::from_millis(12_500);
        assert_eq!(late.since(early), Duration::from_millis(2_500));
        assert_eq!(early.since(late), Duration::ZERO);
        assert_eq!(early.plus(Duration::from_millis(2_500)), late);
        assert_eq!(late.minus(Duration::from_millis(2_500)), early);
    }

    #[test]
    fn newer_means_a_later_second() {
        let at = Timestamp::from_millis;
        assert!(!at(1_999).is_newer_than(at(1_000)));
        assert!(at(2_000).is_newer_than(at(1_999)));
        assert!(!at(1_000).is_newer_than(at(2_000)));
        assert!(at(0).is_newer_than(at(-1)));
    }

    #[test]
    fn date_is_formatted_across_leap_years_and_before_the_epoch() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_164_799, "2024-02-28T23:59:59Z"),
            (1_709_251_200, "2024-03-01T00:00:00Z"),
            (1_795_393_230, "2026-11-23T00:20:30Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(Timestamp::from_seconds(seconds).to_rfc3339(), expected);
        }
        assert_eq!(Timestamp::from_millis(1_999).to_rfc3339(), "1970-01-01T00:00:01Z");
    }
}
