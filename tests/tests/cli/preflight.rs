//! `s3ferry preflight`: what it finds in buckets, in objects and without permissions.

use std::collections::BTreeMap;

use s3ferry_testkit::sim::model::bucket::SimVersioning;
use s3ferry_testkit::sim::model::document::BucketDocument;
use serde_json::Value;

use crate::proxy::{on_both, proxy, run};
use crate::stage::{DESTINATION, Ran, SOURCE, Stage};

/// Checks that need services which the simulator does not have.
const OTHER_SERVICES: [&str; 4] = ["bucket-owners", "lambda-concurrency", "batch-jobs", "annotations"];

/// Severity, evidence and fix of every check.
fn checks(ran: &Ran) -> BTreeMap<String, (String, String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let rows = ran.json().into_iter().filter(|line| line["type"] == "check");
    rows.map(|row| {
        (
            text(&row["id"]),
            (text(&row["severity"]), text(&row["evidence"]), text(&row["fix"])),
        )
    })
    .collect()
}

fn accepting<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let accepted = OTHER_SERVICES.iter().flat_map(|id| ["--accept", id]);
    accepted.chain(more.iter().copied()).collect()
}

async fn preflight(stage: &Stage, more: &[&str]) -> Ran {
    stage.on_both("preflight", &accepting(more)).await
}

fn set(stage: &Stage, bucket: &str, document: BucketDocument, text: &str) {
    let mut model = stage.server.model();
    let bucket = model.bucket_mut(bucket).expect("the bucket");
    bucket.documents.insert(document, text.to_owned());
}

/// Settings that no check complains about.
fn make_sound(stage: &Stage) {
    for bucket in [SOURCE, DESTINATION] {
        let ownership = "<OwnershipControls><Rule><ObjectOwnership>BucketOwnerEnforced</ObjectOwnership></Rule></OwnershipControls>";
        set(stage, bucket, BucketDocument::OwnershipControls, ownership);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sound_buckets_pass_and_problems_are_found_with_their_fix() {
    let stage = Stage::new().await;
    make_sound(&stage);
    stage.put(SOURCE, "a", "one");
    let ran = preflight(&stage, &[]).await.must_end_with(0);
    let summary = ran.summary();
    assert_eq!(
        (&summary["ready"], &summary["fail"], &summary["checks"]),
        (&true.into(), &0.into(), &34.into())
    );
    for (id, (severity, evidence, _)) in checks(&ran) {
        let expected = match (id.as_str(), severity.as_str()) {
            (id, "unknown") => OTHER_SERVICES.contains(&id) || id == "intelligent-tiering",
            ("versioning-age", severity) => severity == "warn",
            (_, severity) => severity == "pass",
        };
        assert!(expected, "{id} {severity}: {evidence}");
    }
    stage.put(SOURCE, "a", "two");
    stage.put(SOURCE, "/odd//key", "one");
    stage.put_with(SOURCE, "cold", "one", |explicit| {
        explicit.storage_class = Some("GLACIER".to_owned());
    });
    let deny = r#"{"Statement":{"Sid":"no","Effect":"Deny","Principal":"*","Action":"s3:GetObject","Resource":"*"}}"#;
    set(&stage, SOURCE, BucketDocument::Policy, deny);
    let rule = "<LifecycleConfiguration><Rule><ID>old</ID><Filter/><Status>Enabled</Status>\
                <Expiration><Days>30</Days></Expiration></Rule></LifecycleConfiguration>";
    set(&stage, SOURCE, BucketDocument::Lifecycle, rule);
    stage
        .server
        .model()
        .set_versioning(DESTINATION, SimVersioning::Suspended)
        .expect("the bucket");
    let found = checks(&preflight(&stage, &["--ownership", "shared"]).await.must_end_with(1));
    for (id, severity, evidence) in [
        ("odd-keys", "warn", "leading slash: 1, such as \"/odd//key\""),
        ("archived-objects", "fail", "1 of all 3 objects are in GLACIER"),
        ("source-policy", "fail", "`no` denies s3:GetObject"),
        ("source-lifecycle", "warn", "rule `old` expires objects after 30 days"),
        ("age-reset", "warn", "counts 30 days"),
        ("noncurrent-versions", "warn", "1 noncurrent versions with 3 bytes"),
        ("destination-versioning", "fail", "shared ownership requires it"),
    ] {
        let (found, text, fix) = &found[id];
        assert_eq!(found, severity, "{id}: {text}");
        assert!(text.contains(evidence), "{id}: {text}");
        assert!(!fix.is_empty(), "{id}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_bucket_and_wrong_region_are_failed_checks() {
    let stage = Stage::new().await;
    let mut arguments = on_both(&["--output", "json"]);
    for argument in &mut arguments {
        *argument = argument
            .replace(DESTINATION, "no-such-bucket")
            .replace("us-east-1", "eu-west-3");
    }
    let found = checks(&stage.run("preflight", &arguments).await.must_end_with(1));
    assert_eq!(found["buckets-exist"].0, "fail");
    assert!(
        found["buckets-exist"]
            .2
            .contains("create-bucket --bucket no-such-bucket"),
        "{found:?}"
    );
    assert_eq!(found["bucket-regions"].0, "fail");
    assert!(
        found["bucket-regions"].2.contains("--source-region us-east-1"),
        "{found:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn denied_setting_is_unknown_until_it_is_accepted() {
    let stage = Stage::new().await;
    make_sound(&stage);
    let endpoint = proxy(&stage, |head| {
        head.target()
            .contains("policy")
            .then(|| head.refused(403, "AccessDenied"))
    })
    .await;
    let arguments = |more: &[&str]| on_both(&[&["--output", "json"], &accepting(more)[..]].concat());
    let ran = run(&stage, &endpoint, "preflight", &arguments(&[]))
        .await
        .must_end_with(1);
    let found = checks(&ran);
    for id in [
        "source-policy",
        "destination-policy",
        "vpc-endpoints",
        "service-writers",
    ] {
        let (severity, _, fix) = &found[id];
        assert_eq!(severity, "unknown", "{id}");
        assert!(
            fix.contains("grant s3:GetBucketPolicy") && fix.contains(&format!("--accept {id}")),
            "{fix}"
        );
    }
    let accepted = [
        "source-policy",
        "destination-policy",
        "vpc-endpoints",
        "service-writers",
    ];
    let accepted: Vec<&str> = accepted.iter().flat_map(|id| ["--accept", id]).collect();
    run(&stage, &endpoint, "preflight", &arguments(&accepted))
        .await
        .must_end_with(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn bounded_listing_says_that_it_is_a_sample() {
    let stage = Stage::new().await;
    for number in 0..5 {
        stage.put(SOURCE, &format!("{number}"), "one");
    }
    let found = checks(&preflight(&stage, &["--sample-keys", "3"]).await);
    assert!(
        found["archived-objects"]
            .1
            .contains("of the first 3 keys only (a sample)"),
        "{found:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn preflight_that_cannot_run_ends_with_3() {
    let stage = Stage::new().await;
    let ran = run(&stage, "http://127.0.0.1:1", "preflight", &on_both(&[]))
        .await
        .must_end_with(3);
    assert!(ran.stderr.contains("does not respond"), "{ran:?}");
    let ran = stage
        .on_both("preflight", &["--accept", "nothing"])
        .await
        .must_end_with(2);
    assert!(ran.stderr.contains("no check has this ID"), "{ran:?}");
}
