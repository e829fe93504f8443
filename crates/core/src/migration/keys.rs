//! The keys of a migration file: the one table that the parser, the file of `s3ferry init` and the documents share.

use std::fmt;

use crate::location::Location;
use crate::names::{AccountId, BucketName, Region};
use crate::plan::{LARGEST_PART_BYTES, SMALLEST_PART_BYTES};
use crate::policy::{StorageClassRule, destination_encryption, kms_keys};

/// The version of the file's form.
pub const SCHEMA: u64 = 1;

/// A key of a migration file. A flag with the same name, with hyphens instead of underscores, takes its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileKey {
    /// Name of the key.
    pub name: &'static str,
    /// Form of the value.
    pub kind: KeyKind,
    /// What the value describes.
    pub scope: KeyScope,
    /// Default of the commands and templates; empty if there is none.
    pub default: &'static str,
    /// Example of a value, as TOML.
    pub example: &'static str,
    /// Meaning, in one or two sentences.
    pub meaning: &'static str,
}

/// The form of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// Name of a migration.
    Name,
    /// Bucket with a prefix.
    Location,
    /// AWS region.
    Region,
    /// AWS account.
    Account,
    /// Bucket without a prefix.
    Bucket,
    /// Name of a CloudFormation stack.
    Stack,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// `true` or `false`.
    Boolean,
    /// Whole number within these limits.
    Integer(u64, u64),
    /// Storage class of copies.
    StorageClass,
    /// Encryption of copies.
    Encryption,
    /// ARN of a KMS key.
    KmsKey,
    /// Table of source key to destination key.
    KmsKeyMap,
    /// E-mail address.
    Email,
}

/// What a value describes. A value is not used for another bucket that a flag names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyScope {
    /// The source bucket.
    Source,
    /// The destination bucket.
    Destination,
    /// Both buckets, or what was created for both.
    Pair,
    /// How objects are copied.
    Copies,
}

impl KeyKind {
    /// Returns what a value is in TOML.
    #[must_use]
    pub fn toml_type(self) -> &'static str {
        match self {
            Self::Boolean => "true or false",
            Self::Integer(..) => "a number",
            Self::KmsKeyMap => "a table of key ARNs",
            _ => "a string",
        }
    }

    /// Checks a value; the error says what is allowed.
    pub fn check(self, text: &str) -> Result<(), String> {
        match self {
            Self::Name => named(
                text,
                char::is_ascii_alphanumeric,
                "._-",
                "letters, digits and the characters . _ -",
            ),
            Self::Stack => named(
                text,
                char::is_ascii_alphabetic,
                "-",
                "letters, digits and hyphens, a letter first",
            ),
            Self::Location => valid(text.parse::<Location>()),
            Self::Region => valid(Region::new(text)),
            Self::Account => valid(AccountId::new(text)),
            Self::Bucket => valid(BucketName::new(text)),
            Self::OneOf(allowed) if allowed.contains(&text) => Ok(()),
            Self::OneOf(allowed) => Err(format!("allowed: {}", allowed.join(", "))),
            Self::Boolean => text
                .parse::<bool>()
                .map(drop)
                .map_err(|_| "allowed: true, false".to_owned()),
            Self::Integer(least, most) => match text.parse::<u64>() {
                Ok(number) if (least..=most).contains(&number) => Ok(()),
                _ => Err(format!("allowed: {least} to {most}")),
            },
            Self::StorageClass => valid(text.parse::<StorageClassRule>()),
            Self::Encryption => valid(destination_encryption(text)),
            Self::KmsKey => valid(destination_encryption(&format!("aws:kms:{text}"))),
            Self::KmsKeyMap => valid(kms_keys(text)),
            Self::Email => match text.split_once('@') {
                Some((name, domain)) if !name.is_empty() && domain.contains('.') && !text.contains(' ') => Ok(()),
                _ => Err("must be an e-mail address".to_owned()),
            },
        }
    }
}

fn valid<T, E: fmt::Display>(parsed: Result<T, E>) -> Result<(), String> {
    parsed.map(drop).map_err(|error| error.to_string())
}

