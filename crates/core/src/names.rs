//! Validated names of buckets, keys, versions, regions and accounts. Each is its own type, so they are not confused.

use std::fmt;

use percent_encoding::percent_decode;
use serde::Serialize;

/// Error in a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The name is empty.
    #[error("{what} is empty")]
    Empty {
        /// Kind of name.
        what: &'static str,
    },
    /// The name is longer than S3 allows.
    #[error("{what} is {length_bytes} bytes long, at most {limit_bytes} are allowed")]
    TooLong {
        /// Kind of name.
        what: &'static str,
        /// Length found, in bytes.
        length_bytes: usize,
        /// Maximum length, in bytes.
        limit_bytes: usize,
    },
    /// The name contains characters that are not allowed, or has another form.
    #[error("{what} `{value}` is not valid: {expected}")]
    Malformed {
        /// Kind of name.
        what: &'static str,
        /// Name found.
        value: String,
        /// Description of the allowed form.
        expected: &'static str,
    },
    /// The key of an event is not UTF-8 after decoding.
    #[error("object key `{encoded}` is not UTF-8 after decoding")]
    KeyNotUtf8 {
        /// Key as the event contains it.
        encoded: String,
    },
    /// The key of an event contains an incomplete escape.
    #[error("object key `{encoded}` is not form-encoded: `%` must be followed by two hexadecimal digits")]
    KeyNotEncoded {
        /// Key as the event contains it.
        encoded: String,
    },
}

macro_rules! text_newtype {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Returns the name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }
    };
}

text_newtype! {
    /// Name of an S3 bucket.
    BucketName
}
text_newtype! {
    /// Key of an object, decoded.
    ///
    /// It is only created by [`ObjectKey::from_notification`] and [`ObjectKey::from_raw`]. They differ in the meaning
    /// of `+` and `%`, so a key is decoded once, where its encoding is known.
    ObjectKey
}
text_newtype! {
    /// Version ID of an object in a bucket with versioning.
    ///
    /// `null`, the version of objects written without versioning, is not a [`VersionId`]. It can be overwritten, so a
    /// request for it is not pinned to a content.
    VersionId
}
text_newtype! {
    /// `ETag` of an object, without the quotes of the HTTP header.
    ETag
}
text_newtype! {
    /// Name of an AWS region.
    Region
}
text_newtype! {
    /// ID of an AWS account: twelve digits.
    AccountId
}

impl BucketName {
    /// Validates a bucket name. The check is lenient: S3 has buckets from before its naming rules.
    ///
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html>
    pub fn new(name: impl Into<String>) -> Result<Self, NameError> {
        let name = name.into();
        let allowed = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
        checked("bucket name", &name, 255)?;
        if name.len() < 3 || !name.chars().all(allowed) {
            return Err(NameError::Malformed {
                what: "bucket name",
                value: name,
                expected: "3 or more letters, digits, dots, hyphens",
            });
        }
        Ok(Self(name))
    }

    /// Returns the ARN of the bucket in the partition of `region`.
    #[must_use]
    pub fn arn(&self, region: &Region) -> String {
        format!("arn:{}:s3:::{self}", region.partition())
    }
}

impl ObjectKey {
    /// Maximum length of a key in S3, in bytes of UTF-8.
    pub const LIMIT_BYTES: usize = 1024;

    /// Validates a key that is not encoded, from an API or from `EventBridge`.
    pub fn from_raw(key: impl Into<String>) -> Result<Self, NameError> {
        let key = key.into();
        checked("object key", &key, Self::LIMIT_BYTES)?;
        Ok(Self(key))
    }

    /// Decodes the key of an S3 event notification: `+` is a space, and escapes are bytes of UTF-8.
    ///
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html>
    pub fn from_notification(encoded: &str) -> Result<Self, NameError> {
        // An escape has three bytes for each byte of the key. A longer text need not be decoded: its key is too long.
        checked("encoded object key", encoded, 3 * Self::LIMIT_BYTES)?;
        if !escapes_are_complete(encoded) {
            return Err(NameError::KeyNotEncoded {
                encoded: encoded.to_owned(),
            });
        }
        let spaced = encoded.replace('+', " ");
        let decoded = percent_decode(spaced.as_bytes())
            .decode_utf8()
            .map_err(|_| NameError::KeyNotUtf8 {
                encoded: encoded.to_owned(),
            })?;
        Self::from_raw(decoded)
    }

