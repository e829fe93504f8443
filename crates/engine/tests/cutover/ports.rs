//! The ports of a cutover on the world in memory.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use s3ferry_core::cutover::certificate::CutoverCertificate;
use s3ferry_core::cutover::{CutoverState, CutoverStep, OperatorName, StepRecord};
use s3ferry_core::diff::SideName;
use s3ferry_core::failure::{Failure, FailureKind};
use s3ferry_core::names::ETag;
use s3ferry_core::time::Timestamp;
use s3ferry_engine::cutover::{
    BucketFingerprint, CutoverBacklog, CutoverPorts, CutoverRefusal, InFlightUpload, ProbeRound, ResidualData,
    StepOutcome, StoredCutover,
};
use s3ferry_engine::ports::WriteError;
use serde_json::json;

use crate::world::{Blind, World, index};

#[derive(Debug)]
pub(crate) enum WorldError {
    Crashed,
    Failed(Failure),
    Refused(CutoverRefusal),
}

impl From<Failure> for WorldError {
    fn from(failure: Failure) -> Self {
        if failure.detail == "crashed" {
            Self::Crashed
        } else {
            Self::Failed(failure)
        }
    }
}

impl From<CutoverRefusal> for WorldError {
    fn from(refusal: CutoverRefusal) -> Self {
        Self::Refused(refusal)
    }
}

#[derive(Debug, Clone)]
pub(crate) struct WorldPorts {
    pub(crate) world: Arc<Mutex<World>>,
    /// Whether other processes count as dead.
    pub(crate) is_alone: bool,
}

type Answer<T> = Result<T, WorldError>;

fn crashed() -> Failure {
    Failure {
        kind: FailureKind::Retry,
        code: "Crashed".into(),
        action: "any".to_owned(),
        resource: "process".to_owned(),
        detail: "crashed".to_owned(),
    }
}

impl WorldPorts {
    fn read<T>(&self, name: &str, read: impl FnOnce(&mut World) -> T) -> Answer<T> {
        let mut world = self.world.lock().unwrap();
        if world.is_crashed {
            return Err(WorldError::Crashed);
        }
        world.disturb();
        world.note(name);
        Ok(read(&mut world))
    }

    /// Writes, or crashes before or after it.
    fn write<T>(&self, name: &str, write: impl FnOnce(&mut World) -> T) -> Answer<T> {
        let mut world = self.world.lock().unwrap();
        if world.is_crashed {
            return Err(WorldError::Crashed);
        }
        world.disturb();
        world.note(name);
        match if world.budget.crashes > 0 {
            world.paths.below(3)
        } else {
            0
        } {
            0 => Ok(write(&mut world)),
            picked => {
                if picked == 2 {
                    write(&mut world);
                }
                crash(&mut world, picked);
                Err(WorldError::Crashed)
            }
        }
    }
}

fn crash(world: &mut MutexGuard<'_, World>, picked: usize) {
    world.budget.crashes -= 1;
    world.is_crashed = true;
    world.note(if picked == 1 {
        "    crash before"
    } else {
        "    crash after"
    });
}

const OPERATIONS: [&str; 2] = ["PutObject", "CompleteMultipartUpload"];

impl CutoverPorts for WorldPorts {
    type Error = WorldError;

    async fn load(&self) -> Answer<Option<StoredCutover>> {
        self.read("load", |world| {
            world.state.as_ref().map(|(etag, body)| StoredCutover {
                etag: ETag::new(&etag.to_string()).unwrap(),
                body: body.clone(),
            })
        })
    }

    async fn store(&self, body: Vec<u8>, seen: Option<&ETag>) -> Result<ETag, WriteError> {
        let seen = seen.map(ToString::to_string);
        let stored = self.write("store", |world| {
            let current = world.state.as_ref().map(|(etag, _)| etag.to_string());
            if current != seen {
                return Err(WriteError::PreconditionFailed);
            }
            let etag = world.state.as_ref().map_or(1, |(etag, _)| etag + 1);
            world.state = Some((etag, body));
            Ok(ETag::new(&etag.to_string()).unwrap())
        });
        stored.unwrap_or_else(|_| Err(WriteError::Failed(crashed())))
    }

    async fn is_abandoned(&self, _holder: &OperatorName, _seen: &ETag) -> Answer<bool> {
        Ok(self.is_alone)
    }

    fn certificate(&self, state: &CutoverState) -> Answer<CutoverCertificate> {
        let document = json!({"verified": state.verified, "steps": state.steps});
        Ok(CutoverCertificate::new(document.as_object().cloned().unwrap()))
    }

    async fn store_certificate(&self, name: &str, text: &str) -> Answer<String> {
        self.write("store certificate", |world| {
            let stored = world
                .certificates
                .entry(name.to_owned())
                .or_insert_with(|| text.to_owned())
                .clone();
            if stored == text && world.buckets[0].objects != world.buckets[1].objects && !world.policies[0].is_stripped
            {
                world.violate("a certificate of buckets that differ");
            }
            stored
        })
    }

