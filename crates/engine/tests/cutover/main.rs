//! Cutovers on buckets in memory: every crash before and after every write, and every disturbance at every request.
//!
//! Applications write, uploads complete, events arrive twice, policies take effect late, and other tools edit the policies,
//! at every call of a port. Each schedule ends with the same command run again until it is done, and must never have
//! two writable buckets, lose an acknowledged write, or certify buckets that differ.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a broken expectation is a failed test, and a count is worth printing"
)]

mod ports;
mod schedules;
mod world;

use schedules::{Scenario, explore, find_violation};
use world::{Blind, Budget, Disturbance};

const WRITES: &[Disturbance] = &[Disturbance::AppWrite, Disturbance::UploadCompletes];
/// The disturbances that break a proof: with them, pairs are explored too.
const HARMFUL: &[Disturbance] = &[Disturbance::AppWrite, Disturbance::StatementsRemoved];
const ALL: &[Disturbance] = &[
    Disturbance::AppWrite,
    Disturbance::UploadCompletes,
    Disturbance::EventAgain,
    Disturbance::StatementsRemoved,
    Disturbance::DestinationStripped,
    Disturbance::StatementAdded,
    Disturbance::PolicyDelayed,
];

fn crash_and(disturbances: u32) -> Budget {
    Budget {
        crashes: 1,
        disturbances,
    }
}

fn calm(disturbances: u32) -> Budget {
    Budget {
        crashes: 0,
        disturbances,
    }
}

#[test]
fn cutover_survives_a_crash_at_every_write_and_a_disturbance_at_every_request() {
    explore(Scenario::Run, crash_and(1), HARMFUL, Blind::Nothing);
}

#[test]
fn cutover_survives_every_disturbance_at_every_request() {
    explore(Scenario::Run, calm(1), ALL, Blind::Nothing);
}

#[test]
fn cutover_survives_two_crashes() {
    explore(
        Scenario::Run,
        Budget {
            crashes: 2,
            disturbances: 0,
        },
        &[],
        Blind::Nothing,
    );
}

#[test]
fn cutover_survives_every_pair_of_disturbances() {
    explore(Scenario::Run, calm(2), HARMFUL, Blind::Nothing);
}

#[test]
fn abort_removes_every_effect_after_a_crash_anywhere() {
    explore(Scenario::Abort, crash_and(1), HARMFUL, Blind::Nothing);
    explore(
        Scenario::Abort,
        Budget {
            crashes: 2,
            disturbances: 0,
        },
        &[],
        Blind::Nothing,
    );
}

#[test]
fn rollback_loses_no_write_that_applications_made_at_the_destination() {
    explore(
        Scenario::Rollback,
        crash_and(1),
        &[Disturbance::AppWrite, Disturbance::DestinationStripped],
        Blind::Nothing,
    );
    explore(Scenario::Rollback, calm(1), ALL, Blind::Nothing);
}

#[test]
fn cutover_after_a_rollback_is_a_new_one() {
    explore(Scenario::RunAgain, crash_and(0), WRITES, Blind::Nothing);
}

#[test]
fn without_probes_two_buckets_are_writable() {
    let found = find_violation(Scenario::Run, calm(1), &[Disturbance::PolicyDelayed], Blind::Probes);
    assert!(found.contains("both buckets are writable"), "{found}");
}

#[test]
fn without_fingerprints_a_write_is_lost() {
    let disturbances = [Disturbance::StatementsRemoved, Disturbance::AppWrite];
    let found = find_violation(Scenario::Run, calm(2), &disturbances, Blind::Fingerprints);
    assert!(found.contains("lost") || found.contains("certificate"), "{found}");
}

#[test]
fn without_a_denied_destination_a_rollback_loses_a_write() {
    let found = find_violation(
        Scenario::Rollback,
        calm(1),
        &[Disturbance::AppWrite],
        Blind::RollbackDeny,
    );
    assert!(found.contains("lost"), "{found}");
}

#[test]
fn without_a_seal_a_late_event_replaces_a_write_of_an_application() {
    let disturbances = [Disturbance::AppWrite, Disturbance::EventAgain];
    let found = find_violation(Scenario::Run, calm(2), &disturbances, Blind::Seal);
    assert!(found.contains("lost"), "{found}");
}

#[test]
fn second_operator_learns_who_runs_the_cutover_and_changes_nothing() {
    let world = schedules::world_held_by("bob");
    let refused = schedules::run_beside(&world, false).unwrap_err();
    assert!(refused.contains("bob runs this cutover on laptop"), "{refused}");
    let written = world.lock().unwrap().policies.clone().map(|policy| policy.written);
    assert_eq!(written[0], written[1], "both as before");
    assert!(
        schedules::run_beside(&world, true).is_ok(),
        "the process of bob is gone"
    );
}
