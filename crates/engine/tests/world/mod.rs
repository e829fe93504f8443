//! The test setup: two buckets in memory, a reconciler between them, and a fault script.
#![allow(dead_code, reason = "each test binary uses a part of this module")]
#![expect(clippy::unwrap_used, reason = "the test created the data")]

use s3ferry_core::event::{ContinuationHops, KeyHint, Sequencer};
use s3ferry_core::facts::{Attribute, AttributeSet};
use s3ferry_core::names::{BucketName, ObjectKey};
use s3ferry_core::outcome::ReconcileReport;
use s3ferry_core::policy::Policy;
use s3ferry_engine::batch::BatchReconciler;
use s3ferry_engine::reconcile::{Reconciler, UploadSupport};
use s3ferry_testkit::clock::TestClock;
use s3ferry_testkit::faults::{FaultScript, FaultyPort};
use s3ferry_testkit::journal::{MemoryJournal, route};
use s3ferry_testkit::memory::{MemoryBucket, MemoryDestination};
use s3ferry_testkit::queue::MemoryQueue;

pub(crate) type TestReconciler =
    Reconciler<FaultyPort<MemoryBucket>, FaultyPort<MemoryDestination>, TestClock, FaultyPort<MemoryJournal>>;

/// The key that most tests use.
pub(crate) const KEY: &str = "a key";

#[derive(Debug, Clone)]
pub(crate) struct TestWorld {
    pub(crate) source: MemoryBucket,
    pub(crate) destination: MemoryBucket,
    pub(crate) script: FaultScript,
    pub(crate) policy: Policy,
    pub(crate) journal: Option<MemoryJournal>,
    pub(crate) concurrent_parts: usize,
}

impl TestWorld {
    pub(crate) fn new() -> Self {
        Self::of(MemoryBucket::versioned(), MemoryBucket::versioned())
    }

    pub(crate) fn of(source: MemoryBucket, destination: MemoryBucket) -> Self {
        Self {
            source,
            destination,
            script: FaultScript::default(),
            policy: Policy {
                propagate_deletes: true,
                ..Policy::default()
            },
            journal: Some(MemoryJournal::default()),
            concurrent_parts: 4,
        }
    }

    pub(crate) fn with_script(mut self, script: FaultScript) -> Self {
        self.script = script;
        self
    }

    pub(crate) fn reconciler(&self) -> TestReconciler {
        Reconciler {
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
            uploads: self.journal.clone().map(|journal| UploadSupport {
                journal: FaultyPort {
                    port: journal,
                    script: self.script.clone(),
                },
                route: route(),
            }),
            concurrent_parts: self.concurrent_parts,
            clock: TestClock::start(),
            policy: self.policy.clone(),
        }
    }

    pub(crate) fn batch<'q>(
        &self,
        queue: Option<&'q MemoryQueue>,
    ) -> BatchReconciler<
        FaultyPort<MemoryBucket>,
        FaultyPort<MemoryDestination>,
        TestClock,
        FaultyPort<MemoryJournal>,
        &'q MemoryQueue,
    > {
        BatchReconciler {
            source_bucket: BucketName::new("source").unwrap(),
            reconciler: self.reconciler(),
            continuations: queue,
            concurrency: 4,
        }
    }

    /// Reconciles [`KEY`] like an event that names no attributes.
    pub(crate) async fn reconcile(&self) -> ReconcileReport {
        self.reconcile_with(&AttributeSet::new()).await
    }

    pub(crate) async fn reconcile_with(&self, attributes: &AttributeSet) -> ReconcileReport {
        let reconciler = self.reconciler();
        let deadline = reconciler.clock.far_future();
        reconciler.reconcile(&key(KEY), attributes, deadline).await
    }

    #[track_caller]
    pub(crate) fn assert_equal(&self) {
        assert_eq!(self.destination.snapshot(), self.source.snapshot());
    }
}

pub(crate) fn key(key: &str) -> ObjectKey {
    ObjectKey::from_raw(key).unwrap()
}

pub(crate) fn tags() -> AttributeSet {
    AttributeSet::from([Attribute::Tags])
}

pub(crate) fn hint(key_name: &str) -> KeyHint {
    KeyHint {
        bucket: BucketName::new("source").unwrap(),
        key: key(key_name),
        event_name: "ObjectCreated:Put".to_owned(),
        attributes: AttributeSet::new(),
        sequencer: None,
        hops: ContinuationHops::default(),
        event_time: None,
    }
}

pub(crate) fn sequenced(key_name: &str, sequencer: &str) -> KeyHint {
    KeyHint {
        sequencer: Sequencer::classic(sequencer),
        ..hint(key_name)
    }
}
