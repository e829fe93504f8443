//! `s3ferry man`: the manual page.

use clap::Args;

use crate::exit::{CliError, CommandOutcome};
use crate::output::Output;

/// The arguments of `man`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  s3ferry man | man -l -
  s3ferry man sync > s3ferry-sync.1")]
pub struct ManArgs {
    /// Command to print the page of [default: s3ferry itself]
    #[arg(value_name = "COMMAND")]
    command: Option<String>,
}

/// Prints the page.
pub fn run(args: &ManArgs, mut whole: clap::Command) -> Result<CommandOutcome, CliError> {
    whole.build();
    let command = match &args.command {
        None => whole,
        Some(name) => find(&whole, name)?,
    };
    let mut page = Vec::new();
    clap_mangen::Man::new(command)
        .render(&mut page)
        .map_err(CliError::file("make the manual page"))?;
    let mut output = Output::stdout();
    output.bytes(&page)?;
    output.flush()?;
    Ok(CommandOutcome::Done)
}

fn find(whole: &clap::Command, name: &str) -> Result<clap::Command, CliError> {
    let found = whole.find_subcommand(name).cloned();
    found.ok_or_else(|| {
        let names: Vec<&str> = whole.get_subcommands().map(clap::Command::get_name).collect();
        CliError::usage(
            format!("unknown command `{name}`"),
            format!("name one of: {}", names.join(", ")),
        )
    })
}
