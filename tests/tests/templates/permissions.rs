//! Permissions of roles and resource policies.

use std::collections::BTreeSet;

use s3ferry_core::plan::{LARGEST_PART_BYTES, SMALLEST_PART_BYTES};
use serde_json::{Value, json};

use super::cloudformation::{Template, array, strings};
use super::{EVERYTHING, Resources, all_statements, number, role_actions, string};

fn statement_of(resources: &Resources, owner: &str, sid: &str) -> Value {
    let found = all_statements(resources)
        .into_iter()
        .find(|(id, statement)| id == owner && statement["Sid"] == sid);
    found.unwrap_or_else(|| panic!("no statement {sid} in {owner}")).1
}

#[test]
fn no_statement_has_wildcard_actions_or_resources() {
    let template = Template::load("source");
    let given = [
        EVERYTHING,
        &[("ReplicationRoleArn", "arn:aws:iam::123456789012:role/given")],
    ]
    .concat();
    for resources in [
        template.resources(EVERYTHING),
        template.resources(&given),
        template.resources(&[]),
    ] {
        for (id, statement) in all_statements(&resources) {
            let sid = string(&statement["Sid"]);
            assert!(sid.chars().all(|c| c.is_ascii_alphanumeric()), "{id} {sid}");
            if sid == "DenyRequestsWithoutTls" {
                continue;
            }
            assert_eq!(statement["Effect"], "Allow", "{id} {sid}");
            for action in strings(&statement["Action"]) {
                assert!(!action.contains('*'), "{id} {sid}: {action}");
            }
            // IAM supports no narrower resource for this action.
            if strings(&statement["Action"]) == ["events:ListRules"] {
                assert_eq!(statement["Resource"], "*");
                continue;
            }
            for resource in strings(&statement["Resource"]) {
                // A wildcard is allowed only at the end, after the name of a bucket.
                let fixed = resource.strip_suffix('*').unwrap_or(&resource);
                // The executions of one state machine are allowed too.
                let fixed = fixed.strip_suffix("-final-sync:").unwrap_or(fixed);
                assert!(
                    !fixed.is_empty() && !fixed.ends_with(':') && !fixed.contains('*'),
                    "{id} {sid}: {resource}"
                );
            }
            for forbidden in ["NotAction", "NotResource", "NotPrincipal"] {
                assert_eq!(statement[forbidden], Value::Null, "{id} {sid}");
            }
            let trust = strings(&statement["Action"]) == ["sts:AssumeRole"];
            assert_eq!(trust, statement["Resource"].is_null(), "{id} {sid}");
        }
    }
}

#[test]
fn statements_on_destination_and_state_bucket_require_their_owner() {
    let template = Template::load("source");
    for (given, owner) in [("", "AWS::AccountId"), ("210987654321", "210987654321")] {
        let resources = template.resources(&[EVERYTHING, &[("DestinationBucketOwner", given)]].concat());
        let mut checked = 0;
        for (id, statement) in all_statements(&resources) {
            let on = statement["Resource"].to_string();
            let (of_state, of_destination) = (on.contains("StateBucket"), on.contains("<DestinationBucketName>"));
            if statement["Effect"] != "Allow" || !(of_state || of_destination) {
                continue;
            }
            let expected = match (of_destination, on.contains("<SourceBucketName>")) {
                (true, false) => json!(owner),
                (true, true) => json!(["AWS::AccountId", owner]),
                (false, _) => json!("AWS::AccountId"),
            };
            let sid = &statement["Sid"];
            assert_eq!(
                statement["Condition"]["StringEqualsIfExists"]["aws:ResourceAccount"], expected,
                "{id} {sid}"
            );
            checked += 1;
        }
        assert!(checked >= 20, "{checked}");
        for function in ["ReplicatorFunction", "FinalSyncFunction"] {
            let variables = &resources[function]["Properties"]["Environment"]["Variables"];
            assert_eq!(variables["DESTINATION_BUCKET_OWNER"], owner, "{function}");
        }
    }
}

#[test]
fn object_permissions_are_limited_to_the_prefix() {
    let resources = Template::load("source").resources(&[&[("KeyPrefix", "in/")], EVERYTHING].concat());
    let mut checked = 0;
    for (id, statement) in all_statements(&resources) {
        for resource in strings(&statement["Resource"])
            .into_iter()
            .filter(|resource| resource.contains("BucketName>/"))
        {
            let is_canary =
                id == "CanaryScheduleRole" && resource.ends_with("<SourceBucketName>/in/.s3ferry-canary/heartbeat");
            assert!(is_canary || resource.ends_with("BucketName>/in/*"), "{id}: {resource}");
            checked += 1;
        }
    }
    assert!(checked >= 4);
}

