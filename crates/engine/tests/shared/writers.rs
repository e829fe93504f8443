//! The applications that write to the source and to the destination.

use std::collections::BTreeMap;
use std::time::Duration;

use s3ferry_core::facts::{Attribute, AttributeSet, ObjectFacts};
use s3ferry_core::names::ObjectKey;
use s3ferry_testkit::memory::MemoryBucket;
use s3ferry_testkit::schedule::SeededChoices;

use super::run::{Run, tags};
use super::world::{Author, PART_BYTES, Touched};

/// Few contents, so that a key often returns to what it was.
const CONTENTS: [&str; 2] = ["one", "two"];

/// Those of large objects: no tag is that of a small one.
const LARGE_CONTENTS: [&str; 2] = ["much", "more"];

/// The parts of an object of two and a half parts that was uploaded in two.
const TWO_PARTS: &[u64] = &[PART_BYTES + PART_BYTES / 2, PART_BYTES];

/// An object to write.
#[derive(Debug, Clone)]
struct Object {
    content: &'static str,
    owner: &'static str,
    stage: Option<&'static str>,
    /// Whether it is copied in parts, and the parts it was uploaded in.
    large: Option<&'static [u64]>,
}

impl Object {
    fn of(chance: &mut SeededChoices) -> Self {
        let is_large = chance.once_in(6);
        Self {
            content: chance.of(if is_large { &LARGE_CONTENTS } else { &CONTENTS }),
            owner: chance.of(&["team a", "team b"]),
            stage: chance.of(&[None, None, None, Some("test")]),
            large: is_large.then(|| chance.of(&[&[] as &[u64], TWO_PARTS])),
        }
    }

    fn put(&self, bucket: &MemoryBucket, key: &ObjectKey) {
        let change = |facts: &mut ObjectFacts| {
            facts.user_metadata = BTreeMap::from([("owner".to_owned(), self.owner.to_owned())]);
            facts.tags = Some(
                self.stage
                    .map(|stage| ("stage".to_owned(), stage.to_owned()))
                    .into_iter()
                    .collect(),
            );
        };
        match self.large {
            None => bucket.put_with(key.as_str(), self.content, change),
            Some(layout) => bucket.put_large_with(key.as_str(), self.content, PART_BYTES * 5 / 2, layout, change),
        }
    }
}

impl Run {
    /// Makes both buckets what they were before anybody looked.
    pub(super) fn set_up(&mut self) {
        for key in self.keys.clone() {
            if self.source_versioned && self.chance.once_in(5) {
                self.replicate_back(&key);
                if self.chance.once_in(3) {
                    continue;
                }
            } else if self.chance.once_in(3) {
                self.put_at_destination(&key);
                self.world.pass(Duration::from_secs(self.chance.of(&[0, 1])));
            }
            self.put_at_source(&key);
        }
    }

    pub(super) fn write_source(&mut self, key: &ObjectKey) {
        let exists = self.world.source.content(key.as_str()).is_some();
        match self.chance.below(8) {
            0 | 1 if exists => {
                self.world.log(|| format!("source: delete {key}"));
                self.world.source.delete(key.as_str());
                self.event(key, "ObjectRemoved:Delete", AttributeSet::new());
            }
            2 if exists => {
                self.world.log(|| format!("source: remove all versions of {key}"));
                self.world.source.purge(key.as_str());
                self.event(key, "ObjectRemoved:Delete", AttributeSet::new());
            }
            3 if exists => {
                self.world.log(|| format!("source: tag {key}"));
                self.world.source.tag(key.as_str(), &[("stage", "live")]);
                self.event(key, "ObjectTagging:Put", tags());
            }
            5 if self.source_versioned => self.restore_at_source(key),
            // One request copies whatever annotations there are: a marker cannot state them.
            4 if exists && self.is_idle() => {
                self.world.log(|| format!("source: annotate {key}"));
                let note = self.chance.of(&["one", "other"]);
                self.world.source.annotate(key.as_str(), &[("note", note)]);
                self.event(
                    key,
                    "ObjectAnnotation:Put",
                    AttributeSet::from([Attribute::Annotations]),
                );
            }
            _ => self.put_at_source(key),
        }
    }

