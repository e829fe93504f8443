//! A deterministic scheduler: the test polls invocations, and every call of a port waits until the test picks it.
//!
//! A call becomes a request in flight. The test decides its fate: it takes effect and is answered, fails, or times out
//! and takes effect later or never. A dropped invocation leaves its writes in flight, as a crashed process does. The
//! scheduler also has the only clock.

mod choices;
mod clock;
mod ports;

use std::collections::BTreeMap;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use s3ferry_core::facts::ObjectState;
use s3ferry_core::failure::FailureKind;
use s3ferry_core::names::ObjectKey;
use s3ferry_core::time::Timestamp;

pub use choices::{SchedulePaths, SeededChoices};
pub use clock::VirtualClock;
pub use ports::{ScheduledPort, ScheduledQueue, SchedulerHandle, SentContinuation, TwoStepCopies};

/// What a request does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortOperation {
    /// The source's object is read.
    SourceRead,
    /// A bucket's versions are listed to confirm that an object is absent.
    ConfirmAbsence,
    /// The source's versions are listed, or one is read, to distinguish a copy from an edit of it.
    ListSourceVersions,
    /// The source's replication configuration is read.
    Replication,
    /// The destination's object is read.
    DestinationRead,
    /// An object is copied.
    Copy,
    /// The destination's object is deleted.
    Delete,
    /// An object's attributes are updated.
    UpdateAttributes,
    /// More attributes or the parts of the source's object are read.
    ReadMore,
    /// A multipart upload is created.
    CreateUpload,
    /// A part is copied.
    CopyPart,
    /// The parts of an upload are listed.
    ListParts,
    /// The uploads of a key are listed.
    ListUploads,
    /// An upload is completed.
    CompleteUpload,
    /// An upload is aborted.
    AbortUpload,
    /// The journal is read.
    LoadEntry,
    /// A journal entry is written.
    CreateEntry,
    /// A journal entry is removed.
    RemoveEntry,
    /// The destination's versions are listed.
    ListVersions,
    /// One version of the destination is read.
    ReadVersion,
    /// One version of the destination is removed.
    DeleteVersion,
    /// The intent to delete is journaled.
    Announce,
    /// The intent to delete is read.
    FindIntent,
    /// A continuation is sent.
    Send,
}

impl PortOperation {
    /// Returns whether it can take effect after its caller gave up.
    pub fn has_effect(self) -> bool {
        match self {
            Self::Copy
            | Self::Delete
            | Self::UpdateAttributes
            | Self::CreateUpload
            | Self::CopyPart
            | Self::CompleteUpload
            | Self::AbortUpload
            | Self::CreateEntry
            | Self::RemoveEntry
            | Self::DeleteVersion
            | Self::Announce
            | Self::Send => true,
            Self::SourceRead
            | Self::ConfirmAbsence
            | Self::ListSourceVersions
            | Self::Replication
            | Self::DestinationRead
            | Self::ReadMore
            | Self::ListParts
            | Self::ListUploads
            | Self::ListVersions
            | Self::ReadVersion
            | Self::FindIntent
            | Self::LoadEntry => false,
        }
    }
}

/// What an invocation had read of a key when it sent a request.
#[derive(Debug, Clone, Default)]
pub struct RequestObservation {
    /// The source's answer.
    pub source: Option<ObjectState>,
    /// The destination's answer.
    pub destination: Option<ObjectState>,
}

/// The sender and the subject of a request.
#[derive(Debug)]
pub struct RequestSubject {
    /// The invocation that sent it.
    pub invocation: u32,
    /// What it does.
    pub operation: PortOperation,
    /// The key it is for.
    pub key: ObjectKey,
    /// When it was sent.
    pub sent: Timestamp,
    /// What its invocation had read.
    pub seen: RequestObservation,
}

/// A request in flight.
#[derive(Debug, Clone)]
pub struct ScheduledRequest {
    /// Its number, in the order of sending.
    pub id: u64,
    /// Its sender and subject.
    pub about: Arc<RequestSubject>,
    /// Whether its caller still waits for the answer.
    pub awaited: bool,
    /// Whether it is a copy that has read the source and not yet written the destination.
    pub begun: bool,
}

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestFate {
    /// A copy reads the source, and writes the destination later.
    Begins,
    /// It takes effect and is answered.
    Answered,
    /// It takes effect and its answer is lost.
    ResponseLost,
    /// It fails without effect.
    Fails(FailureKind),
    /// Its caller panics.
    Panics,
    /// Its caller gets a timeout; it stays in flight.
    TimesOut,
    /// It takes effect after its caller gave up.
    LandsLate,
    /// It is lost after its caller gave up.
    Vanishes,
}

impl RequestFate {
    /// Returns whether the request takes effect.
    pub fn takes_effect(self) -> bool {
        matches!(self, Self::Answered | Self::ResponseLost | Self::LandsLate)
    }
}

