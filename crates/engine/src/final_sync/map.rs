//! Runs of the state machine: their beginning, and their batches.

use std::collections::BTreeMap;
use std::pin::pin;
use std::time::Duration;

use crate::batch::BatchReconciler;
use crate::ports::{Clock, Continuations, DestinationBucket, SourceBucket, StateStore};
use crate::results::ResultStore;
use futures::future::{Either, select};
use s3ferry_core::batch_operations::{LostItems, MapBatch, ResultLine, RunName, RunStart, TaskResult};
use s3ferry_core::failure::Failure;
use s3ferry_core::time::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use super::tasks::{RequestOrigin, RequestedKey};
use super::{FinalSync, FinalSyncError, FinalSyncInvocation, JobTerms};

/// How long results may take to be kept, out of the time of the invocation.
const KEEPING: Duration = Duration::from_secs(4);

/// The answer to a batch of items.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MapBatchResponse {
    /// How many items the invocation was given.
    pub items: usize,
    /// How many are done.
    pub succeeded: usize,
    /// How many failed.
    pub failed: usize,
    /// How many are not done yet, and come again.
    pub unfinished: usize,
    /// Whether no item comes again.
    pub finished: bool,
    /// Whether more than half of the batch failed, earlier runs included, so that the batch counts as failed.
    pub mostly_failed: bool,
    /// How long to wait before the items come again.
    pub wait_seconds: u64,
    /// How many items ended in which way.
    pub outcomes: BTreeMap<String, u64>,
    /// The input of the next invocation, with the items that are not done yet.
    pub again: Option<Value>,
    /// Every item's result, where no run keeps them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub results: Option<Vec<ResultLine>>,
}

/// The answer at the beginning of a run: what its items carry along.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RunStartResponse {
    run: Value,
    manifest_key: String,
    map_results: String,
}

