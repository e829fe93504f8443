//! What differs between two buckets: listings merged in constant memory, and findings settled by what a HEAD says.

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

/// In what an object of one side differs from the other's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DifferenceKind {
    /// The destination has no object of this key.
    MissingAtDestination,
    /// Only the destination has an object of this key.
    ExtraAtDestination,
    /// The sizes.
    Size,
    /// The contents, by checksum or by `ETag`.
    Content,
    /// System headers, user metadata or the website redirect.
    Metadata,
    /// The tags.
    Tags,
    /// The destination's Object Lock is less strict.
    Lock,
    /// The destination's object is not encrypted as it must be, or weaker than the source's.
    Encryption,
    /// The annotations.
    Annotations,
    /// The explicit grants of the access control lists.
    Acl,
    /// The storage classes; moves no bytes by itself.
    StorageClass,
    /// An application's write at a destination that applications write to, as new as the source's object or newer.
    DestinationNewer,
    /// An object that an application wrote at such a destination, and the source never had.
    ExternalAtDestination,
    /// Nothing that both sides store can be compared. Never to be taken for "equal".
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

/// What two rows of listings look like. A listing names neither encryption nor checksums, so only what is equal here is
/// equal; what differs is a finding that a HEAD of both sides settles.
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

/// How deep two objects are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiffDepth {
    /// By what listings show; a HEAD only settles what looks different.
    Listing,
    /// Every object by its HEAD and its tags, storage class included.
    Deep,
}

/// One side's object in a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ComparedObject {
    /// The size.
    pub size_bytes: u64,
    /// The tag of the content.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// When it was written, in RFC 3339.
    pub last_modified: String,
    /// The storage class.
    pub storage_class: String,
    /// The version, where the bucket has versions and a HEAD was made.
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

/// One key that differs, as it is reported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DifferentKey {
    /// The key.
    pub key: ObjectKey,
    /// In what; never empty.
    pub differences: Vec<DifferenceKind>,
    /// The source's object.
    pub source: Option<ComparedObject>,
    /// The destination's object.
    pub destination: Option<ComparedObject>,
    /// Why it cannot be told, where that is more than that nothing is comparable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl DifferentKey {
    /// Makes the report of what two listings show, unsettled.
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

    /// Tells whether a copy changes anything: there is something to copy, and more differs than the storage class, which
    /// moves no bytes by itself.
    #[must_use]
    pub fn can_be_copied(&self) -> bool {
        self.source.is_some() && self.differences != [DifferenceKind::StorageClass]
    }

    /// Makes the report of a key that could not be looked at.
    #[must_use]
    pub fn unread(pair: &KeyPair, reason: String) -> Self {
        Self {
            reason: Some(reason),
            ..Self::listed(pair, DifferenceKind::Inconclusive)
        }
    }
}

/// Settles a finding by what both sides say now; `None` when they are equal, or neither has the object any more.
///
/// A listing is a little old when its rows are compared. What was written or deleted since then is no difference of the
/// buckets unless they still disagree when they are asked. The encryption is compared with what is asked for by
/// `encryption`.
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
            if depth == DiffDepth::Deep && !encryption.agree(source, destination) {
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
        BodyComparison::Inconclusive(_) => vec![DifferenceKind::Inconclusive],
    };
    kinds.extend(
        compare_attributes(source, destination, now)
            .into_iter()
            .map(DifferenceKind::from),
    );
    if depth == DiffDepth::Deep && source.storage_class != destination.storage_class {
        kinds.push(DifferenceKind::StorageClass);
    }
    kinds
}

/// How many keys there were and how they compare.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DiffCounts {
    /// Keys of the source.
    pub source_keys: u64,
    /// Bytes of the source.
    pub source_bytes: u64,
    /// Keys of the destination.
    pub destination_keys: u64,
    /// Bytes of the destination.
    pub destination_bytes: u64,
    /// Keys whose storage classes differ in the listings; no difference by itself.
    pub other_storage_class: u64,
    /// Keys that looked different in the listings and turned out equal, or gone on both sides.
    pub confirmed_equal: u64,
    /// Keys that differ.
    pub different_keys: u64,
    /// How often each kind was found; a key may have several.
    kinds: [u64; DifferenceKind::ALL.len()],
}

impl DiffCounts {
    /// Tells whether neither side has a key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.source_keys == 0 && self.destination_keys == 0
    }

    /// Counts a pair of the merge.
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

    /// Adds the counts of more keys.
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

    /// Returns the kinds that were found, with how often.
    pub fn by_kind(&self) -> impl Iterator<Item = (DifferenceKind, u64)> + '_ {
        DifferenceKind::ALL
            .into_iter()
            .zip(self.kinds)
            .filter(|(_, count)| *count > 0)
    }
}

#[cfg(test)]
mod tests;
