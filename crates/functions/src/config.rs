//! The configuration of the copying functions, read once from the environment.

use std::fmt;

use s3ferry_core::decide::{Policy, StorageClassRule};
use s3ferry_core::names::{AccountId, BucketName, Region};

/// One environment variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// Whether the function refuses to start without it.
    pub required: bool,
    /// What holds when it is unset or empty.
    pub default: &'static str,
    /// What it means, with what is allowed.
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

/// Every variable that s3ferry reads; README, templates and code are tested against this table.
pub const VARIABLES: &[Variable] = &[
    variable(
        "SOURCE_BUCKET",
        true,
        "",
        "The bucket that is migrated; events of others are refused",
    ),
    variable("SOURCE_REGION", false, "AWS_REGION", "The region of the source bucket"),
    variable(
        "SOURCE_BUCKET_OWNER",
        false,
        "",
        "The account that must own the source bucket, twelve digits",
    ),
    variable("DESTINATION_BUCKET", true, "", "The bucket that is migrated to"),
    variable(
        "DESTINATION_REGION",
        true,
        "",
        "The region of the destination bucket, where copies are asked for",
    ),
    variable(
        "STATE_BUCKET",
        false,
        "",
        "The bucket of s3ferry's own state; must be neither of the two",
    ),
    variable(
        "QUEUE_URL",
        false,
        "",
        "The queue that keys which are not done yet are sent to; without it they fail",
    ),
    variable(
        "OWNERSHIP",
        false,
        "exclusive",
        "Who writes to the destination: `exclusive` is s3ferry alone",
    ),
    variable(
        "PROPAGATE_DELETES",
        false,
        "false",
        "`true` deletes at the destination what is gone at the source",
    ),
    variable("KEY_PREFIX", false, "", "Only keys that begin with this are migrated"),
    variable(
        "STORAGE_CLASS",
        false,
        "source",
        "The class of copies: `source` keeps each object's own, or one class for all",
    ),
    variable(
        "MAX_CONCURRENT_COPIES",
        false,
        "16",
        "How many keys one invocation reconciles at once, 1 to 256",
    ),
    variable(
        "AWS_ENDPOINT_URL",
        false,
        "",
        "The endpoint of an emulator; read by the SDK, with path-style requests",
    ),
    variable(
        "LOG_LEVEL",
        false,
        "info",
        "`error`, `warn`, `info`, `debug` or `trace`",
    ),
];

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

/// The configuration of a copying function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The bucket that is migrated.
    pub source_bucket: BucketName,
    /// Its region.
    pub source_region: Region,
    /// The account that must own it.
    pub source_bucket_owner: Option<AccountId>,
    /// The bucket that is migrated to.
    pub destination_bucket: BucketName,
    /// Its region.
    pub destination_region: Region,
    /// Where s3ferry keeps its own state.
    pub state_bucket: Option<BucketName>,
    /// Where continuations go.
    pub queue_url: Option<String>,
    /// What the team decided.
    pub policy: Policy,
    /// How many keys are reconciled at once.
    pub max_concurrent_copies: usize,
    /// How much is logged.
    pub log_level: tracing::Level,
}

/// Every problem of a configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigErrors(Vec<String>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "the configuration has {} problem(s):", self.0.len())?;
        self.0.iter().try_for_each(|problem| write!(formatter, "\n  {problem}"))
    }
}

impl Config {
    /// Reads the configuration through `lookup`, which answers a variable's value; reports all problems together.
    ///
    /// A variable that is set to nothing counts as unset, as templates leave it.
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
    /// Reads everything before anything is given up, so that no problem hides another.
    fn read(&mut self) -> Option<Config> {
        let source_bucket = self.required("SOURCE_BUCKET", |value| BucketName::new(value));
        let source_region = self.source_region();
        let source_bucket_owner = self.optional("SOURCE_BUCKET_OWNER", |value| AccountId::new(value));
        let destination_bucket = self.required("DESTINATION_BUCKET", |value| BucketName::new(value));
        let destination_region = self.required("DESTINATION_REGION", |value| Region::new(value));
        let state_bucket = self.optional("STATE_BUCKET", |value| BucketName::new(value));
        self.distinct([
            ("SOURCE_BUCKET", source_bucket.as_ref()),
            ("DESTINATION_BUCKET", destination_bucket.as_ref()),
            ("STATE_BUCKET", state_bucket.as_ref()),
        ]);
        let queue_url = self.optional("QUEUE_URL", queue_url);
        self.optional("OWNERSHIP", ownership);
        let propagate_deletes = self.optional("PROPAGATE_DELETES", boolean).unwrap_or(false);
        let storage_class = self
            .optional("STORAGE_CLASS", storage_class)
            .unwrap_or(StorageClassRule::AsSource);
        let max_concurrent_copies = self.optional("MAX_CONCURRENT_COPIES", concurrency).unwrap_or(16);
        // The SDK would go to AWS itself where it cannot read this.
        self.optional("AWS_ENDPOINT_URL", endpoint_url);
        let log_level = self.optional("LOG_LEVEL", log_level).unwrap_or(tracing::Level::INFO);
        Some(Config {
            source_bucket: source_bucket?,
            source_region: source_region?,
            source_bucket_owner,
            destination_bucket: destination_bucket?,
            destination_region: destination_region?,
            state_bucket,
            queue_url,
            policy: Policy {
                key_prefix: self.value("KEY_PREFIX").unwrap_or_default(),
                propagate_deletes,
                storage_class,
            },
            max_concurrent_copies,
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

/// Checks that the SDK can read the endpoint: it would go to AWS itself where it cannot.
pub fn endpoint_url(value: &str) -> Result<(), &'static str> {
    let host = value.strip_prefix("https://").or_else(|| value.strip_prefix("http://"));
    let is_host = |rest: &str| rest.starts_with(|letter: char| letter.is_ascii_alphanumeric() || letter == '[');
    host.filter(|rest| is_host(rest) && !rest.contains(char::is_whitespace))
        .map(|_| ())
        .ok_or("must be a URL such as http://127.0.0.1:4566")
}

pub(crate) fn ownership(value: &str) -> Result<(), &'static str> {
    match value {
        "exclusive" => Ok(()),
        "shared" => Err("is not available in this version; allowed: exclusive"),
        _ => Err("allowed: exclusive"),
    }
}

pub(crate) fn boolean(value: &str) -> Result<bool, &'static str> {
    value.parse().map_err(|_| "allowed: true, false")
}

pub(crate) fn storage_class(value: &str) -> Result<StorageClassRule, String> {
    if value == "source" {
        return Ok(StorageClassRule::AsSource);
    }
    if STORAGE_CLASSES.contains(&value) {
        return Ok(StorageClassRule::Fixed(value.to_owned()));
    }
    Err(format!("allowed: source, {}", STORAGE_CLASSES.join(", ")))
}

fn concurrency(value: &str) -> Result<usize, &'static str> {
    let number = value.parse().ok().filter(|number| (1..=256).contains(number));
    number.ok_or("must be a whole number from 1 to 256")
}

