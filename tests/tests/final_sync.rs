//! State machine of the final sync, deployed with `sam deploy` to an emulator that enforces IAM.
#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::path::Path;

use s3ferry_tests::SOURCE_REGION;
use s3ferry_tests::aws_call::aws_call;
use s3ferry_tests::bucket::TestBucket;
use s3ferry_tests::compare::{differences, summary};
use s3ferry_tests::deployment::{DESTINATION_BUCKET, Deployment, PATIENCE, SOURCE_BUCKET, SourceStack};
use s3ferry_tests::emulator::EmulatorOptions;
use s3ferry_tests::tools;
use s3ferry_tests::upload::TestUpload;
use s3ferry_tests::waiting::{PollResult, until};
use s3ferry_tests::workload::{odd_keys, rich_objects, small_objects};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

/// Key prefix of the stacks in these tests.
const PREFIX: &str = "live/";

/// Key of the manifest in the state bucket.
const MANIFEST_KEY: &str = "final-sync/manifest.csv";

/// Prepares a versioned source bucket without a source stack, so that writes send no event.
async fn prepare() -> Deployment {
    let deployment = Deployment::prepare(EmulatorOptions::default()).await.expect("emulator");
    deployment.source.enable_versioning().await.expect("versioning");
    deployment.deploy_destination().await.expect("destination stack");
    deployment
}

async fn write(deployment: &Deployment, key: &str, body: &str) {
    TestUpload::new(key, body).write(&deployment.source).await.expect(key);
}

fn state_bucket(deployment: &Deployment, stack: &SourceStack<'_>) -> TestBucket {
    TestBucket::at(&deployment.emulator, SOURCE_REGION, &stack.outputs["StateBucketName"])
}

