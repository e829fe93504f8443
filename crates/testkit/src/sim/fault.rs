//! Faults per operation, by probability or by request number.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;

use super::http::operation;
use super::model::random::Random;

/// A fault of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SimFault {
    /// 503 `SlowDown`, without effect.
    Throttle,
    /// 500 `InternalError`, without effect.
    InternalError,
    /// 409 `ConditionalRequestConflict`, without effect, as if another conditional write was in progress.
    Conflict,
    /// 200 with an error document, without effect.
    OkWithError,
    /// The request takes effect, and the connection is closed without a response.
    LostResponse,
    /// The connection is closed without a response, and the request takes effect later.
    Late,
    /// The connection is closed, without effect.
    Reset,
    /// The response is delayed.
    Slow,
    /// No effect and no response: the connection stays open until the client's timeout.
    Timeout,
}

impl SimFault {
    /// All faults with their names.
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

/// Operations that can return an error document with status 200.
const ANSWERED_LATE: [&str; 3] = ["CompleteMultipartUpload", "CopyObject", "UploadPartCopy"];

/// Wildcard for every operation in a rule.
const ANY_OPERATION: &str = "*";

/// A rule that selects the requests of a fault.
#[derive(Debug, Clone, PartialEq)]
pub struct FaultRule {
    operation: String,
    when: When,
    fault: SimFault,
    /// Number of times that the rule still fires; `None` is unlimited.
    left: Option<u32>,
    timing: FaultTiming,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum When {
    /// Fires for each request with this probability.
    Probability(f64),
    /// Fires from this request on, counted from 1.
    From(u64),
}

/// Timing of the faults that delay a response or an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FaultTiming {
    /// Delay of a slow response, or of closing the connection of a late request.
    pub delay_ms: u64,
    /// Number of further requests after which a late request takes effect.
    pub after_requests: u64,
    /// Maximum time until a late request takes effect, from the closing of its connection.
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

/// The fault of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FaultHit {
    /// The fault.
    pub fault: SimFault,
    /// Its timing.
    pub timing: FaultTiming,
}

/// An invalid fault rule.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("{field} is {value}: {allowed}")]
pub struct FaultRuleError {
    /// Name of the field.
    pub field: String,
    /// Value of the field.
    pub value: String,
    /// Allowed values.
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
    /// Parses rules from the JSON of the side door.
    pub fn read_all(document: &Value) -> Result<Vec<Self>, FaultRuleError> {
        let Some(rules) = document.as_array() else {
            return Err(FaultRuleError::new("the document", document, "must be a list of rules"));
        };
        rules.iter().map(Self::read).collect()
    }

    fn read(document: &Value) -> Result<Self, FaultRuleError> {
        let written = Written::deserialize(document)
            .map_err(|error| FaultRuleError::new("a rule", document, format!("invalid: {error}")))?;
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
                    "set together with probability",
                    "set exactly one of nth and probability",
                ));
            }
            (None, None) => {
                return Err(FaultRuleError::new(
                    "nth",
                    "not set, and probability is not set",
                    "set exactly one of nth and probability",
                ));
            }
        };
        if written.times == Some(0) {
            return Err(FaultRuleError::new("times", 0, "must be at least 1"));
        }
        // A rule with `nth` fires once, or for `times` consecutive requests.
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

/// The active rules and the number of requests per operation.
#[derive(Debug)]
pub struct SimFaults {
    rules: Vec<FaultRule>,
    seen: BTreeMap<&'static str, u64>,
    total: u64,
    random: Random,
}

impl SimFaults {
    /// Creates an empty set of rules.
    pub fn new(seed: u64) -> Self {
        Self {
            rules: Vec::new(),
            seen: BTreeMap::new(),
            total: 0,
            random: Random::new(seed),
        }
    }

    /// Replaces the rules and resets the counts.
    pub fn set(&mut self, rules: Vec<FaultRule>) {
        self.rules = rules;
        self.seen.clear();
        self.total = 0;
    }

    /// Returns the fault of a request: that of the first rule that fires.
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
