//! AWS operations through `boto3` in the emulator's Python environment, which avoids compiling further Rust SDKs.

use serde_json::Value;
use tokio::process::Command;

use crate::emulator::Emulator;
use crate::{HarnessError, Result, tools};

/// Calls an operation with its parameters as JSON and prints the response as JSON.
const SCRIPT: &str = "import boto3, json, sys\n\
    service, operation, parameters = sys.argv[1:]\n\
    answer = getattr(boto3.client(service), operation)(**json.loads(parameters))\n\
    print(json.dumps(answer, default=str))\n";

/// Calls `operation` of `service` in `region` as root, for example `("logs", "filter_log_events", ..)`.
pub async fn aws_call(
    emulator: &Emulator,
    region: &str,
    service: &str,
    operation: &str,
    parameters: &Value,
) -> Result<Value> {
    let output = Command::new(tools::python()?)
        .args(["-c", SCRIPT, service, operation, &parameters.to_string()])
        .env_clear()
        .envs(emulator.environment(region))
        .output()
        .await
        .map_err(HarnessError::io("starting Python"))?;
    if !output.status.success() {
        let error = String::from_utf8_lossy(&output.stderr);
        return Err(HarnessError::Aws {
            operation: format!("{service} {operation}"),
            detail: error.lines().last().unwrap_or_default().to_owned(),
        });
    }
    serde_json::from_slice(&output.stdout).map_err(HarnessError::json(format!("the response of {operation}")))
}
