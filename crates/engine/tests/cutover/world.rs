//! Two buckets, their policies, the replicator, applications, and other tools.

use std::collections::BTreeMap;

use s3ferry_core::cutover::CutoverRoute;
use s3ferry_core::diff::SideName;
use s3ferry_core::names::BucketName;
use s3ferry_testkit::schedule::SchedulePaths;
use serde_json::{Value, json};

/// Sleeps until a delayed policy takes effect: more than a freeze probes at most.
const DELAY: u32 = 30;

/// What happens beside the cutover.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Disturbance {
    /// An application writes where it was pointed to, and a straggler to the source.
    AppWrite,
    /// An application completes the multipart upload at the source.
    UploadCompletes,
    /// The replicator receives an event again.
    EventAgain,
    /// Another tool writes its own policy to the source.
    StatementsRemoved,
    /// Another tool writes its own policy to the destination.
    DestinationStripped,
    /// Another tool adds a statement to both policies.
    StatementAdded,
    /// The next policy takes effect late.
    PolicyDelayed,
}

/// A safeguard that is defeated, to show that the exploration needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Blind {
    Nothing,
    /// Every probe is denied.
    Probes,
    /// Every listing is the same.
    Fingerprints,
    /// The rollback's statement has no effect, and no listing shows it.
    RollbackDeny,
    /// The seal has no effect.
    Seal,
}

/// How much may happen in a schedule.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Budget {
    pub(crate) crashes: u32,
    pub(crate) disturbances: u32,
}

/// A policy, and the policy that S3 still applies.
#[derive(Debug, Clone, Default)]
pub(crate) struct SimPolicy {
    pub(crate) written: Option<String>,
    effective: Option<String>,
    delay: u32,
    /// What the cutover read last.
    pub(crate) read: Option<String>,
    /// Statements of other tools that must be there.
    foreign: Vec<String>,
    /// Whether another tool removed the statements of s3ferry.
    pub(crate) is_stripped: bool,
    /// Whether the cutover has written the policy since.
    is_restored: bool,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct SimObjects {
    pub(crate) objects: BTreeMap<&'static str, u64>,
    pub(crate) versions: u64,
}

#[expect(clippy::struct_excessive_bools, reason = "independent facts of a world")]
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) route: CutoverRoute,
    pub(crate) paths: SchedulePaths,
    pub(crate) budget: Budget,
    pub(crate) disturbances: &'static [Disturbance],
    happened: Vec<Disturbance>,
    pub(crate) blind: Blind,
    pub(crate) is_crashed: bool,
    pub(crate) state: Option<(u64, Vec<u8>)>,
    pub(crate) certificates: BTreeMap<String, String>,
    pub(crate) buckets: [SimObjects; 2],
    pub(crate) policies: [SimPolicy; 2],
    pub(crate) app_side: SideName,
    /// The last acknowledged write of each key that the cutover could see.
    pub(crate) acknowledged: BTreeMap<&'static str, u64>,
    pub(crate) has_upload: bool,
    pub(crate) queue: Vec<&'static str>,
    pub(crate) has_notification: bool,
    pub(crate) delays_next_policy: bool,
    pub(crate) values: u64,
    pub(crate) seconds: i64,
    pub(crate) trace: Vec<String>,
    pub(crate) violation: Option<String>,
}

pub(crate) fn index(side: SideName) -> usize {
    match side {
        SideName::Source => 0,
        SideName::Destination => 1,
    }
}

fn foreign(sid: &str) -> Value {
    json!({"Sid": sid, "Effect": "Allow", "Principal": {"AWS": ["arn:aws:iam::1:root"]}, "Action": ["s3:Get*"]})
}

impl World {
    pub(crate) fn new(paths: SchedulePaths, disturbances: &'static [Disturbance], blind: Blind) -> Self {
        let mut world = Self {
            route: CutoverRoute {
                source: BucketName::new("source-bucket").unwrap(),
                destination: BucketName::new("destination-bucket").unwrap(),
                prefix: String::new(),
            },
            paths,
            budget: Budget {
                crashes: 0,
                disturbances: 0,
            },
            disturbances,
            happened: Vec::new(),
            blind,
            is_crashed: false,
            state: None,
            certificates: BTreeMap::new(),
            buckets: Default::default(),
            policies: Default::default(),
            app_side: SideName::Source,
            acknowledged: BTreeMap::new(),
            has_upload: true,
            queue: Vec::new(),
            has_notification: true,
            delays_next_policy: false,
            values: 0,
            seconds: 0,
            trace: Vec::new(),
            violation: None,
        };
        for side in [SideName::Source, SideName::Destination] {
            world.add_foreign_statement(side, "External");
        }
        world.write(SideName::Source, "a");
        world.write(SideName::Source, "b");
        world
    }