#[test]
fn default_replicator_has_exactly_the_permissions_of_a_copy() {
    let actions = role_actions(&Template::load("source").resources(&[]), "ReplicatorRole");
    let expected = [
        "logs:CreateLogStream",
        "logs:PutLogEvents",
        "s3:AbortMultipartUpload",
        "s3:DeleteObject",
        "s3:DeleteObjectAnnotation",
        "s3:DeleteObjectVersionAnnotation",
        "s3:DeleteObjectVersionTagging",
        "s3:GetBucketObjectLockConfiguration",
        "s3:GetBucketVersioning",
        "s3:GetEncryptionConfiguration",
        "s3:GetObject",
        "s3:GetObjectAnnotation",
        "s3:GetObjectAttributes",
        "s3:GetObjectLegalHold",
        "s3:GetObjectRetention",
        "s3:GetObjectTagging",
        "s3:GetObjectVersion",
        "s3:GetObjectVersionAnnotation",
        "s3:GetObjectVersionAttributes",
        "s3:GetObjectVersionTagging",
        "s3:GetReplicationConfiguration",
        "s3:ListBucket",
        "s3:ListBucketMultipartUploads",
        "s3:ListBucketVersions",
        "s3:ListMultipartUploadParts",
        "s3:ListObjectAnnotations",
        "s3:ListObjectVersionAnnotations",
        "s3:PutObject",
        "s3:PutObjectAnnotation",
        "s3:PutObjectLegalHold",
        "s3:PutObjectRetention",
        "s3:PutObjectTagging",
        "s3:PutObjectVersionAnnotation",
        "s3:PutObjectVersionTagging",
        "s3:UpdateObjectEncryption",
        "sqs:ChangeMessageVisibility",
        "sqs:DeleteMessage",
        "sqs:GetQueueAttributes",
        "sqs:ReceiveMessage",
        "sqs:SendMessage",
    ];
    assert_eq!(actions, expected.map(str::to_owned).into());
}

/// A HEAD with checksum mode requires both actions: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html>
#[test]
fn every_source_kms_key_allows_a_head_with_checksums() {
    let resources = Template::load("source").resources(EVERYTHING);
    for role in ["ReplicatorRole", "FinalSyncRole"] {
        for sid in ["DecryptSourceObjects", "DecryptWithSourceKeysOfTheMap"] {
            let statement = statement_of(&resources, role, sid);
            assert_eq!(
                strings(&statement["Action"]),
                ["kms:Decrypt", "kms:GenerateDataKey"],
                "{role} {sid}"
            );
        }
    }
}

/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock-managing.html#object-lock-managing-replication>
#[test]
fn replication_role_may_read_object_lock_of_source_objects() {
    let resources = Template::load("source").resources(&[("ReplicationEngine", "crr")]);
    let actions = role_actions(&resources, "ReplicationRole");
    for action in ["s3:GetObjectRetention", "s3:GetObjectLegalHold"] {
        assert!(actions.contains(action), "{action}");
    }
}

/// AWS documents no condition keys for S3 and S3 Batch Operations. A condition on a key that is not sent would deny
/// every request.
#[test]
fn trust_policies_have_conditions_only_if_the_service_documents_them() {
    let resources = Template::load("source").resources(EVERYTHING);
    let mut checked = BTreeSet::new();
    for (id, statement) in all_statements(&resources) {
        if strings(&statement["Action"]) != ["sts:AssumeRole"] {
            continue;
        }
        let service = string(&statement["Principal"]["Service"]).to_owned();
        let condition = match service.as_str() {
            "s3.amazonaws.com" | "batchoperations.s3.amazonaws.com" | "lambda.amazonaws.com" => Value::Null,
            "states.amazonaws.com" | "scheduler.amazonaws.com" => {
                json!({ "StringEquals": { "aws:SourceAccount": "AWS::AccountId" } })
            }
            other => panic!("{id} trusts {other}"),
        };
        assert_eq!(statement["Condition"], condition, "{id}");
        checked.insert(service);
    }
    assert_eq!(checked.len(), 5);
}

#[test]
fn replication_of_encrypted_objects_requires_the_destination_key() {
    let rule = Template::load("source").section("Rules")["ReplicationOfEncryptedObjectsHasItsKey"].clone();
    let given = |name: &str| json!({ "Fn::Not": [{ "Fn::Equals": [{ "Ref": name }, ""] }] });
    assert_eq!(
        rule["RuleCondition"],
        json!({ "Fn::And": [{ "Fn::Equals": [{ "Ref": "ReplicationEngine" }, "crr"] }, given("SourceKmsKeyArn")] })
    );
    assert_eq!(rule["Assertions"][0]["Assert"], given("DestinationKmsKeyArn"));
}

