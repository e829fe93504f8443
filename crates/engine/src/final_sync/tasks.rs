//! Reconciles the keys of tasks and items, and returns one result for each.

use std::collections::BTreeMap;

use crate::batch::{BatchReconciler, RecordResult};
use crate::ports::{Clock, Continuations, DestinationBucket, SourceBucket, StateStore};
use crate::results::ResultStore;
use s3ferry_core::batch_operations::{RequestFormatError, TaskResult, TaskTarget, conclude, merge};
use s3ferry_core::event::{ContinuationHops, KeyHint};
use s3ferry_core::facts::Attribute;
use s3ferry_core::failure::{Failure, FailureKind};
use s3ferry_core::names::ObjectKey;
use s3ferry_core::outcome::Outcome;
use s3ferry_core::redelivery::attributes_after_interruption;
use s3ferry_core::time::Timestamp;

use super::{FinalSync, JobTerms};
use crate::invocation_counts::InvocationCounts;
use crate::record::{self, RecordOrigin};

/// A task or an item.
#[derive(Debug)]
pub(super) struct RequestedKey<'a> {
    /// The id of the task or item in the log.
    pub(super) id: String,
    /// The bucket and the keys of the task or item.
    pub(super) target: &'a Result<TaskTarget, RequestFormatError>,
    /// Whether it ran before, and may have been interrupted.
    pub(super) repeated: bool,
}

/// The origin of a request, which also runs unfinished keys again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RequestOrigin {
    /// A job of S3 Batch Operations.
    Task,
    /// A Distributed Map.
    Item,
}

impl RequestOrigin {
    fn event_name(self) -> &'static str {
        match self {
            Self::Task => "s3ferry:Task",
            Self::Item => "s3ferry:Item",
        }
    }
}

/// One key of one task. A task has two keys if its key has two possible decodings.
struct Unit<'a> {
    owner: usize,
    target: &'a TaskTarget,
    key: &'a ObjectKey,
    repeated: bool,
}

impl<F, R, S, D, C, J, Q> FinalSync<F, R>
where
    F: Fn(&JobTerms) -> BatchReconciler<S, D, C, J, Q>,
    R: ResultStore,
    S: SourceBucket,
    D: DestinationBucket,
    C: Clock,
    J: StateStore,
    Q: Continuations,
{
    /// Returns exactly one result for each of `requested`, in their order, by `deadline`.
    pub(super) async fn results_of(
        &self,
        requested: &[RequestedKey<'_>],
        terms: &Result<JobTerms, RequestFormatError>,
        kind: RequestOrigin,
        deadline: Timestamp,
    ) -> Vec<TaskResult> {
        let mut counts = InvocationCounts::default();
        let batch = match terms {
            Ok(terms) => (self.batches)(terms),
            Err(_) => self.engine_of_settings(),
        };
        let mut results: Vec<Vec<(&ObjectKey, TaskResult)>> = requested.iter().map(|_| Vec::new()).collect();
        let mut refused: BTreeMap<usize, TaskResult> = BTreeMap::new();
        let mut units: Vec<Unit<'_>> = Vec::new();
        for (owner, task) in requested.iter().enumerate() {
            match (terms, task.target) {
                (Ok(_), Ok(target)) if target.bucket == batch.source_bucket => {
                    units.extend(target.keys.iter().map(|key| Unit {
                        owner,
                        target,
                        key,
                        repeated: task.repeated,
                    }));
                }
                (Ok(_), Ok(target)) => {
                    counts.refused += 1;
                    refused.insert(owner, TaskResult::foreign(&target.bucket, &batch.source_bucket));
                }
                (Err(error), _) | (_, Err(error)) => {
                    counts.unreadable += 1;
                    refused.insert(owner, TaskResult::unreadable(error));
                }
            }
        }
        for (owner, result) in &refused {
            counts.failed += 1;
            let id = requested.get(*owner).map_or("", |task| task.id.as_str());
            tracing::error!(task.id = id, outcome = %result.outcome, detail = %result.result_string(), "record failed");
        }
        if let Ok(terms) = terms {
            let ended = run(&batch, terms, kind, requested, units, &mut counts, deadline).await;
            for (unit, result) in ended {
                if let Some(of_task) = results.get_mut(unit.owner) {
                    of_task.push((unit.key, result));
                }
            }
        }
        self.report(&batch, &counts);
        let results = results.iter().enumerate();
        results
            .map(|(owner, of_task)| {
                let refused = refused.get(&owner).cloned();
                refused.or_else(|| merge(of_task)).unwrap_or_else(unanswered)
            })
            .collect()
    }
}

/// Reconciles every unit and returns it with its result.
async fn run<'a, S, D, C, J, Q>(
    batch: &BatchReconciler<S, D, C, J, Q>,
    terms: &JobTerms,
    kind: RequestOrigin,
    requested: &[RequestedKey<'_>],
    units: Vec<Unit<'a>>,
    counts: &mut InvocationCounts,
    deadline: Timestamp,
) -> Vec<(Unit<'a>, TaskResult)>
where
    S: SourceBucket,
    D: DestinationBucket,
    C: Clock,
    J: StateStore,
    Q: Continuations,
{
    let hints: Vec<KeyHint> = units.iter().map(|unit| hint(unit, terms, kind)).collect();
    let reconciled = batch.reconcile_hints(&hints, deadline).await;
    record::log_denials(&reconciled);
    let mut reconciled = reconciled.into_iter();
    let mut ended = Vec::new();
    for (unit, hint) in units.into_iter().zip(&hints) {
        let result = match reconciled.next() {
            Some(reconciled) => {
                let id = requested.get(unit.owner).map_or("", |task| task.id.as_str());
                record::count(&as_requeued(&reconciled, kind), counts);
                record::log(RecordOrigin::Task(id), hint, &reconciled);
                let result = conclude(&reconciled.report, reconciled.acknowledged);
                if reconciled.first_of_key {
                    result
                } else {
                    result.counted_elsewhere()
                }
            }
            None => unanswered(),
        };
        ended.push((unit, result));
    }
    ended
}

fn hint(unit: &Unit<'_>, terms: &JobTerms, kind: RequestOrigin) -> KeyHint {
    let mut attributes = terms.depth.attributes();
    // An earlier run may have ended between a multipart copy and its annotations.
    attributes.insert(Attribute::PendingAnnotations);
    if unit.repeated {
        attributes.extend(attributes_after_interruption());
    }
    KeyHint {
        bucket: unit.target.bucket.clone(),
        key: unit.key.clone(),
        event_name: kind.event_name().to_owned(),
        attributes,
        sequencer: None,
        hops: ContinuationHops::default(),
        event_time: None,
    }
}

/// Marks unfinished items as acknowledged: the state machine runs them again, so they are no failures.
fn as_requeued(reconciled: &RecordResult, kind: RequestOrigin) -> RecordResult {
    let is_unfinished = !matches!(reconciled.report.outcome, Outcome::Failed(_));
    RecordResult {
        acknowledged: reconciled.acknowledged || is_unfinished && kind == RequestOrigin::Item,
        ..reconciled.clone()
    }
}

/// Returns the failure for a task without a result, which must not count as done.
fn unanswered() -> TaskResult {
    TaskResult::failed(&Failure {
        kind: FailureKind::Bug,
        code: "NoResult".into(),
        action: "reconcile".to_owned(),
        resource: "the task".to_owned(),
        detail: "the engine returned no result".to_owned(),
    })
}
