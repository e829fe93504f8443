//! Arguments of the command.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use s3ferry_tests::tools;

use crate::contest::ContestLimits;
use crate::scenario::ScenarioName;
use crate::tools::Peers;

/// Rounds that the report does not name.
const DEFAULT_ROUNDS: usize = 5;

/// Benchmarks of s3ferry against other tools, on the S3 simulator
#[derive(Debug, Parser)]
#[command(name = "bench", version)]
pub(crate) struct Arguments {
    /// Scenario to run; can be repeated [default: all]
    #[arg(long, value_name = "NAME", value_enum, value_delimiter = ',')]
    pub(crate) scenario: Vec<ScenarioName>,
    /// Factor of all sizes
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0, value_parser = factor)]
    pub(crate) scale: f64,
    /// Number of rounds
    #[arg(long, value_name = "NUMBER", default_value_t = DEFAULT_ROUNDS)]
    pub(crate) rounds: usize,
    /// Seconds after which a tool has no further round of a case
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub(crate) budget_seconds: u64,
    /// Run s3ferry only
    #[arg(long)]
    pub(crate) no_peers: bool,
    /// Price table [default: crates/bench/prices.json]
    #[arg(long, value_name = "FILE")]
    pub(crate) prices: Option<PathBuf>,
    /// Folder of the report [default: target/bench]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) output: Option<PathBuf>,
}

fn factor(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(factor) if factor > 0.0 && factor.is_finite() => Ok(factor),
        _ => Err("must be a number above 0".to_owned()),
    }
}

/// What all scenarios use.
pub(crate) struct BenchContext {
    /// Rounds and their time limit.
    pub(crate) limits: ContestLimits,
    /// Factor of all sizes.
    pub(crate) scale: f64,
    /// The installed peers.
    pub(crate) peers: Peers,
    /// Price table.
    pub(crate) prices: PathBuf,
}

impl BenchContext {
    /// Reads the arguments.
    pub(crate) fn new(arguments: &Arguments) -> Self {
        let prices = || tools::repository().join("crates/bench/prices.json");
        Self {
            limits: ContestLimits {
                rounds: arguments.rounds,
                budget: Duration::from_secs(arguments.budget_seconds),
            },
            scale: arguments.scale,
            peers: if arguments.no_peers {
                Peers::none()
            } else {
                Peers::installed()
            },
            prices: arguments.prices.clone().unwrap_or_else(prices),
        }
    }

    /// Returns a size of a scenario, at least `least`.
    pub(crate) fn scaled(&self, size: u32, least: u32) -> u64 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "sizes are far below the limits of the type"
        )]
        let scaled = (f64::from(size) * self.scale).round() as u64;
        scaled.max(u64::from(least))
    }
}

impl Arguments {
    /// Returns the command that measures again.
    pub(crate) fn make_command(&self) -> String {
        let mut words = vec!["make bench".to_owned()];
        let names: Vec<String> = self.scenario.iter().map(ToString::to_string).collect();
        if !names.is_empty() {
            words.push(format!("SCENARIO={}", names.join(",")));
        }
        if (self.scale - 1.0).abs() > f64::EPSILON {
            words.push(format!("SCALE={}", self.scale));
        }
        if self.rounds != DEFAULT_ROUNDS {
            words.push(format!("ROUNDS={}", self.rounds));
        }
        words.join(" ")
    }

    /// Returns the folder of the report.
    pub(crate) fn output(&self) -> PathBuf {
        let default = || tools::repository().join("target/bench");
        self.output.clone().unwrap_or_else(default)
    }
}
