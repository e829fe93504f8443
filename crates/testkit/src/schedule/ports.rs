//! Ports whose calls wait for the scheduler.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use futures::FutureExt;
use s3ferry_core::decide::{BucketObjectLock, ReplicationCoverage};
use s3ferry_core::event::Continuation;
use s3ferry_core::facts::{Attribute, AttributeSet, ExplicitEncryption, ObjectFacts, ObjectState};
use s3ferry_core::failure::{Failure, FailureKind};
use s3ferry_core::names::{ETag, ObjectKey, VersionId};
use s3ferry_core::order::{AttributeUpdate, CopyOrder, SourcePin, UploadParameters};
use s3ferry_core::plan::{PartLayout, PlannedPart as ObjectPart};
use s3ferry_core::time::Timestamp;
use s3ferry_core::upload::{ListedUpload, UploadEntry, UploadId};
use s3ferry_core::versions::{DeleteIntent, VersionListing, VersionName};
use s3ferry_engine::ports::{
    Absence, Continuations, CopiedPart, DeleteIntents, DestinationBucket, JournaledUpload, SourceBucket,
    UploadCompletion, UploadJournal, WriteError, WrittenObject,
};

use super::{PortOperation, RequestFate, RequestObservation, RequestSubject, Schedule};
use crate::faults::failure;
use crate::memory::{MemoryBucket, MemoryDestination};

/// One invocation's way to the scheduler.
#[derive(Debug, Clone)]
pub struct SchedulerHandle {
    schedule: Schedule,
    invocation: u32,
    seen: Arc<Mutex<BTreeMap<ObjectKey, RequestObservation>>>,
}

/// Makes the two errors of a call that are not the port's own.
trait CallError: Sized + Send + 'static {
    fn failed(failure: Failure) -> Self;
    fn unknown(failure: Failure) -> Self;
}

impl CallError for Failure {
    fn failed(failure: Failure) -> Self {
        failure
    }

    fn unknown(failure: Failure) -> Self {
        failure
    }
}

impl CallError for WriteError {
    fn failed(failure: Failure) -> Self {
        Self::Failed(failure)
    }

    fn unknown(failure: Failure) -> Self {
        Self::OutcomeUnknown(failure)
    }
}

/// Where an answer arrives.
struct Slot<T> {
    answer: Option<Answer<T>>,
    waker: Option<Waker>,
}

enum Answer<T> {
    Value(T),
    Panic,
}

/// What the effect of a request is asked to do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Begin,
    Finish,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn answer<T>(slot: &Mutex<Slot<T>>, answer: Answer<T>) {
    let mut slot = lock(slot);
    slot.answer = Some(answer);
    if let Some(waker) = slot.waker.take() {
        waker.wake();
    }
}

/// Takes the result of a port that never waits.
fn at_once<T>(work: impl Future<Output = T>) -> T {
    work.now_or_never().expect("a port in memory answers at once")
}

/// Tells the scheduler when nobody waits any longer.
struct Awaiting {
    schedule: Schedule,
    id: u64,
}

impl Drop for Awaiting {
    fn drop(&mut self) {
        self.schedule.abandon(self.id);
    }
}

impl SchedulerHandle {
    /// Connects an invocation.
    pub fn new(schedule: &Schedule, invocation: u32) -> Self {
        Self {
            schedule: schedule.clone(),
            invocation,
            seen: Arc::default(),
        }
    }

    /// Returns what the invocation read last of a key.
    pub fn seen(&self, key: &ObjectKey) -> RequestObservation {
        lock(&self.seen).get(key).cloned().unwrap_or_default()
    }

    fn note(&self, key: &ObjectKey, note: impl FnOnce(&mut RequestObservation)) {
        note(lock(&self.seen).entry(key.clone()).or_default());
    }

