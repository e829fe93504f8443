#![doc = include_str!("../README.md")]

pub mod batch;
pub mod diff;
pub mod listing;
pub mod ports;
pub mod reconcile;
pub mod results;
pub mod verify;
pub mod wiring;
