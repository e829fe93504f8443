//! Outcomes, errors and exit codes of commands.

use std::io::ErrorKind;
use std::process::ExitCode;

use s3ferry_core::failure::{EXPECTS_OWNER, Failure, FailureCode, FailureKind};
use s3ferry_core::migration::MigrationFileProblem;
use s3ferry_engine::cutover::CutoverRefusal;

use crate::text::escaped_text;

/// The separator between an error and its next step.
const NEXT: &str = "\n  next: ";

/// The outcome of a command that ran to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommandOutcome {
    /// Both sides are equal, or all work is done.
    Done,
    /// Objects differ, failed or are not finished.
    NotAll,
}

/// An error that stopped a command.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The arguments are not valid.
    #[error("{what}\n  next: {next}")]
    Usage {
        /// The failed action, its resource and the cause.
        what: String,
        /// The next step for the user.
        next: String,
    },
    /// A migration file has unknown, missing or contradictory values.
    #[error("{}", problem_lines(.path, .problems).join("\n"))]
    MigrationFile {
        /// Path of the file.
        path: String,
        /// Its problems.
        problems: Vec<MigrationFileProblem>,
    },
    /// A bucket, the credentials or a file does not meet the requirements of the command.
    #[error("{what}\n  next: {next}")]
    Setup {
        /// The failed action, its resource and the cause.
        what: String,
        /// The next step for the user.
        next: String,
    },
    /// A request failed that the command depends on.
    #[error("{failure}\n  next: {next}", failure = .0, next = next_step(.0))]
    Failed(#[from] Failure),
    /// A file could not be written.
    #[error("failed to {action}: {source}\n  next: {next}", next = next_step_of_file(source))]
    File {
        /// The failed action, with the path.
        action: String,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// A file that a flag names could not be read.
    #[error("failed to {action}: {source}\n  next: pass a file that exists and can be read")]
    Unreadable {
        /// The failed action, with the path.
        action: String,
        /// The error of the operating system.
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
    /// Returns an error of the arguments.
    pub fn usage(what: impl Into<String>, next: impl Into<String>) -> Self {
        Self::Usage {
            what: what.into(),
            next: next.into(),
        }
    }

    /// Returns an error of buckets, credentials or files.
    pub fn setup(what: impl Into<String>, next: impl Into<String>) -> Self {
        Self::Setup {
            what: what.into(),
            next: next.into(),
        }
    }

    /// Returns the error of a file that could not be written.
    pub fn file(action: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let action = action.into();
        |source| Self::File { action, source }
    }

    /// Returns the message with control characters escaped: a key in it can neither move the cursor nor imitate a next step.
    #[must_use]
    pub fn shown(&self) -> String {
        if let Self::MigrationFile { path, problems } = self {
            // Each is built of escaped parts.
            return problem_lines(path, problems).join("\n");
        }
        let text = self.to_string();
        match text.rsplit_once(NEXT) {
            Some((what, next)) => format!("{}{NEXT}{}", escaped_text(what), escaped_text(next)),
            None => escaped_text(&text).into_owned(),
        }
    }

    /// Returns the error of a file that could not be read.
    pub fn unreadable(action: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let action = action.into();
        |source| Self::Unreadable { action, source }
    }

    /// Returns the exit code.
    #[must_use]
    pub fn code(&self) -> u8 {
        match self {
            Self::Usage { .. } | Self::MigrationFile { .. } => 2,
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

impl From<CutoverRefusal> for CliError {
    fn from(refusal: CutoverRefusal) -> Self {
        Self::setup(refusal.to_string(), refusal.next())
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

/// Returns what to do about a file that could not be written.
fn next_step_of_file(error: &std::io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::NotFound => "create the folder, or pass another path",
        ErrorKind::IsADirectory => "pass the path of a file",
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => "pass a path that you may write to",
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "free disk space, or pass another path",
        _ => "correct this, or pass another path",
    }
}

/// Returns each problem of a migration file with its next step.
fn problem_lines(path: &str, problems: &[MigrationFileProblem]) -> Vec<String> {
    let lines = problems.iter().map(|problem| {
        let at = format!("{path}:{}: {}", problem.line, problem.what);
        format!("{}{NEXT}{}", escaped_text(&at), escaped_text(&problem.next))
    });
    lines.collect()
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
            "pass an endpoint of S3 (--endpoint-url, AWS_ENDPOINT_URL), or let the proxy pass requests to S3"
        }
        FailureCode::Status405 | FailureCode::Status501 | FailureCode::NotImplemented => {
            "check the endpoint (--endpoint-url, AWS_ENDPOINT_URL): the endpoint does not support this API"
        }
        FailureCode::UnreadableListing | FailureCode::ListingOutOfOrder => {
            "run the same command again; if the error persists, the endpoint returns listings out of order or malformed: \
             check --endpoint-url and any proxy. No object was changed because of this listing"
        }
        FailureCode::PermanentRedirect | FailureCode::Status301 | FailureCode::AuthorizationHeaderMalformed => {
            "pass the bucket's region with --source-region or --destination-region"
        }
        FailureCode::InvalidAccessKeyId
        | FailureCode::SignatureDoesNotMatch
        | FailureCode::InvalidToken
        | FailureCode::ExpiredToken
        | FailureCode::ExpiredTokenException
        | FailureCode::TokenRefreshRequired => {
            "renew the credentials, or pass others with --profile, and run the same command again"
        }
        FailureCode::RequestTimeTooSkewed => "set this machine's clock, and run the same command again",
        FailureCode::RequestNotMade => "rename the object: the AWS SDK sends no request for this key",
        FailureCode::EndpointUnreachable => "check the network of this machine and the names of the regions",
        FailureCode::CredentialsNotInProfile => {
            "pass an existing profile with --profile (`aws configure list-profiles`), give this one credentials, or omit \
             --profile"
        }
        FailureCode::CredentialsMisconfigured
        | FailureCode::CredentialsNotLoaded
        | FailureCode::CredentialsTimedOut
        | FailureCode::CredentialsUnavailable => {
            "sign in (aws sso login), set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or pass a profile with --profile"
        }
        FailureCode::NoSuchKey => "check the path; the files of a report must be where its manifest says",
        FailureCode::SortLimitsReached | FailureCode::SpillFailed | FailureCode::UnwritableFile => {
            "raise --sort-memory-mib, or pass a larger folder with --spill-dir"
        }
        code if code.is_of_inventory() => "pass another report; without an inventory the bucket is listed instead",
        code if code.is_denial() && failure.detail.contains(EXPECTS_OWNER) => {
            "correct the expected owner if another account owns the bucket; else grant the named action, or use \
             other credentials with --profile"
        }
        code if code.is_denial() => "grant the named action, or use other credentials with --profile",
        _ => match failure.kind {
            FailureKind::Permanent | FailureKind::Configuration => "fix the cause and run the command again",
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
            assert_eq!(text.contains("grant the named action"), asks, "{text}");
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
        assert!(error.to_string().contains("next: pass an endpoint of S3"), "{error}");
    }

    #[test]
    fn unwritable_file_asks_for_what_is_missing() {
        let next = |kind: ErrorKind| CliError::file("write report.csv")(kind.into()).to_string();
        assert!(next(ErrorKind::NotFound).contains("next: create the folder"));
        assert!(next(ErrorKind::StorageFull).contains("next: free disk space"));
        assert!(!next(ErrorKind::PermissionDenied).contains("disk space"));
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
        assert!(text.contains("\n  next: grant the named action"), "{text}");
    }

    #[test]
    fn errors_say_what_failed_and_what_to_do() {
        let text = failure(FailureKind::Permanent, "AccessDenied").to_string();
        assert!(text.contains("s3:ListBucket failed on arn:aws:s3:::source"), "{text}");
        assert!(text.contains("next: grant the named action"), "{text}");
    }
}
