//! An emulator with a source bucket that is already in use, and with both stacks.

use std::path::PathBuf;
use std::time::Duration;

use crate::bucket::TestBucket;
use crate::compare::{differences, listing_differences, summary};
use crate::emulator::{Emulator, EmulatorOptions};
use crate::foreign::ForeignConsumer;
use crate::queue::Queue;
use crate::stack::{DeployedStack, OutputsByName, Parameters, output};
use crate::waiting::{PollResult, until};
use crate::{DESTINATION_REGION, Result, SOURCE_REGION, tools};

/// Name of the source bucket.
pub const SOURCE_BUCKET: &str = "example-source";

/// Name of the destination bucket.
pub const DESTINATION_BUCKET: &str = "example-destination";

/// Time limit of a condition, enough for replication on a busy machine.
pub const PATIENCE: Duration = Duration::from_mins(3);

/// An emulator with handles of both buckets.
#[derive(Debug)]
pub struct Deployment {
    /// Emulator.
    pub emulator: Emulator,
    /// Source bucket, which exists.
    pub source: TestBucket,
    /// Destination bucket, which its stack creates.
    pub destination: TestBucket,
    /// Folder of the templates.
    pub templates: PathBuf,
}

/// A deployed source stack.
#[derive(Debug)]
pub struct SourceStack<'a> {
    /// Stack.
    pub stack: DeployedStack<'a>,
    /// Outputs of the stack.
    pub outputs: OutputsByName,
    /// `ReplicationQueue`.
    pub queue: Queue,
    /// `ReplicationDeadLetterQueue`.
    pub dead_letters: Queue,
}

impl Deployment {
    /// Starts an emulator and creates the source bucket.
    pub async fn prepare(options: EmulatorOptions) -> Result<Self> {
        let emulator = Emulator::start(options).await?;
        let source = TestBucket::at(&emulator, SOURCE_REGION, SOURCE_BUCKET);
        let destination = TestBucket::at(&emulator, DESTINATION_REGION, DESTINATION_BUCKET);
        source.create().await?;
        Ok(Self {
            emulator,
            source,
            destination,
            templates: tools::repository().join("infra"),
        })
    }

    /// Subscribes a queue of another team to `prefix` of the source bucket.
    pub async fn foreign_consumer(&self, prefix: &str) -> Result<ForeignConsumer> {
        ForeignConsumer::subscribe(&self.emulator, &self.source, prefix).await
    }

    /// Deploys the destination stack.
    pub async fn deploy_destination(&self) -> Result<()> {
        let stack = DeployedStack::destination(&self.emulator, "s3ferry-destination").with_templates(&self.templates);
        stack.deploy(&[("BucketName", DESTINATION_BUCKET)]).await.map(drop)
    }

    /// Deploys a source stack with the required parameters and `more`.
    pub async fn deploy_source(&self, name: &str, more: Parameters<'_>) -> Result<SourceStack<'_>> {
        let endpoint = self.emulator.endpoint();
        let mut parameters = vec![
            ("SourceBucketName", SOURCE_BUCKET),
            ("DestinationBucketName", DESTINATION_BUCKET),
            ("DestinationRegion", DESTINATION_REGION),
            ("EndpointUrl", endpoint.as_str()),
        ];
        parameters.extend_from_slice(more);
        let stack = self.source_stack(name);
        let outputs = stack.deploy(&parameters).await?;
        let queue = Queue::at(&self.emulator, output(&outputs, &stack, "ReplicationQueueUrl")?);
        let dead_letters = Queue::at(
            &self.emulator,
            output(&outputs, &stack, "ReplicationDeadLetterQueueUrl")?,
        );
        Ok(SourceStack {
            stack,
            outputs,
            queue,
            dead_letters,
        })
    }

    /// Returns a handle of a source stack, deployed or not.
    #[must_use]
    pub fn source_stack(&self, name: &str) -> DeployedStack<'_> {
        DeployedStack::source(&self.emulator, name).with_templates(&self.templates)
    }

    /// Waits until both listings under `prefix` agree, then until every object and attribute is equal.
    pub async fn until_equal(&self, prefix: &str) -> Result<()> {
        let (source, destination) = (&self.source, &self.destination);
        until(&format!("equal listings below {prefix:?}"), PATIENCE, || async {
            let found = listing_differences(source, destination, prefix).await?;
            Ok(PollResult::when(found.is_empty(), || summary(&found)))
        })
        .await?;
        until(&format!("equal objects below {prefix:?}"), PATIENCE, || async {
            let found = differences(source, destination, prefix).await?;
            Ok(PollResult::when(found.is_empty(), || summary(&found)))
        })
        .await
    }
}

impl SourceStack<'_> {
    /// Waits until the replication queue is empty, messages in flight included.
    pub async fn until_idle(&self) -> Result<()> {
        until("an empty replication queue", PATIENCE, || async {
            let count = self.queue.count().await?;
            Ok(PollResult::when(count == 0, || format!("{count} messages")))
        })
        .await
    }

    /// Waits until the dead-letter queue has `count` messages, and returns their sorted bodies.
    pub async fn until_dead_letters(&self, count: usize) -> Result<Vec<String>> {
        until(&format!("{count} dead letters"), PATIENCE, || async {
            let mut bodies = self.dead_letters.bodies().await?;
            bodies.sort();
            let seen = bodies.len();
            Ok(if seen == count {
                PollResult::Yes(bodies)
            } else {
                PollResult::NotYet(format!("{seen} dead letters"))
            })
        })
        .await
    }
}

/// Waits until `consumer` has received events of all `keys`, in any order.
pub async fn until_notified(consumer: &ForeignConsumer, keys: &[&str]) -> Result<()> {
    let mut missing: Vec<&str> = keys.to_vec();
    let begun = std::time::Instant::now();
    while !missing.is_empty() {
        let time_left = PATIENCE.saturating_sub(begun.elapsed());
        let received = until(&format!("foreign events for {missing:?}"), time_left, || async {
            let keys = consumer.take_keys().await?;
            Ok(if keys.is_empty() {
                PollResult::NotYet("no event".to_owned())
            } else {
                PollResult::Yes(keys)
            })
        })
        .await?;
        missing.retain(|key| !received.contains(*key));
    }
    Ok(())
}
