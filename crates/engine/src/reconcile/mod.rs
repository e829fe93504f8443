//! Reconcile: makes one key of the destination equal to the source.

mod attempt;
mod backoff;
mod multipart;
mod optimistic;
mod orphaned_uploads;
mod shared;

use std::pin::pin;

use futures::future::{self, Either};
use s3ferry_core::bucket_settings::{BucketCapabilities, DefaultEncryption, ReplicationCoverage};
use s3ferry_core::compare::{BodyComparison, compare_bodies};
use s3ferry_core::decide::{CopyRefusal, Decision, OptimisticCopy, Situation, not_preserved, wait_before_copy};
use s3ferry_core::diff::SideName;
use s3ferry_core::facts::{Attribute, AttributeSet, Encryption, ExplicitEncryption, HIDDEN_IN_HEAD, ObjectState};
use s3ferry_core::failure::Failure;
use s3ferry_core::listing::ListedObject;
use s3ferry_core::lock::ObjectLock;
use s3ferry_core::names::{ETag, ObjectKey};
use s3ferry_core::order::{AttributeUpdate, CopyMethod, CopyOrder};
use s3ferry_core::outcome::{DeferralReason, Outcome, ReconcileReport, SkipReason};
use s3ferry_core::policy::{AclRule, Policy};
use s3ferry_core::route::MigrationRoute;
use s3ferry_core::time::Timestamp;

use self::attempt::{Attempt, PassResult, after_failure};
pub use self::backoff::backoff;
use crate::ports::{Absence, Clock, DestinationBucket, SourceBucket, StateStore, WrittenObject};

/// The maximum number of passes over a key that keeps changing or failing, before it is left for later.
///
/// A pass that copied parts is not counted: there are at most as many such passes as parts.
pub const MAX_PASSES: u32 = 6;

/// The maximum number of additional reads that a decision requests. Each is requested once.
const MAX_READS: u32 = 10;

/// Reconciles keys between two buckets.
#[derive(Debug)]
pub struct Reconciler<S, D, C, J> {
    /// The source bucket.
    pub source: S,
    /// The destination bucket.
    pub destination: D,
    /// The upload journal. If unset, multipart copies must finish within one invocation.
    pub uploads: Option<UploadSupport<J>>,
    /// The number of parts of one object that are copied concurrently.
    pub concurrent_parts: usize,
    /// The clock.
    pub clock: C,
    /// The settings of the migration.
    pub policy: Policy,
}

/// The upload journal of a migration, and the buckets of its entries.
#[derive(Debug, Clone)]
pub struct UploadSupport<J> {
    /// The store for upload journal and delete intents.
    pub journal: J,
    /// The source and destination buckets that entries name.
    pub route: MigrationRoute,
}

impl<S: SourceBucket, D: DestinationBucket, C: Clock, J: StateStore> Reconciler<S, D, C, J> {
    /// Reconciles `key` by `deadline`, and also reads the `attributes` that hints named.
    ///
    /// At the deadline the reconcile is interrupted and returns [`DeferralReason::Deadline`].
    /// A write in progress may still land; the next reconcile reads its effect.
    pub async fn reconcile(&self, key: &ObjectKey, attributes: &AttributeSet, deadline: Timestamp) -> ReconcileReport {
        self.reconcile_after(key, None, attributes, deadline).await
    }

    /// Reconciles a key like [`Reconciler::reconcile`] that a listing of the source has and one of the destination lacks.
    ///
    /// If the listed object shows everything that the copy depends on, it is copied before either object is read.
    pub async fn reconcile_listed(
        &self,
        listed: &ListedObject,
        attributes: &AttributeSet,
        deadline: Timestamp,
    ) -> ReconcileReport {
        let copy = OptimisticCopy::of(listed, attributes, &self.policy, self.clock.now());
        self.reconcile_after(&listed.key, copy, attributes, deadline).await
    }

