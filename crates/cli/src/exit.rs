//! Outcomes, errors and exit codes of commands.

use std::process::ExitCode;

use s3ferry_core::failure::{EXPECTS_OWNER, Failure, FailureCode, FailureKind};

use crate::text::shown_text;

/// What stands between an error and what to do about it.
const NEXT: &str = "\n  next: ";

/// The outcome of a command that ran to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommandOutcome {
    /// Both sides are equal, or all work is done.
    Done,
    /// Objects differ, failed or are not finished.
    NotAll,
}

/// Why a command did not run to its end.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The arguments are not valid.
    #[error("{what}\n  next: {next}")]
    Usage {
        /// What failed.
        what: String,
        /// What to do.
        next: String,
    },
    /// Buckets, credentials or files are not as the command needs them.
    #[error("{what}\n  next: {next}")]
    Setup {
        /// What failed.
        what: String,
        /// What to do.
        next: String,
    },
    /// A request failed that the command depends on.
    #[error("failed to {}\n  next: {}", .0, next_step(.0))]
    Failed(#[from] Failure),
    /// A file could not be written.
    #[error("failed to {action}: {source}\n  next: make room or name another path")]
    File {
        /// What was attempted, with the path.
        action: String,
        /// The refusal.
        source: std::io::Error,
    },
    /// A file that a flag names could not be read.
    #[error("failed to {action}: {source}\n  next: pass a file that exists and can be read")]
    Unreadable {
        /// What was attempted, with the path.
        action: String,
        /// The refusal.
        source: std::io::Error,
    },
    /// Standard output was closed.
    #[error("standard output is closed")]
    OutputClosed,
    /// The command was interrupted.
    #[error("interrupted: run the same command again to continue")]
    Interrupted,
    /// A defect of s3ferry.
    #[error("a defect of s3ferry: {0}\n  next: report it with the arguments and this message")]
    Bug(String),
}

impl CliError {
    /// Makes an error of the arguments.
    pub fn usage(what: impl Into<String>, next: impl Into<String>) -> Self {
        Self::Usage {
            what: what.into(),
            next: next.into(),
        }
    }

    /// Makes an error of buckets, credentials or files.
    pub fn setup(what: impl Into<String>, next: impl Into<String>) -> Self {
        Self::Setup {
            what: what.into(),
            next: next.into(),
        }
    }

    /// Makes an error of a file.
    pub fn file(action: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let action = action.into();
        |source| Self::File { action, source }
    }

    /// Makes the message fit for a terminal: names of keys in it can neither move the cursor nor look like a next step.
    #[must_use]
    pub fn shown(&self) -> String {
        let text = self.to_string();
        match text.rsplit_once(NEXT) {
            Some((what, next)) => format!("{}{NEXT}{}", shown_text(what), shown_text(next)),
            None => shown_text(&text).into_owned(),
        }
    }

    /// Makes an error of a file that is to be read.
    pub fn unreadable(action: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let action = action.into();
        |source| Self::Unreadable { action, source }
    }

    /// Returns the exit code.
    #[must_use]
    pub fn code(&self) -> u8 {
        match self {
            Self::Usage { .. } => 2,
            Self::Setup { .. } | Self::File { .. } | Self::Unreadable { .. } => 3,
            Self::Failed(failure) if failure.is_of_credentials() => 3,
            Self::Failed(failure) => match (&failure.code, failure.kind) {
                (FailureCode::NoAnswer | FailureCode::ResponseNotFromS3, _)
                | (_, FailureKind::Permanent | FailureKind::Configuration) => 3,
                (_, FailureKind::Retry | FailureKind::Bug) => 1,
            },
            Self::Bug(_) => 1,
            Self::OutputClosed | Self::Interrupted => 130,
        }
    }
}

impl CommandOutcome {
    /// Returns the exit code.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::NotAll => 1,
        }
    }
}

impl From<CommandOutcome> for ExitCode {
    fn from(outcome: CommandOutcome) -> Self {
        Self::from(outcome.code())
    }
}

