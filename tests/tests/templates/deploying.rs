//! The deployment that the documents describe, and the check before `make deploy`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use regex::Regex;
use s3ferry_core::wiring::{DesiredConfiguration, WiringProperties};
use serde_json::{Map, Value, json};

use super::cloudformation::{repository, text};
use super::tables::{self, CONFIGURATION, MIGRATION};

/// Returns the files below a folder with this extension.
fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let paths = entries.map(|entry| entry.map(|entry| entry.path()));
    let mut found = Vec::new();
    for path in paths {
        let path = path.unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|of| of == extension) {
            found.push(path);
        }
    }
    found
}

#[test]
fn documents_name_only_the_deployed_stacks() {
    let config = text("infra/samconfig.toml");
    let deployed: BTreeSet<&str> = config
        .lines()
        .filter_map(|line| line.strip_prefix("stack_name = "))
        .map(|name| name.trim_matches('"'))
        .collect();
    assert_eq!(deployed.len(), 2, "{deployed:?}");
    let pattern = |before: &str| {
        Regex::new(&format!("(?:{before})(s3ferry[a-z0-9-]*)")).unwrap_or_else(|error| panic!("{error}"))
    };
    let in_documents = pattern("--stack(?:-name)?[ =]|:stack/|execution:|mapRun:|stateMachine:|/aws/lambda/");
    let in_help = pattern("--stack[ =]");
    let mut documents = files(&repository().join("docs"), "md");
    documents.extend(["README.md", "infra/README.md"].map(|path| repository().join(path)));
    let help = files(&repository().join("crates/cli/src"), "rs");
    let documents = documents.iter().map(|path| (path, &in_documents));
    let mut named = 0;
    for (document, pattern) in documents.chain(help.iter().map(|path| (path, &in_help))) {
        let text = fs::read_to_string(document).unwrap_or_else(|error| panic!("{}: {error}", document.display()));
        for found in pattern.captures_iter(&text) {
            let name = found[1].trim_end_matches("-final-sync");
            assert!(deployed.contains(name), "{} names the stack {name}", document.display());
            named += 1;
        }
    }
    assert!(named >= 8, "{named}");
}

/// Returns the event types that bucket-wiring subscribes to.
fn event_types(engine: &str, propagate_deletes: &str) -> BTreeSet<String> {
    let properties = json!({
        "SourceBucketName": "source", "SourceRegion": "us-east-1", "DestinationBucketName": "destination",
        "DestinationRegion": "eu-central-1", "DestinationBucketOwner": "123456789012", "Ownership": "exclusive",
        "StateBucketName": "state", "AccountId": "123456789012", "ReplicationEngine": engine, "EventSource": "queue",
        "QueueArn": "arn:aws:sqs:us-east-1:123456789012:own-queue", "EventRuleName": "", "KeyPrefix": "",
        "PropagateDeletes": propagate_deletes, "EnableVersioning": "false", "DestinationKmsKeyArn": "",
        "ReplicationRoleArn": "arn:aws:iam::123456789012:role/own-role",
    });
    let properties: Map<String, Value> = properties.as_object().cloned().unwrap_or_default();
    let properties = WiringProperties::parse(&properties).unwrap_or_else(|error| panic!("{error}"));
    let subscription = DesiredConfiguration::new(&properties).subscription;
    let events = subscription.map(|subscription| subscription.events).unwrap_or_default();
    events.into_iter().map(str::to_owned).collect()
}

/// Operators compare their notifications with this table to find an overlap before the deployment.
#[test]
fn migration_names_every_subscribed_event_type() {
    let documented: Vec<BTreeSet<String>> = tables::table(MIGRATION, "## 2. Check the source bucket")
        .iter()
        .map(|row| tables::code(&row[0]).into_iter().collect())
        .collect();
    let copying = event_types("lambda", "false");
    let deleting = event_types("lambda", "true").difference(&copying).cloned().collect();
    assert_eq!(documented, [copying, deleting, event_types("crr", "false")]);
}

/// Runs the check of `make deploy` on a copy of `infra/samconfig.toml`; returns whether it passed, and its output.
fn check(config: &str) -> (bool, String) {
    let folder = tempfile::tempdir().unwrap_or_else(|error| panic!("{error}"));
    let write = |path: &str, text: &str| {
        let path = folder.path().join(path);
        fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    };
    fs::create_dir(folder.path().join("infra")).unwrap_or_else(|error| panic!("{error}"));
    write("Makefile", &text("Makefile"));
    write("infra/samconfig.toml", config);
    let output = Command::new("make")
        .arg("check-deploy-parameters")
        .current_dir(folder.path())
        .env_remove("MAKEFLAGS")
        .output()
        .unwrap_or_else(|error| panic!("make: {error}"));
    let printed = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&printed).into_owned())
}