/// The answer once lost items are on record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LostItemsResponse {
    items: usize,
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
    /// Looks at what a run asks for before anything is copied.
    pub(super) fn begin(&self, begin: &RunStart) -> Result<RunStartResponse, FinalSyncError> {
        self.results()?;
        JobTerms::of_job(&self.settings, &begin.run.arguments, false)?;
        let arguments = if begin.arguments.is_null() {
            json!({})
        } else {
            begin.arguments.clone()
        };
        let name = &begin.run.name;
        Ok(RunStartResponse {
            run: json!({"execution": name, "userArguments": arguments}),
            manifest_key: begin.manifest_key.to_string(),
            map_results: format!("{}/map", name.folder()),
        })
    }

    /// Runs a batch of items. What is not done comes again; the results of the others are kept first.
    pub(super) async fn answer_map(
        &self,
        batch: &MapBatch,
        invocation: &FinalSyncInvocation<'_>,
    ) -> Result<MapBatchResponse, FinalSyncError> {
        let keeper = batch.run.as_ref().map(|run| Ok((run, self.results()?)));
        let keeper = keeper.transpose().map_err(|error: FinalSyncError| error)?;
        let deadline = invocation.deadline;
        let terms = batch.arguments.clone();
        // Not to the queue: the state machine brings back what is not done, and counts it.
        let terms = terms.and_then(|arguments| JobTerms::of_job(&self.settings, &arguments, false));
        let work_until = match keeper {
            Some(_) => self.keep_back(deadline),
            None => deadline,
        };
        let due = batch.due(self.now());
        let asked = asked(batch, &due);
        let results = self.results_of(&asked, &terms, RequestOrigin::Item, work_until).await;
        let results: BTreeMap<usize, TaskResult> = due.into_iter().zip(results).collect();
        let round = batch.end_run(&results, self.now());
        if let Some((run, keeper)) = keeper {
            let name = object_name(run, batch, invocation);
            self.keep(keeper, &name, &round.lines, deadline).await?;
        }
        Ok(MapBatchResponse {
            items: batch.items.len(),
            succeeded: round.lines.len().saturating_sub(round.failed),
            failed: round.failed,
            unfinished: round.unfinished,
            finished: round.again.is_none(),
            mostly_failed: round.mostly_failed,
            wait_seconds: round.wait_seconds,
            outcomes: round.outcomes,
            again: round.again,
            results: keeper.is_none().then_some(round.lines),
        })
    }

    /// Puts on record items whose invocation failed as a whole, in place of what it may have kept of them.
    pub(super) async fn record_lost_items(
        &self,
        lost: &LostItems,
        invocation: &FinalSyncInvocation<'_>,
    ) -> Result<LostItemsResponse, FinalSyncError> {
        let (batch, result) = (&lost.batch, TaskResult::lost_item(&lost.error));
        let lines: Vec<ResultLine> = batch
            .items
            .iter()
            .map(|item| ResultLine::new(&item.row, &result))
            .collect();
        if let Some(run) = &batch.run {
            let name = object_name(run, batch, invocation);
            self.keep(self.results()?, &name, &lines, invocation.deadline).await?;
        }
        Ok(LostItemsResponse { items: lines.len() })
    }

    pub(super) fn results(&self) -> Result<&R, FinalSyncError> {
        self.results.as_ref().ok_or(FinalSyncError::NoStateBucket)
    }

    /// Keeps time back for the results, but never more than half of what is left.
    pub(super) fn keep_back(&self, deadline: Timestamp) -> Timestamp {
        let now = self.now();
        deadline.minus(KEEPING.min(deadline.since(now) / 2))
    }

    async fn keep(
        &self,
        results: &R,
        name: &str,
        lines: &[ResultLine],
        deadline: Timestamp,
    ) -> Result<(), FinalSyncError> {
        if lines.is_empty() {
            return Ok(());
        }
        let text: String = lines
            .iter()
            .filter_map(|line| serde_json::to_string(line).ok())
            .map(|line| line + "\n")
            .collect();
        self.within(deadline, results.write(name, text)).await
    }

    pub(super) fn now(&self) -> Timestamp {
        self.engine_of_settings().reconciler.clock.now()
    }

    /// Does `work`, unless the deadline comes first.
    pub(super) async fn within<T>(
        &self,
        deadline: Timestamp,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, FinalSyncError> {
        let engine = self.engine_of_settings();
        let clock = &engine.reconciler.clock;
        let time_left = clock.sleep(deadline.since(clock.now()));
        match select(pin!(work), pin!(time_left)).await {
            Either::Left((done, _)) => Ok(done?),
            Either::Right(_) => Err(FinalSyncError::OutOfTime),
        }
    }
}

fn asked<'a>(batch: &'a MapBatch, due: &[usize]) -> Vec<RequestedKey<'a>> {
    let run = batch.run.as_ref().map_or("map", RunName::as_str);
    let items = due.iter().filter_map(|index| Some((index, batch.items.get(*index)?)));
    items
        .map(|(index, item)| RequestedKey {
            id: format!("{run}/{index}"),
            target: &item.target,
            repeated: batch.retries > 0 || item.runs.attempts > 0,
        })
        .collect()
}

/// Names the object of a batch's results by what the batch holds, so that an invocation that is repeated replaces it.
///
/// Items carry their index in the manifest, which tells equal rows apart. Items that do not are of a map of somebody's
/// own making, and only the invocation tells two equal batches of them apart.
fn object_name(run: &RunName, batch: &MapBatch, invocation: &FinalSyncInvocation<'_>) -> String {
    let values: Vec<&Value> = batch.items.iter().map(|item| &item.value).collect();
    let text = serde_json::to_string(&values).unwrap_or_default();
    let is_told_apart = values.iter().all(|value| value.get("index").is_some());
    let own = if is_told_apart { "" } else { invocation.id };
    format!("{}/results/{:032x}.jsonl", run.folder(), hash(&(text + own)))
}

/// Hashes with FNV-1a in 128 bits: the same in every build.
fn hash(text: &str) -> u128 {
    const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    text.bytes()
        .fold(OFFSET, |hash, byte| (hash ^ u128::from(byte)).wrapping_mul(PRIME))
}
