//! Multipart copies, which may continue in later invocations.

use std::collections::BTreeMap;
use std::mem;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures::future::{self, Either};
use futures::{StreamExt as _, stream};
use s3ferry_core::decide::CopyRefusal;
use s3ferry_core::facts::{Attribute, AttributeSet, ExplicitEncryption, HIDDEN_IN_HEAD, ObjectFacts, ObjectState};
use s3ferry_core::failure::{Failure, FailureCode, FailureKind};
use s3ferry_core::names::{ETag, ObjectKey};
use s3ferry_core::order::{CopyOrder, UploadParameters};
use s3ferry_core::outcome::{DeferralReason, Outcome, WithheldWrite};
use s3ferry_core::plan::{CopyPlan, PlanError, PlannedPart, plan};
use s3ferry_core::upload::UploadId;

use super::attempt::{Attempt, PassResult, after_failure};
use super::{Reconciler, UploadSupport, refused};
use crate::ports::{
    Clock, CopiedPart, DestinationBucket, SourceBucket, StateStore, UploadCompletion, WriteError, WrittenObject,
};

/// The part of an invocation's time that is reserved for recording the copied parts.
///
/// It is at most a quarter of the remaining time, so that a short invocation also copies parts.
const RECORDING_RESERVE: Duration = Duration::from_secs(5);

/// The maximum number of aborts of an upload whose parts continue to arrive.
const MAX_ABORTS: u32 = 5;

/// An upload that this invocation copies.
struct Upload {
    id: UploadId,
    plan: CopyPlan,
    terms: UploadParameters,
    /// The parts that were copied.
    copied: BTreeMap<u32, CopiedPart>,
    /// The ETag of its journal entry, if there is a journal.
    journaled: Option<ETag>,
}

/// The result of copying the missing parts of an upload.
enum Progress {
    AllCopied,
    OutOfTime,
    Failed(WriteError),
}

impl<S: SourceBucket, D: DestinationBucket, C: Clock, J: StateStore> Reconciler<S, D, C, J> {
    pub(super) async fn multipart_copy(
        &self,
        key: &ObjectKey,
        source: &ObjectState,
        order: &CopyOrder,
        attempt: &mut Attempt,
    ) -> PassResult {
        let Some(facts) = source.facts() else {
            return PassResult::ReadAgain;
        };
        let mut upload = match self.open(key, facts, order, attempt).await {
            Ok(upload) => upload,
            Err(pass) => return pass,
        };
        match self.copy_parts(key, order, &mut upload, attempt).await {
            Progress::AllCopied => self.complete(key, source, order, upload, attempt).await,
            Progress::OutOfTime if upload.journaled.is_some() => {
                PassResult::Ended(Outcome::Deferred(DeferralReason::Deadline))
            }
            Progress::OutOfTime => {
                let failed = PassResult::Ended(Outcome::Failed(needs_journal(key, order)));
                self.drop_upload(key, &upload, attempt).await.err().unwrap_or(failed)
            }
            // The upload was completed or aborted concurrently, or the source changed.
            Progress::Failed(WriteError::PreconditionFailed) => {
                let dropped = self.drop_upload(key, &upload, attempt).await;
                dropped.err().unwrap_or_else(|| attempt.precondition_failed())
            }
            Progress::Failed(WriteError::Failed(failure) | WriteError::OutcomeUnknown(failure)) => {
                self.part_failed(key, &upload, failure, attempt).await
            }
        }
    }

    /// Keeps an upload that will be resumed, and aborts any other.
    async fn part_failed(
        &self,
        key: &ObjectKey,
        upload: &Upload,
        failure: Failure,
        attempt: &mut Attempt,
    ) -> PassResult {
        let pass = after_failure(failure);
        let is_resumed = matches!(pass, PassResult::ReadLater(_)) && upload.journaled.is_some();
        if is_resumed {
            return pass;
        }
        attempt.uploads.copied_parts = false;
        self.drop_upload(key, upload, attempt).await.err().unwrap_or(pass)
    }

