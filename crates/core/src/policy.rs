//! Settings that apply to the whole migration.

use std::collections::BTreeMap;
use std::str::FromStr;

use crate::diff::SideName;
use crate::encryption::requested_encryption;
use crate::facts::{Encryption, ExplicitEncryption, KmsEncryption};
use crate::names::{AccountId, ObjectKey, Region};

/// Storage classes that `CopyObject` accepts in an AWS region.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-class-intro.html>
const STORAGE_CLASSES: [&str; 8] = [
    "STANDARD",
    "STANDARD_IA",
    "ONEZONE_IA",
    "INTELLIGENT_TIERING",
    "GLACIER_IR",
    "GLACIER",
    "DEEP_ARCHIVE",
    "REDUCED_REDUNDANCY",
];

/// KMS key of a copy, by the ARN of the source object's key.
pub type KmsKeyMap = BTreeMap<String, String>;

/// Reasons why a setting is invalid; the message follows the setting's name and value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// The text is not a storage class that copies can have.
    #[error("allowed: source, {}", STORAGE_CLASSES.join(", "))]
    UnknownStorageClass,
    /// The text is not a map.
    #[error("must be a JSON object such as {{\"source key ARN\":\"destination key ARN\"}}: {detail}")]
    NotAMap {
        /// Message of the JSON parser.
        detail: String,
    },
    /// The text is not the ARN of a KMS key; S3 returns ARNs, never aliases.
    #[error(
        "`{arn}` is not the ARN of a KMS key: give an ARN like arn:aws:kms:eu-central-1:123456789012:key/1234abcd \
         (aliases are not supported)"
    )]
    NotAKmsKey {
        /// Text of the setting.
        arn: String,
    },
    /// The text is not an encryption of S3.
    #[error("allowed: bucket-default, AES256, aws:kms:KEY_ARN, aws:kms:dsse:KEY_ARN")]
    UnknownEncryption,
    /// The key is missing. The AWS managed key exists once per region and is not usable by other accounts, so the key
    /// must be named.
    #[error("needs the ARN of a KMS key, as in {algorithm}:arn:aws:kms:eu-central-1:123456789012:key/1234abcd")]
    KmsWithoutKey {
        /// Encryption algorithm.
        algorithm: String,
    },
    /// The key is in another region than its bucket, which S3 does not support.
    #[error("`{arn}` is not in {region}, the region of the {} bucket", .side.as_str())]
    KmsKeyElsewhere {
        /// ARN of the key.
        arn: String,
        /// Region of the bucket.
        region: Region,
        /// Bucket that the key belongs to.
        side: SideName,
    },
}

/// Settings that apply to the whole migration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Prefix of the keys in scope; empty for all keys.
    pub key_prefix: String,
    /// Who writes to the destination before the cutover.
    pub ownership: Ownership,
    /// In shared ownership, whether an equal destination object without a marker gets one. It then counts as a copy
    /// that was made before markers existed.
    pub adopts_equal_objects: bool,
    /// Whether deletes at the source are propagated to the destination.
    pub propagate_deletes: bool,
    /// Storage class of copies.
    pub storage_class: StorageClassRule,
    /// KMS key of a copy, by the ARN of the source object's key.
    pub kms_keys: KmsKeyMap,
    /// Encryption of all other copies; `None` for the bucket's default.
    pub destination_encryption: Option<ExplicitEncryption>,
    /// Size above which objects are copied by a multipart copy.
    pub multipart_threshold_bytes: u64,
    /// Size of parts if the part sizes of the source are unknown.
    pub part_size_bytes: u64,
    /// Which multipart objects have their `ETag` preserved.
    pub preserve_etag: PreserveEtag,
    /// Whether copies get the grants of the source.
    pub acl: AclRule,
    /// Whether a reconcile ends with the first write that it would send, and writes nothing.
    pub dry_run: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            key_prefix: String::new(),
            ownership: Ownership::Exclusive,
            adopts_equal_objects: false,
            propagate_deletes: false,
            storage_class: StorageClassRule::AsSource,
            kms_keys: KmsKeyMap::new(),
            destination_encryption: None,
            multipart_threshold_bytes: crate::plan::COPY_OBJECT_LIMIT_BYTES,
            part_size_bytes: crate::plan::DEFAULT_PART_BYTES,
            preserve_etag: PreserveEtag::Large,
            acl: AclRule::Ignore,
            dry_run: false,
        }
    }
}

