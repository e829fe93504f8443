//! `s3ferry diff`: compares two buckets.

mod report;

use clap::Args;
use futures::{Stream, StreamExt as _, stream};
use s3ferry_core::diff::{DiffCounts, DiffDepth, DifferentKey};
use s3ferry_core::failure::Failure;
use s3ferry_engine::diff::{ConfirmedPage, MergedPage};
use s3ferry_engine::ports::DestinationObjects as _;

use self::report::{DiffFormat, DifferenceWriter};
use crate::args::{DestinationArgs, PositionalArgs, SharedArgs, SourceArgs};
use crate::compare::{CompareArgs, CompareDepthArg, confirmed_differences, findings};
use crate::denials::DenialCounter;
use crate::exit::{CliError, CommandOutcome};
use crate::interrupt::Interrupt;
use crate::inventories::InventoryArgs;
use crate::output::Format;
use crate::policy::EncryptionArgs;
use crate::progress::{ProgressReporter, print_message};
use crate::sides::BucketPair;
use crate::text::grouped;

/// The arguments of `diff`.
#[derive(Debug, Args)]
#[command(override_usage = "s3ferry diff [OPTIONS] [SOURCE] [DESTINATION]")]
#[command(after_help = "\
Examples:
  Compare the keys below images/:
    s3ferry diff s3://app-data/images/ s3://app-data-eu/images/
  Compare the metadata and tags of every object too, as JSON lines; both
  buckets are those of the migration file s3ferry.toml:
    s3ferry diff --depth head --output json > diff.jsonl
  Compare an S3 Inventory report of the source with the destination's listing:
    s3ferry diff s3://app-data s3://app-data-eu \\
      --source-inventory s3://reports/app-data/2026-11-22T01-00Z/manifest.json
  Write a manifest of the keys to copy, for S3 Batch Operations:
    s3ferry diff s3://app-data s3://app-data-eu --format manifest > run.csv

Each difference is read again on both sides before it is reported, so objects
that were written during the comparison are not reported. --depth listing
finds an object that is newer at the source, but not a change of tags,
retention, legal hold or annotations: --depth head finds those.

Exit code 0 means equal, 1 means different or that neither side has an
object.")]
pub struct DiffArgs {
    #[command(flatten)]
    locations: PositionalArgs,
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    destination: DestinationArgs,
    #[command(flatten)]
    compare: CompareArgs,
    /// Format of the differences [default: table, or json with --output json]
    #[arg(long, value_enum, value_name = "FORMAT")]
    format: Option<DiffFormat>,
    /// Report the differences of the listings without reading the objects
    #[arg(long)]
    unconfirmed: bool,
    /// Exit with 0 although neither side has an object
    #[arg(long)]
    allow_empty: bool,
    #[command(flatten)]
    encryption: EncryptionArgs,
    #[command(flatten)]
    inventories: InventoryArgs,
}

/// Compares two buckets, and writes the differences.
pub async fn run(shared: &SharedArgs, args: &DiffArgs, interrupt: &Interrupt) -> Result<CommandOutcome, CliError> {
    let compare = &args.compare;
    if args.unconfirmed && compare.depth == CompareDepthArg::Head {
        return Err(CliError::usage(
            "--unconfirmed conflicts with --depth head",
            "omit --unconfirmed, or pass --depth listing",
        ));
    }
    let given = &args.destination.destination_region;
    given.iter().try_for_each(|region| args.encryption.check(region))?;
    let limits = compare.limits();
    let concurrency = limits.concurrency.clone();
    let sides = BucketPair::open(shared, &args.source, &args.destination, limits).await?;
    args.encryption.check(&sides.destination.region)?;
    let sides = sides.with_inventories(&args.inventories).await?;
    let format = args.format.unwrap_or(match shared.output {
        Format::Human => DiffFormat::Table,
        Format::Json => DiffFormat::Json,
    });
    let mut report = DifferenceWriter::begin(format, &sides)?;
    let progress = ProgressReporter::start("comparing", "keys", compare.expected_objects);
    progress.show_concurrency(concurrency.as_ref());
    let denials = DenialCounter::default();
    let found: std::pin::Pin<Box<dyn Stream<Item = Result<ConfirmedPage, Failure>> + Send>> = if args.unconfirmed {
        Box::pin(as_listed(findings(&sides, compare)))
    } else {
        let default = match compare.depth() {
            DiffDepth::Head => sides.adapters().1.default_encryption().await?,
            DiffDepth::Listing => None,
        };
        Box::pin(confirmed_differences(
            &sides,
            compare,
            args.encryption.rules(default),
            &denials,
        ))
    };
    let mut counts = DiffCounts::default();
    let ended = each(found, &progress, interrupt, &mut counts, |different, unread| {
        report.different(different, unread)
    })
    .await;
    progress.finish();
    if ended.is_err() {
        print_message(&format!(
            "stopped after {} of the source's keys and {} of the destination's; {} differ so far",
            grouped(counts.source_keys),
            grouped(counts.destination_keys),
            grouped(counts.different_keys)
        ));
    }
    // A report that turns out to be unreadable makes the rows before it worthless: nothing is written about them.
    let is_about_inventory = !sides.inventories.lines().is_empty() && !matches!(ended, Err(CliError::Interrupted));
    match ended {
        Err(error) if is_about_inventory => return Err(error),
        ended => {
            report.end(&counts, &sides.inventories, ended.as_ref().err())?;
            ended?;
        }
    }
    denials.ensure_not_all_denied()?;
    let is_good = counts.different_keys == 0 && (args.allow_empty || !counts.is_empty());
    Ok(if is_good {
        CommandOutcome::Done
    } else {
        CommandOutcome::NotAll
    })
}

/// Reports the differences of the listings unconfirmed.
fn as_listed(
    merged: impl Stream<Item = Result<MergedPage, Failure>> + Send,
) -> impl Stream<Item = Result<ConfirmedPage, Failure>> + Send {
    merged.map(|merged| {
        let MergedPage { mut counts, finding } = merged?;
        let different = finding.and_then(|(pair, kind)| Some(DifferentKey::listed(&pair, kind?)));
        if let Some(different) = &different {
            counts.different(different);
        }
        Ok(ConfirmedPage {
            counts,
            different,
            read: None,
        })
    })
}

/// Passes every difference to `take`, until the comparison ends or is interrupted.
async fn each(
    found: impl Stream<Item = Result<ConfirmedPage, Failure>> + Send,
    progress: &ProgressReporter,
    interrupt: &Interrupt,
    counts: &mut DiffCounts,
    mut take: impl FnMut(&DifferentKey, Option<&Failure>) -> Result<(), CliError>,
) -> Result<(), CliError> {
    let interrupted = stream::once(interrupt.wait()).map(|()| None);
    let mut found = std::pin::pin!(stream::select(
        interrupted,
        found.map(Some).chain(stream::once(async { None })),
    ));
    while let Some(Some(page)) = found.next().await {
        let ConfirmedPage {
            counts: more,
            different,
            read,
        } = page?;
        progress.advance(more.source_keys.max(more.destination_keys));
        counts.add(&more);
        if let Some(different) = different {
            take(&different, read.as_ref().and_then(|read| read.as_ref().err()))?;
            progress.counts(&[("differ", counts.different_keys)]);
        }
    }
    if interrupt.is_set() {
        return Err(CliError::Interrupted);
    }
    Ok(())
}
