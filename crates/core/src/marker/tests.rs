use proptest::prelude::*;

use super::*;
use crate::facts::samples::object;
use crate::facts::{ChecksumCoverage, Encryption, KmsEncryption, StoredChecksums};
use crate::plan::COPY_OBJECT_LIMIT_BYTES;

const NOW: Timestamp = Timestamp::from_seconds(7_777);

const BUCKET: &str = "destination";

fn names(bucket: &str, key: &str) -> (BucketName, ObjectKey) {
    (BucketName::new(bucket).unwrap(), ObjectKey::from_raw(key).unwrap())
}

fn over() -> Option<VersionName> {
    VersionName::new("below")
}

/// Returns the copy of an object with its marker, at `destination/key`.
fn marked(source: &ObjectFacts, preferred: CopyMethod) -> Result<(CopyMethod, ObjectFacts), MarkerError> {
    let (bucket, key) = names(BUCKET, "key");
    let location = ObjectLocation {
        bucket: &bucket,
        key: &key,
    };
    let (method, marker) = Marker::for_copy(source, preferred, false, request(source, location))?;
    let mut copy = source.clone();
    copy.version_id = VersionId::pinnable("copy");
    copy.last_modified = NOW;
    copy.user_metadata.insert(MARKER_NAME.to_owned(), marker.to_text());
    Ok((method, copy))
}

fn request<'a>(source: &ObjectFacts, location: ObjectLocation<'a>) -> MarkerRequest<'a> {
    MarkerRequest {
        source_bucket: location.bucket,
        location,
        over: over(),
        requested: NOW,
        decided: Timestamp::from_seconds(8_888),
        attributes: AttributeDigests::of(source),
    }
}

fn bound_at(facts: &ObjectFacts, bucket: &str, key: &str) -> Option<Marker> {
    let (bucket, key) = names(bucket, key);
    Marker::bound(
        facts,
        ObjectLocation {
            bucket: &bucket,
            key: &key,
        },
    )
}

fn bound(facts: &ObjectFacts) -> Option<Marker> {
    bound_at(facts, BUCKET, "key")
}

fn with_checksum(etag: &str, coverage: ChecksumCoverage, algorithm: &'static str) -> ObjectFacts {
    let mut facts = object(etag);
    facts.checksums = StoredChecksums {
        coverage,
        values: BTreeMap::from([(algorithm, "value".to_owned())]),
    };
    facts
}

#[test]
fn marker_names_the_copied_version_and_the_replaced_version() {
    let source = object("aa");
    let (_, copy) = marked(&source, CopyMethod::SingleRequest).unwrap();
    let marker = bound(&copy).unwrap();
    assert_eq!(marker.source_version, source.version_id);
    assert_eq!(marker.source_etag, source.etag);
    assert_eq!(marker.source_last_modified, source.last_modified);
    assert_eq!(marker.over, over());
    assert_eq!(marker.source_bucket.as_str(), BUCKET);
    assert_eq!(marker.requested, NOW);
    assert_eq!(marker.attributes, AttributeDigests::of(&source));
    assert!(marker.names(&source));
}

#[test]
fn two_copies_of_one_version_are_distinguished() {
    let (bucket, key) = names(BUCKET, "key");
    let location = ObjectLocation {
        bucket: &bucket,
        key: &key,
    };
    let source = object("aa");
    let text = |seconds| {
        let request = MarkerRequest {
            decided: Timestamp::from_seconds(seconds),
            ..request(&source, location)
        };
        let (_, marker) = Marker::for_copy(&source, CopyMethod::SingleRequest, false, request).unwrap();
        marker.to_text()
    };
    assert_ne!(text(1), text(2));
}

#[test]
fn marker_is_valid_only_for_versions_its_request_can_have_written() {
    let (_, copy) = marked(&object("aa"), CopyMethod::SingleRequest).unwrap();
    for (seconds, expected) in [
        (-61, false),
        (-60, true),
        (0, true),
        (1_800, true),
        (1_801, false),
        (500_000, false),
    ] {
        let mut other = copy.clone();
        other.last_modified = Timestamp::from_seconds(7_777 + seconds);
        assert_eq!(bound(&other).is_some(), expected, "{seconds}");
    }
}

