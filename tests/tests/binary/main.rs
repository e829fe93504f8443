//! Binaries of `replicator` and `final-sync` under a local Runtime API, against the emulator: event envelopes, partial
//! batch responses, errors of direct invocations, invalid settings, tasks and items of final syncs.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod batches;
mod final_sync;
mod settings;
mod shapes;
mod starts;

use std::time::Duration;

use s3ferry_tests::bucket::TestBucket;
use s3ferry_tests::compare::{differences, summary};
use s3ferry_tests::deployment::{DESTINATION_BUCKET, SOURCE_BUCKET};
use s3ferry_tests::emulator::{Emulator, EmulatorOptions};
use s3ferry_tests::runtime_api::{Function, InvocationReply};
use s3ferry_tests::upload::TestUpload;
use s3ferry_tests::{DESTINATION_REGION, Result, SOURCE_REGION, replicator, tools};
use serde_json::Value;

/// Timeout of the function in these tests.
const TIMEOUT: Duration = Duration::from_mins(2);

/// An emulator with both buckets, versioned, without stacks.
struct Fixture {
    emulator: Emulator,
    source: TestBucket,
    destination: TestBucket,
}

impl Fixture {
    async fn prepare() -> Self {
        let emulator = Emulator::start(EmulatorOptions {
            log_requests: true,
            detached: false,
        })
        .await
        .expect("emulator");
        let source = TestBucket::at(&emulator, SOURCE_REGION, SOURCE_BUCKET);
        let destination = TestBucket::at(&emulator, DESTINATION_REGION, DESTINATION_BUCKET);
        for bucket in [&source, &destination] {
            bucket.create().await.expect("bucket");
            bucket.enable_versioning().await.expect("versioning");
        }
        Self {
            emulator,
            source,
            destination,
        }
    }

    async fn replicator(&self, more: &[(&str, &str)]) -> Function {
        start(&replicator::environment(
            &self.emulator,
            SOURCE_BUCKET,
            DESTINATION_BUCKET,
            more,
        ))
        .await
        .expect("replicator")
    }

    async fn write(&self, key: &str) {
        TestUpload::new(key, format!("body of {key}"))
            .write(&self.source)
            .await
            .expect(key);
    }

    async fn assert_equal(&self) {
        let found = differences(&self.source, &self.destination, "")
            .await
            .expect("comparison");
        assert!(found.is_empty(), "{}", summary(&found));
    }

    async fn is_at_destination(&self, key: &str) -> bool {
        self.destination.read(key).await.expect(key).is_some()
    }

    /// Returns the number of PUT requests for `key` at the destination.
    fn writes_of(&self, key: &str) -> usize {
        let write = format!("PUT /{DESTINATION_BUCKET}/{key}");
        self.emulator
            .requests()
            .iter()
            .filter(|request| **request == write)
            .count()
    }
}

async fn start(environment: &[(String, String)]) -> Result<Function> {
    Function::start(&tools::function("replicator").expect("built"), environment, TIMEOUT).await
}

/// Returns the sorted ids of the failed messages in the response to a batch.
fn failed_ids(answer: &InvocationReply) -> Vec<String> {
    let InvocationReply::Response(text) = answer else {
        panic!("{answer:?}")
    };
    let answer: Value = serde_json::from_str(text).expect("JSON");
    let failures = answer["batchItemFailures"].as_array().expect("batchItemFailures");
    let mut ids: Vec<String> = failures
        .iter()
        .map(|failure| failure["itemIdentifier"].as_str().expect("an id").to_owned())
        .collect();
    ids.sort();
    ids
}

fn is_error(answer: &InvocationReply) -> bool {
    matches!(answer, InvocationReply::Error(_))
}