    /// Leaves what the reverse direction makes of an application's write at the destination.
    fn replicate_back(&mut self, key: &ObjectKey) {
        let object = Object {
            large: None,
            ..Object::of(&mut self.chance)
        };
        self.world.log(|| format!("destination: put {key}: {object:?}"));
        self.world
            .written_by(Author::Application, key, |bucket| object.put(bucket, key));
        self.world.pass(Duration::from_secs(1));
        self.world.replicate_back(key, object.content);
        self.event(key, "ObjectCreated:Copy", AttributeSet::new());
        self.world.pass(Duration::from_secs(self.chance.of(&[0, 1])));
    }

    /// Writes an old object of the source again as it was, marker and all.
    fn restore_at_source(&mut self, key: &ObjectKey) {
        let history = self.world.source.history(key.as_str());
        let objects: Vec<_> = history.iter().filter(|stamp| !stamp.is_delete_marker()).collect();
        if objects.is_empty() {
            return self.put_at_source(key);
        }
        let version = self.chance.of(&objects).version.clone();
        self.world.log(|| format!("source: write {version} of {key} again"));
        self.world.source.rewrite(key.as_str(), &version);
        self.event(key, "ObjectCreated:Copy", AttributeSet::new());
    }

    fn put_at_source(&mut self, key: &ObjectKey) {
        if !self.source_versioned {
            // Without versions, equal bytes written twice in one second are one object to whoever looks at it.
            self.world.pass(Duration::from_secs(1));
        }
        let object = Object::of(&mut self.chance);
        self.world.log(|| format!("source: put {key}: {object:?}"));
        object.put(&self.world.source, key);
        self.event(key, "ObjectCreated:Put", AttributeSet::new());
    }

    pub(super) fn write_destination(&mut self, key: &ObjectKey) {
        let history = self.world.destination.history(key.as_str());
        let current = history.first().filter(|stamp| !stamp.is_delete_marker());
        let objects: Vec<_> = history.iter().filter(|stamp| !stamp.is_delete_marker()).collect();
        match (self.chance.below(12), current) {
            (0 | 1, Some(current)) => {
                let author = if self.world.is_announced(key, current) {
                    Author::Doubtful
                } else {
                    Author::Application
                };
                self.world.log(|| format!("destination: delete {key} ({author:?})"));
                self.world.written_by(author, key, |bucket| bucket.delete(key.as_str()));
            }
            (2, Some(_)) => self.edit(key),
            (3, _) if !objects.is_empty() => {
                let version = self.chance.of(&objects).version.clone();
                self.world
                    .log(|| format!("destination: write {version} of {key} again"));
                self.world.written_by(Author::Application, key, |bucket| {
                    bucket.rewrite(key.as_str(), &version);
                });
            }
            (4 | 5, Some(current)) => {
                let current = current.version.clone();
                self.world.touch(key, &current, Touched::Tags, self.is_idle());
            }
            (6, Some(current)) => {
                let current = current.version.clone();
                self.world.touch(key, &current, Touched::Annotations, self.is_idle());
            }
            (7 | 8, _) => {
                self.world.log(|| format!("destination: begin an upload of {key}"));
                self.begun.push((key.clone(), self.world.destination.begin_put()));
            }
            _ => self.put_at_destination(key),
        }
    }

    /// Lets an upload of an application land; whatever comes next finds what hides it.
    pub(super) fn finish_upload(&mut self) {
        let (key, begun) = self.begun.swap_remove(0);
        let content = self.chance.of(&CONTENTS);
        self.world
            .log(|| format!("destination: finish the upload of {key}: {content}"));
        self.world.written_by(Author::Application, &key, |bucket| {
            bucket.finish_put(key.as_str(), &begun, content, |_| ());
        });
        self.event(&key, "ObjectCreated:Put", AttributeSet::new());
    }

    fn put_at_destination(&mut self, key: &ObjectKey) {
        let object = Object::of(&mut self.chance);
        self.world.log(|| format!("destination: put {key}: {object:?}"));
        self.world
            .written_by(Author::Application, key, |bucket| object.put(bucket, key));
    }

    /// Changes an object and keeps the metadata that it came with.
    fn edit(&mut self, key: &ObjectKey) {
        let Some(facts) = self.world.destination.facts(key.as_str()) else {
            return;
        };
        let content = self.chance.of(&["two", "three"]);
        self.world.log(|| format!("destination: edit {key}: {content}"));
        self.world.written_by(Author::Application, key, |bucket| {
            bucket.put_with(key.as_str(), content, |edited| {
                edited.user_metadata = facts.user_metadata.clone();
                edited.headers.content_language = Some("de".to_owned());
            });
        });
    }
}
