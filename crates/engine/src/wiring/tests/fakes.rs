//! A fake account in memory: buckets with delayed propagation, backups, event rules, and faults in any call.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use s3ferry_core::failure::{Failure, FailureKind};
use s3ferry_core::names::{AccountId, BucketName};
use s3ferry_core::preflight::{BucketState, ExpectedBucket, PreflightError};
use s3ferry_core::time::Timestamp;
use s3ferry_core::wiring::{
    NotificationConfiguration, OwnerId, ReplicationConfiguration, ReplicationTerms, Versioning, listens_to_bucket,
};

use super::super::ports::{BucketConfiguration, EventRules, Listener, WiringBackup, WiringPorts};
use crate::ports::Clock;

pub(in crate::wiring) type FakeReplication = ReplicationConfiguration<String>;

/// The configuration of a fake bucket.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::wiring) struct FakeConfiguration {
    pub(in crate::wiring) versioning: Versioning,
    pub(in crate::wiring) notification: NotificationConfiguration,
    pub(in crate::wiring) replication: Option<FakeReplication>,
}

impl Default for FakeConfiguration {
    fn default() -> Self {
        Self {
            versioning: Versioning::Off,
            notification: NotificationConfiguration::default(),
            replication: None,
        }
    }
}

/// A fault of one call.
#[derive(Debug, Clone)]
pub(in crate::wiring) struct FakeFault {
    /// The number of the call, counted from 0 over all ports.
    pub(in crate::wiring) call: usize,
    /// Whether the call takes effect before it fails: the response is injected.
    pub(in crate::wiring) after_effect: bool,
    pub(in crate::wiring) kind: FailureKind,
}

type Hook = Box<dyn FnMut(&str, &mut BTreeMap<String, FakeConfiguration>) + Send>;

/// The state of the fake account.
#[derive(Default)]
pub(in crate::wiring) struct FakeState {
    pub(in crate::wiring) buckets: BTreeMap<String, FakeConfiguration>,
    /// The previous configuration that a bucket returns, and for how many reads.
    stale: BTreeMap<String, (usize, FakeConfiguration)>,
    /// The number of reads after a write that return the previous configuration.
    pub(in crate::wiring) lag: usize,
    pub(in crate::wiring) backups: BTreeMap<String, String>,
    pub(in crate::wiring) state_is_gone: bool,
    /// Event types that S3 rejects.
    pub(in crate::wiring) unknown_events: Vec<&'static str>,
    pub(in crate::wiring) rules: Vec<(String, String)>,
    pub(in crate::wiring) calls: Vec<String>,
    pub(in crate::wiring) fault: Option<FakeFault>,
    /// A hook that runs after each call, with its name: concurrent external writes.
    pub(in crate::wiring) hook: Option<Hook>,
    pub(in crate::wiring) waited: Duration,
    /// The responses to examining a bucket, by its name. Each is returned once; then the bucket is suitable.
    pub(in crate::wiring) examinations: BTreeMap<String, Vec<Result<BucketState, PreflightError>>>,
    /// The buckets that were examined, as they were expected.
    pub(in crate::wiring) read_objects: Vec<ExpectedBucket>,
}

impl fmt::Debug for FakeState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("FakeState")
            .field("calls", &self.calls)
            .finish_non_exhaustive()
    }
}

#[derive(Debug, Clone, Default)]
pub(in crate::wiring) struct FakeAccount(pub(in crate::wiring) Arc<Mutex<FakeState>>);

impl FakeAccount {
    pub(in crate::wiring) fn state(&self) -> MutexGuard<'_, FakeState> {
        self.0.lock().unwrap()
    }

    pub(in crate::wiring) fn set(&self, bucket: &str, configuration: FakeConfiguration) {
        self.state().buckets.insert(bucket.to_owned(), configuration);
    }

    pub(in crate::wiring) fn get(&self, bucket: &str) -> FakeConfiguration {
        self.state().buckets[bucket].clone()
    }

    /// Returns the names of the calls that changed a bucket.
    pub(in crate::wiring) fn writes(&self) -> Vec<String> {
        let writes = |call: &&String| call.starts_with("put") || call.starts_with("enable");
        self.state().calls.iter().filter(writes).cloned().collect()
    }

    pub(in crate::wiring) fn backups(&self) -> BTreeMap<String, String> {
        self.state().backups.clone()
    }

    fn call<T>(&self, name: &str, effect: impl FnOnce(&mut FakeState) -> Result<T, Failure>) -> Result<T, Failure> {
        let mut state = self.state();
        let fault = state.fault.clone().filter(|fault| fault.call == state.calls.len());
        state.calls.push(name.to_owned());
        let injected = fault.as_ref().map(|fault| failure(fault.kind, "Injected", name));
        if let (Some(failure), Some(false)) = (&injected, fault.as_ref().map(|fault| fault.after_effect)) {
            return Err(failure.clone());
        }
        let result = effect(&mut state);
        if let Some(mut hook) = state.hook.take() {
            hook(name, &mut state.buckets);
            state.hook = Some(hook);
        }
        injected.map_or(result, Err)
    }
}

pub(in crate::wiring) fn failure(kind: FailureKind, code: &str, action: &str) -> Failure {
    Failure {
        kind,
        code: code.into(),
        action: action.to_owned(),
        resource: "arn:aws:s3:::bucket".to_owned(),
        detail: "injected fault".to_owned(),
    }
}

fn no_such_bucket(action: &str) -> Failure {
    failure(FailureKind::Configuration, "NoSuchBucket", action)
}

#[derive(Debug)]
pub(in crate::wiring) struct FakeBucket {
    account: FakeAccount,
    name: String,
}

