//! The destination bucket on S3.

use std::sync::Arc;

use aws_sdk_s3::Client;
use aws_sdk_s3::operation::copy_object::builders::CopyObjectFluentBuilder;
use aws_sdk_s3::types::{self, CopyObjectResult, ObjectLockEnabled, ObjectLockRetentionMode};
use s3ferry_core::bucket_settings::BucketObjectLock;
use s3ferry_core::facts::{AttributeSet, ExplicitEncryption, ObjectState};
use s3ferry_core::failure::{Failure, FailureCode, FailureKind};
use s3ferry_core::lock::{DefaultRetention, RetentionMode};
use s3ferry_core::names::{AccountId, BucketName, ETag, ObjectKey, Region, VersionId};
use s3ferry_core::order::{AttributeUpdate, CopyOrder, ExplicitAttributes, SourcePin, WriteCondition};
use s3ferry_core::time::Timestamp;
use s3ferry_engine::ports::{Absence, DestinationObjects, MultipartProgress, WriteError, WrittenObject};
use tokio::sync::OnceCell;

use crate::attribute_update::update_attributes;
use crate::bucket_reader::BucketReader;
use crate::cached_settings::CachedSetting;
use crate::classify::{AttemptedOperation, ErrorAnswer};
use crate::client::Clients;
use crate::copy_source;
use crate::source::S3Source;
use crate::timeouts;
use crate::write_headers::{InvalidHeaderValue, RequestHeaders};

/// The bucket that is migrated to.
#[derive(Debug, Clone)]
pub struct S3Destination {
    pub(crate) reading: BucketReader,
    /// Client that sends each request once.
    pub(crate) writing: Client,
    /// Client that retries requests, for writes that are safe to repeat.
    pub(crate) copying: Client,
    /// The bucket that copies are read from.
    pub(crate) source: BucketReader,
    object_lock: Arc<OnceCell<Option<BucketObjectLock>>>,
    default_encryption: Arc<CachedSetting<Option<ExplicitEncryption>>>,
    bucket_owner: Arc<OnceCell<Option<String>>>,
    pub(crate) is_versioned: Arc<CachedSetting<bool>>,
}

impl S3Destination {
    /// Returns the bucket with the account that must own it, and the bucket that copies are read from.
    ///
    /// Copies are requested in the destination's region: S3 serves a `CopyObject` in the region that the copy is
    /// written to.
    #[must_use]
    pub fn new(
        clients: &Clients,
        bucket: BucketName,
        region: Region,
        owner: Option<AccountId>,
        source: &S3Source,
    ) -> Self {
        let clients = &clients.expecting(owner.as_ref());
        Self {
            writing: clients.s3_for_writing(&region),
            copying: clients.s3_for_copying_parts(&region),
            reading: BucketReader::new(clients.s3_for_reading(&region), bucket, region, owner),
            source: source.reading.clone(),
            object_lock: Arc::default(),
            default_encryption: Arc::default(),
            bucket_owner: Arc::default(),
            is_versioned: Arc::default(),
        }
    }

    fn copy_request(&self, key: &ObjectKey, order: &CopyOrder) -> CopyObjectFluentBuilder {
        let request = self
            .writing
            .copy_object()
            .bucket(self.reading.bucket.as_str())
            .key(key.as_str());
        let (bucket, pin) = match &order.in_place {
            Some(own) => (&self.reading, own),
            None => (&self.source, &order.pin),
        };
        let request = request
            .copy_source(copy_source(&bucket.bucket, key, pin.version_id.as_ref()))
            .copy_source_if_match(pin.etag.quoted())
            .set_expected_source_bucket_owner(bucket.owner());
        match &order.condition {
            WriteCondition::Absent => request.if_none_match("*"),
            WriteCondition::Matches(etag) => request.if_match(etag.quoted()),
        }
    }

    pub(crate) fn copy_source(&self, key: &ObjectKey, pin: &SourcePin) -> String {
        copy_source(&self.source.bucket, key, pin.version_id.as_ref())
    }

    /// Returns the headers for the explicit attributes of a write.
    pub(crate) async fn headers(
        &self,
        key: &ObjectKey,
        explicit: &ExplicitAttributes,
    ) -> Result<RequestHeaders, WriteError> {
        let grants = explicit.acl.as_ref().is_some_and(|acl| !acl.grants.is_empty());
        let owner = if grants {
            self.bucket_owner().await.map_err(WriteError::Failed)?
        } else {
            None
        };
        RequestHeaders::of(explicit, owner).map_err(|error| self.unsendable(key, &error))
    }

    /// Returns the canonical id of the bucket's owner, who owns the objects that s3ferry writes.
    async fn bucket_owner(&self) -> Result<Option<&str>, Failure> {
        let reading = &self.reading;
        let ask = || async {
            let answer = reading
                .client
                .get_bucket_acl()
                .bucket(reading.bucket.as_str())
                .send()
                .await;
            let answer = answer
                .map_err(|error| ErrorAnswer::of(&error).into_failure(&reading.bucket_attempted("s3:GetBucketAcl")))?;
            Ok(answer.owner().and_then(types::Owner::id).map(str::to_owned))
        };
        self.bucket_owner.get_or_try_init(ask).await.map(Option::as_deref)
    }

    pub(crate) fn unsendable(&self, key: &ObjectKey, error: &InvalidHeaderValue) -> WriteError {
        let attempted = self.write_attempted(key);
        WriteError::Failed(Failure {
            kind: FailureKind::Permanent,
            code: "UnsendableHeader".into(),
            action: attempted.action.to_owned(),
            resource: attempted.resource,
            detail: error.to_string(),
        })
    }

