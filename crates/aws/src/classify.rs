//! Classification of SDK errors by what must happen next.

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use s3ferry_core::failure::{EXPECTS_OWNER, ErrorReaction, Failure, FailureCode, FailureKind, react};
use s3ferry_engine::ports::WriteError;

use crate::in_flight::sender;
use crate::owner::expected_by;
use crate::profile::NoCredentialsInProfile;

/// The operation that failed, for the failure's message.
#[derive(Debug, Clone)]
pub struct AttemptedOperation {
    /// IAM action or actions.
    pub action: &'static str,
    /// ARN of the resource.
    pub resource: String,
    /// Possible causes if S3 denies the operation without a reason.
    pub when_denied: String,
}

/// An error response, or the lack of a response, without SDK types.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorAnswer {
    /// Error code, if the response had a body or the SDK has a code for the error.
    pub code: Option<FailureCode>,
    /// HTTP status, if there was a response.
    pub status: Option<u16>,
    /// Message of the service or the SDK.
    pub message: String,
    /// Whether the request may have taken effect although no response arrived.
    pub unanswered: bool,
    /// Account that the refused request expected to own the bucket.
    pub expected_owner: Option<String>,
}

impl ErrorAnswer {
    /// Converts an SDK error.
    #[must_use]
    pub fn of<E>(error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let metadata = error.as_service_error().map(ProvideErrorMetadata::meta);
        let message = metadata.and_then(|metadata| metadata.message()).map(str::to_owned);
        let named = metadata.and_then(|metadata| metadata.code());
        let not_sent = matches!(error, SdkError::ConstructionFailure(_)).then_some(FailureCode::RequestNotMade);
        let code = named.map(FailureCode::from);
        // The SDK refuses to construct the request, so that it is never sent.
        let code = code.or_else(|| credentials_code(error)).or(not_sent);
        let status = error.raw_response().map(|response| response.status().as_u16());
        let unanswered = match error {
            // The request was never signed, and so never sent.
            _ if status.is_none() && code.is_some() => false,
            SdkError::TimeoutError(_) | SdkError::DispatchFailure(_) | SdkError::ResponseError(_) => true,
            // A success with a truncated body contains no error and proves no success.
            SdkError::ServiceError(_) => code.is_none() && status.is_some_and(|status| (200..300).contains(&status)),
            // The request was never sent.
            _ => false,
        };
        let endpoint = error.raw_response().and_then(sender);
        // A web page from a proxy contains no error code either, and a retry returns the same page.
        let is_page = matches!(error, SdkError::ServiceError(_)) && code.is_none() && endpoint.is_some();
        let code = code.or_else(|| is_page.then_some(FailureCode::ResponseNotFromS3));
        // For an error without a type, the SDK's message is a dump of the response.
        let message = message.unwrap_or_else(|| match (error, status) {
            (SdkError::ServiceError(_), Some(200..300)) => foreign_response_message(&innermost(error), endpoint),
            (SdkError::ServiceError(_), Some(status)) => message_of_status(status),
            // The outer layers of a connection error add nothing to the innermost cause.
            (SdkError::DispatchFailure(_), _) if code.is_none() => innermost(error),
            _ => chain(error),
        });
        Self {
            code,
            status,
            message,
            unanswered,
            expected_owner: error.raw_response().and_then(expected_by).map(str::to_owned),
        }
    }

    /// Classifies the error.
    #[must_use]
    pub fn reaction(&self) -> ErrorReaction {
        react(self.code.as_ref(), self.status)
    }

    /// Converts the error of a read into a failure. If a write would have to read again, a read is retried.
    #[must_use]
    pub fn into_failure(self, attempted: &AttemptedOperation) -> Failure {
        let kind = match self.reaction() {
            ErrorReaction::ReadAgain => FailureKind::Retry,
            ErrorReaction::Fail(kind) => kind,
        };
        self.failure(kind, attempted)
    }

    /// Converts the error of a write.
    #[must_use]
    pub fn into_write_error(self, attempted: &AttemptedOperation) -> WriteError {
        if self.unanswered {
            return WriteError::OutcomeUnknown(self.failure(FailureKind::Retry, attempted));
        }
        match self.reaction() {
            ErrorReaction::ReadAgain => WriteError::PreconditionFailed,
            ErrorReaction::Fail(kind) => WriteError::Failed(self.failure(kind, attempted)),
        }
    }

