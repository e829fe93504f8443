//! The simulator: every bucket, the time and the notifications.

use std::collections::BTreeMap;

use super::bucket::{Bucket, Versioning};
use super::clock::{Clock, Millis};
use super::document::Document;
use super::event::Notifications;
use super::object::{Entry, NULL_VERSION, Object, Version};
use super::random::Random;
use super::refusal::{Answer, Code, Refusal};

/// S3 as a state machine: each operation is a method that takes the request and answers at once.
///
/// Nothing here waits, draws on chance beyond its seed, or knows of HTTP.
#[derive(Debug)]
pub struct Simulator {
    /// Every bucket by its name.
    pub buckets: BTreeMap<String, Bucket>,
    /// The time.
    pub clock: Clock,
    /// The notifications written so far.
    pub notifications: Notifications,
    random: Random,
    last_order: u64,
}

/// Where a write goes.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// The bucket.
    pub bucket: &'a str,
    /// The key.
    pub key: &'a str,
}

/// When a write began, which is what precedence goes by.
#[derive(Debug, Clone, Copy)]
pub struct Beginning {
    /// The moment.
    pub at: Millis,
    /// The place among all writes.
    pub order: u64,
}

/// What a write left.
#[derive(Debug, Clone)]
pub struct Written {
    /// The version's id; `None` in a bucket that never kept versions.
    pub version_id: Option<String>,
    /// The object.
    pub object: Object,
    /// Its Last-Modified.
    pub last_modified: Millis,
}

impl Simulator {
    /// Makes a simulator without buckets.
    pub fn new(seed: u64, clock: Clock) -> Self {
        Self {
            buckets: BTreeMap::new(),
            clock,
            notifications: Notifications::default(),
            random: Random::new(seed),
            last_order: 0,
        }
    }

    /// Returns a bucket.
    pub fn bucket(&self, name: &str) -> Answer<&Bucket> {
        self.buckets.get(name).ok_or_else(|| Code::NoSuchBucket.into())
    }

    /// Returns a bucket to change it.
    pub fn bucket_mut(&mut self, name: &str) -> Answer<&mut Bucket> {
        self.buckets.get_mut(name).ok_or_else(|| Code::NoSuchBucket.into())
    }

    /// Refuses a request that was signed for another region than the bucket's.
    pub fn check_region(&self, bucket: &str, signed_for: Option<&str>) -> Answer<()> {
        let (Some(bucket), Some(region)) = (self.buckets.get(bucket), signed_for) else {
            return Ok(());
        };
        let region = if region == "aws-global" { "us-east-1" } else { region };
        if bucket.region == region {
            return Ok(());
        }
        Err(Refusal::new(Code::PermanentRedirect).with_header("x-amz-bucket-region", &bucket.region))
    }

    /// Refuses a request that expects another owner of a bucket.
    ///
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-owner-condition.html>
    pub fn check_owner(&self, bucket: &str, expected: Option<&str>) -> Answer<()> {
        match (self.buckets.get(bucket), expected) {
            (Some(bucket), Some(expected)) if bucket.owner != expected => Err(Code::AccessDenied.into()),
            _ => Ok(()),
        }
    }

    /// Creates a bucket.
    pub fn create_bucket(&mut self, name: &str, region: &str, object_lock: bool) -> Answer<()> {
        check_bucket_name(name)?;
        if let Some(bucket) = self.buckets.get(name) {
            // us-east-1 alone takes a repetition for a success.
            // <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html>
            let repeated = bucket.region == "us-east-1" && region == "us-east-1";
            return if repeated {
                Ok(())
            } else {
                Err(Code::BucketAlreadyOwnedByYou.into())
            };
        }
        let mut bucket = Bucket::new(region, self.clock.now());
        if object_lock {
            bucket.object_lock = true;
            bucket.versioning = Versioning::Enabled;
            let enabled =
                "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled></ObjectLockConfiguration>";
            bucket.documents.insert(Document::ObjectLock, enabled.to_owned());
        }
        self.buckets.insert(name.to_owned(), bucket);
        Ok(())
    }

    /// Deletes an empty bucket.
    pub fn delete_bucket(&mut self, name: &str) -> Answer<()> {
        if !self.bucket(name)?.is_empty() {
            return Err(Code::BucketNotEmpty.into());
        }
        self.buckets.remove(name);
        Ok(())
    }

    /// Switches versioning on or suspends it.
    pub fn set_versioning(&mut self, name: &str, versioning: Versioning) -> Answer<()> {
        let bucket = self.bucket_mut(name)?;
        if bucket.object_lock && versioning != Versioning::Enabled {
            return Err(Refusal::because(
                Code::InvalidBucketState,
                "An Object Lock configuration is present on this bucket, so the versioning state cannot be changed.",
            ));
        }
        bucket.versioning = versioning;
        Ok(())
    }

    /// Begins a write.
    pub fn begin(&mut self) -> Beginning {
        self.last_order += 1;
        Beginning {
            at: self.clock.now(),
            order: self.last_order,
        }
    }

    /// Makes an opaque identifier.
    pub(crate) fn identifier(&mut self, length: usize) -> String {
        self.random.identifier(length)
    }

    /// Makes an ETag that is no content hash.
    pub(crate) fn opaque_etag(&mut self) -> String {
        self.random.opaque_etag()
    }

    /// Stores an object as the version that its beginning makes it.
    pub(crate) fn store(&mut self, target: Target<'_>, object: Object, begun: Beginning) -> Answer<Written> {
        let id = match self.bucket(target.bucket)?.versioning {
            Versioning::Enabled => self.identifier(32),
            Versioning::Unversioned | Versioning::Suspended => NULL_VERSION.to_owned(),
        };
        let bucket = self.bucket_mut(target.bucket)?;
        let version = Version {
            id: id.clone(),
            last_modified: begun.at,
            order: begun.order,
            entry: Entry::Object(Box::new(object.clone())),
        };
        bucket.insert(target.key, version);
        Ok(Written {
            version_id: (bucket.versioning != Versioning::Unversioned).then_some(id),
            object,
            last_modified: begun.at,
        })
    }
}

/// Refuses names that no bucket can have.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html>
fn check_bucket_name(name: &str) -> Answer<()> {
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
        Err(Code::InvalidBucketName.into())
    }
}
