//! A queue of the emulator.

use std::time::Duration;

use aws_sdk_sqs::types::QueueAttributeName;

use crate::emulator::Emulator;
use crate::{HarnessError, Result, SOURCE_REGION};

/// A queue of the source region.
#[derive(Clone, Debug)]
pub struct Queue {
    client: aws_sdk_sqs::Client,
    /// URL of the queue.
    pub url: String,
}

impl Queue {
    /// Returns a handle of an existing queue.
    #[must_use]
    pub fn at(emulator: &Emulator, url: &str) -> Self {
        Self {
            client: emulator.sqs(SOURCE_REGION),
            url: url.to_owned(),
        }
    }

    /// Creates a queue.
    pub async fn create(emulator: &Emulator, name: &str) -> Result<Self> {
        let client = emulator.sqs(SOURCE_REGION);
        let created = client
            .create_queue()
            .queue_name(name)
            .send()
            .await
            .map_err(HarnessError::aws(format!("CreateQueue {name}")))?;
        Ok(Self {
            client,
            url: created.queue_url.unwrap_or_default(),
        })
    }

    /// Returns the number of messages in the queue, those in flight and delayed included.
    pub async fn count(&self) -> Result<u64> {
        self.total_of(&[
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
            QueueAttributeName::ApproximateNumberOfMessagesDelayed,
        ])
        .await
    }

    /// Returns the number of visible messages.
    pub async fn backlog(&self) -> Result<u64> {
        self.total_of(&[QueueAttributeName::ApproximateNumberOfMessages]).await
    }

    async fn total_of(&self, counted: &[QueueAttributeName]) -> Result<u64> {
        let answer = self
            .client
            .get_queue_attributes()
            .queue_url(&self.url)
            .set_attribute_names(Some(counted.to_vec()))
            .send()
            .await
            .map_err(HarnessError::aws("GetQueueAttributes"))?;
        let counts = answer.attributes.unwrap_or_default();
        Ok(counted
            .iter()
            .filter_map(|name| counts.get(name)?.parse::<u64>().ok())
            .sum())
    }

    /// Sets the default visibility timeout of the queue.
    pub async fn set_visibility_timeout(&self, timeout: Duration) -> Result<()> {
        self.client
            .set_queue_attributes()
            .queue_url(&self.url)
            .attributes(QueueAttributeName::VisibilityTimeout, timeout.as_secs().to_string())
            .send()
            .await
            .map_err(HarnessError::aws("SetQueueAttributes"))?;
        Ok(())
    }

    /// Sends a message.
    pub async fn send(&self, body: &str) -> Result<()> {
        self.client
            .send_message()
            .queue_url(&self.url)
            .message_body(body)
            .send()
            .await
            .map_err(HarnessError::aws("SendMessage"))?;
        Ok(())
    }

    /// Returns the bodies of up to ten messages, which stay visible in the queue.
    pub async fn bodies(&self) -> Result<Vec<String>> {
        let received = self
            .client
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(10)
            .visibility_timeout(0)
            .send()
            .await
            .map_err(HarnessError::aws("ReceiveMessage"))?;
        Ok(received
            .messages()
            .iter()
            .map(|message| message.body().unwrap_or_default().to_owned())
            .collect())
    }
}
