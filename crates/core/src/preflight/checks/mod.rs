//! The table of checks.

mod access;
mod buckets;
mod data;
mod encryption;
mod events;
mod lifecycle;
mod limits;
mod policies;
mod table;

pub use table::CHECKS;

use super::facts::{BucketFacts, PreflightFacts};
use super::reading::UnknownReading;
use super::report::Finding;

/// Result of a check: a finding, or the reading that it lacks.
pub type CheckResult = Result<Finding, UnknownReading>;

/// Check of `s3ferry preflight`.
#[derive(Debug, Clone, Copy)]
pub struct PreflightCheck {
    /// ID, which `--accept` takes.
    pub id: &'static str,
    /// What the check finds, by severity.
    pub finds: &'static str,
    /// What the check is about, and why it matters.
    pub meaning: &'static str,
    /// AWS CLI command that shows the fact.
    pub command: fn(&PreflightFacts) -> String,
    /// Function that finds the severity.
    pub find: fn(&PreflightFacts) -> CheckResult,
}

impl PreflightFacts {
    /// Returns both buckets with their names in messages.
    fn sides(&self) -> [(&'static str, &BucketFacts); 2] {
        [("source", &self.source), ("destination", &self.destination)]
    }
}

/// Returns an AWS CLI command of `s3api` on a bucket.
fn s3api(operation: &str, bucket: &BucketFacts) -> String {
    format!(
        "aws s3api {operation} --bucket {} --region {}",
        bucket.name, bucket.region
    )
}

/// Joins the findings of several parts: the worst severity, all evidence and every fix.
fn joined(parts: Vec<Finding>, otherwise: impl Into<String>) -> Finding {
    let Some(severity) = parts.iter().map(|part| part.severity).min() else {
        return Finding::pass(otherwise);
    };
    let evidence: Vec<String> = parts.iter().map(|part| part.evidence.clone()).collect();
    let mut fixes: Vec<String> = parts.into_iter().filter_map(|part| part.fix).collect();
    fixes.dedup();
    Finding {
        severity,
        evidence: evidence.join("; "),
        fix: (!fixes.is_empty()).then(|| fixes.join("; ")),
    }
}

/// Quotes and joins names.
fn quoted<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let quoted: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}

#[cfg(test)]
mod tests;
