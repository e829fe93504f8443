//! Convergence: after any history of the source bucket, with events in any order, the destination is equal.

#![expect(clippy::indexing_slicing, reason = "keys are named by their index")]

mod world;

use proptest::prelude::*;
use s3ferry_engine::ports::Clock as _;
use s3ferry_testkit::faults::{FaultScript, PortCall, PortFault};
use s3ferry_testkit::memory::MemoryBucket;
use world::{TestWorld, hint};

const KEYS: [&str; 3] = ["a", "b", "c"];

#[derive(Debug, Clone)]
enum Step {
    Put {
        key: usize,
        content: u8,
        tagged: bool,
    },
    Delete {
        key: usize,
    },
    Purge {
        key: usize,
    },
    /// An event, with an optional source write during its reconcile.
    Event {
        key: usize,
        interference: Option<(PortCall, u32, u8)>,
    },
    LostResponse {
        key: usize,
    },
    SecondPasses,
}

fn step() -> impl Strategy<Value = Step> {
    let key = 0..KEYS.len();
    let call = prop::sample::select(vec![
        PortCall::SourceRead,
        PortCall::DestinationRead,
        PortCall::Copy,
        PortCall::Delete,
    ]);
    let interference = prop::option::of((call, 1u32..3, any::<u8>()));
    prop_oneof![
        4 => (key.clone(), 0u8..4, any::<bool>()).prop_map(|(key, content, tagged)| Step::Put { key, content, tagged }),
        1 => key.clone().prop_map(|key| Step::Delete { key }),
        1 => key.clone().prop_map(|key| Step::Purge { key }),
        4 => (key.clone(), interference).prop_map(|(key, interference)| Step::Event { key, interference }),
        1 => key.prop_map(|key| Step::LostResponse { key }),
        1 => Just(Step::SecondPasses),
    ]
}

fn put(bucket: &MemoryBucket, key: usize, content: u8, tagged: bool) {
    bucket.put_with(KEYS[key], &format!("content {content}"), |facts| {
        facts.tags = tagged.then(|| [("tagged".to_owned(), content.to_string())].into());
    });
}

async fn run(world: TestWorld, steps: Vec<Step>) {
    for step in steps {
        let mut script = FaultScript::default();
        let event = match step {
            Step::Put { key, content, tagged } => {
                put(&world.source, key, content, tagged);
                None
            }
            Step::Delete { key } => {
                world.source.delete(KEYS[key]);
                None
            }
            Step::Purge { key } => {
                world.source.purge(KEYS[key]);
                None
            }
            Step::SecondPasses => {
                world.source.pass_seconds(1);
                world.destination.pass_seconds(1);
                None
            }
            Step::LostResponse { key } => {
                script = script.on(PortCall::Copy, 1, PortFault::ResponseLost);
                Some(key)
            }
            Step::Event { key, interference } => {
                if let Some((call, nth, content)) = interference {
                    let source = world.source.clone();
                    script = script.on(call, nth, PortFault::before(move || put(&source, key, content, false)));
                }
                Some(key)
            }
        };
        if let Some(key) = event {
            reconcile(&world.clone().with_script(script), KEYS[key]).await;
        }
    }
    // The sweep: one more reconcile of every key, without interference.
    for key in KEYS {
        reconcile(&world.clone().with_script(FaultScript::default()), key).await;
    }
    world.assert_equal();
}

async fn reconcile(world: &TestWorld, key: &str) {
    let batch = world.batch(None);
    let deadline = batch.reconciler.clock.now().plus(std::time::Duration::from_mins(10));
    batch.reconcile_hints(&[hint(key)], deadline).await;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn destination_equals_the_source_after_a_sweep(
        steps in prop::collection::vec(step(), 0..40),
        source_versioned in any::<bool>(),
        destination_versioned in any::<bool>(),
    ) {
        let bucket = |versioned| if versioned { MemoryBucket::versioned() } else { MemoryBucket::unversioned() };
        let world = TestWorld::of(bucket(source_versioned), bucket(destination_versioned));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(run(world, steps));
    }
}
