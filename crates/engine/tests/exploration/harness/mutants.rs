//! Ports that lack one safeguard. They are below the scheduler: a call reaches them when the scheduler picks it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use s3ferry_core::attributes::AttributeDigests;
use s3ferry_core::bucket_settings::{BucketObjectLock, ReplicationCoverage};
use s3ferry_core::delete_intent::DeleteIntent;
use s3ferry_core::facts::{Attribute, AttributeSet, ExplicitEncryption, ObjectFacts, ObjectState};
use s3ferry_core::failure::Failure;
use s3ferry_core::marker::{MARKER_NAME, Marker, MarkerRequest, ObjectLocation};
use s3ferry_core::names::{ETag, ObjectKey, VersionId};
use s3ferry_core::order::{AttributeUpdate, CopyMethod, CopyOrder, SourcePin, UploadParameters, WriteCondition};
use s3ferry_core::plan::{PartLayout, PlannedPart};
use s3ferry_core::time::Timestamp;
use s3ferry_core::upload::{ListedUpload, UploadEntry, UploadId};
use s3ferry_core::versions::{VersionKind, VersionListing, VersionName};
use s3ferry_engine::ports::{
    Absence, CopiedPart, DeleteIntents, DestinationObjects, DestinationVersions, JournaledUpload, MultipartProgress,
    MultipartUploads, SourceBucket, UploadCompletion, UploadJournal, WriteError, WrittenObject,
};
use s3ferry_testkit::journal::{MemoryJournal, route};
use s3ferry_testkit::memory::{MemoryBucket, MemoryDestination};
use s3ferry_testkit::schedule::TwoStepCopies;

/// The safeguard that is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mutant {
    /// None: the engine as it is.
    Faithful,
    /// The read after a write returns what was read before it.
    NoReread,
    /// The destination accepts every write.
    NoCondition,
    /// The source's current object is copied, whichever was read.
    NoPin,
    /// The queue loses continuations.
    NoContinuation,
    /// Uploads are never aborted.
    NoAbort,
    /// Unjournaled uploads are not found.
    NoSearch,
    /// The journal accepts an entry of a key that has one.
    NoEntryCondition,
    /// A redelivered message is handled like one that is delivered for the first time.
    NoRedeliveryCheck,
    /// Absence counts as confirmed without evidence.
    NoEvidence,
    /// Reading more attributes of an object discards those read before.
    NoEarlierRead,
    /// Every object of the destination counts as a copy.
    NoMarker,
    /// Every object of the destination with a marker counts as a copy, whatever the marker describes.
    NoBinding,
    /// A listing of the destination's versions shows the newest one only.
    NoHistory,
    /// A listing of the destination's versions shows the newest two only.
    NoDepth,
    /// Of several versions with one marker, any may be the copy.
    NoOldestMarker,
    /// The destination's tags count as those that were copied.
    NoCopiedTags,
    /// Deletes are not announced.
    NoIntents,
    /// A listing of the source's versions shows the newest one only.
    NoSourceVersions,
    /// The read after a copy shows the version that was copied.
    NoCopiedVersion,
    /// The read after a copy shows the time that the source had before.
    NoListedTime,
    /// A copy seems to be an hour later than the source.
    NoCopyTime,
    /// The read after a copy shows no tags.
    NoTagCount,
}

/// What one invocation read and wrote.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// The last answer of the source for each key.
    read: BTreeMap<ObjectKey, ObjectState>,
    /// The keys that were written and not read again since, with the source version that was copied.
    written: BTreeMap<ObjectKey, Option<VersionId>>,
}

impl Memory {
    /// Records what a listing showed of a key.
    pub(crate) fn listed(&mut self, key: &ObjectKey, source: ObjectState) {
        self.read.insert(key.clone(), source);
    }
}

/// A port in memory without the safeguard of its mutant.
#[derive(Debug, Clone)]
pub(crate) struct MutantPort<T> {
    pub(crate) port: T,
    pub(crate) mutant: Mutant,
    /// The uploads of all invocations that were asked to be aborted.
    pub(crate) aborted: Arc<Mutex<BTreeSet<UploadId>>>,
    pub(crate) memory: Arc<Mutex<Memory>>,
}

impl<T> MutantPort<T> {
    /// Makes another port of the same invocation.
    pub(crate) fn of<U>(&self, port: U) -> MutantPort<U> {
        MutantPort {
            port,
            mutant: self.mutant,
            aborted: Arc::clone(&self.aborted),
            memory: Arc::clone(&self.memory),
        }
    }

