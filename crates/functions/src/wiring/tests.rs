use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;

use s3ferry_core::failure::{Failure, FailureKind};
use s3ferry_core::names::{AccountId, BucketName};
use s3ferry_core::preflight::{BucketState, ExpectedBucket, PreflightError};
use s3ferry_core::time::Timestamp;
use s3ferry_core::wiring::{
    NotificationConfiguration, OwnerId, ReplicationConfiguration, ReplicationTerms, Versioning,
};
use s3ferry_engine::ports::Clock;
use s3ferry_engine::wiring::{BucketConfiguration, EventRules, WiringBackup};
use serde_json::json;

use super::*;

/// Behaviour of the fake bucket when its notification configuration is read.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Behaviour {
    Empty,
    Missing,
    Panics,
    Hangs,
}

#[derive(Debug)]
struct Fake(Behaviour);

impl BucketConfiguration for Fake {
    type Rule = String;

    async fn versioning(&self) -> Result<Versioning, Failure> {
        Ok(Versioning::Enabled)
    }

    async fn enable_versioning(&self) -> Result<(), Failure> {
        Ok(())
    }

    async fn notification(&self) -> Result<NotificationConfiguration, Failure> {
        match self.0 {
            Behaviour::Empty => Ok(NotificationConfiguration {
                event_bridge: true,
                ..Default::default()
            }),
            Behaviour::Missing => Err(Failure {
                kind: FailureKind::Configuration,
                code: "NoSuchBucket".into(),
                action: "s3:GetBucketNotification".to_owned(),
                resource: "arn:aws:s3:::source".to_owned(),
                detail: "the bucket does not exist".to_owned(),
            }),
            Behaviour::Panics => panic!("panic of the fake"),
            Behaviour::Hangs => std::future::pending().await,
        }
    }

    async fn put_notification(&self, _configuration: &NotificationConfiguration, _check: bool) -> Result<(), Failure> {
        Ok(())
    }

    async fn replication(&self) -> Result<Option<ReplicationConfiguration<String>>, Failure> {
        Ok(None)
    }

    async fn put_replication(&self, _configuration: Option<&ReplicationConfiguration<String>>) -> Result<(), Failure> {
        Ok(())
    }

    fn compose(&self, id: &str, _priority: i32, _terms: &ReplicationTerms) -> String {
        id.to_owned()
    }
}

impl WiringBackup for Fake {
    async fn save_once(&self, _name: &str, _text: &str) -> Result<(), Failure> {
        Ok(())
    }

    async fn save(&self, _name: &str, _text: &str) -> Result<(), Failure> {
        Ok(())
    }

    async fn load(&self, _name: &str) -> Result<Option<String>, Failure> {
        Ok(None)
    }
}

impl EventRules for Fake {
    async fn others_listening(
        &self,
        _bucket: &BucketName,
        _except: &[String],
    ) -> Result<Vec<s3ferry_engine::wiring::Listener>, Failure> {
        Ok(Vec::new())
    }
}

impl Clock for Fake {
    fn now(&self) -> Timestamp {
        Timestamp::from_seconds(0)
    }

    async fn sleep(&self, _duration: Duration) {}
}

impl WiringPorts for Fake {
    type Bucket = Self;
    type Backup = Self;
    type Rules = Self;
    type Clock = Self;

    fn bucket(&self, _bucket: &BucketName, _account: &AccountId) -> Self {
        Self(self.0)
    }

    fn backup(&self, _state: &BucketName, _account: &AccountId, _bucket: &BucketName, _owner: &OwnerId) -> Self {
        Self(self.0)
    }

    async fn examine(&self, _bucket: &ExpectedBucket) -> Result<BucketState, PreflightError> {
        Ok(BucketState {
            versioning: Versioning::Enabled,
            has_object_lock: false,
        })
    }

    fn rules(&self) -> &Self {
        self
    }

    fn clock(&self) -> &Self {
        self
    }
}

/// Request that arrived at the response URL.
#[derive(Debug)]
struct Delivered {
    head: Vec<String>,
    body: Value,
}

/// Listens on the loopback interface and responds to each request with the next of these statuses.
fn listen(statuses: Vec<u16>) -> (String, JoinHandle<Vec<Delivered>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/answer?signature=secret", listener.local_addr().unwrap());
    let served = std::thread::spawn(move || {
        let serve = |status: u16| receive(&listener.accept().unwrap().0, status);
        statuses.into_iter().map(serve).collect()
    });
    (url, served)
}

