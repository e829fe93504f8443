//! `s3ferry verify`.

use std::collections::BTreeMap;

use s3ferry_testkit::sim::model::bucket::ACCOUNT;
use s3ferry_testkit::sim::model::digest::{ChecksumAlgorithm, hex, md5_of_bytes};
use s3ferry_testkit::sim::model::object::{SimEncryption, WriteAttributes};
use s3ferry_testkit::sim::model::simulator::WriteTarget;
use s3ferry_testkit::sim::model::synthetic::{SyntheticChecksum, SyntheticObject};
use s3ferry_tests::{DESTINATION_REGION, SOURCE_REGION};
use serde_json::{Value, json};

use crate::proxy::{on_both, proxy, run};
use crate::stage::{DESTINATION, SOURCE, STATE, Stage, ended};
use crate::syncs::interrupt;
use crate::{differing, tags};

const MIB: u64 = 1024 * 1024;

/// A synthetic object of 12 MiB without any checksum, in parts of the given size.
fn multipart(
    stage: &Stage,
    bucket: &str,
    key: &str,
    seed: u64,
    part_mib: u64,
    change: impl FnOnce(&mut WriteAttributes),
) {
    let mut object = SyntheticObject {
        size_bytes: 12 * MIB,
        seed,
        part_size_bytes: Some(part_mib * MIB),
        checksum: SyntheticChecksum::Missing,
        ..SyntheticObject::default()
    };
    change(&mut object.explicit);
    let made = stage.server.model().put_synthetic(WriteTarget { bucket, key }, &object);
    made.expect("the object is made");
}

/// The same bytes on both sides, uploaded in parts of other sizes.
fn other_parts(stage: &Stage, key: &str) {
    multipart(stage, SOURCE, key, 7, 5, |_| ());
    multipart(stage, DESTINATION, key, 7, 6, |_| ());
}

fn etag(stage: &Stage, bucket: &str, key: &str) -> String {
    let model = stage.server.model();
    let bucket = model.bucket(bucket).expect("the bucket is there");
    bucket.current_object(key).expect("the object is there").etag.clone()
}

/// The report that a run left.
fn report(stage: &Stage, name: &str) -> Value {
    let text = std::fs::read(stage.folder().join(format!("{name}.json"))).expect("the report is there");
    serde_json::from_slice(&text).expect("the report is JSON")
}

fn page(stage: &Stage, name: &str) -> String {
    std::fs::read_to_string(stage.folder().join(format!("{name}.html"))).expect("the page is there")
}

