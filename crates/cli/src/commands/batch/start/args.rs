//! The arguments of `batch start`: a group for every service and operation.
#![expect(clippy::doc_markdown, reason = "help texts are not Markdown")]

use std::collections::BTreeMap;

use clap::{Args, ValueEnum};
use s3ferry_core::batch_operations::JobArguments;
use s3ferry_core::names::{AccountId, Region};
use s3ferry_core::policy::{Policy, StorageClassRule};
use s3ferry_engine::final_sync::JobTerms;

use super::super::service::BatchService;
use crate::args::{account, region};
use crate::exit::CliError;
use crate::files::FileLocation;
use crate::location::Location;

/// The arguments of `batch start`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  Start an S3 Batch Operations job that invokes the final-sync function:
    s3ferry batch start --stack s3ferry-source \\
      --manifest s3://app-data-state/final-sync/run-1-0001.csv
  Run the same manifest with the state machine, and compare metadata and tags:
    s3ferry batch start --service step-functions --stack s3ferry-source \\
      --manifest s3://app-data-state/final-sync/run-1-0001.csv \\
      --user-argument compare-attributes=always

The same command names the same job: repeated, it does not start another one.
Pass --run NAME to run the same manifest again.")]
pub(in super::super) struct StartArgs {
    /// Service that runs the job [default: derived from the other flags, else s3-batch-operations]
    #[arg(long, value_enum, value_name = "SERVICE")]
    pub(super) service: Option<BatchService>,
    #[command(flatten)]
    pub(super) common: CommonArgs,
    #[command(flatten)]
    pub(super) job: Option<S3BatchOperationsArgs>,
    #[command(flatten)]
    copy: Option<CopyOperationArgs>,
    #[command(flatten)]
    checksum: Option<ChecksumOperationArgs>,
    #[command(flatten)]
    pub(super) execution: Option<StepFunctionsArgs>,
}

/// The arguments of both services.
#[derive(Debug, Clone, Args)]
pub(super) struct CommonArgs {
    /// Manifest: an object below final-sync/ of the state bucket
    #[arg(long, value_name = "S3_URL", value_parser = manifest_object)]
    pub(super) manifest: Location,
    /// Source stack, whose outputs name the function, role, state machine and report
    #[arg(long, value_name = "NAME")]
    pub(super) stack: Option<String>,
    /// Region of the source bucket and the stack [default: AWS_REGION, then the profile's region]
    #[arg(long, value_name = "REGION", value_parser = region)]
    pub(super) source_region: Option<Region>,
    /// Setting of the final sync for this job, such as compare-attributes=always
    #[arg(long = "user-argument", value_name = "NAME=VALUE", value_parser = pair)]
    user_arguments: Vec<(String, String)>,
    /// Name of a repetition: a new name starts another job for the same manifest
    #[arg(long, value_name = "NAME", default_value = "")]
    pub(super) run: String,
}

/// The arguments of a job of S3 Batch Operations.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "With --service s3-batch-operations")]
#[group(id = "s3_batch_operations", conflicts_with = "step_functions")]
pub(super) struct S3BatchOperationsArgs {
    /// Operation on each object
    #[arg(long, value_enum, value_name = "OPERATION", default_value_t = OperationArg::FinalSync)]
    operation: OperationArg,
    /// Final-sync function, if --stack is not given
    #[arg(long, value_name = "ARN")]
    pub(super) function_arn: Option<String>,
    /// Role that S3 assumes; required for the operations copy and compute-checksum
    #[arg(long, value_name = "ARN")]
    pub(super) role_arn: Option<String>,
    /// Account of the job [default: the role's account]
    #[arg(long, value_name = "ACCOUNT", value_parser = account)]
    pub(super) account: Option<AccountId>,
    /// Priority among the account's jobs; larger numbers run first
    #[arg(long, value_name = "NUMBER", default_value_t = DEFAULT_PRIORITY, value_parser = clap::value_parser!(i32).range(0..))]
    pub(super) priority: i32,
    /// Let the job wait for `batch status JOB --confirm`
    #[arg(long)]
    pub(super) confirmation_required: bool,
    /// Prefix of the completion report, such as s3://state/final-sync/reports
    #[arg(long, value_name = "S3_URL")]
    pub(super) report_prefix: Option<Location>,
}

const DEFAULT_PRIORITY: i32 = 10;

impl Default for S3BatchOperationsArgs {
    fn default() -> Self {
        Self {
            operation: OperationArg::FinalSync,
            function_arn: None,
            role_arn: None,
            account: None,
            priority: DEFAULT_PRIORITY,
            confirmation_required: false,
            report_prefix: None,
        }
    }
}

