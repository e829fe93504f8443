//! Two buckets that applications write to, and what must hold of them whenever something lands and when all is at rest.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use s3ferry_core::attributes::AttributeDigests;
use s3ferry_core::event::KeyHint;
use s3ferry_core::marker::{MARKER_NAME, Marker, MarkerRequest, ObjectLocation, is_newer};
use s3ferry_core::names::{BucketName, ETag, ObjectKey};
use s3ferry_core::order::CopyMethod;
use s3ferry_core::policy::{Ownership, Policy};
use s3ferry_core::time::Timestamp;
use s3ferry_core::versions::{ListedVersion, VersionName};
use s3ferry_engine::batch::{BatchReconciler, RecordResult};
use s3ferry_engine::reconcile::{Reconciler, UploadSupport};
use s3ferry_testkit::journal::{MemoryJournal, route};
use s3ferry_testkit::memory::{MemoryBucket, MemoryDestination, ObjectSnapshot};
use s3ferry_testkit::schedule::{
    PortOperation, RequestFate, Schedule, ScheduledPort, ScheduledQueue, ScheduledRequest, SchedulerHandle,
    SentContinuation, SimulatedInvocation, VirtualClock,
};

use super::mutants::{Destination, Journal, Mutant, OwnClock, Source};

const START: Timestamp = Timestamp::from_seconds(1_000_000);

/// The size of a part, and the size above which an object is copied in parts.
pub(crate) const PART_BYTES: u64 = 5 << 20;

/// For how long a request may stay on its way: shorter than the delay of a continuation after an unknown outcome.
pub(crate) const REQUEST_LIFETIME: Duration = Duration::from_millis(10 * 60 * 1_000 - 1);

/// Says what went wrong.
pub(crate) type Violation = String;

/// Who wrote a version of the destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Author {
    /// An application.
    Application,
    /// An application, which deleted what we were about to delete: nobody can tell whose delete marker it is.
    Doubtful,
    /// We did, from a source version of that time; a delete marker is of no version.
    Us(Option<Timestamp>),
}

/// What an application changes on a copy of ours without writing it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Touched {
    Tags,
    Annotations,
}

/// A change of an attribute by an application.
#[derive(Debug, Clone)]
struct Touch {
    version: VersionName,
    /// Whether nothing of ours was under way: a copy that is decided before the change may carry what was there before.
    is_certain: bool,
}

/// What applications write into the attributes of copies, and nobody else.
const THEIRS: (&str, &str) = ("stage", "theirs");

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) schedule: Schedule,
    pub(crate) source: MemoryBucket,
    pub(crate) destination: MemoryBucket,
    pub(crate) sent: Arc<Mutex<Vec<SentContinuation>>>,
    pub(crate) journal: MemoryJournal,
    pub(crate) mutant: Mutant,
    pub(crate) deletes: bool,
    authors: BTreeMap<(ObjectKey, String), Author>,
    /// The attributes that applications changed on copies of ours, by key: the last of each kind.
    touches: BTreeMap<(ObjectKey, Touched), Touch>,
    /// The versions of the source that s3ferry copied there in the reverse direction.
    replicas: BTreeSet<(ObjectKey, VersionName)>,
    /// What happened, where somebody wants to read it.
    pub(crate) trace: Option<Vec<String>>,
}

pub(crate) fn source_bucket() -> BucketName {
    BucketName::new("source").unwrap()
}

