//! Replication configuration of a bucket, and the stack's rule in it.
//!
//! Other rules are opaque payloads: they are written exactly as S3 returned them.

use super::{DesiredReplication, OwnerId, WiringRefusal};

/// Terms of the stack's rule. A rule that has more or fewer terms than these is not represented.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicationTerms {
    /// Prefix of the keys.
    pub prefix: String,
    /// ARN of the destination bucket.
    pub destination_arn: String,
    /// Whether delete markers are replicated.
    pub replicates_deletes: bool,
    /// Whether the rule is enabled.
    pub enabled: bool,
    /// Whether replication metrics are enabled. S3 sends `s3:Replication:OperationFailedReplication` only for rules
    /// with metrics.
    ///
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication-metrics-events.html>
    pub metrics: bool,
    /// KMS key for replicas. If set, SSE-KMS objects are replicated too.
    pub kms_key_arn: Option<String>,
}

/// Replication rule: the fields that determine conflicts between rules, and the complete rule as a payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicationRule<R> {
    /// ID of the rule, unique in its bucket.
    pub id: Option<String>,
    /// Priority, which selects one of several applicable rules. It is unique among rules of V2.
    pub priority: Option<i32>,
    /// Whether the rule has a `Filter` element, and so is of replication configuration V2.
    pub has_filter: bool,
    /// Terms of the rule, if it has the form of the stack's rule.
    pub terms: Option<ReplicationTerms>,
    /// The complete rule.
    pub payload: R,
}

impl<R> ReplicationRule<R> {
    fn name(&self) -> String {
        self.id.clone().unwrap_or_else(|| "without an Id".to_owned())
    }
}

/// Replication configuration of a bucket: all rules and their role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicationConfiguration<R> {
    /// Role that S3 assumes for replication.
    pub role: String,
    /// Rules in the order of the S3 response.
    pub rules: Vec<ReplicationRule<R>>,
}

impl<R> ReplicationConfiguration<R> {
    /// Returns the rule of this owner.
    #[must_use]
    pub fn own(&self, owner: &OwnerId) -> Option<&ReplicationRule<R>> {
        self.rules.iter().find(|rule| owner.owns(rule.id.as_deref()))
    }

    /// Returns the names of all other rules.
    #[must_use]
    pub fn foreign_names(&self, owner: &OwnerId) -> Vec<String> {
        let foreign = self.rules.iter().filter(|rule| !owner.owns(rule.id.as_deref()));
        foreign.map(ReplicationRule::name).collect()
    }
}

/// Adds the stack's rule to a configuration, or replaces it in the same position.
///
/// `compose` creates the payload of the rule from its ID, its priority and its terms.
pub fn merge<R: Clone>(
    current: Option<&ReplicationConfiguration<R>>,
    owner: &OwnerId,
    required: &DesiredReplication,
    compose: impl Fn(&str, i32, &ReplicationTerms) -> R,
) -> Result<ReplicationConfiguration<R>, WiringRefusal> {
    let mut merged = current.cloned().unwrap_or_else(|| ReplicationConfiguration {
        role: required.role_arn.clone(),
        rules: Vec::new(),
    });
    refuse_other_role(&merged, owner, required)?;
    refuse_old_rules(&merged, owner)?;
    merged.role.clone_from(&required.role_arn);
    let own_index = merged.rules.iter().position(|rule| owner.owns(rule.id.as_deref()));
    let existing = own_index.and_then(|index| merged.rules.get(index));
    let priority = existing.and_then(|rule| rule.priority);
    // Stays as S3 spells it: a write would change nothing.
    if priority.is_some() && existing.is_some_and(|rule| rule.terms.as_ref() == Some(&required.terms)) {
        return Ok(merged);
    }
    let priority = priority.unwrap_or_else(|| free_priority(&merged.rules));
    let own = ReplicationRule {
        id: Some(owner.to_string()),
        priority: Some(priority),
        has_filter: true,
        terms: Some(required.terms.clone()),
        payload: compose(owner.as_str(), priority, &required.terms),
    };
    match own_index.and_then(|index| merged.rules.get_mut(index)) {
        Some(slot) => *slot = own,
        None => merged.rules.push(own),
    }
    Ok(merged)
}

/// Removes the stack's rule. Returns `None` if no rule remains, because S3 allows no empty configuration.
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
    required: &DesiredReplication,
) -> Result<(), WiringRefusal> {
    let rules = current.foreign_names(owner);
    if current.role == required.role_arn || rules.is_empty() {
        return Ok(());
    }
    Err(WiringRefusal::OtherReplicationRole {
        current: current.role.clone(),
        wanted: required.role_arn.clone(),
        rules,
    })
}

/// Refuses rules of replication configuration V1.
///
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

/// Returns the next priority above all others, or the highest unused one if that overflows.
fn free_priority<R>(rules: &[ReplicationRule<R>]) -> i32 {
    let taken: Vec<i32> = rules.iter().filter_map(|rule| rule.priority).collect();
    match taken.iter().max().map(|highest| highest.checked_add(1)) {
        None => 1,
        Some(Some(next)) => next.max(1),
        // S3 allows 1,000 rules, so one of the priorities is unused.
        Some(None) => (0..i32::MAX).rev().find(|number| !taken.contains(number)).unwrap_or(0),
    }
}

#[cfg(test)]
mod tests;