/// The arguments of the operation `copy`.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "With --operation copy")]
pub(super) struct CopyOperationArgs {
    /// Destination bucket
    #[arg(
        long,
        value_name = "S3_URL",
        requires = "operation",
        required_if_eq("operation", "copy")
    )]
    destination: Option<Location>,
    /// Region of the destination bucket, where S3 expects the job
    #[arg(long, value_name = "REGION", requires = "operation", required_if_eq("operation", "copy"), value_parser = region)]
    destination_region: Option<Region>,
    /// Storage class of the copies; `source` keeps the class of each object [default: source]
    #[arg(long, value_name = "CLASS", requires = "operation", value_parser = str::parse::<StorageClassRule>)]
    storage_class: Option<StorageClassRule>,
}

/// The arguments of the operation `compute-checksum`.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "With --operation compute-checksum")]
pub(super) struct ChecksumOperationArgs {
    /// Checksum algorithm, always over the full object [default: CRC64NVME]
    #[arg(long, value_name = "ALGORITHM", required = false, requires = "operation",
        value_parser = ["CRC32", "CRC32C", "CRC64NVME", "MD5", "SHA1", "SHA256"])]
    checksum_algorithm: String,
}

/// The arguments of an execution of the state machine.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "With --service step-functions")]
#[group(id = "step_functions")]
pub(super) struct StepFunctionsArgs {
    /// State machine, if --stack is not given
    #[arg(long, value_name = "ARN", required = false)]
    pub(super) state_machine_arn: String,
}

/// The operation on each object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum OperationArg {
    /// Final sync: compare, and copy what differs
    FinalSync,
    /// S3's own copy of objects up to 5 GiB, whatever the destination has
    Copy,
    /// S3's own checksum of each object, for the report
    ComputeChecksum,
}

/// An operation with its arguments.
#[derive(Debug)]
pub(super) enum JobOperation {
    FinalSync(BTreeMap<String, String>),
    Copy {
        destination: Location,
        region: Region,
        storage_class: Option<String>,
    },
    ComputeChecksum {
        algorithm: String,
    },
}

impl JobOperation {
    pub(super) fn as_str(&self) -> &'static str {
        match self {
            Self::FinalSync(_) => "final-sync",
            Self::Copy { .. } => "copy",
            Self::ComputeChecksum { .. } => "compute-checksum",
        }
    }
}

impl StartArgs {
    /// Returns the service: the given one, or the one derived from the other flags.
    ///
    /// A stack on an emulator without S3 Control runs its state machine.
    pub(super) fn service(&self, has_s3_control: bool) -> Result<BatchService, CliError> {
        use BatchService::{S3BatchOperations, StepFunctions};
        let other = |flags: &str, service: BatchService| {
            CliError::usage(
                format!("{flags} requires --service {}", service.as_str()),
                format!("omit it, or pass --service {}", service.as_str()),
            )
        };
        match (self.service, &self.job, &self.execution) {
            (Some(StepFunctions), Some(_), _) => Err(other("a flag of S3 Batch Operations", S3BatchOperations)),
            (Some(S3BatchOperations), _, Some(_)) => Err(other("--state-machine-arn", StepFunctions)),
            (Some(service), _, _) => Ok(service),
            (None, None, execution) if execution.is_some() || (self.common.stack.is_some() && !has_s3_control) => {
                Ok(StepFunctions)
            }
            (None, _, _) => Ok(S3BatchOperations),
        }
    }

    /// Returns the operation with its arguments.
    pub(super) fn operation(&self) -> Result<JobOperation, CliError> {
        let operation = self.job.as_ref().map_or(OperationArg::FinalSync, |job| job.operation);
        if operation != OperationArg::FinalSync && !self.common.user_arguments.is_empty() {
            return Err(CliError::usage(
                "--user-argument requires --operation final-sync",
                "omit --user-argument",
            ));
        }
        match (operation, self.copy.clone(), self.checksum.clone()) {
            (OperationArg::FinalSync, None, None) => Ok(JobOperation::FinalSync(self.common.user_arguments()?)),
            (OperationArg::Copy, Some(copy), None) => copy.operation(),
            (OperationArg::ComputeChecksum, None, checksum) => Ok(JobOperation::ComputeChecksum {
                algorithm: checksum.map_or_else(|| "CRC64NVME".to_owned(), |checksum| checksum.checksum_algorithm),
            }),
            (_, copy, _) => {
                let (flags, operation) = match copy {
                    Some(_) => ("--destination, --destination-region and --storage-class", "copy"),
                    None => ("--checksum-algorithm", "compute-checksum"),
                };
                Err(CliError::usage(
                    format!("{flags} requires --operation {operation}"),
                    "omit it, or pass that operation",
                ))
            }
        }
    }
}

