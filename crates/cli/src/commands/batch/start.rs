//! `s3ferry batch start`.
#![expect(clippy::doc_markdown, reason = "help texts are not Markdown")]

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use clap::{Args, Parser, ValueEnum};
use s3ferry_core::batch_operations::JobArguments;
use s3ferry_core::names::{AccountId, BucketName, Region};
use s3ferry_core::policy::{Policy, StorageClassRule};
use s3ferry_engine::final_sync::JobTerms;

use super::place::Root;
use super::s3_control::has_s3_control;
use super::{BatchService, cloud, local};
use crate::args::{SharedArgs, account, bucket, region};
use crate::exit::{CliError, CommandOutcome};
use crate::files::FileLocation;
use crate::interrupt::Interrupt;
use crate::location::Location;
use crate::policy::PolicyArgs;
use crate::progress::say;

/// The arguments of `batch start`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  A job of S3 Batch Operations that invokes the final sync, with the names of
  the stack's outputs:
    s3ferry batch start --stack s3ferry-source \\
      --manifest s3://app-data-state/final-sync/run-1-0001.csv
  The same manifest through the state machine, metadata and tags compared too:
    s3ferry batch start --engine step-functions --stack s3ferry-source \\
      --manifest s3://app-data-state/final-sync/run-1-0001.csv \\
      --user-argument compare-attributes=always
  From this machine; after an interruption the same command resumes it:
    s3ferry batch start --engine local --manifest run-1-0001.csv \\
      --source s3://app-data --destination s3://app-data-eu \\
      --destination-region eu-central-1

The same command names the same job: given twice, after a lost answer as well,
it makes one job. --run NAME makes another one of the same manifest.")]
pub struct StartArgs {
    /// Who runs the job; the default is the engine that the other flags are of, else s3-batch-operations, or step-functions
    /// with the stack on an emulator that has no S3 Control
    #[arg(long, value_enum, value_name = "ENGINE")]
    pub(super) engine: Option<BatchService>,
    /// The manifest: an object, or with --engine local a file
    #[arg(long, value_name = "PATH")]
    pub(super) manifest: FileLocation,
    /// What is done with each object
    #[arg(long, value_enum, value_name = "OPERATION", default_value_t = OperationArg::FinalSync)]
    pub(super) operation: OperationArg,
    /// What the final sync does otherwise for this job, as in compare-attributes=always
    #[arg(long = "user-argument", value_name = "NAME=VALUE", value_parser = pair)]
    user_arguments: Vec<(String, String)>,
    /// Makes a job of its own of a manifest that was worked through before
    #[arg(long, value_name = "NAME", default_value = "")]
    pub(super) run: String,
    /// The stack of the source's region, whose outputs name function, role, state machine and report
    #[arg(long, value_name = "NAME")]
    pub(super) stack: Option<String>,
    /// Where the report goes: a prefix as in s3://state/final-sync/reports, or with --engine local a folder
    #[arg(long, value_name = "PATH")]
    pub(super) report_prefix: Option<Root>,
    #[command(flatten)]
    pub(super) cloud: CloudArgs,
    #[command(flatten)]
    pub(super) buckets: BucketArgs,
    #[command(flatten)]
    pub(super) local: LocalArgs,
    #[command(flatten)]
    pub(super) policy: PolicyArgs,
}

/// What AWS's engines need.
#[derive(Debug, Args)]
#[command(next_help_heading = "On AWS")]
pub(super) struct CloudArgs {
    /// The final-sync function, where no --stack names it
    #[arg(long, value_name = "ARN")]
    pub(super) function_arn: Option<String>,
    /// The role that S3 Batch Operations takes; with --stack, the stack's for the operation final-sync
    #[arg(long, value_name = "ARN")]
    pub(super) role_arn: Option<String>,
    /// The state machine, where no --stack names it
    #[arg(long, value_name = "ARN")]
    pub(super) state_machine_arn: Option<String>,
    /// The account of the job; the default is the role's
    #[arg(long, value_name = "ACCOUNT", value_parser = account)]
    pub(super) account: Option<AccountId>,
    /// Which job of the account goes first: the one with the larger number
    #[arg(long, value_name = "NUMBER", default_value_t = 10, value_parser = clap::value_parser!(i32).range(0..))]
    pub(super) priority: i32,
    /// Make the job wait until `batch status JOB --confirm`, to look at it before it runs
    #[arg(long)]
    pub(super) confirmation_required: bool,
    /// The algorithm of --operation compute-checksum
    #[arg(long, value_name = "ALGORITHM", default_value = "CRC64NVME",
        value_parser = ["CRC32", "CRC32C", "CRC64NVME", "MD5", "SHA1", "SHA256"])]
    pub(super) checksum_algorithm: String,
}

