//! Repeated runs of a Distributed Map batch: which items run again, when, and when they fail for good.
//!
//! An invocation that ends before its batch returns the unfinished items, and the state machine invokes the function
//! with them again. Each item carries its number of runs, so that a slow item does not use up the runs of others.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{MapBatch, MapItem, ResultCode, ResultLine, TaskResult};
use crate::time::Timestamp;

/// Maximum number of consecutive idle runs of an item, in which its whole batch made no progress either. With the waits
/// between the runs this is half an hour, longer than any other wait of s3ferry.
const MAX_IDLE_RUNS: u32 = 10;

/// Maximum number of runs of an item. The copy of a very large object needs many runs.
const MAX_RUNS: u32 = 300;

/// Wait after the first idle run. Each further idle run doubles the wait.
pub(super) const FIRST_WAIT: Duration = Duration::from_secs(10);

/// Upper limit of the wait.
const LONGEST_WAIT: Duration = Duration::from_mins(5);

/// Run counters of an item, which its payload carries to the next run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ItemAttempts {
    /// Number of runs that reached the item.
    pub attempts: u32,
    /// Number of latest consecutive runs without progress of the item or its batch.
    pub idle: u32,
    /// Earliest time of the next run. `None` means immediately.
    pub due: Option<Timestamp>,
}

/// Number of items that earlier runs of a batch finished.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FinishedItems {
    /// Number of finished items.
    pub items: u64,
    /// Number of finished items that failed.
    pub failed: u64,
}

/// A batch after a run.
#[derive(Debug, Clone, PartialEq)]
pub struct BatchAttempt {
    /// Final results.
    pub lines: Vec<ResultLine>,
    /// Number of final results that are failures.
    pub failed: usize,
    /// Number of final results by outcome.
    pub outcomes: BTreeMap<String, u64>,
    /// Number of items that run again.
    pub unfinished: usize,
    /// Whether more than half of the batch failed, including earlier runs.
    pub mostly_failed: bool,
    /// Wait before the next run.
    pub wait_seconds: u64,
    /// Payload of the next run.
    pub again: Option<Value>,
}

impl MapBatch {
    /// Returns the indexes of the items that are due.
    ///
    /// Returns all indexes if no item is due: the invocation came early, and it should still make progress.
    #[must_use]
    pub fn due(&self, now: Timestamp) -> Vec<usize> {
        let all = 0..self.items.len();
        let is_due = |index: &usize| {
            let due = self.items.get(*index).and_then(|item| item.runs.due);
            due.is_none_or(|due| due <= now)
        };
        let due: Vec<usize> = all.clone().filter(is_due).collect();
        if due.is_empty() { all.collect() } else { due }
    }

    /// Ends a run. `results` contains the result of each due item, by its index.
    #[must_use]
    pub fn end_run(&self, results: &BTreeMap<usize, TaskResult>, now: Timestamp) -> BatchAttempt {
        let run = Run {
            // A finished item counts as progress, and so does a copied part of a large object.
            progress: results.values().any(|result| !runs_again(result) || result.progress),
            none_reached: !results.values().any(|result| result.reached),
            now,
        };
        let mut left: Vec<(&MapItem, ItemAttempts)> = Vec::new();
        let (mut lines, mut failed) = (Vec::new(), 0);
        let mut outcomes: BTreeMap<String, u64> = BTreeMap::new();
        for (index, item) in self.items.iter().enumerate() {
            let Some(result) = results.get(&index) else {
                left.push((item, item.runs));
                continue;
            };
            let mut result = result.clone();
            if runs_again(&result) {
                let runs = run.after(item.runs, &result);
                if runs.idle < MAX_IDLE_RUNS && runs.attempts < MAX_RUNS {
                    left.push((item, runs));
                    continue;
                }
                result = result.exhausted(runs.attempts.max(runs.idle));
            }
            failed += usize::from(result.code != ResultCode::Succeeded);
            *outcomes.entry(result.outcome.clone()).or_default() += 1;
            lines.push(ResultLine::new(&item.row, &result));
        }
        // Items that no run reached come first, the others follow by due time.
        left.sort_by_key(|(_, runs)| (runs.attempts > 0, runs.due));
        let ended = FinishedItems {
            items: self.ended.items.saturating_add(count(lines.len())),
            failed: self.ended.failed.saturating_add(count(failed)),
        };
        BatchAttempt {
            unfinished: left.len(),
            mostly_failed: ended.failed.saturating_mul(2) > ended.items.saturating_add(count(left.len())),
            wait_seconds: wait_seconds(&left, now),
            again: (!left.is_empty()).then(|| self.next_payload(&left, ended)),
            lines,
            failed,
            outcomes,
        }
    }

