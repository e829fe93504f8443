//! What the exploration runs on: two buckets, a queue, invocations, and what must hold at every step.

pub(crate) mod exhaustive;
mod history;
mod message;
mod mutants;
mod profile;
pub(crate) mod run;
mod world;
mod writer;

pub(crate) use mutants::Mutant;
