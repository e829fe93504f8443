//! The parameters of both stacks, from a migration and back.

use std::collections::BTreeMap;

use super::keys::find_key;
use super::{Migration, MigrationValues};
use crate::location::Location;
use crate::policy::kms_keys;

/// A parameter of a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StackParameter {
    /// Name of the parameter.
    pub name: &'static str,
    /// Key of the migration file that determines it; without one, it is an entry of the table of its stack.
    pub key: Option<&'static str>,
    /// Default of the template; `None` if the parameter is required.
    pub default: Option<&'static str>,
}

const fn of(name: &'static str, key: &'static str, default: &'static str) -> StackParameter {
    StackParameter {
        name,
        key: Some(key),
        default: Some(default),
    }
}

const fn required(name: &'static str, key: &'static str) -> StackParameter {
    StackParameter {
        name,
        key: Some(key),
        default: None,
    }
}

const fn other(name: &'static str, default: &'static str) -> StackParameter {
    StackParameter {
        name,
        key: None,
        default: Some(default),
    }
}

/// The parameters of the source stack, infra/source.yaml.
pub const SOURCE_PARAMETERS: &[StackParameter] = &[
    required("SourceBucketName", "source"),
    required("DestinationBucketName", "destination"),
    required("DestinationRegion", "destination_region"),
    of("DestinationBucketOwner", "destination_bucket_owner", ""),
    of("KeyPrefix", "source", ""),
    of("ReplicationEngine", "replication_engine", "lambda"),
    of("EventSource", "event_source", "queue"),
    of("Ownership", "ownership", "exclusive"),
    of("PropagateDeletes", "propagate_deletes", "false"),
    of("StorageClass", "storage_class", "source"),
    of("DestinationEncryption", "destination_encryption", "bucket-default"),
    of("PreserveEtag", "preserve_etag", "large"),
    of("Acl", "acl", "ignore"),
    of("SourceKmsKeyArn", "source_kms_key_arn", ""),
    of("DestinationKmsKeyArn", "destination_kms_key_arn", ""),
    of("KmsKeyMap", "kms_key_map", ""),
    of("KmsKeyMapSourceKeyArns", "kms_key_map", ""),
    of("KmsKeyMapDestinationKeyArns", "kms_key_map", ""),
    of("MultipartThresholdBytes", "multipart_threshold_bytes", "5368709120"),
    of("PartSizeBytes", "part_size_bytes", "134217728"),
    of("MaxConcurrentParts", "max_concurrent_parts", "16"),
    of("AlarmEmail", "alarm_email", ""),
    other("EnableVersioning", "false"),
    other("ReplicationRoleArn", ""),
    other("MaxConcurrency", "5"),
    other("MaxConcurrentCopies", "16"),
    other("BatchSize", "10"),
    other("BatchingWindowSeconds", "1"),
    other("MaxReceiveCount", "8"),
    other("FinalSyncMaxConcurrency", "5"),
    other("FinalSyncReservedConcurrency", "0"),
    other("FinalSyncBatchSize", "100"),
    other("FinalSyncToleratedFailurePercentage", "5"),
    other("FinalSyncScheduleExpression", ""),
    other("FinalSyncManifestKey", "final-sync/manifest.csv"),
    other("AgeAlarmSeconds", "900"),
    other("LagAlarmSeconds", "900"),
    other("EnableCanary", "false"),
    other("LogLevel", "info"),
    other("LogRetentionDays", "30"),
    other("Architecture", "x86_64"),
    other("EndpointUrl", ""),
];

/// The parameters of the destination stack, infra/destination.yaml.
pub const DESTINATION_PARAMETERS: &[StackParameter] = &[
    required("BucketName", "destination"),
    of("CreateBucket", "create_destination_bucket", "true"),
    of("KmsKeyArn", "destination_kms_key_arn", ""),
    other("AbortIncompleteUploadDays", "30"),
    other("NoncurrentVersionExpirationDays", "0"),
    of("ReplicationEngine", "replication_engine", "lambda"),
    other("BytesPendingAlarmBytes", "107374182400"),
    of("AlarmEmail", "alarm_email", ""),
];

/// Reasons why a migration has no parameters.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StackParameterError {
    /// The template accepts only some characters in a prefix.
    #[error("the prefix `{prefix}` is no KeyPrefix of the source stack: at most 256 letters, digits and / _ . -")]
    Prefix {
        /// The prefix.
        prefix: String,
    },
}

