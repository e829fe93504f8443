//! The destination bucket on S3.

use aws_sdk_s3::Client;
use aws_sdk_s3::operation::copy_object::builders::CopyObjectFluentBuilder;
use aws_sdk_s3::types::StorageClass;
use s3ferry_core::decide::{CopyOrder, WriteCondition};
use s3ferry_core::facts::{Aspects, ObjectState};
use s3ferry_core::failure::{Failure, FailureKind};
use s3ferry_core::names::{AccountId, BucketName, ETag, ObjectKey, Region, VersionId};
use s3ferry_engine::ports::{DestinationBucket, WriteError};

use crate::classify::{Attempted, ErrorAnswer};
use crate::copy_source;
use crate::reading::Reading;

/// The bucket that is migrated to.
#[derive(Debug, Clone)]
pub struct S3Destination {
    reading: Reading,
    writing: Client,
    source: BucketName,
    source_owner: Option<AccountId>,
}

impl S3Destination {
    /// Takes the bucket with clients of its region, and the bucket that copies come from.
    ///
    /// Copies are asked of the destination's region: S3 answers a `CopyObject` where the copy is written.
    #[must_use]
    pub fn new(
        reading: Client,
        writing: Client,
        bucket: BucketName,
        region: Region,
        source: BucketName,
        source_owner: Option<AccountId>,
    ) -> Self {
        Self {
            reading: Reading {
                client: reading,
                bucket,
                region,
                owner: None,
            },
            writing,
            source,
            source_owner,
        }
    }

    fn copy_request(&self, key: &ObjectKey, order: &CopyOrder) -> CopyObjectFluentBuilder {
        let request = self
            .writing
            .copy_object()
            .bucket(self.reading.bucket.as_str())
            .key(key.as_str())
            .copy_source(copy_source(&self.source, key, order.pin.version_id.as_ref()))
            .copy_source_if_match(order.pin.etag.quoted())
            .set_expected_source_bucket_owner(self.source_owner.as_ref().map(ToString::to_string))
            .storage_class(StorageClass::from(order.storage_class.as_str()))
            .set_website_redirect_location(order.website_redirect.clone());
        match &order.condition {
            WriteCondition::Absent => request.if_none_match("*"),
            WriteCondition::Matches(etag) => request.if_match(etag.quoted()),
        }
    }

    fn copy_attempted(&self, key: &ObjectKey) -> Attempted {
        Attempted {
            action: "s3:PutObject",
            resource: key.arn(&self.reading.bucket, &self.reading.region),
            when_denied: format!(
                "the role needs s3:PutObject and s3:PutObjectTagging on the destination object, s3:GetObject, \
                 s3:GetObjectVersion, s3:GetObjectTagging and s3:GetObjectVersionTagging on {}",
                key.arn(&self.source, &self.reading.region)
            ),
        }
    }
}

impl DestinationBucket for S3Destination {
    async fn read(&self, key: &ObjectKey, aspects: &Aspects) -> Result<ObjectState, Failure> {
        self.reading.state(key, aspects).await
    }

    async fn copy(&self, key: &ObjectKey, order: &CopyOrder) -> Result<Option<VersionId>, WriteError> {
        let attempted = self.copy_attempted(key);
        let sent = self.copy_request(key, order).send().await;
        let answer = sent.map_err(|error| ErrorAnswer::of(&error).into_write_error(&attempted))?;
        // A 200 that carries neither a result nor an error says nothing about what happened.
        let copied = answer.copy_object_result().and_then(|result| result.e_tag());
        if copied.is_none() {
            return Err(WriteError::OutcomeUnknown(Failure {
                kind: FailureKind::Retry,
                code: "UnreadableAnswer".to_owned(),
                action: attempted.action.to_owned(),
                resource: attempted.resource,
                detail: "the answer of CopyObject has no result".to_owned(),
            }));
        }
        Ok(answer.version_id().and_then(VersionId::pinnable))
    }

    async fn delete(&self, key: &ObjectKey, seen: &ETag) -> Result<(), WriteError> {
        let attempted = self.reading.attempted(key, "s3:DeleteObject");
        self.writing
            .delete_object()
            .bucket(self.reading.bucket.as_str())
            .key(key.as_str())
            .if_match(seen.quoted())
            .send()
            .await
            .map(|_| ())
            .map_err(|error| ErrorAnswer::of(&error).into_write_error(&attempted))
    }
}
