//! `s3ferry status --watch`.

use std::io::{self, IsTerminal as _};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::DefaultTerminal;
use tokio::sync::mpsc;

use super::migration::ObservedMigration;
use super::report::StatusReport;
use super::screen::StatusScreen;
use crate::args::SharedArgs;
use crate::environment;
use crate::exit::{CliError, CommandOutcome};
use crate::interrupt::Interrupt;
use crate::output::{Format, Output};

/// How long the thread that reads keys waits for one.
const KEY_WAIT: Duration = Duration::from_millis(200);

/// Shows the status every few seconds: on a terminal as a screen, otherwise as a line each time.
pub(super) async fn run(
    shared: &SharedArgs,
    migration: &ObservedMigration,
    every: u64,
    interrupt: &Interrupt,
) -> Result<CommandOutcome, CliError> {
    let has_terminal = io::stdout().is_terminal() && io::stdin().is_terminal();
    if has_terminal && shared.output == Format::Human {
        let mut terminal = ratatui::try_init().map_err(CliError::file("draw on the terminal"))?;
        let ended = on_screen(&mut terminal, migration, every, interrupt).await;
        ratatui::restore();
        return ended;
    }
    as_lines(shared, migration, every, interrupt).await
}

async fn as_lines(
    shared: &SharedArgs,
    migration: &ObservedMigration,
    every: u64,
    interrupt: &Interrupt,
) -> Result<CommandOutcome, CliError> {
    let mut output = Output::stdout();
    loop {
        tokio::select! {
            () = interrupt.wait() => return Err(CliError::Interrupted),
            report = migration.report() => match shared.output {
                Format::Human => output.line(report.line())?,
                Format::Json => output.json(&report.to_json())?,
            },
        }
        output.flush()?;
        tokio::select! {
            () = interrupt.wait() => return Err(CliError::Interrupted),
            () = tokio::time::sleep(Duration::from_secs(every)) => {}
        }
    }
}

/// Draws the status until q is pressed. The outcome is that of the last status.
async fn on_screen(
    terminal: &mut DefaultTerminal,
    migration: &ObservedMigration,
    every: u64,
    interrupt: &Interrupt,
) -> Result<CommandOutcome, CliError> {
    let mut keys = Keys::listen();
    let mut latest: Option<StatusReport> = None;
    loop {
        let is_first = latest.is_none();
        let mut reading = pin!(async {
            if !is_first {
                tokio::time::sleep(Duration::from_secs(every)).await;
            }
            migration.report().await
        });
        let next = loop {
            draw(terminal, migration, latest.as_ref(), every)?;
            tokio::select! {
                () = interrupt.wait() => return Err(CliError::Interrupted),
                report = &mut reading => break report,
                key = keys.next() => match key? {
                    ScreenInput::Quit => return Ok(latest.as_ref().map_or(CommandOutcome::NotAll, StatusReport::outcome)),
                    ScreenInput::Interrupt => return Err(CliError::Interrupted),
                    ScreenInput::Other => {}
                },
            }
        };
        latest = Some(next);
    }
}

fn draw(
    terminal: &mut DefaultTerminal,
    migration: &ObservedMigration,
    report: Option<&StatusReport>,
    every: u64,
) -> Result<(), CliError> {
    let screen = StatusScreen {
        report,
        stack: migration.stack(),
        every,
        has_colours: environment::non_empty("NO_COLOR").is_none(),
    };
    let drawn = terminal.draw(|frame| screen.draw(frame));
    drawn.map(drop).map_err(CliError::file("draw on the terminal"))
}

/// What was entered at the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ScreenInput {
    Quit,
    Interrupt,
    /// Nothing, but the screen must be drawn again.
    Other,
}

impl ScreenInput {
    fn of(event: &Event) -> Option<Self> {
        match event {
            Event::Key(key) if key.kind != KeyEventKind::Release => Self::of_key(*key),
            Event::Resize(..) => Some(Self::Other),
            _ => None,
        }
    }

    fn of_key(key: KeyEvent) -> Option<Self> {
        match key.code {
            KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => Some(Self::Interrupt),
            KeyCode::Char('q' | 'Q') | KeyCode::Esc => Some(Self::Quit),
            _ => None,
        }
    }
}

/// The keys of the terminal, read in a thread, because reading them blocks.
struct Keys {
    inputs: mpsc::Receiver<io::Result<ScreenInput>>,
    is_over: Arc<AtomicBool>,
}

impl Keys {
    fn listen() -> Self {
        let (sender, inputs) = mpsc::channel(8);
        let is_over = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&is_over);
        tokio::task::spawn_blocking(move || {
            while !ended.load(Ordering::Relaxed) {
                let input = match event::poll(KEY_WAIT) {
                    Ok(false) => continue,
                    Ok(true) => event::read().map(|event| ScreenInput::of(&event)),
                    Err(error) => Err(error),
                };
                let Some(input) = input.transpose() else { continue };
                let has_failed = input.is_err();
                if sender.blocking_send(input).is_err() || has_failed {
                    break;
                }
            }
        });
        Self { inputs, is_over }
    }

    async fn next(&mut self) -> Result<ScreenInput, CliError> {
        let input = self.inputs.recv().await;
        let input = input.ok_or_else(|| CliError::Bug("the keys of the terminal are no longer read".to_owned()))?;
        input.map_err(CliError::unreadable("read the keys of the terminal"))
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn q_quits_and_ctrl_c_interrupts() {
        let input = |code, modifiers| ScreenInput::of(&Event::Key(KeyEvent::new(code, modifiers)));
        assert_eq!(input(KeyCode::Char('q'), KeyModifiers::NONE), Some(ScreenInput::Quit));
        assert_eq!(
            input(KeyCode::Char('c'), KeyModifiers::CONTROL),
            Some(ScreenInput::Interrupt)
        );
        assert_eq!(input(KeyCode::Char('c'), KeyModifiers::NONE), None);
        assert_eq!(ScreenInput::of(&Event::Resize(80, 24)), Some(ScreenInput::Other));
        assert_eq!(ScreenInput::of(&Event::FocusLost), None);
    }
}
