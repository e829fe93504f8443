//! The versions of a key as the destination lists them, and the announcements of s3ferry's deletes.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::names::{ETag, ObjectKey, VersionId};
use crate::time::Timestamp;
use crate::upload::{MigrationRoute, hexadecimal};

/// Names any version of a key, also the one that was written before the bucket had versions.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum VersionName {
    /// The version without an id of its own.
    Null,
    /// One with an id that is never used again.
    Id(VersionId),
}

impl VersionName {
    /// Names the version with `version_id`; without one it is the null version.
    #[must_use]
    pub fn of(version_id: Option<&VersionId>) -> Self {
        version_id.map_or(Self::Null, |version_id| Self::Id(version_id.clone()))
    }

    /// Reads a name as S3 spells it; nothing names no version.
    #[must_use]
    pub fn new(name: &str) -> Option<Self> {
        match name {
            "" => None,
            "null" => Some(Self::Null),
            id => VersionId::pinnable(id).map(Self::Id),
        }
    }

    /// Returns the name as S3 spells it.
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

/// What a listing says of one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedVersion {
    /// Which one it is.
    pub version: VersionName,
    /// When it was written, in whole seconds.
    pub last_modified: Timestamp,
    /// What it is.
    pub kind: VersionKind,
}

/// What a version is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VersionKind {
    /// The key was deleted.
    DeleteMarker,
    /// An object.
    Object {
        /// The tag of its content.
        etag: ETag,
        /// Its size.
        size_bytes: u64,
    },
}

impl ListedVersion {
    /// Tells whether the version is a delete marker.
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

    /// Returns the tag of an object.
    #[must_use]
    pub fn etag(&self) -> Option<&ETag> {
        match &self.kind {
            VersionKind::DeleteMarker => None,
            VersionKind::Object { etag, .. } => Some(etag),
        }
    }
}

/// The newest versions of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionListing {
    /// The versions, newest first.
    pub versions: Vec<ListedVersion>,
    /// Whether these are all of them.
    pub is_complete: bool,
    /// When the bucket answered, by its own clock: whatever is written later has no earlier time.
    pub listed: Timestamp,
}

/// How long after a listing a write that was decided on it may happen: it is sent before its invocation ends, which takes
/// 15 minutes at most, and lands within ten minutes.
pub const WRITTEN_WITHIN: Duration = Duration::from_mins(30);

/// How far the clocks of two servers of S3 may be apart.
pub(crate) const SKEW: Duration = Duration::from_mins(1);

/// An announcement: we are about to delete an object of ours at the destination.
///
/// There is one for each version, so that no two of them can be in each other's way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeleteIntent {
    /// The version that the delete marker will cover.
    pub covered: VersionName,
    /// Its tag, which is the condition of the delete.
    pub etag: ETag,
    /// When the version was listed before it was announced, by the destination's clock.
    pub announced: Timestamp,
}

impl DeleteIntent {
    /// Tells whether the delete that was announced may have landed at a point in time.
    #[must_use]
    pub fn may_land_at(&self, time: Timestamp) -> bool {
        self.announced.minus(SKEW) <= time && time <= self.announced.plus(WRITTEN_WITHIN)
    }
}

/// How the names of all intents begin.
pub const INTENTS: &str = "intents/";

/// The version of the form in which intents are written down.
const FORM: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    form: u32,
    source_bucket: String,
    destination_bucket: String,
    key: String,
    covered: String,
    etag: String,
    announced: Timestamp,
}

/// Why a text is not the delete intent that was looked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IntentError {
    /// It is no intent of this form.
    #[error("not a delete intent in form {FORM}: {0}")]
    Unreadable(String),
    /// It is the intent of something else.
    #[error("the delete intent is of {0}")]
    OfAnother(String),
}

impl MigrationRoute {
    /// Names the object in the state bucket that announces the delete of one version.
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

    /// Spells an intent.
    pub fn write_intent(&self, key: &ObjectKey, intent: &DeleteIntent) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(&Written {
            form: FORM,
            source_bucket: self.source.to_string(),
            destination_bucket: self.destination.to_string(),
            key: key.to_string(),
            covered: intent.covered.to_string(),
            etag: intent.etag.to_string(),
            announced: intent.announced,
        })
    }

    /// Reads the intent of one version.
    pub fn read_intent(
        &self,
        key: &ObjectKey,
        covered: &VersionName,
        body: &[u8],
    ) -> Result<DeleteIntent, IntentError> {
        let unreadable = |error: &dyn fmt::Display| IntentError::Unreadable(error.to_string());
        let written: Written = serde_json::from_slice(body).map_err(|error| unreadable(&error))?;
        if written.form != FORM {
            return Err(unreadable(&format_args!("form {}", written.form)));
        }
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
    /// Finds the key that the state object `name` is an intent of; `None` if it is an intent of another migration.
    pub fn key_of_intent(&self, name: &str, body: &[u8]) -> Result<Option<ObjectKey>, IntentError> {
        let unreadable = |error: &dyn fmt::Display| IntentError::Unreadable(error.to_string());
        let written: Written = serde_json::from_slice(body).map_err(|error| unreadable(&error))?;
        if (written.source_bucket.as_str(), written.destination_bucket.as_str())
            != (self.source.as_str(), self.destination.as_str())
        {
            return Ok(None);
        }
        let key = ObjectKey::from_raw(written.key).map_err(|error| unreadable(&error))?;
        let covered = VersionName::new(&written.covered).ok_or_else(|| unreadable(&"it names no version"))?;
        self.read_intent(&key, &covered, body)?;
        if self.intent_name(&key, &covered) != name {
            return Err(IntentError::OfAnother(format!("version {covered} of {key}")));
        }
        Ok(Some(key))
    }
}

#[cfg(test)]
mod tests;
