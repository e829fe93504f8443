//! What is to be said of two objects.

use std::collections::BTreeSet;

use super::completion::ComputedChecksum;
use super::{ProofMethod, VerificationDepth};
use crate::attributes::AttributeChange;
use crate::compare::{ContentComparison, compare_attributes, compare_etags, is_replica_of, metadata_agrees};
use crate::decide::is_unfinished;
use crate::diff::DifferenceKind;
use crate::encryption::EncryptionRules;
use crate::facts::{Attribute, ChecksumCoverage, Encryption, ObjectFacts};
use crate::marker::{Marker, is_newer};
use crate::policy::Ownership;
use crate::time::Timestamp;

/// What is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComparisonScope {
    /// What is demanded of an object.
    pub depth: VerificationDepth,
    /// Kinds of differences that are none here.
    pub ignored: BTreeSet<DifferenceKind>,
    /// Whether applications write to the destination, too.
    pub ownership: Ownership,
    /// How the destination's objects are to be encrypted.
    pub encryption: EncryptionRules,
}

impl ComparisonScope {
    /// Kinds that somebody may leave out of a comparison: content is not among them.
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

/// What is known of two objects besides what they say of themselves.
#[derive(Debug, Clone, Default)]
pub struct KnownEvidence<'a> {
    /// Checksums of the source's object, out of the reports of jobs.
    pub source: Vec<&'a ComputedChecksum>,
    /// Checksums of the destination's object.
    pub destination: Vec<&'a ComputedChecksum>,
    /// The marker that the destination's object carries, if it is bound to it.
    pub marker: Option<Marker>,
}

/// What is to be said of two contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContentFinding {
    /// They are the same.
    Agree(ProofMethod),
    /// They are the same if both objects were uploaded in the same parts.
    AgreeIfInSameParts(ProofMethod),
    /// They differ; so do the sizes, where the judgement names them.
    Differ,
    /// Nothing that is known can be compared.
    Unknown,
}

/// What is to be said of two objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectFinding {
    /// Of their contents.
    pub contents: ContentFinding,
    /// In what they differ; content is among it where that is known.
    pub kinds: Vec<DifferenceKind>,
}

/// Judges two objects. Every pair of hashes that can be compared must agree; one agreement that is good enough for the
/// depth is needed for the contents to agree.
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

/// Names what an application did at a destination that applications write to: `None` where the difference is one that a
/// sync repairs. It goes by what [`crate::decide::decide_shared`] leaves alone.
///
/// A copy of s3ferry whose tags or grants an application changed is ahead; one without the source's annotations is not,
/// because those are written after a multipart copy.
#[must_use]
pub fn written_by_others(
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
            let is_ahead = !is_newer(source.last_modified, destination.last_modified);
            is_ahead.then_some(DifferenceKind::DestinationNewer)
        }
        // What s3ferry has still to write was not changed by an application.
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

/// One hash of a content.
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
                // Other parts make other values of the same bytes.
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
    if let Some(means) = agreeing.iter().find(|means| means.suffices_at(depth)) {
        return ContentFinding::Agree(*means);
    }
    if agreeing.contains(&ProofMethod::CompositeChecksum) {
        return ContentFinding::AgreeIfInSameParts(ProofMethod::CompositeChecksum);
    }
    ContentFinding::Unknown
}

/// All hashes of an object: those that it is stored with, an `ETag` that is one, and those of jobs that are still of it.
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
