//! Configuration of `replicator` and `final-sync`, read once from the environment.

use std::fmt;

use s3ferry_aws::settings::{endpoint_url, log_level};
use s3ferry_core::names::{AccountId, BucketName, Region};
use s3ferry_core::plan::{COPY_OBJECT_LIMIT_BYTES, DEFAULT_PART_BYTES, LARGEST_PART_BYTES, SMALLEST_PART_BYTES};
use s3ferry_core::policy::{
    AclRule, KmsKeyMap, Ownership, Policy, PolicyError, PreserveEtag, StorageClassRule, boolean,
    destination_encryption, destination_encryption_must_be_in, kms_keys, kms_keys_must_be_in,
};

/// An environment variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variable {
    /// Name of the variable.
    pub name: &'static str,
    /// Whether the function requires it to start.
    pub required: bool,
    /// Value that applies if the variable is unset or empty.
    pub default: &'static str,
    /// Description, with the allowed values.
    pub meaning: &'static str,
}

const fn variable(name: &'static str, required: bool, default: &'static str, meaning: &'static str) -> Variable {
    Variable {
        name,
        required,
        default,
        meaning,
    }
}

/// All variables that s3ferry reads. Tests compare docs/CONFIGURATION.md, the templates and the code with this table.
pub const VARIABLES: &[Variable] = &[
    variable(
        "SOURCE_BUCKET",
        true,
        "",
        "Source bucket; records of other buckets are refused",
    ),
    variable("SOURCE_REGION", false, "AWS_REGION", "Region of the source bucket"),
    variable(
        "SOURCE_BUCKET_OWNER",
        false,
        "",
        "Account that must own the source bucket and the state bucket, twelve digits",
    ),
    variable("DESTINATION_BUCKET", true, "", "Destination bucket"),
    variable(
        "DESTINATION_REGION",
        true,
        "",
        "Region of the destination bucket, which receives the copy requests",
    ),
    variable(
        "DESTINATION_BUCKET_OWNER",
        false,
        "",
        "Account that must own the destination bucket, twelve digits",
    ),
    variable(
        "STATE_BUCKET",
        false,
        "",
        "Bucket for s3ferry's own state, in the source region; not the source or destination bucket. If unset, a \
         multipart copy must finish within one invocation",
    ),
    variable(
        "QUEUE_URL",
        false,
        "",
        "Queue for unfinished keys. If unset, unfinished keys fail",
    ),
    variable(
        "OWNERSHIP",
        false,
        "exclusive",
        "Who writes to the destination: `exclusive` (only s3ferry) or `shared` (applications too; the newer object \
         wins, and copies carry a marker). `shared` requires STATE_BUCKET and a versioned destination",
    ),
    variable(
        "PROPAGATE_DELETES",
        false,
        "false",
        "`true` deletes at the destination what is deleted at the source",
    ),
    variable("KEY_PREFIX", false, "", "Only keys with this prefix are copied"),
    variable(
        "STORAGE_CLASS",
        false,
        "source",
        "Storage class of copies: `source` keeps the class of each object; any other value applies to all copies",
    ),
    variable(
        "KMS_KEY_MAP",
        false,
        "",
        "KMS keys of copies: a JSON object of source key ARN to destination key ARN. DESTINATION_ENCRYPTION applies \
         to all other copies",
    ),
    variable(
        "DESTINATION_ENCRYPTION",
        false,
        "bucket-default",
        "Encryption of copies whose source key is not in KMS_KEY_MAP: `bucket-default`, `AES256`, `aws:kms:KEY_ARN` \
         or `aws:kms:dsse:KEY_ARN`. Every write sends it, except `bucket-default`",
    ),
    variable(
        "MULTIPART_THRESHOLD_BYTES",
        false,
        "5368709120",
        "Larger objects are copied with multipart copy, 5242880 to 5368709120",
    ),
    variable(
        "PART_SIZE_BYTES",
        false,
        "134217728",
        "Part size if the source has no parts or does not show them, 5242880 to 5368709120",
    ),
    variable(
        "MAX_CONCURRENT_PARTS",
        false,
        "16",
        "Concurrent part copies of one object, 1 to 256",
    ),
    variable(
        "PRESERVE_ETAG",
        false,
        "large",
        "Multipart objects that keep their ETag: `large` (those copied with multipart copy anyway, and those without \
         a full-object checksum) or `always` (all)",
    ),
    variable(
        "ACL",
        false,
        "ignore",
        "`copy` copies explicit grants if both buckets use access control lists; `ignore` does not",
    ),
    variable(
        "MAX_CONCURRENT_COPIES",
        false,
        "16",
        "Keys that one invocation reconciles concurrently, 1 to 256. All keys and parts together send at most 256 \
         concurrent requests to S3, so that connections stay below Lambda's limit of 1,024 open files",
    ),
    variable(
        "AWS_ENDPOINT_URL",
        false,
        "",
        "Endpoint of an AWS emulator, with path-style requests; the SDK reads it",
    ),
    variable(
        "LOG_LEVEL",
        false,
        "info",
        "`error`, `warn`, `info`, `debug` or `trace`",
    ),
];

