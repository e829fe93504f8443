//! The simulator: buckets, clock and notifications.

use std::collections::BTreeMap;

use super::bucket::{SimBucket, SimVersioning};
use super::clock::{Millis, SimClock};
use super::document::BucketDocument;
use super::error::{SimError, SimErrorCode, SimResult};
use super::event::NotificationLog;
use super::object::{NULL_VERSION, SimObject, SimVersion, VersionEntry};
use super::random::Random;

/// S3 as a state machine: each operation is a method that takes a request and returns the response.
///
/// No method waits or uses HTTP, and all randomness comes from the seed.
#[derive(Debug)]
pub struct Simulator {
    /// Buckets by name.
    pub buckets: BTreeMap<String, SimBucket>,
    /// Time source.
    pub clock: SimClock,
    /// Notifications that were not read yet.
    pub notifications: NotificationLog,
    random: Random,
    last_order: u64,
}

/// Bucket and key that a request addresses.
#[derive(Debug, Clone, Copy)]
pub struct WriteTarget<'a> {
    /// Bucket name.
    pub bucket: &'a str,
    /// Object key.
    pub key: &'a str,
}

/// Start of a write. S3 orders the versions of a key by it.
#[derive(Debug, Clone, Copy)]
pub struct WriteStart {
    /// Start time.
    pub at: Millis,
    /// Order among all writes.
    pub order: u64,
}

/// Result of a write.
#[derive(Debug, Clone)]
pub struct WriteResult {
    /// Version id; `None` if the bucket has never had versioning.
    pub version_id: Option<String>,
    /// The written object.
    pub object: SimObject,
    /// Last-Modified of the object.
    pub last_modified: Millis,
}

impl Simulator {
    /// Creates a simulator without buckets.
    pub fn new(seed: u64, clock: SimClock) -> Self {
        Self {
            buckets: BTreeMap::new(),
            clock,
            notifications: NotificationLog::default(),
            random: Random::new(seed),
            last_order: 0,
        }
    }

    /// Returns a bucket.
    pub fn bucket(&self, name: &str) -> SimResult<&SimBucket> {
        self.buckets.get(name).ok_or_else(|| SimErrorCode::NoSuchBucket.into())
    }

    /// Returns a bucket for changes.
    pub fn bucket_mut(&mut self, name: &str) -> SimResult<&mut SimBucket> {
        self.buckets
            .get_mut(name)
            .ok_or_else(|| SimErrorCode::NoSuchBucket.into())
    }

    /// Rejects a request that was signed for a region other than the bucket's.
    pub fn check_region(&self, bucket: &str, signed_for: Option<&str>) -> SimResult<()> {
        let (Some(bucket), Some(region)) = (self.buckets.get(bucket), signed_for) else {
            return Ok(());
        };
        let region = if region == "aws-global" { "us-east-1" } else { region };
        if bucket.region == region {
            return Ok(());
        }
        Err(SimError::new(SimErrorCode::PermanentRedirect).with_header("x-amz-bucket-region", &bucket.region))
    }

    /// Rejects a request whose expected bucket owner is not the bucket's owner.
    ///
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-owner-condition.html>
    pub fn check_owner(&self, bucket: &str, expected: Option<&str>) -> SimResult<()> {
        match (self.buckets.get(bucket), expected) {
            (Some(bucket), Some(expected)) if bucket.owner != expected => Err(SimErrorCode::AccessDenied.into()),
            _ => Ok(()),
        }
    }

    /// Creates a bucket.
    pub fn create_bucket(&mut self, name: &str, region: &str, object_lock: bool) -> SimResult<()> {
        check_bucket_name(name)?;
        if let Some(bucket) = self.buckets.get(name) {
            // Only us-east-1 accepts a repeated CreateBucket.
            // <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html>
            let repeated = bucket.region == "us-east-1" && region == "us-east-1";
            return if repeated {
                Ok(())
            } else {
                Err(SimErrorCode::BucketAlreadyOwnedByYou.into())
            };
        }
        let mut bucket = SimBucket::new(region, self.clock.now());
        if object_lock {
            bucket.object_lock = true;
            bucket.versioning = SimVersioning::Enabled;
            let enabled =
                "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled></ObjectLockConfiguration>";
            bucket.documents.insert(BucketDocument::ObjectLock, enabled.to_owned());
        }
        self.buckets.insert(name.to_owned(), bucket);
        Ok(())
    }

    /// Deletes an empty bucket.
    pub fn delete_bucket(&mut self, name: &str) -> SimResult<()> {
        if !self.bucket(name)?.is_empty() {
            return Err(SimErrorCode::BucketNotEmpty.into());
        }
        self.buckets.remove(name);
        Ok(())
    }

    /// Sets the versioning state of a bucket.
    pub fn set_versioning(&mut self, name: &str, versioning: SimVersioning) -> SimResult<()> {
        let bucket = self.bucket_mut(name)?;
        if bucket.object_lock && versioning != SimVersioning::Enabled {
            return Err(SimError::because(
                SimErrorCode::InvalidBucketState,
                "An Object Lock configuration is present on this bucket, so the versioning state cannot be changed.",
            ));
        }
        bucket.versioning = versioning;
        Ok(())
    }

    /// Starts a write: returns its time and order.
    pub fn begin(&mut self) -> WriteStart {
        self.last_order += 1;
        WriteStart {
            at: self.clock.now(),
            order: self.last_order,
        }
    }

    /// Returns a random identifier.
    pub(crate) fn identifier(&mut self, length: usize) -> String {
        self.random.identifier(length)
    }

    /// Returns a random ETag, for objects whose ETag is not a content hash.
    pub(crate) fn opaque_etag(&mut self) -> String {
        self.random.opaque_etag()
    }

    /// Stores an object as a version, ordered by the start of its write.
    pub(crate) fn store(
        &mut self,
        target: WriteTarget<'_>,
        object: SimObject,
        begun: WriteStart,
    ) -> SimResult<WriteResult> {
        let id = match self.bucket(target.bucket)?.versioning {
            SimVersioning::Enabled => self.identifier(32),
            SimVersioning::Unversioned | SimVersioning::Suspended => NULL_VERSION.to_owned(),
        };
        let bucket = self.bucket_mut(target.bucket)?;
        let version = SimVersion {
            id: id.clone(),
            last_modified: begun.at,
            order: begun.order,
            entry: VersionEntry::Object(Box::new(object.clone())),
        };
        bucket.insert(target.key, version);
        Ok(WriteResult {
            version_id: (bucket.versioning != SimVersioning::Unversioned).then_some(id),
            object,
            last_modified: begun.at,
        })
    }
}

/// Rejects invalid bucket names.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html>
fn check_bucket_name(name: &str) -> SimResult<()> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'.';
    let edge = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let valid = (3..=63).contains(&name.len())
        && name.bytes().all(allowed)
        && edge(name.bytes().next())
        && edge(name.bytes().last())
        && !name.contains("..")
        && name.parse::<std::net::Ipv4Addr>().is_err();
    if valid {
        Ok(())
    } else {
        Err(SimErrorCode::InvalidBucketName.into())
    }
}
