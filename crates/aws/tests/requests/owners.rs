//! The expected bucket owner.

use s3ferry_core::facts::AttributeSet;
use s3ferry_core::order::WriteCondition;
use s3ferry_engine::ports::{DestinationObjects as _, MultipartUploads as _, SourceBucket as _, UploadJournal as _};

use crate::recorded::{
    COPIED, DESTINATION_OWNER, HEAD_OK, Recorded, SOURCE_OWNER, answer, error, etag, key, order, pin,
};

const EXPECTED: &str = "x-amz-expected-bucket-owner";

#[tokio::test]
async fn requests_name_the_expected_owner_of_each_bucket() {
    let uploads = "<ListMultipartUploadsResult><IsTruncated>false</IsTruncated></ListMultipartUploadsResult>";
    let recorded = Recorded::new([
        HEAD_OK,
        answer(200, &[], COPIED),
        answer(204, &[], ""),
        answer(200, &[], uploads),
        answer(204, &[], ""),
        error(404, "ObjectLockConfigurationNotFoundError"),
        HEAD_OK,
        error(404, "NoSuchKey"),
        answer(204, &[], ""),
    ]);
    let destination = recorded.destination();
    destination.read(&key(), &AttributeSet::new()).await.unwrap();
    destination.copy(&key(), &order(WriteCondition::Absent)).await.unwrap();
    destination.delete(&key(), &etag("aa")).await.unwrap();
    destination.list_uploads(&key()).await.unwrap();
    let upload = s3ferry_core::upload::UploadId::new("upload").unwrap();
    destination.abort_upload(&key(), &upload).await.unwrap();
    destination.object_lock().await.unwrap();
    for request in 0..6 {
        recorded.assert_headers(request, &[(EXPECTED, Some(DESTINATION_OWNER))]);
    }
    recorded.assert_headers(1, &[("x-amz-source-expected-bucket-owner", Some(SOURCE_OWNER))]);
    let signed = recorded.header(1, "authorization").unwrap();
    assert!(signed.contains(EXPECTED), "{signed}");
    recorded.source().read(&key(), &AttributeSet::new()).await.unwrap();
    let journal = recorded.journal();
    assert_eq!(journal.load(&key()).await.unwrap(), None);
    journal.remove(&key(), &pin().etag).await.unwrap();
    for request in 6..9 {
        recorded.assert_headers(request, &[(EXPECTED, Some(SOURCE_OWNER))]);
    }
}
