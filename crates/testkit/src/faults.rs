//! A decorator that fails, interrupts or counts the calls of any port.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use s3ferry_core::decide::{BucketObjectLock, ReplicationCoverage};
use s3ferry_core::facts::{AttributeSet, ExplicitEncryption, ObjectFacts, ObjectState};
use s3ferry_core::failure::{Failure, FailureKind};
use s3ferry_core::names::{ETag, ObjectKey, VersionId};
use s3ferry_core::order::{AttributeUpdate, CopyOrder, SourcePin, UploadParameters};
use s3ferry_core::plan::{PartLayout, PlannedPart};
use s3ferry_core::upload::{ListedUpload, UploadEntry, UploadId};
use s3ferry_core::versions::{DeleteIntent, VersionListing, VersionName};
use s3ferry_engine::ports::{
    Absence, CopiedPart, DeleteIntents, DestinationObjects, DestinationVersions, JournaledUpload, MultipartProgress,
    MultipartUploads, SourceBucket, UploadCompletion, UploadJournal, WriteError, WrittenObject,
};

/// The calls that can be interfered with: every method of the bucket ports and of what is written down between
/// invocations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PortCall {
    /// [`SourceBucket::read`]
    SourceRead,
    /// [`SourceBucket::confirm_absence`] and the destination's
    ConfirmAbsence,
    /// [`SourceBucket::versions`]
    SourceVersions,
    /// [`SourceBucket::version`]
    SourceVersion,
    /// [`SourceBucket::replication`]
    Replication,
    /// [`DestinationObjects::read`]
    DestinationRead,
    /// [`DestinationObjects::copy`]
    Copy,
    /// [`DestinationObjects::delete`]
    Delete,
    /// [`SourceBucket::read_more`]
    ReadMore,
    /// [`SourceBucket::layout`]
    Layout,
    /// [`SourceBucket::has_acl`] and the destination's
    HasAcl,
    /// [`DestinationObjects::object_lock`]
    ObjectLock,
    /// [`DestinationObjects::default_encryption`]
    DefaultEncryption,
    /// [`DestinationObjects::update_attributes`]
    UpdateAttributes,
    /// [`MultipartUploads::create_upload`]
    CreateUpload,
    /// [`MultipartUploads::copy_part`]
    CopyPart,
    /// [`MultipartUploads::list_parts`]
    ListParts,
    /// [`MultipartUploads::list_uploads`]
    ListUploads,
    /// [`MultipartUploads::complete_upload`]
    CompleteUpload,
    /// [`MultipartUploads::abort_upload`]
    AbortUpload,
    /// [`UploadJournal::load`]
    LoadEntry,
    /// [`UploadJournal::create`]
    CreateEntry,
    /// [`UploadJournal::remove`]
    RemoveEntry,
    /// [`DestinationVersions::is_versioned`]
    IsVersioned,
    /// [`DestinationVersions::history`]
    History,
    /// [`DestinationVersions::read_version`]
    ReadVersion,
    /// [`DestinationVersions::remove_version`]
    RemoveVersion,
    /// [`DeleteIntents::announce`]
    Announce,
    /// [`DeleteIntents::find`]
    FindIntent,
}

/// What a test does between two calls.
pub type FaultAction = Arc<dyn Fn() + Send + Sync>;

/// What happens to one call.
#[derive(Clone)]
pub enum PortFault {
    /// It fails without effect.
    Fails(Failure),
    /// It takes effect, and then its answer is lost.
    ResponseLost,
    /// It never arrives, and an answer is waited for in vain.
    RequestLost,
    /// It panics.
    Panics,
    /// It never returns.
    Hangs,
    /// It takes effect after so long.
    Slow(Duration),
    /// Something else happens right before it.
    Before(FaultAction),
    /// Something else happens right after it.
    After(FaultAction),
}

impl PortFault {
    /// Lets something happen right before the call.
    pub fn before(act: impl Fn() + Send + Sync + 'static) -> Self {
        Self::Before(Arc::new(act))
    }

    /// Lets something happen right after the call.
    pub fn after(act: impl Fn() + Send + Sync + 'static) -> Self {
        Self::After(Arc::new(act))
    }
}

impl fmt::Debug for PortFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Fails(_) => "Fails",
            Self::ResponseLost => "AnswerLost",
            Self::RequestLost => "RequestLost",
            Self::Panics => "Panics",
            Self::Hangs => "Hangs",
            Self::Slow(_) => "Slow",
            Self::Before(_) => "Before",
            Self::After(_) => "After",
        })
    }
}

/// The faults of a test, shared by the decorated ports.
#[derive(Debug, Clone, Default)]
pub struct FaultScript(Arc<Mutex<Lines>>);

#[derive(Debug, Default)]
struct Lines {
    once: BTreeMap<(PortCall, u32), PortFault>,
    always: BTreeMap<PortCall, PortFault>,
    counts: BTreeMap<PortCall, u32>,
}

impl FaultScript {
    /// Interferes with the `nth` call (from 1).
    #[must_use]
    pub fn on(self, call: PortCall, nth: u32, fault: PortFault) -> Self {
        self.lock().once.insert((call, nth), fault);
        self
    }