impl Policy {
    /// Returns whether a key is in scope.
    #[must_use]
    pub fn covers(&self, key: &ObjectKey) -> bool {
        key.as_str().starts_with(&self.key_prefix)
    }

    /// Returns the encryption that a copy requests for a source object with this encryption. The key map has
    /// precedence over the encryption for all copies.
    #[must_use]
    pub fn encryption_of(&self, source: &Encryption) -> Option<ExplicitEncryption> {
        requested_encryption(&self.kms_keys, self.destination_encryption.as_ref(), source)
    }

    /// Returns whether a copy requests a KMS key, so that its `ETag` is not a hash of the content.
    #[must_use]
    pub fn encrypts_with_kms(&self, source: &Encryption) -> bool {
        matches!(self.encryption_of(source), Some(ExplicitEncryption::Kms(_)))
    }
}

/// Parses the encryption of copies: `bucket-default`, `AES256`, or `aws:kms:` or `aws:kms:dsse:` followed by the ARN
/// of a key.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/serv-side-encryption.html>
pub fn destination_encryption(text: &str) -> Result<Option<ExplicitEncryption>, PolicyError> {
    let (arn, dual_layer) = match (text.strip_prefix("aws:kms:dsse"), text.strip_prefix("aws:kms")) {
        _ if text == "bucket-default" => return Ok(None),
        _ if text == "AES256" => return Ok(Some(ExplicitEncryption::Managed)),
        (Some(key), _) => (key, true),
        (None, Some(key)) => (key, false),
        (None, None) => return Err(PolicyError::UnknownEncryption),
    };
    let Some(arn) = arn.strip_prefix(':').filter(|arn| !arn.is_empty()) else {
        return Err(PolicyError::KmsWithoutKey {
            algorithm: text.trim_end_matches(':').to_owned(),
        });
    };
    if region_of_key(arn).is_none() {
        return Err(PolicyError::NotAKmsKey { arn: arn.to_owned() });
    }
    Ok(Some(ExplicitEncryption::Kms(KmsEncryption {
        key_arn: Some(arn.to_owned()),
        // A bucket key saves nearly all requests to KMS; dual-layer encryption does not support it.
        //
        // https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-key.html
        bucket_key: !dual_layer,
        dual_layer,
    })))
}

/// Checks that the KMS key of copies is in the region of the destination bucket.
pub fn destination_encryption_must_be_in(
    encryption: Option<&ExplicitEncryption>,
    destination: &Region,
) -> Result<(), PolicyError> {
    match encryption {
        Some(ExplicitEncryption::Kms(KmsEncryption { key_arn: Some(arn), .. })) => {
            kms_key_must_be_in(arn, destination, SideName::Destination)
        }
        _ => Ok(()),
    }
}

/// Who writes to the destination before the cutover.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ownership {
    /// Only s3ferry writes: the destination follows the source.
    Exclusive,
    /// Applications write, too: the newer object wins, and copies have an origin marker.
    Shared,
}

impl Ownership {
    /// Returns the value as written in environment variables and flags.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Exclusive => "exclusive",
            Self::Shared => "shared",
        }
    }

    /// Parses the value of an environment variable or flag.
    pub fn parse(value: &str) -> Result<Self, &'static str> {
        match value {
            "exclusive" => Ok(Self::Exclusive),
            "shared" => Ok(Self::Shared),
            _ => Err("allowed: exclusive, shared"),
        }
    }
}