    fn failure(self, kind: FailureKind, attempted: &AttemptedOperation) -> Failure {
        let is_of_credentials = self.code.as_ref().is_some_and(FailureCode::is_of_credentials);
        let is_denied =
            !is_of_credentials && (self.status == Some(403) || self.code == Some(FailureCode::AccessDenied));
        let named = denied_action(&self.message).filter(|_| is_denied);
        let is_named = named.is_some();
        let (action, resource) = named.unwrap_or_else(|| (attempted.action.to_owned(), attempted.resource.clone()));
        let code = match (self.code, self.status) {
            (Some(code), _) => code,
            (None, Some(403)) => FailureCode::AccessDenied,
            // S3 throttles; a HEAD response has no body with the error code.
            // <https://docs.aws.amazon.com/AmazonS3/latest/userguide/http-503-slow-down.html>
            (None, Some(429 | 503)) => FailureCode::SlowDown,
            (None, Some(status)) => FailureCode::from(format!("Status{status}").as_str()),
            (None, None) => FailureCode::NoAnswer,
        };
        let detail = if is_denied && !is_named {
            let expected = self.expected_owner.map(|owner| {
                format!(
                    "; {EXPECTS_OWNER} {owner}: if another account owns it, correct --destination-bucket-owner \
                     (DESTINATION_BUCKET_OWNER), for the source and the state bucket --source-bucket-owner \
                     (SOURCE_BUCKET_OWNER) or --state-bucket-owner"
                )
            });
            format!(
                "{} ({}{})",
                self.message,
                attempted.when_denied,
                expected.unwrap_or_default()
            )
        } else if code == FailureCode::RequestNotMade {
            unsent_request_message(&attempted.resource, &self.message)
        } else {
            self.message
        };
        Failure {
            kind,
            code,
            action,
            resource,
            detail,
        }
    }
}

/// Returns a message for a response without one: a response to a HEAD, or from a proxy.
fn message_of_status(status: u16) -> String {
    let meaning = match status {
        400 => "refused as malformed",
        401 | 403 => "access denied",
        404 => "not found",
        405 | 501 => "not implemented by this endpoint",
        412 => "precondition failed",
        429 | 503 => "throttled: too many requests",
        500.. => "internal error of the service",
        _ => "refused",
    };
    format!("{meaning} (HTTP {status} without a message)")
}

/// Returns the message for a success that does not come from S3.
///
/// For content that is not XML, the SDK's message is a dump. For a truncated document, it is the reason.
fn foreign_response_message(cause: &str, endpoint: Option<&str>) -> String {
    if let Some(endpoint) = endpoint {
        return format!("the response of {endpoint} is not from S3: check the endpoint and any proxy");
    }
    if cause.contains('{') {
        "the response is not from S3: check the endpoint".to_owned()
    } else {
        format!("the response is not from S3: {cause}")
    }
}

/// Returns the message for a request that the SDK refuses to construct. The SDK trims a key before it checks that the
/// key is not empty.
fn unsent_request_message(resource: &str, message: &str) -> String {
    match resource.split_once('/') {
        Some((_, key)) if key.trim().is_empty() => {
            format!("the key {key:?} contains only white space, and the AWS SDK rejects such keys")
        }
        _ => format!("the AWS SDK cannot construct the request: {message}"),
    }
}

/// Returns the error code if missing or invalid credentials kept the request from being signed.
fn credentials_code(error: &(dyn std::error::Error + 'static)) -> Option<FailureCode> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<CredentialsError>() {
            let is_of_a_profile = std::error::Error::source(error)
                .is_some_and(<dyn std::error::Error + 'static>::is::<NoCredentialsInProfile>);
            return Some(match error {
                CredentialsError::CredentialsNotLoaded(_) if is_of_a_profile => FailureCode::CredentialsNotInProfile,
                CredentialsError::CredentialsNotLoaded(_) => FailureCode::CredentialsNotLoaded,
                CredentialsError::InvalidConfiguration(_) => FailureCode::CredentialsMisconfigured,
                CredentialsError::ProviderTimedOut(_) => FailureCode::CredentialsTimedOut,
                _ => FailureCode::CredentialsUnavailable,
            });
        }
        cause = error.source();
    }
    None
}

