//! The verification that two buckets are equal.
#![expect(clippy::unwrap_used, reason = "a failed expectation fails the test")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::{TryStreamExt as _, stream};
use s3ferry_core::diff::DifferenceKind;
use s3ferry_core::encryption::EncryptionRules;
use s3ferry_core::facts::{
    Attribute, AttributeSet, Availability, ChecksumCoverage, ObjectFacts, ObjectState, StoredChecksums as Stored,
};
use s3ferry_core::failure::{Failure, FailureKind};
use s3ferry_core::listing::{ListedObject, StorageClassName};
use s3ferry_core::lock::{ObjectLock, Retention, RetentionMode};
use s3ferry_core::names::{BucketName, ObjectKey};
use s3ferry_core::plan::PartLayout;
use s3ferry_core::policy::Ownership;
use s3ferry_core::time::Timestamp;
use s3ferry_core::verify::completion::{ChecksumRow, ComputedChecksum, ComputedChecksums};
use s3ferry_core::verify::{
    ComparisonScope, KeyVerification, ProofMethod, VerificationDepth, VerificationEnd, VerificationTotals,
    VerificationVerdict,
};
use s3ferry_engine::ports::Absence;
use s3ferry_engine::verify::{ContentHash, InconclusiveContent, SampleRequest, VerifiedBucket, Verifier, listed};
use s3ferry_testkit::memory::MemoryBucket;

const NOW: Timestamp = Timestamp::from_seconds(1_000);

const READ: InconclusiveContent = InconclusiveContent::Read { max_bytes: 1_000 };

/// A bucket that counts its reads, and injects writes and denials.
#[derive(Debug, Clone)]
struct ObservedBucket {
    bucket: MemoryBucket,
    heads: Arc<AtomicU64>,
    digests: Arc<AtomicU64>,
    /// The number of reads during which another version of the key is written.
    rewrites: Arc<AtomicU64>,
    denied: &'static str,
}

impl VerifiedBucket for ObservedBucket {
    async fn read(&self, key: &ObjectKey, attributes: &AttributeSet) -> Result<ObjectState, Failure> {
        self.heads.fetch_add(1, Ordering::Relaxed);
        if key.as_str() == self.denied {
            return Err(Failure {
                kind: FailureKind::Permanent,
                code: "AccessDenied".into(),
                action: "s3:GetObject".to_owned(),
                resource: key.to_string(),
                detail: "denied".to_owned(),
            });
        }
        VerifiedBucket::read(&self.bucket, key, attributes).await
    }

    async fn confirm_absence(&self, key: &ObjectKey) -> Result<Absence, Failure> {
        VerifiedBucket::confirm_absence(&self.bucket, key).await
    }

    async fn layout(&self, key: &ObjectKey, facts: &ObjectFacts) -> Result<PartLayout, Failure> {
        VerifiedBucket::layout(&self.bucket, key, facts).await
    }

    async fn digest(&self, key: &ObjectKey, facts: &ObjectFacts) -> Result<Option<ContentHash>, Failure> {
        self.digests.fetch_add(1, Ordering::Relaxed);
        let left = self.rewrites.load(Ordering::Relaxed);
        if left > 0 {
            self.rewrites.store(left - 1, Ordering::Relaxed);
            self.bucket
                .put_large(key.as_str(), &format!("rewritten {left}"), 11, &[11]);
        }
        self.bucket.digest(key, facts).await
    }
}

struct Buckets {
    source: ObservedBucket,
    destination: ObservedBucket,
    depth: VerificationDepth,
    ignored: BTreeSet<DifferenceKind>,
    inconclusive: InconclusiveContent,
    sample: Option<SampleRequest>,
    checksums: [ComputedChecksums; 2],
}

/// The result of a verification.
#[derive(Debug)]
struct VerificationResult {
    verdict: VerificationVerdict,
    tally: VerificationTotals,
    verified_keys: Vec<KeyVerification>,
}

impl VerificationResult {
    fn kinds(&self) -> Vec<(&str, Vec<DifferenceKind>)> {
        let keys = self.verified_keys.iter().filter_map(KeyVerification::key);
        keys.map(|key| (key.key.as_str(), key.differences.clone())).collect()
    }

    fn equal(&self) -> Vec<(ProofMethod, u64)> {
        self.tally
            .equal
            .iter()
            .map(|(means, amount)| (*means, amount.objects))
            .collect()
    }

    fn reason(&self, key: &str) -> &str {
        let mut keys = self.verified_keys.iter().filter_map(KeyVerification::key);
        let found = keys.find(|verified_keys| verified_keys.key.as_str() == key).unwrap();
        found.reason.as_deref().unwrap()
    }
}

