//! `CopyObject` and `DeleteObject` requests.

use std::collections::{BTreeMap, BTreeSet};

use s3ferry_core::acl::{Acl, Grant, Grantee};
use s3ferry_core::bucket_settings::BucketObjectLock;
use s3ferry_core::facts::{ExplicitEncryption, KmsEncryption, SystemHeaders};
use s3ferry_core::failure::FailureKind;
use s3ferry_core::lock::{DefaultRetention, ObjectLock, Retention, RetentionMode};
use s3ferry_core::names::VersionId;
use s3ferry_core::order::{CopiedMetadata, CopyOrder, SourcePin, UploadParameters, WriteCondition};
use s3ferry_core::time::Timestamp;
use s3ferry_engine::ports::{DestinationObjects as _, MultipartUploads as _, WriteError};

use crate::recorded::{Answer, COPIED, Recorded, answer, answer_with, assert_failure, error, etag, key, order};

#[tokio::test]
async fn copy_is_sent_to_the_destination_region_pinned_and_conditional() {
    let recorded = Recorded::new([answer(200, &[("x-amz-version-id", "w1")], COPIED)]);
    let version = recorded
        .destination()
        .copy(&key(), &order(WriteCondition::Absent))
        .await
        .unwrap();
    assert_eq!(version.version_id, VersionId::pinnable("w1"));
    assert_eq!(
        recorded.line(0),
        "PUT https://destination-bucket.s3.eu-central-1.amazonaws.com/a%20b%2Bc/%C3%BC.txt?x-id=CopyObject"
    );
    let signature = recorded.header(0, "authorization").unwrap();
    assert!(signature.contains("/eu-central-1/s3/aws4_request"), "{signature}");
    let expected = [
        (
            "x-amz-copy-source",
            Some("source-bucket/a%20b%2Bc/%C3%BC.txt?versionId=v1"),
        ),
        ("x-amz-copy-source-if-match", Some("\"aa\"")),
        ("x-amz-source-expected-bucket-owner", Some("123456789012")),
        ("if-none-match", Some("*")),
        ("if-match", None),
        ("x-amz-storage-class", Some("STANDARD_IA")),
        ("x-amz-website-redirect-location", Some("/elsewhere")),
        ("x-amz-metadata-directive", None),
        ("x-amz-tagging-directive", None),
        ("x-amz-acl", None),
    ];
    for (name, value) in expected {
        assert_eq!(recorded.header(0, name).as_deref(), value, "{name}");
    }
}

#[tokio::test]
async fn every_write_sends_the_explicit_encryption() {
    let upload = "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>";
    let kms = |dual_layer: bool| {
        ExplicitEncryption::Kms(KmsEncryption {
            key_arn: Some("arn:key".to_owned()),
            bucket_key: !dual_layer,
            dual_layer,
        })
    };
    let algorithm = "x-amz-server-side-encryption";
    let key_id = "x-amz-server-side-encryption-aws-kms-key-id";
    for (encryption, expected, expected_key) in [
        (None, None, None),
        (Some(ExplicitEncryption::Managed), Some("AES256"), None),
        (Some(kms(false)), Some("aws:kms"), Some("arn:key")),
        (Some(kms(true)), Some("aws:kms:dsse"), Some("arn:key")),
    ] {
        let recorded = Recorded::new([answer(200, &[], COPIED), answer(200, &[], upload)]);
        let mut order = order(WriteCondition::Absent);
        order.explicit.encryption.clone_from(&encryption);
        recorded.destination().copy(&key(), &order).await.unwrap();
        let terms = UploadParameters::plain(encryption);
        recorded.destination().create_upload(&key(), &terms).await.unwrap();
        for request in 0..2 {
            recorded.assert_headers(request, &[(algorithm, expected), (key_id, expected_key)]);
        }
    }
}

#[tokio::test]
async fn copy_over_an_existing_object_is_conditional_on_its_etag() {
    let recorded = Recorded::new([answer(200, &[], COPIED)]);
    let seen = WriteCondition::Matches(etag("bb"));
    recorded.destination().copy(&key(), &order(seen)).await.unwrap();
    assert_eq!(recorded.header(0, "if-match").as_deref(), Some("\"bb\""));
    assert_eq!(recorded.header(0, "if-none-match"), None);
}

