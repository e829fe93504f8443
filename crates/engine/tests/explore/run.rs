//! One schedule by its seed: everything that may happen next is weighed, one thing is picked, until nothing is left.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use s3ferry_core::event::{KeyHint, MAX_IDLE_HOPS};
use s3ferry_core::facts::AttributeSet;
use s3ferry_core::names::ObjectKey;
use s3ferry_core::redelivery::attributes_after_interruption;
use s3ferry_core::time::Timestamp;
use s3ferry_engine::batch::RecordResult;
use s3ferry_testkit::schedule::{PortOperation, RequestFate, ScheduledRequest, SeededChoices, SimulatedInvocation};

use super::history::Moment;
use super::message::{Message, VISIBILITY, hint};
use super::mutants::Mutant;
use super::profile::{Profile, deadline, fault};
use super::world::{REQUEST_LIFETIME, Violation, World};

/// More steps than any schedule should take.
const STEPS: u32 = 5_000;

#[derive(Debug, Clone, Copy)]
enum Action {
    Request(usize),
    Write,
    Deliver,
    Crash(u32),
    Tick,
    Advance(Timestamp),
    Sweep,
    /// Reads of a key are answered with 404 on one side, whatever it holds.
    Hide,
    Show,
}

#[derive(Debug)]
struct Running {
    invocation: SimulatedInvocation<Vec<RecordResult>>,
    deadline: Timestamp,
    messages: Vec<u32>,
    hints: Vec<KeyHint>,
    began: BTreeMap<ObjectKey, Moment>,
}

#[derive(Debug)]
pub(crate) struct Run {
    pub(super) chance: SeededChoices,
    pub(super) profile: Profile,
    pub(super) world: World,
    pub(super) keys: Vec<ObjectKey>,
    messages: Vec<Message>,
    running: BTreeMap<u32, Running>,
    ids: u32,
    taken: usize,
    faults: usize,
    ticks: usize,
    swept: bool,
    /// Keys that only a sync brings right: an event was lost, or a message was acknowledged for an invocation of it
    /// that crashed.
    unswept: BTreeSet<ObjectKey>,
    pub(super) steps: u32,
}

/// Runs the schedule of a seed; returns how many steps it took, or what went wrong and how it came to it.
pub(crate) fn explore(seed: u64, mutant: Mutant, traced: bool) -> Result<u32, (Violation, Vec<String>)> {
    let mut chance = SeededChoices::new(seed);
    let profile = Profile::of(&mut chance);
    let mut world = World::new(profile.source_versioned, profile.destination_versioned, mutant);
    world.deletes = profile.deletes;
    world.journal = world.journal.filter(|_| profile.journal);
    world.trace = traced.then(Vec::new);
    world.log(|| format!("{profile:?}"));
    let names = ["a", "b"].iter().take(profile.keys);
    let mut run = Run {
        faults: profile.faults,
        chance,
        world,
        keys: names.map(|name| ObjectKey::from_raw(*name).unwrap()).collect(),
        profile,
        messages: Vec::new(),
        running: BTreeMap::new(),
        ids: 0,
        taken: 0,
        ticks: 6,
        swept: false,
        unswept: BTreeSet::new(),
        steps: 0,
    };
    match run.run() {
        Ok(()) => Ok(run.steps),
        Err(violation) => Err((violation, run.world.trace.unwrap_or_default())),
    }
}

impl Run {
    fn run(&mut self) -> Result<(), Violation> {
        self.set_up();
        self.settle_down()?;
        let settled = || self.keys.iter().filter(|key| !self.unswept.contains(*key));
        self.world.check_equal(settled())?;
        self.world.check_tidy(settled())?;
        if !self.unswept.is_empty() || self.chance.once_in(4) {
            self.sweep();
            self.settle_down()?;
        }
        self.world.check_equal(&self.keys)?;
        self.world.check_tidy(&self.keys)
    }

