//! `s3ferry manifest`: writes manifests for S3 Batch Operations and the state machine.
#![expect(clippy::doc_markdown, reason = "help texts are not Markdown")]

mod files;

use std::num::NonZeroU64;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use clap::Args;
use futures::{Stream, StreamExt as _, stream};
use s3ferry_aws::client::Clients;
use s3ferry_aws::limits::RequestLimits;
use s3ferry_aws::source::S3Source;
use s3ferry_core::diff::{DifferentKey, SideName};
use s3ferry_core::encryption::EncryptionRules;
use s3ferry_core::facts::{AttributeSet, ObjectState};
use s3ferry_core::failure::{Failure, FailureCode, FailureKind};
use s3ferry_core::manifest::ManifestRow;
use s3ferry_core::names::{AccountId, BucketName, ObjectKey, Region};
use s3ferry_core::object_class::{ObjectClass, class_of};
use s3ferry_core::versions::VersionName;
use s3ferry_engine::ports::SourceBucket as _;

use self::files::{ClassifiedObject, ManifestFiles};
use crate::args::{DestinationArgs, PositionalArgs, SharedArgs, SourceArgs, account, region};
use crate::bucket_side::{BucketSide, open_source};
use crate::compare::{CompareArgs, CompareDepthArg, confirmed_differences, findings};
use crate::denials::DenialCounter;
use crate::exit::{CliError, CommandOutcome};
use crate::files::FileLocation;
use crate::interrupt::Interrupt;
use crate::inventories::{Inventories, InventoryArgs};
use crate::location::Location;
use crate::manifest_location::{ManifestLocation, prepare_numbered_output};
use crate::progress::{ProgressReporter, print_message};
use crate::rows::listed;
use crate::sides::BucketPair;
use crate::text::grouped;

/// The arguments of `manifest`.
#[derive(Debug, Args)]
#[command(override_usage = "s3ferry manifest [OPTIONS] --to <FILE_OR_S3_URL> [SOURCE] [DESTINATION]")]
#[command(after_help = "\
Examples:
  Write the keys that differ, for a job of S3 Batch Operations:
    s3ferry manifest s3://app-data s3://app-data-eu \\
      --to s3://state/final-sync/run-1.csv
  Write all keys, one manifest per class, a million rows per file:
    s3ferry manifest s3://app-data --all-keys --by-class \\
      --rows-per-file 1000000 --to run-1.csv

Files are numbered: run-1-0001.csv, with --by-class run-1-plain-0001.csv,
run-1-large-or-rich-0001.csv, run-1-archived-0001.csv (restore these first) and
run-1-not-copyable-0001.jsonl (with the reasons). Objects that cannot be read
go to the not-copyable file too, and end the command with exit code 1.")]
pub struct ManifestArgs {
    #[command(flatten)]
    locations: PositionalArgs,
    #[command(flatten)]
    source: SourceArgs,
    /// Destination bucket: write only keys that differ; without it, all keys of the source
    #[arg(long, value_name = "S3_URL")]
    destination: Option<Location>,
    /// Region of the destination bucket [default: detected]
    #[arg(long, value_name = "REGION", requires = "destination", value_parser = region)]
    destination_region: Option<Region>,
    /// Account that must own the destination bucket
    #[arg(long, value_name = "ACCOUNT", value_parser = account, requires = "destination")]
    destination_bucket_owner: Option<AccountId>,
    /// Write all keys of the source, although the migration file has a destination
    #[arg(long, conflicts_with_all = ["destination", "destination_region", "destination_bucket_owner", "positional_destination"])]
    all_keys: bool,
    #[command(flatten)]
    compare: CompareArgs,
    /// File or object of the manifest, such as s3://state/final-sync/run-1.csv; numbers are added
    #[arg(long, value_name = "FILE_OR_S3_URL")]
    to: FileLocation,
    /// Account that must own the bucket of --to [default: --source-bucket-owner]
    #[arg(long, value_name = "ACCOUNT", value_parser = account)]
    state_bucket_owner: Option<AccountId>,
    /// Largest number of rows in one file
    #[arg(long, value_name = "NUMBER", default_value = "1000000")]
    rows_per_file: NonZeroU64,
    /// Write one manifest per class of objects; sends a HEAD request per object
    #[arg(long)]
    by_class: bool,
    /// Name the current version of each object; sends a HEAD request per object
    #[arg(long)]
    versions: bool,
    #[command(flatten)]
    inventories: InventoryArgs,
}

impl ManifestArgs {
    fn destination(&self) -> Option<DestinationArgs> {
        if self.all_keys {
            return None;
        }
        Some(DestinationArgs {
            destination: self.destination.clone()?,
            destination_region: self.destination_region.clone(),
            destination_bucket_owner: self.destination_bucket_owner.clone(),
        })
    }
}

