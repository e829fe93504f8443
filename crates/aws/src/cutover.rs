//! What a cutover reads and writes of a bucket: its policy, its versions, its uploads, and probes of writes.

use aws_sdk_s3::Client;
use aws_sdk_s3::error::ProvideErrorMetadata as _;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, DeleteMarkerEntry, EncodingType, ObjectVersion, Tag, Tagging};
use percent_encoding::percent_decode_str;
use s3ferry_core::failure::{Failure, FailureCode};
use s3ferry_core::names::{AccountId, BucketName, ObjectKey, Region};
use s3ferry_engine::cutover::{BucketFingerprint, InFlightUpload, ProbeRound, ResidualData};
use sha2::{Digest as _, Sha256};

use crate::classify::{AttemptedOperation, ErrorAnswer};
use crate::client::Clients;
use crate::copy_source;

/// An ETag that no object has: a write with this condition fails after it was authorized, and changes nothing.
const NO_ETAG: &str = "\"00000000000000000000000000000000\"";

/// Digest, number and size of versions.
#[derive(Debug, Default)]
struct VersionCount {
    digest: Sha256,
    versions: u64,
    left: ResidualData,
}

impl VersionCount {
    fn add(&mut self, fields: [&str; 5]) {
        for field in fields {
            self.digest.update((field.len() as u64).to_be_bytes());
            self.digest.update(field);
        }
        self.versions += 1;
    }

    fn add_version(&mut self, version: &ObjectVersion) {
        let size = version
            .size()
            .and_then(|size| u64::try_from(size).ok())
            .unwrap_or_default();
        let (count, bytes) = if version.is_latest() == Some(true) {
            (&mut self.left.objects, &mut self.left.bytes)
        } else {
            (&mut self.left.noncurrent_versions, &mut self.left.noncurrent_bytes)
        };
        *count += 1;
        *bytes += size;
        let state = format!("{:?} {size} {:?}", version.is_latest(), version.last_modified());
        let (key, id) = (
            version.key().unwrap_or_default(),
            version.version_id().unwrap_or_default(),
        );
        self.add([key, id, version.e_tag().unwrap_or_default(), &state, "object"]);
    }

    fn add_marker(&mut self, marker: &DeleteMarkerEntry) {
        self.left.delete_markers += 1;
        let state = format!("{:?} {:?}", marker.is_latest(), marker.last_modified());
        let (key, id) = (
            marker.key().unwrap_or_default(),
            marker.version_id().unwrap_or_default(),
        );
        self.add([key, id, "", &state, "delete marker"]);
    }

    fn end(self) -> (BucketFingerprint, ResidualData) {
        let digest = hex::encode(self.digest.finalize());
        let versions = self.versions;
        (BucketFingerprint { digest, versions }, self.left)
    }
}

/// One bucket of a cutover.
#[derive(Debug, Clone)]
pub struct CutoverBucket {
    reading: Client,
    listing: Client,
    writing: Client,
    bucket: BucketName,
    region: Region,
    owner: Option<AccountId>,
    prefix: String,
}

impl CutoverBucket {
    /// Returns the bucket with the keys below `prefix`.
    #[must_use]
    pub fn new(
        clients: &Clients,
        bucket: BucketName,
        region: Region,
        owner: Option<AccountId>,
        prefix: String,
    ) -> Self {
        Self {
            reading: clients.s3_for_reading(&region),
            listing: clients.s3_for_listing(&region),
            writing: clients.s3_for_writing(&region),
            bucket,
            region,
            owner,
            prefix,
        }
    }

    fn owner(&self) -> Option<String> {
        self.owner.as_ref().map(ToString::to_string)
    }

    fn prefix(&self) -> Option<String> {
        (!self.prefix.is_empty()).then(|| self.prefix.clone())
    }

    fn attempted(&self, action: &'static str) -> AttemptedOperation {
        AttemptedOperation {
            action,
            resource: self.bucket.arn(&self.region),
            when_denied: format!("the credentials need {action} on the bucket"),
        }
    }

