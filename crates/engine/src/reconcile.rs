//! The one operation everything ends in: make a key of the destination what it is at the source.

use std::pin::pin;
use std::time::Duration;

use futures::future::{self, Either};
use s3ferry_core::decide::{CopyOrder, Decision, Policy, Refusal, ReplicationCoverage, Situation, decide};
use s3ferry_core::facts::{Aspect, Aspects, ObjectState};
use s3ferry_core::failure::{Failure, FailureKind};
use s3ferry_core::names::{ETag, ObjectKey};
use s3ferry_core::outcome::{AgainReason, Outcome, Report, SkipReason};
use s3ferry_core::time::Timestamp;

use crate::ports::{Absence, Clock, DestinationBucket, SourceBucket, WriteError};

/// How often both sides are read before a key that keeps changing, or failing, is left for later.
pub const MAX_TURNS: u32 = 6;

/// Reconciles keys between two buckets.
#[derive(Debug)]
pub struct Reconciler<S, D, C> {
    /// The bucket that is migrated.
    pub source: S,
    /// The bucket that is migrated to.
    pub destination: D,
    /// The passing of time.
    pub clock: C,
    /// What the team decided.
    pub policy: Policy,
}

/// What is known of one key's reconcile while it runs.
#[derive(Debug, Default)]
struct Attempt {
    aspects: Aspects,
    lost: Aspects,
    turns: u32,
    progress: bool,
    outcome_unknown: bool,
    write_under_way: bool,
    last_failure: Option<Failure>,
}

/// How one turn of the loop went.
enum Turn {
    Ended(Outcome),
    /// The world moved: read again at once.
    ReadAgain,
    /// Something failed that may pass: read again after a while.
    ReadLater(Failure),
}

/// A failure ends the reconcile unless time can heal it.
fn after_failure(failure: Failure) -> Turn {
    match failure.kind {
        FailureKind::Retry | FailureKind::Again => Turn::ReadLater(failure),
        FailureKind::Permanent | FailureKind::Configuration | FailureKind::Bug => Turn::Ended(Outcome::Failed(failure)),
    }
}

impl<S: SourceBucket, D: DestinationBucket, C: Clock> Reconciler<S, D, C> {
    /// Reconciles `key`, reading also the `aspects` that hints named, and ends by `deadline`.
    ///
    /// Cut off by the deadline it ends with [`AgainReason::Deadline`]; a write then under way may still land, which the
    /// next reconcile reads.
    pub async fn reconcile(&self, key: &ObjectKey, aspects: &Aspects, deadline: Timestamp) -> Report {
        let started = self.clock.now();
        let mut attempt = Attempt {
            aspects: aspects.clone(),
            ..Attempt::default()
        };
        let outcome = if self.policy.covers(key) {
            let time_left = self.clock.sleep(deadline.since(started));
            let work = self.turns(key, &mut attempt);
            match future::select(pin!(work), pin!(time_left)).await {
                Either::Left((outcome, _)) => outcome,
                Either::Right(((), _)) => Outcome::Again(AgainReason::Deadline),
            }
        } else {
            Outcome::Skipped(SkipReason::OutOfScope)
        };
        Report {
            outcome,
            lost: attempt.lost,
            turns: attempt.turns,
            progress: attempt.progress,
            // Cut off, a write may still land.
            outcome_unknown: attempt.outcome_unknown || attempt.write_under_way,
            duration: self.clock.now().since(started),
        }
    }

    async fn turns(&self, key: &ObjectKey, attempt: &mut Attempt) -> Outcome {
        while attempt.turns < MAX_TURNS {
            attempt.turns += 1;
            match self.turn(key, attempt).await {
                Turn::Ended(outcome) => return outcome,
                Turn::ReadAgain => attempt.last_failure = None,
                Turn::ReadLater(failure) => {
                    tracing::debug!(s3.key = %key, turn = attempt.turns, %failure, "will read again");
                    attempt.last_failure = Some(failure);
                    if attempt.turns < MAX_TURNS {
                        self.clock.sleep(backoff(key, attempt.turns)).await;
                    }
                }
            }
        }
        match attempt.last_failure.take() {
            Some(failure) => Outcome::Failed(failure),
            None => Outcome::Again(AgainReason::HotKey),
        }
    }

    async fn turn(&self, key: &ObjectKey, attempt: &mut Attempt) -> Turn {
        let reads = future::join(
            self.source.read(key, &attempt.aspects),
            self.destination.read(key, &attempt.aspects),
        );
        let (source, destination) = match reads.await {
            (Ok(source), Ok(destination)) => (source, destination),
            (Err(failure), _) | (_, Err(failure)) => return after_failure(failure),
        };
        let (source, decision) = match self.decision(key, source, &destination).await {
            Ok(decided) => decided,
            Err(turn) => return turn,
        };
        tracing::debug!(s3.key = %key, %source, %destination, decision = decision.as_str(), "decided");
        match decision {
            Decision::Skip(reason) => {
                attempt.lost = not_compared(reason, &attempt.aspects);
                Turn::Ended(Outcome::Skipped(reason))
            }
            Decision::Again(reason) => Turn::Ended(Outcome::Again(reason)),
            Decision::Refuse(refusal) => Turn::Ended(Outcome::Failed(refused(key, &refusal))),
            Decision::Read(aspect) => {
                attempt.aspects.insert(aspect);
                Turn::ReadAgain
            }
            Decision::Copy(order) => self.copy(key, &source, &order, attempt).await,
            Decision::Delete { seen } => self.delete(key, &source, &seen, attempt).await,
            // `decision` answers both questions before it returns.
            Decision::AskReplication | Decision::ConfirmAbsence => Turn::ReadAgain,
        }
    }

