//! Default encryption, KMS keys and customer-provided keys.

use super::{CheckResult, joined};
use crate::encryption::is_weaker;
use crate::facts::{Encryption, ExplicitEncryption};
use crate::preflight::facts::{BucketFacts, KeyFacts, PreflightFacts};
use crate::preflight::policy_document::PolicyDocument;
use crate::preflight::reading::UnknownReading;
use crate::preflight::report::Finding;

/// Actions on the keys that the roles need.
const KEY_ACTIONS: [&str; 2] = ["kms:Decrypt", "kms:GenerateDataKey"];

pub(super) fn default_encryption(facts: &PreflightFacts) -> CheckResult {
    let source = &facts.source.encryption.known()?.default;
    let destination = &facts.destination.encryption.known()?.default;
    let mut parts = Vec::new();
    if is_weaker(&as_encryption(source), &as_encryption(destination)) {
        parts.push(Finding::warn(
            format!(
                "the source encrypts with {}, the destination with {}",
                named(source),
                named(destination)
            ),
            "set the destination's default encryption, or deploy with DestinationEncryption or KmsKeyMap",
        ));
    }
    for ((side, bucket), (default, parameter)) in facts
        .sides()
        .into_iter()
        .zip([(source, "SourceKmsKeyArn"), (destination, "DestinationKmsKeyArn")])
    {
        if let ExplicitEncryption::Kms(kms) = default {
            parts.push(with_key(side, bucket, kms.key_arn.as_deref(), parameter));
        }
    }
    Ok(joined(parts, "S3 manages the keys of both buckets (SSE-S3)"))
}

fn with_key(side: &str, bucket: &BucketFacts, key: Option<&str>, parameter: &str) -> Finding {
    let Some(key) = key else {
        return Finding::warn(
            format!("the {side} bucket encrypts with the AWS managed key aws/s3"),
            "nothing within one account; another account's roles cannot use this key",
        );
    };
    let region = key.strip_prefix("arn:").and_then(|rest| rest.split(':').nth(2));
    match region {
        Some(region) if region != bucket.region.as_str() => Finding::fail(
            format!(
                "the {side} bucket's default key {key} is in {region}, not in {}",
                bucket.region
            ),
            format!(
                "set a key of {} as default encryption of {}",
                bucket.region, bucket.name
            ),
        ),
        Some(_) => Finding::warn(
            format!("the {side} bucket encrypts with {key}"),
            format!("deploy the source stack with {parameter}={key}"),
        ),
        None => Finding::warn(
            format!(
                "the {side} bucket names its key `{key}` without an ARN, so the key depends on the caller's account"
            ),
            format!("set the ARN of the key as default encryption of {}", bucket.name),
        ),
    }
}

fn as_encryption(default: &ExplicitEncryption) -> Encryption {
    match default {
        ExplicitEncryption::Managed => Encryption::Managed,
        ExplicitEncryption::Kms(kms) => Encryption::Kms(kms.clone()),
    }
}

fn named(default: &ExplicitEncryption) -> String {
    match default {
        ExplicitEncryption::Managed => "SSE-S3".to_owned(),
        ExplicitEncryption::Kms(kms) => kms.key_arn.clone().unwrap_or_else(|| "aws/s3".to_owned()),
    }
}

pub(super) fn key_policies(facts: &PreflightFacts) -> CheckResult {
    for (_, bucket) in facts.sides() {
        bucket.encryption.known()?;
    }
    facts.heads.known()?;
    let stack = facts.stack.as_ref().map(|stack| stack.name.as_str());
    let parts: Result<Vec<Option<Finding>>, UnknownReading> =
        facts.keys.iter().map(|key| key_policy(key, stack)).collect();
    let parts: Vec<Finding> = parts?.into_iter().flatten().collect();
    let otherwise = match facts.keys.len() {
        0 => "no KMS key in the settings of the buckets, nor in the objects that were read".to_owned(),
        keys => format!("{keys} keys are enabled, and their policies let IAM or the stack's roles use them"),
    };
    Ok(joined(parts, otherwise))
}

fn key_policy(key: &KeyFacts, stack: Option<&str>) -> Result<Option<Finding>, UnknownReading> {
    let (name, side) = (&key.key, if key.of_source { "source" } else { "destination" });
    let state = key.state.known()?;
    if state.state != "Enabled" {
        return Ok(Some(Finding::fail(
            format!("the {side} key {name} is {}", state.state),
            format!("aws kms enable-key --region {} --key-id {name}", key.region),
        )));
    }
    // The policy of an AWS managed key is fixed: it admits every principal of the account through S3.
    if state.aws_managed || admits_roles(key.policy.known()?, stack) {
        return Ok(None);
    }
    Ok(Some(Finding::fail(
        format!("the policy of the {side} key {name} neither delegates to IAM nor names a role of the stack"),
        format!(
            "allow {} to ReplicatorRole, FinalSyncRole and the credentials of the CLI in `aws kms put-key-policy \
             --region {} --key-id {name} --policy-name default`",
            KEY_ACTIONS.join(" and "),
            key.region
        ),
    )))
}

/// Returns whether a key policy lets IAM policies of an account grant the actions, or names a role of the stack.
///
/// <https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html>
fn admits_roles(policy: &PolicyDocument, stack: Option<&str>) -> bool {
    let names_role = |principal: &str| stack.is_some_and(|stack| principal.contains(&format!(":role/{stack}-")));
    let admits = |principal: &String| principal == "*" || principal.ends_with(":root") || names_role(principal);
    KEY_ACTIONS.iter().all(|action| {
        policy.statements.iter().any(|statement| {
            !statement.denies && !statement.covered(&[action]).is_empty() && statement.principals.iter().any(admits)
        })
    })
}

pub(super) fn customer_keys(facts: &PreflightFacts) -> CheckResult {
    let heads = facts.heads.known()?;
    if heads.customer_key.keys > 0 {
        return Ok(Finding::fail(
            format!(
                "{} {} are encrypted with customer-provided keys",
                heads.customer_key.described(),
                heads.scope()
            ),
            "let their owner copy them with the key, or encrypt them with SSE-KMS first",
        ));
    }
    let source = facts.source.encryption.known()?;
    let destination = facts.destination.encryption.known()?;
    if !source.blocks_customer_keys && destination.blocks_customer_keys {
        return Ok(Finding::warn(
            format!(
                "none {}; the source admits SSE-C and the destination blocks it",
                heads.scope()
            ),
            "if applications use SSE-C, unblock it with `aws s3api put-bucket-encryption` and BlockedEncryptionTypes=NONE",
        ));
    }
    Ok(Finding::pass(format!("none {}", heads.scope())))
}
