//! Two buckets and the invocations between them, with what must hold whenever a write lands.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use s3ferry_core::event::KeyHint;
use s3ferry_core::facts::{ObjectFacts, ObjectState};
use s3ferry_core::names::ObjectKey;
use s3ferry_core::policy::Policy;
use s3ferry_core::time::Timestamp;
use s3ferry_core::upload::UploadId;
use s3ferry_engine::batch::{BatchReconciler, RecordResult};
use s3ferry_engine::reconcile::{Reconciler, UploadSupport};
use s3ferry_testkit::journal::{MemoryJournal, route};
use s3ferry_testkit::memory::{MemoryBucket, MemoryDestination};
use s3ferry_testkit::schedule::{
    PortOperation, RequestFate, Schedule, ScheduledPort, ScheduledQueue, ScheduledRequest, SchedulerHandle,
    SentContinuation, SimulatedInvocation, VirtualClock,
};

use super::history::{History, Moment, difference};
use super::message::source_bucket;
use super::mutants::{Destination, Journal, Mutant, Remembering, Written};
use super::writer::PART_BYTES;

const START: Timestamp = Timestamp::from_seconds(1_000_000);

/// For how long a request may stay on its way: shorter than the delay of a continuation after an unknown outcome.
pub(crate) const REQUEST_LIFETIME: Duration = Duration::from_millis(10 * 60 * 1_000 - 1);

/// Says what went wrong.
pub(crate) type Violation = String;

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) schedule: Schedule,
    pub(crate) source: MemoryBucket,
    pub(crate) destination: MemoryBucket,
    pub(crate) sent: Arc<Mutex<Vec<SentContinuation>>>,
    pub(crate) mutant: Mutant,
    pub(crate) deletes: bool,
    pub(crate) journal: Option<MemoryJournal>,
    aborted: Arc<Mutex<BTreeSet<UploadId>>>,
    /// Who began each upload, and of which key.
    begun: BTreeMap<UploadId, (u32, ObjectKey)>,
    /// Invocations that were interrupted, or could not abort: without a journal what they had begun may be left.
    excused: BTreeSet<u32>,
    history: BTreeMap<ObjectKey, History>,
    /// What happened, where somebody wants to read it.
    pub(crate) trace: Option<Vec<String>>,
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

impl World {
    pub(crate) fn new(source_versioned: bool, destination_versioned: bool, mutant: Mutant) -> Self {
        Self {
            schedule: Schedule::starting_at(START),
            source: bucket(source_versioned),
            destination: bucket(destination_versioned),
            sent: Arc::default(),
            mutant,
            deletes: true,
            journal: Some(MemoryJournal::default()),
            aborted: Arc::default(),
            begun: BTreeMap::new(),
            excused: BTreeSet::new(),
            history: BTreeMap::new(),
            trace: None,
        }
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

    /// Lets time pass for everybody.
    pub(crate) fn pass(&mut self, duration: Duration) {
        let before = self.now().millis() / 1_000;
        self.schedule.advance(duration);
        let seconds = self.now().millis() / 1_000 - before;
        self.source.pass_seconds(seconds);
        self.destination.pass_seconds(seconds);
    }

    /// Writes down what both sides hold of a key, after something was written.
    pub(crate) fn note(&mut self, key: &ObjectKey) {
        let history = self.history.entry(key.clone()).or_default();
        history.note(key.as_str(), &self.source, &self.destination);
    }

    pub(crate) fn moment(&self, key: &ObjectKey) -> Moment {
        self.history[key].now()
    }

    pub(crate) fn invocation(
        &self,
        id: u32,
        hints: Vec<KeyHint>,
        deadline: Duration,
        with_queue: bool,
    ) -> SimulatedInvocation<Vec<RecordResult>> {
        let line = SchedulerHandle::new(&self.schedule, id);
        let written = Written::default();
        let destination = Destination {
            port: MemoryDestination {
                source: self.source.clone(),
                bucket: self.destination.clone(),
            },
            mutant: self.mutant,
            aborted: Arc::clone(&self.aborted),
        };
        let batch = BatchReconciler {
            source_bucket: source_bucket(),
            reconciler: Reconciler {
                source: Remembering::new(self.source.clone(), &line, self.mutant, &written),
                destination: Remembering::new(destination, &line, self.mutant, &written),
                uploads: self.journal.clone().map(|port| {
                    let port = Journal {
                        port,
                        mutant: self.mutant,
                    };
                    UploadSupport {
                        journal: ScheduledPort {
                            port,
                            line: line.clone(),
                        },
                        route: route(),
                    }
                }),
                concurrent_parts: 2,
                clock: VirtualClock(self.schedule.clone()),
                policy: Policy {
                    propagate_deletes: self.deletes,
                    multipart_threshold_bytes: PART_BYTES,
                    part_size_bytes: PART_BYTES,
                    ..Policy::default()
                },
            },
            continuations: with_queue.then(|| ScheduledQueue::new(&line, &self.sent)),
            concurrency: 2,
        };
        let deadline = self.now().plus(deadline);
        SimulatedInvocation::new(async move { batch.reconcile_hints(&hints, deadline).await })
    }

    /// Lets a request have its fate; a write that lands must replace what its invocation read, by what it read.
    pub(crate) fn land(&mut self, request: &ScheduledRequest, landing: RequestFate) -> Result<(), Violation> {
        let about = &request.about;
        self.log(|| format!("#{} {:?} {}: {landing:?}", about.invocation, about.operation, about.key));
        let could_not_abort = about.operation == PortOperation::AbortUpload && landing != RequestFate::Answered;
        if landing == RequestFate::Panics || could_not_abort {
            self.excused.insert(about.invocation);
        }
        let writes = makes_object(about.operation) && landing.takes_effect();
        let before = writes.then(|| self.destination_state(&about.key));
        self.schedule.resolve(request.id, landing);
        for id in self.destination.uploads() {
            let by = || (about.invocation, about.key.clone());
            self.begun.entry(id).or_insert_with(by);
        }
        let Some(before) = before else { return Ok(()) };
        let after = self.destination_state(&about.key);
        if before == after {
            if about.operation == PortOperation::UpdateAttributes {
                self.note(&about.key);
            }
            return Ok(());
        }
        self.note(&about.key);
        let key = &about.key;
        let seen = content_of(about.seen.destination.as_ref());
        if content_of(Some(&before)) != seen {
            return Err(format!(
                "unconditional: #{} replaced {before:?} of {key} and had read {seen:?}",
                about.invocation
            ));
        }
        let source = content_of(about.seen.source.as_ref());
        let copies = matches!(about.operation, PortOperation::Copy | PortOperation::CompleteUpload);
        if copies && content_of(Some(&after)) != source {
            return Err(format!(
                "not pinned: #{} wrote {after:?} of {key} and had read {source:?}",
                about.invocation
            ));
        }
        Ok(())
    }

    /// Takes note that an invocation did not end by itself.
    pub(crate) fn interrupted(&mut self, invocation: u32) {
        self.excused.insert(invocation);
    }

    /// Checks that nothing is left of copies in parts of these keys: no journal entry and no upload, but for those that an
    /// excused invocation without a journal left, which the bucket's lifecycle drops.
    pub(crate) fn check_tidy<'k>(&self, keys: impl IntoIterator<Item = &'k ObjectKey>) -> Result<(), Violation> {
        let journaled = self.journal.as_ref().map(MemoryJournal::keys).unwrap_or_default();
        let uploads = self.destination.uploads();
        for key in keys {
            if journaled.contains(key) {
                return Err(format!("the journal still has an entry of {key}"));
            }
            for id in &uploads {
                let (invocation, of) = &self.begun[id];
                let is_excused = self.journal.is_none() && self.excused.contains(invocation);
                if of == key && !is_excused {
                    return Err(format!("#{invocation} left upload {id:?} behind"));
                }
            }
        }
        Ok(())
    }

