//! Buckets: keys with their versions, uploads and settings.

use std::collections::BTreeMap;

use super::clock::Millis;
use super::document::{BucketDocument, element};
use super::error::{SimError, SimErrorCode, SimResult};
use super::multipart::SimUpload;
use super::object::{NULL_VERSION, SimEncryption, SimObject, SimVersion, VersionEntry};

/// Versioning state of a bucket.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/Versioning.html>
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SimVersioning {
    /// Never enabled: each write replaces the null version.
    #[default]
    Unversioned,
    /// Each write creates a version.
    Enabled,
    /// Suspended: each write replaces the null version and preserves the other versions.
    Suspended,
}

/// Account that owns a bucket, unless a test sets another one.
pub const ACCOUNT: &str = "123456789012";

/// A bucket.
#[derive(Debug, Clone)]
pub struct SimBucket {
    /// Region of the bucket.
    pub region: String,
    /// Account that owns the bucket.
    pub owner: String,
    /// Creation time.
    pub created: Millis,
    /// Versioning state.
    pub versioning: SimVersioning,
    /// Whether the bucket was created with Object Lock.
    pub object_lock: bool,
    /// Versions of each key, current version first. Keys are in the order of their UTF-8 bytes.
    pub keys: BTreeMap<String, Vec<SimVersion>>,
    /// For each removed key without versions, the order of the write that removed it last.
    pub removals: BTreeMap<String, u64>,
    /// Multipart uploads in progress by their id.
    pub uploads: BTreeMap<String, SimUpload>,
    /// Settings that are stored as documents.
    pub documents: BTreeMap<BucketDocument, String>,
}

impl SimBucket {
    /// Creates an empty bucket.
    pub fn new(region: &str, created: Millis) -> Self {
        Self {
            region: region.to_owned(),
            owner: ACCOUNT.to_owned(),
            created,
            versioning: SimVersioning::Unversioned,
            object_lock: false,
            keys: BTreeMap::new(),
            removals: BTreeMap::new(),
            uploads: BTreeMap::new(),
            documents: BTreeMap::new(),
        }
    }

    /// Returns the current version of a key, which can be a delete marker.
    pub fn current(&self, key: &str) -> Option<&SimVersion> {
        self.keys.get(key)?.first()
    }

    /// Returns the current object of a key.
    pub fn current_object(&self, key: &str) -> Option<&SimObject> {
        self.current(key)?.object()
    }

    /// Returns the version that a read of a key or version selects. A delete marker is an error with its header.
    pub fn read(&self, key: &str, version_id: Option<&str>) -> SimResult<(&SimVersion, &SimObject)> {
        let version = match version_id {
            None => self.current(key).ok_or(SimErrorCode::NoSuchKey)?,
            Some(id) => self.version(key, id)?,
        };
        match (&version.entry, version_id) {
            (VersionEntry::Object(object), _) => Ok((version, object)),
            (VersionEntry::DeleteMarker, None) => Err(SimError::new(SimErrorCode::NoSuchKey)
                .with_header("x-amz-delete-marker", "true")
                .with_header("x-amz-version-id", &version.id)),
            (VersionEntry::DeleteMarker, Some(_)) => Err(SimError::new(SimErrorCode::MethodNotAllowed)
                .with_header("x-amz-delete-marker", "true")
                .with_header("x-amz-version-id", &version.id)
                .with_header("allow", "DELETE")
                .with_header("last-modified", super::clock::http_date(version.last_modified))),
        }
    }

    /// Returns the version with an id.
    pub fn version(&self, key: &str, version_id: &str) -> SimResult<&SimVersion> {
        check_version_id(version_id)?;
        self.keys
            .get(key)
            .and_then(|versions| versions.iter().find(|version| version.id == version_id))
            .ok_or_else(|| SimErrorCode::NoSuchVersion.into())
    }

    /// Returns the object version that an attribute update changes. A delete marker is an error.
    pub fn change(&mut self, key: &str, version_id: Option<&str>) -> SimResult<&mut SimVersion> {
        let id = self.read(key, version_id)?.0.id.clone();
        self.keys
            .get_mut(key)
            .and_then(|versions| versions.iter_mut().find(|version| version.id == id))
            .ok_or_else(|| SimErrorCode::NoSuchVersion.into())
    }

    /// Inserts a version at the position of its write's start.
    ///
    /// The object of a multipart upload is ordered by the upload's start, so a version written later stays current.
    /// A key has one null version: the one whose write started later.
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html>
    pub fn insert(&mut self, key: &str, version: SimVersion) {
        if version.id == NULL_VERSION {
            let removed_since = self.removals.get(key).is_some_and(|order| *order > version.order);
            let replaced_since = self
                .keys
                .get(key)
                .and_then(|versions| versions.iter().find(|other| other.id == NULL_VERSION))
                .is_some_and(|other| other.order > version.order);
            if removed_since || replaced_since {
                return;
            }
            self.remove(key, NULL_VERSION);
        }
        let versions = self.keys.entry(key.to_owned()).or_default();
        let index = versions
            .iter()
            .position(|other| other.order < version.order)
            .unwrap_or(versions.len());
        versions.insert(index, version);
    }

    /// Removes a version permanently.
    pub fn remove(&mut self, key: &str, version_id: &str) -> Option<SimVersion> {
        let versions = self.keys.get_mut(key)?;
        let index = versions.iter().position(|version| version.id == version_id)?;
        let removed = versions.remove(index);
        if versions.is_empty() {
            self.keys.remove(key);
        }
        Some(removed)
    }

    /// Returns the encryption of objects whose requests set none.
    pub fn default_encryption(&self) -> SimEncryption {
        let Some(document) = self.documents.get(&BucketDocument::Encryption) else {
            return SimEncryption::S3;
        };
        match element(document, "SSEAlgorithm") {
            Some(algorithm) if algorithm.starts_with("aws:kms") => SimEncryption::Kms {
                algorithm,
                key: element(document, "KMSMasterKeyID"),
                bucket_key: element(document, "BucketKeyEnabled").as_deref() == Some("true"),
            },
            _ => SimEncryption::S3,
        }
    }

    /// Returns whether access control lists are disabled.
    pub fn enforces_owner(&self) -> bool {
        self.documents
            .get(&BucketDocument::OwnershipControls)
            .and_then(|document| element(document, "ObjectOwnership"))
            .is_none_or(|ownership| ownership == "BucketOwnerEnforced")
    }

    /// Returns whether the bucket has no versions.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

/// Rejects invalid version ids.
pub fn check_version_id(version_id: &str) -> SimResult<()> {
    let is_id = version_id.len() == 32 && version_id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if version_id == NULL_VERSION || is_id {
        return Ok(());
    }
    Err(SimError::because(
        SimErrorCode::InvalidArgument,
        "Invalid version id specified",
    ))
}
