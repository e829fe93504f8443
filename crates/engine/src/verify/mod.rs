//! The verification that two buckets are equal.
//!
//! Every key is compared at the requested depth. Inconclusive contents are compared by computed checksums, or by
//! reading both objects.

mod listed;

use std::future::Future;
use std::sync::Arc;

use futures::{Stream, StreamExt as _, future};
use s3ferry_core::diff::{ComparedObject, DifferenceKind, DifferentKey, KeyPair, SideName};
use s3ferry_core::facts::{AttributeSet, Availability, ObjectFacts, ObjectState};
use s3ferry_core::failure::{Failure, FailureKind};
use s3ferry_core::marker::{Marker, ObjectLocation};
use s3ferry_core::names::{BucketName, ObjectKey};
use s3ferry_core::plan::PartLayout;
use s3ferry_core::time::Timestamp;
use s3ferry_core::verify::completion::ComputedChecksums;
use s3ferry_core::verify::{
    ComparisonScope, ContentFinding, KeyVerification, KnownEvidence, ProofMethod, VerificationDepth,
    VerificationTotals, compare_objects, external_write_kind,
};

use crate::ports::{Absence, confirm_gone};

pub use self::listed::{ListedKeys, SampleRequest, listed};

/// The maximum number of comparisons of a key that changes while it is compared.
const PASSES: u32 = 4;

/// A bucket whose objects are compared.
pub trait VerifiedBucket: Send + Sync {
    /// Reads the current object of a key, and `attributes` of it that a HEAD does not show.
    fn read(
        &self,
        key: &ObjectKey,
        attributes: &AttributeSet,
    ) -> impl Future<Output = Result<ObjectState, Failure>> + Send;

    /// Lists the versions of a key that answered 404, to confirm that it has no current object.
    fn confirm_absence(&self, key: &ObjectKey) -> impl Future<Output = Result<Absence, Failure>> + Send;

    /// Reads the part sizes of the object that `facts` describe.
    fn layout(&self, key: &ObjectKey, facts: &ObjectFacts) -> impl Future<Output = Result<PartLayout, Failure>> + Send;

    /// Reads and hashes all bytes of exactly the object that `facts` describe; `None` if it no longer exists.
    fn digest(
        &self,
        key: &ObjectKey,
        facts: &ObjectFacts,
    ) -> impl Future<Output = Result<Option<ContentHash>, Failure>> + Send;
}

/// The SHA-256 hash of a content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContentHash(pub [u8; 32]);

/// The treatment of contents whose stored and computed checksums are inconclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InconclusiveContent {
    /// Both objects are read, up to a size.
    Read {
        /// The largest object that is read.
        max_bytes: u64,
    },
    /// The key is reported as inconclusive.
    Report,
}

/// Compares the keys of two buckets.
#[derive(Debug)]
pub struct Verifier<S, D> {
    /// The source bucket.
    pub source: S,
    /// The destination bucket.
    pub destination: D,
    /// The name of the destination bucket, to which the markers of copies are bound.
    pub destination_name: BucketName,
    /// The scope of the comparison.
    pub scope: ComparisonScope,
    /// The attributes that are read in addition to a HEAD request.
    pub attributes: AttributeSet,
    /// The treatment of inconclusive contents.
    pub inconclusive: InconclusiveContent,
    /// Checksums of source objects that S3 Batch Operations jobs computed.
    pub source_checksums: ComputedChecksums,
    /// Checksums of destination objects that S3 Batch Operations jobs computed.
    pub destination_checksums: ComputedChecksums,
    /// The start of the verification. Retentions that have ended by then are not compared.
    pub now: Timestamp,
    /// The number of keys that are compared concurrently.
    pub concurrency: usize,
}

/// The result of the next keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VerificationProgress {
    /// The totals of the keys.
    pub tally: VerificationTotals,
    /// The key that is not equal, if any.
    pub not_equal: Option<KeyVerification>,
}

/// The result of comparing both objects once.
enum Outcome {
    /// Both objects are equal, and their contents were not read.
    Equal(ProofMethod),
    /// Neither side has the object.
    Gone,
    /// A result that holds if both sides are still unchanged afterwards.
    Open(Box<Open>),
    /// One side changed during the comparison.
    Moved,
}

struct Open {
    verified_keys: KeyVerification,
    read_bytes: u64,
}

/// The result of comparing two contents.
enum ContentComparison {
    Known(ContentFinding, u64),
    /// Why the comparison is inconclusive, and whether checksums of jobs would help.
    Open(String, bool),
    Moved,
}

