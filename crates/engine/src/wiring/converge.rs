//! Brings one bucket to what is wanted, in turns that each start from what is there.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use s3ferry_core::failure::{Failure, FailureKind};
use s3ferry_core::names::BucketName;
use s3ferry_core::wiring::{DesiredConfiguration, OwnerId, Versioning, WiringRefusal};

use super::error::WiringError;
use super::failures::{bucket_is_missing, is_denial, is_refused_notification};
use super::plan::{ConfigurationWrite, EventBridgeSwitch, plan};
use super::ports::{BucketConfiguration, EventRules, Pause, WiringBackup, WiringPorts};
use super::snapshot::{
    ConfigurationSnapshot, EVENT_BRIDGE, ORIGINAL, REPLICATION_ROLE, added_role, added_role_note, switched_on_note,
    was_switched_on,
};

/// How often a bucket is read afresh before the work is given up: three writes, and others that write meanwhile.
const PASSES: usize = 20;

/// How often a change is looked for before its write counts as overwritten.
const LOOKS: usize = 30;

/// How often a change may be overwritten before the work is given up with its name. Each time takes as long as a change is
/// looked for, and the function has 300 seconds.
const OVERWRITES: usize = 5;

/// How often in a row a change must be seen: one answer alone may come from the only place that has it yet.
const SIGHTINGS: usize = 2;

/// The time between two looks.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// How often a denial is waited out: what a role may do takes some seconds to spread after the stack has changed it.
pub(super) const DENIALS: usize = 6;

/// The time after a failure that passes, such as a queue policy that S3 does not know of yet.
pub(super) const AFTER_FAILURE: Duration = Duration::from_secs(5);

/// What a bucket has in the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct WiringResult {
    /// Whether it keeps versions, where that was asked.
    pub(super) versioning: Option<Versioning>,
    /// Whether that was switched on just now: for 15 minutes existing keys may answer 404.
    ///
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/manage-versioning-examples.html>
    pub(super) versioning_enabled_now: bool,
    /// The Id of our entry, when S3 sends events to our queue.
    pub(super) notification_id: Option<String>,
    /// Event types that S3 refused, and that the bucket is wired without.
    pub(super) omitted_events: Vec<&'static str>,
    /// Whether S3 sends events to `EventBridge`.
    pub(super) event_bridge: bool,
    /// The Id of our replication rule, when there is one.
    pub(super) replication_rule_id: Option<String>,
}

/// One bucket and what is wanted of it.
#[derive(Debug)]
pub(super) struct WiringJob<'a, P: WiringPorts> {
    pub(super) ports: &'a P,
    pub(super) name: &'a BucketName,
    pub(super) bucket: P::Bucket,
    /// Without one nothing is kept; only a removal goes without.
    pub(super) backup: Option<P::Backup>,
    pub(super) owner: &'a OwnerId,
    /// Names the backup of this change.
    pub(super) request_id: &'a str,
    pub(super) desired: DesiredConfiguration,
    /// Whether everything is to go, which does not fail for want of a place for backups.
    pub(super) removal: bool,
    /// Whether a write was tried.
    pub(super) touched: AtomicBool,
    /// Our own rules on the event bus.
    pub(super) own_event_rules: Vec<String>,
    /// The replication role that goes away with this change.
    pub(super) leaving_role: Option<String>,
}

/// How a turn ended.
enum PassOutcome<R> {
    /// There was nothing left to write.
    Settled(ConfigurationSnapshot<R>),
    /// A write is seen by everybody.
    Wrote { versioning: bool },
    /// Somebody else wrote.
    Moved,
    /// Something else reverted what was written.
    Overwritten { what: String },
}

