//! Copies in parts, which may outlive the invocation that began them.

use std::collections::BTreeMap;
use std::mem;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures::future::{self, Either};
use futures::{StreamExt as _, stream};
use s3ferry_core::decide::Refusal;
use s3ferry_core::facts::{Aspect, Aspects, HIDDEN_IN_HEAD, ObjectFacts, ObjectState, StatedEncryption};
use s3ferry_core::failure::{Failure, FailureKind};
use s3ferry_core::names::{ETag, ObjectKey};
use s3ferry_core::order::{CopyOrder, UploadTerms};
use s3ferry_core::outcome::{AgainReason, Outcome};
use s3ferry_core::plan::{CopyPlan, Part, PlanError, plan};
use s3ferry_core::upload::UploadId;

use super::attempt::{Attempt, Turn, after_failure};
use super::{Reconciler, Uploads, refused};
use crate::ports::{Clock, Completion, CopiedPart, DestinationBucket, SourceBucket, StateStore, WriteError, Written};

/// What is kept of an invocation for putting down what came of the parts, but never more than a quarter of what is left
/// of it: parts must be copied in a short one, too.
const FOR_THE_END: Duration = Duration::from_secs(5);

/// How often an upload is aborted whose parts keep arriving.
const MOST_ABORTS: u32 = 5;

/// An upload that this invocation works on.
struct Upload {
    id: UploadId,
    plan: CopyPlan,
    terms: UploadTerms,
    /// The parts that are at the destination.
    copied: BTreeMap<u32, CopiedPart>,
    /// The tag of its journal entry, where there is a journal.
    filed: Option<ETag>,
}

/// How far the parts of an upload came.
enum Progress {
    AllCopied,
    OutOfTime,
    Failed(WriteError),
}

impl<S: SourceBucket, D: DestinationBucket, C: Clock, J: StateStore> Reconciler<S, D, C, J> {
    pub(super) async fn copy_in_parts(
        &self,
        key: &ObjectKey,
        source: &ObjectState,
        order: &CopyOrder,
        attempt: &mut Attempt,
    ) -> Turn {
        let Some(facts) = source.facts() else {
            return Turn::ReadAgain;
        };
        let mut upload = match self.open(key, facts, order, attempt).await {
            Ok(upload) => upload,
            Err(turn) => return turn,
        };
        match self.copy_parts(key, order, &mut upload, attempt).await {
            Progress::AllCopied => self.complete(key, source, order, upload, attempt).await,
            Progress::OutOfTime if upload.filed.is_some() => Turn::Ended(Outcome::Again(AgainReason::Deadline)),
            Progress::OutOfTime => {
                let failed = Turn::Ended(Outcome::Failed(needs_journal(key, order)));
                self.drop_upload(key, &upload, attempt).await.err().unwrap_or(failed)
            }
            // Somebody else completed or aborted it, or the source moved on.
            Progress::Failed(WriteError::WorldMoved) => {
                let dropped = self.drop_upload(key, &upload, attempt).await;
                dropped.err().unwrap_or_else(|| attempt.world_moved())
            }
            Progress::Failed(WriteError::Failed(failure) | WriteError::OutcomeUnknown(failure)) => {
                self.part_failed(key, &upload, failure, attempt).await
            }
        }
    }

    /// Leaves what will be resumed, and nothing else.
    async fn part_failed(&self, key: &ObjectKey, upload: &Upload, failure: Failure, attempt: &mut Attempt) -> Turn {
        let turn = after_failure(failure);
        let is_resumed = matches!(turn, Turn::ReadLater(_)) && upload.filed.is_some();
        if is_resumed {
            return turn;
        }
        attempt.went_further = false;
        self.drop_upload(key, upload, attempt).await.err().unwrap_or(turn)
    }

    /// Goes on with the upload that the journal names, or begins one and writes it down.
    async fn open(
        &self,
        key: &ObjectKey,
        facts: &ObjectFacts,
        order: &CopyOrder,
        attempt: &mut Attempt,
    ) -> Result<Upload, Turn> {
        self.abort_unfiled(key, attempt).await.map_err(after_failure)?;
        match &self.uploads {
            Some(uploads) => match self.resume(key, order, uploads, attempt).await? {
                Some(upload) => Ok(upload),
                None => self.begin_filed(key, facts, order, uploads, attempt).await,
            },
            None => self.begin(key, facts, order, attempt).await,
        }
    }

