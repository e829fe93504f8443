//! Everything one invocation was given: grouped by key, reconciled side by side, and settled record by record.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::sync::OnceLock;

use futures::{FutureExt, StreamExt, stream};
use s3ferry_core::event::{Continuation, ContinuationHops, KeyHint, MAX_IDLE_HOPS, Sequencer};
use s3ferry_core::facts::{Attribute, AttributeSet, HIDDEN_IN_HEAD};
use s3ferry_core::failure::{Failure, FailureKind};
use s3ferry_core::names::{BucketName, ObjectKey};
use s3ferry_core::outcome::{DeferralReason, Outcome, ReconcileReport};
use s3ferry_core::time::Timestamp;

use crate::ports::{Clock, Continuations, DestinationBucket, SourceBucket, StateStore};
use crate::reconcile::Reconciler;

/// Settles batches of hints.
#[derive(Debug)]
pub struct BatchReconciler<S, D, C, J, Q> {
    /// The only bucket whose events are followed.
    pub source_bucket: BucketName,
    /// What reconciles a key.
    pub reconciler: Reconciler<S, D, C, J>,
    /// Where keys that are not done yet go; without it they count as failed, so that their message comes back.
    pub continuations: Option<Q>,
    /// How many keys are reconciled at once.
    pub concurrency: usize,
}

/// How one record ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordResult {
    /// The reconcile of the record's key.
    pub report: ReconcileReport,
    /// Whether everything the record asked for is durable: done, or handed over to a continuation.
    pub acknowledged: bool,
    /// Whether a newer event of the same key came along, so that this hint was stale.
    pub stale: bool,
    /// Whether this is the first record of its key in the batch; the others share its reconcile.
    pub first_of_key: bool,
}

/// The code of the failure of an event that is of another bucket.
const FOREIGN_BUCKET: &str = "ForeignBucket";

impl RecordResult {
    /// Tells whether the record was refused because it is of another bucket.
    #[must_use]
    pub fn is_foreign(&self) -> bool {
        matches!(&self.report.outcome, Outcome::Failed(failure) if failure.code == FOREIGN_BUCKET)
    }
}

/// The records of one key.
#[derive(Debug)]
struct Group {
    key: ObjectKey,
    attributes: AttributeSet,
    /// Those of the hint that the fewest continuations led to: what is new begins a new chain.
    hops: ContinuationHops,
    members: Vec<usize>,
}

impl<S, D, C, J, Q> BatchReconciler<S, D, C, J, Q>
where
    S: SourceBucket,
    D: DestinationBucket,
    C: Clock,
    J: StateStore,
    Q: Continuations,
{
    /// Settles every hint by `deadline` and returns one result per hint, in their order.
    ///
    /// Hints of one key share one reconcile, with their aspects united. A panic is a failure of its key alone.
    pub async fn reconcile_hints(&self, hints: &[KeyHint], deadline: Timestamp) -> Vec<RecordResult> {
        let stale = stale_hints(hints);
        let (ours, foreign): (Vec<usize>, Vec<usize>) =
            (0..hints.len()).partition(|index| hints.get(*index).is_some_and(|hint| hint.bucket == self.source_bucket));
        let groups = group(hints, &ours);
        let refused = &OnceLock::<Failure>::new();
        let reconciled = stream::iter(groups)
            .map(|group| async move {
                let (report, acknowledged) = match refused.get() {
                    // Credentials that were refused once are refused for every key.
                    Some(failure) => (ReconcileReport::failed(failure.clone()), false),
                    None => self.reconcile_key(&group, deadline).await,
                };
                if let Outcome::Failed(failure) = &report.outcome
                    && failure.is_of_credentials()
                {
                    refused.get_or_init(|| failure.clone());
                }
                (group.members, report, acknowledged)
            })
            .buffer_unordered(self.concurrency.max(1))
            .collect::<Vec<_>>()
            .await;

        let mut settled: BTreeMap<usize, (ReconcileReport, bool)> = BTreeMap::new();
        let mut first_of_keys: BTreeSet<usize> = foreign.iter().copied().collect();
        for (members, report, acknowledged) in reconciled {
            first_of_keys.extend(members.first());
            settled.extend(members.into_iter().map(|index| (index, (report.clone(), acknowledged))));
        }
        for index in foreign {
            if let Some(hint) = hints.get(index) {
                settled.insert(index, (self.refuse_foreign(hint), false));
            }
        }
        settled
            .into_iter()
            .map(|(index, (report, acknowledged))| RecordResult {
                report,
                acknowledged,
                stale: stale.contains(&index),
                first_of_key: first_of_keys.contains(&index),
            })
            .collect()
    }

    /// Settles one key; a panic anywhere in it is its own failure.
    async fn reconcile_key(&self, group: &Group, deadline: Timestamp) -> (ReconcileReport, bool) {
        let work = self.reconcile_or_requeue(group, deadline);
        let settled = AssertUnwindSafe(work).catch_unwind().await;
        settled.unwrap_or_else(|_| {
            (
                ReconcileReport::failed(Failure::panicked("reconcile", &group.key)),
                false,
            )
        })
    }

    async fn reconcile_or_requeue(&self, group: &Group, deadline: Timestamp) -> (ReconcileReport, bool) {
        // What cannot be begun any more costs no attempt, and nothing of it is under way.
        if self.reconciler.clock.now() >= deadline {
            return (ReconcileReport::not_begun(), false);
        }
        let mut report = self.reconciler.reconcile(&group.key, &group.attributes, deadline).await;
        let Some(reason) = comes_again(&report) else {
            let done = !matches!(report.outcome, Outcome::Failed(_));
            return (report, done);
        };
        match self.requeue(group, reason, &report).await {
            Ok(requeued) => (report, requeued),
            Err(failure) => {
                report.outcome = Outcome::Failed(failure);
                (report, false)
            }
        }
    }

    /// Sends a continuation; tells whether one is durable now.
    async fn requeue(&self, group: &Group, reason: DeferralReason, report: &ReconcileReport) -> Result<bool, Failure> {
        // An invocation that got nowhere would get nowhere again, forever: it spends the message's retry budget.
        let key_order_stalled = matches!(reason, DeferralReason::Deadline | DeferralReason::HotKey) && !report.progress;
        let Some(queue) = self.continuations.as_ref().filter(|_| !key_order_stalled) else {
            return Ok(false);
        };
        let Some(hops) = group.hops.next(report.progress) else {
            return Err(self.stalled(group, reason));
        };
        let mut attributes = group.attributes.clone();
        // What was copied, or may still land, can differ in nothing that a HEAD shows.
        if report.progress || report.outcome_unknown {
            attributes.extend(HIDDEN_IN_HEAD);
        }
        // What was begun is gone on with, or put away if the source has moved on by then.
        if report.upload_left || report.outcome_unknown {
            attributes.insert(Attribute::UnfinishedUpload);
        }
        let continuation = Continuation::new(&self.source_bucket, &group.key, attributes, reason.as_str()).after(hops);
        // A write that may still land is waited for, whatever else brings the key back.
        let landing = report.outcome_unknown.then(|| DeferralReason::OutcomeUnknown.delay());
        queue
            .send(&continuation, reason.delay().max(landing.unwrap_or_default()))
            .await?;
        Ok(true)
    }

    /// The failure of a key whose continuations have followed each other without progress: its message's attempts end it.
    fn stalled(&self, group: &Group, reason: DeferralReason) -> Failure {
        Failure {
            kind: FailureKind::Retry,
            code: "ContinuationsStalled".to_owned(),
            action: "reconcile".to_owned(),
            resource: format!("{}/{}", self.source_bucket, group.key),
            detail: format!(
                "{MAX_IDLE_HOPS} continuations in a row made no progress, the last one for `{}`",
                reason.as_str()
            ),
        }
    }

    fn refuse_foreign(&self, hint: &KeyHint) -> ReconcileReport {
        ReconcileReport::failed(Failure {
            kind: FailureKind::Configuration,
            code: FOREIGN_BUCKET.to_owned(),
            action: hint.event_name.clone(),
            resource: format!("{}/{}", hint.bucket, hint.key),
            detail: format!(
                "this replicator follows bucket {} only: find out who sends it events of {}",
                self.source_bucket, hint.bucket
            ),
        })
    }
}

