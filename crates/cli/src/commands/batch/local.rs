//! Jobs that this process runs, with the function's own code and the semantics of S3 Batch Operations.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::sync::{Arc, OnceLock};

use s3ferry_aws::client::RequestLimits;
use s3ferry_aws::clock::SystemClock;
use s3ferry_aws::destination::S3Destination;
use s3ferry_aws::journal::S3Journal;
use s3ferry_aws::results::S3Results;
use s3ferry_aws::source::S3Source;
use s3ferry_core::batch_operations::{ResultCode, outcome_of_text};
use s3ferry_core::batch_report::{JobProgress, JobReportTotals, JobState, TokenFields};
use s3ferry_core::event::Continuation;
use s3ferry_core::failure::{Failure, FailureKind, is_credentials_code};
use s3ferry_core::manifest::{ManifestReader, ManifestRow};
use s3ferry_core::names::BucketName;
use s3ferry_core::policy::Policy;
use s3ferry_engine::batch::BatchReconciler;
use s3ferry_engine::final_sync::{FinalSync, FinalSyncInvocation, JobTerms};
use s3ferry_engine::job::{Invoke, JobRecord, LocalJob, ReportLocation, Stop, folder};
use s3ferry_engine::ports::{Clock as _, Continuations};
use s3ferry_engine::reconcile::{Reconciler, UploadSupport};
use serde_json::{Value, json};

use super::cloud::unusable_manifest;
use super::place::{Fetched, Root};
use super::report::each_row;
use super::start::StartArgs;
use crate::args::{DestinationArgs, SharedArgs, SourceArgs};
use crate::clock::InterruptibleClock;
use crate::exit::{CliError, CommandOutcome};
use crate::files::{FileLocation, fetch, file_store};
use crate::interrupt::{Interrupt, Stopper};
use crate::output::{Format, Output, grouped};
use crate::policy::OwnershipArg;
use crate::progress::{ProgressReporter, say};
use crate::sides::BucketPair;

/// How many invocations there are at once, so that one slow object does not hold all others up.
const INVOCATIONS: usize = 2;

/// Where reports go by themselves.
const DEFAULT_FOLDER: &str = "s3ferry-batch";

/// There is no queue here: what is not done runs again.
enum NoQueue {}

impl Continuations for NoQueue {
    async fn send(&self, _: &Continuation, _: std::time::Duration) -> Result<(), Failure> {
        match *self {}
    }
}

type Engine = BatchReconciler<S3Source, S3Destination, InterruptibleClock, S3Journal, NoQueue>;

/// The function, in this process.
struct Function<F> {
    final_sync: FinalSync<F, S3Results>,
    /// The first task that failed for the credentials, of which all others would.
    refused: Arc<OnceLock<Failure>>,
    /// Ends the job then.
    stopper: Stopper,
}

impl<F> Function<F> {
    /// Has tasks run again that failed for the credentials: with others they may succeed.
    fn spare(&self, reply: &mut Value) {
        let results = reply.get_mut("results").and_then(Value::as_array_mut);
        for result in results.into_iter().flatten() {
            let text = result.get("resultString").and_then(Value::as_str).unwrap_or_default();
            let outcome = outcome_of_text(text).unwrap_or_default();
            let code = outcome.strip_prefix("failed:").unwrap_or_default();
            if !is_credentials_code(code) {
                continue;
            }
            let failure = Failure {
                kind: FailureKind::Configuration,
                code: code.to_owned(),
                action: "work through the manifest".to_owned(),
                resource: "the source and the destination".to_owned(),
                detail: text.to_owned(),
            };
            self.refused.get_or_init(|| failure);
            self.stopper.stop();
            if let Some(code) = result.get_mut("resultCode") {
                *code = ResultCode::TemporaryFailure.as_str().into();
            }
        }
    }
}

impl<F: Fn(&JobTerms) -> Engine + Send + Sync> Invoke for Function<F> {
    async fn invoke(&self, payload: &Value) -> Result<Value, String> {
        let invocation = FinalSyncInvocation {
            id: "local",
            deadline: InterruptibleClock::no_end(),
        };
        let reply = self.final_sync.handle(payload, &invocation).await;
        let reply = reply.map_err(|error| error.to_string())?;
        let mut reply = serde_json::to_value(reply).map_err(|error| error.to_string())?;
        self.spare(&mut reply);
        Ok(reply)
    }
}

impl Stop for Interrupt {
    fn is_set(&self) -> bool {
        Interrupt::is_set(self)
    }

    async fn wait(&self) {
        Interrupt::wait(self).await;
    }
}

