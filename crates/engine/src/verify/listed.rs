//! The listings of a verification: every key, or a sample of the keys.

use std::collections::VecDeque;
use std::pin::Pin;

use futures::{Stream, StreamExt as _, stream};
use s3ferry_core::diff::{DiffDepth as ListingDepth, KeyPair};
use s3ferry_core::failure::Failure;
use s3ferry_core::verify::{KeySampler, ObjectTotals, ProofMethod, VerificationDepth, VerificationTotals};

use crate::diff::{MergedPage, RowSource, merged};

/// The parameters of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SampleRequest {
    /// The number of keys in the sample.
    pub size: usize,
    /// The seed of the random selection.
    pub seed: u64,
}

/// Merges two listings for a verification, and returns the keys to compare as findings.
///
/// Every key is a finding unless the listings suffice. With a sample, the selected keys follow at the end. Keys that
/// exist on one side only, or have another size, are always findings.
pub fn listed(
    source: impl RowSource + 'static,
    destination: impl RowSource + 'static,
    depth: VerificationDepth,
    sample: Option<SampleRequest>,
) -> Pin<Box<dyn Stream<Item = Result<ListedKeys, Failure>> + Send>> {
    let depth = if depth == VerificationDepth::Listing {
        ListingDepth::Listing
    } else {
        ListingDepth::Head
    };
    let merged = merged(source, destination, depth).map(|merged| Ok(ListedKeys::of(merged?)));
    match sample {
        Some(sample) => Box::pin(sampled(merged, sample)),
        None => Box::pin(merged),
    }
}

/// The next keys of the listings.
#[derive(Debug, Clone, Default)]
pub struct ListedKeys {
    /// The totals of the keys, including those for which the listings suffice.
    pub tally: VerificationTotals,
    /// The key to compare.
    pub finding: Option<KeyPair>,
}

impl ListedKeys {
    /// Counts every key before a finding as equal: the listings show no difference.
    fn of(merged: MergedPage) -> Self {
        let MergedPage { counts, finding } = merged;
        let finding = finding.map(|(pair, _)| pair);
        let found = finding.as_ref().and_then(KeyPair::source);
        let equal = ObjectTotals {
            objects: counts.source_keys.saturating_sub(u64::from(found.is_some())),
            bytes: counts
                .source_bytes
                .saturating_sub(found.map_or(0, |found| found.size_bytes)),
        };
        let mut tally = VerificationTotals {
            keys: equal.objects + u64::from(finding.is_some()),
            counts,
            ..VerificationTotals::default()
        };
        tally.equal_by(ProofMethod::Listing, equal);
        Self { tally, finding }
    }
}

fn sampled(
    listed: impl Stream<Item = Result<ListedKeys, Failure>> + Send + 'static,
    sample: SampleRequest,
) -> impl Stream<Item = Result<ListedKeys, Failure>> + Send {
    enum State<T> {
        Listing(Pin<Box<T>>, KeySampler),
        Drawn(VecDeque<ListedKeys>),
    }
    let begun = State::Listing(Box::pin(listed), KeySampler::new(sample.size, sample.seed));
    stream::unfold(begun, |state| async move {
        match state {
            State::Listing(mut listed, mut sampler) => match listed.next().await {
                Some(Ok(mut next)) => {
                    if let Some(pair) = next.finding.take_if(|pair| same_size(pair)) {
                        sampler.offer(pair);
                    }
                    Some((Ok(next), State::Listing(listed, sampler)))
                }
                Some(Err(failure)) => Some((Err(failure), State::Drawn(VecDeque::new()))),
                None => {
                    let offered = sampler.offered;
                    let drawn = sampler.drawn();
                    let tally = VerificationTotals {
                        not_examined: offered.saturating_sub(u64::try_from(drawn.len()).unwrap_or(u64::MAX)),
                        sampled_of: offered,
                        ..VerificationTotals::default()
                    };
                    let findings = drawn.into_iter().map(|pair| ListedKeys {
                        tally: VerificationTotals::default(),
                        finding: Some(pair),
                    });
                    let left_out = ListedKeys { tally, finding: None };
                    Some((Ok(left_out), State::Drawn(findings.collect())))
                }
            },
            State::Drawn(mut findings) => {
                let next = findings.pop_front()?;
                Some((Ok(next), State::Drawn(findings)))
            }
        }
    })
}

fn same_size(pair: &KeyPair) -> bool {
    matches!(pair, KeyPair::Both(source, destination) if source.size_bytes == destination.size_bytes)
}
