//! Buckets in memory, with versions, delete markers and conditional writes as S3 documents them.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use s3ferry_core::acl::Acl;
use s3ferry_core::decide::ReplicationCoverage;
use s3ferry_core::facts::{
    Aspect, Aspects, Availability, ChecksumCoverage, Checksums, Encryption, KmsEncryption, ObjectFacts, ObjectState,
    SystemHeaders,
};
use s3ferry_core::failure::{Failure, FailureKind};
use s3ferry_core::history::{VersionKind, VersionName, VersionStamp};
use s3ferry_core::lock::ObjectLock;
use s3ferry_core::names::{ETag, ObjectKey, VersionId};
use s3ferry_core::order::{AmendOrder, CopyOrder, SourcePin, Stated, UploadTerms, WriteCondition};
use s3ferry_core::plan::{COPY_OBJECT_LIMIT_BYTES, Part, PartSizes, SourceLayout};
use s3ferry_core::time::Timestamp;
use s3ferry_core::upload::{ListedUpload, UploadId};
use s3ferry_engine::ports::{Absence, Completion, CopiedPart, DestinationBucket, SourceBucket, WriteError, Written};

/// A bucket; clones share it.
#[derive(Debug, Clone)]
pub struct MemoryBucket {
    versioned: bool,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    keys: BTreeMap<String, Vec<Version>>,
    uploads: BTreeMap<UploadId, Upload>,
    next_version: u64,
    clock_seconds: i64,
    replication: Option<ReplicationCoverage>,
    has_object_lock: bool,
    has_acl: bool,
    encrypts_with_kms: bool,
}

#[derive(Debug, Clone)]
struct Version {
    id: u64,
    /// When it began to count: the version with the highest is the current one.
    since: u64,
    written: Timestamp,
    /// `None` is a delete marker.
    object: Option<StoredObject>,
}

/// An object as it is stored.
#[derive(Debug, Clone)]
struct StoredObject {
    facts: ObjectFacts,
    content: String,
    tags: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    acl: Acl,
    /// The sizes of the parts it was uploaded in; none if it was not.
    layout: Vec<u64>,
}

/// Who begins the uploads that are asked for through the port.
pub const OURSELVES: &str = "s3ferry";

/// An upload in parts that is under way.
#[derive(Debug, Clone)]
struct Upload {
    key: String,
    /// Who began it.
    initiator: &'static str,
    since: u64,
    begun: Timestamp,
    stated: Stated,
    parts: BTreeMap<u32, (CopiedPart, Piece)>,
}

