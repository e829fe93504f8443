//! Tests of the model's rules.

mod conditions;
mod copies;
mod digests;
mod encryption;
mod listings;
mod locks;
mod uploads;
mod versions;

use std::time::Duration;

use super::bucket::SimVersioning;
use super::clock::{ManualClock, SimClock};
use super::content::SimContent;
use super::delete::{DeleteRequest, DeleteResult};
use super::error::{SimErrorCode, SimResult};
use super::object::WriteAttributes;
use super::put::PutRequest;
use super::simulator::{Simulator, WriteResult, WriteTarget};

/// An object in a bucket with versioning.
const VERSIONED: WriteTarget<'static> = WriteTarget {
    bucket: "versioned",
    key: "k",
};

/// An object in a bucket without versioning.
const PLAIN: WriteTarget<'static> = WriteTarget {
    bucket: "plain",
    key: "k",
};

/// A simulator with both buckets, and a clock that the test controls.
struct SimFixture {
    simulator: Simulator,
    clock: ManualClock,
}

impl SimFixture {
    fn new() -> Self {
        let clock = ManualClock::starting_at(1_800_000_000_000);
        let mut simulator = Simulator::new(7, SimClock::Manual(clock.clone()));
        for (name, versioning) in [
            (VERSIONED.bucket, SimVersioning::Enabled),
            (PLAIN.bucket, SimVersioning::Unversioned),
        ] {
            simulator.create_bucket(name, "us-east-1", true).expect("a bucket");
            let bucket = simulator.bucket_mut(name).expect("a bucket");
            bucket.versioning = versioning;
        }
        Self { simulator, clock }
    }

    fn put(&mut self, target: WriteTarget<'_>, content: &'static str) -> WriteResult {
        self.put_with_attributes(target, content, WriteAttributes::default())
    }

    fn put_with_attributes(
        &mut self,
        target: WriteTarget<'_>,
        content: &'static str,
        explicit: WriteAttributes,
    ) -> WriteResult {
        self.clock.advance(Duration::from_secs(1));
        let put = PutRequest {
            content: SimContent::from(content),
            explicit,
            ..PutRequest::default()
        };
        self.simulator.put_object(target, put).expect("a written object")
    }

    fn delete(&mut self, target: WriteTarget<'_>) -> DeleteResult {
        self.simulator
            .delete_object(target, &DeleteRequest::default())
            .expect("a deleted object")
    }

    fn content(&self, target: WriteTarget<'_>) -> Option<String> {
        let object = self.simulator.bucket(target.bucket).ok()?.current_object(target.key)?;
        String::from_utf8(object.content.to_bytes().to_vec()).ok()
    }

    fn event_names(&mut self) -> Vec<String> {
        let name = |event: serde_json::Value| event["eventName"].as_str().map(str::to_owned);
        self.simulator
            .notifications
            .drain()
            .into_iter()
            .filter_map(name)
            .collect()
    }
}

fn code<T>(answer: SimResult<T>) -> Option<SimErrorCode> {
    answer.err().map(|refusal| refusal.code)
}
