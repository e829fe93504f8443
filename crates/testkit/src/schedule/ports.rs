//! Ports whose calls wait for the scheduler.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use futures::FutureExt;
use s3ferry_core::bucket_settings::{BucketObjectLock, ReplicationCoverage};
use s3ferry_core::delete_intent::DeleteIntent;
use s3ferry_core::event::Continuation;
use s3ferry_core::facts::{Attribute, AttributeSet, ExplicitEncryption, ObjectFacts, ObjectState};
use s3ferry_core::failure::{Failure, FailureKind};
use s3ferry_core::names::{ETag, ObjectKey, VersionId};
use s3ferry_core::order::{AttributeUpdate, CopyOrder, SourcePin, UploadParameters};
use s3ferry_core::plan::{PartLayout, PlannedPart};
use s3ferry_core::time::Timestamp;
use s3ferry_core::upload::{ListedUpload, UploadEntry, UploadId};
use s3ferry_core::versions::{VersionListing, VersionName};
use s3ferry_engine::ports::{
    Absence, Continuations, CopiedPart, DeleteIntents, DestinationBucket, DestinationObjects, DestinationVersions,
    JournaledUpload, MultipartProgress, MultipartUploads, SourceBucket, UploadCompletion, UploadJournal, WriteError,
    WrittenObject,
};

use super::{PortOperation, RequestFate, RequestObservation, RequestSubject, Schedule};
use crate::faults::{CallError, failure};
use crate::memory::{MemoryBucket, MemoryDestination};

/// One invocation's access to the scheduler.
#[derive(Debug, Clone)]
pub struct SchedulerHandle {
    schedule: Schedule,
    invocation: u32,
    seen: Arc<Mutex<BTreeMap<ObjectKey, RequestObservation>>>,
}

/// Where the answer to a call arrives.
struct Slot<T> {
    answer: Option<Answer<T>>,
    waker: Option<Waker>,
}

enum Answer<T> {
    Value(T),
    Panic,
}

/// Which half of its effect a request takes.
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

/// Returns the result of a port that never waits.
fn at_once<T>(work: impl Future<Output = T>) -> T {
    work.now_or_never().expect("a port in memory answers at once")
}

/// A call that waits for its answer; dropping it abandons the request.
struct PendingCall {
    schedule: Schedule,
    id: u64,
}

impl Drop for PendingCall {
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

    /// Records what a listing of the source showed before the invocation began.
    pub fn listed(&self, key: &ObjectKey, source: ObjectState) {
        self.note(key, |seen| seen.source = Some(source));
    }