    /// Decides, and gathers what the decision asks for until it asks for nothing more.
    async fn decision(
        &self,
        key: &ObjectKey,
        mut source: ObjectState,
        destination: &ObjectState,
    ) -> Result<(ObjectState, Decision), Turn> {
        let mut replication = ReplicationCoverage::NotAsked;
        loop {
            let situation = Situation {
                source: &source,
                destination,
                replication,
                now: self.clock.now(),
            };
            match decide(&situation, &self.policy) {
                Decision::AskReplication => {
                    replication = self.source.replication(key).await.map_err(after_failure)?;
                }
                Decision::ConfirmAbsence => match self.source.confirm_absence(key).await.map_err(after_failure)? {
                    Absence::Confirmed => source = ObjectState::ConfirmedAbsent,
                    Absence::ObjectFound => return Err(Turn::ReadAgain),
                },
                decision => return Ok((source, decision)),
            }
        }
    }

    async fn copy(&self, key: &ObjectKey, source: &ObjectState, order: &CopyOrder, attempt: &mut Attempt) -> Turn {
        attempt.write_under_way = true;
        let answer = self.destination.copy(key, order).await;
        attempt.write_under_way = false;
        let copied = match answer {
            Ok(version_id) => Outcome::Copied {
                version_id,
                size_bytes: order.size_bytes,
            },
            Err(error) => return after_write_error(error, attempt),
        };
        attempt.progress = true;
        attempt.lost = lost_by_copy(source, &attempt.aspects);
        self.settle(key, source, copied, attempt).await
    }

    async fn delete(&self, key: &ObjectKey, source: &ObjectState, seen: &ETag, attempt: &mut Attempt) -> Turn {
        attempt.write_under_way = true;
        let answer = self.destination.delete(key, seen).await;
        attempt.write_under_way = false;
        if let Err(error) = answer {
            return after_write_error(error, attempt);
        }
        attempt.progress = true;
        self.settle(key, source, Outcome::Deleted, attempt).await
    }

    /// Reads the source once more after a write: only when it did not move on was this the last word on the key.
    async fn settle(&self, key: &ObjectKey, seen: &ObjectState, outcome: Outcome, attempt: &mut Attempt) -> Turn {
        match self.source.read(key, &attempt.aspects).await {
            Ok(now) if seen.is_still(&now) => Turn::Ended(outcome),
            Ok(_) => world_moved(attempt),
            Err(failure) => {
                attempt.aspects.insert(Aspect::Tags);
                after_failure(failure)
            }
        }
    }
}

/// Reads again, and the tags too: what landed may be a copy of the version before, which had equal bytes and other tags.
fn world_moved(attempt: &mut Attempt) -> Turn {
    attempt.aspects.insert(Aspect::Tags);
    Turn::ReadAgain
}

fn after_write_error(error: WriteError, attempt: &mut Attempt) -> Turn {
    match error {
        WriteError::WorldMoved => world_moved(attempt),
        WriteError::Failed(failure) => after_failure(failure),
        // Not repeated blindly: the next turn reads what became of it.
        WriteError::OutcomeUnknown(failure) => {
            attempt.outcome_unknown = true;
            attempt.aspects.insert(Aspect::Tags);
            Turn::ReadLater(failure)
        }
    }
}

/// Names what the copy does not carry: what an event said has changed but a copy leaves behind, and metadata that S3
/// cannot show.
fn lost_by_copy(source: &ObjectState, hinted: &Aspects) -> Aspects {
    let mut lost: Aspects = hinted.iter().copied().filter(|aspect| !is_copied(*aspect)).collect();
    if source.facts().is_some_and(|facts| facts.missing_metadata > 0) {
        lost.insert(Aspect::MissingMetadata);
    }
    lost
}

/// Names what an event said has changed and equality was not judged by.
fn not_compared(reason: SkipReason, hinted: &Aspects) -> Aspects {
    match reason {
        SkipReason::AlreadyIdentical => hinted
            .iter()
            .copied()
            .filter(|aspect| *aspect != Aspect::Tags)
            .collect(),
        SkipReason::BothAbsent | SkipReason::DeletesNotPropagated | SkipReason::OutOfScope => Aspects::new(),
    }
}

/// Tells whether `CopyObject` carries an aspect by default.
fn is_copied(aspect: Aspect) -> bool {
    match aspect {
        Aspect::Tags | Aspect::Annotations => true,
        Aspect::Acl | Aspect::Lock | Aspect::MissingMetadata => false,
    }
}

fn refused(key: &ObjectKey, refusal: &Refusal) -> Failure {
    Failure {
        kind: FailureKind::Permanent,
        code: refusal.code().to_owned(),
        action: "s3:PutObject".to_owned(),
        resource: key.to_string(),
        detail: refusal.to_string(),
    }
}

/// Returns how long to wait after a turn that failed: growing, bounded, and spread by key so that keys that failed
/// together do not come back together.
#[must_use]
pub fn backoff(key: &ObjectKey, turn: u32) -> Duration {
    const FIRST_MS: u64 = 200;
    const LONGEST_MS: u64 = 5_000;
    let ceiling_ms = FIRST_MS.saturating_mul(1 << turn.min(10)).min(LONGEST_MS);
    let half_ms = ceiling_ms / 2;
    Duration::from_millis(half_ms + spread(key, turn) % half_ms.max(1))
}

/// Hashes with FNV-1a: the same in every run, which chance would not be.
fn spread(key: &ObjectKey, turn: u32) -> u64 {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let bytes = key.as_str().bytes().chain(turn.to_le_bytes());
    bytes.fold(OFFSET, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME))
}
