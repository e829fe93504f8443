//! The comparison of two buckets, for the commands that compare.

use std::num::NonZeroU32;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use futures::{Stream, StreamExt as _};
use s3ferry_aws::clock::SystemClock;
use s3ferry_aws::limits::RequestLimits;
use s3ferry_core::diff::DiffDepth;
use s3ferry_core::encryption::EncryptionRules;
use s3ferry_core::failure::Failure;
use s3ferry_core::time::Timestamp;
use s3ferry_engine::diff::{ConfirmedPage, DifferenceConfirmer, MergedPage, attributes_at, merged_with_multipart};
use s3ferry_engine::listing::PrefetchLimits;
use s3ferry_engine::ports::Clock as _;

use crate::concurrency::ConcurrencyArgs;
use crate::denials::DenialCounter;
use crate::sides::BucketPair;

/// The depth of the comparison of each object; `verify --depth` has the same values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CompareDepthArg {
    /// Key, size, ETag and last modification, as the listings have them
    Listing,
    /// Metadata, tags, annotations, Object Lock, encryption and storage class too: six requests per object
    Head,
}

/// The arguments of a comparison.
#[derive(Debug, Clone, Args)]
pub struct CompareArgs {
    /// Depth of the comparison of each object
    #[arg(long, value_enum, value_name = "DEPTH", default_value_t = CompareDepthArg::Listing)]
    pub depth: CompareDepthArg,
    /// The concurrency of copies or reads
    #[command(flatten)]
    pub concurrency: ConcurrencyArgs,
    /// Largest number of concurrent pages of each listing, 1 to 64
    #[arg(long, value_name = "NUMBER", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub list_concurrency: u16,
    /// Largest number of requests per second, retries included
    #[arg(long, value_name = "NUMBER")]
    pub max_requests_per_second: Option<NonZeroU32>,
    /// Approximate number of objects, for the estimated time left
    #[arg(long, value_name = "NUMBER")]
    pub expected_objects: Option<u64>,
}

impl CompareArgs {
    /// Returns the limits of requests of a comparison.
    #[must_use]
    pub fn limits(&self) -> RequestLimits {
        RequestLimits::of_reads(
            self.max_requests_per_second,
            self.concurrency.objects(),
            self.concurrency.of_reads(),
        )
    }

    /// Returns the depth for the engine.
    #[must_use]
    pub fn depth(&self) -> DiffDepth {
        match self.depth {
            CompareDepthArg::Listing => DiffDepth::Listing,
            CompareDepthArg::Head => DiffDepth::Head,
        }
    }

    /// Returns the limits of the listings.
    #[must_use]
    pub fn prefetch_limits(&self) -> PrefetchLimits {
        let concurrency = usize::from(self.list_concurrency);
        PrefetchLimits {
            concurrency,
            pages: 5 * concurrency,
        }
    }
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
    let (source, destination) = sides.rows(compare.prefetch_limits());
    let named = sides.names_bucket();
    merged_with_multipart(source, destination, compare.depth(), multipart_since)
        .map(move |merged| merged.map_err(&named))
}

/// Compares both sides, and reads the objects that differ again. Fails early if no object may be read.
pub fn confirmed_differences(
    sides: &BucketPair,
    compare: &CompareArgs,
    encryption: EncryptionRules,
    denials: &DenialCounter,
) -> impl Stream<Item = Result<ConfirmedPage, Failure>> + Send + use<> {
    let (source, destination) = sides.adapters();
    let depth = compare.depth();
    let confirmer = DifferenceConfirmer {
        source,
        destination,
        depth,
        attributes: attributes_at(depth),
        now: SystemClock.now(),
        encryption,
        concurrency: compare.concurrency.objects(),
    };
    let denials = denials.clone();
    let pages = Arc::new(confirmer).confirm_all(findings(sides, compare));
    pages.map(move |page| {
        let page = page?;
        if let Some(read) = &page.read {
            denials.record(read.as_ref().err())?;
        }
        Ok(page)
    })
}
