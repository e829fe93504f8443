//! Versions and multipart uploads of a bucket.

use aws_sdk_s3::operation::list_object_versions::ListObjectVersionsOutput;
use aws_sdk_s3::primitives::DateTime;
use aws_sdk_s3::types::EncodingType;
use s3ferry_core::preflight::facts::UploadFacts;
use s3ferry_core::preflight::{Reading, UnknownReading, UnknownReason, VersionSample};
use s3ferry_core::time::Timestamp;

use super::bucket::BucketFactsReader;
use super::reading::required;
use crate::listing::decoded;

const LIST_VERSIONS: &str = "s3:ListBucketVersions";

impl BucketFactsReader {
    pub(super) async fn list_versions(&self, prefix: &str, limit: u64) -> Reading<VersionSample> {
        let mut sample = VersionSample::default();
        let mut markers = (None, None);
        loop {
            let answer = self
                .client
                .list_object_versions()
                .bucket(self.name().as_str())
                .set_prefix((!prefix.is_empty()).then(|| prefix.to_owned()))
                .set_key_marker(markers.0.take())
                .set_version_id_marker(markers.1.take())
                .encoding_type(EncodingType::Url)
                .send()
                .await;
            let answer = match required(answer, LIST_VERSIONS) {
                Reading::Known(answer) => answer,
                Reading::Unknown(unknown) => return Reading::Unknown(unknown),
            };
            count(&answer, &mut sample);
            if answer.is_truncated() != Some(true) {
                sample.complete = true;
                return Reading::Known(sample);
            }
            if sample.listed >= limit {
                return Reading::Known(sample);
            }
            match next_key(&answer) {
                Ok(key) => markers = (Some(key), answer.next_version_id_marker),
                Err(detail) => {
                    return Reading::Unknown(UnknownReading {
                        reason: UnknownReason::Failed,
                        action: LIST_VERSIONS.to_owned(),
                        detail,
                    });
                }
            }
        }
    }

    pub(super) async fn uploads(&self) -> Reading<UploadFacts> {
        let request = self.client.list_multipart_uploads().bucket(self.name().as_str());
        let answer = request.encoding_type(EncodingType::Url).send().await;
        required(answer, "s3:ListBucketMultipartUploads").map(|answer| UploadFacts {
            listed: answer.uploads().len() as u64,
            more: answer.is_truncated() == Some(true),
            oldest: answer
                .uploads()
                .iter()
                .filter_map(|upload| upload.initiated().map(timestamp))
                .min(),
        })
    }
}

fn next_key(answer: &ListObjectVersionsOutput) -> Result<String, String> {
    let marker = answer
        .next_key_marker()
        .ok_or("the truncated response has no NextKeyMarker")?;
    if answer.encoding_type() == Some(&EncodingType::Url) {
        decoded(marker)
    } else {
        Ok(marker.to_owned())
    }
}

fn count(answer: &ListObjectVersionsOutput, sample: &mut VersionSample) {
    for version in answer.versions() {
        sample.listed += 1;
        if version.is_latest() == Some(false) {
            sample.noncurrent += 1;
            let bytes = version.size().and_then(|size| u64::try_from(size).ok());
            sample.noncurrent_bytes = sample.noncurrent_bytes.saturating_add(bytes.unwrap_or_default());
        }
        let has_id = version.version_id().is_some_and(|id| id != "null");
        let time = version.last_modified().map(timestamp).filter(|_| has_id);
        sample.oldest_with_id = [sample.oldest_with_id, time].into_iter().flatten().min();
    }
    let markers = answer.delete_markers().len() as u64;
    sample.listed += markers;
    sample.delete_markers += markers;
}

fn timestamp(time: &DateTime) -> Timestamp {
    Timestamp::from_seconds(time.secs())
}
