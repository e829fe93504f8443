//! The simulated buckets of a scenario.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use s3ferry_testkit::sim::latency::SimLatency;
use s3ferry_testkit::sim::model::content::SimContent;
use s3ferry_testkit::sim::model::put::PutRequest;
use s3ferry_testkit::sim::model::simulator::WriteTarget;
use s3ferry_testkit::sim::{ServerOptions, SimServer};
use s3ferry_tests::{DESTINATION_REGION, HarnessError, SOURCE_REGION};
use tempfile::TempDir;

use crate::error::{BenchError, BenchResult};

/// Name of the source bucket.
pub(crate) const SOURCE: &str = "bench-source";
/// Name of the destination bucket.
pub(crate) const DESTINATION: &str = "bench-destination";
/// Name of the state bucket.
pub(crate) const STATE: &str = "bench-state";

/// Delays of the simulated WAN: each request, and in addition each copy between regions.
pub(crate) const WAN: SimLatency = SimLatency {
    request: Duration::from_millis(10),
    cross_region: Duration::from_millis(80),
    part_megabytes_per_second: None,
};

/// No delays.
pub(crate) const LOCAL: SimLatency = SimLatency {
    request: Duration::ZERO,
    cross_region: Duration::ZERO,
    part_megabytes_per_second: None,
};

/// Age of the objects. s3ferry reads an object of the last seconds before it copies it.
const AGE_MILLIS: u64 = 3_600_000;

/// Writes between two removals of notifications.
const NOTIFICATIONS_KEPT: u64 = 10_000;

/// A simulator with a source and a destination bucket, and a folder for files of the tools.
pub(crate) struct World {
    server: SimServer,
    scratch: TempDir,
    /// Region of the destination.
    pub(crate) destination_region: &'static str,
}

impl World {
    /// Starts a simulator with versioned, empty buckets in two regions.
    pub(crate) async fn start(latency: SimLatency) -> BenchResult<Self> {
        Self::with_regions(latency, DESTINATION_REGION).await
    }

    /// Starts a simulator whose buckets are in one region, for tools that fail across regions.
    pub(crate) async fn in_one_region(latency: SimLatency) -> BenchResult<Self> {
        Self::with_regions(latency, SOURCE_REGION).await
    }

    async fn with_regions(latency: SimLatency, destination_region: &'static str) -> BenchResult<Self> {
        let options = ServerOptions {
            latency,
            ..ServerOptions::default()
        };
        let server = SimServer::start(options)
            .await
            .map_err(HarnessError::io("starting the simulator"))?;
        let buckets = [
            (SOURCE, SOURCE_REGION),
            (DESTINATION, destination_region),
            (STATE, SOURCE_REGION),
        ];
        server
            .make_versioned_buckets(buckets)
            .map_err(simulator("the buckets"))?;
        let scratch = TempDir::with_prefix("s3ferry-bench-").map_err(HarnessError::io("making a temporary folder"))?;
        Ok(Self {
            server,
            scratch,
            destination_region,
        })
    }

    /// Returns the simulator.
    pub(crate) fn server(&self) -> &SimServer {
        &self.server
    }

    /// Returns the folder for files of the tools.
    pub(crate) fn scratch(&self) -> &Path {
        self.scratch.path()
    }

    /// Writes objects with these numbers. `size_bytes` is called with each number.
    pub(crate) fn fill(
        &self,
        bucket: &str,
        numbers: impl IntoIterator<Item = u64>,
        content: impl Fn(u64) -> SimContent,
    ) -> BenchResult<()> {
        let mut model = self.server.model();
        for (written, number) in (1_u64..).zip(numbers) {
            let put = PutRequest {
                content: content(number),
                ..PutRequest::default()
            };
            let key = key(number);
            let target = WriteTarget { bucket, key: &key };
            model.put_object(target, put).map_err(simulator("an object"))?;
            let bucket = model.bucket_mut(bucket).map_err(simulator("an object"))?;
            for version in bucket.keys.get_mut(&key).into_iter().flatten() {
                version.last_modified = version.last_modified.saturating_sub(AGE_MILLIS);
            }
            if written % NOTIFICATIONS_KEPT == 0 {
                drop(model.notifications.drain());
            }
        }
        drop(model.notifications.drain());
        Ok(())
    }

    /// Replaces the destination by an empty bucket, and resets the number of requests.
    pub(crate) fn empty_destination(&self) -> BenchResult<()> {
        self.server.model().buckets.remove(DESTINATION);
        self.server
            .make_versioned_buckets([(DESTINATION, self.destination_region)])
            .map_err(simulator("the destination"))?;
        self.server.forget_requests();
        Ok(())
    }

    /// Copies the source's objects except those with a number for which `missing` is true, without requests.
    pub(crate) fn fill_destination(&self, objects: u64, missing: impl Fn(u64) -> bool) -> BenchResult<()> {
        self.empty_destination()?;
        let contents: Vec<(u64, SimContent)> = {
            let model = self.server.model();
            let source = model.bucket(SOURCE).map_err(simulator("a read of the source"))?;
            let present = (0..objects).filter(|number| !missing(*number));
            present
                .filter_map(|number| Some((number, source.current_object(&key(number))?.content.clone())))
                .collect()
        };
        let contents: BTreeMap<u64, SimContent> = contents.into_iter().collect();
        let content = |number: u64| contents.get(&number).cloned().unwrap_or_default();
        self.fill(DESTINATION, contents.keys().copied(), content)?;
        self.server.forget_requests();
        Ok(())
    }

    /// Compares all objects of both buckets: keys and bytes. Returns a description of the first difference.
    pub(crate) fn difference(&self) -> BenchResult<Option<String>> {
        let model = self.server.model();
        let source = model.bucket(SOURCE).map_err(simulator("a read of the source"))?;
        let destination = model
            .bucket(DESTINATION)
            .map_err(simulator("a read of the destination"))?;
        for (key, versions) in &source.keys {
            let Some(object) = versions.first().and_then(|version| version.object()) else {
                continue;
            };
            match destination.current_object(key) {
                None => return Ok(Some(format!("{key} is missing at the destination"))),
                Some(copy) if copy.content != object.content => return Ok(Some(format!("{key} has other bytes"))),
                Some(_) => {}
            }
        }
        let extra = destination.keys.keys().find(|key| source.current_object(key).is_none());
        Ok(extra.map(|key| format!("{key} is at the destination only")))
    }

    /// Returns the number of requests since the last reset.
    pub(crate) fn requests(&self) -> u64 {
        self.server.requests().values().sum()
    }
}

/// Returns the key of an object. The keys of consecutive numbers are in many folders, as of an application.
pub(crate) fn key(number: u64) -> String {
    format!("photos/{:02}/{number:09}.jpg", number % 64)
}

/// Returns different bytes for each number, 2 to 7 KB.
pub(crate) fn small(number: u64) -> SimContent {
    let size = 2000 + number.wrapping_mul(2_654_435_761) % 5000;
    SimContent::synthetic(number, size)
}

/// Returns one byte.
pub(crate) fn tiny(_number: u64) -> SimContent {
    SimContent::from("x".to_owned())
}

/// Wraps a rejection of the simulator.
pub(crate) fn simulator(action: &'static str) -> impl Fn(s3ferry_testkit::sim::model::error::SimError) -> BenchError {
    move |source| BenchError::Simulator { action, source }
}