/// Returns a row of a manifest.
fn row(bucket: &str, key: &str, version: &str) -> String {
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    let spell = |byte: u8| {
        if unreserved(byte) {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    let key: String = key.bytes().map(spell).collect();
    if version.is_empty() {
        format!("{bucket},{key}\n")
    } else {
        format!("{bucket},{key},{version}\n")
    }
}

async fn upload_manifest(state: &TestBucket, rows: &[String]) {
    TestUpload::new(MANIFEST_KEY, rows.concat())
        .write(state)
        .await
        .expect("manifest");
}

async fn start(deployment: &Deployment, stack: &SourceStack<'_>, name: &str, input: &Value) -> String {
    let parameters = json!({
        "stateMachineArn": stack.outputs["FinalSyncStateMachineArn"], "name": name, "input": input.to_string(),
    });
    let emulator = &deployment.emulator;
    let started = aws_call(emulator, SOURCE_REGION, "stepfunctions", "start_execution", &parameters);
    started.await.expect("an execution")["executionArn"]
        .as_str()
        .expect("its ARN")
        .to_owned()
}

/// Waits for the end of an execution and returns its description.
async fn until_ended(deployment: &Deployment, arn: &str) -> Value {
    let parameters = json!({ "executionArn": arn });
    until("the end of the execution", PATIENCE, || async {
        let emulator = &deployment.emulator;
        let execution = aws_call(
            emulator,
            SOURCE_REGION,
            "stepfunctions",
            "describe_execution",
            &parameters,
        )
        .await?;
        Ok(if execution["status"] == "RUNNING" {
            PollResult::NotYet(execution.to_string())
        } else {
            PollResult::Yes(execution)
        })
    })
    .await
    .expect("an end")
}

async fn read_json(bucket: &TestBucket, key: &str) -> Value {
    let object = bucket.read(key).await.expect(key).unwrap_or_else(|| panic!("no {key}"));
    serde_json::from_slice(&object.body).expect("JSON")
}

#[tokio::test]
async fn manifest_of_odd_keys_is_synced_and_ends_in_a_summary() {
    let deployment = prepare().await;
    let cases: Vec<_> = odd_keys(PREFIX).into_iter().chain(rich_objects(PREFIX)).collect();
    for case in &cases {
        case.upload.write(&deployment.source).await.expect(case.title);
    }
    let small = small_objects(PREFIX, 20);
    for upload in &small {
        upload.write(&deployment.source).await.expect(&upload.key);
    }
    for body in ["first", "second"] {
        write(&deployment, "live/written twice.txt", body).await;
    }
    let versions = deployment
        .source
        .client
        .list_object_versions()
        .bucket(SOURCE_BUCKET)
        .prefix("live/written");
    let versions = versions.send().await.expect("versions");
    let mut versions = versions.versions().iter();
    let older = versions.find(|version| version.is_latest() == Some(false));
    let older = older
        .and_then(|version| version.version_id())
        .expect("an older version");

    let parameters = [("KeyPrefix", PREFIX), ("FinalSyncToleratedFailurePercentage", "20")];
    let stack = deployment
        .deploy_source("s3ferry", &parameters)
        .await
        .expect("source stack");
    let state = state_bucket(&deployment, &stack);
    assert!(deployment.destination.list("").await.expect("listing").is_empty());

    let mut rows: Vec<String> = cases
        .iter()
        .map(|case| row(SOURCE_BUCKET, &case.upload.key, ""))
        .collect();
    rows.extend(small.iter().map(|upload| row(SOURCE_BUCKET, &upload.key, "")));
    let plain = rows.len();
    // A row of an older version reconciles the current object.
    rows.push(row(SOURCE_BUCKET, "live/written twice.txt", older));
    rows.push(row(SOURCE_BUCKET, "live/never written.txt", ""));
    rows.push(row(SOURCE_BUCKET, "elsewhere/out of scope.txt", ""));
    rows.push(row("other-teams-bucket", "live/a.txt", ""));
    rows.push(format!("{SOURCE_BUCKET},live/100%\n"));
    upload_manifest(&state, &rows).await;

    let execution = start(
        &deployment,
        &stack,
        "first-run",
        &json!({ "manifestKey": MANIFEST_KEY }),
    )
    .await;
    let ended = until_ended(&deployment, &execution).await;
    assert_eq!(ended["status"], "SUCCEEDED", "{ended}\n{}", deployment.emulator.log());
    let found = differences(&deployment.source, &deployment.destination, PREFIX)
        .await
        .expect("comparison");
    assert!(found.is_empty(), "{}", summary(&found));

    let run_summary = read_json(&state, "final-sync/first-run/summary.json").await;
    assert_eq!(run_summary["items"], rows.len(), "{run_summary}");
    let expected = json!({
        "copied": plain + 1, "skipped:both-absent": 1, "skipped:out-of-scope": 1,
        "failed:ForeignBucket": 1, "failed:NameNotValid": 1,
    });
    assert_eq!(run_summary["outcomes"], expected, "{run_summary}");
    assert_eq!(
        (&run_summary["failed"], &run_summary["succeeded"]),
        (&json!(2), &json!(rows.len() - 2))
    );
    assert_eq!(run_summary["failures"].as_array().map(Vec::len), Some(2));

    // A second run that compares all attributes changes nothing.
    let input = json!({ "manifestKey": MANIFEST_KEY, "userArguments": { "compare-attributes": "always" } });
    let execution = start(&deployment, &stack, "second-run", &input).await;
    let ended = until_ended(&deployment, &execution).await;
    assert_eq!(ended["status"], "SUCCEEDED", "{ended}");
    let run_summary = read_json(&state, "final-sync/second-run/summary.json").await;
    assert_eq!(
        run_summary["outcomes"]["skipped:already-identical"],
        plain + 1,
        "{run_summary}"
    );
    assert_eq!(run_summary["outcomes"]["copied"], Value::Null, "{run_summary}");
}

#[tokio::test]
async fn run_that_cannot_succeed_is_refused_or_stopped_with_a_summary() {
    let deployment = prepare().await;
    for upload in small_objects(PREFIX, 5) {
        upload.write(&deployment.source).await.expect(&upload.key);
    }
    let stack = deployment
        .deploy_source("s3ferry", &[("KeyPrefix", PREFIX)])
        .await
        .expect("source stack");
    let state = state_bucket(&deployment, &stack);
    let rows: Vec<String> = small_objects(PREFIX, 5)
        .iter()
        .map(|upload| row(SOURCE_BUCKET, &upload.key, ""))
        .collect();
    upload_manifest(&state, &rows).await;

    let input = json!({ "manifestKey": MANIFEST_KEY, "userArguments": { "speed": "high" } });
    let ended = until_ended(&deployment, &start(&deployment, &stack, "refused", &input).await).await;
    assert_eq!(
        (&ended["status"], &ended["error"]),
        (&json!("FAILED"), &json!("ArgumentNotKnown")),
        "{ended}"
    );
    assert!(
        ended["cause"].as_str().is_some_and(|cause| cause.contains("`speed`")),
        "{ended}"
    );

    let input = json!({ "manifestKey": "final-sync/no such manifest.csv" });
    let ended = until_ended(&deployment, &start(&deployment, &stack, "no-manifest", &input).await).await;
    assert_eq!(
        (&ended["status"], &ended["error"]),
        (&json!("FAILED"), &json!("Stopped")),
        "{ended}"
    );
    let run_summary = read_json(&state, "final-sync/no-manifest/summary.json").await;
    assert!(
        run_summary["stopped"]
            .as_str()
            .is_some_and(|why| why.contains("ItemReaderFailed")),
        "{run_summary}"
    );

    deny_writes(&deployment).await;
    let input = json!({ "manifestKey": MANIFEST_KEY });
    let ended = until_ended(&deployment, &start(&deployment, &stack, "denied", &input).await).await;
    assert_eq!(
        (&ended["status"], &ended["error"]),
        (&json!("FAILED"), &json!("Stopped")),
        "{ended}"
    );
    let run_summary = read_json(&state, "final-sync/denied/summary.json").await;
    assert_eq!(
        (&run_summary["outcomes"], &run_summary["succeeded"]),
        (&json!({ "failed:AccessDenied": 5 }), &json!(0)),
        "{run_summary}"
    );
    let detail = run_summary["failures"][0]["detail"].as_str().expect("a detail");
    assert!(
        detail.contains("s3:PutObject") && detail.contains(&format!("arn:aws:s3:::{DESTINATION_BUCKET}/live/")),
        "{detail}"
    );
}

/// Denies writes at the destination to every role.
async fn deny_writes(deployment: &Deployment) {
    deny_writes_of(deployment, "*").await;
}

async fn deny_writes_of(deployment: &Deployment, keys: &str) {
    let policy = json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Deny", "Principal": "*", "Action": "s3:PutObject",
            "Resource": format!("arn:aws:s3:::{DESTINATION_BUCKET}/{keys}"),
            "Condition": { "ArnLike": { "aws:PrincipalArn": [
                "arn:aws:iam::*:role/*", "arn:aws:sts::*:assumed-role/*/*",
            ] } },
        }],
    });
    let client = &deployment.destination.client;
    let request = client
        .put_bucket_policy()
        .bucket(DESTINATION_BUCKET)
        .policy(policy.to_string());
    request.send().await.expect("policy");
}

