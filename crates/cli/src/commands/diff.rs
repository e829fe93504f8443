//! `s3ferry diff`: what differs between two buckets.

pub(crate) mod report;

use std::num::NonZeroU32;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use futures::{Stream, StreamExt as _, stream};
use s3ferry_aws::client::RequestLimits;
use s3ferry_aws::clock::SystemClock;
use s3ferry_core::diff::{DiffCounts, DiffDepth, DifferentKey};
use s3ferry_core::encryption::EncryptionRules;
use s3ferry_core::failure::Failure;
use s3ferry_core::time::Timestamp;
use s3ferry_engine::diff::{ConfirmedPage, DifferenceConfirmer, MergedPage, attributes_at, merged_with_multipart};
use s3ferry_engine::listing::PrefetchLimits;
use s3ferry_engine::ports::{Clock as _, DestinationObjects as _};

use self::report::DifferenceWriter;
use crate::args::{DestinationArgs, SharedArgs, SourceArgs};
use crate::denials::DenialCounter;
use crate::exit::{CliError, CommandOutcome};
use crate::interrupt::Interrupt;
use crate::inventories::InventoryArgs;
use crate::output::{Format, grouped};
use crate::policy::EncryptionArgs;
use crate::progress::{ProgressReporter, say};
use crate::sides::BucketPair;

/// The arguments of `diff`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  What is missing, or looks different, below images/:
    s3ferry diff --source s3://app-data/images/ \\
      --destination s3://app-data-eu/images/ --destination-region eu-central-1
  Every object's metadata, tags, Object Lock and storage class as well, as JSON
  lines:
    s3ferry diff --source s3://app-data --destination s3://app-data-eu \\
      --destination-region eu-central-1 --deep --output json > diff.jsonl
  An S3 Inventory report of the source against a live listing of the
  destination:
    s3ferry diff --source s3://app-data --destination s3://app-data-eu \\
      --destination-region eu-central-1 \\
      --source-inventory s3://reports/app-data/2026-11-22T01-00Z/manifest.json
  A manifest of what S3 Batch Operations has to copy:
    s3ferry diff --source s3://app-data --destination s3://app-data-eu \\
      --destination-region eu-central-1 --format manifest > manifest.csv

Every difference is read again on both sides before it is reported, so that
what was written while the listings ran is no difference. So is every object
whose row of the source's listing is newer than the destination's: the same
bytes may have come with other metadata. What changes no Last-Modified is not
seen in listings: tags, retention, legal holds, annotations, and an overwrite
in the very second of the copy. --deep sees them. With an inventory on a side
its rows are the listing. Exit code 0 means equal, 1 that there are
differences, or that neither side lists an object.")]
pub struct DiffArgs {
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    destination: DestinationArgs,
    #[command(flatten)]
    compare: CompareArgs,
    /// How differences are written; the default is a table, or JSON lines with --output json
    #[arg(long, value_enum, value_name = "FORMAT")]
    format: Option<DiffFormat>,
    /// Report what the listings show without looking at the objects again
    #[arg(long, conflicts_with = "deep")]
    unconfirmed: bool,
    /// End with 0 although neither side lists an object
    #[arg(long)]
    allow_empty: bool,
    #[command(flatten)]
    encryption: EncryptionArgs,
    #[command(flatten)]
    inventories: InventoryArgs,
}

/// How two buckets are compared.
#[derive(Debug, Clone, Args)]
pub struct CompareArgs {
    /// Compare every object's metadata, tags, annotations, Object Lock, encryption and storage class, too: six requests an
    /// object
    #[arg(long)]
    pub deep: bool,
    /// How many objects are read at once, 1 to 1024
    #[arg(long, value_name = "NUMBER", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub concurrency: u16,
    /// How many pages of each listing are asked for at once, 1 to 64
    #[arg(long, value_name = "NUMBER", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub list_concurrency: u16,
    /// How many requests are sent in a second at most, all of them counted
    #[arg(long, value_name = "NUMBER")]
    pub max_requests_per_second: Option<NonZeroU32>,
    /// About how many objects there are, so that the remaining time can be told
    #[arg(long, value_name = "NUMBER")]
    pub expected_objects: Option<u64>,
}

impl CompareArgs {
    /// Returns what bounds requests.
    #[must_use]
    pub fn limits(&self) -> RequestLimits {
        RequestLimits::new(self.max_requests_per_second, self.concurrency)
    }

    /// Returns how deep objects are compared.
    #[must_use]
    pub fn depth(&self) -> DiffDepth {
        if self.deep { DiffDepth::Deep } else { DiffDepth::Listing }
    }

    /// Returns how much of a listing is read at once.
    #[must_use]
    pub fn reach(&self) -> PrefetchLimits {
        let concurrency = usize::from(self.list_concurrency);
        PrefetchLimits {
            concurrency,
            pages: 5 * concurrency,
        }
    }
}

