//! Concurrent invocations, explored step by step: every call of a port waits for a scheduler that picks who goes next.

#![expect(
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a broken expectation is a failed test, and a count is worth printing"
)]

mod explore;
mod seeds;

use explore::Mutant;
use explore::exhaustive::{FIRST, Object, Scenario, Write, walk_all};
use explore::run::explore;
use seeds::ways::{assert_every_way_holds, walk};
use seeds::{assert_all_hold, assert_bites};

#[test]
fn every_random_schedule_converges() {
    assert_all_hold(explore, Mutant::Faithful, "EXPLORATION_SEED", 100_000);
}

#[test]
fn without_the_read_after_a_write_a_schedule_diverges() {
    assert_bites(explore, Mutant::NoReread, "the source holds");
}

#[test]
fn without_the_destination_condition_a_schedule_overwrites_an_unread_object() {
    assert_bites(explore, Mutant::NoCondition, "unconditional");
}

#[test]
fn without_the_source_pin_a_schedule_copies_an_unread_version() {
    assert_bites(explore, Mutant::NoPin, "not pinned");
}

#[test]
fn without_continuations_a_schedule_diverges() {
    assert_bites(explore, Mutant::NoContinuation, "the source holds");
}

#[test]
fn without_aborts_a_schedule_leaves_an_upload_behind() {
    assert_bites(explore, Mutant::NoAbort, "behind");
}

#[test]
fn without_a_search_for_uploads_a_schedule_leaves_one_behind() {
    assert_bites(explore, Mutant::NoSearch, "behind");
}

#[test]
fn without_the_condition_on_journal_entries_a_schedule_leaves_an_upload_behind() {
    assert_bites(explore, Mutant::NoEntryCondition, "behind");
}

#[test]
fn without_looking_back_at_what_comes_again_a_crash_loses_attributes() {
    assert_bites(explore, Mutant::NoLookBack, "the source holds");
}

#[test]
fn without_evidence_of_absence_a_schedule_loses_an_object() {
    assert_bites(explore, Mutant::NoEvidence, "never equal");
}

#[test]
fn without_what_was_read_before_an_interleaving_loses_tags() {
    let mut scenarios = scenarios(&[Write::Tag("live")], false, Mutant::Forgetful);
    scenarios.retain(|scenario| scenario.ticks && scenario.destination.is_none());
    for scenario in &mut scenarios {
        scenario.large = true;
    }
    let (_, violation) = walk(&scenarios, walk_all);
    assert!(violation.unwrap().contains("the source holds"));
}

const OTHER: Object = ("two", "team a", "test");
const OTHER_METADATA: Object = ("one", "team b", "test");
const OTHER_TAGS: Object = ("one", "team a", "live");

/// Returns every scenario of one key with one of these writes, with and without versions on either side.
fn scenarios(writes: &[Write], crash: bool, mutant: Mutant) -> Vec<Scenario> {
    let mut scenarios = Vec::new();
    for write in writes {
        for destination in [None, Some(OTHER), Some(OTHER_METADATA), Some(OTHER_TAGS), Some(FIRST)] {
            for flags in 0..8 {
                scenarios.push(Scenario {
                    source_versioned: flags & 1 != 0,
                    destination_versioned: flags & 2 != 0,
                    ticks: flags & 4 != 0,
                    destination,
                    write: *write,
                    duplicate: false,
                    large: false,
                    crash,
                    mutant,
                });
            }
        }
    }
    scenarios
}

/// Returns scenarios in which both invocations run from the start: those have most ways, so only the plainest are taken.
fn duplicates(writes: &[Write]) -> Vec<Scenario> {
    let is_plain = |scenario: &Scenario| {
        let returns = scenario.destination.is_none_or(|object| object == OTHER);
        scenario.ticks && scenario.destination_versioned && scenario.source_versioned && returns
    };
    let duplicate = |scenario| Scenario {
        duplicate: true,
        ..scenario
    };
    let scenarios = scenarios(writes, false, Mutant::Faithful);
    scenarios.into_iter().filter(is_plain).map(duplicate).collect()
}

const WRITES: [Write; 4] = [
    Write::Put(OTHER),
    Write::Put(OTHER_METADATA),
    Write::Put(OTHER_TAGS),
    Write::Tag("live"),
];

#[test]
fn every_interleaving_of_two_invocations_and_a_writer_converges() {
    assert_every_way_holds(&scenarios(&WRITES, false, Mutant::Faithful), walk_all);
    assert_every_way_holds(&duplicates(&[Write::Put(OTHER)]), walk_all);
}

#[test]
fn every_interleaving_of_two_invocations_and_a_deleter_converges() {
    assert_every_way_holds(&scenarios(&[Write::Delete], false, Mutant::Faithful), walk_all);
}

#[test]
fn every_interleaving_with_a_crash_anywhere_converges() {
    let writes = [Write::Put(OTHER), Write::Put(OTHER_TAGS), Write::Delete];
    let mut scenarios = scenarios(&writes, true, Mutant::Faithful);
    scenarios.retain(|scenario| scenario.ticks && scenario.destination_versioned);
    assert_every_way_holds(&scenarios, walk_all);
}

#[test]
fn every_crash_of_a_copy_in_parts_with_a_writer_converges_and_leaves_nothing() {
    let writes = [
        Write::Put(OTHER),
        Write::Put(OTHER_TAGS),
        Write::Tag("live"),
        Write::Delete,
    ];
    let mut scenarios = scenarios(&writes, true, Mutant::Faithful);
    scenarios.retain(|scenario| {
        let alike = scenario.source_versioned == scenario.destination_versioned;
        scenario.ticks && alike && scenario.destination.is_none()
    });
    for scenario in &mut scenarios {
        scenario.large = true;
    }
    assert_every_way_holds(&scenarios, walk_all);
}

#[test]
fn without_the_read_after_a_write_an_interleaving_diverges() {
    for write in [Write::Put(OTHER), Write::Delete] {
        let (_, violation) = walk(&scenarios(&[write], false, Mutant::NoReread), walk_all);
        let violation = violation.unwrap_or_else(|| panic!("{write:?}: not seen"));
        assert!(violation.contains("the source holds"), "{violation}");
    }
}