    /// Finds the upload of an earlier invocation that does what `order` asks for, and puts away one that does not.
    async fn resume(
        &self,
        key: &ObjectKey,
        order: &CopyOrder,
        uploads: &Uploads<J>,
        attempt: &mut Attempt,
    ) -> Result<Option<Upload>, Turn> {
        let Some(filed) = uploads.journal.load(key).await.map_err(after_failure)? else {
            attempt.may_be_filed = false;
            return Ok(None);
        };
        attempt.may_be_filed = true;
        if let Some(entry) = filed.entry {
            if !entry.fulfils(order) {
                self.abort(key, &entry.upload_id).await.map_err(after_failure)?;
            } else if let Some(listed) = self.listed(key, &entry.upload_id).await? {
                let planned: BTreeMap<u32, u64> =
                    entry.plan.parts().map(|part| (part.number, part.size_bytes)).collect();
                let fits = |part: &CopiedPart| planned.get(&part.number) == Some(&part.size_bytes);
                return Ok(Some(Upload {
                    terms: UploadTerms::new(order, &entry.plan),
                    copied: listed
                        .into_iter()
                        .filter(fits)
                        .map(|part| (part.number, part))
                        .collect(),
                    id: entry.upload_id,
                    plan: entry.plan,
                    filed: Some(filed.etag),
                }));
            } else {
                // Completed by somebody else, perhaps after this turn's reading.
                self.forget(key, &filed.etag, uploads, attempt).await?;
                return Err(attempt.world_moved());
            }
        }
        self.forget(key, &filed.etag, uploads, attempt).await?;
        Ok(None)
    }

    async fn listed(&self, key: &ObjectKey, upload_id: &UploadId) -> Result<Option<Vec<CopiedPart>>, Turn> {
        self.destination.list_parts(key, upload_id).await.map_err(after_failure)
    }

    async fn begin(
        &self,
        key: &ObjectKey,
        facts: &ObjectFacts,
        order: &CopyOrder,
        attempt: &mut Attempt,
    ) -> Result<Upload, Turn> {
        let layout = self.source.layout(key, facts).await.map_err(after_failure)?;
        let plan = plan(facts.size_bytes, &layout, self.policy.part_size_bytes)
            .map_err(|error| Turn::Ended(Outcome::Failed(unplannable(key, facts, error))))?;
        self.marker_holds(key, order, &plan)?;
        let terms = UploadTerms::new(order, &plan);
        // Until its id is known, nobody could abort it; cut off here, it may still be begun.
        let was_unnamed = mem::replace(&mut attempt.may_be_unnamed, true);
        attempt.write_under_way = true;
        let created = self.destination.create_upload(key, &terms).await;
        attempt.write_under_way = false;
        attempt.outcome_unknown |= matches!(created, Err(WriteError::OutcomeUnknown(_)));
        attempt.may_be_unnamed = was_unnamed
            || match &created {
                // Without a journal, a process that was killed before this one wrote nothing down.
                Ok(_) => self.uploads.is_none(),
                Err(error) => is_passing(error),
            };
        let id = match created {
            Ok(id) => id,
            Err(WriteError::WorldMoved) => return Err(Turn::ReadAgain),
            Err(WriteError::Failed(failure) | WriteError::OutcomeUnknown(failure)) => {
                return Err(after_failure(failure));
            }
        };
        attempt.unfiled = Some(id.clone());
        Ok(Upload {
            id,
            plan,
            terms,
            copied: BTreeMap::new(),
            filed: None,
        })
    }

    async fn begin_filed(
        &self,
        key: &ObjectKey,
        facts: &ObjectFacts,
        order: &CopyOrder,
        uploads: &Uploads<J>,
        attempt: &mut Attempt,
    ) -> Result<Upload, Turn> {
        let upload = self.begin(key, facts, order, attempt).await?;
        let entry = uploads.route.entry(key, upload.id.clone(), order, upload.plan.clone());
        attempt.may_be_filed = true;
        // Cut off here, the entry may still land.
        attempt.write_under_way = true;
        let created = uploads.journal.create(key, &entry).await;
        attempt.write_under_way = false;
        let turn = match created {
            Ok(Some(etag)) => {
                attempt.unfiled = None;
                return Ok(Upload {
                    filed: Some(etag),
                    ..upload
                });
            }
            // Somebody else was faster: the next turn goes on with theirs.
            Ok(None) | Err(WriteError::WorldMoved) => Turn::ReadAgain,
            // An entry that lands late names an upload that is gone by then: somebody must look once more.
            Err(error) => attempt.write_failed(error),
        };
        let aborted = self.abort_unfiled(key, attempt).await;
        Err(aborted.err().map_or(turn, after_failure))
    }

