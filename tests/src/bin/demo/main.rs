//! `make demo`: deploys both stacks on an emulator with IAM enforced, writes objects, and compares both buckets.
//!
//! It fails if an object differs, if the other team's notification does not arrive, or if a message is dead-lettered.
#![allow(clippy::print_stdout, reason = "the output is for people")]

mod report;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use futures::stream::{self, StreamExt, TryStreamExt};
use s3ferry_tests::compare::{self, SideDifference};
use s3ferry_tests::deployment::{DESTINATION_BUCKET, Deployment, PATIENCE, SOURCE_BUCKET, SourceStack, until_notified};
use s3ferry_tests::emulator::EmulatorOptions;
use s3ferry_tests::error::chain;
use s3ferry_tests::foreign::{ForeignConsumer, NOTIFICATION_ID};
use s3ferry_tests::interrupt::interrupted;
use s3ferry_tests::runtime_api::Function;
use s3ferry_tests::upload::TestUpload;
use s3ferry_tests::waiting::{PollResult, until};
use s3ferry_tests::workload::{WorkloadCase, odd_keys, rich_objects, small_objects};
use s3ferry_tests::{DESTINATION_REGION, Result, SOURCE_REGION, replicator, tools};

use crate::report::DemoReport;

/// Prefix that the stack copies. It must not overlap with the other team's notification.
const PREFIX: &str = "live/";

/// Prefix of the other team's notification.
const FOREIGN_PREFIX: &str = "archive/";

/// Number of small objects.
const SMALL_OBJECTS: usize = 1000;

/// Number of measured starts of the binary.
const STARTS: usize = 10;

/// Concurrent writes.
const WRITES_AT_ONCE: usize = 8;

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = tokio::select! {
        outcome = demonstrate() => outcome,
        _ = interrupted() => {
            println!("interrupted");
            return ExitCode::from(130);
        }
    };
    match outcome {
        Ok(0) => ExitCode::SUCCESS,
        Ok(failures) => {
            println!("\n{failures} of the rows above failed.");
            ExitCode::FAILURE
        }
        Err(error) => {
            println!("\nThe demonstration failed: {}", chain(&error));
            ExitCode::FAILURE
        }
    }
}

/// Starts the emulator, runs every step on it and returns how many rows of the table failed.
async fn demonstrate() -> Result<usize> {
    // Checked first, so that a missing tool is reported at once.
    for function in ["replicator", "bucket-wiring"] {
        tools::function(function)?;
    }
    tools::sam()?;
    let keep = std::env::var_os("DEMO_KEEP").is_some_and(|value| value == "1");
    let steps = Steps(Instant::now());
    steps.begin("starting the emulator with IAM enforced");
    let deployment = Deployment::prepare(EmulatorOptions {
        log_requests: true,
        detached: keep,
    })
    .await?;
    let mut report = DemoReport::new();
    let outcome = run(&deployment, &steps, &mut report).await.map(|()| report.failures());
    println!("\n{report}");
    if !matches!(outcome, Ok(0)) {
        println!("{}", deployment.emulator.end_of_log());
    }
    if keep {
        leave_running(deployment);
    }
    outcome
}

/// Progress lines with the elapsed time.
struct Steps(Instant);

impl Steps {
    fn begin(&self, text: &str) {
        println!("[{:>5.1} s] {text}", self.0.elapsed().as_secs_f64());
    }
}

/// Deploys, writes and compares.
async fn run(deployment: &Deployment, steps: &Steps, report: &mut DemoReport) -> Result<()> {
    deployment.source.enable_versioning().await?;
    let other_team =
        format!("{SOURCE_BUCKET} ({SOURCE_REGION}) is in use: notification {NOTIFICATION_ID} of another team");
    steps.begin(&other_team);
    let foreign = deployment.foreign_consumer(FOREIGN_PREFIX).await?;
    steps.begin(&format!(
        "sam deploy infra/destination.yaml in {DESTINATION_REGION}: bucket {DESTINATION_BUCKET}"
    ));
    deployment.deploy_destination().await?;
    steps.begin(&format!(
        "sam deploy infra/source.yaml in {SOURCE_REGION}: queue, functions, wiring of the bucket"
    ));
    let parameters = [("KeyPrefix", PREFIX), ("PropagateDeletes", "true")];
    let stack = deployment.deploy_source("s3ferry-source", &parameters).await?;

    steps.begin("writing objects with odd keys, headers, tags, storage class, several parts");
    write_cases(deployment, report).await?;
    steps.begin("overwriting one and deleting another");
    overwrite_and_delete(deployment, report).await?;
    steps.begin(&format!(
        "writing {SMALL_OBJECTS} small objects, {WRITES_AT_ONCE} at once"
    ));
    write_many(deployment, report).await?;
    steps.begin("checking the other team's queue, the replication queue and the dead-letter queue");
    check_queues(deployment, &stack, &foreign, report).await?;
    steps.begin("starting the replicator's binary alone");
    measure(deployment, report).await?;
    steps.begin("done");
    Ok(())
}

