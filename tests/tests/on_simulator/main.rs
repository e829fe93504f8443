//! Tests against the S3 simulator over HTTP: the adapters' contract, shared ownership, and the functions' binaries on
//! objects that no emulator can store, with all requests counted.
#![expect(clippy::expect_used, reason = "a broken expectation is a failed test")]

mod binaries;
mod contract;
mod preflight;
mod shared;
mod stage;