    async fn call<T: Send + 'static, E: CallError>(
        &self,
        operation: PortOperation,
        key: &ObjectKey,
        mut effect: impl FnMut(Step) -> Option<Result<T, E>> + Send + 'static,
    ) -> Result<T, E> {
        let slot = Arc::new(Mutex::new(Slot {
            answer: None,
            waker: None,
        }));
        let about = RequestSubject {
            invocation: self.invocation,
            operation,
            key: key.clone(),
            sent: self.schedule.now(),
            seen: self.seen(key),
        };
        let (at, lost) = (Arc::clone(&slot), || E::unknown(failure(FailureKind::Retry)));
        let resolve = move |landing| {
            let value = match landing {
                RequestFate::Begins => return drop(effect(Step::Begin)),
                RequestFate::LandsLate => return drop(effect(Step::Finish)),
                RequestFate::Vanishes => return,
                RequestFate::Panics => return answer(&at, Answer::Panic),
                RequestFate::Fails(kind) => Err(E::failed(failure(kind))),
                RequestFate::TimesOut => Err(lost()),
                RequestFate::Answered => effect(Step::Finish).expect("it has a result once it is finished"),
                RequestFate::ResponseLost => {
                    let result = effect(Step::Finish).expect("it has a result once it is finished");
                    result.and_then(|_| Err(lost()))
                }
            };
            answer(&at, Answer::Value(value));
        };
        let id = self.schedule.send(about, Box::new(resolve));
        let awaiting = Awaiting {
            schedule: self.schedule.clone(),
            id,
        };
        let arrived = poll_fn(|context| {
            let mut slot = lock(&slot);
            if let Some(answer) = slot.answer.take() {
                return Poll::Ready(answer);
            }
            slot.waker = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
        drop(awaiting);
        match arrived {
            Answer::Value(value) => value,
            // Not by `panic!`: its message would be printed, once for every schedule that asks for it.
            Answer::Panic => std::panic::resume_unwind(Box::new("the schedule says that this call panics")),
        }
    }
}

/// A port whose calls wait for the scheduler.
#[derive(Debug, Clone)]
pub struct ScheduledPort<T> {
    /// The port itself, which answers at once.
    pub port: T,
    /// The invocation's way to the scheduler.
    pub line: SchedulerHandle,
}

impl<T: SourceBucket + Clone + 'static> SourceBucket for ScheduledPort<T> {
    async fn read(&self, key: &ObjectKey, attributes: &AttributeSet) -> Result<ObjectState, Failure> {
        let (port, of, with) = (self.port.clone(), key.clone(), attributes.clone());
        let effect = move |_| Some(at_once(port.read(&of, &with)));
        let read = self.line.call(PortOperation::SourceRead, key, effect).await;
        if let Ok(state) = &read {
            self.line.note(key, |seen| seen.source = Some(state.clone()));
        }
        read
    }

    async fn confirm_absence(&self, key: &ObjectKey) -> Result<Absence, Failure> {
        let (port, of) = (self.port.clone(), key.clone());
        let effect = move |_| Some(at_once(port.confirm_absence(&of)));
        self.line.call(PortOperation::ConfirmAbsence, key, effect).await
    }

    async fn versions(&self, key: &ObjectKey) -> Result<VersionListing, Failure> {
        let (port, of) = (self.port.clone(), key.clone());
        let effect = move |_| Some(at_once(port.versions(&of)));
        self.line.call(PortOperation::SourceVersions, key, effect).await
    }

    async fn version(&self, key: &ObjectKey, version: &VersionName) -> Result<ObjectState, Failure> {
        let (port, of, version) = (self.port.clone(), key.clone(), version.clone());
        let effect = move |_| Some(at_once(port.version(&of, &version)));
        self.line.call(PortOperation::SourceVersions, key, effect).await
    }

    async fn replication(&self, key: &ObjectKey) -> Result<ReplicationCoverage, Failure> {
        let (port, of) = (self.port.clone(), key.clone());
        let effect = move |_| Some(at_once(port.replication(&of)));
        self.line.call(PortOperation::Replication, key, effect).await
    }

    async fn read_more(
        &self,
        key: &ObjectKey,
        facts: &ObjectFacts,
        attributes: &AttributeSet,
    ) -> Result<Option<ObjectFacts>, Failure> {
        let (port, of, from, with) = (self.port.clone(), key.clone(), facts.clone(), attributes.clone());
        let effect = move |_| Some(at_once(port.read_more(&of, &from, &with)));
        let read = self.line.call(PortOperation::ReadMore, key, effect).await;
        if let Ok(Some(facts)) = &read {
            let state = ObjectState::Present(Box::new(facts.clone()));
            self.line.note(key, |seen| seen.source = Some(state));
        }
        read
    }

    async fn layout(&self, key: &ObjectKey, facts: &ObjectFacts) -> Result<PartLayout, Failure> {
        let (port, of, from) = (self.port.clone(), key.clone(), facts.clone());
        let effect = move |_| Some(at_once(port.layout(&of, &from)));
        self.line.call(PortOperation::ReadMore, key, effect).await
    }

    /// The settings of a bucket do not change while it is explored.
    async fn has_acl(&self) -> Result<bool, Failure> {
        self.port.has_acl().await
    }
}

