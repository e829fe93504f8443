//! Runs of the state machine: their beginning, their batches, and their sum.

use std::collections::BTreeMap;
use std::pin::pin;
use std::time::Duration;

use crate::batch::Batch;
use crate::ports::{Clock, Continuations, DestinationBucket, SourceBucket, StateStore};
use crate::results::RunResults;
use futures::future::{Either, select};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use s3ferry_core::batch_operations::{
    Begin, Conclusion, LostItems, MapBatch, ResultCode, ResultLine, RunName, Summary, TaskResult,
};
use s3ferry_core::facts::{Aspect, Aspects};
use s3ferry_core::time::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::tasks::{Asked, Kind};
use super::{FinalSync, FinalSyncError, Terms};

/// How long results may take to be kept, out of the time of the invocation.
const KEEPING: Duration = Duration::from_secs(4);

/// How often items are run that achieve nothing: for half an hour, which outlasts what is waited for elsewhere.
const MOST_RUNS: u32 = 10;

/// How often items are run that achieve something each time, as the copy of a very large object does.
const MOST_RUNS_WITH_PROGRESS: u32 = 300;

/// How many objects of results are read at once.
const READ_AT_ONCE: usize = 32;

/// The answer to a batch of items.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MapAnswer {
    /// How many items there were.
    pub items: usize,
    /// How many are done.
    pub succeeded: usize,
    /// How many failed.
    pub failed: usize,
    /// How many are not done yet, and come again.
    pub unfinished: usize,
    /// Whether no item comes again.
    pub finished: bool,
    /// Whether more than half of the items failed, so that the batch counts as failed.
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
pub struct Begun {
    run: Value,
    manifest_key: String,
    map_results: String,
}

/// The answer once lost items are on record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Recorded {
    items: usize,
}

/// The answer at the end of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Concluded {
    summary_key: String,
    #[serde(flatten)]
    summary: Summary,
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
    /// Looks at what a run asks for before anything is copied.
    pub(super) fn begin(&self, begin: &Begin) -> Result<Begun, FinalSyncError> {
        self.results()?;
        Terms::of_job(&self.settings, &begin.run.arguments, false)?;
        let arguments = if begin.arguments.is_null() {
            json!({})
        } else {
            begin.arguments.clone()
        };
        let name = &begin.run.name;
        Ok(Begun {
            run: json!({"execution": name, "userArguments": arguments}),
            manifest_key: begin.manifest_key.to_string(),
            map_results: format!("{}/map", name.folder()),
        })
    }

    /// Runs a batch of items. What is not done comes again; the results of the others are kept first.
    pub(super) async fn answer_map(&self, batch: &MapBatch, deadline: Timestamp) -> Result<MapAnswer, FinalSyncError> {
        let keeper = batch.run.as_ref().map(|run| Ok((run, self.results()?)));
        let keeper = keeper.transpose().map_err(|error: FinalSyncError| error)?;
        let terms = batch.arguments.clone();
        // Not to the queue: the state machine brings back what is not done, and counts it.
        let terms = terms.and_then(|arguments| Terms::of_job(&self.settings, &arguments, false));
        let work_until = match keeper {
            Some(_) => self.keep_back(deadline),
            None => deadline,
        };
        let asked = asked(batch);
        // As for a message that comes again: whoever had the items before may have crashed between a copy and the look
        // after it, or have left a copy in parts unfinished.
        let again = if batch.attempt > 1 {
            Aspects::from([Aspect::Tags, Aspect::UnfinishedUpload, Aspect::History])
        } else {
            Aspects::new()
        };
        let results = self.results_of(&asked, &terms, Kind::Item { again }, work_until).await;
        let answer = sort(batch, results);
        match keeper {
            Some((run, keeper)) => {
                let lines = answer.results.as_deref().unwrap_or_default();
                self.keep(keeper, &object_name(run, batch, ""), lines, deadline).await?;
                Ok(MapAnswer {
                    results: None,
                    ..answer
                })
            }
            None => Ok(answer),
        }
    }

    /// Puts on record items whose invocation failed as a whole.
    pub(super) async fn record_lost(&self, lost: &LostItems, deadline: Timestamp) -> Result<Recorded, FinalSyncError> {
        let (batch, result) = (&lost.batch, TaskResult::lost(&lost.error));
        let lines: Vec<ResultLine> = batch
            .items
            .iter()
            .map(|item| ResultLine::new(&item.row, &result))
            .collect();
        if let Some(run) = &batch.run {
            self.keep(self.results()?, &object_name(run, batch, "-lost"), &lines, deadline)
                .await?;
        }
        Ok(Recorded { items: lines.len() })
    }

    /// Adds a run up.
    pub(super) async fn conclude(&self, end: Conclusion, deadline: Timestamp) -> Result<Concluded, FinalSyncError> {
        let results = self.results()?;
        let mut summary = Summary {
            execution: end.run.as_str().to_owned(),
            manifest_key: end.manifest_key,
            stopped: end.stopped,
            ..Summary::default()
        };
        let folder = end.run.folder();
        let names = results.list(&format!("{folder}/results/")).await?;
        let mut texts = stream::iter(names)
            .map(|name| async move { results.read(&name).await })
            .buffer_unordered(READ_AT_ONCE);
        while let Some(text) = texts.try_next().await? {
            summary.add(&text);
        }
        let summary_key = format!("{folder}/summary.json");
        let text = serde_json::to_string_pretty(&summary).unwrap_or_default();
        self.within(deadline, results.write(&summary_key, text)).await?;
        // The state machine's history is short of room; the failures are in the object.
        summary.failures.clear();
        Ok(Concluded { summary_key, summary })
    }

    fn results(&self) -> Result<&R, FinalSyncError> {
        self.results.as_ref().ok_or(FinalSyncError::NoStateBucket)
    }

    /// Keeps time back for the results, but never more than half of what is left.
    fn keep_back(&self, deadline: Timestamp) -> Timestamp {
        let now = self.engine_of_settings().reconciler.clock.now();
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

    async fn within(
        &self,
        deadline: Timestamp,
        work: impl Future<Output = Result<(), s3ferry_core::failure::Failure>>,
    ) -> Result<(), FinalSyncError> {
        let engine = self.engine_of_settings();
        let clock = &engine.reconciler.clock;
        let time_left = clock.sleep(deadline.since(clock.now()));
        match select(pin!(work), pin!(time_left)).await {
            Either::Left((kept, _)) => Ok(kept?),
            Either::Right(_) => Err(FinalSyncError::OutOfTime),
        }
    }
}

