//! One schedule by its seed: everything that may happen next is weighed, one thing is picked, until nothing is left.

use std::collections::BTreeMap;
use std::time::Duration;

use s3ferry_core::event::{ContinuationHops, KeyHint};
use s3ferry_core::facts::{Attribute, AttributeSet};
use s3ferry_core::failure::FailureKind;
use s3ferry_core::names::ObjectKey;
use s3ferry_core::time::Timestamp;
use s3ferry_engine::batch::RecordResult;
use s3ferry_testkit::memory::PendingPut;
use s3ferry_testkit::schedule::{PortOperation, RequestFate, ScheduledRequest, SeededChoices, SimulatedInvocation};

use super::mutants::Mutant;
use super::world::{REQUEST_LIFETIME, Violation, World, source_bucket};

/// More steps than any schedule should take.
const STEPS: u32 = 5_000;

/// For how long the queue hides a message that was received: longer than an invocation and its requests live.
pub(super) const VISIBILITY: Duration = Duration::from_hours(1);

#[derive(Debug, Clone, Copy)]
enum Action {
    Request(usize),
    WriteSource,
    WriteDestination,
    FinishUpload,
    Deliver,
    Crash(u32),
    Tick,
    Advance(Timestamp),
}

#[derive(Debug, Clone)]
struct Message {
    id: u32,
    hint: KeyHint,
    visible: Timestamp,
    receives: u32,
}

#[derive(Debug)]
struct Running {
    invocation: SimulatedInvocation<Vec<RecordResult>>,
    messages: Vec<u32>,
}

#[derive(Debug)]
pub(crate) struct Run {
    pub(super) chance: SeededChoices,
    pub(super) world: World,
    pub(super) keys: Vec<ObjectKey>,
    pub(super) source_versioned: bool,
    /// Uploads of applications that are under way.
    pub(super) begun: Vec<(ObjectKey, PendingPut)>,
    messages: Vec<Message>,
    running: BTreeMap<u32, Running>,
    ids: u32,
    taken: usize,
    invocations: usize,
    source_writes: usize,
    destination_writes: usize,
    faults: usize,
    ticks: usize,
    duplicates: bool,
    steps: u32,
}

pub(super) fn tags() -> AttributeSet {
    AttributeSet::from([Attribute::Tags])
}

/// Runs the schedule of a seed; returns how many steps it took, or what went wrong and how it came to it.
pub(crate) fn explore(seed: u64, mutant: Mutant, traced: bool) -> Result<u32, (Violation, Vec<String>)> {
    let mut chance = SeededChoices::new(seed);
    let source_versioned = !chance.once_in(3);
    let mut world = World::new(source_versioned, mutant);
    world.deletes = !chance.once_in(5);
    world.trace = traced.then(Vec::new);
    let keys = ["a", "b"].iter().take(chance.of(&[1, 1, 1, 2]));
    let mut run = Run {
        keys: keys.map(|name| ObjectKey::from_raw(*name).unwrap()).collect(),
        invocations: chance.of(&[1, 2, 2, 3]),
        source_writes: chance.of(&[0, 1, 1, 2, 3]),
        destination_writes: chance.of(&[0, 1, 1, 2, 3]),
        faults: chance.of(&[0, 0, 1, 2, 3]),
        ticks: chance.of(&[0, 2, 6]),
        duplicates: chance.once_in(3),
        chance,
        world,
        source_versioned,
        begun: Vec::new(),
        messages: Vec::new(),
        running: BTreeMap::new(),
        ids: 0,
        taken: 0,
        steps: 0,
    };
    match run.run() {
        Ok(()) => Ok(run.steps),
        Err(violation) => Err((violation, run.world.trace.unwrap_or_default())),
    }
}

