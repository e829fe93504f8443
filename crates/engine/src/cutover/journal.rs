//! The stored state of a cutover, which only the holder of its lease changes.

use futures::lock::Mutex;
use s3ferry_core::cutover::{CutoverSettings, CutoverState, LeaseHeld, OperatorLease, OperatorName};
use s3ferry_core::failure::Failure;
use s3ferry_core::names::ETag;

use super::{Cutover, CutoverPorts, CutoverRefusal};
use crate::ports::WriteError;

/// Attempts to write the state.
const ATTEMPTS: usize = 6;

/// The state of a cutover whose lease this process holds.
pub(super) struct CutoverJournal<'c, P> {
    cutover: &'c Cutover<P>,
    held: Mutex<HeldState>,
}

struct HeldState {
    state: CutoverState,
    etag: Option<ETag>,
}

impl<'c, P: CutoverPorts> CutoverJournal<'c, P> {
    /// Acquires the lease. With `settings`, a cutover that does not exist begins.
    pub(super) async fn open(cutover: &'c Cutover<P>, settings: Option<&CutoverSettings>) -> Result<Self, P::Error> {
        let me = &cutover.operator;
        for _ in 0..ATTEMPTS {
            let Some(stored) = cutover.ports.load().await? else {
                let settings = settings.ok_or(CutoverRefusal::NotBegun)?;
                let state = CutoverState::new(&cutover.route, settings.clone(), OperatorLease::of(me.clone()));
                match store(cutover, &state, None).await? {
                    Some(etag) => return Ok(Self::holding(cutover, state, etag)),
                    None => continue,
                }
            };
            let mut state = CutoverState::read(&cutover.route, &stored.body).map_err(CutoverRefusal::State)?;
            let lease = match state.lease.acquire(me, false) {
                Ok(lease) => lease,
                Err(held) => {
                    let is_abandoned = cutover.ports.is_abandoned(&held.0, &stored.etag).await?;
                    state.lease.acquire(me, is_abandoned).map_err(CutoverRefusal::Held)?
                }
            };
            state.lease = lease;
            if let Some(etag) = store(cutover, &state, Some(&stored.etag)).await? {
                return Ok(Self::holding(cutover, state, etag));
            }
        }
        Err(CutoverRefusal::StateContended.into())
    }

    fn holding(cutover: &'c Cutover<P>, state: CutoverState, etag: ETag) -> Self {
        let etag = Some(etag);
        Self {
            cutover,
            held: Mutex::new(HeldState { state, etag }),
        }
    }

    /// Returns the state.
    pub(super) async fn state(&self) -> CutoverState {
        self.held.lock().await.state.clone()
    }

    /// Changes the state and stores it. The change is durable once the call returns.
    pub(super) async fn update(&self, change: impl FnOnce(&mut CutoverState)) -> Result<(), P::Error> {
        let mut held = self.held.lock().await;
        change(&mut held.state);
        // A renewed lease also gives every stored state another ETag.
        held.state.lease.renewals += 1;
        for _ in 0..ATTEMPTS {
            if let Some(etag) = held.etag.take() {
                // A caller that is dropped here leaves no ETag, and the next one reads the state.
                if let Some(written) = store(self.cutover, &held.state, Some(&etag)).await? {
                    held.etag = Some(written);
                    return Ok(());
                }
            }
            let stored = self.cutover.ports.load().await?.ok_or(CutoverRefusal::StateRemoved)?;
            let found = CutoverState::read(&self.cutover.route, &stored.body).map_err(CutoverRefusal::State)?;
            ensure_held_by(&found.lease, &self.cutover.operator)?;
            held.etag = Some(stored.etag);
            if found == held.state {
                return Ok(());
            }
        }
        Err(CutoverRefusal::StateContended.into())
    }

    /// Releases the lease, and returns how the command ended.
    pub(super) async fn release<T>(&self, ended: Result<T, P::Error>) -> Result<T, P::Error> {
        let released = self.update(|state| state.lease.released = true).await;
        let ended = ended?;
        released.map(|()| ended)
    }
}

fn ensure_held_by(lease: &OperatorLease, me: &OperatorName) -> Result<(), CutoverRefusal> {
    if lease.holder == *me {
        return Ok(());
    }
    Err(CutoverRefusal::TakenOver(LeaseHeld(Box::new(lease.holder.clone()))))
}

/// Writes the state. Returns `None` if it changed, or if the outcome is unknown: then the state must be read.
async fn store<P: CutoverPorts>(
    cutover: &Cutover<P>,
    state: &CutoverState,
    seen: Option<&ETag>,
) -> Result<Option<ETag>, P::Error> {
    let body = state.to_json().map_err(CutoverRefusal::State)?;
    match cutover.ports.store(body, seen).await {
        Ok(etag) => Ok(Some(etag)),
        Err(WriteError::PreconditionFailed | WriteError::OutcomeUnknown(_)) => Ok(None),
        Err(WriteError::Failed(failure)) => Err(failed(failure)),
    }
}

fn failed<E: From<Failure>>(failure: Failure) -> E {
    failure.into()
}
