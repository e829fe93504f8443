//! Every interleaving of a scenario: every order of its steps, one after the other.

use std::collections::BTreeMap;
use std::time::Duration;

use s3ferry_core::event::KeyHint;
use s3ferry_core::facts::{Attribute, AttributeSet, ObjectFacts};
use s3ferry_core::names::ObjectKey;
use s3ferry_core::redelivery::attributes_after_interruption;
use s3ferry_core::time::Timestamp;
use s3ferry_engine::batch::RecordResult;
use s3ferry_testkit::memory::{MemoryBucket, PendingPut};
use s3ferry_testkit::schedule::{PortOperation, RequestFate, SchedulePaths, ScheduledRequest, SimulatedInvocation};

use super::exclusive::Moment;
use super::scenario::{Before, ObjectSpec, Scenario, SecondInvocation, Write};
use super::simulation::{ListedSource, PART_BYTES, Simulation, VISIBILITY_TIMEOUT, Violation, hint};

/// The longest wait within an invocation: until the second after that of an object with tags.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// Age of a listed object that is copied before it is read.
const LISTED_AGE: Duration = Duration::from_secs(3);

/// How long an invocation may run.
const DEADLINE: Duration = Duration::from_mins(10);

/// More invocations than any interleaving should take.
const MAX_INVOCATIONS: u32 = 30;

#[derive(Debug, Clone, Copy)]
enum Step {
    Land(usize, RequestFate),
    WriteSource,
    WriteDestination,
    Crash,
    /// An invocation has waited long enough.
    Advance(Timestamp),
}

#[derive(Debug)]
struct Running {
    invocation: SimulatedInvocation<Vec<RecordResult>>,
    hint: KeyHint,
    began: Moment,
    is_listed: bool,
}

#[derive(Debug)]
struct Walk {
    scenario: Scenario,
    key: ObjectKey,
    simulation: Simulation,
    running: BTreeMap<u32, Running>,
    /// Messages that are delivered once nothing else can happen, and when they become visible.
    queue: Vec<(KeyHint, Timestamp)>,
    started: u32,
    /// The invocation of the first event.
    first: u32,
    may_write_source: bool,
    may_write_destination: bool,
    may_crash: bool,
    upload: Option<PendingPut>,
}

/// Walks every interleaving of a scenario; returns how many there are, or the first that fails, with its trace.
pub(crate) fn walk_every_interleaving(scenario: Scenario) -> Result<u64, Violation> {
    let (mut paths, mut count) = (SchedulePaths::default(), 0);
    loop {
        if Walk::new(scenario, false).walk(&mut paths).is_err() {
            // The same interleaving again, with its trace.
            paths.restart();
            let mut walk = Walk::new(scenario, true);
            let violation = walk.walk(&mut paths).unwrap_err();
            let trace = walk.simulation.trace.unwrap_or_default().join("\n");
            return Err(format!("{scenario:?}, interleaving {count}:\n{trace}\n{violation}"));
        }
        count += 1;
        if !paths.advance() {
            return Ok(count);
        }
    }
}

impl Walk {
    fn new(scenario: Scenario, is_traced: bool) -> Self {
        let Scenario {
            ownership,
            source_versioned,
            destination_versioned,
            mutant,
            ..
        } = scenario;
        Self {
            scenario,
            key: ObjectKey::from_raw("a").unwrap(),
            simulation: Simulation::new(ownership, source_versioned, destination_versioned, mutant, is_traced),
            running: BTreeMap::new(),
            queue: Vec::new(),
            started: 0,
            first: 0,
            may_write_source: false,
            may_write_destination: false,
            may_crash: false,
            upload: None,
        }
    }

    fn walk(&mut self, paths: &mut SchedulePaths) -> Result<(), Violation> {
        self.set_up(paths)?;
        self.may_write_source = self.scenario.at_source != Write::Nothing;
        self.may_write_destination = self.scenario.at_destination != Write::Nothing;
        self.may_crash = self.scenario.crash;
        self.first = self.started + 1;
        let created = self.created();
        if self.scenario.second == SecondInvocation::AfterDuplicate {
            self.start(created.clone())?;
        }
        let listed = self
            .scenario
            .listed
            .then(|| self.simulation.listed(&self.key))
            .flatten();
        self.start_listed(created, listed)?;
        self.run(paths)?;
        self.simulation.check_at_rest([&self.key])
    }

