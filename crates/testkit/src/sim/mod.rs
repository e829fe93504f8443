//! An S3 simulator: S3's rules as a state machine, and a server for real S3 clients.
//!
//! ```
//! use s3ferry_testkit::sim::model::simulator::WriteTarget;
//! use s3ferry_testkit::sim::model::synthetic::SyntheticObject;
//! use s3ferry_testkit::sim::{ServerOptions, SimServer};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = SimServer::start(ServerOptions::default()).await?;
//! server.model().create_bucket("source", "us-east-1", false)?;
//! let terabyte = SyntheticObject {
//!     size_bytes: 1_000_000_000_000,
//!     seed: 1,
//!     ..SyntheticObject::default()
//! };
//! let target = WriteTarget { bucket: "source", key: "big" };
//! server.model().put_synthetic(target, &terabyte)?;
//! assert!(server.endpoint().starts_with("http://127.0.0.1:"));
//! # Ok(())
//! # }
//! ```
//!
//! [`model`] contains the rules, without waiting and without HTTP. [`http`] serves it through s3s. [`fault`] and
//! [`latency`] add faults and delays. [`SimServer::start`] runs the server in a test, the binary `s3sim` on its own.

pub mod fault;
pub mod http;
pub mod latency;
pub mod model;

pub use http::server::{ServerOptions, SimServer};
