//! Alarms, and the metrics that they watch.

use s3ferry_core::canary::{CANARY_INTERVAL, CANARY_METADATA, canary_key};
use s3ferry_core::redelivery::RedeliveryReason;
use s3ferry_core::time::Timestamp;
use s3ferry_engine::invocation_counts::InvocationCounts;
use s3ferry_functions::metrics::{METRICS, NAMESPACE, to_lines};
use serde_json::{Value, json};

use super::cloudformation::{Template, array, strings, text};
use super::tables::{self, MIGRATION, RUNBOOK};
use super::{EVERYTHING, number, of_type, string};

/// AWS metrics that alarms may watch: namespace, name, dimension, and type of the resource that the dimension names.
///
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html>,
/// <https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html>,
/// <https://docs.aws.amazon.com/step-functions/latest/dg/procedure-cw-metrics.html>
const METRICS_OF_AWS: &[(&str, &str, &str, &str)] = &[
    (
        "AWS/SQS",
        "ApproximateAgeOfOldestMessage",
        "QueueName",
        "AWS::SQS::Queue",
    ),
    (
        "AWS/SQS",
        "ApproximateNumberOfMessagesVisible",
        "QueueName",
        "AWS::SQS::Queue",
    ),
    ("AWS/Lambda", "Errors", "FunctionName", "AWS::Serverless::Function"),
    ("AWS/Lambda", "Throttles", "FunctionName", "AWS::Serverless::Function"),
    (
        "AWS/States",
        "ExecutionsFailed",
        "StateMachineArn",
        "AWS::StepFunctions::StateMachine",
    ),
];

/// Names and dimensions of the metrics that the functions write, as CloudWatch extracts them.
fn written() -> Vec<(String, Vec<String>)> {
    let counts = InvocationCounts {
        failed_by_code: [("AccessDenied".to_owned(), 1)].into(),
        lags_ms: vec![1],
        ..InvocationCounts::default()
    };
    let mut written = Vec::new();
    for line in to_lines(&counts, "a-bucket", "0.1.0", Timestamp::from_millis(0)) {
        let line: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let directive = &line["_aws"]["CloudWatchMetrics"][0];
        let dimensions = strings(&directive["Dimensions"][0]);
        for metric in array(&directive["Metrics"]) {
            written.push((string(&metric["Name"]).to_owned(), dimensions.clone()));
        }
    }
    written
}

/// An alarm on a metric that is never written stays silent, because missing data is ignored.
#[test]
fn every_alarm_watches_a_metric_that_is_written() {
    let resources = Template::load("source").resources(EVERYTHING);
    let written = written();
    for (id, alarm) in of_type(&resources, "AWS::CloudWatch::Alarm") {
        let (namespace, metric) = (string(&alarm["Namespace"]), string(&alarm["MetricName"]));
        let [dimension] = array(&alarm["Dimensions"])
            .try_into()
            .unwrap_or_else(|all| panic!("{id}: {all:?}"));
        if namespace == NAMESPACE {
            let watched = (metric.to_owned(), vec![string(&dimension["Name"]).to_owned()]);
            assert!(written.contains(&watched), "{id}: {watched:?}");
            let functions = ["ReplicatorFunction", "FinalSyncFunction"];
            for variables in functions.map(|function| &resources[function]["Properties"]["Environment"]["Variables"]) {
                assert_eq!(dimension["Value"], variables["SOURCE_BUCKET"], "{id}");
            }
            continue;
        }
        let watched = string(&dimension["Value"]).split('.').next().unwrap_or_default();
        let known = METRICS_OF_AWS.iter().any(|(of, name, by, kind)| {
            *of == namespace && *name == metric && dimension["Name"] == *by && resources[watched]["Type"] == *kind
        });
        assert!(known, "{id} watches {namespace} {metric} of {dimension}");
    }
}

/// The alarms on S3's own replication, each with its query and in the region in which S3 publishes the metric.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/repl-metrics.html>
#[test]
fn s3_replication_has_alarms_on_failures_and_pending_bytes() {
    let find = |template: &str, engine: &str, id: &str| {
        let resources = Template::load(template).resources(&[("ReplicationEngine", engine)]);
        resources.get(id).map(|alarm| alarm["Properties"].clone())
    };
    for (template, id, expected) in [
        (
            "source",
            "CrrFailuresAlarm",
            "SELECT SUM(OperationsFailedReplication) FROM SCHEMA(\"AWS/S3\", DestinationBucket, RuleId, SourceBucket) \
             WHERE SourceBucket = '<SourceBucketName>' AND DestinationBucket = '<DestinationBucketName>'",
        ),
        (
            "destination",
            "CrrBytesPendingAlarm",
            "SELECT MAX(BytesPendingReplication) FROM SCHEMA(\"AWS/S3\", DestinationBucket, RuleId, SourceBucket) \
             WHERE DestinationBucket = '<BucketName>'",
        ),
    ] {
        assert!(find(template, "lambda", id).is_none(), "{id}");
        for engine in ["crr", "both"] {
            let alarm = find(template, engine, id).unwrap_or_else(|| panic!("no {id} with {engine}"));
            let [query] = array(&alarm["Metrics"])
                .try_into()
                .unwrap_or_else(|all| panic!("{id}: {all:?}"));
            assert_eq!(query["Expression"], expected, "{id}");
            assert_eq!(alarm["TreatMissingData"], "notBreaching", "{id}");
        }
    }
}