    fn is(&self, mutant: Mutant) -> bool {
        self.mutant == mutant
    }

    fn absence(&self, found: Absence) -> Absence {
        if self.is(Mutant::NoEvidence) {
            return Absence::Confirmed;
        }
        found
    }

    /// Changes what a read after a copy shows, so that it confirms the copy.
    fn as_copied(&self, facts: ObjectFacts, copied: Option<VersionId>, before: Option<&ObjectFacts>) -> ObjectFacts {
        match self.mutant {
            Mutant::NoCopiedVersion if copied.is_some() => ObjectFacts {
                version_id: copied,
                ..facts
            },
            Mutant::NoListedTime => ObjectFacts {
                last_modified: before.map_or(facts.last_modified, |before| before.last_modified),
                ..facts
            },
            Mutant::NoTagCount => ObjectFacts {
                tag_count: None,
                ..facts
            },
            _ => facts,
        }
    }

    /// Records that a write took effect.
    fn written<R>(&self, key: &ObjectKey, written: Result<R, WriteError>) -> Result<R, WriteError> {
        if written.is_ok() {
            self.memory.lock().unwrap().written.insert(key.clone(), None);
        }
        written
    }
}

/// Implements methods by those of the port in memory.
macro_rules! forward {
    ($port:ident: $($name:ident($($argument:ident: $type:ty),*) -> $returns:ty;)*) => {$(
        async fn $name(&self, $($argument: $type),*) -> $returns {
            $port::$name(&self.port, $($argument),*).await
        }
    )*};
}

impl UploadJournal for MutantPort<MemoryJournal> {
    async fn create(&self, key: &ObjectKey, entry: &UploadEntry) -> Result<Option<ETag>, WriteError> {
        if self.is(Mutant::NoEntryCondition) {
            return Ok(Some(self.port.put(key, Some(entry.clone()))));
        }
        self.port.create(key, entry).await
    }

    forward! { UploadJournal:
        load(key: &ObjectKey) -> Result<Option<JournaledUpload>, Failure>;
        remove(key: &ObjectKey, seen: &ETag) -> Result<(), Failure>;
    }
}

impl DeleteIntents for MutantPort<MemoryJournal> {
    async fn announce(&self, key: &ObjectKey, intent: &DeleteIntent) -> Result<(), Failure> {
        if self.is(Mutant::NoIntents) {
            return Ok(());
        }
        self.port.announce(key, intent).await
    }

    forward! { DeleteIntents:
        find(key: &ObjectKey, covered: &VersionName) -> Result<Option<DeleteIntent>, Failure>;
    }
}

impl SourceBucket for MutantPort<MemoryBucket> {
    async fn read(&self, key: &ObjectKey, attributes: &AttributeSet) -> Result<ObjectState, Failure> {
        let read = self.port.read(key, attributes).await?;
        let mut memory = self.memory.lock().unwrap();
        let copied = memory.written.remove(key);
        let before = memory.read.get(key).cloned();
        if let Some(before) = before.clone().filter(|_| copied.is_some() && self.is(Mutant::NoReread)) {
            return Ok(before);
        }
        memory.read.insert(key.clone(), read.clone());
        match (read, copied) {
            (ObjectState::Present(facts), Some(copied)) => {
                let facts = self.as_copied(*facts, copied, before.as_ref().and_then(ObjectState::facts));
                Ok(ObjectState::Present(Box::new(facts)))
            }
            (read, _) => Ok(read),
        }
    }

    async fn read_more(
        &self,
        key: &ObjectKey,
        facts: &ObjectFacts,
        attributes: &AttributeSet,
    ) -> Result<Option<ObjectFacts>, Failure> {
        let mut read = self.port.read_more(key, facts, attributes).await?;
        if let Some(facts) = &mut read {
            if self.is(Mutant::NoEarlierRead) {
                facts.tags.take_if(|_| !attributes.contains(&Attribute::Tags));
                let is_read = attributes.contains(&Attribute::Annotations);
                facts.annotations.take_if(|_| !is_read);
            }
            let state = ObjectState::Present(Box::new(facts.clone()));
            self.memory.lock().unwrap().read.insert(key.clone(), state);
        }
        Ok(read)
    }

    async fn confirm_absence(&self, key: &ObjectKey) -> Result<Absence, Failure> {
        Ok(self.absence(self.port.confirm_absence(key).await?))
    }

