//! The outputs of the source stack.

use std::collections::BTreeMap;

use s3ferry_aws::batch::stacks;
use s3ferry_aws::client::Clients;
use s3ferry_core::names::{AccountId, BucketName, Region};

use crate::exit::CliError;
use crate::location::Location;

/// The outputs of the stack that `--stack` names; none without it.
pub(super) struct StackOutputs {
    stack: Option<String>,
    outputs: BTreeMap<String, String>,
}

impl StackOutputs {
    pub(super) async fn read(clients: &Clients, region: &Region, stack: Option<&String>) -> Result<Self, CliError> {
        let outputs = match stack {
            Some(stack) => stacks::outputs(clients, region, stack).await?,
            None => BTreeMap::new(),
        };
        Ok(Self {
            stack: stack.cloned(),
            outputs,
        })
    }

    /// Returns the value of a flag, or the stack's output if the flag is not given.
    pub(super) fn or(&self, given: Option<&String>, flag: &str, output: &str) -> Result<String, CliError> {
        if let Some(given) = given.or_else(|| self.outputs.get(output)) {
            return Ok(given.clone());
        }
        Err(match &self.stack {
            Some(stack) => CliError::setup(
                format!("stack {stack} has no output {output}"),
                format!("pass the name of the source stack (infra/source.yaml) with --stack, or pass {flag}"),
            ),
            None => CliError::usage(
                format!("neither {flag} nor --stack is given"),
                format!("pass {flag}, or --stack NAME"),
            ),
        })
    }

    /// Returns the state bucket.
    pub(super) fn state_bucket(&self, given: Option<&BucketName>, flag: &str) -> Result<BucketName, CliError> {
        let given = given.map(ToString::to_string);
        let name = self.or(given.as_ref(), flag, "StateBucketName")?;
        BucketName::new(name).map_err(|error| CliError::setup(error.to_string(), format!("pass {flag}")))
    }

    /// Returns `account` as the expected owner of the stack's state bucket; other buckets have no expected owner.
    pub(super) fn owner_of<'a>(&self, bucket: &BucketName, account: &'a AccountId) -> Option<&'a AccountId> {
        let state = self.outputs.get("StateBucketName");
        state.is_some_and(|state| state == bucket.as_str()).then_some(account)
    }

    /// Returns where the completion report goes.
    pub(super) fn report_prefix(&self, given: Option<&Location>) -> Result<Location, CliError> {
        if let Some(given) = given {
            return Ok(given.clone());
        }
        let text = format!(
            "s3://{}/{}/",
            self.or(None, "--report-prefix", "StateBucketName")?,
            self.or(None, "--report-prefix", "FinalSyncReportPrefix")?
        );
        text.parse()
            .map_err(|error| CliError::setup(format!("{text}: {error}"), "pass --report-prefix"))
    }
}