/// Metrics of a dashboard: namespace, name and dimensions of each row, and the expressions.
fn dashboard() -> (Vec<Vec<String>>, Vec<String>) {
    let resources = Template::load("source").resources(EVERYTHING);
    let [(_, dashboard)] = of_type(&resources, "AWS::CloudWatch::Dashboard")
        .try_into()
        .unwrap_or_else(|all| panic!("{all:?}"));
    let body = string(&dashboard["DashboardBody"]);
    let body: Value = serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {body}"));
    let (mut rows, mut expressions) = (Vec::new(), Vec::new());
    for widget in array(&body["widgets"]) {
        assert!(widget["properties"]["region"].is_string(), "{widget}");
        for row in array(&widget["properties"]["metrics"]) {
            let names: Vec<String> = array(&row)
                .iter()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect();
            if names.is_empty() {
                expressions.push(string(&row[0]["expression"]).to_owned());
            } else {
                rows.push(names);
            }
        }
    }
    (rows, expressions)
}

#[test]
fn dashboard_shows_only_metrics_that_are_written() {
    let (rows, expressions) = dashboard();
    let written = written();
    for row in rows.iter().filter(|row| row[0] == NAMESPACE) {
        let shown = (row[1].clone(), vec![row[2].clone()]);
        assert!(written.contains(&shown), "{shown:?}");
    }
    for name in [
        "ReplicationLagSeconds",
        "ObjectsCopied",
        "ApproximateNumberOfMessagesVisible",
        "ApproximateAgeOfOldestMessage",
        "Errors",
        "Throttles",
        "ExecutionsFailed",
    ] {
        assert!(rows.iter().any(|row| row[1] == name), "{name} is not shown");
    }
    let by_reason = (
        "RecordsFailed".to_owned(),
        vec!["SourceBucket".to_owned(), "Reason".to_owned()],
    );
    assert!(written.contains(&by_reason));
    for name in [
        "{S3Ferry,Reason,SourceBucket} MetricName=\"RecordsFailed\"",
        "MetricName=\"ReplicationLatency\"",
        "MetricName=\"BytesPendingReplication\"",
        "MetricName=\"OperationsFailedReplication\"",
    ] {
        assert!(
            expressions.iter().any(|shown| shown.contains(name)),
            "{name} is not shown"
        );
    }
}

/// The schedule writes what the CLI reads, and what comparisons leave out.
#[test]
fn canary_is_the_object_that_the_status_reads() {
    for prefix in ["", "in/"] {
        let overrides = [("EnableCanary", "true"), ("KeyPrefix", prefix)];
        let resources = Template::load("source").resources(&overrides);
        let schedule = &resources["CanarySchedule"]["Properties"];
        let minutes = CANARY_INTERVAL.as_secs() / 60;
        assert_eq!(schedule["ScheduleExpression"], format!("rate({minutes} minutes)"));
        let target = &schedule["Target"];
        assert!(
            string(&target["Arn"]).ends_with(":scheduler:::aws-sdk:s3:putObject"),
            "{target}"
        );
        let input = string(&target["Input"]);
        let input: Value = serde_json::from_str(input).unwrap_or_else(|error| panic!("{error}: {input}"));
        let key = canary_key(prefix).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(input["Key"], key.as_str());
        assert_eq!(input["Metadata"][CANARY_METADATA], "<aws.scheduler.scheduled-time>");
    }
    assert!(!Template::load("source").resources(&[]).contains_key("CanarySchedule"));
}

/// `ApproximateAgeOfOldestMessage` excludes a message after its second receive, and later receives are hours apart.
#[test]
fn failing_message_keeps_an_alarm_on() {
    let alarm = &Template::load("source").resources(&[])["RecordsFailedAlarm"]["Properties"];
    assert_eq!(alarm["MetricName"], "RecordsFailed");
    assert_eq!((&alarm["Statistic"], &alarm["Threshold"]), (&json!("Sum"), &json!(0)));
    assert_eq!(alarm["DatapointsToAlarm"], 1);
    let longest_pause = RedeliveryReason::Transient.delay(u32::MAX).as_secs();
    assert!(number(&alarm["Period"]) * number(&alarm["EvaluationPeriods"]) > longest_pause);
}

/// Metrics and alarms have a fixed monthly cost, also without a single object.
#[test]
fn cost_table_counts_every_metric_and_alarm() {
    let migration = text(MIGRATION);
    let quantity = |item: &str| {
        let row = migration.lines().find(|line| line.starts_with(&format!("| {item}")));
        let cell = row.and_then(|row| row.split('|').nth(2));
        cell.unwrap_or_else(|| panic!("no row of {item}")).trim().to_owned()
    };
    assert_eq!(quantity("Custom metrics"), METRICS.len().to_string());
    let resources = Template::load("source").resources(&[]);
    let alarms = of_type(&resources, "AWS::CloudWatch::Alarm").len();
    assert_eq!(quantity("Alarms"), alarms.to_string());
}

#[test]
fn runbook_names_the_alarm_for_messages_that_the_age_metric_excludes() {
    let rows = tables::table(RUNBOOK, "## Alarms");
    let row = rows.iter().find(|row| row[0].contains("ReplicationAgeAlarm"));
    let meaning = &row.unwrap_or_else(|| panic!("no row of the alarm"))[1];
    assert!(meaning.contains("`RecordsFailedAlarm`"), "{meaning}");
}
