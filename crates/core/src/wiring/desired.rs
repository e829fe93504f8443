//! What a stack wants of its source bucket, computed from the properties it was given.

use super::notification::FilterRule;
use super::overlap::filter_value;
use super::{
    EventSource, KeyFilter, NotificationEntry, OwnerId, ReplicationEngine, ReplicationTerms, WiringProperties,
};

/// Everything a stack wants of its source bucket.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DesiredConfiguration {
    /// The events that S3 sends to our queue itself.
    pub subscription: Option<DesiredNotification>,
    /// Whether events come through `EventBridge`. `false` is no wish that the switch be off.
    pub event_bridge: bool,
    /// Our replication rule.
    pub replication: Option<DesiredReplication>,
    /// Whether versioning may be switched on where it is not. It is never switched off.
    pub enable_versioning: bool,
}

/// The events that S3 sends to our queue itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DesiredNotification {
    /// Our queue.
    pub queue_arn: String,
    /// The types of events.
    pub events: Vec<&'static str>,
    /// What keys must begin with, as it is.
    pub key_prefix: String,
}

impl DesiredNotification {
    pub(super) fn entry(&self, owner: &OwnerId) -> NotificationEntry {
        let filter = if self.key_prefix.is_empty() {
            KeyFilter::Absent
        } else {
            KeyFilter::Rules(vec![FilterRule {
                name: Some("prefix".to_owned()),
                value: Some(filter_value(&self.key_prefix)),
            }])
        };
        NotificationEntry {
            id: Some(owner.to_string()),
            arn: self.queue_arn.clone(),
            events: self.events.iter().map(|event| (*event).to_owned()).collect(),
            filter,
        }
    }
}

/// Our replication rule and the role that all rules of the bucket share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DesiredReplication {
    /// The role that S3 replicates as.
    pub role_arn: String,
    /// What our rule says.
    pub terms: ReplicationTerms,
}

impl DesiredConfiguration {
    /// Computes what a stack with these properties wants.
    #[must_use]
    pub fn new(properties: &WiringProperties) -> Self {
        let events = events(properties);
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

    /// Leaves out the newest event type that S3 does not offer in every region; returns the rest and that event type.
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

/// Event types that not every region and partition has, the newest first. S3 refuses a whole notification because of
/// one that it does not know.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-how-to-event-types-and-destinations.html>
const NEWEST_EVENTS: [&str; 2] = ["s3:ObjectAnnotation:*", "s3:ObjectRetention:Put"];

/// The event types of our entry.
fn events(properties: &WiringProperties) -> Vec<&'static str> {
    let mut events = Vec::new();
    if properties.engine.copies() && properties.event_source == EventSource::Queue {
        events.extend([
            "s3:ObjectCreated:*",
            "s3:ObjectTagging:*",
            "s3:ObjectAnnotation:*",
            "s3:ObjectRetention:Put",
            "s3:ObjectAcl:Put",
            "s3:ObjectRestore:Completed",
        ]);
        if properties.propagate_deletes {
            // Expiry by lifecycle raises no ObjectRemoved event.
            // https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-how-to-event-types-and-destinations.html
            events.extend(["s3:ObjectRemoved:*", "s3:LifecycleExpiration:*"]);
        }
    }
    if properties.engine.replicates() {
        // Whatever the event source is: S3 does not send these to EventBridge.
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
    /// Tells whether the replicator copies what is written.
    #[must_use]
    pub fn copies(self) -> bool {
        matches!(self, Self::Lambda | Self::Both)
    }

    /// Tells whether S3 replicates what is written.
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
    fn every_combination_asks_for_its_events() {
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
    fn newest_events_are_left_out_one_by_one_and_no_others() {
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
    fn rule_says_what_the_properties_say() {
        let key = "arn:aws:kms:eu-central-1:123456789012:key/1";
        let properties = with(&[
            ("ReplicationEngine", "crr"),
            ("KeyPrefix", "a b/"),
            ("PropagateDeletes", "true"),
            ("DestinationKmsKeyArn", key),
        ]);
        let wish = DesiredConfiguration::new(&parsed(&properties)).replication.unwrap();
        assert_eq!(
            wish.terms,
            ReplicationTerms {
                // A replication rule takes the prefix as it is; only notification filters are encoded.
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