impl Buckets {
    fn new(depth: VerificationDepth) -> Self {
        let observed = || ObservedBucket {
            bucket: MemoryBucket::versioned(),
            heads: Arc::default(),
            digests: Arc::default(),
            rewrites: Arc::default(),
            denied: "",
        };
        Self {
            source: observed(),
            destination: observed(),
            depth,
            ignored: BTreeSet::new(),
            inconclusive: READ,
            sample: None,
            checksums: [ComputedChecksums::default(), ComputedChecksums::default()],
        }
    }

    fn both(&self, key: &str, content: &str) {
        self.source.bucket.put(key, content);
        self.destination.bucket.put(key, content);
    }

    /// Writes objects with different part sizes and without full-object checksums.
    fn in_other_parts(&self, key: &str, source: &str, destination: &str) {
        let plain = |facts: &mut ObjectFacts| facts.checksums = Stored::default();
        let size = source.len() as u64;
        self.source
            .bucket
            .put_large_with(key, source, size, &[5, size - 5], plain);
        self.destination
            .bucket
            .put_large_with(key, destination, size, &[3, 3, size - 6], plain);
    }

    fn rows(bucket: &MemoryBucket) -> Vec<ListedObject> {
        let keys: Vec<String> = bucket.snapshot().into_keys().collect();
        let row = |key: &String| {
            let facts = bucket.facts(key)?;
            Some(ListedObject {
                key: ObjectKey::from_raw(key).unwrap(),
                size_bytes: facts.size_bytes,
                etag: Some(facts.etag),
                last_modified: facts.last_modified,
                storage_class: StorageClassName::new(&facts.storage_class),
            })
        };
        keys.iter().filter_map(row).collect()
    }

    async fn verify(self) -> VerificationResult {
        let listings = [Self::rows(&self.source.bucket), Self::rows(&self.destination.bucket)];
        self.verify_listed(listings).await
    }

    /// Verifies keys that were listed before.
    async fn verify_listed(self, listings: [Vec<ListedObject>; 2]) -> VerificationResult {
        let [source_checksums, destination_checksums] = self.checksums;
        let verifier = Arc::new(Verifier {
            source: self.source,
            destination: self.destination,
            destination_name: BucketName::new("destination").unwrap(),
            scope: ComparisonScope {
                depth: self.depth,
                ignored: self.ignored,
                ownership: Ownership::Exclusive,
                encryption: EncryptionRules::default(),
            },
            attributes: match self.depth {
                VerificationDepth::Listing => AttributeSet::new(),
                VerificationDepth::Head | VerificationDepth::Checksum => {
                    AttributeSet::from([Attribute::Tags, Attribute::Annotations])
                }
            },
            inconclusive: self.inconclusive,
            source_checksums,
            destination_checksums,
            now: NOW,
            concurrency: 4,
        });
        let [source, destination] = listings.map(|rows| stream::iter([Ok(rows)]));
        let found = verifier.verified(listed(source, destination, self.depth, self.sample));
        let mut result = VerificationResult {
            verdict: VerificationVerdict::Incomplete,
            tally: VerificationTotals::default(),
            verified_keys: Vec::new(),
        };
        let all: Vec<_> = found.try_collect().await.unwrap();
        for progress in all {
            result.tally.add(&progress.tally);
            result.verified_keys.extend(progress.not_equal);
        }
        assert_eq!(result.tally.keys, result.tally.accounted(), "{result:?}");
        result.verdict = result.tally.verdict(VerificationEnd::Complete, self.sample.is_some());
        result
    }
}

#[tokio::test]
async fn equal_buckets_are_verified_at_every_depth() {
    for (depth, means) in [
        (VerificationDepth::Listing, ProofMethod::Listing),
        (VerificationDepth::Head, ProofMethod::Etag),
        (VerificationDepth::Checksum, ProofMethod::Etag),
    ] {
        let buckets = Buckets::new(depth);
        for number in 0..20 {
            buckets.both(&format!("{number:02}"), "one");
        }
        let heads = Arc::clone(&buckets.source.heads);
        let result = buckets.verify().await;
        assert_eq!(
            (result.verdict, result.equal()),
            (VerificationVerdict::Verified, vec![(means, 20)])
        );
        let expected_heads = if depth == VerificationDepth::Listing { 0 } else { 20 };
        assert_eq!(
            heads.load(Ordering::Relaxed),
            expected_heads,
            "one HEAD request for each key"
        );
        assert_eq!(result.tally.counts.source_bytes, 60);
    }
}

