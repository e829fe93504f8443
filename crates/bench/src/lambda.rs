//! The replicators under a local Lambda Runtime API: s3ferry's function, and a handler with boto3.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use s3ferry_tests::runtime_api::{Function, InvocationReply};
use s3ferry_tests::{HarnessError, SOURCE_REGION, event, replicator, tools};
use serde_json::Value;

use crate::contest::Contender;
use crate::error::{BenchResult, RunFailure};
use crate::tools::Peers;
use crate::world::{SOURCE, STATE, World, key};

/// Timeout of an invocation.
const TIMEOUT: Duration = Duration::from_mins(3);

/// A function's executable with its environment.
#[derive(Debug, Clone)]
pub(crate) struct FunctionWork {
    /// Executable.
    pub(crate) binary: PathBuf,
    environment: Vec<(String, String)>,
}

/// Returns s3ferry's replicator and the handler with boto3.
pub(crate) fn replicators(world: &World, peers: &Peers) -> BenchResult<[Contender<FunctionWork>; 2]> {
    let s3ferry = FunctionWork {
        binary: tools::function("replicator")?,
        environment: environment(world, &[]),
    };
    let peer = match peers.python() {
        Ok(python) => Ok(boto3(world, &python)?),
        Err(reason) => Err(reason),
    };
    Ok([
        contender("s3ferry", "replicator", true, Ok(s3ferry)),
        contender("boto3 handler", "awslambdaric, CopyObject only", false, peer),
    ])
}

fn contender(
    tool: &'static str,
    settings: &str,
    is_s3ferry: bool,
    work: std::result::Result<FunctionWork, String>,
) -> Contender<FunctionWork> {
    Contender {
        tool,
        settings: settings.to_owned(),
        is_s3ferry,
        work,
    }
}

fn environment(world: &World, more: &[(&str, &str)]) -> Vec<(String, String)> {
    let common = [
        ("AWS_ENDPOINT_URL", world.server().endpoint()),
        ("AWS_ACCESS_KEY_ID", "any"),
        ("AWS_SECRET_ACCESS_KEY", "any"),
        ("AWS_REGION", SOURCE_REGION),
        ("STATE_BUCKET", STATE),
    ];
    let required = replicator::settings(SOURCE, crate::world::DESTINATION);
    let all = common.iter().chain(&required).chain(more);
    all.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

/// Writes an executable that becomes the Python interpreter with the Lambda runtime client.
fn boto3(world: &World, python: &Path) -> BenchResult<FunctionWork> {
    let folder = world.scratch().join("boto3-handler");
    let failed = || HarnessError::io("writing the start script of the boto3 handler");
    fs::create_dir_all(&folder).map_err(failed())?;
    let binary = folder.join("bootstrap");
    let script = format!(
        "#!/bin/sh\nexec '{}' -m awslambdaric handler.handler\n",
        python.display()
    );
    fs::write(&binary, script).map_err(failed())?;
    fs::set_permissions(&binary, fs::Permissions::from_mode(0o755)).map_err(failed())?;
    let handlers = tools::repository().join("crates/bench/peers");
    let handlers = handlers.display().to_string();
    let more = [
        ("PYTHONPATH", handlers.as_str()),
        ("LAMBDA_TASK_ROOT", handlers.as_str()),
        ("PYTHONDONTWRITEBYTECODE", "1"),
        ("PATH", "/usr/local/bin:/usr/bin:/bin"),
    ];
    Ok(FunctionWork {
        binary,
        environment: environment(world, &more),
    })
}

/// Starts a function. A function that does not start is a row of the report.
pub(crate) async fn start(work: &FunctionWork) -> std::result::Result<Function, RunFailure> {
    let started = Function::start(&work.binary, &work.environment, TIMEOUT).await;
    started.map_err(|error| match error {
        HarnessError::Ended { .. } | HarnessError::TimedOut { .. } => RunFailure::Failed(last_line(&error)),
        error => RunFailure::Harness(error.into()),
    })
}

fn last_line(error: &HarnessError) -> String {
    let text = error.to_string();
    text.lines().last().unwrap_or_default().to_owned()
}

/// Returns an invocation with one message per object.
pub(crate) fn batch(numbers: impl IntoIterator<Item = u64>) -> Vec<u8> {
    let messages: Vec<(String, String)> = numbers
        .into_iter()
        .map(|number| (number.to_string(), event::created(SOURCE, &key(number)).to_string()))
        .collect();
    let messages = messages.iter().map(|(id, body)| (id.as_str(), body.clone()));
    event::queue_batch(messages).to_string().into_bytes()
}

/// Sends a batch, and returns the numbers of the messages that return to the queue.
pub(crate) async fn deliver(function: &mut Function, event: Vec<u8>) -> std::result::Result<Vec<u64>, RunFailure> {
    match function
        .invoke(event)
        .await
        .map_err(|error| RunFailure::Failed(last_line(&error)))?
    {
        InvocationReply::Error(document) => Err(RunFailure::Failed(document)),
        InvocationReply::Response(document) => {
            let document: Value =
                serde_json::from_str(&document).map_err(HarnessError::json("a function's response"))?;
            let failures = document.get("batchItemFailures").and_then(Value::as_array);
            let ids = failures
                .into_iter()
                .flatten()
                .filter_map(|failure| failure.get("itemIdentifier")?.as_str());
            Ok(ids.filter_map(|id| id.parse().ok()).collect())
        }
    }
}
