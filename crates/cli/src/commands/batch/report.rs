//! `s3ferry batch report`.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::pin::pin;

use clap::Args;
use futures::TryStreamExt as _;
use s3ferry_aws::batch::runs::{Executions, name_of};
use s3ferry_aws::client::{Clients, RequestLimits};
use s3ferry_aws::results::S3Results;
use s3ferry_core::batch_operations::{ResultLine, RunName};
use s3ferry_core::batch_report::{
    CompletionReportError, CompletionReportManifest, INDEX_NAME, JobProgress, JobReportTotals, RetryManifest,
    TaskCells, TaskOutcome, TaskRow,
};
use s3ferry_core::names::{BucketName, Region};
use s3ferry_engine::job::{folder, read_progress, read_record};
use s3ferry_engine::results::texts;
use serde_json::json;
use tempfile::NamedTempFile;

use super::JobArgs;
use super::cloud::StackOutputs;
use super::job::BatchJob;
use super::place::{Place, Root, put};
use super::s3_control::jobs_of;
use super::status::{no_such_job, open_local};
use crate::args::{SharedArgs, bucket};
use crate::exit::{CliError, CommandOutcome};
use crate::files::{FileLocation, folder_of, found_region, make_way};
use crate::interrupt::Interrupt;
use crate::location::Location;
use crate::output::{Format, Output, grouped, shown_key};
use crate::progress::{ProgressReporter, say};
use crate::report_files::checked_rows;
use crate::sides::load_clients;

