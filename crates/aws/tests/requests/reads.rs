//! Reads of keys.

use std::collections::BTreeMap;

use s3ferry_core::acl::{Grant, Grantee};
use s3ferry_core::bucket_settings::ReplicationCoverage;
use s3ferry_core::facts::{Attribute, AttributeSet, ObjectFacts, ObjectState};
use s3ferry_core::failure::FailureKind;
use s3ferry_core::names::VersionId;
use s3ferry_engine::ports::{Absence, DestinationObjects as _, SourceBucket as _};

use crate::recorded::{HEAD_OK, Recorded, answer, answer_with, assert_failure, error, key};

#[tokio::test]
async fn source_is_read_in_its_own_region_with_checksums_and_owner() {
    let recorded = Recorded::new([HEAD_OK]);
    let state = recorded.source().read(&key(), &AttributeSet::new()).await.unwrap();
    let ObjectState::Present(facts) = state else {
        panic!("{state:?}");
    };
    assert_eq!((facts.size_bytes, facts.version_id), (5, VersionId::pinnable("v1")));
    assert_eq!(
        facts.headers.expires.as_deref(),
        Some("whenever"),
        "preserved as written"
    );
    assert_eq!(facts.user_metadata.get("owner").map(String::as_str), Some("team"));
    assert_eq!(
        recorded.line(0),
        "HEAD https://source-bucket.s3.us-east-1.amazonaws.com/a%20b%2Bc/%C3%BC.txt"
    );
    assert_eq!(recorded.header(0, "x-amz-checksum-mode").as_deref(), Some("ENABLED"));
    assert_eq!(
        recorded.header(0, "x-amz-expected-bucket-owner").as_deref(),
        Some("123456789012")
    );
}

#[tokio::test]
async fn tags_are_read_from_the_version_that_was_read() {
    let tags = "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>";
    let recorded = Recorded::new([HEAD_OK, answer(200, &[], tags)]);
    let state = recorded
        .source()
        .read(&key(), &AttributeSet::from([Attribute::Tags]))
        .await
        .unwrap();
    let tags = state.facts().unwrap().tags.clone().unwrap();
    assert_eq!(tags.into_iter().collect::<Vec<_>>(), [("a".to_owned(), "b".to_owned())]);
    assert!(recorded.line(1).contains("versionId=v1"), "{}", recorded.line(1));
}

#[tokio::test]
async fn missing_key_and_delete_marker_are_distinguished() {
    let marker = answer(404, &[("x-amz-delete-marker", "true"), ("x-amz-version-id", "m1")], "");
    let recorded = Recorded::new([answer(404, &[], ""), answer(200, &[], ""), marker]);
    let source = recorded.source();
    assert_eq!(
        source.read(&key(), &AttributeSet::new()).await,
        Ok(ObjectState::NotFound)
    );
    assert_eq!(
        source.read(&key(), &AttributeSet::new()).await,
        Ok(ObjectState::DeleteMarker)
    );
}

#[tokio::test]
async fn failed_reads_are_classified_by_what_must_happen_next() {
    let head = async |status, get| {
        let recorded = Recorded::new([answer(status, &[], ""), get]);
        recorded.source().read(&key(), &AttributeSet::new()).await.unwrap_err()
    };
    let denied = head(403, error(403, "AccessDenied")).await;
    let arn = "arn:aws:s3:::source-bucket/a b+c/ü.txt";
    assert_failure(
        &denied,
        FailureKind::Permanent,
        &["s3:GetObject", arn, "AccessDenied", "s3:ListBucket"],
    );
    assert_failure(
        &head(301, error(301, "PermanentRedirect")).await,
        FailureKind::Configuration,
        &["not in region us-east-1"],
    );
    assert_failure(
        &head(400, error(400, "InvalidRequest")).await,
        FailureKind::Permanent,
        &["CustomerKeyEncrypted", "customer-provided key"],
    );
}

