//! Executions of the state machine: batches with deadlines, slow copies, failures and invocations that crash.
//!
//! Each case simulates the state machine with a batch until it is finished, on its own clock.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "the test created the data, and a missing field of a JSON value is null"
)]
#![expect(clippy::disallowed_methods, reason = "the clock of the tests is paused")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use proptest::prelude::*;
use s3ferry_core::batch_operations::ResultLine;
use s3ferry_core::facts::Availability;
use s3ferry_core::failure::{Failure, FailureKind};
use s3ferry_core::names::BucketName;
use s3ferry_core::policy::Policy;
use s3ferry_engine::batch::BatchReconciler;
use s3ferry_engine::final_sync::{FinalSync, FinalSyncInvocation, JobTerms};
use s3ferry_engine::ports::Clock as _;
use s3ferry_engine::reconcile::{Reconciler, UploadSupport};
use s3ferry_engine::results::ResultStore;
use s3ferry_testkit::clock::TestClock;
use s3ferry_testkit::faults::{FaultScript, FaultyPort, PortCall, PortFault, failure};
use s3ferry_testkit::journal::{MemoryJournal, route};
use s3ferry_testkit::memory::{MemoryBucket, MemoryDestination};
use s3ferry_testkit::queue::MemoryQueue;
use serde_json::{Value, json};

/// The number of retries of an invocation that failed as a whole.
const RETRIES: u32 = 6;

#[derive(Debug, Default)]
struct MemoryResults(Mutex<BTreeMap<String, String>>);

