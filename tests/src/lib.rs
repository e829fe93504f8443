//! Harness of s3ferry's end-to-end tests.
//!
//! It starts an AWS emulator with IAM enforced, deploys both stacks with the SAM CLI, compares two buckets completely,
//! and runs a function's binary under a local Runtime API.
//!
//! Every server listens on loopback only, keeps its files in a temporary folder, and ends when its value is dropped.
//! No child process reads the caller's AWS configuration.

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

/// Only account of the emulator.
pub const ACCOUNT_ID: &str = "000000000000";
