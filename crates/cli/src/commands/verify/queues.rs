//! The queues of the replicator: what is in them may not be at the destination yet.

use s3ferry_aws::batch::{queues, stacks};
use s3ferry_core::failure::Failure;
use s3ferry_core::verify::QueuedMessages;

use crate::exit::CliError;
use crate::progress::say;
use crate::sides::BucketPair;
use crate::text::grouped;

/// The outputs of infra/source.yaml that name the queues.
const OUTPUTS: [&str; 2] = ["ReplicationQueueUrl", "ReplicationDeadLetterQueueUrl"];

/// The queues of a source stack.
#[derive(Debug)]
pub(super) struct StackQueues {
    stack: String,
    urls: [String; 2],
}

impl StackQueues {
    /// Finds the queues by the stack's outputs.
    pub(super) async fn find(sides: &BucketPair, stack: &str) -> Result<Self, CliError> {
        let outputs = stacks::outputs(&sides.clients, &sides.source.region, stack).await?;
        let url = |name: &str| {
            outputs.get(name).cloned().ok_or_else(|| {
                CliError::setup(
                    format!("stack {stack} has no output {name}"),
                    "name the stack of infra/source.yaml with --stack",
                )
            })
        };
        let [queue, dead_letters] = OUTPUTS;
        Ok(Self {
            stack: stack.to_owned(),
            urls: [url(queue)?, url(dead_letters)?],
        })
    }

    /// Counts the messages, and warns where there are any or they cannot be counted.
    pub(super) async fn messages(&self, sides: &BucketPair) -> Option<QueuedMessages> {
        let stack = &self.stack;
        match self.count(sides).await {
            Ok(messages) => {
                if !messages.is_empty() {
                    say(&format!(
                        "warning: {} messages and {} dead letters are in the queues of stack {stack}: what they announce \
                         may not be at the destination yet.\n  next: redrive the dead letters, wait until both queues \
                         are empty, and verify again; until then, neither switch over nor delete the stack",
                        grouped(messages.queue),
                        grouped(messages.dead_letters)
                    ));
                }
                Some(messages)
            }
            Err(failure) => {
                say(&format!(
                    "warning: whether messages are in the queues of stack {stack} is not known: {failure}"
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
