//! What is sent to S3 and SQS, and how their answers are taken, with recorded answers.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "test data is what the test made it"
)]

use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, SharedCredentialsProvider};
use aws_sdk_s3::primitives::SdkBody;
use aws_smithy_http_client::test_util::{ReplayEvent, StaticReplayClient};
use s3ferry_aws::client::Clients;
use s3ferry_aws::destination::S3Destination;
use s3ferry_aws::queue::SqsContinuations;
use s3ferry_aws::source::S3Source;
use s3ferry_core::decide::{CopyOrder, ReplicationCoverage, SourcePin, WriteCondition};
use s3ferry_core::event::{Continuation, Payload, ReceiptHandle, parse_payload};
use s3ferry_core::facts::{Aspect, Aspects, ObjectState};
use s3ferry_core::failure::{Failure, FailureKind};
use s3ferry_core::names::{AccountId, BucketName, ETag, ObjectKey, Region, VersionId};
use s3ferry_engine::ports::{
    Absence, Continuations as _, DestinationBucket as _, Redelivery as _, SourceBucket as _, WriteError,
};

const SOURCE_REGION: &str = "us-east-1";
const DESTINATION_REGION: &str = "eu-central-1";

/// Answers requests from a list and keeps them.
struct Recorded {
    http: StaticReplayClient,
    clients: Clients,
}

struct Answer {
    status: u16,
    headers: &'static [(&'static str, &'static str)],
    body: &'static str,
}

const fn answer(status: u16, headers: &'static [(&'static str, &'static str)], body: &'static str) -> Answer {
    Answer { status, headers, body }
}

const HEAD_OK: Answer = answer(
    200,
    &[
        ("etag", "\"aa\""),
        ("last-modified", "Fri, 20 Nov 2026 10:15:30 GMT"),
        ("content-length", "5"),
        ("x-amz-version-id", "v1"),
        ("x-amz-meta-owner", "team"),
        ("expires", "whenever"),
    ],
    "",
);

const COPIED: &str = "<CopyObjectResult><ETag>\"aa\"</ETag></CopyObjectResult>";

impl Recorded {
    fn new(answers: impl IntoIterator<Item = Answer>) -> Self {
        let events = answers.into_iter().map(|answer| {
            let mut response = http::Response::builder().status(answer.status);
            for (name, value) in answer.headers {
                response = response.header(*name, *value);
            }
            let request = http::Request::builder()
                .uri("https://unchecked/")
                .body(SdkBody::empty())
                .unwrap();
            ReplayEvent::new(request, response.body(SdkBody::from(answer.body)).unwrap())
        });
        let http = StaticReplayClient::new(events.collect());
        let shared = SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .http_client(http.clone())
            .region(aws_config::Region::new(SOURCE_REGION))
            .credentials_provider(SharedCredentialsProvider::new(Credentials::for_tests()))
            .build();
        Self {
            http,
            clients: Clients::from_config(shared),
        }
    }

    fn source(&self) -> S3Source {
        S3Source::new(
            self.clients.s3_for_reading(&region(SOURCE_REGION)),
            bucket("source-bucket"),
            region(SOURCE_REGION),
            Some(AccountId::new("123456789012").unwrap()),
            bucket("destination-bucket"),
        )
    }

    fn destination(&self) -> S3Destination {
        S3Destination::new(
            self.clients.s3_for_reading(&region(DESTINATION_REGION)),
            self.clients.s3_for_writing(&region(DESTINATION_REGION)),
            bucket("destination-bucket"),
            region(DESTINATION_REGION),
            bucket("source-bucket"),
            Some(AccountId::new("123456789012").unwrap()),
        )
    }

    /// Spells a request as `METHOD URI`.
    fn line(&self, index: usize) -> String {
        let requests: Vec<String> = self
            .http
            .actual_requests()
            .map(|request| format!("{} {}", request.method(), request.uri()))
            .collect();
        requests[index].clone()
    }

    fn header(&self, index: usize, name: &str) -> Option<String> {
        let headers: Vec<Option<String>> = self
            .http
            .actual_requests()
            .map(|request| request.headers().get(name).map(str::to_owned))
            .collect();
        headers[index].clone()
    }

    fn sent(&self) -> usize {
        self.http.actual_requests().count()
    }
}

fn region(name: &str) -> Region {
    Region::new(name).unwrap()
}

