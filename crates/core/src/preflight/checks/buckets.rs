//! Existence, regions, owners and versioning.

use std::time::Duration;

use super::{CheckResult, joined};
use crate::policy::Ownership;
use crate::preflight::facts::{BucketExistence, BucketFacts, PreflightFacts};
use crate::preflight::report::Finding;
use crate::wiring::Versioning;

/// Regions that an account must enable.
///
/// <https://docs.aws.amazon.com/accounts/latest/reference/manage-acct-regions.html>
const OPT_IN_REGIONS: [&str; 17] = [
    "af-south-1",
    "ap-east-1",
    "ap-east-2",
    "ap-south-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "ap-southeast-5",
    "ap-southeast-6",
    "ap-southeast-7",
    "ca-west-1",
    "eu-central-2",
    "eu-south-1",
    "eu-south-2",
    "il-central-1",
    "me-central-1",
    "me-south-1",
    "mx-central-1",
];

/// Time after versioning is first enabled in which S3 may answer 404 for existing objects.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/manage-versioning-examples.html>
const VERSIONING_SETTLES: Duration = Duration::from_mins(15);

pub(super) fn exist(facts: &PreflightFacts) -> CheckResult {
    let mut parts = Vec::new();
    for (side, bucket) in facts.sides() {
        if *bucket.existence.known()? == BucketExistence::Missing {
            let (name, region) = (&bucket.name, &bucket.region);
            let fix = if side == "source" {
                "correct --source".to_owned()
            } else {
                format!(
                    "deploy the destination stack, or run `aws s3api create-bucket --bucket {name} --region {region} \
                     --create-bucket-configuration LocationConstraint={region}`"
                )
            };
            parts.push(Finding::fail(format!("the {side} bucket {name} does not exist"), fix));
        }
    }
    Ok(joined(parts, "both buckets exist"))
}

pub(super) fn regions(facts: &PreflightFacts) -> CheckResult {
    let mut parts = Vec::new();
    let mut found = Vec::new();
    for (side, bucket) in facts.sides() {
        let BucketExistence::Exists { region } = bucket.existence.known()? else {
            parts.push(Finding::fail(
                format!("the {side} bucket {} could not be read", bucket.name),
                "see buckets-exist and bucket-owners",
            ));
            continue;
        };
        let region = region.as_deref().unwrap_or(bucket.region.as_str());
        found.push(region);
        if region != bucket.region.as_str() {
            let evidence = format!(
                "the {side} bucket {} is in {region}, not in {}",
                bucket.name, bucket.region
            );
            parts.push(Finding::fail(evidence, format!("pass --{side}-region {region}")));
        }
    }
    if parts.is_empty() && facts.source.region == facts.destination.region {
        return Ok(Finding::warn(
            format!("both buckets are in {}", facts.source.region),
            "check the names: S3 Same-Region Replication or a plain copy may be enough",
        ));
    }
    Ok(joined(parts, found.join(" to ")))
}

pub(super) fn owners(facts: &PreflightFacts) -> CheckResult {
    let mut parts = Vec::new();
    for (side, bucket) in facts.sides() {
        match (bucket.existence.known()?, &bucket.expected_owner) {
            (BucketExistence::OtherOwner, Some(owner)) => parts.push(Finding::fail(
                format!("account {owner} does not own the {side} bucket {}", bucket.name),
                format!("correct --{side}-bucket-owner, or the name of the bucket"),
            )),
            (_, Some(_)) => {}
            (_, None) => {
                let caller = facts.account.caller.known()?;
                if !*bucket.is_callers.known()? {
                    parts.push(Finding::warn(
                        format!("account {caller} of these credentials does not own the {side} bucket {}", bucket.name),
                        format!("pass --{side}-bucket-owner ACCOUNT to every command, and DestinationBucketOwner to the stack"),
                    ));
                }
            }
        }
    }
    Ok(joined(parts, "the expected accounts own both buckets"))
}

pub(super) fn opt_in_regions(facts: &PreflightFacts) -> CheckResult {
    let mut parts = Vec::new();
    for (side, bucket) in facts.sides() {
        bucket.existence.known()?;
        let region = bucket.region.as_str();
        if OPT_IN_REGIONS.contains(&region) {
            parts.push(Finding::warn(
                format!("the {side} region {region} is an opt-in region; it answered these credentials"),
                format!(
                    "run `aws account get-region-opt-status --region-name {region}` in every account that takes part, and \
                     use regional STS endpoints"
                ),
            ));
        }
    }
    Ok(joined(parts, "no opt-in region"))
}

pub(super) fn source_versioning(facts: &PreflightFacts) -> CheckResult {
    let versioning = *facts.source.versioning.known()?;
    let evidence = format!("versioning is {versioning}");
    if facts.choices.engine.replicates() && versioning != Versioning::Enabled {
        return Ok(Finding::fail(
            format!("{evidence}, and S3 replication requires it"),
            enable_versioning(&facts.source),
        ));
    }
    Ok(match versioning {
        Versioning::Suspended => Finding::warn(
            format!("{evidence}: new objects replace the version `null`"),
            enable_versioning(&facts.source),
        ),
        Versioning::Off | Versioning::Enabled => Finding::pass(evidence),
    })
}

pub(super) fn destination_versioning(facts: &PreflightFacts) -> CheckResult {
    let versioning = *facts.destination.versioning.known()?;
    let evidence = format!("versioning is {versioning}");
    if versioning == Versioning::Enabled {
        return Ok(Finding::pass(evidence));
    }
    let fix = enable_versioning(&facts.destination);
    let choices = &facts.choices;
    Ok(if choices.ownership == Ownership::Shared {
        Finding::fail(format!("{evidence}, and shared ownership requires it"), fix)
    } else if choices.engine.replicates() {
        Finding::fail(format!("{evidence}, and S3 replication requires it"), fix)
    } else {
        Finding::warn(evidence, fix)
    })
}

pub(super) fn versioning_age(facts: &PreflightFacts) -> CheckResult {
    let versioning = *facts.source.versioning.known()?;
    if versioning == Versioning::Off {
        return Ok(Finding::pass("versioning was never enabled"));
    }
    let versions = facts.versions.known()?;
    let Some(oldest) = versions.oldest_with_id else {
        if versions.listed == 0 {
            return Ok(Finding::pass("no object, and no version"));
        }
        return Ok(Finding::warn(
            "no version in the listing has an ID: versioning may have been enabled a moment ago",
            "wait 15 minutes after versioning was enabled before you start",
        ));
    };
    let age = facts.choices.now.since(oldest);
    let evidence = format!(
        "the oldest version with an ID that was listed is of {}",
        oldest.to_rfc3339()
    );
    Ok(if age < VERSIONING_SETTLES {
        Finding::warn(
            evidence,
            "wait 15 minutes after versioning was enabled before you start",
        )
    } else {
        Finding::pass(evidence)
    })
}

fn enable_versioning(bucket: &BucketFacts) -> String {
    format!(
        "aws s3api put-bucket-versioning --bucket {} --region {} --versioning-configuration Status=Enabled",
        bucket.name, bucket.region
    )
}