/// Configuration of `replicator` or `final-sync`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Source bucket.
    pub source_bucket: BucketName,
    /// Region of the source bucket.
    pub source_region: Region,
    /// Account that must own the source bucket.
    pub source_bucket_owner: Option<AccountId>,
    /// Destination bucket.
    pub destination_bucket: BucketName,
    /// Region of the destination bucket.
    pub destination_region: Region,
    /// Account that must own the destination bucket.
    pub destination_bucket_owner: Option<AccountId>,
    /// Bucket for s3ferry's own state.
    pub state_bucket: Option<BucketName>,
    /// Queue for continuations.
    pub queue_url: Option<String>,
    /// Settings that decide how to copy.
    pub policy: Policy,
    /// Keys reconciled concurrently.
    pub max_concurrent_copies: usize,
    /// Parts of one object copied concurrently.
    pub max_concurrent_parts: usize,
    /// Log level.
    pub log_level: tracing::Level,
}

/// All problems of a configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigErrors(Vec<String>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "the configuration has {} problem(s):", self.0.len())?;
        self.0.iter().try_for_each(|problem| write!(formatter, "\n  {problem}"))
    }
}

impl Config {
    /// Reads the configuration through `lookup`, which returns the value of a variable. Returns all problems together.
    ///
    /// An empty variable counts as unset: a template cannot leave a variable out.
    pub fn from_lookup(lookup: &impl Fn(&str) -> Option<String>) -> Result<Self, ConfigErrors> {
        let mut reader = Reader {
            lookup,
            problems: Vec::new(),
        };
        let config = reader.read();
        match config {
            Some(config) if reader.problems.is_empty() => Ok(config),
            _ => Err(ConfigErrors(reader.problems)),
        }
    }
}

struct Reader<'a, L> {
    lookup: &'a L,
    problems: Vec<String>,
}

