//! Buckets in memory, with versions, delete markers and conditional writes as S3 documents them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use s3ferry_core::decide::{CopyOrder, ReplicationCoverage, SourcePin, WriteCondition};
use s3ferry_core::facts::{
    Aspect, Aspects, Availability, Checksums, Encryption, ObjectFacts, ObjectState, SystemHeaders,
};
use s3ferry_core::failure::Failure;
use s3ferry_core::names::{ETag, ObjectKey, VersionId};
use s3ferry_core::time::Timestamp;
use s3ferry_engine::ports::{Absence, DestinationBucket, SourceBucket, WriteError};

/// A bucket; clones share it.
#[derive(Debug, Clone)]
pub struct MemoryBucket {
    versioned: bool,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    keys: BTreeMap<String, Vec<Version>>,
    next_version: u64,
    clock_seconds: i64,
    replication: Option<ReplicationCoverage>,
}

#[derive(Debug, Clone)]
struct Version {
    id: u64,
    /// `None` is a delete marker.
    object: Option<StoredObject>,
}

/// An object as it is stored.
#[derive(Debug, Clone)]
struct StoredObject {
    facts: ObjectFacts,
    content: String,
    tags: BTreeMap<String, String>,
}

impl MemoryBucket {
    /// Makes a bucket with versioning.
    pub fn versioned() -> Self {
        Self::new(true)
    }

    /// Makes a bucket without versioning.
    pub fn unversioned() -> Self {
        Self::new(false)
    }

    fn new(versioned: bool) -> Self {
        Self {
            versioned,
            inner: Arc::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes an object.
    pub fn put(&self, key: &str, content: &str) {
        self.put_with(key, content, |_| ());
    }

    /// Writes an object whose facts `change` adjusts; tags given there are stored as its tags.
    pub fn put_with(&self, key: &str, content: &str, change: impl FnOnce(&mut ObjectFacts)) {
        let mut inner = self.lock();
        let (id, written) = inner.stamp();
        let mut facts = plain_facts(content);
        change(&mut facts);
        let tags = facts.tags.take().unwrap_or_default();
        facts.version_id = self.version_id(id);
        facts.last_modified = written;
        let object = StoredObject {
            facts,
            content: content.to_owned(),
            tags,
        };
        inner.push(
            self.versioned,
            key,
            Version {
                id,
                object: Some(object),
            },
        );
    }

    /// Replaces the tags of the current object, which makes no version.
    pub fn tag(&self, key: &str, tags: &[(&str, &str)]) {
        let mut inner = self.lock();
        let current = inner.keys.get_mut(key).and_then(|versions| versions.last_mut());
        let object = current
            .and_then(|version| version.object.as_mut())
            .expect("an object to tag");
        object.tags = tags
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
    }

    /// Deletes a key: with versions, by a delete marker.
    pub fn delete(&self, key: &str) {
        let mut inner = self.lock();
        let (id, _) = inner.stamp();
        if self.versioned {
            inner.push(true, key, Version { id, object: None });
        } else {
            inner.keys.remove(key);
        }
    }

    /// Removes every version of a key.
    pub fn purge(&self, key: &str) {
        self.lock().keys.remove(key);
    }

    /// Lets time pass, so that later writes are later by S3's whole seconds.
    pub fn pass_seconds(&self, seconds: i64) {
        self.lock().clock_seconds += seconds;
    }

    /// Says what the bucket answers about its own replication.
    pub fn set_replication(&self, coverage: ReplicationCoverage) {
        self.lock().replication = Some(coverage);
    }

    /// Returns the content of the current object.
    pub fn content(&self, key: &str) -> Option<String> {
        self.lock().current(key).map(|object| object.content)
    }

    /// Returns all current objects: key to content, tags and user metadata.
    pub fn snapshot(&self) -> BTreeMap<String, Snapshot> {
        let inner = self.lock();
        let describe = |key: &String| {
            let object = inner.current(key)?;
            let snapshot = Snapshot {
                content: object.content,
                tags: object.tags,
                user_metadata: object.facts.user_metadata,
                storage_class: object.facts.storage_class,
            };
            Some((key.clone(), snapshot))
        };
        inner.keys.keys().filter_map(describe).collect()
    }

    fn version_id(&self, id: u64) -> Option<VersionId> {
        self.versioned.then(|| VersionId::pinnable(&format!("v{id}"))).flatten()
    }

    fn state(&self, key: &ObjectKey, aspects: &Aspects) -> ObjectState {
        let inner = self.lock();
        let Some(current) = inner.keys.get(key.as_str()).and_then(|versions| versions.last()) else {
            return ObjectState::NotFound;
        };
        let Some(object) = &current.object else {
            return ObjectState::DeleteMarker;
        };
        let mut facts = object.facts.clone();
        facts.tag_count = u32::try_from(object.tags.len()).ok().filter(|count| *count > 0);
        facts.tags = aspects.contains(&Aspect::Tags).then(|| object.tags.clone());
        ObjectState::Present(Box::new(facts))
    }

    /// Returns what a pin names, if it is there and still what the pin says.
    fn pinned(&self, key: &ObjectKey, pin: &SourcePin) -> Option<StoredObject> {
        let inner = self.lock();
        let versions = inner.keys.get(key.as_str())?;
        let version = match &pin.version_id {
            Some(pinned) => versions
                .iter()
                .find(|version| self.version_id(version.id).as_ref() == Some(pinned)),
            None => versions.last(),
        };
        let object = version?.object.clone()?;
        (object.facts.etag == pin.etag).then_some(object)
    }
}

/// What of a current object is compared at the end of a test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The content.
    pub content: String,
    /// The tags.
    pub tags: BTreeMap<String, String>,
    /// The user metadata.
    pub user_metadata: BTreeMap<String, String>,
    /// The storage class.
    pub storage_class: String,
}

impl Inner {
    fn stamp(&mut self) -> (u64, Timestamp) {
        self.next_version += 1;
        (self.next_version, Timestamp::from_seconds(self.clock_seconds))
    }

