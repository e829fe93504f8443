//! Brings the configuration of one bucket to the desired state, in passes that each start with reading it.

mod backups;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use s3ferry_core::failure::{Failure, FailureKind};
use s3ferry_core::names::BucketName;
use s3ferry_core::wiring::{DesiredConfiguration, OwnerId, Versioning, WiringRefusal};

use super::error::WiringError;
use super::failures::{is_denial, is_refused_notification};
use super::plan::{ConfigurationWrite, EventBridgeSwitch, plan};
use super::ports::{BucketConfiguration, EventRules, WiringBackup, WiringPorts};
use super::snapshot::{
    ConfigurationSnapshot, EVENT_BRIDGE, REPLICATION_ROLE, added_role, switched_on_note, was_switched_on,
};
use crate::ports::Clock as _;

/// The maximum number of passes: three writes, and repetitions because of concurrent writes.
const MAX_PASSES: usize = 20;

/// The number of polls without a change after which its write counts as overwritten.
const MAX_POLLS: usize = 30;

/// The number of overwritten changes after which the request fails and names the change.
///
/// Each overwritten change takes all its polls, and the function has 300 seconds.
const MAX_OVERWRITES: usize = 5;

/// The number of consecutive polls that must return a change. A single response may come from the only host that has
/// it.
const CONSECUTIVE_POLLS: usize = 2;

/// The wait between two polls.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// The maximum number of retries of a denied request: a change of a role's permissions takes seconds to propagate.
pub(super) const MAX_DENIALS: usize = 6;

/// The wait after a transient failure, such as a queue policy that has not propagated to S3.
pub(super) const AFTER_FAILURE: Duration = Duration::from_secs(5);

/// The configuration of a bucket once it is wired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct WiringResult {
    /// The versioning state, if it was read.
    pub(super) versioning: Option<Versioning>,
    /// Whether this request enabled versioning: for 15 minutes existing keys may answer 404.
    ///
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/manage-versioning-examples.html>
    pub(super) versioning_enabled_now: bool,
    /// The Id of s3ferry's notification entry, if S3 sends events to the queue.
    pub(super) notification_id: Option<String>,
    /// Event types that S3 rejected and the notification omits.
    pub(super) omitted_events: Vec<&'static str>,
    /// Whether `EventBridge` delivery is enabled.
    pub(super) event_bridge: bool,
    /// The Id of s3ferry's replication rule, if there is one.
    pub(super) replication_rule_id: Option<String>,
}

/// One bucket and its desired configuration.
#[derive(Debug)]
pub(super) struct WiringJob<'a, P: WiringPorts> {
    pub(super) ports: &'a P,
    pub(super) name: &'a BucketName,
    pub(super) bucket: P::Bucket,
    /// The store for backups. Only a removal may work without one.
    pub(super) backup: Option<P::Backup>,
    pub(super) owner: &'a OwnerId,
    /// The request's id, which names the backup of this change.
    pub(super) request_id: &'a str,
    pub(super) desired: DesiredConfiguration,
    /// Whether all entries are removed. A removal does not fail if the bucket for backups is missing.
    pub(super) removal: bool,
    /// Whether a write was attempted.
    pub(super) touched: AtomicBool,
    /// The event rules of this stack.
    pub(super) own_event_rules: Vec<String>,
    /// The replication role that this change removes.
    pub(super) removed_role: Option<String>,
}

/// The result of a pass.
enum PassOutcome<R> {
    /// The bucket has the desired configuration.
    Converged(ConfigurationSnapshot<R>),
    /// A write was made and propagated.
    Wrote { versioning: bool },
    /// The configuration changed concurrently.
    Changed,
    /// The change was reverted after the write.
    Overwritten { what: String },
}

/// Brings the bucket to its desired configuration. Writes nothing if nothing differs.
///
/// If S3 rejects the notification, the event types that not every region offers are omitted one by one.
/// If S3 rejects every variant, the first rejection is returned.
pub(super) async fn converge<P: WiringPorts>(job: &mut WiringJob<'_, P>) -> Result<WiringResult, WiringError> {
    let mut versioning_enabled_now = false;
    let mut omitted_events = Vec::new();
    let mut first_refusal = None;
    let mut last_failure = None;
    let (mut denials, mut overwrites) = (0, 0);
    for _ in 0..MAX_PASSES {
        match job.pass().await {
            Ok(PassOutcome::Converged(seen)) => return Ok(job.wired(&seen, versioning_enabled_now, omitted_events)),
            Ok(PassOutcome::Wrote { versioning }) => versioning_enabled_now |= versioning,
            Ok(PassOutcome::Changed) => {
                tracing::warn!(s3.bucket = %job.name, "bucket configuration changed concurrently, reading it again");
                job.ports.clock().sleep(POLL_INTERVAL).await;
            }
            Ok(PassOutcome::Overwritten { what }) => {
                overwrites += 1;
                tracing::warn!(s3.bucket = %job.name, what, overwrites, "change was reverted, writing it again");
                if overwrites == MAX_OVERWRITES {
                    return Err(WiringError::Overwritten {
                        bucket: job.name.clone(),
                        what,
                        times: overwrites,
                    });
                }
            }
            Err(WiringError::Failed(failure)) if is_denial(&failure) && denials < MAX_DENIALS => {
                denials += 1;
                tracing::warn!(s3.bucket = %job.name, %failure, "access denied, retrying");
                job.ports.clock().sleep(AFTER_FAILURE).await;
            }
            Err(WiringError::Failed(failure)) if is_refused_notification(&failure) => {
                let Some((desired, event)) = job.desired.without_newest_event() else {
                    return Err(first_refusal.unwrap_or(failure).into());
                };
                tracing::warn!(s3.bucket = %job.name, event, %failure, "notification rejected, omitting an event type");
                job.desired = desired;
                omitted_events.push(event);
                first_refusal.get_or_insert(failure);
            }
            Err(WiringError::Failed(failure)) if failure.kind == FailureKind::Retry => {
                tracing::warn!(s3.bucket = %job.name, %failure, "transient failure, retrying");
                last_failure = Some(failure);
                job.ports.clock().sleep(AFTER_FAILURE).await;
            }
            Err(error) => return Err(error),
        }
    }
    let still_changing = WiringError::StillChanging {
        bucket: job.name.clone(),
        passes: MAX_PASSES,
    };
    Err(last_failure.map_or(still_changing, WiringError::Failed))
}