/// Picks a failure that an operation can have.
fn fault(operation: PortOperation, chance: &mut SeededChoices) -> RequestFate {
    let fails = RequestFate::Fails(chance.of(&[FailureKind::Retry, FailureKind::Deferred, FailureKind::Permanent]));
    if operation.has_effect() {
        chance.of(&[
            fails,
            RequestFate::ResponseLost,
            RequestFate::TimesOut,
            RequestFate::TimesOut,
            RequestFate::Panics,
        ])
    } else {
        chance.of(&[fails, fails, fails, RequestFate::Panics])
    }
}

impl Run {
    fn run(&mut self) -> Result<(), Violation> {
        self.set_up();
        loop {
            let actions = self.actions();
            let total: usize = actions.iter().map(|(_, weight)| weight).sum();
            if total == 0 {
                return self.world.check(&self.keys);
            }
            self.steps += 1;
            if self.steps > STEPS {
                return Err(format!("no rest after {STEPS} steps"));
            }
            let mut left = self.chance.below(total);
            let picked = actions.iter().find(|(_, weight)| {
                let is_it = left < *weight;
                left = left.saturating_sub(*weight);
                is_it
            });
            self.act(picked.unwrap().0)?;
        }
    }

    /// Lists what may happen next, and how likely.
    fn actions(&self) -> Vec<(Action, usize)> {
        let now = self.world.now();
        let requests = self.world.schedule.requests();
        let mut actions: Vec<(Action, usize)> = requests
            .iter()
            .enumerate()
            .map(|(index, request)| (Action::Request(index), if request.awaited { 10 } else { 2 }))
            .collect();
        if self.source_writes > 0 {
            actions.push((Action::WriteSource, 3));
        }
        if self.destination_writes > 0 {
            actions.push((Action::WriteDestination, 3));
        }
        if !self.begun.is_empty() {
            actions.push((Action::FinishUpload, 2));
        }
        let may_start = self.running.len() < self.invocations;
        if may_start && self.messages.iter().any(|message| message.visible <= now) {
            actions.push((Action::Deliver, 8));
        }
        if self.faults > 0 {
            actions.extend(self.running.keys().map(|id| (Action::Crash(*id), 1)));
        }
        if self.ticks > 0 && !self.running.is_empty() {
            actions.push((Action::Tick, 3));
        }
        // Time does not pass beyond what a request lives.
        let oldest = requests
            .iter()
            .map(|request| request.about.sent.plus(REQUEST_LIFETIME))
            .min();
        let arrivals = self.messages.iter().map(|message| message.visible);
        let next = arrivals
            .filter(|at| *at > now)
            .chain(self.world.schedule.next_timer())
            .min();
        if let Some(next) = next.filter(|next| oldest.is_none_or(|oldest| *next <= oldest)) {
            let is_waited_for = !requests.iter().any(|request| request.awaited);
            let weight = if is_waited_for { 8 } else { usize::from(self.faults > 0) };
            actions.push((Action::Advance(next), weight));
        }
        actions
    }

    fn act(&mut self, action: Action) -> Result<(), Violation> {
        match action {
            Action::Request(index) => {
                let request = self.world.schedule.requests().swap_remove(index);
                self.land(&request)?;
                self.poll(request.about.invocation);
            }
            Action::WriteSource => {
                self.source_writes -= 1;
                let key = self.chance.of(&self.keys);
                self.write_source(&key);
            }
            Action::WriteDestination => {
                self.destination_writes -= 1;
                let key = self.chance.of(&self.keys);
                self.write_destination(&key);
            }
            Action::FinishUpload => self.finish_upload(),
            Action::Deliver => self.deliver(),
            Action::Crash(id) => {
                self.faults -= 1;
                self.world.log(|| format!("#{id} crashes"));
                self.running.remove(&id);
            }
            Action::Tick => {
                self.ticks -= 1;
                self.world.pass(Duration::from_secs(1));
                self.poll_all();
            }
            Action::Advance(to) => {
                let awaited = self.world.schedule.requests().iter().any(|request| request.awaited);
                self.faults = self.faults.saturating_sub(usize::from(awaited));
                self.world.pass(to.since(self.world.now()));
                self.poll_all();
            }
        }
        Ok(())
    }

