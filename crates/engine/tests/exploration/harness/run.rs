//! One random schedule: list what may happen next, draw one by weight, until nothing is left.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use s3ferry_core::event::{KeyHint, MAX_IDLE_HOPS};
use s3ferry_core::facts::AttributeSet;
use s3ferry_core::names::ObjectKey;
use s3ferry_core::policy::Ownership;
use s3ferry_core::redelivery::attributes_after_interruption;
use s3ferry_core::time::Timestamp;
use s3ferry_engine::batch::RecordResult;
use s3ferry_testkit::memory::PendingPut;
use s3ferry_testkit::schedule::{PortOperation, RequestFate, ScheduledRequest, SeededChoices, SimulatedInvocation};

use super::exclusive::Moment;
use super::mutants::Mutant;
use super::profile::{Profile, deadline, fault};
use super::simulation::{ListedSource, Simulation, VISIBILITY_TIMEOUT, Violation, end_of_life, hint};

/// More steps than any schedule should take.
const MAX_STEPS: u32 = 5_000;

#[derive(Debug, Clone, Copy)]
enum Action {
    Request(usize),
    WriteSource,
    WriteDestination,
    CompleteUpload,
    Deliver,
    Crash(u32),
    Tick,
    Advance(Timestamp),
    Sync,
    /// A sync lists both buckets, and copies what only the source lists before it reads it.
    ListedSync,
    /// Reads of a key answer 404 in one bucket, whatever it holds.
    Hide,
    Show,
}

/// A message of the queue: delivered at least once, in any order, and again until it is acknowledged.
#[derive(Debug, Clone)]
struct Message {
    id: u32,
    hint: KeyHint,
    visible: Timestamp,
    receives: u32,
    /// Whether the queue delivered it again during an invocation.
    duplicated: bool,
    /// Whether it is an item of a sync, which sends no continuations.
    of_sync: bool,
    /// What the listings of a sync showed, until it is delivered.
    listed: Option<ListedSource>,
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
    pub(super) simulation: Simulation,
    pub(super) keys: Vec<ObjectKey>,
    /// Uploads of applications that are not complete.
    pub(super) uploads: Vec<(ObjectKey, PendingPut)>,
    messages: Vec<Message>,
    running: BTreeMap<u32, Running>,
    ids: u32,
    is_synced: bool,
    /// Keys that only a sync repairs: an event was lost, or a message was acknowledged while another invocation of it
    /// crashed.
    unsynced: BTreeSet<ObjectKey>,
    steps: u32,
}

/// Runs the schedule of a seed; returns how many steps it took, or a violation and its trace.
pub(crate) fn run_schedule(
    seed: u64,
    ownership: Ownership,
    mutant: Mutant,
    is_traced: bool,
) -> Result<u32, (Violation, Vec<String>)> {
    let mut chance = SeededChoices::new(seed);
    let profile = Profile::of(ownership, &mut chance);
    let (source_versioned, destination_versioned) = (profile.source_versioned, profile.destination_versioned);
    let mut simulation = Simulation::new(ownership, source_versioned, destination_versioned, mutant, is_traced);
    simulation.deletes = profile.deletes;
    simulation.journal.take_if(|_| !profile.journal);
    simulation.log(|| format!("{profile:?}"));
    let names = ["a", "b"].iter().take(profile.keys);
    let mut run = Run {
        keys: names.map(|name| ObjectKey::from_raw(*name).unwrap()).collect(),
        chance,
        profile,
        simulation,
        uploads: Vec::new(),
        messages: Vec::new(),
        running: BTreeMap::new(),
        ids: 0,
        is_synced: false,
        unsynced: BTreeSet::new(),
        steps: 0,
    };
    match run.run() {
        Ok(()) => Ok(run.steps),
        Err(violation) => Err((violation, run.simulation.trace.unwrap_or_default())),
    }
}

impl Run {
    fn run(&mut self) -> Result<(), Violation> {
        self.set_up();
        self.run_until_rest()?;
        let is_synced = |key: &&ObjectKey| !self.unsynced.contains(*key);
        self.simulation.check_at_rest(self.keys.iter().filter(is_synced))?;
        if !self.unsynced.is_empty() || self.chance.once_in(4) {
            self.sync();
            self.run_until_rest()?;
        }
        self.simulation.check_at_rest(&self.keys)
    }

