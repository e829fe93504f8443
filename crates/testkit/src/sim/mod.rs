//! An S3 simulator: the rules of S3 as a state machine, and a server that real clients can use.
//!
//! ```
//! use s3ferry_testkit::sim::model::simulator::Target;
//! use s3ferry_testkit::sim::model::synthetic::SyntheticObject;
//! use s3ferry_testkit::sim::{Options, Server};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = Server::start(Options::default()).await?;
//! server.model().create_bucket("source", "us-east-1", false)?;
//! let terabyte = SyntheticObject {
//!     size_bytes: 1_000_000_000_000,
//!     seed: 1,
//!     ..SyntheticObject::default()
//! };
//! let target = Target { bucket: "source", key: "big" };
//! server.model().put_synthetic(target, &terabyte)?;
//! assert!(server.endpoint().starts_with("http://127.0.0.1:"));
//! # Ok(())
//! # }
//! ```
//!
//! [`model`] has the rules, without waiting and without HTTP. [`http`] puts it behind s3s; [`fault`] and [`latency`]
//! make it misbehave. [`Server::start`] runs it inside a test, the binary `s3sim` on its own.

pub mod fault;
pub mod http;
pub mod latency;
pub mod model;

pub use http::server::{ServerOptions, SimServer};