/// The source with its clients, its inventory and the keys to write.
type OpenedKeys = (Clients, BucketSide, Inventories, Keys);

type Keys = Pin<Box<dyn Stream<Item = Result<Vec<ObjectKey>, Failure>> + Send>>;

/// Lists or compares the keys, classifies them, and writes the manifests.
pub async fn run(shared: &SharedArgs, args: &ManifestArgs, interrupt: &Interrupt) -> Result<CommandOutcome, CliError> {
    let compare = &args.compare;
    prepare_numbered_output(&args.to)?;
    let limits = compare.limits();
    let listed_keys = Arc::<AtomicU64>::default();
    let denials = DenialCounter::default();
    let (clients, source, inventories, keys): OpenedKeys = match args.destination() {
        Some(destination) => {
            let sides = BucketPair::open(shared, &args.source, &destination, limits).await?;
            let sides = sides.with_inventories(&args.inventories).await?;
            let keys = different_keys(&sides, compare, &denials, &listed_keys);
            (sides.clients, sides.source, sides.inventories, keys)
        }
        None if compare.depth == CompareDepthArg::Head => {
            return Err(CliError::usage(
                "--depth head requires --destination",
                "pass --destination, or omit --depth head",
            ));
        }
        None => all_keys(shared, args, limits, &listed_keys).await?,
    };
    let owner = args.state_bucket_owner.as_ref().or(source.owner.as_ref());
    let location = ManifestLocation::open(&args.to, &clients.expecting(owner), &source.region).await?;
    let mut files = ManifestFiles::begin(location, args.rows_per_file.get(), args.by_class).await?;
    let progress = ProgressReporter::start("writing", "rows", compare.expected_objects);
    let bucket = source.location.bucket.clone();
    let sorted: Pin<Box<dyn Stream<Item = Result<Option<ClassifiedObject>, Failure>> + Send>> =
        if args.by_class || args.versions {
            Box::pin(read_objects(keys, adapter(&clients, &source), bucket, args, &denials))
        } else {
            Box::pin(unread_rows(keys, bucket))
        };
    let mut rows = 0;
    let ended = write(sorted, &mut files, &mut rows, &progress, interrupt).await;
    progress.finish();
    let ended = ended.and_then(|()| denials.ensure_not_all_denied().map_err(CliError::from));
    if let Err(error) = ended {
        print_message(&format!("stopped after {} rows: manifest incomplete", grouped(rows)));
        if let Some(left) = files.abandon(shared.output, &error, rows)? {
            print_message(&left);
        }
        return Err(error);
    }
    if listed_keys.load(Ordering::Relaxed) == 0 {
        print_message(&format!(
            "warning: {} has no objects, so the manifest is empty. Check the bucket and the prefix of --source",
            source.location
        ));
    }
    let unread = files.unread;
    if unread > 0 {
        print_message(&format!(
            "{} object(s) could not be read: the not-copyable file names them, with the reasons",
            grouped(unread)
        ));
    }
    files.end(shared.output, &inventories).await?;
    Ok(if unread == 0 {
        CommandOutcome::Done
    } else {
        CommandOutcome::NotAll
    })
}

async fn write(
    sorted: impl Stream<Item = Result<Option<ClassifiedObject>, Failure>> + Send,
    files: &mut ManifestFiles,
    rows: &mut u64,
    progress: &ProgressReporter,
    interrupt: &Interrupt,
) -> Result<(), CliError> {
    let mut sorted = std::pin::pin!(sorted);
    loop {
        let next = tokio::select! {
            () = interrupt.wait() => return Err(CliError::Interrupted),
            next = sorted.next() => next,
        };
        let Some(next) = next else { return Ok(()) };
        if let Some(sorted) = next? {
            files.write(&sorted).await?;
            *rows += 1;
            progress.advance(1);
        }
    }
}

/// Opens the source, and returns all of its keys.
async fn all_keys(
    shared: &SharedArgs,
    args: &ManifestArgs,
    limits: RequestLimits,
    listed_keys: &Arc<AtomicU64>,
) -> Result<OpenedKeys, CliError> {
    let compare = &args.compare;
    let (clients, source) = open_source(shared, &args.source, limits).await?;
    for warning in source.warnings(&clients).await? {
        print_message(&warning);
    }
    let inventories = Inventories::open(&args.inventories, &clients, &source, None).await?;
    let pages = inventories.rows(SideName::Source).unwrap_or_else(|| {
        let listing = source.listing(&clients);
        Box::pin(listed(listing, &source.location.prefix, compare.prefetch_limits()))
    });
    let counter = Arc::clone(listed_keys);
    let keys = pages.map(move |page| {
        let page = page?;
        counter.fetch_add(u64::try_from(page.len()).unwrap_or(u64::MAX), Ordering::Relaxed);
        Ok(page.into_iter().map(|row| row.key).collect())
    });
    Ok((clients, source, inventories, Box::pin(keys)))
}