impl<T: TwoStepCopies + 'static> DestinationBucket for ScheduledPort<T> {
    async fn read(&self, key: &ObjectKey, attributes: &AttributeSet) -> Result<ObjectState, Failure> {
        let (port, of, with) = (self.port.clone(), key.clone(), attributes.clone());
        let effect = move |_| Some(at_once(port.read(&of, &with)));
        let read = self.line.call(PortOperation::DestinationRead, key, effect).await;
        if let Ok(state) = &read {
            self.line.note(key, |seen| seen.destination = Some(state.clone()));
        }
        read
    }

    async fn copy(&self, key: &ObjectKey, order: &CopyOrder) -> Result<WrittenObject, WriteError> {
        let (mut port, of, mut order) = (self.port.clone(), key.clone(), order.clone());
        let effect = move |step| {
            if step == Step::Begin {
                (port, order) = port.begin(&of, &order);
                return None;
            }
            Some(at_once(port.copy(&of, &order)))
        };
        self.line.call(PortOperation::Copy, key, effect).await
    }

    async fn delete(&self, key: &ObjectKey, seen: &ETag) -> Result<Option<VersionId>, WriteError> {
        let (port, of, tag) = (self.port.clone(), key.clone(), seen.clone());
        let effect = move |_| Some(at_once(port.delete(&of, &tag)));
        self.line.call(PortOperation::Delete, key, effect).await
    }

    async fn is_versioned(&self) -> Result<bool, Failure> {
        self.port.is_versioned().await
    }

    async fn history(&self, key: &ObjectKey) -> Result<VersionListing, Failure> {
        let (port, of) = (self.port.clone(), key.clone());
        let effect = move |_| Some(at_once(port.history(&of)));
        self.line.call(PortOperation::History, key, effect).await
    }

    async fn read_version(&self, key: &ObjectKey, version: &VersionName) -> Result<ObjectState, Failure> {
        let (port, of, version) = (self.port.clone(), key.clone(), version.clone());
        let effect = move |_| Some(at_once(port.read_version(&of, &version)));
        self.line.call(PortOperation::ReadVersion, key, effect).await
    }

    async fn remove_version(&self, key: &ObjectKey, version: &VersionName) -> Result<(), Failure> {
        let (port, of, version) = (self.port.clone(), key.clone(), version.clone());
        let effect = move |_| Some(at_once(port.remove_version(&of, &version)));
        self.line.call(PortOperation::RemoveVersion, key, effect).await
    }

    async fn confirm_absence(&self, key: &ObjectKey) -> Result<Absence, Failure> {
        let (port, of) = (self.port.clone(), key.clone());
        let effect = move |_| Some(at_once(port.confirm_absence(&of)));
        self.line.call(PortOperation::ConfirmAbsence, key, effect).await
    }

    async fn object_lock(&self) -> Result<Option<BucketObjectLock>, Failure> {
        self.port.object_lock().await
    }

    async fn default_encryption(&self) -> Result<Option<ExplicitEncryption>, Failure> {
        self.port.default_encryption().await
    }

    async fn has_acl(&self) -> Result<bool, Failure> {
        self.port.has_acl().await
    }

    async fn update_attributes(&self, key: &ObjectKey, order: &AttributeUpdate) -> Result<AttributeSet, WriteError> {
        let (port, of, order) = (self.port.clone(), key.clone(), order.clone());
        let effect = move |_| Some(at_once(port.update_attributes(&of, &order)));
        self.line.call(PortOperation::UpdateAttributes, key, effect).await
    }

    async fn create_upload(&self, key: &ObjectKey, terms: &UploadParameters) -> Result<UploadId, WriteError> {
        let (port, of, terms) = (self.port.clone(), key.clone(), terms.clone());
        let effect = move |_| Some(at_once(port.create_upload(&of, &terms)));
        self.line.call(PortOperation::CreateUpload, key, effect).await
    }

    async fn copy_part(
        &self,
        key: &ObjectKey,
        upload_id: &UploadId,
        pin: &SourcePin,
        part: &ObjectPart,
    ) -> Result<CopiedPart, WriteError> {
        let (bucket, of, id, pin, part) = (self.port.clone(), key.clone(), upload_id.clone(), pin.clone(), *part);
        let effect = move |_| Some(at_once(bucket.copy_part(&of, &id, &pin, &part)));
        self.line.call(PortOperation::CopyPart, key, effect).await
    }

    async fn list_parts(&self, key: &ObjectKey, upload_id: &UploadId) -> Result<Option<Vec<CopiedPart>>, Failure> {
        let (port, of, id) = (self.port.clone(), key.clone(), upload_id.clone());
        let effect = move |_| Some(at_once(port.list_parts(&of, &id)));
        self.line.call(PortOperation::ListParts, key, effect).await
    }

    async fn list_uploads(&self, key: &ObjectKey) -> Result<Vec<ListedUpload>, Failure> {
        let (port, of) = (self.port.clone(), key.clone());
        let effect = move |_| Some(at_once(port.list_uploads(&of)));
        self.line.call(PortOperation::ListUploads, key, effect).await
    }

    async fn complete_upload(
        &self,
        key: &ObjectKey,
        upload_id: &UploadId,
        completion: &UploadCompletion,
    ) -> Result<WrittenObject, WriteError> {
        let (port, of, id, with) = (self.port.clone(), key.clone(), upload_id.clone(), completion.clone());
        let effect = move |_| Some(at_once(port.complete_upload(&of, &id, &with)));
        self.line.call(PortOperation::CompleteUpload, key, effect).await
    }

    async fn abort_upload(&self, key: &ObjectKey, upload_id: &UploadId) -> Result<(), Failure> {
        let (port, of, id) = (self.port.clone(), key.clone(), upload_id.clone());
        let effect = move |_| Some(at_once(port.abort_upload(&of, &id)));
        self.line.call(PortOperation::AbortUpload, key, effect).await
    }
}

