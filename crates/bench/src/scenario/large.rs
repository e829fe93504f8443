//! One large object, copied in parts of a given throughput.

use std::time::Duration;

use s3ferry_testkit::sim::latency::SimLatency;
use s3ferry_testkit::sim::model::simulator::WriteTarget;
use s3ferry_testkit::sim::model::synthetic::SyntheticObject;

use super::{goal, scenario};
use crate::arguments::BenchContext;
use crate::contest::contest;
use crate::error::{BenchResult, RunFailure};
use crate::measure::{self, CommandLine};
use crate::report::{BenchMetric, CPU, CaseReport, GoalLimit, MEMORY, OVER_IDEAL, PART_COPIES, ScenarioReport, TIME};
use crate::tools::Toolbox;
use crate::world::{DESTINATION, SOURCE, STATE, World, simulator};

const KEY: &str = "disk-image.raw";
const PART_BYTES: u64 = 128 << 20;
const PARTS_IN_FLIGHT: u32 = 16;
const MEGABYTES_PER_SECOND: f64 = 500.0;

/// Copy of one large object.
pub(super) async fn large_object(context: &BenchContext) -> BenchResult<ScenarioReport> {
    const METRICS: &[BenchMetric] = &[TIME, OVER_IDEAL, PART_COPIES, CPU, MEMORY];
    let size_bytes = context.scaled(100_000, 6000) * 1_000_000;
    let world = prepared(size_bytes).await?;
    let tools = Toolbox::new(&world, &context.peers)?;
    let (in_flight, part) = (PARTS_IN_FLIGHT.to_string(), "128Mi");
    let (from, to) = (format!("s3://{SOURCE}/{KEY}"), format!("s3://{DESTINATION}/{KEY}"));
    let rclone = ["--s3-upload-concurrency", in_flight.as_str(), "--s3-copy-cutoff", part];
    let contenders = [
        tools.s3ferry("sync", &["--state-bucket", STATE], &[0]),
        tools.rclone("copy", &rclone, &[0]),
        tools.aws_between(Some(PARTS_IN_FLIGHT), "cp", &["--only-show-errors"], (&from, &to))?,
        tools.s5cmd(&[], "cp", &[]),
    ];
    let rows = contest(context.limits, &contenders, async |command: &CommandLine| {
        world.empty_destination()?;
        let run = measure::run(command, world.scratch()).await?;
        if let Some(difference) = world.difference()? {
            return Err(RunFailure::Wrong(difference));
        }
        let copies = world
            .server()
            .requests()
            .get("UploadPartCopy")
            .copied()
            .unwrap_or_default();
        let parts = parts_of_the_copy(&world, size_bytes);
        Ok(vec![
            (TIME, run.seconds),
            (OVER_IDEAL, run.seconds / ideal_seconds(size_bytes)),
            (PART_COPIES, ratio(copies, parts)),
            (CPU, run.cpu_seconds),
            (MEMORY, run.peak_mib),
        ])
    })
    .await?;
    let gigabytes = size_bytes / 1_000_000_000;
    Ok(scenario(
        "large-object",
        format!(
            "One object of {gigabytes} GB in parts of 128 MiB, {PARTS_IN_FLIGHT} parts in flight, {MEGABYTES_PER_SECOND} \
             MB/s per part, 10 ms per request. The ideal is {:.1} s.",
            ideal_seconds(size_bytes)
        ),
        METRICS,
        vec![CaseReport::new("one object", METRICS, rows)],
        &[
            goal(OVER_IDEAL, GoalLimit::AtMost(1.1), None),
            goal(PART_COPIES, GoalLimit::AtMost(1.0), None),
        ],
        &[
            "SCALE=10 has the 1 TB of the goal. The copy of 50 TB across invocations is a test: \
           `tests/tests/on_simulator/binaries.rs::fifty_terabytes_are_copied_over_many_invocations_with_few_repeated_parts`.",
        ],
    ))
}

/// Starts the simulator with the object.
async fn prepared(size_bytes: u64) -> BenchResult<World> {
    let world = World::start(SimLatency {
        request: Duration::from_millis(10),
        cross_region: Duration::ZERO,
        part_megabytes_per_second: Some(MEGABYTES_PER_SECOND),
    })
    .await?;
    let object = SyntheticObject {
        size_bytes,
        seed: 1,
        part_size_bytes: Some(PART_BYTES),
        ..SyntheticObject::default()
    };
    let target = WriteTarget {
        bucket: SOURCE,
        key: KEY,
    };
    world
        .server()
        .model()
        .put_synthetic(target, &object)
        .map_err(simulator("the large object"))?;
    Ok(world)
}

#[expect(clippy::cast_precision_loss, reason = "a duration needs no exact number of bytes")]
fn ideal_seconds(size_bytes: u64) -> f64 {
    size_bytes as f64 / (f64::from(PARTS_IN_FLIGHT) * MEGABYTES_PER_SECOND * 1e6)
}

/// Returns the number of parts of the copy, which its ETag names.
fn parts_of_the_copy(world: &World, size_bytes: u64) -> u64 {
    let model = world.server().model();
    let copy = model
        .bucket(DESTINATION)
        .ok()
        .and_then(|bucket| bucket.current_object(KEY));
    let named = copy.and_then(|copy| copy.etag.trim_matches('"').rsplit_once('-')?.1.parse().ok());
    named.unwrap_or_else(|| size_bytes.div_ceil(PART_BYTES))
}

#[expect(clippy::cast_precision_loss, reason = "there are at most 10,000 parts")]
fn ratio(copies: u64, parts: u64) -> f64 {
    copies as f64 / parts.max(1) as f64
}
