//! Versions of the destination, and delete intents.

use std::time::Duration;

use s3ferry_core::delete_intent::DeleteIntent;
use s3ferry_core::facts::ObjectState;
use s3ferry_core::failure::FailureKind;
use s3ferry_core::names::{ObjectKey, VersionId};
use s3ferry_core::time::Timestamp;
use s3ferry_core::versions::VersionName;
use s3ferry_engine::ports::{DeleteIntents as _, DestinationObjects as _, DestinationVersions as _};

use crate::recorded::{Answer, HEAD_OK, Recorded, answer, answer_with, assert_failure, error, etag, key, route};

const OBJECT: &str = "https://destination-bucket.s3.eu-central-1.amazonaws.com/a%20b%2Bc/%C3%BC.txt";

fn version(name: &str) -> VersionName {
    VersionName::new(name).unwrap()
}

fn entry(kind: &str, key: &str, version: &str, is_latest: bool) -> String {
    let more = if kind == "Version" {
        "<ETag>\"aa\"</ETag><Size>5</Size>"
    } else {
        ""
    };
    format!(
        "<{kind}><Key>{key}</Key><VersionId>{version}</VersionId><IsLatest>{is_latest}</IsLatest>\
         <LastModified>2026-11-20T10:15:30.000Z</LastModified>{more}</{kind}>"
    )
}

fn listing(entries: &[String]) -> String {
    format!(
        "<ListVersionsResult><EncodingType>url</EncodingType>{}</ListVersionsResult>",
        entries.concat()
    )
}

fn dated(listing: String) -> Answer {
    answer(
        200,
        &[("date", "Fri, 20 Nov 2026 10:15:31 GMT")],
        Box::leak(listing.into_boxed_str()),
    )
}

const KEY: &str = "a+b%2Bc/%C3%BC.txt";

#[tokio::test]
async fn versions_of_exactly_one_key_are_listed_in_order() {
    let listed = listing(&[
        entry("DeleteMarker", KEY, "m2", true),
        entry("Version", KEY, "v2", false),
        entry("DeleteMarker", KEY, "m1", false),
        entry("Version", KEY, "null", false),
        entry("Version", "a+b%2Bc/%C3%BC.txt2", "other", true),
    ]);
    let recorded = Recorded::new([dated(listed)]);
    let listing = recorded.destination().list_versions(&key()).await.unwrap();
    assert_eq!(listing.listed, Timestamp::from_seconds(1_795_169_731));
    assert!(listing.is_complete);
    let history = listing.versions;
    let names: Vec<&str> = history.iter().map(|stamp| stamp.version.as_str()).collect();
    assert_eq!(names, ["m2", "v2", "m1", "null"]);
    assert_eq!(history[0].etag(), None);
    assert_eq!(history[1].etag(), Some(&etag("aa")));
    assert_eq!(history[1].last_modified, Timestamp::from_seconds(1_795_169_730));
    assert_eq!(
        recorded.line(0),
        "GET https://destination-bucket.s3.eu-central-1.amazonaws.com/?versions&encoding-type=url&max-keys=250\
         &prefix=a%20b%2Bc%2F%C3%BC.txt"
    );
}

#[tokio::test]
async fn listing_is_incomplete_only_if_more_versions_of_the_key_follow() {
    let truncated = |entries: &[String]| {
        listing(entries).replace("</EncodingType>", "</EncodingType><IsTruncated>true</IsTruncated>")
    };
    let own = entry("Version", KEY, "v1", true);
    let other = entry("Version", "a+b%2Bc/%C3%BC.txt2", "other", true);
    for (entries, is_complete) in [(vec![own.clone()], false), (vec![own, other], true)] {
        let recorded = Recorded::new([dated(truncated(&entries))]);
        let listing = recorded.destination().list_versions(&key()).await.unwrap();
        assert_eq!(listing.is_complete, is_complete);
    }
}

#[tokio::test(start_paused = true)]
async fn listing_without_a_date_is_read_again() {
    let recorded = Recorded::new([answer_with(200, listing(&[entry("Version", KEY, "v1", true)]))]);
    let failure = recorded.destination().list_versions(&key()).await.unwrap_err();
    assert_failure(&failure, FailureKind::Retry, &["Date"]);
}

