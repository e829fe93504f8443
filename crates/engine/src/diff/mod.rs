//! The comparison of two buckets: their listings merged, and what looks different settled by a look at both sides.

use std::pin::Pin;
use std::sync::Arc;

use futures::{Stream, StreamExt as _, future, stream};
use s3ferry_core::diff::{
    DiffCounts, DiffDepth, DifferenceKind, DifferentKey, KeyPair, ListingMerge, MergeStep, SideName, confirm_difference,
};
use s3ferry_core::encryption::EncryptionRules;
use s3ferry_core::facts::{Attribute, AttributeSet};
use s3ferry_core::failure::{Failure, FailureKind};
use s3ferry_core::listing::{KeysOutOfOrder, ListedObject};
use s3ferry_core::time::Timestamp;

use crate::ports::{DestinationBucket, SourceBucket, confirm_gone};

/// How many keys are counted in silence at most.
const KEYS_A_REPORT: u64 = 4_096;

/// One side's rows in the order of their keys, page by page.
pub trait RowSource: Stream<Item = Result<Vec<ListedObject>, Failure>> + Send {}

impl<T: Stream<Item = Result<Vec<ListedObject>, Failure>> + Send> RowSource for T {}

/// What came of merging some more keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MergedPage {
    /// The keys since the last report, that of the finding included.
    pub counts: DiffCounts,
    /// The key that has to be read on both sides, with the difference that the listings show, if they show one; `None` for
    /// a report of counts alone.
    pub finding: Option<(KeyPair, Option<DifferenceKind>)>,
}

/// Merges two listings and reports the keys that look different, or that are newer at the source; at [`Depth::Deep`] every
/// key.
///
/// Holds a page of each side, however many keys there are.
pub fn merged(
    source: impl RowSource,
    destination: impl RowSource,
    depth: DiffDepth,
) -> impl Stream<Item = Result<MergedPage, Failure>> {
    merged_with_multipart(source, destination, depth, None)
}

/// Merges two listings as [`merged`] does, and also reports the keys whose object at the destination was written by a
/// multipart upload that began at `multipart_since` or later.
pub fn merged_with_multipart(
    source: impl RowSource,
    destination: impl RowSource,
    depth: DiffDepth,
    multipart_since: Option<Timestamp>,
) -> impl Stream<Item = Result<MergedPage, Failure>> {
    let merging = Merging {
        source: Box::pin(source),
        destination: Box::pin(destination),
        merge: ListingMerge::default(),
        counts: DiffCounts::default(),
        depth,
        multipart_since,
        ended: false,
    };
    stream::unfold(merging, |mut merging| async move {
        if merging.ended {
            return None;
        }
        let next = merging.next().await.transpose()?;
        merging.ended |= next.is_err();
        Some((next, merging))
    })
}

struct Merging<A, B> {
    source: Pin<Box<A>>,
    destination: Pin<Box<B>>,
    merge: ListingMerge,
    counts: DiffCounts,
    depth: DiffDepth,
    multipart_since: Option<Timestamp>,
    ended: bool,
}

impl<A: RowSource, B: RowSource> Merging<A, B> {
    async fn next(&mut self) -> Result<Option<MergedPage>, Failure> {
        loop {
            match self.merge.step().map_err(|(side, error)| out_of_order(side, &error))? {
                MergeStep::Needs(side) => self.fetch(side).await?,
                MergeStep::Pair(pair) => {
                    self.counts.pair(&pair);
                    let looks = pair.listed_difference();
                    let is_recent = self.multipart_since.is_some_and(|since| pair.is_multipart_since(since));
                    if looks.is_some() || pair.source_is_newer() || is_recent || self.depth == DiffDepth::Deep {
                        return Ok(Some(self.report(Some((pair, looks)))));
                    }
                    if self.counts.source_keys.max(self.counts.destination_keys) >= KEYS_A_REPORT {
                        return Ok(Some(self.report(None)));
                    }
                }
                MergeStep::End => {
                    self.ended = true;
                    return Ok(Some(self.report(None)));
                }
            }
        }
    }

    async fn fetch(&mut self, side: SideName) -> Result<(), Failure> {
        let page = match side {
            SideName::Source => self.source.next().await,
            SideName::Destination => self.destination.next().await,
        };
        match page {
            Some(page) => self.merge.give(side, page?),
            None => self.merge.end(side),
        }
        Ok(())
    }

    fn report(&mut self, finding: Option<(KeyPair, Option<DifferenceKind>)>) -> MergedPage {
        MergedPage {
            counts: std::mem::take(&mut self.counts),
            finding,
        }
    }
}

