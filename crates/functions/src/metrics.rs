//! Metrics in the embedded metric format: a log line that CloudWatch extracts metrics from.
//!
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>

use serde_json::{Map, Value, json};

use s3ferry_core::time::Timestamp;
use s3ferry_engine::invocation_counts::InvocationCounts;

/// Namespace of all metrics.
pub const NAMESPACE: &str = "S3Ferry";

/// A metric of one invocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// Name of the metric.
    pub name: &'static str,
    /// Unit, in CloudWatch's spelling.
    pub unit: &'static str,
    /// Description of what the metric counts.
    pub meaning: &'static str,
}

const fn metric(name: &'static str, unit: &'static str, meaning: &'static str) -> Metric {
    Metric { name, unit, meaning }
}

/// All metrics. A test compares docs/CONFIGURATION.md with this table.
pub const METRICS: &[Metric] = &[
    metric("ObjectsCopied", "Count", "Keys whose object was copied"),
    metric("BytesCopied", "Bytes", "Bytes of the copied objects"),
    metric(
        "ObjectsAttributesUpdated",
        "Count",
        "Keys whose tags, Object Lock, annotations, grants or encryption changed without a copy",
    ),
    metric("ObjectsDeleted", "Count", "Keys deleted at the destination"),
    metric("ObjectsSkipped", "Count", "Keys left unchanged"),
    metric(
        "Conflicts",
        "Count",
        "Keys left unchanged because the destination has an external write that is as new or newer; also in \
         `ObjectsSkipped`",
    ),
    metric(
        "ObjectsRequeued",
        "Count",
        "Unfinished keys sent back to the queue as a continuation",
    ),
    metric(
        "RecordsFailed",
        "Count",
        "Records that failed, including `RecordsRefused`",
    ),
    metric(
        "RecordsRefused",
        "Count",
        "Records of a bucket other than the source bucket",
    ),
    metric(
        "MessagesUnreadable",
        "Count",
        "Messages or records that are not S3 notifications",
    ),
    metric(
        "RecordsSuperseded",
        "Count",
        "Records superseded by a newer event for the same key in the batch",
    ),
    metric(
        "AttributesNotPreserved",
        "Count",
        "Attributes that the copies do not preserve",
    ),
];

/// Returns the log line of one invocation, with the source bucket as the dimension.
#[must_use]
pub fn to_line(counts: &InvocationCounts, bucket: &str, now: Timestamp) -> String {
    let values = [
        counts.copied,
        counts.bytes_copied,
        counts.attributes_updated,
        counts.deleted,
        counts.skipped,
        counts.conflicts,
        counts.requeued,
        counts.failed,
        counts.refused,
        counts.unreadable,
        counts.superseded,
        counts.attributes_not_preserved,
    ];
    let mut line = Map::new();
    let definitions: Vec<Value> = METRICS
        .iter()
        .map(|metric| json!({"Name": metric.name, "Unit": metric.unit}))
        .collect();
    let directive = json!({"Namespace": NAMESPACE, "Dimensions": [["SourceBucket"]], "Metrics": definitions});
    line.insert(
        "_aws".into(),
        json!({"Timestamp": now.millis(), "CloudWatchMetrics": [directive]}),
    );
    line.insert("SourceBucket".into(), bucket.into());
    line.extend(
        METRICS
            .iter()
            .zip(values)
            .map(|(metric, value)| (metric.name.to_owned(), value.into())),
    );
    Value::Object(line).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_line_declares_every_metric_and_contains_its_value() {
        let counts = InvocationCounts {
            copied: 2,
            bytes_copied: 3,
            attributes_updated: 6,
            conflicts: 7,
            refused: 4,
            attributes_not_preserved: 5,
            ..InvocationCounts::default()
        };
        let line: Value = serde_json::from_str(&to_line(&counts, "bucket", Timestamp::from_millis(7))).unwrap();
        let directive = &line["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(
            (&directive["Namespace"], &line["_aws"]["Timestamp"]),
            (&json!("S3Ferry"), &json!(7))
        );
        assert_eq!(
            (&directive["Dimensions"], &line["SourceBucket"]),
            (&json!([["SourceBucket"]]), &json!("bucket"))
        );
        let declared: Vec<&str> = directive["Metrics"]
            .as_array()
            .unwrap()
            .iter()
            .map(|m| m["Name"].as_str().unwrap())
            .collect();
        assert_eq!(declared, METRICS.iter().map(|metric| metric.name).collect::<Vec<_>>());
        for name in declared {
            assert!(line[name].is_u64(), "{name}");
        }
        assert_eq!((&line["ObjectsCopied"], &line["BytesCopied"]), (&json!(2), &json!(3)));
        assert_eq!(
            (&line["ObjectsAttributesUpdated"], &line["Conflicts"]),
            (&json!(6), &json!(7))
        );
        assert_eq!(
            (&line["RecordsRefused"], &line["AttributesNotPreserved"]),
            (&json!(4), &json!(5))
        );
    }
}
