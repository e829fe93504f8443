//! `PutObject`, and the rules of all operations that write objects.

use std::collections::BTreeMap;

use super::bucket::SimBucket;
use super::clock::Millis;
use super::conditions::RequestConditions;
use super::content::SimContent;
use super::digest::{self, ChecksumAlgorithm};
use super::document::{BucketDocument, element};
use super::error::{SimError, SimErrorCode, SimResult};
use super::event::{EventSubject, EventType};
use super::lock::check_retention;
use super::object::{ChecksumKind, STANDARD, SimChecksum, SimEncryption, SimObject, SimRetention, WriteAttributes};
use super::simulator::{Simulator, WriteResult, WriteTarget};

/// Maximum size of one `PutObject`, one `CopyObject` and one part: 5 GiB.
pub const ONE_REQUEST_LIMIT_BYTES: u64 = 5 * 1024 * 1024 * 1024;

/// Maximum length of a key, in bytes.
pub const KEY_LIMIT_BYTES: usize = 1024;

/// Maximum size of user metadata, names and values together, in bytes.
pub const METADATA_LIMIT_BYTES: usize = 2048;

/// Maximum number of tags of an object.
pub const TAG_LIMIT: usize = 10;

/// Prefix of the tag keys that are reserved for AWS.
const SYSTEM_TAG_PREFIX: &str = "aws:";

/// Storage classes that a request can set.
pub const STORAGE_CLASSES: [&str; 9] = [
    STANDARD,
    "REDUCED_REDUNDANCY",
    "STANDARD_IA",
    "ONEZONE_IA",
    "INTELLIGENT_TIERING",
    "GLACIER",
    "DEEP_ARCHIVE",
    "GLACIER_IR",
    "EXPRESS_ONEZONE",
];

/// Checksums that the request contains. They must match the content.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeclaredChecksums {
    /// Content-MD5, in hexadecimal.
    pub md5: Option<String>,
    /// Base64 values by algorithm.
    pub checksums: BTreeMap<ChecksumAlgorithm, String>,
}

/// A `PutObject` request.
#[derive(Debug, Clone, Default)]
pub struct PutRequest {
    /// Attributes that the request sets.
    pub explicit: WriteAttributes,
    /// Content.
    pub content: SimContent,
    /// Checksums that the request contains.
    pub declared: DeclaredChecksums,
    /// Checksum algorithm that the request names.
    pub algorithm: Option<ChecksumAlgorithm>,
    /// Conditions of the write.
    pub conditions: RequestConditions,
}

impl Simulator {
    /// Writes an object (`PutObject`).
    pub fn put_object(&mut self, target: WriteTarget<'_>, put: PutRequest) -> SimResult<WriteResult> {
        let bucket = self.bucket(target.bucket)?;
        check_key(target.key)?;
        put.explicit.check(bucket, self.clock.now())?;
        if put.content.size_bytes() > ONE_REQUEST_LIMIT_BYTES {
            return Err(SimErrorCode::EntityTooLarge.into());
        }
        let declared = put.declared.verify(&put.content)?;
        put.conditions.check_write(bucket.current_object(target.key))?;
        let algorithm = declared.or(put.algorithm).unwrap_or(ChecksumAlgorithm::Crc64Nvme);
        let explicit = put.explicit.completed(bucket, self.clock.now());
        let begun = self.begin();
        let object = self.single_request_object(explicit, put.content, Some(algorithm));
        let written = self.store(target, object, begun)?;
        self.notify(EventType::Put, target, written.subject());
        Ok(written)
    }

    /// Creates the object of a single-request write.
    pub(crate) fn single_request_object(
        &mut self,
        explicit: WriteAttributes,
        content: SimContent,
        algorithm: Option<ChecksumAlgorithm>,
    ) -> SimObject {
        let etag = if has_content_etag(explicit.encryption.as_ref()) {
            digest::hex(&digest::md5(&content))
        } else {
            self.opaque_etag()
        };
        let checksum = algorithm.map(|algorithm| SimChecksum {
            algorithm,
            kind: ChecksumKind::FullObject,
            value: digest::checksum(algorithm, &content),
        });
        SimObject {
            explicit,
            content,
            etag,
            checksum,
            parts: Vec::new(),
            lists_parts: false,
            restored: false,
            annotations: BTreeMap::new(),
        }
    }
}

/// Returns whether the ETag of an object with this encryption is the MD5 of its content.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html>
pub(crate) fn has_content_etag(encryption: Option<&SimEncryption>) -> bool {
    matches!(encryption, None | Some(SimEncryption::S3))
}