    /// Resumes the upload that the journal names, or creates one and journals it.
    async fn open(
        &self,
        key: &ObjectKey,
        facts: &ObjectFacts,
        order: &CopyOrder,
        attempt: &mut Attempt,
    ) -> Result<Upload, PassResult> {
        self.abort_unjournaled(key, attempt).await.map_err(after_failure)?;
        // A dry run does not resume: a resumed upload and a new one are both a multipart copy.
        match &self.uploads {
            Some(uploads) if !self.policy.dry_run => match self.resume(key, order, uploads, attempt).await? {
                Some(upload) => Ok(upload),
                None => self.begin_journaled(key, facts, order, uploads, attempt).await,
            },
            _ => self.begin(key, facts, order, attempt).await,
        }
    }

    /// Returns the journaled upload if it matches `order`, and aborts one that does not.
    async fn resume(
        &self,
        key: &ObjectKey,
        order: &CopyOrder,
        uploads: &UploadSupport<J>,
        attempt: &mut Attempt,
    ) -> Result<Option<Upload>, PassResult> {
        let Some(journaled) = uploads.journal.load(key).await.map_err(after_failure)? else {
            attempt.uploads.may_be_journaled = false;
            return Ok(None);
        };
        attempt.uploads.may_be_journaled = true;
        if let Some(entry) = journaled.entry {
            if !entry.fulfils(order) {
                self.abort(key, &entry.upload_id).await.map_err(after_failure)?;
            } else if let Some(listed) = self.listed(key, &entry.upload_id).await? {
                let planned: BTreeMap<u32, u64> =
                    entry.plan.parts().map(|part| (part.number, part.size_bytes)).collect();
                let fits = |part: &CopiedPart| planned.get(&part.number) == Some(&part.size_bytes);
                return Ok(Some(Upload {
                    terms: UploadParameters::new(order, &entry.plan),
                    copied: listed
                        .into_iter()
                        .filter(fits)
                        .map(|part| (part.number, part))
                        .collect(),
                    id: entry.upload_id,
                    plan: entry.plan,
                    journaled: Some(journaled.etag),
                }));
            } else {
                // The upload was completed concurrently, perhaps after this pass read the destination.
                self.remove_entry(key, &journaled.etag, uploads, attempt).await?;
                return Err(attempt.precondition_failed());
            }
        }
        self.remove_entry(key, &journaled.etag, uploads, attempt).await?;
        Ok(None)
    }

    async fn listed(&self, key: &ObjectKey, upload_id: &UploadId) -> Result<Option<Vec<CopiedPart>>, PassResult> {
        self.destination.list_parts(key, upload_id).await.map_err(after_failure)
    }

    async fn begin(
        &self,
        key: &ObjectKey,
        facts: &ObjectFacts,
        order: &CopyOrder,
        attempt: &mut Attempt,
    ) -> Result<Upload, PassResult> {
        let layout = self.source.layout(key, facts).await.map_err(after_failure)?;
        let plan = plan(facts.size_bytes, &layout, self.policy.part_size_bytes)
            .map_err(|error| PassResult::Ended(Outcome::Failed(unplannable(key, facts, error))))?;
        self.check_marker(key, order, &plan)?;
        if self.policy.dry_run {
            return Err(PassResult::Ended(Outcome::Withheld(WithheldWrite::MultipartCopy)));
        }
        let terms = UploadParameters::new(order, &plan);
        // The upload cannot be aborted until its id is known. If interrupted here, it may still be created.
        let was_orphaned = mem::replace(&mut attempt.uploads.may_be_orphaned, true);
        attempt.writes.under_way = true;
        let created = self.destination.create_upload(key, &terms).await;
        attempt.writes.under_way = false;
        attempt.writes.outcome_unknown |= matches!(created, Err(WriteError::OutcomeUnknown(_)));
        attempt.uploads.may_be_orphaned = was_orphaned
            || match &created {
                // Without a journal, a process that was killed before this one left no entry.
                Ok(_) => self.uploads.is_none(),
                Err(error) => is_passing(error),
            };
        let id = match created {
            Ok(id) => id,
            Err(WriteError::PreconditionFailed) => return Err(PassResult::ReadAgain),
            Err(WriteError::Failed(failure) | WriteError::OutcomeUnknown(failure)) => {
                return Err(after_failure(failure));
            }
        };
        attempt.uploads.unjournaled = Some(id.clone());
        Ok(Upload {
            id,
            plan,
            terms,
            copied: BTreeMap::new(),
            journaled: None,
        })
    }

