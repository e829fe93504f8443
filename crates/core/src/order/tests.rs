use super::*;
use crate::facts::samples::object;
use crate::plan::{PartSizes, SourceLayout, plan};

fn order(checksum: Option<(&'static str, ChecksumCoverage)>, etag: &str) -> CopyOrder {
    let mut facts = object(etag);
    facts.size_bytes = 12 << 20;
    CopyOrder {
        in_place: None,
        pin: SourcePin::of(&facts),
        condition: WriteCondition::Absent,
        method: CopyMethod::Parts,
        stated: Stated::plain(),
        source_checksum: checksum.map(|(algorithm, coverage)| StatedChecksum { algorithm, coverage }),
        size_bytes: facts.size_bytes,
        follow_up: Aspects::new(),
    }
}

fn planned(replays: bool) -> CopyPlan {
    let layout = if replays {
        SourceLayout::Parts(PartSizes::uniform(12 << 20, 6 << 20))
    } else {
        SourceLayout::Unknown
    };
    plan(12 << 20, &layout, 5 << 20).unwrap()
}

use ChecksumCoverage::{Composite, FullObject};

#[track_caller]
fn check(
    source: Option<(&'static str, ChecksumCoverage)>,
    etag: &str,
    replays: bool,
    stated: Option<(&'static str, ChecksumCoverage)>,
    lost: &[Aspect],
) {
    let terms = UploadTerms::new(&order(source, etag), &planned(replays));
    let found = terms
        .stated
        .checksum
        .map(|checksum| (checksum.algorithm, checksum.coverage));
    assert_eq!(found, stated);
    assert_eq!(terms.lost, lost.iter().copied().collect());
}

#[test]
fn checksum_is_kept_where_parts_allow_it_and_named_as_lost_elsewhere() {
    let crc64 = Some(("CRC64NVME", FullObject));
    check(crc64, "aa-2", true, crc64, &[]);
    check(crc64, "aa", false, crc64, &[Aspect::Etag]);
    check(
        Some(("CRC32", FullObject)),
        "aa",
        false,
        Some(("CRC32", FullObject)),
        &[Aspect::Etag],
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
        &[Aspect::Etag, Aspect::Checksum],
    );
    check(
        Some(("SHA256", FullObject)),
        "aa",
        false,
        crc64,
        &[Aspect::Etag, Aspect::Checksum],
    );
    check(None, "aa", false, None, &[Aspect::Etag]);
    check(None, "aa-2", false, None, &[Aspect::Etag]);
}

#[test]
fn one_request_makes_a_single_part_of_many() {
    assert_eq!(order(None, "aa").lost_by_one_request(), Aspects::new());
    assert_eq!(
        order(Some(("CRC32", Composite)), "aa-2").lost_by_one_request(),
        Aspects::from([Aspect::Etag, Aspect::Checksum])
    );
}
