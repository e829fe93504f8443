//! Buckets and prefixes, as flags and migration files name them.

use std::fmt;
use std::str::FromStr;

use crate::names::{BucketName, ObjectKey};

/// A bucket and the beginning of keys in it: `s3://bucket/prefix`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// The bucket.
    pub bucket: BucketName,
    /// How the keys begin; empty means all of the bucket.
    pub prefix: String,
}

/// Why a text is not a bucket with a prefix.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LocationError {
    /// Another scheme, or none.
    #[error("must begin with s3://, as in s3://my-bucket or s3://my-bucket/images/")]
    NotS3,
    /// The bucket cannot be one.
    #[error("{0}; write s3://my-bucket or s3://my-bucket/images/")]
    Bucket(String),
    /// The prefix cannot begin a key.
    #[error("{0}; keys are at most {limit} bytes long", limit = ObjectKey::LIMIT_BYTES)]
    Prefix(String),
}

impl FromStr for Location {
    type Err = LocationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let rest = text.strip_prefix("s3://").ok_or(LocationError::NotS3)?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let bucket = BucketName::new(bucket).map_err(|error| LocationError::Bucket(error.to_string()))?;
        if !prefix.is_empty() {
            ObjectKey::from_raw(prefix).map_err(|error| LocationError::Prefix(error.to_string()))?;
        }
        Ok(Self {
            bucket,
            prefix: prefix.to_owned(),
        })
    }
}

impl fmt::Display for Location {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "s3://{}/{}", self.bucket, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bucket_and_prefix_are_parsed_and_formatted() {
        for (text, bucket, prefix) in [
            ("s3://my-bucket", "my-bucket", ""),
            ("s3://my-bucket/", "my-bucket", ""),
            ("s3://my-bucket/a/b c+%20", "my-bucket", "a/b c+%20"),
            ("s3://my-bucket//a", "my-bucket", "/a"),
        ] {
            let location: Location = text.parse().unwrap();
            assert_eq!((location.bucket.as_str(), location.prefix.as_str()), (bucket, prefix));
            assert_eq!(location.to_string().parse::<Location>(), Ok(location));
        }
    }

    #[test]
    fn other_texts_are_refused_with_an_example() {
        for (text, expected) in [
            ("my-bucket", "must begin with s3://"),
            ("https://my-bucket", "must begin with s3://"),
            ("s3:///key", "bucket name is empty"),
            ("s3://a b", "bucket name `a b` is not valid"),
        ] {
            let error = text.parse::<Location>().unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
