//! Tasks and items on their way from what was asked to one result each.

use std::collections::BTreeMap;

use crate::batch::{Batch, Settled};
use crate::ports::{Clock, Continuations, DestinationBucket, SourceBucket, StateStore};
use crate::results::RunResults;
use s3ferry_core::batch_operations::{BatchError, Target, TaskResult, conclude, merge};
use s3ferry_core::event::{Hint, Hops};
use s3ferry_core::facts::Aspect;
use s3ferry_core::failure::{Failure, FailureKind};
use s3ferry_core::names::ObjectKey;
use s3ferry_core::outcome::Outcome;
use s3ferry_core::redelivery::aspects_after_interruption;
use s3ferry_core::time::Timestamp;

use super::{FinalSync, Terms};
use crate::counts::Counts;
use crate::record::{self, Origin};

/// A task or an item.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    /// Its name in the log.
    pub(super) id: String,
    /// What it is about.
    pub(super) target: &'a Result<Target, BatchError>,
    /// Whether it was run before, and may have been interrupted.
    pub(super) repeated: bool,
}

/// Who asks, and so who runs again what is not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A job of S3 Batch Operations.
    Task,
    /// A Distributed Map.
    Item,
}

impl Kind {
    fn event_name(self) -> &'static str {
        match self {
            Self::Task => "s3ferry:Task",
            Self::Item => "s3ferry:Item",
        }
    }
}

/// One key of one task; a task has two where its key can be read in two ways.
struct Unit<'a> {
    owner: usize,
    target: &'a Target,
    key: &'a ObjectKey,
    repeated: bool,
}

impl<F, R, S, D, C, J, Q> FinalSync<F, R>
where
    F: Fn(&Terms) -> Batch<S, D, C, J, Q>,
    R: RunResults,
    S: SourceBucket,
    D: DestinationBucket,
    C: Clock,
    J: StateStore,
    Q: Continuations,
{
    /// Makes exactly one result for each of `asked`, in their order, by `deadline`.
    pub(super) async fn results_of(
        &self,
        asked: &[Asked<'_>],
        terms: &Result<Terms, BatchError>,
        kind: Kind,
        deadline: Timestamp,
    ) -> Vec<TaskResult> {
        let mut counts = Counts::default();
        let batch = match terms {
            Ok(terms) => (self.batches)(terms),
            Err(_) => self.engine_of_settings(),
        };
        let mut results: Vec<Vec<(&ObjectKey, TaskResult)>> = asked.iter().map(|_| Vec::new()).collect();
        let mut refused: BTreeMap<usize, TaskResult> = BTreeMap::new();
        let mut units: Vec<Unit<'_>> = Vec::new();
        for (owner, task) in asked.iter().enumerate() {
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
            let id = asked.get(*owner).map_or("", |task| task.id.as_str());
            tracing::error!(task.id = id, outcome = %result.outcome, detail = %result.result_string(), "record failed");
        }
        if let Ok(terms) = terms {
            let ended = run(&batch, terms, kind, asked, units, &mut counts, deadline).await;
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

/// Ends every unit.
async fn run<'a, S, D, C, J, Q>(
    batch: &Batch<S, D, C, J, Q>,
    terms: &Terms,
    kind: Kind,
    asked: &[Asked<'_>],
    units: Vec<Unit<'a>>,
    counts: &mut Counts,
    deadline: Timestamp,
) -> Vec<(Unit<'a>, TaskResult)>
where
    S: SourceBucket,
    D: DestinationBucket,
    C: Clock,
    J: StateStore,
    Q: Continuations,
{
    let hints: Vec<Hint> = units.iter().map(|unit| hint(unit, terms, kind)).collect();
    let settled = batch.settle(&hints, deadline).await;
    record::log_denials(&settled);
    let mut settled = settled.into_iter();
    let mut ended = Vec::new();
    for (unit, hint) in units.into_iter().zip(&hints) {
        let result = match settled.next() {
            Some(settled) => {
                let id = asked.get(unit.owner).map_or("", |task| task.id.as_str());
                record::count(&as_brought_back(&settled, kind), counts);
                record::log(Origin::Task(id), hint, &settled);
                let result = conclude(&settled.report, settled.acknowledged);
                if settled.first_of_key {
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

fn hint(unit: &Unit<'_>, terms: &Terms, kind: Kind) -> Hint {
    let mut aspects = terms.depth.aspects();
    // An earlier run may have ended between a multipart copy and its annotations.
    aspects.insert(Aspect::PendingAnnotations);
    if unit.repeated {
        aspects.extend(aspects_after_interruption());
    }
    Hint {
        bucket: unit.target.bucket.clone(),
        key: unit.key.clone(),
        event_name: kind.event_name().to_owned(),
        aspects,
        sequencer: None,
        hops: Hops::default(),
    }
}

/// The state machine brings back what is not done yet, as a continuation does: that is no failure to be counted.
fn as_brought_back(settled: &Settled, kind: Kind) -> Settled {
    let is_unfinished = !matches!(settled.report.outcome, Outcome::Failed(_));
    Settled {
        acknowledged: settled.acknowledged || is_unfinished && kind == Kind::Item,
        ..settled.clone()
    }
}

/// Every task is settled; were one not, it must not be taken for done.
fn unanswered() -> TaskResult {
    TaskResult::failed(&Failure {
        kind: FailureKind::Bug,
        code: "NoResult".to_owned(),
        action: "reconcile".to_owned(),
        resource: "the task".to_owned(),
        detail: "the engine gave no result for it".to_owned(),
    })
}
