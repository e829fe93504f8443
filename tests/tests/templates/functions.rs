//! Functions and their alarms.

use std::collections::BTreeSet;

use s3ferry_functions::config::VARIABLES;
use serde_json::{Value, json};

use super::cloudformation::{Template, repository, strings};
use super::{EVERYTHING, Resources, all_statements, functions, number, of_type, queue_events, string};

#[test]
fn every_function_is_a_binary_that_exists() {
    for (id, function) in functions(&Template::load("source").resources(&[])) {
        let bin = string(&function["CodeUri"]).strip_prefix("../target/lambda/");
        let bin = bin.unwrap_or_else(|| panic!("{id} comes from {}", function["CodeUri"]));
        let source = repository().join("crates/functions/src/bin").join(format!("{bin}.rs"));
        assert!(source.is_file(), "{id} needs {}", source.display());
    }
}

#[test]
fn every_function_has_its_own_role_log_group_and_alarm() {
    let resources = Template::load("source").resources(&[]);
    let (mut roles, mut groups) = (BTreeSet::new(), BTreeSet::new());
    for (id, function) in functions(&resources) {
        let role = string(&function["Role"]).trim_end_matches(".Arn");
        assert_eq!(resources[role]["Type"], "AWS::IAM::Role", "{id}");
        assert!(roles.insert(role), "{id} has the role {role} of another function");

        let group = string(&function["LoggingConfig"]["LogGroup"]);
        assert!(number(&resources[group]["Properties"]["RetentionInDays"]) > 0, "{id}");
        assert!(
            groups.insert(group),
            "{id} has the log group {group} of another function"
        );

        let watched = of_type(&resources, "AWS::CloudWatch::Alarm")
            .into_iter()
            .any(|(_, alarm)| {
                alarm["MetricName"] == "Errors"
                    && alarm["Dimensions"] == json!([{ "Name": "FunctionName", "Value": id }])
            });
        assert!(watched, "{id} has no alarm on its errors");
    }
}

/// A failed invocation must be visible: in a dead-letter queue, in the deployment that requested it, or in the results
/// of the state machine.
#[test]
fn every_function_has_a_failure_destination() {
    let resources = Template::load("source").resources(&[]);
    for (id, function) in functions(&resources) {
        let events = queue_events(function);
        for (queue, _) in &events {
            let redrive = &resources[queue]["Properties"]["RedrivePolicy"];
            let target = string(&redrive["deadLetterTargetArn"]).trim_end_matches(".Arn");
            assert_eq!(resources[target]["Type"], "AWS::SQS::Queue", "{id}");
            assert!(number(&redrive["maxReceiveCount"]) >= 1, "{id}");
        }
        let serves = |resource: &Value| resource["Properties"]["ServiceToken"] == format!("{id}.Arn");
        let deployments: Vec<&Value> = resources.values().filter(|resource| serves(resource)).collect();
        for deployment in &deployments {
            let timeout = number(&deployment["Properties"]["ServiceTimeout"]);
            assert!(
                timeout > number(&function["Timeout"]),
                "{id} may still run when CloudFormation times out"
            );
        }
        // A state machine retries, and records what the function could not do.
        let machines = of_type(&resources, "AWS::StepFunctions::StateMachine");
        let in_a_machine = machines
            .iter()
            .any(|(_, machine)| string(&machine["DefinitionString"]).contains(&format!("${{{id}.Arn}}")));
        assert!(
            !events.is_empty() || !deployments.is_empty() || in_a_machine,
            "a failure of {id} is not visible"
        );
    }
}

#[test]
fn environment_has_only_variables_that_the_functions_read() {
    let environment = |resources: &Resources, id: &str| -> BTreeSet<String> {
        let variables = resources[id]["Properties"]["Environment"]["Variables"]
            .as_object()
            .cloned();
        variables
            .unwrap_or_default()
            .into_iter()
            .map(|(name, _)| name)
            .collect()
    };
    let all = Template::load("source").resources(EVERYTHING);
    assert_eq!(
        environment(&all, "ReplicatorFunction"),
        VARIABLES.iter().map(|variable| variable.name.to_owned()).collect()
    );
    // Both functions reconcile keys, so both have the same variables.
    for resources in [&all, &Template::load("source").resources(&[])] {
        let variables = |id: &str| resources[id]["Properties"]["Environment"]["Variables"].clone();
        assert_eq!(variables("FinalSyncFunction"), variables("ReplicatorFunction"));
    }
    assert_eq!(
        environment(&all, "BucketWiringFunction"),
        ["AWS_ENDPOINT_URL", "LOG_LEVEL"].map(str::to_owned).into()
    );
    let default = Template::load("source").resources(&[]);
    for (id, _) in functions(&default) {
        assert!(
            !environment(&default, id).contains("AWS_ENDPOINT_URL"),
            "{id} must use AWS by default"
        );
    }
}

