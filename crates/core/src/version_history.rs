//! Determines who wrote the versions of a key at the destination, and whether one of them hides an external write.
//!
//! The condition of a write compares the `ETag` of the replaced object. It misses equal bytes that an application
//! wrote with other metadata. An application's multipart upload has the time of its start, and may land below a copy.
//! And an invocation may crash before it detects either. Therefore the key's versions are examined in every
//! reconcile.

use std::collections::BTreeMap;

use crate::delete_intent::DeleteIntent;
use crate::facts::{ObjectFacts, ObjectState};
use crate::marker::{MARKER_NAME, Marker, ObjectLocation};
use crate::names::ETag;
use crate::time::Timestamp;
use crate::versions::{ListedVersion, VersionListing, VersionName};

/// What was read of a key's versions at the destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionHistory {
    /// Listing of the newest versions.
    pub listing: VersionListing,
    /// Versions that a HEAD request read.
    pub objects: BTreeMap<VersionName, ObjectFacts>,
    /// Delete intents that were read, by version; `None` if a version has none.
    pub intents: BTreeMap<VersionName, Option<DeleteIntent>>,
    /// Versions that this reconcile removed. A delete of one of them may have landed just before.
    pub removed: Vec<RemovedVersion>,
}

/// A version written by s3ferry that this reconcile removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemovedVersion {
    /// Name of the version.
    pub version: VersionName,
    /// Marker of the removed copy; `None` for a delete marker. Any other version with this marker is an external
    /// write.
    pub marker: Option<Marker>,
}

/// Fact that must be read before the writer of a version is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VersionQuestion {
    /// HEAD request of the version.
    Object(VersionName),
    /// Delete intent of the version.
    Intent(VersionName),
}

/// Writer of a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VersionOwner {
    /// s3ferry's copy.
    Copy(Box<Marker>),
    /// s3ferry's delete marker.
    Delete {
        /// Version that the delete intent names.
        covered: VersionName,
    },
    /// External write, or no version at all.
    External,
}

/// Result of an examination of the versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionExamination {
    /// Newest version.
    pub newest: Option<ListedVersion>,
    /// Writer of the newest version.
    pub owner: VersionOwner,
    /// External write that the newest version hides, and that should be the current version.
    pub hidden: Option<VersionName>,
    /// Time of the listing by the destination's clock.
    pub listed: Timestamp,
}

impl VersionHistory {
    /// Creates a history from a listing, and from the object that a HEAD read before it.
    #[must_use]
    pub fn new(listing: VersionListing, current: &ObjectState) -> Self {
        let current = current.facts().cloned();
        Self {
            listing,
            objects: current
                .map(|facts| (VersionName::of(facts.version_id.as_ref()), facts))
                .into_iter()
                .collect(),
            intents: BTreeMap::new(),
            removed: Vec::new(),
        }
    }

    /// Returns whether the newest listed version is the one that was read.
    #[must_use]
    pub fn begins_with(&self, current: &ObjectState) -> bool {
        match (current, self.listing.versions.first()) {
            (ObjectState::Present(facts), Some(newest)) => {
                !newest.is_delete_marker() && newest.version == VersionName::of(facts.version_id.as_ref())
            }
            (ObjectState::DeleteMarker, Some(newest)) => newest.is_delete_marker(),
            (ObjectState::NotFound | ObjectState::ConfirmedAbsent, None) => true,
            _ => false,
        }
    }

    /// Examines the versions, starting with the newest.
    ///
    /// The examination ends at the first external write, or at a version that is older than the source object that
    /// was copied.
    ///
    /// An external write is hidden unless s3ferry read it before it wrote the version above, or copied a newer source
    /// object. Returns the next question if a fact is missing.
    pub fn examine(&self, location: ObjectLocation<'_>) -> Result<VersionExamination, VersionQuestion> {
        let versions = &self.listing.versions;
        let mut examined = VersionExamination {
            newest: versions.first().cloned(),
            owner: VersionOwner::External,
            hidden: None,
            listed: self.listing.listed,
        };
        let mut seen: Vec<VersionName> = Vec::new();
        let mut newest_source: Option<Timestamp> = None;
        for (depth, listed) in versions.iter().enumerate() {
            if newest_source.is_some_and(|copied| copied.is_newer_than(listed.last_modified)) {
                break;
            }
            let below = versions.get(depth + 1..).unwrap_or_default();
            let owner = self.owner(listed, below, location)?;
            match &owner {
                VersionOwner::Copy(marker) => {
                    seen.extend(marker.over.clone());
                    newest_source = newest_source.max(Some(marker.source_last_modified));
                }
                VersionOwner::Delete { covered } => seen.push(covered.clone()),
                VersionOwner::External => {
                    let is_hidden = depth > 0 && !seen.contains(&listed.version);
                    examined.hidden = is_hidden.then(|| listed.version.clone());
                    break;
                }
            }
            if depth == 0 {
                examined.owner = owner;
            }
        }
        Ok(examined)
    }

