//! Shared ownership, explored step by step: applications write to both buckets while invocations run, crash and repeat.

#![expect(
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a broken expectation is a failed test, and a count is worth printing"
)]

mod seeds;
mod shared;

use seeds::ways::{assert_every_way_holds, walk};
use seeds::{assert_all_hold, assert_bites};
use shared::exhaustive::{one_at_a_time, two_at_once, walk_all};
use shared::{Mutant, explore};

#[test]
fn every_random_schedule_with_writers_on_both_sides_keeps_what_is_newer() {
    assert_all_hold(explore, Mutant::Faithful, "SHARED_EXPLORATION_SEED", 30_000);
}

#[test]
fn without_the_marker_newer_objects_of_others_are_replaced() {
    assert_bites(explore, Mutant::NoMarker, "lost");
}

#[test]
fn without_the_comparison_of_markers_edited_copies_are_replaced() {
    assert_bites(explore, Mutant::NoBinding, "lost");
}

#[test]
fn without_the_version_below_equal_bytes_of_others_are_replaced() {
    assert_bites(explore, Mutant::NoHistory, "lost");
}

#[test]
fn without_the_versions_further_below_uploads_of_others_stay_hidden() {
    assert_bites(explore, Mutant::NoDepth, "lost");
}

#[test]
fn without_the_oldest_bearer_of_a_marker_restored_copies_are_replaced() {
    assert_bites(explore, Mutant::NoFirstBearer, "lost");
}

#[test]
fn without_the_tags_that_were_copied_those_of_applications_are_replaced() {
    assert_bites(explore, Mutant::NoCopiedTags, "lost");
}

#[test]
fn without_intents_our_own_deletes_win_against_newer_objects() {
    assert_bites(explore, Mutant::NoIntents, "the source holds");
}

#[test]
fn without_the_versions_of_the_source_restored_replicas_are_not_copied() {
    assert_bites(explore, Mutant::NoSourceVersions, "the source holds");
}

#[test]
fn without_the_read_after_a_write_a_schedule_diverges() {
    assert_bites(explore, Mutant::NoReread, "the source holds");
}

#[test]
fn every_interleaving_with_a_writer_on_each_side_and_a_crash_keeps_what_is_newer() {
    assert_every_way_holds(&one_at_a_time(Mutant::Faithful), walk_all);
}

#[test]
fn every_interleaving_of_two_invocations_and_a_writer_keeps_what_is_newer() {
    assert_every_way_holds(&two_at_once(Mutant::Faithful), walk_all);
}

#[test]
fn what_shared_ownership_rests_on_is_missed_in_an_interleaving() {
    let mutants = [
        Mutant::NoMarker,
        Mutant::NoBinding,
        Mutant::NoHistory,
        Mutant::NoFirstBearer,
        Mutant::NoIntents,
    ];
    for mutant in mutants {
        let (_, violation) = walk(&one_at_a_time(mutant), walk_all);
        assert!(violation.is_some(), "{mutant:?} is not seen");
    }
    let (_, violation) = walk(&two_at_once(Mutant::NoReread), walk_all);
    assert!(violation.is_some_and(|violation| violation.contains("the source holds")));
}
