#![doc = include_str!("../README.md")]

pub mod config;
pub mod deadline;
pub mod final_sync;
pub mod logging;
pub mod metrics;
mod on_aws;
mod record;
pub mod replicator;
pub mod start;
pub mod version;
pub mod wiring;
