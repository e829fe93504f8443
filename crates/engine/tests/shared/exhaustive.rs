//! One key, one write of the source, one of the destination, a crash: every order of their steps, one after the other.

use std::collections::BTreeMap;
use std::time::Duration;

use s3ferry_core::event::{ContinuationHops, KeyHint};
use s3ferry_core::facts::{Attribute, AttributeSet};
use s3ferry_core::names::ObjectKey;
use s3ferry_core::time::Timestamp;
use s3ferry_engine::batch::RecordResult;
use s3ferry_testkit::memory::{MemoryBucket, PendingPut};
use s3ferry_testkit::schedule::{PortOperation, RequestFate, SchedulePaths, ScheduledRequest, SimulatedInvocation};

use super::mutants::Mutant;
use super::run::VISIBILITY;
use super::world::{Author, Violation, World, source_bucket};
use crate::seeds::ways::every_way;

/// For how long an invocation may run.
const LASTS: Duration = Duration::from_mins(10);

/// More invocations than any way should take.
const INVOCATIONS: u32 = 30;

/// What an object is made of: content, and owner in its metadata.
type Object = (&'static str, &'static str);

const FIRST: Object = ("one", "team a");
const OTHER: Object = ("two", "team a");
const OTHER_METADATA: Object = ("one", "team b");

/// What the destination holds before the source's event is delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    Nothing,
    /// An application's object, older than the source's.
    Older(Object),
    /// An application's object, newer than the source's.
    Newer(Object),
    /// A copy of ours of what the source held before.
    Ours,
    /// A copy of ours that an application deleted.
    Deleted,
}

/// What an application does, once.
#[derive(Debug, Clone, Copy)]
enum Write {
    Nothing,
    Put(Object),
    Delete,
    /// A change of the content that keeps all metadata, a marker of ours too.
    Edit,
    /// The oldest object is written again as it is, marker and all.
    Restore,
    /// An upload that was begun before the first event lands.
    Upload,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Scenario {
    source_versioned: bool,
    before: Before,
    at_source: Write,
    at_destination: Write,
    /// The invocation of the source's second event runs beside that of the first; else after it.
    concurrent: bool,
    /// The first invocation may crash anywhere, and its message comes again.
    crash: bool,
    mutant: Mutant,
}

/// Returns the scenarios in which one invocation runs at a time.
pub(crate) fn one_at_a_time(mutant: Mutant) -> Vec<Scenario> {
    let beginnings = [
        Before::Nothing,
        Before::Older(OTHER),
        Before::Older(FIRST),
        Before::Newer(OTHER),
        Before::Newer(OTHER_METADATA),
        Before::Ours,
        Before::Deleted,
    ];
    let at_source = [Write::Nothing, Write::Put(OTHER), Write::Delete];
    let at_destination = [
        Write::Nothing,
        Write::Put(OTHER),
        Write::Put(FIRST),
        Write::Delete,
        Write::Edit,
        Write::Restore,
        Write::Upload,
    ];
    let mut scenarios = Vec::new();
    for source_versioned in [true, false] {
        for before in beginnings {
            for at_source in at_source {
                for at_destination in at_destination {
                    // Some of the writes make a difference on one kind of source as on the other.
                    let is_odd = matches!(at_destination, Write::Restore | Write::Upload | Write::Edit);
                    if is_odd && !source_versioned {
                        continue;
                    }
                    scenarios.push(Scenario {
                        source_versioned,
                        before,
                        at_source,
                        at_destination,
                        concurrent: false,
                        crash: true,
                        mutant,
                    });
                }
            }
        }
    }
    scenarios
}

/// Returns scenarios in which the invocations of both events run from their start: those have most ways, so nobody
/// writes to the destination meanwhile.
pub(crate) fn two_at_once(mutant: Mutant) -> Vec<Scenario> {
    let mut scenarios = one_at_a_time(mutant);
    scenarios.retain(|scenario| {
        let only_source = matches!(
            (scenario.at_source, scenario.at_destination),
            (Write::Put(_), Write::Nothing)
        );
        only_source && scenario.source_versioned && scenario.before == Before::Nothing
    });
    for scenario in &mut scenarios {
        scenario.concurrent = true;
        scenario.crash = false;
    }
    scenarios
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Land(usize, RequestFate),
    WriteSource,
    WriteDestination,
    Crash,
    /// Everybody waits.
    Advance(Timestamp),
}

/// A message that is delivered when everything else is done, and not before its time.
#[derive(Debug)]
struct Later {
    hint: KeyHint,
    visible: Timestamp,
}

#[derive(Debug)]
struct Running {
    invocation: SimulatedInvocation<Vec<RecordResult>>,
    hint: KeyHint,
}

#[derive(Debug)]
struct Walk {
    scenario: Scenario,
    key: ObjectKey,
    world: World,
    running: BTreeMap<u32, Running>,
    later: Vec<Later>,
    started: u32,
    taken: usize,
    may_write_source: bool,
    may_write_destination: bool,
    may_crash: bool,
    begun: Option<PendingPut>,
}

/// Walks every way through a scenario.
pub(crate) fn walk_all(scenario: Scenario) -> Result<u64, Violation> {
    every_way(scenario, |traced, paths| {
        let mut walk = Walk::new(scenario);
        walk.world.trace = traced.then(Vec::new);
        let walked = walk.walk(paths);
        walked.map_err(|violation| (violation, walk.world.trace.unwrap_or_default()))
    })
}

fn put(bucket: &MemoryBucket, key: &ObjectKey, (content, owner): Object) {
    bucket.put_with(key.as_str(), content, |facts| {
        facts.user_metadata = [("owner".to_owned(), owner.to_owned())].into();
    });
}

impl Walk {
    fn new(scenario: Scenario) -> Self {
        Self {
            scenario,
            key: ObjectKey::from_raw("a").unwrap(),
            world: World::new(scenario.source_versioned, scenario.mutant),
            running: BTreeMap::new(),
            later: Vec::new(),
            started: 0,
            taken: 0,
            may_write_source: false,
            may_write_destination: false,
            may_crash: false,
            begun: None,
        }
    }

