//! The applications that write the source.

use std::collections::BTreeMap;
use std::time::Duration;

use s3ferry_core::decide::ReplicationCoverage;
use s3ferry_core::facts::{AttributeSet, ObjectFacts, ReplicationStatus};
use s3ferry_core::names::ObjectKey;
use s3ferry_testkit::memory::MemoryBucket;
use s3ferry_testkit::schedule::SeededChoices;

use super::message::{annotations, tags};
use super::run::Run;

/// The size of a part, and the size above which an object is copied in parts.
pub(crate) const PART_BYTES: u64 = 5 << 20;

/// Few contents, so that a key often returns to what it was.
const CONTENTS: [&str; 3] = ["one", "two", "three"];

/// An object to write.
#[derive(Debug, Clone)]
struct Written {
    content: &'static str,
    owner: Option<&'static str>,
    stage: Option<&'static str>,
    note: Option<&'static str>,
    replicates: bool,
    /// Whether it is copied in parts, and the parts it was uploaded in.
    large: Option<&'static [u64]>,
}

/// The parts of an object of two and a half parts that was uploaded in two.
const TWO_PARTS: &[u64] = &[PART_BYTES + PART_BYTES / 2, PART_BYTES];

impl Written {
    fn of(chance: &mut SeededChoices) -> Self {
        Self {
            content: chance.of(&CONTENTS),
            owner: chance.of(&[None, None, Some("team a"), Some("team b")]),
            stage: chance.of(&[None, None, Some("test"), Some("live")]),
            note: chance.of(&[None, None, None, Some("draft"), Some("final")]),
            replicates: chance.once_in(16),
            large: if chance.once_in(3) {
                chance.of(&[Some(&[]), Some(TWO_PARTS)])
            } else {
                None
            },
        }
    }

    fn put(&self, bucket: &MemoryBucket, key: &ObjectKey) {
        let map = |name: &str, value: Option<&str>| -> BTreeMap<String, String> {
            value
                .map(|value| (name.to_owned(), value.to_owned()))
                .into_iter()
                .collect()
        };
        let change = |facts: &mut ObjectFacts| {
            facts.user_metadata = map("owner", self.owner);
            facts.tags = Some(map("stage", self.stage));
            facts.annotations = Some(map("note", self.note));
            facts.replication_status = self.replicates.then_some(ReplicationStatus::Pending);
        };
        match self.large {
            None => bucket.put_with(key.as_str(), self.content, change),
            Some(layout) => {
                let size_bytes = PART_BYTES * 5 / 2;
                bucket.put_large_with(key.as_str(), self.content, size_bytes, layout, change);
            }
        }
    }
}

impl Run {
    /// Makes both buckets what they were before anybody looked.
    pub(super) fn set_up(&mut self) {
        if self.chance.once_in(2) {
            self.world.source.set_replication(ReplicationCoverage::Covered);
        }
        for key in self.keys.clone() {
            if self.chance.once_in(2) {
                Written::of(&mut self.chance).put(&self.world.destination, &key);
            }
            self.put(&key);
        }
    }

    /// Writes the source once.
    pub(super) fn write(&mut self, key: &ObjectKey) {
        let exists = self.world.source.content(key.as_str()).is_some();
        match self.chance.below(9) {
            0 | 1 => {
                self.world.log(|| format!("source: delete {key}"));
                self.world.source.delete(key.as_str());
                self.event(key, "ObjectRemoved:Delete", AttributeSet::new());
            }
            2 => {
                self.world.log(|| format!("source: remove all versions of {key}"));
                self.world.source.purge(key.as_str());
                self.event(key, "ObjectRemoved:Delete", AttributeSet::new());
            }
            3 if exists => {
                let stage = self.chance.of(&["test", "live"]);
                self.world.log(|| format!("source: tag {key} {stage}"));
                self.world.source.tag(key.as_str(), &[("stage", stage)]);
                self.event(key, "ObjectTagging:Put", tags());
            }
            4 if exists => {
                let note = self.chance.of(&["draft", "final"]);
                self.world.log(|| format!("source: annotate {key} {note}"));
                self.world.source.annotate(key.as_str(), &[("note", note)]);
                self.event(key, "ObjectAnnotation:Put", annotations());
            }
            _ => self.put(key),
        }
    }

    fn put(&mut self, key: &ObjectKey) {
        let written = Written::of(&mut self.chance);
        let key_name = key.as_str();
        let has_note = |bucket: &MemoryBucket| {
            let snapshot = bucket.snapshot();
            snapshot.get(key_name).is_some_and(|it| !it.annotations.is_empty())
        };
        let notes = written.note.is_some() || has_note(&self.world.source) || has_note(&self.world.destination);
        // Without versions, equal bytes written twice in one second are one object to whoever looks at it; so are equal
        // bytes with other annotations written in the second of their copy, of which no HEAD says anything.
        if !self.profile.source_versioned || notes {
            self.world.pass(Duration::from_secs(1));
        }
        self.world.log(|| format!("source: put {key}: {written:?}"));
        written.put(&self.world.source, key);
        self.event(key, "ObjectCreated:Put", AttributeSet::new());
    }
}