fn receive(mut stream: &TcpStream, status: u16) -> Delivered {
    let mut reader = BufReader::new(stream);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if line.trim_end().is_empty() {
            break;
        }
        head.push(line.trim_end().to_ascii_lowercase());
    }
    let length = head
        .iter()
        .find_map(|line| line.strip_prefix("content-length: "))
        .unwrap();
    let mut body = vec![0; length.parse().unwrap()];
    reader.read_exact(&mut body).unwrap();
    write!(
        stream,
        "HTTP/1.1 {status} x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    )
    .unwrap();
    Delivered {
        head,
        body: serde_json::from_slice(&body).unwrap(),
    }
}

fn event(kind: &str, url: &str) -> Value {
    json!({
        "RequestType": kind,
        "ResponseURL": url,
        "StackId": "arn:aws:cloudformation:us-east-1:123456789012:stack/ferry/uuid",
        "RequestId": "request",
        "ResourceType": "Custom::S3FerryBucketWiring",
        "LogicalResourceId": "BucketWiring",
        "ResourceProperties": {
            "ServiceToken": "arn:aws:lambda:us-east-1:123456789012:function:wiring",
            "ServiceTimeout": "360",
            "SourceBucketName": "source",
            "DestinationBucketName": "destination",
            "SourceRegion": "us-east-1",
            "DestinationRegion": "eu-central-1",
            "DestinationBucketOwner": "123456789012",
            "Ownership": "exclusive",
            "StateBucketName": "state",
            "AccountId": "123456789012",
            "ReplicationEngine": "lambda",
            "EventSource": "eventbridge",
            "QueueArn": "arn:aws:sqs:us-east-1:123456789012:queue",
            "EventRuleName": "our-rule",
            "PropagateDeletes": "false",
            "KeyPrefix": "",
            "EnableVersioning": "false",
            "ReplicationRoleArn": "",
            "DestinationKmsKeyArn": "",
        },
    })
}

fn after(time: Duration) -> Timestamp {
    SystemClock.now().plus(time)
}

const LONG: Duration = Duration::from_mins(10);

async fn response_to(behaviour: Behaviour, change: impl FnOnce(&mut Value), kind: &str, time: Duration) -> Value {
    let (url, served) = listen(vec![200]);
    let mut event = event(kind, &url);
    change(&mut event);
    handle(&Fake(behaviour), &event, after(time)).await.unwrap();
    served.join().unwrap().remove(0).body
}

#[tokio::test]
async fn response_is_put_with_an_empty_content_type_and_a_length() {
    let (url, served) = listen(vec![200]);
    handle(&Fake(Behaviour::Empty), &event("Create", &url), after(LONG))
        .await
        .unwrap();
    let delivered = served.join().unwrap().remove(0);
    assert_eq!(delivered.head[0], "put /answer?signature=secret http/1.1");
    assert!(
        delivered.head.iter().any(|line| line.trim_end() == "content-type:"),
        "{:?}",
        delivered.head
    );
    assert!(!delivered.head.iter().any(|line| line.starts_with("transfer-encoding")));
    assert_eq!(delivered.body["Status"], "SUCCESS");
    assert_eq!(delivered.body["Data"]["EventBridge"], "true");
    assert!(
        delivered.body["PhysicalResourceId"]
            .as_str()
            .unwrap()
            .starts_with("source/s3ferry-ferry-")
    );
}

#[tokio::test]
async fn failures_malformed_properties_and_unknown_requests_get_a_response() {
    let body = response_to(Behaviour::Missing, |_| {}, "Create", LONG).await;
    assert_eq!(body["Status"], "FAILED");
    assert!(body["Reason"].as_str().unwrap().contains("NoSuchBucket"));
    let broken = |event: &mut Value| event["ResourceProperties"] = json!(["not", "an", "object"]);
    let body = response_to(Behaviour::Empty, broken, "Create", LONG).await;
    assert!(body["Reason"].as_str().unwrap().contains("SourceBucketName is missing"));
    let body = response_to(Behaviour::Empty, |_| {}, "Import", LONG).await;
    assert!(body["Reason"].as_str().unwrap().contains("`Import`"));
}

