//! A decorator that fails, interrupts or counts the calls of any port.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use s3ferry_core::decide::{BucketLock, ReplicationCoverage};
use s3ferry_core::facts::{Aspects, ObjectFacts, ObjectState, StatedEncryption};
use s3ferry_core::failure::{Failure, FailureKind};
use s3ferry_core::history::{DeleteIntent, VersionListing, VersionName};
use s3ferry_core::names::{ETag, ObjectKey, VersionId};
use s3ferry_core::order::{AmendOrder, CopyOrder, SourcePin, UploadTerms};
use s3ferry_core::plan::{Part, SourceLayout};
use s3ferry_core::upload::{ListedUpload, UploadEntry, UploadId};
use s3ferry_engine::ports::{
    Absence, Completion, CopiedPart, DeleteIntents, DestinationBucket, FiledUpload, SourceBucket, UploadJournal,
    WriteError, Written,
};

/// The calls that can be interfered with: every method of the bucket ports and of what is written down between
/// invocations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
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
    /// [`DestinationBucket::read`]
    DestinationRead,
    /// [`DestinationBucket::copy`]
    Copy,
    /// [`DestinationBucket::delete`]
    Delete,
    /// [`SourceBucket::read_more`]
    ReadMore,
    /// [`SourceBucket::layout`]
    Layout,
    /// [`SourceBucket::has_acl`] and the destination's
    HasAcl,
    /// [`DestinationBucket::object_lock`]
    ObjectLock,
    /// [`DestinationBucket::default_encryption`]
    DefaultEncryption,
    /// [`DestinationBucket::amend`]
    Amend,
    /// [`DestinationBucket::create_upload`]
    CreateUpload,
    /// [`DestinationBucket::copy_part`]
    CopyPart,
    /// [`DestinationBucket::list_parts`]
    ListParts,
    /// [`DestinationBucket::list_uploads`]
    ListUploads,
    /// [`DestinationBucket::complete_upload`]
    CompleteUpload,
    /// [`DestinationBucket::abort_upload`]
    AbortUpload,
    /// [`UploadJournal::load`]
    LoadEntry,
    /// [`UploadJournal::create`]
    CreateEntry,
    /// [`UploadJournal::remove`]
    RemoveEntry,
    /// [`DestinationBucket::is_versioned`]
    IsVersioned,
    /// [`DestinationBucket::history`]
    History,
    /// [`DestinationBucket::read_version`]
    ReadVersion,
    /// [`DestinationBucket::remove_version`]
    RemoveVersion,
    /// [`DeleteIntents::announce`]
    Announce,
    /// [`DeleteIntents::find`]
    FindIntent,
}

/// What a test does between two calls.
pub type Act = Arc<dyn Fn() + Send + Sync>;

/// What happens to one call.
#[derive(Clone)]
pub enum Fault {
    /// It fails without effect.
    Fails(Failure),
    /// It takes effect, and then its answer is lost.
    AnswerLost,
    /// It never arrives, and an answer is waited for in vain.
    RequestLost,
    /// It panics.
    Panics,
    /// It never returns.
    Hangs,
    /// It takes effect after so long.
    Slow(Duration),
    /// Something else happens right before it.
    Before(Act),
    /// Something else happens right after it.
    After(Act),
}

impl Fault {
    /// Lets something happen right before the call.
    pub fn before(act: impl Fn() + Send + Sync + 'static) -> Self {
        Self::Before(Arc::new(act))
    }

