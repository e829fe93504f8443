//! The `final-sync` binary: tasks of S3 Batch Operations and items of a Distributed Map.

use s3ferry_tests::deployment::SOURCE_BUCKET;
use s3ferry_tests::runtime_api::{Function, InvocationReply};
use s3ferry_tests::tools;
use s3ferry_tests::upload::TestUpload;
use s3ferry_tests::workload::{odd_keys, rich_objects};
use serde_json::{Value, json};

use crate::{Fixture, TIMEOUT, is_error};

/// State bucket.
const STATE_BUCKET: &str = "example-state";

impl Fixture {
    async fn final_sync(&self, more: &[(&str, &str)]) -> Function {
        let environment =
            s3ferry_tests::replicator::environment(&self.emulator, &self.source.name, &self.destination.name, more);
        let binary = tools::function("final-sync").expect("built");
        Function::start(&binary, &environment, TIMEOUT)
            .await
            .expect("final-sync")
    }
}

fn value(answer: &InvocationReply) -> Value {
    let InvocationReply::Response(text) = answer else {
        panic!("{answer:?}")
    };
    serde_json::from_str(text).expect("JSON")
}

async fn invoke(function: &mut Function, payload: &Value) -> Value {
    value(&function.invoke(payload.to_string()).await.expect("answers"))
}

/// Checks the response to a job against S3's rules; returns id, code and text of each result.
fn results(payload: &Value, answer: &Value) -> Vec<(String, String, String)> {
    assert_eq!(answer["invocationSchemaVersion"], payload["invocationSchemaVersion"]);
    assert_eq!(answer["invocationId"], payload["invocationId"]);
    assert_eq!(answer["treatMissingKeysAs"], "PermanentFailure");
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let results: Vec<_> = answer["results"]
        .as_array()
        .expect("results")
        .iter()
        .map(|result| {
            (
                text(&result["taskId"]),
                text(&result["resultCode"]),
                text(&result["resultString"]),
            )
        })
        .collect();
    let ids: Vec<&str> = results.iter().map(|(id, ..)| id.as_str()).collect();
    let task_ids: Vec<&str> = payload["tasks"]
        .as_array()
        .expect("tasks")
        .iter()
        .filter_map(|task| task["taskId"].as_str())
        .collect();
    assert_eq!(ids, task_ids);
    for (_, code, text) in &results {
        assert!(
            ["Succeeded", "TemporaryFailure", "PermanentFailure"].contains(&code.as_str()),
            "{code}"
        );
        assert!(!text.is_empty() && text.chars().count() <= 1_024, "{text}");
    }
    results
}