/// Storage class of copies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StorageClassRule {
    /// The storage class of the source object.
    AsSource,
    /// One storage class for all objects.
    Fixed(String),
}

impl FromStr for StorageClassRule {
    type Err = PolicyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "source" => Ok(Self::AsSource),
            class if STORAGE_CLASSES.contains(&class) => Ok(Self::Fixed(class.to_owned())),
            _ => Err(PolicyError::UnknownStorageClass),
        }
    }
}

/// Parses the KMS keys of copies by those of their sources: a JSON object of ARNs.
pub fn kms_keys(text: &str) -> Result<KmsKeyMap, PolicyError> {
    let keys: KmsKeyMap = serde_json::from_str(text).map_err(|error| PolicyError::NotAMap {
        detail: error.to_string(),
    })?;
    let invalid = keys
        .iter()
        .flat_map(|(source, copy)| [source, copy])
        .find(|arn| region_of_key(arn).is_none());
    match invalid.cloned() {
        None => Ok(keys),
        Some(arn) => Err(PolicyError::NotAKmsKey { arn }),
    }
}

/// Checks that the KMS keys of copies are in the region of the destination bucket.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/specifying-kms-encryption.html>
pub fn kms_keys_must_be_in(keys: &KmsKeyMap, destination: &Region) -> Result<(), PolicyError> {
    keys.values()
        .try_for_each(|arn| kms_key_must_be_in(arn, destination, SideName::Destination))
}

/// Checks that a KMS key is in the region of its bucket, as S3 requires.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/specifying-kms-encryption.html>
pub fn kms_key_must_be_in(arn: &str, region: &Region, side: SideName) -> Result<(), PolicyError> {
    match region_of_key(arn) {
        None => Err(PolicyError::NotAKmsKey { arn: arn.to_owned() }),
        Some(found) if found == region.as_str() => Ok(()),
        Some(_) => Err(PolicyError::KmsKeyElsewhere {
            arn: arn.to_owned(),
            region: region.clone(),
            side,
        }),
    }
}

/// Returns the region in the ARN of a KMS key; `None` if the text is not such an ARN.
fn region_of_key(arn: &str) -> Option<&str> {
    let fields: Vec<&str> = arn.splitn(6, ':').collect();
    let [arn, partition, service, region, account, resource] = *fields else {
        return None;
    };
    let id = resource.strip_prefix("key/")?;
    let is_id = !id.is_empty() && id.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '-');
    let is_key = arn == "arn" && partition.starts_with("aws") && service == "kms" && is_id;
    (is_key && AccountId::new(account).is_ok() && Region::new(region).is_ok()).then_some(region)
}

/// Which multipart objects have their `ETag` preserved by a copy with the same parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PreserveEtag {
    /// Objects above the threshold, which are copied by a multipart copy anyway. Also objects whose copy could only
    /// be verified as equal with the same parts, because they store no full-object checksum.
    Large,
    /// All objects: a multipart object is copied with its parts, and any other object with a single request if S3
    /// allows that.
    Always,
}

/// Whether copies get the grants of the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AclRule {
    /// Copies get the bucket's default.
    Ignore,
    /// Copies get the source's explicit grants, if both buckets have access control lists.
    Copy,
}

