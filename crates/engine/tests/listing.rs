//! Concurrent listings return every key once and in order, with few requests and in little time.
#![expect(clippy::unwrap_used, reason = "a failed expectation fails the test")]
#![expect(clippy::disallowed_methods, reason = "the clock of the tests is paused")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _};
use proptest::prelude::*;
use s3ferry_core::failure::{Failure, FailureCode, FailureKind};
use s3ferry_core::listing::{ListedObject, StorageClassName};
use s3ferry_core::names::{ETag, ObjectKey};
use s3ferry_core::time::Timestamp;
use s3ferry_engine::listing::{ListingPage, ObjectListing, PrefetchLimits, in_order};
use s3ferry_testkit::listing::MemoryListing;

const LATENCY: Duration = Duration::from_millis(100);

fn row(key: &str) -> ListedObject {
    ListedObject {
        key: ObjectKey::from_raw(key).unwrap(),
        size_bytes: 1,
        etag: Some(ETag::new("aa").unwrap()),
        last_modified: Timestamp::from_seconds(0),
        storage_class: StorageClassName::new("STANDARD"),
    }
}

fn listing(keys: impl IntoIterator<Item = String>, page_size: usize) -> MemoryListing {
    MemoryListing::new(keys.into_iter().map(|key| row(&key)), page_size).with_latency(LATENCY)
}

async fn keys(listing: &MemoryListing, prefix: &str, limits: PrefetchLimits) -> Vec<String> {
    let pages = in_order(Arc::new(listing.clone()), prefix.to_owned(), limits);
    let pages: Vec<Vec<ListedObject>> = pages.try_collect().await.unwrap();
    pages
        .into_iter()
        .flatten()
        .map(|row| row.key.as_str().to_owned())
        .collect()
}

/// Lists all keys of a shape, and returns the number of requests and the duration in latencies.
async fn figures(keys_of_shape: Vec<String>) -> (u64, u128) {
    let mut expected = keys_of_shape.clone();
    expected.sort();
    let listing = listing(keys_of_shape, 100);
    let started = tokio::time::Instant::now();
    assert_eq!(keys(&listing, "", PrefetchLimits::default()).await, expected);
    (listing.requests(), started.elapsed().as_millis() / LATENCY.as_millis())
}

#[tokio::test(start_paused = true)]
async fn long_listing_takes_few_extra_requests_and_a_fraction_of_the_time() {
    let hash = |number: u64| number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let shapes: [(&str, Vec<String>); 5] = [
        (
            "numbered",
            (0..50_000).map(|number| format!("log-{number:08}")).collect(),
        ),
        (
            "hashed",
            (0..50_000).map(|number| format!("{:016x}", hash(number))).collect(),
        ),
        (
            "many small folders",
            (0..50_000)
                .map(|number| format!("user{:05}/photo{}", number / 10, number % 10))
                .collect(),
        ),
        (
            "few large folders",
            (0..50_000)
                .map(|number| format!("{:02}/img{:06}.jpg", number / 5_000, number % 5_000))
                .collect(),
        ),
        (
            "folders of unlike sizes",
            (0..50_000)
                .map(|number| format!("d{:03}/{:06}", (f64::from(number)).sqrt().round(), number))
                .collect(),
        ),
    ];
    for (shape, keys) in shapes {
        let pages = 500;
        let (requests, latencies) = figures(keys).await;
        println!("{shape}: {requests} requests, {latencies} latencies for {pages} pages");
        assert!(
            requests <= pages * 5 / 2,
            "{shape}: {requests} requests for {pages} pages"
        );
        assert!(
            latencies * 5 / 2 <= u128::from(pages),
            "{shape}: {latencies} latencies for {pages} pages"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn prefix_limits_the_listing() {
    let listing = listing(["a", "b/1", "b/2", "b0", "c"].map(str::to_owned), 1);
    assert_eq!(keys(&listing, "b/", PrefetchLimits::default()).await, ["b/1", "b/2"]);
    assert_eq!(keys(&listing, "z", PrefetchLimits::default()).await, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn listing_prefetches_no_more_pages_than_the_limit() {
    let listing = listing((0..20_000).map(|number| format!("{number:08}")), 100);
    let limits = PrefetchLimits {
        concurrency: 8,
        pages: 12,
    };
    let mut pages = Box::pin(in_order(Arc::new(listing.clone()), String::new(), limits));
    let mut taken = 0;
    while let Some(page) = pages.next().await {
        taken += page.unwrap().len();
        // The consumer pauses: no pages beyond the limit may be requested meanwhile.
        tokio::time::sleep(LATENCY * 10).await;
        let ahead = listing.requests() - u64::try_from(taken / 100).unwrap();
        assert!(ahead <= 4 * 12, "{ahead} pages ahead after {taken} keys");
    }
    assert_eq!(taken, 20_000);
}

#[tokio::test(start_paused = true)]
async fn failure_ends_the_listing_and_is_returned() {
    #[derive(Debug)]
    struct Failing;
    impl ObjectListing for Failing {
        async fn page(&self, _: &str, after: Option<&str>) -> Result<ListingPage, Failure> {
            if after.is_none() {
                return Ok(ListingPage {
                    objects: vec![row("a")],
                    more: true,
                });
            }
            Err(Failure {
                kind: FailureKind::Permanent,
                code: "AccessDenied".into(),
                action: "s3:ListBucket".into(),
                resource: "arn:aws:s3:::source".into(),
                detail: "no".into(),
            })
        }
    }
    let mut pages = Box::pin(in_order(Arc::new(Failing), String::new(), PrefetchLimits::default()));
    assert!(pages.next().await.unwrap().is_ok());
    assert_eq!(pages.next().await.unwrap().unwrap_err().code, FailureCode::AccessDenied);
    assert!(pages.next().await.is_none());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_key_is_listed_once_and_in_order(
        keys_given in prop::collection::btree_set("[ab/0-3é\u{ffff}\u{10000}]{1,6}", 0..300),
        prefix in "[ab]{0,1}",
        page_size in 1usize..40,
        concurrency in 1usize..12,
        pages in 1usize..20,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let listing = listing(keys_given.clone(), page_size);
        let found = runtime.block_on(keys(&listing, &prefix, PrefetchLimits { concurrency, pages }));
        let expected: Vec<String> = keys_given.into_iter().filter(|key| key.starts_with(&prefix)).collect();
        prop_assert_eq!(&found.iter().cloned().collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>(), &expected);
        prop_assert_eq!(found, expected);
    }
}
