//! What lies around an object's bytes and no plain request carries.

use std::collections::BTreeMap;

use s3ferry_testkit::sim::model::document::BucketDocument;
use s3ferry_testkit::sim::model::object::SimObject;

use crate::stage::{DESTINATION, SOURCE, Stage};

/// What the simulator keeps a byte of ISO 8859-1 as.
const RAW_U_UMLAUT: char = '\u{f7fc}';

const LOCK_ENABLED: &str =
    "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled></ObjectLockConfiguration>";

impl Stage {
    fn object(&self, bucket: &str, key: &str) -> SimObject {
        let model = self.server.model();
        let object = model.bucket(bucket).expect("the bucket").current_object(key);
        object.expect("the object").clone()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_that_are_not_utf8_arrive_byte_by_byte_and_are_verified() {
    let stage = Stage::new().await;
    let name = format!("attachment; filename=\"M{RAW_U_UMLAUT}ller.pdf\"");
    stage.put_with(SOURCE, "raw", "one", |explicit| {
        explicit.headers.content_disposition = Some(name.clone());
        explicit.headers.content_language = Some(RAW_U_UMLAUT.to_string());
        explicit.headers.expires = Some(RAW_U_UMLAUT.to_string());
    });
    stage.on_both("sync", &["--depth", "head"]).await.must_end_with(0);
    let arrived = stage.object(DESTINATION, "raw").explicit.headers;
    assert_eq!(arrived.content_disposition, Some(name));
    assert_eq!(arrived.expires, Some(RAW_U_UMLAUT.to_string()));
    let again = stage.on_both("sync", &["--depth", "head"]).await.must_end_with(0);
    assert_eq!(again.summary()["copied"], 0);
    stage.on_both("verify", &[]).await.must_end_with(0);

    stage.put_with(SOURCE, "raw", "one", |explicit| {
        explicit.headers.content_disposition = Some(RAW_U_UMLAUT.to_string());
    });
    stage.on_both("verify", &[]).await.must_end_with(1);
    stage.on_both("sync", &["--depth", "head"]).await.must_end_with(0);
    assert_eq!(
        stage.object(DESTINATION, "raw").explicit.headers.content_disposition,
        Some(RAW_U_UMLAUT.to_string())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_too_large_for_headers_arrive_with_a_multipart_copy() {
    let stage = Stage::new().await;
    let tags: BTreeMap<String, String> = (0..10).map(|tag| (format!("tag {tag}"), "ü".repeat(256))).collect();
    stage.put_with(SOURCE, "tagged", &"x".repeat(6 << 20), |explicit| {
        explicit.tags = tags.clone();
        explicit.metadata.insert("owner".to_owned(), "x".repeat(2_000));
    });
    let multipart = ["--multipart-threshold-bytes", "5242880", "--part-size-bytes", "5242880"];
    let ran = stage.on_both("sync", &multipart).await.must_end_with(0);
    assert_eq!(ran.summary()["copied"], 1);
    let arrived = stage.object(DESTINATION, "tagged");
    assert_eq!(arrived.parts.len(), 2);
    assert_eq!(arrived.explicit.tags, tags);
    stage.server.forget_requests();
    stage
        .on_both("sync", &[&multipart[..], &["--depth", "head"]].concat())
        .await
        .must_end_with(0);
    let requests = stage.server.requests();
    assert!(
        !requests.contains_key("PutObjectTagging") && !requests.contains_key("CompleteMultipartUpload"),
        "{requests:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn event_hold_arrives_as_a_hold_and_its_date_is_not_copied() {
    let stage = Stage::new().await;
    for bucket in [SOURCE, DESTINATION] {
        let mut model = stage.server.model();
        let bucket = model.bucket_mut(bucket).expect("the bucket");
        bucket.object_lock = true;
        bucket
            .documents
            .insert(BucketDocument::ObjectLock, LOCK_ENABLED.to_owned());
    }
    stage.put_with(SOURCE, "held", "one", |explicit| explicit.event_hold_days = Some(30));
    stage.put_with(SOURCE, "held later", "one", |_| ());
    stage.on_both("sync", &["--depth", "head"]).await.must_end_with(0);
    let arrived = stage.object(DESTINATION, "held").explicit;
    assert_eq!((arrived.event_hold_days, arrived.retention), (Some(30), None));

    // A copy that is there already gets no hold, and no date because of it, however often it is read.
    stage.put_with(SOURCE, "held later", "one", |explicit| {
        explicit.event_hold_days = Some(30);
    });
    for _ in 0..2 {
        stage.server.forget_requests();
        let ran = stage.on_both("sync", &["--depth", "head"]).await.must_end_with(0);
        let requests = stage.server.requests();
        assert!(!requests.contains_key("PutObjectRetention"), "{requests:?}");
        assert_eq!(ran.summary()["not_preserved"], 1, "{ran:?}");
        let named = std::fs::read_to_string(stage.folder().join("s3ferry-failures.jsonl")).expect("the failures");
        assert!(named.contains("event-hold"), "{named}");
    }
    assert_eq!(stage.object(DESTINATION, "held later").explicit.retention, None);
}

/// Faulty uploaders leave the coding of their request on the object.
#[tokio::test(flavor = "multi_thread")]
async fn aws_chunked_encoding_is_not_copied() {
    let stage = Stage::new().await;
    let content = "x".repeat(6 << 20);
    for (key, coding) in [("chunked", "aws-chunked"), ("zipped", "aws-chunked,gzip")] {
        stage.put_with(SOURCE, key, &content, |explicit| {
            explicit.headers.content_encoding = Some(coding.to_owned());
        });
    }
    let multipart = ["--multipart-threshold-bytes", "5242880", "--part-size-bytes", "5242880"];
    let ran = stage.on_both("sync", &multipart).await.must_end_with(0);
    assert_eq!(ran.summary()["copied"], 2);
    let coding = |key| stage.object(DESTINATION, key).explicit.headers.content_encoding;
    assert_eq!((coding("chunked"), coding("zipped")), (None, Some("gzip".to_owned())));
    let again = stage.on_both("sync", &["--depth", "head"]).await.must_end_with(0);
    assert_eq!(again.summary()["copied"], 0);
}
