//! The command line against the simulator: what it finds, copies, writes and refuses.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a broken expectation is a failed test"
)]

mod adoption;
mod attributes;

mod credentials;
mod cutover;
mod deletes;
mod denials;
mod emulators;
mod inventories;
mod jobs;
mod listings;
mod manifest_syncs;
mod manifests;
mod migration_files;
mod preflight;
mod profiles;
mod proxy;
mod refusals;
mod shared;
mod stage;
mod status;
mod syncs;
mod uploads;
mod verify;

use s3ferry_testkit::sim::model::object::WriteAttributes;

use self::stage::{DESTINATION, SOURCE, Stage};

fn metadata(value: &'static str) -> impl FnOnce(&mut WriteAttributes) {
    move |explicit| {
        explicit.metadata.insert("a".to_owned(), value.to_owned());
    }
}

fn tags(value: &'static str) -> impl FnOnce(&mut WriteAttributes) {
    move |explicit| {
        explicit.tags.insert("a".to_owned(), value.to_owned());
    }
}

/// Buckets that differ in every known way, each in an object of its own.
async fn differing() -> Stage {
    let stage = Stage::new().await;
    stage.both("equal", "one");
    stage.put(SOURCE, "missing", "one");
    stage.put(DESTINATION, "extra", "one");
    stage.put(SOURCE, "size", "longer");
    stage.put(DESTINATION, "size", "one");
    stage.put(SOURCE, "content", "one");
    stage.put(DESTINATION, "content", "two");
    stage.put_with(SOURCE, "metadata", "one", metadata("1"));
    stage.put_with(DESTINATION, "metadata", "one", metadata("2"));
    stage.put_with(SOURCE, "tags", "one", tags("1"));
    stage.put_with(DESTINATION, "tags", "one", tags("2"));
    stage.put(SOURCE, "class", "one");
    stage.put_with(DESTINATION, "class", "one", |explicit| {
        explicit.storage_class = Some("STANDARD_IA".to_owned());
    });
    stage
}

#[tokio::test(flavor = "multi_thread")]
async fn diff_finds_more_at_depth_head_than_at_depth_listing() {
    let stage = differing().await;
    let shallow = stage.on_both("diff", &[]).await.must_end_with(1);
    let one = |kind: &str| vec![kind.to_owned()];
    let mut expected = std::collections::BTreeMap::from([
        ("missing".to_owned(), one("missing-at-destination")),
        ("extra".to_owned(), one("extra-at-destination")),
        ("size".to_owned(), one("size")),
        ("content".to_owned(), one("content")),
    ]);
    assert_eq!(shallow.differences(), expected);
    assert_eq!(shallow.summary()["other_storage_class"], 1);
    let deep = stage.on_both("diff", &["--depth", "head"]).await.must_end_with(1);
    expected.extend([
        ("metadata".to_owned(), one("metadata")),
        ("tags".to_owned(), one("tags")),
        ("class".to_owned(), one("storage-class")),
    ]);
    assert_eq!(deep.differences(), expected);
    let summary = deep.summary();
    assert_eq!((&summary["source_keys"], &summary["equal"]), (&7.into(), &false.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn equal_buckets_end_with_0_and_say_so() {
    let stage = Stage::new().await;
    for key in [
        "a b+c%20.txt",
        "ctl\u{1}\u{1f}",
        "日/本",
        "new\nline",
        "trailing ",
        "\"q\",x",
        "\u{ffff}",
        "\u{10000}",
    ] {
        stage.both(key, "one");
    }
    let ran = stage.on_both("diff", &["--depth", "head"]).await.must_end_with(0);
    assert_eq!(ran.summary()["equal"], true);
    let ran = stage.run("diff", &Stage::sides()).await.must_end_with(0);
    assert!(ran.stdout.ends_with("\nequal\n"), "{ran:?}");
    assert_eq!(ran.stderr, "", "nothing to complain about");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_keys_below_the_prefix_are_compared() {
    let stage = Stage::new().await;
    stage.put(SOURCE, "images/a", "one");
    stage.put(SOURCE, "texts/a", "one");
    let mut arguments = Stage::sides_below("images/");
    arguments.extend(["--format", "csv"].map(str::to_owned));
    let ran = stage.run("diff", &arguments).await.must_end_with(1);
    let rows: Vec<&str> = ran.stdout.lines().collect();
    assert_eq!(rows.len(), 2, "{ran:?}");
    assert!(rows[1].starts_with("images/a,missing-at-destination,3,,"), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_keys_are_listed_concurrently_and_none_is_missed() {
    let stage = Stage::new().await;
    let keys = 12_345;
    for number in 0..keys {
        let key = format!("{}/{:05}", number % 7, number);
        stage.put(SOURCE, &key, "one");
        if number % 1_000 != 0 {
            stage.put(DESTINATION, &key, "one");
        }
    }
    stage.server.forget_requests();
    let ran = stage.on_both("diff", &["--unconfirmed"]).await.must_end_with(1);
    assert_eq!(ran.differences().len(), 13);
    let summary = ran.summary();
    assert_eq!(summary["source_keys"], keys);
    assert_eq!(summary["destination_keys"], keys - 13);
    let listings = stage.server.requests()["ListObjectsV2"];
    // How often a listing is cut depends on which requests are waited for.
    assert!(listings <= 6 * 26, "{listings} listing requests for 26 pages");
}
