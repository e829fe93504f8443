//! Two invocations and one writer on one key: every order of their steps, one after the other.

use std::collections::BTreeMap;
use std::time::Duration;

use s3ferry_core::event::KeyHint;
use s3ferry_core::facts::{AttributeSet, ObjectFacts};
use s3ferry_core::names::ObjectKey;
use s3ferry_core::redelivery::attributes_after_interruption;
use s3ferry_core::time::Timestamp;
use s3ferry_engine::batch::RecordResult;
use s3ferry_testkit::memory::MemoryBucket;
use s3ferry_testkit::schedule::{PortOperation, RequestFate, SchedulePaths, ScheduledRequest, SimulatedInvocation};

use super::history::Moment;
use super::message::{hint, tags};
use super::mutants::Mutant;
use super::world::{Violation, World};
use super::writer::PART_BYTES;
use crate::seeds::ways::every_way;

/// How long an invocation waits that goes on by itself: for the second after that of an object with tags.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// What an object is made of: content, owner in its metadata, stage in its tags.
pub(crate) type Object = (&'static str, &'static str, &'static str);

/// What the writer does, once.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Write {
    Put(Object),
    Tag(&'static str),
    Delete,
}

#[derive(Debug, Clone, Copy)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each says one thing that is possible or not"
)]
pub(crate) struct Scenario {
    pub(crate) source_versioned: bool,
    pub(crate) destination_versioned: bool,
    /// What the destination holds at first; the source holds [`FIRST`].
    pub(crate) destination: Option<Object>,
    pub(crate) write: Write,
    /// Both invocations have the first event, and a third the writer's; else the second has the writer's.
    pub(crate) duplicate: bool,
    /// The first invocation may crash anywhere, and its message comes again.
    pub(crate) crash: bool,
    /// The source's first object, and what the writer puts, is copied in parts. Then one invocation runs at a time, or
    /// there would be too many ways.
    pub(crate) large: bool,
    /// Every write is a second later than the one before, as S3 tells time.
    pub(crate) ticks: bool,
    pub(crate) mutant: Mutant,
}

/// What the source holds at first.
pub(crate) const FIRST: Object = ("one", "team a", "test");

#[derive(Debug, Clone, Copy)]
enum Step {
    Land(usize, RequestFate),
    Write,
    Crash,
    /// Somebody waited long enough.
    Advance(Timestamp),
}

#[derive(Debug)]
struct Running {
    invocation: SimulatedInvocation<Vec<RecordResult>>,
    began: Moment,
}

#[derive(Debug)]
struct Walk {
    scenario: Scenario,
    key: ObjectKey,
    world: World,
    running: BTreeMap<u32, Running>,
    /// Events that are delivered when everything else is done.
    later: Vec<KeyHint>,
    started: u32,
    may_write: bool,
    may_crash: bool,
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

fn put(bucket: &MemoryBucket, key: &ObjectKey, (content, owner, stage): Object, large: bool) {
    let change = |facts: &mut ObjectFacts| {
        facts.user_metadata = [("owner".to_owned(), owner.to_owned())].into();
        facts.tags = Some([("stage".to_owned(), stage.to_owned())].into());
    };
    if large {
        bucket.put_large_with(key.as_str(), content, PART_BYTES + 1, &[], change);
    } else {
        bucket.put_with(key.as_str(), content, change);
    }
}

impl Walk {
    fn new(scenario: Scenario) -> Self {
        let mut world = World::new(
            scenario.source_versioned,
            scenario.destination_versioned,
            scenario.mutant,
        );
        let key = ObjectKey::from_raw("a").unwrap();
        if let Some(object) = scenario.destination {
            put(&world.destination, &key, object, false);
        }
        put(&world.source, &key, FIRST, scenario.large);
        world.note(&key);
        Self {
            scenario,
            key,
            world,
            running: BTreeMap::new(),
            later: Vec::new(),
            started: 0,
            may_write: true,
            may_crash: scenario.crash,
        }
    }

    fn walk(&mut self, paths: &mut SchedulePaths) -> Result<(), Violation> {
        let first = hint(&self.key, "ObjectCreated:Put", AttributeSet::new());
        self.start(first.clone())?;
        if self.scenario.duplicate {
            self.start(first)?;
        }
        loop {
            let steps = self.steps();
            if steps.is_empty() {
                let Some(hint) = self.later.pop() else { break };
                self.start(hint)?;
                continue;
            }
            self.step(steps[paths.below(steps.len())])?;
        }
        self.world.check_equal([&self.key])?;
        self.world.check_tidy([&self.key])
    }

