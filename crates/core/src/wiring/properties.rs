//! Validation of the properties of the custom resource, with all problems in one error.

mod reader;

use std::fmt;

use serde_json::{Map, Value};

use self::reader::{BOOLEANS, ENGINES, EVENT_SOURCES, OWNERSHIPS, Reader, given, rule_name};

use crate::diff::SideName;
use crate::names::{AccountId, BucketName, Region};
use crate::policy::{KmsKeyMap, Ownership, kms_key_must_be_in};
use crate::preflight::{ExpectedBucket, UnfitBucket};

/// Engine that replicates new writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplicationEngine {
    /// The replicator function copies.
    Lambda,
    /// S3 replicates, and the replicator copies what S3 failed to replicate.
    Crr,
    /// Both engines.
    Both,
}

/// Path of events to the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventSource {
    /// S3 sends events directly to the queue.
    Queue,
    /// S3 sends events to `EventBridge`, and a rule sends them to the queue.
    EventBridge,
}

/// Problem with one property.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PropertyProblem {
    /// Name of the property.
    pub name: &'static str,
    /// Value found. `None` if the property is missing.
    pub value: Option<String>,
    /// Description of the allowed values.
    pub allowed: String,
}

impl fmt::Display for PropertyProblem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, value, allowed } = self;
        match value {
            None => write!(formatter, "{name} is missing, expected: {allowed}"),
            Some(value) => write!(formatter, "{name} is `{value}`, expected: {allowed}"),
        }
    }
}

/// Error with all problems of the properties.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the properties of the bucket wiring are not valid: {}", listed(.0))]
pub struct InvalidProperties(pub Vec<PropertyProblem>);

fn listed(problems: &[PropertyProblem]) -> String {
    let listed: Vec<String> = problems.iter().map(ToString::to_string).collect();
    listed.join("; ")
}

/// Properties of the custom resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WiringProperties {
    /// Source bucket (`SourceBucketName`).
    pub source: BucketName,
    /// Region of the source bucket (`SourceRegion`).
    pub source_region: Region,
    /// Destination bucket (`DestinationBucketName`).
    pub destination: BucketName,
    /// Region of the destination bucket (`DestinationRegion`).
    pub destination_region: Region,
    /// Account that must own the destination bucket (`DestinationBucketOwner`).
    pub destination_owner: AccountId,
    /// Ownership of the destination (`Ownership`).
    pub ownership: Ownership,
    /// State bucket, which contains the backups (`StateBucketName`).
    pub state: BucketName,
    /// Account that must own the source bucket (`AccountId`).
    pub account: AccountId,
    /// Engine that replicates new writes (`ReplicationEngine`).
    pub engine: ReplicationEngine,
    /// Path of events to the queue (`EventSource`).
    pub event_source: EventSource,
    /// ARN of the replicator's queue (`QueueArn`).
    pub queue_arn: String,
    /// Rule of the stack on the default event bus (`EventRuleName`).
    pub event_rule: Option<String>,
    /// Whether deletes are propagated (`PropagateDeletes`).
    pub propagate_deletes: bool,
    /// Prefix of the keys in scope (`KeyPrefix`).
    pub key_prefix: String,
    /// Whether versioning may be enabled (`EnableVersioning`).
    pub enable_versioning: bool,
    /// Role that S3 assumes for replication (`ReplicationRoleArn`).
    pub replication_role_arn: Option<String>,
    /// KMS key for replicas (`DestinationKmsKeyArn`).
    pub destination_kms_key_arn: Option<String>,
    /// KMS key of the source objects (`SourceKmsKeyArn`).
    pub source_kms_key_arn: Option<String>,
    /// KMS keys of copies by KMS key of the source (`KmsKeyMap`).
    pub kms_keys: KmsKeyMap,
}

impl WiringProperties {
    /// Parses and validates the properties, individually and in combination.
    pub fn parse(properties: &Map<String, Value>) -> Result<Self, InvalidProperties> {
        let mut reader = Reader {
            properties,
            problems: Vec::new(),
        };
        let parsed = Self::read(&mut reader);
        match parsed {
            Some(parsed) if reader.problems.is_empty() => Ok(parsed),
            _ => Err(InvalidProperties(reader.problems)),
        }
    }

