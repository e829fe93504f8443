//! A dry run: both sides are read, and writes are withheld and recorded.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use s3ferry_core::decide::BucketObjectLock;
use s3ferry_core::facts::{AttributeSet, ExplicitEncryption, ObjectState};
use s3ferry_core::failure::{Failure, FailureKind};
use s3ferry_core::names::{ETag, ObjectKey, VersionId};
use s3ferry_core::order::{AttributeUpdate, CopyOrder, SourcePin, UploadParameters};
use s3ferry_core::plan::PlannedPart;
use s3ferry_core::upload::{ListedUpload, UploadEntry, UploadId};
use s3ferry_core::versions::{DeleteIntent, VersionListing, VersionName};
use s3ferry_engine::ports::{
    Absence, CopiedPart, DeleteIntents, DestinationObjects, DestinationVersions, JournaledUpload, MultipartProgress,
    MultipartUploads, UploadCompletion, UploadJournal, WriteError, WrittenObject,
};

/// A write that a dry run withheld.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum WithheldWrite {
    Copy,
    MultipartCopy,
    UpdateAttributes,
    Delete,
    RemoveVersion,
    AbortUpload,
}

impl WithheldWrite {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Copy => "copy",
            Self::MultipartCopy => "multipart-copy",
            Self::UpdateAttributes => "update-attributes",
            Self::Delete => "delete",
            Self::RemoveVersion => "remove-version",
            Self::AbortUpload => "abort-upload",
        }
    }

    /// Returns what the summary says of the keys.
    pub(super) fn description(self) -> &'static str {
        match self {
            Self::Copy => "would be copied",
            Self::MultipartCopy => "would be copied by multipart copy",
            Self::UpdateAttributes => "would get the source's tags, Object Lock, annotations or grants",
            Self::Delete => "would be deleted",
            Self::RemoveVersion => "would have s3ferry's version removed, which hides an application's write",
            Self::AbortUpload => "would have an incomplete multipart upload aborted",
        }
    }
}

/// The writes that a dry run withheld, by key. A withheld write ends its reconcile; what it was is read from here.
#[derive(Debug, Clone, Default)]
pub(super) struct WithheldWrites(Arc<Mutex<BTreeMap<ObjectKey, WithheldWrite>>>);

impl WithheldWrites {
    /// Takes the first write that was withheld from a key.
    pub(super) fn take(&self, key: &ObjectKey) -> Option<WithheldWrite> {
        self.writes().remove(key)
    }

    /// Records a write, and returns the failure that ends the reconcile.
    fn withhold(&self, key: &ObjectKey, write: WithheldWrite) -> Failure {
        self.writes().entry(key.clone()).or_insert(write);
        Failure {
            kind: FailureKind::Permanent,
            code: "DryRun".into(),
            action: "write".to_owned(),
            resource: key.to_string(),
            detail: "nothing is written in a dry run".to_owned(),
        }
    }

    fn refuse<T>(&self, key: &ObjectKey, write: WithheldWrite) -> Result<T, WriteError> {
        Err(WriteError::Failed(self.withhold(key, write)))
    }

    fn writes(&self) -> MutexGuard<'_, BTreeMap<ObjectKey, WithheldWrite>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A destination that is read, but not written.
#[derive(Debug)]
pub(super) struct DryRunDestination<D> {
    pub(super) inner: D,
    pub(super) withheld: WithheldWrites,
}

/// A state store that is read, except for uploads, but not written.
#[derive(Debug)]
pub(super) struct DryRunStateStore<J> {
    pub(super) inner: J,
    pub(super) withheld: WithheldWrites,
}

impl<D: DestinationObjects> DestinationObjects for DryRunDestination<D> {
    async fn read(&self, key: &ObjectKey, attributes: &AttributeSet) -> Result<ObjectState, Failure> {
        self.inner.read(key, attributes).await
    }

    async fn confirm_absence(&self, key: &ObjectKey) -> Result<Absence, Failure> {
        self.inner.confirm_absence(key).await
    }

    async fn object_lock(&self) -> Result<Option<BucketObjectLock>, Failure> {
        self.inner.object_lock().await
    }

