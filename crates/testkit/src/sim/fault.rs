//! Faults by operation, drawn from a seed or counted out.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;

use super::http::operation;
use super::model::random::Random;

/// What goes wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SimFault {
    /// 503 `SlowDown`, nothing happens.
    Throttle,
    /// 500 `InternalError`, nothing happens.
    InternalError,
    /// 409 `ConditionalRequestConflict`, nothing happens: somebody else's conditional write is in flight.
    Conflict,
    /// 200 with an error document, nothing happens.
    OkWithError,
    /// The effect happens, the connection is closed without an answer.
    LostResponse,
    /// No answer; the connection is closed, and the effect happens only later.
    Late,
    /// The connection is closed before any effect.
    Reset,
    /// The answer takes longer.
    Slow,
    /// No effect and no answer: the connection stays open until the client gives up.
    Timeout,
}

impl SimFault {
    /// All of them by name.
    pub const NAMES: [(&'static str, Self); 9] = [
        ("throttle", Self::Throttle),
        ("internal-error", Self::InternalError),
        ("conflict", Self::Conflict),
        ("ok-with-error", Self::OkWithError),
        ("lost-response", Self::LostResponse),
        ("late", Self::Late),
        ("reset", Self::Reset),
        ("slow", Self::Slow),
        ("timeout", Self::Timeout),
    ];

    fn from_name(name: &str) -> Option<Self> {
        Self::NAMES
            .into_iter()
            .find_map(|(known, fault)| (known == name).then_some(fault))
    }
}

/// Operations whose errors S3 may send below a status of 200.
const ANSWERED_LATE: [&str; 3] = ["CompleteMultipartUpload", "CopyObject", "UploadPartCopy"];

/// Stands for every operation in a rule.
const ANY_OPERATION: &str = "*";

/// When something goes wrong.
#[derive(Debug, Clone, PartialEq)]
pub struct FaultRule {
    operation: String,
    when: When,
    fault: SimFault,
    /// How often it still fires.
    left: Option<u32>,
    timing: FaultTiming,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum When {
    /// Each request, with this probability.
    Probability(f64),
    /// From this request on, counted from 1.
    From(u64),
}

/// How long the faults take that take time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FaultTiming {
    /// How long a slow answer waits, or a late request's connection stays open.
    pub delay_ms: u64,
    /// After how many further requests a late effect happens.
    pub after_requests: u64,
    /// After how long it happens at the latest, counted from the closing of its connection.
    pub after_ms: u64,
}

impl Default for FaultTiming {
    fn default() -> Self {
        Self {
            delay_ms: 500,
            after_requests: 3,
            after_ms: 2_000,
        }
    }
}

/// A fault that a request meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FaultHit {
    /// What goes wrong.
    pub fault: SimFault,
    /// How long it takes.
    pub timing: FaultTiming,
}

/// Why rules were refused.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("{field} is {value}: {allowed}")]
pub struct FaultRuleError {
    /// The field.
    pub field: String,
    /// What stood there.
    pub value: String,
    /// What may stand there.
    pub allowed: String,
}

