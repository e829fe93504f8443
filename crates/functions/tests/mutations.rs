//! Mutated sample events on the replicator: every message is either read and done, or redelivered.
#![expect(clippy::unwrap_used, reason = "the test creates its data")]

#[path = "../../core/tests/mutations/mutate.rs"]
mod mutate;
#[path = "../../core/tests/mutations/random.rs"]
mod random;

use std::collections::BTreeSet;
use std::path::Path;

use random::Random;
use s3ferry_core::event::{EventMessage, Payload, parse_payload};
use s3ferry_core::names::BucketName;
use s3ferry_core::policy::Policy;
use s3ferry_engine::batch::BatchReconciler;
use s3ferry_engine::reconcile::{Reconciler, UploadSupport};
use s3ferry_functions::replicator::{Replicator, ReplicatorResponse};
use s3ferry_testkit::clock::TestClock;
use s3ferry_testkit::journal::{MemoryJournal, route};
use s3ferry_testkit::memory::{MemoryBucket, MemoryDestination};
use s3ferry_testkit::queue::MemoryQueue;
use serde_json::Value;

const SEED: u64 = 0x5333_F377;
const CASES: usize = 40;

async fn respond(payload: &Value) -> Option<ReplicatorResponse> {
    let (source, destination) = (MemoryBucket::versioned(), MemoryBucket::versioned());
    let clock = TestClock::start();
    let deadline = clock.far_future();
    let queue = MemoryQueue::default();
    let batch = BatchReconciler {
        source_bucket: BucketName::new("example-source").unwrap(),
        reconciler: Reconciler {
            source: source.clone(),
            destination: MemoryDestination {
                source,
                bucket: destination,
            },
            clock,
            uploads: Some(UploadSupport {
                journal: MemoryJournal::default(),
                route: route(),
            }),
            concurrent_parts: 4,
            policy: Policy {
                propagate_deletes: true,
                ..Policy::default()
            },
        },
        continuations: Some(&queue),
        concurrency: 4,
    };
    Replicator::new(batch).handle(payload, deadline).await.ok()
}

/// Returns the ids of the messages that are not completely readable.
fn unreadable(payload: &Value) -> BTreeSet<String> {
    let Ok(Payload::Queue(messages)) = parse_payload(payload) else {
        return BTreeSet::new();
    };
    let is_read = |message: &EventMessage| match message {
        EventMessage::TestEvent => true,
        EventMessage::Records(records) => records.iter().all(Result::is_ok),
    };
    messages
        .into_iter()
        .filter(|queued| !queued.message.as_ref().is_ok_and(is_read))
        .map(|queued| queued.id.as_str().to_owned())
        .collect()
}

#[tokio::test(start_paused = true)]
async fn unreadable_message_is_never_acknowledged() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events");
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    for (index, path) in paths.iter().enumerate() {
        let original: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let mut random = Random::of(SEED, index);
        for case in 0..CASES {
            let mut payload = original.clone();
            for _ in 0..=random.below(4) {
                mutate::json(&mut payload, &mut random);
            }
            let Some(ReplicatorResponse::Queue(response)) = respond(&payload).await else {
                continue;
            };
            let redelivered: BTreeSet<String> = response
                .batch_item_failures
                .into_iter()
                .map(|failure| failure.item_identifier)
                .collect();
            if !unreadable(&payload).is_subset(&redelivered) {
                eprintln!("input: {payload}");
                panic!("{}, case {case}: only {redelivered:?} are redelivered", path.display());
            }
        }
    }
}
