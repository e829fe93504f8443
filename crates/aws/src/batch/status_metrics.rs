//! The metrics of a status: those of the functions, the queue and the replicator, and those of S3's own replication.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use s3ferry_core::failure::Failure;
use s3ferry_core::names::{BucketName, Region};
use s3ferry_core::status::{CrrMetrics, DataPoint, FAILURE_WINDOW, FRESH_WITHIN, SourceMetrics};
use s3ferry_core::time::Timestamp;

use super::metrics::{MetricId, MetricReader, MetricRequest};
use crate::client::Clients;

/// Namespace of the functions' metrics, the same as in the functions.
const NAMESPACE: &str = "S3Ferry";

const MINUTE: Duration = Duration::from_mins(1);
const FIVE_MINUTES: Duration = Duration::from_mins(5);

/// Where the metrics of a source stack are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricScope<'a> {
    /// Source bucket.
    pub source_bucket: &'a BucketName,
    /// URL of the replicator's queue.
    pub queue_url: &'a str,
    /// Name of the replicator function.
    pub function_name: &'a str,
}

/// Reads the metrics of a source stack.
pub async fn source_metrics(
    clients: &Clients,
    region: &Region,
    scope: &MetricScope<'_>,
    now: Timestamp,
) -> Result<SourceMetrics, Failure> {
    let reader = MetricReader::new(clients, region);
    let bucket = [("SourceBucket", scope.source_bucket.as_str())];
    let own = |name| MetricId::new(NAMESPACE, name, &bucket);
    let reasons = reader.find(&own("RecordsFailed"), "Reason").await?;
    let versions = reader.find(&own("Invocations"), "Version").await?;
    let queue_name = scope.queue_url.rsplit('/').next().unwrap_or(scope.queue_url);
    let of_queue = MetricId::new("AWS/SQS", "ApproximateAgeOfOldestMessage", &[("QueueName", queue_name)]);
    let of_function = |name| MetricId::new("AWS/Lambda", name, &[("FunctionName", scope.function_name)]);
    let fixed = [
        request(own("ReplicationLagSeconds"), "p50", FIVE_MINUTES),
        request(own("ReplicationLagSeconds"), "p99", FIVE_MINUTES),
        request(of_queue, "Maximum", MINUTE),
        request(own("RecordsFailed"), "Sum", MINUTE),
        request(own("Conflicts"), "Sum", MINUTE),
        request(of_function("Errors"), "Sum", MINUTE),
        request(of_function("Throttles"), "Sum", MINUTE),
    ];
    let by_reason = reasons.iter().map(|reason| request(reason.clone(), "Sum", MINUTE));
    let requests: Vec<MetricRequest> = fixed.into_iter().chain(by_reason).collect();
    let read = reader
        .read(&requests, now.minus(FAILURE_WINDOW), now.plus(MINUTE))
        .await?;
    let mut series = read.into_iter();
    let mut next = || series.next().unwrap_or_default();
    let mut metrics = SourceMetrics {
        lag_p50: newest(&next()),
        lag_p99: newest(&next()),
        oldest_message: newest(&next()),
        failed: sum(&next()),
        conflicts: sum(&next()),
        errors: sum(&recent(next(), now)),
        throttles: sum(&recent(next(), now)),
        failed_by_reason: BTreeMap::new(),
        versions: versions
            .iter()
            .filter_map(|version| version.dimension("Version").map(str::to_owned))
            .collect::<BTreeSet<_>>(),
    };
    for reason in &reasons {
        let failed = sum(&next());
        let reason = reason.dimension("Reason").unwrap_or_default();
        if failed > 0 {
            metrics.failed_by_reason.insert(reason.to_owned(), failed);
        }
    }
    Ok(metrics)
}

/// The two sides of S3's own replication.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicatedBuckets<'a> {
    /// Source bucket and its region.
    pub source: (&'a BucketName, &'a Region),
    /// Destination bucket and its region.
    pub destination: (&'a BucketName, &'a Region),
}

/// Reads the metrics of S3's own replication. S3 publishes what is pending in the destination's region, and failures in
/// the source's.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/repl-metrics.html>
pub async fn crr_metrics(
    clients: &Clients,
    buckets: &ReplicatedBuckets<'_>,
    now: Timestamp,
) -> Result<CrrMetrics, Failure> {
    let pair = [
        ("SourceBucket", buckets.source.0.as_str()),
        ("DestinationBucket", buckets.destination.0.as_str()),
    ];
    let of_rules = async |region: &Region, name: &'static str, statistic: &'static str| {
        let reader = MetricReader::new(clients, region);
        let rules = reader.find(&MetricId::new("AWS/S3", name, &pair), "RuleId").await?;
        let requests: Vec<MetricRequest> = rules.into_iter().map(|rule| request(rule, statistic, MINUTE)).collect();
        if requests.is_empty() {
            return Ok(Vec::new());
        }
        reader
            .read(&requests, now.minus(FAILURE_WINDOW), now.plus(MINUTE))
            .await
    };
    let (source, destination) = (buckets.source.1, buckets.destination.1);
    let largest = |rules: Vec<Vec<DataPoint>>| {
        let points = rules.iter().filter_map(|rule| newest(rule));
        points.reduce(|largest, other| if other.value > largest.value { other } else { largest })
    };
    Ok(CrrMetrics {
        latency: largest(of_rules(destination, "ReplicationLatency", "Maximum").await?),
        bytes_pending: largest(of_rules(destination, "BytesPendingReplication", "Maximum").await?),
        operations_pending: largest(of_rules(destination, "OperationsPendingReplication", "Maximum").await?),
        operations_failed: sum(&of_rules(source, "OperationsFailedReplication", "Sum").await?.concat()),
    })
}

fn request(metric: MetricId, statistic: &'static str, period: Duration) -> MetricRequest {
    MetricRequest {
        metric,
        statistic,
        period,
    }
}

fn newest(series: &[DataPoint]) -> Option<DataPoint> {
    series.first().copied()
}

fn recent(series: Vec<DataPoint>, now: Timestamp) -> Vec<DataPoint> {
    let since = now.minus(FRESH_WITHIN);
    series.into_iter().filter(|point| point.at >= since).collect()
}

/// Adds up counts, which are whole numbers that CloudWatch returns as floating-point numbers.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates, and a count is neither negative nor that large"
)]
fn sum(series: &[DataPoint]) -> u64 {
    series.iter().map(|point| point.value).sum::<f64>().ceil() as u64
}
