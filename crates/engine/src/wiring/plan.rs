//! The plan of the writes that bring a bucket to its desired configuration. It makes no requests.

use s3ferry_core::wiring::{
    DesiredConfiguration, NotificationConfiguration, OwnerId, ReplicationConfiguration, ReplicationTerms, Versioning,
    WiringRefusal, notification, replication,
};

use super::snapshot::ConfigurationSnapshot;

/// The desired state of a bucket's `EventBridge` delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EventBridgeSwitch {
    /// Enabled: s3ferry requires it.
    On,
    /// Unchanged: s3ferry does not require it, and another rule may.
    AsItIs,
    /// Disabled: s3ferry enabled it, and no rule requires it.
    Off,
}

/// One write to a bucket's configuration.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum ConfigurationWrite<R> {
    EnableVersioning,
    Notification(NotificationConfiguration),
    Replication(Option<ReplicationConfiguration<R>>),
}

/// Returns the required writes in order, or the reason why none may be made.
pub(super) fn plan<R: Clone + PartialEq>(
    seen: &ConfigurationSnapshot<R>,
    owner: &OwnerId,
    desired: &DesiredConfiguration,
    switch: EventBridgeSwitch,
    compose: impl Fn(&str, i32, &ReplicationTerms) -> R,
) -> Result<Vec<ConfigurationWrite<R>>, WiringRefusal> {
    let unversioned = seen.versioning.filter(|versioning| *versioning != Versioning::Enabled);
    if let (Some(versioning), Some(_), false) = (unversioned, &desired.replication, desired.enable_versioning) {
        return Err(WiringRefusal::VersioningRequired { versioning });
    }
    let mut notification = notification::merge(&seen.notification, owner, desired)?;
    match switch {
        EventBridgeSwitch::On => notification.event_bridge = true,
        EventBridgeSwitch::AsItIs => {}
        EventBridgeSwitch::Off => notification.event_bridge = false,
    }
    let current = seen.replication.as_ref();
    let replication = match &desired.replication {
        Some(wish) => Some(replication::merge(current, owner, wish, compose)?),
        None => replication::remove_own(current, owner),
    };
    let mut changes = Vec::new();
    if desired.enable_versioning && unversioned.is_some() {
        changes.push(ConfigurationWrite::EnableVersioning);
    }
    if notification != seen.notification {
        changes.push(ConfigurationWrite::Notification(notification));
    }
    if replication != seen.replication {
        changes.push(ConfigurationWrite::Replication(replication));
    }
    Ok(changes)
}