#[tokio::test]
async fn delete_succeeds_if_the_bucket_name_is_invalid_or_the_bucket_is_gone() {
    let broken = |event: &mut Value| event["ResourceProperties"] = json!({"SourceBucketName": "a/b"});
    let body = response_to(Behaviour::Panics, broken, "Delete", LONG).await;
    assert_eq!(body["Status"], "SUCCESS");
    let body = response_to(Behaviour::Missing, |_| {}, "Delete", LONG).await;
    assert_eq!(body["Status"], "SUCCESS");
}

#[tokio::test]
async fn panic_gets_a_failed_response_with_its_message_and_a_stable_id() {
    let body = response_to(Behaviour::Panics, |_| {}, "Create", LONG).await;
    assert_eq!(body["Status"], "FAILED");
    assert_eq!(body["Reason"], "s3ferry has a defect: panic of the fake");
    assert!(
        body["PhysicalResourceId"]
            .as_str()
            .unwrap()
            .starts_with("source/s3ferry-ferry-")
    );
    let unchanged_id = |event: &mut Value| event["PhysicalResourceId"] = json!("as it was");
    assert_eq!(
        response_to(Behaviour::Panics, unchanged_id, "Update", LONG).await["PhysicalResourceId"],
        "as it was"
    );
}

#[tokio::test]
async fn timeout_gets_a_failed_response() {
    let body = response_to(Behaviour::Hangs, |_| {}, "Create", Duration::from_secs(2)).await;
    assert_eq!(body["Status"], "FAILED");
    assert!(body["Reason"].as_str().unwrap().contains("was not wired within"));
}

#[tokio::test]
async fn rejected_response_is_sent_again() {
    let (url, served) = listen(vec![500, 503, 200]);
    handle(&Fake(Behaviour::Empty), &event("Create", &url), after(LONG))
        .await
        .unwrap();
    let bodies: Vec<Value> = served
        .join()
        .unwrap()
        .into_iter()
        .map(|delivered| delivered.body)
        .collect();
    assert_eq!(bodies.len(), 3);
    assert_eq!(bodies[0], bodies[2]);
}

#[tokio::test]
async fn undeliverable_response_fails_the_invocation_without_naming_the_url() {
    let (url, served) = listen(vec![403; 5]);
    let error = handle(&Fake(Behaviour::Empty), &event("Create", &url), after(LONG))
        .await
        .unwrap_err();
    assert!(matches!(error, BucketWiringError::Undelivered(_)));
    assert!(error.to_string().contains("5 attempt(s)"), "{error}");
    served.join().unwrap();
    for url in ["not a url secret", "http://127.0.0.1:1/secret", "http://"] {
        let error = handle(&Fake(Behaviour::Empty), &event("Create", url), after(Duration::ZERO))
            .await
            .unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}

#[tokio::test]
async fn payload_that_is_not_a_request_is_a_named_error() {
    for event in [
        json!(null),
        json!({}),
        json!({"Records": []}),
        json!("Create"),
        json!([1]),
    ] {
        let error = handle(&Fake(Behaviour::Panics), &event, after(LONG)).await.unwrap_err();
        assert!(error.to_string().starts_with("NotARequest: "), "{error}");
    }
}

#[test]
fn settings_problems_are_reported_together() {
    let read = |variables: &[(&str, &str)]| {
        let find = |name: &str| variables.iter().find(|(variable, _)| *variable == name);
        WiringSettings::from_lookup(&|name: &str| find(name).map(|(_, value)| (*value).to_owned()))
    };
    let level = |value| {
        read(&[("AWS_REGION", "us-east-1"), ("LOG_LEVEL", value)])
            .unwrap()
            .log_level
    };
    assert_eq!(level(""), tracing::Level::INFO);
    assert_eq!(level("debug"), tracing::Level::DEBUG);
    let problems = read(&[("LOG_LEVEL", "loud"), ("AWS_ENDPOINT_URL", "localhost:4566")]).unwrap_err();
    assert_eq!(problems.len(), 3, "{problems:?}");
    for (problem, expected) in
        problems
            .iter()
            .zip(["LOG_LEVEL=`loud`", "AWS_ENDPOINT_URL=`localhost:4566`", "AWS_REGION"])
    {
        assert!(problem.starts_with(expected), "{problem}");
    }
}
