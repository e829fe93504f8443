//! Wires a source bucket that exists already, and takes the wiring out again.
//!
//! [`carry_out`] answers one request of `CloudFormation`. Below it, one bucket is brought to what is wanted, in turns:
//! read everything, decide, back up, read again, write one thing, read until it is seen. A turn that finds the
//! bucket changed under it starts over; a turn that finds nothing to do ends the work. Everything that can be refused
//! is refused in the turn's decision, before its write.

mod converge;
mod error;
mod failures;
mod fitness;
mod lifecycle;
mod plan;
mod ports;
mod snapshot;

pub use lifecycle::carry_out;
pub use ports::{BucketConfiguration, EventRules, Listener, Pause, WiringBackup, WiringPorts};

#[cfg(test)]
mod tests;
