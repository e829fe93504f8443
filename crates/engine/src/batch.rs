//! The batch of one invocation: its records are grouped by key, reconciled concurrently, and answered one by one.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::sync::OnceLock;
use std::time::Duration;

use futures::{FutureExt, StreamExt, stream};
use s3ferry_core::event::{Continuation, ContinuationHops, KeyHint, MAX_IDLE_HOPS, Sequencer};
use s3ferry_core::facts::{Attribute, AttributeSet, HIDDEN_IN_HEAD};
use s3ferry_core::failure::{Failure, FailureCode, FailureKind};
use s3ferry_core::names::{BucketName, ObjectKey};
use s3ferry_core::outcome::{DeferralReason, Outcome, ReconcileReport};
use s3ferry_core::time::Timestamp;

use crate::ports::{Clock, Continuations, DestinationBucket, SourceBucket, StateStore};
use crate::reconcile::Reconciler;

/// Reconciles batches of hints.
#[derive(Debug)]
pub struct BatchReconciler<S, D, C, J, Q> {
    /// The source bucket. Events of other buckets are refused.
    pub source_bucket: BucketName,
    /// The reconciler of single keys.
    pub reconciler: Reconciler<S, D, C, J>,
    /// The queue for unfinished keys. If unset, unfinished keys fail, so that their messages are redelivered.
    pub continuations: Option<Q>,
    /// The number of keys that are reconciled concurrently.
    pub concurrency: usize,
}

/// The result of one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordResult {
    /// The report of the reconcile of the record's key.
    pub report: ReconcileReport,
    /// Whether the record's work is durable: done, or requeued.
    pub acknowledged: bool,
    /// Whether the batch has a newer event for the same key, which supersedes this hint.
    pub superseded: bool,
    /// Whether this is the first record of its key in the batch. The others have the same reconcile.
    pub first_of_key: bool,
    /// Time from the key's first event in the batch until its object was copied; `None` if nothing was copied, or if no
    /// event names its time.
    pub lag: Option<Duration>,
}

impl RecordResult {
    /// Returns whether the record was refused because its event is of another bucket.
    #[must_use]
    pub fn is_foreign(&self) -> bool {
        matches!(&self.report.outcome, Outcome::Failed(failure) if failure.code == FailureCode::ForeignBucket)
    }
}

/// The records of one key.
#[derive(Debug)]
struct Group {
    key: ObjectKey,
    attributes: AttributeSet,
    /// The lowest hop count of the key's hints: a new event starts a new chain of continuations.
    hops: ContinuationHops,
    /// The earliest time of the key's events.
    event_time: Option<Timestamp>,
    members: Vec<usize>,
}

impl Group {
    /// Returns how long the key's object was on its way, if it was copied.
    fn lag(&self, report: &ReconcileReport, now: Timestamp) -> Option<Duration> {
        let is_copied = matches!(report.outcome, Outcome::Copied { .. });
        self.event_time.filter(|_| is_copied).map(|begun| now.since(begun))
    }
}

