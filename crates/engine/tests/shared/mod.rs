//! What the exploration of shared ownership runs on.

pub(crate) mod exhaustive;
mod mutants;
mod run;
mod world;
mod writers;

pub(crate) use mutants::Mutant;
pub(crate) use run::explore;
