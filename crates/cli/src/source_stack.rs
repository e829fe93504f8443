//! The source stack: what its outputs and parameters say.

use s3ferry_aws::batch::stacks;
use s3ferry_aws::client::Clients;
use s3ferry_core::migration::parameters::StackDescription;
use s3ferry_core::names::{NameError, Region};

use crate::exit::CliError;

/// The output of infra/source.yaml with the queue of the replicator.
pub const QUEUE_URL: &str = "ReplicationQueueUrl";

/// The output with the dead-letter queue.
pub const DEAD_LETTER_QUEUE_URL: &str = "ReplicationDeadLetterQueueUrl";

const NEXT: &str = "name the stack of infra/source.yaml with --stack";

/// A deployed stack of infra/source.yaml.
#[derive(Debug, Clone)]
pub struct ReplicationStack {
    /// The name of the stack.
    pub name: String,
    description: StackDescription,
}

impl ReplicationStack {
    /// Finds a stack by its name.
    pub async fn find(clients: &Clients, region: &Region, name: &str) -> Result<Self, CliError> {
        Ok(Self {
            name: name.to_owned(),
            description: stacks::describe(clients, region, name).await?,
        })
    }

    /// Returns an output.
    pub fn output(&self, name: &str) -> Result<&str, CliError> {
        let value = self.description.outputs.get(name);
        value
            .map(String::as_str)
            .ok_or_else(|| CliError::setup(format!("stack {} has no output {name}", self.name), NEXT))
    }

    /// Returns a parameter; `None` if the stack was deployed from a template without it, or if it is empty.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let value = self.description.parameters.get(name);
        value.map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Returns a parameter that every source stack has.
    pub fn required<T>(&self, name: &str, parse: impl FnOnce(&str) -> Result<T, NameError>) -> Result<T, CliError> {
        let value = self.parameter(name);
        let value =
            value.ok_or_else(|| CliError::setup(format!("stack {} has no parameter {name}", self.name), NEXT))?;
        parse(value)
            .map_err(|error| CliError::setup(format!("stack {}: invalid parameter {name}: {error}", self.name), NEXT))
    }
}
