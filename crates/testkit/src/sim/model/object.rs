//! An object, its versions, and what a writer says of it.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::clock::Millis;
use super::content::SimContent;
use super::digest::ChecksumAlgorithm;

/// The version id of an object written without versioning.
pub const NULL_VERSION: &str = "null";

/// The storage class of an object that names none.
pub const STANDARD: &str = "STANDARD";

/// The headers that S3 keeps with an object and gives back as they are.
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
    /// Expires: any text, S3 does not look at it.
    pub expires: Option<String>,
}

/// How an object is encrypted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum SimEncryption {
    /// With S3's own keys.
    #[default]
    S3,
    /// With a key of KMS.
    Kms {
        /// `aws:kms` or `aws:kms:dsse`.
        algorithm: String,
        /// The key; `None` is the account's default.
        key: Option<String>,
        /// Whether a bucket key is used.
        bucket_key: bool,
    },
    /// With a key that only the customer has; S3 keeps its MD5.
    Customer {
        /// The MD5 of the key, in base64.
        key_md5: String,
    },
}

/// A retention: until when a version cannot be deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimRetention {
    /// `GOVERNANCE` or `COMPLIANCE`.
    pub mode: String,
    /// Its end.
    pub until: Millis,
}

/// One grant of an access control list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimGrant {
    /// Whom: `id=...` or `uri=...`.
    pub grantee: String,
    /// What: `READ`, `WRITE`, `READ_ACP`, `WRITE_ACP` or `FULL_CONTROL`.
    pub permission: String,
}

/// What a writer says of an object, apart from its content.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WriteAttributes {
    /// System headers.
    pub headers: SimSystemHeaders,
    /// Website redirect location.
    pub website_redirect: Option<String>,
    /// User metadata, decoded.
    pub metadata: BTreeMap<String, String>,
    /// How many metadata entries S3 cannot show in headers.
    pub missing_metadata: u32,
    /// Tags.
    pub tags: BTreeMap<String, String>,
    /// Storage class; empty means STANDARD.
    pub storage_class: Option<String>,
    /// Encryption; `None` takes the bucket's default.
    pub encryption: Option<SimEncryption>,
    /// Grants beside the owner's full control.
    pub grants: Vec<SimGrant>,
    /// Retention.
    pub retention: Option<SimRetention>,
    /// Legal hold, where one was said.
    pub legal_hold: Option<bool>,
    /// How many days the object is kept once its event hold is turned off, where one is on.
    pub event_hold_days: Option<u64>,
}

/// Whether a checksum covers the bytes or the checksums of the parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChecksumKind {
    /// Of the whole content.
    FullObject,
    /// Of the parts' checksums.
    Composite,
}

impl ChecksumKind {
    /// The name in headers and documents.
    pub fn name(self) -> &'static str {
        match self {
            Self::FullObject => "FULL_OBJECT",
            Self::Composite => "COMPOSITE",
        }
    }
}

/// The checksum that S3 keeps with an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimChecksum {
    /// Its algorithm.
    pub algorithm: ChecksumAlgorithm,
    /// What it covers.
    pub kind: ChecksumKind,
    /// Its value in base64, a composite one with the number of parts behind it.
    pub value: String,
}

/// A part of an object that was uploaded in parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectPart {
    /// Its number.
    pub number: u32,
    /// Its size.
    pub size_bytes: u64,
    /// Its checksum, where the uploader wanted checksums.
    pub checksum: Option<String>,
}

/// A small document kept with an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimAnnotation {
    /// What it says.
    pub payload: Bytes,
    /// When it was written.
    pub last_modified: Millis,
}

/// An object.
#[derive(Debug, Clone)]
pub struct SimObject {
    /// What its writer said of it; storage class and encryption are filled in.
    pub explicit: WriteAttributes,
    /// What it holds.
    pub content: SimContent,
    /// Its ETag, without quotes.
    pub etag: String,
    /// Its checksum; `None` only for objects of the time before S3 computed one for each.
    pub checksum: Option<SimChecksum>,
    /// Its parts; empty for an object written at once.
    pub parts: Vec<ObjectPart>,
    /// Whether the parts are listed with their checksums.
    pub lists_parts: bool,
    /// Whether an archived object can be read for now.
    pub restored: bool,
    /// Annotations.
    pub annotations: BTreeMap<String, SimAnnotation>,
}

impl SimObject {
    /// Returns the storage class.
    pub fn storage_class(&self) -> &str {
        self.explicit.storage_class.as_deref().unwrap_or(STANDARD)
    }

    /// Tells whether the object must be restored before anybody can read it.
    pub fn is_archived(&self) -> bool {
        matches!(self.storage_class(), "GLACIER" | "DEEP_ARCHIVE") && !self.restored
    }

    /// Returns how the object is encrypted.
    pub fn encryption(&self) -> &SimEncryption {
        self.explicit.encryption.as_ref().unwrap_or(&SimEncryption::S3)
    }
}

/// What a version is.
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
    /// Its id, or [`NULL_VERSION`].
    pub id: String,
    /// When its write began.
    pub last_modified: Millis,
    /// The order of the writes' beginnings: the greatest is current.
    pub order: u64,
    /// What it is.
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

    /// Returns the object to change it.
    pub fn object_mut(&mut self) -> Option<&mut SimObject> {
        match &mut self.entry {
            VersionEntry::Object(object) => Some(object),
            VersionEntry::DeleteMarker => None,
        }
    }
}
