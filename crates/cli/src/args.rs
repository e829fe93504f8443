//! Arguments that several commands share.
#![expect(clippy::doc_markdown, reason = "help texts are not Markdown")]

use std::path::PathBuf;

use clap::{Args, ValueHint};
use s3ferry_aws::settings::{endpoint_url, log_level};
use s3ferry_core::names::{AccountId, BucketName, Region};

use crate::location::Location;
use crate::output::Format;

/// The arguments of every command.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Shared options")]
pub struct SharedArgs {
    /// Migration file [default: s3ferry.toml in this folder, if it exists]
    #[arg(long, global = true, value_name = "PATH", value_hint = ValueHint::FilePath)]
    pub migration: Option<PathBuf>,
    /// Migration to use, of a file with several
    #[arg(long = "name", global = true, value_name = "NAME", conflicts_with = "all_migrations")]
    pub migration_name: Option<String>,
    /// Run the command for every migration of the file, and print one table
    #[arg(long = "all", global = true)]
    pub all_migrations: bool,
    /// Format of standard output
    #[arg(long, global = true, value_enum, default_value_t = Format::Human, value_name = "FORMAT")]
    pub output: Format,
    /// Profile of the AWS configuration files, used instead of credentials in the environment
    #[arg(long, global = true, value_name = "NAME")]
    pub profile: Option<String>,
    /// Endpoint of an emulator, with path-style requests [default: AWS_ENDPOINT_URL]
    #[arg(long, global = true, value_name = "URL", value_hint = ValueHint::Url, value_parser = endpoint_url)]
    pub endpoint_url: Option<String>,
    /// Log level on standard error: error, warn, info, debug or trace
    #[arg(long, global = true, value_name = "LEVEL", default_value = "warn", value_parser = log_level)]
    pub log_level: tracing::Level,
}

/// The arguments that name the source bucket.
#[derive(Debug, Clone, Args)]
pub struct SourceArgs {
    /// Source bucket and optional prefix, such as s3://my-bucket/images/
    #[arg(long, value_name = "S3_URL")]
    pub source: Location,
    /// Region of the source bucket [default: detected]
    #[arg(long, value_name = "REGION", value_parser = region)]
    pub source_region: Option<Region>,
    /// Account that must own the source bucket
    #[arg(long, value_name = "ACCOUNT", value_parser = account)]
    pub source_bucket_owner: Option<AccountId>,
}

/// The arguments that name the destination bucket.
#[derive(Debug, Clone, Args)]
pub struct DestinationArgs {
    /// Destination bucket, with the same prefix as the source
    #[arg(long, value_name = "S3_URL")]
    pub destination: Location,
    /// Region of the destination bucket [default: detected]
    #[arg(long, value_name = "REGION", value_parser = region)]
    pub destination_region: Option<Region>,
    /// Account that must own the destination bucket
    #[arg(long, value_name = "ACCOUNT", value_parser = account)]
    pub destination_bucket_owner: Option<AccountId>,
}

/// Both buckets as positional arguments, as other S3 tools take them.
///
/// They become the values of `--source` and `--destination` before the command runs.
#[derive(Debug, Clone, Args)]
pub struct PositionalArgs {
    /// Source bucket and optional prefix, instead of --source
    #[arg(value_name = "SOURCE")]
    pub positional_source: Option<Location>,
    /// Destination bucket with the same prefix, instead of --destination
    #[arg(value_name = "DESTINATION")]
    pub positional_destination: Option<Location>,
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
