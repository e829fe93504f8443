//! Starts an execution of the final sync's state machine.

use s3ferry_aws::batch::runs::{ExecutionStart, Executions};
use s3ferry_aws::limits::RequestLimits;
use s3ferry_core::names::AccountId;
use serde_json::json;

use super::super::service::{BatchService, print_job};
use super::super::stack::StackOutputs;
use super::args::CommonArgs;
use super::manifest::{manifest_object, token_fields};
use crate::args::SharedArgs;
use crate::bucket_side::load_clients;
use crate::exit::{CliError, CommandOutcome};
use crate::progress::print_message;

/// Starts an execution, or finds the one that the same command started.
pub(super) async fn start(
    shared: &SharedArgs,
    common: &CommonArgs,
    state_machine: Option<&String>,
) -> Result<CommandOutcome, CliError> {
    let arguments = common.user_arguments()?;
    let region = common.source_region.as_ref();
    let (clients, region) = load_clients(shared, region, "--source-region", RequestLimits::default()).await?;
    let outputs = StackOutputs::read(&clients, &region, common.stack.as_ref()).await?;
    let machine = outputs.or(state_machine, "--state-machine-arn", "FinalSyncStateMachineArn")?;
    let account = machine.split(':').nth(4);
    let account = account.and_then(|account| AccountId::new(account).ok());
    let manifest = manifest_object(&clients, &region, &common.manifest, &outputs, account.as_ref()).await?;
    if common.stack.is_some() {
        let state = outputs.state_bucket(None, "--stack")?;
        if state != manifest.bucket {
            return Err(CliError::setup(
                format!(
                    "the manifest is in bucket {}, but the state machine reads from {state}",
                    manifest.bucket
                ),
                format!("write the manifest with `s3ferry manifest --to s3://{state}/final-sync/run-1.csv`"),
            ));
        }
    }
    let token = token_fields(common, BatchService::StepFunctions, "final-sync", &manifest, &arguments)
        .with("machine", &machine)
        .token();
    let input = json!({ "manifestKey": manifest.key.as_str(), "userArguments": arguments });
    let name = format!("batch-{}", token.short());
    let executions = Executions::new(&clients, &region);
    let arn = match executions.start(&machine, &name, &input).await? {
        ExecutionStart::Running(arn) => arn,
        ExecutionStart::Ended(arn) => {
            print_message(
                "the same command ran this execution before, and it has ended: pass --run NAME to run the manifest again",
            );
            arn
        }
    };
    print_job(shared, BatchService::StepFunctions, &name, &arn)
}
