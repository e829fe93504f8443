//! Comparison of two S3 Inventory reports.

mod generate;

use s3ferry_tests::{HarnessError, tools as paths};
use tempfile::TempDir;

use super::{compete, goal, scenario};
use crate::arguments::BenchContext;
use crate::error::BenchResult;
use crate::measure::Run;
use crate::report::{BenchMetric, CPU, CaseReport, GoalLimit, MEMORY, ScenarioReport, THROUGHPUT, TIME};
use crate::tools::Toolbox;
use crate::world::{LOCAL, World};

/// Format of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ReportFormat {
    Csv,
    Parquet,
}

impl ReportFormat {
    fn name(self) -> &'static str {
        match self {
            Self::Csv => "CSV",
            Self::Parquet => "Parquet",
        }
    }

    fn extension(self) -> &'static str {
        match self {
            Self::Csv => "csv.gz",
            Self::Parquet => "parquet",
        }
    }
}

/// Comparison of two reports in 1 GiB of memory.
pub(super) async fn inventory(context: &BenchContext) -> BenchResult<ScenarioReport> {
    const METRICS: &[BenchMetric] = &[TIME, CPU, MEMORY, THROUGHPUT];
    let rows = context.scaled(2_000_000, 3000);
    let world = World::start(LOCAL).await?;
    let mut cases = Vec::new();
    for format in [ReportFormat::Csv, ReportFormat::Parquet] {
        eprintln!(" {}: {rows} rows", format.name());
        cases.push(CaseReport::new(
            format.name(),
            METRICS,
            compare(context, &world, format, rows).await?,
        ));
    }
    Ok(scenario(
        "inventory",
        format!("Reports of {rows} unsorted rows per side, two keys of a thousand differ, 1 GiB of memory."),
        METRICS,
        cases,
        // At most 1.2 times DuckDB's time.
        &[
            goal(TIME, GoalLimit::BestPeer(1.0 / 1.2), None),
            goal(MEMORY, GoalLimit::AtMost(1024.0), None),
        ],
        &["s3ferry reports sorted keys, DuckDB unsorted ones. SCALE=5 has the 10,000,000 rows of the goal."],
    ))
}

async fn compare(
    context: &BenchContext,
    world: &World,
    format: ReportFormat,
    rows: u64,
) -> BenchResult<Vec<crate::report::ReportRow>> {
    let target = paths::repository().join("target");
    std::fs::create_dir_all(&target).map_err(HarnessError::io("creating target/"))?;
    let folder =
        TempDir::with_prefix_in("bench-inventory-", target).map_err(HarnessError::io("making a temporary folder"))?;
    generate::generate(folder.path(), format, rows)?;
    let tools = Toolbox::new(world, &context.peers)?;
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (source, destination, spill) = (path("source"), path("destination"), path("."));
    let (source_manifest, destination_manifest) = (path("source/manifest.json"), path("destination/manifest.json"));
    let mut s3ferry = tools.s3ferry(
        "diff",
        &[
            "--unconfirmed",
            "--source-inventory",
            &source_manifest,
            "--destination-inventory",
            &destination_manifest,
            "--spill-dir",
            &spill,
        ],
        &[1],
    );
    "diff --unconfirmed --source-inventory --destination-inventory".clone_into(&mut s3ferry.settings);
    let script = paths::repository().join("crates/bench/peers/inventory.py");
    let output = path("differences.csv");
    let extension = if format == ReportFormat::Csv { "csv" } else { "parquet" };
    let duckdb = tools.python(
        "DuckDB",
        "FULL JOIN, memory_limit=1GiB",
        &script,
        &[&source, &destination, extension, &spill, &output],
    );
    let expected = generate::differences(rows);
    let check = |run: &Run| Ok(miscounted(run, expected));
    compete(context, world, rows, &[s3ferry, duckdb], || Ok(()), check).await
}

/// Returns a description if not as many differences were reported as there are.
fn miscounted(run: &Run, expected: u64) -> Option<String> {
    // DuckDB's script prints the number, s3ferry one JSON value for each difference.
    let named: u64 = match run.output.trim().parse() {
        Ok(number) => number,
        Err(_) => run
            .output
            .lines()
            .map(|line| u64::from(line.contains(".json.gz")))
            .sum(),
    };
    (named != expected).then(|| format!("{named} keys reported, {expected} differ"))
}
