//! The search for a failing schedule or interleaving on all cores, and its replay.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;

use s3ferry_core::policy::Ownership;

use super::mutants::Mutant;
use super::run::run_schedule;
use super::scenario::Scenario;
use super::simulation::Violation;
use super::walk::walk_every_interleaving;

/// How many schedules are searched for one that catches a mutant.
const SCHEDULES_PER_MUTANT: u64 = 200_000;

/// Reads a number from the environment.
fn number(variable: &str) -> Option<u64> {
    #[expect(clippy::disallowed_methods, reason = "a run is replayed by an environment variable")]
    let value = std::env::var(variable).ok()?;
    let number = value.parse();
    Some(number.unwrap_or_else(|_| panic!("{variable} must be a number, is {value}")))
}

fn on_all_cores(work: impl Fn() + Sync) {
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(&work);
        }
    });
}

/// Runs schedules until one violates what is `expected`; returns the smallest seed found, and the steps of all.
fn failing_seed(schedules: u64, ownership: Ownership, mutant: Mutant, expected: &str) -> (Option<u64>, u64) {
    let (next, failed, steps) = (AtomicU64::new(0), AtomicU64::new(u64::MAX), AtomicU64::new(0));
    on_all_cores(|| {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= schedules.min(failed.load(Ordering::Relaxed)) {
                return;
            }
            match run_schedule(seed, ownership, mutant, false) {
                Ok(taken) => steps.fetch_add(u64::from(taken), Ordering::Relaxed),
                Err((violation, _)) if violation.contains(expected) => failed.fetch_min(seed, Ordering::Relaxed),
                Err(_) => 0,
            };
        }
    });
    let failed = Some(failed.into_inner()).filter(|seed| *seed != u64::MAX);
    (failed, steps.into_inner())
}

/// Runs one schedule with its trace; panics with the violation.
fn replay(seed: u64, ownership: Ownership) {
    if let Err((violation, trace)) = run_schedule(seed, ownership, Mutant::Faithful, true) {
        panic!("seed {seed}:\n{}\n{violation}", trace.join("\n"));
    }
}

/// Panics with the trace of the first schedule that fails. `EXPLORATION_SEED` replays one seed instead;
/// `EXPLORATION_SCHEDULES` sets how many run.
pub(crate) fn assert_all_schedules_hold(ownership: Ownership, schedules: u64) {
    if let Some(seed) = number("EXPLORATION_SEED") {
        replay(seed, ownership);
        return;
    }
    let schedules = number("EXPLORATION_SCHEDULES").unwrap_or(schedules);
    let (failed, steps) = failing_seed(schedules, ownership, Mutant::Faithful, "");
    if let Some(seed) = failed {
        println!("the schedule of seed {seed} fails; EXPLORATION_SEED={seed} replays it alone");
        replay(seed, ownership);
    }
    println!("{schedules} schedules with {steps} steps, all hold");
}

/// Asserts that a random schedule fails as `expected` without the safeguard that the mutant lacks.
#[track_caller]
pub(crate) fn assert_caught(ownership: Ownership, mutant: Mutant, expected: &str) {
    let (failed, _) = failing_seed(SCHEDULES_PER_MUTANT, ownership, mutant, expected);
    let seed = failed.unwrap_or_else(|| panic!("{mutant:?} is not caught"));
    let Err((violation, trace)) = run_schedule(seed, ownership, mutant, true) else {
        panic!("the schedule of seed {seed} is not reproducible");
    };
    let report = format!("{mutant:?}, seed {seed}:\n{}\n{violation}", trace.join("\n"));
    assert!(violation.contains(expected), "{report}");
    println!("{report}");
}

/// Walks every interleaving of scenarios; returns how many there are, and a violation if any was found.
pub(crate) fn walk_scenarios(scenarios: &[Scenario]) -> (u64, Option<Violation>) {
    let (next, count, violation) = (AtomicUsize::new(0), AtomicU64::new(0), Mutex::new(None));
    on_all_cores(|| {
        while let Some(scenario) = scenarios.get(next.fetch_add(1, Ordering::Relaxed)) {
            if violation.lock().unwrap().is_some() {
                return;
            }
            match walk_every_interleaving(*scenario) {
                Ok(walked) => drop(count.fetch_add(walked, Ordering::Relaxed)),
                Err(found) => drop(violation.lock().unwrap().get_or_insert(found)),
            }
        }
    });
    (count.into_inner(), violation.into_inner().unwrap())
}

/// Panics with the trace of an interleaving that fails.
#[track_caller]
pub(crate) fn assert_all_interleavings_hold(scenarios: &[Scenario]) {
    let (count, violation) = walk_scenarios(scenarios);
    assert_eq!(violation, None, "{}", violation.as_deref().unwrap_or_default());
    println!("{count} interleavings in {} scenarios, all hold", scenarios.len());
}