    /// Copies the parts that are missing, until all are there or it is time to stop.
    async fn copy_parts(
        &self,
        key: &ObjectKey,
        order: &CopyOrder,
        upload: &mut Upload,
        attempt: &mut Attempt,
    ) -> Progress {
        let stop_at = attempt
            .deadline
            .minus(FOR_THE_END.min(attempt.deadline.since(self.clock.now()) / 4));
        let longest_ms = AtomicU64::new(0);
        let missing: Vec<Part> = upload
            .plan
            .parts()
            .filter(|part| !upload.copied.contains_key(&part.number))
            .collect();
        let total = missing.len();
        self.destination.parts_follow(key, &upload.plan, &upload.copied);
        let (id, pin, longest_ms) = (upload.id.clone(), &order.pin, &longest_ms);
        let id = &id;
        let failed = AtomicBool::new(false);
        let failed = &failed;
        // A part that would be cut off is not begun: it would be copied twice.
        let goes_on = |_: &Part| {
            let left_ms = stop_at.since(self.clock.now()).as_millis();
            let has_time = left_ms > u128::from(longest_ms.load(Ordering::Relaxed));
            future::ready(has_time && !failed.load(Ordering::Relaxed))
        };
        let copies = stream::iter(missing)
            .take_while(goes_on)
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
                    attempt.progress = true;
                    attempt.went_further = true;
                    upload.copied.insert(part.number, part);
                }
                // What will be resumed waits for the parts that are under way, or they would be copied twice.
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
    ) -> Turn {
        let completion = Completion {
            parts: upload.copied.values().cloned().collect(),
            condition: order.condition.clone(),
            size_bytes: order.size_bytes,
            checksum: upload.terms.stated.checksum,
        };
        attempt.write_under_way = true;
        let answer = self.destination.complete_upload(key, &upload.id, &completion).await;
        attempt.write_under_way = false;
        let written = match answer {
            Ok(written) => written,
            // After a conflict S3 wants the upload begun anew.
            // <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html>
            Err(error @ WriteError::WorldMoved) => {
                let turn = attempt.conditional_write_failed(&order.condition, error);
                let dropped = self.drop_upload(key, &upload, attempt).await;
                return dropped.err().unwrap_or(turn);
            }
            Err(WriteError::Failed(failure)) => return self.part_failed(key, &upload, failure, attempt).await,
            Err(error @ WriteError::OutcomeUnknown(_)) => return attempt.write_failed(error),
        };
        attempt.progress = true;
        attempt.unfiled = None;
        attempt.lost.clone_from(&upload.terms.lost);
        let encryption = self.encryption_of_copy(source, attempt);
        self.note_lost(source, None, encryption.as_ref(), attempt);
        if upload.plan.replays()
            && !matches!(upload.terms.stated.encryption, Some(StatedEncryption::Kms(_)))
            && written.etag != order.pin.etag
        {
            attempt.lost.insert(Aspect::Etag);
        }
        // What the copy still lacks must survive a crash: the entry stays until that is written.
        if let (Some(uploads), Some(filed)) = (&self.uploads, &upload.filed)
            && order.follow_up.is_empty()
            && let Err(turn) = self.forget(key, filed, uploads, attempt).await
        {
            return turn;
        }
        self.settle_upload(key, source, order, written, attempt).await
    }

    /// Reads the destination after a completion: an upload counts from its start, so what was written since then stays
    /// the current version. Then it is settled like any copy.
    ///
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html>
    async fn settle_upload(
        &self,
        key: &ObjectKey,
        source: &ObjectState,
        order: &CopyOrder,
        written: Written,
        attempt: &mut Attempt,
    ) -> Turn {
        if self.is_shared() {
            return attempt.copied(written, order);
        }
        match self.is_current(key, &written, attempt).await {
            Ok(true) => {}
            Ok(false) => return attempt.world_moved(),
            Err(turn) => return turn,
        }
        self.end_copy(key, source, order, written, attempt).await
    }

    /// Tells whether the destination's current object is what an upload became.
    async fn is_current(&self, key: &ObjectKey, written: &Written, attempt: &mut Attempt) -> Result<bool, Turn> {
        let now = self.destination.read(key, &Aspects::new()).await.map_err(|failure| {
            attempt.aspects.extend(HIDDEN_IN_HEAD);
            after_failure(failure)
        })?;
        let is_written = |facts: &ObjectFacts| facts.version_id == written.version_id && facts.etag == written.etag;
        Ok(now.facts().is_some_and(is_written))
    }

    /// Aborts an upload and removes its entry.
    async fn drop_upload(&self, key: &ObjectKey, upload: &Upload, attempt: &mut Attempt) -> Result<(), Turn> {
        self.abort(key, &upload.id).await.map_err(after_failure)?;
        attempt.unfiled = None;
        if let (Some(uploads), Some(filed)) = (&self.uploads, &upload.filed) {
            self.forget(key, filed, uploads, attempt).await?;
        }
        Ok(())
    }

    /// Aborts an upload until nothing is left of it: a part that was under way may arrive after an abort.
    ///
    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_AbortMultipartUpload.html>
    pub(super) async fn abort(&self, key: &ObjectKey, upload_id: &UploadId) -> Result<(), Failure> {
        for _ in 0..MOST_ABORTS {
            self.destination.abort_upload(key, upload_id).await?;
            if self.destination.list_parts(key, upload_id).await?.is_none() {
                return Ok(());
            }
        }
        Err(Failure {
            kind: FailureKind::Retry,
            code: "UploadKeepsGrowing".to_owned(),
            action: "s3:AbortMultipartUpload".to_owned(),
            resource: key.to_string(),
            detail: format!(
                "parts of upload {} still arrive after {MOST_ABORTS} aborts",
                upload_id.as_str()
            ),
        })
    }

    async fn forget(
        &self,
        key: &ObjectKey,
        filed: &ETag,
        uploads: &Uploads<J>,
        attempt: &mut Attempt,
    ) -> Result<(), Turn> {
        uploads.journal.remove(key, filed).await.map_err(after_failure)?;
        attempt.may_be_filed = false;
        Ok(())
    }

    /// Puts away what an earlier turn or invocation left of a copy in parts that will not be resumed.
    pub(super) async fn tidy(&self, key: &ObjectKey, outcome: Outcome, attempt: &mut Attempt) -> Turn {
        if let Err(failure) = self.abort_unfiled(key, attempt).await {
            return after_failure(failure);
        }
        let is_resumed = match &outcome {
            Outcome::Again(_) => true,
            Outcome::Failed(failure) => failure.kind.is_passing(),
            Outcome::Copied { .. } | Outcome::Amended { .. } | Outcome::Deleted | Outcome::Skipped(_) => false,
        };
        if is_resumed {
            return Turn::Ended(outcome);
        }
        if let Some(uploads) = self.uploads.as_ref().filter(|_| attempt.may_be_filed)
            && let Err(turn) = self.put_away(key, uploads, attempt).await
        {
            return turn;
        }
        self.end_without_unnamed(key, outcome, attempt).await
    }

    async fn put_away(&self, key: &ObjectKey, uploads: &Uploads<J>, attempt: &mut Attempt) -> Result<(), Turn> {
        let Some(filed) = uploads.journal.load(key).await.map_err(after_failure)? else {
            attempt.may_be_filed = false;
            return Ok(());
        };
        if let Some(entry) = &filed.entry {
            self.abort(key, &entry.upload_id).await.map_err(after_failure)?;
        }
        self.forget(key, &filed.etag, uploads, attempt).await
    }
}

