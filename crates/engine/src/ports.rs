//! What the engine needs of the world.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use s3ferry_core::decide::{BucketObjectLock, ReplicationCoverage};
use s3ferry_core::diff::SideName;
use s3ferry_core::event::{Continuation, ReceiptHandle};
use s3ferry_core::facts::{AttributeSet, ExplicitEncryption, ObjectFacts, ObjectState};
use s3ferry_core::failure::Failure;
use s3ferry_core::names::{ETag, ObjectKey, VersionId};
use s3ferry_core::order::{AttributeUpdate, CopyOrder, ExplicitChecksum, SourcePin, UploadParameters, WriteCondition};
use s3ferry_core::plan::{CopyPlan, PartLayout, PlannedPart};
use s3ferry_core::time::Timestamp;
use s3ferry_core::upload::{ListedUpload, UploadEntry, UploadId};
use s3ferry_core::versions::{DeleteIntent, VersionListing, VersionName};

/// The bucket that is migrated.
pub trait SourceBucket: Send + Sync {
    /// Reads the current object of a key, and those `aspects` of it that a HEAD does not show.
    fn read(
        &self,
        key: &ObjectKey,
        attributes: &AttributeSet,
    ) -> impl Future<Output = Result<ObjectState, Failure>> + Send;

    /// Reads `aspects` of exactly the object that `facts` describe, and returns these facts with what was read;
    /// `None` when the object is no longer there.
    fn read_more(
        &self,
        key: &ObjectKey,
        facts: &ObjectFacts,
        attributes: &AttributeSet,
    ) -> impl Future<Output = Result<Option<ObjectFacts>, Failure>> + Send;

    /// Reads in which parts the object that `facts` describe was uploaded.
    fn layout(&self, key: &ObjectKey, facts: &ObjectFacts) -> impl Future<Output = Result<PartLayout, Failure>> + Send;

    /// Tells whether the bucket's objects have access control lists of their own.
    fn has_acl(&self) -> impl Future<Output = Result<bool, Failure>> + Send;

    /// Looks for positive evidence that a key that answered 404 has no current object: a listing of its versions.
    ///
    /// For up to 15 minutes after versioning was first enabled, S3 may answer 404 for objects that are there:
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/manage-versioning-examples.html>
    fn confirm_absence(&self, key: &ObjectKey) -> impl Future<Output = Result<Absence, Failure>> + Send;

    /// Lists the newest versions of exactly this key, as [`DestinationBucket::history`] does.
    fn versions(&self, key: &ObjectKey) -> impl Future<Output = Result<VersionListing, Failure>> + Send;

    /// Reads one version of a key.
    fn version(
        &self,
        key: &ObjectKey,
        version: &VersionName,
    ) -> impl Future<Output = Result<ObjectState, Failure>> + Send;

    /// Asks whether the bucket's own replication carries a key to our destination.
    fn replication(&self, key: &ObjectKey) -> impl Future<Output = Result<ReplicationCoverage, Failure>> + Send;
}

/// What a listing of a key's versions shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absence {
    /// The bucket answered, and the key has no current object.
    Confirmed,
    /// There is one after all.
    ObjectFound,
}

/// Looks for evidence that a key is gone that a listing named and a read answers 404 for.
pub(crate) async fn confirm_gone(
    state: ObjectState,
    is_listed: bool,
    key: &ObjectKey,
    side: SideName,
    confirm: impl Future<Output = Result<Absence, Failure>> + Send,
) -> Result<ObjectState, Failure> {
    if !is_listed || state != ObjectState::NotFound {
        return Ok(state);
    }
    match confirm.await? {
        Absence::Confirmed => Ok(ObjectState::ConfirmedAbsent),
        Absence::ObjectFound => Err(Failure::absence_unconfirmed(key, side)),
    }
}

/// The bucket that is migrated to.
pub trait DestinationBucket: Send + Sync {
    /// Reads the current object of a key, and those `aspects` of it that a HEAD does not show.
    fn read(
        &self,
        key: &ObjectKey,
        attributes: &AttributeSet,
    ) -> impl Future<Output = Result<ObjectState, Failure>> + Send;

