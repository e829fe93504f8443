//! A client with recorded responses that records its requests.

use std::fmt::Write as _;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, SharedCredentialsProvider};
use aws_sdk_s3::primitives::SdkBody;
use aws_smithy_http_client::test_util::{ReplayEvent, StaticReplayClient};
use aws_smithy_runtime_api::client::http::HttpClient;
use s3ferry_aws::client::Clients;
use s3ferry_aws::destination::S3Destination;
use s3ferry_aws::journal::S3Journal;
use s3ferry_aws::source::S3Source;
use s3ferry_aws::state::StateBucket;
use s3ferry_core::facts::AttributeSet;
use s3ferry_core::failure::{Failure, FailureKind};
use s3ferry_core::names::{AccountId, BucketName, ETag, ObjectKey, Region, VersionId};
use s3ferry_core::order::{CopyMethod, CopyOrder, ExplicitAttributes, SourcePin, WriteCondition};
use s3ferry_core::route::MigrationRoute;

pub(crate) const SOURCE_REGION: &str = "us-east-1";
pub(crate) const DESTINATION_REGION: &str = "eu-central-1";
pub(crate) const SOURCE_OWNER: &str = "123456789012";
pub(crate) const DESTINATION_OWNER: &str = "210987654321";

/// Responds to requests from a list and records the requests.
pub(crate) struct Recorded {
    pub(crate) http: StaticReplayClient,
    pub(crate) clients: Clients,
}

pub(crate) struct Answer {
    status: u16,
    headers: &'static [(&'static str, &'static str)],
    body: &'static str,
}

pub(crate) const fn answer(
    status: u16,
    headers: &'static [(&'static str, &'static str)],
    body: &'static str,
) -> Answer {
    Answer { status, headers, body }
}

pub(crate) const HEAD_OK: Answer = answer(
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

pub(crate) const COPIED: &str = "<CopyObjectResult><ETag>\"aa\"</ETag></CopyObjectResult>";

impl Recorded {
    pub(crate) fn new(answers: impl IntoIterator<Item = Answer>) -> Self {
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
        Self {
            clients: clients(http.clone()),
            http,
        }
    }

    pub(crate) fn source(&self) -> S3Source {
        source_of(&self.clients)
    }

    pub(crate) fn destination(&self) -> S3Destination {
        destination_of(&self.clients)
    }

    pub(crate) fn journal(&self) -> S3Journal {
        let owner = AccountId::new(SOURCE_OWNER).unwrap();
        let state = StateBucket::new(
            &self.clients,
            bucket("state-bucket"),
            region(SOURCE_REGION),
            Some(&owner),
        );
        S3Journal::new(state, route())
    }

    /// Returns the body of a request.
    pub(crate) fn body(&self, index: usize) -> String {
        let bodies: Vec<String> = self
            .http
            .actual_requests()
            .map(|request| String::from_utf8(request.body().bytes().unwrap_or_default().to_vec()).unwrap())
            .collect();
        bodies[index].clone()
    }

    /// Checks headers of a request; `None` is a header that must be absent.
    #[track_caller]
    pub(crate) fn assert_headers(&self, index: usize, expected: &[(&str, Option<&str>)]) {
        for (name, value) in expected {
            assert_eq!(self.header(index, name).as_deref(), *value, "{name}");
        }
    }

    /// Returns a request as `METHOD URI`.
    pub(crate) fn line(&self, index: usize) -> String {
        let requests: Vec<String> = self
            .http
            .actual_requests()
            .map(|request| format!("{} {}", request.method(), request.uri()))
            .collect();
        requests[index].clone()
    }

    pub(crate) fn header(&self, index: usize, name: &str) -> Option<String> {
        let headers: Vec<Option<String>> = self
            .http
            .actual_requests()
            .map(|request| request.headers().get(name).map(str::to_owned))
            .collect();
        headers[index].clone()
    }

    pub(crate) fn sent(&self) -> usize {
        self.http.actual_requests().count()
    }
}

/// Creates clients from an HTTP client.
pub(crate) fn clients(http: impl HttpClient + 'static) -> Clients {
    let shared = SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .http_client(http)
        // The configuration that all services share; the S3 clients have their own.
        .timeout_config(
            TimeoutConfig::builder()
                .operation_attempt_timeout(Duration::from_secs(1))
                .build(),
        )
        .region(aws_config::Region::new(SOURCE_REGION))
        .credentials_provider(SharedCredentialsProvider::new(Credentials::for_tests()))
        .build();
    Clients::from_config(shared)
}

pub(crate) fn source_of(clients: &Clients) -> S3Source {
    S3Source::new(
        clients.s3_for_reading(&region(SOURCE_REGION)),
        bucket("source-bucket"),
        region(SOURCE_REGION),
        Some(AccountId::new(SOURCE_OWNER).unwrap()),
        bucket("destination-bucket"),
    )
}

pub(crate) fn destination_of(clients: &Clients) -> S3Destination {
    let region = region(DESTINATION_REGION);
    let owner = Some(AccountId::new(DESTINATION_OWNER).unwrap());
    S3Destination::new(
        clients,
        bucket("destination-bucket"),
        region,
        owner,
        &source_of(clients),
    )
}

pub(crate) fn region(name: &str) -> Region {
    Region::new(name).unwrap()
}

pub(crate) fn bucket(name: &str) -> BucketName {
    BucketName::new(name).unwrap()
}

pub(crate) fn key() -> ObjectKey {
    ObjectKey::from_raw("a b+c/ü.txt").unwrap()
}

pub(crate) fn etag(text: &str) -> ETag {
    ETag::new(text).unwrap()
}

pub(crate) fn route() -> MigrationRoute {
    MigrationRoute {
        source: bucket("source-bucket"),
        destination: bucket("destination-bucket"),
    }
}

/// Returns a response whose body is created at run time.
pub(crate) fn answer_with(status: u16, body: impl Into<String>) -> Answer {
    answer(status, &[], Box::leak(body.into().into_boxed_str()))
}

/// Returns an error response.
pub(crate) fn error(status: u16, code: &str) -> Answer {
    let mut body = String::new();
    write!(
        body,
        "<Error><Code>{code}</Code><Message>message of S3</Message></Error>"
    )
    .unwrap();
    answer_with(status, body)
}

pub(crate) fn pin() -> SourcePin {
    SourcePin {
        version_id: VersionId::pinnable("v1"),
        etag: etag("aa"),
    }
}

/// Returns explicit attributes without anything special.
pub(crate) fn explicit() -> ExplicitAttributes {
    ExplicitAttributes {
        storage_class: "STANDARD_IA".to_owned(),
        website_redirect: Some("/elsewhere".to_owned()),
        ..ExplicitAttributes::plain()
    }
}

pub(crate) fn order(condition: WriteCondition) -> CopyOrder {
    CopyOrder {
        in_place: None,
        pin: pin(),
        condition,
        method: CopyMethod::SingleRequest,
        explicit: explicit(),
        source_checksum: None,
        size_bytes: 5,
        follow_up: AttributeSet::new(),
    }
}

#[track_caller]
pub(crate) fn assert_failure(failure: &Failure, kind: FailureKind, needles: &[&str]) {
    assert_eq!(failure.kind, kind, "{failure}");
    for needle in needles {
        assert!(failure.to_string().contains(needle), "{needle} is not in: {failure}");
    }
}