#[tokio::test]
async fn copy_in_place_reads_the_destinations_own_version() {
    let recorded = Recorded::new([answer(200, &[], COPIED)]);
    let order = CopyOrder {
        in_place: Some(SourcePin {
            version_id: VersionId::pinnable("own"),
            etag: etag("bb"),
        }),
        ..order(WriteCondition::Matches(etag("bb")))
    };
    recorded.destination().copy(&key(), &order).await.unwrap();
    recorded.assert_headers(
        0,
        &[
            (
                "x-amz-copy-source",
                Some("destination-bucket/a%20b%2Bc/%C3%BC.txt?versionId=own"),
            ),
            ("x-amz-copy-source-if-match", Some("\"bb\"")),
            ("x-amz-source-expected-bucket-owner", Some("210987654321")),
            ("if-match", Some("\"bb\"")),
        ],
    );
}

#[tokio::test]
async fn copy_without_versions_is_pinned_by_etag() {
    let recorded = Recorded::new([answer(200, &[], COPIED)]);
    let mut order = order(WriteCondition::Absent);
    order.pin.version_id = None;
    recorded.destination().copy(&key(), &order).await.unwrap();
    assert_eq!(
        recorded.header(0, "x-amz-copy-source").as_deref(),
        Some("source-bucket/a%20b%2Bc/%C3%BC.txt")
    );
    assert_eq!(
        recorded.header(0, "x-amz-copy-source-if-match").as_deref(),
        Some("\"aa\"")
    );
}

async fn copy_error(answer: Answer) -> WriteError {
    let recorded = Recorded::new([answer]);
    let error = recorded
        .destination()
        .copy(&key(), &order(WriteCondition::Absent))
        .await
        .unwrap_err();
    assert_eq!(recorded.sent(), 1, "a write is sent once");
    error
}

