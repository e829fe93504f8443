//! How a reconcile ended.

use std::time::Duration;

use crate::facts::AttributeSet;
use crate::failure::Failure;
use crate::names::VersionId;

/// How the reconcile of one key ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The destination now holds the source's current object, and the source was read again after the write.
    Copied {
        /// The version the copy got, where the destination has versions.
        version_id: Option<VersionId>,
        /// How many bytes were copied.
        size_bytes: u64,
    },
    /// What lies around the bytes was changed, which were equal, and the source was read again after the write.
    AttributesUpdated {
        /// What was changed.
        attributes: AttributeSet,
    },
    /// The destination's object was deleted, as the source's was, and the source was read again after it.
    Deleted,
    /// Nothing had to be done.
    Skipped(SkipReason),
    /// It is not done, and nothing failed.
    Deferred(DeferralReason),
    /// It failed.
    Failed(Failure),
}

impl Outcome {
    /// Returns the name used in logs.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Copied { .. } => "copied",
            Self::AttributesUpdated { .. } => "attributes-updated",
            Self::Deleted => "deleted",
            Self::Skipped(_) => "skipped",
            Self::Deferred(_) => "deferred",
            Self::Failed(_) => "failed",
        }
    }
}

/// Why nothing had to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SkipReason {
    /// Both sides hold equal objects.
    AlreadyIdentical,
    /// Neither side holds an object.
    BothAbsent,
    /// The source's object is gone, and deletes are not asked for.
    DeletesNotPropagated,
    /// The key does not begin with the prefix that is migrated.
    OutOfScope,
    /// Somebody else's object at the destination is as new or newer: a conflict, in which it wins.
    DestinationNewer,
    /// The source's object was itself copied from the other side.
    SourceIsReplica,
    /// The source's object is gone, and the destination's was written by somebody else.
    ExternalWrite,
}

impl SkipReason {
    /// Returns the name used in logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AlreadyIdentical => "already-identical",
            Self::BothAbsent => "both-absent",
            Self::DeletesNotPropagated => "deletes-not-propagated",
            Self::OutOfScope => "out-of-scope",
            Self::DestinationNewer => "destination-newer",
            Self::SourceIsReplica => "source-is-replica",
            Self::ExternalWrite => "external-write",
        }
    }
}

/// Why a key has to be looked at again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeferralReason {
    /// The invocation ended before the key was settled.
    Deadline,
    /// The key changed at every turn.
    HotKey,
    /// S3's own replication is expected to bring the object.
    ReplicationPending {
        /// What is left of the grace period.
        remaining: Duration,
    },
    /// A write was sent whose answer never came; it may still land.
    OutcomeUnknown,
}

impl DeferralReason {
    /// Returns the name used in logs and continuations.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deadline => "deadline",
            Self::HotKey => "hot-key",
            Self::ReplicationPending { .. } => "replication-pending",
            Self::OutcomeUnknown => "outcome-unknown",
        }
    }

    /// Returns how long to wait before the key is looked at again.
    #[must_use]
    pub fn delay(self) -> Duration {
        match self {
            Self::Deadline => Duration::ZERO,
            Self::HotKey => Duration::from_secs(30),
            Self::ReplicationPending { remaining } => remaining,
            // Longer than any request may stay under way.
            Self::OutcomeUnknown => Duration::from_mins(10),
        }
    }
}

/// The whole result of reconciling one key.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each says one thing that happened or not")]
pub struct ReconcileReport {
    /// How it ended.
    pub outcome: Outcome,
    /// What the copy does not carry.
    pub not_preserved: AttributeSet,
    /// How often both sides were read.
    pub passes: u32,
    /// Whether anything was written on the way.
    pub progress: bool,
    /// Whether a write was sent whose answer never came, so that the key must be looked at once more.
    pub outcome_unknown: bool,
    /// Whether a copy in parts may be left unfinished, so that whoever looks at the key next must look for it.
    pub upload_left: bool,
    /// Whether there was a copy already, and it was made again only because nothing that both sides store can be compared.
    pub not_comparable: bool,
    /// How long it took.
    pub duration: Duration,
}

impl ReconcileReport {
    /// Reports a failure before anything was written.
    #[must_use]
    pub fn failed(failure: Failure) -> Self {
        Self::without_pass(Outcome::Failed(failure))
    }

    /// Reports a key that was not begun before the deadline.
    #[must_use]
    pub fn not_begun() -> Self {
        Self::without_pass(Outcome::Deferred(DeferralReason::Deadline))
    }

    fn without_pass(outcome: Outcome) -> Self {
        Self {
            outcome,
            not_preserved: AttributeSet::new(),
            passes: 0,
            progress: false,
            outcome_unknown: false,
            upload_left: false,
            not_comparable: false,
            duration: Duration::ZERO,
        }
    }
}
