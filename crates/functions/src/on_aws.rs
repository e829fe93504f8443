//! The engine of `replicator` and `final-sync` on AWS; the only module that assembles it.

use s3ferry_aws::client::Clients;
use s3ferry_aws::clock::SystemClock;
use s3ferry_aws::destination::S3Destination;
use s3ferry_aws::journal::S3Journal;
use s3ferry_aws::queue::SqsContinuations;
use s3ferry_aws::source::S3Source;
use s3ferry_aws::state::StateBucket;
use s3ferry_core::policy::Policy;
use s3ferry_core::route::MigrationRoute;
use s3ferry_engine::batch::BatchReconciler;
use s3ferry_engine::reconcile::{Reconciler, UploadSupport};

use crate::config::Config;

/// Batch engine on the AWS SDK.
pub(crate) type AwsBatch = BatchReconciler<S3Source, S3Destination, SystemClock, S3Journal, SqsContinuations>;

/// Creates the engine from the configuration.
pub(crate) fn batch(clients: &Clients, config: &Config) -> AwsBatch {
    let source = S3Source::new(
        clients.s3_for_reading(&config.source_region),
        config.source_bucket.clone(),
        config.source_region.clone(),
        config.source_bucket_owner.clone(),
        config.destination_bucket.clone(),
    );
    let (bucket, region) = (config.destination_bucket.clone(), config.destination_region.clone());
    let owner = config.destination_bucket_owner.clone();
    let destination = S3Destination::new(clients, bucket, region, owner, &source);
    let queue_url = config.queue_url.clone();
    BatchReconciler {
        source_bucket: config.source_bucket.clone(),
        reconciler: Reconciler {
            source,
            destination,
            uploads: uploads(clients, config),
            concurrent_parts: config.max_concurrent_parts,
            clock: SystemClock,
            policy: config.policy.clone(),
        },
        continuations: queue_url.map(|url| SqsContinuations::new(clients.sqs(), url)),
        concurrency: config.max_concurrent_copies,
    }
}

/// Creates the upload journal if a state bucket is configured. The bucket is in the source's region and account.
fn uploads(clients: &Clients, config: &Config) -> Option<UploadSupport<S3Journal>> {
    let bucket = config.state_bucket.clone()?;
    let region = &config.source_region;
    let route = MigrationRoute {
        source: config.source_bucket.clone(),
        destination: config.destination_bucket.clone(),
    };
    let state = StateBucket::new(clients, bucket, region.clone(), config.source_bucket_owner.as_ref());
    Some(UploadSupport {
        journal: S3Journal::new(state, route.clone()),
        route,
    })
}

/// Clones the engine with another policy, and with continuations only if `with_continuations` is set.
pub(crate) fn batch_with(base: &AwsBatch, policy: Policy, with_continuations: bool) -> AwsBatch {
    let reconciler = &base.reconciler;
    BatchReconciler {
        source_bucket: base.source_bucket.clone(),
        reconciler: Reconciler {
            source: reconciler.source.clone(),
            destination: reconciler.destination.clone(),
            uploads: reconciler.uploads.clone(),
            concurrent_parts: reconciler.concurrent_parts,
            clock: reconciler.clock,
            policy,
        },
        continuations: base.continuations.clone().filter(|_| with_continuations),
        concurrency: base.concurrency,
    }
}
