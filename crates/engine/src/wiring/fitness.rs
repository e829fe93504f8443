//! The checks of both buckets before the source bucket is wired.

use s3ferry_core::failure::{Failure, FailureKind};
use s3ferry_core::preflight::{BucketState, ExpectedBucket, PreflightError, check_destination};
use s3ferry_core::wiring::{ReplicationEngine, WiringProperties};

use super::converge::{AFTER_FAILURE, MAX_DENIALS};
use super::error::WiringError;
use super::failures::is_denial;
use super::ports::WiringPorts;
use crate::ports::Clock as _;

/// Checks requirements whose violation would otherwise appear only in a log, long after the deployment.
pub(super) async fn check_buckets<P: WiringPorts>(ports: &P, properties: &WiringProperties) -> Result<(), WiringError> {
    properties.check_keys()?;
    let source = examined(ports, &properties.expected_source()).await?;
    let destination = examined(ports, &properties.expected_destination()).await?;
    check_destination(
        (&properties.source, source),
        (&properties.destination, destination),
        properties.ownership,
        properties.engine != ReplicationEngine::Lambda,
    )?;
    Ok(())
}

/// Examines a bucket. A denial is retried, because a role's permissions take seconds to propagate.
async fn examined<P: WiringPorts>(ports: &P, bucket: &ExpectedBucket) -> Result<BucketState, WiringError> {
    let mut attempts = 0;
    loop {
        match ports.examine(bucket).await {
            Ok(state) => return Ok(state),
            Err(PreflightError::Unfit(unfit)) => return Err(unfit.into()),
            Err(PreflightError::Failed(failure)) if attempts < MAX_DENIALS && may_pass(&failure) => {
                attempts += 1;
                tracing::warn!(s3.bucket = %bucket.name, %failure, "bucket not read, retrying");
                ports.clock().sleep(AFTER_FAILURE).await;
            }
            Err(PreflightError::Failed(failure)) => return Err(failure.into()),
        }
    }
}

fn may_pass(failure: &Failure) -> bool {
    is_denial(failure) || failure.kind == FailureKind::Retry
}
