//! What lies below the destination's current object, where it keeps versions.

use s3ferry_core::facts::ObjectState;
use s3ferry_core::names::ObjectKey;
use s3ferry_core::versions::{ListedVersion, VersionName};
use s3ferry_engine::ports::{DestinationObjects as _, DestinationVersions as _};

use super::{ContractFixture, Deviation, SampleObject, destination_facts, destination_state};

pub(super) async fn run(world: &impl ContractFixture) {
    let versioned = world.destination().is_versioned().await;
    if Deviation::VersioningCannotBeRead.is_known(world, versioned.is_err()) {
        return;
    }
    if !versioned.expect("a setting") {
        return;
    }
    versions_are_listed_newest_first(world).await;
    removed_version_shows_what_lies_below(world).await;
}

async fn history(world: &impl ContractFixture, key: &ObjectKey) -> Vec<ListedVersion> {
    let listing = world.destination().history(key).await.expect("a listing");
    let is_dated = listing
        .versions
        .iter()
        .all(|stamp| stamp.last_modified <= listing.listed);
    assert!(listing.is_complete && is_dated, "{listing:?}");
    listing.versions
}

async fn put(world: &impl ContractFixture, key: &str, content: &str) -> VersionName {
    let sample = SampleObject::plain(key, content);
    world.put_destination(&sample).await;
    VersionName::of(destination_facts(world, &sample.key).await.version_id.as_ref())
}

/// Deletes the current object; returns the delete marker.
async fn delete(world: &impl ContractFixture, key: &ObjectKey) -> VersionName {
    let seen = destination_facts(world, key).await.etag;
    let deleted = world.destination().delete(key, &seen).await.expect("a delete");
    VersionName::Id(deleted.expect("the version of the delete marker"))
}

async fn versions_are_listed_newest_first(world: &impl ContractFixture) {
    let name = "contract/versions a+b";
    let key = SampleObject::plain(name, "").key;
    assert_eq!(history(world, &key).await, []);
    let first = put(world, name, "first").await;
    let marker = delete(world, &key).await;
    let second = put(world, name, "second").await;
    let third = put(world, name, "third").await;
    put(world, &format!("{name}/longer"), "other").await;

    let listed = history(world, &key).await;
    let current = destination_facts(world, &key).await;
    let top = listed.first().expect("a version");
    assert_eq!(top.etag(), Some(&current.etag));
    assert_eq!(top.last_modified.since(current.last_modified).as_secs(), 0);
    let markers: Vec<bool> = listed.iter().map(ListedVersion::is_delete_marker).collect();
    let names: Vec<VersionName> = listed.into_iter().map(|stamp| stamp.version).collect();
    let in_order = [third.clone(), second.clone(), marker.clone(), first.clone()];
    if Deviation::VersionsListedApart.is_known(world, names != in_order) {
        assert_eq!(names, [third, second, first.clone(), marker.clone()]);
    } else {
        assert_eq!(names, in_order);
        assert_eq!(markers, [false, false, true, false]);
    }
    let of_marker = world.destination().read_version(&key, &marker).await;
    assert_eq!(of_marker, Ok(ObjectState::DeleteMarker));
    match world.destination().read_version(&key, &first).await {
        Ok(ObjectState::Present(facts)) => assert_eq!(VersionName::of(facts.version_id.as_ref()), first),
        other => panic!("the first version should be there, found {other:?}"),
    }
}

async fn removed_version_shows_what_lies_below(world: &impl ContractFixture) {
    let name = "contract/versions to remove";
    let key = SampleObject::plain(name, "").key;
    put(world, name, "first").await;
    let marker = delete(world, &key).await;
    let second = put(world, name, "second").await;
    let remove = async |version: &VersionName| {
        let removed = world.destination().remove_version(&key, version).await;
        removed.expect("a version can be removed, also twice");
    };
    remove(&second).await;
    remove(&second).await;
    let read = world.destination().read_version(&key, &second).await;
    assert_eq!(read, Ok(ObjectState::NotFound));
    assert_eq!(destination_state(world, &key).await, ObjectState::DeleteMarker);
    remove(&marker).await;
    assert_eq!(world.destination_content(&key).await.as_deref(), Some("first"));
    assert_eq!(history(world, &key).await.len(), 1);
}
