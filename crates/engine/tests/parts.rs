//! Copies in parts: every step, the journal with its races, and what is left behind when something goes wrong.
#![expect(clippy::unwrap_used, reason = "test data is what the test made it")]

#[path = "parts/unnamed.rs"]
mod unnamed;
mod world;

use std::time::Duration;

use s3ferry_core::facts::{Aspect, Aspects, ChecksumCoverage};
use s3ferry_core::failure::FailureKind;
use s3ferry_core::order::{
    CopyMethod, CopyOrder, Metadata, SourcePin, Stated, StatedChecksum, UploadTerms, WriteCondition,
};
use s3ferry_core::outcome::{AgainReason, Outcome, Report, SkipReason};
use s3ferry_core::plan::{SourceLayout, plan};
use s3ferry_core::policy::PreserveEtag;
use s3ferry_core::redelivery::aspects_after_interruption;
use s3ferry_core::upload::UploadEntry;
use s3ferry_engine::ports::{Clock as _, DestinationBucket as _};
use s3ferry_engine::reconcile::MAX_TURNS;
use s3ferry_testkit::clock::TestClock;
use s3ferry_testkit::faults::{Call, Fault, Script, failure};
use s3ferry_testkit::journal::{MemoryJournal, route};
use s3ferry_testkit::memory::{MemoryBucket, MemoryDestination};
use world::{KEY, TestWorld, key};

const GIB: u64 = 1 << 30;
const MIB: u64 = 1 << 20;

/// All calls of the bucket ports and the journal.
const CALLS: [Call; 18] = [
    Call::SourceRead,
    Call::ConfirmAbsence,
    Call::Replication,
    Call::DestinationRead,
    Call::Copy,
    Call::Delete,
    Call::ReadMore,
    Call::Layout,
    Call::ObjectLock,
    Call::Amend,
    Call::CreateUpload,
    Call::CopyPart,
    Call::ListParts,
    Call::ListUploads,
    Call::CompleteUpload,
    Call::AbortUpload,
    Call::LoadEntry,
    Call::CreateEntry,
];

/// A world whose source has an object of 6 GiB in six parts.
fn world() -> TestWorld {
    world_before(Duration::from_hours(1))
}

/// The same world, in which what is begun at the destination is begun so long before the reconciles of the test.
fn world_before(duration: Duration) -> TestWorld {
    let mut world = TestWorld::new();
    let then = TestClock::START.minus(duration);
    world.destination.pass_seconds(then.millis() / 1_000);
    world.policy.part_size_bytes = GIB;
    world.source.put_large(KEY, "one", 6 * GIB, &[]);
    world
}

fn scripted(script: Script) -> TestWorld {
    world().with_script(script)
}

/// The same world with nothing counted and nothing scripted.
fn unscripted(world: &TestWorld) -> TestWorld {
    world.clone().with_script(Script::default())
}

#[track_caller]
fn assert_copied(report: &Report) {
    assert!(matches!(report.outcome, Outcome::Copied { .. }), "{report:?}");
}

#[track_caller]
fn assert_tidy(world: &TestWorld) {
    assert_eq!(world.destination.uploads(), [], "uploads are left");
    let filed = world.journal.as_ref().map(MemoryJournal::keys).unwrap_or_default();
    assert_eq!(filed, [], "entries are left");
}

fn mentions(failed: &Report, code: &str) -> bool {
    matches!(&failed.outcome, Outcome::Failed(failure) if failure.code == code)
}

#[tokio::test(start_paused = true)]
async fn large_object_takes_few_calls_besides_its_parts() {
    let world = world();
    let report = world.reconcile().await;
    assert_copied(&report);
    world.assert_equal();
    assert_tidy(&world);
    assert_eq!(world.script.count(Call::CopyPart), 6);
    let all: u32 = CALLS.into_iter().map(|call| world.script.count(call)).sum();
    assert_eq!(
        all + world.script.count(Call::RemoveEntry),
        6 + 11,
        "each call is a request, few are two"
    );
    // A single part becomes many.
    assert_eq!((report.turns, report.lost), (1, Aspects::from([Aspect::Etag])));
}

