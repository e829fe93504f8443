//! The scenarios.

mod burst;
mod copies;
mod cost;
mod functions;
mod inventory;
mod large;
mod listings;

use std::fmt;

use clap::ValueEnum;

use crate::arguments::BenchContext;
use crate::contest::{Contender, contest};
use crate::error::{BenchResult, RunFailure};
use crate::measure::{self, CommandLine, Run};
use crate::report::{
    BenchMetric, CPU, CPU_PER_OBJECT, CaseReport, Goal, GoalLimit, MEMORY, REQUESTS, Sample, ScenarioReport,
    THROUGHPUT, TIME,
};
use crate::world::World;

/// Name of a scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ScenarioName {
    /// Start of the replicator.
    ColdStart,
    /// Work of the replicator per event.
    PerEvent,
    /// New small objects over a simulated WAN.
    SmallObjects,
    /// New small objects without latency.
    Saturation,
    /// The same again, without and with a few changes.
    NoOp,
    /// Comparison of listings.
    #[value(name = "diff-1m")]
    Diff1m,
    /// Verification of equal buckets.
    Verify,
    /// Comparison of S3 Inventory reports.
    Inventory,
    /// Copy of one large object.
    LargeObject,
    /// A burst of notifications with faults.
    Burst,
    /// Growth with the number of objects.
    Scale,
    /// Cost by engine.
    Cost,
}

impl fmt::Display for ScenarioName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value();
        formatter.write_str(value.as_ref().map_or("", |value| value.get_name()))
    }
}

/// Runs a scenario.
pub(crate) async fn run(name: ScenarioName, context: &BenchContext) -> BenchResult<ScenarioReport> {
    match name {
        ScenarioName::ColdStart => functions::cold_start(context).await,
        ScenarioName::PerEvent => functions::per_event(context).await,
        ScenarioName::SmallObjects => copies::small_objects(context).await,
        ScenarioName::Saturation => copies::saturation(context).await,
        ScenarioName::NoOp => copies::no_op(context).await,
        ScenarioName::Diff1m => listings::diff_1m(context).await,
        ScenarioName::Verify => listings::verify(context).await,
        ScenarioName::Inventory => inventory::inventory(context).await,
        ScenarioName::LargeObject => large::large_object(context).await,
        ScenarioName::Burst => burst::burst(context).await,
        ScenarioName::Scale => listings::scale(context).await,
        ScenarioName::Cost => cost::cost(context).await,
    }
}

/// Creates the report of a scenario.
fn scenario(
    name: &'static str,
    setting: String,
    metrics: &[BenchMetric],
    cases: Vec<CaseReport>,
    goals: &[Goal],
    notes: &[&str],
) -> ScenarioReport {
    ScenarioReport {
        name,
        setting,
        metrics: metrics.to_vec(),
        goals: goals.iter().flat_map(|goal| goal.results(&cases)).collect(),
        cases,
        notes: notes.iter().map(|note| (*note).to_owned()).collect(),
    }
}

fn goal(metric: BenchMetric, limit: GoalLimit, case: Option<&'static str>) -> Goal {
    Goal { metric, limit, case }
}

/// Metrics of programs that work on objects.
const PROGRAM_METRICS: &[BenchMetric] = &[TIME, CPU_PER_OBJECT, MEMORY, REQUESTS];

/// Runs programs alternately. `prepare` resets the buckets before each run, `check` judges its result.
async fn compete(
    context: &BenchContext,
    world: &World,
    objects: u64,
    contenders: &[Contender<CommandLine>],
    prepare: impl Fn() -> BenchResult<()>,
    check: impl Fn(&Run) -> BenchResult<Option<String>>,
) -> BenchResult<Vec<crate::report::ReportRow>> {
    contest(context.limits, contenders, async |command: &CommandLine| {
        prepare()?;
        let run = measure::run(command, world.scratch()).await?;
        let requests = world.requests();
        match check(&run)? {
            Some(difference) => Err(RunFailure::Wrong(difference)),
            None => Ok(program_sample(&run, requests, objects)),
        }
    })
    .await
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn program_sample(run: &Run, requests: u64, objects: u64) -> Sample {
    let objects = objects as f64;
    vec![
        (TIME, run.seconds),
        (CPU, run.cpu_seconds),
        (MEMORY, run.peak_mib),
        (THROUGHPUT, objects / run.seconds),
        (CPU_PER_OBJECT, run.cpu_seconds * 1e6 / objects),
        (REQUESTS, requests as f64 / objects),
    ]
}
