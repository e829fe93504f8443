//! `CopyObject`, and reads of copy sources.

use std::collections::BTreeMap;

use super::conditions::RequestConditions;
use super::content::SimContent;
use super::digest::ChecksumAlgorithm;
use super::error::{SimError, SimErrorCode, SimResult};
use super::event::EventType;
use super::object::{SimEncryption, SimObject, SimVersion, WriteAttributes};
use super::put::{ONE_REQUEST_LIMIT_BYTES, check_key};
use super::simulator::{Simulator, WriteResult, WriteTarget};

/// Source of a copy request.
#[derive(Debug, Clone, Default)]
pub struct CopySource {
    /// Bucket of the source.
    pub bucket: String,
    /// Key of the source.
    pub key: String,
    /// Version id; `None` copies the current version.
    pub version_id: Option<String>,
    /// Conditions on the source.
    pub conditions: RequestConditions,
    /// MD5 of the customer-provided key, if the request has one.
    pub customer_key_md5: Option<String>,
}

/// A `CopyObject` request.
#[derive(Debug, Clone, Default)]
pub struct CopyRequest {
    /// Source of the copy.
    pub source: CopySource,
    /// Attributes that the request sets.
    pub explicit: WriteAttributes,
    /// Whether the request replaces headers and user metadata.
    pub replaces_metadata: bool,
    /// Whether the request replaces tags.
    pub replaces_tags: bool,
    /// Whether annotations are not copied.
    pub excludes_annotations: bool,
    /// Checksum algorithm that the request names.
    pub algorithm: Option<ChecksumAlgorithm>,
    /// Conditions on the destination.
    pub conditions: RequestConditions,
}

/// The object that a copy request reads.
#[derive(Debug, Clone)]
pub struct FoundSource {
    /// Version id, if the bucket has versioning.
    pub version_id: Option<String>,
    /// The object.
    pub object: SimObject,
}

/// Result of a copy.
#[derive(Debug, Clone)]
pub struct CopyResult {
    /// The written object.
    pub written: WriteResult,
    /// Version id of the source.
    pub source_version_id: Option<String>,
}

/// Rejects reads of an SSE-C object without its key.
pub(crate) fn check_customer_key(object: &SimObject, key_md5: Option<&str>) -> SimResult<()> {
    match (object.encryption(), key_md5) {
        (SimEncryption::Customer { key_md5: wanted }, Some(sent)) if wanted == sent => Ok(()),
        (SimEncryption::Customer { .. }, Some(_)) => Err(SimError::because(
            SimErrorCode::AccessDenied,
            "The customer key does not match the one that the object was stored with",
        )),
        (SimEncryption::Customer { .. }, None) => Err(SimError::because(
            SimErrorCode::InvalidRequest,
            "The object was stored using a form of Server Side Encryption. \
             The correct parameters must be provided to retrieve the object.",
        )),
        (_, Some(_)) => Err(SimError::because(
            SimErrorCode::InvalidRequest,
            "The encryption parameters are not applicable to this object.",
        )),
        (_, None) => Ok(()),
    }
}

/// Rejects reads of an archived object.
pub(crate) fn check_readable(object: &SimObject) -> SimResult<()> {
    if object.is_archived() {
        return Err(SimError::because(
            SimErrorCode::InvalidObjectState,
            format!(
                "The operation is not valid for the object's storage class {}",
                object.storage_class()
            ),
        ));
    }
    Ok(())
}

impl Simulator {
    /// Returns the source of a copy, if it meets the request's conditions.
    pub(crate) fn find_source(&self, source: &CopySource) -> SimResult<FoundSource> {
        let bucket = self.bucket(&source.bucket)?;
        let (version, object) = bucket
            .read(&source.key, source.version_id.as_deref())
            .map_err(marker_as_source)?;
        check_customer_key(object, source.customer_key_md5.as_deref())?;
        source.conditions.check_copy_source(version, object)?;
        check_readable(object)?;
        Ok(FoundSource {
            version_id: shown_id(bucket.versioning, version),
            object: object.clone(),
        })
    }

