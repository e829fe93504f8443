use super::*;
use crate::names::BucketName;

fn version(name: &str) -> VersionName {
    VersionName::new(name).unwrap()
}

fn intent(covered: &str, etag: &str) -> DeleteIntent {
    DeleteIntent {
        covered: version(covered),
        etag: ETag::new(etag).unwrap(),
        announced: Timestamp::from_seconds(1_000),
    }
}

#[test]
fn delete_may_land_until_its_request_is_over() {
    let intent = intent("v1", "aa");
    for seconds in [900, 940, 1_000, 2_800, 2_801, 5_000] {
        let time = Timestamp::from_seconds(seconds);
        assert_eq!(intent.may_land_at(time), (940..=2_800).contains(&seconds), "{seconds}");
    }
}

fn route() -> MigrationRoute {
    MigrationRoute {
        source: BucketName::new("source").unwrap(),
        destination: BucketName::new("destination").unwrap(),
    }
}

#[test]
fn intent_is_parsed_as_it_was_written_and_for_its_version_only() {
    let key = ObjectKey::from_raw("a/b").unwrap();
    let intent = intent("null", "aa");
    let written = route().write_intent(&key, &intent).unwrap();
    assert_eq!(route().read_intent(&key, &intent.covered, &written), Ok(intent.clone()));
    let other_key = ObjectKey::from_raw("a/c").unwrap();
    let other_route = MigrationRoute {
        source: BucketName::new("other").unwrap(),
        ..route()
    };
    for read in [
        route().read_intent(&other_key, &intent.covered, &written),
        route().read_intent(&key, &version("v1"), &written),
        other_route.read_intent(&key, &intent.covered, &written),
    ] {
        assert!(matches!(read, Err(IntentError::OfAnother(_))), "{read:?}");
    }
    for unreadable in ["", "{}", "[]"] {
        let read = route().read_intent(&key, &intent.covered, unreadable.as_bytes());
        assert!(matches!(read, Err(IntentError::Unreadable(_))), "{unreadable}");
    }
}

#[test]
fn key_of_an_intent_is_read_unless_it_is_of_another_migration() {
    let key = ObjectKey::from_raw("a/b").unwrap();
    let intent = intent("null", "aa");
    let written = route().write_intent(&key, &intent).unwrap();
    let name = route().intent_name(&key, &intent.covered);
    assert_eq!(route().key_of_intent(&name, &written), Ok(Some(key)));
    let reverse = MigrationRoute {
        source: route().destination,
        destination: route().source,
    };
    assert_eq!(reverse.key_of_intent(&name, &written), Ok(None));
    let renamed = route().key_of_intent("intents/other.json", &written);
    assert!(matches!(renamed, Err(IntentError::OfAnother(_))), "{renamed:?}");
    for unreadable in ["", "{}"] {
        let read = route().key_of_intent(&name, unreadable.as_bytes());
        assert!(matches!(read, Err(IntentError::Unreadable(_))), "{unreadable}");
    }
}

/// Fields that only the other format has do not hide its number.
#[test]
fn intent_in_another_format_is_refused_by_number() {
    let key = ObjectKey::from_raw("a/b").unwrap();
    let intent = intent("null", "aa");
    let name = route().intent_name(&key, &intent.covered);
    let newer = br#"{"form":2,"route":"source to destination"}"#;
    let error = route().read_intent(&key, &intent.covered, newer).unwrap_err();
    assert_eq!(
        error.to_string(),
        "delete intent written in format 2 by another version of s3ferry; this version reads format 1"
    );
    assert_eq!(route().key_of_intent(&name, newer), Err(error));
}

/// An intent as version 0.1.0 writes it. If this test fails, change the format's number.
#[test]
fn intent_of_a_deployed_version_is_read() {
    let stored = concat!(
        r#"{"form":1,"source_bucket":"source","destination_bucket":"destination","key":"a/b","#,
        r#""covered":"null","etag":"aa","announced":1000000}"#,
    );
    let key = ObjectKey::from_raw("a/b").unwrap();
    let intent = intent("null", "aa");
    let written = route().write_intent(&key, &intent).unwrap();
    assert_eq!(String::from_utf8(written).unwrap(), stored);
    assert_eq!(
        route().read_intent(&key, &intent.covered, stored.as_bytes()),
        Ok(intent)
    );
}

#[test]
fn every_version_has_its_own_intent_name() {
    let key = ObjectKey::from_raw("a/b").unwrap();
    let name = |version: &VersionName| route().intent_name(&key, version);
    assert_ne!(name(&version("v1")), name(&version("v2")));
    assert_ne!(name(&version("v1")), route().entry_name(&key));
    let name = name(&version("null"));
    let hash = name
        .strip_prefix("intents/")
        .and_then(|rest| rest.strip_suffix(".json"));
    assert_eq!(hash.map(str::len), Some(64), "{name}");
}