    /// Looks for positive evidence that a key that answered 404 has no current object, as
    /// [`SourceBucket::confirm_absence`] does.
    fn confirm_absence(&self, key: &ObjectKey) -> impl Future<Output = Result<Absence, Failure>> + Send;

    /// Reads how the bucket locks new versions; `None` where it has no Object Lock.
    fn object_lock(&self) -> impl Future<Output = Result<Option<BucketObjectLock>, Failure>> + Send;

    /// Reads how the bucket encrypts what is written without saying how; `None` where that may not be read.
    fn default_encryption(&self) -> impl Future<Output = Result<Option<ExplicitEncryption>, Failure>> + Send;

    /// Tells whether the bucket's objects have access control lists of their own.
    fn has_acl(&self) -> impl Future<Output = Result<bool, Failure>> + Send;

    /// Copies the source version that `order` pins in one request, if the destination is still what `order` says.
    fn copy(
        &self,
        key: &ObjectKey,
        order: &CopyOrder,
    ) -> impl Future<Output = Result<WrittenObject, WriteError>> + Send;

    /// Changes what lies around the bytes of the object that `order` names; returns what of it the store cannot hold.
    fn update_attributes(
        &self,
        key: &ObjectKey,
        order: &AttributeUpdate,
    ) -> impl Future<Output = Result<AttributeSet, WriteError>> + Send;

    /// Deletes the current object if it is still the one that was `seen`; returns the delete marker that stands for it
    /// now, where the bucket has versions.
    fn delete(
        &self,
        key: &ObjectKey,
        seen: &ETag,
    ) -> impl Future<Output = Result<Option<VersionId>, WriteError>> + Send;

    /// Tells whether the bucket keeps versions.
    fn is_versioned(&self) -> impl Future<Output = Result<bool, Failure>> + Send;

    /// Lists the newest versions of exactly this key: at least four, if there are as many.
    fn history(&self, key: &ObjectKey) -> impl Future<Output = Result<VersionListing, Failure>> + Send;

    /// Reads one version of a key.
    fn read_version(
        &self,
        key: &ObjectKey,
        version: &VersionName,
    ) -> impl Future<Output = Result<ObjectState, Failure>> + Send;

    /// Removes one version of a key for good; one that is not there is no failure.
    fn remove_version(
        &self,
        key: &ObjectKey,
        version: &VersionName,
    ) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Begins an upload in parts.
    fn create_upload(
        &self,
        key: &ObjectKey,
        terms: &UploadParameters,
    ) -> impl Future<Output = Result<UploadId, WriteError>> + Send;

    /// Learns how far an upload is before its missing parts are copied. Only what shows progress needs it.
    fn parts_follow(&self, _key: &ObjectKey, _plan: &CopyPlan, _copied: &BTreeMap<u32, CopiedPart>) {}

    /// Copies one part of the source version that `pin` names. Doing so twice does no harm.
    fn copy_part(
        &self,
        key: &ObjectKey,
        upload_id: &UploadId,
        pin: &SourcePin,
        part: &PlannedPart,
    ) -> impl Future<Output = Result<CopiedPart, WriteError>> + Send;

    /// Lists the parts an upload has, in the order of their numbers; `None` when there is no such upload.
    fn list_parts(
        &self,
        key: &ObjectKey,
        upload_id: &UploadId,
    ) -> impl Future<Output = Result<Option<Vec<CopiedPart>>, Failure>> + Send;

    /// Lists the uploads of exactly this key that are under way, whoever began them.
    fn list_uploads(&self, key: &ObjectKey) -> impl Future<Output = Result<Vec<ListedUpload>, Failure>> + Send;

    /// Makes an object of an upload, if the destination is still what `completion` says.
    fn complete_upload(
        &self,
        key: &ObjectKey,
        upload_id: &UploadId,
        completion: &UploadCompletion,
    ) -> impl Future<Output = Result<WrittenObject, WriteError>> + Send;