/// Reads a log level by the names that the documentation allows, and no others.
pub fn log_level(value: &str) -> Result<tracing::Level, &'static str> {
    match value {
        "error" => Ok(tracing::Level::ERROR),
        "warn" => Ok(tracing::Level::WARN),
        "info" => Ok(tracing::Level::INFO),
        "debug" => Ok(tracing::Level::DEBUG),
        "trace" => Ok(tracing::Level::TRACE),
        _ => Err("allowed: error, warn, info, debug, trace"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn minimal_configuration_gets_documented_defaults() {
        let config = read(&[]).unwrap();
        assert_eq!(config.source_region.as_str(), "us-east-1");
        assert_eq!(config.policy.storage_class, StorageClassRule::AsSource);
        assert_eq!(
            (config.policy.propagate_deletes, config.max_concurrent_copies),
            (false, 16)
        );
        assert_eq!(config.log_level, tracing::Level::INFO);
        assert_eq!((config.queue_url, config.source_bucket_owner), (None, None));
        let default = |name| VARIABLES.iter().find(|variable| variable.name == name).unwrap().default;
        assert_eq!(default("MAX_CONCURRENT_COPIES"), "16");
        assert_eq!(default("PROPAGATE_DELETES"), "false");
        assert_eq!(default("LOG_LEVEL"), "info");
    }

    #[test]
    fn everything_can_be_set() {
        let config = read(&[
            ("SOURCE_REGION", "us-west-2"),
            ("SOURCE_BUCKET_OWNER", "123456789012"),
            ("STATE_BUCKET", "state"),
            ("QUEUE_URL", "https://sqs.us-west-2.amazonaws.com/123456789012/q"),
            ("OWNERSHIP", "exclusive"),
            ("PROPAGATE_DELETES", "true"),
            ("KEY_PREFIX", "data/"),
            ("STORAGE_CLASS", "STANDARD_IA"),
            ("MAX_CONCURRENT_COPIES", "256"),
            ("LOG_LEVEL", "debug"),
        ])
        .unwrap();
        assert_eq!(config.source_region.as_str(), "us-west-2");
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
    fn all_problems_are_named_at_once() {
        let errors = read(&[
            ("SOURCE_BUCKET", ""),
            ("DESTINATION_BUCKET", "no/bucket"),
            ("DESTINATION_REGION", "Frankfurt"),
            ("AWS_REGION", ""),
            ("SOURCE_BUCKET_OWNER", "12"),
            ("QUEUE_URL", "arn:aws:sqs:eu-west-1:1:q"),
            ("OWNERSHIP", "mine"),
            ("PROPAGATE_DELETES", "yes"),
            ("STORAGE_CLASS", "CHEAP"),
            ("MAX_CONCURRENT_COPIES", "0"),
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
            "QUEUE_URL=`arn:aws:sqs:eu-west-1:1:q`",
            "OWNERSHIP=`mine`: allowed: exclusive",
            "PROPAGATE_DELETES=`yes`: allowed: true, false",
            "STORAGE_CLASS=`CHEAP`: allowed: source, STANDARD",
            "MAX_CONCURRENT_COPIES=`0`",
            "LOG_LEVEL=`verbose`: allowed: error, warn, info, debug, trace",
            "AWS_ENDPOINT_URL=`localhost:4566`: must be a URL",
        ] {
            assert!(errors.contains(expected), "{expected} is not in {errors}");
        }
        assert!(errors.contains("12 problem(s)"), "{errors}");
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
    fn shared_ownership_is_refused_by_name() {
        let errors = read(&[("OWNERSHIP", "shared")]).unwrap_err().to_string();
        assert!(
            errors.contains("OWNERSHIP=`shared`: is not available in this version"),
            "{errors}"
        );
    }
}
