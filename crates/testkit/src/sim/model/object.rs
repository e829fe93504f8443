//! Objects, their versions and their attributes.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::clock::Millis;
use super::content::SimContent;
use super::digest::ChecksumAlgorithm;

/// The version id of an object written without versioning.
pub const NULL_VERSION: &str = "null";

/// The storage class of an object that names none.
pub const STANDARD: &str = "STANDARD";

/// System headers: S3 stores them with an object and returns them unchanged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SimSystemHeaders {
    /// Content-Type.
    pub content_type: Option<String>,
    /// Cache-Control.
    pub cache_control: Option<String>,
    /// Content-Disposition.
    pub content_disposition: Option<String>,
    /// Content-Encoding.
    pub content_encoding: Option<String>,
    /// Content-Language.
    pub content_language: Option<String>,
    /// Expires. Any text, because S3 does not parse it.
    pub expires: Option<String>,
}

/// Encryption of an object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum SimEncryption {
    /// SSE-S3: keys that S3 manages.
    #[default]
    S3,
    /// SSE-KMS: a key of AWS KMS.
    Kms {
        /// `aws:kms` or `aws:kms:dsse`.
        algorithm: String,
        /// Id of the KMS key; `None` is the account's AWS managed key.
        key: Option<String>,
        /// Whether the object uses an S3 Bucket Key.
        bucket_key: bool,
    },
    /// SSE-C: a key that the customer provides. S3 stores only its MD5.
    Customer {
        /// MD5 of the key, in base64.
        key_md5: String,
    },
}

/// A retention of Object Lock: until when a version cannot be deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimRetention {
    /// `GOVERNANCE` or `COMPLIANCE`.
    pub mode: String,
    /// End of the retention period.
    pub until: Millis,
}

/// One grant of an access control list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimGrant {
    /// Grantee: `id=...` or `uri=...`.
    pub grantee: String,
    /// Permission: `READ`, `WRITE`, `READ_ACP`, `WRITE_ACP` or `FULL_CONTROL`.
    pub permission: String,
}

/// Attributes that a request sets for an object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WriteAttributes {
    /// System headers.
    pub headers: SimSystemHeaders,
    /// Website redirect location.
    pub website_redirect: Option<String>,
    /// User metadata, decoded.
    pub metadata: BTreeMap<String, String>,
    /// Number of metadata entries that S3 cannot return as headers (`x-amz-missing-meta`).
    pub missing_metadata: u32,
    /// Tags.
    pub tags: BTreeMap<String, String>,
    /// Storage class; `None` means STANDARD.
    pub storage_class: Option<String>,
    /// Encryption; `None` means the bucket's default encryption.
    pub encryption: Option<SimEncryption>,
    /// Grants in addition to the owner's full control.
    pub grants: Vec<SimGrant>,
    /// Retention.
    pub retention: Option<SimRetention>,
    /// Legal hold, if the request sets it.
    pub legal_hold: Option<bool>,
    /// Days of retention after the event hold is released, if an event hold is on.
    pub event_hold_days: Option<u64>,
}

/// Checksum type: whether a checksum covers the content or the checksums of the parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChecksumKind {
    /// Checksum of the whole content.
    FullObject,
    /// Checksum of the parts' checksums.
    Composite,
}

impl ChecksumKind {
    /// Returns the name in headers and documents.
    pub fn name(self) -> &'static str {
        match self {
            Self::FullObject => "FULL_OBJECT",
            Self::Composite => "COMPOSITE",
        }
    }
}

/// A checksum that S3 stores with an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimChecksum {
    /// Algorithm.
    pub algorithm: ChecksumAlgorithm,
    /// Checksum type.
    pub kind: ChecksumKind,
    /// Value in base64. A composite checksum also has the number of parts as a suffix.
    pub value: String,
}

/// A part of an object that was written by a multipart upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectPart {
    /// Part number.
    pub number: u32,
    /// Size in bytes.
    pub size_bytes: u64,
    /// Checksum, if the upload used checksums.
    pub checksum: Option<String>,
}

/// An annotation: a small document that is attached to an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimAnnotation {
    /// Content of the annotation.
    pub payload: Bytes,
    /// Time of the last write.
    pub last_modified: Millis,
}

/// An object.
#[derive(Debug, Clone)]
pub struct SimObject {
    /// Attributes of the write, including the resolved storage class and encryption.
    pub explicit: WriteAttributes,
    /// Content.
    pub content: SimContent,
    /// ETag, without quotes.
    pub etag: String,
    /// Checksum. `None` for objects from before S3 computed a checksum for each object.
    pub checksum: Option<SimChecksum>,
    /// Parts; empty for an object that a single request wrote.
    pub parts: Vec<ObjectPart>,
    /// Whether `GetObjectAttributes` lists the parts with their checksums.
    pub lists_parts: bool,
    /// Whether an archived object is currently restored.
    pub restored: bool,
    /// Annotations.
    pub annotations: BTreeMap<String, SimAnnotation>,
}

impl SimObject {
    /// Returns the storage class.
    pub fn storage_class(&self) -> &str {
        self.explicit.storage_class.as_deref().unwrap_or(STANDARD)
    }

    /// Returns whether the object must be restored before it can be read.
    pub fn is_archived(&self) -> bool {
        matches!(self.storage_class(), "GLACIER" | "DEEP_ARCHIVE") && !self.restored
    }

    /// Returns the encryption of the object.
    pub fn encryption(&self) -> &SimEncryption {
        self.explicit.encryption.as_ref().unwrap_or(&SimEncryption::S3)
    }
}

/// Content of a version: an object or a delete marker.
#[derive(Debug, Clone)]
pub enum VersionEntry {
    /// An object.
    Object(Box<SimObject>),
    /// A delete marker.
    DeleteMarker,
}

/// A version of a key.
#[derive(Debug, Clone)]
pub struct SimVersion {
    /// Version id, or [`NULL_VERSION`].
    pub id: String,
    /// Start time of the write.
    pub last_modified: Millis,
    /// Order of the write's start. The version with the greatest number is current.
    pub order: u64,
    /// Object or delete marker.
    pub entry: VersionEntry,
}

impl SimVersion {
    /// Returns the object, unless the version is a delete marker.
    pub fn object(&self) -> Option<&SimObject> {
        match &self.entry {
            VersionEntry::Object(object) => Some(object),
            VersionEntry::DeleteMarker => None,
        }
    }

    /// Returns the object for changes, unless the version is a delete marker.
    pub fn object_mut(&mut self) -> Option<&mut SimObject> {
        match &mut self.entry {
            VersionEntry::Object(object) => Some(object),
            VersionEntry::DeleteMarker => None,
        }
    }
}