fn bucket(name: &str) -> BucketName {
    BucketName::new(name).unwrap()
}

fn key() -> ObjectKey {
    ObjectKey::from_raw("a b+c/ü.txt").unwrap()
}

fn order(condition: WriteCondition) -> CopyOrder {
    CopyOrder {
        pin: SourcePin {
            version_id: VersionId::pinnable("v1"),
            etag: ETag::new("aa").unwrap(),
        },
        condition,
        storage_class: "STANDARD_IA".to_owned(),
        website_redirect: Some("/elsewhere".to_owned()),
        size_bytes: 5,
    }
}

#[tokio::test]
async fn source_is_read_in_its_own_region_with_checksums_and_owner() {
    let recorded = Recorded::new([HEAD_OK]);
    let state = recorded.source().read(&key(), &Aspects::new()).await.unwrap();
    let ObjectState::Present(facts) = state else {
        panic!("{state:?}");
    };
    assert_eq!((facts.size_bytes, facts.version_id), (5, VersionId::pinnable("v1")));
    assert_eq!(
        facts.headers.expires.as_deref(),
        Some("whenever"),
        "kept as it was written"
    );
    assert_eq!(facts.user_metadata.get("owner").map(String::as_str), Some("team"));
    assert_eq!(
        recorded.line(0),
        "HEAD https://source-bucket.s3.us-east-1.amazonaws.com/a%20b%2Bc/%C3%BC.txt"
    );
    assert_eq!(recorded.header(0, "x-amz-checksum-mode").as_deref(), Some("ENABLED"));
    assert_eq!(
        recorded.header(0, "x-amz-expected-bucket-owner").as_deref(),
        Some("123456789012")
    );
}

#[tokio::test]
async fn tags_are_read_for_the_version_the_head_saw() {
    let tags = "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>";
    let recorded = Recorded::new([HEAD_OK, answer(200, &[], tags)]);
    let state = recorded
        .source()
        .read(&key(), &Aspects::from([Aspect::Tags]))
        .await
        .unwrap();
    let tags = state.facts().unwrap().tags.clone().unwrap();
    assert_eq!(tags.into_iter().collect::<Vec<_>>(), [("a".to_owned(), "b".to_owned())]);
    assert!(recorded.line(1).contains("versionId=v1"), "{}", recorded.line(1));
}

#[tokio::test]
async fn missing_key_and_delete_marker_are_told_apart() {
    let marker = answer(404, &[("x-amz-delete-marker", "true"), ("x-amz-version-id", "m1")], "");
    let recorded = Recorded::new([answer(404, &[], ""), answer(200, &[], ""), marker]);
    let source = recorded.source();
    assert_eq!(source.read(&key(), &Aspects::new()).await, Ok(ObjectState::NotFound));
    assert_eq!(
        source.read(&key(), &Aspects::new()).await,
        Ok(ObjectState::DeleteMarker)
    );
}

#[track_caller]
fn assert_failure(failure: &Failure, kind: FailureKind, needles: &[&str]) {
    assert_eq!(failure.kind, kind, "{failure}");
    for needle in needles {
        assert!(failure.to_string().contains(needle), "{needle} is not in: {failure}");
    }
}

#[tokio::test]
async fn failed_reads_are_named_by_what_must_happen_next() {
    let head = async |status| {
        let recorded = Recorded::new([answer(status, &[], "")]);
        recorded.source().read(&key(), &Aspects::new()).await.unwrap_err()
    };
    let denied = head(403).await;
    let arn = "arn:aws:s3:::source-bucket/a b+c/ü.txt";
    assert_failure(
        &denied,
        FailureKind::Permanent,
        &["s3:GetObject", arn, "AccessDenied", "s3:ListBucket"],
    );
    assert_failure(
        &head(301).await,
        FailureKind::Configuration,
        &["not in region us-east-1"],
    );
    assert_failure(
        &head(400).await,
        FailureKind::Permanent,
        &["CustomerKeyEncrypted", "customer-provided key"],
    );
}

#[tokio::test(start_paused = true)]
async fn answer_that_cannot_be_read_is_named_without_what_it_holds() {
    let broken = || answer(200, &[("x-amz-meta-owner", "secret"), ("last-modified", "no date")], "");
    let recorded = Recorded::new([broken(), broken(), broken()]);
    let failure = recorded.source().read(&key(), &Aspects::new()).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Retry);
    assert!(!failure.to_string().contains("secret"), "{failure}");
}

