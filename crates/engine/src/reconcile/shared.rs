//! What a reconcile does more where applications write to the destination, too: every pass examines the versions that the
//! destination has of the key, so that the pass after a write sees what came of it, and any later pass what a crash left.

use s3ferry_core::decide::{
    CopyRefusal, Decision, ReplicationCoverage, SharedSituation, Situation, decide, decide_shared,
};
use s3ferry_core::facts::ObjectState;
use s3ferry_core::failure::{Failure, FailureKind};
use s3ferry_core::marker::{Marker, MarkerError, ObjectLocation};
use s3ferry_core::names::ObjectKey;
use s3ferry_core::order::CopyOrder;
use s3ferry_core::outcome::Outcome;
use s3ferry_core::plan::CopyPlan;
use s3ferry_core::policy::Ownership;
use s3ferry_core::preflight::SHARED_NEEDS_VERSIONS;
use s3ferry_core::version_history::{
    RemovedVersion, VersionExamination, VersionHistory, VersionOwner, VersionQuestion,
};
use s3ferry_core::versions::{DeleteIntent, VersionName};

use super::attempt::{Attempt, PassResult, after_failure};
use super::{Reconciler, UploadSupport, refused};
use crate::ports::{Clock, DestinationBucket, SourceBucket, StateStore};

impl<S: SourceBucket, D: DestinationBucket, C: Clock, J: StateStore> Reconciler<S, D, C, J> {
    pub(super) fn is_shared(&self) -> bool {
        self.policy.ownership == Ownership::Shared
    }

    /// Returns what shared mode requires.
    fn state(&self, key: &ObjectKey) -> Result<&UploadSupport<J>, PassResult> {
        let missing = || misconfigured(key, "StateBucketRequired", NEEDS_STATE);
        self.uploads.as_ref().ok_or_else(missing)
    }

    pub(super) fn decide(
        &self,
        key: &ObjectKey,
        situation: Situation<'_>,
        attempt: &Attempt,
    ) -> Result<Decision, PassResult> {
        let Some(history) = &attempt.history else {
            return Ok(decide(&situation, &self.policy));
        };
        let route = &self.state(key)?.route;
        let shared = SharedSituation {
            // The marker says what the source's annotations were.
            situation: Situation {
                annotations_pending: false,
                ..situation
            },
            route,
            key,
            history,
            source_is_copy: attempt.source_is_copy,
        };
        Ok(decide_shared(&shared, &self.policy))
    }

    /// Refuses a setup in which nothing could be undone, or in which S3 itself writes copies without a marker.
    async fn ensure_shareable(&self, key: &ObjectKey, attempt: &mut Attempt) -> Result<(), PassResult> {
        self.state(key)?;
        if attempt.may_share {
            return Ok(());
        }
        if !self.destination.is_versioned().await.map_err(after_failure)? {
            return Err(misconfigured(key, "DestinationNotVersioned", SHARED_NEEDS_VERSIONS));
        }
        let replication = self.source.replication(key).await.map_err(after_failure)?;
        if replication == ReplicationCoverage::Covered {
            return Err(PassResult::Ended(Outcome::Failed(refused(
                key,
                &CopyRefusal::ReplicatedByS3,
            ))));
        }
        attempt.may_share = true;
        Ok(())
    }

    /// Finds out whose the destination's versions of the key are, in shared mode; and takes back what this reconcile wrote
    /// if the destination did not store what its marker says.
    pub(super) async fn examine(
        &self,
        key: &ObjectKey,
        destination: &ObjectState,
        attempt: &mut Attempt,
    ) -> Result<(), PassResult> {
        if !self.is_shared() {
            return Ok(());
        }
        attempt.source_is_copy = None;
        self.ensure_shareable(key, attempt).await?;
        let examined = self.examined(key, destination, attempt).await?;
        let newest = examined.newest.as_ref().map(|newest| &newest.version);
        let written = attempt.copied.as_ref().and_then(|copy| copy.written.version_id.clone());
        let is_written = written.is_some_and(|written| newest == Some(&VersionName::Id(written)));
        if is_written && examined.owner == VersionOwner::External {
            return Err(self.take_back_unmarked(key, &examined, attempt).await);
        }
        attempt.history = Some(examined);
        Ok(())
    }

    async fn examined(
        &self,
        key: &ObjectKey,
        destination: &ObjectState,
        attempt: &Attempt,
    ) -> Result<VersionExamination, PassResult> {
        let state = self.state(key)?;
        let listing = self.destination.history(key).await.map_err(after_failure)?;
        let mut history = VersionHistory::new(listing, destination);
        if !history.begins_with(destination) {
            return Err(PassResult::ReadAgain);
        }
        history.removed.clone_from(&attempt.removed);
        let place = ObjectLocation {
            bucket: &state.route.destination,
            key,
        };
        loop {
            match history.examine(place) {
                Ok(examined) => return Ok(examined),
                Err(VersionQuestion::Object(version)) => {
                    let read = self.destination.read_version(key, &version).await;
                    let facts = read.map_err(after_failure)?.facts().cloned();
                    history.objects.insert(version, facts.ok_or(PassResult::ReadAgain)?);
                }
                Err(VersionQuestion::Intent(version)) => {
                    let found = state.journal.find(key, &version).await.map_err(after_failure)?;
                    history.intents.insert(version, found);
                }
            }
        }
    }

