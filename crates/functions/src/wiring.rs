//! The bucket wiring: from an invocation's payload to the answer that `CloudFormation` waits for.

mod delivery;

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt as _;
use lambda_runtime::Diagnostic;
use s3ferry_aws::clock::SystemClock;
use s3ferry_core::custom_resource::{CustomResourceError, CustomResourceRequest, CustomResourceResponse};
use s3ferry_core::names::Region;
use s3ferry_core::time::Timestamp;
use s3ferry_engine::ports::Clock as _;
use s3ferry_engine::wiring::{WiringPorts, carry_out};
use serde_json::Value;

use self::delivery::DeliveryError;
use crate::config;

/// What is kept back of the work's time to deliver the answer, attempts included.
const FOR_DELIVERY: Duration = Duration::from_secs(15);

/// Why an invocation failed.
#[derive(Debug, thiserror::Error)]
pub enum BucketWiringError {
    /// The payload is no request of `CloudFormation`, so there is nobody to answer.
    #[error("NotARequest: {0}")]
    NotARequest(#[from] CustomResourceError),
    /// The answer could not be delivered; Lambda runs the invocation again, which does no harm.
    #[error("Undelivered: {0}")]
    Undelivered(#[from] DeliveryError),
    /// The answer could not be spelled.
    #[error("Bug: the answer is no JSON: {0}")]
    Unspoken(#[from] serde_json::Error),
}

impl From<BucketWiringError> for Diagnostic {
    /// Names the error for whoever invoked the function.
    fn from(error: BucketWiringError) -> Self {
        let error_type = match &error {
            BucketWiringError::NotARequest(_) => "NotARequest",
            BucketWiringError::Undelivered(_) => "Undelivered",
            BucketWiringError::Unspoken(_) => "Bug",
        };
        Self {
            error_type: error_type.to_owned(),
            error_message: error.to_string(),
        }
    }
}

/// Carries out the request in `event` and delivers its answer, which is done before `deadline` or given up.
pub async fn handle<P: WiringPorts>(ports: &P, event: &Value, deadline: Timestamp) -> Result<(), BucketWiringError> {
    let request = CustomResourceRequest::parse(event)?;
    let response = answer(ports, &request, deadline).await;
    let stack = request.stack_id.as_str();
    let physical_id = response.physical_resource_id();
    if response.is_success() {
        tracing::info!(request.id = request.request_id, stack, physical_id, data = ?response.data(), "wired");
    } else {
        let reason = response.reason();
        tracing::error!(request.id = request.request_id, stack, physical_id, reason, "not wired");
    }
    let left = deadline.since(SystemClock.now());
    delivery::deliver(&request.response_url, response.body()?, left).await?;
    Ok(())
}

/// Makes an answer in every case: a panic and the end of the time are answered too.
async fn answer<P: WiringPorts>(
    ports: &P,
    request: &CustomResourceRequest,
    deadline: Timestamp,
) -> CustomResourceResponse {
    let left = deadline.since(SystemClock.now());
    let for_work = left.saturating_sub(FOR_DELIVERY.min(left / 2));
    let work = AssertUnwindSafe(Box::pin(carry_out(ports, request))).catch_unwind();
    let reason = match tokio::time::timeout(for_work, work).await {
        Ok(Ok(response)) => return response,
        Ok(Err(panic)) => format!("s3ferry has a defect: {}", said(panic.as_ref())),
        Err(_) => format!(
            "the bucket was not wired within {} s; what was done so far is undone by the rollback",
            for_work.as_secs()
        ),
    };
    CustomResourceResponse::failed(request, request.former_physical_id(), &reason)
}

/// Finds the sentence in a panic.
fn said(panic: &(dyn Any + Send)) -> &str {
    let owned = panic.downcast_ref::<String>().map(String::as_str);
    owned
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("a panic without words")
}

/// The settings of this function; everything else comes with the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WiringSettings {
    /// How much is logged.
    pub log_level: tracing::Level,
    /// The region of the function, which is that of the source bucket.
    pub region: Region,
}

impl WiringSettings {
    /// Reads the settings; reports all problems together.
    pub fn from_lookup(lookup: &impl Fn(&str) -> Option<String>) -> Result<Self, Vec<String>> {
        let value = |name: &str| lookup(name).filter(|value| !value.is_empty());
        let log_level = value("LOG_LEVEL").map_or(Ok(tracing::Level::INFO), |value| {
            config::log_level(&value).map_err(|allowed| format!("LOG_LEVEL=`{value}`: {allowed}"))
        });
        let endpoint = value("AWS_ENDPOINT_URL").map_or(Ok(()), |value| {
            config::endpoint_url(&value).map_err(|allowed| format!("AWS_ENDPOINT_URL=`{value}`: {allowed}"))
        });
        let region =
            Region::new(value("AWS_REGION").unwrap_or_default()).map_err(|error| format!("AWS_REGION: {error}"));
        match (log_level, endpoint, region) {
            (Ok(log_level), Ok(()), Ok(region)) => Ok(Self { log_level, region }),
            (log_level, endpoint, region) => Err([log_level.err(), endpoint.err(), region.err()]
                .into_iter()
                .flatten()
                .collect()),
        }
    }
}

#[cfg(test)]
mod tests;