    fn run_until_rest(&mut self) -> Result<(), Violation> {
        loop {
            let actions = self.actions();
            let total: usize = actions.iter().map(|(_, weight)| weight).sum();
            if total == 0 {
                return Ok(());
            }
            self.steps += 1;
            if self.steps > MAX_STEPS {
                return Err(format!("still active after {MAX_STEPS} steps"));
            }
            let mut left = self.chance.below(total);
            let picked = actions.iter().find(|(_, weight)| {
                let is_picked = left < *weight;
                left = left.saturating_sub(*weight);
                is_picked
            });
            self.act(picked.unwrap().0)?;
        }
    }

    /// Lists what may happen next, with weights.
    fn actions(&self) -> Vec<(Action, usize)> {
        let now = self.simulation.now();
        let requests = self.simulation.schedule.requests();
        let mut actions: Vec<(Action, usize)> = requests
            .iter()
            .enumerate()
            .map(|(index, request)| (Action::Request(index), if request.awaited { 10 } else { 2 }))
            .collect();
        let mut add = |action: Action, weight: usize, is_possible: bool| {
            actions.extend(is_possible.then_some((action, weight)));
        };
        let profile = &self.profile;
        let writes = if self.simulation.is_shared() { 3 } else { 5 };
        add(Action::WriteSource, writes, profile.source_writes > 0);
        add(Action::WriteDestination, writes, profile.destination_writes > 0);
        add(Action::CompleteUpload, 2, !self.uploads.is_empty());
        let has_message = self.messages.iter().any(|message| message.visible <= now);
        let may_start = has_message && self.running.len() < profile.invocations;
        add(Action::Deliver, 8, may_start);
        for id in self.running.keys() {
            add(Action::Crash(*id), 1, profile.crashes && profile.faults > 0);
        }
        add(Action::Tick, 3, profile.ticks > 0 && !self.running.is_empty());
        add(Action::Hide, 4, profile.hidden_keys > 0);
        let hides_keys = self.simulation.source.hides_keys() || self.simulation.destination.hides_keys();
        add(Action::Show, 1, hides_keys);
        let may_sync = profile.early_sync && !self.is_synced && profile.source_writes == 0;
        add(Action::Sync, 3, may_sync);
        add(Action::ListedSync, 5, profile.listed_syncs > 0);
        let arrivals = self.messages.iter().map(|message| message.visible);
        let timer = self.simulation.schedule.next_timer();
        if let Some(next) = arrivals.filter(|at| *at > now).chain(timer).min() {
            let is_awaited = requests.iter().any(|request| request.awaited);
            let weight = if is_awaited { usize::from(profile.faults > 0) } else { 8 };
            // Time does not pass beyond the life of a request.
            let end = requests.iter().map(end_of_life).min();
            add(Action::Advance(next), weight, end.is_none_or(|end| next <= end));
        }
        actions
    }

    fn act(&mut self, action: Action) -> Result<(), Violation> {
        match action {
            Action::Request(index) => {
                let request = self.simulation.schedule.requests().swap_remove(index);
                let fate = self.fate(&request);
                self.simulation.land(&request, fate)?;
                self.take_continuations();
                return self.poll(request.about.invocation);
            }
            Action::WriteSource => {
                self.profile.source_writes -= 1;
                let key = self.chance.of(&self.keys);
                self.write_source(&key);
            }
            Action::WriteDestination => {
                self.profile.destination_writes -= 1;
                let key = self.chance.of(&self.keys);
                self.write_destination(&key);
            }
            Action::CompleteUpload => self.complete_upload(),
            Action::Deliver => return self.deliver(),
            Action::Crash(id) => {
                self.profile.faults -= 1;
                self.simulation.log(|| format!("#{id} crashes"));
                self.simulation.interrupt(id);
                let crashed = self.running.remove(&id).unwrap();
                for message in crashed.messages {
                    self.not_acknowledged(message, &crashed.hints);
                }
            }
            Action::Tick => {
                self.profile.ticks -= 1;
                return self.pass(Duration::from_secs(1));
            }
            Action::Advance(to) => {
                let mut requests = self.simulation.schedule.requests().into_iter();
                let is_awaited = requests.any(|request| request.awaited);
                self.profile.faults = self.profile.faults.saturating_sub(usize::from(is_awaited));
                return self.pass(to.since(self.simulation.now()));
            }
            Action::Sync => self.sync(),
            Action::ListedSync => self.listed_sync(),
            Action::Hide => {
                self.profile.hidden_keys -= 1;
                let key = self.chance.of(&self.keys);
                let (name, bucket) = if self.chance.once_in(2) {
                    ("source", &self.simulation.source)
                } else {
                    ("destination", &self.simulation.destination)
                };
                bucket.hide(key.as_str());
                self.simulation.log(|| format!("{name}: reads of {key} answer 404"));
            }
            Action::Show => {
                self.simulation.log(|| "reads answer what the buckets hold".to_owned());
                self.simulation.source.show_all();
                self.simulation.destination.show_all();
            }
        }
        Ok(())
    }

