//! Cutover: carries out the steps that [`s3ferry_core::cutover`] names, and stores the state around each of their writes.
//!
//! A step may be killed at any point and run again. Before a step writes anything, the state says that it is running. Its
//! effects are read back before the state says that it is done.

mod journal;
mod policies;
mod ports;
mod refusal;
mod rollback;
mod steps;

use std::collections::BTreeSet;
use std::time::Duration;

use futures::future::{Either, select};
use s3ferry_core::cutover::{
    CutoverPhase, CutoverRoute, CutoverSettings, CutoverState, CutoverStep, DenyStatement, Measurements, OperatorName,
    StepRecord, StepState,
};
use s3ferry_core::names::Region;

use self::journal::CutoverJournal;
pub use self::ports::{
    BucketFingerprint, CutoverBacklog, CutoverPorts, InFlightUpload, ProbeRound, ResidualData, StepOutcome,
    StoredCutover,
};
pub use self::refusal::CutoverRefusal;

/// Time between two renewals of the lease.
pub const RENEWAL: Duration = Duration::from_secs(20);

/// One cutover, run by one operator.
#[derive(Debug)]
pub struct Cutover<P> {
    /// Access to buckets, queues, applications and the clock.
    pub ports: P,
    /// What is cut over.
    pub route: CutoverRoute,
    /// Region of the source.
    pub source_region: Region,
    /// Region of the destination.
    pub destination_region: Region,
    /// Process that runs the cutover.
    pub operator: OperatorName,
    /// Options of this run.
    pub options: CutoverOptions,
}

/// Options that may differ from run to run.
#[derive(Debug, Clone)]
pub struct CutoverOptions {
    /// Time over which probes are repeated, and between two listings that must be identical.
    pub settle: Duration,
    /// Number of probes in a row that must be denied.
    pub probes: u32,
    /// Longest time to wait for the queue.
    pub drain_wait: Duration,
    /// Whether multipart uploads at the source are aborted.
    pub abort_uploads: bool,
    /// Whether writes to the source after the switch are accepted as not copied.
    pub accept_late_writes: bool,
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CutoverEnd {
    /// All steps are done.
    Done,
    /// The gate of a step is not met.
    Blocked(CutoverStep),
    /// A rollback would lose these keys. Nothing changed.
    WouldLose(BTreeSet<String>),
    /// The operator declined a step, which did not begin.
    Declined(CutoverStep),
}

impl<P: CutoverPorts> Cutover<P> {
    /// Runs the steps that are not done, up to the switch.
    pub async fn run(&self, settings: CutoverSettings) -> Result<CutoverEnd, P::Error> {
        let journal = CutoverJournal::open(self, Some(&settings)).await?;
        let end = async {
            match journal.state().await.phase {
                CutoverPhase::Forward => {}
                CutoverPhase::RolledBack => {
                    let state = journal.state().await.next_generation(&self.route, settings.clone());
                    journal.update(|stored| *stored = state).await?;
                }
                CutoverPhase::RollingBack => return Err(CutoverRefusal::RollbackInProgress.into()),
                CutoverPhase::Finished => return Err(CutoverRefusal::Finished.into()),
            }
            let mut adopted = journal.state().await;
            adopted.adopt(settings.clone()).map_err(CutoverRefusal::State)?;
            journal.update(|stored| *stored = adopted).await?;
            self.steps(&journal).await
        };
        let end = self.with_renewals(&journal, end).await;
        journal.release(end).await
    }

    /// Ends the migration, if the switch is at least `age` old.
    pub async fn finish(&self, age: Duration) -> Result<CutoverEnd, P::Error> {
        let journal = CutoverJournal::open(self, None).await?;
        let end = self.with_renewals(&journal, self.finish_step(&journal, age)).await;
        journal.release(end).await
    }

    /// Removes the effects of a cutover. After the switch, keys that only the destination has must equal `lose`.
    pub async fn roll_back(&self, lose: Option<&BTreeSet<String>>, is_abort: bool) -> Result<CutoverEnd, P::Error> {
        let journal = CutoverJournal::open(self, None).await?;
        let end = self
            .with_renewals(&journal, self.rollback(&journal, lose, is_abort))
            .await;
        journal.release(end).await
    }

    /// Renews the lease while `work` runs. Work ends at once if another operator has taken over.
    async fn with_renewals<T>(
        &self,
        journal: &CutoverJournal<'_, P>,
        work: impl Future<Output = Result<T, P::Error>> + Send,
    ) -> Result<T, P::Error> {
        let renewals = async {
            loop {
                self.ports.wait_for_renewal(RENEWAL).await;
                if let Err(error) = journal.update(|_| ()).await {
                    return error;
                }
            }
        };
        match select(Box::pin(work), Box::pin(renewals)).await {
            Either::Left((ended, _)) => ended,
            Either::Right((error, _)) => Err(error),
        }
    }