impl<T: UploadJournal + Clone + 'static> UploadJournal for ScheduledPort<T> {
    async fn load(&self, key: &ObjectKey) -> Result<Option<JournaledUpload>, Failure> {
        let (port, of) = (self.port.clone(), key.clone());
        let effect = move |_| Some(at_once(port.load(&of)));
        self.line.call(PortOperation::LoadEntry, key, effect).await
    }

    async fn create(&self, key: &ObjectKey, entry: &UploadEntry) -> Result<Option<ETag>, WriteError> {
        let (port, of, entry) = (self.port.clone(), key.clone(), entry.clone());
        let effect = move |_| Some(at_once(port.create(&of, &entry)));
        self.line.call(PortOperation::CreateEntry, key, effect).await
    }

    async fn remove(&self, key: &ObjectKey, seen: &ETag) -> Result<(), Failure> {
        let (port, of, tag) = (self.port.clone(), key.clone(), seen.clone());
        let effect = move |_| Some(at_once(port.remove(&of, &tag)));
        self.line.call(PortOperation::RemoveEntry, key, effect).await
    }
}

impl<T: DeleteIntents + Clone + 'static> DeleteIntents for ScheduledPort<T> {
    async fn announce(&self, key: &ObjectKey, intent: &DeleteIntent) -> Result<(), Failure> {
        let (port, of, intent) = (self.port.clone(), key.clone(), intent.clone());
        let effect = move |_| Some(at_once(port.announce(&of, &intent)));
        self.line.call(PortOperation::Announce, key, effect).await
    }

    async fn find(&self, key: &ObjectKey, covered: &VersionName) -> Result<Option<DeleteIntent>, Failure> {
        let (port, of, covered) = (self.port.clone(), key.clone(), covered.clone());
        let effect = move |_| Some(at_once(port.find(&of, &covered)));
        self.line.call(PortOperation::FindIntent, key, effect).await
    }
}

