//! `MiniStack`, the AWS emulator, with IAM enforced.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::server::{ServerProcess, ServerProgram};
use crate::{ACCOUNT_ID, Result, process, tools};

const PROGRAM: ServerProgram = ServerProgram {
    name: "emulator",
    health_path: "/_ministack/health",
};

/// Options for the start of an emulator.
#[derive(Clone, Copy, Debug, Default)]
pub struct EmulatorOptions {
    /// Writes a log line for every request, see [`Emulator::requests`].
    pub log_requests: bool,
    /// Starts the emulator in its own process group, so that an interrupt of the terminal does not end it.
    pub detached: bool,
}

/// A running emulator. Dropping it ends its processes and removes its files.
#[derive(Debug)]
pub struct Emulator {
    server: ServerProcess,
}

impl Emulator {
    /// Starts an emulator on a free loopback port and waits until it is healthy.
    pub async fn start(options: EmulatorOptions) -> Result<Self> {
        let server = ServerProcess::start(PROGRAM, &tools::ministack()?, |command, scratch, port| {
            configure(command, scratch, port, options);
        })
        .await?;
        Ok(Self { server })
    }

    /// Returns the base URL of every service.
    #[must_use]
    pub fn endpoint(&self) -> String {
        self.server.endpoint()
    }

    /// Returns a temporary folder that is removed with the emulator.
    #[must_use]
    pub fn scratch(&self) -> &Path {
        self.server.scratch()
    }

    /// Returns the path of the log of the emulator and of the functions that it runs.
    #[must_use]
    pub fn log_path(&self) -> PathBuf {
        self.server.log_path()
    }

    /// Returns the log so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.server.log()
    }

    /// Returns the last lines of the log, for the message of a failure.
    #[must_use]
    pub fn end_of_log(&self) -> String {
        self.server.end_of_log()
    }

    /// Returns every request so far as `METHOD path`; none without [`EmulatorOptions::log_requests`].
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        self.log().lines().filter_map(request_of_log_line).collect()
    }

    /// Returns the peak resident memory in KiB of the functions' processes that still run.
    #[must_use]
    pub fn peak_resident_kib_of_functions(&self) -> Option<u64> {
        process::peak_resident_kib(self.server.id()?, "bootstrap")
    }

    /// Returns the processes that currently run a function, ordered by id.
    #[must_use]
    pub fn workers_of(&self, function_name: &str) -> Vec<u32> {
        let name = "AWS_LAMBDA_FUNCTION_NAME";
        let workers = |root| process::running_below(root, self.scratch(), "bootstrap", name, function_name);
        self.server.id().map(workers).unwrap_or_default()
    }

    /// Creates an S3 client of the root user for `region`.
    #[must_use]
    pub fn s3(&self, region: &str) -> aws_sdk_s3::Client {
        self.server.s3(region)
    }

    /// Creates an SQS client of the root user for `region`.
    #[must_use]
    pub fn sqs(&self, region: &str) -> aws_sdk_sqs::Client {
        self.server.sqs(region)
    }

    /// Returns the complete environment of a program that uses this emulator as root, without the caller's settings.
    #[must_use]
    pub fn environment(&self, region: &str) -> Vec<(String, String)> {
        let scratch = self.scratch().display().to_string();
        let mut environment = self.exports(region);
        environment.extend([
            ("HOME".to_owned(), scratch.clone()),
            ("TMPDIR".to_owned(), scratch),
            ("PATH".to_owned(), std::env::var("PATH").unwrap_or_default()),
            ("LC_ALL".to_owned(), "C.UTF-8".to_owned()),
            ("COLUMNS".to_owned(), "200".to_owned()),
        ]);
        environment
    }

    /// Returns the variables that configure the AWS CLI and the SDKs for this emulator.
    #[must_use]
    pub fn exports(&self, region: &str) -> Vec<(String, String)> {
        self.server.exports(region)
    }

    /// Keeps the emulator running with its files, and returns its process id.
    #[must_use]
    pub fn keep(self) -> Option<u32> {
        self.server.keep()
    }
}

fn configure(command: &mut Command, scratch: &Path, port: u16, options: EmulatorOptions) {
    command
        .env("STATE_DIR", scratch.join("state"))
        .env("S3_DATA_DIR", scratch.join("s3"))
        .env("BIND_HOST", "127.0.0.1")
        .env("GATEWAY_PORT", port.to_string())
        // Host in URLs of queues and custom resource responses: an address, so that clients do not use IPv6.
        .env("MINISTACK_HOST", "127.0.0.1")
        .env("MINISTACK_ACCOUNT_ID", ACCOUNT_ID)
        .env("AUTH", "true")
        // Services that the tests do not use.
        .env("IOT_MTLS_ENABLED", "0")
        .env("SFTP_ENABLED", "0");
    if options.log_requests {
        command.env("LOG_LEVEL", "DEBUG");
    }
    if options.detached {
        command.process_group(0);
    }
}

fn request_of_log_line(line: &str) -> Option<String> {
    let (_, message) = line.split_once("[ministack] ")?;
    let (request, _) = message.split_once(" -> service=")?;
    Some(request.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_is_read_from_a_log_line() {
        let line = "2026-01-01 00:00:00 DEBUG [ministack] HEAD /bucket/key -> service=s3 region=us-east-1";
        assert_eq!(request_of_log_line(line).as_deref(), Some("HEAD /bucket/key"));
        assert_eq!(request_of_log_line("2026-01-01 00:00:00 INFO [ministack] Ready"), None);
    }
}
