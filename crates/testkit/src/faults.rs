//! A decorator that fails, interrupts or counts the calls of any port.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use s3ferry_core::decide::{CopyOrder, ReplicationCoverage};
use s3ferry_core::facts::{Aspects, ObjectState};
use s3ferry_core::failure::{Failure, FailureKind};
use s3ferry_core::names::{ETag, ObjectKey, VersionId};
use s3ferry_engine::ports::{Absence, DestinationBucket, SourceBucket, WriteError};

/// The calls that can be interfered with: every method of the two bucket ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
    /// [`SourceBucket::read`]
    SourceRead,
    /// [`SourceBucket::confirm_absence`]
    ConfirmAbsence,
    /// [`SourceBucket::replication`]
    Replication,
    /// [`DestinationBucket::read`]
    DestinationRead,
    /// [`DestinationBucket::copy`]
    Copy,
    /// [`DestinationBucket::delete`]
    Delete,
}

/// What a test does between two calls.
pub type Act = Arc<dyn Fn() + Send + Sync>;

/// What happens to one call.
#[derive(Clone)]
pub enum Fault {
    /// It fails without effect.
    Fails(Failure),
    /// It takes effect, and then its answer is lost.
    AnswerLost,
    /// It panics.
    Panics,
    /// It never returns.
    Hangs,
    /// Something else happens right before it.
    Before(Act),
    /// Something else happens right after it.
    After(Act),
}

impl Fault {
    /// Lets something happen right before the call.
    pub fn before(act: impl Fn() + Send + Sync + 'static) -> Self {
        Self::Before(Arc::new(act))
    }

    /// Lets something happen right after the call.
    pub fn after(act: impl Fn() + Send + Sync + 'static) -> Self {
        Self::After(Arc::new(act))
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Fails(_) => "Fails",
            Self::AnswerLost => "AnswerLost",
            Self::Panics => "Panics",
            Self::Hangs => "Hangs",
            Self::Before(_) => "Before",
            Self::After(_) => "After",
        })
    }
}

/// The faults of a test, shared by the decorated ports.
#[derive(Debug, Clone, Default)]
pub struct Script(Arc<Mutex<Lines>>);

#[derive(Debug, Default)]
struct Lines {
    once: BTreeMap<(Call, u32), Fault>,
    always: BTreeMap<Call, Fault>,
    counts: BTreeMap<Call, u32>,
}

impl Script {
    /// Interferes with the `nth` call (from 1).
    #[must_use]
    pub fn on(self, call: Call, nth: u32, fault: Fault) -> Self {
        self.lock().once.insert((call, nth), fault);
        self
    }

    /// Interferes with every call.
    #[must_use]
    pub fn always(self, call: Call, fault: Fault) -> Self {
        self.lock().always.insert(call, fault);
        self
    }

    /// Returns how often a call was made.
    pub fn count(&self, call: Call) -> u32 {
        self.lock().counts.get(&call).copied().unwrap_or(0)
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call and finds what happens to it.
    fn next(&self, call: Call) -> Option<Fault> {
        let mut lines = self.lock();
        let count = lines.counts.entry(call).or_default();
        *count += 1;
        let nth = *count;
        lines
            .once
            .get(&(call, nth))
            .or_else(|| lines.always.get(&call))
            .cloned()
    }

    async fn run<T, E>(
        &self,
        call: Call,
        work: impl Future<Output = Result<T, E>>,
        failed: impl Fn(Failure) -> E,
        lost: impl Fn() -> E,
    ) -> Result<T, E> {
        match self.next(call) {
            None => work.await,
            Some(Fault::Fails(failure)) => Err(failed(failure)),
            Some(Fault::AnswerLost) => work.await.and_then(|_| Err(lost())),
            Some(Fault::Panics) => panic!("the script says that this call panics"),
            Some(Fault::Hangs) => std::future::pending().await,
            Some(Fault::Before(act)) => {
                act();
                work.await
            }
            Some(Fault::After(act)) => {
                let answer = work.await;
                act();
                answer
            }
        }
    }

    async fn read<T>(&self, call: Call, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        self.run(call, work, |failure| failure, || failure(FailureKind::Retry))
            .await
    }

    async fn write<T>(&self, call: Call, work: impl Future<Output = Result<T, WriteError>>) -> Result<T, WriteError> {
        let lost = || WriteError::OutcomeUnknown(failure(FailureKind::Retry));
        self.run(call, work, WriteError::Failed, lost).await
    }
}

/// Makes a failure of a kind.
pub fn failure(kind: FailureKind) -> Failure {
    Failure {
        kind,
        code: "Scripted".to_owned(),
        action: "s3:Test".to_owned(),
        resource: "arn:aws:s3:::test".to_owned(),
        detail: "the script says so".to_owned(),
    }
}

/// A port whose calls follow a script.
#[derive(Debug, Clone)]
pub struct Faults<T> {
    /// The port itself.
    pub port: T,
    /// What happens to its calls.
    pub script: Script,
}

impl<T: SourceBucket> SourceBucket for Faults<T> {
    async fn read(&self, key: &ObjectKey, aspects: &Aspects) -> Result<ObjectState, Failure> {
        self.script.read(Call::SourceRead, self.port.read(key, aspects)).await
    }

    async fn confirm_absence(&self, key: &ObjectKey) -> Result<Absence, Failure> {
        self.script
            .read(Call::ConfirmAbsence, self.port.confirm_absence(key))
            .await
    }

    async fn replication(&self, key: &ObjectKey) -> Result<ReplicationCoverage, Failure> {
        self.script.read(Call::Replication, self.port.replication(key)).await
    }
}

impl<T: DestinationBucket> DestinationBucket for Faults<T> {
    async fn read(&self, key: &ObjectKey, aspects: &Aspects) -> Result<ObjectState, Failure> {
        self.script
            .read(Call::DestinationRead, self.port.read(key, aspects))
            .await
    }

    async fn copy(&self, key: &ObjectKey, order: &CopyOrder) -> Result<Option<VersionId>, WriteError> {
        self.script.write(Call::Copy, self.port.copy(key, order)).await
    }

    async fn delete(&self, key: &ObjectKey, seen: &ETag) -> Result<(), WriteError> {
        self.script.write(Call::Delete, self.port.delete(key, seen)).await
    }
}
