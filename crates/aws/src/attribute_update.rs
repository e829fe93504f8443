//! Updates the attributes of one version of the destination.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{BuildError, ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::{ByteStream, DateTime};
use aws_sdk_s3::types::{
    ObjectCannedAcl, ObjectEncryption, ObjectLockLegalHold, ObjectLockLegalHoldStatus, ObjectLockRetention,
    ObjectLockRetentionMode, SsekmsEncryption, Tag, Tagging,
};
use s3ferry_core::acl::Acl;
use s3ferry_core::facts::{Attribute, AttributeSet, KmsEncryption};
use s3ferry_core::failure::{Failure, FailureCode, FailureKind};
use s3ferry_core::lock::Retention;
use s3ferry_core::names::{ETag, ObjectKey, VersionId};
use s3ferry_core::order::{AnnotationChange, AttributeUpdate, LockChange, SourcePin};
use s3ferry_engine::ports::WriteError;

use crate::attributes::{ReadFailure, action};
use crate::bucket_reader::BucketReader;
use crate::classify::{AttemptedOperation, ErrorAnswer};
use crate::destination::S3Destination;
use crate::write_headers::RequestHeaders;

/// Applies every change of the order, with one request each. If a change fails, earlier ones remain, and the next
/// pass reads what is left to do.
pub(crate) async fn update_attributes(
    destination: &S3Destination,
    key: &ObjectKey,
    order: &AttributeUpdate,
) -> Result<AttributeSet, WriteError> {
    let mut not_applied = AttributeSet::new();
    let version = Version {
        destination,
        key,
        id: order.version_id.as_ref(),
        etag: &order.etag,
    };
    if let Some(tags) = &order.tags {
        version.put_tags(tags).await?;
    }
    if let Some(lock) = &order.lock {
        version.put_lock(lock).await?;
    }
    if let Some(annotations) = &order.annotations {
        // Such a store would take the request for one that writes or deletes the object itself.
        if destination.reading.lacks_annotations.load(Ordering::Relaxed) {
            not_applied.insert(Attribute::Annotations);
        } else {
            version.put_annotations(&order.pin, annotations).await?;
        }
    }
    if let Some(acl) = &order.acl {
        version.put_acl(acl).await?;
    }
    if let Some(encryption) = &order.encryption
        && !version.put_encryption(encryption).await?
    {
        not_applied.insert(Attribute::Encryption);
    }
    Ok(not_applied)
}

/// One version of the destination.
struct Version<'a> {
    destination: &'a S3Destination,
    key: &'a ObjectKey,
    /// Version id. Without versioning the ETag identifies the object, for requests that have such a condition.
    id: Option<&'a VersionId>,
    etag: &'a ETag,
}