impl MemoryResults {
    fn lines(&self) -> Vec<ResultLine> {
        let texts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = texts.values().flat_map(|text| text.lines());
        lines.map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl ResultStore for &MemoryResults {
    async fn write(&self, name: &str, text: String) -> Result<(), Failure> {
        let mut texts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        texts.insert(name.to_owned(), text);
        Ok(())
    }

    async fn list(&self, _prefix: &str, _after: Option<&str>) -> Result<Vec<String>, Failure> {
        Ok(Vec::new())
    }

    async fn read(&self, _name: &str) -> Result<String, Failure> {
        Err(failure(FailureKind::Bug))
    }
}

/// The size and the faults of a batch.
#[derive(Debug, Clone)]
struct Case {
    items: usize,
    /// The items whose object is archived.
    archived: BTreeSet<usize>,
    concurrency: usize,
    copy_seconds: u64,
    invocation_seconds: u64,
    /// The numbers of the copies that fail with a transient failure.
    throttled: BTreeSet<u32>,
    /// The numbers of the copies whose response is lost.
    lost: BTreeSet<u32>,
    /// The numbers of the invocations that crash, and after how many seconds.
    crashes: BTreeMap<u32, u64>,
}

fn cases() -> impl Strategy<Value = Case> {
    use prop::collection::{btree_map, btree_set};
    let shape = (
        1_usize..120,
        btree_set(0_usize..120, 0..6),
        1_usize..6,
        0_u64..25,
        30_u64..90,
    );
    let faults = (
        btree_set(1_u32..150, 0..40),
        btree_set(1_u32..150, 0..4),
        btree_map(1_u32..20, 0_u64..90, 0..4),
    );
    (shape, faults).prop_map(|(shape, (throttled, lost, crashes))| {
        let (items, archived, concurrency, copy_seconds, invocation_seconds) = shape;
        Case {
            items,
            archived: archived.into_iter().filter(|index| *index < items).collect(),
            concurrency,
            copy_seconds,
            invocation_seconds,
            throttled,
            lost,
            crashes,
        }
    })
}

fn key(index: usize) -> String {
    format!("key-{index:03}")
}

struct Execution {
    case: Case,
    source: MemoryBucket,
    destination: MemoryBucket,
    journal: MemoryJournal,
    script: FaultScript,
    results: MemoryResults,
    clock: TestClock,
    invocations: u32,
}

impl Execution {
    fn new(case: Case) -> Self {
        let slow = PortFault::Slow(Duration::from_secs(case.copy_seconds));
        let throttled = PortFault::Fails(failure(FailureKind::Retry));
        let mut script = FaultScript::default().always(PortCall::Copy, slow);
        for (numbers, fault) in [(&case.throttled, throttled), (&case.lost, PortFault::ResponseLost)] {
            script = numbers.iter().fold(script, |script, number| {
                script.on(PortCall::Copy, *number, fault.clone())
            });
        }
        let source = MemoryBucket::versioned();
        for index in 0..case.items {
            source.put_with(&key(index), &key(index), |facts| {
                if case.archived.contains(&index) {
                    facts.availability = Availability::Archived;
                }
            });
        }
        Self {
            case,
            source,
            destination: MemoryBucket::versioned(),
            journal: MemoryJournal::default(),
            script,
            results: MemoryResults::default(),
            clock: TestClock::start(),
            invocations: 0,
        }
    }

    /// Invokes the function; returns `None` if it crashes.
    async fn invoke(&mut self, payload: &Value) -> Option<Value> {
        self.invocations += 1;
        let id = self.invocations.to_string();
        let deadline = self.clock.now().plus(Duration::from_secs(self.case.invocation_seconds));
        let batches = |terms: &JobTerms| BatchReconciler {
            source_bucket: BucketName::new("source").unwrap(),
            reconciler: Reconciler {
                source: FaultyPort {
                    port: self.source.clone(),
                    script: self.script.clone(),
                },
                destination: FaultyPort {
                    port: MemoryDestination {
                        source: self.source.clone(),
                        bucket: self.destination.clone(),
                    },
                    script: self.script.clone(),
                },
                uploads: Some(UploadSupport {
                    journal: self.journal.clone(),
                    route: route(),
                }),
                concurrent_parts: 4,
                clock: self.clock.clone(),
                policy: terms.policy.clone(),
            },
            continuations: None::<&MemoryQueue>,
            concurrency: self.case.concurrency,
        };
        let sync = FinalSync::new(batches, Policy::default(), Some(&self.results));
        let invocation = FinalSyncInvocation { id: &id, deadline };
        let work = sync.handle(payload, &invocation);
        let reply = match self.case.crashes.get(&self.invocations) {
            Some(seconds) => tokio::time::timeout(Duration::from_secs(*seconds), work).await.ok()?,
            None => work.await,
        };
        serde_json::to_value(reply.ok()?).ok()
    }

    /// Simulates the state machine until the batch is finished. Returns the number of rounds.
    async fn run(&mut self) -> Result<u32, TestCaseError> {
        let run = json!({"execution": "e", "userArguments": {}});
        let item = |index| {
            let row = json!({"Bucket": "source", "Key": key(index), "VersionId": ""});
            json!({"row": row, "index": index, "run": run})
        };
        let mut payload = json!({"Items": (0..self.case.items).map(item).collect::<Vec<_>>()});
        let (mut rounds, mut retries) = (0, 0);
        loop {
            let Some(answer) = self.invoke(&json!({"batch": payload, "retries": retries})).await else {
                retries += 1;
                prop_assert!(retries <= RETRIES, "the case has fewer crashes");
                continue;
            };
            (rounds, retries) = (rounds + 1, 0);
            prop_assert!(rounds < 500, "the batch is not finished after 500 rounds");
            if answer["finished"] == true {
                return Ok(rounds);
            }
            let wait = answer["waitSeconds"].as_u64().unwrap();
            prop_assert!((1..=600).contains(&wait), "{wait} s");
            tokio::time::sleep(Duration::from_secs(wait)).await;
            payload = answer["again"].clone();
        }
    }

    fn check(&self) -> Result<(), TestCaseError> {
        let lines = self.results.lines();
        let keys: BTreeSet<&str> = lines.iter().filter_map(|line| line.row["Key"].as_str()).collect();
        prop_assert_eq!(
            (lines.len(), keys.len()),
            (self.case.items, self.case.items),
            "each item once"
        );
        for index in 0..self.case.items {
            let key = key(index);
            let line = lines.iter().find(|line| line.row["Key"] == key).unwrap();
            let archived = self.case.archived.contains(&index);
            prop_assert_eq!(line.is_done(), !archived, "{}: {}", key, line.detail);
            prop_assert_eq!(self.destination.content(&key), (!archived).then(|| key.clone()));
        }
        let bytes: u64 = lines.iter().map(|line| line.bytes_copied).sum();
        let copied: usize = self.destination.snapshot().into_keys().map(|key| key.len()).sum();
        prop_assert!(bytes <= copied as u64, "{} of {}", bytes, copied);
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn every_item_of_a_batch_has_one_correct_result(case in cases()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let mut execution = Execution::new(case);
            execution.run().await?;
            execution.check()
        })?;
    }
}
