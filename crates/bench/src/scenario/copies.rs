//! Copies of many small objects: over a WAN, without latency, and again.

use super::{PROGRAM_METRICS, compete, goal, scenario};
use crate::arguments::BenchContext;
use crate::contest::Contender;
use crate::error::BenchResult;
use crate::measure::CommandLine;
use crate::report::{
    BenchMetric, CPU_PER_OBJECT, CaseReport, GoalLimit, MEMORY, REQUESTS, ScenarioReport, THROUGHPUT, TIME,
};
use crate::tools::Toolbox;
use crate::world::{LOCAL, SOURCE, WAN, World, small};

/// Copies in flight that are compared.
const IN_FLIGHT: [u32; 3] = [64, 256, 1000];

/// Flags of rclone for new objects: no listing by folder, no read before and after a copy.
const RCLONE_TUNED: [&str; 5] = [
    "--fast-list",
    "--no-check-dest",
    "--no-traverse",
    "--s3-no-head",
    "--s3-no-check-bucket",
];

/// New objects over a WAN, at equal copies in flight and with defaults.
pub(super) async fn small_objects(context: &BenchContext) -> BenchResult<ScenarioReport> {
    let objects = context.scaled(5000, 20);
    let defaults = context.scaled(1000, 20);
    let world = World::start(WAN).await?;
    let tools = Toolbox::new(&world, &context.peers)?;
    let mut cases = Vec::new();
    world.fill(SOURCE, 0..defaults, small)?;
    let contenders = [
        tools.s3ferry("sync", &[], &[0]),
        tools.s5cmd(&[], "cp", &[]),
        tools.rclone("copy", &[], &[0]),
        tools.aws(None, "sync", &["--only-show-errors"])?,
    ];
    cases.push(new_objects(context, &world, defaults, "defaults", &contenders).await?);
    world.fill(SOURCE, defaults..objects, small)?;
    for in_flight in IN_FLIGHT {
        let contenders = at_equal_concurrency(&tools, in_flight)?;
        let name = format!("{in_flight} in flight");
        cases.push(new_objects(context, &world, objects, &name, &contenders).await?);
    }
    let mut goals = vec![goal(TIME, GoalLimit::BestPeer(1.0), None)];
    goals.push(goal(CPU_PER_OBJECT, GoalLimit::Peer("s5cmd", 3.0), None));
    Ok(scenario(
        "small-objects",
        format!(
            "{objects} new objects of 2 to 7 KB ({defaults} with defaults), 10 ms per request and 80 ms more per copy \
             between regions."
        ),
        PROGRAM_METRICS,
        cases,
        &goals,
        &[
            "s3ferry proves each copy by a read afterwards. s5cmd and `rclone --s3-no-head` do not. SCALE=4 has the 20,000 \
           objects of the goal.",
        ],
    ))
}

/// Every tool with the same number of copies in flight, tuned for new objects.
fn at_equal_concurrency(tools: &Toolbox<'_>, in_flight: u32) -> BenchResult<Vec<Contender<CommandLine>>> {
    let number = in_flight.to_string();
    let rclone = ["--transfers", &number, "--checkers", &number];
    let tuned: Vec<&str> = rclone.iter().copied().chain(RCLONE_TUNED).collect();
    let mut contenders = vec![
        tools.s3ferry("sync", &["--concurrency", &number], &[0]),
        tools.s5cmd(&["--numworkers", &number], "cp", &[]),
        tools.rclone("copy", &tuned, &[0]),
        tools.rclone("copy", &rclone, &[0]),
    ];
    contenders.push(tools.aws(Some(in_flight), "sync", &["--only-show-errors"])?);
    Ok(contenders)
}

async fn new_objects(
    context: &BenchContext,
    world: &World,
    objects: u64,
    name: &str,
    contenders: &[Contender<CommandLine>],
) -> BenchResult<CaseReport> {
    eprintln!(" {name}");
    let prepare = || world.empty_destination();
    let rows = compete(context, world, objects, contenders, prepare, |_| world.difference()).await?;
    Ok(CaseReport::new(name, PROGRAM_METRICS, rows))
}

/// New objects without latency: what the CPUs allow.
pub(super) async fn saturation(context: &BenchContext) -> BenchResult<ScenarioReport> {
    const METRICS: &[BenchMetric] = &[THROUGHPUT, CPU_PER_OBJECT, MEMORY, REQUESTS];
    let objects = context.scaled(20_000, 20);
    let world = World::start(LOCAL).await?;
    world.fill(SOURCE, 0..objects, small)?;
    let tools = Toolbox::new(&world, &context.peers)?;
    let contenders = at_equal_concurrency(&tools, 64)?;
    let prepare = || world.empty_destination();
    let rows = compete(context, &world, objects, &contenders, prepare, |_| world.difference()).await?;
    let cases = vec![CaseReport::new("64 in flight", METRICS, rows)];
    Ok(scenario(
        "saturation",
        format!("{objects} new objects of 2 to 7 KB without latency."),
        METRICS,
        cases,
        &[goal(THROUGHPUT, GoalLimit::BestPeer(1.5), None)],
        &[
            "The simulator uses the same CPUs, so that throughput is below what S3 would allow, and ratios of throughput are \
           nearer to 1 than those of CPU.",
        ],
    ))
}

/// The same again: nothing has changed, or one object in a hundred.
pub(super) async fn no_op(context: &BenchContext) -> BenchResult<ScenarioReport> {
    let objects = context.scaled(20_000, 200);
    let world = World::start(WAN).await?;
    world.fill(SOURCE, 0..objects, small)?;
    let tools = Toolbox::new(&world, &context.peers)?;
    let contenders = [
        tools.s3ferry("sync", &[], &[0]),
        tools.rclone("copy", &["--size-only", "--fast-list", "--transfers", "64"], &[0]),
        tools.rclone("copy", &["--checkers", "64", "--transfers", "64"], &[0]),
        tools.s5cmd(&[], "cp", &[]),
        tools.s5cmd(&[], "cp", &["--no-clobber", "--if-size-differ", "--if-source-newer"]),
        tools.s5cmd(&[], "sync", &[]),
        tools.aws(Some(64), "sync", &["--only-show-errors"])?,
    ];
    let mut cases = Vec::new();
    for (name, every) in [("nothing changed", None), ("1% missing", Some(100))] {
        eprintln!(" {name}");
        let missing = |number: u64| every.is_some_and(|every| number % every == 7);
        let prepare = || world.fill_destination(objects, missing);
        let rows = compete(context, &world, objects, &contenders, prepare, |_| world.difference()).await?;
        cases.push(CaseReport::new(name, PROGRAM_METRICS, rows));
    }
    Ok(scenario(
        "no-op",
        format!("{objects} objects that are at the destination, 10 ms per request and 80 ms more per copy."),
        PROGRAM_METRICS,
        cases,
        &[goal(TIME, GoalLimit::BestPeer(3.0), None)],
        &[
            "s5cmd compares no buckets in different regions: `sync` and `cp --no-clobber` send requests for one bucket to the \
           region of the other. `cp` copies all objects again.",
        ],
    ))
}
