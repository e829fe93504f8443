//! State of a cutover in the state bucket.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{CutoverStep, FreezeMethod, Measurements, OperatorLease, StepRecord, StepState};
use crate::digest::FieldDigest;
use crate::names::BucketName;
use crate::stored_format::{self, UnsupportedFormat};
use crate::time::Timestamp;

/// Format version of the state.
const FORM: u32 = 1;

/// Number of digits of a route's digest in a Sid.
const SID_DIGITS: usize = 12;

/// What is cut over: the keys of a prefix, from one bucket to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CutoverRoute {
    /// Bucket that applications use before the switch.
    pub source: BucketName,
    /// Bucket that applications use after the switch.
    pub destination: BucketName,
    /// Prefix of the keys.
    pub prefix: String,
}

impl CutoverRoute {
    fn digest(&self) -> String {
        FieldDigest::of([self.source.as_str(), self.destination.as_str(), self.prefix.as_str()])
    }

    /// Returns the name of the state object.
    #[must_use]
    pub fn state_name(&self) -> String {
        format!("cutovers/{}.json", self.digest())
    }

    /// Returns the name of a certificate.
    #[must_use]
    pub fn certificate_name(&self, generation: u32, number: u32) -> String {
        format!("cutovers/{}/certificate-{generation}-{number}.json", self.digest())
    }

    fn sid(&self, purpose: &str) -> String {
        let digits: String = self.digest().chars().take(SID_DIGITS).collect();
        format!("S3ferry{purpose}{digits}")
    }

    /// Returns the Sid of the statement that stops writes to the source.
    #[must_use]
    pub fn freeze_sid(&self) -> String {
        self.sid("Freeze")
    }

    /// Returns the Sid of the statement that stops s3ferry's writes to the destination.
    #[must_use]
    pub fn seal_sid(&self) -> String {
        self.sid("Seal")
    }

    /// Returns the Sid of the statement that stops writes to the destination during a rollback.
    #[must_use]
    pub fn rollback_sid(&self) -> String {
        self.sid("Rollback")
    }
}

/// Phase of a cutover.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CutoverPhase {
    /// The steps of `cutover run` are in progress or done.
    Forward,
    /// An abort or a rollback is in progress.
    RollingBack,
    /// All effects were removed.
    RolledBack,
    /// The migration ended.
    Finished,
}

impl CutoverPhase {
    /// Returns the name in output and documents.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::RollingBack => "rolling-back",
            Self::RolledBack => "rolled-back",
            Self::Finished => "finished",
        }
    }
}

/// Settings that hold from the freeze to the end of a cutover.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CutoverSettings {
    /// How writes to the source are stopped.
    pub freeze: FreezeMethod,
    /// Roles that may still write to the frozen source.
    pub excepted_roles: Vec<String>,
    /// Roles of s3ferry, which the seal denies.
    pub sealed_roles: Vec<String>,
    /// Name of the switch driver.
    pub switch: String,
}

/// Digests of all versions of both buckets at a successful verification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifiedBuckets {
    /// Digest of the source.
    pub source: String,
    /// Digest of the destination.
    pub destination: String,
}

/// State of a cutover.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CutoverState {
    form: u32,
    source_bucket: String,
    destination_bucket: String,
    prefix: String,
    /// Number of the cutover, from 1. A rollback ends one, and the next run begins another.
    pub generation: u32,
    /// Phase.
    pub phase: CutoverPhase,
    /// Settings of this cutover.
    pub settings: CutoverSettings,
    /// Who runs it.
    pub lease: OperatorLease,
    /// Steps that have begun.
    pub steps: BTreeMap<CutoverStep, StepRecord>,
    /// Whether the probe principal could write to the source before the freeze.
    pub was_probe_allowed: bool,
    /// The verified content of both buckets.
    pub verified: Option<VerifiedBuckets>,
    /// s3ferry's notification, as it was before it was removed.
    pub detached_notification: Option<String>,
    /// Number of certificates so far.
    pub certificates: u32,
    /// Digest of the valid certificate.
    pub certificate: Option<String>,
    /// Whether applications may have been pointed to the source again.
    pub is_returning: bool,
    /// Whether applications use the source again. From then on, the source may differ from the destination.
    pub has_returned: bool,
}

/// An unusable state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CutoverStateError {
    /// The object is not a state in this format.
    #[error("not the state of a cutover in format {FORM}: {0}")]
    Unreadable(String),
    /// The state has another format.
    #[error("the state of the cutover was {0}")]
    UnsupportedFormat(#[from] UnsupportedFormat),
    /// The state belongs to another migration.
    #[error("the state belongs to the cutover of {0}")]
    OfAnother(String),
    /// A setting differs from the one that the cutover began with.
    #[error("{setting} is `{given}`, and this cutover began with `{stored}`")]
    SettingChanged {
        /// Name of the setting.
        setting: &'static str,
        /// Value at the beginning.
        stored: String,
        /// Value now.
        given: String,
    },
}

