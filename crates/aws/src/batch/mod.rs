//! AWS services that the CLI uses and the functions do not: S3 Batch Operations jobs, Step Functions executions, the
//! stack that contains both, with its queues, dead letters and metrics.

pub mod canary;
pub mod dead_letters;
pub mod jobs;
pub mod metrics;
pub mod queues;
pub mod runs;
pub mod stacks;
pub mod status_metrics;

use aws_sdk_s3control::config::endpoint::{Endpoint, EndpointFuture, Params, ResolveEndpoint};
use s3ferry_core::failure::{Failure, FailureCode, FailureKind};

use crate::classify::{AttemptedOperation, ErrorAnswer};

/// One endpoint for all accounts.
#[derive(Debug)]
pub(crate) struct FixedEndpoint(pub(crate) String);

impl ResolveEndpoint for FixedEndpoint {
    fn resolve_endpoint<'a>(&'a self, _params: &'a Params) -> EndpointFuture<'a> {
        EndpointFuture::ready(Ok(Endpoint::builder().url(self.0.clone()).build()))
    }
}

/// Converts the error of a service with its own error codes. A refused request fails permanently.
fn failure_of(answer: ErrorAnswer, attempted: &AttemptedOperation) -> Failure {
    let is_refusal = answer
        .status
        .is_some_and(|status| (400..500).contains(&status) && status != 429)
        && !answer.code.as_ref().is_some_and(FailureCode::is_transient);
    let is_denied = answer.status == Some(403) || answer.code.as_ref().is_some_and(FailureCode::is_denial);
    let mut failure = answer.into_failure(attempted);
    if is_denied {
        failure.kind = FailureKind::Permanent;
    } else if is_refusal {
        failure.kind = FailureKind::Configuration;
    }
    failure
}

/// Creates the failure of a response that lacks a required field.
fn unreadable(attempted: &AttemptedOperation, what: &str) -> Failure {
    Failure {
        kind: FailureKind::Retry,
        code: "UnreadableAnswer".into(),
        action: attempted.action.to_owned(),
        resource: attempted.resource.clone(),
        detail: format!("the response has no {what}"),
    }
}

fn count(number: Option<i64>) -> u64 {
    number.and_then(|number| u64::try_from(number).ok()).unwrap_or_default()
}
