//! Selection of dead letters.

use clap::Args;
use s3ferry_core::dead_letter::DeadLetterFilter;
use s3ferry_engine::dead_letters::LetterError;

use crate::exit::CliError;
use crate::progress::print_message;

/// The arguments that select dead letters.
#[derive(Debug, Args)]
#[command(next_help_heading = "Selection")]
pub(super) struct FilterArgs {
    /// Only dead letters that name a key with this prefix
    #[arg(long, value_name = "PREFIX")]
    key_prefix: Option<String>,
    /// Only dead letters with this reason, as `dlq list` shows it
    #[arg(long, value_name = "REASON")]
    reason: Option<String>,
}

impl FilterArgs {
    /// Returns the filter.
    pub(super) fn filter(&self) -> DeadLetterFilter {
        DeadLetterFilter {
            key_prefix: self.key_prefix.clone(),
            reason: self.reason.clone(),
        }
    }
}

/// Converts the error that ended the work.
pub(super) fn letter_error(error: LetterError) -> CliError {
    let text = error.to_string();
    match error {
        LetterError::Request(failure) => CliError::Failed(failure),
        LetterError::NotDeleted { source, .. } => {
            print_message(&format!(
                "warning: {text}: the next redrive sends it once more, which changes nothing"
            ));
            CliError::Failed(source)
        }
    }
}