impl<L: Fn(&str) -> Option<String>> Reader<'_, L> {
    /// Reads every variable before it returns, so that no problem hides another one.
    fn read(&mut self) -> Option<Config> {
        let source_bucket = self.required("SOURCE_BUCKET", |value| BucketName::new(value));
        let source_region = self.source_region();
        let source_bucket_owner = self.optional("SOURCE_BUCKET_OWNER", |value| AccountId::new(value));
        let destination_bucket = self.required("DESTINATION_BUCKET", |value| BucketName::new(value));
        let destination_region = self.required("DESTINATION_REGION", |value| Region::new(value));
        let destination_bucket_owner = self.optional("DESTINATION_BUCKET_OWNER", |value| AccountId::new(value));
        let state_bucket = self.optional("STATE_BUCKET", |value| BucketName::new(value));
        self.distinct([
            ("SOURCE_BUCKET", source_bucket.as_ref()),
            ("DESTINATION_BUCKET", destination_bucket.as_ref()),
            ("STATE_BUCKET", state_bucket.as_ref()),
        ]);
        let queue_url = self.optional("QUEUE_URL", queue_url);
        let ownership = self.optional("OWNERSHIP", Ownership::parse);
        if ownership == Some(Ownership::Shared) && self.value("STATE_BUCKET").is_none() {
            let problem = "STATE_BUCKET is not set; OWNERSHIP=`shared` requires it";
            self.problems.push(problem.to_owned());
        }
        let propagate_deletes = self.optional("PROPAGATE_DELETES", boolean).unwrap_or(false);
        let storage_class = self
            .optional("STORAGE_CLASS", str::parse)
            .unwrap_or(StorageClassRule::AsSource);
        let kms_keys = self
            .optional("KMS_KEY_MAP", |value| kms_key_map(value, destination_region.as_ref()))
            .unwrap_or_default();
        let destination_encryption = self
            .optional("DESTINATION_ENCRYPTION", |value| {
                let encryption = destination_encryption(value)?;
                if let Some(region) = &destination_region {
                    destination_encryption_must_be_in(encryption.as_ref(), region)?;
                }
                Ok::<_, PolicyError>(encryption)
            })
            .flatten();
        let multipart_threshold_bytes = self
            .optional("MULTIPART_THRESHOLD_BYTES", part_bytes)
            .unwrap_or(COPY_OBJECT_LIMIT_BYTES);
        let part_size_bytes = self
            .optional("PART_SIZE_BYTES", part_bytes)
            .unwrap_or(DEFAULT_PART_BYTES);
        let preserve_etag = self
            .optional("PRESERVE_ETAG", preserve_etag)
            .unwrap_or(PreserveEtag::Large);
        let acl = self.optional("ACL", acl).unwrap_or(AclRule::Ignore);
        let max_concurrent_copies = self.optional("MAX_CONCURRENT_COPIES", concurrency).unwrap_or(16);
        let max_concurrent_parts = self.optional("MAX_CONCURRENT_PARTS", concurrency).unwrap_or(16);
        // The SDK ignores an endpoint that it cannot parse, and sends its requests to AWS.
        self.optional("AWS_ENDPOINT_URL", endpoint_url);
        let log_level = self.optional("LOG_LEVEL", log_level).unwrap_or(tracing::Level::INFO);
        Some(Config {
            source_bucket: source_bucket?,
            source_region: source_region?,
            source_bucket_owner,
            destination_bucket: destination_bucket?,
            destination_region: destination_region?,
            destination_bucket_owner,
            state_bucket,
            queue_url,
            policy: Policy {
                key_prefix: self.value("KEY_PREFIX").unwrap_or_default(),
                ownership: ownership.unwrap_or(Ownership::Exclusive),
                adopts_equal_objects: false,
                propagate_deletes,
                storage_class,
                kms_keys,
                destination_encryption,
                multipart_threshold_bytes,
                part_size_bytes,
                preserve_etag,
                acl,
                dry_run: false,
            },
            max_concurrent_copies,
            max_concurrent_parts,
            log_level,
        })
    }

    fn value(&self, name: &str) -> Option<String> {
        (self.lookup)(name).filter(|value| !value.is_empty())
    }

    fn required<T, E: fmt::Display>(&mut self, name: &str, parse: impl Fn(&str) -> Result<T, E>) -> Option<T> {
        if self.value(name).is_none() {
            self.problems.push(format!("{name} is not set"));
        }
        self.optional(name, parse)
    }

    fn optional<T, E: fmt::Display>(&mut self, name: &str, parse: impl Fn(&str) -> Result<T, E>) -> Option<T> {
        let value = self.value(name)?;
        match parse(&value) {
            Ok(parsed) => Some(parsed),
            Err(error) => {
                self.problems.push(format!("{name}=`{value}`: {error}"));
                None
            }
        }
    }

    fn source_region(&mut self) -> Option<Region> {
        let name = if self.value("SOURCE_REGION").is_some() {
            "SOURCE_REGION"
        } else {
            "AWS_REGION"
        };
        if self.value(name).is_none() {
            self.problems
                .push("SOURCE_REGION is not set, and neither is AWS_REGION".to_owned());
        }
        self.optional(name, |value| Region::new(value))
    }

    fn distinct(&mut self, buckets: [(&str, Option<&BucketName>); 3]) {
        for (index, (name, bucket)) in buckets.iter().enumerate() {
            for (other_name, other) in buckets.iter().skip(index + 1) {
                if let (Some(bucket), Some(other)) = (bucket, other)
                    && bucket == other
                {
                    self.problems
                        .push(format!("{name} and {other_name} are both `{bucket}`; they must differ"));
                }
            }
        }
    }
}

