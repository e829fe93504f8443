use super::*;
use crate::attributes::AttributeDigests;
use crate::facts::samples::object;
use crate::marker::MarkerRequest;
use crate::names::{BucketName, ObjectKey, VersionId};
use crate::order::CopyMethod;
use crate::versions::VersionKind;

/// Versions of a key, newest first, as tests make them.
#[derive(Debug, Clone)]
struct Versions {
    objects: Vec<(ListedVersion, Option<ObjectFacts>)>,
    intents: Vec<DeleteIntent>,
    is_complete: bool,
    asked: Vec<VersionQuestion>,
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

fn name(name: &str) -> VersionName {
    VersionName::new(name).unwrap()
}

/// An external write.
fn theirs(version: &str, etag: &str, seconds: i64) -> ObjectFacts {
    ObjectFacts {
        version_id: VersionId::pinnable(version),
        last_modified: at(seconds),
        ..object(etag)
    }
}

/// A copy that was requested and written at `seconds`, of an object of the source that was written at `source_seconds`.
fn ours(version: &str, etag: &str, seconds: i64, source_seconds: i64, over: Option<&str>) -> ObjectFacts {
    let (bucket, key) = names();
    let source = theirs("s", etag, source_seconds);
    let request = MarkerRequest {
        source_bucket: &bucket,
        place: ObjectLocation {
            bucket: &bucket,
            key: &key,
        },
        over: over.map(name),
        requested: at(seconds),
        decided: at(seconds),
        attributes: AttributeDigests::of(&source),
    };
    let (_, marker) = Marker::for_copy(&source, CopyMethod::SingleRequest, false, request).unwrap();
    let mut copy = theirs(version, etag, seconds);
    copy.user_metadata.insert(MARKER_NAME.to_owned(), marker.to_text());
    copy
}

/// What an application writes that takes an object over with its metadata.
fn again(version: &str, copy: &ObjectFacts, seconds: i64) -> ObjectFacts {
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
            asked: Vec::new(),
        }
    }

    fn put(mut self, facts: &ObjectFacts) -> Self {
        let stamp = ListedVersion {
            version: VersionName::of(facts.version_id.as_ref()),
            last_modified: facts.last_modified,
            kind: VersionKind::Object {
                etag: facts.etag.clone(),
                size_bytes: facts.size_bytes,
            },
        };
        self.objects.insert(0, (stamp, Some(facts.clone())));
        self
    }

    fn delete(mut self, version: &str, seconds: i64) -> Self {
        let stamp = ListedVersion {
            version: name(version),
            last_modified: at(seconds),
            kind: VersionKind::DeleteMarker,
        };
        self.objects.insert(0, (stamp, None));
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

    /// Examines the versions, and answers what that asks.
    fn examined(&mut self) -> VersionExamination {
        let current = match self.objects.first() {
            Some((_, Some(facts))) => ObjectState::Present(Box::new(facts.clone())),
            Some((_, None)) => ObjectState::DeleteMarker,
            None => ObjectState::NotFound,
        };
        let listing = VersionListing {
            versions: self.objects.iter().map(|(stamp, _)| stamp.clone()).collect(),
            is_complete: self.is_complete,
            listed: at(9_000),
        };
        let mut history = VersionHistory::new(listing, &current);
        assert!(history.begins_with(&current));
        let (bucket, key) = names();
        let place = ObjectLocation {
            bucket: &bucket,
            key: &key,
        };
        loop {
            let question = match history.examine(place) {
                Ok(examined) => return examined,
                Err(question) => question,
            };
            assert!(!self.asked.contains(&question), "{question:?} was answered");
            self.asked.push(question.clone());
            match question {
                VersionQuestion::Object(version) => {
                    let mut objects = self.objects.iter();
                    let found = objects.find(|(stamp, _)| stamp.version == version).unwrap();
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
fn check_owner(mut versions: Versions, is_ours: bool) {
    let examined = versions.examined();
    assert_eq!(examined.owner != VersionOwner::External, is_ours, "{examined:?}");
    assert_eq!(examined.hidden, None);
}

#[track_caller]
fn check_hidden(mut versions: Versions, hidden: Option<&str>) {
    let examined = versions.examined();
    assert_eq!(examined.hidden, hidden.map(name), "{examined:?}");
}

#[test]
fn copy_is_known_without_reading_what_is_older() {
    let mut versions = Versions::new()
        .put(&theirs("x", "xx", 500))
        .put(&ours("c", "aa", 1_000, 900, Some("x")));
    let examined = versions.examined();
    assert!(matches!(&examined.owner, VersionOwner::Copy(marker) if marker.over == Some(name("x"))));
    assert_eq!((examined.hidden, versions.asked), (None, Vec::new()));
    assert_eq!(examined.listed, at(9_000));
}

#[test]
fn absent_object_has_no_owner() {
    let examined = Versions::new().examined();
    assert_eq!((examined.newest, examined.owner), (None, VersionOwner::External));
}

#[test]
fn of_several_versions_with_one_marker_the_oldest_is_the_copy() {
    let copy = ours("c", "aa", 1_000, 900, None);
    let restored = Versions::new().put(&copy).put(&again("r", &copy, 1_001));
    check_owner(restored.clone(), false);
    check_owner(restored.put(&again("r2", &copy, 1_002)), false);
    // Over a delete, and over another write.
    check_owner(
        Versions::new()
            .put(&copy)
            .delete("m", 1_001)
            .put(&again("r", &copy, 1_002)),
        false,
    );
    let other = theirs("x", "xx", 1_001);
    check_owner(
        Versions::new().put(&copy).put(&other).put(&again("r", &copy, 1_002)),
        false,
    );
    // In the same second.
    check_owner(Versions::new().put(&copy).put(&again("r", &copy, 1_000)), false);
}

#[test]
fn copy_written_long_after_its_request_is_an_external_write() {
    let copy = ours("c", "aa", 1_000, 900, None);
    check_owner(Versions::new().put(&again("r", &copy, 2_801)), false);
    check_owner(Versions::new().put(&again("r", &copy, 2_800)), true);
}

#[test]
fn marker_whose_first_bearer_may_be_cut_off_vouches_for_nothing() {
    let copy = ours("c", "aa", 1_000, 900, Some("x"));
    let mut versions = Versions::new().put(&theirs("x", "xx", 939)).put(&copy);
    versions.is_complete = false;
    check_owner(versions.clone(), true);
    versions.objects.pop();
    check_owner(versions, false);
}

#[test]
fn unread_external_write_as_new_as_the_copied_object_is_hidden() {
    let copy = ours("c", "aa", 1_002, 1_000, Some("x"));
    for (seconds, hidden) in [(999, None), (1_000, Some("e")), (1_001, Some("e"))] {
        check_hidden(Versions::new().put(&theirs("e", "aa", seconds)).put(&copy), hidden);
    }
    check_hidden(Versions::new().put(&theirs("x", "aa", 1_001)).put(&copy), None);
    check_hidden(Versions::new().delete("m", 1_001).put(&copy), Some("m"));
}

#[test]
fn upload_that_an_application_began_before_a_copy_is_found_below_several() {
    // Its time is that of its start, and it landed last.
    let upload = theirs("e", "ee-2", 1_001);
    let first = ours("c1", "aa", 1_002, 1_000, None);
    let second = ours("c2", "bb", 1_003, 1_000, Some("c1"));
    check_hidden(Versions::new().put(&upload).put(&first).put(&second), Some("e"));
    // What was copied last is newer than the upload.
    let newer = ours("c2", "bb", 1_003, 1_002, Some("c1"));
    check_hidden(Versions::new().put(&upload).put(&first).put(&newer), None);
    let deleted = Versions::new()
        .put(&upload)
        .put(&first)
        .delete("m", 1_003)
        .announce(&first, 1_002);
    check_hidden(deleted, Some("e"));
}

#[test]
fn copy_that_an_application_restored_is_hidden_like_any_external_write() {
    let copy = ours("c1", "aa", 1_000, 1_000, None);
    let restored = again("r", &copy, 1_001);
    let second = ours("c2", "bb", 1_002, 1_001, Some("c1"));
    check_hidden(Versions::new().put(&copy).put(&restored).put(&second), Some("r"));
}

#[test]
fn delete_marker_is_s3ferrys_where_its_version_was_announced() {
    let copy = ours("c", "aa", 1_000, 900, None);
    let deleted = Versions::new().put(&copy).delete("m", 1_001);
    check_owner(deleted.clone().announce(&copy, 1_001), true);
    check_owner(deleted.clone(), false);
    check_owner(deleted.announce(&theirs("v9", "aa", 1), 1_001), false);
    check_owner(Versions::new().delete("m", 1_001), false);
    // The announcement stands for a copy whose marker nobody can read any more.
    let unknown = theirs("c", "aa", 1_000);
    let deleted = Versions::new()
        .put(&unknown)
        .delete("m", 1_001)
        .announce(&unknown, 1_001);
    check_hidden(deleted, None);
}

#[test]
fn delete_that_hit_another_version_than_the_announced_one_hides_it() {
    let copy = ours("c", "aa", 800, 700, None);
    let covering = |etag: &str, seconds| {
        Versions::new()
            .put(&copy)
            .put(&theirs("e", etag, 1_000))
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
        versions: versions.objects.iter().map(|(stamp, _)| stamp.clone()).collect(),
        is_complete: versions.is_complete,
        listed: at(9_000),
    };
    let mut history = VersionHistory::new(listing, &current);
    let objects = versions.objects.iter();
    history
        .objects
        .extend(objects.filter_map(|(stamp, facts)| Some((stamp.version.clone(), facts.clone()?))));
    let (bucket, key) = names();
    let place = ObjectLocation {
        bucket: &bucket,
        key: &key,
    };
    assert_eq!(history.newest_is_copy(place), Ok(expected), "{versions:?}");
}

#[test]
fn newest_version_is_a_copy_unless_an_application_wrote_it_with_a_marker_that_is_there_already() {
    let copy = ours("c", "aa", 1_000, 900, None);
    check_newest_is_copy(&Versions::new().put(&theirs("x", "aa", 999)).put(&copy), true);
    check_newest_is_copy(&Versions::new().put(&copy).put(&again("r", &copy, 1_001)), false);
    let other = theirs("x", "bb", 1_001);
    check_newest_is_copy(
        &Versions::new().put(&copy).put(&other).put(&again("r", &copy, 1_002)),
        false,
    );
    check_newest_is_copy(&Versions::new().put(&theirs("x", "aa", 999)), false);
    check_newest_is_copy(&Versions::new().put(&copy).delete("m", 1_001), false);
    // Where the listing does not go back to the request, nothing says which version was first.
    let mut cut_off = Versions::new().put(&copy);
    cut_off.is_complete = false;
    check_newest_is_copy(&cut_off, false);
    // What is written while versioning is suspended replaces the version before, if that has no id either.
    check_newest_is_copy(&Versions::new().put(&again("null", &copy, 1_000)), false);
}

#[test]
fn history_belongs_to_what_was_read() {
    let history = |versions: &Versions, current: &ObjectState| {
        let listing = VersionListing {
            versions: versions.objects.iter().map(|(stamp, _)| stamp.clone()).collect(),
            is_complete: true,
            listed: at(0),
        };
        VersionHistory::new(listing, current).begins_with(current)
    };
    let facts = theirs("v1", "aa", 1);
    let present = ObjectState::Present(Box::new(facts.clone()));
    let (object, marker, none) = (
        Versions::new().put(&facts),
        Versions::new().delete("v1", 1),
        Versions::new(),
    );
    assert!(history(&object, &present));
    assert!(!history(&Versions::new().put(&theirs("v2", "aa", 1)), &present));
    assert!(!history(&marker, &present) && !history(&none, &present));
    assert!(history(&marker, &ObjectState::DeleteMarker));
    assert!(!history(&object, &ObjectState::DeleteMarker) && !history(&none, &ObjectState::DeleteMarker));
    assert!(history(&none, &ObjectState::NotFound));
    assert!(!history(&object, &ObjectState::NotFound) && !history(&marker, &ObjectState::NotFound));
}
