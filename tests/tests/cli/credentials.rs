//! Credentials that expire while a command works.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::json;

use crate::proxy::{Head, of_source, on_both, proxy, run};
use crate::stage::{DESTINATION, SOURCE, Stage};

/// Refuses everything after so many requests of objects: a HEAD without a body, as S3 does it.
async fn expiring(stage: &Stage, after: u64, status: u16, code: &'static str) -> String {
    let seen = Arc::new(AtomicU64::new(0));
    proxy(stage, move |head: &Head| {
        let seen = seen.fetch_add(u64::from(head.is_of_object()), Ordering::SeqCst);
        (seen >= after).then(|| head.refused(status, code))
    })
    .await
}

async fn filled() -> Stage {
    let stage = Stage::new().await;
    for number in 0..40 {
        stage.put(SOURCE, &format!("{number:02}"), "longer");
        stage.put(DESTINATION, &format!("{number:02}"), "one");
    }
    stage
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_expire_midway_end_every_command_with_3_and_counts() {
    for (command, arguments, counts) in [
        ("diff", on_both(&["--concurrency", "2"]), "stopped after"),
        (
            "verify",
            on_both(&["--concurrency", "2"]),
            "The verification is incomplete",
        ),
        ("sync", on_both(&["--concurrency", "1"]), "copied"),
        (
            "manifest",
            of_source(&["--by-class", "--concurrency", "2", "--to", "run.csv"]),
            "stopped after",
        ),
        (
            "manifest",
            of_source(&["--versions", "--concurrency", "2", "--to", "run.csv"]),
            "stopped after",
        ),
    ] {
        let stage = filled().await;
        let endpoint = expiring(&stage, 15, 400, "ExpiredToken").await;
        let ran = run(&stage, &endpoint, command, &arguments).await.must_end_with(3);
        assert!(ran.stderr.contains("ExpiredToken"), "{ran:?}");
        assert!(ran.stderr.contains("next: renew the credentials"), "{ran:?}");
        assert!(ran.stderr.contains("run the same command again"), "{ran:?}");
        assert!(
            ran.stdout.contains(counts) || ran.stderr.contains(counts),
            "{counts}: {ran:?}"
        );
        assert!(!ran.stdout.contains("CustomerKeyEncrypted"), "{ran:?}");
        assert!(!stage.folder().join("run-not-copyable-0001.jsonl").exists(), "{ran:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_to_be_no_valid_credentials_ends_a_sync_whatever_succeeded_before() {
    for (status, code) in [
        (403, "InvalidAccessKeyId"),
        (403, "SignatureDoesNotMatch"),
        (403, "RequestTimeTooSkewed"),
        (400, "ExpiredToken"),
    ] {
        let stage = filled().await;
        let endpoint = expiring(&stage, 21, status, code).await;
        let arguments = on_both(&["--concurrency", "2", "--output", "json"]);
        let ran = run(&stage, &endpoint, "sync", &arguments).await.must_end_with(3);
        let summary = ran.summary();
        assert!(summary["copied"].as_u64() > Some(0), "{code}: {summary}");
        assert!(
            summary["failed"].as_u64() < Some(10),
            "{code}: the others are not tried: {summary}"
        );
        assert!(
            summary["stopped_by"].as_str().expect("a reason").contains(code),
            "{summary}"
        );
        // With credentials that are good again the rest is done.
        stage.on_both("sync", &[]).await.must_end_with(0);
        stage.on_both("diff", &[]).await.must_end_with(0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unanswered_copy_does_not_hold_a_sync_up_for_ever() {
    let stage = Stage::new().await;
    stage.put(SOURCE, "a", "one");
    stage.put(SOURCE, "b", "one");
    let silent = json!([{ "operation": "CopyObject", "nth": 1, "fault": "timeout" }]);
    stage.server.set_faults(&silent).expect("rules");
    let ran = stage.on_both("sync", &[]).await.must_end_with(0);
    assert_eq!(ran.summary()["failed"], 0);
    stage.on_both("diff", &["--depth", "head"]).await.must_end_with(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn stopped_commands_end_their_json_with_a_summary() {
    let json = ["--output", "json", "--concurrency", "2"];
    for (command, arguments) in [
        ("diff", on_both(&json)),
        ("verify", on_both(&json)),
        ("sync", on_both(&json)),
        (
            "manifest",
            of_source(&[&json[..], &["--by-class", "--to", "run.csv"]].concat()),
        ),
    ] {
        let stage = filled().await;
        let endpoint = expiring(&stage, 15, 400, "ExpiredToken").await;
        let ran = run(&stage, &endpoint, command, &arguments).await.must_end_with(3);
        let summary = ran.summary();
        assert_eq!(summary["type"], "summary", "{ran:?}");
        let stopped_by = summary["stopped_by"].as_str().unwrap_or_default();
        assert!(stopped_by.contains("ExpiredToken"), "{command}: {ran:?}");
    }
}
