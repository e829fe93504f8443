//! Runs of the final sync's state machine.
//!
//! <https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html>

use aws_sdk_sfn::Client;
use s3ferry_core::batch_report::{JobProgress, JobState};
use s3ferry_core::failure::Failure;
use s3ferry_core::names::Region;
use serde_json::Value;

use super::{count, failure_of};
use crate::classify::{AttemptedOperation, ErrorAnswer};
use crate::client::Clients;

/// The runs of state machines in one region.
#[derive(Debug, Clone)]
pub struct Executions {
    client: Client,
}

/// How a run was started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExecutionStart {
    /// It runs; or the same run was started before and is not over yet.
    Running(String),
    /// There was a run of this name, and it is over.
    WasThere(String),
}

/// A run as Step Functions describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecutionDescription {
    /// How far it is; items are counted, not batches.
    pub progress: JobProgress,
    /// Its name.
    pub name: String,
    /// The manifest's key, by its input.
    pub manifest_key: Option<String>,
}

impl Executions {
    /// Takes the region.
    #[must_use]
    pub fn new(clients: &Clients, region: &Region) -> Self {
        Self {
            client: clients.step_functions(region),
        }
    }

    /// Starts a run. Its name makes it the same run where it is asked for twice.
    pub async fn start(&self, state_machine_arn: &str, name: &str, input: &Value) -> Result<ExecutionStart, Failure> {
        let attempted = attempted("states:StartExecution", state_machine_arn);
        let execution_arn = || {
            format!(
                "{}:{name}",
                state_machine_arn.replacen(":stateMachine:", ":execution:", 1)
            )
        };
        let request = self
            .client
            .start_execution()
            .state_machine_arn(state_machine_arn)
            .name(name)
            .input(input.to_string());
        match request.send().await {
            Ok(started) => Ok(ExecutionStart::Running(started.execution_arn)),
            Err(error) => {
                let answer = ErrorAnswer::of(&error);
                if answer.code.as_deref() == Some("ExecutionAlreadyExists") {
                    return Ok(ExecutionStart::WasThere(execution_arn()));
                }
                Err(failure_of(answer, &attempted))
            }
        }
    }

    /// Reads how far a run is.
    pub async fn describe(&self, execution_arn: &str) -> Result<ExecutionDescription, Failure> {
        let attempted = attempted("states:DescribeExecution", execution_arn);
        let answer = self
            .client
            .describe_execution()
            .execution_arn(execution_arn)
            .send()
            .await;
        let run = answer.map_err(|error| failure_of(ErrorAnswer::of(&error), &attempted))?;
        let input: Option<Value> = run.input.as_deref().and_then(|input| serde_json::from_str(input).ok());
        let reasons: Vec<&str> = [run.error.as_deref(), run.cause.as_deref()]
            .into_iter()
            .flatten()
            .collect();
        // A batch that ended well may hold items that failed: the sum at the end of a run knows.
        let (total, succeeded, failed) = match run.output.as_deref().and_then(summed_up) {
            Some((succeeded, failed)) => (Some(succeeded.saturating_add(failed)), succeeded, failed),
            None => self.items(execution_arn).await?,
        };
        Ok(ExecutionDescription {
            progress: JobProgress {
                state: JobState::of_execution(run.status.as_str()),
                total,
                succeeded,
                failed,
                reason: Some(reasons.join(": ")).filter(|reason| !reason.is_empty()),
            },
            name: run.name.unwrap_or_else(|| name_of(execution_arn).to_owned()),
            manifest_key: input.and_then(|input| Some(input.get("manifestKey")?.as_str()?.to_owned())),
        })
    }

    /// Counts the items of a run's map: how many there are, are done, and failed with their batches.
    async fn items(&self, execution_arn: &str) -> Result<(Option<u64>, u64, u64), Failure> {
        let listing = attempted("states:ListMapRuns", execution_arn);
        let answer = self.client.list_map_runs().execution_arn(execution_arn).send().await;
        let maps = answer.map_err(|error| failure_of(ErrorAnswer::of(&error), &listing))?;
        let Some(map) = maps.map_runs.first() else {
            return Ok((None, 0, 0));
        };
        let describing = attempted("states:DescribeMapRun", &map.map_run_arn);
        let answer = self
            .client
            .describe_map_run()
            .map_run_arn(&map.map_run_arn)
            .send()
            .await;
        let map = answer.map_err(|error| failure_of(ErrorAnswer::of(&error), &describing))?;
        let Some(items) = map.item_counts else {
            return Ok((None, 0, 0));
        };
        let failed = [items.failed, items.timed_out, items.aborted];
        let failed = failed.into_iter().map(|number| count(Some(number))).sum();
        Ok((
            Some(count(Some(items.total))).filter(|total| *total > 0),
            count(Some(items.succeeded)),
            failed,
        ))
    }
}

/// Reads how many items are done and failed from the output of a run that came to its end.
fn summed_up(output: &str) -> Option<(u64, u64)> {
    let output: Value = serde_json::from_str(output).ok()?;
    Some((output.get("succeeded")?.as_u64()?, output.get("failed")?.as_u64()?))
}

/// Returns the name at the end of a run's ARN.
#[must_use]
pub fn name_of(execution_arn: &str) -> &str {
    execution_arn.rsplit(':').next().unwrap_or(execution_arn)
}

fn attempted(action: &'static str, resource: &str) -> AttemptedOperation {
    AttemptedOperation {
        action,
        resource: resource.to_owned(),
        when_denied: format!("the credentials need {action} on it"),
    }
}
