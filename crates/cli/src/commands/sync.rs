//! `s3ferry sync`: copies the objects that differ from the source to the destination.

mod deletes;
mod failures_file;
mod intents;
mod manifest_keys;
mod observed_destination;
mod results;
mod run;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use s3ferry_aws::clock::SystemClock;
use s3ferry_aws::journal::S3Journal;
use s3ferry_aws::limits::RequestLimits;
use s3ferry_core::facts::{Attribute, AttributeSet};
use s3ferry_core::names::{BucketName, ObjectKey};
use s3ferry_core::policy::Policy;
use s3ferry_engine::diff::attributes_at;
use s3ferry_engine::ports::Clock as _;
use s3ferry_engine::reconcile::UploadSupport;

use self::deletes::{DeleteArgs, SpilledKeys};
use self::manifest_keys::ManifestKeys;
use self::observed_destination::ObservedDestination;
use self::results::SyncResults;
use self::run::{SyncReconciler, SyncRun};
use crate::args::{DestinationArgs, PositionalArgs, SharedArgs, SourceArgs, bucket};
use crate::clock::InterruptibleClock;
use crate::compare::{CompareArgs, CompareDepthArg, findings_with_multipart};
use crate::denials::is_denial;
use crate::exit::{CliError, CommandOutcome};
use crate::files::{FileLocation, ensure_distinct};
use crate::interrupt::Interrupt;
use crate::inventories::InventoryArgs;
use crate::policy::{OwnershipArg, PolicyArgs};
use crate::progress::{ProgressReporter, print_message};
use crate::sides::BucketPair;

/// The arguments of `sync`.
#[derive(Debug, Args)]
#[command(override_usage = "s3ferry sync [OPTIONS] [SOURCE] [DESTINATION]")]
#[command(after_help = "\
Examples:
  Report what would be copied:
    s3ferry sync s3://app-data s3://app-data-eu --dry-run
  Copy it with at most 1,000 requests per second:
    s3ferry sync s3://app-data s3://app-data-eu --max-requests-per-second 1000
  Sync the keys of a manifest, such as the failed keys of a job; both buckets
  are those of the migration file s3ferry.toml:
    s3ferry sync --manifest retry.csv
  Compare metadata and tags too, and resume multipart copies after an
  interruption:
    s3ferry sync --source s3://app-data --destination s3://app-data-eu \\
      --destination-region eu-central-1 --depth head \\
      --state-bucket app-data-state

Run the same command again after an interruption or a failure. Equal objects
are skipped, and with --state-bucket multipart copies are resumed.

--depth listing finds an object that is newer at the source, but not a change
of tags, retention, legal hold or annotations. --depth head reads every object
and finds them. --ownership shared always uses --depth head.

--delete deletes after both listings are complete, and only if the source has
objects and the number of deletes is within --max-delete.")]
pub struct SyncArgs {
    #[command(flatten)]
    locations: PositionalArgs,
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    destination: DestinationArgs,
    /// Sync exactly the keys of this manifest, a file or an object, instead of listing both buckets
    #[arg(long, value_name = "FILE_OR_S3_URL", conflicts_with_all = ["delete", "adopt", "yes", "max_delete", "allow_empty_source", "list_concurrency"])]
    #[cfg_attr(feature = "inventory", arg(conflicts_with_all = ["source_inventory", "destination_inventory", "sort_memory_mib", "spill_dir"]))]
    manifest: Option<FileLocation>,
    #[command(flatten)]
    compare: CompareArgs,
    #[command(flatten)]
    policy: PolicyArgs,
    /// With --ownership shared: mark equal objects without a marker as copies of s3ferry
    #[arg(long)]
    adopt: bool,
    /// Report what would be written, and write nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    deletes: DeleteArgs,
    /// State bucket in the source's region: journals multipart copies, so that the next run resumes them;
    /// --source-bucket-owner applies to it too
    #[arg(long, value_name = "BUCKET", value_parser = bucket)]
    state_bucket: Option<BucketName>,
    /// File of the keys that failed, as JSON lines; created at the start
    #[arg(long, value_name = "FILE", default_value = "s3ferry-failures.jsonl")]
    failures: PathBuf,
    #[command(flatten)]
    inventories: InventoryArgs,
}