    /// Returns what the destination holds, also where reads do not show it.
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

    /// Checks that what is acknowledged is durable: the key was equal while the invocation ran, and no write of the
    /// invocation's own may still land without a continuation that looks at the key afterwards.
    pub(crate) fn check_durable(&self, invocation: u32, key: &ObjectKey, began: Moment) -> Result<(), Violation> {
        let sent = self.sent.lock().unwrap();
        let last_check = sent
            .iter()
            .filter(|sent| sent.invocation == invocation && sent.continuation.key == key.as_str())
            .map(|sent| sent.arrives)
            .max();
        let history = &self.history[key];
        let stays = !self.deletes && history.source_was_empty_since(began);
        if last_check.is_none() && !stays && !history.agreed_since(began) {
            return Err(format!(
                "#{invocation} acknowledged {key}, which was never equal meanwhile"
            ));
        }
        Ok(())
    }

    /// Nothing is acknowledged while a write of the invocation's own may still land, unless a continuation looks at the
    /// key after it.
    pub(crate) fn check_own_requests(&self, id: u32, key: &ObjectKey) -> Result<(), Violation> {
        let sent = self.sent.lock().unwrap();
        let looks = sent
            .iter()
            .filter(|sent| sent.invocation == id && sent.continuation.key == key.as_str());
        let last_check = looks.map(|sent| sent.arrives).max();
        let requests = self.schedule.requests();
        let writes = |request: &&ScheduledRequest| {
            let about = &request.about;
            about.invocation == id && about.key == *key && makes_object(about.operation)
        };
        let last_landing = requests
            .iter()
            .filter(writes)
            .map(|request| request.about.sent.plus(REQUEST_LIFETIME))
            .max();
        match last_landing {
            Some(landing) if last_check.is_none_or(|look| look < landing) => Err(format!(
                "#{id} acknowledged {key} while a write of its own may still land"
            )),
            _ => Ok(()),
        }
    }

    /// Finds the first of some keys that differs.
    pub(crate) fn check_equal<'k>(&self, keys: impl IntoIterator<Item = &'k ObjectKey>) -> Result<(), Violation> {
        let (source, destination) = (self.source.snapshot(), self.destination.snapshot());
        let mut differences = keys
            .into_iter()
            .filter_map(|key| difference(key.as_str(), &source, &destination, self.deletes));
        differences.next().map_or(Ok(()), Err)
    }
}

/// Tells whether an operation changes what the destination holds of a key.
fn makes_object(operation: PortOperation) -> bool {
    matches!(
        operation,
        PortOperation::Copy | PortOperation::Delete | PortOperation::UpdateAttributes | PortOperation::CompleteUpload
    )
}

/// Returns what the `ETag` of a store in memory says of the content, whatever parts it was copied in.
fn content_of(state: Option<&ObjectState>) -> Option<String> {
    let etag = state?.facts()?.etag.as_str();
    let content = etag.rsplit_once('-').map_or(etag, |(content, _)| content);
    Some(content.to_owned())
}