    /// Lists what may happen next. Once nobody writes the source any more, it answers the same at any time: such reads
    /// are taken at once, for their order makes no difference.
    fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        let may_crash = self.may_crash && self.running.contains_key(&1);
        let requests = self.world.schedule.requests();
        let is_settled = |request: &ScheduledRequest| request.awaited && self.reads_source(request) && !self.may_write;
        if let Some(index) = requests.iter().position(is_settled) {
            steps.push(Step::Land(index, self.landing(&requests[index])));
            steps.extend(may_crash.then_some(Step::Crash));
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
        let soon = self.world.now().plus(LONGEST_WAIT);
        let next = self.world.schedule.next_timer().filter(|next| *next <= soon);
        steps.extend(next.map(Step::Advance));
        if self.may_write {
            steps.push(Step::Write);
        }
        steps.extend(may_crash.then_some(Step::Crash));
        steps
    }

    fn reads_source(&self, request: &ScheduledRequest) -> bool {
        match request.about.operation {
            PortOperation::SourceRead
            | PortOperation::ConfirmAbsence
            | PortOperation::Replication
            | PortOperation::ReadMore
            | PortOperation::CopyPart => true,
            PortOperation::Copy => self.landing(request) == RequestFate::Begins,
            _ => false,
        }
    }

    /// A copy of an object without versions reads and writes in two steps; a version is the same whenever it is read.
    fn landing(&self, request: &ScheduledRequest) -> RequestFate {
        let about = &request.about;
        if about.operation == PortOperation::Copy && !request.begun && !self.scenario.source_versioned {
            RequestFate::Begins
        } else {
            RequestFate::Answered
        }
    }

    fn step(&mut self, step: Step) -> Result<(), Violation> {
        match step {
            Step::Land(index, landing) => {
                let request = self.world.schedule.requests().swap_remove(index);
                if request.about.operation == PortOperation::Copy {
                    self.tick();
                }
                self.world.land(&request, landing)?;
                self.poll(request.about.invocation)
            }
            Step::Advance(to) => {
                self.world.pass(to.since(self.world.now()));
                let ids: Vec<u32> = self.running.keys().copied().collect();
                ids.into_iter().try_for_each(|id| self.poll(id))
            }
            Step::Write => {
                self.may_write = false;
                self.tick();
                self.write()
            }
            Step::Crash => {
                self.may_crash = false;
                self.world.log(|| "#1 crashes".to_owned());
                self.running.remove(&1);
                self.world.interrupted(1);
                self.later
                    .push(hint(&self.key, "redelivered", attributes_after_interruption()));
                Ok(())
            }
        }
    }

    fn tick(&mut self) {
        if self.scenario.ticks {
            self.world.pass(Duration::from_secs(1));
        }
    }

    fn write(&mut self) -> Result<(), Violation> {
        let write = self.scenario.write;
        self.world.log(|| format!("source: {write:?}"));
        let mut event = hint(&self.key, "written", AttributeSet::new());
        match write {
            Write::Put(object) => put(&self.world.source, &self.key, object, self.scenario.large),
            Write::Delete => self.world.source.delete(self.key.as_str()),
            Write::Tag(stage) => {
                self.world.source.tag(self.key.as_str(), &[("stage", stage)]);
                event.attributes = tags();
            }
        }
        self.world.note(&self.key);
        if self.scenario.duplicate || self.scenario.large {
            self.later.push(event);
            return Ok(());
        }
        self.start(event)
    }

    fn start(&mut self, hint: KeyHint) -> Result<(), Violation> {
        self.started += 1;
        let id = self.started;
        self.world.log(|| format!("#{id} begins with {}", hint.event_name));
        let invocation = self.world.invocation(id, vec![hint], Duration::from_hours(1), true);
        let began = self.world.moment(&self.key);
        self.running.insert(id, Running { invocation, began });
        self.poll(id)
    }

    fn poll(&mut self, id: u32) -> Result<(), Violation> {
        let Some(running) = self.running.get_mut(&id) else {
            return Ok(());
        };
        let Some(settled) = running.invocation.poll() else {
            return Ok(());
        };
        let ended = self.running.remove(&id).unwrap();
        let report = &settled[0].report;
        self.world.log(|| format!("#{id} ends: {:?}", report.outcome));
        if !settled[0].acknowledged {
            return Err(format!("#{id} is not acknowledged though nothing failed: {report:?}"));
        }
        self.world.check_durable(id, &self.key, ended.began)
    }
}
