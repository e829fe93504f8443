use super::*;
use crate::attributes::AttributeDigests;
use crate::facts::samples::object;
use crate::marker::MarkerRequest;
use crate::names::{BucketName, ObjectKey, VersionId};
use crate::order::CopyMethod;
use crate::versions::VersionKind;

/// Versions of a key, newest first.
#[derive(Debug, Clone)]
struct Versions {
    objects: Vec<(ListedVersion, Option<ObjectFacts>)>,
    intents: Vec<DeleteIntent>,
    is_complete: bool,
    questions: Vec<VersionQuestion>,
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

fn name(name: &str) -> VersionName {
    VersionName::new(name).unwrap()
}

/// Returns an external write.
fn external_write(version: &str, etag: &str, seconds: i64) -> ObjectFacts {
    ObjectFacts {
        version_id: VersionId::pinnable(version),
        last_modified: at(seconds),
        ..object(etag)
    }
}

/// Returns s3ferry's copy, requested and written at `seconds`, of a source object written at `source_seconds`.
fn s3ferry_copy(version: &str, etag: &str, seconds: i64, source_seconds: i64, over: Option<&str>) -> ObjectFacts {
    let (bucket, key) = names();
    let source = external_write("s", etag, source_seconds);
    let request = MarkerRequest {
        source_bucket: &bucket,
        location: ObjectLocation {
            bucket: &bucket,
            key: &key,
        },
        over: over.map(name),
        requested: at(seconds),
        decided: at(seconds),
        attributes: AttributeDigests::of(&source),
    };
    let (_, marker) = Marker::for_copy(&source, CopyMethod::SingleRequest, false, request).unwrap();
    let mut copy = external_write(version, etag, seconds);
    copy.user_metadata.insert(MARKER_NAME.to_owned(), marker.to_text());
    copy
}

/// Returns an object that an application wrote again with its metadata.
fn written_again(version: &str, copy: &ObjectFacts, seconds: i64) -> ObjectFacts {
    ObjectFacts {
        version_id: VersionId::pinnable(version),
        last_modified: at(seconds),
        ..copy.clone()
    }
}

fn names() -> (BucketName, ObjectKey) {
    (
        BucketName::new("destination").unwrap(),
        ObjectKey::from_raw("key").unwrap(),
    )
}

impl Versions {
    fn new() -> Self {
        Self {
            objects: Vec::new(),
            intents: Vec::new(),
            is_complete: true,
            questions: Vec::new(),
        }
    }

    fn put(mut self, facts: &ObjectFacts) -> Self {
        let listed_version = ListedVersion {
            version: VersionName::of(facts.version_id.as_ref()),
            last_modified: facts.last_modified,
            kind: VersionKind::Object {
                etag: facts.etag.clone(),
                size_bytes: facts.size_bytes,
            },
        };
        self.objects.insert(0, (listed_version, Some(facts.clone())));
        self
    }

    fn delete(mut self, version: &str, seconds: i64) -> Self {
        let listed_version = ListedVersion {
            version: name(version),
            last_modified: at(seconds),
            kind: VersionKind::DeleteMarker,
        };
        self.objects.insert(0, (listed_version, None));
        self
    }

    fn announce(mut self, covered: &ObjectFacts, seconds: i64) -> Self {
        self.intents.push(DeleteIntent {
            covered: VersionName::of(covered.version_id.as_ref()),
            etag: covered.etag.clone(),
            announced: at(seconds),
        });
        self
    }

