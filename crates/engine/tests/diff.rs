//! The comparison of two buckets: listings are merged, and differences are confirmed by reading both objects.
#![expect(clippy::unwrap_used, reason = "a failed expectation fails the test")]

use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use s3ferry_core::diff::{DiffCounts, DiffDepth, DifferenceKind, DifferentKey};
use s3ferry_core::failure::{Failure, FailureKind};
use s3ferry_core::listing::{ListedObject, StorageClassName};
use s3ferry_core::names::ObjectKey;
use s3ferry_core::time::Timestamp;
use s3ferry_engine::diff::{ConfirmedPage, DifferenceConfirmer, MergedPage, attributes_at, merged};
use s3ferry_testkit::memory::{MemoryBucket, MemoryDestination};

/// Returns the current listing of a bucket.
fn rows(bucket: &MemoryBucket, keys: &[&str]) -> Vec<ListedObject> {
    let row = |key: &&str| {
        let facts = bucket.facts(key)?;
        Some(ListedObject {
            key: ObjectKey::from_raw(*key).unwrap(),
            size_bytes: facts.size_bytes,
            etag: Some(facts.etag),
            last_modified: facts.last_modified,
            storage_class: StorageClassName::new(&facts.storage_class),
        })
    };
    keys.iter().filter_map(row).collect()
}

fn page(rows: Vec<ListedObject>) -> impl futures::Stream<Item = Result<Vec<ListedObject>, Failure>> + Send {
    stream::iter([Ok(rows)])
}

struct Buckets {
    source: MemoryBucket,
    destination: MemoryBucket,
}

impl Buckets {
    fn new() -> Self {
        Self {
            source: MemoryBucket::versioned(),
            destination: MemoryBucket::versioned(),
        }
    }

    fn both(&self, key: &str, content: &str) {
        self.source.put(key, content);
        self.destination.put(key, content);
    }

    /// Merges the listings, and confirms differences against the current objects.
    async fn compare(
        &self,
        source: Vec<ListedObject>,
        destination: Vec<ListedObject>,
        depth: DiffDepth,
    ) -> (Vec<DifferentKey>, DiffCounts) {
        let confirmer = DifferenceConfirmer {
            source: self.source.clone(),
            destination: MemoryDestination {
                source: self.source.clone(),
                bucket: self.destination.clone(),
            },
            depth,
            attributes: attributes_at(depth),
            now: Timestamp::from_seconds(1_000),
            encryption: s3ferry_core::encryption::EncryptionRules::default(),
            concurrency: 4,
        };
        let found = Arc::new(confirmer).confirm_all(merged(page(source), page(destination), depth));
        let found: Vec<ConfirmedPage> = found.try_collect().await.unwrap();
        let mut counts = DiffCounts::default();
        for confirmed in &found {
            counts.add(&confirmed.counts);
        }
        (
            found.into_iter().filter_map(|confirmed| confirmed.different).collect(),
            counts,
        )
    }
}

fn kinds(different: &[DifferentKey]) -> Vec<(&str, Vec<DifferenceKind>)> {
    let kinds = different
        .iter()
        .map(|different| (different.key.as_str(), different.differences.clone()));
    kinds.collect()
}

#[tokio::test]
async fn differences_are_reported_and_counted() {
    let buckets = Buckets::new();
    buckets.both("a", "one");
    buckets.source.put("b", "one");
    buckets.destination.put("c", "one");
    buckets.source.put("d", "one");
    buckets.destination.put("d", "two");
    let keys = ["a", "b", "c", "d"];
    let (different, counts) = buckets
        .compare(
            rows(&buckets.source, &keys),
            rows(&buckets.destination, &keys),
            DiffDepth::Listing,
        )
        .await;
    assert_eq!(
        kinds(&different),
        [
            ("b", vec![DifferenceKind::MissingAtDestination]),
            ("c", vec![DifferenceKind::ExtraAtDestination]),
            ("d", vec![DifferenceKind::Content]),
        ]
    );
    assert_eq!(
        (counts.source_keys, counts.destination_keys, counts.different_keys),
        (3, 3, 3)
    );
}

