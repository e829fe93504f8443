//! Listings that are no plain lists: keys that no XML can carry, and keys that change while they are listed.

use std::time::Duration;

use s3ferry_core::manifest::ManifestReader;
use s3ferry_core::names::BucketName;
use s3ferry_testkit::sim::model::delete::DeleteRequest;
use s3ferry_testkit::sim::model::simulator::WriteTarget;
use s3ferry_testkit::sim::model::synthetic::SyntheticObject;
use s3ferry_tests::waiting::{PollResult, until};

use crate::stage::{DESTINATION, SOURCE, Stage, ended};

/// Characters that XML 1.0 has no spelling for, escapes included.
const UNSPEAKABLE: [&str; 5] = ["\u{1}", "a/\u{8}b", "c\u{1f}/d", "e\u{fffe}", "f\u{ffff}g"];

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_no_xml_carries_are_compared_written_copied_and_deleted() {
    let stage = Stage::new().await;
    for key in UNSPEAKABLE {
        stage.put(SOURCE, key, "one");
    }
    // More than a page, so that a listing goes on behind such a key.
    for number in 0..1_100 {
        stage.both(&format!("b\u{2}{number:04}"), "one");
    }
    let ran = stage.on_both("diff", &[]).await.must_end_with(1);
    let mut found: Vec<String> = ran.differences().into_keys().collect();
    assert_eq!(found, UNSPEAKABLE);
    let ran = stage.on_both("diff", &["--format", "csv"]).await.must_end_with(1);
    for key in UNSPEAKABLE {
        assert!(
            ran.stdout.contains(&format!("\n{key},missing-at-destination,")),
            "{ran:?}"
        );
    }
    stage.on_both("manifest", &["--to", "run.csv"]).await.must_end_with(0);
    let text = std::fs::read_to_string(stage.folder().join("run-0001.csv")).expect("the manifest");
    let mut reader = ManifestReader::new("manifest", Some(BucketName::new(SOURCE).expect("a bucket")));
    let rows = text.lines().map(|line| reader.line(line.as_bytes()).expect("a row"));
    found = rows.flatten().map(|row| row.key.as_str().to_owned()).collect();
    assert_eq!(found, UNSPEAKABLE);
    let ran = stage.on_both("sync", &[]).await.must_end_with(0);
    assert_eq!(ran.summary()["copied"], UNSPEAKABLE.len());
    stage.on_both("diff", &[]).await.must_end_with(0);
    for key in UNSPEAKABLE {
        stage.delete(SOURCE, key);
    }
    let ran = stage.on_both("sync", &["--delete", "--yes"]).await.must_end_with(0);
    assert_eq!(ran.summary()["deleted"], UNSPEAKABLE.len());
    stage.on_both("diff", &[]).await.must_end_with(0);
}

/// How many keys there are; seven pages.
const KEYS: usize = 6_500;

/// Every so many keys are changed at once, all over the listings.
const STRIPE: usize = 50;

/// Changes a stripe of keys, each once and on both sides at the same moment, so that nothing differs before or after.
fn change(stage: &Stage, stripe: usize) {
    let mut model = stage.server.model();
    for number in (stripe..KEYS).step_by(STRIPE) {
        let key = format!("{number:05}");
        for bucket in [SOURCE, DESTINATION] {
            let changed = match number % 3 {
                0 => model
                    .delete_object(WriteTarget { bucket, key: &key }, &DeleteRequest::default())
                    .map(drop),
                1 => model
                    .put_object(WriteTarget { bucket, key: &key }, Stage::plain("another"))
                    .map(drop),
                _ => {
                    let key = format!("{key}-new");
                    let target = WriteTarget { bucket, key: &key };
                    model.put_object(target, Stage::plain("new")).map(drop)
                }
            };
            changed.expect("the bucket takes it");
        }
    }
}

/// Runs a command while keys change under its listings.
async fn under_changes(stage: &Stage, command: &str, more: &[&str]) -> crate::stage::Ran {
    stage.server.forget_requests();
    let mut arguments = Stage::sides();
    arguments.extend(["--output", "json", "--list-concurrency", "1"].map(str::to_owned));
    arguments.extend(more.iter().map(|argument| (*argument).to_owned()));
    let running = tokio::spawn(ended(stage.start(command, &arguments)));
    for stripe in 0..12 {
        until("another page", Duration::from_mins(1), || {
            let pages = stage
                .server
                .requests()
                .get("ListObjectsV2")
                .copied()
                .unwrap_or_default();
            let is_time = pages > stripe || running.is_finished();
            async move { Ok(PollResult::when(is_time, || format!("{pages} pages"))) }
        })
        .await
        .expect("it lists");
        change(stage, usize::try_from(stripe).expect("few stripes"));
    }
    running.await.expect("it ends")
}

fn filled(stage: &Stage) {
    for number in 0..KEYS {
        stage.both(&format!("{number:05}"), "one");
    }
    stage.put(SOURCE, "03000-missing", "one");
    stage.put(DESTINATION, "03001-extra", "one");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_change_while_they_are_listed_are_no_differences() {
    let stage = Stage::with_latency(10).await;
    filled(&stage);
    let ran = under_changes(&stage, "diff", &[]).await.must_end_with(1);
    let found: Vec<String> = ran.differences().into_keys().collect();
    assert_eq!(found, ["03000-missing", "03001-extra"], "{}", ran.summary());
}

#[tokio::test(flavor = "multi_thread")]
async fn sync_under_changes_leaves_nothing_that_the_next_does_not_find() {
    let stage = Stage::with_latency(10).await;
    filled(&stage);
    let ran = under_changes(&stage, "sync", &["--delete", "--yes"])
        .await
        .must_end_with(0);
    let summary = ran.summary();
    assert_eq!(
        (&summary["deleted"], &summary["failed"]),
        (&1.into(), &0.into()),
        "{summary}"
    );
    stage.on_both("sync", &["--delete", "--yes"]).await.must_end_with(0);
    stage.on_both("diff", &[]).await.must_end_with(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn overwrite_of_metadata_alone_is_found() {
    let stage = Stage::new().await;
    // The same bytes, a second later, and of another type.
    for (bucket, content_type, last_modified) in [(DESTINATION, "text/plain", 1_000), (SOURCE, "text/html", 2_000)] {
        let mut object = SyntheticObject {
            size_bytes: 5,
            last_modified: Some(last_modified),
            ..SyntheticObject::default()
        };
        object.explicit.headers.content_type = Some(content_type.to_owned());
        let target = WriteTarget { bucket, key: "a" };
        let written = stage.server.model().put_synthetic(target, &object);
        written.expect("the object is written");
    }
    stage.both("b", "one");
    let ran = stage.on_both("diff", &[]).await.must_end_with(1);
    assert_eq!(ran.differences()["a"], ["metadata"]);
    assert_eq!(ran.differences().len(), 1);
    stage.on_both("diff", &["--unconfirmed"]).await.must_end_with(0);
    let ran = stage.on_both("sync", &[]).await.must_end_with(0);
    assert_eq!(ran.summary()["copied"], 1);
    stage.on_both("diff", &["--depth", "head"]).await.must_end_with(0);
}
