//! Reads the state of a key, in the source and in the destination.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::operation::head_object::{HeadObjectError, HeadObjectOutput};
use aws_sdk_s3::types::{
    ChecksumMode, EncodingType, ObjectVersion, ServerSideEncryption, ServerSideEncryptionConfiguration,
    ServerSideEncryptionRule,
};
use s3ferry_core::facts::{AttributeSet, ExplicitEncryption, KmsEncryption, ObjectFacts, ObjectState};
use s3ferry_core::failure::{Failure, FailureCode, FailureKind};
use s3ferry_core::names::{AccountId, BucketName, ObjectKey, Region};
use s3ferry_core::versions::VersionName;
use s3ferry_engine::ports::Absence;
use tokio::sync::OnceCell;

use crate::attributes::ReadFailure;
use crate::classify::{AttemptedOperation, ErrorAnswer};
use crate::facts::facts_of;
use crate::listing::is_key;
use crate::non_utf8_headers::NonUtf8Headers;
use crate::preflight;

/// The response to a HEAD.
struct Head {
    answer: HeadObjectOutput,
    unreadable_headers: BTreeMap<String, Vec<u8>>,
}

/// A bucket that is read.
#[derive(Debug, Clone)]
pub(crate) struct BucketReader {
    pub(crate) client: Client,
    pub(crate) bucket: BucketName,
    pub(crate) region: Region,
    /// Account that must own the bucket, so that a bucket with the same name in another account is refused.
    pub(crate) owner: Option<AccountId>,
    /// Whether the bucket is on a store that does not support annotations.
    pub(crate) lacks_annotations: Arc<AtomicBool>,
    /// Whether objects have ACLs, once known.
    pub(crate) has_acl: Arc<OnceCell<bool>>,
}

impl BucketReader {
    pub(crate) fn new(client: Client, bucket: BucketName, region: Region, owner: Option<AccountId>) -> Self {
        Self {
            client,
            bucket,
            region,
            owner,
            lacks_annotations: Arc::default(),
            has_acl: Arc::default(),
        }
    }

    pub(crate) async fn state(&self, key: &ObjectKey, attributes: &AttributeSet) -> Result<ObjectState, Failure> {
        let head = match self.head(key, None).await {
            Ok(head) => head,
            Err(error) => return self.state_of_error(key, None, &error).await,
        };
        let facts = self.facts(key, head)?;
        // A version that was deleted in the meantime is no statement about the key: the failure causes a new read.
        let facts = self
            .with_attributes(key, facts, attributes)
            .await
            .map_err(ReadFailure::into_failure)?;
        Ok(ObjectState::Present(Box::new(facts)))
    }

    /// Reads one version with a HEAD.
    pub(crate) async fn version_state(&self, key: &ObjectKey, version: &VersionName) -> Result<ObjectState, Failure> {
        let head = match self.head(key, Some(version)).await {
            Ok(head) => head,
            Err(error) => {
                let response = error.raw_response();
                let marker = response.and_then(|response| response.headers().get("x-amz-delete-marker"));
                // S3 answers 405 to the HEAD of a delete marker by its version.
                if marker == Some("true") {
                    return Ok(ObjectState::DeleteMarker);
                }
                return self.state_of_error(key, Some(version), &error).await;
            }
        };
        let facts = self.facts(key, head)?;
        Ok(ObjectState::Present(Box::new(facts)))
    }

    /// Reads `attributes` of exactly the object that `facts` describe. Returns `None` if the object no longer exists.
    pub(crate) async fn more(
        &self,
        key: &ObjectKey,
        facts: &ObjectFacts,
        attributes: &AttributeSet,
    ) -> Result<Option<ObjectFacts>, Failure> {
        if facts.version_id.is_some() {
            return match self.with_attributes(key, facts.clone(), attributes).await {
                Ok(facts) => Ok(Some(facts)),
                Err(ReadFailure::Gone(_)) => Ok(None),
                Err(ReadFailure::Failed(failure)) => Err(failure),
            };
        }
        // Without versioning only the key identifies the object, so the object is read again with its attributes.
        let ObjectState::Present(now) = self.state(key, attributes).await? else {
            return Ok(None);
        };
        Ok(facts.is_still(&now).then(|| now.with_earlier(facts)))
    }