/// A range of a content.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Piece {
    content: String,
    offset_bytes: u64,
    size_bytes: u64,
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

    /// Writes an object whose facts `change` adjusts; tags, annotations and grants given there are stored.
    pub fn put_with(&self, key: &str, content: &str, change: impl FnOnce(&mut ObjectFacts)) {
        let mut facts = plain_facts(content);
        change(&mut facts);
        self.store(key, content, facts, &[]);
    }

    /// Writes an object of the given size that was uploaded in parts of the given sizes, or in one.
    ///
    /// Its content is no more than a name for so many bytes; it has a full-object checksum, as S3 makes it.
    pub fn put_large(&self, key: &str, content: &str, size_bytes: u64, layout: &[u64]) {
        self.put_large_with(key, content, size_bytes, layout, |_| ());
    }

    /// Writes such an object with facts that `change` adjusts.
    pub fn put_large_with(
        &self,
        key: &str,
        content: &str,
        size_bytes: u64,
        layout: &[u64],
        change: impl FnOnce(&mut ObjectFacts),
    ) {
        let mut facts = ObjectFacts {
            etag: etag_of(content, layout.len()),
            size_bytes,
            checksums: full_checksum(content),
            ..plain_facts(content)
        };
        change(&mut facts);
        self.store(key, content, facts, layout);
    }

    fn store(&self, key: &str, content: &str, mut facts: ObjectFacts, layout: &[u64]) {
        let mut inner = self.lock();
        let (id, written) = inner.stamp();
        facts.version_id = self.version_id(id);
        facts.last_modified = written;
        if inner.encrypts_with_kms {
            facts.encryption = Encryption::Kms(KmsEncryption::default());
            facts.etag = ETag::new(&format!("kms:{id}")).expect("never empty");
        }
        let object = StoredObject::new(facts, content, layout);
        let version = Version {
            id,
            since: id,
            written,
            object: Some(object),
        };
        inner.push(self.versioned, key, version);
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
        let (id, written) = inner.stamp();
        if self.versioned {
            inner.push(
                true,
                key,
                Version {
                    id,
                    since: id,
                    written,
                    object: None,
                },
            );
        } else {
            inner.keys.remove(key);
        }
    }

    /// Removes one version of a key for good.
    pub fn remove_version(&self, key: &str, version: &VersionName) {
        let mut inner = self.lock();
        if let Some(versions) = inner.keys.get_mut(key) {
            versions.retain(|other| self.version_name(other.id) != *version);
        }
    }

    /// Returns all versions of a key, newest first.
    pub fn history(&self, key: &str) -> Vec<VersionStamp> {
        let inner = self.lock();
        let versions = inner.keys.get(key).into_iter().flatten().rev();
        let stamp = |version: &Version| VersionStamp {
            version: self.version_name(version.id),
            last_modified: version.written,
            kind: match &version.object {
                None => VersionKind::DeleteMarker,
                Some(object) => VersionKind::Object {
                    etag: object.facts.etag.clone(),
                    size_bytes: object.facts.size_bytes,
                },
            },
        };
        versions.map(stamp).collect()
    }

    /// Writes one version of a key again as it is, with its metadata, as whoever restores it does.
    pub fn rewrite(&self, key: &str, version: &VersionName) {
        let found = {
            let inner = self.lock();
            let mut versions = inner.keys.get(key).into_iter().flatten();
            versions
                .find(|other| self.version_name(other.id) == *version)
                .and_then(|version| version.object.clone())
        };
        let object = found.expect("an object to write again");
        let mut facts = object.facts.clone();
        facts.tags = Some(object.tags.clone());
        self.store(key, &object.content, facts, &object.layout);
    }

    fn version_name(&self, id: u64) -> VersionName {
        VersionName::of(self.version_id(id).as_ref())
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

    /// Gives the bucket Object Lock.
    pub fn enable_object_lock(&self) {
        self.lock().has_object_lock = true;
    }

    /// Makes the bucket encrypt with a KMS key by default: no tag of it says anything of the content.
    pub fn encrypt_with_kms(&self) {
        self.lock().encrypts_with_kms = true;
    }

    /// Gives the bucket's objects access control lists.
    pub fn enable_acl(&self) {
        self.lock().has_acl = true;
    }

    /// Begins an upload in parts as `initiator`.
    pub fn begin_upload(&self, key: &str, initiator: &'static str, terms: &UploadTerms) -> UploadId {
        let mut inner = self.lock();
        let (since, begun) = inner.stamp();
        let id = UploadId::new(format!("upload-{since}")).expect("never empty");
        let upload = Upload {
            key: key.to_owned(),
            initiator,
            since,
            begun,
            stated: terms.stated.clone(),
            parts: BTreeMap::new(),
        };
        inner.uploads.insert(id.clone(), upload);
        id
    }

    /// Returns the uploads in parts that are under way.
    pub fn uploads(&self) -> Vec<UploadId> {
        self.lock().uploads.keys().cloned().collect()
    }

    /// Returns the facts of the current object, with everything that can be asked for.
    pub fn facts(&self, key: &str) -> Option<ObjectFacts> {
        let everything = Aspects::from([Aspect::Tags, Aspect::Annotations, Aspect::Acl]);
        self.lock().current(key).map(|object| object.facts_with(&everything))
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
                annotations: object.annotations,
                user_metadata: object.facts.user_metadata,
                headers: object.facts.headers,
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
        ObjectState::Present(Box::new(object.facts_with(aspects)))
    }

    /// Returns the content of what a pin names, if it is there and still what the pin says.
    pub(crate) fn pinned_content(&self, key: &ObjectKey, pin: &SourcePin) -> Option<String> {
        self.pinned(key, pin).map(|object| object.content)
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
    /// The annotations: name to text.
    pub annotations: BTreeMap<String, String>,
    /// The user metadata.
    pub user_metadata: BTreeMap<String, String>,
    /// The headers.
    pub headers: SystemHeaders,
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
        if versioned {
            let at = versions.partition_point(|other| other.since < version.since);
            versions.insert(at, version);
        } else if versions.last().is_none_or(|current| current.since < version.since) {
            *versions = vec![version];
        }
    }

    fn current(&self, key: &str) -> Option<StoredObject> {
        self.keys.get(key)?.last()?.object.clone()
    }
}

