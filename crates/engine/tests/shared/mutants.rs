//! Ports that leave out one thing that shared ownership rests on.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use s3ferry_core::attributes::AttributeDigests;
use s3ferry_core::decide::{BucketObjectLock, ReplicationCoverage};
use s3ferry_core::facts::{Attribute, AttributeSet, ExplicitEncryption, ObjectFacts, ObjectState};
use s3ferry_core::failure::Failure;
use s3ferry_core::marker::{MARKER_NAME, Marker, MarkerRequest, ObjectLocation};
use s3ferry_core::names::{ETag, ObjectKey, VersionId};
use s3ferry_core::order::{AttributeUpdate, CopyMethod, CopyOrder, SourcePin, UploadParameters};
use s3ferry_core::plan::{PartLayout, PlannedPart};
use s3ferry_core::time::Timestamp;
use s3ferry_core::upload::{ListedUpload, UploadEntry, UploadId};
use s3ferry_core::versions::{DeleteIntent, VersionKind, VersionListing, VersionName};
use s3ferry_engine::ports::{
    Absence, Clock, CopiedPart, DeleteIntents, DestinationBucket, JournaledUpload, SourceBucket, UploadCompletion,
    UploadJournal, WriteError, WrittenObject,
};
use s3ferry_testkit::journal::{MemoryJournal, route};
use s3ferry_testkit::memory::{MemoryBucket, MemoryDestination};
use s3ferry_testkit::schedule::{ScheduledPort, TwoStepCopies, VirtualClock};
use std::time::Duration;

/// What is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mutant {
    /// Nothing: the engine as it is.
    Faithful,
    /// Every object of the destination counts as ours.
    NoMarker,
    /// Every object of the destination that has a marker counts as ours, whatever it binds.
    NoBinding,
    /// A listing of versions shows the newest one only.
    NoHistory,
    /// A listing of versions shows what lies right below the newest one, and nothing deeper.
    NoDepth,
    /// Of several versions with one marker any may be the copy.
    NoFirstBearer,
    /// Whatever tags the destination has are taken for those that were copied.
    NoCopiedTags,
    /// Deletes are not announced.
    NoIntents,
    /// The read after a write answers what was read before it.
    NoReread,
    /// A listing of the source's versions shows the newest one only.
    NoSourceVersions,
}

/// The destination bucket, below the scheduler.
#[derive(Debug, Clone)]
pub(crate) struct Destination {
    pub(crate) port: MemoryDestination,
    pub(crate) mutant: Mutant,
}

impl Destination {
    /// Makes an object look like a copy of ours, whatever it is.
    fn disguised(&self, key: &ObjectKey, state: ObjectState) -> ObjectState {
        let ObjectState::Present(mut facts) = state else {
            return state;
        };
        if self.mutant == Mutant::NoCopiedTags {
            let copied = AttributeDigests::of(&facts);
            return self.marked(key, facts, |request| request.attributes = copied);
        }
        let disguises = match self.mutant {
            Mutant::NoMarker => true,
            Mutant::NoBinding => facts.user_metadata.contains_key(MARKER_NAME),
            _ => false,
        };
        let bucket = route().destination;
        let place = ObjectLocation { bucket: &bucket, key };
        if disguises && Marker::bound(&facts, place).is_none() {
            facts.user_metadata.remove(MARKER_NAME);
            // Over what lies below it, so that it seems to hide nothing.
            let history = self.port.bucket.history(key.as_str());
            let over = history.get(1).map(|stamp| stamp.version.clone());
            return self.marked(key, facts, |request| request.over = over);
        }
        ObjectState::Present(facts)
    }

