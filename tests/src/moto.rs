//! moto, a second S3 emulator that validates the requests of the adapters independently.

use crate::server::{ServerProcess, ServerProgram};
use crate::{Result, tools};

const PROGRAM: ServerProgram = ServerProgram {
    name: "moto",
    health_path: "/moto-api/data.json",
};

/// A running moto server. Dropping it ends it and removes its files.
#[derive(Debug)]
pub struct Moto {
    server: ServerProcess,
}

impl Moto {
    /// Starts a server on a free loopback port and waits until it is ready.
    pub async fn start() -> Result<Self> {
        let server = ServerProcess::start(PROGRAM, &tools::moto()?, |command, _, port| {
            command.args(["--host", "127.0.0.1", "--port", &port.to_string()]);
        })
        .await?;
        Ok(Self { server })
    }

    /// Creates an S3 client of the root user for `region`.
    #[must_use]
    pub fn s3(&self, region: &str) -> aws_sdk_s3::Client {
        self.server.s3(region)
    }

    /// Returns the variables that configure the SDKs for this server.
    #[must_use]
    pub fn exports(&self, region: &str) -> Vec<(String, String)> {
        self.server.exports(region)
    }
}
