//! What is to be said of two objects.

use std::collections::BTreeSet;

use super::completion::Computed;
use super::{Depth, Means};
use crate::attributes::Change;
use crate::compare::{Content, compare_around, compare_etags, is_replica_of, metadata_agrees};
use crate::decide::is_unfinished;
use crate::diff::Kind;
use crate::encryption::EncryptionRules;
use crate::facts::{Aspect, ChecksumCoverage, Encryption, ObjectFacts};
use crate::marker::{Marker, is_newer};
use crate::policy::Ownership;
use crate::time::Timestamp;

/// What is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// What is demanded of an object.
    pub depth: Depth,
    /// Kinds of differences that are none here.
    pub ignored: BTreeSet<Kind>,
    /// Whether applications write to the destination, too.
    pub ownership: Ownership,
    /// How the destination's objects are to be encrypted.
    pub encryption: EncryptionRules,
}

impl Scope {
    /// Kinds that somebody may leave out of a comparison: content is not among them.
    pub const IGNORABLE: [Kind; 7] = [
        Kind::Metadata,
        Kind::Tags,
        Kind::Lock,
        Kind::Encryption,
        Kind::Annotations,
        Kind::Acl,
        Kind::StorageClass,
    ];

    fn counts(&self, kind: Kind) -> bool {
        !(self.ignored.contains(&kind) && Self::IGNORABLE.contains(&kind))
    }
}

/// What is known of two objects besides what they say of themselves.
#[derive(Debug, Clone, Default)]
pub struct Known<'a> {
    /// Checksums of the source's object, out of the reports of jobs.
    pub source: Vec<&'a Computed>,
    /// Checksums of the destination's object.
    pub destination: Vec<&'a Computed>,
    /// The marker that the destination's object carries, if it is bound to it.
    pub marker: Option<Marker>,
}

/// What is to be said of two contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contents {
    /// They are the same.
    Agree(Means),
    /// They are the same if both objects were uploaded in the same parts.
    AgreeIfInSameParts(Means),
    /// They differ; so do the sizes, where the judgement names them.
    Differ,
    /// Nothing that is known can be compared.
    Unknown,
}

/// What is to be said of two objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// Of their contents.
    pub contents: Contents,
    /// In what they differ; content is among it where that is known.
    pub kinds: Vec<Kind>,
}

/// Judges two objects. Every pair of hashes that can be compared must agree; one agreement that is good enough for the
/// depth is needed for the contents to agree.
#[must_use]
pub fn judge(
    source: &ObjectFacts,
    destination: &ObjectFacts,
    known: &Known<'_>,
    scope: &Scope,
    now: Timestamp,
) -> Judgement {
    let mut kinds = Vec::new();
    let contents = if source.size_bytes == destination.size_bytes {
        let contents = contents(source, destination, known, scope.depth);
        if contents == Contents::Differ {
            kinds.push(Kind::Content);
        }
        contents
    } else {
        kinds.push(Kind::Size);
        Contents::Differ
    };
    if !metadata_agrees(source, destination) {
        kinds.push(Kind::Metadata);
    }
    kinds.extend(compare_around(source, destination, now).into_iter().map(Kind::from));
    if scope.depth > Depth::Listing && !scope.encryption.agree(source, destination) {
        kinds.push(Kind::Encryption);
    }
    if scope.depth > Depth::Listing && source.storage_class != destination.storage_class {
        kinds.push(Kind::StorageClass);
    }
    kinds.retain(|kind| scope.counts(*kind));
    Judgement { contents, kinds }
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
    kinds: &[Kind],
    ownership: Ownership,
) -> Option<Kind> {
    if ownership == Ownership::Exclusive || kinds.contains(&Kind::CannotTell) {
        return None;
    }
    match (source, marker) {
        (None, None) => Some(Kind::ExternalAtDestination),
        (None, Some(_)) => None,
        (Some(source), None) => {
            let is_ahead = !is_newer(source.last_modified, destination.last_modified);
            is_ahead.then_some(Kind::DestinationNewer)
        }
        // What s3ferry has still to write was not changed by an application.
        (Some(source), Some(marker)) if is_unfinished(source, destination, marker) => None,
        (Some(source), Some(marker)) => {
            let is_of_application = |kind: &Kind| {
                let aspect = match kind {
                    Kind::Tags => Aspect::Tags,
                    Kind::Acl => Aspect::Acl,
                    _ => return false,
                };
                let change = marker.attributes.change(aspect, source, destination);
                matches!(change, Some(Change::None | Change::Conflict))
            };
            let is_ahead = !kinds.is_empty() && kinds.iter().all(is_of_application);
            is_ahead.then_some(Kind::DestinationNewer)
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

fn contents(source: &ObjectFacts, destination: &ObjectFacts, known: &Known<'_>, depth: Depth) -> Contents {
    let mut agreeing = BTreeSet::new();
    match compare_etags(source, destination) {
        Content::Differs => return Contents::Differ,
        Content::Agrees if source.etag.is_multipart() => {
            agreeing.insert(Means::PartsEtag);
        }
        Content::Agrees => {
            agreeing.insert(Means::Etag);
        }
        Content::NotComparable => {}
    }
    let destination_hashes = hashes(destination, &known.destination);
    for one in hashes(source, &known.source) {
        for other in &destination_hashes {
            if (one.algorithm, one.coverage) != (other.algorithm, other.coverage) {
                continue;
            }
            let is_computed = one.is_computed || other.is_computed;
            match (one.coverage, one.value == other.value) {
                (ChecksumCoverage::FullObject, false) => return Contents::Differ,
                (ChecksumCoverage::FullObject, true) => {
                    agreeing.insert(if is_computed {
                        Means::ComputedChecksum
                    } else {
                        Means::FullChecksum
                    });
                }
                // Other parts make other values of the same bytes.
                (ChecksumCoverage::Composite, false) => {}
                (ChecksumCoverage::Composite, true) => {
                    agreeing.insert(Means::CompositeChecksum);
                }
            }
        }
    }
    if source.size_bytes == 0 {
        agreeing.insert(Means::Empty);
    }
    if is_replica_of(source, destination) {
        agreeing.insert(Means::Replica);
    }
    if known.marker.as_ref().is_some_and(|marker| marker.names(source)) {
        agreeing.insert(Means::Marker);
    }
    if let Some(means) = agreeing.iter().find(|means| means.suffices_at(depth)) {
        return Contents::Agree(*means);
    }
    if agreeing.contains(&Means::CompositeChecksum) {
        return Contents::AgreeIfInSameParts(Means::CompositeChecksum);
    }
    Contents::Unknown
}

/// All hashes of an object: those that it is stored with, an `ETag` that is one, and those of jobs that are still of it.
fn hashes<'a>(facts: &'a ObjectFacts, computed: &[&'a Computed]) -> Vec<Hash<'a>> {
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