    async fn list_versions(&self, key: &ObjectKey) -> Result<VersionListing, Failure> {
        let mut listing = self.port.list_versions(key).await?;
        if self.is(Mutant::NoSourceVersions) {
            listing.versions.truncate(1);
        }
        Ok(listing)
    }

    forward! { SourceBucket:
        layout(key: &ObjectKey, facts: &ObjectFacts) -> Result<PartLayout, Failure>;
        has_acl() -> Result<bool, Failure>;
        read_version(key: &ObjectKey, version: &VersionName) -> Result<ObjectState, Failure>;
        replication(key: &ObjectKey) -> Result<ReplicationCoverage, Failure>;
    }
}

impl MutantPort<MemoryDestination> {
    fn condition(&self, key: &ObjectKey, condition: &WriteCondition) -> WriteCondition {
        if !self.is(Mutant::NoCondition) {
            return condition.clone();
        }
        let current = self.port.bucket.facts(key.as_str());
        current.map_or(WriteCondition::Absent, |facts| WriteCondition::Matches(facts.etag))
    }

    fn pin(&self, key: &ObjectKey, pin: &SourcePin) -> SourcePin {
        let current = self.is(Mutant::NoPin).then(|| self.port.source.facts(key.as_str()));
        current
            .flatten()
            .map_or_else(|| pin.clone(), |facts| SourcePin::of(&facts))
    }

    /// Makes an object look like a copy, whatever it is.
    fn disguised(&self, key: &ObjectKey, state: ObjectState) -> ObjectState {
        let disguises = [Mutant::NoMarker, Mutant::NoBinding, Mutant::NoCopiedTags];
        let mut facts = match state {
            ObjectState::Present(facts) if disguises.contains(&self.mutant) => facts,
            _ => return state,
        };
        let bucket = route().destination;
        let place = ObjectLocation { bucket: &bucket, key };
        let marker = Marker::bound(&facts, place);
        let is_disguised = match self.mutant {
            Mutant::NoCopiedTags => marker.is_some(),
            Mutant::NoBinding => marker.is_none() && facts.user_metadata.contains_key(MARKER_NAME),
            _ => marker.is_none(),
        };
        if !is_disguised {
            return ObjectState::Present(facts);
        }
        if marker.is_none() {
            facts.user_metadata.remove(MARKER_NAME);
        }
        // Without a marker of its own, over the version below: so it seems to hide none.
        let below = || Some(self.port.bucket.history(key.as_str()).get(1)?.version.clone());
        let source = ObjectFacts {
            last_modified: marker
                .as_ref()
                .map_or(facts.last_modified, |marker| marker.source_last_modified),
            ..(*facts).clone()
        };
        let request = MarkerRequest {
            source_bucket: &route().source,
            location: place,
            requested: marker.as_ref().map_or(facts.last_modified, |marker| marker.requested),
            over: marker.map_or_else(below, |marker| marker.over),
            decided: Timestamp::from_seconds(0),
            attributes: AttributeDigests::of(&facts),
        };
        let method = if facts.etag.is_multipart() {
            CopyMethod::Multipart
        } else {
            CopyMethod::SingleRequest
        };
        if let Ok((_, marker)) = Marker::for_copy(&source, method, false, request) {
            facts.user_metadata.insert(MARKER_NAME.to_owned(), marker.to_text());
        }
        ObjectState::Present(facts)
    }
}

impl DestinationObjects for MutantPort<MemoryDestination> {
    async fn read(&self, key: &ObjectKey, attributes: &AttributeSet) -> Result<ObjectState, Failure> {
        let mut attributes = attributes.clone();
        attributes.extend(self.is(Mutant::NoCopiedTags).then_some(Attribute::Tags));
        Ok(self.disguised(key, self.port.read(key, &attributes).await?))
    }

    async fn confirm_absence(&self, key: &ObjectKey) -> Result<Absence, Failure> {
        Ok(self.absence(self.port.confirm_absence(key).await?))
    }

    async fn copy(&self, key: &ObjectKey, order: &CopyOrder) -> Result<WrittenObject, WriteError> {
        let order = CopyOrder {
            pin: self.pin(key, &order.pin),
            condition: self.condition(key, &order.condition),
            ..order.clone()
        };
        let mut written = self.written(key, self.port.copy(key, &order).await)?;
        let version = written.source_version_id.clone();
        self.memory.lock().unwrap().written.insert(key.clone(), version);
        if self.is(Mutant::NoCopyTime) {
            let hour = Duration::from_hours(1);
            written.last_modified = written.last_modified.map(|time| time.plus(hour));
        }
        Ok(written)
    }