/// Runs a job, or goes on with it.
pub(super) async fn run(
    shared: &SharedArgs,
    args: &StartArgs,
    interrupt: &Interrupt,
) -> Result<CommandOutcome, CliError> {
    let user_arguments = args.user_arguments()?;
    let (source, destination) = both_sides(args)?;
    if args.policy.ownership == OwnershipArg::Shared && args.local.state_bucket.is_none() {
        return Err(CliError::usage(
            "--ownership shared requires --state-bucket",
            "give --state-bucket, as the replicator has it",
        ));
    }
    args.policy.check(&destination.destination_region)?;
    let limits = RequestLimits::new(args.local.max_requests_per_second, args.local.concurrency);
    let sides = BucketPair::open(shared, &source, &destination, limits).await?;
    sides.check_destination(args.policy.ownership()).await?;
    let uploads = match &args.local.state_bucket {
        Some(bucket) => Some(sides.state(bucket).await?),
        None => None,
    };
    let manifest = args.manifest.to_string();
    let file = manifest_file(&args.manifest, &sides).await?;
    let (rows, digest) = read_manifest(file.path(), &manifest, &sides.source.location.bucket)?;
    let root = match &args.report_prefix {
        Some(root) => root.clone(),
        None => Root::Folder(DEFAULT_FOLDER.into()),
    };
    let place = root.open(&sides.clients, &sides.source.region).await?;
    let fields = TokenFields::default()
        .with("manifest", &manifest)
        .with("digest", digest)
        .with("source", sides.source.location.to_string())
        .with("destination", sides.destination.location.to_string())
        .with("policy", format!("{:?}", args.policy))
        .with("run", &args.run);
    let token = user_arguments.iter().fold(fields, |fields, (name, value)| {
        fields.with("argument", name).with("value", value)
    });
    let id = token.token().short();
    let (stopper, stopping) = interrupt.linked();
    let refused = Arc::default();
    let job = LocalJob {
        record: JobRecord {
            id: id.clone(),
            state: JobState::New,
            created: SystemClock.now().to_rfc3339(),
            manifest,
            tasks: u64::try_from(rows.len()).unwrap_or(u64::MAX),
            user_arguments,
        },
        function: Function {
            final_sync: final_sync(&sides, args, uploads, &stopping),
            refused: Arc::clone(&refused),
            stopper,
        },
        store: place,
        clock: SystemClock,
        stop: stopping.clone(),
        tasks_per_invocation: usize::from(args.local.tasks_per_invocation),
        invocations: INVOCATIONS,
        report_location: report_location(&root),
    };
    let name = job_name(&root, &id);
    let progress = ProgressReporter::start("working", "tasks", Some(job.record.tasks));
    let watch = |now: &JobProgress| {
        progress.set(now.ended(), now.total);
        progress.counts(&[("failed", now.failed)]);
    };
    let ended = job.run(&rows, &watch).await;
    progress.finish();
    let ended = ended?;
    if ended.is_all_done() {
        let mut tally = JobReportTotals::default();
        each_row(&job.store, &root, &id, |row| {
            tally.add(row);
            Ok(())
        })
        .await?;
        warn_of_nothing(&tally);
    }
    let end = conclude(shared, &name, &ended, interrupt)?;
    match refused.get() {
        Some(failure) => Err(CliError::Failed(failure.clone())),
        None => Ok(end),
    }
}

/// Warns of a job whose tasks all name keys that neither bucket has: the manifest is of another bucket, or too old.
fn warn_of_nothing(tally: &JobReportTotals) {
    let absent = tally.outcomes.get("skipped:both-absent").copied().unwrap_or_default();
    if absent == tally.tasks() {
        say(&format!(
            "nothing was compared: of {} task(s), {} named keys that neither bucket has; check that the manifest is \
             of this source and not out of date",
            grouped(tally.tasks()),
            grouped(absent)
        ));
    }
}

fn conclude(
    shared: &SharedArgs,
    name: &str,
    ended: &JobProgress,
    interrupt: &Interrupt,
) -> Result<CommandOutcome, CliError> {
    let mut output = Output::stdout();
    match shared.output {
        // The job's name alone, for `JOB=$(s3ferry batch start ...)`.
        Format::Human => output.line(name)?,
        Format::Json => output.json(&json!({
            "type": "summary",
            "engine": super::BatchService::Local.as_str(),
            "job": name,
            "state": ended.state,
            "total": ended.total,
            "succeeded": ended.succeeded,
            "failed": ended.failed,
        }))?,
    }
    output.flush()?;
    say(&format!(
        "{}: {} done, {} failed, of {}",
        ended.state,
        grouped(ended.succeeded),
        grouped(ended.failed),
        grouped(ended.total.unwrap_or_default())
    ));
    if ended.failed > 0 {
        say(&format!(
            "what failed, and a manifest of it: s3ferry batch report {name} --retry-manifest retry.csv"
        ));
    }
    if ended.is_all_done() {
        Ok(CommandOutcome::Done)
    } else if interrupt.is_set() && !ended.state.is_over() {
        Err(CliError::Interrupted)
    } else {
        Ok(CommandOutcome::NotAll)
    }
}