#[tokio::test]
async fn changes_during_the_listing_are_no_differences() {
    let buckets = Buckets::new();
    let keys = ["copied", "deleted", "gone everywhere", "rewritten"];
    buckets.source.put("copied", "one");
    buckets.destination.put("deleted", "one");
    buckets.source.put("gone everywhere", "one");
    buckets.source.put("rewritten", "one");
    buckets.destination.put("rewritten", "old");
    let (source, destination) = (rows(&buckets.source, &keys), rows(&buckets.destination, &keys));
    // The replicator reconciles the keys while the listings are read.
    buckets.destination.put("copied", "one");
    buckets.destination.delete("deleted");
    buckets.source.delete("gone everywhere");
    buckets.destination.put("rewritten", "one");
    let (different, counts) = buckets.compare(source, destination, DiffDepth::Listing).await;
    assert_eq!(kinds(&different), []);
    assert_eq!((counts.confirmed_equal, counts.different_keys), (4, 0));
}

/// S3 may answer 404 for a listed object for minutes after versioning was first enabled.
#[tokio::test]
async fn listed_object_that_answers_404_is_not_reported_as_missing() {
    let buckets = Buckets::new();
    buckets.source.put("a", "one");
    buckets.source.hide("a");
    let (different, counts) = buckets
        .compare(rows(&buckets.source, &["a"]), Vec::new(), DiffDepth::Listing)
        .await;
    assert_eq!(counts.confirmed_equal, 0);
    let reason = different.first().and_then(|key| key.reason.as_deref());
    assert!(reason.unwrap().contains("AbsenceUnconfirmed"), "{different:?}");
}

#[tokio::test]
async fn keys_equal_in_both_listings_are_read_only_with_depth_head() {
    let buckets = Buckets::new();
    buckets.both("tags", "one");
    buckets.destination.tag("tags", &[("a", "b")]);
    buckets.both("class", "one");
    buckets
        .destination
        .put_with("class", "one", |facts| facts.storage_class = "GLACIER_IR".into());
    buckets.source.put_with("metadata", "one", |facts| {
        facts.user_metadata.insert("a".into(), "b".into());
    });
    buckets.destination.put("metadata", "one");
    let keys = ["class", "metadata", "tags"];
    let listed = || (rows(&buckets.source, &keys), rows(&buckets.destination, &keys));
    let (source, destination) = listed();
    let (different, counts) = buckets.compare(source, destination, DiffDepth::Listing).await;
    assert_eq!(kinds(&different), []);
    assert_eq!(counts.other_storage_class, 1);
    let (source, destination) = listed();
    let (different, _) = buckets.compare(source, destination, DiffDepth::Head).await;
    assert_eq!(
        kinds(&different),
        [
            ("class", vec![DifferenceKind::StorageClass]),
            ("metadata", vec![DifferenceKind::Metadata]),
            ("tags", vec![DifferenceKind::Tags]),
        ]
    );
}

#[tokio::test]
async fn counts_are_reported_without_findings() {
    let buckets = Buckets::new();
    let keys: Vec<String> = (0..10_000).map(|number| format!("{number:05}")).collect();
    for key in &keys {
        buckets.both(key, "one");
    }
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let found = merged(
        page(rows(&buckets.source, &keys)),
        page(rows(&buckets.destination, &keys)),
        DiffDepth::Listing,
    );
    let found: Vec<MergedPage> = found.try_collect().await.unwrap();
    assert!(found.len() > 2, "progress is reported during the merge");
    assert!(found.iter().all(|merged| merged.finding.is_none()));
    assert_eq!(
        found.iter().map(|merged| merged.counts.source_keys).sum::<u64>(),
        10_000
    );
}

#[tokio::test]
async fn failed_listing_ends_the_comparison() {
    let failure = Failure {
        kind: FailureKind::Permanent,
        code: "AccessDenied".into(),
        action: "s3:ListBucket".into(),
        resource: "arn:aws:s3:::source".into(),
        detail: "no".into(),
    };
    let buckets = Buckets::new();
    buckets.both("a", "one");
    let broken = stream::iter([Ok(rows(&buckets.source, &["a"])), Err(failure.clone())]);
    let mut found = Box::pin(merged(
        broken,
        page(rows(&buckets.destination, &["a"])),
        DiffDepth::Listing,
    ));
    assert_eq!(found.next().await, Some(Err(failure)));
    assert_eq!(found.next().await, None, "nothing is reported equal after a failure");
}
