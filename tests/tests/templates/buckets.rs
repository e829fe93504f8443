//! Buckets, their policies and lifecycle rules.

use serde_json::{Value, json};

use super::cloudformation::{Template, array};
use super::{number, of_type, string};

#[test]
fn destination_bucket_is_versioned_encrypted_private_and_retained() {
    let template = Template::load("destination");
    let bucket = template.resources(&[])["DestinationBucket"].clone();
    assert_eq!(
        (&bucket["DeletionPolicy"], &bucket["UpdateReplacePolicy"]),
        (&json!("RetainExceptOnCreate"), &json!("Retain"))
    );
    let properties = &bucket["Properties"];
    assert_eq!(properties["VersioningConfiguration"], json!({ "Status": "Enabled" }));
    assert_eq!(
        properties["LifecycleConfiguration"]["Rules"],
        json!([{
            "Id": "abort-incomplete-uploads", "Status": "Enabled",
            "AbortIncompleteMultipartUpload": { "DaysAfterInitiation": 30 },
        }])
    );
    let encryption = |overrides| {
        let resources = template.resources(overrides);
        resources["DestinationBucket"]["Properties"]["BucketEncryption"]["ServerSideEncryptionConfiguration"].clone()
    };
    assert_eq!(
        encryption(&[]),
        json!([{ "ServerSideEncryptionByDefault": { "SSEAlgorithm": "AES256" } }])
    );
    assert_eq!(
        encryption(&[("KmsKeyArn", "the-key")]),
        json!([{
            "ServerSideEncryptionByDefault": { "SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "the-key" },
            "BucketKeyEnabled": true,
        }])
    );
}

#[test]
fn existing_destination_bucket_is_not_changed() {
    let resources = Template::load("destination").resources(&[("CreateBucket", "false")]);
    let kinds: Vec<&str> = resources.values().map(|resource| string(&resource["Type"])).collect();
    assert_eq!(kinds, ["AWS::CloudFormation::WaitConditionHandle"]);
}

#[test]
fn every_bucket_blocks_public_access_and_is_retained() {
    for resources in [
        Template::load("source").resources(&[]),
        Template::load("destination").resources(&[]),
    ] {
        let buckets = of_type(&resources, "AWS::S3::Bucket");
        assert_eq!(buckets.len(), 1);
        for (id, bucket) in buckets {
            let block = bucket["PublicAccessBlockConfiguration"]
                .as_object()
                .cloned()
                .unwrap_or_default();
            assert!(
                block.len() == 4 && block.values().all(|blocked| blocked == true),
                "{id}"
            );
            // The bucket is retained, except for an empty one after a failed creation.
            assert_eq!(resources[id]["DeletionPolicy"], "RetainExceptOnCreate", "{id}");
            assert_eq!(resources[id]["UpdateReplacePolicy"], "Retain", "{id}");
            assert_ne!(bucket["BucketEncryption"], Value::Null, "{id}");
        }
    }
}

#[test]
fn noncurrent_versions_expire_only_if_set() {
    let template = Template::load("destination");
    let rules = |days: &str| {
        let bucket = template.resources(&[("NoncurrentVersionExpirationDays", days)])["DestinationBucket"].clone();
        array(&bucket["Properties"]["LifecycleConfiguration"]["Rules"])
    };
    assert_eq!(rules("0").len(), 1);
    assert_eq!(
        rules("45")[1],
        json!({
            "Id": "expire-noncurrent-versions", "Status": "Enabled",
            "NoncurrentVersionExpiration": { "NoncurrentDays": "45" },
        })
    );
}

/// Emulators use http and the account 000000000000, which does not exist on AWS.
#[test]
fn every_bucket_and_queue_denies_requests_without_tls() {
    let deny = |actions: &str, resources: Value| {
        json!({
            "Sid": "DenyRequestsWithoutTls", "Effect": "Deny", "Principal": "*", "Action": [actions],
            "Resource": resources,
            "Condition": {
                "Bool": { "aws:SecureTransport": "false" },
                "StringNotEquals": { "aws:ResourceAccount": "000000000000" },
            },
        })
    };
    for name in ["source", "destination"] {
        let resources = Template::load(name).resources(&[]);
        let policies: Vec<&Value> = ["AWS::S3::BucketPolicy", "AWS::SQS::QueuePolicy"]
            .into_iter()
            .flat_map(|kind| of_type(&resources, kind))
            .map(|(_, policy)| policy)
            .collect();
        let is_denied = |target: &str, statement: &Value| {
            policies.iter().any(|policy| {
                let targets = [array(&policy["Bucket"]), array(&policy["Queues"])].concat();
                targets.contains(&Value::from(target))
                    && array(&policy["PolicyDocument"]["Statement"]).contains(statement)
            })
        };
        for (id, _) in of_type(&resources, "AWS::S3::Bucket") {
            let statement = deny("s3:*", json!([format!("{id}.Arn"), format!("${{{id}.Arn}}/*")]));
            assert!(is_denied(id, &statement), "{id}");
        }
        for (id, _) in of_type(&resources, "AWS::SQS::Queue") {
            assert!(is_denied(id, &deny("sqs:*", json!(format!("{id}.Arn")))), "{id}");
        }
        for (id, _) in of_type(&resources, "AWS::S3::BucketPolicy") {
            assert_eq!(resources[id]["DeletionPolicy"], "RetainExceptOnCreate", "{id}");
        }
    }
}

#[test]
fn lifecycle_rule_aborts_no_upload_that_may_be_retried() {
    let days = number(&Template::load("destination").section("Parameters")["AbortIncompleteUploadDays"]["Default"]);
    let retention =
        &Template::load("source").resources(&[])["ReplicationQueue"]["Properties"]["MessageRetentionPeriod"];
    // A multipart copy resumes with a new message, which doubles the retention.
    assert!(days * 24 * 60 * 60 > 2 * number(retention));
}
