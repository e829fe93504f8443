//! The root command: all commands and the options that they share.

use clap::{Parser, Subcommand};

use crate::args::SharedArgs;
use crate::commands::{
    batch, completions, cutover, deploy_parameters, diff, dlq, init, man, manifest, preflight, status, sync, verify,
};
use crate::version::VERSION;

const EXAMPLES: &str = "\
Migrate a small bucket:
  s3ferry sync s3://app-data s3://app-data-eu --dry-run
  s3ferry sync s3://app-data s3://app-data-eu
  s3ferry verify s3://app-data s3://app-data-eu --report proof
Write a migration file, which every command in the folder reads:
  s3ferry init s3://app-data s3://app-data-eu
  s3ferry verify

Exit codes: 0 equal or done, 1 different, failed or not finished, 2 usage,
3 configuration or permission, 130 interrupted. Results go to standard output,
everything else to standard error.";

/// Moves an S3 bucket to another AWS region while it is in use
#[derive(Debug, Parser)]
#[command(name = "s3ferry", version = VERSION, after_help = EXAMPLES, max_term_width = 100, subcommand_required = true)]
pub struct Cli {
    /// The options of every command.
    #[command(flatten)]
    pub shared: SharedArgs,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write a migration file, which the other commands read
    Init(init::InitArgs),
    /// Print the migration file as parameters of both stacks
    DeployParameters(deploy_parameters::DeployParametersArgs),
    /// Check both buckets, the account and the stack before anything is copied
    Preflight(preflight::PreflightArgs),
    /// Copy the objects that differ from the source to the destination
    Sync(sync::SyncArgs),
    /// Compare two buckets
    Diff(diff::DiffArgs),
    /// Write manifests for S3 Batch Operations and the final-sync state machine
    Manifest(manifest::ManifestArgs),
    /// Start, follow and report jobs of S3 Batch Operations or the state machine
    Batch(batch::BatchArgs),
    /// Verify that two buckets are equal, and write a report
    Verify(verify::VerifyArgs),
    /// Show whether new writes reach the destination in time
    Status(status::MigrationStatusArgs),
    /// List, redrive or drop dead letters
    Dlq(dlq::DlqArgs),
    /// Point applications to the destination, step by step, each with a proof
    Cutover(cutover::CutoverArgs),
    /// Undo a cutover, also after the switch, without losing a write
    Rollback(cutover::RollbackArgs),
    /// End a migration, and list what is left in the source
    Finish(cutover::FinishArgs),
    /// Check the certificate of a cutover
    Certificate(cutover::CertificateArgs),
    /// Print a completion script for a shell
    Completions(completions::CompletionsArgs),
    /// Print a manual page
    Man(man::ManArgs),
}

impl Command {
    /// Returns whether the command copies objects, so that an interrupt has to wait for them.
    #[must_use]
    pub fn copies(&self) -> bool {
        match self {
            Self::Sync(args) => args.copies(),
            Self::Cutover(args) => args.copies(),
            Self::Batch(_)
            | Self::DeployParameters(_)
            | Self::Rollback(_)
            | Self::Finish(_)
            | Self::Certificate(_)
            | Self::Diff(_)
            | Self::Init(_)
            | Self::Manifest(_)
            | Self::Preflight(_)
            | Self::Verify(_)
            | Self::Status(_)
            | Self::Dlq(_)
            | Self::Completions(_)
            | Self::Man(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;
    use clap::error::{ContextKind, ContextValue};

    use super::*;

    #[test]
    fn command_line_is_sound() {
        Cli::command().debug_assert();
    }

    /// Extracts the example commands of a help text, split into words as by a shell.
    fn examples(help: &str) -> Vec<Vec<String>> {
        let mut examples = Vec::new();
        let mut lines = help.lines();
        while let Some(line) = lines.next() {
            if !line.trim_start().starts_with("s3ferry ") {
                continue;
            }
            let mut all = vec![line];
            while all.last().is_some_and(|line| line.ends_with('\\')) {
                all.extend(lines.next());
            }
            let command = all.iter().map(|line| line.trim_end_matches('\\')).collect::<String>();
            let words = command
                .split_whitespace()
                .take_while(|word| !matches!(*word, ">" | "|"));
            examples.push(words.map(|word| word.trim_matches('"').to_owned()).collect());
        }
        examples
    }

    #[test]
    fn examples_fit_80_columns_and_can_be_pasted() {
        let mut cli = Cli::command();
        cli.build();
        let (mut commands, mut count) = (vec![&cli], 0);
        while let Some(command) = commands.pop() {
            commands.extend(command.get_subcommands());
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            // Wider lines would be wrapped by clap, and an example within words that belong together.
            assert!(help.lines().all(|line| line.len() < 80), "{help}");
            for words in examples(&help) {
                count += 1;
                // Positions and the migration file complete the locations before the arguments are read.
                if let Err(error) = Cli::try_parse_from(&words) {
                    let missing = match error.get(ContextKind::InvalidArg) {
                        Some(ContextValue::Strings(missing)) => missing.clone(),
                        _ => panic!("{words:?}: {error}"),
                    };
                    let is_location = |arg: &String| arg.starts_with("--source ") || arg.starts_with("--destination ");
                    assert!(missing.iter().all(is_location), "{words:?}: {error}");
                }
            }
        }
        assert!(count > 15, "{count}");
    }
}
