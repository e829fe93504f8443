//! Totals of a verification, and the verdict.

use std::collections::BTreeMap;

use serde::Serialize;

use super::ProofMethod;
use crate::diff::{DiffCounts, DifferenceKind, DifferentKey};
use crate::failure::Failure;

/// Result of the verification of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyVerification {
    /// Both objects are equal.
    Equal {
        /// Method by which the contents were verified as equal.
        means: ProofMethod,
        /// Size of the object in bytes.
        size_bytes: u64,
    },
    /// The key was deleted on both sides after it was listed.
    Gone,
    /// The objects differ.
    Different(DifferentKey),
    /// The destination object is an external write, which stays.
    Ahead(DifferentKey),
    /// The comparison is inconclusive. Computed checksums may help if only the content is open.
    Inconclusive {
        /// Known data about the key.
        key: DifferentKey,
        /// Whether checksums of both objects would make the comparison conclusive.
        checksums_would_help: bool,
    },
    /// The key was not readable.
    Unread {
        /// Known data about the key.
        key: DifferentKey,
        /// Failure of the request.
        failure: Failure,
    },
}

impl KeyVerification {
    /// Returns the result for a key that is not equal. Any known difference takes precedence over inconclusive.
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

    /// Returns the key, if it is not equal.
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

/// Number and total size of objects.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ObjectTotals {
    /// Number of objects.
    pub objects: u64,
    /// Number of bytes of the objects on one side.
    pub bytes: u64,
}

impl ObjectTotals {
    /// Adds further totals.
    pub fn add(&mut self, more: Self) {
        self.objects += more.objects;
        self.bytes = self.bytes.saturating_add(more.bytes);
    }
}

/// Totals of a verification.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VerificationTotals {
    /// Keys and bytes of both sides, and kinds of differences.
    pub counts: DiffCounts,
    /// Number of keys on either side.
    pub keys: u64,
    /// Objects that were verified as equal, by proof method.
    pub equal: BTreeMap<ProofMethod, ObjectTotals>,
    /// Number of keys that were deleted on both sides after they were listed.
    pub gone: u64,
    /// Number of keys that differ.
    pub different: u64,
    /// Number of keys with an external write at the destination, which stays.
    pub ahead: u64,
    /// Number of inconclusive keys, including those that were not readable.
    pub inconclusive: u64,
    /// Number of keys that were not readable.
    pub unread: u64,
    /// Number of keys outside the sample.
    pub not_examined: u64,
    /// Number of keys that changed during their comparison and were read again.
    pub changed: u64,
    /// Number of bytes read from both sides.
    pub read_bytes: u64,
    /// Number of keys from which the sample was selected.
    pub sampled_of: u64,
}

impl VerificationTotals {
    /// Adds the result of one key.
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

    /// Adds objects that were verified as equal.
    pub fn equal_by(&mut self, means: ProofMethod, amount: ObjectTotals) {
        if amount.objects > 0 {
            self.equal.entry(means).or_default().add(amount);
        }
    }

    /// Adds the totals of further keys.
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

    /// Returns the number of objects that were verified as equal.
    #[must_use]
    pub fn equal_objects(&self) -> u64 {
        self.equal.values().map(|amount| amount.objects).sum()
    }

    /// Returns the number of keys with a result, including those outside the sample.
    #[must_use]
    pub fn accounted(&self) -> u64 {
        self.equal_objects() + self.gone + self.different + self.ahead + self.inconclusive + self.not_examined
    }

    /// Returns the verdict. It is "verified" only if no key leaves any doubt.
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

/// End of a verification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerificationEnd {
    /// Both listings were read to their ends, and every key was compared.
    Complete,
    /// The verification was interrupted, or a request failed on which all keys depend.
    Cut,
}

/// Verdict of a verification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum VerificationVerdict {
    /// Every object was verified as equal.
    Verified,
    /// Every object was verified as equal, except external writes at the destination, which stay.
    DestinationAhead,
    /// Every object of a sample was verified as equal. The others were not compared.
    NoDifferenceInSample,
    /// At least one key differs.
    Different,
    /// No key is known to differ, but at least one comparison is inconclusive.
    Inconclusive,
    /// Both sides are empty: a bucket or the prefix may be wrong.
    NothingToCompare,
    /// The verification stopped early.
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

    /// Returns whether the verdict is a success.
    #[must_use]
    pub fn is_good(self) -> bool {
        match self {
            Self::Verified | Self::DestinationAhead | Self::NoDifferenceInSample => true,
            Self::Different | Self::Inconclusive | Self::NothingToCompare | Self::Incomplete => false,
        }
    }
}