/// Sets the endpoint of the function's SDK.
async fn set_endpoint(deployment: &Deployment, function: &str, endpoint: &str) {
    let emulator = &deployment.emulator;
    let name = json!({ "FunctionName": function });
    let now = aws_call(emulator, SOURCE_REGION, "lambda", "get_function_configuration", &name);
    let mut variables = now.await.expect("configuration")["Environment"]["Variables"].clone();
    variables["AWS_ENDPOINT_URL"] = json!(endpoint);
    let changed = json!({ "FunctionName": function, "Environment": { "Variables": variables } });
    let changed = aws_call(
        emulator,
        SOURCE_REGION,
        "lambda",
        "update_function_configuration",
        &changed,
    );
    changed.await.expect("the configuration is updated");
}

#[tokio::test]
async fn unfinished_items_run_again_until_the_endpoint_is_reachable() {
    let deployment = prepare().await;
    write(&deployment, "live/a.txt", "a").await;
    let stack = deployment
        .deploy_source("s3ferry", &[("KeyPrefix", PREFIX)])
        .await
        .expect("source stack");
    let state = state_bucket(&deployment, &stack);
    upload_manifest(&state, &[row(SOURCE_BUCKET, "live/a.txt", "")]).await;
    let function = &stack.outputs["FinalSyncFunctionArn"];
    // No server listens on this port, so requests fail with a transient error.
    set_endpoint(&deployment, function, "http://127.0.0.1:1").await;
    let execution = start(
        &deployment,
        &stack,
        "unreachable",
        &json!({ "manifestKey": MANIFEST_KEY }),
    )
    .await;
    let events = json!({ "logGroupName": "/aws/lambda/s3ferry-final-sync" });
    until("a failed first attempt", PATIENCE, || async {
        let log = aws_call(
            &deployment.emulator,
            SOURCE_REGION,
            "logs",
            "filter_log_events",
            &events,
        )
        .await?;
        let log = log["events"].to_string();
        Ok(PollResult::when(
            log.contains("unreachable/0") && log.contains("NoAnswer"),
            || log,
        ))
    })
    .await
    .expect("the item fails");
    set_endpoint(&deployment, function, &deployment.emulator.endpoint()).await;

    let ended = until_ended(&deployment, &execution).await;
    assert_eq!(ended["status"], "SUCCEEDED", "{ended}");
    let run_summary = read_json(&state, "final-sync/unreachable/summary.json").await;
    assert_eq!(
        (&run_summary["items"], &run_summary["outcomes"]),
        (&json!(1), &json!({ "copied": 1 })),
        "{run_summary}"
    );
    deployment.until_equal(PREFIX).await.expect("the object is copied");
}