fn asked(batch: &MapBatch) -> Vec<Asked<'_>> {
    let run = batch.run.as_ref().map_or("map", RunName::as_str);
    let items = batch.items.iter().enumerate();
    items
        .map(|(index, item)| Asked {
            id: format!("{run}/{index}"),
            target: &item.target,
        })
        .collect()
}

/// Sorts results into what is done with and what comes again.
fn sort(batch: &MapBatch, results: Vec<TaskResult>) -> MapAnswer {
    let mut again: Vec<&Value> = Vec::new();
    let mut lines = Vec::new();
    let (mut failed, mut progress) = (0, false);
    let mut outcomes: BTreeMap<String, u64> = BTreeMap::new();
    for (item, result) in batch.items.iter().zip(results) {
        let most = if result.progress {
            MOST_RUNS_WITH_PROGRESS
        } else {
            MOST_RUNS
        };
        let comes_again = result.code == ResultCode::TemporaryFailure;
        if comes_again && batch.attempt < most {
            progress |= result.progress;
            again.push(&item.value);
            continue;
        }
        let result = if comes_again {
            result.exhausted(batch.attempt)
        } else {
            result
        };
        failed += usize::from(result.code != ResultCode::Succeeded);
        *outcomes.entry(result.outcome.clone()).or_default() += 1;
        lines.push(ResultLine::new(&item.row, &result));
    }
    MapAnswer {
        items: batch.items.len(),
        succeeded: lines.len() - failed,
        failed,
        unfinished: again.len(),
        finished: again.is_empty(),
        mostly_failed: failed * 2 > batch.items.len(),
        wait_seconds: wait_seconds(batch.attempt, progress),
        outcomes,
        again: (!again.is_empty()).then(|| next_input(batch, &again)),
        results: Some(lines),
    }
}

/// Grows from 10 seconds to 5 minutes; what gets on is not kept waiting.
fn wait_seconds(attempt: u32, progress: bool) -> u64 {
    const LONGEST: u64 = 300;
    if progress {
        return 1;
    }
    2_u64
        .saturating_pow(attempt.saturating_sub(1))
        .saturating_mul(10)
        .min(LONGEST)
}

fn next_input(batch: &MapBatch, items: &[&Value]) -> Value {
    let mut input: Map<String, Value> = batch.input.as_object().cloned().unwrap_or_default();
    input.insert("attempt".to_owned(), json!(batch.attempt.saturating_add(1)));
    json!({"Items": items, "BatchInput": input})
}

/// Names the object of a batch's results by what the batch holds, so that an invocation that is repeated replaces it.
fn object_name(run: &RunName, batch: &MapBatch, suffix: &str) -> String {
    let values: Vec<&Value> = batch.items.iter().map(|item| &item.value).collect();
    let text = serde_json::to_string(&values).unwrap_or_default();
    format!(
        "{}/results/{:032x}-{}{suffix}.jsonl",
        run.folder(),
        hash(&text),
        batch.attempt
    )
}

/// Hashes with FNV-1a in 128 bits: the same in every build.
fn hash(text: &str) -> u128 {
    const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    text.bytes()
        .fold(OFFSET, |hash, byte| (hash ^ u128::from(byte)).wrapping_mul(PRIME))
}
