//! The optimistic pass: copies an object that only the source lists before it reads either side.

use std::time::Duration;

use s3ferry_core::decide::{CopyConfirmation, CopyEvidence, Decision, OptimisticCopy};
use s3ferry_core::facts::{HIDDEN_IN_HEAD, ObjectState};
use s3ferry_core::names::ObjectKey;
use s3ferry_core::order::{CopyOrder, SourcePin};
use s3ferry_core::outcome::Outcome;

use super::Reconciler;
use super::attempt::{Attempt, PassResult, after_failure};
use crate::ports::{Clock, DestinationBucket, SourceBucket, StateStore, WriteError, WrittenObject};

impl<S: SourceBucket, D: DestinationBucket, C: Clock, J: StateStore> Reconciler<S, D, C, J> {
    /// Copies the listed object, and then reads the source once to confirm the copy.
    ///
    /// The copy is final if reads before it would have ordered the same one, of the same source object. In every other
    /// case the passes with reads follow: they find what the copy lacks, or why it failed.
    pub(super) async fn optimistic_pass(
        &self,
        key: &ObjectKey,
        copy: &OptimisticCopy,
        attempt: &mut Attempt,
    ) -> PassResult {
        let sent = self.clock.now();
        attempt.writes.under_way = true;
        let answer = self.destination.copy(key, &copy.order).await;
        attempt.writes.under_way = false;
        let written = match answer {
            Ok(written) => written,
            Err(WriteError::Failed(failure)) => {
                return match after_failure(failure) {
                    // A pass with reads finds the reason, such as an archived object.
                    PassResult::Ended(_) => PassResult::ReadAgain,
                    pass => pass,
                };
            }
            Err(error) => return attempt.conditional_write_failed(&copy.order.condition, error),
        };
        attempt.writes.progress = true;
        let duration = self.clock.now().since(sent);
        let pin = SourcePin {
            version_id: written.source_version_id.clone(),
            etag: copy.order.pin.etag.clone(),
        };
        let order = CopyOrder {
            pin,
            ..copy.order.clone()
        };
        // Recorded before the read, so that a failure after it says that the object was copied.
        attempt.copied(written.clone(), &order);
        let pass = self.confirm_copy(key, copy, &written, duration, attempt).await;
        match pass {
            Ok(size_bytes) => {
                attempt.copied = None;
                PassResult::Ended(Outcome::Copied {
                    version_id: written.version_id,
                    size_bytes,
                })
            }
            Err(pass) => pass,
        }
    }

    /// Reads the source after the copy, and returns the size of a copy that is final.
    async fn confirm_copy(
        &self,
        key: &ObjectKey,
        copy: &OptimisticCopy,
        written: &WrittenObject,
        duration: Duration,
        attempt: &mut Attempt,
    ) -> Result<u64, PassResult> {
        let read = self.source.read(key, &attempt.attributes).await;
        let read = read.map_err(|failure| not_confirmed(after_failure(failure), attempt))?;
        let decided = self.decision(key, read, ObjectState::NotFound, attempt).await;
        let (source, _, decision) = decided.map_err(|pass| not_confirmed(pass, attempt))?;
        let (Some(facts), Decision::Copy(order)) = (source.facts(), &decision) else {
            return Err(not_confirmed(PassResult::ReadAgain, attempt));
        };
        let copied = CopyEvidence {
            source_version_id: written.source_version_id.as_ref(),
            last_modified: written.last_modified,
            duration,
        };
        match copy.confirm(facts, order, &copied) {
            CopyConfirmation::Final => {
                let encryption = self.encryption_of_copy(&source, attempt);
                self.note_not_preserved(&source, None, encryption.as_ref(), attempt);
                Ok(order.size_bytes)
            }
            CopyConfirmation::Tagged => Err(PassResult::ReadAgain),
            CopyConfirmation::Unconfirmed => Err(not_confirmed(PassResult::ReadAgain, attempt)),
        }
    }
}

/// Leaves a copy to the passes with reads. It may be of another version with equal content and other attributes.
fn not_confirmed(pass: PassResult, attempt: &mut Attempt) -> PassResult {
    attempt.attributes.extend(HIDDEN_IN_HEAD);
    pass
}
