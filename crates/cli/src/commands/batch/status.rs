//! `s3ferry batch status`.

use std::time::Duration;

use clap::Args;
use s3ferry_aws::batch::runs::Executions;
use s3ferry_aws::limits::RequestLimits;
use s3ferry_core::batch_report::{JobProgress, JobState};
use serde_json::json;

use super::job::{BatchJob, JobArgs};
use super::s3_control::{S3ControlJobs, jobs_of};
use crate::args::SharedArgs;
use crate::bucket_side::load_clients;
use crate::exit::{CliError, CommandOutcome};
use crate::interrupt::Interrupt;
use crate::output::{Format, Output};
use crate::progress::{ProgressReporter, print_message};
use crate::text::grouped;

/// The arguments of `batch status`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  Show how far a job is; JOB is what `s3ferry batch start` printed:
    s3ferry batch status \"$JOB\"
  Follow it to its end:
    s3ferry batch status \"$JOB\" --follow

Exit code 0 means that every task succeeded, 1 that tasks failed, or that the
job failed, was cancelled or has not ended. Ctrl-C ends the command, not the
job.")]
pub(super) struct StatusArgs {
    #[command(flatten)]
    job: JobArgs,
    /// Follow the job to its end
    #[arg(long)]
    follow: bool,
    /// Seconds between two requests with --follow
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=600))]
    every: u64,
    /// Confirm a job that was started with --confirmation-required
    #[arg(long)]
    confirm: bool,
}

/// A job, with the client that describes it.
enum DescribedJob {
    S3 { jobs: S3ControlJobs, id: String },
    Execution { executions: Executions, arn: String },
}

impl DescribedJob {
    async fn open(shared: &SharedArgs, job: BatchJob) -> Result<Self, CliError> {
        let limits = RequestLimits::default();
        match job {
            BatchJob::S3 { account, region, id } => {
                let (clients, region) = load_clients(shared, region.as_ref(), "--region", limits).await?;
                let jobs = jobs_of(&clients, account, region)?;
                Ok(Self::S3 { jobs, id })
            }
            BatchJob::Execution { arn, region } => {
                let (clients, region) = load_clients(shared, Some(&region), "--region", limits).await?;
                let executions = Executions::new(&clients, &region);
                Ok(Self::Execution { executions, arn })
            }
        }
    }

    async fn progress(&self) -> Result<JobProgress, CliError> {
        match self {
            Self::S3 { jobs, id } => Ok(jobs.describe(id).await?.progress),
            Self::Execution { executions, arn } => Ok(executions.describe(arn).await?.progress),
        }
    }

    async fn confirm(&self) -> Result<(), CliError> {
        match self {
            Self::S3 { jobs, id } => jobs.confirm(id).await,
            Self::Execution { .. } => Err(CliError::usage(
                "--confirm requires a job of S3 Batch Operations",
                "omit --confirm",
            )),
        }
    }
}

/// Returns whether a job changes no more by itself. S3 resumes a paused job by itself.
fn is_idle(now: &JobProgress) -> bool {
    now.state.is_over() || now.state.waits() && now.state != JobState::Paused
}

/// Shows how far a job is.
pub(super) async fn run(
    shared: &SharedArgs,
    args: &StatusArgs,
    interrupt: &Interrupt,
) -> Result<CommandOutcome, CliError> {
    let job = DescribedJob::open(shared, args.job.parse()?).await?;
    if args.confirm {
        job.confirm().await?;
    }
    let mut now = job.progress().await?;
    if args.follow && (args.confirm || !is_idle(&now)) {
        now = follow(&job, now, args, interrupt).await?;
    }
    show(shared, args, &now)?;
    Ok(if now.is_all_done() {
        CommandOutcome::Done
    } else {
        CommandOutcome::NotAll
    })
}

async fn follow(
    job: &DescribedJob,
    mut now: JobProgress,
    args: &StatusArgs,
    interrupt: &Interrupt,
) -> Result<JobProgress, CliError> {
    let progress = ProgressReporter::start("working", "tasks", now.total);
    loop {
        progress.set(now.ended(), now.total);
        progress.state(now.state.to_string());
        progress.counts(&[("failed", now.failed)]);
        // A confirmed job stays suspended for a moment.
        if is_idle(&now) && !(args.confirm && now.state == JobState::Suspended) {
            progress.finish();
            return Ok(now);
        }
        tokio::select! {
            () = interrupt.wait() => return Err(CliError::Interrupted),
            () = tokio::time::sleep(Duration::from_secs(args.every)) => {}
        }
        now = job.progress().await?;
    }
}

fn show(shared: &SharedArgs, args: &StatusArgs, now: &JobProgress) -> Result<(), CliError> {
    let mut output = Output::stdout();
    match shared.output {
        Format::Human => {
            let total = now.total.map_or_else(|| "an unknown number".to_owned(), grouped);
            output.line(format!(
                "{}: {} done, {} failed, of {total}",
                now.state,
                grouped(now.succeeded),
                grouped(now.failed)
            ))?;
            if let Some(reason) = &now.reason {
                output.line(format!("  {reason}"))?;
            }
        }
        Format::Json => output.json(&json!({
            "type": "status",
            "job": args.job.job,
            "state": now.state,
            "total": now.total,
            "succeeded": now.succeeded,
            "failed": now.failed,
            "reason": now.reason,
        }))?,
    }
    output.flush()?;
    if now.state == JobState::Suspended {
        print_message(&format!(
            "the job waits for: s3ferry batch status {} --confirm",
            args.job.job
        ));
    }
    Ok(())
}