#[tokio::test]
async fn unencoded_keys_are_read_unchanged() {
    let listed =
        listing(&[entry("Version", "a b+c/ü.txt", "v1", true)]).replace("<EncodingType>url</EncodingType>", "");
    let recorded = Recorded::new([dated(listed)]);
    let listing = recorded.destination().list_versions(&key()).await.unwrap();
    assert_eq!(listing.versions.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn denied_listing_names_the_missing_permission() {
    let recorded = Recorded::new([error(403, "AccessDenied")]);
    let failure = recorded.destination().list_versions(&key()).await.unwrap_err();
    assert_failure(&failure, FailureKind::Permanent, &["s3:ListBucketVersions"]);
}

#[tokio::test]
async fn version_is_read_by_its_id() {
    let marker = answer(405, &[("x-amz-delete-marker", "true")], "");
    let recorded = Recorded::new([HEAD_OK, marker, answer(404, &[], "")]);
    let destination = recorded.destination();
    let read = destination.read_version(&key(), &version("null")).await.unwrap();
    assert!(matches!(read, ObjectState::Present(_)), "{read:?}");
    assert_eq!(recorded.line(0), format!("HEAD {OBJECT}?versionId=null"));
    let read = destination.read_version(&key(), &version("m1")).await;
    assert_eq!(read, Ok(ObjectState::DeleteMarker));
    let read = destination.read_version(&key(), &version("v9")).await;
    assert_eq!(read, Ok(ObjectState::NotFound));
}

#[tokio::test(start_paused = true)]
async fn version_is_removed_by_its_id_and_a_second_removal_succeeds() {
    let recorded = Recorded::new([
        answer(204, &[], ""),
        error(404, "NoSuchVersion"),
        error(403, "AccessDenied"),
    ]);
    let destination = recorded.destination();
    assert_eq!(destination.delete_version(&key(), &version("v1")).await, Ok(()));
    assert_eq!(
        recorded.line(0),
        format!("DELETE {OBJECT}?x-id=DeleteObject&versionId=v1")
    );
    recorded.assert_headers(0, &[("if-match", None)]);
    assert_eq!(destination.delete_version(&key(), &version("v1")).await, Ok(()));
    let failure = destination.delete_version(&key(), &version("v1")).await.unwrap_err();
    assert_failure(&failure, FailureKind::Permanent, &["s3:DeleteObjectVersion"]);
}

#[tokio::test]
async fn delete_returns_its_delete_marker() {
    let left = answer(204, &[("x-amz-delete-marker", "true"), ("x-amz-version-id", "m1")], "");
    let recorded = Recorded::new([left, answer(204, &[], "")]);
    let destination = recorded.destination();
    assert_eq!(
        destination.delete(&key(), &etag("aa")).await,
        Ok(VersionId::pinnable("m1"))
    );
    assert_eq!(destination.delete(&key(), &etag("aa")).await, Ok(None));
}

#[tokio::test(start_paused = true)]
async fn enabled_versioning_is_cached_for_a_minute() {
    let status = |status: &str| {
        answer_with(
            200,
            format!("<VersioningConfiguration><Status>{status}</Status></VersioningConfiguration>"),
        )
    };
    let never = answer_with(200, "<VersioningConfiguration/>");
    let recorded = Recorded::new([never, status("Suspended"), status("Enabled"), status("Suspended")]);
    let destination = recorded.destination();
    for expected in [false, false, true, true] {
        assert_eq!(destination.is_versioned().await, Ok(expected));
    }
    assert_eq!(recorded.sent(), 3);
    tokio::time::advance(Duration::from_secs(61)).await;
    assert_eq!(destination.is_versioned().await, Ok(false));
}

fn intent() -> DeleteIntent {
    DeleteIntent {
        covered: version("v1"),
        etag: etag("aa"),
        announced: Timestamp::from_seconds(1_000),
    }
}

fn intent_url() -> String {
    let name = route().intent_name(&key(), &version("v1"));
    format!("https://state-bucket.s3.us-east-1.amazonaws.com/{name}")
}

#[tokio::test]
async fn delete_intent_is_written_and_found() {
    let recorded = Recorded::new([answer(200, &[("etag", "\"e1\"")], "")]);
    let journal = recorded.journal();
    assert_eq!(journal.announce(&key(), &intent()).await, Ok(()));
    assert_eq!(recorded.line(0), format!("PUT {}?x-id=PutObject", intent_url()));
    recorded.assert_headers(
        0,
        &[("if-none-match", None), ("content-type", Some("application/json"))],
    );

    let body = Box::leak(recorded.body(0).into_boxed_str());
    let reading = Recorded::new([answer(200, &[("etag", "\"e1\"")], body), error(404, "NoSuchKey")]);
    let journal = reading.journal();
    assert_eq!(journal.find(&key(), &version("v1")).await, Ok(Some(intent())));
    assert_eq!(reading.line(0), format!("GET {}?x-id=GetObject", intent_url()));
    assert_eq!(journal.find(&key(), &version("v1")).await, Ok(None));
}

#[tokio::test]
async fn unreadable_intent_is_a_failure() {
    let other = ObjectKey::from_raw("another").unwrap();
    let foreign = String::from_utf8(route().write_intent(&other, &intent()).unwrap()).unwrap();
    for body in ["", "{}", &*foreign.leak()] {
        let recorded = Recorded::new([answer(200, &[("etag", "\"e1\"")], body)]);
        let failure = recorded.journal().find(&key(), &version("v1")).await.unwrap_err();
        assert_failure(&failure, FailureKind::Bug, &["UnreadableIntent"]);
    }
}

#[tokio::test]
async fn intent_in_another_format_is_a_failure_that_names_the_format() {
    let recorded = Recorded::new([answer(
        200,
        &[("etag", "\"e1\"")],
        r#"{"form":2,"route":"other fields"}"#,
    )]);
    let failure = recorded.journal().find(&key(), &version("v1")).await.unwrap_err();
    assert_failure(&failure, FailureKind::Configuration, &["UnsupportedFormat", "format 2"]);
}
