//! The rules of S3 as a state machine: no waiting, no HTTP.
//!
//! Start at [`simulator`]; each operation has its file.

pub mod bucket;
pub mod clock;
pub mod complete;
pub mod conditions;
pub mod content;
pub mod copy;
pub mod delete;
pub mod digest;
pub mod document;
pub mod error;
pub mod event;
pub mod listing;
pub mod lock;
pub mod multipart;
pub mod object;
pub mod put;
pub(crate) mod random;
pub mod simulator;
pub mod subresources;
pub mod synthetic;

#[cfg(test)]
mod tests;
