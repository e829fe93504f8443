use proptest::prelude::*;

use super::*;

const GIB: u64 = 1024 * MIB;

fn sizes(plan: &CopyPlan) -> Vec<u64> {
    plan.parts().map(|part| part.size_bytes).collect()
}

#[track_caller]
fn planned(size_bytes: u64, layout: &PartLayout, preferred_bytes: u64) -> CopyPlan {
    plan(size_bytes, layout, preferred_bytes).unwrap()
}

#[test]
fn object_above_the_single_request_limit_is_planned() {
    let plan = planned(
        COPY_OBJECT_LIMIT_BYTES + 1,
        &PartLayout::NotMultipart,
        DEFAULT_PART_BYTES,
    );
    assert_eq!(plan.count(), 41);
    assert_eq!(plan.parts().last().unwrap().range(), 5 * GIB..=5 * GIB);
    assert!(!plan.replays());
}

#[test]
fn parts_of_the_source_are_replayed() {
    let layout = PartLayout::Multipart([6 * MIB, 5 * MIB, 7 * MIB, 3].into_iter().collect());
    let plan = planned(18 * MIB + 3, &layout, DEFAULT_PART_BYTES);
    assert!(plan.replays());
    assert_eq!(sizes(&plan), [6 * MIB, 5 * MIB, 7 * MIB, 3]);
    let offsets: Vec<u64> = plan.parts().map(|part| part.offset_bytes).collect();
    assert_eq!(offsets, [0, 6 * MIB, 11 * MIB, 18 * MIB]);
}

#[test]
fn single_part_of_the_source_is_replayed() {
    let layout = PartLayout::Multipart([7].into_iter().collect());
    assert!(planned(7, &layout, DEFAULT_PART_BYTES).replays());
}

#[test]
fn source_parts_with_invalid_sizes_are_not_replayed() {
    for parts in [
        vec![],
        vec![10 * MIB],
        vec![5 * MIB, 5 * MIB, 2 * MIB],
        vec![5 * MIB - 1, 6 * MIB + 1],
        vec![11 * MIB, 0],
        vec![0, 11 * MIB],
    ] {
        let layout = PartLayout::Multipart(parts.iter().copied().collect());
        let plan = planned(11 * MIB, &layout, 8 * MIB);
        assert!(!plan.replays(), "{parts:?}");
        assert_eq!(sizes(&plan), [8 * MIB, 3 * MIB]);
    }
    let many = PartLayout::Multipart(PartSizes::uniform(10_001 * 5 * MIB, 5 * MIB));
    assert!(!planned(10_001 * 5 * MIB, &many, 8 * MIB).replays());
    let large = PartLayout::Multipart(PartSizes::uniform(12 * GIB, 6 * GIB));
    assert!(!planned(12 * GIB, &large, GIB).replays());
}

#[test]
fn source_without_known_parts_gets_the_preferred_parts() {
    for layout in [PartLayout::Unknown, PartLayout::NotMultipart] {
        assert_eq!(sizes(&planned(20 * MIB, &layout, 10 * MIB)), [10 * MIB, 10 * MIB]);
    }
}

#[test]
fn preferred_part_size_is_adjusted_to_s3_limits() {
    assert_eq!(
        sizes(&planned(11 * MIB, &PartLayout::NotMultipart, 1)),
        [5 * MIB, 5 * MIB, MIB]
    );
    assert_eq!(planned(12 * GIB, &PartLayout::NotMultipart, u64::MAX).count(), 3);
    // 50 TB: 4,769 MiB per part, so that there are at most 10,000 parts.
    let huge = planned(50_000_000_000_000, &PartLayout::NotMultipart, DEFAULT_PART_BYTES);
    assert_eq!(huge.count(), 9_999);
    assert_eq!(huge.parts().next().unwrap().size_bytes, 4_769 * MIB);
}

#[test]
fn object_above_the_upload_limit_is_refused() {
    let largest = planned(LARGEST_OBJECT_BYTES, &PartLayout::NotMultipart, DEFAULT_PART_BYTES);
    assert_eq!(largest.count(), MOST_PARTS);
    let size_bytes = LARGEST_OBJECT_BYTES + 1;
    let error = plan(size_bytes, &PartLayout::NotMultipart, DEFAULT_PART_BYTES);
    assert_eq!(error, Err(PlanError::TooLarge { size_bytes }));
    assert_eq!(plan(0, &PartLayout::NotMultipart, 1), Err(PlanError::Empty));
}

#[test]
fn plan_is_serialized_compactly() {
    let plan = planned(
        50_000_000_000_000,
        &PartLayout::Multipart(PartSizes::uniform(50_000_000_000_000, 5_000_000_000)),
        1,
    );
    let text = serde_json::to_string(&plan).unwrap();
    assert_eq!(
        text,
        r#"{"sizes":[{"parts":10000,"size_bytes":5000000000}],"replays":true}"#
    );
    assert_eq!(serde_json::from_str::<CopyPlan>(&text).unwrap(), plan);
}

#[test]
fn consecutive_equal_parts_are_one_run() {
    let listed: PartSizes = [5 * MIB, 5 * MIB, 5 * MIB, 1].into_iter().collect();
    assert_eq!(listed, PartSizes::uniform(15 * MIB + 1, 5 * MIB));
}

fn layout() -> impl Strategy<Value = PartLayout> {
    prop_oneof![
        Just(PartLayout::NotMultipart),
        Just(PartLayout::Unknown),
        prop::collection::vec(0..8 * GIB, 0..5).prop_map(|sizes| PartLayout::Multipart(sizes.into_iter().collect())),
        (1..LARGEST_OBJECT_BYTES, 1..LARGEST_OBJECT_BYTES)
            .prop_map(|(total, part)| PartLayout::Multipart(PartSizes::uniform(total, part.max(total / 20_000)))),
    ]
}

proptest! {
    #[test]
    fn every_plan_covers_the_object_once_in_parts_that_s3_accepts(
        size_bytes in 1..=LARGEST_OBJECT_BYTES,
        layout in layout(),
        preferred_bytes in any::<u64>(),
    ) {
        let plan = plan(size_bytes, &layout, preferred_bytes).unwrap();
        let parts: Vec<PlannedPart> = plan.parts().collect();
        prop_assert!(parts.len() <= 10_000);
        prop_assert!(plan.fits(size_bytes));
        let mut next = 0;
        for (part, number) in parts.iter().zip(1..) {
            prop_assert_eq!(part.number, number);
            prop_assert_eq!(*part.range().start(), next);
            next = part.range().end() + 1;
            prop_assert!(part.size_bytes <= 5 * GIB);
            prop_assert!(part.size_bytes >= 5 * MIB || next == size_bytes);
        }
        prop_assert_eq!(next, size_bytes);
    }

    #[test]
    fn runs_contain_the_sizes_they_were_collected_from(sizes in prop::collection::vec(0..4_u64, 0..20)) {
        let runs: PartSizes = sizes.iter().copied().collect();
        prop_assert_eq!(runs.iter().collect::<Vec<_>>(), sizes.clone());
        prop_assert_eq!(runs.count() as usize, sizes.len());
        prop_assert_eq!(runs.total_bytes(), sizes.iter().sum::<u64>());
    }
}