    /// Draws what happens to a request.
    fn fate(&mut self, request: &ScheduledRequest) -> RequestFate {
        let operation = request.about.operation;
        if !request.awaited {
            let fates = [RequestFate::LandsLate, RequestFate::LandsLate, RequestFate::Vanishes];
            self.chance.of(&fates)
        } else if self.profile.faults > 0 && self.chance.once_in(8) {
            self.profile.faults -= 1;
            fault(operation, &mut self.chance)
        } else if operation == PortOperation::Copy && !request.begun && self.chance.once_in(2) {
            RequestFate::Begins
        } else {
            RequestFate::Answered
        }
    }

    /// Returns whether no work of s3ferry is in flight.
    pub(super) fn is_idle(&self) -> bool {
        self.running.is_empty() && self.simulation.schedule.requests().is_empty()
    }

    fn take_continuations(&mut self) {
        for (hint, arrives) in self.simulation.take_continuations() {
            let hops = hint.hops;
            assert!(hops.idle <= MAX_IDLE_HOPS, "{hops:?}");
            if self.simulation.mutant != Mutant::NoContinuation {
                self.send(hint, arrives, false);
            }
        }
    }

    fn send(&mut self, hint: KeyHint, visible: Timestamp, of_sync: bool) {
        self.ids += 1;
        self.messages.push(Message {
            id: self.ids,
            hint,
            visible,
            receives: 0,
            duplicated: false,
            of_sync,
            listed: None,
        });
    }

    /// Starts a sync of the keys that only the source lists. It repairs no lost event.
    fn listed_sync(&mut self) {
        self.profile.listed_syncs -= 1;
        self.simulation.log(|| "a sync lists both buckets".to_owned());
        for key in self.keys.clone() {
            let Some(listed) = self.simulation.listed(&key) else {
                continue;
            };
            self.send(hint(&key, "listed", AttributeSet::new()), self.simulation.now(), true);
            self.messages.last_mut().unwrap().listed = Some(listed);
        }
    }

    /// Sends the event of a write, loses it or sends it twice.
    pub(super) fn event(&mut self, key: &ObjectKey, name: &str, attributes: AttributeSet) {
        self.simulation.record(key);
        if self.profile.lost_events && self.chance.once_in(2) {
            self.unsynced.insert(key.clone());
            self.simulation.log(|| "its event is lost".to_owned());
            return;
        }
        let (hint, now) = (hint(key, name, attributes), self.simulation.now());
        if self.profile.repeated_events && self.chance.once_in(3) {
            self.send(hint.clone(), now, false);
        }
        self.send(hint, now, false);
    }

    /// Starts a sync of all keys, including their tags.
    fn sync(&mut self) {
        self.simulation.log(|| "a sync begins".to_owned());
        self.is_synced = true;
        for key in self.keys.clone() {
            let hint = hint(&key, "sync", attributes_after_interruption());
            self.send(hint, self.simulation.now(), true);
        }
    }

