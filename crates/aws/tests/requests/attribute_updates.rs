//! Attribute updates of one version.

use std::collections::{BTreeMap, BTreeSet};

use s3ferry_core::acl::{Acl, Grant, Grantee};
use s3ferry_core::facts::{Attribute, AttributeSet, ExplicitEncryption, KmsEncryption};
use s3ferry_core::failure::FailureKind;
use s3ferry_core::lock::{ObjectLock, Retention, RetentionMode};
use s3ferry_core::names::VersionId;
use s3ferry_core::order::{AnnotationChange, AttributeUpdate, LockChange};
use s3ferry_core::time::Timestamp;
use s3ferry_engine::ports::{DestinationObjects as _, WriteError};

use crate::recorded::{HEAD_OK, Recorded, answer, answer_with, assert_failure, error, etag, key, pin};

fn empty_update() -> AttributeUpdate {
    AttributeUpdate {
        version_id: VersionId::pinnable("w1"),
        etag: etag("seen"),
        pin: pin(),
        tags: None,
        lock: None,
        annotations: None,
        acl: None,
        encryption: None,
    }
}

fn tags(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let owned = pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    owned.collect()
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Returns method, bucket and query of every request.
fn requests(recorded: &Recorded) -> Vec<String> {
    let spell = |index| {
        let line = recorded.line(index);
        let (method, rest) = line.split_once(" https://").unwrap();
        let (bucket, _) = rest.split_once('.').unwrap();
        let (_, query) = rest.split_once('?').unwrap();
        format!("{method} {bucket} {query}")
    };
    (0..recorded.sent()).map(spell).collect()
}

#[tokio::test]
async fn tags_of_the_version_are_replaced() {
    let recorded = Recorded::new([answer(200, &[], "")]);
    let order = AttributeUpdate {
        tags: Some(tags(&[("a", "b"), ("c", "<d>")])),
        ..empty_update()
    };
    recorded.destination().update_attributes(&key(), &order).await.unwrap();
    assert_eq!(requests(&recorded), ["PUT destination-bucket tagging&versionId=w1"]);
    let body = recorded.body(0);
    assert!(
        body.contains("<Key>a</Key><Value>b</Value>") && body.contains("&lt;d&gt;"),
        "{body}"
    );
}

#[tokio::test]
async fn empty_tag_set_deletes_the_tags() {
    let recorded = Recorded::new([answer(204, &[], "")]);
    let order = AttributeUpdate {
        tags: Some(tags(&[])),
        ..empty_update()
    };
    recorded.destination().update_attributes(&key(), &order).await.unwrap();
    assert_eq!(requests(&recorded), ["DELETE destination-bucket tagging&versionId=w1"]);
}

fn lock_change(changes_retention: bool, changes_legal_hold: bool) -> AttributeUpdate {
    AttributeUpdate {
        lock: Some(LockChange {
            to: ObjectLock {
                retention: Some(Retention {
                    mode: RetentionMode::Governance,
                    until: Timestamp::from_seconds(1_800_000_000),
                }),
                legal_hold: true,
                event_hold: None,
            },
            changes_retention,
            changes_legal_hold,
        }),
        ..empty_update()
    }
}

#[tokio::test]
async fn only_changed_lock_settings_are_put() {
    let retention = "PUT destination-bucket retention&versionId=w1";
    let hold = "PUT destination-bucket legal-hold&versionId=w1";
    for (changes_retention, changes_hold, expected) in [
        (true, true, vec![retention, hold]),
        (true, false, vec![retention]),
        (false, true, vec![hold]),
    ] {
        let recorded = Recorded::new([answer(200, &[], ""), answer(200, &[], "")]);
        let order = lock_change(changes_retention, changes_hold);
        recorded.destination().update_attributes(&key(), &order).await.unwrap();
        assert_eq!(requests(&recorded), expected);
        recorded.assert_headers(0, &[("x-amz-bypass-governance-retention", None)]);
        if changes_retention {
            let body = recorded.body(0);
            assert!(body.contains("<Mode>GOVERNANCE</Mode>"), "{body}");
            assert!(
                body.contains("<RetainUntilDate>2027-01-15T08:00:00Z</RetainUntilDate>"),
                "{body}"
            );
        } else {
            assert!(recorded.body(0).contains("<Status>ON</Status>"), "{}", recorded.body(0));
        }
    }
}

#[tokio::test]
async fn annotations_are_copied_from_source_version_to_destination_version() {
    let put = "<PutObjectAnnotationOutput></PutObjectAnnotationOutput>";
    let recorded = Recorded::new([
        answer(200, &[("etag", "\"n\"")], "payload of a"),
        answer_with(200, put),
        answer(200, &[], "payload of b"),
        answer_with(200, put),
        answer(204, &[], ""),
    ]);
    let order = AttributeUpdate {
        annotations: Some(AnnotationChange {
            write: names(&["a", "b"]),
            remove: names(&["old"]),
        }),
        ..empty_update()
    };
    recorded.destination().update_attributes(&key(), &order).await.unwrap();
    let expected = [
        "GET source-bucket annotation&x-id=GetObjectAnnotation&annotationName=a&versionId=v1",
        "PUT destination-bucket annotation&versionId=w1&annotationName=a",
        "GET source-bucket annotation&x-id=GetObjectAnnotation&annotationName=b&versionId=v1",
        "PUT destination-bucket annotation&versionId=w1&annotationName=b",
        "DELETE destination-bucket annotation&annotationName=old&versionId=w1",
    ];
    assert_eq!(requests(&recorded), expected);
    recorded.assert_headers(0, &[("x-amz-expected-bucket-owner", Some("123456789012"))]);
    assert!(recorded.body(1).contains("payload of a"), "{}", recorded.body(1));
}

#[tokio::test]
async fn without_versions_annotations_are_put_with_an_etag_condition() {
    let recorded = Recorded::new([
        answer(200, &[("etag", "\"n\"")], "payload of a"),
        answer_with(200, "<PutObjectAnnotationOutput></PutObjectAnnotationOutput>"),
        error(412, "PreconditionFailed"),
    ]);
    let order = AttributeUpdate {
        version_id: None,
        annotations: Some(AnnotationChange {
            write: names(&["a"]),
            remove: names(&["old"]),
        }),
        ..empty_update()
    };
    let attributes_updated = recorded.destination().update_attributes(&key(), &order).await;
    assert_eq!(attributes_updated, Err(WriteError::PreconditionFailed));
    let expected = [
        "PUT destination-bucket annotation&annotationName=a",
        "DELETE destination-bucket annotation&annotationName=old",
    ];
    assert_eq!(requests(&recorded).get(1..), Some(&expected.map(String::from)[..]));
    for index in [1, 2] {
        recorded.assert_headers(index, &[("x-amz-object-if-match", Some("\"seen\""))]);
    }
}

#[tokio::test(start_paused = true)]
async fn store_without_annotations_gets_no_annotation_writes() {
    let recorded = Recorded::new([HEAD_OK, error(501, "NotImplemented")]);
    let destination = recorded.destination();
    let attributes = AttributeSet::from([Attribute::Annotations]);
    destination.read(&key(), &attributes).await.unwrap();
    let sent = recorded.sent();
    let order = AttributeUpdate {
        annotations: Some(AnnotationChange {
            write: names(&["a"]),
            remove: names(&[]),
        }),
        ..empty_update()
    };
    let not_applied = destination.update_attributes(&key(), &order).await.unwrap();
    assert_eq!(not_applied, attributes);
    assert_eq!(recorded.sent(), sent);
}

#[tokio::test]
async fn grants_are_put_with_the_owners_full_control() {
    let present = "<AccessControlPolicy><Owner><ID>owner-id</ID></Owner></AccessControlPolicy>";
    let recorded = Recorded::new([answer_with(200, present), answer(200, &[], "")]);
    let order = AttributeUpdate {
        acl: Some(Acl {
            grants: BTreeSet::from([Grant {
                grantee: Grantee::Account("other".to_owned()),
                permission: "READ".to_owned(),
            }]),
        }),
        ..empty_update()
    };
    recorded.destination().update_attributes(&key(), &order).await.unwrap();
    let expected = [
        "GET destination-bucket acl&versionId=w1",
        "PUT destination-bucket acl&versionId=w1",
    ];
    assert_eq!(requests(&recorded), expected);
    recorded.assert_headers(
        1,
        &[
            ("x-amz-grant-full-control", Some("id=\"owner-id\"")),
            ("x-amz-grant-read", Some("id=\"other\"")),
            ("x-amz-acl", None),
        ],
    );
}

#[tokio::test]
async fn empty_grants_are_put_as_a_private_acl() {
    let recorded = Recorded::new([answer(200, &[], "")]);
    let order = AttributeUpdate {
        acl: Some(Acl::default()),
        ..empty_update()
    };
    recorded.destination().update_attributes(&key(), &order).await.unwrap();
    recorded.assert_headers(0, &[("x-amz-acl", Some("private"))]);
}

#[tokio::test(start_paused = true)]
async fn attribute_update_of_a_missing_version_is_a_failed_precondition() {
    let annotate = AttributeUpdate {
        annotations: Some(AnnotationChange {
            write: names(&["a"]),
            remove: names(&[]),
        }),
        ..empty_update()
    };
    let tag = AttributeUpdate {
        tags: Some(tags(&[("a", "b")])),
        ..empty_update()
    };
    for order in [annotate, tag, lock_change(true, false)] {
        for code in ["NoSuchVersion", "NoSuchKey"] {
            let recorded = Recorded::new([error(404, code)]);
            let attributes_updated = recorded.destination().update_attributes(&key(), &order).await;
            assert_eq!(attributes_updated, Err(WriteError::PreconditionFailed), "{code}");
        }
    }
}

#[tokio::test]
async fn denied_attribute_update_names_its_action_and_is_sent_once() {
    let tag = AttributeUpdate {
        tags: Some(tags(&[("a", "b")])),
        ..empty_update()
    };
    let untag = AttributeUpdate {
        tags: Some(tags(&[])),
        ..empty_update()
    };
    for (order, action) in [
        (tag, "s3:PutObjectVersionTagging"),
        (untag, "s3:DeleteObjectVersionTagging"),
        (lock_change(true, false), "s3:PutObjectRetention"),
        (lock_change(false, true), "s3:PutObjectLegalHold"),
    ] {
        let recorded = Recorded::new([error(403, "AccessDenied")]);
        let refused = recorded
            .destination()
            .update_attributes(&key(), &order)
            .await
            .unwrap_err();
        let WriteError::Failed(failure) = refused else {
            panic!("{refused:?}");
        };
        assert_failure(
            &failure,
            FailureKind::Permanent,
            &[action, "destination-bucket/a b+c/ü.txt"],
        );
        assert_eq!(recorded.sent(), 1);
        let recorded = Recorded::new([error(503, "SlowDown")]);
        assert!(recorded.destination().update_attributes(&key(), &order).await.is_err());
        assert_eq!(recorded.sent(), 1, "a write is sent once");
    }
}

fn encrypt() -> AttributeUpdate {
    AttributeUpdate {
        encryption: Some(KmsEncryption {
            key_arn: Some("arn:aws:kms:eu-central-1:123456789012:key/k".to_owned()),
            bucket_key: true,
            dual_layer: false,
        }),
        ..empty_update()
    }
}

const NO_ANNOTATIONS: &str = "<ListObjectAnnotationsOutput></ListObjectAnnotationsOutput>";

#[tokio::test]
async fn encryption_of_the_version_is_updated_in_place() {
    let recorded = Recorded::new([answer(200, &[], NO_ANNOTATIONS), answer(200, &[], "")]);
    let not_applied = recorded
        .destination()
        .update_attributes(&key(), &encrypt())
        .await
        .unwrap();
    assert!(not_applied.is_empty());
    assert_eq!(requests(&recorded)[1], "PUT destination-bucket encryption&versionId=w1");
    let body = recorded.body(1);
    for part in [
        "<SSE-KMS>",
        "<KMSKeyArn>arn:aws:kms:eu-central-1:123456789012:key/k</KMSKeyArn>",
        "<BucketKeyEnabled>true</BucketKeyEnabled>",
    ] {
        assert!(body.contains(part), "{body}");
    }
}

/// A store without annotations would take the request for one that writes the object.
#[tokio::test(start_paused = true)]
async fn encryption_is_left_to_a_copy_if_s3_does_not_update_it() {
    let object = answer(200, &[("etag", "\"aa\""), ("content-length", "11")], "hello world");
    for (unknown, sent) in [
        (object, 1),
        (error(501, "NotImplemented"), 1),
        (error(403, "AccessDenied"), 1),
    ] {
        let recorded = Recorded::new([unknown]);
        let not_applied = recorded.destination().update_attributes(&key(), &encrypt()).await;
        assert_eq!(not_applied, Ok(AttributeSet::from([Attribute::Encryption])));
        assert_eq!(recorded.sent(), sent);
    }
    for (status, code) in [
        (403, "AccessDenied"),
        (400, "InvalidRequest"),
        (405, "MethodNotAllowed"),
    ] {
        let recorded = Recorded::new([answer(200, &[], NO_ANNOTATIONS), error(status, code)]);
        let not_applied = recorded.destination().update_attributes(&key(), &encrypt()).await;
        assert_eq!(not_applied, Ok(AttributeSet::from([Attribute::Encryption])), "{code}");
    }
    for (status, code) in [
        (400, "KMS.DisabledException"),
        (400, "ExpiredToken"),
        (403, "SignatureDoesNotMatch"),
        (409, "OperationAborted"),
        (500, "InternalError"),
        (503, "SlowDown"),
    ] {
        let recorded = Recorded::new([answer(200, &[], NO_ANNOTATIONS), error(status, code)]);
        let failed = recorded.destination().update_attributes(&key(), &encrypt()).await;
        assert!(
            matches!(&failed, Err(WriteError::Failed(failure)) if failure.code.as_str() == code),
            "a copy would fail too: {failed:?}"
        );
        assert_eq!(recorded.sent(), 2, "{code}: a write is sent once");
    }
    let recorded = Recorded::new([answer(200, &[], NO_ANNOTATIONS), error(404, "NoSuchVersion")]);
    let gone = recorded.destination().update_attributes(&key(), &encrypt()).await;
    assert_eq!(gone, Err(WriteError::PreconditionFailed));
}

#[tokio::test(start_paused = true)]
async fn default_encryption_is_read_once_or_is_unknown() {
    let document = |algorithm: &str, key: &str| {
        let key = if key.is_empty() {
            String::new()
        } else {
            format!("<KMSMasterKeyID>{key}</KMSMasterKeyID>")
        };
        answer_with(
            200,
            format!(
                "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault>\
                 <SSEAlgorithm>{algorithm}</SSEAlgorithm>{key}</ApplyServerSideEncryptionByDefault></Rule>\
                 </ServerSideEncryptionConfiguration>"
            ),
        )
    };
    let kms = |key: Option<&str>, dual_layer| {
        Some(ExplicitEncryption::Kms(KmsEncryption {
            key_arn: key.map(str::to_owned),
            bucket_key: false,
            dual_layer,
        }))
    };
    let arn = "arn:aws:kms:eu-central-1:123456789012:key/k";
    for (answer, expected) in [
        (document("AES256", ""), Some(ExplicitEncryption::Managed)),
        (document("aws:kms", arn), kms(Some(arn), false)),
        (document("aws:kms:dsse", arn), kms(Some(arn), true)),
        // Neither an id nor an alias equals the ARN that a HEAD returns.
        (document("aws:kms", "alias/mine"), kms(None, false)),
        (document("aws:kms", ""), kms(None, false)),
        (
            error(404, "ServerSideEncryptionConfigurationNotFoundError"),
            Some(ExplicitEncryption::Managed),
        ),
        (error(403, "AccessDenied"), None),
        (error(501, "NotImplemented"), None),
    ] {
        let recorded = Recorded::new([answer]);
        let destination = recorded.destination();
        for _ in 0..2 {
            assert_eq!(destination.default_encryption().await, Ok(expected.clone()));
        }
        assert_eq!(recorded.sent(), 1);
    }
}