/// Says why a key must be looked at again, if it must.
fn comes_again(report: &ReconcileReport) -> Option<DeferralReason> {
    match &report.outcome {
        Outcome::Deferred(reason) => Some(*reason),
        Outcome::Failed(_) => None,
        Outcome::Copied { .. } | Outcome::AttributesUpdated { .. } | Outcome::Deleted | Outcome::Skipped(_) => {
            report.outcome_unknown.then_some(DeferralReason::OutcomeUnknown)
        }
    }
}

/// Groups hints by key and unites their aspects. Keys keep the order of their first hints: where the time does not
/// suffice for all, the caller says what comes first.
fn group(hints: &[KeyHint], indexes: &[usize]) -> Vec<Group> {
    let mut groups: BTreeMap<&ObjectKey, Group> = BTreeMap::new();
    for index in indexes {
        let Some(hint) = hints.get(*index) else { continue };
        let group = groups.entry(&hint.key).or_insert_with(|| Group {
            key: hint.key.clone(),
            attributes: AttributeSet::new(),
            hops: hint.hops,
            members: Vec::new(),
        });
        group.attributes.extend(&hint.attributes);
        group.hops = group.hops.min(hint.hops);
        group.members.push(*index);
    }
    let mut groups: Vec<Group> = groups.into_values().collect();
    groups.sort_by_key(|group| group.members.first().copied());
    groups
}

/// Finds hints that another hint of the same key is newer than, by S3's own order of events.
fn stale_hints(hints: &[KeyHint]) -> Vec<usize> {
    // The newest sequencers of each key; events of different channels have no order, so there may be one of each.
    let mut newest: BTreeMap<(&BucketName, &ObjectKey), Vec<&Sequencer>> = BTreeMap::new();
    for hint in hints {
        let Some(sequencer) = &hint.sequencer else { continue };
        let of_key = newest.entry((&hint.bucket, &hint.key)).or_default();
        of_key.retain(|other| sequencer.order(other) != Some(Ordering::Greater));
        if of_key.iter().all(|other| sequencer.order(other).is_none()) {
            of_key.push(sequencer);
        }
    }
    let is_stale = |hint: &KeyHint| {
        let of_key = newest.get(&(&hint.bucket, &hint.key));
        let is_older =
            |newer: &&Sequencer| hint.sequencer.as_ref().and_then(|own| own.order(newer)) == Some(Ordering::Less);
        of_key.is_some_and(|of_key| of_key.iter().any(is_older))
    };
    hints
        .iter()
        .enumerate()
        .filter(|(_, hint)| is_stale(hint))
        .map(|(index, _)| index)
        .collect()
}