    fn set_up(&mut self, paths: &mut SchedulePaths) -> Result<(), Violation> {
        match self.scenario.before {
            Before::Nothing if self.scenario.listed => {
                self.put_at_source(ObjectSpec::UNTAGGED);
                if self.scenario.ticks {
                    self.simulation.pass(LISTED_AGE);
                }
            }
            Before::Nothing => self.put_at_source(ObjectSpec::FIRST),
            Before::SameSecond(object) => {
                self.put_at_destination(object);
                self.put_at_source(ObjectSpec::FIRST);
            }
            Before::Older(object) => {
                self.put_at_destination(object);
                self.tick();
                self.put_at_source(ObjectSpec::FIRST);
            }
            Before::Newer(object) => {
                self.put_at_source(ObjectSpec::FIRST);
                self.tick();
                self.put_at_destination(object);
            }
            Before::Copy | Before::DeletedCopy => {
                self.put_at_source(ObjectSpec::OTHER_METADATA);
                self.start(self.created())?;
                self.run(paths)?;
                self.tick();
                if self.scenario.before == Before::DeletedCopy {
                    self.simulation.delete_at_destination(&self.key);
                    self.tick();
                }
                self.put_at_source(ObjectSpec::FIRST);
            }
        }
        if self.simulation.is_shared() {
            self.tick();
            self.upload = Some(self.simulation.destination.begin_put());
            self.tick();
        }
        Ok(())
    }

    /// Runs until nothing is left to do.
    fn run(&mut self, paths: &mut SchedulePaths) -> Result<(), Violation> {
        loop {
            let steps = self.steps();
            if !steps.is_empty() {
                self.step(steps[paths.below(steps.len())])?;
                continue;
            }
            // The messages that are visible now, or else those that become visible first, arrive in any order.
            let Some(earliest) = self.queue.iter().map(|(_, visible)| *visible).min() else {
                return Ok(());
            };
            let now = self.simulation.now().max(earliest);
            self.simulation.pass(now.since(self.simulation.now()));
            let visible = |index: &usize| self.queue[*index].1 <= now;
            let candidates: Vec<usize> = (0..self.queue.len()).filter(visible).collect();
            let (hint, _) = self.queue.swap_remove(candidates[paths.below(candidates.len())]);
            self.start(hint)?;
        }
    }

    /// Lists what may happen next.
    fn steps(&self) -> Vec<Step> {
        let requests = self.simulation.schedule.requests();
        let may_crash = self.may_crash && self.running.contains_key(&self.first);
        if let Some(index) = self.independent(&requests) {
            // With shared ownership only at the first read of a pass: at the others, a crash has the same effect.
            let is_distinct =
                !self.simulation.is_shared() || requests[index].about.operation == PortOperation::SourceRead;
            let land = Step::Land(index, self.fate(&requests[index]));
            let crash = (may_crash && is_distinct).then_some(Step::Crash);
            return std::iter::once(land).chain(crash).collect();
        }
        let mut steps = Vec::new();
        for (index, request) in requests.iter().enumerate() {
            if request.awaited {
                steps.push(Step::Land(index, self.fate(request)));
            } else {
                steps.push(Step::Land(index, RequestFate::LandsLate));
                steps.push(Step::Land(index, RequestFate::Vanishes));
            }
        }
        let soon = self.simulation.now().plus(LONGEST_WAIT);
        let is_waiting = requests.is_empty() && !self.running.is_empty();
        let timer = self.simulation.schedule.next_timer();
        let next = timer.filter(|next| is_waiting || *next <= soon);
        steps.extend(next.map(Step::Advance));
        steps.extend(self.may_write_source.then_some(Step::WriteSource));
        steps.extend(self.may_write_destination.then_some(Step::WriteDestination));
        steps.extend(may_crash.then_some(Step::Crash));
        steps
    }