    /// Reads all properties before the result is decided, so that every problem is collected.
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let source = reader.bucket("SourceBucketName");
        let destination = reader.bucket("DestinationBucketName");
        let source_region = reader.name("SourceRegion", "an AWS region such as us-east-1", Region::new);
        let destination_region = reader.name("DestinationRegion", "an AWS region such as eu-central-1", Region::new);
        let destination_owner = reader.name("DestinationBucketOwner", "twelve digits", AccountId::new);
        let ownership = reader.choice("Ownership", OWNERSHIPS);
        let state = reader.bucket("StateBucketName");
        let account = reader.name("AccountId", "twelve digits", AccountId::new);
        let engine = reader.choice("ReplicationEngine", ENGINES);
        let event_source = reader.choice("EventSource", EVENT_SOURCES);
        let queue_arn = reader.arn("QueueArn", "sqs");
        let event_rule = reader.optional("EventRuleName");
        let propagate_deletes = reader.choice("PropagateDeletes", BOOLEANS);
        let key_prefix = reader.key_prefix("KeyPrefix");
        let enable_versioning = reader.choice("EnableVersioning", BOOLEANS);
        let replication_role_arn = reader.optional_arn("ReplicationRoleArn", "iam");
        let destination_kms_key_arn = reader.optional_arn("DestinationKmsKeyArn", "kms");
        let source_kms_key_arn = reader.optional_arn("SourceKmsKeyArn", "kms");
        let kms_keys = reader.kms_keys("KmsKeyMap");
        reader.distinct("DestinationBucketName", "SourceBucketName");
        reader.distinct("StateBucketName", "SourceBucketName");
        reader.distinct("StateBucketName", "DestinationBucketName");
        if engine.is_some_and(ReplicationEngine::replicates) && replication_role_arn.is_none() {
            reader.needed(
                "ReplicationRoleArn",
                "the ARN of a role, with ReplicationEngine crr or both",
            );
        }
        let bridged = engine.is_some_and(ReplicationEngine::copies) && event_source == Some(EventSource::EventBridge);
        if bridged && event_rule.is_none() {
            reader.needed(
                "EventRuleName",
                "the name of the stack's rule, with EventSource eventbridge",
            );
        }
        Some(Self {
            source: source?,
            destination: destination?,
            source_region: source_region?,
            destination_region: destination_region?,
            destination_owner: destination_owner?,
            ownership: ownership?,
            state: state?,
            account: account?,
            engine: engine?,
            event_source: event_source?,
            queue_arn: queue_arn?,
            event_rule,
            propagate_deletes: propagate_deletes?,
            key_prefix,
            enable_versioning: enable_versioning?,
            replication_role_arn,
            destination_kms_key_arn,
            source_kms_key_arn,
            kms_keys,
        })
    }

    /// Properties that determine whether the buckets pass the preflight checks.
    const OF_BUCKETS: [&str; 10] = [
        "SourceBucketName",
        "SourceRegion",
        "DestinationBucketName",
        "DestinationRegion",
        "DestinationBucketOwner",
        "Ownership",
        "ReplicationEngine",
        "SourceKmsKeyArn",
        "DestinationKmsKeyArn",
        "KmsKeyMap",
    ];

    /// Returns whether properties differ that determine whether the buckets pass the preflight checks.
    #[must_use]
    pub fn names_other_buckets(properties: &Map<String, Value>, former: &Map<String, Value>) -> bool {
        Self::OF_BUCKETS
            .into_iter()
            .any(|name| given(properties, name) != given(former, name))
    }

    /// Returns the required name, region and owner of the source bucket.
    #[must_use]
    pub fn expected_source(&self) -> ExpectedBucket {
        ExpectedBucket {
            name: self.source.clone(),
            region: self.source_region.clone(),
            owner: Some(self.account.clone()),
        }
    }

    /// Returns the required name, region and owner of the destination bucket.
    #[must_use]
    pub fn expected_destination(&self) -> ExpectedBucket {
        ExpectedBucket {
            name: self.destination.clone(),
            region: self.destination_region.clone(),
            owner: Some(self.destination_owner.clone()),
        }
    }

    /// Checks that every KMS key is in the region of its bucket.
    pub fn check_keys(&self) -> Result<(), UnfitBucket> {
        let (near, far) = (&self.source_region, &self.destination_region);
        let (source, destination) = (SideName::Source, SideName::Destination);
        let named = [
            ("SourceKmsKeyArn", &self.source_kms_key_arn, near, source),
            ("DestinationKmsKeyArn", &self.destination_kms_key_arn, far, destination),
        ];
        let named = named
            .into_iter()
            .filter_map(|(setting, arn, region, side)| Some((setting, arn.as_ref()?, region, side)));
        let sources = self.kms_keys.keys().map(|arn| ("KmsKeyMap", arn, near, source));
        let copies = self.kms_keys.values().map(|arn| ("KmsKeyMap", arn, far, destination));
        for (setting, arn, region, side) in named.chain(sources).chain(copies) {
            kms_key_must_be_in(arn, region, side).map_err(|error| UnfitBucket::Key { setting, error })?;
        }
        Ok(())
    }
}

/// Properties for the removal of the stack's entries. They are parsed leniently, because a removal must not fail on a
/// property that it does not need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemovalProperties {
    /// Source bucket, which may be wired.
    pub source: BucketName,
    /// Account that must own the source bucket.
    pub account: AccountId,
    /// State bucket, which contains the backups.
    pub state: Option<BucketName>,
    /// Rule of the stack on the default event bus.
    pub event_rule: Option<String>,
    /// Replication role that is deleted with the stack.
    pub replication_role_arn: Option<String>,
}

impl RemovalProperties {
    /// Parses the properties. Returns `None` if they identify no bucket. Such properties were never wired, because all
    /// properties are validated before a write.
    #[must_use]
    pub fn parse(properties: &Map<String, Value>) -> Option<Self> {
        let given = |name: &str| given(properties, name).filter(|value| !value.is_empty());
        Some(Self {
            source: BucketName::new(given("SourceBucketName")?).ok()?,
            account: AccountId::new(given("AccountId")?).ok()?,
            state: given("StateBucketName").and_then(|name| BucketName::new(name).ok()),
            event_rule: given("EventRuleName").map(|name| rule_name(&name)),
            replication_role_arn: given("ReplicationRoleArn"),
        })
    }
}

impl From<&WiringProperties> for RemovalProperties {
    fn from(properties: &WiringProperties) -> Self {
        Self {
            source: properties.source.clone(),
            account: properties.account.clone(),
            state: Some(properties.state.clone()),
            event_rule: properties.event_rule.clone(),
            replication_role_arn: properties.replication_role_arn.clone(),
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
