//! `s3ferry verify`: verifies that two buckets are equal.

mod args;
mod checksums;
mod page;
mod queues;
mod results;

use std::sync::Arc;

use futures::{Stream, StreamExt as _};
use s3ferry_aws::clock::SystemClock;
use s3ferry_aws::content::S3Content;
use s3ferry_aws::limits::RequestLimits;
use s3ferry_core::failure::Failure;
use s3ferry_core::verify::completion::ComputedChecksums;
use s3ferry_core::verify::{
    self as core, BucketTotals, ComparisonMethod, ObjectTotals, ReportHeader, ReportTool, SampleDescription,
    VerificationEnd, VerificationVerdict,
};
use s3ferry_engine::ports::Clock as _;
use s3ferry_engine::verify::{VerificationProgress as Step, Verifier, listed};

pub use self::args::VerifyArgs;
use self::args::{AclCompareArg, ComparisonDescription, DepthArg, InconclusiveArg};
use self::queues::StackQueues;
use self::results::{VerifyResults, prepare_output_files};
use crate::args::SharedArgs;
use crate::bucket_side::BucketSide;
use crate::environment;
use crate::exit::{CliError, CommandOutcome};
use crate::interrupt::Interrupt;
use crate::progress::ProgressReporter;
use crate::sides::BucketPair;

/// Verifies both buckets, and writes the report.
pub async fn run(shared: &SharedArgs, args: &VerifyArgs, interrupt: &Interrupt) -> Result<CommandOutcome, CliError> {
    if args.depth == DepthArg::Listing && args.sample.0.is_some() {
        return Err(CliError::usage(
            "--sample with --depth listing: no object is read at that depth",
            "omit --sample, or pass --depth head or --depth checksum",
        ));
    }
    let given = &args.destination.destination_region;
    given.iter().try_for_each(|region| args.encryption.check(region))?;
    prepare_output_files(args)?;
    let concurrency = args.concurrency.of_reads();
    let objects = args.concurrency.objects();
    let limits = RequestLimits::of_reads(args.max_requests_per_second, objects, concurrency.clone());
    let sides = BucketPair::open(shared, &args.source, &args.destination, limits).await?;
    args.encryption.check(&sides.destination.region)?;
    let queues = match &args.stack {
        Some(stack) => Some(StackQueues::find(&sides, stack).await?),
        None => None,
    };
    let mut results = VerifyResults::begin(shared.output, args, &sides).await?;
    let clients = &sides.clients;
    let source_checksums = checksums::load(args.source_checksums.as_ref(), clients, &sides.source).await?;
    let destination_checksums =
        checksums::load(args.destination_checksums.as_ref(), clients, &sides.destination).await?;
    let header = ReportDraft::begin(shared, args, [&source_checksums, &destination_checksums]);
    let (source, destination) = (content(&sides, &sides.source), content(&sides, &sides.destination));
    let with_acl = args.acl == AclCompareArg::Compare && source.has_acl().await? && destination.has_acl().await?;
    let comparison = args.comparison_description(with_acl);
    let default_encryption = match args.depth {
        DepthArg::Listing => None,
        DepthArg::Head | DepthArg::Checksum => destination.default_encryption().await?,
    };
    let verifier = Verifier {
        source,
        destination,
        destination_name: sides.destination.location.bucket.clone(),
        scope: args.scope(default_encryption),
        attributes: comparison.read.clone(),
        inconclusive: args.inconclusive(),
        source_checksums,
        destination_checksums,
        now: SystemClock.now(),
        concurrency: objects,
    };
    let (source_rows, destination_rows) = sides.rows(args.prefetch_limits());
    let named = sides.names_bucket();
    let found = listed(source_rows, destination_rows, args.depth.into(), args.sample());
    let found = found.map(move |listed| listed.map_err(&named));
    let progress = ProgressReporter::start("verifying", "keys", args.expected_objects);
    progress.show_concurrency(concurrency.as_ref());
    let ended = each(Arc::new(verifier).verified(found), &progress, interrupt, &mut results).await;
    progress.finish();
    let ended = if interrupt.is_set() {
        ended.and(Err(CliError::Interrupted))
    } else {
        ended.and_then(|()| results.ensure_not_all_denied())
    };
    let ending = match &ended {
        Ok(()) => VerificationEnd::Complete,
        Err(_) => VerificationEnd::Cut,
    };
    let mut header = header.end(&sides, args, &comparison, &results, ended.as_ref().err());
    let mut are_queues_empty = true;
    if let Some(queues) = queues.filter(|_| ended.is_ok()) {
        header.messages = queues.messages(&sides).await;
        are_queues_empty = header
            .messages
            .as_ref()
            .is_some_and(s3ferry_core::verify::QueuedMessages::is_empty);
    }
    let verdict = results.end(header, ending, args.sample.0.is_some()).await?;
    ended?;
    let is_allowed = args.allow_empty && verdict == VerificationVerdict::NothingToCompare;
    Ok(if are_queues_empty && (verdict.is_good() || is_allowed) {
        CommandOutcome::Done
    } else {
        CommandOutcome::NotAll
    })
}

