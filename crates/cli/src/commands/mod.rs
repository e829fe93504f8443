//! The commands, one module each.

pub mod batch;
pub mod completions;
pub mod cutover;
pub mod diff;
pub mod man;
pub mod manifest;
pub mod sync;
pub mod verify;
