//! What the team decided once for the whole migration.

use std::collections::BTreeMap;

use crate::names::ObjectKey;

/// What the team decided once for the whole migration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Only keys that begin with this are in scope; empty means all.
    pub key_prefix: String,
    /// Who writes to the destination until the cutover.
    pub ownership: Ownership,
    /// What is gone at the source goes at the destination.
    pub propagate_deletes: bool,
    /// The storage class of copies.
    pub storage_class: StorageClassRule,
    /// Which KMS key a copy gets, by the ARN of the source object's key; any other gets the bucket's default encryption.
    pub kms_keys: BTreeMap<String, String>,
    /// Objects larger than this are copied in parts.
    pub multipart_threshold_bytes: u64,
    /// How large parts are where the source gives no boundaries.
    pub part_size_bytes: u64,
    /// When the `ETag` of an object that was uploaded in parts is kept.
    pub preserve_etag: PreserveEtag,
    /// What happens to access control lists.
    pub acl: AclRule,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            key_prefix: String::new(),
            ownership: Ownership::Exclusive,
            propagate_deletes: false,
            storage_class: StorageClassRule::AsSource,
            kms_keys: BTreeMap::new(),
            multipart_threshold_bytes: crate::plan::COPY_OBJECT_LIMIT_BYTES,
            part_size_bytes: crate::plan::DEFAULT_PART_BYTES,
            preserve_etag: PreserveEtag::Large,
            acl: AclRule::Ignore,
        }
    }
}

impl Policy {
    /// Tells whether a key is in scope.
    #[must_use]
    pub fn covers(&self, key: &ObjectKey) -> bool {
        key.as_str().starts_with(&self.key_prefix)
    }
}

/// The storage classes that `CopyObject` takes in an AWS region.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-class-intro.html>
pub const STORAGE_CLASSES: [&str; 8] = [
    "STANDARD",
    "STANDARD_IA",
    "ONEZONE_IA",
    "INTELLIGENT_TIERING",
    "GLACIER_IR",
    "GLACIER",
    "DEEP_ARCHIVE",
    "REDUCED_REDUNDANCY",
];

/// Who writes to the destination until the cutover.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ownership {
    /// Only s3ferry: the source is the truth.
    Exclusive,
    /// Applications too: the newer object wins, and copies carry a marker of their origin.
    Shared,
}

impl Ownership {
    /// Reads the value of a variable or an argument.
    pub fn parse(value: &str) -> Result<Self, &'static str> {
        match value {
            "exclusive" => Ok(Self::Exclusive),
            "shared" => Ok(Self::Shared),
            _ => Err("allowed: exclusive, shared"),
        }
    }
}

/// Which storage class a copy gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StorageClassRule {
    /// Each object keeps the class it has at the source.
    AsSource,
    /// All objects get this class.
    Fixed(String),
}

impl StorageClassRule {
    /// Reads the value of a variable or an argument.
    pub fn parse(value: &str) -> Result<Self, String> {
        if value == "source" {
            return Ok(Self::AsSource);
        }
        if STORAGE_CLASSES.contains(&value) {
            return Ok(Self::Fixed(value.to_owned()));
        }
        Err(format!("allowed: source, {}", STORAGE_CLASSES.join(", ")))
    }
}

/// When the `ETag` of an object that was uploaded in parts is kept by copying it in the same parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PreserveEtag {
    /// For objects above the threshold, which are copied in parts anyway.
    Large,
    /// For all objects: what was uploaded in parts is copied in its parts, and what was not is copied in one request
    /// wherever S3 allows that.
    Always,
}

/// What happens to access control lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AclRule {
    /// A copy gets the bucket's default.
    Ignore,
    /// Explicit grants are restated, where both buckets have access control lists at all.
    Copy,
}

/// Reads a yes or no as variables and arguments spell it.
pub fn boolean(value: &str) -> Result<bool, &'static str> {
    value.parse().map_err(|_| "allowed: true, false")
}