    fn push(&mut self, versioned: bool, key: &str, version: Version) {
        let versions = self.keys.entry(key.to_owned()).or_default();
        if !versioned {
            versions.clear();
        }
        versions.push(version);
    }

    fn current(&self, key: &str) -> Option<StoredObject> {
        self.keys.get(key)?.last()?.object.clone()
    }
}

fn plain_facts(content: &str) -> ObjectFacts {
    ObjectFacts {
        version_id: None,
        etag: ETag::new(&format!("etag:{content}")).expect("never empty"),
        last_modified: Timestamp::from_seconds(0),
        size_bytes: content.len() as u64,
        headers: SystemHeaders::default(),
        user_metadata: BTreeMap::new(),
        missing_metadata: 0,
        website_redirect: None,
        storage_class: "STANDARD".to_owned(),
        availability: Availability::Readable,
        encryption: Encryption::Managed,
        checksums: Checksums::default(),
        replication_status: None,
        tag_count: None,
        tags: None,
    }
}

impl SourceBucket for MemoryBucket {
    async fn read(&self, key: &ObjectKey, aspects: &Aspects) -> Result<ObjectState, Failure> {
        Ok(self.state(key, aspects))
    }

    async fn confirm_absence(&self, key: &ObjectKey) -> Result<Absence, Failure> {
        Ok(match self.lock().current(key.as_str()) {
            Some(_) => Absence::ObjectFound,
            None => Absence::Confirmed,
        })
    }

    async fn replication(&self, _key: &ObjectKey) -> Result<ReplicationCoverage, Failure> {
        Ok(self.lock().replication.unwrap_or(ReplicationCoverage::Elsewhere))
    }
}

/// A bucket as a destination: it knows the bucket it is copied from.
#[derive(Debug, Clone)]
pub struct MemoryDestination {
    /// Where copies come from.
    pub source: MemoryBucket,
    /// Where they go.
    pub bucket: MemoryBucket,
}

impl MemoryDestination {
    fn check(&self, key: &ObjectKey, condition: &WriteCondition) -> Result<(), WriteError> {
        let current = self.bucket.lock().current(key.as_str());
        let holds = match (condition, current) {
            (WriteCondition::Absent, None) => true,
            (WriteCondition::Matches(etag), Some(object)) => object.facts.etag == *etag,
            (WriteCondition::Absent, Some(_)) | (WriteCondition::Matches(_), None) => false,
        };
        if holds { Ok(()) } else { Err(WriteError::WorldMoved) }
    }
}

impl DestinationBucket for MemoryDestination {
    async fn read(&self, key: &ObjectKey, aspects: &Aspects) -> Result<ObjectState, Failure> {
        Ok(self.bucket.state(key, aspects))
    }

    async fn copy(&self, key: &ObjectKey, order: &CopyOrder) -> Result<Option<VersionId>, WriteError> {
        let object = self.source.pinned(key, &order.pin).ok_or(WriteError::WorldMoved)?;
        self.check(key, &order.condition)?;
        self.bucket.put_with(key.as_str(), &object.content, |facts| {
            *facts = object.facts.clone();
            facts.storage_class.clone_from(&order.storage_class);
            facts.website_redirect.clone_from(&order.website_redirect);
            facts.replication_status = None;
            facts.tags = Some(object.tags.clone());
        });
        let state = self.bucket.state(key, &Aspects::new());
        Ok(state.facts().and_then(|facts| facts.version_id.clone()))
    }

    async fn delete(&self, key: &ObjectKey, seen: &ETag) -> Result<(), WriteError> {
        self.check(key, &WriteCondition::Matches(seen.clone()))?;
        self.bucket.delete(key.as_str());
        Ok(())
    }
}
