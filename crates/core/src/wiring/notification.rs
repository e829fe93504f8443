//! A bucket's notification configuration, and our entry in it.

use serde_json::{Map, Value, json};

use super::overlap::{overlapping_events, overlaps};
use super::{DesiredConfiguration, DesiredNotification, NotificationOverlap, OwnerId, WiringRefusal};

/// Says what an entry sends its events to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NotificationKind {
    /// An SQS queue.
    Queue,
    /// An SNS topic.
    Topic,
    /// A Lambda function.
    Function,
}

impl NotificationKind {
    /// Returns the word used in messages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Topic => "topic",
            Self::Function => "function",
        }
    }
}

/// One rule of a key filter, spelled as S3 answered it: `Prefix` or `prefix`, and whatever else may come.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FilterRule {
    /// The name of the rule.
    pub name: Option<String>,
    /// What the rule asks for.
    pub value: Option<String>,
}

/// Limits an entry to some keys. The three spellings of "every key" are kept apart, so that each goes back as it came.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyFilter {
    /// There is no filter.
    #[default]
    Absent,
    /// There is a filter with nothing in it.
    Empty,
    /// There is a filter on the key, perhaps without rules.
    Rules(Vec<FilterRule>),
}

impl KeyFilter {
    fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        let rules = match self {
            Self::Absent | Self::Empty => &[],
            Self::Rules(rules) => rules.as_slice(),
        };
        rules
            .iter()
            .filter(move |rule| {
                rule.name
                    .as_deref()
                    .is_some_and(|given| given.eq_ignore_ascii_case(name))
            })
            .filter_map(|rule| rule.value.as_deref())
    }

    /// Returns what keys must begin with, as it is spelled in the filter.
    #[must_use]
    pub fn prefix(&self) -> &str {
        self.values("prefix").next().unwrap_or_default()
    }

    /// Returns what keys must end with, as it is spelled in the filter.
    #[must_use]
    pub fn suffix(&self) -> &str {
        self.values("suffix").next().unwrap_or_default()
    }
}

/// Sends some events of some keys to one place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NotificationEntry {
    /// The entry's name, unique in its bucket.
    pub id: Option<String>,
    /// What the events are sent to.
    pub arn: String,
    /// The types of events, with wildcards.
    pub events: Vec<String>,
    /// The keys.
    pub filter: KeyFilter,
}

impl NotificationEntry {
    /// Tells whether two spellings mean the same: order of events, case of rule names and empty rules do not count.
    #[must_use]
    pub fn is_equivalent(&self, other: &Self) -> bool {
        let events = |entry: &Self| {
            let mut events = entry.events.clone();
            events.sort_unstable();
            events.dedup();
            events
        };
        self.id == other.id
            && self.arn == other.arn
            && self.filter.prefix() == other.filter.prefix()
            && self.filter.suffix() == other.filter.suffix()
            && events(self) == events(other)
    }

    fn document(&self, arn_name: &str) -> Value {
        let mut document = Map::new();
        if let Some(id) = &self.id {
            document.insert("Id".to_owned(), json!(id));
        }
        document.insert(arn_name.to_owned(), json!(self.arn));
        document.insert("Events".to_owned(), json!(self.events));
        match &self.filter {
            KeyFilter::Absent => {}
            KeyFilter::Empty => {
                document.insert("Filter".to_owned(), json!({}));
            }
            KeyFilter::Rules(rules) => {
                let rule = |rule: &FilterRule| json!({"Name": rule.name, "Value": rule.value});
                let rules: Vec<Value> = rules.iter().map(rule).collect();
                document.insert("Filter".to_owned(), json!({"Key": {"FilterRules": rules}}));
            }
        }
        Value::Object(document)
    }
}

/// Everything a bucket notifies somebody of, in the order S3 gave it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NotificationConfiguration {
    /// Entries for queues.
    pub queues: Vec<NotificationEntry>,
    /// Entries for topics.
    pub topics: Vec<NotificationEntry>,
    /// Entries for functions.
    pub functions: Vec<NotificationEntry>,
    /// Whether the bucket sends its events to `EventBridge`.
    pub event_bridge: bool,
}

