//! The figures of a progress display, and their formatting.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, HumanDuration};
use s3ferry_aws::concurrency::ConcurrencyLimit;
use s3ferry_core::names::ObjectKey;
use serde::Serialize;

use crate::text::grouped;

/// The progress of a multipart copy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LargeCopy {
    /// The parts that are at the destination.
    pub parts: u64,
    /// All parts.
    pub all_parts: u64,
    /// The bytes of the parts that are at the destination.
    pub bytes: u64,
    /// The size of the object.
    pub all_bytes: u64,
}

impl LargeCopy {
    fn add(&mut self, more: Self) {
        self.parts += more.parts;
        self.all_parts += more.all_parts;
        self.bytes += more.bytes;
        self.all_bytes += more.all_bytes;
    }
}

#[derive(Debug)]
pub(super) struct ProgressFigures {
    pub(super) label: &'static str,
    pub(super) unit: &'static str,
    pub(super) done: u64,
    pub(super) total: Option<u64>,
    pub(super) bytes: u64,
    /// The multipart copies in progress.
    pub(super) large: BTreeMap<ObjectKey, LargeCopy>,
    pub(super) state: String,
    /// The limit of concurrent requests, if it adapts.
    pub(super) concurrency: Option<ConcurrencyLimit>,
    pub(super) counts: Vec<(&'static str, u64)>,
    pub(super) started: Instant,
    pub(super) last_line: Instant,
}

/// The figures as a JSON value.
#[derive(Debug, Serialize)]
struct Event<'a> {
    r#type: &'static str,
    label: &'a str,
    unit: &'a str,
    done: u64,
    total: Option<u64>,
    per_second: u64,
    bytes: u64,
    bytes_per_second: u64,
    large_copies: usize,
    large_copies_parts: u64,
    large_copies_all_parts: u64,
    large_copies_bytes: u64,
    large_copies_all_bytes: u64,
    elapsed_seconds: u64,
    eta_seconds: Option<u64>,
    #[serde(skip_serializing_if = "str::is_empty")]
    state: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    concurrency: Option<u16>,
    counts: BTreeMap<&'static str, u64>,
}

impl ProgressFigures {
    /// Returns the details for the second line of a bar.
    pub(super) fn details(&self, now: Instant) -> String {
        let mut details = Vec::new();
        if self.bytes > 0 {
            let rate = per_second(self.bytes, now.duration_since(self.started));
            details.push(format!("{}, {}/s", HumanBytes(self.bytes), HumanBytes(rate)));
        }
        if !self.large.is_empty() {
            let large = self.large_copies();
            details.push(format!(
                "{} large: {}/{} parts, {} of {}",
                self.large.len(),
                grouped(large.parts),
                grouped(large.all_parts),
                HumanBytes(large.bytes),
                HumanBytes(large.all_bytes)
            ));
        }
        if !self.state.is_empty() {
            details.push(self.state.clone());
        }
        if let Some(concurrency) = &self.concurrency {
            details.push(format!("concurrency {}", concurrency.level()));
        }
        let counts = self.counts.iter().filter(|(_, count)| *count > 0);
        details.extend(counts.map(|(name, count)| match *name {
            "failed" => format!("{} FAILED", grouped(*count)),
            name => format!("{} {name}", grouped(*count)),
        }));
        details.join(", ")
    }

    fn large_copies(&self) -> LargeCopy {
        let mut all = LargeCopy::default();
        for copy in self.large.values() {
            all.add(*copy);
        }
        all
    }

    /// Estimates the remaining time of the multipart copies in progress.
    pub(super) fn large_left(&self, now: Instant) -> LargeLeft {
        let large = self.large_copies();
        let bytes = large.all_bytes.saturating_sub(large.bytes);
        match remaining_at_rate(self.bytes, bytes, now.duration_since(self.started)) {
            _ if self.large.is_empty() => LargeLeft::Nothing,
            Some(left) => LargeLeft::Estimated(left),
            None => LargeLeft::Unknown,
        }
    }

