//! Main of the `final-sync` Lambda function.

use std::process::ExitCode;

use lambda_runtime::{LambdaEvent, service_fn};
use s3ferry_functions::deadline::of_invocation;
use s3ferry_functions::final_sync::FinalSyncInvocation;
use s3ferry_functions::{final_sync, start};
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Some(config) = start::configured() else {
        return ExitCode::FAILURE;
    };
    let sync = &final_sync::on_aws(config).await;
    let handler = service_fn(|event: LambdaEvent<Value>| async move {
        let invocation = FinalSyncInvocation {
            id: &event.context.request_id,
            deadline: of_invocation(&event.context),
        };
        let reply = sync.handle(&event.payload, &invocation).await;
        reply.map_err(|error| final_sync::diagnostic(&error))
    });
    start::ended(lambda_runtime::run(handler).await)
}
