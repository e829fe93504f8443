//! A bucket: its keys with their versions, its uploads and its settings.

use std::collections::BTreeMap;

use super::clock::Millis;
use super::document::{BucketDocument, element};
use super::error::{SimError, SimErrorCode, SimResult};
use super::multipart::SimUpload;
use super::object::{NULL_VERSION, SimEncryption, SimObject, SimVersion, VersionEntry};

/// Whether a bucket keeps versions.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/Versioning.html>
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SimVersioning {
    /// It never did: each write replaces the null version.
    #[default]
    Unversioned,
    /// Each write makes a version.
    Enabled,
    /// It did: each write replaces the null version and leaves the others.
    Suspended,
}

/// The account that owns every bucket, unless a test gives it to another one.
pub const ACCOUNT: &str = "123456789012";

/// A bucket.
#[derive(Debug, Clone)]
pub struct SimBucket {
    /// Where it is.
    pub region: String,
    /// The account that owns it.
    pub owner: String,
    /// When it was made.
    pub created: Millis,
    /// Whether it keeps versions.
    pub versioning: SimVersioning,
    /// Whether it was made with Object Lock.
    pub object_lock: bool,
    /// Every key's versions, the current one first. Keys are in the order of their UTF-8 bytes.
    pub keys: BTreeMap<String, Vec<SimVersion>>,
    /// When a key without versions was last removed, as an order of beginnings.
    pub removals: BTreeMap<String, u64>,
    /// Uploads in progress by their id.
    pub uploads: BTreeMap<String, SimUpload>,
    /// Settings that are documents.
    pub documents: BTreeMap<BucketDocument, String>,
}

impl SimBucket {
    /// Makes an empty bucket.
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

    /// Returns the current version of a key, be it a delete marker.
    pub fn current(&self, key: &str) -> Option<&SimVersion> {
        self.keys.get(key)?.first()
    }

    /// Returns the current object of a key.
    pub fn current_object(&self, key: &str) -> Option<&SimObject> {
        self.current(key)?.object()
    }

    /// Finds what a read of a key, or of one of its versions, means; a delete marker is an error that says so.
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

    /// Finds a version by its id.
    pub fn version(&self, key: &str, version_id: &str) -> SimResult<&SimVersion> {
        check_version_id(version_id)?;
        self.keys
            .get(key)
            .and_then(|versions| versions.iter().find(|version| version.id == version_id))
            .ok_or_else(|| SimErrorCode::NoSuchVersion.into())
    }

    /// Finds the version that a change of an existing object means; a delete marker cannot be changed.
    pub fn change(&mut self, key: &str, version_id: Option<&str>) -> SimResult<&mut SimVersion> {
        let id = self.read(key, version_id)?.0.id.clone();
        self.keys
            .get_mut(key)
            .and_then(|versions| versions.iter_mut().find(|version| version.id == id))
            .ok_or_else(|| SimErrorCode::NoSuchVersion.into())
    }

    /// Puts a version where the beginning of its write belongs.
    ///
    /// A multipart upload takes the place of its start, so a version written since stays current. The null version is
    /// one: the later beginning keeps it.
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
        let place = versions
            .iter()
            .position(|other| other.order < version.order)
            .unwrap_or(versions.len());
        versions.insert(place, version);
    }

    /// Takes a version out for good.
    pub fn remove(&mut self, key: &str, version_id: &str) -> Option<SimVersion> {
        let versions = self.keys.get_mut(key)?;
        let place = versions.iter().position(|version| version.id == version_id)?;
        let removed = versions.remove(place);
        if versions.is_empty() {
            self.keys.remove(key);
        }
        Some(removed)
    }

    /// Returns how objects are encrypted that say nothing of it.
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

    /// Tells whether access control lists are switched off.
    pub fn enforces_owner(&self) -> bool {
        self.documents
            .get(&BucketDocument::OwnershipControls)
            .and_then(|document| element(document, "ObjectOwnership"))
            .is_none_or(|ownership| ownership == "BucketOwnerEnforced")
    }

    /// Tells whether nothing is left in the bucket.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

/// Refuses what cannot be a version id.
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
