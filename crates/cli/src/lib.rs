#![doc = include_str!("../README.md")]

pub mod args;
pub mod bucket_side;
pub mod cli;
pub mod clock;
pub mod commands;
pub mod compare;
pub mod concurrency;
pub mod denials;
pub mod difference_rows;
mod environment;
pub mod exit;
pub mod failures;
pub mod files;
pub mod interrupt;
#[cfg_attr(not(feature = "inventory"), path = "no_inventories.rs")]
pub mod inventories;
pub mod location;
mod logging;
pub mod manifest_location;
pub mod nested;
pub mod output;
pub mod policy;
pub mod progress;
mod report_files;
pub mod rows;
pub mod sides;
pub mod text;
pub mod version;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};

use crate::cli::{Cli, Command};
use crate::exit::{CliError, CommandOutcome};
use crate::interrupt::Interrupt;
use crate::nested::NestedEnd;
use crate::progress::print_message;

/// Runs the CLI and returns its exit code.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and versions are errors of clap too.
            let _unwritten = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    logging::start(cli.shared.log_level);
    progress::write_as(cli.shared.output);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return report(&CliError::file("start the runtime")(error)),
    };
    let ended = runtime.block_on(dispatch(cli));
    runtime.shutdown_background();
    match ended {
        Ok(end) => end.into(),
        Err(error) => report(&error),
    }
}

async fn dispatch(cli: Cli) -> Result<CommandOutcome, CliError> {
    let interrupt = Interrupt::listen(cli.command.copies()).map_err(CliError::file("listen to signals"))?;
    let shared = &cli.shared;
    let nested = |words: Vec<String>| -> NestedEnd<'_> { Box::pin(run_nested(words, &interrupt)) };
    match &cli.command {
        Command::Cutover(args) => Box::pin(commands::cutover::run(shared, args, &interrupt, &nested)).await,
        Command::Rollback(args) => Box::pin(commands::cutover::roll_back(shared, args, &interrupt, &nested)).await,
        Command::Finish(args) => Box::pin(commands::cutover::finish(shared, args, &interrupt, &nested)).await,
        Command::Certificate(args) => Box::pin(commands::cutover::certificate(shared, args, &nested)).await,
        Command::Sync(args) => Box::pin(commands::sync::run(shared, args, &interrupt)).await,
        Command::Manifest(args) => commands::manifest::run(shared, args, &interrupt).await,
        Command::Diff(args) => commands::diff::run(shared, args, &interrupt).await,
        Command::Batch(args) => commands::batch::run(shared, args, &interrupt).await,
        Command::Verify(args) => Box::pin(commands::verify::run(shared, args, &interrupt)).await,
        Command::Completions(args) => commands::completions::run(args, Cli::command()),
        Command::Man(args) => commands::man::run(args, Cli::command()),
    }
}

/// Runs a command of another command by its words.
async fn run_nested(words: Vec<String>, interrupt: &Interrupt) -> Result<CommandOutcome, CliError> {
    let name = words.join(" ");
    let parsed = Cli::try_parse_from(std::iter::once("s3ferry".to_owned()).chain(words));
    let cli = parsed.map_err(|error| CliError::Bug(format!("unusable arguments of `{name}`: {error}")))?;
    match &cli.command {
        Command::Sync(args) => Box::pin(commands::sync::run(&cli.shared, args, interrupt)).await,
        Command::Verify(args) => Box::pin(commands::verify::run(&cli.shared, args, interrupt)).await,
        _ => Err(CliError::Bug(format!("`{name}` is not run by another command"))),
    }
}

fn report(error: &CliError) -> ExitCode {
    if !matches!(error, CliError::OutputClosed) {
        print_message(&format!("s3ferry: {}", error.shown()));
    }
    ExitCode::from(error.code())
}
