use super::*;
use crate::sim::model::conditions::RequestConditions;
use crate::sim::model::object::SimVersion;

fn conditions(if_match: Option<&str>, if_none_match: Option<&str>) -> RequestConditions {
    RequestConditions {
        if_match: if_match.map(str::to_owned),
        if_none_match: if_none_match.map(str::to_owned),
        ..RequestConditions::default()
    }
}

fn object(fixture: &mut SimFixture) -> SimVersion {
    fixture.put(VERSIONED, "content");
    let bucket = fixture.simulator.bucket(VERSIONED.bucket).expect("a bucket");
    bucket.current(VERSIONED.key).expect("a version").clone()
}

const CONTENT_MD5: &str = "9a0364b9e99bb480dd25e1f0284c8555";

#[test]
fn writes_follow_the_documented_table() {
    let version = object(&mut SimFixture::new());
    let present = version.object();
    let table = [
        (None, None, None, None),
        (None, Some("*"), None, None),
        (None, Some("*"), present, Some(SimErrorCode::PreconditionFailed)),
        (None, Some(CONTENT_MD5), present, Some(SimErrorCode::NotImplemented)),
        (Some(CONTENT_MD5), None, present, None),
        (Some("other"), None, present, Some(SimErrorCode::PreconditionFailed)),
        (Some(CONTENT_MD5), None, None, Some(SimErrorCode::NoSuchKey)),
        (Some("*"), None, present, Some(SimErrorCode::NotImplemented)),
    ];
    for (if_match, if_none_match, current, expected) in table {
        let answer = conditions(if_match, if_none_match).check_write(current);
        assert_eq!(code(answer), expected, "{if_match:?} {if_none_match:?}");
    }
}

#[test]
fn deletes_follow_the_documented_table() {
    let mut fixture = SimFixture::new();
    let version = object(&mut fixture);
    fixture.delete(VERSIONED);
    let bucket = fixture.simulator.bucket(VERSIONED.bucket).expect("a bucket");
    let marker = bucket.current(VERSIONED.key);
    let present = Some(&version);
    let table = [
        (None, None, None),
        (Some(CONTENT_MD5), present, None),
        (Some("*"), present, None),
        (Some("other"), present, Some(SimErrorCode::PreconditionFailed)),
        (Some("*"), None, Some(SimErrorCode::NoSuchKey)),
        (Some("*"), marker, Some(SimErrorCode::PreconditionFailed)),
        (Some(CONTENT_MD5), marker, Some(SimErrorCode::NoSuchKey)),
    ];
    for (if_match, current, expected) in table {
        let answer = conditions(if_match, None).check_delete(current);
        assert_eq!(code(answer), expected, "{if_match:?}");
    }
}

#[test]
fn reads_answer_412_before_304_and_a_source_only_412() {
    let version = object(&mut SimFixture::new());
    let object = version.object().expect("an object");
    let at = version.last_modified;
    let since =
        |modified: Option<u64>, unmodified: Option<u64>, if_match: Option<&str>, if_none_match: Option<&str>| {
            RequestConditions {
                if_modified_since: modified,
                if_unmodified_since: unmodified,
                ..conditions(if_match, if_none_match)
            }
        };
    let table = [
        (since(None, None, Some(CONTENT_MD5), None), None),
        (since(None, None, Some("*"), None), None),
        (
            since(None, None, Some("other"), None),
            Some(SimErrorCode::PreconditionFailed),
        ),
        (
            since(None, None, None, Some(CONTENT_MD5)),
            Some(SimErrorCode::NotModified),
        ),
        (since(None, None, None, Some("other")), None),
        (since(Some(at), None, None, None), Some(SimErrorCode::NotModified)),
        (since(Some(at - 1000), None, None, None), None),
        (
            since(None, Some(at - 1000), None, None),
            Some(SimErrorCode::PreconditionFailed),
        ),
        (since(None, Some(at), None, None), None),
        // If-Match takes precedence over If-Unmodified-Since, If-None-Match over If-Modified-Since.
        (since(None, Some(at - 1000), Some(CONTENT_MD5), None), None),
        (since(Some(at), None, None, Some("other")), None),
    ];
    for (conditions, expected) in table {
        assert_eq!(
            code(conditions.check_read(&version, object)),
            expected,
            "{conditions:?}"
        );
        let as_source = code(conditions.check_copy_source(&version, object));
        assert_eq!(
            as_source,
            expected.and(Some(SimErrorCode::PreconditionFailed)),
            "{conditions:?}"
        );
    }
}
