//! Ports that leave out one thing the proof rests on.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use futures::FutureExt;
use s3ferry_core::decide::{CopyOrder, ReplicationCoverage, SourcePin, WriteCondition};
use s3ferry_core::facts::{Aspects, ObjectState};
use s3ferry_core::failure::Failure;
use s3ferry_core::names::{ETag, ObjectKey, VersionId};
use s3ferry_engine::ports::{Absence, DestinationBucket, SourceBucket, WriteError};
use s3ferry_testkit::memory::MemoryDestination;
use s3ferry_testkit::schedule::{Line, Scheduled, TwoSteps};

/// What is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mutant {
    /// Nothing: the engine as it is.
    Faithful,
    /// The read after a write answers what was read before it.
    NoReread,
    /// The destination takes every write.
    NoCondition,
    /// The source's current object is copied, whichever was read.
    NoPin,
    /// The queue takes continuations and loses them.
    NoContinuation,
}

/// The destination bucket, below the scheduler.
#[derive(Debug, Clone)]
pub(crate) struct Destination {
    pub(crate) port: MemoryDestination,
    pub(crate) mutant: Mutant,
}

fn at_once<T>(work: impl Future<Output = T>) -> T {
    work.now_or_never().unwrap()
}

impl Destination {
    fn current_tag(&self, key: &ObjectKey) -> Option<ETag> {
        let current = at_once(self.port.read(key, &Aspects::new())).unwrap();
        current.facts().map(|facts| facts.etag.clone())
    }

    fn changed(&self, key: &ObjectKey, order: &CopyOrder) -> CopyOrder {
        let mut order = order.clone();
        if self.mutant == Mutant::NoCondition {
            order.condition = self
                .current_tag(key)
                .map_or(WriteCondition::Absent, WriteCondition::Matches);
        }
        if self.mutant == Mutant::NoPin {
            let source = at_once(self.port.source.read(key, &Aspects::new())).unwrap();
            if let ObjectState::Present(facts) = source {
                order.pin = SourcePin {
                    version_id: facts.version_id,
                    etag: facts.etag,
                };
            }
        }
        order
    }
}

impl DestinationBucket for Destination {
    async fn read(&self, key: &ObjectKey, aspects: &Aspects) -> Result<ObjectState, Failure> {
        self.port.read(key, aspects).await
    }

    async fn copy(&self, key: &ObjectKey, order: &CopyOrder) -> Result<Option<VersionId>, WriteError> {
        self.port.copy(key, &self.changed(key, order)).await
    }

    async fn delete(&self, key: &ObjectKey, seen: &ETag) -> Result<(), WriteError> {
        let tag = match self.mutant {
            Mutant::NoCondition => self.current_tag(key).unwrap_or_else(|| seen.clone()),
            _ => seen.clone(),
        };
        self.port.delete(key, &tag).await
    }
}

impl TwoSteps for Destination {
    fn begin(&self, key: &ObjectKey, order: &CopyOrder) -> (Self, CopyOrder) {
        // Without its pin a copy reads the source when it is finished.
        if self.mutant == Mutant::NoPin {
            return (self.clone(), order.clone());
        }
        let (port, order) = self.port.begin(key, order);
        let mutant = self.mutant;
        (Self { port, mutant }, order)
    }
}

/// The ports of one invocation, above the scheduler.
#[derive(Debug, Clone)]
pub(crate) struct Remembering<T> {
    pub(crate) port: Scheduled<T>,
    pub(crate) mutant: Mutant,
    pub(crate) written: Written,
}

/// The keys an invocation wrote and did not read again since; its two ports share it.
pub(crate) type Written = Arc<Mutex<BTreeSet<ObjectKey>>>;

impl<T> Remembering<T> {
    pub(crate) fn new(port: T, line: &Line, mutant: Mutant, written: &Written) -> Self {
        let line = line.clone();
        Self {
            port: Scheduled { port, line },
            mutant,
            written: Arc::clone(written),
        }
    }
}

impl<T: SourceBucket + Clone + 'static> SourceBucket for Remembering<T> {
    async fn read(&self, key: &ObjectKey, aspects: &Aspects) -> Result<ObjectState, Failure> {
        let before = self.port.line.seen(key).source;
        let read = self.port.read(key, aspects).await?;
        let is_after_write = self.written.lock().unwrap().remove(key);
        let forgets = self.mutant == Mutant::NoReread && is_after_write;
        Ok(before.filter(|_| forgets).unwrap_or(read))
    }

    async fn confirm_absence(&self, key: &ObjectKey) -> Result<Absence, Failure> {
        self.port.confirm_absence(key).await
    }

    async fn replication(&self, key: &ObjectKey) -> Result<ReplicationCoverage, Failure> {
        self.port.replication(key).await
    }
}

impl<T: TwoSteps + 'static> DestinationBucket for Remembering<T> {
    async fn read(&self, key: &ObjectKey, aspects: &Aspects) -> Result<ObjectState, Failure> {
        self.port.read(key, aspects).await
    }

    async fn copy(&self, key: &ObjectKey, order: &CopyOrder) -> Result<Option<VersionId>, WriteError> {
        let copied = self.port.copy(key, order).await?;
        self.written.lock().unwrap().insert(key.clone());
        Ok(copied)
    }

    async fn delete(&self, key: &ObjectKey, seen: &ETag) -> Result<(), WriteError> {
        self.port.delete(key, seen).await?;
        self.written.lock().unwrap().insert(key.clone());
        Ok(())
    }
}