/// How differences are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DiffFormat {
    /// A table for people, with a summary
    Table,
    /// One JSON value a line, a summary last
    Json,
    /// Key, differences, and size, tag and class of both sides
    Csv,
    /// Bucket and key of what must be copied, as S3 Batch Operations reads it
    Manifest,
}

/// Compares, and writes what differs.
pub async fn run(shared: &SharedArgs, args: &DiffArgs, interrupt: &Interrupt) -> Result<CommandOutcome, CliError> {
    let compare = &args.compare;
    args.encryption.check(&args.destination.destination_region)?;
    let sides = BucketPair::open(shared, &args.source, &args.destination, compare.limits()).await?;
    let sides = sides.with_inventories(&args.inventories).await?;
    let format = args.format.unwrap_or(match shared.output {
        Format::Human => DiffFormat::Table,
        Format::Json => DiffFormat::Json,
    });
    let mut report = DifferenceWriter::begin(format, &sides)?;
    let progress = ProgressReporter::start("comparing", "keys", compare.expected_objects);
    let denials = DenialCounter::default();
    let found: std::pin::Pin<Box<dyn Stream<Item = Result<ConfirmedPage, Failure>> + Send>> = if args.unconfirmed {
        Box::pin(as_listed(findings(&sides, compare)))
    } else {
        let default = match compare.depth() {
            DiffDepth::Deep => sides.adapters().1.default_encryption().await?,
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
        say(&format!(
            "stopped after {} of the source's keys and {} of the destination's; {} differ so far",
            grouped(counts.source_keys),
            grouped(counts.destination_keys),
            grouped(counts.different_keys)
        ));
    }
    ended?;
    report.end(&counts, &sides.inventories)?;
    denials.ensure_not_all_denied()?;
    let is_good = counts.different_keys == 0 && (args.allow_empty || !counts.is_empty());
    Ok(if is_good {
        CommandOutcome::Done
    } else {
        CommandOutcome::NotAll
    })
}

/// Lists both sides, or reads their inventories, and merges the rows.
pub fn findings(
    sides: &BucketPair,
    compare: &CompareArgs,
) -> impl Stream<Item = Result<MergedPage, Failure>> + Send + use<> {
    findings_with_multipart(sides, compare, None)
}

/// Finds what [`findings`] does, and the keys whose object at the destination was written by a multipart upload that began
/// at `multipart_since` or later.
pub fn findings_with_multipart(
    sides: &BucketPair,
    compare: &CompareArgs,
    multipart_since: Option<Timestamp>,
) -> impl Stream<Item = Result<MergedPage, Failure>> + Send + use<> {
    let (source, destination) = sides.rows(compare.reach());
    let named = sides.names_bucket();
    merged_with_multipart(source, destination, compare.depth(), multipart_since)
        .map(move |merged| merged.map_err(&named))
}

/// Lists both sides, and looks at what differs; fails as soon as it is plain that nothing may be looked at.
pub fn confirmed_differences(
    sides: &BucketPair,
    compare: &CompareArgs,
    encryption: EncryptionRules,
    denials: &DenialCounter,
) -> impl Stream<Item = Result<ConfirmedPage, Failure>> + Send + use<> {
    let (source, destination) = sides.adapters();
    let depth = compare.depth();
    let settler = DifferenceConfirmer {
        source,
        destination,
        depth,
        attributes: attributes_at(depth),
        now: SystemClock.now(),
        encryption,
        concurrency: usize::from(compare.concurrency),
    };
    let denials = denials.clone();
    let pages = Arc::new(settler).confirm_all(findings(sides, compare));
    pages.map(move |page| {
        let page = page?;
        if let Some(look) = &page.read {
            denials.record(look.as_ref().err())?;
        }
        Ok(page)
    })
}

/// Takes the listings' word for what differs.
pub fn as_listed(
    merged: impl Stream<Item = Result<MergedPage, Failure>> + Send,
) -> impl Stream<Item = Result<ConfirmedPage, Failure>> + Send {
    merged.map(|merged| {
        let MergedPage { mut counts, finding } = merged?;
        let different = finding.and_then(|(pair, looks)| Some(DifferentKey::listed(&pair, looks?)));
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

/// Takes everything that a comparison finds, until it ends or somebody asks to stop.
pub async fn each(
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
            read: look,
        } = page?;
        progress.advance(more.source_keys.max(more.destination_keys));
        counts.add(&more);
        if let Some(different) = different {
            take(&different, look.as_ref().and_then(|look| look.as_ref().err()))?;
            progress.counts(&[("differ", counts.different_keys)]);
        }
    }
    if interrupt.is_set() {
        return Err(CliError::Interrupted);
    }
    Ok(())
}
