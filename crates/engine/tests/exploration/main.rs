//! Concurrent invocations, explored step by step: every call of a port waits for a scheduler that picks who continues.

#![expect(
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a broken expectation is a failed test, and a count is worth printing"
)]

mod exclusive;
mod harness;
mod shared;
