use super::*;
use crate::sim::model::complete::{CompletedPart, SimCompletion};
use crate::sim::model::conditions::RequestConditions;
use crate::sim::model::digest::ChecksumAlgorithm;
use crate::sim::model::multipart::{PART_MINIMUM_BYTES, PartTarget, upload_checksum};
use crate::sim::model::object::ChecksumKind;
use crate::sim::model::put::DeclaredChecksums;

fn begin(fixture: &mut SimFixture, target: WriteTarget<'_>) -> String {
    fixture
        .simulator
        .create_upload(target, None, WriteAttributes::default(), None)
        .expect("an upload")
}

fn part(
    fixture: &mut SimFixture,
    target: WriteTarget<'_>,
    upload_id: &str,
    number: u32,
    content: SimContent,
) -> CompletedPart {
    let part = PartTarget {
        target,
        upload_id,
        number,
    };
    let uploaded = fixture
        .simulator
        .upload_part(part, content, &DeclaredChecksums::default())
        .expect("a part");
    CompletedPart {
        number,
        etag: uploaded.etag(),
        ..CompletedPart::default()
    }
}

fn complete(
    fixture: &mut SimFixture,
    target: WriteTarget<'_>,
    id: &str,
    completion: &SimCompletion,
) -> SimResult<WriteResult> {
    fixture.clock.advance(Duration::from_secs(1));
    fixture.simulator.complete_upload(target, id, completion)
}

fn completion(parts: &[CompletedPart]) -> SimCompletion {
    SimCompletion {
        parts: parts.to_vec(),
        ..SimCompletion::default()
    }
}

#[test]
fn completed_upload_is_ordered_by_its_start() {
    for target in [VERSIONED, PLAIN] {
        let mut fixture = SimFixture::new();
        let id = begin(&mut fixture, target);
        let began = fixture.simulator.clock.now();
        let named = part(&mut fixture, target, &id, 1, SimContent::from("upload"));
        fixture.put(target, "since");
        let written = complete(&mut fixture, target, &id, &completion(&[named])).expect("completion succeeds");
        assert_eq!(written.last_modified, began);
        assert_eq!(fixture.content(target).as_deref(), Some("since"));
        let bucket = fixture.simulator.bucket(target.bucket).expect("a bucket");
        let versions = if target.bucket == VERSIONED.bucket { 2 } else { 1 };
        assert_eq!(bucket.keys.get(target.key).map(Vec::len), Some(versions));
    }
}

#[test]
fn completed_upload_replaces_an_object_from_before_its_start() {
    for target in [VERSIONED, PLAIN] {
        let mut fixture = SimFixture::new();
        fixture.put(target, "before");
        let id = begin(&mut fixture, target);
        let named = part(&mut fixture, target, &id, 1, SimContent::from("upload"));
        complete(&mut fixture, target, &id, &completion(&[named])).expect("completion succeeds");
        assert_eq!(fixture.content(target).as_deref(), Some("upload"));
    }
}

#[test]
fn delete_after_upload_start_is_preserved_and_conflicts_with_a_condition() {
    for target in [VERSIONED, PLAIN] {
        let mut fixture = SimFixture::new();
        fixture.put(target, "before");
        let id = begin(&mut fixture, target);
        let named = part(&mut fixture, target, &id, 1, SimContent::from("upload"));
        fixture.delete(target);
        let conditional = SimCompletion {
            conditions: RequestConditions {
                if_none_match: Some("*".to_owned()),
                ..RequestConditions::default()
            },
            ..completion(std::slice::from_ref(&named))
        };
        let answer = complete(&mut fixture, target, &id, &conditional);
        assert_eq!(code(answer), Some(SimErrorCode::ConditionalRequestConflict));
        complete(&mut fixture, target, &id, &completion(&[named])).expect("completion succeeds");
        assert_eq!(fixture.content(target), None);
    }
}

#[test]
fn parts_are_checked_for_presence_order_and_size() {
    let mut fixture = SimFixture::new();
    let id = begin(&mut fixture, PLAIN);
    let large = SimContent::synthetic(1, PART_MINIMUM_BYTES);
    let first = part(&mut fixture, PLAIN, &id, 1, large.clone());
    let second = part(&mut fixture, PLAIN, &id, 5, SimContent::from("small"));
    let third = part(&mut fixture, PLAIN, &id, 9, large);
    let mut refused = |parts: &[&CompletedPart]| {
        let parts: Vec<_> = parts.iter().map(|part| (*part).clone()).collect();
        code(complete(&mut fixture, PLAIN, &id, &completion(&parts)))
    };
    let strange = CompletedPart {
        etag: "strange".to_owned(),
        ..first.clone()
    };
    assert_eq!(refused(&[]), Some(SimErrorCode::MalformedXml));
    assert_eq!(refused(&[&second, &first]), Some(SimErrorCode::InvalidPartOrder));
    assert_eq!(refused(&[&first, &first]), Some(SimErrorCode::InvalidPartOrder));
    assert_eq!(refused(&[&strange]), Some(SimErrorCode::InvalidPart));
    assert_eq!(refused(&[&first, &second, &third]), Some(SimErrorCode::EntityTooSmall));
    assert_eq!(refused(&[&first, &second]), None);
    assert_eq!(refused(&[&first, &second]), Some(SimErrorCode::NoSuchUpload));
    let bucket = fixture.simulator.bucket(PLAIN.bucket).expect("a bucket");
    let object = bucket.current_object(PLAIN.key).expect("an object");
    let parts: Vec<_> = object.parts.iter().map(|part| (part.number, part.size_bytes)).collect();
    assert_eq!(parts, [(1, PART_MINIMUM_BYTES), (2, 5)]);
}

#[test]
fn checksum_type_must_match_its_algorithm() {
    use ChecksumKind::{Composite, FullObject};
    let table = [
        (Some(ChecksumAlgorithm::Crc64Nvme), None, Ok(Some(FullObject))),
        (
            Some(ChecksumAlgorithm::Crc64Nvme),
            Some(Composite),
            Err(SimErrorCode::InvalidRequest),
        ),
        (Some(ChecksumAlgorithm::Sha256), None, Ok(Some(Composite))),
        (
            Some(ChecksumAlgorithm::Sha256),
            Some(FullObject),
            Err(SimErrorCode::InvalidRequest),
        ),
        (Some(ChecksumAlgorithm::Crc32), None, Ok(Some(Composite))),
        (Some(ChecksumAlgorithm::Crc32), Some(FullObject), Ok(Some(FullObject))),
        (None, None, Ok(None)),
        (None, Some(FullObject), Err(SimErrorCode::InvalidRequest)),
    ];
    for (algorithm, kind, expected) in table {
        let answer = upload_checksum(algorithm, kind);
        let kinds = answer.map(|checksum| checksum.map(|(_, kind)| kind));
        assert_eq!(
            kinds.map_err(|refusal| refusal.code),
            expected,
            "{algorithm:?} {kind:?}"
        );
    }
}