#[tokio::test(start_paused = true)]
async fn copy_keeps_etag_checksum_headers_metadata_tags_and_annotations() {
    let world = world();
    let layout = [2 * GIB, 3 * GIB, GIB];
    world.source.put_large_with(KEY, "one", 6 * GIB, &layout, |facts| {
        facts.headers.content_type = Some("a/b".into());
        facts.headers.expires = Some("soon".into());
        facts.user_metadata.insert("owner".into(), "b".into());
        facts.website_redirect = Some("/x".into());
        facts.storage_class = "STANDARD_IA".into();
        facts.tags = Some([("stage".to_owned(), "live".to_owned())].into());
        facts.annotations = Some([("note".to_owned(), "text".to_owned())].into());
    });
    let report = world.reconcile().await;
    assert_copied(&report);
    assert_eq!(report.lost, Aspects::new());
    world.assert_equal();
    let (source, copy) = (world.source.facts(KEY).unwrap(), world.destination.facts(KEY).unwrap());
    assert_eq!((copy.etag, copy.checksums), (source.etag, source.checksums));
    assert_eq!(copy.headers, source.headers);
    assert_eq!(copy.website_redirect, source.website_redirect);
    assert_eq!(copy.annotations, source.annotations);
    let again = unscripted(&world);
    again.destination.pass_seconds(3_600);
    again.reconcile().await;
    let writes = [Call::Copy, Call::Amend, Call::CreateUpload, Call::CompleteUpload];
    assert_eq!(writes.map(|call| again.script.count(call)), [0; 4]);
}

#[tokio::test(start_paused = true)]
async fn small_object_in_parts_keeps_its_etag_when_asked() {
    let mut world = TestWorld::new();
    world.source.put_large(KEY, "one", 11 * MIB, &[6 * MIB, 5 * MIB]);
    let report = world.reconcile().await;
    assert_eq!(report.lost, Aspects::from([Aspect::Etag]), "one request makes one part");
    world.policy.preserve_etag = PreserveEtag::Always;
    world.source.put_large(KEY, "two", 11 * MIB, &[6 * MIB, 5 * MIB]);
    let report = world.reconcile().await;
    assert_copied(&report);
    assert_eq!(report.lost, Aspects::new());
    let etag = |bucket: &MemoryBucket| bucket.facts(KEY).unwrap().etag;
    assert_eq!(etag(&world.destination), etag(&world.source));
}

#[tokio::test(start_paused = true)]
async fn ten_invocations_copy_every_part_once() {
    let mut world = scripted(Script::default().always(Call::CopyPart, Fault::Slow(Duration::from_mins(1))));
    world.policy.part_size_bytes = GIB / 8;
    world.source.put_large(KEY, "one", 10 * GIB, &[]);
    world.concurrent_parts = 2;
    let mut invocations = 0;
    loop {
        invocations += 1;
        let reconciler = world.reconciler();
        // Time for four rounds of two parts and not for a fifth.
        let deadline = reconciler.clock.now().plus(Duration::from_secs(4 * 60 + 55));
        let report = reconciler.reconcile(&key(KEY), &Aspects::new(), deadline).await;
        if report.outcome == Outcome::Again(AgainReason::Deadline) {
            assert!(report.progress && report.upload_left, "{report:?}");
            assert!(report.duration < Duration::from_secs(4 * 60 + 50), "{report:?}");
            continue;
        }
        assert_copied(&report);
        break;
    }
    assert_eq!((invocations, world.script.count(Call::CopyPart)), (10, 80));
    assert_eq!(world.script.count(Call::CreateUpload), 1);
    world.assert_equal();
    assert_tidy(&world);
}

#[tokio::test(start_paused = true)]
async fn short_invocations_copy_parts_too() {
    let mut world = scripted(Script::default().always(Call::CopyPart, Fault::Slow(Duration::from_secs(1))));
    world.concurrent_parts = 2;
    let mut invocations = 0;
    loop {
        invocations += 1;
        let reconciler = world.reconciler();
        let deadline = reconciler.clock.now().plus(Duration::from_secs(2));
        let report = reconciler.reconcile(&key(KEY), &Aspects::new(), deadline).await;
        if report.outcome == Outcome::Again(AgainReason::Deadline) {
            assert!(report.progress, "{report:?}");
            continue;
        }
        assert_copied(&report);
        break;
    }
    assert_eq!((invocations, world.script.count(Call::CopyPart)), (3, 6));
    world.assert_equal();
    assert_tidy(&world);
}

