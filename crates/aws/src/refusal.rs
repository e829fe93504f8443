//! Why a HEAD was refused: a HEAD has no body, so a request that has one is judged instead.

use s3ferry_core::names::ObjectKey;
use s3ferry_core::versions::VersionName;

use crate::bucket_reader::BucketReader;
use crate::classify::ErrorAnswer;

impl BucketReader {
    /// Asks for the first byte of an object whose HEAD was `refused`, which takes the same permissions, and returns what
    /// the answer says: expired credentials and an object under a customer-provided key both answer a HEAD with 400. Any
    /// other status says enough.
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
        let asked = self
            .client
            .get_object()
            .bucket(self.bucket.as_str())
            .key(key.as_str())
            .set_version_id(version.map(ToString::to_string))
            .range("bytes=0-0")
            .set_expected_bucket_owner(self.owner())
            .send()
            .await;
        let answer = match &asked {
            Ok(_) => return unconfirmed(refused),
            Err(error) => ErrorAnswer::of(error),
        };
        match (answer.status, answer.code.as_deref()) {
            (Some(400), Some("InvalidRequest")) => ErrorAnswer {
                code: Some("CustomerKeyEncrypted".to_owned()),
                message: format!(
                    "the object is encrypted with a customer-provided key (SSE-C), which s3ferry does not have: {}",
                    answer.message
                ),
                ..answer
            },
            // The object is gone by now, or is empty: it can be read.
            (Some(404 | 416), _) => unconfirmed(refused),
            _ => answer,
        }
    }
}

/// A denial stands although the other request was allowed. A 400 that is not repeated says nothing of the object.
fn unconfirmed(refused: ErrorAnswer) -> ErrorAnswer {
    if refused.status == Some(403) {
        return refused;
    }
    ErrorAnswer {
        code: Some("UnconfirmedRefusal".to_owned()),
        status: None,
        message: "a HEAD was answered with 400, and the GET after it was not refused".to_owned(),
        unanswered: false,
        expected_owner: None,
    }
}
