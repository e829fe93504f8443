//! Exclusive ownership: only s3ferry writes to the destination, which becomes equal to the source.

use s3ferry_core::policy::Ownership;

use crate::harness::{
    Before, Mutant, ObjectSpec, Scenario, SecondInvocation, Write, assert_all_interleavings_hold,
    assert_all_schedules_hold, assert_caught, walk_scenarios,
};

#[test]
fn random_schedules_of_exclusive_ownership_converge() {
    assert_all_schedules_hold(Ownership::Exclusive, 100_000);
}

#[track_caller]
fn assert_schedule_fails(mutant: Mutant, expected: &str) {
    assert_caught(Ownership::Exclusive, mutant, expected);
}

#[test]
fn schedule_without_read_after_write_diverges() {
    assert_schedule_fails(Mutant::NoReread, "the source holds");
}

#[test]
fn schedule_without_destination_condition_replaces_an_unread_object() {
    assert_schedule_fails(Mutant::NoCondition, "unconditional");
}

#[test]
fn schedule_without_source_pin_copies_an_unread_version() {
    assert_schedule_fails(Mutant::NoPin, "not pinned");
}

#[test]
fn schedule_without_continuations_diverges() {
    assert_schedule_fails(Mutant::NoContinuation, "the source holds");
}

#[test]
fn schedule_without_aborts_leaves_an_upload() {
    assert_schedule_fails(Mutant::NoAbort, "behind");
}

#[test]
fn schedule_without_search_for_orphaned_uploads_leaves_one() {
    assert_schedule_fails(Mutant::NoSearch, "behind");
}

#[test]
fn schedule_without_condition_on_journal_entries_leaves_an_upload() {
    assert_schedule_fails(Mutant::NoEntryCondition, "behind");
}

#[test]
fn schedule_without_check_of_redelivered_messages_loses_attributes() {
    assert_schedule_fails(Mutant::NoRedeliveryCheck, "the source holds");
}

#[test]
fn schedule_without_evidence_of_absence_loses_an_object() {
    assert_schedule_fails(Mutant::NoEvidence, "never equal");
}

/// Returns every scenario with one of these writes, with and without versions in either bucket.
fn scenarios(writes: &[Write], crash: bool, mutant: Mutant) -> Vec<Scenario> {
    let objects = [
        ObjectSpec::OTHER,
        ObjectSpec::OTHER_METADATA,
        ObjectSpec::OTHER_TAGS,
        ObjectSpec::FIRST,
    ];
    let mut scenarios = Vec::new();
    for at_source in writes {
        for before in [Before::Nothing].into_iter().chain(objects.map(Before::SameSecond)) {
            for flags in 0..8 {
                scenarios.push(Scenario {
                    ownership: Ownership::Exclusive,
                    source_versioned: flags & 1 != 0,
                    destination_versioned: flags & 2 != 0,
                    ticks: flags & 4 != 0,
                    before,
                    at_source: *at_source,
                    at_destination: Write::Nothing,
                    second: SecondInvocation::Concurrent,
                    crash,
                    large: false,
                    listed: false,
                    mutant,
                });
            }
        }
    }
    scenarios
}

/// Makes scenarios multipart. The second invocation is after the first, or there are too many interleavings.
fn multipart(mut scenarios: Vec<Scenario>) -> Vec<Scenario> {
    scenarios.retain(|scenario| scenario.ticks && scenario.before == Before::Nothing);
    for scenario in &mut scenarios {
        scenario.large = true;
        scenario.second = SecondInvocation::After;
    }
    scenarios
}

#[test]
fn interleavings_of_two_invocations_and_a_writer_converge() {
    let writes = [
        Write::Put(ObjectSpec::OTHER),
        Write::Put(ObjectSpec::OTHER_METADATA),
        Write::Put(ObjectSpec::OTHER_TAGS),
        Write::Tag("live"),
    ];
    assert_all_interleavings_hold(&scenarios(&writes, false, Mutant::Faithful));
}

#[test]
fn interleavings_of_duplicate_invocations_and_a_writer_converge() {
    let mut duplicates = scenarios(&[Write::Put(ObjectSpec::OTHER)], false, Mutant::Faithful);
    // These have the most interleavings, so only the plainest run.
    duplicates.retain(|scenario| {
        let is_plain = [Before::Nothing, Before::SameSecond(ObjectSpec::OTHER)].contains(&scenario.before);
        is_plain && scenario.ticks && scenario.source_versioned && scenario.destination_versioned
    });
    for scenario in &mut duplicates {
        scenario.second = SecondInvocation::AfterDuplicate;
    }
    assert_all_interleavings_hold(&duplicates);
}

#[test]
fn interleavings_of_two_invocations_and_a_deleter_converge() {
    assert_all_interleavings_hold(&scenarios(&[Write::Delete], false, Mutant::Faithful));
}

#[test]
fn interleavings_with_a_crash_anywhere_converge() {
    let writes = [
        Write::Put(ObjectSpec::OTHER),
        Write::Put(ObjectSpec::OTHER_TAGS),
        Write::Delete,
    ];
    let mut scenarios = scenarios(&writes, true, Mutant::Faithful);
    scenarios.retain(|scenario| scenario.ticks && scenario.destination_versioned);
    assert_all_interleavings_hold(&scenarios);
}

