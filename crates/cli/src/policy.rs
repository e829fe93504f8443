//! The policy of a migration, as flags.

use clap::{Args, ValueEnum};
use s3ferry_core::encryption::EncryptionRules;
use s3ferry_core::facts::ExplicitEncryption;
use s3ferry_core::names::Region;
use s3ferry_core::plan::{COPY_OBJECT_LIMIT_BYTES, DEFAULT_PART_BYTES, LARGEST_PART_BYTES, SMALLEST_PART_BYTES};
use s3ferry_core::policy::{
    AclRule, KmsKeyMap, Ownership, Policy, PolicyError, PreserveEtag, StorageClassRule, destination_encryption,
    destination_encryption_must_be_in, kms_keys, kms_keys_must_be_in,
};

use crate::exit::CliError;

/// How objects are copied.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(next_help_heading = "Copying")]
pub struct PolicyArgs {
    /// Who writes to the destination: only s3ferry, or applications too
    #[arg(long, value_enum, value_name = "MODE", default_value_t = OwnershipArg::Exclusive)]
    pub ownership: OwnershipArg,
    /// Storage class of copies; `source` keeps that of each object
    #[arg(long, value_name = "CLASS", default_value = "source", value_parser = str::parse::<StorageClassRule>)]
    pub storage_class: StorageClassRule,
    /// How copies are encrypted.
    #[command(flatten)]
    pub encryption: EncryptionArgs,
    /// Size above which objects are copied by multipart copy
    #[arg(long, value_name = "BYTES", default_value_t = COPY_OBJECT_LIMIT_BYTES,
        value_parser = clap::value_parser!(u64).range(SMALLEST_PART_BYTES..=LARGEST_PART_BYTES))]
    pub multipart_threshold_bytes: u64,
    /// Part size, if the source object has no parts to follow
    #[arg(long, value_name = "BYTES", default_value_t = DEFAULT_PART_BYTES,
        value_parser = clap::value_parser!(u64).range(SMALLEST_PART_BYTES..=LARGEST_PART_BYTES))]
    pub part_size_bytes: u64,
    /// Largest number of concurrent parts of one object
    #[arg(long, value_name = "NUMBER", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub max_concurrent_parts: u16,
    /// Which multipart objects keep their ETag
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = PreserveEtagArg::Large)]
    pub preserve_etag: PreserveEtagArg,
    /// Whether explicit grants are copied
    #[arg(long, value_enum, value_name = "RULE", default_value_t = AclArg::Ignore)]
    pub acl: AclArg,
}

/// How copies are encrypted.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct EncryptionArgs {
    /// KMS keys of copies, as JSON: {"source key ARN":"destination key ARN"}
    #[arg(long, value_name = "JSON", value_parser = kms_keys)]
    pub kms_key_map: Option<KmsKeyMap>,
    /// Encryption of other copies: bucket-default, AES256, aws:kms:KEY_ARN or aws:kms:dsse:KEY_ARN
    #[expect(clippy::doc_markdown, reason = "the help shows it as it is")]
    #[arg(long, value_name = "ENCRYPTION", default_value = "bucket-default", value_parser = encryption)]
    pub destination_encryption: EncryptionArg,
}

impl EncryptionArgs {
    /// Checks what one flag alone does not show.
    pub fn check(&self, destination: &Region) -> Result<(), CliError> {
        let mapped = self.kms_key_map.as_ref();
        let mapped = mapped.map_or(Ok(()), |keys| kms_keys_must_be_in(keys, destination));
        let explicit = destination_encryption_must_be_in(self.destination_encryption.0.as_ref(), destination);
        for (flag, checked) in [("--kms-key-map", mapped), ("--destination-encryption", explicit)] {
            checked.map_err(|error| {
                CliError::usage(
                    format!("{flag}: {error}"),
                    "name a key of that region: S3 encrypts with no other",
                )
            })?;
        }
        Ok(())
    }

    /// Returns what is expected of copies, beside the bucket's default encryption.
    #[must_use]
    pub fn rules(&self, bucket_default: Option<ExplicitEncryption>) -> EncryptionRules {
        EncryptionRules {
            kms_keys: self.kms_key_map.clone().unwrap_or_default(),
            explicit: self.destination_encryption.0.clone(),
            bucket_default,
        }
    }
}

/// How copies are encrypted; by the bucket's default if nothing is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncryptionArg(pub Option<ExplicitEncryption>);

fn encryption(text: &str) -> Result<EncryptionArg, PolicyError> {
    destination_encryption(text).map(EncryptionArg)
}

/// Who writes to the destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OwnershipArg {
    /// Only s3ferry: the destination follows the source
    Exclusive,
    /// Applications too: the newer object wins
    Shared,
}

impl From<OwnershipArg> for Ownership {
    fn from(ownership: OwnershipArg) -> Self {
        match ownership {
            OwnershipArg::Exclusive => Self::Exclusive,
            OwnershipArg::Shared => Self::Shared,
        }
    }
}

/// Which multipart objects keep their ETag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PreserveEtagArg {
    /// Those above the threshold, and those without a full-object checksum
    Large,
    /// All multipart objects
    Always,
}

/// Whether explicit grants are copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AclArg {
    /// Copies get the bucket's default
    Ignore,
    /// Copies get the explicit grants of the source
    Copy,
}

impl PolicyArgs {
    /// Checks what one flag alone does not show.
    pub fn check(&self, destination: &Region) -> Result<(), CliError> {
        self.encryption.check(destination)
    }

    /// Returns who writes to the destination.
    #[must_use]
    pub fn ownership(&self) -> Ownership {
        match self.ownership {
            OwnershipArg::Exclusive => Ownership::Exclusive,
            OwnershipArg::Shared => Ownership::Shared,
        }
    }

    /// Returns the policy for keys that begin with `key_prefix`.
    #[must_use]
    pub fn policy(&self, key_prefix: &str, propagate_deletes: bool) -> Policy {
        Policy {
            key_prefix: key_prefix.to_owned(),
            ownership: self.ownership(),
            adopts_equal_objects: false,
            propagate_deletes,
            storage_class: self.storage_class.clone(),
            kms_keys: self.encryption.kms_key_map.clone().unwrap_or_default(),
            destination_encryption: self.encryption.destination_encryption.0.clone(),
            multipart_threshold_bytes: self.multipart_threshold_bytes,
            part_size_bytes: self.part_size_bytes,
            preserve_etag: match self.preserve_etag {
                PreserveEtagArg::Large => PreserveEtag::Large,
                PreserveEtagArg::Always => PreserveEtag::Always,
            },
            acl: match self.acl {
                AclArg::Ignore => AclRule::Ignore,
                AclArg::Copy => AclRule::Copy,
            },
            dry_run: false,
        }
    }
}
