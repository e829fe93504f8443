//! Orphaned uploads: when s3ferry searches for them, and which of them it aborts.

use std::time::Duration;

use futures::FutureExt as _;
use s3ferry_core::facts::{Attribute, AttributeSet};
use s3ferry_core::failure::{Failure, FailureKind};
use s3ferry_core::order::UploadParameters;
use s3ferry_core::outcome::{Outcome, SkipReason};
use s3ferry_core::upload::UploadId;
use s3ferry_engine::ports::MultipartUploads as _;
use s3ferry_testkit::faults::{FaultScript, PortCall, PortFault, failure};
use s3ferry_testkit::memory::{MemoryDestination, S3FERRY_INITIATOR};

use super::{GIB, assert_copied, assert_no_uploads, begin, scripted, unscripted, world, world_before};
use crate::world::{KEY, TestWorld, key};

/// Returns the attributes that a redelivered message requests.
fn unfinished() -> AttributeSet {
    AttributeSet::from([Attribute::UnfinishedUpload])
}

/// Creates an upload without a journal entry.
fn begin_as(world: &TestWorld, key: &str, initiator: &'static str) -> UploadId {
    world
        .destination
        .begin_upload(key, initiator, &UploadParameters::plain(None))
}

/// Returns a script in which the response to the first `CreateMultipartUpload` is lost.
fn first_upload_is_unknown() -> FaultScript {
    FaultScript::default().on(PortCall::CreateUpload, 1, PortFault::ResponseLost)
}

#[tokio::test(start_paused = true)]
async fn upload_with_a_lost_create_response_is_aborted_with_and_without_a_journal() {
    for has_journal in [true, false] {
        let mut world = scripted(first_upload_is_unknown());
        world.journal = world.journal.filter(|_| has_journal);
        let report = world.reconcile().await;
        assert_copied(&report);
        assert!(
            report.outcome_unknown,
            "an upload that lands later is searched for: {report:?}"
        );
        assert_no_uploads(&world);
    }
}

#[tokio::test(start_paused = true)]
async fn upload_with_a_lost_create_response_is_searched_for_even_if_no_copy_is_needed() {
    let base = world();
    let copy = base.destination.clone();
    let concurrent_copy = move || copy.put_large(KEY, "one", 6 * GIB, &[]);
    let script = first_upload_is_unknown().on(PortCall::DestinationRead, 2, PortFault::before(concurrent_copy));
    let world = base.with_script(script);
    let report = world.reconcile().await;
    assert_eq!(report.outcome, Outcome::Skipped(SkipReason::AlreadyIdentical));
    assert_no_uploads(&world);
}