    /// Returns what the invocation read last of a key.
    fn seen(&self, key: &ObjectKey) -> RequestObservation {
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
        let resolve = move |fate| {
            let value = match fate {
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
        let pending = PendingCall {
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
        drop(pending);
        match arrived {
            Answer::Value(value) => value,
            // Not by `panic!`: it would print its message, once for every such schedule.
            Answer::Panic => std::panic::resume_unwind(Box::new("a scheduled panic")),
        }
    }
}

/// A port whose calls wait for the scheduler.
#[derive(Debug, Clone)]
pub struct ScheduledPort<T> {
    port: T,
    scheduler: SchedulerHandle,
}

impl<T> ScheduledPort<T> {
    /// Schedules the calls of a port in memory.
    pub fn new(port: T, scheduler: &SchedulerHandle) -> Self {
        Self {
            port,
            scheduler: scheduler.clone(),
        }
    }
}

/// Implements methods by those of the port, each call as one request.
macro_rules! scheduled {
    ($port:ident: $($operation:ident = $name:ident($($argument:ident: &$type:ty),*) -> $returns:ty;)*) => {$(
        async fn $name(&self, key: &ObjectKey, $($argument: &$type),*) -> $returns {
            let (port, of) = (self.port.clone(), key.clone());
            $(let $argument = $argument.clone();)*
            let effect = move |_| Some(at_once($port::$name(&port, &of, $(&$argument),*)));
            self.scheduler.call(PortOperation::$operation, key, effect).await
        }
    )*};
}

/// Implements methods that read a bucket's settings by those of the port, without a request: settings do not change
/// during the exploration.
macro_rules! immediate {
    ($port:ident: $($name:ident() -> $returns:ty;)*) => {$(
        async fn $name(&self) -> $returns {
            $port::$name(&self.port).await
        }
    )*};
}

impl<T: SourceBucket + Clone + 'static> SourceBucket for ScheduledPort<T> {
    async fn read(&self, key: &ObjectKey, attributes: &AttributeSet) -> Result<ObjectState, Failure> {
        let (port, of, with) = (self.port.clone(), key.clone(), attributes.clone());
        let effect = move |_| Some(at_once(port.read(&of, &with)));
        let read = self.scheduler.call(PortOperation::SourceRead, key, effect).await?;
        self.scheduler.note(key, |seen| seen.source = Some(read.clone()));
        Ok(read)
    }

    async fn read_more(
        &self,
        key: &ObjectKey,
        facts: &ObjectFacts,
        attributes: &AttributeSet,
    ) -> Result<Option<ObjectFacts>, Failure> {
        let (port, of, from, with) = (self.port.clone(), key.clone(), facts.clone(), attributes.clone());
        let effect = move |_| Some(at_once(port.read_more(&of, &from, &with)));
        let read = self.scheduler.call(PortOperation::ReadMore, key, effect).await?;
        if let Some(facts) = &read {
            let state = ObjectState::Present(Box::new(facts.clone()));
            self.scheduler.note(key, |seen| seen.source = Some(state));
        }
        Ok(read)
    }

    scheduled! { SourceBucket:
        ConfirmAbsence = confirm_absence() -> Result<Absence, Failure>;
        ListSourceVersions = list_versions() -> Result<VersionListing, Failure>;
        ListSourceVersions = read_version(version: &VersionName) -> Result<ObjectState, Failure>;
        Replication = replication() -> Result<ReplicationCoverage, Failure>;
        ReadMore = layout(facts: &ObjectFacts) -> Result<PartLayout, Failure>;
    }

    immediate! { SourceBucket:
        has_acl() -> Result<bool, Failure>;
    }
}

impl<T: TwoStepCopies + 'static> DestinationObjects for ScheduledPort<T> {
    async fn read(&self, key: &ObjectKey, attributes: &AttributeSet) -> Result<ObjectState, Failure> {
        let (port, of, with) = (self.port.clone(), key.clone(), attributes.clone());
        let effect = move |_| Some(at_once(port.read(&of, &with)));
        let read = self.scheduler.call(PortOperation::DestinationRead, key, effect).await?;
        self.scheduler.note(key, |seen| seen.destination = Some(read.clone()));
        Ok(read)
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
        self.scheduler.call(PortOperation::Copy, key, effect).await
    }

    scheduled! { DestinationObjects:
        Delete = delete(seen: &ETag) -> Result<Option<VersionId>, WriteError>;
        ConfirmAbsence = confirm_absence() -> Result<Absence, Failure>;
        UpdateAttributes = update_attributes(order: &AttributeUpdate) -> Result<AttributeSet, WriteError>;
    }

    immediate! { DestinationObjects:
        object_lock() -> Result<Option<BucketObjectLock>, Failure>;
        default_encryption() -> Result<Option<ExplicitEncryption>, Failure>;
        has_acl() -> Result<bool, Failure>;
    }
}

impl<T: TwoStepCopies + 'static> DestinationVersions for ScheduledPort<T> {
    scheduled! { DestinationVersions:
        ListVersions = list_versions() -> Result<VersionListing, Failure>;
        ReadVersion = read_version(version: &VersionName) -> Result<ObjectState, Failure>;
        DeleteVersion = delete_version(version: &VersionName) -> Result<(), Failure>;
    }

    immediate! { DestinationVersions:
        is_versioned() -> Result<bool, Failure>;
    }
}

impl<T: TwoStepCopies + 'static> MultipartUploads for ScheduledPort<T> {
    scheduled! { MultipartUploads:
        CreateUpload = create_upload(terms: &UploadParameters) -> Result<UploadId, WriteError>;
        CopyPart = copy_part(id: &UploadId, pin: &SourcePin, part: &PlannedPart) -> Result<CopiedPart, WriteError>;
        ListParts = list_parts(id: &UploadId) -> Result<Option<Vec<CopiedPart>>, Failure>;
        ListUploads = list_uploads() -> Result<Vec<ListedUpload>, Failure>;
        CompleteUpload = complete_upload(id: &UploadId, with: &UploadCompletion) -> Result<WrittenObject, WriteError>;
        AbortUpload = abort_upload(id: &UploadId) -> Result<(), Failure>;
    }
}