/// Joins the messages of an error and its causes. The `Debug` forms would contain whole responses with headers.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// Returns the message of the innermost cause.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(cause) = innermost.source() {
        innermost = cause;
    }
    innermost.to_string()
}

/// Extracts action and resource from S3's access-denied message.
///
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html>
fn denied_action(message: &str) -> Option<(String, String)> {
    let (_, rest) = message.split_once("not authorized to perform: ")?;
    let (action, rest) = rest.split_once(" on resource: ")?;
    let resource = match rest.strip_prefix('"') {
        Some(quoted) => quoted.split_once('"')?.0,
        None => rest.split_whitespace().next()?,
    };
    Some((action.trim().to_owned(), resource.trim_end_matches('.').to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempted() -> AttemptedOperation {
        AttemptedOperation {
            action: "s3:PutObject",
            resource: "arn:aws:s3:::destination/key".to_owned(),
            when_denied: "the credentials need s3:PutObject".to_owned(),
        }
    }

    fn answer(code: Option<&str>, status: Option<u16>, unanswered: bool) -> ErrorAnswer {
        ErrorAnswer {
            code: code.map(FailureCode::from),
            status,
            message: "message of the service".to_owned(),
            unanswered,
            expected_owner: None,
        }
    }

    #[test]
    fn write_without_response_has_an_unknown_outcome() {
        let error = answer(None, None, true).into_write_error(&attempted());
        let WriteError::OutcomeUnknown(failure) = error else {
            panic!("{error:?}");
        };
        assert_eq!((failure.kind, failure.code.as_str()), (FailureKind::Retry, "NoAnswer"));
    }

    #[test]
    fn failed_write_condition_is_a_failed_precondition() {
        for (code, status) in [
            ("PreconditionFailed", 412),
            ("ConditionalRequestConflict", 409),
            ("NoSuchKey", 404),
        ] {
            let error = answer(Some(code), Some(status), false).into_write_error(&attempted());
            assert_eq!(error, WriteError::PreconditionFailed, "{code}");
        }
    }

    #[test]
    fn denial_names_action_and_arn() {
        let mut denied = answer(Some("AccessDenied"), Some(403), false);
        let failure = denied.clone().into_failure(&attempted());
        assert_eq!(failure.kind, FailureKind::Permanent);
        assert_eq!(failure.action, "s3:PutObject");
        assert_eq!(failure.resource, "arn:aws:s3:::destination/key");
        assert!(
            failure.detail.contains("the credentials need s3:PutObject"),
            "{failure}"
        );

        denied.message = "User: arn:aws:sts::1:assumed-role/r/f is not authorized to perform: s3:PutObjectTagging on \
                          resource: \"arn:aws:s3:::destination/a b\" because no policy allows it"
            .to_owned();
        let failure = denied.clone().into_failure(&attempted());
        assert_eq!(failure.detail, denied.message, "S3's own reason replaces the guess");
        assert_eq!(failure.action, "s3:PutObjectTagging");
        assert_eq!(failure.resource, "arn:aws:s3:::destination/a b");
    }

    #[test]
    fn rejected_credentials_ask_for_no_permission() {
        for code in ["InvalidAccessKeyId", "SignatureDoesNotMatch", "RequestTimeTooSkewed"] {
            let failure = answer(Some(code), Some(403), false).into_failure(&attempted());
            assert!(!failure.detail.contains("need s3:PutObject"), "{failure}");
        }
    }

    #[test]
    fn denial_names_the_expected_owner_unless_s3_names_the_action() {
        let mut denied = answer(Some("AccessDenied"), Some(403), false);
        denied.expected_owner = Some("111122223333".to_owned());
        let failure = denied.clone().into_failure(&attempted());
        for part in [
            "owned by account 111122223333",
            "--destination-bucket-owner (DESTINATION_BUCKET_OWNER)",
        ] {
            assert!(failure.detail.contains(part), "{failure}");
        }
        denied.message = "User: a is not authorized to perform: s3:GetObject on resource: \"b\"".to_owned();
        let failure = denied.into_failure(&attempted());
        assert!(!failure.detail.contains("111122223333"), "{failure}");
    }

    #[test]
    fn denied_head_without_a_body_is_access_denied() {
        let failure = answer(None, Some(403), false).into_failure(&attempted());
        assert_eq!(
            (failure.kind, failure.code.as_str()),
            (FailureKind::Permanent, "AccessDenied")
        );
    }

    #[test]
    fn unsigned_request_counts_as_not_sent() {
        use aws_sdk_s3::error::ConnectorError;
        use aws_sdk_s3::operation::head_bucket::HeadBucketError;

        for (error, code, kind) in [
            (
                CredentialsError::not_loaded("no provider has credentials"),
                "CredentialsNotLoaded",
                FailureKind::Configuration,
            ),
            (
                CredentialsError::invalid_configuration("no such profile"),
                "CredentialsMisconfigured",
                FailureKind::Configuration,
            ),
            (
                CredentialsError::provider_error("the session is expired"),
                "CredentialsUnavailable",
                FailureKind::Configuration,
            ),
        ] {
            let error = ConnectorError::other(error.into(), None);
            let error: SdkError<HeadBucketError, HttpResponse> = SdkError::dispatch_failure(error);
            let answer = ErrorAnswer::of(&error);
            assert_eq!(answer.code, Some(FailureCode::from(code)));
            assert!(!answer.unanswered, "{code}");
            assert_eq!(answer.into_failure(&attempted()).kind, kind);
        }
        let error = ConnectorError::io("the connection broke".into());
        let error: SdkError<HeadBucketError, HttpResponse> = SdkError::dispatch_failure(error);
        assert!(ErrorAnswer::of(&error).unanswered);
    }

    #[test]
    fn unconstructed_request_is_not_retried_and_names_the_key() {
        use aws_sdk_s3::operation::head_object::HeadObjectError;

        for (resource, expected) in [
            ("arn:aws:s3:::source/ \n", "the key \" \\n\" contains only white space"),
            (
                "arn:aws:s3:::source/a",
                "cannot construct the request: failed to construct request: no key",
            ),
        ] {
            let error: SdkError<HeadObjectError, HttpResponse> = SdkError::construction_failure("no key");
            let attempted = AttemptedOperation {
                resource: resource.to_owned(),
                ..attempted()
            };
            let answer = ErrorAnswer::of(&error);
            let failure = answer.clone().into_failure(&attempted);
            assert_eq!(
                (failure.kind, failure.code.as_str()),
                (FailureKind::Permanent, "RequestNotMade")
            );
            assert!(failure.detail.contains(expected), "{failure}");
            assert_eq!(answer.into_write_error(&attempted), WriteError::Failed(failure));
        }
    }

    #[test]
    fn response_without_a_message_gets_one_and_no_sdk_dump() {
        use aws_sdk_s3::error::ErrorMetadata;
        use aws_sdk_s3::operation::head_object::HeadObjectError;
        use aws_sdk_s3::primitives::SdkBody;

        for (status, named, code, detail) in [
            (
                503,
                None,
                "SlowDown",
                "throttled: too many requests (HTTP 503 without a message)",
            ),
            (
                403,
                None,
                "AccessDenied",
                "access denied (HTTP 403 without a message) (the credentials need s3:PutObject)",
            ),
            (
                500,
                None,
                "Status500",
                "internal error of the service (HTTP 500 without a message)",
            ),
            (
                501,
                None,
                "Status501",
                "not implemented by this endpoint (HTTP 501 without a message)",
            ),
            (
                400,
                Some("InvalidBucketName"),
                "InvalidBucketName",
                "refused as malformed (HTTP 400 without a message)",
            ),
        ] {
            let metadata = ErrorMetadata::builder().custom("aws_request_id", "4442587FB7D0A2F9");
            let metadata = match named {
                Some(code) => metadata.code(code).build(),
                None => metadata.build(),
            };
            let response = HttpResponse::new(status.try_into().unwrap(), SdkBody::empty());
            let error = SdkError::service_error(HeadObjectError::generic(metadata), response);
            let failure = ErrorAnswer::of(&error).into_failure(&attempted());
            assert_eq!((failure.code.as_str(), failure.detail.as_str()), (code, detail));
        }
    }

    #[test]
    fn unknown_code_is_preserved_and_retried() {
        let failure = answer(Some("BrandNew"), Some(418), false).into_failure(&attempted());
        assert_eq!((failure.kind, failure.code.as_str()), (FailureKind::Retry, "BrandNew"));
        assert_eq!(
            answer(None, Some(500), false).into_failure(&attempted()).code,
            FailureCode::from("Status500")
        );
    }
}
