//! Counts the messages of a queue.

use aws_sdk_sqs::types::QueueAttributeName;
use s3ferry_core::failure::Failure;
use s3ferry_core::names::Region;

use super::{failure_of, unreadable};
use crate::classify::{AttemptedOperation, ErrorAnswer};
use crate::client::Clients;

/// Queue attributes that add up to all messages: visible, in flight and delayed. The counts are approximate.
///
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_GetQueueAttributes.html>
const COUNTS: [QueueAttributeName; 3] = [
    QueueAttributeName::ApproximateNumberOfMessages,
    QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
    QueueAttributeName::ApproximateNumberOfMessagesDelayed,
];

/// Counts the messages of a queue.
pub async fn messages(clients: &Clients, region: &Region, queue_url: &str) -> Result<u64, Failure> {
    let attempted = AttemptedOperation {
        action: "sqs:GetQueueAttributes",
        resource: queue_url.to_owned(),
        when_denied: "the credentials need sqs:GetQueueAttributes on the queue".to_owned(),
    };
    let request = clients.sqs_in(region).get_queue_attributes().queue_url(queue_url);
    let answer = request.set_attribute_names(Some(COUNTS.to_vec())).send().await;
    let answer = answer.map_err(|error| failure_of(ErrorAnswer::of(&error), &attempted))?;
    let counts = answer.attributes.unwrap_or_default();
    let mut messages = 0;
    for name in COUNTS {
        let count = counts.get(&name).and_then(|count| count.parse::<u64>().ok());
        messages += count.ok_or_else(|| unreadable(&attempted, name.as_str()))?;
    }
    Ok(messages)
}
