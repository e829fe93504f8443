//! `s3ferry batch status`.

use std::time::Duration;

use clap::Args;
use s3ferry_aws::batch::runs::Executions;
use s3ferry_aws::client::RequestLimits;
use s3ferry_core::batch_report::{JobProgress, JobState};
use s3ferry_engine::job::{read_progress, read_record};
use serde_json::json;

use super::JobArgs;
use super::job::BatchJob;
use super::place::{Place, Root};
use super::s3_control::{S3ControlJobs, jobs_of};
use crate::args::SharedArgs;
use crate::exit::{CliError, CommandOutcome};
use crate::interrupt::Interrupt;
use crate::output::{Format, Output, grouped};
use crate::progress::{ProgressReporter, say};
use crate::sides::load_clients;

/// The arguments of `batch status`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  How far is it? JOB is what `s3ferry batch start` printed:
    s3ferry batch status \"$JOB\"
  To its end:
    s3ferry batch status \"$JOB\" --follow

Exit code 0 means complete without a failed task; 1 that tasks failed, that the
job failed or was cancelled, or that it is not over. Ctrl-C ends the following,
not the job.")]
pub struct StatusArgs {
    #[command(flatten)]
    job: JobArgs,
    /// Follow the job to its end
    #[arg(long)]
    follow: bool,
    /// How often a job is asked for while it is followed, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=600))]
    every: u64,
    /// Let a job of S3 Batch Operations run that was made with --confirmation-required
    #[arg(long)]
    confirm: bool,
}

/// A job that can be asked how far it is.
enum Watched {
    S3 { jobs: S3ControlJobs, id: String },
    Run { runs: Executions, arn: String },
    Local { place: Place, id: String, name: String },
}

impl Watched {
    async fn open(shared: &SharedArgs, args: &JobArgs, job: BatchJob) -> Result<Self, CliError> {
        match job {
            BatchJob::S3 { account, region, id } => {
                let (clients, region) =
                    load_clients(shared, region.as_ref(), "--region", RequestLimits::default()).await?;
                let jobs = jobs_of(&clients, account, region)?;
                Ok(Self::S3 { jobs, id })
            }
            BatchJob::Run { arn, region } => {
                let (clients, region) =
                    load_clients(shared, Some(&region), "--region", RequestLimits::default()).await?;
                let runs = Executions::new(&clients, &region);
                Ok(Self::Run { runs, arn })
            }
            BatchJob::Local { root, id } => {
                let name = format!("job-{id} in {root}");
                let place = open_local(shared, &root, args).await?;
                Ok(Self::Local { place, id, name })
            }
        }
    }

    async fn progress(&self) -> Result<JobProgress, CliError> {
        match self {
            Self::S3 { jobs, id } => Ok(jobs.describe(id).await?.progress),
            Self::Run { runs, arn } => Ok(runs.describe(arn).await?.progress),
            Self::Local { place, id, name } => {
                let record = read_record(place, id).await?.ok_or_else(|| no_such_job(name))?;
                Ok(read_progress(place, &record).await?)
            }
        }
    }

    /// Tells whether nothing more happens by itself.
    fn rests(&self, now: &JobProgress) -> bool {
        // S3 goes on by itself with a job that waits for another of a higher priority.
        let goes_on = now.state == JobState::Paused && matches!(self, Self::S3 { .. });
        now.state.is_over() || now.state.waits() && !goes_on
    }
}

pub(super) fn no_such_job(name: &str) -> CliError {
    CliError::setup(
        format!("there is no {name}"),
        "name the job as `s3ferry batch start` printed it",
    )
}

/// Takes the place of local jobs; a folder needs no region.
pub(super) async fn open_local(shared: &SharedArgs, root: &Root, args: &JobArgs) -> Result<Place, CliError> {
    match root {
        Root::Folder(path) => Ok(Place::Folder(path.clone())),
        Root::Bucket(_) => {
            let (clients, region) =
                load_clients(shared, args.region.as_ref(), "--region", RequestLimits::default()).await?;
            root.open(&clients.expecting(args.state_bucket_owner.as_ref()), &region)
                .await
        }
    }
}

/// Says how far a job is.
pub(super) async fn run(
    shared: &SharedArgs,
    args: &StatusArgs,
    interrupt: &Interrupt,
) -> Result<CommandOutcome, CliError> {
    let watched = match args.job.parse()? {
        BatchJob::Local { root, id } => {
            let name = format!("job-{id} in {root}");
            let place = open_local(shared, &root, &args.job).await?;
            Watched::Local { place, id, name }
        }
        job => Watched::open(shared, &args.job, job).await?,
    };
    if args.confirm {
        match &watched {
            Watched::S3 { jobs, id } => jobs.confirm(id).await?,
            Watched::Run { .. } | Watched::Local { .. } => {
                return Err(CliError::usage(
                    "--confirm is for jobs of S3 Batch Operations",
                    "leave out --confirm",
                ));
            }
        }
    }
    let mut now = watched.progress().await?;
    if args.follow && (args.confirm || !watched.rests(&now)) {
        now = follow(&watched, now, args, interrupt).await?;
    }
    show(shared, args, &now)?;
    Ok(if now.is_all_done() {
        CommandOutcome::Done
    } else {
        CommandOutcome::NotAll
    })
}

async fn follow(
    watched: &Watched,
    mut now: JobProgress,
    args: &StatusArgs,
    interrupt: &Interrupt,
) -> Result<JobProgress, CliError> {
    let progress = ProgressReporter::start("working", "tasks", now.total);
    loop {
        progress.set(now.ended(), now.total);
        progress.state(now.state.to_string());
        progress.counts(&[("failed", now.failed)]);
        // A job that was confirmed is suspended for a moment more.
        if watched.rests(&now) && !(args.confirm && now.state == JobState::Suspended) {
            progress.finish();
            return Ok(now);
        }
        tokio::select! {
            () = interrupt.wait() => return Err(CliError::Interrupted),
            () = tokio::time::sleep(Duration::from_secs(args.every)) => {}
        }
        now = watched.progress().await?;
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
        say(&format!(
            "the job waits for a confirmation: s3ferry batch status {} --confirm lets it run",
            args.job.job
        ));
    }
    Ok(())
}
