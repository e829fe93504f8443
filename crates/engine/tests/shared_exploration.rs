//! Shared ownership, explored step by step: applications write to both buckets while invocations run, crash and repeat.

#![expect(
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a broken expectation is a failed test, and a count is worth printing"
)]

mod seeds;
mod shared;

use seeds::{assert_all_hold, assert_bites};
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
fn without_looking_back_a_crash_hides_what_is_newer() {
    assert_bites(explore, Mutant::NoLookingBack, "lost");
}

#[test]
fn without_intents_our_own_deletes_win_against_newer_objects() {
    assert_bites(explore, Mutant::NoIntents, "the source holds");
}

#[test]
fn without_the_read_after_a_write_a_schedule_diverges() {
    assert_bites(explore, Mutant::NoReread, "the source holds");
}
