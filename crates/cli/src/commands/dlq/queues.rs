//! The queues of `dlq`.
#![expect(clippy::doc_markdown, reason = "help texts are not Markdown")]

use clap::Args;
use s3ferry_aws::batch::dead_letters::SqsQueue;
use s3ferry_aws::limits::RequestLimits;
use s3ferry_core::names::{BucketName, Region};

use crate::args::{SharedArgs, bucket, region};
use crate::bucket_side::load_clients;
use crate::exit::CliError;
use crate::source_stack::{DEAD_LETTER_QUEUE_URL, QUEUE_URL, ReplicationStack};

/// The arguments that name the queues.
#[derive(Debug, Args)]
pub(super) struct QueueArgs {
    /// Source stack with the queues
    #[arg(long, value_name = "NAME", required_unless_present = "dead_letter_queue_url")]
    stack: Option<String>,
    /// Region of the queues [default: AWS_REGION, then the profile's region]
    #[arg(long, value_name = "REGION", value_parser = region)]
    source_region: Option<Region>,
    /// Dead-letter queue, instead of --stack
    #[arg(long, value_name = "URL", conflicts_with = "stack")]
    dead_letter_queue_url: Option<String>,
    /// Queue that dead letters are sent back to, with --dead-letter-queue-url
    #[arg(long, value_name = "URL", conflicts_with = "stack")]
    queue_url: Option<String>,
    /// Source bucket, with --dead-letter-queue-url: marks messages of other buckets
    #[arg(long, value_name = "BUCKET", conflicts_with = "stack", value_parser = bucket)]
    source_bucket: Option<BucketName>,
}

/// The queues of a migration.
#[derive(Debug)]
pub(super) struct LetterQueues {
    /// The dead-letter queue.
    pub(super) letters: SqsQueue,
    /// Its URL.
    pub(super) letters_url: String,
    /// The queue of the replicator.
    queue: Option<SqsQueue>,
    /// The source bucket, if it is known.
    pub(super) source_bucket: Option<BucketName>,
}

impl LetterQueues {
    /// Finds the queues.
    pub(super) async fn open(shared: &SharedArgs, args: &QueueArgs) -> Result<Self, CliError> {
        let limits = RequestLimits::default();
        let (clients, region) = load_clients(shared, args.source_region.as_ref(), "--source-region", limits).await?;
        let (letters, queue, source_bucket) = match (&args.stack, &args.dead_letter_queue_url) {
            (Some(stack), _) => {
                let stack = ReplicationStack::find(&clients, &region, stack).await?;
                let queue = stack.output(QUEUE_URL)?.to_owned();
                let source_bucket = stack.required("SourceBucketName", |name| BucketName::new(name))?;
                let letters = stack.output(DEAD_LETTER_QUEUE_URL)?.to_owned();
                (letters, Some(queue), Some(source_bucket))
            }
            (None, Some(letters)) => (letters.clone(), args.queue_url.clone(), args.source_bucket.clone()),
            (None, None) => {
                return Err(CliError::usage(
                    "neither --stack nor --dead-letter-queue-url is given",
                    "pass --stack NAME, or --dead-letter-queue-url URL",
                ));
            }
        };
        Ok(Self {
            letters: SqsQueue::new(&clients, &region, letters.clone()),
            letters_url: letters,
            queue: queue.map(|queue| SqsQueue::new(&clients, &region, queue)),
            source_bucket,
        })
    }

    /// Returns the queue of the replicator.
    pub(super) fn queue(&self) -> Result<&SqsQueue, CliError> {
        self.queue.as_ref().ok_or_else(|| {
            CliError::usage(
                "the queue to send dead letters to is not given",
                "pass --queue-url URL, or --stack NAME instead of --dead-letter-queue-url",
            )
        })
    }
}
