//! The additional steps of a reconcile in shared mode, in which applications also write to the destination.
//!
//! Every pass examines the key's versions at the destination. The pass after a write thereby checks its effect, and
//! after a crash any later pass does.

use s3ferry_core::bucket_settings::ReplicationCoverage;
use s3ferry_core::decide::{CopyRefusal, Decision, SharedSituation, Situation, decide, decide_shared};
use s3ferry_core::delete_intent::DeleteIntent;
use s3ferry_core::facts::ObjectState;
use s3ferry_core::failure::{Failure, FailureCode, FailureKind};
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
use s3ferry_core::versions::VersionName;

use super::attempt::{Attempt, PassResult, after_failure};
use super::{Reconciler, UploadSupport, refused};
use crate::ports::{Clock, DestinationBucket, SourceBucket, StateStore};

impl<S: SourceBucket, D: DestinationBucket, C: Clock, J: StateStore> Reconciler<S, D, C, J> {
    pub(super) fn is_shared(&self) -> bool {
        self.policy.ownership == Ownership::Shared
    }

    /// Returns the state store, which shared mode requires.
    fn state(&self, key: &ObjectKey) -> Result<&UploadSupport<J>, PassResult> {
        let missing = || misconfigured(key, FailureCode::StateBucketRequired, NEEDS_STATE);
        self.uploads.as_ref().ok_or_else(missing)
    }

    pub(super) fn decide(
        &self,
        key: &ObjectKey,
        situation: Situation<'_>,
        attempt: &Attempt,
    ) -> Result<Decision, PassResult> {
        let Some(history) = &attempt.shared.history else {
            return Ok(decide(&situation, &self.policy));
        };
        let route = &self.state(key)?.route;
        let shared = SharedSituation {
            // The marker contains the source's annotations.
            situation: Situation {
                annotations_pending: false,
                ..situation
            },
            route,
            key,
            history,
            source_is_copy: attempt.shared.source_is_copy,
        };
        Ok(decide_shared(&shared, &self.policy))
    }

    /// Refuses configurations that shared mode does not support.
    ///
    /// Without versioning, a wrong write could not be undone. S3 replication writes copies without a marker.
    async fn ensure_shareable(&self, key: &ObjectKey, attempt: &mut Attempt) -> Result<(), PassResult> {
        self.state(key)?;
        if attempt.shared.is_shareable {
            return Ok(());
        }
        if !self.destination.is_versioned().await.map_err(after_failure)? {
            return Err(misconfigured(
                key,
                FailureCode::from("DestinationNotVersioned"),
                SHARED_NEEDS_VERSIONS,
            ));
        }
        let replication = self.source.replication(key).await.map_err(after_failure)?;
        if replication == ReplicationCoverage::Covered {
            return Err(PassResult::Ended(Outcome::Failed(refused(
                key,
                &CopyRefusal::ReplicatedByS3,
            ))));
        }
        attempt.shared.is_shareable = true;
        Ok(())
    }

    /// Examines who wrote the destination's versions of the key, in shared mode.
    ///
    /// If the destination did not store this reconcile's copy as its marker requires, the copy is removed.
    pub(super) async fn examine(
        &self,
        key: &ObjectKey,
        destination: &ObjectState,
        attempt: &mut Attempt,
    ) -> Result<(), PassResult> {
        if !self.is_shared() {
            return Ok(());
        }
        attempt.shared.source_is_copy = None;
        self.ensure_shareable(key, attempt).await?;
        let examined = self.examined(key, destination, attempt).await?;
        let newest = examined.newest.as_ref().map(|newest| &newest.version);
        let written = attempt.copied.as_ref().and_then(|copy| copy.written.version_id.clone());
        let is_written = written.is_some_and(|written| newest == Some(&VersionName::Id(written)));
        if is_written && examined.owner == VersionOwner::External {
            return Err(self.remove_unmarked_copy(key, &examined, attempt).await);
        }
        attempt.shared.history = Some(examined);
        Ok(())
    }

