//! Two listings are merged, and what looks different is settled by what both buckets say now.
#![expect(clippy::unwrap_used, reason = "a broken expectation is a failed test")]

use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use s3ferry_core::diff::{DiffCounts, DiffDepth, DifferenceKind, DifferentKey};
use s3ferry_core::failure::{Failure, FailureKind};
use s3ferry_core::listing::{ListedObject, StorageClassName};
use s3ferry_core::names::ObjectKey;
use s3ferry_core::time::Timestamp;
use s3ferry_engine::diff::{ConfirmedPage, DifferenceConfirmer, MergedPage, attributes_at, merged};
use s3ferry_testkit::memory::{MemoryBucket, MemoryDestination};

/// What a bucket lists now.
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

struct World {
    source: MemoryBucket,
    destination: MemoryBucket,
}

impl World {
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

    /// Compares what was listed with what is there now.
    async fn compare(
        &self,
        source: Vec<ListedObject>,
        destination: Vec<ListedObject>,
        depth: DiffDepth,
    ) -> (Vec<DifferentKey>, DiffCounts) {
        let settler = DifferenceConfirmer {
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
        let found = Arc::new(settler).confirm_all(merged(page(source), page(destination), depth));
        let found: Vec<ConfirmedPage> = found.try_collect().await.unwrap();
        let mut counts = DiffCounts::default();
        for settled in &found {
            counts.add(&settled.counts);
        }
        (
            found.into_iter().filter_map(|settled| settled.different).collect(),
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
async fn what_differs_is_named_and_counted() {
    let world = World::new();
    world.both("a", "one");
    world.source.put("b", "one");
    world.destination.put("c", "one");
    world.source.put("d", "one");
    world.destination.put("d", "two");
    let keys = ["a", "b", "c", "d"];
    let (different, counts) = world
        .compare(
            rows(&world.source, &keys),
            rows(&world.destination, &keys),
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
async fn what_changed_under_the_listing_is_no_difference() {
    let world = World::new();
    let keys = ["copied", "deleted", "gone everywhere", "rewritten"];
    world.source.put("copied", "one");
    world.destination.put("deleted", "one");
    world.source.put("gone everywhere", "one");
    world.source.put("rewritten", "one");
    world.destination.put("rewritten", "old");
    let (source, destination) = (rows(&world.source, &keys), rows(&world.destination, &keys));
    // The replicator does its work while the listings are read.
    world.destination.put("copied", "one");
    world.destination.delete("deleted");
    world.source.delete("gone everywhere");
    world.destination.put("rewritten", "one");
    let (different, counts) = world.compare(source, destination, DiffDepth::Listing).await;
    assert_eq!(kinds(&different), []);
    assert_eq!((counts.confirmed_equal, counts.different_keys), (4, 0));
}

/// S3 may answer 404 for an object that its listing names, for minutes after versioning was first enabled.
#[tokio::test]
async fn object_that_is_listed_and_answers_404_is_not_taken_for_gone() {
    let world = World::new();
    world.source.put("a", "one");
    world.source.hide("a");
    let (different, counts) = world
        .compare(rows(&world.source, &["a"]), Vec::new(), DiffDepth::Listing)
        .await;
    assert_eq!(counts.confirmed_equal, 0);
    let reason = different.first().and_then(|key| key.reason.as_deref());
    assert!(reason.unwrap().contains("AbsenceUnconfirmed"), "{different:?}");
}

#[tokio::test]
async fn keys_equal_in_both_listings_are_read_only_with_depth_head() {
    let world = World::new();
    world.both("tags", "one");
    world.destination.tag("tags", &[("a", "b")]);
    world.both("class", "one");
    world
        .destination
        .put_with("class", "one", |facts| facts.storage_class = "GLACIER_IR".into());
    world.source.put_with("metadata", "one", |facts| {
        facts.user_metadata.insert("a".into(), "b".into());
    });
    world.destination.put("metadata", "one");
    let keys = ["class", "metadata", "tags"];
    let listed = || (rows(&world.source, &keys), rows(&world.destination, &keys));
    let (source, destination) = listed();
    let (different, counts) = world.compare(source, destination, DiffDepth::Listing).await;
    assert_eq!(kinds(&different), []);
    assert_eq!(counts.other_storage_class, 1);
    let (source, destination) = listed();
    let (different, _) = world.compare(source, destination, DiffDepth::Deep).await;
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
async fn counts_come_without_findings_too() {
    let world = World::new();
    let keys: Vec<String> = (0..10_000).map(|number| format!("{number:05}")).collect();
    for key in &keys {
        world.both(key, "one");
    }
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let found = merged(
        page(rows(&world.source, &keys)),
        page(rows(&world.destination, &keys)),
        DiffDepth::Listing,
    );
    let found: Vec<MergedPage> = found.try_collect().await.unwrap();
    assert!(found.len() > 2, "progress is told on the way");
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
    let world = World::new();
    world.both("a", "one");
    let broken = stream::iter([Ok(rows(&world.source, &["a"])), Err(failure.clone())]);
    let mut found = Box::pin(merged(
        broken,
        page(rows(&world.destination, &["a"])),
        DiffDepth::Listing,
    ));
    assert_eq!(found.next().await, Some(Err(failure)));
    assert_eq!(found.next().await, None, "nothing is reported equal after a failure");
}
