//! The exploration: two buckets, a queue and invocations under a scheduler, with what must hold at every step.
//!
//! [`Ownership`](s3ferry_core::policy::Ownership) selects what differs: with exclusive ownership applications write the
//! source only; with shared ownership they write both buckets, and their newer writes must survive.

mod exclusive;
mod mutants;
mod profile;
mod run;
mod scenario;
mod search;
mod shared;
mod simulation;
mod walk;
mod writers;

pub(crate) use mutants::Mutant;
pub(crate) use scenario::{Before, ObjectSpec, Scenario, SecondInvocation, Write};
pub(crate) use search::{assert_all_interleavings_hold, assert_all_schedules_hold, assert_caught, walk_scenarios};
