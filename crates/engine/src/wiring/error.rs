//! Why a bucket is not wired.

use s3ferry_core::failure::Failure;
use s3ferry_core::names::BucketName;
use s3ferry_core::preflight::UnfitBucket;
use s3ferry_core::wiring::{InvalidProperties, WiringRefusal};

/// Says why a bucket is not wired as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum WiringError {
    /// The properties are not valid.
    #[error(transparent)]
    Invalid(#[from] InvalidProperties),
    /// `CloudFormation` did not say what it is about.
    #[error("the request lacks {0}")]
    IncompleteRequest(String),
    /// `CloudFormation` asked for something unknown.
    #[error("the request type `{0}` is not known, expected: Create or Update or Delete")]
    UnknownRequest(String),
    /// The buckets are not what the migration needs.
    #[error("{unfit}{}", way_out(.unfit))]
    Unfit {
        /// What does not fit.
        #[from]
        unfit: UnfitBucket,
    },
    /// It must not be done.
    #[error(transparent)]
    Refused(#[from] WiringRefusal),
    /// It could not be done.
    #[error(transparent)]
    Failed(#[from] Failure),
    /// Something else kept writing.
    #[error(
        "the configuration of bucket {bucket} was still changing after {turns} attempts: something else writes it at \
         the same time; try again when it does not"
    )]
    Unsettled {
        /// The bucket.
        bucket: BucketName,
        /// How often it was read afresh.
        turns: usize,
    },
    /// Something else reverts what is written.
    #[error(
        "{what} of bucket {bucket} was written {times} times and reverted each time: something else, such as Terraform or \
         another stack, writes the configuration of this bucket; add {what} there, or stop it from writing, then deploy \
         again"
    )]
    Overwritten {
        /// The bucket.
        bucket: BucketName,
        /// What is reverted.
        what: String,
        /// How often it was.
        times: usize,
    },
}

/// Names the parameter of the stack that a bucket in another region belongs to.
fn way_out(unfit: &UnfitBucket) -> String {
    match unfit {
        UnfitBucket::Elsewhere { found, .. } => format!(
            "; if it is the destination bucket, set DestinationRegion={found}; a source bucket's stack is deployed in the \
             bucket's own region"
        ),
        UnfitBucket::Key { .. } => "; S3 uses keys of the bucket's own region only".to_owned(),
        UnfitBucket::Unshareable { .. } | UnfitBucket::Unreplicable { .. } | UnfitBucket::Unlockable { .. } => {
            String::new()
        }
    }
}
