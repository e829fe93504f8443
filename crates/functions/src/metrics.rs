//! Metrics in the embedded metric format: a log line that CloudWatch extracts metrics from.
//!
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>

use std::time::Duration;

use serde_json::{Map, Value, json};

use s3ferry_core::time::Timestamp;
use s3ferry_engine::invocation_counts::InvocationCounts;

/// Namespace of all metrics.
pub const NAMESPACE: &str = "S3Ferry";

/// Largest number of values of a metric in one line.
const VALUES_IN_A_LINE: usize = 100;

/// Dimension of the metrics of one reason.
const REASON: &str = "Reason";

/// Dimension of the metrics of one version.
const VERSION: &str = "Version";

/// A metric of one invocation.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// Name of the metric.
    pub name: &'static str,
    /// Unit, in CloudWatch's spelling.
    pub unit: &'static str,
    /// Dimension of the metric beside the source bucket.
    pub by: Option<&'static str>,
    /// Description of what the metric counts.
    pub meaning: &'static str,
    /// Reads the value.
    value: MetricValue,
}

/// Where the value of a metric comes from.
#[derive(Debug, Clone, Copy)]
enum MetricValue {
    /// One number of every invocation.
    Count(fn(&InvocationCounts) -> u64),
    /// One value of each copied object.
    Lags,
    /// One number of each reason.
    Failures,
    /// 1 of every invocation.
    Invocation,
}

const fn metric(
    name: &'static str,
    unit: &'static str,
    meaning: &'static str,
    value: fn(&InvocationCounts) -> u64,
) -> Metric {
    Metric {
        name,
        unit,
        by: None,
        meaning,
        value: MetricValue::Count(value),
    }
}

/// All metrics. A test compares docs/CONFIGURATION.md with this table.
pub const METRICS: &[Metric] = &[
    metric("ObjectsCopied", "Count", "Keys whose object was copied", |counts| {
        counts.copied
    }),
    metric("BytesCopied", "Bytes", "Bytes of the copied objects", |counts| {
        counts.bytes_copied
    }),
    metric(
        "ObjectsAttributesUpdated",
        "Count",
        "Keys whose tags, Object Lock, annotations, grants or encryption changed without a copy",
        |counts| counts.attributes_updated,
    ),
    metric("ObjectsDeleted", "Count", "Keys deleted at the destination", |counts| {
        counts.deleted
    }),
    metric("ObjectsSkipped", "Count", "Keys left unchanged", |counts| {
        counts.skipped
    }),
    metric(
        "Conflicts",
        "Count",
        "Keys left unchanged because the destination has an external write that is as new or newer; also in \
         `ObjectsSkipped`",
        |counts| counts.conflicts,
    ),
    metric(
        "ObjectsRequeued",
        "Count",
        "Unfinished keys sent back to the queue as a continuation",
        |counts| counts.requeued,
    ),
    metric(
        "RecordsFailed",
        "Count",
        "Records that failed, including `RecordsRefused`",
        |counts| counts.failed,
    ),
    metric(
        "RecordsRefused",
        "Count",
        "Records of a bucket other than the source bucket",
        |counts| counts.refused,
    ),
    metric(
        "MessagesUnreadable",
        "Count",
        "Messages or records that are not S3 notifications",
        |counts| counts.unreadable,
    ),
    metric(
        "RecordsSuperseded",
        "Count",
        "Records superseded by a newer event for the same key in the batch",
        |counts| counts.superseded,
    ),
    metric(
        "AttributesNotPreserved",
        "Count",
        "Attributes that the copies do not preserve",
        |counts| counts.attributes_not_preserved,
    ),
    Metric {
        name: "ReplicationLagSeconds",
        unit: "Seconds",
        by: None,
        meaning: "For each copied object: time from its event until it was copied",
        value: MetricValue::Lags,
    },
    Metric {
        name: "RecordsFailed",
        unit: "Count",
        by: Some(REASON),
        meaning: "`RecordsFailed` by error code, or by the reason why a key is unfinished; one metric for each reason that \
                  occurs",
        value: MetricValue::Failures,
    },
    Metric {
        name: "Invocations",
        unit: "Count",
        by: Some(VERSION),
        meaning: "Invocations by the version of the function that ran",
        value: MetricValue::Invocation,
    },
];

/// Returns the log lines of one invocation, with the source bucket as the dimension.
///
/// The first line has all counts. A line has one value of a dimension and at most 100 values of a metric, so further
/// lines follow for each reason of failures and for more lags.
#[must_use]
pub fn to_lines(counts: &InvocationCounts, bucket: &str, version: &str, now: Timestamp) -> Vec<String> {
    let emit = |fields: &[(&Metric, Value)], dimensions: &[(&str, &str)]| line(fields, bucket, dimensions, now);
    let chunks: Vec<Value> = counts.lags_ms.chunks(VALUES_IN_A_LINE).map(seconds).collect();
    let mut lags = chunks.into_iter();
    let mut lines = Vec::new();
    let mut first = Vec::new();
    for metric in METRICS {
        match metric.value {
            MetricValue::Count(value) => first.push((metric, value(counts).into())),
            MetricValue::Lags => {
                first.extend(lags.next().map(|values| (metric, values)));
                lines.extend(lags.by_ref().map(|values| emit(&[(metric, values)], &[])));
            }
            MetricValue::Failures => {
                let reasons = counts.failed_by_code.iter();
                lines.extend(reasons.map(|(code, failed)| emit(&[(metric, (*failed).into())], &[(REASON, code)])));
            }
            MetricValue::Invocation => lines.push(emit(&[(metric, 1.into())], &[(VERSION, version)])),
        }
    }
    lines.insert(0, emit(&first, &[]));
    lines
}

