//! `s3ferry batch --engine local`.

use s3ferry_testkit::sim::model::bucket::SimVersioning;
use s3ferry_testkit::sim::model::object::WriteAttributes;
use serde_json::{Value, json};

use crate::stage::{DESTINATION, Ran, SOURCE, STATE, Stage, ended};
use crate::syncs::interrupt;

const ODD_KEYS: [&str; 8] = [
    "a b+c%20.txt",
    "ctl\u{1}\u{1f}",
    "日/本",
    "new\nline",
    "trailing ",
    "\"q\",x",
    "\u{ffff}",
    "100%",
];

fn verb(verb: &str, more: &[&str]) -> Vec<String> {
    let arguments = [verb, "--output", "json"];
    arguments
        .iter()
        .chain(more)
        .map(|argument| (*argument).to_owned())
        .collect()
}

/// Starts a job on this machine.
fn local(manifest: &str, more: &[&str]) -> Vec<String> {
    let mut arguments = verb("start", &["--engine", "local", "--manifest", manifest]);
    arguments.extend(Stage::sides());
    arguments.extend(more.iter().map(|argument| (*argument).to_owned()));
    arguments
}

async fn write_manifest(stage: &Stage) {
    let ran = stage.on_both("manifest", &["--to", "run.csv"]).await;
    ran.must_end_with(0);
}