    /// Returns the payload of the next run. Fields that all items have in common are written once to limit its size.
    fn next_payload(&self, left: &[(&MapItem, ItemAttempts)], ended: FinishedItems) -> Value {
        let mut input: Map<String, Value> = self.input.as_object().cloned().unwrap_or_default();
        let run = left.first().and_then(|(item, _)| item.value.get("run"));
        if let Some(run) = run.filter(|_| !input.contains_key("run")) {
            input.insert("run".to_owned(), run.clone());
        }
        input.insert(
            "ended".to_owned(),
            json!({"items": ended.items, "failed": ended.failed}),
        );
        let items: Vec<Value> = left.iter().map(|(item, runs)| runs.item_value(item)).collect();
        json!({"Items": items, "BatchInput": input})
    }
}

/// What one run achieved over all of its items.
struct Run {
    progress: bool,
    none_reached: bool,
    now: Timestamp,
}

impl Run {
    /// Returns the run counters of an unfinished item after this run.
    fn after(&self, before: ItemAttempts, result: &TaskResult) -> ItemAttempts {
        // If the run reached no item, it counts for all items. Otherwise such runs would repeat forever.
        if !result.reached && !self.none_reached {
            return ItemAttempts { due: None, ..before };
        }
        let idle = if result.progress {
            0
        } else if self.progress {
            before.idle
        } else {
            before.idle.saturating_add(1)
        };
        let wait = if result.progress || self.progress {
            result.delay
        } else {
            result.delay.max(idle_wait(idle))
        };
        ItemAttempts {
            attempts: before.attempts.saturating_add(u32::from(result.reached)),
            idle,
            due: (!wait.is_zero()).then(|| whole_seconds(self.now.plus(wait))),
        }
    }
}

impl ItemAttempts {
    const ATTEMPTS: &'static str = "attempts";
    const IDLE: &'static str = "idle";
    const DUE: &'static str = "due";

    /// Reads the run counters from an item. Items of a manifest have none.
    pub(super) fn read(item: &Value) -> Self {
        let number = |name: &str| {
            let number = item.get(name).and_then(Value::as_u64);
            number.and_then(|number| u32::try_from(number).ok()).unwrap_or_default()
        };
        if item.get("row").is_none() {
            return Self::default();
        }
        Self {
            attempts: number(Self::ATTEMPTS),
            idle: number(Self::IDLE),
            due: item.get(Self::DUE).and_then(Value::as_i64).map(Timestamp::from_seconds),
        }
    }

    fn item_value(self, item: &MapItem) -> Value {
        let mut fields = match (&item.value, item.value.get("row")) {
            (Value::Object(fields), Some(_)) => fields.clone(),
            _ => Map::from_iter([("row".to_owned(), item.row.clone())]),
        };
        fields.remove("run");
        for (name, number) in [(Self::ATTEMPTS, self.attempts), (Self::IDLE, self.idle)] {
            fields.remove(name);
            if number > 0 {
                fields.insert(name.to_owned(), json!(number));
            }
        }
        fields.remove(Self::DUE);
        if let Some(due) = self.due {
            fields.insert(Self::DUE.to_owned(), json!(due.millis().div_euclid(1_000)));
        }
        Value::Object(fields)
    }
}

impl FinishedItems {
    /// Reads the finished items from the input of a batch.
    pub(super) fn read(input: Option<&Value>) -> Self {
        let number = |name: &str| {
            let number = input.and_then(|input| input.get("ended")?.get(name)?.as_u64());
            number.unwrap_or_default()
        };
        Self {
            items: number("items"),
            failed: number("failed"),
        }
    }
}

fn runs_again(result: &TaskResult) -> bool {
    result.code == ResultCode::TemporaryFailure
}

/// Returns the wait after consecutive idle runs: 10 seconds, doubled up to 5 minutes.
fn idle_wait(idle: u32) -> Duration {
    let factor = 2_u32.saturating_pow(idle.saturating_sub(1));
    FIRST_WAIT.saturating_mul(factor).min(LONGEST_WAIT)
}

/// Returns the wait until the first item is due, at least 1 second.
fn wait_seconds(left: &[(&MapItem, ItemAttempts)], now: Timestamp) -> u64 {
    let first = left.iter().map(|(_, runs)| runs.due.unwrap_or(now)).min();
    let wait = first.map_or(FIRST_WAIT, |first| first.since(now));
    u64::try_from(wait.as_millis().div_ceil(1_000))
        .unwrap_or(u64::MAX)
        .max(1)
}