impl World {
    pub(crate) fn new(source_versioned: bool, mutant: Mutant) -> Self {
        let source = if source_versioned {
            MemoryBucket::versioned()
        } else {
            MemoryBucket::unversioned()
        };
        let destination = MemoryBucket::versioned();
        for bucket in [&source, &destination] {
            bucket.pass_seconds(START.millis() / 1_000);
        }
        Self {
            schedule: Schedule::starting_at(START),
            source,
            destination,
            sent: Arc::default(),
            journal: MemoryJournal::default(),
            mutant,
            deletes: true,
            authors: BTreeMap::new(),
            touches: BTreeMap::new(),
            replicas: BTreeSet::new(),
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

    pub(crate) fn invocation(
        &self,
        id: u32,
        hints: Vec<KeyHint>,
        deadline: Duration,
    ) -> SimulatedInvocation<Vec<RecordResult>> {
        let line = SchedulerHandle::new(&self.schedule, id);
        let destination = Destination {
            port: MemoryDestination {
                source: self.source.clone(),
                bucket: self.destination.clone(),
            },
            mutant: self.mutant,
        };
        let journal = Journal {
            port: self.journal.clone(),
            mutant: self.mutant,
        };
        let batch = BatchReconciler {
            source_bucket: source_bucket(),
            reconciler: Reconciler {
                source: Source {
                    port: ScheduledPort {
                        port: self.source.clone(),
                        line: line.clone(),
                    },
                    mutant: self.mutant,
                    read: Arc::default(),
                },
                destination: ScheduledPort {
                    port: destination,
                    line: line.clone(),
                },
                uploads: Some(UploadSupport {
                    journal: ScheduledPort {
                        port: journal,
                        line: line.clone(),
                    },
                    route: route(),
                }),
                concurrent_parts: 2,
                clock: OwnClock {
                    clock: VirtualClock(self.schedule.clone()),
                    ahead: Duration::from_millis(u64::from(id)),
                },
                policy: Policy {
                    ownership: Ownership::Shared,
                    propagate_deletes: self.deletes,
                    multipart_threshold_bytes: PART_BYTES,
                    part_size_bytes: PART_BYTES,
                    ..Policy::default()
                },
            },
            continuations: Some(ScheduledQueue::new(&line, &self.sent)),
            concurrency: 2,
        };
        let deadline = self.now().plus(deadline);
        SimulatedInvocation::new(async move { batch.reconcile_hints(&hints, deadline).await })
    }

    /// Lets an application write to the destination.
    pub(crate) fn written_by(&mut self, author: Author, key: &ObjectKey, write: impl FnOnce(&MemoryBucket)) {
        let before = self.names(key);
        write(&self.destination);
        self.sign(key, &before, author);
    }

    /// Lets an application change an attribute of the current version.
    pub(crate) fn touch(&mut self, key: &ObjectKey, version: &VersionName, touched: Touched, is_idle: bool) {
        self.log(|| format!("destination: change {touched:?} of {key}, {version}"));
        match touched {
            Touched::Tags => self.destination.tag(key.as_str(), &[THEIRS]),
            Touched::Annotations => self.destination.annotate(key.as_str(), &[THEIRS]),
        }
        let touch = Touch {
            version: version.clone(),
            is_certain: is_idle,
        };
        self.touches.insert((key.clone(), touched), touch);
    }

    /// Writes at the source what s3ferry copies there in the reverse direction: the destination's object with a marker.
    pub(crate) fn replicate_back(&mut self, key: &ObjectKey, content: &str) {
        self.log(|| format!("source: replica of {key}: {content}"));
        let original = self.destination.facts(key.as_str()).unwrap();
        let route = route();
        let request = MarkerRequest {
            source_bucket: &route.destination,
            location: ObjectLocation {
                bucket: &route.source,
                key,
            },
            over: None,
            requested: self.now(),
            decided: self.now(),
            attributes: AttributeDigests::of(&original),
        };
        let (_, marker) = Marker::for_copy(&original, CopyMethod::SingleRequest, false, request).unwrap();
        self.source.put_with(key.as_str(), content, |facts| {
            facts.user_metadata.clone_from(&original.user_metadata);
            facts.user_metadata.insert(MARKER_NAME.to_owned(), marker.to_text());
            facts.tags.clone_from(&original.tags);
        });
        let replica = self.current_at_source(key).unwrap();
        self.replicas.insert((key.clone(), replica));
    }

    fn current_at_source(&self, key: &ObjectKey) -> Option<VersionName> {
        let facts = self.source.facts(key.as_str())?;
        Some(VersionName::of(facts.version_id.as_ref()))
    }

    fn names(&self, key: &ObjectKey) -> BTreeSet<String> {
        let versions = self.destination.history(key.as_str());
        versions.iter().map(|stamp| stamp.version.to_string()).collect()
    }

    fn sign(&mut self, key: &ObjectKey, before: &BTreeSet<String>, author: Author) {
        for name in self.names(key).difference(before) {
            self.authors.insert((key.clone(), name.clone()), author);
        }
    }

    fn author(&self, key: &ObjectKey, version: &VersionName) -> Author {
        self.authors[&(key.clone(), version.to_string())]
    }

    /// Tells whether a delete of ours is announced for a version, or for one with the same tag.
    pub(crate) fn is_announced(&self, key: &ObjectKey, stamp: &ListedVersion) -> bool {
        let intents = self.journal.intents(key);
        let is_upload = stamp.etag().is_some_and(ETag::is_multipart);
        let now = self.now();
        intents.iter().any(|intent| {
            let is_alike = is_upload || Some(&intent.etag) == stamp.etag();
            intent.covered == stamp.version || (is_alike && intent.may_land_at(now))
        })
    }

    /// Takes note of delete markers of applications over what we announced to delete.
    fn doubt(&mut self, key: &ObjectKey) {
        let history = self.destination.history(key.as_str());
        for pair in history.windows(2) {
            let (upper, lower) = (&pair[0], &pair[1]);
            let is_announced = upper.is_delete_marker() && self.is_announced(key, lower);
            let author = self.authors.get_mut(&(key.clone(), upper.version.to_string()));
            if let Some(author) = author.filter(|author| is_announced && **author == Author::Application) {
                *author = Author::Doubtful;
            }
        }
    }

    /// Lets a request have its fate; nothing that an application wrote may be removed by it.
    pub(crate) fn land(&mut self, request: &ScheduledRequest, landing: RequestFate) -> Result<(), Violation> {
        let about = &request.about;
        self.log(|| format!("#{} {:?} {}: {landing:?}", about.invocation, about.operation, about.key));
        let key = &about.key;
        let before = self.destination.history(key.as_str());
        let source = about.seen.source.as_ref().and_then(|state| state.facts());
        let written = source.map(|facts| facts.last_modified);
        self.schedule.resolve(request.id, landing);
        let names = before.iter().map(|stamp| stamp.version.to_string()).collect();
        let author = match about.operation {
            PortOperation::Delete => Author::Us(None),
            _ => Author::Us(written),
        };
        self.sign(key, &names, author);
        self.doubt(key);
        let after = self.names(key);
        let removed = before.iter().find(|stamp| !after.contains(stamp.version.as_str()));
        let is_lost = |removed: &ListedVersion| self.author(key, &removed.version) == Author::Application;
        if let Some(removed) = removed.filter(|removed| is_lost(removed)) {
            return Err(format!(
                "lost: #{} removed {removed:?} of {key}, which an application wrote",
                about.invocation
            ));
        }
        Ok(())
    }

    /// Checks what is left when all is at rest.
    pub(crate) fn check<'k>(&self, keys: impl IntoIterator<Item = &'k ObjectKey>) -> Result<(), Violation> {
        let (source, destination) = (self.source.snapshot(), self.destination.snapshot());
        for key in keys {
            self.check_nothing_lost(key)?;
            let (source, destination) = (source.get(key.as_str()), destination.get(key.as_str()));
            self.check_converged(key, source, destination)?;
        }
        Ok(())
    }

    /// What an application wrote last lies below writes of ours only if one of them is newer.
    fn check_nothing_lost(&self, key: &ObjectKey) -> Result<(), Violation> {
        let mut above: Vec<(ListedVersion, Option<Timestamp>)> = Vec::new();
        for stamp in self.destination.history(key.as_str()) {
            match self.author(key, &stamp.version) {
                Author::Us(written) => above.push((stamp, written)),
                Author::Application if !above.is_empty() => {
                    let is_newer = |written: Option<Timestamp>| {
                        written.is_some_and(|written| is_newer(written, stamp.last_modified))
                    };
                    let is_right = above.iter().any(|(_, written)| is_newer(*written));
                    let is_gone = stamp.is_delete_marker() && above.iter().all(|(above, _)| above.is_delete_marker());
                    return if is_right || is_gone {
                        Ok(())
                    } else {
                        Err(format!("lost: {stamp:?} of {key} lies below {above:?} of ours"))
                    };
                }
                // Whatever lies deeper, applications wanted it so.
                Author::Application | Author::Doubtful => return Ok(()),
            }
        }
        Ok(())
    }

    /// The destination holds what the source holds, or something of somebody else's that is as new.
    fn check_converged(
        &self,
        key: &ObjectKey,
        source: Option<&ObjectSnapshot>,
        destination: Option<&ObjectSnapshot>,
    ) -> Result<(), Violation> {
        let history = self.destination.history(key.as_str());
        if let (Some(_), Some(destination)) = (source, destination.map(unmarked)) {
            self.check_attributes(key, &destination, &history)?;
        }
        if self.is_equal(key, source, destination) {
            return Ok(());
        }
        let replica = self.current_at_source(key).map(|version| (key.clone(), version));
        if !history.is_empty() && replica.is_some_and(|replica| self.replicas.contains(&replica)) {
            return Ok(());
        }
        let top = history.first();
        let author = top.map(|stamp| self.author(key, &stamp.version));
        let written = self.source.facts(key.as_str()).map(|facts| facts.last_modified);
        let is_right = match (written, top, author) {
            // No event says that an application brought an older copy of ours back.
            (None, _, Some(Author::Application)) | (Some(_), _, Some(Author::Doubtful)) => true,
            (None, ..) => !self.deletes || destination.is_none(),
            (Some(written), Some(top), Some(Author::Application)) => !is_newer(written, top.last_modified),
            (Some(_), ..) => false,
        };
        if is_right {
            return Ok(());
        }
        Err(format!(
            "{key}: the source holds {source:?} of {written:?}, the destination {destination:?} by {author:?}"
        ))
    }
}

impl World {
    /// Tells whether both sides are equal but for attributes that an application changed at the destination.
    fn is_equal(&self, key: &ObjectKey, source: Option<&ObjectSnapshot>, destination: Option<&ObjectSnapshot>) -> bool {
        // A replica that an application restored at the source is copied with another marker.
        let (Some(source), Some(destination)) = (source.map(unmarked), destination.map(unmarked)) else {
            return source.is_none() && destination.is_none();
        };
        let is_theirs = |touched| self.touches.contains_key(&(key.clone(), touched));
        let mut expected = source;
        // A conflict over one attribute leaves the others as they are, and is reported; and a copy that brings tags would
        // bring annotations, too, and so waits where an application changed those.
        if is_theirs(Touched::Tags) || is_theirs(Touched::Annotations) {
            expected.tags.clone_from(&destination.tags);
            expected.annotations.clone_from(&destination.annotations);
        }
        expected == destination
    }

