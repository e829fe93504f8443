use super::*;
use crate::sim::model::object::NULL_VERSION;

fn ids(world: &World, target: WriteTarget<'_>) -> Vec<(String, bool)> {
    let bucket = world.simulator.bucket(target.bucket).expect("a bucket");
    let versions = bucket.keys.get(target.key).map_or(&[][..], Vec::as_slice);
    versions
        .iter()
        .map(|version| (version.id.clone(), version.object().is_none()))
        .collect()
}

#[test]
fn versioned_delete_hides_and_a_version_delete_uncovers() {
    let mut world = World::new();
    let written = world.put(VERSIONED, "one");
    let marker = world.delete(VERSIONED);
    assert!(marker.delete_marker);
    let read = |world: &World, id: Option<&str>| {
        let bucket = world.simulator.bucket(VERSIONED.bucket).expect("a bucket");
        bucket.read(VERSIONED.key, id).map(|(version, _)| version.id.clone())
    };
    let hidden = read(&world, None).expect_err("hidden");
    assert_eq!(hidden.code, SimErrorCode::NoSuchKey);
    assert!(hidden.headers.contains(&("x-amz-delete-marker", "true".to_owned())));
    assert_eq!(
        code(read(&world, marker.version_id.as_deref())),
        Some(SimErrorCode::MethodNotAllowed)
    );
    assert_eq!(read(&world, written.version_id.as_deref()).ok(), written.version_id);
    let uncover = DeleteRequest {
        version_id: marker.version_id,
        ..DeleteRequest::default()
    };
    let uncovered = world.simulator.delete_object(VERSIONED, &uncover).expect("a delete");
    assert!(uncovered.delete_marker);
    assert_eq!(world.content(VERSIONED).as_deref(), Some("one"));
    let expected = [
        "ObjectCreated:Put",
        "ObjectRemoved:DeleteMarkerCreated",
        "ObjectRemoved:Delete",
    ];
    assert_eq!(world.event_names(), expected);
}

#[test]
fn unversioned_delete_is_for_good_and_silent_when_nothing_was_there() {
    let mut world = World::new();
    world.delete(PLAIN);
    assert!(world.event_names().is_empty());
    world.put(PLAIN, "one");
    assert_eq!(world.delete(PLAIN), DeleteResult::default());
    assert!(ids(&world, PLAIN).is_empty());
    assert_eq!(world.event_names(), ["ObjectCreated:Put", "ObjectRemoved:Delete"]);
}

#[test]
fn suspended_bucket_replaces_its_null_version_alone() {
    let mut world = World::new();
    world.put(PLAIN, "before versioning");
    let switch = |world: &mut World, versioning| {
        world.simulator.bucket_mut(PLAIN.bucket).expect("a bucket").versioning = versioning;
    };
    switch(&mut world, SimVersioning::Enabled);
    let kept = world.put(PLAIN, "kept").version_id.expect("an id");
    switch(&mut world, SimVersioning::Suspended);
    let null = world.put(PLAIN, "null").version_id.expect("an id");
    assert_eq!(null, NULL_VERSION);
    assert_eq!(ids(&world, PLAIN), [(null, false), (kept.clone(), false)]);
    world.delete(PLAIN);
    assert_eq!(ids(&world, PLAIN), [(NULL_VERSION.to_owned(), true), (kept, false)]);
}

#[test]
fn what_is_no_version_id_is_refused_as_such() {
    let mut world = World::new();
    world.put(VERSIONED, "one");
    let bucket = world.simulator.bucket(VERSIONED.bucket).expect("a bucket");
    assert_eq!(code(bucket.version("k", "x")), Some(SimErrorCode::InvalidArgument));
    assert_eq!(
        code(bucket.version("k", NULL_VERSION)),
        Some(SimErrorCode::NoSuchVersion)
    );
    assert_eq!(
        code(bucket.version("k", &"0".repeat(32))),
        Some(SimErrorCode::NoSuchVersion)
    );
}

#[test]
fn requests_for_another_region_are_sent_there() {
    let world = World::new();
    let check = |region| world.simulator.check_region(PLAIN.bucket, region);
    assert_eq!(code(check(Some("eu-central-1"))), Some(SimErrorCode::PermanentRedirect));
    for home in [Some("us-east-1"), Some("aws-global"), None] {
        assert_eq!(check(home), Ok(()));
    }
}
