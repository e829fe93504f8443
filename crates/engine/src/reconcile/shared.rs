//! What a reconcile does more where applications write to the destination, too.
//!
//! The condition of a write sees the tag of what it replaces, and so cannot see that an application wrote equal bytes
//! with other metadata in the meantime. Versions can: what lies below a write of ours must be what was seen before it.

use s3ferry_core::decide::{Decision, Refusal, SharedSituation, Situation, decide, decide_shared};
use s3ferry_core::facts::{Aspect, Aspects, ObjectState};
use s3ferry_core::failure::{Failure, FailureKind};
use s3ferry_core::history::{DeleteIntent, Past, VersionName, VersionStamp};
use s3ferry_core::marker::{CannotMark, Marker, Place};
use s3ferry_core::names::{ObjectKey, VersionId};
use s3ferry_core::order::CopyOrder;
use s3ferry_core::outcome::Outcome;
use s3ferry_core::plan::CopyPlan;
use s3ferry_core::policy::Ownership;

use super::attempt::{Attempt, Turn, after_failure};
use super::{Reconciler, Uploads, refused};
use crate::ports::{Clock, DestinationBucket, SourceBucket, StateStore};

impl<S: SourceBucket, D: DestinationBucket, C: Clock, J: StateStore> Reconciler<S, D, C, J> {
    fn is_shared(&self) -> bool {
        self.policy.ownership == Ownership::Shared
    }

    /// Returns what shared mode cannot do without.
    fn state(&self, key: &ObjectKey) -> Result<&Uploads<J>, Turn> {
        let missing = || misconfigured(key, "StateBucketRequired", NEEDS_STATE);
        self.uploads.as_ref().ok_or_else(missing)
    }

    pub(super) fn decide(
        &self,
        key: &ObjectKey,
        situation: Situation<'_>,
        attempt: &Attempt,
    ) -> Result<Decision, Turn> {
        if !self.is_shared() {
            return Ok(decide(&situation, &self.policy));
        }
        let route = &self.state(key)?.route;
        let place = |bucket| Place { bucket, key };
        let shared = SharedSituation {
            situation,
            source_place: place(&route.source),
            destination_place: place(&route.destination),
            past: attempt.past.as_ref(),
            looks_back: attempt.aspects.contains(&Aspect::History),
        };
        Ok(decide_shared(&shared, &self.policy))
    }

    /// Refuses to write to a bucket that keeps no versions: nothing could be undone there.
    pub(super) async fn may_write(&self, key: &ObjectKey, decision: &Decision) -> Result<(), Turn> {
        let writes = matches!(
            decision,
            Decision::Copy(_) | Decision::Amend(_) | Decision::Delete { .. } | Decision::RemoveVersion(_)
        );
        if !writes || !self.is_shared() || self.destination.is_versioned().await.map_err(after_failure)? {
            return Ok(());
        }
        Err(unversioned(key))
    }

    /// Takes note that something was written which may hide what nobody had seen.
    pub(super) fn look_back(&self, attempt: &mut Attempt) {
        if self.is_shared() {
            attempt.aspects.insert(Aspect::History);
        }
    }

    /// Lists the destination's versions of the key, and finds the deletes of ours that were announced for them.
    pub(super) async fn past(&self, key: &ObjectKey, destination: &ObjectState) -> Result<Past, Turn> {
        let mut past = Past {
            versions: self.destination.history(key).await.map_err(after_failure)?,
            ..Past::default()
        };
        if !past.begins_with(destination) {
            return Err(Turn::ReadAgain);
        }
        let Some(covered) = past
            .second()
            .filter(|_| *destination == ObjectState::DeleteMarker)
            .cloned()
        else {
            return Ok(past);
        };
        let intents = &self.state(key)?.journal;
        // The delete of one version may have hit another one with the same tag.
        let is_alike = |stamp: &&VersionStamp| {
            stamp.version == covered.version || (stamp.etag().is_some() && stamp.etag() == covered.etag())
        };
        for stamp in past.versions.iter().skip(1).filter(is_alike) {
            let found = intents.find(key, &stamp.version).await.map_err(after_failure)?;
            let settles = found.is_some() && stamp.version == covered.version;
            past.announced.extend(found);
            if settles {
                break;
            }
        }
        Ok(past)
    }

    /// Reads the objects that are listed below the current version.
    pub(super) async fn read_below(&self, key: &ObjectKey, attempt: &mut Attempt) -> Result<(), Turn> {
        let Some(past) = &mut attempt.past else { return Ok(()) };
        let versions: Vec<VersionName> = past.objects_below().map(|stamp| stamp.version.clone()).collect();
        let mut below = Vec::new();
        for version in versions {
            let read = self
                .destination
                .read_version(key, &version)
                .await
                .map_err(after_failure)?;
            below.extend(read.facts().cloned());
        }
        past.below = Some(below);
        Ok(())
    }

    /// Removes a version of ours that hides somebody else's, and reads again.
    pub(super) async fn remove_version(&self, key: &ObjectKey, version: &VersionName, attempt: &mut Attempt) -> Turn {
        // Until nothing is hidden any longer.
        attempt.aspects.insert(Aspect::History);
        match self.destination.remove_version(key, version).await {
            Ok(()) => {
                attempt.progress = true;
                attempt.world_moved()
            }
            Err(failure) => after_failure(failure),
        }
    }

