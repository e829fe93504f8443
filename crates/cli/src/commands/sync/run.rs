//! Reconciles many keys concurrently, until the comparison ends, fails, or is interrupted.

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::{FutureExt as _, Stream, StreamExt as _, stream};
use s3ferry_aws::concurrency::ConcurrencyLimit;
use s3ferry_aws::destination::S3Destination;
use s3ferry_aws::journal::{ListedIntent, S3Journal};
use s3ferry_aws::source::S3Source;
use s3ferry_core::diff::KeyPair;
use s3ferry_core::facts::AttributeSet;
use s3ferry_core::failure::Failure;
use s3ferry_core::listing::ListedObject;
use s3ferry_core::names::ObjectKey;
use s3ferry_core::outcome::{DeferralReason, Outcome, ReconcileReport, SkipReason};
use s3ferry_core::redelivery::attributes_after_interruption;
use s3ferry_engine::diff::MergedPage;
use s3ferry_engine::reconcile::Reconciler;
use tokio::task::{JoinError, JoinSet};

use super::deletes::SpilledKeys;
use super::intents::DeletedKeys;
use super::manifest_keys::ManifestKeys;
use super::observed_destination::ObservedDestination;
use super::results::SyncResults;
use crate::clock::InterruptibleClock;
use crate::exit::CliError;
use crate::interrupt::{Interrupt, Stopper};
use crate::progress::{ProgressReporter, print_message};

/// The largest number of keys that are read again at the end; further keys are reported as not done.
const REMEMBERED: usize = 100_000;

/// The reconciler of a sync.
pub(super) type SyncReconciler =
    Reconciler<S3Source, ObservedDestination<S3Destination>, InterruptibleClock, S3Journal>;

/// One sync.
#[derive(Debug)]
pub(super) struct SyncRun {
    /// The attributes of every key that are compared besides those of a HEAD.
    pub(super) attributes: AttributeSet,
    /// The limit of the copies in flight.
    pub(super) concurrency: ConcurrencyLimit,
    /// Where keys wait that may have to be deleted; without it nothing is deleted.
    pub(super) held: Option<SpilledKeys>,
    /// Keys whose multipart copies an earlier run left unfinished.
    pub(super) unfinished: BTreeSet<ObjectKey>,
    /// With shared ownership, keys that s3ferry deleted at the destination.
    pub(super) deleted: Option<DeletedKeys>,
    /// Whether keys that only the destination lists are reconciled, too: with shared ownership a copy may hide an
    /// application's write there.
    pub(super) reads_extra: bool,
    /// Whether the destination was just listed, so that keys which it lacks are copied before they are read.
    pub(super) is_optimistic: bool,
    /// Whether the keys that are reconciled now are those of earlier deletes, which no listing names.
    pub(super) reads_deleted: bool,
    /// Set by an interrupt, or by `stopper`.
    pub(super) interrupt: Interrupt,
    /// Stops the copies in progress.
    pub(super) stopper: Stopper,
    pub(super) progress: ProgressReporter,
    pub(super) results: SyncResults,
}

/// The next event of a run.
enum Next {
    /// From the comparison.
    Merged(Box<MergedPage>),
    /// A key, and whether it may be read again at the end.
    Key(ObjectKey, bool),
}

/// A key to reconcile.
enum ReconcileWork {
    Key(ObjectKey),
    /// What the source lists and the destination does not.
    Listed(ListedObject),
}

impl ReconcileWork {
    fn key(&self) -> &ObjectKey {
        match self {
            Self::Key(key) => key,
            Self::Listed(listed) => &listed.key,
        }
    }

    fn into_key(self) -> ObjectKey {
        match self {
            Self::Key(key) => key,
            Self::Listed(listed) => listed.key,
        }
    }
}

/// One key that was reconciled.
struct Reconciled {
    key: ObjectKey,
    report: ReconcileReport,
    /// Whether it may be read again at the end.
    may_ask: bool,
}

impl SyncRun {
    /// Returns how many keys are reconciled at once: some copy while others read before or after their copy.
    fn keys_in_progress(&self) -> usize {
        2 * usize::from(self.concurrency.level())
    }

