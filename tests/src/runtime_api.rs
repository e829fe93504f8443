//! A Lambda Runtime API on loopback that runs a function's binary and sends it events.
//!
//! It serves the paths that a custom runtime uses (`/next`, `/response`, `/error`, `/init/error`) with Lambda's
//! headers, one invocation at a time, as one execution environment does.
//! <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>

mod server;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hyper::body::Bytes;
use server::{PendingInvocation, RuntimeApiState, serve};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};

use crate::{ACCOUNT_ID, HarnessError, Result, SOURCE_REGION, process, tools};

/// Time limit until a binary requests its first event, on a busy machine.
const START: Duration = Duration::from_mins(1);

/// Response of a function to one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InvocationReply {
    /// Result of the function.
    Response(String),
    /// Error document of the function.
    Error(String),
}

/// A function's process that has requested its first event. Dropping it ends the process.
#[derive(Debug)]
pub struct Function {
    child: Child,
    events: mpsc::Sender<PendingInvocation>,
    server: tokio::task::JoinHandle<()>,
    scratch: TempDir,
    timeout: Duration,
    time_to_first_next: Duration,
    invocations: u64,
    name: String,
}

impl Function {
    /// Starts `binary` with this environment and the variables that Lambda sets, and waits for its first `/next`.
    ///
    /// Returns [`HarnessError::Ended`] with the output if the binary ends before that.
    pub async fn start(binary: &Path, environment: &[(String, String)], timeout: Duration) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))
            .await
            .map_err(HarnessError::io("binding the runtime API"))?;
        let address = listener
            .local_addr()
            .map_err(HarnessError::io("binding the runtime API"))?;
        let name = binary
            .parent()
            .and_then(Path::file_name)
            .map_or("function".into(), |name| name.to_string_lossy());
        let name = name.into_owned();
        let (events, waiting) = mpsc::channel(1);
        let (first_next, mut first_next_seen) = watch::channel(None);
        let function_arn = format!("arn:aws:lambda:{SOURCE_REGION}:{ACCOUNT_ID}:function:{name}");
        let shared = RuntimeApiState::new(waiting, first_next, function_arn);
        let server = tokio::spawn(serve(listener, shared));
        let scratch =
            TempDir::with_prefix("s3ferry-function-").map_err(HarnessError::io("making a temporary folder"))?;
        let log = File::create(log_path(&scratch)).map_err(HarnessError::io("creating the function's log"))?;
        let begun = Instant::now();
        let child = command(binary, &address.to_string(), &name, environment, log)?
            .spawn()
            .map_err(HarnessError::io(format!("starting {}", binary.display())))?;
        let mut function = Self {
            child,
            events,
            server,
            scratch,
            timeout,
            time_to_first_next: Duration::ZERO,
            invocations: 0,
            name,
        };
        let asked = first_next_seen.wait_for(Option::is_some);
        let asked = function
            .unless_ended("the function's first /next", START, asked)
            .await?;
        let asked = asked
            .map(|instant| *instant)
            .map_err(|_| runtime_api("the server has ended"))?;
        function.time_to_first_next = asked.map_or(Duration::ZERO, |asked| asked.duration_since(begun));
        Ok(function)
    }

    /// Sends one event and waits for the function's response.
    pub async fn invoke(&mut self, event: impl Into<Vec<u8>>) -> Result<InvocationReply> {
        self.invocations += 1;
        let (answer, answered) = oneshot::channel();
        let deadline = SystemTime::now() + self.timeout;
        let invocation = PendingInvocation {
            request_id: format!("00000000-0000-4000-8000-{:012}", self.invocations),
            event: Bytes::from(event.into()),
            deadline_ms: deadline.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis()),
            answer,
        };
        self.events
            .send(invocation)
            .await
            .map_err(|_| runtime_api("the server has ended"))?;
        let timeout = self.timeout;
        let answer = self.unless_ended("the function's response", timeout, answered).await?;
        answer.map_err(|_| runtime_api("the invocation was dropped"))
    }

    /// Returns the time from the start of the process to its first `/next`.
    #[must_use]
    pub fn time_to_first_next(&self) -> Duration {
        self.time_to_first_next
    }

    /// Returns the id of the function's process.
    #[must_use]
    pub fn process_id(&self) -> u32 {
        self.child.id()
    }

    /// Returns the current resident memory in KiB.
    #[must_use]
    pub fn resident_kib(&self) -> Option<u64> {
        process::resident_kib(self.child.id())
    }

    /// Returns the function's log so far.
    pub fn log(&self) -> Result<String> {
        std::fs::read_to_string(log_path(&self.scratch)).map_err(HarnessError::io("reading the function's log"))
    }

    /// Waits for `outcome` until the process ends or `deadline` has passed.
    async fn unless_ended<T>(&mut self, what: &str, deadline: Duration, outcome: impl Future<Output = T>) -> Result<T> {
        let mut poll = tokio::time::interval(Duration::from_millis(20));
        let begun = Instant::now();
        tokio::pin!(outcome);
        loop {
            tokio::select! {
                biased;
                found = &mut outcome => return Ok(found),
                _ = poll.tick() => {}
            }
            if let Some(status) = self
                .child
                .try_wait()
                .map_err(HarnessError::io("waiting for the function"))?
            {
                return Err(HarnessError::Ended {
                    program: self.name.clone(),
                    status,
                    output: self.log()?,
                });
            }
            let waited = begun.elapsed();
            if waited > deadline {
                return Err(HarnessError::TimedOut {
                    what: what.to_owned(),
                    waited,
                    last_seen: self.log()?,
                });
            }
        }
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        process::end(&mut self.child);
        self.server.abort();
    }
}

fn command(binary: &Path, address: &str, name: &str, environment: &[(String, String)], log: File) -> Result<Command> {
    let errors = log
        .try_clone()
        .map_err(HarnessError::io("duplicating the function's log file"))?;
    let mut command = tools::function_command(binary);
    command
        .env_clear()
        .env("AWS_LAMBDA_RUNTIME_API", address)
        .env("AWS_LAMBDA_FUNCTION_NAME", name)
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128")
        .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
        .env("AWS_LAMBDA_LOG_GROUP_NAME", format!("/aws/lambda/{name}"))
        .env("AWS_LAMBDA_LOG_STREAM_NAME", "local")
        .env("_HANDLER", "bootstrap")
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors);
    Ok(command)
}

fn log_path(scratch: &TempDir) -> PathBuf {
    scratch.path().join("function.log")
}

fn runtime_api(detail: &str) -> HarnessError {
    HarnessError::RuntimeApi {
        detail: detail.to_owned(),
    }
}

#[cfg(test)]
mod tests;
