//! `s3ferry batch`: a manifest worked through by AWS's own engines, or by this machine as they would.
#![expect(clippy::doc_markdown, reason = "help texts are not Markdown")]

mod cloud;
mod job;
mod local;
mod place;
mod report;
mod s3_control;
mod start;
mod status;

use clap::{Args, Subcommand, ValueEnum};
use s3ferry_core::names::{AccountId, Region};

pub use self::report::ReportArgs;
pub use self::start::StartArgs;
pub use self::status::StatusArgs;
use crate::args::{SharedArgs, account, region};
use crate::exit::{CliError, CommandOutcome};
use crate::interrupt::Interrupt;

/// The arguments of `batch`.
#[derive(Debug, Args)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub struct BatchArgs {
    #[command(subcommand)]
    verb: Verb,
}

impl BatchArgs {
    /// Tells whether this process copies objects.
    #[must_use]
    pub fn copies(&self) -> bool {
        matches!(&self.verb, Verb::Start(args) if args.engine == Some(BatchService::Local))
    }
}

/// What to do with a job.
#[derive(Debug, Subcommand)]
enum Verb {
    /// Start a job over a manifest; with --engine local, run it
    Start(Box<StartArgs>),
    /// Say how far a job is, and follow it to its end
    Status(StatusArgs),
    /// Read a job's completion report, and make a manifest of what failed
    Report(ReportArgs),
}

/// Who runs a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BatchService {
    /// S3 Batch Operations: up to billions of objects
    S3BatchOperations,
    /// The final sync's state machine: up to some millions of objects
    StepFunctions,
    /// This process, with the semantics of S3 Batch Operations: tests and small buckets
    Local,
}

impl BatchService {
    /// Returns the word of the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::S3BatchOperations => "s3-batch-operations",
            Self::StepFunctions => "step-functions",
            Self::Local => "local",
        }
    }
}

/// Which job.
#[derive(Debug, Clone, Args)]
pub struct JobArgs {
    /// The job, as `start` printed it: an ARN, or the folder of a local job; or the id of a job of S3 Batch Operations
    #[arg(value_name = "JOB")]
    job: String,
    /// Who runs the job; told by JOB unless it is a mere id
    #[arg(long, value_enum, value_name = "ENGINE")]
    engine: Option<BatchService>,
    /// The account of a job that is named by its id alone
    #[arg(long, value_name = "ACCOUNT", value_parser = account)]
    account: Option<AccountId>,
    /// The account that must own the bucket of the job's report or results; the default is the account in JOB
    #[arg(long, value_name = "ACCOUNT", value_parser = account)]
    state_bucket_owner: Option<AccountId>,
    /// The region of a job that is named by its id alone; the default is AWS_REGION, then the profile's region
    #[arg(long, value_name = "REGION", value_parser = region)]
    region: Option<Region>,
}

/// Starts, follows or reads a job.
pub async fn run(shared: &SharedArgs, args: &BatchArgs, interrupt: &Interrupt) -> Result<CommandOutcome, CliError> {
    match &args.verb {
        Verb::Start(args) => Box::pin(start::run(shared, args, interrupt)).await,
        Verb::Status(args) => status::run(shared, args, interrupt).await,
        Verb::Report(args) => report::run(shared, args, interrupt).await,
    }
}
