//! s3ferry's notification of the source bucket, which the seal removes and a rollback adds again.

use s3ferry_aws::wiring::{AwsWiring, S3BucketConfiguration};
use s3ferry_core::names::AccountId;
use s3ferry_core::wiring::notification::FilterRule;
use s3ferry_core::wiring::{KeyFilter, NotificationEntry};
use s3ferry_engine::wiring::{BucketConfiguration as _, WiringPorts as _};
use serde::{Deserialize, Serialize};

use crate::exit::CliError;
use crate::sides::BucketPair;

/// The notifications that send events to the queue of a stack.
#[derive(Debug)]
pub(super) struct QueueNotification {
    bucket: S3BucketConfiguration,
    queue_arn: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct StoredEntry {
    id: Option<String>,
    arn: String,
    events: Vec<String>,
    /// Names and values of the rules; none for a filter without a key element.
    filter: Option<Vec<(Option<String>, Option<String>)>>,
}

impl From<&NotificationEntry> for StoredEntry {
    fn from(entry: &NotificationEntry) -> Self {
        let filter = match &entry.filter {
            KeyFilter::Absent | KeyFilter::Empty => None,
            KeyFilter::Rules(rules) => Some(
                rules
                    .iter()
                    .map(|rule| (rule.name.clone(), rule.value.clone()))
                    .collect(),
            ),
        };
        Self {
            id: entry.id.clone(),
            arn: entry.arn.clone(),
            events: entry.events.clone(),
            filter,
        }
    }
}

impl From<StoredEntry> for NotificationEntry {
    fn from(entry: StoredEntry) -> Self {
        let filter = entry.filter.map_or(KeyFilter::Absent, |rules| {
            KeyFilter::Rules(
                rules
                    .into_iter()
                    .map(|(name, value)| FilterRule { name, value })
                    .collect(),
            )
        });
        Self {
            id: entry.id,
            arn: entry.arn,
            events: entry.events,
            filter,
        }
    }
}

impl QueueNotification {
    /// Returns the notifications of a queue, whose account owns the source bucket too.
    pub(super) fn new(sides: &BucketPair, queue_arn: &str) -> Result<Self, CliError> {
        let account = AccountId::new(queue_arn.split(':').nth(4).unwrap_or_default());
        let account = account.map_err(|error| {
            CliError::setup(
                format!("the queue {queue_arn} of the stack: {error}"),
                "pass the source stack with --stack",
            )
        })?;
        let wiring = AwsWiring::new(&sides.clients, sides.source.region.clone());
        Ok(Self {
            bucket: wiring.bucket(&sides.source.location.bucket, &account),
            queue_arn: queue_arn.to_owned(),
        })
    }

    pub(super) async fn read(&self) -> Result<Option<String>, CliError> {
        let configuration = self.bucket.notification().await?;
        let own = configuration.queues.iter().filter(|entry| entry.arn == self.queue_arn);
        let own: Vec<StoredEntry> = own.map(StoredEntry::from).collect();
        if own.is_empty() {
            return Ok(None);
        }
        let text = serde_json::to_string(&own);
        text.map(Some).map_err(|error| CliError::Bug(error.to_string()))
    }

    pub(super) async fn detach(&self) -> Result<(), CliError> {
        let mut configuration = self.bucket.notification().await?;
        let count = configuration.queues.len();
        configuration.queues.retain(|entry| entry.arn != self.queue_arn);
        if configuration.queues.len() == count {
            return Ok(());
        }
        Ok(self.bucket.put_notification(&configuration, false).await?)
    }

    pub(super) async fn attach(&self, stored: &str) -> Result<(), CliError> {
        let entries: Vec<StoredEntry> =
            serde_json::from_str(stored).map_err(|error| CliError::Bug(format!("the stored notification: {error}")))?;
        let mut configuration = self.bucket.notification().await?;
        if configuration.queues.iter().any(|entry| entry.arn == self.queue_arn) {
            return Ok(());
        }
        configuration
            .queues
            .extend(entries.into_iter().map(NotificationEntry::from));
        Ok(self.bucket.put_notification(&configuration, false).await?)
    }
}