    async fn examined(
        &self,
        key: &ObjectKey,
        destination: &ObjectState,
        attempt: &Attempt,
    ) -> Result<VersionExamination, PassResult> {
        let state = self.state(key)?;
        let listing = self.destination.list_versions(key).await.map_err(after_failure)?;
        let mut history = VersionHistory::new(listing, destination);
        if !history.begins_with(destination) {
            return Err(PassResult::ReadAgain);
        }
        history.removed.clone_from(&attempt.shared.removed);
        let location = ObjectLocation {
            bucket: &state.route.destination,
            key,
        };
        loop {
            match history.examine(location) {
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

    /// Returns whether the source object is a copy from the reverse direction.
    ///
    /// s3ferry made it, or an application copied such a copy.
    pub(super) async fn source_is_copy(&self, key: &ObjectKey, source: &ObjectState) -> Result<bool, PassResult> {
        let location = ObjectLocation {
            bucket: &self.state(key)?.route.source,
            key,
        };
        let listing = self.source.list_versions(key).await.map_err(after_failure)?;
        let mut history = VersionHistory::new(listing, source);
        if !history.begins_with(source) {
            return Err(PassResult::ReadAgain);
        }
        loop {
            match history.newest_is_copy(location) {
                Ok(is_copy) => return Ok(is_copy),
                Err(VersionQuestion::Object(version)) => {
                    let read = self.source.read_version(key, &version).await;
                    let facts = read.map_err(after_failure)?.facts().cloned();
                    history.objects.insert(version, facts.ok_or(PassResult::ReadAgain)?);
                }
                // Intents are read for delete markers only, and the newest version is none.
                Err(VersionQuestion::Intent(version)) => {
                    history.intents.insert(version, None);
                }
            }
        }
    }

    /// Removes a version of s3ferry that hides an external write, and requests another pass.
    pub(super) async fn remove_hiding_version(
        &self,
        key: &ObjectKey,
        version: &VersionName,
        hidden: &VersionName,
        attempt: &mut Attempt,
    ) -> PassResult {
        match self.destination.delete_version(key, version).await {
            Ok(()) => {
                attempt.writes.progress = true;
                let marker = match attempt.shared.history.as_ref().map(|history| &history.owner) {
                    Some(VersionOwner::Copy(marker)) => Some((**marker).clone()),
                    Some(VersionOwner::Delete { .. } | VersionOwner::External) | None => None,
                };
                attempt.shared.removed.push(RemovedVersion {
                    version: version.clone(),
                    marker,
                });
                attempt.copied = None;
                attempt.shared.deleted = false;
                attempt.precondition_failed()
            }
            Err(failure) if failure.kind.is_passing() => after_failure(failure),
            Err(failure) => PassResult::Ended(Outcome::Failed(hides(version, hidden, failure))),
        }
    }

    /// Removes a copy that cannot be distinguished from an external write.
    async fn remove_unmarked_copy(
        &self,
        key: &ObjectKey,
        examined: &VersionExamination,
        attempt: &mut Attempt,
    ) -> PassResult {
        let Some(newest) = &examined.newest else {
            return PassResult::ReadAgain;
        };
        if let Err(failure) = self.destination.delete_version(key, &newest.version).await {
            return after_failure(failure);
        }
        attempt.copied = None;
        let refusal = CopyRefusal::MarkerNotPossible(MarkerError::NotReproduced);
        PassResult::Ended(Outcome::Failed(refused(key, &refusal)))
    }

    /// Refuses a multipart copy whose marker requires the part sizes of the source, if the plan has others.
    pub(super) fn check_marker(&self, key: &ObjectKey, order: &CopyOrder, plan: &CopyPlan) -> Result<(), PassResult> {
        let marker = Marker::explicit(order.explicit.metadata.as_ref()).filter(|_| self.is_shared());
        if !marker.is_some_and(|marker| marker.needs_the_same_parts() && !plan.replays()) {
            return Ok(());
        }
        let refusal = CopyRefusal::MarkerNotPossible(MarkerError::NothingToBind);
        Err(PassResult::Ended(Outcome::Failed(refused(key, &refusal))))
    }

    /// Writes the intent to delete the destination object, in shared mode.
    pub(super) async fn announce(
        &self,
        key: &ObjectKey,
        destination: &ObjectState,
        attempt: &Attempt,
    ) -> Result<(), PassResult> {
        let (Some(facts), Some(history)) = (destination.facts(), &attempt.shared.history) else {
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

const NEEDS_STATE: &str = "shared ownership requires a state bucket for its delete intents: set STATE_BUCKET";

/// Returns the failure for a version of s3ferry that hides an external write and cannot be removed.
///
/// Object Lock, for example, prevents the removal. An operator must act.
fn hides(version: &VersionName, hidden: &VersionName, refused: Failure) -> Failure {
    let detail = format!(
        "version {version}, which s3ferry wrote, hides version {hidden} of an application and was not removed \
         ({}: {}): copy version {hidden} onto the key, or remove version {version} once its lock permits",
        refused.code, refused.detail
    );
    Failure {
        code: "ExternalWriteHidden".into(),
        detail,
        ..refused
    }
}

fn misconfigured(key: &ObjectKey, code: FailureCode, detail: &str) -> PassResult {
    PassResult::Ended(Outcome::Failed(Failure {
        kind: FailureKind::Configuration,
        code,
        action: "s3:PutObject".to_owned(),
        resource: key.to_string(),
        detail: detail.to_owned(),
    }))
}
