//! The bucket wiring: merges s3ferry's entries into the configuration of an existing bucket, and removes them.
//!
//! [`carry_out`] handles one request of `CloudFormation`. It brings one bucket to its desired configuration in passes.
//! A pass reads the configuration, decides, writes a backup, reads again, makes one write and polls until it shows.
//! If the bucket changed concurrently, another pass follows. A pass with nothing to write is the last one.
//! Every refusal is part of a pass's decision, before its write.

mod converge;
mod error;
mod failures;
mod fitness;
mod lifecycle;
mod plan;
mod ports;
mod snapshot;

pub use lifecycle::carry_out;
pub use ports::{BucketConfiguration, EventRules, Listener, WiringBackup, WiringPorts};

#[cfg(test)]
mod tests;
