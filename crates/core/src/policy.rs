//! What the team decided once for the whole migration.

use std::collections::BTreeMap;
use std::str::FromStr;

use crate::diff::SideName;
use crate::encryption::asked_for;
use crate::facts::{Encryption, ExplicitEncryption, KmsEncryption};
use crate::names::{AccountId, ObjectKey, Region};

/// The storage classes that `CopyObject` takes in an AWS region.
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

/// Which KMS key a copy gets, by the ARN of the source object's key.
pub type KmsKeyMap = BTreeMap<String, String>;

/// Says why a text is no setting of the policy, in words that follow the setting's name and value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// Nothing that copies can be stored in.
    #[error("allowed: source, {}", STORAGE_CLASSES.join(", "))]
    UnknownStorageClass,
    /// Not a map.
    #[error("must be a JSON object such as {{\"source key ARN\":\"destination key ARN\"}}: {detail}")]
    NotAMap {
        /// What the parser says.
        detail: String,
    },
    /// S3 names keys by their ARN, never by an alias.
    #[error(
        "`{arn}` is not the ARN of a KMS key, which is like arn:aws:kms:eu-central-1:123456789012:key/1234abcd (and \
         not an alias)"
    )]
    NotAKmsKey {
        /// What was given.
        arn: String,
    },
    /// Not a way in which S3 encrypts.
    #[error("allowed: bucket-default, AES256, aws:kms:KEY_ARN, aws:kms:dsse:KEY_ARN")]
    UnknownEncryption,
    /// The default key of a service is of one region and of no use to other accounts, so a key is always named.
    #[error("needs the ARN of a KMS key, as in {algorithm}:arn:aws:kms:eu-central-1:123456789012:key/1234abcd")]
    KmsWithoutKey {
        /// How S3 is to encrypt.
        algorithm: String,
    },
    /// S3 encrypts with keys of the bucket's own region only.
    #[error("`{arn}` is not in {region}, the region of the {} bucket", .side.as_str())]
    KmsKeyElsewhere {
        /// The key.
        arn: String,
        /// Where it should be.
        region: Region,
        /// The bucket that it is of.
        side: SideName,
    },
}

/// What the team decided once for the whole migration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Only keys that begin with this are in scope; empty means all.
    pub key_prefix: String,
    /// Who writes to the destination until the cutover.
    pub ownership: Ownership,
    /// In shared mode, an object without a marker that is equal to the source's counts as a copy that was made before there
    /// were markers: it gets one.
    pub adopts_equal_objects: bool,
    /// What is gone at the source goes at the destination.
    pub propagate_deletes: bool,
    /// The storage class of copies.
    pub storage_class: StorageClassRule,
    /// Which KMS key a copy gets, by the ARN of the source object's key.
    pub kms_keys: KmsKeyMap,
    /// How all other copies are encrypted; by the bucket's default if `None`.
    pub destination_encryption: Option<ExplicitEncryption>,
    /// Objects larger than this are copied in parts.
    pub multipart_threshold_bytes: u64,
    /// How large parts are where the source gives no boundaries.
    pub part_size_bytes: u64,
    /// When the `ETag` of an object that was uploaded in parts is kept.
    pub preserve_etag: PreserveEtag,
    /// What happens to access control lists.
    pub acl: AclRule,
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
        }
    }
}

impl Policy {
    /// Tells whether a key is in scope.
    #[must_use]
    pub fn covers(&self, key: &ObjectKey) -> bool {
        key.as_str().starts_with(&self.key_prefix)
    }

    /// Returns the encryption that a copy asks for, of an object that is encrypted like `source`: the key map goes before
    /// the encryption for all copies.
    #[must_use]
    pub fn encryption_of(&self, source: &Encryption) -> Option<ExplicitEncryption> {
        asked_for(&self.kms_keys, self.destination_encryption.as_ref(), source)
    }

    /// Tells whether a copy asks for a KMS key, so that its `ETag` says nothing of the content.
    #[must_use]
    pub fn encrypts_with_kms(&self, source: &Encryption) -> bool {
        matches!(self.encryption_of(source), Some(ExplicitEncryption::Kms(_)))
    }
}

/// Reads how copies are encrypted: `bucket-default`, `AES256`, `aws:kms:` or `aws:kms:dsse:` and the ARN of a key.
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
        // It saves nearly all requests to KMS; there is none with two layers.
        // https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-key.html
        bucket_key: !dual_layer,
        dual_layer,
    })))
}