#[tokio::test]
async fn every_difference_is_reported() {
    let buckets = Buckets::new(VerificationDepth::Head);
    buckets.both("a-equal", "one");
    buckets.source.bucket.put("b-missing", "one");
    buckets.destination.bucket.put("c-extra", "one");
    buckets.source.bucket.put("d-content", "one");
    buckets.destination.bucket.put("d-content", "two");
    buckets.both("e-tags", "one");
    buckets.destination.bucket.tag("e-tags", &[("a", "b")]);
    buckets.source.bucket.put("f-class", "one");
    buckets.destination.bucket.put_with("f-class", "one", |facts| {
        facts.storage_class = "GLACIER_IR".to_owned();
        facts.user_metadata.insert("a".to_owned(), "b".to_owned());
    });
    let result = buckets.verify().await;
    assert_eq!(
        result.kinds(),
        [
            ("b-missing", vec![DifferenceKind::MissingAtDestination]),
            ("c-extra", vec![DifferenceKind::ExtraAtDestination]),
            ("d-content", vec![DifferenceKind::Content]),
            ("e-tags", vec![DifferenceKind::Tags]),
            ("f-class", vec![DifferenceKind::Metadata, DifferenceKind::StorageClass]),
        ]
    );
    assert_eq!(
        (result.verdict, result.tally.different),
        (VerificationVerdict::Different, 5)
    );
}

#[tokio::test]
async fn ignored_attribute_is_no_difference() {
    let mut buckets = Buckets::new(VerificationDepth::Head);
    buckets.both("a", "one");
    buckets.destination.bucket.tag("a", &[("a", "b")]);
    buckets.ignored.insert(DifferenceKind::Tags);
    assert_eq!(buckets.verify().await.verdict, VerificationVerdict::Verified);
}

#[tokio::test]
async fn same_bytes_in_other_parts_are_read_and_verified() {
    for depth in [
        VerificationDepth::Listing,
        VerificationDepth::Head,
        VerificationDepth::Checksum,
    ] {
        let buckets = Buckets::new(depth);
        buckets.in_other_parts("a", "ten bytes.", "ten bytes.");
        let result = buckets.verify().await;
        assert_eq!(
            (result.verdict, result.equal()),
            (VerificationVerdict::Verified, vec![(ProofMethod::Read, 1)])
        );
        assert_eq!(result.tally.read_bytes, 20);
        let buckets = Buckets::new(depth);
        buckets.in_other_parts("a", "ten bytes.", "ten others");
        let result = buckets.verify().await;
        assert_eq!(result.kinds(), [("a", vec![DifferenceKind::Content])], "{depth:?}");
    }
}

#[tokio::test]
async fn multipart_etag_is_no_proof_at_depth_checksum() {
    for (depth, means) in [
        (VerificationDepth::Head, ProofMethod::MultipartEtag),
        (VerificationDepth::Checksum, ProofMethod::Read),
    ] {
        let buckets = Buckets::new(depth);
        let plain = |facts: &mut ObjectFacts| facts.checksums = Stored::default();
        for side in [&buckets.source, &buckets.destination] {
            side.bucket.put_large_with("a", "ten bytes.", 10, &[5, 5], plain);
        }
        assert_eq!(buckets.verify().await.equal(), [(means, 1)]);
    }
}

#[tokio::test]
async fn composite_checksum_is_a_proof_if_part_sizes_are_equal() {
    for (destination_parts, means) in [
        (&[5, 5][..], ProofMethod::CompositeChecksum),
        (&[4, 6], ProofMethod::Read),
    ] {
        let buckets = Buckets::new(VerificationDepth::Checksum);
        let composite = |facts: &mut ObjectFacts| {
            facts.checksums = Stored {
                coverage: ChecksumCoverage::Composite,
                values: [("SHA256", "x-2".to_owned())].into(),
            };
        };
        buckets
            .source
            .bucket
            .put_large_with("a", "ten bytes.", 10, &[5, 5], composite);
        buckets
            .destination
            .bucket
            .put_large_with("a", "ten bytes.", 10, destination_parts, composite);
        assert_eq!(buckets.verify().await.equal(), [(means, 1)]);
    }
}

