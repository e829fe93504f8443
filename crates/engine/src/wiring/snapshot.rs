//! Snapshots of a bucket's configuration, and the documents that back them up.

use s3ferry_core::wiring::{NotificationConfiguration, ReplicationConfiguration, Versioning};
use serde::Serialize;
use serde_json::{Value, json};

/// The name of the backup of the original configuration, written once before an owner's first change.
pub(super) const ORIGINAL: &str = "original.json";

/// The name of the note whether this owner enabled `EventBridge` delivery.
pub(super) const EVENT_BRIDGE: &str = "event-bridge.json";

/// The name of the note which replication role this owner set.
pub(super) const REPLICATION_ROLE: &str = "replication-role.json";

/// The configuration of a bucket at one time.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ConfigurationSnapshot<R> {
    /// Read only if required, because it takes a permission that other stacks do not have.
    pub(super) versioning: Option<Versioning>,
    pub(super) notification: NotificationConfiguration,
    pub(super) replication: Option<ReplicationConfiguration<R>>,
}

impl<R: Serialize> ConfigurationSnapshot<R> {
    /// Returns a document whose parts are valid input of the AWS CLI.
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

/// Returns the note that this owner set a replication role.
pub(super) fn added_role_note(role: &str) -> String {
    json!({"Brought": role}).to_string()
}

/// Parses the note and returns the role.
pub(super) fn added_role(note: &str) -> Option<String> {
    let note: Value = serde_json::from_str(note).ok()?;
    Some(note.get("Brought")?.as_str()?.to_owned())
}

/// Returns the note whether this owner enabled `EventBridge` delivery.
pub(super) fn switched_on_note(switched_on: bool) -> String {
    json!({"SwitchedOn": switched_on}).to_string()
}

/// Parses the note; returns `false` if it is malformed.
pub(super) fn was_switched_on(note: &str) -> bool {
    let note = serde_json::from_str::<Value>(note).unwrap_or_default();
    note.get("SwitchedOn").and_then(Value::as_bool).unwrap_or_default()
}
