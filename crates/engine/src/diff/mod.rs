//! The comparison of two buckets: merges their listings, and confirms differences by reading both objects.

use std::pin::Pin;
use std::sync::Arc;

use futures::{Stream, StreamExt as _, future, stream};
use s3ferry_core::diff::{
    DiffCounts, DiffDepth, DifferenceKind, DifferentKey, KeyPair, ListingMerge, MergeStep, SideName, confirm_difference,
};
use s3ferry_core::encryption::EncryptionRules;
use s3ferry_core::facts::{Attribute, AttributeSet};
use s3ferry_core::failure::{Failure, FailureCode, FailureKind};
use s3ferry_core::listing::{KeysOutOfOrder, ListedObject};
use s3ferry_core::time::Timestamp;

use crate::ports::{DestinationObjects, SourceBucket, confirm_gone};

/// The maximum number of keys between two reports of counts.
const KEYS_A_REPORT: u64 = 4_096;

/// The listed objects of one side in key order, page by page.
pub trait RowSource: Stream<Item = Result<Vec<ListedObject>, Failure>> + Send {}

impl<T: Stream<Item = Result<Vec<ListedObject>, Failure>> + Send> RowSource for T {}

/// The result of merging the next keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MergedPage {
    /// The counts of the keys since the last report, including the key of the finding.
    pub counts: DiffCounts,
    /// The key that must be read on both sides, with the difference that the listings show, if they show one.
    ///
    /// It is `None` for a report of counts alone.
    pub finding: Option<(KeyPair, Option<DifferenceKind>)>,
}

/// Merges two listings and reports the keys that differ in the listings or are newer at the source.
///
/// At [`DiffDepth::Head`] every key is reported. Memory use is bounded by one page of each side.
pub fn merged(
    source: impl RowSource,
    destination: impl RowSource,
    depth: DiffDepth,
) -> impl Stream<Item = Result<MergedPage, Failure>> {
    merged_with_multipart(source, destination, depth, None)
}

/// Merges two listings like [`merged`], and also reports recent multipart uploads.
///
/// These are keys whose destination object was written by a multipart upload that began at `multipart_since` or later.
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
                    let listed_difference = pair.listed_difference();
                    let is_recent = self.multipart_since.is_some_and(|since| pair.is_multipart_since(since));
                    if listed_difference.is_some()
                        || pair.source_is_newer()
                        || is_recent
                        || self.depth == DiffDepth::Head
                    {
                        return Ok(Some(self.report(Some((pair, listed_difference)))));
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

fn out_of_order(side: SideName, error: &KeysOutOfOrder) -> Failure {
    Failure {
        kind: FailureKind::Configuration,
        code: FailureCode::ListingOutOfOrder,
        action: "s3:ListBucket".to_owned(),
        resource: side.as_str().to_owned(),
        detail: format!("{error}; directory buckets are listed in no order and cannot be compared"),
    }
}

/// Confirms differences by reading both objects of a key.
#[derive(Debug)]
pub struct DifferenceConfirmer<S, D> {
    /// The source bucket.
    pub source: S,
    /// The destination bucket.
    pub destination: D,
    /// The depth of the comparison.
    pub depth: DiffDepth,
    /// The attributes that are read in addition to a HEAD request.
    pub attributes: AttributeSet,
    /// The start of the comparison. Retentions that have ended by then are not compared.
    pub now: Timestamp,
    /// The expected encryption of the destination's objects.
    pub encryption: EncryptionRules,
    /// The number of keys that are read concurrently.
    pub concurrency: usize,
}

/// The result of the next keys once their differences are confirmed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConfirmedPage {
    /// The counts of the keys since the last report.
    pub counts: DiffCounts,
    /// The key that differs, if any.
    pub different: Option<DifferentKey>,
    /// The result of reading both objects, if they were read. A failure leaves the key inconclusive.
    pub read: Option<Result<(), Failure>>,
}

/// Returns the attributes that are read of every object in addition to a HEAD request.
///
/// At [`DiffDepth::Head`] they are those of a deep final sync. ACLs are omitted: they are copied only on request.
#[must_use]
pub fn attributes_at(depth: DiffDepth) -> AttributeSet {
    match depth {
        DiffDepth::Listing => AttributeSet::new(),
        DiffDepth::Head => AttributeSet::from([Attribute::Tags, Attribute::Annotations]),
    }
}

impl<S: SourceBucket + 'static, D: DestinationObjects + 'static> DifferenceConfirmer<S, D> {
    /// Confirms every finding of a merge, in key order.
    pub fn confirm_all(
        self: Arc<Self>,
        merged: impl Stream<Item = Result<MergedPage, Failure>> + Send,
    ) -> impl Stream<Item = Result<ConfirmedPage, Failure>> + Send {
        let concurrency = self.concurrency.max(1);
        merged
            .map(move |merged| {
                let confirmer = Arc::clone(&self);
                async move {
                    let MergedPage { mut counts, finding } = merged?;
                    let (different, read) = match finding {
                        Some((pair, listed_difference)) => {
                            let (different, read) = confirmer.confirm(&pair, listed_difference, &mut counts).await?;
                            (different, Some(read))
                        }
                        None => (None, None),
                    };
                    Ok(ConfirmedPage {
                        counts,
                        different,
                        read,
                    })
                }
            })
            .buffered(concurrency)
    }

    async fn confirm(
        &self,
        pair: &KeyPair,
        listed_difference: Option<DifferenceKind>,
        counts: &mut DiffCounts,
    ) -> Result<(Option<DifferentKey>, Result<(), Failure>), Failure> {
        let (different, read) = match self.read_both(pair).await {
            Ok(different) => (different, Ok(())),
            // A configuration error affects every key; any other failure affects only this object.
            Err(failure) if failure.kind == FailureKind::Configuration => return Err(failure),
            Err(failure) => (Some(DifferentKey::unread(pair, failure.to_string())), Err(failure)),
        };
        match &different {
            Some(different) => counts.different(different),
            None if listed_difference.is_some() => counts.confirmed_equal += 1,
            None => {}
        }
        Ok((different, read))
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
