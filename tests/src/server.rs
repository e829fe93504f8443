//! A server process for tests: started on a free loopback port, and ended when its value is dropped.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region, SharedHttpClient};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use tempfile::TempDir;

use crate::waiting::{PollResult, until};
use crate::{HarnessError, Result, process};

/// Time limit of a start on a busy machine.
const START: Duration = Duration::from_mins(2);

/// Maximum attempts to start.
const ATTEMPTS: u32 = 3;

/// Lines of the log in the message of a failure.
const LINES_SHOWN: usize = 120;

/// Access key id and secret of the emulators' root users.
pub(crate) const ROOT: &str = "test";

/// Description of a server program.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ServerProgram {
    /// Name in messages and file names.
    pub(crate) name: &'static str,
    /// Path that responds with 200 once the server is ready.
    pub(crate) health_path: &'static str,
}

/// A running server. Dropping it ends its processes and removes its files.
#[derive(Debug)]
pub(crate) struct ServerProcess {
    program: ServerProgram,
    child: Option<Child>,
    port: u16,
    scratch: TempDir,
    http: SharedHttpClient,
}

impl ServerProcess {
    /// Starts a program on a free loopback port and waits until it is ready.
    ///
    /// `command` receives a temporary folder and the port. The environment, input and output are set before it runs.
    pub(crate) async fn start(
        program: ServerProgram,
        binary: &Path,
        command: impl Fn(&mut Command, &Path, u16) + Send + Sync,
    ) -> Result<Self> {
        let mut attempt = 1;
        loop {
            match Self::start_once(program, binary, &command).await {
                // The server ends if another process takes the port first.
                Err(HarnessError::Ended { .. }) if attempt < ATTEMPTS => attempt += 1,
                outcome => return outcome,
            }
        }
    }

    async fn start_once(
        program: ServerProgram,
        binary: &Path,
        command: &(impl Fn(&mut Command, &Path, u16) + Send + Sync),
    ) -> Result<Self> {
        let scratch = TempDir::with_prefix(format!("s3ferry-{}-", program.name))
            .map_err(HarnessError::io("making a temporary folder"))?;
        let port = free_port()?;
        let creating = || HarnessError::io(format!("creating the log of {}", program.name));
        let log = File::create(log_path(program, &scratch)).map_err(creating())?;
        let errors = log.try_clone().map_err(creating())?;
        let mut starting = Command::new(binary);
        starting
            .env_clear()
            .env("PATH", std::env::var("PATH").unwrap_or_default())
            .env("LC_ALL", "C.UTF-8")
            .env("HOME", scratch.path())
            .env("TMPDIR", scratch.path())
            .current_dir(scratch.path())
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors);
        command(&mut starting, scratch.path(), port);
        let child = starting
            .spawn()
            .map_err(HarnessError::io(format!("starting {}", binary.display())))?;
        let http = aws_smithy_http_client::Builder::new()
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .build_https();
        let mut server = Self {
            program,
            child: Some(child),
            port,
            scratch,
            http,
        };
        server.wait_until_healthy().await?;
        Ok(server)
    }

    /// Returns the base URL.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Returns a temporary folder that is removed with the server.
    pub(crate) fn scratch(&self) -> &Path {
        self.scratch.path()
    }

    /// Returns the process id.
    pub(crate) fn id(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Returns the path of the log.
    pub(crate) fn log_path(&self) -> PathBuf {
        log_path(self.program, &self.scratch)
    }

    /// Returns the log so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read(self.log_path()).map_or_else(
            |error| format!("(no log: {error})"),
            |bytes| String::from_utf8_lossy(&bytes).into_owned(),
        )
    }

    /// Returns the last lines of the log, for the message of a failure.
    pub(crate) fn end_of_log(&self) -> String {
        format!(
            "--- end of the log of {} ---\n{}",
            self.program.name,
            tail(&self.log(), LINES_SHOWN)
        )
    }

    /// Creates an S3 client of the root user for `region`.
    pub(crate) fn s3(&self, region: &str) -> aws_sdk_s3::Client {
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .credentials_provider(Credentials::new(ROOT, ROOT, None, None, "emulator"))
            .endpoint_url(self.endpoint())
            .force_path_style(true)
            .http_client(self.http.clone())
            .region(Region::new(region.to_owned()))
            .build();
        aws_sdk_s3::Client::from_conf(config)
    }

    /// Creates an SQS client of the root user for `region`.
    pub(crate) fn sqs(&self, region: &str) -> aws_sdk_sqs::Client {
        let config = aws_sdk_sqs::Config::builder()
            .behavior_version(aws_sdk_sqs::config::BehaviorVersion::latest())
            .credentials_provider(Credentials::new(ROOT, ROOT, None, None, "emulator"))
            .endpoint_url(self.endpoint())
            .http_client(self.http.clone())
            .region(aws_sdk_sqs::config::Region::new(region.to_owned()))
            .build();
        aws_sdk_sqs::Client::from_conf(config)
    }

    /// Returns the variables that configure the AWS CLI and the SDKs for this server.
    pub(crate) fn exports(&self, region: &str) -> Vec<(String, String)> {
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

    /// Keeps the server running with its files, and returns its process id.
    pub(crate) fn keep(mut self) -> Option<u32> {
        self.scratch.disable_cleanup(true);
        self.child.take().map(|child| child.id())
    }

    async fn wait_until_healthy(&mut self) -> Result<()> {
        let (program, port, log_path) = (self.program, self.port, self.log_path());
        let Some(child) = self.child.as_mut() else {
            return Ok(());
        };
        until(&format!("{} to be healthy", program.name), START, || {
            let ended = child
                .try_wait()
                .map_err(HarnessError::io(format!("waiting for {}", program.name)));
            let log_path = log_path.clone();
            async move {
                if let Some(status) = ended? {
                    let output = std::fs::read_to_string(&log_path)
                        .map_err(HarnessError::io(format!("reading the log of {}", program.name)))?;
                    return Err(HarnessError::Ended {
                        program: program.name.to_owned(),
                        status,
                        output,
                    });
                }
                let healthy = tokio::task::spawn_blocking(move || health(port, program.health_path))
                    .await
                    .unwrap_or(false);
                Ok(PollResult::when(healthy, || "no healthy response".to_owned()))
            }
        })
        .await
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        if std::thread::panicking() {
            eprintln!("{}", self.end_of_log());
        }
        process::end(&mut child);
    }
}

fn log_path(program: ServerProgram, scratch: &TempDir) -> PathBuf {
    scratch.path().join(format!("{}.log", program.name))
}

/// Returns a port that was free a moment ago.
fn free_port() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(HarnessError::io("finding a free port"))?;
    listener
        .local_addr()
        .map(|address| address.port())
        .map_err(HarnessError::io("finding a free port"))
}

/// Returns whether the health endpoint responds with 200. It uses a plain socket, without an HTTP client.
fn health(port: u16, path: &str) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n").as_bytes())?;
        let mut answer = [0; 16];
        stream.read_exact(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer).contains(" 200 "))
    };
    ask().unwrap_or(false)
}

/// Returns the last lines, without lines of single requests.
fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().filter(|line| !line.contains(" DEBUG [")).collect();
    all.get(all.len().saturating_sub(lines)..)
        .unwrap_or_default()
        .join("\n")
}
