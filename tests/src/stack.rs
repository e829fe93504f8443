//! The two stacks of `infra/`: deployed, described and deleted with the SAM CLI.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tokio::process::Command;

use crate::aws_call::aws_call;
use crate::emulator::Emulator;
use crate::{DESTINATION_REGION, HarnessError, Result, SOURCE_REGION, tools};

/// Outputs of a stack, by name.
pub type OutputsByName = BTreeMap<String, String>;

/// Parameters of a stack: name and value.
pub type Parameters<'a> = &'a [(&'a str, &'a str)];

/// A stack in one region. It exists once [`DeployedStack::deploy`] has succeeded.
#[derive(Debug)]
pub struct DeployedStack<'a> {
    emulator: &'a Emulator,
    name: String,
    region: &'static str,
    template: PathBuf,
}

impl<'a> DeployedStack<'a> {
    /// Returns a stack of `infra/destination.yaml`.
    #[must_use]
    pub fn destination(emulator: &'a Emulator, name: &str) -> Self {
        Self {
            emulator,
            name: name.to_owned(),
            region: DESTINATION_REGION,
            template: tools::template("destination.yaml"),
        }
    }

    /// Returns a stack of `infra/source.yaml`.
    #[must_use]
    pub fn source(emulator: &'a Emulator, name: &str) -> Self {
        Self {
            emulator,
            name: name.to_owned(),
            region: SOURCE_REGION,
            template: tools::template("source.yaml"),
        }
    }

    /// Returns this stack with the templates of a folder other than `infra/`, such as a release archive.
    #[must_use]
    pub fn with_templates(mut self, folder: &Path) -> Self {
        if let Some(name) = self.template.file_name() {
            self.template = folder.join(name);
        }
        self
    }

    /// Returns the name of the stack.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Creates or updates the stack with `sam deploy` and returns its outputs.
    pub async fn deploy(&self, parameters: Parameters<'_>) -> Result<OutputsByName> {
        let mut command = self.sam("deploy").await?;
        command.arg("--template-file").arg(&self.template).args([
            "--resolve-s3",
            "--capabilities",
            "CAPABILITY_IAM",
            "CAPABILITY_NAMED_IAM",
            "--no-confirm-changeset",
            "--no-fail-on-empty-changeset",
            "--no-progressbar",
        ]);
        if !parameters.is_empty() {
            command.arg("--parameter-overrides");
            command.args(parameters.iter().map(|(name, value)| format!("{name}={value}")));
        }
        self.with_reasons(run(command).await).await?;
        self.outputs().await
    }

    /// Deletes the stack with `sam delete` and waits for the end.
    pub async fn delete(&self) -> Result<()> {
        let mut command = self.sam("delete").await?;
        command.arg("--no-prompts");
        self.with_reasons(run(command).await).await
    }

    /// Reads the outputs of the stack.
    pub async fn outputs(&self) -> Result<OutputsByName> {
        let answer = self.describe("describe_stacks").await?;
        let listed = answer.pointer("/Stacks/0/Outputs").and_then(Value::as_array);
        let pair = |output: &Value| Some((text(output, "OutputKey")?, text(output, "OutputValue")?));
        Ok(listed.into_iter().flatten().filter_map(pair).collect())
    }

    /// Reads the reasons of failed resources, in the order of the failures.
    pub async fn failure_reasons(&self) -> Result<Vec<String>> {
        let answer = self.describe("describe_stack_events").await?;
        let events = answer.pointer("/StackEvents").and_then(Value::as_array);
        let reason = |event: &Value| {
            let failed = text(event, "ResourceStatus")?.ends_with("_FAILED");
            let reason = text(event, "ResourceStatusReason").filter(|reason| !reason.is_empty())?;
            failed.then(|| format!("{}: {reason}", text(event, "LogicalResourceId").unwrap_or_default()))
        };
        // CloudFormation lists the newest event first.
        Ok(events.into_iter().flatten().rev().filter_map(reason).collect())
    }

    /// Adds the reasons of failed resources to the error of a command.
    async fn with_reasons(&self, outcome: Result<String>) -> Result<()> {
        let Err(HarnessError::CommandFailed {
            command,
            status,
            output,
        }) = outcome
        else {
            return outcome.map(drop);
        };
        // A template that is rejected before any resource changes has no events.
        let reasons = self.failure_reasons().await.unwrap_or_default();
        if reasons.is_empty() {
            return Err(HarnessError::CommandFailed {
                command,
                status,
                output,
            });
        }
        Err(HarnessError::StackFailed {
            stack: self.name.clone(),
            reasons,
            output,
        })
    }

    async fn describe(&self, operation: &str) -> Result<Value> {
        aws_call(
            self.emulator,
            self.region,
            "cloudformation",
            operation,
            &json!({ "StackName": self.name }),
        )
        .await
    }

    /// Returns a `sam` command for this stack that reads only the harness's configuration.
    async fn sam(&self, subcommand: &str) -> Result<Command> {
        let configuration = self.emulator.scratch().join("samconfig.toml");
        tokio::fs::write(&configuration, "version = 0.1\n")
            .await
            .map_err(HarnessError::io("writing samconfig.toml"))?;
        let mut command = Command::new(tools::sam()?);
        if let Some(folder) = self.template.parent() {
            command.current_dir(folder);
        }
        command
            .env_clear()
            .envs(self.emulator.environment(self.region))
            .env("SAM_CLI_TELEMETRY", "0")
            .arg(subcommand)
            .args(["--stack-name", &self.name, "--region", self.region])
            .arg("--config-file")
            .arg(&configuration)
            .kill_on_drop(true);
        Ok(command)
    }
}

/// Returns an output that the stack must have.
pub fn output<'o>(outputs: &'o OutputsByName, stack: &DeployedStack<'_>, name: &str) -> Result<&'o str> {
    let missing = || HarnessError::OutputMissing {
        stack: stack.name.clone(),
        output: name.to_owned(),
    };
    outputs.get(name).map(String::as_str).ok_or_else(missing)
}

async fn run(mut command: Command) -> Result<String> {
    let shown = format!("{:?}", command.as_std());
    let finished = command
        .output()
        .await
        .map_err(HarnessError::io(format!("starting {shown}")))?;
    let output = format!(
        "{}{}",
        String::from_utf8_lossy(&finished.stdout),
        String::from_utf8_lossy(&finished.stderr)
    );
    if finished.status.success() {
        return Ok(output);
    }
    Err(HarnessError::CommandFailed {
        command: shown,
        status: finished.status,
        output,
    })
}

fn text(value: &Value, field: &str) -> Option<String> {
    value.get(field).and_then(Value::as_str).map(str::to_owned)
}