#[tokio::test]
async fn content_that_may_not_be_read_is_inconclusive() {
    let mut buckets = Buckets::new(VerificationDepth::Head);
    buckets.in_other_parts("a", "ten bytes.", "ten bytes.");
    buckets.inconclusive = InconclusiveContent::Report;
    let result = buckets.verify().await;
    assert_eq!(
        (result.verdict, result.kinds()),
        (
            VerificationVerdict::Inconclusive,
            vec![("a", vec![DifferenceKind::Inconclusive])]
        )
    );
    assert!(result.reason("a").contains("the contents may not be read"));
    let mut buckets = Buckets::new(VerificationDepth::Head);
    buckets.in_other_parts("a", "ten bytes.", "ten bytes.");
    buckets.inconclusive = InconclusiveContent::Read { max_bytes: 9 };
    let digests = Arc::clone(&buckets.source.digests);
    let result = buckets.verify().await;
    assert_eq!(result.verdict, VerificationVerdict::Inconclusive);
    assert!(result.reason("a").contains("its 10 bytes are more than the 9"));
    assert_eq!(digests.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn archived_object_is_inconclusive() {
    let buckets = Buckets::new(VerificationDepth::Head);
    buckets.in_other_parts("a", "ten bytes.", "ten bytes.");
    buckets
        .source
        .bucket
        .put_large_with("a", "ten bytes.", 10, &[5, 5], |facts| {
            facts.checksums = Stored::default();
            facts.storage_class = "DEEP_ARCHIVE".to_owned();
            facts.availability = Availability::Archived;
        });
    let result = buckets.verify().await;
    assert_eq!(
        result.kinds(),
        [("a", vec![DifferenceKind::StorageClass, DifferenceKind::Inconclusive])]
    );
    assert!(
        result
            .reason("a")
            .contains("the source's object is archived (DEEP_ARCHIVE)"),
        "{result:?}"
    );
}

#[tokio::test]
async fn computed_checksums_verify_contents_without_reading() {
    let mut buckets = Buckets::new(VerificationDepth::Checksum);
    buckets.in_other_parts("a", "ten bytes.", "ten bytes.");
    buckets.inconclusive = InconclusiveContent::Report;
    let key = ObjectKey::from_raw("a").unwrap();
    for (checksums, side) in buckets
        .checksums
        .iter_mut()
        .zip([&buckets.source, &buckets.destination])
    {
        let computed = ComputedChecksum {
            etag: side.bucket.facts("a").unwrap().etag,
            version_id: None,
            algorithm: "SHA256".to_owned(),
            coverage: ChecksumCoverage::FullObject,
            value: "x".to_owned(),
        };
        checksums.take(ChecksumRow::Computed(vec![key.clone()], computed));
    }
    let result = buckets.verify().await;
    assert_eq!(
        (result.verdict, result.equal()),
        (VerificationVerdict::Verified, vec![(ProofMethod::ComputedChecksum, 1)])
    );
}

#[tokio::test]
async fn unreadable_object_is_inconclusive_and_others_are_verified() {
    let mut buckets = Buckets::new(VerificationDepth::Head);
    buckets.both("a", "one");
    buckets.both("b", "one");
    buckets.destination.denied = "b";
    let result = buckets.verify().await;
    assert_eq!(
        (result.verdict, result.tally.unread),
        (VerificationVerdict::Inconclusive, 1)
    );
    assert_eq!(result.equal(), [(ProofMethod::Etag, 1)]);
    assert!(result.reason("b").contains("AccessDenied"));
}

#[tokio::test]
async fn outdated_listing_causes_no_difference() {
    let buckets = Buckets::new(VerificationDepth::Head);
    buckets.both("a", "one");
    buckets.source.bucket.put("b", "one");
    buckets.both("c", "one");
    let listings = [
        Buckets::rows(&buckets.source.bucket),
        Buckets::rows(&buckets.destination.bucket),
    ];
    // A copy arrives, an object is deleted on both sides, and another is overwritten on both sides.
    buckets.destination.bucket.put("b", "one");
    for side in [&buckets.source, &buckets.destination] {
        side.bucket.delete("c");
        side.bucket.put("a", "two");
    }
    let result = buckets.verify_listed(listings).await;
    assert_eq!(
        (result.verdict, result.tally.gone, result.tally.equal_objects()),
        (VerificationVerdict::Verified, 1, 2)
    );
}

#[tokio::test]
async fn object_that_changes_while_it_is_read_is_compared_again() {
    let buckets = Buckets::new(VerificationDepth::Head);
    buckets.in_other_parts("a", "ten bytes.", "ten bytes.");
    buckets.source.rewrites.store(1, Ordering::Relaxed);
    let result = buckets.verify().await;
    // The contents that were read are equal, and the current object differs.
    assert_eq!(result.verdict, VerificationVerdict::Different);
    assert_eq!(
        (result.kinds(), result.tally.changed),
        (vec![("a", vec![DifferenceKind::Size])], 1)
    );
}

#[tokio::test]
async fn constantly_changing_object_is_inconclusive() {
    let buckets = Buckets::new(VerificationDepth::Checksum);
    let plain = |facts: &mut ObjectFacts| facts.checksums = Stored::default();
    buckets
        .source
        .bucket
        .put_large_with("a", "eleven byte", 11, &[5, 6], plain);
    buckets
        .destination
        .bucket
        .put_large_with("a", "eleven byte", 11, &[11], plain);
    buckets.source.rewrites.store(100, Ordering::Relaxed);
    let result = buckets.verify().await;
    assert_eq!(result.verdict, VerificationVerdict::Inconclusive);
    assert!(
        result.reason("a").contains("changed whenever it was read"),
        "{result:?}"
    );
}

#[tokio::test]
async fn sample_verifies_only_the_sampled_keys() {
    let sampled = |size, seed| {
        let mut buckets = Buckets::new(VerificationDepth::Head);
        (0..50).for_each(|number| buckets.both(&format!("{number:02}"), "one"));
        buckets.sample = Some(SampleRequest { size, seed });
        buckets
    };
    let buckets = sampled(7, 1);
    let heads = Arc::clone(&buckets.source.heads);
    let result = buckets.verify().await;
    assert_eq!(result.verdict, VerificationVerdict::NoDifferenceInSample);
    assert_eq!((result.tally.not_examined, result.tally.sampled_of), (43, 50));
    assert_eq!(heads.load(Ordering::Relaxed), 7);
    // A sample of all keys is still reported as a sample.
    assert_eq!(
        sampled(50, 1).verify().await.verdict,
        VerificationVerdict::NoDifferenceInSample
    );
    // Missing objects are found even if they are not sampled.
    let buckets = sampled(7, 1);
    buckets.destination.bucket.purge("33");
    let result = buckets.verify().await;
    assert_eq!(
        (result.verdict, result.kinds()),
        (
            VerificationVerdict::Different,
            vec![("33", vec![DifferenceKind::MissingAtDestination])]
        )
    );
}

#[tokio::test]
async fn failed_listing_ends_the_verification() {
    let failure = Failure {
        kind: FailureKind::Retry,
        code: "SlowDown".into(),
        action: "s3:ListBucket".to_owned(),
        resource: "source".to_owned(),
        detail: "later".to_owned(),
    };
    for sample in [None, Some(SampleRequest { size: 2, seed: 0 })] {
        let found = listed(
            stream::iter([Err(failure.clone())]),
            stream::iter([Ok(Vec::new())]),
            VerificationDepth::Head,
            sample,
        );
        let all: Result<Vec<_>, Failure> = found.try_collect().await;
        assert_eq!(all.unwrap_err(), failure);
    }
}

/// S3 may answer 404 for a listed object for minutes after versioning was first enabled.
#[tokio::test]
async fn listed_object_that_answers_404_is_not_verified() {
    for hidden in [
        &[Side::Source][..],
        &[Side::Destination],
        &[Side::Source, Side::Destination],
    ] {
        let buckets = Buckets::new(VerificationDepth::Head);
        buckets.both("a", "one");
        buckets.both("b", "one");
        for side in hidden {
            match side {
                Side::Source => buckets.source.bucket.hide("b"),
                Side::Destination => buckets.destination.bucket.hide("b"),
            }
        }
        let result = buckets.verify().await;
        assert_eq!(
            (result.tally.unread, result.tally.gone),
            (1, 0),
            "{hidden:?}: {result:?}"
        );
        assert_ne!(result.verdict, VerificationVerdict::Verified, "{hidden:?}");
        assert!(result.reason("b").contains("AbsenceUnconfirmed"), "{result:?}");
    }
}

#[derive(Debug, Clone, Copy)]
enum Side {
    Source,
    Destination,
}

#[tokio::test]
async fn retention_that_has_ended_is_no_difference() {
    for (until_seconds, expected) in [(1_000, vec![]), (1_001, vec![("a", vec![DifferenceKind::Lock])])] {
        let buckets = Buckets::new(VerificationDepth::Head);
        buckets.destination.bucket.put("a", "one");
        buckets.source.bucket.put_with("a", "one", |facts| {
            facts.lock = ObjectLock {
                retention: Some(Retention {
                    mode: RetentionMode::Governance,
                    until: Timestamp::from_seconds(until_seconds),
                }),
                legal_hold: false,
                event_hold: None,
            };
        });
        assert_eq!(buckets.verify().await.kinds(), expected, "until {until_seconds}");
    }
}
