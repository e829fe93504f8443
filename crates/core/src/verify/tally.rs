//! What was told of how many objects, and what may be said of all of them.

use std::collections::BTreeMap;

use serde::Serialize;

use super::ProofMethod;
use crate::diff::{DiffCounts, DifferenceKind, DifferentKey};
use crate::failure::Failure;

/// How it ended with one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyVerification {
    /// Both sides are equal.
    Equal {
        /// By what the contents were told equal.
        means: ProofMethod,
        /// How large the object is.
        size_bytes: u64,
    },
    /// Neither side has it any more.
    Gone,
    /// The sides differ.
    Different(DifferentKey),
    /// The destination has an application's write that stays.
    Ahead(DifferentKey),
    /// It cannot be told; a job that computes checksums may help where the content is all that is open.
    Inconclusive {
        /// What is known of it.
        key: DifferentKey,
        /// Whether a checksum of both sides would settle it.
        checksums_would_help: bool,
    },
    /// It could not be read.
    Unread {
        /// What is known of it.
        key: DifferentKey,
        /// Why.
        failure: Failure,
    },
}

impl KeyVerification {
    /// Sorts a key that is not equal: what differs in anything that is known is different.
    #[must_use]
    pub fn not_equal(key: DifferentKey, checksums_would_help: bool) -> Self {
        let is_ahead = |kind: &DifferenceKind| {
            matches!(
                kind,
                DifferenceKind::DestinationNewer | DifferenceKind::ExternalAtDestination
            )
        };
        if key.differences.iter().any(is_ahead) {
            Self::Ahead(key)
        } else if key.differences.iter().all(|kind| *kind == DifferenceKind::Inconclusive) {
            Self::Inconclusive {
                key,
                checksums_would_help,
            }
        } else {
            Self::Different(key)
        }
    }

    /// Returns the key where it is not equal.
    #[must_use]
    pub fn key(&self) -> Option<&DifferentKey> {
        match self {
            Self::Equal { .. } | Self::Gone => None,
            Self::Different(key) | Self::Ahead(key) | Self::Inconclusive { key, .. } | Self::Unread { key, .. } => {
                Some(key)
            }
        }
    }
}

/// So many objects of so many bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ObjectTotals {
    /// How many objects.
    pub objects: u64,
    /// How many bytes they have on one side.
    pub bytes: u64,
}

impl ObjectTotals {
    /// Adds more.
    pub fn add(&mut self, more: Self) {
        self.objects += more.objects;
        self.bytes = self.bytes.saturating_add(more.bytes);
    }
}

/// What was told so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VerificationTotals {
    /// Keys and bytes of both sides, and kinds of differences.
    pub counts: DiffCounts,
    /// Keys of either side.
    pub keys: u64,
    /// Objects that were told equal, by how their contents were.
    pub equal: BTreeMap<ProofMethod, ObjectTotals>,
    /// Keys that neither side has any more.
    pub gone: u64,
    /// Keys that differ.
    pub different: u64,
    /// Keys of which the destination has an application's write that stays.
    pub ahead: u64,
    /// Keys of which it cannot be told, those that could not be read included.
    pub inconclusive: u64,
    /// Keys that could not be read.
    pub unread: u64,
    /// Keys that were left out of the sample.
    pub not_examined: u64,
    /// Keys that changed while they were compared, and were read again.
    pub changed: u64,
    /// Bytes that were read of both sides.
    pub read_bytes: u64,
    /// How many keys the sample was drawn from.
    pub sampled_of: u64,
}

