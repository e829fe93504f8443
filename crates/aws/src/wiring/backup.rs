//! Backups of bucket configurations in the state bucket.

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use s3ferry_core::failure::{Failure, FailureCode, FailureKind};
use s3ferry_core::names::{AccountId, BucketName, Region};
use s3ferry_engine::wiring::WiringBackup;

use crate::classify::{AttemptedOperation, ErrorAnswer};

/// The prefix of the state bucket with the backups that one owner made of one bucket's configuration.
#[derive(Debug, Clone)]
pub struct StateBucketBackup {
    pub(super) client: Client,
    pub(super) state: BucketName,
    pub(super) account: AccountId,
    pub(super) region: Region,
    pub(super) prefix: String,
}

impl StateBucketBackup {
    fn key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    fn attempted(&self, action: &'static str, name: &str) -> AttemptedOperation {
        AttemptedOperation {
            action,
            resource: format!("{}/{}", self.state.arn(&self.region), self.key(name)),
            when_denied: format!("the role needs {action} on the state bucket's bucket-wiring/*"),
        }
    }

    async fn put(&self, name: &str, text: &str, if_none_match: Option<&str>) -> Result<(), ErrorAnswer> {
        self.client
            .put_object()
            .bucket(self.state.as_str())
            .key(self.key(name))
            .expected_bucket_owner(self.account.as_str())
            .content_type("application/json")
            .set_if_none_match(if_none_match.map(str::to_owned))
            .body(ByteStream::from(text.as_bytes().to_vec()))
            .send()
            .await
            .map(|_| ())
            .map_err(|error| ErrorAnswer::of(&error))
    }
}

impl WiringBackup for StateBucketBackup {
    async fn save_once(&self, name: &str, text: &str) -> Result<(), Failure> {
        match self.put(name, text, Some("*")).await {
            Err(answer) if answer.status == Some(412) => Ok(()),
            saved => saved.map_err(|answer| answer.into_failure(&self.attempted("s3:PutObject", name))),
        }
    }

    async fn save(&self, name: &str, text: &str) -> Result<(), Failure> {
        let saved = self.put(name, text, None).await;
        saved.map_err(|answer| answer.into_failure(&self.attempted("s3:PutObject", name)))
    }

    async fn load(&self, name: &str) -> Result<Option<String>, Failure> {
        let attempted = self.attempted("s3:GetObject", name);
        let answer = self
            .client
            .get_object()
            .bucket(self.state.as_str())
            .key(self.key(name))
            .expected_bucket_owner(self.account.as_str())
            .send()
            .await;
        let object = match answer {
            Ok(object) => object,
            Err(error) => {
                let answer = ErrorAnswer::of(&error);
                if answer.code == Some(FailureCode::NoSuchKey) {
                    return Ok(None);
                }
                return Err(answer.into_failure(&attempted));
            }
        };
        let broken = |code: &str, kind, detail: String| Failure {
            kind,
            code: code.into(),
            action: attempted.action.to_owned(),
            resource: attempted.resource.clone(),
            detail,
        };
        let body = object.body.collect().await;
        let bytes = body
            .map_err(|error| broken("BrokenBody", FailureKind::Retry, error.to_string()))?
            .to_vec();
        let text = String::from_utf8(bytes);
        text.map(Some)
            .map_err(|error| broken("NotUtf8", FailureKind::Configuration, error.to_string()))
    }
}
