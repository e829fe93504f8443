//! Multipart copies: every step, the journal with its races, and the uploads that remain after failures.
#![expect(clippy::unwrap_used, reason = "the test created the data")]
#![expect(clippy::disallowed_methods, reason = "the clock of the tests is paused")]

#[path = "parts/orphaned_uploads.rs"]
mod orphaned_uploads;
mod world;

use std::time::Duration;

use s3ferry_core::facts::{Attribute, AttributeSet, ChecksumCoverage};
use s3ferry_core::failure::FailureKind;
use s3ferry_core::order::{
    CopiedMetadata, CopyMethod, CopyOrder, ExplicitAttributes, ExplicitChecksum, SourcePin, UploadParameters,
    WriteCondition,
};
use s3ferry_core::outcome::{DeferralReason, Outcome, ReconcileReport, SkipReason, WithheldWrite};
use s3ferry_core::plan::{PartLayout, plan};
use s3ferry_core::policy::PreserveEtag;
use s3ferry_core::redelivery::attributes_after_interruption;
use s3ferry_core::upload::UploadEntry;
use s3ferry_engine::ports::{Clock as _, MultipartUploads as _};
use s3ferry_engine::reconcile::MAX_PASSES;
use s3ferry_testkit::clock::TestClock;
use s3ferry_testkit::faults::{FaultScript, PortCall, PortFault, failure};
use s3ferry_testkit::journal::{MemoryJournal, route};
use s3ferry_testkit::memory::{MemoryBucket, MemoryDestination};
use world::{KEY, TestWorld, key};

const GIB: u64 = 1 << 30;
const MIB: u64 = 1 << 20;

/// All calls of the bucket ports and the journal.
const CALLS: [PortCall; 18] = [
    PortCall::SourceRead,
    PortCall::ConfirmAbsence,
    PortCall::Replication,
    PortCall::DestinationRead,
    PortCall::Copy,
    PortCall::Delete,
    PortCall::ReadMore,
    PortCall::Layout,
    PortCall::ObjectLock,
    PortCall::UpdateAttributes,
    PortCall::CreateUpload,
    PortCall::CopyPart,
    PortCall::ListParts,
    PortCall::ListUploads,
    PortCall::CompleteUpload,
    PortCall::AbortUpload,
    PortCall::LoadEntry,
    PortCall::CreateEntry,
];

/// Returns a setup whose source has an object of 6 GiB, to be copied in six parts.
fn world() -> TestWorld {
    world_before(Duration::from_hours(1))
}

/// Returns the same setup, in which uploads at the destination begin this long before the test's reconciles.
fn world_before(duration: Duration) -> TestWorld {
    let mut world = TestWorld::new();
    let then = TestClock::START.minus(duration);
    world.destination.pass_seconds(then.millis() / 1_000);
    world.policy.part_size_bytes = GIB;
    world.source.put_large(KEY, "one", 6 * GIB, &[]);
    world
}

fn scripted(script: FaultScript) -> TestWorld {
    world().with_script(script)
}

/// Returns the same setup without counts and faults.
fn unscripted(world: &TestWorld) -> TestWorld {
    world.clone().with_script(FaultScript::default())
}

#[track_caller]
fn assert_copied(report: &ReconcileReport) {
    assert!(matches!(report.outcome, Outcome::Copied { .. }), "{report:?}");
}

#[track_caller]
fn assert_no_uploads(world: &TestWorld) {
    assert_eq!(world.destination.uploads(), [], "uploads remain");
    let journaled = world.journal.as_ref().map(MemoryJournal::keys).unwrap_or_default();
    assert_eq!(journaled, [], "entries remain");
}

fn mentions(failed: &ReconcileReport, code: &str) -> bool {
    matches!(&failed.outcome, Outcome::Failed(failure) if failure.code.as_str() == code)
}