impl StoredObject {
    fn new(mut facts: ObjectFacts, content: &str, layout: &[u64]) -> Self {
        Self {
            tags: facts.tags.take().unwrap_or_default(),
            annotations: facts.annotations.take().unwrap_or_default(),
            acl: facts.acl.take().unwrap_or_default(),
            facts,
            content: content.to_owned(),
            layout: layout.to_vec(),
        }
    }

    fn facts_with(&self, aspects: &Aspects) -> ObjectFacts {
        ObjectFacts {
            tag_count: u32::try_from(self.tags.len()).ok().filter(|count| *count > 0),
            tags: aspects.contains(&Aspect::Tags).then(|| self.tags.clone()),
            // The text stands for its own tag.
            annotations: aspects.contains(&Aspect::Annotations).then(|| self.annotations.clone()),
            acl: aspects.contains(&Aspect::Acl).then(|| self.acl.clone()),
            ..self.facts.clone()
        }
    }
}

/// Names a content in few bytes: short ones by themselves, which tests can read.
fn name_of(content: &str) -> String {
    if content.len() <= 64 {
        return content.to_owned();
    }
    let mut hasher = DefaultHasher::new();
    content.hash(&mut hasher);
    format!("{:x}", hasher.finish())
}

fn etag_of(content: &str, parts: usize) -> ETag {
    let name = name_of(content);
    let etag = match parts {
        0 => format!("etag:{name}"),
        parts => format!("etag:{name}-{parts}"),
    };
    ETag::new(&etag).expect("never empty")
}

fn full_checksum(content: &str) -> Checksums {
    Checksums {
        coverage: ChecksumCoverage::FullObject,
        values: BTreeMap::from([("CRC64NVME", format!("crc:{}", name_of(content)))]),
    }
}

fn plain_facts(content: &str) -> ObjectFacts {
    ObjectFacts {
        version_id: None,
        etag: etag_of(content, 0),
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
        lock: ObjectLock::default(),
        tag_count: None,
        tags: None,
        annotations: None,
        acl: None,
    }
}

impl SourceBucket for MemoryBucket {
    async fn read(&self, key: &ObjectKey, aspects: &Aspects) -> Result<ObjectState, Failure> {
        Ok(self.state(key, aspects))
    }

    async fn read_more(
        &self,
        key: &ObjectKey,
        facts: &ObjectFacts,
        aspects: &Aspects,
    ) -> Result<Option<ObjectFacts>, Failure> {
        let object = self.pinned(key, &SourcePin::of(facts));
        let read = object.map(|object| object.facts_with(aspects));
        Ok(read.map(|read| ObjectFacts {
            tags: read.tags.or_else(|| facts.tags.clone()),
            annotations: read.annotations.or_else(|| facts.annotations.clone()),
            acl: read.acl.or_else(|| facts.acl.clone()),
            ..facts.clone()
        }))
    }

