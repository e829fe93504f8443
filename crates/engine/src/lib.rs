#![doc = include_str!("../README.md")]

pub mod batch;
pub mod cutover;
pub mod dead_letters;
pub mod diff;
pub mod final_sync;
pub mod invocation_counts;
pub mod listing;
pub mod ports;
pub mod reconcile;
pub mod record;
pub mod results;
pub mod verify;
pub mod wiring;