#[tokio::test(start_paused = true)]
async fn large_object_takes_few_calls_besides_its_parts() {
    let world = world();
    let report = world.reconcile().await;
    assert_copied(&report);
    world.assert_equal();
    assert_no_uploads(&world);
    assert_eq!(world.script.count(PortCall::CopyPart), 6);
    let all: u32 = CALLS.into_iter().map(|call| world.script.count(call)).sum();
    assert_eq!(
        all + world.script.count(PortCall::RemoveEntry),
        6 + 11,
        "most calls are one request, few are two"
    );
    // A single-part object becomes a multipart object.
    assert_eq!(
        (report.passes, report.not_preserved),
        (1, AttributeSet::from([Attribute::Etag]))
    );
}

#[tokio::test(start_paused = true)]
async fn dry_run_of_a_multipart_copy_creates_and_aborts_no_upload() {
    let mut world = world();
    world.policy.dry_run = true;
    let report = world.reconcile_with(&attributes_after_interruption()).await;
    assert_eq!(report.outcome, Outcome::Withheld(WithheldWrite::MultipartCopy));
    let written = [PortCall::CreateUpload, PortCall::CreateEntry, PortCall::AbortUpload];
    assert_eq!(written.map(|call| world.script.count(call)), [0; 3]);
    assert_eq!(world.script.count(PortCall::Layout), 1, "the part plan is checked");
}

#[tokio::test(start_paused = true)]
async fn copy_preserves_etag_checksum_headers_metadata_tags_and_annotations() {
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
    assert_eq!(report.not_preserved, AttributeSet::new());
    world.assert_equal();
    let (source, copy) = (world.source.facts(KEY).unwrap(), world.destination.facts(KEY).unwrap());
    assert_eq!((copy.etag, copy.checksums), (source.etag, source.checksums));
    assert_eq!(copy.headers, source.headers);
    assert_eq!(copy.website_redirect, source.website_redirect);
    assert_eq!(copy.annotations, source.annotations);
    let again = unscripted(&world);
    again.destination.pass_seconds(3_600);
    again.reconcile().await;
    let writes = [
        PortCall::Copy,
        PortCall::UpdateAttributes,
        PortCall::CreateUpload,
        PortCall::CompleteUpload,
    ];
    assert_eq!(writes.map(|call| again.script.count(call)), [0; 4]);
}

#[tokio::test(start_paused = true)]
async fn small_multipart_object_preserves_its_etag_if_configured() {
    let mut world = TestWorld::new();
    world.source.put_large(KEY, "one", 11 * MIB, &[6 * MIB, 5 * MIB]);
    let report = world.reconcile().await;
    assert_eq!(
        report.not_preserved,
        AttributeSet::from([Attribute::Etag]),
        "a single-request copy has one part"
    );
    world.policy.preserve_etag = PreserveEtag::Always;
    world.source.put_large(KEY, "two", 11 * MIB, &[6 * MIB, 5 * MIB]);
    let report = world.reconcile().await;
    assert_copied(&report);
    assert_eq!(report.not_preserved, AttributeSet::new());
    let etag = |bucket: &MemoryBucket| bucket.facts(KEY).unwrap().etag;
    assert_eq!(etag(&world.destination), etag(&world.source));
}

#[tokio::test(start_paused = true)]
async fn ten_invocations_copy_every_part_once() {
    let mut world =
        scripted(FaultScript::default().always(PortCall::CopyPart, PortFault::Slow(Duration::from_mins(1))));
    world.policy.part_size_bytes = GIB / 8;
    world.source.put_large(KEY, "one", 10 * GIB, &[]);
    world.concurrent_parts = 2;
    let mut invocations = 0;
    loop {
        invocations += 1;
        let reconciler = world.reconciler();
        // Enough time for four rounds of two parts, and not for a fifth.
        let deadline = reconciler.clock.now().plus(Duration::from_secs(4 * 60 + 55));
        let report = reconciler.reconcile(&key(KEY), &AttributeSet::new(), deadline).await;
        if report.outcome == Outcome::Deferred(DeferralReason::Deadline) {
            assert!(report.progress && report.upload_left, "{report:?}");
            assert!(report.duration < Duration::from_secs(4 * 60 + 50), "{report:?}");
            continue;
        }
        assert_copied(&report);
        break;
    }
    assert_eq!((invocations, world.script.count(PortCall::CopyPart)), (10, 80));
    assert_eq!(world.script.count(PortCall::CreateUpload), 1);
    world.assert_equal();
    assert_no_uploads(&world);
}

