//! What listings show to a verification: every key, or those of a sample.

use std::collections::VecDeque;
use std::pin::Pin;

use futures::{Stream, StreamExt as _, stream};
use s3ferry_core::diff::{Depth as ListingDepth, Pair};
use s3ferry_core::failure::Failure;
use s3ferry_core::verify::{Amount, Depth, Means, Sampler, Tally};

use crate::diff::{Merged, Rows, merged};

/// A sample to be drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// How many keys.
    pub size: usize,
    /// Which sample of so many.
    pub seed: u64,
}

/// Merges two listings as a verification looks at them: every key is a finding unless the listings suffice, and with a
/// sample only those that were drawn, which come at the end; keys that are on one side alone or of another size are
/// findings whether they were drawn or not.
pub fn listed(
    source: impl Rows + 'static,
    destination: impl Rows + 'static,
    depth: Depth,
    sample: Option<Sample>,
) -> Pin<Box<dyn Stream<Item = Result<Listed, Failure>> + Send>> {
    let depth = if depth == Depth::Listing {
        ListingDepth::Listing
    } else {
        ListingDepth::Deep
    };
    let merged = merged(source, destination, depth).map(|merged| Ok(Listed::of(merged?)));
    match sample {
        Some(sample) => Box::pin(sampled(merged, sample)),
        None => Box::pin(merged),
    }
}

/// What listings show of some more keys.
#[derive(Debug, Clone, Default)]
pub struct Listed {
    /// The keys, and those among them that the listings suffice for.
    pub tally: Tally,
    /// The key to be looked at.
    pub finding: Option<Pair>,
}

impl Listed {
    /// Everything before a finding is on both sides and looks equal.
    fn of(merged: Merged) -> Self {
        let Merged { counts, finding } = merged;
        let finding = finding.map(|(pair, _)| pair);
        let found = finding.as_ref().and_then(Pair::source);
        let equal = Amount {
            objects: counts.source_keys.saturating_sub(u64::from(found.is_some())),
            bytes: counts
                .source_bytes
                .saturating_sub(found.map_or(0, |found| found.size_bytes)),
        };
        let mut tally = Tally {
            keys: equal.objects + u64::from(finding.is_some()),
            counts,
            ..Tally::default()
        };
        tally.equal_by(Means::Listing, equal);
        Self { tally, finding }
    }
}

fn sampled(
    listed: impl Stream<Item = Result<Listed, Failure>> + Send + 'static,
    sample: Sample,
) -> impl Stream<Item = Result<Listed, Failure>> + Send {
    enum State<T> {
        Listing(Pin<Box<T>>, Sampler),
        Drawn(VecDeque<Listed>),
    }
    let begun = State::Listing(Box::pin(listed), Sampler::new(sample.size, sample.seed));
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
                    let tally = Tally {
                        not_examined: offered.saturating_sub(u64::try_from(drawn.len()).unwrap_or(u64::MAX)),
                        sampled_of: offered,
                        ..Tally::default()
                    };
                    let findings = drawn.into_iter().map(|pair| Listed {
                        tally: Tally::default(),
                        finding: Some(pair),
                    });
                    let left_out = Listed { tally, finding: None };
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

fn same_size(pair: &Pair) -> bool {
    matches!(pair, Pair::Both(source, destination) if source.size_bytes == destination.size_bytes)
}