fn content(sides: &BucketPair, side: &BucketSide) -> S3Content {
    S3Content::new(
        sides.clients.s3_for_reading(&side.region),
        side.location.bucket.clone(),
        side.region.clone(),
        side.owner.clone(),
    )
}

/// Records every step of the verification, until it ends or is interrupted.
async fn each(
    found: impl Stream<Item = Result<Step, Failure>> + Send,
    progress: &ProgressReporter,
    interrupt: &Interrupt,
    results: &mut VerifyResults,
) -> Result<(), CliError> {
    let mut found = std::pin::pin!(found);
    loop {
        let next = tokio::select! {
            biased;
            () = interrupt.wait() => return Ok(()),
            next = found.next() => next,
        };
        let Some(step) = next else { return Ok(()) };
        let step = step?;
        progress.advance(step.tally.keys);
        results.take(&step)?;
        progress.advance_bytes(step.tally.read_bytes);
        progress.counts(&results.counts());
    }
}

/// The parts of the report that are known before the run ends.
struct ReportDraft {
    by: String,
    started_at: String,
    job_reports: Vec<core::ChecksumJobReport>,
}

impl ReportDraft {
    fn begin(shared: &SharedArgs, args: &VerifyArgs, checksums: [&ComputedChecksums; 2]) -> Self {
        // Keys in the environment go before the profile that it names.
        let from_environment =
            || environment::non_empty("AWS_PROFILE").filter(|_| environment::non_empty("AWS_ACCESS_KEY_ID").is_none());
        let by = args
            .operator
            .clone()
            .or_else(|| shared.profile.clone())
            .or_else(from_environment);
        let at = [&args.source_checksums, &args.destination_checksums];
        let reports = ["source", "destination"].into_iter().zip(at).zip(checksums);
        let reports = reports.filter_map(|((side, at), checksums)| {
            Some(core::ChecksumJobReport {
                side,
                location: at.as_ref()?.to_string(),
                computed: checksums.computed,
                failed: checksums.failed,
            })
        });
        Self {
            by: by.unwrap_or_else(|| "unknown".to_owned()),
            started_at: SystemClock.now().to_rfc3339(),
            job_reports: reports.collect(),
        }
    }

    fn end(
        self,
        sides: &BucketPair,
        args: &VerifyArgs,
        comparison: &ComparisonDescription,
        results: &VerifyResults,
        stopped_by: Option<&CliError>,
    ) -> ReportHeader {
        let tally = results.tally();
        let objects = |side: &BucketSide, objects: u64, bytes: u64| BucketTotals {
            bucket: side.location.bucket.to_string(),
            prefix: side.location.prefix.clone(),
            region: side.region.to_string(),
            amount: ObjectTotals { objects, bytes },
        };
        let counts = &tally.counts;
        ReportHeader {
            tool: ReportTool {
                name: "s3ferry",
                version: env!("CARGO_PKG_VERSION"),
            },
            operator: self.by,
            started_at: self.started_at,
            ended_at: SystemClock.now().to_rfc3339(),
            sides: core::ReportSides {
                source: objects(&sides.source, counts.source_keys, counts.source_bytes),
                destination: objects(&sides.destination, counts.destination_keys, counts.destination_bytes),
            },
            comparison: ComparisonMethod {
                depth: args.depth.into(),
                attributes: comparison.named.clone(),
                sample: args.sample().map(|sample| SampleDescription {
                    asked: u64::try_from(sample.size).unwrap_or(u64::MAX),
                    drawn: tally.sampled_of.saturating_sub(tally.not_examined),
                    population: tally.sampled_of,
                    seed: sample.seed,
                }),
                reads_contents: args.inconclusive == InconclusiveArg::Read,
                max_read_bytes: args.max_read_bytes,
                ownership: args.ownership().as_str(),
            },
            stopped_by: stopped_by.map(|error| match error {
                CliError::Interrupted => "interrupted".to_owned(),
                error => error.to_string(),
            }),
            job_reports: self.job_reports,
            differences_file: args.differences.as_ref().map(|path| path.display().to_string()),
            inconclusive_manifests: Vec::new(),
            messages: None,
        }
    }
}
