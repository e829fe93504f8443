//! Names of things that must not be mixed up: buckets, keys, versions, regions, accounts.

use std::fmt;

use percent_encoding::percent_decode;
use serde::Serialize;

/// Says why a text is not a name of the kind asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing was given.
    #[error("{what} is empty")]
    Empty {
        /// The kind of name.
        what: &'static str,
    },
    /// The text is longer than S3 allows.
    #[error("{what} is {length_bytes} bytes long, at most {limit_bytes} are allowed")]
    TooLong {
        /// The kind of name.
        what: &'static str,
        /// The length found.
        length_bytes: usize,
        /// The length allowed.
        limit_bytes: usize,
    },
    /// The text holds something its kind of name cannot hold.
    #[error("{what} `{value}` is not valid: {expected}")]
    Malformed {
        /// The kind of name.
        what: &'static str,
        /// The text as it was given.
        value: String,
        /// What is allowed.
        expected: &'static str,
    },
    /// The key of a notification is not UTF-8 once decoded.
    #[error("object key `{encoded}` is not UTF-8 after decoding")]
    KeyNotUtf8 {
        /// The key as the notification spelled it.
        encoded: String,
    },
    /// The key of a notification holds a `%` that starts no escape.
    #[error("object key `{encoded}` is not form-encoded: `%` must be followed by two hexadecimal digits")]
    KeyNotEncoded {
        /// The key as the notification spelled it.
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
            /// Returns the text.
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
    /// Names an S3 bucket.
    BucketName
}
text_newtype! {
    /// Names an object within its bucket, decoded.
    ///
    /// Only built by [`ObjectKey::from_notification`] and [`ObjectKey::from_raw`]: the two differ in what `+` and `%`
    /// mean, so a key is decoded once, at the door, by whoever knows how it was spelled.
    ObjectKey
}
text_newtype! {
    /// Names one version of an object in a bucket with versioning.
    ///
    /// `null`, the version of objects written without versioning, is not a [`VersionId`]: it can be overwritten in
    /// place, so it pins nothing.
    VersionId
}
text_newtype! {
    /// Tags the content of an object, without the quotes of the HTTP header.
    ETag
}
text_newtype! {
    /// Names an AWS region.
    Region
}
text_newtype! {
    /// Names an AWS account by its twelve digits.
    AccountId
}

impl BucketName {
    /// Checks a bucket name loosely: S3 still has buckets from before its present naming rules.
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

    /// Spells the bucket's ARN in the partition of `region`.
    #[must_use]
    pub fn arn(&self, region: &Region) -> String {
        format!("arn:{}:s3:::{self}", region.partition())
    }
}

impl ObjectKey {
    /// The longest key S3 takes, in bytes of UTF-8.
    pub const LIMIT_BYTES: usize = 1024;

    /// Takes a key as it is, from APIs and from `EventBridge`.
    pub fn from_raw(key: impl Into<String>) -> Result<Self, NameError> {
        let key = key.into();
        checked("object key", &key, Self::LIMIT_BYTES)?;
        Ok(Self(key))
    }

    /// Decodes the key of a classic notification: `+` is a space, then percent-escapes are bytes of UTF-8.
    ///
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html>
    pub fn from_notification(encoded: &str) -> Result<Self, NameError> {
        // Three bytes of an escape for each byte of the key: what is longer need not be decoded to be too long.
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

    /// Spells the object's ARN in the partition of `region`.
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
    /// Takes a version id as S3 answers it; empty and `null` name no version that could be pinned.
    #[must_use]
    pub fn pinnable(version_id: &str) -> Option<Self> {
        (!version_id.is_empty() && version_id != "null").then(|| Self(version_id.to_owned()))
    }
}

impl ETag {
    /// Takes an `ETag` with or without its quotes.
    pub fn new(etag: &str) -> Result<Self, NameError> {
        let bare = etag.trim_matches('"');
        checked("ETag", bare, 256)?;
        Ok(Self(bare.to_owned()))
    }

    /// Tells whether the tag was made of the tags of parts (`<hex>-<count>`).
    #[must_use]
    pub fn is_multipart(&self) -> bool {
        self.0.contains('-')
    }

    /// Returns how many parts the tag was made of (`<hex>-<count>`), if it was.
    #[must_use]
    pub fn part_count(&self) -> Option<u32> {
        self.0.rsplit_once('-')?.1.parse().ok()
    }

    /// Spells the tag as HTTP does, in quotes.
    #[must_use]
    pub fn quoted(&self) -> String {
        format!("\"{self}\"")
    }
}

impl Region {
    /// Checks the form of a region's name, as in `eu-central-1`.
    pub fn new(region: impl Into<String>) -> Result<Self, NameError> {
        let region = region.into();
        checked("region", &region, 32)?;
        let words = region.split('-').count();
        let allowed = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
        let numbered = region.ends_with(|letter: char| letter.is_ascii_digit());
        if words < 3 || !numbered || !region.chars().all(allowed) {
            return Err(NameError::Malformed {
                what: "region",
                value: region,
                expected: "an AWS region such as eu-central-1",
            });
        }
        Ok(Self(region))
    }

    /// Names the partition the region belongs to, which is part of every ARN.
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
    /// Checks an account's twelve digits.
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
    fn notification_keys_that_cannot_be_decoded_are_named() {
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
    fn bucket_names_and_regions_and_accounts_are_checked() {
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
    fn arns_are_spelled_in_the_partition_of_the_region() {
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
    fn the_null_version_pins_nothing() {
        assert_eq!(VersionId::pinnable("null"), None);
        assert_eq!(VersionId::pinnable(""), None);
        assert_eq!(VersionId::pinnable("v1").unwrap().as_str(), "v1");
    }

    /// Encodes the way S3 does, for the round trip.
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
