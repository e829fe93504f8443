//! Settings of a bucket, converted from the SDK's types.

use aws_sdk_s3::types::{
    BucketAccelerateStatus, EncryptionType, ExpirationStatus, IntelligentTieringStatus, LifecycleRule,
    ObjectLockEnabled, ObjectOwnership as SdkOwnership, Payer, ReplicationRule, ReplicationRuleStatus,
    ServerSideEncryptionConfiguration, ServerSideEncryptionRule,
};
use s3ferry_core::acl::{Grant, Grantee};
use s3ferry_core::bucket_settings::BucketObjectLock;
use s3ferry_core::facts::ExplicitEncryption;
use s3ferry_core::preflight::facts::{
    BucketEncryptionFacts, LifecycleRuleFacts, ObjectOwnership, ReplicationFacts, ReplicationRuleFacts,
};
use s3ferry_core::preflight::{PolicyDocument, Reading, UnknownReading, UnknownReason};

use super::bucket::BucketFactsReader;
use super::reading::{reading_of, required};
use crate::attributes::grant_of;
use crate::bucket_reader::explicit_encryption_of;
use crate::destination::default_retention;

impl BucketFactsReader {
    pub(super) async fn replication(&self) -> Reading<Option<ReplicationFacts>> {
        let answer = self
            .client
            .get_bucket_replication()
            .bucket(self.name().as_str())
            .send()
            .await;
        let read = reading_of(
            answer,
            "s3:GetReplicationConfiguration",
            &["ReplicationConfigurationNotFoundError"],
        );
        read.map(|answer| {
            let configuration = answer?.replication_configuration?;
            Some(ReplicationFacts {
                rules: configuration.rules().iter().map(replication_rule).collect(),
                role: configuration.role,
            })
        })
    }

    pub(super) async fn encryption(&self) -> Reading<BucketEncryptionFacts> {
        let answer = self
            .client
            .get_bucket_encryption()
            .bucket(self.name().as_str())
            .send()
            .await;
        let absent = ["ServerSideEncryptionConfigurationNotFoundError"];
        reading_of(answer, "s3:GetEncryptionConfiguration", &absent).map(|answer| {
            let configuration = answer.and_then(|answer| answer.server_side_encryption_configuration);
            let rule = configuration.as_ref().map(ServerSideEncryptionConfiguration::rules);
            encryption(rule.and_then(<[_]>::first))
        })
    }

    pub(super) async fn policy(&self) -> Reading<Option<PolicyDocument>> {
        const ACTION: &str = "s3:GetBucketPolicy";
        let answer = self
            .client
            .get_bucket_policy()
            .bucket(self.name().as_str())
            .send()
            .await;
        let text = match reading_of(answer, ACTION, &["NoSuchBucketPolicy"]) {
            Reading::Known(answer) => answer.and_then(|answer| answer.policy),
            Reading::Unknown(unknown) => return Reading::Unknown(unknown),
        };
        text.map_or(Reading::Known(None), |text| parsed_policy(&text, ACTION).map(Some))
    }

    pub(super) async fn ownership(&self) -> Reading<ObjectOwnership> {
        let answer = self
            .client
            .get_bucket_ownership_controls()
            .bucket(self.name().as_str())
            .send()
            .await;
        let read = reading_of(
            answer,
            "s3:GetBucketOwnershipControls",
            &["OwnershipControlsNotFoundError"],
        );
        read.map(|answer| {
            let controls = answer.and_then(|answer| answer.ownership_controls);
            let rule = controls.as_ref().and_then(|controls| controls.rules().first());
            match rule.map(aws_sdk_s3::types::OwnershipControlsRule::object_ownership) {
                Some(SdkOwnership::BucketOwnerEnforced) => ObjectOwnership::BucketOwnerEnforced,
                Some(SdkOwnership::BucketOwnerPreferred) => ObjectOwnership::BucketOwnerPreferred,
                _ => ObjectOwnership::ObjectWriter,
            }
        })
    }

    pub(super) async fn grants(&self) -> Reading<Vec<Grant>> {
        let answer = self.client.get_bucket_acl().bucket(self.name().as_str()).send().await;
        required(answer, "s3:GetBucketAcl").map(|answer| {
            let owner = answer.owner().and_then(aws_sdk_s3::types::Owner::id);
            let is_owners =
                |grant: &Grant| matches!(&grant.grantee, Grantee::Account(id) if Some(id.as_str()) == owner);
            let grants = answer.grants().iter().filter_map(grant_of);
            grants.filter(|grant| !is_owners(grant)).collect()
        })
    }

    pub(super) async fn object_lock(&self) -> Reading<Option<BucketObjectLock>> {
        let answer = self
            .client
            .get_object_lock_configuration()
            .bucket(self.name().as_str())
            .send()
            .await;
        let absent = ["ObjectLockConfigurationNotFoundError"];
        reading_of(answer, "s3:GetBucketObjectLockConfiguration", &absent).map(|answer| {
            let configuration = answer?.object_lock_configuration?;
            let is_enabled = configuration.object_lock_enabled() == Some(&ObjectLockEnabled::Enabled);
            is_enabled.then(|| BucketObjectLock {
                default: default_retention(&configuration),
            })
        })
    }