#[tokio::test]
async fn schedule_repeats_the_final_sync() {
    let deployment = prepare().await;
    write(&deployment, "live/a.txt", "a").await;
    let parameters = [
        ("KeyPrefix", PREFIX),
        ("FinalSyncScheduleExpression", "\"rate(1 minute)\""),
    ];
    let stack = deployment
        .deploy_source("s3ferry", &parameters)
        .await
        .expect("source stack");
    let state = state_bucket(&deployment, &stack);
    upload_manifest(&state, &[row(SOURCE_BUCKET, "live/a.txt", "")]).await;
    until("a summary", PATIENCE, || async {
        let objects = state.list("final-sync/").await?;
        let found = objects.keys().any(|key| key.ends_with("/summary.json"));
        Ok(PollResult::when(found, || format!("{:?}", objects.keys())))
    })
    .await
    .expect("the schedule starts the state machine");
    deployment.until_equal(PREFIX).await.expect("the run copies");
}

/// Runs `s3ferry batch` as root; returns the exit code, the JSON lines and the error output.
async fn run_batch(deployment: &Deployment, folder: &Path, arguments: &[&str]) -> (Option<i32>, Vec<Value>, String) {
    let output = Command::new(tools::cli().expect("the CLI is built"))
        .arg("batch")
        .args(arguments)
        .args(["--output", "json"])
        .current_dir(folder)
        .env_clear()
        .envs(deployment.emulator.exports(SOURCE_REGION))
        .output()
        .await
        .expect("the CLI runs");
    let parse = |line: &str| serde_json::from_str(line).expect("a line of JSON");
    let lines = String::from_utf8_lossy(&output.stdout).lines().map(parse).collect();
    (
        output.status.code(),
        lines,
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

#[tokio::test]
async fn cli_starts_a_run_follows_it_and_reads_its_report() {
    let deployment = prepare().await;
    for key in ["live/a b+c.txt", "live/b.txt", "live/c.txt", "live/denied.txt"] {
        write(&deployment, key, key).await;
    }
    let parameters = [("KeyPrefix", PREFIX), ("FinalSyncToleratedFailurePercentage", "50")];
    let stack = deployment
        .deploy_source("s3ferry", &parameters)
        .await
        .expect("source stack");
    let state = state_bucket(&deployment, &stack);
    let rows = ["live/a b+c.txt", "live/b.txt", "live/c.txt", "live/denied.txt"];
    upload_manifest(&state, &rows.map(|key| row(SOURCE_BUCKET, key, ""))).await;
    deny_writes_of(&deployment, "live/denied.txt").await;

    let folder = TempDir::new().expect("a folder");
    let run = async |arguments: &[&str]| run_batch(&deployment, folder.path(), arguments).await;
    let manifest = format!("s3://{}/{MANIFEST_KEY}", stack.outputs["StateBucketName"]);
    let start = ["start", "--stack", "s3ferry", "--manifest", &manifest];
    let (code, started, errors) = run(&start).await;
    assert_eq!(code, Some(0), "{errors}");
    assert!(errors.contains("service: step-functions"), "{errors}");
    let job = started[0]["job"].as_str().expect("the run").to_owned();
    let (code, status, errors) = run(&["status", &job, "--follow", "--every", "1"]).await;
    assert_eq!(
        (code, &status[0]["state"]),
        (Some(1), &json!("Complete")),
        "{status:?} {errors}"
    );
    assert_eq!((&status[0]["succeeded"], &status[0]["failed"]), (&json!(3), &json!(1)));
    let (_, again, _) = run(&start).await;
    assert_eq!(again[0]["job"], job, "the same command returns the same run");
    let (code, report, errors) = run(&["report", &job, "--retry-manifest", "retry.csv"]).await;
    assert_eq!(code, Some(1), "{errors}");
    assert_eq!(
        (&report[0]["type"], &report[0]["key"]),
        (&json!("failure"), &json!("live/denied.txt"))
    );
    assert_eq!(
        report[1]["outcomes"],
        json!({ "copied": 3, "failed:AccessDenied": 1 }),
        "{report:?}"
    );

    let allowed = deployment
        .destination
        .client
        .delete_bucket_policy()
        .bucket(DESTINATION_BUCKET);
    allowed.send().await.expect("no policy");
    let retry_manifest = std::fs::read_to_string(folder.path().join("retry.csv")).expect("the retry manifest");
    assert_eq!(retry_manifest, format!("{SOURCE_BUCKET},live/denied.txt\n"));
    upload_manifest(&state, &[retry_manifest]).await;
    let (_, started, errors) = run(&start).await;
    assert_ne!(started[0]["job"], job, "another manifest starts another run: {errors}");
    let job = started[0]["job"].as_str().expect("the run").to_owned();
    let (code, status, errors) = run(&["status", &job, "--follow", "--every", "1"]).await;
    assert_eq!(code, Some(0), "{status:?} {errors}");
    let (code, report, errors) = run(&["report", &job, "--stack", "s3ferry"]).await;
    assert_eq!(
        (code, &report[0]["outcomes"]),
        (Some(0), &json!({ "copied": 1 })),
        "{errors}"
    );
    deployment.until_equal(PREFIX).await.expect("equal objects");
}
