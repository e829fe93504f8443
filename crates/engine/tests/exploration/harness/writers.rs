//! The applications that write to the source and, with shared ownership, to the destination.

use std::collections::BTreeMap;
use std::time::Duration;

use s3ferry_core::bucket_settings::ReplicationCoverage;
use s3ferry_core::facts::{Attribute, AttributeSet, ObjectFacts, ReplicationStatus};
use s3ferry_core::names::ObjectKey;
use s3ferry_testkit::memory::MemoryBucket;
use s3ferry_testkit::schedule::SeededChoices;

use super::run::Run;
use super::shared::ChangedAttribute;
use super::simulation::PART_BYTES;

/// Few contents, so that a key often returns to what it was.
const CONTENTS: [&str; 3] = ["one", "two", "three"];

/// The contents of large objects with shared ownership: no `ETag` is that of a small one.
const LARGE_CONTENTS: [&str; 2] = ["much", "more"];

/// The parts of an object of two and a half parts that was uploaded in two.
const TWO_PARTS: &[u64] = &[PART_BYTES + PART_BYTES / 2, PART_BYTES];

/// An object to write.
#[derive(Debug, Clone)]
struct NewObject {
    content: &'static str,
    owner: Option<&'static str>,
    stage: Option<&'static str>,
    note: Option<&'static str>,
    replicates: bool,
    /// The parts of an object that is copied multipart; none if it was uploaded in one request.
    large: Option<&'static [u64]>,
}

impl NewObject {
    /// Draws an object for a source that only s3ferry reads.
    fn exclusive(chance: &mut SeededChoices) -> Self {
        Self {
            content: chance.of(&CONTENTS),
            owner: chance.of(&[None, None, Some("team a"), Some("team b")]),
            stage: chance.of(&[None, None, Some("test"), Some("live")]),
            note: chance.of(&[None, None, None, Some("draft"), Some("final")]),
            replicates: chance.once_in(16),
            large: chance.once_in(3).then(|| chance.of(&[&[] as &[u64], TWO_PARTS])),
        }
    }

    /// Draws an object for either bucket.
    fn shared(chance: &mut SeededChoices) -> Self {
        let large = chance.once_in(6).then(|| chance.of(&[&[] as &[u64], TWO_PARTS]));
        let contents = if large.is_some() {
            &LARGE_CONTENTS
        } else {
            &CONTENTS[..2]
        };
        Self {
            content: chance.of(contents),
            owner: chance.of(&[Some("team a"), Some("team b")]),
            stage: chance.of(&[None, None, None, Some("test")]),
            note: None,
            replicates: false,
            large,
        }
    }

    fn put(&self, bucket: &MemoryBucket, key: &ObjectKey) {
        let map = |name: &str, value: Option<&str>| -> BTreeMap<String, String> {
            let entry = value.map(|value| (name.to_owned(), value.to_owned()));
            entry.into_iter().collect()
        };
        let change = |facts: &mut ObjectFacts| {
            facts.user_metadata = map("owner", self.owner);
            facts.tags = Some(map("stage", self.stage));
            facts.annotations = Some(map("note", self.note));
            facts.replication_status = self.replicates.then_some(ReplicationStatus::Pending);
        };
        match self.large {
            None => bucket.put_with(key.as_str(), self.content, change),
            Some(layout) => bucket.put_large_with(key.as_str(), self.content, PART_BYTES * 5 / 2, layout, change),
        }
    }
}

impl Run {
    /// Fills both buckets before the first event is delivered.
    pub(super) fn set_up(&mut self) {
        if !self.simulation.is_shared() && self.chance.once_in(2) {
            self.simulation.source.set_replication(ReplicationCoverage::Covered);
        }
        for key in self.keys.clone() {
            if !self.simulation.is_shared() {
                if self.chance.once_in(2) {
                    NewObject::exclusive(&mut self.chance).put(&self.simulation.destination, &key);
                }
            } else if self.profile.source_versioned && self.chance.once_in(5) {
                self.replicate_back(&key);
                if self.chance.once_in(3) {
                    continue;
                }
            } else if self.chance.once_in(3) {
                self.put_at_destination(&key);
                self.simulation.pass(Duration::from_secs(self.chance.of(&[0, 1])));
            }
            self.put_at_source(&key);
        }
    }

    /// Writes to the source once.
    pub(super) fn write_source(&mut self, key: &ObjectKey) {
        let is_shared = self.simulation.is_shared();
        let exists = self.simulation.source.content(key.as_str()).is_some();
        match self.chance.below(9) {
            0 | 1 if exists || !is_shared => {
                self.simulation.log(|| format!("source: delete {key}"));
                self.simulation.source.delete(key.as_str());
                self.event(key, "ObjectRemoved:Delete", AttributeSet::new());
            }
            2 if exists || !is_shared => {
                self.simulation.log(|| format!("source: remove all versions of {key}"));
                self.simulation.source.purge(key.as_str());
                self.event(key, "ObjectRemoved:Delete", AttributeSet::new());
            }
            3 if exists => {
                let stage = self.chance.of(&["test", "live"]);
                self.simulation.log(|| format!("source: tag {key} {stage}"));
                self.simulation.source.tag(key.as_str(), &[("stage", stage)]);
                self.event(key, "ObjectTagging:Put", AttributeSet::from([Attribute::Tags]));
            }
            // With shared ownership, a single-request copy brings whatever annotations there are: a marker has none.
            4 if exists && (!is_shared || self.is_idle()) => {
                let note = self.chance.of(&["draft", "final"]);
                self.simulation.log(|| format!("source: annotate {key} {note}"));
                self.simulation.source.annotate(key.as_str(), &[("note", note)]);
                let annotations = AttributeSet::from([Attribute::Annotations]);
                self.event(key, "ObjectAnnotation:Put", annotations);
            }
            5 if is_shared && self.profile.source_versioned => self.restore_at_source(key),
            _ => self.put_at_source(key),
        }
    }

