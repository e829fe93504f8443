//! Exhaustive exploration: every interleaving of scenarios, on all cores.

use std::fmt::Debug;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;

use s3ferry_testkit::schedule::SchedulePaths;

/// Runs every interleaving of a scenario. Returns their number, or the trace of the first that fails.
///
/// `walk` runs one interleaving, and returns the violation and the steps before it.
pub(crate) fn every_way<S: Debug>(
    scenario: S,
    walk: impl Fn(bool, &mut SchedulePaths) -> Result<(), (String, Vec<String>)>,
) -> Result<u64, String> {
    let (mut paths, mut count) = (SchedulePaths::default(), 0);
    loop {
        if walk(false, &mut paths).is_err() {
            // The same interleaving again, with its trace.
            paths.again();
            let (violation, trace) = walk(true, &mut paths).unwrap_err();
            return Err(format!("{scenario:?}, way {count}:\n{}\n{violation}", trace.join("\n")));
        }
        count += 1;
        if !paths.advance() {
            return Ok(count);
        }
    }
}

/// A function that runs every interleaving of a scenario. It returns their number, or the first violation.
pub(crate) type WalkAll<S> = fn(S) -> Result<u64, String>;

/// Runs every interleaving of scenarios. Returns their number, and a violation if one was found.
pub(crate) fn walk<S: Copy + Sync>(scenarios: &[S], walk_all: WalkAll<S>) -> (u64, Option<String>) {
    let (next, ways, violation) = (AtomicUsize::new(0), AtomicU64::new(0), Mutex::new(None));
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(scenario) = scenarios.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if violation.lock().unwrap().is_some() {
                        return;
                    }
                    match walk_all(*scenario) {
                        Ok(count) => drop(ways.fetch_add(count, Ordering::Relaxed)),
                        Err(found) => drop(violation.lock().unwrap().get_or_insert(found)),
                    }
                }
            });
        }
    });
    (ways.into_inner(), violation.into_inner().unwrap())
}

/// Panics with the trace of an interleaving that fails.
#[track_caller]
pub(crate) fn assert_every_way_holds<S: Copy + Sync>(scenarios: &[S], walk_all: WalkAll<S>) {
    let (ways, violation) = walk(scenarios, walk_all);
    assert_eq!(violation, None, "{}", violation.as_deref().unwrap_or_default());
    println!("{ways} interleavings in {} scenarios, all hold", scenarios.len());
}
