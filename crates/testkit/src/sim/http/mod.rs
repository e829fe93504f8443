//! The simulator as an HTTP server.

mod call;
mod chunked;
mod incoming;
pub mod operation;
mod outgoing;
mod policy;
mod range;
mod rfc2047;
mod route;
mod serve;
pub mod server;
mod service;
mod side_door;
