//! Multipart uploads at the destination.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html>

use aws_sdk_s3::types::{
    ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart, EncodingType, Initiator, MultipartUpload, Owner,
    Part as ListedPart,
};
use s3ferry_core::failure::{Failure, FailureCode, FailureKind};
use s3ferry_core::names::{ETag, ObjectKey, VersionId};
use s3ferry_core::order::{SourcePin, UploadParameters, WriteCondition};
use s3ferry_core::plan::{PlannedPart, SMALLEST_PART_BYTES};
use s3ferry_core::time::Timestamp;
use s3ferry_core::upload::{ListedUpload, UploadId};
use s3ferry_engine::ports::{CopiedPart, MultipartUploads, UploadCompletion, WriteError, WrittenObject};

use crate::checksum::{by_algorithm, completed, only, type_of};
use crate::classify::{AttemptedOperation, ErrorAnswer};
use crate::destination::{S3Destination, unreadable};
use crate::listing::is_key;
use crate::timeouts;

impl MultipartUploads for S3Destination {
    async fn create_upload(&self, key: &ObjectKey, terms: &UploadParameters) -> Result<UploadId, WriteError> {
        let attempted = self.write_attempted(key);
        let headers = self.headers(key, &terms.explicit).await?;
        let checksum = terms.explicit.checksum;
        let request = self
            .writing
            .create_multipart_upload()
            .bucket(self.reading.bucket.as_str())
            .key(key.as_str())
            .set_checksum_algorithm(checksum.map(|checksum| ChecksumAlgorithm::from(checksum.algorithm)))
            .set_checksum_type(checksum.map(|checksum| type_of(checksum.coverage)))
            .customize();
        let sent = request.map_request(move |request| headers.set_on(request)).send().await;
        let answer = sent.map_err(|error| ErrorAnswer::of(&error).into_write_error(&attempted))?;
        let id = answer.upload_id().and_then(UploadId::new);
        id.ok_or_else(|| unreadable(attempted, "the response of CreateMultipartUpload has no upload id"))
    }

    async fn copy_part(
        &self,
        key: &ObjectKey,
        upload_id: &UploadId,
        pin: &SourcePin,
        part: &PlannedPart,
    ) -> Result<CopiedPart, WriteError> {
        let attempted = self.write_attempted(key);
        let request = self
            .copying
            .upload_part_copy()
            .bucket(self.reading.bucket.as_str())
            .key(key.as_str())
            .upload_id(upload_id.as_str())
            .part_number(number_of(part.number))
            .copy_source(self.copy_source(key, pin))
            .copy_source_if_match(pin.etag.quoted())
            .set_copy_source_range(range_of(part))
            .set_expected_source_bucket_owner(self.source.owner())
            .customize();
        let sent = timeouts::copying(request, part.size_bytes).send().await;
        let answer = sent.map_err(|error| ErrorAnswer::of(&error).into_write_error(&attempted))?;
        let result = answer.copy_part_result();
        let etag = result.and_then(|result| ETag::new(result.e_tag()?).ok());
        Ok(CopiedPart {
            number: part.number,
            size_bytes: part.size_bytes,
            etag: etag.ok_or_else(|| unreadable(attempted, "the response of UploadPartCopy has no result"))?,
            checksum: result.and_then(|result| only(by_algorithm!(result))),
        })
    }

    async fn list_parts(&self, key: &ObjectKey, upload_id: &UploadId) -> Result<Option<Vec<CopiedPart>>, Failure> {
        let attempted = self.reading.attempted(key, "s3:ListMultipartUploadParts");
        let mut parts = Vec::new();
        let mut marker = None;
        loop {
            let answer = self
                .reading
                .client
                .list_parts()
                .bucket(self.reading.bucket.as_str())
                .key(key.as_str())
                .upload_id(upload_id.as_str())
                .set_part_number_marker(marker)
                .send()
                .await;
            let page = match answer {
                Ok(page) => page,
                Err(error) => {
                    let answer = ErrorAnswer::of(&error);
                    if is_no_upload(&answer) {
                        return Ok(None);
                    }
                    return Err(answer.into_failure(&attempted));
                }
            };
            for part in page.parts() {
                parts.push(copied(part).ok_or_else(|| incomplete(&attempted, "ListParts"))?);
            }
            marker = page.next_part_number_marker().map(str::to_owned);
            if page.is_truncated() != Some(true) || marker.is_none() || page.parts().is_empty() {
                return Ok(Some(parts));
            }
        }
    }

