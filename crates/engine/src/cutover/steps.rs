//! The steps of `cutover run`.

use s3ferry_core::cutover::certificate::CutoverCertificate;
use s3ferry_core::cutover::{CutoverStep, DenyStatement, FreezeMethod, StepState, VerifiedBuckets};
use s3ferry_core::diff::SideName;
use serde_json::json;

use super::journal::CutoverJournal;
use super::{
    BucketFingerprint, Cutover, CutoverBacklog, CutoverPorts, CutoverRefusal, InFlightUpload, StepOutcome, merged,
};

/// Times in a row that no work may be left.
const EMPTY_IN_A_ROW: u32 = 3;

/// Keys that a message names.
const NAMED: usize = 3;

impl<P: CutoverPorts> Cutover<P> {
    /// Checks that the freeze still holds. Before the switch, a missing one blocks; after it, the freeze is restored.
    pub(super) async fn ensure_frozen(&self, journal: &CutoverJournal<'_, P>) -> Result<Option<CutoverStep>, P::Error> {
        let state = journal.state().await;
        let is_done = state.step(CutoverStep::Freeze).state == StepState::Done;
        if !is_done || state.settings.freeze != FreezeMethod::Policy {
            return Ok(None);
        }
        let freeze = self.freeze_statement(&state);
        if self.has_statement(SideName::Source, &freeze).await? {
            return Ok(None);
        }
        if !state.may_be_switched() {
            let reason = format!(
                "another tool removed or changed the statement {} in the source's policy, so that later steps prove \
                 nothing: run the same command again, which freezes again",
                freeze.sid
            );
            return self.repeat(journal, CutoverStep::Freeze, &reason).await.map(Some);
        }
        self.add_statement(SideName::Source, &freeze).await?;
        let outcome = StepOutcome::not_met(format!(
            "another tool removed or changed the statement {} in the source's policy after the switch; it is there again. \
             Run the same command again to check the source for late writes",
            freeze.sid
        ));
        self.record(journal, CutoverStep::Switch, outcome).await?;
        Ok(Some(CutoverStep::Switch))
    }

    pub(super) async fn freeze(&self, journal: &CutoverJournal<'_, P>) -> Result<StepOutcome, P::Error> {
        let state = journal.state().await;
        if state.settings.freeze == FreezeMethod::App {
            return Ok(match self.settled(SideName::Source).await? {
                Some(_) => StepOutcome::met(),
                None => StepOutcome::not_met("the source changed between two listings: an application still writes"),
            });
        }
        let freeze = self.freeze_statement(&state);
        let is_policy = state.settings.freeze == FreezeMethod::Policy;
        let is_there = is_policy && self.has_statement(SideName::Source, &freeze).await?;
        if !state.was_probe_allowed && !is_there && is_policy {
            let round = self.ports.probe(SideName::Source).await?;
            if !round.denied.is_empty() {
                return Ok(StepOutcome::not_met(format!(
                    "the probe principal may not write before the freeze ({}), so its denials would prove nothing: pass \
                     --probe-profile with the credentials of an application",
                    round.denied.join(", ")
                )));
            }
            journal.update(|state| state.was_probe_allowed = true).await?;
        }
        if is_policy {
            self.add_statement(SideName::Source, &freeze).await?;
        }
        let (accepted, mut outcome) = self
            .probe_until(SideName::Source, |round| round.allowed.is_empty())
            .await?;
        if !accepted.allowed.is_empty() {
            let allowed = accepted.allowed.join(", ");
            outcome.blocked_by = Some(format!("the source still accepts {allowed} from the probe principal"));
        }
        Ok(outcome)
    }

    /// Lists a bucket twice. Returns the fingerprint if nothing changed.
    async fn settled(&self, side: SideName) -> Result<Option<BucketFingerprint>, P::Error> {
        let first = self.ports.fingerprint(side).await?;
        self.ports.sleep(self.options.settle).await?;
        let second = self.ports.fingerprint(side).await?;
        Ok((first == second).then_some(second))
    }

