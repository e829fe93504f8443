//! Ports that leave out one thing the proof rests on.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use futures::FutureExt;
use s3ferry_core::decide::{BucketObjectLock, ReplicationCoverage};
use s3ferry_core::facts::{Attribute, AttributeSet, ExplicitEncryption, ObjectFacts, ObjectState};
use s3ferry_core::failure::Failure;
use s3ferry_core::names::{ETag, ObjectKey, VersionId};
use s3ferry_core::order::{AttributeUpdate, CopyOrder, SourcePin, UploadParameters, WriteCondition};
use s3ferry_core::plan::{PartLayout, PlannedPart};
use s3ferry_core::upload::{ListedUpload, UploadEntry, UploadId};
use s3ferry_core::versions::{DeleteIntent, VersionListing, VersionName};
use s3ferry_engine::ports::{
    Absence, CopiedPart, DeleteIntents, DestinationBucket, JournaledUpload, SourceBucket, UploadCompletion,
    UploadJournal, WriteError, WrittenObject,
};
use s3ferry_testkit::journal::MemoryJournal;
use s3ferry_testkit::memory::MemoryDestination;
use s3ferry_testkit::schedule::{ScheduledPort, SchedulerHandle, TwoStepCopies};

/// What is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mutant {
    /// Nothing: the engine as it is.
    Faithful,
    /// The read after a write answers what was read before it.
    NoReread,
    /// The destination takes every write.
    NoCondition,
    /// The source's current object is copied, whichever was read.
    NoPin,
    /// The queue takes continuations and loses them.
    NoContinuation,
    /// Uploads are never aborted.
    NoAbort,
    /// Uploads that nobody wrote down are not found.
    NoSearch,
    /// The journal takes an entry though there is one.
    NoEntryCondition,
    /// A message that comes again is taken for one that comes for the first time.
    NoLookBack,
    /// Absence is confirmed unseen.
    NoEvidence,
    /// Reading more of an object forgets what was read of it before.
    Forgetful,
}

/// The upload journal, below the scheduler.
#[derive(Debug, Clone)]
pub(crate) struct Journal {
    pub(crate) port: MemoryJournal,
    pub(crate) mutant: Mutant,
}

impl UploadJournal for Journal {
    async fn load(&self, key: &ObjectKey) -> Result<Option<JournaledUpload>, Failure> {
        self.port.load(key).await
    }

    async fn create(&self, key: &ObjectKey, entry: &UploadEntry) -> Result<Option<ETag>, WriteError> {
        if self.mutant == Mutant::NoEntryCondition {
            return Ok(Some(self.port.put(key, Some(entry.clone()))));
        }
        self.port.create(key, entry).await
    }

    async fn remove(&self, key: &ObjectKey, seen: &ETag) -> Result<(), Failure> {
        self.port.remove(key, seen).await
    }
}

impl DeleteIntents for Journal {
    async fn announce(&self, key: &ObjectKey, intent: &DeleteIntent) -> Result<(), Failure> {
        self.port.announce(key, intent).await
    }

    async fn find(&self, key: &ObjectKey, covered: &VersionName) -> Result<Option<DeleteIntent>, Failure> {
        self.port.find(key, covered).await
    }
}

/// The destination bucket, below the scheduler.
#[derive(Debug, Clone)]
pub(crate) struct Destination {
    pub(crate) port: MemoryDestination,
    pub(crate) mutant: Mutant,
    /// The uploads that were asked to go and did not.
    pub(crate) aborted: Arc<Mutex<BTreeSet<UploadId>>>,
}

fn at_once<T>(work: impl Future<Output = T>) -> T {
    work.now_or_never().unwrap()
}

impl Destination {
    fn is_aborted(&self, upload_id: &UploadId) -> bool {
        self.aborted.lock().unwrap().contains(upload_id)
    }

    fn current_tag(&self, key: &ObjectKey) -> Option<ETag> {
        let current = at_once(self.port.read(key, &AttributeSet::new())).unwrap();
        current.facts().map(|facts| facts.etag.clone())
    }

    fn condition(&self, key: &ObjectKey, condition: &WriteCondition) -> WriteCondition {
        if self.mutant != Mutant::NoCondition {
            return condition.clone();
        }
        self.current_tag(key)
            .map_or(WriteCondition::Absent, WriteCondition::Matches)
    }

    fn pin(&self, key: &ObjectKey, pin: &SourcePin) -> SourcePin {
        let source = at_once(self.port.source.read(key, &AttributeSet::new())).unwrap();
        match source {
            ObjectState::Present(facts) if self.mutant == Mutant::NoPin => SourcePin::of(&facts),
            _ => pin.clone(),
        }
    }

    fn changed(&self, key: &ObjectKey, order: &CopyOrder) -> CopyOrder {
        CopyOrder {
            pin: self.pin(key, &order.pin),
            condition: self.condition(key, &order.condition),
            ..order.clone()
        }
    }
}

