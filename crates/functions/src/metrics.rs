//! Metrics in the embedded metric format: a log line that CloudWatch extracts metrics from.
//!
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>

use serde_json::{Map, Value, json};

use s3ferry_core::time::Timestamp;
use s3ferry_engine::invocation_counts::InvocationCounts;

/// Namespace of all metrics.
pub const NAMESPACE: &str = "S3Ferry";

/// A metric of one invocation.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// Name of the metric.
    pub name: &'static str,
    /// Unit, in CloudWatch's spelling.
    pub unit: &'static str,
    /// Description of what the metric counts.
    pub meaning: &'static str,
    /// Reads the value.
    value: fn(&InvocationCounts) -> u64,
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
        meaning,
        value,
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
];

/// Returns the log line of one invocation, with the source bucket as the dimension.
#[must_use]
pub fn to_line(counts: &InvocationCounts, bucket: &str, now: Timestamp) -> String {
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
            .map(|metric| (metric.name.to_owned(), (metric.value)(counts).into())),
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
