//! The classification of failures for the bucket wiring.

use s3ferry_core::failure::{Failure, FailureCode, FailureKind};

/// Returns whether a failure may be a permission that has not propagated yet. An explicit deny is not.
pub(super) fn is_denial(failure: &Failure) -> bool {
    failure.code.is_denial() && !failure.detail.contains("explicit deny")
}

/// Returns whether S3 rejected the content of a notification. There is no specific error code for event types that a
/// region does not offer.
pub(super) fn is_refused_notification(failure: &Failure) -> bool {
    let is_refusal = matches!(
        failure.code,
        FailureCode::InvalidArgument
            | FailureCode::MalformedXML
            | FailureCode::InvalidRequest
            | FailureCode::NotImplemented
    );
    let is_lasting = failure.kind != FailureKind::Retry;
    is_lasting && failure.action == "s3:PutBucketNotification" && is_refusal
}

/// Returns whether a failure means that the bucket does not exist.
pub(super) fn bucket_is_missing(failure: &Failure) -> bool {
    failure.code == FailureCode::NoSuchBucket
}
