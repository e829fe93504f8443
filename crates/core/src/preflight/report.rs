//! Results of the checks, worst first.

use std::collections::BTreeSet;

use serde::Serialize;

use super::checks::CHECKS;
use super::facts::PreflightFacts;
use super::reading::{UnknownReading, UnknownReason};

/// Severity of a finding, the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CheckSeverity {
    /// The migration would fail or lose something.
    Fail,
    /// The facts could not be read.
    Unknown,
    /// Something has to be decided or done.
    Warn,
    /// No problem was found.
    Pass,
}

impl CheckSeverity {
    /// Returns the name used in reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fail => "fail",
            Self::Unknown => "unknown",
            Self::Warn => "warn",
            Self::Pass => "pass",
        }
    }
}

/// Finding of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Severity.
    pub severity: CheckSeverity,
    /// What was read.
    pub evidence: String,
    /// Command or step that fixes it.
    pub fix: Option<String>,
}

impl Finding {
    pub(super) fn pass(evidence: impl Into<String>) -> Self {
        Self {
            severity: CheckSeverity::Pass,
            evidence: evidence.into(),
            fix: None,
        }
    }

    pub(super) fn warn(evidence: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            severity: CheckSeverity::Warn,
            evidence: evidence.into(),
            fix: Some(fix.into()),
        }
    }

    pub(super) fn fail(evidence: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            severity: CheckSeverity::Fail,
            evidence: evidence.into(),
            fix: Some(fix.into()),
        }
    }

    fn unknown(unknown: &UnknownReading, id: &str, command: &str) -> Self {
        let action = &unknown.action;
        let accept = format!("or answer it with `{command}` and pass --accept {id}");
        let fix = match unknown.reason {
            UnknownReason::Denied => format!("grant {action} to these credentials, {accept}"),
            UnknownReason::Unsupported => format!("use an endpoint that supports {action}, {accept}"),
            UnknownReason::Failed => format!("run again, {accept}"),
            UnknownReason::NotRead => format!("fix what is missing and run again, {accept}"),
        };
        Self {
            severity: CheckSeverity::Unknown,
            evidence: unknown.to_string(),
            fix: Some(fix),
        }
    }
}

/// Row of the report: one check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckRow {
    /// ID of the check.
    pub id: &'static str,
    /// Severity.
    pub severity: CheckSeverity,
    /// Whether an unknown result is accepted.
    pub accepted: bool,
    /// What was read.
    pub evidence: String,
    /// What the check is about, and why it matters.
    pub meaning: &'static str,
    /// Command or step that fixes it.
    pub fix: Option<String>,
}

/// Report of all checks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreflightReport {
    /// Rows, worst first.
    pub rows: Vec<CheckRow>,
}

impl PreflightReport {
    /// Runs every check. Unknown results of the checks in `accepted` do not count.
    #[must_use]
    pub fn new(facts: &PreflightFacts, accepted: &BTreeSet<String>) -> Self {
        let mut rows: Vec<CheckRow> = CHECKS
            .iter()
            .map(|check| {
                let found = (check.find)(facts);
                let finding = found.unwrap_or_else(|why| Finding::unknown(&why, check.id, &(check.command)(facts)));
                CheckRow {
                    id: check.id,
                    severity: finding.severity,
                    accepted: finding.severity == CheckSeverity::Unknown && accepted.contains(check.id),
                    evidence: finding.evidence,
                    meaning: check.meaning,
                    fix: finding.fix,
                }
            })
            .collect();
        rows.sort_by_key(|row| row.severity);
        Self { rows }
    }

    /// Returns the number of rows of a severity.
    #[must_use]
    pub fn count(&self, severity: CheckSeverity) -> usize {
        self.rows.iter().filter(|row| row.severity == severity).count()
    }

    /// Returns whether no check failed, and every unknown result is accepted.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.rows.iter().all(|row| match row.severity {
            CheckSeverity::Fail => false,
            CheckSeverity::Unknown => row.accepted,
            CheckSeverity::Warn | CheckSeverity::Pass => true,
        })
    }
}
