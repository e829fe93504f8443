use super::*;
use crate::sim::model::copy::{CopyRequest, CopyResult, CopySource};
use crate::sim::model::object::{ChecksumKind, SimEncryption};
use crate::sim::model::put::ONE_REQUEST_LIMIT_BYTES;
use crate::sim::model::synthetic::{SyntheticChecksum, SyntheticObject};

fn source(target: WriteTarget<'_>) -> CopySource {
    CopySource {
        bucket: target.bucket.to_owned(),
        key: target.key.to_owned(),
        ..CopySource::default()
    }
}

fn copy(fixture: &mut SimFixture, change: impl FnOnce(&mut CopyRequest)) -> SimResult<CopyResult> {
    let mut copy = CopyRequest {
        source: source(VERSIONED),
        ..CopyRequest::default()
    };
    change(&mut copy);
    fixture.simulator.copy_object(PLAIN, &copy)
}

#[test]
fn copy_resets_storage_class_redirect_grants_and_lock() {
    let mut fixture = SimFixture::new();
    let explicit = WriteAttributes {
        storage_class: Some("STANDARD_IA".to_owned()),
        website_redirect: Some("/x".to_owned()),
        legal_hold: Some(true),
        tags: [("a".to_owned(), "b".to_owned())].into(),
        metadata: [("m".to_owned(), "v".to_owned())].into(),
        ..WriteAttributes::default()
    };
    fixture.put_with_attributes(VERSIONED, "x", explicit.clone());
    let copied = copy(&mut fixture, |_| {}).expect("a copy").written.object;
    assert_eq!(copied.storage_class(), "STANDARD");
    assert_eq!(copied.explicit.website_redirect, None);
    assert_eq!(copied.explicit.legal_hold, None);
    assert_eq!(
        (&copied.explicit.tags, &copied.explicit.metadata),
        (&explicit.tags, &explicit.metadata)
    );
}

#[test]
fn copy_at_the_size_limit_succeeds_and_one_byte_more_is_rejected() {
    let mut fixture = SimFixture::new();
    for (size_bytes, expected) in [
        (ONE_REQUEST_LIMIT_BYTES, None),
        (ONE_REQUEST_LIMIT_BYTES + 1, Some(SimErrorCode::InvalidRequest)),
    ] {
        let synthetic = SyntheticObject {
            size_bytes,
            ..SyntheticObject::default()
        };
        fixture
            .simulator
            .put_synthetic(VERSIONED, &synthetic)
            .expect("an object");
        assert_eq!(code(copy(&mut fixture, |_| {})), expected);
    }
}

#[test]
fn copy_has_a_full_object_checksum_whatever_the_source_had() {
    use crate::sim::model::digest::ChecksumAlgorithm;
    let table = [
        (SyntheticChecksum::Missing, ChecksumAlgorithm::Crc64Nvme),
        (
            SyntheticChecksum::Of(ChecksumAlgorithm::Sha256, None),
            ChecksumAlgorithm::Sha256,
        ),
    ];
    for (checksum, expected) in table {
        let mut fixture = SimFixture::new();
        let synthetic = SyntheticObject {
            size_bytes: 6 << 20,
            part_size_bytes: Some(5 << 20),
            checksum,
            ..SyntheticObject::default()
        };
        fixture
            .simulator
            .put_synthetic(VERSIONED, &synthetic)
            .expect("an object");
        let copied = copy(&mut fixture, |_| {}).expect("a copy").written.object;
        let shown = copied.checksum.map(|checksum| (checksum.algorithm, checksum.kind));
        assert_eq!(shown, Some((expected, ChecksumKind::FullObject)));
        assert!(!copied.etag.contains('-'));
    }
}

#[test]
fn delete_marker_is_rejected_as_source() {
    let mut fixture = SimFixture::new();
    fixture.put(VERSIONED, "x");
    let marker = fixture.delete(VERSIONED).version_id;
    assert_eq!(code(copy(&mut fixture, |_| {})), Some(SimErrorCode::NoSuchKey));
    let by_id = copy(&mut fixture, |copy| copy.source.version_id = marker);
    assert_eq!(code(by_id), Some(SimErrorCode::InvalidRequest));
}

#[test]
fn customer_key_is_required_to_copy() {
    let mut fixture = SimFixture::new();
    let key_md5 = "md5 of the key".to_owned();
    let encryption = Some(SimEncryption::Customer {
        key_md5: key_md5.clone(),
    });
    let explicit = WriteAttributes {
        encryption,
        ..WriteAttributes::default()
    };
    fixture.put_with_attributes(VERSIONED, "x", explicit);
    assert_eq!(code(copy(&mut fixture, |_| {})), Some(SimErrorCode::InvalidRequest));
    copy(&mut fixture, |copy| copy.source.customer_key_md5 = Some(key_md5)).expect("a copy");
}

#[test]
fn archived_source_must_be_restored_before_a_copy() {
    let mut fixture = SimFixture::new();
    let explicit = WriteAttributes {
        storage_class: Some("DEEP_ARCHIVE".to_owned()),
        ..WriteAttributes::default()
    };
    fixture.put_with_attributes(VERSIONED, "x", explicit);
    assert_eq!(code(copy(&mut fixture, |_| {})), Some(SimErrorCode::InvalidObjectState));
    assert_eq!(fixture.simulator.restore_object(VERSIONED, None), Ok(false));
    copy(&mut fixture, |_| {}).expect("a copy");
}
