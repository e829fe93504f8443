//! Multipart uploads at the destination.

use std::collections::BTreeMap;

use s3ferry_core::facts::{AttributeSet, ChecksumCoverage, SystemHeaders};
use s3ferry_core::failure::FailureKind;
use s3ferry_core::names::VersionId;
use s3ferry_core::order::{CopiedMetadata, ExplicitChecksum, UploadParameters, WriteCondition};
use s3ferry_core::plan::PlannedPart;
use s3ferry_core::time::Timestamp;
use s3ferry_core::upload::UploadId;
use s3ferry_engine::ports::{CopiedPart, MultipartUploads as _, UploadCompletion, WriteError, WrittenObject};

use crate::recorded::{Answer, Recorded, answer, answer_with, assert_failure, error, etag, explicit, key, pin};

const CREATED: &str = "<InitiateMultipartUploadResult><UploadId>up</UploadId></InitiateMultipartUploadResult>";

const COMPLETED: &str = "<CompleteMultipartUploadResult><ETag>\"cc-2\"</ETag></CompleteMultipartUploadResult>";

const OBJECT: &str = "https://destination-bucket.s3.eu-central-1.amazonaws.com/a%20b%2Bc/%C3%BC.txt";

const MIB: u64 = 1024 * 1024;

fn upload() -> UploadId {
    UploadId::new("up").unwrap()
}

fn terms() -> UploadParameters {
    let mut explicit = explicit();
    explicit.metadata = Some(CopiedMetadata {
        headers: SystemHeaders {
            content_type: Some("text/plain".to_owned()),
            expires: Some("whenever".to_owned()),
            ..SystemHeaders::default()
        },
        user: BTreeMap::from([("owner".to_owned(), "team ü".to_owned())]),
    });
    explicit.tags = Some(BTreeMap::from([("a".to_owned(), "b c".to_owned())]));
    explicit.checksum = Some(ExplicitChecksum {
        algorithm: "SHA256",
        coverage: ChecksumCoverage::Composite,
    });
    UploadParameters {
        explicit,
        not_preserved: AttributeSet::new(),
    }
}

fn part(number: u32, offset_bytes: u64, size_bytes: u64) -> PlannedPart {
    PlannedPart {
        number,
        offset_bytes,
        size_bytes,
    }
}

