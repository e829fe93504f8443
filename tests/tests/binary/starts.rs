//! What every function does at its start.

use s3ferry_tests::deployment::{DESTINATION_BUCKET, SOURCE_BUCKET};
use s3ferry_tests::runtime_api::{Function, InvocationReply};
use s3ferry_tests::{DESTINATION_REGION, SOURCE_REGION, replicator, tools};

use crate::TIMEOUT;

/// Starts a function with its required settings, without buckets.
async fn started(name: &str) -> Function {
    let mut environment = replicator::settings(SOURCE_BUCKET, DESTINATION_BUCKET).to_vec();
    environment.extend([("AWS_REGION", SOURCE_REGION), ("AWS_EC2_METADATA_DISABLED", "true")]);
    assert!(environment.contains(&("DESTINATION_REGION", DESTINATION_REGION)));
    let environment: Vec<(String, String)> = environment
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let binary = tools::function(name).expect("built");
    Function::start(&binary, &environment, TIMEOUT).await.expect(name)
}

#[tokio::test]
async fn every_function_logs_its_version_and_build() {
    for name in ["replicator", "final-sync", "bucket-wiring"] {
        let log = started(name).await.log().expect("log");
        let line = log.lines().find(|line| line.contains("function starts"));
        let line: serde_json::Value = serde_json::from_str(line.expect("a line")).expect("JSON");
        assert_eq!(line["version"], env!("CARGO_PKG_VERSION"), "{name}: {line}");
        let build = line["build"].as_str().unwrap_or_default();
        let is_commit = build.split_once(' ').is_some_and(|(commit, _)| commit.len() == 12);
        assert!(is_commit || build == "unknown commit", "{name}: {line}");
    }
}

#[tokio::test]
async fn bucket_wiring_names_a_payload_that_cloudformation_did_not_send() {
    let mut function = started("bucket-wiring").await;
    let reply = function.invoke("{}").await.expect("answers");
    let InvocationReply::Error(document) = reply else {
        panic!("{reply:?}")
    };
    assert!(document.contains("NotARequest"), "{document}");
}
