//! Cutovers: steps, policies, certificate, abort and rollback. The simulator applies the statements that deny.

use s3ferry_testkit::sim::model::document::BucketDocument;
use serde_json::Value;

use super::stage::{DESTINATION, Ran, SOURCE, STATE, Stage};

const FOREIGN: &str = r#"{"Version":"2012-10-17","Statement":[{"Sid":"External","Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::cli-source/*"}]}"#;

/// Points applications to the bucket that a file names.
const SWITCH: &str =
    "if [ \"$S3FERRY_SWITCH_ACTION\" = set ]; then echo \"$S3FERRY_SWITCH_BUCKET\" > current; fi; cat current";

async fn stage() -> Stage {
    let stage = Stage::new().await;
    std::fs::create_dir(stage.folder().join(".aws")).expect("a folder");
    let credentials = "[app]\naws_access_key_id = app\naws_secret_access_key = any\n";
    std::fs::write(stage.folder().join(".aws/credentials"), credentials).expect("a profile");
    for key in ["a", "b", "c/d"] {
        stage.put(SOURCE, key, "one");
    }
    stage.put(DESTINATION, "a", "one");
    set_policy(&stage, SOURCE, FOREIGN);
    stage
}

fn set_policy(stage: &Stage, bucket: &str, policy: &str) {
    let mut model = stage.server.model();
    let bucket = model.bucket_mut(bucket).expect("the bucket");
    bucket.documents.insert(BucketDocument::Policy, policy.to_owned());
}

fn policy(stage: &Stage, bucket: &str) -> Option<Value> {
    let model = stage.server.model();
    let text = model
        .bucket(bucket)
        .expect("the bucket")
        .documents
        .get(&BucketDocument::Policy)?;
    Some(serde_json::from_str(text).expect("a policy"))
}

/// The Sids of the statements of s3ferry in a bucket's policy, without their digests.
fn sids(stage: &Stage, bucket: &str) -> Vec<String> {
    let policy = policy(stage, bucket).unwrap_or_default();
    let statements = policy["Statement"].as_array().cloned().unwrap_or_default();
    let sids = statements.iter().filter_map(|statement| statement["Sid"].as_str());
    let own = sids.filter(|sid| sid.starts_with("S3ferry"));
    // The digest has twelve digits.
    own.map(|sid| sid.get(..sid.len() - 12).unwrap_or_default().to_owned())
        .collect()
}

async fn run(stage: &Stage, command: &[&str], more: &[&str]) -> Ran {
    let mut arguments: Vec<String> = command.iter().skip(1).map(|word| (*word).to_owned()).collect();
    arguments.extend(Stage::sides());
    let shared = ["--state-bucket", STATE, "--output", "json", "--operator", "ann"];
    arguments.extend(shared.iter().chain(more).map(|word| (*word).to_owned()));
    stage.run(command[0], &arguments).await
}

const PROOF: [&str; 7] = ["--yes", "--settle", "0", "--probes", "2", "--probe-profile", "app"];

fn arguments(more: &[&str]) -> Vec<String> {
    let mut arguments = vec!["run".to_owned()];
    arguments.extend(Stage::sides());
    arguments.extend(
        ["--state-bucket", STATE]
            .iter()
            .chain(more)
            .map(|word| (*word).to_owned()),
    );
    arguments
}

async fn cut_over(stage: &Stage, more: &[&str]) -> Ran {
    let seal = ["--seal-role", "arn:aws:iam::123456789012:role/replicator"];
    let switch = ["--switch", "command", "--switch-command", SWITCH];
    run(stage, &["cutover", "run"], &[&PROOF[..], &seal, &switch, more].concat()).await
}

async fn roll_back(stage: &Stage, more: &[&str]) -> Ran {
    let switch = ["--switch", "command", "--switch-command", SWITCH];
    run(stage, &["rollback"], &[&PROOF[..], &switch, more].concat()).await
}