fn job(ran: &Ran) -> String {
    ran.summary()["job"].as_str().expect("a job").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn local_job_copies_a_manifest_and_reports_every_task() {
    let stage = Stage::new().await;
    for key in ODD_KEYS {
        stage.put(SOURCE, key, "one");
    }
    stage.both("equal", "one");
    let to = format!("s3://{STATE}/manifests/run.csv");
    let source = [
        "--source",
        "s3://cli-source",
        "--source-region",
        "us-east-1",
        "--to",
        &to,
    ];
    let listed = stage.run("manifest", &source.map(str::to_owned)).await;
    listed.must_end_with(0);
    let reports = format!("s3://{STATE}/final-sync/reports");
    let manifest = format!("s3://{STATE}/manifests/run-0001.csv");
    let start = local(&manifest, &["--report-prefix", &reports]);
    let ran = stage.run("batch", &start).await.must_end_with(0);
    let summary = ran.summary();
    assert_eq!(
        (&summary["state"], &summary["succeeded"], &summary["failed"]),
        (&json!("Complete"), &json!(9), &json!(0)),
        "{ran:?}"
    );
    stage.on_both("diff", &["--deep"]).await.must_end_with(0);
    let report = stage
        .run("batch", &verb("report", &[&job(&ran), "--region", "us-east-1"]))
        .await;
    let report = report.must_end_with(0).summary();
    assert_eq!(
        report["outcomes"],
        json!({ "copied": 8, "skipped:already-identical": 1 })
    );
    // The same command is the same job, which is complete.
    stage.server.forget_requests();
    let again = stage.run("batch", &start).await.must_end_with(0);
    assert_eq!(job(&again), job(&ran));
    assert_eq!(stage.server.requests().get("CopyObject"), None);
    // Another run of the manifest finds everything equal.
    let mut another = start.clone();
    another.extend(["--run", "2"].map(str::to_owned));
    let another = stage.run("batch", &another).await.must_end_with(0);
    assert_ne!(job(&another), job(&ran));
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_become_a_retry_manifest_for_a_second_job() {
    let stage = Stage::new().await;
    stage.put(SOURCE, "fine", "one");
    let archived = |explicit: &mut WriteAttributes| explicit.storage_class = Some("DEEP_ARCHIVE".to_owned());
    stage.put_with(SOURCE, "archived a+b.txt", "one", archived);
    write_manifest(&stage).await;
    let ran = stage.run("batch", &local("run-0001.csv", &[])).await.must_end_with(1);
    assert_eq!(
        (&ran.summary()["succeeded"], &ran.summary()["failed"]),
        (&json!(1), &json!(1))
    );
    let job = job(&ran);
    assert!(job.starts_with("s3ferry-batch/job-"), "{job}");
    let status = stage
        .run("batch", &verb("status", &[&job, "--follow"]))
        .await
        .must_end_with(1);
    assert_eq!(status.json()[0]["state"], "Complete");
    let report = stage
        .run("batch", &verb("report", &[&job, "--retry-manifest", "retry.csv"]))
        .await;
    let report = report.must_end_with(1);
    let failures: Vec<Value> = report
        .json()
        .into_iter()
        .filter(|line| line["type"] == "failure")
        .collect();
    assert_eq!(failures.len(), 1, "{report:?}");
    assert_eq!(
        (&failures[0]["key"], &failures[0]["outcome"]),
        (&json!("archived a+b.txt"), &json!("failed:ArchivedNotRestored"))
    );
    let retry_manifest = std::fs::read_to_string(stage.folder().join("retry.csv")).expect("the residue");
    assert_eq!(retry_manifest, "cli-source,archived%20a%2Bb.txt\n");
    // Somebody brings the object back.
    stage.put(SOURCE, "archived a+b.txt", "one");
    let ran = stage.run("batch", &local("retry.csv", &[])).await.must_end_with(0);
    assert_eq!(ran.summary()["succeeded"], 1);
    stage.on_both("diff", &["--deep"]).await.must_end_with(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn interrupted_job_goes_on_with_what_is_left() {
    let stage = Stage::with_latency(20).await;
    let keys = 300;
    (0..keys).for_each(|number| stage.put(SOURCE, &format!("{number:04}"), "one"));
    write_manifest(&stage).await;
    stage.server.forget_requests();
    let start = local("run-0001.csv", &["--concurrency", "4", "--tasks-per-invocation", "5"]);
    let child = stage.start("batch", &start);
    let pid = child.id().expect("it runs");
    stage.until_requested("CopyObject", 10).await;
    interrupt(pid);
    let ran = ended(child).await.must_end_with(130);
    let summary = ran.summary();
    assert_eq!(summary["state"], "Paused", "{ran:?}");
    let first = summary["succeeded"].as_u64().expect("a count");
    assert!((10..keys).contains(&first), "{first} before the interrupt");
    let report = stage
        .run("batch", &verb("report", &[&job(&ran)]))
        .await
        .must_end_with(3);
    assert!(report.stderr.contains("the job is Paused"), "{report:?}");
    let status = stage
        .run("batch", &verb("status", &[&job(&ran)]))
        .await
        .must_end_with(1);
    assert_eq!(status.json()[0]["succeeded"], first);
    let second = stage.run("batch", &start).await.must_end_with(0);
    assert_eq!(
        (job(&second), &second.summary()["succeeded"]),
        (job(&ran), &json!(keys))
    );
    assert_eq!(stage.server.requests()["CopyObject"], keys, "nothing is copied twice");
    stage.on_both("diff", &["--deep"]).await.must_end_with(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_that_fail_for_a_while_run_again() {
    let stage = Stage::new().await;
    stage.put(SOURCE, "a", "one");
    write_manifest(&stage).await;
    // Whoever wrote and got no answer asks to be run again, for the write may still land.
    let faults = json!([{ "operation": "CopyObject", "nth": 1, "fault": "lost-response" }]);
    stage.server.set_faults(&faults).expect("rules");
    let ran = stage.run("batch", &local("run-0001.csv", &[])).await.must_end_with(0);
    let report = stage
        .run("batch", &verb("report", &[&job(&ran)]))
        .await
        .must_end_with(0);
    assert_eq!(
        report.summary()["outcomes"],
        json!({ "skipped:already-identical": 1 }),
        "{report:?}"
    );
    stage.server.set_faults(&json!([])).expect("rules");
    stage.on_both("diff", &["--deep"]).await.must_end_with(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn arguments_of_the_job_are_those_of_the_final_sync() {
    let stage = Stage::new().await;
    stage.both("equal", "one");
    stage.put_with(SOURCE, "tags", "one", |explicit| {
        explicit.tags.insert("a".to_owned(), "1".to_owned());
    });
    stage.put(DESTINATION, "tags", "one");
    std::fs::write(stage.folder().join("run.csv"), "cli-source,equal\ncli-source,tags\n").expect("the manifest");
    let deep = local("run.csv", &["--user-argument", "compare-attributes=always"]);
    stage.run("batch", &deep).await.must_end_with(0);
    stage.on_both("diff", &["--deep"]).await.must_end_with(0);
    for (argument, expected) in [
        (
            "speed=high",
            "user argument `speed` is not supported: allowed are ownership",
        ),
        (
            "attributes=abyss",
            "`compare-attributes` is `abyss`: allowed: as-needed, always",
        ),
        ("attributes", "must be NAME=VALUE"),
    ] {
        let ran = stage
            .run("batch", &local("run.csv", &["--user-argument", argument]))
            .await
            .must_end_with(2);
        assert!(ran.stderr.contains(expected), "{ran:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_manifests_are_refused_with_file_and_row() {
    let stage = Stage::new().await;
    for (text, expected) in [
        ("cli-source\n", "run.csv, row 1: the number of columns is 1"),
        ("Bucket,Key\ncli-source,a\n", "row 1: the manifest has a header row"),
        (
            "cli-source,a\ncli-source,b+c\n",
            "row 2: key `b+c` contains an unencoded `+`",
        ),
        (
            "cli-source,a\nelsewhere,b\n",
            "row 2: bucket `elsewhere`, expected `cli-source`",
        ),
        (
            "cli-source,a,v1\ncli-source,b\n",
            "row 2: the row has no version ID, unlike the rows before",
        ),
        ("cli-source,100%\n", "row 1: key `100%` is not URL-encoded"),
        ("\n\n", "run.csv has no rows"),
    ] {
        std::fs::write(stage.folder().join("run.csv"), text).expect("the manifest");
        stage.server.forget_requests();
        let ran = stage.run("batch", &local("run.csv", &[])).await.must_end_with(3);
        assert!(ran.stderr.contains(expected), "{ran:?}");
        assert_eq!(stage.server.requests().get("HeadObject"), None, "nothing was begun");
    }
    let ran = stage.run("batch", &local("none.csv", &[])).await.must_end_with(3);
    assert!(ran.stderr.contains("read the manifest none.csv"), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn report_that_was_changed_is_refused() {
    let stage = Stage::new().await;
    stage.put(SOURCE, "a", "one");
    write_manifest(&stage).await;
    let ran = stage.run("batch", &local("run-0001.csv", &[])).await.must_end_with(0);
    let results = stage.folder().join(job(&ran)).join("results");
    let file = std::fs::read_dir(results)
        .expect("the results")
        .next()
        .expect("a file")
        .expect("a file");
    std::fs::write(file.path(), "cli-source,a,,succeeded,200,,copied nothing\n").expect("a change");
    let report = stage
        .run("batch", &verb("report", &[&job(&ran)]))
        .await
        .must_end_with(3);
    assert!(report.stderr.contains("has the MD5"), "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn flags_that_a_service_does_not_apply_are_refused() {
    let stage = Stage::new().await;
    for (arguments, expected) in [
        (
            vec!["--engine", "local", "--manifest", "a.csv"],
            "give --source, --destination and --destination-region",
        ),
        (
            vec!["--manifest", "a.csv"],
            "reads its manifest from a bucket, and --manifest is a file",
        ),
        (
            vec!["--manifest", "s3://state/a.csv", "--source", "s3://cli-source"],
            "--source means nothing to --engine",
        ),
        (
            vec!["--manifest", "s3://state/a.csv", "--acl", "copy"],
            "is the function's setting",
        ),
        (
            vec![
                "--engine",
                "step-functions",
                "--operation",
                "copy",
                "--manifest",
                "s3://state/a.csv",
            ],
            "give --engine s3-batch-operations",
        ),
        (
            vec![
                "--operation",
                "copy",
                "--manifest",
                "s3://state/a.csv",
                "--source-region",
                "us-east-1",
            ],
            "give --destination s3://bucket and --destination-region",
        ),
        (
            vec!["--manifest", "s3://state/a.csv", "--source-region", "us-east-1"],
            "give --function-arn, or --stack",
        ),
    ] {
        let ran = stage.run("batch", &verb("start", &arguments)).await.must_end_with(2);
        assert!(ran.stderr.contains(expected), "{expected}: {ran:?}");
    }
    let ran = stage
        .run("batch", &verb("status", &["somewhere"]))
        .await
        .must_end_with(2);
    assert!(ran.stderr.contains("`somewhere` is no job"), "{ran:?}");
    let ran = stage.run("batch", &verb("status", &["job-0"])).await.must_end_with(3);
    assert!(ran.stderr.contains("there is no job-0"), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn manifest_that_is_not_there_ends_with_3_and_is_asked_for() {
    let stage = Stage::new().await;
    let ran = stage.run("batch", &local("missing.csv", &[])).await.must_end_with(3);
    assert!(
        ran.stderr.contains("failed to read the manifest missing.csv"),
        "{ran:?}"
    );
    assert!(ran.stderr.contains("next: name a file that is there"), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn job_that_found_nothing_to_compare_says_so() {
    let stage = Stage::new().await;
    let write = |text: &str| std::fs::write(stage.folder().join("old.csv"), text).expect("a file");
    write("cli-source,gone\ncli-source,never\n");
    let ran = stage.run("batch", &local("old.csv", &[])).await.must_end_with(0);
    assert!(
        ran.stderr
            .contains("nothing was compared: of 2 task(s), 2 named keys that neither bucket has"),
        "{ran:?}"
    );
    stage.put(SOURCE, "there", "one");
    write("cli-source,gone\ncli-source,there\n");
    let ran = stage.run("batch", &local("old.csv", &[])).await.must_end_with(0);
    assert!(ran.stderr.ends_with("}\nComplete: 2 done, 0 failed, of 2\n"), "{ran:?}");
    assert!(!ran.stderr.contains("nothing was compared"), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn manifest_with_carriage_returns_alone_is_refused() {
    let stage = Stage::new().await;
    std::fs::write(stage.folder().join("mac.csv"), "cli-source,a\rcli-source,b\r").expect("a file");
    let ran = stage.run("batch", &local("mac.csv", &[])).await.must_end_with(3);
    assert!(
        ran.stderr.contains("mac.csv, row 1: a carriage return within the row"),
        "{ran:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn report_escapes_bidirectional_characters_in_keys() {
    let stage = Stage::new().await;
    let archived = |explicit: &mut WriteAttributes| explicit.storage_class = Some("DEEP_ARCHIVE".to_owned());
    stage.put_with(SOURCE, "a\u{202e}\u{1b}[31mb", "one", archived);
    write_manifest(&stage).await;
    let ran = stage.run("batch", &local("run-0001.csv", &[])).await.must_end_with(1);
    let report = ["report", &job(&ran)].map(str::to_owned);
    let report = stage.run("batch", &report).await.must_end_with(1);
    assert!(!report.stdout.contains(['\u{202e}', '\u{1b}']), "{report:?}");
    assert!(report.stdout.contains("a\\u{202e}\\u{1b}[31mb"), "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn job_is_named_alone_on_standard_output() {
    let stage = Stage::new().await;
    stage.put(SOURCE, "a", "one");
    write_manifest(&stage).await;
    let arguments: Vec<String> = local("run-0001.csv", &[])
        .into_iter()
        .filter(|argument| argument != "--output" && argument != "json")
        .collect();
    let ran = stage.run("batch", &arguments).await.must_end_with(0);
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert_eq!(lines.len(), 1, "{ran:?}");
    assert!(ran.stderr.contains("Complete: 1 done, 0 failed, of 1"), "{ran:?}");
    let status = ["status", lines[0]].map(str::to_owned);
    stage.run("batch", &status).await.must_end_with(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_without_an_id_are_written_as_null_and_read_again() {
    let stage = Stage::new().await;
    let model = || stage.server.model();
    model()
        .set_versioning(SOURCE, SimVersioning::Suspended)
        .expect("the bucket");
    stage.put(SOURCE, "without", "one");
    model()
        .set_versioning(SOURCE, SimVersioning::Enabled)
        .expect("the bucket");
    stage.put(SOURCE, "with", "one");
    stage
        .on_both("manifest", &["--versions", "--to", "run.csv"])
        .await
        .must_end_with(0);
    let text = std::fs::read_to_string(stage.folder().join("run-0001.csv")).expect("the manifest");
    assert!(text.contains("cli-source,without,null\n"), "{text}");
    let ran = stage.run("batch", &local("run-0001.csv", &[])).await.must_end_with(0);
    assert_eq!(ran.summary()["succeeded"], 2);
    stage.on_both("diff", &["--deep"]).await.must_end_with(0);
}
