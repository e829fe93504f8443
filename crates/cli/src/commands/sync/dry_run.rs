//! A destination that lets nothing be written: what would have been is the name of the refusal.

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

/// The code of the failure that a write ends with which was not let through.
pub(super) const DRY_RUN: &str = "DryRun";

/// Reads the bucket, and refuses writes.
#[derive(Debug)]
pub(super) struct DryRunDestination<D>(pub(super) D);

/// Reads what was written down, but for uploads, and writes nothing.
#[derive(Debug)]
pub(super) struct DryRunStateStore<J>(pub(super) J);

fn withheld(key: &ObjectKey, what: &str) -> Failure {
    Failure {
        kind: FailureKind::Permanent,
        code: DRY_RUN.to_owned(),
        action: what.to_owned(),
        resource: key.to_string(),
        detail: "nothing is written in a dry run".to_owned(),
    }
}

fn refused<T>(key: &ObjectKey, what: &str) -> Result<T, WriteError> {
    Err(WriteError::Failed(withheld(key, what)))
}

impl<D: DestinationObjects> DestinationObjects for DryRunDestination<D> {
    async fn read(&self, key: &ObjectKey, attributes: &AttributeSet) -> Result<ObjectState, Failure> {
        self.0.read(key, attributes).await
    }

    async fn confirm_absence(&self, key: &ObjectKey) -> Result<Absence, Failure> {
        self.0.confirm_absence(key).await
    }

    async fn object_lock(&self) -> Result<Option<BucketObjectLock>, Failure> {
        self.0.object_lock().await
    }

    async fn default_encryption(&self) -> Result<Option<ExplicitEncryption>, Failure> {
        self.0.default_encryption().await
    }

    async fn has_acl(&self) -> Result<bool, Failure> {
        self.0.has_acl().await
    }

    async fn copy(&self, key: &ObjectKey, _order: &CopyOrder) -> Result<WrittenObject, WriteError> {
        refused(key, "copy")
    }

    async fn update_attributes(&self, key: &ObjectKey, _order: &AttributeUpdate) -> Result<AttributeSet, WriteError> {
        refused(key, "update-attributes")
    }

    async fn delete(&self, key: &ObjectKey, _seen: &ETag) -> Result<Option<VersionId>, WriteError> {
        refused(key, "delete")
    }
}

impl<D: DestinationVersions> DestinationVersions for DryRunDestination<D> {
    async fn is_versioned(&self) -> Result<bool, Failure> {
        self.0.is_versioned().await
    }

    async fn history(&self, key: &ObjectKey) -> Result<VersionListing, Failure> {
        self.0.history(key).await
    }

    async fn read_version(&self, key: &ObjectKey, version: &VersionName) -> Result<ObjectState, Failure> {
        self.0.read_version(key, version).await
    }

    async fn remove_version(&self, key: &ObjectKey, _version: &VersionName) -> Result<(), Failure> {
        Err(withheld(key, "remove-version"))
    }
}

impl<D: MultipartUploads> MultipartUploads for DryRunDestination<D> {
    async fn create_upload(&self, key: &ObjectKey, _terms: &UploadParameters) -> Result<UploadId, WriteError> {
        refused(key, "multipart-copy")
    }

    async fn copy_part(
        &self,
        key: &ObjectKey,
        _upload_id: &UploadId,
        _pin: &SourcePin,
        _part: &PlannedPart,
    ) -> Result<CopiedPart, WriteError> {
        refused(key, "multipart-copy")
    }

    async fn list_parts(&self, key: &ObjectKey, upload_id: &UploadId) -> Result<Option<Vec<CopiedPart>>, Failure> {
        self.0.list_parts(key, upload_id).await
    }

    /// Nothing was begun, so nothing is looked for.
    async fn list_uploads(&self, _key: &ObjectKey) -> Result<Vec<ListedUpload>, Failure> {
        Ok(Vec::new())
    }

    async fn complete_upload(
        &self,
        key: &ObjectKey,
        _upload_id: &UploadId,
        _completion: &UploadCompletion,
    ) -> Result<WrittenObject, WriteError> {
        refused(key, "multipart-copy")
    }

    async fn abort_upload(&self, key: &ObjectKey, _upload_id: &UploadId) -> Result<(), Failure> {
        Err(withheld(key, "abort-upload"))
    }
}

impl<D: Send + Sync> MultipartProgress for DryRunDestination<D> {}

impl<J: UploadJournal> UploadJournal for DryRunStateStore<J> {
    /// An upload that is gone on with would be copied in parts as one that is begun.
    async fn load(&self, _key: &ObjectKey) -> Result<Option<JournaledUpload>, Failure> {
        Ok(None)
    }

    async fn create(&self, key: &ObjectKey, _entry: &UploadEntry) -> Result<Option<ETag>, WriteError> {
        refused(key, "multipart-copy")
    }

    async fn remove(&self, _key: &ObjectKey, _seen: &ETag) -> Result<(), Failure> {
        Ok(())
    }
}

impl<J: DeleteIntents> DeleteIntents for DryRunStateStore<J> {
    async fn announce(&self, key: &ObjectKey, _intent: &DeleteIntent) -> Result<(), Failure> {
        Err(withheld(key, "delete"))
    }

    async fn find(&self, key: &ObjectKey, covered: &VersionName) -> Result<Option<DeleteIntent>, Failure> {
        self.0.find(key, covered).await
    }
}