/// The last reported state of a step.
fn state(ran: &Ran, step: &str) -> Value {
    let mut lines = ran.json().into_iter();
    lines
        .rfind(|line| line["type"] == "step" && line["step"] == step)
        .unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn cutover_freezes_proves_seals_switches_and_can_be_rolled_back() {
    let stage = stage().await;
    let ran = cut_over(&stage, &["--certificate", "proof"]).await.must_end_with(0);
    for step in ["ready", "freeze", "drain", "final-sync", "verify", "seal", "switch"] {
        assert_eq!(state(&ran, step)["state"], "done", "{step}: {ran:?}");
    }
    assert_eq!(state(&ran, "freeze")["measured"]["probed_operations"], 7, "{ran:?}");
    assert_eq!(state(&ran, "verify")["measured"]["equal"], 3);
    assert_eq!(
        (sids(&stage, SOURCE), sids(&stage, DESTINATION)),
        (vec!["S3ferryFreeze".to_owned()], vec!["S3ferrySeal".to_owned()])
    );
    assert_eq!(stage.objects(DESTINATION), 3, "no probe left an object");
    assert_eq!(
        std::fs::read_to_string(stage.folder().join("current")).unwrap().trim(),
        DESTINATION
    );

    let again = cut_over(&stage, &["--certificate", "proof"]).await.must_end_with(0);
    assert_eq!(again.json().len(), 1, "all steps are done: {again:?}");
    assert_eq!(sids(&stage, SOURCE).len(), 1, "one Sid");

    let check = |file: &'static str, more: &'static [&'static str]| {
        let arguments: Vec<String> = [&["check", file, "--output", "json"], more]
            .concat()
            .into_iter()
            .map(str::to_owned)
            .collect();
        let stage = &stage;
        async move { stage.run("certificate", &arguments).await }
    };
    check("proof.json", &["--live"]).await.must_end_with(0);
    let text = std::fs::read_to_string(stage.folder().join("proof.json")).unwrap();
    std::fs::write(stage.folder().join("tampered.json"), text.replace("\"ann\"", "\"bob\"")).unwrap();
    let tampered = check("tampered.json", &[]).await.must_end_with(1);
    assert_eq!(tampered.summary()["valid"], false);
    let page = std::fs::read_to_string(stage.folder().join("proof.html")).unwrap();
    assert!(
        page.contains("Certificate of a cutover") && !page.contains("<script"),
        "{page}"
    );

    stage.put(DESTINATION, "new", "by an application");
    assert_eq!(
        check("proof.json", &["--live"]).await.must_end_with(1).summary()["live_equal"],
        false
    );
    let refused = roll_back(&stage, &[]).await.must_end_with(1);
    assert_eq!(
        refused.summary()["would_lose"],
        serde_json::json!(["new"]),
        "{refused:?}"
    );
    assert_eq!(
        sids(&stage, DESTINATION),
        ["S3ferrySeal"],
        "applications may write again"
    );
    stage.put(SOURCE, "new", "by an application");
    let ran = roll_back(&stage, &[]).await.must_end_with(0);
    assert_eq!(state(&ran, "switch")["state"], "undone", "{ran:?}");
    assert_eq!(
        std::fs::read_to_string(stage.folder().join("current")).unwrap().trim(),
        SOURCE
    );
    assert_eq!(policy(&stage, SOURCE), serde_json::from_str(FOREIGN).ok());
    assert_eq!(policy(&stage, DESTINATION), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn policy_that_another_tool_replaced_blocks_the_switch_until_the_proof_is_repeated() {
    let stage = stage().await;
    let ran = cut_over(&stage, &["--switch-command", "exit 1"]).await;
    assert_eq!(ran.code, Some(2), "one command: {ran:?}");
    let failing = [&PROOF[..], &["--switch", "command", "--switch-command", "false"]].concat();
    run(&stage, &["cutover", "run"], &failing).await.must_end_with(3);
    let aborted = run(&stage, &["cutover", "abort"], &PROOF).await.must_end_with(3);
    assert!(aborted.stderr.contains("s3ferry rollback"), "{aborted:?}");
    set_policy(&stage, SOURCE, FOREIGN);
    let working = [&PROOF[..], &["--switch", "command", "--switch-command", SWITCH]].concat();
    let blocked = run(&stage, &["cutover", "run"], &working).await.must_end_with(1);
    let by = state(&blocked, "switch")["blocked_by"].to_string();
    assert!(by.contains("another tool removed or changed"), "{blocked:?}");
    assert_eq!(sids(&stage, SOURCE), ["S3ferryFreeze"]);
    run(&stage, &["cutover", "run"], &working).await.must_end_with(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn blocked_cutover_names_the_reason_and_is_aborted_without_a_trace() {
    let stage = stage().await;
    let mut weak: Value = serde_json::from_str(FOREIGN).unwrap();
    weak["Statement"][0]["Effect"] = "Deny".into();
    weak["Statement"][0]["Action"] = "s3:PutObject*".into();
    set_policy(&stage, SOURCE, &weak.to_string());
    let blocked = cut_over(&stage, &[]).await.must_end_with(1);
    let by = state(&blocked, "freeze")["blocked_by"].to_string();
    assert!(by.contains("may not write before the freeze"), "{blocked:?}");
    assert!(sids(&stage, SOURCE).is_empty(), "nothing was written");
    let status = run(&stage, &["cutover", "status"], &[]).await.must_end_with(1);
    assert_eq!(
        (&state(&status, "freeze")["state"], &state(&status, "drain")["state"]),
        (&"blocked".into(), &"pending".into())
    );
    let aborted = run(&stage, &["cutover", "abort"], &PROOF).await.must_end_with(0);
    assert_eq!(aborted.summary()["phase"], "rolled-back");
    assert_eq!(policy(&stage, SOURCE), Some(weak));
}

#[tokio::test(flavor = "multi_thread")]
async fn dry_run_shows_the_policy_and_changes_nothing() {
    let stage = stage().await;
    let ran = cut_over(&stage, &["--dry-run"]).await.must_end_with(0);
    let plan = ran.json().pop().expect("a plan");
    let statements = plan["source_policy"]["Statement"].as_array().expect("statements");
    assert_eq!((statements.len(), &statements[0]["Sid"]), (2, &"External".into()));
    assert_eq!(plan["steps"].as_array().map(Vec::len), Some(7));
    assert_eq!(policy(&stage, SOURCE), serde_json::from_str(FOREIGN).ok());
    assert_eq!(stage.objects(STATE), 0);
    run(&stage, &["cutover", "status"], &[]).await.must_end_with(3);
    let asks = run(&stage, &["cutover", "run"], &[]).await.must_end_with(2);
    assert!(asks.stderr.contains("--dry-run"), "{asks:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn cutover_that_is_killed_at_any_write_continues_with_the_same_command() {
    let switch = ["--switch", "command", "--switch-command", SWITCH];
    let seal = ["--seal-role", "arn:aws:iam::123456789012:role/replicator"];
    let all = [&PROOF[..], &switch, &seal].concat();
    for (operation, times) in [
        ("PutBucketPolicy", 1),
        ("PutBucketPolicy", 2),
        ("PutObject", 9),
        ("PutObject", 15),
    ] {
        let stage = stage().await;
        let mut child = stage.start("cutover", &arguments(&all));
        stage.until_requested(operation, times).await;
        child.kill().await.expect("the process is killed");
        let _left = child.wait().await;
        stage.run("cutover", &arguments(&all)).await.must_end_with(0);
        assert_eq!(sids(&stage, SOURCE), ["S3ferryFreeze"], "{operation} {times}");
        assert_eq!(sids(&stage, DESTINATION), ["S3ferrySeal"], "{operation} {times}");
        // The state and one certificate.
        assert_eq!(stage.objects(STATE), 2, "{operation} {times}");
    }
}
