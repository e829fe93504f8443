//! Comparison of two objects for a verification.

use std::collections::BTreeSet;

use super::completion::ComputedChecksum;
use super::{ProofMethod, VerificationDepth};
use crate::attributes::AttributeChange;
use crate::compare::{ContentComparison, compare_attributes, compare_etags, is_replica_of, metadata_agrees};
use crate::decide::is_unfinished;
use crate::diff::DifferenceKind;
use crate::encryption::EncryptionRules;
use crate::facts::{Attribute, ChecksumCoverage, Encryption, ObjectFacts};
use crate::marker::Marker;
use crate::policy::Ownership;
use crate::time::Timestamp;

/// What a verification compares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComparisonScope {
    /// Required depth of the comparison.
    pub depth: VerificationDepth,
    /// Kinds of differences that are ignored.
    pub ignored: BTreeSet<DifferenceKind>,
    /// Whether applications also write to the destination.
    pub ownership: Ownership,
    /// Required encryption of the destination objects.
    pub encryption: EncryptionRules,
}

impl ComparisonScope {
    /// Kinds of differences that can be ignored. Content is not one of them.
    pub const IGNORABLE: [DifferenceKind; 7] = [
        DifferenceKind::Metadata,
        DifferenceKind::Tags,
        DifferenceKind::Lock,
        DifferenceKind::Encryption,
        DifferenceKind::Annotations,
        DifferenceKind::Acl,
        DifferenceKind::StorageClass,
    ];

    fn counts(&self, kind: DifferenceKind) -> bool {
        !(self.ignored.contains(&kind) && Self::IGNORABLE.contains(&kind))
    }
}

/// Evidence about two objects that their HEAD responses do not contain.
#[derive(Debug, Clone, Default)]
pub struct KnownEvidence<'a> {
    /// Computed checksums of the source object, from reports of jobs.
    pub source: Vec<&'a ComputedChecksum>,
    /// Computed checksums of the destination object.
    pub destination: Vec<&'a ComputedChecksum>,
    /// Marker of the destination object, if it is valid for that object.
    pub marker: Option<Marker>,
}

/// Result of a content comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContentFinding {
    /// The contents are equal.
    Agree(ProofMethod),
    /// The contents are equal if both objects have the same part sizes.
    AgreeIfPartsMatch(ProofMethod),
    /// The contents differ. If the sizes differ, the kinds of the finding include that.
    Differ,
    /// Nothing that is known of both contents is comparable.
    Unknown,
}

/// Result of an object comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectFinding {
    /// Result for the contents.
    pub contents: ContentFinding,
    /// Kinds of differences found, including content if it is known to differ.
    pub kinds: Vec<DifferenceKind>,
}

/// Compares two objects. Every comparable pair of hashes must be equal. The contents are equal if at least one equal
/// pair is sufficient at the depth.
#[must_use]
pub fn compare_objects(
    source: &ObjectFacts,
    destination: &ObjectFacts,
    known: &KnownEvidence<'_>,
    scope: &ComparisonScope,
    now: Timestamp,
) -> ObjectFinding {
    let mut kinds = Vec::new();
    let contents = if source.size_bytes == destination.size_bytes {
        let contents = contents(source, destination, known, scope.depth);
        if contents == ContentFinding::Differ {
            kinds.push(DifferenceKind::Content);
        }
        contents
    } else {
        kinds.push(DifferenceKind::Size);
        ContentFinding::Differ
    };
    if !metadata_agrees(source, destination) {
        kinds.push(DifferenceKind::Metadata);
    }
    kinds.extend(
        compare_attributes(source, destination, now)
            .into_iter()
            .map(DifferenceKind::from),
    );
    if scope.depth > VerificationDepth::Listing && !scope.encryption.agree(source, destination) {
        kinds.push(DifferenceKind::Encryption);
    }
    if scope.depth > VerificationDepth::Listing && source.storage_class != destination.storage_class {
        kinds.push(DifferenceKind::StorageClass);
    }
    kinds.retain(|kind| scope.counts(*kind));
    ObjectFinding { contents, kinds }
}