/// Keeps the emulator running, and prints how to use and end it.
fn leave_running(deployment: Deployment) {
    println!(
        "The emulator is still running; its log is {}.",
        deployment.emulator.log_path().display()
    );
    for (name, value) in deployment.emulator.exports(SOURCE_REGION) {
        println!("  export {name}={value}");
    }
    let scratch = deployment.emulator.scratch().display().to_string();
    if let Some(pid) = deployment.emulator.keep() {
        println!("End it with: kill {pid}; rm -r {scratch}");
    }
}

/// Attributes that [`compare::differences`] compares.
const EVERY_ATTRIBUTE: &str = "bytes, headers, metadata, tags, class, redirect";

async fn write_cases(deployment: &Deployment, report: &mut DemoReport) -> Result<()> {
    for WorkloadCase { title, upload } in odd_keys(PREFIX).into_iter().chain(rich_objects(PREFIX)) {
        let begun = Instant::now();
        upload.write(&deployment.source).await?;
        let outcome = until_arrived(deployment, &upload.key).await;
        report.waited(title, "1 object", EVERY_ATTRIBUTE, begun, outcome)?;
    }
    Ok(())
}

async fn overwrite_and_delete(deployment: &Deployment, report: &mut DemoReport) -> Result<()> {
    let key = format!("{PREFIX}overwritten.txt");
    for body in ["first", "second", "third and last"] {
        TestUpload::new(key.clone(), body).write(&deployment.source).await?;
    }
    let begun = Instant::now();
    let outcome = until_arrived(deployment, &key).await;
    report.waited("3 writes of one key", "the last", EVERY_ATTRIBUTE, begun, outcome)?;

    let key = format!("{PREFIX}deleted.txt");
    TestUpload::new(key.clone(), "soon gone")
        .write(&deployment.source)
        .await?;
    until_arrived(deployment, &key).await?;
    let begun = Instant::now();
    deployment.source.delete(&key).await?;
    let outcome = until("the delete to arrive", PATIENCE, || async {
        let left = deployment.destination.read(&key).await?;
        Ok(PollResult::when(left.is_none(), || {
            "the object still exists".to_owned()
        }))
    })
    .await;
    report.waited("a write, then a delete", "both", "absent on both sides", begun, outcome)
}

async fn write_many(deployment: &Deployment, report: &mut DemoReport) -> Result<()> {
    let uploads = small_objects(PREFIX, SMALL_OBJECTS);
    let requests_before = deployment.emulator.requests().len();
    let begun = Instant::now();
    let written = stream::iter(&uploads).map(|upload| upload.write(&deployment.source));
    written.buffer_unordered(WRITES_AT_ONCE).try_collect::<()>().await?;
    let below = format!("{PREFIX}small/");
    let outcome = until(
        &format!("{SMALL_OBJECTS} objects at the destination"),
        PATIENCE,
        || async {
            let found = compare::listing_differences(&deployment.source, &deployment.destination, &below).await?;
            Ok(PollResult::when(found.is_empty(), || compare::summary(&found)))
        },
    )
    .await;
    let title = format!("{SMALL_OBJECTS} small objects");
    report.waited(&title, "all", "keys, sizes, ETags of both listings", begun, outcome)?;

    let requests = deployment.emulator.requests().split_off(requests_before);
    count_requests(&requests, report);
    let begun = Instant::now();
    let found = compare::differences(&deployment.source, &deployment.destination, PREFIX).await?;
    let problem = (!found.is_empty()).then(|| format!("FAILED: {}", compare::summary(&found)));
    let compared = deployment.source.list(PREFIX).await?.len();
    report.row(
        "everything so far",
        &format!("{compared} objects"),
        EVERY_ATTRIBUTE,
        begun.elapsed(),
        problem,
    );
    Ok(())
}