impl VerificationTotals {
    /// Takes the end of one key.
    pub fn take(&mut self, verified_keys: &KeyVerification) {
        match verified_keys {
            KeyVerification::Equal { means, size_bytes } => self.equal_by(
                *means,
                ObjectTotals {
                    objects: 1,
                    bytes: *size_bytes,
                },
            ),
            KeyVerification::Gone => self.gone += 1,
            KeyVerification::Different(key) => {
                self.different += 1;
                self.counts.different(key);
            }
            KeyVerification::Ahead(key) => {
                self.ahead += 1;
                self.counts.different(key);
            }
            KeyVerification::Inconclusive { key, .. } => {
                self.inconclusive += 1;
                self.counts.different(key);
            }
            KeyVerification::Unread { key, .. } => {
                self.inconclusive += 1;
                self.unread += 1;
                self.counts.different(key);
            }
        }
    }

    /// Counts objects that were told equal.
    pub fn equal_by(&mut self, means: ProofMethod, amount: ObjectTotals) {
        if amount.objects > 0 {
            self.equal.entry(means).or_default().add(amount);
        }
    }

    /// Adds what was told of more keys.
    pub fn add(&mut self, more: &Self) {
        self.counts.add(&more.counts);
        self.keys += more.keys;
        for (means, amount) in &more.equal {
            self.equal_by(*means, *amount);
        }
        self.gone += more.gone;
        self.different += more.different;
        self.ahead += more.ahead;
        self.inconclusive += more.inconclusive;
        self.unread += more.unread;
        self.not_examined += more.not_examined;
        self.changed += more.changed;
        self.read_bytes = self.read_bytes.saturating_add(more.read_bytes);
        self.sampled_of += more.sampled_of;
    }

    /// Returns how many objects were told equal.
    #[must_use]
    pub fn equal_objects(&self) -> u64 {
        self.equal.values().map(|amount| amount.objects).sum()
    }

    /// Returns how many keys are accounted for.
    #[must_use]
    pub fn accounted(&self) -> u64 {
        self.equal_objects() + self.gone + self.different + self.ahead + self.inconclusive + self.not_examined
    }

    /// Says what may be said of all keys; anything but "verified" where a single key leaves a doubt.
    #[must_use]
    pub fn verdict(&self, ending: VerificationEnd, is_sample: bool) -> VerificationVerdict {
        if ending != VerificationEnd::Complete || self.accounted() != self.keys {
            VerificationVerdict::Incomplete
        } else if self.different > 0 {
            VerificationVerdict::Different
        } else if self.inconclusive > 0 {
            VerificationVerdict::Inconclusive
        } else if self.keys == self.gone {
            VerificationVerdict::NothingToCompare
        } else if is_sample || self.not_examined > 0 {
            VerificationVerdict::NoDifferenceInSample
        } else if self.ahead > 0 {
            VerificationVerdict::DestinationAhead
        } else {
            VerificationVerdict::Verified
        }
    }
}

/// How a verification ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerificationEnd {
    /// Both listings came to their ends, and so did everything that was found in them.
    Complete,
    /// Somebody asked to stop, or something failed that all depends on.
    Cut,
}

/// What a verification says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum VerificationVerdict {
    /// Every object was told equal.
    Verified,
    /// Every object is equal, but for applications' writes at the destination that stay.
    DestinationAhead,
    /// Every object of a sample was told equal; nothing is said of the others.
    NoDifferenceInSample,
    /// At least one key differs.
    Different,
    /// No key is known to differ, and at least one could not be told.
    Inconclusive,
    /// Neither side has an object: the locations may be mistyped.
    NothingToCompare,
    /// The comparison did not come to its end.
    Incomplete,
}

impl VerificationVerdict {
    /// Returns the name used in reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::DestinationAhead => "destination-ahead",
            Self::NoDifferenceInSample => "no-difference-in-sample",
            Self::Different => "different",
            Self::Inconclusive => "inconclusive",
            Self::NothingToCompare => "nothing-to-compare",
            Self::Incomplete => "incomplete",
        }
    }

    /// Tells whether what was asked for holds.
    #[must_use]
    pub fn is_good(self) -> bool {
        match self {
            Self::Verified | Self::DestinationAhead | Self::NoDifferenceInSample => true,
            Self::Different | Self::Inconclusive | Self::NothingToCompare | Self::Incomplete => false,
        }
    }
}
