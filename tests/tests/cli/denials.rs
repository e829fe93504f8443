//! Permissions that are missing, for everything or for one object.

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::stage::{DESTINATION, Ran, SOURCE, Stage, ended, start};

/// Stands before the simulator and denies every HEAD of an object whose path has `part` in it.
async fn denying(stage: &Stage, part: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
    let upstream = stage.server.endpoint().trim_start_matches("http://").to_owned();
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            tokio::spawn(pass_or_deny(connection, upstream.clone(), part));
        }
    });
    endpoint
}

async fn pass_or_deny(connection: TcpStream, upstream: String, part: &str) {
    let mut client = BufReader::new(connection);
    let mut request = String::new();
    while !request.ends_with("\r\n\r\n") {
        // A client that is done closes what it holds open.
        if client.read_line(&mut request).await.expect("a request") == 0 {
            return;
        }
    }
    let path = request.split(' ').nth(1).expect("a path");
    let is_object = path.trim_matches('/').contains('/');
    if request.starts_with("HEAD") && is_object && path.contains(part) {
        let denied = b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        client.write_all(denied).await.expect("somebody reads");
        return;
    }
    let mut server = TcpStream::connect(upstream).await.expect("the simulator");
    let request = request.replacen("\r\n", "\r\nconnection: close\r\n", 1);
    server.write_all(request.as_bytes()).await.expect("it reads");
    // Whoever has read enough may go away.
    let _cut = tokio::io::copy(&mut server, &mut client).await;
}

async fn run(stage: &Stage, endpoint: &str, command: &str, arguments: &[String]) -> Ran {
    let environment = [
        ("AWS_ENDPOINT_URL", endpoint),
        ("AWS_ACCESS_KEY_ID", "any"),
        ("AWS_SECRET_ACCESS_KEY", "any"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ];
    ended(start(stage.folder(), &environment, command, arguments)).await
}

fn on_both(more: &[&str]) -> Vec<String> {
    let mut arguments = Stage::sides();
    arguments.extend(more.iter().map(|argument| (*argument).to_owned()));
    arguments
}

fn of_source(more: &[&str]) -> Vec<String> {
    on_both(more)
        .into_iter()
        .enumerate()
        .filter(|(at, _)| !(4..8).contains(at))
        .map(|(_, argument)| argument)
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nothing_may_be_looked_at_commands_end_with_3() {
    for keys in [3, 200] {
        let stage = Stage::new().await;
        for number in 0..keys {
            stage.put(SOURCE, &format!("{number:04}"), "longer");
            stage.put(DESTINATION, &format!("{number:04}"), "one");
        }
        let endpoint = denying(&stage, "").await;
        for (command, arguments) in [
            ("diff", on_both(&[])),
            ("diff", on_both(&["--deep", "--output", "json"])),
            ("sync", on_both(&[])),
            ("verify", on_both(&[])),
            ("manifest", of_source(&["--by-class", "--to", "run.csv"])),
            ("manifest", of_source(&["--versions", "--to", "run.csv"])),
            ("manifest", on_both(&["--deep", "--to", "run.csv"])),
        ] {
            let ran = run(&stage, &endpoint, command, &arguments).await.must_end_with(3);
            assert!(ran.stderr.contains("AccessDenied"), "{ran:?}");
            assert!(ran.stderr.contains("next: grant the action that is named"), "{ran:?}");
        }
        let written = std::fs::read_dir(stage.folder()).expect("the folder");
        let written = written.filter(|file| file.as_ref().expect("a file").file_name() != "s3ferry-failures.jsonl");
        assert_eq!(written.count(), 0, "no manifest is written");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_object_is_denied_is_that_objects_matter() {
    let stage = Stage::new().await;
    for key in ["denied", "fine"] {
        stage.put(SOURCE, key, "longer");
        stage.put(DESTINATION, key, "one");
    }
    let endpoint = denying(&stage, "denied").await;
    let ran = run(&stage, &endpoint, "diff", &on_both(&["--output", "json"]))
        .await
        .must_end_with(1);
    assert_eq!(ran.differences()["denied"], ["cannot-tell"]);
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