    fn put_at_source(&mut self, key: &ObjectKey) {
        let is_shared = self.simulation.is_shared();
        let object = if is_shared {
            NewObject::shared(&mut self.chance)
        } else {
            NewObject::exclusive(&mut self.chance)
        };
        let has_note = |bucket: &MemoryBucket| {
            let snapshot = bucket.snapshot();
            let current = snapshot.get(key.as_str());
            current.is_some_and(|object| !object.annotations.is_empty())
        };
        let notes =
            object.note.is_some() || has_note(&self.simulation.source) || has_note(&self.simulation.destination);
        // Without versions, equal bytes written twice in one second are one object to a reader. So are equal bytes with
        // other annotations, written in the second of their copy: a HEAD does not show annotations.
        if !self.profile.source_versioned || (notes && !is_shared) {
            self.simulation.pass(Duration::from_secs(1));
        }
        self.simulation.log(|| format!("source: put {key}: {object:?}"));
        object.put(&self.simulation.source, key);
        self.event(key, "ObjectCreated:Put", AttributeSet::new());
    }

    /// Writes an old version of the source again as it was, including its marker.
    fn restore_at_source(&mut self, key: &ObjectKey) {
        let history = self.simulation.source.history(key.as_str());
        let objects: Vec<_> = history.iter().filter(|version| !version.is_delete_marker()).collect();
        if objects.is_empty() {
            return self.put_at_source(key);
        }
        let version = self.chance.of(&objects).version.clone();
        self.simulation.log(|| format!("source: restore {version} of {key}"));
        self.simulation.source.rewrite(key.as_str(), &version);
        self.event(key, "ObjectCreated:Copy", AttributeSet::new());
    }

    /// Writes to the destination, and to the source what the reverse direction makes of it.
    fn replicate_back(&mut self, key: &ObjectKey) {
        let object = NewObject {
            large: None,
            ..NewObject::shared(&mut self.chance)
        };
        self.simulation.log(|| format!("destination: put {key}: {object:?}"));
        self.simulation.write_destination(key, |bucket| object.put(bucket, key));
        self.simulation.pass(Duration::from_secs(1));
        self.simulation.replicate_back(key, object.content);
        self.event(key, "ObjectCreated:Copy", AttributeSet::new());
        self.simulation.pass(Duration::from_secs(self.chance.of(&[0, 1])));
    }

    /// Writes to the destination once.
    pub(super) fn write_destination(&mut self, key: &ObjectKey) {
        let history = self.simulation.destination.history(key.as_str());
        let objects: Vec<_> = history.iter().filter(|version| !version.is_delete_marker()).collect();
        let current = history.first().filter(|version| !version.is_delete_marker());
        let current = current.map(|version| version.version.clone());
        match (self.chance.below(12), current) {
            (0 | 1, Some(_)) => self.simulation.delete_at_destination(key),
            (2, Some(_)) => self.edit(key),
            (3, _) if !objects.is_empty() => {
                let version = self.chance.of(&objects).version.clone();
                self.simulation
                    .log(|| format!("destination: restore {version} of {key}"));
                let restore = |bucket: &MemoryBucket| bucket.rewrite(key.as_str(), &version);
                self.simulation.write_destination(key, restore);
            }
            (draw @ 4..=6, Some(current)) => {
                let changed = if draw == 6 {
                    ChangedAttribute::Annotations
                } else {
                    ChangedAttribute::Tags
                };
                let is_idle = self.is_idle();
                self.simulation.change_attribute(key, &current, changed, is_idle);
            }
            (7 | 8, _) => {
                self.simulation
                    .log(|| format!("destination: create an upload of {key}"));
                self.uploads
                    .push((key.clone(), self.simulation.destination.begin_put()));
            }
            _ => self.put_at_destination(key),
        }
    }

    /// Completes an application's upload. Its event lets s3ferry find what the object hides.
    pub(super) fn complete_upload(&mut self) {
        let (key, upload) = self.uploads.swap_remove(0);
        let content = self.chance.of(&CONTENTS[..2]);
        self.simulation
            .log(|| format!("destination: complete the upload of {key}: {content}"));
        self.simulation.write_destination(&key, |bucket| {
            bucket.finish_put(key.as_str(), &upload, content, |_| ());
        });
        self.event(&key, "ObjectCreated:Put", AttributeSet::new());
    }

    fn put_at_destination(&mut self, key: &ObjectKey) {
        let object = NewObject::shared(&mut self.chance);
        self.simulation.log(|| format!("destination: put {key}: {object:?}"));
        self.simulation.write_destination(key, |bucket| object.put(bucket, key));
    }

    /// Changes an object and keeps its metadata, including its marker.
    fn edit(&mut self, key: &ObjectKey) {
        let Some(facts) = self.simulation.destination.facts(key.as_str()) else {
            return;
        };
        let content = self.chance.of(&CONTENTS[1..]);
        self.simulation.log(|| format!("destination: edit {key}: {content}"));
        self.simulation.write_destination(key, |bucket| {
            bucket.put_with(key.as_str(), content, |edited| {
                edited.user_metadata = facts.user_metadata;
                edited.headers.content_language = Some("de".to_owned());
            });
        });
    }
}
