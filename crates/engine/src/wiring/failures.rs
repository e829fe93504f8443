//! What a failure of a request means for the wiring.

use s3ferry_core::failure::{Failure, FailureKind};

/// Tells whether a failure may be a permission that has not spread yet; an explicit deny is none.
pub(super) fn is_denial(failure: &Failure) -> bool {
    failure.code.starts_with("AccessDenied") && !failure.detail.contains("explicit deny")
}

/// Tells whether S3 refused a notification for what it says. That an event type is not offered has no code of its own.
pub(super) fn is_refused_notification(failure: &Failure) -> bool {
    const CODES: [&str; 4] = ["InvalidArgument", "MalformedXML", "InvalidRequest", "NotImplemented"];
    let is_lasting = failure.kind != FailureKind::Retry;
    is_lasting && failure.action == "s3:PutBucketNotification" && CODES.contains(&failure.code.as_str())
}

/// Tells whether a failure says that the bucket is not there.
pub(super) fn bucket_is_missing(failure: &Failure) -> bool {
    failure.code == "NoSuchBucket"
}
