//! Jobs that AWS runs: made, and named.

use std::collections::BTreeMap;

use s3ferry_aws::batch::jobs::{JobOrder, ManifestObject, TaskOperation};
use s3ferry_aws::batch::runs::{ExecutionStart, Executions};
use s3ferry_aws::batch::stacks;
use s3ferry_aws::client::{Clients, RequestLimits};
use s3ferry_core::batch_report::TokenFields;
use s3ferry_core::manifest::ManifestReader;
use s3ferry_core::names::{AccountId, BucketName, ObjectKey, Region};
use serde_json::json;

use super::BatchService;
use super::place::Root;
use super::s3_control::jobs_of;
use super::start::{OperationArg, StartArgs};
use crate::args::SharedArgs;
use crate::exit::{CliError, CommandOutcome};
use crate::files::{FileLocation, file_store};
use crate::location::Location;
use crate::output::{Format, Output};
use crate::progress::say;
use crate::sides::load_clients;

/// How much of a manifest is looked at before a job is made of it.
const LOOKED_AT: u64 = 64 * 1024;

/// S3's own bound on the description of a job.
const LONGEST_DESCRIPTION: usize = 256;

/// The outputs of a stack, where one is named.
pub(super) struct StackOutputs {
    stack: Option<String>,
    outputs: BTreeMap<String, String>,
}

impl StackOutputs {
    pub(super) async fn read(clients: &Clients, region: &Region, stack: Option<&String>) -> Result<Self, CliError> {
        let outputs = match stack {
            Some(stack) => stacks::outputs(clients, region, stack).await?,
            None => BTreeMap::new(),
        };
        Ok(Self {
            stack: stack.cloned(),
            outputs,
        })
    }

    /// Takes what is given with a flag, or else the stack's output.
    fn or(&self, given: Option<&String>, flag: &str, output: &str) -> Result<String, CliError> {
        if let Some(given) = given.or_else(|| self.outputs.get(output)) {
            return Ok(given.clone());
        }
        Err(match &self.stack {
            Some(stack) => CliError::setup(
                format!("stack {stack} has no output {output}"),
                format!("name the stack of infra/source.yaml with --stack, or give {flag}"),
            ),
            None => CliError::usage(
                format!("{flag} is not given, and no --stack names it"),
                format!("give {flag}, or --stack NAME"),
            ),
        })
    }

    /// Returns the state bucket.
    pub(super) fn state_bucket(&self, given: Option<&BucketName>, flag: &str) -> Result<BucketName, CliError> {
        let given = given.map(ToString::to_string);
        let name = self.or(given.as_ref(), flag, "StateBucketName")?;
        BucketName::new(name).map_err(|error| CliError::setup(error.to_string(), format!("give {flag}")))
    }

    /// Returns the account that must own a bucket if it is the stack's state bucket, which is in the stack's own account.
    fn owner_of<'a>(&self, bucket: &BucketName, account: &'a AccountId) -> Option<&'a AccountId> {
        let state = self.outputs.get("StateBucketName");
        state.is_some_and(|state| state == bucket.as_str()).then_some(account)
    }

    fn report_prefix(&self, given: Option<&Root>) -> Result<Location, CliError> {
        let text = match given {
            Some(Root::Bucket(location)) => return Ok(location.clone()),
            Some(Root::Folder(path)) => {
                return Err(CliError::usage(
                    format!(
                        "--report-prefix is the folder {}, and S3 writes reports into buckets",
                        path.display()
                    ),
                    "give --report-prefix s3://state-bucket/final-sync/reports",
                ));
            }
            None => format!(
                "s3://{}/{}/",
                self.or(None, "--report-prefix", "StateBucketName")?,
                self.or(None, "--report-prefix", "FinalSyncReportPrefix")?
            ),
        };
        text.parse()
            .map_err(|error| CliError::setup(format!("{text}: {error}"), "give --report-prefix"))
    }
}

