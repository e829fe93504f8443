//! Failures by what must happen next, and the classification of S3's error codes.

mod code;

use std::fmt;

pub use code::FailureCode;

use crate::diff::SideName;
use crate::names::ObjectKey;

/// Kind of a failure, which decides what the caller does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// A retry may succeed: throttling, 5xx, a 200 with an error in the body.
    Retry,
    /// A retry fails until the object or the permissions change.
    Permanent,
    /// A setting must be fixed: a wrong region, a missing bucket, an unreadable value.
    Configuration,
    /// Defect of s3ferry.
    Bug,
}

impl FailureKind {
    /// Returns whether a later retry may succeed without any change.
    #[must_use]
    pub fn is_passing(self) -> bool {
        match self {
            Self::Retry => true,
            Self::Permanent | Self::Configuration | Self::Bug => false,
        }
    }

    /// Returns the name used in logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Permanent => "permanent",
            Self::Configuration => "configuration",
            Self::Bug => "bug",
        }
    }
}

impl fmt::Display for FailureKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// Failure with everything that its log line needs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{action} failed on {resource}: {code}: {detail}")]
pub struct Failure {
    /// Kind of the failure.
    pub kind: FailureKind,
    /// Error code of the service, or s3ferry's name of the cause.
    pub code: FailureCode,
    /// IAM action or actions that were attempted, such as `s3:PutObject`.
    pub action: String,
    /// ARN or name of the resource.
    pub resource: String,
    /// Message of the service, or advice.
    pub detail: String,
}

/// Beginning of the detail about the bucket owner that a denied request expected.
pub const EXPECTS_OWNER: &str = "the request expects the bucket to be owned by account";

impl Failure {
    /// Returns whether the credentials or this machine's clock are the cause. No request can succeed until that is
    /// fixed.
    #[must_use]
    pub fn is_of_credentials(&self) -> bool {
        self.code.is_of_credentials()
    }

    /// Returns the failure of a panic during `action` on a key. It affects no other key.
    #[must_use]
    pub fn panicked(action: &str, key: &ObjectKey) -> Self {
        Self {
            kind: FailureKind::Bug,
            code: "Panic".into(),
            action: action.to_owned(),
            resource: key.to_string(),
            detail: "s3ferry panicked: see the panic message in the log, and report it as a bug".to_owned(),
        }
    }
}

impl Failure {
    /// Adds to the detail that the content was copied before the failure. A comparison of content does not find the
    /// missing attributes.
    #[must_use]
    pub fn after_copy(self) -> Self {
        let detail = format!(
            "the object was copied, but not the attributes that are written after the copy; \
             a comparison with depth head finds them: {}",
            self.detail
        );
        Self { detail, ..self }
    }

    /// Returns the failure of a key for which one side answers 404 but lists a current object.
    ///
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/manage-versioning-examples.html>
    #[must_use]
    pub fn absence_unconfirmed(key: &ObjectKey, side: SideName) -> Self {
        Self {
            kind: FailureKind::Retry,
            code: "AbsenceUnconfirmed".into(),
            action: "s3:ListBucketVersions".to_owned(),
            resource: key.to_string(),
            detail: format!(
                "the {} bucket answers 404 but lists a current object: a concurrent write, or versioning was enabled \
                 within the last 15 minutes; retry later",
                side.as_str()
            ),
        }
    }
}

/// Reaction of the reconcile loop to an error response of S3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorReaction {
    /// The key changed concurrently: read and decide again.
    ReadAgain,
    /// The request failed.
    Fail(FailureKind),
}

use ErrorReaction::{Fail, ReadAgain};
use FailureKind::{Configuration, Permanent, Retry};

/// Returns the reaction to an error response, by its code or else by its status. An unknown error is retried.
///
/// A 200 with an error in the body has a code, but no meaningful status. The response of a HEAD has no body and so no
/// code; its status decides.
#[must_use]
pub fn react(code: Option<&FailureCode>, status: Option<u16>) -> ErrorReaction {
    code.and_then(FailureCode::reaction).unwrap_or(match status {
        Some(400 | 403 | 405 | 501) => Fail(Permanent),
        Some(404 | 409 | 412) => ReadAgain,
        Some(301) => Fail(Configuration),
        _ => Fail(Retry),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use FailureKind::Bug;

    #[test]
    fn error_responses_are_classified_by_code_or_status() {
        let rows = [
            (Some("SlowDown"), Some(503), Fail(Retry)),
            (Some("InternalError"), Some(200), Fail(Retry)),
            (Some("AccessDenied"), Some(403), Fail(Permanent)),
            (Some("NoSuchBucket"), Some(404), Fail(Configuration)),
            (Some("NoSuchKey"), Some(404), ReadAgain),
            (Some("PreconditionFailed"), Some(412), ReadAgain),
            (Some("ConditionalRequestConflict"), Some(409), ReadAgain),
            (Some("InvalidObjectState"), Some(403), Fail(Permanent)),
            (Some("SomethingNew"), Some(599), Fail(Retry)),
            (Some("SomethingNew"), None, Fail(Retry)),
            (None, Some(500), Fail(Retry)),
            (None, Some(503), Fail(Retry)),
            (None, Some(429), Fail(Retry)),
            (None, Some(403), Fail(Permanent)),
            (None, Some(400), Fail(Permanent)),
            (None, Some(412), ReadAgain),
            (None, Some(404), ReadAgain),
            (None, Some(409), ReadAgain),
            (None, Some(405), Fail(Permanent)),
            (None, Some(501), Fail(Permanent)),
            (Some("OperationAborted"), Some(409), Fail(Retry)),
            (Some("NoSuchUpload"), Some(404), ReadAgain),
            (Some("InvalidPart"), Some(400), Fail(Retry)),
            (Some("InvalidPartOrder"), Some(400), Fail(Bug)),
            (Some("EntityTooSmall"), Some(400), Fail(Bug)),
            (Some("NoSuchVersion"), Some(404), ReadAgain),
            (Some("InvalidRequest"), Some(400), Fail(Permanent)),
            (Some("InvalidBucketName"), Some(400), Fail(Configuration)),
            (Some("EntityTooLarge"), Some(400), Fail(Permanent)),
            (Some("MalformedXML"), Some(400), Fail(Permanent)),
            (Some("CredentialsNotInProfile"), None, Fail(Configuration)),
            (Some("CredentialsNotLoaded"), None, Fail(Configuration)),
            (Some("RequestNotMade"), None, Fail(Permanent)),
            (Some("CredentialsTimedOut"), None, Fail(Retry)),
            (Some("RequestTimeout"), Some(400), Fail(Retry)),
            (Some("ExpiredToken"), Some(400), Fail(Configuration)),
            (Some("RequestTimeTooSkewed"), Some(403), Fail(Configuration)),
            (Some("KMS.NotFoundException"), Some(400), Fail(Configuration)),
            (Some("KMS.ThrottlingException"), Some(400), Fail(Retry)),
            (Some("InvalidStorageClass"), Some(400), Fail(Configuration)),
            (None, Some(301), Fail(Configuration)),
            (None, None, Fail(Retry)),
        ];
        for (code, status, expected) in rows {
            assert_eq!(
                react(code.map(FailureCode::from).as_ref(), status),
                expected,
                "{code:?} {status:?}"
            );
        }
    }
}
