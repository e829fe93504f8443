//! Rules of the default event bus.

use aws_sdk_eventbridge::Client;
use s3ferry_core::failure::Failure;
use s3ferry_core::names::{BucketName, Region};
use s3ferry_core::wiring::listens_to_bucket;
use s3ferry_engine::wiring::{EventRules, Listener};

use crate::classify::{AttemptedOperation, ErrorAnswer};

/// End of the description of the template's own rule.
const OF_S3FERRY: &str = "for s3ferry's replication queue";

/// The rules of one region's default event bus, the only bus that S3 sends a bucket's events to.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/EventBridge.html>
#[derive(Debug, Clone)]
pub struct DefaultBusRules {
    client: Client,
    region: Region,
}

impl DefaultBusRules {
    /// Returns the rules, read with the client of a region.
    #[must_use]
    pub fn new(client: Client, region: Region) -> Self {
        Self { client, region }
    }
}

impl EventRules for DefaultBusRules {
    /// Returns the other rules that match the bucket's events. Disabled rules count too, because they may be enabled
    /// again.
    async fn others_listening(&self, bucket: &BucketName, except: &[String]) -> Result<Vec<Listener>, Failure> {
        let mut listening = Vec::new();
        let mut next_token = None;
        loop {
            let page = self
                .client
                .list_rules()
                .set_next_token(next_token)
                .send()
                .await
                .map_err(|error| {
                    ErrorAnswer::of(&error).into_failure(&AttemptedOperation {
                        action: "events:ListRules",
                        resource: format!("the default event bus of {}", self.region),
                        when_denied: "the role needs events:ListRules".to_owned(),
                    })
                })?;
            let others = page.rules().iter().filter_map(|rule| {
                let name = rule.name().unwrap_or_default();
                // A rule without an event pattern runs on a schedule.
                let listens = listens_to_bucket(rule.event_pattern()?, bucket.as_str());
                (listens && !except.iter().any(|own| own == name)).then(|| Listener {
                    name: name.to_owned(),
                    is_of_s3ferry: rule.description().is_some_and(|text| text.ends_with(OF_S3FERRY)),
                })
            });
            listening.extend(others);
            next_token = page.next_token().map(str::to_owned);
            if next_token.is_none() {
                return Ok(listening);
            }
        }
    }
}
