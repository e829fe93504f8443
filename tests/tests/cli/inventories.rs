//! S3 Inventory reports in place of listings, good ones and bad ones.

use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use md5::{Digest as _, Md5};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use s3ferry_testkit::sim::model::content::SimContent;
use s3ferry_testkit::sim::model::put::PutRequest;
use s3ferry_testkit::sim::model::simulator::WriteTarget;
use s3ferry_tests::waiting::{PollResult, until};
use serde_json::{Value, json};

use crate::stage::{DESTINATION, Ran, SOURCE, STATE, Stage, ended};
use crate::syncs::interrupt;

const COLUMNS: &str = "Bucket, Key, VersionId, IsLatest, IsDeleteMarker, Size, LastModifiedDate, ETag, StorageClass, \
                       EncryptionStatus, Flavour";

/// 2026-11-22T01:00:00Z
const CREATED_MILLIS: &str = "1795309200000";

/// One row of a report, as an ordinary current object has it.
struct Row {
    bucket: &'static str,
    key: String,
    content: String,
    is_latest: bool,
    encryption: &'static str,
}

fn row(bucket: &'static str, key: &str, content: &str) -> Row {
    Row {
        bucket,
        key: key.to_owned(),
        content: content.to_owned(),
        is_latest: true,
        encryption: "SSE-S3",
    }
}

impl Row {
    fn line(&self) -> String {
        let key = utf8_percent_encode(&self.key, NON_ALPHANUMERIC)
            .to_string()
            .replace("%20", "+");
        let values = [
            self.bucket,
            &key,
            "v1",
            &self.is_latest.to_string(),
            "false",
            &self.content.len().to_string(),
            "2026-11-20T00:00:00.000Z",
            &hex_md5(self.content.as_bytes()),
            "STANDARD",
            self.encryption,
            "sweet",
        ];
        values.map(|value| format!("\"{value}\"")).join(",") + "\n"
    }
}

fn hex_md5(content: &[u8]) -> String {
    format!("{:032x}", u128::from_be_bytes(Md5::digest(content).into()))
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).expect("memory takes everything");
    encoder.finish().expect("memory takes everything")
}

/// A report of one bucket.
struct Report {
    manifest: Value,
    files: Vec<(String, Vec<u8>)>,
}

impl Report {
    /// Makes a report with a file for every slice of rows.
    fn of(bucket: &str, files: &[&[Row]]) -> Self {
        let texts: Vec<String> = files.iter().map(|rows| rows.iter().map(Row::line).collect()).collect();
        Self::of_texts(bucket, COLUMNS, &texts)
    }

    fn of_texts(bucket: &str, columns: &str, texts: &[String]) -> Self {
        Self::of_files(bucket, columns, texts.iter().map(|text| gzip(text)).collect())
    }

    fn of_files(bucket: &str, columns: &str, contents: Vec<Vec<u8>>) -> Self {
        let files: Vec<(String, Vec<u8>)> = contents
            .into_iter()
            .enumerate()
            .map(|(number, content)| (format!("reports/{bucket}/daily/data/{number}.csv.gz"), content))
            .collect();
        let listed: Vec<Value> = files
            .iter()
            .map(|(key, content)| json!({ "key": key, "size": content.len(), "MD5checksum": hex_md5(content) }))
            .collect();
        let manifest = json!({
            "sourceBucket": bucket,
            "destinationBucket": format!("arn:aws:s3:::{STATE}"),
            "version": "2016-11-30",
            "creationTimestamp": CREATED_MILLIS,
            "fileFormat": "CSV",
            "fileSchema": columns,
            "files": listed,
        });
        Self { manifest, files }
    }

    fn manifest_key(&self) -> String {
        let bucket = self.manifest["sourceBucket"].as_str().expect("a bucket");
        format!("reports/{bucket}/daily/2026-11-22T01-00Z/manifest.json")
    }