fn named(text: &str, begins: impl Fn(&char) -> bool, others: &str, allowed: &str) -> Result<(), String> {
    let is_allowed = |letter: char| letter.is_ascii_alphanumeric() || others.contains(letter);
    // The limit of CloudFormation for the names of stacks.
    let fits = text.len() <= 128 && text.chars().next().is_some_and(|first| begins(&first));
    if fits && text.chars().all(is_allowed) {
        return Ok(());
    }
    Err(format!("must be 1 to 128 {allowed}"))
}

const fn key(
    name: &'static str,
    kind: KeyKind,
    scope: KeyScope,
    default: &'static str,
    example: &'static str,
    meaning: &'static str,
) -> FileKey {
    FileKey {
        name,
        kind,
        scope,
        default,
        example,
        meaning,
    }
}

/// The keys, in the order of the file.
pub const KEYS: &[FileKey] = &[
    key(
        "name",
        KeyKind::Name,
        KeyScope::Pair,
        "",
        "\"photos\"",
        "Name of the migration, for --name and reports. Required in a file with several migrations.",
    ),
    key(
        "source",
        KeyKind::Location,
        KeyScope::Source,
        "",
        "\"s3://photos-us/images/\"",
        "Bucket to copy from, with an optional prefix. Required.",
    ),
    key(
        "source_region",
        KeyKind::Region,
        KeyScope::Source,
        "",
        "\"us-east-1\"",
        "Region of the source bucket, and of the source stack. Detected if the bucket exists.",
    ),
    key(
        "source_bucket_owner",
        KeyKind::Account,
        KeyScope::Source,
        "",
        "\"111122223333\"",
        "Account that must own the source bucket. S3 refuses requests to another account's bucket.",
    ),
    key(
        "destination",
        KeyKind::Location,
        KeyScope::Destination,
        "",
        "\"s3://photos-eu/images/\"",
        "Bucket to copy to, with the same prefix as the source. Required.",
    ),
    key(
        "destination_region",
        KeyKind::Region,
        KeyScope::Destination,
        "",
        "\"eu-central-1\"",
        "Region of the destination bucket, and of the destination stack. Detected if the bucket exists.",
    ),
    key(
        "destination_bucket_owner",
        KeyKind::Account,
        KeyScope::Destination,
        "",
        "\"111122223333\"",
        "Account that must own the destination bucket.",
    ),
    key(
        "create_destination_bucket",
        KeyKind::Boolean,
        KeyScope::Destination,
        "true",
        "false",
        "Whether the destination stack creates the destination bucket, or uses an existing one.",
    ),
    key(
        "stack",
        KeyKind::Stack,
        KeyScope::Pair,
        "",
        "\"s3ferry-source\"",
        "Name of the source stack (infra/source.yaml). Set it if you deploy the stack: verify then checks its queues.",
    ),
    key(
        "destination_stack",
        KeyKind::Stack,
        KeyScope::Pair,
        "",
        "\"s3ferry-destination\"",
        "Name of the destination stack (infra/destination.yaml).",
    ),
    key(
        "state_bucket",
        KeyKind::Bucket,
        KeyScope::Pair,
        "",
        "\"s3ferry-source-state\"",
        "Bucket for the journal of multipart copies, the stack output StateBucketName. In the source's region.",
    ),
    key(
        "state_bucket_owner",
        KeyKind::Account,
        KeyScope::Pair,
        "",
        "\"111122223333\"",
        "Account that must own the bucket of manifests and job reports, if it is not the source's account.",
    ),
    key(
        "replication_engine",
        KeyKind::OneOf(&["lambda", "crr", "both"]),
        KeyScope::Copies,
        "lambda",
        "\"lambda\"",
        "What copies new writes: the replicator function, S3 replication (CRR), or both.",
    ),
    key(
        "event_source",
        KeyKind::OneOf(&["queue", "eventbridge"]),
        KeyScope::Copies,
        "queue",
        "\"queue\"",
        "How the replicator gets events: from the bucket's notifications, or from EventBridge.",
    ),
    key(
        "ownership",
        KeyKind::OneOf(&["exclusive", "shared"]),
        KeyScope::Copies,
        "exclusive",
        "\"exclusive\"",
        "Who writes to the destination before the cutover: only s3ferry (exclusive), or applications too (shared).",
    ),
    key(
        "propagate_deletes",
        KeyKind::Boolean,
        KeyScope::Copies,
        "false",
        "false",
        "Whether the replicator deletes at the destination what is deleted, or expires, at the source.",
    ),
    key(
        "storage_class",
        KeyKind::StorageClass,
        KeyScope::Copies,
        "source",
        "\"source\"",
        "Storage class of copies; source keeps the class of each object.",
    ),
    key(
        "destination_encryption",
        KeyKind::Encryption,
        KeyScope::Copies,
        "bucket-default",
        "\"bucket-default\"",
        "Encryption that copies request: bucket-default, AES256, aws:kms:KEY_ARN or aws:kms:dsse:KEY_ARN.",
    ),
    key(
        "kms_key_map",
        KeyKind::KmsKeyMap,
        KeyScope::Copies,
        "",
        "{ \"arn:aws:kms:us-east-1:111122223333:key/1a\" = \"arn:aws:kms:eu-central-1:111122223333:key/2b\" }",
        "KMS keys of copies, by the key of the source object. Has priority over destination_encryption.",
    ),
    key(
        "source_kms_key_arn",
        KeyKind::KmsKey,
        KeyScope::Copies,
        "",
        "\"arn:aws:kms:us-east-1:111122223333:key/1a\"",
        "KMS key of the source objects, which the source stack's roles may use.",
    ),
    key(
        "destination_kms_key_arn",
        KeyKind::KmsKey,
        KeyScope::Copies,
        "",
        "\"arn:aws:kms:eu-central-1:111122223333:key/2b\"",
        "KMS key that the destination bucket encrypts with by default.",
    ),
    key(
        "preserve_etag",
        KeyKind::OneOf(&["large", "always"]),
        KeyScope::Copies,
        "large",
        "\"large\"",
        "Which multipart objects keep their ETag: those copied with multipart copy anyway (large), or all (always).",
    ),
    key(
        "acl",
        KeyKind::OneOf(&["ignore", "copy"]),
        KeyScope::Copies,
        "ignore",
        "\"ignore\"",
        "Whether explicit grants are copied. With copy, verify compares them.",
    ),
    key(
        "multipart_threshold_bytes",
        KeyKind::Integer(SMALLEST_PART_BYTES, LARGEST_PART_BYTES),
        KeyScope::Copies,
        "5368709120",
        "1073741824",
        "Size above which objects are copied with multipart copy.",
    ),
    key(
        "part_size_bytes",
        KeyKind::Integer(SMALLEST_PART_BYTES, LARGEST_PART_BYTES),
        KeyScope::Copies,
        "134217728",
        "134217728",
        "Part size, if the source object has no parts to follow.",
    ),
    key(
        "max_concurrent_parts",
        KeyKind::Integer(1, 256),
        KeyScope::Copies,
        "16",
        "16",
        "Largest number of concurrent parts of one object.",
    ),
    key(
        "alarm_email",
        KeyKind::Email,
        KeyScope::Pair,
        "",
        "\"ops@example.com\"",
        "Address for the alarms of the source stack. You must confirm the subscription.",
    ),
];