    pub(super) async fn lifecycle(&self) -> Reading<Vec<LifecycleRuleFacts>> {
        let answer = self
            .client
            .get_bucket_lifecycle_configuration()
            .bucket(self.name().as_str())
            .send()
            .await;
        reading_of(
            answer,
            "s3:GetLifecycleConfiguration",
            &["NoSuchLifecycleConfiguration"],
        )
        .map(|answer| answer.map_or_else(Vec::new, |answer| answer.rules().iter().map(lifecycle_rule).collect()))
    }

    pub(super) async fn requester_pays(&self) -> Reading<bool> {
        let answer = self
            .client
            .get_bucket_request_payment()
            .bucket(self.name().as_str())
            .send()
            .await;
        required(answer, "s3:GetBucketRequestPayment").map(|answer| answer.payer() == Some(&Payer::Requester))
    }

    pub(super) async fn accelerated(&self) -> Reading<bool> {
        let request = self.client.get_bucket_accelerate_configuration();
        let answer = request.bucket(self.name().as_str()).send().await;
        required(answer, "s3:GetAccelerateConfiguration")
            .map(|answer| answer.status() == Some(&BucketAccelerateStatus::Enabled))
    }

    pub(super) async fn logging_target(&self) -> Reading<Option<String>> {
        let answer = self
            .client
            .get_bucket_logging()
            .bucket(self.name().as_str())
            .send()
            .await;
        required(answer, "s3:GetBucketLogging").map(|answer| {
            answer
                .logging_enabled()
                .map(|logging| logging.target_bucket().to_owned())
        })
    }

    pub(super) async fn inventories(&self) -> Reading<Vec<String>> {
        let request = self.client.list_bucket_inventory_configurations();
        let answer = request.bucket(self.name().as_str()).send().await;
        required(answer, "s3:GetInventoryConfiguration").map(|answer| {
            let configurations = answer.inventory_configuration_list().iter();
            configurations
                .map(|configuration| configuration.id().to_owned())
                .collect()
        })
    }

    pub(super) async fn archive_tierings(&self) -> Reading<Vec<String>> {
        let request = self.client.list_bucket_intelligent_tiering_configurations();
        let answer = request.bucket(self.name().as_str()).send().await;
        required(answer, "s3:GetIntelligentTieringConfiguration").map(|answer| {
            let configurations = answer.intelligent_tiering_configuration_list().iter();
            let archiving = configurations.filter(|configuration| {
                *configuration.status() == IntelligentTieringStatus::Enabled && !configuration.tierings().is_empty()
            });
            archiving.map(|configuration| configuration.id().to_owned()).collect()
        })
    }
}

/// Parses a policy; one that cannot be parsed is unknown.
pub(super) fn parsed_policy(text: &str, action: &str) -> Reading<PolicyDocument> {
    match PolicyDocument::parse(text) {
        Ok(policy) => Reading::Known(policy),
        Err(error) => Reading::Unknown(UnknownReading {
            reason: UnknownReason::Failed,
            action: action.to_owned(),
            detail: error.to_string(),
        }),
    }
}

fn encryption(rule: Option<&ServerSideEncryptionRule>) -> BucketEncryptionFacts {
    let blocked = rule.and_then(ServerSideEncryptionRule::blocked_encryption_types);
    BucketEncryptionFacts {
        default: rule.map_or(ExplicitEncryption::Managed, explicit_encryption_of),
        blocks_customer_keys: blocked.is_some_and(|blocked| blocked.encryption_type().contains(&EncryptionType::SseC)),
    }
}

fn replication_rule(rule: &ReplicationRule) -> ReplicationRuleFacts {
    ReplicationRuleFacts {
        id: rule.id().unwrap_or("without an Id").to_owned(),
        enabled: *rule.status() == ReplicationRuleStatus::Enabled,
        has_filter: rule.filter().is_some(),
        destination_arn: rule
            .destination()
            .map(|destination| destination.bucket().to_owned())
            .unwrap_or_default(),
    }
}

#[expect(deprecated, reason = "old rules have their prefix outside of a filter")]
fn lifecycle_rule(rule: &LifecycleRule) -> LifecycleRuleFacts {
    let days = |days: Option<i32>| days.and_then(|days| u32::try_from(days).ok());
    let filter = rule.filter();
    let of_filter = filter.and_then(|filter| filter.prefix().or_else(|| filter.and()?.prefix()));
    let expiration = rule.expiration();
    LifecycleRuleFacts {
        id: rule.id().unwrap_or("without an ID").to_owned(),
        enabled: *rule.status() == ExpirationStatus::Enabled,
        prefix: of_filter.or(rule.prefix()).unwrap_or_default().to_owned(),
        expires_after_days: expiration.and_then(|expiration| days(expiration.days())),
        expires_at_date: expiration.is_some_and(|expiration| expiration.date().is_some()),
        transitions: rule
            .transitions()
            .iter()
            .map(|transition| {
                let class = transition.storage_class().map(|class| class.as_str().to_owned());
                (days(transition.days()), class.unwrap_or_default())
            })
            .collect(),
        noncurrent_expires_after_days: rule
            .noncurrent_version_expiration()
            .and_then(|expiration| days(expiration.noncurrent_days())),
        aborts_uploads_after_days: rule
            .abort_incomplete_multipart_upload()
            .and_then(|abort| days(abort.days_after_initiation())),
    }
}