/// The buckets, where the engine must know them.
#[derive(Debug, Args)]
#[command(next_help_heading = "Buckets")]
pub(super) struct BucketArgs {
    /// The bucket that is migrated, with --engine local
    #[arg(long, value_name = "S3_URL")]
    pub(super) source: Option<Location>,
    /// The region of the source bucket and of the stack; the default is AWS_REGION, then the profile's region
    #[arg(long, value_name = "REGION", value_parser = region)]
    pub(super) source_region: Option<Region>,
    /// The account that must own the source bucket, with --engine local
    #[arg(long, value_name = "ACCOUNT", value_parser = account)]
    pub(super) source_bucket_owner: Option<AccountId>,
    /// The bucket that is migrated to, with --engine local and --operation copy
    #[arg(long, value_name = "S3_URL")]
    pub(super) destination: Option<Location>,
    /// The region of the destination bucket, which is where S3 wants jobs of --operation copy made
    #[arg(long, value_name = "REGION", value_parser = region)]
    pub(super) destination_region: Option<Region>,
    /// The account that must own the destination bucket, with --engine local
    #[arg(long, value_name = "ACCOUNT", value_parser = account)]
    pub(super) destination_bucket_owner: Option<AccountId>,
}

/// How this machine works.
#[derive(Debug, Args)]
#[command(next_help_heading = "With --engine local")]
pub(super) struct LocalArgs {
    /// How many objects are worked on at once, 1 to 1024
    #[arg(long, value_name = "NUMBER", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(super) concurrency: u16,
    /// How many tasks an invocation of the function has, 1 to 1000
    #[arg(long, value_name = "NUMBER", default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(super) tasks_per_invocation: u16,
    /// How many requests are sent in a second at most, all of them counted
    #[arg(long, value_name = "NUMBER")]
    pub(super) max_requests_per_second: Option<NonZeroU32>,
    /// The bucket of s3ferry's state, in the source's region: multipart uploads are resumed after an interruption
    #[arg(long, value_name = "BUCKET", value_parser = bucket)]
    pub(super) state_bucket: Option<BucketName>,
}

/// What is done with each object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum OperationArg {
    /// The final sync: compared, and copied where it differs
    FinalSync,
    /// S3's own copy operation, whatever the destination has: objects of up to 5 GiB
    Copy,
    /// S3's own checksum, computed over the whole object and put into the report
    ComputeChecksum,
}

impl OperationArg {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::FinalSync => "final-sync",
            Self::Copy => "copy",
            Self::ComputeChecksum => "compute-checksum",
        }
    }
}

/// The defaults of the policy's flags.
#[derive(Debug, Parser)]
struct Defaults {
    #[command(flatten)]
    policy: PolicyArgs,
}

/// Starts a job, or runs it.
pub(super) async fn run(
    shared: &SharedArgs,
    args: &StartArgs,
    interrupt: &Interrupt,
) -> Result<CommandOutcome, CliError> {
    let engine = args.engine.unwrap_or_else(|| {
        let engine = args.fitting_engine(has_s3_control(shared));
        say(&format!("engine: {} (--engine chooses another)", engine.as_str()));
        engine
    });
    args.must_fit(engine)?;
    match engine {
        BatchService::S3BatchOperations => cloud::start_job(shared, args).await,
        BatchService::StepFunctions => cloud::start_run(shared, args).await,
        BatchService::Local => local::run(shared, args, interrupt).await,
    }
}

