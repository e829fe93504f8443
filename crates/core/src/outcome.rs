//! Outcomes of a reconcile.

use std::time::Duration;

use crate::facts::AttributeSet;
use crate::failure::Failure;
use crate::names::VersionId;

/// Outcome of the reconcile of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The destination has the source's current object, and the source was read again after the write.
    Copied {
        /// Version id of the copy, if the destination is versioned.
        version_id: Option<VersionId>,
        /// Copied bytes.
        size_bytes: u64,
    },
    /// Attributes of an equal object were updated, and the source was read again after the write.
    AttributesUpdated {
        /// Attributes that were updated.
        attributes: AttributeSet,
    },
    /// The destination object was deleted like the source's, and the source was read again afterwards.
    Deleted,
    /// No write was necessary.
    Skipped(SkipReason),
    /// A dry run withheld this write.
    Withheld(WithheldWrite),
    /// The key is unfinished, without a failure.
    Deferred(DeferralReason),
    /// The reconcile failed.
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
            Self::Withheld(_) => "withheld",
            Self::Deferred(_) => "deferred",
            Self::Failed(_) => "failed",
        }
    }
}

/// First write that a dry run withheld from a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum WithheldWrite {
    /// Copy with a single request.
    Copy,
    /// Multipart copy.
    MultipartCopy,
    /// Update of attributes.
    UpdateAttributes,
    /// Delete of the destination object.
    Delete,
    /// Removal of s3ferry's version, which hides an application's write.
    RemoveVersion,
}

impl WithheldWrite {
    /// Returns the name used in reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Copy => "copy",
            Self::MultipartCopy => "multipart-copy",
            Self::UpdateAttributes => "update-attributes",
            Self::Delete => "delete",
            Self::RemoveVersion => "remove-version",
        }
    }
}

/// Reasons why no write was necessary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SkipReason {
    /// Both sides have equal objects.
    AlreadyIdentical,
    /// Neither side has an object.
    BothAbsent,
    /// The source object was deleted, and deletes are not propagated.
    DeletesNotPropagated,
    /// The key does not begin with the configured prefix.
    OutOfScope,
    /// An external write at the destination is as new as the source object, or newer: a conflict, which the external
    /// write wins.
    DestinationNewer,
    /// The source object is itself a copy of the destination's.
    SourceIsReplica,
    /// The source object was deleted, and the destination object is an external write.
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

/// Reasons why a key is requeued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeferralReason {
    /// The invocation reached its deadline before the key was done.
    Deadline,
    /// The key changed in every pass.
    HotKey,
    /// S3's own replication is expected to replicate the object.
    ReplicationPending {
        /// Remaining grace period.
        remaining: Duration,
    },
    /// The response of a write was lost; the write may still land.
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

    /// Returns how long to wait before the key is reconciled again.
    #[must_use]
    pub fn delay(self) -> Duration {
        match self {
            Self::Deadline => Duration::ZERO,
            Self::HotKey => Duration::from_secs(30),
            Self::ReplicationPending { remaining } => remaining,
            // Longer than any request may be in progress.
            Self::OutcomeUnknown => Duration::from_mins(10),
        }
    }
}

/// Report of the reconcile of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each field reports one independent event")]
pub struct ReconcileReport {
    /// Outcome of the reconcile.
    pub outcome: Outcome,
    /// Source attributes that the copy does not have.
    pub not_preserved: AttributeSet,
    /// Passes, each of which read both sides.
    pub passes: u32,
    /// Whether anything was written.
    pub progress: bool,
    /// Whether the response of a write was lost, so that the key must be reconciled once more.
    pub outcome_unknown: bool,
    /// Whether an unfinished multipart copy may be left, so that the next reconcile must check for one.
    pub upload_left: bool,
    /// Whether an existing copy was repeated only because nothing that both sides store is comparable.
    pub not_comparable: bool,
    /// Duration of the reconcile.
    pub duration: Duration,
}

impl ReconcileReport {
    /// Returns the report of a failure before anything was written.
    #[must_use]
    pub fn failed(failure: Failure) -> Self {
        Self::without_pass(Outcome::Failed(failure))
    }

    /// Returns the report of a key that was not started before the deadline.
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
