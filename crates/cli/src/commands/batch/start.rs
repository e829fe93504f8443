//! `s3ferry batch start`.

mod args;
mod execution;
mod job;
mod manifest;

pub(super) use self::args::StartArgs;
use super::s3_control::has_s3_control;
use super::service::BatchService;
use crate::args::SharedArgs;
use crate::exit::{CliError, CommandOutcome};
use crate::progress::print_message;

/// Starts a job.
pub(super) async fn run(shared: &SharedArgs, args: &StartArgs) -> Result<CommandOutcome, CliError> {
    let service = args.service(has_s3_control(shared))?;
    if args.service.is_none() {
        print_message(&format!("service: {} (change it with --service)", service.as_str()));
    }
    match service {
        BatchService::S3BatchOperations => {
            let operation = args.operation()?;
            let settings = args.job.clone().unwrap_or_default();
            Box::pin(job::start(shared, &args.common, &settings, &operation)).await
        }
        BatchService::StepFunctions => {
            let machine = args.execution.as_ref().map(|execution| &execution.state_machine_arn);
            Box::pin(execution::start(shared, &args.common, machine)).await
        }
    }
}
