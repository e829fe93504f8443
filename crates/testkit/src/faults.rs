//! A decorator that fails, delays, interrupts or counts the calls of any port.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use s3ferry_core::bucket_settings::{BucketObjectLock, ReplicationCoverage};
use s3ferry_core::delete_intent::DeleteIntent;
use s3ferry_core::facts::{AttributeSet, ExplicitEncryption, ObjectFacts, ObjectState};
use s3ferry_core::failure::{Failure, FailureKind};
use s3ferry_core::names::{ETag, ObjectKey, VersionId};
use s3ferry_core::order::{AttributeUpdate, CopyOrder, SourcePin, UploadParameters};
use s3ferry_core::plan::{PartLayout, PlannedPart};
use s3ferry_core::upload::{ListedUpload, UploadEntry, UploadId};
use s3ferry_core::versions::{VersionListing, VersionName};
use s3ferry_engine::ports::{
    Absence, CopiedPart, DeleteIntents, DestinationObjects, DestinationVersions, JournaledUpload, MultipartProgress,
    MultipartUploads, SourceBucket, UploadCompletion, UploadJournal, WriteError, WrittenObject,
};

/// Calls that a test can interrupt: every method of the bucket ports, the upload journal and the delete intents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PortCall {
    /// [`SourceBucket::read`]
    SourceRead,
    /// [`SourceBucket::confirm_absence`] and [`DestinationObjects::confirm_absence`]
    ConfirmAbsence,
    /// [`SourceBucket::list_versions`]
    ListSourceVersions,
    /// [`SourceBucket::read_version`]
    ReadSourceVersion,
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
    /// [`SourceBucket::has_acl`] and [`DestinationObjects::has_acl`]
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
    /// [`DestinationVersions::list_versions`]
    ListVersions,
    /// [`DestinationVersions::read_version`]
    ReadVersion,
    /// [`DestinationVersions::delete_version`]
    DeleteVersion,
    /// [`DeleteIntents::announce`]
    Announce,
    /// [`DeleteIntents::find`]
    FindIntent,
}

/// An action that a test runs before or after a call.
pub type FaultAction = Arc<dyn Fn() + Send + Sync>;

/// A fault of one call.
#[derive(Clone)]
pub enum PortFault {
    /// The call fails without effect.
    Fails(Failure),
    /// The call takes effect, but its response is lost.
    ResponseLost,
    /// The call has no effect, and its response never arrives.
    RequestLost,
    /// The call panics.
    Panics,
    /// The call never returns.
    Hangs,
    /// The call takes effect after this delay.
    Slow(Duration),
    /// The action runs directly before the call.
    Before(FaultAction),
    /// The action runs directly after the call.
    After(FaultAction),
}

impl PortFault {
    /// Runs an action directly before the call.
    pub fn before(act: impl Fn() + Send + Sync + 'static) -> Self {
        Self::Before(Arc::new(act))
    }

    /// Runs an action directly after the call.
    pub fn after(act: impl Fn() + Send + Sync + 'static) -> Self {
        Self::After(Arc::new(act))
    }
}

impl fmt::Debug for PortFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Fails(_) => "Fails",
            Self::ResponseLost => "ResponseLost",
            Self::RequestLost => "RequestLost",
            Self::Panics => "Panics",
            Self::Hangs => "Hangs",
            Self::Slow(_) => "Slow",
            Self::Before(_) => "Before",
            Self::After(_) => "After",
        })
    }
}

/// The faults of a test. Clones use the same faults and counts.
#[derive(Debug, Clone, Default)]
pub struct FaultScript(Arc<Mutex<Lines>>);

#[derive(Debug, Default)]
struct Lines {
    once: BTreeMap<(PortCall, u32), PortFault>,
    always: BTreeMap<PortCall, PortFault>,
    counts: BTreeMap<PortCall, u32>,
}

impl FaultScript {
    /// Adds a fault of the `nth` call, counted from 1.
    #[must_use]
    pub fn on(self, call: PortCall, nth: u32, fault: PortFault) -> Self {
        self.lock().once.insert((call, nth), fault);
        self
    }

    /// Adds a fault of every call.
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

    /// Counts a call and returns its fault.
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

    async fn run<T, E: CallError>(&self, call: PortCall, work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        let lost = || E::unknown(failure(FailureKind::Retry));
        match self.next(call) {
            None => work.await,
            Some(PortFault::Fails(failure)) => Err(E::failed(failure)),
            Some(PortFault::RequestLost) => Err(lost()),
            Some(PortFault::ResponseLost) => work.await.and_then(|_| Err(lost())),
            Some(PortFault::Panics) => panic!("{call:?}: scripted panic"),
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
}

/// The errors of calls that are interfered with.
pub(crate) trait CallError: Sized + Send + 'static {
    fn failed(failure: Failure) -> Self;
    fn unknown(failure: Failure) -> Self;
}

impl CallError for Failure {
    fn failed(failure: Failure) -> Self {
        failure
    }

    fn unknown(failure: Failure) -> Self {
        failure
    }
}

impl CallError for WriteError {
    fn failed(failure: Failure) -> Self {
        Self::Failed(failure)
    }

