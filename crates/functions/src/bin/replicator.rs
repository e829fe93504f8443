//! Main of the `replicator` Lambda function.

use std::process::ExitCode;

use lambda_runtime::{LambdaEvent, service_fn};
use s3ferry_functions::deadline::of_invocation;
use s3ferry_functions::replicator::Replicator;
use s3ferry_functions::start;
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Some(config) = start::configured() else {
        return ExitCode::FAILURE;
    };
    let replicator = &Replicator::on_aws(config).await;
    let handler = service_fn(|event: LambdaEvent<Value>| async move {
        let deadline = of_invocation(&event.context);
        replicator.handle(&event.payload, deadline).await
    });
    start::ended(lambda_runtime::run(handler).await)
}