/// A destination whose copies read the source first and write later, as S3's do.
pub trait TwoStepCopies: DestinationBucket + Clone {
    /// Reads what `order` pins; returns the destination and the order with which the copy is finished.
    #[must_use]
    fn begin(&self, key: &ObjectKey, order: &CopyOrder) -> (Self, CopyOrder);
}

impl TwoStepCopies for MemoryDestination {
    /// Holds the current object where it is what the order pins. Older versions cannot change, so that it makes no
    /// difference when they are read.
    fn begin(&self, key: &ObjectKey, order: &CopyOrder) -> (Self, CopyOrder) {
        let everything = AttributeSet::from([Attribute::Tags, Attribute::Annotations, Attribute::Acl]);
        let current = at_once(SourceBucket::read(&self.source, key, &everything));
        let Ok(ObjectState::Present(facts)) = current else {
            return (self.clone(), order.clone());
        };
        let content = self.source.content(key.as_str()).expect("the object was just read");
        if facts.version_id != order.pin.version_id || facts.etag != order.pin.etag {
            return (self.clone(), order.clone());
        }
        let held = MemoryBucket::unversioned();
        let order = CopyOrder {
            pin: SourcePin {
                version_id: None,
                etag: facts.etag.clone(),
            },
            ..order.clone()
        };
        held.put_with(key.as_str(), &content, |held| *held = *facts);
        let destination = Self {
            source: held,
            bucket: self.bucket.clone(),
        };
        (destination, order)
    }
}

/// A continuation that a queue took.
#[derive(Debug, Clone)]
pub struct SentContinuation {
    /// Who sent it.
    pub invocation: u32,
    /// What it says.
    pub continuation: Continuation,
    /// When it arrives at the earliest.
    pub arrives: Timestamp,
}

/// A queue whose sends wait for the scheduler.
#[derive(Debug, Clone)]
pub struct ScheduledQueue {
    line: SchedulerHandle,
    sent: Arc<Mutex<Vec<SentContinuation>>>,
}

impl ScheduledQueue {
    /// Connects an invocation to what all invocations sent.
    pub fn new(line: &SchedulerHandle, sent: &Arc<Mutex<Vec<SentContinuation>>>) -> Self {
        Self {
            line: line.clone(),
            sent: Arc::clone(sent),
        }
    }
}

impl Continuations for ScheduledQueue {
    async fn send(&self, continuation: &Continuation, delay: Duration) -> Result<(), Failure> {
        let key = ObjectKey::from_raw(&continuation.key).expect("the key of a continuation is valid");
        let (schedule, invocation) = (self.line.schedule.clone(), self.line.invocation);
        let (sent, continuation) = (Arc::clone(&self.sent), continuation.clone());
        let effect = move |_| {
            lock(&sent).push(SentContinuation {
                invocation,
                continuation: continuation.clone(),
                arrives: schedule.now().plus(delay),
            });
            Some(Ok(()))
        };
        self.line.call(PortOperation::Send, &key, effect).await
    }
}
