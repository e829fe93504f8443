//! The versions of a key as the destination lists them, and the intents of s3ferry's deletes.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::names::{ETag, ObjectKey, VersionId};
use crate::stored_format::{self, UnsupportedFormat};
use crate::time::Timestamp;
use crate::upload::{MigrationRoute, hexadecimal};

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

/// Announcement that s3ferry is about to delete its copy at the destination.
///
/// Each version has its own intent, so that two intents never overwrite each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeleteIntent {
    /// Version that the delete marker will cover.
    pub covered: VersionName,
    /// `ETag` of that version, which is the condition of the delete.
    pub etag: ETag,
    /// Time of the listing before the announcement, by the destination's clock.
    pub announced: Timestamp,
}

impl DeleteIntent {
    /// Returns whether the announced delete may have landed at a point in time.
    #[must_use]
    pub fn may_land_at(&self, time: Timestamp) -> bool {
        self.announced.minus(SKEW) <= time && time <= self.announced.plus(WRITTEN_WITHIN)
    }
}

/// Prefix of all intents in the state bucket.
pub const INTENTS: &str = "intents/";

/// Format version of intents.
const FORM: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredIntent {
    form: u32,
    source_bucket: String,
    destination_bucket: String,
    key: String,
    covered: String,
    etag: String,
    announced: Timestamp,
}

/// Reasons why an object of the state bucket is not the expected delete intent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IntentError {
    /// The object is not an intent in this format.
    #[error("not a delete intent in format {FORM}: {0}")]
    Unreadable(String),
    /// The object is an intent in another format.
    #[error("delete intent {0}")]
    UnsupportedFormat(#[from] UnsupportedFormat),
    /// The object is the intent of another version, key or migration.
    #[error("the delete intent belongs to {0}")]
    OfAnother(String),
}

impl MigrationRoute {
    /// Returns the name of the state object that announces the delete of one version.
    #[must_use]
    pub fn intent_name(&self, key: &ObjectKey, covered: &VersionName) -> String {
        let mut hash = Sha256::new();
        for name in [
            self.source.as_str(),
            self.destination.as_str(),
            key.as_str(),
            covered.as_str(),
        ] {
            hash.update((name.len() as u64).to_be_bytes());
            hash.update(name);
        }
        format!("{INTENTS}{}.json", hexadecimal(&hash.finalize()))
    }

    /// Serializes an intent.
    pub fn write_intent(&self, key: &ObjectKey, intent: &DeleteIntent) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(&StoredIntent {
            form: FORM,
            source_bucket: self.source.to_string(),
            destination_bucket: self.destination.to_string(),
            key: key.to_string(),
            covered: intent.covered.to_string(),
            etag: intent.etag.to_string(),
            announced: intent.announced,
        })
    }

    /// Parses the intent of one version.
    pub fn read_intent(
        &self,
        key: &ObjectKey,
        covered: &VersionName,
        body: &[u8],
    ) -> Result<DeleteIntent, IntentError> {
        stored_format::check(body, FORM)?;
        let unreadable = |error: &dyn fmt::Display| IntentError::Unreadable(error.to_string());
        let written: StoredIntent = serde_json::from_slice(body).map_err(|error| unreadable(&error))?;
        let names = [
            (written.source_bucket.as_str(), self.source.as_str()),
            (written.destination_bucket.as_str(), self.destination.as_str()),
            (written.key.as_str(), key.as_str()),
            (written.covered.as_str(), covered.as_str()),
        ];
        if names.iter().any(|(found, wanted)| found != wanted) {
            return Err(IntentError::OfAnother(format!(
                "version {} of {}/{}",
                written.covered, written.destination_bucket, written.key
            )));
        }
        Ok(DeleteIntent {
            covered: covered.clone(),
            etag: ETag::new(&written.etag).map_err(|error| unreadable(&error))?,
            announced: written.announced,
        })
    }
}

impl MigrationRoute {
    /// Returns the key of the intent in the state object `name`; `None` if the intent is of another migration.
    pub fn key_of_intent(&self, name: &str, body: &[u8]) -> Result<Option<ObjectKey>, IntentError> {
        stored_format::check(body, FORM)?;
        let unreadable = |error: &dyn fmt::Display| IntentError::Unreadable(error.to_string());
        let written: StoredIntent = serde_json::from_slice(body).map_err(|error| unreadable(&error))?;
        if (written.source_bucket.as_str(), written.destination_bucket.as_str())
            != (self.source.as_str(), self.destination.as_str())
        {
            return Ok(None);
        }
        let key = ObjectKey::from_raw(written.key).map_err(|error| unreadable(&error))?;
        let covered = VersionName::new(&written.covered).ok_or_else(|| unreadable(&"the intent names no version"))?;
        self.read_intent(&key, &covered, body)?;
        if self.intent_name(&key, &covered) != name {
            return Err(IntentError::OfAnother(format!("version {covered} of {key}")));
        }
        Ok(Some(key))
    }
}

#[cfg(test)]
mod tests;