    /// Reconciles a key, with `first` as its first pass.
    async fn reconcile_after(
        &self,
        key: &ObjectKey,
        first: Option<OptimisticCopy>,
        attributes: &AttributeSet,
        deadline: Timestamp,
    ) -> ReconcileReport {
        let started = self.clock.now();
        let mut attempt = Attempt::new(attributes, self.policy.acl, deadline);
        let outcome = if self.policy.covers(key) {
            let time_left = self.clock.sleep(deadline.since(started));
            let work = self.run_passes(key, first, &mut attempt);
            match future::select(pin!(work), pin!(time_left)).await {
                Either::Left((outcome, _)) => outcome,
                Either::Right(((), _)) => Outcome::Deferred(DeferralReason::Deadline),
            }
        } else {
            Outcome::Skipped(SkipReason::OutOfScope)
        };
        ReconcileReport {
            outcome,
            not_preserved: attempt.not_preserved,
            passes: attempt.passes,
            progress: attempt.writes.progress,
            // A write that was interrupted may still land.
            outcome_unknown: attempt.writes.outcome_unknown || attempt.writes.under_way,
            not_comparable: attempt.not_comparable,
            upload_left: attempt.uploads.may_be_journaled
                || attempt.uploads.may_be_orphaned
                || attempt.copied.is_some(),
            duration: self.clock.now().since(started),
        }
    }

    async fn run_passes(&self, key: &ObjectKey, mut first: Option<OptimisticCopy>, attempt: &mut Attempt) -> Outcome {
        let mut idle_passes = 0;
        while idle_passes < MAX_PASSES {
            attempt.passes += 1;
            idle_passes += 1;
            attempt.uploads.copied_parts = false;
            let pass = match first.take() {
                Some(copy) => self.optimistic_pass(key, &copy, attempt).await,
                None => self.run_pass(key, attempt).await,
            };
            let pass = match pass {
                PassResult::Ended(outcome) => self.abort_unused_uploads(key, outcome, attempt).await,
                pass => pass,
            };
            match pass {
                PassResult::Ended(outcome) => return after_copy(outcome, attempt),
                PassResult::ReadAgain => attempt.last_failure = None,
                PassResult::ReadLater(failure) => {
                    tracing::debug!(s3.key = %key, pass = attempt.passes, %failure, "pass failed, trying another one");
                    attempt.last_failure = Some(failure);
                    if attempt.uploads.copied_parts {
                        idle_passes = 1;
                    }
                    if idle_passes < MAX_PASSES {
                        self.clock.sleep(backoff(key, idle_passes)).await;
                    }
                }
            }
        }
        let outcome = match attempt.last_failure.take() {
            Some(failure) => Outcome::Failed(failure),
            None => Outcome::Deferred(DeferralReason::HotKey),
        };
        after_copy(outcome, attempt)
    }

    async fn run_pass(&self, key: &ObjectKey, attempt: &mut Attempt) -> PassResult {
        let reads = future::join(
            self.source.read(key, &attempt.attributes),
            self.destination.read(key, &attempt.attributes),
        );
        let (source, destination) = match reads.await {
            (Ok(source), Ok(destination)) => (source, destination),
            (Err(failure), _) | (_, Err(failure)) => return after_failure(failure),
        };
        if let Err(pass) = self.examine(key, &destination, attempt).await {
            return pass;
        }
        let (source, destination, decision) = match self.decision(key, source, destination, attempt).await {
            Ok(decided) => decided,
            Err(pass) => return pass,
        };
        tracing::debug!(s3.key = %key, %source, %destination, decision = decision.as_str(), "decided");
        match decision {
            Decision::Skip(reason) => {
                if reason == SkipReason::AlreadyIdentical {
                    let encryption = destination.facts().map(|facts| facts.encryption.clone());
                    let lock = destination.facts().map(|facts| facts.lock);
                    self.note_not_preserved(&source, lock, encryption.as_ref(), attempt);
                }
                PassResult::Ended(Outcome::Skipped(reason))
            }
            Decision::Defer(reason) => PassResult::Ended(Outcome::Deferred(reason)),
            Decision::Refuse(refusal) => PassResult::Ended(Outcome::Failed(refused(key, &refusal))),
            Decision::ReadAttributes(attributes) => {
                attempt.attributes.extend(attributes);
                PassResult::ReadAgain
            }
            Decision::Copy(order) => {
                attempt.not_comparable = is_not_comparable(&source, &destination);
                self.wait_before_copy(&source).await;
                match order.method {
                    CopyMethod::SingleRequest => self.copy(key, &source, &order, attempt).await,
                    CopyMethod::Multipart => self.multipart_copy(key, &source, &order, attempt).await,
                }
            }
            Decision::UpdateAttributes(order) => {
                let present = destination.facts().map(|facts| facts.encryption.clone());
                self.update_attributes(key, &source, &order, present, attempt).await
            }
            Decision::Delete { seen } => match self.announce(key, &destination, attempt).await {
                Ok(()) => self.delete(key, &source, &seen, attempt).await,
                Err(pass) => pass,
            },
            Decision::RemoveVersion { version, hidden } => {
                self.remove_hiding_version(key, &version, &hidden, attempt).await
            }
            // `decision` carries out these reads before it returns.
            Decision::ReadReplicationCoverage
            | Decision::ReadBucketCapabilities
            | Decision::ReadDefaultEncryption
            | Decision::ReadSourceVersions
            | Decision::ConfirmAbsence(_)
            | Decision::ReadSourceAttributes(_) => PassResult::ReadAgain,
        }
    }

