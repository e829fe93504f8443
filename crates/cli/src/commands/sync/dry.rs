//! A destination that lets nothing be written: what would have been is the name of the refusal.

use s3ferry_core::decide::BucketLock;
use s3ferry_core::facts::{Aspects, ObjectState, StatedEncryption};
use s3ferry_core::failure::{Failure, FailureKind};
use s3ferry_core::history::{DeleteIntent, VersionListing, VersionName};
use s3ferry_core::names::{ETag, ObjectKey, VersionId};
use s3ferry_core::order::{AmendOrder, CopyOrder, SourcePin, UploadTerms};
use s3ferry_core::plan::Part;
use s3ferry_core::upload::{ListedUpload, UploadEntry, UploadId};
use s3ferry_engine::ports::{
    Absence, Completion, CopiedPart, DeleteIntents, DestinationBucket, FiledUpload, UploadJournal, WriteError, Written,
};

/// The code of the failure that a write ends with which was not let through.
pub(super) const DRY_RUN: &str = "DryRun";

/// Reads the bucket, and refuses writes.
#[derive(Debug)]
pub(super) struct DryDestination<D>(pub(super) D);

/// Reads what was written down, but for uploads, and writes nothing.
#[derive(Debug)]
pub(super) struct DryStore<J>(pub(super) J);

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

impl<D: DestinationBucket> DestinationBucket for DryDestination<D> {
    async fn read(&self, key: &ObjectKey, aspects: &Aspects) -> Result<ObjectState, Failure> {
        self.0.read(key, aspects).await
    }

    async fn confirm_absence(&self, key: &ObjectKey) -> Result<Absence, Failure> {
        self.0.confirm_absence(key).await
    }

    async fn object_lock(&self) -> Result<Option<BucketLock>, Failure> {
        self.0.object_lock().await
    }

    async fn default_encryption(&self) -> Result<Option<StatedEncryption>, Failure> {
        self.0.default_encryption().await
    }

    async fn has_acl(&self) -> Result<bool, Failure> {
        self.0.has_acl().await
    }

    async fn copy(&self, key: &ObjectKey, _order: &CopyOrder) -> Result<Written, WriteError> {
        refused(key, "copy")
    }

    async fn amend(&self, key: &ObjectKey, _order: &AmendOrder) -> Result<Aspects, WriteError> {
        refused(key, "amend")
    }

    async fn delete(&self, key: &ObjectKey, _seen: &ETag) -> Result<Option<VersionId>, WriteError> {
        refused(key, "delete")
    }

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

    async fn create_upload(&self, key: &ObjectKey, _terms: &UploadTerms) -> Result<UploadId, WriteError> {
        refused(key, "copy-in-parts")
    }

    async fn copy_part(
        &self,
        key: &ObjectKey,
        _upload_id: &UploadId,
        _pin: &SourcePin,
        _part: &Part,
    ) -> Result<CopiedPart, WriteError> {
        refused(key, "copy-in-parts")
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
        _completion: &Completion,
    ) -> Result<Written, WriteError> {
        refused(key, "copy-in-parts")
    }

    async fn abort_upload(&self, key: &ObjectKey, _upload_id: &UploadId) -> Result<(), Failure> {
        Err(withheld(key, "abort-upload"))
    }
}

impl<J: UploadJournal> UploadJournal for DryStore<J> {
    /// An upload that is gone on with would be copied in parts as one that is begun.
    async fn load(&self, _key: &ObjectKey) -> Result<Option<FiledUpload>, Failure> {
        Ok(None)
    }

    async fn create(&self, key: &ObjectKey, _entry: &UploadEntry) -> Result<Option<ETag>, WriteError> {
        refused(key, "copy-in-parts")
    }

    async fn remove(&self, _key: &ObjectKey, _seen: &ETag) -> Result<(), Failure> {
        Ok(())
    }
}

impl<J: DeleteIntents> DeleteIntents for DryStore<J> {
    async fn announce(&self, key: &ObjectKey, _intent: &DeleteIntent) -> Result<(), Failure> {
        Err(withheld(key, "delete"))
    }

    async fn find(&self, key: &ObjectKey, covered: &VersionName) -> Result<Option<DeleteIntent>, Failure> {
        self.0.find(key, covered).await
    }
}
