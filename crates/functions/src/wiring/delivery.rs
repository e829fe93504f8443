//! Delivery of the response to `CloudFormation`, by PUT to a presigned S3 URL.

use std::time::{Duration, Instant};

/// Maximum number of attempts.
const ATTEMPTS: u32 = 5;

/// Timeout of one attempt.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);

/// Pause after the first attempt. Each further pause is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// Error of a delivery.
///
/// The text never contains the URL: its signature allows anyone to respond in place of this function.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// Every attempt failed.
    #[error("cannot deliver the response in {attempts} attempt(s): {last}")]
    AttemptsExhausted {
        /// Number of attempts.
        attempts: u32,
        /// Error of the last attempt.
        last: String,
    },
    /// The delivery thread panicked or was cancelled.
    #[error("the delivery thread ended: {0}")]
    ThreadEnded(#[from] tokio::task::JoinError),
}

/// Delivers `body` to `url` within `time`.
pub(super) async fn deliver(url: &str, body: String, time: Duration) -> Result<(), DeliveryError> {
    let (url, end) = (url.to_owned(), Instant::now() + time);
    tokio::task::spawn_blocking(move || put(&url, &body, end)).await?
}

fn put(url: &str, body: &str, end: Instant) -> Result<(), DeliveryError> {
    let mut pause = FIRST_PAUSE;
    let mut attempts = 0;
    loop {
        attempts += 1;
        let time_left = end.saturating_duration_since(Instant::now());
        let Err(error) = put_once(url, body, ATTEMPT_TIMEOUT.min(time_left.max(FIRST_PAUSE))) else {
            return Ok(());
        };
        if attempts == ATTEMPTS || time_left <= pause {
            let last = error_text(&error);
            return Err(DeliveryError::AttemptsExhausted { attempts, last });
        }
        tracing::warn!(
            attempts,
            error = error_text(&error),
            "cannot deliver the response; retrying"
        );
        std::thread::sleep(pause);
        pause *= 2;
    }
}

/// Sends one PUT.
///
/// The URL is signed with an empty content type, so the header must be present and empty.
///
/// <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cfn-lambda-function-code-cfnresponsemodule.html>
fn put_once(url: &str, body: &str, timeout: Duration) -> Result<(), ureq::Error> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(timeout))
        .build()
        .into();
    agent.put(url).content_type("").send(body.as_bytes()).map(|_| ())
}

/// Returns the error's text without the URL.
fn error_text(error: &ureq::Error) -> String {
    match error {
        ureq::Error::BadUri(_) | ureq::Error::Http(_) => "the ResponseURL is not valid".to_owned(),
        other => other.to_string(),
    }
}
