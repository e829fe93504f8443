//! `MiniStack`, the AWS emulator, with IAM enforced.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region, SharedHttpClient};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use tempfile::TempDir;

use crate::waiting::{Seen, until};
use crate::{ACCOUNT_ID, Error, Result, process, tools};

/// How long a start may take on a busy machine.
const START: Duration = Duration::from_mins(2);

/// How often a start is tried.
const ATTEMPTS: u32 = 3;

/// The root user's key id and secret in the emulator.
const ROOT: &str = "test";

/// How much of the log a failure shows.
const LINES_SHOWN: usize = 120;

/// How an emulator is started.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Writes a log line for every request, see [`Emulator::requests`].
    pub log_requests: bool,
    /// Gives the emulator a process group of its own, so that it survives the terminal's interrupt.
    pub detached: bool,
}

/// A running emulator; dropping it ends it with all its workers and removes its files.
#[derive(Debug)]
pub struct Emulator {
    child: Option<Child>,
    port: u16,
    scratch: TempDir,
    http: SharedHttpClient,
}

impl Emulator {
    /// Starts an emulator on a free loopback port and waits until it is healthy.
    pub async fn start(options: Options) -> Result<Self> {
        let mut attempt = 1;
        loop {
            match Self::start_once(options).await {
                // Somebody else may take the port before the emulator does; it ends then.
                Err(Error::Ended { .. }) if attempt < ATTEMPTS => attempt += 1,
                outcome => return outcome,
            }
        }
    }

    async fn start_once(options: Options) -> Result<Self> {
        let binary = tools::ministack()?;
        let scratch = TempDir::with_prefix("s3ferry-emulator-").map_err(Error::io("making a temporary folder"))?;
        let port = free_port()?;
        let log =
            File::create(scratch.path().join("emulator.log")).map_err(Error::io("creating the emulator's log"))?;
        let child = command(&binary, scratch.path(), port, options, log)?
            .spawn()
            .map_err(Error::io(format!("starting {}", binary.display())))?;
        let http = aws_smithy_http_client::Builder::new()
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .build_https();
        let mut emulator = Self {
            child: Some(child),
            port,
            scratch,
            http,
        };
        emulator.wait_until_healthy().await?;
        Ok(emulator)
    }

    /// The base URL of every service.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// A folder that lives as long as the emulator.
    #[must_use]
    pub fn scratch(&self) -> &Path {
        self.scratch.path()
    }

    /// Where the emulator's output, and that of the functions it runs, goes.
    #[must_use]
    pub fn log_path(&self) -> PathBuf {
        self.scratch.path().join("emulator.log")
    }

