//! Questions to the operator on the terminal.

use std::io;

use crate::exit::CliError;
use crate::interrupt::Interrupt;
use crate::progress::print_message;

/// Prints a question on standard error, and returns the line that is typed, without white space around it.
pub(crate) async fn answer_to(question: &str, interrupt: &Interrupt) -> Result<String, CliError> {
    print_message(question);
    let typed = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        io::stdin().read_line(&mut line).map(|_| line)
    });
    let typed = tokio::select! {
        () = interrupt.wait() => return Err(CliError::Interrupted),
        typed = typed => typed.map_err(|error| CliError::Bug(error.to_string()))?,
    };
    let typed = typed.map_err(CliError::unreadable("read the answer"))?;
    Ok(typed.trim().to_owned())
}
