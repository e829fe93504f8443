//! The rules of the model, each by an example.

mod conditions;
mod copies;
mod digests;
mod encryption;
mod listings;
mod locks;
mod uploads;
mod versions;

use std::time::Duration;

use super::bucket::Versioning;
use super::clock::{Clock, ManualClock};
use super::content::Content;
use super::delete::{Delete, Deleted};
use super::object::Stated;
use super::put::Put;
use super::refusal::{Answer, Code};
use super::simulator::{Simulator, Target, Written};

/// A bucket that keeps versions.
const VERSIONED: Target<'static> = Target {
    bucket: "versioned",
    key: "k",
};

/// A bucket that never did.
const PLAIN: Target<'static> = Target {
    bucket: "plain",
    key: "k",
};

/// A simulator with both, and the time in the test's hands.
struct World {
    simulator: Simulator,
    clock: ManualClock,
}

impl World {
    fn new() -> Self {
        let clock = ManualClock::starting_at(1_800_000_000_000);
        let mut simulator = Simulator::new(7, Clock::Manual(clock.clone()));
        for (name, versioning) in [
            (VERSIONED.bucket, Versioning::Enabled),
            (PLAIN.bucket, Versioning::Unversioned),
        ] {
            simulator.create_bucket(name, "us-east-1", true).expect("a bucket");
            let bucket = simulator.bucket_mut(name).expect("a bucket");
            bucket.versioning = versioning;
        }
        Self { simulator, clock }
    }

    fn put(&mut self, target: Target<'_>, content: &'static str) -> Written {
        self.put_stated(target, content, Stated::default())
    }

    fn put_stated(&mut self, target: Target<'_>, content: &'static str, stated: Stated) -> Written {
        self.clock.advance(Duration::from_secs(1));
        let put = Put {
            content: Content::from(content),
            stated,
            ..Put::default()
        };
        self.simulator.put_object(target, put).expect("a written object")
    }

    fn delete(&mut self, target: Target<'_>) -> Deleted {
        self.simulator
            .delete_object(target, &Delete::default())
            .expect("a deleted object")
    }

    fn content(&self, target: Target<'_>) -> Option<String> {
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

fn code<T>(answer: Answer<T>) -> Option<Code> {
    answer.err().map(|refusal| refusal.code)
}
