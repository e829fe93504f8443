//! Queue and notification of another team on the source bucket, which s3ferry must not change.

use std::collections::BTreeSet;

use aws_sdk_s3::types::{
    Event, FilterRule, FilterRuleName, NotificationConfiguration, NotificationConfigurationFilter, QueueConfiguration,
    S3KeyFilter,
};
use aws_sdk_sqs::types::QueueAttributeName;
use serde_json::{Value, json};

use crate::bucket::TestBucket;
use crate::emulator::Emulator;
use crate::{ACCOUNT_ID, HarnessError, Result, SOURCE_REGION};

/// `Id` of the existing notification.
pub const NOTIFICATION_ID: &str = "audit-trail";

/// A queue of another team, subscribed to a prefix of the source bucket.
#[derive(Debug)]
pub struct ForeignConsumer {
    client: aws_sdk_sqs::Client,
    queue_url: String,
}

impl ForeignConsumer {
    /// Creates the queue and subscribes it to every creation and removal under `prefix` of `bucket`.
    pub async fn subscribe(emulator: &Emulator, bucket: &TestBucket, prefix: &str) -> Result<Self> {
        let client = emulator.sqs(SOURCE_REGION);
        let name = format!("{NOTIFICATION_ID}-of-{}", bucket.name);
        let arn = format!("arn:aws:sqs:{SOURCE_REGION}:{ACCOUNT_ID}:{name}");
        let created = client
            .create_queue()
            .queue_name(&name)
            .attributes(QueueAttributeName::Policy, policy(&arn, &bucket.name).to_string())
            .send()
            .await
            .map_err(HarnessError::aws(format!("CreateQueue {name}")))?;
        let configuration = QueueConfiguration::builder()
            .id(NOTIFICATION_ID)
            .queue_arn(arn)
            .events(Event::from("s3:ObjectCreated:*"))
            .events(Event::from("s3:ObjectRemoved:*"))
            .filter(prefix_filter(prefix))
            .build()
            .map_err(HarnessError::aws("building a QueueConfiguration"))?;
        bucket
            .set_notification(
                NotificationConfiguration::builder()
                    .queue_configurations(configuration)
                    .build(),
            )
            .await?;
        Ok(Self {
            client,
            queue_url: created.queue_url.unwrap_or_default(),
        })
    }

    /// Receives events from the queue, deletes them, and returns their encoded keys.
    pub async fn take_keys(&self) -> Result<BTreeSet<String>> {
        let received = self
            .client
            .receive_message()
            .queue_url(&self.queue_url)
            .max_number_of_messages(10)
            .send()
            .await
            .map_err(HarnessError::aws("ReceiveMessage"))?;
        let mut keys = BTreeSet::new();
        for message in received.messages() {
            let body: Value =
                serde_json::from_str(message.body().unwrap_or_default()).map_err(HarnessError::json("an event"))?;
            // `s3:TestEvent` has no records.
            let records = body.get("Records").and_then(Value::as_array);
            let key = |record: &Value| {
                record
                    .pointer("/s3/object/key")
                    .and_then(Value::as_str)
                    .map(str::to_owned)
            };
            keys.extend(records.into_iter().flatten().filter_map(key));
            self.client
                .delete_message()
                .queue_url(&self.queue_url)
                .receipt_handle(message.receipt_handle().unwrap_or_default())
                .send()
                .await
                .map_err(HarnessError::aws("DeleteMessage"))?;
        }
        Ok(keys)
    }
}

fn prefix_filter(prefix: &str) -> NotificationConfigurationFilter {
    let rule = FilterRule::builder().name(FilterRuleName::Prefix).value(prefix).build();
    NotificationConfigurationFilter::builder()
        .key(S3KeyFilter::builder().filter_rules(rule).build())
        .build()
}

fn policy(queue_arn: &str, bucket: &str) -> Value {
    json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Allow",
            "Principal": { "Service": "s3.amazonaws.com" },
            "Action": "sqs:SendMessage",
            "Resource": queue_arn,
            "Condition": { "ArnLike": { "aws:SourceArn": format!("arn:aws:s3:::{bucket}") } },
        }],
    })
}
