//! `s3ferry batch`: starts, follows and reports jobs that AWS runs over a manifest.

mod job;
mod report;
mod s3_control;
mod service;
mod stack;
mod start;
mod status;

use clap::{Args, Subcommand};

use self::report::ReportArgs;
use self::start::StartArgs;
use self::status::StatusArgs;
use crate::args::SharedArgs;
use crate::exit::{CliError, CommandOutcome};
use crate::interrupt::Interrupt;

/// The arguments of `batch`.
#[derive(Debug, Args)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub struct BatchArgs {
    #[command(subcommand)]
    command: BatchCommand,
}

/// The subcommands of `batch`.
#[derive(Debug, Subcommand)]
enum BatchCommand {
    /// Start a job over a manifest
    Start(Box<StartArgs>),
    /// Show how far a job is, or follow it to its end
    Status(StatusArgs),
    /// Summarize the results of a job, and write a manifest of the failed keys
    Report(ReportArgs),
}

/// Starts, follows or reports a job.
pub async fn run(shared: &SharedArgs, args: &BatchArgs, interrupt: &Interrupt) -> Result<CommandOutcome, CliError> {
    match &args.command {
        BatchCommand::Start(args) => start::run(shared, args).await,
        BatchCommand::Status(args) => status::run(shared, args, interrupt).await,
        BatchCommand::Report(args) => report::run(shared, args, interrupt).await,
    }
}
