//! Main of the `bucket-wiring` Lambda function, a `CloudFormation` custom resource.

use std::process::ExitCode;

use lambda_runtime::{LambdaEvent, service_fn};
use s3ferry_aws::client::Clients;
use s3ferry_aws::wiring::AwsWiring;
use s3ferry_functions::deadline::of_invocation;
use s3ferry_functions::wiring::{self, WiringSettings};
use s3ferry_functions::{logging, start};
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let settings = match WiringSettings::from_lookup(&|name| std::env::var(name).ok()) {
        Ok(settings) => settings,
        Err(problems) => {
            logging::start(tracing::Level::INFO);
            tracing::error!(?problems, "configuration not valid; function not started");
            return ExitCode::FAILURE;
        }
    };
    logging::start(settings.log_level);
    start::log_version();
    let ports = &AwsWiring::new(&Clients::load(&settings.region).await, settings.region);
    let handler = service_fn(|event: LambdaEvent<Value>| async move {
        let deadline = of_invocation(&event.context);
        wiring::handle(ports, &event.payload, deadline).await
    });
    start::ended(lambda_runtime::run(handler).await)
}