    /// Finds out whether the source's object is a copy that s3ferry made in the reverse direction, or what an application
    /// made of such a copy.
    pub(super) async fn source_is_copy(&self, key: &ObjectKey, source: &ObjectState) -> Result<bool, PassResult> {
        let place = ObjectLocation {
            bucket: &self.state(key)?.route.source,
            key,
        };
        let listing = self.source.versions(key).await.map_err(after_failure)?;
        let mut history = VersionHistory::new(listing, source);
        if !history.begins_with(source) {
            return Err(PassResult::ReadAgain);
        }
        loop {
            match history.newest_is_copy(place) {
                Ok(is_copy) => return Ok(is_copy),
                Err(VersionQuestion::Object(version)) => {
                    let read = self.source.version(key, &version).await;
                    let facts = read.map_err(after_failure)?.facts().cloned();
                    history.objects.insert(version, facts.ok_or(PassResult::ReadAgain)?);
                }
                // Only of delete markers, which the newest version is not.
                Err(VersionQuestion::Intent(version)) => {
                    history.intents.insert(version, None);
                }
            }
        }
    }

    /// Removes a version of s3ferry that hides an external write, and reads again.
    pub(super) async fn take_back(
        &self,
        key: &ObjectKey,
        version: &VersionName,
        hidden: &VersionName,
        attempt: &mut Attempt,
    ) -> PassResult {
        match self.destination.remove_version(key, version).await {
            Ok(()) => {
                attempt.progress = true;
                let marker = match attempt.history.as_ref().map(|history| &history.owner) {
                    Some(VersionOwner::Copy(marker)) => Some((**marker).clone()),
                    Some(VersionOwner::Delete { .. } | VersionOwner::External) | None => None,
                };
                attempt.removed.push(RemovedVersion {
                    version: version.clone(),
                    marker,
                });
                attempt.copied = None;
                attempt.deleted = false;
                attempt.precondition_failed()
            }
            // A dry run asks no service.
            Err(failure) if failure.kind.is_passing() || !failure.action.starts_with("s3:") => after_failure(failure),
            Err(failure) => PassResult::Ended(Outcome::Failed(hides(version, hidden, failure))),
        }
    }

    /// Removes a copy that nobody could tell from an external write.
    async fn take_back_unmarked(
        &self,
        key: &ObjectKey,
        examined: &VersionExamination,
        attempt: &mut Attempt,
    ) -> PassResult {
        let Some(newest) = &examined.newest else {
            return PassResult::ReadAgain;
        };
        if let Err(failure) = self.destination.remove_version(key, &newest.version).await {
            return after_failure(failure);
        }
        attempt.copied = None;
        let refusal = CopyRefusal::MarkerNotPossible(MarkerError::NotReproduced);
        PassResult::Ended(Outcome::Failed(refused(key, &refusal)))
    }

    /// Makes sure that the parts of a copy are those that its marker stands for.
    pub(super) fn marker_holds(&self, key: &ObjectKey, order: &CopyOrder, plan: &CopyPlan) -> Result<(), PassResult> {
        let marker = Marker::explicit(order.explicit.metadata.as_ref()).filter(|_| self.is_shared());
        if !marker.is_some_and(|marker| marker.needs_the_same_parts() && !plan.replays()) {
            return Ok(());
        }
        let refusal = CopyRefusal::MarkerNotPossible(MarkerError::NothingToBind);
        Err(PassResult::Ended(Outcome::Failed(refused(key, &refusal))))
    }

    /// Announces the delete of what is at the destination, in shared mode.
    pub(super) async fn announce(
        &self,
        key: &ObjectKey,
        destination: &ObjectState,
        attempt: &Attempt,
    ) -> Result<(), PassResult> {
        let (Some(facts), Some(history)) = (destination.facts(), &attempt.history) else {
            return Ok(());
        };
        let intent = DeleteIntent {
            covered: VersionName::of(facts.version_id.as_ref()),
            etag: facts.etag.clone(),
            announced: history.listed,
        };
        let announced = self.state(key)?.journal.announce(key, &intent).await;
        announced.map_err(after_failure)
    }
}

const NEEDS_STATE: &str = "shared ownership announces its deletes in the state bucket: set STATE_BUCKET";

/// A version of s3ferry that cannot be removed, as under Object Lock, hides an external write until somebody acts.
fn hides(version: &VersionName, hidden: &VersionName, refused: Failure) -> Failure {
    let detail = format!(
        "version {version}, which s3ferry wrote, hides version {hidden} of an application and was not removed \
         ({}: {}): copy version {hidden} onto the key, or remove version {version} once its lock permits",
        refused.code, refused.detail
    );
    Failure {
        code: "ExternalWriteHidden".to_owned(),
        detail,
        ..refused
    }
}

fn misconfigured(key: &ObjectKey, code: &str, detail: &str) -> PassResult {
    PassResult::Ended(Outcome::Failed(Failure {
        kind: FailureKind::Configuration,
        code: code.to_owned(),
        action: "s3:PutObject".to_owned(),
        resource: key.to_string(),
        detail: detail.to_owned(),
    }))
}