#[tokio::test(start_paused = true)]
async fn throttled_read_is_tried_again_by_the_sdk() {
    let recorded = Recorded::new([answer(503, &[], ""), HEAD_OK]);
    assert!(recorded.source().read(&key(), &Aspects::new()).await.is_ok());
    assert_eq!(recorded.sent(), 2);
}

#[tokio::test]
async fn absence_is_looked_up_among_all_versions() {
    let listing = |entries: &str| {
        let body = format!("<ListVersionsResult>{entries}</ListVersionsResult>");
        answer(200, &[], Box::leak(body.into_boxed_str()))
    };
    let version = "<Version><Key>a b+c/ü.txt</Key><VersionId>v1</VersionId><IsLatest>true</IsLatest></Version>";
    let old = "<Version><Key>a b+c/ü.txt</Key><VersionId>v1</VersionId><IsLatest>false</IsLatest></Version>\
               <DeleteMarker><Key>a b+c/ü.txt</Key><VersionId>m</VersionId><IsLatest>true</IsLatest></DeleteMarker>";
    let longer = "<Version><Key>a b+c/ü.txt.bak</Key><VersionId>v1</VersionId><IsLatest>true</IsLatest></Version>";
    for (entries, expected) in [
        ("", Absence::Confirmed),
        (version, Absence::ObjectFound),
        (old, Absence::Confirmed),
        (longer, Absence::Confirmed),
    ] {
        let recorded = Recorded::new([listing(entries)]);
        assert_eq!(
            recorded.source().confirm_absence(&key()).await,
            Ok(expected),
            "{entries}"
        );
        assert!(
            recorded.line(0).contains("prefix=a%20b%2Bc%2F%C3%BC.txt"),
            "{}",
            recorded.line(0)
        );
    }
}

#[tokio::test]
async fn missing_bucket_confirms_no_absence() {
    let missing = answer(
        404,
        &[],
        "<Error><Code>NoSuchBucket</Code><Message>gone</Message></Error>",
    );
    let failure = Recorded::new([missing])
        .source()
        .confirm_absence(&key())
        .await
        .unwrap_err();
    assert_failure(
        &failure,
        FailureKind::Configuration,
        &["NoSuchBucket", "s3:ListBucketVersions"],
    );
}

#[tokio::test]
async fn key_of_a_missing_bucket_is_no_missing_key() {
    let recorded = Recorded::new([answer(404, &[], ""), answer(404, &[], "")]);
    let failure = recorded.source().read(&key(), &Aspects::new()).await.unwrap_err();
    assert_failure(
        &failure,
        FailureKind::Configuration,
        &["NoSuchBucket", "arn:aws:s3:::source-bucket"],
    );
    assert_eq!(
        recorded.line(1),
        "HEAD https://source-bucket.s3.us-east-1.amazonaws.com/"
    );
    assert_eq!(
        recorded.header(1, "x-amz-expected-bucket-owner").as_deref(),
        Some("123456789012")
    );
}

#[tokio::test(start_paused = true)]
async fn version_that_went_while_its_tags_were_read_is_read_again() {
    for code in ["NoSuchKey", "NoSuchVersion", "MethodNotAllowed"] {
        let body = format!("<Error><Code>{code}</Code></Error>");
        let gone = answer(404, &[], Box::leak(body.into_boxed_str()));
        let recorded = Recorded::new([HEAD_OK, gone]);
        let failure = recorded
            .source()
            .read(&key(), &Aspects::from([Aspect::Tags]))
            .await
            .unwrap_err();
        assert_failure(&failure, FailureKind::Retry, &["s3:GetObjectVersionTagging"]);
    }
}

#[tokio::test]
async fn bucket_without_replication_covers_nothing() {
    let none = answer(
        404,
        &[],
        "<Error><Code>ReplicationConfigurationNotFoundError</Code></Error>",
    );
    let coverage = Recorded::new([none]).source().replication(&key()).await;
    assert_eq!(coverage, Ok(ReplicationCoverage::Elsewhere));
}