    /// Describes a copy from the source, with every permission that it may need.
    pub(crate) fn write_attempted(&self, key: &ObjectKey) -> AttemptedOperation {
        AttemptedOperation {
            action: "s3:PutObject",
            resource: key.arn(&self.reading.bucket, &self.reading.region),
            when_denied: format!(
                "the credentials need s3:PutObject and s3:PutObjectTagging on the destination object (for locked objects \
                 s3:PutObjectRetention and s3:PutObjectLegalHold, with ACL=copy s3:PutObjectAcl), s3:GetObject, \
                 s3:GetObjectVersion, s3:GetObjectTagging and s3:GetObjectVersionTagging on {}, and the \
                 permissions on the KMS keys of both",
                key.arn(&self.source.bucket, &self.source.region)
            ),
        }
    }
}

/// Converts the default retention. A year counts as the longest one.
pub(crate) fn default_retention(configuration: &types::ObjectLockConfiguration) -> Option<DefaultRetention> {
    const LEAP_YEAR_DAYS: u32 = 366;
    let default = configuration.rule()?.default_retention()?;
    let mode = match default.mode()? {
        ObjectLockRetentionMode::Compliance => RetentionMode::Compliance,
        _ => RetentionMode::Governance,
    };
    let days = default.days().and_then(|days| u32::try_from(days).ok());
    let years = default.years().and_then(|years| u32::try_from(years).ok());
    let days = days.or(years.map(|years| years.saturating_mul(LEAP_YEAR_DAYS)))?;
    Some(DefaultRetention { mode, days })
}

/// Returns an unknown outcome, for a success that contains neither a result nor an error.
pub(crate) fn unreadable(attempted: AttemptedOperation, detail: &str) -> WriteError {
    WriteError::OutcomeUnknown(Failure {
        kind: FailureKind::Retry,
        code: "UnreadableAnswer".into(),
        action: attempted.action.to_owned(),
        resource: attempted.resource,
        detail: detail.to_owned(),
    })
}

impl DestinationObjects for S3Destination {
    async fn read(&self, key: &ObjectKey, attributes: &AttributeSet) -> Result<ObjectState, Failure> {
        self.reading.state(key, attributes).await
    }

    async fn confirm_absence(&self, key: &ObjectKey) -> Result<Absence, Failure> {
        self.reading.absence(key).await
    }

    async fn object_lock(&self) -> Result<Option<BucketObjectLock>, Failure> {
        let reading = &self.reading;
        let ask = || async {
            let answer = reading
                .client
                .get_object_lock_configuration()
                .bucket(reading.bucket.as_str())
                .send()
                .await;
            match answer {
                Ok(answer) => {
                    let configuration = answer.object_lock_configuration();
                    let enabled =
                        configuration.filter(|it| it.object_lock_enabled() == Some(&ObjectLockEnabled::Enabled));
                    Ok(enabled.map(|it| BucketObjectLock {
                        default: default_retention(it),
                    }))
                }
                Err(error) => {
                    let answer = ErrorAnswer::of(&error);
                    if answer.code == Some(FailureCode::ObjectLockConfigurationNotFoundError) {
                        return Ok(None);
                    }
                    Err(answer.into_failure(&reading.bucket_attempted("s3:GetBucketObjectLockConfiguration")))
                }
            }
        };
        self.object_lock.get_or_try_init(ask).await.copied()
    }

    async fn default_encryption(&self) -> Result<Option<ExplicitEncryption>, Failure> {
        let read = self.reading.default_encryption();
        self.default_encryption.get(read, |_| true).await
    }

    async fn has_acl(&self) -> Result<bool, Failure> {
        self.reading.has_acl().await
    }

    async fn copy(&self, key: &ObjectKey, order: &CopyOrder) -> Result<WrittenObject, WriteError> {
        let attempted = self.write_attempted(key);
        let headers = self
            .headers(key, &order.explicit)
            .await?
            .with_directives(&order.explicit);
        let request = timeouts::copying(self.copy_request(key, order).customize(), order.size_bytes);
        let sent = request.map_request(move |request| headers.set_on(request)).send().await;
        let answer = sent.map_err(|error| ErrorAnswer::of(&error).into_write_error(&attempted))?;
        let result = answer.copy_object_result();
        let etag = result.and_then(CopyObjectResult::e_tag);
        let Some(etag) = etag.and_then(|etag| ETag::new(etag).ok()) else {
            return Err(unreadable(attempted, "the response of CopyObject has no result"));
        };
        Ok(WrittenObject {
            version_id: answer.version_id().and_then(VersionId::pinnable),
            etag,
            source_version_id: answer.copy_source_version_id().and_then(VersionId::pinnable),
            last_modified: result
                .and_then(CopyObjectResult::last_modified)
                .map(|written| Timestamp::from_seconds(written.secs())),
        })
    }

    async fn update_attributes(&self, key: &ObjectKey, order: &AttributeUpdate) -> Result<AttributeSet, WriteError> {
        update_attributes(self, key, order).await
    }

    async fn delete(&self, key: &ObjectKey, seen: &ETag) -> Result<Option<VersionId>, WriteError> {
        let attempted = self.reading.attempted(key, "s3:DeleteObject");
        let answer = self
            .writing
            .delete_object()
            .bucket(self.reading.bucket.as_str())
            .key(key.as_str())
            .if_match(seen.quoted())
            .send()
            .await
            .map_err(|error| ErrorAnswer::of(&error).into_write_error(&attempted))?;
        let marker = answer.version_id().filter(|_| answer.delete_marker() == Some(true));
        Ok(marker.and_then(VersionId::pinnable))
    }
}

impl MultipartProgress for S3Destination {}