    fn objects(&self) -> Vec<(String, Vec<u8>)> {
        let manifest = (self.manifest_key(), self.manifest.to_string().into_bytes());
        self.files.iter().cloned().chain([manifest]).collect()
    }

    /// Writes the report into the state bucket and returns where its manifest is.
    fn put(&self, stage: &Stage) -> String {
        for (key, content) in self.objects() {
            let put = PutRequest {
                content: SimContent::from(content),
                ..PutRequest::default()
            };
            let written = stage.server.model().put_object(
                WriteTarget {
                    bucket: STATE,
                    key: &key,
                },
                put,
            );
            written.expect("the object is written");
        }
        format!("s3://{STATE}/{}", self.manifest_key())
    }

    /// Writes the report into a folder and returns where its manifest is.
    fn save(&self, stage: &Stage) -> PathBuf {
        for (key, content) in self.objects() {
            let path = stage.folder().join("copy").join(key);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("the folder is made");
            std::fs::write(path, content).expect("the file is written");
        }
        stage.folder().join("copy").join(self.manifest_key())
    }
}

fn source_of(keys: &[(&str, &str)]) -> Report {
    let rows: Vec<Row> = keys.iter().map(|(key, content)| row(SOURCE, key, content)).collect();
    let (one, other) = rows.split_at(rows.len() / 2);
    // The order of files and rows means nothing.
    Report::of(SOURCE, &[other, one])
}

/// Keys that differ, of a report that is equal to the buckets.
fn fill(stage: &Stage) -> (Report, Report) {
    stage.both("a b+c%.txt", "equal");
    stage.both("ctl\u{1}", "equal");
    stage.put(SOURCE, "missing", "one");
    stage.put(DESTINATION, "extra", "one");
    stage.put(SOURCE, "changed", "one");
    stage.put(DESTINATION, "changed", "two");
    let source = source_of(&[
        ("missing", "one"),
        ("changed", "one"),
        ("ctl\u{1}", "equal"),
        ("a b+c%.txt", "equal"),
    ]);
    let destination = Report::of(
        DESTINATION,
        &[&[
            row(DESTINATION, "extra", "one"),
            row(DESTINATION, "ctl\u{1}", "equal"),
            row(DESTINATION, "a b+c%.txt", "equal"),
            row(DESTINATION, "changed", "two"),
        ]],
    );
    (source, destination)
}

