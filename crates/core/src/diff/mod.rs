//! Differences between two buckets: a merge of listings in constant memory, confirmed by HEAD requests.

mod merge;

use std::fmt;

use serde::Serialize;

pub use self::merge::{KeyPair, ListingMerge, MergeStep, SideName};
use crate::compare::{BodyComparison, BodyDifference, compare_attributes, compare_bodies};
use crate::encryption::EncryptionRules;
use crate::facts::{ObjectFacts, ObjectState};
use crate::listing::ListedObject;
use crate::names::ObjectKey;
use crate::time::Timestamp;

/// Kind of difference between two objects of one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DifferenceKind {
    /// The destination has no object with this key.
    MissingAtDestination,
    /// Only the destination has an object with this key.
    ExtraAtDestination,
    /// The sizes differ.
    Size,
    /// The contents differ, by checksum or `ETag`.
    Content,
    /// System headers, user metadata or the website redirect differ.
    Metadata,
    /// The tags differ.
    Tags,
    /// The Object Lock of the destination object is less strict.
    Lock,
    /// The destination object is not encrypted as configured, or weaker than the source object.
    Encryption,
    /// The annotations differ.
    Annotations,
    /// The explicit grants of the access control lists differ.
    Acl,
    /// The storage classes differ. This alone causes no copy.
    StorageClass,
    /// Shared ownership: the destination object is an external write, as new as the source object or newer.
    DestinationNewer,
    /// Shared ownership: the destination object is an external write of a key that the source never had.
    ExternalAtDestination,
    /// Nothing that both sides store is comparable. This never counts as equal.
    Inconclusive,
}

impl DifferenceKind {
    /// All kinds, in the order of reports.
    pub const ALL: [Self; 14] = [
        Self::MissingAtDestination,
        Self::ExtraAtDestination,
        Self::Size,
        Self::Content,
        Self::Metadata,
        Self::Tags,
        Self::Lock,
        Self::Encryption,
        Self::Annotations,
        Self::Acl,
        Self::StorageClass,
        Self::DestinationNewer,
        Self::ExternalAtDestination,
        Self::Inconclusive,
    ];

    /// Returns the name used in reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MissingAtDestination => "missing-at-destination",
            Self::ExtraAtDestination => "extra-at-destination",
            Self::Size => "size",
            Self::Content => "content",
            Self::Metadata => "metadata",
            Self::Tags => "tags",
            Self::Lock => "lock",
            Self::Encryption => "encryption",
            Self::Annotations => "annotations",
            Self::Acl => "acl",
            Self::StorageClass => "storage-class",
            Self::DestinationNewer => "destination-newer",
            Self::ExternalAtDestination => "external-at-destination",
            Self::Inconclusive => "inconclusive",
        }
    }
}

impl fmt::Display for DifferenceKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl From<BodyDifference> for DifferenceKind {
    fn from(difference: BodyDifference) -> Self {
        match difference {
            BodyDifference::Size => Self::Size,
            BodyDifference::Content => Self::Content,
            BodyDifference::Metadata => Self::Metadata,
            BodyDifference::Tags => Self::Tags,
            BodyDifference::Lock => Self::Lock,
            BodyDifference::Annotations => Self::Annotations,
            BodyDifference::Acl => Self::Acl,
        }
    }
}

/// Returns the difference between two listing rows. A listing contains neither encryption nor checksums. Equal rows
/// count as equal, and a difference is confirmed by a HEAD request on both sides.
#[must_use]
pub fn listed_difference(source: &ListedObject, destination: &ListedObject) -> Option<DifferenceKind> {
    if source.size_bytes != destination.size_bytes {
        return Some(DifferenceKind::Size);
    }
    match (&source.etag, &destination.etag) {
        (Some(source), Some(destination)) if source == destination => None,
        (Some(source), Some(destination)) if !source.is_multipart() && !destination.is_multipart() => {
            Some(DifferenceKind::Content)
        }
        _ => Some(DifferenceKind::Inconclusive),
    }
}

/// Depth of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiffDepth {
    /// Compares listings. HEAD requests only confirm differences.
    Listing,
    /// Compares the HEAD response and the tags of every object, including the storage class.
    Head,
}

/// Object of one side in a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ComparedObject {
    /// Size in bytes.
    pub size_bytes: u64,
    /// `ETag` of the object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// Last-modified time, in RFC 3339.
    pub last_modified: String,
    /// Storage class.
    pub storage_class: String,
    /// Version ID, if the bucket has versioning and a HEAD request was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version_id: Option<String>,
}

impl From<&ListedObject> for ComparedObject {
    fn from(listed: &ListedObject) -> Self {
        Self {
            size_bytes: listed.size_bytes,
            etag: listed.etag.as_ref().map(ToString::to_string),
            last_modified: listed.last_modified.to_rfc3339(),
            storage_class: listed.storage_class.as_str().to_owned(),
            version_id: None,
        }
    }
}

impl From<&ObjectFacts> for ComparedObject {
    fn from(facts: &ObjectFacts) -> Self {
        Self {
            size_bytes: facts.size_bytes,
            etag: Some(facts.etag.to_string()),
            last_modified: facts.last_modified.to_rfc3339(),
            storage_class: facts.storage_class.clone(),
            version_id: facts.version_id.as_ref().map(ToString::to_string),
        }
    }
}