impl<S: VerifiedBucket + 'static, D: VerifiedBucket + 'static> Verifier<S, D> {
    /// Compares every key that the listings leave open, in key order.
    pub fn verified(
        self: Arc<Self>,
        listed: impl Stream<Item = Result<ListedKeys, Failure>> + Send,
    ) -> impl Stream<Item = Result<VerificationProgress, Failure>> + Send {
        let concurrency = self.concurrency.max(1);
        listed
            .map(move |listed| {
                let verifier = Arc::clone(&self);
                async move {
                    let ListedKeys { mut tally, finding } = listed?;
                    let Some(pair) = finding else {
                        return Ok(VerificationProgress { tally, not_equal: None });
                    };
                    let verified_keys = verifier.verify_key(&pair, &mut tally).await?;
                    tally.take(&verified_keys);
                    let verified_keys = verified_keys.key().is_some().then_some(verified_keys);
                    Ok(VerificationProgress {
                        tally,
                        not_equal: verified_keys,
                    })
                }
            })
            .buffered(concurrency)
    }

    async fn verify_key(&self, pair: &KeyPair, tally: &mut VerificationTotals) -> Result<KeyVerification, Failure> {
        match self.compared(pair, tally).await {
            Ok(Some(verified_keys)) => Ok(verified_keys),
            Ok(None) => {
                let reason = "changed whenever it was read: verify it again once writes have stopped".to_owned();
                Ok(KeyVerification::Inconclusive {
                    key: DifferentKey::unread(pair, reason),
                    checksums_would_help: false,
                })
            }
            // A configuration error affects every key; any other failure affects only this object.
            Err(failure) if failure.kind == FailureKind::Configuration => Err(failure),
            Err(failure) => Ok(KeyVerification::Unread {
                key: DifferentKey::unread(pair, failure.to_string()),
                failure,
            }),
        }
    }

    /// Compares both sides of a key until neither changes during a comparison; `None` if one always changes.
    async fn compared(
        &self,
        pair: &KeyPair,
        tally: &mut VerificationTotals,
    ) -> Result<Option<KeyVerification>, Failure> {
        let key = pair.key();
        let (mut source, mut destination) = self.read(pair).await?;
        for pass in 0..PASSES {
            let open = match self.outcome(key, &source, &destination).await? {
                Outcome::Equal(means) => {
                    let size_bytes = source.facts().map_or(0, |facts| facts.size_bytes);
                    return Ok(Some(KeyVerification::Equal { means, size_bytes }));
                }
                Outcome::Gone => return Ok(Some(KeyVerification::Gone)),
                Outcome::Open(open) => {
                    tally.read_bytes = tally.read_bytes.saturating_add(open.read_bytes);
                    Some(open)
                }
                Outcome::Moved => None,
            };
            let (source_now, destination_now) = self.read(pair).await?;
            if let Some(open) = open
                && source.is_still(&source_now)
                && destination.is_still(&destination_now)
            {
                return Ok(Some(open.verified_keys));
            }
            if pass == 0 {
                tally.changed += 1;
            }
            (source, destination) = (source_now, destination_now);
        }
        Ok(None)
    }

    /// Reads both sides. If a listed object answers 404, its absence is confirmed by listing its versions.
    async fn read(&self, pair: &KeyPair) -> Result<(ObjectState, ObjectState), Failure> {
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
        future::try_join(source, destination).await
    }