#[test]
fn interleavings_of_a_multipart_copy_with_a_crash_converge_and_leave_no_upload() {
    let writes = [
        Write::Put(ObjectSpec::OTHER),
        Write::Put(ObjectSpec::OTHER_TAGS),
        Write::Tag("live"),
        Write::Delete,
    ];
    let mut scenarios = multipart(scenarios(&writes, true, Mutant::Faithful));
    scenarios.retain(|scenario| scenario.source_versioned == scenario.destination_versioned);
    assert_all_interleavings_hold(&scenarios);
}

#[track_caller]
fn assert_interleaving_fails(scenarios: &[Scenario]) {
    let (_, violation) = walk_scenarios(scenarios);
    let violation = violation.unwrap_or_else(|| panic!("not caught: {:?}", scenarios[0]));
    assert!(violation.contains("the source holds"), "{violation}");
}

#[test]
fn interleaving_without_read_after_write_diverges() {
    for write in [Write::Put(ObjectSpec::OTHER), Write::Delete] {
        assert_interleaving_fails(&scenarios(&[write], false, Mutant::NoReread));
    }
}

#[test]
fn interleaving_without_earlier_read_loses_tags() {
    assert_interleaving_fails(&multipart(scenarios(
        &[Write::Tag("live")],
        false,
        Mutant::NoEarlierRead,
    )));
}

/// Returns every scenario of a sync that copies a listed object before it reads it, while an application writes.
fn listed(writes: &[Write], crash: bool, mutant: Mutant) -> Vec<Scenario> {
    let mut scenarios = scenarios(writes, crash, mutant);
    scenarios.retain(|scenario| scenario.before == Before::Nothing);
    for scenario in &mut scenarios {
        scenario.listed = true;
    }
    scenarios
}

const LISTED_WRITES: [Write; 4] = [
    Write::Put(ObjectSpec::OTHER),
    Write::Put(ObjectSpec::UNTAGGED_OTHER_METADATA),
    Write::Tag("live"),
    Write::Delete,
];

#[test]
fn interleavings_of_a_listed_copy_and_a_writer_converge() {
    assert_all_interleavings_hold(&listed(&LISTED_WRITES, false, Mutant::Faithful));
}

#[test]
fn interleavings_of_a_listed_copy_with_a_crash_converge() {
    let mut scenarios = listed(&LISTED_WRITES, true, Mutant::Faithful);
    for scenario in &mut scenarios {
        scenario.second = SecondInvocation::After;
    }
    assert_all_interleavings_hold(&scenarios);
}

/// Checks that some interleaving of a listed copy fails without a safeguard. The writer's event is delivered later, so
/// that nothing else repairs the copy.
#[track_caller]
fn assert_listed_copy_fails(write: Write, source_versioned: bool, ticks: bool, mutant: Mutant, expected: &str) {
    let mut scenarios = listed(&[write], false, mutant);
    scenarios.retain(|scenario| scenario.source_versioned == source_versioned && scenario.ticks == ticks);
    for scenario in &mut scenarios {
        scenario.second = SecondInvocation::After;
    }
    let (_, violation) = walk_scenarios(&scenarios);
    let violation = violation.unwrap_or_else(|| panic!("{mutant:?} is not caught with {write:?}"));
    assert!(violation.contains(expected), "{violation}");
}

#[test]
fn listed_copy_of_an_overwritten_version_is_not_final() {
    let write = Write::Put(ObjectSpec::UNTAGGED_OTHER_METADATA);
    for mutant in [Mutant::NoReread, Mutant::NoCopiedVersion] {
        assert_listed_copy_fails(write, true, true, mutant, "read the source last");
    }
}

#[test]
fn listed_copy_of_an_overwritten_object_without_versions_is_not_final() {
    let write = Write::Put(ObjectSpec::UNTAGGED_OTHER_METADATA);
    assert_listed_copy_fails(write, false, true, Mutant::NoListedTime, "read the source last");
    assert_listed_copy_fails(write, false, false, Mutant::NoCopyTime, "read the source last");
}

#[test]
fn listed_copy_of_an_object_that_got_tags_is_not_final() {
    for source_versioned in [false, true] {
        assert_listed_copy_fails(
            Write::Tag("live"),
            source_versioned,
            true,
            Mutant::NoTagCount,
            "read the source last",
        );
    }
}

#[test]
fn listed_copy_of_another_content_is_not_made() {
    assert_listed_copy_fails(Write::Put(ObjectSpec::OTHER), true, true, Mutant::NoPin, "not pinned");
}

#[test]
fn listed_copy_over_an_object_of_another_invocation_is_not_made() {
    let mut scenarios = listed(&[Write::Put(ObjectSpec::OTHER)], false, Mutant::NoCondition);
    scenarios.retain(|scenario| scenario.ticks);
    let (_, violation) = walk_scenarios(&scenarios);
    let violation = violation.expect("an object was replaced");
    assert!(violation.contains("unconditional"), "{violation}");
}
