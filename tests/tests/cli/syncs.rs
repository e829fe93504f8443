//! `s3ferry sync`.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use s3ferry_testkit::sim::model::object::{SimEncryption, WriteAttributes};
use s3ferry_testkit::sim::model::simulator::WriteTarget;
use s3ferry_testkit::sim::model::synthetic::{SyntheticChecksum, SyntheticObject};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::differing;
use crate::proxy::{on_both, proxy, run};
use crate::stage::{DESTINATION, SOURCE, STATE, Stage, ended};

#[tokio::test(flavor = "multi_thread")]
async fn sync_makes_both_sides_equal_and_does_nothing_twice() {
    let stage = differing().await;
    let ran = stage.on_both("sync", &[]).await.must_end_with(0);
    let summary = ran.summary();
    assert_eq!(
        (&summary["copied"], &summary["extra_at_destination"]),
        (&3.into(), &1.into())
    );
    let ran = stage
        .on_both("sync", &["--depth", "head", "--delete", "--yes"])
        .await
        .must_end_with(0);
    let summary = ran.summary();
    assert_eq!(
        (&summary["copied"], &summary["attributes_updated"], &summary["deleted"]),
        (&1.into(), &1.into(), &1.into())
    );
    let left = stage.on_both("diff", &["--depth", "head"]).await.differences();
    assert_eq!(
        left.keys().collect::<Vec<_>>(),
        ["class"],
        "a storage class alone moves no bytes"
    );
    stage.server.forget_requests();
    stage
        .on_both("sync", &["--depth", "head", "--delete", "--yes"])
        .await
        .must_end_with(0);
    let requests = stage.server.requests();
    for write in ["CopyObject", "PutObject", "PutObjectTagging", "DeleteObject"] {
        assert_eq!(requests.get(write), None, "{requests:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dry_run_reports_writes_and_sends_none() {
    let stage = differing().await;
    stage.server.forget_requests();
    let ran = stage
        .on_both("sync", &["--depth", "head", "--delete", "--dry-run"])
        .await
        .must_end_with(0);
    let would = &ran.summary()["would"];
    assert_eq!(would, &json!({ "copy": 4, "delete": 1, "update-attributes": 1 }));
    let named: Vec<_> = ran.json().into_iter().filter(|line| line["type"] == "would").collect();
    assert!(
        named.contains(&json!({ "type": "would", "action": "delete", "key": "extra" })),
        "{named:?}"
    );
    let requests = stage.server.requests();
    let writes = [
        "CopyObject",
        "PutObject",
        "PutObjectTagging",
        "DeleteObject",
        "CreateMultipartUpload",
    ];
    assert!(writes.iter().all(|write| !requests.contains_key(write)), "{requests:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn dry_run_shows_people_some_keys_and_then_the_summary() {
    let stage = Stage::new().await;
    (0..45).for_each(|number| stage.put(SOURCE, &format!("{number:04}"), "one"));
    let ran = stage
        .run("sync", &[Stage::sides(), vec!["--dry-run".to_owned()]].concat())
        .await
        .must_end_with(0);
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert!(lines[..20].iter().all(|line| line.starts_with("copy ")), "{ran:?}");
    assert_eq!(lines[20..22], ["... and 25 more: --output json names them all", ""]);
    assert!(lines[22].ends_with("45 keys compared"), "{ran:?}");
    assert_eq!(lines[23], "            45  would be copied");
    let ran = stage.on_both("sync", &["--dry-run"]).await.must_end_with(0);
    assert_eq!(ran.json().len(), 46, "JSON names every key: {ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_is_a_json_value_on_standard_error_with_output_json() {
    let stage = Stage::new().await;
    (0..3).for_each(|number| stage.put(SOURCE, &format!("{number:04}"), "one"));
    stage.put(SOURCE, "large", &large());
    let multipart = ["--multipart-threshold-bytes", "5242880", "--part-size-bytes", "5242880"];
    let ran = stage
        .on_both("sync", &[&["--expected-objects", "4"], &multipart[..]].concat())
        .await
        .must_end_with(0);
    let event: Value = serde_json::from_str(ran.stderr.trim()).expect("a JSON value");
    for (name, expected) in [
        ("type", json!("progress")),
        ("label", "syncing".into()),
        ("done", 4.into()),
        ("total", 4.into()),
        ("bytes", (3 * 3 + large().len()).into()),
        ("large_copies", 0.into()),
        ("eta_seconds", 0.into()),
        (
            "counts",
            json!({ "copied": 4, "deleted": 0, "failed": 0, "not-done": 0 }),
        ),
    ] {
        assert_eq!(event[name], expected, "{name}: {event}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_sync_of_the_same_buckets_is_noticed_by_refused_copies() {
    let stage = Stage::new().await;
    let keys = 30;
    (0..keys).for_each(|number| stage.put(SOURCE, &format!("{number:04}"), "one"));
    // As if something else had written each key between the read and the copy.
    let refused = Arc::new(Mutex::new(BTreeSet::new()));
    let endpoint = proxy(&stage, move |head| {
        let is_first = head.method() == "PUT"
            && head.is_of_object()
            && refused.lock().expect("no panic").insert(head.target().to_owned());
        is_first.then(|| head.refused(412, "PreconditionFailed"))
    })
    .await;
    let ran = run(&stage, &endpoint, "sync", &on_both(&["--output", "json"])).await;
    let ran = ran.must_end_with(0);
    assert_eq!(ran.summary()["precondition_failures"], keys, "{ran:?}");
    assert_eq!(ran.summary()["copied"], keys, "{ran:?}");
    assert_eq!(
        ran.stderr.matches("If another sync of these buckets runs").count(),
        1,
        "{ran:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn interrupted_sync_is_finished_by_the_next() {
    let stage = Stage::with_latency(20).await;
    let keys = 400;
    (0..keys).for_each(|number| stage.put(SOURCE, &format!("{number:04}"), "one"));
    let mut arguments = Stage::sides();
    arguments.extend(["--output", "json", "--concurrency", "4"].map(str::to_owned));
    let child = stage.start("sync", &arguments);
    let pid = child.id().expect("it runs");
    stage.until_requested("CopyObject", 10).await;
    interrupt(pid);
    let ran = ended(child).await.must_end_with(130);
    assert!(
        ran.stderr.contains("interrupted: run the same command again"),
        "{ran:?}"
    );
    let first = ran.summary()["copied"].as_u64().expect("a count");
    assert!((10..keys).contains(&first), "{first} copied before the interrupt");
    let made = stage.server.requests()["CopyObject"];
    assert_eq!(made, first, "what was begun was finished and counted");
    let second = stage.run("sync", &arguments).await.must_end_with(0);
    assert_eq!(second.summary()["copied"], keys - first, "nothing is copied twice");
    stage.on_both("diff", &["--depth", "head"]).await.must_end_with(0);
}

/// Sends what Ctrl-C sends.
pub(crate) fn interrupt(pid: u32) {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    rustix::process::kill_process(pid.expect("a process id"), rustix::process::Signal::INT).expect("it runs");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_keep_to_the_rate_that_was_given() {
    let stage = Stage::new().await;
    (0..40).for_each(|number| stage.put(SOURCE, &format!("{number:04}"), "one"));
    stage.server.forget_requests();
    let begun = Instant::now();
    stage
        .on_both("sync", &["--max-requests-per-second", "100"])
        .await
        .must_end_with(0);
    let took = begun.elapsed();
    let requests: u64 = stage.server.requests().values().sum();
    assert!(requests > 100, "{requests} requests");
    // Ten of them may be sent at once after a pause.
    let least = Duration::from_millis((requests - 10) * 10);
    assert!(took >= least, "{requests} requests in {took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn temporary_failures_are_retried() {
    let stage = Stage::new().await;
    (0..60).for_each(|number| stage.put(SOURCE, &format!("{number:04}"), "one"));
    let faults = json!([
        { "operation": "*", "probability": 0.1, "fault": "throttle", "times": 40 },
        { "operation": "CopyObject", "probability": 0.1, "fault": "ok-with-error", "times": 10 },
        { "operation": "CopyObject", "probability": 0.1, "fault": "lost-response", "times": 5 },
    ]);
    stage.server.set_faults(&faults).expect("rules");
    let ran = stage.on_both("sync", &[]).await.must_end_with(0);
    assert_eq!(ran.summary()["failed"], 0);
    stage.server.set_faults(&json!([])).expect("rules");
    stage.on_both("diff", &["--depth", "head"]).await.must_end_with(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_that_fail_are_named_and_the_others_are_copied() {
    let stage = Stage::new().await;
    stage.put(SOURCE, "fine", "one");
    let archived = |explicit: &mut WriteAttributes| explicit.storage_class = Some("DEEP_ARCHIVE".to_owned());
    stage.put_with(SOURCE, "archived", "one", archived);
    let ran = stage
        .on_both("sync", &["--failures", "failed.jsonl"])
        .await
        .must_end_with(1);
    let summary = ran.summary();
    assert_eq!((&summary["copied"], &summary["failed"]), (&1.into(), &1.into()));
    assert_eq!(summary["failures"], "failed.jsonl");
    let file = std::fs::read_to_string(stage.folder().join("failed.jsonl")).expect("the file of failures");
    let line: serde_json::Value = serde_json::from_str(file.trim()).expect("one line of JSON");
    assert_eq!(
        (&line["key"], &line["code"]),
        (&"archived".into(), &"ArchivedNotRestored".into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn file_of_failures_is_of_this_run_alone_and_can_be_written() {
    let stage = Stage::new().await;
    stage.put(SOURCE, "fine", "one");
    let path = stage.folder().join("s3ferry-failures.jsonl");
    std::fs::write(&path, "{\"key\":\"of an earlier run\"}\n").expect("a file");
    for path in ["no/such/folder/failed.jsonl", "."] {
        let ran = stage.on_both("sync", &["--failures", path]).await.must_end_with(3);
        assert!(ran.stderr.contains("create the file of failures"), "{ran:?}");
        assert!(stage.server.requests().is_empty(), "nothing was asked of S3");
    }
    let ran = stage.on_both("sync", &[]).await.must_end_with(0);
    assert_eq!(
        (&ran.summary()["copied"], &ran.summary()["failures"]),
        (&1.into(), &json!(null))
    );
    assert_eq!(std::fs::read_to_string(&path).expect("the file of failures"), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn other_output_files_are_checked_and_cleared_before_any_work() {
    let stage = Stage::new().await;
    stage.put(SOURCE, "a", "one");
    for (command, flag) in [
        ("verify", "--report"),
        ("verify", "--differences"),
        ("manifest", "--to"),
    ] {
        let ran = stage
            .on_both(command, &[flag, "no/such/folder/out.csv"])
            .await
            .must_end_with(3);
        assert!(ran.stderr.contains("no/such/folder"), "{ran:?}");
        assert_eq!(stage.server.requests().get("HeadObject"), None, "{command} {flag}");
    }
    for extension in ["json", "html"] {
        std::fs::write(stage.folder().join(format!("proof.{extension}")), "of an earlier run").expect("a file");
    }
    // The comparison fails before there is anything to report.
    let gone = ["--report", "proof", "--source-checksums", "no-such-manifest.json"];
    stage.on_both("verify", &gone).await.must_end_with(3);
    for extension in ["json", "html"] {
        assert!(
            !stage.folder().join(format!("proof.{extension}")).exists(),
            "{extension}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn locations_that_may_be_mistyped_get_a_warning() {
    let stage = Stage::new().await;
    for key in ["data/a", "database/b", "logs/2026-11/a", "images/*.jpg/a"] {
        stage.both(key, "one");
    }
    for (prefix, warning) in [
        ("data", Some("also selects `database/b`")),
        (
            "images/*.jpg",
            Some("`*` in s3://cli-source/images/*.jpg is taken literally"),
        ),
        ("data/", None),
        ("logs/2026-", None),
        ("", None),
    ] {
        for command in ["diff", "sync", "verify"] {
            let ran = stage.run(command, &Stage::sides_below(prefix)).await.must_end_with(0);
            match warning {
                Some(warning) => assert!(ran.stderr.contains(warning), "{prefix}: {ran:?}"),
                None => assert!(!ran.stderr.contains("warning"), "{prefix}: {ran:?}"),
            }
        }
    }
}

/// Copies in parts what has more than 5 MiB, and writes down how far that is.
const IN_PARTS: [&str; 6] = [
    "--multipart-threshold-bytes",
    "5242880",
    "--part-size-bytes",
    "5242880",
    "--state-bucket",
    STATE,
];

pub(crate) fn large() -> String {
    "x".repeat(11 * 1024 * 1024)
}

#[tokio::test(flavor = "multi_thread")]
async fn upload_that_is_begun_late_leaves_nothing_behind() {
    let stage = Stage::new().await;
    // During the copy, between the two reads of the key, and during the second.
    for after_requests in 12..20 {
        let key = after_requests.to_string();
        stage.put(SOURCE, &key, &large());
        let late = json!([{
            "operation": "CreateMultipartUpload", "nth": 1, "times": 1, "fault": "late",
            "delay_ms": 1, "after_requests": after_requests, "after_ms": 600_000,
        }]);
        stage.server.set_faults(&late).expect("rules");
        stage.on_both("sync", &IN_PARTS).await.must_end_with(0);
        let model = stage.server.model();
        let destination = model.bucket(DESTINATION).expect("the bucket");
        assert!(destination.current_object(&key).is_some());
        assert_eq!(destination.uploads.len(), 0, "after {after_requests} requests");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn large_objects_are_copied_by_multipart_copy_without_leftovers() {
    let stage = Stage::new().await;
    stage.put(SOURCE, "large", &large());
    let multipart = IN_PARTS;
    let ran = stage.on_both("sync", &multipart).await.must_end_with(0);
    assert_eq!(ran.summary()["copied"], 1);
    let requests = stage.server.requests();
    assert_eq!(requests["UploadPartCopy"], 3, "{requests:?}");
    assert_eq!(requests["CompleteMultipartUpload"], 1);
    // The journal's entry was made and removed.
    assert_eq!((requests["PutObject"], requests["DeleteObject"]), (1, 1));
    let ran = stage.on_both("sync", &multipart).await.must_end_with(0);
    assert_eq!(
        (&ran.summary()["copied"], &ran.summary()["found_equal"]),
        (&0.into(), &1.into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn deletes_take_evidence_and_a_yes() {
    let stage = Stage::new().await;
    stage.both("deleted at the source", "one");
    stage.both("kept", "one");
    stage.delete(SOURCE, "deleted at the source");
    let ran = stage.on_both("sync", &["--delete"]).await.must_end_with(2);
    assert!(ran.stderr.contains("pass --yes"), "{ran:?}");
    let ran = stage.on_both("sync", &["--delete", "--yes"]).await.must_end_with(0);
    assert_eq!(ran.summary()["deleted"], 1);
    stage.put(DESTINATION, "an application's", "one");
    let ran = stage
        .on_both(
            "sync",
            &["--delete", "--yes", "--ownership", "shared", "--state-bucket", STATE],
        )
        .await
        .must_end_with(2);
    assert!(ran.stderr.contains("next: omit --delete"), "{ran:?}");
    assert!(!ran.stderr.contains("--ownership exclusive"), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn second_interrupt_says_that_uploads_may_be_left() {
    let stage = Stage::new().await;
    stage.put(SOURCE, "slow", "one");
    let hangs = json!([{ "operation": "CopyObject", "probability": 1.0, "fault": "timeout" }]);
    stage.server.set_faults(&hangs).expect("rules");
    let mut child = stage.start("sync", &Stage::sides());
    let pid = child.id().expect("it runs");
    stage.until_requested("CopyObject", 1).await;
    interrupt(pid);
    let mut stderr = BufReader::new(child.stderr.take().expect("it is read")).lines();
    let first = stderr.next_line().await.expect("a line").expect("a line");
    assert!(first.contains("within about 20 seconds"), "{first}");
    interrupt(pid);
    let second = stderr.next_line().await.expect("a line").expect("a line");
    assert!(
        second.contains("multipart uploads may remain at the destination"),
        "{second}"
    );
    let next = stderr.next_line().await.expect("a line").expect("a line");
    assert!(next.contains("next: run the same command again"), "{next}");
    ended(child).await.must_end_with(130);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_white_space_alone_are_named_and_hold_nothing_up() {
    let stage = Stage::new().await;
    for key in [" ", "\n", "\u{3000}", "fine "] {
        stage.put(SOURCE, key, "one");
    }
    let ran = stage.on_both("sync", &[]).await.must_end_with(1);
    assert_eq!(
        (&ran.summary()["copied"], &ran.summary()["failed"]),
        (&1.into(), &3.into())
    );
    let failures = std::fs::read_to_string(stage.folder().join("s3ferry-failures.jsonl")).expect("the failures");
    for line in failures.lines() {
        let line: serde_json::Value = serde_json::from_str(line).expect("a line of JSON");
        assert_eq!(
            (&line["kind"], &line["code"]),
            (&json!("permanent"), &json!("RequestNotMade"))
        );
        let key = line["key"].as_str().expect("a key");
        let expected = format!("the key {key:?} contains only white space");
        assert!(line["detail"].as_str().expect("a text").contains(&expected), "{line}");
    }
    assert_eq!(failures.lines().count(), 3);
}

/// Under SSE-KMS without a checksum a copy cannot be compared: it is copied again, and the summary says so.
#[tokio::test(flavor = "multi_thread")]
async fn copies_of_objects_that_cannot_be_compared_are_counted() {
    let stage = Stage::new().await;
    stage.put(SOURCE, "plain", "one");
    let object = SyntheticObject {
        size_bytes: 5,
        seed: 1,
        checksum: SyntheticChecksum::Missing,
        explicit: WriteAttributes {
            encryption: Some(SimEncryption::Kms {
                algorithm: "aws:kms".to_owned(),
                key: None,
                bucket_key: false,
            }),
            ..WriteAttributes::default()
        },
        ..SyntheticObject::default()
    };
    let target = WriteTarget {
        bucket: SOURCE,
        key: "secret",
    };
    stage
        .server
        .model()
        .put_synthetic(target, &object)
        .expect("the object is made");
    for (copied, not_comparable) in [(2, 0), (1, 1)] {
        let summary = stage.on_both("sync", &[]).await.must_end_with(0).summary();
        assert_eq!(summary["copied"], copied, "{summary}");
        assert_eq!(summary["copied_not_comparable"], not_comparable, "{summary}");
    }
    let ran = stage.run("sync", &Stage::sides()).await.must_end_with(0);
    assert!(
        ran.stdout
            .contains("because nothing that both sides store can be compared"),
        "{ran:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn sync_of_two_empty_sides_warns_of_a_mistyped_location() {
    let stage = Stage::new().await;
    stage.put(SOURCE, "data/a", "one");
    let mut arguments = Stage::sides_below("dta/");
    for dry in [false, true] {
        if dry {
            arguments.push("--dry-run".to_owned());
        }
        let ran = stage.run("sync", &arguments).await.must_end_with(0);
        let warning = format!("warning: neither s3://{SOURCE}/dta/ nor s3://{DESTINATION}/dta/ has an object");
        assert!(ran.stderr.contains(&warning), "{ran:?}");
    }
    let ran = stage.run("sync", &Stage::sides_below("data/")).await.must_end_with(0);
    assert!(!ran.stderr.contains("warning"), "{ran:?}");
}