    fn unknown(failure: Failure) -> Self {
        Self::OutcomeUnknown(failure)
    }
}

/// Creates a failure of the given kind.
pub fn failure(kind: FailureKind) -> Failure {
    Failure {
        kind,
        code: "Scripted".into(),
        action: "s3:Test".to_owned(),
        resource: "arn:aws:s3:::test".to_owned(),
        detail: "scripted failure".to_owned(),
    }
}

/// A port whose calls follow a fault script.
#[derive(Debug, Clone)]
pub struct FaultyPort<T> {
    /// The decorated port.
    pub port: T,
    /// The faults of its calls.
    pub script: FaultScript,
}

/// Implements a port by the methods of the decorated port, each call as the script says.
macro_rules! scripted {
    ($port:ident: $($call:ident = $name:ident($($argument:ident: &$type:ty),*) -> $returns:ty;)*) => {
        impl<T: $port> $port for FaultyPort<T> {$(
            async fn $name(&self, $($argument: &$type),*) -> $returns {
                self.script.run(PortCall::$call, self.port.$name($($argument),*)).await
            }
        )*}
    };
}

scripted! { SourceBucket:
    SourceRead = read(key: &ObjectKey, attributes: &AttributeSet) -> Result<ObjectState, Failure>;
    ConfirmAbsence = confirm_absence(key: &ObjectKey) -> Result<Absence, Failure>;
    ListSourceVersions = list_versions(key: &ObjectKey) -> Result<VersionListing, Failure>;
    ReadSourceVersion = read_version(key: &ObjectKey, version: &VersionName) -> Result<ObjectState, Failure>;
    Replication = replication(key: &ObjectKey) -> Result<ReplicationCoverage, Failure>;
    ReadMore = read_more(key: &ObjectKey, facts: &ObjectFacts, attributes: &AttributeSet)
        -> Result<Option<ObjectFacts>, Failure>;
    Layout = layout(key: &ObjectKey, facts: &ObjectFacts) -> Result<PartLayout, Failure>;
    HasAcl = has_acl() -> Result<bool, Failure>;
}

scripted! { DestinationObjects:
    DestinationRead = read(key: &ObjectKey, attributes: &AttributeSet) -> Result<ObjectState, Failure>;
    Copy = copy(key: &ObjectKey, order: &CopyOrder) -> Result<WrittenObject, WriteError>;
    Delete = delete(key: &ObjectKey, seen: &ETag) -> Result<Option<VersionId>, WriteError>;
    ConfirmAbsence = confirm_absence(key: &ObjectKey) -> Result<Absence, Failure>;
    ObjectLock = object_lock() -> Result<Option<BucketObjectLock>, Failure>;
    DefaultEncryption = default_encryption() -> Result<Option<ExplicitEncryption>, Failure>;
    HasAcl = has_acl() -> Result<bool, Failure>;
    UpdateAttributes = update_attributes(key: &ObjectKey, order: &AttributeUpdate) -> Result<AttributeSet, WriteError>;
}

scripted! { DestinationVersions:
    IsVersioned = is_versioned() -> Result<bool, Failure>;
    ListVersions = list_versions(key: &ObjectKey) -> Result<VersionListing, Failure>;
    ReadVersion = read_version(key: &ObjectKey, version: &VersionName) -> Result<ObjectState, Failure>;
    DeleteVersion = delete_version(key: &ObjectKey, version: &VersionName) -> Result<(), Failure>;
}

scripted! { MultipartUploads:
    CreateUpload = create_upload(key: &ObjectKey, terms: &UploadParameters) -> Result<UploadId, WriteError>;
    CopyPart = copy_part(key: &ObjectKey, upload_id: &UploadId, pin: &SourcePin, part: &PlannedPart)
        -> Result<CopiedPart, WriteError>;
    ListParts = list_parts(key: &ObjectKey, upload_id: &UploadId) -> Result<Option<Vec<CopiedPart>>, Failure>;
    ListUploads = list_uploads(key: &ObjectKey) -> Result<Vec<ListedUpload>, Failure>;
    CompleteUpload = complete_upload(key: &ObjectKey, upload_id: &UploadId, completion: &UploadCompletion)
        -> Result<WrittenObject, WriteError>;
    AbortUpload = abort_upload(key: &ObjectKey, upload_id: &UploadId) -> Result<(), Failure>;
}

impl<T: Send + Sync> MultipartProgress for FaultyPort<T> {}

scripted! { UploadJournal:
    LoadEntry = load(key: &ObjectKey) -> Result<Option<JournaledUpload>, Failure>;
    CreateEntry = create(key: &ObjectKey, entry: &UploadEntry) -> Result<Option<ETag>, WriteError>;
    RemoveEntry = remove(key: &ObjectKey, seen: &ETag) -> Result<(), Failure>;
}

scripted! { DeleteIntents:
    Announce = announce(key: &ObjectKey, intent: &DeleteIntent) -> Result<(), Failure>;
    FindIntent = find(key: &ObjectKey, covered: &VersionName) -> Result<Option<DeleteIntent>, Failure>;
}
