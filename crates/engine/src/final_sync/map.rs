//! Executions of the state machine: their start, and their batches of items.

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

/// The part of an invocation's time that is reserved for writing its results.
const RESULT_WRITE_RESERVE: Duration = Duration::from_secs(4);

/// The response to a batch of items.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MapBatchResponse {
    /// The number of items that the invocation received.
    pub items: usize,
    /// The number of items that succeeded.
    pub succeeded: usize,
    /// The number of items that failed.
    pub failed: usize,
    /// The number of items that are unfinished and run again.
    pub unfinished: usize,
    /// Whether no item runs again.
    pub finished: bool,
    /// Whether more than half of the batch failed, earlier runs included. Such a batch counts as failed.
    pub mostly_failed: bool,
    /// The wait before the next run of the unfinished items, in seconds.
    pub wait_seconds: u64,
    /// The number of items with each outcome.
    pub outcomes: BTreeMap<String, u64>,
    /// The input of the next invocation, with the unfinished items.
    pub again: Option<Value>,
    /// The result of every item, if the batch belongs to no execution that stores results.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub results: Option<Vec<ResultLine>>,
}

/// The response at the start of an execution: the values that its items carry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RunStartResponse {
    run: Value,
    manifest_key: String,
    map_results: String,
}

/// The response once the results of lost items are stored.
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
    /// Validates the arguments of an execution before anything is copied.
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

    /// Reconciles a batch of items.
    ///
    /// The results of finished items are stored before the response returns the unfinished items for another run.
    pub(super) async fn answer_map(
        &self,
        batch: &MapBatch,
        invocation: &FinalSyncInvocation<'_>,
    ) -> Result<MapBatchResponse, FinalSyncError> {
        let store = batch.run.as_ref().map(|run| Ok((run, self.results()?)));
        let store = store.transpose().map_err(|error: FinalSyncError| error)?;
        let deadline = invocation.deadline;
        let terms = batch.arguments.clone();
        // Without a queue: the state machine runs unfinished items again, and counts the runs.
        let terms = terms.and_then(|arguments| JobTerms::of_job(&self.settings, &arguments, false));
        let work_until = match store {
            Some(_) => self.before_result_writes(deadline),
            None => deadline,
        };
        let due = batch.due(self.now());
        let requested = requested(batch, &due);
        let results = self
            .results_of(&requested, &terms, RequestOrigin::Item, work_until)
            .await;
        let results: BTreeMap<usize, TaskResult> = due.into_iter().zip(results).collect();
        let round = batch.end_run(&results, self.now());
        if let Some((run, store)) = store {
            let name = object_name(run, batch, invocation);
            self.store_results(store, &name, &round.lines, deadline).await?;
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
            results: store.is_none().then_some(round.lines),
        })
    }

    /// Stores a failed result for every item of an invocation that failed as a whole.
    ///
    /// The object replaces results that the failed invocation may have stored.
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
            self.store_results(self.results()?, &name, &lines, invocation.deadline)
                .await?;
        }
        Ok(LostItemsResponse { items: lines.len() })
    }

    pub(super) fn results(&self) -> Result<&R, FinalSyncError> {
        self.results.as_ref().ok_or(FinalSyncError::NoStateBucket)
    }

    /// Returns the deadline minus the time reserved for the results: at most half of the remaining time.
    pub(super) fn before_result_writes(&self, deadline: Timestamp) -> Timestamp {
        let now = self.now();
        deadline.minus(RESULT_WRITE_RESERVE.min(deadline.since(now) / 2))
    }

    async fn store_results(
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

    /// Awaits `work` until the deadline.
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

fn requested<'a>(batch: &'a MapBatch, due: &[usize]) -> Vec<RequestedKey<'a>> {
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

/// Returns the name of the object with a batch's results.
///
/// The name is a hash of the items, so that a repeated invocation replaces the object. The index of each item in the
/// manifest distinguishes equal rows. A custom map may omit the index: then only the invocation id distinguishes two
/// equal batches.
fn object_name(run: &RunName, batch: &MapBatch, invocation: &FinalSyncInvocation<'_>) -> String {
    let values: Vec<&Value> = batch.items.iter().map(|item| &item.value).collect();
    let text = serde_json::to_string(&values).unwrap_or_default();
    let has_indexes = values.iter().all(|value| value.get("index").is_some());
    let own = if has_indexes { "" } else { invocation.id };
    format!("{}/results/{:032x}.jsonl", run.folder(), hash(&(text + own)))
}

/// Returns the 128-bit FNV-1a hash of a text, which is the same in every build.
fn hash(text: &str) -> u128 {
    const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    text.bytes()
        .fold(OFFSET, |hash, byte| (hash ^ u128::from(byte)).wrapping_mul(PRIME))
}
