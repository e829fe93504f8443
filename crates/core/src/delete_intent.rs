//! Intents: announcements of s3ferry's deletes, stored before the deletes are sent.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::digest::FieldDigest;
use crate::names::{ETag, ObjectKey};
use crate::route::MigrationRoute;
use crate::stored_format::{self, UnsupportedFormat};
use crate::time::Timestamp;
use crate::versions::{SKEW, VersionName, WRITTEN_WITHIN};

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
        let names = [
            self.source.as_str(),
            self.destination.as_str(),
            key.as_str(),
            covered.as_str(),
        ];
        format!("{INTENTS}{}.json", FieldDigest::of(names))
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
