//! Arguments that several commands share.
#![expect(clippy::doc_markdown, reason = "help texts are not Markdown")]

use clap::{Args, ValueHint};
use s3ferry_aws::settings::{endpoint_url, log_level};
use s3ferry_core::names::{AccountId, BucketName, Region};

use crate::location::Location;
use crate::output::Format;

/// The arguments of every command.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Shared options")]
pub struct SharedArgs {
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
    /// Region of the source bucket [default: AWS_REGION, then the profile's region]
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
    /// Region of the destination bucket, such as eu-central-1
    #[arg(long, value_name = "REGION", value_parser = region)]
    pub destination_region: Region,
    /// Account that must own the destination bucket
    #[arg(long, value_name = "ACCOUNT", value_parser = account)]
    pub destination_bucket_owner: Option<AccountId>,
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
