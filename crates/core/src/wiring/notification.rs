//! Notification configuration of a bucket, and the stack's entry in it.

use serde_json::{Map, Value, json};

use super::{DesiredConfiguration, DesiredNotification, OwnerId, WiringRefusal};

/// Type of the destination of a notification.
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
    /// Returns the name used in messages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Topic => "topic",
            Self::Function => "function",
        }
    }
}

/// Rule of a key filter, spelled as in the S3 response: `Prefix`, `prefix` or another name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FilterRule {
    /// Name of the rule.
    pub name: Option<String>,
    /// Value of the rule.
    pub value: Option<String>,
}

/// Key filter of an entry. The three spellings of "every key" are distinguished, so that each is written unchanged.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyFilter {
    /// The entry has no filter.
    #[default]
    Absent,
    /// The filter is empty.
    Empty,
    /// The filter has a key element, possibly without rules.
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

    /// Returns the prefix as the filter spells it.
    #[must_use]
    pub fn prefix(&self) -> &str {
        self.values("prefix").next().unwrap_or_default()
    }

    /// Returns the suffix as the filter spells it.
    #[must_use]
    pub fn suffix(&self) -> &str {
        self.values("suffix").next().unwrap_or_default()
    }
}

/// Notification entry: sends events of some keys to one destination.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NotificationEntry {
    /// ID of the entry, unique in its bucket.
    pub id: Option<String>,
    /// ARN of the destination.
    pub arn: String,
    /// Event types, including wildcards.
    pub events: Vec<String>,
    /// Key filter.
    pub filter: KeyFilter,
}

impl NotificationEntry {
    /// Returns whether two entries are equivalent. Order of events, case of rule names and empty rules are ignored.
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

/// Notification configuration of a bucket, in the order of the S3 response.
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
    /// Returns the entries of every type.
    pub fn entries(&self) -> impl Iterator<Item = (NotificationKind, &NotificationEntry)> {
        let queues = self.queues.iter().map(|entry| (NotificationKind::Queue, entry));
        let topics = self.topics.iter().map(|entry| (NotificationKind::Topic, entry));
        let functions = self.functions.iter().map(|entry| (NotificationKind::Function, entry));
        queues.chain(topics).chain(functions)
    }

    /// Returns the entry of this owner.
    #[must_use]
    pub fn own(&self, owner: &OwnerId) -> Option<&NotificationEntry> {
        self.queues.iter().find(|entry| owner.owns(entry.id.as_deref()))
    }

    /// Returns the configuration in the form that `aws s3api put-bucket-notification-configuration` accepts.
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

/// Adds the stack's entry to a configuration, or replaces it in the same position. If no events are required on the
/// queue, the entry is removed. `EventBridge` delivery is unchanged.
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
    refuse_overlap(current, owner, subscription)?;
    let mut merged = current.clone();
    match merged.queues.iter_mut().find(|entry| owner.owns(entry.id.as_deref())) {
        // Stays as S3 spells it: a write would change nothing.
        Some(existing) if existing.is_equivalent(&own) => {}
        Some(existing) => *existing = own,
        None => merged.queues.push(own),
    }
    Ok(merged)
}

/// Removes the stack's entry. All other entries are unchanged.
#[must_use]
pub fn remove_own(current: &NotificationConfiguration, owner: &OwnerId) -> NotificationConfiguration {
    let mut rest = current.clone();
    rest.queues.retain(|entry| !owner.owns(entry.id.as_deref()));
    rest
}

/// Refuses a configuration whose topic or function entry has the ID of the stack. IDs are unique in a bucket.
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
    subscription: &DesiredNotification,
) -> Result<(), WiringRefusal> {
    let is_own = |kind, entry: &NotificationEntry| kind == NotificationKind::Queue && owner.owns(entry.id.as_deref());
    let overlaps = subscription.overlaps(current, is_own);
    if overlaps.is_empty() {
        return Ok(());
    }
    Err(WiringRefusal::Overlapping {
        prefix: subscription.key_prefix.clone(),
        overlaps,
    })
}

#[cfg(test)]
mod tests;