impl StartArgs {
    /// Returns what the job asks for by itself; names and values are checked as the function does it.
    pub(super) fn user_arguments(&self) -> Result<BTreeMap<String, String>, CliError> {
        let refused = |what: String| CliError::usage(what, "correct --user-argument; docs/CONFIGURATION.md lists them");
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

    /// Chooses the engine that the other flags are of; where they are of either, jobs of S3 Batch Operations, unless those
    /// do not exist where requests go.
    fn fitting_engine(&self, has_s3_control: bool) -> BatchService {
        let is_of_jobs = self.operation != OperationArg::FinalSync
            || self.cloud.function_arn.is_some()
            || self.cloud.role_arn.is_some()
            || self.cloud.account.is_some()
            || self.cloud.confirmation_required
            || self.report_prefix.is_some();
        let is_of_runs = self.cloud.state_machine_arn.is_some() || (self.stack.is_some() && !has_s3_control);
        if is_of_runs && !is_of_jobs {
            BatchService::StepFunctions
        } else {
            BatchService::S3BatchOperations
        }
    }

    /// Refuses flags that the engine would not heed.
    fn must_fit(&self, engine: BatchService) -> Result<(), CliError> {
        let (is_local, is_jobs) = (engine == BatchService::Local, engine == BatchService::S3BatchOperations);
        if !is_jobs && self.operation != OperationArg::FinalSync {
            return Err(CliError::usage(
                format!(
                    "--operation {} is S3's own, and --engine is {}",
                    self.operation.as_str(),
                    engine.as_str()
                ),
                "give --engine s3-batch-operations, or leave out --operation",
            ));
        }
        if self.operation != OperationArg::FinalSync && !self.user_arguments.is_empty() {
            return Err(CliError::usage(
                format!(
                    "--user-argument is for the final sync, and --operation is {}",
                    self.operation.as_str()
                ),
                "leave out --user-argument",
            ));
        }
        if !is_local && matches!(self.manifest, FileLocation::File(_)) {
            return Err(CliError::usage(
                format!(
                    "--engine {} reads its manifest from a bucket, and --manifest is a file",
                    engine.as_str()
                ),
                "write the manifest with `s3ferry manifest --to s3://state-bucket/final-sync/run-1.csv`",
            ));
        }
        let copies = self.operation == OperationArg::Copy;
        let given = [
            ("--stack", self.stack.is_some(), !is_local),
            ("--function-arn", self.cloud.function_arn.is_some(), is_jobs),
            ("--role-arn", self.cloud.role_arn.is_some(), is_jobs),
            ("--account", self.cloud.account.is_some(), is_jobs),
            ("--confirmation-required", self.cloud.confirmation_required, is_jobs),
            ("--report-prefix", self.report_prefix.is_some(), is_jobs || is_local),
            (
                "--state-machine-arn",
                self.cloud.state_machine_arn.is_some(),
                engine == BatchService::StepFunctions,
            ),
            ("--source", self.buckets.source.is_some(), is_local),
            (
                "--source-bucket-owner",
                self.buckets.source_bucket_owner.is_some(),
                is_local,
            ),
            ("--destination", self.buckets.destination.is_some(), is_local || copies),
            (
                "--destination-region",
                self.buckets.destination_region.is_some(),
                is_local || copies,
            ),
            (
                "--destination-bucket-owner",
                self.buckets.destination_bucket_owner.is_some(),
                is_local,
            ),
            (
                "--max-requests-per-second",
                self.local.max_requests_per_second.is_some(),
                is_local,
            ),
            ("--state-bucket", self.local.state_bucket.is_some(), is_local),
        ];
        if let Some((flag, _, _)) = given.iter().find(|(_, is_given, is_heeded)| *is_given && !is_heeded) {
            return Err(CliError::usage(
                format!(
                    "{flag} means nothing to --engine {} with --operation {}",
                    engine.as_str(),
                    self.operation.as_str()
                ),
                format!("leave out {flag}"),
            ));
        }
        if is_local {
            Ok(())
        } else {
            self.must_leave_the_policy(copies)
        }
    }

    /// The policy of a function is its own; only a copy operation has a storage class from here.
    fn must_leave_the_policy(&self, copies: bool) -> Result<(), CliError> {
        let mut defaults = Defaults::parse_from(["s3ferry"]).policy;
        if copies {
            defaults.storage_class = self.policy.storage_class.clone();
        }
        if defaults == self.policy {
            return Ok(());
        }
        Err(CliError::usage(
            "how objects are copied is the function's setting (or S3's), and is given here for --engine local only",
            "give what a job may change as --user-argument, as in --user-argument storage-class=STANDARD_IA",
        ))
    }

    /// Returns the storage class of copies that S3 makes by itself.
    pub(super) fn copied_class(&self) -> Option<String> {
        match &self.policy.storage_class {
            StorageClassRule::AsSource => None,
            StorageClassRule::Fixed(class) => Some(class.clone()),
        }
    }
}

fn pair(text: &str) -> Result<(String, String), &'static str> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("must be NAME=VALUE, as in compare-attributes=always"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Parser)]
    struct Start {
        #[command(flatten)]
        args: StartArgs,
    }

    #[test]
    fn engine_that_fits_the_flags_and_the_endpoint_is_chosen() {
        use BatchService::{S3BatchOperations, StepFunctions};
        let manifest = ["start", "--manifest", "s3://state/final-sync/run-1.csv"];
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
            let start = Start::parse_from(manifest.iter().chain(flags));
            let chosen = [true, false].map(|has_s3_control| start.args.fitting_engine(has_s3_control));
            assert_eq!(chosen, [on_aws, on_emulator], "{flags:?}");
        }
    }
}
