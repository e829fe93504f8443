//! Checks of the buckets of a migration before anything is copied.
//!
//! [`check_destination`] has the few conditions without which no work begins: the CLI and a stack deployment refuse the
//! same configurations with the same messages. [`CHECKS`] are the checks of `s3ferry preflight`. Each is a pure function
//! from the [`PreflightFacts`] that were read to a [`Finding`]. A [`Reading`] that was denied makes its checks unknown.

pub mod checks;
pub mod facts;
pub mod policy_document;
pub mod reading;
pub mod report;
pub mod sample;

pub use checks::{CHECKS, PreflightCheck};
pub use facts::{AccountFacts, BucketFacts, PreflightFacts};
pub use policy_document::PolicyDocument;
pub use reading::{Reading, UnknownReading, UnknownReason};
pub use report::{CheckRow, CheckSeverity, Finding, PreflightReport};
pub use sample::{HeadSample, KeySpread, ObjectSample, SampleOrigin, VersionSample};

use crate::names::{AccountId, BucketName, Region};
use crate::policy::{Ownership, PolicyError};
use crate::wiring::Versioning;

/// Message for a destination without versioning in shared ownership.
pub const SHARED_NEEDS_VERSIONS: &str =
    "shared ownership requires versioning at the destination, to detect and undo overwrites: enable versioning";

/// Expected properties of a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpectedBucket {
    /// Name of the bucket.
    pub name: BucketName,
    /// Region of the bucket.
    pub region: Region,
    /// Account that must own the bucket; `None` allows any owner.
    pub owner: Option<AccountId>,
}

/// Settings that decide what a bucket stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BucketState {
    /// Versioning state.
    pub versioning: Versioning,
    /// Whether Object Lock is enabled.
    pub has_object_lock: bool,
}

/// Reasons why a bucket, or a KMS key, does not fit a migration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnfitBucket {
    /// The bucket is in another region.
    #[error("bucket {bucket} is in region {found}, not in {expected}")]
    Elsewhere {
        /// Name of the bucket.
        bucket: BucketName,
        /// Expected region.
        expected: Region,
        /// Actual region.
        found: String,
    },
    /// Ownership is shared, but the destination is not versioned.
    #[error("{SHARED_NEEDS_VERSIONS} (bucket {bucket}, versioning: {versioning})")]
    Unshareable {
        /// Destination bucket.
        bucket: BucketName,
        /// Versioning state of the bucket.
        versioning: Versioning,
    },
    /// S3 replicates only into versioned buckets.
    ///
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication-requirements.html>
    #[error(
        "S3's own replication requires versioning on the destination bucket {bucket}, where it is {versioning}: enable \
         versioning on it"
    )]
    Unreplicable {
        /// Destination bucket.
        bucket: BucketName,
        /// Versioning state of the bucket.
        versioning: Versioning,
    },
    /// The destination cannot store the source's locks.
    ///
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock-configure.html>
    #[error(
        "source bucket {source_bucket} has Object Lock and destination bucket {bucket} does not: copies would not be \
         locked; enable Object Lock on the destination bucket"
    )]
    Unlockable {
        /// Source bucket.
        source_bucket: BucketName,
        /// Destination bucket.
        bucket: BucketName,
    },
    /// A KMS key cannot be used.
    #[error("{setting}: {error}")]
    Key {
        /// Setting that names the key.
        setting: &'static str,
        /// Reason why the key cannot be used.
        error: PolicyError,
    },
}

/// Reasons why a preflight check fails.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PreflightError {
    /// The buckets do not fit a migration.
    #[error(transparent)]
    Unfit(#[from] UnfitBucket),
    /// The buckets could not be read, or do not exist.
    #[error(transparent)]
    Failed(#[from] crate::failure::Failure),
}

/// Checks that the destination can store what a migration copies; each bucket comes with its state.
pub fn check_destination(
    source: (&BucketName, BucketState),
    destination: (&BucketName, BucketState),
    ownership: Ownership,
    replicates: bool,
) -> Result<(), UnfitBucket> {
    let (bucket, state) = destination;
    let (bucket, versioning) = (bucket.clone(), state.versioning);
    if ownership == Ownership::Shared && versioning != Versioning::Enabled {
        return Err(UnfitBucket::Unshareable { bucket, versioning });
    }
    if replicates && versioning != Versioning::Enabled {
        return Err(UnfitBucket::Unreplicable { bucket, versioning });
    }
    if source.1.has_object_lock && !state.has_object_lock {
        let source_bucket = source.0.clone();
        return Err(UnfitBucket::Unlockable { source_bucket, bucket });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destination_without_required_settings_is_refused() {
        let name = |name: &str| BucketName::new(name).unwrap();
        let (source, destination) = (name("source"), name("destination"));
        let state = |versioning, has_object_lock| BucketState {
            versioning,
            has_object_lock,
        };
        let check = |locked: bool, at: BucketState, ownership, replicates| {
            let source = (&source, state(Versioning::Enabled, locked));
            check_destination(source, (&destination, at), ownership, replicates).map_err(|unfit| unfit.to_string())
        };
        let (plain, versioned) = (state(Versioning::Off, false), state(Versioning::Enabled, false));
        let lockable = state(Versioning::Enabled, true);
        let suspended = state(Versioning::Suspended, false);
        for fits in [
            check(false, plain, Ownership::Exclusive, false),
            check(false, versioned, Ownership::Shared, false),
            check(false, versioned, Ownership::Exclusive, true),
            check(true, lockable, Ownership::Exclusive, true),
        ] {
            assert_eq!(fits, Ok(()));
        }
        for (refused, expected) in [
            (check(false, plain, Ownership::Shared, false), SHARED_NEEDS_VERSIONS),
            (
                check(false, suspended, Ownership::Shared, false),
                "versioning: Suspended",
            ),
            (
                check(false, plain, Ownership::Exclusive, true),
                "requires versioning on the destination bucket destination, where it is Off",
            ),
            (
                check(true, versioned, Ownership::Exclusive, false),
                "source bucket source has Object Lock and destination bucket destination does not",
            ),
        ] {
            let refused = refused.unwrap_err();
            assert!(refused.contains(expected), "{refused}");
        }
    }
}
