//! Objects, versions and HEAD responses of the source, counted.

use std::collections::{BTreeMap, BTreeSet};

use unicode_normalization::{IsNormalized, is_nfc_quick};

use super::reading::UnknownReading;
use crate::facts::{Availability, Encryption, ObjectFacts, ReplicationStatus};
use crate::listing::ListedObject;
use crate::names::ObjectKey;
use crate::numerals::grouped;
use crate::plan::{COPY_OBJECT_LIMIT_BYTES, LARGEST_OBJECT_BYTES};
use crate::time::Timestamp;

/// Approximate number of bytes that one invocation copies in its 900 seconds, with 16 parts of 128 MiB at a time.
pub const INVOCATION_BYTES: u64 = 100 * 1024 * 1024 * 1024;

/// Where the facts of objects come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SampleOrigin {
    /// An S3 Inventory report.
    Inventory(String),
    /// The first keys of a listing.
    Listing,
}

/// Keys of one kind: their number and the first one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyExamples {
    /// Number of keys.
    pub keys: u64,
    /// First key.
    pub first: Option<ObjectKey>,
}

impl KeyExamples {
    /// Counts a key.
    pub fn take(&mut self, key: &ObjectKey) {
        self.keys += 1;
        self.first.get_or_insert_with(|| key.clone());
    }

    /// Returns the count with the first key.
    #[must_use]
    pub fn described(&self) -> String {
        let first = self.first.as_ref().map(|key| format!(", such as {:?}", key.as_str()));
        format!("{}{}", grouped(self.keys), first.unwrap_or_default())
    }
}

/// Property of a key that other tools or programs treat in a special way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyOddity {
    /// The key consists of white space: the AWS SDK sends no request for it.
    OnlyWhiteSpace,
    /// The key begins with a slash.
    LeadingSlash,
    /// The key contains `//`.
    DoubleSlash,
    /// The key contains `.` or `..` between slashes.
    DotSegment,
    /// The key contains control characters.
    ControlCharacter,
    /// The key is not in Unicode's normalization form C.
    NotNormalized,
    /// The key has the maximum length of 1,024 bytes.
    MaximumLength,
    /// The key contains `+`.
    Plus,
    /// The key contains `%`.
    Percent,
}

impl KeyOddity {
    /// All oddities, in the order of reports.
    pub const ALL: [Self; 9] = [
        Self::OnlyWhiteSpace,
        Self::LeadingSlash,
        Self::DoubleSlash,
        Self::DotSegment,
        Self::ControlCharacter,
        Self::NotNormalized,
        Self::MaximumLength,
        Self::Plus,
        Self::Percent,
    ];

    /// Returns the name used in reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OnlyWhiteSpace => "only white space",
            Self::LeadingSlash => "leading slash",
            Self::DoubleSlash => "double slash",
            Self::DotSegment => "`.` or `..` segment",
            Self::ControlCharacter => "control character",
            Self::NotNormalized => "not in Unicode form NFC",
            Self::MaximumLength => "1,024 bytes long",
            Self::Plus => "`+`",
            Self::Percent => "`%`",
        }
    }

    /// Returns whether a key has this property.
    #[must_use]
    pub fn is_of(self, key: &str) -> bool {
        match self {
            Self::OnlyWhiteSpace => key.trim().is_empty(),
            Self::LeadingSlash => key.starts_with('/'),
            Self::DoubleSlash => key.contains("//"),
            Self::DotSegment => key.split('/').any(|segment| matches!(segment, "." | "..")),
            Self::ControlCharacter => key.chars().any(char::is_control),
            Self::NotNormalized => match is_nfc_quick(key.chars()) {
                IsNormalized::Yes => false,
                IsNormalized::No | IsNormalized::Maybe => !unicode_normalization::is_nfc(key),
            },
            Self::MaximumLength => key.len() >= ObjectKey::LIMIT_BYTES,
            Self::Plus => key.contains('+'),
            Self::Percent => key.contains('%'),
        }
    }
}

/// Current objects of the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectSample {
    /// Where the facts come from.
    pub origin: SampleOrigin,
    /// Whether every key in scope was read.
    pub complete: bool,
    /// Number of objects.
    pub objects: u64,
    /// Total size.
    pub bytes: u64,
    /// Objects and bytes by storage class.
    pub by_class: BTreeMap<String, (u64, u64)>,
    /// Objects above 5 GiB, which need a multipart copy.
    pub above_copy_limit: KeyExamples,
    /// Objects above what one invocation copies.
    pub above_invocation: KeyExamples,
    /// Objects above the maximum size of a multipart upload.
    pub above_maximum: KeyExamples,
    /// Keys by oddity.
    pub odd_keys: BTreeMap<KeyOddity, KeyExamples>,
    /// Last-modified time of the oldest object.
    pub oldest: Option<Timestamp>,
}

impl ObjectSample {
    /// Creates a sample without objects.
    #[must_use]
    pub fn new(origin: SampleOrigin) -> Self {
        Self {
            origin,
            complete: true,
            objects: 0,
            bytes: 0,
            by_class: BTreeMap::new(),
            above_copy_limit: KeyExamples::default(),
            above_invocation: KeyExamples::default(),
            above_maximum: KeyExamples::default(),
            odd_keys: BTreeMap::new(),
            oldest: None,
        }
    }

