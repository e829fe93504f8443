//! Bringing an answer to where `CloudFormation` waits for it: a presigned URL of S3.

use std::time::{Duration, Instant};

/// How often delivery is tried.
const ATTEMPTS: u32 = 5;

/// The longest time for one attempt.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);

/// The pause after the first attempt; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// Says why an answer did not reach `CloudFormation`. The URL is not part of it: whoever has it can answer.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// Every attempt failed.
    #[error("the answer was not taken after {attempts} attempt(s): {last}")]
    NotTaken {
        /// How often it was tried.
        attempts: u32,
        /// What the last attempt met.
        last: String,
    },
    /// The thread that delivers ended.
    #[error("the delivery broke off: {0}")]
    BrokenOff(#[from] tokio::task::JoinError),
}

/// Delivers `body`, in at most `time`.
pub(super) async fn deliver(url: &str, body: String, time: Duration) -> Result<(), DeliveryError> {
    let (url, end) = (url.to_owned(), Instant::now() + time);
    tokio::task::spawn_blocking(move || put(&url, &body, end)).await?
}

fn put(url: &str, body: &str, end: Instant) -> Result<(), DeliveryError> {
    let mut pause = FIRST_PAUSE;
    let mut attempts = 0;
    loop {
        attempts += 1;
        let left = end.saturating_duration_since(Instant::now());
        let Err(error) = put_once(url, body, ATTEMPT_TIMEOUT.min(left.max(FIRST_PAUSE))) else {
            return Ok(());
        };
        if attempts == ATTEMPTS || left <= pause {
            let last = described(&error);
            return Err(DeliveryError::NotTaken { attempts, last });
        }
        tracing::warn!(
            attempts,
            error = described(&error),
            "the answer was not taken; trying again"
        );
        std::thread::sleep(pause);
        pause *= 2;
    }
}

/// The URL is signed without a content type, so the header must be there and empty.
///
/// <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cfn-lambda-function-code-cfnresponsemodule.html>
fn put_once(url: &str, body: &str, timeout: Duration) -> Result<(), ureq::Error> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(timeout))
        .build()
        .into();
    agent.put(url).content_type("").send(body.as_bytes()).map(|_| ())
}

/// Describes an error without the URL.
fn described(error: &ureq::Error) -> String {
    match error {
        ureq::Error::BadUri(_) | ureq::Error::Http(_) => "the ResponseURL is not valid".to_owned(),
        other => other.to_string(),
    }
}