fn queue_url(value: &str) -> Result<String, &'static str> {
    let is_url = value.starts_with("https://") || value.starts_with("http://");
    is_url
        .then(|| value.to_owned())
        .ok_or("must be the URL of an SQS queue")
}

fn kms_key_map(value: &str, destination: Option<&Region>) -> Result<KmsKeyMap, PolicyError> {
    let keys = kms_keys(value)?;
    if let Some(destination) = destination {
        kms_keys_must_be_in(&keys, destination)?;
    }
    Ok(keys)
}

fn part_bytes(value: &str) -> Result<u64, String> {
    let allowed = SMALLEST_PART_BYTES..=LARGEST_PART_BYTES;
    let number = value.parse().ok().filter(|number| allowed.contains(number));
    number.ok_or_else(|| format!("must be a whole number from {SMALLEST_PART_BYTES} to {LARGEST_PART_BYTES}"))
}

fn preserve_etag(value: &str) -> Result<PreserveEtag, &'static str> {
    match value {
        "large" => Ok(PreserveEtag::Large),
        "always" => Ok(PreserveEtag::Always),
        _ => Err("allowed: large, always"),
    }
}

fn acl(value: &str) -> Result<AclRule, &'static str> {
    match value {
        "ignore" => Ok(AclRule::Ignore),
        "copy" => Ok(AclRule::Copy),
        _ => Err("allowed: ignore, copy"),
    }
}