#[tokio::test(start_paused = true)]
async fn short_invocations_also_copy_parts() {
    let mut world =
        scripted(FaultScript::default().always(PortCall::CopyPart, PortFault::Slow(Duration::from_secs(1))));
    world.concurrent_parts = 2;
    let mut invocations = 0;
    loop {
        invocations += 1;
        let reconciler = world.reconciler();
        let deadline = reconciler.clock.now().plus(Duration::from_secs(2));
        let report = reconciler.reconcile(&key(KEY), &AttributeSet::new(), deadline).await;
        if report.outcome == Outcome::Deferred(DeferralReason::Deadline) {
            assert!(report.progress, "{report:?}");
            continue;
        }
        assert_copied(&report);
        break;
    }
    assert_eq!((invocations, world.script.count(PortCall::CopyPart)), (3, 6));
    world.assert_equal();
    assert_no_uploads(&world);
}

#[tokio::test(start_paused = true)]
async fn parts_in_flight_at_a_crash_are_copied_again_and_no_others() {
    let slow = PortFault::Slow(Duration::from_mins(1));
    let mut world = scripted(FaultScript::default().always(PortCall::CopyPart, slow));
    world.concurrent_parts = 3;
    let reconciler = world.reconciler();
    let deadline = reconciler.clock.now().plus(Duration::from_mins(10));
    let (key, attributes) = (key(KEY), AttributeSet::new());
    let work = reconciler.reconcile(&key, &attributes, deadline);
    let crashed = tokio::time::timeout(Duration::from_secs(100), work).await;
    assert!(crashed.is_err(), "a crash in the middle of the second round");
    assert_copied(&world.reconcile().await);
    assert_eq!(
        world.script.count(PortCall::CopyPart),
        3 + 3 + 3,
        "only the parts of the second round are copied twice"
    );
    world.assert_equal();
    assert_no_uploads(&world);
}

#[tokio::test(start_paused = true)]
async fn copy_without_journal_that_exceeds_an_invocation_fails_and_leaves_nothing() {
    let slow = PortFault::Slow(Duration::from_mins(1));
    let mut world = scripted(FaultScript::default().always(PortCall::CopyPart, slow));
    world.journal = None;
    world.concurrent_parts = 1;
    let reconciler = world.reconciler();
    let deadline = reconciler.clock.now().plus(Duration::from_secs(200));
    let report = reconciler.reconcile(&key(KEY), &AttributeSet::new(), deadline).await;
    assert!(mentions(&report, "StateBucketRequired"), "{report:?}");
    assert_no_uploads(&world);
    assert_eq!(world.destination.content(KEY), None);
}

#[tokio::test(start_paused = true)]
async fn copy_without_journal_leaves_no_upload_after_a_transient_part_failure() {
    let fails = PortFault::Fails(failure(FailureKind::Retry));
    let mut world = scripted(FaultScript::default().on(PortCall::CopyPart, 4, fails));
    world.journal = None;
    assert_copied(&world.reconcile().await);
    assert_eq!(world.script.count(PortCall::CreateUpload), 2);
    world.assert_equal();
    assert_no_uploads(&world);
}

#[tokio::test(start_paused = true)]
async fn copy_without_journal_that_fits_into_an_invocation_succeeds() {
    let mut world = world();
    world.journal = None;
    assert_copied(&world.reconcile().await);
    world.assert_equal();
    assert_no_uploads(&world);
}

