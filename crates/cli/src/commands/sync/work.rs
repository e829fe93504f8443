//! Reconciles what a comparison finds, many keys at once, until it ends or somebody asks to stop.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::{FutureExt as _, Stream, StreamExt as _, stream};
use s3ferry_core::diff::Pair;
use s3ferry_core::facts::{Aspect, Aspects};
use s3ferry_core::failure::Failure;
use s3ferry_core::names::ObjectKey;
use s3ferry_core::outcome::{AgainReason, Outcome, Report};
use s3ferry_core::policy::Ownership;
use s3ferry_engine::diff::Merged;
use s3ferry_engine::ports::{Clock, DestinationBucket, SourceBucket, StateStore};
use s3ferry_engine::reconcile::Reconciler;
use tokio::task::JoinSet;

use super::results::Results;
use crate::clock::InterruptibleClock;
use crate::exit::Error;
use crate::interrupt::Interrupt;
use crate::progress::Progress;

/// How many keys are remembered to be looked at once more at the end; those beyond are reported as not done.
const REMEMBERED: usize = 100_000;

/// One sync.
#[derive(Debug)]
pub(super) struct Work {
    /// What is compared of every key besides what a HEAD shows.
    pub(super) aspects: Aspects,
    /// How many keys are reconciled at once.
    pub(super) concurrency: usize,
    /// Whether what only the destination has is looked at.
    pub(super) deletes: bool,
    pub(super) interrupt: Interrupt,
    pub(super) progress: Progress,
    pub(super) results: Results,
}

/// What comes next.
enum Next {
    /// From the comparison.
    Merged(Box<Merged>),
    /// From those that asked to be looked at once more.
    Again(ObjectKey),
}

/// One key that was reconciled.
struct Reconciled {
    key: ObjectKey,
    report: Report,
    /// Whether it may ask to be looked at once more.
    may_ask: bool,
}

impl Work {
    /// Reconciles every key that is found, and once more those that asked for it.
    pub(super) async fn all<S, D, C, J>(
        &mut self,
        found: impl Stream<Item = Result<Merged, Failure>> + Send,
        reconciler: Reconciler<S, D, C, J>,
    ) -> Result<(), Error>
    where
        S: SourceBucket + 'static,
        D: DestinationBucket + 'static,
        C: Clock + 'static,
        J: StateStore + 'static,
    {
        let reconciler = Arc::new(reconciler);
        let found = found.map(|merged| Ok(Next::Merged(Box::new(merged?))));
        let again = self.pass(found, &reconciler).await?;
        if !again.is_empty() {
            // What is read again may differ in nothing but tags, which no HEAD shows; and uploads may have been begun by
            // requests that landed late.
            self.aspects.extend([Aspect::Tags, Aspect::UnfinishedUpload]);
            if reconciler.policy.ownership == Ownership::Shared {
                self.aspects.insert(Aspect::History);
            }
            let found = stream::iter(again).map(|key| Ok(Next::Again(key)));
            self.pass(found, &reconciler).await?;
        }
        Ok(())
    }

    /// Goes through all of `found`, and returns the keys that asked to be looked at once more.
    async fn pass<S, D, C, J>(
        &mut self,
        found: impl Stream<Item = Result<Next, Failure>> + Send,
        reconciler: &Arc<Reconciler<S, D, C, J>>,
    ) -> Result<Vec<ObjectKey>, Error>
    where
        S: SourceBucket + 'static,
        D: DestinationBucket + 'static,
        C: Clock + 'static,
        J: StateStore + 'static,
    {
        let mut found = std::pin::pin!(found.fuse());
        let mut under_way: JoinSet<Reconciled> = JoinSet::new();
        let mut again = Vec::new();
        let interrupt = self.interrupt.clone();
        let mut goes_on = true;
        loop {
            let takes_more = goes_on && under_way.len() < self.concurrency.max(1);
            tokio::select! {
                biased;
                () = interrupt.wait(), if goes_on => goes_on = false,
                Some(joined) = under_way.join_next() => {
                    let done = joined.map_err(|error| Error::Bug(error.to_string()))?;
                    again.extend(self.settle(done)?);
                }
                next = found.next(), if takes_more => match next {
                    Some(next) => {
                        let (key, may_ask) = match next? {
                            Next::Merged(merged) => (self.key_of(*merged), true),
                            Next::Again(key) => (Some(key), false),
                        };
                        if let Some(key) = key {
                            under_way.spawn(reconcile(Arc::clone(reconciler), key, self.aspects.clone(), may_ask));
                        }
                    }
                    None => goes_on = false,
                },
                else => break,
            }
        }
        Ok(again)
    }

    /// Counts what was merged, and returns the key that is to be reconciled.
    fn key_of(&mut self, merged: Merged) -> Option<ObjectKey> {
        self.progress
            .advance(merged.counts.source_keys.max(merged.counts.destination_keys));
        self.results.compared(&merged.counts);
        let (pair, _) = merged.finding?;
        if matches!(pair, Pair::Destination(_)) && !self.deletes {
            self.results.extra();
            return None;
        }
        Some(pair.key().clone())
    }

    /// Takes the end of a reconcile; returns the key if it is to be looked at once more.
    fn settle(&mut self, reconciled: Reconciled) -> Result<Option<ObjectKey>, Error> {
        let Reconciled { key, report, may_ask } = reconciled;
        let asks = report.outcome_unknown
            || matches!(
                report.outcome,
                Outcome::Again(AgainReason::HotKey | AgainReason::OutcomeUnknown)
            );
        if asks && may_ask && !self.interrupt.is_set() && self.results.ask_again() < REMEMBERED {
            return Ok(Some(key));
        }
        self.results.settled(&key, &report)?;
        self.progress.note(self.results.note());
        Ok(None)
    }
}

async fn reconcile<S, D, C, J>(
    reconciler: Arc<Reconciler<S, D, C, J>>,
    key: ObjectKey,
    aspects: Aspects,
    may_ask: bool,
) -> Reconciled
where
    S: SourceBucket,
    D: DestinationBucket,
    C: Clock,
    J: StateStore,
{
    let work = reconciler.reconcile(&key, &aspects, InterruptibleClock::no_end());
    // A panic is its key's failure, and nobody else's.
    let report = AssertUnwindSafe(work).catch_unwind().await;
    let report = report.unwrap_or_else(|_| Report::failed(Failure::panicked("reconcile", &key)));
    Reconciled { key, report, may_ask }
}