impl SyncArgs {
    /// Returns whether objects are copied.
    #[must_use]
    pub fn copies(&self) -> bool {
        !self.dry_run
    }

    /// Returns what is compared: with shared ownership every key is read, because an application's write that a copy
    /// hides leaves the listings equal.
    fn compared(&self) -> CompareArgs {
        CompareArgs {
            depth: if self.is_shared() {
                CompareDepthArg::Head
            } else {
                self.compare.depth
            },
            ..self.compare.clone()
        }
    }

    /// Returns whether recent multipart objects are read, because a killed run may have left them without annotations. A state
    /// bucket journals them instead.
    fn reads_recent_multipart_copies(&self) -> bool {
        self.state_bucket.is_none()
    }

    /// Returns what is read of every key besides what a HEAD shows.
    fn attributes(&self, compare: &CompareArgs) -> AttributeSet {
        let mut attributes = attributes_at(compare.depth());
        attributes.extend(
            self.reads_recent_multipart_copies()
                .then_some(Attribute::PendingAnnotations),
        );
        attributes
    }

    fn is_shared(&self) -> bool {
        self.policy.ownership == OwnershipArg::Shared
    }

    fn check(&self) -> Result<(), CliError> {
        let is_shared = self.is_shared();
        if is_shared && self.deletes.delete {
            return Err(CliError::usage(
                "--delete conflicts with --ownership shared",
                "omit --delete: applications may have written the objects that only the destination has",
            ));
        }
        if is_shared && self.state_bucket.is_none() {
            return Err(CliError::usage(
                "--ownership shared requires --state-bucket",
                "pass --state-bucket with the stack output StateBucketName",
            ));
        }
        if self.adopt && !is_shared {
            return Err(CliError::usage(
                "--adopt requires --ownership shared",
                "pass --ownership shared and --state-bucket",
            ));
        }
        let inputs = [("--manifest", &self.manifest)]
            .into_iter()
            .chain(self.inventories.files());
        let inputs = inputs.filter_map(|(flag, file)| Some((flag, file.as_ref()?.path()?.to_owned())));
        ensure_distinct(inputs.chain([("--failures", self.failures.clone())]))?;
        self.deletes.check(self.dry_run)
    }
}

/// The age up to which a sync without --state-bucket reads the annotations of multipart objects.
///
/// A multipart copy writes them after the object, and a run that was killed in between leaves no trace but the object
/// itself. A run that was killed is usually repeated within a day. Older objects are left to `--depth head`, so that a run that
/// finds nothing to do stays cheap. Last-Modified of a multipart object is when its upload began.
const RECENT_MULTIPART_COPIES: Duration = Duration::from_hours(24);

