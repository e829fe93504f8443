use super::*;
use crate::facts::samples::object;
use crate::plan::{PartLayout, PartSizes, plan};

fn order(checksum: Option<(&'static str, ChecksumCoverage)>, etag: &str) -> CopyOrder {
    let mut facts = object(etag);
    facts.size_bytes = 12 << 20;
    CopyOrder {
        in_place: None,
        pin: SourcePin::of(&facts),
        condition: WriteCondition::Absent,
        method: CopyMethod::Multipart,
        explicit: ExplicitAttributes::plain(),
        source_checksum: checksum.map(|(algorithm, coverage)| ExplicitChecksum { algorithm, coverage }),
        size_bytes: facts.size_bytes,
        follow_up: AttributeSet::new(),
    }
}

fn planned(replays: bool) -> CopyPlan {
    let layout = if replays {
        PartLayout::Multipart(PartSizes::uniform(12 << 20, 6 << 20))
    } else {
        PartLayout::Unknown
    };
    plan(12 << 20, &layout, 5 << 20).unwrap()
}

use ChecksumCoverage::{Composite, FullObject};

#[track_caller]
fn check(
    source: Option<(&'static str, ChecksumCoverage)>,
    etag: &str,
    replays: bool,
    explicit: Option<(&'static str, ChecksumCoverage)>,
    not_preserved: &[Attribute],
) {
    let parameters = UploadParameters::new(&order(source, etag), &planned(replays));
    let found = parameters
        .explicit
        .checksum
        .map(|checksum| (checksum.algorithm, checksum.coverage));
    assert_eq!(found, explicit);
    assert_eq!(parameters.not_preserved, not_preserved.iter().copied().collect());
}

#[test]
fn checksum_is_preserved_if_parts_allow_it_and_reported_otherwise() {
    let crc64 = Some(("CRC64NVME", FullObject));
    check(crc64, "aa-2", true, crc64, &[]);
    check(crc64, "aa", false, crc64, &[Attribute::Etag]);
    check(
        Some(("CRC32", FullObject)),
        "aa",
        false,
        Some(("CRC32", FullObject)),
        &[Attribute::Etag],
    );
    check(
        Some(("SHA256", Composite)),
        "aa-2",
        true,
        Some(("SHA256", Composite)),
        &[],
    );
    check(
        Some(("SHA256", Composite)),
        "aa-2",
        false,
        crc64,
        &[Attribute::Etag, Attribute::Checksum],
    );
    check(
        Some(("SHA256", FullObject)),
        "aa",
        false,
        crc64,
        &[Attribute::Etag, Attribute::Checksum],
    );
    check(None, "aa", false, None, &[Attribute::Etag]);
    check(None, "aa-2", false, None, &[Attribute::Etag]);
}

#[test]
fn single_request_copy_does_not_preserve_etag_and_checksum_of_parts() {
    assert_eq!(order(None, "aa").not_preserved_by_single_request(), AttributeSet::new());
    assert_eq!(
        order(Some(("CRC32", Composite)), "aa-2").not_preserved_by_single_request(),
        AttributeSet::from([Attribute::Etag, Attribute::Checksum])
    );
}
