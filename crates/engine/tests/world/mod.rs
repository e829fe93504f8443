//! Two buckets in memory, a reconciler between them, and a script that interferes.
#![allow(dead_code, reason = "each test binary uses its own part of this module")]
#![expect(clippy::unwrap_used, reason = "test data is what the test made it")]

use s3ferry_core::event::{Hint, Hops, Sequencer};
use s3ferry_core::facts::{Aspect, Aspects};
use s3ferry_core::names::{BucketName, ObjectKey};
use s3ferry_core::outcome::Report;
use s3ferry_core::policy::Policy;
use s3ferry_engine::batch::Batch;
use s3ferry_engine::reconcile::{Reconciler, Uploads};
use s3ferry_testkit::clock::TestClock;
use s3ferry_testkit::faults::{Faults, Script};
use s3ferry_testkit::journal::{MemoryJournal, route};
use s3ferry_testkit::memory::{MemoryBucket, MemoryDestination};
use s3ferry_testkit::queue::MemoryQueue;

pub(crate) type TestReconciler =
    Reconciler<Faults<MemoryBucket>, Faults<MemoryDestination>, TestClock, Faults<MemoryJournal>>;

/// The key that most tests are about.
pub(crate) const KEY: &str = "a key";

#[derive(Debug, Clone)]
pub(crate) struct TestWorld {
    pub(crate) source: MemoryBucket,
    pub(crate) destination: MemoryBucket,
    pub(crate) script: Script,
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
            script: Script::default(),
            policy: Policy {
                propagate_deletes: true,
                ..Policy::default()
            },
            journal: Some(MemoryJournal::default()),
            concurrent_parts: 4,
        }
    }

    pub(crate) fn with_script(mut self, script: Script) -> Self {
        self.script = script;
        self
    }

    pub(crate) fn reconciler(&self) -> TestReconciler {
        Reconciler {
            source: Faults {
                port: self.source.clone(),
                script: self.script.clone(),
            },
            destination: Faults {
                port: MemoryDestination {
                    source: self.source.clone(),
                    bucket: self.destination.clone(),
                },
                script: self.script.clone(),
            },
            uploads: self.journal.clone().map(|journal| Uploads {
                journal: Faults {
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
    ) -> Batch<Faults<MemoryBucket>, Faults<MemoryDestination>, TestClock, Faults<MemoryJournal>, &'q MemoryQueue> {
        Batch {
            source_bucket: BucketName::new("source").unwrap(),
            reconciler: self.reconciler(),
            continuations: queue,
            concurrency: 4,
        }
    }

    /// Reconciles [`KEY`] as an event without aspects would.
    pub(crate) async fn reconcile(&self) -> Report {
        self.reconcile_with(&Aspects::new()).await
    }

    pub(crate) async fn reconcile_with(&self, aspects: &Aspects) -> Report {
        let reconciler = self.reconciler();
        let deadline = reconciler.clock.far_future();
        reconciler.reconcile(&key(KEY), aspects, deadline).await
    }

    #[track_caller]
    pub(crate) fn assert_equal(&self) {
        assert_eq!(self.destination.snapshot(), self.source.snapshot());
    }
}

pub(crate) fn key(key: &str) -> ObjectKey {
    ObjectKey::from_raw(key).unwrap()
}

pub(crate) fn tags() -> Aspects {
    Aspects::from([Aspect::Tags])
}

pub(crate) fn hint(key_name: &str) -> Hint {
    Hint {
        bucket: BucketName::new("source").unwrap(),
        key: key(key_name),
        event_name: "ObjectCreated:Put".to_owned(),
        aspects: Aspects::new(),
        sequencer: None,
        hops: Hops::default(),
    }
}

pub(crate) fn sequenced(key_name: &str, sequencer: &str) -> Hint {
    Hint {
        sequencer: Sequencer::classic(sequencer),
        ..hint(key_name)
    }
}