/// Checks that the key that copies are encrypted with is in the region of the destination bucket.
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

/// Who writes to the destination until the cutover.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ownership {
    /// Only s3ferry: the source is the truth.
    Exclusive,
    /// Applications too: the newer object wins, and copies carry a marker of their origin.
    Shared,
}

impl Ownership {
    /// Returns the value of variables and arguments.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Exclusive => "exclusive",
            Self::Shared => "shared",
        }
    }

    /// Reads the value of a variable or an argument.
    pub fn parse(value: &str) -> Result<Self, &'static str> {
        match value {
            "exclusive" => Ok(Self::Exclusive),
            "shared" => Ok(Self::Shared),
            _ => Err("allowed: exclusive, shared"),
        }
    }
}

/// Which storage class a copy gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StorageClassRule {
    /// Each object keeps the class it has at the source.
    AsSource,
    /// All objects get this class.
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

/// Reads the KMS keys of copies by those of their sources: a JSON object of ARNs.
pub fn kms_keys(text: &str) -> Result<KmsKeyMap, PolicyError> {
    let keys: KmsKeyMap = serde_json::from_str(text).map_err(|error| PolicyError::NotAMap {
        detail: error.to_string(),
    })?;
    let stranger = keys
        .iter()
        .flat_map(|(source, copy)| [source, copy])
        .find(|arn| region_of_key(arn).is_none());
    match stranger.cloned() {
        None => Ok(keys),
        Some(arn) => Err(PolicyError::NotAKmsKey { arn }),
    }
}

/// Checks that the keys of copies are in the region of the destination bucket.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/specifying-kms-encryption.html>
pub fn kms_keys_must_be_in(keys: &KmsKeyMap, destination: &Region) -> Result<(), PolicyError> {
    keys.values()
        .try_for_each(|arn| kms_key_must_be_in(arn, destination, SideName::Destination))
}

/// Checks that a key is in the region of its bucket: S3 uses no other.
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

/// Finds the region in the ARN of a KMS key.
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

/// When the `ETag` of an object that was uploaded in parts is kept by copying it in the same parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PreserveEtag {
    /// For objects above the threshold, which are copied in parts anyway, and for those whose copy could not be told
    /// equal without the same parts: they store no checksum over the whole content.
    Large,
    /// For all objects: what was uploaded in parts is copied in its parts, and what was not is copied in one request
    /// wherever S3 allows that.
    Always,
}

/// What happens to access control lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AclRule {
    /// A copy gets the bucket's default.
    Ignore,
    /// Explicit grants are restated, where both buckets have access control lists at all.
    Copy,
}

/// Reads a yes or no as variables and arguments spell it.
pub fn boolean(value: &str) -> Result<bool, &'static str> {
    value.parse().map_err(|_| "allowed: true, false")
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "arn:aws:kms:eu-central-1:123456789012:key/mrk-1234abcd";

    #[test]
    fn storage_class_is_one_that_copies_can_have() {
        assert_eq!("source".parse(), Ok(StorageClassRule::AsSource));
        let fixed = StorageClassRule::Fixed("GLACIER_IR".to_owned());
        assert_eq!("GLACIER_IR".parse(), Ok(fixed));
        for text in ["CHEAP", "OUTPOSTS", "standard", ""] {
            let error = text.parse::<StorageClassRule>().unwrap_err().to_string();
            assert!(error.starts_with("allowed: source, STANDARD, STANDARD_IA"), "{error}");
        }
    }

    #[test]
    fn kms_keys_are_named_by_their_arns() {
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
    fn encryption_of_copies_is_the_default_or_names_its_key() {
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
    fn key_map_goes_before_the_encryption_of_all_copies() {
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
    fn keys_of_copies_are_in_the_region_of_the_destination() {
        let elsewhere = KEY.replace("eu-central-1", "us-east-1");
        let region = Region::new("eu-central-1").unwrap();
        let keys = |copy: &str| KmsKeyMap::from([(elsewhere.clone(), copy.to_owned())]);
        assert_eq!(kms_keys_must_be_in(&keys(KEY), &region), Ok(()));
        let error = kms_keys_must_be_in(&keys(&elsewhere), &region).unwrap_err();
        assert!(error.to_string().contains("is not in eu-central-1"), "{error}");
    }
}