#[test]
fn destination_encryption_is_passed_with_its_key_and_requires_one() {
    let template = Template::load("source");
    let key = (
        "DestinationKmsKeyArn",
        "arn:aws:kms:eu-central-1:123456789012:key/destination",
    );
    let sent = |encryption| {
        let resources = template.resources(&[("DestinationEncryption", encryption), key]);
        ["ReplicatorFunction", "FinalSyncFunction"].map(|function| {
            let variables = &resources[function]["Properties"]["Environment"]["Variables"];
            string(&variables["DESTINATION_ENCRYPTION"]).to_owned()
        })
    };
    for (encryption, expected) in [
        ("bucket-default", "bucket-default".to_owned()),
        ("AES256", "AES256".to_owned()),
        ("aws:kms", format!("aws:kms:{}", key.1)),
        ("aws:kms:dsse", format!("aws:kms:dsse:{}", key.1)),
    ] {
        assert_eq!(sent(encryption), [expected.clone(), expected.clone()]);
        assert!(
            s3ferry_core::policy::destination_encryption(&expected).is_ok(),
            "{expected}"
        );
    }
    let rules = template.section("Rules");
    let is = |value: &str| json!({ "Fn::Equals": [{ "Ref": "DestinationEncryption" }, value] });
    let no_key = json!({ "Fn::Equals": [{ "Ref": "DestinationKmsKeyArn" }, ""] });
    let with_key = &rules["KmsEncryptionHasItsKey"];
    assert_eq!(
        with_key["RuleCondition"],
        json!({ "Fn::Or": [is("aws:kms"), is("aws:kms:dsse")] })
    );
    assert_eq!(with_key["Assertions"][0]["Assert"], json!({ "Fn::Not": [no_key] }));
}

#[test]
fn final_sync_has_the_object_permissions_of_the_replicator() {
    for overrides in [&[][..], EVERYTHING] {
        let resources = Template::load("source").resources(overrides);
        let of_objects = |role: &str| -> Vec<Value> {
            let statements = all_statements(&resources).into_iter().filter(|(id, _)| id == role);
            let statements = statements.map(|(_, statement)| statement).filter(|statement| {
                let resource = statement["Resource"].to_string();
                resource.contains("BucketName>") || resource.contains(":kms:")
            });
            statements.collect()
        };
        let permissions = of_objects("FinalSyncRole");
        assert!(permissions.len() >= 4);
        assert_eq!(permissions, of_objects("ReplicatorRole"));
    }
    let actions = role_actions(&Template::load("source").resources(&[]), "FinalSyncRole");
    let replicator = role_actions(&Template::load("source").resources(&[]), "ReplicatorRole");
    let only_the_replicator: Vec<&String> = replicator.difference(&actions).collect();
    assert_eq!(
        only_the_replicator,
        [
            "sqs:ChangeMessageVisibility",
            "sqs:DeleteMessage",
            "sqs:GetQueueAttributes",
            "sqs:ReceiveMessage"
        ]
    );
    assert!(actions.is_subset(&replicator), "{actions:?}");
}

#[test]
fn acl_permissions_exist_only_if_acls_are_copied() {
    let template = Template::load("source");
    let permissions = |overrides: &[(&str, &str)]| -> BTreeSet<String> {
        let actions = role_actions(&template.resources(overrides), "ReplicatorRole").into_iter();
        actions
            .filter(|action| action.ends_with("Acl") || action.contains("Ownership"))
            .collect()
    };
    assert_eq!(permissions(&[]), BTreeSet::new());
    let expected = [
        "s3:GetBucketAcl",
        "s3:GetBucketOwnershipControls",
        "s3:GetObjectAcl",
        "s3:GetObjectVersionAcl",
        "s3:PutObjectAcl",
        "s3:PutObjectVersionAcl",
    ];
    assert_eq!(permissions(&[("Acl", "copy")]), expected.map(str::to_owned).into());
}

#[test]
fn version_deletes_are_allowed_only_with_shared_ownership() {
    let template = Template::load("source");
    for role in ["ReplicatorRole", "FinalSyncRole"] {
        let permissions = |overrides: &[(&str, &str)]| role_actions(&template.resources(overrides), role);
        let shared = permissions(&[("Ownership", "shared")]);
        let exclusive = permissions(&[]);
        let more: Vec<&String> = shared.difference(&exclusive).collect();
        assert_eq!(more, ["s3:DeleteObjectVersion"]);
    }
    let rule = template.section("Rules")["SharedOwnershipExcludesReplication"].clone();
    assert_eq!(
        rule["RuleCondition"],
        json!({ "Fn::Equals": [{ "Ref": "Ownership" }, "shared"] })
    );
    assert_eq!(
        rule["Assertions"][0]["Assert"],
        json!({ "Fn::Equals": [{ "Ref": "ReplicationEngine" }, "lambda"] })
    );
}