#[test]
fn marker_names_one_version_only() {
    let source = object("aa");
    let (_, copy) = marked(&source, CopyMethod::SingleRequest).unwrap();
    let marker = bound(&copy).unwrap();
    let others: [fn(&mut ObjectFacts); 4] = [
        |facts| facts.version_id = VersionId::pinnable("v2"),
        |facts| facts.version_id = None,
        |facts| facts.etag = ETag::new("bb").unwrap(),
        |facts| facts.last_modified = Timestamp::from_seconds(1),
    ];
    for change in others {
        let mut other = source.clone();
        change(&mut other);
        assert!(!marker.names(&other));
    }
    let mut unversioned = source.clone();
    unversioned.version_id = None;
    let (_, copy) = marked(&unversioned, CopyMethod::SingleRequest).unwrap();
    assert!(!bound(&copy).unwrap().names(&unversioned));
}

#[test]
fn marker_is_invalid_after_any_change_by_an_application() {
    let mut source = object("aa");
    source.user_metadata.insert("owner".to_owned(), "me".to_owned());
    source.headers.content_type = Some("a/b".to_owned());
    let changes: [fn(&mut ObjectFacts); 13] = [
        |facts| facts.size_bytes += 1,
        |facts| facts.etag = ETag::new("bb").unwrap(),
        |facts| facts.encryption = Encryption::CustomerKey,
        |facts| facts.headers.content_type = None,
        |facts| facts.headers.cache_control = Some(String::new()),
        |facts| facts.headers.content_disposition = Some("a/b".to_owned()),
        |facts| facts.headers.content_encoding = Some("gzip".to_owned()),
        |facts| facts.headers.content_language = Some("de".to_owned()),
        |facts| facts.headers.expires = Some("0".to_owned()),
        |facts| facts.website_redirect = Some("/".to_owned()),
        |facts| drop(facts.user_metadata.insert("owner".to_owned(), "you".to_owned())),
        |facts| drop(facts.user_metadata.insert("other".to_owned(), "me".to_owned())),
        |facts| drop(facts.user_metadata.remove("owner")),
    ];
    let (_, copy) = marked(&source, CopyMethod::SingleRequest).unwrap();
    assert!(bound(&copy).is_some());
    for change in changes {
        let mut other = copy.clone();
        change(&mut other);
        assert_eq!(bound(&other), None, "{other:?}");
    }
}

#[test]
fn marker_stays_valid_after_attribute_updates() {
    let (_, copy) = marked(&object("aa"), CopyMethod::SingleRequest).unwrap();
    let changes: [fn(&mut ObjectFacts); 5] = [
        |facts| facts.storage_class = "GLACIER".to_owned(),
        // `UpdateObjectEncryption` preserves the `ETag`.
        |facts| facts.encryption = Encryption::Kms(KmsEncryption::default()),
        |facts| facts.version_id = VersionId::pinnable("v9"),
        |facts| facts.lock.legal_hold = true,
        |facts| facts.tags = Some(BTreeMap::new()),
    ];
    for change in changes {
        let mut other = copy.clone();
        change(&mut other);
        assert!(bound(&other).is_some());
    }
}

#[test]
fn marker_is_invalid_at_another_location() {
    let (_, copy) = marked(&object("aa"), CopyMethod::SingleRequest).unwrap();
    assert_eq!(bound_at(&copy, BUCKET, "renamed"), None);
    assert_eq!(bound_at(&copy, "elsewhere", "key"), None);
}

#[test]
fn edited_marker_is_invalid() {
    let (_, copy) = marked(&object("aa"), CopyMethod::SingleRequest).unwrap();
    let text = copy.user_metadata.get(MARKER_NAME).unwrap();
    let edited = [
        text.replace("below", "other"),
        text.replace("v1", "v2"),
        text.replace("aa", "bb"),
        text.replace("1000000", "1000001"),
        text.replace("1000000", "+1000000"),
        text.replace("7777000", "7777001"),
        text.replace("etag", "empty"),
        format!("{text} "),
        format!("{text};"),
        text.to_uppercase(),
        String::new(),
    ];
    for edited in edited {
        assert_ne!(edited, *text);
        let mut copy = copy.clone();
        copy.user_metadata.insert(MARKER_NAME.to_owned(), edited.clone());
        assert_eq!(bound(&copy), None, "{edited}");
    }
}

