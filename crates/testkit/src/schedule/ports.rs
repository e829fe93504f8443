//! Ports whose calls wait for the scheduler.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use futures::FutureExt;
use s3ferry_core::decide::{CopyOrder, ReplicationCoverage, SourcePin};
use s3ferry_core::event::Continuation;
use s3ferry_core::facts::{Aspect, Aspects, ObjectState};
use s3ferry_core::failure::{Failure, FailureKind};
use s3ferry_core::names::{ETag, ObjectKey, VersionId};
use s3ferry_core::time::Timestamp;
use s3ferry_engine::ports::{Absence, Continuations, DestinationBucket, SourceBucket, WriteError};

use super::{About, Landing, Operation, Schedule, Seen};
use crate::faults::failure;
use crate::memory::{MemoryBucket, MemoryDestination};

/// One invocation's way to the scheduler.
#[derive(Debug, Clone)]
pub struct Line {
    schedule: Schedule,
    invocation: u32,
    seen: Arc<Mutex<BTreeMap<ObjectKey, Seen>>>,
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
enum Part {
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

impl Line {
    /// Connects an invocation.
    pub fn new(schedule: &Schedule, invocation: u32) -> Self {
        Self {
            schedule: schedule.clone(),
            invocation,
            seen: Arc::default(),
        }
    }

    /// Returns what the invocation read last of a key.
    pub fn seen(&self, key: &ObjectKey) -> Seen {
        lock(&self.seen).get(key).cloned().unwrap_or_default()
    }

    fn note(&self, key: &ObjectKey, note: impl FnOnce(&mut Seen)) {
        note(lock(&self.seen).entry(key.clone()).or_default());
    }

    async fn call<T: Send + 'static, E: CallError>(
        &self,
        operation: Operation,
        key: &ObjectKey,
        mut effect: impl FnMut(Part) -> Option<Result<T, E>> + Send + 'static,
    ) -> Result<T, E> {
        let slot = Arc::new(Mutex::new(Slot {
            answer: None,
            waker: None,
        }));
        let about = About {
            invocation: self.invocation,
            operation,
            key: key.clone(),
            sent: self.schedule.now(),
            seen: self.seen(key),
        };
        let (at, lost) = (Arc::clone(&slot), || E::unknown(failure(FailureKind::Retry)));
        let resolve = move |landing| {
            let value = match landing {
                Landing::Begins => return drop(effect(Part::Begin)),
                Landing::LandsLate => return drop(effect(Part::Finish)),
                Landing::Vanishes => return,
                Landing::Panics => return answer(&at, Answer::Panic),
                Landing::Fails(kind) => Err(E::failed(failure(kind))),
                Landing::TimesOut => Err(lost()),
                Landing::Answered => effect(Part::Finish).expect("it has a result once it is finished"),
                Landing::AnswerLost => {
                    let result = effect(Part::Finish).expect("it has a result once it is finished");
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
pub struct Scheduled<T> {
    /// The port itself, which answers at once.
    pub port: T,
    /// The invocation's way to the scheduler.
    pub line: Line,
}

impl<T: SourceBucket + Clone + 'static> SourceBucket for Scheduled<T> {
    async fn read(&self, key: &ObjectKey, aspects: &Aspects) -> Result<ObjectState, Failure> {
        let (port, of, with) = (self.port.clone(), key.clone(), aspects.clone());
        let effect = move |_| Some(at_once(port.read(&of, &with)));
        let read = self.line.call(Operation::SourceRead, key, effect).await;
        if let Ok(state) = &read {
            self.line.note(key, |seen| seen.source = Some(state.clone()));
        }
        read
    }

    async fn confirm_absence(&self, key: &ObjectKey) -> Result<Absence, Failure> {
        let (port, of) = (self.port.clone(), key.clone());
        let effect = move |_| Some(at_once(port.confirm_absence(&of)));
        self.line.call(Operation::ConfirmAbsence, key, effect).await
    }

    async fn replication(&self, key: &ObjectKey) -> Result<ReplicationCoverage, Failure> {
        let (port, of) = (self.port.clone(), key.clone());
        let effect = move |_| Some(at_once(port.replication(&of)));
        self.line.call(Operation::Replication, key, effect).await
    }
}

impl<T: TwoSteps + 'static> DestinationBucket for Scheduled<T> {
    async fn read(&self, key: &ObjectKey, aspects: &Aspects) -> Result<ObjectState, Failure> {
        let (port, of, with) = (self.port.clone(), key.clone(), aspects.clone());
        let effect = move |_| Some(at_once(port.read(&of, &with)));
        let read = self.line.call(Operation::DestinationRead, key, effect).await;
        if let Ok(state) = &read {
            self.line.note(key, |seen| seen.destination = Some(state.clone()));
        }
        read
    }

    async fn copy(&self, key: &ObjectKey, order: &CopyOrder) -> Result<Option<VersionId>, WriteError> {
        let (mut port, of, mut order) = (self.port.clone(), key.clone(), order.clone());
        let effect = move |part| {
            if part == Part::Begin {
                (port, order) = port.begin(&of, &order);
                return None;
            }
            Some(at_once(port.copy(&of, &order)))
        };
        self.line.call(Operation::Copy, key, effect).await
    }

    async fn delete(&self, key: &ObjectKey, seen: &ETag) -> Result<(), WriteError> {
        let (port, of, tag) = (self.port.clone(), key.clone(), seen.clone());
        let effect = move |_| Some(at_once(port.delete(&of, &tag)));
        self.line.call(Operation::Delete, key, effect).await
    }
}

/// A destination whose copies read the source first and write later, as S3's do.
pub trait TwoSteps: DestinationBucket + Clone {
    /// Reads what `order` pins; returns the destination and the order with which the copy is finished.
    #[must_use]
    fn begin(&self, key: &ObjectKey, order: &CopyOrder) -> (Self, CopyOrder);
}

impl TwoSteps for MemoryDestination {
    /// Holds the current object where it is what the order pins. Older versions cannot change, so that it makes no
    /// difference when they are read.
    fn begin(&self, key: &ObjectKey, order: &CopyOrder) -> (Self, CopyOrder) {
        let current = at_once(SourceBucket::read(&self.source, key, &Aspects::from([Aspect::Tags])));
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
pub struct Sent {
    /// Who sent it.
    pub invocation: u32,
    /// What it says.
    pub continuation: Continuation,
    /// When it arrives at the earliest.
    pub arrives: Timestamp,
}

/// A queue whose sends wait for the scheduler.
#[derive(Debug, Clone)]
pub struct SentQueue {
    line: Line,
    sent: Arc<Mutex<Vec<Sent>>>,
}

impl SentQueue {
    /// Connects an invocation to what all invocations sent.
    pub fn new(line: &Line, sent: &Arc<Mutex<Vec<Sent>>>) -> Self {
        Self {
            line: line.clone(),
            sent: Arc::clone(sent),
        }
    }
}

impl Continuations for SentQueue {
    async fn send(&self, continuation: &Continuation, delay: Duration) -> Result<(), Failure> {
        let key = ObjectKey::from_raw(&continuation.key).expect("the key of a continuation is valid");
        let (schedule, invocation) = (self.line.schedule.clone(), self.line.invocation);
        let (sent, continuation) = (Arc::clone(&self.sent), continuation.clone());
        let effect = move |_| {
            lock(&sent).push(Sent {
                invocation,
                continuation: continuation.clone(),
                arrives: schedule.now().plus(delay),
            });
            Some(Ok(()))
        };
        self.line.call(Operation::Send, &key, effect).await
    }
}