fn both_sides(args: &StartArgs) -> Result<(SourceArgs, DestinationArgs), CliError> {
    let buckets = &args.buckets;
    let (Some(source), Some(destination), Some(destination_region)) =
        (&buckets.source, &buckets.destination, &buckets.destination_region)
    else {
        return Err(CliError::usage(
            "--engine local copies from this machine, and must know both buckets",
            "give --source, --destination and --destination-region",
        ));
    };
    let source = SourceArgs {
        source: source.clone(),
        source_region: buckets.source_region.clone(),
        source_bucket_owner: buckets.source_bucket_owner.clone(),
    };
    let destination = DestinationArgs {
        destination: destination.clone(),
        destination_region: destination_region.clone(),
        destination_bucket_owner: buckets.destination_bucket_owner.clone(),
    };
    Ok((source, destination))
}

fn final_sync(
    sides: &BucketPair,
    args: &StartArgs,
    uploads: Option<UploadSupport<S3Journal>>,
    interrupt: &Interrupt,
) -> FinalSync<impl Fn(&JobTerms) -> Engine + Send + Sync + use<>, S3Results> {
    let (source, destination) = sides.adapters();
    let settings: Policy = args.policy.policy(sides.prefix(), false);
    let source_bucket = sides.source.location.bucket.clone();
    let concurrent_parts = usize::from(args.policy.max_concurrent_parts);
    let concurrency = (usize::from(args.local.concurrency) / INVOCATIONS).max(1);
    let clock = InterruptibleClock::new(interrupt.clone());
    let batches = move |terms: &JobTerms| BatchReconciler {
        source_bucket: source_bucket.clone(),
        reconciler: Reconciler {
            source: source.clone(),
            destination: destination.clone(),
            uploads: uploads.clone(),
            concurrent_parts,
            clock: clock.clone(),
            policy: terms.policy.clone(),
        },
        continuations: None,
        concurrency,
    };
    FinalSync::new(batches, settings, None)
}

async fn manifest_file(manifest: &FileLocation, sides: &BucketPair) -> Result<Fetched, CliError> {
    match manifest {
        FileLocation::File(path) => Ok(Fetched::Own(path.clone())),
        FileLocation::Object(location) => {
            let files = file_store(&sides.clients, &location.bucket, &sides.source.region).await?;
            Ok(Fetched::Temporary(fetch(&files, &location.prefix).await?))
        }
    }
}

/// Reads a manifest strictly; returns its rows and a digest of them.
fn read_manifest(path: &Path, name: &str, bucket: &BucketName) -> Result<(Vec<ManifestRow>, String), CliError> {
    let unreadable = || CliError::unreadable(format!("read the manifest {name}"));
    let mut lines = BufReader::new(std::fs::File::open(path).map_err(unreadable())?);
    let mut reader = ManifestReader::new(name, Some(bucket.clone()));
    let mut rows = Vec::new();
    let mut fields = TokenFields::default();
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line).map_err(unreadable())? > 0 {
        let row = reader
            .line(&line)
            .map_err(|error| unusable_manifest(&error.to_string()))?;
        if let Some(row) = row {
            fields = fields.with("row", row.to_csv());
            rows.push(row);
        }
        line.clear();
    }
    if rows.is_empty() {
        return Err(unusable_manifest(&format!("{name} has no rows")));
    }
    if reader.duplicates > 0 {
        say(&format!(
            "{name}: {} row(s) were there before and are left out",
            grouped(reader.duplicates)
        ));
    }
    Ok((rows, fields.token().as_str().to_owned()))
}

fn report_location(root: &Root) -> ReportLocation {
    match root {
        Root::Folder(_) => ReportLocation {
            bucket: String::new(),
            prefix: String::new(),
        },
        Root::Bucket(location) => ReportLocation {
            bucket: location.bucket.to_string(),
            prefix: location.prefix.clone(),
        },
    }
}

fn job_name(root: &Root, id: &str) -> String {
    match root {
        Root::Folder(path) => path.join(folder(id)).display().to_string(),
        Root::Bucket(location) => format!("{location}{}", folder(id)),
    }
}
