//! Conversion of replication rules between the SDK's type and the terms that the wiring needs.

use aws_sdk_s3::error::BuildError;
use aws_sdk_s3::types::{
    DeleteMarkerReplication, DeleteMarkerReplicationStatus, Destination, EncryptionConfiguration,
    ExistingObjectReplicationStatus, Metrics, MetricsStatus, ReplicaModificationsStatus,
    ReplicationConfiguration as SdkReplication, ReplicationRule as Sdk, ReplicationRuleFilter, ReplicationRuleStatus,
    ReplicationTimeStatus, SourceSelectionCriteria, SseKmsEncryptedObjects, SseKmsEncryptedObjectsStatus, Tag,
};
use s3ferry_core::wiring::{ReplicationConfiguration, ReplicationRule, ReplicationTerms};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

/// A complete replication rule.
#[derive(Debug, Clone, PartialEq)]
pub struct SdkRule(Source);

#[derive(Debug, Clone, PartialEq)]
enum Source {
    /// A rule that S3 returned.
    Read(Box<Sdk>),
    /// A rule of s3ferry that S3 does not have yet.
    Composed {
        id: String,
        priority: i32,
        terms: ReplicationTerms,
    },
}

impl SdkRule {
    /// Creates a rule to be written.
    pub(super) fn composed(id: &str, priority: i32, terms: &ReplicationTerms) -> Self {
        Self(Source::Composed {
            id: id.to_owned(),
            priority,
            terms: terms.clone(),
        })
    }

    fn sdk(&self) -> Result<Sdk, BuildError> {
        match &self.0 {
            Source::Read(rule) => Ok(Sdk::clone(rule)),
            Source::Composed { id, priority, terms } => compose(id, *priority, terms),
        }
    }
}

impl Serialize for SdkRule {
    /// Serializes the rule in the form that `aws s3api put-bucket-replication` accepts.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let rule = self.sdk().map_err(serde::ser::Error::custom)?;
        document(&rule).serialize(serializer)
    }
}

/// Converts S3's response.
pub(super) fn from_sdk(answer: &SdkReplication) -> ReplicationConfiguration<SdkRule> {
    let rule = |rule: &Sdk| ReplicationRule {
        id: rule.id().map(str::to_owned),
        priority: rule.priority(),
        has_filter: rule.filter().is_some(),
        terms: terms(rule),
        payload: SdkRule(Source::Read(Box::new(rule.clone()))),
    };
    ReplicationConfiguration {
        role: answer.role().to_owned(),
        rules: answer.rules().iter().map(rule).collect(),
    }
}

/// Converts a configuration to the SDK's type.
pub(super) fn to_sdk(configuration: &ReplicationConfiguration<SdkRule>) -> Result<SdkReplication, BuildError> {
    let rules = configuration
        .rules
        .iter()
        .map(|rule| rule.payload.sdk())
        .collect::<Result<_, _>>()?;
    SdkReplication::builder()
        .role(&configuration.role)
        .set_rules(Some(rules))
        .build()
}

/// Returns the terms of a rule, or `None` if the rule sets anything that s3ferry's rules never set.
fn terms(rule: &Sdk) -> Option<ReplicationTerms> {
    let filter = rule.filter()?;
    let destination = rule.destination()?;
    let selection = rule.source_selection_criteria();
    let selects_kms = selection
        .and_then(SourceSelectionCriteria::sse_kms_encrypted_objects)
        .is_some_and(|objects| *objects.status() == SseKmsEncryptedObjectsStatus::Enabled);
    let encryption = destination.encryption_configuration();
    let kms_key_arn = encryption
        .and_then(EncryptionConfiguration::replica_kms_key_id)
        .map(str::to_owned);
    let is_off = |off: Option<bool>| off.unwrap_or(true);
    let sets_more = filter.tag().is_some()
        || filter.and().is_some()
        || destination.access_control_translation().is_some()
        || destination.storage_class().is_some()
        || !is_off(
            destination
                .replication_time()
                .map(|time| *time.status() == ReplicationTimeStatus::Disabled),
        )
        || !is_off(
            rule.existing_object_replication()
                .map(|existing| *existing.status() == ExistingObjectReplicationStatus::Disabled),
        )
        || !is_off(
            selection
                .and_then(SourceSelectionCriteria::replica_modifications)
                .map(|replicas| *replicas.status() == ReplicaModificationsStatus::Disabled),
        )
        || selects_kms != kms_key_arn.is_some();
    let deletes = rule
        .delete_marker_replication()
        .and_then(DeleteMarkerReplication::status);
    (!sets_more).then(|| ReplicationTerms {
        prefix: filter.prefix().unwrap_or_default().to_owned(),
        destination_arn: destination.bucket().to_owned(),
        replicates_deletes: deletes == Some(&DeleteMarkerReplicationStatus::Enabled),
        enabled: *rule.status() == ReplicationRuleStatus::Enabled,
        metrics: destination
            .metrics()
            .is_some_and(|metrics| *metrics.status() == MetricsStatus::Enabled),
        kms_key_arn,
    })
}

