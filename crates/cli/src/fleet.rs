//! `--all`: runs a command for every migration of a file, and prints one table and one exit code.

pub(crate) mod columns;

use serde_json::{Value, json};

use self::columns::FleetColumn;
use crate::exit::{CliError, CommandOutcome};
use crate::output::{CapturedOutput, Format, Output};
use crate::progress::print_message;
use crate::text::grouped;

/// One migration of a fleet.
#[derive(Debug)]
pub(crate) struct FleetMember {
    pub(crate) name: String,
    pub(crate) source: String,
    pub(crate) destination: String,
}

/// What came of one migration.
#[derive(Debug)]
struct FleetRow {
    member: FleetMember,
    code: u8,
    /// The summary of the command, if it came to its end.
    summary: Option<Value>,
    error: Option<String>,
}

/// The rows so far, and the format of the table.
#[derive(Debug)]
pub(crate) struct Fleet {
    format: Format,
    columns: &'static [FleetColumn],
    /// The number of migrations to run.
    total: usize,
    rows: Vec<FleetRow>,
    output: Output<std::io::Stdout>,
}

impl Fleet {
    /// Begins with no migration.
    pub(crate) fn begin(format: Format, columns: &'static [FleetColumn], total: usize) -> Self {
        Self {
            format,
            columns,
            total,
            rows: Vec::new(),
            output: Output::stdout(),
        }
    }

    /// Runs the command for one migration. The command must have JSON as its output. Fails only if no other migration
    /// may run.
    pub(crate) async fn run(
        &mut self,
        member: FleetMember,
        command: impl Future<Output = Result<CommandOutcome, CliError>>,
    ) -> Result<(), CliError> {
        print_message(&format!("{}: {} to {}", member.name, member.source, member.destination));
        let captured = CapturedOutput::begin();
        let ended = command.await;
        let summary = serde_json::from_str(&captured.end()).ok();
        let row = match ended {
            Ok(outcome) => FleetRow {
                member,
                code: outcome.code(),
                summary,
                error: None,
            },
            Err(error @ (CliError::Interrupted | CliError::OutputClosed)) => return Err(error),
            Err(error) => {
                print_message(&format!("s3ferry: {}: {}", member.name, error.shown()));
                FleetRow {
                    member,
                    code: error.code(),
                    summary: None,
                    error: Some(error.to_string()),
                }
            }
        };
        if self.format == Format::Json {
            self.output.json(&row.json())?;
            self.output.flush()?;
        }
        self.rows.push(row);
        Ok(())
    }

    /// Prints the table; returns the worst exit code.
    pub(crate) fn end(mut self) -> Result<u8, CliError> {
        let code = self.rows.iter().map(|row| row.code).max().unwrap_or_default();
        let good = self.rows.iter().filter(|row| row.code == 0).count();
        match self.format {
            Format::Human => {
                for line in table(&self.rows, self.columns) {
                    self.output.line(line)?;
                }
                self.output
                    .line(format!("{good} of {} migrations ended with 0", self.total))?;
            }
            Format::Json => self.output.json(&json!({
                "type": "summary",
                "migrations": self.total,
                "run": self.rows.len(),
                "ended_with_0": good,
                "exit_code": code,
            }))?,
        }
        self.output.flush()?;
        Ok(code)
    }
}

impl FleetRow {
    fn json(&self) -> Value {
        json!({
            "type": "migration",
            "migration": self.member.name,
            "source": self.member.source,
            "destination": self.member.destination,
            "exit_code": self.code,
            "summary": self.summary,
            "error": self.error,
        })
    }

    fn cells(&self, columns: &[FleetColumn]) -> Vec<String> {
        let values = columns.iter().map(|column| match self.summary.as_ref() {
            Some(summary) => cell(summary.pointer(column.pointer)),
            None => "-".to_owned(),
        });
        let first = [self.member.name.clone(), self.code.to_string()];
        first.into_iter().chain(values).collect()
    }
}

fn cell(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => match number.as_u64() {
            Some(number) => grouped(number),
            None => number.to_string(),
        },
        Some(value @ (Value::Bool(_) | Value::Array(_) | Value::Object(_))) => value.to_string(),
        Some(Value::Null) | None => "-".to_owned(),
    }
}

/// Aligns the cells of the rows below their headings.
fn table(rows: &[FleetRow], columns: &[FleetColumn]) -> Vec<String> {
    let headings = ["migration", "exit"]
        .into_iter()
        .chain(columns.iter().map(|column| column.heading));
    let mut lines = vec![headings.map(str::to_owned).collect::<Vec<_>>()];
    lines.extend(rows.iter().map(|row| row.cells(columns)));
    let width = |column: usize| {
        let cells = lines.iter().filter_map(|cells| cells.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..columns.len() + 2).map(width).collect();
    let aligned = lines.iter().map(|cells| {
        let cells = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    });
    aligned.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_aligns_the_summaries_of_all_migrations() {
        let row = |name: &str, code, summary| FleetRow {
            member: FleetMember {
                name: name.to_owned(),
                source: "s3://a/".to_owned(),
                destination: "s3://b/".to_owned(),
            },
            code,
            summary,
            error: None,
        };
        let rows = [
            row("photos", 1, Some(json!({ "verdict": "different", "keys": 12_345 }))),
            row("texts", 3, None),
        ];
        let columns = columns::columns("verify").unwrap();
        assert_eq!(
            table(&rows, columns.get(..2).unwrap()),
            [
                "migration  exit  verdict    keys",
                "photos     1     different  12,345",
                "texts      3     -          -",
            ]
        );
    }
}
