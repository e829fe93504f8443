//! The dead-letter queue, and the queue that its messages are sent back to.
//!
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html>

use std::collections::HashMap;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{Message, MessageSystemAttributeName};
use s3ferry_core::dead_letter::RawDeadLetter;
use s3ferry_core::event::ReceiptHandle;
use s3ferry_core::failure::Failure;
use s3ferry_core::names::Region;
use s3ferry_core::time::Timestamp;
use s3ferry_engine::dead_letters::{DeadLetterQueue, RedriveQueue};

use super::{failure_of, unreadable};
use crate::classify::{AttemptedOperation, ErrorAnswer};
use crate::client::Clients;

/// Messages of one receive, SQS's maximum.
const MESSAGES: i32 = 10;

/// Seconds that a receive waits for messages. Only a receive that waits asks all servers of a queue.
const WAIT_SECONDS: i32 = 1;

/// Seconds that a received message stays hidden: longer than reading a queue takes.
const HIDDEN_SECONDS: i32 = 600;

/// A queue in a region.
#[derive(Debug, Clone)]
pub struct SqsQueue {
    client: Client,
    url: String,
}

impl SqsQueue {
    /// Returns the queue with this URL.
    #[must_use]
    pub fn new(clients: &Clients, region: &Region, url: String) -> Self {
        Self {
            client: clients.sqs_in(region),
            url,
        }
    }

    fn attempted(&self, action: &'static str) -> AttemptedOperation {
        AttemptedOperation {
            action,
            resource: self.url.clone(),
            when_denied: format!("the credentials need {action} on the queue"),
        }
    }
}

impl DeadLetterQueue for SqsQueue {
    async fn receive(&self) -> Result<Vec<RawDeadLetter>, Failure> {
        let attempted = self.attempted("sqs:ReceiveMessage");
        let answer = self
            .client
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(MESSAGES)
            .wait_time_seconds(WAIT_SECONDS)
            .visibility_timeout(HIDDEN_SECONDS)
            .message_system_attribute_names(MessageSystemAttributeName::All)
            .message_attribute_names("All")
            .send()
            .await;
        let answer = answer.map_err(|error| failure_of(ErrorAnswer::of(&error), &attempted))?;
        let messages = answer.messages.unwrap_or_default().into_iter();
        messages
            .map(|message| raw(message).ok_or_else(|| unreadable(&attempted, "message id, receipt handle or body")))
            .collect()
    }

    async fn release(&self, receipt: &ReceiptHandle) -> Result<(), Failure> {
        let request = self
            .client
            .change_message_visibility()
            .queue_url(&self.url)
            .receipt_handle(receipt.as_str())
            .visibility_timeout(0);
        let answer = request.send().await;
        answer
            .map(drop)
            .map_err(|error| failure_of(ErrorAnswer::of(&error), &self.attempted("sqs:ChangeMessageVisibility")))
    }

    async fn delete(&self, receipt: &ReceiptHandle) -> Result<(), Failure> {
        let request = self.client.delete_message().queue_url(&self.url);
        let answer = request.receipt_handle(receipt.as_str()).send().await;
        answer
            .map(drop)
            .map_err(|error| failure_of(ErrorAnswer::of(&error), &self.attempted("sqs:DeleteMessage")))
    }
}

impl RedriveQueue for SqsQueue {
    async fn send(&self, body: &str) -> Result<(), Failure> {
        let request = self.client.send_message().queue_url(&self.url).message_body(body);
        let answer = request.send().await;
        answer
            .map(drop)
            .map_err(|error| failure_of(ErrorAnswer::of(&error), &self.attempted("sqs:SendMessage")))
    }
}

fn raw(message: Message) -> Option<RawDeadLetter> {
    let system: HashMap<MessageSystemAttributeName, String> = message.attributes.unwrap_or_default();
    let number = |name: &MessageSystemAttributeName| system.get(name)?.parse::<i64>().ok();
    let time = |name: &MessageSystemAttributeName| number(name).map(Timestamp::from_millis);
    let receives = number(&MessageSystemAttributeName::ApproximateReceiveCount);
    let attributes = message.message_attributes.unwrap_or_default().into_iter();
    Some(RawDeadLetter {
        id: message.message_id?,
        receipt: ReceiptHandle::new(message.receipt_handle?)?,
        body: message.body?,
        sent: time(&MessageSystemAttributeName::SentTimestamp),
        first_received: time(&MessageSystemAttributeName::ApproximateFirstReceiveTimestamp),
        receives: receives
            .and_then(|receives| u32::try_from(receives).ok())
            .unwrap_or_default(),
        attributes: attributes
            .filter_map(|(name, value)| Some((name, value.string_value?)))
            .collect(),
    })
}
