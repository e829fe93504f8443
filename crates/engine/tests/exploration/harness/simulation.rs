//! Two buckets and the invocations between them, with what must hold whenever a request takes effect.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt as _;
use s3ferry_core::event::{ContinuationHops, KeyHint};
use s3ferry_core::facts::{AttributeSet, ObjectFacts, ObjectState};
use s3ferry_core::listing::{ListedObject, StorageClassName};
use s3ferry_core::names::{BucketName, ObjectKey};
use s3ferry_core::outcome::{Outcome, ReconcileReport};
use s3ferry_core::policy::{Ownership, Policy};
use s3ferry_core::time::Timestamp;
use s3ferry_core::upload::UploadId;
use s3ferry_engine::batch::{BatchReconciler, RecordResult};
use s3ferry_engine::ports::Clock;
use s3ferry_engine::reconcile::{Reconciler, UploadSupport};
use s3ferry_testkit::journal::{MemoryJournal, route};
use s3ferry_testkit::memory::{MemoryBucket, MemoryDestination};
use s3ferry_testkit::schedule::{
    PortOperation, RequestFate, Schedule, ScheduledPort, ScheduledQueue, ScheduledRequest, SchedulerHandle,
    SentContinuation, SimulatedInvocation, VirtualClock,
};

use super::exclusive::{History, Moment};
use super::mutants::{Memory, Mutant, MutantPort};
use super::shared::Authorship;

const START: Timestamp = Timestamp::from_seconds(1_000_000);

/// The size of a part, and the size above which an object is copied multipart.
pub(crate) const PART_BYTES: u64 = 5 << 20;

/// How long a request may be in flight: shorter than the delay of a continuation after an unknown outcome.
pub(crate) const REQUEST_LIFETIME: Duration = Duration::from_millis(10 * 60 * 1_000 - 1);

/// How long the queue hides a received message: longer than an invocation and its requests live.
pub(crate) const VISIBILITY_TIMEOUT: Duration = Duration::from_hours(1);

/// What does not hold.
pub(crate) type Violation = String;

#[derive(Debug)]
pub(crate) struct Simulation {
    pub(crate) ownership: Ownership,
    pub(crate) mutant: Mutant,
    pub(crate) schedule: Schedule,
    pub(crate) source: MemoryBucket,
    pub(crate) destination: MemoryBucket,
    pub(crate) deletes: bool,
    pub(crate) journal: Option<MemoryJournal>,
    pub(crate) sent: Arc<Mutex<Vec<SentContinuation>>>,
    /// How many of the continuations in `sent` are in the queue.
    taken: usize,
    aborted: Arc<Mutex<BTreeSet<UploadId>>>,
    /// The invocation and the key of each upload.
    uploads: BTreeMap<UploadId, (u32, ObjectKey)>,
    /// Invocations that were interrupted or could not abort: without a journal, their uploads may stay.
    interrupted: BTreeSet<u32>,
    pub(super) history: BTreeMap<ObjectKey, History>,
    pub(super) authorship: Authorship,
    /// When each invocation read the source last.
    pub(super) last_reads: BTreeMap<u32, Moment>,
    /// What happened, if requested.
    pub(crate) trace: Option<Vec<String>>,
}

/// What a listing showed of an object at the source.
#[derive(Debug, Clone)]
pub(crate) struct ListedSource {
    row: ListedObject,
    state: ObjectState,
}

fn bucket(versioned: bool) -> MemoryBucket {
    let bucket = if versioned {
        MemoryBucket::versioned()
    } else {
        MemoryBucket::unversioned()
    };
    bucket.pass_seconds(START.millis() / 1_000);
    bucket
}

/// Returns the work that an event, a continuation or a sync requests for a key.
pub(crate) fn hint(key: &ObjectKey, event_name: &str, attributes: AttributeSet) -> KeyHint {
    KeyHint {
        bucket: BucketName::new("source").unwrap(),
        key: key.clone(),
        event_name: event_name.to_owned(),
        attributes,
        sequencer: None,
        hops: ContinuationHops::default(),
        event_time: None,
    }
}

/// How far the clock of a sync is ahead of S3's.
const WRONG_CLOCK: Duration = Duration::from_mins(1);