    /// Lets something happen right after the call.
    pub fn after(act: impl Fn() + Send + Sync + 'static) -> Self {
        Self::After(Arc::new(act))
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Fails(_) => "Fails",
            Self::AnswerLost => "AnswerLost",
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
pub struct Script(Arc<Mutex<Lines>>);

#[derive(Debug, Default)]
struct Lines {
    once: BTreeMap<(Call, u32), Fault>,
    always: BTreeMap<Call, Fault>,
    counts: BTreeMap<Call, u32>,
}

impl Script {
    /// Interferes with the `nth` call (from 1).
    #[must_use]
    pub fn on(self, call: Call, nth: u32, fault: Fault) -> Self {
        self.lock().once.insert((call, nth), fault);
        self
    }

    /// Interferes with every call.
    #[must_use]
    pub fn always(self, call: Call, fault: Fault) -> Self {
        self.lock().always.insert(call, fault);
        self
    }

    /// Returns how often a call was made.
    pub fn count(&self, call: Call) -> u32 {
        self.lock().counts.get(&call).copied().unwrap_or(0)
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call and finds what happens to it.
    fn next(&self, call: Call) -> Option<Fault> {
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
        call: Call,
        work: impl Future<Output = Result<T, E>>,
        failed: impl Fn(Failure) -> E,
        lost: impl Fn() -> E,
    ) -> Result<T, E> {
        match self.next(call) {
            None => work.await,
            Some(Fault::Fails(failure)) => Err(failed(failure)),
            Some(Fault::RequestLost) => Err(lost()),
            Some(Fault::AnswerLost) => work.await.and_then(|_| Err(lost())),
            Some(Fault::Panics) => panic!("the script says that this call panics"),
            Some(Fault::Hangs) => std::future::pending().await,
            Some(Fault::Slow(duration)) => {
                tokio::time::sleep(duration).await;
                work.await
            }
            Some(Fault::Before(act)) => {
                act();
                work.await
            }
            Some(Fault::After(act)) => {
                let answer = work.await;
                act();
                answer
            }
        }
    }

    async fn read<T>(&self, call: Call, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        self.run(call, work, |failure| failure, || failure(FailureKind::Retry))
            .await
    }

    async fn write<T>(&self, call: Call, work: impl Future<Output = Result<T, WriteError>>) -> Result<T, WriteError> {
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
pub struct Faults<T> {
    /// The port itself.
    pub port: T,
    /// What happens to its calls.
    pub script: Script,
}

impl<T: SourceBucket> SourceBucket for Faults<T> {
    async fn read(&self, key: &ObjectKey, aspects: &Aspects) -> Result<ObjectState, Failure> {
        self.script.read(Call::SourceRead, self.port.read(key, aspects)).await
    }

    async fn confirm_absence(&self, key: &ObjectKey) -> Result<Absence, Failure> {
        self.script
            .read(Call::ConfirmAbsence, self.port.confirm_absence(key))
            .await
    }

    async fn versions(&self, key: &ObjectKey) -> Result<VersionListing, Failure> {
        self.script.read(Call::SourceVersions, self.port.versions(key)).await
    }

    async fn version(&self, key: &ObjectKey, version: &VersionName) -> Result<ObjectState, Failure> {
        let work = self.port.version(key, version);
        self.script.read(Call::SourceVersion, work).await
    }

    async fn replication(&self, key: &ObjectKey) -> Result<ReplicationCoverage, Failure> {
        self.script.read(Call::Replication, self.port.replication(key)).await
    }

    async fn read_more(
        &self,
        key: &ObjectKey,
        facts: &ObjectFacts,
        aspects: &Aspects,
    ) -> Result<Option<ObjectFacts>, Failure> {
        let work = self.port.read_more(key, facts, aspects);
        self.script.read(Call::ReadMore, work).await
    }

    async fn layout(&self, key: &ObjectKey, facts: &ObjectFacts) -> Result<SourceLayout, Failure> {
        self.script.read(Call::Layout, self.port.layout(key, facts)).await
    }

    async fn has_acl(&self) -> Result<bool, Failure> {
        self.script.read(Call::HasAcl, self.port.has_acl()).await
    }
}

impl<T: DestinationBucket> DestinationBucket for Faults<T> {
    async fn read(&self, key: &ObjectKey, aspects: &Aspects) -> Result<ObjectState, Failure> {
        self.script
            .read(Call::DestinationRead, self.port.read(key, aspects))
            .await
    }

    async fn copy(&self, key: &ObjectKey, order: &CopyOrder) -> Result<Written, WriteError> {
        self.script.write(Call::Copy, self.port.copy(key, order)).await
    }

    async fn delete(&self, key: &ObjectKey, seen: &ETag) -> Result<Option<VersionId>, WriteError> {
        self.script.write(Call::Delete, self.port.delete(key, seen)).await
    }

    async fn is_versioned(&self) -> Result<bool, Failure> {
        self.script.read(Call::IsVersioned, self.port.is_versioned()).await
    }

    async fn history(&self, key: &ObjectKey) -> Result<VersionListing, Failure> {
        self.script.read(Call::History, self.port.history(key)).await
    }

    async fn read_version(&self, key: &ObjectKey, version: &VersionName) -> Result<ObjectState, Failure> {
        let work = self.port.read_version(key, version);
        self.script.read(Call::ReadVersion, work).await
    }

    async fn remove_version(&self, key: &ObjectKey, version: &VersionName) -> Result<(), Failure> {
        let work = self.port.remove_version(key, version);
        self.script.read(Call::RemoveVersion, work).await
    }

    async fn confirm_absence(&self, key: &ObjectKey) -> Result<Absence, Failure> {
        self.script
            .read(Call::ConfirmAbsence, self.port.confirm_absence(key))
            .await
    }

    async fn object_lock(&self) -> Result<Option<BucketLock>, Failure> {
        self.script.read(Call::ObjectLock, self.port.object_lock()).await
    }

    async fn default_encryption(&self) -> Result<Option<StatedEncryption>, Failure> {
        self.script
            .read(Call::DefaultEncryption, self.port.default_encryption())
            .await
    }

    async fn has_acl(&self) -> Result<bool, Failure> {
        self.script.read(Call::HasAcl, self.port.has_acl()).await
    }

    async fn amend(&self, key: &ObjectKey, order: &AmendOrder) -> Result<Aspects, WriteError> {
        self.script.write(Call::Amend, self.port.amend(key, order)).await
    }

    async fn create_upload(&self, key: &ObjectKey, terms: &UploadTerms) -> Result<UploadId, WriteError> {
        let work = self.port.create_upload(key, terms);
        self.script.write(Call::CreateUpload, work).await
    }

    async fn copy_part(
        &self,
        key: &ObjectKey,
        upload_id: &UploadId,
        pin: &SourcePin,
        part: &Part,
    ) -> Result<CopiedPart, WriteError> {
        let work = self.port.copy_part(key, upload_id, pin, part);
        self.script.write(Call::CopyPart, work).await
    }

    async fn list_parts(&self, key: &ObjectKey, upload_id: &UploadId) -> Result<Option<Vec<CopiedPart>>, Failure> {
        let work = self.port.list_parts(key, upload_id);
        self.script.read(Call::ListParts, work).await
    }

    async fn list_uploads(&self, key: &ObjectKey) -> Result<Vec<ListedUpload>, Failure> {
        let work = self.port.list_uploads(key);
        self.script.read(Call::ListUploads, work).await
    }

    async fn complete_upload(
        &self,
        key: &ObjectKey,
        upload_id: &UploadId,
        completion: &Completion,
    ) -> Result<Written, WriteError> {
        let work = self.port.complete_upload(key, upload_id, completion);
        self.script.write(Call::CompleteUpload, work).await
    }

    async fn abort_upload(&self, key: &ObjectKey, upload_id: &UploadId) -> Result<(), Failure> {
        let work = self.port.abort_upload(key, upload_id);
        self.script.read(Call::AbortUpload, work).await
    }
}

impl<T: UploadJournal> UploadJournal for Faults<T> {
    async fn load(&self, key: &ObjectKey) -> Result<Option<FiledUpload>, Failure> {
        self.script.read(Call::LoadEntry, self.port.load(key)).await
    }

    async fn create(&self, key: &ObjectKey, entry: &UploadEntry) -> Result<Option<ETag>, WriteError> {
        let work = self.port.create(key, entry);
        self.script.write(Call::CreateEntry, work).await
    }

    async fn remove(&self, key: &ObjectKey, seen: &ETag) -> Result<(), Failure> {
        let work = self.port.remove(key, seen);
        self.script.read(Call::RemoveEntry, work).await
    }
}

impl<T: DeleteIntents> DeleteIntents for Faults<T> {
    async fn announce(&self, key: &ObjectKey, intent: &DeleteIntent) -> Result<(), Failure> {
        self.script.read(Call::Announce, self.port.announce(key, intent)).await
    }

    async fn find(&self, key: &ObjectKey, covered: &VersionName) -> Result<Option<DeleteIntent>, Failure> {
        self.script.read(Call::FindIntent, self.port.find(key, covered)).await
    }
}