/// Syncs the destination with the source.
pub async fn run(shared: &SharedArgs, args: &SyncArgs, interrupt: &Interrupt) -> Result<CommandOutcome, CliError> {
    args.check()?;
    let given = &args.destination.destination_region;
    given.iter().try_for_each(|region| args.policy.check(region))?;
    let results = SyncResults::begin(shared.output, args.dry_run, args.state_bucket.is_some(), &args.failures)?;
    let compare = &args.compared();
    let concurrency = compare.concurrency.of_copies();
    let limits = RequestLimits::of_copies(compare.max_requests_per_second, concurrency.clone());
    let sides = BucketPair::open(shared, &args.source, &args.destination, limits).await?;
    args.policy.check(&sides.destination.region)?;
    sides.check_destination(args.policy.ownership()).await?;
    let sides = sides.with_inventories(&args.inventories).await?;
    let uploads = match &args.state_bucket {
        Some(bucket) => Some(sides.state(bucket).await?),
        None => None,
    };
    let manifest = match &args.manifest {
        Some(manifest) => Some(ManifestKeys::open(manifest, &sides).await?),
        None => None,
    };
    let (stopper, stopping) = interrupt.linked();
    let progress = ProgressReporter::start("syncing", "keys", compare.expected_objects);
    progress.show_concurrency(Some(&concurrency));
    let precondition_failures = results.precondition_failures();
    let mut work = SyncRun {
        attributes: args.attributes(compare),
        concurrency,
        held: args.deletes.delete.then(SpilledKeys::new).transpose()?,
        unfinished: match &uploads {
            Some(uploads) if !args.dry_run => unfinished(uploads, &sides).await?,
            _ => BTreeSet::new(),
        },
        deleted: None,
        reads_extra: args.is_shared(),
        // An inventory shows the destination of an earlier day.
        is_optimistic: args.inventories.files().iter().all(|(_, file)| file.is_none()),
        reads_deleted: false,
        interrupt: stopping.clone(),
        stopper,
        progress: progress.clone(),
        results,
    };
    let reconciler = |deletes| {
        let (source, destination) = sides.adapters();
        SyncReconciler {
            source,
            destination: ObservedDestination {
                inner: destination,
                progress: progress.clone(),
                precondition_failures: Arc::clone(&precondition_failures),
            },
            uploads: uploads.clone(),
            concurrent_parts: usize::from(args.policy.max_concurrent_parts),
            clock: InterruptibleClock::new(stopping.clone()),
            policy: Policy {
                adopts_equal_objects: args.adopt,
                dry_run: args.dry_run,
                ..args.policy.policy(sides.prefix(), deletes)
            },
        }
    };
    let read = match &uploads {
        Some(uploads) if args.is_shared() && manifest.is_none() => {
            work.read_intents(&uploads.journal, sides.prefix()).await
        }
        _ => Ok(()),
    };
    let ended = match read {
        Err(error) => Err(error),
        Ok(()) => sync(&mut work, args, &sides, interrupt, manifest, reconciler).await,
    };
    work.progress.finish();
    let ended = match ended {
        Ok(()) if interrupt.is_set() => Err(CliError::Interrupted),
        ended => ended,
    };
    work.results.end(&sides, ended)
}

/// Copies the keys that differ, and then deletes the keys that only the destination has.
///
/// No key is deleted before both listings are complete and the number of deletes is known.
async fn sync(
    work: &mut SyncRun,
    args: &SyncArgs,
    sides: &BucketPair,
    interrupt: &Interrupt,
    manifest: Option<ManifestKeys>,
    reconciler: impl Fn(bool) -> SyncReconciler,
) -> Result<(), CliError> {
    if let Some(manifest) = manifest {
        return work.manifest_keys(manifest, reconciler(false)).await;
    }
    let since = args.reads_recent_multipart_copies();
    let since = since.then(|| SystemClock.now().minus(RECENT_MULTIPART_COPIES));
    let found = findings_with_multipart(sides, &args.compared(), since);
    work.copies(found, reconciler(false)).await?;
    let Some(held) = work.held.take().filter(|held| held.count > 0) else {
        return Ok(());
    };
    work.progress.finish();
    let deletes = work.results.deletes(held.count);
    let allowed = if interrupt.is_set() {
        Err(CliError::Interrupted)
    } else {
        args.deletes.refusal(sides, &deletes)
    };
    let confirmed = match allowed {
        Ok(()) if !args.deletes.yes && !args.dry_run => deletes::confirm(sides, &deletes, interrupt).await,
        allowed => allowed,
    };
    if confirmed.is_err() && !args.dry_run {
        work.results.extra(held.count);
        return confirmed;
    }
    work.progress = ProgressReporter::start("deleting", "keys", Some(held.count));
    work.deletes(held, reconciler(true)).await?;
    confirmed
}

/// Finds the keys whose multipart copies earlier runs left unfinished. Their uploads are resumed, or aborted if the key no
/// longer needs a copy.
async fn unfinished(uploads: &UploadSupport<S3Journal>, sides: &BucketPair) -> Result<BTreeSet<ObjectKey>, CliError> {
    match uploads.journal.unfinished().await {
        Ok(keys) => Ok(keys
            .into_iter()
            .filter(|key| key.as_str().starts_with(sides.prefix()))
            .collect()),
        Err(failure) if is_denial(&failure) => {
            print_message(&format!(
                "uploads of earlier runs are resumed if their keys still differ, and are not aborted otherwise: {failure}"
            ));
            Ok(BTreeSet::new())
        }
        Err(failure) => Err(failure.into()),
    }
}
