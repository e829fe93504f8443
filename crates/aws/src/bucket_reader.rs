//! Reading the state of a key, the same on both sides.

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
use s3ferry_core::failure::{Failure, FailureKind};
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

/// What a HEAD answers.
struct Head {
    answer: HeadObjectOutput,
    unreadable_headers: BTreeMap<String, Vec<u8>>,
}

/// A bucket as it is read.
#[derive(Debug, Clone)]
pub(crate) struct BucketReader {
    pub(crate) client: Client,
    pub(crate) bucket: BucketName,
    pub(crate) region: Region,
    /// The account that must own the bucket; a bucket of the same name made by somebody else answers nothing.
    pub(crate) owner: Option<AccountId>,
    /// Whether the bucket turned out to be on a store without annotations.
    pub(crate) lacks_annotations: Arc<AtomicBool>,
    /// Whether objects have access control lists of their own, once that is known.
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
        // That the version is gone by now says nothing of the key: a failure that has everything read again.
        let facts = self
            .with_attributes(key, facts, attributes)
            .await
            .map_err(ReadFailure::into_failure)?;
        Ok(ObjectState::Present(Box::new(facts)))
    }

    /// Reads one version, as far as its HEAD shows it.
    pub(crate) async fn version_state(&self, key: &ObjectKey, version: &VersionName) -> Result<ObjectState, Failure> {
        let head = match self.head(key, Some(version)).await {
            Ok(head) => head,
            Err(error) => {
                let response = error.raw_response();
                let marker = response.and_then(|response| response.headers().get("x-amz-delete-marker"));
                // A delete marker that is asked for by its version answers 405.
                if marker == Some("true") {
                    return Ok(ObjectState::DeleteMarker);
                }
                return self.state_of_error(key, Some(version), &error).await;
            }
        };
        let facts = self.facts(key, head)?;
        Ok(ObjectState::Present(Box::new(facts)))
    }

    /// Reads `aspects` of exactly the object that `facts` describe; `None` when it is gone.
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
        // Without versions the key is all that names the object: it is looked at again together with its aspects.
        let ObjectState::Present(now) = self.state(key, attributes).await? else {
            return Ok(None);
        };
        Ok(facts.is_still(&now).then(|| now.with_earlier(facts)))
    }

    fn facts(&self, key: &ObjectKey, head: Head) -> Result<ObjectFacts, Failure> {
        let facts = facts_of(&head.answer).map_err(|missing| self.unreadable(key, &missing.to_string()))?;
        if !head.unreadable_headers.is_empty() {
            let headers: Vec<&str> = head.unreadable_headers.keys().map(String::as_str).collect();
            tracing::warn!(
                s3.bucket = %self.bucket,
                s3.key = %key,
                ?headers,
                "headers hold bytes that are not UTF-8: a copy carries them over, and nothing can state them"
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

    /// A HEAD that fails has no body: its status and headers are all there is. A refusal is judged by another request.
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

    /// Looks for positive evidence that a key has no current object: its versions are listed, which answers
    /// `NoSuchBucket` for a missing bucket where a HEAD answers a plain 404.
    ///
    /// Versions come in the order of their keys, those of `key` itself before those of longer keys; so the first page
    /// settles it unless it is full of old versions of the key, and the newest of them comes first.
    ///
    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html>
    pub(crate) async fn absence(&self, key: &ObjectKey) -> Result<Absence, Failure> {
        let listed = self
            .client
            .list_object_versions()
            .bucket(self.bucket.as_str())
            .prefix(key.as_str())
            // XML cannot spell every key.
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

    /// Makes sure that the bucket is there: a HEAD of a key answers 404 for a missing bucket as for a missing key.
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
                answer.code = Some("NoSuchBucket".to_owned());
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
            when_denied: "the credentials need s3:ListBucket on the bucket, and the bucket the owner that is expected"
                .to_owned(),
        }))
    }

    /// Reads how the bucket encrypts what is written without saying how; `None` where that may not be read, or a store
    /// does not know it.
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
                if answer.code.as_deref() == Some("ServerSideEncryptionConfigurationNotFoundError") {
                    return Ok(Some(ExplicitEncryption::Managed));
                }
                let is_unknown = answer.status == Some(501);
                let failure = answer.into_failure(&self.bucket_attempted("s3:GetEncryptionConfiguration"));
                if is_unknown || failure.kind == FailureKind::Permanent {
                    tracing::debug!(s3.bucket = %self.bucket, %failure, "the default encryption is not compared");
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
                "the credentials need {action} on the object, and s3:ListBucket on {} so that a missing key is told from a \
                 forbidden one",
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
            code: "UnreadableAnswer".to_owned(),
            action: "s3:GetObject".to_owned(),
            resource: key.arn(&self.bucket, &self.region),
            detail: detail.to_owned(),
        }
    }
}

/// Reads a rule of a bucket's default encryption. A key that is not named by its ARN may be any key.
fn explicit_encryption_of(rule: &ServerSideEncryptionRule) -> ExplicitEncryption {
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
