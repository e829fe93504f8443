//! A bucket's replication configuration, and our rule in it.
//!
//! Foreign rules travel as opaque payloads: whatever S3 answered goes back as it came.

use super::{DesiredReplication, OwnerId, WiringRefusal};

/// What our rule says; a foreign rule that says more or less than this has no terms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicationTerms {
    /// What keys must begin with.
    pub prefix: String,
    /// The destination bucket.
    pub destination_arn: String,
    /// Whether delete markers are replicated.
    pub replicates_deletes: bool,
    /// Whether the rule is in force.
    pub enabled: bool,
    /// Whether S3 keeps replication metrics for the rule. S3 sends `s3:Replication:OperationFailedReplication` only
    /// for rules with metrics.
    ///
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication-metrics-events.html>
    pub metrics: bool,
    /// The key that replicas are encrypted with; with it, SSE-KMS objects are replicated too.
    pub kms_key_arn: Option<String>,
}

/// One rule: the few fields that decide whether rules can stand side by side, and the rest as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicationRule<R> {
    /// The rule's name, unique in its bucket.
    pub id: Option<String>,
    /// Which rule wins when several fit; unique among rules of the second version.
    pub priority: Option<i32>,
    /// Whether the rule is of the second version, which has a `Filter` element.
    pub has_filter: bool,
    /// What the rule says, if it says it in the way ours does.
    pub terms: Option<ReplicationTerms>,
    /// The whole rule.
    pub payload: R,
}

impl<R> ReplicationRule<R> {
    fn name(&self) -> String {
        self.id.clone().unwrap_or_else(|| "without an Id".to_owned())
    }
}

/// All replication rules of a bucket and the one role they work as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicationConfiguration<R> {
    /// The role that S3 replicates as.
    pub role: String,
    /// The rules in the order S3 gave them.
    pub rules: Vec<ReplicationRule<R>>,
}

impl<R> ReplicationConfiguration<R> {
    /// Finds the rule that is ours.
    #[must_use]
    pub fn own(&self, owner: &OwnerId) -> Option<&ReplicationRule<R>> {
        self.rules.iter().find(|rule| owner.owns(rule.id.as_deref()))
    }

    /// Names the rules that are not ours.
    #[must_use]
    pub fn foreign_names(&self, owner: &OwnerId) -> Vec<String> {
        let foreign = self.rules.iter().filter(|rule| !owner.owns(rule.id.as_deref()));
        foreign.map(ReplicationRule::name).collect()
    }
}

/// Adds our rule to what is there, in its place if an earlier one of ours is there.
///
/// `compose` makes the payload of our rule from its Id, its priority and what it says.
pub fn merge<R: Clone>(
    current: Option<&ReplicationConfiguration<R>>,
    owner: &OwnerId,
    wish: &DesiredReplication,
    compose: impl Fn(&str, i32, &ReplicationTerms) -> R,
) -> Result<ReplicationConfiguration<R>, WiringRefusal> {
    let mut merged = current.cloned().unwrap_or_else(|| ReplicationConfiguration {
        role: wish.role_arn.clone(),
        rules: Vec::new(),
    });
    refuse_other_role(&merged, owner, wish)?;
    refuse_old_rules(&merged, owner)?;
    merged.role.clone_from(&wish.role_arn);
    let own_index = merged.rules.iter().position(|rule| owner.owns(rule.id.as_deref()));
    let existing = own_index.and_then(|index| merged.rules.get(index));
    let kept = existing.and_then(|rule| rule.priority);
    // Left as S3 spells it: writing it again would change nothing.
    if kept.is_some() && existing.is_some_and(|rule| rule.terms.as_ref() == Some(&wish.terms)) {
        return Ok(merged);
    }
    let priority = kept.unwrap_or_else(|| free_priority(&merged.rules));
    let own = ReplicationRule {
        id: Some(owner.to_string()),
        priority: Some(priority),
        has_filter: true,
        terms: Some(wish.terms.clone()),
        payload: compose(owner.as_str(), priority, &wish.terms),
    };
    match own_index.and_then(|index| merged.rules.get_mut(index)) {
        Some(slot) => *slot = own,
        None => merged.rules.push(own),
    }
    Ok(merged)
}

/// Takes our rule out; without any rule left there is no configuration left, for S3 allows no empty one.
#[must_use]
pub fn remove_own<R: Clone>(
    current: Option<&ReplicationConfiguration<R>>,
    owner: &OwnerId,
) -> Option<ReplicationConfiguration<R>> {
    let mut rest = current?.clone();
    rest.rules.retain(|rule| !owner.owns(rule.id.as_deref()));
    (!rest.rules.is_empty()).then_some(rest)
}

fn refuse_other_role<R>(
    current: &ReplicationConfiguration<R>,
    owner: &OwnerId,
    wish: &DesiredReplication,
) -> Result<(), WiringRefusal> {
    let rules = current.foreign_names(owner);
    if current.role == wish.role_arn || rules.is_empty() {
        return Ok(());
    }
    Err(WiringRefusal::OtherReplicationRole {
        current: current.role.clone(),
        wanted: wish.role_arn.clone(),
        rules,
    })
}

/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication-add-config.html#replication-backward-compat-considerations>
fn refuse_old_rules<R>(current: &ReplicationConfiguration<R>, owner: &OwnerId) -> Result<(), WiringRefusal> {
    let foreign = current.rules.iter().filter(|rule| !owner.owns(rule.id.as_deref()));
    let rules: Vec<String> = foreign
        .filter(|rule| !rule.has_filter)
        .map(ReplicationRule::name)
        .collect();
    if rules.is_empty() {
        return Ok(());
    }
    Err(WiringRefusal::OldReplicationRules { rules })
}

/// Picks the next priority above all others; where there is none above, the highest that is free.
fn free_priority<R>(rules: &[ReplicationRule<R>]) -> i32 {
    let taken: Vec<i32> = rules.iter().filter_map(|rule| rule.priority).collect();
    match taken.iter().max().map(|highest| highest.checked_add(1)) {
        None => 1,
        Some(Some(next)) => next.max(1),
        // S3 allows 1,000 rules, so a free one exists.
        Some(None) => (0..i32::MAX).rev().find(|number| !taken.contains(number)).unwrap_or(0),
    }
}

#[cfg(test)]
mod tests;
