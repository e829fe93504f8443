//! A destination that reports the progress of copies and counts failed preconditions.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use s3ferry_core::bucket_settings::BucketObjectLock;
use s3ferry_core::facts::{AttributeSet, ExplicitEncryption, ObjectState};
use s3ferry_core::failure::Failure;
use s3ferry_core::names::{ETag, ObjectKey, VersionId};
use s3ferry_core::order::{AttributeUpdate, CopyOrder, SourcePin, UploadParameters};
use s3ferry_core::plan::{CopyPlan, PlannedPart};
use s3ferry_core::upload::{ListedUpload, UploadId};
use s3ferry_core::versions::{VersionListing, VersionName};
use s3ferry_engine::ports::{
    Absence, CopiedPart, DestinationObjects, DestinationVersions, MultipartProgress, MultipartUploads,
    UploadCompletion, WriteError, WrittenObject,
};

use crate::progress::{LargeCopy, ProgressReporter};

/// Forwards every call.
#[derive(Debug)]
pub(super) struct ObservedDestination<D> {
    pub(super) inner: D,
    pub(super) progress: ProgressReporter,
    /// Copies whose preconditions failed.
    pub(super) precondition_failures: Arc<AtomicU64>,
}

impl<D> ObservedDestination<D> {
    fn written<T>(&self, written: Result<T, WriteError>, bytes: u64) -> Result<T, WriteError> {
        match &written {
            Ok(_) if bytes > 0 => self.progress.advance_bytes(bytes),
            Err(WriteError::PreconditionFailed) => {
                self.precondition_failures.fetch_add(1, Ordering::Relaxed);
            }
            Ok(_) | Err(_) => {}
        }
        written
    }
}

impl<D: DestinationObjects> DestinationObjects for ObservedDestination<D> {
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

    async fn copy(&self, key: &ObjectKey, order: &CopyOrder) -> Result<WrittenObject, WriteError> {
        self.written(self.inner.copy(key, order).await, order.size_bytes)
    }

    async fn update_attributes(&self, key: &ObjectKey, order: &AttributeUpdate) -> Result<AttributeSet, WriteError> {
        self.inner.update_attributes(key, order).await
    }

    async fn delete(&self, key: &ObjectKey, seen: &ETag) -> Result<Option<VersionId>, WriteError> {
        self.inner.delete(key, seen).await
    }
}

impl<D: DestinationVersions> DestinationVersions for ObservedDestination<D> {
    async fn is_versioned(&self) -> Result<bool, Failure> {
        self.inner.is_versioned().await
    }

    async fn list_versions(&self, key: &ObjectKey) -> Result<VersionListing, Failure> {
        self.inner.list_versions(key).await
    }

    async fn read_version(&self, key: &ObjectKey, version: &VersionName) -> Result<ObjectState, Failure> {
        self.inner.read_version(key, version).await
    }

    async fn delete_version(&self, key: &ObjectKey, version: &VersionName) -> Result<(), Failure> {
        self.inner.delete_version(key, version).await
    }
}

impl<D: MultipartUploads> MultipartUploads for ObservedDestination<D> {
    async fn create_upload(&self, key: &ObjectKey, terms: &UploadParameters) -> Result<UploadId, WriteError> {
        self.inner.create_upload(key, terms).await
    }

    async fn copy_part(
        &self,
        key: &ObjectKey,
        upload_id: &UploadId,
        pin: &SourcePin,
        part: &PlannedPart,
    ) -> Result<CopiedPart, WriteError> {
        let copied = self.inner.copy_part(key, upload_id, pin, part).await;
        if copied.is_ok() {
            self.progress.advance_large(key, part.size_bytes);
        }
        copied
    }

    async fn list_parts(&self, key: &ObjectKey, upload_id: &UploadId) -> Result<Option<Vec<CopiedPart>>, Failure> {
        self.inner.list_parts(key, upload_id).await
    }

    async fn list_uploads(&self, key: &ObjectKey) -> Result<Vec<ListedUpload>, Failure> {
        self.inner.list_uploads(key).await
    }

    async fn complete_upload(
        &self,
        key: &ObjectKey,
        upload_id: &UploadId,
        completion: &UploadCompletion,
    ) -> Result<WrittenObject, WriteError> {
        let written = self.inner.complete_upload(key, upload_id, completion).await;
        self.progress.end_large(key);
        // Its bytes were counted part by part.
        self.written(written, 0)
    }

    async fn abort_upload(&self, key: &ObjectKey, upload_id: &UploadId) -> Result<(), Failure> {
        self.progress.end_large(key);
        self.inner.abort_upload(key, upload_id).await
    }
}

impl<D: Send + Sync> MultipartProgress for ObservedDestination<D> {
    fn parts_planned(&self, key: &ObjectKey, plan: &CopyPlan, copied: &BTreeMap<u32, CopiedPart>) {
        self.progress.begin_large(
            key,
            LargeCopy {
                parts: copied.values().map(|_| 1).sum(),
                all_parts: plan.count().into(),
                bytes: copied.values().map(|part| part.size_bytes).sum(),
                all_bytes: plan.size_bytes(),
            },
        );
    }
}
