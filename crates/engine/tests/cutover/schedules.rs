//! Every schedule of a scenario, one after another.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt as _;
use s3ferry_core::cutover::{
    CutoverPhase, CutoverSettings, CutoverState, FreezeMethod, OperatorLease, OperatorName, StepState,
};
use s3ferry_core::diff::SideName;
use s3ferry_core::names::Region;
use s3ferry_core::time::Timestamp;
use s3ferry_engine::cutover::{Cutover, CutoverEnd, CutoverOptions};
use s3ferry_testkit::schedule::SchedulePaths;

use crate::ports::{WorldError, WorldPorts};
use crate::world::{Blind, Budget, Disturbance, World};

/// How often an operator runs a command again.
const RUNS: u32 = 30;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scenario {
    /// A cutover.
    Run,
    /// A cutover that is aborted as soon as it is blocked or killed, or else before the switch.
    Abort,
    /// A rollback after the switch and a write.
    Rollback,
    /// A cutover, a rollback and a cutover.
    RunAgain,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Command {
    Run,
    Abort,
    Rollback,
}

fn settings() -> CutoverSettings {
    CutoverSettings {
        freeze: FreezeMethod::Policy,
        excepted_roles: Vec::new(),
        sealed_roles: vec!["arn:aws:iam::123456789012:role/replicator".to_owned()],
        switch: "manual".to_owned(),
    }
}

pub(crate) fn cutover(world: &Arc<Mutex<World>>, process: u32, is_alone: bool) -> Cutover<WorldPorts> {
    Cutover {
        ports: WorldPorts {
            world: Arc::clone(world),
            is_alone,
        },
        route: world.lock().unwrap().route.clone(),
        source_region: Region::new("us-east-1").unwrap(),
        destination_region: Region::new("eu-central-1").unwrap(),
        operator: OperatorName {
            operator: "ann".to_owned(),
            host: "laptop".to_owned(),
            process,
            began: Timestamp::from_seconds(0),
        },
        options: CutoverOptions {
            settle: Duration::from_secs(10),
            probes: 2,
            drain_wait: Duration::from_mins(5),
            abort_uploads: true,
            accept_late_writes: false,
        },
    }
}

fn once(world: &Arc<Mutex<World>>, process: u32, command: Command) -> Result<CutoverEnd, WorldError> {
    let cutover = cutover(world, process, true);
    let ended = match command {
        Command::Run => cutover.run(settings()).now_or_never(),
        Command::Abort => cutover.roll_back(None, true).now_or_never(),
        Command::Rollback => cutover.roll_back(None, false).now_or_never(),
    };
    ended.unwrap()
}

/// Runs a command until it is done. Returns whether it was.
fn until_done(world: &Arc<Mutex<World>>, process: &mut u32, command: Command) -> bool {
    for _ in 0..RUNS {
        *process += 1;
        world.lock().unwrap().note(format!("{command:?}"));
        let ended = once(world, *process, command);
        let mut held = world.lock().unwrap();
        held.is_crashed = false;
        match ended {
            Ok(CutoverEnd::Done) => return true,
            Ok(CutoverEnd::WouldLose(keys)) => {
                held.note(format!("  would lose {keys:?}: copied back by the operator"));
                held.copy_all(SideName::Destination, SideName::Source);
            }
            Ok(CutoverEnd::Blocked(_)) | Err(WorldError::Crashed) => {}
            Ok(CutoverEnd::Declined(step)) => panic!("{step} was confirmed"),
            Err(WorldError::Refused(s3ferry_engine::cutover::CutoverRefusal::NotBegun)) if command != Command::Run => {
                return true;
            }
            Err(WorldError::Failed(failure)) => held.violate(failure.to_string()),
            Err(error) => held.violate(format!("{error:?}")),
        }
        if held.violation.is_some() {
            return false;
        }
        held.pass_time(1);
    }
    false
}

fn state(world: &World) -> Option<CutoverState> {
    let (_, body) = world.state.as_ref()?;
    Some(CutoverState::read(&world.route, body).unwrap())
}

fn check_run(world: &mut World) {
    let state = state(world).unwrap();
    let (freeze, seal) = (world.route.freeze_sid(), world.route.seal_sid());
    world.check_policies(&[freeze], &[seal]);
    world.check_writes(SideName::Destination);
    if world.app_side != SideName::Destination {
        world.violate("done, and applications use the source");
    }
    let is_certified = world
        .certificates
        .get(&world.route.certificate_name(state.generation, state.certificates))
        .is_some_and(|text| state.certificate.as_deref().is_some_and(|digest| text.contains(digest)));
    if !is_certified {
        world.violate("done, and the state names no certificate");
    }
    if state.next_step().is_some() || state.steps.values().any(|record| record.state != StepState::Done) {
        world.violate("done, and a step is not");
    }
}

fn check_undone(world: &mut World) {
    world.check_policies(&[], &[]);
    world.check_writes(SideName::Source);
    if world.app_side != SideName::Source || !world.has_notification {
        world.violate("rolled back, and not as before");
    }
    if let Some(state) = state(world)
        && (state.phase != CutoverPhase::RolledBack
            || state.steps.values().any(|record| record.state == StepState::Done))
    {
        world.violate("rolled back, and the state says otherwise");
    }
}

/// Runs one schedule.
fn run(scenario: Scenario, budget: Budget, world: &Arc<Mutex<World>>) {
    let mut process = 0;
    let set = |budget: Budget| world.lock().unwrap().budget = budget;
    let none = Budget {
        crashes: 0,
        disturbances: 0,
    };
    match scenario {
        Scenario::Run => {
            set(budget);
            if until_done(world, &mut process, Command::Run) {
                check_run(&mut world.lock().unwrap());
            }
        }
        Scenario::Abort => {
            set(budget);
            let ended = once(world, 1, Command::Run);
            process = 1;
            world.lock().unwrap().is_crashed = false;
            let is_switched = state(&world.lock().unwrap()).is_some_and(|state| state.may_be_switched());
            if ended.is_err() && !is_switched {
                if until_done(world, &mut process, Command::Abort) {
                    check_undone(&mut world.lock().unwrap());
                } else {
                    world.lock().unwrap().violate("the abort never ends");
                }
            }
        }
        Scenario::Rollback | Scenario::RunAgain => {
            let is_done = until_done(world, &mut process, Command::Run);
            assert!(is_done, "{:?}", world.lock().unwrap().trace);
            world.lock().unwrap().app_write(SideName::Destination, "new");
            set(budget);
            if !until_done(world, &mut process, Command::Rollback) {
                world.lock().unwrap().violate("the rollback never ends");
                return;
            }
            check_undone(&mut world.lock().unwrap());
            if scenario == Scenario::RunAgain {
                set(none);
                world.lock().unwrap().app_write(SideName::Source, "a");
                assert!(until_done(world, &mut process, Command::Run));
                check_run(&mut world.lock().unwrap());
            }
        }
    }
}

/// Runs every schedule until one violates what must hold; returns the number, and the violation with its trace.
fn search(
    scenario: Scenario,
    budget: Budget,
    disturbances: &'static [Disturbance],
    blind: Blind,
) -> (u64, u64, Option<(String, String)>) {
    let (mut paths, mut count, mut done) = (SchedulePaths::default(), 0, 0);
    loop {
        paths.restart();
        let world = Arc::new(Mutex::new(World::new(paths, disturbances, blind)));
        run(scenario, budget, &world);
        let world = Arc::try_unwrap(world).unwrap().into_inner().unwrap();
        count += 1;
        done += u64::from(state(&world).is_some_and(|state| state.next_step().is_none()));
        if let Some(violation) = world.violation {
            return (count, done, Some((violation, world.trace.join("\n"))));
        }
        paths = world.paths;
        if !paths.advance() {
            return (count, done, None);
        }
    }
}

#[track_caller]
pub(crate) fn explore(scenario: Scenario, budget: Budget, disturbances: &'static [Disturbance], blind: Blind) {
    let (count, done, violation) = search(scenario, budget, disturbances, blind);
    if let Some((violation, trace)) = violation {
        panic!("schedule {count}:\n{trace}\n{violation}");
    }
    println!("{scenario:?}: {count} schedules, all hold; {done} end at the destination");
}

/// Returns the violation that a schedule shows without a safeguard.
#[track_caller]
pub(crate) fn find_violation(scenario: Scenario, budget: Budget, disturbances: &[Disturbance], blind: Blind) -> String {
    let disturbances = disturbances.to_vec().leak();
    let (count, _, violation) = search(scenario, budget, disturbances, blind);
    let (violation, _) = violation.unwrap_or_else(|| panic!("{count} schedules hold although {blind:?} is defeated"));
    violation
}

/// A world in which a process of another operator holds the lease.
pub(crate) fn world_held_by(operator: &str) -> Arc<Mutex<World>> {
    let mut world = World::new(SchedulePaths::default(), &[], Blind::Nothing);
    let holder = OperatorName {
        operator: operator.to_owned(),
        host: "laptop".to_owned(),
        process: 7,
        began: Timestamp::from_seconds(0),
    };
    let held = CutoverState::new(&world.route, settings(), OperatorLease::of(holder));
    world.state = Some((1, held.to_json().unwrap()));
    Arc::new(Mutex::new(world))
}

/// Runs the cutover as another process. The error is the refusal's text.
pub(crate) fn run_beside(world: &Arc<Mutex<World>>, is_alone: bool) -> Result<CutoverEnd, String> {
    let ended = cutover(world, 8, is_alone).run(settings()).now_or_never();
    ended.unwrap().map_err(|error| match error {
        WorldError::Refused(refusal) => refusal.to_string(),
        other => format!("{other:?}"),
    })
}