#[tokio::test]
async fn copy_is_asked_of_the_destination_region_pinned_and_conditional() {
    let recorded = Recorded::new([answer(200, &[("x-amz-version-id", "w1")], COPIED)]);
    let version = recorded
        .destination()
        .copy(&key(), &order(WriteCondition::Absent))
        .await
        .unwrap();
    assert_eq!(version, VersionId::pinnable("w1"));
    assert_eq!(
        recorded.line(0),
        "PUT https://destination-bucket.s3.eu-central-1.amazonaws.com/a%20b%2Bc/%C3%BC.txt?x-id=CopyObject"
    );
    let signature = recorded.header(0, "authorization").unwrap();
    assert!(signature.contains("/eu-central-1/s3/aws4_request"), "{signature}");
    let expected = [
        (
            "x-amz-copy-source",
            Some("source-bucket/a%20b%2Bc/%C3%BC.txt?versionId=v1"),
        ),
        ("x-amz-copy-source-if-match", Some("\"aa\"")),
        ("x-amz-source-expected-bucket-owner", Some("123456789012")),
        ("if-none-match", Some("*")),
        ("if-match", None),
        ("x-amz-storage-class", Some("STANDARD_IA")),
        ("x-amz-website-redirect-location", Some("/elsewhere")),
        ("x-amz-metadata-directive", None),
        ("x-amz-tagging-directive", None),
        ("x-amz-acl", None),
    ];
    for (name, value) in expected {
        assert_eq!(recorded.header(0, name).as_deref(), value, "{name}");
    }
}

#[tokio::test]
async fn replacing_copy_names_the_object_it_replaces() {
    let recorded = Recorded::new([answer(200, &[], COPIED)]);
    let seen = WriteCondition::Matches(ETag::new("bb").unwrap());
    recorded.destination().copy(&key(), &order(seen)).await.unwrap();
    assert_eq!(recorded.header(0, "if-match").as_deref(), Some("\"bb\""));
    assert_eq!(recorded.header(0, "if-none-match"), None);
}

#[tokio::test]
async fn copy_without_versions_is_pinned_by_its_tag() {
    let recorded = Recorded::new([answer(200, &[], COPIED)]);
    let mut order = order(WriteCondition::Absent);
    order.pin.version_id = None;
    recorded.destination().copy(&key(), &order).await.unwrap();
    assert_eq!(
        recorded.header(0, "x-amz-copy-source").as_deref(),
        Some("source-bucket/a%20b%2Bc/%C3%BC.txt")
    );
    assert_eq!(
        recorded.header(0, "x-amz-copy-source-if-match").as_deref(),
        Some("\"aa\"")
    );
}

async fn copy_error(answer: Answer) -> WriteError {
    let recorded = Recorded::new([answer]);
    let error = recorded
        .destination()
        .copy(&key(), &order(WriteCondition::Absent))
        .await
        .unwrap_err();
    assert_eq!(recorded.sent(), 1, "a write is sent once");
    error
}

