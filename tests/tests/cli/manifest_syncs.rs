//! `s3ferry sync --manifest`: the keys of a manifest, from this machine.

use s3ferry_testkit::sim::model::bucket::SimVersioning;
use s3ferry_testkit::sim::model::object::WriteAttributes;
use serde_json::{Value, json};

use crate::stage::{DESTINATION, Ran, SOURCE, STATE, Stage, ended};
use crate::syncs::interrupt;

const ODD_KEYS: [&str; 8] = [
    "a b+c%20.txt",
    "ctl\u{1}\u{1f}",
    "日/本",
    "new\nline",
    "trailing ",
    "\"q\",x",
    "\u{ffff}",
    "100%",
];

impl Stage {
    async fn write_manifest(&self) {
        self.on_both("manifest", &["--to", "run.csv"]).await.must_end_with(0);
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder().join(name), text).expect("a file");
    }

    async fn sync_manifest(&self, manifest: &str, more: &[&str]) -> Ran {
        self.on_both("sync", &[&["--manifest", manifest], more].concat()).await
    }
}

fn archived(explicit: &mut WriteAttributes) {
    explicit.storage_class = Some("DEEP_ARCHIVE".to_owned());
}

#[tokio::test(flavor = "multi_thread")]
async fn manifest_in_a_bucket_is_synced_and_no_other_key() {
    let stage = Stage::new().await;
    for key in ODD_KEYS {
        stage.put(SOURCE, key, "one");
    }
    stage.both("equal", "one");
    let manifest = format!("s3://{STATE}/final-sync/run.csv");
    stage.on_both("manifest", &["--to", &manifest]).await.must_end_with(0);
    stage.put(SOURCE, "later", "one");
    stage.put(DESTINATION, "extra", "one");
    stage.server.forget_requests();
    let manifest = format!("s3://{STATE}/final-sync/run-0001.csv");
    let ran = stage
        .sync_manifest(&manifest, &["--state-bucket", STATE])
        .await
        .must_end_with(0);
    let summary = ran.summary();
    assert_eq!(
        (&summary["copied"], &summary["manifest"]["keys"]),
        (&8.into(), &8.into())
    );
    assert_eq!(summary["manifest"]["location"], manifest);
    assert_eq!(stage.objects(DESTINATION), ODD_KEYS.len() + 2);
    // Repeated, it copies nothing.
    stage.server.forget_requests();
    let again = stage.sync_manifest(&manifest, &[]).await.must_end_with(0);
    assert_eq!(again.summary()["found_equal"], 8);
    assert_eq!(stage.server.requests().get("CopyObject"), None);
    let different = stage.on_both("diff", &[]).await.must_end_with(1).differences();
    assert_eq!(different.keys().collect::<Vec<_>>(), ["extra", "later"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn dry_run_of_a_manifest_writes_nothing() {
    let stage = Stage::new().await;
    stage.put(SOURCE, "a", "one");
    stage.write_manifest().await;
    stage.server.forget_requests();
    let ran = stage
        .sync_manifest("run-0001.csv", &["--dry-run"])
        .await
        .must_end_with(0);
    assert_eq!(ran.summary()["would"], json!({ "copy": 1 }));
    assert_eq!(stage.server.requests().get("CopyObject"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_keys_of_a_manifest_are_named_and_the_others_are_copied() {
    let stage = Stage::new().await;
    stage.put(SOURCE, "fine", "one");
    stage.put_with(SOURCE, "archived a+b.txt", "one", archived);
    stage.write_manifest().await;
    let ran = stage
        .sync_manifest("run-0001.csv", &["--failures", "failed.jsonl"])
        .await
        .must_end_with(1);
    let summary = ran.summary();
    assert_eq!((&summary["copied"], &summary["failed"]), (&1.into(), &1.into()));
    let failures = std::fs::read_to_string(stage.folder().join("failed.jsonl")).expect("the file");
    let failure: Value = serde_json::from_str(failures.trim()).expect("one line of JSON");
    assert_eq!(
        (&failure["key"], &failure["code"]),
        (&json!("archived a+b.txt"), &json!("ArchivedNotRestored"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn interrupted_sync_of_a_manifest_is_finished_by_the_same_command() {
    let stage = Stage::with_latency(20).await;
    let keys = 300;
    (0..keys).for_each(|number| stage.put(SOURCE, &format!("{number:04}"), "one"));
    stage.write_manifest().await;
    stage.server.forget_requests();
    let mut arguments = Stage::sides();
    arguments.extend(["--output", "json", "--manifest", "run-0001.csv", "--concurrency", "4"].map(str::to_owned));
    let child = stage.start("sync", &arguments);
    let pid = child.id().expect("it runs");
    stage.until_requested("CopyObject", 10).await;
    interrupt(pid);
    let ran = ended(child).await.must_end_with(130);
    let first = ran.summary()["copied"].as_u64().expect("a count");
    assert!((10..keys).contains(&first), "{first} before the interrupt");
    let second = stage.run("sync", &arguments).await.must_end_with(0);
    assert_eq!(second.summary()["copied"], keys - first);
    assert_eq!(stage.server.requests()["CopyObject"], keys, "nothing is copied twice");
    stage.on_both("diff", &["--depth", "head"]).await.must_end_with(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn copy_with_a_lost_response_is_read_again() {
    let stage = Stage::new().await;
    stage.put(SOURCE, "a", "one");
    stage.write_manifest().await;
    let faults = json!([{ "operation": "CopyObject", "nth": 1, "fault": "lost-response" }]);
    stage.server.set_faults(&faults).expect("rules");
    stage.sync_manifest("run-0001.csv", &[]).await.must_end_with(0);
    stage.server.set_faults(&json!([])).expect("rules");
    stage.on_both("diff", &["--depth", "head"]).await.must_end_with(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_of_equal_objects_are_compared_at_depth_head() {
    let stage = Stage::new().await;
    stage.put_with(SOURCE, "tags", "one", crate::tags("1"));
    stage.put(DESTINATION, "tags", "one");
    stage.write("run.csv", "cli-source,tags\n");
    let ran = stage
        .sync_manifest("run.csv", &["--depth", "head"])
        .await
        .must_end_with(0);
    assert_eq!(ran.summary()["attributes_updated"], 1);
    stage.on_both("diff", &["--depth", "head"]).await.must_end_with(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn manifest_is_synced_with_shared_ownership_and_newer_objects_stay() {
    let stage = Stage::new().await;
    stage.put(SOURCE, "missing", "one");
    stage.put(SOURCE, "newer", "one");
    stage.put(DESTINATION, "newer", "two");
    stage.write("run.csv", "cli-source,missing\ncli-source,newer\n");
    let shared = ["--ownership", "shared", "--state-bucket", STATE];
    let ran = stage.sync_manifest("run.csv", &shared).await.must_end_with(0);
    let summary = ran.summary();
    assert_eq!((&summary["copied"], &summary["conflicts"]), (&1.into(), &1.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_named_by_file_and_number_if_they_are_not_valid() {
    let stage = Stage::new().await;
    for (text, expected) in [
        ("cli-source\n", "run.csv, row 1: the number of columns is 1"),
        ("Bucket,Key\ncli-source,a\n", "row 1: the manifest has a header row"),
        (
            "cli-source,a\ncli-source,b+c\n",
            "row 2: key `b+c` contains an unencoded `+`",
        ),
        (
            "cli-source,a\nelsewhere,b\n",
            "row 2: bucket `elsewhere`, expected `cli-source`",
        ),
        (
            "cli-source,a,v1\ncli-source,b\n",
            "row 2: the row has no version ID, unlike the rows before",
        ),
        ("cli-source,100%\n", "row 1: key `100%` is not URL-encoded"),
        (
            "cli-source,a\rcli-source,b\r",
            "row 1: a carriage return within the row",
        ),
        ("\n\n", "run.csv has no rows"),
    ] {
        stage.write("run.csv", text);
        let ran = stage.sync_manifest("run.csv", &[]).await.must_end_with(3);
        assert!(ran.stderr.contains(expected), "{expected}: {ran:?}");
    }
    let ran = stage.sync_manifest("missing.csv", &[]).await.must_end_with(3);
    assert!(
        ran.stderr.contains("failed to read the manifest missing.csv"),
        "{ran:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn repeated_keys_and_keys_outside_the_prefix_are_skipped_and_counted() {
    let stage = Stage::new().await;
    for key in ["in/a", "in/b", "out/c"] {
        stage.put(SOURCE, key, "one");
    }
    stage.write(
        "run.csv",
        "cli-source,in/a\ncli-source,in/b\ncli-source,in/a\ncli-source,out/c\n",
    );
    let mut arguments = Stage::sides_below("in/");
    arguments.extend(["--output", "json", "--manifest", "run.csv"].map(str::to_owned));
    let ran = stage.run("sync", &arguments).await.must_end_with(0);
    let expected = json!({ "location": "run.csv", "keys": 2, "duplicates": 1, "outside_prefix": 1 });
    assert_eq!(ran.summary()["manifest"], expected);
    assert_eq!(ran.summary()["copied"], 2);
    assert_eq!(stage.objects(DESTINATION), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn row_with_a_version_stands_for_its_key() {
    let stage = Stage::new().await;
    let model = || stage.server.model();
    model()
        .set_versioning(SOURCE, SimVersioning::Suspended)
        .expect("the bucket");
    stage.put(SOURCE, "without", "one");
    model()
        .set_versioning(SOURCE, SimVersioning::Enabled)
        .expect("the bucket");
    stage.put(SOURCE, "with", "one");
    stage
        .on_both("manifest", &["--versions", "--to", "run.csv"])
        .await
        .must_end_with(0);
    let text = std::fs::read_to_string(stage.folder().join("run-0001.csv")).expect("the manifest");
    assert!(text.contains("cli-source,without,null\n"), "{text}");
    // Two versions of one key are one key, and its current version is copied.
    stage.put(SOURCE, "with", "two");
    stage.write("run-0001.csv", &(text + "cli-source,with,other\n"));
    let ran = stage.sync_manifest("run-0001.csv", &[]).await.must_end_with(0);
    let summary = ran.summary();
    assert_eq!(
        (&summary["copied"], &summary["manifest"]["duplicates"]),
        (&2.into(), &1.into())
    );
    stage.on_both("diff", &["--depth", "head"]).await.must_end_with(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn manifest_of_keys_that_neither_bucket_has_is_warned_of() {
    let stage = Stage::new().await;
    stage.write("old.csv", "cli-source,gone\ncli-source,never\n");
    let ran = stage.sync_manifest("old.csv", &[]).await.must_end_with(0);
    assert!(
        ran.stderr.contains("has an object of old.csv: check that the manifest"),
        "{ran:?}"
    );
    stage.put(SOURCE, "there", "one");
    stage.write("old.csv", "cli-source,gone\ncli-source,there\n");
    let ran = stage.sync_manifest("old.csv", &[]).await.must_end_with(0);
    assert!(!ran.stderr.contains("warning"), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn flags_that_select_other_keys_conflict_with_a_manifest() {
    let stage = Stage::new().await;
    for more in [
        &["--delete"][..],
        &["--source-inventory", "manifest.json"],
        &["--destination-inventory", "manifest.json"],
        &["--ownership", "shared", "--state-bucket", STATE, "--adopt"],
    ] {
        let ran = stage.sync_manifest("run.csv", more).await.must_end_with(2);
        assert!(ran.stderr.contains("cannot be used with"), "{ran:?}");
    }
    assert!(stage.server.requests().is_empty(), "nothing was requested of S3");
}

#[tokio::test(flavor = "multi_thread")]
async fn manifest_is_not_emptied_as_the_failures_file() {
    let stage = Stage::new().await;
    stage.put(SOURCE, "a", "one");
    let rows = format!("{SOURCE},a\n");
    stage.write("s3ferry-failures.jsonl", &rows);
    for more in [&[][..], &["--dry-run"], &["--failures", "./s3ferry-failures.jsonl"]] {
        let ran = stage
            .sync_manifest("s3ferry-failures.jsonl", more)
            .await
            .must_end_with(2);
        assert!(
            ran.stderr.contains("--manifest and --failures name the same file"),
            "{ran:?}"
        );
    }
    let left = std::fs::read_to_string(stage.folder().join("s3ferry-failures.jsonl")).expect("a file");
    assert_eq!(left, rows);
    stage.write("run.csv", &rows);
    for more in [
        &["--yes"][..],
        &["--max-delete", "5"],
        &["--allow-empty-source"],
        &["--list-concurrency", "4"],
        &["--sort-memory-mib", "64"],
    ] {
        let ran = stage.sync_manifest("run.csv", more).await.must_end_with(2);
        assert!(ran.stderr.contains("cannot be used with"), "{more:?}: {ran:?}");
    }
}
