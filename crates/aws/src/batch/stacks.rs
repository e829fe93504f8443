//! CloudFormation stacks: outputs and parameters.

use std::collections::BTreeMap;

use s3ferry_core::failure::Failure;
use s3ferry_core::migration::parameters::StackDescription;
use s3ferry_core::names::Region;

use super::{failure_of, unreadable};
use crate::classify::{AttemptedOperation, ErrorAnswer};
use crate::client::Clients;

/// Reads the outputs of a stack, by name.
pub async fn outputs(clients: &Clients, region: &Region, stack: &str) -> Result<BTreeMap<String, String>, Failure> {
    describe(clients, region, stack).await.map(|stack| stack.outputs)
}

/// Reads the parameters and outputs of a stack.
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
    let found = answer.stacks.unwrap_or_default().into_iter().next();
    let found = found.ok_or_else(|| unreadable(&attempted, "stack"))?;
    let outputs = found.outputs.unwrap_or_default().into_iter();
    let parameters = found.parameters.unwrap_or_default().into_iter();
    // arn:aws:cloudformation:us-east-1:111122223333:stack/name/id
    let account = found.stack_id.as_deref().and_then(|id| id.split(':').nth(4));
    Ok(StackDescription {
        name: stack.to_owned(),
        region: region.to_string(),
        account: account.map(str::to_owned),
        parameters: parameters
            .filter_map(|parameter| Some((parameter.parameter_key?, parameter.parameter_value?)))
            .collect(),
        outputs: outputs
            .filter_map(|output| Some((output.output_key?, output.output_value?)))
            .collect(),
    })
}
