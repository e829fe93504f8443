//! Reasons why a cutover does not proceed that are no failure of a request.

use s3ferry_core::cutover::bucket_policy::BucketPolicyError;
use s3ferry_core::cutover::certificate::CertificateError;
use s3ferry_core::cutover::{CutoverStateError, LeaseHeld};
use s3ferry_core::diff::SideName;

/// Reason why a cutover does not proceed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CutoverRefusal {
    /// Another process runs the cutover.
    #[error("{0}")]
    Held(LeaseHeld),
    /// Another process took the cutover over.
    #[error("the cutover was taken over: {0}")]
    TakenOver(LeaseHeld),
    /// The state was removed while the cutover ran.
    #[error("the state of the cutover was removed from the state bucket while it ran")]
    StateRemoved,
    /// The state changes faster than it can be written.
    #[error("the state of the cutover could not be written: it changed again and again")]
    StateContended,
    /// The state is unusable, or a setting changed.
    #[error("{0}")]
    State(CutoverStateError),
    /// The certificate in the state bucket is unusable.
    #[error("the certificate in the state bucket is unusable: {0}")]
    Certificate(CertificateError),
    /// A bucket policy does not admit the statement.
    #[error("the {side} bucket: {error}", side = .side.as_str())]
    Policy {
        /// Side of the bucket.
        side: SideName,
        /// The problem.
        error: BucketPolicyError,
    },
    /// Another tool replaces the policy again and again.
    #[error(
        "the statement {sid} does not stay in the policy of the {side} bucket: another tool replaces the policy",
        side = .side.as_str()
    )]
    PolicyContended {
        /// Side of the bucket.
        side: SideName,
        /// Sid of the statement.
        sid: String,
    },
    /// There is no cutover.
    #[error("no cutover of these buckets has begun")]
    NotBegun,
    /// A rollback must be completed first.
    #[error("a rollback of this cutover is in progress")]
    RollbackInProgress,
    /// The migration has ended.
    #[error("the migration has ended")]
    Finished,
    /// Applications may use the destination.
    #[error("applications may already use the destination, so an abort could lose their writes")]
    Switched,
    /// Not all steps are done.
    #[error("not all steps of `cutover run` are done")]
    NotSwitched,
}

impl CutoverRefusal {
    /// Returns the next step for the operator.
    #[must_use]
    pub fn next(&self) -> &'static str {
        match self {
            Self::Held(_) => {
                "wait for its end, or pass --take-over if that process no longer runs: s3ferry then waits two minutes for a \
                 sign of life"
            }
            Self::TakenOver(_) => "let the other operator continue, and see `s3ferry cutover status`",
            Self::StateRemoved | Self::StateContended => {
                "check who writes to the state bucket, and see `s3ferry cutover status`"
            }
            Self::State(CutoverStateError::SettingChanged { .. }) => {
                "pass the same value, or abort this cutover with `s3ferry cutover abort`"
            }
            Self::State(_) | Self::Certificate(_) => {
                "use the version of s3ferry that wrote it, or restore the object in the state bucket"
            }
            Self::Policy { .. } => "correct the policy of the bucket, and run the same command again",
            Self::PolicyContended { .. } => "pause the tool that manages the policy, and run the same command again",
            Self::NotBegun => "begin one with `s3ferry cutover run`, or pass the buckets and the prefix of another one",
            Self::RollbackInProgress => "complete it with `s3ferry rollback`, which continues where it stopped",
            Self::Finished => "start a new migration with other buckets",
            Self::Switched => "run `s3ferry rollback`, which first compares what applications wrote to the destination",
            Self::NotSwitched => "complete `s3ferry cutover run` first",
        }
    }
}
