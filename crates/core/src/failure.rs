//! Failures named by what must happen next, and the one table that sorts S3's answers into them.

use std::fmt;

use crate::diff::SideName;
use crate::names::ObjectKey;

/// Says what the caller must do about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// Try the same thing again later: throttling, 5xx, a 200 that carries an error.
    Retry,
    /// Not done yet, and not a failure of anything: come back.
    Deferred,
    /// Trying again changes nothing until somebody changes the object or the permissions.
    Permanent,
    /// Stop and call somebody: a wrong region, a missing bucket, an unreadable setting.
    Configuration,
    /// A defect of s3ferry.
    Bug,
}

impl FailureKind {
    /// Tells whether time alone can heal it.
    #[must_use]
    pub fn is_passing(self) -> bool {
        match self {
            Self::Retry | Self::Deferred => true,
            Self::Permanent | Self::Configuration | Self::Bug => false,
        }
    }

    /// Returns the name used in logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Deferred => "deferred",
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

/// One failure with everything that its single log line needs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{action} on {resource}: {code}: {detail}")]
pub struct Failure {
    /// What must happen next.
    pub kind: FailureKind,
    /// The service's error code, or our own name of the cause, in `PascalCase`.
    pub code: String,
    /// The IAM action or actions that were attempted, such as `s3:PutObject`.
    pub action: String,
    /// The ARN or name of what the action was attempted on.
    pub resource: String,
    /// What the service said, or what to do.
    pub detail: String,
}

/// Codes of requests that were refused for the credentials they were signed with, whatever they asked for, and of
/// requests that could not be signed.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>
const OF_CREDENTIALS: [&str; 13] = [
    "AccountProblem",
    "CredentialsMisconfigured",
    "CredentialsNotInProfile",
    "CredentialsNotLoaded",
    "CredentialsTimedOut",
    "CredentialsUnavailable",
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidAccessKeyId",
    "InvalidToken",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
    "TokenRefreshRequired",
];

/// The code of a success that is not of the form of S3's, as a web page of a proxy.
pub const NOT_FROM_S3: &str = "ResponseNotFromS3";

/// How a denial begins to say which owner its request expected.
pub const EXPECTS_OWNER: &str = "the request expects the bucket to be owned by account";

impl Failure {
    /// Tells whether the credentials, or this machine's clock, are the cause: no request can succeed until that is
    /// repaired.
    #[must_use]
    pub fn is_of_credentials(&self) -> bool {
        is_credentials_code(&self.code)
    }

    /// Names a panic during `action` on a key. It is the failure of that key, and of nothing else.
    #[must_use]
    pub fn panicked(action: &str, key: &ObjectKey) -> Self {
        Self {
            kind: FailureKind::Bug,
            code: "Panic".to_owned(),
            action: action.to_owned(),
            resource: key.to_string(),
            detail: "it panicked; the panic's own message is in the log".to_owned(),
        }
    }
}

impl Failure {
    /// Says that the bytes were copied before it: a comparison of bytes will not find what is left to be written.
    #[must_use]
    pub fn after_copy(self) -> Self {
        let detail = format!(
            "the object was copied, but not the attributes that follow its copy, which a deep comparison finds: {}",
            self.detail
        );
        Self { detail, ..self }
    }

    /// Names a key that one side answers 404 for and lists a current object of.
    ///
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/manage-versioning-examples.html>
    #[must_use]
    pub fn absence_unconfirmed(key: &ObjectKey, side: SideName) -> Self {
        Self {
            kind: FailureKind::Retry,
            code: "AbsenceUnconfirmed".to_owned(),
            action: "s3:ListBucketVersions".to_owned(),
            resource: key.to_string(),
            detail: format!(
                "the {} answers 404 but lists a current object: it was written in between, or versioning was enabled \
                 within the last 15 minutes; retry later",
                side.as_str()
            ),
        }
    }
}

/// Tells whether a failure with this code is one of the credentials.
#[must_use]
pub fn is_credentials_code(code: &str) -> bool {
    OF_CREDENTIALS.contains(&code)
}

/// Says how the reconcile loop must take an error answer of S3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorReaction {
    /// The world is not what was read: read again and decide again.
    ReadAgain,
    /// The request failed.
    Fail(FailureKind),
}

use ErrorReaction::{Fail, ReadAgain};
use FailureKind::{Bug, Configuration, Permanent, Retry};

