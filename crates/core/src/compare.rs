//! Compares two objects, and reports when their equality is inconclusive.

use crate::facts::{ChecksumCoverage, Encryption, ObjectFacts, ReplicationStatus, agree};
use crate::marker::without_marker;
use crate::time::Timestamp;

/// Result of a comparison of the source object with the destination object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyComparison {
    /// Content and metadata are equal.
    Identical,
    /// Something differs.
    Different(BodyDifference),
    /// The sides store neither a checksum nor an `ETag` of the same kind. Never counts as identical.
    Inconclusive,
}

/// First difference that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyDifference {
    /// Sizes differ.
    Size,
    /// Contents differ, by checksum or by `ETag`.
    Content,
    /// System headers, user metadata or website redirects differ.
    Metadata,
    /// Tags differ, if both sides were read.
    Tags,
    /// The destination's Object Lock is less strict.
    Lock,
    /// Annotations differ, if both sides were read.
    Annotations,
    /// Explicit grants of the access control lists differ, if both sides were read.
    Acl,
}

/// Compares the source object with the destination object.
///
/// All comparable pairs of values must be equal, and at least one pair must exist. Alternatively the destination is
/// S3's own replica of the same source version. A different storage class and the marker of a copy are no
/// differences.
#[must_use]
pub fn compare(source: &ObjectFacts, destination: &ObjectFacts, now: Timestamp) -> BodyComparison {
    let body = compare_bodies(source, destination);
    match body {
        BodyComparison::Different(_) => body,
        BodyComparison::Identical | BodyComparison::Inconclusive => compare_attributes(source, destination, now)
            .first()
            .map_or(body, |difference| BodyComparison::Different(*difference)),
    }
}

/// Compares what only a copy can change: content, headers, user metadata and website redirect.
#[must_use]
pub fn compare_bodies(source: &ObjectFacts, destination: &ObjectFacts) -> BodyComparison {
    if source.size_bytes != destination.size_bytes {
        return BodyComparison::Different(BodyDifference::Size);
    }
    let content = compare_content(source, destination);
    if content == ContentComparison::Differs {
        return BodyComparison::Different(BodyDifference::Content);
    }
    if !metadata_agrees(source, destination) {
        return BodyComparison::Different(BodyDifference::Metadata);
    }
    if content == ContentComparison::Agrees || is_replica_of(source, destination) {
        return BodyComparison::Identical;
    }
    BodyComparison::Inconclusive
}

/// Compares the attributes that can be updated without a copy, as far as both sides were read. A retention of the
/// source that has ended by `now` is ignored, because S3 rejects one in the past.
#[must_use]
pub fn compare_attributes(source: &ObjectFacts, destination: &ObjectFacts, now: Timestamp) -> Vec<BodyDifference> {
    let findings = [
        (
            BodyDifference::Tags,
            agree(source.tags.as_ref(), destination.tags.as_ref()),
        ),
        (
            BodyDifference::Lock,
            destination.lock.satisfies(source.lock.in_force(now)),
        ),
        (
            BodyDifference::Annotations,
            agree(source.annotations.as_ref(), destination.annotations.as_ref()),
        ),
        (
            BodyDifference::Acl,
            agree(source.acl.as_ref(), destination.acl.as_ref()),
        ),
    ];
    let differing = findings.into_iter().filter(|(_, agrees)| !agrees);
    differing.map(|(difference, _)| difference).collect()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ContentComparison {
    Agrees,
    Differs,
    NotComparable,
}

impl ContentComparison {
    fn of(equal: bool) -> Self {
        if equal { Self::Agrees } else { Self::Differs }
    }

    /// Combines two results: one difference decides; otherwise one agreement is enough.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Differs, _) | (_, Self::Differs) => Self::Differs,
            (Self::Agrees, _) | (_, Self::Agrees) => Self::Agrees,
            (Self::NotComparable, Self::NotComparable) => Self::NotComparable,
        }
    }
}

/// Compares the contents of two objects of equal size.
fn compare_content(source: &ObjectFacts, destination: &ObjectFacts) -> ContentComparison {
    if source.size_bytes == 0 {
        return ContentComparison::Agrees;
    }
    compare_etags(source, destination).and(compare_checksums(source, destination))
}