    async fn layout(&self, key: &ObjectKey, facts: &ObjectFacts) -> Result<SourceLayout, Failure> {
        let object = self.pinned(key, &SourcePin::of(facts));
        Ok(match object.map(|object| object.layout) {
            Some(layout) if layout.is_empty() => SourceLayout::Whole,
            Some(layout) => SourceLayout::Parts(layout.into_iter().collect::<PartSizes>()),
            None => SourceLayout::Unknown,
        })
    }

    async fn has_acl(&self) -> Result<bool, Failure> {
        Ok(self.lock().has_acl)
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

    async fn has_object_lock(&self) -> Result<bool, Failure> {
        Ok(self.bucket.lock().has_object_lock)
    }

    async fn has_acl(&self) -> Result<bool, Failure> {
        Ok(self.bucket.lock().has_acl)
    }

    async fn copy(&self, key: &ObjectKey, order: &CopyOrder) -> Result<Option<VersionId>, WriteError> {
        let object = self.source.pinned(key, &order.pin).ok_or(WriteError::WorldMoved)?;
        if object.facts.size_bytes > COPY_OBJECT_LIMIT_BYTES {
            return Err(refused(
                "InvalidRequest",
                "the source is larger than one request copies",
            ));
        }
        self.check(key, &order.condition)?;
        let mut facts = ObjectFacts {
            etag: etag_of(&object.content, 0),
            checksums: match object.facts.checksums.coverage {
                ChecksumCoverage::FullObject => object.facts.checksums.clone(),
                ChecksumCoverage::Composite => full_checksum(&object.content),
            },
            replication_status: None,
            tags: Some(object.tags.clone()),
            annotations: Some(object.annotations.clone()),
            ..object.facts.clone()
        };
        self.state_on(&mut facts, &order.stated)?;
        self.bucket.store(key.as_str(), &object.content, facts, &[]);
        let state = self.bucket.state(key, &Aspects::new());
        Ok(state.facts().and_then(|facts| facts.version_id.clone()))
    }

    async fn amend(&self, key: &ObjectKey, order: &AmendOrder) -> Result<(), WriteError> {
        let source = self.source.pinned(key, &order.pin);
        if order.annotations.is_some() && source.is_none() {
            return Err(WriteError::WorldMoved);
        }
        let version_id = |id| self.bucket.version_id(id);
        let mut inner = self.bucket.lock();
        let has_object_lock = inner.has_object_lock;
        let object = inner
            .keys
            .get_mut(key.as_str())
            .and_then(|versions| {
                versions
                    .iter_mut()
                    .find(|version| version_id(version.id).as_ref() == Some(&order.version_id))
            })
            .and_then(|version| version.object.as_mut())
            .ok_or(WriteError::WorldMoved)?;
        if let Some(tags) = &order.tags {
            object.tags.clone_from(tags);
        }
        if let Some(acl) = &order.acl {
            object.acl.clone_from(acl);
        }
        if let Some(change) = &order.lock {
            if !has_object_lock {
                return Err(refused("InvalidRequest", "the bucket has no Object Lock"));
            }
            object.facts.lock = change.to;
        }
        if let (Some(change), Some(source)) = (&order.annotations, source) {
            for name in &change.remove {
                object.annotations.remove(name);
            }
            for name in &change.write {
                let text = source.annotations.get(name).ok_or(WriteError::WorldMoved)?;
                object.annotations.insert(name.clone(), text.clone());
            }
        }
        Ok(())
    }

    async fn delete(&self, key: &ObjectKey, seen: &ETag) -> Result<Option<VersionId>, WriteError> {
        self.check(key, &WriteCondition::Matches(seen.clone()))?;
        self.bucket.delete(key.as_str());
        let top = self.bucket.history(key.as_str()).into_iter().next();
        Ok(top.and_then(|stamp| match stamp.version {
            VersionName::Id(version_id) => Some(version_id),
            VersionName::Null => None,
        }))
    }

    async fn is_versioned(&self) -> Result<bool, Failure> {
        Ok(self.bucket.versioned)
    }

    async fn history(&self, key: &ObjectKey) -> Result<Vec<VersionStamp>, Failure> {
        Ok(self.bucket.history(key.as_str()))
    }

    async fn read_version(&self, key: &ObjectKey, version: &VersionName) -> Result<ObjectState, Failure> {
        let inner = self.bucket.lock();
        let mut versions = inner.keys.get(key.as_str()).into_iter().flatten();
        let found = versions.find(|other| self.bucket.version_name(other.id) == *version);
        Ok(match found.map(|version| &version.object) {
            None => ObjectState::NotFound,
            Some(None) => ObjectState::DeleteMarker,
            Some(Some(object)) => ObjectState::Present(Box::new(object.facts_with(&Aspects::new()))),
        })
    }

    async fn remove_version(&self, key: &ObjectKey, version: &VersionName) -> Result<(), Failure> {
        self.bucket.remove_version(key.as_str(), version);
        Ok(())
    }

    async fn create_upload(&self, key: &ObjectKey, terms: &UploadTerms) -> Result<UploadId, WriteError> {
        Ok(self.bucket.begin_upload(key.as_str(), OURSELVES, terms))
    }

    async fn copy_part(
        &self,
        key: &ObjectKey,
        upload_id: &UploadId,
        pin: &SourcePin,
        part: &Part,
    ) -> Result<CopiedPart, WriteError> {
        let object = self.source.pinned(key, pin).ok_or(WriteError::WorldMoved)?;
        if *part.range().end() >= object.facts.size_bytes {
            return Err(refused("InvalidRange", "the part ends behind the object"));
        }
        let mut inner = self.bucket.lock();
        let upload = inner.uploads.get_mut(upload_id).ok_or(WriteError::WorldMoved)?;
        let copied = CopiedPart {
            number: part.number,
            size_bytes: part.size_bytes,
            etag: ETag::new(&format!("part:{}:{}", name_of(&object.content), part.offset_bytes)).expect("never empty"),
            checksum: None,
        };
        let piece = Piece {
            content: object.content,
            offset_bytes: part.offset_bytes,
            size_bytes: part.size_bytes,
        };
        upload.parts.insert(part.number, (copied.clone(), piece));
        Ok(copied)
    }

    async fn list_parts(&self, _key: &ObjectKey, upload_id: &UploadId) -> Result<Option<Vec<CopiedPart>>, Failure> {
        let inner = self.bucket.lock();
        let upload = inner.uploads.get(upload_id);
        Ok(upload.map(|upload| upload.parts.values().map(|(part, _)| part.clone()).collect()))
    }

    async fn list_uploads(&self, key: &ObjectKey) -> Result<Vec<ListedUpload>, Failure> {
        let inner = self.bucket.lock();
        let of_key = inner.uploads.iter().filter(|(_, upload)| upload.key == key.as_str());
        let listed = of_key.map(|(id, upload)| ListedUpload {
            id: id.clone(),
            initiator: Some(upload.initiator.to_owned()),
            begun: upload.begun,
        });
        Ok(listed.collect())
    }

    async fn complete_upload(
        &self,
        key: &ObjectKey,
        upload_id: &UploadId,
        completion: &Completion,
    ) -> Result<Written, WriteError> {
        let upload = self.bucket.lock().uploads.get(upload_id).cloned();
        let upload = upload
            .filter(|upload| upload.key == key.as_str())
            .ok_or(WriteError::WorldMoved)?;
        let pieces = named_pieces(&upload, &completion.parts)?;
        self.check(key, &completion.condition)?;
        let size_bytes = pieces.iter().map(|piece| piece.size_bytes).sum();
        if size_bytes != completion.size_bytes {
            return Err(refused("InvalidRequest", "the parts do not make the expected size"));
        }
        let content = assembled(&pieces);
        let layout: Vec<u64> = pieces.iter().map(|piece| piece.size_bytes).collect();
        let mut facts = ObjectFacts {
            etag: etag_of(&content, layout.len()),
            size_bytes,
            checksums: full_checksum(&content),
            last_modified: upload.begun,
            tags: upload.stated.tags.clone(),
            ..plain_facts(&content)
        };
        self.state_on(&mut facts, &upload.stated)?;
        let mut inner = self.bucket.lock();
        inner.uploads.remove(upload_id);
        let (id, _) = inner.stamp();
        facts.version_id = self.bucket.version_id(id);
        let written = Written {
            version_id: facts.version_id.clone(),
            etag: facts.etag.clone(),
        };
        let version = Version {
            id,
            since: upload.since,
            written: upload.begun,
            object: Some(StoredObject::new(facts, &content, &layout)),
        };
        inner.push(self.bucket.versioned, key.as_str(), version);
        Ok(written)
    }

    async fn abort_upload(&self, _key: &ObjectKey, upload_id: &UploadId) -> Result<(), Failure> {
        self.bucket.lock().uploads.remove(upload_id);
        Ok(())
    }
}

impl MemoryDestination {
    /// Puts on what a write states: everything that S3 would reset.
    fn state_on(&self, facts: &mut ObjectFacts, stated: &Stated) -> Result<(), WriteError> {
        facts.storage_class.clone_from(&stated.storage_class);
        facts.website_redirect.clone_from(&stated.website_redirect);
        facts.encryption = stated.encryption.clone().map_or(Encryption::Managed, Encryption::Kms);
        if !stated.lock.is_none() && !self.bucket.lock().has_object_lock {
            return Err(refused("InvalidRequest", "the bucket has no Object Lock"));
        }
        facts.lock = stated.lock;
        facts.acl.clone_from(&stated.acl);
        if let Some(metadata) = &stated.metadata {
            facts.headers.clone_from(&metadata.headers);
            facts.user_metadata.clone_from(&metadata.user);
        }
        if let Some(tags) = &stated.tags {
            facts.tags = Some(tags.clone());
        }
        Ok(())
    }
}

fn refused(code: &str, detail: &str) -> WriteError {
    WriteError::Failed(Failure {
        kind: FailureKind::Permanent,
        code: code.to_owned(),
        action: "s3:PutObject".to_owned(),
        resource: "a bucket in memory".to_owned(),
        detail: detail.to_owned(),
    })
}

/// Finds the parts that a completion names.
fn named_pieces(upload: &Upload, parts: &[CopiedPart]) -> Result<Vec<Piece>, WriteError> {
    let invalid = || {
        WriteError::Failed(Failure {
            kind: FailureKind::Retry,
            code: "InvalidPart".to_owned(),
            action: "s3:PutObject".to_owned(),
            resource: upload.key.clone(),
            detail: "a part that is named is not there".to_owned(),
        })
    };
    let find = |part: &CopiedPart| {
        let (stored, piece) = upload.parts.get(&part.number)?;
        (stored.etag == part.etag).then(|| piece.clone())
    };
    parts.iter().map(|part| find(part).ok_or_else(invalid)).collect()
}

/// Names what consecutive pieces make: the content itself where they are all of it, in order.
fn assembled(pieces: &[Piece]) -> String {
    let mut offset_bytes = 0;
    let continues = |piece: &Piece| {
        let continues = piece.offset_bytes == offset_bytes;
        offset_bytes += piece.size_bytes;
        continues
    };
    let is_in_order = pieces.iter().all(continues);
    match pieces {
        [first, others @ ..] if is_in_order && others.iter().all(|piece| piece.content == first.content) => {
            first.content.clone()
        }
        _ => format!("torn:{pieces:?}"),
    }
}
