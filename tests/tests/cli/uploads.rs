//! Multipart uploads that a sync leaves, or must not leave, at the destination.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use crate::proxy::{on_both, proxy, run};
use crate::stage::{DESTINATION, SOURCE, STATE, Stage, ended};
use crate::syncs::{interrupt, large};

/// Copies in parts what has more than 5 MiB, without a journal.
const IN_PARTS: [&str; 4] = ["--multipart-threshold-bytes", "5242880", "--part-size-bytes", "5242880"];

fn uploads(stage: &Stage) -> usize {
    stage
        .server
        .model()
        .bucket(DESTINATION)
        .expect("the bucket")
        .uploads
        .len()
}

fn journal(stage: &Stage) -> usize {
    stage.objects(STATE)
}

#[tokio::test(flavor = "multi_thread")]
async fn listing_that_fails_during_a_multipart_copy_leaves_no_upload() {
    let stage = Stage::new().await;
    stage.put(SOURCE, "0-large", &large());
    for number in 0..1_200 {
        stage.both(&format!("{number:05}"), "one");
    }
    let slow = json!([{ "operation": "UploadPartCopy", "probability": 1.0, "fault": "slow", "delay_ms": 300 }]);
    stage.server.set_faults(&slow).expect("rules");
    // The listing fails for good once a part is under way, and for a while until then.
    let begun = Arc::new(AtomicBool::new(false));
    let endpoint = proxy(&stage, move |head| {
        if head.target().contains("partNumber=") {
            begun.store(true, Ordering::SeqCst);
        }
        let is_second_page = head.lists(SOURCE) && head.target().contains("start-after");
        let (status, code) = if begun.load(Ordering::SeqCst) {
            (403, "AccessDenied")
        } else {
            (503, "SlowDown")
        };
        is_second_page.then(|| head.refused(status, code))
    })
    .await;
    let arguments = on_both(&[&IN_PARTS[..], &["--output", "json"]].concat());
    let ran = run(&stage, &endpoint, "sync", &arguments).await.must_end_with(3);
    assert!(ran.stderr.contains("AccessDenied"), "{ran:?}");
    assert_eq!(uploads(&stage), 0, "{ran:?}");
    // What was under way was finished and counted.
    assert_eq!(ran.summary()["copied"], 1, "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn source_that_is_deleted_while_it_is_copied_in_parts_is_reported_as_that() {
    type Delete = fn(&Stage);
    let deletes: [(Delete, &str, usize); 2] = [
        // Its version is still there, so that the copy ends first.
        (|stage| stage.delete(SOURCE, "large"), "gone_at_source", 1),
        (|stage| stage.purge(SOURCE, "large"), "gone", 0),
    ];
    for (delete, reported, left) in deletes {
        let stage = Stage::new().await;
        stage.put(SOURCE, "large", &large());
        let slow = json!([{ "operation": "UploadPartCopy", "nth": 1, "fault": "slow", "delay_ms": 300 }]);
        stage.server.set_faults(&slow).expect("rules");
        let arguments = on_both(&[&IN_PARTS[..], &["--max-concurrent-parts", "1", "--output", "json"]].concat());
        let child = stage.start("sync", &arguments);
        stage.until_requested("UploadPartCopy", 1).await;
        delete(&stage);
        let ran = ended(child).await.must_end_with(0);
        let summary = ran.summary();
        let counts = ["copied", "found_equal", "gone", "gone_at_source"].map(|name| (name, summary[name].as_u64()));
        let expected = counts.map(|(name, _)| (name, Some(u64::from(name == reported))));
        assert_eq!(counts, expected, "{ran:?}");
        assert_eq!((uploads(&stage), stage.objects(DESTINATION)), (0, left), "{ran:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn upload_whose_source_is_small_or_gone_by_now_is_aborted_by_the_next_run() {
    type Change = fn(&Stage);
    let changes: [(Change, &str); 4] = [
        (|stage| stage.both("large", "small"), "equal on both sides"),
        (|stage| stage.put(SOURCE, "large", "small"), "to be copied whole"),
        (|stage| stage.delete(SOURCE, "large"), "gone"),
        (
            |stage| {
                stage.put(DESTINATION, "large", "old");
                stage.delete(SOURCE, "large");
            },
            "at the destination alone",
        ),
    ];
    for (change, what) in changes {
        let stage = Stage::new().await;
        stage.put(SOURCE, "large", &large());
        stage.put(SOURCE, "other", "one");
        let hangs = json!([{ "operation": "UploadPartCopy", "probability": 1.0, "fault": "timeout" }]);
        stage.server.set_faults(&hangs).expect("rules");
        let arguments = on_both(&[&IN_PARTS[..], &["--state-bucket", STATE, "--output", "json"]].concat());
        let mut child = stage.start("sync", &arguments);
        stage.until_requested("UploadPartCopy", 1).await;
        child.kill().await.expect("it is killed");
        assert_eq!((uploads(&stage), journal(&stage)), (1, 1), "{what}");
        stage.server.set_faults(&json!([])).expect("rules");
        change(&stage);
        stage.run("sync", &arguments).await.must_end_with(0);
        assert_eq!((uploads(&stage), journal(&stage)), (0, 0), "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn interrupted_multipart_copy_without_a_journal_is_aborted_or_named() {
    for (aborts, left) in [(true, 0), (false, 1)] {
        let stage = Stage::new().await;
        stage.put(SOURCE, "large", &large());
        let mut faults = vec![json!({ "operation": "UploadPartCopy", "probability": 1.0, "fault": "timeout" })];
        if !aborts {
            faults.push(json!({ "operation": "AbortMultipartUpload", "probability": 1.0, "fault": "timeout" }));
        }
        stage.server.set_faults(&faults.into()).expect("rules");
        let child = stage.start("sync", &on_both(&[&IN_PARTS[..], &["--output", "json"]].concat()));
        let pid = child.id().expect("it runs");
        stage.until_requested("UploadPartCopy", 1).await;
        interrupt(pid);
        let ran = ended(child).await.must_end_with(130);
        assert_eq!(uploads(&stage), left, "{ran:?}");
        assert_eq!(ran.summary()["uploads_left"], left, "{ran:?}");
        let failures = std::fs::read_to_string(stage.folder().join("s3ferry-failures.jsonl")).expect("the failures");
        assert_eq!(failures.contains("\"upload-left\""), left > 0, "{failures}");
        let summary = ran.summary();
        let counted = ["failed", "not_done", "interrupted"].map(|count| summary[count].as_u64());
        // Where the abort hangs, too, the time is over before the copy ends.
        assert_eq!(counted, [Some(0), Some(1), Some(u64::from(aborts))], "{ran:?}");
        assert!(!ran.stderr.contains("\"failed\":1"), "{ran:?}");
        assert!(failures.contains("run the same command again"), "{failures}");
        assert_eq!(failures.contains("--state-bucket"), aborts, "{failures}");
        assert!(!failures.contains("STATE_BUCKET"), "{failures}");
    }
}