    pub(super) async fn drain(&self, journal: &CutoverJournal<'_, P>) -> Result<StepOutcome, P::Error> {
        let state = journal.state().await;
        if state.step(CutoverStep::Seal).state.may_have_effects() {
            // An earlier pass sealed the destination. The replicator and the final sync must write again.
            self.remove_statement(SideName::Destination, &self.route.seal_sid())
                .await?;
            if let Some(notification) = &state.detached_notification {
                self.ports.attach_notification(notification).await?;
            }
        }
        let uploads = self.ports.uploads().await?;
        if !uploads.is_empty() && !self.options.abort_uploads {
            return Ok(StepOutcome::not_met(format!(
                "{} multipart uploads are in progress at the source ({}): wait for their end, or pass --abort-uploads. \
                 While writes are denied, none can be completed",
                uploads.len(),
                named(&uploads)
            ))
            .with("uploads", uploads.len()));
        }
        for upload in &uploads {
            self.ports.abort_upload(upload).await?;
        }
        let remaining = self.ports.uploads().await?;
        if !remaining.is_empty() {
            let named = named(&remaining);
            return Ok(StepOutcome::not_met(format!(
                "multipart uploads began at the source meanwhile: {named}"
            )));
        }
        let backlog = self.drained().await?;
        let outcome = StepOutcome::met()
            .with("uploads_aborted", uploads.len())
            .with("queue", backlog.queue)
            .with("dead_letters", backlog.dead_letters)
            .with("journal", backlog.journal);
        if !backlog.is_empty() {
            let by = format!(
                "{} messages, {} dead letters and {} journaled multipart copies are left: redrive dead letters, and run \
                 the same command again",
                backlog.queue, backlog.dead_letters, backlog.journal
            );
            return Ok(StepOutcome {
                blocked_by: Some(by),
                ..outcome
            });
        }
        Ok(match self.settled(SideName::Source).await? {
            Some(settled) => outcome.with("source_versions", settled.versions),
            None => StepOutcome {
                blocked_by: Some("the source changed between two listings: something still writes to it".to_owned()),
                ..outcome
            },
        })
    }

    /// Waits until no work is left, three times in a row. Dead letters do not disappear by waiting.
    async fn drained(&self) -> Result<CutoverBacklog, P::Error> {
        let began = self.ports.now();
        let mut in_a_row = 0;
        loop {
            let backlog = self.ports.backlog().await?;
            in_a_row = if backlog.is_empty() { in_a_row + 1 } else { 0 };
            let is_late = self.ports.now().since(began) >= self.options.drain_wait;
            if in_a_row >= EMPTY_IN_A_ROW || backlog.dead_letters > 0 || (is_late && in_a_row == 0) {
                return Ok(backlog);
            }
            self.pause().await?;
        }
    }

    async fn fingerprints(&self) -> Result<VerifiedBuckets, P::Error> {
        Ok(VerifiedBuckets {
            source: self.ports.fingerprint(SideName::Source).await?.digest,
            destination: self.ports.fingerprint(SideName::Destination).await?.digest,
        })
    }

    pub(super) async fn verify(&self, journal: &CutoverJournal<'_, P>) -> Result<StepOutcome, P::Error> {
        let before = self.fingerprints().await?;
        let outcome = self.ports.verify().await?;
        if outcome.blocked_by.is_some() {
            return Ok(outcome);
        }
        let after = self.fingerprints().await?;
        if let Some(side) = changed(&before, &after) {
            let by = format!("the {} changed during the verification", side.as_str());
            return Ok(StepOutcome {
                blocked_by: Some(by),
                ..outcome
            });
        }
        journal.update(|state| state.verified = Some(after.clone())).await?;
        Ok(outcome)
    }

    pub(super) async fn seal(&self, journal: &CutoverJournal<'_, P>) -> Result<StepOutcome, P::Error> {
        let state = journal.state().await;
        if state.detached_notification.is_none()
            && let Some(notification) = self.ports.notification().await?
        {
            journal
                .update(|state| state.detached_notification = Some(notification.clone()))
                .await?;
        }
        self.ports.detach_notification().await?;
        let roles = &state.settings.sealed_roles;
        if let Some(seal) = DenyStatement::seal(&self.route, &self.destination_region, roles) {
            self.add_statement(SideName::Destination, &seal).await?;
            self.ports.sleep(self.options.settle).await?;
        }
        let is_policy = state.settings.freeze == FreezeMethod::Policy;
        if is_policy
            && !self
                .has_statement(SideName::Source, &self.freeze_statement(&state))
                .await?
        {
            // The next pass finds it too, and repeats the steps from the freeze.
            return Ok(StepOutcome::not_met(
                "another tool removed the freeze from the source's policy",
            ));
        }
        let now = self.fingerprints().await?;
        if state.verified.as_ref() != Some(&now) {
            let side = state.verified.as_ref().and_then(|verified| changed(verified, &now));
            let by = format!(
                "the {} changed after the verification",
                side.map_or("state", SideName::as_str)
            );
            self.repeat(journal, CutoverStep::Drain, &by).await?;
            return Ok(StepOutcome::not_met(format!(
                "{by}: run the same command again, which repeats the proof"
            )));
        }
        let certificate = self.certify(journal).await?;
        Ok(StepOutcome::met()
            .with("sealed_roles", roles.len())
            .with("certificate", certificate.digest()))
    }

