//! One object of a report.

use s3ferry_core::listing::{Listed, StorageClassName};
use s3ferry_core::names::{ETag, NameError, ObjectKey, VersionId};
use s3ferry_core::time::Timestamp;

/// How a report says that an object is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EncryptionStatus {
    /// Not at all (`NOT-SSE`).
    Unencrypted,
    /// With keys S3 manages (`SSE-S3`).
    Managed,
    /// With a KMS key (`SSE-KMS`): the `ETag` says nothing of the content.
    Kms,
    /// With two layers of KMS encryption (`DSSE-KMS`): the `ETag` says nothing of the content.
    DualLayerKms,
    /// With a key of the customer (`SSE-C`): nobody else can read the object.
    CustomerKey,
    /// In a way that is not known here.
    Unknown,
}

impl EncryptionStatus {
    pub(crate) fn of(text: &str) -> Self {
        match text {
            "NOT-SSE" => Self::Unencrypted,
            "SSE-S3" => Self::Managed,
            "SSE-KMS" => Self::Kms,
            "DSSE-KMS" => Self::DualLayerKms,
            "SSE-C" => Self::CustomerKey,
            _ => Self::Unknown,
        }
    }
}

/// What a report says of the current version of an object.
///
/// What the report was not configured to include is `None`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The object's key, decoded.
    pub key: ObjectKey,
    /// Its version, where it has an id that pins it.
    pub version_id: Option<VersionId>,
    /// Its size.
    pub size_bytes: u64,
    /// When it was written.
    pub last_modified: Timestamp,
    /// The tag of its content.
    pub etag: ETag,
    /// Its storage class.
    pub storage_class: Option<String>,
    /// Whether it was uploaded in parts.
    pub multipart: Option<bool>,
    /// How it is encrypted.
    pub encryption: Option<EncryptionStatus>,
    /// The archive tier that `INTELLIGENT_TIERING` has moved it to, if any: it must be restored before it can be read.
    pub archive_tier: Option<String>,
    /// The algorithm of its stored checksum.
    pub checksum_algorithm: Option<String>,
}

impl From<Row> for Listed {
    /// Takes what a listing says too, for a merge with another report or with a listing.
    ///
    /// Where the report does not say the storage class it is taken to be `STANDARD`, as where a listing omits it; ask
    /// [`Row::storage_class`] where that matters.
    fn from(row: Row) -> Self {
        Self {
            key: row.key,
            size_bytes: row.size_bytes,
            etag: Some(row.etag),
            last_modified: row.last_modified,
            storage_class: StorageClassName::new(row.storage_class.as_deref().unwrap_or_default()),
        }
    }
}

/// The values of a row as they stand in a batch.
pub(crate) struct RawRow<'a> {
    pub(crate) key: &'a str,
    pub(crate) version_id: Option<&'a str>,
    pub(crate) size: i64,
    pub(crate) last_modified: i64,
    pub(crate) etag: &'a str,
    pub(crate) storage_class: Option<&'a str>,
    pub(crate) multipart: Option<bool>,
    pub(crate) encryption: Option<&'a str>,
    pub(crate) access_tier: Option<&'a str>,
    pub(crate) checksum_algorithm: Option<&'a str>,
}

impl RawRow<'_> {
    pub(crate) fn row(&self) -> Result<Row, NameError> {
        let text = |value: Option<&str>| value.filter(|text| !text.is_empty()).map(str::to_owned);
        Ok(Row {
            key: ObjectKey::from_raw(self.key)?,
            version_id: self.version_id.and_then(VersionId::pinnable),
            // Rows with a negative size were refused when they were read.
            size_bytes: self.size.unsigned_abs(),
            last_modified: Timestamp::from_millis(self.last_modified),
            etag: ETag::new(self.etag)?,
            storage_class: text(self.storage_class),
            multipart: self.multipart,
            encryption: self
                .encryption
                .filter(|text| !text.is_empty())
                .map(EncryptionStatus::of),
            archive_tier: text(self.access_tier).filter(|tier| tier.contains("ARCHIVE")),
            checksum_algorithm: text(self.checksum_algorithm),
        })
    }
}
