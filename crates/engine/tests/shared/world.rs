//! Two buckets that applications write to, and what must hold of them whenever something lands and when all is at rest.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use s3ferry_core::event::Hint;
use s3ferry_core::history::{VersionName, VersionStamp};
use s3ferry_core::marker::{MARKER_NAME, is_newer};
use s3ferry_core::names::{BucketName, ObjectKey};
use s3ferry_core::policy::{Ownership, Policy};
use s3ferry_core::time::Timestamp;
use s3ferry_engine::batch::{Batch, Settled};
use s3ferry_engine::reconcile::{Reconciler, Uploads};
use s3ferry_testkit::journal::{MemoryJournal, route};
use s3ferry_testkit::memory::{MemoryBucket, MemoryDestination, Snapshot};
use s3ferry_testkit::schedule::{
    Invocation, Landing, Line, Operation, Request, Schedule, Scheduled, Sent, SentQueue, VirtualClock,
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
    /// An application, which wrote a copy of ours again as it was.
    Rewriter,
    /// An application, which deleted what we were about to delete: nobody can tell whose delete marker it is.
    Doubtful,
    /// We did, from a source version of that time; a delete marker is of no version.
    Us(Option<Timestamp>),
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) schedule: Schedule,
    pub(crate) source: MemoryBucket,
    pub(crate) destination: MemoryBucket,
    pub(crate) sent: Arc<Mutex<Vec<Sent>>>,
    pub(crate) journal: MemoryJournal,
    pub(crate) mutant: Mutant,
    pub(crate) deletes: bool,
    authors: BTreeMap<(ObjectKey, String), Author>,
    /// Which version was written again, by the version it became.
    originals: BTreeMap<(ObjectKey, String), VersionName>,
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
            originals: BTreeMap::new(),
            trace: None,
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.schedule.now()
    }

    pub(crate) fn tell(&mut self, line: impl FnOnce() -> String) {
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

    pub(crate) fn invocation(&self, id: u32, hints: Vec<Hint>, deadline: Duration) -> Invocation<Vec<Settled>> {
        let line = Line::new(&self.schedule, id);
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
        let batch = Batch {
            source_bucket: source_bucket(),
            reconciler: Reconciler {
                source: Source {
                    port: Scheduled {
                        port: self.source.clone(),
                        line: line.clone(),
                    },
                    mutant: self.mutant,
                    read: Arc::default(),
                },
                destination: Scheduled {
                    port: destination,
                    line: line.clone(),
                },
                uploads: Some(Uploads {
                    journal: Scheduled {
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
            continuations: Some(SentQueue::new(&line, &self.sent)),
            concurrency: 2,
        };
        let deadline = self.now().plus(deadline);
        Invocation::new(async move { batch.settle(&hints, deadline).await })
    }

    /// Lets an application write to the destination.
    pub(crate) fn written_by(&mut self, author: Author, key: &ObjectKey, write: impl FnOnce(&MemoryBucket)) {
        let before = self.names(key);
        write(&self.destination);
        self.sign(key, &before, author);
    }

    /// Lets an application write a version of the destination again as it is, marker and all.
    pub(crate) fn written_again(&mut self, key: &ObjectKey, version: &VersionName) {
        let is_ours = matches!(self.author(key, version), Author::Us(_) | Author::Rewriter);
        let author = if is_ours { Author::Rewriter } else { Author::Application };
        self.written_by(author, key, |bucket| bucket.rewrite(key.as_str(), version));
        let written = self.destination.history(key.as_str()).swap_remove(0).version;
        self.originals
            .insert((key.clone(), written.to_string()), version.clone());
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
    pub(crate) fn is_announced(&self, key: &ObjectKey, stamp: &VersionStamp) -> bool {
        let intents = self.journal.intents(key);
        intents
            .iter()
            .any(|intent| intent.covered == stamp.version || Some(&intent.etag) == stamp.etag())
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
    pub(crate) fn land(&mut self, request: &Request, landing: Landing) -> Result<(), Violation> {
        let about = &request.about;
        self.tell(|| format!("#{} {:?} {}: {landing:?}", about.invocation, about.operation, about.key));
        let key = &about.key;
        let before = self.destination.history(key.as_str());
        let source = about.seen.source.as_ref().and_then(|state| state.facts());
        let written = source.map(|facts| facts.last_modified);
        self.schedule.resolve(request.id, landing);
        let names = before.iter().map(|stamp| stamp.version.to_string()).collect();
        let author = match about.operation {
            Operation::Delete => Author::Us(None),
            _ => Author::Us(written),
        };
        self.sign(key, &names, author);
        self.doubt(key);
        let after = self.names(key);
        let removed = before.iter().find(|stamp| !after.contains(stamp.version.as_str()));
        // What was written again must be there to be known for it.
        let is_known = |version: &VersionName| {
            let original = self.originals.get(&(key.clone(), version.to_string()));
            original.is_some_and(|original| after.contains(original.as_str()))
        };
        let is_lost = |removed: &VersionStamp| match self.author(key, &removed.version) {
            Author::Application => true,
            Author::Rewriter => is_known(&removed.version),
            Author::Doubtful | Author::Us(_) => false,
        };
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
        let mut above: Vec<(VersionStamp, Option<Timestamp>)> = Vec::new();
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
                Author::Application | Author::Rewriter | Author::Doubtful => return Ok(()),
            }
        }
        Ok(())
    }

    /// The destination holds what the source holds, or something of somebody else's that is as new.
    fn check_converged(
        &self,
        key: &ObjectKey,
        source: Option<&Snapshot>,
        destination: Option<&Snapshot>,
    ) -> Result<(), Violation> {
        if source.cloned() == destination.map(unmarked) {
            return Ok(());
        }
        let history = self.destination.history(key.as_str());
        let top = history.first();
        let author = top.map(|stamp| self.author(key, &stamp.version));
        let written = self.source.facts(key.as_str()).map(|facts| facts.last_modified);
        let is_right = match (written, top, author) {
            // No event says that an application brought an older copy of ours back.
            (None, _, Some(Author::Application))
            | (_, _, Some(Author::Rewriter))
            | (Some(_), _, Some(Author::Doubtful)) => true,
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

fn unmarked(snapshot: &Snapshot) -> Snapshot {
    let mut snapshot = snapshot.clone();
    snapshot.user_metadata.remove(MARKER_NAME);
    snapshot
}