#[tokio::test(start_paused = true)]
async fn copy_without_journal_leaves_no_upload_after_any_transient_failure() {
    let fails = || PortFault::Fails(failure(FailureKind::Retry));
    for call in [
        PortCall::CopyPart,
        PortCall::CompleteUpload,
        PortCall::AbortUpload,
        PortCall::ListParts,
    ] {
        for fault in [fails(), PortFault::ResponseLost, PortFault::RequestLost] {
            // If a part also fails, there is an upload to abort.
            for part in [PortFault::Slow(Duration::from_secs(1)), fails()] {
                let script = FaultScript::default().on(PortCall::CopyPart, 2, part.clone());
                let mut world = scripted(script.on(call, 1, fault.clone()));
                world.journal = None;
                world.reconcile().await;
                world.assert_equal();
                assert_no_uploads(&world);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn transient_part_failure_repeats_no_other_part() {
    for concurrent_parts in [1, 3, 6] {
        let fails = PortFault::Fails(failure(FailureKind::Retry));
        let slow = PortFault::Slow(Duration::from_mins(1));
        let script = FaultScript::default()
            .always(PortCall::CopyPart, slow)
            .on(PortCall::CopyPart, 4, fails);
        let mut world = scripted(script);
        world.concurrent_parts = concurrent_parts;
        assert_copied(&world.reconcile().await);
        assert_eq!(
            world.script.count(PortCall::CopyPart),
            6 + 1,
            "{concurrent_parts} concurrent parts"
        );
        assert_eq!(world.script.count(PortCall::CreateUpload), 1);
        world.assert_equal();
        assert_no_uploads(&world);
    }
}

#[tokio::test(start_paused = true)]
async fn persistent_part_failure_preserves_copied_parts_for_the_next_message() {
    let fails = PortFault::Fails(failure(FailureKind::Retry));
    let script = FaultScript::default().always(PortCall::CopyPart, fails);
    let world = scripted(script);
    let report = world.reconcile().await;
    assert!(mentions(&report, "Scripted") && report.upload_left, "{report:?}");
    assert_eq!(world.destination.uploads().len(), 1);
    let healed = unscripted(&world);
    assert_copied(&healed.reconcile().await);
    assert_eq!(healed.script.count(PortCall::CreateUpload), 0, "the same upload");
    assert_no_uploads(&healed);
}

/// Returns a script in which every second part fails.
fn every_second_part_fails() -> FaultScript {
    (1..20).map(|nth| 2 * nth).fold(FaultScript::default(), |script, nth| {
        script.on(PortCall::CopyPart, nth, PortFault::Fails(failure(FailureKind::Retry)))
    })
}

#[tokio::test(start_paused = true)]
async fn failing_parts_do_not_end_a_copy_that_makes_progress() {
    let mut world = scripted(every_second_part_fails());
    world.concurrent_parts = 1;
    world.source.put_large(KEY, "one", 8 * GIB, &[]);
    let report = world.reconcile().await;
    assert_copied(&report);
    let counted = [PortCall::CreateUpload, PortCall::CopyPart].map(|call| world.script.count(call));
    assert_eq!(counted, [1, 8 + 7]);
    assert_eq!(report.passes, 8, "more passes than a copy without progress");
    world.assert_equal();
    assert_no_uploads(&world);
}

#[tokio::test(start_paused = true)]
async fn single_copied_part_does_not_prolong_a_failing_copy() {
    let script = FaultScript::default()
        .always(PortCall::CopyPart, PortFault::Fails(failure(FailureKind::Retry)))
        .on(PortCall::CopyPart, 1, PortFault::Slow(Duration::from_secs(1)));
    let mut world = scripted(script);
    world.concurrent_parts = 1;
    let report = world.reconcile().await;
    assert!(mentions(&report, "Scripted"), "{report:?}");
    assert_eq!(report.passes, MAX_PASSES);
}

#[tokio::test(start_paused = true)]
async fn copy_without_journal_ends_if_parts_fail_despite_progress() {
    let mut world = scripted(every_second_part_fails());
    world.concurrent_parts = 1;
    world.journal = None;
    let report = world.reconcile().await;
    assert!(mentions(&report, "Scripted"), "{report:?}");
    assert_eq!(world.script.count(PortCall::CreateUpload), MAX_PASSES);
    assert_no_uploads(&world);
}

#[tokio::test(start_paused = true)]
async fn permanent_failure_does_not_wait_for_other_parts() {
    let slow = PortFault::Slow(Duration::from_mins(1));
    let fails = PortFault::Fails(failure(FailureKind::Permanent));
    let script = FaultScript::default()
        .always(PortCall::CopyPart, slow)
        .on(PortCall::CopyPart, 1, fails);
    let world = scripted(script);
    let report = world.reconcile().await;
    assert!(mentions(&report, "Scripted"), "{report:?}");
    assert!(report.duration < Duration::from_mins(1), "{report:?}");
    assert_no_uploads(&world);
}

#[tokio::test(start_paused = true)]
async fn part_that_would_exceed_the_deadline_is_not_begun() {
    let mut world =
        scripted(FaultScript::default().always(PortCall::CopyPart, PortFault::Slow(Duration::from_mins(1))));
    world.concurrent_parts = 1;
    let reconciler = world.reconciler();
    // Five seconds are reserved for recording the parts.
    let deadline = reconciler.clock.now().plus(Duration::from_secs(3 * 60 + 5));
    let report = reconciler.reconcile(&key(KEY), &AttributeSet::new(), deadline).await;
    assert_eq!(report.outcome, Outcome::Deferred(DeferralReason::Deadline));
    assert_eq!(world.script.count(PortCall::CopyPart), 2);
}

#[tokio::test(start_paused = true)]
async fn equal_bytes_written_after_the_completion_are_an_external_write() {
    const PARTS: [u64; 2] = [2 * GIB, 4 * GIB];
    let base = world();
    base.source.put_large(KEY, "one", 6 * GIB, &PARTS);
    let destination = base.destination.clone();
    let foreign = move || {
        destination.put_large_with(KEY, "one", 6 * GIB, &PARTS, |facts| {
            facts.user_metadata.insert("owner".to_owned(), "application".to_owned());
        });
    };
    let world = base.with_script(FaultScript::default().on(PortCall::CompleteUpload, 1, PortFault::after(foreign)));
    assert_copied(&world.reconcile().await);
    world.assert_equal();
    assert_no_uploads(&world);
}

#[tokio::test(start_paused = true)]
async fn permanent_failure_leaves_no_upload() {
    for call in [
        PortCall::CopyPart,
        PortCall::CompleteUpload,
        PortCall::CreateEntry,
        PortCall::CreateUpload,
        PortCall::Layout,
    ] {
        for kind in [FailureKind::Permanent, FailureKind::Configuration] {
            let world = scripted(FaultScript::default().always(call, PortFault::Fails(failure(kind))));
            let report = world.reconcile().await;
            assert!(mentions(&report, "Scripted"), "{call:?}: {report:?}");
            assert_no_uploads(&world);
            assert_eq!(world.destination.content(KEY), None);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn transient_failure_of_any_call_is_retried() {
    for call in CALLS.into_iter().chain([PortCall::RemoveEntry]) {
        for fault in [
            PortFault::Fails(failure(FailureKind::Retry)),
            PortFault::ResponseLost,
            PortFault::RequestLost,
        ] {
            let world = scripted(FaultScript::default().on(call, 1, fault.clone()));
            let report = world.reconcile().await;
            let ended_well = matches!(
                report.outcome,
                Outcome::Copied { .. } | Outcome::Skipped(SkipReason::AlreadyIdentical)
            );
            assert!(ended_well, "{call:?} {fault:?}: {report:?}");
            world.assert_equal();
            assert_no_uploads(&world);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn write_at_any_moment_arrives() {
    for call in CALLS.into_iter().chain([PortCall::RemoveEntry]) {
        for nth in 1..=6 {
            let base = world();
            let source = base.source.clone();
            let write = move || source.put_large(KEY, "two", 6 * GIB, &[3 * GIB, 3 * GIB]);
            for fault in [PortFault::before(write.clone()), PortFault::after(write.clone())] {
                let world = base.clone().with_script(FaultScript::default().on(call, nth, fault));
                let report = world.reconcile().await;
                assert!(
                    !matches!(report.outcome, Outcome::Failed(_)),
                    "{call:?} {nth}: {report:?}"
                );
                world.assert_equal();
                assert_no_uploads(&world);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn destination_write_during_the_upload_is_detected() {
    for call in [PortCall::CreateUpload, PortCall::CopyPart, PortCall::CompleteUpload] {
        let base = world();
        let destination = base.destination.clone();
        let script = FaultScript::default().on(call, 1, PortFault::before(move || destination.put(KEY, "foreign")));
        let world = base.with_script(script);
        assert_copied(&world.reconcile().await);
        world.assert_equal();
        assert_eq!(
            world.script.count(PortCall::CreateUpload),
            2,
            "{call:?}: the condition belongs to an upload"
        );
        assert_no_uploads(&world);
    }
}

/// Returns the order that the first reconcile of the object carries out.
fn order(world: &TestWorld) -> CopyOrder {
    let facts = world.source.facts(KEY).unwrap();
    CopyOrder {
        in_place: None,
        pin: SourcePin::of(&facts),
        condition: WriteCondition::Absent,
        method: CopyMethod::Multipart,
        explicit: ExplicitAttributes {
            metadata: Some(CopiedMetadata::default()),
            tags: facts.tags.clone(),
            ..ExplicitAttributes::plain()
        },
        source_checksum: Some(ExplicitChecksum {
            algorithm: "CRC64NVME",
            coverage: ChecksumCoverage::FullObject,
        }),
        size_bytes: facts.size_bytes,
        follow_up: AttributeSet::new(),
    }
}

/// Creates an upload like another invocation, and copies its first part.
async fn begin(world: &TestWorld) -> UploadEntry {
    let order = order(world);
    let plan = plan(order.size_bytes, &PartLayout::NotMultipart, GIB).unwrap();
    let destination = MemoryDestination {
        source: world.source.clone(),
        bucket: world.destination.clone(),
    };
    let terms = UploadParameters::new(&order, &plan);
    let id = destination.create_upload(&key(KEY), &terms).await.unwrap();
    let first = plan.parts().next().unwrap();
    destination.copy_part(&key(KEY), &id, &order.pin, &first).await.unwrap();
    route().entry(&key(KEY), id, &order, plan)
}

#[tokio::test(start_paused = true)]
async fn upload_of_another_invocation_is_resumed() {
    let world = world();
    let entry = begin(&world).await;
    world.journal.as_ref().unwrap().put(&key(KEY), Some(entry));
    assert_copied(&world.reconcile().await);
    let counted = [PortCall::CreateUpload, PortCall::CopyPart].map(|call| world.script.count(call));
    assert_eq!(counted, [0, 5]);
    world.assert_equal();
    assert_no_uploads(&world);
}

#[tokio::test(start_paused = true)]
async fn loser_of_the_journal_race_aborts_its_upload_and_resumes_the_journaled_one() {
    let base = world();
    let entry = begin(&base).await;
    let journal = base.journal.clone().unwrap();
    let faster = PortFault::before(move || drop(journal.put(&key(KEY), Some(entry.clone()))));
    let world = base.with_script(FaultScript::default().on(PortCall::CreateEntry, 1, faster));
    assert_copied(&world.reconcile().await);
    let counted =
        [PortCall::CreateUpload, PortCall::AbortUpload, PortCall::CopyPart].map(|call| world.script.count(call));
    assert_eq!(counted, [1, 1, 5]);
    world.assert_equal();
    assert_no_uploads(&world);
}

#[tokio::test(start_paused = true)]
async fn upload_of_a_superseded_version_is_aborted() {
    let world = world();
    let entry = begin(&world).await;
    world.journal.as_ref().unwrap().put(&key(KEY), Some(entry));
    world.source.put_large(KEY, "two", 7 * GIB, &[]);
    assert_copied(&world.reconcile().await);
    assert_eq!(world.script.count(PortCall::CopyPart), 7);
    world.assert_equal();
    assert_no_uploads(&world);
}

#[tokio::test(start_paused = true)]
async fn leftover_upload_is_aborted_if_no_copy_is_needed() {
    type Change = fn(&TestWorld);
    let unfinished = AttributeSet::from([Attribute::UnfinishedUpload]);
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
        assert_no_uploads(&world);
    }
}

#[tokio::test(start_paused = true)]
async fn unreadable_entry_is_replaced() {
    let world = world();
    world.journal.as_ref().unwrap().put(&key(KEY), None);
    assert_copied(&world.reconcile().await);
    world.assert_equal();
    assert_no_uploads(&world);
}

#[tokio::test(start_paused = true)]
async fn entry_of_an_aborted_upload_is_replaced() {
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
    assert_no_uploads(&world);
}

#[tokio::test(start_paused = true)]
async fn completion_does_not_remove_the_entry_of_another_upload() {
    let base = world();
    let (source, journal) = (base.source.clone(), base.journal.clone().unwrap());
    let other = base.clone();
    source.put_large(KEY, "two", 7 * GIB, &[]);
    let successor = begin(&other).await;
    source.put_large(KEY, "one", 6 * GIB, &[]);
    let (at, entry) = (journal.clone(), successor.clone());
    // During the completion, another invocation removes the entry and creates another upload.
    let overtaken = PortFault::after(move || drop(at.put(&key(KEY), Some(entry.clone()))));
    let world = base.with_script(FaultScript::default().on(PortCall::CompleteUpload, 1, overtaken));
    assert_copied(&world.reconcile().await);
    assert_eq!(
        journal.entry(&key(KEY)),
        Some(successor),
        "the entry of the other upload stays"
    );
}

#[tokio::test(start_paused = true)]
async fn upload_is_repeated_if_a_later_write_stays_current() {
    let base = world();
    let source_copy = base.destination.clone();
    // Equal content, so that the condition of the completion does not distinguish the objects.
    base.destination.put(KEY, "other");
    let foreign = PortFault::before(move || {
        source_copy.put_with(KEY, "other", |facts| {
            facts.user_metadata.insert("owner".into(), "foreign".into());
        });
    });
    let world = base.with_script(FaultScript::default().on(PortCall::CompleteUpload, 1, foreign));
    assert_copied(&world.reconcile().await);
    world.assert_equal();
    assert!(
        world.script.count(PortCall::CreateUpload) > 1,
        "the first upload is not the current version"
    );
    assert_no_uploads(&world);
}

#[tokio::test(start_paused = true)]
async fn conflict_at_completion_starts_a_new_upload() {
    let base = world();
    let destination = base.destination.clone();
    let script = FaultScript::default().on(
        PortCall::CompleteUpload,
        1,
        PortFault::before(move || destination.put(KEY, "foreign")),
    );
    let world = base.with_script(script);
    assert_copied(&world.reconcile().await);
    assert_eq!(world.script.count(PortCall::CreateUpload), 2);
    world.assert_equal();
    assert_no_uploads(&world);
}

#[tokio::test(start_paused = true)]
async fn object_above_the_upload_limit_is_refused() {
    let world = TestWorld::new();
    world.source.put_large(KEY, "one", 10_000 * 5 * GIB + 1, &[]);
    assert!(mentions(&world.reconcile().await, "ObjectTooLarge"));
    assert_no_uploads(&world);
}

#[tokio::test(start_paused = true)]
async fn largest_object_is_copied_in_ten_thousand_parts() {
    let world = TestWorld::new();
    world.source.put_large(KEY, "one", 10_000 * 5 * GIB, &[]);
    assert_copied(&world.reconcile().await);
    assert_eq!(world.script.count(PortCall::CopyPart), 10_000);
    world.assert_equal();
}

/// Returns a setup with an annotated object that requires a multipart copy.
fn annotated(destination: MemoryBucket, script: FaultScript) -> TestWorld {
    let mut world = TestWorld::of(MemoryBucket::versioned(), destination).with_script(script);
    world.policy.part_size_bytes = GIB;
    world.source.put_large_with(KEY, "one", 6 * GIB, &[], |facts| {
        facts.annotations = Some([("note".to_owned(), "draft".to_owned())].into());
    });
    world
}

#[tokio::test(start_paused = true)]
async fn failed_annotations_are_written_after_redelivery() {
    let denied = PortFault::Fails(failure(FailureKind::Permanent));
    let throttled = PortFault::Fails(failure(FailureKind::Retry));
    let world = annotated(MemoryBucket::versioned(), FaultScript::default());
    for journal in [world.journal.clone(), None] {
        for fault in [&denied, &throttled] {
            let world = TestWorld {
                journal: journal.clone(),
                ..annotated(
                    MemoryBucket::versioned(),
                    FaultScript::default().always(PortCall::UpdateAttributes, fault.clone()),
                )
            };
            let report = world.reconcile().await;
            assert!(
                matches!(&report.outcome, Outcome::Failed(failure) if failure.detail.contains("depth head")),
                "{report:?}"
            );
            assert!(report.upload_left, "the next reconcile reads the annotations");
            assert_eq!(world.script.count(PortCall::CompleteUpload), 1);
            let world = unscripted(&world);
            let report = world.reconcile_with(&attributes_after_interruption()).await;
            let attributes = AttributeSet::from([Attribute::Annotations]);
            assert_eq!(report.outcome, Outcome::AttributesUpdated { attributes });
            assert_eq!(world.script.count(PortCall::CompleteUpload), 0);
            world.assert_equal();
            assert_no_uploads(&world);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn entry_stays_until_annotations_are_written() {
    let script = FaultScript::default().on(PortCall::UpdateAttributes, 1, PortFault::Hangs);
    let world = annotated(MemoryBucket::versioned(), script);
    let report = world.reconcile().await;
    assert_eq!(report.outcome, Outcome::Deferred(DeferralReason::Deadline));
    assert_eq!(world.journal.as_ref().unwrap().keys(), [key(KEY)]);
    let world = unscripted(&world);
    world.reconcile_with(&attributes_after_interruption()).await;
    world.assert_equal();
    assert_no_uploads(&world);
}

#[tokio::test(start_paused = true)]
async fn annotations_follow_a_single_copy_without_versioning() {
    let world = annotated(MemoryBucket::unversioned(), FaultScript::default());
    assert_copied(&world.reconcile().await);
    world.assert_equal();
    assert_no_uploads(&world);
    assert_eq!(world.script.count(PortCall::CompleteUpload), 1);
    assert_eq!(world.script.count(PortCall::UpdateAttributes), 1);
}

#[tokio::test(start_paused = true)]
async fn changed_tags_without_versions_read_all_attributes() {
    let world = annotated(MemoryBucket::unversioned(), FaultScript::default());
    world.source.tag(KEY, &[("t", "1")]);
    assert_copied(&world.reconcile().await);
    world.source.tag(KEY, &[("t", "2")]);
    let world = unscripted(&world);
    assert_copied(&world.reconcile_with(&AttributeSet::from([Attribute::Tags])).await);
    world.assert_equal();
    assert_eq!(world.script.count(PortCall::CompleteUpload), 1);
}

/// S3 may answer 404 for an existing object for minutes after versioning was first enabled.
#[tokio::test(start_paused = true)]
async fn destination_that_answers_404_for_its_object_is_copied_to_once() {
    let world = world();
    world.destination.put(KEY, "old");
    world.destination.hide(KEY);
    let report = world.reconcile().await;
    assert!(mentions(&report, "AbsenceUnconfirmed"), "{report:?}");
    assert_eq!(world.script.count(PortCall::CompleteUpload), 1);
    assert_no_uploads(&world);
    world.destination.show_all();
    assert_copied(&world.reconcile().await);
    world.assert_equal();
}

/// S3 accepts 8 KB of headers, and ten tags can be longer.
#[tokio::test(start_paused = true)]
async fn tags_too_large_for_headers_follow_the_copy() {
    let long = "x".repeat(5_000);
    for destination in [MemoryBucket::versioned(), MemoryBucket::unversioned()] {
        let script = FaultScript::default().on(PortCall::UpdateAttributes, 1, PortFault::Hangs);
        let world = TestWorld::of(MemoryBucket::versioned(), destination).with_script(script);
        world.source.put_large_with(KEY, "one", 6 * GIB, &[], |facts| {
            facts.tags = Some([("note".to_owned(), long.clone())].into());
        });
        let report = world.reconcile().await;
        assert_eq!(report.outcome, Outcome::Deferred(DeferralReason::Deadline));
        let tags = || world.destination.facts(KEY).unwrap().tags;
        assert_eq!(tags().map(|tags| tags.len()), Some(0));
        // The next reconcile reads that their number differs.
        let world = unscripted(&world);
        let attributes = AttributeSet::from([Attribute::Tags]);
        assert_eq!(
            world.reconcile().await.outcome,
            Outcome::AttributesUpdated { attributes }
        );
        assert_eq!(world.script.count(PortCall::CompleteUpload), 0);
        world.assert_equal();
        let outcome = world.reconcile().await.outcome;
        assert_eq!(outcome, Outcome::Skipped(SkipReason::AlreadyIdentical));
    }
}