#[test]
fn deploy_check_names_every_line_that_is_not_filled_in() {
    let config = text("infra/samconfig.toml");
    let (passed, printed) = check(&config);
    assert!(!passed);
    for line in [
        "infra/samconfig.toml:",
        "BucketName=FILL-IN",
        "SourceBucketName=FILL-IN",
    ] {
        assert!(printed.contains(line), "{line} in {printed}");
    }
    assert!(printed.contains("fill in infra/samconfig.toml"), "{printed}");

    // A comment may contain FILL-IN, also at the end of a line.
    let filled = config.replace("=FILL-IN", "=a-bucket");
    assert!(filled.contains("FILL-IN"), "a comment names FILL-IN");
    let commented = filled.replace("\"BucketName=a-bucket\",", "\"BucketName=a-bucket\", # was FILL-IN");
    let (passed, printed) = check(&commented);
    assert!(passed, "{printed}");
}

/// Runs the commands of `make deploy` with programs that print what they are called with.
#[test]
fn deploy_passes_the_parameters_of_the_migration_file() {
    let folder = tempfile::tempdir().unwrap_or_else(|error| panic!("{error}"));
    let program = |path: &str, script: &str| {
        let path = folder.path().join(path);
        let parent = path.parent().unwrap_or_else(|| panic!("{}", path.display()));
        fs::create_dir_all(parent).unwrap_or_else(|error| panic!("{error}"));
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap_or_else(|error| panic!("{error}"));
        let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(&path, permissions).unwrap_or_else(|error| panic!("{error}"));
    };
    program(
        "s3ferry",
        r#"echo "--stack-name $4-$5 --parameter-overrides 'Name=\"rate(1 day)\"'""#,
    );
    program(".tools/sam/bin/sam", r#"printf '<%s>' "$@"; echo"#);
    let write = |path: &str, text: &str| {
        fs::write(folder.path().join(path), text).unwrap_or_else(|error| panic!("{path}: {error}"));
    };
    // Without what is built before.
    let makefile = text("Makefile").replace("deploy: check-deploy-parameters build .tools/sam/.installed", "deploy:");
    write("Makefile", &makefile);
    write("s3ferry.toml", "schema = 1\n");
    fs::create_dir(folder.path().join("infra")).unwrap_or_else(|error| panic!("{error}"));
    let output = Command::new("make")
        .args([
            "--silent",
            "deploy",
            "DEPLOY_CLI=./s3ferry",
            "NAME=photos",
            "ARCH=arm64",
        ])
        .current_dir(folder.path())
        .env_remove("MAKEFLAGS")
        .output()
        .unwrap_or_else(|error| panic!("make: {error}"));
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let deploy = |stack: &str, more: &str| {
        format!(
            "<deploy><--config-env><{stack}><--stack-name><--name-photos><--parameter-overrides>\
             <Name=\"rate(1 day)\">{more}"
        )
    };
    let expected = [deploy("destination", ""), deploy("source", "<Architecture=arm64>")];
    assert_eq!(printed.lines().collect::<Vec<_>>(), expected, "{output:?}");
}

/// AWS does not document which of the two service names S3 sends when a job's role is passed.
#[test]
fn operator_policy_allows_passing_the_job_role_to_both_service_names() {
    let page = text(CONFIGURATION);
    let (_, section) = page
        .split_once("\n### Operator\n")
        .unwrap_or_else(|| panic!("no permissions"));
    let policy = section
        .split("```json")
        .nth(1)
        .and_then(|rest| rest.split("```").next());
    let policy = policy.unwrap_or_else(|| panic!("no policy"));
    let policy: Value = serde_json::from_str(policy).unwrap_or_else(|error| panic!("{error}: {policy}"));
    let statements = policy["Statement"].as_array().cloned().unwrap_or_default();
    let passing = statements
        .iter()
        .find(|statement| statement["Action"] == "iam:PassRole");
    let services = passing.map(|statement| statement["Condition"]["StringEquals"]["iam:PassedToService"].clone());
    assert_eq!(
        services,
        Some(json!(["batchoperations.s3.amazonaws.com", "s3.amazonaws.com"]))
    );
    assert!(section.contains("`s3:RestoreObject`"), "what compute-checksum needs");
}
