//! One object of a report.

use std::cmp::Ordering;

use s3ferry_core::listing::{ListedObject, StorageClassName};
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
    /// With a key of the customer (`SSE-C`): nobody else can read the object, and the `ETag` says nothing of the content.
    CustomerKey,
    /// In a way that is not known here.
    Unknown,
}

impl EncryptionStatus {
    /// Tells whether the `ETag` says something of the content.
    #[must_use]
    pub fn has_telling_etag(self) -> bool {
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

/// What a report says of the current version of an object.
///
/// What the report was not configured to include is `None`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InventoryRow {
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
    /// Whether another current row of the key has the same time: only the bucket can say which of them counts.
    pub is_contested: bool,
}

/// A row that may be the current one of its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RowCandidate {
    /// An object.
    Object(InventoryRow),
    /// A delete marker: the key has no object.
    DeleteMarker {
        /// The key.
        key: ObjectKey,
        /// When it was written.
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

    /// Returns the object, unless the key has none.
    pub(crate) fn object(self) -> Option<InventoryRow> {
        match self {
            Self::Object(row) => Some(row),
            Self::DeleteMarker { .. } => None,
        }
    }

    /// Returns the newer of two rows of one key. S3 makes a report while the key is written, and gives no order to rows of
    /// the same time: if these are not the same, an object among them is contested.
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
    /// Takes what a listing says too, for a merge with another report or with a listing.
    ///
    /// More than a listing says where the report tells how objects are encrypted: a tag that says nothing of the content
    /// is left out, and so is that of a contested row.
    fn from(row: InventoryRow) -> Self {
        let is_telling = row.encryption.is_none_or(EncryptionStatus::has_telling_etag);
        Self {
            key: row.key,
            size_bytes: row.size_bytes,
            etag: Some(row.etag).filter(|_| is_telling && !row.is_contested),
            last_modified: row.last_modified,
            storage_class: row
                .storage_class
                .as_deref()
                .map_or(StorageClassName::UNKNOWN, StorageClassName::new),
        }
    }
}

/// The values of a row as they stand in a batch.
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
    fn tag_that_says_nothing_is_left_out() {
        for (encryption, tells) in [
            (None, true),
            (Some("NOT-SSE"), true),
            (Some("SSE-S3"), true),
            (Some("SSE-KMS"), false),
            (Some("DSSE-KMS"), false),
            (Some("SSE-C"), false),
        ] {
            assert_eq!(row(encryption, None).etag.is_some(), tells, "{encryption:?}");
        }
    }

    #[test]
    fn class_that_a_report_leaves_out_is_unknown() {
        assert_eq!(row(None, None).storage_class, StorageClassName::UNKNOWN);
        assert_eq!(row(None, Some("GLACIER")).storage_class.as_str(), "GLACIER");
    }
}