    /// Examines the versions, and answers the questions of the examination.
    fn examined(&mut self) -> VersionExamination {
        let current = match self.objects.first() {
            Some((_, Some(facts))) => ObjectState::Present(Box::new(facts.clone())),
            Some((_, None)) => ObjectState::DeleteMarker,
            None => ObjectState::NotFound,
        };
        let listing = VersionListing {
            versions: self
                .objects
                .iter()
                .map(|(listed_version, _)| listed_version.clone())
                .collect(),
            is_complete: self.is_complete,
            listed: at(9_000),
        };
        let mut history = VersionHistory::new(listing, &current);
        assert!(history.begins_with(&current));
        let (bucket, key) = names();
        let location = ObjectLocation {
            bucket: &bucket,
            key: &key,
        };
        loop {
            let question = match history.examine(location) {
                Ok(examined) => return examined,
                Err(question) => question,
            };
            assert!(!self.questions.contains(&question), "{question:?} was repeated");
            self.questions.push(question.clone());
            match question {
                VersionQuestion::Object(version) => {
                    let mut objects = self.objects.iter();
                    let found = objects
                        .find(|(listed_version, _)| listed_version.version == version)
                        .unwrap();
                    history.objects.insert(version, found.1.clone().unwrap());
                }
                VersionQuestion::Intent(version) => {
                    let found = self.intents.iter().find(|intent| intent.covered == version);
                    history.intents.insert(version, found.cloned());
                }
            }
        }
    }
}

#[track_caller]
fn check_owner(mut versions: Versions, is_s3ferrys: bool) {
    let examined = versions.examined();
    assert_eq!(examined.owner != VersionOwner::External, is_s3ferrys, "{examined:?}");
    assert_eq!(examined.hidden, None);
}

#[track_caller]
fn check_hidden(mut versions: Versions, hidden: Option<&str>) {
    let examined = versions.examined();
    assert_eq!(examined.hidden, hidden.map(name), "{examined:?}");
}

#[test]
fn s3ferry_copy_is_identified_without_reading_older_versions() {
    let mut versions =
        Versions::new()
            .put(&external_write("x", "xx", 500))
            .put(&s3ferry_copy("c", "aa", 1_000, 900, Some("x")));
    let examined = versions.examined();
    assert!(matches!(&examined.owner, VersionOwner::Copy(marker) if marker.over == Some(name("x"))));
    assert_eq!((examined.hidden, versions.questions), (None, Vec::new()));
    assert_eq!(examined.listed, at(9_000));
}

#[test]
fn absent_object_has_no_owner() {
    let examined = Versions::new().examined();
    assert_eq!((examined.newest, examined.owner), (None, VersionOwner::External));
}

#[test]
fn oldest_of_several_versions_with_one_marker_is_the_copy() {
    let copy = s3ferry_copy("c", "aa", 1_000, 900, None);
    let restored = Versions::new().put(&copy).put(&written_again("r", &copy, 1_001));
    check_owner(restored.clone(), false);
    check_owner(restored.put(&written_again("r2", &copy, 1_002)), false);
    // Over a delete, and over another write.
    check_owner(
        Versions::new()
            .put(&copy)
            .delete("m", 1_001)
            .put(&written_again("r", &copy, 1_002)),
        false,
    );
    let other = external_write("x", "xx", 1_001);
    check_owner(
        Versions::new()
            .put(&copy)
            .put(&other)
            .put(&written_again("r", &copy, 1_002)),
        false,
    );
    // Both were written in the same second.
    check_owner(Versions::new().put(&copy).put(&written_again("r", &copy, 1_000)), false);
}

#[test]
fn copy_written_long_after_its_request_is_an_external_write() {
    let copy = s3ferry_copy("c", "aa", 1_000, 900, None);
    check_owner(Versions::new().put(&written_again("r", &copy, 2_801)), false);
    check_owner(Versions::new().put(&written_again("r", &copy, 2_800)), true);
}

#[test]
fn marker_is_invalid_if_the_listing_may_omit_an_older_version_with_it() {
    let copy = s3ferry_copy("c", "aa", 1_000, 900, Some("x"));
    let mut versions = Versions::new().put(&external_write("x", "xx", 939)).put(&copy);
    versions.is_complete = false;
    check_owner(versions.clone(), true);
    versions.objects.pop();
    check_owner(versions, false);
}

#[test]
fn unread_external_write_as_new_as_the_copied_object_is_hidden() {
    let copy = s3ferry_copy("c", "aa", 1_002, 1_000, Some("x"));
    for (seconds, hidden) in [(999, None), (1_000, Some("e")), (1_001, Some("e"))] {
        check_hidden(
            Versions::new().put(&external_write("e", "aa", seconds)).put(&copy),
            hidden,
        );
    }
    check_hidden(Versions::new().put(&external_write("x", "aa", 1_001)).put(&copy), None);
    check_hidden(Versions::new().delete("m", 1_001).put(&copy), Some("m"));
}

#[test]
fn upload_started_before_a_copy_is_found_below_several_versions() {
    // The upload has the time of its start, and landed last.
    let upload = external_write("e", "ee-2", 1_001);
    let first = s3ferry_copy("c1", "aa", 1_002, 1_000, None);
    let second = s3ferry_copy("c2", "bb", 1_003, 1_000, Some("c1"));
    check_hidden(Versions::new().put(&upload).put(&first).put(&second), Some("e"));
    // The last copied object is newer than the upload.
    let newer = s3ferry_copy("c2", "bb", 1_003, 1_002, Some("c1"));
    check_hidden(Versions::new().put(&upload).put(&first).put(&newer), None);
    let deleted = Versions::new()
        .put(&upload)
        .put(&first)
        .delete("m", 1_003)
        .announce(&first, 1_002);
    check_hidden(deleted, Some("e"));
}

#[test]
fn copy_restored_by_an_application_is_hidden_like_an_external_write() {
    let copy = s3ferry_copy("c1", "aa", 1_000, 1_000, None);
    let restored = written_again("r", &copy, 1_001);
    let second = s3ferry_copy("c2", "bb", 1_002, 1_001, Some("c1"));
    check_hidden(Versions::new().put(&copy).put(&restored).put(&second), Some("r"));
}

#[test]
fn delete_marker_is_s3ferrys_if_its_version_has_an_intent() {
    let copy = s3ferry_copy("c", "aa", 1_000, 900, None);
    let deleted = Versions::new().put(&copy).delete("m", 1_001);
    check_owner(deleted.clone().announce(&copy, 1_001), true);
    check_owner(deleted.clone(), false);
    check_owner(deleted.announce(&external_write("v9", "aa", 1), 1_001), false);
    check_owner(Versions::new().delete("m", 1_001), false);
    // The intent covers a copy whose marker is no longer readable.
    let unknown = external_write("c", "aa", 1_000);
    let deleted = Versions::new()
        .put(&unknown)
        .delete("m", 1_001)
        .announce(&unknown, 1_001);
    check_hidden(deleted, None);
}

#[test]
fn delete_of_another_version_than_announced_hides_that_version() {
    let copy = s3ferry_copy("c", "aa", 800, 700, None);
    let covering = |etag: &str, seconds| {
        Versions::new()
            .put(&copy)
            .put(&external_write("e", etag, 1_000))
            .delete("m", seconds)
            .announce(&copy, 1_000)
    };
    check_hidden(covering("aa", 1_001), Some("e"));
    check_hidden(covering("aa", 2_800), Some("e"));
    check_hidden(covering("ee-2", 1_001), Some("e"));
    for externals in [covering("aa", 2_801), covering("aa", 939), covering("bb", 1_001)] {
        check_owner(externals, false);
    }
}

#[track_caller]
fn check_newest_is_copy(versions: &Versions, expected: bool) {
    let current = versions.objects.first().and_then(|(_, facts)| facts.clone());
    let current = current.map_or(ObjectState::DeleteMarker, |facts| ObjectState::Present(Box::new(facts)));
    let listing = VersionListing {
        versions: versions
            .objects
            .iter()
            .map(|(listed_version, _)| listed_version.clone())
            .collect(),
        is_complete: versions.is_complete,
        listed: at(9_000),
    };
    let mut history = VersionHistory::new(listing, &current);
    let objects = versions.objects.iter();
    history
        .objects
        .extend(objects.filter_map(|(listed_version, facts)| Some((listed_version.version.clone(), facts.clone()?))));
    let (bucket, key) = names();
    let location = ObjectLocation {
        bucket: &bucket,
        key: &key,
    };
    assert_eq!(history.newest_is_copy(location), Ok(expected), "{versions:?}");
}

#[test]
fn newest_version_is_a_copy_unless_an_older_version_has_its_marker() {
    let copy = s3ferry_copy("c", "aa", 1_000, 900, None);
    check_newest_is_copy(&Versions::new().put(&external_write("x", "aa", 999)).put(&copy), true);
    check_newest_is_copy(
        &Versions::new().put(&copy).put(&written_again("r", &copy, 1_001)),
        false,
    );
    let other = external_write("x", "bb", 1_001);
    check_newest_is_copy(
        &Versions::new()
            .put(&copy)
            .put(&other)
            .put(&written_again("r", &copy, 1_002)),
        false,
    );
    check_newest_is_copy(&Versions::new().put(&external_write("x", "aa", 999)), false);
    check_newest_is_copy(&Versions::new().put(&copy).delete("m", 1_001), false);
    // The listing does not go back to the request, so the first version is unknown.
    let mut cut_off = Versions::new().put(&copy);
    cut_off.is_complete = false;
    check_newest_is_copy(&cut_off, false);
    // An object written while versioning is suspended replaces the previous null version.
    check_newest_is_copy(&Versions::new().put(&written_again("null", &copy, 1_000)), false);
}

#[test]
fn history_matches_the_version_that_was_read() {
    let history = |versions: &Versions, current: &ObjectState| {
        let listing = VersionListing {
            versions: versions
                .objects
                .iter()
                .map(|(listed_version, _)| listed_version.clone())
                .collect(),
            is_complete: true,
            listed: at(0),
        };
        VersionHistory::new(listing, current).begins_with(current)
    };
    let facts = external_write("v1", "aa", 1);
    let present = ObjectState::Present(Box::new(facts.clone()));
    let (object, marker, none) = (
        Versions::new().put(&facts),
        Versions::new().delete("v1", 1),
        Versions::new(),
    );
    assert!(history(&object, &present));
    assert!(!history(&Versions::new().put(&external_write("v2", "aa", 1)), &present));
    assert!(!history(&marker, &present) && !history(&none, &present));
    assert!(history(&marker, &ObjectState::DeleteMarker));
    assert!(!history(&object, &ObjectState::DeleteMarker) && !history(&none, &ObjectState::DeleteMarker));
    assert!(history(&none, &ObjectState::NotFound));
    assert!(!history(&object, &ObjectState::NotFound) && !history(&marker, &ObjectState::NotFound));
}