    /// Finds a read that returns the same at any time from now on: its order makes no difference.
    fn independent(&self, requests: &[ScheduledRequest]) -> Option<usize> {
        // With shared ownership there are more steps: a single invocation's reads of the destination count too.
        let is_alone = self.simulation.is_shared()
            && self.running.len() == 1
            && !self.may_write_destination
            && requests.iter().all(|request| request.awaited);
        let is_independent = |request: &ScheduledRequest| {
            if self.reads_source(request) {
                return !self.may_write_source;
            }
            is_alone && !request.about.operation.has_effect()
        };
        requests
            .iter()
            .position(|request| request.awaited && is_independent(request))
    }

    fn reads_source(&self, request: &ScheduledRequest) -> bool {
        match request.about.operation {
            PortOperation::SourceRead
            | PortOperation::ConfirmAbsence
            | PortOperation::ListSourceVersions
            | PortOperation::Replication
            | PortOperation::ReadMore
            | PortOperation::CopyPart => true,
            PortOperation::Copy => self.fate(request) == RequestFate::Begins,
            _ => false,
        }
    }

    /// A copy of an object without versions reads and writes in two steps; a version is the same whenever it is read.
    fn fate(&self, request: &ScheduledRequest) -> RequestFate {
        if request.about.operation == PortOperation::Copy && !request.begun && !self.scenario.source_versioned {
            RequestFate::Begins
        } else {
            RequestFate::Answered
        }
    }

    fn step(&mut self, step: Step) -> Result<(), Violation> {
        match step {
            Step::Land(index, fate) => {
                let request = self.simulation.schedule.requests().swap_remove(index);
                if request.about.operation == PortOperation::Copy && !self.simulation.is_shared() {
                    self.tick();
                }
                self.simulation.land(&request, fate)?;
                self.queue.extend(self.simulation.take_continuations());
                self.poll(request.about.invocation)
            }
            Step::WriteSource => {
                self.may_write_source = false;
                self.tick();
                self.write_source()
            }
            Step::WriteDestination => {
                self.may_write_destination = false;
                self.tick();
                self.write_destination();
                Ok(())
            }
            Step::Crash => {
                self.may_crash = false;
                let id = self.first;
                self.simulation.log(|| format!("#{id} crashes"));
                self.simulation.interrupt(id);
                let crashed = self.running.remove(&id).unwrap();
                self.redeliver(crashed.hint);
                Ok(())
            }
            Step::Advance(to) => {
                self.simulation.pass(to.since(self.simulation.now()));
                let ids: Vec<u32> = self.running.keys().copied().collect();
                ids.into_iter().try_for_each(|id| self.poll(id))
            }
        }
    }

    fn write_source(&mut self) -> Result<(), Violation> {
        let write = self.scenario.at_source;
        self.simulation.log(|| format!("source: {write:?}"));
        let mut event = hint(&self.key, "written", AttributeSet::new());
        match write {
            Write::Put(object) => self.put_at_source(object),
            Write::Delete => self.simulation.source.delete(self.key.as_str()),
            Write::Tag(stage) => {
                self.simulation.source.tag(self.key.as_str(), &[("stage", stage)]);
                event.attributes.extend([Attribute::Tags]);
            }
            Write::Nothing | Write::Edit | Write::Restore | Write::Upload => {
                unreachable!("{write:?} is of the destination")
            }
        }
        self.simulation.record(&self.key);
        if self.scenario.second == SecondInvocation::Concurrent {
            return self.start(event);
        }
        self.queue.push((event, self.simulation.now()));
        Ok(())
    }

    fn write_destination(&mut self) {
        let (write, key) = (self.scenario.at_destination, self.key.clone());
        self.simulation.log(|| format!("destination: {write:?}"));
        match write {
            Write::Put(object) => self.put_at_destination(object),
            Write::Delete => self.simulation.delete_at_destination(&key),
            Write::Restore => {
                let history = self.simulation.destination.history(key.as_str());
                if let Some(oldest) = history.iter().rfind(|version| !version.is_delete_marker()) {
                    let restore = |bucket: &MemoryBucket| bucket.rewrite(key.as_str(), &oldest.version);
                    self.simulation.write_destination(&key, restore);
                }
            }
            Write::Upload => {
                let upload = self.upload.take().unwrap();
                let complete = |bucket: &MemoryBucket| bucket.finish_put(key.as_str(), &upload, "uploaded", |_| ());
                self.simulation.write_destination(&key, complete);
                // Its event lets s3ferry find what the object hides.
                self.queue.push((self.created(), self.simulation.now()));
            }
            Write::Edit => {
                let Some(facts) = self.simulation.destination.facts(key.as_str()) else {
                    return;
                };
                self.simulation.write_destination(&key, |bucket| {
                    bucket.put_with(key.as_str(), "three", |edited| {
                        edited.user_metadata = facts.user_metadata;
                    });
                });
            }
            Write::Nothing | Write::Tag(_) => unreachable!("{write:?} is of the source"),
        }
    }

