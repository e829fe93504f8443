//! Reads the results of a job, counts them, and collects the failed keys.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::pin::pin;

use futures::TryStreamExt as _;
use s3ferry_aws::batch::runs::name_of;
use s3ferry_aws::client::Clients;
use s3ferry_aws::file::FileStore;
use s3ferry_aws::results::S3Results;
use s3ferry_core::batch_operations::{ResultLine, RunName};
use s3ferry_core::batch_report::{
    CompletionReportError, CompletionReportManifest, INDEX_NAME, JobProgress, JobReportTotals, JobState, RetryManifest,
    TaskCells, TaskOutcome, TaskRow,
};
use s3ferry_core::names::{BucketName, Region};
use s3ferry_engine::results::texts;
use serde_json::json;
use tempfile::NamedTempFile;

use crate::args::SharedArgs;
use crate::exit::{CliError, CommandOutcome};
use crate::files::{FileLocation, fetch, find_region, folder_of, prepare_output, put};
use crate::output::{Format, Output};
use crate::progress::{ProgressReporter, print_message};
use crate::report_files::checked_rows;
use crate::text::{escaped_key, grouped};

#[expect(clippy::needless_pass_by_value, reason = "signature of `map_err`")]
fn wrong(error: CompletionReportError) -> CliError {
    CliError::setup(
        error.to_string(),
        "read the report again; if the error remains, run the manifest again",
    )
}

/// Calls `take` with every row of a completion report.
async fn each_row(
    files: &FileStore,
    prefix: &str,
    id: &str,
    mut take: impl FnMut(&TaskRow) -> Result<(), CliError>,
) -> Result<(), CliError> {
    let separator = if prefix.is_empty() || prefix.ends_with('/') {
        ""
    } else {
        "/"
    };
    let key = format!("{prefix}{separator}job-{id}/{INDEX_NAME}");
    let index = fetch(files, &key).await?;
    let text = std::fs::read(index.path()).map_err(CliError::unreadable(format!("read {key}")))?;
    for file in CompletionReportManifest::parse(&key, &text).map_err(wrong)?.results {
        let fetched = fetch(files, &file.key).await?;
        let opened = File::open(fetched.path()).map_err(CliError::unreadable(format!("read {}", file.key)))?;
        for row in checked_rows(opened, &file.key, &file, wrong)? {
            take(&row.map_err(wrong)?)?;
        }
    }
    Ok(())
}

/// The results of a job, while they are read.
pub(super) struct ReportReading {
    format: Format,
    stdout: Output<std::io::Stdout>,
    progress: ProgressReporter,
    tally: JobReportTotals,
    unreadable_lines: u64,
    most_shown: u64,
    shown: u64,
    retry_to: Option<FileLocation>,
    retry_manifest: RetryManifest,
    file: Option<BufWriter<NamedTempFile>>,
}

impl ReportReading {
    pub(super) fn begin(
        shared: &SharedArgs,
        retry_to: Option<&FileLocation>,
        most_shown: u64,
    ) -> Result<Self, CliError> {
        let file = match retry_to {
            None => None,
            // In the same folder, so that it can be renamed.
            Some(FileLocation::File(path)) => {
                prepare_output(path)?;
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
            most_shown,
            shown: 0,
            retry_to: retry_to.cloned(),
            retry_manifest: RetryManifest::default(),
            file: file.map(BufWriter::new),
        })
    }

    /// Returns the number of tasks with a result.
    pub(super) fn tasks(&self) -> u64 {
        self.tally.tasks()
    }

    /// Reads a completion report.
    pub(super) async fn report(&mut self, files: &FileStore, prefix: &str, id: &str) -> Result<(), CliError> {
        each_row(files, prefix, id, |row| self.row(row)).await
    }

    /// Reads the results of an execution of the state machine.
    pub(super) async fn execution(
        &mut self,
        clients: &Clients,
        region: &Region,
        state: BucketName,
        arn: &str,
    ) -> Result<(), CliError> {
        let name =
            RunName::new(name_of(arn)).map_err(|error| CliError::usage(error.to_string(), "pass another job"))?;
        let region = find_region(clients, &state, region).await?;
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
        // A row without a key is shown, but cannot be retried.
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
            writeln!(file, "{spelled}").map_err(CliError::file("write the retry manifest"))?;
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
                self.stdout.line(format!("failed  {}", escaped_key(&key)))?;
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

    /// Writes the retry manifest and the summary.
    pub(super) async fn end(
        mut self,
        job: &str,
        progress: &JobProgress,
        clients: &Clients,
        region: &Region,
    ) -> Result<CommandOutcome, CliError> {
        self.progress.finish();
        let mut written = None;
        if let (Some(to), Some(file)) = (&self.retry_to, self.file.take())
            && self.retry_manifest.rows > 0
        {
            let file = file.into_inner();
            let file = file.map_err(|error| CliError::file("write the retry manifest")(error.into_error()))?;
            put(file, to, clients, region).await?;
            written = Some(to.to_string());
        }
        let never_run = progress.total.unwrap_or_default().saturating_sub(self.tally.tasks());
        self.summary(job, progress, never_run, written.as_deref())?;
        if never_run > 0 {
            print_message(&format!(
                "{} task(s) never ran and are not in the retry manifest: run the job's manifest again",
                grouped(never_run)
            ));
        }
        let is_done = self.tally.failed == 0
            && never_run == 0
            && self.unreadable_lines == 0
            && progress.state == JobState::Complete;
        Ok(if is_done {
            CommandOutcome::Done
        } else {
            CommandOutcome::NotAll
        })
    }

    fn summary(
        &mut self,
        job: &str,
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
                        .line(format!("  {count:>12}  unreadable lines of results"))?;
                }
                if let Some(retry_manifest) = retry_manifest {
                    let rows = grouped(self.retry_manifest.rows);
                    self.stdout
                        .line(format!("retry manifest: {rows} rows in {retry_manifest}"))?;
                }
            }
            Format::Json => self.stdout.json(&json!({
                "type": "summary",
                "job": job,
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
