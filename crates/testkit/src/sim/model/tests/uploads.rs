use super::*;
use crate::sim::model::complete::{CompletedPart, SimCompletion};
use crate::sim::model::conditions::RequestConditions;
use crate::sim::model::digest::ChecksumAlgorithm;
use crate::sim::model::multipart::{PART_MINIMUM_BYTES, PartTarget, upload_checksum};
use crate::sim::model::object::ChecksumKind;
use crate::sim::model::put::DeclaredChecksums;

fn begin(world: &mut World, target: WriteTarget<'_>) -> String {
    world
        .simulator
        .create_upload(target, None, WriteAttributes::default(), None)
        .expect("an upload")
}

fn part(
    world: &mut World,
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
    let kept = world
        .simulator
        .upload_part(part, content, &DeclaredChecksums::default())
        .expect("a part");
    CompletedPart {
        number,
        etag: kept.etag(),
        ..CompletedPart::default()
    }
}

fn complete(
    world: &mut World,
    target: WriteTarget<'_>,
    id: &str,
    completion: &SimCompletion,
) -> SimResult<WriteResult> {
    world.clock.advance(Duration::from_secs(1));
    world.simulator.complete_upload(target, id, completion)
}

fn completion(parts: &[CompletedPart]) -> SimCompletion {
    SimCompletion {
        parts: parts.to_vec(),
        ..SimCompletion::default()
    }
}

#[test]
fn completed_upload_is_as_old_as_its_start() {
    for target in [VERSIONED, PLAIN] {
        let mut world = World::new();
        let id = begin(&mut world, target);
        let began = world.simulator.clock.now();
        let named = part(&mut world, target, &id, 1, SimContent::from("upload"));
        world.put(target, "since");
        let written = complete(&mut world, target, &id, &completion(&[named])).expect("a success all the same");
        assert_eq!(written.last_modified, began);
        assert_eq!(world.content(target).as_deref(), Some("since"));
        let bucket = world.simulator.bucket(target.bucket).expect("a bucket");
        let kept = if target.bucket == VERSIONED.bucket { 2 } else { 1 };
        assert_eq!(bucket.keys.get(target.key).map(Vec::len), Some(kept));
    }
}

#[test]
fn what_was_there_before_the_start_is_replaced() {
    for target in [VERSIONED, PLAIN] {
        let mut world = World::new();
        world.put(target, "before");
        let id = begin(&mut world, target);
        let named = part(&mut world, target, &id, 1, SimContent::from("upload"));
        complete(&mut world, target, &id, &completion(&[named])).expect("a success");
        assert_eq!(world.content(target).as_deref(), Some("upload"));
    }
}

#[test]
fn delete_since_the_start_stays_in_force_and_conflicts_with_a_condition() {
    for target in [VERSIONED, PLAIN] {
        let mut world = World::new();
        world.put(target, "before");
        let id = begin(&mut world, target);
        let named = part(&mut world, target, &id, 1, SimContent::from("upload"));
        world.delete(target);
        let conditional = SimCompletion {
            conditions: RequestConditions {
                if_none_match: Some("*".to_owned()),
                ..RequestConditions::default()
            },
            ..completion(std::slice::from_ref(&named))
        };
        let answer = complete(&mut world, target, &id, &conditional);
        assert_eq!(code(answer), Some(SimErrorCode::ConditionalRequestConflict));
        complete(&mut world, target, &id, &completion(&[named])).expect("a success all the same");
        assert_eq!(world.content(target), None);
    }
}

#[test]
fn parts_are_checked_for_presence_order_and_size() {
    let mut world = World::new();
    let id = begin(&mut world, PLAIN);
    let large = SimContent::synthetic(1, PART_MINIMUM_BYTES);
    let first = part(&mut world, PLAIN, &id, 1, large.clone());
    let second = part(&mut world, PLAIN, &id, 5, SimContent::from("small"));
    let third = part(&mut world, PLAIN, &id, 9, large);
    let mut refused = |parts: &[&CompletedPart]| {
        let parts: Vec<_> = parts.iter().map(|part| (*part).clone()).collect();
        code(complete(&mut world, PLAIN, &id, &completion(&parts)))
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
    let bucket = world.simulator.bucket(PLAIN.bucket).expect("a bucket");
    let object = bucket.current_object(PLAIN.key).expect("an object");
    let parts: Vec<_> = object.parts.iter().map(|part| (part.number, part.size_bytes)).collect();
    assert_eq!(parts, [(1, PART_MINIMUM_BYTES), (2, 5)]);
}

#[test]
fn checksum_types_fit_their_algorithms() {
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
