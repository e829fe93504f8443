//! What a bucket was seen to be configured as, and how that is kept for people.

use s3ferry_core::wiring::{NotificationConfiguration, ReplicationConfiguration, Versioning};
use serde::Serialize;
use serde_json::{Value, json};

/// Name of the backup of what was there before the first change of an owner; written once.
pub(super) const ORIGINAL: &str = "original.json";

/// Name of the note whether it was this owner who switched `EventBridge` on.
pub(super) const EVENT_BRIDGE: &str = "event-bridge.json";

/// Name of the note which replication role this owner brought to the bucket.
pub(super) const REPLICATION_ROLE: &str = "replication-role.json";

/// Everything that was read of a bucket at one time.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ConfigurationSnapshot<R> {
    /// Only read where it matters: it takes a permission that other stacks do not need.
    pub(super) versioning: Option<Versioning>,
    pub(super) notification: NotificationConfiguration,
    pub(super) replication: Option<ReplicationConfiguration<R>>,
}

impl<R: Serialize> ConfigurationSnapshot<R> {
    /// Spells the snapshot so that each part can be given back to the AWS CLI as it is.
    pub(super) fn document(&self) -> Value {
        let replication = self.replication.as_ref().map(|configuration| {
            let rules: Vec<&R> = configuration.rules.iter().map(|rule| &rule.payload).collect();
            json!({"Role": configuration.role, "Rules": rules})
        });
        json!({
            "Versioning": self.versioning.map(Versioning::as_str),
            "NotificationConfiguration": self.notification.document(),
            "ReplicationConfiguration": replication,
        })
    }
}

/// Spells the note which replication role this owner brought to the bucket.
pub(super) fn added_role_note(role: &str) -> String {
    json!({"Brought": role}).to_string()
}

/// Reads that note.
pub(super) fn added_role(note: &str) -> Option<String> {
    let note: Value = serde_json::from_str(note).ok()?;
    Some(note.get("Brought")?.as_str()?.to_owned())
}

/// Spells the note whether it was this owner who switched `EventBridge` on.
pub(super) fn switched_on_note(switched_on: bool) -> String {
    json!({"SwitchedOn": switched_on}).to_string()
}

/// Reads that note; one that cannot be read says no.
pub(super) fn was_switched_on(note: &str) -> bool {
    let note = serde_json::from_str::<Value>(note).unwrap_or_default();
    note.get("SwitchedOn").and_then(Value::as_bool).unwrap_or_default()
}
