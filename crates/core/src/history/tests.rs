use super::*;
use crate::facts::samples::object;
use crate::names::BucketName;

fn version(name: &str) -> VersionName {
    VersionName::new(name).unwrap()
}

fn at(name: &str, seconds: i64, etag: Option<&str>) -> VersionStamp {
    VersionStamp {
        version: version(name),
        last_modified: Timestamp::from_seconds(seconds),
        kind: etag.map_or(VersionKind::DeleteMarker, |etag| VersionKind::Object {
            etag: ETag::new(etag).unwrap(),
            size_bytes: 1,
        }),
    }
}

fn intent(covered: &str, etag: &str) -> DeleteIntent {
    DeleteIntent {
        covered: version(covered),
        etag: ETag::new(etag).unwrap(),
        announced: Timestamp::from_seconds(1_000),
    }
}

#[track_caller]
fn check(versions: &[VersionStamp], announced: &[DeleteIntent], expected: Deleter) {
    let past = Past {
        versions: versions.to_vec(),
        announced: announced.to_vec(),
        below: None,
    };
    assert_eq!(past.delete_marker(), expected);
}

#[test]
fn delete_marker_is_ours_where_its_version_was_announced() {
    let versions = [
        at("marker", 1_001, None),
        at("v2", 900, Some("aa")),
        at("v1", 800, Some("aa")),
    ];
    check(&versions, &[intent("v2", "aa")], Deleter::Us);
    check(&versions, &[], Deleter::SomebodyElse);
    check(&versions, &[intent("v9", "aa")], Deleter::SomebodyElse);
    check(&versions[..1], &[intent("v2", "aa")], Deleter::SomebodyElse);
    check(&[], &[], Deleter::SomebodyElse);
}

#[test]
fn delete_that_was_announced_for_an_equal_version_below_hit_the_wrong_one() {
    let covering = |seconds, etag| {
        [
            at("marker", seconds, None),
            at("theirs", 1_000, Some(etag)),
            at("v1", 800, Some("aa")),
        ]
    };
    let announced = [intent("v1", "aa")];
    check(&covering(1_001, "aa"), &announced, Deleter::UsByMistake);
    check(&covering(1_600, "aa"), &announced, Deleter::UsByMistake);
    check(&covering(1_661, "aa"), &announced, Deleter::SomebodyElse);
    check(&covering(939, "aa"), &announced, Deleter::SomebodyElse);
    check(&covering(1_001, "bb"), &announced, Deleter::SomebodyElse);
    check(&covering(1_001, "aa")[..2], &announced, Deleter::SomebodyElse);
    let over_marker = [
        at("marker", 1_001, None),
        at("other", 1_000, None),
        at("v1", 800, Some("aa")),
    ];
    check(&over_marker, &announced, Deleter::SomebodyElse);
}

#[test]
fn intent_is_settled_once_nothing_can_land_any_longer() {
    let intent = intent("v1", "aa");
    for seconds in [900, 1_000, 1_660, 1_661, 5_000] {
        let time = Timestamp::from_seconds(seconds);
        assert_eq!(intent.is_settled(time), seconds > 1_660, "{seconds}");
        assert_eq!(intent.may_land_at(time), (940..=1_660).contains(&seconds), "{seconds}");
    }
}

#[test]
fn past_belongs_to_what_was_read() {
    let past = |stamp| Past {
        versions: vec![stamp],
        ..Past::default()
    };
    let present = ObjectState::Present(Box::new(object("aa")));
    assert!(past(at("v1", 1, Some("aa"))).begins_with(&present));
    assert!(!past(at("v2", 1, Some("aa"))).begins_with(&present));
    assert!(!past(at("v1", 1, None)).begins_with(&present));
    assert!(past(at("v1", 1, None)).begins_with(&ObjectState::DeleteMarker));
    assert!(!past(at("v1", 1, Some("aa"))).begins_with(&ObjectState::DeleteMarker));
    assert!(!past(at("v1", 1, None)).begins_with(&ObjectState::NotFound));
    assert!(!Past::default().begins_with(&ObjectState::DeleteMarker));
    let mut unversioned = object("aa");
    unversioned.version_id = None;
    let unversioned = ObjectState::Present(Box::new(unversioned));
    assert!(past(at("null", 1, Some("aa"))).begins_with(&unversioned));
}

#[test]
fn objects_below_are_found_under_delete_markers() {
    let past = Past {
        versions: vec![at("v3", 3, Some("aa")), at("v2", 2, None), at("v1", 1, Some("aa"))],
        ..Past::default()
    };
    let below: Vec<&str> = past.objects_below().map(|stamp| stamp.version.as_str()).collect();
    assert_eq!(below, ["v1"]);
}

fn route() -> Route {
    Route {
        source: BucketName::new("source").unwrap(),
        destination: BucketName::new("destination").unwrap(),
    }
}

#[test]
fn intent_comes_back_as_it_was_written_and_of_nothing_else() {
    let key = ObjectKey::from_raw("a/b").unwrap();
    let intent = intent("null", "aa");
    let written = route().write_intent(&key, &intent).unwrap();
    assert_eq!(route().read_intent(&key, &intent.covered, &written), Ok(intent.clone()));
    let other_key = ObjectKey::from_raw("a/c").unwrap();
    let other_route = Route {
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
    let newer = String::from_utf8(written).unwrap().replace("\"form\":1", "\"form\":2");
    for unreadable in ["", "{}", "[]", newer.as_str()] {
        let read = route().read_intent(&key, &intent.covered, unreadable.as_bytes());
        assert!(matches!(read, Err(IntentError::Unreadable(_))), "{unreadable}");
    }
}

#[test]
fn every_version_has_an_intent_of_its_own() {
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

#[test]
fn versions_are_named_as_s3_names_them() {
    assert_eq!(VersionName::new(""), None);
    assert_eq!(VersionName::new("null"), Some(VersionName::Null));
    assert_eq!(VersionName::of(None).as_str(), "null");
    assert_eq!(VersionName::of(VersionId::pinnable("v1").as_ref()), version("v1"));
    assert_eq!(version("v1").to_string(), "v1");
}