    /// Decides what to do, and carries out the additional reads that the decision requests.
    async fn decision(
        &self,
        key: &ObjectKey,
        mut source: ObjectState,
        mut destination: ObjectState,
        attempt: &mut Attempt,
    ) -> Result<(ObjectState, ObjectState, Decision), PassResult> {
        let mut replication = ReplicationCoverage::NotRead;
        if attempt.absence_refuted && destination == ObjectState::NotFound {
            self.confirm_absence(key, SideName::Destination).await?;
        }
        for _ in 0..MAX_READS {
            let situation = Situation {
                source: &source,
                destination: &destination,
                replication,
                capabilities: attempt.capabilities,
                default_encryption: &attempt.default_encryption.clone(),
                encrypts_by_copy: attempt.encrypts_by_copy,
                is_just_copied: attempt.has_just_copied(&source, &destination),
                annotations_pending: attempt.attributes.contains(&Attribute::PendingAnnotations),
                now: self.clock.now(),
            };
            match self.decide(key, situation, attempt)? {
                Decision::ReadReplicationCoverage => {
                    replication = self.source.replication(key).await.map_err(after_failure)?;
                }
                Decision::ReadBucketCapabilities => {
                    attempt.capabilities = Some(self.capabilities().await.map_err(after_failure)?);
                }
                Decision::ReadDefaultEncryption => {
                    let default = self.destination.default_encryption().await.map_err(after_failure)?;
                    attempt.default_encryption = default.map_or(DefaultEncryption::Unknown, DefaultEncryption::Known);
                }
                Decision::ReadSourceVersions => {
                    attempt.shared.source_is_copy = Some(self.source_is_copy(key, &source).await?);
                }
                Decision::ConfirmAbsence(side) => {
                    self.confirm_absence(key, side).await?;
                    match side {
                        SideName::Source => source = ObjectState::ConfirmedAbsent,
                        SideName::Destination => destination = ObjectState::ConfirmedAbsent,
                    }
                }
                Decision::ReadSourceAttributes(attributes) => {
                    // These attributes are also read after the write. In shared mode the marker contains them.
                    if !self.is_shared() {
                        attempt.attributes.extend(&attributes);
                    }
                    source = self.read_more(key, source, &attributes).await?;
                }
                decision => return Ok((source, destination, self.unless_withheld(decision)?)),
            }
        }
        Err(PassResult::ReadAgain)
    }

    /// Returns the decision, unless this is a dry run and the decision begins with a write.
    fn unless_withheld(&self, decision: Decision) -> Result<Decision, PassResult> {
        match decision.first_write().filter(|_| self.policy.dry_run) {
            Some(write) => Err(PassResult::Ended(Outcome::Withheld(write))),
            None => Ok(decision),
        }
    }

    /// Confirms that a side that answered 404 has no current object, by listing its versions.
    ///
    /// If the listing has a current object, the 404 is ignored and the key is read again later.
    /// The object was written in the meantime, or S3 does not return it yet.
    async fn confirm_absence(&self, key: &ObjectKey, side: SideName) -> Result<(), PassResult> {
        let absence = match side {
            SideName::Source => self.source.confirm_absence(key).await,
            SideName::Destination => self.destination.confirm_absence(key).await,
        };
        match absence.map_err(after_failure)? {
            Absence::Confirmed => Ok(()),
            Absence::ObjectFound => Err(PassResult::ReadLater(Failure::absence_unconfirmed(key, side))),
        }
    }

