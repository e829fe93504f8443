//! Cost of a million small objects by engine.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use s3ferry_tests::HarnessError;
use serde::Deserialize;

use super::{goal, scenario};
use crate::arguments::BenchContext;
use crate::contest::{Contender, contest};
use crate::error::{BenchResult, RunFailure};
use crate::lambda::{FunctionWork, batch, deliver, replicators, start};
use crate::measure::{self, CommandLine};
use crate::report::{BenchMetric, CaseReport, GB_SECONDS, GoalLimit, PRICE, REQUESTS, Sample, ScenarioReport};
use crate::tools::Toolbox;
use crate::world::{SOURCE, WAN, World, small};

/// Messages of one invocation, the default of an event source mapping.
const BATCH_SIZE: u64 = 10;

/// Memory of the functions in the template, in GB as billed.
const FUNCTION_GB: f64 = 0.25;

/// Prices in USD. The file has further fields for readers.
#[derive(Debug, Deserialize)]
struct Prices {
    s3_write_or_list_per_1000: f64,
    s3_read_per_1000: f64,
    lambda_gb_second: f64,
    lambda_per_million_invocations: f64,
    sqs_per_million_requests: f64,
}

/// What one run used.
#[derive(Debug, Default, Clone, PartialEq)]
struct Usage {
    objects: f64,
    requests: BTreeMap<&'static str, u64>,
    invocations: f64,
    invoked_seconds: f64,
}

impl Prices {
    fn read(path: &Path) -> BenchResult<Self> {
        let text = std::fs::read_to_string(path).map_err(HarnessError::io(format!("reading {}", path.display())))?;
        Ok(serde_json::from_str(&text).map_err(HarnessError::json("the price table"))?)
    }

    /// Returns the price of this use. Deletes are free, and so are requests that a function does not send.
    fn total(&self, usage: &Usage) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "figures for people")]
        let requests = usage
            .requests
            .iter()
            .map(|(operation, count)| (*operation, *count as f64));
        let s3: f64 = requests
            .map(|(operation, count)| count * self.per_request(operation))
            .sum();
        let lambda = usage.invoked_seconds * FUNCTION_GB * self.lambda_gb_second
            + usage.invocations * self.lambda_per_million_invocations / 1e6;
        // S3 sends each notification, and each batch is received and deleted.
        let queue_requests = if usage.invocations > 0.0 {
            usage.objects + 2.0 * usage.invocations
        } else {
            0.0
        };
        s3 + lambda + queue_requests * self.sqs_per_million_requests / 1e6
    }

    fn per_request(&self, operation: &str) -> f64 {
        let is_write = ["Put", "Copy", "Post", "List", "Create", "Complete", "Upload"];
        match operation {
            free if free.starts_with("Delete") || free.starts_with("Abort") => 0.0,
            write if is_write.iter().any(|prefix| write.starts_with(prefix)) => self.s3_write_or_list_per_1000 / 1000.0,
            _ => self.s3_read_per_1000 / 1000.0,
        }
    }
}

/// Cost by engine.
pub(super) async fn cost(context: &BenchContext) -> BenchResult<ScenarioReport> {
    const METRICS: &[BenchMetric] = &[PRICE, GB_SECONDS, REQUESTS];
    let prices = Prices::read(&context.prices)?;
    let objects = context.scaled(500, 20);
    let world = World::start(WAN).await?;
    world.fill(SOURCE, 0..objects, small)?;
    let functions = replicators(&world, &context.peers)?;
    let mut rows = contest(context.limits, &functions, async |work: &FunctionWork| {
        world.empty_destination()?;
        let usage = replicate(&world, work, objects).await?;
        finish(&world, &prices, &usage)
    })
    .await?;
    let tools = Toolbox::new(&world, &context.peers)?;
    let programs: [Contender<CommandLine>; 2] = [tools.s3ferry("sync", &[], &[0]), tools.s5cmd(&[], "cp", &[])];
    let programs = contest(context.limits, &programs, async |command: &CommandLine| {
        world.empty_destination()?;
        measure::run(command, world.scratch()).await?;
        #[expect(clippy::cast_precision_loss, reason = "figures for people")]
        let usage = Usage {
            objects: objects as f64,
            requests: world.server().requests(),
            ..Usage::default()
        };
        finish(&world, &prices, &usage)
    })
    .await?;
    rows.extend(programs);
    Ok(scenario(
        "cost",
        format!(
            "{objects} new small objects, 10 ms per request and 80 ms more per copy, functions of {FUNCTION_GB} GB, batches \
             of {BATCH_SIZE}."
        ),
        METRICS,
        vec![CaseReport::new("new objects", METRICS, rows)],
        &[goal(PRICE, GoalLimit::Peer("boto3 handler", 1.0), None)],
        &[
            "S3 and Lambda requests, GB-seconds and SQS requests at the prices of the table. Data transfer and storage are the \
           same for every engine, and the machine of a CLI is not included.",
        ],
    ))
}

async fn replicate(world: &World, work: &FunctionWork, objects: u64) -> std::result::Result<Usage, RunFailure> {
    let mut function = start(work).await?;
    let mut usage = Usage::default();
    let begun = Instant::now();
    for first in (0..objects).step_by(usize::try_from(BATCH_SIZE).unwrap_or(1)) {
        let failed = deliver(&mut function, batch(first..objects.min(first + BATCH_SIZE))).await?;
        if let Some(number) = failed.first() {
            return Err(RunFailure::Wrong(format!("message {number} failed")));
        }
        usage.invocations += 1.0;
    }
    usage.invoked_seconds = begun.elapsed().as_secs_f64();
    usage.requests = world.server().requests();
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let objects = objects as f64;
    usage.objects = objects;
    Ok(usage)
}

fn finish(world: &World, prices: &Prices, usage: &Usage) -> std::result::Result<Sample, RunFailure> {
    if let Some(difference) = world.difference()? {
        return Err(RunFailure::Wrong(difference));
    }
    let per_million = 1e6 / usage.objects;
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let requests = usage.requests.values().sum::<u64>() as f64;
    Ok(vec![
        (PRICE, prices.total(usage) * per_million),
        (GB_SECONDS, usage.invoked_seconds * FUNCTION_GB * per_million),
        (REQUESTS, requests / usage.objects),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRICES: Prices = Prices {
        s3_write_or_list_per_1000: 5.0,
        s3_read_per_1000: 1.0,
        lambda_gb_second: 4.0,
        lambda_per_million_invocations: 1e6,
        sqs_per_million_requests: 1e6,
    };

    #[test]
    fn requests_have_the_price_of_their_class() {
        let usage = Usage {
            objects: 1000.0,
            requests: BTreeMap::from([("CopyObject", 1000), ("HeadObject", 2000), ("DeleteObject", 500)]),
            ..Usage::default()
        };
        assert!((PRICES.total(&usage) - 7.0).abs() < 1e-9);
    }

    #[test]
    fn functions_add_duration_invocations_and_queue_requests() {
        let usage = Usage {
            objects: 10.0,
            requests: BTreeMap::new(),
            invocations: 1.0,
            invoked_seconds: 2.0,
        };
        // 2 s of a quarter GB, 1 invocation, 10 notifications, 1 receive and 1 delete.
        assert!((PRICES.total(&usage) - (2.0 + 1.0 + 12.0)).abs() < 1e-9);
    }

    #[test]
    fn price_table_of_the_repository_is_complete() {
        let path = s3ferry_tests::tools::repository().join("crates/bench/prices.json");
        assert!(Prices::read(&path).is_ok());
    }
}
