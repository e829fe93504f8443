//! Report of the demonstration.

use std::fmt;
use std::time::{Duration, Instant};

use s3ferry_tests::Result;
use s3ferry_tests::error::chain;
use s3ferry_tests::table::Table;

/// Table of results with the number of failed rows, and table of measurements.
pub(crate) struct DemoReport {
    table: Table,
    measured: Table,
    failures: usize,
}

impl DemoReport {
    pub(crate) fn new() -> Self {
        let table = Table::new(&["written", "arrived", "proof", "took", "verdict"]);
        Self {
            table,
            measured: Table::new(&["measured", "value", "where"]),
            failures: 0,
        }
    }

    /// Returns the number of failed rows.
    pub(crate) fn failures(&self) -> usize {
        self.failures
    }

    /// Adds a measured value.
    pub(crate) fn measure(&mut self, what: &str, value: String, source: &str) {
        self.measured.row([what.to_owned(), value, source.to_owned()]);
    }

    /// Adds a row. A row with a `problem` failed.
    pub(crate) fn row(&mut self, written: &str, arrived: &str, proof: &str, took: Duration, problem: Option<String>) {
        self.failures += usize::from(problem.is_some());
        let verdict = problem.unwrap_or_else(|| "ok".to_owned());
        let took = format!("{:.2} s", took.as_secs_f64());
        self.table
            .row([written.to_owned(), arrived.to_owned(), proof.to_owned(), took, verdict]);
    }

    /// Adds a row for the outcome of a wait, and returns the outcome: a timeout ends the demonstration, because later
    /// waits would time out too.
    pub(crate) fn waited(
        &mut self,
        written: &str,
        arrived: &str,
        proof: &str,
        begun: Instant,
        outcome: Result<()>,
    ) -> Result<()> {
        let problem = outcome.as_ref().err().map(|error| format!("FAILED: {}", chain(error)));
        self.row(written, arrived, proof, begun.elapsed(), problem);
        outcome
    }
}

impl fmt::Display for DemoReport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}\n{}", self.table, self.measured)
    }
}