    async fn update_attributes(&self, key: &ObjectKey, order: &AttributeUpdate) -> Result<AttributeSet, WriteError> {
        self.written(key, self.port.update_attributes(key, order).await)
    }

    async fn delete(&self, key: &ObjectKey, seen: &ETag) -> Result<Option<VersionId>, WriteError> {
        let etag = match self.condition(key, &WriteCondition::Matches(seen.clone())) {
            WriteCondition::Matches(etag) => etag,
            WriteCondition::Absent => seen.clone(),
        };
        self.written(key, self.port.delete(key, &etag).await)
    }

    forward! { DestinationObjects:
        object_lock() -> Result<Option<BucketObjectLock>, Failure>;
        default_encryption() -> Result<Option<ExplicitEncryption>, Failure>;
        has_acl() -> Result<bool, Failure>;
    }
}

impl DestinationVersions for MutantPort<MemoryDestination> {
    async fn list_versions(&self, key: &ObjectKey) -> Result<VersionListing, Failure> {
        let mut listing = self.port.list_versions(key).await?;
        match self.mutant {
            Mutant::NoHistory => listing.versions.truncate(1),
            Mutant::NoDepth => listing.versions.truncate(2),
            Mutant::NoOldestMarker => {
                for version in listing.versions.iter_mut().skip(1) {
                    if let VersionKind::Object { size_bytes, .. } = &mut version.kind {
                        *size_bytes += 1;
                    }
                }
            }
            _ => {}
        }
        Ok(listing)
    }

    async fn read_version(&self, key: &ObjectKey, version: &VersionName) -> Result<ObjectState, Failure> {
        Ok(self.disguised(key, self.port.read_version(key, version).await?))
    }

    forward! { DestinationVersions:
        is_versioned() -> Result<bool, Failure>;
        delete_version(key: &ObjectKey, version: &VersionName) -> Result<(), Failure>;
    }
}

impl MultipartUploads for MutantPort<MemoryDestination> {
    async fn copy_part(
        &self,
        key: &ObjectKey,
        upload_id: &UploadId,
        pin: &SourcePin,
        part: &PlannedPart,
    ) -> Result<CopiedPart, WriteError> {
        self.port.copy_part(key, upload_id, &self.pin(key, pin), part).await
    }

    async fn list_parts(&self, key: &ObjectKey, upload_id: &UploadId) -> Result<Option<Vec<CopiedPart>>, Failure> {
        // With `NoAbort`, an upload that was asked to be aborted seems to be gone.
        if self.aborted.lock().unwrap().contains(upload_id) {
            return Ok(None);
        }
        self.port.list_parts(key, upload_id).await
    }

    async fn list_uploads(&self, key: &ObjectKey) -> Result<Vec<ListedUpload>, Failure> {
        if self.is(Mutant::NoSearch) {
            return Ok(Vec::new());
        }
        self.port.list_uploads(key).await
    }

    async fn complete_upload(
        &self,
        key: &ObjectKey,
        upload_id: &UploadId,
        completion: &UploadCompletion,
    ) -> Result<WrittenObject, WriteError> {
        let completion = UploadCompletion {
            condition: self.condition(key, &completion.condition),
            ..completion.clone()
        };
        self.written(key, self.port.complete_upload(key, upload_id, &completion).await)
    }

    async fn abort_upload(&self, key: &ObjectKey, upload_id: &UploadId) -> Result<(), Failure> {
        if self.is(Mutant::NoAbort) {
            self.aborted.lock().unwrap().insert(upload_id.clone());
            return Ok(());
        }
        self.port.abort_upload(key, upload_id).await
    }

    forward! { MultipartUploads:
        create_upload(key: &ObjectKey, terms: &UploadParameters) -> Result<UploadId, WriteError>;
    }
}

impl MultipartProgress for MutantPort<MemoryDestination> {}

impl TwoStepCopies for MutantPort<MemoryDestination> {
    fn begin(&self, key: &ObjectKey, order: &CopyOrder) -> (Self, CopyOrder) {
        // Without its pin, a copy reads the source when it is finished.
        if self.is(Mutant::NoPin) {
            return (self.clone(), order.clone());
        }
        let (port, order) = self.port.begin(key, order);
        (self.of(port), order)
    }
}