/// Returns the keys that differ and that the source has.
fn different_keys(
    sides: &BucketPair,
    compare: &CompareArgs,
    denials: &DenialCounter,
    listed_keys: &Arc<AtomicU64>,
) -> Keys {
    let listed_keys = Arc::clone(listed_keys);
    if compare.depth == CompareDepthArg::Head {
        return Box::pin(
            confirmed_differences(sides, compare, EncryptionRules::default(), denials).map(move |page| {
                let page = page?;
                listed_keys.fetch_add(page.counts.source_keys, Ordering::Relaxed);
                let different = page.different.filter(DifferentKey::can_be_copied);
                Ok(different.map(|different| different.key).into_iter().collect())
            }),
        );
    }
    Box::pin(findings(sides, compare).map(move |merged| {
        let merged = merged?;
        listed_keys.fetch_add(merged.counts.source_keys, Ordering::Relaxed);
        let pair = merged
            .finding
            .map(|(pair, _)| pair)
            .filter(|pair| pair.source().is_some());
        Ok(pair.map(|pair| pair.key().clone()).into_iter().collect())
    }))
}

fn adapter(clients: &Clients, source: &BucketSide) -> S3Source {
    let bucket = source.location.bucket.clone();
    S3Source::new(
        clients.s3_for_reading(&source.region),
        bucket.clone(),
        source.region.clone(),
        source.owner.clone(),
        // Needed for the replication configuration only, which is not read here.
        bucket,
    )
}

fn one_by_one(keys: Keys) -> impl Stream<Item = Result<ObjectKey, Failure>> + Send {
    keys.flat_map(|page| match page {
        Ok(keys) => stream::iter(keys.into_iter().map(Ok).collect::<Vec<_>>()),
        Err(failure) => stream::iter(vec![Err(failure)]),
    })
}

fn unread_rows(keys: Keys, bucket: BucketName) -> impl Stream<Item = Result<Option<ClassifiedObject>, Failure>> + Send {
    one_by_one(keys).map(move |key| {
        Ok(Some(ClassifiedObject {
            row: ManifestRow::new(bucket.clone(), key?, None),
            class: ObjectClass::Plain,
            reason: String::new(),
            is_unread: false,
        }))
    })
}

fn read_objects(
    keys: Keys,
    source: S3Source,
    bucket: BucketName,
    args: &ManifestArgs,
    denials: &DenialCounter,
) -> impl Stream<Item = Result<Option<ClassifiedObject>, Failure>> + Send + use<> {
    let kind = Kind {
        by_class: args.by_class,
        versions: args.versions,
    };
    let shared = Arc::new((source, bucket, denials.clone()));
    one_by_one(keys)
        .map(move |key| {
            let shared = Arc::clone(&shared);
            async move {
                let (source, bucket, denials) = &*shared;
                read_object(source, bucket, key?, kind, denials).await
            }
        })
        .buffered(args.compare.concurrency.objects())
}

/// What a manifest contains.
#[derive(Debug, Clone, Copy)]
struct Kind {
    by_class: bool,
    versions: bool,
}

/// Sorts an object by its HEAD; `None` when it is gone by now.
async fn read_object(
    source: &S3Source,
    bucket: &BucketName,
    key: ObjectKey,
    kind: Kind,
    denials: &DenialCounter,
) -> Result<Option<ClassifiedObject>, Failure> {
    let read = source.read(&key, &AttributeSet::new()).await;
    denials.record(read.as_ref().err())?;
    let facts = match read {
        Ok(ObjectState::Present(facts)) => facts,
        Ok(ObjectState::NotFound | ObjectState::DeleteMarker | ObjectState::ConfirmedAbsent) => return Ok(None),
        Err(failure) if failure.kind == FailureKind::Permanent => {
            // Under a key of the customer's nothing can be read, which is all that its class has to say.
            let is_class_known = kind.by_class && failure.code == FailureCode::CustomerKeyEncrypted;
            return Ok(Some(ClassifiedObject {
                row: ManifestRow::new(bucket.clone(), key, None),
                class: ObjectClass::NotCopyable,
                reason: failure.to_string(),
                is_unread: !is_class_known,
            }));
        }
        Err(failure) => return Err(failure),
    };
    let (class, reason) = class_of(&facts);
    let version = kind.versions.then(|| VersionName::of(facts.version_id.as_ref()));
    Ok(Some(ClassifiedObject {
        row: ManifestRow::new(bucket.clone(), key, version),
        class,
        reason: reason.to_owned(),
        is_unread: false,
    }))
}
