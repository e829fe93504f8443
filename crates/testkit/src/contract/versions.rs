//! Contract of version histories, for a destination bucket with versioning.

use s3ferry_core::facts::ObjectState;
use s3ferry_core::names::ObjectKey;
use s3ferry_core::versions::{ListedVersion, VersionName};
use s3ferry_engine::ports::{DestinationObjects as _, DestinationVersions as _};

use super::{ContractFixture, Deviation, SampleObject, destination_facts, destination_state};

pub(super) async fn run(fixture: &impl ContractFixture) {
    let versioned = fixture.destination().is_versioned().await;
    if Deviation::VersioningIsUnreadable.is_known(fixture, versioned.is_err()) {
        return;
    }
    if !versioned.expect("versioning state") {
        return;
    }
    versions_are_listed_newest_first(fixture).await;
    removing_a_version_uncovers_the_version_below(fixture).await;
}

async fn history(fixture: &impl ContractFixture, key: &ObjectKey) -> Vec<ListedVersion> {
    let listing = fixture.destination().list_versions(key).await.expect("version listing");
    let is_dated = listing
        .versions
        .iter()
        .all(|stamp| stamp.last_modified <= listing.listed);
    assert!(listing.is_complete && is_dated, "{listing:?}");
    listing.versions
}

async fn put(fixture: &impl ContractFixture, key: &str, content: &str) -> VersionName {
    let sample = SampleObject::plain(key, content);
    fixture.put_destination(&sample).await;
    VersionName::of(destination_facts(fixture, &sample.key).await.version_id.as_ref())
}

/// Deletes the current object and returns the version of the delete marker.
async fn delete(fixture: &impl ContractFixture, key: &ObjectKey) -> VersionName {
    let seen = destination_facts(fixture, key).await.etag;
    let deleted = fixture.destination().delete(key, &seen).await.expect("delete succeeds");
    VersionName::Id(deleted.expect("delete marker has a version id"))
}

async fn versions_are_listed_newest_first(fixture: &impl ContractFixture) {
    let name = "contract/versions a+b";
    let key = SampleObject::plain(name, "").key;
    assert_eq!(history(fixture, &key).await, []);
    let first = put(fixture, name, "first").await;
    let marker = delete(fixture, &key).await;
    let second = put(fixture, name, "second").await;
    let third = put(fixture, name, "third").await;
    put(fixture, &format!("{name}/longer"), "other").await;

    let listed = history(fixture, &key).await;
    let current = destination_facts(fixture, &key).await;
    let top = listed.first().expect("listing has a version");
    assert_eq!(top.etag(), Some(&current.etag));
    assert_eq!(top.last_modified.since(current.last_modified).as_secs(), 0);
    let markers: Vec<bool> = listed.iter().map(ListedVersion::is_delete_marker).collect();
    let names: Vec<VersionName> = listed.into_iter().map(|stamp| stamp.version).collect();
    let in_order = [third.clone(), second.clone(), marker.clone(), first.clone()];
    if Deviation::DeleteMarkersListedLast.is_known(fixture, names != in_order) {
        assert_eq!(names, [third, second, first.clone(), marker.clone()]);
    } else {
        assert_eq!(names, in_order);
        assert_eq!(markers, [false, false, true, false]);
    }
    let of_marker = fixture.destination().read_version(&key, &marker).await;
    assert_eq!(of_marker, Ok(ObjectState::DeleteMarker));
    match fixture.destination().read_version(&key, &first).await {
        Ok(ObjectState::Present(facts)) => assert_eq!(VersionName::of(facts.version_id.as_ref()), first),
        other => panic!("{key}: first version must be present, found {other:?}"),
    }
}

async fn removing_a_version_uncovers_the_version_below(fixture: &impl ContractFixture) {
    let name = "contract/versions to remove";
    let key = SampleObject::plain(name, "").key;
    put(fixture, name, "first").await;
    let marker = delete(fixture, &key).await;
    let second = put(fixture, name, "second").await;
    let remove = async |version: &VersionName| {
        let removed = fixture.destination().delete_version(&key, version).await;
        removed.expect("version is removed, also when repeated");
    };
    remove(&second).await;
    remove(&second).await;
    let read = fixture.destination().read_version(&key, &second).await;
    assert_eq!(read, Ok(ObjectState::NotFound));
    assert_eq!(destination_state(fixture, &key).await, ObjectState::DeleteMarker);
    remove(&marker).await;
    assert_eq!(fixture.destination_content(&key).await.as_deref(), Some("first"));
    assert_eq!(history(fixture, &key).await.len(), 1);
}