    /// Counts an object.
    pub fn take(&mut self, row: &ListedObject) {
        self.objects += 1;
        self.bytes = self.bytes.saturating_add(row.size_bytes);
        let class = self.by_class.entry(row.storage_class.as_str().to_owned()).or_default();
        class.0 += 1;
        class.1 = class.1.saturating_add(row.size_bytes);
        for (limit, examples) in [
            (COPY_OBJECT_LIMIT_BYTES, &mut self.above_copy_limit),
            (INVOCATION_BYTES, &mut self.above_invocation),
            (LARGEST_OBJECT_BYTES, &mut self.above_maximum),
        ] {
            if row.size_bytes > limit {
                examples.take(&row.key);
            }
        }
        for oddity in KeyOddity::ALL {
            if oddity.is_of(row.key.as_str()) {
                self.odd_keys.entry(oddity).or_default().take(&row.key);
            }
        }
        let oldest = self
            .oldest
            .map_or(row.last_modified, |oldest| oldest.min(row.last_modified));
        self.oldest = Some(oldest);
    }

    /// Returns the number of objects in storage classes.
    #[must_use]
    pub fn in_classes(&self, classes: &[&str]) -> u64 {
        let of = |class: &&str| self.by_class.get(*class).map_or(0, |(objects, _)| *objects);
        classes.iter().map(of).sum()
    }

    /// Describes what the evidence is based on.
    #[must_use]
    pub fn scope(&self) -> String {
        let objects = grouped(self.objects);
        match (&self.origin, self.complete) {
            (SampleOrigin::Inventory(manifest), _) => format!("of {objects} objects in inventory {manifest}"),
            (SampleOrigin::Listing, true) => format!("of all {objects} objects"),
            (SampleOrigin::Listing, false) => format!("of the first {objects} keys only (a sample)"),
        }
    }
}

/// A few keys, evenly spread over a listing of unknown length.
#[derive(Debug, Clone)]
pub struct KeySpread {
    keys: Vec<ObjectKey>,
    limit: usize,
    stride: u64,
    taken: u64,
}

impl KeySpread {
    /// Creates a spread of at least half of `limit` keys, if the listing has as many, and at most `limit`.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            keys: Vec::new(),
            limit: limit.max(2),
            stride: 1,
            taken: 0,
        }
    }

    /// Takes the next key of the listing.
    pub fn take(&mut self, key: &ObjectKey) {
        if self.taken.is_multiple_of(self.stride) {
            if self.keys.len() == self.limit {
                let mut index = 0_u64;
                self.keys.retain(|_| {
                    index += 1;
                    !index.is_multiple_of(2)
                });
                self.stride = self.stride.saturating_mul(2);
            }
            if self.taken.is_multiple_of(self.stride) {
                self.keys.push(key.clone());
            }
        }
        self.taken += 1;
    }

    /// Returns the keys.
    #[must_use]
    pub fn into_keys(self) -> Vec<ObjectKey> {
        self.keys
    }
}

/// Versions of the source.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VersionSample {
    /// Whether all versions in scope were listed.
    pub complete: bool,
    /// Number of versions and delete markers that were listed.
    pub listed: u64,
    /// Noncurrent versions.
    pub noncurrent: u64,
    /// Bytes of the noncurrent versions.
    pub noncurrent_bytes: u64,
    /// Delete markers.
    pub delete_markers: u64,
    /// Last-modified time of the oldest version with a version ID other than `null`.
    pub oldest_with_id: Option<Timestamp>,
}

/// HEAD responses of some source objects.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeadSample {
    /// Number of objects that were read.
    pub read: u64,
    /// Objects under customer-provided keys (SSE-C).
    pub customer_key: KeyExamples,
    /// ARNs of KMS keys.
    pub kms_keys: BTreeSet<String>,
    /// Archived objects, whatever their storage class.
    pub archived: KeyExamples,
    /// Objects that are replicas of another bucket.
    pub replicas: KeyExamples,
    /// Objects with a retention or legal hold.
    pub locked: KeyExamples,
    /// Objects whose annotations were read.
    pub read_annotations: u64,
    /// Objects with annotations.
    pub annotated: KeyExamples,
    /// Reason why annotations were not read.
    pub annotations_failed: Option<UnknownReading>,
}

impl HeadSample {
    /// Counts an object.
    pub fn take(&mut self, key: &ObjectKey, facts: &ObjectFacts) {
        self.read += 1;
        match &facts.encryption {
            Encryption::CustomerKey => self.customer_key.take(key),
            Encryption::Kms(kms) => self.kms_keys.extend(kms.key_arn.clone()),
            Encryption::Managed => {}
        }
        if facts.availability == Availability::Archived {
            self.archived.take(key);
        }
        if facts.replication_status == Some(ReplicationStatus::Replica) {
            self.replicas.take(key);
        }
        if !facts.lock.is_none() {
            self.locked.take(key);
        }
        if let Some(annotations) = &facts.annotations {
            self.read_annotations += 1;
            if !annotations.is_empty() {
                self.annotated.take(key);
            }
        }
    }

    /// Describes what the evidence is based on.
    #[must_use]
    pub fn scope(&self) -> String {
        format!("of {} objects that were read (a sample)", grouped(self.read))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spread_covers_the_whole_listing() {
        for keys in [0_usize, 1, 7, 8, 9, 100, 1_000] {
            let mut spread = KeySpread::new(8);
            for number in 0..keys {
                spread.take(&ObjectKey::from_raw(format!("{number:04}")).unwrap());
            }
            let taken: Vec<usize> = spread
                .into_keys()
                .iter()
                .map(|key| key.as_str().parse().unwrap())
                .collect();
            assert!(taken.len() <= 8 && taken.len() >= keys.min(4), "{keys}: {taken:?}");
            assert!(taken.is_sorted());
            let gaps = taken
                .windows(2)
                .map(|pair| pair[1] - pair[0])
                .collect::<std::collections::BTreeSet<_>>();
            assert!(gaps.len() <= 1, "{keys}: {taken:?}");
            assert!(
                taken.last().is_none_or(|last| keys - last <= keys.div_ceil(4)),
                "{keys}: {taken:?}"
            );
        }
    }
}