/// Counts the replicator's S3 requests for the small objects in the emulator's request log.
fn count_requests(requests: &[String], report: &mut DemoReport) {
    let below = |bucket: &str| format!("/{bucket}/{PREFIX}small/");
    let (at_source, at_destination) = (below(SOURCE_BUCKET), below(DESTINATION_BUCKET));
    let count = |wanted: &dyn Fn(&str) -> bool| requests.iter().filter(|request| wanted(request)).count();
    // Every PUT at the source is a write of the demonstration, not a request of the replicator.
    let reads = count(&|request| request.contains(&at_source) && !request.starts_with("PUT "));
    let writes = count(&|request| request.contains(&at_destination) && request.starts_with("PUT "));
    let others = count(&|request| request.contains(&at_destination) && !request.starts_with("PUT "));
    let per_object = |count: usize| format!("{}.{:02}", count / SMALL_OBJECTS, count * 100 / SMALL_OBJECTS % 100);
    let value = format!(
        "{}, {} of them writes",
        per_object(reads + writes + others),
        per_object(writes)
    );
    report.measure("S3 requests for a new object", value, "the emulator's log");
}

/// Measures the start time and the memory of the binary.
async fn measure(deployment: &Deployment, report: &mut DemoReport) -> Result<()> {
    let megabytes = |kib: Option<u64>| kib.map_or("unknown".to_owned(), |kib| format!("{} MB", kib * 1024 / 1_000_000));
    let peak = megabytes(deployment.emulator.peak_resident_kib_of_functions());
    report.measure(
        "peak resident memory",
        peak,
        "the largest of the deployed functions' processes",
    );
    let binary = tools::function("replicator")?;
    let environment = replicator::environment(&deployment.emulator, SOURCE_BUCKET, DESTINATION_BUCKET, &[]);
    let mut starts = Vec::new();
    for _ in 0..STARTS {
        let function = Function::start(&binary, &environment, PATIENCE).await?;
        starts.push(function.time_to_first_next().as_secs_f64() * 1000.0);
    }
    starts.sort_by(f64::total_cmp);
    if let (Some(fastest), Some(slowest)) = (starts.first(), starts.last()) {
        let value = format!("{fastest:.1} to {slowest:.1} ms");
        report.measure(
            "start of the replicator",
            value,
            "process start to first /next, 10 starts",
        );
    }
    Ok(())
}

async fn check_queues(
    deployment: &Deployment,
    stack: &SourceStack<'_>,
    foreign: &ForeignConsumer,
    report: &mut DemoReport,
) -> Result<()> {
    let key = format!("{FOREIGN_PREFIX}2026/report.csv");
    let begun = Instant::now();
    TestUpload::new(key.clone(), "other team's object")
        .write(&deployment.source)
        .await?;
    let outcome = until_notified(foreign, &[&key]).await;
    report.waited(
        "object of the other team",
        "its event, there",
        "received from its queue",
        begun,
        outcome,
    )?;

    let begun = Instant::now();
    let outcome = stack.until_idle().await;
    report.waited(
        "every event",
        "acknowledged",
        "replication queue is empty",
        begun,
        outcome,
    )?;

    let begun = Instant::now();
    let given_up = stack.dead_letters.count().await?;
    let problem = (given_up > 0).then(|| format!("FAILED: {given_up} dead letters"));
    report.row(
        "dead letters",
        &given_up.to_string(),
        "dead-letter queue is empty",
        begun.elapsed(),
        problem,
    );

    let outside = deployment.destination.list(FOREIGN_PREFIX).await?.len();
    let problem = (outside > 0).then(|| format!("FAILED: {outside} objects outside of the prefix were copied"));
    report.row(
        "outside of KeyPrefix",
        &outside.to_string(),
        "destination listing",
        Duration::ZERO,
        problem,
    );
    Ok(())
}

/// Waits until the objects of one key are equal in every attribute.
async fn until_arrived(deployment: &Deployment, key: &str) -> Result<()> {
    until(&format!("{key:?} to arrive"), PATIENCE, || async {
        let found: Vec<SideDifference> =
            compare::differences_of(&deployment.source, &deployment.destination, [key.to_owned()]).await?;
        Ok(PollResult::when(found.is_empty(), || compare::summary(&found)))
    })
    .await
}