impl DestinationBucket for Destination {
    async fn read(&self, key: &ObjectKey, attributes: &AttributeSet) -> Result<ObjectState, Failure> {
        self.port.read(key, attributes).await
    }

    async fn copy(&self, key: &ObjectKey, order: &CopyOrder) -> Result<WrittenObject, WriteError> {
        self.port.copy(key, &self.changed(key, order)).await
    }

    async fn delete(&self, key: &ObjectKey, seen: &ETag) -> Result<Option<VersionId>, WriteError> {
        let tag = match self.mutant {
            Mutant::NoCondition => self.current_tag(key).unwrap_or_else(|| seen.clone()),
            _ => seen.clone(),
        };
        self.port.delete(key, &tag).await
    }

    async fn is_versioned(&self) -> Result<bool, Failure> {
        self.port.is_versioned().await
    }

    async fn history(&self, key: &ObjectKey) -> Result<VersionListing, Failure> {
        self.port.history(key).await
    }

    async fn read_version(&self, key: &ObjectKey, version: &VersionName) -> Result<ObjectState, Failure> {
        self.port.read_version(key, version).await
    }

    async fn remove_version(&self, key: &ObjectKey, version: &VersionName) -> Result<(), Failure> {
        self.port.remove_version(key, version).await
    }

    async fn confirm_absence(&self, key: &ObjectKey) -> Result<Absence, Failure> {
        self.port.confirm_absence(key).await
    }

    async fn object_lock(&self) -> Result<Option<BucketObjectLock>, Failure> {
        self.port.object_lock().await
    }

    async fn default_encryption(&self) -> Result<Option<ExplicitEncryption>, Failure> {
        self.port.default_encryption().await
    }

    async fn has_acl(&self) -> Result<bool, Failure> {
        DestinationBucket::has_acl(&self.port).await
    }

    async fn update_attributes(&self, key: &ObjectKey, order: &AttributeUpdate) -> Result<AttributeSet, WriteError> {
        self.port.update_attributes(key, order).await
    }

    async fn create_upload(&self, key: &ObjectKey, terms: &UploadParameters) -> Result<UploadId, WriteError> {
        self.port.create_upload(key, terms).await
    }

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
        match self.mutant {
            // Says that an upload is gone once it was asked to go.
            Mutant::NoAbort if self.is_aborted(upload_id) => Ok(None),
            _ => self.port.list_parts(key, upload_id).await,
        }
    }

    async fn list_uploads(&self, key: &ObjectKey) -> Result<Vec<ListedUpload>, Failure> {
        if self.mutant == Mutant::NoSearch {
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
        self.port.complete_upload(key, upload_id, &completion).await
    }

    async fn abort_upload(&self, key: &ObjectKey, upload_id: &UploadId) -> Result<(), Failure> {
        if self.mutant == Mutant::NoAbort {
            self.aborted.lock().unwrap().insert(upload_id.clone());
            return Ok(());
        }
        self.port.abort_upload(key, upload_id).await
    }
}

impl TwoStepCopies for Destination {
    fn begin(&self, key: &ObjectKey, order: &CopyOrder) -> (Self, CopyOrder) {
        // Without its pin a copy reads the source when it is finished.
        if self.mutant == Mutant::NoPin {
            return (self.clone(), order.clone());
        }
        let (port, order) = self.port.begin(key, order);
        (Self { port, ..self.clone() }, order)
    }
}

/// The ports of one invocation, above the scheduler.
#[derive(Debug, Clone)]
pub(crate) struct Remembering<T> {
    pub(crate) port: ScheduledPort<T>,
    pub(crate) mutant: Mutant,
    pub(crate) written: Written,
}

/// The keys an invocation wrote and did not read again since; its two ports share it.
pub(crate) type Written = Arc<Mutex<BTreeSet<ObjectKey>>>;

impl<T> Remembering<T> {
    pub(crate) fn new(port: T, line: &SchedulerHandle, mutant: Mutant, written: &Written) -> Self {
        let line = line.clone();
        Self {
            port: ScheduledPort { port, line },
            mutant,
            written: Arc::clone(written),
        }
    }

    fn evidence(&self, found: Absence) -> Absence {
        match self.mutant {
            Mutant::NoEvidence => Absence::Confirmed,
            _ => found,
        }
    }
}

