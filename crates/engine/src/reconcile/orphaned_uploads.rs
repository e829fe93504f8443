//! Orphaned uploads: s3ferry created them, and no journal entry names them.
//!
//! The response to their creation was lost, or the invocation ended before it wrote the journal entry.

use s3ferry_core::failure::{Failure, FailureCode, FailureKind};
use s3ferry_core::names::ObjectKey;
use s3ferry_core::order::UploadParameters;
use s3ferry_core::outcome::Outcome;
use s3ferry_core::upload::{FORGOTTEN_AFTER, ListedUpload, UploadId, same_initiator};

use super::Reconciler;
use super::attempt::{Attempt, PassResult, after_failure};
use crate::ports::{Clock, DestinationBucket, SourceBucket, StateStore, WriteError};

/// Uploads that may be orphaned, and a sample that identifies s3ferry as the initiator.
struct Search {
    suspects: Vec<UploadId>,
    /// An upload that was created for the search: its initiator is this s3ferry.
    sample: UploadId,
}

impl<S: SourceBucket, D: DestinationBucket, C: Clock, J: StateStore> Reconciler<S, D, C, J> {
    /// Aborts the unjournaled upload of this invocation, if there is one.
    pub(super) async fn abort_unjournaled(&self, key: &ObjectKey, attempt: &mut Attempt) -> Result<(), Failure> {
        if let Some(id) = &attempt.uploads.unjournaled {
            self.abort(key, id).await?;
            attempt.uploads.unjournaled = None;
        }
        Ok(())
    }

    /// Aborts orphaned uploads of the key if there may be any, and ends with `outcome`.
    pub(super) async fn end_without_orphaned_uploads(
        &self,
        key: &ObjectKey,
        outcome: Outcome,
        attempt: &mut Attempt,
    ) -> PassResult {
        if !attempt.uploads.may_be_orphaned {
            return PassResult::Ended(outcome);
        }
        // If the reconcile is interrupted here, the sample may remain.
        attempt.writes.under_way = true;
        let ended = self.abort_orphaned_uploads(key).await;
        attempt.writes.under_way = false;
        match ended {
            Ok(()) => {
                attempt.uploads.may_be_orphaned = false;
                PassResult::Ended(outcome)
            }
            Err(WriteError::PreconditionFailed) => PassResult::ReadAgain,
            Err(WriteError::Failed(failure)) => after_failure(failure),
            Err(WriteError::OutcomeUnknown(failure)) => {
                attempt.writes.outcome_unknown = true;
                after_failure(failure)
            }
        }
    }

    /// Aborts the uploads of a key that s3ferry created and that the journal does not name.
    ///
    /// Uploads without parts are aborted: an invocation that was about to journal one creates another.
    /// An upload with parts may belong to a process without a journal, and is aborted only if it is old.
    async fn abort_orphaned_uploads(&self, key: &ObjectKey) -> Result<(), WriteError> {
        let search = match self.begin_search(key).await {
            Ok(Some(search)) => search,
            Ok(None) => return Ok(()),
            // A retry would not help, and the key itself is done.
            Err(WriteError::Failed(failure)) if failure.code == FailureCode::AccessDenied => {
                tracing::warn!(s3.key = %key, %failure, "orphaned uploads may remain: a lifecycle rule can abort them");
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let aborted = self.abort_like(key, &search).await;
        self.abort(key, &search.sample).await.map_err(WriteError::Failed)?;
        aborted.map_err(WriteError::Failed)
    }

    /// Lists the unjournaled uploads of a key. If there are any, creates a sample upload to learn s3ferry's initiator.
    ///
    /// The format of the initiator is documented for users only, not for roles.
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

    /// Aborts the suspects that have the initiator of the sample, unless they have parts and are recent.
    async fn abort_like(&self, key: &ObjectKey, search: &Search) -> Result<(), Failure> {
        let listed = self.destination.list_uploads(key).await?;
        let sample = listed.iter().find(|upload| upload.id == search.sample);
        let sample = sample.ok_or_else(|| not_listed(key, &search.sample))?;
        if sample.initiator.is_none() {
            tracing::warn!(s3.key = %key, "orphaned uploads may remain: the bucket does not return initiators");
        }
        let forgotten = self.clock.now().minus(FORGOTTEN_AFTER);
        let own = same_initiator(sample, &listed).filter(|upload| search.suspects.contains(&upload.id));
        for ListedUpload { id, begun, .. } in own {
            let parts = self.destination.list_parts(key, id).await?;
            if parts.is_some_and(|parts| parts.is_empty() || *begun < forgotten) {
                tracing::info!(s3.key = %key, s3.upload_id = id.as_str(), "aborting an orphaned upload");
                self.abort(key, id).await?;
            }
        }
        Ok(())
    }
}

/// Returns the failure for a sample that is not listed: a concurrent search aborted it as an orphaned upload.
fn not_listed(key: &ObjectKey, sample: &UploadId) -> Failure {
    Failure {
        kind: FailureKind::Retry,
        code: "UploadNotListed".into(),
        action: "s3:ListBucketMultipartUploads".to_owned(),
        resource: key.to_string(),
        detail: format!("upload {} was just created and is not listed", sample.as_str()),
    }
}
