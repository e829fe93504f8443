//! The bucket wiring Lambda function, a `CloudFormation` custom resource.

use std::process::ExitCode;

use lambda_runtime::{LambdaEvent, service_fn};
use s3ferry_aws::client::Clients;
use s3ferry_aws::wiring::AwsWiring;
use s3ferry_core::names::Region;
use s3ferry_functions::deadline::of_invocation;
use s3ferry_functions::{logging, wiring};
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let lookup = |name: &str| std::env::var(name).ok();
    let level = wiring::log_level(&lookup);
    logging::start(level.clone().unwrap_or(tracing::Level::INFO));
    let region = Region::new(lookup("AWS_REGION").unwrap_or_default());
    let (Ok(_), Ok(region)) = (&level, &region) else {
        let problems: Vec<String> = [level.err(), region.err().map(|error| format!("AWS_REGION: {error}"))]
            .into_iter()
            .flatten()
            .collect();
        tracing::error!(?problems, "refusing to start");
        return ExitCode::FAILURE;
    };
    let ports = &AwsWiring::new(&Clients::load(region).await, region.clone());
    let handler = service_fn(|event: LambdaEvent<Value>| async move {
        let deadline = of_invocation(&event.context);
        wiring::handle(ports, &event.payload, deadline).await
    });
    match lambda_runtime::run(handler).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "the Lambda runtime ended");
            ExitCode::FAILURE
        }
    }
}