    async fn begin_journaled(
        &self,
        key: &ObjectKey,
        facts: &ObjectFacts,
        order: &CopyOrder,
        uploads: &UploadSupport<J>,
        attempt: &mut Attempt,
    ) -> Result<Upload, PassResult> {
        let upload = self.begin(key, facts, order, attempt).await?;
        let entry = uploads.route.entry(key, upload.id.clone(), order, upload.plan.clone());
        attempt.uploads.may_be_journaled = true;
        // If interrupted here, the entry may still land.
        attempt.writes.under_way = true;
        let created = uploads.journal.create(key, &entry).await;
        attempt.writes.under_way = false;
        let pass = match created {
            Ok(Some(etag)) => {
                attempt.uploads.unjournaled = None;
                return Ok(Upload {
                    journaled: Some(etag),
                    ..upload
                });
            }
            // Another invocation journaled its upload first: the next pass resumes that one.
            Ok(None) | Err(WriteError::PreconditionFailed) => PassResult::ReadAgain,
            // An entry that lands late names an aborted upload: a later reconcile must read it again.
            Err(error) => attempt.write_failed(error),
        };
        let aborted = self.abort_unjournaled(key, attempt).await;
        Err(aborted.err().map_or(pass, after_failure))
    }

    /// Copies the missing parts, until all are copied or the time runs out.
    async fn copy_parts(
        &self,
        key: &ObjectKey,
        order: &CopyOrder,
        upload: &mut Upload,
        attempt: &mut Attempt,
    ) -> Progress {
        let stop_at = attempt
            .deadline
            .minus(RECORDING_RESERVE.min(attempt.deadline.since(self.clock.now()) / 4));
        let longest_ms = AtomicU64::new(0);
        let missing: Vec<PlannedPart> = upload
            .plan
            .parts()
            .filter(|part| !upload.copied.contains_key(&part.number))
            .collect();
        let total = missing.len();
        self.destination.parts_planned(key, &upload.plan, &upload.copied);
        let (id, pin, longest_ms) = (upload.id.clone(), &order.pin, &longest_ms);
        let id = &id;
        let failed = AtomicBool::new(false);
        let failed = &failed;
        // A part that would be interrupted is not begun: it would be copied twice.
        let may_begin = |_: &PlannedPart| {
            let left_ms = stop_at.since(self.clock.now()).as_millis();
            let has_time = left_ms > u128::from(longest_ms.load(Ordering::Relaxed));
            future::ready(has_time && !failed.load(Ordering::Relaxed))
        };
        let copies = stream::iter(missing)
            .take_while(may_begin)
            .map(|part| async move {
                let started = self.clock.now();
                let copied = self.destination.copy_part(key, id, pin, &part).await;
                let took = self.clock.now().since(started).as_millis();
                longest_ms.fetch_max(u64::try_from(took).unwrap_or(u64::MAX), Ordering::Relaxed);
                copied
            })
            .buffer_unordered(self.concurrent_parts.max(1));
        let mut copies = pin!(copies);
        let mut time_is_up = pin!(self.clock.sleep(stop_at.since(self.clock.now())));
        let (mut done, mut passing) = (0, None);
        loop {
            match future::select(copies.next(), time_is_up.as_mut()).await {
                Either::Left((Some(Ok(part)), _)) => {
                    done += 1;
                    attempt.writes.progress = true;
                    attempt.uploads.copied_parts = true;
                    upload.copied.insert(part.number, part);
                }
                // The upload will be resumed: wait for the parts in progress, or they would be copied twice.
                Either::Left((Some(Err(error)), _)) if is_passing(&error) => {
                    failed.store(true, Ordering::Relaxed);
                    passing = Some(error);
                }
                Either::Left((Some(Err(error)), _)) => return Progress::Failed(error),
                Either::Left((None, _)) if done == total => return Progress::AllCopied,
                Either::Left((None, _)) | Either::Right(_) => {
                    return passing.map_or(Progress::OutOfTime, Progress::Failed);
                }
            }
        }
    }

