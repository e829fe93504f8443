//! The versions of a key as the destination lists them.

use std::fmt;
use std::time::Duration;

use crate::names::{ETag, VersionId};
use crate::time::Timestamp;

/// Name of a version of a key, including the null version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum VersionName {
    /// The null version, written while the bucket was not versioned.
    Null,
    /// A version with an id that is never used again.
    Id(VersionId),
}

impl VersionName {
    /// Returns the name of the version with `version_id`, or of the null version for `None`.
    #[must_use]
    pub fn of(version_id: Option<&VersionId>) -> Self {
        version_id.map_or(Self::Null, |version_id| Self::Id(version_id.clone()))
    }

    /// Parses a version id as S3 writes it. Returns `None` for an empty one.
    #[must_use]
    pub fn new(name: &str) -> Option<Self> {
        match name {
            "" => None,
            "null" => Some(Self::Null),
            id => VersionId::pinnable(id).map(Self::Id),
        }
    }

    /// Returns the version id as S3 writes it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Null => "null",
            Self::Id(version_id) => version_id.as_str(),
        }
    }
}

impl fmt::Display for VersionName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// Entry of a version listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedVersion {
    /// Name of the version.
    pub version: VersionName,
    /// Time of the write, in whole seconds.
    pub last_modified: Timestamp,
    /// Object or delete marker.
    pub kind: VersionKind,
}

/// Kind of a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VersionKind {
    /// Delete marker.
    DeleteMarker,
    /// Object.
    Object {
        /// `ETag` of the object.
        etag: ETag,
        /// Size of the object.
        size_bytes: u64,
    },
}

impl ListedVersion {
    /// Returns whether the version is a delete marker.
    #[must_use]
    pub fn is_delete_marker(&self) -> bool {
        self.kind == VersionKind::DeleteMarker
    }

    /// Returns the size of an object.
    #[must_use]
    pub fn size_bytes(&self) -> Option<u64> {
        match &self.kind {
            VersionKind::DeleteMarker => None,
            VersionKind::Object { size_bytes, .. } => Some(*size_bytes),
        }
    }

    /// Returns the `ETag` of an object.
    #[must_use]
    pub fn etag(&self) -> Option<&ETag> {
        match &self.kind {
            VersionKind::DeleteMarker => None,
            VersionKind::Object { etag, .. } => Some(etag),
        }
    }
}

/// Newest versions of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionListing {
    /// Versions, newest first.
    pub versions: Vec<ListedVersion>,
    /// Whether the listing contains all versions.
    pub is_complete: bool,
    /// Time of the response by the bucket's clock; later writes never have an earlier time.
    pub listed: Timestamp,
}

/// Longest time between a listing and a write that was decided on it. The write is sent before its invocation ends,
/// which takes 15 minutes at most, and lands within ten minutes.
pub const WRITTEN_WITHIN: Duration = Duration::from_mins(30);

/// Maximum difference between the clocks of two S3 servers.
pub(crate) const SKEW: Duration = Duration::from_mins(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_names_are_parsed_as_s3_writes_them() {
        assert_eq!(VersionName::new(""), None);
        assert_eq!(VersionName::new("null"), Some(VersionName::Null));
        assert_eq!(VersionName::of(None).as_str(), "null");
        assert_eq!(
            VersionName::of(VersionId::pinnable("v1").as_ref()),
            VersionName::new("v1").unwrap()
        );
        assert_eq!(VersionName::new("v1").unwrap().to_string(), "v1");
    }
}
