//! Harness of s3ferry's end-to-end tests: an AWS emulator with IAM enforced, both stacks deployed to it with the SAM
//! CLI, complete comparison of two buckets, and a Runtime API that runs a function's binary alone.
//!
//! Everything listens on loopback only, lives below one temporary folder and ends with the value that started it.
//! Nothing here reads the caller's AWS configuration: every child gets an environment of its own.

pub mod aws_call;
pub mod bucket;
pub mod compare;
pub mod deployment;
pub mod emulator;
pub mod error;
pub mod event;
pub mod foreign;
pub mod interrupt;
pub mod moto;
pub mod process;
pub mod queue;
pub mod replicator;
pub mod runtime_api;
pub mod sample;
mod server;
pub mod stack;
pub mod table;
pub mod tools;
pub mod upload;
pub mod waiting;
pub mod workload;

pub use error::{HarnessError, Result};

/// Region of the source bucket, its stack and its queues.
pub const SOURCE_REGION: &str = "us-east-1";

/// Region of the destination bucket and its stack.
pub const DESTINATION_REGION: &str = "eu-central-1";

/// The emulator's only account.
pub const ACCOUNT_ID: &str = "000000000000";
