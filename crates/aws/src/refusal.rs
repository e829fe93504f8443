//! The reason why a HEAD was refused. A HEAD response has no body, so a GET finds the reason.

use s3ferry_core::failure::FailureCode;
use s3ferry_core::names::ObjectKey;
use s3ferry_core::versions::VersionName;

use crate::bucket_reader::BucketReader;
use crate::classify::ErrorAnswer;

impl BucketReader {
    /// Returns the reason why the HEAD of an object was `refused`.
    ///
    /// Requests the first byte of the object, which needs the same permissions as the HEAD, and returns the error of
    /// that request. S3 answers a HEAD with 400 both for expired credentials and for an object under a
    /// customer-provided key. Any other status is unambiguous.
    ///
    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html>
    pub(crate) async fn refusal(
        &self,
        key: &ObjectKey,
        version: Option<&VersionName>,
        refused: ErrorAnswer,
    ) -> ErrorAnswer {
        if !matches!(refused.status, Some(400 | 403)) || refused.code.is_some() {
            return refused;
        }
        let probe = self
            .client
            .get_object()
            .bucket(self.bucket.as_str())
            .key(key.as_str())
            .set_version_id(version.map(ToString::to_string))
            .range("bytes=0-0")
            .set_expected_bucket_owner(self.owner())
            .send()
            .await;
        let answer = match &probe {
            Ok(_) => return unconfirmed(refused),
            Err(error) => ErrorAnswer::of(error),
        };
        match (answer.status, &answer.code) {
            (Some(400), Some(FailureCode::InvalidRequest)) => ErrorAnswer {
                code: Some(FailureCode::CustomerKeyEncrypted),
                message: format!(
                    "the object is encrypted with a customer-provided key (SSE-C), which s3ferry cannot read: {}",
                    answer.message
                ),
                ..answer
            },
            // The object was deleted in the meantime, or is empty: it is readable.
            (Some(404 | 416), _) => unconfirmed(refused),
            _ => answer,
        }
    }
}

/// Returns the refusal if the GET was allowed. A denial remains; a 400 that does not recur says nothing of the object.
fn unconfirmed(refused: ErrorAnswer) -> ErrorAnswer {
    if refused.status == Some(403) {
        return refused;
    }
    ErrorAnswer {
        code: Some("UnconfirmedRefusal".into()),
        status: None,
        message: "S3 answered the HEAD with 400, and the GET that followed succeeded".to_owned(),
        unanswered: false,
        expected_owner: None,
    }
}
