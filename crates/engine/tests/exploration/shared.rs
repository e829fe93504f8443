//! Shared ownership: applications write to both buckets while invocations run, crash and repeat.

use s3ferry_core::policy::Ownership;

use crate::harness::{
    Before, Mutant, ObjectSpec, Scenario, SecondInvocation, Write, assert_all_interleavings_hold,
    assert_all_schedules_hold, assert_caught, walk_scenarios,
};

#[test]
fn random_schedules_of_shared_ownership_keep_newer_writes() {
    assert_all_schedules_hold(Ownership::Shared, 30_000);
}

#[track_caller]
fn assert_schedule_fails(mutant: Mutant, expected: &str) {
    assert_caught(Ownership::Shared, mutant, expected);
}

#[test]
fn schedule_without_markers_replaces_a_newer_external_write() {
    assert_schedule_fails(Mutant::NoMarker, "lost");
}

#[test]
fn schedule_without_comparison_of_markers_replaces_an_edited_copy() {
    assert_schedule_fails(Mutant::NoBinding, "lost");
}

#[test]
fn schedule_without_version_below_replaces_an_external_write_of_equal_bytes() {
    assert_schedule_fails(Mutant::NoHistory, "lost");
}

#[test]
fn schedule_without_versions_further_below_hides_an_external_upload() {
    assert_schedule_fails(Mutant::NoDepth, "lost");
}

#[test]
fn schedule_without_oldest_marker_replaces_a_restored_copy() {
    assert_schedule_fails(Mutant::NoOldestMarker, "lost");
}

#[test]
fn schedule_without_copied_tags_replaces_tags_of_an_application() {
    assert_schedule_fails(Mutant::NoCopiedTags, "lost: an application's Tags");
}

#[test]
fn schedule_without_delete_intents_takes_its_own_delete_for_an_external_one() {
    assert_schedule_fails(Mutant::NoIntents, "the source holds");
}

#[test]
fn schedule_without_source_versions_does_not_copy_a_restored_replica() {
    assert_schedule_fails(Mutant::NoSourceVersions, "the source holds");
}

#[test]
fn schedule_without_read_after_write_diverges() {
    assert_schedule_fails(Mutant::NoReread, "the source holds");
}

/// Returns the scenarios in which one invocation runs at a time.
fn one_at_a_time(mutant: Mutant) -> Vec<Scenario> {
    let beginnings = [
        Before::Nothing,
        Before::Older(ObjectSpec::OTHER),
        Before::Older(ObjectSpec::FIRST),
        Before::Newer(ObjectSpec::OTHER),
        Before::Newer(ObjectSpec::OTHER_METADATA),
        Before::Copy,
        Before::DeletedCopy,
    ];
    // The last three make no difference between a source with and without versions.
    let at_destination = [
        Write::Nothing,
        Write::Put(ObjectSpec::OTHER),
        Write::Put(ObjectSpec::FIRST),
        Write::Delete,
        Write::Edit,
        Write::Restore,
        Write::Upload,
    ];
    let mut scenarios = Vec::new();
    for (source_versioned, at_destination) in [(true, &at_destination[..]), (false, &at_destination[..4])] {
        for before in beginnings {
            for at_source in [Write::Nothing, Write::Put(ObjectSpec::OTHER), Write::Delete] {
                scenarios.extend(at_destination.iter().map(|at_destination| Scenario {
                    ownership: Ownership::Shared,
                    source_versioned,
                    destination_versioned: true,
                    ticks: true,
                    before,
                    at_source,
                    at_destination: *at_destination,
                    second: SecondInvocation::After,
                    crash: true,
                    large: false,
                    listed: false,
                    mutant,
                }));
            }
        }
    }
    scenarios
}

/// Returns scenarios with two concurrent invocations. These have the most interleavings, so applications do not write to
/// the destination.
fn two_at_once(mutant: Mutant) -> Vec<Scenario> {
    let mut scenarios = one_at_a_time(mutant);
    scenarios.retain(|scenario| {
        let writes_source_only =
            matches!(scenario.at_source, Write::Put(_)) && scenario.at_destination == Write::Nothing;
        writes_source_only && scenario.source_versioned && scenario.before == Before::Nothing
    });
    for scenario in &mut scenarios {
        scenario.second = SecondInvocation::Concurrent;
        scenario.crash = false;
    }
    scenarios
}

#[test]
fn interleavings_with_a_writer_on_each_side_and_a_crash_keep_newer_writes() {
    assert_all_interleavings_hold(&one_at_a_time(Mutant::Faithful));
}

#[test]
fn interleavings_of_two_invocations_and_a_writer_keep_newer_writes() {
    assert_all_interleavings_hold(&two_at_once(Mutant::Faithful));
}

#[test]
fn interleavings_without_a_safeguard_of_shared_ownership_fail() {
    let mutants = [
        Mutant::NoMarker,
        Mutant::NoBinding,
        Mutant::NoHistory,
        Mutant::NoOldestMarker,
        Mutant::NoIntents,
    ];
    for mutant in mutants {
        let (_, violation) = walk_scenarios(&one_at_a_time(mutant));
        assert!(violation.is_some(), "{mutant:?} is not caught");
    }
    let (_, violation) = walk_scenarios(&two_at_once(Mutant::NoReread));
    assert!(violation.is_some_and(|violation| violation.contains("the source holds")));
}
