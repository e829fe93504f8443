//! What the buckets of a migration must be before anything is done to them: the CLI and a stack that is deployed refuse the
//! same things in the same words.

use crate::names::{AccountId, BucketName, Region};
use crate::policy::{Ownership, PolicyError};
use crate::wiring::Versioning;

/// Why a destination without versioning cannot be shared.
pub const SHARED_NEEDS_VERSIONS: &str =
    "shared ownership needs versions at the destination, to see and undo what it must not replace: enable versioning";

/// A bucket as it is expected to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpectedBucket {
    /// Its name.
    pub name: BucketName,
    /// Its region.
    pub region: Region,
    /// The account that must own it; without one any will do.
    pub owner: Option<AccountId>,
}

/// What a bucket keeps of its objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BucketState {
    /// Whether it keeps versions.
    pub versioning: Versioning,
    /// Whether objects can be locked.
    pub has_object_lock: bool,
}

/// Why a bucket, or a key, does not fit a migration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnfitBucket {
    /// It is in another region.
    #[error("bucket {bucket} is in region {found}, not in {asked}")]
    Elsewhere {
        /// The bucket.
        bucket: BucketName,
        /// Where it was looked for.
        asked: Region,
        /// Where it is.
        found: String,
    },
    /// Applications share a destination that keeps no versions.
    #[error("{SHARED_NEEDS_VERSIONS} (bucket {bucket}, versioning: {versioning})")]
    Unshareable {
        /// The destination.
        bucket: BucketName,
        /// What it has.
        versioning: Versioning,
    },
    /// S3 replicates into buckets with versions only.
    ///
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication-requirements.html>
    #[error(
        "S3's own replication needs versioning on the destination bucket {bucket}, where it is {versioning}: enable \
         versioning on it"
    )]
    Unreplicable {
        /// The destination.
        bucket: BucketName,
        /// What it has.
        versioning: Versioning,
    },
    /// The destination cannot keep the locks of the source.
    ///
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock-configure.html>
    #[error(
        "source bucket {source_bucket} has Object Lock and destination bucket {bucket} does not: copies would not be \
         locked; enable Object Lock on the destination bucket"
    )]
    Unlockable {
        /// The source.
        source_bucket: BucketName,
        /// The destination.
        bucket: BucketName,
    },
    /// A KMS key cannot be used.
    #[error("{setting}: {error}")]
    Key {
        /// The setting that names the key.
        setting: &'static str,
        /// What is wrong with it.
        error: PolicyError,
    },
}

/// Why buckets are not taken as they are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PreflightError {
    /// They do not fit.
    #[error(transparent)]
    Unfit(#[from] UnfitBucket),
    /// They could not be read, or are not there.
    #[error(transparent)]
    Failed(#[from] crate::failure::Failure),
}

/// Checks that the destination can hold what a migration puts there; each bucket with its state.
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
    fn destination_must_keep_what_is_put_there() {
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
                "needs versioning on the destination bucket destination, where it is Off",
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