#[tokio::test(start_paused = true)]
async fn copy_answers_are_taken_for_what_they_mean() {
    let error = |status, code: &str| {
        let body = format!("<Error><Code>{code}</Code><Message>what S3 says</Message></Error>");
        answer(status, &[], Box::leak(body.into_boxed_str()))
    };
    for (status, code) in [
        (412, "PreconditionFailed"),
        (409, "ConditionalRequestConflict"),
        (404, "NoSuchKey"),
        (404, "NoSuchVersion"),
    ] {
        assert_eq!(copy_error(error(status, code)).await, WriteError::WorldMoved, "{code}");
    }
    for (status, code, kind) in [
        (200, "InternalError", FailureKind::Retry),
        (200, "SlowDown", FailureKind::Retry),
        (503, "SlowDown", FailureKind::Retry),
        (500, "InternalError", FailureKind::Retry),
        (403, "AccessDenied", FailureKind::Permanent),
        (404, "NoSuchBucket", FailureKind::Configuration),
        (301, "PermanentRedirect", FailureKind::Configuration),
    ] {
        match copy_error(error(status, code)).await {
            WriteError::Failed(failure) => {
                assert_failure(
                    &failure,
                    kind,
                    &["s3:PutObject", code, "destination-bucket/a b+c/ü.txt"],
                );
            }
            other => panic!("{status} {code}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn denied_copy_names_every_right_it_may_lack() {
    let denied = answer(
        403,
        &[],
        "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>",
    );
    let WriteError::Failed(failure) = copy_error(denied).await else {
        panic!("not a failure");
    };
    let needles = [
        "s3:PutObjectTagging",
        "s3:GetObjectVersionTagging",
        "arn:aws:s3:::destination-bucket/a b+c/ü.txt",
        "arn:aws:s3:::source-bucket/a b+c/ü.txt",
    ];
    assert_failure(&failure, FailureKind::Permanent, &needles);
}

#[tokio::test]
async fn answer_that_says_nothing_has_an_unknown_outcome() {
    for body in ["", "<CopyObjectResult></CopyObjectResult>", "<CopyObj"] {
        let error = copy_error(answer(200, &[], body)).await;
        assert!(matches!(error, WriteError::OutcomeUnknown(_)), "{body:?}: {error:?}");
    }
}

#[tokio::test]
async fn delete_is_conditional_and_names_no_version() {
    let recorded = Recorded::new([answer(204, &[], "")]);
    recorded
        .destination()
        .delete(&key(), &ETag::new("bb").unwrap())
        .await
        .unwrap();
    assert_eq!(recorded.header(0, "if-match").as_deref(), Some("\"bb\""));
    assert!(!recorded.line(0).contains("versionId"), "{}", recorded.line(0));
    let moved = Recorded::new([answer(412, &[], "<Error><Code>PreconditionFailed</Code></Error>")]);
    let deleted = moved.destination().delete(&key(), &ETag::new("bb").unwrap()).await;
    assert_eq!(deleted, Err(WriteError::WorldMoved));
}

#[tokio::test]
async fn continuation_is_sent_with_its_delay() {
    let recorded = Recorded::new([answer(200, &[], "{\"MessageId\":\"m\",\"MD5OfMessageBody\":\"x\"}")]);
    let url = "https://sqs.us-east-1.amazonaws.com/123456789012/queue";
    let queue = SqsContinuations::new(recorded.clients.sqs(), url.to_owned());
    let continuation = Continuation::new(&bucket("source-bucket"), &key(), Aspects::new(), "hot-key");
    // The SDK checks the digest of the body in the answer; a wrong one is an error, and an error is no acknowledgement.
    let sent = queue.send(&continuation, Duration::from_secs(30)).await;
    let body = recorded
        .http
        .actual_requests()
        .next()
        .map(|request| request.body().bytes().unwrap().to_vec())
        .unwrap();
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(
        (body["DelaySeconds"].as_i64(), body["QueueUrl"].as_str()),
        (Some(30), Some(url))
    );
    assert_eq!(body["MessageBody"].as_str().unwrap(), continuation.to_body().unwrap());
    drop(sent);
}

#[tokio::test]
async fn continuation_that_the_queue_refuses_is_a_failure() {
    let denied = answer(
        400,
        &[],
        "{\"__type\":\"com.amazonaws.sqs#AccessDeniedException\",\"message\":\"no\"}",
    );
    let recorded = Recorded::new([denied]);
    let queue = SqsContinuations::new(recorded.clients.sqs(), "https://sqs.test/q".to_owned());
    let continuation = Continuation::new(&bucket("source-bucket"), &key(), Aspects::new(), "hot-key");
    let failure = queue.send(&continuation, Duration::ZERO).await.unwrap_err();
    assert_failure(
        &failure,
        FailureKind::Permanent,
        &["sqs:SendMessage", "https://sqs.test/q"],
    );
}

/// Takes a receipt from where all of them come: the payload of an invocation.
fn receipt() -> ReceiptHandle {
    let payload = serde_json::json!({"Records": [
        {"messageId": "m", "receiptHandle": "receipt", "eventSource": "aws:sqs", "body": "{}"}
    ]});
    match parse_payload(&payload) {
        Ok(Payload::Queue(mut messages)) => messages.remove(0).receipt.unwrap(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn failed_message_is_told_when_to_come_back() {
    let recorded = Recorded::new([answer(200, &[], "")]);
    let queue = SqsContinuations::new(recorded.clients.sqs(), "https://sqs.test/q".to_owned());
    queue
        .return_after(&receipt(), Duration::from_millis(1_500))
        .await
        .unwrap();
    let body = recorded
        .http
        .actual_requests()
        .next()
        .map(|request| request.body().bytes().unwrap().to_vec())
        .unwrap();
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(
        body,
        serde_json::json!({"QueueUrl": "https://sqs.test/q", "ReceiptHandle": "receipt", "VisibilityTimeout": 2})
    );
}