    async fn default_encryption(&self) -> Result<Option<ExplicitEncryption>, Failure> {
        self.inner.default_encryption().await
    }

    async fn has_acl(&self) -> Result<bool, Failure> {
        self.inner.has_acl().await
    }

    async fn copy(&self, key: &ObjectKey, _order: &CopyOrder) -> Result<WrittenObject, WriteError> {
        self.withheld.refuse(key, WithheldWrite::Copy)
    }

    async fn update_attributes(&self, key: &ObjectKey, _order: &AttributeUpdate) -> Result<AttributeSet, WriteError> {
        self.withheld.refuse(key, WithheldWrite::UpdateAttributes)
    }

    async fn delete(&self, key: &ObjectKey, _seen: &ETag) -> Result<Option<VersionId>, WriteError> {
        self.withheld.refuse(key, WithheldWrite::Delete)
    }
}

impl<D: DestinationVersions> DestinationVersions for DryRunDestination<D> {
    async fn is_versioned(&self) -> Result<bool, Failure> {
        self.inner.is_versioned().await
    }

    async fn history(&self, key: &ObjectKey) -> Result<VersionListing, Failure> {
        self.inner.history(key).await
    }

    async fn read_version(&self, key: &ObjectKey, version: &VersionName) -> Result<ObjectState, Failure> {
        self.inner.read_version(key, version).await
    }

    async fn remove_version(&self, key: &ObjectKey, _version: &VersionName) -> Result<(), Failure> {
        Err(self.withheld.withhold(key, WithheldWrite::RemoveVersion))
    }
}

impl<D: MultipartUploads> MultipartUploads for DryRunDestination<D> {
    async fn create_upload(&self, key: &ObjectKey, _terms: &UploadParameters) -> Result<UploadId, WriteError> {
        self.withheld.refuse(key, WithheldWrite::MultipartCopy)
    }

    async fn copy_part(
        &self,
        key: &ObjectKey,
        _upload_id: &UploadId,
        _pin: &SourcePin,
        _part: &PlannedPart,
    ) -> Result<CopiedPart, WriteError> {
        self.withheld.refuse(key, WithheldWrite::MultipartCopy)
    }

    async fn list_parts(&self, key: &ObjectKey, upload_id: &UploadId) -> Result<Option<Vec<CopiedPart>>, Failure> {
        self.inner.list_parts(key, upload_id).await
    }

    /// A dry run creates no uploads.
    async fn list_uploads(&self, _key: &ObjectKey) -> Result<Vec<ListedUpload>, Failure> {
        Ok(Vec::new())
    }

    async fn complete_upload(
        &self,
        key: &ObjectKey,
        _upload_id: &UploadId,
        _completion: &UploadCompletion,
    ) -> Result<WrittenObject, WriteError> {
        self.withheld.refuse(key, WithheldWrite::MultipartCopy)
    }

    async fn abort_upload(&self, key: &ObjectKey, _upload_id: &UploadId) -> Result<(), Failure> {
        Err(self.withheld.withhold(key, WithheldWrite::AbortUpload))
    }
}

impl<D: Send + Sync> MultipartProgress for DryRunDestination<D> {}

impl<J: UploadJournal> UploadJournal for DryRunStateStore<J> {
    /// A resumed upload and a new one are both a multipart copy.
    async fn load(&self, _key: &ObjectKey) -> Result<Option<JournaledUpload>, Failure> {
        Ok(None)
    }

    async fn create(&self, key: &ObjectKey, _entry: &UploadEntry) -> Result<Option<ETag>, WriteError> {
        self.withheld.refuse(key, WithheldWrite::MultipartCopy)
    }

    async fn remove(&self, _key: &ObjectKey, _seen: &ETag) -> Result<(), Failure> {
        Ok(())
    }
}

impl<J: DeleteIntents> DeleteIntents for DryRunStateStore<J> {
    async fn announce(&self, key: &ObjectKey, _intent: &DeleteIntent) -> Result<(), Failure> {
        Err(self.withheld.withhold(key, WithheldWrite::Delete))
    }

    async fn find(&self, key: &ObjectKey, covered: &VersionName) -> Result<Option<DeleteIntent>, Failure> {
        self.inner.find(key, covered).await
    }
}
