use super::*;
use crate::sim::model::copy::{Copied, Copy, Source};
use crate::sim::model::object::{ChecksumKind, Encryption};
use crate::sim::model::put::ONE_REQUEST_LIMIT_BYTES;
use crate::sim::model::synthetic::{SyntheticChecksum, SyntheticObject};

fn source(target: Target<'_>) -> Source {
    Source {
        bucket: target.bucket.to_owned(),
        key: target.key.to_owned(),
        ..Source::default()
    }
}

fn copy(world: &mut World, change: impl FnOnce(&mut Copy)) -> Answer<Copied> {
    let mut copy = Copy {
        source: source(VERSIONED),
        ..Copy::default()
    };
    change(&mut copy);
    world.simulator.copy_object(PLAIN, &copy)
}

#[test]
fn storage_class_redirect_grants_and_lock_stay_behind() {
    let mut world = World::new();
    let stated = Stated {
        storage_class: Some("STANDARD_IA".to_owned()),
        website_redirect: Some("/x".to_owned()),
        legal_hold: Some(true),
        tags: [("a".to_owned(), "b".to_owned())].into(),
        metadata: [("m".to_owned(), "v".to_owned())].into(),
        ..Stated::default()
    };
    world.put_stated(VERSIONED, "x", stated.clone());
    let copied = copy(&mut world, |_| {}).expect("a copy").written.object;
    assert_eq!(copied.storage_class(), "STANDARD");
    assert_eq!(copied.stated.website_redirect, None);
    assert_eq!(copied.stated.legal_hold, None);
    assert_eq!(
        (&copied.stated.tags, &copied.stated.metadata),
        (&stated.tags, &stated.metadata)
    );
}

#[test]
fn copy_at_the_limit_succeeds_and_one_byte_more_is_refused() {
    let mut world = World::new();
    for (size_bytes, expected) in [
        (ONE_REQUEST_LIMIT_BYTES, None),
        (ONE_REQUEST_LIMIT_BYTES + 1, Some(Code::InvalidRequest)),
    ] {
        let synthetic = SyntheticObject {
            size_bytes,
            ..SyntheticObject::default()
        };
        world.simulator.put_synthetic(VERSIONED, &synthetic).expect("an object");
        assert_eq!(code(copy(&mut world, |_| {})), expected);
    }
}

#[test]
fn copy_has_a_full_object_checksum_whatever_the_source_had() {
    use crate::sim::model::digest::Algorithm;
    let table = [
        (SyntheticChecksum::Missing, Algorithm::Crc64Nvme),
        (SyntheticChecksum::Of(Algorithm::Sha256, None), Algorithm::Sha256),
    ];
    for (checksum, expected) in table {
        let mut world = World::new();
        let synthetic = SyntheticObject {
            size_bytes: 6 << 20,
            part_size_bytes: Some(5 << 20),
            checksum,
            ..SyntheticObject::default()
        };
        world.simulator.put_synthetic(VERSIONED, &synthetic).expect("an object");
        let copied = copy(&mut world, |_| {}).expect("a copy").written.object;
        let shown = copied.checksum.map(|checksum| (checksum.algorithm, checksum.kind));
        assert_eq!(shown, Some((expected, ChecksumKind::FullObject)));
        assert!(!copied.etag.contains('-'));
    }
}

#[test]
fn delete_marker_is_no_source() {
    let mut world = World::new();
    world.put(VERSIONED, "x");
    let marker = world.delete(VERSIONED).version_id;
    assert_eq!(code(copy(&mut world, |_| {})), Some(Code::NoSuchKey));
    let by_id = copy(&mut world, |copy| copy.source.version_id = marker);
    assert_eq!(code(by_id), Some(Code::InvalidRequest));
}

#[test]
fn customer_key_must_be_named_to_read() {
    let mut world = World::new();
    let key_md5 = "the key's".to_owned();
    let encryption = Some(Encryption::Customer {
        key_md5: key_md5.clone(),
    });
    let stated = Stated {
        encryption,
        ..Stated::default()
    };
    world.put_stated(VERSIONED, "x", stated);
    assert_eq!(code(copy(&mut world, |_| {})), Some(Code::InvalidRequest));
    copy(&mut world, |copy| copy.source.customer_key_md5 = Some(key_md5)).expect("a copy");
}

#[test]
fn archived_source_must_be_restored() {
    let mut world = World::new();
    let stated = Stated {
        storage_class: Some("DEEP_ARCHIVE".to_owned()),
        ..Stated::default()
    };
    world.put_stated(VERSIONED, "x", stated);
    assert_eq!(code(copy(&mut world, |_| {})), Some(Code::InvalidObjectState));
    assert_eq!(world.simulator.restore_object(VERSIONED, None), Ok(false));
    copy(&mut world, |_| {}).expect("a copy");
}