    /// Copies an object (`CopyObject`).
    ///
    /// The copy has the default storage class, ACL, website redirect and Object Lock, and no parts.
    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html>
    pub fn copy_object(&mut self, target: WriteTarget<'_>, copy: &CopyRequest) -> SimResult<CopyResult> {
        let bucket = self.bucket(target.bucket)?;
        check_key(target.key)?;
        copy.explicit.check(bucket, self.clock.now())?;
        let found = self.find_source(&copy.source)?;
        if found.object.content.size_bytes() > ONE_REQUEST_LIMIT_BYTES {
            return Err(source_too_large());
        }
        if copy.is_onto_itself(target) && !copy.changes_something() {
            return Err(SimError::because(
                SimErrorCode::InvalidRequest,
                "This copy request is illegal because it is trying to copy an object to itself without changing \
                 the object's metadata, storage class, website redirect location or encryption attributes.",
            ));
        }
        copy.conditions.check_write(bucket.current_object(target.key))?;
        let algorithm = copy.algorithm_for(&found.object);
        let annotations = if copy.excludes_annotations {
            BTreeMap::new()
        } else {
            found.object.annotations.clone()
        };
        let explicit = copy.attributes_for(&found.object).completed(bucket, self.clock.now());
        let begun = self.begin();
        let mut object = self.single_request_object(explicit, found.object.content.clone(), Some(algorithm));
        object.annotations = annotations;
        let written = self.store(target, object, begun)?;
        self.notify(EventType::Copy, target, written.subject());
        Ok(CopyResult {
            written,
            source_version_id: found.version_id,
        })
    }
}

pub(crate) fn source_too_large() -> SimError {
    SimError::because(
        SimErrorCode::InvalidRequest,
        format!(
            "The specified copy source is larger than the maximum allowable size for a copy source: \
             {ONE_REQUEST_LIMIT_BYTES}"
        ),
    )
}

/// Returns a version's id as responses show it; `None` if the bucket has never had versioning.
pub(crate) fn shown_id(versioning: super::bucket::SimVersioning, version: &SimVersion) -> Option<String> {
    (versioning != super::bucket::SimVersioning::Unversioned).then(|| version.id.clone())
}

/// Returns the error for a delete marker as source: 400 if the request names its version id, otherwise 404.
fn marker_as_source(refusal: SimError) -> SimError {
    if refusal.code == SimErrorCode::MethodNotAllowed {
        return SimError::because(
            SimErrorCode::InvalidRequest,
            "The source of a copy request may not specifically refer to a delete marker by version id.",
        );
    }
    SimError {
        headers: Vec::new(),
        ..refusal
    }
}

impl CopyRequest {
    fn is_onto_itself(&self, target: WriteTarget<'_>) -> bool {
        self.source.version_id.is_none()
            && (self.source.bucket.as_str(), self.source.key.as_str()) == (target.bucket, target.key)
    }

    fn changes_something(&self) -> bool {
        self.replaces_metadata
            || self.explicit.storage_class.is_some()
            || self.explicit.website_redirect.is_some()
            || self.explicit.encryption.is_some()
    }

    /// Returns the checksum algorithm of the copy: that of the request, otherwise that of the source.
    fn algorithm_for(&self, source: &SimObject) -> ChecksumAlgorithm {
        let of_source = source.checksum.as_ref().map(|checksum| checksum.algorithm);
        self.algorithm.or(of_source).unwrap_or(ChecksumAlgorithm::Crc64Nvme)
    }

    fn attributes_for(&self, source: &SimObject) -> WriteAttributes {
        let mut explicit = self.explicit.clone();
        if !self.replaces_metadata {
            explicit.headers = source.explicit.headers.clone();
            explicit.metadata.clone_from(&source.explicit.metadata);
            explicit.missing_metadata = source.explicit.missing_metadata;
        }
        if !self.replaces_tags {
            explicit.tags.clone_from(&source.explicit.tags);
        }
        explicit
    }
}

/// A byte range of a source (`x-amz-copy-source-range`), both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CopyRange {
    /// First byte.
    pub first: u64,
    /// Last byte.
    pub last: u64,
}

impl CopyRange {
    /// Returns the range of a content. The content must contain all of it.
    pub(crate) fn of(self, content: &SimContent) -> SimResult<SimContent> {
        if self.first > self.last || self.last >= content.size_bytes() {
            return Err(SimError::because(
                SimErrorCode::InvalidArgument,
                format!(
                    "Range specified is not valid for source object of size: {}",
                    content.size_bytes()
                ),
            ));
        }
        Ok(content.slice(self.first, self.last - self.first + 1))
    }
}