    fn facts(&self, key: &ObjectKey, head: Head) -> Result<ObjectFacts, Failure> {
        let facts = facts_of(&head.answer).map_err(|missing| self.unreadable(key, &missing.to_string()))?;
        if !head.unreadable_headers.is_empty() {
            let headers: Vec<&str> = head.unreadable_headers.keys().map(String::as_str).collect();
            tracing::debug!(
                s3.bucket = %self.bucket,
                s3.key = %key,
                ?headers,
                "headers contain bytes that are not UTF-8: S3 copies them, but no request can set them"
            );
        }
        Ok(ObjectFacts {
            unreadable_headers: head.unreadable_headers,
            ..facts
        })
    }

    async fn head(
        &self,
        key: &ObjectKey,
        version: Option<&VersionName>,
    ) -> Result<Head, SdkError<HeadObjectError, HttpResponse>> {
        let unreadable = NonUtf8Headers::default();
        let answer = self
            .client
            .head_object()
            .bucket(self.bucket.as_str())
            .key(key.as_str())
            .set_version_id(version.map(ToString::to_string))
            .checksum_mode(ChecksumMode::Enabled)
            .set_expected_bucket_owner(self.owner())
            .customize()
            .interceptor(unreadable.clone())
            .send()
            .await?;
        Ok(Head {
            answer,
            unreadable_headers: unreadable.take(),
        })
    }

    /// Converts the error of a HEAD.
    ///
    /// The response has no body, only status and headers. The reason of a refusal is found with another request.
    ///
    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html>
    async fn state_of_error(
        &self,
        key: &ObjectKey,
        version: Option<&VersionName>,
        error: &SdkError<HeadObjectError, HttpResponse>,
    ) -> Result<ObjectState, Failure> {
        let response = error.raw_response();
        if response.is_some_and(|response| response.status().as_u16() == 404) {
            let marker = response.and_then(|response| response.headers().get("x-amz-delete-marker"));
            return Ok(if marker == Some("true") {
                ObjectState::DeleteMarker
            } else {
                ObjectState::NotFound
            });
        }
        let mut answer = Box::pin(self.refusal(key, version, ErrorAnswer::of(error))).await;
        if answer.status == Some(301) {
            answer.message = format!("bucket {} is not in region {}", self.bucket, self.region);
        }
        Err(answer.into_failure(&self.attempted(key, "s3:GetObject")))
    }

    /// Confirms that a key has no current object, by listing its versions.
    ///
    /// For a missing bucket the listing returns `NoSuchBucket`, where a HEAD returns a plain 404. Versions are sorted
    /// by key, and those of `key` come before those of longer keys. The newest version of a key is listed first, so the
    /// first page is enough.
    ///
    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html>
    pub(crate) async fn absence(&self, key: &ObjectKey) -> Result<Absence, Failure> {
        let listed = self
            .client
            .list_object_versions()
            .bucket(self.bucket.as_str())
            .prefix(key.as_str())
            // XML cannot represent every key.
            .encoding_type(EncodingType::Url)
            .set_expected_bucket_owner(self.owner())
            .send()
            .await
            .map_err(|error| ErrorAnswer::of(&error).into_failure(&self.bucket_attempted("s3:ListBucketVersions")))?;
        let is_encoded = listed.encoding_type() == Some(&EncodingType::Url);
        let is_current =
            |version: &ObjectVersion| version.is_latest() == Some(true) && is_key(version.key(), is_encoded, key);
        Ok(if listed.versions().iter().any(is_current) {
            Absence::ObjectFound
        } else {
            Absence::Confirmed
        })
    }