    /// Starts an invocation with one or more messages.
    fn deliver(&mut self) -> Result<(), Violation> {
        let now = self.simulation.now();
        let visible = self.messages.iter().filter(|message| message.visible <= now);
        let kind = |message: &Message| (message.of_sync, message.listed.is_some());
        let candidates: Vec<(u32, (bool, bool))> = visible.map(|message| (message.id, kind(message))).collect();
        let (first, (of_sync, is_listed)) = self.chance.of(&candidates);
        let mut picked = vec![first];
        for (id, other) in candidates {
            if id != first && !is_listed && other == (of_sync, false) && self.chance.once_in(3) {
                picked.push(id);
            }
        }
        let listed = self
            .messages
            .iter()
            .find(|message| message.id == first)
            .unwrap()
            .listed
            .clone();
        let hints: Vec<KeyHint> = picked.iter().map(|id| self.receive(*id)).collect();
        self.ids += 1;
        let id = self.ids;
        let duration = deadline(&mut self.chance);
        self.simulation.log(|| {
            let received: Vec<_> = hints.iter().map(|hint| (hint.key.as_str(), &hint.event_name)).collect();
            format!("#{id} begins with messages {picked:?} of {received:?}, for {duration:?}")
        });
        let with_queue = self.profile.queue && !of_sync;
        let began = hints
            .iter()
            .map(|hint| (hint.key.clone(), self.simulation.moment(&hint.key)));
        let running = Running {
            invocation: self
                .simulation
                .invocation(id, hints.clone(), listed, duration, with_queue),
            deadline: now.plus(duration),
            messages: picked,
            began: began.collect(),
            hints,
        };
        self.running.insert(id, running);
        self.poll(id)
    }

    fn receive(&mut self, id: u32) -> KeyHint {
        let message = self.messages.iter_mut().find(|message| message.id == id).unwrap();
        let mut hint = message.hint.clone();
        // As the function does with a redelivered message.
        if message.receives > 0 && self.simulation.mutant != Mutant::NoRedeliveryCheck {
            hint.attributes.extend(attributes_after_interruption());
        }
        message.receives += 1;
        let may_repeat = self.profile.duplicate_deliveries && !message.duplicated && !message.of_sync;
        if may_repeat && self.chance.once_in(3) {
            message.duplicated = true;
        } else {
            message.visible = self.simulation.now().plus(VISIBILITY_TIMEOUT);
        }
        // A sync repairs a key unless a request of an ended invocation is in flight.
        let requests = self.simulation.schedule.requests();
        let is_abandoned = |request: &ScheduledRequest| request.about.key == hint.key && !request.awaited;
        let is_listed = message.listed.take().is_some() || hint.event_name == "listed";
        if message.of_sync && !is_listed && !requests.iter().any(is_abandoned) {
            self.unsynced.remove(&hint.key);
        }
        hint
    }

    /// A message that was not acknowledged is delivered again, unless another delivery of it was acknowledged.
    fn not_acknowledged(&mut self, message: u32, hints: &[KeyHint]) {
        let mut messages = self.messages.iter();
        if !messages.any(|other| other.id == message && !other.duplicated) {
            self.unsynced.extend(hints.iter().map(|hint| hint.key.clone()));
        }
    }

    fn pass(&mut self, duration: Duration) -> Result<(), Violation> {
        self.simulation.pass(duration);
        let ids: Vec<u32> = self.running.keys().copied().collect();
        ids.into_iter().try_for_each(|id| self.poll(id))
    }

    fn poll(&mut self, id: u32) -> Result<(), Violation> {
        let Some(running) = self.running.get_mut(&id) else {
            return Ok(());
        };
        let Some(results) = running.invocation.poll() else {
            return Ok(());
        };
        let ended = self.running.remove(&id).unwrap();
        if self.simulation.now() >= ended.deadline {
            self.simulation.interrupt(id);
        }
        for (index, result) in results.iter().enumerate() {
            let (message, hint) = (ended.messages[index], &ended.hints[index]);
            self.simulation.log(|| {
                let (outcome, acknowledged) = (&result.report.outcome, result.acknowledged);
                format!("#{id} {}: {outcome:?}, acknowledged: {acknowledged}", hint.key)
            });
            if result.acknowledged {
                self.simulation
                    .check_acknowledged(id, &hint.key, ended.began[&hint.key])?;
                self.messages.retain(|other| other.id != message);
            } else {
                self.not_acknowledged(message, std::slice::from_ref(hint));
            }
        }
        Ok(())
    }
}
