use super::*;
use crate::attributes::AttributeDigests;
use crate::facts::AttributeSet;
use crate::facts::samples::object;
use crate::marker::{MARKER_NAME, Marker, MarkerRequest, ObjectLocation};
use crate::names::{BucketName, ETag, VersionId};
use crate::order::{CopiedMetadata, CopyMethod};
use crate::plan::{PartLayout, plan};
use crate::versions::VersionName;

const SIZE_BYTES: u64 = 12 << 20;

fn route() -> MigrationRoute {
    MigrationRoute {
        source: BucketName::new("source").unwrap(),
        destination: BucketName::new("destination").unwrap(),
    }
}

fn key() -> ObjectKey {
    ObjectKey::from_raw("a/b").unwrap()
}

fn order(change: impl FnOnce(&mut CopyOrder)) -> CopyOrder {
    let mut facts = object("aa-3");
    facts.size_bytes = SIZE_BYTES;
    let mut order = CopyOrder {
        in_place: None,
        pin: SourcePin::of(&facts),
        condition: WriteCondition::Absent,
        method: CopyMethod::Multipart,
        explicit: ExplicitAttributes {
            metadata: Some(CopiedMetadata::default()),
            tags: Some([("a".to_owned(), "b".to_owned())].into()),
            ..ExplicitAttributes::plain()
        },
        source_checksum: None,
        size_bytes: SIZE_BYTES,
        follow_up: AttributeSet::new(),
    };
    change(&mut order);
    order
}

fn entry() -> UploadEntry {
    let plan = plan(SIZE_BYTES, &PartLayout::Unknown, 5 << 20).unwrap();
    route().entry(&key(), UploadId::new("id").unwrap(), &order(|_| ()), plan)
}

#[test]
fn entry_is_parsed_as_it_was_written() {
    let body = serde_json::to_vec(&entry()).unwrap();
    let read = route().read_entry(&key(), &body).unwrap();
    assert_eq!(read, entry());
    assert!(read.fulfils(&order(|_| ())));
}

#[test]
fn upload_is_not_resumed_after_any_parameter_changed() {
    type Change = fn(&mut CopyOrder);
    let changes: [Change; 9] = [
        |order| order.pin.version_id = VersionId::pinnable("v2"),
        |order| order.pin.etag = ETag::new("bb-3").unwrap(),
        |order| order.condition = WriteCondition::Matches(ETag::new("aa").unwrap()),
        |order| order.size_bytes += 1,
        |order| order.explicit.storage_class = "GLACIER".into(),
        |order| order.explicit.tags = Some([("a".to_owned(), "c".to_owned())].into()),
        |order| order.explicit.lock.legal_hold = true,
        |order| order.explicit.website_redirect = Some("/x".into()),
        |order| {
            order.explicit.metadata.get_or_insert_default().user = [("x".to_owned(), "y".to_owned())].into();
        },
    ];
    for (change, number) in changes.into_iter().zip(1..) {
        assert!(!entry().fulfils(&order(change)), "change {number}");
    }
}

#[test]
fn upload_with_marker_of_an_earlier_request_is_resumed() {
    let marked = |seconds: i64, over: &str| {
        let (bucket, key) = (BucketName::new("destination").unwrap(), key());
        let mut facts = object("aa-3");
        facts.size_bytes = SIZE_BYTES;
        let request = MarkerRequest {
            source_bucket: &bucket,
            location: ObjectLocation {
                bucket: &bucket,
                key: &key,
            },
            over: VersionName::new(over),
            requested: Timestamp::from_seconds(seconds),
            decided: Timestamp::from_seconds(seconds),
            attributes: AttributeDigests::of(&facts),
        };
        let (_, marker) = Marker::for_copy(&facts, CopyMethod::Multipart, false, request).unwrap();
        order(|order| {
            order.explicit.metadata.get_or_insert_default().user = [(MARKER_NAME.to_owned(), marker.to_text())].into();
        })
    };
    let plan = plan(SIZE_BYTES, &PartLayout::Unknown, 5 << 20).unwrap();
    let entry = route().entry(&key(), UploadId::new("id").unwrap(), &marked(1_000, "v1"), plan);
    assert!(entry.fulfils(&marked(9_000, "v1")));
    assert!(!entry.fulfils(&marked(9_000, "v2")));
}