async fn diff(stage: &Stage, more: &[&str]) -> Ran {
    stage.on_both("diff", more).await
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_stand_for_listings_on_either_side_or_both() {
    let stage = Stage::new().await;
    let (source, destination) = fill(&stage);
    let local = source.save(&stage).display().to_string();
    let (source, destination) = (source.put(&stage), destination.put(&stage));
    let listed = diff(&stage, &[]).await.must_end_with(1).differences();
    assert_eq!(listed.len(), 3, "{listed:?}");
    for (given, listings) in [
        (vec!["--source-inventory", &source], 1),
        (vec!["--source-inventory", &local], 1),
        (vec!["--destination-inventory", &destination], 1),
        (
            vec!["--source-inventory", &source, "--destination-inventory", &destination],
            0,
        ),
    ] {
        stage.server.forget_requests();
        let ran = diff(&stage, &given).await.must_end_with(1);
        assert_eq!(ran.differences(), listed, "{given:?}");
        let requests = stage.server.requests();
        let made = requests.get("ListObjectsV2").copied().unwrap_or_default();
        assert_eq!(made, listings, "{given:?}: {requests:?}");
        let ran = diff(&stage, &[&given[..], &["--unconfirmed"]].concat()).await;
        assert_eq!(ran.must_end_with(1).differences(), listed, "{given:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn summary_names_the_age_of_a_report_and_its_skipped_rows() {
    let stage = Stage::new().await;
    stage.both("images/a", "one");
    let old = Row {
        is_latest: false,
        ..row(SOURCE, "images/a", "old")
    };
    let rows = [row(SOURCE, "images/a", "one"), old, row(SOURCE, "texts/b", "one")];
    let report = Report::of(SOURCE, &[&rows]).put(&stage);
    let mut arguments = Stage::sides_below("images/");
    arguments.extend(["--source-inventory", &report].map(str::to_owned));
    let ran = stage.run("diff", &arguments).await.must_end_with(0);
    let line = ran.stdout.lines().next().expect("a line");
    assert!(
        line.starts_with(&format!(
            "source keys from inventory {report}, made 2026-11-22T01:00:00Z, "
        )),
        "{line}"
    );
    assert!(
        line.ends_with(": 3 rows, 2 of other versions or prefixes skipped, unknown column Flavour not read"),
        "{line}"
    );
    assert!(ran.stderr.contains("1 files"), "said before the work, too: {ran:?}");
    arguments.extend(["--output", "json"].map(str::to_owned));
    let summary = stage.run("diff", &arguments).await.must_end_with(0).summary();
    let read = &summary["source_inventory"];
    assert_eq!(read["created"], "2026-11-22T01:00:00Z");
    assert!(read["age_seconds"].is_u64(), "{read}");
    assert_eq!((&read["rows"], &read["left_out"]), (&3.into(), &2.into()));
    assert_eq!(read["unknown_columns"], json!(["Flavour"]));
    assert_eq!(summary["destination_inventory"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn stale_rows_are_confirmed_against_the_buckets() {
    let stage = Stage::new().await;
    stage.both("copied since", "one");
    stage.both("written over since", "new");
    stage.put(SOURCE, "still missing", "one");
    let report = source_of(&[
        ("copied since", "old"),
        ("deleted since", "one"),
        ("still missing", "one"),
        ("written over since", "old"),
    ]);
    let report = report.put(&stage);
    let inventory = ["--source-inventory", report.as_str()];
    let ran = diff(&stage, &inventory).await.must_end_with(1);
    assert_eq!(ran.differences().into_keys().collect::<Vec<_>>(), ["still missing"]);
    let unconfirmed = [&inventory[..], &["--unconfirmed"]].concat();
    assert_eq!(diff(&stage, &unconfirmed).await.must_end_with(1).differences().len(), 4);
    let ran = stage.on_both("sync", &inventory).await.must_end_with(0);
    let summary = ran.summary();
    let counts = ["copied", "found_equal", "gone"].map(|name| summary[name].as_u64());
    assert_eq!(counts, [Some(1), Some(2), Some(1)], "{summary}");
    assert_eq!(summary["source_inventory"]["rows"], 4);
    diff(&stage, &["--depth", "head"]).await.must_end_with(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn sync_deletes_nothing_on_the_word_of_a_report() {
    let stage = Stage::new().await;
    stage.both("newer than the report", "one");
    stage.both("gone", "one");
    stage.delete(SOURCE, "gone");
    let report = source_of(&[("gone", "one")]).put(&stage);
    let ran = stage
        .on_both("sync", &["--delete", "--yes", "--source-inventory", &report])
        .await
        .must_end_with(0);
    // The row of what is gone says that it is equal: only a listing, or the replicator, finds that out.
    assert_eq!(ran.summary()["deleted"], 0);
    let ran = stage.on_both("sync", &["--delete", "--yes"]).await.must_end_with(0);
    assert_eq!(ran.summary()["deleted"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn etags_unrelated_to_content_are_inconclusive() {
    let stage = Stage::new().await;
    let encrypted = Row {
        encryption: "SSE-KMS",
        ..row(SOURCE, "a", "one")
    };
    let source = Report::of(SOURCE, &[&[encrypted]]).put(&stage);
    let destination = Report::of(DESTINATION, &[&[row(DESTINATION, "a", "two")]]).put(&stage);
    let both = ["--source-inventory", &source, "--destination-inventory", &destination];
    let ran = diff(&stage, &[&both[..], &["--unconfirmed"]].concat()).await;
    assert_eq!(ran.must_end_with(1).differences()["a"], ["inconclusive"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn manifests_are_written_from_reports() {
    let stage = Stage::new().await;
    let (source, destination) = fill(&stage);
    let (source, destination) = (source.put(&stage), destination.put(&stage));
    let both = [
        "--source-inventory",
        &source,
        "--destination-inventory",
        &destination,
        "--to",
        "run.csv",
    ];
    stage.server.forget_requests();
    let ran = stage.on_both("manifest", &both).await.must_end_with(0);
    assert_eq!(ran.summary()["destination_inventory"]["rows"], 4);
    assert_eq!(stage.server.requests().get("ListObjectsV2"), None);
    let text = std::fs::read_to_string(stage.folder().join("run-0001.csv")).expect("the manifest");
    assert_eq!(text, format!("{SOURCE},changed\n{SOURCE},missing\n"));
    let side = format!("s3://{SOURCE}");
    let arguments = ["--source", &side, "--source-region", "us-east-1", "--to", "all.csv"];
    let mut arguments: Vec<String> = arguments.map(str::to_owned).to_vec();
    arguments.extend(["--source-inventory", &source].map(str::to_owned));
    let ran = stage.run("manifest", &arguments).await.must_end_with(0);
    assert!(ran.stdout.contains("4 rows"), "{ran:?}");
    arguments.extend(["--destination-inventory", &destination].map(str::to_owned));
    let ran = stage.run("manifest", &arguments).await.must_end_with(2);
    assert!(
        ran.stderr.contains("--destination-inventory requires --destination"),
        "{ran:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_reports_are_refused_by_file_and_row() {
    let good = || source_of(&[("a", "one"), ("b", "one")]);
    let line = row(SOURCE, "a", "one").line();
    let texts = |columns: &str, text: String| Report::of_texts(SOURCE, columns, &[text]);
    let mut missing_file = good();
    missing_file.files.remove(1);
    let mut wrong_checksum = good();
    wrong_checksum.manifest["files"][0]["MD5checksum"] = hex_md5(b"another").into();
    let mut wrong_size = good();
    wrong_size.manifest["files"][1]["size"] = 1.into();
    let truncated = gzip(&line.repeat(1_000));
    let truncated = Report::of_files(SOURCE, COLUMNS, vec![truncated[..truncated.len() - 20].to_vec()]);
    let mut not_a_manifest = good();
    not_a_manifest.manifest = json!({ "sourceBucket": SOURCE });
    let without_etag = texts("Bucket, Key, Size, LastModifiedDate", "\"x\"\n".to_owned());
    let bad_size = texts(COLUMNS, format!("{line}{}", line.replace("\"3\"", "\"three\"")));
    let short_row = texts(COLUMNS, format!("{line}\"{SOURCE}\",\"b\"\n"));
    let foreign_row = texts(COLUMNS, format!("{line}{}", row("another-bucket", "b", "one").line()));
    let (zero, one) = (
        format!("`reports/{SOURCE}/daily/data/0.csv.gz`"),
        format!("`reports/{SOURCE}/daily/data/1.csv.gz`"),
    );
    for (report, code, expected) in [
        (&missing_file, 3, vec!["NoSuchKey", &one]),
        (&wrong_checksum, 3, vec!["its MD5 is", &zero]),
        (&wrong_size, 3, vec!["the manifest says 1", &one]),
        (&truncated, 3, vec!["InventoryFileMalformed", &zero, "after row"]),
        (&not_a_manifest, 3, vec!["InventoryManifestInvalid", "missing field"]),
        (&without_etag, 3, vec!["no column ETag", "manifest.json"]),
        (&bad_size, 3, vec![&zero, "row 2, column Size: the value is `three`"]),
        (&short_row, 3, vec![&zero, "row 2: 2 values, expected"]),
        (
            &foreign_row,
            3,
            vec![&zero, "row 2, column Bucket: the value is `another-bucket`"],
        ),
        (
            &Report::of("another-bucket", &[&[]]),
            2,
            vec!["is an inventory of bucket another-bucket", "not of cli-source"],
        ),
    ] {
        let stage = Stage::new().await;
        stage.both("a", "one");
        let place = report.put(&stage);
        let ran = diff(&stage, &["--source-inventory", &place]).await.must_end_with(code);
        for part in expected {
            assert!(ran.stderr.contains(part), "{part}: {ran:?}");
        }
        assert!(ran.stderr.contains("\n  next: "), "{ran:?}");
        assert_eq!(ran.stdout, "", "nothing is said of a report that is not whole");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_that_are_not_there_are_named() {
    let stage = Stage::new().await;
    let spilled = stage.folder().join("no such folder").display().to_string();
    let lonely = {
        let report = source_of(&[("a", "one")]);
        let manifest = report.save(&stage);
        std::fs::remove_dir_all(stage.folder().join(format!("copy/reports/{SOURCE}/daily/data"))).expect("gone");
        manifest.display().to_string()
    };
    let good = source_of(&[("a", "one")]).put(&stage);
    let missing = format!("s3://{STATE}/no/manifest.json");
    for (given, code, expected) in [
        (vec!["--source-inventory", &missing], 3, "NoSuchKey"),
        (
            vec!["--source-inventory", "s3://no-such-bucket/manifest.json"],
            3,
            "NoSuchBucket",
        ),
        (
            vec!["--source-inventory", "nowhere.json"],
            3,
            "unusable inventory manifest nowhere.json",
        ),
        (vec!["--source-inventory", &lonely], 3, "holds the report's file"),
        (vec!["--source-inventory", "s3://cli-state/"], 2, "must name an object"),
        (
            vec!["--source-inventory", &good, "--spill-dir", &spilled],
            3,
            "--spill-dir",
        ),
        (
            vec!["--source-inventory", &good, "--sort-memory-mib", "1"],
            2,
            "64..=65536",
        ),
    ] {
        let ran = diff(&stage, &given).await.must_end_with(code);
        assert!(ran.stderr.contains(expected), "{expected}: {ran:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_in_the_spill_folder() {
    let stage = Stage::new().await;
    let (source, _) = fill(&stage);
    let place = source.put(&stage);
    std::fs::create_dir(stage.folder().join("spill")).expect("a folder");
    diff(&stage, &["--source-inventory", &place, "--spill-dir", "spill"])
        .await
        .must_end_with(1);
    let left = std::fs::read_dir(stage.folder().join("spill"))
        .expect("the folder")
        .count();
    assert_eq!(left, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn interrupt_ends_the_reading_of_a_report_and_leaves_nothing() {
    let stage = Stage::new().await;
    let place = source_of(&[("a", "one"), ("b", "one")]).put(&stage);
    std::fs::create_dir(stage.folder().join("spill")).expect("a folder");
    // The manifest and the first file are answered, the second file is not.
    let hangs = json!([{ "operation": "GetObject", "nth": 3, "fault": "timeout" }]);
    stage.server.set_faults(&hangs).expect("rules");
    let mut arguments = Stage::sides();
    arguments.extend(["--source-inventory", &place, "--spill-dir", "spill"].map(str::to_owned));
    let child = stage.start("diff", &arguments);
    let pid = child.id().expect("it runs");
    until("the file that hangs", Duration::from_mins(1), || {
        let fetched = stage.server.requests().get("GetObject").copied().unwrap_or_default();
        async move { Ok(PollResult::when(fetched >= 3, || format!("{fetched} files"))) }
    })
    .await
    .expect("it reads the report");
    interrupt(pid);
    let ran = ended(child).await.must_end_with(130);
    assert_eq!(ran.stdout, "");
    let left = std::fs::read_dir(stage.folder().join("spill"))
        .expect("the folder")
        .count();
    assert_eq!(left, 0, "{ran:?}");
}
