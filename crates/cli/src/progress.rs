//! Progress on standard error: a bar on a terminal, otherwise periodic lines, which are JSON with `--output json`.

mod figures;

use std::collections::BTreeMap;
use std::io::{self, IsTerminal as _, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressState, ProgressStyle};
use s3ferry_aws::concurrency::ConcurrencyLimit;
use s3ferry_core::names::ObjectKey;

pub use self::figures::LargeCopy;
use self::figures::{LargeLeft, ProgressFigures, rates};
use crate::environment;
use crate::output::Format;
use crate::text::escaped_lines;

/// The interval between lines without a terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// The interval at which an idle bar is redrawn.
const TICK: Duration = Duration::from_millis(200);

static BARS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

static WRITES_JSON: AtomicBool = AtomicBool::new(false);

/// Sets the format of progress without a terminal.
pub(crate) fn write_as(format: Format) {
    WRITES_JSON.store(format == Format::Json, Ordering::Relaxed);
}

fn writes_json() -> bool {
    WRITES_JSON.load(Ordering::Relaxed)
}

/// Whether standard error shows colours: a terminal does, unless its user wants none (<https://no-color.org>).
static HAS_COLOURS: LazyLock<bool> = LazyLock::new(|| {
    let is_wanted =
        environment::non_empty("NO_COLOR").is_none() && environment::variable("TERM").is_none_or(|term| term != "dumb");
    io::stderr().is_terminal() && is_wanted
});

/// Colours the label of a message and of its next step.
fn coloured(text: &str) -> String {
    let text = text.replacen("\n  next:", "\n  \u{1b}[1mnext:\u{1b}[0m", 1);
    for (word, colour) in [("s3ferry:", 31), ("warning:", 33)] {
        if let Some(rest) = text.strip_prefix(word) {
            return format!("\u{1b}[1;{colour}m{word}\u{1b}[0m{rest}");
        }
    }
    text
}

/// Writes lines to standard error above a progress bar, with escapes for control characters.
pub fn print_message(text: &str) {
    let text = escaped_lines(text);
    let text = if *HAS_COLOURS { coloured(&text) } else { text };
    BARS.suspend(|| {
        // If standard error is closed, nothing can be reported.
        let _unwritten = writeln!(io::stderr().lock(), "{text}");
    });
}

/// Standard error for logs: whole writes, between which bars are drawn.
#[derive(Debug, Clone, Copy, Default)]
pub struct LogWriter;

impl Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = escaped_lines(&String::from_utf8_lossy(bytes));
        BARS.suspend(|| io::stderr().lock().write_all(text.as_bytes()))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().lock().flush()
    }
}

/// The progress of one piece of work. Clones report to the same one.
#[derive(Debug, Clone)]
pub struct ProgressReporter(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// The bar, on a terminal.
    bar: Option<ProgressBar>,
    figures: Mutex<ProgressFigures>,
    /// The remaining time of the multipart copies in progress.
    large_left: Arc<Mutex<LargeLeft>>,
}

impl ProgressReporter {
    /// Starts the display. `label` names the work, `unit` the counted items, `total` their number if known.
    #[must_use]
    pub fn start(label: &'static str, unit: &'static str, total: Option<u64>) -> Self {
        let now = Instant::now();
        let large_left = Arc::<Mutex<LargeLeft>>::default();
        let bar = io::stderr().is_terminal().then(|| {
            let bar = BARS.add(total.map_or_else(ProgressBar::no_length, ProgressBar::new));
            bar.set_style(style(unit, total.is_some(), Arc::clone(&large_left)));
            bar.set_prefix(label);
            bar.enable_steady_tick(TICK);
            bar
        });
        let figures = Mutex::new(ProgressFigures {
            label,
            unit,
            done: 0,
            total,
            bytes: 0,
            large: BTreeMap::new(),
            state: String::new(),
            concurrency: None,
            counts: Vec::new(),
            started: now,
            last_line: now,
        });
        Self(Arc::new(Inner {
            bar,
            figures,
            large_left,
        }))
    }