fn next_step(failure: &Failure) -> &'static str {
    match &failure.code {
        FailureCode::NoSuchBucket => {
            "check the bucket's name, the account of the credentials (--profile), and that S3 answers at the endpoint if one \
             is given"
        }
        FailureCode::InvalidBucketName => {
            "correct the bucket's name: 3 to 63 lower-case letters, digits, dots and hyphens, with a letter or digit at both \
             ends"
        }
        FailureCode::NoAnswer => {
            "check the network of this machine, and the endpoint if one is given; then run the same command again"
        }
        FailureCode::ResponseNotFromS3 => {
            "name an endpoint of S3 (--endpoint-url, AWS_ENDPOINT_URL), or let the proxy pass requests to S3"
        }
        FailureCode::Status405 | FailureCode::Status501 | FailureCode::NotImplemented => {
            "check the endpoint (--endpoint-url, AWS_ENDPOINT_URL): what answers there does not have this API"
        }
        FailureCode::UnreadableListing | FailureCode::ListingOutOfOrder => {
            "run the same command again; if that does not help, what answers at the endpoint lists wrongly: check \
             --endpoint-url and any proxy. Nothing was decided by this listing"
        }
        FailureCode::PermanentRedirect | FailureCode::Status301 | FailureCode::AuthorizationHeaderMalformed => {
            "name the bucket's own region with --source-region or --destination-region"
        }
        FailureCode::InvalidAccessKeyId
        | FailureCode::SignatureDoesNotMatch
        | FailureCode::InvalidToken
        | FailureCode::ExpiredToken
        | FailureCode::ExpiredTokenException
        | FailureCode::TokenRefreshRequired => {
            "renew the credentials, or name others with --profile, and run the same command again"
        }
        FailureCode::RequestTimeTooSkewed => "set this machine's clock, and run the same command again",
        FailureCode::RequestNotMade => "correct the name that no request can be made of",
        FailureCode::EndpointUnreachable => "check the network of this machine and the names of the regions",
        FailureCode::CredentialsNotInProfile => {
            "name a profile that is there with --profile (`aws configure list-profiles`), give this one credentials, or \
             leave --profile out"
        }
        FailureCode::CredentialsMisconfigured
        | FailureCode::CredentialsNotLoaded
        | FailureCode::CredentialsTimedOut
        | FailureCode::CredentialsUnavailable => {
            "sign in (aws sso login), set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile with --profile"
        }
        FailureCode::NoSuchKey => "check the path; the files of a report must be where its manifest says",
        FailureCode::SortLimitsReached | FailureCode::SpillFailed | FailureCode::UnwritableFile => {
            "give more memory with --sort-memory-mib, or a roomier folder with --spill-dir"
        }
        code if code.is_of_inventory() => "name another report; without an inventory the bucket is listed instead",
        code if code.is_denial() && failure.detail.contains(EXPECTS_OWNER) => {
            "correct the expected owner if another account owns the bucket; else grant the action that is named, or use \
             other credentials with --profile"
        }
        code if code.is_denial() => "grant the action that is named, or use other credentials with --profile",
        _ => match failure.kind {
            FailureKind::Permanent | FailureKind::Configuration => "correct what is named and run the command again",
            FailureKind::Retry => "run the same command again",
            FailureKind::Bug => "report it with the arguments and this message",
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(kind: FailureKind, code: &str) -> CliError {
        CliError::Failed(Failure {
            kind,
            code: code.into(),
            action: "s3:ListBucket".to_owned(),
            resource: "arn:aws:s3:::source".to_owned(),
            detail: "said S3".to_owned(),
        })
    }

    #[test]
    fn exit_codes_are_those_that_the_manual_lists() {
        assert_eq!(CliError::usage("a", "b").code(), 2);
        assert_eq!(CliError::setup("a", "b").code(), 3);
        assert_eq!(failure(FailureKind::Permanent, "AccessDenied").code(), 3);
        assert_eq!(failure(FailureKind::Configuration, "NoSuchBucket").code(), 3);
        assert_eq!(failure(FailureKind::Retry, "SlowDown").code(), 1);
        for code in ["CredentialsTimedOut", "ExpiredToken", "RequestTimeTooSkewed"] {
            assert_eq!(failure(FailureKind::Retry, code).code(), 3, "{code}");
        }
        assert_eq!(failure(FailureKind::Retry, "NoAnswer").code(), 3);
        assert_eq!(CliError::Interrupted.code(), 130);
    }

    #[test]
    fn only_denials_ask_for_an_action_to_be_granted() {
        for (kind, code, asks) in [
            (FailureKind::Permanent, "AccessDenied", true),
            (FailureKind::Permanent, "AccessDeniedException", true),
            (FailureKind::Permanent, "UnauthorizedOperation", true),
            (FailureKind::Configuration, "InvalidBucketName", false),
            (FailureKind::Permanent, "UnreadableListing", false),
            (FailureKind::Permanent, "Status501", false),
            (FailureKind::Permanent, "InvalidRequest", false),
        ] {
            let text = failure(kind, code).to_string();
            assert_eq!(text.contains("grant the action"), asks, "{text}");
        }
        let text = failure(FailureKind::Configuration, "InvalidBucketName").to_string();
        assert!(text.contains("lower-case letters, digits, dots and hyphens"), "{text}");
    }

    #[test]
    fn denial_of_a_request_with_an_expected_owner_asks_for_the_owner_first() {
        let mut denied = match failure(FailureKind::Permanent, "AccessDenied") {
            CliError::Failed(failure) => failure,
            error => panic!("{error}"),
        };
        denied.detail = format!("Access Denied ({EXPECTS_OWNER} 111122223333)");
        let text = CliError::Failed(denied).to_string();
        assert!(text.contains("next: correct the expected owner"), "{text}");
    }

    #[test]
    fn endpoint_that_is_not_s3_is_a_fault_of_the_setup() {
        let error = failure(FailureKind::Retry, "ResponseNotFromS3");
        assert_eq!(error.code(), 3);
        assert!(error.to_string().contains("next: name an endpoint of S3"), "{error}");
    }

    #[test]
    fn shown_errors_keep_to_their_lines() {
        let mut failure = match failure(FailureKind::Permanent, "AccessDenied") {
            CliError::Failed(failure) => failure,
            error => panic!("{error}"),
        };
        failure.resource.push_str("/\u{1b}[31m\n  next: pay\u{202e}");
        let text = CliError::Failed(failure).shown();
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(text.contains("source/\\u{1b}[31m\\n  next: pay\\u{202e}"), "{text}");
        assert!(text.contains("\n  next: grant the action"), "{text}");
    }

    #[test]
    fn errors_say_what_failed_and_what_to_do() {
        let text = failure(FailureKind::Permanent, "AccessDenied").to_string();
        assert!(text.contains("s3:ListBucket on arn:aws:s3:::source"), "{text}");
        assert!(text.contains("next: grant the action"), "{text}");
    }
}