    /// Gives an object a marker that vouches for it; one that it has is changed, and none is added to an external write
    /// that has one.
    fn marked(
        &self,
        key: &ObjectKey,
        mut facts: Box<ObjectFacts>,
        change: impl FnOnce(&mut MarkerRequest<'_>),
    ) -> ObjectState {
        let route = route();
        let place = ObjectLocation {
            bucket: &route.destination,
            key,
        };
        let marker = Marker::bound(&facts, place);
        if marker.is_none() && self.mutant == Mutant::NoCopiedTags {
            return ObjectState::Present(facts);
        }
        let copied = marker
            .as_ref()
            .map_or(facts.last_modified, |marker| marker.source_last_modified);
        let source = ObjectFacts {
            last_modified: copied,
            ..(*facts).clone()
        };
        let mut request = MarkerRequest {
            source_bucket: &route.source,
            location: place,
            over: marker.as_ref().and_then(|marker| marker.over.clone()),
            requested: marker.map_or(facts.last_modified, |marker| marker.requested),
            decided: Timestamp::from_seconds(0),
            attributes: AttributeDigests::of(&facts),
        };
        change(&mut request);
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

impl DestinationBucket for Destination {
    async fn read(&self, key: &ObjectKey, attributes: &AttributeSet) -> Result<ObjectState, Failure> {
        let mut attributes = attributes.clone();
        attributes.extend((self.mutant == Mutant::NoCopiedTags).then_some(Attribute::Tags));
        let state = self.port.read(key, &attributes).await?;
        Ok(self.disguised(key, state))
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

    async fn copy(&self, key: &ObjectKey, order: &CopyOrder) -> Result<WrittenObject, WriteError> {
        self.port.copy(key, order).await
    }

    async fn update_attributes(&self, key: &ObjectKey, order: &AttributeUpdate) -> Result<AttributeSet, WriteError> {
        self.port.update_attributes(key, order).await
    }

    async fn delete(&self, key: &ObjectKey, seen: &ETag) -> Result<Option<VersionId>, WriteError> {
        self.port.delete(key, seen).await
    }

    async fn is_versioned(&self) -> Result<bool, Failure> {
        self.port.is_versioned().await
    }

    async fn history(&self, key: &ObjectKey) -> Result<VersionListing, Failure> {
        let mut listing = self.port.history(key).await?;
        match self.mutant {
            Mutant::NoHistory => listing.versions.truncate(1),
            Mutant::NoDepth => listing.versions.truncate(2),
            Mutant::NoFirstBearer => {
                for stamp in listing.versions.iter_mut().skip(1) {
                    if let VersionKind::Object { size_bytes, .. } = &mut stamp.kind {
                        *size_bytes += 1;
                    }
                }
            }
            _ => {}
        }
        Ok(listing)
    }

    async fn read_version(&self, key: &ObjectKey, version: &VersionName) -> Result<ObjectState, Failure> {
        let state = self.port.read_version(key, version).await?;
        Ok(self.disguised(key, state))
    }

    async fn remove_version(&self, key: &ObjectKey, version: &VersionName) -> Result<(), Failure> {
        self.port.remove_version(key, version).await
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
        self.port.complete_upload(key, upload_id, completion).await
    }

    async fn abort_upload(&self, key: &ObjectKey, upload_id: &UploadId) -> Result<(), Failure> {
        self.port.abort_upload(key, upload_id).await
    }
}

impl TwoStepCopies for Destination {
    fn begin(&self, key: &ObjectKey, order: &CopyOrder) -> (Self, CopyOrder) {
        let (port, order) = self.port.begin(key, order);
        (Self { port, ..self.clone() }, order)
    }
}

/// What is written down, below the scheduler.
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
        self.port.create(key, entry).await
    }

    async fn remove(&self, key: &ObjectKey, seen: &ETag) -> Result<(), Failure> {
        self.port.remove(key, seen).await
    }
}

impl DeleteIntents for Journal {
    async fn announce(&self, key: &ObjectKey, intent: &DeleteIntent) -> Result<(), Failure> {
        if self.mutant == Mutant::NoIntents {
            return Ok(());
        }
        self.port.announce(key, intent).await
    }

    async fn find(&self, key: &ObjectKey, covered: &VersionName) -> Result<Option<DeleteIntent>, Failure> {
        self.port.find(key, covered).await
    }
}

/// The source bucket, above the scheduler.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) port: ScheduledPort<MemoryBucket>,
    pub(crate) mutant: Mutant,
    /// The keys that were read once.
    pub(crate) read: Arc<Mutex<BTreeSet<ObjectKey>>>,
}

impl SourceBucket for Source {
    async fn read(&self, key: &ObjectKey, attributes: &AttributeSet) -> Result<ObjectState, Failure> {
        if self.mutant == Mutant::NoReread && !self.read.lock().unwrap().insert(key.clone()) {
            let seen = self.port.line.seen(key).source;
            return Ok(seen.unwrap_or(ObjectState::NotFound));
        }
        self.port.read(key, attributes).await
    }

    async fn read_more(
        &self,
        key: &ObjectKey,
        facts: &ObjectFacts,
        attributes: &AttributeSet,
    ) -> Result<Option<ObjectFacts>, Failure> {
        self.port.read_more(key, facts, attributes).await
    }

    async fn layout(&self, key: &ObjectKey, facts: &ObjectFacts) -> Result<PartLayout, Failure> {
        self.port.layout(key, facts).await
    }

    async fn has_acl(&self) -> Result<bool, Failure> {
        self.port.has_acl().await
    }

    async fn confirm_absence(&self, key: &ObjectKey) -> Result<Absence, Failure> {
        self.port.confirm_absence(key).await
    }

    async fn versions(&self, key: &ObjectKey) -> Result<VersionListing, Failure> {
        let mut listing = self.port.versions(key).await?;
        if self.mutant == Mutant::NoSourceVersions {
            listing.versions.truncate(1);
        }
        Ok(listing)
    }

    async fn version(&self, key: &ObjectKey, version: &VersionName) -> Result<ObjectState, Failure> {
        self.port.version(key, version).await
    }

    /// A setting that nobody changes here: it makes no step.
    async fn replication(&self, _key: &ObjectKey) -> Result<ReplicationCoverage, Failure> {
        Ok(ReplicationCoverage::NotCovered)
    }
}

/// An invocation's own clock: no two of them agree to the millisecond.
#[derive(Debug, Clone)]
pub(crate) struct OwnClock {
    pub(crate) clock: VirtualClock,
    pub(crate) ahead: Duration,
}

impl Clock for OwnClock {
    fn now(&self) -> Timestamp {
        self.clock.now().plus(self.ahead)
    }

    async fn sleep(&self, duration: Duration) {
        self.clock.sleep(duration).await;
    }
}