type Resolve = Box<dyn FnMut(RequestFate) + Send>;

struct Entry {
    request: ScheduledRequest,
    resolve: Option<Resolve>,
}

struct State {
    now: Timestamp,
    next_id: u64,
    requests: BTreeMap<u64, Entry>,
    timers: BTreeMap<u64, (Timestamp, Waker)>,
}

/// The requests in flight and the clock; clones share them.
#[derive(Clone)]
pub struct Schedule(Arc<Mutex<State>>);

impl fmt::Debug for Schedule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Schedule").field(&self.requests()).finish()
    }
}

impl Schedule {
    /// Starts at a point in time with no request in flight.
    pub fn starting_at(now: Timestamp) -> Self {
        Self(Arc::new(Mutex::new(State {
            now,
            next_id: 0,
            requests: BTreeMap::new(),
            timers: BTreeMap::new(),
        })))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the present time.
    pub fn now(&self) -> Timestamp {
        self.lock().now
    }

    /// Advances the clock; invocations that waited for it can be polled.
    pub fn advance(&self, duration: Duration) {
        let due: Vec<Waker> = {
            let mut state = self.lock();
            state.now = state.now.plus(duration);
            let now = state.now;
            let due = state.timers.values().filter(|(due, _)| *due <= now);
            due.map(|(_, waker)| waker.clone()).collect()
        };
        due.into_iter().for_each(Waker::wake);
    }

    /// Returns when the next sleep of an invocation ends.
    pub fn next_timer(&self) -> Option<Timestamp> {
        self.lock().timers.values().map(|(due, _)| *due).min()
    }

    /// Returns all requests in flight, in the order of sending.
    pub fn requests(&self) -> Vec<ScheduledRequest> {
        let state = self.lock();
        state.requests.values().map(|entry| entry.request.clone()).collect()
    }

    /// Decides the fate of a request.
    pub fn resolve(&self, id: u64, fate: RequestFate) {
        let mut resolve = self
            .lock()
            .requests
            .get_mut(&id)
            .and_then(|entry| entry.resolve.take())
            .expect("a request in flight");
        // Without the lock: the effect may ask for the time.
        resolve(fate);
        let mut state = self.lock();
        match (fate, state.requests.get_mut(&id)) {
            (RequestFate::Begins, Some(entry)) => {
                entry.request.begun = true;
                entry.resolve = Some(resolve);
            }
            (RequestFate::TimesOut, Some(entry)) if entry.request.about.operation.has_effect() => {
                entry.request.awaited = false;
                entry.resolve = Some(resolve);
            }
            _ => drop(state.requests.remove(&id)),
        }
    }

    fn next_id(&self) -> u64 {
        let mut state = self.lock();
        state.next_id += 1;
        state.next_id
    }

    fn send(&self, about: RequestSubject, resolve: Resolve) -> u64 {
        let id = self.next_id();
        let request = ScheduledRequest {
            id,
            about: Arc::new(about),
            awaited: true,
            begun: false,
        };
        let resolve = Some(resolve);
        self.lock().requests.insert(id, Entry { request, resolve });
        id
    }

    /// Records that the caller of a request no longer waits.
    fn abandon(&self, id: u64) {
        let mut state = self.lock();
        let Some(entry) = state.requests.get_mut(&id) else {
            return;
        };
        entry.request.awaited = false;
        if !entry.request.about.operation.has_effect() {
            state.requests.remove(&id);
        }
    }

    /// Waits until a point in time.
    async fn wait_until(&self, due: Timestamp) {
        let timer = TimerGuard {
            schedule: self.clone(),
            id: self.next_id(),
        };
        poll_fn(|context| {
            let mut state = self.lock();
            if state.now >= due {
                return Poll::Ready(());
            }
            state.timers.insert(timer.id, (due, context.waker().clone()));
            Poll::Pending
        })
        .await;
    }
}

/// Removes the timer of a sleep that ended or was dropped.
struct TimerGuard {
    schedule: Schedule,
    id: u64,
}

impl Drop for TimerGuard {
    fn drop(&mut self) {
        self.schedule.lock().timers.remove(&self.id);
    }
}

/// An invocation: a future that the test polls after each event, and that crashes when it is dropped.
pub struct SimulatedInvocation<T>(Pin<Box<dyn Future<Output = T> + Send>>);

impl<T> fmt::Debug for SimulatedInvocation<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SimulatedInvocation")
    }
}

impl<T> SimulatedInvocation<T> {
    /// Takes the work, which starts with the first poll.
    pub fn new(work: impl Future<Output = T> + Send + 'static) -> Self {
        Self(Box::pin(work))
    }

    /// Runs until the next answer is needed; returns the result at the end.
    pub fn poll(&mut self) -> Option<T> {
        match self.0.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(result) => Some(result),
            Poll::Pending => None,
        }
    }
}
