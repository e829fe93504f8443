//! The command line.
#![expect(clippy::doc_markdown, reason = "help texts are not Markdown")]

use clap::{Args, Parser, Subcommand, ValueHint};
use s3ferry_core::names::{AccountId, BucketName, Region};

use crate::commands::{batch, completions, diff, man, manifest, sync, verify};
use crate::location::Location;
use crate::output::Format;

const EXAMPLES: &str = "\
A small bucket in three commands:
  s3ferry sync --source s3://app-data --destination s3://app-data-eu \\
    --destination-region eu-central-1 --dry-run
  s3ferry sync --source s3://app-data --destination s3://app-data-eu \\
    --destination-region eu-central-1
  s3ferry verify --source s3://app-data --destination s3://app-data-eu \\
    --destination-region eu-central-1 --report proof

Exit codes: 0 equal or done, 1 differences, failed objects or not finished, 2
usage, 3 configuration or permission, 130 interrupted. Data goes to standard
output, everything else to standard error.";

/// Moves an S3 bucket to another region while it is in use.
#[derive(Debug, Parser)]
#[command(name = "s3ferry", version, after_help = EXAMPLES, max_term_width = 100, subcommand_required = true)]
pub struct Cli {
    /// What holds for every command.
    #[command(flatten)]
    pub shared: SharedArgs,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The arguments of every command.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Shared options")]
pub struct SharedArgs {
    /// How results are written to standard output
    #[arg(long, global = true, value_enum, default_value_t = Format::Human, value_name = "FORMAT")]
    pub output: Format,
    /// The profile of the AWS configuration files that credentials come from, whatever the environment has
    #[arg(long, global = true, value_name = "NAME")]
    pub profile: Option<String>,
    /// The endpoint of an emulator, with path-style requests; the default is AWS_ENDPOINT_URL
    #[arg(long, global = true, value_name = "URL", value_hint = ValueHint::Url, value_parser = endpoint_url)]
    pub endpoint_url: Option<String>,
    /// What is logged to standard error: error, warn, info, debug, trace
    #[arg(long, global = true, value_name = "LEVEL", default_value = "warn", value_parser = log_level)]
    pub log_level: tracing::Level,
}

/// The bucket that is migrated.
#[derive(Debug, Clone, Args)]
pub struct SourceArgs {
    /// The bucket that is migrated, and how the keys begin, as in s3://my-bucket/images/
    #[arg(long, value_name = "S3_URL")]
    pub source: Location,
    /// The region of the source bucket; the default is AWS_REGION, then the profile's region
    #[arg(long, value_name = "REGION", value_parser = region)]
    pub source_region: Option<Region>,
    /// The account that must own the source bucket and the state bucket, twelve digits
    #[arg(long, value_name = "ACCOUNT", value_parser = account)]
    pub source_bucket_owner: Option<AccountId>,
}

/// The bucket that is migrated to.
#[derive(Debug, Clone, Args)]
pub struct DestinationArgs {
    /// The bucket that is migrated to, with the same prefix as the source
    #[arg(long, value_name = "S3_URL")]
    pub destination: Location,
    /// The region of the destination bucket, as in eu-central-1
    #[arg(long, value_name = "REGION", value_parser = region)]
    pub destination_region: Region,
    /// The account that must own the destination bucket, twelve digits
    #[arg(long, value_name = "ACCOUNT", value_parser = account)]
    pub destination_bucket_owner: Option<AccountId>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Copy what differs from the source to the destination, from this machine
    Sync(sync::SyncArgs),
    /// Compare two buckets by their listings, or object by object
    Diff(diff::DiffArgs),
    /// Write the manifests that S3 Batch Operations and the final-sync state machine work through
    Manifest(manifest::ManifestArgs),
    /// Work through a manifest with S3 Batch Operations, the state machine, or this machine
    Batch(batch::BatchArgs),
    /// Prove that both buckets are equal, and write a report of it
    Verify(verify::VerifyArgs),
    /// Print a completion script for a shell
    Completions(completions::CompletionsArgs),
    /// Print the manual page
    Man(man::ManArgs),
}

impl Command {
    /// Tells whether it copies objects from this machine, which is not done at once when somebody asks it to stop.
    #[must_use]
    pub fn copies(&self) -> bool {
        match self {
            Self::Sync(args) => args.copies(),
            Self::Batch(_)
            | Self::Diff(_)
            | Self::Manifest(_)
            | Self::Verify(_)
            | Self::Completions(_)
            | Self::Man(_) => false,
        }
    }
}

/// Reads a region.
pub fn region(text: &str) -> Result<Region, String> {
    Region::new(text).map_err(|error| error.to_string())
}

/// Reads a bucket's name.
pub fn bucket(text: &str) -> Result<BucketName, String> {
    BucketName::new(text).map_err(|error| error.to_string())
}

/// Reads an account.
pub fn account(text: &str) -> Result<AccountId, String> {
    AccountId::new(text).map_err(|error| error.to_string())
}

fn log_level(text: &str) -> Result<tracing::Level, &'static str> {
    match text {
        "error" => Ok(tracing::Level::ERROR),
        "warn" => Ok(tracing::Level::WARN),
        "info" => Ok(tracing::Level::INFO),
        "debug" => Ok(tracing::Level::DEBUG),
        "trace" => Ok(tracing::Level::TRACE),
        _ => Err("allowed: error, warn, info, debug, trace"),
    }
}

/// Checks that the SDK can read the endpoint: it would go to AWS itself where it cannot.
pub fn endpoint_url(text: &str) -> Result<String, &'static str> {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let is_host = |rest: &&str| {
        rest.starts_with(|letter: char| letter.is_ascii_alphanumeric() || letter == '[')
            && !rest.contains(char::is_whitespace)
    };
    host.filter(is_host)
        .map(|_| text.to_owned())
        .ok_or("must be a URL such as http://127.0.0.1:9000")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn command_line_is_sound() {
        Cli::command().debug_assert();
    }

    /// Takes the example commands out of a help text, as the words that a shell makes of them.
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
                Cli::try_parse_from(&words).unwrap_or_else(|error| panic!("{words:?}: {error}"));
            }
        }
        assert!(count > 15, "{count}");
    }

    #[test]
    fn documentation_names_every_command_and_flag() {
        let documentation = include_str!("../../../docs/CLI.md");
        let mut cli = Cli::command();
        cli.build();
        let mut commands: Vec<&clap::Command> = cli.get_subcommands().collect();
        while let Some(command) = commands.pop() {
            if command.get_name() == "help" {
                continue;
            }
            commands.extend(command.get_subcommands());
            assert!(documentation.contains(command.get_name()), "{}", command.get_name());
            for flag in command.get_arguments().filter_map(clap::Arg::get_long) {
                let is_built_in = flag == "help" || flag == "version";
                assert!(
                    is_built_in || documentation.contains(&format!("`--{flag}`")),
                    "--{flag}"
                );
            }
        }
    }

    #[test]
    fn endpoint_must_be_one_that_the_sdk_can_read() {
        assert!(endpoint_url("http://127.0.0.1:9000").is_ok());
        assert!(endpoint_url("https://[::1]:9000/").is_ok());
        for text in ["127.0.0.1:9000", "http://", "http://a b", ""] {
            assert!(endpoint_url(text).is_err(), "{text}");
        }
    }
}