impl<T: Send + Sync> MultipartProgress for ScheduledPort<T> {}

impl<T: UploadJournal + Clone + 'static> UploadJournal for ScheduledPort<T> {
    scheduled! { UploadJournal:
        LoadEntry = load() -> Result<Option<JournaledUpload>, Failure>;
        CreateEntry = create(entry: &UploadEntry) -> Result<Option<ETag>, WriteError>;
        RemoveEntry = remove(seen: &ETag) -> Result<(), Failure>;
    }
}

impl<T: DeleteIntents + Clone + 'static> DeleteIntents for ScheduledPort<T> {
    scheduled! { DeleteIntents:
        Announce = announce(intent: &DeleteIntent) -> Result<(), Failure>;
        FindIntent = find(covered: &VersionName) -> Result<Option<DeleteIntent>, Failure>;
    }
}

/// A destination whose copies read the source first and write later, as S3's do.
pub trait TwoStepCopies: DestinationBucket + Clone {
    /// Reads what `order` pins; returns the destination and the order that finish the copy.
    #[must_use]
    fn begin(&self, key: &ObjectKey, order: &CopyOrder) -> (Self, CopyOrder);
}

impl TwoStepCopies for MemoryDestination {
    /// Keeps the current object if the order pins it. Older versions cannot change.
    fn begin(&self, key: &ObjectKey, order: &CopyOrder) -> (Self, CopyOrder) {
        let everything = AttributeSet::from([Attribute::Tags, Attribute::Annotations, Attribute::Acl]);
        let current = at_once(SourceBucket::read(&self.source, key, &everything));
        let Ok(ObjectState::Present(facts)) = current else {
            return (self.clone(), order.clone());
        };
        let content = self.source.content(key.as_str()).expect("the object was just read");
        let is_other_version = order.pin.version_id.is_some() && facts.version_id != order.pin.version_id;
        if is_other_version || facts.etag != order.pin.etag {
            return (self.clone(), order.clone());
        }
        let version_id = facts.version_id.clone();
        let held = MemoryBucket::unversioned();
        let order = CopyOrder {
            pin: SourcePin {
                version_id: None,
                etag: facts.etag.clone(),
            },
            ..order.clone()
        };
        held.put_with(key.as_str(), &content, |held| *held = *facts);
        held.change(key.as_str(), |held| held.version_id = version_id);
        let destination = Self {
            source: held,
            bucket: self.bucket.clone(),
        };
        (destination, order)
    }
}

/// A continuation in the queue.
#[derive(Debug, Clone)]
pub struct SentContinuation {
    /// The invocation that sent it.
    pub invocation: u32,
    /// Its content.
    pub continuation: Continuation,
    /// When it becomes visible.
    pub arrives: Timestamp,
}

/// A queue whose sends wait for the scheduler.
#[derive(Debug, Clone)]
pub struct ScheduledQueue {
    scheduler: SchedulerHandle,
    sent: Arc<Mutex<Vec<SentContinuation>>>,
}

impl ScheduledQueue {
    /// Connects an invocation to the queue of all invocations.
    pub fn new(scheduler: &SchedulerHandle, sent: &Arc<Mutex<Vec<SentContinuation>>>) -> Self {
        Self {
            scheduler: scheduler.clone(),
            sent: Arc::clone(sent),
        }
    }
}

impl Continuations for ScheduledQueue {
    async fn send(&self, continuation: &Continuation, delay: Duration) -> Result<(), Failure> {
        let key = ObjectKey::from_raw(&continuation.key).expect("the key of a continuation is valid");
        let (schedule, invocation) = (self.scheduler.schedule.clone(), self.scheduler.invocation);
        let (sent, continuation) = (Arc::clone(&self.sent), continuation.clone());
        let effect = move |_| {
            lock(&sent).push(SentContinuation {
                invocation,
                continuation: continuation.clone(),
                arrives: schedule.now().plus(delay),
            });
            Some(Ok(()))
        };
        self.scheduler.call(PortOperation::Send, &key, effect).await
    }
}
