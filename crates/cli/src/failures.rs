//! Failures of many objects for few reasons: each reason is shown once, with how many objects it stopped.

use std::collections::BTreeMap;

use s3ferry_core::failure::Failure;
use serde_json::{Value, json};

use crate::text::grouped;

/// The number of reasons that are shown; JSON contains all.
const SHOWN: usize = 10;

/// The number of failed objects per reason.
#[derive(Debug, Default)]
pub struct FailureCounts(BTreeMap<(String, String), FailureGroup>);

#[derive(Debug)]
struct FailureGroup {
    count: u64,
    first: Failure,
}

impl FailureCounts {
    /// Counts one failure.
    pub fn count(&mut self, failure: &Failure) {
        let reason = (failure.code.to_string(), failure.action.clone());
        let group = self.0.entry(reason).or_insert_with(|| FailureGroup {
            count: 0,
            first: failure.clone(),
        });
        group.count += 1;
    }

    /// Returns a line per reason, with the first object that it stopped.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.0.values().take(SHOWN).map(FailureGroup::line).collect();
        if self.0.len() > SHOWN {
            lines.push(format!("    and {} more reasons", self.0.len() - SHOWN));
        }
        lines
    }

    /// Returns the same as JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        let reason = |((code, action), group): (&(String, String), &FailureGroup)| json!({ "code": code, "action": action, "objects": group.count, "first": group.first.to_string() });
        self.0.iter().map(reason).collect()
    }
}

impl FailureGroup {
    fn line(&self) -> String {
        let others = match self.count {
            1 => String::new(),
            count => format!("; and {} more objects", grouped(count - 1)),
        };
        format!("    {}{others}", self.first)
    }
}

#[cfg(test)]
mod tests {
    use s3ferry_core::failure::FailureKind;

    use super::*;

    #[test]
    fn each_reason_is_shown_once_with_a_count() {
        let mut counts = FailureCounts::default();
        let failure = |code: &str, key: &str| Failure {
            kind: FailureKind::Permanent,
            code: code.into(),
            action: "s3:GetObject".to_owned(),
            resource: format!("arn:aws:s3:::source/{key}"),
            detail: "said S3".to_owned(),
        };
        for key in ["a", "b", "c"] {
            counts.count(&failure("AccessDenied", key));
        }
        counts.count(&failure("Panic", "d"));
        assert_eq!(
            counts.lines(),
            [
                "    s3:GetObject failed on arn:aws:s3:::source/a: AccessDenied: said S3; and 2 more objects",
                "    s3:GetObject failed on arn:aws:s3:::source/d: Panic: said S3",
            ]
        );
        assert_eq!(counts.json()[0]["objects"], 3);
    }
}