impl FakeBucket {
    fn read(&self, call: &str) -> Result<FakeConfiguration, Failure> {
        self.account.call(call, |state| {
            let actual = state
                .buckets
                .get(&self.name)
                .cloned()
                .ok_or_else(|| no_such_bucket(call))?;
            match state.stale.get_mut(&self.name) {
                Some((reads, former)) if *reads > 0 => {
                    *reads -= 1;
                    Ok(former.clone())
                }
                _ => Ok(actual),
            }
        })
    }

    fn write(&self, call: &str, change: impl FnOnce(&mut FakeConfiguration)) -> Result<(), Failure> {
        self.account.call(call, |state| {
            let bucket = state.buckets.get_mut(&self.name).ok_or_else(|| no_such_bucket(call))?;
            state.stale.insert(self.name.clone(), (state.lag, bucket.clone()));
            change(bucket);
            Ok(())
        })
    }
}

impl BucketConfiguration for FakeBucket {
    type Rule = String;

    async fn versioning(&self) -> Result<Versioning, Failure> {
        Ok(self.read("versioning")?.versioning)
    }

    async fn enable_versioning(&self) -> Result<(), Failure> {
        self.write("enable_versioning", |bucket| bucket.versioning = Versioning::Enabled)
    }

    async fn notification(&self) -> Result<NotificationConfiguration, Failure> {
        Ok(self.read("notification")?.notification)
    }

    async fn put_notification(&self, configuration: &NotificationConfiguration, _check: bool) -> Result<(), Failure> {
        let asked: Vec<&String> = configuration.entries().flat_map(|(_, entry)| &entry.events).collect();
        let unknown = self.account.state().unknown_events.clone();
        if unknown.iter().any(|event| asked.iter().any(|asked| asked == event)) {
            let call = "put_notification";
            return self.account.call(call, |_| {
                let mut refusal = failure(FailureKind::Permanent, "InvalidArgument", "s3:PutBucketNotification");
                "The event is not supported for notifications".clone_into(&mut refusal.detail);
                Err(refusal)
            });
        }
        self.write("put_notification", |bucket| bucket.notification = configuration.clone())
    }

    async fn replication(&self) -> Result<Option<FakeReplication>, Failure> {
        Ok(self.read("replication")?.replication)
    }

    async fn put_replication(&self, configuration: Option<&FakeReplication>) -> Result<(), Failure> {
        self.write("put_replication", |bucket| bucket.replication = configuration.cloned())
    }

    fn compose(&self, id: &str, priority: i32, terms: &ReplicationTerms) -> String {
        format!("{id} {priority} {}", terms.destination_arn)
    }
}

#[derive(Debug)]
pub(in crate::wiring) struct FakeBackup {
    account: FakeAccount,
    prefix: String,
}

impl FakeBackup {
    fn in_state<T>(&self, call: &str, effect: impl FnOnce(&mut FakeState) -> T) -> Result<T, Failure> {
        self.account.call(call, |state| {
            if state.state_is_gone {
                return Err(no_such_bucket(call));
            }
            Ok(effect(state))
        })
    }
}

impl WiringBackup for FakeBackup {
    async fn save_once(&self, name: &str, text: &str) -> Result<(), Failure> {
        self.in_state("save_once", |state| {
            let path = format!("{}{name}", self.prefix);
            state.backups.entry(path).or_insert_with(|| text.to_owned());
        })
    }

    async fn save(&self, name: &str, text: &str) -> Result<(), Failure> {
        self.in_state("save", |state| {
            state.backups.insert(format!("{}{name}", self.prefix), text.to_owned());
        })
    }

    async fn load(&self, name: &str) -> Result<Option<String>, Failure> {
        self.in_state("load", |state| {
            state.backups.get(&format!("{}{name}", self.prefix)).cloned()
        })
    }
}

impl EventRules for FakeAccount {
    async fn others_listening(&self, bucket: &BucketName, except: &[String]) -> Result<Vec<Listener>, Failure> {
        self.call("others_listening", |state| {
            let listens = |(name, pattern): &&(String, String)| {
                !except.contains(name) && listens_to_bucket(pattern, bucket.as_str())
            };
            Ok(state
                .rules
                .iter()
                .filter(listens)
                .map(|rule| Listener {
                    name: rule.0.clone(),
                    is_of_s3ferry: rule.0.contains("rule-of-"),
                })
                .collect())
        })
    }
}

impl Clock for FakeAccount {
    fn now(&self) -> Timestamp {
        Timestamp::from_seconds(0).plus(self.state().waited)
    }

    async fn sleep(&self, duration: Duration) {
        self.state().waited += duration;
    }
}

impl WiringPorts for FakeAccount {
    type Bucket = FakeBucket;
    type Backup = FakeBackup;
    type Rules = Self;
    type Clock = Self;

    fn bucket(&self, bucket: &BucketName, _account: &AccountId) -> FakeBucket {
        FakeBucket {
            account: self.clone(),
            name: bucket.to_string(),
        }
    }

    fn backup(&self, state: &BucketName, _account: &AccountId, bucket: &BucketName, owner: &OwnerId) -> FakeBackup {
        FakeBackup {
            account: self.clone(),
            prefix: format!("{state}/bucket-wiring/{bucket}/{owner}/"),
        }
    }

    async fn examine(&self, bucket: &ExpectedBucket) -> Result<BucketState, PreflightError> {
        let mut state = self.state();
        state.read_objects.push(bucket.clone());
        let answers = state.examinations.get_mut(bucket.name.as_str());
        let answer = answers
            .filter(|answers| !answers.is_empty())
            .map(|answers| answers.remove(0));
        answer.unwrap_or(Ok(BucketState {
            versioning: Versioning::Enabled,
            has_object_lock: false,
        }))
    }

    fn rules(&self) -> &Self {
        self
    }

    fn clock(&self) -> &Self {
        self
    }
}
