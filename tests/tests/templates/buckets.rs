//! Buckets, and what of them existing ones keep.

use serde_json::{Value, json};

use super::cloudformation::Template;
use super::{number, of_type, string};

#[test]
fn destination_bucket_is_versioned_encrypted_private_and_kept() {
    let template = Template::load("destination");
    let bucket = template.resources(&[])["DestinationBucket"].clone();
    assert_eq!(
        (&bucket["DeletionPolicy"], &bucket["UpdateReplacePolicy"]),
        (&json!("Retain"), &json!("Retain"))
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
fn existing_destination_bucket_is_left_alone() {
    let resources = Template::load("destination").resources(&[("CreateBucket", "false")]);
    let kinds: Vec<&str> = resources.values().map(|resource| string(&resource["Type"])).collect();
    assert_eq!(kinds, ["AWS::CloudFormation::WaitConditionHandle"]);
}

#[test]
fn every_bucket_blocks_public_access_and_stays() {
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
            assert_eq!(resources[id]["DeletionPolicy"], "Retain", "{id}");
            assert_ne!(bucket["BucketEncryption"], Value::Null, "{id}");
        }
    }
}

#[test]
fn lifecycle_spares_every_upload_that_may_still_be_retried() {
    let days = number(&Template::load("destination").section("Parameters")["AbortIncompleteUploadDays"]["Default"]);
    let retention =
        &Template::load("source").resources(&[])["ReplicationQueue"]["Properties"]["MessageRetentionPeriod"];
    // A copy in parts goes on as a message of its own, so twice the retention.
    assert!(days * 24 * 60 * 60 > 2 * number(retention));
}
