//! Results of final syncs in the state bucket, with recorded responses.
#![expect(clippy::unwrap_used, reason = "test data is valid")]

use aws_config::SdkConfig;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, SharedCredentialsProvider};
use aws_sdk_s3::primitives::SdkBody;
use aws_smithy_http_client::test_util::{ReplayEvent, StaticReplayClient};
use s3ferry_aws::client::Clients;
use s3ferry_aws::results::S3Results;
use s3ferry_core::failure::FailureKind;
use s3ferry_core::names::{AccountId, BucketName, Region};
use s3ferry_engine::results::ResultStore as _;

/// Creates a state bucket with recorded responses, and returns it with the HTTP client that records the requests.
fn results(answers: &[(u16, &'static str)]) -> (S3Results, StaticReplayClient) {
    let events = answers.iter().map(|(status, body)| {
        let request = http::Request::builder()
            .uri("https://unchecked/")
            .body(SdkBody::empty())
            .unwrap();
        let response = http::Response::builder()
            .status(*status)
            .body(SdkBody::from(*body))
            .unwrap();
        ReplayEvent::new(request, response)
    });
    let http = StaticReplayClient::new(events.collect());
    let region = Region::new("us-east-1").unwrap();
    let shared = SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .http_client(http.clone())
        .region(aws_config::Region::new(region.to_string()))
        .credentials_provider(SharedCredentialsProvider::new(Credentials::for_tests()))
        .build();
    let client = Clients::from_config(shared).s3_for_reading(&region);
    let owner = AccountId::new("123456789012").unwrap();
    let results = S3Results::new(client, BucketName::new("state").unwrap(), region, Some(owner));
    (results, http)
}

#[tokio::test]
async fn result_is_written_under_its_name_with_the_expected_owner() {
    let (results, http) = results(&[(200, "")]);
    results
        .write("final-sync/e/results/a-1.jsonl", "{}\n".to_owned())
        .await
        .unwrap();
    let requests: Vec<_> = http.actual_requests().collect();
    assert_eq!((requests.len(), requests[0].method()), (1, "PUT"));
    assert!(
        requests[0].uri().contains("/final-sync/e/results/a-1.jsonl"),
        "{}",
        requests[0].uri()
    );
    assert_eq!(
        requests[0].headers().get("x-amz-expected-bucket-owner"),
        Some("123456789012")
    );
}

#[tokio::test]
async fn results_are_listed_page_by_page() {
    let first = "<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>next</NextContinuationToken>\
                 <Contents><Key>a</Key></Contents></ListBucketResult>";
    let second = "<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>b</Key></Contents>\
                  </ListBucketResult>";
    let none = "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>";
    let (results, http) = results(&[(200, first), (200, second), (200, none)]);
    assert_eq!(results.list("", None).await.unwrap(), ["a"]);
    assert_eq!(results.list("", Some("a")).await.unwrap(), ["b"]);
    assert!(results.list("", Some("b")).await.unwrap().is_empty());
    let requests: Vec<_> = http.actual_requests().collect();
    assert!(!requests[0].uri().contains("start-after"), "{}", requests[0].uri());
    for (request, after) in requests[1..].iter().zip(["start-after=a", "start-after=b"]) {
        assert!(request.uri().contains(after), "{}", request.uri());
    }
}

#[tokio::test]
async fn result_is_read_and_a_denial_names_action_and_object() {
    let (results, _) = results(&[
        (200, "a line\n"),
        (
            403,
            "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>",
        ),
    ]);
    assert_eq!(results.read("a").await.unwrap(), "a line\n");
    let failure = results.read("b").await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Permanent);
    let text = failure.to_string();
    assert!(
        text.contains("s3:GetObject") && text.contains("arn:aws:s3:::state/b"),
        "{text}"
    );
    assert!(text.contains("on the state bucket"), "{text}");
}