    /// Reads the bucket policy.
    pub async fn policy(&self) -> Result<Option<String>, Failure> {
        let request = self.reading.get_bucket_policy().bucket(self.bucket.as_str());
        match request.set_expected_bucket_owner(self.owner()).send().await {
            Ok(answer) => Ok(answer.policy),
            Err(error) => {
                let code = error.as_service_error().and_then(|error| error.code());
                if code == Some("NoSuchBucketPolicy") {
                    return Ok(None);
                }
                Err(ErrorAnswer::of(&error).into_failure(&self.attempted("s3:GetBucketPolicy")))
            }
        }
    }

    /// Replaces the bucket policy, or deletes it. The request is sent once: a late repetition would replace the edits of
    /// others.
    pub async fn put_policy(&self, policy: Option<&str>) -> Result<(), Failure> {
        let bucket = self.bucket.as_str();
        let Some(policy) = policy else {
            let request = self.writing.delete_bucket_policy().bucket(bucket);
            let answer = request.set_expected_bucket_owner(self.owner()).send().await;
            return answer
                .map(drop)
                .map_err(|error| ErrorAnswer::of(&error).into_failure(&self.attempted("s3:DeleteBucketPolicy")));
        };
        let request = self.writing.put_bucket_policy().bucket(bucket).policy(policy);
        let answer = request.set_expected_bucket_owner(self.owner()).send().await;
        answer
            .map(drop)
            .map_err(|error| ErrorAnswer::of(&error).into_failure(&self.attempted("s3:PutBucketPolicy")))
    }

    /// Lists all versions, and returns their digest and their number and size.
    pub async fn versions(&self) -> Result<(BucketFingerprint, ResidualData), Failure> {
        let mut count = VersionCount::default();
        let (mut key_marker, mut version_marker) = (None, None);
        loop {
            let request = self.listing.list_object_versions().bucket(self.bucket.as_str());
            let page = request
                .set_prefix(self.prefix())
                .encoding_type(EncodingType::Url)
                .set_key_marker(key_marker)
                .set_version_id_marker(version_marker)
                .set_expected_bucket_owner(self.owner())
                .send()
                .await
                .map_err(|error| ErrorAnswer::of(&error).into_failure(&self.attempted("s3:ListBucketVersions")))?;
            page.versions().iter().for_each(|version| count.add_version(version));
            page.delete_markers().iter().for_each(|marker| count.add_marker(marker));
            (key_marker, version_marker) = (page.next_key_marker, page.next_version_id_marker);
            if page.is_truncated != Some(true) {
                return Ok(count.end());
            }
            // The next page begins after a decoded key.
            key_marker = key_marker.map(|key| {
                percent_decode_str(&key.replace('+', " "))
                    .decode_utf8_lossy()
                    .into_owned()
            });
        }
    }

    /// Lists the multipart uploads in progress.
    pub async fn uploads(&self) -> Result<Vec<InFlightUpload>, Failure> {
        let mut uploads = Vec::new();
        let (mut key_marker, mut upload_marker) = (None, None);
        loop {
            let request = self.listing.list_multipart_uploads().bucket(self.bucket.as_str());
            let page = request
                .set_prefix(self.prefix())
                .set_key_marker(key_marker)
                .set_upload_id_marker(upload_marker)
                .set_expected_bucket_owner(self.owner())
                .send()
                .await
                .map_err(|error| {
                    ErrorAnswer::of(&error).into_failure(&self.attempted("s3:ListBucketMultipartUploads"))
                })?;
            uploads.extend(page.uploads().iter().map(|upload| InFlightUpload {
                key: upload.key().unwrap_or_default().to_owned(),
                upload_id: upload.upload_id().unwrap_or_default().to_owned(),
            }));
            (key_marker, upload_marker) = (page.next_key_marker, page.next_upload_id_marker);
            if page.is_truncated != Some(true) {
                return Ok(uploads);
            }
        }
    }

    /// Aborts a multipart upload. An upload that does not exist is no failure.
    pub async fn abort_upload(&self, upload: &InFlightUpload) -> Result<(), Failure> {
        let request = self.reading.abort_multipart_upload().bucket(self.bucket.as_str());
        let request = request.key(&upload.key).upload_id(&upload.upload_id);
        let Err(error) = request.set_expected_bucket_owner(self.owner()).send().await else {
            return Ok(());
        };
        let answer = ErrorAnswer::of(&error);
        if answer.code == Some(FailureCode::NoSuchUpload) {
            return Ok(());
        }
        Err(answer.into_failure(&self.attempted("s3:AbortMultipartUpload")))
    }

