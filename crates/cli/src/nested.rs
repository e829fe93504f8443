//! Commands that a command runs as its steps.

use std::future::Future;
use std::pin::Pin;

use crate::exit::{CliError, CommandOutcome};

/// The end of a command that another command runs.
pub type NestedEnd<'a> = Pin<Box<dyn Future<Output = Result<CommandOutcome, CliError>> + Send + 'a>>;

/// Runs a command by its words, without the name of the program.
pub type NestedCommands<'a> = &'a (dyn Fn(Vec<String>) -> NestedEnd<'a> + Send + Sync);
