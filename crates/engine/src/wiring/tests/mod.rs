//! Tests of the custom resource, request by request, with a fake account in memory.

mod concurrency;
mod event_bridge;
mod event_types;
mod fakes;
mod faults;
mod fitness;
mod replication;
mod requests;

use s3ferry_core::custom_resource::{CustomResourceRequest, CustomResourceResponse};
use s3ferry_core::wiring::{KeyFilter, NotificationConfiguration, NotificationEntry};
use serde_json::{Value, json};

use self::fakes::{FakeAccount, FakeConfiguration};

/// Returns the notification entry of an external function, for keys that s3ferry's entry does not match.
pub(in crate::wiring) fn foreign_entry() -> NotificationEntry {
    NotificationEntry {
        id: Some("thumbnails".to_owned()),
        arn: "arn:aws:lambda:us-east-1:123456789012:function:thumbnails".to_owned(),
        events: vec!["s3:ObjectCreated:Put".to_owned()],
        filter: KeyFilter::Rules(vec![s3ferry_core::wiring::notification::FilterRule {
            name: Some("Prefix".to_owned()),
            value: Some("images/".to_owned()),
        }]),
    }
}

pub(in crate::wiring) fn wired_by_others() -> FakeConfiguration {
    FakeConfiguration {
        notification: NotificationConfiguration {
            functions: vec![foreign_entry()],
            ..NotificationConfiguration::default()
        },
        ..FakeConfiguration::default()
    }
}

/// Returns the properties of a stack, with changes.
pub(in crate::wiring) fn properties(changes: &[(&str, &str)]) -> Value {
    let mut properties = json!({
        "SourceBucketName": "source",
        "DestinationBucketName": "destination",
        "SourceRegion": "us-east-1",
        "DestinationRegion": "eu-central-1",
        "DestinationBucketOwner": "123456789012",
        "Ownership": "exclusive",
        "StateBucketName": "state",
        "AccountId": "123456789012",
        "ReplicationEngine": "lambda",
        "EventSource": "queue",
        "QueueArn": "arn:aws:sqs:us-east-1:123456789012:s3ferry",
        "EventRuleName": "our-rule",
        "PropagateDeletes": "false",
        "KeyPrefix": "data/",
        "EnableVersioning": "false",
        "ReplicationRoleArn": "arn:aws:iam::123456789012:role/s3ferry",
        "DestinationKmsKeyArn": "",
    });
    for (name, value) in changes {
        properties[*name] = json!(value);
    }
    properties
}

/// A stack with its custom resource, as `CloudFormation` stores it.
#[derive(Debug, Clone)]
pub(in crate::wiring) struct FakeStack {
    pub(in crate::wiring) name: &'static str,
    pub(in crate::wiring) account: FakeAccount,
    pub(in crate::wiring) physical_id: Option<String>,
    requests: usize,
}

impl FakeStack {
    pub(in crate::wiring) fn new(name: &'static str, account: &FakeAccount) -> Self {
        Self {
            name,
            account: account.clone(),
            physical_id: None,
            requests: 0,
        }
    }

    pub(in crate::wiring) fn request(&self, kind: &str, properties: &Value, old: &Value) -> CustomResourceRequest {
        let mut event = json!({
            "RequestType": kind,
            "ResponseURL": "https://example.invalid/",
            "StackId": format!("arn:aws:cloudformation:us-east-1:123456789012:stack/{}/uuid", self.name),
            "RequestId": format!("{}-{}", self.name, self.requests),
            "LogicalResourceId": "BucketWiring",
            "ResourceProperties": properties,
            "OldResourceProperties": old,
        });
        if let Some(id) = &self.physical_id {
            event["PhysicalResourceId"] = json!(id);
        }
        CustomResourceRequest::parse(&event).unwrap()
    }

    pub(in crate::wiring) async fn send(
        &mut self,
        kind: &str,
        properties: &Value,
        old: &Value,
    ) -> CustomResourceResponse {
        self.requests += 1;
        let response = super::carry_out(&self.account, &self.request(kind, properties, old)).await;
        if response.is_success() || kind == "Create" {
            self.physical_id = Some(response.physical_resource_id().to_owned());
        }
        response
    }

    pub(in crate::wiring) async fn create(&mut self, changes: &[(&str, &str)]) -> CustomResourceResponse {
        self.send("Create", &properties(changes), &Value::Null).await
    }

    pub(in crate::wiring) async fn update(
        &mut self,
        changes: &[(&str, &str)],
        old: &[(&str, &str)],
    ) -> CustomResourceResponse {
        self.send("Update", &properties(changes), &properties(old)).await
    }

    pub(in crate::wiring) async fn delete(&mut self, changes: &[(&str, &str)]) -> CustomResourceResponse {
        self.send("Delete", &properties(changes), &Value::Null).await
    }

    pub(in crate::wiring) fn owner(&self) -> s3ferry_core::wiring::OwnerId {
        self.request("Create", &Value::Null, &Value::Null).owner()
    }
}

#[track_caller]
pub(in crate::wiring) fn check_success(response: &CustomResourceResponse) {
    assert!(response.is_success(), "{}", response.reason());
}

#[track_caller]
pub(in crate::wiring) fn check_failed(response: &CustomResourceResponse, parts: &[&str]) {
    assert!(!response.is_success(), "the request succeeded");
    for part in parts {
        assert!(
            response.reason().contains(part),
            "`{part}` is not in: {}",
            response.reason()
        );
    }
}

pub(in crate::wiring) fn account(configuration: FakeConfiguration) -> FakeAccount {
    let account = FakeAccount::default();
    account.set("source", configuration);
    account
}