/// The arguments of `batch report`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  What came of it, and a manifest of what failed; JOB is what `s3ferry batch
  start` printed:
    s3ferry batch report \"$JOB\" \\
      --retry-manifest s3://app-data-state/final-sync/run-1-retry.csv

Exit code 0 means that every task is done; 1 that some failed, or were never
run.")]
pub struct ReportArgs {
    #[command(flatten)]
    job: JobArgs,
    /// Where a manifest of what failed is written: a file, or an object
    #[arg(long, value_name = "PATH")]
    retry_manifest: Option<FileLocation>,
    /// How many failures are shown to people; JSON has them all
    #[arg(long, value_name = "NUMBER", default_value_t = 20)]
    failures: u64,
    /// The stack of a run of the state machine, whose outputs name the state bucket; the default is told by JOB
    #[arg(long, value_name = "NAME", conflicts_with = "state_bucket")]
    stack: Option<String>,
    /// The state bucket of a run of the state machine
    #[arg(long, value_name = "BUCKET", value_parser = bucket)]
    state_bucket: Option<BucketName>,
}

/// Reads what came of a job.
pub(super) async fn run(
    shared: &SharedArgs,
    args: &ReportArgs,
    interrupt: &Interrupt,
) -> Result<CommandOutcome, CliError> {
    let mut reading = Reading::new(shared, args)?;
    let work = async {
        let job = args.job.parse()?;
        let owner = args.job.state_owner(&job);
        match job {
            BatchJob::S3 { account, region, id } => {
                let (clients, region) =
                    load_clients(shared, region.as_ref(), "--region", RequestLimits::default()).await?;
                let described = jobs_of(&clients, account, region.clone())?.describe(&id).await?;
                must_be_over(&described.progress)?;
                let (bucket, prefix) = described.report.ok_or_else(|| {
                    CliError::setup(
                        "the job was made without a report",
                        "make jobs with `s3ferry batch start`, which always asks for one",
                    )
                })?;
                let location = format!("s3://{bucket}/{prefix}").parse::<Location>();
                let location = location.map_err(|error| CliError::Bug(error.to_string()))?;
                let root = Root::Bucket(Location {
                    prefix: slashed(&location.prefix),
                    ..location
                });
                let place = root.open(&clients.expecting(owner.as_ref()), &region).await?;
                reading.report(&place, &root, &id).await?;
                Ok((described.progress, Some((clients.expecting(owner.as_ref()), region))))
            }
            BatchJob::Run { arn, region } => {
                let (clients, region) =
                    load_clients(shared, Some(&region), "--region", RequestLimits::default()).await?;
                let progress = Executions::new(&clients, &region).describe(&arn).await?.progress;
                must_be_over(&progress)?;
                let stack = args.stack.clone().or_else(|| stack_of(&arn).map(str::to_owned));
                let stack = stack.filter(|_| args.state_bucket.is_none());
                let outputs = StackOutputs::read(&clients, &region, stack.as_ref()).await?;
                let state = outputs.state_bucket(args.state_bucket.as_ref(), "--state-bucket")?;
                reading
                    .run(&clients.expecting(owner.as_ref()), &region, state, &arn)
                    .await?;
                // Batches are counted there, items are here.
                let progress = JobProgress {
                    total: progress.total.or(Some(reading.tally.tasks())),
                    ..progress
                };
                Ok((progress, Some((clients.expecting(owner.as_ref()), region))))
            }
            BatchJob::Local { root, id } => {
                let place = open_local(shared, &root, &args.job).await?;
                let record = read_record(&place, &id).await?;
                let record = record.ok_or_else(|| no_such_job(&format!("job-{id} in {root}")))?;
                let progress = read_progress(&place, &record).await?;
                must_be_over(&progress)?;
                reading.report(&place, &root, &id).await?;
                Ok::<_, CliError>((progress, None))
            }
        }
    };
    let (progress, clients) = tokio::select! {
        () = interrupt.wait() => return Err(CliError::Interrupted),
        done = work => done?,
    };
    reading.end(shared, args, &progress, clients).await
}

/// Returns the stack that has the state machine of a run: infra/source.yaml names the one after the other.
fn stack_of(execution_arn: &str) -> Option<&str> {
    let machine = execution_arn.split(':').nth(6)?;
    machine.strip_suffix("-final-sync").filter(|stack| !stack.is_empty())
}

fn slashed(prefix: &str) -> String {
    if prefix.is_empty() || prefix.ends_with('/') {
        prefix.to_owned()
    } else {
        format!("{prefix}/")
    }
}

fn must_be_over(progress: &JobProgress) -> Result<(), CliError> {
    if progress.state.is_over() {
        return Ok(());
    }
    Err(CliError::setup(
        format!("the job is {}, and its report comes with its end", progress.state),
        "follow it with `s3ferry batch status JOB --follow`; a local job is gone on with by the command that began it",
    ))
}

#[expect(clippy::needless_pass_by_value, reason = "it is what a failed result hands over")]
fn wrong(error: CompletionReportError) -> CliError {
    CliError::setup(
        error.to_string(),
        "read the report again; if it stays like this, run the manifest again",
    )
}

/// Takes every row of a completion report.
pub(super) async fn each_row(
    place: &Place,
    root: &Root,
    id: &str,
    mut take: impl FnMut(&TaskRow) -> Result<(), CliError>,
) -> Result<(), CliError> {
    let name = format!("{}/{INDEX_NAME}", folder(id));
    let key = match root {
        Root::Folder(_) => name,
        Root::Bucket(location) => format!("{}{name}", location.prefix),
    };
    let index = place.fetch(&key).await?;
    let text = std::fs::read(index.path()).map_err(CliError::unreadable(format!("read {key}")))?;
    for file in CompletionReportManifest::parse(&key, &text).map_err(wrong)?.results {
        let fetched = place.fetch(&file.key).await?;
        let opened = File::open(fetched.path()).map_err(CliError::unreadable(format!("read {}", file.key)))?;
        for row in checked_rows(opened, &file.key, &file, wrong)? {
            take(&row.map_err(wrong)?)?;
        }
    }
    Ok(())
}

/// What is read of a report.
struct Reading {
    format: Format,
    stdout: Output<std::io::Stdout>,
    progress: ProgressReporter,
    tally: JobReportTotals,
    unreadable_lines: u64,
    most_shown: u64,
    shown: u64,
    retry_manifest: RetryManifest,
    file: Option<BufWriter<NamedTempFile>>,
}

impl Reading {
    fn new(shared: &SharedArgs, args: &ReportArgs) -> Result<Self, CliError> {
        let file = match &args.retry_manifest {
            None => None,
            // Beside its place, so that it can be moved there.
            Some(FileLocation::File(path)) => {
                make_way(path)?;
                Some(NamedTempFile::new_in(folder_of(path)))
            }
            Some(FileLocation::Object(_)) => Some(NamedTempFile::new()),
        };
        let file = file.transpose().map_err(CliError::file("create a temporary file"))?;
        Ok(Self {
            format: shared.output,
            stdout: Output::stdout(),
            progress: ProgressReporter::start("reading", "tasks", None),
            tally: JobReportTotals::default(),
            unreadable_lines: 0,
            most_shown: args.failures,
            shown: 0,
            retry_manifest: RetryManifest::default(),
            file: file.map(BufWriter::new),
        })
    }

    /// Reads a completion report.
    async fn report(&mut self, place: &Place, root: &Root, id: &str) -> Result<(), CliError> {
        each_row(place, root, id, |row| self.row(row)).await
    }

    /// Reads the results of a run of the state machine.
    async fn run(&mut self, clients: &Clients, region: &Region, state: BucketName, arn: &str) -> Result<(), CliError> {
        let name =
            RunName::new(name_of(arn)).map_err(|error| CliError::usage(error.to_string(), "name another run"))?;
        let region = found_region(clients, &state, region).await?;
        let results = S3Results::new(clients.s3_for_reading(&region), state, region, None);
        let prefix = format!("{}/results/", name.folder());
        let mut texts = pin!(texts(&results, &prefix, None));
        while let Some((name, text)) = texts.try_next().await? {
            for (line, number) in text.lines().zip(1_u64..).filter(|(line, _)| !line.trim().is_empty()) {
                let Ok(line) = serde_json::from_str::<ResultLine>(line) else {
                    self.unreadable_lines += 1;
                    continue;
                };
                self.line(&name, number, &line)?;
            }
        }
        Ok(())
    }

    fn row(&mut self, row: &TaskRow) -> Result<(), CliError> {
        self.tally.add(row);
        self.progress.advance(1);
        if row.end == TaskOutcome::Failed {
            self.failed(row)?;
        }
        Ok(())
    }

    fn line(&mut self, file: &str, number: u64, line: &ResultLine) -> Result<(), CliError> {
        self.tally.add_line(line);
        self.progress.advance(1);
        if line.is_done() {
            return Ok(());
        }
        // A row that names no key can only be shown.
        let cells = TaskCells::of_item(&line.row);
        let is_row = cells.is_some();
        let row = TaskRow {
            file: file.to_owned(),
            row: number,
            cells: cells.unwrap_or_else(|| TaskCells {
                bucket: String::new(),
                key: line.row.to_string(),
                version: None,
            }),
            end: TaskOutcome::Failed,
            http_status: None,
            error_code: line.outcome.clone(),
            message: line.detail.clone(),
        };
        if is_row { self.failed(&row) } else { self.show(&row) }
    }

    fn failed(&mut self, row: &TaskRow) -> Result<(), CliError> {
        let spelled = self.retry_manifest.csv_row(row).map_err(wrong)?;
        if let Some(file) = &mut self.file {
            writeln!(file, "{spelled}").map_err(CliError::file("write the residue"))?;
        }
        self.show(row)
    }

    fn show(&mut self, row: &TaskRow) -> Result<(), CliError> {
        let key = row.cells.shown_key();
        match self.format {
            Format::Human => {
                self.shown += 1;
                if self.shown > self.most_shown {
                    return Ok(());
                }
                self.stdout.line(format!("failed  {}", shown_key(&key)))?;
                self.stdout.line(format!("        {}", row.message.replace('\n', " ")))
            }
            Format::Json => self.stdout.json(&json!({
                "type": "failure",
                "key": key,
                "version": row.cells.version,
                "outcome": row.outcome(),
                "message": row.message,
            })),
        }
    }

    /// Puts the residue in its place, and writes the summary.
    async fn end(
        mut self,
        shared: &SharedArgs,
        args: &ReportArgs,
        progress: &JobProgress,
        clients: Option<(Clients, Region)>,
    ) -> Result<CommandOutcome, CliError> {
        self.progress.finish();
        let mut written = None;
        if let (Some(to), Some(file)) = (&args.retry_manifest, self.file.take())
            && self.retry_manifest.rows > 0
        {
            let file = file.into_inner();
            let file = file.map_err(|error| CliError::file("write the residue")(error.into_error()))?;
            let (clients, region) = match clients {
                Some(clients) => clients,
                None => retry_manifest_clients(shared, args, to).await?,
            };
            put(file, to, &clients, &region).await?;
            written = Some(to.to_string());
        }
        let never_run = progress.total.unwrap_or_default().saturating_sub(self.tally.tasks());
        self.summary(args, progress, never_run, written.as_deref())?;
        if never_run > 0 {
            say(&format!(
                "{} task(s) were never run and are not in the residue: run the job's own manifest again",
                grouped(never_run)
            ));
        }
        let is_done = self.tally.failed == 0
            && never_run == 0
            && self.unreadable_lines == 0
            && progress.state == s3ferry_core::batch_report::JobState::Complete;
        Ok(if is_done {
            CommandOutcome::Done
        } else {
            CommandOutcome::NotAll
        })
    }

    fn summary(
        &mut self,
        args: &ReportArgs,
        progress: &JobProgress,
        never_run: u64,
        retry_manifest: Option<&str>,
    ) -> Result<(), CliError> {
        let tally = &self.tally;
        match self.format {
            Format::Human => {
                if self.shown > self.most_shown {
                    let more = grouped(self.shown - self.most_shown);
                    self.stdout
                        .line(format!("and {more} more; --output json has them all"))?;
                }
                self.stdout.line(format!(
                    "{}: {} done, {} failed",
                    progress.state,
                    grouped(tally.succeeded),
                    grouped(tally.failed)
                ))?;
                if let Some(reason) = &progress.reason {
                    self.stdout.line(format!("  {reason}"))?;
                }
                for (outcome, count) in &tally.outcomes {
                    self.stdout.line(format!("  {:>12}  {outcome}", grouped(*count)))?;
                }
                if self.unreadable_lines > 0 {
                    let count = grouped(self.unreadable_lines);
                    self.stdout
                        .line(format!("  {count:>12}  lines of results that cannot be read"))?;
                }
                if let Some(retry_manifest) = retry_manifest {
                    let rows = grouped(self.retry_manifest.rows);
                    self.stdout.line(format!("residue: {rows} rows in {retry_manifest}"))?;
                }
            }
            Format::Json => self.stdout.json(&json!({
                "type": "summary",
                "job": args.job.job,
                "state": progress.state,
                "total": progress.total,
                "succeeded": tally.succeeded,
                "failed": tally.failed,
                "never_run": never_run,
                "outcomes": tally.outcomes,
                "unreadable_lines": self.unreadable_lines,
                "reason": progress.reason,
                "retry_manifest": retry_manifest,
                "retry_manifest_rows": self.retry_manifest.rows,
            }))?,
        }
        self.stdout.flush()
    }
}

/// Clients for a residue in a bucket, of a job that is in a folder.
async fn retry_manifest_clients(
    shared: &SharedArgs,
    args: &ReportArgs,
    to: &FileLocation,
) -> Result<(Clients, Region), CliError> {
    let anywhere = Region::new("us-east-1").map_err(|error| CliError::Bug(error.to_string()))?;
    let region = match to {
        // Nobody is asked.
        FileLocation::File(_) => Some(&anywhere),
        FileLocation::Object(_) => args.job.region.as_ref(),
    };
    let (clients, region) = load_clients(shared, region, "--region", RequestLimits::default()).await?;
    Ok((clients.expecting(args.job.state_bucket_owner.as_ref()), region))
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