    /// Sends every kind of write with the credentials of `clients`, to a key that does not exist.
    ///
    /// S3 authorizes a request before it finds the object or the upload, so a permitted request fails without effect.
    /// Only `CreateMultipartUpload` can succeed; that upload is aborted.
    pub async fn probe(&self, clients: &Clients, name: &str) -> Result<ProbeRound, Failure> {
        let client = clients.s3_for_writing(&self.region);
        let key = format!("{}{name}", self.prefix);
        let object_key = ObjectKey::from_raw(key.clone());
        let source = object_key.map_or_else(|_| String::new(), |key| copy_source(&self.bucket, &key, None));
        let bucket = self.bucket.as_str();
        let mut round = ProbeRound::default();
        macro_rules! probe {
            ($operation:literal, $action:literal, $request:expr) => {
                match $request.set_expected_bucket_owner(self.owner()).send().await {
                    Ok(answer) => {
                        round.allowed.push($operation.to_owned());
                        Some(answer)
                    }
                    Err(error) => {
                        self.judge(&mut round, $operation, $action, ErrorAnswer::of(&error))?;
                        None
                    }
                }
            };
        }
        let empty = ByteStream::from_static(b"");
        probe!(
            "PutObject",
            "s3:PutObject",
            client
                .put_object()
                .bucket(bucket)
                .key(&key)
                .if_match(NO_ETAG)
                .body(empty)
        );
        probe!(
            "CopyObject",
            "s3:PutObject",
            client.copy_object().bucket(bucket).key(&key).copy_source(&source)
        );
        probe!(
            "DeleteObject",
            "s3:DeleteObject",
            client.delete_object().bucket(bucket).key(&key).if_match(NO_ETAG)
        );
        let tag = Tag::builder().key("probe").value("1").build();
        if let Some(tagging) = tag.ok().and_then(|tag| Tagging::builder().tag_set(tag).build().ok()) {
            let request = client.put_object_tagging().bucket(bucket).key(&key).tagging(tagging);
            probe!("PutObjectTagging", "s3:PutObjectTagging", request);
        }
        let created = probe!(
            "CreateMultipartUpload",
            "s3:PutObject",
            client.create_multipart_upload().bucket(bucket).key(&key)
        );
        let created = created.and_then(|created| created.upload_id);
        let upload_id = created.clone().unwrap_or_else(|| "s3ferry-probe".to_owned());
        let part = client.upload_part().bucket(bucket).key(&key).part_number(1);
        probe!(
            "UploadPart",
            "s3:PutObject",
            part.upload_id("s3ferry-probe").body(ByteStream::from_static(b""))
        );
        let complete = client
            .complete_multipart_upload()
            .bucket(bucket)
            .key(&key)
            .upload_id("s3ferry-probe");
        let none = CompletedMultipartUpload::builder().build();
        probe!(
            "CompleteMultipartUpload",
            "s3:PutObject",
            complete.multipart_upload(none)
        );
        if created.is_some() {
            self.abort_upload(&InFlightUpload { key, upload_id }).await?;
        }
        Ok(round)
    }

    /// Sorts the error of a probe. An answer other than 403 means that the request was authorized.
    fn judge(
        &self,
        round: &mut ProbeRound,
        operation: &str,
        action: &'static str,
        answer: ErrorAnswer,
    ) -> Result<(), Failure> {
        let is_denied = answer.status == Some(403) && answer.code.as_ref().is_none_or(FailureCode::is_denial);
        if is_denied {
            round.denied.push(operation.to_owned());
            return Ok(());
        }
        match answer.status {
            Some(400 | 404 | 409 | 412) => {
                round.allowed.push(operation.to_owned());
                Ok(())
            }
            // Throttled, unanswered, or unusable credentials: this probe shows nothing.
            _ => Err(answer.into_failure(&self.attempted(action))),
        }
    }
}
