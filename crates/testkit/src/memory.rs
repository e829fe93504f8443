//! In-memory buckets with versions, delete markers and conditional writes as S3 documents them.

mod destination;
mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use s3ferry_core::acl::Acl;
use s3ferry_core::bucket_settings::{BucketObjectLock, ReplicationCoverage};
use s3ferry_core::facts::{
    Attribute, AttributeSet, ChecksumCoverage, Encryption, KmsEncryption, ObjectFacts, ObjectState, StoredChecksums,
    SystemHeaders,
};
use s3ferry_core::names::{ETag, ObjectKey, VersionId};
use s3ferry_core::order::{ExplicitAttributes, SourcePin, UploadParameters};
use s3ferry_core::time::Timestamp;
use s3ferry_core::upload::UploadId;
use s3ferry_core::versions::{ListedVersion, VersionKind, VersionListing, VersionName};
use s3ferry_engine::ports::{Absence, CopiedPart, WrittenObject};

pub use self::destination::MemoryDestination;

/// A bucket in memory. Clones use the same bucket.
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
    object_lock: Option<BucketObjectLock>,
    /// Keys that reads answer with 404, while listings show them.
    hidden: BTreeSet<String>,
    has_acl: bool,
    /// KMS key of the bucket's default encryption.
    default_key: Option<KmsEncryption>,
    /// Whether reads of the bucket's default encryption are denied.
    default_encryption_is_denied: bool,
    /// Whether the bucket rejects changes of an object's encryption by anything but a copy.
    rejects_encryption_updates: bool,
}

#[derive(Debug, Clone)]
struct Version {
    id: u64,
    /// Order of the write's start. The version with the greatest number is current.
    since: u64,
    written: Timestamp,
    /// The object; `None` for a delete marker.
    object: Option<StoredObject>,
}

/// An object as the bucket stores it.
#[derive(Debug, Clone)]
struct StoredObject {
    facts: ObjectFacts,
    content: String,
    tags: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    acl: Acl,
    /// Part sizes of a multipart upload; empty if the object was written by a single request.
    layout: Vec<u64>,
}

/// An application's multipart upload in progress.
#[derive(Debug, Clone)]
pub struct PendingPut {
    since: u64,
    begun: Timestamp,
}

/// Initiator of the uploads that s3ferry creates through the port.
pub const S3FERRY_INITIATOR: &str = "s3ferry";

/// A multipart upload in progress.
#[derive(Debug, Clone)]
struct Upload {
    key: String,
    /// Name of the user who created the upload.
    initiator: &'static str,
    since: u64,
    begun: Timestamp,
    explicit: ExplicitAttributes,
    parts: BTreeMap<u32, (CopiedPart, Piece)>,
}

/// A byte range of a content.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Piece {
    content: String,
    offset_bytes: u64,
    size_bytes: u64,
}

impl MemoryBucket {
    /// Creates a bucket with versioning.
    pub fn versioned() -> Self {
        Self::new(true)
    }

    /// Creates a bucket without versioning.
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

    /// Writes an object whose facts `change` adjusts. Stores the tags, annotations and grants that `change` sets.
    pub fn put_with(&self, key: &str, content: &str, change: impl FnOnce(&mut ObjectFacts)) {
        let mut facts = plain_facts(content);
        facts.encryption = self.lock().default_encryption();
        change(&mut facts);
        self.store(key, content, facts, &[]);
    }

    /// Writes an object of the given size, uploaded with the given part sizes, or by a single request without them.
    ///
    /// `content` is a short name for the content, not its bytes. The object has a full-object checksum, as in S3.
    pub fn put_large(&self, key: &str, content: &str, size_bytes: u64, layout: &[u64]) {
        self.put_large_with(key, content, size_bytes, layout, |_| ());
    }

