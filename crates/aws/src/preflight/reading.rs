//! Conversion of responses to readings.

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use s3ferry_core::failure::FailureCode;
use s3ferry_core::preflight::{Reading, UnknownReading, UnknownReason};

use crate::classify::ErrorAnswer;

/// Converts a response. An error with one of the codes in `absent` means that the setting does not exist.
pub(super) fn reading_of<T, E>(
    answer: Result<T, SdkError<E, HttpResponse>>,
    action: &'static str,
    absent: &[&str],
) -> Reading<Option<T>>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    match answer {
        Ok(answer) => Reading::Known(Some(answer)),
        Err(error) => {
            let answer = ErrorAnswer::of(&error);
            let is_absent = |code: &FailureCode| absent.iter().any(|name| FailureCode::from(*name) == *code);
            if answer.code.as_ref().is_some_and(is_absent) {
                return Reading::Known(None);
            }
            Reading::Unknown(unknown(answer, action))
        }
    }
}

/// Converts a response of a setting that always exists.
pub(super) fn required<T, E>(answer: Result<T, SdkError<E, HttpResponse>>, action: &'static str) -> Reading<T>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    match answer {
        Ok(answer) => Reading::Known(answer),
        Err(error) => Reading::Unknown(unknown(ErrorAnswer::of(&error), action)),
    }
}

fn unknown(answer: ErrorAnswer, action: &'static str) -> UnknownReading {
    let code = answer.code.as_ref();
    let is_denied = answer.status == Some(403) || code.is_some_and(FailureCode::is_denial);
    // An endpoint that does not know the operation answers with another one, with an error, or with a page.
    let is_unsupported = matches!(
        code,
        Some(FailureCode::NotImplemented | FailureCode::MethodNotAllowed | FailureCode::ResponseNotFromS3)
    ) || matches!(answer.status, Some(200..300 | 404 | 405 | 501));
    let reason = if is_denied {
        UnknownReason::Denied
    } else if is_unsupported {
        UnknownReason::Unsupported
    } else {
        UnknownReason::Failed
    };
    UnknownReading {
        reason,
        action: action.to_owned(),
        detail: answer.message,
    }
}
