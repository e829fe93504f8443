//! Objects downloaded to files.

use s3ferry_aws::file::FileStore;
use s3ferry_core::failure::{Failure, FailureKind};
use s3ferry_core::names::ObjectKey;

use crate::recorded::{Answer, Recorded, SOURCE_REGION, answer, bucket, region};

const BROKEN: Answer = answer(200, &[("content-length", "10")], "short");

async fn fetched(answers: Vec<Answer>) -> (Result<(), Failure>, String, usize) {
    let recorded = Recorded::new(answers);
    let store = FileStore::new(&recorded.clients, bucket("reports"), region(SOURCE_REGION));
    let file = tempfile::NamedTempFile::new().unwrap();
    let key = ObjectKey::from_raw("data/0.csv.gz").unwrap();
    let outcome = store.fetch(&key, file.path()).await;
    let content = std::fs::read_to_string(file.path()).unwrap();
    (outcome, content, recorded.http.actual_requests().count())
}

#[tokio::test]
async fn interrupted_download_starts_again() {
    let whole = answer(200, &[("content-length", "5")], "whole");
    let (outcome, content, requests) = fetched(vec![BROKEN, whole]).await;
    assert_eq!((outcome, content.as_str(), requests), (Ok(()), "whole", 2));
    let (outcome, _, requests) = fetched(vec![BROKEN, BROKEN, BROKEN, BROKEN]).await;
    let failure = outcome.unwrap_err();
    assert_eq!(
        (failure.kind, failure.code.as_str()),
        (FailureKind::Retry, "BrokenContent")
    );
    assert_eq!(requests, 4);
}

#[tokio::test]
async fn missing_file_is_a_permanent_failure() {
    let missing = answer(404, &[], "<Error><Code>NoSuchKey</Code></Error>");
    let (outcome, _, requests) = fetched(vec![missing]).await;
    let failure = outcome.unwrap_err();
    assert_eq!(
        (failure.kind, failure.code.as_str()),
        (FailureKind::Permanent, "NoSuchKey")
    );
    assert_eq!(
        (failure.action.as_str(), failure.resource.as_str(), requests),
        ("s3:GetObject", "arn:aws:s3:::reports/data/0.csv.gz", 1)
    );
}
