//! The replicator: cold start and work per event.

use std::time::Instant;

use flate2::Compression;
use flate2::write::DeflateEncoder;
use s3ferry_tests::HarnessError;
use s3ferry_tests::runtime_api::Function;

use super::{goal, scenario};
use crate::arguments::BenchContext;
use crate::contest::contest;
use crate::error::{BenchResult, RunFailure};
use crate::lambda::{FunctionWork, batch, deliver, replicators, start};
use crate::measure::process_cpu_seconds;
use crate::report::{
    BenchMetric, CPU_PER_EVENT, CaseReport, GoalLimit, MEMORY, PACKAGE, REQUESTS_PER_EVENT, START, Sample,
    ScenarioReport, TIME_PER_EVENT,
};
use crate::statistics::percentile;
use crate::world::{LOCAL, SOURCE, World, small};

/// Starts per round, whose median counts.
const STARTS: usize = 3;

/// Start of the process until its first request for an event.
pub(super) async fn cold_start(context: &BenchContext) -> BenchResult<ScenarioReport> {
    const METRICS: &[BenchMetric] = &[START, MEMORY, PACKAGE];
    let world = World::start(LOCAL).await?;
    let contenders = replicators(&world, &context.peers)?;
    let rows = contest(context.limits, &contenders, async |work: &FunctionWork| {
        let mut times = Vec::new();
        let mut memory = 0.0;
        for _ in 0..STARTS {
            let function = start(work).await?;
            times.push(function.time_to_first_next().as_secs_f64() * 1000.0);
            #[expect(clippy::cast_precision_loss, reason = "a size for people")]
            let resident_mib = function.resident_kib().unwrap_or_default() as f64 / 1024.0;
            memory = resident_mib;
        }
        times.sort_by(f64::total_cmp);
        let median = percentile(&times, 50).unwrap_or_default();
        let mut sample = vec![(START, median), (MEMORY, memory)];
        if work.binary.starts_with(world.scratch()) {
            // boto3 is part of the managed runtime, so the peer's package is only its handler.
            return Ok(sample);
        }
        sample.push((PACKAGE, package_megabytes(work)?));
        Ok(sample)
    })
    .await?;
    Ok(scenario(
        "cold-start",
        "Time from the start of the process to its first request for an event, and resident memory then.".to_owned(),
        METRICS,
        vec![CaseReport::new("replicator", METRICS, rows)],
        &[
            goal(START, GoalLimit::BestPeer(20.0), None),
            goal(MEMORY, GoalLimit::BestPeer(4.0), None),
            goal(PACKAGE, GoalLimit::AtMost(4.5), None),
        ],
        &[
            "The package is the compressed executable. The peer's package is only its handler, because boto3 is part of \
           Lambda's Python runtime. Lambda's own time before the process starts is not included.",
        ],
    ))
}

/// Returns the size of the executable as compressed in a package.
fn package_megabytes(work: &FunctionWork) -> BenchResult<f64> {
    let failed = || HarnessError::io(format!("compressing {}", work.binary.display()));
    let mut file = std::fs::File::open(&work.binary).map_err(failed())?;
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    std::io::copy(&mut file, &mut encoder).map_err(failed())?;
    let compressed = encoder.finish().map_err(failed())?;
    #[expect(clippy::cast_precision_loss, reason = "a size for people")]
    let bytes = compressed.len() as f64;
    Ok(bytes / 1e6)
}

/// Work per event of a warm function.
pub(super) async fn per_event(context: &BenchContext) -> BenchResult<ScenarioReport> {
    const METRICS: &[BenchMetric] = &[CPU_PER_EVENT, REQUESTS_PER_EVENT, TIME_PER_EVENT, MEMORY];
    let mut cases = Vec::new();
    let (single, batched) = (context.scaled(500, 5), context.scaled(3000, 200));
    for (name, events, batch_size) in [("1 record", single, 1), ("batch of 100 records", batched, 100)] {
        eprintln!(" {name}");
        let world = World::start(LOCAL).await?;
        world.fill(SOURCE, 0..events, small)?;
        let contenders = replicators(&world, &context.peers)?;
        let rows = contest(context.limits, &contenders, async |work: &FunctionWork| {
            let mut function = start(work).await?;
            // Warm: connections are open and settings are cached.
            deliver(&mut function, batch([0])).await?;
            world.empty_destination()?;
            work_off(&world, &mut function, events, batch_size).await
        })
        .await?;
        cases.push(CaseReport::new(name, METRICS, rows));
    }
    Ok(scenario(
        "per-event",
        format!(
            "{single} invocations with 1 record and {batched} records in batches of 100, of new objects, warm, no latency."
        ),
        METRICS,
        cases,
        &[
            goal(CPU_PER_EVENT, GoalLimit::BestPeer(4.0), None),
            goal(REQUESTS_PER_EVENT, GoalLimit::AtMost(4.0), None),
        ],
        &["The boto3 handler sends one CopyObject per record and proves nothing."],
    ))
}

async fn work_off(
    world: &World,
    function: &mut Function,
    events: u64,
    batch_size: usize,
) -> std::result::Result<Sample, RunFailure> {
    let cpu_before = process_cpu_seconds(function.process_id()).unwrap_or_default();
    let begun = Instant::now();
    for first in (0..events).step_by(batch_size) {
        let numbers = first..events.min(first + batch_size as u64);
        let failed = deliver(function, batch(numbers)).await?;
        if let Some(number) = failed.first() {
            return Err(RunFailure::Wrong(format!(
                "message {number} failed: {}",
                function.log()?
            )));
        }
    }
    let seconds = begun.elapsed().as_secs_f64();
    let cpu_seconds = process_cpu_seconds(function.process_id()).unwrap_or_default() - cpu_before;
    let requests = world.requests();
    if let Some(difference) = world.difference()? {
        return Err(RunFailure::Wrong(difference));
    }
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let (events, requests) = (events as f64, requests as f64);
    #[expect(clippy::cast_precision_loss, reason = "a size for people")]
    let resident_mib = function.resident_kib().unwrap_or_default() as f64 / 1024.0;
    Ok(vec![
        (CPU_PER_EVENT, cpu_seconds * 1e6 / events),
        (REQUESTS_PER_EVENT, requests / events),
        (TIME_PER_EVENT, seconds * 1e3 / events),
        (MEMORY, resident_mib),
    ])
}
