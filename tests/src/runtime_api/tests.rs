use std::io::Write;
use std::os::unix::fs::PermissionsExt;

use super::*;

/// A function that returns its event and the function ARN from the API's headers, or fails on request.
const FAKE_FUNCTION: &str = r#"#!/usr/bin/env python3
import json, os, sys, urllib.request
if os.environ.get("REFUSE"):
    sys.exit("SOURCE_BUCKET is missing")
base = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"] + "/2018-06-01/runtime/invocation/"
while True:
    with urllib.request.urlopen(base + "next") as event:
        body, given = event.read().decode(), event.headers
    print("event", body, flush=True)
    if body == '"crash"':
        sys.exit(3)
    kind = "error" if body == '"fail"' else "response"
    answer = json.dumps([body, given["lambda-runtime-invoked-function-arn"]])
    path = base + given["lambda-runtime-aws-request-id"] + "/" + kind
    urllib.request.urlopen(urllib.request.Request(path, answer.encode(), method="POST")).close()
"#;

async fn start_fake(folder: &Path, more: &[(&str, &str)]) -> Result<Function> {
    let binary = folder.join("stand-in").join("bootstrap");
    std::fs::create_dir_all(binary.parent().expect("a folder")).expect("mkdir");
    let mut file = File::create(&binary).expect("create");
    file.write_all(FAKE_FUNCTION.as_bytes()).expect("write");
    file.set_permissions(std::fs::Permissions::from_mode(0o755))
        .expect("chmod");
    drop(file);
    let path = std::env::var("PATH").expect("PATH");
    let environment = [&[("PATH", path.as_str())], more].concat();
    let environment: Vec<_> = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    Function::start(&binary, &environment, Duration::from_mins(1)).await
}

#[tokio::test]
async fn events_are_handled_one_after_the_other() {
    let folder = TempDir::new().expect("folder");
    let mut function = start_fake(folder.path(), &[]).await.expect("starts");
    let answered = |event: &str| format!("[{event:?}, \"arn:aws:lambda:us-east-1:000000000000:function:stand-in\"]");
    let answer = function.invoke("1").await.expect("answers");
    assert_eq!(answer, InvocationReply::Response(answered("1")));
    let answer = function.invoke("\"fail\"").await.expect("answers");
    assert_eq!(answer, InvocationReply::Error(answered("\"fail\"")));
    assert!(function.log().expect("log").contains("event 1"));
    assert!(function.resident_kib().is_some_and(|kib| kib > 0));
    assert!(function.time_to_first_next() > Duration::ZERO);
}

#[tokio::test]
async fn function_that_refuses_to_start_is_an_error_with_its_output() {
    let folder = TempDir::new().expect("folder");
    let error = start_fake(folder.path(), &[("REFUSE", "1")])
        .await
        .expect_err("refuses");
    assert!(
        matches!(&error, HarnessError::Ended { status, .. } if !status.success()),
        "{error}"
    );
    assert!(error.to_string().contains("SOURCE_BUCKET is missing"), "{error}");
}

#[tokio::test]
async fn function_that_ends_during_an_invocation_is_an_error() {
    let folder = TempDir::new().expect("folder");
    let mut function = start_fake(folder.path(), &[]).await.expect("starts");
    let error = function.invoke("\"crash\"").await.expect_err("crashes");
    assert!(
        matches!(&error, HarnessError::Ended { status, .. } if status.code() == Some(3)),
        "{error}"
    );
}