    async fn complete(
        &self,
        key: &ObjectKey,
        source: &ObjectState,
        order: &CopyOrder,
        upload: Upload,
        attempt: &mut Attempt,
    ) -> PassResult {
        let completion = UploadCompletion {
            parts: upload.copied.values().cloned().collect(),
            condition: order.condition.clone(),
            size_bytes: order.size_bytes,
            checksum: upload.terms.explicit.checksum,
        };
        attempt.writes.under_way = true;
        let answer = self.destination.complete_upload(key, &upload.id, &completion).await;
        attempt.writes.under_way = false;
        let written = match answer {
            Ok(written) => written,
            // After a conflict S3 requires a new upload.
            // <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html>
            Err(error @ WriteError::PreconditionFailed) => {
                let pass = attempt.conditional_write_failed(&order.condition, error);
                let dropped = self.drop_upload(key, &upload, attempt).await;
                return dropped.err().unwrap_or(pass);
            }
            Err(WriteError::Failed(failure)) => return self.part_failed(key, &upload, failure, attempt).await,
            Err(error @ WriteError::OutcomeUnknown(_)) => return attempt.write_failed(error),
        };
        attempt.writes.progress = true;
        attempt.uploads.unjournaled = None;
        attempt.not_preserved.clone_from(&upload.terms.not_preserved);
        let encryption = self.encryption_of_copy(source, attempt);
        self.note_not_preserved(source, None, encryption.as_ref(), attempt);
        if upload.plan.replays()
            && !matches!(upload.terms.explicit.encryption, Some(ExplicitEncryption::Kms(_)))
            && written.etag != order.pin.etag
        {
            attempt.not_preserved.insert(Attribute::Etag);
        }
        // The entry stays until all attributes are written, so that a crash does not prevent that.
        if let (Some(uploads), Some(journaled)) = (&self.uploads, &upload.journaled)
            && order.follow_up.is_empty()
            && let Err(pass) = self.remove_entry(key, journaled, uploads, attempt).await
        {
            return pass;
        }
        self.finish_copy_if_current(key, source, order, written, attempt).await
    }

    /// Reads the destination after a completion, and finishes the copy if it is the current version.
    ///
    /// S3 orders an upload by its start: an object that was written since then stays the current version.
    ///
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html>
    async fn finish_copy_if_current(
        &self,
        key: &ObjectKey,
        source: &ObjectState,
        order: &CopyOrder,
        written: WrittenObject,
        attempt: &mut Attempt,
    ) -> PassResult {
        if self.is_shared() {
            return attempt.copied(written, order);
        }
        match self.is_current(key, &written, attempt).await {
            Ok(true) => {}
            Ok(false) => return attempt.precondition_failed(),
            Err(pass) => return pass,
        }
        self.end_copy(key, source, order, written, attempt).await
    }

    /// Returns whether the destination's current object is the one that the upload wrote.
    async fn is_current(
        &self,
        key: &ObjectKey,
        written: &WrittenObject,
        attempt: &mut Attempt,
    ) -> Result<bool, PassResult> {
        let now = self
            .destination
            .read(key, &AttributeSet::new())
            .await
            .map_err(|failure| {
                attempt.attributes.extend(HIDDEN_IN_HEAD);
                after_failure(failure)
            })?;
        let is_written = |facts: &ObjectFacts| facts.version_id == written.version_id && facts.etag == written.etag;
        Ok(now.facts().is_some_and(is_written))
    }

    /// Aborts an upload and removes its journal entry.
    async fn drop_upload(&self, key: &ObjectKey, upload: &Upload, attempt: &mut Attempt) -> Result<(), PassResult> {
        self.abort(key, &upload.id).await.map_err(after_failure)?;
        attempt.uploads.unjournaled = None;
        if let (Some(uploads), Some(journaled)) = (&self.uploads, &upload.journaled) {
            self.remove_entry(key, journaled, uploads, attempt).await?;
        }
        Ok(())
    }