/// The code of the failure of a listing that is not in order; its resource is the name of the side.
pub const LISTING_OUT_OF_ORDER: &str = "ListingOutOfOrder";

fn out_of_order(side: SideName, error: &KeysOutOfOrder) -> Failure {
    Failure {
        kind: FailureKind::Configuration,
        code: LISTING_OUT_OF_ORDER.to_owned(),
        action: "s3:ListBucket".to_owned(),
        resource: side.as_str().to_owned(),
        detail: format!("{error}; directory buckets list in no order and cannot be compared"),
    }
}

/// Looks at both sides of keys.
#[derive(Debug)]
pub struct DifferenceConfirmer<S, D> {
    /// The bucket that is migrated.
    pub source: S,
    /// The bucket that is migrated to.
    pub destination: D,
    /// How deep objects are compared.
    pub depth: DiffDepth,
    /// What is read besides a HEAD.
    pub attributes: AttributeSet,
    /// When it begins: retentions that have ended by then are not compared.
    pub now: Timestamp,
    /// How the destination's objects are to be encrypted.
    pub encryption: EncryptionRules,
    /// How many keys are looked at at once.
    pub concurrency: usize,
}

/// What a merge reports once findings are settled.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConfirmedPage {
    /// The keys since the last report.
    pub counts: DiffCounts,
    /// The key that differs, if one does.
    pub different: Option<DifferentKey>,
    /// How the look at both sides of the key went, where there was one: a failure leaves the key untold.
    pub read: Option<Result<(), Failure>>,
}

/// What is read of every object at [`Depth::Deep`] besides its HEAD, as by a deep final sync; grants are left out, which are
/// not copied unless somebody asks for it.
#[must_use]
pub fn attributes_at(depth: DiffDepth) -> AttributeSet {
    match depth {
        DiffDepth::Listing => AttributeSet::new(),
        DiffDepth::Deep => AttributeSet::from([Attribute::Tags, Attribute::Annotations]),
    }
}

impl<S: SourceBucket + 'static, D: DestinationBucket + 'static> DifferenceConfirmer<S, D> {
    /// Settles every finding of a merge; the order of keys is kept.
    pub fn confirm_all(
        self: Arc<Self>,
        merged: impl Stream<Item = Result<MergedPage, Failure>> + Send,
    ) -> impl Stream<Item = Result<ConfirmedPage, Failure>> + Send {
        let concurrency = self.concurrency.max(1);
        merged
            .map(move |merged| {
                let settler = Arc::clone(&self);
                async move {
                    let MergedPage { mut counts, finding } = merged?;
                    let (different, look) = match finding {
                        Some((pair, looks)) => {
                            let (different, look) = settler.confirm(&pair, looks, &mut counts).await?;
                            (different, Some(look))
                        }
                        None => (None, None),
                    };
                    Ok(ConfirmedPage {
                        counts,
                        different,
                        read: look,
                    })
                }
            })
            .buffered(concurrency)
    }

    async fn confirm(
        &self,
        pair: &KeyPair,
        looks: Option<DifferenceKind>,
        counts: &mut DiffCounts,
    ) -> Result<(Option<DifferentKey>, Result<(), Failure>), Failure> {
        let (different, look) = match self.read_both(pair).await {
            Ok(different) => (different, Ok(())),
            // What ails the bucket ails every key; what ails one object is that object's.
            Err(failure) if failure.kind == FailureKind::Configuration => return Err(failure),
            Err(failure) => (Some(DifferentKey::unread(pair, failure.to_string())), Err(failure)),
        };
        match &different {
            Some(different) => counts.different(different),
            None if looks.is_some() => counts.confirmed_equal += 1,
            None => {}
        }
        Ok((different, look))
    }

    async fn read_both(&self, pair: &KeyPair) -> Result<Option<DifferentKey>, Failure> {
        let key = pair.key();
        let source = async {
            let state = self.source.read(key, &self.attributes).await?;
            let confirm = self.source.confirm_absence(key);
            confirm_gone(state, pair.source().is_some(), key, SideName::Source, confirm).await
        };
        let destination = async {
            let state = self.destination.read(key, &self.attributes).await?;
            let confirm = self.destination.confirm_absence(key);
            confirm_gone(state, pair.destination().is_some(), key, SideName::Destination, confirm).await
        };
        let (source, destination) = future::try_join(source, destination).await?;
        Ok(confirm_difference(
            key,
            &source,
            &destination,
            self.depth,
            &self.encryption,
            self.now,
        ))
    }
}
