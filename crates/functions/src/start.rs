//! How every function starts and ends.

use std::process::ExitCode;

use crate::config::Config;
use crate::logging;

/// Reads the configuration of a copying function and starts its log; `None` once the log says what is wrong with it.
#[must_use]
pub fn configured() -> Option<Config> {
    match Config::from_lookup(&|name| std::env::var(name).ok()) {
        Ok(config) => {
            logging::start(config.log_level);
            Some(config)
        }
        Err(problems) => {
            logging::start(tracing::Level::INFO);
            tracing::error!(%problems, "refusing to start");
            None
        }
    }
}

/// Turns the end of the Lambda runtime into the process's end.
#[must_use]
pub fn ended(outcome: Result<(), lambda_runtime::Error>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "the Lambda runtime ended");
            ExitCode::FAILURE
        }
    }
}
