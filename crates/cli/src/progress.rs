//! Progress of long work on standard error: a bar on a terminal, a line now and then elsewhere, which is a JSON value with
//! `--output json`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressState, ProgressStyle};
use s3ferry_core::names::ObjectKey;
use serde::Serialize;

use crate::output::{Format, byte_size, grouped, shown_lines};

/// How often a line is written where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// How often a bar is drawn anew while nothing happens.
const TICK: Duration = Duration::from_millis(200);

static BARS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

static WRITES_JSON: AtomicBool = AtomicBool::new(false);

/// Chooses how progress is written where there is no terminal.
pub(crate) fn write_as(format: Format) {
    WRITES_JSON.store(format == Format::Json, Ordering::Relaxed);
}

/// Whether standard error shows colours: a terminal does, unless its user wants none (<https://no-color.org>).
static HAS_COLOURS: LazyLock<bool> = LazyLock::new(|| {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    io::stderr().is_terminal() && !is_set("NO_COLOR") && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
});

/// Colours the word that says what a text is, and the one before the next step.
fn coloured(text: &str) -> String {
    let text = text.replacen("\n  next:", "\n  \u{1b}[1mnext:\u{1b}[0m", 1);
    for (word, colour) in [("s3ferry:", 31), ("warning:", 33)] {
        if let Some(rest) = text.strip_prefix(word) {
            return format!("\u{1b}[1;{colour}m{word}\u{1b}[0m{rest}");
        }
    }
    text
}

/// Writes lines to standard error without disturbing a bar, with escapes for what nobody would see.
pub fn say(text: &str) {
    let text = shown_lines(text);
    let text = if *HAS_COLOURS { coloured(&text) } else { text };
    BARS.suspend(|| {
        // Nobody can be told that nobody listens.
        let _unheard = writeln!(io::stderr().lock(), "{text}");
    });
}

/// Standard error for logs: whole writes, between which bars are drawn.
#[derive(Debug, Clone, Copy, Default)]
pub struct LogWriter;

impl Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = shown_lines(&String::from_utf8_lossy(bytes));
        BARS.suspend(|| io::stderr().lock().write_all(text.as_bytes()))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().lock().flush()
    }
}

/// The progress of one piece of work. Clones report to the same one.
#[derive(Debug, Clone)]
pub struct Progress(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// The bar, on a terminal.
    bar: Option<ProgressBar>,
    figures: Mutex<Figures>,
}

/// How far a multipart copy is.
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
struct Figures {
    label: &'static str,
    unit: &'static str,
    done: u64,
    total: Option<u64>,
    bytes: u64,
    /// The multipart copies that are under way.
    large: BTreeMap<ObjectKey, LargeCopy>,
    state: String,
    counts: Vec<(&'static str, u64)>,
    started: Instant,
    last_line: Instant,
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
    counts: BTreeMap<&'static str, u64>,
}

impl Progress {
    /// Begins: `label` says what is done, `unit` what is counted, `total` how many there are where that is known.
    #[must_use]
    pub fn start(label: &'static str, unit: &'static str, total: Option<u64>) -> Self {
        let now = Instant::now();
        let bar = io::stderr().is_terminal().then(|| {
            let bar = BARS.add(total.map_or_else(ProgressBar::no_length, ProgressBar::new));
            bar.set_style(style(unit, total.is_some()));
            bar.set_prefix(label);
            bar.enable_steady_tick(TICK);
            bar
        });
        let figures = Mutex::new(Figures {
            label,
            unit,
            done: 0,
            total,
            bytes: 0,
            large: BTreeMap::new(),
            state: String::new(),
            counts: Vec::new(),
            started: now,
            last_line: now,
        });
        Self(Arc::new(Inner { bar, figures }))
    }

    /// Counts what was done.
    pub fn advance(&self, count: u64) {
        self.update(|figures| figures.done = figures.done.saturating_add(count));
    }

    /// Counts bytes that were copied or read.
    pub fn advance_bytes(&self, bytes: u64) {
        self.update(|figures| figures.bytes = figures.bytes.saturating_add(bytes));
    }