    /// Aborts an upload until it no longer exists: a part in progress may arrive after an abort.
    ///
    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_AbortMultipartUpload.html>
    pub(super) async fn abort(&self, key: &ObjectKey, upload_id: &UploadId) -> Result<(), Failure> {
        for _ in 0..MAX_ABORTS {
            self.destination.abort_upload(key, upload_id).await?;
            if self.destination.list_parts(key, upload_id).await?.is_none() {
                return Ok(());
            }
        }
        Err(Failure {
            kind: FailureKind::Retry,
            code: "UploadKeepsGrowing".into(),
            action: "s3:AbortMultipartUpload".to_owned(),
            resource: key.to_string(),
            detail: format!(
                "parts of upload {} still arrive after {MAX_ABORTS} aborts",
                upload_id.as_str()
            ),
        })
    }

    async fn remove_entry(
        &self,
        key: &ObjectKey,
        journaled: &ETag,
        uploads: &UploadSupport<J>,
        attempt: &mut Attempt,
    ) -> Result<(), PassResult> {
        uploads.journal.remove(key, journaled).await.map_err(after_failure)?;
        attempt.uploads.may_be_journaled = false;
        Ok(())
    }

    /// Aborts uploads of earlier passes or invocations that will not be resumed.
    pub(super) async fn abort_unused_uploads(
        &self,
        key: &ObjectKey,
        outcome: Outcome,
        attempt: &mut Attempt,
    ) -> PassResult {
        if let Err(failure) = self.abort_unjournaled(key, attempt).await {
            return after_failure(failure);
        }
        let is_resumed = match &outcome {
            Outcome::Deferred(_) | Outcome::Withheld(_) => true,
            Outcome::Failed(failure) => failure.kind.is_passing(),
            Outcome::Copied { .. } | Outcome::AttributesUpdated { .. } | Outcome::Deleted | Outcome::Skipped(_) => {
                false
            }
        };
        if is_resumed || self.policy.dry_run {
            return PassResult::Ended(outcome);
        }
        if let Some(uploads) = self.uploads.as_ref().filter(|_| attempt.uploads.may_be_journaled)
            && let Err(pass) = self.abort_journaled(key, uploads, attempt).await
        {
            return pass;
        }
        self.end_without_orphaned_uploads(key, outcome, attempt).await
    }

    async fn abort_journaled(
        &self,
        key: &ObjectKey,
        uploads: &UploadSupport<J>,
        attempt: &mut Attempt,
    ) -> Result<(), PassResult> {
        let Some(journaled) = uploads.journal.load(key).await.map_err(after_failure)? else {
            attempt.uploads.may_be_journaled = false;
            return Ok(());
        };
        if let Some(entry) = &journaled.entry {
            self.abort(key, &entry.upload_id).await.map_err(after_failure)?;
        }
        self.remove_entry(key, &journaled.etag, uploads, attempt).await
    }
}

/// Returns whether a write may succeed if it is repeated.
fn is_passing(error: &WriteError) -> bool {
    match error {
        WriteError::PreconditionFailed => false,
        WriteError::Failed(failure) | WriteError::OutcomeUnknown(failure) => failure.kind.is_passing(),
    }
}

fn needs_journal(key: &ObjectKey, order: &CopyOrder) -> Failure {
    Failure {
        kind: FailureKind::Configuration,
        code: FailureCode::StateBucketRequired,
        action: "s3:UploadPartCopy".to_owned(),
        resource: key.to_string(),
        detail: format!(
            "{} bytes were not copied within one invocation, and without a state bucket the next one would start \
             again: set STATE_BUCKET (--state-bucket)",
            order.size_bytes
        ),
    }
}

fn unplannable(key: &ObjectKey, facts: &ObjectFacts, error: PlanError) -> Failure {
    match error {
        PlanError::TooLarge { size_bytes } => refused(key, &CopyRefusal::TooLarge { size_bytes }),
        PlanError::Empty => Failure {
            kind: FailureKind::Bug,
            code: "EmptyPlan".into(),
            action: "plan".to_owned(),
            resource: key.to_string(),
            detail: format!("{error}; the object has {} bytes", facts.size_bytes),
        },
    }
}