#[test]
fn content_is_bound_by_a_value_that_both_sides_store() {
    use ChecksumCoverage::{Composite, FullObject};
    use CopyMethod::{Multipart, SingleRequest};
    // `ETag` and checksum; preferred method, method, content binding in the marker.
    let rows: [(ObjectFacts, CopyMethod, CopyMethod, &str); 9] = [
        (object("aa"), SingleRequest, SingleRequest, "etag"),
        (object("aa"), Multipart, SingleRequest, "etag"),
        (object("aa-2"), SingleRequest, Multipart, "etag"),
        (object("aa-2"), Multipart, Multipart, "etag"),
        (
            with_checksum("aa-2", FullObject, "CRC64NVME"),
            SingleRequest,
            SingleRequest,
            "full.CRC64NVME",
        ),
        (
            with_checksum("aa-2", FullObject, "CRC32C"),
            Multipart,
            Multipart,
            "full.CRC32C",
        ),
        (
            with_checksum("aa", FullObject, "SHA256"),
            Multipart,
            SingleRequest,
            "full.SHA256",
        ),
        (
            with_checksum("aa-2", Composite, "SHA256"),
            SingleRequest,
            Multipart,
            "composite.SHA256",
        ),
        (
            with_checksum("aa-2", Composite, "CRC32"),
            Multipart,
            Multipart,
            "composite.CRC32",
        ),
    ];
    for (source, preferred, expected, content) in rows {
        let (method, copy) = marked(&source, preferred).unwrap();
        let text = copy.user_metadata.get(MARKER_NAME).unwrap();
        assert_eq!(method, expected, "{text}");
        assert!(text.contains(&format!(";{content};")), "{text}");
        let marker = bound(&copy).unwrap();
        assert_eq!(
            marker.needs_the_same_parts(),
            method == Multipart && !content.starts_with("full")
        );
    }
}

#[test]
fn marker_is_invalid_after_a_checksum_change() {
    for coverage in [ChecksumCoverage::FullObject, ChecksumCoverage::Composite] {
        let source = with_checksum("aa-2", coverage, "CRC32");
        let (_, mut copy) = marked(&source, CopyMethod::Multipart).unwrap();
        copy.checksums.values.insert("CRC32", "other".to_owned());
        assert_eq!(bound(&copy), None);
        copy.checksums.values.clear();
        assert_eq!(bound(&copy), None);
    }
    let (_, mut copy) = marked(
        &with_checksum("aa", ChecksumCoverage::FullObject, "CRC32"),
        CopyMethod::SingleRequest,
    )
    .unwrap();
    copy.checksums.coverage = ChecksumCoverage::Composite;
    assert_eq!(bound(&copy), None);
}

#[test]
fn checksum_binds_content_if_etags_are_not_hashes() {
    let mut source = with_checksum("aa", ChecksumCoverage::FullObject, "CRC64NVME");
    source.encryption = Encryption::Kms(KmsEncryption::default());
    let (_, mut copy) = marked(&source, CopyMethod::SingleRequest).unwrap();
    copy.etag = ETag::new("random").unwrap();
    assert!(bound(&copy).is_some());
}

#[test]
fn empty_object_is_bound_by_its_size() {
    let mut source = object("aa");
    source.size_bytes = 0;
    source.encryption = Encryption::Kms(KmsEncryption::default());
    let (method, mut copy) = marked(&source, CopyMethod::Multipart).unwrap();
    assert_eq!(method, CopyMethod::SingleRequest);
    copy.etag = ETag::new("random").unwrap();
    assert!(bound(&copy).is_some());
    copy.size_bytes = 1;
    assert_eq!(bound(&copy), None);
}

#[test]
fn object_under_kms_without_a_checksum_cannot_be_marked() {
    let mut source = object("aa");
    source.encryption = Encryption::Kms(KmsEncryption::default());
    assert_eq!(
        marked(&source, CopyMethod::SingleRequest),
        Err(MarkerError::NothingToBind)
    );
    let (bucket, key) = names(BUCKET, "key");
    let location = ObjectLocation {
        bucket: &bucket,
        key: &key,
    };
    let source = object("aa");
    let mapped = Marker::for_copy(&source, CopyMethod::SingleRequest, true, request(&source, location));
    assert_eq!(mapped, Err(MarkerError::NothingToBind));
}

