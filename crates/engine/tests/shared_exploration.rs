//! Shared ownership, explored step by step: applications write to both buckets while invocations run, crash and repeat.

#![expect(
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a broken expectation is a failed test, and a count is worth printing"
)]

mod shared;

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use shared::{Mutant, explore};

fn number(variable: &str) -> Option<u64> {
    let value = std::env::var(variable).ok()?;
    Some(
        value
            .parse()
            .unwrap_or_else(|_| panic!("{variable} must be a number, is {value}")),
    )
}

/// Explores schedules on all cores; returns the smallest failing seed of those found.
fn failing_seed(schedules: u64, mutant: Mutant) -> (Option<u64>, u64) {
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
                        Err(_) => failed.fetch_min(seed, Ordering::Relaxed),
                    };
                }
            });
        }
    });
    let failed = Some(failed.into_inner()).filter(|seed| *seed != u64::MAX);
    (failed, steps.into_inner())
}

/// Runs one schedule with its trace; panics with what went wrong.
fn replay(seed: u64, mutant: Mutant) {
    if let Err((violation, trace)) = explore(seed, mutant, true) {
        panic!("seed {seed}:\n{}\n{violation}", trace.join("\n"));
    }
}

#[test]
fn every_random_schedule_with_writers_on_both_sides_keeps_what_is_newer() {
    if let Some(seed) = number("SHARED_EXPLORATION_SEED") {
        replay(seed, Mutant::Faithful);
        return;
    }
    let schedules = number("EXPLORATION_SCHEDULES").unwrap_or(30_000);
    let (failed, steps) = failing_seed(schedules, Mutant::Faithful);
    if let Some(seed) = failed {
        println!("the schedule of seed {seed} fails; SHARED_EXPLORATION_SEED={seed} replays it alone");
        replay(seed, Mutant::Faithful);
    }
    println!("{schedules} schedules with {steps} steps, all keep what is newer");
}

/// Shows that the exploration would see it if something were left out.
#[track_caller]
fn assert_bites(mutant: Mutant, expected: &str) {
    let (failed, _) = failing_seed(200_000, mutant);
    let seed = failed.unwrap_or_else(|| panic!("{mutant:?} is not seen"));
    let Err((violation, trace)) = explore(seed, mutant, true) else {
        panic!("seed {seed} fails only sometimes");
    };
    let trace = trace.join("\n");
    assert!(
        violation.contains(expected),
        "{mutant:?}, seed {seed}:\n{trace}\n{violation}"
    );
    println!("{mutant:?} is seen in seed {seed}:\n{trace}\n{violation}");
}

#[test]
fn without_the_marker_newer_objects_of_others_are_replaced() {
    assert_bites(Mutant::NoMarker, "lost");
}

#[test]
fn without_the_comparison_of_markers_edited_copies_are_replaced() {
    assert_bites(Mutant::NoBinding, "lost");
}

#[test]
fn without_the_version_below_equal_bytes_of_others_are_replaced() {
    assert_bites(Mutant::NoHistory, "lost");
}

#[test]
fn without_looking_back_a_crash_hides_what_is_newer() {
    assert_bites(Mutant::NoLookingBack, "lost");
}

#[test]
fn without_intents_our_own_deletes_win_against_newer_objects() {
    assert_bites(Mutant::NoIntents, "the source holds");
}

#[test]
fn without_the_read_after_a_write_a_schedule_diverges() {
    assert_bites(Mutant::NoReread, "the source holds");
}
