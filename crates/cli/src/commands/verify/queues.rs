//! The queues of the replicator: the writes of their messages may be missing at the destination.

use s3ferry_aws::batch::queues;
use s3ferry_core::failure::Failure;
use s3ferry_core::verify::QueuedMessages;

use crate::exit::CliError;
use crate::progress::print_message;
use crate::sides::BucketPair;
use crate::source_stack::{DEAD_LETTER_QUEUE_URL, QUEUE_URL, ReplicationStack};
use crate::text::grouped;

/// The queues of a source stack.
#[derive(Debug)]
pub(super) struct StackQueues {
    stack: String,
    urls: [String; 2],
}

impl StackQueues {
    /// Finds the queues by the stack's outputs.
    pub(super) async fn find(sides: &BucketPair, stack: &str) -> Result<Self, CliError> {
        let stack = ReplicationStack::find(&sides.clients, &sides.source.region, stack).await?;
        let urls = [stack.output(QUEUE_URL)?, stack.output(DEAD_LETTER_QUEUE_URL)?].map(str::to_owned);
        Ok(Self {
            stack: stack.name,
            urls,
        })
    }

    /// Counts the messages. Warns if there are any, or if they cannot be counted.
    pub(super) async fn messages(&self, sides: &BucketPair) -> Option<QueuedMessages> {
        let stack = &self.stack;
        match self.count(sides).await {
            Ok(messages) => {
                if !messages.is_empty() {
                    print_message(&format!(
                        "warning: {} messages and {} dead letters in the queues of stack {stack}: their writes may be \
                         missing at the destination\n  next: redrive the dead letters, wait until both queues are empty, \
                         and verify again before you cut over or delete the stack",
                        grouped(messages.queue),
                        grouped(messages.dead_letters)
                    ));
                }
                Some(messages)
            }
            Err(failure) => {
                print_message(&format!(
                    "warning: cannot count the messages in the queues of stack {stack}: {failure}"
                ));
                None
            }
        }
    }

    async fn count(&self, sides: &BucketPair) -> Result<QueuedMessages, Failure> {
        let [queue, dead_letters] = &self.urls;
        let region = &sides.source.region;
        Ok(QueuedMessages {
            queue: queues::messages(&sides.clients, region, queue).await?,
            dead_letters: queues::messages(&sides.clients, region, dead_letters).await?,
        })
    }
}