    async fn capabilities(&self) -> Result<BucketCapabilities, Failure> {
        let asks_acl = self.policy.acl == AclRule::Copy;
        Ok(BucketCapabilities {
            object_lock: self.destination.object_lock().await?,
            acl: asks_acl && self.source.has_acl().await? && self.destination.has_acl().await?,
        })
    }

    async fn read_more(
        &self,
        key: &ObjectKey,
        source: ObjectState,
        attributes: &AttributeSet,
    ) -> Result<ObjectState, PassResult> {
        let Some(facts) = source.facts() else {
            return Err(PassResult::ReadAgain);
        };
        let read = self
            .source
            .read_more(key, facts, attributes)
            .await
            .map_err(after_failure)?;
        // A source that changed is read again from the start.
        read.map(|facts| ObjectState::Present(Box::new(facts)))
            .ok_or(PassResult::ReadAgain)
    }

    async fn wait_before_copy(&self, source: &ObjectState) {
        let now = self.clock.now();
        let wait = source.facts().map(|facts| wait_before_copy(facts, now));
        if let Some(wait) = wait.filter(|wait| !wait.is_zero()) {
            self.clock.sleep(wait).await;
        }
    }

    async fn copy(
        &self,
        key: &ObjectKey,
        source: &ObjectState,
        order: &CopyOrder,
        attempt: &mut Attempt,
    ) -> PassResult {
        attempt.writes.under_way = true;
        let answer = self.destination.copy(key, order).await;
        attempt.writes.under_way = false;
        let written = match answer {
            Ok(written) => written,
            Err(error) => return attempt.conditional_write_failed(&order.condition, error),
        };
        attempt.writes.progress = true;
        attempt.not_preserved = order.not_preserved_by_single_request();
        let encryption = self.encryption_of_copy(source, attempt);
        self.note_not_preserved(source, None, encryption.as_ref(), attempt);
        if self.is_shared() {
            return attempt.copied(written, order);
        }
        self.end_copy(key, source, order, written, attempt).await
    }

    /// Finishes a copy, or leaves attributes that the write does not include to another pass.
    async fn end_copy(
        &self,
        key: &ObjectKey,
        source: &ObjectState,
        order: &CopyOrder,
        written: WrittenObject,
        attempt: &mut Attempt,
    ) -> PassResult {
        if order.follow_up.is_empty() {
            let copied = Outcome::Copied {
                version_id: written.version_id,
                size_bytes: order.size_bytes,
            };
            return self.read_source_again(key, source, copied, attempt).await;
        }
        attempt.copied(written, order)
    }

    async fn update_attributes(
        &self,
        key: &ObjectKey,
        source: &ObjectState,
        order: &AttributeUpdate,
        present_encryption: Option<Encryption>,
        attempt: &mut Attempt,
    ) -> PassResult {
        attempt.writes.under_way = true;
        let answer = self.destination.update_attributes(key, order).await;
        attempt.writes.under_way = false;
        let not_stored = match answer {
            Ok(not_stored) => not_stored,
            Err(error) => return attempt.write_failed(error),
        };
        if not_stored.contains(&Attribute::Encryption) {
            // The other attributes are updated; the encryption requires a copy.
            attempt.encrypts_by_copy = true;
            attempt.attributes.extend(order.attributes());
            return PassResult::ReadAgain;
        }
        let encryption = order.encryption.clone().map(Encryption::Kms).or(present_encryption);
        self.note_not_preserved(source, order.lock.map(|change| change.to), encryption.as_ref(), attempt);
        attempt.not_preserved.extend(&not_stored);
        // The read of the source after the write must include the updated attributes.
        attempt.attributes.extend(order.attributes());
        let attributes: AttributeSet = order.attributes().difference(&not_stored).copied().collect();
        let outcome = if attributes.is_empty() {
            Outcome::Skipped(SkipReason::AlreadyIdentical)
        } else {
            attempt.writes.progress = true;
            Outcome::AttributesUpdated { attributes }
        };
        self.read_source_again(key, source, outcome, attempt).await
    }

    async fn delete(&self, key: &ObjectKey, source: &ObjectState, seen: &ETag, attempt: &mut Attempt) -> PassResult {
        attempt.writes.under_way = true;
        let answer = self.destination.delete(key, seen).await;
        attempt.writes.under_way = false;
        if let Err(error) = answer {
            return attempt.write_failed(error);
        }
        attempt.writes.progress = true;
        if self.is_shared() {
            attempt.shared.deleted = true;
            return PassResult::ReadAgain;
        }
        self.read_source_again(key, source, Outcome::Deleted, attempt).await
    }

