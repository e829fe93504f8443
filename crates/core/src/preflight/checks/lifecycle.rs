//! Object Lock and lifecycle rules.

use super::{CheckResult, joined};
use crate::numerals::grouped;
use crate::preflight::facts::{BucketFacts, LifecycleRuleFacts, PreflightFacts};
use crate::preflight::reading::UnknownReading;
use crate::preflight::report::Finding;

/// Storage classes whose objects cannot be read without a restore.
const ARCHIVES: [&str; 2] = ["GLACIER", "DEEP_ARCHIVE"];

/// Days that a multipart copy may need. A rule that aborts uploads earlier ends copies that would resume.
const UPLOAD_DAYS: u32 = 2;

pub(super) fn object_lock(facts: &PreflightFacts) -> CheckResult {
    let source = facts.source.object_lock.known()?;
    let destination = facts.destination.object_lock.known()?;
    let name = &facts.destination.name;
    Ok(match (source, destination) {
        (None, None) => Finding::pass("neither bucket has Object Lock"),
        (Some(_), None) => Finding::fail(
            "the source has Object Lock and the destination does not: copies would not be locked",
            format!(
                "aws s3api put-object-lock-configuration --bucket {name} --object-lock-configuration \
                 ObjectLockEnabled=Enabled"
            ),
        ),
        (_, Some(lock)) => match &lock.default {
            Some(default) => Finding::warn(
                format!(
                    "the destination retains every new version for {} days by default",
                    default.days
                ),
                format!("remove the default retention of {name} until the cutover, if a rollback must remove copies"),
            ),
            None => Finding::pass("the destination has Object Lock without a default retention"),
        },
    })
}

/// Returns the enabled rules that concern keys with the prefix.
fn enabled<'a>(bucket: &'a BucketFacts, prefix: &str) -> Result<Vec<&'a LifecycleRuleFacts>, UnknownReading> {
    let concerns = |rule: &&LifecycleRuleFacts| {
        rule.enabled && (rule.prefix.starts_with(prefix) || prefix.starts_with(&rule.prefix))
    };
    Ok(bucket.lifecycle.known()?.iter().filter(concerns).collect())
}

/// Returns what a rule does to current objects during the migration.
fn effects(rule: &LifecycleRuleFacts) -> Vec<String> {
    let mut effects = Vec::new();
    if let Some(days) = rule.expires_after_days {
        effects.push(format!("expires objects after {days} days"));
    }
    if rule.expires_at_date {
        effects.push("expires objects at a date".to_owned());
    }
    for (days, class) in &rule.transitions {
        if ARCHIVES.contains(&class.as_str()) {
            let when = days.map_or_else(|| "at a date".to_owned(), |days| format!("after {days} days"));
            effects.push(format!("moves objects to {class} {when}"));
        }
    }
    effects
}

fn disable(rule: &LifecycleRuleFacts, bucket: &BucketFacts) -> String {
    format!(
        "disable rule `{}` until the cutover: `aws s3api put-bucket-lifecycle-configuration --bucket {}`",
        rule.id, bucket.name
    )
}

pub(super) fn source(facts: &PreflightFacts) -> CheckResult {
    let mut parts = Vec::new();
    for rule in enabled(&facts.source, &facts.choices.prefix)? {
        let effects = effects(rule);
        if !effects.is_empty() {
            parts.push(Finding::warn(
                format!("rule `{}` {}", rule.id, effects.join(" and ")),
                disable(rule, &facts.source),
            ));
        }
    }
    Ok(joined(parts, "no enabled rule expires or archives current objects"))
}

pub(super) fn destination(facts: &PreflightFacts) -> CheckResult {
    let mut parts = Vec::new();
    for rule in enabled(&facts.destination, &facts.choices.prefix)? {
        let mut effects = effects(rule);
        if let Some(days) = rule.aborts_uploads_after_days.filter(|days| *days < UPLOAD_DAYS) {
            effects.push(format!("aborts multipart copies after {days} days"));
        }
        if !effects.is_empty() {
            parts.push(Finding::warn(
                format!("rule `{}` {}", rule.id, effects.join(" and ")),
                disable(rule, &facts.destination),
            ));
        }
    }
    Ok(joined(parts, "no enabled rule expires or archives copies"))
}

pub(super) fn age_reset(facts: &PreflightFacts) -> CheckResult {
    let mut parts = Vec::new();
    for rule in enabled(&facts.source, &facts.choices.prefix)? {
        let transitions = rule.transitions.iter().filter_map(|(days, _)| *days);
        let days: Vec<String> = transitions
            .chain(rule.expires_after_days)
            .map(|days| days.to_string())
            .collect();
        if !days.is_empty() {
            parts.push(Finding::warn(
                format!(
                    "rule `{}` counts {} days from the creation of an object",
                    rule.id,
                    days.join(", ")
                ),
                "shorten the rule at the destination for a while, expire copies by key, or keep ages with S3 Batch \
                 Replication (`s3ferry plan` counts the objects)",
            ));
        }
    }
    if parts.is_empty() {
        return Ok(Finding::pass("no enabled rule of the source counts days"));
    }
    let objects = facts.objects.known()?;
    if let Some(oldest) = objects.oldest {
        let evidence = format!(
            "{} objects {}, the oldest of {}",
            grouped(objects.objects),
            objects.scope(),
            oldest.to_rfc3339()
        );
        parts.push(Finding {
            fix: None,
            ..Finding::warn(evidence, "")
        });
    }
    Ok(joined(parts, ""))
}
