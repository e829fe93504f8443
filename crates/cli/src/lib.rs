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
mod fleet;
pub mod interrupt;
#[cfg_attr(not(feature = "inventory"), path = "no_inventories.rs")]
pub mod inventories;
mod invocation;
pub mod location;
mod logging;
pub mod manifest_location;
mod migration_file;
pub mod nested;
pub mod output;
pub mod policy;
pub mod progress;
mod question;
mod report_files;
pub mod rows;
pub mod sampling;
pub mod sides;
pub mod source_stack;
pub mod text;
pub mod version;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};

use crate::cli::{Cli, Command};
use crate::exit::{CliError, CommandOutcome};
use crate::fleet::{Fleet, FleetMember};
use crate::interrupt::Interrupt;
use crate::invocation::{Invocation, InvocationError, MigrationRun};
use crate::nested::NestedEnd;
use crate::output::Format;
use crate::progress::print_message;

/// Runs the CLI and returns its exit code.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let invocation = match Invocation::parse(args) {
        Ok(invocation) => invocation,
        Err(InvocationError::Arguments(error)) => {
            // Help and versions are errors of clap too.
            let _unwritten = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
        Err(InvocationError::File(error)) => return report(&error),
    };
    if let Some(run) = invocation.runs.first() {
        logging::start(run.cli.shared.log_level);
        progress::write_as(run.cli.shared.output);
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return report(&CliError::file("start the runtime")(error)),
    };
    let ended = runtime.block_on(run_all(invocation));
    runtime.shutdown_background();
    match ended {
        Ok(code) => ExitCode::from(code),
        Err(error) => report(&error),
    }
}

/// Runs the command, for each migration if it runs for all; returns the exit code.
async fn run_all(invocation: Invocation) -> Result<u8, CliError> {
    let copies = invocation.runs.iter().any(|run| run.cli.command.copies());
    let interrupt = Interrupt::listen(copies).map_err(CliError::file("listen to signals"))?;
    let columns = invocation.fleet_command.as_deref().and_then(fleet::columns::columns);
    let total = invocation.runs.len();
    let mut fleet = None;
    let mut code = 0;
    for mut run in invocation.runs {
        let (Some(columns), Some(migration)) = (columns, &run.migration) else {
            code = dispatch(&run, &interrupt).await?.code();
            continue;
        };
        let member = FleetMember {
            name: migration.name().unwrap_or(&migration.source.to_string()).to_owned(),
            source: migration.source.to_string(),
            destination: migration.destination.to_string(),
        };
        let format = std::mem::replace(&mut run.cli.shared.output, Format::Json);
        let begun = fleet.get_or_insert_with(|| Fleet::begin(format, columns, total));
        if let Err(error) = begun.run(member, Box::pin(dispatch(&run, &interrupt))).await {
            // The table of the migrations that ran to their end.
            fleet.map_or(Ok(0), Fleet::end)?;
            return Err(error);
        }
    }
    match fleet {
        Some(fleet) => fleet.end(),
        None => Ok(code),
    }
}

async fn dispatch(run: &MigrationRun, interrupt: &Interrupt) -> Result<CommandOutcome, CliError> {
    let shared = &run.cli.shared;
    let nested = |words: Vec<String>| -> NestedEnd<'_> { Box::pin(run_nested(words, interrupt)) };
    match &run.cli.command {
        Command::Init(args) => commands::init::run(shared, args).await,
        Command::DeployParameters(args) => commands::deploy_parameters::run(shared, args, run.migration.as_ref()).await,
        Command::Sync(args) => Box::pin(commands::sync::run(shared, args, interrupt)).await,
        Command::Manifest(args) => commands::manifest::run(shared, args, interrupt).await,
        Command::Diff(args) => commands::diff::run(shared, args, interrupt).await,
        Command::Batch(args) => commands::batch::run(shared, args, interrupt).await,
        Command::Verify(args) => Box::pin(commands::verify::run(shared, args, interrupt)).await,
        Command::Status(args) => Box::pin(commands::status::run(shared, args, interrupt)).await,
        Command::Dlq(args) => Box::pin(commands::dlq::run(shared, args, interrupt)).await,
        Command::Preflight(args) => Box::pin(commands::preflight::run(shared, args, interrupt)).await,
        Command::Cutover(args) => Box::pin(commands::cutover::run(shared, args, interrupt, &nested)).await,
        Command::Rollback(args) => Box::pin(commands::cutover::roll_back(shared, args, interrupt, &nested)).await,
        Command::Finish(args) => Box::pin(commands::cutover::finish(shared, args, interrupt, &nested)).await,
        Command::Certificate(args) => Box::pin(commands::cutover::certificate(shared, args, &nested)).await,
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
