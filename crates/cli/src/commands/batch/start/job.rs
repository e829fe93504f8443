//! Creates a job of S3 Batch Operations.

use std::collections::BTreeMap;

use s3ferry_aws::batch::jobs::{JobOrder, TaskOperation};
use s3ferry_aws::limits::RequestLimits;
use s3ferry_core::batch_report::TokenFields;
use s3ferry_core::names::{AccountId, Region};

use super::super::s3_control::jobs_of;
use super::super::service::{BatchService, print_job};
use super::super::stack::StackOutputs;
use super::args::{CommonArgs, JobOperation, S3BatchOperationsArgs};
use super::manifest::{location_text, manifest_object, token_fields};
use crate::args::SharedArgs;
use crate::bucket_side::load_clients;
use crate::exit::{CliError, CommandOutcome};
use crate::progress::print_message;

/// Largest number of characters in a job's description.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_control_CreateJob.html>
const DESCRIPTION_LIMIT: usize = 256;

/// Creates a job, or finds the one that the same command created.
pub(super) async fn start(
    shared: &SharedArgs,
    common: &CommonArgs,
    settings: &S3BatchOperationsArgs,
    operation: &JobOperation,
) -> Result<CommandOutcome, CliError> {
    let region = common.source_region.as_ref();
    let (clients, source_region) = load_clients(shared, region, "--source-region", RequestLimits::default()).await?;
    let outputs = StackOutputs::read(&clients, &source_region, common.stack.as_ref()).await?;
    let (tasks, region) = task_operation(settings, operation, &outputs, &source_region)?;
    let role_arn = role(settings, operation, &outputs)?;
    let account = account_of(settings, &role_arn)?;
    let report = outputs.report_prefix(settings.report_prefix.as_ref())?;
    let report_prefix = report.prefix.trim_end_matches('/').to_owned();
    let manifest = manifest_object(&clients, &source_region, &common.manifest, &outputs, Some(&account)).await?;
    let no_arguments = BTreeMap::new();
    let arguments = match operation {
        JobOperation::FinalSync(arguments) => arguments,
        JobOperation::Copy { .. } | JobOperation::ComputeChecksum { .. } => &no_arguments,
    };
    let service = BatchService::S3BatchOperations;
    let token = token_fields(common, service, operation.as_str(), &manifest, arguments);
    let token = with_operation(token, &tasks)
        .with("report_bucket", report.bucket.as_str())
        .with("report_prefix", &report_prefix)
        .with("role_arn", &role_arn)
        .with("priority", settings.priority.to_string())
        .with("confirmation_required", settings.confirmation_required.to_string())
        .token();
    let manifest_name = location_text(&manifest.bucket, &manifest.key);
    let description = format!("s3ferry {} {manifest_name} {}", operation.as_str(), common.run);
    let jobs = jobs_of(&clients, account, region)?;
    let id = jobs
        .create(&JobOrder {
            operation: tasks,
            manifest,
            report_bucket: report.bucket,
            report_prefix,
            role_arn,
            priority: settings.priority,
            confirmation_required: settings.confirmation_required,
            description: description.trim().chars().take(DESCRIPTION_LIMIT).collect(),
            token,
        })
        .await?;
    let arn = jobs.arn(&id);
    if settings.confirmation_required {
        print_message(&format!("the job waits for: s3ferry batch status {arn} --confirm"));
    }
    print_job(shared, service, &id, &arn)
}

/// Adds the fields of an operation to a job's identity.
fn with_operation(fields: TokenFields, operation: &TaskOperation) -> TokenFields {
    match operation {
        TaskOperation::Invoke { function_arn, .. } => fields.with("function_arn", function_arn),
        TaskOperation::Copy {
            destination,
            storage_class,
        } => fields
            .with("destination", destination.as_str())
            .with("storage_class", storage_class.clone().unwrap_or_default()),
        TaskOperation::ComputeChecksum { algorithm } => fields.with("algorithm", algorithm),
    }
}

fn role(
    settings: &S3BatchOperationsArgs,
    operation: &JobOperation,
    outputs: &StackOutputs,
) -> Result<String, CliError> {
    match (&settings.role_arn, operation) {
        (None, JobOperation::Copy { .. } | JobOperation::ComputeChecksum { .. }) => Err(CliError::usage(
            format!(
                "--operation {} requires --role-arn: the stack's role may only invoke the function",
                operation.as_str()
            ),
            "create the role that docs/CONFIGURATION.md describes, and pass --role-arn",
        )),
        (given, _) => outputs.or(given.as_ref(), "--role-arn", "FinalSyncBatchRoleArn"),
    }
}

/// Returns the operation as S3 takes it, and the region of the job: copies need the destination's.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/batch-ops-copy-object.html>
fn task_operation(
    settings: &S3BatchOperationsArgs,
    operation: &JobOperation,
    outputs: &StackOutputs,
    source_region: &Region,
) -> Result<(TaskOperation, Region), CliError> {
    match operation {
        JobOperation::FinalSync(user_arguments) => {
            let function_arn = outputs.or(settings.function_arn.as_ref(), "--function-arn", "FinalSyncFunctionArn")?;
            let region = region_of_function(&function_arn)?;
            let operation = TaskOperation::Invoke {
                function_arn,
                user_arguments: user_arguments.clone(),
            };
            Ok((operation, region))
        }
        JobOperation::Copy {
            destination,
            region,
            storage_class,
        } => {
            let operation = TaskOperation::Copy {
                destination: destination.bucket.clone(),
                storage_class: storage_class.clone(),
            };
            Ok((operation, region.clone()))
        }
        JobOperation::ComputeChecksum { algorithm } => {
            let operation = TaskOperation::ComputeChecksum {
                algorithm: algorithm.clone(),
            };
            Ok((operation, source_region.clone()))
        }
    }
}

fn region_of_function(function_arn: &str) -> Result<Region, CliError> {
    match function_arn.split(':').collect::<Vec<_>>().as_slice() {
        ["arn", _, "lambda", region, _, "function", ..] => {
            Region::new(*region).map_err(|error| CliError::usage(error.to_string(), "correct --function-arn"))
        }
        _ => Err(CliError::usage(
            format!("`{function_arn}` is not the ARN of a function"),
            "pass --function-arn arn:aws:lambda:us-east-1:123456789012:function:s3ferry-final-sync",
        )),
    }
}

fn account_of(settings: &S3BatchOperationsArgs, role_arn: &str) -> Result<AccountId, CliError> {
    if let Some(account) = &settings.account {
        return Ok(account.clone());
    }
    let account = role_arn.split(':').nth(4).unwrap_or_default();
    AccountId::new(account).map_err(|_| {
        CliError::usage(
            format!("`{role_arn}` is not the ARN of a role"),
            "pass --role-arn arn:aws:iam::123456789012:role/name",
        )
    })
}
