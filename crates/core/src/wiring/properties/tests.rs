use serde_json::json;

use super::*;

/// Valid properties with some values replaced.
pub(in crate::wiring) fn with(changes: &[(&str, &str)]) -> Map<String, Value> {
    let mut properties = json!({
        "ServiceToken": "arn:aws:lambda:us-east-1:123456789012:function:wiring",
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
        "QueueArn": "arn:aws:sqs:us-east-1:123456789012:queue",
        "EventRuleName": "rule",
        "PropagateDeletes": "false",
        "KeyPrefix": "",
        "EnableVersioning": "false",
        "ReplicationRoleArn": "arn:aws:iam::123456789012:role/replication",
        "DestinationKmsKeyArn": "",
        "SourceKmsKeyArn": "",
        "KmsKeyMap": "",
    });
    let fields = properties.as_object_mut().unwrap();
    for (name, value) in changes {
        fields.insert((*name).to_owned(), json!(value));
    }
    fields.clone()
}

pub(in crate::wiring) fn parsed(properties: &Map<String, Value>) -> WiringProperties {
    WiringProperties::parse(properties).unwrap()
}

#[track_caller]
fn check_problem(changes: &[(&str, &str)], message: &str) {
    let error = WiringProperties::parse(&with(changes)).unwrap_err();
    let problems: Vec<String> = error.0.iter().map(ToString::to_string).collect();
    assert_eq!(problems, [message], "{changes:?}");
}

#[test]
fn valid_properties_are_accepted() {
    let properties = parsed(&with(&[("EventRuleName", "bus|rule"), ("ReplicationEngine", "both")]));
    assert_eq!(properties.engine, ReplicationEngine::Both);
    assert_eq!(properties.event_rule.as_deref(), Some("rule"));
    assert_eq!(properties.destination_kms_key_arn, None);
}

#[test]
fn invalid_values_are_reported_with_the_allowed_ones() {
    check_problem(
        &[("ReplicationEngine", "Lambda")],
        "ReplicationEngine is `Lambda`, expected: lambda or crr or both",
    );
    check_problem(
        &[("EventSource", "sns")],
        "EventSource is `sns`, expected: queue or eventbridge",
    );
    check_problem(
        &[("PropagateDeletes", "yes")],
        "PropagateDeletes is `yes`, expected: true or false",
    );
    check_problem(
        &[("SourceBucketName", "arn:aws:s3:::source")],
        "SourceBucketName is `arn:aws:s3:::source`, expected: the name of a bucket (not its ARN)",
    );
    check_problem(
        &[("QueueArn", "https://sqs.us-east-1.amazonaws.com/1/q")],
        "QueueArn is `https://sqs.us-east-1.amazonaws.com/1/q`, expected: an ARN as in arn:aws:sqs:...",
    );
    check_problem(&[("AccountId", "1234")], "AccountId is `1234`, expected: twelve digits");
    check_problem(
        &[("DestinationKmsKeyArn", "alias/key")],
        "DestinationKmsKeyArn is `alias/key`, expected: empty, or an ARN as in arn:aws:kms:...",
    );
}

#[test]
fn dependent_properties_are_validated_together() {
    check_problem(
        &[("ReplicationEngine", "crr"), ("ReplicationRoleArn", "")],
        "ReplicationRoleArn is ``, expected: the ARN of a role, with ReplicationEngine crr or both",
    );
    check_problem(
        &[("EventSource", "eventbridge"), ("EventRuleName", "")],
        "EventRuleName is ``, expected: the name of the stack's rule, with EventSource eventbridge",
    );
    check_problem(
        &[("DestinationBucketName", "source")],
        "DestinationBucketName is `source`, expected: another bucket than SourceBucketName",
    );
    check_problem(
        &[("StateBucketName", "destination")],
        "StateBucketName is `destination`, expected: another bucket than DestinationBucketName",
    );
}

