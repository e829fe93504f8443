//! The copying functions' engine on AWS, the one place where it is put together.

use s3ferry_aws::client::Clients;
use s3ferry_aws::clock::SystemClock;
use s3ferry_aws::destination::S3Destination;
use s3ferry_aws::queue::SqsContinuations;
use s3ferry_aws::source::S3Source;
use s3ferry_core::decide::Policy;
use s3ferry_engine::batch::Batch;
use s3ferry_engine::reconcile::Reconciler;

use crate::config::Config;

/// The batch engine on AWS.
pub(crate) type AwsBatch = Batch<S3Source, S3Destination, SystemClock, SqsContinuations>;

/// Makes the engine as it is configured.
pub(crate) fn batch(clients: &Clients, config: &Config) -> AwsBatch {
    let source = S3Source::new(
        clients.s3_for_reading(&config.source_region),
        config.source_bucket.clone(),
        config.source_region.clone(),
        config.source_bucket_owner.clone(),
        config.destination_bucket.clone(),
    );
    let destination = S3Destination::new(
        clients.s3_for_reading(&config.destination_region),
        clients.s3_for_writing(&config.destination_region),
        config.destination_bucket.clone(),
        config.destination_region.clone(),
        config.source_bucket.clone(),
        config.source_bucket_owner.clone(),
    );
    let queue_url = config.queue_url.clone();
    Batch {
        source_bucket: config.source_bucket.clone(),
        reconciler: Reconciler {
            source,
            destination,
            clock: SystemClock,
            policy: config.policy.clone(),
        },
        continuations: queue_url.map(|url| SqsContinuations::new(clients.sqs(), url)),
        concurrency: config.max_concurrent_copies,
    }
}

/// Makes the same engine with another policy, and with continuations only where they are wanted.
pub(crate) fn batch_like(base: &AwsBatch, policy: Policy, with_continuations: bool) -> AwsBatch {
    Batch {
        source_bucket: base.source_bucket.clone(),
        reconciler: Reconciler {
            source: base.reconciler.source.clone(),
            destination: base.reconciler.destination.clone(),
            clock: base.reconciler.clock,
            policy,
        },
        continuations: base.continuations.clone().filter(|_| with_continuations),
        concurrency: base.concurrency,
    }
}
