//! The upload journal in the state bucket.

use s3ferry_core::failure::FailureKind;
use s3ferry_core::names::ObjectKey;
use s3ferry_core::order::WriteCondition;
use s3ferry_core::plan::{PartLayout, plan};
use s3ferry_core::upload::{UploadEntry, UploadId};
use s3ferry_engine::ports::{JournaledUpload, UploadJournal as _, WriteError};

use crate::recorded::{Answer, Recorded, answer, assert_failure, error, etag, key, order, route};

fn entry_of(key: &ObjectKey) -> UploadEntry {
    let mut order = order(WriteCondition::Absent);
    order.size_bytes = 12_000_000;
    let plan = plan(order.size_bytes, &PartLayout::NotMultipart, 5 * 1024 * 1024).unwrap();
    route().entry(key, UploadId::new("up").unwrap(), &order, plan)
}

fn stored(body: String) -> Answer {
    answer(200, &[("etag", "\"e1\"")], Box::leak(body.into_boxed_str()))
}

fn url() -> String {
    let name = route().entry_name(&key());
    format!("https://state-bucket.s3.us-east-1.amazonaws.com/{name}")
}

#[tokio::test]
async fn entry_is_created_only_if_none_exists() {
    let recorded = Recorded::new([answer(200, &[("etag", "\"e1\"")], ""), error(412, "PreconditionFailed")]);
    let journal = recorded.journal();
    let entry = entry_of(&key());
    assert_eq!(journal.create(&key(), &entry).await, Ok(Some(etag("e1"))));
    assert_eq!(journal.create(&key(), &entry).await, Ok(None));
    assert_eq!(recorded.line(0), format!("PUT {}?x-id=PutObject", url()));
    recorded.assert_headers(
        0,
        &[("if-none-match", Some("*")), ("content-type", Some("application/json"))],
    );
    // A written entry can be read.
    let reading = Recorded::new([stored(recorded.body(0))]);
    let journaled = JournaledUpload {
        etag: etag("e1"),
        entry: Some(entry),
    };
    assert_eq!(reading.journal().load(&key()).await, Ok(Some(journaled)));
    assert_eq!(reading.line(0), format!("GET {}?x-id=GetObject", url()));
}

#[tokio::test(start_paused = true)]
async fn entry_creation_is_sent_once_and_its_failures_are_named() {
    let create = async |answer| {
        let recorded = Recorded::new([answer]);
        let created = recorded.journal().create(&key(), &entry_of(&key())).await;
        assert_eq!(recorded.sent(), 1);
        created.unwrap_err()
    };
    assert_eq!(
        create(error(409, "ConditionalRequestConflict")).await,
        WriteError::PreconditionFailed
    );
    let WriteError::Failed(failure) = create(error(403, "AccessDenied")).await else {
        panic!("not a failure");
    };
    let name = route().entry_name(&key());
    assert_failure(
        &failure,
        FailureKind::Permanent,
        &["s3:PutObject", "arn:aws:s3:::state-bucket", &name],
    );
    let unknown = create(answer(200, &[], "")).await;
    assert!(matches!(unknown, WriteError::OutcomeUnknown(_)), "{unknown:?}");
}

#[tokio::test(start_paused = true)]
async fn missing_entry_is_none_and_a_forbidden_one_is_a_failure() {
    let recorded = Recorded::new([
        error(404, "NoSuchKey"),
        error(403, "AccessDenied"),
        error(404, "NoSuchBucket"),
    ]);
    let journal = recorded.journal();
    assert_eq!(journal.load(&key()).await, Ok(None));
    let failure = journal.load(&key()).await.unwrap_err();
    assert_failure(&failure, FailureKind::Permanent, &["s3:GetObject", "s3:ListBucket"]);
    let failure = journal.load(&key()).await.unwrap_err();
    assert_failure(&failure, FailureKind::Configuration, &["NoSuchBucket"]);
}

#[tokio::test]
async fn unreadable_entry_has_no_content() {
    let other = ObjectKey::from_raw("another").unwrap();
    let foreign = serde_json::to_string(&entry_of(&other)).unwrap();
    for body in ["", "{}", "no json", &foreign] {
        let recorded = Recorded::new([stored(body.to_owned())]);
        let journaled = JournaledUpload {
            etag: etag("e1"),
            entry: None,
        };
        assert_eq!(recorded.journal().load(&key()).await, Ok(Some(journaled)), "{body}");
    }
}

#[tokio::test(start_paused = true)]
async fn only_the_entry_that_was_read_is_removed() {
    let recorded = Recorded::new([answer(204, &[], "")]);
    recorded.journal().remove(&key(), &etag("e1")).await.unwrap();
    assert_eq!(recorded.line(0), format!("DELETE {}?x-id=DeleteObject", url()));
    recorded.assert_headers(0, &[("if-match", Some("\"e1\""))]);
    for gone in [error(412, "PreconditionFailed"), error(404, "NoSuchKey")] {
        let recorded = Recorded::new([gone]);
        assert_eq!(recorded.journal().remove(&key(), &etag("e1")).await, Ok(()));
    }
    let recorded = Recorded::new([error(404, "NoSuchBucket")]);
    let failure = recorded.journal().remove(&key(), &etag("e1")).await.unwrap_err();
    assert_failure(&failure, FailureKind::Configuration, &["s3:DeleteObject"]);
}