    /// Says how much is done altogether.
    pub fn set(&self, done: u64, total: Option<u64>) {
        self.update(|figures| {
            figures.total = total.or(figures.total);
            figures.done = figures.done.max(done);
        });
    }

    /// Shows other numbers beside, such as how many keys failed so far; those that are 0 are not shown.
    pub fn counts(&self, counts: &[(&'static str, u64)]) {
        self.update(|figures| figures.counts = counts.to_vec());
    }

    /// Shows the state that the work is in.
    pub fn state(&self, state: impl Into<String>) {
        self.update(|figures| figures.state = state.into());
    }

    /// Begins to show a multipart copy.
    pub fn begin_large(&self, key: &ObjectKey, copy: LargeCopy) {
        self.update(|figures| {
            figures.large.insert(key.clone(), copy);
        });
    }

    /// Counts a part of a multipart copy.
    pub fn advance_large(&self, key: &ObjectKey, bytes: u64) {
        self.update(|figures| {
            figures.bytes = figures.bytes.saturating_add(bytes);
            if let Some(copy) = figures.large.get_mut(key) {
                copy.parts += 1;
                copy.bytes += bytes;
            }
        });
    }

    /// Shows a multipart copy no longer.
    pub fn end_large(&self, key: &ObjectKey) {
        self.update(|figures| {
            figures.large.remove(key);
        });
    }

    fn figures(&self) -> MutexGuard<'_, Figures> {
        self.0.figures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn update(&self, change: impl FnOnce(&mut Figures)) {
        let mut figures = self.figures();
        change(&mut figures);
        let now = Instant::now();
        match &self.0.bar {
            Some(bar) => {
                if let Some(total) = figures.total {
                    bar.set_length(total);
                }
                bar.set_position(figures.done);
                bar.set_message(figures.details(now));
            }
            None if now.duration_since(figures.last_line) >= LINE_EVERY => {
                figures.last_line = now;
                figures.say(now);
            }
            None => {}
        }
    }

    /// Ends: the bar goes away. Elsewhere a last line is written, after short work in JSON only.
    pub fn finish(&self) {
        match &self.0.bar {
            Some(bar) => {
                bar.finish_and_clear();
                BARS.remove(bar);
            }
            None => {
                let figures = self.figures();
                if WRITES_JSON.load(Ordering::Relaxed) || figures.started.elapsed() >= LINE_EVERY {
                    figures.say(Instant::now());
                }
            }
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Two lines that fit a terminal of 80 columns: indicatif cuts what is wide to the terminal's width.
fn style(unit: &'static str, has_total: bool) -> ProgressStyle {
    let template = if has_total {
        "{prefix} [{wide_bar}] {figures}\n  {wide_msg}"
    } else {
        "{spinner} {prefix} {figures}\n  {wide_msg}"
    };
    let figures = move |state: &ProgressState, text: &mut dyn std::fmt::Write| {
        // A terminal's line is drawn again soon.
        let _undrawn = text.write_str(&rates(state.pos(), state.len(), unit, state.elapsed()));
    };
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
        .with_key("figures", figures)
}

/// How many, how fast, and for how long.
fn rates(done: u64, total: Option<u64>, unit: &str, elapsed: Duration) -> String {
    let mut text = grouped(done);
    // To a text writing never fails.
    let _never = total.map(|total| write!(text, "/{}", grouped(total)));
    let rate = grouped(per_second(done, elapsed));
    let _never = write!(text, " {unit}, {rate}/s, elapsed {}", spelled(elapsed));
    let left = total.and_then(|total| remaining(done, total, elapsed));
    let _never = left.map(|left| write!(text, ", ETA {}", spelled(left)));
    text
}

impl Figures {
    /// Everything that the first line of a bar does not show.
    fn details(&self, now: Instant) -> String {
        let mut details = Vec::new();
        if self.bytes > 0 {
            let rate = per_second(self.bytes, now.duration_since(self.started));
            details.push(format!("{}, {}/s", byte_size(self.bytes), byte_size(rate)));
        }
        if !self.large.is_empty() {
            let large = self.large_copies();
            details.push(format!(
                "{} large: {}/{} parts, {} of {}",
                self.large.len(),
                grouped(large.parts),
                grouped(large.all_parts),
                byte_size(large.bytes),
                byte_size(large.all_bytes)
            ));
        }
        if !self.state.is_empty() {
            details.push(self.state.clone());
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

    fn line(&self, now: Instant) -> String {
        let rates = rates(self.done, self.total, self.unit, now.duration_since(self.started));
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
                .and_then(|total| remaining(self.done, total, elapsed))
                .map(|left| left.as_secs()),
            state: &self.state,
            counts: self.counts.iter().copied().collect(),
        }
    }

    fn say(&self, now: Instant) {
        let json = WRITES_JSON
            .load(Ordering::Relaxed)
            .then(|| serde_json::to_string(&self.event(now)));
        match json {
            Some(Ok(json)) => say(&json),
            // Numbers and names are always written.
            Some(Err(_)) | None => say(&self.line(now)),
        }
    }
}

fn per_second(done: u64, elapsed: Duration) -> u64 {
    let millis = elapsed.as_millis().max(1);
    u64::try_from(u128::from(done) * 1_000 / millis).unwrap_or(u64::MAX)
}

/// Estimates how long the rest takes at the rate so far.
fn remaining(done: u64, total: u64, elapsed: Duration) -> Option<Duration> {
    let left = total.saturating_sub(done);
    if done == 0 {
        return None;
    }
    let millis = u128::from(left) * elapsed.as_millis() / u128::from(done);
    Some(Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX)))
}

/// Spells a duration by its two largest units, as in `12m34s`.
fn spelled(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes}m{:02}s", seconds % 60),
        (0, _, _) => format!("{hours}h{:02}m", minutes % 60),
        _ => format!("{}d{:02}h", grouped(days), hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures() -> Figures {
        let started = Instant::now();
        Figures {
            label: "syncing",
            unit: "keys",
            done: 500,
            total: Some(1_500),
            bytes: 0,
            large: BTreeMap::new(),
            state: String::new(),
            counts: vec![("copied", 1_234), ("failed", 0)],
            started,
            last_line: started,
        }
    }

    #[test]
    fn line_names_counts_rates_and_remaining_time() {
        let mut figures = figures();
        let now = figures.started + Duration::from_secs(10);
        let begins = "syncing: 500/1,500 keys, 50/s, elapsed 10 s, ETA 20 s, ";
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
            format!("{begins}3.0 GiB, 307 MiB/s, 2 large: 12/80 parts, 1.5 GiB of 10 GiB, 2 FAILED")
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
        let text = rates(123_456_789, Some(999_999_999), "keys", elapsed);
        assert_eq!(text, "123,456,789/999,999,999 keys, 2,725/s, elapsed 12h34m, ETA 3d17h");
        let longest_label = "verifying []  ".len();
        assert!(longest_label + text.len() < 80, "{text}");
        let rows = rates(123_456_789, None, "rows", Duration::from_secs(300));
        let longest_label = "* destination keys from inventory ".len();
        assert!(longest_label + rows.len() < 80, "{rows}");
    }

    #[test]
    fn colours_are_of_the_words_that_say_what_a_text_is() {
        assert_eq!(
            coloured("s3ferry: failed\n  next: wait"),
            "\u{1b}[1;31ms3ferry:\u{1b}[0m failed\n  \u{1b}[1mnext:\u{1b}[0m wait"
        );
        assert_eq!(coloured("warning: a"), "\u{1b}[1;33mwarning:\u{1b}[0m a");
        assert_eq!(coloured("stopping: a warning: b"), "stopping: a warning: b");
    }

    #[test]
    fn nothing_done_has_no_remaining_time() {
        assert_eq!(remaining(0, 10, Duration::from_secs(1)), None);
        assert_eq!(remaining(10, 10, Duration::from_secs(1)), Some(Duration::ZERO));
    }

    #[test]
    fn durations_are_spelled_by_their_largest_units() {
        for (seconds, text) in [
            (0, "0 s"),
            (59, "59 s"),
            (754, "12m34s"),
            (3_720, "1h02m"),
            (90_000, "1d01h"),
        ] {
            assert_eq!(spelled(Duration::from_secs(seconds)), text);
        }
    }
}