    /// Reads the source again after a write. The outcome is final only if the source is unchanged.
    async fn read_source_again(
        &self,
        key: &ObjectKey,
        seen: &ObjectState,
        outcome: Outcome,
        attempt: &mut Attempt,
    ) -> PassResult {
        match self.source_now(key, seen, attempt).await {
            Ok(now) if seen.is_still(&now) => PassResult::Ended(outcome),
            Ok(_) => attempt.precondition_failed(),
            Err(pass) => {
                attempt.attributes.extend(HIDDEN_IN_HEAD);
                pass
            }
        }
    }

    /// Reads the source again. An absence that was confirmed before a delete is confirmed again after it.
    async fn source_now(
        &self,
        key: &ObjectKey,
        seen: &ObjectState,
        attempt: &Attempt,
    ) -> Result<ObjectState, PassResult> {
        let now = self
            .source
            .read(key, &attempt.attributes)
            .await
            .map_err(after_failure)?;
        if *seen == ObjectState::ConfirmedAbsent && now == ObjectState::NotFound {
            self.confirm_absence(key, SideName::Source).await?;
        }
        Ok(now)
    }

    /// Returns the encryption of a copy of the source object, if it is known.
    fn encryption_of_copy(&self, source: &ObjectState, attempt: &Attempt) -> Option<Encryption> {
        let asked_for = self.policy.encryption_of(&source.facts()?.encryption);
        match (asked_for, &attempt.default_encryption) {
            (Some(ExplicitEncryption::Managed), _) | (None, DefaultEncryption::Known(ExplicitEncryption::Managed)) => {
                Some(Encryption::Managed)
            }
            (Some(ExplicitEncryption::Kms(kms)), _) => Some(Encryption::Kms(kms)),
            (None, DefaultEncryption::Known(ExplicitEncryption::Kms(kms))) => Some(Encryption::Kms(kms.clone())),
            (None, DefaultEncryption::NotRead | DefaultEncryption::Unknown) => None,
        }
    }

    /// Records the attributes of the source object that the copy does not have.
    fn note_not_preserved(
        &self,
        source: &ObjectState,
        destination_lock: Option<ObjectLock>,
        destination_encryption: Option<&Encryption>,
        attempt: &mut Attempt,
    ) {
        let Some(facts) = source.facts() else { return };
        let attributes = not_preserved(
            facts,
            destination_lock,
            destination_encryption,
            &attempt.hinted,
            attempt.capabilities,
            &self.policy,
            self.clock.now(),
        );
        attempt.not_preserved.extend(attributes);
    }
}

/// Returns `Copied` for a reconcile that copied the content in an earlier pass, not the outcome of its last pass.
fn after_copy(outcome: Outcome, attempt: &mut Attempt) -> Outcome {
    let outcome = match outcome {
        Outcome::Deferred(_) => return outcome,
        Outcome::Failed(failure) => {
            return Outcome::Failed(match &attempt.copied {
                Some(_) => failure.after_copy(),
                None => failure,
            });
        }
        outcome => outcome,
    };
    if attempt.shared.deleted && outcome == Outcome::Skipped(SkipReason::BothAbsent) {
        return Outcome::Deleted;
    }
    match (outcome, attempt.copied.take()) {
        (
            Outcome::AttributesUpdated { .. }
            | Outcome::Skipped(SkipReason::AlreadyIdentical | SkipReason::SourceIsReplica),
            Some(copy),
        ) => Outcome::Copied {
            version_id: copy.written.version_id,
            size_bytes: copy.size_bytes,
        },
        (outcome, _) => outcome,
    }
}

/// Returns whether source and destination store nothing that is comparable.
fn is_not_comparable(source: &ObjectState, destination: &ObjectState) -> bool {
    let facts = source.facts().zip(destination.facts());
    facts.is_some_and(|(source, destination)| {
        matches!(compare_bodies(source, destination), BodyComparison::Inconclusive)
    })
}

fn refused(key: &ObjectKey, refusal: &CopyRefusal) -> Failure {
    Failure {
        kind: refusal.kind(),
        code: refusal.code().into(),
        action: "s3:PutObject".to_owned(),
        resource: key.to_string(),
        detail: refusal.to_string(),
    }
}
