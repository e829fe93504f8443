//! `s3ferry batch report`.

mod reading;

use clap::Args;
use s3ferry_aws::batch::runs::Executions;
use s3ferry_aws::limits::RequestLimits;
use s3ferry_core::batch_report::JobProgress;
use s3ferry_core::names::BucketName;

use self::reading::ReportReading;
use super::job::{BatchJob, JobArgs};
use super::s3_control::jobs_of;
use super::stack::StackOutputs;
use crate::args::{SharedArgs, bucket};
use crate::bucket_side::load_clients;
use crate::exit::{CliError, CommandOutcome};
use crate::files::{FileLocation, file_store};
use crate::interrupt::Interrupt;
use crate::location::Location;

/// The arguments of `batch report`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  Summarize a job, and write a manifest of the failed keys; JOB is what
  `s3ferry batch start` printed:
    s3ferry batch report \"$JOB\" \\
      --retry-manifest s3://app-data-state/final-sync/run-1-retry.csv

Exit code 0 means that every task succeeded, 1 that some failed or never ran.")]
pub(super) struct ReportArgs {
    #[command(flatten)]
    job: JobArgs,
    /// File or object for a manifest of the failed keys
    #[arg(long, value_name = "FILE_OR_S3_URL")]
    retry_manifest: Option<FileLocation>,
    /// Number of failures to show; --output json shows all
    #[arg(long, value_name = "NUMBER", default_value_t = 20)]
    show_failures: u64,
    /// Source stack of an execution, whose outputs name the state bucket [default: the stack in JOB]
    #[arg(long, value_name = "NAME", conflicts_with = "state_bucket")]
    stack: Option<String>,
    /// State bucket of an execution
    #[arg(long, value_name = "BUCKET", value_parser = bucket)]
    state_bucket: Option<BucketName>,
}

/// Summarizes the results of a job.
pub(super) async fn run(
    shared: &SharedArgs,
    args: &ReportArgs,
    interrupt: &Interrupt,
) -> Result<CommandOutcome, CliError> {
    let mut reading = ReportReading::begin(shared, args.retry_manifest.as_ref(), args.show_failures)?;
    let read = async {
        let job = args.job.parse()?;
        let owner = args.job.state_owner(&job);
        match job {
            BatchJob::S3 { account, region, id } => {
                let (clients, region) =
                    load_clients(shared, region.as_ref(), "--region", RequestLimits::default()).await?;
                let described = jobs_of(&clients, account, region.clone())?.describe(&id).await?;
                ensure_ended(&described.progress)?;
                let (bucket, prefix) = described.report.ok_or_else(|| {
                    CliError::setup(
                        "the job has no completion report",
                        "start jobs with `s3ferry batch start`, which always requests one",
                    )
                })?;
                let location = format!("s3://{bucket}/{prefix}").parse::<Location>();
                let location = location.map_err(|error| CliError::Bug(error.to_string()))?;
                let clients = clients.expecting(owner.as_ref());
                let files = file_store(&clients, &location.bucket, &region).await?;
                reading.report(&files, &location.prefix, &id).await?;
                Ok((described.progress, clients, region))
            }
            BatchJob::Execution { arn, region } => {
                let (clients, region) =
                    load_clients(shared, Some(&region), "--region", RequestLimits::default()).await?;
                let progress = Executions::new(&clients, &region).describe(&arn).await?.progress;
                ensure_ended(&progress)?;
                let stack = args.stack.clone().or_else(|| stack_of(&arn).map(str::to_owned));
                let stack = stack.filter(|_| args.state_bucket.is_none());
                let outputs = StackOutputs::read(&clients, &region, stack.as_ref()).await?;
                let state = outputs.state_bucket(args.state_bucket.as_ref(), "--state-bucket")?;
                let clients = clients.expecting(owner.as_ref());
                reading.execution(&clients, &region, state, &arn).await?;
                // The execution counts batches, the results are of items.
                let progress = JobProgress {
                    total: progress.total.or(Some(reading.tasks())),
                    ..progress
                };
                Ok::<_, CliError>((progress, clients, region))
            }
        }
    };
    let (progress, clients, region) = tokio::select! {
        () = interrupt.wait() => return Err(CliError::Interrupted),
        done = read => done?,
    };
    reading.end(&args.job.job, &progress, &clients, &region).await
}

/// Returns the stack of an execution: infra/source.yaml names the state machine after the stack.
fn stack_of(execution_arn: &str) -> Option<&str> {
    let machine = execution_arn.split(':').nth(6)?;
    machine.strip_suffix("-final-sync").filter(|stack| !stack.is_empty())
}

fn ensure_ended(progress: &JobProgress) -> Result<(), CliError> {
    if progress.state.is_over() {
        return Ok(());
    }
    Err(CliError::setup(
        format!("the job is {}: it has no report before its end", progress.state),
        "follow it with `s3ferry batch status JOB --follow`",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stack_is_derived_from_the_execution() {
        for (machine, stack) in [
            ("s3ferry-source-final-sync", Some("s3ferry-source")),
            ("mine", None),
            ("-final-sync", None),
        ] {
            let arn = format!("arn:aws:states:us-east-1:123456789012:execution:{machine}:batch-1");
            assert_eq!(stack_of(&arn), stack);
        }
    }
}
