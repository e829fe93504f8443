#![doc = include_str!("../README.md")]
#![expect(
    clippy::missing_panics_doc,
    clippy::expect_used,
    clippy::must_use_candidate,
    reason = "test support: a broken expectation is a failed test"
)]

pub mod batch_job;
pub mod clock;
pub mod contract;
pub mod faults;
pub mod journal;
pub mod listing;
pub mod memory;
pub mod queue;
pub mod schedule;
#[cfg(feature = "sim")]
pub mod sim;
mod verify;