impl CutoverState {
    /// Creates the state of the first cutover of a route.
    #[must_use]
    pub fn new(route: &CutoverRoute, settings: CutoverSettings, lease: OperatorLease) -> Self {
        Self {
            form: FORM,
            source_bucket: route.source.to_string(),
            destination_bucket: route.destination.to_string(),
            prefix: route.prefix.clone(),
            generation: 1,
            phase: CutoverPhase::Forward,
            settings,
            lease,
            steps: BTreeMap::new(),
            was_probe_allowed: false,
            verified: None,
            detached_notification: None,
            certificates: 0,
            certificate: None,
            is_returning: false,
            has_returned: false,
        }
    }

    /// Returns the state of the next cutover, after a rollback.
    #[must_use]
    pub fn next_generation(&self, route: &CutoverRoute, settings: CutoverSettings) -> Self {
        Self {
            generation: self.generation + 1,
            ..Self::new(route, settings, self.lease.clone())
        }
    }

    /// Serializes the state.
    pub fn to_json(&self) -> Result<Vec<u8>, CutoverStateError> {
        serde_json::to_vec(self).map_err(|error| CutoverStateError::Unreadable(error.to_string()))
    }

    /// Parses the state of a route.
    pub fn read(route: &CutoverRoute, body: &[u8]) -> Result<Self, CutoverStateError> {
        stored_format::check(body, FORM)?;
        let state: Self =
            serde_json::from_slice(body).map_err(|error| CutoverStateError::Unreadable(error.to_string()))?;
        let stored = [&state.source_bucket, &state.destination_bucket, &state.prefix];
        if stored.map(String::as_str) != [route.source.as_str(), route.destination.as_str(), &route.prefix] {
            let [source, destination, prefix] = stored;
            return Err(CutoverStateError::OfAnother(format!(
                "{source}/{prefix} to {destination}"
            )));
        }
        Ok(state)
    }

    /// Adopts new settings, unless effects of a step depend on the stored ones.
    pub fn adopt(&mut self, settings: CutoverSettings) -> Result<(), CutoverStateError> {
        let is_frozen = self.step(CutoverStep::Freeze).state.may_have_effects();
        if !is_frozen {
            self.settings = settings;
            return Ok(());
        }
        let list = |roles: &[String]| roles.join(" ");
        let (stored, given) = (&self.settings, &settings);
        let rows = [
            (
                "--freeze",
                stored.freeze.as_str().to_owned(),
                given.freeze.as_str().to_owned(),
            ),
            (
                "--except-role",
                list(&stored.excepted_roles),
                list(&given.excepted_roles),
            ),
            ("--seal-role", list(&stored.sealed_roles), list(&given.sealed_roles)),
            ("--switch", stored.switch.clone(), given.switch.clone()),
        ];
        match rows.into_iter().find(|(_, stored, given)| stored != given) {
            None => Ok(()),
            Some((setting, stored, given)) => Err(CutoverStateError::SettingChanged { setting, stored, given }),
        }
    }

    /// Returns the record of a step.
    #[must_use]
    pub fn step(&self, step: CutoverStep) -> StepRecord {
        self.steps.get(&step).cloned().unwrap_or_default()
    }

    /// Returns the next step of `cutover run`; `None` if all are done.
    #[must_use]
    pub fn next_step(&self) -> Option<CutoverStep> {
        let mut steps = CutoverStep::RUN.into_iter();
        steps.find(|step| self.step(*step).state != StepState::Done)
    }

    /// Returns whether applications may use the destination.
    #[must_use]
    pub fn may_be_switched(&self) -> bool {
        self.step(CutoverStep::Switch).state.may_have_effects()
    }

    /// Records that a step begins.
    pub fn begin(&mut self, step: CutoverStep, now: Timestamp) {
        let record = self.steps.entry(step).or_default();
        if record.state == StepState::Undone {
            *record = StepRecord::default();
        }
        record.state = StepState::Running;
        record.blocked_by = None;
        record.started.get_or_insert(now);
    }

    /// Records that the gate of a step is met.
    pub fn complete(&mut self, step: CutoverStep, measured: Measurements, now: Timestamp) {
        let record = self.steps.entry(step).or_default();
        record.state = StepState::Done;
        record.blocked_by = None;
        record.measured.extend(measured);
        record.ended = Some(now);
    }

    /// Records that the gate of a step is not met.
    pub fn block(&mut self, step: CutoverStep, by: &str, measured: Measurements, now: Timestamp) {
        let record = self.steps.entry(step).or_default();
        record.state = StepState::Blocked;
        record.blocked_by = Some(by.to_owned());
        record.measured.extend(measured);
        record.ended = Some(now);
    }

