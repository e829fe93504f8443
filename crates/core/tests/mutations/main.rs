//! Mutation tests of the parsers: every sample event is mutated thousands of times. No parser may panic, and every
//! result must have the checked properties.
//!
//! Counterpart of the cargo-fuzz targets in `fuzz/` for the stable compiler. `MUTATION_SEED` replays a run, and
//! `MUTATION_CASES` sets the number of mutants of each kind and file.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test of this repository's own files, which prints its findings"
)]

mod checks;
mod mutate;
mod random;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use random::Random;
use serde_json::Value;

/// Check of one payload.
type Check = fn(&Value) -> Result<(), String>;

fn number(variable: &str, default: u64) -> u64 {
    let given = std::env::var(variable).ok();
    given.map_or(default, |value| value.parse().unwrap())
}

/// Returns the sample events: name and text.
fn samples() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    assert!(paths.len() > 20, "{paths:?}");
    let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
    paths
        .iter()
        .map(|path| (name(path), std::fs::read_to_string(path).unwrap()))
        .collect()
}

/// Runs a check and prints the input that failed it.
#[track_caller]
fn check_holds(check: Check, payload: &Value, origin: &str) {
    let result = catch_unwind(AssertUnwindSafe(|| check(payload)));
    if let Err(problem) = result.unwrap_or_else(|_| Err("the parser panicked".to_owned())) {
        eprintln!("input: {payload}");
        panic!("{origin}: {problem}");
    }
}

/// Returns a text with changed bytes if it is still JSON; other texts never reach s3ferry's parsers.
fn changed_bytes(text: &str, other: &str, random: &mut Random) -> Option<Value> {
    let mut bytes = text.as_bytes().to_vec();
    for _ in 0..=random.below(3) {
        mutate::bytes(&mut bytes, other.as_bytes(), random);
    }
    serde_json::from_slice(&bytes).ok()
}

fn run(check: Check) {
    let seed = number("MUTATION_SEED", 0x5333_F377);
    let cases = number("MUTATION_CASES", 300);
    let samples = samples();
    for (index, (name, text)) in samples.iter().enumerate() {
        let original: Value = serde_json::from_str(text).unwrap();
        check_holds(check, &original, name);
        let mut random = Random::of(seed, index);
        for case in 0..cases {
            let origin = format!("{name}, MUTATION_SEED={seed}, case {case}");
            let mut mutant = original.clone();
            for _ in 0..=random.below(4) {
                mutate::json(&mut mutant, &mut random);
            }
            check_holds(check, &mutant, &origin);
            let other = &samples[random.below(samples.len())].1;
            if let Some(mutant) = changed_bytes(text, other, &mut random) {
                check_holds(check, &mutant, &origin);
            }
        }
    }
}

#[test]
fn mutated_event_never_panics_and_every_record_has_one_result() {
    run(checks::events);
}

#[test]
fn mutated_batch_never_panics_and_every_task_has_one_result() {
    run(checks::batch);
}

#[test]
fn mutated_queue_body_fails_alone() {
    run(|payload| checks::queue_body(&payload.to_string()));
}

#[test]
fn body_that_is_not_json_fails_alone() {
    let seed = number("MUTATION_SEED", 0x5333_F377);
    let mut random = Random::of(seed, 0);
    for (name, text) in samples() {
        for _ in 0..20 {
            let mut bytes = text.clone().into_bytes();
            mutate::bytes(&mut bytes, text.as_bytes(), &mut random);
            let body = String::from_utf8_lossy(&bytes);
            checks::queue_body(&body).unwrap_or_else(|problem| panic!("{name}, {seed}: {problem}\n{body}"));
        }
    }
}