/// Compares two `ETag`s.
///
/// An `ETag` is the MD5 of the content only without KMS and customer-provided keys, and only for an object of a
/// single part. The `ETag`s of two multipart objects are equal only if the parts are, so a difference proves nothing.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html>,
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_UpdateObjectEncryption.html>
pub(crate) fn compare_etags(source: &ObjectFacts, destination: &ObjectFacts) -> ContentComparison {
    let equal = source.etag == destination.etag;
    match (&source.encryption, &destination.encryption) {
        (Encryption::Managed, Encryption::Managed) => {}
        // `UpdateObjectEncryption` preserves the `ETag`; no other `ETag` under KMS equals a hash.
        (Encryption::Managed, Encryption::Kms(_)) | (Encryption::Kms(_), Encryption::Managed) if equal => {
            return ContentComparison::Agrees;
        }
        _ => return ContentComparison::NotComparable,
    }
    match (source.etag.is_multipart(), destination.etag.is_multipart()) {
        (false, false) => ContentComparison::of(equal),
        (true, true) if equal => ContentComparison::Agrees,
        _ => ContentComparison::NotComparable,
    }
}

/// Compares the stored checksums.
///
/// Full-object checksums of one algorithm are always comparable. Composite checksums, like the `ETag`s of multipart
/// objects, prove something only if they are equal.
fn compare_checksums(source: &ObjectFacts, destination: &ObjectFacts) -> ContentComparison {
    use ChecksumCoverage::{Composite, FullObject};
    let coverage = (source.checksums.coverage, destination.checksums.coverage);
    let pairs = source.checksums.values.iter().filter_map(|(algorithm, value)| {
        let other = destination.checksums.values.get(algorithm)?;
        Some(value == other)
    });
    pairs
        .map(|equal| match coverage {
            (FullObject, FullObject) => ContentComparison::of(equal),
            (Composite, Composite) if equal => ContentComparison::Agrees,
            _ => ContentComparison::NotComparable,
        })
        .fold(ContentComparison::NotComparable, ContentComparison::and)
}

pub(crate) fn metadata_agrees(source: &ObjectFacts, destination: &ObjectFacts) -> bool {
    source.headers == destination.headers
        && source.unreadable_headers == destination.unreadable_headers
        && without_marker(&source.user_metadata).eq(without_marker(&destination.user_metadata))
        && source.website_redirect == destination.website_redirect
}