#[tokio::test(start_paused = true)]
async fn parts_in_flight_at_the_end_are_copied_once_more_and_no_others() {
    let slow = Fault::Slow(Duration::from_mins(1));
    let mut world = scripted(Script::default().always(Call::CopyPart, slow));
    world.concurrent_parts = 3;
    let reconciler = world.reconciler();
    let deadline = reconciler.clock.now().plus(Duration::from_mins(10));
    let (key, aspects) = (key(KEY), Aspects::new());
    let work = reconciler.reconcile(&key, &aspects, deadline);
    let crashed = tokio::time::timeout(Duration::from_secs(100), work).await;
    assert!(crashed.is_err(), "a crash in the middle of the second round");
    assert_copied(&world.reconcile().await);
    assert_eq!(
        world.script.count(Call::CopyPart),
        3 + 3 + 3,
        "only the second three are copied twice"
    );
    world.assert_equal();
    assert_tidy(&world);
}

#[tokio::test(start_paused = true)]
async fn without_a_journal_what_takes_too_long_fails_by_name_and_leaves_nothing() {
    let slow = Fault::Slow(Duration::from_mins(1));
    let mut world = scripted(Script::default().always(Call::CopyPart, slow));
    world.journal = None;
    world.concurrent_parts = 1;
    let reconciler = world.reconciler();
    let deadline = reconciler.clock.now().plus(Duration::from_secs(200));
    let report = reconciler.reconcile(&key(KEY), &Aspects::new(), deadline).await;
    assert!(mentions(&report, "StateBucketRequired"), "{report:?}");
    assert_tidy(&world);
    assert_eq!(world.destination.content(KEY), None);
}

#[tokio::test(start_paused = true)]
async fn without_a_journal_a_part_that_fails_for_a_while_leaves_no_upload_behind() {
    let fails = Fault::Fails(failure(FailureKind::Retry));
    let mut world = scripted(Script::default().on(Call::CopyPart, 4, fails));
    world.journal = None;
    assert_copied(&world.reconcile().await);
    assert_eq!(world.script.count(Call::CreateUpload), 2);
    world.assert_equal();
    assert_tidy(&world);
}

#[tokio::test(start_paused = true)]
async fn without_a_journal_what_fits_into_one_invocation_is_copied() {
    let mut world = world();
    world.journal = None;
    assert_copied(&world.reconcile().await);
    world.assert_equal();
    assert_tidy(&world);
}

