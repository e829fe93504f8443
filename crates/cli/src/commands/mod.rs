//! The commands, one module each.

pub mod batch;
pub mod completions;
pub mod cutover;
pub mod deploy_parameters;
pub mod diff;
pub mod dlq;
pub mod init;
pub mod man;
pub mod manifest;
pub mod preflight;
pub mod status;
pub mod sync;
pub mod verify;