impl<S, D, C, J, Q> BatchReconciler<S, D, C, J, Q>
where
    S: SourceBucket,
    D: DestinationBucket,
    C: Clock,
    J: StateStore,
    Q: Continuations,
{
    /// Reconciles the keys of all hints by `deadline`, and returns one result per hint, in their order.
    ///
    /// All hints of a key lead to one reconcile, which reads the attributes of all of them. A panic fails only its key.
    pub async fn reconcile_hints(&self, hints: &[KeyHint], deadline: Timestamp) -> Vec<RecordResult> {
        let superseded = superseded_hints(hints);
        let (own, foreign): (Vec<usize>, Vec<usize>) =
            (0..hints.len()).partition(|index| hints.get(*index).is_some_and(|hint| hint.bucket == self.source_bucket));
        let groups = group(hints, &own);
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
                let lag = group.lag(&report, self.reconciler.clock.now());
                (group.members, (report, acknowledged, lag))
            })
            .buffer_unordered(self.concurrency.max(1))
            .collect::<Vec<_>>()
            .await;

        let mut results: BTreeMap<usize, (ReconcileReport, bool, Option<Duration>)> = BTreeMap::new();
        let mut first_of_keys: BTreeSet<usize> = foreign.iter().copied().collect();
        for (members, result) in reconciled {
            first_of_keys.extend(members.first());
            results.extend(members.into_iter().map(|index| (index, result.clone())));
        }
        for index in foreign {
            if let Some(hint) = hints.get(index) {
                results.insert(index, (self.refuse_foreign(hint), false, None));
            }
        }
        results
            .into_iter()
            .map(|(index, (report, acknowledged, lag))| RecordResult {
                report,
                acknowledged,
                superseded: superseded.contains(&index),
                first_of_key: first_of_keys.contains(&index),
                lag,
            })
            .collect()
    }

    /// Reconciles one key. A panic becomes a failure of this key.
    async fn reconcile_key(&self, group: &Group, deadline: Timestamp) -> (ReconcileReport, bool) {
        let work = self.reconcile_or_requeue(group, deadline);
        let reconciled = AssertUnwindSafe(work).catch_unwind().await;
        reconciled.unwrap_or_else(|_| {
            (
                ReconcileReport::failed(Failure::panicked("reconcile", &group.key)),
                false,
            )
        })
    }

    async fn reconcile_or_requeue(&self, group: &Group, deadline: Timestamp) -> (ReconcileReport, bool) {
        // A key that is not begun before the deadline uses no attempt.
        if self.reconciler.clock.now() >= deadline {
            return (ReconcileReport::not_begun(), false);
        }
        let mut report = self.reconciler.reconcile(&group.key, &group.attributes, deadline).await;
        let Some(reason) = requeue_reason(&report) else {
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

    /// Sends a continuation. Returns whether one was sent.
    async fn requeue(&self, group: &Group, reason: DeferralReason, report: &ReconcileReport) -> Result<bool, Failure> {
        // Without progress, continuations could repeat forever: the message's receives are used instead.
        let is_stalled = matches!(reason, DeferralReason::Deadline | DeferralReason::HotKey) && !report.progress;
        let Some(queue) = self.continuations.as_ref().filter(|_| !is_stalled) else {
            return Ok(false);
        };
        let Some(hops) = group.hops.next(report.progress) else {
            return Err(self.stalled(group, reason));
        };
        let mut attributes = group.attributes.clone();
        // A copy that was made, or may still land, can differ in attributes that a HEAD does not show.
        if report.progress || report.outcome_unknown {
            attributes.extend(HIDDEN_IN_HEAD);
        }
        // An upload in progress is resumed, or aborted if the source has changed by then.
        if report.upload_left || report.outcome_unknown {
            attributes.insert(Attribute::UnfinishedUpload);
        }
        let continuation = Continuation::new(&self.source_bucket, &group.key, attributes, reason.as_str())
            .after(hops)
            .since(group.event_time);
        // A write with an unknown outcome may still land: the delay covers it, whatever the reason of the deferral is.
        let landing = report.outcome_unknown.then(|| DeferralReason::OutcomeUnknown.delay());
        queue
            .send(&continuation, reason.delay().max(landing.unwrap_or_default()))
            .await?;
        Ok(true)
    }

    /// Returns the failure of a key whose continuations made no progress. The message's remaining receives apply to it.
    fn stalled(&self, group: &Group, reason: DeferralReason) -> Failure {
        Failure {
            kind: FailureKind::Retry,
            code: "ContinuationsStalled".into(),
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
            code: FailureCode::ForeignBucket,
            action: hint.event_name.clone(),
            resource: format!("{}/{}", hint.bucket, hint.key),
            detail: format!(
                "this replicator replicates bucket {} only: remove the notification that sends events of bucket {}",
                self.source_bucket, hint.bucket
            ),
        })
    }
}

/// Returns the reason to requeue a key; `None` if it is finished.
fn requeue_reason(report: &ReconcileReport) -> Option<DeferralReason> {
    match &report.outcome {
        Outcome::Deferred(reason) => Some(*reason),
        Outcome::Failed(_) | Outcome::Withheld(_) => None,
        Outcome::Copied { .. } | Outcome::AttributesUpdated { .. } | Outcome::Deleted | Outcome::Skipped(_) => {
            report.outcome_unknown.then_some(DeferralReason::OutcomeUnknown)
        }
    }
}

/// Groups hints by key, with the attributes of all hints of the key.
///
/// The groups have the order of their first hints: if time runs out, the order of the caller decides.
fn group(hints: &[KeyHint], indexes: &[usize]) -> Vec<Group> {
    let mut groups: BTreeMap<&ObjectKey, Group> = BTreeMap::new();
    for index in indexes {
        let Some(hint) = hints.get(*index) else { continue };
        let group = groups.entry(&hint.key).or_insert_with(|| Group {
            key: hint.key.clone(),
            attributes: AttributeSet::new(),
            hops: hint.hops,
            event_time: None,
            members: Vec::new(),
        });
        group.attributes.extend(&hint.attributes);
        group.hops = group.hops.min(hint.hops);
        group.event_time = group.event_time.into_iter().chain(hint.event_time).min();
        group.members.push(*index);
    }
    let mut groups: Vec<Group> = groups.into_values().collect();
    groups.sort_by_key(|group| group.members.first().copied());
    groups
}

/// Returns the hints for which another hint of the same key is newer. The sequencer is S3's order of events.
fn superseded_hints(hints: &[KeyHint]) -> Vec<usize> {
    // The newest sequencers of each key. Events of different channels have no order, so each channel may have one.
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
