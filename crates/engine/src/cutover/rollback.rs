//! Abort and rollback: effects are removed in an order that never leaves two writable buckets, and loses no write.

use std::collections::BTreeSet;

use s3ferry_core::cutover::{CutoverPhase, CutoverStep, DenyStatement, FreezeMethod};
use s3ferry_core::diff::SideName;

use super::journal::CutoverJournal;
use super::{Cutover, CutoverEnd, CutoverPorts, CutoverRefusal, StepOutcome};

impl<P: CutoverPorts> Cutover<P> {
    pub(super) async fn rollback(
        &self,
        journal: &CutoverJournal<'_, P>,
        lose: Option<&BTreeSet<String>>,
        is_abort: bool,
    ) -> Result<CutoverEnd, P::Error> {
        let state = journal.state().await;
        match state.phase {
            CutoverPhase::RolledBack => return Ok(CutoverEnd::Done),
            CutoverPhase::Finished => return Err(CutoverRefusal::Finished.into()),
            CutoverPhase::Forward | CutoverPhase::RollingBack => {}
        }
        let is_switched = state.may_be_switched();
        if is_abort && is_switched {
            return Err(CutoverRefusal::Switched.into());
        }
        let mut announced = state.clone();
        announced.phase = CutoverPhase::RollingBack;
        if !self.ports.confirm(CutoverStep::Freeze, &announced).await? {
            return Ok(CutoverEnd::Declined(CutoverStep::Freeze));
        }
        journal.update(|state| state.phase = CutoverPhase::RollingBack).await?;
        if is_switched
            && !state.has_returned
            && let Some(end) = self.return_to_source(journal, lose).await?
        {
            return Ok(end);
        }
        self.remove_effects(journal).await
    }

    /// Points applications to the source again, once it has everything that they wrote to the destination.
    ///
    /// Writes to the destination are denied first: a write that arrives after the comparison would be lost.
    async fn return_to_source(
        &self,
        journal: &CutoverJournal<'_, P>,
        lose: Option<&BTreeSet<String>>,
    ) -> Result<Option<CutoverEnd>, P::Error> {
        let state = journal.state().await;
        if state.settings.freeze == FreezeMethod::Policy {
            // Another tool may have removed it. Then the comparison would be of a source that still changes.
            self.add_statement(SideName::Source, &self.freeze_statement(&state))
                .await?;
        }
        let excepted = &state.settings.excepted_roles;
        let deny = DenyStatement::rollback(&self.route, &self.destination_region, excepted);
        self.add_statement(SideName::Destination, &deny).await?;
        self.ports.sleep(self.options.settle).await?;
        let (accepted, outcome) = self
            .probe_until(SideName::Destination, |round| round.allowed.is_empty())
            .await?;
        if !accepted.allowed.is_empty() {
            let allowed = accepted.allowed.join(", ");
            let by =
                format!("the destination still accepts {allowed} from the probe principal, so a write could be lost");
            return self
                .give_up(
                    journal,
                    StepOutcome {
                        blocked_by: Some(by),
                        ..outcome
                    },
                )
                .await
                .map(Some);
        }
        let before = self.ports.fingerprint(SideName::Destination).await?;
        let ahead = self.ports.keys_ahead().await?;
        if !ahead.is_empty() && lose != Some(&ahead) {
            let by = format!(
                "{} keys differ at the destination, and a rollback would lose them",
                ahead.len()
            );
            self.give_up(journal, StepOutcome::not_met(by).with("keys_ahead", ahead.len()))
                .await?;
            return Ok(Some(CutoverEnd::WouldLose(ahead)));
        }
        journal.update(|state| state.is_returning = true).await?;
        self.ports.switch_to(SideName::Source).await?;
        if self.ports.switched_to().await? != Some(SideName::Source) {
            let by = "the driver does not confirm that applications use the source";
            return self.give_up(journal, StepOutcome::not_met(by)).await.map(Some);
        }
        let is_denied = self.has_statement(SideName::Destination, &deny).await?;
        if !is_denied || self.ports.fingerprint(SideName::Destination).await? != before {
            let by = "the destination changed after it was compared: run the same command again";
            return self.give_up(journal, StepOutcome::not_met(by)).await.map(Some);
        }
        journal.update(|state| state.has_returned = true).await?;
        Ok(None)
    }

    /// Leaves applications at the destination, as before the rollback.
    async fn give_up(&self, journal: &CutoverJournal<'_, P>, outcome: StepOutcome) -> Result<CutoverEnd, P::Error> {
        if journal.state().await.is_returning {
            self.ports.switch_to(SideName::Destination).await?;
            journal.update(|state| state.is_returning = false).await?;
        }
        self.remove_statement(SideName::Destination, &self.route.rollback_sid())
            .await?;
        journal.update(|state| state.phase = CutoverPhase::Forward).await?;
        self.record(journal, CutoverStep::Switch, outcome).await?;
        Ok(CutoverEnd::Blocked(CutoverStep::Switch))
    }

    /// Lets s3ferry write to the destination again, and applications to the source.
    async fn remove_effects(&self, journal: &CutoverJournal<'_, P>) -> Result<CutoverEnd, P::Error> {
        let state = journal.state().await;
        self.remove_statement(SideName::Destination, &self.route.seal_sid())
            .await?;
        if let Some(notification) = &state.detached_notification {
            self.ports.attach_notification(notification).await?;
        }
        self.remove_statement(SideName::Source, &self.route.freeze_sid())
            .await?;
        self.remove_statement(SideName::Destination, &self.route.rollback_sid())
            .await?;
        if state.settings.freeze == FreezeMethod::Policy && state.was_probe_allowed {
            let (denied, outcome) = self
                .probe_until(SideName::Source, |round| round.denied.is_empty())
                .await?;
            if !denied.denied.is_empty() {
                let denied = denied.denied.join(", ");
                let by = format!("the source still denies {denied} to the probe principal");
                self.record(
                    journal,
                    CutoverStep::Freeze,
                    StepOutcome {
                        blocked_by: Some(by),
                        ..outcome
                    },
                )
                .await?;
                return Ok(CutoverEnd::Blocked(CutoverStep::Freeze));
            }
        }
        let now = self.ports.now();
        journal.update(|state| state.end_rollback(now)).await?;
        for step in CutoverStep::RUN {
            self.ports.report(step, &journal.state().await.step(step))?;
        }
        Ok(CutoverEnd::Done)
    }
}
