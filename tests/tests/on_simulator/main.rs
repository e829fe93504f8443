//! s3ferry against the S3 simulator, over HTTP: the adapters' contract, shared ownership, and the functions' binaries with
//! objects that no emulator could hold, their requests counted.
#![expect(clippy::expect_used, reason = "a broken expectation is a failed test")]

mod binaries;
mod contract;
mod preflight;
mod shared;
mod stage;
