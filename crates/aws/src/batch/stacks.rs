//! CloudFormation stacks: their outputs and parameters.

use std::collections::BTreeMap;

use s3ferry_core::failure::Failure;
use s3ferry_core::names::Region;

use super::{failure_of, unreadable};
use crate::classify::{AttemptedOperation, ErrorAnswer};
use crate::client::Clients;

/// Values of a stack, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StackDescription {
    /// Outputs of the stack.
    pub outputs: BTreeMap<String, String>,
    /// Parameters of the stack.
    pub parameters: BTreeMap<String, String>,
}

/// Reads the outputs of a stack, by name.
pub async fn outputs(clients: &Clients, region: &Region, stack: &str) -> Result<BTreeMap<String, String>, Failure> {
    Ok(describe(clients, region, stack).await?.outputs)
}

/// Reads the outputs and parameters of a stack.
pub async fn describe(clients: &Clients, region: &Region, stack: &str) -> Result<StackDescription, Failure> {
    let attempted = AttemptedOperation {
        action: "cloudformation:DescribeStacks",
        resource: format!("stack {stack} in {region}"),
        when_denied: "the credentials need cloudformation:DescribeStacks on the stack".to_owned(),
    };
    let answer = clients
        .cloudformation(region)
        .describe_stacks()
        .stack_name(stack)
        .send()
        .await;
    let answer = answer.map_err(|error| failure_of(ErrorAnswer::of(&error), &attempted))?;
    let stack = answer.stacks.unwrap_or_default().into_iter().next();
    let stack = stack.ok_or_else(|| unreadable(&attempted, "stack"))?;
    let outputs = stack.outputs.unwrap_or_default().into_iter();
    let parameters = stack.parameters.unwrap_or_default().into_iter();
    Ok(StackDescription {
        outputs: outputs
            .filter_map(|output| Some((output.output_key?, output.output_value?)))
            .collect(),
        parameters: parameters
            .filter_map(|parameter| Some((parameter.parameter_key?, parameter.parameter_value?)))
            .collect(),
    })
}
