//! What the command line refuses, with which exit code, and what it says to do instead.

use s3ferry_tests::{DESTINATION_REGION, SOURCE_REGION};

use crate::stage::{DESTINATION, SOURCE, Stage};

fn arguments(arguments: &[&str]) -> Vec<String> {
    arguments.iter().map(|argument| (*argument).to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_command_lines_end_with_2() {
    let stage = Stage::new().await;
    let (source, destination) = (format!("s3://{SOURCE}/a/"), format!("s3://{DESTINATION}/b/"));
    for (wrong, expected) in [
        (vec!["--source", "cli-source"], "must begin with s3://"),
        (vec!["--source", &source], "--destination"),
        (
            vec![
                "--source",
                &source,
                "--destination",
                &destination,
                "--destination-region",
                "eu-central-1",
            ],
            "s3ferry never renames keys",
        ),
        (
            vec![
                "--source",
                &source,
                "--destination",
                &source,
                "--destination-region",
                "eu-central-1",
            ],
            "are both bucket",
        ),
        (
            vec![
                "--source",
                &source,
                "--destination",
                &destination,
                "--destination-region",
                "Frankfurt",
            ],
            "region `Frankfurt` is not valid",
        ),
    ] {
        let ran = stage.run("diff", &arguments(&wrong)).await.must_end_with(2);
        assert!(ran.stderr.contains(expected), "{expected}: {ran:?}");
        assert_eq!(ran.stdout, "");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_regions_and_missing_buckets_end_with_3() {
    let stage = Stage::new().await;
    let (source, destination) = (format!("s3://{SOURCE}"), format!("s3://{DESTINATION}"));
    let sides = |source: &str, source_region: &str, destination_region: &str| {
        arguments(&[
            "--source",
            source,
            "--source-region",
            source_region,
            "--destination",
            &destination,
            "--destination-region",
            destination_region,
        ])
    };
    let ran = stage
        .run("diff", &sides(&source, SOURCE_REGION, "eu-west-1"))
        .await
        .must_end_with(3);
    assert!(
        ran.stderr
            .contains("is in region eu-central-1, and was looked for in eu-west-1"),
        "{ran:?}"
    );
    assert!(ran.stderr.contains("give --destination-region eu-central-1"), "{ran:?}");
    let ran = stage
        .run("sync", &sides(&source, "us-west-2", DESTINATION_REGION))
        .await
        .must_end_with(3);
    assert!(ran.stderr.contains("give --source-region us-east-1"), "{ran:?}");
    let ran = stage
        .run("diff", &sides("s3://no-such-bucket", SOURCE_REGION, DESTINATION_REGION))
        .await;
    let ran = ran.must_end_with(3);
    assert!(ran.stderr.contains("NoSuchBucket"), "{ran:?}");
    let ran = stage
        .run(
            "diff",
            &arguments(&[
                "--source",
                &source,
                "--destination",
                &destination,
                "--destination-region",
                "eu-central-1",
            ]),
        )
        .await;
    let ran = ran.must_end_with(3);
    assert!(ran.stderr.contains("the region is not known"), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn help_manual_and_completions_need_no_bucket() {
    let stage = Stage::new().await;
    for (command, more, expected) in [
        ("--help", "", "Exit codes: 0 equal or done"),
        ("diff", "--help", "Examples:"),
        ("sync", "--help", "--dry-run"),
        ("manifest", "--help", "run-1-large-or-rich-0001.csv"),
        ("man", "", ".TH s3ferry 1"),
        ("man", "sync", ".TH s3ferry-sync 1"),
        ("completions", "bash", "complete -F _s3ferry"),
    ] {
        let more: Vec<&str> = more.split_whitespace().collect();
        let ran = stage.run(command, &arguments(&more)).await.must_end_with(0);
        assert!(ran.stdout.contains(expected), "{command} {more:?}: {ran:?}");
    }
    stage.run("man", &arguments(&["nothing"])).await.must_end_with(2);
    stage.run("frobnicate", &[]).await.must_end_with(2);
}
