//! Runs tools alternately on the same work.

use std::time::{Duration, Instant};

use crate::error::{BenchResult, RunFailure};
use crate::report::{ReportRow, RowOutcome, Sample};
use crate::statistics::Figures;

/// How often tools run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ContestLimits {
    /// Number of rounds.
    pub(crate) rounds: usize,
    /// Time after which a tool has no further round. The first round is always complete.
    pub(crate) budget: Duration,
}

/// A tool with its settings.
#[derive(Debug)]
pub(crate) struct Contender<W> {
    /// Name of the tool.
    pub(crate) tool: &'static str,
    /// Settings that differ from the defaults.
    pub(crate) settings: String,
    /// Whether the tool is part of s3ferry.
    pub(crate) is_s3ferry: bool,
    /// What to run, or why the tool is unavailable.
    pub(crate) work: std::result::Result<W, String>,
}

/// A contender and its results so far.
struct Standing {
    samples: Vec<Sample>,
    spent: Duration,
    failure: Option<RowOutcome>,
}

/// Runs each contender once per round, in an order that rotates, and returns one row for each.
///
/// `run` prepares the work, runs the tool and checks its result.
pub(crate) async fn contest<W>(
    limits: ContestLimits,
    contenders: &[Contender<W>],
    run: impl AsyncFn(&W) -> std::result::Result<Sample, RunFailure>,
) -> BenchResult<Vec<ReportRow>> {
    let mut standings: Vec<Standing> = contenders.iter().map(Standing::new).collect();
    for round in 0..limits.rounds.max(1) {
        for offset in 0..contenders.len() {
            let index = (round + offset) % contenders.len();
            let (Some(contender), Some(standing)) = (contenders.get(index), standings.get_mut(index)) else {
                continue;
            };
            let Ok(work) = &contender.work else { continue };
            if standing.failure.is_some() || (round > 0 && standing.spent > limits.budget) {
                continue;
            }
            let begun = Instant::now();
            let outcome = run(work).await;
            standing.spent += begun.elapsed();
            let name = format!("{} {}", contender.tool, contender.settings);
            eprintln!("  round {}: {name}: {:.1} s", round + 1, begun.elapsed().as_secs_f64());
            standing.add(outcome)?;
        }
    }
    let rows = contenders.iter().zip(standings);
    Ok(rows.map(|(contender, standing)| standing.row(contender)).collect())
}

impl Standing {
    fn new<W>(contender: &Contender<W>) -> Self {
        let reason = contender.work.as_ref().err();
        Self {
            samples: Vec::new(),
            spent: Duration::ZERO,
            failure: reason.map(|reason| RowOutcome::Unavailable { reason: reason.clone() }),
        }
    }

    fn add(&mut self, outcome: std::result::Result<Sample, RunFailure>) -> BenchResult<()> {
        match outcome {
            Ok(sample) => self.samples.push(sample),
            Err(RunFailure::Harness(error)) => return Err(error),
            Err(RunFailure::Failed(reason)) => self.failure = Some(RowOutcome::Failed { reason }),
            Err(RunFailure::Wrong(reason)) => self.failure = Some(RowOutcome::Wrong { reason }),
        }
        Ok(())
    }

    fn row<W>(self, contender: &Contender<W>) -> ReportRow {
        ReportRow {
            tool: contender.tool.to_owned(),
            settings: contender.settings.clone(),
            is_s3ferry: contender.is_s3ferry,
            outcome: self.failure.unwrap_or_else(|| measured(&self.samples)),
        }
    }
}

/// Summarizes the samples of all rounds by metric.
fn measured(samples: &[Sample]) -> RowOutcome {
    let metrics = samples.first().into_iter().flatten().map(|(metric, _)| *metric);
    let values = |name: &str| -> Vec<f64> {
        let all = samples.iter().flatten();
        all.filter(|(metric, _)| metric.name == name)
            .map(|(_, value)| *value)
            .collect()
    };
    RowOutcome::Measured {
        figures: metrics
            .filter_map(|metric| Some((metric.name, Figures::of(&values(metric.name))?)))
            .collect(),
        ratios: std::collections::BTreeMap::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::report::TIME;

    fn contender(tool: &'static str, work: std::result::Result<f64, String>) -> Contender<f64> {
        Contender {
            tool,
            settings: String::new(),
            is_s3ferry: false,
            work,
        }
    }

    const LIMITS: ContestLimits = ContestLimits {
        rounds: 3,
        budget: Duration::from_mins(1),
    };

    #[tokio::test]
    async fn tools_alternate_in_an_order_that_rotates() {
        let order = Mutex::new(Vec::new());
        let contenders = [contender("a", Ok(1.0)), contender("b", Ok(2.0))];
        let rows = contest(LIMITS, &contenders, async |work: &f64| {
            order.lock().unwrap().push(*work);
            Ok(vec![(TIME, *work)])
        });
        let rows = rows.await.unwrap();
        assert_eq!(*order.lock().unwrap(), [1.0, 2.0, 2.0, 1.0, 1.0, 2.0]);
        let medians: Vec<_> = rows.iter().map(|row| row.median(TIME)).collect();
        assert_eq!(medians, [Some(1.0), Some(2.0)]);
    }

    #[tokio::test]
    async fn failed_tool_runs_no_further_round_and_has_a_reason() {
        let runs = Mutex::new(0);
        let contenders = [contender("a", Ok(1.0)), contender("b", Err("not installed".to_owned()))];
        let rows = contest(LIMITS, &contenders, async |_: &f64| {
            *runs.lock().unwrap() += 1;
            Err(RunFailure::Wrong("a key is missing".to_owned()))
        });
        let rows = rows.await.unwrap();
        assert_eq!(*runs.lock().unwrap(), 1);
        let reasons: Vec<_> = rows.iter().filter_map(ReportRow::reason).collect();
        assert_eq!(
            reasons,
            [("wrong result", "a key is missing"), ("unavailable", "not installed")]
        );
    }

    #[tokio::test]
    async fn slow_tool_has_fewer_rounds() {
        let limits = ContestLimits {
            rounds: 3,
            budget: Duration::ZERO,
        };
        let contenders = [contender("a", Ok(1.0))];
        let rows = contest(limits, &contenders, async |_: &f64| Ok(vec![(TIME, 1.0)]));
        let rows = rows.await.unwrap();
        let RowOutcome::Measured { figures, .. } = &rows[0].outcome else {
            panic!("{rows:?}")
        };
        assert_eq!(figures[TIME.name].rounds, 1);
    }

    #[tokio::test]
    async fn failure_of_the_harness_ends_the_contest() {
        let contenders = [contender("a", Ok(1.0))];
        let rows = contest(LIMITS, &contenders, async |_: &f64| {
            Err(RunFailure::Harness(crate::error::BenchError::Inventory {
                detail: "x".to_owned(),
            }))
        });
        assert!(rows.await.is_err());
    }
}
