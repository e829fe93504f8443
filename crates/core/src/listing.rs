//! Rows of listings.

use std::borrow::Cow;
use std::cmp::Ordering;

use crate::names::{ETag, ObjectKey};
use crate::time::Timestamp;

/// Row of a listing, from `ListObjectsV2` or an inventory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedObject {
    /// Object key, decoded.
    pub key: ObjectKey,
    /// Size in bytes.
    pub size_bytes: u64,
    /// `ETag`. An inventory may omit it.
    pub etag: Option<ETag>,
    /// Last-modified time.
    pub last_modified: Timestamp,
    /// Storage class: `STANDARD` if S3 omits it, unknown if an inventory omits it.
    pub storage_class: StorageClassName,
}

/// Name of a storage class. Known names are static, because a listing of a million rows contains only a few.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StorageClassName(Cow<'static, str>);

/// Known storage classes of S3.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html>
const KNOWN_CLASSES: [&str; 13] = [
    "STANDARD",
    "STANDARD_IA",
    "ONEZONE_IA",
    "INTELLIGENT_TIERING",
    "GLACIER_IR",
    "GLACIER",
    "DEEP_ARCHIVE",
    "REDUCED_REDUNDANCY",
    "OUTPOSTS",
    "SNOW",
    "EXPRESS_ONEZONE",
    "FSX_OPENZFS",
    "FSX_ONTAP",
];

/// Name of an unknown storage class.
const UNKNOWN_CLASS: &str = "unknown";

impl StorageClassName {
    /// Storage class of an inventory row without that column.
    pub const UNKNOWN: Self = Self(Cow::Borrowed(UNKNOWN_CLASS));

    /// Returns the storage class with S3's name. S3 omits `STANDARD`, so an empty name is `STANDARD`.
    #[must_use]
    pub fn new(name: &str) -> Self {
        if name.is_empty() {
            return Self(Cow::Borrowed("STANDARD"));
        }
        match KNOWN_CLASSES.iter().find(|known| **known == name) {
            Some(known) => Self(Cow::Borrowed(known)),
            None => Self(Cow::Owned(name.to_owned())),
        }
    }

    /// Returns the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether two storage classes are known and different.
    #[must_use]
    pub fn is_other_than(&self, other: &Self) -> bool {
        *self != Self::UNKNOWN && *other != Self::UNKNOWN && self != other
    }
}

/// Two consecutive keys of a listing that are not in ascending order.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the listing is not in order: key `{key}` follows `{previous}`; keys must be unique and sorted by their UTF-8 bytes"
)]
pub struct KeysOutOfOrder {
    /// Preceding key.
    pub previous: ObjectKey,
    /// Key that sorts before it, or equals it.
    pub key: ObjectKey,
}

/// Checks that the keys of a listing ascend by their UTF-8 bytes. Otherwise a merge of two listings would report equal
/// keys as missing.
#[derive(Debug, Clone, Default)]
pub struct KeyOrderCheck {
    previous: Option<ObjectKey>,
}

impl KeyOrderCheck {
    /// Checks the next key.
    pub fn take(&mut self, key: &ObjectKey) -> Result<(), KeysOutOfOrder> {
        match &mut self.previous {
            Some(previous) if (*previous).cmp(key) != Ordering::Less => Err(KeysOutOfOrder {
                previous: previous.clone(),
                key: key.clone(),
            }),
            Some(previous) => {
                // Reuses the allocation: this runs for every key of a listing.
                previous.clone_from(key);
                Ok(())
            }
            None => {
                self.previous = Some(key.clone());
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> ObjectKey {
        ObjectKey::from_raw(text).unwrap()
    }

    #[test]
    fn key_order_is_by_utf8_bytes() {
        let mut order = KeyOrderCheck::default();
        // U+FFFF sorts before U+10000 in UTF-8, and after it in UTF-16.
        for text in ["A", "B", "a", "a/", "a0", "é", "\u{ffff}", "\u{10000}"] {
            order.take(&key(text)).unwrap();
        }
        let error = order.take(&key("z")).unwrap_err();
        assert!(error.to_string().contains("key `z` follows"), "{error}");
    }

    #[test]
    fn repeated_key_is_out_of_order() {
        let mut order = KeyOrderCheck::default();
        order.take(&key("a")).unwrap();
        assert!(order.take(&key("a")).is_err());
    }

    #[test]
    fn storage_class_names_are_preserved_known_or_not() {
        assert_eq!(StorageClassName::new("").as_str(), "STANDARD");
        for name in ["GLACIER", "BRAND_NEW"] {
            assert_eq!(StorageClassName::new(name).as_str(), name);
        }
        assert!(StorageClassName::new("GLACIER").is_other_than(&StorageClassName::new("")));
        assert!(!StorageClassName::new("GLACIER").is_other_than(&StorageClassName::UNKNOWN));
    }
}