/// Rejects keys that are too long.
pub(crate) fn check_key(key: &str) -> SimResult<()> {
    if key.len() > KEY_LIMIT_BYTES {
        return Err(SimErrorCode::KeyTooLong.into());
    }
    Ok(())
}

impl WriteResult {
    /// Returns the event fields of the write.
    pub(crate) fn subject(&self) -> EventSubject {
        EventSubject {
            version_id: self.version_id.clone(),
            size_bytes: Some(self.object.content.size_bytes()),
            etag: Some(self.object.etag.clone()),
        }
    }
}

impl DeclaredChecksums {
    /// Rejects checksums that do not match the content. Returns the algorithm of the checksum in the request.
    pub(crate) fn verify(&self, content: &SimContent) -> SimResult<Option<ChecksumAlgorithm>> {
        if let Some(md5) = &self.md5
            && *md5 != digest::hex(&digest::md5(content))
        {
            return Err(SimErrorCode::BadDigest.into());
        }
        if self.checksums.len() > 1 {
            return Err(SimError::because(
                SimErrorCode::InvalidRequest,
                "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.",
            ));
        }
        let Some((algorithm, value)) = self.checksums.first_key_value() else {
            return Ok(None);
        };
        if *value != digest::checksum(*algorithm, content) {
            return Err(SimError::because(
                SimErrorCode::BadDigest,
                format!(
                    "The {} you specified did not match the calculated checksum.",
                    algorithm.name()
                ),
            ));
        }
        Ok(Some(*algorithm))
    }
}

/// Rejects invalid tags.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html>
pub(crate) fn check_tags(tags: &BTreeMap<String, String>) -> SimResult<()> {
    if tags.len() > TAG_LIMIT {
        return Err(SimError::because(
            SimErrorCode::BadRequest,
            "Object tags cannot be greater than 10",
        ));
    }
    for (name, value) in tags {
        if name.is_empty() || name.chars().count() > 128 {
            return Err(SimError::because(
                SimErrorCode::InvalidTag,
                "The TagKey you have provided is invalid",
            ));
        }
        if name.starts_with(SYSTEM_TAG_PREFIX) {
            return Err(SimError::because(
                SimErrorCode::InvalidTag,
                "System tags cannot be added/updated by requester",
            ));
        }
        if value.chars().count() > 256 {
            return Err(SimError::because(
                SimErrorCode::InvalidTag,
                "The TagValue you have provided is invalid",
            ));
        }
    }
    Ok(())
}

impl WriteAttributes {
    /// Rejects attributes that the bucket does not accept.
    pub(crate) fn check(&self, bucket: &SimBucket, now: Millis) -> SimResult<()> {
        let size: usize = self.metadata.iter().map(|(name, value)| name.len() + value.len()).sum();
        if size > METADATA_LIMIT_BYTES {
            return Err(SimErrorCode::MetadataTooLarge.into());
        }
        check_tags(&self.tags)?;
        if let Some(class) = &self.storage_class
            && !STORAGE_CLASSES.contains(&class.as_str())
        {
            return Err(SimErrorCode::InvalidStorageClass.into());
        }
        let is_locked = self.retention.is_some() || self.legal_hold.is_some() || self.event_hold_days.is_some();
        if is_locked && !bucket.object_lock {
            return Err(no_object_lock());
        }
        check_retention(self.retention.as_ref(), now)?;
        if !self.grants.is_empty() && bucket.enforces_owner() {
            return Err(SimErrorCode::AccessControlListNotSupported.into());
        }
        Ok(())
    }

    /// Fills in the bucket's defaults for attributes that the request does not set.
    #[must_use]
    pub(crate) fn completed(mut self, bucket: &SimBucket, now: Millis) -> Self {
        self.storage_class = self.storage_class.filter(|class| class != STANDARD);
        self.encryption = Some(self.encryption.unwrap_or_else(|| bucket.default_encryption()));
        self.retention = self.retention.or_else(|| default_retention(bucket, now));
        self.headers
            .content_type
            .get_or_insert_with(|| "binary/octet-stream".to_owned());
        self
    }
}

pub(crate) fn no_object_lock() -> SimError {
    SimError::because(
        SimErrorCode::InvalidRequest,
        "Bucket is missing Object Lock Configuration",
    )
}

fn default_retention(bucket: &SimBucket, now: Millis) -> Option<SimRetention> {
    const DAY: Millis = 86_400_000;
    let document = bucket.documents.get(&BucketDocument::ObjectLock)?;
    let mode = element(document, "Mode")?;
    let number = |name: &str| element(document, name).and_then(|text| text.parse::<u64>().ok());
    let days = number("Days").or_else(|| number("Years").map(|years| years * 365))?;
    Some(SimRetention {
        mode,
        until: now + days * DAY,
    })
}