impl CopyOperationArgs {
    fn operation(self) -> Result<JobOperation, CliError> {
        let (Some(destination), Some(region)) = (self.destination, self.destination_region) else {
            return Err(CliError::usage(
                "--operation copy requires the destination bucket and its region",
                "pass --destination s3://bucket and --destination-region",
            ));
        };
        if !destination.prefix.is_empty() {
            return Err(CliError::usage(
                format!("{destination} has a prefix, but keys keep their names: the manifest says what is copied"),
                format!("pass --destination s3://{}", destination.bucket),
            ));
        }
        Ok(JobOperation::Copy {
            destination,
            region,
            storage_class: match self.storage_class {
                None | Some(StorageClassRule::AsSource) => None,
                Some(StorageClassRule::Fixed(class)) => Some(class),
            },
        })
    }
}

impl CommonArgs {
    /// Returns the job's user arguments, checked as the function checks them.
    pub(super) fn user_arguments(&self) -> Result<BTreeMap<String, String>, CliError> {
        let refused = |what: String| CliError::usage(what, "correct --user-argument; see docs/CONFIGURATION.md");
        let mut given = BTreeMap::new();
        for (name, value) in &self.user_arguments {
            if given.insert(name.clone(), value.clone()).is_some() {
                return Err(refused(format!("user argument `{name}` is given more than once")));
            }
        }
        let value = serde_json::to_value(&given).map_err(|error| CliError::Bug(error.to_string()))?;
        let terms = JobArguments::parse(Some(&value), "--user-argument")
            .and_then(|arguments| JobTerms::of_job(&Policy::default(), &arguments, false));
        terms.map(|_| given).map_err(|error| refused(error.to_string()))
    }
}

fn manifest_object(text: &str) -> Result<Location, String> {
    match text.parse()? {
        FileLocation::Object(location) => Ok(location),
        FileLocation::File(_) => {
            Err("must be an object; write it with `s3ferry manifest --to s3://state-bucket/...`".to_owned())
        }
    }
}

fn pair(text: &str) -> Result<(String, String), &'static str> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("must be NAME=VALUE, such as compare-attributes=always"),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Start {
        #[command(flatten)]
        args: StartArgs,
    }

    const MANIFEST: [&str; 3] = ["start", "--manifest", "s3://state/final-sync/run-1.csv"];

    #[test]
    fn service_is_derived_from_flags_and_endpoint() {
        use BatchService::{S3BatchOperations, StepFunctions};
        for (flags, on_aws, on_emulator) in [
            (&["--stack", "s3ferry-source"][..], S3BatchOperations, StepFunctions),
            (
                &["--stack", "s3ferry-source", "--confirmation-required"],
                S3BatchOperations,
                S3BatchOperations,
            ),
            (
                &["--stack", "s3ferry-source", "--operation", "compute-checksum"],
                S3BatchOperations,
                S3BatchOperations,
            ),
            (&["--state-machine-arn", "arn"], StepFunctions, StepFunctions),
            (&["--function-arn", "arn"], S3BatchOperations, S3BatchOperations),
            (&[], S3BatchOperations, S3BatchOperations),
        ] {
            let start = Start::parse_from(MANIFEST.iter().chain(flags));
            let chosen = [true, false].map(|has_s3_control| start.args.service(has_s3_control).unwrap());
            assert_eq!(chosen, [on_aws, on_emulator], "{flags:?}");
        }
    }

    #[test]
    fn flags_of_another_service_or_operation_are_refused() {
        for flags in [
            &["--state-machine-arn", "arn", "--function-arn", "arn"][..],
            &["--destination", "s3://bucket"],
            &["--checksum-algorithm", "SHA256"],
            &["--operation", "copy"],
        ] {
            assert!(
                Start::try_parse_from(MANIFEST.iter().chain(flags)).is_err(),
                "{flags:?}"
            );
        }
        for flags in [
            &["--operation", "compute-checksum", "--storage-class", "STANDARD"][..],
            &["--operation", "final-sync", "--checksum-algorithm", "SHA256"],
            &["--operation", "compute-checksum", "--user-argument", "a=b"],
        ] {
            let start = Start::parse_from(MANIFEST.iter().chain(flags));
            assert_eq!(start.args.operation().unwrap_err().code(), 2, "{flags:?}");
        }
        for flags in [
            &["--service", "step-functions", "--confirmation-required"][..],
            &["--service", "s3-batch-operations", "--state-machine-arn", "arn"],
        ] {
            let start = Start::parse_from(MANIFEST.iter().chain(flags));
            assert_eq!(start.args.service(true).unwrap_err().code(), 2, "{flags:?}");
        }
    }
}
