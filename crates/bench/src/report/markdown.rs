//! The report as Markdown, which is also what the command prints.

use std::fmt::Write as _;

use super::{BenchMetric, BenchReport, CaseReport, GoalResult, ReportRow, ScenarioReport, number};

/// Renders the report.
pub(crate) fn render(report: &BenchReport) -> String {
    let mut text = format!(
        "# Benchmarks of s3ferry {}\n\n`{}`: {} CPUs, {} rounds, scale {}, {:.0} s.\n\nEach value is a median, with its \
         spread in parentheses. A ratio above 1 means that s3ferry is better.\n",
        report.version, report.command, report.cpus, report.rounds, report.scale, report.elapsed_seconds
    );
    for scenario in &report.scenarios {
        text.push_str(&section(scenario));
    }
    text
}

/// Renders one scenario.
pub(crate) fn section(scenario: &ScenarioReport) -> String {
    let mut text = format!("\n## {}\n\n{}\n", scenario.name, scenario.setting);
    for case in &scenario.cases {
        text.push_str(&table(case, &scenario.metrics));
    }
    if !scenario.goals.is_empty() {
        text.push_str("\n| goal | case | measured | reached |\n|---|---|---|---|\n");
        for goal in &scenario.goals {
            text.push_str(&goal_row(goal));
        }
    }
    for note in &scenario.notes {
        append(&mut text, format_args!("\n{note}\n"));
    }
    text
}

/// Writing into a `String` does not fail.
fn append(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    let written = text.write_fmt(arguments);
    debug_assert!(written.is_ok());
}

fn table(case: &CaseReport, metrics: &[BenchMetric]) -> String {
    let mut text = format!("\n### {}\n\n| tool | settings |", case.name);
    for metric in metrics {
        let unit = if metric.unit.is_empty() {
            String::new()
        } else {
            format!(", {}", metric.unit)
        };
        append(&mut text, format_args!(" {}{unit} | ratio |", metric.name));
    }
    append(
        &mut text,
        format_args!(" rounds |\n|---|---|{}---|\n", "---|---|".repeat(metrics.len())),
    );
    for row in &case.rows {
        append(&mut text, format_args!("| {} | {} |", row.tool, row.settings));
        match row.reason() {
            Some((outcome, reason)) => {
                let reason = reason.replace('|', "\\|");
                append(
                    &mut text,
                    format_args!(" {outcome}: {reason} |{}", " |".repeat(2 * metrics.len())),
                );
            }
            None => text.push_str(&cells(row, metrics)),
        }
        text.push('\n');
    }
    text
}

fn cells(row: &ReportRow, metrics: &[BenchMetric]) -> String {
    let super::RowOutcome::Measured { figures, .. } = &row.outcome else {
        return String::new();
    };
    let mut text = String::new();
    for metric in metrics {
        match figures.get(metric.name) {
            Some(value) if value.rounds > 1 => append(
                &mut text,
                format_args!(
                    " {} ({} - {}) |",
                    number(value.median),
                    number(value.min),
                    number(value.max)
                ),
            ),
            Some(value) => append(&mut text, format_args!(" {} |", number(value.median))),
            None => text.push_str(" |"),
        }
        match row.ratio(*metric) {
            Some(_) if row.is_s3ferry => text.push_str(" 1 |"),
            Some(ratio) => append(&mut text, format_args!(" {ratio:.2} x |")),
            None => text.push_str(" |"),
        }
    }
    let rounds = figures.values().map(|value| value.rounds).max().unwrap_or(0);
    append(&mut text, format_args!(" {rounds} |"));
    text
}

fn goal_row(goal: &GoalResult) -> String {
    let measured = goal.measured.map_or_else(|| "-".to_owned(), number);
    let reached = match goal.reached {
        None => "-",
        Some(true) => "yes",
        Some(false) => "**no**",
    };
    format!("| {} | {} | {measured} | {reached} |\n", goal.goal, goal.case)
}
