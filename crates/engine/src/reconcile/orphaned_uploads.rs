//! Uploads that nobody will go on with: begun by a request of ours whose answer was lost, or by an invocation that ended
//! before it wrote them down.

use s3ferry_core::failure::{Failure, FailureKind};
use s3ferry_core::names::ObjectKey;
use s3ferry_core::order::UploadParameters;
use s3ferry_core::outcome::Outcome;
use s3ferry_core::upload::{FORGOTTEN_AFTER, ListedUpload, UploadId, same_initiator};

use super::Reconciler;
use super::attempt::{Attempt, PassResult, after_failure};
use crate::ports::{Clock, DestinationBucket, SourceBucket, StateStore, WriteError};

/// Uploads that may have been left, and what tells whose they are.
struct Search {
    suspects: Vec<UploadId>,
    /// An upload that was begun for this: whoever its initiator is, it is we.
    sample: UploadId,
}

impl<S: SourceBucket, D: DestinationBucket, C: Clock, J: StateStore> Reconciler<S, D, C, J> {
    /// Aborts the upload that this invocation began and no journal names, if it is still there.
    pub(super) async fn abort_unjournaled(&self, key: &ObjectKey, attempt: &mut Attempt) -> Result<(), Failure> {
        if let Some(id) = &attempt.unjournaled {
            self.abort(key, id).await?;
            attempt.unjournaled = None;
        }
        Ok(())
    }

    /// Ends with `outcome` once no upload of ours is left that may have been begun without anybody's knowledge.
    pub(super) async fn end_without_orphaned_uploads(
        &self,
        key: &ObjectKey,
        outcome: Outcome,
        attempt: &mut Attempt,
    ) -> PassResult {
        if !attempt.may_be_orphaned {
            return PassResult::Ended(outcome);
        }
        // Cut off here, the sample may be left.
        attempt.write_under_way = true;
        let ended = self.abort_orphaned_uploads(key).await;
        attempt.write_under_way = false;
        match ended {
            Ok(()) => {
                attempt.may_be_orphaned = false;
                PassResult::Ended(outcome)
            }
            Err(WriteError::PreconditionFailed) => PassResult::ReadAgain,
            Err(WriteError::Failed(failure)) => after_failure(failure),
            Err(WriteError::OutcomeUnknown(failure)) => {
                attempt.outcome_unknown = true;
                after_failure(failure)
            }
        }
    }

    /// Aborts the uploads of a key that we began and that the journal does not name, if they have no parts: whoever was
    /// about to write one of them down begins anew. One with parts may belong to a process that works without a journal,
    /// unless it is old.
    async fn abort_orphaned_uploads(&self, key: &ObjectKey) -> Result<(), WriteError> {
        let search = match self.begin_search(key).await {
            Ok(Some(search)) => search,
            Ok(None) => return Ok(()),
            // Nothing that comes again would mend it, and the key itself is done.
            Err(WriteError::Failed(failure)) if failure.code == "AccessDenied" => {
                tracing::warn!(s3.key = %key, %failure, "uploads may be left: the bucket's lifecycle drops them");
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let aborted = self.abort_like(key, &search).await;
        self.abort(key, &search.sample).await.map_err(WriteError::Failed)?;
        aborted.map_err(WriteError::Failed)
    }

    /// Lists the uploads of a key that the journal does not name, and begins another one where there are any: how the
    /// bucket spells who we are is documented for users only, not for roles.
    ///
    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_Initiator.html>
    async fn begin_search(&self, key: &ObjectKey) -> Result<Option<Search>, WriteError> {
        let suspects = self.orphaned_uploads(key).await.map_err(WriteError::Failed)?;
        if suspects.is_empty() {
            return Ok(None);
        }
        let terms = UploadParameters::plain(self.policy.destination_encryption.clone());
        let sample = self.destination.create_upload(key, &terms).await?;
        Ok(Some(Search { suspects, sample }))
    }

    async fn orphaned_uploads(&self, key: &ObjectKey) -> Result<Vec<UploadId>, Failure> {
        let listed = self.destination.list_uploads(key).await?;
        let mut ids: Vec<UploadId> = listed.into_iter().map(|upload| upload.id).collect();
        if ids.is_empty() {
            return Ok(ids);
        }
        if let Some(uploads) = &self.uploads {
            let journaled = uploads.journal.load(key).await?;
            let named = journaled
                .and_then(|journaled| journaled.entry)
                .map(|entry| entry.upload_id);
            ids.retain(|id| Some(id) != named.as_ref());
        }
        Ok(ids)
    }

    /// Aborts those of the suspects that we began, unless they have parts and are young.
    async fn abort_like(&self, key: &ObjectKey, search: &Search) -> Result<(), Failure> {
        let listed = self.destination.list_uploads(key).await?;
        let sample = listed.iter().find(|upload| upload.id == search.sample);
        let sample = sample.ok_or_else(|| not_listed(key, &search.sample))?;
        if sample.initiator.is_none() {
            tracing::warn!(s3.key = %key, "uploads may be left: the bucket does not say who began them");
        }
        let forgotten = self.clock.now().minus(FORGOTTEN_AFTER);
        let ours = same_initiator(sample, &listed).filter(|upload| search.suspects.contains(&upload.id));
        for ListedUpload { id, begun, .. } in ours {
            let parts = self.destination.list_parts(key, id).await?;
            if parts.is_some_and(|parts| parts.is_empty() || *begun < forgotten) {
                tracing::info!(s3.key = %key, s3.upload_id = id.as_str(), "aborts an upload that nobody wrote down");
                self.abort(key, id).await?;
            }
        }
        Ok(())
    }
}

/// Somebody else who searches took the sample for one that is left.
fn not_listed(key: &ObjectKey, sample: &UploadId) -> Failure {
    Failure {
        kind: FailureKind::Retry,
        code: "UploadNotListed".to_owned(),
        action: "s3:ListBucketMultipartUploads".to_owned(),
        resource: key.to_string(),
        detail: format!("upload {} was just begun, and is not listed", sample.as_str()),
    }
}
