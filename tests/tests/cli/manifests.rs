//! `s3ferry manifest`.

use s3ferry_core::manifest::{ManifestReader, ManifestRow};
use s3ferry_core::names::BucketName;
use s3ferry_testkit::sim::model::object::{SimEncryption, WriteAttributes};
use s3ferry_tests::SOURCE_REGION;

use crate::proxy::{Head, proxy, run};
use crate::stage::{DESTINATION, SOURCE, STATE, Stage};

fn read(text: &str) -> Vec<ManifestRow> {
    let mut reader = ManifestReader::new("manifest", Some(BucketName::new(SOURCE).expect("a bucket")));
    let rows = text.lines().map(|line| reader.line(line.as_bytes()).expect("a row"));
    rows.flatten().collect()
}

fn of_source(more: &[&str]) -> Vec<String> {
    let source = format!("s3://{SOURCE}");
    let arguments = [
        "--source",
        &source,
        "--source-region",
        SOURCE_REGION,
        "--output",
        "json",
    ];
    arguments
        .iter()
        .chain(more)
        .map(|argument| (*argument).to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn all_keys_are_written_encoded_and_split() {
    let stage = Stage::new().await;
    let mut keys = [
        "a b+c%20.txt",
        "ctl\u{1}",
        "new\nline",
        "x,\"q\"",
        "\u{ffff}",
        "\u{10000}",
        "日",
    ];
    for key in &keys {
        stage.put(SOURCE, key, "one");
    }
    keys.sort_unstable();
    let ran = stage
        .run("manifest", &of_source(&["--rows-per-file", "3", "--to", "run.csv"]))
        .await
        .must_end_with(0);
    let rows: Vec<u64> = ran
        .json()
        .iter()
        .filter(|line| line["type"] == "manifest")
        .filter_map(|line| line["rows"].as_u64())
        .collect();
    assert_eq!(rows, [3, 3, 1]);
    let mut found = Vec::new();
    for number in 1..=3 {
        let path = stage.folder().join(format!("run-000{number}.csv"));
        let text = std::fs::read_to_string(path).expect("the manifest");
        assert!(!text.contains(['+', ' ', '"']), "{text}");
        found.extend(read(&text).into_iter().map(|row| row.key.as_str().to_owned()));
    }
    assert_eq!(found, keys);
}

#[tokio::test(flavor = "multi_thread")]
async fn classes_go_to_manifests_of_their_own() {
    let stage = Stage::new().await;
    stage.put(SOURCE, "plain", "one");
    let class =
        |class: &'static str| move |explicit: &mut WriteAttributes| explicit.storage_class = Some(class.to_owned());
    stage.put_with(SOURCE, "archived", "one", class("GLACIER"));
    stage.put_with(SOURCE, "infrequent", "one", class("STANDARD_IA"));
    stage.put_with(SOURCE, "customer's", "one", |explicit| {
        explicit.encryption = Some(SimEncryption::Customer {
            key_md5: "a".to_owned(),
        });
    });
    stage.put_with(SOURCE, "redirect", "one", |explicit| {
        explicit.website_redirect = Some("/other".to_owned());
    });
    stage
        .run("manifest", &of_source(&["--by-class", "--to", "run.csv"]))
        .await
        .must_end_with(0);
    let keys = |class: &str| {
        let text = std::fs::read_to_string(stage.folder().join(format!("run-{class}-0001.csv"))).expect("the manifest");
        read(&text)
            .into_iter()
            .map(|row| row.key.as_str().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(keys("plain"), ["plain"]);
    assert_eq!(keys("large-or-rich"), ["infrequent", "redirect"]);
    assert_eq!(keys("archived"), ["archived"]);
    let reasons = std::fs::read_to_string(stage.folder().join("run-not-copyable-0001.jsonl")).expect("the reasons");
    assert!(
        reasons.contains("customer's") && reasons.contains("CustomerKeyEncrypted"),
        "{reasons}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn differences_are_uploaded_with_their_tag() {
    let stage = Stage::new().await;
    stage.both("equal", "one");
    stage.put(SOURCE, "missing", "one");
    stage.put(DESTINATION, "extra", "one");
    let to = format!("s3://{STATE}/manifests/run.csv");
    let ran = stage
        .on_both("manifest", &["--versions", "--to", &to])
        .await
        .must_end_with(0);
    let lines = ran.json();
    assert_eq!(lines[0]["location"], format!("s3://{STATE}/manifests/run-0001.csv"));
    assert_eq!(lines[0]["rows"], 1);
    assert!(lines[0]["etag"].is_string(), "{lines:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn unreadable_objects_are_listed_separately() {
    for (flag, written) in [("--versions", "run-0001.csv"), ("--by-class", "run-plain-0001.csv")] {
        let stage = Stage::new().await;
        stage.put(SOURCE, "fine", "one");
        stage.put(SOURCE, " ", "one");
        let ran = stage.run("manifest", &of_source(&[flag, "--to", "run.csv"])).await;
        let ran = ran.must_end_with(1);
        assert!(ran.stderr.contains("1 object(s) could not be read"), "{ran:?}");
        assert_eq!(ran.summary()["unread"], 1);
        let text = std::fs::read_to_string(stage.folder().join(written)).expect("the manifest");
        let keys: Vec<_> = read(&text).into_iter().map(|row| row.key).collect();
        assert_eq!(keys.len(), 1, "{text}");
        assert_eq!(keys[0].as_str(), "fine");
        let reasons = stage.folder().join("run-not-copyable-0001.jsonl");
        let reasons = std::fs::read_to_string(reasons).expect("the reasons");
        assert!(reasons.contains("RequestNotMade"), "{reasons}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_an_earlier_run_are_named() {
    for folder in ["", &format!("s3://{STATE}/manifests/")] {
        let stage = Stage::new().await;
        (0..4).for_each(|number| stage.put(SOURCE, &format!("{number}"), "one"));
        let to = format!("{folder}run.csv");
        let run = async |rows: &str| {
            stage
                .run("manifest", &of_source(&["--rows-per-file", rows, "--to", &to]))
                .await
        };
        run("2").await.must_end_with(0);
        // The same files again are the same manifest.
        run("2").await.must_end_with(0);
        if folder.is_empty() {
            let ran = run("10").await.must_end_with(0);
            assert_eq!(ran.summary()["files"], 1);
            assert!(!stage.folder().join("run-0002.csv").exists(), "{ran:?}");
            continue;
        }
        let ran = run("10").await.must_end_with(3);
        assert_eq!(ran.summary()["files"], 1);
        let left = format!("{folder}run-0002.csv");
        assert!(
            ran.stderr.contains(&format!("with the same name remain: {left}\n")),
            "{ran:?}"
        );
        assert!(ran.stderr.contains("next: delete them"), "{ran:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_an_earlier_run_do_not_outlive_a_run_that_fails() {
    let stage = Stage::new().await;
    (0..4).for_each(|number| stage.put(SOURCE, &format!("{number}"), "one"));
    let written = || {
        let entries = std::fs::read_dir(stage.folder()).expect("the folder");
        let names = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
        names.filter(|name| name.starts_with("run")).collect::<Vec<_>>()
    };
    let arguments = of_source(&["--rows-per-file", "1", "--to", "run.csv"]);
    stage.run("manifest", &arguments).await.must_end_with(0);
    assert_eq!(written().len(), 4);
    let expired = |head: &Head| {
        let is_last = head.is_of_object() && head.target().contains("/3");
        is_last.then(|| head.refused(400, "ExpiredToken"))
    };
    let endpoint = proxy(&stage, expired).await;
    let arguments = of_source(&["--rows-per-file", "1", "--versions", "--to", "run.csv"]);
    let ran = run(&stage, &endpoint, "manifest", &arguments).await.must_end_with(3);
    assert_eq!(written(), [""; 0], "{ran:?}");
    let mut nowhere = Stage::sides();
    nowhere[1] = "s3://cli-nowhere".to_owned();
    nowhere.extend(["--to", "run.csv"].map(str::to_owned));
    std::fs::write(stage.folder().join("run-0001.csv"), "old").expect("a file");
    stage.run("manifest", &nowhere).await.must_end_with(3);
    assert_eq!(written(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn unwritable_path_ends_the_command_before_any_request() {
    let stage = Stage::new().await;
    stage.put(SOURCE, "a", "one");
    stage.server.forget_requests();
    let ran = stage.run("manifest", &of_source(&["--to", "missing/run.csv"])).await;
    let ran = ran.must_end_with(3);
    assert!(ran.stderr.contains("missing"), "{ran:?}");
    assert!(stage.server.requests().is_empty(), "{:?}", stage.server.requests());
}

#[tokio::test(flavor = "multi_thread")]
async fn manifest_of_nothing_warns_of_a_mistyped_location() {
    let stage = Stage::new().await;
    let warning = format!("warning: s3://{SOURCE}/ has no objects");
    for deep in [&[][..], &["--depth", "head"]] {
        let ran = stage.on_both("manifest", &[&["--to", "run.csv"], deep].concat()).await;
        assert!(ran.must_end_with(0).stderr.contains(&warning));
    }
    let ran = stage.run("manifest", &of_source(&["--to", "run.csv"])).await;
    assert!(ran.must_end_with(0).stderr.contains(&warning));
    // Two equal sides are another thing.
    stage.both("a", "one");
    let ran = stage.on_both("manifest", &["--to", "run.csv"]).await.must_end_with(0);
    assert!(!ran.stderr.contains("warning"), "{ran:?}");
}