    /// Reconciles every key that differs, and some keys again at the end. Deletes nothing.
    pub(super) async fn copies(
        &mut self,
        found: impl Stream<Item = Result<MergedPage, Failure>> + Send,
        reconciler: SyncReconciler,
    ) -> Result<(), CliError> {
        let reconciler = Arc::new(reconciler);
        let found = found.map(|merged| Ok(Next::Merged(Box::new(merged?))));
        let again = self.pass(found, &reconciler).await?;
        self.once_more(again, &reconciler).await?;
        // What the listings show as equal, or do not show, may still have an upload to be aborted.
        let unfinished = self.unfinished.clone();
        let unfinished = unfinished.into_iter().map(|key| Ok(Next::Key(key, false)));
        self.pass(stream::iter(unfinished), &reconciler).await?;
        let Some(deleted) = self.deleted.take() else {
            return Ok(());
        };
        self.reads_deleted = true;
        let deleted = deleted.keys()?.map(|key| Ok(Next::Key(key?, true)));
        let again = self.pass(stream::iter(deleted), &reconciler).await?;
        self.once_more(again, &reconciler).await
    }

    /// Reconciles the keys of a manifest, and no other keys.
    pub(super) async fn manifest_keys(
        &mut self,
        mut manifest: ManifestKeys,
        reconciler: SyncReconciler,
    ) -> Result<(), CliError> {
        let reconciler = Arc::new(reconciler);
        let keys = manifest.by_ref().map(|key| Ok(Next::Key(key?, true)));
        let ended = self.pass(stream::iter(keys), &reconciler).await;
        self.results.manifest(manifest.counts());
        self.once_more(ended?, &reconciler).await
    }

    /// Reads which keys of this migration s3ferry deleted at the destination. A listing that fails, or that may not be
    /// made, ends the sync: an application's write could stay hidden unseen. An intent that cannot be read is a failure of
    /// its own.
    pub(super) async fn read_intents(&mut self, journal: &S3Journal, prefix: &str) -> Result<(), CliError> {
        let mut deleted = DeletedKeys::new()?;
        let interrupt = self.interrupt.clone();
        let mut intents = std::pin::pin!(journal.intents(self.keys_in_progress()));
        loop {
            let intent = tokio::select! {
                biased;
                () = interrupt.wait() => return Err(CliError::Interrupted),
                intent = intents.next() => intent,
            };
            let Some(intent) = intent else { break };
            let ListedIntent { name, key } = intent?;
            match key {
                Ok(Some(key)) if key.as_str().starts_with(prefix) => deleted.push(&key)?,
                Ok(_) => {}
                Err(failure) => self.results.intent_unread(&name, &failure)?,
            }
        }
        self.deleted = Some(deleted);
        Ok(())
    }

    /// Reconciles the keys that were held back.
    pub(super) async fn deletes(&mut self, held: SpilledKeys, reconciler: SyncReconciler) -> Result<(), CliError> {
        let reconciler = Arc::new(reconciler);
        let keys = held.keys()?.map(|key| Ok(Next::Key(key?, true)));
        let again = self.pass(stream::iter(keys), &reconciler).await?;
        self.once_more(again, &reconciler).await
    }

    async fn once_more(&mut self, again: Vec<ObjectKey>, reconciler: &Arc<SyncReconciler>) -> Result<(), CliError> {
        if again.is_empty() {
            return Ok(());
        }
        // Requests of the first pass may have landed late.
        let first = self.attributes.clone();
        self.attributes.extend(attributes_after_interruption());
        let found = again.into_iter().map(|key| Ok(Next::Key(key, false)));
        let ended = self.pass(stream::iter(found), reconciler).await;
        self.attributes = first;
        ended.map(drop)
    }

    /// Reconciles all keys of `found`, and returns those to read again at the end.
    ///
    /// A failure ends it after the copies in progress: a dropped copy would leave its upload behind.
    async fn pass(
        &mut self,
        found: impl Stream<Item = Result<Next, CliError>> + Send,
        reconciler: &Arc<SyncReconciler>,
    ) -> Result<Vec<ObjectKey>, CliError> {
        let mut found = std::pin::pin!(found.fuse());
        let mut under_way: JoinSet<Reconciled> = JoinSet::new();
        let mut again = Vec::new();
        let interrupt = self.interrupt.clone();
        let mut goes_on = !interrupt.is_set();
        let mut ended = Ok(());
        loop {
            let takes_more = goes_on && under_way.len() < self.keys_in_progress();
            let step = tokio::select! {
                biased;
                () = interrupt.wait(), if goes_on => {
                    goes_on = false;
                    Ok(())
                }
                Some(joined) = under_way.join_next() => self.joined(joined).map(|key| again.extend(key)),
                next = found.next(), if takes_more => {
                    goes_on = next.is_some();
                    let begun = next.map(|next| next.and_then(|next| self.begin(next, reconciler, &mut under_way)));
                    begun.unwrap_or(Ok(()))
                }
                else => break,
            };
            if let Err(error) = step {
                goes_on = false;
                if ended.is_ok() && !under_way.is_empty() {
                    print_message("stopping: copies in progress are finished or journaled within about 20 seconds");
                }
                ended = ended.and(Err(error));
                self.stopper.stop();
            }
        }
        ended.map(|()| again)
    }

