//! The final sync Lambda function.

use std::process::ExitCode;

use lambda_runtime::{LambdaEvent, service_fn};
use s3ferry_functions::config::Config;
use s3ferry_functions::deadline::of_invocation;
use s3ferry_functions::{final_sync, logging};
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let config = match Config::from_lookup(&|name| std::env::var(name).ok()) {
        Ok(config) => config,
        Err(problems) => {
            logging::start(tracing::Level::INFO);
            tracing::error!(%problems, "refusing to start");
            return ExitCode::FAILURE;
        }
    };
    logging::start(config.log_level);
    let sync = &final_sync::on_aws(config).await;
    let handler = service_fn(|event: LambdaEvent<Value>| async move {
        let deadline = of_invocation(&event.context);
        let reply = sync.handle(&event.payload, deadline).await;
        reply.map_err(|error| final_sync::diagnostic(&error))
    });
    match lambda_runtime::run(handler).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "the Lambda runtime ended");
            ExitCode::FAILURE
        }
    }
}
