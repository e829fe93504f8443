//! The status on a terminal.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Paragraph, Row, Table, Wrap};
use s3ferry_core::status::StatusVerdict;

use super::report::StatusReport;
use crate::text::escaped_text;

/// What the screen shows.
#[derive(Debug)]
pub(super) struct StatusScreen<'a> {
    /// The latest status; `None` until the first one is read.
    pub(super) report: Option<&'a StatusReport>,
    /// The name of the stack.
    pub(super) stack: &'a str,
    /// Seconds between two readings.
    pub(super) every: u64,
    /// Whether the terminal shows colours.
    pub(super) has_colours: bool,
}

impl StatusScreen<'_> {
    /// Draws the screen.
    pub(super) fn draw(&self, frame: &mut Frame<'_>) {
        let reasons = self.report.map(StatusReport::reasons).unwrap_or_default();
        let lines = u16::try_from(reasons.len()).unwrap_or(u16::MAX);
        // A border around each part, and room for reasons that need two lines.
        let heights = [
            Constraint::Length(3),
            Constraint::Fill(1),
            Constraint::Length(if reasons.is_empty() {
                0
            } else {
                lines.saturating_mul(2).saturating_add(2).min(12)
            }),
            Constraint::Length(1),
        ];
        let [top, middle, bottom, footer] = Layout::vertical(heights).areas(frame.area());
        let title = format!(" s3ferry status: {} ", escaped_text(self.stack));
        frame.render_widget(
            Paragraph::new(self.headline()).block(Block::bordered().title(title)),
            top,
        );
        if let Some(report) = self.report {
            let rows = report.rows().into_iter();
            let rows = rows.map(|(name, value)| Row::new([name.to_owned(), escaped_text(&value).into_owned()]));
            let table = Table::new(rows, [Constraint::Length(17), Constraint::Fill(1)]);
            frame.render_widget(table.block(Block::bordered()), middle);
        }
        if !reasons.is_empty() {
            let lines: Vec<Line<'_>> = reasons
                .iter()
                .map(|reason| Line::from(escaped_text(reason).into_owned()))
                .collect();
            let reasons = Paragraph::new(lines).wrap(Wrap { trim: true });
            frame.render_widget(reasons.block(Block::bordered().title(" reasons ")), bottom);
        }
        let footer_text = format!(" q: quit   read every {} s", self.every);
        frame.render_widget(Paragraph::new(footer_text), footer);
    }

    fn headline(&self) -> Line<'static> {
        let Some(report) = self.report else {
            return Line::from(" reading ...");
        };
        let verdict = report.assessment.verdict;
        let mut style = Style::new().add_modifier(Modifier::BOLD);
        if self.has_colours {
            style = style.fg(colour(verdict));
        }
        let lag = format!(
            "  lag {}  as of {}",
            report.lag_text(),
            report.readings.as_of.to_rfc3339()
        );
        Line::from(vec![
            Span::styled(format!(" {}", verdict.as_str()), style),
            Span::raw(lag),
        ])
    }
}

fn colour(verdict: StatusVerdict) -> Color {
    match verdict {
        StatusVerdict::InSync => Color::Green,
        StatusVerdict::Lagging => Color::Yellow,
        StatusVerdict::Failing => Color::Red,
        StatusVerdict::Blind => Color::Magenta,
    }
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use s3ferry_core::status::{QueueCounts, SourceMetrics, StatusReadings, assess};
    use s3ferry_core::time::Timestamp;

    use super::*;

    fn report(dead_letters: u64) -> StatusReport {
        let readings = StatusReadings {
            as_of: Timestamp::from_seconds(1_795_393_230),
            max_lag: std::time::Duration::from_mins(15),
            replicator_copies: true,
            queue: Ok(QueueCounts::default()),
            dead_letters: Ok(dead_letters),
            metrics: Ok(SourceMetrics::default()),
            crr: None,
            canary: None,
            uploads: Ok(2),
            delete_intents: Ok(0),
            runs: Ok(Vec::new()),
        };
        StatusReport {
            stack: "source".to_owned(),
            cli_version: "0.1.0 (abc)",
            assessment: assess(&readings),
            readings,
        }
    }

    fn drawn(screen: &StatusScreen<'_>, (width, height): (u16, u16)) -> (String, Terminal<TestBackend>) {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| screen.draw(frame)).unwrap();
        let text = terminal.backend().to_string();
        (text, terminal)
    }

    fn screen(report: Option<&StatusReport>, has_colours: bool) -> StatusScreen<'_> {
        StatusScreen {
            report,
            stack: "source",
            every: 10,
            has_colours,
        }
    }

    #[test]
    fn screen_shows_verdict_readings_and_reasons() {
        let failing = report(3);
        let (text, _) = drawn(&screen(Some(&failing), true), (80, 30));
        for expected in [
            "s3ferry status: source",
            " failing  lag 0 s (empty-queue)  as of 2026-11-23T00:20:30Z",
            "multipart copies  2",
            "dead letters      about 3",
            "failing: 3 dead letters: their writes are not retried",
            "q: quit   read every 10 s",
        ] {
            assert!(text.contains(expected), "{expected} is not in\n{text}");
        }
        let (text, _) = drawn(&screen(None, true), (80, 30));
        assert!(text.contains("reading ..."), "{text}");
    }

    #[test]
    fn verdict_is_coloured_only_where_colours_are_shown() {
        let good = report(0);
        for (has_colours, expected) in [(true, Color::Green), (false, Color::Reset)] {
            let (text, terminal) = drawn(&screen(Some(&good), has_colours), (80, 30));
            assert!(!text.contains("reasons"), "{text}");
            assert_eq!(terminal.backend().buffer()[(2, 1)].fg, expected);
        }
    }

    #[test]
    fn small_terminal_is_no_error() {
        let failing = report(3);
        for size in [(1, 1), (10, 3), (40, 8)] {
            drawn(&screen(Some(&failing), true), size);
        }
    }
}