    /// Shows the level of a concurrency that adapts.
    pub fn show_concurrency(&self, concurrency: Option<&ConcurrencyLimit>) {
        let adaptive = concurrency.filter(|concurrency| concurrency.is_adaptive());
        self.update(|figures| figures.concurrency = adaptive.cloned());
    }

    /// Counts items that are done.
    pub fn advance(&self, count: u64) {
        self.update(|figures| figures.done = figures.done.saturating_add(count));
    }

    /// Counts bytes that were copied or read.
    pub fn advance_bytes(&self, bytes: u64) {
        self.update(|figures| figures.bytes = figures.bytes.saturating_add(bytes));
    }

    /// Sets the number of items done, and their total.
    pub fn set(&self, done: u64, total: Option<u64>) {
        self.update(|figures| {
            figures.total = total.or(figures.total);
            figures.done = figures.done.max(done);
        });
    }

    /// Shows further counts, such as failed keys; zeros are hidden.
    pub fn counts(&self, counts: &[(&'static str, u64)]) {
        self.update(|figures| figures.counts = counts.to_vec());
    }

    /// Shows the state that the work is in.
    pub fn state(&self, state: impl Into<String>) {
        self.update(|figures| figures.state = state.into());
    }

    /// Adds a multipart copy to the display.
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

    /// Removes a multipart copy from the display.
    pub fn end_large(&self, key: &ObjectKey) {
        self.update(|figures| {
            figures.large.remove(key);
        });
    }

    fn figures(&self) -> MutexGuard<'_, ProgressFigures> {
        locked(&self.0.figures)
    }

    fn update(&self, change: impl FnOnce(&mut ProgressFigures)) {
        let mut figures = self.figures();
        change(&mut figures);
        let now = Instant::now();
        match &self.0.bar {
            Some(bar) => {
                if let Some(total) = figures.total {
                    bar.set_length(total);
                }
                *locked(&self.0.large_left) = figures.large_left(now);
                bar.set_position(figures.done);
                bar.set_message(figures.details(now));
            }
            None if now.duration_since(figures.last_line) >= LINE_EVERY => {
                figures.last_line = now;
                print_message(&figures.format(writes_json(), now));
            }
            None => {}
        }
    }

    /// Ends the display. Without a terminal, prints a last line; after short work only in JSON.
    pub fn finish(&self) {
        if let Some(bar) = &self.0.bar {
            bar.finish_and_clear();
            BARS.remove(bar);
            return;
        }
        let figures = self.figures();
        if writes_json() || figures.started.elapsed() >= LINE_EVERY {
            print_message(&figures.format(writes_json(), Instant::now()));
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

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Two lines that fit a terminal of 80 columns: indicatif cuts what is wide to the terminal's width.
fn style(unit: &'static str, has_total: bool, large_left: Arc<Mutex<LargeLeft>>) -> ProgressStyle {
    let template = if has_total {
        "{prefix} [{wide_bar}] {figures}\n  {wide_msg}"
    } else {
        "{spinner} {prefix} {figures}\n  {wide_msg}"
    };
    let figures = move |state: &ProgressState, text: &mut dyn std::fmt::Write| {
        // A terminal's line is drawn again soon.
        let _undrawn = text.write_str(&rates(
            state.pos(),
            state.len(),
            unit,
            state.elapsed(),
            *locked(&large_left),
        ));
    };
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
        .with_key("figures", figures)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_of_messages_are_coloured() {
        assert_eq!(
            coloured("s3ferry: failed\n  next: wait"),
            "\u{1b}[1;31ms3ferry:\u{1b}[0m failed\n  \u{1b}[1mnext:\u{1b}[0m wait"
        );
        assert_eq!(coloured("warning: a"), "\u{1b}[1;33mwarning:\u{1b}[0m a");
        assert_eq!(coloured("stopping: a warning: b"), "stopping: a warning: b");
    }
}
