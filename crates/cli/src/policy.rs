//! The policy of a migration as it is written on a command line: the functions' variables as flags.

use std::collections::BTreeMap;

use clap::{Args, ValueEnum};
use s3ferry_core::plan::{COPY_OBJECT_LIMIT_BYTES, DEFAULT_PART_BYTES, LARGEST_PART_BYTES, SMALLEST_PART_BYTES};
use s3ferry_core::policy::{AclRule, Ownership, Policy, PreserveEtag, StorageClassRule};

/// How objects are copied.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(next_help_heading = "Copying")]
pub struct PolicyArgs {
    /// Who writes to the destination: s3ferry alone, or applications too, the newer object winning
    #[arg(long, value_enum, value_name = "MODE", default_value_t = OwnershipArg::Exclusive)]
    pub ownership: OwnershipArg,
    /// The storage class of copies: `source` keeps each object's own, or one class for all
    #[arg(long, value_name = "CLASS", default_value = "source", value_parser = StorageClassRule::parse)]
    pub storage_class: StorageClassRule,
    /// Which KMS key copies get, as JSON: {"source key ARN":"destination key ARN"}
    #[arg(long, value_name = "JSON", value_parser = kms_key_map)]
    pub kms_key_map: Option<KmsKeys>,
    /// Larger objects are copied in parts
    #[arg(long, value_name = "BYTES", default_value_t = COPY_OBJECT_LIMIT_BYTES,
        value_parser = clap::value_parser!(u64).range(SMALLEST_PART_BYTES..=LARGEST_PART_BYTES))]
    pub multipart_threshold_bytes: u64,
    /// How large parts are where the source gives no boundaries
    #[arg(long, value_name = "BYTES", default_value_t = DEFAULT_PART_BYTES,
        value_parser = clap::value_parser!(u64).range(SMALLEST_PART_BYTES..=LARGEST_PART_BYTES))]
    pub part_size_bytes: u64,
    /// How many parts of one object are copied at once
    #[arg(long, value_name = "NUMBER", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub max_concurrent_parts: u16,
    /// When the ETag of an object that was uploaded in parts is kept: above the threshold, or always
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = PreserveEtagArg::Large)]
    pub preserve_etag: PreserveEtagArg,
    /// What happens to access control lists
    #[arg(long, value_enum, value_name = "RULE", default_value_t = AclArg::Ignore)]
    pub acl: AclArg,
}

/// Which KMS key a copy gets, by the key of its source.
pub type KmsKeys = BTreeMap<String, String>;

/// Who writes to the destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OwnershipArg {
    /// s3ferry alone: the source is the truth
    Exclusive,
    /// Applications too: the newer object wins
    Shared,
}

/// When the tag of a multipart object is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PreserveEtagArg {
    /// For objects above the threshold
    Large,
    /// For all objects
    Always,
}

/// What happens to access control lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AclArg {
    /// Copies get the bucket's default
    Ignore,
    /// Explicit grants are restated
    Copy,
}

impl PolicyArgs {
    /// Makes the policy for keys that begin with `key_prefix`.
    #[must_use]
    pub fn policy(&self, key_prefix: &str, propagate_deletes: bool) -> Policy {
        Policy {
            key_prefix: key_prefix.to_owned(),
            ownership: match self.ownership {
                OwnershipArg::Exclusive => Ownership::Exclusive,
                OwnershipArg::Shared => Ownership::Shared,
            },
            propagate_deletes,
            storage_class: self.storage_class.clone(),
            kms_keys: self.kms_key_map.clone().unwrap_or_default(),
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
        }
    }
}

fn kms_key_map(text: &str) -> Result<KmsKeys, String> {
    let keys: KmsKeys = serde_json::from_str(text).map_err(|error| {
        format!("must be a JSON object such as {{\"source key ARN\":\"destination key ARN\"}}: {error}")
    })?;
    let is_key = |arn: &str| {
        let fields: Vec<&str> = arn.splitn(6, ':').collect();
        matches!(fields.as_slice(), ["arn", _, "kms", _, _, resource] if resource.starts_with("key/"))
    };
    let arns = keys.iter().flat_map(|(source, copy)| [source, copy]);
    if let Some(arn) = arns.into_iter().find(|arn| !is_key(arn)) {
        return Err(format!(
            "`{arn}` is not the ARN of a KMS key, which is like \
             arn:aws:kms:eu-central-1:123456789012:key/1234abcd (and not an alias)"
        ));
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn storage_class_is_one_that_exists() {
        assert_eq!(StorageClassRule::parse("source"), Ok(StorageClassRule::AsSource));
        assert_eq!(
            StorageClassRule::parse("GLACIER_IR"),
            Ok(StorageClassRule::Fixed("GLACIER_IR".into()))
        );
        assert!(
            StorageClassRule::parse("CHEAP")
                .unwrap_err()
                .contains("allowed: source, STANDARD")
        );
    }

    #[test]
    fn kms_keys_are_named_by_their_arns() {
        let arn = "arn:aws:kms:eu-central-1:123456789012:key/1234abcd";
        assert_eq!(kms_key_map(&format!("{{\"{arn}\":\"{arn}\"}}")).unwrap().len(), 1);
        assert!(kms_key_map("[]").is_err());
        assert!(
            kms_key_map("{\"alias/a\":\"alias/b\"}")
                .unwrap_err()
                .contains("`alias/a` is not the ARN")
        );
    }
}