/// Builds s3ferry's rule. A rule with a `Filter` must have a priority and a setting for delete markers.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication-add-config.html>
fn compose(id: &str, priority: i32, terms: &ReplicationTerms) -> Result<Sdk, BuildError> {
    let metrics = Metrics::builder().status(MetricsStatus::Enabled).build()?;
    let encryption = terms
        .kms_key_arn
        .as_ref()
        .map(|key| EncryptionConfiguration::builder().replica_kms_key_id(key).build());
    let kms_objects = SseKmsEncryptedObjects::builder()
        .status(SseKmsEncryptedObjectsStatus::Enabled)
        .build()?;
    let selection = terms.kms_key_arn.is_some().then(|| {
        SourceSelectionCriteria::builder()
            .sse_kms_encrypted_objects(kms_objects)
            .build()
    });
    let destination = Destination::builder()
        .bucket(&terms.destination_arn)
        .set_encryption_configuration(encryption)
        .set_metrics(terms.metrics.then_some(metrics))
        .build()?;
    let deletes = if terms.replicates_deletes {
        DeleteMarkerReplicationStatus::Enabled
    } else {
        DeleteMarkerReplicationStatus::Disabled
    };
    let status = if terms.enabled {
        ReplicationRuleStatus::Enabled
    } else {
        ReplicationRuleStatus::Disabled
    };
    Sdk::builder()
        .id(id)
        .priority(priority)
        .status(status)
        .filter(ReplicationRuleFilter::builder().prefix(&terms.prefix).build())
        .delete_marker_replication(DeleteMarkerReplication::builder().status(deletes).build())
        .set_source_selection_criteria(selection)
        .destination(destination)
        .build()
}

/// Converts a rule to JSON, for operators who restore a backup manually.
fn document(rule: &Sdk) -> Value {
    #[expect(deprecated, reason = "rules of the first schema version set it")]
    let prefix = rule.prefix();
    let status_of = |status: Option<&str>| status.map(|status| json!({"Status": status}));
    let selection = rule.source_selection_criteria().map(|selection| {
        let kms = selection
            .sse_kms_encrypted_objects()
            .map(|objects| objects.status().as_str());
        let replicas = selection
            .replica_modifications()
            .map(|replicas| replicas.status().as_str());
        without_nulls(json!({
            "SseKmsEncryptedObjects": status_of(kms),
            "ReplicaModifications": status_of(replicas),
        }))
    });
    let existing = rule
        .existing_object_replication()
        .map(|existing| existing.status().as_str());
    let deletes = rule
        .delete_marker_replication()
        .map(|deletes| without_nulls(json!({"Status": deletes.status().map(DeleteMarkerReplicationStatus::as_str)})));
    without_nulls(json!({
        "ID": rule.id(),
        "Priority": rule.priority(),
        "Prefix": prefix,
        "Filter": rule.filter().map(filter_document),
        "Status": rule.status().as_str(),
        "SourceSelectionCriteria": selection,
        "ExistingObjectReplication": status_of(existing),
        "Destination": rule.destination().map(destination_document),
        "DeleteMarkerReplication": deletes,
    }))
}

fn filter_document(filter: &ReplicationRuleFilter) -> Value {
    let tag = |tag: &Tag| json!({"Key": tag.key(), "Value": tag.value()});
    let and = filter.and().map(|and| {
        let tags: Vec<Value> = and.tags().iter().map(tag).collect();
        without_nulls(json!({"Prefix": and.prefix(), "Tags": tags}))
    });
    without_nulls(json!({"Prefix": filter.prefix(), "Tag": filter.tag().map(tag), "And": and}))
}