#[tokio::test(start_paused = true)]
async fn without_a_journal_no_failure_that_passes_leaves_an_upload_behind() {
    let fails = || Fault::Fails(failure(FailureKind::Retry));
    for call in [Call::CopyPart, Call::CompleteUpload, Call::AbortUpload, Call::ListParts] {
        for fault in [fails(), Fault::AnswerLost, Fault::RequestLost] {
            // With a part that fails, too, there is an upload to abort.
            for part in [Fault::Slow(Duration::from_secs(1)), fails()] {
                let script = Script::default().on(Call::CopyPart, 2, part.clone());
                let mut world = scripted(script.on(call, 1, fault.clone()));
                world.journal = None;
                world.reconcile().await;
                world.assert_equal();
                assert_tidy(&world);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn part_that_fails_for_a_while_costs_no_other_part() {
    for concurrent_parts in [1, 3, 6] {
        let fails = Fault::Fails(failure(FailureKind::Retry));
        let slow = Fault::Slow(Duration::from_mins(1));
        let script = Script::default()
            .always(Call::CopyPart, slow)
            .on(Call::CopyPart, 4, fails);
        let mut world = scripted(script);
        world.concurrent_parts = concurrent_parts;
        assert_copied(&world.reconcile().await);
        assert_eq!(world.script.count(Call::CopyPart), 6 + 1, "{concurrent_parts} at once");
        assert_eq!(world.script.count(Call::CreateUpload), 1);
        world.assert_equal();
        assert_tidy(&world);
    }
}

#[tokio::test(start_paused = true)]
async fn part_that_fails_on_and_on_keeps_what_is_copied_for_the_next_message() {
    let fails = Fault::Fails(failure(FailureKind::Retry));
    let script = Script::default().always(Call::CopyPart, fails);
    let world = scripted(script);
    let report = world.reconcile().await;
    assert!(mentions(&report, "Scripted") && report.upload_left, "{report:?}");
    assert_eq!(world.destination.uploads().len(), 1);
    let healed = unscripted(&world);
    assert_copied(&healed.reconcile().await);
    assert_eq!(healed.script.count(Call::CreateUpload), 0, "the same upload");
    assert_tidy(&healed);
}

/// A script in which every second part fails.
fn every_second_part_fails() -> Script {
    (1..20).map(|nth| 2 * nth).fold(Script::default(), |script, nth| {
        script.on(Call::CopyPart, nth, Fault::Fails(failure(FailureKind::Retry)))
    })
}

#[tokio::test(start_paused = true)]
async fn parts_that_fail_end_nothing_while_others_arrive() {
    let mut world = scripted(every_second_part_fails());
    world.concurrent_parts = 1;
    world.source.put_large(KEY, "one", 8 * GIB, &[]);
    let report = world.reconcile().await;
    assert_copied(&report);
    let counted = [Call::CreateUpload, Call::CopyPart].map(|call| world.script.count(call));
    assert_eq!(counted, [1, 8 + 7]);
    assert_eq!(report.turns, 8, "more than a copy that gets nowhere is given");
    world.assert_equal();
    assert_tidy(&world);
}

#[tokio::test(start_paused = true)]
async fn one_part_that_arrived_does_not_keep_a_failing_copy_alive() {
    let script = Script::default()
        .always(Call::CopyPart, Fault::Fails(failure(FailureKind::Retry)))
        .on(Call::CopyPart, 1, Fault::Slow(Duration::from_secs(1)));
    let mut world = scripted(script);
    world.concurrent_parts = 1;
    let report = world.reconcile().await;
    assert!(mentions(&report, "Scripted"), "{report:?}");
    assert_eq!(report.turns, MAX_TURNS);
}

#[tokio::test(start_paused = true)]
async fn without_a_journal_parts_that_fail_end_the_copy_though_others_arrive() {
    let mut world = scripted(every_second_part_fails());
    world.concurrent_parts = 1;
    world.journal = None;
    let report = world.reconcile().await;
    assert!(mentions(&report, "Scripted"), "{report:?}");
    assert_eq!(world.script.count(Call::CreateUpload), MAX_TURNS);
    assert_tidy(&world);
}

#[tokio::test(start_paused = true)]
async fn failure_for_good_does_not_wait_for_other_parts() {
    let slow = Fault::Slow(Duration::from_mins(1));
    let fails = Fault::Fails(failure(FailureKind::Permanent));
    let script = Script::default()
        .always(Call::CopyPart, slow)
        .on(Call::CopyPart, 1, fails);
    let world = scripted(script);
    let report = world.reconcile().await;
    assert!(mentions(&report, "Scripted"), "{report:?}");
    assert!(report.duration < Duration::from_mins(1), "{report:?}");
    assert_tidy(&world);
}

#[tokio::test(start_paused = true)]
async fn part_that_would_end_with_the_invocation_is_not_begun() {
    let mut world = scripted(Script::default().always(Call::CopyPart, Fault::Slow(Duration::from_mins(1))));
    world.concurrent_parts = 1;
    let reconciler = world.reconciler();
    // Five seconds are kept for the end.
    let deadline = reconciler.clock.now().plus(Duration::from_secs(3 * 60 + 5));
    let report = reconciler.reconcile(&key(KEY), &Aspects::new(), deadline).await;
    assert_eq!(report.outcome, Outcome::Again(AgainReason::Deadline));
    assert_eq!(world.script.count(Call::CopyPart), 2);
}

#[tokio::test(start_paused = true)]
async fn equal_bytes_written_after_the_completion_are_not_taken_for_ours() {
    const PARTS: [u64; 2] = [2 * GIB, 4 * GIB];
    let base = world();
    base.source.put_large(KEY, "one", 6 * GIB, &PARTS);
    let destination = base.destination.clone();
    let foreign = move || {
        destination.put_large_with(KEY, "one", 6 * GIB, &PARTS, |facts| {
            facts.user_metadata.insert("owner".to_owned(), "somebody".to_owned());
        });
    };
    let world = base.with_script(Script::default().on(Call::CompleteUpload, 1, Fault::after(foreign)));
    assert_copied(&world.reconcile().await);
    world.assert_equal();
    assert_tidy(&world);
}

#[tokio::test(start_paused = true)]
async fn failure_for_good_leaves_nothing_behind() {
    for call in [
        Call::CopyPart,
        Call::CompleteUpload,
        Call::CreateEntry,
        Call::CreateUpload,
        Call::Layout,
    ] {
        for kind in [FailureKind::Permanent, FailureKind::Configuration] {
            let world = scripted(Script::default().always(call, Fault::Fails(failure(kind))));
            let report = world.reconcile().await;
            assert!(mentions(&report, "Scripted"), "{call:?}: {report:?}");
            assert_tidy(&world);
            assert_eq!(world.destination.content(KEY), None);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn passing_failure_of_any_call_is_survived() {
    for call in CALLS.into_iter().chain([Call::RemoveEntry]) {
        for fault in [
            Fault::Fails(failure(FailureKind::Retry)),
            Fault::AnswerLost,
            Fault::RequestLost,
        ] {
            let world = scripted(Script::default().on(call, 1, fault.clone()));
            let report = world.reconcile().await;
            let ended_well = matches!(
                report.outcome,
                Outcome::Copied { .. } | Outcome::Skipped(SkipReason::AlreadyIdentical)
            );
            assert!(ended_well, "{call:?} {fault:?}: {report:?}");
            world.assert_equal();
            assert_tidy(&world);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn write_at_any_moment_arrives() {
    for call in CALLS.into_iter().chain([Call::RemoveEntry]) {
        for nth in 1..=6 {
            let base = world();
            let source = base.source.clone();
            let write = move || source.put_large(KEY, "two", 6 * GIB, &[3 * GIB, 3 * GIB]);
            for fault in [Fault::before(write.clone()), Fault::after(write.clone())] {
                let world = base.clone().with_script(Script::default().on(call, nth, fault));
                let report = world.reconcile().await;
                assert!(
                    !matches!(report.outcome, Outcome::Failed(_)),
                    "{call:?} {nth}: {report:?}"
                );
                world.assert_equal();
                assert_tidy(&world);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn other_write_at_the_destination_during_the_upload_is_seen() {
    for call in [Call::CreateUpload, Call::CopyPart, Call::CompleteUpload] {
        let base = world();
        let destination = base.destination.clone();
        let script = Script::default().on(call, 1, Fault::before(move || destination.put(KEY, "foreign")));
        let world = base.with_script(script);
        assert_copied(&world.reconcile().await);
        world.assert_equal();
        assert_eq!(
            world.script.count(Call::CreateUpload),
            2,
            "{call:?}: the condition is part of an upload"
        );
        assert_tidy(&world);
    }
}

/// The order that the first reconcile of the world's object makes.
fn order(world: &TestWorld) -> CopyOrder {
    let facts = world.source.facts(KEY).unwrap();
    CopyOrder {
        in_place: None,
        pin: SourcePin::of(&facts),
        condition: WriteCondition::Absent,
        method: CopyMethod::Parts,
        stated: Stated {
            metadata: Some(Metadata::default()),
            tags: facts.tags.clone(),
            ..Stated::plain()
        },
        source_checksum: Some(StatedChecksum {
            algorithm: "CRC64NVME",
            coverage: ChecksumCoverage::FullObject,
        }),
        size_bytes: facts.size_bytes,
        follow_up: Aspects::new(),
    }
}

/// Begins an upload as another invocation would, and copies its first part.
async fn begin(world: &TestWorld) -> UploadEntry {
    let order = order(world);
    let plan = plan(order.size_bytes, &SourceLayout::Whole, GIB).unwrap();
    let destination = MemoryDestination {
        source: world.source.clone(),
        bucket: world.destination.clone(),
    };
    let terms = UploadTerms::new(&order, &plan);
    let id = destination.create_upload(&key(KEY), &terms).await.unwrap();
    let first = plan.parts().next().unwrap();
    destination.copy_part(&key(KEY), &id, &order.pin, &first).await.unwrap();
    route().entry(&key(KEY), id, &order, plan)
}

#[tokio::test(start_paused = true)]
async fn upload_of_another_invocation_is_gone_on_with() {
    let world = world();
    let entry = begin(&world).await;
    world.journal.as_ref().unwrap().put(&key(KEY), Some(entry));
    assert_copied(&world.reconcile().await);
    let counted = [Call::CreateUpload, Call::CopyPart].map(|call| world.script.count(call));
    assert_eq!(counted, [0, 5]);
    world.assert_equal();
    assert_tidy(&world);
}

#[tokio::test(start_paused = true)]
async fn loser_of_the_race_for_the_journal_aborts_its_upload_and_adopts() {
    let base = world();
    let entry = begin(&base).await;
    let journal = base.journal.clone().unwrap();
    let faster = Fault::before(move || drop(journal.put(&key(KEY), Some(entry.clone()))));
    let world = base.with_script(Script::default().on(Call::CreateEntry, 1, faster));
    assert_copied(&world.reconcile().await);
    let counted = [Call::CreateUpload, Call::AbortUpload, Call::CopyPart].map(|call| world.script.count(call));
    assert_eq!(counted, [1, 1, 5]);
    world.assert_equal();
    assert_tidy(&world);
}

#[tokio::test(start_paused = true)]
async fn upload_of_a_version_that_is_no_longer_current_is_put_away() {
    let world = world();
    let entry = begin(&world).await;
    world.journal.as_ref().unwrap().put(&key(KEY), Some(entry));
    world.source.put_large(KEY, "two", 7 * GIB, &[]);
    assert_copied(&world.reconcile().await);
    assert_eq!(world.script.count(Call::CopyPart), 7);
    world.assert_equal();
    assert_tidy(&world);
}

#[tokio::test(start_paused = true)]
async fn what_was_left_is_put_away_though_there_is_nothing_more_to_copy() {
    type Change = fn(&TestWorld);
    let unfinished = Aspects::from([Aspect::UnfinishedUpload]);
    let changes: [Change; 3] = [
        |world| world.source.put(KEY, "small"),
        |world| world.source.delete(KEY),
        |world| world.destination.put_large(KEY, "one", 6 * GIB, &[]),
    ];
    for change in changes {
        let world = world();
        let entry = begin(&world).await;
        world.journal.as_ref().unwrap().put(&key(KEY), Some(entry));
        change(&world);
        world.reconcile_with(&unfinished).await;
        assert_tidy(&world);
    }
}

#[tokio::test(start_paused = true)]
async fn entry_that_nobody_can_read_is_replaced() {
    let world = world();
    world.journal.as_ref().unwrap().put(&key(KEY), None);
    assert_copied(&world.reconcile().await);
    world.assert_equal();
    assert_tidy(&world);
}

#[tokio::test(start_paused = true)]
async fn entry_whose_upload_is_gone_is_replaced() {
    let world = world();
    let entry = begin(&world).await;
    let destination = MemoryDestination {
        source: world.source.clone(),
        bucket: world.destination.clone(),
    };
    destination.abort_upload(&key(KEY), &entry.upload_id).await.unwrap();
    world.journal.as_ref().unwrap().put(&key(KEY), Some(entry));
    assert_copied(&world.reconcile().await);
    world.assert_equal();
    assert_tidy(&world);
}

#[tokio::test(start_paused = true)]
async fn finisher_does_not_remove_the_entry_of_its_successor() {
    let base = world();
    let (source, journal) = (base.source.clone(), base.journal.clone().unwrap());
    let other = base.clone();
    source.put_large(KEY, "two", 7 * GIB, &[]);
    let successor = begin(&other).await;
    source.put_large(KEY, "one", 6 * GIB, &[]);
    let (at, entry) = (journal.clone(), successor.clone());
    // While this one completes, somebody else has put its entry away and begun another upload.
    let overtaken = Fault::after(move || drop(at.put(&key(KEY), Some(entry.clone()))));
    let world = base.with_script(Script::default().on(Call::CompleteUpload, 1, overtaken));
    assert_copied(&world.reconcile().await);
    assert_eq!(
        journal.entry(&key(KEY)),
        Some(successor),
        "it is not this one's to remove"
    );
}

#[tokio::test(start_paused = true)]
async fn upload_that_counts_from_its_start_does_not_hide_what_came_after() {
    let base = world();
    let source_copy = base.destination.clone();
    // Equal bytes, so that the condition of the completion cannot tell them apart.
    base.destination.put(KEY, "other");
    let foreign = Fault::before(move || {
        source_copy.put_with(KEY, "other", |facts| {
            facts.user_metadata.insert("owner".into(), "foreign".into());
        });
    });
    let world = base.with_script(Script::default().on(Call::CompleteUpload, 1, foreign));
    assert_copied(&world.reconcile().await);
    world.assert_equal();
    assert!(
        world.script.count(Call::CreateUpload) > 1,
        "the first did not become the current version"
    );
    assert_tidy(&world);
}

#[tokio::test(start_paused = true)]
async fn conflict_at_completion_begins_anew() {
    let base = world();
    let destination = base.destination.clone();
    let script = Script::default().on(
        Call::CompleteUpload,
        1,
        Fault::before(move || destination.put(KEY, "foreign")),
    );
    let world = base.with_script(script);
    assert_copied(&world.reconcile().await);
    assert_eq!(world.script.count(Call::CreateUpload), 2);
    world.assert_equal();
    assert_tidy(&world);
}

#[tokio::test(start_paused = true)]
async fn object_larger_than_any_upload_is_refused_by_name() {
    let world = TestWorld::new();
    world.source.put_large(KEY, "one", 10_000 * 5 * GIB + 1, &[]);
    assert!(mentions(&world.reconcile().await, "ObjectTooLarge"));
    assert_tidy(&world);
}

#[tokio::test(start_paused = true)]
async fn largest_object_is_copied_in_ten_thousand_parts() {
    let world = TestWorld::new();
    world.source.put_large(KEY, "one", 10_000 * 5 * GIB, &[]);
    assert_copied(&world.reconcile().await);
    assert_eq!(world.script.count(Call::CopyPart), 10_000);
    world.assert_equal();
}

/// A world with an annotated object that is copied in parts.
fn annotated(destination: MemoryBucket, script: Script) -> TestWorld {
    let mut world = TestWorld::of(MemoryBucket::versioned(), destination).with_script(script);
    world.policy.part_size_bytes = GIB;
    world.source.put_large_with(KEY, "one", 6 * GIB, &[], |facts| {
        facts.annotations = Some([("note".to_owned(), "draft".to_owned())].into());
    });
    world
}

#[tokio::test(start_paused = true)]
async fn annotations_that_could_not_be_written_follow_when_the_message_comes_again() {
    let denied = Fault::Fails(failure(FailureKind::Permanent));
    let throttled = Fault::Fails(failure(FailureKind::Retry));
    let world = annotated(MemoryBucket::versioned(), Script::default());
    for journal in [world.journal.clone(), None] {
        for fault in [&denied, &throttled] {
            let world = TestWorld {
                journal: journal.clone(),
                ..annotated(
                    MemoryBucket::versioned(),
                    Script::default().always(Call::Amend, fault.clone()),
                )
            };
            let report = world.reconcile().await;
            assert!(
                matches!(&report.outcome, Outcome::Failed(failure) if failure.detail.contains("deep")),
                "{report:?}"
            );
            assert!(report.upload_left, "whoever comes next is told");
            assert_eq!(world.script.count(Call::CompleteUpload), 1);
            let world = unscripted(&world);
            let report = world.reconcile_with(&aspects_after_interruption()).await;
            let aspects = Aspects::from([Aspect::Annotations]);
            assert_eq!(report.outcome, Outcome::Amended { aspects });
            assert_eq!(world.script.count(Call::CompleteUpload), 0);
            world.assert_equal();
            assert_tidy(&world);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn entry_stays_until_annotations_are_written() {
    let script = Script::default().on(Call::Amend, 1, Fault::Hangs);
    let world = annotated(MemoryBucket::versioned(), script);
    let report = world.reconcile().await;
    assert_eq!(report.outcome, Outcome::Again(AgainReason::Deadline));
    assert_eq!(world.journal.as_ref().unwrap().keys(), [key(KEY)]);
    let world = unscripted(&world);
    world.reconcile_with(&aspects_after_interruption()).await;
    world.assert_equal();
    assert_tidy(&world);
}

#[tokio::test(start_paused = true)]
async fn without_versions_annotations_follow_a_copy_that_is_made_once() {
    let world = annotated(MemoryBucket::unversioned(), Script::default());
    assert_copied(&world.reconcile().await);
    world.assert_equal();
    assert_tidy(&world);
    assert_eq!(world.script.count(Call::CompleteUpload), 1);
    assert_eq!(world.script.count(Call::Amend), 1);
}

#[tokio::test(start_paused = true)]
async fn without_versions_tags_changed_alone_bring_all_attributes() {
    let world = annotated(MemoryBucket::unversioned(), Script::default());
    world.source.tag(KEY, &[("t", "1")]);
    assert_copied(&world.reconcile().await);
    world.source.tag(KEY, &[("t", "2")]);
    let world = unscripted(&world);
    assert_copied(&world.reconcile_with(&Aspects::from([Aspect::Tags])).await);
    world.assert_equal();
    assert_eq!(world.script.count(Call::CompleteUpload), 1);
}

/// S3 may answer 404 for an object that is there for minutes after versioning was first enabled.
#[tokio::test(start_paused = true)]
async fn destination_that_answers_404_for_its_object_is_not_copied_onto_over_and_over() {
    let world = world();
    world.destination.put(KEY, "old");
    world.destination.hide(KEY);
    let report = world.reconcile().await;
    assert!(mentions(&report, "AbsenceUnconfirmed"), "{report:?}");
    assert_eq!(world.script.count(Call::CompleteUpload), 1);
    assert_tidy(&world);
    world.destination.show_all();
    assert_copied(&world.reconcile().await);
    world.assert_equal();
}

/// S3 takes 8 KB of headers, and ten tags alone can be longer.
#[tokio::test(start_paused = true)]
async fn tags_that_do_not_fit_into_headers_follow_the_copy() {
    let long = "x".repeat(5_000);
    for destination in [MemoryBucket::versioned(), MemoryBucket::unversioned()] {
        let script = Script::default().on(Call::Amend, 1, Fault::Hangs);
        let world = TestWorld::of(MemoryBucket::versioned(), destination).with_script(script);
        world.source.put_large_with(KEY, "one", 6 * GIB, &[], |facts| {
            facts.tags = Some([("note".to_owned(), long.clone())].into());
        });
        let report = world.reconcile().await;
        assert_eq!(report.outcome, Outcome::Again(AgainReason::Deadline));
        let tags = || world.destination.facts(KEY).unwrap().tags;
        assert_eq!(tags().map(|tags| tags.len()), Some(0));
        // Whoever comes next sees that their number differs.
        let world = unscripted(&world);
        let aspects = Aspects::from([Aspect::Tags]);
        assert_eq!(world.reconcile().await.outcome, Outcome::Amended { aspects });
        assert_eq!(world.script.count(Call::CompleteUpload), 0);
        world.assert_equal();
        let outcome = world.reconcile().await.outcome;
        assert_eq!(outcome, Outcome::Skipped(SkipReason::AlreadyIdentical));
    }
}
