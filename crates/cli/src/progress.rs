//! Progress of long work on standard error: a bar on a terminal, a line now and then elsewhere.

use std::io::{self, IsTerminal as _, Write};
use std::sync::LazyLock;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::output::shown_lines;

/// How often a line is written where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// How often a bar is drawn anew while nothing happens.
const TICK: Duration = Duration::from_millis(200);

static BARS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// Writes lines to standard error without disturbing a bar, with escapes for what nobody would see.
pub fn say(text: &str) {
    let text = shown_lines(text);
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

/// The progress of one piece of work.
#[derive(Debug)]
pub struct Progress {
    shape: Shape,
}

#[derive(Debug)]
enum Shape {
    Bar(ProgressBar),
    Lines(Box<Mutex<Lines>>),
}

#[derive(Debug)]
struct Lines {
    label: &'static str,
    unit: &'static str,
    done: u64,
    total: Option<u64>,
    note: String,
    started: Instant,
    last_line: Instant,
}

impl Progress {
    /// Begins: `label` says what is done, `unit` what is counted, `total` how many there are where that is known.
    #[must_use]
    pub fn start(label: &'static str, unit: &'static str, total: Option<u64>) -> Self {
        let now = Instant::now();
        let shape = if io::stderr().is_terminal() {
            let bar = BARS.add(total.map_or_else(ProgressBar::no_length, ProgressBar::new));
            bar.set_style(style(unit, total.is_some()));
            bar.set_prefix(label);
            bar.enable_steady_tick(TICK);
            Shape::Bar(bar)
        } else {
            Shape::Lines(Box::new(Mutex::new(Lines {
                label,
                unit,
                done: 0,
                total,
                note: String::new(),
                started: now,
                last_line: now,
            })))
        };
        Self { shape }
    }

    /// Counts what was done.
    pub fn advance(&self, count: u64) {
        match &self.shape {
            Shape::Bar(bar) => bar.inc(count),
            Shape::Lines(lines) => lock(lines).advance(count),
        }
    }

    /// Says how much is done altogether.
    pub fn set(&self, done: u64, total: Option<u64>) {
        match &self.shape {
            Shape::Bar(bar) => {
                if let Some(total) = total {
                    bar.set_length(total);
                }
                bar.set_position(done);
            }
            Shape::Lines(lines) => {
                let mut lines = lock(lines);
                lines.total = total.or(lines.total);
                let more = done.saturating_sub(lines.done);
                lines.advance(more);
            }
        }
    }

    /// Shows something else beside the numbers, such as how many differences there are so far.
    pub fn note(&self, note: impl Into<String>) {
        match &self.shape {
            Shape::Bar(bar) => bar.set_message(note.into()),
            Shape::Lines(lines) => lock(lines).note = note.into(),
        }
    }

    /// Ends: the bar goes away, and a last line is written where lines are.
    pub fn finish(&self) {
        match &self.shape {
            Shape::Bar(bar) => {
                bar.finish_and_clear();
                BARS.remove(bar);
            }
            Shape::Lines(lines) => {
                let lines = lock(lines);
                if lines.started.elapsed() >= LINE_EVERY {
                    say(&lines.line(Instant::now()));
                }
            }
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Shape::Bar(bar) = &self.shape {
            bar.finish_and_clear();
        }
    }
}

fn lock(lines: &Mutex<Lines>) -> std::sync::MutexGuard<'_, Lines> {
    lines.lock().unwrap_or_else(PoisonError::into_inner)
}

fn style(unit: &str, has_total: bool) -> ProgressStyle {
    let template = if has_total {
        format!(
            "{{prefix}} [{{bar:30}}] {{human_pos}}/{{human_len}} {unit}, {{per_sec}}, {{elapsed}} gone, {{eta}} left {{msg}}"
        )
    } else {
        format!("{{spinner}} {{prefix}} {{human_pos}} {unit}, {{per_sec}}, {{elapsed}} gone {{msg}}")
    };
    ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

impl Lines {
    fn advance(&mut self, count: u64) {
        self.done = self.done.saturating_add(count);
        let now = Instant::now();
        if now.duration_since(self.last_line) >= LINE_EVERY {
            self.last_line = now;
            say(&self.line(now));
        }
    }

    fn line(&self, now: Instant) -> String {
        let elapsed = now.duration_since(self.started);
        let rate = per_second(self.done, elapsed);
        let of_total = self.total.map(|total| format!("/{total}")).unwrap_or_default();
        let left = self
            .total
            .and_then(|total| remaining(self.done, total, elapsed))
            .map(|left| format!(", {} s left", left.as_secs()))
            .unwrap_or_default();
        let note = if self.note.is_empty() {
            String::new()
        } else {
            format!(", {}", self.note)
        };
        format!(
            "{}: {}{of_total} {}, {rate}/s, {} s gone{left}{note}",
            self.label,
            self.done,
            self.unit,
            elapsed.as_secs()
        )
    }
}

fn per_second(done: u64, elapsed: Duration) -> u64 {
    let millis = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX).max(1);
    done.saturating_mul(1_000) / millis
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_names_count_rate_and_remaining_time() {
        let started = Instant::now();
        let lines = Lines {
            label: "comparing",
            unit: "keys",
            done: 500,
            total: Some(1_500),
            note: "3 differences".to_owned(),
            started,
            last_line: started,
        };
        assert_eq!(
            lines.line(started + Duration::from_secs(10)),
            "comparing: 500/1500 keys, 50/s, 10 s gone, 20 s left, 3 differences"
        );
    }

    #[test]
    fn nothing_done_has_no_remaining_time() {
        assert_eq!(remaining(0, 10, Duration::from_secs(1)), None);
        assert_eq!(remaining(10, 10, Duration::from_secs(1)), Some(Duration::ZERO));
    }
}
