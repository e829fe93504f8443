//! The ports: traits through which the engine reaches AWS and the clock.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use s3ferry_core::bucket_settings::{BucketObjectLock, ReplicationCoverage};
use s3ferry_core::delete_intent::DeleteIntent;
use s3ferry_core::diff::SideName;
use s3ferry_core::event::{Continuation, ReceiptHandle};
use s3ferry_core::facts::{AttributeSet, ExplicitEncryption, ObjectFacts, ObjectState};
use s3ferry_core::failure::Failure;
use s3ferry_core::names::{ETag, ObjectKey, VersionId};
use s3ferry_core::order::{AttributeUpdate, CopyOrder, ExplicitChecksum, SourcePin, UploadParameters, WriteCondition};
use s3ferry_core::plan::{CopyPlan, PartLayout, PlannedPart};
use s3ferry_core::time::Timestamp;
use s3ferry_core::upload::{ListedUpload, UploadEntry, UploadId};
use s3ferry_core::versions::{VersionListing, VersionName};

/// The source bucket.
pub trait SourceBucket: Send + Sync {
    /// Reads the current object of a key, and `attributes` of it that a HEAD does not show.
    fn read(
        &self,
        key: &ObjectKey,
        attributes: &AttributeSet,
    ) -> impl Future<Output = Result<ObjectState, Failure>> + Send;

    /// Reads `attributes` of exactly the object that `facts` describe, and adds them to the facts.
    ///
    /// Returns `None` if the object no longer exists.
    fn read_more(
        &self,
        key: &ObjectKey,
        facts: &ObjectFacts,
        attributes: &AttributeSet,
    ) -> impl Future<Output = Result<Option<ObjectFacts>, Failure>> + Send;

    /// Reads the part sizes of the object that `facts` describe.
    fn layout(&self, key: &ObjectKey, facts: &ObjectFacts) -> impl Future<Output = Result<PartLayout, Failure>> + Send;

    /// Returns whether the bucket's objects have access control lists.
    fn has_acl(&self) -> impl Future<Output = Result<bool, Failure>> + Send;

    /// Lists the versions of a key that answered 404, to confirm that it has no current object.
    ///
    /// For up to 15 minutes after versioning was first enabled, S3 may answer 404 for objects that exist:
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/manage-versioning-examples.html>
    fn confirm_absence(&self, key: &ObjectKey) -> impl Future<Output = Result<Absence, Failure>> + Send;

    /// Lists the newest versions of exactly this key, like [`DestinationVersions::list_versions`].
    fn list_versions(&self, key: &ObjectKey) -> impl Future<Output = Result<VersionListing, Failure>> + Send;

    /// Reads one version of a key.
    fn read_version(
        &self,
        key: &ObjectKey,
        version: &VersionName,
    ) -> impl Future<Output = Result<ObjectState, Failure>> + Send;

    /// Reads whether a replication rule of the source bucket covers the key and this destination.
    fn replication(&self, key: &ObjectKey) -> impl Future<Output = Result<ReplicationCoverage, Failure>> + Send;
}

/// The result of listing the versions of a key that answered 404.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absence {
    /// The key has no current object.
    Confirmed,
    /// The key has a current object.
    ObjectFound,
}

/// Confirms the absence of a key that a listing contains and that answered 404.
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

/// The objects and the settings of the destination bucket.
pub trait DestinationObjects: Send + Sync {
    /// Reads the current object of a key, and `attributes` of it that a HEAD does not show.
    fn read(
        &self,
        key: &ObjectKey,
        attributes: &AttributeSet,
    ) -> impl Future<Output = Result<ObjectState, Failure>> + Send;

    /// Lists the versions of a key that answered 404, like [`SourceBucket::confirm_absence`].
    fn confirm_absence(&self, key: &ObjectKey) -> impl Future<Output = Result<Absence, Failure>> + Send;

    /// Reads the bucket's Object Lock configuration; `None` if it has no Object Lock.
    fn object_lock(&self) -> impl Future<Output = Result<Option<BucketObjectLock>, Failure>> + Send;

