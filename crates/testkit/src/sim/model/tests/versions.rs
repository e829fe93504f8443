use super::*;
use crate::sim::model::object::NULL_VERSION;

fn ids(fixture: &SimFixture, target: WriteTarget<'_>) -> Vec<(String, bool)> {
    let bucket = fixture.simulator.bucket(target.bucket).expect("a bucket");
    let versions = bucket.keys.get(target.key).map_or(&[][..], Vec::as_slice);
    versions
        .iter()
        .map(|version| (version.id.clone(), version.object().is_none()))
        .collect()
}

#[test]
fn delete_marker_hides_the_object_until_it_is_removed() {
    let mut fixture = SimFixture::new();
    let written = fixture.put(VERSIONED, "one");
    let marker = fixture.delete(VERSIONED);
    assert!(marker.delete_marker);
    let read = |fixture: &SimFixture, id: Option<&str>| {
        let bucket = fixture.simulator.bucket(VERSIONED.bucket).expect("a bucket");
        bucket.read(VERSIONED.key, id).map(|(version, _)| version.id.clone())
    };
    let hidden = read(&fixture, None).expect_err("hidden");
    assert_eq!(hidden.code, SimErrorCode::NoSuchKey);
    assert!(hidden.headers.contains(&("x-amz-delete-marker", "true".to_owned())));
    assert_eq!(
        code(read(&fixture, marker.version_id.as_deref())),
        Some(SimErrorCode::MethodNotAllowed)
    );
    assert_eq!(read(&fixture, written.version_id.as_deref()).ok(), written.version_id);
    let uncover = DeleteRequest {
        version_id: marker.version_id,
        ..DeleteRequest::default()
    };
    let uncovered = fixture.simulator.delete_object(VERSIONED, &uncover).expect("a delete");
    assert!(uncovered.delete_marker);
    assert_eq!(fixture.content(VERSIONED).as_deref(), Some("one"));
    let expected = [
        "ObjectCreated:Put",
        "ObjectRemoved:DeleteMarkerCreated",
        "ObjectRemoved:Delete",
    ];
    assert_eq!(fixture.event_names(), expected);
}

#[test]
fn unversioned_delete_is_permanent_and_without_event_if_absent() {
    let mut fixture = SimFixture::new();
    fixture.delete(PLAIN);
    assert!(fixture.event_names().is_empty());
    fixture.put(PLAIN, "one");
    assert_eq!(fixture.delete(PLAIN), DeleteResult::default());
    assert!(ids(&fixture, PLAIN).is_empty());
    assert_eq!(fixture.event_names(), ["ObjectCreated:Put", "ObjectRemoved:Delete"]);
}

#[test]
fn suspended_bucket_replaces_only_its_null_version() {
    let mut fixture = SimFixture::new();
    fixture.put(PLAIN, "before versioning");
    let switch = |fixture: &mut SimFixture, versioning| {
        fixture.simulator.bucket_mut(PLAIN.bucket).expect("a bucket").versioning = versioning;
    };
    switch(&mut fixture, SimVersioning::Enabled);
    let enabled = fixture.put(PLAIN, "enabled").version_id.expect("an id");
    switch(&mut fixture, SimVersioning::Suspended);
    let null = fixture.put(PLAIN, "null").version_id.expect("an id");
    assert_eq!(null, NULL_VERSION);
    assert_eq!(ids(&fixture, PLAIN), [(null, false), (enabled.clone(), false)]);
    fixture.delete(PLAIN);
    assert_eq!(
        ids(&fixture, PLAIN),
        [(NULL_VERSION.to_owned(), true), (enabled, false)]
    );
}

#[test]
fn malformed_version_id_is_rejected_as_invalid_argument() {
    let mut fixture = SimFixture::new();
    fixture.put(VERSIONED, "one");
    let bucket = fixture.simulator.bucket(VERSIONED.bucket).expect("a bucket");
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
fn requests_signed_for_another_region_are_redirected() {
    let fixture = SimFixture::new();
    let check = |region| fixture.simulator.check_region(PLAIN.bucket, region);
    assert_eq!(code(check(Some("eu-central-1"))), Some(SimErrorCode::PermanentRedirect));
    for home in [Some("us-east-1"), Some("aws-global"), None] {
        assert_eq!(check(home), Ok(()));
    }
}
