//! The findings as a table or as JSON lines.

use s3ferry_core::preflight::{CheckRow, CheckSeverity, PreflightReport};
use serde_json::json;

use crate::exit::CliError;
use crate::output::{Format, Output};

/// Writes one row a check, worst first, then the fixes and the counts.
pub(super) fn write(format: Format, report: &PreflightReport) -> Result<(), CliError> {
    let mut output = Output::stdout();
    match format {
        Format::Human => {
            for line in table(report) {
                output.line(line)?;
            }
        }
        Format::Json => {
            for row in &report.rows {
                output.json(&json!({
                    "type": "check",
                    "id": row.id,
                    "severity": row.severity,
                    "accepted": row.accepted,
                    "evidence": row.evidence,
                    "meaning": row.meaning,
                    "fix": row.fix,
                }))?;
            }
            output.json(&json!({
                "type": "summary",
                "checks": report.rows.len(),
                "fail": report.count(CheckSeverity::Fail),
                "unknown": report.count(CheckSeverity::Unknown),
                "accepted": report.rows.iter().filter(|row| row.accepted).count(),
                "warn": report.count(CheckSeverity::Warn),
                "pass": report.count(CheckSeverity::Pass),
                "ready": report.is_good(),
            }))?;
        }
    }
    output.flush()
}

fn table(report: &PreflightReport) -> Vec<String> {
    let width = report.rows.iter().map(|row| row.id.len()).max().unwrap_or_default();
    let severity = |row: &CheckRow| match (row.severity, row.accepted) {
        (CheckSeverity::Unknown, true) => "accepted",
        (severity, _) => severity.as_str(),
    };
    let mut lines: Vec<String> = report
        .rows
        .iter()
        .map(|row| format!("{:<8}  {:<width$}  {}", severity(row), row.id, row.evidence))
        .collect();
    let fixes: Vec<&CheckRow> = report
        .rows
        .iter()
        .filter(|row| row.fix.is_some() && !row.accepted)
        .collect();
    if !fixes.is_empty() {
        lines.extend([String::new(), "What to do:".to_owned()]);
    }
    for row in fixes {
        lines.push(format!("  {}: {}", row.id, row.meaning));
        lines.extend(row.fix.iter().map(|fix| format!("    fix: {fix}")));
    }
    let count = |severity: CheckSeverity| format!("{} {}", report.count(severity), severity.as_str());
    let counts = [
        CheckSeverity::Fail,
        CheckSeverity::Unknown,
        CheckSeverity::Warn,
        CheckSeverity::Pass,
    ]
    .map(count);
    lines.extend([
        String::new(),
        format!(
            "{} checks: {}: {}",
            report.rows.len(),
            counts.join(", "),
            if report.is_good() { "ready" } else { "not ready" }
        ),
    ]);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_has_a_row_a_check_and_then_the_fixes() {
        let row = |id, severity, fix: Option<&str>| CheckRow {
            id,
            severity,
            accepted: false,
            evidence: format!("evidence of {id}"),
            meaning: "Why.",
            fix: fix.map(str::to_owned),
        };
        let report = PreflightReport {
            rows: vec![
                row("policy", CheckSeverity::Fail, Some("remove it")),
                row("versioning-age", CheckSeverity::Pass, None),
            ],
        };
        assert_eq!(
            table(&report),
            [
                "fail      policy          evidence of policy",
                "pass      versioning-age  evidence of versioning-age",
                "",
                "What to do:",
                "  policy: Why.",
                "    fix: remove it",
                "",
                "2 checks: 1 fail, 0 unknown, 0 warn, 1 pass: not ready",
            ]
        );
    }
}
