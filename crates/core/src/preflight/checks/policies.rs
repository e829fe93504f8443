//! Bucket policies that deny.

use super::{CheckResult, joined};
use crate::preflight::facts::{BucketFacts, PreflightFacts};
use crate::preflight::policy_document::PolicyStatement;
use crate::preflight::report::Finding;

/// Actions that the roles need at the source.
const READS: [&str; 6] = [
    "s3:ListBucket",
    "s3:ListBucketVersions",
    "s3:GetObject",
    "s3:GetObjectVersion",
    "s3:GetObjectTagging",
    "s3:GetObjectAttributes",
];

/// Actions that the roles need at the destination.
const WRITES: [&str; 6] = [
    "s3:ListBucket",
    "s3:GetObject",
    "s3:PutObject",
    "s3:PutObjectTagging",
    "s3:AbortMultipartUpload",
    "s3:DeleteObject",
];

/// Condition keys about headers of a write.
const HEADERS: [&str; 7] = [
    "s3:x-amz-server-side-encryption",
    "s3:x-amz-server-side-encryption-aws-kms-key-id",
    "s3:x-amz-server-side-encryption-customer-algorithm",
    "s3:x-amz-acl",
    "s3:x-amz-grant-full-control",
    "s3:x-amz-storage-class",
    "s3:RequestObjectTag",
];

/// Condition keys about the network of a request. A cross-region copy has no VPC.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication-requirements.html>
const NETWORK: [&str; 4] = ["aws:SourceVpce", "aws:SourceVpc", "aws:VpcSourceIp", "aws:SourceVpcArn"];

pub(super) fn source(facts: &PreflightFacts) -> CheckResult {
    denials(&facts.source, &facts.choices.prefix, &READS)
}

pub(super) fn destination(facts: &PreflightFacts) -> CheckResult {
    denials(&facts.destination, &facts.choices.prefix, &WRITES)
}

fn denials(bucket: &BucketFacts, prefix: &str, needed: &[&str]) -> CheckResult {
    let Some(policy) = bucket.policy.known()? else {
        return Ok(Finding::pass("no bucket policy"));
    };
    let denying = policy.statements.iter().filter(|statement| statement.denies);
    let found = denying.filter(|statement| statement.concerns(bucket.name.as_str(), prefix));
    let found = found.filter_map(|statement| denial(statement, &statement.covered(needed)));
    Ok(joined(
        found.collect(),
        "the bucket policy denies none of the actions that s3ferry needs",
    ))
}

/// Returns the finding about a statement that denies actions.
fn denial(statement: &PolicyStatement, actions: &[&str]) -> Option<Finding> {
    let requires_tls = statement.conditions.len() == 1 && statement.condition_on(&["aws:SecureTransport"]).is_some();
    // Those conditions are the subject of the check vpc-endpoints.
    if actions.is_empty() || requires_tls || statement.condition_on(&NETWORK).is_some() {
        return None;
    }
    let name = statement.name();
    let evidence = format!("statement {name} denies {}", actions.join(", "));
    let keys: Vec<String> = statement
        .conditions
        .iter()
        .map(|condition| {
            format!(
                "{} {} {}",
                condition.operator,
                condition.key,
                condition.values.join(",")
            )
        })
        .collect();
    if statement.condition_on(&HEADERS).is_some() {
        return Some(Finding::warn(
            format!("{evidence} unless headers satisfy {}", keys.join(" and ")),
            "deploy with DestinationEncryption (and StorageClass), and pass --destination-encryption, so that every write has \
             the header",
        ));
    }
    if !keys.is_empty() {
        return Some(Finding::warn(
            format!("{evidence} if {}", keys.join(" and ")),
            format!("except the stack's roles (aws:PrincipalArn) and the CLI's credentials in statement {name}"),
        ));
    }
    if statement.is_for_everyone() {
        return Some(Finding::fail(
            evidence,
            format!("remove statement {name}, or except the roles of the stack in it"),
        ));
    }
    Some(Finding::warn(
        format!("{evidence} to {}", statement.principals.join(", ")),
        "check that these principals are not the roles of the stack or the CLI's credentials",
    ))
}

pub(super) fn vpc_endpoints(facts: &PreflightFacts) -> CheckResult {
    let mut parts = Vec::new();
    for (side, bucket) in facts.sides() {
        let Some(policy) = bucket.policy.known()? else { continue };
        for statement in &policy.statements {
            let Some(condition) = statement.condition_on(&NETWORK) else {
                continue;
            };
            let (name, key) = (statement.name(), &condition.key);
            let values = condition.values.join(",");
            let evidence = format!("statement {name} of the {side} bucket requires {key} {values}");
            let fix = format!("except the roles of the stack (aws:PrincipalArn) in statement {name}");
            parts.push(if statement.denies {
                Finding::fail(evidence, fix)
            } else {
                Finding::warn(
                    evidence,
                    "give the roles their permissions by IAM instead of this statement",
                )
            });
        }
    }
    Ok(joined(
        parts,
        "no bucket policy requires a VPC or VPC endpoint; run the functions outside of a VPC",
    ))
}
