#![doc = include_str!("../README.md")]

pub mod config;
pub mod deadline;
pub mod logging;
pub mod metrics;
mod record;
pub mod replicator;
pub mod wiring;
