//! Content of objects, read as a stream.

use s3ferry_aws::content::S3Content;
use s3ferry_core::facts::{AttributeSet, ObjectFacts, ObjectState};
use s3ferry_core::failure::FailureKind;
use s3ferry_core::names::AccountId;
use s3ferry_engine::verify::VerifiedBucket as _;

use crate::recorded::{Answer, HEAD_OK, Recorded, SOURCE_REGION, answer, assert_failure, bucket, error, key, region};

const WHOLE: Answer = answer(200, &[], "hello");

fn content(recorded: &Recorded) -> S3Content {
    S3Content::new(
        recorded.clients.s3_for_reading(&region(SOURCE_REGION)),
        bucket("source-bucket"),
        region(SOURCE_REGION),
        Some(AccountId::new("123456789012").unwrap()),
    )
}

async fn read_facts(content: &S3Content) -> ObjectFacts {
    let ObjectState::Present(facts) = content.read(&key(), &AttributeSet::new()).await.unwrap() else {
        panic!("the object is there");
    };
    *facts
}

#[tokio::test]
async fn content_is_read_from_the_version_that_was_read() {
    let recorded = Recorded::new([HEAD_OK, WHOLE, WHOLE, answer(200, &[], "other")]);
    let content = content(&recorded);
    let facts = read_facts(&content).await;
    let one = content.digest(&key(), &facts).await.unwrap().unwrap();
    assert!(recorded.line(1).contains("versionId=v1"), "{}", recorded.line(1));
    recorded.assert_headers(
        1,
        &[
            ("if-match", Some("\"aa\"")),
            ("range", None),
            ("x-amz-expected-bucket-owner", Some("123456789012")),
        ],
    );
    assert_eq!(content.digest(&key(), &facts).await.unwrap(), Some(one));
    assert_ne!(content.digest(&key(), &facts).await.unwrap(), Some(one));
}

#[tokio::test]
async fn interrupted_stream_resumes_at_its_offset() {
    let rest = answer(206, &[("content-range", "bytes 2-4/5")], "llo");
    let recorded = Recorded::new([HEAD_OK, WHOLE, answer(200, &[], "he"), rest]);
    let content = content(&recorded);
    let facts = read_facts(&content).await;
    let whole = content.digest(&key(), &facts).await.unwrap();
    assert_eq!(content.digest(&key(), &facts).await.unwrap(), whole);
    recorded.assert_headers(3, &[("range", Some("bytes=2-")), ("if-match", Some("\"aa\""))]);
}

#[tokio::test]
async fn response_that_ignores_the_range_is_not_hashed_twice() {
    let broken = || answer(200, &[], "he");
    let recorded = Recorded::new([HEAD_OK, broken(), WHOLE, WHOLE, WHOLE, WHOLE]);
    let content = content(&recorded);
    let facts = read_facts(&content).await;
    let failure = content.digest(&key(), &facts).await.unwrap_err();
    assert_failure(
        &failure,
        FailureKind::Retry,
        &["ContentBrokeOff", "does not begin at byte 2"],
    );
}

#[tokio::test]
async fn replaced_or_deleted_object_has_no_content_hash() {
    for refusal in [error(412, "PreconditionFailed"), error(404, "NoSuchVersion")] {
        let recorded = Recorded::new([HEAD_OK, refusal]);
        let content = content(&recorded);
        let facts = read_facts(&content).await;
        assert_eq!(content.digest(&key(), &facts).await, Ok(None));
    }
}

#[tokio::test]
async fn archived_object_is_a_failure_that_names_its_state() {
    let recorded = Recorded::new([HEAD_OK, error(403, "InvalidObjectState")]);
    let content = content(&recorded);
    let facts = read_facts(&content).await;
    let failure = content.digest(&key(), &facts).await.unwrap_err();
    assert_failure(
        &failure,
        FailureKind::Permanent,
        &["InvalidObjectState", "s3:GetObjectVersion"],
    );
}

#[tokio::test]
async fn content_with_a_checksum_mismatch_is_read_again() {
    // The CRC32 of `hello`.
    let corrupt = answer(200, &[("x-amz-checksum-crc32", "NhCmhg==")], "hullo");
    let intact = answer(200, &[("x-amz-checksum-crc32", "NhCmhg==")], "hello");
    let recorded = Recorded::new([HEAD_OK, corrupt, intact, WHOLE]);
    let content = content(&recorded);
    let facts = read_facts(&content).await;
    let read = content.digest(&key(), &facts).await.unwrap();
    assert_eq!(recorded.sent(), 3);
    recorded.assert_headers(2, &[("range", None)]);
    assert_eq!(content.digest(&key(), &facts).await.unwrap(), read);
}
