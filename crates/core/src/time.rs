//! Timestamps as S3 returns them.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

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

    /// Parses a timestamp in RFC 3339 format, such as the time of an event: `2026-11-23T02:20:00.125Z`.
    #[must_use]
    pub fn from_rfc3339(text: &str) -> Option<Self> {
        let nanos = OffsetDateTime::parse(text, &Rfc3339).ok()?.unix_timestamp_nanos();
        i64::try_from(nanos.div_euclid(1_000_000)).ok().map(Self)
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
    /// A time outside of the years from -9999 to 9999 is shown as the nearest one inside.
    #[must_use]
    pub fn to_rfc3339(self) -> String {
        let time = OffsetDateTime::UNIX_EPOCH.saturating_add(time::Duration::milliseconds(self.0));
        let ((year, month, day), (hour, minute, second)) = (time.to_calendar_date(), time.to_hms());
        let month = u8::from(month);
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
    fn time_of_an_event_is_parsed_with_its_milliseconds() {
        let parsed = |text| Timestamp::from_rfc3339(text).map(Timestamp::millis);
        assert_eq!(parsed("1970-01-01T00:00:01.250Z"), Some(1_250));
        assert_eq!(parsed("1970-01-01T01:00:00+01:00"), Some(0));
        assert_eq!(parsed("1969-12-31T23:59:59.9999Z"), Some(-1));
        for text in ["", "yesterday", "1970-01-01", "2026-13-01T00:00:00Z"] {
            assert_eq!(parsed(text), None, "{text}");
        }
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
