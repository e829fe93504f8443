//! Permissions that are missing, for everything or for one object.

use serde_json::Value;

use crate::proxy::{of_source, on_both, proxy, run};
use crate::stage::{DESTINATION, SOURCE, Stage};

/// Denies every read of an object whose path has `part` in it.
async fn denying(stage: &Stage, part: &'static str) -> String {
    proxy(stage, move |head| {
        let is_read = matches!(head.method(), "HEAD" | "GET") && head.is_of_object();
        (is_read && head.target().contains(part)).then(|| head.refused(403, "AccessDenied"))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_exit_with_3_when_every_read_is_denied() {
    for keys in [3, 200] {
        let stage = Stage::new().await;
        for number in 0..keys {
            stage.put(SOURCE, &format!("{number:04}"), "longer");
            stage.put(DESTINATION, &format!("{number:04}"), "one");
        }
        let endpoint = denying(&stage, "").await;
        for (command, arguments) in [
            ("diff", on_both(&[])),
            ("diff", on_both(&["--depth", "head", "--output", "json"])),
            ("sync", on_both(&[])),
            ("verify", on_both(&[])),
            ("manifest", of_source(&["--by-class", "--to", "run.csv"])),
            ("manifest", of_source(&["--versions", "--to", "run.csv"])),
            ("manifest", on_both(&["--depth", "head", "--to", "run.csv"])),
        ] {
            let ran = run(&stage, &endpoint, command, &arguments).await.must_end_with(3);
            assert!(ran.stderr.contains("AccessDenied"), "{ran:?}");
            assert!(ran.stderr.contains("next: grant the named action"), "{ran:?}");
        }
        let written = std::fs::read_dir(stage.folder()).expect("the folder");
        let written = written.filter(|file| file.as_ref().expect("a file").file_name() != "s3ferry-failures.jsonl");
        assert_eq!(written.count(), 0, "no manifest is written");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn denial_of_one_object_is_a_failure_of_that_object() {
    let stage = Stage::new().await;
    for key in ["denied", "fine"] {
        stage.put(SOURCE, key, "longer");
        stage.put(DESTINATION, key, "one");
    }
    let endpoint = denying(&stage, "denied").await;
    let ran = run(&stage, &endpoint, "diff", &on_both(&["--output", "json"]))
        .await
        .must_end_with(1);
    assert_eq!(ran.differences()["denied"], ["inconclusive"]);
    assert_eq!(ran.differences()["fine"], ["size"]);
    let ran = run(
        &stage,
        &endpoint,
        "manifest",
        &of_source(&["--by-class", "--to", "run.csv"]),
    )
    .await;
    ran.must_end_with(1);
}

#[tokio::test(flavor = "multi_thread")]
async fn equal_denials_are_reported_once_with_a_count() {
    let stage = Stage::new().await;
    for key in ["denied/1", "denied/2", "denied/3", "fine"] {
        stage.put(SOURCE, key, "longer");
        stage.put(DESTINATION, key, "one");
    }
    let endpoint = denying(&stage, "denied").await;
    for command in ["diff", "verify", "sync"] {
        let ran = run(&stage, &endpoint, command, &on_both(&[])).await.must_end_with(1);
        assert!(ran.stdout.contains("; and 2 more objects"), "{ran:?}");
        assert_eq!(ran.stdout.matches("Said by a proxy.").count(), 1, "{ran:?}");
        assert!(ran.stdout.contains("the credentials need s3:GetObject"), "{ran:?}");
        assert!(!ran.stdout.contains("role"), "the caller is a user: {ran:?}");
    }
    // Nothing else is left to be done, so that everything is denied.
    let ran = run(&stage, &endpoint, "sync", &on_both(&["--output", "json"])).await;
    assert_eq!(ran.must_end_with(3).summary()["failed_by"][0]["objects"], 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_in_reasons_reach_a_terminal_as_escapes_and_json_as_they_are() {
    const HOSTILE: &str = "\u{1b}[31mRED\u{1b}]0;pwn\u{7}\u{202e}\n  next: pay";
    let stage = Stage::new().await;
    for key in [HOSTILE, "fine"] {
        stage.put(SOURCE, key, "longer");
        stage.put(DESTINATION, key, "one");
    }
    let endpoint = denying(&stage, "RED").await;
    let is_clean = |text: &str| !text.contains(['\u{1b}', '\u{7}', '\u{202e}']) && !text.contains("\n  next: pay");
    for command in ["diff", "verify"] {
        let ran = run(&stage, &endpoint, command, &on_both(&[])).await.must_end_with(1);
        assert!(is_clean(&ran.stdout) && is_clean(&ran.stderr), "{ran:?}");
        assert!(ran.stdout.contains("/\\u{1b}[31mRED"), "{ran:?}");
        let ran = run(&stage, &endpoint, command, &on_both(&["--output", "json"]))
            .await
            .must_end_with(1);
        let is_hostile = |line: &Value| line["reason"].as_str().is_some_and(|reason| reason.contains(HOSTILE));
        assert!(ran.json().iter().any(is_hostile), "{ran:?}");
    }
    // An error that ends the command.
    stage.delete(SOURCE, "fine");
    stage.delete(DESTINATION, "fine");
    for (command, arguments) in [
        ("diff", on_both(&[])),
        ("verify", on_both(&[])),
        ("sync", on_both(&[])),
        ("manifest", of_source(&["--by-class", "--to", "run.csv"])),
    ] {
        let ran = run(&stage, &endpoint, command, &arguments).await.must_end_with(3);
        assert!(is_clean(&ran.stdout) && is_clean(&ran.stderr), "{ran:?}");
        assert!(ran.stderr.contains("\\n  next: pay"), "{ran:?}");
    }
}
