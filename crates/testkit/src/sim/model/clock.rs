//! Time of the simulator.

use std::time::{Duration, SystemTime};

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use s3ferry_core::time::Timestamp;

/// A time in milliseconds since 1970.
pub type Millis = u64;

/// Time source of the simulator.
#[derive(Debug, Clone, Default)]
pub enum SimClock {
    /// System time.
    #[default]
    Real,
    /// A time that a test controls.
    Manual(ManualClock),
}

/// A time that a test controls. Clones have the same time.
#[derive(Debug, Clone, Default)]
pub struct ManualClock(Arc<AtomicU64>);

impl ManualClock {
    /// Creates a clock that starts at a time.
    pub fn starting_at(millis: Millis) -> Self {
        Self(Arc::new(AtomicU64::new(millis)))
    }

    /// Advances the time.
    pub fn advance(&self, duration: Duration) {
        let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        self.0.fetch_add(millis, Ordering::SeqCst);
    }
}

impl SimClock {
    /// Returns the current time.
    pub fn now(&self) -> Millis {
        match self {
            Self::Real => SystemTime::now()
                .duration_since(SystemTime::UNIX_EPOCH)
                .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX)),
            Self::Manual(manual) => manual.0.load(Ordering::SeqCst),
        }
    }
}

/// Formats a time for HTTP headers.
pub fn http_date(millis: Millis) -> String {
    httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_millis(millis))
}

/// Parses a time from an HTTP header.
pub fn parse_http_date(text: &str) -> Option<Millis> {
    let time = httpdate::parse_http_date(text).ok()?;
    let since = time.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    u64::try_from(since.as_millis()).ok()
}

/// Formats a time for documents and events: ISO 8601 with milliseconds.
pub fn iso_date(millis: Millis) -> String {
    let seconds = Timestamp::from_seconds(i64::try_from(millis / 1000).unwrap_or(i64::MAX)).to_rfc3339();
    format!("{}.{:03}Z", seconds.trim_end_matches('Z'), millis % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_formatted_for_headers_and_documents() {
        let leap_day = 1_709_210_096_789;
        assert_eq!(iso_date(leap_day), "2024-02-29T12:34:56.789Z");
        assert_eq!(http_date(leap_day), "Thu, 29 Feb 2024 12:34:56 GMT");
        assert_eq!(
            parse_http_date("Thu, 29 Feb 2024 12:34:56 GMT"),
            Some(1_709_210_096_000)
        );
        assert_eq!(iso_date(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(iso_date(1_798_761_599_000), "2026-12-31T23:59:59.000Z");
    }
}
