//! Reads single properties, and collects the problems of all.

use crate::names::{BucketName, NameError, ObjectKey};
use crate::policy::{KmsKeyMap, Ownership, PolicyError, kms_keys};
use serde_json::{Map, Value};

use super::{EventSource, PropertyProblem, ReplicationEngine};

pub(super) type Choices<T> = &'static [(&'static str, T)];

pub(super) const ENGINES: Choices<ReplicationEngine> = &[
    ("lambda", ReplicationEngine::Lambda),
    ("crr", ReplicationEngine::Crr),
    ("both", ReplicationEngine::Both),
];
pub(super) const EVENT_SOURCES: Choices<EventSource> =
    &[("queue", EventSource::Queue), ("eventbridge", EventSource::EventBridge)];
pub(super) const OWNERSHIPS: Choices<Ownership> = &[("exclusive", Ownership::Exclusive), ("shared", Ownership::Shared)];
pub(super) const BOOLEANS: Choices<bool> = &[("true", true), ("false", false)];

/// Returns a property as text. `CloudFormation` sends strings, other tools send the types of the template.
pub(super) fn given(properties: &Map<String, Value>, name: &str) -> Option<String> {
    match properties.get(name)? {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

/// Returns the name of a rule. The reference is `bus|name` if the rule is on a custom event bus.
pub(super) fn rule_name(reference: &str) -> String {
    reference.rsplit('|').next().unwrap_or_default().to_owned()
}

pub(super) struct Reader<'a> {
    pub(super) properties: &'a Map<String, Value>,
    pub(super) problems: Vec<PropertyProblem>,
}

impl Reader<'_> {
    pub(super) fn needed(&mut self, name: &'static str, allowed: impl Into<String>) {
        self.problems.push(PropertyProblem {
            name,
            value: given(self.properties, name),
            allowed: allowed.into(),
        });
    }

    pub(super) fn name<T>(
        &mut self,
        name: &'static str,
        allowed: &str,
        check: impl Fn(String) -> Result<T, NameError>,
    ) -> Option<T> {
        let checked = given(self.properties, name).and_then(|value| check(value).ok());
        if checked.is_none() {
            self.needed(name, allowed);
        }
        checked
    }

    pub(super) fn bucket(&mut self, name: &'static str) -> Option<BucketName> {
        self.name(name, "the name of a bucket (not its ARN)", BucketName::new)
    }

    pub(super) fn choice<T: Copy>(&mut self, name: &'static str, choices: Choices<T>) -> Option<T> {
        let value = given(self.properties, name);
        let chosen = choices.iter().find(|choice| value.as_deref() == Some(choice.0));
        if chosen.is_none() {
            let names: Vec<&str> = choices.iter().map(|choice| choice.0).collect();
            self.needed(name, names.join(" or "));
        }
        chosen.map(|choice| choice.1)
    }

    pub(super) fn optional(&self, name: &str) -> Option<String> {
        let value = given(self.properties, name).filter(|value| !value.is_empty())?;
        Some(rule_name(&value))
    }

    pub(super) fn arn(&mut self, name: &'static str, service: &str) -> Option<String> {
        let value = given(self.properties, name).filter(|value| is_arn_of(value, service));
        if value.is_none() {
            self.needed(name, format!("an ARN as in arn:aws:{service}:..."));
        }
        value
    }

    pub(super) fn optional_arn(&mut self, name: &'static str, service: &str) -> Option<String> {
        let value = given(self.properties, name).filter(|value| !value.is_empty())?;
        if !is_arn_of(&value, service) {
            self.needed(name, format!("empty, or an ARN as in arn:aws:{service}:..."));
        }
        Some(value)
    }

    pub(super) fn kms_keys(&mut self, name: &'static str) -> KmsKeyMap {
        let value = given(self.properties, name).filter(|value| !value.is_empty());
        let keys = value.map_or(Ok(KmsKeyMap::new()), |value| kms_keys(&value));
        keys.unwrap_or_else(|error: PolicyError| {
            self.needed(name, error.to_string());
            KmsKeyMap::new()
        })
    }

    pub(super) fn key_prefix(&mut self, name: &'static str) -> String {
        let value = given(self.properties, name).unwrap_or_default();
        if value.len() > ObjectKey::LIMIT_BYTES {
            self.needed(name, format!("empty, or at most {} bytes", ObjectKey::LIMIT_BYTES));
        }
        value
    }

    pub(super) fn distinct(&mut self, name: &'static str, other: &str) {
        let value = given(self.properties, name);
        if value.is_some() && value == given(self.properties, other) {
            self.needed(name, format!("another bucket than {other}"));
        }
    }
}

pub(super) fn is_arn_of(value: &str, service: &str) -> bool {
    let mut parts = value.splitn(6, ':');
    parts.next() == Some("arn")
        && parts.next().is_some_and(|partition| partition.starts_with("aws"))
        && parts.next() == Some(service)
        && parts.nth(2).is_some_and(|resource| !resource.is_empty())
}