impl<T: SourceBucket + Clone + 'static> SourceBucket for Remembering<T> {
    async fn read(&self, key: &ObjectKey, attributes: &AttributeSet) -> Result<ObjectState, Failure> {
        let before = self.port.line.seen(key).source;
        let read = self.port.read(key, attributes).await?;
        let is_after_write = self.written.lock().unwrap().remove(key);
        let forgets = self.mutant == Mutant::NoReread && is_after_write;
        Ok(before.filter(|_| forgets).unwrap_or(read))
    }

    async fn confirm_absence(&self, key: &ObjectKey) -> Result<Absence, Failure> {
        let found = SourceBucket::confirm_absence(&self.port, key).await?;
        Ok(self.evidence(found))
    }

    async fn versions(&self, key: &ObjectKey) -> Result<VersionListing, Failure> {
        self.port.versions(key).await
    }

    async fn version(&self, key: &ObjectKey, version: &VersionName) -> Result<ObjectState, Failure> {
        self.port.version(key, version).await
    }

    async fn replication(&self, key: &ObjectKey) -> Result<ReplicationCoverage, Failure> {
        self.port.replication(key).await
    }

    async fn read_more(
        &self,
        key: &ObjectKey,
        facts: &ObjectFacts,
        attributes: &AttributeSet,
    ) -> Result<Option<ObjectFacts>, Failure> {
        let mut read = self.port.read_more(key, facts, attributes).await?;
        if let (Mutant::Forgetful, Some(read)) = (self.mutant, &mut read) {
            read.tags.take_if(|_| !attributes.contains(&Attribute::Tags));
            read.annotations
                .take_if(|_| !attributes.contains(&Attribute::Annotations));
        }
        Ok(read)
    }

    async fn layout(&self, key: &ObjectKey, facts: &ObjectFacts) -> Result<PartLayout, Failure> {
        self.port.layout(key, facts).await
    }

    async fn has_acl(&self) -> Result<bool, Failure> {
        SourceBucket::has_acl(&self.port).await
    }
}

impl<T: TwoStepCopies + 'static> DestinationBucket for Remembering<T> {
    async fn read(&self, key: &ObjectKey, attributes: &AttributeSet) -> Result<ObjectState, Failure> {
        self.port.read(key, attributes).await
    }

    async fn copy(&self, key: &ObjectKey, order: &CopyOrder) -> Result<WrittenObject, WriteError> {
        let copied = self.port.copy(key, order).await?;
        self.written.lock().unwrap().insert(key.clone());
        Ok(copied)
    }

    async fn delete(&self, key: &ObjectKey, seen: &ETag) -> Result<Option<VersionId>, WriteError> {
        let marker = self.port.delete(key, seen).await?;
        self.written.lock().unwrap().insert(key.clone());
        Ok(marker)
    }

    async fn is_versioned(&self) -> Result<bool, Failure> {
        self.port.is_versioned().await
    }

    async fn history(&self, key: &ObjectKey) -> Result<VersionListing, Failure> {
        self.port.history(key).await
    }

    async fn read_version(&self, key: &ObjectKey, version: &VersionName) -> Result<ObjectState, Failure> {
        self.port.read_version(key, version).await
    }

    async fn remove_version(&self, key: &ObjectKey, version: &VersionName) -> Result<(), Failure> {
        self.port.remove_version(key, version).await
    }

    async fn confirm_absence(&self, key: &ObjectKey) -> Result<Absence, Failure> {
        let found = DestinationBucket::confirm_absence(&self.port, key).await?;
        Ok(self.evidence(found))
    }

    async fn object_lock(&self) -> Result<Option<BucketObjectLock>, Failure> {
        self.port.object_lock().await
    }

    async fn default_encryption(&self) -> Result<Option<ExplicitEncryption>, Failure> {
        self.port.default_encryption().await
    }

    async fn has_acl(&self) -> Result<bool, Failure> {
        DestinationBucket::has_acl(&self.port).await
    }

    async fn update_attributes(&self, key: &ObjectKey, order: &AttributeUpdate) -> Result<AttributeSet, WriteError> {
        self.port.update_attributes(key, order).await?;
        self.written.lock().unwrap().insert(key.clone());
        Ok(AttributeSet::new())
    }

    async fn create_upload(&self, key: &ObjectKey, terms: &UploadParameters) -> Result<UploadId, WriteError> {
        self.port.create_upload(key, terms).await
    }

    async fn copy_part(
        &self,
        key: &ObjectKey,
        upload_id: &UploadId,
        pin: &SourcePin,
        part: &PlannedPart,
    ) -> Result<CopiedPart, WriteError> {
        self.port.copy_part(key, upload_id, pin, part).await
    }

    async fn list_parts(&self, key: &ObjectKey, upload_id: &UploadId) -> Result<Option<Vec<CopiedPart>>, Failure> {
        self.port.list_parts(key, upload_id).await
    }

    async fn list_uploads(&self, key: &ObjectKey) -> Result<Vec<ListedUpload>, Failure> {
        self.port.list_uploads(key).await
    }

    async fn complete_upload(
        &self,
        key: &ObjectKey,
        upload_id: &UploadId,
        completion: &UploadCompletion,
    ) -> Result<WrittenObject, WriteError> {
        let written = self.port.complete_upload(key, upload_id, completion).await?;
        self.written.lock().unwrap().insert(key.clone());
        Ok(written)
    }

    async fn abort_upload(&self, key: &ObjectKey, upload_id: &UploadId) -> Result<(), Failure> {
        self.port.abort_upload(key, upload_id).await
    }
}
