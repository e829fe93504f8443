use std::path::Path;

use s3ferry_core::migration::MigrationFile;
use tempfile::NamedTempFile;

use super::*;
use crate::cli::Command;

const ONE: &str = "\
schema = 1
source = 's3://photos-us'
destination = 's3://photos-eu'
source_region = 'us-east-1'
destination_region = 'eu-central-1'
state_bucket = 'photos-state'
stack = 's3ferry-source'
ownership = 'shared'
acl = 'copy'
";

const TWO: &str = "\
schema = 1
[[migration]]
name = 'photos'
source = 's3://photos-us'
destination = 's3://photos-eu'
[[migration]]
name = 'texts'
source = 's3://texts-us'
destination = 's3://texts-eu'
";

/// Parses a command line with a file; returns the arguments of each run, as they are debugged.
fn parse(text: &str, words: &str) -> Result<Vec<String>, String> {
    MigrationFile::parse(text).unwrap();
    let file = NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    parse_with(file.path(), words)
}

fn parse_with(path: &Path, words: &str) -> Result<Vec<String>, String> {
    let words = words.split_whitespace().map(str::to_owned);
    let args = std::iter::once("s3ferry".to_owned())
        .chain(words)
        .chain(["--migration".to_owned(), path.display().to_string()]);
    match Invocation::parse(args.map(OsString::from)) {
        Ok(invocation) => Ok(invocation
            .runs
            .iter()
            .map(|run| format!("{:?}", run.cli.command))
            .collect()),
        Err(InvocationError::Arguments(error)) => Err(error.to_string()),
        Err(InvocationError::File(error)) => Err(error.to_string()),
    }
}

#[track_caller]
fn shows(text: &str, words: &str, expected: &[&str]) {
    let runs = parse(text, words).unwrap_or_else(|error| panic!("{words}: {error}"));
    for expected in expected {
        assert!(
            runs.iter().any(|run| run.contains(expected)),
            "{words}: {expected} in {runs:?}"
        );
    }
}

#[test]
fn values_of_the_file_are_those_of_the_flags_that_are_not_given() {
    let both = [
        "BucketName(\"photos-us\")",
        "BucketName(\"photos-eu\")",
        "Region(\"eu-central-1\")",
    ];
    for command in ["sync", "verify", "diff", "manifest --to a.csv"] {
        shows(ONE, command, &both);
    }
    shows(
        ONE,
        "sync",
        &["ownership: Shared", "acl: Copy", "Some(BucketName(\"photos-state\"))"],
    );
    // Verify compares the grants that sync copies.
    shows(ONE, "verify", &["acl: Compare", "stack: Some(\"s3ferry-source\")"]);
    shows(ONE, "sync --ownership exclusive", &["ownership: Exclusive"]);
    shows(
        ONE,
        "batch start --manifest s3://state/a.csv",
        &["stack: Some(\"s3ferry-source\")", "copy: None"],
    );
    shows(
        ONE,
        "batch start --manifest s3://state/a.csv --operation copy",
        &[
            "destination: Some(Location",
            "destination_region: Some(Region(\"eu-central-1\"))",
        ],
    );
    shows(
        ONE,
        "manifest --all-keys --to a.csv",
        &["destination: None, destination_region: None"],
    );
}

#[test]
fn values_of_other_buckets_are_not_used() {
    let other = "sync s3://texts-us s3://texts-eu --ownership exclusive";
    shows(
        ONE,
        other,
        &[
            "source_region: None",
            "destination_region: None",
            "state_bucket: None",
            "acl: Copy",
        ],
    );
    let error = parse(ONE, "sync s3://texts-us").unwrap_err();
    assert!(error.contains("--destination <S3_URL>"), "{error}");
    // Only the prefix differs.
    shows(
        ONE,
        "sync s3://photos-us/a/ s3://photos-eu/a/",
        &["Region(\"us-east-1\")", "prefix: \"a/\""],
    );
}

#[test]
fn contradictory_locations_and_missing_values_are_usage_errors() {
    let error = parse(ONE, "sync s3://a-us s3://a-eu --source s3://b-us").unwrap_err();
    assert!(
        error.contains("the source is given twice: s3://a-us, and --source s3://b-us"),
        "{error}"
    );
    shows(
        ONE,
        "sync s3://photos-us s3://photos-eu --source s3://photos-us/",
        &["photos-us"],
    );
    let missing = parse_with(Path::new("/none/s3ferry.toml"), "sync").unwrap_err();
    assert!(
        missing.contains("failed to read the migration file /none/s3ferry.toml"),
        "{missing}"
    );
    let error = parse(ONE, "verify --source s3://other").unwrap_err();
    assert!(error.contains("set `destination` in the migration file"), "{error}");
    let error = parse(ONE, "completions bash --name photos").unwrap_err();
    assert!(error.contains("takes nothing from a migration file"), "{error}");
}

#[test]
fn one_of_several_migrations_is_named_or_all_run() {
    let error = parse(TWO, "verify").unwrap_err();
    assert!(
        error.contains("has 2 migrations, and neither --name nor --all is given"),
        "{error}"
    );
    assert!(error.contains("photos, texts"), "{error}");
    let error = parse(TWO, "verify --name photo").unwrap_err();
    assert!(error.contains("did you mean --name photos?"), "{error}");
    let one = parse(TWO, "verify --name texts --report proof-{name}").unwrap();
    assert!(one[0].contains("texts-us") && one[0].contains("proof-texts"), "{one:?}");
    let all = parse(TWO, "verify --all --report proof-{name}").unwrap();
    assert_eq!(all.len(), 2);
    assert!(
        all[0].contains("proof-photos") && all[1].contains("proof-texts"),
        "{all:?}"
    );
    for (words, expected) in [
        ("sync --all", "runs one migration at a time"),
        ("verify --all --report proof", "is one file for all migrations"),
        ("verify --all --source s3://other", "--source is of one migration"),
        ("verify --all --name texts", "cannot be used with"),
    ] {
        let error = parse(TWO, words).unwrap_err();
        assert!(error.contains(expected), "{words}: {error}");
    }
}

#[test]
fn command_that_copies_is_known_to_copy() {
    let words = ["s3ferry", "sync", "s3://a-us", "s3://a-eu"].map(OsString::from);
    let invocation = Invocation::parse(words).unwrap();
    assert!(matches!(invocation.runs[0].cli.command, Command::Sync(_)));
    assert!(invocation.runs[0].cli.command.copies());
}