    /// Returns the ARN of the object in the partition of `region`.
    #[must_use]
    pub fn arn(&self, bucket: &BucketName, region: &Region) -> String {
        format!("{}/{self}", bucket.arn(region))
    }
}

fn escapes_are_complete(encoded: &str) -> bool {
    encoded.split('%').skip(1).all(|rest| {
        let mut digits = rest.bytes().take(2);
        let is_hex = |digit: Option<u8>| digit.is_some_and(|digit| digit.is_ascii_hexdigit());
        is_hex(digits.next()) && is_hex(digits.next())
    })
}

impl VersionId {
    /// Returns a version ID from an S3 response. Returns `None` for an empty ID and `null`, which pin no content.
    #[must_use]
    pub fn pinnable(version_id: &str) -> Option<Self> {
        (!version_id.is_empty() && version_id != "null").then(|| Self(version_id.to_owned()))
    }
}

impl ETag {
    /// Validates an `ETag`, with or without quotes.
    pub fn new(etag: &str) -> Result<Self, NameError> {
        let bare = etag.trim_matches('"');
        checked("ETag", bare, 256)?;
        Ok(Self(bare.to_owned()))
    }

    /// Returns whether the `ETag` is of a multipart upload (`<hex>-<count>`).
    #[must_use]
    pub fn is_multipart(&self) -> bool {
        self.0.contains('-')
    }

    /// Returns the number of parts in the `ETag` of a multipart upload (`<hex>-<count>`).
    #[must_use]
    pub fn part_count(&self) -> Option<u32> {
        self.0.rsplit_once('-')?.1.parse().ok()
    }

    /// Returns the `ETag` in quotes, as HTTP headers contain it.
    #[must_use]
    pub fn quoted(&self) -> String {
        format!("\"{self}\"")
    }
}

impl Region {
    /// Validates the form of a region name, as in `eu-central-1`.
    pub fn new(region: impl Into<String>) -> Result<Self, NameError> {
        let region = region.into();
        checked("region", &region, 32)?;
        let segments = region.split('-').count();
        let allowed = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
        let numbered = region.ends_with(|letter: char| letter.is_ascii_digit());
        if segments < 3 || !numbered || !region.chars().all(allowed) {
            return Err(NameError::Malformed {
                what: "region",
                value: region,
                expected: "an AWS region such as eu-central-1",
            });
        }
        Ok(Self(region))
    }

    /// Returns the partition of the region, which is part of every ARN.
    ///
    /// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html>
    #[must_use]
    pub fn partition(&self) -> &'static str {
        const PARTITIONS: [(&str, &str); 7] = [
            ("cn-", "aws-cn"),
            ("us-gov-", "aws-us-gov"),
            ("eusc-", "aws-eusc"),
            ("us-iso-", "aws-iso"),
            ("us-isob-", "aws-iso-b"),
            ("eu-isoe-", "aws-iso-e"),
            ("us-isof-", "aws-iso-f"),
        ];
        let found = PARTITIONS.iter().find(|(prefix, _)| self.0.starts_with(prefix));
        found.map_or("aws", |(_, partition)| partition)
    }
}

impl AccountId {
    /// Validates the ID of an account.
    pub fn new(account: impl Into<String>) -> Result<Self, NameError> {
        let account = account.into();
        if account.len() != 12 || !account.bytes().all(|digit| digit.is_ascii_digit()) {
            return Err(NameError::Malformed {
                what: "account id",
                value: account,
                expected: "twelve digits",
            });
        }
        Ok(Self(account))
    }
}