/// Finds a key by its name.
#[must_use]
pub fn find_key(name: &str) -> Option<&'static FileKey> {
    KEYS.iter().find(|key| key.name == name)
}

/// Returns the candidate that is most similar to a name, if one is similar enough to be meant.
pub fn closest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let normal = |name: &str| name.to_ascii_lowercase().replace(['-', ' '], "_");
    let name = normal(name);
    let scored = candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(&name, &normal(candidate)), candidate));
    let best = scored.max_by(|one, other| one.0.total_cmp(&other.0))?;
    // As in clap, which suggests flags above 0.7 and warns that lower values are noise.
    (best.0 > 0.8).then_some(best.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_and_defaults_are_allowed_values() {
        for key in KEYS {
            assert!(key.meaning.ends_with('.'), "{}", key.name);
            if !key.default.is_empty() {
                assert_eq!(key.kind.check(key.default), Ok(()), "{}", key.name);
            }
        }
    }

    #[test]
    fn similar_names_are_suggested_and_others_not() {
        let names = || KEYS.iter().map(|key| key.name);
        for (name, expected) in [
            ("sources", Some("source")),
            ("source-region", Some("source_region")),
            ("Ownership", Some("ownership")),
            ("propagate_delete", Some("propagate_deletes")),
            ("bandwidth", None),
        ] {
            assert_eq!(closest(name, names()), expected, "{name}");
        }
    }
}
