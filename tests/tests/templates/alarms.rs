//! Alarms, and the metrics that they watch.

use s3ferry_core::redelivery::RedeliveryReason;
use s3ferry_core::time::Timestamp;
use s3ferry_engine::invocation_counts::InvocationCounts;
use s3ferry_functions::metrics::{METRICS, NAMESPACE, to_line};
use serde_json::{Value, json};

use super::cloudformation::{Template, array, text};
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

/// An alarm on a metric that is never written stays silent, because missing data is ignored.
#[test]
fn every_alarm_watches_a_metric_that_is_written() {
    let resources = Template::load("source").resources(EVERYTHING);
    let line = to_line(&InvocationCounts::default(), "a-bucket", Timestamp::from_millis(0));
    let line: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
    let directive = &line["_aws"]["CloudWatchMetrics"][0];
    for (id, alarm) in of_type(&resources, "AWS::CloudWatch::Alarm") {
        let (namespace, metric) = (string(&alarm["Namespace"]), string(&alarm["MetricName"]));
        let [dimension] = array(&alarm["Dimensions"])
            .try_into()
            .unwrap_or_else(|all| panic!("{id}: {all:?}"));
        if namespace == NAMESPACE {
            assert!(METRICS.iter().any(|known| known.name == metric), "{id}: {metric}");
            assert!(
                array(&directive["Metrics"])
                    .iter()
                    .any(|written| written["Name"] == metric),
                "{id}: {metric}"
            );
            assert_eq!(directive["Dimensions"], json!([[dimension["Name"]]]), "{id}");
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