/// Encodes a key as a manifest requires.
fn encoded(key: &str) -> String {
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    key.bytes()
        .map(|byte| {
            if unreserved(byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}

fn job(schema: &str, keys: &[String]) -> Value {
    let task = |(index, key): (usize, &String)| match schema {
        "1.0" => json!({
            "taskId": format!("task-{index}"), "s3Key": encoded(key), "s3VersionId": null,
            "s3BucketArn": format!("arn:aws:s3:::{SOURCE_BUCKET}"),
        }),
        _ => json!({
            "taskId": format!("task-{index}"), "s3Key": encoded(key), "s3VersionId": null, "s3Bucket": SOURCE_BUCKET,
        }),
    };
    json!({
        "invocationSchemaVersion": schema, "invocationId": "an-invocation", "job": {"id": "a-job"},
        "tasks": keys.iter().enumerate().map(task).collect::<Vec<_>>(),
    })
}

#[tokio::test]
async fn whole_workload_is_copied_by_tasks_of_both_schema_versions() {
    let fixture = Fixture::prepare().await;
    let mut function = fixture.final_sync(&[]).await;
    for (schema, prefix) in [("1.0", "one/"), ("2.0", "two/")] {
        let cases: Vec<_> = odd_keys(prefix).into_iter().chain(rich_objects(prefix)).collect();
        for case in &cases {
            case.upload.write(&fixture.source).await.expect(case.title);
        }
        let keys: Vec<String> = cases.iter().map(|case| case.upload.key.clone()).collect();
        let payload = job(schema, &keys);
        let answer = invoke(&mut function, &payload).await;
        for (id, code, text) in results(&payload, &answer) {
            assert_eq!(code, "Succeeded", "{schema} {id}: {text}");
            assert!(text.contains("copied"), "{schema} {id}: {text}");
        }
    }
    fixture.assert_equal().await;
}

#[tokio::test]
async fn every_sample_batch_makes_its_keys_equal() {
    let fixture = Fixture::prepare().await;
    let mut function = fixture.final_sync(&[("STATE_BUCKET", STATE_BUCKET)]).await;
    let state = s3ferry_tests::bucket::TestBucket::at(&fixture.emulator, s3ferry_tests::SOURCE_REGION, STATE_BUCKET);
    state.create().await.expect("state bucket");
    for key in [
        "photos/2026/harbour.jpg",
        "reports/annual report 2026.pdf",
        "math/1+1=2.txt",
        "math/1 1.txt",
    ] {
        fixture.write(key).await;
    }
    let samples = tools::sample_batches().expect("events/");
    assert!(samples.len() >= 7, "{samples:?}");
    for path in samples {
        let event = std::fs::read_to_string(&path).expect("readable");
        let payload: Value = serde_json::from_str(&event).expect("JSON");
        let answer = invoke(&mut function, &payload).await;
        if payload["tasks"].is_array() {
            results(&payload, &answer);
        } else {
            assert_eq!(answer["finished"], true, "{}: {answer}", path.display());
        }
    }
    fixture.assert_equal().await;
    let stored: Vec<String> = state.list("").await.expect("listing").into_keys().collect();
    assert!(
        stored.len() == 1 && stored[0].starts_with("final-sync/sync-2026-11/results/"),
        "{stored:?}"
    );
}

#[tokio::test]
async fn task_with_an_ambiguous_plus_copies_the_existing_object() {
    let fixture = Fixture::prepare().await;
    let mut function = fixture.final_sync(&[]).await;
    fixture.write("space only.txt").await;
    fixture.write("plus+only.txt").await;
    let mut payload = job("2.0", &[String::new(), String::new()]);
    payload["tasks"][0]["s3Key"] = json!("space+only.txt");
    payload["tasks"][1]["s3Key"] = json!("plus+only.txt");
    for (_, code, text) in results(&payload, &invoke(&mut function, &payload).await) {
        assert_eq!(code, "Succeeded");
        assert!(text.contains("copied") && text.contains("both-absent"), "{text}");
    }
    fixture.assert_equal().await;
}

#[tokio::test]
async fn row_of_an_older_version_reconciles_the_current_object() {
    let fixture = Fixture::prepare().await;
    let mut function = fixture.final_sync(&[]).await;
    for body in ["first", "second"] {
        TestUpload::new("a.txt", body).write(&fixture.source).await.expect(body);
    }
    let listed = fixture.source.client.list_object_versions().bucket(SOURCE_BUCKET);
    let listed = listed.send().await.expect("versions");
    let version = |latest: bool| {
        let mut versions = listed.versions().iter();
        let found = versions.find(|version| version.is_latest() == Some(latest));
        found
            .and_then(|version| version.version_id())
            .expect("a version")
            .to_owned()
    };
    let mut payload = job("2.0", &["a.txt".to_owned()]);
    payload["tasks"][0]["s3VersionId"] = json!(version(false));
    let found = results(&payload, &invoke(&mut function, &payload).await);
    assert_eq!(found[0].1, "Succeeded", "{found:?}");
    assert!(found[0].2.starts_with("copied 6 bytes"), "{found:?}");
    payload["tasks"][0]["s3VersionId"] = json!(version(true));
    let found = results(&payload, &invoke(&mut function, &payload).await);
    assert!(found[0].2.starts_with("skipped already-identical"), "{found:?}");
    fixture.assert_equal().await;
}

#[tokio::test]
async fn arguments_of_a_job_apply_and_unknown_arguments_are_refused() {
    let fixture = Fixture::prepare().await;
    let mut function = fixture.final_sync(&[]).await;
    fixture.write("a.txt").await;
    TestUpload::new("gone.txt", "left over")
        .write(&fixture.destination)
        .await
        .expect("left over");
    let keys = ["a.txt".to_owned(), "gone.txt".to_owned()];
    let with = |arguments: Value| {
        let mut payload = job("2.0", &keys);
        payload["job"]["userArguments"] = arguments;
        payload
    };
    let refused = with(json!({"storageClasses": "GLACIER"}));
    for (_, code, text) in results(&refused, &invoke(&mut function, &refused).await) {
        assert_eq!(code, "PermanentFailure");
        assert!(
            text.contains("`storageClasses`") && text.contains("storage-class"),
            "{text}"
        );
    }
    assert!(!fixture.is_at_destination("a.txt").await);
    let payload = with(json!({"STORAGE_CLASS": "STANDARD_IA", "propagateDeletes": "true", "attributes": "always"}));
    for (id, code, text) in results(&payload, &invoke(&mut function, &payload).await) {
        assert_eq!(code, "Succeeded", "{id}: {text}");
    }
    let copy = fixture.destination.read("a.txt").await.expect("read").expect("copied");
    assert_eq!(copy.storage_class, "STANDARD_IA");
    assert!(!fixture.is_at_destination("gone.txt").await);
}

#[tokio::test]
async fn payload_that_is_not_a_batch_is_an_error_and_later_invocations_succeed() {
    let fixture = Fixture::prepare().await;
    let mut function = fixture.final_sync(&[]).await;
    for payload in [
        json!({"Records": []}),
        json!(null),
        json!({"invocationSchemaVersion": "1.0", "invocationId": "i", "tasks": [{"s3Key": "no-id"}]}),
        json!({"Items": "none"}),
    ] {
        let answer = function.invoke(payload.to_string()).await.expect("answers");
        assert!(is_error(&answer), "{payload}: {answer:?}");
    }
    fixture.write("after.txt").await;
    let item = json!({"Bucket": SOURCE_BUCKET, "Key": "after.txt"});
    assert_eq!(invoke(&mut function, &item).await["succeeded"], 1);
    fixture.assert_equal().await;
}

#[tokio::test]
async fn metrics_and_one_line_a_task_are_written() {
    let fixture = Fixture::prepare().await;
    let mut function = fixture.final_sync(&[]).await;
    fixture.write("a.txt").await;
    let payload = job("2.0", &["a.txt".to_owned(), "gone.txt".to_owned()]);
    invoke(&mut function, &payload).await;
    let log = function.log().expect("log");
    let lines: Vec<Value> = log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let is_count = |line: &&Value| line["_aws"].is_object() && line["ObjectsCopied"].is_u64();
    let metrics: Vec<&Value> = lines.iter().filter(is_count).collect();
    assert_eq!(metrics.len(), 1, "{log}");
    assert_eq!(
        (&metrics[0]["ObjectsCopied"], &metrics[0]["ObjectsSkipped"]),
        (&json!(1), &json!(1))
    );
    let of_tasks: Vec<(&str, &str)> = lines
        .iter()
        .filter_map(|line| Some((line["task.id"].as_str()?, line["outcome"].as_str()?)))
        .collect();
    assert_eq!(of_tasks, [("task-0", "copied"), ("task-1", "skipped")], "{log}");
}