fn whole_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_seconds(time.millis().div_euclid(1_000))
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch_operations::{FinalSyncRequest, conclude, parse_request};
    use crate::facts::AttributeSet;
    use crate::failure::{Failure, FailureKind};
    use crate::outcome::{DeferralReason, Outcome, ReconcileReport, SkipReason};

    const NOW: Timestamp = Timestamp::from_millis(1_000_000_700);

    fn batch(payload: &Value) -> MapBatch {
        match parse_request(payload) {
            Ok(FinalSyncRequest::Map(batch)) => batch,
            other => panic!("{other:?}"),
        }
    }

    fn items(count: usize) -> Value {
        let item = |index: usize| {
            json!({
                "row": {"Bucket": "example", "Key": format!("key-{index:03}")}, "index": index,
                "run": {"execution": "e", "userArguments": {}},
            })
        };
        json!({"Items": (0..count).map(item).collect::<Vec<_>>()})
    }

    fn report(outcome: Outcome) -> ReconcileReport {
        ReconcileReport {
            outcome,
            not_preserved: AttributeSet::new(),
            passes: 1,
            progress: false,
            outcome_unknown: false,
            upload_left: false,
            not_comparable: false,
            duration: Duration::ZERO,
        }
    }

    fn done() -> TaskResult {
        conclude(&report(Outcome::Skipped(SkipReason::AlreadyIdentical)), true)
    }

    fn interrupted() -> TaskResult {
        conclude(&report(Outcome::Deferred(DeferralReason::Deadline)), false)
    }

    fn not_started() -> TaskResult {
        conclude(&ReconcileReport::not_begun(), false)
    }

    fn throttled() -> TaskResult {
        conclude(
            &report(Outcome::Failed(Failure {
                kind: FailureKind::Retry,
                code: "SlowDown".into(),
                action: "s3:GetObject".to_owned(),
                resource: "arn:aws:s3:::example/key".to_owned(),
                detail: "slow down".to_owned(),
            })),
            false,
        )
    }

    fn may_land() -> TaskResult {
        let report = ReconcileReport {
            outcome_unknown: true,
            ..report(Outcome::Deferred(DeferralReason::Deadline))
        };
        conclude(&report, false)
    }

    /// Ends a run with these results, which are in the order of the items.
    fn end(payload: &Value, results: impl IntoIterator<Item = TaskResult>) -> BatchAttempt {
        batch(payload).end_run(&results.into_iter().enumerate().collect(), NOW)
    }

    /// Returns key, attempts, idle runs and seconds until due of each unfinished item.
    fn left(round: &BatchAttempt) -> Vec<(String, u32, u32, Option<u64>)> {
        let again = round.again.as_ref().map(batch);
        let items = again.into_iter().flat_map(|batch| batch.items);
        items
            .map(|item| {
                let key = item.row["Key"].as_str().unwrap_or_default().to_owned();
                // Due times are whole seconds, and `NOW` is not.
                let due = item.runs.due.map(|due| due.since(NOW).as_secs() + 1);
                (key, item.runs.attempts, item.runs.idle, due)
            })
            .collect()
    }

    #[track_caller]
    fn check(round: &BatchAttempt, expected: &[(&str, u32, u32, Option<u64>)], wait_seconds: u64) {
        let expected: Vec<_> = expected
            .iter()
            .map(|(key, attempts, idle, due)| ((*key).to_owned(), *attempts, *idle, *due))
            .collect();
        assert_eq!((left(round), round.wait_seconds), (expected, wait_seconds));
    }

    #[test]
    fn unstarted_items_run_first_without_a_wait_or_an_attempt() {
        let round = end(&items(4), [done(), interrupted(), throttled(), not_started()]);
        check(
            &round,
            &[
                ("key-003", 0, 0, None),
                ("key-001", 1, 0, None),
                ("key-002", 1, 0, Some(10)),
            ],
            1,
        );
        assert_eq!((round.unfinished, round.failed, round.lines.len()), (3, 0, 1));
    }

    #[test]
    fn waits_grow_only_if_the_whole_batch_makes_no_progress() {
        let mut payload = items(2);
        for (idle, wait) in [(1, 10), (2, 20), (3, 40), (4, 80), (5, 160), (6, 300), (7, 300)] {
            let round = end(&payload, [throttled(), throttled()]);
            let due = Some(wait);
            check(
                &round,
                &[("key-000", idle, idle, due), ("key-001", idle, idle, due)],
                wait,
            );
            payload = round.again.expect("both items run again");
        }
        let round = end(&payload, [throttled(), done()]);
        check(&round, &[("key-000", 8, 7, Some(10))], 10);
    }

    #[test]
    fn item_fails_after_ten_idle_runs_of_its_own() {
        let mut payload = items(3);
        for run in 1..10 {
            let round = end(&payload, [throttled(), interrupted(), not_started()]);
            // The unstarted item comes first, so the results are identified by key.
            let again = batch(&round.again.expect("all items run again"));
            let unreached = again.items.iter().find(|item| item.runs.attempts == 0);
            assert!(unreached.is_some_and(|item| item.runs.idle == 0), "run {run}");
            let mut items: Vec<Value> = again.items.into_iter().map(|item| item.value).collect();
            items.sort_by_key(|item| item["row"]["Key"].to_string());
            payload = json!({"Items": items, "BatchInput": again.input});
        }
        let round = end(&payload, [throttled(), interrupted(), not_started()]);
        let exhausted: Vec<&str> = round.lines.iter().map(|line| line.outcome.as_str()).collect();
        assert_eq!(exhausted, ["failed:SlowDown", "failed:Unfinished"]);
        assert!(
            round.lines[0]
                .detail
                .starts_with("given up after 10 runs: failed (retry)")
        );
        check(&round, &[("key-002", 0, 0, None)], 1);
        assert!(round.mostly_failed);
    }

    #[test]
    fn progress_of_an_item_resets_its_idle_runs_up_to_the_run_limit() {
        let progressed = || TaskResult {
            progress: true,
            ..interrupted()
        };
        let mut payload = items(1);
        for run in 1..300 {
            let round = end(&payload, [if run % 10 == 0 { progressed() } else { interrupted() }]);
            payload = round.again.unwrap_or_else(|| panic!("item failed in run {run}"));
        }
        let round = end(&payload, [progressed()]);
        assert!(round.again.is_none() && round.lines[0].detail.starts_with("given up after 300 runs"));
    }

    #[test]
    fn runs_that_start_no_item_end_after_ten() {
        let mut payload = items(2);
        for run in 1..10 {
            let round = end(&payload, [not_started(), not_started()]);
            let wait = idle_wait(run).as_secs();
            let due = Some(wait);
            check(&round, &[("key-000", 0, run, due), ("key-001", 0, run, due)], wait);
            payload = round.again.expect("both items run again");
        }
        let round = end(&payload, [not_started(), not_started()]);
        assert_eq!((round.failed, round.again), (2, None));
    }

    #[test]
    fn item_with_unknown_outcome_waits_while_other_items_run() {
        let round = end(&items(3), [may_land(), done(), not_started()]);
        check(&round, &[("key-002", 0, 0, None), ("key-000", 1, 0, Some(600))], 1);
        let again = batch(&round.again.expect("two items run again"));
        assert_eq!(again.due(NOW), [0], "the item with an unknown outcome is not due");
        let only = BTreeMap::from([(0, done())]);
        let round = again.end_run(&only, NOW);
        check(&round, &[("key-000", 1, 0, Some(600))], 600);
        let again = batch(&round.again.expect("one item runs again"));
        assert_eq!(again.due(NOW), [0], "an early invocation runs all items");
        assert_eq!(again.due(NOW.plus(Duration::from_mins(10))), [0]);
    }

    #[test]
    fn failures_of_a_batch_are_counted_over_all_of_its_runs() {
        let failed = || TaskResult {
            code: ResultCode::PermanentFailure,
            ..throttled()
        };
        let round = end(&items(5), [done(), done(), done(), failed(), interrupted()]);
        assert!(!round.mostly_failed);
        let round = end(&round.again.expect("one item runs again"), [failed()]);
        assert_eq!((round.failed, round.mostly_failed), (1, false), "two of five");
        let round = end(&items(3), [done(), failed(), interrupted()]);
        let round = end(&round.again.expect("one item runs again"), [failed()]);
        assert!(round.mostly_failed, "two of three");
    }

    #[test]
    fn next_payload_contains_the_run_once_and_barely_grows() {
        let payload = items(100);
        let text = payload.to_string().len();
        let again = end(&payload, std::iter::repeat_with(throttled).take(100))
            .again
            .expect("all items run again");
        assert_eq!(again["BatchInput"]["run"], payload["Items"][0]["run"]);
        assert_eq!(again["Items"][0]["run"], Value::Null);
        assert!(again.to_string().len() < text + 256, "{text}");
        let plain = json!({"Items": [{"Bucket": "example", "Key": "a"}], "BatchInput": {"userArguments": {"attributes": "always"}}});
        let again = end(&plain, [interrupted()]).again.expect("the item runs again");
        assert_eq!(again["Items"][0]["row"], plain["Items"][0]);
        assert_eq!(batch(&again).arguments, batch(&plain).arguments);
    }
}
