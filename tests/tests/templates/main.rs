//! Tests of the templates, and of the documents that describe them.
//!
//! The emulator ignores permissions of event sources, encryption, lifecycle rules and timeout limits, so only these
//! tests cover them.
#![expect(
    clippy::indexing_slicing,
    reason = "a field that a JSON value does not have is null, not a panic"
)]

mod alarms;
mod buckets;
mod cloudformation;
mod deploying;
mod documents;
mod final_sync;
mod functions;
mod limits;
mod permissions;
mod queues;
mod tables;

use std::collections::{BTreeMap, BTreeSet};

use cloudformation::{array, strings};
use serde_json::Value;

/// Parameters that enable every optional part of the source template.
const EVERYTHING: &[(&str, &str)] = &[
    ("ReplicationEngine", "both"),
    ("EventSource", "eventbridge"),
    ("PropagateDeletes", "true"),
    ("EnableVersioning", "true"),
    ("SourceKmsKeyArn", "arn:aws:kms:us-east-1:123456789012:key/source"),
    (
        "DestinationKmsKeyArn",
        "arn:aws:kms:eu-central-1:123456789012:key/destination",
    ),
    ("DestinationEncryption", "aws:kms:dsse"),
    ("Acl", "copy"),
    ("KmsKeyMap", "{}"),
    (
        "KmsKeyMapSourceKeyArns",
        "arn:aws:kms:us-east-1:123456789012:key/one,arn:aws:kms:us-east-1:123456789012:key/two",
    ),
    (
        "KmsKeyMapDestinationKeyArns",
        "arn:aws:kms:eu-central-1:123456789012:key/one",
    ),
    ("EnableCanary", "true"),
    ("AlarmEmail", "ops@example.com"),
    ("FinalSyncScheduleExpression", "rate(1 day)"),
    ("FinalSyncReservedConcurrency", "7"),
    ("EndpointUrl", "http://127.0.0.1:4566"),
];

type Resources = BTreeMap<String, Value>;

fn of_type<'a>(resources: &'a Resources, kind: &str) -> Vec<(&'a str, &'a Value)> {
    let wanted = resources.iter().filter(|(_, resource)| resource["Type"] == kind);
    wanted
        .map(|(id, resource)| (id.as_str(), &resource["Properties"]))
        .collect()
}

fn functions(resources: &Resources) -> Vec<(&str, &Value)> {
    let functions = of_type(resources, "AWS::Serverless::Function");
    assert!(!functions.is_empty());
    functions
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("not a number: {value}"))
}

fn string(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("not a string: {value}"))
}

/// Returns each SQS event source of a function with the logical id of its queue.
fn queue_events(function: &Value) -> Vec<(String, Value)> {
    let events = function["Events"].as_object().cloned().unwrap_or_default();
    let of_queues = events.into_values().filter(|event| event["Type"] == "SQS");
    of_queues
        .map(|event| {
            (
                string(&event["Properties"]["Queue"])
                    .trim_end_matches(".Arn")
                    .to_owned(),
                event["Properties"].clone(),
            )
        })
        .collect()
}

/// Returns every statement of every policy, trust policies included, with the logical id of its resource.
fn all_statements(resources: &Resources) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for (id, resource) in resources {
        let properties = &resource["Properties"];
        let mut documents = vec![&properties["AssumeRolePolicyDocument"], &properties["PolicyDocument"]];
        if let Some(policies) = properties["Policies"].as_array() {
            documents.extend(policies.iter().map(|policy| &policy["PolicyDocument"]));
        }
        for document in documents {
            found.extend(
                array(&document["Statement"])
                    .into_iter()
                    .map(|statement| (id.clone(), statement)),
            );
        }
    }
    assert!(!found.is_empty());
    found
}

fn role_actions(resources: &Resources, role: &str) -> BTreeSet<String> {
    let statements = all_statements(resources).into_iter().filter(|(id, _)| id == role);
    let actions: BTreeSet<String> = statements
        .flat_map(|(_, statement)| strings(&statement["Action"]))
        .collect();
    actions
        .into_iter()
        .filter(|action| action != "sts:AssumeRole")
        .collect()
}
