//! Results on standard output, as text or JSON.

use std::io::{self, BufWriter, Write};
use std::sync::{Arc, Mutex, PoisonError};

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

/// Standard output. A closed pipe ends the command.
#[derive(Debug)]
pub struct Output<W: Write> {
    writer: BufWriter<W>,
    /// Takes what is written to standard output, while a command runs as one of several.
    captured: Option<CapturedOutput>,
}

/// The output of a command that runs as one of several. Only its last line is kept, which is the summary.
#[derive(Debug, Clone, Default)]
pub struct CapturedOutput(Arc<Mutex<LastLine>>);

#[derive(Debug, Default)]
struct LastLine {
    complete: Vec<u8>,
    next: Vec<u8>,
}

static CAPTURED: Mutex<Option<CapturedOutput>> = Mutex::new(None);

impl CapturedOutput {
    /// Captures standard output from now on, until [`CapturedOutput::end`].
    #[must_use]
    pub fn begin() -> Self {
        let captured = Self::default();
        *CAPTURED.lock().unwrap_or_else(PoisonError::into_inner) = Some(captured.clone());
        captured
    }

    /// Ends the capture, and returns the last line.
    #[must_use]
    pub fn end(self) -> String {
        *CAPTURED.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&lines.complete).into_owned()
    }

    fn write(&self, bytes: &[u8]) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            lines.next.extend_from_slice(part);
            if part.ends_with(b"\n") {
                lines.complete = std::mem::take(&mut lines.next);
            }
        }
    }
}

impl Output<io::Stdout> {
    /// Returns an output that writes to standard output.
    #[must_use]
    pub fn stdout() -> Self {
        Self {
            captured: CAPTURED.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            ..Self::to(io::stdout())
        }
    }
}

impl<W: Write> Output<W> {
    /// Returns an output that writes to `writer`.
    pub fn to(writer: W) -> Self {
        Self {
            writer: BufWriter::new(writer),
            captured: None,
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
        match &self.captured {
            Some(captured) => {
                captured.write(bytes);
                Ok(())
            }
            None => self.writer.write_all(bytes).map_err(unwritable),
        }
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