/// An invocation's own clock. With shared ownership, no two agree to the millisecond; that of a sync is wrong.
#[derive(Debug, Clone)]
struct SkewedClock {
    clock: VirtualClock,
    ahead: Duration,
}

impl Clock for SkewedClock {
    fn now(&self) -> Timestamp {
        self.clock.now().plus(self.ahead)
    }

    async fn sleep(&self, duration: Duration) {
        self.clock.sleep(duration).await;
    }
}

impl Simulation {
    pub(crate) fn new(
        ownership: Ownership,
        source_versioned: bool,
        destination_versioned: bool,
        mutant: Mutant,
        is_traced: bool,
    ) -> Self {
        Self {
            ownership,
            mutant,
            schedule: Schedule::starting_at(START),
            source: bucket(source_versioned),
            destination: bucket(destination_versioned),
            deletes: true,
            journal: Some(MemoryJournal::default()),
            sent: Arc::default(),
            taken: 0,
            aborted: Arc::default(),
            uploads: BTreeMap::new(),
            interrupted: BTreeSet::new(),
            history: BTreeMap::new(),
            authorship: Authorship::default(),
            last_reads: BTreeMap::new(),
            trace: is_traced.then(Vec::new),
        }
    }

    pub(crate) fn is_shared(&self) -> bool {
        self.ownership == Ownership::Shared
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.schedule.now()
    }

