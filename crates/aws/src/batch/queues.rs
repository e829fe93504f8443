//! Counts the messages of a queue.

use aws_sdk_sqs::types::QueueAttributeName;
use s3ferry_core::failure::Failure;
use s3ferry_core::names::Region;
use s3ferry_core::status::QueueCounts;

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

/// Counts all messages of a queue.
pub async fn messages(clients: &Clients, region: &Region, queue_url: &str) -> Result<u64, Failure> {
    Ok(counts(clients, region, queue_url).await?.total())
}

/// Counts the messages of a queue by their state.
pub async fn counts(clients: &Clients, region: &Region, queue_url: &str) -> Result<QueueCounts, Failure> {
    let attempted = AttemptedOperation {
        action: "sqs:GetQueueAttributes",
        resource: queue_url.to_owned(),
        when_denied: "the credentials need sqs:GetQueueAttributes on the queue".to_owned(),
    };
    let request = clients.sqs_in(region).get_queue_attributes().queue_url(queue_url);
    let answer = request.set_attribute_names(Some(COUNTS.to_vec())).send().await;
    let answer = answer.map_err(|error| failure_of(ErrorAnswer::of(&error), &attempted))?;
    let found = answer.attributes.unwrap_or_default();
    let [visible, in_flight, delayed] = COUNTS.map(|name| {
        let count = found.get(&name).and_then(|count| count.parse::<u64>().ok());
        count.ok_or_else(|| unreadable(&attempted, name.as_str()))
    });
    Ok(QueueCounts {
        visible: visible?,
        in_flight: in_flight?,
        delayed: delayed?,
    })
}