fn checked(what: &'static str, value: &str, limit_bytes: usize) -> Result<(), NameError> {
    if value.is_empty() {
        return Err(NameError::Empty { what });
    }
    if value.len() > limit_bytes {
        return Err(NameError::TooLong {
            what,
            length_bytes: value.len(),
            limit_bytes,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check_key(encoded: &str, expected: &str) {
        assert_eq!(ObjectKey::from_notification(encoded).unwrap().as_str(), expected);
    }

    #[test]
    fn notification_keys_are_form_decoded_once() {
        check_key("plain/a.txt", "plain/a.txt");
        check_key("a+b%2Bc%2520%25%C3%BC/%E6%97%A5.txt", "a b+c%20%ü/日.txt");
        check_key("%2F..%2F.", "/../.");
        check_key("a%0Ab", "a\nb");
    }

    #[test]
    fn undecodable_notification_keys_are_explicit_errors() {
        assert!(matches!(
            ObjectKey::from_notification("bad%FF"),
            Err(NameError::KeyNotUtf8 { encoded }) if encoded == "bad%FF"
        ));
        for encoded in ["100%", "%4", "%zz", "%2", "é%"] {
            assert!(
                matches!(
                    ObjectKey::from_notification(encoded),
                    Err(NameError::KeyNotEncoded { .. })
                ),
                "{encoded}"
            );
        }
        assert!(matches!(ObjectKey::from_notification(""), Err(NameError::Empty { .. })));
        assert!(matches!(
            ObjectKey::from_raw("x".repeat(1025)),
            Err(NameError::TooLong { length_bytes: 1025, .. })
        ));
    }

    #[test]
    fn bucket_names_regions_and_accounts_are_validated() {
        assert!(BucketName::new("my.bucket-1").is_ok());
        for name in ["", "ab", "has space", "a/b/c", "arn:aws:s3:::name", "ü-bucket"] {
            assert!(BucketName::new(name).is_err(), "{name}");
        }
        for region in ["eu-central-1", "eusc-de-east-1", "us-gov-west-1", "us-isob-east-1"] {
            assert!(Region::new(region).is_ok(), "{region}");
        }
        for region in ["", "Frankfurt", "eu", "eu-central", "EU-CENTRAL-1"] {
            assert!(Region::new(region).is_err(), "{region}");
        }
        assert!(AccountId::new("123456789012").is_ok());
        for account in ["", "12345678901", "12345678901x"] {
            assert!(AccountId::new(account).is_err(), "{account}");
        }
    }

    #[test]
    fn arns_contain_the_partition_of_the_region() {
        let bucket = BucketName::new("example").unwrap();
        let key = ObjectKey::from_raw("a b").unwrap();
        let arn = |region: &str| key.arn(&bucket, &Region::new(region).unwrap());
        assert_eq!(arn("eu-west-1"), "arn:aws:s3:::example/a b");
        assert_eq!(arn("cn-north-1"), "arn:aws-cn:s3:::example/a b");
        assert_eq!(arn("us-gov-west-1"), "arn:aws-us-gov:s3:::example/a b");
        assert_eq!(arn("eusc-de-east-1"), "arn:aws-eusc:s3:::example/a b");
        assert_eq!(arn("us-isob-east-1"), "arn:aws-iso-b:s3:::example/a b");
    }

    #[test]
    fn null_version_is_not_pinnable() {
        assert_eq!(VersionId::pinnable("null"), None);
        assert_eq!(VersionId::pinnable(""), None);
        assert_eq!(VersionId::pinnable("v1").unwrap().as_str(), "v1");
    }

    /// Encodes a key as S3 does in event notifications.
    fn form_encode(key: &str) -> String {
        use std::fmt::Write as _;
        let mut encoded = String::new();
        for byte in key.bytes() {
            match byte {
                b' ' => encoded.push('+'),
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'*' | b'/' => {
                    encoded.push(char::from(byte));
                }
                other => write!(encoded, "%{other:02X}").unwrap(),
            }
        }
        encoded
    }

    proptest! {
        #[test]
        fn any_key_survives_the_notification(key in "\\PC{1,200}") {
            let decoded = ObjectKey::from_notification(&form_encode(&key)).unwrap();
            prop_assert_eq!(decoded.as_str(), key);
        }

        #[test]
        fn decoding_never_panics(encoded in ".*") {
            drop(ObjectKey::from_notification(&encoded));
        }
    }
}