#[test]
fn single_part_object_above_the_copy_limit_cannot_be_marked() {
    let mut too_large = object("aa");
    too_large.size_bytes = COPY_OBJECT_LIMIT_BYTES + 1;
    assert_eq!(
        marked(&too_large, CopyMethod::Multipart),
        Err(MarkerError::NothingToBind)
    );
    too_large.size_bytes = COPY_OBJECT_LIMIT_BYTES;
    assert!(marked(&too_large, CopyMethod::Multipart).is_ok());
}

#[test]
fn marker_that_exceeds_the_metadata_limit_is_refused() {
    let (_, copy) = marked(&object("aa"), CopyMethod::SingleRequest).unwrap();
    let used = MARKER_NAME.len() + copy.user_metadata.get(MARKER_NAME).unwrap().len();
    let room = METADATA_LIMIT_BYTES - used;
    let mut source = object("aa");
    source.user_metadata.insert("a".to_owned(), "x".repeat(room - 1));
    assert!(marked(&source, CopyMethod::SingleRequest).is_ok());
    source.user_metadata.insert("a".to_owned(), "x".repeat(room));
    assert_eq!(
        marked(&source, CopyMethod::SingleRequest),
        Err(MarkerError::NoRoom {
            needed_bytes: METADATA_LIMIT_BYTES + 1
        })
    );
    // An existing marker is replaced and takes no room.
    source.user_metadata = BTreeMap::from([(MARKER_NAME.to_owned(), "x".repeat(METADATA_LIMIT_BYTES))]);
    assert!(marked(&source, CopyMethod::SingleRequest).is_ok());
}

fn any_metadata() -> impl Strategy<Value = BTreeMap<String, String>> {
    proptest::collection::btree_map(".{0,8}", ".{0,16}", 0..4)
}

fn any_object() -> impl Strategy<Value = ObjectFacts> {
    (
        ".{1,12}",
        any_metadata(),
        proptest::option::of(".{0,8}"),
        0u64..3,
        proptest::option::of(".{1,8}"),
        any::<i64>(),
    )
        .prop_map(|(etag, user_metadata, content_type, size_bytes, version, millis)| {
            let mut facts = object("aa");
            facts.etag = ETag::new(&format!("e{etag}")).unwrap();
            facts.user_metadata = user_metadata;
            facts.headers.content_type = content_type;
            facts.size_bytes = size_bytes;
            facts.version_id = version.and_then(|version| VersionId::pinnable(&version));
            facts.last_modified = Timestamp::from_millis(millis);
            facts
        })
}

proptest! {
    #[test]
    fn marker_is_parsed_as_it_was_written_in_printable_ascii(source in any_object()) {
        let (_, copy) = marked(&source, CopyMethod::SingleRequest).unwrap();
        let text = copy.user_metadata.get(MARKER_NAME).unwrap().clone();
        prop_assert!(text.bytes().all(|byte| byte.is_ascii_graphic()), "{}", text);
        let marker = bound(&copy);
        prop_assert!(marker.is_some(), "{}", text);
        prop_assert_eq!(marker.unwrap().to_text(), text);
    }

    #[test]
    fn marker_is_invalid_for_another_object(source in any_object(), other in any_object()) {
        let (_, copy) = marked(&source, CopyMethod::SingleRequest).unwrap();
        let mut stolen = other.clone();
        stolen.last_modified = NOW;
        stolen.user_metadata.insert(MARKER_NAME.to_owned(), copy.user_metadata.get(MARKER_NAME).unwrap().clone());
        let is_same = without_marker(&source.user_metadata).eq(without_marker(&other.user_metadata))
            && source.headers == other.headers
            && source.size_bytes == other.size_bytes
            && (source.size_bytes == 0 || source.etag == other.etag);
        prop_assert_eq!(bound(&stolen).is_some(), is_same);
    }

    #[test]
    fn any_text_is_read_without_panic(text in ".{0,80}") {
        let mut facts = object("aa");
        facts.user_metadata.insert(MARKER_NAME.to_owned(), text);
        prop_assert_eq!(bound(&facts), None);
    }

    #[test]
    fn any_fields_are_parsed_without_panic(fields in proptest::collection::vec("[0-9a-z.%-]{0,6}", 11)) {
        let mut facts = object("aa");
        facts.user_metadata.insert(MARKER_NAME.to_owned(), fields.join(";"));
        prop_assert_eq!(bound(&facts), None);
    }
}