    fn line(&self, now: Instant) -> String {
        let left = self.large_left(now);
        let rates = rates(self.done, self.total, self.unit, now.duration_since(self.started), left);
        let details = self.details(now);
        let comma = if details.is_empty() { "" } else { ", " };
        format!("{}: {rates}{comma}{details}", self.label)
    }

    fn event(&self, now: Instant) -> Event<'_> {
        let elapsed = now.duration_since(self.started);
        let large = self.large_copies();
        Event {
            r#type: "progress",
            label: self.label,
            unit: self.unit,
            done: self.done,
            total: self.total,
            per_second: per_second(self.done, elapsed),
            bytes: self.bytes,
            bytes_per_second: per_second(self.bytes, elapsed),
            large_copies: self.large.len(),
            large_copies_parts: large.parts,
            large_copies_all_parts: large.all_parts,
            large_copies_bytes: large.bytes,
            large_copies_all_bytes: large.all_bytes,
            elapsed_seconds: elapsed.as_secs(),
            eta_seconds: self
                .total
                .and_then(|total| remaining(self.done, total, elapsed, self.large_left(now)))
                .map(|left| left.as_secs()),
            state: &self.state,
            concurrency: self.concurrency.as_ref().map(ConcurrencyLimit::level),
            counts: self.counts.iter().copied().collect(),
        }
    }

    /// Formats the figures as a line of text or JSON.
    pub(super) fn format(&self, as_json: bool, now: Instant) -> String {
        let json = as_json.then(|| serde_json::to_string(&self.event(now)));
        match json {
            Some(Ok(json)) => json,
            // Numbers and names always serialize.
            Some(Err(_)) | None => self.line(now),
        }
    }
}

fn per_second(done: u64, elapsed: Duration) -> u64 {
    let millis = elapsed.as_millis().max(1);
    u64::try_from(u128::from(done) * 1_000 / millis).unwrap_or(u64::MAX)
}

/// The remaining time of the multipart copies in progress. Their keys count as done once the copies begin.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum LargeLeft {
    /// No multipart copy is in progress.
    #[default]
    Nothing,
    /// Estimated time at the rate so far.
    Estimated(Duration),
    /// No byte is copied yet.
    Unknown,
}

/// Estimates how long the rest takes at the rate so far.
fn remaining(done: u64, total: u64, elapsed: Duration, large: LargeLeft) -> Option<Duration> {
    let left = remaining_at_rate(done, total.saturating_sub(done), elapsed)?;
    match large {
        LargeLeft::Nothing => Some(left),
        LargeLeft::Estimated(large) => Some(left.max(large)),
        LargeLeft::Unknown => None,
    }
}

fn remaining_at_rate(done: u64, left: u64, elapsed: Duration) -> Option<Duration> {
    if done == 0 {
        return None;
    }
    let millis = u128::from(left) * elapsed.as_millis() / u128::from(done);
    Some(Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX)))
}

