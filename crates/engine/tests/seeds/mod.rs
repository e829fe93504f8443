//! The search for a seed whose schedule fails, and its replay.

pub(crate) mod ways;

use std::fmt::Debug;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// A function that runs the schedule of a seed, optionally with a trace.
///
/// It returns the number of steps, or the violation and the trace before it.
pub(crate) type Explore<M> = fn(u64, M, bool) -> Result<u32, (String, Vec<String>)>;

/// The number of schedules within which a mutant must be detected.
const FOR_A_MUTANT: u64 = 200_000;

/// Reads a number from the environment.
pub(crate) fn number(variable: &str) -> Option<u64> {
    let value = std::env::var(variable).ok()?;
    Some(
        value
            .parse()
            .unwrap_or_else(|_| panic!("{variable} must be a number, is {value}")),
    )
}

/// Explores schedules on all cores for a violation that contains `expected`.
///
/// Returns the smallest seed with such a violation, and the number of steps of all schedules.
fn failing_seed<M: Copy + Sync>(schedules: u64, explore: Explore<M>, mutant: M, expected: &str) -> (Option<u64>, u64) {
    let (next, failed, steps) = (AtomicU64::new(0), AtomicU64::new(u64::MAX), AtomicU64::new(0));
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= schedules.min(failed.load(Ordering::Relaxed)) {
                        return;
                    }
                    match explore(seed, mutant, false) {
                        Ok(taken) => steps.fetch_add(u64::from(taken), Ordering::Relaxed),
                        Err((violation, _)) if violation.contains(expected) => {
                            failed.fetch_min(seed, Ordering::Relaxed)
                        }
                        Err(_) => 0,
                    };
                }
            });
        }
    });
    let failed = Some(failed.into_inner()).filter(|seed| *seed != u64::MAX);
    (failed, steps.into_inner())
}

/// Runs one schedule with its trace, and panics with the violation.
fn replay<M>(seed: u64, explore: Explore<M>, mutant: M) {
    if let Err((violation, trace)) = explore(seed, mutant, true) {
        panic!("seed {seed}:\n{}\n{violation}", trace.join("\n"));
    }
}

/// Panics with the trace of the first schedule that fails.
///
/// Environment variables may select one seed, or the number of schedules.
pub(crate) fn assert_all_hold<M: Copy + Sync>(explore: Explore<M>, faithful: M, seed_variable: &str, schedules: u64) {
    if let Some(seed) = number(seed_variable) {
        replay(seed, explore, faithful);
        return;
    }
    let schedules = number("EXPLORATION_SCHEDULES").unwrap_or(schedules);
    let (failed, steps) = failing_seed(schedules, explore, faithful, "");
    if let Some(seed) = failed {
        println!("the schedule of seed {seed} fails; {seed_variable}={seed} replays it alone");
        replay(seed, explore, faithful);
    }
    println!("{schedules} schedules with {steps} steps, all hold");
}

/// Asserts that the exploration detects a mutant, which lacks one safeguard.
#[track_caller]
pub(crate) fn assert_bites<M: Copy + Sync + Debug>(explore: Explore<M>, mutant: M, expected: &str) {
    let (failed, _) = failing_seed(FOR_A_MUTANT, explore, mutant, expected);
    let seed = failed.unwrap_or_else(|| panic!("{mutant:?} is not detected"));
    let Err((violation, trace)) = explore(seed, mutant, true) else {
        panic!("seed {seed} fails only sometimes");
    };
    let trace = trace.join("\n");
    assert!(
        violation.contains(expected),
        "{mutant:?}, seed {seed}:\n{trace}\n{violation}"
    );
    println!("{mutant:?} is detected with seed {seed}:\n{trace}\n{violation}");
}
