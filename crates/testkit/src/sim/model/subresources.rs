//! Updates of an existing object: tags, grants, annotations, encryption and restore.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::error::{SimError, SimErrorCode, SimResult};
use super::event::{EventSubject, EventType};
use super::lock::check_unlocked;
use super::object::{SimAnnotation, SimEncryption, SimGrant, SimObject};
use super::put::check_tags;
use super::simulator::{Simulator, WriteTarget};

/// Maximum size of an annotation: 1 MiB.
const ANNOTATION_LIMIT_BYTES: usize = 1024 * 1024;

/// Maximum length of an annotation's name, in bytes.
const ANNOTATION_NAME_LIMIT_BYTES: usize = 512;

/// Maximum number of annotations of an object.
const ANNOTATION_LIMIT: usize = 1000;

/// Id of the updated version; `None` if the bucket has never had versioning.
pub type ChangedVersion = Option<String>;

impl Simulator {
    /// Replaces the tags (`PutObjectTagging`).
    pub fn put_tags(
        &mut self,
        target: WriteTarget<'_>,
        version_id: Option<&str>,
        tags: BTreeMap<String, String>,
    ) -> SimResult<ChangedVersion> {
        check_tags(&tags)?;
        self.change(target, version_id, EventType::TaggingPut, |object| {
            object.explicit.tags = tags;
        })
    }

    /// Removes the tags (`DeleteObjectTagging`).
    pub fn delete_tags(&mut self, target: WriteTarget<'_>, version_id: Option<&str>) -> SimResult<ChangedVersion> {
        self.change(target, version_id, EventType::TaggingDelete, |object| {
            object.explicit.tags.clear();
        })
    }

    /// Replaces the grants other than the owner's full control (`PutObjectAcl`).
    pub fn put_grants(
        &mut self,
        target: WriteTarget<'_>,
        version_id: Option<&str>,
        grants: Vec<SimGrant>,
    ) -> SimResult<ChangedVersion> {
        if self.bucket(target.bucket)?.enforces_owner() && !grants.is_empty() {
            return Err(SimErrorCode::AccessControlListNotSupported.into());
        }
        self.change(target, version_id, EventType::Acl, |object| {
            object.explicit.grants = grants;
        })
    }

    /// Changes the encryption to SSE-KMS in place (`UpdateObjectEncryption`). ETag and other attributes are preserved.
    ///
    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_UpdateObjectEncryption.html>
    pub fn update_encryption(
        &mut self,
        target: WriteTarget<'_>,
        version_id: Option<&str>,
        key: &str,
        bucket_key: bool,
    ) -> SimResult<()> {
        let now = self.clock.now();
        let bucket = self.bucket(target.bucket)?;
        let (_, object) = bucket.read(target.key, version_id)?;
        let is_supported = match object.encryption() {
            SimEncryption::S3 => true,
            SimEncryption::Kms { algorithm, .. } => algorithm == "aws:kms",
            SimEncryption::Customer { .. } => false,
        };
        if !(is_supported && key.starts_with("arn:") && key.contains(":key/")) {
            return Err(SimError::because(
                SimErrorCode::InvalidRequest,
                "Only source objects encrypted with SSE-S3 or SSE-KMS are supported, and keys named by their ARN.",
            ));
        }
        check_unlocked(object, now, false)?;
        let owner = key.split(':').nth(4);
        if owner != Some(bucket.owner.as_str()) {
            return Err(SimError::because(
                SimErrorCode::AccessDenied,
                "The AWS KMS key in the request must be owned by the same account as the bucket.",
            ));
        }
        let version = self.bucket_mut(target.bucket)?.change(target.key, version_id)?;
        let object = version.object_mut().ok_or(SimErrorCode::MethodNotAllowed)?;
        object.explicit.encryption = Some(SimEncryption::Kms {
            algorithm: "aws:kms".to_owned(),
            key: Some(key.to_owned()),
            bucket_key,
        });
        Ok(())
    }

    /// Writes an annotation (`PutObjectAnnotation`).
    pub fn put_annotation(
        &mut self,
        target: WriteTarget<'_>,
        version_id: Option<&str>,
        name: &str,
        payload: Bytes,
    ) -> SimResult<ChangedVersion> {
        if name.is_empty() {
            return Err(SimErrorCode::InvalidAnnotationName.into());
        }
        if name.len() > ANNOTATION_NAME_LIMIT_BYTES {
            return Err(SimErrorCode::AnnotationNameTooLong.into());
        }
        if payload.len() > ANNOTATION_LIMIT_BYTES {
            return Err(SimErrorCode::EntityTooLarge.into());
        }
        let (_, object) = self.bucket(target.bucket)?.read(target.key, version_id)?;
        if object.annotations.len() >= ANNOTATION_LIMIT && !object.annotations.contains_key(name) {
            return Err(SimErrorCode::AnnotationLimitExceeded.into());
        }
        let annotation = SimAnnotation {
            payload,
            last_modified: self.clock.now(),
        };
        self.change(target, version_id, EventType::AnnotationPut, |object| {
            object.annotations.insert(name.to_owned(), annotation);
        })
    }

    /// Removes an annotation (`DeleteObjectAnnotation`).
    pub fn delete_annotation(
        &mut self,
        target: WriteTarget<'_>,
        version_id: Option<&str>,
        name: &str,
    ) -> SimResult<ChangedVersion> {
        self.change(target, version_id, EventType::AnnotationDelete, |object| {
            object.annotations.remove(name);
        })
    }

    /// Returns an annotation (`GetObjectAnnotation`).
    pub fn annotation(
        &self,
        target: WriteTarget<'_>,
        version_id: Option<&str>,
        name: &str,
    ) -> SimResult<&SimAnnotation> {
        let (_, object) = self.bucket(target.bucket)?.read(target.key, version_id)?;
        object
            .annotations
            .get(name)
            .ok_or_else(|| SimErrorCode::NoSuchAnnotation.into())
    }

    /// Restores an archived object immediately (`RestoreObject`). Returns whether it was restored already.
    pub fn restore_object(&mut self, target: WriteTarget<'_>, version_id: Option<&str>) -> SimResult<bool> {
        let (_, object) = self.bucket(target.bucket)?.read(target.key, version_id)?;
        if object.restored {
            return Ok(true);
        }
        if !object.is_archived() {
            return Err(SimError::because(
                SimErrorCode::InvalidObjectState,
                "Restore is not allowed for the object's current storage class",
            ));
        }
        self.change(target, version_id, EventType::RestorePost, |object| {
            object.restored = true;
        })?;
        self.change(target, version_id, EventType::RestoreCompleted, |_| {})?;
        Ok(false)
    }

    fn change(
        &mut self,
        target: WriteTarget<'_>,
        version_id: Option<&str>,
        event_type: EventType,
        apply: impl FnOnce(&mut SimObject),
    ) -> SimResult<ChangedVersion> {
        let bucket = self.bucket_mut(target.bucket)?;
        let versioning = bucket.versioning;
        let version = bucket.change(target.key, version_id)?;
        let changed = super::copy::shown_id(versioning, version);
        let object = version.object_mut().ok_or(SimErrorCode::MethodNotAllowed)?;
        apply(object);
        let subject = EventSubject {
            version_id: changed.clone(),
            size_bytes: Some(object.content.size_bytes()),
            etag: Some(object.etag.clone()),
        };
        self.notify(event_type, target, subject);
        Ok(changed)
    }
}
