//! Uploads that nobody will go on with: begun by a request of ours whose answer was lost, or by an invocation that ended
//! before it wrote them down.

use s3ferry_core::failure::Failure;
use s3ferry_core::names::ObjectKey;
use s3ferry_core::order::UploadTerms;
use s3ferry_core::outcome::Outcome;
use s3ferry_core::upload::{FORGOTTEN_AFTER, ListedUpload, UploadId, begun_with};

use super::Reconciler;
use super::attempt::{Attempt, Turn, after_failure};
use crate::ports::{Clock, DestinationBucket, SourceBucket, StateStore, WriteError};

impl<S: SourceBucket, D: DestinationBucket, C: Clock, J: StateStore> Reconciler<S, D, C, J> {
    /// Aborts the upload that this invocation began and no journal names, if it is still there.
    pub(super) async fn abort_unfiled(&self, key: &ObjectKey, attempt: &mut Attempt) -> Result<(), Failure> {
        if let Some(id) = &attempt.unfiled {
            self.abort(key, id).await?;
            attempt.unfiled = None;
        }
        Ok(())
    }

    /// Ends with `outcome` once no upload of ours is left that may have been begun without anybody's knowledge.
    pub(super) async fn end_without_unnamed(&self, key: &ObjectKey, outcome: Outcome, attempt: &mut Attempt) -> Turn {
        if !attempt.may_be_unnamed {
            return Turn::Ended(outcome);
        }
        // Cut off here, an upload that was begun for comparison may be left.
        attempt.write_under_way = true;
        let searched = self.abort_unnamed(key).await;
        attempt.write_under_way = false;
        let failure = match searched {
            Ok(()) => {
                attempt.may_be_unnamed = false;
                return Turn::Ended(outcome);
            }
            Err(WriteError::WorldMoved) => return Turn::ReadAgain,
            Err(WriteError::Failed(failure)) => failure,
            Err(WriteError::OutcomeUnknown(failure)) => {
                attempt.outcome_unknown = true;
                failure
            }
        };
        if failure.code != "AccessDenied" {
            return after_failure(failure);
        }
        // Nothing that comes again would mend it, and the key itself is done.
        tracing::warn!(s3.key = %key, %failure, "uploads without parts may be left: the bucket's lifecycle drops them");
        Turn::Ended(outcome)
    }

    /// Aborts the uploads of a key that we began and that the journal does not name, if they have no parts: whoever was
    /// about to write one of them down begins anew. One with parts may belong to a process that works without a journal,
    /// unless it is old.
    ///
    /// How the bucket spells who we are is documented for users only, not for roles; so an upload that is begun here, and
    /// aborted, tells it.
    ///
    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_Initiator.html>
    async fn abort_unnamed(&self, key: &ObjectKey) -> Result<(), WriteError> {
        let suspects = self.unnamed(key).await?;
        if suspects.is_empty() {
            return Ok(());
        }
        let sample = self.destination.create_upload(key, &UploadTerms::plain()).await?;
        let aborted = self.abort_like(key, &suspects, &sample).await;
        self.abort(key, &sample).await.map_err(WriteError::Failed)?;
        aborted
    }

    /// Lists the uploads of a key that the journal does not name.
    async fn unnamed(&self, key: &ObjectKey) -> Result<Vec<UploadId>, WriteError> {
        let listed = self.destination.list_uploads(key).await.map_err(WriteError::Failed)?;
        let mut ids: Vec<UploadId> = listed.into_iter().map(|upload| upload.id).collect();
        if ids.is_empty() {
            return Ok(ids);
        }
        if let Some(uploads) = &self.uploads {
            let filed = uploads.journal.load(key).await.map_err(WriteError::Failed)?;
            let named = filed.and_then(|filed| filed.entry).map(|entry| entry.upload_id);
            ids.retain(|id| Some(id) != named.as_ref());
        }
        Ok(ids)
    }

    /// Aborts those of the uploads that whoever began `sample` began, unless they have parts and are young.
    async fn abort_like(&self, key: &ObjectKey, suspects: &[UploadId], sample: &UploadId) -> Result<(), WriteError> {
        let listed = self.destination.list_uploads(key).await.map_err(WriteError::Failed)?;
        let Some(ours) = begun_with(sample, &listed) else {
            // Somebody else who looks for uploads took it for one that is left.
            return Err(WriteError::WorldMoved);
        };
        let forgotten = self.clock.now().minus(FORGOTTEN_AFTER);
        for ListedUpload { id, begun, .. } in ours.filter(|upload| suspects.contains(&upload.id)) {
            let parts = self.destination.list_parts(key, id).await.map_err(WriteError::Failed)?;
            if parts.is_some_and(|parts| parts.is_empty() || *begun < forgotten) {
                tracing::info!(s3.key = %key, s3.upload_id = id.as_str(), "aborts an upload that nobody wrote down");
                self.abort(key, id).await.map_err(WriteError::Failed)?;
            }
        }
        Ok(())
    }
}
