//! Queues and event sources.

use serde_json::{Value, json};

use super::cloudformation::{Template, array};
use super::{functions, number, of_type, queue_events, string};

#[test]
fn queue_visibility_is_at_least_six_times_the_function_timeout() {
    let resources = Template::load("source").resources(&[]);
    let mut checked = 0;
    for (id, function) in functions(&resources) {
        for (queue, _) in queue_events(function) {
            let visibility = number(&resources[&queue]["Properties"]["VisibilityTimeout"]);
            assert!(
                visibility >= 6 * number(&function["Timeout"]),
                "{queue} hides messages {visibility} s from {id}"
            );
            checked += 1;
        }
    }
    assert_eq!(checked, 1);
}

#[test]
fn every_queue_event_source_reports_batch_item_failures_and_is_bounded() {
    for (id, function) in functions(&Template::load("source").resources(&[])) {
        for (_, event) in queue_events(function) {
            assert_eq!(
                event["FunctionResponseTypes"],
                json!(["ReportBatchItemFailures"]),
                "{id}"
            );
            assert!(number(&event["ScalingConfig"]["MaximumConcurrency"]) >= 2, "{id}");
        }
        // An account with the initial concurrency limit cannot reserve any; see the template.
        assert_eq!(function["ReservedConcurrentExecutions"], Value::Null, "{id}");
    }
}

/// Lambda requires a batching window of at least a second for a batch of more than 10 messages.
#[test]
fn batch_larger_than_ten_always_has_a_window() {
    let parameters = Template::load("source").section("Parameters");
    assert!(number(&parameters["BatchSize"]["MaxValue"]) > 10);
    assert!(number(&parameters["BatchingWindowSeconds"]["MinValue"]) >= 1);
    assert!(number(&parameters["BatchingWindowSeconds"]["MaxValue"]) <= 300);
    let resources =
        Template::load("source").resources(&[("BatchSize", "<size>"), ("BatchingWindowSeconds", "<window>")]);
    let (_, event) = queue_events(&resources["ReplicatorFunction"]["Properties"]).remove(0);
    assert_eq!(
        (&event["BatchSize"], &event["MaximumBatchingWindowInSeconds"]),
        (&json!("<size>"), &json!("<window>"))
    );
}

#[test]
fn default_batch_is_copied_in_one_round() {
    let parameters = Template::load("source").section("Parameters");
    assert!(number(&parameters["BatchSize"]["Default"]) <= number(&parameters["MaxConcurrentCopies"]["Default"]));
}

#[test]
fn queues_retain_messages_for_fourteen_days_and_accept_the_largest_event() {
    let resources = Template::load("source").resources(&[]);
    for (id, queue) in of_type(&resources, "AWS::SQS::Queue") {
        assert_eq!(number(&queue["MessageRetentionPeriod"]), 14 * 24 * 60 * 60, "{id}");
        // S3 sends up to 64 KB: https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
        assert!(number(&queue["MaximumMessageSize"]) >= 65_536, "{id}");
        assert_eq!(queue["SqsManagedSseEnabled"], json!(true), "{id}");
    }
}

#[test]
fn dead_letter_queue_accepts_messages_of_the_maximum_size() {
    let resources = Template::load("source").resources(&[]);
    let size = |id: &str| number(&resources[id]["Properties"]["MaximumMessageSize"]);
    assert!(size("ReplicationDeadLetterQueue") >= size("ReplicationQueue"));
}

#[test]
fn queue_policy_allows_only_the_source_bucket_and_the_event_rule() {
    let template = Template::load("source");
    let statements = |overrides| {
        let resources = template.resources(overrides);
        array(&resources["ReplicationQueuePolicy"]["Properties"]["PolicyDocument"]["Statement"])
    };
    let bucket = json!({
        "Sid": "SourceBucketSendsNotifications", "Effect": "Allow", "Principal": { "Service": "s3.amazonaws.com" },
        "Action": ["sqs:SendMessage"], "Resource": "ReplicationQueue.Arn",
        "Condition": {
            "ArnEquals": { "aws:SourceArn": "arn:${AWS::Partition}:s3:::<SourceBucketName>" },
            "StringEquals": { "aws:SourceAccount": "AWS::AccountId" },
        },
    });
    let rule = json!({
        "Sid": "EventRuleSendsEvents", "Effect": "Allow", "Principal": { "Service": "events.amazonaws.com" },
        "Action": ["sqs:SendMessage"], "Resource": "ReplicationQueue.Arn",
        "Condition": { "ArnEquals": { "aws:SourceArn": "ReplicationEventRule.Arn" } },
    });
    let allowed = |overrides| -> Vec<Value> {
        let statements: Vec<Value> = statements(overrides);
        statements
            .into_iter()
            .filter(|statement| statement["Effect"] != "Deny")
            .collect()
    };
    assert_eq!(allowed(&[]), std::slice::from_ref(&bucket));
    assert_eq!(allowed(&[("EventSource", "eventbridge")]), [bucket.clone(), rule]);
    assert_eq!(
        allowed(&[("EventSource", "eventbridge"), ("ReplicationEngine", "crr")]),
        [bucket]
    );
}

#[test]
fn event_rule_names_bucket_prefix_and_detail_types() {
    let template = Template::load("source");
    // By this text bucket-wiring distinguishes the rules of other s3ferry stacks from foreign rules.
    let rule = &template.resources(&[("EventSource", "eventbridge")])["ReplicationEventRule"]["Properties"];
    assert!(
        string(&rule["Description"]).ends_with("for s3ferry's replication queue"),
        "{rule}"
    );
    let pattern = |overrides: &[(&str, &str)]| {
        let overrides = [&[("EventSource", "eventbridge")], overrides].concat();
        template.resources(&overrides)["ReplicationEventRule"]["Properties"]["EventPattern"].clone()
    };
    let types = [
        "Object Created",
        "Object Tags Added",
        "Object Tags Deleted",
        "Object ACL Updated",
        "Object Restore Completed",
    ];
    let bucket = json!({ "name": ["<SourceBucketName>"] });
    assert_eq!(
        pattern(&[]),
        json!({ "source": ["aws.s3"], "detail-type": types, "detail": { "bucket": bucket } })
    );
    let with_deletes = [types.as_slice(), &["Object Deleted"]].concat();
    assert_eq!(
        pattern(&[("PropagateDeletes", "true"), ("KeyPrefix", "in/")]),
        json!({
            "source": ["aws.s3"], "detail-type": with_deletes,
            "detail": { "bucket": bucket, "object": { "key": [{ "prefix": "in/" }] } },
        })
    );
}