    async fn policy(&self, side: SideName) -> Answer<Option<String>> {
        self.read("read policy", |world| {
            let policy = &mut world.policies[index(side)];
            policy.read.clone_from(&policy.written);
            policy.read.clone()
        })
    }

    async fn put_policy(&self, side: SideName, policy: Option<&str>) -> Answer<()> {
        let name = format!("put policy of the {}", side.as_str());
        self.write(&name, |world| world.put_policy(side, policy))
    }

    async fn probe(&self, side: SideName) -> Answer<ProbeRound> {
        self.read("probe", |world| {
            let operations = OPERATIONS.map(str::to_owned).to_vec();
            let is_frozen = world.policies[index(side)]
                .written
                .as_deref()
                .unwrap_or_default()
                .contains("S3ferry");
            let is_denied = world.is_denied(side) || (is_frozen && world.blind == Blind::Probes);
            let is_denied = is_denied || (is_frozen && world.blind == Blind::RollbackDeny);
            let (denied, allowed) = if is_denied {
                (operations, Vec::new())
            } else {
                (Vec::new(), operations)
            };
            ProbeRound { denied, allowed }
        })
    }

    async fn uploads(&self) -> Answer<Vec<InFlightUpload>> {
        self.read("list uploads", |world| {
            let upload = InFlightUpload {
                key: "upload".to_owned(),
                upload_id: "1".to_owned(),
            };
            world.has_upload.then_some(upload).into_iter().collect()
        })
    }

    async fn abort_upload(&self, _upload: &InFlightUpload) -> Answer<()> {
        self.write("abort upload", |world| world.has_upload = false)
    }

    async fn backlog(&self) -> Answer<CutoverBacklog> {
        self.read("backlog", |world| CutoverBacklog {
            queue: world.queue.len() as u64,
            ..CutoverBacklog::default()
        })
    }

    async fn fingerprint(&self, side: SideName) -> Answer<BucketFingerprint> {
        self.read("list", |world| BucketFingerprint {
            digest: world.fingerprint(side),
            versions: world.fingerprint(side).len() as u64,
        })
    }

    async fn ready(&self) -> Answer<StepOutcome> {
        self.read("ready", |_| StepOutcome::met())
    }

    async fn final_sync(&self) -> Answer<StepOutcome> {
        self.write("final sync", |world| {
            world.copy_all(SideName::Source, SideName::Destination);
            StepOutcome::met()
        })
    }

    async fn verify(&self) -> Answer<StepOutcome> {
        self.read("verify", |world| {
            if world.buckets[0].objects == world.buckets[1].objects {
                StepOutcome::met()
            } else {
                StepOutcome::not_met("different")
            }
        })
    }

    async fn keys_ahead(&self) -> Answer<BTreeSet<String>> {
        self.read("compare back", |world| {
            let [source, destination] = &world.buckets;
            let keys = source.objects.keys().chain(destination.objects.keys());
            let differing = keys.filter(|key| source.objects.get(*key) != destination.objects.get(*key));
            differing.map(|key| (*key).to_owned()).collect()
        })
    }

    async fn notification(&self) -> Answer<Option<String>> {
        self.read("read notification", |world| {
            world.has_notification.then(|| "own".to_owned())
        })
    }

    async fn detach_notification(&self) -> Answer<()> {
        self.write("detach notification", |world| world.has_notification = false)
    }

    async fn attach_notification(&self, notification: &str) -> Answer<()> {
        assert_eq!(notification, "own");
        self.write("attach notification", |world| world.has_notification = true)
    }

    async fn switch_to(&self, side: SideName) -> Answer<()> {
        let name = format!("switch to the {}", side.as_str());
        self.write(&name, |world| world.app_side = side)
    }

    async fn switched_to(&self) -> Answer<Option<SideName>> {
        self.read("read switch", |world| Some(world.app_side))
    }

    async fn residual_data(&self) -> Answer<ResidualData> {
        self.read("residual data", |_| ResidualData::default())
    }

    async fn confirm(&self, _step: CutoverStep, _state: &CutoverState) -> Answer<bool> {
        Ok(true)
    }

    fn report(&self, step: CutoverStep, record: &StepRecord) -> Answer<()> {
        let mut world = self.world.lock().unwrap();
        let by = record.blocked_by.clone().unwrap_or_default();
        world.note(format!("  {step} {} {by}", record.state.as_str()));
        Ok(())
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_seconds(self.world.lock().unwrap().seconds)
    }

    async fn sleep(&self, duration: Duration) -> Answer<()> {
        let mut world = self.world.lock().unwrap();
        if world.is_crashed {
            return Err(WorldError::Crashed);
        }
        world.pass_time(duration.as_secs());
        Ok(())
    }

    async fn wait_for_renewal(&self, _after: Duration) {
        std::future::pending::<()>().await;
    }
}
