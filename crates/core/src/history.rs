//! What lies below a key's current object: its versions, and which delete markers among them are ours.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::facts::{ObjectFacts, ObjectState};
use crate::names::{ETag, ObjectKey, VersionId};
use crate::time::Timestamp;
use crate::upload::{Route, hexadecimal};

/// Names any version of a key, also the one that was written before the bucket had versions.
#[derive(Debug, Clone, PartialEq, Eq)]
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
pub struct VersionStamp {
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

impl VersionStamp {
    /// Tells whether the version is a delete marker.
    #[must_use]
    pub fn is_delete_marker(&self) -> bool {
        self.kind == VersionKind::DeleteMarker
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

/// What is known of the destination's versions of a key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Past {
    /// The newest versions, newest first.
    pub versions: Vec<VersionStamp>,
    /// The deletes of ours that were announced for any of them.
    pub announced: Vec<DeleteIntent>,
    /// The objects below the newest version, where somebody read them.
    pub below: Option<Vec<ObjectFacts>>,
}

impl Past {
    /// Tells whether the newest version is the one that was read.
    #[must_use]
    pub fn begins_with(&self, current: &ObjectState) -> bool {
        let Some(top) = self.versions.first() else { return false };
        match current {
            ObjectState::Present(facts) => {
                !top.is_delete_marker() && top.version == VersionName::of(facts.version_id.as_ref())
            }
            ObjectState::DeleteMarker => top.is_delete_marker(),
            ObjectState::NotFound | ObjectState::ConfirmedAbsent => false,
        }
    }

    /// Returns the version right below the newest one.
    #[must_use]
    pub fn second(&self) -> Option<&VersionStamp> {
        self.versions.get(1)
    }

    /// Returns the objects below the newest version.
    pub fn objects_below(&self) -> impl Iterator<Item = &VersionStamp> {
        self.versions.iter().skip(1).filter(|stamp| !stamp.is_delete_marker())
    }

    /// Tells whose delete marker the newest version is, which is one.
    #[must_use]
    pub fn delete_marker(&self) -> Deleter {
        let (Some(marker), Some(covered)) = (self.versions.first(), self.second()) else {
            return Deleter::SomebodyElse;
        };
        if self.announced.iter().any(|intent| intent.covered == covered.version) {
            return Deleter::Us;
        }
        let covers_its_like = |intent: &DeleteIntent| {
            let lies_deeper = self
                .versions
                .iter()
                .skip(2)
                .any(|stamp| stamp.version == intent.covered);
            Some(&intent.etag) == covered.etag() && lies_deeper && intent.may_land_at(marker.last_modified)
        };
        if self.announced.iter().any(covers_its_like) {
            Deleter::UsByMistake
        } else {
            Deleter::SomebodyElse
        }
    }
}

/// Whose a delete marker is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deleter {
    /// Ours: it was announced for the version that it covers.
    Us,
    /// Ours, but it covers another version than the one it was announced for: that one had the same tag.
    UsByMistake,
    /// An application's.
    SomebodyElse,
}

/// How long a request can stay under way.
pub const LANDS_WITHIN: Duration = Duration::from_mins(10);

/// How far the clocks of S3 and of an invocation may be apart.
const SKEW: Duration = Duration::from_mins(1);

/// An announcement: we are about to delete an object of ours at the destination.
///
/// There is one for each version, so that no two of them can be in each other's way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeleteIntent {
    /// The version that the delete marker will cover.
    pub covered: VersionName,
    /// Its tag, which is the condition of the delete.
    pub etag: ETag,
    /// When it was announced.
    pub announced: Timestamp,
}

impl DeleteIntent {
    /// Tells whether the delete that was announced may have landed at a point in time.
    #[must_use]
    pub fn may_land_at(&self, time: Timestamp) -> bool {
        self.announced.minus(SKEW) <= time && time <= self.announced.plus(LANDS_WITHIN).plus(SKEW)
    }

    /// Tells whether no delete that was announced can be under way any longer.
    #[must_use]
    pub fn is_settled(&self, now: Timestamp) -> bool {
        now > self.announced.plus(LANDS_WITHIN).plus(SKEW)
    }
}

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

impl Route {
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
        format!("intents/{}.json", hexadecimal(&hash.finalize()))
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

#[cfg(test)]
mod tests;