    /// Attributes that an application changed on a copy of ours stay, also where the copy is replaced; annotations only
    /// as long as the object is the same.
    fn check_attributes(
        &self,
        key: &ObjectKey,
        destination: &ObjectSnapshot,
        history: &[ListedVersion],
    ) -> Result<(), Violation> {
        let their = [(THEIRS.0.to_owned(), THEIRS.1.to_owned())].into();
        for touched in [Touched::Tags, Touched::Annotations] {
            let touch = self.touches.get(&(key.clone(), touched));
            let Some(touch) = touch.filter(|touch| touch.is_certain) else {
                continue;
            };
            let Some(depth) = history.iter().position(|stamp| stamp.version == touch.version) else {
                continue;
            };
            let replaced = history.iter().take(depth + 1);
            let is_copied = |stamp: &ListedVersion| matches!(self.author(key, &stamp.version), Author::Us(Some(_)));
            if !replaced.into_iter().all(is_copied) {
                continue;
            }
            let is_kept = match touched {
                Touched::Tags => destination.tags == their,
                Touched::Annotations => depth > 0 || destination.annotations == their,
            };
            if !is_kept {
                return Err(format!(
                    "lost: an application's {touched:?} of {key}, {}: {destination:?}",
                    touch.version
                ));
            }
        }
        Ok(())
    }
}

fn unmarked(snapshot: &ObjectSnapshot) -> ObjectSnapshot {
    let mut snapshot = snapshot.clone();
    snapshot.user_metadata.remove(MARKER_NAME);
    snapshot
}