    /// Writes an object like [`MemoryBucket::put_large`], whose facts `change` adjusts.
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
            encryption: self.lock().default_encryption(),
            ..plain_facts(content)
        };
        change(&mut facts);
        self.store(key, content, facts, layout);
    }

    fn store(&self, key: &str, content: &str, mut facts: ObjectFacts, layout: &[u64]) -> WrittenObject {
        let mut inner = self.lock();
        let (id, written) = inner.stamp();
        facts.version_id = self.version_id(id);
        facts.last_modified = written;
        Inner::encrypt(&mut facts, id, layout.len());
        let stored = WrittenObject {
            version_id: facts.version_id.clone(),
            etag: facts.etag.clone(),
            source_version_id: None,
            last_modified: Some(written),
        };
        let object = StoredObject::new(facts, content, layout);
        let version = Version {
            id,
            since: id,
            written,
            object: Some(object),
        };
        inner.push(self.versioned, key, version);
        stored
    }

    /// Starts an application's multipart upload. S3 orders the object by this start, and shows it after completion.
    pub fn begin_put(&self) -> PendingPut {
        let (since, begun) = self.lock().stamp();
        PendingPut { since, begun }
    }

    /// Completes an application's multipart upload as an object whose facts `change` adjusts.
    pub fn finish_put(&self, key: &str, begun: &PendingPut, content: &str, change: impl FnOnce(&mut ObjectFacts)) {
        let mut facts = ObjectFacts {
            etag: etag_of(content, 1),
            last_modified: begun.begun,
            ..plain_facts(content)
        };
        change(&mut facts);
        let mut inner = self.lock();
        let (id, _) = inner.stamp();
        facts.version_id = self.version_id(id);
        let version = Version {
            id,
            since: begun.since,
            written: begun.begun,
            object: Some(StoredObject::new(facts, content, &[])),
        };
        inner.push(self.versioned, key, version);
    }

    /// Replaces the tags of the current object. This creates no version.
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

    /// Changes the facts of the current object. This creates no version.
    pub fn change(&self, key: &str, change: impl FnOnce(&mut ObjectFacts)) {
        let mut inner = self.lock();
        let current = inner.keys.get_mut(key).and_then(|versions| versions.last_mut());
        let object = current.and_then(|version| version.object.as_mut());
        change(&mut object.expect("an object to change").facts);
    }

    /// Replaces the annotations of the current object. This creates no version.
    pub fn annotate(&self, key: &str, annotations: &[(&str, &str)]) {
        let mut inner = self.lock();
        let current = inner.keys.get_mut(key).and_then(|versions| versions.last_mut());
        let object = current
            .and_then(|version| version.object.as_mut())
            .expect("an object to annotate");
        object.annotations = annotations
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
    }

    /// Deletes the current object of a key. With versioning, this creates a delete marker.
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

    /// Removes one version of a key permanently.
    pub fn delete_version(&self, key: &str, version: &VersionName) {
        let mut inner = self.lock();
        if let Some(versions) = inner.keys.get_mut(key) {
            versions.retain(|other| self.version_name(other.id) != *version);
        }
    }

    /// Returns all versions of a key, newest first.
    pub fn history(&self, key: &str) -> Vec<ListedVersion> {
        let inner = self.lock();
        let versions = inner.keys.get(key).into_iter().flatten().rev();
        let stamp = |version: &Version| ListedVersion {
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

    /// Writes a copy of one version as the current object, with its metadata, as a restore does.
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
        facts.annotations = Some(object.annotations.clone());
        self.store(key, &object.content, facts, &object.layout);
    }

    fn version_name(&self, id: u64) -> VersionName {
        VersionName::of(self.version_id(id).as_ref())
    }

    /// Removes every version of a key permanently.
    pub fn purge(&self, key: &str) {
        self.lock().keys.remove(key);
    }

    /// Advances the bucket's clock. Last-Modified times have whole seconds, as in S3.
    pub fn pass_seconds(&self, seconds: i64) {
        self.lock().clock_seconds += seconds;
    }

    /// Sets whether replication rules of the bucket cover its keys.
    pub fn set_replication(&self, coverage: ReplicationCoverage) {
        self.lock().replication = Some(coverage);
    }

    /// Enables Object Lock for the bucket.
    pub fn enable_object_lock(&self, lock: BucketObjectLock) {
        self.lock().object_lock = Some(lock);
    }

    /// Answers reads of a key with 404 until [`MemoryBucket::show_all`].
    /// S3 may do this for minutes after versioning was first enabled. Write conditions and listings see the key.
    ///
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/manage-versioning-examples.html>
    pub fn hide(&self, key: &str) {
        self.lock().hidden.insert(key.to_owned());
    }

    /// Answers reads of all hidden keys again.
    pub fn show_all(&self) {
        self.lock().hidden.clear();
    }

    /// Returns whether reads of any key are answered with 404.
    pub fn hides_keys(&self) -> bool {
        !self.lock().hidden.is_empty()
    }

    fn listed_versions(&self, key: &ObjectKey) -> VersionListing {
        VersionListing {
            versions: self.history(key.as_str()),
            is_complete: true,
            listed: Timestamp::from_seconds(self.lock().clock_seconds),
        }
    }

    fn version_state(&self, key: &ObjectKey, version: &VersionName) -> ObjectState {
        let inner = self.lock();
        let mut versions = inner.keys.get(key.as_str()).into_iter().flatten();
        let found = versions.find(|other| self.version_name(other.id) == *version);
        match found.map(|version| &version.object) {
            None => ObjectState::NotFound,
            Some(None) => ObjectState::DeleteMarker,
            Some(Some(object)) => ObjectState::Present(Box::new(object.facts_with(&AttributeSet::new()))),
        }
    }

    fn absence(&self, key: &ObjectKey) -> Absence {
        match self.lock().current(key.as_str()) {
            Some(_) => Absence::ObjectFound,
            None => Absence::Confirmed,
        }
    }

    /// Sets a KMS key as default encryption. The ETags of new objects then do not depend on the content.
    pub fn encrypt_with_kms(&self) {
        self.encrypt_by_default(Some(KmsEncryption::default()), false);
    }

    /// Sets the default encryption: a KMS key, or SSE-S3 for `None`. With `is_denied`, reads of the setting are denied.
    pub fn encrypt_by_default(&self, key: Option<KmsEncryption>, is_denied: bool) {
        let mut inner = self.lock();
        inner.default_key = key;
        inner.default_encryption_is_denied = is_denied;
    }

    /// Rejects changes of an object's encryption by anything but a copy.
    pub fn reject_encryption_updates(&self) {
        self.lock().rejects_encryption_updates = true;
    }

    /// Enables access control lists for the bucket.
    pub fn enable_acl(&self) {
        self.lock().has_acl = true;
    }

    /// Creates a multipart upload of `initiator`.
    pub fn begin_upload(&self, key: &str, initiator: &'static str, terms: &UploadParameters) -> UploadId {
        let mut inner = self.lock();
        let (since, begun) = inner.stamp();
        let id = UploadId::new(format!("upload-{since}")).expect("never empty");
        let upload = Upload {
            key: key.to_owned(),
            initiator,
            since,
            begun,
            explicit: terms.explicit.clone(),
            parts: BTreeMap::new(),
        };
        inner.uploads.insert(id.clone(), upload);
        id
    }

    /// Returns the ids of the multipart uploads in progress.
    pub fn uploads(&self) -> Vec<UploadId> {
        self.lock().uploads.keys().cloned().collect()
    }

    /// Returns the facts of the current object, with all attributes that a read can request.
    pub fn facts(&self, key: &str) -> Option<ObjectFacts> {
        let everything = AttributeSet::from([Attribute::Tags, Attribute::Annotations, Attribute::Acl]);
        self.lock().current(key).map(|object| object.facts_with(&everything))
    }

    /// Returns the content of the current object.
    pub fn content(&self, key: &str) -> Option<String> {
        self.lock().current(key).map(|object| object.content)
    }

    /// Returns the current object of each key.
    pub fn snapshot(&self) -> BTreeMap<String, ObjectSnapshot> {
        let inner = self.lock();
        let describe = |key: &String| {
            let object = inner.current(key)?;
            let snapshot = ObjectSnapshot {
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

    fn state(&self, key: &ObjectKey, attributes: &AttributeSet) -> ObjectState {
        let inner = self.lock();
        let current = inner.keys.get(key.as_str()).and_then(|versions| versions.last());
        let Some(current) = current.filter(|_| !inner.hidden.contains(key.as_str())) else {
            return ObjectState::NotFound;
        };
        let Some(object) = &current.object else {
            return ObjectState::DeleteMarker;
        };
        ObjectState::Present(Box::new(object.facts_with(attributes)))
    }

    /// Returns the content of the pinned object, if it exists with the pinned ETag.
    pub(crate) fn pinned_content(&self, key: &ObjectKey, pin: &SourcePin) -> Option<String> {
        self.pinned(key, pin).map(|object| object.content)
    }

    /// Returns the pinned object, if it exists with the pinned ETag.
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

/// The contents and attributes of a current object that tests compare.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectSnapshot {
    /// Content.
    pub content: String,
    /// Tags.
    pub tags: BTreeMap<String, String>,
    /// Annotations: name to text.
    pub annotations: BTreeMap<String, String>,
    /// User metadata.
    pub user_metadata: BTreeMap<String, String>,
    /// System headers.
    pub headers: SystemHeaders,
    /// Storage class.
    pub storage_class: String,
}

impl Inner {
    /// Returns the encryption of objects whose writers request none.
    fn default_encryption(&self) -> Encryption {
        let key = self.default_key.clone();
        key.map_or(Encryption::Managed, Encryption::Kms)
    }

    /// Sets the ETag of an object encrypted with KMS. Such an ETag does not depend on the content.
    fn encrypt(facts: &mut ObjectFacts, id: u64, parts: usize) {
        if matches!(facts.encryption, Encryption::Kms(_)) {
            facts.etag = etag_of(&format!("kms:{id}"), parts);
        }
    }

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

    fn facts_with(&self, attributes: &AttributeSet) -> ObjectFacts {
        ObjectFacts {
            tag_count: u32::try_from(self.tags.len()).ok().filter(|count| *count > 0),
            tags: attributes.contains(&Attribute::Tags).then(|| self.tags.clone()),
            // The annotation's text also serves as its ETag.
            annotations: attributes
                .contains(&Attribute::Annotations)
                .then(|| self.annotations.clone()),
            acl: attributes.contains(&Attribute::Acl).then(|| self.acl.clone()),
            ..self.facts.clone()
        }
    }
}

/// Returns a short name for a content. Up to 64 bytes it is the content itself, so that test failures are readable.
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

fn full_checksum(content: &str) -> StoredChecksums {
    checksum("CRC64NVME", ChecksumCoverage::FullObject, content, &[])
}

/// Returns the checksum that S3 stores for a content, uploaded with the given part sizes or by a single request.
#[must_use]
pub fn checksum(algorithm: &'static str, coverage: ChecksumCoverage, content: &str, layout: &[u64]) -> StoredChecksums {
    let name = name_of(content);
    let value = match coverage {
        ChecksumCoverage::FullObject => format!("{algorithm}:{name}"),
        ChecksumCoverage::Composite => format!("{algorithm}:{name}:{layout:?}"),
    };
    StoredChecksums {
        coverage,
        values: BTreeMap::from([(algorithm, value)]),
    }
}

fn plain_facts(content: &str) -> ObjectFacts {
    ObjectFacts::plain(etag_of(content, 0), content.len() as u64, Timestamp::from_seconds(0))
}