/// A deployed stack.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StackDescription {
    /// Name of the stack.
    pub name: String,
    /// Region of the stack.
    pub region: String,
    /// Account of the stack, if its ARN names one.
    pub account: Option<String>,
    /// Values of its parameters.
    pub parameters: BTreeMap<String, String>,
    /// Its outputs.
    pub outputs: BTreeMap<String, String>,
}

/// Reasons why deployed stacks are not those of a migration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StackDescriptionError {
    /// The stack is not one of the template.
    #[error("stack {stack} has no parameter {parameter}: it is no stack of {template}")]
    OtherTemplate {
        /// Name of the stack.
        stack: String,
        /// The missing parameter.
        parameter: &'static str,
        /// The expected template.
        template: &'static str,
    },
    /// The destination stack is of another destination.
    #[error("stack {stack} is of the bucket {found}, and the source stack copies to {expected}")]
    OtherDestination {
        /// Name of the destination stack.
        stack: String,
        /// Bucket of the destination stack.
        found: String,
        /// Destination of the source stack.
        expected: String,
    },
    /// A value of the stack is not allowed in a migration file.
    #[error("{parameter} of stack {stack} = `{value}`: {allowed}")]
    Value {
        /// Name of the stack.
        stack: String,
        /// The parameter.
        parameter: &'static str,
        /// Its value.
        value: String,
        /// What is allowed.
        allowed: String,
    },
}

impl Migration {
    /// Returns the parameters of the source stack that the file determines. The destination's region is one of them only if
    /// the file has it.
    pub fn source_parameters(&self) -> Result<Vec<(&'static str, String)>, StackParameterError> {
        let prefix = &self.source.prefix;
        let is_allowed = |letter: char| letter.is_ascii_alphanumeric() || "/_.-".contains(letter);
        if prefix.len() > 256 || !prefix.chars().all(is_allowed) {
            return Err(StackParameterError::Prefix { prefix: prefix.clone() });
        }
        Ok(self.parameters(SOURCE_PARAMETERS, &self.values.source_parameters))
    }

    /// Returns the parameters of the destination stack that the file determines.
    #[must_use]
    pub fn destination_parameters(&self) -> Vec<(&'static str, String)> {
        self.parameters(DESTINATION_PARAMETERS, &self.values.destination_parameters)
    }

    fn parameters(
        &self,
        parameters: &[StackParameter],
        others: &BTreeMap<&'static str, String>,
    ) -> Vec<(&'static str, String)> {
        let value = |parameter: &StackParameter| match parameter.key {
            None => others.get(parameter.name).cloned(),
            Some(key) => self.parameter(parameter.name, key),
        };
        parameters
            .iter()
            .filter_map(|parameter| Some((parameter.name, value(parameter)?)))
            .collect()
    }

    fn parameter(&self, name: &str, key: &str) -> Option<String> {
        let text = self.value(key);
        let encryption = self.value("destination_encryption").and_then(algorithm_and_key);
        match name {
            "SourceBucketName" => Some(self.source.bucket.to_string()),
            "DestinationBucketName" | "BucketName" => Some(self.destination.bucket.to_string()),
            // Always: a stack would keep the prefix of an earlier deployment.
            "KeyPrefix" => Some(self.source.prefix.clone()),
            "DestinationEncryption" => match encryption {
                Some((algorithm, _)) => Some(algorithm.to_owned()),
                None => text.map(str::to_owned),
            },
            "DestinationKmsKeyArn" => match encryption {
                Some((_, key)) => Some(key.to_owned()),
                None => text.map(str::to_owned),
            },
            "KmsKeyMapSourceKeyArns" => keys_of(text?, |(source, _)| source),
            "KmsKeyMapDestinationKeyArns" => keys_of(text?, |(_, copy)| copy),
            _ => text.map(str::to_owned),
        }
    }
}

/// Splits `aws:kms:KEY_ARN` and `aws:kms:dsse:KEY_ARN`.
fn algorithm_and_key(encryption: &str) -> Option<(&str, &str)> {
    let at = encryption.find(":arn:")?;
    Some((encryption.get(..at)?, encryption.get(at + 1..)?))
}

/// Returns one side of a key map, each key once, separated by commas.
fn keys_of(map: &str, side: impl Fn((String, String)) -> String) -> Option<String> {
    let keys: std::collections::BTreeSet<String> = kms_keys(map).ok()?.into_iter().map(side).collect();
    Some(keys.into_iter().collect::<Vec<_>>().join(","))
}

