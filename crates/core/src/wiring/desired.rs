//! Configuration that a stack requires in its source bucket, computed from its properties.

use super::notification::FilterRule;
use super::overlap::{filter_value, overlapping_events, overlaps};
use super::{
    EventSource, KeyFilter, NotificationConfiguration, NotificationEntry, NotificationKind, NotificationOverlap,
    OwnerId, ReplicationEngine, ReplicationTerms, WiringProperties,
};

/// Configuration that a stack requires in its source bucket.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DesiredConfiguration {
    /// Events that S3 sends directly to the replicator's queue.
    pub subscription: Option<DesiredNotification>,
    /// Whether `EventBridge` delivery is required. `false` does not require that delivery is off.
    pub event_bridge: bool,
    /// Replication rule of the stack.
    pub replication: Option<DesiredReplication>,
    /// Whether versioning may be enabled. It is never suspended.
    pub enable_versioning: bool,
}

/// Events that S3 sends directly to the replicator's queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DesiredNotification {
    /// ARN of the replicator's queue.
    pub queue_arn: String,
    /// Event types.
    pub events: Vec<&'static str>,
    /// Prefix of the keys, not encoded.
    pub key_prefix: String,
}

impl DesiredNotification {
    pub(super) fn entry(&self, owner: &OwnerId) -> NotificationEntry {
        self.named(Some(owner.to_string()))
    }

    fn named(&self, id: Option<String>) -> NotificationEntry {
        let filter = if self.key_prefix.is_empty() {
            KeyFilter::Absent
        } else {
            KeyFilter::Rules(vec![FilterRule {
                name: Some("prefix".to_owned()),
                value: Some(filter_value(&self.key_prefix)),
            }])
        };
        NotificationEntry {
            id,
            arn: self.queue_arn.clone(),
            events: self.events.iter().map(|event| (*event).to_owned()).collect(),
            filter,
        }
    }
}

impl DesiredNotification {
    /// Returns the entries of a configuration that overlap with this subscription, without those that `is_own`.
    #[must_use]
    pub fn overlaps(
        &self,
        current: &NotificationConfiguration,
        is_own: impl Fn(NotificationKind, &NotificationEntry) -> bool,
    ) -> Vec<NotificationOverlap> {
        let own = self.named(None);
        let foreign = current.entries().filter(|(kind, entry)| !is_own(*kind, entry));
        foreign
            .filter(|(_, entry)| overlaps(&own, entry))
            .map(|(kind, entry)| NotificationOverlap {
                kind,
                id: entry.id.clone(),
                arn: entry.arn.clone(),
                events: overlapping_events(&own, entry),
                prefix: entry.filter.prefix().to_owned(),
                suffix: entry.filter.suffix().to_owned(),
            })
            .collect()
    }
}

/// Replication rule of the stack, and the role that all rules of the bucket use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DesiredReplication {
    /// ARN of the role that S3 assumes for replication.
    pub role_arn: String,
    /// Terms of the rule.
    pub terms: ReplicationTerms,
}

impl DesiredConfiguration {
    /// Computes the configuration that a stack with these properties requires.
    #[must_use]
    pub fn new(properties: &WiringProperties) -> Self {
        let events = subscribed_events(properties.engine, properties.event_source, properties.propagate_deletes);
        Self {
            subscription: (!events.is_empty()).then(|| DesiredNotification {
                queue_arn: properties.queue_arn.clone(),
                events,
                key_prefix: properties.key_prefix.clone(),
            }),
            event_bridge: properties.engine.copies() && properties.event_source == EventSource::EventBridge,
            replication: replication(properties),
            enable_versioning: properties.enable_versioning,
        }
    }

    /// Removes the newest event type that is not available in every region. Returns the rest and the type.
    #[must_use]
    pub fn without_newest_event(&self) -> Option<(Self, &'static str)> {
        let events = &self.subscription.as_ref()?.events;
        let newest = NEWEST_EVENTS.into_iter().find(|event| events.contains(event))?;
        let mut rest = self.clone();
        if let Some(subscription) = &mut rest.subscription {
            subscription.events.retain(|event| *event != newest);
        }
        Some((rest, newest))
    }
}

/// Event types that are not available in every region and partition, newest first. S3 rejects the whole configuration
/// if it contains an unknown event type.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-how-to-event-types-and-destinations.html>
const NEWEST_EVENTS: [&str; 2] = ["s3:ObjectAnnotation:*", "s3:ObjectRetention:Put"];

/// Returns the event types of the stack's notification entry.
#[must_use]
pub fn subscribed_events(
    engine: ReplicationEngine,
    event_source: EventSource,
    propagate_deletes: bool,
) -> Vec<&'static str> {
    let mut events = Vec::new();
    if engine.copies() && event_source == EventSource::Queue {
        events.extend([
            "s3:ObjectCreated:*",
            "s3:ObjectTagging:*",
            "s3:ObjectAnnotation:*",
            "s3:ObjectRetention:Put",
            "s3:ObjectAcl:Put",
            "s3:ObjectRestore:Completed",
        ]);
        if propagate_deletes {
            // Expiration by lifecycle rules sends no ObjectRemoved event.
            // https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-how-to-event-types-and-destinations.html
            events.extend(["s3:ObjectRemoved:*", "s3:LifecycleExpiration:*"]);
        }
    }
    if engine.replicates() {
        // Required with every event source: S3 does not send these to EventBridge.
        // https://docs.aws.amazon.com/AmazonS3/latest/userguide/EventBridge.html
        events.extend([
            "s3:Replication:OperationFailedReplication",
            "s3:Replication:OperationNotTracked",
        ]);
    }
    events
}