    fn walk(&mut self, paths: &mut SchedulePaths) -> Result<(), Violation> {
        self.set_up(paths)?;
        self.may_write_source = !matches!(self.scenario.at_source, Write::Nothing);
        self.may_write_destination = !matches!(self.scenario.at_destination, Write::Nothing);
        self.may_crash = self.scenario.crash;
        self.begun = Some(self.world.destination.begin_put());
        self.tick();
        let event = self.hint("ObjectCreated:Put", AttributeSet::new());
        self.start(event)?;
        self.run(paths)?;
        self.world.check([&self.key])
    }

    fn set_up(&mut self, paths: &mut SchedulePaths) -> Result<(), Violation> {
        match self.scenario.before {
            Before::Nothing => put(&self.world.source, &self.key, FIRST),
            Before::Older(object) => {
                self.put_at_destination(object);
                self.tick();
                put(&self.world.source, &self.key, FIRST);
            }
            Before::Newer(object) => {
                put(&self.world.source, &self.key, FIRST);
                self.tick();
                self.put_at_destination(object);
            }
            Before::Ours | Before::Deleted => {
                put(&self.world.source, &self.key, OTHER_METADATA);
                let event = self.hint("ObjectCreated:Put", AttributeSet::new());
                self.start(event)?;
                self.run(paths)?;
                self.tick();
                if self.scenario.before == Before::Deleted {
                    self.delete_at_destination();
                    self.tick();
                }
                put(&self.world.source, &self.key, FIRST);
            }
        }
        self.tick();
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
            let Some(later) = self.later.pop() else {
                return Ok(());
            };
            if later.visible > self.world.now() {
                self.world.pass(later.visible.since(self.world.now()));
            }
            self.start(later.hint)?;
        }
    }

    fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        let requests = self.world.schedule.requests();
        let may_crash = self.may_crash && self.running.contains_key(&self.crashing());
        // Reads that answer the same at any time from now on are taken at once: their order makes no difference.
        // Nobody but the one invocation can change anything at the destination.
        let is_alone =
            self.running.len() == 1 && !self.may_write_destination && requests.iter().all(|request| request.awaited);
        let is_settled = |request: &ScheduledRequest| {
            let reads = (!self.may_write_source && self.reads_source(request))
                || request.about.operation == PortOperation::Settings
                || (is_alone && !request.about.operation.has_effect() && !self.reads_source(request));
            request.awaited && reads
        };
        if let Some(index) = requests.iter().position(is_settled) {
            steps.push(Step::Land(index, self.landing(&requests[index])));
            // Every pass reads the source: a crash at any other read of it comes to the same.
            let begins_pass = requests[index].about.operation == PortOperation::SourceRead;
            steps.extend((may_crash && begins_pass).then_some(Step::Crash));
            return steps;
        }
        for (index, request) in requests.iter().enumerate() {
            if request.awaited {
                steps.push(Step::Land(index, self.landing(request)));
            } else {
                steps.push(Step::Land(index, RequestFate::LandsLate));
                steps.push(Step::Land(index, RequestFate::Vanishes));
            }
        }
        if requests.is_empty() && !self.running.is_empty() {
            steps.extend(self.world.schedule.next_timer().map(Step::Advance));
        }
        steps.extend(self.may_write_source.then_some(Step::WriteSource));
        steps.extend(self.may_write_destination.then_some(Step::WriteDestination));
        steps.extend(may_crash.then_some(Step::Crash));
        steps
    }

    /// The invocation that may crash: the first after what was there before.
    fn crashing(&self) -> u32 {
        match self.scenario.before {
            Before::Ours | Before::Deleted => 2,
            Before::Nothing | Before::Older(_) | Before::Newer(_) => 1,
        }
    }

    fn reads_source(&self, request: &ScheduledRequest) -> bool {
        match request.about.operation {
            PortOperation::SourceRead
            | PortOperation::ConfirmAbsence
            | PortOperation::SourceVersions
            | PortOperation::Replication
            | PortOperation::ReadMore => true,
            PortOperation::Copy => self.landing(request) == RequestFate::Begins,
            _ => false,
        }
    }

    /// A copy of an object without versions reads and writes in two steps; a version is the same whenever it is read.
    fn landing(&self, request: &ScheduledRequest) -> RequestFate {
        if request.about.operation == PortOperation::Copy && !request.begun && !self.scenario.source_versioned {
            RequestFate::Begins
        } else {
            RequestFate::Answered
        }
    }

    fn step(&mut self, step: Step) -> Result<(), Violation> {
        match step {
            Step::Land(index, landing) => {
                let request = self.world.schedule.requests().swap_remove(index);
                self.world.land(&request, landing)?;
                self.take_continuations();
                self.poll(request.about.invocation);
                Ok(())
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
                if matches!(self.scenario.at_destination, Write::Upload) {
                    // Whatever comes next finds what it hides.
                    let event = self.hint("ObjectCreated:Put", AttributeSet::new());
                    self.later(event, self.world.now());
                }
                Ok(())
            }
            Step::Crash => {
                self.may_crash = false;
                let id = self.crashing();
                self.world.log(|| format!("#{id} crashes"));
                let crashed = self.running.remove(&id).unwrap();
                self.again(crashed.hint);
                Ok(())
            }
            Step::Advance(to) => {
                self.world.pass(to.since(self.world.now()));
                let ids: Vec<u32> = self.running.keys().copied().collect();
                for id in ids {
                    self.poll(id);
                }
                Ok(())
            }
        }
    }

    fn write_source(&mut self) -> Result<(), Violation> {
        let write = self.scenario.at_source;
        self.world.log(|| format!("source: {write:?}"));
        let event = match write {
            Write::Put(object) => {
                put(&self.world.source, &self.key, object);
                self.hint("ObjectCreated:Put", AttributeSet::new())
            }
            Write::Delete => {
                self.world.source.delete(self.key.as_str());
                self.hint("ObjectRemoved:Delete", AttributeSet::new())
            }
            Write::Nothing | Write::Edit | Write::Restore | Write::Upload => return Ok(()),
        };
        if self.scenario.concurrent {
            return self.start(event);
        }
        self.later(event, self.world.now());
        Ok(())
    }

    fn write_destination(&mut self) {
        let write = self.scenario.at_destination;
        self.world.log(|| format!("destination: {write:?}"));
        match write {
            Write::Nothing => {}
            Write::Put(object) => self.put_at_destination(object),
            Write::Delete => self.delete_at_destination(),
            Write::Restore => {
                let history = self.world.destination.history(self.key.as_str());
                let key = self.key.clone();
                if let Some(oldest) = history.iter().rfind(|stamp| !stamp.is_delete_marker()) {
                    self.world.written_by(Author::Application, &key, |bucket| {
                        bucket.rewrite(key.as_str(), &oldest.version);
                    });
                }
            }
            Write::Upload => {
                let (key, begun) = (self.key.clone(), self.begun.take());
                self.world.written_by(Author::Application, &key, |bucket| {
                    if let Some(begun) = &begun {
                        bucket.finish_put(key.as_str(), begun, "uploaded", |_| ());
                    }
                });
            }
            Write::Edit => {
                let Some(facts) = self.world.destination.facts(self.key.as_str()) else {
                    return;
                };
                let key = self.key.clone();
                self.world.written_by(Author::Application, &key, |bucket| {
                    bucket.put_with(key.as_str(), "three", |edited| {
                        edited.user_metadata = facts.user_metadata;
                    });
                });
            }
        }
    }

    fn put_at_destination(&mut self, object: Object) {
        let key = self.key.clone();
        self.world
            .written_by(Author::Application, &key, |bucket| put(bucket, &key, object));
    }

    fn delete_at_destination(&mut self) {
        let key = self.key.clone();
        let history = self.world.destination.history(key.as_str());
        let Some(current) = history.first().filter(|stamp| !stamp.is_delete_marker()) else {
            return;
        };
        let author = if self.world.is_announced(&key, current) {
            Author::Doubtful
        } else {
            Author::Application
        };
        self.world
            .written_by(author, &key, |bucket| bucket.delete(key.as_str()));
    }

    /// No two writes are of the same second, as far as applications are concerned.
    fn tick(&mut self) {
        self.world.pass(Duration::from_secs(1));
    }

    fn hint(&self, name: &str, attributes: AttributeSet) -> KeyHint {
        KeyHint {
            bucket: source_bucket(),
            key: self.key.clone(),
            event_name: name.to_owned(),
            attributes,
            sequencer: None,
            hops: ContinuationHops::default(),
        }
    }

    fn later(&mut self, hint: KeyHint, visible: Timestamp) {
        self.later.push(Later { hint, visible });
        // The last is taken first.
        self.later.sort_by_key(|later| std::cmp::Reverse(later.visible));
    }

    /// Has a message come again, as the function takes one that does.
    fn again(&mut self, mut hint: KeyHint) {
        hint.attributes.extend([Attribute::Tags, Attribute::UnfinishedUpload]);
        self.later(hint, self.world.now().plus(VISIBILITY));
    }

    fn take_continuations(&mut self) {
        let sent = self.world.sent.lock().unwrap()[self.taken..].to_vec();
        self.taken += sent.len();
        for sent in sent {
            let hint = self.hint("continuation", sent.continuation.attributes);
            self.later(hint, sent.arrives);
        }
    }

    fn start(&mut self, hint: KeyHint) -> Result<(), Violation> {
        self.started += 1;
        let id = self.started;
        if id > INVOCATIONS {
            return Err(format!("no rest after {INVOCATIONS} invocations"));
        }
        self.world.log(|| format!("#{id} begins with {}", hint.event_name));
        let invocation = self.world.invocation(id, vec![hint.clone()], LASTS);
        self.running.insert(id, Running { invocation, hint });
        self.poll(id);
        Ok(())
    }

    fn poll(&mut self, id: u32) {
        let Some(running) = self.running.get_mut(&id) else {
            return;
        };
        let Some(settled) = running.invocation.poll() else {
            return;
        };
        let ended = self.running.remove(&id).unwrap();
        let outcome = &settled[0].report.outcome;
        self.world.log(|| format!("#{id} ends: {outcome:?}"));
        if !settled[0].acknowledged {
            self.again(ended.hint);
        }
    }
}