/// Looks at a manifest: that it is there, and begins as it must.
async fn manifest_object(
    clients: &Clients,
    region: &Region,
    manifest: &FileLocation,
    outputs: &StackOutputs,
    account: Option<&AccountId>,
) -> Result<ManifestObject, CliError> {
    let FileLocation::Object(location) = manifest else {
        return Err(CliError::Bug("a file is no manifest in a bucket".to_owned()));
    };
    let key = ObjectKey::from_raw(location.prefix.clone());
    let key = key.map_err(|error| CliError::usage(error.to_string(), "name another --manifest"))?;
    let owner = account.and_then(|account| outputs.owner_of(&location.bucket, account));
    let files = file_store(&clients.expecting(owner), &location.bucket, region).await?;
    let stored = files.head(&key).await?;
    let beginning = files.beginning(&key, LOOKED_AT).await?;
    let is_whole = u64::try_from(beginning.len()).is_ok_and(|read| read >= stored.size_bytes);
    let mut reader = ManifestReader::new(location_text(&location.bucket, &key), None);
    let mut has_versions = None;
    for line in beginning.split_inclusive(|byte| *byte == b'\n') {
        // A line that is cut off says nothing.
        if !line.ends_with(b"\n") && !is_whole {
            break;
        }
        let row = reader
            .line(line)
            .map_err(|error| unusable_manifest(&error.to_string()))?;
        if let Some(row) = row {
            has_versions.get_or_insert(row.version.is_some());
        }
    }
    let has_versions = has_versions
        .ok_or_else(|| unusable_manifest(&format!("{} has no rows", location_text(&location.bucket, &key))))?;
    Ok(ManifestObject {
        bucket: location.bucket.clone(),
        key,
        etag: stored.etag,
        version: stored.version,
        has_versions,
    })
}

fn location_text(bucket: &BucketName, key: &ObjectKey) -> String {
    format!("s3://{bucket}/{key}")
}

pub(super) fn unusable_manifest(problem: &str) -> CliError {
    CliError::setup(problem, "correct the manifest, or write one with `s3ferry manifest`")
}

/// What makes a job the same job.
fn token_fields(
    args: &StartArgs,
    engine: BatchService,
    manifest: &ManifestObject,
    arguments: &BTreeMap<String, String>,
) -> TokenFields {
    let version = manifest.version.as_ref().map(ToString::to_string);
    let fields = TokenFields::default()
        .with("engine", engine.as_str())
        .with("operation", args.operation.as_str())
        .with("manifest", location_text(&manifest.bucket, &manifest.key))
        .with("etag", manifest.etag.as_str())
        .with("version", version.unwrap_or_default())
        .with("run", &args.run);
    arguments.iter().fold(fields, |fields, (name, value)| {
        fields.with("argument", name).with("value", value)
    })
}

/// Makes a job of S3 Batch Operations.
pub(super) async fn start_job(shared: &SharedArgs, args: &StartArgs) -> Result<CommandOutcome, CliError> {
    let arguments = args.user_arguments()?;
    let (clients, source_region) = load_clients(
        shared,
        args.buckets.source_region.as_ref(),
        "--source-region",
        RequestLimits::default(),
    )
    .await?;
    let outputs = StackOutputs::read(&clients, &source_region, args.stack.as_ref()).await?;
    let (operation, region) = operation(args, &outputs, arguments.clone(), &source_region)?;
    let role_arn = match (&args.cloud.role_arn, args.operation) {
        (None, OperationArg::Copy | OperationArg::ComputeChecksum) => {
            return Err(CliError::usage(
                format!(
                    "--operation {} needs a role of its own with --role-arn: the stack's may only invoke the function",
                    args.operation.as_str()
                ),
                "create the role that docs/CONFIGURATION.md describes and pass --role-arn",
            ));
        }
        (given, _) => outputs.or(given.as_ref(), "--role-arn", "FinalSyncBatchRoleArn")?,
    };
    let account = account_of(args, &role_arn)?;
    let report = outputs.report_prefix(args.report_prefix.as_ref())?;
    let manifest = manifest_object(&clients, &source_region, &args.manifest, &outputs, Some(&account)).await?;
    let what = format!("{operation:?} {report} {role_arn} {}", args.cloud.priority);
    let token = token_fields(args, BatchService::S3BatchOperations, &manifest, &arguments)
        .with("job", what)
        .with("confirmation", args.cloud.confirmation_required.to_string())
        .token();
    let description = format!(
        "s3ferry {} {} {}",
        args.operation.as_str(),
        location_text(&manifest.bucket, &manifest.key),
        args.run
    );
    let jobs = jobs_of(&clients, account, region)?;
    let id = jobs
        .create(&JobOrder {
            operation,
            manifest,
            report_bucket: report.bucket,
            report_prefix: report.prefix.trim_end_matches('/').to_owned(),
            role_arn,
            priority: args.cloud.priority,
            confirmation_required: args.cloud.confirmation_required,
            description: description.trim().chars().take(LONGEST_DESCRIPTION).collect(),
            token,
        })
        .await?;
    let arn = jobs.arn(&id);
    if args.cloud.confirmation_required {
        say(&format!(
            "the job waits: s3ferry batch status {arn} --confirm lets it run"
        ));
    }
    name_job(shared, BatchService::S3BatchOperations, &id, &arn)
}

