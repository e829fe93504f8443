//! Chaos test: no write is lost if the replicator's processes are killed during their work.
//!
//! The stack is deployed on an emulator that enforces IAM, while applications write, overwrite and delete. A seed
//! decides what is written, and after how many requests which process is killed. It does not decide how the processes
//! interleave. `S3FERRY_CHAOS_SEED` repeats a seed.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod killer;
mod operations;

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher as _;
use std::time::{Duration, Instant};

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use s3ferry_testkit::schedule::SeededChoices;
use s3ferry_tests::Result;
use s3ferry_tests::compare::{differences, summary};
use s3ferry_tests::deployment::{Deployment, PATIENCE, SourceStack};
use s3ferry_tests::emulator::EmulatorOptions;
use s3ferry_tests::waiting::{PollResult, until};

use crate::killer::Killer;
use crate::operations::{Operation, operations};

/// Prefix of all keys.
const PREFIX: &str = "live/";

/// Number of writes, overwrites and deletes.
const OPERATIONS: usize = 2_000;

/// Operations sent between two reads of the backlog.
const STRIDE: usize = 40;
/// Operations sent concurrently.
const AT_ONCE: usize = 8;

/// Messages in the queue above which the applications wait for the replicator. Enough to keep all its processes busy,
/// and few enough for kills to fall between the writes, not after them.
const BACKLOG: u64 = 120;

/// Time until the messages of a killed process are redelivered. The template sets 90 minutes, six times the function's
/// timeout; invocations of this test take less than a second.
const VISIBILITY_TIMEOUT: Duration = Duration::from_secs(10);

/// Receives of a message. About every fourth invocation is killed, so kills alone could use up the template's 8.
const MAX_RECEIVE_COUNT: &str = "20";

#[tokio::test]
async fn killed_processes_lose_nothing() {
    let seed = seed();
    eprintln!("S3FERRY_CHAOS_SEED={seed}");
    let deployment = Deployment::prepare(EmulatorOptions {
        log_requests: true,
        detached: false,
    })
    .await
    .expect("emulator");
    deployment.source.enable_versioning().await.expect("versioning");
    deployment.deploy_destination().await.expect("destination stack");
    let parameters = [
        ("KeyPrefix", PREFIX),
        ("PropagateDeletes", "true"),
        ("MaxReceiveCount", MAX_RECEIVE_COUNT),
    ];
    let stack = deployment
        .deploy_source("s3ferry", &parameters)
        .await
        .expect("source stack");
    let queue = &stack.queue;
    queue
        .set_visibility_timeout(VISIBILITY_TIMEOUT)
        .await
        .expect("visibility timeout");

    let begun = Instant::now();
    let mut seed = SeededChoices::new(seed);
    let operations = operations(&mut seed, PREFIX, OPERATIONS);
    let function_name = &stack.outputs["ReplicatorFunctionName"];
    let mut killer = Killer::new(seed, &deployment.emulator, function_name).expect("the emulator's log");
    tokio::select! {
        written = write(&operations, &deployment, &stack) => written.expect("the applications' requests"),
        stopped = killer.run() => stopped.expect("kills"),
    }
    let written = begun.elapsed();
    stack.until_idle().await.expect("every message is done");

    let figures = Figures::of(&deployment, killer.killed, written, begun.elapsed()).await;
    eprintln!("{figures}");
    let found = differences(&deployment.source, &deployment.destination, PREFIX)
        .await
        .expect("comparison");
    assert!(found.is_empty(), "{} differences: {}", found.len(), summary(&found));
    assert_eq!(stack.dead_letters.count().await.expect("count"), 0, "dead letters");
    assert_eq!(figures.source_versions, OPERATIONS, "every request was carried out");
    assert!(figures.delivered > OPERATIONS / 2, "too few events: {figures}");
    assert!(
        figures.acknowledged >= figures.delivered,
        "messages are lost: {figures}"
    );
    assert!(figures.crashes > 0, "no kill fell into an invocation: {figures}");
}

fn seed() -> u64 {
    match std::env::var("S3FERRY_CHAOS_SEED") {
        Ok(seed) => seed.parse().expect("S3FERRY_CHAOS_SEED must be a whole number"),
        Err(_) => RandomState::new().hash_one("chaos"),
    }
}

/// Sends the operations in order, some concurrently, as fast as the replicator keeps up.
async fn write(operations: &[Operation], deployment: &Deployment, stack: &SourceStack<'_>) -> Result<()> {
    for stride in operations.chunks(STRIDE) {
        until("a short backlog", PATIENCE, || async {
            let backlog = stack.queue.backlog().await?;
            Ok(PollResult::when(backlog < BACKLOG, || {
                format!("{backlog} messages wait")
            }))
        })
        .await?;
        stream::iter(stride)
            .map(|operation| operation.send(&deployment.source))
            .buffered(AT_ONCE)
            .try_collect::<()>()
            .await?;
    }
    Ok(())
}

/// Counts of a run.
#[derive(Debug)]
struct Figures {
    /// Messages that the source bucket sent to the queue, its test event included.
    delivered: usize,
    /// Messages that the function acknowledged, its own continuations included.
    acknowledged: usize,
    /// Versions and delete markers of the source, one per request.
    source_versions: usize,
    /// Processes killed.
    killed: usize,
    /// Invocations that ended because their process was killed.
    crashes: usize,
    /// Versions and delete markers of the destination.
    destination_versions: usize,
    written: Duration,
    done: Duration,
}

impl Figures {
    async fn of(deployment: &Deployment, killed: usize, written: Duration, done: Duration) -> Self {
        let log = deployment.emulator.log();
        Self {
            delivered: log.lines().filter(|line| is_delivery(line)).count(),
            acknowledged: log.lines().filter_map(acknowledged).sum(),
            source_versions: deployment.source.versions(PREFIX).await.expect("versions").len(),
            killed,
            crashes: log.lines().filter(|line| is_crash(line)).count(),
            destination_versions: deployment.destination.versions(PREFIX).await.expect("versions").len(),
            written,
            done,
        }
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} versions at the source, {} at the destination; {} messages delivered, {} acknowledged; {} processes \
             killed, {} invocations crashed; written after {:.1} s, done after {:.1} s",
            self.source_versions,
            self.destination_versions,
            self.delivered,
            self.acknowledged,
            self.killed,
            self.crashes,
            self.written.as_secs_f64(),
            self.done.as_secs_f64(),
        )
    }
}

/// Returns whether a line of the emulator's log reports a message of the source bucket. A delete of an absent object
/// sends none.
fn is_delivery(line: &str) -> bool {
    line.contains("S3 notification → SQS s3ferry-ReplicationQueue")
}

/// Returns the number of acknowledged messages that a line of the emulator's log reports.
fn acknowledged(line: &str) -> Option<usize> {
    let (_, rest) = line.split_once(" processed ")?;
    let (count, _) = rest.split_once(" SQS messages from ")?;
    count.parse().ok()
}

/// Returns whether a line of the emulator's log reports an invocation whose process ended before its response.
fn is_crash(line: &str) -> bool {
    line.contains("failed processing SQS batch") && line.contains("errorType=Runtime.ExitError")
}
