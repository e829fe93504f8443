//! Start and end of every function's process.

use std::process::ExitCode;

use crate::config::Config;
use crate::logging;
use crate::version::{BUILD, VERSION};

/// Reads the configuration of `replicator` or `final-sync` from the environment and starts the log.
///
/// Logs every problem and returns `None` if the configuration is not valid.
#[must_use]
pub fn configured() -> Option<Config> {
    match Config::from_lookup(&|name| std::env::var(name).ok()) {
        Ok(config) => {
            logging::start(config.log_level);
            log_version();
            Some(config)
        }
        Err(problems) => {
            logging::start(tracing::Level::INFO);
            tracing::error!(%problems, "configuration not valid; function not started");
            None
        }
    }
}

/// Logs which version starts.
pub fn log_version() {
    tracing::info!(version = VERSION, build = BUILD, "function starts");
}

/// Converts the result of the Lambda runtime to the exit code of the process.
#[must_use]
pub fn ended(outcome: Result<(), lambda_runtime::Error>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "Lambda runtime failed");
            ExitCode::FAILURE
        }
    }
}