impl NotificationConfiguration {
    /// Goes through the entries of every kind.
    pub fn entries(&self) -> impl Iterator<Item = (NotificationKind, &NotificationEntry)> {
        let queues = self.queues.iter().map(|entry| (NotificationKind::Queue, entry));
        let topics = self.topics.iter().map(|entry| (NotificationKind::Topic, entry));
        let functions = self.functions.iter().map(|entry| (NotificationKind::Function, entry));
        queues.chain(topics).chain(functions)
    }

    /// Finds the entry that is ours.
    #[must_use]
    pub fn own(&self, owner: &OwnerId) -> Option<&NotificationEntry> {
        self.queues.iter().find(|entry| owner.owns(entry.id.as_deref()))
    }

    /// Spells the configuration in the form that `aws s3api put-bucket-notification-configuration` takes.
    #[must_use]
    pub fn document(&self) -> Value {
        let list = |entries: &[NotificationEntry], arn: &str| -> Vec<Value> {
            entries.iter().map(|entry| entry.document(arn)).collect()
        };
        let mut document = json!({
            "QueueConfigurations": list(&self.queues, "QueueArn"),
            "TopicConfigurations": list(&self.topics, "TopicArn"),
            "LambdaFunctionConfigurations": list(&self.functions, "LambdaFunctionArn"),
        });
        if let (true, Some(fields)) = (self.event_bridge, document.as_object_mut()) {
            fields.insert("EventBridgeConfiguration".to_owned(), json!({}));
        }
        document
    }
}

/// Adds our entry to what is there, in its place if an earlier one of ours is there, or takes it out when no events
/// are wanted on the queue. The `EventBridge` switch is left as it is.
pub fn merge(
    current: &NotificationConfiguration,
    owner: &OwnerId,
    desired: &DesiredConfiguration,
) -> Result<NotificationConfiguration, WiringRefusal> {
    let Some(subscription) = &desired.subscription else {
        return Ok(remove_own(current, owner));
    };
    let own = subscription.entry(owner);
    refuse_taken_id(current, owner)?;
    refuse_overlap(current, owner, &own, subscription)?;
    let mut merged = current.clone();
    match merged.queues.iter_mut().find(|entry| owner.owns(entry.id.as_deref())) {
        // Left as S3 spells it: writing it again would change nothing.
        Some(existing) if existing.is_equivalent(&own) => {}
        Some(existing) => *existing = own,
        None => merged.queues.push(own),
    }
    Ok(merged)
}

/// Takes our entry out; everything else stays where it is.
#[must_use]
pub fn remove_own(current: &NotificationConfiguration, owner: &OwnerId) -> NotificationConfiguration {
    let mut rest = current.clone();
    rest.queues.retain(|entry| !owner.owns(entry.id.as_deref()));
    rest
}

/// Ids are unique in a bucket; ours on an entry that sends elsewhere was given by somebody else.
fn refuse_taken_id(current: &NotificationConfiguration, owner: &OwnerId) -> Result<(), WiringRefusal> {
    let taken = current
        .entries()
        .find(|(kind, entry)| *kind != NotificationKind::Queue && owner.owns(entry.id.as_deref()));
    match taken {
        None => Ok(()),
        Some((kind, entry)) => Err(WiringRefusal::IdTaken {
            id: owner.to_string(),
            kind,
            arn: entry.arn.clone(),
        }),
    }
}

fn refuse_overlap(
    current: &NotificationConfiguration,
    owner: &OwnerId,
    own: &NotificationEntry,
    subscription: &DesiredNotification,
) -> Result<(), WiringRefusal> {
    let foreign = current
        .entries()
        .filter(|(kind, entry)| *kind != NotificationKind::Queue || !owner.owns(entry.id.as_deref()));
    let found: Vec<NotificationOverlap> = foreign
        .filter(|(_, entry)| overlaps(own, entry))
        .map(|(kind, entry)| NotificationOverlap {
            kind,
            id: entry.id.clone(),
            arn: entry.arn.clone(),
            events: overlapping_events(own, entry),
            prefix: entry.filter.prefix().to_owned(),
            suffix: entry.filter.suffix().to_owned(),
        })
        .collect();
    if found.is_empty() {
        return Ok(());
    }
    Err(WiringRefusal::Overlapping {
        prefix: subscription.key_prefix.clone(),
        overlaps: found,
    })
}

#[cfg(test)]
mod tests;