#[test]
fn kms_keys_must_be_in_the_regions_of_their_buckets() {
    let key = |region: &str| format!("arn:aws:kms:{region}:123456789012:key/12ab");
    let map = |source: &str, copy: &str| format!("{{\"{}\":\"{}\"}}", key(source), key(copy));
    let check = |name: &str, value: &str| parsed(&with(&[(name, value)])).check_keys();
    for (name, value) in [
        ("SourceKmsKeyArn", key("us-east-1")),
        ("DestinationKmsKeyArn", key("eu-central-1")),
        ("KmsKeyMap", map("us-east-1", "eu-central-1")),
    ] {
        assert_eq!(check(name, &value), Ok(()), "{name}");
    }
    for (name, value, expected) in [
        (
            "SourceKmsKeyArn",
            key("eu-central-1"),
            "is not in us-east-1, the region of the source bucket",
        ),
        (
            "DestinationKmsKeyArn",
            key("eu-west-1"),
            "is not in eu-central-1, the region of the destination bucket",
        ),
        (
            "KmsKeyMap",
            map("us-east-1", "us-east-1"),
            "is not in eu-central-1, the region of the destination bucket",
        ),
        (
            "KmsKeyMap",
            map("eu-central-1", "eu-central-1"),
            "is not in us-east-1, the region of the source bucket",
        ),
    ] {
        let error = check(name, &value).unwrap_err().to_string();
        assert!(error.starts_with(name) && error.ends_with(expected), "{error}");
    }
}

#[test]
fn changed_bucket_properties_require_new_preflight_checks() {
    let changed = |name: &str, value: &str| WiringProperties::names_other_buckets(&with(&[(name, value)]), &with(&[]));
    assert!(!changed("KeyPrefix", "other/"));
    for name in WiringProperties::OF_BUCKETS {
        assert!(changed(name, "another"), "{name}");
    }
}

#[test]
fn all_problems_are_reported_at_once() {
    let error = WiringProperties::parse(&Map::new()).unwrap_err();
    let names: Vec<&str> = error.0.iter().map(|problem| problem.name).collect();
    assert_eq!(
        names,
        [
            "SourceBucketName",
            "DestinationBucketName",
            "SourceRegion",
            "DestinationRegion",
            "DestinationBucketOwner",
            "Ownership",
            "StateBucketName",
            "AccountId",
            "ReplicationEngine",
            "EventSource",
            "QueueArn",
            "PropagateDeletes",
            "EnableVersioning",
        ]
    );
    assert!(
        error
            .to_string()
            .contains("ReplicationEngine is missing, expected: lambda or crr or both")
    );
    let prefix = "x".repeat(1025);
    check_problem(
        &[("KeyPrefix", &prefix)],
        &format!("KeyPrefix is `{prefix}`, expected: empty, or at most 1024 bytes"),
    );
}

#[test]
fn json_booleans_are_accepted_and_structures_are_not() {
    let mut properties = with(&[]);
    properties.insert("EnableVersioning".to_owned(), json!(true));
    assert!(parsed(&properties).enable_versioning);
    properties.insert("ReplicationEngine".to_owned(), json!(["lambda"]));
    assert!(WiringProperties::parse(&properties).is_err());
}

#[test]
fn removal_needs_few_properties() {
    let removal = RemovalProperties::parse(&with(&[("ReplicationEngine", "no such"), ("KeyPrefix", "")])).unwrap();
    assert_eq!(removal, RemovalProperties::from(&parsed(&with(&[]))));
    assert_eq!(RemovalProperties::parse(&Map::new()), None);
    assert_eq!(RemovalProperties::parse(&with(&[("SourceBucketName", "a/b")])), None);
    assert_eq!(RemovalProperties::parse(&with(&[("AccountId", "x")])), None);
    let removal = RemovalProperties::parse(&with(&[("StateBucketName", "")])).unwrap();
    assert_eq!(removal.state, None);
}
