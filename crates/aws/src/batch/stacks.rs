//! CloudFormation stack outputs.

use std::collections::BTreeMap;

use s3ferry_core::failure::Failure;
use s3ferry_core::names::Region;

use super::{failure_of, unreadable};
use crate::classify::{AttemptedOperation, ErrorAnswer};
use crate::client::Clients;

/// Reads the outputs of a stack, by name.
pub async fn outputs(clients: &Clients, region: &Region, stack: &str) -> Result<BTreeMap<String, String>, Failure> {
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
    Ok(outputs
        .filter_map(|output| Some((output.output_key?, output.output_value?)))
        .collect())
}
