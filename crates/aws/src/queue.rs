//! The SQS queue: sends continuations and delays the redelivery of failed messages.

use std::time::Duration;

use aws_sdk_sqs::Client;
use s3ferry_core::event::{Continuation, ReceiptHandle};
use s3ferry_core::failure::{Failure, FailureKind};
use s3ferry_engine::ports::{Continuations, Redelivery};

use crate::classify::{AttemptedOperation, ErrorAnswer};

/// Maximum delay of an SQS message.
///
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-delay-queues.html>
const LONGEST_DELAY: Duration = Duration::from_mins(15);

/// The queue that messages come from and continuations go to.
#[derive(Debug, Clone)]
pub struct SqsContinuations {
    client: Client,
    queue_url: String,
}

impl SqsContinuations {
    /// Returns the queue with this URL, used with a client of its region.
    #[must_use]
    pub fn new(client: Client, queue_url: String) -> Self {
        Self { client, queue_url }
    }
}

impl Continuations for SqsContinuations {
    async fn send(&self, continuation: &Continuation, delay: Duration) -> Result<(), Failure> {
        let attempted = AttemptedOperation {
            action: "sqs:SendMessage",
            resource: self.queue_url.clone(),
            when_denied: "the role needs sqs:SendMessage on the queue".to_owned(),
        };
        let body = continuation.to_body().map_err(|error| Failure {
            kind: FailureKind::Bug,
            code: "UnwritableContinuation".into(),
            action: attempted.action.to_owned(),
            resource: attempted.resource.clone(),
            detail: error.to_string(),
        })?;
        self.client
            .send_message()
            .queue_url(&self.queue_url)
            .message_body(body)
            .delay_seconds(delay_seconds(delay))
            .send()
            .await
            .map(|_| ())
            .map_err(|error| ErrorAnswer::of(&error).into_failure(&attempted))
    }
}

impl Redelivery for SqsContinuations {
    /// Changes the visibility timeout of one message.
    ///
    /// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibility.html>
    async fn set_visibility_timeout(&self, receipt: &ReceiptHandle, delay: Duration) -> Result<(), Failure> {
        let attempted = AttemptedOperation {
            action: "sqs:ChangeMessageVisibility",
            resource: self.queue_url.clone(),
            when_denied: "the role needs sqs:ChangeMessageVisibility on the queue".to_owned(),
        };
        self.client
            .change_message_visibility()
            .queue_url(&self.queue_url)
            .receipt_handle(receipt.as_str())
            .visibility_timeout(whole_seconds(delay))
            .send()
            .await
            .map(|_| ())
            .map_err(|error| ErrorAnswer::of(&error).into_failure(&attempted))
    }
}

/// Limits a delay to the maximum that SQS allows.
fn delay_seconds(delay: Duration) -> i32 {
    whole_seconds(delay.min(LONGEST_DELAY))
}

/// Rounds up to whole seconds.
fn whole_seconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis().div_ceil(1000)).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_are_limited_to_the_sqs_maximum() {
        assert_eq!(delay_seconds(Duration::ZERO), 0);
        assert_eq!(delay_seconds(Duration::from_millis(1)), 1);
        assert_eq!(delay_seconds(Duration::from_secs(30)), 30);
        assert_eq!(delay_seconds(Duration::from_hours(1)), 900);
    }
}
