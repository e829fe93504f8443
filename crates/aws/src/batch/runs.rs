//! Step Functions executions of the final sync.
//!
//! <https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html>

use std::cmp::Reverse;

use aws_sdk_sfn::Client;
use s3ferry_core::batch_report::{JobProgress, JobState};
use s3ferry_core::failure::{Failure, FailureCode};
use s3ferry_core::names::Region;
use s3ferry_core::status::RunReading;
use s3ferry_core::time::Timestamp;
use serde_json::Value;

use super::{count, failure_of, unreadable};
use crate::classify::{AttemptedOperation, ErrorAnswer};
use crate::client::Clients;

/// The executions of state machines in one region.
#[derive(Debug, Clone)]
pub struct Executions {
    client: Client,
}

/// Outcome of starting an execution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExecutionStart {
    /// The execution runs. It was started now, or before with the same input.
    Running(String),
    /// An execution of this name exists and has ended.
    Ended(String),
}

/// An execution as Step Functions describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecutionDescription {
    /// Progress, counted in items, not batches.
    pub progress: JobProgress,
    /// Name of the execution.
    pub name: String,
    /// Key of the manifest, from the execution's input.
    pub manifest_key: Option<String>,
}

impl Executions {
    /// Returns the executions of a region.
    #[must_use]
    pub fn new(clients: &Clients, region: &Region) -> Self {
        Self {
            client: clients.step_functions(region),
        }
    }

    /// Starts an execution. The name makes the request idempotent: a second request with the same input starts nothing.
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
                if answer.code == Some(FailureCode::ExecutionAlreadyExists) {
                    return Ok(ExecutionStart::Ended(execution_arn()));
                }
                Err(failure_of(answer, &attempted))
            }
        }
    }

    /// Reads the progress of an execution.
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
        // A batch that succeeded may contain failed items, which only the summary in the execution's output counts.
        let (total, succeeded, failed) = match run.output.as_deref().and_then(item_counts_of) {
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

    /// Lists the latest executions of a state machine, the newest first.
    pub async fn latest(&self, state_machine_arn: &str, limit: u16) -> Result<Vec<RunReading>, Failure> {
        let attempted = attempted("states:ListExecutions", state_machine_arn);
        let request = self.client.list_executions().state_machine_arn(state_machine_arn);
        let answer = request.max_results(i32::from(limit)).send().await;
        let listed = answer.map_err(|error| failure_of(ErrorAnswer::of(&error), &attempted))?;
        let mut runs = Vec::new();
        for run in listed.executions {
            let started = run
                .start_date
                .to_millis()
                .map_err(|_| unreadable(&attempted, "usable start date"))?;
            runs.push(RunReading {
                name: run.name,
                state: JobState::of_execution(run.status.as_str()),
                started: Timestamp::from_millis(started),
            });
        }
        runs.sort_by_key(|run| Reverse(run.started));
        runs.truncate(usize::from(limit));
        Ok(runs)
    }

    /// Counts the items of an execution's map run: total, succeeded, and failed with their batches.
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

/// Reads from the output of an execution how many items succeeded and failed.
fn item_counts_of(output: &str) -> Option<(u64, u64)> {
    let output: Value = serde_json::from_str(output).ok()?;
    Some((output.get("succeeded")?.as_u64()?, output.get("failed")?.as_u64()?))
}

/// Returns the name at the end of an execution's ARN.
#[must_use]
pub fn name_of(execution_arn: &str) -> &str {
    execution_arn.rsplit(':').next().unwrap_or(execution_arn)
}

fn attempted(action: &'static str, resource: &str) -> AttemptedOperation {
    AttemptedOperation {
        action,
        resource: resource.to_owned(),
        when_denied: format!("the credentials need {action} on the resource"),
    }
}