    /// Confirms that the bucket exists: the HEAD of a key returns 404 for a missing bucket and for a missing key.
    pub(crate) async fn confirm_bucket(&self) -> Result<(), Failure> {
        let answer = self
            .client
            .head_bucket()
            .bucket(self.bucket.as_str())
            .set_expected_bucket_owner(self.owner())
            .send()
            .await;
        let Err(error) = answer else { return Ok(()) };
        let mut answer = ErrorAnswer::of(&error);
        match answer.status {
            Some(404) => {
                answer.code = Some(FailureCode::NoSuchBucket);
                answer.message = format!("bucket {} does not exist", self.bucket);
            }
            Some(400 | 403) => {
                let reason = preflight::reason(&self.client, &self.bucket, self.owner.as_ref()).await;
                answer = reason.unwrap_or(answer);
            }
            _ => {}
        }
        Err(answer.into_failure(&AttemptedOperation {
            action: "s3:ListBucket",
            resource: self.bucket.arn(&self.region),
            when_denied:
                "the credentials need s3:ListBucket on the bucket, and the bucket must have the expected owner"
                    .to_owned(),
        }))
    }

    /// Reads the bucket's default encryption. Returns `None` if the credentials may not read it, or the store does not
    /// support it.
    ///
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/default-bucket-encryption.html>
    pub(crate) async fn default_encryption(&self) -> Result<Option<ExplicitEncryption>, Failure> {
        let answer = self
            .client
            .get_bucket_encryption()
            .bucket(self.bucket.as_str())
            .set_expected_bucket_owner(self.owner())
            .send()
            .await;
        match answer {
            Ok(answer) => {
                let rules = answer
                    .server_side_encryption_configuration()
                    .map(ServerSideEncryptionConfiguration::rules);
                Ok(Some(
                    rules
                        .and_then(<[_]>::first)
                        .map_or(ExplicitEncryption::Managed, explicit_encryption_of),
                ))
            }
            Err(error) => {
                let answer = ErrorAnswer::of(&error);
                if answer.code == Some(FailureCode::ServerSideEncryptionConfigurationNotFoundError) {
                    return Ok(Some(ExplicitEncryption::Managed));
                }
                let is_unknown = answer.status == Some(501);
                let failure = answer.into_failure(&self.bucket_attempted("s3:GetEncryptionConfiguration"));
                if is_unknown || failure.kind == FailureKind::Permanent {
                    tracing::debug!(s3.bucket = %self.bucket, %failure, "default encryption is not compared");
                    return Ok(None);
                }
                Err(failure)
            }
        }
    }

    pub(crate) fn attempted(&self, key: &ObjectKey, action: &'static str) -> AttemptedOperation {
        AttemptedOperation {
            action,
            resource: key.arn(&self.bucket, &self.region),
            when_denied: format!(
                "the credentials need {action} on the object, and s3:ListBucket on {} to distinguish a missing key \
                 from a forbidden one",
                self.bucket.arn(&self.region)
            ),
        }
    }

    pub(crate) fn owner(&self) -> Option<String> {
        self.owner.as_ref().map(ToString::to_string)
    }

    pub(crate) fn unreadable(&self, key: &ObjectKey, detail: &str) -> Failure {
        Failure {
            kind: FailureKind::Retry,
            code: "UnreadableAnswer".into(),
            action: "s3:GetObject".to_owned(),
            resource: key.arn(&self.bucket, &self.region),
            detail: detail.to_owned(),
        }
    }
}

/// Converts a rule of the bucket's default encryption. A key that is not named by its ARN may be any key.
pub(crate) fn explicit_encryption_of(rule: &ServerSideEncryptionRule) -> ExplicitEncryption {
    let Some(default) = rule.apply_server_side_encryption_by_default() else {
        return ExplicitEncryption::Managed;
    };
    match default.sse_algorithm() {
        ServerSideEncryption::Aes256 => ExplicitEncryption::Managed,
        algorithm => ExplicitEncryption::Kms(KmsEncryption {
            key_arn: default
                .kms_master_key_id()
                .filter(|key| key.starts_with("arn:") && key.contains(":key/"))
                .map(str::to_owned),
            bucket_key: rule.bucket_key_enabled() == Some(true),
            dual_layer: algorithm == &ServerSideEncryption::AwsKmsDsse,
        }),
    }
}