    /// Interferes with every call.
    #[must_use]
    pub fn always(self, call: PortCall, fault: PortFault) -> Self {
        self.lock().always.insert(call, fault);
        self
    }

    /// Returns how often a call was made.
    pub fn count(&self, call: PortCall) -> u32 {
        self.lock().counts.get(&call).copied().unwrap_or(0)
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call and finds what happens to it.
    fn next(&self, call: PortCall) -> Option<PortFault> {
        let mut lines = self.lock();
        let count = lines.counts.entry(call).or_default();
        *count += 1;
        let nth = *count;
        lines
            .once
            .get(&(call, nth))
            .or_else(|| lines.always.get(&call))
            .cloned()
    }

    async fn run<T, E>(
        &self,
        call: PortCall,
        work: impl Future<Output = Result<T, E>>,
        failed: impl Fn(Failure) -> E,
        lost: impl Fn() -> E,
    ) -> Result<T, E> {
        match self.next(call) {
            None => work.await,
            Some(PortFault::Fails(failure)) => Err(failed(failure)),
            Some(PortFault::RequestLost) => Err(lost()),
            Some(PortFault::ResponseLost) => work.await.and_then(|_| Err(lost())),
            Some(PortFault::Panics) => panic!("the script says that this call panics"),
            Some(PortFault::Hangs) => std::future::pending().await,
            Some(PortFault::Slow(duration)) => {
                tokio::time::sleep(duration).await;
                work.await
            }
            Some(PortFault::Before(act)) => {
                act();
                work.await
            }
            Some(PortFault::After(act)) => {
                let answer = work.await;
                act();
                answer
            }
        }
    }

    async fn read<T>(&self, call: PortCall, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        self.run(call, work, |failure| failure, || failure(FailureKind::Retry))
            .await
    }

    async fn write<T>(
        &self,
        call: PortCall,
        work: impl Future<Output = Result<T, WriteError>>,
    ) -> Result<T, WriteError> {
        let lost = || WriteError::OutcomeUnknown(failure(FailureKind::Retry));
        self.run(call, work, WriteError::Failed, lost).await
    }
}

/// Makes a failure of a kind.
pub fn failure(kind: FailureKind) -> Failure {
    Failure {
        kind,
        code: "Scripted".to_owned(),
        action: "s3:Test".to_owned(),
        resource: "arn:aws:s3:::test".to_owned(),
        detail: "the script says so".to_owned(),
    }
}

/// A port whose calls follow a script.
#[derive(Debug, Clone)]
pub struct FaultyPort<T> {
    /// The port itself.
    pub port: T,
    /// What happens to its calls.
    pub script: FaultScript,
}

impl<T: SourceBucket> SourceBucket for FaultyPort<T> {
    async fn read(&self, key: &ObjectKey, attributes: &AttributeSet) -> Result<ObjectState, Failure> {
        self.script
            .read(PortCall::SourceRead, self.port.read(key, attributes))
            .await
    }

    async fn confirm_absence(&self, key: &ObjectKey) -> Result<Absence, Failure> {
        self.script
            .read(PortCall::ConfirmAbsence, self.port.confirm_absence(key))
            .await
    }

    async fn versions(&self, key: &ObjectKey) -> Result<VersionListing, Failure> {
        self.script
            .read(PortCall::SourceVersions, self.port.versions(key))
            .await
    }

    async fn version(&self, key: &ObjectKey, version: &VersionName) -> Result<ObjectState, Failure> {
        let work = self.port.version(key, version);
        self.script.read(PortCall::SourceVersion, work).await
    }

    async fn replication(&self, key: &ObjectKey) -> Result<ReplicationCoverage, Failure> {
        self.script
            .read(PortCall::Replication, self.port.replication(key))
            .await
    }

    async fn read_more(
        &self,
        key: &ObjectKey,
        facts: &ObjectFacts,
        attributes: &AttributeSet,
    ) -> Result<Option<ObjectFacts>, Failure> {
        let work = self.port.read_more(key, facts, attributes);
        self.script.read(PortCall::ReadMore, work).await
    }

    async fn layout(&self, key: &ObjectKey, facts: &ObjectFacts) -> Result<PartLayout, Failure> {
        self.script.read(PortCall::Layout, self.port.layout(key, facts)).await
    }

    async fn has_acl(&self) -> Result<bool, Failure> {
        self.script.read(PortCall::HasAcl, self.port.has_acl()).await
    }
}

impl<T: DestinationObjects> DestinationObjects for FaultyPort<T> {
    async fn read(&self, key: &ObjectKey, attributes: &AttributeSet) -> Result<ObjectState, Failure> {
        self.script
            .read(PortCall::DestinationRead, self.port.read(key, attributes))
            .await
    }

    async fn copy(&self, key: &ObjectKey, order: &CopyOrder) -> Result<WrittenObject, WriteError> {
        self.script.write(PortCall::Copy, self.port.copy(key, order)).await
    }