/// The proof methods, with the number of objects.
fn means(report: &Value) -> Vec<(String, u64)> {
    let compared = report["compared_by"].as_array().expect("a list");
    let row = |by: &Value| {
        let name = by["by"].as_str().expect("a name").to_owned();
        (name, by["objects"].as_u64().expect("a count"))
    };
    compared.iter().map(row).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_names_every_known_difference() {
    let stage = differing().await;
    let ran = stage
        .on_both(
            "verify",
            &[
                "--report",
                "proof",
                "--differences",
                "all.jsonl",
                "--operator",
                "the team",
            ],
        )
        .await
        .must_end_with(1);
    let expected = [
        ("class", "storage-class"),
        ("content", "content"),
        ("extra", "extra-at-destination"),
        ("metadata", "metadata"),
        ("missing", "missing-at-destination"),
        ("size", "size"),
        ("tags", "tags"),
    ];
    let expected = expected.map(|(key, kind)| (key.to_owned(), vec![kind.to_owned()]));
    assert_eq!(ran.differences(), expected.into());
    let report = report(&stage, "proof");
    assert_eq!(
        (&report["verdict"], &report["schema"]),
        (&"different".into(), &"s3ferry-verification/1".into())
    );
    assert_eq!(
        (&report["keys"], &report["equal"], &report["different"]),
        (&8.into(), &1.into(), &7.into())
    );
    assert_eq!(
        (&report["operator"], &report["source"]["objects"]),
        (&"the team".into(), &7.into())
    );
    let mut summary = ran.summary();
    summary.as_object_mut().expect("an object").remove("type");
    assert_eq!(summary, report, "the last line is the report");
    let all = std::fs::read_to_string(stage.folder().join("all.jsonl")).expect("the differences");
    assert_eq!(all.lines().count(), 7);
    let page = page(&stage, "proof");
    for text in [
        "<h1>Different</h1>",
        "missing-at-destination",
        "the team",
        SOURCE,
        DESTINATION,
    ] {
        assert!(page.contains(text), "{text}");
    }
    // At the listings' depth, what no listing shows is no difference.
    let ran = stage.on_both("verify", &["--depth", "listing"]).await.must_end_with(1);
    assert_eq!(
        ran.differences().into_keys().collect::<Vec<_>>(),
        ["content", "extra", "missing", "size"]
    );
    assert_eq!(ran.summary()["comparison"]["depth"], "listing");
}

#[tokio::test(flavor = "multi_thread")]
async fn equal_buckets_are_verified_at_every_depth() {
    let stage = Stage::new().await;
    for key in [
        "a b+c%20.txt",
        "ctl\u{1}\u{1f}",
        "\u{ffff}",
        "日/本",
        "new\nline",
        "\u{202e}x",
        "\u{10000}",
    ] {
        stage.both(key, "one");
    }
    for (depth, by) in [
        ("listing", "listing"),
        ("head", "full-checksum"),
        ("checksum", "full-checksum"),
    ] {
        let ran = stage
            .on_both("verify", &["--depth", depth, "--report", depth])
            .await
            .must_end_with(0);
        assert_eq!(ran.summary()["verdict"], "verified");
        assert_eq!(means(&report(&stage, depth)), [(by.to_owned(), 7)]);
        assert!(page(&stage, depth).contains("<h1>Verified</h1>"));
    }
    let ran = stage.run("verify", &Stage::sides()).await.must_end_with(0);
    assert!(
        ran.stdout.ends_with("verified: All 7 objects of the source are equal at the destination, which has no other objects (depth head).\n"),
        "{ran:?}"
    );
    assert_eq!(ran.stderr, "", "nothing to complain about");
}

#[tokio::test(flavor = "multi_thread")]
async fn same_bytes_in_other_parts_are_verified_by_checksums_or_by_reading() {
    let stage = Stage::new().await;
    for (bucket, part_mib) in [(SOURCE, 5), (DESTINATION, 6)] {
        let object = SyntheticObject {
            size_bytes: 12 * MIB,
            seed: 1,
            part_size_bytes: Some(part_mib * MIB),
            ..SyntheticObject::default()
        };
        let made = stage
            .server
            .model()
            .put_synthetic(WriteTarget { bucket, key: "stored" }, &object);
        made.expect("the object is made");
    }
    stage.server.forget_requests();
    stage.on_both("verify", &["--report", "stored"]).await.must_end_with(0);
    assert_eq!(means(&report(&stage, "stored")), [("full-checksum".to_owned(), 1)]);
    assert_eq!(
        stage.server.requests().get("GetObject"),
        None,
        "nothing is read that is stored"
    );
    other_parts(&stage, "bare");
    for depth in ["listing", "head", "checksum"] {
        stage.server.forget_requests();
        let ran = stage.on_both("verify", &["--depth", depth]).await.must_end_with(0);
        let summary = ran.summary();
        assert_eq!(
            means(&summary),
            [("read".to_owned(), 1), ("full-checksum".to_owned(), 1)]
        );
        assert_eq!(summary["read_bytes"], 24 * MIB);
        assert_eq!(stage.server.requests()["GetObject"], 2);
    }
    // Equal tags of equal parts are enough for HEADs, and no hash of the content.
    multipart(&stage, DESTINATION, "bare", 7, 5, |_| ());
    for (depth, by) in [("head", "multipart-etag"), ("checksum", "read")] {
        let ran = stage.on_both("verify", &["--depth", depth]).await.must_end_with(0);
        assert!(means(&ran.summary()).contains(&(by.to_owned(), 1)), "{ran:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_bytes_in_other_parts_are_found_by_reading() {
    let stage = Stage::new().await;
    multipart(&stage, SOURCE, "a", 1, 5, |_| ());
    multipart(&stage, DESTINATION, "a", 2, 6, |_| ());
    let ran = stage.on_both("verify", &[]).await.must_end_with(1);
    assert_eq!(ran.differences()["a"], ["content"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn unreadable_objects_are_named_and_never_verified() {
    let stage = Stage::new().await;
    stage.both("fine", "one");
    let archived = |explicit: &mut WriteAttributes| explicit.storage_class = Some("DEEP_ARCHIVE".to_owned());
    multipart(&stage, SOURCE, "archived", 7, 5, archived);
    multipart(&stage, DESTINATION, "archived", 7, 6, archived);
    other_parts(&stage, "large");
    let ran = stage
        .on_both("verify", &["--max-read-bytes", "1000000", "--report", "proof"])
        .await
        .must_end_with(1);
    let differences = ran.differences();
    assert_eq!(differences["archived"], ["inconclusive"]);
    assert_eq!(differences["large"], ["inconclusive"]);
    assert_eq!(ran.summary()["verdict"], "inconclusive");
    let page = page(&stage, "proof");
    for text in [
        "<h1>Inconclusive</h1>",
        "the source&#39;s object is archived (DEEP_ARCHIVE) and not restored",
        "more than the 1000000 that may be read of an object",
    ] {
        assert!(page.contains(text), "{text}: {page}");
    }
    // Archived, but verified by stored checksums.
    multipart(&stage, DESTINATION, "archived", 7, 5, archived);
    let ran = stage.on_both("verify", &[]).await.must_end_with(0);
    assert_eq!(means(&ran.summary()).len(), 3, "{ran:?}");
}

/// Writes the completion report of a job that computed checksums; returns its rows' MD5.
fn completion(bucket: &str, key: &str, etag: &str, value: &str) -> (String, String) {
    let message = json!({
        "checksum_base64": value, "etag": etag, "checksumAlgorithm": "SHA256", "checksumType": "FULL_OBJECT",
        "checksum_hex": "00",
    });
    let message = message.to_string().replace('"', "\"\"");
    let rows = format!(
        "{bucket},{key},,succeeded,200,,\"{message}\"\n{bucket},other,,failed,200,PermanentFailure,\"details: {{\"\"a\"\":\"b, c\"}}\"\n"
    );
    let md5 = hex(&md5_of_bytes(rows.as_bytes()));
    (rows, md5)
}

fn head_of(bucket: &str, key: &str, md5: &str) -> String {
    json!({
        "Format": "Report_CSV_20180820",
        "ReportCreationDate": "2026-11-23T05:00:00.000Z",
        "Results": [{ "TaskExecutionStatus": "succeeded", "Bucket": bucket, "MD5Checksum": md5, "Key": key }],
        "ReportSchema": "Bucket, Key, VersionId, TaskStatus, ErrorCode, HTTPStatusCode, ResultMessage",
    })
    .to_string()
}

/// Puts a report of the source's objects into the folder, as S3 lays it out.
fn local_report(stage: &Stage, rows: &str, md5: &str) {
    std::fs::create_dir_all(stage.folder().join("job-1/results")).expect("a folder");
    std::fs::write(stage.folder().join("job-1/results/1.csv"), rows).expect("a file");
    let head = head_of("reports", "prefix/job-1/results/1.csv", md5);
    std::fs::write(stage.folder().join("job-1/manifest.json"), head).expect("a file");
}

#[tokio::test(flavor = "multi_thread")]
async fn inconclusive_objects_go_to_manifests_and_job_reports_resolve_them() {
    let stage = Stage::new().await;
    stage.both("fine", "one");
    other_parts(&stage, "a b+c");
    stage.server.forget_requests();
    let manifest = ["--inconclusive", "report", "--inconclusive-manifest", "open.csv"];
    let ran = stage.on_both("verify", &manifest).await.must_end_with(1);
    assert_eq!(
        ran.summary()["inconclusive_manifests"],
        json!(["./open-source.csv", "./open-destination.csv"])
    );
    assert_eq!(stage.server.requests().get("GetObject"), None);
    for (side, bucket) in [("source", SOURCE), ("destination", DESTINATION)] {
        let rows = std::fs::read_to_string(stage.folder().join(format!("open-{side}.csv"))).expect("the manifest");
        assert_eq!(rows, format!("{bucket},a%20b%2Bc\n"));
    }
    // One report as files, the other one as objects; a key may be spelled with a plus sign for the space.
    let (rows, md5) = completion(SOURCE, "a+b%2Bc", &etag(&stage, SOURCE, "a b+c"), "x=");
    local_report(&stage, &rows, &md5);
    let (rows, md5) = completion(DESTINATION, "a%20b%2Bc", &etag(&stage, DESTINATION, "a b+c"), "x=");
    stage.put(STATE, "reports/job-2/results/1.csv", &rows);
    stage.put(
        STATE,
        "reports/job-2/manifest.json",
        &head_of(STATE, "reports/job-2/results/1.csv", &md5),
    );
    let destination_report = format!("s3://{STATE}/reports/job-2/manifest.json");
    let reports = [
        "--depth",
        "checksum",
        "--inconclusive",
        "report",
        "--source-checksums",
        "job-1/manifest.json",
        "--destination-checksums",
        &destination_report,
    ];
    let ran = stage.on_both("verify", &reports).await.must_end_with(0);
    let summary = ran.summary();
    assert!(
        means(&summary).contains(&("computed-checksum".to_owned(), 1)),
        "{summary}"
    );
    assert_eq!(
        summary["job_reports"][0],
        json!({ "side": "source", "location": "job-1/manifest.json", "computed": 1, "failed": 1 })
    );
    // The object has been replaced since the job ran: its checksum says nothing any more.
    multipart(&stage, SOURCE, "a b+c", 8, 5, |_| ());
    let ran = stage.on_both("verify", &reports).await.must_end_with(1);
    assert_eq!(ran.differences()["a b+c"], ["inconclusive"]);
    // A checksum that differs is a difference.
    let (rows, md5) = completion(SOURCE, "a%20b%2Bc", &etag(&stage, SOURCE, "a b+c"), "y=");
    local_report(&stage, &rows, &md5);
    let ran = stage.on_both("verify", &reports).await.must_end_with(1);
    assert_eq!(ran.differences()["a b+c"], ["content"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_of_jobs_are_read_strictly() {
    let stage = Stage::new().await;
    let (good, md5) = completion(SOURCE, "a", "aa-2", "x=");
    let (foreign, foreign_md5) = completion(DESTINATION, "a", "aa-2", "x=");
    let short = format!("{good}{SOURCE},a\n");
    let short_md5 = hex(&md5_of_bytes(short.as_bytes()));
    for (rows, md5, expected) in [
        (&good, "00", "has the MD5"),
        (
            &foreign,
            &*foreign_md5,
            "1.csv, row 1: bucket `cli-destination`, expected `cli-source`",
        ),
        (
            &short,
            &*short_md5,
            "1.csv, row 3: the number of columns is 2, expected at least 4",
        ),
    ] {
        local_report(&stage, rows, md5);
        let ran = stage
            .on_both("verify", &["--source-checksums", "job-1/manifest.json"])
            .await
            .must_end_with(3);
        assert!(ran.stderr.contains(expected), "{expected}: {ran:?}");
    }
    local_report(&stage, &good, &md5);
    std::fs::remove_file(stage.folder().join("job-1/results/1.csv")).expect("the file was there");
    for (report, expected) in [
        ("job-1/manifest.json", "neither beside it nor in results/"),
        ("nothing.json", "failed to read nothing.json"),
        (
            "s3://cli-state/nothing.json",
            "arn:aws:s3:::cli-state/nothing.json: NoSuchKey",
        ),
    ] {
        let ran = stage
            .on_both("verify", &["--source-checksums", report])
            .await
            .must_end_with(3);
        assert!(ran.stderr.contains(expected), "{expected}: {ran:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_cannot_break_the_page() {
    let stage = Stage::new().await;
    let keys = [
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "</bdi></li></ol><h1>Verified</h1>",
        "invoice\u{202e}fdp.exe",
        "line\nbreak\u{1}",
    ];
    for key in keys {
        stage.put(SOURCE, key, "one");
    }
    let ran = stage
        .on_both("verify", &["--report", "proof", "--operator", "<b>me</b>"])
        .await
        .must_end_with(1);
    assert_eq!(ran.differences().len(), keys.len());
    let page = page(&stage, "proof");
    for markup in ["<script", "<img", "<b>", "<h1>Verified", "\u{202e}", "\u{1}"] {
        assert!(!page.contains(markup), "{markup}");
    }
    assert!(page.contains(r"invoice\u{202e}fdp.exe"), "{page}");
    let shown = report(&stage, "proof");
    assert_eq!(shown["examples"]["shown"].as_array().map(Vec::len), Some(keys.len()));
}

#[tokio::test(flavor = "multi_thread")]
async fn interrupted_verification_leaves_a_report_that_says_so() {
    let stage = Stage::with_latency(20).await;
    (0..400).for_each(|number| stage.both(&format!("{number:04}"), "one"));
    let mut arguments = Stage::sides();
    arguments.extend(["--output", "json", "--concurrency", "4", "--report", "proof"].map(str::to_owned));
    let child = stage.start("verify", &arguments);
    let pid = child.id().expect("it runs");
    stage.until_requested("HeadObject", 40).await;
    interrupt(pid);
    let ran = ended(child).await.must_end_with(130);
    assert_eq!(ran.summary()["verdict"], "incomplete");
    let report = report(&stage, "proof");
    assert_eq!(report["stopped_by"], "interrupted");
    assert!(report["equal"].as_u64().is_some_and(|equal| equal < 400), "{report}");
    let page = page(&stage, "proof");
    assert!(
        page.contains("<h1>Incomplete</h1>") && !page.contains("erified"),
        "{page}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn interrupted_verification_shows_its_totals_without_a_verdict() {
    let stage = Stage::with_latency(20).await;
    (0..400).for_each(|number| stage.both(&format!("{number:04}"), "one"));
    let mut arguments = Stage::sides();
    arguments.extend(["--concurrency", "4"].map(str::to_owned));
    let child = stage.start("verify", &arguments);
    let pid = child.id().expect("it runs");
    stage.until_requested("HeadObject", 40).await;
    interrupt(pid);
    let ran = ended(child).await.must_end_with(130);
    let stopped = ran.stdout.lines().find(|line| line.starts_with("stopped after "));
    let stopped = stopped.unwrap_or_else(|| panic!("{ran:?}"));
    assert!(
        stopped.ends_with("there is no verdict") && !stopped.contains("after 0 keys"),
        "{ran:?}"
    );
    let sides = ran.stdout.lines().filter(|line| line.ends_with(" compared so far"));
    let sides: Vec<&str> = sides.collect();
    assert!(
        sides.len() == 2 && sides.iter().all(|side| !side.contains(": 0 objects")),
        "{ran:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn sample_says_nothing_of_the_rest() {
    let stage = Stage::new().await;
    (0..100).for_each(|number| stage.both(&format!("{number:04}"), "one"));
    stage.server.forget_requests();
    let sample = ["--sample", "10", "--sample-seed", "3", "--report", "proof"];
    let ran = stage.on_both("verify", &sample).await.must_end_with(0);
    let summary = ran.summary();
    assert_eq!(summary["verdict"], "no-difference-in-sample");
    assert_eq!(
        summary["comparison"]["sample"],
        json!({ "asked": 10, "drawn": 10, "population": 100, "seed": 3 })
    );
    assert_eq!(stage.server.requests()["HeadObject"], 20);
    assert!(page(&stage, "proof").contains("No difference in a sample of 10 of 100 objects"));
    stage.delete(DESTINATION, "0050");
    let ran = stage.on_both("verify", &sample).await.must_end_with(1);
    assert_eq!(ran.differences()["0050"], ["missing-at-destination"]);
    let ran = stage
        .on_both("verify", &["--sample", "10", "--depth", "listing"])
        .await
        .must_end_with(2);
    assert!(ran.stderr.contains("--sample with --depth listing"), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ignored_attributes_are_named_as_not_compared() {
    let stage = differing().await;
    let ran = stage
        .on_both("verify", &["--ignore", "tags,metadata,storage-class"])
        .await
        .must_end_with(1);
    assert_eq!(
        ran.differences().into_keys().collect::<Vec<_>>(),
        ["content", "extra", "missing", "size"]
    );
    let look = &ran.summary()["comparison"];
    assert!(look["not_compared"].to_string().contains("tags"), "{look}");
    assert!(!look["compared"].to_string().contains("tags"), "{look}");
    let ran = stage.on_both("verify", &["--ignore", "content"]).await.must_end_with(2);
    assert!(ran.stderr.contains("possible values"), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn report_that_cannot_be_written_is_refused_before_anything_is_read() {
    let stage = Stage::new().await;
    let ran = stage
        .on_both("verify", &["--report", "nowhere/proof"])
        .await
        .must_end_with(3);
    assert!(ran.stderr.contains("failed to write to the folder nowhere"), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_fail_for_a_while_leave_no_doubt() {
    let stage = Stage::new().await;
    (0..40).for_each(|number| stage.both(&format!("{number:04}"), "one"));
    other_parts(&stage, "large");
    let faults = json!([
        { "operation": "*", "probability": 0.1, "fault": "throttle", "times": 20 },
        { "operation": "GetObject", "probability": 0.5, "fault": "reset", "times": 1 },
    ]);
    stage.server.set_faults(&faults).expect("rules");
    let ran = stage.on_both("verify", &[]).await.must_end_with(0);
    assert_eq!(ran.summary()["verdict"], "verified");
}

#[tokio::test(flavor = "multi_thread")]
async fn checksums_of_parts_are_read_past_in_silence() {
    let stage = Stage::new().await;
    for (bucket, part_mib) in [(SOURCE, 5), (DESTINATION, 6)] {
        let object = SyntheticObject {
            size_bytes: 12 * MIB,
            seed: 1,
            part_size_bytes: Some(part_mib * MIB),
            checksum: SyntheticChecksum::Of(ChecksumAlgorithm::Sha256, None),
            ..SyntheticObject::default()
        };
        let made = stage
            .server
            .model()
            .put_synthetic(WriteTarget { bucket, key: "a" }, &object);
        made.expect("the object is made");
    }
    let ran = stage.on_both("verify", &[]).await.must_end_with(0);
    assert_eq!(means(&ran.summary()), [("read".to_owned(), 1)]);
    assert!(ran.stderr.starts_with("{\"type\":\"progress\""), "{ran:?}");
    assert_eq!(
        ran.stderr.lines().count(),
        1,
        "the SDK's own warnings say nothing that the report does not: {ran:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_of_applications_at_a_shared_destination_are_ahead_and_no_difference() {
    let stage = Stage::new().await;
    for key in ["copied", "deleted", "newer", "tagged"] {
        stage.put_with(SOURCE, key, "one", tags("1"));
    }
    let shared = ["--ownership", "shared"];
    let sync = [&shared[..], &["--state-bucket", STATE]].concat();
    stage.on_both("sync", &sync).await.must_end_with(0);
    stage.put(DESTINATION, "newer", "two");
    stage.put(DESTINATION, "external", "two");
    let target = WriteTarget {
        bucket: DESTINATION,
        key: "tagged",
    };
    let other_tags = [("a".to_owned(), "2".to_owned())].into();
    let tagged = stage.server.model().put_tags(target, None, other_tags);
    tagged.expect("the object is tagged");
    stage.delete(SOURCE, "deleted");
    let kinds = |kinds: &[&str]| kinds.iter().map(|kind| (*kind).to_owned()).collect::<Vec<_>>();
    let ran = stage.on_both("verify", &shared).await.must_end_with(1);
    let expected = [
        ("deleted", kinds(&["extra-at-destination"])),
        ("external", kinds(&["external-at-destination"])),
        ("newer", kinds(&["destination-newer", "content", "tags"])),
        ("tagged", kinds(&["destination-newer", "tags"])),
    ];
    let expected = expected.map(|(key, kinds)| (key.to_owned(), kinds)).into();
    assert_eq!(ran.differences(), expected);
    let summary = ran.summary();
    assert_eq!(
        (&summary["verdict"], &summary["ahead"]),
        (&"different".into(), &3.into())
    );
    stage.delete(DESTINATION, "deleted");
    let ran = stage.on_both("verify", &shared).await.must_end_with(0);
    assert_eq!(ran.summary()["verdict"], "destination-ahead");
    let ran = stage.on_both("verify", &[]).await.must_end_with(1);
    assert_eq!(ran.summary()["verdict"], "different", "with exclusive ownership");
}

/// Answers for `CloudFormation`, and for SQS with so many messages in each queue.
async fn with_a_stack(stage: &Stage, messages: u64) -> String {
    proxy(stage, move |head| {
        let output = |name: &str, queue: &str| {
            format!("<member><OutputKey>{name}</OutputKey><OutputValue>http://sqs/1/{queue}</OutputValue></member>")
        };
        if head.has("x-amz-target: AmazonSQS.GetQueueAttributes") {
            let counts = json!({ "Attributes": {
                "ApproximateNumberOfMessages": messages.to_string(),
                "ApproximateNumberOfMessagesNotVisible": "0",
                "ApproximateNumberOfMessagesDelayed": "0",
            } });
            return Some(head.answered(200, &counts.to_string()));
        }
        (head.method() == "POST" && head.target() == "/").then(|| {
            let outputs = output("ReplicationQueueUrl", "queue") + &output("ReplicationDeadLetterQueueUrl", "dead");
            let stack = format!("<member><StackName>s3ferry-source</StackName><Outputs>{outputs}</Outputs></member>");
            let result = format!("<DescribeStacksResult><Stacks>{stack}</Stacks></DescribeStacksResult>");
            head.answered(
                200,
                &format!("<DescribeStacksResponse>{result}</DescribeStacksResponse>"),
            )
        })
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_in_the_queues_of_the_stack_are_warned_of() {
    let stage = Stage::new().await;
    stage.both("a", "one");
    let arguments = on_both(&["--stack", "s3ferry-source", "--output", "json"]);
    for (messages, warns) in [(3, true), (0, false)] {
        let endpoint = with_a_stack(&stage, messages).await;
        let ran = run(&stage, &endpoint, "verify", &arguments).await;
        let ran = ran.must_end_with(i32::from(warns));
        let counted = json!({ "queue": messages, "dead_letters": messages });
        assert_eq!(ran.summary()["messages"], counted, "{ran:?}");
        assert_eq!(
            ran.stderr.contains("warning: 3 messages and 3 dead letters"),
            warns,
            "{ran:?}"
        );
        assert_eq!(
            ran.stderr.contains("before you cut over or delete the stack"),
            warns,
            "{ran:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_an_earlier_run_do_not_outlive_one_that_fails_at_once() {
    let stage = Stage::new().await;
    stage.both("a", "one");
    let files = ["--report", "proof", "--differences", "differences.jsonl"];
    stage.run("verify", &on_both(&files)).await.must_end_with(0);
    let present = |name: &str| stage.folder().join(name).exists();
    assert!(present("proof.json") && present("differences.jsonl"));
    let elsewhere = on_both(&[&files[..], &["--profile", "missing"]].concat());
    stage.run("verify", &elsewhere).await.must_end_with(3);
    for name in ["proof.json", "proof.html", "differences.jsonl"] {
        assert!(!present(name), "{name} is left");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_to_compare_is_not_verified() {
    let stage = Stage::new().await;
    stage.both("images/a", "one");
    for command in ["verify", "diff"] {
        let mistyped = Stage::sides_below("image/");
        let ran = stage.run(command, &mistyped).await.must_end_with(1);
        assert!(ran.stdout.contains("nothing to compare"), "{ran:?}");
        let allowed = [&mistyped[..], &["--allow-empty".to_owned()]].concat();
        stage.run(command, &allowed).await.must_end_with(0);
        stage
            .run(command, &Stage::sides_below("images/"))
            .await
            .must_end_with(0);
    }
    let ran = stage
        .run(
            "verify",
            &[
                &Stage::sides_below("image/")[..],
                &["--output", "json"].map(str::to_owned),
            ]
            .concat(),
        )
        .await;
    assert_eq!(ran.summary()["verdict"], "nothing-to-compare");
}

/// A key map that is passed late: `diff` and `verify` report it, and `sync` repairs it once.
#[tokio::test(flavor = "multi_thread")]
async fn encryption_is_compared_with_the_flags_and_repaired() {
    let key = |region: &str, name: &str| format!("arn:aws:kms:{region}:{ACCOUNT}:key/{name}");
    let (source_key, copy_key) = (key(SOURCE_REGION, "source"), key(DESTINATION_REGION, "copy"));
    let stage = Stage::new().await;
    stage.put(SOURCE, "plain", "one");
    stage.put_with(SOURCE, "secret", "two", |explicit| {
        explicit.encryption = Some(SimEncryption::Kms {
            algorithm: "aws:kms".to_owned(),
            key: Some(source_key.clone()),
            bucket_key: false,
        });
    });
    let ran = stage
        .on_both("sync", &["--failures", "failures.jsonl"])
        .await
        .must_end_with(0);
    assert_eq!(ran.summary()["copied"], 2);
    let failures = std::fs::read_to_string(stage.folder().join("failures.jsonl")).expect("a file");
    assert!(
        failures.contains("not-preserved") && failures.contains("encryption"),
        "{failures}"
    );
    // The KMS key is lost, whatever the bucket's default is.
    let lost = BTreeMap::from([("secret".to_owned(), vec!["encryption".to_owned()])]);
    for (command, more) in [("verify", &["--depth", "checksum"][..]), ("diff", &["--depth", "head"])] {
        let ran = stage.on_both(command, more).await.must_end_with(1);
        assert_eq!(ran.differences(), lost, "{command}");
    }
    stage
        .on_both("verify", &["--ignore", "encryption"])
        .await
        .must_end_with(0);
    stage
        .on_both("verify", &["--destination-encryption", "AES256"])
        .await
        .must_end_with(0);
    let map = format!("{{\"{source_key}\":\"{copy_key}\"}}");
    let with_map = ["--kms-key-map", map.as_str()];
    stage.server.forget_requests();
    stage.on_both("sync", &with_map).await.must_end_with(0);
    let requests = stage.server.requests();
    assert_eq!(requests.get("UpdateObjectEncryption"), Some(&1), "{requests:?}");
    assert!(!requests.contains_key("CopyObject"), "{requests:?}");
    for (command, more) in [("verify", &["--depth", "checksum"][..]), ("diff", &["--depth", "head"])] {
        let arguments = [&with_map[..], more].concat();
        stage.on_both(command, &arguments).await.must_end_with(0);
    }
    stage.server.forget_requests();
    stage
        .on_both("sync", &[&with_map[..], &["--depth", "head"]].concat())
        .await
        .must_end_with(0);
    let requests = stage.server.requests();
    let is_written = |operation: &&str| requests.contains_key(*operation);
    assert_eq!(
        ["UpdateObjectEncryption", "CopyObject"]
            .iter()
            .find(|operation| is_written(operation)),
        None
    );
    // Two layers are made by a copy only.
    let two_layers = format!("aws:kms:dsse:{copy_key}");
    let asked_for = ["--depth", "head", "--destination-encryption", two_layers.as_str()];
    stage.on_both("sync", &asked_for).await.must_end_with(0);
    assert_eq!(stage.server.requests()["CopyObject"], 2);
    stage.on_both("verify", &asked_for[2..]).await.must_end_with(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn output_files_that_overwrite_each_other_are_refused() {
    let stage = Stage::new().await;
    stage.both("a", "one");
    for (flags, named) in [
        (
            ["--report", "proof", "--differences", "proof.json"],
            "--report and --differences name the same file",
        ),
        (
            ["--inconclusive-manifest", "run.csv", "--differences", "run-source.csv"],
            "--inconclusive-manifest and --differences name the same file",
        ),
        (
            ["--source-checksums", "proof.json", "--report", "proof"],
            "--source-checksums and --report name the same file",
        ),
    ] {
        let ran = stage.on_both("verify", &flags).await.must_end_with(2);
        assert!(ran.stderr.contains(named), "{ran:?}");
    }
}