#[test]
fn kms_keys_of_the_map_are_usable_only_through_s3() {
    let resources = Template::load("source").resources(EVERYTHING);
    let statement = |sid: &str| statement_of(&resources, "ReplicatorRole", sid);
    let key = |region: &str, name: &str| format!("arn:aws:kms:{region}:123456789012:key/{name}");
    let decrypting = statement("DecryptWithSourceKeysOfTheMap");
    assert_eq!(
        decrypting["Resource"],
        json!([key("us-east-1", "one"), key("us-east-1", "two")])
    );
    let encrypting = statement("EncryptWithDestinationKeysOfTheMap");
    assert_eq!(encrypting["Resource"], json!([key("eu-central-1", "one")]));
    for statement in [decrypting, encrypting] {
        let through = strings(&statement["Condition"]["StringEquals"]["kms:ViaService"]);
        assert!(
            through.iter().all(|service| service.starts_with("s3.")) && through.len() == 2,
            "{statement}"
        );
    }
}

#[test]
fn upload_journal_entries_never_expire() {
    let resources = Template::load("source").resources(&[]);
    let statements = all_statements(&resources);
    let journal = statements
        .iter()
        .find(|(_, statement)| statement["Sid"] == "WriteUploadJournal");
    let journal = journal.map(|(_, statement)| statement["Resource"].clone());
    assert_eq!(journal, Some(json!("${StateBucket.Arn}/uploads/*")));
    // The only lifecycle rule expires no object and applies to no other prefix.
    let rules = array(&resources["StateBucket"]["Properties"]["LifecycleConfiguration"]["Rules"]);
    assert_eq!(
        rules,
        [json!({
            "Id": "abort-incomplete-uploads", "Status": "Enabled", "Prefix": "final-sync/",
            "AbortIncompleteMultipartUpload": { "DaysAfterInitiation": 30 },
        })]
    );
}

#[test]
fn part_size_limits_match_the_code() {
    let parameters = Template::load("source").section("Parameters");
    for name in ["MultipartThresholdBytes", "PartSizeBytes"] {
        let bounds = (
            number(&parameters[name]["MinValue"]),
            number(&parameters[name]["MaxValue"]),
        );
        assert_eq!(bounds, (SMALLEST_PART_BYTES, LARGEST_PART_BYTES), "{name}");
    }
}

#[test]
fn default_bucket_wiring_has_exactly_the_permissions_of_a_notification() {
    let actions = role_actions(&Template::load("source").resources(&[]), "BucketWiringRole");
    let expected = [
        "events:ListRules",
        "logs:CreateLogStream",
        "logs:PutLogEvents",
        "s3:GetBucketNotification",
        "s3:GetBucketObjectLockConfiguration",
        "s3:GetBucketVersioning",
        "s3:GetObject",
        "s3:GetReplicationConfiguration",
        "s3:ListBucket",
        "s3:PutBucketNotification",
        "s3:PutObject",
        "s3:PutReplicationConfiguration",
    ];
    assert_eq!(actions, expected.map(str::to_owned).into());
}

#[test]
fn no_role_may_delete_objects_unless_deletes_are_propagated() {
    // Attribute updates delete tags and annotations; s3ferry also deletes its own journal entries.
    const ATTRIBUTE_DELETES: [&str; 3] = [
        "s3:DeleteObjectAnnotation",
        "s3:DeleteObjectVersionAnnotation",
        "s3:DeleteObjectVersionTagging",
    ];
    let template = Template::load("source");
    let deleting = |propagate: &str| -> BTreeSet<String> {
        let resources = template.resources(&[EVERYTHING, &[("PropagateDeletes", propagate)]].concat());
        let actions = all_statements(&resources)
            .into_iter()
            .filter(|(_, statement)| statement["Resource"] != "${StateBucket.Arn}/uploads/*")
            .flat_map(|(_, statement)| strings(&statement["Action"]));
        actions
            .filter(|action| {
                let deletes = action.starts_with("s3:") && action.contains("Delete");
                deletes && !ATTRIBUTE_DELETES.contains(&action.as_str())
            })
            .collect()
    };
    assert_eq!(deleting("false"), BTreeSet::new());
    assert_eq!(
        deleting("true"),
        ["s3:DeleteObject", "s3:ReplicateDelete"].map(str::to_owned).into()
    );
}