    pub(crate) fn note(&mut self, text: impl Into<String>) {
        self.trace.push(text.into());
    }

    pub(crate) fn violate(&mut self, text: impl Into<String>) {
        let text = text.into();
        self.note(format!("VIOLATION: {text}"));
        self.violation.get_or_insert(text);
    }

    /// Lets something happen before a request, if the budget allows it, and checks that only one bucket is writable.
    pub(crate) fn disturb(&mut self) {
        // Each happens at most once in a schedule.
        let mut left = self.disturbances.to_vec();
        left.retain(|disturbance| !self.happened.contains(disturbance));
        if self.budget.disturbances > 0 && !left.is_empty() {
            let picked = self.paths.below(left.len() + 1);
            if let Some(disturbance) = picked.checked_sub(1).and_then(|index| left.get(index)) {
                self.budget.disturbances -= 1;
                self.happened.push(*disturbance);
                self.note(format!("    {disturbance:?}"));
                self.happen(*disturbance);
            }
        }
        let is_open = !self.is_denied(SideName::Source) && self.app_side == SideName::Destination;
        if is_open && !self.policies[0].is_stripped {
            self.violate("both buckets are writable");
        }
    }

    fn happen(&mut self, disturbance: Disturbance) {
        match disturbance {
            Disturbance::AppWrite => {
                self.app_write(self.app_side, "a");
                if self.app_side == SideName::Destination {
                    self.app_write(SideName::Source, "b");
                }
            }
            Disturbance::UploadCompletes => {
                if self.has_upload && self.app_write(SideName::Source, "upload") {
                    self.has_upload = false;
                }
            }
            Disturbance::EventAgain => {
                self.replicate("a");
            }
            Disturbance::StatementsRemoved | Disturbance::DestinationStripped => {
                let stripped = usize::from(disturbance == Disturbance::DestinationStripped);
                if let Some(policy) = self.policies.get_mut(stripped) {
                    let statements: Vec<Value> = policy.foreign.iter().map(|sid| foreign(sid)).collect();
                    let document = json!({"Version": "2012-10-17", "Statement": statements}).to_string();
                    policy.written = Some(document.clone());
                    policy.effective = Some(document);
                    policy.is_stripped = true;
                    policy.is_restored = false;
                }
            }
            Disturbance::StatementAdded => {
                for side in [SideName::Source, SideName::Destination] {
                    self.add_foreign_statement(side, "Added");
                }
            }
            Disturbance::PolicyDelayed => self.delays_next_policy = true,
        }
    }

    fn add_foreign_statement(&mut self, side: SideName, sid: &str) {
        let policy = &mut self.policies[index(side)];
        let empty = r#"{"Version":"2012-10-17","Statement":[]}"#.to_owned();
        let is_spread = policy.effective == policy.written;
        let mut document: Value = serde_json::from_str(policy.written.as_ref().unwrap_or(&empty)).unwrap();
        document["Statement"].as_array_mut().unwrap().push(foreign(sid));
        policy.written = Some(document.to_string());
        policy.foreign.push(sid.to_owned());
        if is_spread {
            policy.effective.clone_from(&policy.written);
        }
    }

    /// Writes a policy on behalf of the cutover.
    pub(crate) fn put_policy(&mut self, side: SideName, document: Option<&str>) {
        let delay = if std::mem::take(&mut self.delays_next_policy) {
            DELAY
        } else {
            1
        };
        let policy = &mut self.policies[index(side)];
        if policy.written != policy.read {
            // The edit of another tool arrived between the last read and this write: S3 cannot detect it.
            let text = document.unwrap_or_default();
            policy.foreign.retain(|sid| text.contains(sid.as_str()));
        }
        policy.written = document.map(str::to_owned);
        policy.is_restored = true;
        policy.delay = delay;
    }

    /// Lets time pass: policies take effect, and the replicator works.
    pub(crate) fn pass_time(&mut self, seconds: u64) {
        self.seconds += i64::try_from(seconds.max(1)).unwrap();
        for policy in &mut self.policies {
            policy.delay = policy.delay.saturating_sub(1);
            if policy.delay == 0 {
                policy.effective.clone_from(&policy.written);
                policy.is_stripped &= !policy.is_restored;
            }
        }
        for key in std::mem::take(&mut self.queue) {
            if !self.replicate(key) {
                self.queue.push(key);
            }
        }
    }