    async fn steps(&self, journal: &CutoverJournal<'_, P>) -> Result<CutoverEnd, P::Error> {
        loop {
            if let Some(blocked) = self.ensure_frozen(journal).await? {
                return Ok(CutoverEnd::Blocked(blocked));
            }
            let state = journal.state().await;
            let Some(step) = state.next_step() else {
                return Ok(CutoverEnd::Done);
            };
            let was = state.step(step).state;
            if !self.ports.confirm(step, &state).await? {
                return Ok(CutoverEnd::Declined(step));
            }
            if step == CutoverStep::Switch
                && !was.may_have_effects()
                && let Some(blocked) = self.before_switch(journal).await?
            {
                return Ok(CutoverEnd::Blocked(blocked));
            }
            let now = self.ports.now();
            journal.update(|state| state.begin(step, now)).await?;
            self.ports.report(step, &journal.state().await.step(step))?;
            let outcome = self.step(step, journal).await?;
            if !self.record(journal, step, outcome).await? {
                return Ok(CutoverEnd::Blocked(step));
            }
        }
    }

    async fn step(&self, step: CutoverStep, journal: &CutoverJournal<'_, P>) -> Result<StepOutcome, P::Error> {
        match step {
            CutoverStep::Ready => self.ports.ready().await,
            CutoverStep::Freeze => self.freeze(journal).await,
            CutoverStep::Drain => self.drain(journal).await,
            CutoverStep::FinalSync => self.ports.final_sync().await,
            CutoverStep::Verify => self.verify(journal).await,
            CutoverStep::Seal => self.seal(journal).await,
            CutoverStep::Switch => self.switch(journal).await,
            CutoverStep::Finish => Ok(StepOutcome::met()),
        }
    }

    /// Stores and reports the outcome of a step. Returns whether its gate is met.
    async fn record(
        &self,
        journal: &CutoverJournal<'_, P>,
        step: CutoverStep,
        outcome: StepOutcome,
    ) -> Result<bool, P::Error> {
        let now = self.ports.now();
        let is_met = outcome.blocked_by.is_none();
        journal
            .update(|state| match &outcome.blocked_by {
                None => state.complete(step, outcome.measured.clone(), now),
                Some(by) => state.block(step, by, outcome.measured.clone(), now),
            })
            .await?;
        self.ports.report(step, &journal.state().await.step(step))?;
        Ok(is_met)
    }

    /// Blocks the cutover at `step`, whose effects and those of later steps no longer hold.
    async fn repeat(
        &self,
        journal: &CutoverJournal<'_, P>,
        step: CutoverStep,
        reason: &str,
    ) -> Result<CutoverStep, P::Error> {
        journal.update(|state| state.repeat_from(step, reason)).await?;
        let record = StepRecord {
            state: StepState::Blocked,
            ..journal.state().await.step(step)
        };
        self.ports.report(step, &record)?;
        Ok(step)
    }

    async fn finish_step(&self, journal: &CutoverJournal<'_, P>, age: Duration) -> Result<CutoverEnd, P::Error> {
        const STEP: CutoverStep = CutoverStep::Finish;
        let state = journal.state().await;
        match state.phase {
            CutoverPhase::Finished => return Ok(CutoverEnd::Done),
            CutoverPhase::Forward if state.next_step().is_none() => {}
            _ => return Err(CutoverRefusal::NotSwitched.into()),
        }
        if let Some(blocked) = self.ensure_frozen(journal).await? {
            return Ok(CutoverEnd::Blocked(blocked));
        }
        if !self.ports.confirm(STEP, &state).await? {
            return Ok(CutoverEnd::Declined(STEP));
        }
        let now = self.ports.now();
        journal.update(|state| state.begin(STEP, now)).await?;
        let since = state.step(CutoverStep::Switch).ended.map(|ended| now.since(ended));
        let outcome = match since {
            Some(since) if since >= age => {
                let left = self.ports.residual_data().await?;
                StepOutcome::met().with_all(left.measurements())
            }
            _ => StepOutcome::not_met(format!(
                "the switch is {} seconds old, and {} are required: presigned URLs and clients with the old \
                 configuration may still use the source",
                since.unwrap_or_default().as_secs(),
                age.as_secs()
            )),
        };
        if !self.record(journal, STEP, outcome).await? {
            return Ok(CutoverEnd::Blocked(STEP));
        }
        journal.update(|state| state.phase = CutoverPhase::Finished).await?;
        Ok(CutoverEnd::Done)
    }

    fn freeze_statement(&self, state: &CutoverState) -> DenyStatement {
        DenyStatement::freeze(&self.route, &self.source_region, &state.settings.excepted_roles)
    }
}

/// Merges measurements.
fn merged(mut one: Measurements, other: Measurements) -> Measurements {
    one.extend(other);
    one
}
