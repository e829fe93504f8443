//! Two buckets are proved equal, or it is said why not.
#![expect(clippy::unwrap_used, reason = "a broken expectation is a failed test")]

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

/// A bucket that counts what is read of it, and is written to or denied at moments.
#[derive(Debug, Clone)]
struct Watched {
    bucket: MemoryBucket,
    heads: Arc<AtomicU64>,
    digests: Arc<AtomicU64>,
    /// Writes one more version of a key while it is read, so many times.
    rewrites: Arc<AtomicU64>,
    denied: &'static str,
}

impl VerifiedBucket for Watched {
    async fn read(&self, key: &ObjectKey, attributes: &AttributeSet) -> Result<ObjectState, Failure> {
        self.heads.fetch_add(1, Ordering::Relaxed);
        if key.as_str() == self.denied {
            return Err(Failure {
                kind: FailureKind::Permanent,
                code: "AccessDenied".to_owned(),
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

struct World {
    source: Watched,
    destination: Watched,
    depth: VerificationDepth,
    ignored: BTreeSet<DifferenceKind>,
    inconclusive: InconclusiveContent,
    sample: Option<SampleRequest>,
    checksums: [ComputedChecksums; 2],
}

/// What a verification said.
#[derive(Debug)]
struct Said {
    verdict: VerificationVerdict,
    tally: VerificationTotals,
    verified_keys: Vec<KeyVerification>,
}

impl Said {
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

impl World {
    fn new(depth: VerificationDepth) -> Self {
        let watched = || Watched {
            bucket: MemoryBucket::versioned(),
            heads: Arc::default(),
            digests: Arc::default(),
            rewrites: Arc::default(),
            denied: "",
        };
        Self {
            source: watched(),
            destination: watched(),
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

    /// The same bytes, uploaded in parts of other sizes and without checksums of the whole.
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

    async fn verify(self) -> Said {
        let listings = [Self::rows(&self.source.bucket), Self::rows(&self.destination.bucket)];
        self.verify_listed(listings).await
    }

    /// Verifies what was listed before.
    async fn verify_listed(self, listings: [Vec<ListedObject>; 2]) -> Said {
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
        let mut said = Said {
            verdict: VerificationVerdict::Incomplete,
            tally: VerificationTotals::default(),
            verified_keys: Vec::new(),
        };
        let all: Vec<_> = found.try_collect().await.unwrap();
        for progress in all {
            said.tally.add(&progress.tally);
            said.verified_keys.extend(progress.not_equal);
        }
        assert_eq!(said.tally.keys, said.tally.accounted(), "{said:?}");
        said.verdict = said.tally.verdict(VerificationEnd::Complete, self.sample.is_some());
        said
    }
}

#[tokio::test]
async fn equal_buckets_are_verified_at_every_depth() {
    for (depth, means) in [
        (VerificationDepth::Listing, ProofMethod::Listing),
        (VerificationDepth::Head, ProofMethod::Etag),
        (VerificationDepth::Checksum, ProofMethod::Etag),
    ] {
        let world = World::new(depth);
        for number in 0..20 {
            world.both(&format!("{number:02}"), "one");
        }
        let heads = Arc::clone(&world.source.heads);
        let said = world.verify().await;
        assert_eq!(
            (said.verdict, said.equal()),
            (VerificationVerdict::Verified, vec![(means, 20)])
        );
        let looks = if depth == VerificationDepth::Listing { 0 } else { 20 };
        assert_eq!(heads.load(Ordering::Relaxed), looks, "one look at each");
        assert_eq!(said.tally.counts.source_bytes, 60);
    }
}

#[tokio::test]
async fn every_difference_is_named() {
    let world = World::new(VerificationDepth::Head);
    world.both("a-equal", "one");
    world.source.bucket.put("b-missing", "one");
    world.destination.bucket.put("c-extra", "one");
    world.source.bucket.put("d-content", "one");
    world.destination.bucket.put("d-content", "two");
    world.both("e-tags", "one");
    world.destination.bucket.tag("e-tags", &[("a", "b")]);
    world.source.bucket.put("f-class", "one");
    world.destination.bucket.put_with("f-class", "one", |facts| {
        facts.storage_class = "GLACIER_IR".to_owned();
        facts.user_metadata.insert("a".to_owned(), "b".to_owned());
    });
    let said = world.verify().await;
    assert_eq!(
        said.kinds(),
        [
            ("b-missing", vec![DifferenceKind::MissingAtDestination]),
            ("c-extra", vec![DifferenceKind::ExtraAtDestination]),
            ("d-content", vec![DifferenceKind::Content]),
            ("e-tags", vec![DifferenceKind::Tags]),
            ("f-class", vec![DifferenceKind::Metadata, DifferenceKind::StorageClass]),
        ]
    );
    assert_eq!(
        (said.verdict, said.tally.different),
        (VerificationVerdict::Different, 5)
    );
}

#[tokio::test]
async fn what_is_left_out_of_the_scope_is_no_difference() {
    let mut world = World::new(VerificationDepth::Head);
    world.both("a", "one");
    world.destination.bucket.tag("a", &[("a", "b")]);
    world.ignored.insert(DifferenceKind::Tags);
    assert_eq!(world.verify().await.verdict, VerificationVerdict::Verified);
}

#[tokio::test]
async fn same_bytes_in_other_parts_are_read_and_verified() {
    for depth in [
        VerificationDepth::Listing,
        VerificationDepth::Head,
        VerificationDepth::Checksum,
    ] {
        let world = World::new(depth);
        world.in_other_parts("a", "ten bytes.", "ten bytes.");
        let said = world.verify().await;
        assert_eq!(
            (said.verdict, said.equal()),
            (VerificationVerdict::Verified, vec![(ProofMethod::Read, 1)])
        );
        assert_eq!(said.tally.read_bytes, 20);
        let world = World::new(depth);
        world.in_other_parts("a", "ten bytes.", "ten others");
        let said = world.verify().await;
        assert_eq!(said.kinds(), [("a", vec![DifferenceKind::Content])], "{depth:?}");
    }
}

#[tokio::test]
async fn etag_of_equal_parts_is_no_proof_at_the_greatest_depth() {
    for (depth, means) in [
        (VerificationDepth::Head, ProofMethod::MultipartEtag),
        (VerificationDepth::Checksum, ProofMethod::Read),
    ] {
        let world = World::new(depth);
        let plain = |facts: &mut ObjectFacts| facts.checksums = Stored::default();
        for side in [&world.source, &world.destination] {
            side.bucket.put_large_with("a", "ten bytes.", 10, &[5, 5], plain);
        }
        assert_eq!(world.verify().await.equal(), [(means, 1)]);
    }
}

#[tokio::test]
async fn composite_checksums_count_where_the_parts_are_the_same() {
    for (destination_parts, means) in [
        (&[5, 5][..], ProofMethod::CompositeChecksum),
        (&[4, 6], ProofMethod::Read),
    ] {
        let world = World::new(VerificationDepth::Checksum);
        let composite = |facts: &mut ObjectFacts| {
            facts.checksums = Stored {
                coverage: ChecksumCoverage::Composite,
                values: [("SHA256", "x-2".to_owned())].into(),
            };
        };
        world
            .source
            .bucket
            .put_large_with("a", "ten bytes.", 10, &[5, 5], composite);
        world
            .destination
            .bucket
            .put_large_with("a", "ten bytes.", 10, destination_parts, composite);
        assert_eq!(world.verify().await.equal(), [(means, 1)]);
    }
}

#[tokio::test]
async fn what_must_not_be_read_is_not_called_equal() {
    let mut world = World::new(VerificationDepth::Head);
    world.in_other_parts("a", "ten bytes.", "ten bytes.");
    world.inconclusive = InconclusiveContent::Report;
    let said = world.verify().await;
    assert_eq!(
        (said.verdict, said.kinds()),
        (
            VerificationVerdict::Inconclusive,
            vec![("a", vec![DifferenceKind::Inconclusive])]
        )
    );
    assert!(said.reason("a").contains("contents were not to be read"));
    let mut world = World::new(VerificationDepth::Head);
    world.in_other_parts("a", "ten bytes.", "ten bytes.");
    world.inconclusive = InconclusiveContent::Read { max_bytes: 9 };
    let digests = Arc::clone(&world.source.digests);
    let said = world.verify().await;
    assert_eq!(said.verdict, VerificationVerdict::Inconclusive);
    assert!(said.reason("a").contains("its 10 bytes are more than the 9"));
    assert_eq!(digests.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn archived_object_is_named_and_never_called_equal() {
    let world = World::new(VerificationDepth::Head);
    world.in_other_parts("a", "ten bytes.", "ten bytes.");
    world
        .source
        .bucket
        .put_large_with("a", "ten bytes.", 10, &[5, 5], |facts| {
            facts.checksums = Stored::default();
            facts.storage_class = "DEEP_ARCHIVE".to_owned();
            facts.availability = Availability::Archived;
        });
    let said = world.verify().await;
    assert_eq!(
        said.kinds(),
        [("a", vec![DifferenceKind::StorageClass, DifferenceKind::Inconclusive])]
    );
    assert!(
        said.reason("a")
            .contains("the source's object is archived (DEEP_ARCHIVE)"),
        "{said:?}"
    );
}

#[tokio::test]
async fn checksums_of_jobs_prove_contents_that_are_not_read() {
    let mut world = World::new(VerificationDepth::Checksum);
    world.in_other_parts("a", "ten bytes.", "ten bytes.");
    world.inconclusive = InconclusiveContent::Report;
    let key = ObjectKey::from_raw("a").unwrap();
    for (checksums, side) in world.checksums.iter_mut().zip([&world.source, &world.destination]) {
        let computed = ComputedChecksum {
            etag: side.bucket.facts("a").unwrap().etag,
            version_id: None,
            algorithm: "SHA256".to_owned(),
            coverage: ChecksumCoverage::FullObject,
            value: "x".to_owned(),
        };
        checksums.take(ChecksumRow::Computed(vec![key.clone()], computed));
    }
    let said = world.verify().await;
    assert_eq!(
        (said.verdict, said.equal()),
        (VerificationVerdict::Verified, vec![(ProofMethod::ComputedChecksum, 1)])
    );
}

#[tokio::test]
async fn object_that_cannot_be_read_is_in_doubt_and_the_others_are_not() {
    let mut world = World::new(VerificationDepth::Head);
    world.both("a", "one");
    world.both("b", "one");
    world.destination.denied = "b";
    let said = world.verify().await;
    assert_eq!(
        (said.verdict, said.tally.unread),
        (VerificationVerdict::Inconclusive, 1)
    );
    assert_eq!(said.equal(), [(ProofMethod::Etag, 1)]);
    assert!(said.reason("b").contains("AccessDenied"));
}

#[tokio::test]
async fn listing_that_is_out_of_date_makes_no_difference() {
    let world = World::new(VerificationDepth::Head);
    world.both("a", "one");
    world.source.bucket.put("b", "one");
    world.both("c", "one");
    let listings = [
        World::rows(&world.source.bucket),
        World::rows(&world.destination.bucket),
    ];
    // A replica arrives, an object is deleted on both sides, another is overwritten on both.
    world.destination.bucket.put("b", "one");
    for side in [&world.source, &world.destination] {
        side.bucket.delete("c");
        side.bucket.put("a", "two");
    }
    let said = world.verify_listed(listings).await;
    assert_eq!(
        (said.verdict, said.tally.gone, said.tally.equal_objects()),
        (VerificationVerdict::Verified, 1, 2)
    );
}

#[tokio::test]
async fn object_that_changes_while_it_is_read_is_compared_again() {
    let world = World::new(VerificationDepth::Head);
    world.in_other_parts("a", "ten bytes.", "ten bytes.");
    world.source.rewrites.store(1, Ordering::Relaxed);
    let said = world.verify().await;
    // What was read was equal; it is not what is there now.
    assert_eq!(said.verdict, VerificationVerdict::Different);
    assert_eq!(
        (said.kinds(), said.tally.changed),
        (vec![("a", vec![DifferenceKind::Size])], 1)
    );
}

#[tokio::test]
async fn object_that_never_stops_changing_is_in_doubt() {
    let world = World::new(VerificationDepth::Checksum);
    let plain = |facts: &mut ObjectFacts| facts.checksums = Stored::default();
    world
        .source
        .bucket
        .put_large_with("a", "eleven byte", 11, &[5, 6], plain);
    world
        .destination
        .bucket
        .put_large_with("a", "eleven byte", 11, &[11], plain);
    world.source.rewrites.store(100, Ordering::Relaxed);
    let said = world.verify().await;
    assert_eq!(said.verdict, VerificationVerdict::Inconclusive);
    assert!(said.reason("a").contains("changed whenever it was read"), "{said:?}");
}

#[tokio::test]
async fn sample_verifies_only_the_sampled_keys() {
    let sampled = |size, seed| {
        let mut world = World::new(VerificationDepth::Head);
        (0..50).for_each(|number| world.both(&format!("{number:02}"), "one"));
        world.sample = Some(SampleRequest { size, seed });
        world
    };
    let world = sampled(7, 1);
    let heads = Arc::clone(&world.source.heads);
    let said = world.verify().await;
    assert_eq!(said.verdict, VerificationVerdict::NoDifferenceInSample);
    assert_eq!((said.tally.not_examined, said.tally.sampled_of), (43, 50));
    assert_eq!(heads.load(Ordering::Relaxed), 7);
    // Even a sample of all is called no more than a sample.
    assert_eq!(
        sampled(50, 1).verify().await.verdict,
        VerificationVerdict::NoDifferenceInSample
    );
    // What one side lacks is found, drawn or not.
    let world = sampled(7, 1);
    world.destination.bucket.purge("33");
    let said = world.verify().await;
    assert_eq!(
        (said.verdict, said.kinds()),
        (
            VerificationVerdict::Different,
            vec![("33", vec![DifferenceKind::MissingAtDestination])]
        )
    );
}

#[tokio::test]
async fn failure_of_the_bucket_ends_it() {
    let failure = Failure {
        kind: FailureKind::Retry,
        code: "SlowDown".to_owned(),
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

/// S3 may answer 404 for an object that its listing names, for minutes after versioning was first enabled.
#[tokio::test]
async fn object_that_is_listed_and_answers_404_is_never_verified() {
    for hidden in [
        &[Side::Source][..],
        &[Side::Destination],
        &[Side::Source, Side::Destination],
    ] {
        let world = World::new(VerificationDepth::Head);
        world.both("a", "one");
        world.both("b", "one");
        for side in hidden {
            match side {
                Side::Source => world.source.bucket.hide("b"),
                Side::Destination => world.destination.bucket.hide("b"),
            }
        }
        let said = world.verify().await;
        assert_eq!((said.tally.unread, said.tally.gone), (1, 0), "{hidden:?}: {said:?}");
        assert_ne!(said.verdict, VerificationVerdict::Verified, "{hidden:?}");
        assert!(said.reason("b").contains("AbsenceUnconfirmed"), "{said:?}");
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
        let world = World::new(VerificationDepth::Head);
        world.destination.bucket.put("a", "one");
        world.source.bucket.put_with("a", "one", |facts| {
            facts.lock = ObjectLock {
                retention: Some(Retention {
                    mode: RetentionMode::Governance,
                    until: Timestamp::from_seconds(until_seconds),
                }),
                legal_hold: false,
                event_hold: None,
            };
        });
        assert_eq!(world.verify().await.kinds(), expected, "until {until_seconds}");
    }
}