#[test]
fn every_alarm_ignores_missing_data_and_notifies_the_given_address() {
    let template = Template::load("source");
    for (overrides, actions) in [(&[][..], Value::Null), (EVERYTHING, json!(["AlarmTopic"]))] {
        let resources = template.resources(overrides);
        assert_eq!(resources.contains_key("AlarmTopic"), !actions.is_null());
        for (id, alarm) in of_type(&resources, "AWS::CloudWatch::Alarm") {
            assert_eq!(alarm["TreatMissingData"], "notBreaching", "{id}");
            assert_eq!(
                (&alarm["AlarmActions"], &alarm["OKActions"]),
                (&actions, &actions),
                "{id}"
            );
        }
    }
}

/// By default Lambda ends a chain of messages to the function's own queue after about 16 hops:
/// <https://docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html>
#[test]
fn function_that_sends_to_its_own_queue_allows_recursive_loops() {
    let resources = Template::load("source").resources(&[]);
    let mut allowed = Vec::new();
    for (id, function) in functions(&resources) {
        let role = string(&function["Role"]).trim_end_matches(".Arn");
        let sends_to: BTreeSet<String> = all_statements(&resources)
            .into_iter()
            .filter(|(owner, statement)| {
                owner == role && strings(&statement["Action"]).contains(&"sqs:SendMessage".to_owned())
            })
            .flat_map(|(_, statement)| strings(&statement["Resource"]))
            .collect();
        let is_recursive = queue_events(function)
            .iter()
            .any(|(queue, _)| sends_to.contains(&format!("{queue}.Arn")));
        let expected = if is_recursive { json!("Allow") } else { Value::Null };
        assert_eq!(function["RecursiveLoop"], expected, "{id}");
        allowed.extend(is_recursive.then_some(id));
    }
    assert_eq!(allowed, ["ReplicatorFunction"]);
}

#[test]
fn bucket_wiring_has_every_property_and_depends_on_the_queue_policy() {
    let wiring = Template::load("source").resources(EVERYTHING)["BucketWiring"].clone();
    assert_eq!(
        wiring["Properties"],
        json!({
            "ServiceToken": "BucketWiringFunction.Arn", "ServiceTimeout": 360, "Revision": "2",
            "SourceBucketName": "<SourceBucketName>", "SourceRegion": "AWS::Region",
            "DestinationBucketName": "<DestinationBucketName>", "DestinationRegion": "<DestinationRegion>",
            "DestinationBucketOwner": "AWS::AccountId", "Ownership": "exclusive", "StateBucketName": "StateBucket",
            "AccountId": "AWS::AccountId", "ReplicationEngine": "both", "EventSource": "eventbridge",
            "QueueArn": "ReplicationQueue.Arn", "EventRuleName": "ReplicationEventRule", "PropagateDeletes": "true",
            "KeyPrefix": "", "EnableVersioning": "true", "ReplicationRoleArn": "ReplicationRole.Arn",
            "DestinationKmsKeyArn": "arn:aws:kms:eu-central-1:123456789012:key/destination",
            "SourceKmsKeyArn": "arn:aws:kms:us-east-1:123456789012:key/source", "KmsKeyMap": "{}",
        })
    );
    assert!(strings(&wiring["DependsOn"]).contains(&"ReplicationQueuePolicy".to_owned()));
}

#[test]
fn replication_role_is_created_passed_or_omitted() {
    let template = Template::load("source");
    let given = "arn:aws:iam::123456789012:role/given";
    let cases = [
        ("lambda", "", "", false),
        ("lambda", given, "", false),
        ("crr", "", "ReplicationRole.Arn", true),
        ("both", "", "ReplicationRole.Arn", true),
        ("crr", given, given, false),
    ];
    for (engine, role, wired, created) in cases {
        let resources = template.resources(&[("ReplicationEngine", engine), ("ReplicationRoleArn", role)]);
        assert_eq!(
            resources["BucketWiring"]["Properties"]["ReplicationRoleArn"], wired,
            "{engine} {role}"
        );
        assert_eq!(resources.contains_key("ReplicationRole"), created, "{engine} {role}");
        let passed: Vec<Value> = all_statements(&resources)
            .into_iter()
            .filter(|(_, statement)| strings(&statement["Action"]).contains(&"iam:PassRole".to_owned()))
            .map(|(_, statement)| {
                assert_eq!(
                    statement["Condition"]["StringEquals"]["iam:PassedToService"],
                    "s3.amazonaws.com"
                );
                statement["Resource"].clone()
            })
            .collect();
        // A given role is passed with every engine: leaving crr writes the other rules back with it.
        let passed_role = if role.is_empty() { wired } else { role };
        let expected: Vec<Value> = Some(passed_role)
            .filter(|role| !role.is_empty())
            .map(Value::from)
            .into_iter()
            .collect();
        assert_eq!(passed, expected, "{engine} {role}");
    }
}