fn destination_document(destination: &Destination) -> Value {
    let time = destination.replication_time().map(|time| {
        let minutes = time.time().and_then(aws_sdk_s3::types::ReplicationTimeValue::minutes);
        let minutes = minutes.map(|minutes| json!({"Minutes": minutes}));
        without_nulls(json!({"Status": time.status().as_str(), "Time": minutes}))
    });
    let metrics = destination.metrics().map(|metrics| {
        let minutes = metrics
            .event_threshold()
            .and_then(aws_sdk_s3::types::ReplicationTimeValue::minutes);
        let minutes = minutes.map(|minutes| json!({"Minutes": minutes}));
        without_nulls(json!({"Status": metrics.status().as_str(), "EventThreshold": minutes}))
    });
    let owner = destination
        .access_control_translation()
        .map(|translation| translation.owner().as_str());
    let encryption = destination
        .encryption_configuration()
        .map(|encryption| without_nulls(json!({"ReplicaKmsKeyID": encryption.replica_kms_key_id()})));
    without_nulls(json!({
        "Bucket": destination.bucket(),
        "Account": destination.account(),
        "StorageClass": destination.storage_class().map(aws_sdk_s3::types::StorageClass::as_str),
        "AccessControlTranslation": owner.map(|owner| json!({"Owner": owner})),
        "EncryptionConfiguration": encryption,
        "ReplicationTime": time,
        "Metrics": metrics,
    }))
}

/// Removes fields that S3 did not return: the AWS CLI accepts no nulls.
fn without_nulls(mut document: Value) -> Value {
    if let Some(fields) = document.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
    document
}

#[cfg(test)]
mod tests {
    use aws_sdk_s3::types::{ReplicationRuleAndOperator, ReplicationTime, ReplicationTimeValue, StorageClass};

    use super::*;

    fn wanted(kms_key_arn: Option<&str>, replicates_deletes: bool) -> ReplicationTerms {
        ReplicationTerms {
            prefix: "a b/".to_owned(),
            destination_arn: "arn:aws:s3:::destination".to_owned(),
            replicates_deletes,
            enabled: true,
            metrics: true,
            kms_key_arn: kms_key_arn.map(str::to_owned),
        }
    }

    fn composed(wanted: &ReplicationTerms) -> Sdk {
        compose("id", 7, wanted).unwrap()
    }

    #[test]
    fn composed_rule_has_the_wanted_terms() {
        for wanted in [wanted(None, false), wanted(Some("arn:aws:kms:r:1:key/k"), true)] {
            let rule = composed(&wanted);
            assert_eq!(terms(&rule), Some(wanted));
            let configuration = SdkReplication::builder().role("role").rules(rule).build().unwrap();
            let read = from_sdk(&configuration);
            assert!(read.rules[0].has_filter);
            assert_eq!(read.rules[0].priority, Some(7));
            assert_eq!(to_sdk(&read).unwrap(), configuration);
        }
    }

    #[test]
    fn composed_rule_has_every_required_element() {
        let document = document(&composed(&wanted(Some("arn:aws:kms:r:1:key/k"), true)));
        assert_eq!(
            document,
            json!({
                "ID": "id", "Priority": 7, "Status": "Enabled", "Filter": {"Prefix": "a b/"},
                "DeleteMarkerReplication": {"Status": "Enabled"},
                "SourceSelectionCriteria": {"SseKmsEncryptedObjects": {"Status": "Enabled"}},
                "Destination": {
                    "Bucket": "arn:aws:s3:::destination",
                    "EncryptionConfiguration": {"ReplicaKmsKeyID": "arn:aws:kms:r:1:key/k"},
                    "Metrics": {"Status": "Enabled"},
                },
            })
        );
    }

    #[test]
    fn rule_that_sets_more_has_no_terms_and_a_complete_document() {
        let time = ReplicationTimeValue::builder().minutes(15).build();
        let mut rule = composed(&wanted(None, false));
        let destination = Destination::builder()
            .bucket("arn:aws:s3:::other")
            .storage_class(StorageClass::Glacier)
            .replication_time(
                ReplicationTime::builder()
                    .status(ReplicationTimeStatus::Enabled)
                    .time(time.clone())
                    .build()
                    .unwrap(),
            )
            .metrics(
                Metrics::builder()
                    .status(MetricsStatus::Enabled)
                    .event_threshold(time)
                    .build()
                    .unwrap(),
            )
            .build()
            .unwrap();
        rule.destination = Some(destination);
        let tag = Tag::builder().key("k").value("v").build().unwrap();
        let and = ReplicationRuleAndOperator::builder().prefix("p").tags(tag).build();
        rule.filter = Some(ReplicationRuleFilter::builder().and(and).build());
        assert_eq!(terms(&rule), None);
        let document = document(&rule);
        assert_eq!(
            document["Filter"],
            json!({"And": {"Prefix": "p", "Tags": [{"Key": "k", "Value": "v"}]}})
        );
        assert_eq!(
            document["Destination"]["ReplicationTime"],
            json!({"Status": "Enabled", "Time": {"Minutes": 15}})
        );
        assert_eq!(document["Destination"]["StorageClass"], "GLACIER");
    }
}
