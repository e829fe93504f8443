//! CloudWatch metrics.
//!
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html>

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{
    Dimension, DimensionFilter, Metric, MetricDataQuery, MetricStat, RecentlyActive, ScanBy, StatusCode,
};
use s3ferry_core::failure::Failure;
use s3ferry_core::names::Region;
use s3ferry_core::status::DataPoint;
use s3ferry_core::time::Timestamp;

use super::{failure_of, unreadable};
use crate::classify::{AttemptedOperation, ErrorAnswer};
use crate::client::Clients;

/// Name and dimensions of a metric.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MetricId {
    pub(super) namespace: &'static str,
    pub(super) name: &'static str,
    /// Dimensions by name.
    pub(super) dimensions: BTreeMap<String, String>,
}

impl MetricId {
    pub(super) fn new(namespace: &'static str, name: &'static str, dimensions: &[(&str, &str)]) -> Self {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Self {
            namespace,
            name,
            dimensions: dimensions.iter().map(owned).collect(),
        }
    }

    pub(super) fn dimension(&self, name: &str) -> Option<&str> {
        self.dimensions.get(name).map(String::as_str)
    }
}

/// A statistic of a metric.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MetricRequest {
    pub(super) metric: MetricId,
    /// Name of the statistic, such as `Sum` or `p99`.
    pub(super) statistic: &'static str,
    pub(super) period: Duration,
}

/// The metrics of one region.
#[derive(Debug, Clone)]
pub(super) struct MetricReader {
    client: Client,
    region: Region,
}

impl MetricReader {
    pub(super) fn new(clients: &Clients, region: &Region) -> Self {
        Self {
            client: clients.cloudwatch(region),
            region: region.clone(),
        }
    }

    /// Finds the metrics with all of these dimensions and one more, that had values in the last three hours.
    pub(super) async fn find(&self, like: &MetricId, by: &str) -> Result<Vec<MetricId>, Failure> {
        let attempted = self.attempted("cloudwatch:ListMetrics", like.name);
        let filters = like.dimensions.iter();
        let filters = filters.map(|(name, value)| DimensionFilter::builder().name(name).value(value).build());
        let mut pages = self
            .client
            .list_metrics()
            .namespace(like.namespace)
            .metric_name(like.name)
            .set_dimensions(Some(
                filters.chain([DimensionFilter::builder().name(by).build()]).collect(),
            ))
            .recently_active(RecentlyActive::Pt3H)
            .into_paginator()
            .send();
        let mut found = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| failure_of(ErrorAnswer::of(&error), &attempted))?;
            for metric in page.metrics.unwrap_or_default() {
                let dimensions = metric.dimensions.unwrap_or_default().into_iter();
                let id = MetricId {
                    dimensions: dimensions
                        .filter_map(|given| Some((given.name?, given.value?)))
                        .collect(),
                    ..like.clone()
                };
                let is_like = like
                    .dimensions
                    .iter()
                    .all(|(name, value)| id.dimension(name) == Some(value));
                if is_like && id.dimension(by).is_some() {
                    found.push(id);
                }
            }
        }
        Ok(found)
    }

    /// Reads statistics from `begin` to `end`. Returns the data points of each request, the newest first.
    pub(super) async fn read(
        &self,
        requests: &[MetricRequest],
        begin: Timestamp,
        end: Timestamp,
    ) -> Result<Vec<Vec<DataPoint>>, Failure> {
        let attempted = self.attempted("cloudwatch:GetMetricData", "metrics");
        let queries: Vec<MetricDataQuery> = requests
            .iter()
            .enumerate()
            .map(|(index, request)| query(index, request))
            .collect();
        let mut points = vec![Vec::new(); requests.len()];
        let mut pages = self
            .client
            .get_metric_data()
            .set_metric_data_queries(Some(queries))
            .start_time(DateTime::from_millis(begin.millis()))
            .end_time(DateTime::from_millis(end.millis()))
            .scan_by(ScanBy::TimestampDescending)
            .into_paginator()
            .send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| failure_of(ErrorAnswer::of(&error), &attempted))?;
            for result in page.metric_data_results.unwrap_or_default() {
                // `PartialData` continues on the next page.
                if !matches!(result.status_code, Some(StatusCode::Complete | StatusCode::PartialData)) {
                    return Err(unreadable(&attempted, "complete data"));
                }
                let index = result
                    .id
                    .as_deref()
                    .and_then(|id| id.strip_prefix('m')?.parse::<usize>().ok());
                let series = index.and_then(|index| points.get_mut(index));
                let series: &mut Vec<DataPoint> = series.ok_or_else(|| unreadable(&attempted, "known id"))?;
                let values = result.values.unwrap_or_default().into_iter();
                for (at, value) in result.timestamps.unwrap_or_default().into_iter().zip(values) {
                    let at = at.to_millis().map_err(|_| unreadable(&attempted, "usable time"))?;
                    series.push(DataPoint {
                        value,
                        at: Timestamp::from_millis(at),
                    });
                }
            }
        }
        for series in &mut points {
            series.sort_by_key(|point| std::cmp::Reverse(point.at));
        }
        Ok(points)
    }

    fn attempted(&self, action: &'static str, what: &str) -> AttemptedOperation {
        AttemptedOperation {
            action,
            resource: format!("{what} in {}", self.region),
            when_denied: format!("the credentials need {action}, which supports no narrower resource than *"),
        }
    }
}

fn query(index: usize, request: &MetricRequest) -> MetricDataQuery {
    let dimensions = request.metric.dimensions.iter();
    let dimensions = dimensions.map(|(name, value)| Dimension::builder().name(name).value(value).build());
    let metric = Metric::builder()
        .namespace(request.metric.namespace)
        .metric_name(request.metric.name)
        .set_dimensions(Some(dimensions.collect()))
        .build();
    let statistic = MetricStat::builder()
        .metric(metric)
        .period(i32::try_from(request.period.as_secs()).unwrap_or(i32::MAX))
        .stat(request.statistic)
        .build();
    MetricDataQuery::builder()
        .id(format!("m{index}"))
        .metric_stat(statistic)
        .build()
}
