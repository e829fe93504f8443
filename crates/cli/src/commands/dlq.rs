//! `s3ferry dlq`: lists, redrives and drops dead letters.

mod list;
mod queues;
mod selection;
mod work;

use clap::{Args, Subcommand};

use self::list::ListArgs;
use self::work::{DropArgs, RedriveArgs};
use crate::args::SharedArgs;
use crate::exit::{CliError, CommandOutcome};
use crate::interrupt::Interrupt;

/// The arguments of `dlq`.
#[derive(Debug, Args)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub struct DlqArgs {
    #[command(subcommand)]
    command: DlqCommand,
}

/// The subcommands of `dlq`.
#[derive(Debug, Subcommand)]
enum DlqCommand {
    /// List dead letters with their keys and reasons
    List(ListArgs),
    /// Send dead letters back to the queue
    Redrive(RedriveArgs),
    /// Delete dead letters
    Drop(DropArgs),
}

/// Lists, redrives or drops dead letters.
pub async fn run(shared: &SharedArgs, args: &DlqArgs, interrupt: &Interrupt) -> Result<CommandOutcome, CliError> {
    match &args.command {
        DlqCommand::List(args) => list::run(shared, args, interrupt).await,
        DlqCommand::Redrive(args) => work::redrive(shared, args, interrupt).await,
        DlqCommand::Drop(args) => work::drop_letters(shared, args, interrupt).await,
    }
}