    fn put_at_source(&mut self, object: ObjectSpec) {
        self.putting(object, self.scenario.large)(&self.simulation.source);
        self.simulation.record(&self.key);
    }

    fn put_at_destination(&mut self, object: ObjectSpec) {
        let key = self.key.clone();
        let put = self.putting(object, false);
        self.simulation.write_destination(&key, put);
    }

    /// Returns the write of an object. With shared ownership it has no tags, which make too many steps.
    fn putting(
        &self,
        ObjectSpec(content, owner, stage): ObjectSpec,
        large: bool,
    ) -> impl FnOnce(&MemoryBucket) + use<> {
        let has_tags = !self.simulation.is_shared() && !stage.is_empty();
        let (key, stage) = (self.key.clone(), has_tags.then_some(stage));
        move |bucket| {
            let change = |facts: &mut ObjectFacts| {
                facts.user_metadata = [("owner".to_owned(), owner.to_owned())].into();
                facts.tags = stage.map(|stage| [("stage".to_owned(), stage.to_owned())].into());
            };
            if large {
                bucket.put_large_with(key.as_str(), content, PART_BYTES + 1, &[], change);
            } else {
                bucket.put_with(key.as_str(), content, change);
            }
        }
    }

    fn tick(&mut self) {
        if self.scenario.ticks {
            self.simulation.pass(Duration::from_secs(1));
        }
    }

    fn created(&self) -> KeyHint {
        hint(&self.key, "ObjectCreated:Put", AttributeSet::new())
    }

    /// Delivers a message again, as the function handles it then.
    fn redeliver(&mut self, mut hint: KeyHint) {
        hint.attributes.extend(attributes_after_interruption());
        // With exclusive ownership at once, so that it may arrive before the event of a write too. With shared ownership
        // there are too many interleavings for that.
        let delay = if self.simulation.is_shared() {
            VISIBILITY_TIMEOUT
        } else {
            Duration::ZERO
        };
        self.queue.push((hint, self.simulation.now().plus(delay)));
    }

    fn start(&mut self, hint: KeyHint) -> Result<(), Violation> {
        self.start_listed(hint, None)
    }

    fn start_listed(&mut self, hint: KeyHint, listed: Option<ListedSource>) -> Result<(), Violation> {
        let is_listed = listed.is_some();
        self.started += 1;
        let id = self.started;
        if id > MAX_INVOCATIONS {
            return Err(format!("still active after {MAX_INVOCATIONS} invocations"));
        }
        self.simulation.log(|| format!("#{id} begins with {}", hint.event_name));
        let running = Running {
            invocation: self
                .simulation
                .invocation(id, vec![hint.clone()], listed, DEADLINE, true),
            began: self.simulation.moment(&self.key),
            hint,
            is_listed,
        };
        self.running.insert(id, running);
        self.poll(id)
    }

    fn poll(&mut self, id: u32) -> Result<(), Violation> {
        let Some(running) = self.running.get_mut(&id) else {
            return Ok(());
        };
        let Some(results) = running.invocation.poll() else {
            return Ok(());
        };
        let ended = self.running.remove(&id).unwrap();
        let report = &results[0].report;
        self.simulation.log(|| format!("#{id} ends: {:?}", report.outcome));
        if results[0].acknowledged {
            if ended.is_listed && self.running.is_empty() {
                self.simulation.check_equal_since_last_read(id, &self.key)?;
            }
            return self.simulation.check_acknowledged(id, &self.key, ended.began);
        }
        if !self.simulation.is_shared() {
            return Err(format!("#{id} is not acknowledged though nothing failed: {report:?}"));
        }
        self.redeliver(ended.hint);
        Ok(())
    }
}