/// Key with differences, as reports contain it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DifferentKey {
    /// The key.
    pub key: ObjectKey,
    /// Kinds of difference, never empty.
    pub differences: Vec<DifferenceKind>,
    /// Source object.
    pub source: Option<ComparedObject>,
    /// Destination object.
    pub destination: Option<ComparedObject>,
    /// Reason of an inconclusive comparison, other than that nothing is comparable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl DifferentKey {
    /// Returns the difference of two listing rows, not confirmed by HEAD requests.
    #[must_use]
    pub fn listed(pair: &KeyPair, kind: DifferenceKind) -> Self {
        Self {
            key: pair.key().clone(),
            differences: vec![kind],
            source: pair.source().map(ComparedObject::from),
            destination: pair.destination().map(ComparedObject::from),
            reason: None,
        }
    }

    /// Returns whether a copy would resolve the difference: the source object exists, and more than the storage class
    /// differs, which alone causes no copy.
    #[must_use]
    pub fn can_be_copied(&self) -> bool {
        self.source.is_some() && self.differences != [DifferenceKind::StorageClass]
    }

    /// Returns the difference of a key that was not readable.
    #[must_use]
    pub fn unread(pair: &KeyPair, reason: String) -> Self {
        Self {
            reason: Some(reason),
            ..Self::listed(pair, DifferenceKind::Inconclusive)
        }
    }
}

/// Confirms a difference by the current state of both sides. Returns `None` if the objects are equal or both absent.
///
/// Listings are slightly out of date when their rows are compared. A write or delete since then counts as a difference
/// only if the current objects differ. Encryption is compared with the configuration in `encryption`.
#[must_use]
pub fn confirm_difference(
    key: &ObjectKey,
    source: &ObjectState,
    destination: &ObjectState,
    depth: DiffDepth,
    encryption: &EncryptionRules,
    now: Timestamp,
) -> Option<DifferentKey> {
    let differences = match (source.facts(), destination.facts()) {
        (None, None) => Vec::new(),
        (Some(_), None) => vec![DifferenceKind::MissingAtDestination],
        (None, Some(_)) => vec![DifferenceKind::ExtraAtDestination],
        (Some(source), Some(destination)) => {
            let mut kinds = differences(source, destination, depth, now);
            if depth == DiffDepth::Head && !encryption.agree(source, destination) {
                kinds.push(DifferenceKind::Encryption);
            }
            kinds
        }
    };
    (!differences.is_empty()).then(|| DifferentKey {
        key: key.clone(),
        differences,
        source: source.facts().map(ComparedObject::from),
        destination: destination.facts().map(ComparedObject::from),
        reason: None,
    })
}

fn differences(
    source: &ObjectFacts,
    destination: &ObjectFacts,
    depth: DiffDepth,
    now: Timestamp,
) -> Vec<DifferenceKind> {
    let mut kinds = match compare_bodies(source, destination) {
        BodyComparison::Identical => Vec::new(),
        BodyComparison::Different(difference) => vec![difference.into()],
        BodyComparison::Inconclusive => vec![DifferenceKind::Inconclusive],
    };
    kinds.extend(
        compare_attributes(source, destination, now)
            .into_iter()
            .map(DifferenceKind::from),
    );
    if depth == DiffDepth::Head && source.storage_class != destination.storage_class {
        kinds.push(DifferenceKind::StorageClass);
    }
    kinds
}

/// Number of keys, in total and by difference.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DiffCounts {
    /// Number of keys in the source.
    pub source_keys: u64,
    /// Number of bytes in the source.
    pub source_bytes: u64,
    /// Number of keys in the destination.
    pub destination_keys: u64,
    /// Number of bytes in the destination.
    pub destination_bytes: u64,
    /// Number of keys whose storage classes differ in the listings, which is not a difference by itself.
    pub other_storage_class: u64,
    /// Number of keys that differ in the listings, but are equal or absent on both sides in HEAD responses.
    pub confirmed_equal: u64,
    /// Number of keys that differ.
    pub different_keys: u64,
    /// Number of keys by kind of difference. A key may have several kinds.
    kinds: [u64; DifferenceKind::ALL.len()],
}

impl DiffCounts {
    /// Returns whether both sides are empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.source_keys == 0 && self.destination_keys == 0
    }

    /// Counts the rows of one key.
    pub fn pair(&mut self, pair: &KeyPair) {
        if let Some(source) = pair.source() {
            self.source_keys += 1;
            self.source_bytes = self.source_bytes.saturating_add(source.size_bytes);
        }
        if let Some(destination) = pair.destination() {
            self.destination_keys += 1;
            self.destination_bytes = self.destination_bytes.saturating_add(destination.size_bytes);
        }
        if let (Some(source), Some(destination)) = (pair.source(), pair.destination())
            && source.storage_class.is_other_than(&destination.storage_class)
        {
            self.other_storage_class += 1;
        }
    }

    /// Adds the counts of further keys.
    pub fn add(&mut self, more: &Self) {
        self.source_keys += more.source_keys;
        self.source_bytes = self.source_bytes.saturating_add(more.source_bytes);
        self.destination_keys += more.destination_keys;
        self.destination_bytes = self.destination_bytes.saturating_add(more.destination_bytes);
        self.other_storage_class += more.other_storage_class;
        self.confirmed_equal += more.confirmed_equal;
        self.different_keys += more.different_keys;
        for (count, more) in self.kinds.iter_mut().zip(more.kinds) {
            *count += more;
        }
    }

    /// Counts a key that differs.
    pub fn different(&mut self, different: &DifferentKey) {
        self.different_keys += 1;
        for kind in &different.differences {
            let row = DifferenceKind::ALL
                .iter()
                .zip(&mut self.kinds)
                .find(|(row, _)| *row == kind);
            if let Some((_, count)) = row {
                *count += 1;
            }
        }
    }

    /// Returns the kinds found, with the number of keys of each.
    pub fn by_kind(&self) -> impl Iterator<Item = (DifferenceKind, u64)> + '_ {
        DifferenceKind::ALL
            .into_iter()
            .zip(self.kinds)
            .filter(|(_, count)| *count > 0)
    }
}

#[cfg(test)]
mod tests;