    async fn outcome(
        &self,
        key: &ObjectKey,
        source: &ObjectState,
        destination: &ObjectState,
    ) -> Result<Outcome, Failure> {
        let location = ObjectLocation {
            bucket: &self.destination_name,
            key,
        };
        let marker = destination.facts().and_then(|facts| Marker::bound(facts, location));
        let by_others = |facts, kinds: &[DifferenceKind]| {
            external_write_kind(source.facts(), facts, marker.as_ref(), kinds, self.scope.ownership)
        };
        let one_sided = |kind| {
            let verified_keys =
                KeyVerification::not_equal(different(key, vec![kind], source, destination, None), false);
            Ok(Outcome::Open(Box::new(Open {
                verified_keys,
                read_bytes: 0,
            })))
        };
        let (one, other) = match (source.facts(), destination.facts()) {
            (None, None) => return Ok(Outcome::Gone),
            (Some(_), None) => return one_sided(DifferenceKind::MissingAtDestination),
            (None, Some(other)) => {
                return one_sided(by_others(other, &[]).unwrap_or(DifferenceKind::ExtraAtDestination));
            }
            (Some(one), Some(other)) => (one, other),
        };
        let known = KnownEvidence {
            source: self.source_checksums.of(key),
            destination: self.destination_checksums.of(key),
            marker: marker.clone(),
        };
        let judgement = compare_objects(one, other, &known, &self.scope, self.now);
        let mut kinds = judgement.kinds;
        let comparison = match judgement.contents {
            ContentFinding::Agree(_) | ContentFinding::Differ => ContentComparison::Known(judgement.contents, 0),
            ContentFinding::AgreeIfPartsMatch(means) if self.have_same_parts(key, one, other).await? => {
                ContentComparison::Known(ContentFinding::Agree(means), 0)
            }
            ContentFinding::AgreeIfPartsMatch(_) | ContentFinding::Unknown => {
                self.compare_contents(key, one, other).await?
            }
        };
        let (reason, checksums_would_help, read_bytes) = match comparison {
            ContentComparison::Moved => return Ok(Outcome::Moved),
            ContentComparison::Known(ContentFinding::Agree(means), read_bytes) if kinds.is_empty() => {
                if read_bytes == 0 {
                    return Ok(Outcome::Equal(means));
                }
                let size_bytes = one.size_bytes;
                let verified_keys = KeyVerification::Equal { means, size_bytes };
                return Ok(Outcome::Open(Box::new(Open {
                    verified_keys,
                    read_bytes,
                })));
            }
            ContentComparison::Known(ContentFinding::Differ, read_bytes) => {
                if !kinds
                    .iter()
                    .any(|kind| matches!(kind, DifferenceKind::Size | DifferenceKind::Content))
                {
                    kinds.insert(0, DifferenceKind::Content);
                }
                (None, false, read_bytes)
            }
            ContentComparison::Known(_, read_bytes) => (None, false, read_bytes),
            ContentComparison::Open(reason, would_help) => {
                kinds.push(DifferenceKind::Inconclusive);
                (Some(reason), would_help, 0)
            }
        };
        if let Some(kind) = by_others(other, &kinds) {
            kinds.insert(0, kind);
        }
        let key = different(key, kinds, source, destination, reason);
        let verified_keys = KeyVerification::not_equal(key, checksums_would_help);
        Ok(Outcome::Open(Box::new(Open {
            verified_keys,
            read_bytes,
        })))
    }

    /// Returns whether both objects have the same known part sizes.
    async fn have_same_parts(
        &self,
        key: &ObjectKey,
        source: &ObjectFacts,
        destination: &ObjectFacts,
    ) -> Result<bool, Failure> {
        let layouts = future::try_join(
            self.source.layout(key, source),
            self.destination.layout(key, destination),
        );
        let (source, destination) = layouts.await?;
        Ok(source != PartLayout::Unknown && source == destination)
    }

    /// Compares contents whose stored and computed checksums are inconclusive, by reading them if permitted.
    async fn compare_contents(
        &self,
        key: &ObjectKey,
        source: &ObjectFacts,
        destination: &ObjectFacts,
    ) -> Result<ContentComparison, Failure> {
        let nothing = match self.scope.depth {
            VerificationDepth::Listing | VerificationDepth::Head => "nothing that both sides store can be compared",
            VerificationDepth::Checksum => "no hash of the whole content is stored on both sides",
        };
        let open = |why: String, would_help| Ok(ContentComparison::Open(format!("{nothing}, and {why}"), would_help));
        let max_bytes = match self.inconclusive {
            InconclusiveContent::Report => return open("the contents may not be read".to_owned(), true),
            InconclusiveContent::Read { max_bytes } => max_bytes,
        };
        for (side, facts) in [("source", source), ("destination", destination)] {
            if facts.availability == Availability::Archived {
                let class = &facts.storage_class;
                return open(
                    format!("the {side}'s object is archived ({class}) and not restored, so it cannot be read"),
                    true,
                );
            }
        }
        if source.size_bytes > max_bytes {
            let size = source.size_bytes;
            return open(
                format!("its {size} bytes are more than the {max_bytes} that may be read of an object"),
                true,
            );
        }
        let digests = future::try_join(
            self.source.digest(key, source),
            self.destination.digest(key, destination),
        );
        let (Some(one), Some(other)) = digests.await? else {
            return Ok(ContentComparison::Moved);
        };
        let contents = if one == other {
            ContentFinding::Agree(ProofMethod::Read)
        } else {
            ContentFinding::Differ
        };
        Ok(ContentComparison::Known(contents, source.size_bytes.saturating_mul(2)))
    }
}

fn different(
    key: &ObjectKey,
    differences: Vec<DifferenceKind>,
    source: &ObjectState,
    destination: &ObjectState,
    reason: Option<String>,
) -> DifferentKey {
    DifferentKey {
        key: key.clone(),
        differences,
        source: source.facts().map(ComparedObject::from),
        destination: destination.facts().map(ComparedObject::from),
        reason,
    }
}