/// Returns whether the destination is S3's own replica of the source version. S3 replication preserves version ids.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication-what-is-isnot-replicated.html>
pub(crate) fn is_replica_of(source: &ObjectFacts, destination: &ObjectFacts) -> bool {
    destination.replication_status == Some(ReplicationStatus::Replica)
        && source.version_id.is_some()
        && source.version_id == destination.version_id
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::facts::samples::object;
    use crate::facts::{KmsEncryption, StoredChecksums};
    use crate::names::{ETag, VersionId};

    const NOW: Timestamp = Timestamp::from_seconds(2_000);
    const SAME: BodyComparison = BodyComparison::Identical;
    const OTHER_CONTENT: BodyComparison = BodyComparison::Different(BodyDifference::Content);
    const UNKNOWN: BodyComparison = BodyComparison::Inconclusive;

    /// Returns an object by a description such as `etag:aa-2 kms full:x`: an `ETag`, optionally KMS, and a CRC32
    /// checksum (`full:` or `composite:`).
    fn described(description: &str) -> ObjectFacts {
        let mut facts = object("aa");
        for token in description.split_whitespace() {
            match token.split_once(':') {
                Some(("etag", etag)) => facts.etag = ETag::new(etag).unwrap(),
                Some((coverage, value)) => {
                    facts.checksums = StoredChecksums {
                        coverage: match coverage {
                            "full" => ChecksumCoverage::FullObject,
                            _ => ChecksumCoverage::Composite,
                        },
                        values: BTreeMap::from([("CRC32", value.to_owned())]),
                    };
                }
                None if token == "kms" => facts.encryption = Encryption::Kms(KmsEncryption::default()),
                None => panic!("unknown token {token}"),
            }
        }
        facts
    }

    #[track_caller]
    fn check(source: &str, destination: &str, expected: BodyComparison) {
        let (source, destination) = (described(source), described(destination));
        assert_eq!(compare(&source, &destination, NOW), expected);
        assert_eq!(compare(&destination, &source, NOW), expected, "sides swapped");
    }

    #[test]
    fn content_is_compared_by_what_both_sides_store() {
        check("etag:aa", "etag:aa", SAME);
        check("etag:aa", "etag:bb", OTHER_CONTENT);
        check("etag:aa-2", "etag:aa-2", SAME);
        check("etag:aa-2", "etag:bb-2", UNKNOWN);
        check("etag:aa-2", "etag:bb", UNKNOWN);
        check("etag:aa kms", "etag:bb", UNKNOWN);
        check("etag:aa kms", "etag:aa", SAME);
        check("etag:aa-2 kms", "etag:aa-2", SAME);
        check("etag:aa kms", "etag:aa kms", UNKNOWN);
        check("etag:aa kms", "etag:bb kms", UNKNOWN);
        check("etag:aa kms full:x", "etag:bb full:x", SAME);
        check("etag:aa kms full:x", "etag:bb full:y", OTHER_CONTENT);
        check("etag:aa-2 full:x", "etag:bb full:x", SAME);
        check("etag:aa-2 composite:x", "etag:bb full:y", UNKNOWN);
        check("etag:aa-2 composite:x", "etag:bb-3 composite:y", UNKNOWN);
        check("etag:aa-2 kms composite:x", "etag:bb-2 composite:x", SAME);
    }

    #[test]
    fn one_difference_outweighs_any_agreement() {
        check("etag:aa full:x", "etag:aa full:y", OTHER_CONTENT);
        check("etag:aa full:x", "etag:bb full:x", OTHER_CONTENT);
    }

    #[test]
    fn difference_in_size_metadata_or_tags_is_found() {
        type Change = fn(&mut ObjectFacts);
        let source = object("aa");
        let differing: [(BodyDifference, Change); 6] = [
            (BodyDifference::Size, |facts| facts.size_bytes = 6),
            (BodyDifference::Metadata, |facts| {
                facts.headers.content_type = Some("a/b".into());
            }),
            (BodyDifference::Metadata, |facts| {
                facts.user_metadata.insert("a".into(), "b".into());
            }),
            (BodyDifference::Metadata, |facts| {
                facts.website_redirect = Some("/x".into());
            }),
            (BodyDifference::Metadata, |facts| {
                facts.unreadable_headers.insert("x-amz-meta-a".into(), vec![0xfc]);
            }),
            (BodyDifference::Tags, |facts| {
                facts.tags = Some(BTreeMap::from([("a".into(), "b".into())]));
            }),
        ];
        for (difference, change) in differing {
            let mut source = source.clone();
            source.tags = Some(BTreeMap::new());
            let mut destination = source.clone();
            change(&mut destination);
            assert_eq!(
                compare(&source, &destination, NOW),
                BodyComparison::Different(difference)
            );
        }
    }

    #[test]
    fn storage_class_alone_is_no_difference() {
        let mut destination = object("aa");
        destination.storage_class = "GLACIER_IR".into();
        assert_eq!(compare(&object("aa"), &destination, NOW), SAME);
    }

    #[test]
    fn replica_of_the_same_version_is_identical_without_hashes() {
        let mut source = object("aa");
        source.encryption = Encryption::Kms(KmsEncryption::default());
        let mut replica = source.clone();
        replica.replication_status = Some(ReplicationStatus::Replica);
        assert_eq!(compare(&source, &replica, NOW), SAME);
        replica.version_id = VersionId::pinnable("v2");
        assert_eq!(compare(&source, &replica, NOW), UNKNOWN);
        source.version_id = None;
        replica.version_id = None;
        assert_eq!(compare(&source, &replica, NOW), UNKNOWN);
    }

    #[test]
    fn replica_with_other_content_is_different() {
        let mut replica = object("bb");
        replica.replication_status = Some(ReplicationStatus::Replica);
        assert_eq!(compare(&object("aa"), &replica, NOW), OTHER_CONTENT);
    }

    proptest! {
        #[test]
        fn object_of_another_size_is_never_identical(size_bytes in 0u64..100, etag in "[a-f]{2}(-2)?") {
            let mut source = object(&etag);
            source.size_bytes = size_bytes;
            let mut destination = source.clone();
            destination.size_bytes += 1;
            prop_assert_eq!(compare(&source, &destination, NOW), BodyComparison::Different(BodyDifference::Size));
        }
    }
}