fn copied(number: u32, checksum: Option<(&'static str, &str)>) -> CopiedPart {
    CopiedPart {
        number,
        size_bytes: 5 * MIB,
        etag: etag(&format!("p{number}")),
        checksum: checksum.map(|(algorithm, value)| (algorithm, value.to_owned())),
    }
}

fn completion(condition: WriteCondition) -> UploadCompletion {
    UploadCompletion {
        parts: vec![copied(1, Some(("SHA256", "one="))), copied(2, Some(("SHA256", "two=")))],
        condition,
        size_bytes: 10 * MIB,
        checksum: terms().explicit.checksum,
    }
}

fn failed(error: WriteError) -> s3ferry_core::failure::Failure {
    match error {
        WriteError::Failed(failure) => failure,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn upload_is_created_with_every_explicit_attribute() {
    let recorded = Recorded::new([answer_with(200, CREATED)]);
    let id = recorded.destination().create_upload(&key(), &terms()).await.unwrap();
    assert_eq!(id, upload());
    assert_eq!(recorded.line(0), format!("POST {OBJECT}?uploads"));
    recorded.assert_headers(
        0,
        &[
            ("content-type", Some("text/plain")),
            ("expires", Some("whenever")),
            ("x-amz-meta-owner", Some("team ü")),
            ("x-amz-tagging", Some("a=b%20c")),
            ("x-amz-storage-class", Some("STANDARD_IA")),
            ("x-amz-website-redirect-location", Some("/elsewhere")),
            ("x-amz-checksum-algorithm", Some("SHA256")),
            ("x-amz-checksum-type", Some("COMPOSITE")),
            ("x-amz-metadata-directive", None),
            ("x-amz-tagging-directive", None),
        ],
    );
}

/// S3 then stores a checksum of its own choice, as for any upload without an algorithm.
#[tokio::test]
async fn upload_without_a_checksum_names_no_algorithm() {
    let recorded = Recorded::new([answer_with(200, CREATED)]);
    let mut terms = terms();
    terms.explicit.checksum = None;
    recorded.destination().create_upload(&key(), &terms).await.unwrap();
    recorded.assert_headers(
        0,
        &[
            ("x-amz-checksum-algorithm", None),
            ("x-amz-checksum-type", None),
            ("x-amz-sdk-checksum-algorithm", None),
        ],
    );
}

#[tokio::test]
async fn upload_without_an_id_in_the_response_has_an_unknown_outcome() {
    for body in ["", "<InitiateMultipartUploadResult></InitiateMultipartUploadResult>"] {
        let recorded = Recorded::new([answer_with(200, body)]);
        let error = recorded
            .destination()
            .create_upload(&key(), &terms())
            .await
            .unwrap_err();
        assert!(matches!(error, WriteError::OutcomeUnknown(_)), "{error:?}");
    }
}

#[tokio::test]
async fn part_is_copied_from_the_pinned_version_in_its_range() {
    let result = "<CopyPartResult><ETag>\"p2\"</ETag><ChecksumCRC64NVME>x=</ChecksumCRC64NVME></CopyPartResult>";
    let recorded = Recorded::new([answer_with(200, result)]);
    let part = part(2, 5 * MIB, 5 * MIB);
    let copied = recorded.destination().copy_part(&key(), &upload(), &pin(), &part).await;
    let expected = CopiedPart {
        number: 2,
        size_bytes: 5 * MIB,
        etag: etag("p2"),
        checksum: Some(("CRC64NVME", "x=".to_owned())),
    };
    assert_eq!(copied, Ok(expected));
    let line = recorded.line(0);
    assert!(line.starts_with(&format!("PUT {OBJECT}?")), "{line}");
    assert!(line.contains("partNumber=2") && line.contains("uploadId=up"), "{line}");
    recorded.assert_headers(
        0,
        &[
            (
                "x-amz-copy-source",
                Some("source-bucket/a%20b%2Bc/%C3%BC.txt?versionId=v1"),
            ),
            ("x-amz-copy-source-if-match", Some("\"aa\"")),
            ("x-amz-copy-source-range", Some("bytes=5242880-10485759")),
            ("x-amz-source-expected-bucket-owner", Some("123456789012")),
        ],
    );
    let signature = recorded.header(0, "authorization").unwrap();
    assert!(signature.contains("/eu-central-1/s3/aws4_request"), "{signature}");
}

#[tokio::test]
async fn first_part_below_the_minimum_size_has_no_range() {
    let result = || answer_with(200, "<CopyPartResult><ETag>\"p\"</ETag></CopyPartResult>");
    for (part, range) in [
        (part(1, 0, 5 * MIB - 1), None),
        (part(1, 0, 5 * MIB), Some("bytes=0-5242879")),
        (part(2, 5 * MIB, 1), Some("bytes=5242880-5242880")),
    ] {
        let recorded = Recorded::new([result()]);
        recorded
            .destination()
            .copy_part(&key(), &upload(), &pin(), &part)
            .await
            .unwrap();
        recorded.assert_headers(0, &[("x-amz-copy-source-range", range)]);
    }
}

#[tokio::test(start_paused = true)]
async fn part_is_retried_and_its_failures_are_named() {
    let result = || answer_with(200, "<CopyPartResult><ETag>\"p\"</ETag></CopyPartResult>");
    let attempt = async |answers: Vec<Answer>| {
        let recorded = Recorded::new(answers);
        let part = part(1, 0, 5 * MIB);
        let copied = recorded.destination().copy_part(&key(), &upload(), &pin(), &part).await;
        (copied, recorded.sent())
    };
    for trouble in [
        error(503, "SlowDown"),
        error(500, "InternalError"),
        error(200, "SlowDown"),
    ] {
        let (copied, sent) = attempt(vec![trouble, result()]).await;
        assert!(copied.is_ok(), "{copied:?}");
        assert_eq!(sent, 2);
    }
    for (status, code) in [
        (412, "PreconditionFailed"),
        (404, "NoSuchUpload"),
        (404, "NoSuchVersion"),
    ] {
        let (copied, sent) = attempt(vec![error(status, code)]).await;
        assert_eq!((copied, sent), (Err(WriteError::PreconditionFailed), 1), "{code}");
    }
    let (denied, _) = attempt(vec![error(403, "AccessDenied")]).await;
    assert_failure(
        &failed(denied.unwrap_err()),
        FailureKind::Permanent,
        &["s3:PutObject", "s3:GetObjectVersion", "source-bucket/a b+c"],
    );
}

fn listing(parts: &str, next: Option<u32>) -> Answer {
    let truncated = format!(
        "<IsTruncated>{}</IsTruncated><NextPartNumberMarker>{}</NextPartNumberMarker>",
        next.is_some(),
        next.unwrap_or(0)
    );
    answer_with(200, format!("<ListPartsResult>{truncated}{parts}</ListPartsResult>"))
}

#[tokio::test]
async fn parts_are_listed_page_by_page() {
    let one = "<Part><PartNumber>1</PartNumber><Size>7</Size><ETag>\"p1\"</ETag></Part>";
    let two = "<Part><PartNumber>4</PartNumber><Size>8</Size><ETag>\"p4\"</ETag>\
               <ChecksumSHA1>s=</ChecksumSHA1></Part>";
    let recorded = Recorded::new([listing(one, Some(1)), listing(two, None)]);
    let parts = recorded
        .destination()
        .list_parts(&key(), &upload())
        .await
        .unwrap()
        .unwrap();
    let found: Vec<(u32, u64, &str)> = parts
        .iter()
        .map(|part| (part.number, part.size_bytes, part.etag.as_str()))
        .collect();
    assert_eq!(found, [(1, 7, "p1"), (4, 8, "p4")]);
    assert_eq!(parts[1].checksum, Some(("SHA1", "s=".to_owned())));
    assert!(!recorded.line(0).contains("part-number-marker"), "{}", recorded.line(0));
    assert!(
        recorded.line(1).contains("part-number-marker=1"),
        "{}",
        recorded.line(1)
    );
}

/// Returns a page of uploads in an account's bucket, from encoded key, upload id and initiator.
fn uploads(listed: &[(&str, &str, &str)], next: Option<&str>) -> Answer {
    let next = next.map_or(String::new(), |id| {
        format!("<IsTruncated>true</IsTruncated><NextUploadIdMarker>{id}</NextUploadIdMarker>")
    });
    let entry = |(key, id, initiator): &(&str, &str, &str)| {
        format!(
            "<Upload><Key>{key}</Key><UploadId>{id}</UploadId><Initiated>2026-01-02T03:04:05.000Z</Initiated>\
                 <Initiator><ID>{initiator}</ID></Initiator><Owner><ID>account</ID></Owner></Upload>"
        )
    };
    let entries: String = listed.iter().map(entry).collect();
    answer_with(
        200,
        format!(
            "<ListMultipartUploadsResult><EncodingType>url</EncodingType>{next}{entries}</ListMultipartUploadsResult>"
        ),
    )
}

#[tokio::test]
async fn uploads_of_exactly_one_key_are_listed_page_by_page() {
    const KEY: &str = "a+b%2Bc/%C3%BC.txt";
    let recorded = Recorded::new([
        uploads(&[(KEY, "one", "we"), (KEY, "two", "they")], Some("two")),
        uploads(
            &[(KEY, "three", "account"), ("a+b%2Bc/%C3%BC.txt2", "four", "we")],
            Some("four"),
        ),
    ]);
    let listed = recorded.destination().list_uploads(&key()).await.unwrap();
    let found: Vec<_> = listed
        .iter()
        .map(|upload| (upload.id.as_str(), upload.initiator.as_deref()))
        .collect();
    // An initiator that is the account identifies no user or role.
    assert_eq!(found, [("one", Some("we")), ("two", Some("they")), ("three", None)]);
    let begun = Timestamp::from_seconds(1_767_323_045);
    assert!(listed.iter().all(|upload| upload.begun == begun), "{listed:?}");
    // Pages after a longer key are not requested.
    assert_eq!(recorded.sent(), 2);
    for parameter in ["uploads", "encoding-type=url", "prefix=a%20b%2Bc%2F%C3%BC.txt"] {
        assert!(recorded.line(0).contains(parameter), "{}", recorded.line(0));
    }
    assert!(!recorded.line(0).contains("marker"), "{}", recorded.line(0));
    for parameter in ["key-marker=a%20b%2Bc%2F%C3%BC.txt", "upload-id-marker=two"] {
        assert!(recorded.line(1).contains(parameter), "{}", recorded.line(1));
    }
    let denied = Recorded::new([error(403, "AccessDenied")]);
    let failure = denied.destination().list_uploads(&key()).await.unwrap_err();
    assert_failure(&failure, FailureKind::Permanent, &["s3:ListBucketMultipartUploads"]);
}

#[tokio::test(start_paused = true)]
async fn missing_upload_has_no_parts_and_its_abort_succeeds() {
    let recorded = Recorded::new([error(404, "NoSuchUpload"), error(404, "NoSuchUpload")]);
    let destination = recorded.destination();
    assert_eq!(destination.list_parts(&key(), &upload()).await, Ok(None));
    assert_eq!(destination.abort_upload(&key(), &upload()).await, Ok(()));
    assert_eq!(
        recorded.line(1),
        format!("DELETE {OBJECT}?x-id=AbortMultipartUpload&uploadId=up")
    );

    let empty = Recorded::new([listing("", None)]);
    assert_eq!(
        empty.destination().list_parts(&key(), &upload()).await,
        Ok(Some(vec![]))
    );
    // A missing bucket is not a missing upload.
    let recorded = Recorded::new([error(404, "NoSuchBucket"), error(403, "AccessDenied")]);
    let destination = recorded.destination();
    let failure = destination.list_parts(&key(), &upload()).await.unwrap_err();
    assert_failure(&failure, FailureKind::Configuration, &["s3:ListMultipartUploadParts"]);
    let failure = destination.abort_upload(&key(), &upload()).await.unwrap_err();
    assert_failure(&failure, FailureKind::Permanent, &["s3:AbortMultipartUpload"]);
}

#[tokio::test(start_paused = true)]
async fn abort_is_retried() {
    let recorded = Recorded::new([error(500, "InternalError"), answer(204, &[], "")]);
    assert_eq!(recorded.destination().abort_upload(&key(), &upload()).await, Ok(()));
    assert_eq!(recorded.sent(), 2);
}

#[tokio::test]
async fn completion_is_conditional_and_names_parts_size_and_checksums() {
    let completed = || answer(200, &[("x-amz-version-id", "w1")], COMPLETED);
    let recorded = Recorded::new([completed(), completed()]);
    let destination = recorded.destination();
    let written = destination
        .complete_upload(&key(), &upload(), &completion(WriteCondition::Absent))
        .await;
    let expected = WrittenObject {
        version_id: VersionId::pinnable("w1"),
        etag: etag("cc-2"),
        source_version_id: None,
        last_modified: None,
    };
    assert_eq!(written, Ok(expected));
    assert_eq!(recorded.line(0), format!("POST {OBJECT}?uploadId=up"));
    recorded.assert_headers(
        0,
        &[
            ("if-none-match", Some("*")),
            ("if-match", None),
            ("x-amz-mp-object-size", Some("10485760")),
            ("x-amz-checksum-type", Some("COMPOSITE")),
        ],
    );
    let body = recorded.body(0);
    for needle in [
        "<PartNumber>1</PartNumber>",
        "&quot;p1&quot;",
        "<ChecksumSHA256>one=</ChecksumSHA256>",
        "<ChecksumSHA256>two=</ChecksumSHA256>",
    ] {
        assert!(body.contains(needle), "{needle} is not in {body}");
    }
    let seen = completion(WriteCondition::Matches(etag("bb")));
    destination.complete_upload(&key(), &upload(), &seen).await.unwrap();
    recorded.assert_headers(1, &[("if-match", Some("\"bb\"")), ("if-none-match", None)]);
}

async fn completion_error(answer: Answer) -> WriteError {
    let recorded = Recorded::new([answer]);
    let completion = completion(WriteCondition::Absent);
    let written = recorded
        .destination()
        .complete_upload(&key(), &upload(), &completion)
        .await;
    assert_eq!(recorded.sent(), 1, "a completion is sent once");
    written.unwrap_err()
}

#[tokio::test(start_paused = true)]
async fn completion_responses_are_classified() {
    for (status, code) in [
        (412, "PreconditionFailed"),
        (409, "ConditionalRequestConflict"),
        (404, "NoSuchUpload"),
        (404, "NoSuchKey"),
    ] {
        assert_eq!(
            completion_error(error(status, code)).await,
            WriteError::PreconditionFailed,
            "{code}"
        );
    }
    for (status, code, kind) in [
        (200, "InternalError", FailureKind::Retry),
        (200, "SlowDown", FailureKind::Retry),
        (503, "ServiceUnavailable", FailureKind::Retry),
        (400, "InvalidPart", FailureKind::Retry),
        (400, "InvalidPartOrder", FailureKind::Bug),
        (400, "EntityTooSmall", FailureKind::Bug),
        (400, "InvalidRequest", FailureKind::Permanent),
        (403, "AccessDenied", FailureKind::Permanent),
    ] {
        let failure = failed(completion_error(error(status, code)).await);
        assert_failure(&failure, kind, &[code, "destination-bucket/a b+c/ü.txt"]);
    }
    for body in [
        "",
        "<CompleteMultipartUploadResult></CompleteMultipartUploadResult>",
        "<Complete",
    ] {
        let error = completion_error(answer_with(200, body)).await;
        assert!(matches!(error, WriteError::OutcomeUnknown(_)), "{body:?}: {error:?}");
    }
}