impl FaultRuleError {
    fn new(field: &str, value: impl std::fmt::Display, allowed: impl Into<String>) -> Self {
        Self {
            field: field.to_owned(),
            value: value.to_string(),
            allowed: allowed.into(),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    operation: String,
    probability: Option<f64>,
    nth: Option<u64>,
    fault: String,
    times: Option<u32>,
    delay_ms: Option<u64>,
    after_requests: Option<u64>,
    after_ms: Option<u64>,
}

impl FaultRule {
    /// Reads rules from the side door's JSON.
    pub fn read_all(document: &Value) -> Result<Vec<Self>, FaultRuleError> {
        let Some(rules) = document.as_array() else {
            return Err(FaultRuleError::new("the document", document, "must be a list of rules"));
        };
        rules.iter().map(Self::read).collect()
    }

    fn read(document: &Value) -> Result<Self, FaultRuleError> {
        let written = Written::deserialize(document)
            .map_err(|error| FaultRuleError::new("a rule", document, format!("does not fit: {error}")))?;
        let names = operation::names();
        if written.operation != ANY_OPERATION && !names.contains(&written.operation.as_str()) {
            let allowed = format!("must be {ANY_OPERATION} or one of {}", names.join(", "));
            return Err(FaultRuleError::new("operation", written.operation, allowed));
        }
        let Some(fault) = SimFault::from_name(&written.fault) else {
            let known: Vec<_> = SimFault::NAMES.into_iter().map(|(name, _)| name).collect();
            return Err(FaultRuleError::new(
                "fault",
                written.fault,
                format!("must be one of {}", known.join(", ")),
            ));
        };
        if fault == SimFault::OkWithError && !ANSWERED_LATE.contains(&written.operation.as_str()) {
            let allowed = format!("ok-with-error is for one of {}", ANSWERED_LATE.join(", "));
            return Err(FaultRuleError::new("operation", written.operation, allowed));
        }
        let when = match (written.probability, written.nth) {
            (Some(probability), None) if (0.0..=1.0).contains(&probability) => When::Probability(probability),
            (Some(probability), None) => {
                return Err(FaultRuleError::new("probability", probability, "must be from 0 to 1"));
            }
            (None, Some(0)) => return Err(FaultRuleError::new("nth", 0, "must be at least 1")),
            (None, Some(nth)) => When::From(nth),
            (Some(_), Some(_)) => {
                return Err(FaultRuleError::new(
                    "nth",
                    "given beside probability",
                    "one of the two must be given",
                ));
            }
            (None, None) => {
                return Err(FaultRuleError::new(
                    "nth",
                    "missing, as is probability",
                    "one of the two must be given",
                ));
            }
        };
        if written.times == Some(0) {
            return Err(FaultRuleError::new("times", 0, "must be at least 1"));
        }
        // A counted rule fires once unless it says how often, then at as many requests in a row.
        let left = match when {
            When::Probability(_) => written.times,
            When::From(_) => Some(written.times.unwrap_or(1)),
        };
        let default = FaultTiming::default();
        Ok(Self {
            operation: written.operation,
            when,
            fault,
            left,
            timing: FaultTiming {
                delay_ms: written.delay_ms.unwrap_or(default.delay_ms),
                after_requests: written.after_requests.unwrap_or(default.after_requests),
                after_ms: written.after_ms.unwrap_or(default.after_ms),
            },
        })
    }
}

/// The rules in force and what they have counted.
#[derive(Debug)]
pub struct SimFaults {
    rules: Vec<FaultRule>,
    seen: BTreeMap<&'static str, u64>,
    total: u64,
    random: Random,
}

impl SimFaults {
    /// Starts without rules.
    pub fn new(seed: u64) -> Self {
        Self {
            rules: Vec::new(),
            seen: BTreeMap::new(),
            total: 0,
            random: Random::new(seed),
        }
    }

    /// Replaces the rules; counting starts anew.
    pub fn set(&mut self, rules: Vec<FaultRule>) {
        self.rules = rules;
        self.seen.clear();
        self.total = 0;
    }

    /// Decides what goes wrong with a request; the first rule that fires counts.
    pub fn hit(&mut self, operation: &'static str) -> Option<FaultHit> {
        let seen = self.seen.entry(operation).or_default();
        *seen += 1;
        self.total += 1;
        for rule in &mut self.rules {
            let count = match rule.operation.as_str() {
                ANY_OPERATION => self.total,
                name if name == operation => *seen,
                _ => continue,
            };
            let fires = rule.left != Some(0)
                && match rule.when {
                    When::Probability(probability) => self.random.happens(probability),
                    When::From(nth) => count >= nth,
                };
            if fires {
                rule.left = rule.left.map(|left| left - 1);
                return Some(FaultHit {
                    fault: rule.fault,
                    timing: rule.timing,
                });
            }
        }
        None
    }
}

#[cfg(test)]
mod tests;
