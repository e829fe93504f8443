//! `s3ferry completions`: what a shell completes.

use clap::Args;
use clap_complete::Shell;

use crate::exit::{CliError, CommandOutcome};
use crate::output::Output;

/// The arguments of `completions`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  s3ferry completions bash > ~/.local/share/bash-completion/completions/s3ferry
  s3ferry completions zsh > \"${fpath[1]}/_s3ferry\"
  s3ferry completions fish > ~/.config/fish/completions/s3ferry.fish")]
pub struct CompletionsArgs {
    /// Shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Prints the script.
pub fn run(args: &CompletionsArgs, mut whole: clap::Command) -> Result<CommandOutcome, CliError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut whole, "s3ferry", &mut script);
    let mut output = Output::stdout();
    output.bytes(&script)?;
    output.flush()?;
    Ok(CommandOutcome::Done)
}