#[tokio::test(start_paused = true)]
async fn refused_head_is_classified_by_a_get_with_a_body() {
    let found = || answer(206, &[("content-length", "1"), ("content-range", "bytes 0-0/5")], "x");
    for (status, get, kind, code) in [
        (
            400,
            error(400, "ExpiredToken"),
            FailureKind::Configuration,
            "ExpiredToken",
        ),
        (
            403,
            error(403, "InvalidAccessKeyId"),
            FailureKind::Configuration,
            "InvalidAccessKeyId",
        ),
        (
            403,
            error(403, "RequestTimeTooSkewed"),
            FailureKind::Configuration,
            "RequestTimeTooSkewed",
        ),
        (
            403,
            error(403, "SignatureDoesNotMatch"),
            FailureKind::Configuration,
            "SignatureDoesNotMatch",
        ),
        (403, found(), FailureKind::Permanent, "AccessDenied"),
        (400, found(), FailureKind::Retry, "UnconfirmedRefusal"),
        (400, error(404, "NoSuchKey"), FailureKind::Retry, "UnconfirmedRefusal"),
    ] {
        let recorded = Recorded::new([answer(status, &[], ""), get]);
        let failure = recorded.source().read(&key(), &AttributeSet::new()).await.unwrap_err();
        assert_eq!((failure.kind, failure.code.as_str()), (kind, code), "{failure}");
        let line = recorded.line(1);
        assert!(line.starts_with("GET ") && line.contains("x-id=GetObject"), "{line}");
        recorded.assert_headers(1, &[("range", Some("bytes=0-0"))]);
    }
}

#[tokio::test(start_paused = true)]
async fn unreadable_response_is_named_without_its_content() {
    let broken = || answer(200, &[("x-amz-meta-owner", "secret"), ("last-modified", "no date")], "");
    let recorded = Recorded::new([broken(), broken(), broken()]);
    let failure = recorded.source().read(&key(), &AttributeSet::new()).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Retry);
    assert!(!failure.to_string().contains("secret"), "{failure}");
}

#[tokio::test(start_paused = true)]
async fn throttled_read_is_retried_by_the_sdk() {
    let recorded = Recorded::new([answer(503, &[], ""), HEAD_OK]);
    assert!(recorded.source().read(&key(), &AttributeSet::new()).await.is_ok());
    assert_eq!(recorded.sent(), 2);
}

#[tokio::test]
async fn absence_is_confirmed_by_a_listing_of_all_versions() {
    let listing = |entries: &str| {
        let body = format!("<ListVersionsResult>{entries}</ListVersionsResult>");
        answer(200, &[], Box::leak(body.into_boxed_str()))
    };
    let version = "<Version><Key>a b+c/ü.txt</Key><VersionId>v1</VersionId><IsLatest>true</IsLatest></Version>";
    let old = "<Version><Key>a b+c/ü.txt</Key><VersionId>v1</VersionId><IsLatest>false</IsLatest></Version>\
               <DeleteMarker><Key>a b+c/ü.txt</Key><VersionId>m</VersionId><IsLatest>true</IsLatest></DeleteMarker>";
    let longer = "<Version><Key>a b+c/ü.txt.bak</Key><VersionId>v1</VersionId><IsLatest>true</IsLatest></Version>";
    let encoded = "<EncodingType>url</EncodingType><Version><Key>a+b%2Bc/%C3%BC.txt</Key><VersionId>v1</VersionId>\
                   <IsLatest>true</IsLatest></Version>";
    for (entries, expected) in [
        ("", Absence::Confirmed),
        (version, Absence::ObjectFound),
        (old, Absence::Confirmed),
        (longer, Absence::Confirmed),
        (encoded, Absence::ObjectFound),
    ] {
        let recorded = Recorded::new([listing(entries)]);
        assert_eq!(
            recorded.source().confirm_absence(&key()).await,
            Ok(expected),
            "{entries}"
        );
        assert!(recorded.line(0).contains("encoding-type=url"), "{}", recorded.line(0));
        assert!(
            recorded.line(0).contains("prefix=a%20b%2Bc%2F%C3%BC.txt"),
            "{}",
            recorded.line(0)
        );
    }
}

#[tokio::test]
async fn missing_bucket_does_not_confirm_absence() {
    let missing = answer(
        404,
        &[],
        "<Error><Code>NoSuchBucket</Code><Message>gone</Message></Error>",
    );
    let failure = Recorded::new([missing])
        .source()
        .confirm_absence(&key())
        .await
        .unwrap_err();
    assert_failure(
        &failure,
        FailureKind::Configuration,
        &["NoSuchBucket", "s3:ListBucketVersions"],
    );
}

