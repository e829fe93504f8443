//! AWS operations for which no Rust SDK is worth compiling here: one `boto3` call in the emulator's own environment.

use serde_json::Value;
use tokio::process::Command;

use crate::emulator::Emulator;
use crate::{HarnessError, Result, tools};

/// Calls an operation with its parameters as JSON and prints the answer as JSON.
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
    serde_json::from_slice(&output.stdout).map_err(HarnessError::json(format!("the answer of {operation}")))
}