    fn settle_down(&mut self) -> Result<(), Violation> {
        loop {
            let actions = self.actions();
            let total: usize = actions.iter().map(|(_, weight)| weight).sum();
            if total == 0 {
                return Ok(());
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
        if self.profile.writes > 0 {
            actions.push((Action::Write, 5));
        }
        let may_start = self.running.len() < self.profile.invocations;
        if may_start && self.messages.iter().any(|message| message.visible <= now) {
            actions.push((Action::Deliver, 8));
        }
        if self.profile.crashes && self.faults > 0 {
            actions.extend(self.running.keys().map(|id| (Action::Crash(*id), 1)));
        }
        if self.ticks > 0 && !self.running.is_empty() {
            actions.push((Action::Tick, 3));
        }
        if self.profile.hides > 0 {
            actions.push((Action::Hide, 4));
        }
        if self.world.source.hides_keys() || self.world.destination.hides_keys() {
            actions.push((Action::Show, 1));
        }
        if self.profile.early_sweep && !self.swept && self.profile.writes == 0 {
            actions.push((Action::Sweep, 3));
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
                self.poll(request.about.invocation)?;
            }
            Action::Write => {
                self.profile.writes -= 1;
                let key = self.chance.of(&self.keys);
                self.write(&key);
            }
            Action::Deliver => self.deliver()?,
            Action::Crash(id) => {
                self.faults -= 1;
                self.world.log(|| format!("#{id} crashes"));
                self.world.interrupted(id);
                let crashed = self.running.remove(&id).unwrap();
                crashed
                    .messages
                    .iter()
                    .for_each(|message| self.comes_again(*message, &crashed.hints));
            }
            Action::Tick => {
                self.ticks -= 1;
                self.world.pass(Duration::from_secs(1));
                self.poll_all()?;
            }
            Action::Advance(to) => {
                let awaited = self.world.schedule.requests().iter().any(|request| request.awaited);
                self.faults = self.faults.saturating_sub(usize::from(awaited));
                self.world.pass(to.since(self.world.now()));
                self.poll_all()?;
            }
            Action::Sweep => self.sweep(),
            Action::Hide => {
                self.profile.hides -= 1;
                let key = self.chance.of(&self.keys);
                let source = self.chance.once_in(2);
                self.world
                    .log(|| format!("reads of {key} answer 404, of the source: {source}"));
                let bucket = if source {
                    &self.world.source
                } else {
                    &self.world.destination
                };
                bucket.hide(key.as_str());
            }
            Action::Show => {
                self.world.log(|| "reads answer again as it is".to_owned());
                self.world.source.show_all();
                self.world.destination.show_all();
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

    fn take_continuations(&mut self) {
        let sent = self.world.sent.lock().unwrap()[self.taken..].to_vec();
        self.taken += sent.len();
        for sent in sent {
            if self.world.mutant == Mutant::NoContinuation {
                continue;
            }
            let key = ObjectKey::from_raw(sent.continuation.key).unwrap();
            let hops = sent.continuation.hops;
            assert!(hops.idle <= MAX_IDLE_HOPS, "{hops:?}");
            let hint = hint(&key, "continuation", sent.continuation.attributes);
            self.message(KeyHint { hops, ..hint }, sent.arrives);
        }
    }

    pub(super) fn message(&mut self, hint: KeyHint, visible: Timestamp) {
        self.ids += 1;
        self.messages.push(Message::new(self.ids, hint, visible));
    }

    /// Sends the event of a write, or loses it.
    pub(super) fn event(&mut self, key: &ObjectKey, name: &str, attributes: AttributeSet) {
        self.world.note(key);
        if self.profile.lost_events.is_some_and(|count| self.chance.once_in(count)) {
            self.unswept.insert(key.clone());
            self.world.log(|| "its event is lost".to_owned());
            return;
        }
        self.message(hint(key, name, attributes), self.world.now());
    }

    /// Begins a sync of all keys, tags included; it is right as far as nothing unknown is on its way.
    fn sweep(&mut self) {
        self.world.log(|| "a sync begins".to_owned());
        self.swept = true;
        for key in self.keys.clone() {
            self.message(hint(&key, "sync", attributes_after_interruption()), self.world.now());
            self.messages.last_mut().unwrap().of_sweep = true;
        }
    }

    fn deliver(&mut self) -> Result<(), Violation> {
        let now = self.world.now();
        let visible = |message: &&Message| message.visible <= now;
        let candidates: Vec<(u32, bool)> = self
            .messages
            .iter()
            .filter(visible)
            .map(|message| (message.id, message.of_sweep))
            .collect();
        let (first, of_sweep) = self.chance.of(&candidates);
        let mut picked = vec![first];
        for (id, _) in candidates
            .iter()
            .filter(|(id, sweep)| *id != first && *sweep == of_sweep)
        {
            if self.chance.once_in(3) {
                picked.push(*id);
            }
        }
        let hints: Vec<KeyHint> = picked.iter().map(|id| self.receive(*id)).collect();
        self.ids += 1;
        let id = self.ids;
        let lasts = deadline(&mut self.chance);
        self.world.log(|| {
            let keys: Vec<&str> = hints.iter().map(|hint| hint.key.as_str()).collect();
            format!("#{id} begins with messages {picked:?} of {keys:?}, for {lasts:?}")
        });
        let invocation = self
            .world
            .invocation(id, hints.clone(), lasts, self.profile.queue && !of_sweep);
        let began = hints
            .iter()
            .map(|hint| (hint.key.clone(), self.world.moment(&hint.key)))
            .collect();
        let running = Running {
            invocation,
            deadline: now.plus(lasts),
            messages: picked,
            hints,
            began,
        };
        self.running.insert(id, running);
        self.poll(id)
    }

    fn receive(&mut self, id: u32) -> KeyHint {
        let duplicates = self.profile.duplicates;
        let message = self.messages.iter_mut().find(|message| message.id == id).unwrap();
        let mut hint = message.hint.clone();
        // What the function does with a message that comes again.
        if message.receives > 0 && self.world.mutant != Mutant::NoLookBack {
            hint.attributes.extend(attributes_after_interruption());
        }
        message.receives += 1;
        let may_repeat = !message.duplicated && !message.of_sweep;
        if may_repeat && duplicates.is_some_and(|count| self.chance.once_in(count)) {
            message.duplicated = true;
        } else {
            message.visible = self.world.now().plus(VISIBILITY);
        }
        if message.of_sweep && !self.is_haunted(&hint.key) {
            self.unswept.remove(&hint.key);
        }
        hint
    }

    /// Tells whether a request of an invocation that is gone is on its way.
    fn is_haunted(&self, key: &ObjectKey) -> bool {
        let requests = self.world.schedule.requests();
        requests
            .iter()
            .any(|request| request.about.key == *key && !request.awaited)
    }

    /// A message that was not acknowledged comes again, unless another delivery of it was acknowledged.
    fn comes_again(&mut self, message: u32, hints: &[KeyHint]) {
        let is_sure = self
            .messages
            .iter()
            .any(|other| other.id == message && !other.duplicated);
        if !is_sure {
            self.unswept.extend(hints.iter().map(|hint| hint.key.clone()));
        }
    }

    fn poll_all(&mut self) -> Result<(), Violation> {
        let ids: Vec<u32> = self.running.keys().copied().collect();
        ids.into_iter().try_for_each(|id| self.poll(id))
    }

    fn poll(&mut self, id: u32) -> Result<(), Violation> {
        let Some(running) = self.running.get_mut(&id) else {
            return Ok(());
        };
        let Some(settled) = running.invocation.poll() else {
            return Ok(());
        };
        let ended = self.running.remove(&id).unwrap();
        if self.world.now() >= ended.deadline {
            self.world.interrupted(id);
        }
        for (index, settled) in settled.iter().enumerate() {
            let (message, hint) = (ended.messages[index], &ended.hints[index]);
            self.world.log(|| {
                let (outcome, acknowledged) = (&settled.report.outcome, settled.acknowledged);
                format!("#{id} {}: {outcome:?}, acknowledged: {acknowledged}", hint.key)
            });
            if settled.acknowledged {
                self.world.check_durable(id, &hint.key, ended.began[&hint.key])?;
                self.world.check_own_requests(id, &hint.key)?;
                self.messages.retain(|other| other.id != message);
            } else {
                self.comes_again(message, std::slice::from_ref(hint));
            }
        }
        Ok(())
    }
}