    /// Stores the certificate once. After a crash, the certificate that was stored is the one.
    async fn certify(&self, journal: &CutoverJournal<'_, P>) -> Result<CutoverCertificate, P::Error> {
        let state = journal.state().await;
        let mut number = state.certificates.max(1);
        let composed = self.ports.certificate(&state)?;
        let certificate = loop {
            let name = self.route.certificate_name(state.generation, number);
            let stored = self.ports.store_certificate(&name, &composed.to_text()).await?;
            let stored = CutoverCertificate::read(&stored).map_err(CutoverRefusal::Certificate)?;
            if stored.document().get("verified") == Some(&json!(state.verified)) {
                break stored;
            }
            // The certificate of a proof that was repeated since.
            number += 1;
        };
        journal
            .update(|state| {
                state.certificates = number;
                state.certificate = Some(certificate.digest().to_owned());
            })
            .await?;
        Ok(certificate)
    }

    /// Checks directly before the first switch that the certificate still describes the source.
    pub(super) async fn before_switch(&self, journal: &CutoverJournal<'_, P>) -> Result<Option<CutoverStep>, P::Error> {
        let state = journal.state().await;
        let source = self.ports.fingerprint(SideName::Source).await?;
        if state
            .verified
            .as_ref()
            .is_some_and(|verified| verified.source == source.digest)
        {
            return Ok(None);
        }
        let reason = "the source changed after the verification, so that its certificate is void: run the same command \
                      again, which repeats the proof";
        self.repeat(journal, CutoverStep::Drain, reason).await.map(Some)
    }

    pub(super) async fn switch(&self, journal: &CutoverJournal<'_, P>) -> Result<StepOutcome, P::Error> {
        let began = self.ports.now();
        self.ports.switch_to(SideName::Destination).await?;
        let measured = StepOutcome::met().with("flip_ms", millis(self.ports.now().since(began)));
        if self.ports.switched_to().await? != Some(SideName::Destination) {
            let by = "the driver does not confirm that applications use the destination".to_owned();
            return Ok(StepOutcome {
                blocked_by: Some(by),
                ..measured
            });
        }
        let state = journal.state().await;
        let is_policy = state.settings.freeze == FreezeMethod::Policy;
        if is_policy
            && !self
                .has_statement(SideName::Source, &self.freeze_statement(&state))
                .await?
        {
            let by =
                "another tool removed the freeze from the source's policy during the switch: run the same command \
                      again, which restores it"
                    .to_owned();
            return Ok(StepOutcome {
                blocked_by: Some(by),
                ..measured
            });
        }
        let source = self.ports.fingerprint(SideName::Source).await?;
        let is_unchanged = state
            .verified
            .as_ref()
            .is_some_and(|verified| verified.source == source.digest);
        if is_unchanged || self.options.accept_late_writes {
            let accepted = StepOutcome::met().with("late_source_writes", !is_unchanged);
            return Ok(StepOutcome {
                measured: merged(measured.measured, accepted.measured),
                blocked_by: None,
            });
        }
        let by =
            "the source changed during or after the switch: find the late writes with `s3ferry diff`, copy those that \
                  count, and pass --accept-late-writes"
                .to_owned();
        Ok(StepOutcome {
            blocked_by: Some(by),
            ..measured
        })
    }
}

/// Returns the side that changed.
fn changed(before: &VerifiedBuckets, after: &VerifiedBuckets) -> Option<SideName> {
    if before.source != after.source {
        return Some(SideName::Source);
    }
    (before.destination != after.destination).then_some(SideName::Destination)
}

fn named(uploads: &[InFlightUpload]) -> String {
    let mut names: Vec<&str> = uploads.iter().take(NAMED).map(|upload| upload.key.as_str()).collect();
    if uploads.len() > NAMED {
        names.push("...");
    }
    names.join(", ")
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