#[test]
fn upload_with_a_plan_of_another_size_is_not_resumed() {
    let plan = plan(SIZE_BYTES - 1, &PartLayout::Unknown, 5 << 20).unwrap();
    let entry = route().entry(&key(), UploadId::new("id").unwrap(), &order(|_| ()), plan);
    assert!(!entry.fulfils(&order(|_| ())));
}

#[test]
fn entry_of_another_key_or_format_is_refused() {
    let body = serde_json::to_string(&entry()).unwrap();
    let other = ObjectKey::from_raw("a/c").unwrap();
    let error = route().read_entry(&other, body.as_bytes()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the upload journal entry belongs to source/a/b to destination"
    );
    for body in ["", "{}", "null", r#"{"form":1}"#] {
        let read = route().read_entry(&key(), body.as_bytes());
        assert!(matches!(read, Err(UploadEntryError::Unreadable(_))), "{body}");
    }
}

/// Fields that only the other format has do not hide its number.
#[test]
fn entry_in_another_format_is_refused_by_number() {
    let newer = r#"{"form":2,"source":{"bucket":"source"},"parts":[]}"#;
    let error = route().read_entry(&key(), newer.as_bytes()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "upload journal entry written in format 2 by another version of s3ferry; this version reads format 1"
    );
    let older = serde_json::to_string(&entry())
        .unwrap()
        .replace(r#""form":1"#, r#""form":0"#);
    let read = route().read_entry(&key(), older.as_bytes());
    assert!(matches!(read, Err(UploadEntryError::UnsupportedFormat(_))), "{read:?}");
}

/// An entry as version 0.1.0 writes it. If this test fails, change the format's number.
#[test]
fn entry_of_a_deployed_version_is_read() {
    let stored = concat!(
        r#"{"form":1,"source_bucket":"source","destination_bucket":"destination","key":"a/b","upload_id":"id","#,
        r#""plan":{"sizes":[{"parts":2,"size_bytes":5242880},{"parts":1,"size_bytes":2097152}],"replays":false},"#,
        r#""fingerprint":"6266d46270cb8ccb4be0786ef4a3622030ecdadfe8724fd4f05ffc6d0f1dd922"}"#,
    );
    assert_eq!(serde_json::to_string(&entry()).unwrap(), stored);
    assert_eq!(route().read_entry(&key(), stored.as_bytes()), Ok(entry()));
}

#[test]
fn entry_names_differ_by_bucket_and_key() {
    let name = |source: &str, destination: &str, key: &str| {
        let route = MigrationRoute {
            source: BucketName::new(source).unwrap(),
            destination: BucketName::new(destination).unwrap(),
        };
        route.entry_name(&ObjectKey::from_raw(key).unwrap())
    };
    let names = [
        name("source", "destination", "key"),
        name("source", "destination", "key2"),
        name("source2", "destination", "key"),
        name("source", "destination2", "key"),
        name("sourcex", "destination", "key"),
        name("source", "destinationkey", "k"),
    ];
    let distinct: std::collections::BTreeSet<&String> = names.iter().collect();
    assert_eq!(distinct.len(), names.len());
    assert!(names.iter().all(|name| name.len() == "uploads/.json".len() + 64));
}

#[test]
fn uploads_of_the_same_initiator_are_found_by_a_sample() {
    let id = |text: &str| UploadId::new(text).unwrap();
    let listed: Vec<ListedUpload> = [
        ("a", Some("we")),
        ("b", Some("they")),
        ("c", Some("we")),
        ("d", None),
        ("e", None),
    ]
    .map(|(text, initiator)| ListedUpload {
        id: id(text),
        initiator: initiator.map(str::to_owned),
        begun: Timestamp::from_seconds(0),
    })
    .into();
    let found = |index: usize| -> Vec<UploadId> {
        let found = same_initiator(&listed[index], &listed);
        found.map(|upload| upload.id.clone()).collect()
    };
    assert_eq!(found(0), [id("c")]);
    assert_eq!(found(1), []);
    // Uploads with an unknown initiator never match.
    assert_eq!(found(3), []);
    assert_eq!(found(4), []);
}