#[tokio::test(start_paused = true)]
async fn redelivery_aborts_an_unjournaled_upload() {
    let world = scripted(FaultScript::default());
    assert_copied(&world.reconcile().await);
    begin_as(&world, KEY, S3FERRY_INITIATOR);
    let report = world.reconcile_with(&unfinished()).await;
    assert_eq!(report.outcome, Outcome::Skipped(SkipReason::AlreadyIdentical));
    assert_no_uploads(&world);
    // Without orphaned uploads, the search makes one request.
    let again = unscripted(&world);
    again.reconcile_with(&unfinished()).await;
    let counted =
        [PortCall::ListUploads, PortCall::CreateUpload, PortCall::AbortUpload].map(|call| again.script.count(call));
    assert_eq!(counted, [1, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn without_a_journal_leftover_uploads_are_searched_for() {
    let mut world = world_before(Duration::from_hours(49));
    world.journal = None;
    begin_as(&world, KEY, S3FERRY_INITIATOR);
    begin(&world).await;
    assert_copied(&world.reconcile().await);
    assert_no_uploads(&world);
}

#[tokio::test(start_paused = true)]
async fn upload_created_despite_a_transient_failure_is_aborted() {
    let fails = PortFault::Fails(failure(FailureKind::Retry));
    let world = scripted(FaultScript::default().on(PortCall::CreateUpload, 1, fails));
    begin_as(&world, KEY, S3FERRY_INITIATOR);
    assert_copied(&world.reconcile().await);
    assert_no_uploads(&world);
}

#[tokio::test(start_paused = true)]
async fn search_whose_sample_upload_was_aborted_is_repeated() {
    let base = world();
    let port = MemoryDestination {
        source: base.source.clone(),
        bucket: base.destination.clone(),
    };
    let concurrent_search = move || {
        for id in port.bucket.uploads() {
            port.abort_upload(&key(KEY), &id).now_or_never().unwrap().unwrap();
        }
    };
    let world =
        base.with_script(FaultScript::default().on(PortCall::ListUploads, 2, PortFault::before(concurrent_search)));
    assert_copied(&unscripted(&world).reconcile().await);
    begin_as(&world, KEY, S3FERRY_INITIATOR);
    let report = world.reconcile_with(&unfinished()).await;
    assert_eq!(report.outcome, Outcome::Skipped(SkipReason::AlreadyIdentical));
    assert_eq!(world.script.count(PortCall::ListUploads), 3);
    assert_no_uploads(&world);
}

#[tokio::test(start_paused = true)]
async fn uploads_are_listed_only_when_needed() {
    let world = scripted(FaultScript::default());
    assert_copied(&world.reconcile().await);
    assert_eq!(world.script.count(PortCall::ListUploads), 0);
}

#[tokio::test(start_paused = true)]
async fn uploads_of_others_or_with_parts_or_journaled_are_not_aborted() {
    let world = scripted(first_upload_is_unknown());
    let foreign = begin_as(&world, KEY, "another initiator");
    let of_another_key = begin_as(&world, "another", S3FERRY_INITIATOR);
    let with_parts = begin(&world).await.upload_id;
    // During the search, another invocation creates an upload and journals it.
    let entry = begin(&world).await;
    let (journal, named) = (world.journal.clone().unwrap(), entry.upload_id.clone());
    let begun_elsewhere = move || {
        journal.put(&key(KEY), Some(entry.clone()));
    };
    let script = first_upload_is_unknown().on(PortCall::ListUploads, 1, PortFault::before(begun_elsewhere));
    let world = world.with_script(script);
    assert_copied(&world.reconcile().await);
    let mut left = world.destination.uploads();
    left.sort();
    let mut expected = [foreign, of_another_key, with_parts, named];
    expected.sort();
    assert_eq!(left, expected);
}

#[tokio::test(start_paused = true)]
async fn unjournaled_upload_with_parts_is_aborted_after_two_days() {
    for (hours, is_left) in [(49, false), (48, true), (47, true)] {
        let world = world_before(Duration::from_hours(hours));
        let with_parts = begin(&world).await.upload_id;
        world.reconcile_with(&unfinished()).await;
        world.assert_equal();
        let expected = is_left.then_some(with_parts);
        assert_eq!(world.destination.uploads(), Vec::from_iter(expected), "{hours} hours");
    }
}

#[tokio::test(start_paused = true)]
async fn key_is_unfinished_while_listing_uploads_fails_unless_it_is_denied() {
    let denied = Failure {
        code: "AccessDenied".into(),
        ..failure(FailureKind::Permanent)
    };
    for call in [
        PortCall::ListUploads,
        PortCall::CreateUpload,
        PortCall::ListParts,
        PortCall::AbortUpload,
    ] {
        for failure in [
            failure(FailureKind::Retry),
            failure(FailureKind::Permanent),
            denied.clone(),
        ] {
            let world = scripted(FaultScript::default().always(call, PortFault::Fails(failure.clone())));
            assert_copied(&unscripted(&world).reconcile().await);
            begin_as(&world, KEY, S3FERRY_INITIATOR);
            let report = world.reconcile_with(&unfinished()).await;
            // Once the search has created its sample upload, it must be aborted.
            let begins = matches!(call, PortCall::ListUploads | PortCall::CreateUpload);
            let expected = if failure == denied && begins {
                Outcome::Skipped(SkipReason::AlreadyIdentical)
            } else {
                Outcome::Failed(failure)
            };
            assert_eq!(report.outcome, expected, "{call:?}");
            assert!(!world.destination.uploads().is_empty(), "{call:?}");
        }
    }
}