impl Version<'_> {
    fn bucket(&self) -> &str {
        self.destination.reading.bucket.as_str()
    }

    fn version_id(&self) -> Option<String> {
        self.id.map(ToString::to_string)
    }

    /// Returns the ETag that an object without versions must have.
    fn condition(&self) -> Option<String> {
        self.id.is_none().then(|| self.etag.quoted())
    }

    fn attempted(&self, action: &'static str) -> AttemptedOperation {
        attempted(&self.destination.reading, self.key, action)
    }

    fn error<E>(&self, action: &'static str, error: &SdkError<E, HttpResponse>) -> WriteError
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        ErrorAnswer::of(error).into_write_error(&self.attempted(action))
    }

    fn defect(&self, action: &'static str, error: &BuildError) -> WriteError {
        self.failure(FailureKind::Bug, "IncompleteRequest", action, error.to_string())
    }

    fn failure(&self, kind: FailureKind, code: &str, action: &'static str, detail: String) -> WriteError {
        let attempted = self.attempted(action);
        WriteError::Failed(Failure {
            kind,
            code: code.into(),
            action: attempted.action.to_owned(),
            resource: attempted.resource,
            detail,
        })
    }

    async fn put_tags(&self, tags: &BTreeMap<String, String>) -> Result<(), WriteError> {
        if tags.is_empty() {
            return self.delete_tags().await;
        }
        let action = "s3:PutObjectVersionTagging";
        let tags: Result<Vec<Tag>, BuildError> = tags
            .iter()
            .map(|(key, value)| Tag::builder().key(key).value(value).build())
            .collect();
        let tagging = tags.and_then(|tags| Tagging::builder().set_tag_set(Some(tags)).build());
        let tagging = tagging.map_err(|error| self.defect(action, &error))?;
        let answer = self
            .destination
            .writing
            .put_object_tagging()
            .bucket(self.bucket())
            .key(self.key.as_str())
            .set_version_id(self.version_id())
            .tagging(tagging)
            .send()
            .await;
        answer.map(|_| ()).map_err(|error| self.error(action, &error))
    }

    async fn delete_tags(&self) -> Result<(), WriteError> {
        let answer = self
            .destination
            .writing
            .delete_object_tagging()
            .bucket(self.bucket())
            .key(self.key.as_str())
            .set_version_id(self.version_id())
            .send()
            .await;
        answer
            .map(|_| ())
            .map_err(|error| self.error("s3:DeleteObjectVersionTagging", &error))
    }

    /// Strengthens the lock. It is never weakened: a legal hold is only ever set.
    async fn put_lock(&self, lock: &LockChange) -> Result<(), WriteError> {
        if let Some(retention) = lock.to.retention.filter(|_| lock.changes_retention) {
            self.put_retention(retention).await?;
        }
        if lock.changes_legal_hold && lock.to.legal_hold {
            self.put_legal_hold().await?;
        }
        Ok(())
    }

    async fn put_retention(&self, retention: Retention) -> Result<(), WriteError> {
        let retention = ObjectLockRetention::builder()
            .mode(ObjectLockRetentionMode::from(retention.mode.as_str()))
            .retain_until_date(DateTime::from_millis(retention.until.millis()))
            .build();
        let answer = self
            .destination
            .writing
            .put_object_retention()
            .bucket(self.bucket())
            .key(self.key.as_str())
            .set_version_id(self.version_id())
            .retention(retention)
            .send()
            .await;
        answer
            .map(|_| ())
            .map_err(|error| self.error("s3:PutObjectRetention", &error))
    }

    async fn put_legal_hold(&self) -> Result<(), WriteError> {
        let hold = ObjectLockLegalHold::builder()
            .status(ObjectLockLegalHoldStatus::On)
            .build();
        let answer = self
            .destination
            .writing
            .put_object_legal_hold()
            .bucket(self.bucket())
            .key(self.key.as_str())
            .set_version_id(self.version_id())
            .legal_hold(hold)
            .send()
            .await;
        answer
            .map(|_| ())
            .map_err(|error| self.error("s3:PutObjectLegalHold", &error))
    }

    async fn put_annotations(&self, pin: &SourcePin, change: &AnnotationChange) -> Result<(), WriteError> {
        for name in &change.write {
            let payload = self.source_annotation(pin, name).await?;
            self.put_annotation(name, payload).await?;
        }
        for name in &change.remove {
            self.delete_annotation(name).await?;
        }
        Ok(())
    }

    /// Reads an annotation, which has at most 1 MiB.
    async fn source_annotation(&self, pin: &SourcePin, name: &str) -> Result<Vec<u8>, WriteError> {
        let source = &self.destination.source;
        let action = match pin.version_id {
            Some(_) => "s3:GetObjectVersionAnnotation",
            None => "s3:GetObjectAnnotation",
        };
        let attempted = attempted(source, self.key, action);
        let answer = source
            .client
            .get_object_annotation()
            .bucket(source.bucket.as_str())
            .key(self.key.as_str())
            .annotation_name(name)
            .set_version_id(pin.version_id.as_ref().map(ToString::to_string))
            .set_expected_bucket_owner(source.owner())
            .send()
            .await;
        // Nothing was written yet, so a lost response leaves no outcome unknown.
        let answer = answer.map_err(|error| match ErrorAnswer::of(&error) {
            answer if answer.unanswered => WriteError::Failed(answer.into_failure(&attempted)),
            answer => answer.into_write_error(&attempted),
        })?;
        let payload = answer.annotation_payload.collect().await;
        let payload = payload.map_err(|error| {
            WriteError::Failed(Failure {
                kind: FailureKind::Retry,
                code: "BrokenBody".into(),
                action: attempted.action.to_owned(),
                resource: attempted.resource.clone(),
                detail: error.to_string(),
            })
        })?;
        Ok(payload.to_vec())
    }

    async fn put_annotation(&self, name: &str, payload: Vec<u8>) -> Result<(), WriteError> {
        let answer = self
            .destination
            .writing
            .put_object_annotation()
            .bucket(self.bucket())
            .key(self.key.as_str())
            .set_version_id(self.version_id())
            .set_object_if_match(self.condition())
            .annotation_name(name)
            .annotation_payload(ByteStream::from(payload))
            .send()
            .await;
        let action = action(self.id, "s3:PutObjectVersionAnnotation", "s3:PutObjectAnnotation");
        answer.map(|_| ()).map_err(|error| self.error(action, &error))
    }

    async fn delete_annotation(&self, name: &str) -> Result<(), WriteError> {
        let answer = self
            .destination
            .writing
            .delete_object_annotation()
            .bucket(self.bucket())
            .key(self.key.as_str())
            .set_version_id(self.version_id())
            .set_object_if_match(self.condition())
            .annotation_name(name)
            .send()
            .await;
        let action = action(self.id, "s3:DeleteObjectVersionAnnotation", "s3:DeleteObjectAnnotation");
        answer.map(|_| ()).map_err(|error| self.error(action, &error))
    }

    /// Changes the KMS key without copying bytes. Returns `false` if S3 refuses this for the object, so that a copy is
    /// needed.
    ///
    /// This is the last change of an update, so that the copy finds the others applied. S3 refuses, among others, keys
    /// of another account: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_UpdateObjectEncryption.html>
    async fn put_encryption(&self, kms: &KmsEncryption) -> Result<bool, WriteError> {
        const ACTION: &str = "s3:UpdateObjectEncryption";
        // A store without annotations is older than this operation, and would take the request for one that writes the
        // object.
        let reading = &self.destination.reading;
        match reading.annotations(self.key, self.id).await {
            Ok(_) if reading.lacks_annotations.load(Ordering::Relaxed) => return Ok(false),
            Ok(_) => {}
            Err(ReadFailure::Gone(_)) => return Err(WriteError::PreconditionFailed),
            Err(ReadFailure::Failed(failure)) if failure.kind.is_passing() => return Err(WriteError::Failed(failure)),
            Err(ReadFailure::Failed(failure)) => {
                tracing::debug!(s3.key = %self.key, %failure, "encryption is not updated in place: a copy is needed");
                return Ok(false);
            }
        }
        let encryption = SsekmsEncryption::builder()
            .kms_key_arn(kms.key_arn.clone().unwrap_or_default())
            .bucket_key_enabled(kms.bucket_key)
            .build()
            .map_err(|error| self.defect(ACTION, &error))?;
        let answer = self
            .destination
            .writing
            .update_object_encryption()
            .bucket(self.bucket())
            .key(self.key.as_str())
            .set_version_id(self.version_id())
            .object_encryption(ObjectEncryption::Ssekms(encryption))
            .send()
            .await;
        let Err(error) = answer else { return Ok(true) };
        match ErrorAnswer::of(&error) {
            ErrorAnswer {
                code:
                    Some(
                        FailureCode::AccessDenied
                        | FailureCode::InvalidRequest
                        | FailureCode::MethodNotAllowed
                        | FailureCode::NotImplemented,
                    ),
                ..
            } => Ok(false),
            answer => Err(answer.into_write_error(&self.attempted(ACTION))),
        }
    }

    /// Replaces all grants. The owner's full control, which is not among those of `acl`, remains.
    async fn put_acl(&self, acl: &Acl) -> Result<(), WriteError> {
        let request = self
            .destination
            .writing
            .put_object_acl()
            .bucket(self.bucket())
            .key(self.key.as_str())
            .set_version_id(self.version_id());
        let answer = if acl.grants.is_empty() {
            request.acl(ObjectCannedAcl::Private).send().await
        } else {
            let present = self.destination.reading.acl(self.key, self.id).await;
            let present = present.map_err(|unread| match unread {
                ReadFailure::Gone(_) => WriteError::PreconditionFailed,
                ReadFailure::Failed(failure) => WriteError::Failed(failure),
            })?;
            let headers = RequestHeaders::of_acl(acl, present.owner.as_deref());
            let headers = headers.map_err(|error| self.destination.unsendable(self.key, &error))?;
            let request = request.customize();
            request.map_request(move |request| headers.set_on(request)).send().await
        };
        answer
            .map(|_| ())
            .map_err(|error| self.error("s3:PutObjectVersionAcl", &error))
    }
}

fn attempted(bucket: &BucketReader, key: &ObjectKey, action: &'static str) -> AttemptedOperation {
    AttemptedOperation {
        action,
        resource: key.arn(&bucket.bucket, &bucket.region),
        when_denied: format!("the credentials need {action} on the object"),
    }
}