/// Says what a job does, and in which region it is made: S3 wants copies in the destination's.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/batch-ops-copy-object.html>
fn operation(
    args: &StartArgs,
    outputs: &StackOutputs,
    user_arguments: BTreeMap<String, String>,
    source_region: &Region,
) -> Result<(TaskOperation, Region), CliError> {
    match args.operation {
        OperationArg::FinalSync => {
            let function_arn = outputs.or(
                args.cloud.function_arn.as_ref(),
                "--function-arn",
                "FinalSyncFunctionArn",
            )?;
            let region = match function_arn.split(':').collect::<Vec<_>>().as_slice() {
                ["arn", _, "lambda", region, _, "function", ..] => Region::new(*region)
                    .map_err(|error| CliError::usage(error.to_string(), "correct --function-arn"))?,
                _ => {
                    return Err(CliError::usage(
                        format!("`{function_arn}` is not the ARN of a function"),
                        "give --function-arn arn:aws:lambda:us-east-1:123456789012:function:s3ferry-final-sync",
                    ));
                }
            };
            let operation = TaskOperation::Invoke {
                function_arn,
                user_arguments,
            };
            Ok((operation, region))
        }
        OperationArg::Copy => {
            let next = "give --destination s3://bucket and --destination-region";
            let buckets = &args.buckets;
            let (Some(destination), Some(region)) = (&buckets.destination, &buckets.destination_region) else {
                return Err(CliError::usage(
                    "--operation copy needs the bucket that is copied to",
                    next,
                ));
            };
            if !destination.prefix.is_empty() {
                return Err(CliError::usage(
                    format!("{destination} has a prefix, and keys are never renamed: the manifest says what is copied"),
                    format!("give --destination s3://{}", destination.bucket),
                ));
            }
            let operation = TaskOperation::Copy {
                destination: destination.bucket.clone(),
                storage_class: args.copied_class(),
            };
            Ok((operation, region.clone()))
        }
        OperationArg::ComputeChecksum => {
            let operation = TaskOperation::ComputeChecksum {
                algorithm: args.cloud.checksum_algorithm.clone(),
            };
            Ok((operation, source_region.clone()))
        }
    }
}

fn account_of(args: &StartArgs, role_arn: &str) -> Result<AccountId, CliError> {
    if let Some(account) = &args.cloud.account {
        return Ok(account.clone());
    }
    let account = role_arn.split(':').nth(4).unwrap_or_default();
    AccountId::new(account).map_err(|_| {
        CliError::usage(
            format!("`{role_arn}` is not the ARN of a role"),
            "give --role-arn arn:aws:iam::123456789012:role/name",
        )
    })
}

/// Starts a run of the state machine.
pub(super) async fn start_run(shared: &SharedArgs, args: &StartArgs) -> Result<CommandOutcome, CliError> {
    let arguments = args.user_arguments()?;
    let (clients, region) = load_clients(
        shared,
        args.buckets.source_region.as_ref(),
        "--source-region",
        RequestLimits::default(),
    )
    .await?;
    let outputs = StackOutputs::read(&clients, &region, args.stack.as_ref()).await?;
    let machine = outputs.or(
        args.cloud.state_machine_arn.as_ref(),
        "--state-machine-arn",
        "FinalSyncStateMachineArn",
    )?;
    let account = machine
        .split(':')
        .nth(4)
        .and_then(|account| AccountId::new(account).ok());
    let manifest = manifest_object(&clients, &region, &args.manifest, &outputs, account.as_ref()).await?;
    if args.stack.is_some() {
        let state = outputs.state_bucket(None, "--stack")?;
        if state != manifest.bucket {
            return Err(CliError::setup(
                format!(
                    "the manifest is in bucket {}, and the state machine reads from {state}",
                    manifest.bucket
                ),
                format!("write the manifest with `s3ferry manifest --to s3://{state}/final-sync/run-1.csv`"),
            ));
        }
    }
    let token = token_fields(args, BatchService::StepFunctions, &manifest, &arguments)
        .with("machine", &machine)
        .token();
    let input = json!({ "manifestKey": manifest.key.as_str(), "userArguments": arguments });
    let name = format!("batch-{}", token.short());
    let started = Executions::new(&clients, &region)
        .start(&machine, &name, &input)
        .await?;
    let arn = match started {
        ExecutionStart::Running(arn) => arn,
        ExecutionStart::Ended(arn) => {
            say("this very run was made before and is over: --run NAME makes another of the same manifest");
            arn
        }
    };
    name_job(shared, BatchService::StepFunctions, &name, &arn)
}

/// Says which job it is.
pub(super) fn name_job(
    shared: &SharedArgs,
    engine: BatchService,
    id: &str,
    job: &str,
) -> Result<CommandOutcome, CliError> {
    let mut output = Output::stdout();
    match shared.output {
        Format::Human => output.line(job)?,
        Format::Json => {
            output.json(&json!({ "type": "job", "engine": engine.as_str(), "id": id, "job": job }))?;
        }
    }
    output.flush()?;
    Ok(CommandOutcome::Done)
}
