//! The `final-sync` function on AWS. The engine implements the final sync itself.

use lambda_runtime::Diagnostic;
use s3ferry_aws::client::Clients;
use s3ferry_aws::results::S3Results;
use s3ferry_core::names::BucketName;
use s3ferry_core::time::Timestamp;
pub use s3ferry_engine::final_sync::{FinalSync, FinalSyncError, FinalSyncInvocation, FinalSyncResponse, JobTerms};
use s3ferry_engine::invocation_counts::InvocationCounts;

use crate::config::Config;
use crate::metrics::to_lines;
use crate::on_aws::{self, AwsBatch};
use crate::version::FULL_VERSION;

/// Creates the final sync on the AWS SDK.
pub async fn on_aws(config: Config) -> FinalSync<impl Fn(&JobTerms) -> AwsBatch, S3Results> {
    let clients = Clients::load(&config.source_region).await;
    let results = config.state_bucket.clone().map(|bucket| {
        S3Results::new(
            clients.s3_for_reading(&config.source_region),
            bucket,
            config.source_region.clone(),
            config.source_bucket_owner.clone(),
        )
    });
    let settings = config.policy.clone();
    let base = on_aws::batch(&clients, &config);
    let batches = move |terms: &JobTerms| on_aws::batch_with(&base, terms.policy.clone(), terms.requeue);
    FinalSync::new(batches, settings, results).reporting(report)
}

/// Prints the metrics of an invocation, which CloudWatch reads from the log.
#[expect(
    clippy::print_stdout,
    reason = "the embedded metric format is a line of its own on standard output"
)]
fn report(bucket: &BucketName, counts: &InvocationCounts, now: Timestamp) {
    for line in to_lines(counts, bucket.as_str(), FULL_VERSION, now) {
        println!("{line}");
    }
}

/// Converts an error to the error response of Lambda. A state machine can catch it by its type.
#[must_use]
pub fn diagnostic(error: &FinalSyncError) -> Diagnostic {
    Diagnostic {
        error_type: error.code().to_owned(),
        error_message: error.to_string(),
    }
}
