//! A burst of notifications with faults, worked off by several environments of a function.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde_json::json;

use super::{goal, scenario};
use crate::arguments::BenchContext;
use crate::contest::contest;
use crate::error::{BenchResult, RunFailure};
use crate::lambda::{FunctionWork, batch, deliver, replicators, start};
use crate::report::{
    BenchMetric, CaseReport, GoalLimit, LAG_P50, LAG_P99, LOST, REQUESTS_PER_EVENT, Sample, ScenarioReport, TIME,
};
use crate::statistics::percentile;
use crate::world::{SOURCE, WAN, World, small};

/// Environments of the function that work at the same time.
const ENVIRONMENTS: usize = 5;

/// Messages of one invocation, the default of an event source mapping.
const BATCH_SIZE: usize = 10;

/// Receives of a message before it is a dead letter.
const MAX_RECEIVES: u32 = 5;

/// A queue whose failed messages return at once.
#[derive(Debug)]
struct BurstQueue {
    begun: Instant,
    waiting: VecDeque<(u64, u32)>,
    lags: Vec<f64>,
    dead: Vec<u64>,
}

impl BurstQueue {
    fn new(messages: u64) -> Self {
        Self {
            begun: Instant::now(),
            waiting: (0..messages).map(|number| (number, 1)).collect(),
            lags: Vec::new(),
            dead: Vec::new(),
        }
    }

    fn receive(&mut self) -> Vec<(u64, u32)> {
        self.waiting.drain(..BATCH_SIZE.min(self.waiting.len())).collect()
    }

    fn settle(&mut self, received: &[(u64, u32)], failed: &[u64]) {
        let lag = self.begun.elapsed().as_secs_f64();
        for (number, receives) in received {
            if !failed.contains(number) {
                self.lags.push(lag);
            } else if *receives < MAX_RECEIVES {
                self.waiting.push_back((*number, receives + 1));
            } else {
                self.dead.push(*number);
            }
        }
    }
}

fn locked(queue: &Mutex<BurstQueue>) -> MutexGuard<'_, BurstQueue> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A burst of notifications.
pub(super) async fn burst(context: &BenchContext) -> BenchResult<ScenarioReport> {
    const METRICS: &[BenchMetric] = &[LAG_P50, LAG_P99, REQUESTS_PER_EVENT, LOST];
    let messages = context.scaled(5000, 50);
    let world = World::start(WAN).await?;
    world.fill(SOURCE, 0..messages, small)?;
    let faults = json!([
        { "operation": "*", "probability": 0.005, "fault": "throttle" },
        { "operation": "*", "probability": 0.003, "fault": "internal-error" },
        { "operation": "*", "probability": 0.002, "fault": "lost-response" },
    ]);
    let contenders = replicators(&world, &context.peers)?;
    let rows = contest(context.limits, &contenders, async |work: &FunctionWork| {
        world.empty_destination()?;
        let set = world.server().set_faults(&faults);
        set.map_err(|error| RunFailure::Failed(format!("fault rules: {error}")))?;
        let sample = absorb(&world, work, messages).await;
        let cleared = world.server().set_faults(&json!([]));
        cleared.map_err(|error| RunFailure::Failed(format!("fault rules: {error}")))?;
        sample
    })
    .await?;
    Ok(scenario(
        "burst",
        format!(
            "{messages} notifications at once, batches of {BATCH_SIZE}, {ENVIRONMENTS} environments, 1% of all requests fail \
             (503, 500 or a lost response), 10 ms per request and 80 ms more per copy."
        ),
        METRICS,
        vec![CaseReport::new("1% faults", METRICS, rows)],
        &[goal(LOST, GoalLimit::AtMost(0.0), None)],
        &[
            "Failed messages return to the queue at once, without a visibility timeout. SCALE=2 has the 10,000 notifications \
           of the goal.",
        ],
    ))
}

async fn absorb(world: &World, work: &FunctionWork, messages: u64) -> std::result::Result<Sample, RunFailure> {
    let mut functions = Vec::new();
    for _ in 0..ENVIRONMENTS {
        functions.push(start(work).await?);
    }
    let queue = Mutex::new(BurstQueue::new(messages));
    let mut workers: Vec<_> = functions
        .iter_mut()
        .map(|function| Box::pin(consume(function, &queue)))
        .collect();
    let [first, second, third, fourth, fifth] = workers.as_mut_slice() else {
        return Err(RunFailure::Failed("the number of environments changed".to_owned()));
    };
    tokio::try_join!(first, second, third, fourth, fifth)?;
    drop(workers);
    let mut state = queue.into_inner().unwrap_or_else(PoisonError::into_inner);
    let seconds = state.begun.elapsed().as_secs_f64();
    let difference = world.difference()?;
    if let (Some(difference), true) = (difference, state.dead.is_empty()) {
        return Err(RunFailure::Wrong(difference));
    }
    state.lags.sort_by(f64::total_cmp);
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let (requests, events, lost) = (world.requests() as f64, messages as f64, state.dead.len() as f64);
    Ok(vec![
        (LAG_P50, percentile(&state.lags, 50).unwrap_or_default()),
        (LAG_P99, percentile(&state.lags, 99).unwrap_or_default()),
        (REQUESTS_PER_EVENT, requests / events),
        (LOST, lost),
        (TIME, seconds),
    ])
}

/// Receives and works off batches until all messages are done or dead.
async fn consume(
    function: &mut s3ferry_tests::runtime_api::Function,
    queue: &Mutex<BurstQueue>,
) -> std::result::Result<(), RunFailure> {
    loop {
        let received = locked(queue).receive();
        if received.is_empty() {
            return Ok(());
        }
        let failed = deliver(function, batch(received.iter().map(|(number, _)| *number))).await?;
        locked(queue).settle(&received, &failed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_message_returns_until_it_is_a_dead_letter() {
        let mut queue = BurstQueue::new(11);
        let first = queue.receive();
        assert_eq!(first.len(), BATCH_SIZE);
        queue.settle(&first, &[3]);
        assert_eq!(queue.lags.len(), 9);
        for receives in 2..=MAX_RECEIVES {
            let batch = queue.receive();
            assert!(!batch.is_empty(), "receive {receives}");
            queue.settle(&batch, &[3]);
        }
        assert_eq!(queue.dead, [3]);
        assert_eq!((queue.lags.len(), queue.waiting.len()), (10, 0));
    }
}