#[tokio::test(start_paused = true)]
async fn copy_responses_are_classified() {
    for (status, code) in [
        (412, "PreconditionFailed"),
        (409, "ConditionalRequestConflict"),
        (404, "NoSuchKey"),
        (404, "NoSuchVersion"),
    ] {
        assert_eq!(
            copy_error(error(status, code)).await,
            WriteError::PreconditionFailed,
            "{code}"
        );
    }
    for (status, code, kind) in [
        (200, "InternalError", FailureKind::Retry),
        (200, "SlowDown", FailureKind::Retry),
        (503, "SlowDown", FailureKind::Retry),
        (500, "InternalError", FailureKind::Retry),
        (403, "AccessDenied", FailureKind::Permanent),
        (404, "NoSuchBucket", FailureKind::Configuration),
        (301, "PermanentRedirect", FailureKind::Configuration),
    ] {
        match copy_error(error(status, code)).await {
            WriteError::Failed(failure) => {
                assert_failure(
                    &failure,
                    kind,
                    &["s3:PutObject", code, "destination-bucket/a b+c/ü.txt"],
                );
            }
            other => panic!("{status} {code}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn denied_copy_names_every_permission_that_may_be_missing() {
    let denied = answer(
        403,
        &[],
        "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>",
    );
    let WriteError::Failed(failure) = copy_error(denied).await else {
        panic!("not a failure");
    };
    let needles = [
        "s3:PutObjectTagging",
        "s3:GetObjectVersionTagging",
        "arn:aws:s3:::destination-bucket/a b+c/ü.txt",
        "arn:aws:s3:::source-bucket/a b+c/ü.txt",
    ];
    assert_failure(&failure, FailureKind::Permanent, &needles);
}

#[tokio::test]
async fn copy_response_without_a_result_has_an_unknown_outcome() {
    for body in ["", "<CopyObjectResult></CopyObjectResult>", "<CopyObj"] {
        let error = copy_error(answer(200, &[], body)).await;
        assert!(matches!(error, WriteError::OutcomeUnknown(_)), "{body:?}: {error:?}");
    }
}

#[tokio::test]
async fn delete_is_conditional_and_names_no_version() {
    let recorded = Recorded::new([answer(204, &[], "")]);
    recorded.destination().delete(&key(), &etag("bb")).await.unwrap();
    assert_eq!(recorded.header(0, "if-match").as_deref(), Some("\"bb\""));
    assert!(!recorded.line(0).contains("versionId"), "{}", recorded.line(0));
    let moved = Recorded::new([answer(412, &[], "<Error><Code>PreconditionFailed</Code></Error>")]);
    let deleted = moved.destination().delete(&key(), &etag("bb")).await;
    assert_eq!(deleted, Err(WriteError::PreconditionFailed));
}

#[tokio::test]
async fn copy_sets_every_attribute_that_s3_would_reset() {
    let recorded = Recorded::new([answer(200, &[], COPIED)]);
    let mut order = order(WriteCondition::Absent);
    order.explicit.encryption = Some(ExplicitEncryption::Kms(KmsEncryption {
        key_arn: Some("arn:aws:kms:eu-central-1:123456789012:key/k".to_owned()),
        bucket_key: true,
        dual_layer: false,
    }));
    order.explicit.lock = ObjectLock {
        retention: Some(Retention {
            mode: RetentionMode::Compliance,
            until: Timestamp::from_millis(1_800_000_000_250),
        }),
        legal_hold: true,
        event_hold: None,
    };
    recorded.destination().copy(&key(), &order).await.unwrap();
    recorded.assert_headers(
        0,
        &[
            ("x-amz-server-side-encryption", Some("aws:kms")),
            (
                "x-amz-server-side-encryption-aws-kms-key-id",
                Some("arn:aws:kms:eu-central-1:123456789012:key/k"),
            ),
            ("x-amz-server-side-encryption-bucket-key-enabled", Some("true")),
            ("x-amz-object-lock-mode", Some("COMPLIANCE")),
            ("x-amz-object-lock-retain-until-date", Some("2027-01-15T08:00:00.25Z")),
            ("x-amz-object-lock-legal-hold", Some("ON")),
            ("x-amz-metadata-directive", None),
            ("x-amz-tagging-directive", None),
        ],
    );
    let signature = recorded.header(0, "authorization").unwrap();
    assert!(
        signature.contains("x-amz-object-lock-mode"),
        "explicit headers are signed: {signature}"
    );
}

#[tokio::test]
async fn dual_layer_encryption_has_no_bucket_key() {
    let recorded = Recorded::new([answer(200, &[], COPIED)]);
    let mut order = order(WriteCondition::Absent);
    order.explicit.encryption = Some(ExplicitEncryption::Kms(KmsEncryption {
        key_arn: Some("key".to_owned()),
        bucket_key: true,
        dual_layer: true,
    }));
    recorded.destination().copy(&key(), &order).await.unwrap();
    recorded.assert_headers(
        0,
        &[
            ("x-amz-server-side-encryption", Some("aws:kms:dsse")),
            ("x-amz-server-side-encryption-bucket-key-enabled", None),
        ],
    );
}

/// Metadata with unusual values that an application may have stored.
fn unusual_metadata() -> CopiedMetadata {
    CopiedMetadata {
        headers: SystemHeaders {
            cache_control: Some("no-cache".to_owned()),
            content_disposition: Some("attachment; filename=\"Häfen 日本.txt\"".to_owned()),
            content_encoding: Some(String::new()),
            content_language: Some("de, en".to_owned()),
            content_type: Some("text/plain; charset=utf-8".to_owned()),
            expires: Some("whenever, ungefähr".to_owned()),
        },
        user: BTreeMap::from([
            ("owner".to_owned(), "the team".to_owned()),
            ("encoded".to_owned(), "=?UTF-8?B?SMOkZmVu?=".to_owned()),
            ("raw".to_owned(), "Häfen".to_owned()),
            ("empty".to_owned(), String::new()),
        ]),
    }
}

#[tokio::test]
async fn replaced_metadata_is_sent_unchanged() {
    let recorded = Recorded::new([answer(200, &[], COPIED)]);
    let mut order = order(WriteCondition::Absent);
    order.explicit.metadata = Some(unusual_metadata());
    recorded.destination().copy(&key(), &order).await.unwrap();
    recorded.assert_headers(
        0,
        &[
            ("x-amz-metadata-directive", Some("REPLACE")),
            ("x-amz-tagging-directive", None),
            ("cache-control", Some("no-cache")),
            ("content-disposition", Some("attachment; filename=\"Häfen 日本.txt\"")),
            ("content-encoding", Some("")),
            ("content-language", Some("de, en")),
            ("content-type", Some("text/plain; charset=utf-8")),
            ("expires", Some("whenever, ungefähr")),
            ("x-amz-meta-owner", Some("the team")),
            ("x-amz-meta-encoded", Some("=?UTF-8?B?SMOkZmVu?=")),
            ("x-amz-meta-raw", Some("Häfen")),
            ("x-amz-meta-empty", Some("")),
        ],
    );
}

#[tokio::test]
async fn replaced_tags_are_encoded_as_a_query() {
    let recorded = Recorded::new([answer(200, &[], COPIED)]);
    let mut order = order(WriteCondition::Absent);
    order.explicit.tags = Some(BTreeMap::from([
        ("a b".to_owned(), "1+1=2&3".to_owned()),
        ("c".to_owned(), "ü/x".to_owned()),
    ]));
    recorded.destination().copy(&key(), &order).await.unwrap();
    recorded.assert_headers(
        0,
        &[
            ("x-amz-tagging-directive", Some("REPLACE")),
            ("x-amz-tagging", Some("a%20b=1%2B1%3D2%263&c=%C3%BC%2Fx")),
        ],
    );
}

#[tokio::test]
async fn grants_are_explicit_and_the_owner_is_read_once() {
    let owner = "<AccessControlPolicy><Owner><ID>owner-id</ID></Owner></AccessControlPolicy>";
    let recorded = Recorded::new([
        answer_with(200, owner),
        answer(200, &[], COPIED),
        answer(200, &[], COPIED),
    ]);
    let mut order = order(WriteCondition::Absent);
    let grant = |grantee, permission: &str| Grant {
        grantee,
        permission: permission.to_owned(),
    };
    let all_users = "http://acs.amazonaws.com/groups/global/AllUsers";
    order.explicit.acl = Some(Acl {
        grants: BTreeSet::from([
            grant(Grantee::Group(all_users.to_owned()), "READ"),
            grant(Grantee::Account("other-id".to_owned()), "READ"),
            grant(Grantee::Account("other-id".to_owned()), "READ_ACP"),
            grant(Grantee::Email("ops@example.com".to_owned()), "FULL_CONTROL"),
        ]),
    });
    let destination = recorded.destination();
    destination.copy(&key(), &order).await.unwrap();
    destination.copy(&key(), &order).await.unwrap();
    assert_eq!(recorded.sent(), 3);
    assert!(recorded.line(0).ends_with("/?acl"), "{}", recorded.line(0));
    for index in [1, 2] {
        recorded.assert_headers(
            index,
            &[
                (
                    "x-amz-grant-full-control",
                    Some("emailAddress=\"ops@example.com\", id=\"owner-id\""),
                ),
                (
                    "x-amz-grant-read",
                    Some("id=\"other-id\", uri=\"http://acs.amazonaws.com/groups/global/AllUsers\""),
                ),
                ("x-amz-grant-read-acp", Some("id=\"other-id\"")),
                ("x-amz-grant-write-acp", None),
                ("x-amz-acl", None),
            ],
        );
    }
}

#[tokio::test]
async fn value_that_no_header_can_carry_is_refused_by_name() {
    let recorded = Recorded::new([]);
    let mut odd = order(WriteCondition::Absent);
    let mut metadata = unusual_metadata();
    metadata.user.insert("broken".to_owned(), "a\nb".to_owned());
    odd.explicit.metadata = Some(metadata);
    let mut granting = order(WriteCondition::Absent);
    granting.explicit.lock.retention = Some(Retention {
        mode: RetentionMode::Governance,
        until: Timestamp::from_millis(i64::MAX),
    });
    for (order, needle) in [(odd, "x-amz-meta-broken"), (granting, "a retention until")] {
        let refused = recorded.destination().copy(&key(), &order).await.unwrap_err();
        let WriteError::Failed(failure) = refused else {
            panic!("{refused:?}");
        };
        assert_failure(&failure, FailureKind::Permanent, &["UnsendableHeader", needle]);
    }
    assert_eq!(recorded.sent(), 0);
}

#[tokio::test]
async fn object_lock_of_the_bucket_is_read_until_known() {
    use RetentionMode::{Compliance, Governance};
    let with_default = |mode: &str, period: &str| {
        format!(
            "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention>\
             <Mode>{mode}</Mode>{period}</DefaultRetention></Rule></ObjectLockConfiguration>"
        )
    };
    let retains = |mode, days| {
        let default = Some(DefaultRetention { mode, days });
        Some(BucketObjectLock { default })
    };
    let locked = "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled></ObjectLockConfiguration>";
    for (known, expected) in [
        (answer_with(200, locked), Some(BucketObjectLock { default: None })),
        (
            answer_with(200, with_default("COMPLIANCE", "<Days>30</Days>")),
            retains(Compliance, 30),
        ),
        (
            answer_with(200, with_default("GOVERNANCE", "<Years>2</Years>")),
            retains(Governance, 732),
        ),
        (
            answer_with(200, "<ObjectLockConfiguration></ObjectLockConfiguration>"),
            None,
        ),
        (error(404, "ObjectLockConfigurationNotFoundError"), None),
    ] {
        // A failure is not cached.
        let recorded = Recorded::new([error(403, "AccessDenied"), known]);
        let destination = recorded.destination();
        let failure = destination.object_lock().await.unwrap_err();
        assert_failure(
            &failure,
            FailureKind::Permanent,
            &["s3:GetBucketObjectLockConfiguration", "arn:aws:s3:::destination-bucket"],
        );
        assert_eq!(destination.object_lock().await, Ok(expected));
        assert_eq!(destination.clone().object_lock().await, Ok(expected));
        assert_eq!(recorded.sent(), 2);
        assert!(recorded.line(1).ends_with("/?object-lock"), "{}", recorded.line(1));
    }
}