type RuleOf<P> = <<P as WiringPorts>::Bucket as BucketConfiguration>::Rule;

impl<P: WiringPorts> WiringJob<'_, P> {
    async fn pass(&self) -> Result<PassOutcome<RuleOf<P>>, WiringError> {
        let seen = self.read().await?;
        let switch = self.switch(&seen).await?;
        self.refuse_to_orphan_rules(&seen).await?;
        let compose = |id: &str, priority, terms: &_| self.bucket.compose(id, priority, terms);
        let changes = plan(&seen, self.owner, &self.desired, switch, compose)?;
        let Some(change) = changes.into_iter().next() else {
            return Ok(PassOutcome::Converged(seen));
        };
        self.back_up(&seen, &change).await?;
        if self.read().await? != seen {
            return Ok(PassOutcome::Changed);
        }
        self.write(&change).await?;
        if !self.appears(&change).await? {
            let what = self.name_of(&seen, &change);
            return Ok(PassOutcome::Overwritten { what });
        }
        self.note_switched_off(&seen, &change).await?;
        let versioning = change == ConfigurationWrite::EnableVersioning;
        Ok(PassOutcome::Wrote { versioning })
    }

    async fn read(&self) -> Result<ConfigurationSnapshot<RuleOf<P>>, Failure> {
        let versioning = if self.desired.enable_versioning || self.desired.replication.is_some() {
            Some(self.bucket.versioning().await?)
        } else {
            None
        };
        Ok(ConfigurationSnapshot {
            versioning,
            notification: self.bucket.notification().await?,
            replication: self.bucket.replication().await?,
        })
    }

    /// Decides about `EventBridge` delivery.
    ///
    /// It is disabled only if this owner enabled it and no other rule listens to the bucket.
    async fn switch(&self, seen: &ConfigurationSnapshot<RuleOf<P>>) -> Result<EventBridgeSwitch, Failure> {
        if self.desired.event_bridge {
            self.record_switch_owner(seen).await?;
            return Ok(EventBridgeSwitch::On);
        }
        if !seen.notification.event_bridge {
            return Ok(EventBridgeSwitch::AsItIs);
        }
        let note = self.load(EVENT_BRIDGE).await?;
        if !note.is_some_and(|note| was_switched_on(&note)) {
            return Ok(EventBridgeSwitch::AsItIs);
        }
        let listening = self
            .ports
            .rules()
            .others_listening(self.name, &self.own_event_rules)
            .await?;
        if listening.is_empty() {
            return Ok(EventBridgeSwitch::Off);
        }
        tracing::info!(s3.bucket = %self.name, rules = ?listening, "EventBridge delivery stays: other rules use it");
        Ok(EventBridgeSwitch::AsItIs)
    }

    /// Records once who enabled an `EventBridge` delivery that is already enabled.
    ///
    /// If only other stacks of s3ferry listen, one of them enabled it, and the last of these stacks disables it.
    async fn record_switch_owner(&self, seen: &ConfigurationSnapshot<RuleOf<P>>) -> Result<(), Failure> {
        let Some(backup) = self.backup.as_ref().filter(|_| seen.notification.event_bridge) else {
            return Ok(());
        };
        if backup.load(EVENT_BRIDGE).await?.is_some() {
            return Ok(());
        }
        let listening = self
            .ports
            .rules()
            .others_listening(self.name, &self.own_event_rules)
            .await?;
        let shared = !listening.is_empty() && listening.iter().all(|listener| listener.is_of_s3ferry);
        backup.save(EVENT_BRIDGE, &switched_on_note(shared)).await
    }

    /// Refuses to remove a role that foreign replication rules use: they would stop working without a visible error.
    async fn refuse_to_orphan_rules(&self, seen: &ConfigurationSnapshot<RuleOf<P>>) -> Result<(), WiringError> {
        let (Some(role), Some(replication)) = (&self.removed_role, &seen.replication) else {
            return Ok(());
        };
        let rules = replication.foreign_names(self.owner);
        if replication.role != *role || rules.is_empty() {
            return Ok(());
        }
        let note = self.load(REPLICATION_ROLE).await?;
        // A role that the bucket had before s3ferry belongs to its owner and stays.
        if note.and_then(|note| added_role(&note)).as_ref() != Some(role) {
            return Ok(());
        }
        let role = role.clone();
        Err(WiringRefusal::RoleStillUsed { role, rules }.into())
    }

    async fn write(&self, change: &ConfigurationWrite<RuleOf<P>>) -> Result<(), Failure> {
        self.touched.store(true, Ordering::Relaxed);
        match change {
            ConfigurationWrite::EnableVersioning => self.bucket.enable_versioning().await,
            ConfigurationWrite::Notification(configuration) => {
                // A removal must not fail because the target of a foreign entry no longer exists.
                let check = self.desired.subscription.is_some();
                self.bucket.put_notification(configuration, check).await
            }
            ConfigurationWrite::Replication(configuration) => self.bucket.put_replication(configuration.as_ref()).await,
        }
    }

    /// Returns a name of the configuration that a change writes.
    fn name_of(&self, seen: &ConfigurationSnapshot<RuleOf<P>>, change: &ConfigurationWrite<RuleOf<P>>) -> String {
        match change {
            ConfigurationWrite::EnableVersioning => "versioning".to_owned(),
            ConfigurationWrite::Notification(wanted)
                if wanted.entries().eq(seen.notification.entries()) && switches(seen, change).is_some() =>
            {
                "the EventBridge delivery".to_owned()
            }
            ConfigurationWrite::Notification(_) => format!("the notification entry `{}`", self.owner),
            ConfigurationWrite::Replication(_) => format!("the replication rule `{}`", self.owner),
        }
    }

    /// Polls until the bucket returns s3ferry's part of the change. Concurrent changes of other entries are ignored.
    async fn appears(&self, change: &ConfigurationWrite<RuleOf<P>>) -> Result<bool, Failure> {
        let mut sightings = 0;
        for _ in 0..MAX_POLLS {
            sightings = if self.is_seen(change).await? { sightings + 1 } else { 0 };
            if sightings == CONSECUTIVE_POLLS {
                return Ok(true);
            }
            self.ports.clock().sleep(POLL_INTERVAL).await;
        }
        Ok(false)
    }

    async fn is_seen(&self, change: &ConfigurationWrite<RuleOf<P>>) -> Result<bool, Failure> {
        match change {
            ConfigurationWrite::EnableVersioning => Ok(self.bucket.versioning().await? == Versioning::Enabled),
            ConfigurationWrite::Notification(wanted) => {
                let seen = self.bucket.notification().await?;
                let same_entry = match (seen.own(self.owner), wanted.own(self.owner)) {
                    (None, None) => true,
                    (Some(seen), Some(wanted)) => seen.is_equivalent(wanted),
                    _ => false,
                };
                Ok(same_entry && seen.event_bridge == wanted.event_bridge)
            }
            ConfigurationWrite::Replication(wanted) => {
                let seen = self.bucket.replication().await?;
                let own = |configuration: &Option<_>| {
                    let configuration: &s3ferry_core::wiring::ReplicationConfiguration<_> = configuration.as_ref()?;
                    configuration.own(self.owner).map(|rule| rule.terms.clone())
                };
                Ok(own(&seen) == own(wanted))
            }
        }
    }

    fn wired(
        &self,
        seen: &ConfigurationSnapshot<RuleOf<P>>,
        versioning_enabled_now: bool,
        omitted_events: Vec<&'static str>,
    ) -> WiringResult {
        let replication = seen.replication.as_ref();
        WiringResult {
            versioning: seen.versioning,
            versioning_enabled_now,
            notification_id: seen.notification.own(self.owner).and_then(|entry| entry.id.clone()),
            omitted_events,
            event_bridge: seen.notification.event_bridge,
            replication_rule_id: replication
                .and_then(|configuration| configuration.own(self.owner))
                .and_then(|rule| rule.id.clone()),
        }
    }
}

/// Returns the new state of `EventBridge` delivery, if the change switches it.
fn switches<R>(seen: &ConfigurationSnapshot<R>, change: &ConfigurationWrite<R>) -> Option<bool> {
    match change {
        ConfigurationWrite::Notification(wanted) if wanted.event_bridge != seen.notification.event_bridge => {
            Some(wanted.event_bridge)
        }
        _ => None,
    }
}

/// Returns the replication role that the change sets, if it differs from the previous one.
fn sets_role<'a, R>(seen: &ConfigurationSnapshot<R>, change: &'a ConfigurationWrite<R>) -> Option<&'a str> {
    let ConfigurationWrite::Replication(Some(wanted)) = change else {
        return None;
    };
    let before = seen
        .replication
        .as_ref()
        .map(|configuration| configuration.role.as_str());
    (before != Some(wanted.role.as_str())).then_some(wanted.role.as_str())
}