/// Tells whether a write may succeed when it is tried again.
fn is_passing(error: &WriteError) -> bool {
    match error {
        WriteError::WorldMoved => false,
        WriteError::Failed(failure) | WriteError::OutcomeUnknown(failure) => failure.kind.is_passing(),
    }
}

fn needs_journal(key: &ObjectKey, order: &CopyOrder) -> Failure {
    Failure {
        kind: FailureKind::Configuration,
        code: "StateBucketRequired".to_owned(),
        action: "s3:UploadPartCopy".to_owned(),
        resource: key.to_string(),
        detail: format!(
            "the {} bytes could not be copied within one invocation, and without a state bucket the next one would begin \
             anew: set STATE_BUCKET (--state-bucket)",
            order.size_bytes
        ),
    }
}

fn unplannable(key: &ObjectKey, facts: &ObjectFacts, error: PlanError) -> Failure {
    match error {
        PlanError::TooLarge { size_bytes } => refused(key, &Refusal::TooLarge { size_bytes }),
        PlanError::Empty => Failure {
            kind: FailureKind::Bug,
            code: "EmptyPlan".to_owned(),
            action: "plan".to_owned(),
            resource: key.to_string(),
            detail: format!("{error}, and this one has {} bytes", facts.size_bytes),
        },
    }
}