    fn land(&mut self, request: &ScheduledRequest) -> Result<(), Violation> {
        let landing = if !request.awaited {
            self.chance
                .of(&[RequestFate::LandsLate, RequestFate::LandsLate, RequestFate::Vanishes])
        } else if self.faults > 0 && self.chance.once_in(8) {
            self.faults -= 1;
            fault(request.about.operation, &mut self.chance)
        } else if request.about.operation == PortOperation::Copy && !request.begun && self.chance.once_in(2) {
            RequestFate::Begins
        } else {
            RequestFate::Answered
        };
        self.world.land(request, landing)?;
        self.take_continuations();
        Ok(())
    }

    /// Tells whether nothing of s3ferry is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.running.is_empty() && self.world.schedule.requests().is_empty()
    }

    fn take_continuations(&mut self) {
        let sent = self.world.sent.lock().unwrap()[self.taken..].to_vec();
        self.taken += sent.len();
        for sent in sent {
            let key = ObjectKey::from_raw(sent.continuation.key).unwrap();
            self.message(&key, "continuation", sent.continuation.attributes, sent.arrives);
        }
    }

    fn message(&mut self, key: &ObjectKey, name: &str, attributes: AttributeSet, visible: Timestamp) {
        self.ids += 1;
        let hint = KeyHint {
            bucket: source_bucket(),
            key: key.clone(),
            event_name: name.to_owned(),
            attributes,
            sequencer: None,
            hops: ContinuationHops::default(),
        };
        self.messages.push(Message {
            id: self.ids,
            hint,
            visible,
            receives: 0,
        });
    }

    /// Sends the event of a write, sometimes twice.
    pub(super) fn event(&mut self, key: &ObjectKey, name: &str, attributes: AttributeSet) {
        let now = self.world.now();
        if self.duplicates && self.chance.once_in(3) {
            self.message(key, name, attributes.clone(), now);
        }
        self.message(key, name, attributes, now);
    }

    fn deliver(&mut self) {
        let now = self.world.now();
        let visible = self.messages.iter().filter(|message| message.visible <= now);
        let candidates: Vec<u32> = visible.map(|message| message.id).collect();
        let picked = self.chance.of(&candidates);
        let message = self.messages.iter_mut().find(|message| message.id == picked).unwrap();
        let mut hint = message.hint.clone();
        // What the function does with a message that comes again.
        if message.receives > 0 {
            hint.attributes.extend([Attribute::Tags, Attribute::UnfinishedUpload]);
        }
        message.receives += 1;
        message.visible = now.plus(VISIBILITY);
        self.ids += 1;
        let id = self.ids;
        let lasts = self.chance.of(&[
            Duration::from_mins(10),
            Duration::from_mins(10),
            Duration::from_secs(6),
            Duration::from_millis(100),
        ]);
        self.world.log(|| {
            format!(
                "#{id} begins with message {picked} ({}) of {}",
                hint.event_name, hint.key
            )
        });
        let running = Running {
            invocation: self.world.invocation(id, vec![hint], lasts),
            messages: vec![picked],
        };
        self.running.insert(id, running);
        self.poll(id);
    }

    fn poll_all(&mut self) {
        let ids: Vec<u32> = self.running.keys().copied().collect();
        for id in ids {
            self.poll(id);
        }
    }

    fn poll(&mut self, id: u32) {
        let Some(running) = self.running.get_mut(&id) else {
            return;
        };
        let Some(settled) = running.invocation.poll() else {
            return;
        };
        let ended = self.running.remove(&id).unwrap();
        for (settled, message) in settled.iter().zip(ended.messages) {
            self.world.log(|| {
                let (outcome, acknowledged) = (&settled.report.outcome, settled.acknowledged);
                format!("#{id}: {outcome:?}, acknowledged: {acknowledged}")
            });
            if settled.acknowledged {
                self.messages.retain(|other| other.id != message);
            }
        }
    }
}
