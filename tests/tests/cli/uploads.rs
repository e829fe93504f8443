//! Multipart uploads that a sync leaves, or must not leave, at the destination.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use s3ferry_testkit::sim::model::simulator::WriteTarget;
use s3ferry_testkit::sim::model::synthetic::SyntheticObject;
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
async fn source_deleted_during_a_multipart_copy_is_reported() {
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

fn annotations(stage: &Stage, key: &str) -> BTreeMap<String, String> {
    let model = stage.server.model();
    let object = model.bucket(DESTINATION).expect("the bucket").current_object(key);
    let annotations = &object.expect("the object").annotations;
    let text = |payload: &[u8]| String::from_utf8(payload.to_vec()).expect("a text");
    annotations
        .iter()
        .map(|(name, annotation)| (name.clone(), text(&annotation.payload)))
        .collect()
}

/// Makes the objects of both sides older than they are.
fn age(stage: &Stage, key: &str, hours: u64) {
    let mut model = stage.server.model();
    for bucket in [SOURCE, DESTINATION] {
        let bucket = model.bucket_mut(bucket).expect("the bucket");
        let version = bucket.change(key, None).expect("the version");
        version.last_modified -= hours * 60 * 60 * 1_000;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sync_that_is_killed_before_the_annotations_of_a_multipart_copy_is_repaired_by_the_same_command() {
    let stage = Stage::new().await;
    stage.put(SOURCE, "small", "one");
    let at_source = |key| WriteTarget { bucket: SOURCE, key };
    let object = SyntheticObject {
        size_bytes: 12 << 20,
        part_size_bytes: Some(6 << 20),
        ..SyntheticObject::default()
    };
    for key in ["large", "plain"] {
        let written = stage.server.model().put_synthetic(at_source(key), &object);
        written.expect("the object is written");
    }
    let annotated = stage
        .server
        .model()
        .put_annotation(at_source("large"), None, "note", "one".to_owned().into());
    annotated.expect("the annotation is written");
    let hangs = json!([{ "operation": "PutObjectAnnotation", "probability": 1.0, "fault": "timeout" }]);
    stage.server.set_faults(&hangs).expect("rules");
    let arguments = on_both(&[&IN_PARTS[..], &["--output", "json"]].concat());
    let mut child = stage.start("sync", &arguments);
    stage.until_requested("PutObjectAnnotation", 1).await;
    child.kill().await.expect("it is killed");
    stage.server.set_faults(&json!([])).expect("rules");
    assert_eq!(annotations(&stage, "large"), BTreeMap::new());
    stage.run("sync", &arguments).await.must_end_with(0);
    let arrived = BTreeMap::from([("note".to_owned(), "one".to_owned())]);
    assert_eq!(annotations(&stage, "large"), arrived);

    // With a state bucket the journal names what is unfinished; without one, objects of the last day are read.
    let requests_of = async |more: &[&str]| {
        stage.server.forget_requests();
        let arguments = [&IN_PARTS[..], more].concat();
        let ran = stage.on_both("sync", &arguments).await.must_end_with(0);
        assert_eq!(
            (&ran.summary()["copied"], &ran.summary()["attributes_updated"]),
            (&0.into(), &0.into()),
            "{ran:?}"
        );
        let requests = stage.server.requests();
        let count = |operation: &str| requests.get(operation).copied().unwrap_or_default();
        (count("HeadObject"), count("ListObjectAnnotations"))
    };
    assert_eq!(requests_of(&["--state-bucket", STATE]).await, (0, 0));
    // Each of the two multipart objects is read twice on both sides, the second time with its annotations.
    assert_eq!(requests_of(&[]).await, (8, 4));
    age(&stage, "large", 23);
    age(&stage, "plain", 25);
    assert_eq!(requests_of(&[]).await, (4, 2));
}