/// Brings the bucket to what is wanted; nothing is written where nothing differs.
///
/// Where S3 refuses the notification, it is wired without the event types that not every region has; if S3 refuses that
/// too, the first refusal is the reason.
pub(super) async fn converge<P: WiringPorts>(job: &mut WiringJob<'_, P>) -> Result<WiringResult, WiringError> {
    let mut versioning_enabled_now = false;
    let mut omitted_events = Vec::new();
    let mut first_refusal = None;
    let mut last_failure = None;
    let (mut denials, mut overwrites) = (0, 0);
    for _ in 0..PASSES {
        match job.pass().await {
            Ok(PassOutcome::Settled(seen)) => return Ok(job.wired(&seen, versioning_enabled_now, omitted_events)),
            Ok(PassOutcome::Wrote { versioning }) => versioning_enabled_now |= versioning,
            Ok(PassOutcome::Moved) => {
                tracing::warn!(s3.bucket = %job.name, "the bucket's configuration changed meanwhile; starting over");
                job.ports.time().pause(POLL_INTERVAL).await;
            }
            Ok(PassOutcome::Overwritten { what }) => {
                overwrites += 1;
                tracing::warn!(s3.bucket = %job.name, what, overwrites, "a change was reverted; starting over");
                if overwrites == OVERWRITES {
                    return Err(WiringError::Overwritten {
                        bucket: job.name.clone(),
                        what,
                        times: overwrites,
                    });
                }
            }
            Err(WiringError::Failed(failure)) if is_denial(&failure) && denials < DENIALS => {
                denials += 1;
                tracing::warn!(s3.bucket = %job.name, %failure, "trying again");
                job.ports.time().pause(AFTER_FAILURE).await;
            }
            Err(WiringError::Failed(failure)) if is_refused_notification(&failure) => {
                let Some((desired, event)) = job.desired.without_newest_event() else {
                    return Err(first_refusal.unwrap_or(failure).into());
                };
                tracing::warn!(s3.bucket = %job.name, event, %failure, "trying without an event type");
                job.desired = desired;
                omitted_events.push(event);
                first_refusal.get_or_insert(failure);
            }
            Err(WiringError::Failed(failure)) if failure.kind == FailureKind::Retry => {
                tracing::warn!(s3.bucket = %job.name, %failure, "trying again");
                last_failure = Some(failure);
                job.ports.time().pause(AFTER_FAILURE).await;
            }
            Err(error) => return Err(error),
        }
    }
    let inconclusive = WiringError::Unsettled {
        bucket: job.name.clone(),
        turns: PASSES,
    };
    Err(last_failure.map_or(inconclusive, WiringError::Failed))
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
            return Ok(PassOutcome::Settled(seen));
        };
        self.back_up(&seen, &change).await?;
        if self.read().await? != seen {
            return Ok(PassOutcome::Moved);
        }
        self.write(&change).await?;
        if !self.appears(&change).await? {
            let what = self.named(&seen, &change);
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

    /// Decides about the switch: it goes off only where this owner switched it on and nobody else listens.
    async fn switch(&self, seen: &ConfigurationSnapshot<RuleOf<P>>) -> Result<EventBridgeSwitch, Failure> {
        if self.desired.event_bridge {
            self.share_switch(seen).await?;
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
        tracing::info!(s3.bucket = %self.name, rules = ?listening, "EventBridge stays on: other rules listen");
        Ok(EventBridgeSwitch::AsItIs)
    }

    /// Decides once who switched on what is on already: where only other stacks of s3ferry listen, one of them did, and
    /// the last one of them all switches it off.
    async fn share_switch(&self, seen: &ConfigurationSnapshot<RuleOf<P>>) -> Result<(), Failure> {
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

    /// Foreign rules that work as a role of this stack would stop working without anybody noticing.
    async fn refuse_to_orphan_rules(&self, seen: &ConfigurationSnapshot<RuleOf<P>>) -> Result<(), WiringError> {
        let (Some(role), Some(replication)) = (&self.leaving_role, &seen.replication) else {
            return Ok(());
        };
        let rules = replication.foreign_names(self.owner);
        if replication.role != *role || rules.is_empty() {
            return Ok(());
        }
        let note = self.load(REPLICATION_ROLE).await?;
        // A role that was the bucket's before us belongs to somebody else and stays.
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
                // Without an entry of ours, a foreign one whose target is gone must not be in the way.
                let check = self.desired.subscription.is_some();
                self.bucket.put_notification(configuration, check).await
            }
            ConfigurationWrite::Replication(configuration) => self.bucket.put_replication(configuration.as_ref()).await,
        }
    }

    /// Names what a change writes.
    fn named(&self, seen: &ConfigurationSnapshot<RuleOf<P>>, change: &ConfigurationWrite<RuleOf<P>>) -> String {
        match change {
            ConfigurationWrite::EnableVersioning => "versioning".to_owned(),
            ConfigurationWrite::Notification(wanted)
                if wanted.entries().eq(seen.notification.entries()) && switches(seen, change).is_some() =>
            {
                "the EventBridge notification".to_owned()
            }
            ConfigurationWrite::Notification(_) => format!("the notification entry `{}`", self.owner),
            ConfigurationWrite::Replication(_) => format!("the replication rule `{}`", self.owner),
        }
    }

    /// Waits until the bucket answers with our part of the change. What others wrote meanwhile does not matter here.
    async fn appears(&self, change: &ConfigurationWrite<RuleOf<P>>) -> Result<bool, Failure> {
        let mut sightings = 0;
        for _ in 0..LOOKS {
            sightings = if self.is_seen(change).await? { sightings + 1 } else { 0 };
            if sightings == SIGHTINGS {
                return Ok(true);
            }
            self.ports.time().pause(POLL_INTERVAL).await;
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

/// What is kept of a change, so that it can be taken back.
impl<P: WiringPorts> WiringJob<'_, P> {
    async fn back_up(
        &self,
        seen: &ConfigurationSnapshot<RuleOf<P>>,
        change: &ConfigurationWrite<RuleOf<P>>,
    ) -> Result<(), Failure> {
        let Some(backup) = &self.backup else {
            return Ok(());
        };
        let text = seen.document().to_string();
        let saved = async {
            backup.save_once(ORIGINAL, &text).await?;
            backup.save(&format!("{}.json", self.request_id), &text).await?;
            if switches(seen, change) == Some(true) {
                backup.save(EVENT_BRIDGE, &switched_on_note(true)).await?;
            }
            if let Some(role) = sets_role(seen, change) {
                backup.save(REPLICATION_ROLE, &added_role_note(role)).await?;
            }
            Ok(())
        };
        self.tolerate(saved.await)
    }

    async fn note_switched_off(
        &self,
        seen: &ConfigurationSnapshot<RuleOf<P>>,
        change: &ConfigurationWrite<RuleOf<P>>,
    ) -> Result<(), Failure> {
        match &self.backup {
            Some(backup) if switches(seen, change) == Some(false) => {
                self.tolerate(backup.save(EVENT_BRIDGE, &switched_on_note(false)).await)
            }
            _ => Ok(()),
        }
    }

    async fn load(&self, name: &str) -> Result<Option<String>, Failure> {
        let Some(backup) = &self.backup else {
            return Ok(None);
        };
        match backup.load(name).await {
            Err(failure) if self.removal && bucket_is_missing(&failure) => Ok(None),
            loaded => loaded,
        }
    }

    /// A removal takes out our own entries, for which no backup is needed; the bucket for it may be gone already.
    fn tolerate(&self, saved: Result<(), Failure>) -> Result<(), Failure> {
        match saved {
            Err(failure) if self.removal && bucket_is_missing(&failure) => {
                tracing::warn!(%failure, "removing the wiring without a backup");
                Ok(())
            }
            saved => saved,
        }
    }
}

/// Returns the switch's new position if the change moves it.
fn switches<R>(seen: &ConfigurationSnapshot<R>, change: &ConfigurationWrite<R>) -> Option<bool> {
    match change {
        ConfigurationWrite::Notification(wanted) if wanted.event_bridge != seen.notification.event_bridge => {
            Some(wanted.event_bridge)
        }
        _ => None,
    }
}

/// Returns the replication role that the bucket has by the change and had not before.
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
