//! Uploads that nobody wrote down: who looks for them, and which of them are aborted.

use std::time::Duration;

use futures::FutureExt as _;
use s3ferry_core::facts::{Aspect, Aspects};
use s3ferry_core::failure::{Failure, FailureKind};
use s3ferry_core::order::UploadTerms;
use s3ferry_core::outcome::{Outcome, SkipReason};
use s3ferry_core::upload::UploadId;
use s3ferry_engine::ports::DestinationBucket as _;
use s3ferry_testkit::faults::{Call, Fault, Script, failure};
use s3ferry_testkit::memory::{MemoryDestination, OURSELVES};

use super::{GIB, assert_copied, assert_tidy, begin, scripted, unscripted, world, world_before};
use crate::world::{KEY, TestWorld, key};

/// What is asked for when a message comes again.
fn unfinished() -> Aspects {
    Aspects::from([Aspect::UnfinishedUpload])
}

/// Begins an upload that nobody writes down.
fn begin_as(world: &TestWorld, key: &str, initiator: &'static str) -> UploadId {
    world
        .destination
        .begin_upload(key, initiator, &UploadTerms::plain(None))
}

/// A script in which the answer to the first `CreateMultipartUpload` is lost.
fn first_upload_is_unknown() -> Script {
    Script::default().on(Call::CreateUpload, 1, Fault::AnswerLost)
}

#[tokio::test(start_paused = true)]
async fn upload_whose_answer_was_lost_is_aborted_with_and_without_a_journal() {
    for has_journal in [true, false] {
        let mut world = scripted(first_upload_is_unknown());
        world.journal = world.journal.filter(|_| has_journal);
        let report = world.reconcile().await;
        assert_copied(&report);
        assert!(report.outcome_unknown, "one that lands later is looked for: {report:?}");
        assert_tidy(&world);
    }
}

#[tokio::test(start_paused = true)]
async fn upload_whose_answer_was_lost_is_looked_for_though_nothing_is_left_to_copy() {
    let base = world();
    let copy = base.destination.clone();
    let somebody_else_is_faster = move || copy.put_large(KEY, "one", 6 * GIB, &[]);
    let script = first_upload_is_unknown().on(Call::DestinationRead, 2, Fault::before(somebody_else_is_faster));
    let world = base.with_script(script);
    let report = world.reconcile().await;
    assert_eq!(report.outcome, Outcome::Skipped(SkipReason::AlreadyIdentical));
    assert_tidy(&world);
}

#[tokio::test(start_paused = true)]
async fn when_a_message_comes_again_an_upload_that_nobody_wrote_down_is_aborted() {
    let world = scripted(Script::default());
    assert_copied(&world.reconcile().await);
    begin_as(&world, KEY, OURSELVES);
    let report = world.reconcile_with(&unfinished()).await;
    assert_eq!(report.outcome, Outcome::Skipped(SkipReason::AlreadyIdentical));
    assert_tidy(&world);
    // Where nothing is left, it takes one look.
    let again = unscripted(&world);
    again.reconcile_with(&unfinished()).await;
    let counted = [Call::ListUploads, Call::CreateUpload, Call::AbortUpload].map(|call| again.script.count(call));
    assert_eq!(counted, [1, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn without_a_journal_what_an_earlier_process_left_is_looked_for() {
    let mut world = world_before(Duration::from_hours(49));
    world.journal = None;
    begin_as(&world, KEY, OURSELVES);
    begin(&world).await;
    assert_copied(&world.reconcile().await);
    assert_tidy(&world);
}

#[tokio::test(start_paused = true)]
async fn upload_that_failed_for_a_while_and_was_begun_all_the_same_is_aborted() {
    let fails = Fault::Fails(failure(FailureKind::Retry));
    let world = scripted(Script::default().on(Call::CreateUpload, 1, fails));
    begin_as(&world, KEY, OURSELVES);
    assert_copied(&world.reconcile().await);
    assert_tidy(&world);
}

#[tokio::test(start_paused = true)]
async fn search_whose_own_upload_somebody_else_aborted_is_repeated() {
    let base = world();
    let port = MemoryDestination {
        source: base.source.clone(),
        bucket: base.destination.clone(),
    };
    let somebody_else_searches = move || {
        for id in port.bucket.uploads() {
            port.abort_upload(&key(KEY), &id).now_or_never().unwrap().unwrap();
        }
    };
    let world = base.with_script(Script::default().on(Call::ListUploads, 2, Fault::before(somebody_else_searches)));
    assert_copied(&unscripted(&world).reconcile().await);
    begin_as(&world, KEY, OURSELVES);
    let report = world.reconcile_with(&unfinished()).await;
    assert_eq!(report.outcome, Outcome::Skipped(SkipReason::AlreadyIdentical));
    assert_eq!(world.script.count(Call::ListUploads), 3);
    assert_tidy(&world);
}

#[tokio::test(start_paused = true)]
async fn uploads_that_are_not_looked_for_are_not_listed() {
    let world = scripted(Script::default());
    assert_copied(&world.reconcile().await);
    assert_eq!(world.script.count(Call::ListUploads), 0);
}

#[tokio::test(start_paused = true)]
async fn uploads_of_others_and_those_with_parts_and_the_one_that_is_written_down_are_left_alone() {
    let world = scripted(first_upload_is_unknown());
    let foreign = begin_as(&world, KEY, "somebody else");
    let of_another_key = begin_as(&world, "another", OURSELVES);
    let with_parts = begin(&world).await.upload_id;
    // While uploads are looked for, another invocation begins one and writes it down.
    let entry = begin(&world).await;
    let (journal, named) = (world.journal.clone().unwrap(), entry.upload_id.clone());
    let begun_elsewhere = move || {
        journal.put(&key(KEY), Some(entry.clone()));
    };
    let script = first_upload_is_unknown().on(Call::ListUploads, 1, Fault::before(begun_elsewhere));
    let world = world.with_script(script);
    assert_copied(&world.reconcile().await);
    let mut left = world.destination.uploads();
    left.sort();
    let mut expected = [foreign, of_another_key, with_parts, named];
    expected.sort();
    assert_eq!(left, expected);
}

#[tokio::test(start_paused = true)]
async fn upload_with_parts_that_nobody_wrote_down_is_aborted_after_two_days() {
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
async fn key_is_not_done_while_uploads_cannot_be_looked_for_unless_that_is_denied() {
    let denied = Failure {
        code: "AccessDenied".to_owned(),
        ..failure(FailureKind::Permanent)
    };
    for call in [
        Call::ListUploads,
        Call::CreateUpload,
        Call::ListParts,
        Call::AbortUpload,
    ] {
        for failure in [
            failure(FailureKind::Retry),
            failure(FailureKind::Permanent),
            denied.clone(),
        ] {
            let world = scripted(Script::default().always(call, Fault::Fails(failure.clone())));
            assert_copied(&unscripted(&world).reconcile().await);
            begin_as(&world, KEY, OURSELVES);
            let report = world.reconcile_with(&unfinished()).await;
            // Once the search has begun an upload of its own, that must go.
            let begins = matches!(call, Call::ListUploads | Call::CreateUpload);
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