    /// Drops an upload and the parts it has by now; one that is not there is no failure. A part that is under way may
    /// arrive after it and keep the upload alive.
    fn abort_upload(&self, key: &ObjectKey, upload_id: &UploadId) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// A part that is at the destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopiedPart {
    /// Its number, from 1.
    pub number: u32,
    /// Its size.
    pub size_bytes: u64,
    /// Its tag, which completion repeats.
    pub etag: ETag,
    /// Its checksum: algorithm (as in `CRC64NVME`) and base64 value.
    pub checksum: Option<(&'static str, String)>,
}

/// How an upload is completed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadCompletion {
    /// All parts in the order of their numbers.
    pub parts: Vec<CopiedPart>,
    /// What the destination must be.
    pub condition: WriteCondition,
    /// The size that all parts make together.
    pub size_bytes: u64,
    /// The checksum that was stated when the upload began.
    pub checksum: Option<ExplicitChecksum>,
}

/// What a copy or a completed upload became.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenObject {
    /// The version, where the bucket has versions.
    pub version_id: Option<VersionId>,
    /// The tag of the object.
    pub etag: ETag,
}

/// Where uploads in parts are written down, so that the next invocation can go on with them. An entry is durable once
/// a call returns.
pub trait UploadJournal: Send + Sync {
    /// Reads the entry of a key.
    fn load(&self, key: &ObjectKey) -> impl Future<Output = Result<Option<JournaledUpload>, Failure>> + Send;

    /// Writes the entry of a key unless it has one; `None` means that it has.
    fn create(
        &self,
        key: &ObjectKey,
        entry: &UploadEntry,
    ) -> impl Future<Output = Result<Option<ETag>, WriteError>> + Send;

    /// Removes an entry if it is still the one that was seen; if not, somebody else has dealt with it.
    fn remove(&self, key: &ObjectKey, seen: &ETag) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// An entry of the upload journal as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournaledUpload {
    /// The tag of the journal's object.
    pub etag: ETag,
    /// What it says; `None` when nobody can read it, which an adapter reports.
    pub entry: Option<UploadEntry>,
}

/// Where deletes of ours are announced before they are sent, so that the delete markers they leave can be told from those
/// of applications. An announcement is durable once a call returns.
pub trait DeleteIntents: Send + Sync {
    /// Announces the delete of one version, or announces it again.
    fn announce(&self, key: &ObjectKey, intent: &DeleteIntent) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Finds the announcement of the delete of a version.
    fn find(
        &self,
        key: &ObjectKey,
        covered: &VersionName,
    ) -> impl Future<Output = Result<Option<DeleteIntent>, Failure>> + Send;
}

/// What is written down between invocations.
pub trait StateStore: UploadJournal + DeleteIntents {}

impl<T: UploadJournal + DeleteIntents> StateStore for T {}

/// No journal: copies in parts must be done within one invocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoJournal {}

impl UploadJournal for NoJournal {
    async fn load(&self, _key: &ObjectKey) -> Result<Option<JournaledUpload>, Failure> {
        match *self {}
    }

    async fn create(&self, _key: &ObjectKey, _entry: &UploadEntry) -> Result<Option<ETag>, WriteError> {
        match *self {}
    }

    async fn remove(&self, _key: &ObjectKey, _seen: &ETag) -> Result<(), Failure> {
        match *self {}
    }
}

impl DeleteIntents for NoJournal {
    async fn announce(&self, _key: &ObjectKey, _intent: &DeleteIntent) -> Result<(), Failure> {
        match *self {}
    }

    async fn find(&self, _key: &ObjectKey, _covered: &VersionName) -> Result<Option<DeleteIntent>, Failure> {
        match *self {}
    }
}

/// Why a write did not report success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WriteError {
    /// Either side is no longer what was read. Nothing was written.
    PreconditionFailed,
    /// No answer came: the write may have happened, may still happen, or neither.
    OutcomeUnknown(Failure),
    /// The write was refused.
    Failed(Failure),
}

/// The queue that brings a key back.
pub trait Continuations: Send + Sync {
    /// Sends a continuation that arrives after `delay` at the earliest, or as late as the queue can delay it.
    /// It is durable once this returns.
    fn send(&self, continuation: &Continuation, delay: Duration) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// The queue that a message came from.
pub trait Redelivery: Send + Sync {
    /// Lets the message of a delivery come back after `delay`, rather than when the queue would bring it back by itself.
    fn return_after(
        &self,
        receipt: &ReceiptHandle,
        delay: Duration,
    ) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// The passing of time.
pub trait Clock: Send + Sync {
    /// Returns the present time.
    fn now(&self) -> Timestamp;

    /// Waits.
    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send;
}