    /// Returns whether the newest version is s3ferry's copy: the version that the request of its marker wrote.
    ///
    /// Copies get a marker only in a versioned bucket. An object without a version id is therefore an external write,
    /// even with a marker: an application wrote it after versioning was suspended.
    pub fn newest_is_copy(&self, location: ObjectLocation<'_>) -> Result<bool, VersionQuestion> {
        match self.listing.versions.split_first() {
            Some((newest, below)) if !newest.is_delete_marker() && newest.version != VersionName::Null => {
                Ok(matches!(self.owner(newest, below, location)?, VersionOwner::Copy(_)))
            }
            _ => Ok(false),
        }
    }

    /// Returns the writer of a version; `below` are the versions older than it.
    fn owner(
        &self,
        listed: &ListedVersion,
        below: &[ListedVersion],
        location: ObjectLocation<'_>,
    ) -> Result<VersionOwner, VersionQuestion> {
        if listed.is_delete_marker() {
            return self.delete_marker_owner(listed, below);
        }
        let facts = self.object(&listed.version)?;
        let Some(marker) = Marker::bound(facts, location) else {
            return Ok(VersionOwner::External);
        };
        // The copy with this marker was removed, so an application has written it again.
        if self
            .removed
            .iter()
            .any(|removed| removed.marker.as_ref() == Some(&marker))
        {
            return Ok(VersionOwner::External);
        }
        // An application that writes a copy again, with its marker, writes it later. So the oldest version with the
        // marker is the copy.
        for older in below
            .iter()
            .take_while(|older| older.last_modified >= marker.possible_since())
        {
            let has_same_size = older.size_bytes() == Some(facts.size_bytes);
            if has_same_size && has_same_marker(self.object(&older.version)?, facts) {
                return Ok(VersionOwner::External);
            }
        }
        let is_cut_off = !self.listing.is_complete
            && below
                .last()
                .is_none_or(|oldest| oldest.last_modified >= marker.possible_since());
        Ok(if is_cut_off {
            VersionOwner::External
        } else {
            VersionOwner::Copy(Box::new(marker))
        })
    }

    /// Returns the writer of a delete marker.
    ///
    /// The condition of a delete compares an `ETag`, so the delete may have hit another version than the announced
    /// one. An application's multipart upload may also have landed in between.
    fn delete_marker_owner(
        &self,
        marker: &ListedVersion,
        below: &[ListedVersion],
    ) -> Result<VersionOwner, VersionQuestion> {
        let Some((covered, deeper)) = below.split_first() else {
            return Ok(VersionOwner::External);
        };
        if self.intent(&covered.version)?.is_some() {
            let covered = covered.version.clone();
            return Ok(VersionOwner::Delete { covered });
        }
        for RemovedVersion { version, .. } in &self.removed {
            if let Some(intent) = self.intent(version)?
                && intent.may_land_at(marker.last_modified)
            {
                let covered = version.clone();
                return Ok(VersionOwner::Delete { covered });
            }
        }
        let mut only_uploads = is_multipart(covered);
        for listed in deeper.iter().filter(|listed| !listed.is_delete_marker()) {
            if (only_uploads || listed.etag() == covered.etag())
                && let Some(intent) = self.intent(&listed.version)?
                && intent.may_land_at(marker.last_modified)
            {
                let covered = listed.version.clone();
                return Ok(VersionOwner::Delete { covered });
            }
            only_uploads &= is_multipart(listed);
        }
        Ok(VersionOwner::External)
    }

    fn object(&self, version: &VersionName) -> Result<&ObjectFacts, VersionQuestion> {
        let unread = || VersionQuestion::Object(version.clone());
        self.objects.get(version).ok_or_else(unread)
    }

    fn intent(&self, version: &VersionName) -> Result<Option<&DeleteIntent>, VersionQuestion> {
        let unknown = || VersionQuestion::Intent(version.clone());
        self.intents.get(version).map(Option::as_ref).ok_or_else(unknown)
    }
}

fn is_multipart(listed: &ListedVersion) -> bool {
    listed.etag().is_some_and(ETag::is_multipart)
}

fn has_same_marker(one: &ObjectFacts, other: &ObjectFacts) -> bool {
    one.user_metadata.get(MARKER_NAME) == other.user_metadata.get(MARKER_NAME)
}

#[cfg(test)]
mod tests;