    /// Repeats the steps from `step` to the seal, because what they proved no longer holds. The freeze may still have
    /// effects, so its state becomes `blocked`.
    pub fn repeat_from(&mut self, step: CutoverStep, reason: &str) {
        self.verified = None;
        self.certificate = None;
        for (repeated, record) in self.steps.range_mut(step..CutoverStep::Switch) {
            record.blocked_by = (*repeated == step).then(|| reason.to_owned());
            record.state = match *repeated {
                CutoverStep::Freeze | CutoverStep::Seal if record.state.may_have_effects() => StepState::Blocked,
                _ => StepState::Pending,
            };
        }
    }

    /// Records that all effects were removed.
    pub fn end_rollback(&mut self, now: Timestamp) {
        for record in self.steps.values_mut() {
            if record.state.may_have_effects() {
                record.state = StepState::Undone;
                record.blocked_by = None;
                record.ended = Some(now);
            }
        }
        self.phase = CutoverPhase::RolledBack;
        self.verified = None;
        self.certificate = None;
        self.is_returning = false;
        self.has_returned = false;
        self.detached_notification = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cutover::OperatorName;

    fn route(prefix: &str) -> CutoverRoute {
        CutoverRoute {
            source: BucketName::new("source-bucket").unwrap(),
            destination: BucketName::new("destination-bucket").unwrap(),
            prefix: prefix.to_owned(),
        }
    }

    fn settings(freeze: FreezeMethod) -> CutoverSettings {
        CutoverSettings {
            freeze,
            excepted_roles: Vec::new(),
            sealed_roles: Vec::new(),
            switch: "manual".to_owned(),
        }
    }

    fn state() -> CutoverState {
        let holder = OperatorName {
            operator: "ann".to_owned(),
            host: "laptop".to_owned(),
            process: 7,
            began: Timestamp::from_seconds(0),
        };
        CutoverState::new(&route(""), settings(FreezeMethod::Policy), OperatorLease::of(holder))
    }

    const NOW: Timestamp = Timestamp::from_seconds(1);

    #[test]
    fn state_is_read_back_by_its_own_route_and_format_only() {
        let mut state = state();
        state.begin(CutoverStep::FinalSync, NOW);
        let json = state.to_json().unwrap();
        assert_eq!(CutoverState::read(&route(""), &json), Ok(state));
        let error = CutoverState::read(&route("a/"), &json).unwrap_err();
        assert!(matches!(error, CutoverStateError::OfAnother(_)), "{error}");
        let newer = String::from_utf8(json).unwrap().replacen("\"form\":1", "\"form\":2", 1);
        let error = CutoverState::read(&route(""), newer.as_bytes()).unwrap_err();
        assert!(error.to_string().contains("format 2"), "{error}");
        assert!(CutoverState::read(&route(""), b"{}").is_err());
        assert_ne!(route("").state_name(), route("a/").state_name());
    }

    #[test]
    fn settings_are_fixed_once_the_source_may_be_frozen() {
        let mut state = state();
        assert_eq!(state.adopt(settings(FreezeMethod::App)), Ok(()));
        state.begin(CutoverStep::Freeze, NOW);
        assert_eq!(state.adopt(settings(FreezeMethod::App)), Ok(()));
        let error = state.adopt(settings(FreezeMethod::Policy)).unwrap_err().to_string();
        assert_eq!(error, "--freeze is `policy`, and this cutover began with `app`");
    }

    #[test]
    fn steps_follow_each_other_and_are_repeated_from_a_broken_one() {
        let mut state = state();
        for step in CutoverStep::RUN {
            assert_eq!(state.next_step(), Some(step));
            assert!(!state.may_be_switched(), "{step}");
            state.begin(step, NOW);
            if step == CutoverStep::Seal {
                state.complete(step, Measurements::new(), NOW);
                state.certificate = Some("digest".to_owned());
                break;
            }
            state.complete(step, Measurements::new(), NOW);
        }
        state.repeat_from(CutoverStep::Freeze, "removed");
        assert_eq!(state.next_step(), Some(CutoverStep::Freeze));
        assert_eq!(state.step(CutoverStep::Freeze).state, StepState::Blocked);
        assert_eq!(state.step(CutoverStep::Verify).state, StepState::Pending);
        assert_eq!(
            state.step(CutoverStep::Seal).state,
            StepState::Blocked,
            "its effects exist"
        );
        assert_eq!(state.certificate, None);
        state.begin(CutoverStep::Switch, NOW);
        assert!(state.may_be_switched(), "a crash may have switched");
        state.end_rollback(NOW);
        assert_eq!(state.step(CutoverStep::Switch).state, StepState::Undone);
        assert_eq!(state.step(CutoverStep::Verify).state, StepState::Pending);
        let next = state.next_generation(&route(""), settings(FreezeMethod::Policy));
        assert_eq!(
            (next.generation, next.phase, next.steps.len()),
            (2, CutoverPhase::Forward, 0)
        );
    }
}