    async fn delete(&self, key: &ObjectKey, seen: &ETag) -> Result<Option<VersionId>, WriteError> {
        self.script.write(PortCall::Delete, self.port.delete(key, seen)).await
    }

    async fn confirm_absence(&self, key: &ObjectKey) -> Result<Absence, Failure> {
        self.script
            .read(PortCall::ConfirmAbsence, self.port.confirm_absence(key))
            .await
    }

    async fn object_lock(&self) -> Result<Option<BucketObjectLock>, Failure> {
        self.script.read(PortCall::ObjectLock, self.port.object_lock()).await
    }

    async fn default_encryption(&self) -> Result<Option<ExplicitEncryption>, Failure> {
        self.script
            .read(PortCall::DefaultEncryption, self.port.default_encryption())
            .await
    }

    async fn has_acl(&self) -> Result<bool, Failure> {
        self.script.read(PortCall::HasAcl, self.port.has_acl()).await
    }

    async fn update_attributes(&self, key: &ObjectKey, order: &AttributeUpdate) -> Result<AttributeSet, WriteError> {
        self.script
            .write(PortCall::UpdateAttributes, self.port.update_attributes(key, order))
            .await
    }
}

impl<T: DestinationVersions> DestinationVersions for FaultyPort<T> {
    async fn is_versioned(&self) -> Result<bool, Failure> {
        self.script.read(PortCall::IsVersioned, self.port.is_versioned()).await
    }

    async fn history(&self, key: &ObjectKey) -> Result<VersionListing, Failure> {
        self.script.read(PortCall::History, self.port.history(key)).await
    }

    async fn read_version(&self, key: &ObjectKey, version: &VersionName) -> Result<ObjectState, Failure> {
        let work = self.port.read_version(key, version);
        self.script.read(PortCall::ReadVersion, work).await
    }

    async fn remove_version(&self, key: &ObjectKey, version: &VersionName) -> Result<(), Failure> {
        let work = self.port.remove_version(key, version);
        self.script.read(PortCall::RemoveVersion, work).await
    }
}

impl<T: MultipartUploads> MultipartUploads for FaultyPort<T> {
    async fn create_upload(&self, key: &ObjectKey, terms: &UploadParameters) -> Result<UploadId, WriteError> {
        let work = self.port.create_upload(key, terms);
        self.script.write(PortCall::CreateUpload, work).await
    }

    async fn copy_part(
        &self,
        key: &ObjectKey,
        upload_id: &UploadId,
        pin: &SourcePin,
        part: &PlannedPart,
    ) -> Result<CopiedPart, WriteError> {
        let work = self.port.copy_part(key, upload_id, pin, part);
        self.script.write(PortCall::CopyPart, work).await
    }

    async fn list_parts(&self, key: &ObjectKey, upload_id: &UploadId) -> Result<Option<Vec<CopiedPart>>, Failure> {
        let work = self.port.list_parts(key, upload_id);
        self.script.read(PortCall::ListParts, work).await
    }

    async fn list_uploads(&self, key: &ObjectKey) -> Result<Vec<ListedUpload>, Failure> {
        let work = self.port.list_uploads(key);
        self.script.read(PortCall::ListUploads, work).await
    }

    async fn complete_upload(
        &self,
        key: &ObjectKey,
        upload_id: &UploadId,
        completion: &UploadCompletion,
    ) -> Result<WrittenObject, WriteError> {
        let work = self.port.complete_upload(key, upload_id, completion);
        self.script.write(PortCall::CompleteUpload, work).await
    }

    async fn abort_upload(&self, key: &ObjectKey, upload_id: &UploadId) -> Result<(), Failure> {
        let work = self.port.abort_upload(key, upload_id);
        self.script.read(PortCall::AbortUpload, work).await
    }
}

impl<T: Send + Sync> MultipartProgress for FaultyPort<T> {}

impl<T: UploadJournal> UploadJournal for FaultyPort<T> {
    async fn load(&self, key: &ObjectKey) -> Result<Option<JournaledUpload>, Failure> {
        self.script.read(PortCall::LoadEntry, self.port.load(key)).await
    }

    async fn create(&self, key: &ObjectKey, entry: &UploadEntry) -> Result<Option<ETag>, WriteError> {
        let work = self.port.create(key, entry);
        self.script.write(PortCall::CreateEntry, work).await
    }

    async fn remove(&self, key: &ObjectKey, seen: &ETag) -> Result<(), Failure> {
        let work = self.port.remove(key, seen);
        self.script.read(PortCall::RemoveEntry, work).await
    }
}

impl<T: DeleteIntents> DeleteIntents for FaultyPort<T> {
    async fn announce(&self, key: &ObjectKey, intent: &DeleteIntent) -> Result<(), Failure> {
        self.script
            .read(PortCall::Announce, self.port.announce(key, intent))
            .await
    }

    async fn find(&self, key: &ObjectKey, covered: &VersionName) -> Result<Option<DeleteIntent>, Failure> {
        self.script
            .read(PortCall::FindIntent, self.port.find(key, covered))
            .await
    }
}
