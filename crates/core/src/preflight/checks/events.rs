//! Notifications and replication rules.

use super::{CheckResult, joined, quoted};
use crate::preflight::facts::{PreflightFacts, ReplicationRuleFacts, StackFacts};
use crate::preflight::reading::Reading;
use crate::preflight::report::Finding;
use crate::wiring::{DesiredNotification, NotificationEntry, NotificationOverlap, subscribed_events};

pub(super) fn notifications(facts: &PreflightFacts) -> CheckResult {
    let current = facts.source.notification.known()?;
    let choices = &facts.choices;
    let wanted = DesiredNotification {
        queue_arn: String::new(),
        events: subscribed_events(choices.engine, choices.event_source, choices.propagate_deletes),
        key_prefix: choices.prefix.clone(),
    };
    let count = current.entries().count();
    if wanted.events.is_empty() {
        return Ok(Finding::pass(format!(
            "{count} notifications; EventBridge overlaps with none of them"
        )));
    }
    let overlaps = wanted.overlaps(current, |_, entry| is_own(entry, facts.stack.as_ref()));
    if overlaps.is_empty() {
        return Ok(Finding::pass(format!(
            "{count} notifications, none of which overlaps with s3ferry's events"
        )));
    }
    let listed: Vec<String> = overlaps.iter().map(NotificationOverlap::to_string).collect();
    let concerns_replication = overlaps
        .iter()
        .any(|overlap| overlap.events.iter().any(|event| event.starts_with("s3:Replication:")));
    let fix = if concerns_replication {
        "narrow or remove that notification, or let it send to an SNS topic that both subscribe to: EventBridge gets no \
         replication events"
    } else {
        "deploy the source stack with EventSource=eventbridge, or with a KeyPrefix that does not overlap"
    };
    Ok(Finding::fail(format!("overlaps with {}", listed.join("; ")), fix))
}

/// Returns whether an entry belongs to the stack, by its ID or by its queue.
fn is_own(entry: &NotificationEntry, stack: Option<&StackFacts>) -> bool {
    stack.is_some_and(|stack| {
        let is_queue = matches!(&stack.queue_arn, Reading::Known(arn) if *arn == entry.arn);
        is_queue || entry.id.as_ref().is_some_and(|id| is_of_stack(id, stack))
    })
}

/// Returns whether an ID is of an entry of the stack.
fn is_of_stack(id: &str, stack: &StackFacts) -> bool {
    id.starts_with(&format!("s3ferry-{}-", stack.name))
}

pub(super) fn replication_rules(facts: &PreflightFacts) -> CheckResult {
    let Some(current) = facts.source.replication.known()? else {
        return Ok(Finding::pass("no replication rules"));
    };
    let is_own = |rule: &&ReplicationRuleFacts| {
        let stack = facts.stack.as_ref();
        stack.is_some_and(|stack| is_of_stack(&rule.id, stack))
    };
    let foreign: Vec<&ReplicationRuleFacts> = current.rules.iter().filter(|rule| !is_own(rule)).collect();
    if foreign.is_empty() {
        return Ok(Finding::pass("only the rule of the stack"));
    }
    let names = quoted(foreign.iter().map(|rule| rule.id.as_str()));
    let role = &current.role;
    let evidence = format!("rules {names} replicate as role {role}");
    if !facts.choices.engine.replicates() {
        return Ok(Finding::warn(
            evidence,
            "no conflict with ReplicationEngine=lambda; set up the same rules at the destination before the cutover",
        ));
    }
    let old: Vec<&str> = foreign
        .iter()
        .filter(|rule| !rule.has_filter)
        .map(|rule| rule.id.as_str())
        .collect();
    if !old.is_empty() {
        return Ok(Finding::fail(
            format!("{evidence}; {} have no Filter element", quoted(old)),
            "give them a Filter, Priority and DeleteMarkerReplication, or use ReplicationEngine=lambda",
        ));
    }
    Ok(Finding::fail(
        evidence,
        format!(
            "give that role the permissions of the stack's replication role, and deploy with ReplicationRoleArn={role}"
        ),
    ))
}

pub(super) fn destination_replication(facts: &PreflightFacts) -> CheckResult {
    let Some(current) = facts.destination.replication.known()? else {
        return Ok(Finding::pass("no replication rules"));
    };
    let back = format!(":::{}", facts.source.name);
    let parts = current.rules.iter().filter(|rule| rule.enabled).map(|rule| {
        let evidence = format!("rule `{}` replicates to {}", rule.id, rule.destination_arn);
        if rule.destination_arn.ends_with(&back) {
            Finding::fail(
                format!("{evidence}, which is the source: copies would return to it"),
                format!("disable rule `{}` until the cutover", rule.id),
            )
        } else {
            Finding::warn(
                evidence,
                format!("disable rule `{}` until the cutover, or expect its costs", rule.id),
            )
        }
    });
    Ok(joined(parts.collect(), "no enabled replication rule"))
}
