//! Merge of two sorted listings.

use std::cmp::Ordering;
use std::vec::IntoIter;

use super::{DifferenceKind, listed_difference};
use crate::listing::{KeyOrderCheck, KeysOutOfOrder, ListedObject};
use crate::names::{ETag, ObjectKey};
use crate::time::Timestamp;

/// Side of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SideName {
    /// Source bucket.
    Source,
    /// Destination bucket.
    Destination,
}

impl SideName {
    /// Returns the name used in messages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Destination => "destination",
        }
    }
}

/// Listing rows of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyPair {
    /// Row of a key that exists only in the source.
    Source(ListedObject),
    /// Row of a key that exists only in the destination.
    Destination(ListedObject),
    /// Rows of a key that exists on both sides.
    Both(ListedObject, ListedObject),
}

impl KeyPair {
    /// Returns the key.
    #[must_use]
    pub fn key(&self) -> &ObjectKey {
        match self {
            Self::Source(listed) | Self::Destination(listed) | Self::Both(listed, _) => &listed.key,
        }
    }

    /// Returns the source's row.
    #[must_use]
    pub fn source(&self) -> Option<&ListedObject> {
        match self {
            Self::Source(listed) | Self::Both(listed, _) => Some(listed),
            Self::Destination(_) => None,
        }
    }

    /// Returns the destination's row.
    #[must_use]
    pub fn destination(&self) -> Option<&ListedObject> {
        match self {
            Self::Destination(listed) | Self::Both(_, listed) => Some(listed),
            Self::Source(_) => None,
        }
    }

    /// Returns the difference between the rows. `None` means equal.
    #[must_use]
    pub fn listed_difference(&self) -> Option<DifferenceKind> {
        match self {
            Self::Source(_) => Some(DifferenceKind::MissingAtDestination),
            Self::Destination(_) => Some(DifferenceKind::ExtraAtDestination),
            Self::Both(source, destination) => listed_difference(source, destination),
        }
    }

    /// Returns whether the source object is newer than the destination object. A newer object may have other metadata,
    /// which a listing does not contain, so both sides need a HEAD request.
    ///
    /// Listings count seconds. An object overwritten with the same content in the second of its copy appears the same as a
    /// replica of S3's own replication, which has the time of its source object; reading every replica would make a
    /// listing of a replicated bucket a read of each object.
    #[must_use]
    pub fn source_is_newer(&self) -> bool {
        match self {
            Self::Both(source, destination) => source.last_modified > destination.last_modified,
            Self::Source(_) | Self::Destination(_) => false,
        }
    }

    /// Returns whether both sides have the object, and the destination object is of a multipart upload begun at `since`
    /// or later. A multipart copy writes annotations after the object, and may have been interrupted in between.
    #[must_use]
    pub fn is_multipart_since(&self, since: Timestamp) -> bool {
        let Self::Both(_, destination) = self else {
            return false;
        };
        let is_multipart = destination.etag.as_ref().is_some_and(ETag::is_multipart);
        is_multipart && destination.last_modified >= since
    }
}

/// Next step of the merge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MergeStep {
    /// The merge needs the next page of this side, or its end.
    Needs(SideName),
    /// The next key.
    Pair(KeyPair),
    /// Both listings are complete.
    End,
}

/// Merge of two listings, page by page. It holds one page of each listing.
#[derive(Debug, Default)]
pub struct ListingMerge {
    source: Rows,
    destination: Rows,
}

#[derive(Debug, Default)]
struct Rows {
    page: IntoIter<ListedObject>,
    next: Option<ListedObject>,
    ended: bool,
    order: KeyOrderCheck,
}

impl Rows {
    /// Prepares the next row. Returns `false` if that needs another page.
    fn ready(&mut self) -> Result<bool, KeysOutOfOrder> {
        if self.next.is_none()
            && let Some(row) = self.page.next()
        {
            self.order.take(&row.key)?;
            self.next = Some(row);
        }
        Ok(self.next.is_some() || self.ended)
    }
}

impl ListingMerge {
    /// Adds the next page of a side. The page may be empty.
    pub fn give(&mut self, side: SideName, page: Vec<ListedObject>) {
        self.rows(side).page = page.into_iter();
    }

    /// Marks the listing of a side as complete.
    pub fn end(&mut self, side: SideName) {
        self.rows(side).ended = true;
    }

    /// Returns the next step. Fails with the side whose keys are not in order.
    pub fn step(&mut self) -> Result<MergeStep, (SideName, KeysOutOfOrder)> {
        for side in [SideName::Source, SideName::Destination] {
            if !self.rows(side).ready().map_err(|error| (side, error))? {
                return Ok(MergeStep::Needs(side));
            }
        }
        let order = match (&self.source.next, &self.destination.next) {
            (Some(source), Some(destination)) => source.key.cmp(&destination.key),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => return Ok(MergeStep::End),
        };
        let source = if order.is_le() { self.source.next.take() } else { None };
        let destination = if order.is_ge() {
            self.destination.next.take()
        } else {
            None
        };
        Ok(match (source, destination) {
            (Some(source), Some(destination)) => MergeStep::Pair(KeyPair::Both(source, destination)),
            (Some(source), None) => MergeStep::Pair(KeyPair::Source(source)),
            (None, Some(destination)) => MergeStep::Pair(KeyPair::Destination(destination)),
            (None, None) => MergeStep::End,
        })
    }

    fn rows(&mut self, side: SideName) -> &mut Rows {
        match side {
            SideName::Source => &mut self.source,
            SideName::Destination => &mut self.destination,
        }
    }
}
