//! What a listing says of an object.

use std::borrow::Cow;
use std::cmp::Ordering;

use crate::names::{ETag, ObjectKey};
use crate::time::Timestamp;

/// One row of a listing, live or out of an inventory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedObject {
    /// The key, decoded.
    pub key: ObjectKey,
    /// The size.
    pub size_bytes: u64,
    /// The tag of the content; inventories may leave it out.
    pub etag: Option<ETag>,
    /// When it was written.
    pub last_modified: Timestamp,
    /// The storage class, `STANDARD` where S3 omits it; inventories may leave it out.
    pub storage_class: StorageClassName,
}

/// The name of a storage class. A million rows share a handful of names, so the known ones take no memory of their own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StorageClassName(Cow<'static, str>);

/// The classes that S3 has had so far.
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

/// What stands where nothing says the class.
const UNKNOWN_CLASS: &str = "unknown";

impl StorageClassName {
    /// Stands for the class that an inventory does not say.
    pub const UNKNOWN: Self = Self(Cow::Borrowed(UNKNOWN_CLASS));

    /// Takes a name as S3 spells it; empty is `STANDARD`, which S3 may omit.
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

    /// Tells whether two classes are known not to be the same.
    #[must_use]
    pub fn is_other_than(&self, other: &Self) -> bool {
        *self != Self::UNKNOWN && *other != Self::UNKNOWN && self != other
    }
}

/// Two neighbours of a listing that are not in the order a merge needs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the listing is not in order: key `{key}` came after `{previous}`; a listing must be sorted by the UTF-8 bytes of its \
     keys, with no key twice"
)]
pub struct KeysOutOfOrder {
    /// The key before.
    pub previous: ObjectKey,
    /// The key that should have come earlier.
    pub key: ObjectKey,
}

/// Watches that keys come in the order of their UTF-8 bytes, each once; a merge of anything else would call equal keys
/// missing.
#[derive(Debug, Clone, Default)]
pub struct KeyOrderCheck {
    previous: Option<ObjectKey>,
}

impl KeyOrderCheck {
    /// Takes the next key.
    pub fn take(&mut self, key: &ObjectKey) -> Result<(), KeysOutOfOrder> {
        match &mut self.previous {
            Some(previous) if (*previous).cmp(key) != Ordering::Less => Err(KeysOutOfOrder {
                previous: previous.clone(),
                key: key.clone(),
            }),
            Some(previous) => {
                // Keeps the allocation: this runs for every key there is.
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
    fn order_is_that_of_utf8_bytes() {
        let mut order = KeyOrderCheck::default();
        // U+FFFF sorts before U+10000 in UTF-8, and after it in UTF-16.
        for text in ["A", "B", "a", "a/", "a0", "é", "\u{ffff}", "\u{10000}"] {
            order.take(&key(text)).unwrap();
        }
        let error = order.take(&key("z")).unwrap_err();
        assert!(error.to_string().contains("key `z` came after"), "{error}");
    }

    #[test]
    fn key_that_comes_twice_is_out_of_order() {
        let mut order = KeyOrderCheck::default();
        order.take(&key("a")).unwrap();
        assert!(order.take(&key("a")).is_err());
    }

    #[test]
    fn storage_classes_have_names_known_or_not() {
        assert_eq!(StorageClassName::new("").as_str(), "STANDARD");
        for name in ["GLACIER", "BRAND_NEW"] {
            assert_eq!(StorageClassName::new(name).as_str(), name);
        }
        assert!(StorageClassName::new("GLACIER").is_other_than(&StorageClassName::new("")));
        assert!(!StorageClassName::new("GLACIER").is_other_than(&StorageClassName::UNKNOWN));
    }
}