#[tokio::test]
async fn key_of_a_missing_bucket_is_not_a_missing_key() {
    let recorded = Recorded::new([answer(404, &[], ""), answer(404, &[], "")]);
    let failure = recorded.source().read(&key(), &AttributeSet::new()).await.unwrap_err();
    assert_failure(
        &failure,
        FailureKind::Configuration,
        &["NoSuchBucket", "arn:aws:s3:::source-bucket"],
    );
    assert_eq!(
        recorded.line(1),
        "HEAD https://source-bucket.s3.us-east-1.amazonaws.com/"
    );
    assert_eq!(
        recorded.header(1, "x-amz-expected-bucket-owner").as_deref(),
        Some("123456789012")
    );
}

#[tokio::test]
async fn bucket_is_requested_until_it_was_found_once() {
    let missing = || answer(404, &[], "");
    let found = answer(200, &[], "");
    let recorded = Recorded::new([missing(), missing(), missing(), found, missing()]);
    let source = recorded.source();
    source.read(&key(), &AttributeSet::new()).await.unwrap_err();
    for requests in [4, 5] {
        let state = source.read(&key(), &AttributeSet::new()).await.unwrap();
        assert_eq!((state, recorded.sent()), (ObjectState::NotFound, requests));
    }
    let recorded = Recorded::new([HEAD_OK, missing()]);
    let source = recorded.source();
    source.read(&key(), &AttributeSet::new()).await.unwrap();
    let state = source.read(&key(), &AttributeSet::new()).await.unwrap();
    assert_eq!((state, recorded.sent()), (ObjectState::NotFound, 2));
}

#[tokio::test(start_paused = true)]
async fn version_deleted_while_its_tags_are_read_is_read_again() {
    for code in ["NoSuchKey", "NoSuchVersion", "MethodNotAllowed"] {
        let body = format!("<Error><Code>{code}</Code></Error>");
        let gone = answer(404, &[], Box::leak(body.into_boxed_str()));
        let recorded = Recorded::new([HEAD_OK, gone]);
        let failure = recorded
            .source()
            .read(&key(), &AttributeSet::from([Attribute::Tags]))
            .await
            .unwrap_err();
        assert_failure(&failure, FailureKind::Retry, &["s3:GetObjectVersionTagging"]);
    }
}

#[tokio::test]
async fn bucket_without_replication_covers_no_key() {
    let none = answer(
        404,
        &[],
        "<Error><Code>ReplicationConfigurationNotFoundError</Code></Error>",
    );
    let coverage = Recorded::new([none]).source().replication(&key()).await;
    assert_eq!(coverage, Ok(ReplicationCoverage::NotCovered));
}

/// Returns the facts of `HEAD_OK`.
async fn head_facts() -> ObjectFacts {
    let recorded = Recorded::new([HEAD_OK]);
    let state = recorded.source().read(&key(), &AttributeSet::new()).await.unwrap();
    state.facts().unwrap().clone()
}

#[tokio::test]
async fn more_attributes_of_a_version_are_read_without_another_head() {
    let tags = "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>";
    let none = "<ListObjectAnnotationsOutput></ListObjectAnnotationsOutput>";
    let recorded = Recorded::new([answer_with(200, tags), answer_with(200, none)]);
    let facts = head_facts().await;
    let attributes = AttributeSet::from([Attribute::Tags, Attribute::Annotations]);
    let more = recorded
        .source()
        .read_more(&key(), &facts, &attributes)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(more.tags.as_ref().map(BTreeMap::len), Some(1));
    assert_eq!(more.annotations, Some(BTreeMap::new()));
    assert!(facts.is_still(&more));
    assert_eq!(recorded.sent(), 2);
    for index in 0..2 {
        let line = recorded.line(index);
        assert!(line.starts_with("GET") && line.contains("versionId=v1"), "{line}");
    }
}

#[tokio::test(start_paused = true)]
async fn more_attributes_of_a_missing_version_are_none() {
    let facts = head_facts().await;
    for code in ["NoSuchVersion", "NoSuchKey"] {
        let recorded = Recorded::new([error(404, code)]);
        let more = recorded
            .source()
            .read_more(&key(), &facts, &AttributeSet::from([Attribute::Tags]))
            .await;
        assert_eq!(more, Ok(None), "{code}");
    }
    let recorded = Recorded::new([error(404, "NoSuchBucket")]);
    let more = recorded
        .source()
        .read_more(&key(), &facts, &AttributeSet::from([Attribute::Tags]))
        .await;
    assert_failure(&more.unwrap_err(), FailureKind::Configuration, &["NoSuchBucket"]);
}