    /// Reads the bucket's default encryption; `None` without the permission to read it.
    fn default_encryption(&self) -> impl Future<Output = Result<Option<ExplicitEncryption>, Failure>> + Send;

    /// Returns whether the bucket's objects have access control lists.
    fn has_acl(&self) -> impl Future<Output = Result<bool, Failure>> + Send;

    /// Copies the source version that `order` pins, with a single request that is conditional on the destination.
    fn copy(
        &self,
        key: &ObjectKey,
        order: &CopyOrder,
    ) -> impl Future<Output = Result<WrittenObject, WriteError>> + Send;

    /// Updates attributes of the object that `order` names. Returns the attributes that the bucket cannot store.
    fn update_attributes(
        &self,
        key: &ObjectKey,
        order: &AttributeUpdate,
    ) -> impl Future<Output = Result<AttributeSet, WriteError>> + Send;

    /// Deletes the current object if its ETag is still `seen`.
    ///
    /// Returns the version id of the delete marker, if the bucket has versioning.
    fn delete(
        &self,
        key: &ObjectKey,
        seen: &ETag,
    ) -> impl Future<Output = Result<Option<VersionId>, WriteError>> + Send;
}

/// The versions of the destination's objects.
pub trait DestinationVersions: Send + Sync {
    /// Returns whether the bucket has versioning.
    fn is_versioned(&self) -> impl Future<Output = Result<bool, Failure>> + Send;

    /// Lists the newest versions of exactly this key: at least four, if the key has as many.
    fn list_versions(&self, key: &ObjectKey) -> impl Future<Output = Result<VersionListing, Failure>> + Send;

    /// Reads one version of a key.
    fn read_version(
        &self,
        key: &ObjectKey,
        version: &VersionName,
    ) -> impl Future<Output = Result<ObjectState, Failure>> + Send;

    /// Deletes one version of a key permanently. A version that does not exist is no failure.
    fn delete_version(
        &self,
        key: &ObjectKey,
        version: &VersionName,
    ) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// The multipart uploads of the destination bucket.
pub trait MultipartUploads: Send + Sync {
    /// Creates a multipart upload.
    fn create_upload(
        &self,
        key: &ObjectKey,
        terms: &UploadParameters,
    ) -> impl Future<Output = Result<UploadId, WriteError>> + Send;

    /// Copies one part of the source version that `pin` names. A repeated request replaces the part.
    fn copy_part(
        &self,
        key: &ObjectKey,
        upload_id: &UploadId,
        pin: &SourcePin,
        part: &PlannedPart,
    ) -> impl Future<Output = Result<CopiedPart, WriteError>> + Send;

    /// Lists the parts of an upload in the order of their numbers; `None` if the upload does not exist.
    fn list_parts(
        &self,
        key: &ObjectKey,
        upload_id: &UploadId,
    ) -> impl Future<Output = Result<Option<Vec<CopiedPart>>, Failure>> + Send;

    /// Lists all multipart uploads in progress for exactly this key, of every initiator.
    fn list_uploads(&self, key: &ObjectKey) -> impl Future<Output = Result<Vec<ListedUpload>, Failure>> + Send;

    /// Completes an upload, if the destination still meets the condition of `completion`.
    fn complete_upload(
        &self,
        key: &ObjectKey,
        upload_id: &UploadId,
        completion: &UploadCompletion,
    ) -> impl Future<Output = Result<WrittenObject, WriteError>> + Send;

