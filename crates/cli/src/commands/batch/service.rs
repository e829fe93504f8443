//! The services that run jobs.

use clap::ValueEnum;
use serde_json::json;

use crate::args::SharedArgs;
use crate::exit::{CliError, CommandOutcome};
use crate::output::{Format, Output};

/// The service that runs a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum BatchService {
    /// S3 Batch Operations: up to billions of objects
    S3BatchOperations,
    /// The state machine of the final sync: up to some millions of objects
    StepFunctions,
}

impl BatchService {
    /// Returns the value of `--service`.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::S3BatchOperations => "s3-batch-operations",
            Self::StepFunctions => "step-functions",
        }
    }
}

/// Prints a job: alone in a line, for `JOB=$(s3ferry batch start ...)`, or as JSON.
pub(super) fn print_job(
    shared: &SharedArgs,
    service: BatchService,
    id: &str,
    job: &str,
) -> Result<CommandOutcome, CliError> {
    let mut output = Output::stdout();
    match shared.output {
        Format::Human => output.line(job)?,
        Format::Json => {
            output.json(&json!({ "type": "job", "service": service.as_str(), "id": id, "job": job }))?;
        }
    }
    output.flush()?;
    Ok(CommandOutcome::Done)
}
