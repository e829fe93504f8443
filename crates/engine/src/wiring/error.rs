//! The errors of the bucket wiring.

use s3ferry_core::failure::Failure;
use s3ferry_core::names::BucketName;
use s3ferry_core::preflight::UnfitBucket;
use s3ferry_core::wiring::{InvalidProperties, WiringRefusal};

/// The reason why a bucket was not wired as requested.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum WiringError {
    /// The properties are not valid.
    #[error(transparent)]
    Invalid(#[from] InvalidProperties),
    /// The request of `CloudFormation` lacks fields.
    #[error("the request lacks {0}")]
    IncompleteRequest(String),
    /// The request type of `CloudFormation` is unknown.
    #[error("unknown request type `{0}`, expected: Create, Update or Delete")]
    UnknownRequest(String),
    /// A bucket does not meet the requirements of the migration.
    #[error("{unfit}{}", advice(.unfit))]
    Unfit {
        /// The requirement that is not met.
        #[from]
        unfit: UnfitBucket,
    },
    /// The change was refused.
    #[error(transparent)]
    Refused(#[from] WiringRefusal),
    /// A request to AWS failed.
    #[error(transparent)]
    Failed(#[from] Failure),
    /// Another writer continued to change the configuration.
    #[error(
        "the configuration of bucket {bucket} was still changing after {passes} attempts: something else writes it at \
         the same time; deploy again once that has stopped"
    )]
    StillChanging {
        /// The bucket's name.
        bucket: BucketName,
        /// The number of passes.
        passes: usize,
    },
    /// Another writer reverts the changes.
    #[error(
        "{what} of bucket {bucket} was written {times} times and reverted each time: something else, such as Terraform \
         or another stack, writes the configuration of this bucket; add {what} there, or stop it from writing, then \
         deploy again"
    )]
    Overwritten {
        /// The bucket's name.
        bucket: BucketName,
        /// The name of the reverted configuration.
        what: String,
        /// The number of reverted writes.
        times: usize,
    },
}

/// Returns advice on which stack parameter to change.
fn advice(unfit: &UnfitBucket) -> String {
    match unfit {
        UnfitBucket::Elsewhere { found, .. } => format!(
            "; if it is the destination bucket, set DestinationRegion={found}; a source bucket's stack is deployed in \
             the bucket's own region"
        ),
        UnfitBucket::Key { .. } => "; S3 uses keys of the bucket's own region only".to_owned(),
        UnfitBucket::Unshareable { .. } | UnfitBucket::Unreplicable { .. } | UnfitBucket::Unlockable { .. } => {
            String::new()
        }
    }
}