    /// The emulator's output so far.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read(self.log_path()).map_or_else(
            |error| format!("(no log: {error})"),
            |bytes| String::from_utf8_lossy(&bytes).into_owned(),
        )
    }

    /// The last lines of the output, for a message about a failure.
    #[must_use]
    pub fn end_of_log(&self) -> String {
        format!("--- end of the emulator's log ---\n{}", tail(&self.log(), LINES_SHOWN))
    }

    /// Every request logged so far as `METHOD path`; empty unless [`Options::log_requests`] was set.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        self.log().lines().filter_map(request_of_log_line).collect()
    }

    /// The most resident memory, in KiB, that a function's process has had so far; workers that have ended are not seen.
    #[must_use]
    pub fn peak_resident_kib_of_functions(&self) -> Option<u64> {
        process::peak_resident_kib(self.child.as_ref()?.id(), "bootstrap")
    }

    /// The processes that run a function's code now, in order of their ids.
    #[must_use]
    pub fn workers_of(&self, function_name: &str) -> Vec<u32> {
        let workers = |child: &Child| {
            let name = "AWS_LAMBDA_FUNCTION_NAME";
            process::running_below(child.id(), self.scratch.path(), "bootstrap", name, function_name)
        };
        self.child.as_ref().map(workers).unwrap_or_default()
    }

    /// An S3 client of the root user for `region`.
    #[must_use]
    pub fn s3(&self, region: &str) -> aws_sdk_s3::Client {
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .credentials_provider(root_credentials())
            .endpoint_url(self.endpoint())
            .force_path_style(true)
            .http_client(self.http.clone())
            .region(Region::new(region.to_owned()))
            .build();
        aws_sdk_s3::Client::from_conf(config)
    }

    /// An SQS client of the root user for `region`.
    #[must_use]
    pub fn sqs(&self, region: &str) -> aws_sdk_sqs::Client {
        let config = aws_sdk_sqs::Config::builder()
            .behavior_version(aws_sdk_sqs::config::BehaviorVersion::latest())
            .credentials_provider(root_credentials())
            .endpoint_url(self.endpoint())
            .http_client(self.http.clone())
            .region(aws_sdk_sqs::config::Region::new(region.to_owned()))
            .build();
        aws_sdk_sqs::Client::from_conf(config)
    }

    /// The whole environment of a program that talks to this emulator as root: nothing of the caller's AWS settings.
    #[must_use]
    pub fn environment(&self, region: &str) -> Vec<(String, String)> {
        let scratch = self.scratch.path().display().to_string();
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

    /// The variables that point the AWS CLI and the SDKs at this emulator.
    #[must_use]
    pub fn exports(&self, region: &str) -> Vec<(String, String)> {
        [
            ("AWS_ENDPOINT_URL", self.endpoint().as_str()),
            ("AWS_ACCESS_KEY_ID", ROOT),
            ("AWS_SECRET_ACCESS_KEY", ROOT),
            ("AWS_REGION", region),
            ("AWS_DEFAULT_REGION", region),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
    }

    /// Leaves the emulator running with its files; returns its process id.
    #[must_use]
    pub fn keep(mut self) -> Option<u32> {
        self.scratch.disable_cleanup(true);
        self.child.take().map(|child| child.id())
    }

    async fn wait_until_healthy(&mut self) -> Result<()> {
        let port = self.port;
        let log_path = self.log_path();
        let Some(child) = self.child.as_mut() else {
            return Ok(());
        };
        until("the emulator's health endpoint", START, || {
            let ended = child.try_wait().map_err(Error::io("looking at the emulator"));
            let log_path = log_path.clone();
            async move {
                if let Some(status) = ended? {
                    let output = std::fs::read_to_string(&log_path).map_err(Error::io("reading the emulator's log"))?;
                    return Err(Error::Ended {
                        program: "the emulator".to_owned(),
                        status,
                        output,
                    });
                }
                let healthy = tokio::task::spawn_blocking(move || health(port)).await.unwrap_or(false);
                Ok(Seen::when(healthy, || "no healthy answer".to_owned()))
            }
        })
        .await
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        if std::thread::panicking() {
            eprintln!("{}", self.end_of_log());
        }
        process::end(&mut child);
    }
}

fn command(binary: &Path, scratch: &Path, port: u16, options: Options, log: File) -> Result<Command> {
    let errors = log.try_clone().map_err(Error::io("sharing the emulator's log"))?;
    let mut command = Command::new(binary);
    command
        .env_clear()
        .env("PATH", std::env::var("PATH").unwrap_or_default())
        .env("LC_ALL", "C.UTF-8")
        .env("HOME", scratch)
        .env("TMPDIR", scratch)
        .env("STATE_DIR", scratch.join("state"))
        .env("S3_DATA_DIR", scratch.join("s3"))
        .env("BIND_HOST", "127.0.0.1")
        .env("GATEWAY_PORT", port.to_string())
        // URLs of queues and of custom resource answers: an address, so that nothing tries IPv6 first.
        .env("MINISTACK_HOST", "127.0.0.1")
        .env("MINISTACK_ACCOUNT_ID", ACCOUNT_ID)
        .env("AUTH", "true")
        // Listeners of services that nothing here uses.
        .env("IOT_MTLS_ENABLED", "0")
        .env("SFTP_ENABLED", "0")
        .current_dir(scratch)
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors);
    if options.log_requests {
        command.env("LOG_LEVEL", "DEBUG");
    }
    if options.detached {
        command.process_group(0);
    }
    Ok(command)
}

fn root_credentials() -> Credentials {
    Credentials::new(ROOT, ROOT, None, None, "emulator")
}

/// A port that was free a moment ago.
fn free_port() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(Error::io("finding a free port"))?;
    listener
        .local_addr()
        .map(|address| address.port())
        .map_err(Error::io("finding a free port"))
}

/// Whether the health endpoint answers 200; a plain socket, so that no HTTP client is needed before the first start.
fn health(port: u16) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(b"GET /_ministack/health HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n")?;
        let mut answer = [0; 16];
        stream.read_exact(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer).contains(" 200 "))
    };
    ask().unwrap_or(false)
}

fn request_of_log_line(line: &str) -> Option<String> {
    let (_, message) = line.split_once("[ministack] ")?;
    let (request, _) = message.split_once(" -> service=")?;
    Some(request.to_owned())
}

/// The last lines, without those of single requests.
fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().filter(|line| !line.contains(" DEBUG [")).collect();
    all.get(all.len().saturating_sub(lines)..)
        .unwrap_or_default()
        .join("\n")
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
