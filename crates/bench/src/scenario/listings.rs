//! Comparison of listings, verification, and growth with the number of objects.

use super::{PROGRAM_METRICS, compete, goal, scenario};
use crate::arguments::BenchContext;
use crate::error::BenchResult;
use crate::measure::Run;
use crate::report::{BenchMetric, CaseReport, GoalLimit, MEMORY, ScenarioReport, TIME};
use crate::tools::Toolbox;
use crate::world::{DESTINATION, LOCAL, SOURCE, WAN, World, small, tiny};

/// One key of this many is missing at the destination.
const MISSING_EVERY: u64 = 100;

/// Comparison of two listings.
pub(super) async fn diff_1m(context: &BenchContext) -> BenchResult<ScenarioReport> {
    let objects = context.scaled(200_000, 1000);
    let mut cases = vec![diff_case(context, objects, "all tools", true).await?];
    for (name, tenths) in [("memory at 1/2", 5), ("memory at 5x", 50)] {
        cases.push(diff_case(context, objects * tenths / 10, name, false).await?);
    }
    Ok(scenario(
        "diff-1m",
        format!(
            "Listings of {objects} keys, 1% of them missing at the destination, 10 ms per request. Both buckets are in one \
             region, because s5cmd cannot list two."
        ),
        PROGRAM_METRICS,
        cases,
        &[goal(TIME, GoalLimit::BestPeer(5.0), Some("all tools"))],
        &["`--unconfirmed` compares the listings only, as the peers do. SCALE=5 has the 1,000,000 keys of the goal."],
    ))
}

async fn diff_case(context: &BenchContext, objects: u64, name: &str, with_peers: bool) -> BenchResult<CaseReport> {
    eprintln!(" {name}: {objects} keys");
    let world = World::in_one_region(WAN).await?;
    world.fill(SOURCE, 0..objects, tiny)?;
    let is_missing = |number: u64| number % MISSING_EVERY == 7;
    world.fill(DESTINATION, (0..objects).filter(|number| !is_missing(*number)), tiny)?;
    let tools = Toolbox::new(&world, &context.peers)?;
    let mut contenders = vec![tools.s3ferry("diff", &["--unconfirmed"], &[1])];
    if with_peers {
        contenders.extend([
            tools.s3ferry("diff", &[], &[1]),
            tools.rclone(
                "check",
                &["--size-only", "--fast-list", "--one-way", "--missing-on-dst", "-"],
                &[1],
            ),
            tools.rclone(
                "check",
                &["--size-only", "--checkers", "64", "--one-way", "--missing-on-dst", "-"],
                &[1],
            ),
            tools.s5cmd(&["--dry-run"], "sync", &["--size-only"]),
            tools.aws(Some(64), "sync", &["--dryrun", "--size-only"])?,
        ]);
    }
    let expected = (0..objects).filter(|number| is_missing(*number)).count();
    let prepare = || {
        world.server().forget_requests();
        Ok(())
    };
    let rows = compete(context, &world, objects, &contenders, prepare, |run| {
        Ok(miscounted(run, expected))
    })
    .await?;
    Ok(CaseReport::new(name, PROGRAM_METRICS, rows))
}

/// Returns a description if the output does not name as many keys as differ.
fn miscounted(run: &Run, expected: usize) -> Option<String> {
    let named = run.output.lines().filter(|line| line.contains(".jpg")).count();
    (named != expected).then(|| format!("{named} keys reported, {expected} differ"))
}

/// Verification of equal buckets.
pub(super) async fn verify(context: &BenchContext) -> BenchResult<ScenarioReport> {
    let objects = context.scaled(20_000, 100);
    let world = World::start(WAN).await?;
    world.fill(SOURCE, 0..objects, small)?;
    world.fill_destination(objects, |_| false)?;
    let tools = Toolbox::new(&world, &context.peers)?;
    let prepare = || {
        world.server().forget_requests();
        Ok(())
    };
    let mut cases = Vec::new();
    let contenders = [
        tools.s3ferry("verify", &["--depth", "listing"], &[0]),
        tools.rclone("check", &["--fast-list"], &[0]),
        tools.rclone("check", &["--checkers", "64"], &[0]),
    ];
    let rows = compete(context, &world, objects, &contenders, prepare, |_| Ok(None)).await?;
    cases.push(CaseReport::new("sizes and ETags", PROGRAM_METRICS, rows));
    let contenders = [
        tools.s3ferry("verify", &["--concurrency", "64"], &[0]),
        tools.rclone("check", &["--download", "--checkers", "64"], &[0]),
    ];
    let rows = compete(context, &world, objects, &contenders, prepare, |_| Ok(None)).await?;
    cases.push(CaseReport::new("each object", PROGRAM_METRICS, rows));
    Ok(scenario(
        "verify",
        format!("{objects} equal objects, 10 ms per request."),
        PROGRAM_METRICS,
        cases,
        &[goal(TIME, GoalLimit::BestPeer(2.0), None)],
        &[
            "`s3ferry verify` compares checksums, metadata, tags and Object Lock of each object. No peer does; `rclone check \
           --download` reads all bytes instead. SCALE=5 has the 100,000 objects of the goal.",
        ],
    ))
}

/// Growth of time and memory with the number of objects.
pub(super) async fn scale(context: &BenchContext) -> BenchResult<ScenarioReport> {
    const METRICS: &[BenchMetric] = PROGRAM_METRICS;
    let mut cases = Vec::new();
    for size in [1000, 10_000, 100_000] {
        let objects = context.scaled(size, 10);
        eprintln!(" {objects} objects");
        let world = World::start(LOCAL).await?;
        world.fill(SOURCE, 0..objects, small)?;
        let tools = Toolbox::new(&world, &context.peers)?;
        let contenders = [tools.s3ferry("sync", &[], &[0])];
        let prepare = || world.empty_destination();
        let rows = compete(context, &world, objects, &contenders, prepare, |_| world.difference()).await?;
        cases.push(CaseReport::new(format!("{objects} objects"), METRICS, rows));
    }
    Ok(scenario(
        "scale",
        "New objects of 2 to 7 KB without latency, s3ferry only.".to_owned(),
        METRICS,
        cases,
        &[goal(MEMORY, GoalLimit::AtMost(100.0), None)],
        &["SCALE=10 has the 1,000,000 objects of the goal."],
    ))
}