fn replication(properties: &WiringProperties) -> Option<DesiredReplication> {
    if !properties.engine.replicates() {
        return None;
    }
    let role_arn = properties.replication_role_arn.clone()?;
    Some(DesiredReplication {
        role_arn,
        terms: ReplicationTerms {
            prefix: properties.key_prefix.clone(),
            destination_arn: properties.destination.arn(&properties.destination_region),
            replicates_deletes: properties.propagate_deletes,
            enabled: true,
            metrics: true,
            kms_key_arn: properties.destination_kms_key_arn.clone(),
        },
    })
}

impl ReplicationEngine {
    /// Returns whether the replicator copies new writes.
    #[must_use]
    pub fn copies(self) -> bool {
        matches!(self, Self::Lambda | Self::Both)
    }

    /// Returns whether S3 replicates new writes.
    #[must_use]
    pub fn replicates(self) -> bool {
        matches!(self, Self::Crr | Self::Both)
    }
}

#[cfg(test)]
mod tests {
    use super::super::properties::tests::{parsed, with};
    use super::*;

    const COPYING: [&str; 6] = [
        "s3:ObjectCreated:*",
        "s3:ObjectTagging:*",
        "s3:ObjectAnnotation:*",
        "s3:ObjectRetention:Put",
        "s3:ObjectAcl:Put",
        "s3:ObjectRestore:Completed",
    ];
    const DELETING: [&str; 2] = ["s3:ObjectRemoved:*", "s3:LifecycleExpiration:*"];
    const FAILING: [&str; 2] = [
        "s3:Replication:OperationFailedReplication",
        "s3:Replication:OperationNotTracked",
    ];

    #[track_caller]
    fn check(engine: &str, source: &str, deletes: &str, events: &[&[&str]], event_bridge: bool, rule: bool) {
        let properties = with(&[
            ("ReplicationEngine", engine),
            ("EventSource", source),
            ("PropagateDeletes", deletes),
        ]);
        let desired = DesiredConfiguration::new(&parsed(&properties));
        let subscribed = desired
            .subscription
            .map(|subscription| subscription.events)
            .unwrap_or_default();
        assert_eq!(subscribed, events.concat(), "{engine} {source} {deletes}");
        assert_eq!(desired.event_bridge, event_bridge, "{engine} {source}");
        assert_eq!(desired.replication.is_some(), rule, "{engine}");
    }

    #[test]
    fn every_combination_requires_its_events() {
        check("lambda", "queue", "false", &[&COPYING], false, false);
        check("lambda", "queue", "true", &[&COPYING, &DELETING], false, false);
        check("lambda", "eventbridge", "true", &[], true, false);
        check("crr", "queue", "true", &[&FAILING], false, true);
        check("crr", "eventbridge", "true", &[&FAILING], false, true);
        check("both", "queue", "false", &[&COPYING, &FAILING], false, true);
        check("both", "queue", "true", &[&COPYING, &DELETING, &FAILING], false, true);
        check("both", "eventbridge", "true", &[&FAILING], true, true);
    }

    #[test]
    fn newest_events_are_removed_one_by_one_and_no_others() {
        let all = DesiredConfiguration::new(&parsed(&with(&[
            ("ReplicationEngine", "both"),
            ("PropagateDeletes", "true"),
        ])));
        let (fewer, first) = all.without_newest_event().unwrap();
        let (fewest, second) = fewer.without_newest_event().unwrap();
        assert_eq!([first, second], ["s3:ObjectAnnotation:*", "s3:ObjectRetention:Put"]);
        assert_eq!(fewest.without_newest_event(), None);
        let events = |desired: &DesiredConfiguration| desired.subscription.clone().unwrap().events;
        let mut left = events(&all);
        left.retain(|event| ![first, second].contains(event));
        assert_eq!(events(&fewest), left);
        assert_eq!(fewest.replication, all.replication);

        let bridged = DesiredConfiguration::new(&parsed(&with(&[("EventSource", "eventbridge")])));
        assert_eq!(bridged.without_newest_event(), None);
    }

    #[test]
    fn replication_rule_follows_the_properties() {
        let key = "arn:aws:kms:eu-central-1:123456789012:key/1";
        let properties = with(&[
            ("ReplicationEngine", "crr"),
            ("KeyPrefix", "a b/"),
            ("PropagateDeletes", "true"),
            ("DestinationKmsKeyArn", key),
        ]);
        let required = DesiredConfiguration::new(&parsed(&properties)).replication.unwrap();
        assert_eq!(
            required.terms,
            ReplicationTerms {
                // A replication rule contains the prefix without encoding. Only notification filters are encoded.
                prefix: "a b/".to_owned(),
                destination_arn: "arn:aws:s3:::destination".to_owned(),
                replicates_deletes: true,
                enabled: true,
                metrics: true,
                kms_key_arn: Some(key.to_owned()),
            }
        );
    }

    #[test]
    fn entry_has_a_filter_only_for_a_prefix() {
        let owner = OwnerId::new("s", "l");
        let entry = |prefix: &str| {
            let desired = DesiredConfiguration::new(&parsed(&with(&[("KeyPrefix", prefix)])));
            desired.subscription.unwrap().entry(&owner)
        };
        assert_eq!(entry("").filter, KeyFilter::Absent);
        assert_eq!(entry("a b/").filter.prefix(), "a+b/");
        assert_eq!(entry("").id.as_deref(), Some(owner.as_str()));
    }
}
