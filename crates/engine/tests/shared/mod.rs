//! What the exploration of shared ownership runs on.

mod mutants;
mod run;
mod world;
mod writers;

pub(crate) use mutants::Mutant;
pub(crate) use run::explore;