    fn begin(
        &mut self,
        next: Next,
        reconciler: &Arc<SyncReconciler>,
        under_way: &mut JoinSet<Reconciled>,
    ) -> Result<(), CliError> {
        let (work, may_ask) = match next {
            Next::Merged(merged) => (self.work_of(*merged)?, true),
            Next::Key(key, may_ask) => {
                // A key that is read again was counted before.
                self.progress.advance(u64::from(may_ask));
                (Some(ReconcileWork::Key(key)), may_ask)
            }
        };
        if let Some(work) = work {
            let mut attributes = self.attributes.clone();
            if let Some(deleted) = &mut self.deleted {
                deleted.leave_out(work.key());
            }
            if self.unfinished.remove(work.key()) {
                attributes.extend(attributes_after_interruption());
            }
            under_way.spawn(reconcile(Arc::clone(reconciler), work, attributes, may_ask));
        }
        Ok(())
    }

    /// Counts what was merged, and returns the key that is to be reconciled.
    fn work_of(&mut self, merged: MergedPage) -> Result<Option<ReconcileWork>, CliError> {
        self.progress
            .advance(merged.counts.source_keys.max(merged.counts.destination_keys));
        self.results.compared(&merged.counts);
        let Some((pair, _)) = merged.finding else {
            return Ok(None);
        };
        let pair = match pair {
            KeyPair::Source(listed) if self.is_optimistic => return Ok(Some(ReconcileWork::Listed(listed))),
            pair => pair,
        };
        if self.reads_extra || !matches!(pair, KeyPair::Destination(_)) {
            return Ok(Some(ReconcileWork::Key(pair.key().clone())));
        }
        match &mut self.held {
            Some(held) => held.push(pair.key())?,
            None => self.results.extra(1),
        }
        Ok(None)
    }

    fn joined(&mut self, joined: Result<Reconciled, JoinError>) -> Result<Option<ObjectKey>, CliError> {
        let Reconciled { key, report, may_ask } = joined.map_err(|error| CliError::Bug(error.to_string()))?;
        self.progress.end_large(&key);
        self.results.warn_if_precondition_failures();
        let asks = report.outcome_unknown
            || matches!(
                report.outcome,
                Outcome::Deferred(DeferralReason::HotKey | DeferralReason::OutcomeUnknown)
            );
        if asks && may_ask && !self.interrupt.is_set() && self.results.recheck() < REMEMBERED {
            return Ok(Some(key));
        }
        let is_gone = report.outcome == Outcome::Skipped(SkipReason::DeletesNotPropagated);
        self.results.deleted_before(u64::from(self.reads_deleted));
        match &mut self.held {
            // Gone since it was listed.
            Some(held) if is_gone => held.push(&key)?,
            None if is_gone && self.reads_extra => self.results.extra(1),
            _ if self.reads_deleted && report.outcome == Outcome::Skipped(SkipReason::BothAbsent) => {}
            _ => {
                self.results.record_result(&key, &report)?;
                self.progress.counts(&self.results.counts());
            }
        }
        Ok(None)
    }
}

async fn reconcile(
    reconciler: Arc<SyncReconciler>,
    work: ReconcileWork,
    attributes: AttributeSet,
    may_ask: bool,
) -> Reconciled {
    let deadline = InterruptibleClock::no_end();
    let passes = async {
        match &work {
            ReconcileWork::Key(key) => Box::pin(reconciler.reconcile(key, &attributes, deadline)).await,
            ReconcileWork::Listed(row) => Box::pin(reconciler.reconcile_listed(row, &attributes, deadline)).await,
        }
    };
    // A panic fails its own key only.
    let report = AssertUnwindSafe(passes).catch_unwind().await;
    let key = work.into_key();
    let report = report.unwrap_or_else(|_| ReconcileReport::failed(Failure::panicked("reconcile", &key)));
    Reconciled { key, report, may_ask }
}