fn concurrency(value: &str) -> Result<usize, &'static str> {
    let number = value.parse().ok().filter(|number| (1..=256).contains(number));
    number.ok_or("must be a whole number from 1 to 256")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use s3ferry_core::facts::ExplicitEncryption;
    use serde_json::json;

    use super::*;

    const SOURCE_KEY: &str = "arn:aws:kms:us-west-2:123456789012:key/mrk-1234abcd";
    const DESTINATION_KEY: &str = "arn:aws:kms:eu-central-1:123456789012:key/12-ab";

    const MINIMAL: &[(&str, &str)] = &[
        ("SOURCE_BUCKET", "source"),
        ("AWS_REGION", "us-east-1"),
        ("DESTINATION_BUCKET", "destination"),
        ("DESTINATION_REGION", "eu-central-1"),
    ];

    fn read(changes: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
        let lookup = |name: &str| {
            let find = |rows: &[(&str, &str)]| {
                rows.iter()
                    .find(|(row, _)| *row == name)
                    .map(|(_, value)| (*value).to_owned())
            };
            find(changes).or_else(|| find(MINIMAL))
        };
        Config::from_lookup(&lookup)
    }

    #[test]
    fn minimal_configuration_has_the_documented_defaults() {
        let config = read(&[]).unwrap();
        assert_eq!(config.source_region.as_str(), "us-east-1");
        assert_eq!(config.policy.storage_class, StorageClassRule::AsSource);
        assert_eq!(
            (config.policy.propagate_deletes, config.max_concurrent_copies),
            (false, 16)
        );
        assert_eq!(config.log_level, tracing::Level::INFO);
        assert_eq!((config.queue_url, config.source_bucket_owner), (None, None));
        assert_eq!(config.destination_bucket_owner, None);
        let default = |name| VARIABLES.iter().find(|variable| variable.name == name).unwrap().default;
        assert_eq!(default("MAX_CONCURRENT_COPIES"), "16");
        assert_eq!(default("PROPAGATE_DELETES"), "false");
        assert_eq!(default("LOG_LEVEL"), "info");
        // The defaults are those of the core.
        assert_eq!(config.policy, Policy::default());
        assert_eq!((config.max_concurrent_parts, config.state_bucket), (16, None));
        assert_eq!(default("MAX_CONCURRENT_PARTS"), "16");
        assert_eq!(
            default("MULTIPART_THRESHOLD_BYTES"),
            COPY_OBJECT_LIMIT_BYTES.to_string()
        );
        assert_eq!(default("PART_SIZE_BYTES"), DEFAULT_PART_BYTES.to_string());
        assert_eq!((default("PRESERVE_ETAG"), default("ACL")), ("large", "ignore"));
    }

    #[test]
    fn every_variable_can_be_set() {
        let config = read(&[
            ("SOURCE_REGION", "us-west-2"),
            ("SOURCE_BUCKET_OWNER", "123456789012"),
            ("DESTINATION_BUCKET_OWNER", "210987654321"),
            ("STATE_BUCKET", "state"),
            ("QUEUE_URL", "https://sqs.us-west-2.amazonaws.com/123456789012/q"),
            ("OWNERSHIP", "exclusive"),
            ("PROPAGATE_DELETES", "true"),
            ("KEY_PREFIX", "data/"),
            ("STORAGE_CLASS", "STANDARD_IA"),
            ("MAX_CONCURRENT_COPIES", "256"),
            ("KMS_KEY_MAP", &json!({ SOURCE_KEY: DESTINATION_KEY }).to_string()),
            ("DESTINATION_ENCRYPTION", "AES256"),
            ("MULTIPART_THRESHOLD_BYTES", "5242880"),
            ("PART_SIZE_BYTES", "5368709120"),
            ("MAX_CONCURRENT_PARTS", "1"),
            ("PRESERVE_ETAG", "always"),
            ("ACL", "copy"),
            ("LOG_LEVEL", "debug"),
        ])
        .unwrap();
        let keys = BTreeMap::from([(SOURCE_KEY.to_owned(), DESTINATION_KEY.to_owned())]);
        assert_eq!(config.policy.kms_keys, keys);
        assert_eq!(config.policy.destination_encryption, Some(ExplicitEncryption::Managed));
        assert_eq!(config.policy.multipart_threshold_bytes, 5_242_880);
        assert_eq!(config.policy.part_size_bytes, 5_368_709_120);
        assert_eq!(config.max_concurrent_parts, 1);
        assert_eq!(config.policy.preserve_etag, PreserveEtag::Always);
        assert_eq!(config.policy.acl, AclRule::Copy);
        assert_eq!(config.policy.ownership, Ownership::Exclusive);
        assert_eq!(config.state_bucket.unwrap().as_str(), "state");
        assert_eq!(config.source_region.as_str(), "us-west-2");
        let owners = [config.source_bucket_owner, config.destination_bucket_owner];
        assert_eq!(
            owners.map(|owner| owner.unwrap().to_string()),
            ["123456789012", "210987654321"]
        );
        assert!(config.policy.propagate_deletes);
        assert_eq!(config.policy.key_prefix, "data/");
        assert_eq!(
            config.policy.storage_class,
            StorageClassRule::Fixed("STANDARD_IA".into())
        );
        assert_eq!(config.max_concurrent_copies, 256);
        assert_eq!(config.log_level, tracing::Level::DEBUG);
    }

    #[test]
    fn all_problems_are_reported_together() {
        let errors = read(&[
            ("SOURCE_BUCKET", ""),
            ("DESTINATION_BUCKET", "no/bucket"),
            ("DESTINATION_REGION", "Frankfurt"),
            ("AWS_REGION", ""),
            ("SOURCE_BUCKET_OWNER", "12"),
            ("DESTINATION_BUCKET_OWNER", "13"),
            ("QUEUE_URL", "arn:aws:sqs:eu-west-1:1:q"),
            ("OWNERSHIP", "mine"),
            ("PROPAGATE_DELETES", "yes"),
            ("STORAGE_CLASS", "CHEAP"),
            ("MAX_CONCURRENT_COPIES", "0"),
            ("KMS_KEY_MAP", "[]"),
            ("DESTINATION_ENCRYPTION", "aws:kms"),
            ("MULTIPART_THRESHOLD_BYTES", "5242879"),
            ("PART_SIZE_BYTES", "5368709121"),
            ("MAX_CONCURRENT_PARTS", "257"),
            ("PRESERVE_ETAG", "never"),
            ("ACL", "true"),
            ("LOG_LEVEL", "verbose"),
            ("AWS_ENDPOINT_URL", "localhost:4566"),
        ])
        .unwrap_err()
        .to_string();
        for expected in [
            "SOURCE_BUCKET is not set",
            "DESTINATION_BUCKET=`no/bucket`",
            "DESTINATION_REGION=`Frankfurt`",
            "SOURCE_REGION is not set, and neither is AWS_REGION",
            "SOURCE_BUCKET_OWNER=`12`: account id `12` is not valid: twelve digits",
            "DESTINATION_BUCKET_OWNER=`13`: account id `13` is not valid: twelve digits",
            "QUEUE_URL=`arn:aws:sqs:eu-west-1:1:q`",
            "OWNERSHIP=`mine`: allowed: exclusive, shared",
            "PROPAGATE_DELETES=`yes`: allowed: true, false",
            "STORAGE_CLASS=`CHEAP`: allowed: source, STANDARD",
            "MAX_CONCURRENT_COPIES=`0`",
            "KMS_KEY_MAP=`[]`: must be a JSON object",
            "DESTINATION_ENCRYPTION=`aws:kms`: needs the ARN of a KMS key",
            "MULTIPART_THRESHOLD_BYTES=`5242879`: must be a whole number from 5242880 to 5368709120",
            "PART_SIZE_BYTES=`5368709121`: must be a whole number from 5242880 to 5368709120",
            "MAX_CONCURRENT_PARTS=`257`",
            "PRESERVE_ETAG=`never`: allowed: large, always",
            "ACL=`true`: allowed: ignore, copy",
            "LOG_LEVEL=`verbose`: allowed: error, warn, info, debug, trace",
            "AWS_ENDPOINT_URL=`localhost:4566`: must be a URL",
        ] {
            assert!(errors.contains(expected), "{expected} is not in {errors}");
        }
        assert!(errors.contains("20 problem(s)"), "{errors}");
    }

    #[test]
    fn buckets_must_differ() {
        for (name, value) in [
            ("DESTINATION_BUCKET", "source"),
            ("STATE_BUCKET", "source"),
            ("STATE_BUCKET", "destination"),
        ] {
            let errors = read(&[(name, value)]).unwrap_err().to_string();
            assert!(errors.contains("they must differ"), "{name}={value}: {errors}");
        }
    }

    #[test]
    fn shared_ownership_requires_a_state_bucket() {
        let errors = read(&[("OWNERSHIP", "shared")]).unwrap_err().to_string();
        assert!(
            errors.contains("STATE_BUCKET is not set; OWNERSHIP=`shared` requires it"),
            "{errors}"
        );
        assert!(errors.contains("1 problem(s)"), "{errors}");
        let config = read(&[("OWNERSHIP", "shared"), ("STATE_BUCKET", "state")]).unwrap();
        assert_eq!(config.policy.ownership, Ownership::Shared);
    }

    #[test]
    fn key_map_accepts_only_key_arns() {
        let other_region = "arn:aws:kms:eu-west-1:123456789012:key/12";
        for (map, expected) in [
            (
                json!({ "alias/a": DESTINATION_KEY }),
                "`alias/a` is not the ARN of a KMS key",
            ),
            (
                json!({ SOURCE_KEY: "arn:aws:kms:eu-central-1:123456789012:alias/a" }),
                "is not the ARN of a KMS key",
            ),
            (
                json!({ SOURCE_KEY: "arn:aws:kms:eu-central-1:12:key/a" }),
                "is not the ARN of a KMS key",
            ),
            (
                json!({ SOURCE_KEY: "arn:aws:s3:eu-central-1:123456789012:key/a" }),
                "is not the ARN of a KMS key",
            ),
            (
                json!({ SOURCE_KEY: other_region }),
                "is not in eu-central-1, the region of the destination bucket",
            ),
            (json!({ SOURCE_KEY: 1 }), "must be a JSON object"),
        ] {
            let errors = read(&[("KMS_KEY_MAP", &map.to_string())]).unwrap_err().to_string();
            assert!(errors.contains(expected), "{expected} is not in {errors}");
            assert!(errors.contains("1 problem(s)"), "{errors}");
        }
        assert_eq!(read(&[("KMS_KEY_MAP", "{}")]).unwrap().policy, Policy::default());
        let encryption = format!("aws:kms:{other_region}");
        let errors = read(&[("DESTINATION_ENCRYPTION", &encryption)])
            .unwrap_err()
            .to_string();
        assert!(errors.contains("is not in eu-central-1, the region"), "{errors}");
    }
}