impl MigrationValues {
    /// Returns the values of a deployed source stack, and of the destination stack if it is given. Defaults of the templates
    /// are left out.
    pub fn of_stacks(
        source: &StackDescription,
        destination: Option<&StackDescription>,
    ) -> Result<Self, StackDescriptionError> {
        let mut values = Self::default();
        let from = |parameter: &'static str| {
            let found = source.parameters.get(parameter);
            found.cloned().ok_or_else(|| StackDescriptionError::OtherTemplate {
                stack: source.name.clone(),
                parameter,
                template: "infra/source.yaml",
            })
        };
        let prefix = source.parameters.get("KeyPrefix").cloned().unwrap_or_default();
        let expected = from("DestinationBucketName")?;
        values.insert("source", location(&from("SourceBucketName")?, &prefix));
        values.insert("destination", location(&expected, &prefix));
        values.insert("source_region", source.region.clone());
        values.insert("stack", source.name.clone());
        if let Some(account) = &source.account {
            values.insert("source_bucket_owner", account.clone());
            // The template's default.
            values.insert("destination_bucket_owner", account.clone());
        }
        if let Some(state) = source.outputs.get("StateBucketName") {
            values.insert("state_bucket", state.clone());
        }
        values.source_parameters = values.take(SOURCE_PARAMETERS, source)?;
        if let Some(destination) = destination {
            let found = destination.parameters.get("BucketName");
            let found = found.ok_or_else(|| StackDescriptionError::OtherTemplate {
                stack: destination.name.clone(),
                parameter: "BucketName",
                template: "infra/destination.yaml",
            })?;
            if *found != expected {
                return Err(StackDescriptionError::OtherDestination {
                    stack: destination.name.clone(),
                    found: found.clone(),
                    expected,
                });
            }
            values.insert("destination_stack", destination.name.clone());
            values.destination_parameters = values.take(DESTINATION_PARAMETERS, destination)?;
        }
        Ok(values)
    }

    fn insert(&mut self, key: &'static str, value: String) {
        self.keys.insert(key, value);
    }

    /// Takes the parameters that are not those of the buckets; returns the ones without a key.
    fn take(
        &mut self,
        parameters: &[StackParameter],
        stack: &StackDescription,
    ) -> Result<BTreeMap<&'static str, String>, StackDescriptionError> {
        let mut others = BTreeMap::new();
        let value = |name: &str| stack.parameters.get(name);
        for parameter in parameters {
            let Some(found) = value(parameter.name).filter(|found| parameter.default != Some(found.as_str())) else {
                continue;
            };
            let key_arn = value("DestinationKmsKeyArn").filter(|arn| !arn.is_empty());
            let is_kms = value("DestinationEncryption").is_some_and(|algorithm| algorithm.starts_with("aws:kms"));
            let (key, text) = match (parameter.name, parameter.key) {
                (_, None) => {
                    others.insert(parameter.name, found.clone());
                    continue;
                }
                (
                    "SourceBucketName"
                    | "DestinationBucketName"
                    | "BucketName"
                    | "KeyPrefix"
                    | "KmsKeyMapSourceKeyArns"
                    | "KmsKeyMapDestinationKeyArns",
                    _,
                ) => continue,
                // The key of the encryption that copies request.
                ("DestinationKmsKeyArn", _) if is_kms => continue,
                ("DestinationEncryption", Some(key)) => match key_arn.filter(|_| is_kms) {
                    Some(arn) => (key, format!("{found}:{arn}")),
                    None => (key, found.clone()),
                },
                (_, Some(key)) => (key, found.clone()),
            };
            let kind = find_key(key).map(|key| key.kind);
            if let Some(Err(allowed)) = kind.map(|kind| kind.check(&text)) {
                return Err(StackDescriptionError::Value {
                    stack: stack.name.clone(),
                    parameter: parameter.name,
                    value: text,
                    allowed,
                });
            }
            self.insert(key, text);
        }
        Ok(others)
    }
}

fn location(bucket: &str, prefix: &str) -> String {
    match format!("s3://{bucket}/{prefix}").parse::<Location>() {
        Ok(location) => location.to_string(),
        // The parser of the file names the problem.
        Err(_) => format!("s3://{bucket}/{prefix}"),
    }
}