#[tokio::test]
async fn more_attributes_of_an_unversioned_object_take_another_head() {
    let tags = || answer_with(200, "<Tagging><TagSet></TagSet></Tagging>");
    let mut facts = head_facts().await;
    facts.version_id = None;
    let head = |etag: &'static str| {
        let headers: &'static [(&str, &str)] = Box::leak(Box::new([
            ("etag", etag),
            ("last-modified", "Fri, 20 Nov 2026 10:15:30 GMT"),
            ("content-length", "5"),
            ("x-amz-meta-owner", "team"),
            ("expires", "whenever"),
        ]));
        answer(200, headers, "")
    };
    for (etag, is_same) in [("\"aa\"", true), ("\"bb\"", false)] {
        let recorded = Recorded::new([head(etag), tags()]);
        let more = recorded
            .source()
            .read_more(&key(), &facts, &AttributeSet::from([Attribute::Tags]))
            .await;
        assert_eq!(more.unwrap().is_some(), is_same);
    }
    let recorded = Recorded::new([answer(404, &[], ""), answer(200, &[], "")]);
    let more = recorded
        .source()
        .read_more(&key(), &facts, &AttributeSet::from([Attribute::Tags]))
        .await;
    assert_eq!(more, Ok(None));
}

#[tokio::test]
async fn only_explicit_grants_are_read() {
    let acl = "<AccessControlPolicy><Owner><ID>owner</ID></Owner><AccessControlList>\
        <Grant><Grantee xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:type=\"CanonicalUser\">\
        <ID>owner</ID></Grantee><Permission>FULL_CONTROL</Permission></Grant>\
        <Grant><Grantee xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:type=\"CanonicalUser\">\
        <ID>owner</ID></Grantee><Permission>READ</Permission></Grant>\
        <Grant><Grantee xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:type=\"Group\">\
        <URI>http://acs.amazonaws.com/groups/global/AllUsers</URI></Grantee><Permission>READ</Permission></Grant>\
        </AccessControlList></AccessControlPolicy>";
    let recorded = Recorded::new([HEAD_OK, answer_with(200, acl)]);
    let state = recorded
        .destination()
        .read(&key(), &AttributeSet::from([Attribute::Acl]))
        .await
        .unwrap();
    let grants = state.facts().unwrap().acl.clone().unwrap().grants;
    let grant = |grantee| Grant {
        grantee,
        permission: "READ".to_owned(),
    };
    let all_users = "http://acs.amazonaws.com/groups/global/AllUsers".to_owned();
    let expected = [
        grant(Grantee::Account("owner".to_owned())),
        grant(Grantee::Group(all_users)),
    ];
    assert_eq!(grants, expected.into());
    assert!(recorded.line(1).ends_with("?acl&versionId=v1"), "{}", recorded.line(1));
}

#[tokio::test]
async fn denied_acl_names_the_action_for_a_version() {
    let recorded = Recorded::new([HEAD_OK, error(403, "AccessDenied")]);
    let failure = recorded
        .source()
        .read(&key(), &AttributeSet::from([Attribute::Acl]))
        .await
        .unwrap_err();
    assert_failure(&failure, FailureKind::Permanent, &["s3:GetObjectVersionAcl"]);
}

#[tokio::test]
async fn buckets_have_acls_unless_bucket_owner_enforced() {
    let rule = |ownership: &str| {
        let rule = format!("<Rule><ObjectOwnership>{ownership}</ObjectOwnership></Rule>");
        answer_with(200, format!("<OwnershipControls>{rule}</OwnershipControls>"))
    };
    for (known, expected) in [
        (rule("BucketOwnerEnforced"), false),
        (rule("BucketOwnerPreferred"), true),
        (rule("ObjectWriter"), true),
        (error(404, "OwnershipControlsNotFoundError"), true),
    ] {
        let recorded = Recorded::new([error(403, "AccessDenied"), known]);
        let source = recorded.source();
        let failure = source.has_acl().await.unwrap_err();
        assert_failure(
            &failure,
            FailureKind::Permanent,
            &["s3:GetBucketOwnershipControls", "arn:aws:s3:::source-bucket"],
        );
        assert_eq!(source.has_acl().await, Ok(expected));
        assert_eq!(source.clone().has_acl().await, Ok(expected));
        assert_eq!(recorded.sent(), 2, "not requested again once known");
    }
}