/// Converts milliseconds to seconds.
fn seconds(lags_ms: &[u64]) -> Value {
    let values = lags_ms
        .iter()
        .map(|lag_ms| Duration::from_millis(*lag_ms).as_secs_f64());
    values.collect()
}

fn line(fields: &[(&Metric, Value)], bucket: &str, dimensions: &[(&str, &str)], now: Timestamp) -> String {
    let definitions: Vec<Value> = fields
        .iter()
        .map(|(metric, _)| json!({"Name": metric.name, "Unit": metric.unit}))
        .collect();
    let dimensions = [("SourceBucket", bucket)].into_iter().chain(dimensions.iter().copied());
    let names: Vec<&str> = dimensions.clone().map(|(name, _)| name).collect();
    let directive = json!({"Namespace": NAMESPACE, "Dimensions": [names], "Metrics": definitions});
    let mut line = Map::new();
    line.insert(
        "_aws".into(),
        json!({"Timestamp": now.millis(), "CloudWatchMetrics": [directive]}),
    );
    line.extend(dimensions.map(|(name, value)| (name.to_owned(), value.into())));
    line.extend(
        fields
            .iter()
            .map(|(metric, value)| (metric.name.to_owned(), value.clone())),
    );
    Value::Object(line).to_string()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// The metrics of every line as CloudWatch extracts them: dimensions, name and value.
    fn extracted(counts: &InvocationCounts) -> Vec<(Vec<String>, String, Value)> {
        let mut found = Vec::new();
        for line in to_lines(counts, "bucket", "0.1.0 (abc)", Timestamp::from_millis(7)) {
            let line: Value = serde_json::from_str(&line).unwrap();
            let directive = &line["_aws"]["CloudWatchMetrics"][0];
            assert_eq!(
                (&directive["Namespace"], &line["_aws"]["Timestamp"]),
                (&json!("S3Ferry"), &json!(7))
            );
            let [names] = directive["Dimensions"].as_array().unwrap().as_slice() else {
                panic!("{directive}");
            };
            let names = names.as_array().unwrap().iter().map(|name| name.as_str().unwrap());
            let dimensions: Vec<String> = names
                .map(|name| format!("{name}={}", line[name].as_str().unwrap()))
                .collect();
            for metric in directive["Metrics"].as_array().unwrap() {
                let name = metric["Name"].as_str().unwrap();
                let known = METRICS.iter().find(|known| {
                    known.name == name && known.by.is_some() == (dimensions.len() > 1) && metric["Unit"] == known.unit
                });
                assert!(known.is_some(), "{name} is not in the table");
                found.push((dimensions.clone(), name.to_owned(), line[name].clone()));
            }
        }
        found
    }

    fn value_of(counts: &InvocationCounts, dimensions: &str, name: &str) -> Vec<Value> {
        let of_name = extracted(counts)
            .into_iter()
            .filter(|(of, found, _)| of.join(" ") == dimensions && found == name);
        of_name.map(|(_, _, value)| value).collect()
    }

    #[test]
    fn first_line_contains_every_count() {
        let counts = InvocationCounts {
            copied: 2,
            bytes_copied: 3,
            attributes_updated: 6,
            conflicts: 7,
            refused: 4,
            attributes_not_preserved: 5,
            ..InvocationCounts::default()
        };
        for (name, expected) in [
            ("ObjectsCopied", 2),
            ("BytesCopied", 3),
            ("ObjectsAttributesUpdated", 6),
            ("Conflicts", 7),
            ("RecordsRefused", 4),
            ("AttributesNotPreserved", 5),
            ("ObjectsDeleted", 0),
        ] {
            assert_eq!(
                value_of(&counts, "SourceBucket=bucket", name),
                [json!(expected)],
                "{name}"
            );
        }
    }

    #[test]
    fn invocation_without_copies_and_failures_writes_neither_lags_nor_reasons() {
        let names: Vec<String> = extracted(&InvocationCounts::default())
            .into_iter()
            .map(|(_, name, _)| name)
            .collect();
        assert!(!names.contains(&"ReplicationLagSeconds".to_owned()), "{names:?}");
        assert_eq!(names.iter().filter(|name| *name == "RecordsFailed").count(), 1);
    }

    #[test]
    fn lags_are_written_in_seconds_and_in_lines_of_a_hundred_values() {
        let counts = InvocationCounts {
            lags_ms: (0..250).map(|number| number * 500).collect(),
            ..InvocationCounts::default()
        };
        let chunks = value_of(&counts, "SourceBucket=bucket", "ReplicationLagSeconds");
        let lengths: Vec<usize> = chunks.iter().map(|values| values.as_array().unwrap().len()).collect();
        assert_eq!(lengths, [100, 100, 50]);
        assert_eq!((&chunks[0][1], &chunks[2][49]), (&json!(0.5), &json!(124.5)));
    }

    #[test]
    fn failures_have_a_line_for_each_reason_and_the_version_one_of_its_own() {
        let counts = InvocationCounts {
            failed: 3,
            failed_by_code: BTreeMap::from([("AccessDenied".to_owned(), 2), ("SlowDown".to_owned(), 1)]),
            ..InvocationCounts::default()
        };
        let failed = |dimensions: &str| value_of(&counts, dimensions, "RecordsFailed");
        assert_eq!(failed("SourceBucket=bucket"), [json!(3)]);
        assert_eq!(failed("SourceBucket=bucket Reason=AccessDenied"), [json!(2)]);
        assert_eq!(failed("SourceBucket=bucket Reason=SlowDown"), [json!(1)]);
        let version = "SourceBucket=bucket Version=0.1.0 (abc)";
        assert_eq!(value_of(&counts, version, "Invocations"), [json!(1)]);
    }
}
