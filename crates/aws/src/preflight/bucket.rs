//! All facts of one bucket.

use aws_sdk_s3::Client;
use s3ferry_core::failure::{Failure, FailureCode};
use s3ferry_core::names::{AccountId, BucketName, Region};
use s3ferry_core::preflight::facts::{BucketExistence, BucketFacts};
use s3ferry_core::preflight::{ExpectedBucket, Reading, VersionSample};
use s3ferry_core::wiring::Versioning;

use super::reading::required;
use super::{region_of, versioning_of};
use crate::client::Clients;
use crate::wiring::notification;

/// Reads the configuration and the versions of one bucket.
#[derive(Debug, Clone)]
pub struct BucketFactsReader {
    pub(super) client: Client,
    expected: ExpectedBucket,
    /// Region in which the bucket is.
    region: Region,
    existence: Reading<BucketExistence>,
}

impl BucketFactsReader {
    /// Finds out whether the bucket exists, and where.
    ///
    /// Fails if no request can succeed: without usable credentials, or if the endpoint does not respond.
    pub async fn open(clients: &Clients, expected: ExpectedBucket) -> Result<Self, Failure> {
        let asking = clients.s3_for_reading(&expected.region);
        let existence = existence(&asking, &expected).await?;
        let found = match &existence {
            Reading::Known(BucketExistence::Exists { region }) => region.clone(),
            _ => None,
        };
        let region = found.and_then(|found| Region::new(found).ok());
        let region = region.unwrap_or_else(|| expected.region.clone());
        let client = clients.expecting(expected.owner.as_ref()).s3_for_reading(&region);
        Ok(Self {
            client,
            expected,
            region,
            existence,
        })
    }

    /// Returns the region in which the bucket is.
    #[must_use]
    pub fn region(&self) -> &Region {
        &self.region
    }

    /// Returns whether the bucket exists and the expected account owns it.
    #[must_use]
    pub fn exists(&self) -> bool {
        matches!(self.existence, Reading::Known(BucketExistence::Exists { .. }))
    }

    pub(super) fn name(&self) -> &BucketName {
        &self.expected.name
    }

    /// Reads all facts.
    pub async fn read(&self, clients: &Clients, caller: &Reading<AccountId>) -> BucketFacts {
        let (is_callers, versioning, notification) =
            futures::join!(self.is_callers(clients, caller), self.versioning(), self.notification());
        let (replication, encryption, policy, ownership) =
            futures::join!(self.replication(), self.encryption(), self.policy(), self.ownership());
        let (grants, object_lock, lifecycle, requester_pays) = futures::join!(
            self.grants(),
            self.object_lock(),
            self.lifecycle(),
            self.requester_pays()
        );
        let (accelerated, logging_target, inventories, archive_tierings, uploads) = futures::join!(
            self.accelerated(),
            self.logging_target(),
            self.inventories(),
            self.archive_tierings(),
            self.uploads()
        );
        BucketFacts {
            name: self.expected.name.clone(),
            region: self.expected.region.clone(),
            expected_owner: self.expected.owner.clone(),
            existence: self.existence.clone(),
            is_callers,
            versioning,
            notification,
            replication,
            encryption,
            policy,
            ownership,
            grants,
            object_lock,
            lifecycle,
            requester_pays,
            accelerated,
            logging_target,
            inventories,
            archive_tierings,
            uploads,
        }
    }

    /// Lists versions with the prefix, `limit` at most.
    pub async fn versions(&self, prefix: &str, limit: u64) -> Reading<VersionSample> {
        self.list_versions(prefix, limit).await
    }

    /// Returns whether the account of the credentials owns the bucket.
    async fn is_callers(&self, clients: &Clients, caller: &Reading<AccountId>) -> Reading<bool> {
        let caller = match caller {
            Reading::Known(caller) => caller,
            Reading::Unknown(unknown) => return Reading::Unknown(unknown.clone()),
        };
        let client = clients.s3_for_reading(&self.region);
        match region_of(&client, self.name(), &self.region, Some(caller)).await {
            Ok(_) => Reading::Known(true),
            Err(failure) if failure.code.is_denial() && self.exists() => Reading::Known(false),
            Err(failure) => Reading::Unknown(failure.into()),
        }
    }

    async fn versioning(&self) -> Reading<Versioning> {
        let answer = self
            .client
            .get_bucket_versioning()
            .bucket(self.name().as_str())
            .send()
            .await;
        required(answer, "s3:GetBucketVersioning").map(|answer| versioning_of(answer.status()))
    }

    async fn notification(&self) -> Reading<s3ferry_core::wiring::NotificationConfiguration> {
        let request = self.client.get_bucket_notification_configuration();
        let answer = request.bucket(self.name().as_str()).send().await;
        required(answer, "s3:GetBucketNotification").map(|answer| notification::from_sdk(&answer))
    }
}

async fn existence(client: &Client, expected: &ExpectedBucket) -> Result<Reading<BucketExistence>, Failure> {
    let ExpectedBucket { name, region, owner } = expected;
    let failure = match region_of(client, name, region, owner.as_ref()).await {
        Ok(region) => return Ok(Reading::Known(BucketExistence::Exists { region })),
        Err(failure) => failure,
    };
    if failure.code == FailureCode::NoSuchBucket {
        return Ok(Reading::Known(BucketExistence::Missing));
    }
    let cannot_run = failure.is_of_credentials()
        || matches!(
            failure.code,
            FailureCode::EndpointUnreachable | FailureCode::NoAnswer | FailureCode::ResponseNotFromS3
        );
    if cannot_run {
        return Err(failure);
    }
    if failure.code.is_denial() && owner.is_some() && region_of(client, name, region, None).await.is_ok() {
        return Ok(Reading::Known(BucketExistence::OtherOwner));
    }
    Ok(Reading::Unknown(failure.into()))
}