    pub(crate) fn log(&mut self, line: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            let at = self.schedule.now().since(START).as_millis();
            trace.push(format!("{at:>9} ms  {}", line()));
        }
    }

    /// Lets time pass for the buckets and all invocations.
    pub(crate) fn pass(&mut self, duration: Duration) {
        let before = self.now().millis() / 1_000;
        self.schedule.advance(duration);
        let seconds = self.now().millis() / 1_000 - before;
        self.source.pass_seconds(seconds);
        self.destination.pass_seconds(seconds);
    }

    /// Records what both buckets hold of a key, after a write.
    pub(crate) fn record(&mut self, key: &ObjectKey) {
        let history = self.history.entry(key.clone()).or_default();
        history.record(key.as_str(), &self.source, &self.destination);
    }

    pub(crate) fn moment(&self, key: &ObjectKey) -> Moment {
        self.history[key].now()
    }

    /// Lists an object of the source that the destination lacks.
    pub(crate) fn listed(&self, key: &ObjectKey) -> Option<ListedSource> {
        let facts = self.source.facts(key.as_str())?;
        let is_missing = self.destination.facts(key.as_str()).is_none();
        is_missing.then(|| ListedSource {
            row: ListedObject {
                key: key.clone(),
                size_bytes: facts.size_bytes,
                etag: Some(facts.etag.clone()),
                last_modified: facts.last_modified,
                storage_class: StorageClassName::new(&facts.storage_class),
            },
            state: ObjectState::Present(Box::new(facts)),
        })
    }

    /// Makes an invocation; without a queue it sends no continuations. `listed` is what a sync found in its listings.
    pub(crate) fn invocation(
        &self,
        id: u32,
        hints: Vec<KeyHint>,
        listed: Option<ListedSource>,
        duration: Duration,
        with_queue: bool,
    ) -> SimulatedInvocation<Vec<RecordResult>> {
        let scheduler = SchedulerHandle::new(&self.schedule, id);
        let mut memory = Memory::default();
        if let Some(listed) = &listed {
            scheduler.listed(&listed.row.key, listed.state.clone());
            memory.listed(&listed.row.key, listed.state.clone());
        }
        let ahead = match listed {
            Some(_) => WRONG_CLOCK,
            None => Duration::from_millis(if self.is_shared() { u64::from(id) } else { 0 }),
        };
        let memory = Arc::new(Mutex::new(memory));
        let mutant_port = MutantPort {
            port: (),
            mutant: self.mutant,
            aborted: Arc::clone(&self.aborted),
            memory,
        };
        let destination = MemoryDestination {
            source: self.source.clone(),
            bucket: self.destination.clone(),
        };
        let batch = BatchReconciler {
            source_bucket: route().source,
            reconciler: Reconciler {
                source: ScheduledPort::new(mutant_port.of(self.source.clone()), &scheduler),
                destination: ScheduledPort::new(mutant_port.of(destination), &scheduler),
                uploads: self.journal.clone().map(|journal| UploadSupport {
                    journal: ScheduledPort::new(mutant_port.of(journal), &scheduler),
                    route: route(),
                }),
                concurrent_parts: 2,
                clock: SkewedClock {
                    clock: VirtualClock(self.schedule.clone()),
                    ahead,
                },
                policy: Policy {
                    ownership: self.ownership,
                    propagate_deletes: self.deletes,
                    multipart_threshold_bytes: PART_BYTES,
                    part_size_bytes: PART_BYTES,
                    ..Policy::default()
                },
            },
            continuations: with_queue.then(|| ScheduledQueue::new(&scheduler, &self.sent)),
            concurrency: 2,
        };
        let deadline = self.now().plus(duration);
        SimulatedInvocation::new(async move {
            let Some(listed) = listed else {
                return batch.reconcile_hints(&hints, deadline).await;
            };
            let (nothing_more, deadline) = (AttributeSet::new(), deadline.plus(ahead));
            let work = batch.reconciler.reconcile_listed(&listed.row, &nothing_more, deadline);
            let report = AssertUnwindSafe(work).catch_unwind().await;
            let report = report.unwrap_or_else(|_| ReconcileReport::not_begun());
            // As a sync does, which reads a key again whose reconcile did not end.
            let is_done = !matches!(report.outcome, Outcome::Deferred(_) | Outcome::Failed(_));
            vec![RecordResult {
                acknowledged: is_done && !report.outcome_unknown,
                report,
                superseded: false,
                first_of_key: true,
                lag: None,
            }]
        })
    }

    /// Decides the fate of a request. A write that takes effect must replace and copy what its invocation read.
    pub(crate) fn land(&mut self, request: &ScheduledRequest, fate: RequestFate) -> Result<(), Violation> {
        let about = &request.about;
        let (id, key) = (about.invocation, &about.key);
        self.log(|| format!("#{id} {:?} {key}: {fate:?}", about.operation));
        let could_not_abort = about.operation == PortOperation::AbortUpload && fate != RequestFate::Answered;
        if about.operation == PortOperation::SourceRead {
            self.last_reads.insert(id, self.moment(key));
        }
        if fate == RequestFate::Panics || could_not_abort {
            self.interrupted.insert(id);
        }
        let takes_effect = about.operation.has_effect() && fate.takes_effect();
        let versions = (takes_effect && self.is_shared()).then(|| self.destination.history(key.as_str()));
        let writes = takes_effect && makes_object(about.operation);
        let before = writes.then(|| self.destination_state(key));
        self.schedule.resolve(request.id, fate);
        for upload in self.destination.uploads() {
            self.uploads.entry(upload).or_insert_with(|| (id, key.clone()));
        }
        if let Some(versions) = versions {
            self.check_versions_kept(about, &versions)?;
        }
        let Some(before) = before else { return Ok(()) };
        let after = self.destination_state(key);
        if before != after || about.operation == PortOperation::UpdateAttributes {
            self.record(key);
        }
        if before == after {
            return Ok(());
        }
        let seen = content_of(about.seen.destination.as_ref());
        if content_of(Some(&before)) != seen {
            return Err(format!(
                "unconditional: #{id} replaced {before:?} of {key} and had read {seen:?}"
            ));
        }
        let source = content_of(about.seen.source.as_ref());
        let copies = matches!(about.operation, PortOperation::Copy | PortOperation::CompleteUpload);
        if copies && content_of(Some(&after)) != source {
            return Err(format!(
                "not pinned: #{id} wrote {after:?} of {key} and had read {source:?}"
            ));
        }
        Ok(())
    }

    /// Returns what the destination holds, even while reads answer 404.
    fn destination_state(&self, key: &ObjectKey) -> ObjectState {
        let Some(facts) = self.destination.facts(key.as_str()) else {
            return ObjectState::ConfirmedAbsent;
        };
        ObjectState::Present(Box::new(ObjectFacts {
            tags: None,
            annotations: None,
            acl: None,
            ..facts
        }))
    }

    /// Returns the continuations that arrived in the queue since the last call, and when they become visible.
    pub(crate) fn take_continuations(&mut self) -> Vec<(KeyHint, Timestamp)> {
        let sent = self.sent.lock().unwrap();
        let new = &sent[self.taken..];
        self.taken = sent.len();
        let received = |sent: &SentContinuation| {
            let continuation = sent.continuation.clone();
            let key = ObjectKey::from_raw(continuation.key).unwrap();
            let hint = hint(&key, "continuation", continuation.attributes);
            let hops = continuation.hops;
            (KeyHint { hops, ..hint }, sent.arrives)
        };
        new.iter().map(received).collect()
    }

    /// Records that an invocation did not end by itself.
    pub(crate) fn interrupt(&mut self, invocation: u32) {
        self.interrupted.insert(invocation);
    }

    /// Checks what an acknowledged key rests on.
    pub(crate) fn check_acknowledged(&self, id: u32, key: &ObjectKey, began: Moment) -> Result<(), Violation> {
        let sent = self.sent.lock().unwrap();
        let of_key = |sent: &&SentContinuation| sent.invocation == id && sent.continuation.key == key.as_str();
        let last_check = sent.iter().filter(of_key).map(|sent| sent.arrives).max();
        if !self.is_shared() && last_check.is_none() {
            self.check_durable(id, key, began)?;
        }
        self.check_own_requests(id, key, last_check)
    }

    /// Checks that no write of the invocation is in flight, unless a continuation checks the key after it.
    fn check_own_requests(&self, id: u32, key: &ObjectKey, last_check: Option<Timestamp>) -> Result<(), Violation> {
        let requests = self.schedule.requests();
        let writes = |request: &&ScheduledRequest| {
            let about = &request.about;
            about.invocation == id && about.key == *key && makes_object(about.operation)
        };
        let ends = requests.iter().filter(writes).map(end_of_life);
        match ends.max() {
            Some(end) if last_check.is_none_or(|check| check < end) => Err(format!(
                "#{id} acknowledged {key} while a write of its own is in flight"
            )),
            _ => Ok(()),
        }
    }

    /// Checks both buckets once nothing is in flight.
    pub(crate) fn check_at_rest<'k>(&self, keys: impl IntoIterator<Item = &'k ObjectKey>) -> Result<(), Violation> {
        let (source, destination) = (self.source.snapshot(), self.destination.snapshot());
        for key in keys {
            let sides = (source.get(key.as_str()), destination.get(key.as_str()));
            if self.is_shared() {
                self.check_newer_writes_kept(key)?;
                self.check_converged(key, sides)?;
            } else {
                self.check_equal(key, sides)?;
            }
            self.check_tidy(key)?;
        }
        Ok(())
    }

    /// Checks that multipart copies left no journal entry and no upload. Without a journal, uploads of interrupted
    /// invocations may stay: the bucket's lifecycle aborts them.
    fn check_tidy(&self, key: &ObjectKey) -> Result<(), Violation> {
        if self
            .journal
            .as_ref()
            .is_some_and(|journal| journal.entry(key).is_some())
        {
            return Err(format!("an entry of {key} is left behind in the journal"));
        }
        for upload in self.destination.uploads() {
            let (invocation, of) = &self.uploads[&upload];
            let may_stay = self.journal.is_none() && self.interrupted.contains(invocation);
            if of == key && !may_stay {
                return Err(format!("#{invocation} left upload {upload:?} behind"));
            }
        }
        Ok(())
    }
}

/// Returns when a request is no longer in flight at the latest.
pub(crate) fn end_of_life(request: &ScheduledRequest) -> Timestamp {
    request.about.sent.plus(REQUEST_LIFETIME)
}

/// Returns whether an operation changes what the destination holds of a key.
fn makes_object(operation: PortOperation) -> bool {
    matches!(
        operation,
        PortOperation::Copy | PortOperation::Delete | PortOperation::UpdateAttributes | PortOperation::CompleteUpload
    )
}

/// Returns what the `ETag` of a bucket in memory says of the content, for any part layout.
fn content_of(state: Option<&ObjectState>) -> Option<String> {
    let etag = state?.facts()?.etag.as_str();
    let content = etag.rsplit_once('-').map_or(etag, |(content, _)| content);
    Some(content.to_owned())
}