    fn has_effect(&self, side: SideName, sid: &str) -> bool {
        let effective = self.policies[index(side)].effective.as_deref();
        effective.is_some_and(|policy| policy.contains(sid))
    }

    /// Returns whether applications may not write to a bucket.
    pub(crate) fn is_denied(&self, side: SideName) -> bool {
        match side {
            SideName::Source => self.has_effect(side, &self.route.freeze_sid()),
            SideName::Destination => {
                self.blind != Blind::RollbackDeny && self.has_effect(side, &self.route.rollback_sid())
            }
        }
    }

    fn write(&mut self, side: SideName, key: &'static str) {
        self.values += 1;
        let bucket = &mut self.buckets[index(side)];
        bucket.objects.insert(key, self.values);
        bucket.versions += 1;
        if side == SideName::Source {
            self.queue.push(key);
        }
    }

    /// Writes on behalf of an application. Returns whether the write is acknowledged.
    pub(crate) fn app_write(&mut self, side: SideName, key: &'static str) -> bool {
        if self.is_denied(side) {
            return false;
        }
        self.write(side, key);
        self.note(format!("    {key} = {} at the {}", self.values, side.as_str()));
        // A straggler that writes because another tool opened the source after the switch is beyond any safeguard.
        if side == self.app_side || !self.policies[0].is_stripped {
            self.acknowledged.insert(key, self.values);
        }
        true
    }

    /// Copies a key as the replicator does with exclusive ownership. Returns whether it may.
    fn replicate(&mut self, key: &'static str) -> bool {
        let is_sealed = self.blind != Blind::Seal && self.has_effect(SideName::Destination, &self.route.seal_sid());
        if is_sealed || self.has_effect(SideName::Destination, &self.route.rollback_sid()) {
            return false;
        }
        self.copy(key, SideName::Source, SideName::Destination);
        true
    }

    pub(crate) fn copy(&mut self, key: &'static str, from: SideName, to: SideName) {
        let value = self.buckets[index(from)].objects.get(key).copied();
        let bucket = &mut self.buckets[index(to)];
        if let Some(value) = value
            && bucket.objects.insert(key, value) != Some(value)
        {
            bucket.versions += 1;
        }
    }

    pub(crate) fn copy_all(&mut self, from: SideName, to: SideName) {
        let keys: Vec<&'static str> = self.buckets[index(from)].objects.keys().copied().collect();
        for key in keys {
            self.copy(key, from, to);
        }
    }

    pub(crate) fn fingerprint(&self, side: SideName) -> String {
        if matches!(self.blind, Blind::Fingerprints | Blind::RollbackDeny) {
            return "same".to_owned();
        }
        let bucket = &self.buckets[index(side)];
        format!("{:?}#{}", bucket.objects, bucket.versions)
    }

    /// Checks that the bucket that applications use has every acknowledged write.
    pub(crate) fn check_writes(&mut self, side: SideName) {
        let objects = self.buckets[index(side)].objects.clone();
        for (key, value) in self.acknowledged.clone() {
            let found = objects.get(key).copied();
            if found != Some(value) {
                self.violate(format!(
                    "the acknowledged write {key} = {value} is lost: the {} has {found:?}",
                    side.as_str()
                ));
            }
        }
    }

    /// Checks which statements of s3ferry the policies have, and that those of others are intact.
    pub(crate) fn check_policies(&mut self, source: &[String], destination: &[String]) {
        for (side, expected) in [(SideName::Source, source), (SideName::Destination, destination)] {
            let policy = self.policies[index(side)].clone();
            let document: Value = serde_json::from_str(policy.written.as_deref().unwrap_or("{}")).unwrap();
            let statements = document["Statement"].as_array().cloned().unwrap_or_default();
            let sids: Vec<&str> = statements
                .iter()
                .filter_map(|statement| statement["Sid"].as_str())
                .collect();
            let own: Vec<&str> = sids.iter().copied().filter(|sid| sid.starts_with("S3ferry")).collect();
            let is_gone = policy.is_stripped && !policy.is_restored;
            if own != expected && !is_gone {
                self.violate(format!("the {} policy has {own:?}, not {expected:?}", side.as_str()));
            }
            for sid in &policy.foreign {
                if !statements.contains(&foreign(sid)) {
                    self.violate(format!("the {} policy lost the foreign statement {sid}", side.as_str()));
                }
            }
        }
    }
}
