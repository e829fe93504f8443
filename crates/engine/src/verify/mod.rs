//! The proof that two buckets are equal: every key looked at as deep as was asked for, and what stays open settled by
//! checksums or by reading both sides.

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
    VerificationTotals, compare_objects, written_by_others,
};

use crate::ports::{Absence, confirm_gone};

pub use self::listed::{ListedKeys, SampleRequest, listed};

/// How often a key is compared anew that changes while it is compared.
const PASSES: u32 = 4;

/// A bucket whose objects are proved equal to another's.
pub trait VerifiedBucket: Send + Sync {
    /// Reads the current object of a key, and those `aspects` of it that a HEAD does not show.
    fn read(
        &self,
        key: &ObjectKey,
        attributes: &AttributeSet,
    ) -> impl Future<Output = Result<ObjectState, Failure>> + Send;

    /// Looks for positive evidence that a key that answered 404 has no current object.
    fn confirm_absence(&self, key: &ObjectKey) -> impl Future<Output = Result<Absence, Failure>> + Send;

    /// Reads in which parts the object that `facts` describe was uploaded.
    fn layout(&self, key: &ObjectKey, facts: &ObjectFacts) -> impl Future<Output = Result<PartLayout, Failure>> + Send;

    /// Reads all bytes of exactly the object that `facts` describe and hashes them; `None` when it is no longer there.
    fn digest(
        &self,
        key: &ObjectKey,
        facts: &ObjectFacts,
    ) -> impl Future<Output = Result<Option<ContentHash>, Failure>> + Send;
}

/// The SHA-256 of a content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContentHash(pub [u8; 32]);

/// What becomes of a content that nothing stored or computed can settle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InconclusiveContent {
    /// It is read on both sides, if it has no more bytes than this.
    Read {
        /// The largest object that is read.
        max_bytes: u64,
    },
    /// It is reported.
    Report,
}

/// Looks at keys on both sides.
#[derive(Debug)]
pub struct Verifier<S, D> {
    /// The bucket that is migrated.
    pub source: S,
    /// The bucket that is migrated to.
    pub destination: D,
    /// Its name, which markers of copies are bound to.
    pub destination_name: BucketName,
    /// What is compared.
    pub scope: ComparisonScope,
    /// What is read besides a HEAD.
    pub attributes: AttributeSet,
    /// What becomes of contents that nothing settles.
    pub inconclusive: InconclusiveContent,
    /// Checksums that jobs computed of the source's objects.
    pub source_checksums: ComputedChecksums,
    /// Checksums that jobs computed of the destination's objects.
    pub destination_checksums: ComputedChecksums,
    /// When it begins: retentions that have ended by then are not compared.
    pub now: Timestamp,
    /// How many keys are looked at at once.
    pub concurrency: usize,
}

/// What came of some more keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VerificationProgress {
    /// What was told of them.
    pub tally: VerificationTotals,
    /// The key that is not equal, if one is not.
    pub not_equal: Option<KeyVerification>,
}

/// What a look at both sides says.
enum Outcome {
    /// Both are equal, and nothing was read that took long.
    Equal(ProofMethod),
    /// Both are gone.
    Gone,
    /// To be looked at once more before it is said.
    Open(Box<Open>),
    /// A side changed in between.
    Moved,
}

struct Open {
    verified_keys: KeyVerification,
    read_bytes: u64,
}

/// What was found out of two contents.
enum Settled {
    Known(ContentFinding, u64),
    /// Why it cannot be told, and whether checksums of jobs would help.
    Open(String, bool),
    Moved,
}

impl<S: VerifiedBucket + 'static, D: VerifiedBucket + 'static> Verifier<S, D> {
    /// Looks at everything that listings ask for; the order of keys is kept.
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
                let reason = "changed whenever it was read: verify it when nobody writes to it".to_owned();
                Ok(KeyVerification::Inconclusive {
                    key: DifferentKey::unread(pair, reason),
                    checksums_would_help: false,
                })
            }
            // What ails the bucket ails every key; what ails one object is that object's.
            Err(failure) if failure.kind == FailureKind::Configuration => Err(failure),
            Err(failure) => Ok(KeyVerification::Unread {
                key: DifferentKey::unread(pair, failure.to_string()),
                failure,
            }),
        }
    }

    /// Compares both sides of a key until neither changes in between; `None` where they always do.
    async fn compared(
        &self,
        pair: &KeyPair,
        tally: &mut VerificationTotals,
    ) -> Result<Option<KeyVerification>, Failure> {
        let key = pair.key();
        let (mut source, mut destination) = self.read(pair).await?;
        for turn in 0..PASSES {
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
            if turn == 0 {
                tally.changed += 1;
            }
            (source, destination) = (source_now, destination_now);
        }
        Ok(None)
    }

    /// Reads both sides. A side that a listing named and that answers 404 is gone only if its versions say so.
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
        let place = ObjectLocation {
            bucket: &self.destination_name,
            key,
        };
        let marker = destination.facts().and_then(|facts| Marker::bound(facts, place));
        let by_others = |facts, kinds: &[DifferenceKind]| {
            written_by_others(source.facts(), facts, marker.as_ref(), kinds, self.scope.ownership)
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
        let settled = match judgement.contents {
            ContentFinding::Agree(_) | ContentFinding::Differ => Settled::Known(judgement.contents, 0),
            ContentFinding::AgreeIfInSameParts(means) if self.in_same_parts(key, one, other).await? => {
                Settled::Known(ContentFinding::Agree(means), 0)
            }
            ContentFinding::AgreeIfInSameParts(_) | ContentFinding::Unknown => {
                self.compare_contents(key, one, other).await?
            }
        };
        let (reason, checksums_would_help, read_bytes) = match settled {
            Settled::Moved => return Ok(Outcome::Moved),
            Settled::Known(ContentFinding::Agree(means), read_bytes) if kinds.is_empty() => {
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
            Settled::Known(ContentFinding::Differ, read_bytes) => {
                if !kinds
                    .iter()
                    .any(|kind| matches!(kind, DifferenceKind::Size | DifferenceKind::Content))
                {
                    kinds.insert(0, DifferenceKind::Content);
                }
                (None, false, read_bytes)
            }
            Settled::Known(_, read_bytes) => (None, false, read_bytes),
            Settled::Open(reason, would_help) => {
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

    /// Tells whether both objects were uploaded in the same parts, as far as that can be told.
    async fn in_same_parts(
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

    /// Settles contents that nothing stored or computed settles.
    async fn compare_contents(
        &self,
        key: &ObjectKey,
        source: &ObjectFacts,
        destination: &ObjectFacts,
    ) -> Result<Settled, Failure> {
        let nothing = match self.scope.depth {
            VerificationDepth::Listing | VerificationDepth::Head => "nothing that both sides store can be compared",
            VerificationDepth::Checksum => "no hash of the whole content is stored on both sides",
        };
        let open = |why: String, would_help| Ok(Settled::Open(format!("{nothing}, and {why}"), would_help));
        let max_bytes = match self.inconclusive {
            InconclusiveContent::Report => return open("contents were not to be read".to_owned(), true),
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
            return Ok(Settled::Moved);
        };
        let contents = if one == other {
            ContentFinding::Agree(ProofMethod::Read)
        } else {
            ContentFinding::Differ
        };
        Ok(Settled::Known(contents, source.size_bytes.saturating_mul(2)))
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