    /// Returns the marker that a copy is ordered to carry, in shared mode.
    pub(super) fn marker_of(&self, order: &CopyOrder) -> Option<Marker> {
        Marker::ordered(order).filter(|_| self.is_shared())
    }

    /// Makes sure, after a copy with a marker, that it hides nothing which had not been seen, and that it is one that can
    /// be told to be ours, and that it is the current version.
    pub(super) async fn check_copy(
        &self,
        key: &ObjectKey,
        written: Option<&VersionId>,
        order: &CopyOrder,
        attempt: &mut Attempt,
    ) -> Result<(), Turn> {
        let Some(marker) = self.marker_of(order) else {
            return Ok(());
        };
        let written = VersionName::Id(written.cloned().ok_or_else(|| unversioned(key))?);
        self.look_back(attempt);
        let versions = self.destination.history(key).await.map_err(after_failure)?;
        let Some(depth) = versions.iter().position(|stamp| stamp.version == written) else {
            return Err(attempt.world_moved());
        };
        if marker.hides(versions.get(depth + 1)) {
            return Err(self.remove_version(key, &written, attempt).await);
        }
        let current = self
            .destination
            .read(key, &Aspects::new())
            .await
            .map_err(after_failure)?;
        let Some(facts) = current
            .facts()
            .filter(|facts| VersionName::of(facts.version_id.as_ref()) == written)
        else {
            return Err(attempt.world_moved());
        };
        let bucket = &self.state(key)?.route.destination;
        if Marker::bound(facts, Place { bucket, key }).is_some() {
            return Ok(());
        }
        self.destination
            .remove_version(key, &written)
            .await
            .map_err(after_failure)?;
        Err(Turn::Ended(Outcome::Failed(refused(
            key,
            &Refusal::CannotBeMarked(CannotMark::NotReproduced),
        ))))
    }

    /// Makes sure that the parts of a copy are those that its marker stands for.
    pub(super) fn marker_holds(&self, key: &ObjectKey, order: &CopyOrder, plan: &CopyPlan) -> Result<(), Turn> {
        let breaks = |marker: &Marker| marker.needs_the_same_parts() && !plan.replays();
        if !self.marker_of(order).as_ref().is_some_and(breaks) {
            return Ok(());
        }
        let refusal = Refusal::CannotBeMarked(CannotMark::NothingToBind);
        Err(Turn::Ended(Outcome::Failed(refused(key, &refusal))))
    }

    /// Announces the delete of what is at the destination; returns the version that it will cover, in shared mode.
    pub(super) async fn announce(
        &self,
        key: &ObjectKey,
        destination: &ObjectState,
        attempt: &mut Attempt,
    ) -> Result<Option<VersionName>, Turn> {
        let Some(facts) = destination.facts().filter(|_| self.is_shared()) else {
            return Ok(None);
        };
        let intent = DeleteIntent {
            covered: VersionName::of(facts.version_id.as_ref()),
            etag: facts.etag.clone(),
            announced: self.clock.now(),
        };
        attempt.aspects.insert(Aspect::History);
        let announced = self.state(key)?.journal.announce(key, &intent).await;
        announced.map_err(after_failure)?;
        Ok(Some(intent.covered))
    }

    /// Makes sure, after a delete, that the delete marker covers the version it was meant for.
    pub(super) async fn check_delete(
        &self,
        key: &ObjectKey,
        marker: Option<&VersionId>,
        covered: &VersionName,
        attempt: &mut Attempt,
    ) -> Result<(), Turn> {
        let marker = VersionName::Id(marker.cloned().ok_or_else(|| unversioned(key))?);
        let versions = self.destination.history(key).await.map_err(after_failure)?;
        let Some(depth) = versions.iter().position(|stamp| stamp.version == marker) else {
            return Err(attempt.world_moved());
        };
        if versions.get(depth + 1).is_some_and(|below| below.version != *covered) {
            return Err(self.remove_version(key, &marker, attempt).await);
        }
        // What was written since then is read.
        if depth > 0 { Err(attempt.world_moved()) } else { Ok(()) }
    }

    /// Removes what announced a delete whose marker a copy of ours now covers.
    pub(super) async fn withdraw_superseded(&self, key: &ObjectKey, attempt: &Attempt) {
        let (Some(past), Some(state)) = (&attempt.past, &self.uploads) else {
            return;
        };
        let now = self.clock.now();
        // A delete that may still be under way must be known for ours when it lands.
        for intent in past.announced.iter().filter(|intent| intent.is_settled(now)) {
            if let Err(failure) = state.journal.withdraw(key, &intent.covered).await {
                // It does no harm where it is: no other version will have its name.
                tracing::debug!(s3.key = %key, %failure, "a delete intent that nobody needs stays");
            }
        }
    }
}

const NEEDS_STATE: &str = "shared ownership announces its deletes in the state bucket: set STATE_BUCKET";

const NEEDS_VERSIONS: &str =
    "shared ownership needs versions at the destination, to see and undo what it must not replace: enable versioning";

fn unversioned(key: &ObjectKey) -> Turn {
    misconfigured(key, "DestinationNotVersioned", NEEDS_VERSIONS)
}

fn misconfigured(key: &ObjectKey, code: &str, detail: &str) -> Turn {
    Turn::Ended(Outcome::Failed(Failure {
        kind: FailureKind::Configuration,
        code: code.to_owned(),
        action: "s3:PutObject".to_owned(),
        resource: key.to_string(),
        detail: detail.to_owned(),
    }))
}
