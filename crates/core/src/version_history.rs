//! Whose versions of a key are s3ferry's, and whether one of them hides an external write.
//!
//! The condition of a write sees the `ETag` of what it replaces, and so misses that an application wrote equal bytes with
//! other metadata. An application's multipart upload counts from its start, and may land below a copy. And an invocation
//! may crash before it sees either. So the versions of a key are examined whenever the key is reconciled.

use std::collections::BTreeMap;

use crate::facts::{ObjectFacts, ObjectState};
use crate::marker::{MARKER_NAME, Marker, ObjectLocation, is_newer};
use crate::names::ETag;
use crate::time::Timestamp;
use crate::versions::{DeleteIntent, ListedVersion, VersionListing, VersionName};

/// What is known of a key's versions at the destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionHistory {
    /// The newest versions.
    pub listing: VersionListing,
    /// Those that were read.
    pub objects: BTreeMap<VersionName, ObjectFacts>,
    /// The announcements of deletes of those that were looked up.
    pub intents: BTreeMap<VersionName, Option<DeleteIntent>>,
    /// Versions that this reconcile removed: a delete of one of them may have landed just before.
    pub removed: Vec<RemovedVersion>,
}

/// A version of s3ferry that this reconcile removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemovedVersion {
    /// Which one it was.
    pub version: VersionName,
    /// The marker that it carried: whatever else carries it is no copy of s3ferry. A delete marker has none.
    pub marker: Option<Marker>,
}

/// What must be known of a version before it can be told whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VersionQuestion {
    /// What a HEAD says of it.
    Object(VersionName),
    /// Whether s3ferry announced to delete it.
    Intent(VersionName),
}

/// Whose the newest version is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VersionOwner {
    /// A copy of s3ferry.
    Copy(Box<Marker>),
    /// A delete marker of s3ferry.
    Delete {
        /// The version that it was announced for.
        covered: VersionName,
    },
    /// An external write, or nothing.
    External,
}

/// What an examination of the versions found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionExamination {
    /// The newest version.
    pub newest: Option<ListedVersion>,
    /// Whose it is.
    pub owner: VersionOwner,
    /// The external write that it hides, which should be the current version.
    pub hidden: Option<VersionName>,
    /// When the versions were listed, by the destination's clock.
    pub listed: Timestamp,
}

impl VersionHistory {
    /// Takes a listing, and the object that a HEAD read before it.
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

    /// Tells whether the newest version is the one that was read.
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

    /// Examines the versions from the newest down to the first external write, or to what is older than what was copied.
    ///
    /// An external write is hidden unless s3ferry saw it before it wrote above it, or copied something newer.
    pub fn examine(&self, place: ObjectLocation<'_>) -> Result<VersionExamination, VersionQuestion> {
        let versions = &self.listing.versions;
        let mut examined = VersionExamination {
            newest: versions.first().cloned(),
            owner: VersionOwner::External,
            hidden: None,
            listed: self.listing.listed,
        };
        let mut seen: Vec<VersionName> = Vec::new();
        let mut newest_source: Option<Timestamp> = None;
        for (depth, stamp) in versions.iter().enumerate() {
            if newest_source.is_some_and(|copied| is_newer(copied, stamp.last_modified)) {
                break;
            }
            let below = versions.get(depth + 1..).unwrap_or_default();
            let owner = self.owner(stamp, below, place)?;
            match &owner {
                VersionOwner::Copy(marker) => {
                    seen.extend(marker.over.clone());
                    newest_source = newest_source.max(Some(marker.source_last_modified));
                }
                VersionOwner::Delete { covered } => seen.push(covered.clone()),
                VersionOwner::External => {
                    let is_hidden = depth > 0 && !seen.contains(&stamp.version);
                    examined.hidden = is_hidden.then(|| stamp.version.clone());
                    break;
                }
            }
            if depth == 0 {
                examined.owner = owner;
            }
        }
        Ok(examined)
    }

    /// Tells whether the newest version is a copy of s3ferry: the very version that the request of its marker wrote.
    ///
    /// Copies get a marker only in a bucket that keeps versions. So an object without a version id is an external write, also
    /// where it carries a marker: an application wrote it after versioning was suspended.
    pub fn newest_is_copy(&self, place: ObjectLocation<'_>) -> Result<bool, VersionQuestion> {
        match self.listing.versions.split_first() {
            Some((newest, below)) if !newest.is_delete_marker() && newest.version != VersionName::Null => {
                Ok(matches!(self.owner(newest, below, place)?, VersionOwner::Copy(_)))
            }
            _ => Ok(false),
        }
    }

    /// Tells whose a version is that lies right above the versions `below`.
    fn owner(
        &self,
        stamp: &ListedVersion,
        below: &[ListedVersion],
        place: ObjectLocation<'_>,
    ) -> Result<VersionOwner, VersionQuestion> {
        if stamp.is_delete_marker() {
            return self.deleter(stamp, below);
        }
        let facts = self.object(&stamp.version)?;
        let Some(marker) = Marker::bound(facts, place) else {
            return Ok(VersionOwner::External);
        };
        // The copy that had this marker is gone: an application wrote it again meanwhile.
        if self
            .removed
            .iter()
            .any(|removed| removed.marker.as_ref() == Some(&marker))
        {
            return Ok(VersionOwner::External);
        }
        // Whoever wrote the copy again, marker and all, wrote it later: the oldest that carries the marker is the copy.
        for older in below
            .iter()
            .take_while(|older| older.last_modified >= marker.possible_since())
        {
            let is_alike = older.size_bytes() == Some(facts.size_bytes);
            if is_alike && is_marked_like(self.object(&older.version)?, facts) {
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

    /// Tells whose a delete marker is. The condition of a delete sees an `ETag`, so that it may have hit another version
    /// than the one that was announced; and an application's multipart upload may have landed between the two.
    fn deleter(&self, marker: &ListedVersion, below: &[ListedVersion]) -> Result<VersionOwner, VersionQuestion> {
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
        for stamp in deeper.iter().filter(|stamp| !stamp.is_delete_marker()) {
            if (only_uploads || stamp.etag() == covered.etag())
                && let Some(intent) = self.intent(&stamp.version)?
                && intent.may_land_at(marker.last_modified)
            {
                let covered = stamp.version.clone();
                return Ok(VersionOwner::Delete { covered });
            }
            only_uploads &= is_multipart(stamp);
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

fn is_multipart(stamp: &ListedVersion) -> bool {
    stamp.etag().is_some_and(ETag::is_multipart)
}

fn is_marked_like(one: &ObjectFacts, other: &ObjectFacts) -> bool {
    one.user_metadata.get(MARKER_NAME) == other.user_metadata.get(MARKER_NAME)
}

#[cfg(test)]
mod tests;