    /// Aborts an upload. An upload that does not exist is no failure.
    ///
    /// A part in progress may arrive after the abort, and the upload then continues to exist.
    fn abort_upload(&self, key: &ObjectKey, upload_id: &UploadId) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// The progress of multipart copies. By default it is not shown.
pub trait MultipartProgress: Send + Sync {
    /// Reports a multipart copy before its missing parts are copied.
    fn parts_planned(&self, _key: &ObjectKey, _plan: &CopyPlan, _copied: &BTreeMap<u32, CopiedPart>) {}
}

/// The destination bucket.
pub trait DestinationBucket: DestinationObjects + DestinationVersions + MultipartUploads + MultipartProgress {}

impl<T: DestinationObjects + DestinationVersions + MultipartUploads + MultipartProgress> DestinationBucket for T {}

/// A part of an upload at the destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopiedPart {
    /// The part number, from 1.
    pub number: u32,
    /// The size of the part.
    pub size_bytes: u64,
    /// The part's ETag, which the completion of the upload repeats.
    pub etag: ETag,
    /// The part's checksum: algorithm (such as `CRC64NVME`) and base64 value.
    pub checksum: Option<(&'static str, String)>,
}

/// The parameters of the completion of an upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadCompletion {
    /// All parts, in the order of their numbers.
    pub parts: Vec<CopiedPart>,
    /// The condition on the destination object.
    pub condition: WriteCondition,
    /// The total size of all parts.
    pub size_bytes: u64,
    /// The explicit checksum of the upload's creation.
    pub checksum: Option<ExplicitChecksum>,
}

/// The object that a copy or a completed upload wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenObject {
    /// The version id, if the bucket has versioning.
    pub version_id: Option<VersionId>,
    /// The ETag of the object.
    pub etag: ETag,
    /// The source version that a single-request copy read, if the source bucket has versioning.
    pub source_version_id: Option<VersionId>,
    /// The time of the object, if the response shows it.
    pub last_modified: Option<Timestamp>,
}

/// The journal of multipart copies in progress, so that the next invocation can resume them.
///
/// An entry is durable once a call returns.
pub trait UploadJournal: Send + Sync {
    /// Reads the entry of a key.
    fn load(&self, key: &ObjectKey) -> impl Future<Output = Result<Option<JournaledUpload>, Failure>> + Send;

    /// Creates the entry of a key. Returns `None` if the key has an entry.
    fn create(
        &self,
        key: &ObjectKey,
        entry: &UploadEntry,
    ) -> impl Future<Output = Result<Option<ETag>, WriteError>> + Send;

    /// Deletes an entry if its ETag is still `seen`. An entry that changed belongs to another invocation.
    fn remove(&self, key: &ObjectKey, seen: &ETag) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// An entry that was read from the upload journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournaledUpload {
    /// The ETag of the journal's object.
    pub etag: ETag,
    /// The content of the entry; `None` if it is malformed, which the adapter logs.
    pub entry: Option<UploadEntry>,
}

/// The delete intents, written before the deletes are sent.
///
/// They distinguish the delete markers of s3ferry from those of applications. An intent is durable once a call returns.
pub trait DeleteIntents: Send + Sync {
    /// Writes the intent to delete one version, or replaces it.
    fn announce(&self, key: &ObjectKey, intent: &DeleteIntent) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Reads the intent to delete a version.
    fn find(
        &self,
        key: &ObjectKey,
        covered: &VersionName,
    ) -> impl Future<Output = Result<Option<DeleteIntent>, Failure>> + Send;
}

/// The state that is stored between invocations: upload journal and delete intents.
pub trait StateStore: UploadJournal + DeleteIntents {}

impl<T: UploadJournal + DeleteIntents> StateStore for T {}

/// The type of a journal that does not exist: multipart copies must finish within one invocation.
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

/// The error of a write that did not report success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WriteError {
    /// The source or the destination changed after it was read. Nothing was written.
    PreconditionFailed,
    /// No response arrived: the write may have landed, may still land, or neither.
    OutcomeUnknown(Failure),
    /// S3 rejected the write.
    Failed(Failure),
}

/// The queue to which unfinished keys are sent.
pub trait Continuations: Send + Sync {
    /// Sends a continuation with a delay of `delay`, or the longest delay that the queue supports.
    ///
    /// The continuation is durable once the call returns.
    fn send(&self, continuation: &Continuation, delay: Duration) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// The queue from which a message was received.
pub trait Redelivery: Send + Sync {
    /// Sets the visibility timeout of a received message: SQS redelivers it after `delay`.
    fn set_visibility_timeout(
        &self,
        receipt: &ReceiptHandle,
        delay: Duration,
    ) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// A clock.
pub trait Clock: Send + Sync {
    /// Returns the current time.
    fn now(&self) -> Timestamp;

    /// Waits for a duration.
    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send;
}