/// Parses a boolean of an environment variable or flag.
pub fn boolean(value: &str) -> Result<bool, &'static str> {
    value.parse().map_err(|_| "allowed: true, false")
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "arn:aws:kms:eu-central-1:123456789012:key/mrk-1234abcd";

    #[test]
    fn storage_class_that_copies_cannot_have_is_refused() {
        assert_eq!("source".parse(), Ok(StorageClassRule::AsSource));
        let fixed = StorageClassRule::Fixed("GLACIER_IR".to_owned());
        assert_eq!("GLACIER_IR".parse(), Ok(fixed));
        for text in ["CHEAP", "OUTPOSTS", "standard", ""] {
            let error = text.parse::<StorageClassRule>().unwrap_err().to_string();
            assert!(error.starts_with("allowed: source, STANDARD, STANDARD_IA"), "{error}");
        }
    }

    #[test]
    fn kms_key_map_accepts_only_key_arns() {
        let keys = kms_keys(&format!("{{\"{KEY}\":\"{KEY}\"}}")).unwrap();
        assert_eq!(keys, KmsKeyMap::from([(KEY.to_owned(), KEY.to_owned())]));
        assert!(kms_keys("{}").unwrap().is_empty());
        for (text, expected) in [
            ("[]", "must be a JSON object"),
            ("{\"alias/a\":\"alias/b\"}", "`alias/a` is not the ARN of a KMS key"),
            (
                "{\"arn:aws:kms:eu-central-1:12:key/a\":\"b\"}",
                "is not the ARN of a KMS key",
            ),
        ] {
            let error = kms_keys(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn destination_encryption_is_parsed_and_requires_the_arn_of_its_key() {
        let kms = |dual_layer: bool| {
            ExplicitEncryption::Kms(KmsEncryption {
                key_arn: Some(KEY.to_owned()),
                bucket_key: !dual_layer,
                dual_layer,
            })
        };
        for (text, expected) in [
            ("bucket-default".to_owned(), None),
            ("AES256".to_owned(), Some(ExplicitEncryption::Managed)),
            (format!("aws:kms:{KEY}"), Some(kms(false))),
            (format!("aws:kms:dsse:{KEY}"), Some(kms(true))),
        ] {
            assert_eq!(destination_encryption(&text), Ok(expected), "{text}");
        }
        for (text, expected) in [
            ("aes256", "allowed: bucket-default, AES256, aws:kms:KEY_ARN"),
            ("", "allowed: bucket-default"),
            ("aws:kms", "needs the ARN of a KMS key, as in aws:kms:arn:aws:kms:"),
            ("aws:kms:dsse:", "needs the ARN of a KMS key, as in aws:kms:dsse:arn:"),
            ("aws:kms:alias/mine", "`alias/mine` is not the ARN of a KMS key"),
        ] {
            let error = destination_encryption(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
        let elsewhere = Region::new("eu-west-1").unwrap();
        let error = destination_encryption_must_be_in(Some(&kms(true)), &elsewhere).unwrap_err();
        assert!(error.to_string().contains("is not in eu-west-1"), "{error}");
    }

    #[test]
    fn key_map_has_precedence_over_the_encryption_of_all_copies() {
        let source = Encryption::Kms(KmsEncryption {
            key_arn: Some("mapped".to_owned()),
            ..KmsEncryption::default()
        });
        let mut policy = Policy {
            kms_keys: KmsKeyMap::from([("mapped".to_owned(), KEY.to_owned())]),
            destination_encryption: Some(ExplicitEncryption::Managed),
            ..Policy::default()
        };
        assert!(policy.encrypts_with_kms(&source));
        assert_eq!(
            policy.encryption_of(&Encryption::Managed),
            Some(ExplicitEncryption::Managed)
        );
        policy.kms_keys.clear();
        assert_eq!(policy.encryption_of(&source), Some(ExplicitEncryption::Managed));
        policy.destination_encryption = None;
        assert_eq!(policy.encryption_of(&source), None);
    }

    #[test]
    fn kms_key_of_copies_in_another_region_is_refused() {
        let elsewhere = KEY.replace("eu-central-1", "us-east-1");
        let region = Region::new("eu-central-1").unwrap();
        let keys = |copy: &str| KmsKeyMap::from([(elsewhere.clone(), copy.to_owned())]);
        assert_eq!(kms_keys_must_be_in(&keys(KEY), &region), Ok(()));
        let error = kms_keys_must_be_in(&keys(&elsewhere), &region).unwrap_err();
        assert!(error.to_string().contains("is not in eu-central-1"), "{error}");
    }
}
