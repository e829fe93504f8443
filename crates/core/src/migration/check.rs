//! Contradictions between the values of migrations.

use super::MigrationFileProblem;
use super::parse::ReadMigration;
use crate::diff::SideName;
use crate::names::Region;
use crate::policy::{
    destination_encryption, destination_encryption_must_be_in, kms_key_must_be_in, kms_keys, kms_keys_must_be_in,
};

/// Finds values that contradict each other, within a migration and between migrations.
pub(super) fn check_migrations(migrations: &[ReadMigration]) -> Vec<MigrationFileProblem> {
    let mut problems = Vec::new();
    for (position, one) in migrations.iter().enumerate() {
        problems.extend(buckets(one));
        problems.extend(engine(one));
        problems.extend(keys_in_regions(one));
        let earlier = migrations.get(..position).unwrap_or_default();
        problems.extend(earlier.iter().find_map(|other| overlap(other, one)));
    }
    problems
}

fn problem(one: &ReadMigration, key: &str, what: String, next: impl Into<String>) -> MigrationFileProblem {
    MigrationFileProblem {
        line: one.read.line(key),
        what,
        next: next.into(),
    }
}

fn buckets(one: &ReadMigration) -> Option<MigrationFileProblem> {
    let (source, destination) = (&one.migration.source, &one.migration.destination);
    if source.bucket == destination.bucket {
        return Some(problem(
            one,
            "destination",
            format!("`source` and `destination` are the same bucket: {}", source.bucket),
            "name the bucket in the other region as `destination`",
        ));
    }
    if source.prefix != destination.prefix {
        return Some(problem(
            one,
            "destination",
            format!(
                "the prefixes of `source` and `destination` differ: `{}` and `{}`; s3ferry never renames keys",
                source.prefix, destination.prefix
            ),
            format!("write destination = \"s3://{}/{}\"", destination.bucket, source.prefix),
        ));
    }
    let state = one.migration.value("state_bucket")?;
    let side = [("source", source), ("destination", destination)]
        .into_iter()
        .find(|(_, location)| location.bucket.as_str() == state)?;
    Some(problem(
        one,
        "state_bucket",
        format!("`state_bucket` and `{}` are the same bucket: {state}", side.0),
        "name a separate bucket, such as the stack output StateBucketName",
    ))
}

/// The rules of the source template, which a deployment would refuse.
fn engine(one: &ReadMigration) -> Option<MigrationFileProblem> {
    let value = |key: &str| one.migration.value(key);
    let engine = value("replication_engine").unwrap_or("lambda");
    if value("ownership") == Some("shared") && engine != "lambda" {
        return Some(problem(
            one,
            "ownership",
            format!("`ownership` = `shared` contradicts `replication_engine` = `{engine}`"),
            "write replication_engine = \"lambda\", or ownership = \"exclusive\"",
        ));
    }
    let has_source_key_only = value("source_kms_key_arn").is_some() && value("destination_kms_key_arn").is_none();
    (engine == "crr" && has_source_key_only).then(|| {
        problem(
            one,
            "source_kms_key_arn",
            "`replication_engine` = `crr` with `source_kms_key_arn` and without `destination_kms_key_arn`: S3 would \
             replicate no object"
                .to_owned(),
            "add destination_kms_key_arn",
        )
    })
}

/// KMS keys are used only in their own region.
fn keys_in_regions(one: &ReadMigration) -> Vec<MigrationFileProblem> {
    let region = |key: &str| one.migration.value(key).and_then(|region| Region::new(region).ok());
    let mut found = Vec::new();
    if let (Some(region), Some(arn)) = (region("source_region"), one.migration.value("source_kms_key_arn")) {
        found.push(("source_kms_key_arn", kms_key_must_be_in(arn, &region, SideName::Source)));
    }
    if let Some(region) = region("destination_region") {
        if let Some(arn) = one.migration.value("destination_kms_key_arn") {
            let checked = kms_key_must_be_in(arn, &region, SideName::Destination);
            found.push(("destination_kms_key_arn", checked));
        }
        let map = one.migration.value("kms_key_map").map(kms_keys);
        if let Some(Ok(map)) = map {
            found.push(("kms_key_map", kms_keys_must_be_in(&map, &region)));
        }
        let encryption = one
            .migration
            .value("destination_encryption")
            .map(destination_encryption);
        if let Some(Ok(encryption)) = encryption {
            let checked = destination_encryption_must_be_in(encryption.as_ref(), &region);
            found.push(("destination_encryption", checked));
        }
    }
    let refused = found
        .into_iter()
        .filter_map(|(key, checked)| Some((key, checked.err()?)));
    refused
        .map(|(key, error)| {
            let next = "name a key of that region: S3 encrypts with no other";
            problem(one, key, format!("`{key}`: {error}"), next)
        })
        .collect()
}

/// Two migrations must not have the same name, stack or keys of a destination.
fn overlap(earlier: &ReadMigration, one: &ReadMigration) -> Option<MigrationFileProblem> {
    let both = |key: &str| {
        let value = one.migration.value(key)?;
        (earlier.migration.value(key) == Some(value)).then_some(value)
    };
    let line = |key: &str| earlier.read.line(key);
    if let Some(name) = both("name") {
        return Some(problem(
            one,
            "name",
            format!("the name `{name}` is used twice, first in line {}", line("name")),
            "give each migration its own name",
        ));
    }
    for (key, region) in [("stack", "source_region"), ("destination_stack", "destination_region")] {
        let is_same_region = earlier.migration.value(region) == one.migration.value(region);
        if let Some(stack) = both(key).filter(|_| is_same_region) {
            return Some(problem(
                one,
                key,
                format!("the stack `{stack}` is used twice, first in line {}", line(key)),
                "deploy stacks for each migration: a stack is of one bucket",
            ));
        }
    }
    let (first, second) = (&earlier.migration.destination, &one.migration.destination);
    let is_nested = first.prefix.starts_with(&second.prefix) || second.prefix.starts_with(&first.prefix);
    (first.bucket == second.bucket && is_nested).then(|| {
        problem(
            one,
            "destination",
            format!(
                "`destination` {second} overlaps with the destination {first} in line {}: each migration would see the \
                 objects of the other one as extra",
                line("destination")
            ),
            "give each migration its own bucket or prefix",
        )
    })
}
