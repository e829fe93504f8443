//! Rows of a report.

use std::cmp::Ordering;

use s3ferry_core::listing::{ListedObject, StorageClassName};
use s3ferry_core::names::{ETag, NameError, ObjectKey, VersionId};
use s3ferry_core::time::Timestamp;

/// Encryption status of an object in a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EncryptionStatus {
    /// No encryption (`NOT-SSE`).
    Unencrypted,
    /// Keys that S3 manages (`SSE-S3`).
    Managed,
    /// KMS key (`SSE-KMS`). The `ETag` is not an MD5 of the content.
    Kms,
    /// Dual-layer encryption with a KMS key (`DSSE-KMS`). The `ETag` is not an MD5 of the content.
    DualLayerKms,
    /// Customer-provided key (`SSE-C`). Only the customer can read the object. The `ETag` is not an MD5 of the content.
    CustomerKey,
    /// Status that s3ferry does not know.
    Unknown,
}

impl EncryptionStatus {
    /// Returns whether the `ETag` is comparable. With KMS and customer-provided keys it is unrelated to the content.
    #[must_use]
    pub fn has_comparable_etag(self) -> bool {
        match self {
            Self::Unencrypted | Self::Managed | Self::Unknown => true,
            Self::Kms | Self::DualLayerKms | Self::CustomerKey => false,
        }
    }

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

/// Row of a report: the current version of an object.
///
/// Columns that the report does not include are `None`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InventoryRow {
    /// Object key, decoded.
    pub key: ObjectKey,
    /// Version ID, unless it is `null`.
    pub version_id: Option<VersionId>,
    /// Size in bytes.
    pub size_bytes: u64,
    /// Last-modified time.
    pub last_modified: Timestamp,
    /// `ETag` of the object.
    pub etag: ETag,
    /// Storage class.
    pub storage_class: Option<String>,
    /// Whether the object was created by a multipart upload.
    pub multipart: Option<bool>,
    /// Encryption status.
    pub encryption: Option<EncryptionStatus>,
    /// Archive tier of an object in `INTELLIGENT_TIERING`, if any. Such an object must be restored first.
    pub archive_tier: Option<String>,
    /// Algorithm of the stored checksum.
    pub checksum_algorithm: Option<String>,
    /// Whether another current row of the key has the same time. Only the bucket can show which one is current.
    pub is_contested: bool,
}

/// Row that may be the current one of its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RowCandidate {
    /// An object.
    Object(InventoryRow),
    /// A delete marker: the key has no current object.
    DeleteMarker {
        /// Object key.
        key: ObjectKey,
        /// Last-modified time.
        last_modified: Timestamp,
    },
}

impl RowCandidate {
    /// Returns the key.
    pub(crate) fn key(&self) -> &ObjectKey {
        match self {
            Self::Object(InventoryRow { key, .. }) | Self::DeleteMarker { key, .. } => key,
        }
    }

    fn last_modified(&self) -> Timestamp {
        match self {
            Self::Object(InventoryRow { last_modified, .. }) | Self::DeleteMarker { last_modified, .. } => {
                *last_modified
            }
        }
    }

    /// Returns the object, `None` for a delete marker.
    pub(crate) fn object(self) -> Option<InventoryRow> {
        match self {
            Self::Object(row) => Some(row),
            Self::DeleteMarker { .. } => None,
        }
    }

    /// Returns the newer of two rows of one key. A key may be written while S3 creates the report, and rows with the
    /// same time have no order. If such rows differ, an object among them is contested.
    pub(crate) fn newer(self, other: Self) -> Self {
        match self.last_modified().cmp(&other.last_modified()) {
            Ordering::Greater => self,
            Ordering::Less => other,
            Ordering::Equal if self == other => self,
            Ordering::Equal => match (self, other) {
                (Self::Object(row), _) | (_, Self::Object(row)) => Self::Object(InventoryRow {
                    is_contested: true,
                    ..row
                }),
                (marker, _) => marker,
            },
        }
    }
}

impl From<InventoryRow> for ListedObject {
    /// Converts the row for a merge with a listing or another report.
    ///
    /// Unlike in a listing, an `ETag` that is not comparable according to the encryption status is omitted. The `ETag`
    /// of a contested row is omitted too.
    fn from(row: InventoryRow) -> Self {
        let is_comparable = row.encryption.is_none_or(EncryptionStatus::has_comparable_etag);
        Self {
            key: row.key,
            size_bytes: row.size_bytes,
            etag: Some(row.etag).filter(|_| is_comparable && !row.is_contested),
            last_modified: row.last_modified,
            storage_class: row
                .storage_class
                .as_deref()
                .map_or(StorageClassName::UNKNOWN, StorageClassName::new),
        }
    }
}

/// Values of a row in a batch.
pub(crate) struct RawRow<'a> {
    pub(crate) is_delete_marker: bool,
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
    pub(crate) fn row(&self) -> Result<InventoryRow, NameError> {
        let text = |value: Option<&str>| value.filter(|text| !text.is_empty()).map(str::to_owned);
        Ok(InventoryRow {
            key: ObjectKey::from_raw(self.key)?,
            version_id: self.version_id.and_then(VersionId::pinnable),
            // The filter refuses rows with a negative size.
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
            is_contested: false,
        })
    }

    pub(crate) fn current(&self) -> Result<RowCandidate, NameError> {
        if !self.is_delete_marker {
            return self.row().map(RowCandidate::Object);
        }
        Ok(RowCandidate::DeleteMarker {
            key: ObjectKey::from_raw(self.key)?,
            last_modified: Timestamp::from_millis(self.last_modified),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(encryption: Option<&str>, storage_class: Option<&str>) -> ListedObject {
        let raw = RawRow {
            is_delete_marker: false,
            key: "k",
            version_id: None,
            size: 1,
            last_modified: 0,
            etag: "aa",
            storage_class,
            multipart: None,
            encryption,
            access_tier: None,
            checksum_algorithm: None,
        };
        raw.row().unwrap().into()
    }

    #[test]
    fn etag_that_is_not_comparable_is_omitted() {
        for (encryption, is_comparable) in [
            (None, true),
            (Some("NOT-SSE"), true),
            (Some("SSE-S3"), true),
            (Some("SSE-KMS"), false),
            (Some("DSSE-KMS"), false),
            (Some("SSE-C"), false),
        ] {
            assert_eq!(row(encryption, None).etag.is_some(), is_comparable, "{encryption:?}");
        }
    }

    #[test]
    fn storage_class_without_a_column_is_unknown() {
        assert_eq!(row(None, None).storage_class, StorageClassName::UNKNOWN);
        assert_eq!(row(None, Some("GLACIER")).storage_class.as_str(), "GLACIER");
    }
}
