//! A bucket's configuration on S3.

use aws_sdk_s3::Client;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{BuildError, ProvideErrorMetadata, SdkError};
use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
use s3ferry_core::failure::{Failure, FailureCode, FailureKind};
use s3ferry_core::names::{AccountId, BucketName, Region};
use s3ferry_core::wiring::{NotificationConfiguration, ReplicationConfiguration, ReplicationTerms, Versioning};
use s3ferry_engine::wiring::BucketConfiguration;

use super::notification;
use super::replication_rule::{self, SdkRule};
use crate::classify::{AttemptedOperation, ErrorAnswer};
use crate::preflight::versioning_of;

/// The configuration of one bucket of one account.
#[derive(Debug, Clone)]
pub struct S3BucketConfiguration {
    pub(super) reading: Client,
    pub(super) writing: Client,
    pub(super) bucket: BucketName,
    pub(super) account: AccountId,
    pub(super) region: Region,
}

impl S3BucketConfiguration {
    fn attempted(&self, action: &'static str) -> AttemptedOperation {
        AttemptedOperation {
            action,
            resource: self.bucket.arn(&self.region),
            when_denied: format!(
                "the role needs {action}, and account {} must own the bucket",
                self.account
            ),
        }
    }

    fn failure<E>(&self, action: &'static str, error: &SdkError<E, HttpResponse>) -> Failure
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        with_transient_kind(ErrorAnswer::of(error).into_failure(&self.attempted(action)))
    }

    fn defect(&self, action: &'static str, error: &BuildError) -> Failure {
        Failure {
            kind: FailureKind::Bug,
            code: "IncompleteRequest".into(),
            action: action.to_owned(),
            resource: self.bucket.arn(&self.region),
            detail: error.to_string(),
        }
    }
}

/// Messages of refusals that end by themselves, once an earlier change of other settings has reached S3.
///
/// S3 returns the error code of a permanent mistake, so only the message identifies them.
const TRANSIENT: [&str; 2] = [
    // An SQS queue policy takes up to a minute to take effect.
    // https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html
    "Unable to validate the following destination configurations",
    // Versioning was enabled a moment ago.
    "Versioning must be 'Enabled' on the bucket",
];

/// Actions that are needed to write a replication configuration.
const PUT_REPLICATION: &str = "s3:PutReplicationConfiguration and iam:PassRole on the replication role";

fn with_transient_kind(mut failure: Failure) -> Failure {
    if TRANSIENT.iter().any(|sentence| failure.detail.contains(sentence)) {
        failure.kind = FailureKind::Retry;
    }
    failure
}

impl BucketConfiguration for S3BucketConfiguration {
    type Rule = SdkRule;

    async fn versioning(&self) -> Result<Versioning, Failure> {
        let answer = self
            .reading
            .get_bucket_versioning()
            .bucket(self.bucket.as_str())
            .expected_bucket_owner(self.account.as_str())
            .send()
            .await
            .map_err(|error| self.failure("s3:GetBucketVersioning", &error))?;
        Ok(versioning_of(answer.status()))
    }

    async fn enable_versioning(&self) -> Result<(), Failure> {
        let enabled = VersioningConfiguration::builder()
            .status(BucketVersioningStatus::Enabled)
            .build();
        self.writing
            .put_bucket_versioning()
            .bucket(self.bucket.as_str())
            .expected_bucket_owner(self.account.as_str())
            .versioning_configuration(enabled)
            .send()
            .await
            .map_err(|error| self.failure("s3:PutBucketVersioning", &error))?;
        Ok(())
    }

    async fn notification(&self) -> Result<NotificationConfiguration, Failure> {
        let answer = self
            .reading
            .get_bucket_notification_configuration()
            .bucket(self.bucket.as_str())
            .expected_bucket_owner(self.account.as_str())
            .send()
            .await
            .map_err(|error| self.failure("s3:GetBucketNotification", &error))?;
        Ok(notification::from_sdk(&answer))
    }

    async fn put_notification(&self, configuration: &NotificationConfiguration, check: bool) -> Result<(), Failure> {
        const ACTION: &str = "s3:PutBucketNotification";
        let configuration = notification::to_sdk(configuration).map_err(|error| self.defect(ACTION, &error))?;
        self.writing
            .put_bucket_notification_configuration()
            .bucket(self.bucket.as_str())
            .expected_bucket_owner(self.account.as_str())
            .notification_configuration(configuration)
            .skip_destination_validation(!check)
            .send()
            .await
            .map_err(|error| self.failure(ACTION, &error))?;
        Ok(())
    }

    async fn replication(&self) -> Result<Option<ReplicationConfiguration<SdkRule>>, Failure> {
        let answer = self
            .reading
            .get_bucket_replication()
            .bucket(self.bucket.as_str())
            .expected_bucket_owner(self.account.as_str())
            .send()
            .await;
        match answer {
            Ok(answer) => Ok(answer.replication_configuration().map(replication_rule::from_sdk)),
            Err(error) => {
                let code = error.as_service_error().and_then(ProvideErrorMetadata::code);
                if code.map(FailureCode::from) == Some(FailureCode::ReplicationConfigurationNotFoundError) {
                    return Ok(None);
                }
                Err(self.failure("s3:GetReplicationConfiguration", &error))
            }
        }
    }

    async fn put_replication(&self, configuration: Option<&ReplicationConfiguration<SdkRule>>) -> Result<(), Failure> {
        // S3 requires the same action to remove a configuration.
        // https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteBucketReplication.html
        let Some(configuration) = configuration else {
            self.writing
                .delete_bucket_replication()
                .bucket(self.bucket.as_str())
                .expected_bucket_owner(self.account.as_str())
                .send()
                .await
                .map_err(|error| self.failure("s3:PutReplicationConfiguration", &error))?;
            return Ok(());
        };
        let configuration =
            replication_rule::to_sdk(configuration).map_err(|error| self.defect(PUT_REPLICATION, &error))?;
        self.writing
            .put_bucket_replication()
            .bucket(self.bucket.as_str())
            .expected_bucket_owner(self.account.as_str())
            .replication_configuration(configuration)
            .send()
            .await
            .map_err(|error| self.failure(PUT_REPLICATION, &error))?;
        Ok(())
    }

    fn compose(&self, id: &str, priority: i32, terms: &ReplicationTerms) -> SdkRule {
        SdkRule::composed(id, priority, terms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(detail: &str) -> Failure {
        Failure {
            kind: FailureKind::Permanent,
            code: "InvalidArgument".into(),
            action: "s3:PutBucketNotification".to_owned(),
            resource: "arn:aws:s3:::source".to_owned(),
            detail: detail.to_owned(),
        }
    }

    #[test]
    fn only_transient_refusals_are_retried() {
        let kind = |detail: &str| with_transient_kind(failure(detail)).kind;
        assert_eq!(
            kind("Unable to validate the following destination configurations"),
            FailureKind::Retry
        );
        assert_eq!(
            kind("Versioning must be 'Enabled' on the bucket to apply a replication configuration"),
            FailureKind::Retry
        );
        assert_eq!(kind("Configurations overlap"), FailureKind::Permanent);
        assert_eq!(
            kind("Destination bucket must have versioning enabled."),
            FailureKind::Permanent
        );
    }
}
