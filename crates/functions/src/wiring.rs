//! The `bucket-wiring` function: from the payload of an invocation to the response that `CloudFormation` waits for.

mod delivery;

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt as _;
use lambda_runtime::Diagnostic;
use s3ferry_aws::clock::SystemClock;
use s3ferry_aws::settings::{endpoint_url, log_level};
use s3ferry_core::custom_resource::{CustomResourceError, CustomResourceRequest, CustomResourceResponse};
use s3ferry_core::names::Region;
use s3ferry_core::time::Timestamp;
use s3ferry_engine::ports::Clock as _;
use s3ferry_engine::wiring::{WiringPorts, carry_out};
use serde_json::Value;

use self::delivery::DeliveryError;

/// Time reserved for delivering the response, retries included.
const DELIVERY_RESERVE: Duration = Duration::from_secs(15);

/// Error of an invocation.
#[derive(Debug, thiserror::Error)]
pub enum BucketWiringError {
    /// The payload is not a request of `CloudFormation`, so it has no response URL.
    #[error("NotARequest: {0}")]
    NotARequest(#[from] CustomResourceError),
    /// The response was not delivered. Lambda retries the invocation, which is idempotent.
    #[error("Undelivered: {0}")]
    Undelivered(#[from] DeliveryError),
    /// The response was not serialized.
    #[error("Bug: cannot serialize the response: {0}")]
    Serialization(#[from] serde_json::Error),
}

impl From<BucketWiringError> for Diagnostic {
    /// Converts the error to the error response of Lambda.
    fn from(error: BucketWiringError) -> Self {
        let error_type = match &error {
            BucketWiringError::NotARequest(_) => "NotARequest",
            BucketWiringError::Undelivered(_) => "Undelivered",
            BucketWiringError::Serialization(_) => "Bug",
        };
        Self {
            error_type: error_type.to_owned(),
            error_message: error.to_string(),
        }
    }
}

/// Carries out the request in `event` and delivers the response before `deadline`.
pub async fn handle<P: WiringPorts>(ports: &P, event: &Value, deadline: Timestamp) -> Result<(), BucketWiringError> {
    let request = CustomResourceRequest::parse(event)?;
    let response = respond(ports, &request, deadline).await;
    let stack = request.stack_id.as_str();
    let physical_id = response.physical_resource_id();
    if response.is_success() {
        tracing::info!(request.id = request.request_id, stack, physical_id, data = ?response.data(), "bucket wired");
    } else {
        let reason = response.reason();
        tracing::error!(
            request.id = request.request_id,
            stack,
            physical_id,
            reason,
            "bucket wiring failed"
        );
    }
    let time_left = deadline.since(SystemClock.now());
    delivery::deliver(&request.response_url, response.body()?, time_left).await?;
    Ok(())
}

/// Carries out the request and returns a response in every case, also after a panic or a timeout.
///
/// Without a response the stack waits until the timeout of the custom resource.
async fn respond<P: WiringPorts>(
    ports: &P,
    request: &CustomResourceRequest,
    deadline: Timestamp,
) -> CustomResourceResponse {
    let time_left = deadline.since(SystemClock.now());
    let work_time = time_left.saturating_sub(DELIVERY_RESERVE.min(time_left / 2));
    let work = AssertUnwindSafe(Box::pin(carry_out(ports, request))).catch_unwind();
    let reason = match tokio::time::timeout(work_time, work).await {
        Ok(Ok(response)) => return response,
        Ok(Err(panic)) => format!("s3ferry has a defect: {}", panic_message(panic.as_ref())),
        Err(_) => format!(
            "the bucket was not wired within {} s; the rollback undoes the changes made so far",
            work_time.as_secs()
        ),
    };
    CustomResourceResponse::failed(request, request.former_physical_id(), &reason)
}

/// Returns the message of a panic.
fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let owned = panic.downcast_ref::<String>().map(String::as_str);
    owned
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("panic without a message")
}

/// Settings from the environment. Everything else is in the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WiringSettings {
    /// Log level.
    pub log_level: tracing::Level,
    /// Region of the function and of the source bucket.
    pub region: Region,
}

impl WiringSettings {
    /// Reads the settings through `lookup`, which returns the value of a variable. Returns all problems together.
    pub fn from_lookup(lookup: &impl Fn(&str) -> Option<String>) -> Result<Self, Vec<String>> {
        let value = |name: &str| lookup(name).filter(|value| !value.is_empty());
        let log_level = value("LOG_LEVEL").map_or(Ok(tracing::Level::INFO), |value| {
            log_level(&value).map_err(|allowed| format!("LOG_LEVEL=`{value}`: {allowed}"))
        });
        let endpoint = value("AWS_ENDPOINT_URL").map_or(Ok(String::new()), |value| {
            endpoint_url(&value).map_err(|allowed| format!("AWS_ENDPOINT_URL=`{value}`: {allowed}"))
        });
        let region =
            Region::new(value("AWS_REGION").unwrap_or_default()).map_err(|error| format!("AWS_REGION: {error}"));
        match (log_level, endpoint, region) {
            (Ok(log_level), Ok(_), Ok(region)) => Ok(Self { log_level, region }),
            (log_level, endpoint, region) => Err([log_level.err(), endpoint.err(), region.err()]
                .into_iter()
                .flatten()
                .collect()),
        }
    }
}

#[cfg(test)]
mod tests;