/// S3's error codes that say more than their status, sorted by name.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>
const BY_CODE: &[(&str, ErrorReaction)] = &[
    ("AccessDenied", Fail(Permanent)),
    ("AccountProblem", Fail(Configuration)),
    ("AllAccessDisabled", Fail(Configuration)),
    ("AuthorizationHeaderMalformed", Fail(Configuration)),
    ("BandwidthLimitExceeded", Fail(Retry)),
    ("ConditionalRequestConflict", ReadAgain),
    // Our own names of what keeps a request from being signed.
    ("CredentialsMisconfigured", Fail(Configuration)),
    ("CredentialsNotInProfile", Fail(Configuration)),
    ("CredentialsNotLoaded", Fail(Configuration)),
    ("CredentialsTimedOut", Fail(Retry)),
    ("CredentialsUnavailable", Fail(Configuration)),
    ("EntityTooLarge", Fail(Permanent)),
    // A part below 5 MiB that is not the last: no plan has one.
    ("EntityTooSmall", Fail(Bug)),
    ("ExpiredToken", Fail(Configuration)),
    ("ExpiredTokenException", Fail(Configuration)),
    ("IllegalLocationConstraintException", Fail(Configuration)),
    ("InternalError", Fail(Retry)),
    ("InvalidAccessKeyId", Fail(Configuration)),
    ("InvalidArgument", Fail(Permanent)),
    ("InvalidBucketName", Fail(Configuration)),
    ("InvalidBucketState", Fail(Configuration)),
    ("InvalidObjectState", Fail(Permanent)),
    // A part that was copied again since it was listed: it is listed anew.
    ("InvalidPart", Fail(Retry)),
    ("InvalidPartOrder", Fail(Bug)),
    ("InvalidRequest", Fail(Permanent)),
    ("InvalidStorageClass", Fail(Configuration)),
    ("InvalidTag", Fail(Permanent)),
    ("InvalidToken", Fail(Configuration)),
    ("KMS.DisabledException", Fail(Configuration)),
    ("KMS.InvalidKeyUsageException", Fail(Configuration)),
    ("KMS.InvalidStateException", Fail(Configuration)),
    ("KMS.KMSInvalidStateException", Fail(Configuration)),
    ("KMS.NotFoundException", Fail(Configuration)),
    ("KMS.ThrottlingException", Fail(Retry)),
    ("KeyTooLongError", Fail(Permanent)),
    ("MalformedXML", Fail(Permanent)),
    ("MetadataTooLarge", Fail(Permanent)),
    ("MethodNotAllowed", Fail(Permanent)),
    ("NoSuchBucket", Fail(Configuration)),
    ("NoSuchKey", ReadAgain),
    ("NoSuchUpload", ReadAgain),
    ("NoSuchVersion", ReadAgain),
    ("NotImplemented", Fail(Permanent)),
    // Two writers of one key at once; the S3 user guide asks for a retry.
    ("OperationAborted", Fail(Retry)),
    ("PermanentRedirect", Fail(Configuration)),
    ("PreconditionFailed", ReadAgain),
    ("RequestLimitExceeded", Fail(Retry)),
    // Our own name of what the SDK does not even send.
    ("RequestNotMade", Fail(Permanent)),
    ("RequestTimeTooSkewed", Fail(Configuration)),
    ("RequestTimeout", Fail(Retry)),
    ("ServiceUnavailable", Fail(Retry)),
    ("SignatureDoesNotMatch", Fail(Configuration)),
    ("SlowDown", Fail(Retry)),
    // A bucket just made: its DNS entry is on its way.
    ("TemporaryRedirect", Fail(Retry)),
    ("Throttling", Fail(Retry)),
    ("ThrottlingException", Fail(Retry)),
    ("TokenRefreshRequired", Fail(Configuration)),
    ("TooManyRequestsException", Fail(Retry)),
];

/// Sorts an error answer by its code, else by its status; what nobody knows is worth another attempt.
///
/// A 200 that carries an error arrives here with its code and without a telling status.
/// A HEAD has no body and so no code; its status decides.
#[must_use]
pub fn react(code: Option<&str>, status: Option<u16>) -> ErrorReaction {
    let by_code = code.and_then(|code| {
        let index = BY_CODE.binary_search_by_key(&code, |row| row.0).ok()?;
        BY_CODE.get(index).map(|row| row.1)
    });
    by_code.unwrap_or(match status {
        Some(400 | 403 | 405 | 501) => Fail(Permanent),
        Some(404 | 409 | 412) => ReadAgain,
        Some(301) => Fail(Configuration),
        _ => Fail(Retry),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_is_sorted_so_that_it_can_be_searched() {
        assert!(BY_CODE.is_sorted_by(|left, right| left.0 < right.0));
    }

    #[test]
    fn every_row_is_found_whatever_the_status_says() {
        for (code, reaction) in BY_CODE {
            assert_eq!(react(Some(code), Some(200)), *reaction, "{code}");
        }
    }

    #[test]
    fn answers_are_sorted_by_what_must_happen_next() {
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
            assert_eq!(react(code, status), expected, "{code:?} {status:?}");
        }
    }
}
