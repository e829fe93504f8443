//! The migration file: written, read by commands, and refused.

use std::fs;

use serde_json::json;

use super::proxy::{proxy, run};
use super::stage::{DESTINATION, SOURCE, STATE, Stage};

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn write(stage: &Stage, text: &str) {
    fs::write(stage.folder().join("s3ferry.toml"), text).expect("the file is written");
}

fn sides() -> String {
    format!("schema = 1\nsource = \"s3://{SOURCE}\"\ndestination = \"s3://{DESTINATION}\"\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_need_no_flags_with_the_file_that_init_writes() {
    let stage = Stage::new().await;
    stage.put(SOURCE, "a", "one");
    let (source, destination) = (format!("s3://{SOURCE}"), format!("s3://{DESTINATION}"));
    let ran = stage
        .run("init", &words(&[&source, &destination]))
        .await
        .must_end_with(0);
    assert_eq!(ran.stdout, "wrote s3ferry.toml\n");
    let ran = stage
        .run("init", &words(&[&source, &destination]))
        .await
        .must_end_with(2);
    assert!(ran.stderr.contains("pass --force to replace it"), "{ran:?}");
    // No region is given anywhere: both are found.
    stage.run("diff", &[]).await.must_end_with(1);
    stage.run("sync", &[]).await.must_end_with(0);
    let ran = stage
        .run("verify", &words(&["--output", "json"]))
        .await
        .must_end_with(0);
    let summary = ran.summary();
    let regions = (&summary["source"]["region"], &summary["destination"]["region"]);
    assert_eq!(regions, (&json!("us-east-1"), &json!("eu-central-1")), "{summary}");
    let ran = stage
        .run("verify", &words(&["--destination-region", "eu-west-1"]))
        .await
        .must_end_with(3);
    assert!(
        ran.stderr.contains("is in region eu-central-1, not in eu-west-1"),
        "{ran:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn buckets_are_positional_arguments_too() {
    let stage = Stage::new().await;
    stage.put(SOURCE, "images/a", "one");
    let both = [format!("s3://{SOURCE}/images/"), format!("s3://{DESTINATION}/images/")];
    for command in ["sync", "diff", "verify"] {
        stage.run(command, &both).await.must_end_with(0);
    }
    let twice = [&both[..], &words(&["--source", "s3://another"])].concat();
    let ran = stage.run("diff", &twice).await.must_end_with(2);
    assert!(ran.stderr.contains("the source is given twice"), "{ran:?}");
    let ran = stage.run("diff", &both[..1]).await.must_end_with(2);
    assert!(
        ran.stderr.contains("write a migration file with `destination`"),
        "{ran:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn file_with_problems_ends_with_2_and_names_every_line() {
    let stage = Stage::new().await;
    write(
        &stage,
        &format!("{}ownership = \"share\"\nstate-bucket = \"{STATE}\"\n", sides()),
    );
    for command in ["sync", "verify", "deploy-parameters"] {
        let ran = stage.run(command, &[]).await.must_end_with(2);
        let expected = "s3ferry: s3ferry.toml:4: `ownership` = `share`: allowed: exclusive, shared\n  \
                        next: did you mean \"shared\"?\n\
                        s3ferry.toml:5: unknown key `state-bucket`\n  next: did you mean `state_bucket`?\n";
        assert_eq!(ran.stderr, expected, "{command}");
    }
    // Commands without a use for the file do not read it.
    stage.run("completions", &words(&["bash"])).await.must_end_with(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_migrations_are_verified_in_one_table_with_the_worst_exit_code() {
    let stage = Stage::new().await;
    stage.both("equal/a", "one");
    stage.both("equal/b", "one");
    stage.put(SOURCE, "different/a", "one");
    let migration = |name: &str, source: &str| {
        format!(
            "[[migration]]\nname = \"{name}\"\nsource = \"s3://{source}/{name}/\"\n\
             destination = \"s3://{DESTINATION}/{name}/\"\n"
        )
    };
    let text = ["equal", "different"].map(|name| migration(name, SOURCE)).concat();
    write(
        &stage,
        &format!("schema = 1\n{text}{}", migration("missing", "no-such-bucket")),
    );
    let ran = stage.run("verify", &words(&["--all"])).await.must_end_with(3);
    let lines: Vec<&str> = ran.stdout.lines().collect();
    let row = |name: &str| {
        lines
            .iter()
            .find(|line| line.starts_with(name))
            .map(|line| line.split_whitespace().collect())
    };
    assert_eq!(
        row("equal"),
        Some(vec!["equal", "0", "verified", "2", "2", "0", "0"]),
        "{ran:?}"
    );
    assert_eq!(
        row("different"),
        Some(vec!["different", "1", "different", "1", "0", "1", "0"])
    );
    assert_eq!(row("missing"), Some(vec!["missing", "3", "-", "-", "-", "-", "-"]));
    assert_eq!(
        (lines.len(), lines.last()),
        (5, Some(&"1 of 3 migrations ended with 0"))
    );
    assert!(ran.stderr.contains("s3ferry: missing: "), "{ran:?}");

    let all = words(&["--all", "--output", "json", "--report", "proof-{name}"]);
    let ran = stage.run("verify", &all).await.must_end_with(3);
    let lines = ran.json();
    let codes: Vec<_> = lines
        .iter()
        .map(|line| (&line["migration"], &line["exit_code"]))
        .collect();
    assert_eq!(codes.len(), 4, "{ran:?}");
    assert_eq!(codes[1], (&json!("different"), &json!(1)));
    assert_eq!(lines[0]["summary"]["verdict"], "verified");
    assert_eq!(
        lines[3],
        json!({ "type": "summary", "migrations": 3, "run": 3, "ended_with_0": 1, "exit_code": 3 })
    );
    assert!(stage.folder().join("proof-equal.json").exists());

    let one = words(&["--name", "equal"]);
    stage.run("verify", &one).await.must_end_with(0);
    stage.run("verify", &[]).await.must_end_with(2);
    stage.run("sync", &words(&["--all"])).await.must_end_with(2);
}

/// Answers for `CloudFormation`: the parameters of both stacks.
async fn with_stacks(stage: &Stage) -> String {
    proxy(stage, |head| {
        let parameter = |(name, value): (&str, &str)| {
            format!("<member><ParameterKey>{name}</ParameterKey><ParameterValue>{value}</ParameterValue></member>")
        };
        let source = [
            ("SourceBucketName", SOURCE),
            ("DestinationBucketName", DESTINATION),
            ("DestinationRegion", "eu-central-1"),
            ("KeyPrefix", "images/"),
            ("Ownership", "shared"),
            ("BatchSize", "10"),
            ("LogRetentionDays", "90"),
            ("FinalSyncScheduleExpression", "rate(1 day)"),
        ];
        let destination = [("BucketName", DESTINATION), ("CreateBucket", "false")];
        let is_source = head.contains("/us-east-1/cloudformation/");
        let parameters = if is_source {
            source.map(parameter).concat()
        } else {
            destination.map(parameter).concat()
        };
        let id = "<StackId>arn:aws:cloudformation:us-east-1:111122223333:stack/s3ferry-source/1</StackId>";
        let output =
            format!("<member><OutputKey>StateBucketName</OutputKey><OutputValue>{STATE}</OutputValue></member>");
        let stack = format!(
            "<member><StackName>s3ferry-source</StackName>{id}<Parameters>{parameters}</Parameters>\
             <Outputs>{output}</Outputs></member>"
        );
        (head.method() == "POST" && head.target() == "/").then(|| {
            let result = format!("<DescribeStacksResult><Stacks>{stack}</Stacks></DescribeStacksResult>");
            head.answered(
                200,
                &format!("<DescribeStacksResponse>{result}</DescribeStacksResponse>"),
            )
        })
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn file_of_deployed_stacks_prints_their_parameters_again() {
    let stage = Stage::new().await;
    let endpoint = with_stacks(&stage).await;
    let from = words(&[
        "--from-stack",
        "s3ferry-source",
        "--from-destination-stack",
        "s3ferry-destination",
        "--source-region",
        "us-east-1",
    ]);
    run(&stage, &endpoint, "init", &from).await.must_end_with(0);
    let text = fs::read_to_string(stage.folder().join("s3ferry.toml")).expect("the file");
    for line in [
        format!("source = \"s3://{SOURCE}/images/\"").as_str(),
        "source_bucket_owner = \"111122223333\"",
        "destination_stack = \"s3ferry-destination\"",
        "create_destination_bucket = false",
        &format!("state_bucket = \"{STATE}\""),
        "ownership = \"shared\"",
        "# storage_class = \"source\"",
        "LogRetentionDays = \"90\"",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} in {text}");
    }
    assert!(!text.contains("BatchSize"), "a default of the template: {text}");
    let ran = stage
        .run("deploy-parameters", &words(&["--output", "json"]))
        .await
        .must_end_with(0);
    let stacks = ran.json();
    assert_eq!(
        stacks[0]["parameters"],
        json!({ "BucketName": DESTINATION, "CreateBucket": "false" })
    );
    let expected = json!({
        "SourceBucketName": SOURCE, "DestinationBucketName": DESTINATION, "DestinationRegion": "eu-central-1",
        "DestinationBucketOwner": "111122223333", "KeyPrefix": "images/", "Ownership": "shared",
        "LogRetentionDays": "90", "FinalSyncScheduleExpression": "rate(1 day)",
    });
    assert_eq!(
        (&stacks[1]["parameters"], &stacks[1]["region"]),
        (&expected, &json!("us-east-1"))
    );
    let ran = stage
        .run("deploy-parameters", &words(&["source"]))
        .await
        .must_end_with(0);
    let begin =
        format!("--stack-name s3ferry-source --region us-east-1 --parameter-overrides SourceBucketName={SOURCE} ");
    assert!(ran.stdout.starts_with(&begin), "{ran:?}");
    assert!(
        ran.stdout.contains(" 'FinalSyncScheduleExpression=\"rate(1 day)\"'"),
        "{ran:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn regions_of_stacks_are_found_or_asked_for() {
    let stage = Stage::new().await;
    write(&stage, &sides());
    let ran = stage.run("deploy-parameters", &[]).await.must_end_with(0);
    assert!(ran.stdout.contains("DestinationRegion=eu-central-1"), "{ran:?}");
    assert!(
        ran.stdout.contains("--stack-name s3ferry-source --region us-east-1"),
        "{ran:?}"
    );
    assert!(ran.stdout.contains("'KeyPrefix=\"\"'"), "{ran:?}");
    write(&stage, &sides().replace(DESTINATION, "not-created-yet"));
    let ran = stage.run("deploy-parameters", &[]).await.must_end_with(2);
    assert!(
        ran.stderr.contains("set destination_region in the migration file"),
        "{ran:?}"
    );
}
