//! Timeouts: a request without a response ends after a time that fits its work.

use std::time::Duration;

use aws_smithy_http_client::test_util::NeverClient;
use s3ferry_aws::destination::S3Destination;
use s3ferry_core::facts::AttributeSet;
use s3ferry_core::failure::Failure;
use s3ferry_core::order::{CopyOrder, UploadParameters, WriteCondition};
use s3ferry_core::plan::PlannedPart;
use s3ferry_core::upload::UploadId;
use s3ferry_engine::ports::{
    CopiedPart, DestinationObjects as _, MultipartUploads as _, SourceBucket as _, UploadCompletion, WriteError,
};
use tokio::time::Instant;

use crate::recorded::{clients, destination_of, etag, explicit, key, order, pin, source_of};

const GIB: u64 = 1024 * 1024 * 1024;

fn silent() -> S3Destination {
    destination_of(&clients(NeverClient::new()))
}

/// Waits for the end of a write that is sent once.
async fn check_write<T: std::fmt::Debug>(seconds: u64, write: impl Future<Output = Result<T, WriteError>>) {
    let begun = Instant::now();
    let error = write.await.unwrap_err();
    assert!(matches!(error, WriteError::OutcomeUnknown(_)), "{error:?}");
    assert_eq!(begun.elapsed().as_secs(), seconds);
}

/// Waits for the end of a request that is retried, with the backoff in between.
async fn check_retried<T: std::fmt::Debug, E>(seconds: u64, request: impl Future<Output = Result<T, E>>) {
    let begun = Instant::now();
    assert!(request.await.is_err());
    let took = begun.elapsed();
    let least = Duration::from_secs(seconds);
    assert!((least..least + Duration::from_mins(1)).contains(&took), "{took:?}");
}

fn of_size(size_bytes: u64) -> CopyOrder {
    CopyOrder {
        size_bytes,
        ..order(WriteCondition::Absent)
    }
}

fn completion(parts: u32) -> UploadCompletion {
    let part = |number| CopiedPart {
        number,
        size_bytes: 5,
        etag: etag("aa"),
        checksum: None,
    };
    UploadCompletion {
        parts: (1..=parts).map(part).collect(),
        condition: WriteCondition::Absent,
        size_bytes: 5,
        checksum: None,
    }
}

#[tokio::test(start_paused = true)]
async fn unanswered_write_has_an_unknown_outcome_after_a_timeout_by_its_size() {
    let (silent, upload) = (silent(), UploadId::new("up").unwrap());
    check_write(30, silent.copy(&key(), &of_size(5))).await;
    check_write(120, silent.copy(&key(), &of_size(GIB))).await;
    check_write(480, silent.copy(&key(), &of_size(5 * GIB))).await;
    check_write(30, silent.delete(&key(), &etag("aa"))).await;
    let terms = UploadParameters {
        explicit: explicit(),
        not_preserved: AttributeSet::new(),
    };
    check_write(30, silent.create_upload(&key(), &terms)).await;
    check_write(30, silent.complete_upload(&key(), &upload, &completion(3))).await;
    check_write(480, silent.complete_upload(&key(), &upload, &completion(10_000))).await;
}

#[tokio::test(start_paused = true)]
async fn unanswered_retryable_request_ends() {
    let (silent, upload) = (silent(), UploadId::new("up").unwrap());
    let part = |size_bytes| PlannedPart {
        number: 1,
        offset_bytes: 0,
        size_bytes,
    };
    check_retried(
        3 * 30,
        silent.copy_part(&key(), &upload, &pin(), &part(5 * 1024 * 1024)),
    )
    .await;
    check_retried(3 * 480, silent.copy_part(&key(), &upload, &pin(), &part(5 * GIB))).await;
    check_retried(3 * 30, silent.abort_upload(&key(), &upload)).await;
    check_retried(3 * 10, Box::pin(silent.read(&key(), &AttributeSet::new()))).await;
    let source = source_of(&clients(NeverClient::new()));
    check_retried::<_, Failure>(3 * 10, source.confirm_absence(&key())).await;
}
