//! `make bench`: runs s3ferry and other tools alternately on the same work, checks that each result is complete and
//! equal, and writes the ratios as a report.
#![expect(clippy::print_stdout, reason = "the table is the purpose of the program")]

mod arguments;
mod contest;
mod error;
mod lambda;
mod measure;
mod report;
mod scenario;
mod statistics;
mod tools;
mod world;

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, ValueEnum};
use s3ferry_tests::HarnessError;
use s3ferry_tests::error::chain;

use crate::arguments::{Arguments, BenchContext};
use crate::error::BenchResult;
use crate::report::{BenchReport, html, markdown};
use crate::scenario::ScenarioName;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match measure_all(&arguments).await {
        Ok(failures) if failures.is_empty() => ExitCode::SUCCESS,
        Ok(failures) => {
            eprintln!("bench: results of s3ferry are not valid:");
            for failure in failures {
                eprintln!("  {failure}");
            }
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("bench: {}", chain(&error));
            ExitCode::FAILURE
        }
    }
}

/// Runs the scenarios, writes the report after each one, and returns the invalid results of s3ferry.
async fn measure_all(arguments: &Arguments) -> BenchResult<Vec<String>> {
    let context = BenchContext::new(arguments);
    let begun = Instant::now();
    let mut report = BenchReport {
        version: env!("CARGO_PKG_VERSION"),
        command: arguments.make_command(),
        cpus: std::thread::available_parallelism().map_or(1, usize::from),
        rounds: context.limits.rounds,
        scale: context.scale,
        elapsed_seconds: 0.0,
        scenarios: Vec::new(),
    };
    let mut names = arguments.scenario.clone();
    if names.is_empty() {
        names = ScenarioName::value_variants().to_vec();
    }
    for name in names {
        eprintln!("{name}");
        let scenario = scenario::run(name, &context).await?;
        println!("{}", markdown::section(&scenario));
        report.scenarios.push(scenario);
        report.elapsed_seconds = begun.elapsed().as_secs_f64();
        write(&report, &arguments.output())?;
    }
    println!("Report: {}", arguments.output().join("report.html").display());
    Ok(report.failures_of_s3ferry())
}

fn write(report: &BenchReport, folder: &Path) -> BenchResult<()> {
    let failed = || HarnessError::io(format!("writing the report to {}", folder.display()));
    std::fs::create_dir_all(folder).map_err(failed())?;
    let json = serde_json::to_string_pretty(report).map_err(HarnessError::json("the report"))?;
    let files = [
        ("report.json", json),
        ("report.md", markdown::render(report)),
        ("report.html", html::render(report)),
    ];
    for (name, text) in files {
        std::fs::write(folder.join(name), text).map_err(failed())?;
    }
    Ok(())
}
