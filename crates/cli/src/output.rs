//! Results on standard output, as text or JSON.

use std::io::{self, BufWriter, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use clap::ValueEnum;
use serde::Serialize;

use crate::exit::CliError;
use crate::text::escaped_text;

/// The format of results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Tables and sentences
    Human,
    /// One JSON value per line
    Json,
}

/// Whether results are dropped, because another command runs the one that writes them.
static IS_MUTED: AtomicBool = AtomicBool::new(false);

/// Drops the results of commands, or writes them again.
pub fn mute(is_muted: bool) {
    IS_MUTED.store(is_muted, Ordering::Relaxed);
}

/// Standard output. A closed pipe ends the command.
#[derive(Debug)]
pub struct Output<W: Write> {
    writer: BufWriter<W>,
    is_mutable: bool,
}

impl Output<io::Stdout> {
    /// Returns an output that writes to standard output.
    #[must_use]
    pub fn stdout() -> Self {
        Self {
            is_mutable: true,
            ..Self::to(io::stdout())
        }
    }
}

impl<W: Write> Output<W> {
    /// Returns an output that writes to `writer`.
    pub fn to(writer: W) -> Self {
        Self {
            writer: BufWriter::new(writer),
            is_mutable: false,
        }
    }

    /// Writes a line of text, with escapes for invisible characters.
    pub fn line(&mut self, text: impl AsRef<str>) -> Result<(), CliError> {
        self.bytes(escaped_text(text.as_ref()).as_bytes())?;
        self.bytes(b"\n")
    }

    /// Writes a value as one line of JSON.
    pub fn json(&mut self, value: &impl Serialize) -> Result<(), CliError> {
        let line = serde_json::to_vec(value).map_err(|error| CliError::Bug(format!("unwritable JSON: {error}")))?;
        self.bytes(&line)?;
        self.bytes(b"\n")
    }

    /// Writes bytes as they are.
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<(), CliError> {
        if self.is_mutable && IS_MUTED.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.writer.write_all(bytes).map_err(unwritable)
    }

    /// Sends what was written on its way.
    pub fn flush(&mut self) -> Result<(), CliError> {
        self.writer.flush().map_err(unwritable)
    }
}

fn unwritable(error: io::Error) -> CliError {
    if error.kind() == io::ErrorKind::BrokenPipe {
        CliError::OutputClosed
    } else {
        CliError::file("write to standard output")(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_for_people_escape_control_characters() {
        let mut written = Vec::new();
        let mut output = Output::to(&mut written);
        output.line("a\u{1b}[31m").unwrap();
        output.flush().unwrap();
        drop(output);
        assert_eq!(String::from_utf8(written).unwrap(), "a\\u{1b}[31m\n");
    }

    #[test]
    fn closed_pipe_is_not_a_failure_of_a_file() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut output = Output::to(Closed);
        output.line("a").unwrap();
        assert!(matches!(output.flush(), Err(CliError::OutputClosed)));
    }
}