    /// Lists the uploads of exactly this key. S3 lists them before those of longer keys.
    ///
    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListMultipartUploads.html>
    async fn list_uploads(&self, key: &ObjectKey) -> Result<Vec<ListedUpload>, Failure> {
        let attempted = self.reading.bucket_attempted("s3:ListBucketMultipartUploads");
        let mut uploads = Vec::new();
        let mut last: Option<String> = None;
        loop {
            let answer = self
                .reading
                .client
                .list_multipart_uploads()
                .bucket(self.reading.bucket.as_str())
                .prefix(key.as_str())
                // XML cannot represent every key.
                .encoding_type(EncodingType::Url)
                .set_key_marker(last.as_ref().map(|_| key.to_string()))
                .set_upload_id_marker(last)
                .send()
                .await;
            let page = answer.map_err(|error| ErrorAnswer::of(&error).into_failure(&attempted))?;
            let is_encoded = page.encoding_type() == Some(&EncodingType::Url);
            let listed = page.uploads().len();
            let of_key = page
                .uploads()
                .iter()
                .filter(|upload| is_key(upload.key(), is_encoded, key));
            let before = uploads.len();
            for upload in of_key {
                uploads.push(listed_upload(upload).ok_or_else(|| incomplete(&attempted, "ListMultipartUploads"))?);
            }
            last = page.next_upload_id_marker().map(str::to_owned);
            // After an upload of a longer key, no upload of this key follows.
            let has_more = listed > 0 && uploads.len() == before + listed;
            if page.is_truncated() != Some(true) || !has_more || last.is_none() {
                return Ok(uploads);
            }
        }
    }

    async fn complete_upload(
        &self,
        key: &ObjectKey,
        upload_id: &UploadId,
        completion: &UploadCompletion,
    ) -> Result<WrittenObject, WriteError> {
        let attempted = self.write_attempted(key);
        let parts = completion.parts.iter().map(|part| {
            let named = CompletedPart::builder()
                .part_number(number_of(part.number))
                .e_tag(part.etag.quoted());
            completed(named, part.checksum.as_ref()).build()
        });
        let upload = CompletedMultipartUpload::builder()
            .set_parts(Some(parts.collect()))
            .build();
        let request = self
            .writing
            .complete_multipart_upload()
            .bucket(self.reading.bucket.as_str())
            .key(key.as_str())
            .upload_id(upload_id.as_str())
            .multipart_upload(upload)
            .set_mpu_object_size(i64::try_from(completion.size_bytes).ok())
            .set_checksum_type(completion.checksum.map(|checksum| type_of(checksum.coverage)));
        let request = match &completion.condition {
            WriteCondition::Absent => request.if_none_match("*"),
            WriteCondition::Matches(etag) => request.if_match(etag.quoted()),
        };
        let request = timeouts::completing(request.customize(), completion.parts.len());
        let sent = request.send().await;
        let answer = sent.map_err(|error| ErrorAnswer::of(&error).into_write_error(&attempted))?;
        let etag = answer.e_tag().and_then(|etag| ETag::new(etag).ok());
        Ok(WrittenObject {
            version_id: answer.version_id().and_then(VersionId::pinnable),
            etag: etag.ok_or_else(|| unreadable(attempted, "the response of CompleteMultipartUpload has no ETag"))?,
            source_version_id: None,
            last_modified: None,
        })
    }

    async fn abort_upload(&self, key: &ObjectKey, upload_id: &UploadId) -> Result<(), Failure> {
        let answer = self
            .copying
            .abort_multipart_upload()
            .bucket(self.reading.bucket.as_str())
            .key(key.as_str())
            .upload_id(upload_id.as_str())
            .send()
            .await;
        let Err(error) = answer else { return Ok(()) };
        let answer = ErrorAnswer::of(&error);
        if is_no_upload(&answer) {
            return Ok(());
        }
        Err(answer.into_failure(&self.reading.attempted(key, "s3:AbortMultipartUpload")))
    }
}

fn is_no_upload(answer: &ErrorAnswer) -> bool {
    answer.code == Some(FailureCode::NoSuchUpload)
}

fn number_of(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// Returns the range of a part, or `None` if the part is the whole object.
///
/// S3 copies a range only from an object larger than 5 MB. A first part below the minimum part size is the whole
/// object.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPartCopy.html>
fn range_of(part: &PlannedPart) -> Option<String> {
    let is_whole = part.number == 1 && part.size_bytes < SMALLEST_PART_BYTES;
    let range = part.range();
    (!is_whole).then(|| format!("bytes={}-{}", range.start(), range.end()))
}

fn copied(part: &ListedPart) -> Option<CopiedPart> {
    Some(CopiedPart {
        number: u32::try_from(part.part_number()?).ok()?,
        size_bytes: u64::try_from(part.size()?).ok()?,
        etag: ETag::new(part.e_tag()?).ok()?,
        checksum: only(by_algorithm!(part)),
    })
}

fn listed_upload(upload: &MultipartUpload) -> Option<ListedUpload> {
    let owner = upload.owner().and_then(Owner::id);
    // An initiator that is the account itself identifies no user or role.
    let initiator = upload
        .initiator()
        .and_then(Initiator::id)
        .filter(|id| Some(*id) != owner);
    let begun = upload.initiated()?.to_millis().ok()?;
    Some(ListedUpload {
        id: UploadId::new(upload.upload_id()?)?,
        initiator: initiator.map(str::to_owned),
        begun: Timestamp::from_millis(begun),
    })
}

fn incomplete(attempted: &AttemptedOperation, answer: &str) -> Failure {
    Failure {
        kind: FailureKind::Retry,
        code: "UnreadableAnswer".into(),
        action: attempted.action.to_owned(),
        resource: attempted.resource.clone(),
        detail: format!("the response of {answer} has an entry without a required field"),
    }
}