/// Formats a count, its rate, the elapsed time and the estimated remaining time.
pub(super) fn rates(done: u64, total: Option<u64>, unit: &str, elapsed: Duration, large: LargeLeft) -> String {
    let mut text = grouped(done);
    // Writing to a string cannot fail.
    let _never = total.map(|total| write!(text, "/{}", grouped(total)));
    let rate = grouped(per_second(done, elapsed));
    let _never = write!(text, " {unit}, {rate}/s, elapsed {:#}", HumanDuration(elapsed));
    let left = total.and_then(|total| remaining(done, total, elapsed, large));
    let _never = left.map(|left| write!(text, ", ETA {:#}", HumanDuration(left)));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures() -> ProgressFigures {
        let started = Instant::now();
        ProgressFigures {
            label: "syncing",
            unit: "keys",
            done: 500,
            total: Some(1_500),
            bytes: 0,
            large: BTreeMap::new(),
            state: String::new(),
            concurrency: None,
            counts: vec![("copied", 1_234), ("failed", 0)],
            started,
            last_line: started,
        }
    }

    #[test]
    fn line_names_counts_rates_and_remaining_time() {
        let mut figures = figures();
        let now = figures.started + Duration::from_secs(10);
        let begins = "syncing: 500/1,500 keys, 50/s, elapsed 10s, ETA 20s, ";
        assert_eq!(figures.line(now), format!("{begins}1,234 copied"));
        figures.bytes = 3 << 30;
        for (key, parts) in [("a", 3), ("b", 9)] {
            let copy = LargeCopy {
                parts,
                all_parts: 40,
                bytes: parts << 27,
                all_bytes: 5 << 30,
            };
            figures.large.insert(ObjectKey::from_raw(key).unwrap(), copy);
        }
        figures.counts = vec![("failed", 2)];
        assert_eq!(
            figures.line(now),
            format!(
                "{}3.00 GiB, 307.20 MiB/s, 2 large: 12/80 parts, 1.50 GiB of 10.00 GiB, 2 FAILED",
                begins.replace("20s", "28s")
            )
        );
    }

    #[test]
    fn event_has_the_figures_of_the_line() {
        let mut figures = figures();
        figures.bytes = 1_000;
        let event = serde_json::to_value(figures.event(figures.started + Duration::from_secs(10))).unwrap();
        for (name, expected) in [
            ("type", serde_json::json!("progress")),
            ("done", 500.into()),
            ("total", 1_500.into()),
            ("per_second", 50.into()),
            ("bytes_per_second", 100.into()),
            ("elapsed_seconds", 10.into()),
            ("eta_seconds", 20.into()),
            ("counts", serde_json::json!({ "copied": 1_234, "failed": 0 })),
        ] {
            assert_eq!(event[name], expected, "{name}");
        }
    }

    #[test]
    fn first_line_of_a_bar_fits_80_columns() {
        let elapsed = Duration::from_secs(45_296);
        let text = rates(123_456_789, Some(999_999_999), "keys", elapsed, LargeLeft::Nothing);
        assert_eq!(text, "123,456,789/999,999,999 keys, 2,725/s, elapsed 13h, ETA 4d");
        let longest_label = "verifying []  ".len();
        assert!(longest_label + text.len() < 80, "{text}");
        let rows = rates(123_456_789, None, "rows", Duration::from_mins(5), LargeLeft::Nothing);
        let longest_label = "* destination keys from inventory ".len();
        assert!(longest_label + rows.len() < 80, "{rows}");
    }

    #[test]
    fn nothing_done_has_no_remaining_time() {
        let second = Duration::from_secs(1);
        assert_eq!(remaining(0, 10, second, LargeLeft::Nothing), None);
        assert_eq!(remaining(10, 10, second, LargeLeft::Nothing), Some(Duration::ZERO));
    }

    #[test]
    fn multipart_copies_under_way_count_for_the_remaining_time() {
        let mut figures = figures();
        figures.total = Some(figures.done);
        let now = figures.started + Duration::from_secs(10);
        let copy = LargeCopy {
            parts: 0,
            all_parts: 4,
            bytes: 0,
            all_bytes: 4_000,
        };
        let key = ObjectKey::from_raw("a").unwrap();
        figures.large.insert(key.clone(), copy);
        assert!(
            !figures.line(now).contains("ETA"),
            "no byte is copied yet: {}",
            figures.line(now)
        );
        figures.bytes = 1_000;
        figures.large.insert(
            key.clone(),
            LargeCopy {
                parts: 1,
                bytes: 1_000,
                ..copy
            },
        );
        assert!(figures.line(now).contains("ETA 30s"), "{}", figures.line(now));
        assert_eq!(serde_json::to_value(figures.event(now)).unwrap()["eta_seconds"], 30);
        figures.large.remove(&key);
        assert!(figures.line(now).contains("ETA 0s"), "{}", figures.line(now));
    }
}
