//! The classification of failures for the bucket wiring.

use s3ferry_core::failure::{Failure, FailureKind};

/// Returns whether a failure may be a permission that has not propagated yet. An explicit deny is not.
pub(super) fn is_denial(failure: &Failure) -> bool {
    failure.code.starts_with("AccessDenied") && !failure.detail.contains("explicit deny")
}

/// Returns whether S3 rejected the content of a notification. There is no specific error code for event types that a
/// region does not offer.
pub(super) fn is_refused_notification(failure: &Failure) -> bool {
    const CODES: [&str; 4] = ["InvalidArgument", "MalformedXML", "InvalidRequest", "NotImplemented"];
    let is_lasting = failure.kind != FailureKind::Retry;
    is_lasting && failure.action == "s3:PutBucketNotification" && CODES.contains(&failure.code.as_str())
}

/// Returns whether a failure means that the bucket does not exist.
pub(super) fn bucket_is_missing(failure: &Failure) -> bool {
    failure.code == "NoSuchBucket"
}
