//! Cutover: the steps from a running migration to applications that use the destination, and back.
//!
//! Everything here is pure. [`CutoverState`] is what the state bucket stores, and its methods are the allowed changes.
//! [`bucket_policy`] adds one statement to a bucket policy, or removes it. The engine carries out the steps and stores
//! the state before and after each of their writes.

pub mod bucket_policy;
pub mod certificate;
mod lease;
mod state;
mod statements;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use self::lease::{LeaseHeld, OperatorLease, OperatorName};
pub use self::state::{CutoverPhase, CutoverRoute, CutoverSettings, CutoverState, CutoverStateError, VerifiedBuckets};
pub use self::statements::{DenyStatement, organization_policy};
use crate::time::Timestamp;

/// Step of a cutover, in the order in which steps run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CutoverStep {
    /// Checks that the migration can be cut over.
    Ready,
    /// Stops writes to the source.
    Freeze,
    /// Waits until nothing is in flight.
    Drain,
    /// Copies what still differs.
    FinalSync,
    /// Compares both buckets.
    Verify,
    /// Stops s3ferry's writes to the destination, and writes the certificate.
    Seal,
    /// Points applications to the destination.
    Switch,
    /// Ends the migration.
    Finish,
}

impl CutoverStep {
    /// All steps, in order.
    pub const ALL: [Self; 8] = [
        Self::Ready,
        Self::Freeze,
        Self::Drain,
        Self::FinalSync,
        Self::Verify,
        Self::Seal,
        Self::Switch,
        Self::Finish,
    ];

    /// Steps of `cutover run`.
    pub const RUN: [Self; 7] = [
        Self::Ready,
        Self::Freeze,
        Self::Drain,
        Self::FinalSync,
        Self::Verify,
        Self::Seal,
        Self::Switch,
    ];

    /// Returns the name in output, documents and the state.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Freeze => "freeze",
            Self::Drain => "drain",
            Self::FinalSync => "final-sync",
            Self::Verify => "verify",
            Self::Seal => "seal",
            Self::Switch => "switch",
            Self::Finish => "finish",
        }
    }

    /// Returns the condition that the step must meet before the next one starts.
    #[must_use]
    pub fn gate(self) -> &'static str {
        match self {
            Self::Ready => "both buckets answer, and no dead letters wait",
            Self::Freeze => "the source denies every kind of write, in every probe",
            Self::Drain => "no upload, no message, no journal entry, and two equal version listings",
            Self::FinalSync => "every key that differed was copied",
            Self::Verify => "the verdict is verified, and neither bucket changed meanwhile",
            Self::Seal => "the destination denies s3ferry's roles, and neither bucket changed since verify",
            Self::Switch => "the driver confirms the destination, and the source did not change",
            Self::Finish => "the switch is old enough, and the source is still frozen",
        }
    }
}

impl fmt::Display for CutoverStep {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// State of a step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepState {
    /// The step has not begun.
    #[default]
    Pending,
    /// The step ran, and its gate is not met.
    Blocked,
    /// The step began. After a crash, its effects may exist.
    Running,
    /// The gate is met.
    Done,
    /// The effects of the step were removed.
    Undone,
}

impl StepState {
    /// Returns the name in output and documents.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Blocked => "blocked",
            Self::Running => "running",
            Self::Done => "done",
            Self::Undone => "undone",
        }
    }

    /// Returns whether effects of the step may exist.
    #[must_use]
    pub fn may_have_effects(self) -> bool {
        match self {
            Self::Blocked | Self::Running | Self::Done => true,
            Self::Pending | Self::Undone => false,
        }
    }
}

/// Numbers and texts that a step measured, by name.
pub type Measurements = BTreeMap<String, Value>;

/// What is stored of a step.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepRecord {
    /// State of the step.
    pub state: StepState,
    /// Why the gate is not met; `None` if it is met or was not checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked_by: Option<String>,
    /// What the step measured.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub measured: Measurements,
    /// When the step first began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<Timestamp>,
    /// When the step last ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
}

/// How writes to the source are stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FreezeMethod {
    /// A statement in the bucket policy of the source.
    Policy,
    /// A service control policy that the operator attaches.
    Scp,
    /// The applications stop by themselves.
    App,
}

impl FreezeMethod {
    /// Returns the name in output and documents.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Policy => "policy",
            Self::Scp => "scp",
            Self::App => "app",
        }
    }
}