/// Returns the kind of an external write at a destination with shared ownership. Returns `None` if a sync resolves the
/// difference. The rules are those of [`crate::decide::decide_shared`].
///
/// A copy of s3ferry whose tags or grants an application changed counts as an external write. A copy without the
/// source's annotations does not, because a multipart copy writes annotations last.
#[must_use]
pub fn external_write_kind(
    source: Option<&ObjectFacts>,
    destination: &ObjectFacts,
    marker: Option<&Marker>,
    kinds: &[DifferenceKind],
    ownership: Ownership,
) -> Option<DifferenceKind> {
    if ownership == Ownership::Exclusive || kinds.contains(&DifferenceKind::Inconclusive) {
        return None;
    }
    match (source, marker) {
        (None, None) => Some(DifferenceKind::ExternalAtDestination),
        (None, Some(_)) => None,
        (Some(source), None) => {
            let is_ahead = !source.last_modified.is_newer_than(destination.last_modified);
            is_ahead.then_some(DifferenceKind::DestinationNewer)
        }
        // s3ferry still has to write these attributes, so no application changed them.
        (Some(source), Some(marker)) if is_unfinished(source, destination, marker) => None,
        (Some(source), Some(marker)) => {
            let is_of_application = |kind: &DifferenceKind| {
                let attribute = match kind {
                    DifferenceKind::Tags => Attribute::Tags,
                    DifferenceKind::Acl => Attribute::Acl,
                    _ => return false,
                };
                let change = marker.attributes.change(attribute, source, destination);
                matches!(change, Some(AttributeChange::None | AttributeChange::Conflict))
            };
            let is_ahead = !kinds.is_empty() && kinds.iter().all(is_of_application);
            is_ahead.then_some(DifferenceKind::DestinationNewer)
        }
    }
}

/// Hash of a content.
struct Hash<'a> {
    algorithm: &'a str,
    coverage: ChecksumCoverage,
    value: &'a str,
    is_computed: bool,
}

fn contents(
    source: &ObjectFacts,
    destination: &ObjectFacts,
    known: &KnownEvidence<'_>,
    depth: VerificationDepth,
) -> ContentFinding {
    let mut agreeing = BTreeSet::new();
    match compare_etags(source, destination) {
        ContentComparison::Differs => return ContentFinding::Differ,
        ContentComparison::Agrees if source.etag.is_multipart() => {
            agreeing.insert(ProofMethod::MultipartEtag);
        }
        ContentComparison::Agrees => {
            agreeing.insert(ProofMethod::Etag);
        }
        ContentComparison::NotComparable => {}
    }
    let destination_hashes = hashes(destination, &known.destination);
    for one in hashes(source, &known.source) {
        for other in &destination_hashes {
            if (one.algorithm, one.coverage) != (other.algorithm, other.coverage) {
                continue;
            }
            let is_computed = one.is_computed || other.is_computed;
            match (one.coverage, one.value == other.value) {
                (ChecksumCoverage::FullObject, false) => return ContentFinding::Differ,
                (ChecksumCoverage::FullObject, true) => {
                    agreeing.insert(if is_computed {
                        ProofMethod::ComputedChecksum
                    } else {
                        ProofMethod::FullChecksum
                    });
                }
                // Other part sizes produce other values of equal contents.
                (ChecksumCoverage::Composite, false) => {}
                (ChecksumCoverage::Composite, true) => {
                    agreeing.insert(ProofMethod::CompositeChecksum);
                }
            }
        }
    }
    if source.size_bytes == 0 {
        agreeing.insert(ProofMethod::Empty);
    }
    if is_replica_of(source, destination) {
        agreeing.insert(ProofMethod::Replica);
    }
    if known.marker.as_ref().is_some_and(|marker| marker.names(source)) {
        agreeing.insert(ProofMethod::Marker);
    }
    if let Some(method) = agreeing.iter().find(|method| method.suffices_at(depth)) {
        return ContentFinding::Agree(*method);
    }
    if agreeing.contains(&ProofMethod::CompositeChecksum) {
        return ContentFinding::AgreeIfPartsMatch(ProofMethod::CompositeChecksum);
    }
    ContentFinding::Unknown
}

/// Returns all hashes of an object: stored checksums, an `ETag` that is an MD5, and applicable computed checksums.
fn hashes<'a>(facts: &'a ObjectFacts, computed: &[&'a ComputedChecksum]) -> Vec<Hash<'a>> {
    let stored = facts.checksums.values.iter().map(|(algorithm, value)| Hash {
        algorithm,
        coverage: facts.checksums.coverage,
        value,
        is_computed: false,
    });
    let etag = facts.etag.as_str();
    let is_md5 = facts.encryption == Encryption::Managed && etag.len() == 32 && !facts.etag.is_multipart();
    let etag = is_md5.then_some(Hash {
        algorithm: "MD5",
        coverage: ChecksumCoverage::FullObject,
        value: etag,
        is_computed: false,
    });
    let computed = computed.iter().filter(|computed| computed.is_of(facts));
    let computed = computed.map(|computed| Hash {
        algorithm: &computed.algorithm,
        coverage: computed.coverage,
        value: &computed.value,
        is_computed: true,
    });
    stored.chain(etag).chain(computed).collect()
}
