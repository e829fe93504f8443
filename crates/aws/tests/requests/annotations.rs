//! Lists annotations, also on stores that do not support them.

use std::collections::BTreeMap;

use s3ferry_core::facts::{Attribute, AttributeSet};
use s3ferry_core::failure::FailureKind;
use s3ferry_engine::ports::{DestinationObjects as _, SourceBucket as _};

use crate::recorded::{Answer, HEAD_OK, Recorded, answer, answer_with, assert_failure, error, key};

fn page(names: &[&str], next: Option<&str>) -> Answer {
    let entry = |name: &&str| {
        format!(
            "<AnnotationEntry><AnnotationName>{name}</AnnotationName><ETag>\"tag-{name}\"</ETag>\
             <LastModified>2026-11-20T10:15:30Z</LastModified><Size>1</Size></AnnotationEntry>"
        )
    };
    let entries: String = names.iter().map(entry).collect();
    let next = next.map(|token| format!("<NextContinuationToken>{token}</NextContinuationToken>"));
    let (root, next) = ("ListObjectAnnotationsOutput", next.unwrap_or_default());
    answer_with(
        200,
        format!("<{root}><Annotations>{entries}</Annotations>{next}</{root}>"),
    )
}

fn annotations() -> AttributeSet {
    AttributeSet::from([Attribute::Annotations])
}

#[tokio::test]
async fn annotations_of_the_version_that_was_read_are_listed_page_by_page() {
    let recorded = Recorded::new([HEAD_OK, page(&["a", "b"], Some("next page")), page(&["c"], None)]);
    let state = recorded.source().read(&key(), &annotations()).await.unwrap();
    let found = state.facts().unwrap().annotations.clone().unwrap();
    let expected = ["a", "b", "c"].map(|name| (name.to_owned(), format!("tag-{name}")));
    assert_eq!(found, BTreeMap::from(expected));
    for (index, token) in [(1, None), (2, Some("continuation-token=next%20page"))] {
        let line = recorded.line(index);
        assert!(line.contains("versionId=v1"), "{line}");
        assert_eq!(line.contains("continuation-token"), token.is_some(), "{line}");
        assert!(line.contains(token.unwrap_or_default()), "{line}");
        recorded.assert_headers(index, &[("x-amz-expected-bucket-owner", Some("123456789012"))]);
    }
}

#[tokio::test]
async fn denied_annotation_list_names_the_action() {
    let recorded = Recorded::new([HEAD_OK, error(403, "AccessDenied")]);
    let failure = recorded.source().read(&key(), &annotations()).await.unwrap_err();
    assert_failure(
        &failure,
        FailureKind::Permanent,
        &[
            "s3:ListObjectVersionAnnotations",
            "arn:aws:s3:::source-bucket/a b+c/ü.txt",
        ],
    );
}

/// A store without annotations takes the request for a GET of the object, or returns `NotImplemented`.
#[tokio::test(start_paused = true)]
async fn store_without_annotations_has_none_and_gets_no_further_request() {
    let object = answer(200, &[("etag", "\"aa\""), ("content-length", "11")], "hello world");
    for unknown in [object, error(501, "NotImplemented")] {
        let recorded = Recorded::new([HEAD_OK, unknown, HEAD_OK]);
        let destination = recorded.destination();
        for _ in 0..2 {
            let state = destination.read(&key(), &annotations()).await.unwrap();
            assert_eq!(state.facts().unwrap().annotations, Some(BTreeMap::new()));
        }
        assert_eq!(recorded.sent(), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn truncated_annotation_list_is_a_failure() {
    let broken = || answer(200, &[("content-type", "application/xml")], "<ListObjectAnno");
    let recorded = Recorded::new([HEAD_OK, broken(), broken(), broken()]);
    let failure = recorded.source().read(&key(), &annotations()).await.unwrap_err();
    assert_failure(&failure, FailureKind::Retry, &["s3:ListObjectVersionAnnotations"]);
}

#[tokio::test(start_paused = true)]
async fn other_refusals_of_the_annotation_list_are_failures() {
    for (status, code) in [(400, "InvalidRequest"), (400, "InvalidArgument"), (404, "NoSuchBucket")] {
        let recorded = Recorded::new([HEAD_OK, error(status, code)]);
        let failure = recorded.source().read(&key(), &annotations()).await.unwrap_err();
        assert!(failure.to_string().contains(code), "{failure}");
    }
}
