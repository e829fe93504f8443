//! An S3 simulator: the rules of S3 as a state machine, and a server that real clients can use.
//!
//! [`model`] has the rules, without waiting and without HTTP. [`http`] puts it behind s3s; [`fault`] and [`latency`]
//! make it misbehave. [`Server::start`] runs it inside a test, the binary `s3sim` on its own.

pub mod fault;
pub mod http;
pub mod latency;
pub mod model;

pub use http::server::{Options, Server};
