//! Both buckets are checked before one of them is wired.

use s3ferry_core::failure::{Failure, FailureKind};
use s3ferry_core::preflight::{BucketState, ExpectedBucket, PreflightError, check_destination};
use s3ferry_core::wiring::{ReplicationEngine, WiringProperties};

use super::converge::{AFTER_FAILURE, DENIALS};
use super::error::WiringError;
use super::failures::is_denial;
use super::ports::{Pause as _, WiringPorts};

/// Checks what would otherwise fail long after the deployment, in a log.
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

/// Looks at a bucket. What a role may do takes some seconds to spread, so a denial is waited out.
async fn examined<P: WiringPorts>(ports: &P, bucket: &ExpectedBucket) -> Result<BucketState, WiringError> {
    let mut attempts = 0;
    loop {
        match ports.examine(bucket).await {
            Ok(state) => return Ok(state),
            Err(PreflightError::Unfit(unfit)) => return Err(unfit.into()),
            Err(PreflightError::Failed(failure)) if attempts < DENIALS && may_pass(&failure) => {
                attempts += 1;
                tracing::warn!(s3.bucket = %bucket.name, %failure, "trying again");
                ports.time().pause(AFTER_FAILURE).await;
            }
            Err(PreflightError::Failed(failure)) => return Err(failure.into()),
        }
    }
}

fn may_pass(failure: &Failure) -> bool {
    is_denial(failure) || failure.kind == FailureKind::Retry
}
